"""Records and requests that try to get something run: nothing of them is more than text."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote

import pytest

from protocol.iso2709 import Field, build
from protocol.record import Holding
from server.config import load_config
from store.writer import CatalogueWriter
from tests.harness import RunningServer, serving
from tests.pages.plain_browser import PlainBrowser, active_content, outside_references
from tests.server.own_server import own_server

ATTACKS = (
    '<script>alert("title")</script>',
    "\"><img src=x onerror='alert(1)'>",
    "' onmouseover='alert(1)",
    "</title><svg onload=alert(1)>",
    "{{ 7 * 7 }}{% raw %}",
    "javascript:alert(1)",
    "&lt;b&gt; bold",
)


def hostile(number: str, attack: str) -> bytes:
    return build(
        "00000nam a2200000 a 4500",
        [
            Field("001", number),
            Field("008", "040101s1999    xx            000 0 eng d"),
            Field.of("020", "  ", [("a", attack)]),
            Field.of("050", '"<', [("a", attack), ("<", attack)]),
            Field.of("100", "1 ", [("a", attack)]),
            Field.of("245", "00", [("a", f"hostile {attack}"), ("c", attack)]),
            Field.of("260", "  ", [("a", attack), ("b", attack)]),
            Field.of("500", "  ", [("a", attack)]),
            Field.of("650", " 0", [("a", attack), ("x", attack)]),
            Field.of("856", "40", [("u", attack)]),
            Field.of("856", "40", [("u", f"https://example.org/{attack}")]),
            Field("<b>", attack),
        ],
    )


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    folder = tmp_path_factory.mktemp("hostile")
    records = [hostile(f"{n}{attack}", attack) for n, attack in enumerate(ATTACKS)]
    with own_server(folder, {"we_cat": records}):
        pass
    config = folder / "config.toml"
    writer = CatalogueWriter(load_config(config).data_dir, durable=False)
    for record_id, attack in enumerate(ATTACKS, 1):
        writer.put_holding(Holding("DEMO1", record_id, attack, 1, attack, (attack,)))
        writer.put_holding(Holding(attack[:10], record_id, attack))
    writer.close()
    with serving(config) as running:
        yield running


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_list_of_hostile_records_is_only_text(server: RunningServer, language: str) -> None:
    page = PlainBrowser(server, language).get("/?q=hostile")
    assert page.hits == len(ATTACKS)
    assert active_content(page) == []
    assert outside_references(page) == []
    titles = page.all("//ol[@class='lines']//h2")
    for attack in ATTACKS:
        assert any("".join(attack.split()) in "".join(title.split()) for title in titles), attack
    assert 'alert("title")' in page.tree.text_content()


@pytest.mark.parametrize("view", ["", "?view=marc"])
@pytest.mark.parametrize("number", range(len(ATTACKS)))
def test_a_hostile_record_is_only_text(server: RunningServer, number: int, view: str) -> None:
    browser = PlainBrowser(server)
    browser.sign_in("demo1")
    path = f"/we_cat/record/{quote(f'{number}{ATTACKS[number]}', safe='')}"
    page = browser.get(path + view)
    assert page.status == 200
    assert active_content(page) == []
    assert outside_references(page) == []
    assert page.all("//h1")
    assert page.all("//table[@class='holdings']//tbody/tr")
    assert not page.tree.xpath("//img | //b[not(ancestor::table[@class='marc'])]")


def test_hostile_values_of_facets_can_be_followed(server: RunningServer) -> None:
    browser = PlainBrowser(server)
    page = browser.get("/?q=hostile")
    links = page.all("//aside[@id='narrow']//li/a/@href")
    assert len(links) > 5
    for link in links:
        narrowed = browser.get(link)
        assert narrowed.status == 200
        assert narrowed.hits >= 1
        assert active_content(narrowed) == []


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_hostile_request_is_only_text(server: RunningServer, attack: str) -> None:
    browser = PlainBrowser(server)
    written = quote(attack, safe="")
    for path in (
        f"/?q={written}", f"/?q={written}&in=cql", f"/?q=x&author={written}&library={written}",
        f"/?q=x&in={written}&sort={written}&db={written}", f"/?lang={written}",
        f"/?q=x&{written}={written}", f"/{written}", f"/{written}/record/{written}",
        f"/we_cat/record/{written}", f"/we_cat/record/{written}?view={written}&id={written}",
        f"/-/sign-in?next={written}", f"/-/sign-in?next=/{written}",
    ):  # fmt: skip
        page = browser.get(path)
        assert page.status in (200, 400, 404), path
        if page.headers.get_content_type() == "text/html":
            assert active_content(page) == [], path
            assert outside_references(page) == [], path
    page = browser.sign_in(attack, attack, path=f"/{attack}")
    assert page.status == 403
    assert active_content(page) == []


def test_a_line_break_in_an_address_does_not_reach_the_headers(server: RunningServer) -> None:
    browser = PlainBrowser(server)
    page = browser.sign_in("demo1", path="/x\r\nX-Made: up")
    assert page.url == f"{browser.root}/"
    assert page.headers["X-Made"] is None
    page = browser.get("/?q=a%0D%0AX-Made:%20up&db=we_cat&lang=en")
    assert page.headers["X-Made"] is None

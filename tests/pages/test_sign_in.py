"""Signing in with a browser, and downloading: who may, and how it is counted."""

from __future__ import annotations

import json
import sqlite3
import threading
import urllib.request
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from urllib.parse import quote

import pymarc
import pytest
from lxml import etree

from protocol.iso2709 import decode_record, parse
from protocol.record import MarcFamily
from server.web.session import COOKIE
from tests.harness import RunningServer, lianmu, running_demo, serving
from tests.pages.plain_browser import Page, PlainBrowser
from tests.server.own_server import cnmarc, marc21, own_server

RECORD = "/we_cat/record/LMW0000003"
MARCXML = "{http://www.loc.gov/MARC21/slim}"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A demo of its own, so that what is counted is known."""
    with running_demo(tmp_path_factory.mktemp("web")) as server:
        yield server


@pytest.fixture
def browser(server: RunningServer) -> PlainBrowser:
    return PlainBrowser(server)


def usage(server: RunningServer, institution: str) -> dict[str, int]:
    done = lianmu("usage", institution, "--json", "--config", str(server.config))
    figures: dict[str, int] = json.loads(done.stdout)
    return figures


# Signing in


def test_signing_in_leads_back_to_where_one_was(browser: PlainBrowser) -> None:
    record = browser.get(RECORD)
    form = browser.get(record.link("Sign in"))
    page = browser.submit(form, "/-/sign-in", account="demo1", password="demo1")
    assert page.url.endswith(RECORD)
    assert page.one("//span[@class='who']") == "Signed in as demo1"
    out = browser.submit(page, "/-/sign-out")
    assert out.link("Sign in")
    assert COOKIE not in [cookie.name for cookie in browser.cookies]


@pytest.mark.parametrize(
    ("account", "password"), [("demo1", "wrong"), ("nobody", "x"), ("demo1", "demo1 ")]
)
def test_a_wrong_account_or_password_is_told_alike(
    browser: PlainBrowser, account: str, password: str
) -> None:
    page = browser.sign_in(account, password)
    assert page.status == 403
    assert page.one("//p[@role='alert']") == "The account or the password is wrong."
    assert page.one("//input[@id='account']/@value") == account
    assert page.all("//input[@id='password']/@value") == []
    assert browser.get("/").link("Sign in")


def test_failed_logins_are_slowed_for_one_account_alone(server: RunningServer) -> None:
    for _ in range(5):
        PlainBrowser(server).sign_in("demo3", "wrong")
    page = PlainBrowser(server).sign_in("demo3", "demo3")
    assert page.status == 403
    assert "Too many attempts failed" in page.one("//p[@role='alert']")
    assert PlainBrowser(server).sign_in("demo2").one("//span[@class='who']")


@pytest.mark.parametrize(
    "target", ["//evil.example/", "/\\evil.example", "https://evil.example/", "javascript:x", ""]
)
def test_signing_in_never_leads_elsewhere(browser: PlainBrowser, target: str) -> None:
    page = browser.sign_in("demo1", path=target)
    assert page.url == f"{browser.root}/"
    assert browser.get(f"/-/sign-in?next={quote(target)}").url == f"{browser.root}/"


def test_a_sign_in_form_from_elsewhere_is_not_accepted(browser: PlainBrowser) -> None:
    assert browser.post("/-/sign-in", account="demo1", password="demo1").status == 403
    browser.get("/-/sign-in")
    page = browser.post("/-/sign-in", account="demo1", password="demo1", token="x")
    assert page.status == 403
    assert "expired" in page.one("//p[@role='alert']")
    assert browser.get("/").link("Sign in")


def test_a_sign_out_form_from_elsewhere_is_not_accepted(browser: PlainBrowser) -> None:
    browser.sign_in("demo1")
    browser.post("/-/sign-out", token="x")
    assert browser.get("/").one("//span[@class='who']")


def test_the_session_cookie_is_kept_from_scripts(server: RunningServer) -> None:
    with urllib.request.urlopen(f"{server.url}/-/sign-in") as response:
        cookie = response.headers["Set-Cookie"]
    assert cookie.startswith(f"{COOKIE}=")
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie


# Who may see and take what


def test_without_an_account_a_record_is_read_but_not_taken(browser: PlainBrowser) -> None:
    page = browser.get(RECORD)
    assert "Sign in with your library's account" in page.text.replace("&#39;", "'")
    assert not page.all("//button[@name='format']")
    marc = browser.get(page.link("MARC"))
    assert marc.status == 200
    assert not marc.all("//table[@class='marc']")
    assert "is for members" in marc.one("//p[@class='notice']")
    taken = browser.post(RECORD, format="marc", token="x")
    assert taken.status == 403
    assert taken.headers.get_content_type() == "text/html"


def test_an_operator_takes_nothing(browser: PlainBrowser) -> None:
    page = browser.sign_in("admin", path=RECORD)
    assert "belongs to none" in page.one("//aside[@class='take']")
    assert not page.all("//button[@name='format']")
    token = page.one("//form[@action='/-/sign-out']//input[@name='token']/@value")
    assert browser.post(RECORD, format="marc", token=token).status == 403
    assert "belongs to none" in browser.get(f"{RECORD}?view=marc").one("//p[@class='notice']")


def test_a_member_sees_the_record_as_marc(browser: PlainBrowser) -> None:
    browser.sign_in("demo1")
    page = browser.get(f"{RECORD}?view=marc")
    rows = [
        [" ".join(cell.text_content().split()) for cell in row]
        for row in page.tree.xpath("//table[@class='marc']//tbody/tr")
    ]
    assert rows[0] == ["LDR", "", "00996nam a22002891i 4500"]
    assert rows[1] == ["001", "", "LMW0000003"]
    (title,) = (row for row in rows if row[0] == "245")
    assert title[1] == "10"
    assert title[2].startswith("$a Introduction to algorithms / $c Thomas H. Cormen,")


def test_a_member_s_own_holding_comes_first(browser: PlainBrowser) -> None:
    page = browser.sign_in("demo2", path=RECORD)
    libraries = page.all("//table[@class='holdings']//tr/th[@scope='row']")
    assert libraries[0] == "Second demo library your library"
    assert len(libraries) == 3


# Downloads


def test_the_note_before_a_download_tells_its_price_and_the_figures(browser: PlainBrowser) -> None:
    page = browser.sign_in("demo2", path=RECORD)
    note = page.one("//aside[@class='take']")
    assert "counted for Second demo library" in note
    assert "1.00 yuan for each beyond the year's quota" in note
    assert "within 30 seconds" in note
    labels = page.all("//aside//dt")
    assert labels == ["Downloads", "Quota", "Beyond the quota", "Estimate, yuan"]


def test_each_form_is_right_and_each_download_counts_once(
    server: RunningServer, browser: PlainBrowser
) -> None:
    before = usage(server, "DEMO1")
    taken = []
    for path, family, form in (
        ("/we_cat/record/LMW0000004", MarcFamily.MARC21, "marc"),
        ("/cn_cat/record/LMC0000001", MarcFamily.UNIMARC, "marc-gb18030"),
        ("/ru_cat/record/LMR0000001", MarcFamily.UNIMARC, "marcxml"),
    ):
        page = browser.sign_in("demo1", path=path)
        sent = browser.submit(page, path, format=form)
        assert sent.status == 200
        number = path.rpartition("/")[2]
        extension = "xml" if form == "marcxml" else "mrc"
        assert sent.headers["Content-Disposition"] == f'attachment; filename="{number}.{extension}"'
        assert sent.headers["Cache-Control"] == "no-store"
        taken.append((family, form, number, sent.body))
    for family, form, number, body in taken:
        if form == "marc":
            (record,) = pymarc.MARCReader(BytesIO(body))
            assert record is not None
            assert record["001"].data == number
        elif form == "marcxml":
            root = etree.fromstring(body)
            assert root.findtext(f"{MARCXML}controlfield[@tag='001']") == number
        else:
            assert "红楼梦".encode("gb18030") in body
            decoded = decode_record(body, family, "gb18030")
            assert "红楼梦".encode() in getattr(decoded, "marc", b"")
    after = usage(server, "DEMO1")
    assert after["downloads"] == before["downloads"] + 3
    assert after["repeats"] == before["repeats"]
    # The very same record again at once is stored, and not billed.
    page = browser.get("/we_cat/record/LMW0000004")
    assert page.all("//aside//dd")[0] == str(after["downloads"])
    assert browser.submit(page, "/we_cat/record/LMW0000004", format="marc").status == 200
    again = usage(server, "DEMO1")
    assert (again["downloads"], again["repeats"]) == (after["downloads"], after["repeats"] + 1)


def test_looking_is_not_counted(server: RunningServer, browser: PlainBrowser) -> None:
    browser.sign_in("demo2")
    before = usage(server, "DEMO2")
    browser.get("/?q=algorithms")
    browser.get(RECORD)
    browser.get(f"{RECORD}?view=marc")
    browser.get(f"{RECORD}?format=marc")
    browser.get(RECORD, method="HEAD")
    assert usage(server, "DEMO2") == before


@pytest.mark.parametrize(
    ("fields", "status"),
    [({"format": "marc"}, 403), ({"format": "marc", "token": "x"}, 403), ({"format": "pdf"}, 400),
     ({}, 400)],
)  # fmt: skip
def test_a_download_that_is_refused_is_not_counted(
    server: RunningServer, browser: PlainBrowser, fields: dict[str, str], status: int
) -> None:
    page = browser.sign_in("demo2", path=RECORD)
    before = usage(server, "DEMO2")
    if status == 400:
        token = page.one("//aside//input[@name='token']/@value")
        fields = {**fields, "token": token}
    refused = browser.post(RECORD, **fields)
    assert refused.status == status
    assert refused.all("//p[@role='alert']")
    assert usage(server, "DEMO2") == before


def test_a_token_of_another_session_is_of_no_use(
    server: RunningServer, browser: PlainBrowser
) -> None:
    other = PlainBrowser(server).sign_in("demo1", path=RECORD)
    token = other.one("//aside//input[@name='token']/@value")
    browser.sign_in("demo2", path=RECORD)
    assert browser.post(RECORD, format="marc", token=token).status == 403


def test_the_ledger_says_that_it_was_the_web(tmp_path: Path) -> None:
    with running_demo(tmp_path) as server:
        browser = PlainBrowser(server)
        page = browser.sign_in("demo1", path=RECORD)
        assert browser.submit(page, RECORD, format="marc").status == 200
    ledger = sqlite3.connect(tmp_path / "data" / "ledger.sqlite")
    rows = ledger.execute(
        "SELECT institution, account, database, control_number, protocol, quantity FROM entry"
        " WHERE kind = 'delivery'"
    ).fetchall()
    ledger.close()
    assert rows == [("DEMO1", "demo1", "we_cat", "LMW0000003", "web", 1)]


# Other configurations


def test_where_only_members_may_come_in_every_page_asks_to_sign_in(tmp_path: Path) -> None:
    with own_server(tmp_path, {"we_cat": [marc21("1", "Secret title")]}):
        pass
    config = tmp_path / "config.toml"
    config.write_text(config.read_text().replace("anonymous = true", "anonymous = false"))
    with serving(config) as server:
        browser = PlainBrowser(server)
        for path in ("/", "/we_cat?q=secret", "/we_cat/record/1"):
            page = browser.get(path)
            assert page.status == 403
            assert page.one("//h1") == "Sign in"
            assert "Secret title" not in page.text
        page = browser.submit(
            browser.get("/we_cat?q=secret"), "/-/sign-in", account="demo1", password="demo1"
        )
        assert page.hits == 1
        assert "Secret title" in page.text


def test_a_suspended_member_is_out_at_its_next_request(tmp_path: Path) -> None:
    with own_server(tmp_path, {"we_cat": [marc21("1", "A title")]}) as server:
        browser = PlainBrowser(server)
        page = browser.sign_in("demo1", path="/we_cat/record/1")
        assert page.all("//button[@name='format']")
        token = page.one("//aside//input[@name='token']/@value")
        members = sqlite3.connect(tmp_path / "data" / "members.sqlite")
        with members:
            members.execute("UPDATE institution SET status = 'suspended'")
        members.close()
        for page in (
            browser.get("/we_cat/record/1"),
            browser.post("/we_cat/record/1", format="marc", token=token),
            PlainBrowser(server).sign_in("demo1"),
        ):
            assert page.status == 403
            assert "membership" in page.one("//p[@role='alert']")
        assert usage(server, "DEMO1")["downloads"] == 0
        # Signed out, it is anybody.
        assert browser.submit(browser.get("/"), "/-/sign-out").status == 200


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """Records that are unlike others, and three members."""
    records = {
        "we_cat": [
            marc21("1", "First title"),
            marc21("1", "Second title").replace(b"TEST", b"NEXT"),
            marc21("a/b ?#", "Odd number"),
            marc21("long", "Long", *["x" * 9000] * 12),
        ],
        "cn_cat": [cnmarc("1", "一"), cnmarc("2", "二")],
    }
    folder = tmp_path_factory.mktemp("odd")
    with own_server(folder, records, pinned={"lib2": "gb18030", "lib3": "marc-8"}) as server:
        yield server


def test_the_form_of_a_member_s_library_system_comes_first(odd: RunningServer) -> None:
    offered = {}
    for account in ("demo1", "lib2", "lib3"):
        page = PlainBrowser(odd).sign_in(account, path="/cn_cat/record/1")
        offered[account] = page.all("//button[@name='format']/@value")
    assert offered == {
        "demo1": ["marc", "marc-gb18030", "marcxml"],
        "lib2": ["marc-gb18030", "marc", "marcxml"],
        "lib3": ["marc-8", "marc", "marc-gb18030", "marcxml"],
    }


def test_records_of_one_number_are_told_apart(odd: RunningServer) -> None:
    browser = PlainBrowser(odd)
    page = browser.sign_in("demo1", path="/we_cat/record/1")
    assert page.status == 300
    assert page.all("//ol//h2") == ["First title", "Second title"]
    second = browser.get(page.link("Second title"))
    assert second.one("//h1") == "Second title"
    sent = browser.submit(second, "/we_cat/record/1", format="marc")
    assert b"Second title" in sent.body
    assert usage(odd, "DEMO1")["downloads"] == 1


def test_any_control_number_can_be_an_address_and_a_file(odd: RunningServer) -> None:
    browser = PlainBrowser(odd)
    browser.sign_in("demo1")
    page = browser.get(browser.get("/?q=odd").link("Odd number"))
    assert page.one("//h1") == "Odd number"
    sent = browser.submit(page, "/we_cat/record/a%2Fb%20%3F%23", format="marcxml")
    assert sent.headers["Content-Disposition"] == 'attachment; filename="a_b.xml"'


def test_a_record_too_long_for_iso_2709_is_refused_and_not_counted(odd: RunningServer) -> None:
    browser = PlainBrowser(odd)
    page = browser.sign_in("lib2", path="/we_cat/record/long")
    refused = browser.submit(page, "/we_cat/record/long", format="marc")
    assert refused.status == 422
    assert "cannot be given in that form" in refused.one("//p[@role='alert']")
    assert usage(odd, "LIB2")["downloads"] == 0
    assert browser.submit(page, "/we_cat/record/long", format="marcxml").status == 200
    assert usage(odd, "LIB2")["downloads"] == 1


def test_two_downloads_at_once_are_two(odd: RunningServer) -> None:
    browser = PlainBrowser(odd)
    taken: list[bytes] = []

    def take(page: Page, path: str) -> None:
        taken.append(browser.submit(page, path, format="marc-8").body)

    pages = [browser.sign_in("lib3", path=f"/cn_cat/record/{n}") for n in (1, 2)]
    threads = [
        threading.Thread(target=take, args=(page, f"/cn_cat/record/{n}"))
        for n, page in enumerate(pages, 1)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert usage(odd, "LIB3")["downloads"] == 2
    decoded = [decode_record(marc, MarcFamily.UNIMARC, "marc-8") for marc in taken]
    titles = {parse(each.marc).get("200")[0].first("a") for each in decoded}
    assert titles == {"一", "二"}

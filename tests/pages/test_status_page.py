"""The status page: it stays up to date, draws its charts, and is whole without JavaScript."""

from __future__ import annotations

import json
import re
import time
import urllib.request
from base64 import b64encode
from collections.abc import Iterator

import pytest

from tests.harness import RunningServer, running_demo
from tests.pages.chromium import Chromium, chromium
from tests.pages.plain_browser import PlainBrowser, active_content, outside_references
from tests.z3950_client import connected

pytestmark = pytest.mark.real_client

PAGE = "/-/console/status"
GRACE_S = 10.0  # what an answer that does not end would take


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with running_demo(tmp_path_factory.mktemp("status")) as server:
        yield server


@pytest.fixture(scope="module")
def browser(server: RunningServer) -> Iterator[Chromium]:
    with chromium(server.url) as browser:
        yield browser


def updated(browser: Chromium) -> bool:
    return bool(browser.find("#live").get_attribute("data-messages"))


def drawn(browser: Chromium) -> bool:
    return len(browser.find_all("figure.chart[data-drawn=yes] canvas")) == 6


def points(browser: Chromium) -> int:
    """How many rows the table of the rates has."""
    return len(browser.find_all("#rates tbody tr td:nth-child(2)"))


def test_the_page_is_whole_without_javascript(server: RunningServer) -> None:
    plain = PlainBrowser(server)
    page = plain.sign_in("admin", path=PAGE)
    assert page.one("//h1") == "Status"
    assert page.one("//nav[@class='sections']//a[@aria-current]") == "Status"
    assert page.link("Reload") == "?range=1h"
    assert "DEMO3" in page.one("//section[@aria-labelledby='quota']") or page.all(
        "//p[@class='empty']"
    )
    assert "worker-0" in page.one("//section[@aria-labelledby='processes']")
    head = page.one("//section[@aria-labelledby='ledger']//code")
    assert re.fullmatch(r"[0-9a-f]{64}", head)
    assert outside_references(page) == []
    loaded = {each.partition(".")[0] for each in page.all("//script/@src")}
    assert loaded == {"/-/assets/uPlot", "/-/assets/chart", "/-/assets/status"}
    # Scripts without an address are figures for the charts, which no browser runs.
    assert set(page.all("//script[not(@src)]/@type")) == {"application/json"}
    assert [each for each in active_content(page) if not each.startswith("<script")] == []
    policy = page.headers["Content-Security-Policy"]
    assert "script-src 'self'; connect-src 'self'" in policy
    assert "'unsafe" not in policy
    assert plain.get("/").headers["Content-Security-Policy"].count("script-src") == 0


@pytest.mark.parametrize("path", [PAGE, "/status", "/status/series", "/status/events"])
def test_it_is_for_operators_alone(server: RunningServer, path: str) -> None:
    plain = PlainBrowser(server)
    assert plain.get(path).status == 403
    plain.sign_in("demo1")
    page = plain.get(path)
    assert page.status == 403
    assert "operators" in page.text


def status(server: RunningServer, accept: str, path: str = "/status") -> str:
    """What a program with the operator's password gets."""
    request = urllib.request.Request(server.url + path, headers={"Accept": accept})
    request.add_header("Authorization", "Basic " + b64encode(b"admin:admin").decode())
    with urllib.request.urlopen(request, timeout=30) as response:
        answer: bytes = response.read()
    return answer.decode()


def test_a_program_with_a_password_gets_the_page_too(server: RunningServer) -> None:
    assert "<h1>运行状态</h1>" in status(server, "text/html")


def test_charts_are_drawn_and_the_page_updates_itself(
    server: RunningServer, browser: Chromium
) -> None:
    browser.sign_in("admin", PAGE)
    browser.wait_until(lambda: updated(browser))
    assert browser.text("#live span") == "Updated by itself"
    browser.wait_until(lambda: drawn(browser))
    assert "Nobody is connected." in browser.text("#region-sessions")
    with connected(server.z3950, "demo2/demo2") as client:
        client.search("@attr 1=4 algorithms", "we_cat")
        browser.wait_until(lambda: "DEMO2" in browser.text("#region-sessions"))
        member = browser.find("#region-sessions a")
        assert str(member.get_attribute("href")).endswith("/-/console/members/DEMO2")
    browser.wait_until(lambda: "Nobody is connected." in browser.text("#region-sessions"))
    # Refused sign-ins are told as they happen.
    PlainBrowser(server).sign_in("demo1", "wrong")
    browser.wait_until(lambda: "login refused" in browser.text("#region-trouble"))
    browser.wait_until(lambda: "Wrong password" in browser.text("#region-trouble"))
    assert browser.complaints() == []


def test_the_charts_show_what_was_asked(server: RunningServer, browser: Chromium) -> None:
    browser.sign_in("admin", f"{PAGE}?range=15m")
    plain = PlainBrowser(server)

    def peak() -> float:
        charts = json.loads(status(server, "application/json", "/status/series?range=15m"))
        (values,) = (
            each["values"] for each in charts["rates"]["series"] if each["label"] == "Z39.50"
        )
        assert len(charts["rates"]["x"]) == len(values)
        return max(values, default=0.0)

    with connected(server.z3950, "demo2/demo2") as client:
        for _ in range(50):
            client.search("@attr 1=4 algorithms", "we_cat")
    browser.wait_until(lambda: peak() >= 50 / 20)
    browser.open(f"{PAGE}?range=15m")
    browser.find("#rates summary").click()
    assert points(browser) >= 1
    page = plain.sign_in("admin", path=f"{PAGE}?range=15m")
    assert page.one("//figure[@id='rates']//th[2]") == "Z39.50"


def test_it_stops_when_the_session_ends(server: RunningServer, browser: Chromium) -> None:
    browser.sign_in("admin", PAGE)
    browser.wait_until(lambda: updated(browser))
    browser.driver.execute_script(
        "fetch('/-/sign-out', {method: 'POST', body: new URLSearchParams("
        "{token: document.querySelector('[name=token]').value})})"
    )
    browser.wait_until(lambda: browser.text("#live span") == "No longer updated.")
    browser.complaints()


@pytest.mark.parametrize("language", ["en", "zh"])
def test_it_fits_a_phone_and_a_desk_and_offends_nobody(
    server: RunningServer, browser: Chromium, language: str
) -> None:
    browser.sign_in("admin", PAGE)
    browser.open(f"{PAGE}?lang={language}")
    for dark in (False, True) if language == "en" else (False,):
        browser.prefer_dark(dark)
        browser.check_page(
            f"{PAGE}?range=15m", name=f"status{'-dark' * dark}", ready=lambda: drawn(browser)
        )
    browser.prefer_dark(False)
    browser.open(f"{PAGE}?lang=en")


def test_what_cannot_be_read_is_said_beside_all_else(server: RunningServer) -> None:
    plain = PlainBrowser(server)
    plain.sign_in("admin")
    ledger = server.config.parent / "data" / "ledger.sqlite"
    ledger.rename(ledger.with_suffix(".away"))
    try:
        told = json.loads(status(server, "application/json"))
        assert told["ledger"] is None
        assert "ledger" in told["unreadable"]
        page = plain.get(PAGE)
        assert page.status == 200
        assert "The ledger cannot be read" in page.one("//div[@class='notice wrong']")
        assert "worker-0" in page.one("//section[@aria-labelledby='processes']")
    finally:
        ledger.with_suffix(".away").rename(ledger)


def test_a_page_that_is_open_does_not_keep_the_server_from_stopping(
    server: RunningServer, browser: Chromium
) -> None:
    browser.sign_in("admin", PAGE)
    browser.wait_until(lambda: updated(browser))
    begun_s = time.monotonic()
    assert server.stop() == 0
    assert time.monotonic() - begun_s < GRACE_S
    assert "process killed" not in server.log

"""The pages in a real browser: by mouse, by keyboard, on a phone and on a desk."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.select import Select

from tests.harness import RunningServer, lianmu, running_demo
from tests.pages.chromium import DESKTOP, PHONE, Chromium, chromium

pytestmark = pytest.mark.real_client

RECORD = "/we_cat/record/LMW0000003"
HONGLOUMENG = "%E7%BA%A2%E6%A5%BC%E6%A2%A6"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A demo of its own, so that what is counted is known."""
    with running_demo(tmp_path_factory.mktemp("browser")) as server:
        yield server


@pytest.fixture(scope="module")
def running_browser(server: RunningServer) -> Iterator[Chromium]:
    with chromium(server.url) as browser:
        yield browser


@pytest.fixture
def browser(running_browser: Chromium) -> Iterator[Chromium]:
    """Signed out, at a desk, in daylight; nothing to complain of afterwards."""
    running_browser.open("/")
    running_browser.forget()
    running_browser.resize(DESKTOP)
    running_browser.prefer_dark(False)
    yield running_browser
    assert running_browser.complaints() == []


def sign_in(browser: Chromium, account: str, path: str) -> None:
    browser.open(f"/-/sign-in?next={path}")
    browser.find("#account").send_keys(account)
    browser.find("#password").send_keys(account)
    browser.leave_by(browser.find(".sign-in button"))


def downloads(server: RunningServer, institution: str) -> int:
    done = lianmu("usage", institution, "--json", "--config", str(server.config))
    return int(json.loads(done.stdout)["downloads"])


def test_a_person_searches_narrows_reads_signs_in_and_downloads(
    server: RunningServer, browser: Chromium
) -> None:
    browser.open("/")
    browser.find("#q").send_keys("algorithms")
    Select(browser.find("#in")).select_by_visible_text("Title")
    browser.leave_by(browser.find(".search button"))
    everything = browser.hits
    browser.leave_by(browser.link("English"))
    assert 0 < browser.hits < everything
    browser.leave_by(browser.find(".picks a"))
    assert browser.hits == everything
    Select(browser.find("#sort")).select_by_visible_text("Newest first")
    browser.leave_by(browser.find(".sort button"))
    assert "2022" in browser.text(".lines li")
    browser.leave_by(browser.find(".lines h2 a"))
    assert browser.text("h1") == "Introduction to algorithms"
    number = browser.driver.current_url.rpartition("/")[2]
    browser.leave_by(browser.find(".take .button"))
    browser.find("#account").send_keys("demo1")
    browser.find("#password").send_keys("demo1")
    browser.leave_by(browser.find(".sign-in button"))
    assert browser.driver.current_url.endswith(number)
    assert "1.00 yuan" in browser.text(".take")
    before = downloads(server, "DEMO1")
    assert browser.text(".take dd") == str(before)
    browser.find("button[value=marc]").click()
    marc = browser.downloaded(f"{number}.mrc")
    assert marc[:5].isdigit()
    assert len(marc) == int(marc[:5])
    assert downloads(server, "DEMO1") == before + 1
    browser.driver.refresh()
    assert browser.text(".take dd") == str(before + 1)
    browser.leave_by(browser.link("MARC"))
    assert "Introduction to algorithms" in browser.text("table.marc")
    browser.leave_by(browser.find(".top button"))
    assert browser.link("Sign in")


def test_everything_can_be_done_from_the_keyboard(browser: Chromium) -> None:
    browser.open("/")
    assert browser.focused == browser.find("#q")
    browser.submit_by("knuth", Keys.ENTER)
    # From the top: the way past the heading, then the heading, then the form.
    order = []
    for _ in range(8):
        browser.press(Keys.TAB)
        focused = browser.focused
        order.append(focused.get_attribute("id") or focused.text or focused.tag_name)
    assert order == [
        "Skip to the content", "Lianmu 联目", "中文", "Sign in", "q", "Search", "in", "db",
    ]  # fmt: skip
    browser.open("/?q=knuth")
    browser.press(Keys.TAB)
    skip = browser.focused
    assert skip.rect["y"] >= 0, "the way past the heading shows when it has the focus"
    browser.press(Keys.ENTER)
    browser.press(Keys.TAB)
    assert browser.focused == browser.find("#q")
    # What has the focus can be seen.
    for selector in (".search button", ".lines h2 a", ".narrow li a", "#sort"):
        element = browser.find(selector)
        browser.driver.execute_script("arguments[0].focus({focusVisible: true})", element)
        assert element.value_of_css_property("outline-style") == "solid", selector
        assert element.value_of_css_property("outline-width") == "3px", selector
    first = browser.find(".lines h2 a")
    browser.driver.execute_script("arguments[0].focus()", first)
    browser.submit_by(Keys.ENTER)
    assert browser.find("article.record")


def test_results_come_before_what_narrows_them_and_a_link_leads_there(browser: Chromium) -> None:
    browser.resize(PHONE)
    browser.open("/?q=history")
    assert browser.find("#narrow").rect["y"] > browser.find(".lines").rect["y"]
    browser.find(".to-narrow a").click()
    top = browser.driver.execute_script(
        "return document.getElementById('narrow').getBoundingClientRect().top"
    )
    assert -1 <= top < PHONE[1]
    browser.resize(DESKTOP)
    assert not browser.find(".to-narrow").is_displayed()
    assert browser.find("#narrow").rect["x"] > browser.find(".lines").rect["x"]


def test_a_count_stays_on_one_line_beside_the_longest_label(browser: Chromium) -> None:
    browser.open("/?q=history")
    browser.driver.execute_script(
        "const value = document.querySelector('.narrow li');"
        "value.querySelector('a').textContent = 'A very long heading '.repeat(9);"
        "value.querySelector('.n').textContent = '1,234,567';"
    )
    count = browser.find(".narrow li .n")
    assert count.rect["height"] < 2 * browser.find(".bar h1").rect["height"]
    assert browser.too_wide() == []


def test_more_values_unfold_without_a_script(browser: Chromium) -> None:
    browser.open("/?q=history")
    details = browser.find(".narrow details")
    hidden = details.find_elements("css selector", "li")
    assert hidden
    assert not hidden[0].is_displayed()
    details.find_element("css selector", "summary").click()
    assert hidden[0].is_displayed()


def test_the_language_is_switched_in_place(browser: Chromium) -> None:
    browser.open("/?q=history")
    browser.leave_by(browser.link("中文"))
    assert browser.text("#results") == "15 条结果"
    assert browser.find("html").get_attribute("lang") == "zh-CN"
    browser.leave_by(browser.link("English"))
    assert browser.text("#results") == "15 results"


PAGES = (
    "/", "/?q=history", f"/?q={HONGLOUMENG}&language=chi", "/we_cat?type=book&page=3",
    "/?q=xyzzy&in=title", "/?in=cql&q=title%3D", "/nowhere", "/-/sign-in", RECORD,
    "/cn_cat/record/LMC0000001?view=marc",
)  # fmt: skip


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_page_fits_a_phone_and_a_desk_and_offends_nobody(
    browser: Chromium, language: str
) -> None:
    browser.open(f"/?lang={language}")
    signed_in = False
    for path in (*PAGES, *PAGES[-2:]):
        browser.open(path)
        for size in (PHONE, DESKTOP):
            browser.resize(size)
            assert browser.too_wide() == [], (path, size)
        assert browser.offences() == [], path
        if path == PAGES[-1] and not signed_in:
            signed_in = True
            sign_in(browser, "demo2", RECORD)
            assert browser.find_all(".take button")


def test_the_dark_pages_can_be_read_too(browser: Chromium) -> None:
    browser.prefer_dark(True)
    for path in PAGES:
        browser.open(path)
        assert browser.offences() == [], path
    background = browser.find("body").value_of_css_property("background-color")
    assert background == "rgba(22, 24, 27, 1)"


def test_paper_has_the_record_and_not_the_buttons(browser: Chromium) -> None:
    sign_in(browser, "demo2", RECORD)
    browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    try:
        assert not browser.find(".take form").is_displayed()
        assert not browser.find(".top nav").is_displayed()
        assert browser.find(".fields").is_displayed()
        assert browser.find(".address").is_displayed()
    finally:
        browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})


def test_these_checks_find_what_is_wrong(browser: Chromium) -> None:
    browser.open("/?q=history")
    browser.driver.execute_script(
        "document.querySelector('label[for=q]').remove();"
        "document.getElementById('q').removeAttribute('placeholder');"
        "document.querySelector('.lines').style.width = '2000px';"
    )
    assert any(offence.startswith("label") for offence in browser.offences())
    assert "the page itself" in browser.too_wide()


@pytest.mark.parametrize(
    "asked",
    [
        "version=1.2&operation=searchRetrieve&recordSchema=brief&query=cql.allRecords=1",
        "version=1.1&operation=scan&scanClause=dc.title=a",
        "version=2.0",
    ],
)
def test_an_sru_response_with_its_stylesheet_fits_a_phone(
    running_browser: Chromium, asked: str
) -> None:
    for size in (PHONE, DESKTOP):
        running_browser.resize(size)
        running_browser.open(f"/cn_cat?{asked}&stylesheet=/assets/sru.xsl")
        assert running_browser.find_all("main.sru td")
        assert running_browser.too_wide() == []
    running_browser.complaints()  # Chromium tells that it will drop XSLT one day

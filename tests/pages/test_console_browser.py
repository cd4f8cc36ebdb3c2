"""The console in a real browser: stories of operators, on a desk and on a phone."""

from __future__ import annotations

import fcntl
import os
import subprocess
import time
from collections.abc import Callable, Iterator

import msgspec
import pytest
from selenium.webdriver.common.keys import Keys

from server.config import Config
from server.console.work import Asked, Piece
from tests.harness import RunningServer, serving
from tests.pages.chromium import DESKTOP, PHONE, Chromium, chromium
from tests.pages.consortium import SPOOL, YEAR, make_consortium

pytestmark = pytest.mark.real_client

CONSOLE = "/-/console"
PAGES = {
    "members": "/members",
    "member": f"/members/PKU?year={YEAR}",
    "suspend": "/members/PKU/suspend",
    "end": "/members/PKU/end",
    "month": f"/members/PKU/{YEAR}/6",
    "day": f"/members/PKU/{YEAR}0615?meter=download",
    "entry": f"/entry?id={SPOOL}:5",
    "jobs": "/jobs",
    "duplicates": "/duplicates?record=c1",
    "compare": "/duplicates/1/2",
    "merge": "/duplicates/2/1/merge",
    "settlement": f"/settlement?year={YEAR}",
    "final": f"/settlement/{YEAR}/final",
    "documents": f"/settlement/{YEAR}/members/PKU",
    "tariff": "/tariff",
    "audit": "/audit",
}


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Config:
    return make_consortium(tmp_path_factory.mktemp("console"))


@pytest.fixture(scope="module")
def server(config: Config) -> Iterator[RunningServer]:
    with serving(config.data_dir.parent / "config.toml") as server:
        yield server


@pytest.fixture(scope="module")
def browser(server: RunningServer) -> Iterator[Chromium]:
    with chromium(server.url) as browser:
        yield browser


def look_at_all(browser: Chromium, language: str) -> None:
    browser.sign_in("admin", f"{CONSOLE}/members")
    browser.open(f"{CONSOLE}/members?lang={language}")
    for name, path in PAGES.items():
        browser.check_page(CONSOLE + path, name=f"console-{name}")


def test_pages_fit_a_phone_and_a_desk_and_offend_nobody(browser: Chromium) -> None:
    """In English, those with a layout of their own; `make test-long` looks at all."""
    browser.sign_in("admin", f"{CONSOLE}/members")
    browser.open(f"{CONSOLE}/members?lang=en")
    for name in ("members", "member", "compare"):
        browser.check_page(CONSOLE + PAGES[name], name=f"console-{name}")


@pytest.mark.long
@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_page_fits_a_phone_and_a_desk_and_offends_nobody(
    browser: Chromium, language: str
) -> None:
    look_at_all(browser, language)


@pytest.mark.long
def test_the_dark_pages_can_be_read_too(browser: Chromium) -> None:
    browser.sign_in("admin", f"{CONSOLE}/members")
    browser.prefer_dark(True)
    try:
        for path in PAGES.values():
            browser.open(CONSOLE + path)
            assert browser.offences() == [], path
    finally:
        browser.prefer_dark(False)


# Stories


class YazSession:
    """A yaz-client that stays connected, as the library system of a member does."""

    def __init__(self, program: str, server: RunningServer, account: str) -> None:
        self._process = subprocess.Popen(
            [program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        assert self._process.stdout is not None
        os.set_blocking(self._process.stdout.fileno(), False)
        self.said = ""
        self.tell(f"auth {account}/{account}")
        self.tell(f"open tcp:{server.z3950}/cn_cat")

    def tell(self, command: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{command}\n".encode())
        self._process.stdin.flush()

    def hears(self, text: str, within_s: float = 20.0) -> str:
        """All that was said since the last time, once `text` is in it."""
        assert self._process.stdout is not None
        deadline = time.monotonic() + within_s
        while text not in self.said:
            assert time.monotonic() < deadline, self.said
            self.said += (self._process.stdout.read() or b"").decode("utf-8", "replace")
            time.sleep(0.02)
        said, self.said = self.said, ""
        return said

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


@pytest.fixture
def yaz(
    client_program: Callable[[str], str], server: RunningServer
) -> Iterator[Callable[[str], YazSession]]:
    sessions: list[YazSession] = []

    def connect(account: str) -> YazSession:
        sessions.append(YazSession(client_program("yaz-client"), server, account))
        return sessions[-1]

    yield connect
    for session in sessions:
        session.close()


def test_a_reason_without_blanks_leaves_the_other_columns_in_sight(browser: Chromium) -> None:
    browser.resize(DESKTOP)
    browser.sign_in("admin", f"{CONSOLE}/members/PKU/warn")
    browser.find("#reason").send_keys("x" * 300)
    browser.leave_by(browser.find("form.form button"))
    browser.open(f"{CONSOLE}/audit?member=PKU")
    table = browser.find("table.rows")
    assert "xxx" in table.text
    assert table.size["width"] <= browser.find("main").size["width"]


def test_an_operator_suspends_a_member_while_it_is_searching(
    browser: Chromium, yaz: Callable[[str], YazSession]
) -> None:
    member, other = yaz("thu"), yaz("pku")
    for session in (member, other):
        session.hears("Connection accepted")
        session.tell("find @attr 1=4 史记")
        assert "Number of hits: 1" in session.hears("Number of hits")
    # The operator finds the member and suspends it.
    browser.resize(DESKTOP)
    browser.sign_in("admin", f"{CONSOLE}/members")
    browser.find("#q").send_keys("tsinghua")
    browser.submit_by(Keys.ENTER)
    browser.leave_by(browser.link("THU"))
    browser.leave_by(browser.link("Suspend"))
    browser.find("#reason").send_keys("the bill of 2023 is open")
    browser.leave_by(browser.find("form.form button"))
    assert browser.text("[role=status]") == "THU was suspended."
    assert "the bill of 2023 is open" in browser.text("main")
    # Its session ends at its next search, with the reason; the other one goes on.
    member.tell("find @attr 1=4 红楼梦")
    said = member.hears("suspended")
    assert "Number of hits" not in said
    assert "the bill of 2023 is open" in said
    other.tell("find @attr 1=4 红楼梦")
    assert "Number of hits: 2" in other.hears("Number of hits")
    assert "rejected" in yaz("thu").hears("rejected")
    # And comes back, by the keyboard alone and on a phone.
    browser.resize(PHONE)
    restore = browser.link("Restore")
    browser.driver.execute_script("arguments[0].focus()", restore)
    browser.submit_by(Keys.ENTER)
    for _ in range(40):
        browser.press(Keys.TAB)
        if browser.focused == browser.find("#reason"):
            break
    browser.press("paid")
    browser.submit_by(Keys.TAB, Keys.ENTER)
    assert browser.text("[role=status]") == "THU was restored."
    back = yaz("thu")
    back.hears("Connection accepted")
    # Who did it is known, and from where.
    browser.resize(DESKTOP)
    browser.open(f"{CONSOLE}/audit?member=THU")
    rows = [row.text for row in browser.find_all("tbody tr")]
    assert "restored" in rows[0]
    assert "paid" in rows[0]
    assert "web 127.0.0.1" in rows[0]
    assert "suspended" in rows[1]


def do_and_wait(browser: Chromium, name: str) -> str:
    """From the page of the year: ask for a piece of work, and what came of it."""
    browser.leave_by(browser.link(name))
    browser.leave_by(browser.find("form.form button"))
    browser.wait_until(lambda: not browser.find_all("#going"))
    told = browser.text("main > .notice")
    browser.leave_by(browser.find("main .button"))
    return told


def test_a_year_is_settled(browser: Chromium) -> None:
    browser.resize(DESKTOP)
    browser.sign_in("admin", f"{CONSOLE}/settlement")
    browser.leave_by(browser.link(str(YEAR)))
    assert do_and_wait(browser, "Make drafts") == "Drafts: 2"
    figures = [row.text.split()[-1] for row in browser.find_all("tbody tr")]
    assert figures == ["199.00", "1.00"]
    browser.screenshot("console-settlement-drafted-1280-en")
    assert do_and_wait(browser, "Make final") == "Final documents: 2"
    assert do_and_wait(browser, "Check").startswith("2 documents are as the ledger has it")
    assert [badge.text for badge in browser.find_all("tbody .badge")] == ["final", "final"]
    browser.check_page(CONSOLE + PAGES["documents"], name="console-documents-settled")
    browser.open(CONSOLE + PAGES["documents"])
    browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    try:
        assert browser.find("table").is_displayed()
        assert not browser.find(".top nav").is_displayed()
    finally:
        browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})


@pytest.mark.long
def test_long_work_is_followed_as_it_goes_on(browser: Chromium, config: Config) -> None:
    """The page renews itself; a piece of work is put there as a worker would."""
    folder = config.data_dir / "console"
    folder.mkdir(exist_ok=True)
    asked = Asked(kind="check", year=YEAR, who="admin")
    piece = Piece(id=f"{time.time_ns() // 1000:016}-0a0a0a0a", asked=asked, started_us=1)
    piece.done, piece.total = 1_000, 4_000

    def write() -> None:
        (folder / f"{piece.id}.json").write_bytes(msgspec.json.encode(piece))

    browser.sign_in("admin", f"{CONSOLE}/settlement")
    with (folder / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        write()
        browser.check_page(f"{CONSOLE}/work/{piece.id}", name="console-work")
        assert "1,000 of 4,000 entries" in browser.text("#going")
        piece.done = 3_000
        write()
        browser.wait_until(lambda: "3,000 of 4,000" in browser.text("#going"))
    piece.done, piece.finished_us, piece.documents = 4_000, 2, 7
    write()
    browser.wait_until(lambda: not browser.find_all("#going"))
    assert browser.text("main > .notice").startswith("7 documents are")
    assert browser.complaints() == []

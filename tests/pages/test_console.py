"""The console's pages over plain HTTP: what each says, who may see it, and what forms do."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing

import pytest

from server.config import Config
from store.accounts import Accounts
from store.members import Members
from store.membership import Membership
from store.record_reader import RecordReader
from tests.harness import RunningServer, serving
from tests.pages.consortium import SPOOL, YEAR, make_consortium
from tests.pages.plain_browser import PlainBrowser, active_content, outside_references

CONSOLE = "/-/console"
READS = (
    f"{CONSOLE}/members", f"{CONSOLE}/members/PKU?year={YEAR}", f"{CONSOLE}/members/PKU/suspend",
    f"{CONSOLE}/members/PKU/end", f"{CONSOLE}/members/PKU/{YEAR}/6",
    f"{CONSOLE}/members/PKU/{YEAR}0615?meter=download", f"{CONSOLE}/entry?id={SPOOL}:5",
    f"{CONSOLE}/jobs", f"{CONSOLE}/duplicates", f"{CONSOLE}/duplicates?record=c1",
    f"{CONSOLE}/duplicates/1/2", f"{CONSOLE}/duplicates/2/1/merge",
    f"{CONSOLE}/settlement?year={YEAR}", f"{CONSOLE}/settlement/{YEAR}/draft",
    f"{CONSOLE}/settlement/{YEAR}/final", f"{CONSOLE}/settlement/{YEAR}/members/PKU",
    f"{CONSOLE}/tariff", f"{CONSOLE}/audit",
)  # fmt: skip


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Config:
    return make_consortium(tmp_path_factory.mktemp("console"))


@pytest.fixture(scope="module")
def server(config: Config) -> Iterator[RunningServer]:
    with serving(config.data_dir.parent / "config.toml") as server:
        yield server


def signed_in(server: RunningServer, account: str, language: str = "en") -> PlainBrowser:
    browser = PlainBrowser(server, language)
    browser.sign_in(account)
    return browser


# Signing in takes longer than most pages, so each does it once.


@pytest.fixture(scope="module")
def operator(server: RunningServer) -> PlainBrowser:
    return signed_in(server, "admin")


@pytest.fixture(scope="module")
def chinese(server: RunningServer) -> PlainBrowser:
    return signed_in(server, "admin", "zh")


@pytest.fixture(scope="module")
def clerk(server: RunningServer) -> PlainBrowser:
    """An operator who may look and change nothing."""
    return signed_in(server, "clerk")


@pytest.fixture(scope="module")
def member(server: RunningServer) -> PlainBrowser:
    return signed_in(server, "pku")


@pytest.mark.parametrize("path", READS)
def test_every_page_is_read_without_a_script_in_both_languages(
    chinese: PlainBrowser, operator: PlainBrowser, path: str
) -> None:
    for browser in (operator, chinese):
        page = browser.get(path)
        assert page.status == 200, page.text
        assert page.all("//h1")[0]
        assert outside_references(page) == []
        assert active_content(page) == []
        policy = page.headers["Content-Security-Policy"]
        assert "unsafe" not in policy
        assert "script-src" not in policy
        assert page.headers["Cache-Control"] == "no-store"
    assert operator.get(path).text != chinese.get(path).text


@pytest.mark.parametrize("path", READS)
def test_a_member_gets_no_page_and_others_the_sign_in_form(
    server: RunningServer, member: PlainBrowser, path: str
) -> None:
    page = member.get(path)
    assert page.status == 403
    assert "not allowed" in page.text
    nobody = PlainBrowser(server).get(path)
    assert nobody.status == 403
    assert nobody.one("//h1") == "Sign in"
    assert "Peking" not in page.text + nobody.text


def test_an_operator_takes_a_member_s_statement(
    operator: PlainBrowser, clerk: PlainBrowser, member: PlainBrowser
) -> None:
    page = operator.get(f"{CONSOLE}/settlement/{YEAR}/members/pku")
    shown = operator.get(page.link("Look at it"))
    assert shown.status == 200
    assert "Peking" in shown.text
    assert "style-src 'sha256-" in shown.headers["Content-Security-Policy"]
    pdf = operator.get(page.link("PDF"))
    assert pdf.body.startswith(b"%PDF-")
    assert pdf.headers["Content-Disposition"] == f'attachment; filename="PKU-{YEAR}.pdf"'
    for form in ("XLSX", "CSV", "JSON"):
        assert operator.get(page.link(form)).status == 200
    for other in (clerk, member):
        assert other.get(page.link("PDF")).status == 403


def test_rights_are_told_in_the_language_of_the_page(
    chinese: PlainBrowser, operator: PlainBrowser, config: Config
) -> None:
    with closing(Members(config.members_path, create=True)) as members:
        Accounts(members).add(
            "PKU", "wang", "pw", 1, rights=("search", "manager"), who="admin", reason="new"
        )
    for path in (f"{CONSOLE}/members/PKU", f"{CONSOLE}/audit?member=PKU"):
        assert "检索, 管理" in chinese.get(path).text
        assert "search, manager" in operator.get(path).text


def test_reasons_for_duplicates_are_told_in_the_language_of_the_page(
    chinese: PlainBrowser, operator: PlainBrowser
) -> None:
    for path in (f"{CONSOLE}/duplicates?record=c1", f"{CONSOLE}/duplicates/1/2"):
        assert "题名相同" in chinese.get(path).text
        assert "same title" not in chinese.get(path).text
        assert "same title" in operator.get(path).text


@pytest.mark.parametrize("path", [CONSOLE, f"{CONSOLE}/"])
def test_the_console_begins_with_the_members(operator: PlainBrowser, path: str) -> None:
    page = operator.get(path)
    assert (page.status, page.url.endswith(f"{CONSOLE}/members")) == (200, True)


@pytest.mark.parametrize(
    ("path", "may"),
    [
        (f"{CONSOLE}/members", True), (f"{CONSOLE}/members/PKU", True), (f"{CONSOLE}/jobs", True),
        (f"{CONSOLE}/duplicates", True), (f"{CONSOLE}/audit", True), (f"{CONSOLE}/tariff", True),
        (f"{CONSOLE}/members/PKU/suspend", False), (f"{CONSOLE}/members/PKU/{YEAR}/6", False),
        (f"{CONSOLE}/duplicates/2/1/merge", False), (f"{CONSOLE}/settlement", False),
        (f"{CONSOLE}/settlement/{YEAR}/draft", False), (f"{CONSOLE}/entry?id=h1", False),
    ],
)  # fmt: skip
def test_an_operator_without_rights_looks_and_changes_nothing(
    clerk: PlainBrowser, path: str, may: bool
) -> None:
    assert clerk.get(path).status == (200 if may else 403)


def test_nothing_leads_where_one_may_not_go(clerk: PlainBrowser) -> None:
    for path in (f"{CONSOLE}/members/PKU", f"{CONSOLE}/duplicates/1/2", f"{CONSOLE}/jobs"):
        for link in clerk.get(path).tree.xpath("//a/@href"):
            if link.startswith(f"{CONSOLE}/"):
                assert clerk.get(link).status == 200, link


POSTS = (
    f"{CONSOLE}/members/PKU/suspend", f"{CONSOLE}/members/PKU/end",
    f"{CONSOLE}/duplicates/2/1/merge",
    f"{CONSOLE}/settlement/{YEAR}/final", f"{CONSOLE}/settlement/{YEAR}/draft",
)  # fmt: skip


@pytest.mark.parametrize("path", POSTS)
def test_a_form_from_elsewhere_changes_nothing(
    server: RunningServer,
    operator: PlainBrowser,
    member: PlainBrowser,
    config: Config,
    path: str,
) -> None:
    fields = {"reason": "none", "when": "now", "keep_version": "1", "away_version": "1"}
    assert operator.post(path, **fields).status == 403
    assert operator.post(path, **fields, token="x").status == 403
    token = member.get("/").one("//form[@action='/-/sign-out']//input[@name='token']/@value")
    assert member.post(path, **fields, token=token).status == 403
    assert PlainBrowser(server).post(path, **fields).status == 403
    with closing(Members(config.members_path)) as members:
        pku = members.institution("PKU")
    assert pku is not None
    assert pku.status == "active"


def test_members_are_searched_sorted_and_filtered(operator: PlainBrowser) -> None:
    page = operator.get(f"{CONSOLE}/members?year={YEAR}")
    assert page.all("//tbody/tr/th") == ["BNU", "FDU", "PKU", "THU"]
    # BNU has no agreement, THU no quota for its one download, PKU 259 of 60.
    assert page.all("//tbody/tr/td[6]") == ["–", "–", "432%", "no quota"]
    assert page.all("//tbody/tr/td[7]") == ["0.00", "0.00", "199.00", "1.00"]
    by_charge = operator.get(page.link("Estimate, yuan"))
    assert by_charge.all("//tbody/tr/th") == ["PKU", "THU", "BNU", "FDU"]
    assert by_charge.one("//th[@aria-sort='descending']") == "Estimate, yuan ↓"
    found = operator.submit(page, f"{CONSOLE}/members", q="peking")
    assert found.all("//tbody/tr/th") == ["PKU"]
    assert operator.submit(page, f"{CONSOLE}/members", state="warned").all("//tbody/tr/th") == [
        "FDU"
    ]
    none = operator.get(f"{CONSOLE}/members?q=<script>alert(1)</script>")
    assert "No member fits" in none.text
    assert "<script>alert" not in none.text
    for odd in ("sort=x", "state=x", "page=999999", "page=-1", "year=abc", "year=0", "order=x"):
        assert operator.get(f"{CONSOLE}/members?{odd}").status == 200


def test_a_figure_leads_to_its_entries_and_to_the_record(operator: PlainBrowser) -> None:
    member = operator.get(f"{CONSOLE}/members/pku?year={YEAR}")
    assert member.one("//h1") == "Peking University Library"
    assert "pku-cat" in member.text
    assert "Chinese/full" in member.text
    reach = dict(zip(member.all("//dl[@class='fields']//dt"),
                     member.all("//dl[@class='fields']//dd"), strict=True))  # fmt: skip
    assert reach["Searches"] == reach["Downloads from"] == "all databases"
    assert reach["Z39.50 sessions at once"] == "as configured"
    assert "192.0.2.0/24" in member.text
    month = operator.get(member.link(f"{YEAR}-06"))
    assert month.all("//tr[@class='total']/td") == ["50", "259", "0", "1", "0", "0"]
    day = operator.get(month.link("259"))
    assert len(day.all("//tbody/tr")) == 100
    second = operator.get(f"{day.url.partition('?')[0]}{day.link('Next')}")
    assert len(second.all("//tbody/tr")) == 100
    assert second.all("//tbody/tr[1]/td[1]") > day.all("//tbody/tr[last()]/td[1]")
    entry = operator.get(day.tree.xpath("//tbody/tr[1]/td[1]/a/@href")[0])
    assert entry.one("//h1") == "Ledger entry 1"
    assert "delivery: +1 download" in entry.text
    record = operator.get(entry.link("c1"))
    assert record.one("//h1") == "红楼梦"
    voided = operator.get(f"{CONSOLE}/entry?id=void")
    assert "connection lost" in voided.text
    assert operator.get(voided.link("Ledger entry 4")).status == 200
    only = operator.get(f"{CONSOLE}/members/PKU/{YEAR}0615?record=c4")
    assert len(only.all("//tbody/tr")) == 2


@pytest.mark.parametrize(
    "path",
    [
        "members/NOBODY", f"members/PKU/{YEAR}/13", f"members/PKU/{YEAR}0231", "entry?id=no",
        "entry", "duplicates?record=no-such", "duplicates/1/99", "duplicates/1/1", "work/1",
        "reports/..%2F..%2Fconfig.toml", "reports/nothing.csv", "jobs/x/cancel",
        f"settlement/{YEAR}/members/NOBODY", "settlement/9999/draft", "settlement/0001/final",
        "settlement/9999/members/PKU", "settlement/9999/members/PKU/statement.html",
        f"settlement/{YEAR}/members/NOBODY/statement.pdf",
        f"settlement/{YEAR}/members/PKU/statement.exe",
        "tariff?version=1900", "members/NOBODY/suspend",
    ],
)  # fmt: skip
def test_what_there_is_not_is_a_page_that_says_so(operator: PlainBrowser, path: str) -> None:
    page = operator.get(f"{CONSOLE}/{path}")
    assert page.status == 404
    assert page.all("//*[@role='alert'] | //main//p")


def test_jobs_and_reports(operator: PlainBrowser, config: Config) -> None:
    page = operator.get(f"{CONSOLE}/jobs")
    (job,) = page.all("//section[@aria-labelledby='jobs']//tbody/tr/th")
    assert page.all("//progress/@value") == ["1"]
    assert "1 of 4" in page.text
    report = operator.get(f"{CONSOLE}/reports/duplicates-20260101T000000.000000Z.csv")
    assert report.headers.get_content_type() == "text/csv"
    assert "attachment" in report.headers["Content-Disposition"]
    assert report.text.startswith("database,score")
    form = operator.get(page.tree.xpath("//a[contains(@href, '/cancel')]/@href")[0])
    path = f"{CONSOLE}/jobs/{job}/cancel"
    assert operator.submit(form, path).status == 422
    done = operator.submit(form, path, reason="wrong list")
    assert "was told to end" in done.text
    assert "is being cancelled" in done.text or "cancelled" in done.text
    again = operator.get(f"{CONSOLE}/audit?member=PKU")
    assert again.all("//tbody/tr[1]/td")[2:5] == [
        "ISBN job cancelled", f"{job}: running → cancelled", "wrong list",
    ]  # fmt: skip


def test_the_tariff_says_what_the_command_says(operator: PlainBrowser) -> None:
    page = operator.get(f"{CONSOLE}/tariff")
    assert page.all("//section | //h2") == ["Prices of the tariff 2023-01-01"]
    assert "0.50" not in page.text
    rows = dict(zip(page.all("//h2/following::tbody/tr/th/span"),
                    page.all("//h2/following::tbody/tr/td[1]"), strict=True))  # fmt: skip
    assert rows["download.over_quota"] == "1.00"
    assert rows["upload.ancient.full"] == "7.00"
    assert "2.00 of it for CAU" in page.text


# Changes, in a consortium of their own: each test is about something else of it


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[PlainBrowser, Config]]:
    folder = tmp_path_factory.mktemp("changed")
    config = make_consortium(folder)
    with serving(folder / "config.toml") as server:
        browser = PlainBrowser(server)
        browser.sign_in("admin")
        yield browser, config


def test_a_membership_is_suspended_restored_and_ended(own: tuple[PlainBrowser, Config]) -> None:
    browser, config = own
    path = f"{CONSOLE}/members/PKU"
    form = browser.get(browser.get(path).link("Suspend"))
    empty = browser.submit(form, f"{path}/suspend", reason="  ")
    assert empty.status == 422
    assert empty.one("//span[@class='error']") == "Say why."
    done = browser.submit(form, f"{path}/suspend", reason="the bill of 2023 is open")
    assert done.url.endswith(path)
    assert done.one("//p[@role='status']") == "PKU was suspended."
    assert "the bill of 2023 is open" in done.text
    twice = browser.submit(form, f"{path}/suspend", reason="again")
    assert twice.status == 409
    assert "PKU is suspended" in twice.one("//p[@role='alert']")
    restored = browser.submit(browser.get(f"{path}/restore"), f"{path}/restore", reason="paid")
    assert restored.one("//p[@role='status']") == "PKU was restored."
    end = browser.get(f"{path}/end")
    assert browser.submit(end, f"{path}/end", reason="leaves").status == 422
    bad = browser.submit(end, f"{path}/end", reason="leaves", when="day", day="soon")
    assert bad.all("//span[@class='error']") == ["There is no such day."]
    past = browser.submit(end, f"{path}/end", reason="leaves", when="day", day="2001-01-01")
    assert past.status == 409
    assert "2001-01-01 is past" in past.text
    at_term = browser.submit(end, f"{path}/end", reason="leaves", when="term")
    assert "The membership ends after" in at_term.text
    ended = browser.submit(end, f"{path}/end", reason="leaves at once", when="now")
    assert "ended" in ended.one("//div[@class='head']//span[contains(@class, 'badge')]")
    with closing(Members(config.members_path)) as members:
        rows = Membership(members).audit("PKU")[-4:]
    assert [(row.action, row.reason.rpartition(": ")[2]) for row in rows] == [
        ("suspend", "the bill of 2023 is open"), ("restore", "paid"), ("end", "leaves"),
        ("end", "leaves at once"),
    ]  # fmt: skip
    assert {(row.who, row.account, row.protocol) for row in rows} == {("admin", "admin", "web")}
    assert all(row.address in ("127.0.0.1", "::1") for row in rows)
    audit = browser.get(f"{CONSOLE}/audit?who=admin&member=pku")
    assert audit.all("//tbody/tr/td[3]") == ["ended", "ended", "restored", "suspended"]


def test_two_records_are_merged_once_they_were_looked_at(own: tuple[PlainBrowser, Config]) -> None:
    browser, config = own
    pairs = browser.get(f"{CONSOLE}/duplicates?record=c1")
    assert "紅樓夢" in pairs.text
    compared = browser.get(pairs.tree.xpath("//tbody//a/@href")[0])
    assert compared.all("//tr[@class='differs']/th")[0].startswith("Title")
    form = browser.get(compared.link("Keep c2, merge the other into it"))
    path = f"{CONSOLE}/duplicates/2/1/merge"
    assert browser.submit(form, path).status == 422
    stale = browser.submit(form, path, reason="same", keep_version="9")
    assert stale.status == 409
    assert "changed meanwhile" in stale.one("//p[@role='alert']")
    done = browser.submit(form, path, reason="the same book")
    assert done.one("//p[@role='status']") == "c1 was merged into c2; 1 holdings moved."
    with RecordReader(config.data_dir) as reader:
        assert reader.merges.survivor(1) == 2
    assert browser.get(f"{CONSOLE}/duplicates/1/2").status == 404
    row = browser.get(f"{CONSOLE}/audit?kind=record").all("//tbody/tr[1]/td")
    assert row[2] == "records merged"
    assert row[3:5] == ["cn_cat c1: version 1 → into c2, deleted", "the same book"]
    assert row[5] == "adminweb 127.0.0.1"
    before = browser.get(f"{CONSOLE}/audit?kind=record&to=2020-01-01")
    assert before.one("//p[@class='empty']") == "No change."


def test_a_year_is_drafted_checked_and_made_final(own: tuple[PlainBrowser, Config]) -> None:
    browser, _ = own
    year = f"{CONSOLE}/settlement?year={YEAR}"
    assert "No document yet" in browser.get(year).text

    def carry_out(kind: str) -> str:
        path = f"{CONSOLE}/settlement/{YEAR}/{kind}"
        page = browser.submit(browser.get(path), path)
        for _ in range(600):
            if not page.all("//*[@id='going']"):
                return page.one("//main/p[contains(@class, 'notice')]")
            time.sleep(0.1)
            page = browser.get(page.url)
        raise AssertionError("it does not end")

    assert carry_out("draft") == "Drafts: 2"
    drafted = browser.get(year)
    assert drafted.all("//tbody/tr/td[last()]") == ["199.00", "1.00"]
    assert "cannot be undone" in browser.get(f"{CONSOLE}/settlement/{YEAR}/final").text
    assert carry_out("final") == "Final documents: 2"
    settled = browser.get(year)
    assert settled.all("//tbody/tr/td[1]") == ["final", "final"]
    mine = browser.get(settled.link("PKU"))
    assert mine.all("//h2") == [f"{YEAR}-PKU final", f"D1-{YEAR}-PKU draft"]
    assert mine.all("//tr[@class='total']/td[last()]") == ["199.00", "199.00"]
    note = browser.get(f"{CONSOLE}/settlement/{YEAR}/note")
    assert browser.submit(note, f"{CONSOLE}/settlement/{YEAR}/note").status == 422
    rows = browser.get(f"{CONSOLE}/audit?kind=settlement")
    assert rows.all("//tbody/tr/td[3]") == [
        "settlement made final", "settlement made final", "settlement drafted",
        "settlement drafted",
    ]  # fmt: skip
    assert "draft, net 199.00 yuan → final, net 199.00 yuan" in rows.text

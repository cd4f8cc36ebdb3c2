"""A member's own pages: figures, ledger, statements, accounts; without JavaScript and with it."""

from __future__ import annotations

import csv
import io
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.harness import RunningServer, lianmu, running_demo
from tests.pages.chromium import chromium
from tests.pages.plain_browser import Page, PlainBrowser, active_content, outside_references
from tests.server.http_client import curl
from tests.z3950_client import connected, records

PAGES = (
    "/-/my/overview", "/-/my/ledger", "/-/my/holdings", "/-/my/batch", "/-/my/statements",
    "/-/my/accounts",
)  # fmt: skip


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """Accounts are changed here, so the demo is of these tests alone."""
    with running_demo(tmp_path_factory.mktemp("my")) as running:
        yield running


@pytest.fixture
def browser(server: RunningServer) -> PlainBrowser:
    return PlainBrowser(server)


def signed_in(server: RunningServer, account: str = "demo2") -> PlainBrowser:
    browser = PlainBrowser(server)
    page = browser.sign_in(account, path="/-/my/overview")
    assert page.url.endswith("/-/my/overview"), page.text
    return browser


def download(server: RunningServer, login: str = "demo2/demo2", count: int = 2) -> None:
    with connected(server.z3950, login) as client:
        assert client.search("@attr 1=4 history", "we_cat").result_count >= count
        assert len(records(client.present(1, count))) == count


def until_there(browser: PlainBrowser, path: str, wanted: str) -> Page:
    """The page once it has something: the ledger takes new entries every half second."""
    for _ in range(100):
        page = browser.get(path)
        if page.tree.xpath(wanted):
            return page
        time.sleep(0.1)
    raise AssertionError(page.text)


def cards(page: Page) -> dict[str, str]:
    names, values = (
        page.all("//dl[@class='cards'][1]/div/dt"),
        page.all("//dl[@class='cards'][1]/div/dd[1]"),
    )
    return dict(zip(names, values, strict=True))


# Who gets in


@pytest.mark.parametrize("path", PAGES)
def test_nobody_sees_them_without_signing_in(browser: PlainBrowser, path: str) -> None:
    page = browser.get(path)
    assert page.status == 403
    assert page.tree.xpath("//input[@name='password']")


@pytest.mark.parametrize("path", ["/-/my", "/-/my/"])
def test_a_member_s_pages_begin_with_the_overview(server: RunningServer, path: str) -> None:
    page = signed_in(server).get(path)
    assert (page.status, page.url.endswith("/-/my/overview")) == (200, True)
    assert PlainBrowser(server).get(path).status == 403


@pytest.mark.parametrize("path", PAGES)
def test_an_operator_has_no_pages_of_a_member(server: RunningServer, path: str) -> None:
    browser = PlainBrowser(server)
    browser.sign_in("admin")
    assert browser.get(path).status == 403


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_page_is_whole_by_itself(server: RunningServer, path: str, language: str) -> None:
    browser = signed_in(server)
    page = browser.get(f"{path}?lang={language}")
    assert page.status == 200
    assert outside_references(page) == []
    assert [each for each in active_content(page) if "/-/assets/" not in each
            and "application/json" not in each] == []  # fmt: skip
    assert "'unsafe" not in page.headers["Content-Security-Policy"]
    assert len(page.all("//h1")) == 1
    assert page.tree.get("lang", "").startswith(language)
    assert page.tree.xpath("//nav[@class='sections']//a[@aria-current='page']")


def test_a_right_that_is_missing_shuts_its_pages_alone(server: RunningServer) -> None:
    made = lianmu(
        "member", "account", "add", "DEMO2", "reader", "--rights", "search,download",
        "--password", "reader-reader", "--config", str(server.config),
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    browser = PlainBrowser(server)
    browser.sign_in("reader", "reader-reader")
    overview = browser.get("/-/my/overview")
    assert overview.status == 200
    assert not any("/-/my/ledger" in href for href in overview.tree.xpath("//a/@href"))
    assert browser.get("/-/my/ledger").status == 403
    assert browser.get("/-/my/statements").status == 403
    accounts = browser.get("/-/my/accounts")
    assert accounts.status == 200
    assert "demo2" not in accounts.text
    forged = browser.submit(
        accounts, "/-/my/accounts/own-password", now="wrong-wrong", new="long-enough",
        again="long-enough",
    )  # fmt: skip
    assert forged.status == 400
    token = str(accounts.tree.xpath("//input[@name='token']/@value")[0])
    refused = browser.post("/-/my/accounts/add", token=token, name="intruder", rights="manager")
    assert refused.status == 403


# Figures


def test_a_download_moves_the_figures_and_has_its_line(server: RunningServer) -> None:
    browser = signed_in(server)
    before = cards(browser.get("/-/my/overview"))
    download(server)
    after = cards(browser.get("/-/my/overview"))
    assert int(after["Downloads"]) == int(before["Downloads"]) + 2
    page = until_there(browser, "/-/my/ledger?meter=download", "//tbody/tr")
    entry = browser.get(str(page.tree.xpath("//tbody/tr/th/a/@href")[0]))
    assert entry.status == 200
    assert entry.one("//dt[.='Protocol']/../dd") == "z3950"
    record = browser.get(str(entry.tree.xpath("//dl//a/@href")[0]))
    assert record.status == 200


def test_what_if_says_which_holdings_bring_the_bill_to_nothing(server: RunningServer) -> None:
    browser = signed_in(server, "demo3")
    page = browser.get("/-/my/overview")
    figures = cards(page)
    asked = browser.get("/-/my/overview?more=10")
    quota = int(asked.one("//dl[@aria-live]/div[1]/dd[1]"))
    assert quota == 6 * (int(figures["Holdings uploaded"]) + 10) // 5
    wrong = browser.get("/-/my/overview?more=-1")
    assert wrong.status == 400
    assert wrong.tree.xpath("//input[@id='more'][@aria-invalid='true']")


def test_the_ledger_is_filtered_and_wrong_filters_are_told(server: RunningServer) -> None:
    browser = signed_in(server)
    holdings = browser.get("/-/my/ledger?meter=holding")
    assert set(holdings.all("//tbody/tr/td[3]")) == {"holding"}
    numbers = [int(each) for each in holdings.all("//tbody/tr/th")]
    assert numbers == sorted(numbers, reverse=True)
    older = browser.get(f"/-/my/ledger?meter=holding&before={numbers[3]}")
    assert [int(each) for each in older.all("//tbody/tr/th")] == numbers[4:]
    assert browser.get("/-/my/ledger?to=1999-12-31").all("//tbody/tr") == []
    for query, field in (
        ("from=yesterday", "from"), ("from=2026-02-01&to=2026-01-01", "to"), ("meter=all", "meter"),
    ):  # fmt: skip
        page = browser.get(f"/-/my/ledger?{query}")
        assert page.status == 400
        assert page.tree.xpath(f"//*[@id='{field}'][@aria-invalid='true']")


def test_entries_of_others_are_not_shown(server: RunningServer) -> None:
    download(server, "demo1/demo1")
    mine = until_there(signed_in(server, "demo1"), "/-/my/ledger?meter=download", "//tbody/tr")
    path = str(mine.tree.xpath("//tbody/tr/th/a/@href")[0])
    assert signed_in(server, "demo2").get(path).status == 404


def test_the_ledger_goes_out_as_files(server: RunningServer) -> None:
    browser = signed_in(server)
    page = browser.get("/-/my/ledger?meter=holding")
    sheet = browser.get(page.link("Download as CSV"))
    assert "attachment" in sheet.headers["Content-Disposition"]
    rows = list(csv.DictReader(io.StringIO(sheet.body.decode("utf-8-sig"))))
    lines = browser.get(page.link("Download as JSON Lines"))
    entries = [json.loads(line) for line in lines.body.splitlines()]
    assert [row["id"] for row in rows] == [entry["id"] for entry in entries]
    assert {entry["institution"] for entry in entries} == {"DEMO2"}
    assert {entry["meter"] for entry in entries} == {"holding"}
    assert len(rows) > 20
    assert browser.get("/-/my/ledger/export?format=pdf").status == 400


def test_statements_are_shown_and_downloaded(server: RunningServer) -> None:
    browser = signed_in(server)
    page = browser.get("/-/my/statements")
    assert page.one("//tbody/tr[1]/td[1]") == "estimate"
    statement = browser.get(page.link("Look at it"))
    assert "DEMO2" in statement.text
    policy = statement.headers["Content-Security-Policy"]
    assert re.search(r"style-src 'sha256-[A-Za-z0-9+/]{43}='", policy)
    assert "unsafe" not in policy
    for form, start in (("PDF", b"%PDF"), ("XLSX", b"PK"), ("JSON", b"{")):
        assert browser.get(page.link(form)).body.startswith(start)
    assert browser.get("/-/my/statements/2025.exe").status == 404


# Accounts and keys


def test_a_manager_makes_changes_and_removes_an_account(server: RunningServer) -> None:
    browser = signed_in(server, "demo3")
    page = browser.get("/-/my/accounts")
    made = browser.submit(page, "/-/my/accounts/add", name="new.colleague")
    assert made.status == 200
    password = made.one("//code")
    colleague = PlainBrowser(server)
    colleague.sign_in("new.colleague", password)
    assert colleague.get("/-/my/overview").status == 200
    twice = browser.submit(page, "/-/my/accounts/add", name="new.colleague")
    assert twice.status == 400
    token = str(page.tree.xpath("//input[@name='token']/@value")[0])
    changed = browser.post(
        "/-/my/accounts/rights", token=token, account="new.colleague", rights="manager",
        reason="runs the library now",
    )  # fmt: skip
    assert "What new.colleague may do was changed" in changed.text
    removed = browser.post("/-/my/accounts/remove", token=token, account="new.colleague")
    assert "was removed" in removed.text
    assert colleague.get("/-/my/overview").status == 403
    audit = lianmu("audit", "--member", "DEMO3", "--config", str(server.config))
    assert "by demo3 (web) from 127.0.0.1  runs the library now" in audit.stdout


@pytest.mark.parametrize("action", ["rights", "password", "remove"])
def test_accounts_of_others_cannot_be_touched(server: RunningServer, action: str) -> None:
    browser = signed_in(server, "demo3")
    token = str(browser.get("/-/my/accounts").tree.xpath("//input[@name='token']/@value")[0])
    for name in ("demo1", "admin", "nobody"):
        page = browser.post(f"/-/my/accounts/{action}", token=token, account=name, rights="search")
        assert page.status == 400
        assert "Your library has no such account" in page.text
    with connected(server.z3950, "demo1/demo1"):
        pass


def test_nobody_shuts_the_door_on_themselves(server: RunningServer) -> None:
    browser = signed_in(server, "demo3")
    token = str(browser.get("/-/my/accounts").tree.xpath("//input[@name='token']/@value")[0])
    for action in ("rights", "remove"):
        page = browser.post(
            f"/-/my/accounts/{action}", token=token, account="demo3", rights="search"
        )
        assert page.status == 400
    assert browser.get("/-/my/ledger").status == 200


def test_a_key_is_shown_once_and_revoked(server: RunningServer) -> None:
    browser = signed_in(server, "demo3")
    page = browser.get("/-/my/accounts")
    made = browser.submit(page, "/-/my/accounts/key-add", key="ils", rights="search")
    secret = made.one("//code")
    assert secret not in browser.get("/-/my/accounts").text
    query = "/we_cat?version=1.2&operation=searchRetrieve&query=title=history&recordSchema=brief"
    found = curl(server, query, "-H", f"Authorization: Bearer {secret}")
    assert found.status == 200
    revoked = browser.submit(browser.get("/-/my/accounts"), "/-/my/accounts/key-revoke")
    assert "was revoked" in revoked.text
    assert curl(server, query, "-H", f"Authorization: Bearer {secret}").status == 401


def test_people_change_their_own_password(server: RunningServer) -> None:
    lianmu("member", "account", "add", "DEMO3", "li", "--password", "first-password",
           "--config", str(server.config))  # fmt: skip
    browser, elsewhere = PlainBrowser(server), PlainBrowser(server)
    for each in (browser, elsewhere):
        each.sign_in("li", "first-password")
    page = browser.get("/-/my/accounts")
    for fields in (
        {"now": "first-password", "new": "short", "again": "short"},
        {"now": "first-password", "new": "second-password", "again": "another-password"},
        {"now": "wrong-password", "new": "second-password", "again": "second-password"},
    ):
        assert browser.submit(page, "/-/my/accounts/own-password", **fields).status == 400
    done = browser.submit(
        page, "/-/my/accounts/own-password",
        now="first-password", new="second-password", again="second-password",
    )  # fmt: skip
    assert "Your password was changed" in done.text
    assert browser.get("/-/my/accounts").status == 200
    assert elsewhere.get("/-/my/accounts").status == 403
    with connected(server.z3950, "li/second-password"):
        pass


@pytest.mark.parametrize("action", ["add", "rights", "password", "remove", "key-add", "key-revoke"])
def test_forms_of_other_sites_do_nothing(server: RunningServer, action: str) -> None:
    browser = signed_in(server, "demo3")
    page = browser.post(
        f"/-/my/accounts/{action}", token="forged", account="li", name="x", key="x", rights="search"
    )
    assert page.status == 403


def test_a_reason_is_a_line_of_text_or_none(server: RunningServer) -> None:
    browser = signed_in(server, "demo3")
    page = browser.get("/-/my/accounts")
    token = str(page.tree.xpath("//input[@name='token']/@value")[0])
    browser.submit(page, "/-/my/accounts/add", name="wu", rights="search")
    change = {"account": "wu", "rights": "search"}
    browser.post(
        "/-/my/accounts/rights", token=token, reason="it\x00\r\nmoved" + "x" * 99_999, **change
    )
    upload(browser, page, "/-/my/accounts/rights", "why.bin", b"\xff", field="reason", **change)
    operator = signed_in(server, "admin")
    reasons = operator.get("/-/console/audit?member=DEMO3").all("//table//tr/td[5]")
    assert reasons[:2] == ["by a manager of the library", ("it moved" + "x" * 999)[:1000]]


# Holdings and ISBN jobs


def upload(
    browser: PlainBrowser,
    page: Page,
    action: str,
    name: str,
    data: bytes,
    *,
    field: str = "file",
    **fields: str,
) -> Page:
    """Send a form with a file as browsers do."""
    token = str(page.tree.xpath("//input[@name='token']/@value")[0])
    boundary = "----lianmu-test"
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n'.encode()
        for key, value in {"token": token, **fields}.items()
    ]
    parts.append(
        f'--{boundary}\r\nContent-Disposition: form-data; name="{field}"; filename="{name}"\r\n'
        f"Content-Type: application/octet-stream\r\n\r\n".encode()
        + data
        + b"\r\n"
    )
    body = b"".join(parts) + f"--{boundary}--\r\n".encode()
    return browser.post_body(action, body, f"multipart/form-data; boundary={boundary}")


def settled(browser: PlainBrowser, url: str) -> Page:
    """The page of something under way, when it is that no longer."""
    for _ in range(200):
        page = browser.get(url)
        if not page.tree.xpath("//*[@data-renew-s]"):
            return page
        time.sleep(0.1)
    raise AssertionError(page.text)


NEW = [f"LMW{number:07}" for number in range(60, 70)]


def test_a_file_of_holdings_is_looked_through_and_then_moves_the_quota(
    server: RunningServer,
) -> None:
    browser = signed_in(server, "demo3")
    before = cards(browser.get("/-/my/overview"))
    page = browser.get("/-/my/holdings")
    data = (
        "control_number,call_number\n" + "".join(f"{n},QA{n[-2:]}\n" for n in NEW) + "nowhere,X\n"
    )
    sent = upload(browser, page, "/-/my/holdings/send", "new.csv", data.encode(), mode="put")
    looked = settled(browser, sent.url)
    foreseen = cards(looked)
    assert foreseen["Refused lines"] == "1"
    added = int(foreseen["Added"])
    assert added > 0
    assert "nowhere" in looked.text
    assert cards(browser.get("/-/my/overview")) == before
    done = settled(browser, browser.submit(looked, urlsplit(looked.url).path + "/carry-out").url)
    assert cards(done)["Added"] == str(added)
    after = cards(browser.get("/-/my/overview"))
    assert int(after["Holdings uploaded"]) == int(before["Holdings uploaded"]) + added
    again = browser.submit(looked, urlsplit(looked.url).path + "/carry-out")
    assert "at work on this file or is done with it" in again.text
    assert browser.get(done.link("Report as CSV")).body.count(b"nowhere") == 1
    assert signed_in(server, "demo1").get(done.url).status == 404


def test_what_would_remove_holdings_has_to_be_meant(server: RunningServer) -> None:
    browser = signed_in(server, "demo3")
    page = browser.get("/-/my/holdings")
    data = f"control_number\n{NEW[0]}\n".encode()
    sent = upload(browser, page, "/-/my/holdings/send", "all.csv", data, mode="replace-all")
    looked = settled(browser, sent.url)
    assert int(cards(looked)["Removed"]) > 5
    action = urlsplit(looked.url).path
    refused = browser.submit(looked, f"{action}/carry-out")
    assert "tick that you mean it" in refused.text
    gone = browser.submit(looked, f"{action}/discard")
    assert "The file was discarded" in gone.text
    assert browser.get(action).status == 404


@pytest.mark.parametrize(
    ("name", "data", "fields", "told"),
    [
        ("empty.csv", b"", {}, "Choose a file that is not empty"),
        ("x.csv", b"control_number\n1\n", {"mode": "burn"}, "no such way"),
    ],
)
def test_a_form_that_is_wrong_says_so(
    server: RunningServer, name: str, data: bytes, fields: dict[str, str], told: str
) -> None:
    browser = signed_in(server, "demo3")
    page = browser.get("/-/my/holdings")
    answer = upload(browser, page, "/-/my/holdings/send", name, data, **fields)
    assert answer.status == 400
    assert told in answer.text


@pytest.mark.parametrize("path", ["/-/my/holdings/send", "/-/my/batch/new"])
def test_files_of_other_sites_are_not_taken(server: RunningServer, path: str) -> None:
    browser = signed_in(server, "demo3")
    page = browser.get("/-/sign-in?next=/")
    elsewhere = PlainBrowser(server).get("/-/sign-in")  # a token of another session
    assert page.status == 200
    assert upload(browser, elsewhere, path, "x.csv", b"control_number\n1\n").status == 403
    assert browser.post(path, token="x").status == 403


def test_a_file_that_cannot_be_read_says_why_in_both_languages(server: RunningServer) -> None:
    browser = signed_in(server, "demo3")
    page = browser.get("/-/my/holdings")
    looked = settled(
        browser, upload(browser, page, "/-/my/holdings/send", "x.csv", b"a,b\n1,2\n").url
    )
    assert "no column names the record" in looked.text
    assert "首行须为列名" in looked.text
    page = browser.get("/-/my/batch")
    refused = upload(browser, page, "/-/my/batch/new", "x.png", b"\x89PNG\r\n\x00\xff")
    assert refused.status == 400
    assert "not a text, and not a spreadsheet (xlsx) / 既非文本也非表格" in refused.text


@pytest.mark.parametrize("path", ["/-/my/holdings/send", "/-/my/batch/new"])
def test_what_is_no_form_is_told_so(server: RunningServer, path: str) -> None:
    browser = signed_in(server, "demo3")
    for kind in ("multipart/form-data", "multipart/form-data; boundary=x"):
        answer = browser.post_body(path, b"--x\r\nbroken", kind)
        assert (answer.status, "could not be read" in answer.text) == (400, True)


def test_an_isbn_job_is_made_watched_and_taken(server: RunningServer) -> None:
    browser = signed_in(server, "demo1")
    page = browser.get("/-/my/batch")
    numbers = "978-0-262-03384-8\n0262032937\n9999999999\nnone\n"
    made = upload(browser, page, "/-/my/batch/new", "list.txt", numbers.encode())
    done = settled(browser, made.url)
    figures = cards(done)
    assert figures["Delivered"] == "2"
    assert figures["Charge"] == "3.00"
    records_file = browser.get(str(done.tree.xpath("//a[@class='button']/@href")[0]))
    assert records_file.body.count(b"\x1d") == 2
    assert b"9780262033848" in browser.get(done.link("Report as CSV")).body
    again = upload(browser, page, "/-/my/batch/new", "list.txt", numbers.encode())
    assert again.url == made.url
    assert "This list was given before" in again.text
    typed = upload(browser, page, "/-/my/batch/new", "", b"", numbers="")
    assert typed.status == 400
    assert signed_in(server, "demo2").get(made.url).status == 404
    jobs = browser.get("/-/my/batch")
    assert jobs.one("//tbody/tr[1]/td[2]") == "done"
    audit = lianmu("audit", "--kind", "batch", "--config", str(server.config))
    assert "4 numbers  by demo1 (web) from 127.0.0.1" in audit.stdout


def test_a_list_that_comes_in_pieces_is_read_to_its_end(server: RunningServer) -> None:
    browser = signed_in(server, "demo1")
    page = browser.get("/-/my/batch")
    token = str(page.tree.xpath("//input[@name='token']/@value")[0])
    numbers = "\r\n".join(f"no isbn {number}" for number in range(3_000)) + "\r\n9780262033848"
    whole = (
        "".join(
            f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
            for name, value in (("token", token), ("numbers", numbers))
        ).encode()
        + b"--b--\r\n"
    )

    def pieces() -> Iterator[bytes]:
        for begin in range(0, len(whole), 15_000):
            yield whole[begin : begin + 15_000]
            time.sleep(0.1)

    made = browser.post_body(
        "/-/my/batch/new", pieces(), "multipart/form-data; boundary=b", len(whole)
    )
    figures = cards(settled(browser, made.url))
    assert (figures["Delivered"], figures["no ISBN"]) == ("1", "3,000")


# In a browser


def test_every_page_fits_and_offends_nobody(server: RunningServer) -> None:
    download(server)
    with chromium(server.url) as browser:
        browser.sign_in("demo2", "/-/my/overview")
        browser.check_page(
            "/-/my/overview?more=3",
            ready=lambda: browser.find("#months").get_attribute("data-drawn"),
        )
        for path in PAGES[1:]:
            browser.check_page(path)
        browser.open("/-/my/accounts?lang=zh")
        for path in ("/-/my/overview", "/-/my/ledger", "/-/my/holdings"):
            browser.check_page(path)
        browser.open("/-/my/statements")
        statement = str(browser.find("td a[href$='.html']").get_attribute("href"))
        browser.check_page(urlsplit(statement).path, name="my-statement")


def test_a_person_submits_a_file_and_sees_the_quota_move(
    server: RunningServer, tmp_path: Path
) -> None:
    """The page follows the work by itself, from look to done."""
    file = tmp_path / "馆藏.csv"
    lines = [f"LMC{number:07},I2\n" for number in range(1, 90)]
    file.write_text("控制号,索书号\n" + "".join(lines), "utf-8")
    with chromium(server.url) as browser:
        browser.sign_in("demo3", "/-/my/overview")
        before = browser.find(".cards div:nth-child(3) dd").text
        browser.open("/-/my/holdings")
        browser.find("#file").send_keys(str(file))
        browser.leave_by(browser.find("form[action$='/send'] button"))
        browser.wait_until(lambda: browser.find_all("form[action$='/carry-out']"))
        browser.check_page(urlsplit(browser.driver.current_url).path, name="my-holdings-looked")
        browser.leave_by(browser.find("form[action$='/carry-out'] button"))
        browser.wait_until(lambda: browser.find_all("#run .notice.done"))
        browser.open("/-/my/overview")
        assert browser.find(".cards div:nth-child(3) dd").text != before


def test_a_person_follows_a_job(server: RunningServer) -> None:
    with chromium(server.url) as browser:
        browser.sign_in("demo2", "/-/my/batch")
        browser.find("#numbers").send_keys("9780262033848\n0262031418\nnothing\n")
        browser.leave_by(browser.find("form[action$='/new'] button"))
        browser.wait_until(lambda: browser.find_all("a.button[download]"))
        browser.check_page(urlsplit(browser.driver.current_url).path, name="my-job")

"""Records over the API: downloaded and counted, added, replaced and deleted."""

from __future__ import annotations

import json
import time
from datetime import date, timedelta

import pytest
from lxml import etree

from protocol.iso2709 import Field, build, parse
from protocol.marc_json import to_marc_json
from protocol.marcxml import to_marcxml
from server.config import load_config
from store.accounts import Accounts
from store.members import Members
from tests.api.client import V1, Client
from tests.harness import RunningServer
from tests.server.own_server import marc21

WE_CAT = f"{V1}/databases/we_cat/records"
MARC = {"Content-Type": "application/marc"}


def book(number: str, title: str, *, stamp: str = "") -> bytes:
    """A MARC 21 record that is like no other."""
    fields = [Field("001", number)] if number else []
    if stamp:
        fields.append(Field("005", stamp))
    fields += [
        Field("008", "260101s2026    cc            000 0 eng d"),
        Field.of("100", "1 ", [("a", f"Author of {title}")]),
        Field.of("245", "10", [("a", title)]),
        Field.of("260", "  ", [("b", f"Press {title}"), ("c", "2026")]),
    ]
    return build("00000nam a2200000 a 4500", fields)


def downloads(client: Client) -> int:
    """What is counted for DEMO1 this year, repeats too."""
    year = date.today().year
    told = client.get(f"{V1}/institutions/DEMO1/usage/{year}").ok()
    return int(told["downloads"]) + int(told["repeats"])


def test_a_record_is_given_in_each_form_and_counted_like_any_download(member: Client) -> None:
    before = downloads(member)
    marc = member.get(f"{WE_CAT}/w1")
    assert marc.status == 200
    assert marc.header("Content-Type") == "application/marc"
    assert parse(marc.body).control_number == "w1"
    assert marc.header("ETag") == '"1.marc"'
    assert marc.header("Cache-Control") == "no-store"
    for accept, kind in (
        ("application/marcxml+xml", "application/marcxml+xml"),
        ("text/html, application/xml;q=0.9, */*;q=0.1", "application/marcxml+xml"),
        ("application/json", "application/marc-in-json"),
        ("*/*", "application/marc"),
    ):
        answer = member("GET", f"{WE_CAT}/w1", headers={"Accept": accept})
        assert answer.header("Content-Type").partition(";")[0] == kind
    assert member.get(f"{WE_CAT}/w1", form="marc-json").json["fields"][0] == {"001": "w1"}
    xml = member.get(f"{WE_CAT}/w1", form="marcxml")
    assert etree.fromstring(xml.body).tag.endswith("record")
    assert downloads(member) == before + 7
    # Neither the head of an answer nor what the client has already is a download.
    head = member("HEAD", f"{WE_CAT}/w1")
    assert (head.status, head.header("ETag")) == (200, '"1.marc"')
    same = member("GET", f"{WE_CAT}/w1", headers={"If-None-Match": 'W/"9", "1.marc"'})
    assert (same.status, same.body) == (304, b"")
    refused = member("GET", f"{WE_CAT}/w1", headers={"Accept": "image/png"})
    refused.problem(406, "not-acceptable")
    assert downloads(member) == before + 7
    entry = _last_entry(member)
    assert (entry["control_number"], entry["protocol"], entry["account"]) == (
        "w1", "api", "demo1",
    )  # fmt: skip


def _last_entry(client: Client) -> dict[str, object]:
    """The newest ledger entry of DEMO1, once the folder has it."""
    until_s = time.monotonic() + 10
    while time.monotonic() < until_s:
        found = client.every(f"{V1}/institutions/DEMO1/ledger", control_number="w1")
        if len(found) >= 7:
            last: dict[str, object] = found[-1]
            return last
        time.sleep(0.1)
    raise AssertionError(found)


def test_who_may_not_download_is_told_why(anyone: Client, reader: Client, operator: Client) -> None:
    anyone.get(f"{WE_CAT}/w1").problem(401, "sign-in")
    assert reader.get(f"{WE_CAT}/w1").problem(403, "right")["right"] == "download"
    operator.get(f"{WE_CAT}/w1").problem(403, "right")
    assert anyone.get(f"{V1}/databases").ok()["items"][1]["name"] == "we_cat"


def test_what_is_not_there_is_not_found(member: Client) -> None:
    member.get(f"{WE_CAT}/none").problem(404, "not-found")
    member.get(f"{V1}/databases/none/records/w1").problem(404, "not-found")
    member.get(f"{V1}/databases/all/records/w1").problem(404, "not-found")
    member.get(f"{WE_CAT}/{'9' * 300}").problem(404, "not-found")


def test_a_record_is_uploaded_replaced_and_deleted(
    server: RunningServer, member: Client, other: Client
) -> None:
    made = member("POST", WE_CAT, book("x1", "Curious circumstances"), headers=MARC)
    told = made.ok(201)
    assert (told["change"], told["version"], told["credit"]) == ("created", 1, "none")
    assert "not upload for credit" in told["credit_reason"]
    assert "未获" in told["credit_reason_zh"]
    path, tag = made.header("Location"), made.header("ETag")
    assert path == f"{WE_CAT}/{told['control_number']}"
    stored = member.get(path)
    assert stored.header("ETag") == '"1.marc"'
    assert parse(stored.body).first("035") is not None
    # The same again is the same record.
    again = member("POST", WE_CAT, book("x1", "Curious circumstances"), headers=MARC)
    assert again.ok()["change"] == "unchanged"
    assert again.json["control_number"] == told["control_number"]
    changed = book("", "Curious circumstances, revised")
    member("PUT", path, changed, headers=MARC).problem(428, "version-needed")
    other("PUT", path, changed, headers={**MARC, "If-Match": tag}).problem(403, "not-own")
    replaced = member("PUT", path, changed, headers={**MARC, "If-Match": tag})
    assert (replaced.ok()["change"], replaced.header("ETag")) == ("replaced", '"2"')
    stale = member("PUT", path, book("", "From another"), headers={**MARC, "If-Match": '"1.marc"'})
    problem = stale.problem(412, "stale")
    assert (problem["version"], stale.header("ETag")) == (2, '"2"')
    # The tag of a download in any form names the version, and so does the record's own 005.
    stamp = parse(member.get(path).body).first("005")
    assert stamp is not None
    by_stamp = member("PUT", path, book("", "Third", stamp=stamp.text), headers=MARC)
    assert by_stamp.ok()["version"] == 3
    star = member("PUT", path, book("", "Fourth"), headers={**MARC, "If-Match": "*"})
    assert star.ok()["version"] == 4
    member("DELETE", path, headers={"If-Match": '"3"'}).problem(412, "stale")
    member("DELETE", path, headers={"If-Match": "4"}).problem(400, "parameter")
    assert member("DELETE", path, headers={"If-Match": '"4.marcxml"'}).ok()["change"] == "deleted"
    member.get(path).problem(404, "not-found")
    member("PUT", path, book("", "Fifth"), headers={**MARC, "If-Match": "*"}).problem(
        404, "not-found"
    )
    rows = [
        (row["action"], row["version"], row["account"], row["protocol"], row["address"])
        for row in member.every(f"{V1}/institutions/DEMO1/uploads", limit=2)
        if row["control_number"] == told["control_number"]
    ]
    assert rows == [
        ("insert", 1, "demo1", "api", "127.0.0.1"), ("replace", 2, "demo1", "api", "127.0.0.1"),
        ("replace", 3, "demo1", "api", "127.0.0.1"), ("replace", 4, "demo1", "api", "127.0.0.1"),
        ("delete", 5, "demo1", "api", "127.0.0.1"),
    ]  # fmt: skip


@pytest.mark.parametrize("kind", ["application/marcxml+xml", "text/xml", "application/json"])
def test_each_form_of_a_record_is_read(member: Client, kind: str) -> None:
    marc = book("", f"A work sent as {kind}")
    body = to_marc_json(marc) if "json" in kind else to_marcxml(marc).encode()
    made = member("POST", WE_CAT, body, headers={"Content-Type": kind})
    number = made.ok(201)["control_number"]
    title = parse(member.get(f"{WE_CAT}/{number}").body).first("245")
    assert title is not None
    assert kind in title.text


def test_a_suspected_duplicate_is_refused_with_its_candidates(
    member: Client, other: Client
) -> None:
    number = member("POST", WE_CAT, book("", "Twice the same"), headers=MARC).ok(201)[
        "control_number"
    ]
    problem = other("POST", WE_CAT, book("o1", "Twice the same"), headers=MARC).problem(
        409, "duplicate"
    )
    assert [each["control_number"] for each in problem["candidates"]] == [number]
    assert problem["candidates"][0]["score"] >= 60
    made = other("POST", WE_CAT, book("o1", "Twice the same"), headers=MARC, confirmed="true")
    assert made.ok(201)["control_number"] != number


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", "application/marc"),
        (b"\x00" * 40, "application/marc"),
        (b"<record/>", "application/marcxml+xml"),
        (b"not xml", "application/xml"),
        (b"{}", "application/json"),
        (b"[1, 2", "application/json"),
        (marc21("a", "One") + marc21("b", "Two"), "application/marc"),
    ],
)
def test_what_is_no_record_is_refused_with_its_findings(
    member: Client, body: bytes, kind: str
) -> None:
    problem = member("POST", WE_CAT, body, headers={"Content-Type": kind}).problem(
        422, "invalid-record"
    )
    (finding, *_) = problem["findings"]
    assert finding["severity"] == "error"
    assert finding["message_zh"]


def test_an_upload_for_credit_earns_it_and_lacks_nothing(
    server: RunningServer, operator: Client, member: Client
) -> None:
    members = Members(load_config(server.config).members_path, create=True)
    accounts = Accounts(members)
    accounts.set_uploads("DEMO1", True, 1, who="test", reason="test")
    expires_us = (time.time_ns() // 1000) + 10**12
    accounts.certify("demo1", "western", "full", 1, expires_us=expires_us, who="test")
    accounts.certify("demo1", "chinese", "full", 1, expires_us=expires_us, who="test")
    members.close()
    path = f"{V1}/databases/cn_cat/records"
    incomplete = build(
        "00000nam0 2200000   450 ",
        [
            Field.of("100", "  ", [("a", "20260101d2026    em y0chiy50      ea")]),
            Field.of("101", "0 ", [("a", "chi")]),
            Field.of("200", "1 ", [("a", "计酬之书")]),
        ],
    )
    problem = member("POST", path, incomplete, headers=MARC).problem(422, "invalid-record")
    assert "missing" in {each["severity"] for each in problem["findings"]}
    assert "计酬" in problem["detail_zh"]
    complete = build(
        "00000nam0 2200000   450 ",
        [
            Field.of("010", "  ", [("a", "978-7-301-04815-3"), ("d", "CNY5")]),
            Field.of("100", "  ", [("a", "20260101d2026    em y0chiy50      ea")]),
            Field.of("101", "0 ", [("a", "chi")]),
            Field.of("102", "  ", [("a", "CN"), ("b", "110000")]),
            Field.of("105", "  ", [("a", "a   z   000yy")]),
            Field.of("200", "1 ", [("a", "计酬之书"), ("A", "ji chou zhi shu"), ("f", "王某著")]),
            Field.of("210", "  ", [("a", "北京"), ("c", "某出版社"), ("d", "2026")]),
            Field.of("215", "  ", [("a", "300页"), ("d", "21cm")]),
            Field.of("606", "0 ", [("a", "图书馆目录")]),
            Field.of("690", "  ", [("a", "G254"), ("v", "5")]),
            Field.of("701", " 0", [("a", "王某"), ("A", "wang mou"), ("4", "著")]),
            Field.of("801", " 0", [("a", "CN"), ("b", "DEMO1"), ("c", "20260101")]),
        ],
    )
    told = member("POST", path, complete, headers=MARC).ok(201)
    assert (told["credit"], told["credit_reason"]) == ("accepted", "")
    year = date.today().year
    until_s = time.monotonic() + 10
    while time.monotonic() < until_s:
        usage = member.get(f"{V1}/institutions/DEMO1/usage/{year}").ok()
        if usage["uploads"]:
            break
        time.sleep(0.1)
    assert usage["uploads"] == {"upload.chinese.full": 1}
    assert usage["money"]["credit_fen"] == 400
    assert json.dumps(usage["is_estimate"]) == "true"
    tomorrow = (date.today() + timedelta(days=1)).isoformat()
    assert operator.get(f"{V1}/institutions/DEMO1/ledger", since=f"{tomorrow}T00:00:00+08:00").ok()

"""Holdings over the API: one by one, and in files of each form."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import pytest
import requests

from protocol.iso2709 import Field, build
from protocol.marcxml import to_marcxml
from tests.api.client import V1, Client
from tests.api.conftest import BODY_BYTES_MAX, FILE_BYTES_MAX

HOLDINGS = f"{V1}/institutions/DEMO1/holdings"
ONE = f"{HOLDINGS}/we_cat/w0"


def test_a_holding_is_added_changed_and_removed(
    member: Client, other: Client, reader: Client, operator: Client
) -> None:
    said = {"call_number": "TP311/1", "copies": 2, "location": "Main", "barcodes": ["b1", "b2"]}
    added = member.put(ONE, said)
    told = added.ok(201)
    assert (told["effect"], told["before"]) == ("added", None)
    assert added.header("Location") == ONE
    shown = member.get(ONE).ok()
    assert {name: shown[name] for name in said} == said
    assert (shown["institution"], shown["control_number"]) == ("DEMO1", "w0")
    assert member.put(ONE, said).ok()["effect"] == "unchanged"
    # What is not said stays as it is.
    changed = member.put(ONE, {"location": "Annex"}).ok()
    assert (changed["effect"], changed["before"]["location"]) == ("changed", "Main")
    assert changed["after"]["barcodes"] == ["b1", "b2"]
    assert reader.get(ONE).ok()["location"] == "Annex"
    assert operator.get(ONE).ok()["location"] == "Annex"
    # Only one's own, and only with the right.
    other.get(ONE).problem(403, "right")
    other.put(ONE, said).problem(403, "right")
    assert reader.put(ONE, said).problem(403, "right")["right"] == "holdings"
    operator.put(ONE, said).problem(403, "right")
    member.put(f"{HOLDINGS}/we_cat/none", said).problem(404, "not-found")
    member.put(f"{HOLDINGS}/none/w0", said).problem(404, "not-found")
    member("PUT", ONE, {"copies": 9}, mode="add").problem(409, "conflict")
    absent = f"{HOLDINGS}/we_cat/w4"
    member("PUT", absent, {"copies": 9}, mode="change").problem(409, "conflict")
    member.get(absent).problem(404, "not-found")
    member.put(ONE, {"copies": -1}).problem(422, "invalid")
    member.put(ONE, {"barcodes": ["x" * 65]}).problem(422, "invalid")
    assert member.delete(ONE).ok()["effect"] == "removed"
    assert member.delete(ONE).ok()["effect"] == "unchanged"
    member.get(ONE).problem(404, "not-found")


def marc(number: str, call_number: str) -> bytes:
    """A record with the holding in it."""
    fields = [
        Field("001", number), Field.of("245", "10", [("a", "As sent")]),
        Field.of("852", "  ", [("a", "DEMO1"), ("h", call_number)]),
    ]  # fmt: skip
    return build("00000nam a2200000 a 4500", fields)


FILES: dict[str, bytes] = {
    "text/csv": "控制号,索书号\nw1,A\nw2,B\nw9,C\n".encode("gb18030"),
    "application/json": json.dumps([
        {"control_number": "w1", "call_number": "A"},
        {"control_number": "w2", "call_number": "B"},
        {"control_number": "w9", "call_number": "C"},
    ]).encode(),
    "application/x-ndjson": b"".join(
        json.dumps({"control_number": number, "call_number": each}).encode() + b"\n"
        for number, each in (("w1", "A"), ("w2", "B"), ("w9", "C"))
    ),
    "application/marc": marc("w1", "A") + marc("w2", "B") + marc("w9", "C"),
    "application/marcxml+xml": (
        '<collection xmlns="http://www.loc.gov/MARC21/slim">'
        + "".join(map(to_marcxml, (marc("w1", "A"), marc("w2", "B"), marc("w9", "C"))))
        + "</collection>"
    ).encode(),
}  # fmt: skip


def submit(client: Client, kind: str, body: bytes, **query: object) -> dict[str, Any]:
    answer = client(
        "POST", HOLDINGS, body, headers={"Content-Type": kind}, database="we_cat", **query
    )
    told: dict[str, Any] = answer.ok()
    return told


@pytest.mark.parametrize("kind", FILES)
def test_a_file_of_each_form_is_tried_and_carried_out(member: Client, kind: str) -> None:
    for each in member.every(HOLDINGS):
        member.delete(f"{HOLDINGS}/{each['database']}/{each['control_number']}").ok()
    tried = submit(member, kind, FILES[kind], mode="put", dry_run="true")
    assert (tried["added"], tried["refused"], tried["held_after"]) == (2, 1, 2)
    assert tried["submission"] is None
    assert member.every(HOLDINGS) == []
    done = submit(member, kind, FILES[kind], mode="put")
    assert {**tried, "dry_run": False, "submission": done["submission"]} == done
    (refusal,) = done["refusals"]
    assert (refusal["record"].split()[-1], refusal["reason"]) == ("w9", "unknown")
    again = submit(member, kind, FILES[kind], mode="put")
    assert (again["added"], again["unchanged"], again["submission"]) == (0, 2, None)
    newest = member.get(f"{V1}/institutions/DEMO1/submissions", limit=1).ok()
    assert newest["items"][0]["submission"] == done["submission"]
    listed = member.every(HOLDINGS, limit=1)
    assert [(each["control_number"], each["call_number"]) for each in listed] == [
        ("w1", "A"), ("w2", "B"),
    ]  # fmt: skip
    assert member.every(HOLDINGS, database="cn_cat") == []


def test_replace_all_takes_away_what_is_not_in_the_file(member: Client) -> None:
    csv = "text/csv"
    for each in member.every(HOLDINGS):
        member.delete(f"{HOLDINGS}/{each['database']}/{each['control_number']}").ok()
    submit(member, csv, b"control_number\nw1\nw2\nw3\n", mode="replace-all")
    told = submit(member, csv, b"control_number\nw2\nw4\n", mode="replace-all")
    assert (told["added"], told["removed"], told["held_after"]) == (1, 2, 2)
    told = submit(member, csv, b"control_number\nw2\n", mode="remove")
    assert (told["removed"], told["held_after"]) == (1, 1)
    year = date.today().year
    usage = member.get(f"{V1}/institutions/DEMO1/usage/{year}").ok()
    assert (usage["holdings"], usage["quota"]) == (1, 1)
    empty = member(
        "POST", HOLDINGS, b"control_number\nw99\n", headers={"Content-Type": csv},
        mode="replace-all",
    )  # fmt: skip
    assert "全部替换" in empty.problem(422, "invalid")["detail_zh"]
    member("POST", HOLDINGS, b"nothing here", headers={"Content-Type": csv}, mode="put").problem(
        422, "invalid"
    )
    member("POST", HOLDINGS, b"", headers={"Content-Type": csv}).problem(400, "parameter")
    member("POST", HOLDINGS, b"x", headers={"Content-Type": "text/plain"}, mode="put").problem(
        415, "media-type"
    )
    rows = member.every(f"{V1}/institutions/DEMO1/audit", kind="holdings", limit=3)
    assert {(row["account"], row["protocol"], row["address"]) for row in rows} == {
        ("demo1", "api", "127.0.0.1"),
    }  # fmt: skip
    assert len(rows) >= 5
    sent = member.every(f"{V1}/institutions/DEMO1/submissions", limit=2)[2::-1]
    assert [(each["added"], each["removed"]) for each in sent] == [(3, 0), (1, 2), (0, 1)]
    assert {(each["account"], each["protocol"], each["address"]) for each in sent} == {
        ("demo1", "api", "127.0.0.1"),
    }  # fmt: skip


def test_a_long_file_is_taken_in_portions_and_known_again(member: Client) -> None:
    lines = ["control_number,note", *(f"w{n % 5},{'x' * 300}" for n in range(8_000))]
    body = "\n".join(lines).encode()
    assert BODY_BYTES_MAX * 30 < len(body) < FILE_BYTES_MAX
    headers = {"Content-Type": "text/csv", "Idempotency-Key": "long"}
    first = member("POST", HOLDINGS, body, headers=headers, mode="put")
    assert (first.ok()["lines"], first.json["held_after"]) == (8_000, 5)
    again = member("POST", HOLDINGS, body, headers=headers, mode="put")
    assert again.body == first.body
    assert again.header("Idempotency-Replayed") == "true"
    other = member("POST", HOLDINGS, body + b"\nw1,y", headers=headers, mode="put")
    other.problem(422, "idempotency-key-reused")
    # Without a Content-Length it is as long as it turns out to be.
    endless = iter([b"control_number\n"] + [b"w1\n" * 100_000] * 20)
    answer = requests.post(
        member.url + HOLDINGS, data=endless, params={"mode": "put"}, auth=member.user,
        headers={"Content-Type": "text/csv"}, timeout=60,
    )  # fmt: skip
    assert answer.status_code == 413

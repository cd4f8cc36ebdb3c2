"""Institutions, accounts, certificates and keys over the API."""

from __future__ import annotations

import json
from datetime import date, timedelta
from typing import Any

import pytest

from tests.api.client import V1, Client
from tests.api.conftest import PASSWORD
from tests.harness import RunningServer, lianmu

INSTITUTIONS = f"{V1}/institutions"
DEMO1 = f"{INSTITUTIONS}/DEMO1"


def registered(operator: Client, code: str) -> str:
    """A new institution's path."""
    made = operator.post(INSTITUTIONS, {"code": code, "name": f"Library {code}"})
    assert made.status == 201, made.body
    assert made.header("Location") == f"{INSTITUTIONS}/{code.upper()}"
    return made.header("Location")


def test_a_membership_goes_through_its_whole_life(
    server: RunningServer, operator: Client, anyone: Client
) -> None:
    path = registered(operator, "life")
    assert operator.get(path).ok()["status"] == "registered"
    signed = operator.post(f"{path}/sign", {"from_day": "2026-01-01", "reason": "paper 7"})
    told = signed.ok(201)
    assert told["institution"]["status"] == "signed"
    assert told["agreement"]["from_day"] == "2026-01-01"
    assert told["agreement"]["term_ends_day"] == "2028-12-31"
    fresh = operator.post(f"{path}/activation-token", {"reason": "letter was lost"}).ok()
    assert fresh["activation_token"] != told["activation_token"]
    # The lost one is void; whoever has the new one needs no account.
    activation = {"activation_token": told["activation_token"], "password": PASSWORD}
    anyone.post(f"{path}/activate", activation).problem(403, "closed")
    activation["activation_token"] = fresh["activation_token"]
    active = anyone.post(f"{path}/activate", activation).ok()
    assert (active["account"], active["password"]) == ("life", None)
    assert active["institution"]["status"] == "active"
    life = Client(server.url, ("life", PASSWORD))
    assert life.get(path).ok()["status"] == "active"
    for step, status in (("warn", "warned"), ("suspend", "suspended")):
        told = operator.post(f"{path}/{step}", {"reason": "bill is open"}).ok()
        assert (told["status"], told["reason"]) == (status, "bill is open")
    closed = life.get(path).problem(403, "closed")
    assert "bill is open" in closed["detail"]
    assert "已暂停" in closed["detail_zh"]
    assert operator.post(f"{path}/restore", {"reason": "paid"}).ok()["status"] == "active"
    assert life.get(path).status == 200
    ending = {"reason": "joins another", "at_term": True}
    told = operator.post(f"{path}/end", ending).ok()
    assert (told["status"], told["ends"]) == ("active", "2028-12-31T16:00:00Z")
    told = operator.post(f"{path}/end", {"reason": "joins another"}).ok()
    assert told["status"] == "ended"
    (agreement,) = operator.every(f"{path}/agreements")
    assert agreement["ends"] is not None
    steps = [
        (each["action"], each["who"], each["protocol"], each["address"])
        for each in operator.every(f"{path}/audit")
    ]
    assert [step for step, *_ in steps] == [
        "register", "sign", "token", "activate", "warn", "suspend", "restore", "end", "end",
    ]  # fmt: skip
    assert {(protocol, address) for *_, protocol, address in steps} == {("api", "127.0.0.1")}
    assert {who for step, who, *_ in steps if step != "activate"} == {"admin"}
    # What the API wrote, the command line tells.
    done = lianmu("audit", "--member", "LIFE", "--json", "--config", str(server.config))
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(row["action"], row["reason"]) for row in rows][4:7] == [
        ("warn", "bill is open"), ("suspend", "bill is open"), ("restore", "paid"),
    ]  # fmt: skip


def test_a_step_that_leads_nowhere_is_a_conflict(operator: Client) -> None:
    path = registered(operator, "early")
    told = operator.post(f"{path}/suspend", {"reason": "x"}).problem(409, "conflict")
    assert told["detail"] == "EARLY is registered."
    assert "已登记" in told["detail_zh"]
    operator.post(f"{path}/activation-token", {}).problem(409, "conflict")
    operator.post(INSTITUTIONS, {"code": "EARLY", "name": "again"}).problem(409, "conflict")


@pytest.mark.parametrize(
    "ending",
    [
        {"reason": "x", "last_day": "2001-01-01"},
        {"reason": "x", "last_day": "2030-01-01", "at_term": True},
        {"reason": "  "},
        {"reason": "x", "last_day": "tomorrow"},
        {"reason": "x", "unknown": 1},
        {},
    ],
)
def test_an_end_that_makes_no_sense_is_refused(operator: Client, ending: dict[str, Any]) -> None:
    operator.post(f"{DEMO1}/end", ending).problem(422, "invalid")


def test_institutions_are_listed_in_pages_that_neither_repeat_nor_leave_out(
    operator: Client, member: Client
) -> None:
    for number in range(5):
        registered(operator, f"page{number}")
    everyone = [each["code"] for each in operator.every(INSTITUTIONS)]
    assert everyone == sorted(everyone)
    assert {"DEMO1", "DEMO2", "PAGE0", "PAGE4"} <= set(everyone)
    for limit in (1, 2, 3, 500):
        assert [each["code"] for each in operator.every(INSTITUTIONS, limit=limit)] == everyone
    waiting = operator.every(INSTITUTIONS, status="registered", limit=2)
    assert {each["status"] for each in waiting} == {"registered"}
    assert len(waiting) >= 5
    operator.get(INSTITUTIONS, limit=0).problem(400, "parameter")
    operator.get(INSTITUTIONS, limit=501).problem(400, "parameter")
    operator.get(INSTITUTIONS, cursor="nonsense").problem(400, "parameter")
    operator.get(INSTITUTIONS, unknown="1").problem(400, "parameter")
    operator.get(INSTITUTIONS, status="null").problem(400, "parameter")
    operator.get(f"{INSTITUTIONS}?limit=1&limit=2").problem(400, "parameter")
    # A cursor is good for the list that gave it.
    cursor = operator.get(INSTITUTIONS, limit=1).ok()["next_cursor"]
    operator.get(f"{V1}/audit", cursor=cursor).problem(400, "parameter")
    told = member.get(INSTITUTIONS).problem(403, "right")
    assert "only operators" in told["detail"]


def test_a_manager_looks_after_the_accounts_of_its_own_institution(
    server: RunningServer, member: Client, other: Client, reader: Client
) -> None:
    accounts = f"{DEMO1}/accounts"
    made = member.post(accounts, {"name": "wang", "rights": ["search", "upload"]})
    told = made.ok(201)
    path = made.header("Location")
    assert path == f"{accounts}/wang"
    assert told["account"] == {
        "institution": "DEMO1", "name": "wang", "rights": ["search", "upload"],
    }  # fmt: skip
    wang = Client(server.url, ("wang", told["password"]))
    assert wang.get(f"{V1}/me").ok() == {
        "account": "wang", "institution": "DEMO1", "operator": False, "key": False,
        "rights": ["search", "upload"],
    }  # fmt: skip
    assert "wang" in [each["name"] for each in member.every(accounts, limit=1)]
    changed = member.put(f"{path}/rights", {"rights": ["search"], "reason": "moved"}).ok()
    assert changed["rights"] == ["search"] == member.get(path).ok()["rights"]
    again = member.post(f"{path}/password", {"password": PASSWORD}).ok()
    assert again["password"] is None
    assert wang.get(f"{V1}/me").status == 401
    assert Client(server.url, ("wang", PASSWORD)).get(f"{V1}/me").status == 200
    # Nobody else does.
    told = reader.get(accounts).problem(403, "right")
    assert (told["right"], "manager" in told["detail"]) == ("manager", True)
    other.get(accounts).problem(403, "right")
    other.delete(path, reason="mine now").problem(403, "right")
    assert member.get(f"{INSTITUTIONS}/DEMO2/accounts").status == 403
    member.post(accounts, {"name": "demo2"}).problem(409, "conflict")
    member.get(f"{accounts}/demo2").problem(404, "not-found")
    member.delete(path).problem(400, "parameter")
    assert member.delete(path, reason="has left").ok()["name"] == "wang"
    member.get(path).problem(404, "not-found")
    (last, *_) = reversed(member.every(f"{DEMO1}/audit"))
    assert (last["action"], last["subject"], last["before"], last["reason"]) == (
        "account remove", "wang", "search", "has left",
    )  # fmt: skip


def test_operators_certify_cataloguers(operator: Client, member: Client) -> None:
    path = f"{DEMO1}/accounts/demo1/certificates"
    last_day = (date.today() + timedelta(days=400)).isoformat()
    wanted = {"language": "chinese", "level": "full", "last_day": last_day}
    member.post(path, wanted).problem(403, "right")
    made = operator.post(path, wanted).ok(201)
    assert (made["state"], made["last_day"]) == ("good", last_day)
    assert member.every(path, limit=1)[-1] == made
    operator.post(path, {**wanted, "last_day": "2001-01-01"}).problem(422, "invalid")
    operator.post(path, {**wanted, "language": "klingon"}).problem(422, "invalid")
    one = f"{path}/{made['certificate_id']}"
    assert operator.delete(one, reason="failed review").ok()["state"] == "revoked"
    operator.delete(one, reason="again").problem(409, "conflict")
    operator.delete(f"{path}/999999", reason="x").problem(404, "not-found")
    allowed = operator.put(f"{DEMO1}/credited", {"credited": True, "reason": "agreement"}).ok()
    assert allowed["credited"] is True
    member.put(f"{DEMO1}/credited", {"credited": False, "reason": "x"}).problem(403, "right")


def test_a_key_is_shown_once_and_can_do_no_more_than_its_rights(
    server: RunningServer, member: Client
) -> None:
    keys = f"{DEMO1}/keys"
    made = member.post(keys, {"name": "ils", "rights": ["search", "download"]}).ok(201)
    assert made["key"]["rights"] == ["search", "download"]
    secret = made["secret"]
    program = Client(server.url, key=secret)
    assert program.get(f"{V1}/me").ok()["account"] == "demo1+ils"
    told = program.get(keys).problem(403, "right")
    assert told["right"] == "manager"
    listed = member.every(keys, limit=1)
    assert secret not in json.dumps(listed)
    assert listed[-1]["name"] == "ils"
    member.post(keys, {"name": "ils"}).problem(409, "conflict")
    assert member.delete(f"{keys}/ILS").ok()["revoked"] is not None
    gone = program.get(f"{V1}/me")
    gone.problem(401, "sign-in")
    assert 'error="invalid_token"' in gone.header("WWW-Authenticate")
    member.delete(f"{keys}/ils").problem(404, "not-found")
    actions = [each["action"] for each in member.every(f"{DEMO1}/audit")]
    assert actions[-2:] == ["key add", "key revoke"]


def test_operators_say_what_a_member_may_reach_and_from_where(
    operator: Client, member: Client, other: Client
) -> None:
    access = f"{INSTITUTIONS}/DEMO2/access"
    told = other.get(access).ok()
    assert (told["search"], told["download"], told["addresses_only"]) == (None, None, False)
    grants = {"search": ["cn_cat"], "download": None, "reason": "agreement of 2026"}
    other.put(f"{access}/databases", grants).problem(403, "right")
    told = operator.put(f"{access}/databases", grants).ok()
    assert told["search"] == ["cn_cat"]
    told = other.get(f"{V1}/databases/we_cat/records/w1").problem(403, "right")
    assert "we_cat" in told["detail"]
    assert other.get(f"{V1}/databases/cn_cat/records/c1").status == 200
    operator.put(f"{access}/databases", {**grants, "search": ["none"]}).problem(404, "not-found")
    operator.put(f"{access}/databases", {**grants, "search": None}).ok()
    bound = {"sessions_max": 40, "reason": "two systems", "account": "demo2"}
    assert operator.put(f"{access}/sessions", bound).ok()["sessions_max"] == 40
    assert operator.get(access, account="demo2").ok()["sessions_max"] == 40
    assert operator.get(access).ok()["sessions_max"] is None
    only = {"addresses_only": True, "reason": "their wish"}
    operator.put(f"{access}/addresses-only", only).problem(409, "conflict")
    ranges = f"{access}/ranges"
    added = operator.post(ranges, {"network": "192.0.2.0/24", "account": "demo2"}).ok(201)
    assert added == {"network": "192.0.2.0/24", "account": "demo2"}
    operator.post(ranges, {"network": "192.0.2.7/24"}).problem(422, "invalid")
    operator.post(ranges, {"network": "192.0.2.0/24"}).problem(409, "conflict")
    operator.post(f"{DEMO1}/access/ranges", {"network": "192.0.2.9"}).problem(409, "conflict")
    operator.put(f"{access}/addresses-only", only).ok()
    refused = other.get(access).problem(403, "closed")
    assert refused["detail_zh"] != refused["title_zh"]
    removed = {"network": "192.0.2.0/24", "reason": "given back"}
    operator.delete(ranges, **removed).problem(409, "conflict")
    operator.put(f"{access}/addresses-only", {**only, "addresses_only": False}).ok()
    assert operator.delete(ranges, **removed).ok()["network"] == "192.0.2.0/24"
    operator.delete(ranges, **removed).problem(404, "not-found")
    assert other.get(access).ok()["ranges"] == []
    actions = [row["action"] for row in operator.every(f"{INSTITUTIONS}/DEMO2/audit", limit=4)]
    assert {"databases", "sessions", "addresses", "address add", "address remove"} <= set(actions)

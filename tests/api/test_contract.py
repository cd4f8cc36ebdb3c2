"""The API holds what its document says, whoever asks and whatever is asked.

Schemathesis makes requests out of the document, good ones and bad ones, and compares
each answer with it: no failure of the server, no status or form that the document does
not name, nothing bad accepted and nothing good refused as malformed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from uuid import uuid4

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from openapi_spec_validator import validate
from schemathesis import Case, GenerationMode
from schemathesis.specs.openapi.checks import ignored_auth, positive_data_acceptance

from protocol.marc_json import to_marc_json
from protocol.marcxml import to_marcxml
from server.access_control.permissions import ANYONE, RULES, Who
from server.api.openapi import document
from server.api.routes import AREAS
from server.config import load_config
from store.accounts import Accounts
from store.members import Members
from store.rights import RIGHTS
from tests.api.client import Client
from tests.api.conftest import api_server
from tests.api.test_records import book
from tests.harness import RunningServer

# What a request is about: things that are there, so that it comes further than "not found".
THERE = {
    "code": ("DEMO1", "target", "NONE"),
    "name": ("victim", "ils", "none"),
    "database": ("we_cat", "cn_cat", "none"),
    "number": ("w1", "w2", "c1", "none"),
    "certificate": (1, 2, 999),
    "year": (2024, 2026),
    "job": ("20260101-0123456789abcdef",),
}
ROLES = {
    "anonymous": None,
    "member": ("contract", "contract"),
    "operator": ("admin", "admin"),
}
PICTURES = ("image/jpeg", "image/png", "image/webp")
SPREADSHEETS = (
    "application/vnd.ms-excel",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
)
EXAMPLES = 1
EXAMPLES_LONG = 20

DOCUMENT = document(AREAS)
Choices = Callable[[str], object]


def _media_types() -> None:
    """How records are made for the media types that no schema describes."""
    titles = st.text(st.characters(categories=("L", "N"), max_codepoint=0x9FFF), min_size=3)
    records = titles.map(lambda title: book("", title))
    octets = st.binary(max_size=200)
    schemathesis.openapi.media_type("application/marc", records | octets)
    xml = records.map(lambda marc: to_marcxml(marc).encode())
    for name in ("application/marcxml+xml", "application/xml", "text/xml"):
        schemathesis.openapi.media_type(name, xml | octets)
    schemathesis.openapi.media_type("application/marc-in-json", records.map(to_marc_json) | octets)
    lines = st.lists(st.sampled_from(("w1", "w2", "none", "9787301048153")), max_size=3)
    table = lines.map(lambda each: "\n".join(("control_number", *each)).encode())
    for name in ("text/csv", "application/csv", "text/tab-separated-values", "text/plain"):
        schemathesis.openapi.media_type(name, table | octets)
    objects = lines.map(
        lambda each: b"".join(b'{"control_number": "%s"}\n' % n.encode() for n in each)
    )
    schemathesis.openapi.media_type("application/x-ndjson", objects | octets)
    for name in (*PICTURES, *SPREADSHEETS):
        schemathesis.openapi.media_type(name, octets)


_media_types()
SCHEMA = schemathesis.openapi.from_dict(DOCUMENT)
SCHEMA.config.generation.update(
    modes=[GenerationMode.POSITIVE, GenerationMode.NEGATIVE], deterministic=True
)


def _open_to(kind: Who) -> list[str]:
    """The operations that are for these, and for nobody who asks with less."""
    less = {
        Who.ANONYMOUS: [],
        Who.MEMBER: [Who.ANONYMOUS],
        Who.OPERATOR: [Who.ANONYMOUS, Who.MEMBER],
    }
    return [
        each.id
        for area in AREAS
        for each in area.operations
        if kind in (who := RULES[each.needs].who if each.needs else ANYONE)
        and not any(one in who for one in less[kind])
    ]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    limits = (
        "[http.limits]\nrequests_per_minute = 0\nrequests_at_once = 0\n"
        "anonymous_requests_per_minute = 0\nanonymous_requests_at_once = 0\n"
    )
    access = "\n".join(
        f"login_failures{of}_max = 1000000" for of in ("", "_of_address", "_of_account")
    )
    folder = tmp_path_factory.mktemp("contract")
    with api_server(folder, limits, access=access) as running:
        _populate(load_config(running.config).members_path)
        yield running


def _populate(path: Path) -> None:
    members = Members(path, create=True)
    accounts = Accounts(members)
    members.add_member("TARGET", "Library to be worked on", "target", 1)
    accounts.add("DEMO1", "contract", "contract", 1, rights=RIGHTS, who="test")
    for code, name in (("DEMO1", "victim"), ("TARGET", "victim2")):
        accounts.add(code, name, "victim", 1, rights=RIGHTS, who="test")
        accounts.certify(name, "western", "full", 1, expires_us=2**52, who="test")
        members.add_key(code, "ils", 1)
    members.close()


def _ask(case: Case, server: RunningServer, role: str, choices: Choices, *, auth: bool) -> None:
    """Send one request of what the document allows or forbids, and compare the answer."""
    excluded = [] if auth else [ignored_auth]
    assert case.meta is not None
    if case.meta.generation.mode.is_positive:
        for name in set(case.path_parameters or ()) & set(THERE):
            case.path_parameters[name] = choices(name)
        # What no schema can say: which cursors there are, that a key is for one request
        # alone, that a day is not past, what is a network.
        if "Idempotency-Key" in case.headers:
            case.headers["Idempotency-Key"] = str(uuid4())
        (case.query or {}).pop("cursor", None)
        for part in (case.body, case.query):
            if isinstance(part, dict) and "network" in part:
                part["network"] = "192.0.2.0/24"
        if isinstance(case.body, dict):
            # To JSON Schema 1.0 is an integer; we want it written as one.
            for name, value in case.body.items():
                if isinstance(value, float) and value.is_integer():
                    case.body[name] = int(value)
        if isinstance(case.body, dict) and "last_day" in case.body:
            case.body["last_day"] = "2100-01-01"
            case.body.pop("at_term", None)
        in_file = ("records", "batch", "holdings")
        if case.media_type not in (None, "application/json") or any(
            each in case.operation.path for each in in_file
        ):
            excluded.append(positive_data_acceptance)
    case.call_and_validate(
        base_url=server.url, auth=ROLES[role], timeout=30, excluded_checks=excluded
    )


def _first(name: str) -> object:
    return THERE[name][0]


BRIEFLY = settings(
    max_examples=EXAMPLES, deadline=None, derandomize=True, database=None,
    phases=[Phase.generate], suppress_health_check=list(HealthCheck),
)  # fmt: skip


@SCHEMA.include(operation_id=_open_to(Who.ANONYMOUS)).parametrize()
@BRIEFLY
def test_what_anyone_may_ask_keeps_to_the_document(case: Case, server: RunningServer) -> None:
    _ask(case, server, "anonymous", _first, auth=False)


@SCHEMA.include(operation_id=_open_to(Who.MEMBER)).parametrize()
@BRIEFLY
def test_what_members_may_ask_keeps_to_the_document(case: Case, server: RunningServer) -> None:
    _ask(case, server, "member", _first, auth=False)


@SCHEMA.include(operation_id=_open_to(Who.OPERATOR)).parametrize()
@BRIEFLY
def test_what_operators_may_ask_keeps_to_the_document(case: Case, server: RunningServer) -> None:
    _ask(case, server, "operator", _first, auth=False)


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("role", ROLES)
@SCHEMA.parametrize()
@settings(
    max_examples=EXAMPLES_LONG, deadline=None, database=None,
    phases=[Phase.explicit, Phase.generate], suppress_health_check=list(HealthCheck),
)  # fmt: skip
def test_every_operation_keeps_to_the_document_at_length(
    case: Case, server: RunningServer, role: str
) -> None:
    chosen = Random(repr(case.body))
    _ask(case, server, role, lambda name: chosen.choice(THERE[name]), auth=True)


def test_the_document_is_good_openapi() -> None:
    validate(DOCUMENT)
    assert DOCUMENT["openapi"] == "3.1.0"
    ids = [each["operationId"] for path in DOCUMENT["paths"].values() for each in path.values()]
    assert len(ids) == len(set(ids))
    for path in DOCUMENT["paths"].values():
        for each in path.values():
            assert each["summary"]
            assert "429" in each["responses"]


def test_the_server_shows_the_document_to_anyone(server: RunningServer) -> None:
    answer = Client(server.url).get("/api/openapi.json")
    assert answer.ok() == DOCUMENT
    tag = answer.header("ETag")
    same = Client(server.url)("GET", "/api/openapi.json", headers={"If-None-Match": tag})
    assert same.status == 304

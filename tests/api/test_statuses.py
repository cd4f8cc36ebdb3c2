"""Every status that the document names is one that an operation really answers with.

What follows from a declaration (credentials, rights, parameters, types of bodies) is
tried on each operation; the rest in one walk through all of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from protocol.iso2709 import parse
from server.api.operation import Operation
from server.api.routes import AREAS
from server.config import load_config
from server.http.guard import FILES_OF_HOLDINGS
from server.selfservice import holdings_pages
from store.members import Members
from store.membership import Membership
from tests.api.client import V1, Answer, Client
from tests.api.conftest import BODY_BYTES_MAX, FILE_BYTES_MAX, PASSWORD, api_server
from tests.api.test_records import book
from tests.covers.pictures import picture
from tests.harness import RunningServer

OPERATIONS = {each.id: each for area in AREAS for each in area.operations}
# Tried on each operation by the tests below; 409 and 422 of a key by those of keys.
BY_DECLARATION = {400, 401, 403, 404, 413, 415, 422, 429}
THERE = {
    "code": "DEMO1", "name": "victim", "database": "we_cat", "number": "w1", "certificate": "1",
    "year": "2024", "job": "20260101-0123456789abcdef",
}  # fmt: skip
MARC = {"Content-Type": "application/marc"}
CSV = {"Content-Type": "text/csv"}
JPEG = {"Content-Type": "image/jpeg"}
TEXT = {"Content-Type": "text/plain"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with api_server(tmp_path_factory.mktemp("statuses")) as running:
        members = Members(load_config(running.config).members_path, create=True)
        members.add_member("CLOSED", "Suspended library", "closed", 1)
        Membership(members).suspend("CLOSED", 2, who="test", reason="test")
        members.close()
        yield running


def path_of(operation: Operation, **given: str) -> str:
    return re.sub(r"{(\w+)}", lambda name: {**THERE, **given}[name[1]], operation.path)


def ask(client: Client, operation: Operation, path: str, **query: object) -> Answer:
    """As little as the operation can be asked with."""
    headers = {"Content-Type": operation.reads[0]} if operation.body_type else {}
    return client(
        operation.method, path, b"{}" if operation.body_type else None, headers=headers, **query
    )


def those(status: int) -> list[str]:
    return [name for name, each in OPERATIONS.items() if status in each.refusals]


@pytest.mark.parametrize("name", those(401))
def test_credentials_that_are_no_good_are_refused(server: RunningServer, name: str) -> None:
    operation = OPERATIONS[name]
    answer = ask(Client(server.url, key="lianmu_nobody"), operation, path_of(operation))
    answer.problem(401, "sign-in")


@pytest.mark.parametrize("name", those(403))
def test_who_may_not_is_told_so(server: RunningServer, name: str) -> None:
    operation = OPERATIONS[name]
    if operation.needs is None:
        body = {"activation_token": "lianmu_join_no"}
        Client(server.url).post(path_of(operation), body).problem(403, "closed")
        return
    closed = Client(server.url, ("closed", "closed"))
    ask(closed, operation, path_of(operation)).problem(403, "closed")


@pytest.mark.parametrize("name", those(400))
def test_a_parameter_that_is_unknown_is_refused(server: RunningServer, name: str) -> None:
    operation = OPERATIONS[name]
    path = path_of(operation)
    for user in ("demo1", "admin"):
        answer = ask(Client(server.url, (user, user)), operation, path, nonsense="1")
        if answer.status == 400:
            return
    raise AssertionError((answer.status, answer.body))


@pytest.mark.parametrize("name", those(415))
def test_a_body_of_another_type_is_refused(server: RunningServer, name: str) -> None:
    operation = OPERATIONS[name]
    headers = {"Content-Type": "text/x-nonsense"}
    query = {"mode": "put"} if name == "submitHoldings" else {}
    for user in ("demo1", "admin"):
        client = Client(server.url, (user, user))
        answer = client(operation.method, path_of(operation), b"x", headers=headers, **query)
        if answer.status != 403:
            break
    answer.problem(415, "media-type")
    assert answer.header("Accept")


@pytest.mark.parametrize("name", those(413))
def test_a_body_that_is_too_large_is_refused(server: RunningServer, name: str) -> None:
    operation = OPERATIONS[name]
    client = Client(server.url, ("demo1", "demo1"))
    body = b" " * ((FILE_BYTES_MAX if operation.is_file else BODY_BYTES_MAX) + 1)
    answer = client(
        operation.method, path_of(operation), body, headers={"Content-Type": operation.reads[0]}
    )
    answer.problem(413, "too-large")


def test_long_bodies_are_let_through_to_who_takes_them_in_portions() -> None:
    taken = {(each.method, each.path) for each in OPERATIONS.values() if each.is_file}
    assert taken | {("POST", f"{holdings_pages.PATH}/send")} == FILES_OF_HOLDINGS


@pytest.mark.parametrize("name", those(404))
def test_what_is_not_there_is_not_found(server: RunningServer, name: str) -> None:
    operation = OPERATIONS[name]
    query = {"mode": "put", "database": "none"} if name == "submitHoldings" else {}
    given = {"database": "none"} if "{database}" in operation.path else {"code": "no~code"}
    if name == "submitHoldings":
        given = {}
    path = path_of(operation, **given)
    for user in ("demo1", "admin"):
        answer = ask(Client(server.url, (user, user)), operation, path, **query)
        if answer.status not in (403, 400):
            break
    answer.problem(404, "not-found")


@pytest.mark.parametrize("name", those(422))
def test_content_that_is_not_valid_is_refused(server: RunningServer, name: str) -> None:
    operation = OPERATIONS[name]
    headers = {"Content-Type": "application/json", "If-Match": "*"}
    query = {"mode": "put"} if name == "submitHoldings" else {}
    body: bytes | None = b'{"nonsense": 1}'
    if "image/jpeg" in operation.reads:
        headers["Content-Type"] = "image/jpeg"
    if name == "submitHoldings":
        headers["Content-Type"] = "text/csv"
    if name == "removeRange":
        wrong = {"network": "nothing", "reason": "test"}
        operator = Client(server.url, ("admin", "admin"))
        operator.delete(path_of(operation), **wrong).problem(422, "invalid")
        return
    if name.startswith("makeJobFormerly") or operation.body_type is None:
        # Only a key that stands for another request is 422 here.
        for number, user in enumerate(("demo1", "admin")):
            client = Client(server.url, (user, user))
            body = {"name": f"key-{name.lower()[:20]}"}  # type: ignore[assignment]
            made = client.post(f"{V1}/institutions/DEMO1/keys", body, Idempotency_Key=f"{name}")
            assert made.status in (201, 409), number
        client = Client(server.url, ("demo1", "demo1"))
        kept = {**(TEXT if operation.body_type else {}), "Idempotency-Key": name}
        other = client(
            "POST", path_of(operation), b"1" if operation.body_type else None, headers=kept
        )
        other.problem(422, "idempotency-key-reused")
        return
    for user in ("demo1", "admin"):
        client = Client(server.url, (user, user))
        answer = client(operation.method, path_of(operation), body, headers=headers, **query)
        if answer.status != 403:
            break
    assert answer.status == 422, answer.body


def test_who_asks_too_much_is_told_when_to_come_again(tmp_path: Path) -> None:
    limits = "[http.limits]\nanonymous_requests_per_minute = 1\n"
    with api_server(tmp_path, limits) as server:
        anyone = Client(server.url)
        anyone.get(f"{V1}/databases").ok()
        for operation in OPERATIONS.values():
            answer = ask(anyone, operation, path_of(operation))
            answer.problem(429, "too-many")
            assert int(answer.header("Retry-After")) > 0


@pytest.mark.parametrize(
    ("method", "path", "status", "name"),
    [
        ("GET", "/api/none", 404, "not-found"),
        ("GET", f"{V1}/none", 404, "not-found"),
        ("PATCH", f"{V1}/institutions", 405, "method"),
        ("DELETE", "/api/batch", 405, "method"),
        ("GET", f"{V1}/%ff", 400, "malformed"),
    ],
)  # fmt: skip
def test_what_no_operation_answers_is_a_problem_too(
    server: RunningServer, method: str, path: str, status: int, name: str
) -> None:
    for accept in ("application/json", "text/html"):
        answer = Client(server.url)(method, path, headers={"Accept": accept})
        answer.problem(status, name)


def test_every_other_status_of_the_document_occurs(server: RunningServer) -> None:
    walk = Walk(server)
    walk.members()
    walk.records()
    walk.holdings()
    walk.figures()
    walk.jobs()
    told = {
        (each.id, status)
        for each in OPERATIONS.values()
        for status in (*each.answers, *each.refusals)
        if status not in BY_DECLARATION
    }
    # 409 of a POST beside its own is that of a key that is in use, which is tried apart.
    by_key = {(each.id, 409) for each in OPERATIONS.values() if each.is_idempotent}
    assert told - walk.seen - by_key == set()
    assert (
        walk.seen
        - told
        - {(each, 404) for each in OPERATIONS}
        - {(each, 403) for each in OPERATIONS}
        == set()
    )


class Walk:
    """Every operation, as far as it goes."""

    def __init__(self, server: RunningServer) -> None:
        self._url = server.url
        self.seen: set[tuple[str, int]] = set()

    def __call__(
        self, user: str, name: str, body: object = None, /,
        headers: dict[str, str] | None = None, query: dict[str, object] | None = None,
        **given: str,
    ) -> Any:  # fmt: skip
        operation = OPERATIONS[name]
        client = Client(self._url, (user, user) if user else None)
        path = path_of(operation, **given)
        answer = client(operation.method, path, body, headers=headers, **(query or {}))
        self.seen.add((name, answer.status))
        return answer

    def members(self) -> None:
        new = {"code": "WALK", "name": "Walk"}
        because = {"reason": "test"}
        assert self("admin", "registerInstitution", new).status == 201
        assert self("admin", "registerInstitution", new).status == 409
        signed = self("admin", "signAgreement", {}, code="WALK").ok(201)
        token = self("admin", "makeActivationToken", {}, code="WALK").ok()["activation_token"]
        assert token != signed["activation_token"]
        activation = {"activation_token": token, "password": PASSWORD}
        self("", "activateInstitution", activation, code="WALK").ok()
        for step in ("warn", "suspend", "restore", "end"):
            self("admin", f"{step}Institution", because, code="WALK").ok()
        for name in ("listInstitutions", "listAllChanges", "showInstitution", "listAgreements"):
            self("admin", name).ok()
        credited = {"credited": False, "reason": "test"}
        self("admin", "setCredited", credited).ok()
        self("admin", "showAccess").ok()
        grants = {"search": None, "download": None, "reason": "test"}
        self("admin", "grantDatabases", grants).ok()
        self("admin", "boundSessions", {"sessions_max": None, "reason": "test"}).ok()
        only = {"addresses_only": True, "reason": "test"}
        assert self("admin", "restrictAddresses", only).status == 409
        self("admin", "addRange", {"network": "192.0.2.0/24"}).ok(201)
        self("admin", "restrictAddresses", only).ok()
        network: dict[str, object] = {"network": "192.0.2.0/24", "reason": "test"}
        assert self("admin", "removeRange", query=network).status == 409
        self("admin", "restrictAddresses", {**only, "addresses_only": False}).ok()
        self("admin", "removeRange", query=network).ok()
        self("demo1", "addAccount", {"name": "victim"}).ok(201)
        for name in ("listAccounts", "showAccount", "listCertificates"):
            self("demo1", name).ok()
        self("demo1", "setAccountRights", {"rights": ["search"], "reason": "test"}).ok()
        self("demo1", "setAccountPassword", {}).ok()
        wanted = {"language": "chinese", "level": "full", "last_day": "2100-01-01"}
        made = self("admin", "issueCertificate", wanted).ok(201)
        certificate = str(made["certificate_id"])
        reason: dict[str, object] = {"reason": "test"}
        self("admin", "revokeCertificate", query=reason, certificate=certificate).ok()
        assert self(
            "admin", "revokeCertificate", query=reason, certificate=certificate
        ).status == 409  # fmt: skip
        self("demo1", "removeAccount", query=reason).ok()
        self("demo1", "makeKey", {"name": "walk"}).ok(201)
        self("demo1", "listKeys").ok()
        self("demo1", "revokeKey", name="walk").ok()
        self("reader", "showCaller").ok()
        self("", "listDatabases").ok()

    def records(self) -> None:
        made = self("demo1", "createRecord", book("k", "Walked about"), MARC).ok(201)
        number = made["control_number"]
        assert self("demo1", "createRecord", book("k", "Walked about"), MARC).status == 200
        got = self("demo1", "downloadRecord", number=number)
        assert parse(got.body).control_number == number
        known = {"If-None-Match": got.header("ETag")}
        assert self("demo1", "downloadRecord", headers=known, number=number).status == 304
        picture_only = {"Accept": "image/png"}
        assert self("demo1", "downloadRecord", headers=picture_only, number=number).status == 406
        again = book("", "Walked about again")
        assert self("demo1", "replaceRecord", again, MARC, number=number).status == 428
        for tag, status in (('"9"', 412), ('"1"', 200)):
            headers = {**MARC, "If-Match": tag}
            assert self("demo1", "replaceRecord", again, headers, number=number).status == status
        assert self("demo1", "showCover", number=number).status == 404
        assert self("demo1", "putCover", picture(), JPEG, number=number).status == 201
        assert self("demo1", "putCover", picture(), JPEG, number=number).status == 200
        cover = self("demo1", "showCover", number=number)
        known = {"If-None-Match": cover.header("ETag")}
        assert (cover.status, self("demo1", "showCover", headers=known, number=number).status) == (
            200, 304,
        )  # fmt: skip
        self("demo1", "removeCover", number=number).ok()
        self("demo2", "putHolding", {}, database="we_cat", number=number, code="DEMO2").ok(201)
        assert self("demo1", "deleteRecord", number=number).status == 409
        self("demo2", "removeHolding", database="we_cat", number=number, code="DEMO2").ok()
        stale = {"If-Match": '"1"'}
        assert self("demo1", "deleteRecord", headers=stale, number=number).status == 412
        self("demo1", "deleteRecord", number=number).ok()
        self("demo1", "listUploads").ok()
        # A number that two agencies gave names neither of their records.
        for name, body, headers in (
            ("downloadRecord", None, {}), ("replaceRecord", again, MARC),
            ("deleteRecord", None, {}), ("showCover", None, {}),
            ("putCover", picture(), JPEG), ("removeCover", None, {}),
            ("showHolding", None, {}), ("putHolding", {}, {}), ("removeHolding", None, {}),
        ):  # fmt: skip
            assert self("demo1", name, body, headers=headers, number="twin").status == 409

    def holdings(self) -> None:
        assert self("demo1", "putHolding", {"copies": 1}).status == 201
        assert self("demo1", "putHolding", {"copies": 2}).status == 200
        query: dict[str, object] = {"mode": "add"}
        assert self("demo1", "putHolding", {"copies": 3}, query=query).status == 409
        for name in ("showHolding", "listHoldings", "listSubmissions", "removeHolding"):
            self("demo1", name).ok()
        self("demo1", "submitHoldings", b"control_number\nw1\n", CSV, {"mode": "put"}).ok()

    def figures(self) -> None:
        names = ("showUsage", "listLedger", "listSettlements", "downloadStatement", "listChanges")
        for name in names:
            self("demo1", name).ok()

    def jobs(self) -> None:
        for number, suffix in enumerate(("", "Formerly")):
            body = f"978730104815{number}\n".encode()
            made = self("demo1", f"makeJob{suffix}", body, TEXT)
            job = made.ok(202)["job"]
            assert self("demo1", f"makeJob{suffix}", body, TEXT).status == 200
            self("demo1", "listAllJobs" if suffix else "listJobs").ok()
            self("demo1", f"showJob{suffix}", job=job).ok()
            self("demo1", f"downloadReport{suffix}", job=job).ok()
            self.one_job(suffix, job)

    def one_job(self, suffix: str, job: str) -> None:
        """Its file before and after it is done; and another one that is cancelled in time."""
        client = Client(self._url, ("demo1", "demo1"))
        path = path_of(OPERATIONS[f"showJob{suffix}"], job=job)
        while client.get(path).ok()["phase"] != "done":
            pass
        assert self("demo1", f"downloadResult{suffix}", job=job).status == 200
        assert self("demo1", f"cancelJob{suffix}", job=job).status == 409
        many = "\n".join(f"{9787000000000 + n}" for n in range(4_000)).encode() + suffix.encode()
        made = self("demo1", f"makeJob{suffix}", many, TEXT).ok(202)
        assert self("demo1", f"downloadResult{suffix}", job=made["job"]).status == 409
        assert self("demo1", f"cancelJob{suffix}", job=made["job"]).status == 202

"""Every role and every operation, over both protocols and HTTP: as the table of permissions says.

`ROWS` is the table of how an operation is asked for. A row names the operations that
it takes, in the order in which the server looks; what the first that is refused is
answered with is what must come back. A new way to ask is a new row.
"""

from __future__ import annotations

import itertools
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import pytest

from protocol import apdu
from protocol.sru_update import UpdateDiagnostic
from protocol.task_package import UpdateAction, VersionNumber
from server.access_control.permissions import (
    Operation,
    Refusal,
    Why,
    http_status,
    refusal,
    to_bib1,
    to_sru,
)
from server.access_control.principal import ANONYMOUS, Principal
from server.api.routes import AREAS
from server.config import load_config
from store.members import Members
from store.rights import MEMBER_RIGHTS, OPERATOR_RIGHTS, RIGHTS
from tests.harness import RunningServer
from tests.server.own_server import marc21, own_server
from tests.server.sru_client import Answer, send, soap
from tests.server.test_sru_update import book, element, version
from tests.server.test_z3950_update import book as cn_book
from tests.server.test_z3950_update import inserted, supplied, update
from tests.z3950_client import Client, connected, search_request

# Who asks: what it signs in with, and who it then is. All but the last are of PKU.
ROLES: Mapping[str, Principal] = {
    "anonymous": ANONYMOUS,
    **{right: Principal(f"only-{right}", "PKU", rights=(right,)) for right in RIGHTS},
    "member": Principal("pku", "PKU", rights=MEMBER_RIGHTS),
    "all rights": Principal("everything", "PKU", rights=RIGHTS),
    "another member": Principal("thu", "THU", rights=RIGHTS),
    "operator": Principal("root", operator=True, rights=OPERATOR_RIGHTS),
    "key to search": Principal("pku+look", "PKU", rights=("search",)),
    "key to all": Principal("pku+all", "PKU", rights=RIGHTS),
}
PROTOCOLS = ("z3950", "sru", "http")


@dataclass
class Caller:
    """One role with a server to ask; `secrets` are those of keys, by account."""

    server: RunningServer
    principal: Principal
    secrets: Mapping[str, str]
    z3950: Client | None = None

    @property
    def login(self) -> str | None:
        return None if not self._has_password else f"{self.principal.account}:pw"

    @property
    def headers(self) -> dict[str, str]:
        secret = self.secrets.get(self.principal.account)
        return {"Authorization": f"Bearer {secret}"} if secret else {}

    @property
    def _has_password(self) -> bool:
        return not self.principal.anonymous and not self.principal.is_key

    @property
    def client(self) -> Client:
        assert self.z3950 is not None
        return self.z3950

    def http(self, path: str, body: bytes | None = None, **headers: str) -> Answer:
        return send(self.server, path, body, login=self.login, **self.headers, **headers)


_serial = itertools.count(1)


def mine(caller: Caller) -> str:
    """The control number of a new record that PKU has brought into cn_cat."""
    number = next(_serial)
    with connected(caller.server.z3950, "everything/pw") as client:
        return inserted(client, cn_book(f"m{number}", f"甲乙{number}号书目{number * 7919}"))


# Z39.50: the condition of the diagnostic; 0 when it was done


def of(diagnostics: object) -> int:
    if isinstance(diagnostics, apdu.DefaultDiagFormat):
        return int(diagnostics.condition)
    if isinstance(diagnostics, tuple) and diagnostics:
        (first, *_) = diagnostics
        if isinstance(first, apdu.DefaultDiagFormat):
            return int(first.condition)
    return 0


def z_search(caller: Caller) -> int:
    return of(caller.client.search("@attr 1=4 volume", "we_cat").records)


def z_scan(caller: Caller) -> int:
    asked = search_request("@attr 1=4 volume").query
    assert isinstance(asked, apdu.RpnQuery)
    request = apdu.ScanRequest(
        database_names=("we_cat",), attribute_set=asked.attribute_set,
        term_list_and_start_point=asked.rpn, number_of_terms_requested=3,
        preferred_position_in_response=1,
    )  # fmt: skip
    answer = caller.client.ask(request, apdu.ScanResponse)
    return of(answer.entries.nonsurrogate_diagnostics if answer.entries else ())


def presented(caller: Caller, element_set: str) -> int:
    failed = z_search(caller)
    return failed or of(caller.client.present(1, 1, record_composition=element_set).records)


def z_update(caller: Caller, action: UpdateAction, number: str, record: bytes) -> int:
    fields = {"record_id": number.encode(), "supplemental_id": VersionNumber("1")} if number else {}
    response, _, _ = update(caller.client, action, supplied(record, **fields))
    return of(response.diagnostics)


def z_insert(caller: Caller) -> int:
    number = next(_serial)
    record = cn_book(f"z{number}", f"丙丁{number}号书目{number * 7919}")
    return z_update(caller, UpdateAction.RECORD_INSERT, "", record)


def z_replace(caller: Caller) -> int:
    number = mine(caller)
    title = f"戊己{next(_serial)}号书目{number}"
    return z_update(caller, UpdateAction.RECORD_REPLACE, number, cn_book(number, title))


def z_delete(caller: Caller) -> int:
    number = mine(caller)
    return z_update(caller, UpdateAction.RECORD_DELETE, number, cn_book(number, "x"))


def z_quota(caller: Caller) -> int:
    """A report has statuses rather than diagnostics: failure 3 is an access-control failure."""
    report = caller.client.ask(apdu.ResourceReportRequest(), apdu.ResourceReportResponse)
    allowed = report.resource_report_status != apdu.ResourceReportStatus.FAILURE_3
    return 0 if allowed else 236


# SRU: "" when it was done, else the diagnostic, and the status of HTTP


def sru_of(answer: Answer) -> tuple[str, int]:
    if answer.texts("//u:operationStatus") == ["success"]:
        return "", answer.status  # what else is told are warnings
    return answer.diagnostics[0] if answer.diagnostics else "", answer.status


def s_search(caller: Caller, schema: str = "brief") -> tuple[str, int]:
    return sru_of(
        caller.http(
            "we_cat?version=1.2&operation=searchRetrieve&query=dc.title=volume&maximumRecords=1"
            f"&recordSchema={schema}"
        )
    )


def s_scan(caller: Caller) -> tuple[str, int]:
    return sru_of(caller.http("we_cat?version=1.2&operation=scan&scanClause=dc.title=volume"))


def s_update(caller: Caller, action: str, number: str = "", record: str = "") -> tuple[str, int]:
    named = version("number", "1") if number else ""
    envelope = (
        '<E:Envelope xmlns:E="http://schemas.xmlsoap.org/soap/envelope/"><E:Body>'
        f"{element(action, number, record, named)}</E:Body></E:Envelope>"
    )
    return sru_of(caller.http("we_cat", envelope.encode(), Content_Type="text/xml; charset=utf-8"))


def s_record() -> tuple[str, str]:
    number = next(_serial)
    return f"s{number}", book(f"s{number}", f"Book {number} of {number * 7919}")


def s_mine(caller: Caller) -> str:
    """As `mine`, in we_cat."""
    _, record = s_record()
    answer = soap(caller.server, "we_cat", element("create", record=record), "everything:pw")
    return answer.texts("//u:recordIdentifier")[0]


def s_replace(caller: Caller) -> tuple[str, int]:
    number, (_, record) = s_mine(caller), s_record()
    return s_update(caller, "replace", number, record)


# HTTP: the status


def h_status(caller: Caller) -> int:
    return caller.http("status?format=json").status


def h_batch(caller: Caller) -> int:
    isbns = f"978730104815{next(_serial)}".encode()
    return caller.http("api/batch", isbns, Content_Type="text/plain").status


def h_jobs(caller: Caller) -> int:
    return caller.http("api/batch").status


Ask = Callable[[Caller], object]


@dataclass(frozen=True)
class Row:
    operations: Sequence[Operation]
    protocol: str
    ask: Ask
    institution: str = ""  # whose the matter is

    @property
    def id(self) -> str:
        return f"{self.protocol}-{self.operations[-1].value}-{self.ask.__name__}"


_SEARCH = Operation.SEARCH
ROWS = (
    Row((_SEARCH,), "z3950", z_search),
    Row((Operation.SCAN,), "z3950", z_scan),
    Row((_SEARCH, Operation.BRIEF), "z3950", lambda caller: presented(caller, "B")),
    Row((_SEARCH, Operation.DOWNLOAD), "z3950", lambda caller: presented(caller, "F")),
    Row((Operation.UPLOAD_INSERT,), "z3950", z_insert),
    Row((Operation.UPLOAD_REPLACE,), "z3950", z_replace, "PKU"),
    Row((Operation.UPLOAD_DELETE,), "z3950", z_delete, "PKU"),
    Row((Operation.QUOTA_READ,), "z3950", z_quota),
    Row((_SEARCH, Operation.BRIEF), "sru", s_search),
    Row((Operation.SCAN,), "sru", s_scan),
    Row((_SEARCH, Operation.DOWNLOAD), "sru", lambda caller: s_search(caller, "marcxml")),
    Row((Operation.UPLOAD_INSERT,), "sru", lambda c: s_update(c, "create", "", s_record()[1])),
    Row((Operation.UPLOAD_REPLACE,), "sru", s_replace, "PKU"),
    Row((Operation.UPLOAD_DELETE,), "sru", lambda c: s_update(c, "delete", s_mine(c)), "PKU"),
    Row((Operation.STATUS_READ,), "http", h_status),
    Row((Operation.BATCH,), "http", h_batch),
    Row((Operation.BATCH,), "http", h_jobs),
)  # fmt: skip


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    records = {"we_cat": [marc21(f"w{number:03}", f"Volume {number}") for number in range(3)]}
    with own_server(tmp_path_factory.mktemp("matrix"), records) as running:
        yield running


@pytest.fixture(scope="module")
def secrets(server: RunningServer) -> Mapping[str, str]:
    """The accounts of ROLES; gives the secrets of the keys among them."""
    members = Members(load_config(server.config).members_path, create=True)
    made = {}
    for code in ("PKU", "THU"):
        members.add_institution(code, f"Library {code}", 1)
    for principal in ROLES.values():
        if principal.is_key:
            name = principal.account.partition("+")[2]
            _, made[principal.account] = members.add_key("PKU", name, 1, rights=principal.rights)
        elif not principal.anonymous:
            code = principal.institution or None
            members.add_account(principal.account, "pw", code, 1, rights=principal.rights)
    members.close()
    return made


def expected(row: Row, principal: Principal) -> Refusal | None:
    if row.ask is z_quota and principal.operator:
        # A report is of the year of whoever asks, and an operator has none.
        return refusal(ANONYMOUS, Operation.QUOTA_READ)
    refusals = (refusal(principal, each, row.institution) for each in row.operations)
    return next((each for each in refusals if each is not None), None)


def is_upload(row: Row) -> bool:
    return row.operations[0].value.startswith("upload.")


def expected_answer(row: Row, refused: Refusal | None) -> object:
    """What the row's `ask` must give."""
    if row.protocol == "z3950":
        return int(to_bib1(refused).condition) if refused is not None else 0
    if row.protocol == "sru":
        if refused is None:
            return "", 200
        if is_upload(row) and refused.why is Why.SIGN_IN:
            return "1/3", 401
        if is_upload(row):
            # Whose a record is shows only when it is looked at, so it is no matter of HTTP.
            status = 200 if refused.why is Why.NOT_OWN else 403
            return f"12/{int(UpdateDiagnostic.NOT_AUTHORISED)}", status
        return f"1/{int(to_sru(refused).condition)}", http_status(refused)
    return http_status(refused) if refused is not None else None


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
@pytest.mark.parametrize("role", ROLES)
def test_an_operation_is_carried_out_for_those_who_may(
    server: RunningServer, secrets: Mapping[str, str], role: str, row: Row
) -> None:
    principal = ROLES[role]
    if row.protocol == "z3950" and principal.is_key:
        assert not can_sign_in_with_a_key(server, secrets[principal.account])
        return
    caller = Caller(server, principal, secrets)
    refused = expected(row, principal)
    wanted = expected_answer(row, refused)
    # Twice: the second time, the server may know the request and answer it at once.
    for _ in range(2):
        if row.protocol == "z3950":
            login = None if principal.anonymous else f"{principal.account}/pw"
            with connected(server.z3950, login) as caller.z3950:
                answer = row.ask(caller)
        else:
            answer = row.ask(caller)
        if wanted is None:
            assert answer in (200, 202), answer
        else:
            assert answer == wanted, refused


# The API declares of each of its operations what it needs: every one is asked.
API = [operation for area in AREAS for operation in area.operations]
# Of nothing that is there, so that who may change it changes nothing.
PLACES = {
    "code": "PKU", "database": "we_cat", "number": "none999", "name": "nobody", "job": "none",
    "certificate": "999", "year": "2026",
}  # fmt: skip


@pytest.mark.parametrize("role", ROLES)
def test_the_api_asks_the_same_table(
    server: RunningServer, secrets: Mapping[str, str], role: str
) -> None:
    principal = ROLES[role]
    caller = Caller(server, principal, secrets)
    wrong = []
    for operation in API:
        code = PLACES["code"] if "{code}" in operation.path else ""
        refused = None
        if operation.needs is not None:
            refused = refusal(principal, operation.needs, code)
        elif principal.anonymous:
            continue  # what anybody may ask says itself who may
        status, body = asked(caller, operation.method, operation.path.format(**PLACES))
        is_as_told = status not in (401, 403)
        if refused is not None:
            is_as_told = status == http_status(refused) and refused.chinese in body
        if not is_as_told:
            wrong.append((operation.method, operation.path, status, refused))
    assert not wrong


def asked(caller: Caller, method: str, path: str) -> tuple[int, str]:
    """Status and body of a request with an empty object, which is enough for nothing."""
    body = b"{}" if method in ("POST", "PUT") else None
    request = urllib.request.Request(f"{caller.server.url}{path}", data=body, method=method)
    request.add_header("Content-Type", "application/json")
    for name, value in caller.headers.items():
        request.add_header(name, value)
    if caller.login is not None:
        login = b64encode(caller.login.encode()).decode()
        request.add_header("Authorization", f"Basic {login}")
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            return response.status, response.read().decode("utf-8", "replace")
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode("utf-8", "replace")


def test_every_operation_is_asked_for_or_is_of_pages_and_commands_alone() -> None:
    by_protocols = {each for row in ROWS for each in row.operations}
    by_api = {operation.needs for operation in API if operation.needs is not None}
    left = set(Operation) - by_protocols - by_api
    assert left <= {
        Operation.TARIFF_READ, Operation.RECORD_HISTORY, Operation.USAGE_READ,
        Operation.CREDIT_READ, Operation.PROFILE_WRITE, Operation.PASSWORD_CHANGE,
        Operation.MEMBERS_CHANGE, Operation.CREDIT_DECIDE, Operation.SETTLEMENT_DRAFT,
        Operation.SETTLEMENT_FINALISE, Operation.TARIFF_CHANGE, Operation.DUPLICATES_READ,
        Operation.DUPLICATES_MERGE, Operation.METRICS_READ,
    }  # fmt: skip


def can_sign_in_with_a_key(server: RunningServer, secret: str) -> bool:
    """Keys are for HTTP; over Z39.50 a program has an account with a password."""
    client = Client(server.z3950)
    try:
        return bool(client.init(apdu.IdPass(user_id="pku+all", password=secret)).result)
    finally:
        client.close()


def test_every_role_of_the_store_is_in_the_matrix() -> None:
    rights = {right for principal in ROLES.values() for right in principal.rights}
    assert rights == set(RIGHTS)
    assert {row.protocol for row in ROWS} == set(PROTOCOLS)

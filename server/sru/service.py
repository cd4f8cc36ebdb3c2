"""SRU over HTTP: parameters in, XML out, through the same catalogue and ledger as Z39.50."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from aiohttp import web
from yarl import URL

from protocol.diagnostic import Diagnostic, SruDiagnostic, SruFault
from protocol.diagnostic_map import to_sru
from protocol.record import Database, MarcFamily
from protocol.sru import (
    ExplainRequest,
    RefusedRequest,
    Request,
    ScanRequest,
    SearchRetrieveRequest,
    SruLimits,
    parse_request,
)
from protocol.sru_response import ScanTerm, explain_response, refusal_response, scan_response
from protocol.sru_update import UpdateFault, UpdateRequest, update_response
from protocol.sru_version import RECORD_SCHEMAS
from protocol.zeerex import RESTRICTIONS, ServerDescription, explain_record
from server.access_control import permissions
from server.access_control.access import Principal
from server.access_control.databases import databases_for
from server.access_control.permissions import Operation
from server.access_control.request_limits import RequestLimits
from server.config import Config, Sru
from server.delivery.outbox import Outbox
from server.http.connection import Connection
from server.http.sign_in import challenge, refusal, sign_in
from server.libraries import library
from server.metrics.counting import note_faults, note_operation
from server.metrics.layout import OTHER
from server.service import Service
from server.sru import quota as sru_quota
from server.sru import update
from server.sru.at_once import SruAtOnce
from server.sru.http import Call, read_call
from server.sru.search import FORMS, SearchRetrieve
from server.sru.sets import SetStore
from store.interface import ScanResult

# Every database at once, when the path names none.
ALL = "Default"
# Makes a response readable in a browser; the only one that a response names.
STYLESHEET = "/assets/sru.xsl"
_OPERATIONS: Mapping[type, str] = {
    ExplainRequest: "explain",
    ScanRequest: "scan",
    SearchRetrieveRequest: "searchRetrieve",
}
_FAMILY_TITLES = {MarcFamily.MARC21: "MARC 21", MarcFamily.UNIMARC: "CNMARC (UNIMARC)"}


def limits_of(config: Sru) -> SruLimits:
    """What the service offers and allows."""
    return SruLimits(
        versions=("1.1", "1.2", "2.0"),
        default_version="1.2",
        schemas=tuple(FORMS),
        records_default=config.maximum_records_default,
        records_max=config.maximum_records_max,
        result_set_ttl_s_max=config.result_set_ttl_s_max,
        facet_terms_max=config.facet_terms_max,
        stylesheets=(STYLESHEET,),
    )


class SruService:
    """Answers `/` and `/{database}`, GET and POST."""

    def __init__(
        self, config: Config, service: Service, outbox: Outbox, request_limits: RequestLimits
    ) -> None:
        self._service = service
        self._public_url = URL(config.http.public_url) if config.http.public_url else None
        self._open_to_all = config.access.anonymous
        self._limits = limits_of(config.sru)
        self._search = SearchRetrieve(service, outbox, *self._sets(config))
        self.at_once = SruAtOnce(service, self._limits, request_limits, self._search)

    def _sets(self, config: Config) -> tuple[SetStore, SetStore]:
        """Where the sets of members are kept, and those of clients without an account."""
        members, others = (
            SetStore(
                config.run_dir, self._service.worker, anonymous=anonymous,
                sets_max=config.sru.result_sets_max, bytes_max=config.sru.result_sets_bytes_max,
            )
            for anonymous in (False, True)
        )  # fmt: skip
        return members, others

    async def respond(self, http: web.Request) -> web.StreamResponse:
        """Answer one request, with a diagnostic where there is nothing better."""
        self._service.sessions.counters.sru_requests += 1
        note_operation(http, OTHER)
        call = await read_call(http)
        if isinstance(call, web.Response):
            return call
        name = http.match_info.get("database", "") or ALL
        databases = self._service.catalogue.resolve((name,) if name != "sru" else (ALL,))
        if call.update is not None:
            note_operation(http, "update")
            return await self._update(call, call.update, databases)
        request = parse_request(call.parameters, self._limits)
        note_operation(http, _OPERATIONS.get(type(request), OTHER))
        if isinstance(databases, Diagnostic):
            return self._refuse(call, request, to_sru(databases), name, (), status=404)
        if isinstance(request, ExplainRequest):
            record = self._explain(http, name, databases)
            return call.answer(
                explain_response(request, record), media_type=request.media_type, may_be_kept=True
            )
        if isinstance(request, RefusedRequest):
            note_operation(http, request.operation)
            note_faults(http, request.faults)
            document = self._refusal(request, http, name, databases)
            return call.answer(document, media_type=request.media_type)
        principal = await sign_in(self._service, http, request.extra)
        if isinstance(principal, Diagnostic):
            status, headers = refusal(self._service, http, principal)
            later = status in (429, 503)
            fault = SruFault(
                SruDiagnostic.SYSTEM_TEMPORARILY_UNAVAILABLE
                if later
                else SruDiagnostic.AUTHENTICATION_ERROR,
                principal.addinfo,
            )
            return self._refuse(call, request, fault, name, databases, status, headers)
        is_scan = isinstance(request, ScanRequest)
        refused = permissions.refusal(principal, Operation.SCAN if is_scan else Operation.SEARCH)
        if refused is not None:
            fault, status = permissions.to_sru(refused), permissions.http_status(refused)
            return self._refuse(call, request, fault, name, databases, status)
        names = (name if name != "sru" else ALL,)
        granted = databases_for(self._service.catalogue, names, principal)
        if isinstance(granted, Diagnostic):
            return self._refuse(call, request, to_sru(granted), name, databases, 403)
        if isinstance(request, ScanRequest):
            return await self._scan(request, granted, principal, call)
        assert isinstance(request, SearchRetrieveRequest)  # noqa: S101 - nothing else is left
        response = await self._search.respond(request, granted, principal, call)
        self._learn(http, name, response)
        return response

    def _learn(self, http: web.Request, name: str, response: web.StreamResponse) -> None:
        """Let the next request like this one be answered at once."""
        connection = http.protocol
        if isinstance(connection, Connection) and connection.head:
            database = name if name != "sru" else ALL
            client = connection.told_by_proxy(http)
            self.at_once.learn(connection.head, http, database, response, client)

    def _refuse(
        self,
        call: Call,
        request: Request,
        fault: SruFault,
        name: str,
        databases: tuple[Database, ...],
        status: int = 200,
        headers: Mapping[str, str] | None = None,
    ) -> web.Response:
        """The response of the operation that was meant, holding `fault` alone."""
        operation = _OPERATIONS.get(type(request), "searchRetrieve")
        note_faults(call.http, (fault,))
        refused = RefusedRequest(
            version=request.version, operation=operation, faults=(fault,), given=request.given,
            stylesheet=request.stylesheet,
        )  # fmt: skip
        return call.answer(
            self._refusal(refused, call.http, name, databases),
            media_type=request.media_type,
            status=status,
            headers=headers,
        )

    def _refusal(
        self,
        request: RefusedRequest,
        http: web.Request,
        name: str,
        databases: tuple[Database, ...],
    ) -> bytes:
        if request.operation != "explain":
            return refusal_response(request)
        return refusal_response(request, self._explain(http, name, databases))

    # scan

    async def _scan(
        self,
        request: ScanRequest,
        databases: tuple[Database, ...],
        principal: Principal,
        call: Call,
    ) -> web.Response:
        start = request.start
        # One term more at either end tells whether the list goes on there.
        found = await self._service.catalogue.scan(
            databases, start.access_point, start.term, count=request.maximum_terms + 2,
            position=request.response_position + 1, phrases=start.phrases,
        )  # fmt: skip
        notes: list[SruFault] = []
        terms: list[ScanTerm] = []
        if isinstance(found, Diagnostic):
            notes.append(to_sru(found))
        else:
            terms = scan_terms(found, request.response_position, request.maximum_terms)
            if start.access_point == "possessing_institution":
                terms = [
                    replace(term, display=library(self._service, term.value).name) for term in terms
                ]
        extra = await sru_quota.quota(self._service.config, principal, request.extra)
        if isinstance(extra, SruFault):
            notes.append(extra)
            extra = b""
        note_faults(call.http, notes)
        return call.answer(
            scan_response(request, terms, diagnostics=notes, extra=extra),
            media_type=request.media_type,
            may_be_kept=not extra,
        )

    # update

    async def _update(
        self, call: Call, request: UpdateRequest, databases: tuple[Database, ...] | Diagnostic
    ) -> web.Response:
        if isinstance(databases, Diagnostic):
            fault = UpdateFault(SruDiagnostic.DATABASE_UNKNOWN, databases.addinfo)
            note_faults(call.http, (fault,))
            return call.answer(update_response(request, (fault,)), status=404)
        principal = await sign_in(self._service, call.http, request.extra)
        if isinstance(principal, Diagnostic) or principal.anonymous:
            status, headers, details = 401, challenge(call.http), "sign in"
            if isinstance(principal, Diagnostic):
                status, headers = refusal(self._service, call.http, principal)
                details = principal.addinfo
            fault = UpdateFault(SruDiagnostic.AUTHENTICATION_ERROR, details)
            note_faults(call.http, (fault,))
            return call.answer(update_response(request, (fault,)), status=status, headers=headers)
        address = call.http.remote or ""
        answered = await update.carry_out(self._service, principal, address, databases, request)
        note_faults(call.http, answered.faults)
        quota = await sru_quota.quota(self._service.config, principal, request.extra)
        return call.answer(
            update_response(
                request, answered.faults, versions=answered.versions, warnings=answered.warnings,
                identifier=answered.identifier,
                extra=answered.extra + (b"" if isinstance(quota, SruFault) else quota),
            ),
            status=answered.status,
        )  # fmt: skip

    # explain

    def _explain(self, http: web.Request, name: str, databases: tuple[Database, ...]) -> bytes:
        address = self._public_url or http.url
        totals = self._service.catalogue.totals()
        one = databases[0] if len(databases) == 1 else None
        families = {database.family for database in databases}
        schemas = tuple(
            schema.name
            for schema in RECORD_SCHEMAS
            if schema.name in FORMS and (schema.family is None or schema.family in families)
        )
        return explain_record(
            ServerDescription(
                host=address.host or "",
                port=address.port or 80,
                transport=address.scheme,
                database=one.name if one else name,
                title=one.title if one else "Lianmu 联目",
                description=_description(databases),
                records=sum(totals[database.name] for database in databases),
                restrictions=RESTRICTIONS,
                open_to_all=self._open_to_all,
                date_modified=self._service.catalogue_changed_at().isoformat(timespec="seconds"),
            ),
            replace(self._limits, schemas=schemas),
            families=families,
        )


def _description(databases: tuple[Database, ...]) -> str:
    if len(databases) == 1:
        return f"Records in {_FAMILY_TITLES[databases[0].family]}, and which libraries hold them."
    names = ", ".join(database.name for database in databases)
    return f"Searches these databases together, each of which has an address of its own: {names}."


def scan_terms(found: ScanResult, position: int, count: int) -> list[ScanTerm]:
    """The `count` terms with the start term at `position`, and where in the list each is.

    `found` is a scan for two terms more, at one position further, so that its
    surplus ends show whether the list goes on.
    """
    before = found.position - 1
    goes_back = bool(found.entries) and before == position
    goes_on = len(found.entries) - before == count + 2 - position
    entries = found.entries[int(goes_back) : len(found.entries) - int(goes_on)]
    terms = []
    for number, entry in enumerate(entries):
        first = number == 0 and not goes_back
        last = number == len(entries) - 1 and not goes_on
        where = "only" if first and last else "first" if first else "last" if last else "inner"
        display = entry.display if entry.display != entry.term else ""
        terms.append(ScanTerm(entry.term, entry.occurrences, display, where))
    return terms

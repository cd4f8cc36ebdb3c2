"""SRU over HTTP: parameters in, XML out, through the same catalogue and ledger as Z39.50."""

from __future__ import annotations

from collections.abc import Mapping

from aiohttp import hdrs, web
from multidict import CIMultiDict
from yarl import URL

from protocol.diagnostic import Bib1, Diagnostic, SruDiagnostic, SruFault
from protocol.diagnostic_map import to_sru
from protocol.record import Database
from protocol.sru import (
    ExplainRequest,
    RefusedRequest,
    ScanRequest,
    SearchRetrieveRequest,
    SruLimits,
    parse_request,
    record_range,
)
from protocol.sru_response import (
    ScanTerm,
    SearchRetrieveResponse,
    SruRecord,
    SurrogateDiagnostic,
    explain_response,
    refusal_response,
    scan_response,
    search_response,
    search_response_chunks,
)
from protocol.sru_version import RecordSchema
from protocol.zeerex import ServerDescription, explain_record
from server import record_forms
from server.access import Principal
from server.config import Config
from server.http_log import SESSION
from server.http_responses import NO_STORE, REVALIDATE, send, send_head
from server.log import Log
from server.outbox import Outbox
from server.retrieval import Item, RecordForm
from server.service import Service
from server.sign_in import challenge, refusal, sign_in

XML = "application/xml"
# Every database at once, when the path names none.
ALL = "Default"

_FORMS: Mapping[str, RecordForm] = record_forms.XML_FORMS

log = Log("lianmu.sru")


class SruService:
    """Answers `/` and `/{database}`."""

    def __init__(self, config: Config, service: Service, outbox: Outbox) -> None:
        self._service = service
        self._outbox = outbox
        self._public_url = URL(config.http.public_url) if config.http.public_url else None
        self._open_to_all = config.access.anonymous
        self._limits = SruLimits(
            versions=("1.1", "1.2", "2.0"),
            default_version="1.2",
            schemas=tuple(_FORMS),
            records_default=config.sru.maximum_records_default,
            records_max=config.sru.maximum_records_max,
        )

    async def respond(self, http: web.Request) -> web.StreamResponse:
        """Answer one request, with a diagnostic where there is nothing better."""
        self._service.sessions.counters.sru_requests += 1
        request = parse_request(http.query.items(), self._limits)
        name = http.match_info.get("database", "") or ALL
        databases = self._service.catalogue.resolve((name,) if name != "sru" else (ALL,))
        if isinstance(databases, Diagnostic):
            return self._refuse(request, to_sru(databases), http, name, (), status=404)
        if isinstance(request, ExplainRequest):
            return _xml(
                explain_response(request, self._explain(http, name, databases)), may_be_kept=True
            )
        if isinstance(request, RefusedRequest):
            return _xml(self._refusal(request, http, name, databases))
        principal = await sign_in(self._service, http, request.extra)
        if isinstance(principal, Diagnostic):
            fault = SruFault(SruDiagnostic.AUTHENTICATION_ERROR, principal.addinfo)
            status, headers = refusal(self._service, http, principal)
            return self._refuse(request, fault, http, name, databases, status, headers)
        if isinstance(request, ScanRequest):
            return await self._scan(request, databases)
        return await self._search(request, databases, principal, http)

    def _refuse(
        self,
        request: ExplainRequest | ScanRequest | SearchRetrieveRequest | RefusedRequest,
        fault: SruFault,
        http: web.Request,
        name: str,
        databases: tuple[Database, ...],
        status: int = 200,
        headers: Mapping[str, str] | None = None,
    ) -> web.Response:
        """The response of the operation that was meant, holding `fault` alone."""
        operation = {ScanRequest: "scan", ExplainRequest: "explain"}.get(
            type(request), "searchRetrieve"
        )
        refused = RefusedRequest(
            version=request.version, operation=operation, faults=(fault,), given=request.given
        )
        return _xml(self._refusal(refused, http, name, databases), status, headers)

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

    # searchRetrieve

    async def _search(
        self,
        request: SearchRetrieveRequest,
        databases: tuple[Database, ...],
        principal: Principal,
        http: web.Request,
    ) -> web.StreamResponse:
        service = self._service
        found = await service.catalogue.search(databases, request.query, {})
        if not isinstance(found, Diagnostic) and request.sort:
            found = await service.catalogue.sort((found,), request.sort)
        if isinstance(found, Diagnostic):
            return _xml(_failed(request, to_sru(found)))
        wanted = record_range(request, len(found))
        if isinstance(wanted, SruFault):
            return _xml(_failed(request, wanted, len(found)))
        if not wanted:
            return _xml(
                search_response(request, SearchRetrieveResponse(number_of_records=len(found)))
            )
        ids = found.ids(wanted.start, len(wanted))
        if isinstance(ids, Diagnostic):
            return _xml(_failed(request, to_sru(ids), len(found)))
        form = _FORMS[request.schema.name]
        if http.method == hdrs.METH_HEAD and form.billable and principal.may_download:
            return await send_head(http, content_type=XML)  # delivers nothing, bills nothing
        retrieved = await service.retrieve(principal, ids, form, "sru", http[SESSION])
        if isinstance(retrieved, Diagnostic):
            status = 401 if retrieved.condition == Bib1.SYNTAX_NOT_AUTHORISED else 200
            headers = challenge(http) if status == 401 else None
            return _xml(_failed(request, to_sru(retrieved), len(found)), status, headers)
        try:
            records = [
                _sru_record(item, position, request.schema)
                for position, item in enumerate(retrieved.items, wanted.start)
            ]
            answer = SearchRetrieveResponse(number_of_records=len(found), records=records)
            # Written here and not by the caller, so that it is known to be.
            response = await send(
                http, search_response_chunks(request, answer), content_type=XML,
                revalidate=not form.billable,
            )  # fmt: skip
        except BaseException:
            if retrieved.receipt is not None:
                service.meter.void(retrieved.receipt, "response not written")
            raise
        service.sessions.counters.sru_records += len(records)
        if retrieved.receipt is not None:
            if http.transport is None:
                service.meter.void(retrieved.receipt, "connection lost")
            else:
                self._outbox.add(http.transport, retrieved.receipt)
        return response

    # scan

    async def _scan(self, request: ScanRequest, databases: tuple[Database, ...]) -> web.Response:
        start = request.start
        found = await self._service.catalogue.scan(
            databases, start.access_point, start.term, count=request.maximum_terms,
            position=request.response_position, phrases=start.phrases,
        )  # fmt: skip
        if isinstance(found, Diagnostic):
            return _xml(scan_response(request, (), diagnostics=(to_sru(found),)))
        return _xml(
            scan_response(
                request,
                (
                    ScanTerm(
                        entry.term,
                        entry.occurrences,
                        entry.display if entry.display != entry.term else "",
                    )
                    for entry in found.entries
                ),
            ),
            may_be_kept=True,
        )

    # explain

    def _explain(self, http: web.Request, name: str, databases: tuple[Database, ...]) -> bytes:
        address = self._public_url or http.url
        totals = self._service.catalogue.totals()
        one = databases[0] if len(databases) == 1 else None
        return explain_record(
            ServerDescription(
                host=address.host or "",
                port=address.port or 80,
                transport=address.scheme,
                methods="GET",
                database=one.name if one else name,
                title=one.title if one else "Lianmu 联目",
                records=sum(totals[database.name] for database in databases),
                open_to_all=self._open_to_all,
                date_modified=self._service.catalogue_changed_at().isoformat(timespec="seconds"),
            ),
            self._limits,
        )


def _failed(request: SearchRetrieveRequest, fault: SruFault, number_of_records: int = 0) -> bytes:
    return search_response(
        request,
        SearchRetrieveResponse(number_of_records=number_of_records, diagnostics=(fault,)),
    )


def _sru_record(item: Item, position: int, schema: RecordSchema) -> SruRecord | SurrogateDiagnostic:
    if isinstance(item.content, Diagnostic):
        return SurrogateDiagnostic(to_sru(item.content), position)
    assert item.record is not None  # noqa: S101 - a form was made of it
    return SruRecord(schema, item.content, position, identifier=item.record.control_number)


def _xml(
    body: bytes,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    *,
    may_be_kept: bool = False,
) -> web.Response:
    given = CIMultiDict(headers or {})
    given[hdrs.CACHE_CONTROL] = REVALIDATE if may_be_kept else NO_STORE
    return web.Response(body=body, status=status, content_type=XML, charset="utf-8", headers=given)

"""searchRetrieve: from a request to the page of records, its facets and its result set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from aiohttp import hdrs, web

from metering.interface import Delivery
from protocol.cql_ast import to_text
from protocol.cql_from_query import from_query
from protocol.diagnostic import Bib1, Diagnostic, SruDiagnostic, SruFault
from protocol.diagnostic_map import to_sru
from protocol.frozen import frozen
from protocol.query import Boolean, Operator, Query, ResultSetRef, postorder, ranked
from protocol.record import Database
from protocol.sru import SearchRetrieveRequest, record_range
from protocol.sru_facets import (
    Facet,
    FacetsRequest,
    FacetTerm,
    FacetWish,
    count_facet,
    facets_xml,
    narrowed,
)
from protocol.sru_response import (
    SearchRetrieveResponse,
    SruRecord,
    SurrogateDiagnostic,
    search_response,
    search_response_chunks,
)
from protocol.sru_version import RecordSchema
from server.access_control.access import Principal
from server.delivery import record_forms
from server.delivery.outbox import Outbox
from server.delivery.retrieval import Item, MadeItem, RecordForm, Retrieved, choose_at_once
from server.http.access_log import SESSION
from server.http.responses import NEVER_WAITS_BYTES
from server.http.sign_in import challenge
from server.libraries import library
from server.metrics.counting import note_faults
from server.service import Service
from server.sru import quota as sru_quota
from server.sru.http import Call
from server.sru.sets import KeptSet, SetStore
from store.interface import ResultSet
from store.result_set import RecordSet

# The record schemas on offer and how each is made.
FORMS: Mapping[str, RecordForm] = record_forms.XML_FORMS

# The name of the set found, in a query that counts within it; no client's id is like it.
_FOUND = "="


@frozen
class _Found:
    """`kept` is the stored set that the whole query names, in the order it has there."""

    records: ResultSet
    kept: KeptSet | None = None


class SearchRetrieve:
    """Answers searchRetrieve requests of one worker."""

    def __init__(
        self, service: Service, outbox: Outbox, sets: SetStore, anonymous_sets: SetStore
    ) -> None:
        self._service = service
        self._outbox = outbox
        self._sets = sets
        self._anonymous_sets = anonymous_sets

    async def respond(
        self,
        request: SearchRetrieveRequest,
        databases: tuple[Database, ...],
        principal: Principal,
        call: Call,
    ) -> web.StreamResponse:
        """The response, written already when the search went well."""
        found = await self._find(request, databases)
        if isinstance(found, SruFault):
            return self._failed(call, request, found)
        if request.start_record == 1:  # further pages are of the same search
            names = tuple(database.name for database in databases)
            self._service.searches.of(principal, "sru")[names] += 1
        total = len(found.records)
        wanted = record_range(request, total)
        if isinstance(wanted, SruFault):
            return self._failed(call, request, wanted, total)
        notes: list[SruFault] = []
        faceted: bytes | SruFault = b""
        if request.facets is not None:
            faceted = await self._facets(request.facets, request, databases, found.records)
        if isinstance(faceted, SruFault):
            notes.append(faceted)
            faceted = b""
        set_id, ttl_s = await self._kept(request, databases, found, principal, notes)
        form = FORMS[request.schema.name]
        retrieved: Retrieved | Diagnostic = Retrieved((), None)
        if wanted:
            ids = found.records.ids(wanted.start, len(wanted))
            if isinstance(ids, Diagnostic):
                return self._failed(call, request, to_sru(ids), total)
            if call.http.method == hdrs.METH_HEAD and form.billable and principal.may_download:
                return await call.send_head(request.media_type)  # delivers and bills nothing
            retrieved = await self._service.retrieve(
                principal, ids, form, "sru", call.http[SESSION]
            )
        if isinstance(retrieved, Diagnostic):
            return self._withheld(call, request, retrieved, total, principal)
        try:
            extra: bytes | SruFault = b""
            if request.extra:
                extra = await sru_quota.quota(self._service.config, principal, request.extra)
            if isinstance(extra, SruFault):
                notes.append(extra)
                extra = b""
            records = _records(retrieved.items, wanted.start, request.schema)
            note_faults(call.http, notes)
            note_faults(
                call.http,
                (each.fault for each in records if isinstance(each, SurrogateDiagnostic)),
            )
            chunks = search_response_chunks(
                request,
                SearchRetrieveResponse(
                    number_of_records=total,
                    records=records,
                    result_set_id=set_id,
                    idle_time_s=ttl_s,
                    diagnostics=notes,
                    extra=extra,
                    faceted_results=faceted,
                ),
            )
            # Written here and not by the caller, so that it is known to be.
            response = await call.send(
                chunks, media_type=request.media_type, may_be_kept=not form.billable
            )
        except BaseException:
            if retrieved.receipt is not None:
                self._service.meter.void(retrieved.receipt, "response not written")
            raise
        self._delivered(retrieved, call)
        return response

    def respond_at_once(
        self,
        request: SearchRetrieveRequest,
        databases: tuple[Database, ...],
        principal: Principal,
        session: str,
        query: Query | None = None,
        echo: bool | bytes = True,
    ) -> tuple[bytes, Sequence[Delivery], int] | None:
        """The document, what must be in the ledger before it is sent, and its records.

        `query` and `echo` are in the place of those of a request that is known but
        for its term. None: `respond` must be asked, because something is to be waited for,
        is not of the usual kind, or does not go well.
        """
        form = FORMS[request.schema.name]
        if (
            request.facets is not None
            or request.sort
            or request.extra
            or request.result_set_ttl_s
            or not form.billable  # it may be kept by the client, and has an entity tag
        ):
            return None
        found = self._service.catalogue.search_at_once(databases, query or request.query, {})
        if found is None or isinstance(found, Diagnostic):
            return None
        total = len(found)
        wanted = record_range(request, total)
        if isinstance(wanted, SruFault):
            return None
        items: Sequence[Item | MadeItem] = ()
        deliveries: Sequence[Delivery] = ()
        if wanted:
            ids = found.ids(wanted.start, len(wanted))
            if isinstance(ids, Diagnostic):
                return None
            chosen = choose_at_once(
                self._service.catalogue, principal, ids, form, NEVER_WAITS_BYTES, "sru", session
            )
            if chosen is None:
                return None
            items, deliveries = chosen.items, chosen.deliveries
        records = _records(items, wanted.start, request.schema)
        response = SearchRetrieveResponse(number_of_records=total, records=records)
        return search_response(request, response, echo=echo), deliveries, len(items)

    def _delivered(self, retrieved: Retrieved, call: Call) -> None:
        self._service.sessions.counters.sru_records += len(retrieved.items)
        self._service.counting.sru_records.add(len(retrieved.items))
        if retrieved.receipt is None:
            return
        if call.http.transport is None:
            self._service.meter.void(retrieved.receipt, "connection lost")
        else:
            self._outbox.add(call.http.transport, retrieved.receipt)

    async def _find(
        self, request: SearchRetrieveRequest, databases: tuple[Database, ...]
    ) -> _Found | SruFault:
        catalogue = self._service.catalogue
        kept: dict[str, KeptSet] = {}
        for node in postorder(request.query):
            if isinstance(node, ResultSetRef) and node.name not in kept:
                loaded = await self._sets.load(node.name)
                if loaded is None:
                    return SruFault(SruDiagnostic.RESULT_SET_UNKNOWN, node.name[:80])
                kept[node.name] = loaded
        query = request.query
        whole = kept[query.name] if isinstance(query, ResultSetRef) else None
        if whole is not None and not whole.is_of(databases):
            whole = None  # those of its records that are in these databases
        records: ResultSet | Diagnostic
        if whole is not None:
            records = whole.records
        else:
            sets = {name: each.records for name, each in kept.items()}
            if self._service.config.sru.default_order == "relevance" and not request.sort:
                query = ranked(query)
            records = await catalogue.search(databases, query, sets)
        if not isinstance(records, Diagnostic) and request.sort:
            records = await catalogue.sort((records,), request.sort)
            whole = None
        return to_sru(records) if isinstance(records, Diagnostic) else _Found(records, whole)

    async def _kept(
        self,
        request: SearchRetrieveRequest,
        databases: tuple[Database, ...],
        found: _Found,
        principal: Principal,
        notes: list[SruFault],
    ) -> tuple[str, int | None]:
        """The id of the set and its time unused, of a new set when one is wished."""
        if found.kept is not None:
            return found.kept.id, found.kept.ttl_s
        ttl_s = request.result_set_ttl_s
        if not ttl_s or not isinstance(found.records, RecordSet):
            return "", None
        sets = self._anonymous_sets if principal.anonymous else self._sets
        set_id = await sets.keep(found.records, databases, ttl_s)
        if set_id is None:
            notes.append(SruFault(SruDiagnostic.TOO_MANY_MATCHES, str(len(found.records))))
            return "", None
        return set_id, ttl_s

    async def _facets(
        self,
        wished: FacetsRequest,
        request: SearchRetrieveRequest,
        databases: tuple[Database, ...],
        records: ResultSet,
    ) -> bytes | SruFault:
        if not len(records):
            return b""
        facets: list[Facet] = []
        for wish in wished.wishes:
            facet = await self._facet(request, wish, records)
            if isinstance(facet, SruFault):
                return facet
            facets.append(facet)
        if wished.count is not None:
            counted = await self._counted(wished, databases, records)
            if isinstance(counted, SruFault):
                return counted
            facets.append(counted)
        return facets_xml(facets)

    async def _facet(
        self, request: SearchRetrieveRequest, wish: FacetWish, records: ResultSet
    ) -> Facet | SruFault:
        found = await self._service.catalogue.facets(
            records, wish.field.access_point,
            limit=wish.limit, start=wish.start, by_count=wish.by_count,
        )  # fmt: skip
        if isinstance(found, Diagnostic):
            return to_sru(found)
        text, asked = request.given.get("query", ""), request.cql
        if asked is None:  # It was PQF; there is CQL for whatever PQF can say.
            asked = from_query(request.query)
            text = to_text(asked)
        return Facet(
            wish.field,
            [
                FacetTerm(
                    library(self._service, term.term).code
                    if wish.field.access_point == "possessing_institution"
                    else term.display,
                    term.count,
                    narrowed(text, asked, wish.field, term.term),
                )
                for term in found.terms
            ],
        )

    async def _counted(
        self, wished: FacetsRequest, databases: tuple[Database, ...], records: ResultSet
    ) -> Facet | SruFault:
        assert wished.count is not None  # noqa: S101 - the caller has looked
        query = Boolean(Operator.AND, ResultSetRef(_FOUND), wished.count)
        found = await self._service.catalogue.search(databases, query, {_FOUND: records})
        if isinstance(found, Diagnostic):
            return to_sru(found)
        return count_facet(wished, len(found))

    def _withheld(
        self,
        call: Call,
        request: SearchRetrieveRequest,
        reason: Diagnostic,
        total: int,
        principal: Principal,
    ) -> web.Response:
        """No record may be sent; where an account is missing, the client is asked for one."""
        if reason.condition != Bib1.SYNTAX_NOT_AUTHORISED:
            return self._failed(call, request, to_sru(reason), total)
        if not principal.anonymous:
            return self._failed(call, request, to_sru(reason), total, status=403)
        headers = challenge(call.http)
        return self._failed(call, request, to_sru(reason), total, status=401, headers=headers)

    @staticmethod
    def _failed(
        call: Call,
        request: SearchRetrieveRequest,
        fault: SruFault,
        number_of_records: int = 0,
        *,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
    ) -> web.Response:
        note_faults(call.http, (fault,))
        response = SearchRetrieveResponse(number_of_records=number_of_records, diagnostics=(fault,))
        return call.answer(
            search_response(request, response),
            media_type=request.media_type, status=status, headers=headers,
        )  # fmt: skip


def _records(
    items: Sequence[Item | MadeItem], first: int, schema: RecordSchema
) -> list[SruRecord | SurrogateDiagnostic]:
    records: list[SruRecord | SurrogateDiagnostic] = []
    for position, item in enumerate(items, first):
        if isinstance(item.content, Diagnostic):
            records.append(SurrogateDiagnostic(to_sru(item.content), position))
        else:
            assert item.record is not None  # noqa: S101 - a form was made of it
            number = item.record.control_number
            records.append(SruRecord(schema, item.content, position, identifier=number))
    return records

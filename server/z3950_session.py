"""What one Z39.50 client may ask and what it is answered: APDU in, APDU out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from metering.interface import Receipt
from protocol import apdu, rpn
from protocol.diagnostic import Bib1, Diagnostic
from protocol.oid import Oid
from server import z3950_es, z3950_forms
from server.access import Principal
from server.service import Service
from server.sessions import SessionInfo
from server.z3950_control import resource_report, triggered
from server.z3950_init import Negotiated, negotiate
from server.z3950_lists import scan, sort
from store.interface import ResultSet

RECORD_OVERHEAD_BYTES = 64  # name, tags and lengths around a record in a response
RESPONSE_OVERHEAD_BYTES = 256


@dataclass(frozen=True, slots=True)
class Answer:
    """A response and the ledger entries of the records in it, if any."""

    response: apdu.Apdu
    receipt: Receipt | None = None


class Z3950Session:
    """One Z-association as the server sees it: who it is, its result sets."""

    __slots__ = ("_info", "_negotiated", "_principal", "_service", "_sets")

    def __init__(self, service: Service, info: SessionInfo) -> None:
        self._service = service
        self._info = info
        self._principal = Principal()
        self._negotiated = Negotiated()
        self._sets: dict[str, ResultSet] = {}

    async def respond(self, request: apdu.Apdu) -> Answer | None:
        """The answer to `request`; None where the standard has none."""
        match request:
            case apdu.SearchRequest():
                return await self._search(request)
            case apdu.PresentRequest():
                return await self._present(request)
            case apdu.InitializeRequest():
                return await self._initialize(request)
            case apdu.ScanRequest():
                return Answer(await scan(self._service, request, self._negotiated))
            case apdu.SortRequest():
                return Answer(await sort(self._service, request, self._sets, self._room_for))
            case apdu.DeleteResultSetRequest():
                return Answer(self._delete(request))
            case apdu.ExtendedServicesRequest():
                return Answer(z3950_es.respond(self._service, self._principal, request))
            case apdu.ResourceReportRequest():
                return Answer(await resource_report(self._service, self._principal, request))
            case apdu.TriggerResourceControlRequest():
                report = await triggered(self._service, self._principal, request)
                return Answer(report) if report is not None else None
            case apdu.DuplicateDetectionRequest():
                return Answer(
                    apdu.DuplicateDetectionResponse(
                        reference_id=request.reference_id,
                        status=1,
                        diagnostics=(_bib1(Diagnostic(Bib1.DEDUP_CRITERION_UNSUPPORTED)),),
                    )
                )
            case _:  # responses to challenges and reports, which we never wait for
                return None

    # Init (Z39.50-2003 §3.2.1)

    async def _initialize(self, request: apdu.InitializeRequest) -> Answer:
        result = await negotiate(self._service, request, self._info.address)
        if result.principal is not None:
            self._principal = result.principal
            self._negotiated = result.negotiated
            self._info.account = result.principal.account
            self._info.institution = result.principal.institution
        return Answer(result.response)

    # Search (Z39.50-2003 §3.2.2)

    async def _search(self, request: apdu.SearchRequest) -> Answer:
        self._info.searches += 1
        found = await self._find(request)
        if isinstance(found, Diagnostic):
            if request.replace_indicator:
                self._sets.pop(request.result_set_name, None)
            return Answer(
                apdu.SearchResponse(
                    reference_id=request.reference_id,
                    result_count=0,
                    number_of_records_returned=0,
                    next_result_set_position=0,
                    search_status=False,
                    result_set_status=apdu.ResultSetStatus.NONE,
                    records=_bib1(found),
                )
            )
        self._sets[request.result_set_name] = found
        count, names = _piggyback(request, len(found))
        if count == 0:
            return Answer(
                apdu.SearchResponse(
                    reference_id=request.reference_id,
                    result_count=len(found),
                    number_of_records_returned=0,
                    next_result_set_position=1 if len(found) else 0,
                    search_status=True,
                )
            )
        presented = await self._records(
            found, ((1, count),), names, request.preferred_record_syntax
        )
        return Answer(
            apdu.SearchResponse(
                reference_id=request.reference_id,
                result_count=len(found),
                number_of_records_returned=presented.returned,
                next_result_set_position=presented.next_position,
                search_status=True,
                present_status=presented.status,
                records=presented.records,
            ),
            presented.receipt,
        )

    async def _find(self, request: apdu.SearchRequest) -> ResultSet | Diagnostic:
        name = request.result_set_name
        if name in self._sets and not request.replace_indicator:
            return Diagnostic(Bib1.RESULT_SET_EXISTS, name)
        refusal = self._room_for(name)
        if refusal is not None:
            return refusal
        databases = self._service.catalogue.resolve(request.database_names)
        if isinstance(databases, Diagnostic):
            return databases
        query = rpn.query_of(request.query, self._negotiated.term_charsets)
        if isinstance(query, Diagnostic):
            return query
        return await self._service.catalogue.search(databases, query, self._sets)

    def _room_for(self, name: str) -> Diagnostic | None:
        bound = self._service.config.z3950.result_sets_max
        if name not in self._sets and len(self._sets) >= bound:
            return Diagnostic(Bib1.TOO_MANY_RESULT_SETS, str(bound))
        return None

    # Present (Z39.50-2003 §3.2.3)

    async def _present(self, request: apdu.PresentRequest) -> Answer:
        self._info.presents += 1
        result_set = self._sets.get(request.result_set_id)
        ranges = (
            (request.result_set_start_point, request.number_of_records_requested),
            *((r.starting_position, r.number_of_records) for r in request.additional_ranges),
        )
        if result_set is None:
            presented = _failed(Diagnostic(Bib1.RESULT_SET_UNKNOWN, request.result_set_id))
        elif isinstance(request.record_composition, apdu.CompSpec):
            presented = _failed(Diagnostic(Bib1.COMP_SPEC_UNSUPPORTED))
        else:
            presented = await self._records(
                result_set, ranges, request.record_composition, request.preferred_record_syntax
            )
        return Answer(
            apdu.PresentResponse(
                reference_id=request.reference_id,
                number_of_records_returned=presented.returned,
                next_result_set_position=presented.next_position,
                present_status=presented.status,
                records=presented.records,
            ),
            presented.receipt,
        )

    async def _records(
        self,
        result_set: ResultSet,
        ranges: Sequence[tuple[int, int]],
        names: apdu.ElementSetNames | None,
        syntax: Oid | None,
    ) -> _Presented:
        form_of = self._service.forms.choose(syntax, names)
        if isinstance(form_of, Diagnostic):
            return _failed(form_of)
        wanted = sum(count for _, count in ranges)
        bound = self._service.config.z3950.present_records_max
        record_ids: list[int] = []
        for start, count in ranges:
            ids = result_set.ids(start, min(count, bound))
            if isinstance(ids, Diagnostic):
                return _failed(ids)
            record_ids.extend(ids)
        del record_ids[bound:]
        retrieved = await self._service.retrieve(
            self._principal, record_ids, form_of, "z3950", self._info.id, self._fits
        )
        if isinstance(retrieved, Diagnostic):
            return _failed(retrieved)
        returned = len(retrieved.items)
        self._info.records += returned
        last = ranges[-1][0] + ranges[-1][1] - 1 if returned == wanted else 0
        next_position = last + 1 if last else ranges[0][0] + returned
        return _Presented(
            returned,
            0 if next_position > len(result_set) else next_position,
            apdu.PresentStatus.SUCCESS if returned == wanted else apdu.PresentStatus.PARTIAL_2,
            z3950_forms.name_plus_records(retrieved.items, form_of),
            retrieved.receipt,
        )

    def _fits(self, content: bytes | Diagnostic, before: int) -> bytes | Diagnostic | None:
        """Hold a response to the negotiated message size (Z39.50-2003 §3.3)."""
        if content.__class__ is not bytes:
            return content
        size = len(content) + RECORD_OVERHEAD_BYTES
        negotiated = self._negotiated
        if before + size + RESPONSE_OVERHEAD_BYTES <= negotiated.preferred_message_size:
            return content
        if before:
            return None
        # A single record may be as large as the exceptional size.
        if size + RESPONSE_OVERHEAD_BYTES <= negotiated.exceptional_record_size:
            return content
        return Diagnostic(Bib1.RECORD_EXCEEDS_EXCEPTIONAL_SIZE, str(len(content)))

    # Delete (Z39.50-2003 §3.2.4)

    def _delete(self, request: apdu.DeleteResultSetRequest) -> apdu.DeleteResultSetResponse:
        success = apdu.DeleteSetStatus.SUCCESS
        if request.delete_function == apdu.DeleteFunction.ALL:
            self._sets.clear()
            return apdu.DeleteResultSetResponse(
                reference_id=request.reference_id, delete_operation_status=success
            )
        missing = apdu.DeleteSetStatus.RESULT_SET_DID_NOT_EXIST
        statuses = tuple(
            apdu.ListStatus(name, success if self._sets.pop(name, None) is not None else missing)
            for name in request.result_set_list
        )
        failed = any(status.status != success for status in statuses)
        return apdu.DeleteResultSetResponse(
            reference_id=request.reference_id,
            delete_operation_status=(
                apdu.DeleteSetStatus.NOT_ALL_REQUESTED_RESULT_SETS_DELETED if failed else success
            ),
            delete_list_statuses=statuses,
        )


@dataclass(frozen=True, slots=True)
class _Presented:
    returned: int
    next_position: int
    status: apdu.PresentStatus
    records: apdu.Records | None
    receipt: Receipt | None = None


def _failed(diagnostic: Diagnostic) -> _Presented:
    return _Presented(0, 0, apdu.PresentStatus.FAILURE, _bib1(diagnostic))


def _bib1(diagnostic: Diagnostic) -> apdu.DefaultDiagFormat:
    return apdu.DefaultDiagFormat.bib1(diagnostic.condition, diagnostic.addinfo)


def _piggyback(request: apdu.SearchRequest, hits: int) -> tuple[int, apdu.ElementSetNames | None]:
    """How many records come with the response, in which element set (§3.2.2.1.4)."""
    if hits <= request.small_set_upper_bound:
        return hits, request.small_set_element_set_names
    if hits < request.large_set_lower_bound:
        return (
            min(hits, max(0, request.medium_set_present_number)),
            request.medium_set_element_set_names,
        )
    return 0, None

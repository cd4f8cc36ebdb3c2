"""What one Z39.50 client may ask and what it is answered: APDU in, APDU out."""

from __future__ import annotations

from dataclasses import dataclass

from metering.interface import Receipt
from protocol import apdu, rpn
from protocol.diagnostic import Bib1, Diagnostic
from server import z3950_es, z3950_explain
from server.access import Principal
from server.service import Service
from server.sessions import SessionInfo
from server.z3950_control import resource_report, triggered
from server.z3950_init import Negotiated, negotiate
from server.z3950_lists import scan, sort
from server.z3950_present import Presented, Presenter, failed
from store.interface import ResultSet

RESULT_SET_NAME_CHARS_MAX = 256


@dataclass(frozen=True, slots=True)
class Answer:
    """A response and the ledger entries of the records in it, if any.

    `segments` go before it, in order; their records have the same receipt.
    """

    response: apdu.Apdu
    receipt: Receipt | None = None
    segments: tuple[apdu.Segment, ...] = ()

    @property
    def responses(self) -> tuple[apdu.Apdu, ...]:
        """All that is sent, in order."""
        return (*self.segments, self.response)


class Z3950Session:
    """One Z-association as the server sees it: who it is, its result sets."""

    __slots__ = ("_info", "_negotiated", "_presenter", "_principal", "_service", "_sets")

    def __init__(self, service: Service, info: SessionInfo) -> None:
        self._service = service
        self._info = info
        self._principal = Principal()
        self._negotiated = Negotiated()
        self._presenter = Presenter(service, self._principal, self._negotiated, info.id)
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
                return Answer(
                    await sort(self._service, request, self._negotiated, self._sets, self._room_for)
                )
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
                        diagnostics=(
                            apdu.DefaultDiagFormat.of(Diagnostic(Bib1.DEDUP_CRITERION_UNSUPPORTED)),
                        ),
                    )
                )
            case _:  # responses to challenges and reports, which we never wait for
                return None

    # Init (Z39.50-2003 §3.2.1)

    async def _initialize(self, request: apdu.InitializeRequest) -> Answer:
        result = await negotiate(self._service, request, self._info)
        if result.principal is not None:
            self._principal = result.principal
            self._negotiated = result.negotiated
            self._presenter = Presenter(
                self._service, result.principal, result.negotiated, self._info.id
            )
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
                    records=apdu.DefaultDiagFormat.of(found),
                )
            )
        self._sets[request.result_set_name] = found
        count, names = _piggyback(request, len(found))
        if count == 0:
            presented = _NOTHING_ASKED if len(found) else _NOTHING_THERE
        else:
            presented = await self._presenter.piggyback(
                found, count, names, request.preferred_record_syntax
            )
            self._info.records += presented.returned
        return Answer(
            apdu.SearchResponse(
                reference_id=request.reference_id,
                result_count=len(found),
                number_of_records_returned=presented.returned,
                next_result_set_position=presented.next_position,
                search_status=True,
                # There is one whenever the search succeeded (§3.2.2.1.11).
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
        if z3950_explain.is_asked(request.database_names):
            return z3950_explain.search(self._service, request, self._sets)
        databases = self._service.catalogue.resolve(request.database_names)
        if isinstance(databases, Diagnostic):
            return databases
        query = rpn.query_of(request.query, self._negotiated.charsets.terms)
        if isinstance(query, Diagnostic):
            return query
        return await self._service.catalogue.search(databases, query, self._sets)

    def _room_for(self, name: str) -> Diagnostic | None:
        if len(name) > RESULT_SET_NAME_CHARS_MAX:
            return Diagnostic(Bib1.ILLEGAL_RESULT_SET_NAME, f"{name[:40]}…")
        bound = self._service.config.z3950.result_sets_max
        if name not in self._sets and len(self._sets) >= bound:
            return Diagnostic(Bib1.TOO_MANY_RESULT_SETS, str(bound))
        return None

    # Present (Z39.50-2003 §3.2.3)

    async def _present(self, request: apdu.PresentRequest) -> Answer:
        self._info.presents += 1
        result_set = self._sets.get(request.result_set_id)
        if result_set is None:
            presented = failed(Diagnostic(Bib1.RESULT_SET_UNKNOWN, request.result_set_id))
        else:
            presented = await self._presenter.present(result_set, request)
            self._info.records += presented.returned
        return Answer(
            apdu.PresentResponse(
                reference_id=request.reference_id,
                number_of_records_returned=presented.returned,
                next_result_set_position=presented.next_position,
                present_status=presented.status,
                records=presented.records,
            ),
            presented.receipt,
            tuple(
                apdu.Segment(
                    reference_id=request.reference_id,
                    number_of_records_returned=len(segment),
                    segment_records=segment,
                )
                for segment in presented.segments
            ),
        )

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


# No record was asked for with a Search: all that was expected is there.
_NOTHING_ASKED = Presented(0, 1, apdu.PresentStatus.SUCCESS, None)
_NOTHING_THERE = Presented(0, 0, apdu.PresentStatus.SUCCESS, None)


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

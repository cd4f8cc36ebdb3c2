"""What one Z39.50 client may ask and what it is answered: APDU in, APDU out."""

from __future__ import annotations

from collections.abc import Sequence

from metering.interface import Delivery, MeteringError, Receipt
from protocol import apdu, rpn
from protocol.diagnostic import Bib1, Diagnostic
from protocol.frozen import frozen
from protocol.known_requests import KnownSearch
from protocol.usual_responses import before_record, no_records
from server.access_control.access import Principal, Standing
from server.access_control.databases import databases_for
from server.access_control.permissions import Operation, refusal, to_bib1
from server.access_control.sessions import SessionInfo
from server.delivery.retrieval import Chosen, withheld
from server.service import Service
from server.z3950 import es, explain
from server.z3950.control import resource_report, triggered
from server.z3950.forms import name_plus_records, octet_aligned_syntax
from server.z3950.init import Negotiated, negotiate
from server.z3950.lists import scan, sort
from server.z3950.present import Presented, Presenter, failed, next_position
from server.z3950.sets import too_large
from store.interface import ResultSet

RESULT_SET_NAME_CHARS_MAX = 256


@frozen
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


@frozen
class AnswerAtOnce:
    """An encoded response, to be sent when its deliveries are in the ledger."""

    data: bytes
    deliveries: Sequence[Delivery]
    request: apdu.SearchRequest | apdu.PresentRequest


class Z3950Session:
    """One Z-association as the server sees it: who it is, its result sets."""

    __slots__ = (
        "_bytes_max", "_info", "_negotiated", "_presenter", "_principal", "_searches", "_service",
        "_sets", "_standing",
    )  # fmt: skip

    def __init__(self, service: Service, info: SessionInfo) -> None:
        self._service = service
        self._info = info
        self._principal = Principal()
        self._standing = Standing(service.sign_in, self._principal, info.address)
        self._searches = service.searches.of(self._principal, info.protocol)
        self._negotiated = Negotiated()
        self._presenter = Presenter(service, self._principal, self._negotiated, info.id)
        self._sets: dict[str, ResultSet] = {}
        self._bytes_max = service.config.z3950.result_sets_bytes_max

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
                return Answer(await scan(self._service, request, self._negotiated, self._principal))
            case apdu.SortRequest():
                return Answer(
                    await sort(self._service, request, self._negotiated, self._sets, self._room_for)
                )
            case apdu.DeleteResultSetRequest():
                return Answer(self._delete(request))
            case apdu.ExtendedServicesRequest():
                return Answer(
                    await es.respond(self._service, self._principal, self._info.address, request)
                )
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

    def respond_at_once(self, request: apdu.PresentRequest | KnownSearch) -> AnswerAtOnce | None:
        """The answer to a Search or Present without a reference id that waits for nothing.

        None: `respond` must be asked; then nothing has been done. What is in
        `deliveries` may not be sent before it is in the ledger; if it cannot be
        entered, `withheld` is sent instead.
        """
        if self.refused() is not None:
            return None
        if isinstance(request, KnownSearch):
            return self._search_at_once(request)
        result_set = self._sets.get(request.result_set_id)
        if result_set is None or request.additional_ranges or request.max_segment_size:
            return None
        start = request.result_set_start_point
        chosen = self._presenter.choose_at_once(
            result_set, start, request.number_of_records_requested,
            request.record_composition, request.preferred_record_syntax,
        )  # fmt: skip
        if chosen is None:
            return None
        info, items = self._info, chosen.items
        returned = len(items)
        info.presents += 1
        info.records += returned
        self._service.counting.z3950_records.add(returned)
        position = next_position(start, returned, len(result_set))
        syntax = octet_aligned_syntax(chosen.form, items[0].record.database)
        if returned == 1 and syntax is not None:
            record, content = items[0].record, items[0].content
            data = before_record(record.database.name, syntax, len(content), position) + content
        else:
            data = apdu.encode(_present_response(request, _presented(chosen, position)))
        return AnswerAtOnce(data, chosen.deliveries, request)

    def _search_at_once(self, known: KnownSearch) -> AnswerAtOnce | None:
        request = known.shape.request
        service = self._service
        databases = databases_for(service.catalogue, request.database_names, self._principal)
        query = known.query(self._negotiated.charsets.terms)
        if (
            isinstance(databases, Diagnostic)
            or isinstance(query, Diagnostic)
            or self._refused(request) is not None
        ):
            return None
        found = service.catalogue.search_at_once(databases, query, self._sets)
        if found is None or isinstance(found, Diagnostic):
            return None
        if too_large(self._sets, request.result_set_name, found, self._bytes_max) is not None:
            return None
        hits = len(found)
        count, names = _piggyback(request, hits)
        deliveries: Sequence[Delivery] = ()
        if count:
            chosen = self._presenter.choose_at_once(
                found, 1, count, names, request.preferred_record_syntax
            )
            if chosen is None:
                return None
            presented = _presented(chosen, next_position(1, count, hits))
            data = apdu.encode(_search_response(request, hits, presented))
            deliveries = chosen.deliveries
        else:
            data = no_records(hits, 1 if hits else 0)
        self._sets[request.result_set_name] = found
        info = self._info
        info.searches += 1
        self._searches[request.database_names] += 1
        if count:
            info.records += count
            service.counting.z3950_records.add(count)
        return AnswerAtOnce(data, deliveries, request)

    def refused(self) -> Diagnostic | None:
        """Why the association must end before its next answer: the member is one no more."""
        return self._standing.refusal()

    def withheld(self, answer: AnswerAtOnce, error: MeteringError) -> apdu.Apdu:
        """What goes out instead of records that the ledger did not take."""
        request, presented = answer.request, failed(withheld(error))
        self._info.records -= len(answer.deliveries)
        self._service.counting.z3950_records.add(-len(answer.deliveries))
        if isinstance(request, apdu.PresentRequest):
            return _present_response(request, presented)
        hits = len(self._sets[request.result_set_name])
        return _search_response(request, hits, presented)

    # Init (Z39.50-2003 §3.2.1)

    async def _initialize(self, request: apdu.InitializeRequest) -> Answer:
        result = await negotiate(self._service, request, self._info)
        if result.principal is not None:
            self._principal = result.principal
            self._standing = Standing(self._service.sign_in, result.principal, self._info.address)
            self._searches = self._service.searches.of(result.principal, self._info.protocol)
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
        if not isinstance(found, Diagnostic):
            found = too_large(self._sets, request.result_set_name, found, self._bytes_max) or found
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
            self._service.counting.z3950_records.add(presented.returned)
        return Answer(_search_response(request, len(found), presented), presented.receipt)

    async def _find(self, request: apdu.SearchRequest) -> ResultSet | Diagnostic:
        refusal = self._refused(request)
        if refusal is not None:
            return refusal
        if explain.is_asked(request.database_names):
            return explain.search(self._service, request, self._sets)
        databases = databases_for(self._service.catalogue, request.database_names, self._principal)
        if isinstance(databases, Diagnostic):
            return databases
        query = rpn.query_of(request.query, self._negotiated.charsets.terms)
        if isinstance(query, Diagnostic):
            return query
        order = rpn.order_of(request.query, self._negotiated.charsets.terms)
        if isinstance(order, Diagnostic):
            return order
        self._searches[request.database_names] += 1
        found = await self._service.catalogue.search(databases, query, self._sets)
        if order and not isinstance(found, Diagnostic):
            return await self._service.catalogue.sort((found,), order)
        return found

    def _refused(self, request: apdu.SearchRequest) -> Diagnostic | None:
        """Why a Search may not be made, or not make the set that it names."""
        if not self._principal.may_search:
            refused = refusal(self._principal, Operation.SEARCH)
            return to_bib1(refused) if refused is not None else None
        name = request.result_set_name
        if name in self._sets:
            if not request.replace_indicator:
                return Diagnostic(Bib1.RESULT_SET_EXISTS, name)
            return None
        return self._room_for(name)

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
            self._service.counting.z3950_records.add(presented.returned)
        return Answer(
            _present_response(request, presented),
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


def _presented(chosen: Chosen, position: int) -> Presented:
    records = name_plus_records(chosen.items, chosen.form)
    return Presented(len(records), position, apdu.PresentStatus.SUCCESS, records)


def _search_response(
    request: apdu.SearchRequest, hits: int, presented: Presented
) -> apdu.SearchResponse:
    return apdu.SearchResponse(
        reference_id=request.reference_id,
        result_count=hits,
        number_of_records_returned=presented.returned,
        next_result_set_position=presented.next_position,
        search_status=True,
        # There is one whenever the search succeeded (§3.2.2.1.11).
        present_status=presented.status,
        records=presented.records,
    )


def _present_response(request: apdu.PresentRequest, presented: Presented) -> apdu.PresentResponse:
    return apdu.PresentResponse(
        reference_id=request.reference_id,
        number_of_records_returned=presented.returned,
        next_result_set_position=presented.next_position,
        present_status=presented.status,
        records=presented.records,
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

"""Records of a result set as responses: Present and piggyback (Z39.50-2003 §3.2.3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from metering.interface import Receipt
from protocol import apdu
from protocol.diagnostic import Bib1, Diagnostic
from protocol.explain_database import Entry
from protocol.frozen import frozen
from protocol.oid import Oid
from server.access_control.access import Principal
from server.delivery.retrieval import Chosen, RecordForm, choose_at_once
from server.service import Service
from server.z3950 import explain
from server.z3950.composition import UTF_8, Composition, composition
from server.z3950.explain import ExplainSet
from server.z3950.init import Negotiated
from server.z3950.sizes import Packing, Sizes, sizes_of
from store.interface import ResultSet
from store.result_set import RecordSet

AT_ONCE_RECORDS_MAX = 20
FORMS_KEPT_MAX = 32


@frozen
class Presented:
    """What a request for records came to.

    `segments` go before the response that ends the operation, which has
    `records`; `returned` counts the records of all of them.
    """

    returned: int
    next_position: int
    status: apdu.PresentStatus
    records: apdu.Records | None
    segments: tuple[tuple[apdu.NamePlusRecord, ...], ...] = ()
    receipt: Receipt | None = None


def failed(diagnostic: Diagnostic) -> Presented:
    """No record, and why."""
    return Presented(
        0,
        0,
        apdu.PresentStatus.FAILURE,
        apdu.DefaultDiagFormat.of(diagnostic),
    )


@dataclass(frozen=True, slots=True)
class Presenter:
    """Whom records are given to, over what association."""

    service: Service
    principal: Principal
    negotiated: Negotiated
    session: str
    _forms: dict[tuple[str | None, Oid | None], RecordForm | None] = field(
        default_factory=dict, init=False
    )

    async def piggyback(
        self,
        result_set: ResultSet,
        count: int,
        names: apdu.ElementSetNames | None,
        syntax: Oid | None,
    ) -> Presented:
        """The first `count` records, to go with a SearchResponse.

        That is one message, and no record in it is exceptional (§3.2.2.1.6).
        """
        sizes = Sizes(
            self.negotiated.preferred_message_size, self.negotiated.exceptional_record_size
        )
        return await self._records(result_set, ((1, count),), names, syntax, sizes)

    async def present(self, result_set: ResultSet, request: apdu.PresentRequest) -> Presented:
        """The records that a Present asks for, in segments where that was agreed on."""
        negotiated = self.negotiated
        sizes = sizes_of(
            request,
            negotiated.segmentation_level,
            negotiated.preferred_message_size,
            negotiated.exceptional_record_size,
        )
        if isinstance(sizes, Diagnostic):
            return failed(sizes)
        ranges = (
            (request.result_set_start_point, request.number_of_records_requested),
            *(
                (each.starting_position, each.number_of_records)
                for each in request.additional_ranges
            ),
        )
        return await self._records(
            result_set, ranges, request.record_composition, request.preferred_record_syntax, sizes
        )

    def choose_at_once(
        self,
        result_set: ResultSet,
        start: int,
        count: int,
        names: apdu.RecordComposition | None,
        syntax: Oid | None,
    ) -> Chosen | None:
        """A few whole records for one message, which need nothing that takes time.

        None: `present` or `piggyback` must be asked.
        """
        bound = min(AT_ONCE_RECORDS_MAX, self.service.config.z3950.present_records_max)
        if count > bound or not isinstance(result_set, RecordSet):
            return None
        if start < 1 or count < 1 or start + count - 1 > len(result_set):
            return None
        form = self._usual_form(names, syntax)
        record_ids = result_set.ids(start, count)
        if form is None or isinstance(record_ids, Diagnostic):
            return None
        return choose_at_once(
            self.service.catalogue, self.principal, record_ids, form,
            self.negotiated.preferred_message_size, "z3950", self.session,
        )  # fmt: skip

    def _usual_form(
        self, names: apdu.RecordComposition | None, syntax: Oid | None
    ) -> RecordForm | None:
        """The form of all records, in UTF-8; None where it differs or there is none."""
        if names is not None and not isinstance(names, str):
            return None
        wish = (names, syntax)
        if wish not in self._forms:
            if len(self._forms) >= FORMS_KEPT_MAX:
                self._forms.clear()
            wanted = composition(
                self.service.forms, self.service.catalogue, names, syntax,
                self.negotiated.charsets.records,
            )  # fmt: skip
            form = None
            if isinstance(wanted, Composition) and wanted.charset == UTF_8:
                form = wanted.form if isinstance(wanted.form, RecordForm) else None
            self._forms[wish] = form
        return self._forms[wish]

    async def _records(
        self,
        result_set: ResultSet,
        ranges: Sequence[tuple[int, int]],
        names: apdu.RecordComposition | None,
        syntax: Oid | None,
        sizes: Sizes,
    ) -> Presented:
        if isinstance(result_set, ExplainSet):
            bound = self.service.config.z3950.present_records_max
            return _explained(result_set, ranges, syntax, sizes, bound)
        service = self.service
        wanted_form = composition(
            service.forms, service.catalogue, names, syntax, self.negotiated.charsets.records
        )
        if isinstance(wanted_form, Diagnostic):
            return failed(wanted_form)
        bound = service.config.z3950.present_records_max
        record_ids = _record_ids(result_set, ranges, bound)
        if isinstance(record_ids, Diagnostic):
            return failed(record_ids)
        packing = Packing(sizes)
        retrieved = await service.retrieve(
            self.principal, record_ids, wanted_form.form, "z3950", self.session, packing.fits
        )
        if isinstance(retrieved, Diagnostic):
            return failed(retrieved)
        returned = len(retrieved.items)
        if returned == sum(count for _, count in ranges):
            status = apdu.PresentStatus.SUCCESS
        elif returned == len(record_ids) or packing.exhausted:
            status = apdu.PresentStatus.PARTIAL_4  # more than we give at once
        else:
            status = apdu.PresentStatus.PARTIAL_2
        *segments, last = packing.segments(wanted_form.records(retrieved.items))
        return Presented(
            returned,
            _next_position(ranges, returned, len(result_set)),
            status,
            last,
            tuple(segments),
            retrieved.receipt,
        )


def _explained(
    result_set: ExplainSet,
    ranges: Sequence[tuple[int, int]],
    syntax: Oid | None,
    sizes: Sizes,
    bound: int,
) -> Presented:
    """Explain records: never counted, and the same in every element set."""
    chosen: list[Entry] = []
    for start, count in ranges:
        if start < 1 or count < 0 or start + count - 1 > len(result_set):
            return failed(Diagnostic(Bib1.PRESENT_OUT_OF_RANGE, str(start)))
        chosen += result_set.found[start - 1 : start - 1 + min(count, bound - len(chosen))]
    packing = Packing(sizes)
    records: list[apdu.NamePlusRecord] = []
    size = 0
    for entry in chosen:
        external = explain.external(entry, syntax)
        if isinstance(external, Diagnostic):
            return failed(external)
        content = packing.fits(external.data, size)
        if content is None:
            break
        size += len(external.data)
        records.append(explain.named(external, content))
    complete = len(records) == sum(count for _, count in ranges)
    *segments, last = packing.segments(records)
    return Presented(
        len(records),
        _next_position(ranges, len(records), len(result_set)),
        apdu.PresentStatus.SUCCESS if complete else apdu.PresentStatus.PARTIAL_2,
        last,
        tuple(segments),
    )


def _record_ids(
    result_set: ResultSet, ranges: Sequence[tuple[int, int]], bound: int
) -> list[int] | Diagnostic:
    """The ids of all ranges in order, `bound` at most; a range outside the set is Bib-1 13."""
    record_ids: list[int] = []
    for start, count in ranges:
        if start < 1 or count < 0 or start + count - 1 > len(result_set):
            return Diagnostic(Bib1.PRESENT_OUT_OF_RANGE, str(start))
        ids = result_set.ids(start, min(count, bound - len(record_ids)))
        if isinstance(ids, Diagnostic):
            return ids
        record_ids.extend(ids)
    return record_ids


def next_position(start: int, returned: int, size: int) -> int:
    """As `_next_position` of one range that was given whole."""
    position = start + returned
    return position if position <= size else 0


def _next_position(ranges: Sequence[tuple[int, int]], returned: int, size: int) -> int:
    """The position after the last record returned; 0 past the end of the set (§3.2.2.1.9)."""
    position = ranges[0][0]
    for start, count in ranges:
        if returned <= 0:
            break
        position = start + min(returned, count)
        returned -= count
    return position if position <= size else 0

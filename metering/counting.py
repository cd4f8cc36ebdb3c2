"""The counting rules: which meter an entry moves, and by how much; see docs/counting-rules.md.

| fact | counts |
|---|---|
| delivery | 1 download; or 1 repeat when a billed delivery of the same record to the same institution lies within the repeat window and was not void before |
| void | takes back what its delivery counted, in that delivery's year |
| holding added | 1 holding, once per institution, record and year |
| holding removed | takes back the holding counted in the same year; else 0 |
| batch delivery | 1 batch record, apart from downloads and without a repeat rule |
| upload | 1 upload of its item, once per record; 0 while an earlier one stands |
| cover | 1 cover of its item, likewise |
| upload reversed | takes back what the upload or cover counted, if that was in the same year; else 0 |
| correction | what it says |
| audit | 0 |
"""  # noqa: E501

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec

from metering.entry import (
    AT_US_MAX,
    Draft,
    Kind,
    Meter,
    accounting_day,
    day_span_us,
    year_span_us,
)
from metering.interface import MeteringError
from metering.ledger_lookup import Lookup
from metering.ledger_page import entry as entry_of
from metering.recent import Key, RecentDeliveries

RepeatWindow = int | Literal["day", "year"]
HoldingRemoval = Literal["takes_back", "keeps"]
UploadReversal = Literal["same_year", "always", "never"]


@dataclass(frozen=True, slots=True)
class CountingRules:
    """What of the table above an agreement may say otherwise.

    `repeat_window`: when a delivery repeats a billed one, in seconds, or the same
    day or year. 30 is the double-click rule of COUNTER; 0 bills every delivery. Days
    and years are those of Asia/Shanghai. A window in seconds reaches both ways, so
    that a clock set back by a little does not bill a repeat.

    `holding_removal`: whether a holding removed in the year it was added is taken
    back from H or kept.

    `upload_reversal`: whether a reversal takes back an upload of its own year alone,
    of any year, or none. It always counts in its own year.
    """

    repeat_window: RepeatWindow = 30
    holding_removal: HoldingRemoval = "takes_back"
    upload_reversal: UploadReversal = "same_year"

    def __post_init__(self) -> None:
        if isinstance(self.repeat_window, int) and self.repeat_window < 0:
            raise ValueError(f"a repeat window of {self.repeat_window} s")

    def repeat_span_us(self, at_us: int) -> tuple[int, int] | None:
        """First and last moment of a billed delivery that one at `at_us` would repeat."""
        window = self.repeat_window
        if window == "day":
            return day_span_us(at_us)
        if window == "year":
            return year_span_us(at_us)
        if window == 0:
            return None
        return at_us - window * 1_000_000, at_us + window * 1_000_000


class Counted(msgspec.Struct, frozen=True, gc=False):
    """A draft with what it counts and where; the ledger adds place and hash."""

    draft: Draft
    institution: str
    record_id: int
    database: str
    control_number: str
    meter: Meter
    quantity: int
    year: int
    day: int
    refers_to: str
    item: str


class Counter:
    """Counts one batch of drafts, each as if those before it were in the ledger already."""

    def __init__(
        self, lookup: Lookup, rules: CountingRules, recent: RecentDeliveries | None = None
    ) -> None:
        """`lookup` is inside the transaction that the figures shall belong to.

        `recent`, if given, is true of the ledger as it is.
        """
        self._lookup = lookup
        self._rules = rules
        self._recent = recent
        # What the batch changes in `recent`, once it is stored.
        self.newly_billed: list[tuple[Key, int, str]] = []
        self.newly_voided: dict[str, int] = {}  # when, by id of the delivery
        self._deliveries: list[Draft] = []  # of the batch
        self._delivered = 0  # how many of them are counted
        self._places: dict[str, int] = {}  # in `_deliveries`; filled when a void asks
        self._repeats: set[str] = set()
        self._counted: dict[str, Counted] = {}
        # (at_us, id) in ledger order: before the batch, and of the batch.
        self._billed_before: Mapping[Key, Sequence[tuple[int, str]]] = {}
        self._billed: dict[Key, list[tuple[int, str]]] = {}
        # When deliveries were voided, as far as this batch has to know.
        self._voided_us: dict[str, int] = {}
        self._held: dict[tuple[str, int, int], int] = {}
        self._standing: dict[tuple[int, Meter], int] = {}
        self._reversed: set[str] = set()

    def count_all(self, drafts: Sequence[Draft]) -> Iterator[Counted | None]:
        """What each draft counts; None: it takes back what is taken back or was never stored.

        To be called once.

        Raises:
            MeteringError: a correction refers to an entry that does not exist, a void
                or reversal to one of another kind than it takes back, or a time is
                outside the years 1970 to 9999.
        """
        self.look_up_billed(drafts)
        for draft in drafts:
            yield self.count(draft)

    def count(self, draft: Draft) -> Counted | None:
        """As `count_all`, for one draft after another, once `look_up_billed` knows them all."""
        check_time(draft)
        counted: Counted | None
        if draft.kind is Kind.DELIVERY:
            repeated = self.repeated(draft)
            return _of_itself(draft, Meter.REPEAT if repeated else Meter.DOWNLOAD, 1, repeated)
        if draft.kind is Kind.VOID:
            counted = self._void(draft)
        elif draft.kind is Kind.CORRECTION:
            counted = self._correction(draft)
        elif draft.kind is Kind.AUDIT:
            counted = _of_itself(draft, Meter.NONE, 0)
        elif draft.kind is Kind.BATCH:
            counted = _of_itself(draft, Meter.BATCH, 1)
        elif draft.kind is Kind.UPLOAD:
            counted = self._upload(draft, Meter.UPLOAD)
        elif draft.kind is Kind.COVER:
            counted = self._upload(draft, Meter.COVER)
        elif draft.kind is Kind.UPLOAD_REVERSED:
            counted = self._reversal(draft)
        else:
            counted = self._holding(draft)
        if counted is not None:
            self._counted[draft.id] = counted
        return counted

    def look_up_billed(self, drafts: Sequence[Draft]) -> None:
        """Fetch the billed deliveries in the ledger that those among `drafts` may repeat."""
        delivery = Kind.DELIVERY
        deliveries = self._deliveries = [draft for draft in drafts if draft.kind is delivery]
        times_us = [draft.at_us for draft in deliveries if 0 <= draft.at_us < AT_US_MAX]
        if not times_us:
            return
        earliest = self._rules.repeat_span_us(min(times_us))
        latest = self._rules.repeat_span_us(max(times_us))
        if earliest is None or latest is None:
            return
        first_us = max(0, earliest[0])
        last_us = min(AT_US_MAX, latest[1])
        if self._recent is not None and first_us >= self._recent.since_us:
            self._billed_before = self._recent.billed
            self._voided_us |= self._recent.voided_us
            return
        keys = {(draft.institution, draft.record_id) for draft in deliveries}
        before: dict[Key, list[tuple[int, str]]] = {}
        for billed in self._lookup.billed(keys, first_us, last_us):
            key = (billed.institution, billed.record_id)
            before.setdefault(key, []).append((billed.at_us, billed.id))
            voided_us = self._lookup.voided_us(*key, billed.id)
            if voided_us is not None:
                self._voided_us[billed.id] = voided_us
        self._billed_before = before

    def repeated(self, draft: Draft) -> str:
        """Count a delivery: the id of the billed one that it repeats; "": it is billed."""
        self._delivered += 1
        key = (draft.institution, draft.record_id)
        before = self._billed_before.get(key)
        billed = self._billed.get(key)
        if before or billed:
            repeated = self._repeated(draft, billed or (), before or ())
            if repeated:
                self._repeats.add(draft.id)
                return repeated
        if billed:
            billed.append((draft.at_us, draft.id))
        else:
            self._billed[key] = [(draft.at_us, draft.id)]
        self.newly_billed.append((key, draft.at_us, draft.id))
        return ""

    def _repeated(
        self, draft: Draft, billed: Sequence[tuple[int, str]], before: Sequence[tuple[int, str]]
    ) -> str:
        span = self._rules.repeat_span_us(draft.at_us)
        if span is not None:
            first_us, last_us = span
            for some in (billed, before):
                for billed_us, entry_id in reversed(some):
                    # By the time of the void and not by when it is folded.
                    if (
                        first_us <= billed_us <= last_us
                        and self._voided_us.get(entry_id, AT_US_MAX) >= draft.at_us
                    ):
                        return entry_id
        return ""

    def _void(self, draft: Draft) -> Counted | None:
        target = self._target(draft)
        if target is None or draft.refers_to in self._voided_us:
            return None
        if target.draft.kind not in (Kind.DELIVERY, Kind.BATCH):
            raise MeteringError(f"entry {draft.id} voids {draft.refers_to}, which is no delivery")
        voided = (target.institution, target.record_id, draft.refers_to)
        if self._lookup.voided_us(*voided) is not None:
            return None
        self._voided_us[draft.refers_to] = draft.at_us
        self.newly_voided[draft.refers_to] = draft.at_us
        return _of_target(draft, target, target.meter, -target.quantity)

    def _holding(self, draft: Draft) -> Counted:
        year, _ = accounting_day(draft.at_us)
        key = (draft.institution, draft.record_id, year)
        held = self._held.get(key)
        if held is None:
            held = self._lookup.held(*key)
        if draft.kind is Kind.HOLDING_ADDED:
            now = 1
        else:
            now = 0 if self._rules.holding_removal == "takes_back" else held
        self._held[key] = now
        return _of_itself(draft, Meter.HOLDING, now - held)

    def _upload(self, draft: Draft, meter: Meter) -> Counted:
        standing = self._stands(draft.record_id, meter)
        quantity = 0 if standing > 0 else 1
        self._standing[draft.record_id, meter] = standing + quantity
        return _of_itself(draft, meter, quantity)

    def _stands(self, record_id: int, meter: Meter) -> int:
        """How many uploads of a record count and were not reversed, whoever made them."""
        standing = self._standing.get((record_id, meter))
        if standing is None:
            standing = self._lookup.standing(record_id, meter)
        return standing

    def _reversal(self, draft: Draft) -> Counted | None:
        target = self._target(draft)
        if target is None or draft.refers_to in self._reversed:
            return None
        if target.draft.kind not in (Kind.UPLOAD, Kind.COVER):
            raise MeteringError(f"entry {draft.id} reverses {draft.refers_to}, which is no upload")
        if self._lookup.reversed(target.record_id, draft.refers_to):
            return None
        self._reversed.add(draft.refers_to)
        year, day = accounting_day(draft.at_us)
        policy = self._rules.upload_reversal
        takes_back = policy == "always" or (policy == "same_year" and year == target.year)
        quantity = -target.quantity if takes_back else 0
        key = (target.record_id, target.meter)
        self._standing[key] = self._stands(*key) + quantity
        return Counted(
            draft, target.institution, target.record_id, target.database, target.control_number,
            target.meter, quantity, year, day, draft.refers_to, target.item,
        )  # fmt: skip

    def _correction(self, draft: Draft) -> Counted:
        target = self._target(draft)
        if target is None:
            raise MeteringError(f"entry {draft.id} corrects {draft.refers_to!r}, which is unknown")
        return _of_target(draft, target, draft.meter, draft.quantity)

    def _target(self, draft: Draft) -> Counted | None:
        counted = self._counted.get(draft.refers_to)
        if counted is not None:
            return counted
        if not self._places:
            self._places = {each.id: place for place, each in enumerate(self._deliveries)}
        place = self._places.get(draft.refers_to)
        if place is not None and place < self._delivered:
            meter = Meter.REPEAT if draft.refers_to in self._repeats else Meter.DOWNLOAD
            return _of_itself(self._deliveries[place], meter, 1)
        contents = self._lookup.one(draft.refers_to)
        if contents is None:
            return None
        entry = entry_of(contents, b"", b"")
        return Counted(
            Draft(id=entry.id, kind=entry.kind, at_us=entry.at_us),
            entry.institution, entry.record_id, entry.database, entry.control_number,
            entry.meter, entry.quantity, entry.year, entry.day, entry.refers_to, entry.item,
        )  # fmt: skip


def check_time(draft: Draft) -> None:
    """Raises MeteringError for a time outside the years 1970 to 9999."""
    if not 0 <= draft.at_us < AT_US_MAX:
        raise MeteringError(f"entry {draft.id}: its time is {draft.at_us} µs")


def _of_itself(draft: Draft, meter: Meter, quantity: int, refers_to: str = "") -> Counted:
    year, day = accounting_day(draft.at_us)
    return Counted(
        draft, draft.institution, draft.record_id, draft.database, draft.control_number,
        meter, quantity, year, day, refers_to or draft.refers_to, draft.item,
    )  # fmt: skip


def _of_target(draft: Draft, target: Counted, meter: Meter, quantity: int) -> Counted:
    return Counted(
        draft, target.institution, target.record_id, target.database, target.control_number,
        meter, quantity, target.year, target.day, draft.refers_to, draft.item or target.item,
    )  # fmt: skip

"""A member's ledger entries as a list of its pages: which are wanted, a page of them, a file."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from urllib.parse import urlencode

from metering.entry import Entry, Meter, span_of_day_us
from metering.ledger import Ledger
from metering.ledger_listing import Selection

PAGE_LINES = 100
# One look may take so long; what is rare among many entries is found in several.
LOOK_MAX_S = 0.15
METERS = (Meter.DOWNLOAD, Meter.REPEAT, Meter.HOLDING, Meter.BATCH, Meter.UPLOAD, Meter.COVER)
_NUMBER_CHARS_MAX = 64


class FilterError(ValueError):
    """What was typed means nothing; `field` names the control, `key` the text that says why."""

    def __init__(self, field: str, key: str) -> None:
        super().__init__(f"{field}: {key}")
        self.field = field
        self.key = key


@dataclass(frozen=True, slots=True)
class Filter:
    """What a member wants to see: days are of China, both ends included; "": any."""

    first: str = ""
    last: str = ""
    meter: str = ""
    record: str = ""  # a control number

    @classmethod
    def read(cls, query: Mapping[str, str]) -> Filter:
        """From an address.

        Raises:
            FilterError: a day that is none, days the wrong way round, an unknown meter.
        """
        wanted = cls(
            query.get("from", "").strip(), query.get("to", "").strip(),
            query.get("meter", "").strip(), query.get("record", "").strip()[:_NUMBER_CHARS_MAX],
        )  # fmt: skip
        for field, day in (("from", wanted.first), ("to", wanted.last)):
            if day and _number(day) is None:
                raise FilterError(field, "my.no_day")
        if wanted.first and wanted.last and wanted.first > wanted.last:
            raise FilterError("to", "my.days_reversed")
        if wanted.meter and wanted.meter not in METERS:
            raise FilterError("meter", "my.no_meter")
        return wanted

    def query(self, **more: str) -> str:
        """The address's query that means this."""
        pairs = {"from": self.first, "to": self.last, "meter": self.meter, "record": self.record}
        return urlencode({name: value for name, value in {**pairs, **more}.items() if value})

    def selection(self, institution: str) -> Selection:
        """The entries of the institution that are wanted, the oldest first."""
        first, last = _number(self.first), _number(self.last)
        return Selection(
            institution=institution,
            control_number=self.record or None,
            meter=Meter(self.meter) if self.meter else None,
            from_us=span_of_day_us(first)[0] if first else None,
            until_us=span_of_day_us(last)[1] if last else None,
        )


@dataclass(frozen=True, slots=True)
class Lines:
    """A page of entries, the newest first.

    `before` is the number to go on before, 0: there are no more. A look that took
    too long ends at `seen_us` (UTC); None: it did not.
    """

    entries: Sequence[Entry]
    before: int
    seen_us: int | None = None


def page_of(
    ledger: Ledger,
    wanted: Filter,
    institution: str,
    before: int = 0,
    clock: Callable[[], float] = time.monotonic,
) -> Lines:
    """The newest entries that are wanted, or those older than the entry `before`.

    Raises:
        MeteringError: the ledger cannot be read.
    """
    whole = wanted.selection(institution)
    # What cannot be a delivery is asked of the rows alone. Else everything is, and chosen
    # from here: a look among many deliveries ends in time.
    in_rows = not whole.may_be_in_pages
    every = Selection(
        institution=institution, from_us=whole.from_us, until_us=whole.until_us,
        meter=whole.meter if in_rows else None,
        up_to=before - 1 if before > 0 else None, newest_first=True,
    )  # fmt: skip
    end_s = clock() + LOOK_MAX_S
    found: list[Entry] = []
    for entry in ledger.entries(selection=every):
        if len(found) == PAGE_LINES:
            return Lines(found, found[-1].seq)
        if whole.meter in (None, entry.meter) and whole.control_number in (
            None, entry.control_number,
        ):  # fmt: skip
            found.append(entry)
        if clock() > end_s:
            return Lines(found, entry.seq, entry.at_us)
    return Lines(found, 0)


def _number(day: str) -> int | None:
    """2026-01-31 as 20260131; None: it is no day."""
    try:
        found = date.fromisoformat(day)
    except ValueError:
        return None
    if found.year < 1970:
        return None
    return found.year * 10_000 + found.month * 100 + found.day

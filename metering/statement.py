"""A member's statement of a year: what it bills, month by month and entry by entry.

The forms (`statement_html` and its siblings) only show what is here. Nothing in a
statement tells when it was made, so the same settlement gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from metering.entry import Entry, Meter
from metering.ledger import Ledger
from metering.ledger_listing import Selection
from metering.settlement import Settlements
from metering.settlement_bill import PARTNER
from metering.settlement_store import Settlement
from protocol.china_time import CHINA_OFFSET, china_clock

Progress = Callable[[int], object]


@dataclass(frozen=True, slots=True)
class Remittance:
    """Who asks for the money, where it goes, and who answers questions; empty: left out."""

    issuer: str = ""
    payee: str = ""
    bank: str = ""
    bank_code: str = ""
    account_number: str = ""
    contact: str = ""
    phone: str = ""
    email: str = ""
    address: str = ""
    remark: str = ""
    due_days: int = 30  # after the settlement, for what is owed to the issuer


@dataclass(slots=True)
class Month:
    """What the entries of one month add up to."""

    holdings: int = 0
    downloads: int = 0
    repeats: int = 0
    batch: int = 0
    uploads: int = 0
    covers: int = 0

    def add(self, meter: Meter, quantity: int) -> None:
        name = _MONTH_FIELDS.get(meter)
        if name is not None:
            setattr(self, name, getattr(self, name) + quantity)


_MONTH_FIELDS = {
    Meter.HOLDING: "holdings",
    Meter.DOWNLOAD: "downloads",
    Meter.REPEAT: "repeats",
    Meter.BATCH: "batch",
    Meter.UPLOAD: "uploads",
    Meter.COVER: "covers",
}
MONTH_COLUMNS = ("holdings", "downloads", "repeats", "batch", "uploads", "covers")


class StatementLine(NamedTuple):
    """One ledger entry, with the document that counts it first ("": none yet).

    `institution` is another one's where the member has a part in the price of its uploads.
    """

    document: str
    seq: int
    institution: str
    time: str  # in China, to the second
    kind: str
    meter: str
    quantity: int
    item: str
    database: str
    control_number: str
    record_id: int
    account: str
    protocol: str
    session: str
    refers_to: str
    note: str
    id: str
    hash: str


@dataclass(frozen=True, slots=True)
class _Window:
    """The entries of a year that a document counts and its predecessor did not."""

    document: str
    year: int
    after_seq: int
    last_seq: int
    shared: frozenset[str]  # items that others' entries are wanted of


@dataclass(frozen=True, slots=True)
class Statement:
    """What the forms show. Money is in fen, positive when the member owes it."""

    institution: str
    name: str
    year: int
    documents: tuple[Settlement, ...]  # one estimate, one draft, or the final and its notes
    remittance: Remittance
    months: tuple[Month, ...]  # January to December
    entry_count: int
    _windows: tuple[_Window, ...] = field(repr=False)
    _ledger: Ledger = field(repr=False)

    @property
    def main(self) -> Settlement:
        """The document of the year itself; the others are notes."""
        return next(each for each in self.documents if each.status != "note")

    @property
    def current(self) -> Settlement:
        """The last document about the year: it has the figures as they stand with all notes."""
        return [each for each in self.documents if each.year == self.year][-1]

    @property
    def is_estimate(self) -> bool:
        """Whether later entries still change it."""
        return self.main.status != "final"

    @property
    def receivable_fen(self) -> int:
        return sum(document.receivable_fen for document in self.documents)

    @property
    def payable_fen(self) -> int:
        return sum(document.payable_fen for document in self.documents)

    @property
    def net_fen(self) -> int:
        return self.receivable_fen - self.payable_fen

    @property
    def dated(self) -> datetime:
        """When its last document was made, UTC; of an estimate the beginning of the year."""
        made_us = max(document.made_us for document in self.documents)
        if made_us == 0:
            return datetime(self.year, 1, 1, tzinfo=UTC)
        return datetime.fromtimestamp(made_us // 1_000_000, UTC)

    @property
    def due(self) -> str:
        """The last day to pay, in China; "" when nothing is owed or it is no final yet."""
        if self.is_estimate or self.net_fen <= 0:
            return ""
        day = self.dated + CHINA_OFFSET + timedelta(days=self.remittance.due_days)
        return f"{day:%Y-%m-%d}"

    def lines(self, progress: Progress | None = None) -> Iterator[StatementLine]:
        """Every entry that the documents count, in the order of the ledger.

        `progress` is told now and then how many there were.
        """
        number = 0
        for window in self._windows:
            for entry in _entries(self._ledger, self.institution, window):
                yield _line(window.document, entry)
                number += 1
                if progress is not None and number % 1_000 == 0:
                    progress(number)


def build(
    ledger: Ledger,
    settlements: Settlements,
    institution: str,
    name: str,
    year: int,
    remittance: Remittance,
) -> Statement:
    """The statement of one member's year: of its settlement, its draft, or an estimate.

    Raises:
        MeteringError: the ledger cannot be read.
    """
    documents = settlements.billed_with(year, institution)
    if not any(document.status == "final" for document in documents):
        documents = settlements.drafts(year, institution)[-1:] or settlements.estimates(
            year, institution
        )
    windows = tuple(_windows(settlements, documents))
    months = tuple(Month() for _ in range(12))
    count = 0
    for window in windows:
        for entry in _entries(ledger, institution, window):
            count += 1
            if entry.year == year and entry.institution == institution:
                months[entry.day // 100 % 100 - 1].add(entry.meter, entry.quantity)
    return Statement(
        institution, name, year, tuple(documents), remittance, months, count, windows, ledger
    )


def _windows(settlements: Settlements, documents: list[Settlement]) -> Iterator[_Window]:
    for document in documents:
        after = 0
        if document.status == "note":
            earlier = settlements.documents(document.year, document.institution)
            numbers = [each.number for each in earlier]
            after = earlier[numbers.index(document.number) - 1].ledger_seq
        shared = frozenset(
            line.item.removesuffix(PARTNER) for line in document.lines if line.is_share
        )
        yield _Window(document.number, document.year, after, document.ledger_seq, shared)


def _entries(ledger: Ledger, institution: str, window: _Window) -> Iterator[Entry]:
    selection = Selection(
        institution=None if window.shared else institution, year=window.year,
        after=window.after_seq, up_to=window.last_seq,
    )  # fmt: skip
    for entry in ledger.entries(selection=selection):
        if entry.institution == institution or entry.item in window.shared:
            yield entry


def _line(document: str, entry: Entry) -> StatementLine:
    return StatementLine(
        document, entry.seq, entry.institution, china_clock(entry.at_us), entry.kind.value,
        entry.meter.value,
        entry.quantity, entry.item, entry.database, entry.control_number, entry.record_id,
        entry.account, entry.protocol, entry.session, entry.refers_to, entry.note, entry.id,
        entry.hash.hex(),
    )  # fmt: skip

"""What a member says of its holdings: which record, and what it has of it.

A statement may be silent about some of it: a list of ISBNs says nothing of call
numbers, and takes none away.
"""

from __future__ import annotations

from protocol.frozen import frozen
from protocol.record import Holding

TEXT_CHARS_MAX = 300  # of a call number, a location or an extent
NOTE_CHARS_MAX = 1000
BARCODE_CHARS_MAX = 64
BARCODES_MAX = 2000  # of one library and record
COPIES_MAX = 999_999
_JOIN = "; "


@frozen
class RecordName:
    """How the record is named; what is empty is not said.

    `control_number` is its 001. `numbers` are numbers of other systems as 035 has
    them, `(PKU)12345`; `local_number` is the member's own without that prefix.
    """

    control_number: str = ""
    database: str = ""
    numbers: tuple[str, ...] = ()
    local_number: str = ""
    isbn: str = ""
    issn: str = ""

    @property
    def is_empty(self) -> bool:
        return not (
            self.control_number or self.numbers or self.local_number or self.isbn or self.issn
        )

    def __str__(self) -> str:
        """What was named, as reports show it."""
        said = (self.control_number, *self.numbers, self.local_number, self.isbn, self.issn)
        text = next(filter(None, said), "")
        return f"{self.database} {text}".strip() if self.control_number else text


@frozen
class HoldingStatement:
    """What a member has of a record. None is not said, "" and () are none."""

    call_number: str | None = None
    copies: int | None = None
    location: str | None = None
    barcodes: tuple[str, ...] | None = None
    extent: str | None = None
    note: str | None = None

    def applied(self, institution: str, record_id: int, held: Holding | None) -> Holding:
        """The holding that this makes of what was held; None: nothing was."""
        before = held if held is not None else Holding(institution, record_id)
        copies = self.copies
        if copies is None:
            copies = max(1, len(self.barcodes)) if self.barcodes else before.copies
        return Holding(
            institution, record_id,
            before.call_number if self.call_number is None else self.call_number,
            copies,
            before.location if self.location is None else self.location,
            before.barcodes if self.barcodes is None else self.barcodes,
            before.extent if self.extent is None else self.extent,
            before.note if self.note is None else self.note,
        )  # fmt: skip

    def joined(self, more: HoldingStatement) -> HoldingStatement:
        """Two statements about one record, as when a file has a line for each copy.

        Texts that differ stand one behind the other, barcodes are joined, copies
        added: a line without their number is one copy for each new barcode, or one.
        Lines that speak neither of copies nor of barcodes say nothing of how many.
        """
        new = tuple(code for code in more.barcodes or () if code not in (self.barcodes or ()))
        barcodes = None
        if self.barcodes is not None or more.barcodes is not None:
            barcodes = (self.barcodes or ()) + new
        copies = None
        if self.copies is not None or more.copies is not None or barcodes:
            here = self.copies if self.copies is not None else max(1, len(self.barcodes or ()))
            there = more.copies
            if there is None:
                there = len(new) if more.barcodes else 1
            copies = here + there
        return HoldingStatement(
            _joined(self.call_number, more.call_number), copies,
            _joined(self.location, more.location), barcodes,
            _joined(self.extent, more.extent), _joined(self.note, more.note),
        )  # fmt: skip

    def excess(self) -> str:
        """What is too long or too many to be kept, "" if nothing is."""
        for name, text, limit in (
            ("call number", self.call_number, TEXT_CHARS_MAX),
            ("location", self.location, TEXT_CHARS_MAX),
            ("extent", self.extent, TEXT_CHARS_MAX),
            ("note", self.note, NOTE_CHARS_MAX),
        ):
            if text and len(text) > limit:
                return f"the {name} has {len(text)} characters, {limit} are kept"
        if self.copies is not None and not 1 <= self.copies <= COPIES_MAX:
            return f"{self.copies} copies: the number is from 1 to {COPIES_MAX}"
        barcodes = self.barcodes or ()
        if len(barcodes) > BARCODES_MAX:
            return f"{len(barcodes)} barcodes, {BARCODES_MAX} are kept"
        longest = max(barcodes, key=len, default="")
        if len(longest) > BARCODE_CHARS_MAX:
            return f"a barcode of {len(longest)} characters, {BARCODE_CHARS_MAX} are kept"
        return ""


def _joined(one: str | None, other: str | None) -> str | None:
    if one is None or other is None:
        return one if other is None else other
    parts = filter(None, (*one.split(_JOIN), *other.split(_JOIN)))
    return _JOIN.join(dict.fromkeys(parts))

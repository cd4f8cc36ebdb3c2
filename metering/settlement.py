"""Settlement: a member's year is frozen, posted to the journal, and corrected by notes.

A year is settled in steps. An *estimate* is stored nowhere. A *draft* is stored for
members to look at once the year is over. The *final* settlement comes when the grace
period is over too, once for each member and year: it freezes the figures, the
tariff, the position in the ledger and the hash there, posts the money, and leaves
an audit entry with its fingerprint in the ledger.

What the ledger gets to know later about a settled year (a void or a correction of
one of its entries, an upload reversed, a spool found again) never changes the
settlement. The rule for it: entries count in the year of the fact that they are
about, so the year is added up anew with the tariff frozen by the settlement, and
the difference from all documents so far becomes a **note**. It is made

- when the operator asks for it, if it moves at least `note_minimum_fen`;
- else when a later year of the member is made final: then whatever is still open of
  earlier years becomes a note that is billed with that year.

An upload whose price is shared is a line of its submitter's document, at the
submitter's part; the partner's document has a line for all members' such uploads, at
the partner's part.

Holdings removed and uploads merged away after their year are no late events: the
ledger counts them as nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path

import msgspec

from metering import journal
from metering.author import THE_RULES, Author
from metering.counting import CountingRules
from metering.entry import DAY_US, Draft, Kind, Meter, accounting_day, year_span_us
from metering.interface import MeteringError
from metering.ledger import Snapshot, Totals, Transaction
from metering.ledger_listing import Selection
from metering.ledger_verify import Verification
from metering.settlement_bill import Counts, bill, difference
from metering.settlement_store import (
    Settlement,
    authors,
    connect,
    store,
    stored,
    transaction,
)
from metering.tariff import BUILT_IN, NO_TARIFF, Tariff, tariff_of_year

_AUDIT = "settlement:"  # with the number of the document: the id of its audit entry


class TooEarlyError(MeteringError):
    """The year is not over, or its grace period is not."""


class Settlements:
    """The settlements in one ledger file. Its methods block on the disk."""

    def __init__(
        self,
        path: Path,
        *,
        rules: CountingRules | None = None,
        grace_days: int = 31,
        note_minimum_fen: int = 0,
        tariffs: Sequence[Tariff] = BUILT_IN,
    ) -> None:
        """`path` is the ledger's file, which must exist.

        Raises:
            MeteringError: it cannot be opened.
        """
        self._connection = connect(path)
        self._rules = rules or CountingRules()
        self._grace_days = grace_days
        self._note_minimum_fen = note_minimum_fen
        self._tariffs = tariffs

    def close(self) -> None:
        self._connection.close()

    def __enter__(self) -> Settlements:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # Looking

    def estimates(self, year: int, institution: str | None = None) -> list[Settlement]:
        """What the ledger's entries would come to now; stores nothing."""
        with transaction(self._connection, writing=False):
            return [self._estimate(year, *each) for each in self._members(year, institution)]

    def final(self, year: int, institution: str) -> Settlement | None:
        with transaction(self._connection, writing=False):
            return self._final(year, institution)

    def documents(self, year: int | None, institution: str | None = None) -> list[Settlement]:
        """The final settlements and notes of a year or of all, in the order they were made."""
        with transaction(self._connection, writing=False):
            return stored(self._connection, year, institution)

    def billed_with(self, year: int, institution: str) -> list[Settlement]:
        """What the statement of a year bills: its documents, and notes carried into it."""
        with transaction(self._connection, writing=False):
            return stored(self._connection, None, institution, shown_in=year)

    def drafts(self, year: int, institution: str | None = None) -> list[Settlement]:
        """The drafts of a year in the order they were made; a member may have several."""
        with transaction(self._connection, writing=False):
            return stored(self._connection, year, institution, status=("draft",))

    def made(self) -> list[tuple[Settlement, Author]]:
        """Every draft, final settlement and note in the order they were made, and by whom."""
        with transaction(self._connection, writing=False):
            known = authors(self._connection)
            documents = stored(self._connection, None, status=("draft", "final", "note"))
        return [(each, known.get(each.number, THE_RULES)) for each in documents]

    def postings(self, year: int | None = None) -> list[journal.Posting]:
        with transaction(self._connection, writing=False):
            return list(journal.postings(self._connection, year))

    def balances(self) -> dict[str, int]:
        """Debits less credits by account; see `metering.journal`."""
        with transaction(self._connection, writing=False):
            return journal.balances(self._connection)

    def open_differences(self, year: int, institution: str | None = None) -> list[Settlement]:
        """The notes that late entries of a settled year ask for, not stored."""
        with transaction(self._connection, writing=False):
            notes = [
                self._note(year, final.institution, year, 0, "")
                for final in stored(self._connection, year, institution, status=("final",))
            ]
        return [note for note in notes if note is not None]

    def verify(self, year: int | None = None) -> list[str]:
        """What is wrong with the documents of a year, or of all, and their postings.

        Empty: nothing. The ledger, which all is compared with, is verified apart.
        """
        tariffs = {tariff.version: tariff for tariff in (NO_TARIFF, *self._tariffs)}
        with transaction(self._connection, writing=False):
            snapshot = self._snapshot()
            documents = stored(self._connection, year)
            found = [
                _problem(snapshot, document, tariffs.get(document.tariff_version))
                for document in documents
            ]
            found += _missing(snapshot, year, {document.number for document in documents})
            found += journal.problems(self._connection, documents)
        return [problem for problem in found if problem]

    # Making

    def draft(
        self, year: int, now_us: int, institution: str | None = None, *, by: Author = THE_RULES
    ) -> list[Settlement]:
        """A document for each member; one that is final, or drafted with these figures, stays.

        Raises:
            TooEarlyError: the year is not over in China.
        """
        documents = []
        with transaction(self._connection, writing=True):
            members = self._members(year, institution)
            if not self._all_final(year, members):
                self._check_over(year, now_us)
            for code, totals in members:
                documents.append(
                    self._final(year, code) or self._draft(year, code, totals, now_us, by)
                )
        return documents

    def settle(
        self,
        year: int,
        now_us: int,
        verified: Verification,
        institution: str | None = None,
        *,
        forced: str = "",
        by: Author = THE_RULES,
    ) -> list[Settlement]:
        """The final settlement of each member; those that are there are given as they are.

        `verified` is of this ledger and not older than the call needs: entries
        behind it were appended since. `forced` is the reason for not waiting
        until the grace period is over.

        Raises:
            TooEarlyError: the year is not over, or its grace period and no reason is given.
            MeteringError: the ledger does not verify; nothing was stored.
        """
        if not verified.ok:
            raise MeteringError(f"the ledger does not verify: {verified.problem}")
        early = now_us <= self.grace_end_us(year)
        reason = forced if early else ""
        documents = []
        with transaction(self._connection, writing=True):
            self._check_chain(verified)
            members = self._members(year, institution)
            if early and not self._all_final(year, members):
                self._check_over(year, now_us)
                if not forced:
                    raise TooEarlyError(
                        f"the grace period of {year} lasts until {_day(self.grace_end_us(year))}"
                        f" ({self._grace_days} days): --force REASON settles now"
                    )
            new: list[Settlement] = []
            for code, totals in members:
                document = self._final(year, code)
                if document is None:
                    document = self._settled(year, code, totals, now_us, reason)
                    new += [*self._carried(year, code, now_us), document]
                documents.append(document)
            # Filed together: all have the position from before their own audit entries.
            for document in new:
                self._file(document, by)
        return documents

    def note(
        self,
        year: int,
        now_us: int,
        verified: Verification,
        institution: str | None = None,
        *,
        reason: str,
        by: Author = THE_RULES,
    ) -> list[Settlement]:
        """Notes for members whose settled year has changed by enough; maybe none.

        Raises:
            MeteringError: nobody's year is settled, or the ledger does not verify.
        """
        if not verified.ok:
            raise MeteringError(f"the ledger does not verify: {verified.problem}")
        with transaction(self._connection, writing=True):
            self._check_chain(verified)
            finals = stored(self._connection, year, institution, status=("final",))
            if not finals:
                raise MeteringError(f"{year} is not settled" + _for(institution))
            asked = [self._note(year, each.institution, year, now_us, reason) for each in finals]
            minimum_fen = max(1, self._note_minimum_fen)
            notes = [note for note in asked if note is not None and _moves_fen(note) >= minimum_fen]
            for note in notes:
                self._file(note, by)
        return notes

    def grace_end_us(self, year: int) -> int:
        """The last microsecond of the grace period."""
        return _year_end_us(year) + self._grace_days * DAY_US

    # Within a transaction

    def _snapshot(self) -> Snapshot:
        return Snapshot(self._connection, self._rules)

    def _shared(self, year: int, tariff: Tariff) -> dict[str, int]:
        """All members' uploads of a year whose price has a partner, by item."""
        uploads = Counter[str]()
        for totals in self._snapshot().totals(year).values():
            uploads.update(totals.uploads)
        return _shared(uploads, tariff)

    def _members(self, year: int, institution: str | None) -> list[tuple[str, Totals]]:
        totals = self._snapshot().totals(year, institution)
        if institution is not None:
            return [(institution, totals.get(institution, Totals()))]
        tariff = tariff_of_year(year, self._tariffs)
        sharing = tariff.partner if any(self._shared(year, tariff).values()) else ""
        if sharing:
            totals.setdefault(sharing, Totals())
        # A member of whom the year has audit entries alone has nothing to be settled.
        return [
            (code, totals[code])
            for code in sorted(totals)
            if code
            and (totals[code] != Totals() or code == sharing or self._final(year, code) is not None)
        ]

    def _estimate(self, year: int, institution: str, totals: Totals) -> Settlement:
        return self._assess(year, institution, totals, tariff_of_year(year, self._tariffs))

    def _assess(self, year: int, institution: str, totals: Totals, tariff: Tariff) -> Settlement:
        counts = counts_of(totals)
        seq, head_hash = self._snapshot().head()
        if institution == tariff.partner:
            counts = replace(counts, shared=self._shared(year, tariff))
        try:
            lines = bill(counts, tariff)
        except KeyError as error:
            raise MeteringError(f"the tariff {tariff.version} has no item {error}") from None
        return Settlement(
            number="", status="estimate", year=year, institution=institution, shown_in=year,
            made_us=0, ledger_seq=seq, head_hash=head_hash.hex(), tariff_version=tariff.version,
            holdings=counts.holdings, downloads=counts.downloads, repeats=counts.repeats,
            voided=counts.voided, quota=counts.quota, billable=counts.billable, reason="",
            lines=lines,
        )  # fmt: skip

    def _all_final(self, year: int, members: Sequence[tuple[str, Totals]]) -> bool:
        """Whether there is nothing to be made: then it is never too early."""
        return bool(members) and all(self._final(year, code) is not None for code, _ in members)

    def _final(self, year: int, institution: str) -> Settlement | None:
        found = stored(self._connection, year, institution, status=("final",))
        return found[0] if found else None

    def _draft(
        self, year: int, institution: str, totals: Totals, now_us: int, by: Author
    ) -> Settlement:
        estimate = self._estimate(year, institution, totals)
        drafts = stored(self._connection, year, institution, status=("draft",))
        if drafts and _same_figures(drafts[-1], estimate):
            return drafts[-1]
        # In front, for the code of an institution may end in -D1 or -N1.
        number = f"D{len(drafts) + 1}-{year}-{institution}"
        draft = msgspec.structs.replace(estimate, number=number, status="draft", made_us=now_us)
        store(self._connection, draft, by)
        return draft

    def _settled(
        self, year: int, institution: str, totals: Totals, now_us: int, reason: str
    ) -> Settlement:
        return msgspec.structs.replace(
            self._estimate(year, institution, totals),
            number=f"{year}-{institution}", status="final", made_us=now_us, reason=reason,
        )  # fmt: skip

    def _carried(self, year: int, institution: str, now_us: int) -> Iterator[Settlement]:
        """Notes for what is still open of earlier years, billed with this one."""
        for final in stored(self._connection, None, institution, status=("final",)):
            if final.year < year:
                reason = f"carried into {year}"
                note = self._note(final.year, institution, year, now_us, reason)
                if note is not None and _moves_fen(note):
                    yield note

    def _note(
        self, year: int, institution: str, shown_in: int, now_us: int, reason: str
    ) -> Settlement | None:
        """What the year has come to beyond its documents; None: nothing."""
        documents = stored(self._connection, year, institution)
        tariff = self._tariff(documents[0].tariff_version)
        ((_, totals),) = self._members(year, institution)
        now = self._assess(year, institution, totals, tariff)
        lines = difference(now.lines, [line for each in documents for line in each.lines])
        if not lines:
            return None
        return msgspec.structs.replace(
            now, number=f"N{len(documents)}-{year}-{institution}", status="note",
            shown_in=shown_in, made_us=now_us, reason=reason, lines=lines,
        )  # fmt: skip

    def _file(self, document: Settlement, by: Author) -> None:
        """Store a final document or a note, post it, and enter it in the ledger."""
        settlement_id = store(self._connection, document, by)
        text = journal.text_of(document)
        lines = journal.posting_lines(document.institution, document.lines)
        journal.post(self._connection, settlement_id, document.made_us, text, lines)
        audit = Draft(
            id=f"{_AUDIT}{document.number}",
            kind=Kind.AUDIT,
            at_us=document.made_us,
            institution=document.institution,
            note=(
                f"{text} of {document.year} at entry {document.ledger_seq},"
                f" net {document.net_fen} fen, SHA-256 {document.fingerprint()}"
                + (f"; {document.reason}" if document.reason else "")
            ),
        )
        Transaction(self._connection, self._rules, None).append([audit])

    def _tariff(self, version: str) -> Tariff:
        for tariff in (NO_TARIFF, *self._tariffs):
            if tariff.version == version:
                return tariff
        raise MeteringError(f"there is no tariff {version}, by which a year was settled")

    def _check_chain(self, verified: Verification) -> None:
        """The ledger is still the one that was verified; entries may have come since."""
        if verified.entries == 0:
            return
        last = Selection(after=verified.entries - 1, up_to=verified.entries)
        entry = next(self._snapshot().entries(last), None)
        if entry is None or entry.hash != verified.head_hash:
            raise MeteringError("the ledger is not the one that was verified")

    @staticmethod
    def _check_over(year: int, now_us: int) -> None:
        if now_us <= _year_end_us(year):
            raise TooEarlyError(
                f"{year} is not over in China; until then there are estimates: --dry-run"
            )


def counts_of(totals: Totals) -> Counts:
    """The ledger's sums as the bill reads them."""
    return Counts(
        holdings=totals.holdings,
        downloads=totals.downloads,
        repeats=totals.repeats,
        voided=totals.voided,
        batch=totals.batch,
        items=totals.uploads | totals.covers,
    )


def _shared(by_item: Mapping[str, int], tariff: Tariff) -> dict[str, int]:
    """Those of some uploads, by item, whose price has a partner."""
    return {item: by_item[item] for item in sorted(by_item) if tariff.is_shared(item)}


def _missing(snapshot: Snapshot, year: int | None, numbers: Collection[str]) -> Iterator[str]:
    """Documents that the ledger's audit entries name, and that are not there."""
    for entry in snapshot.entries(Selection(kind=Kind.AUDIT)):
        number = entry.id.removeprefix(_AUDIT)
        of_year = year is None or f" {number} of {year} at entry " in entry.note
        if entry.id.startswith(_AUDIT) and of_year and number not in numbers:
            yield f"{number}: the ledger's audit entry names it, and there is no such document"


def _problem(snapshot: Snapshot, document: Settlement, tariff: Tariff | None) -> str:
    """What is wrong with a stored final document or note, or "".

    Its hash must be that of the entry it names, its fingerprint that of its audit
    entry, and its figures the sums of the entries up to there, at the tariff's prices.
    """
    last = Selection(after=document.ledger_seq - 1, up_to=document.ledger_seq)
    entry = next(snapshot.entries(last), None)
    if document.ledger_seq and (entry is None or entry.hash.hex() != document.head_hash):
        return f"{document.number}: entry {document.ledger_seq} has another hash"
    audit = snapshot.entry(f"{_AUDIT}{document.number}")
    if audit is None or f"SHA-256 {document.fingerprint()}" not in audit.note:
        return f"{document.number}: not the document that the ledger's audit entry names"
    if tariff is None:
        return f"{document.number}: there is no tariff {document.tariff_version}"
    # The partner in a price has a part in others' uploads too.
    whose = None if document.institution == tariff.partner else document.institution
    everyone = Selection(institution=whose, year=document.year, up_to=document.ledger_seq)
    totals, uploads = Totals(), Counter[str]()
    for each in snapshot.entries(everyone):
        if each.institution == document.institution:
            totals.add(each.kind, each.meter, each.item, 1, each.quantity)
        if each.meter is Meter.UPLOAD:
            uploads[each.item] += each.quantity
    counts = counts_of(totals)
    if whose is None:
        counts = replace(counts, shared=_shared(uploads, tariff))
    if (counts.holdings, counts.downloads, counts.repeats, counts.voided) != (
        document.holdings, document.downloads, document.repeats, document.voided
    ):  # fmt: skip
        return f"{document.number}: its figures are not the sums of the entries before it"
    if document.status == "final" and document.lines != bill(counts, tariff):
        return f"{document.number}: its lines are not its figures at the prices of {tariff.version}"
    return ""


def _same_figures(one: Settlement, other: Settlement) -> bool:
    names = (
        "tariff_version", "holdings", "downloads", "repeats", "voided", "quota", "billable",
        "lines",
    )  # fmt: skip
    return all(getattr(one, name) == getattr(other, name) for name in names)


def _moves_fen(note: Settlement) -> int:
    """How much money a note moves, in either direction."""
    return sum(abs(line.amount_fen) for line in note.lines)


def _year_end_us(year: int) -> int:
    some_day = date(year, 6, 30) - date(1970, 1, 1)
    return year_span_us(some_day.days * DAY_US)[1]


def _day(at_us: int) -> str:
    _, day = accounting_day(at_us)
    return f"{day // 10_000}-{day // 100 % 100:02d}-{day % 100:02d}"


def _for(institution: str | None) -> str:
    return "" if institution is None else f" for {institution}"

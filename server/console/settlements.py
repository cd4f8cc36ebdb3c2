"""What the console tells of settlements, and the work that makes, proves and ends them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date

from metering.author import Author
from metering.entry import accounting_day
from metering.ledger_verify import Verification
from metering.settlement_store import Settlement
from server.accounting.ledger import Accounting
from server.accounting.settling import fold_year, names_to_settle, open_settlements
from server.config import Config
from server.console.work import Asked, Piece
from server.log import Log
from server.processes import writer_process
from store.audit import Origin
from store.membership import day_of

DOCUMENTS_A_PAGE = 100
PROBLEMS_TOLD_MAX = 200

log = Log("lianmu.audit")


@dataclass(frozen=True, slots=True)
class YearLine:
    """A member's document of the year: its final settlement, else its newest draft."""

    name: str
    document: Settlement
    notes: Sequence[Settlement]


@dataclass(frozen=True, slots=True)
class Year:
    """A page of what is settled of a year, and the sums of all of it. Money is in fen.

    `grace_until` is the last day of the grace period.
    """

    year: int
    years: Sequence[int]
    is_over: bool
    in_grace: bool
    grace_until: date
    lines: Sequence[YearLine]
    count: int
    page: int
    pages: int
    drafts: int
    finals: int
    notes: int
    receivable_fen: int
    payable_fen: int


def read_year(config: Config, year: int, now_us: int, page: int = 1) -> Year:
    """The documents of a year.

    Raises:
        MeteringError: the settlements cannot be read.
    """
    names = names_to_settle(config)
    present, _ = accounting_day(now_us)
    with Accounting(config) as accounting, accounting.ledger.reading() as snapshot:
        first = snapshot.first_year() or present
    with open_settlements(config) as settlements:
        made = settlements.documents(year)
        drafts = {each.institution: each for each in settlements.drafts(year)}
        grace_end_us = settlements.grace_end_us(year)
    finals = {each.institution: each for each in made if each.status == "final"}
    notes: dict[str, list[Settlement]] = {}
    for each in made:
        if each.status == "note":
            notes.setdefault(each.institution, []).append(each)
    documents = drafts | finals
    lines = [
        YearLine(names.get(code, ""), documents[code], notes.get(code, ()))
        for code in sorted(documents)
    ]
    every = [*documents.values(), *(note for some in notes.values() for note in some)]
    pages = max(1, -(-len(lines) // DOCUMENTS_A_PAGE))
    page = min(max(page, 1), pages)
    return Year(
        year,
        range(present, min(first, year) - 1, -1),
        year < present,
        now_us <= grace_end_us,
        day_of(grace_end_us),
        lines[(page - 1) * DOCUMENTS_A_PAGE : page * DOCUMENTS_A_PAGE],
        len(lines),
        page,
        pages,
        len(drafts.keys() - finals.keys()),
        len(finals),
        sum(map(len, notes.values())),
        sum(each.receivable_fen for each in every),
        sum(each.payable_fen for each in every),
    )


@dataclass(frozen=True, slots=True)
class MemberYear:
    """All documents about one member's year, the oldest first, and what it would come to now.

    `change` is the note that entries since the final settlement ask for; None: none.
    """

    name: str
    documents: Sequence[Settlement]
    estimate: Settlement | None
    change: Settlement | None


def read_member_year(config: Config, year: int, code: str) -> MemberYear | None:
    """The documents of a member; None: it has no settlements.

    Raises:
        MeteringError: the settlements cannot be read.
    """
    names = names_to_settle(config, code)
    if not names:
        return None
    ((code, name),) = names.items()
    with open_settlements(config) as settlements:
        made = settlements.documents(year, code)
        change = next(iter(settlements.open_differences(year, code)), None)
        final = any(each.status == "final" for each in made)
        estimate = None if final else next(iter(settlements.estimates(year, code)), None)
        return MemberYear(name, [*settlements.drafts(year, code), *made], estimate, change)


def do(config: Config, now_us: Callable[[], int], piece: Piece, tell: Callable[[], None]) -> None:
    """Carry out what a piece of work asks for; blocks, for long where the ledger is verified.

    Raises:
        MeteringError: it cannot be done; nothing of it was stored.
    """
    asked = piece.asked
    writer_process.prepare(config)
    with Accounting(config) as accounting, open_settlements(config) as settlements:
        if asked.kind == "check":
            verified = _verified(accounting, piece, tell)
            problems = [] if verified.ok else [f"the ledger: {verified.problem}"]
            problems += settlements.verify(asked.year)
            piece.problems = problems[:PROBLEMS_TOLD_MAX]
            piece.documents = len(settlements.documents(asked.year))
            return
        fold_year(accounting, config, asked.year)
        by = Author(asked.who, asked.who, asked.address, "web")
        if asked.kind == "draft":
            made = settlements.draft(asked.year, now_us(), by=by)
        elif asked.kind == "final":
            verified = _verified(accounting, piece, tell)
            made = settlements.settle(asked.year, now_us(), verified, forced=asked.reason, by=by)
        else:
            verified = _verified(accounting, piece, tell)
            made = settlements.note(asked.year, now_us(), verified, reason=asked.reason, by=by)
    piece.documents = len(made)
    log.info(
        f"settlement {asked.kind}", year=asked.year, documents=len(made), account=asked.who,
        address=asked.address, reason=asked.reason,
    )  # fmt: skip


def _verified(accounting: Accounting, piece: Piece, tell: Callable[[], None]) -> Verification:
    piece.total, _ = accounting.ledger.head()

    def progress(done: int) -> None:
        piece.done = done
        tell()

    verified = accounting.ledger.verify(progress)
    piece.done = piece.total
    tell()
    return verified


def asked_of(kind: str, year: int, origin: Origin, reason: str) -> Asked:
    """What `do` carries out."""
    return Asked(kind=kind, year=year, who=origin.account, address=origin.address, reason=reason)

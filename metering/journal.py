"""The double-entry journal: what a settlement or a note moves between accounts.

| what | debit | credit |
|---|---|---|
| downloads over the quota | `receivable:MEMBER` | `revenue.downloads` |
| ISBN batches | `receivable:MEMBER` | `revenue.batch` |
| credit for uploads | `expense.remuneration` | `payable:MEMBER` |
| a partner's share in the credit of others' uploads | `expense.remuneration` | `payable.share:MEMBER` |

A note that takes something back has the two sides changed. Amounts are in fen and
never negative. The database takes a posting only when its lines balance, and
neither changes nor deletes one (settlement.sql).
"""  # noqa: E501

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from metering.settlement_bill import Line
from metering.settlement_store import Settlement
from metering.tariff import DOWNLOAD_OVER_QUOTA

REVENUE_DOWNLOADS = "revenue.downloads"
REVENUE_BATCH = "revenue.batch"
REMUNERATION = "expense.remuneration"


@dataclass(frozen=True, slots=True)
class PostingLine:
    """One side of a posting; exactly one of the amounts is above 0."""

    account: str
    debit_fen: int
    credit_fen: int


@dataclass(frozen=True, slots=True)
class Posting:
    """What one document moved; its debits equal its credits."""

    posting_id: int
    made_us: int
    document: str  # the number of the settlement or note
    text: str
    lines: tuple[PostingLine, ...]


def receivable(institution: str) -> str:
    """The account of what a member owes."""
    return f"receivable:{institution}"


def payable(institution: str) -> str:
    """The account of what a member is owed for its uploads."""
    return f"payable:{institution}"


def share_payable(institution: str) -> str:
    """The account of an institution's part in the credits of others' uploads."""
    return f"payable.share:{institution}"


def posting_lines(institution: str, lines: Iterable[Line]) -> list[PostingLine]:
    """The two sides of a document's lines, one amount an account; empty when nothing moves."""
    balances: dict[str, int] = {}  # debit positive

    def move(account: str, amount_fen: int) -> None:
        balances[account] = balances.get(account, 0) + amount_fen

    for line in lines:
        if not line.is_credit:
            revenue = REVENUE_DOWNLOADS if line.item == DOWNLOAD_OVER_QUOTA else REVENUE_BATCH
            move(receivable(institution), line.amount_fen)
            move(revenue, -line.amount_fen)
        else:
            # Credits are negative in a document, as they lessen what the member owes.
            account = share_payable if line.is_share else payable
            move(account(institution), line.amount_fen)
            move(REMUNERATION, -line.amount_fen)
    return [
        PostingLine(account, max(0, balance), max(0, -balance))
        for account, balance in balances.items()
        if balance
    ]


def post(
    connection: sqlite3.Connection,
    settlement_id: int,
    made_us: int,
    text: str,
    lines: Sequence[PostingLine],
) -> None:
    """Enter one posting in the open transaction; nothing when there are no lines.

    Raises:
        sqlite3.IntegrityError: the lines do not balance, or the document is posted already.
    """
    if not lines:
        return
    (last,) = connection.execute("SELECT coalesce(max(posting_id), 0) FROM posting").fetchone()
    posting_id = last + 1
    connection.executemany(
        "INSERT INTO posting_line VALUES (?, ?, ?, ?, ?)",
        [
            (posting_id, place, line.account, line.debit_fen, line.credit_fen)
            for place, line in enumerate(lines, 1)
        ],
    )
    connection.execute(
        "INSERT INTO posting VALUES (?, ?, ?, ?)", (posting_id, settlement_id, made_us, text)
    )


def postings(connection: sqlite3.Connection, year: int | None = None) -> Iterator[Posting]:
    """All postings in order, or those of the documents of one year."""
    rows = connection.execute(
        "SELECT posting_id, posting.made_us, number, text FROM posting"
        " JOIN settlement USING (settlement_id)"
        " WHERE ? IS NULL OR year = ? ORDER BY posting_id",
        (year, year),
    ).fetchall()
    for posting_id, made_us, number, text in rows:
        lines = connection.execute(
            "SELECT account, debit_fen, credit_fen FROM posting_line"
            " WHERE posting_id = ? ORDER BY place",
            (posting_id,),
        )
        yield Posting(posting_id, made_us, number, text, tuple(PostingLine(*row) for row in lines))


def problems(connection: sqlite3.Connection, documents: Iterable[Settlement]) -> Iterator[str]:
    """What is wrong with the postings of some final documents, or belongs to no document."""
    posted = {posting.document: posting for posting in postings(connection)}
    for document in documents:
        posting = posted.get(document.number)
        lines = tuple(posting_lines(document.institution, document.lines))
        if (posting.lines if posting else ()) != lines:
            yield f"{document.number}: its posting is not what its lines move"
        elif posting and (posting.made_us, posting.text) != (document.made_us, text_of(document)):
            yield f"{document.number}: its posting has another time or text"
    for (posting_id,) in connection.execute(
        "SELECT posting_id FROM posting LEFT JOIN settlement USING (settlement_id)"
        " WHERE status IS NULL OR status = 'draft'"
        " UNION SELECT posting_id FROM posting_line"
        " WHERE posting_id NOT IN (SELECT posting_id FROM posting)"
    ):
        yield f"posting {posting_id} is of no document"


def text_of(document: Settlement) -> str:
    """What the posting and the audit entry of a document call it."""
    return f"{document.status} {document.number}"


def balances(connection: sqlite3.Connection) -> dict[str, int]:
    """Debits less credits of every account, by its name; they sum to zero."""
    return dict(
        connection.execute(
            "SELECT account, sum(debit_fen) - sum(credit_fen) FROM posting_line"
            " JOIN posting USING (posting_id) GROUP BY account ORDER BY account"
        ).fetchall()
    )

"""Everything that was changed by anybody, out of the files in which it is written down.

| kind | where its rows are |
|---|---|
| member, account, load, batch, and what pages note | `member_audit` of `members.sqlite` |
| record | `upload` of the catalogue |
| holdings | `holding_submission` of the catalogue, and `holding_event`, which has each pair |
| cover | `cover_change` of `covers.sqlite` |
| credit | `decision` of `credit.sqlite` |
| ledger | entries of kind `correction` and `audit` of the ledger |
| settlement | `settlement` with `settlement_author`, in the ledger's file |

Each row is written in the transaction of its change, so there is none without the
other; that is why there is no one table.
"""

from __future__ import annotations

import contextlib
import heapq
from collections.abc import Callable, Iterator
from operator import attrgetter

from metering.author import Author
from metering.entry import Entry, Kind
from metering.ledger import Ledger
from metering.ledger_listing import Selection
from metering.money import yuan
from metering.settlement_store import Settlement
from server.accounting.crediting import open_credits
from server.accounting.settling import open_settlements
from server.config import Config
from store.audit import AuditRow, AuditSelection, audit_rows
from store.covers import CoverRows
from store.holding_events import HoldingEvents
from store.holdings_history import HoldingsHistory
from store.members import Members
from store.sqlite import FILE_NAME, open_reader
from store.uploaded import UploadRows

_SETTLEMENT = "settlement:"  # such entries are told as what they stand for


def trail(config: Config, selection: AuditSelection) -> Iterator[AuditRow]:
    """The rows of a selection, from all files, in the order of time.

    Files that are not there yet have none. Each is read as the rows are asked for.

    Raises:
        StoreError, MemberError, MeteringError: a file cannot be read.
    """
    streams = [
        read(config, selection)
        for kinds, read in _SOURCES
        if selection.kind is None or not kinds or selection.kind in kinds
    ]
    for row in heapq.merge(*streams, key=attrgetter("at_us")):
        if selection.takes(row):
            yield row


def _of_members(config: Config, selection: AuditSelection) -> Iterator[AuditRow]:
    if not config.members_path.exists():
        return
    with contextlib.closing(Members(config.members_path)) as members:
        yield from audit_rows(members.connection, selection.institution)


def _of_records(config: Config, selection: AuditSelection) -> Iterator[AuditRow]:
    path = config.data_dir / FILE_NAME
    if not path.exists():
        return
    with contextlib.closing(open_reader(path)) as connection:
        yield from UploadRows(connection).audit(selection)


def _of_submissions(config: Config, selection: AuditSelection) -> Iterator[AuditRow]:
    path = config.data_dir / FILE_NAME
    if not path.exists():
        return
    with contextlib.closing(open_reader(path)) as connection:
        newest_first = HoldingsHistory(connection).submissions(selection.bounds[0])
        for each in reversed(list(newest_first)):
            on_network = each.protocol not in ("", "cli")
            yield AuditRow(
                each.submission_id, each.at_us, each.account, "holdings sent", each.institution,
                "", "", f"{each.added} added, {each.changed} changed, {each.removed} removed",
                each.account if on_network else "", each.address, each.protocol,
                each.source or f"submission {each.submission_id}",
            )  # fmt: skip


def _of_holdings(config: Config, selection: AuditSelection) -> Iterator[AuditRow]:
    if selection.kind is None or not (config.data_dir / FILE_NAME).exists():
        return  # there may be millions: they are told when they are asked for
    with contextlib.closing(HoldingEvents(config.data_dir)) as events:
        yield from events.audit(selection)


def _of_covers(config: Config, _: AuditSelection) -> Iterator[AuditRow]:
    if not config.covers_path.exists():
        return
    with contextlib.closing(CoverRows(config.covers_path)) as covers:
        yield from covers.audit()


def _of_credit(config: Config, _: AuditSelection) -> Iterator[AuditRow]:
    if not config.credit_path.exists():
        return
    with open_credits(config) as crediting:
        for number, each in enumerate(crediting.decisions(), 1):
            yield _row(
                each.by, number, each.at_us, "credit decision", each.institution, each.reason,
                each.before, each.status, f"claim {each.claim_id} {each.control_number}",
            )  # fmt: skip


def _of_ledger(config: Config, _: AuditSelection) -> Iterator[AuditRow]:
    if not config.ledger_path.exists():
        return
    with contextlib.closing(Ledger(config.ledger_path, rules=config.counting_rules)) as ledger:
        yield from heapq.merge(
            _corrections(ledger), _remarks(ledger), key=attrgetter("at_us")
        )  # fmt: skip


def _corrections(ledger: Ledger) -> Iterator[AuditRow]:
    """Each with what its entry counted before it, the corrections before it included."""
    counts: dict[tuple[str, str], int] = {}
    for entry in ledger.entries(selection=Selection(kind=Kind.CORRECTION)):
        meter = entry.meter.value
        key = (entry.refers_to, meter)
        if key not in counts:
            target = ledger.entry(entry.refers_to)
            own = target is not None and target.meter is entry.meter
            counts[key] = target.quantity if target is not None and own else 0
        before = counts[key]
        counts[key] += entry.quantity
        yield _of_entry(
            entry, "ledger correction", f"{meter} {before:+}", f"{meter} {counts[key]:+}",
            entry.refers_to,
        )  # fmt: skip


def _remarks(ledger: Ledger) -> Iterator[AuditRow]:
    for entry in ledger.entries(selection=Selection(kind=Kind.AUDIT)):
        if not entry.id.startswith(_SETTLEMENT):
            yield _of_entry(entry, "ledger remark", "", "", entry.id)


def _of_entry(entry: Entry, action: str, before: str, after: str, subject: str) -> AuditRow:
    on_network = entry.protocol not in ("", "cli")
    by = Author(
        entry.account, entry.account if on_network else "", entry.session, entry.protocol
    )  # fmt: skip
    return _row(
        by, entry.seq, entry.at_us, action, entry.institution, entry.note, before, after, subject
    )


def _of_settlements(config: Config, _: AuditSelection) -> Iterator[AuditRow]:
    if not config.ledger_path.exists():
        return
    last: dict[tuple[int, str], str] = {}
    with open_settlements(config) as settlements:
        made = settlements.made()
    for number, (document, by) in enumerate(made, 1):
        key = (document.year, document.institution)
        after = _state(document)
        yield _row(
            by, number, document.made_us, f"settlement {document.status}", document.institution,
            document.reason, last.get(key, ""), after, document.number,
        )  # fmt: skip
        last[key] = after


def _state(document: Settlement) -> str:
    return f"{document.status}, net {yuan(document.net_fen)} yuan"


def _row(
    by: Author,
    seq: int,
    at_us: int,
    action: str,
    institution: str,
    reason: str,
    before: str,
    after: str,
    subject: str,
) -> AuditRow:
    return AuditRow(
        seq, at_us, by.who, action, institution, reason, before, after, by.account, by.address,
        by.protocol, subject,
    )  # fmt: skip


_Source = Callable[[Config, AuditSelection], Iterator[AuditRow]]
_SOURCES: tuple[tuple[frozenset[str], _Source], ...] = (
    (frozenset(), _of_members),  # of any kind
    (frozenset({"record"}), _of_records),
    (frozenset({"holdings"}), _of_submissions),
    (frozenset({"holdings"}), _of_holdings),
    (frozenset({"cover"}), _of_covers),
    (frozenset({"credit"}), _of_credit),
    (frozenset({"ledger"}), _of_ledger),
    (frozenset({"settlement"}), _of_settlements),
)

"""`lianmu audit`: who changed what, when, why, and from where."""

from __future__ import annotations

import csv
import sys
from collections import deque
from collections.abc import Iterable
from typing import Any

import click
import msgspec

from metering.csv_cell import cell
from protocol.china_time import china_clock
from server.accounting.audit_trail import trail
from server.commands.ledger import Moment
from server.commands.options import config_option
from server.config import Config
from store.audit import KINDS, AuditRow, AuditSelection

_FIELDS = (
    "time", "kind", "action", "institution", "subject", "who", "account", "protocol", "address",
    "before", "after", "reason", "at_us", "seq",
)  # fmt: skip


@click.command(
    epilog="Example: lianmu audit --member PKU --kind account --since 2026-03-01 --json"
    " --config config.toml"
)
@click.option("--member", "code", metavar="CODE", help="Of one institution alone.")
@click.option("--account", metavar="NAME", help="What this account or person did, or underwent.")
@click.option(
    "--since", "since_us", type=Moment(), metavar="DAY",
    help="From this day in China on, or this time with its zone.",
)  # fmt: skip
@click.option(
    "--until", "until_us", type=Moment(end=True), metavar="DAY",
    help="To the end of this day, or before this time.",
)  # fmt: skip
@click.option(
    "--protocol",
    metavar="NAME",
    help="What came by cli, load, z3950, sru, api, or web, which is pages and covers.",
)
@click.option("--kind", type=click.Choice(KINDS), help="Of this kind alone.")
@click.option("--uploads", is_flag=True, help="The same as --kind record.")
@click.option("--limit", type=click.IntRange(1), help="The newest so many; all without it.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, every field.")
@click.option("--csv", "as_csv", is_flag=True, help="CSV, every field.")
@config_option
def audit(
    code: str | None,
    account: str | None,
    since_us: int | None,
    until_us: int | None,
    protocol: str | None,
    kind: str | None,
    uploads: bool,
    limit: int | None,
    as_json: bool,
    as_csv: bool,
    config: Config,
) -> None:
    """Who changed what, when, why, and from where, the oldest first.

    Members, accounts, rights, keys, certificates, records, holdings, credit, the
    ledger and settlements. Times are China's. What changed in a record is shown by
    `lianmu record history`.
    """
    if as_json and as_csv:
        raise click.UsageError("give --json or --csv, not both")
    if uploads and kind not in (None, "record"):
        raise click.UsageError("--uploads is --kind record: give one of them")
    selection = AuditSelection(
        code, account, since_us, until_us, protocol.lower() if protocol else None,
        "record" if uploads else kind,
    )  # fmt: skip
    rows: Iterable[AuditRow] = trail(config, selection)
    if limit is not None:
        rows = deque(rows, maxlen=limit)
    if as_csv:
        write = csv.writer(sys.stdout, lineterminator="\n").writerow
        write(_FIELDS)
        for row in rows:
            write(map(cell, _document(row).values()))
        return
    for row in rows:
        click.echo(msgspec.json.encode(_document(row)).decode() if as_json else audit_line(row))


def _document(row: AuditRow) -> dict[str, Any]:
    return {
        name: china_clock(row.at_us) if name == "time" else getattr(row, name) for name in _FIELDS
    }


def audit_line(row: AuditRow) -> str:
    """One change for people."""
    before = f"{row.before} → " if row.before else ""
    what = " ".join(
        filter(None, (row.subject and f"{row.subject}:", f"{before}{row.after or '-'}"))
    )
    where = " ".join(
        filter(None, (row.protocol and f"({row.protocol})", row.address and f"from {row.address}"))
    )
    who = row.who or ("the rules" if row.kind in ("credit", "ledger") else "unknown")
    reason = f"  {row.reason}" if row.reason else ""
    return _plain(
        f"{china_clock(row.at_us)}  {row.institution or '-':12} {row.action:17} {what}"
        f"  by {' '.join(filter(None, (who, where)))}{reason}"
    )


def _plain(text: str) -> str:
    """Without what would move a terminal's cursor: reasons and numbers are strangers' texts."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)

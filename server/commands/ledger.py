"""`lianmu ledger`: look at, prove, correct and copy out what is billed."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import click
import msgspec
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from metering.entry import DAY_US, Draft, Entry, Kind, Meter
from metering.ledger import Ledger, Outcome
from metering.ledger_export import as_document, require, write, write_file
from metering.ledger_listing import Selection
from protocol.china_time import CHINA, china_clock
from server import log
from server.commands.options import config_option, now_us
from server.commands.person import here, login
from server.config import Config
from server.errors import StartError

audit = log.Log("lianmu.audit")
FIRST_YEAR, LAST_YEAR = 1970, 9998
KINDS = [kind.value for kind in Kind]
METERS = [meter.value for meter in Meter if meter is not Meter.NONE]
REASON_SIZE_MAX = 1_000


@click.group(epilog="Example: lianmu ledger show --member PKU --year 2026 --config config.toml")
def ledger() -> None:
    """The append-only ledger: look at it, prove it, correct it, copy it out.

    Every command works while the server runs. Downloads of the last second or two
    are still on their way into the ledger.
    """


@contextmanager
def opened(config: Config) -> Iterator[Ledger]:
    """The ledger of a configuration, which must be there: a look makes no empty one.

    Raises:
        StartError: there is none.
    """
    if not config.ledger_path.exists():
        raise StartError(f"{config.ledger_path}: there is no ledger yet")
    found = Ledger(config.ledger_path, rules=config.counting_rules)
    try:
        yield found
    finally:
        found.close()


@contextmanager
def counting(what: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """A progress bar on stderr; call what it gives with the number done."""
    console = Console(stderr=True)
    with Progress(
        SpinnerColumn(), TextColumn(what), MofNCompleteColumn(), TimeElapsedColumn(),
        console=console, transient=True, disable=not console.is_terminal,
    ) as progress:  # fmt: skip
        task = progress.add_task(what, total=total)
        yield lambda done: progress.update(task, completed=done)


class Moment(click.ParamType[int]):
    """A day in China, or a time with its zone, as microseconds since 1970."""

    name = "day or time"

    def __init__(self, *, end: bool = False) -> None:
        self._end = end  # a day means the moment it is over

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        try:
            if len(value) == len("2026-01-31"):
                first = datetime.combine(date.fromisoformat(value), datetime.min.time(), CHINA)
                return _us(first) + (DAY_US if self._end else 0)
            moment = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is no day like 2026-01-31 and no time like"
                      " 2026-01-31T10:00:00+08:00", param, ctx)  # fmt: skip
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=CHINA)
        return _us(moment)


def _us(moment: datetime) -> int:
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def selection_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options by which entries are chosen."""
    for option in reversed([
        click.option("--member", metavar="CODE", help="Of this institution."),
        click.option("--year", type=click.IntRange(FIRST_YEAR, LAST_YEAR),
                     help="Of this accounting year."),
        click.option("--record", metavar="NUMBER", help="Of the record of this control number."),
        click.option("--kind", type=click.Choice(KINDS), help="Of this kind."),
        click.option("--from", "from_us", type=Moment(), metavar="DAY",
                     help="From this day in China on, or this time with its zone."),
        click.option("--to", "until_us", type=Moment(end=True), metavar="DAY",
                     help="To the end of this day, or before this time."),
        click.option("--after", type=click.IntRange(0), default=0, metavar="SEQ",
                     help="Behind the entry of this number."),
    ]):  # fmt: skip
        command = option(command)
    return command


def selected(
    member: str | None, year: int | None, record: str | None, kind: str | None,
    from_us: int | None, until_us: int | None, after: int,
) -> Selection:  # fmt: skip
    return Selection(
        institution=member.upper() if member is not None else None,
        year=year,
        control_number=record,
        kind=Kind(kind) if kind is not None else None,
        from_us=from_us,
        until_us=until_us,
        after=after,
    )


@ledger.command("verify", epilog="Example: lianmu ledger verify --config config.toml")
@click.option("--json", "as_json", is_flag=True, help="JSON rather than lines for people.")
@config_option
def verify(as_json: bool, config: Config) -> None:
    """Hash every entry again, add all up again, and compare with what is kept.

    Names the first bad entry and ends with status 1 when anything is amiss. Takes
    about three seconds for a million entries and holds nobody up.
    """
    with opened(config) as found, counting("entries", found.head()[0]) as tell:
        result = found.verify(tell)
    if as_json:
        document = {
            "ok": result.ok, "entries": result.entries, "head_hash": result.head_hash.hex(),
            "problem": result.problem, "first_bad": result.first_bad,
        }  # fmt: skip
        click.echo(msgspec.json.encode(document).decode())
    elif result.ok:
        click.echo(f"good       {result.entries:>12,} entries, all sums and indexes")
        click.echo(f"head hash  {result.head_hash.hex()}")
    else:
        click.echo(f"bad        {result.problem}")
        if result.first_bad:
            click.echo(f"first bad  {result.first_bad}")
        click.echo(f"good       {result.entries:>12,} entries before it")
        click.echo(f"their hash {result.head_hash.hex()}")
    if not result.ok:
        raise click.exceptions.Exit(1)


@ledger.command(
    "show",
    epilog="Example: lianmu ledger show --member PKU --from 2026-03-01 --to 2026-03-31"
    " --kind void --config config.toml",
)
@selection_options
@click.option("--id", "entry_id", metavar="ID", help="The one entry of this id, in full.")
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True,
              help="At most so many; all with --json unless it is given.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, every field.")
@config_option
@click.pass_context
def show(
    ctx: click.Context, /, entry_id: str | None, limit: int, as_json: bool, config: Config,
    **chosen: Any,
) -> None:  # fmt: skip
    """List entries, oldest first, that fit every option given."""
    if as_json and ctx.get_parameter_source("limit") is click.core.ParameterSource.DEFAULT:
        limit = sys.maxsize
    with opened(config) as found:
        if entry_id is not None:
            entry = found.entry(entry_id)
            if entry is None:
                raise click.BadParameter(f"there is no entry {entry_id}", param_hint="--id")
            _show_one(entry, as_json)
            return
        shown = last_seq = 0
        for entry in found.entries(selection=selected(**chosen)):
            if shown == limit:
                click.echo(f"more: --after {last_seq}, or a higher --limit", err=True)
                break
            if as_json:
                click.echo(msgspec.json.encode(as_document(entry)))
            else:
                if shown == 0:
                    click.echo(_HEADING)
                click.echo(_line(entry))
            shown += 1
            last_seq = entry.seq
    if shown == 0 and not as_json:
        click.echo("no entry fits", err=True)


_HEADING = (
    f"{'seq':>10} {'time in China':<19} {'member':<10} {'kind':<15} {'meter':<9} {'qty':>4}"
    f" {'record':<16} id"
)


def _line(entry: Entry) -> str:
    more = [entry.item, f"of {entry.refers_to}" if entry.refers_to else "", entry.note]
    return _plain(
        f"{entry.seq:>10} {china_clock(entry.at_us)} {entry.institution:<10} {entry.kind.value:<15}"
        f" {entry.meter.value:<9} {entry.quantity:>+4} {entry.control_number:<16} {entry.id}"
        f"  {'; '.join(filter(None, more))}"
    ).rstrip()


def _plain(text: str) -> str:
    """Without what would move a terminal's cursor: a record's number is a stranger's text."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def _show_one(entry: Entry, as_json: bool) -> None:
    document = as_document(entry)
    if as_json:
        click.echo(msgspec.json.encode(document))
        return
    for name, value in document.items():
        click.echo(_plain(f"{name:<15} {value}").rstrip())


@ledger.command(
    "correct",
    epilog="Example: lianmu ledger correct 20260131T020000Z-3f2a9c1e:17 --quantity -1"
    " --reason 'test of the vendor' --config config.toml",
)
@click.argument("entry_id", metavar="ID")
@click.option("--quantity", type=int, required=True,
              help="What to add to the meter: -1 takes back a download.")  # fmt: skip
@click.option("--reason", required=True, help="Why; it is part of the entry for good.")
@click.option("--by", metavar="NAME", help="Who; the login name without it.")
@click.option("--meter", type=click.Choice(METERS), help="Another meter than the entry's.")
@click.option("--item", default="", help="Another tariff item than the entry's.")
@click.option("--as", "own_id", metavar="ID",
              help="An id of your own making: the command repeated corrects once.")  # fmt: skip
@config_option
def correct(
    entry_id: str, quantity: int, reason: str, by: str | None, meter: str | None, item: str,
    own_id: str | None, config: Config,
) -> None:  # fmt: skip
    """Append an entry that corrects the entry ID; nothing is ever changed.

    It counts for the institution and in the accounting year of the entry it
    corrects. After that year's settlement it becomes a credit or debit note.
    """
    reason = " ".join(reason.split())
    if not 0 < len(reason) <= REASON_SIZE_MAX:
        raise click.BadParameter(f"1 to {REASON_SIZE_MAX} characters", param_hint="--reason")
    if quantity == 0:
        raise click.BadParameter("0 corrects nothing", param_hint="--quantity")
    with opened(config) as found:
        target = found.entry(entry_id)
        if target is None:
            raise click.BadParameter(
                f"there is no entry {entry_id}; the last seconds' may be on their way",
                param_hint="ID",
            )
        if meter is None and target.meter is Meter.NONE:
            raise click.BadParameter(
                f"say which: {entry_id} itself moves none", param_hint="--meter"
            )
        draft = Draft(
            id=own_id or f"correction:{secrets.token_hex(8)}",
            kind=Kind.CORRECTION,
            at_us=now_us(),
            account=by or login(),
            protocol=here().protocol,
            session=here().address,
            refers_to=entry_id,
            note=reason,
            meter=target.meter if meter is None else Meter(meter),
            quantity=quantity,
            item=item,
        )
        draft = _as_before(found, draft)
        (outcome,) = found.append([draft])
        made = found.entry(draft.id)
    assert made is not None  # noqa: S101 - appended just now
    log.set_up(config.server.log_format, config.server.log_level)
    audit.info("ledger corrected", id=made.id, entry=entry_id, quantity=quantity, by=made.account)
    click.echo("corrected" if outcome is Outcome.CREATED else "was corrected before")
    _show_one(made, as_json=False)


def _as_before(found: Ledger, draft: Draft) -> Draft:
    """The same draft with the time of its first appearance, if it is a retry."""
    before = found.entry(draft.id)
    return draft if before is None else msgspec.structs.replace(draft, at_us=before.at_us)


@ledger.command(
    "export",
    epilog="Example: lianmu ledger export --year 2026 --format csv --out 2026.csv"
    " --config config.toml",
)
@selection_options
@click.option("--format", "form", type=click.Choice(("csv", "jsonl", "parquet")), required=True,
              help="Parquet needs the extra `parquet`.")  # fmt: skip
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), required=True,
              help="The file, which appears when it is whole; - is standard output.")  # fmt: skip
@config_option
def export(form: Any, out: Path, config: Config, **chosen: Any) -> None:
    """Write entries with all their fields and hashes to a file."""
    require(form)
    count = 0
    with opened(config) as found:
        entries = found.entries(selection=selected(**chosen))
        if str(out) == "-":
            for count in write(entries, form, sys.stdout.buffer):  # noqa: B007
                pass
            sys.stdout.buffer.flush()
            return
        with counting("entries", None) as tell:
            for count in write_file(entries, form, out):
                tell(count)
    click.echo(f"exported   {count:>12,} entries to {out}")


@ledger.command("rebuild", epilog="Example: lianmu ledger rebuild --config config.toml")
@config_option
def rebuild(config: Config) -> None:
    """Add up every entry anew and make all sums and indexes again.

    For the day `ledger verify` finds a sum that is wrong. The entries stay as they
    are. Takes about two seconds for a million entries, during which the server
    delivers as usual and folds later.
    """
    with opened(config) as found, counting("entries", found.head()[0]) as tell:
        count = found.rebuild_rollup(tell)
    click.echo(f"rebuilt from {count:,} entries")

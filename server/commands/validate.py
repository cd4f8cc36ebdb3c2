"""`lianmu validate`"""

from __future__ import annotations

import io
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import click
import msgspec
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

from protocol.charset import ENCODINGS
from protocol.iso2709 import (
    DecodedRecord,
    RawRecord,
    RefusedRecord,
    control_number,
    decode_record,
)
from protocol.record import MarcFamily
from protocol.validation import SEVERITIES, Finding, Severity, check
from server.commands.options import files_argument
from store.load import RecordFile

_RECORDS_PER_STEP = 200  # of the progress bar


@dataclass(slots=True)
class _Tally:
    """What was found. `records` and `findings` count by rule."""

    read: int = 0
    with_findings: int = 0
    records: Counter[str] = field(default_factory=Counter)
    findings: Counter[str] = field(default_factory=Counter)
    by_severity: Counter[Severity] = field(default_factory=Counter)
    rules: dict[str, Finding] = field(default_factory=dict)  # one finding of each

    def add(self, findings: list[Finding]) -> None:
        self.read += 1
        self.with_findings += bool(findings)
        self.records.update({finding.rule.id for finding in findings})
        for finding in findings:
            self.findings[finding.rule.id] += 1
            self.by_severity[finding.rule.severity] += 1
            self.rules.setdefault(finding.rule.id, finding)

    def sorted_rules(self) -> list[Finding]:
        """The worst first, the most frequent first among equals."""
        return sorted(
            self.rules.values(),
            key=lambda finding: (
                SEVERITIES.index(finding.rule.severity), -self.findings[finding.rule.id],
                finding.rule.id,
            ),
        )  # fmt: skip


@click.command(
    epilog="Example: lianmu validate --family unimarc --severity missing new-records.iso"
)
@click.option(
    "--family",
    type=click.Choice([family.value for family in MarcFamily], case_sensitive=False),
    default=MarcFamily.MARC21.value,
    show_default=True,
    help="The format of the records; unimarc is CNMARC too.",
)
@click.option(
    "--encoding",
    type=click.Choice(["auto", *ENCODINGS], case_sensitive=False),
    default="auto",
    show_default=True,
    help="Of ISO 2709 files; XML and JSON say their own.",
)
@click.option(
    "--severity",
    type=click.Choice([severity.value for severity in SEVERITIES], case_sensitive=False),
    default=Severity.WARNING.value,
    show_default=True,
    help="Tell only what is this bad, or worse.",
)
@click.option("--chinese", is_flag=True, help="Say what is wrong in Chinese.")
@click.option("--summary", "summary_only", is_flag=True, help="Count by rule, name no record.")
@click.option(
    "--json", "as_json", is_flag=True, help="One object a line, and a summary at the end."
)
@files_argument
def validate(
    family: str,
    encoding: str,
    severity: str,
    chinese: bool,
    summary_only: bool,
    as_json: bool,
    files: tuple[Path, ...],
) -> int:
    """Say what is wrong with the records of files, field by field.

    Files are ISO 2709, MARCXML or JSON, also .xz, .gz and .zip. Each record
    that has findings is named by its offset in the file and its 001. The status
    is 1 when an error, or something mandatory that is missing, was told. The
    rules are in docs/validation.md; no server is needed.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):  # a terminal may know no Chinese
        sys.stdout.reconfigure(errors="backslashreplace")
    marc_family = MarcFamily(family)
    told = frozenset(SEVERITIES[: SEVERITIES.index(Severity(severity)) + 1])
    tally = _Tally()
    tell = _json_record if as_json else _text_record
    # Where lines go to a terminal, they show how far it is, and a bar would be in their way.
    with_bar = sys.stderr.isatty() and (summary_only or not sys.stdout.isatty())
    with _progress(sum(path.stat().st_size for path in files), shown=with_bar) as progress:
        for path, record in _records(files, marc_family, encoding, progress, tally):
            findings = [
                finding for finding in check(record, marc_family) if finding.rule.severity in told
            ]
            tally.add(findings)
            if findings and not summary_only:
                click.echo(tell(path, record, findings, chinese=chinese))
    if as_json:
        click.echo(_json_summary(tally))
    else:
        _print_summary(tally, chinese=chinese)
    return int(bool(tally.by_severity[Severity.ERROR] or tally.by_severity[Severity.MISSING]))


def _records(
    files: tuple[Path, ...], family: MarcFamily, encoding: str, progress: Progress, tally: _Tally
) -> Iterator[tuple[Path, DecodedRecord | RefusedRecord]]:
    task = progress.tasks[0].id
    done_bytes = 0
    for path in files:
        with RecordFile(path) as file:
            for source in file.sources(family):
                if isinstance(source, RawRecord):
                    yield path, decode_record(source.raw, family, encoding, offset=source.offset)
                else:
                    yield path, source
                if tally.read % _RECORDS_PER_STEP == 0:
                    completed = done_bytes + file.read_bytes
                    progress.update(task, completed=completed, records=tally.read)
        done_bytes += path.stat().st_size


def _progress(total_bytes: int, *, shown: bool) -> Progress:
    progress = Progress(
        TextColumn("validating"), BarColumn(), TaskProgressColumn(),
        TextColumn("{task.fields[records]:,} records"), TimeRemainingColumn(),
        console=Console(stderr=True), transient=True, disable=not shown, redirect_stdout=False,
    )  # fmt: skip
    progress.add_task("validating", total=total_bytes, records=0)
    return progress


# What is told -----------------------------------------------------------------------


def _number(record: DecodedRecord | RefusedRecord) -> str:
    if isinstance(record, RefusedRecord):
        return record.control_number
    return control_number(record.marc)


def _text_record(
    path: Path, record: DecodedRecord | RefusedRecord, findings: list[Finding], *, chinese: bool
) -> str:
    lines = [f"{path}: offset {record.offset}, 001 {_number(record) or '(none)'}"]
    lines += [
        f"  {finding.rule.severity.value:<7}  {finding.field:<14} {finding.rule.id}: "
        f"{finding.message(chinese=chinese)}"
        for finding in findings
    ]
    return _printable("\n".join(lines))


def _printable(text: str) -> str:
    """Without control characters that a terminal would obey."""
    return "".join(
        character if character.isprintable() or character == "\n" else f"\\x{ord(character):02x}"
        for character in text
    )


def _json_record(
    path: Path, record: DecodedRecord | RefusedRecord, findings: list[Finding], *, chinese: bool
) -> str:
    content = {
        "file": str(path).encode(errors="backslashreplace").decode(),
        "offset": record.offset,
        "control_number": _number(record),
        "findings": [
            {
                "rule": finding.rule.id, "severity": finding.rule.severity.value,
                "tag": finding.tag, "occurrence": finding.occurrence, "place": finding.place,
                "value": finding.value, "message": finding.message(chinese=chinese),
            }
            for finding in findings
        ],
    }  # fmt: skip
    return msgspec.json.encode(content).decode()


def _json_summary(tally: _Tally) -> str:
    content = {
        "records": tally.read,
        "with_findings": tally.with_findings,
        "severities": {severity.value: tally.by_severity[severity] for severity in SEVERITIES},
        "rules": [
            {
                "rule": finding.rule.id, "severity": finding.rule.severity.value,
                "records": tally.records[finding.rule.id],
                "findings": tally.findings[finding.rule.id],
            }
            for finding in tally.sorted_rules()
        ],
    }  # fmt: skip
    return msgspec.json.encode({"summary": content}).decode()


def _print_summary(tally: _Tally, *, chinese: bool) -> None:
    if tally.rules:
        table = Table(box=None, header_style="")
        table.add_column("rule", no_wrap=True)
        table.add_column("severity", no_wrap=True)
        table.add_column("records", justify="right", no_wrap=True)
        table.add_column("findings", justify="right", no_wrap=True)
        table.add_column("what is wrong", overflow="fold")
        for finding in tally.sorted_rules():
            rule = finding.rule
            table.add_row(
                rule.id, rule.severity.value, f"{tally.records[rule.id]:,}",
                f"{tally.findings[rule.id]:,}", rule.chinese if chinese else rule.english,
            )  # fmt: skip
        Console(highlight=False, markup=False).print(table)
    counts = ", ".join(
        f"{severity.value} {tally.by_severity[severity]:,}" for severity in SEVERITIES
    )
    click.echo(f"{tally.read:,} records, {tally.with_findings:,} with findings: {counts}")

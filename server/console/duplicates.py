"""What the console tells of duplicates, and merging two records.

A search of the whole catalogue for duplicates takes minutes, so no page does it: what is
shown is the report that `lianmu dedupe` left, and what a look-up through the index finds
for the newest uploads or for one record. Each pair is scored anew, so one that was merged
since is not shown.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

import msgspec

from protocol.iso2709 import parse
from protocol.record import StoredRecord
from server.accounting.crediting import post_credits
from server.catalogue_pages.view import MarcLine, marc_lines
from server.cataloguing.duplicate_report import COLUMNS
from server.cataloguing.record_editing import editing
from server.config import Config
from server.log import Log
from store.audit import Origin
from store.dedupe import Pair, pair_of, pairs_with
from store.duplicates import DuplicateFinder
from store.editing import Merged, MergeRefused
from store.merging import HoldingRow
from store.record_reader import RecordReader
from store.sqlite import FILE_NAME, open_reader
from store.uploaded import MERGE, UploadRows

PAIRS_A_PAGE = 20
# A line of a report in CSV is one pair; more of them are read than shown when pairs are gone.
_LINES_READ_MAX = 200
UPLOADS_LOOKED_UP = 20
_REPORT_PREFIX = "duplicates-"

log = Log("lianmu.audit")


def is_duplicate_report(name: str) -> bool:
    """Whether a report of that name is one of `lianmu dedupe`."""
    return name.startswith(_REPORT_PREFIX) and name.endswith((".csv", ".jsonl"))


@dataclass(frozen=True, slots=True)
class PairList:
    """Some pairs of a report. `next_offset` is where to read on; None: it is read to its end."""

    pairs: Sequence[Pair]
    next_offset: int | None


def read_report(config: Config, path: Path, offset: int = 0) -> PairList:
    """The pairs of a report from some octet on that are still two records.

    Raises:
        StoreError: there is no catalogue.
        OSError: the report cannot be read.
    """
    pairs: list[Pair] = []
    with closing(open_reader(config.data_dir / FILE_NAME)) as connection, path.open("rb") as file:
        size = path.stat().st_size
        file.seek(offset if 0 <= offset <= size else 0)
        for _ in range(_LINES_READ_MAX):
            line = file.readline()
            if not line:
                return PairList(pairs, None)
            told = _told(line, path.suffix)
            if told is None:
                continue
            database, one, other = told
            pair = pair_of(connection, database, one, other)
            if pair is not None:
                pairs.append(pair)
            if len(pairs) == PAIRS_A_PAGE:
                break
        behind = file.tell()
    return PairList(pairs, behind if behind < size else None)


def _told(line: bytes, suffix: str) -> tuple[str, int, int] | None:
    """Database and record ids of a line of a report; None: it tells no pair."""
    text = line.decode("utf-8", "replace")
    try:
        if suffix == ".jsonl":
            row: dict[str, Any] = msgspec.json.decode(text)
        else:
            row = dict(zip(COLUMNS, next(csv.reader([text])), strict=True))
        return str(row["database"]), int(row["keep_id"]), int(row["away_id"])
    except (ValueError, KeyError, TypeError, StopIteration, csv.Error, msgspec.MsgspecError):
        return None  # the heading, or a line that somebody edited


def newest_uploads(config: Config) -> list[Pair]:
    """The pairs that the newest uploads are in, by an index look-up for each.

    Raises:
        StoreError: there is no catalogue.
    """
    with (
        closing(open_reader(config.data_dir / FILE_NAME)) as connection,
        DuplicateFinder(config.data_dir) as finder,
        RecordReader(config.data_dir) as reader,
    ):
        by_database: dict[str, list[int]] = {}
        for record_id in UploadRows(connection).newest_inserted(UPLOADS_LOOKED_UP):
            record = reader.rows.get(record_id)
            if record is not None and not record.deleted:
                by_database.setdefault(record.database.name, []).append(record_id)
        return [
            pair
            for database, ids in by_database.items()
            for pair in pairs_with(connection, finder, database, ids)
        ]


def pairs_of_record(config: Config, number: str) -> list[Pair] | None:
    """The pairs that the records of a control number are in; None: there is no such record.

    Raises:
        StoreError: there is no catalogue.
    """
    with (
        closing(open_reader(config.data_dir / FILE_NAME)) as connection,
        DuplicateFinder(config.data_dir) as finder,
        RecordReader(config.data_dir) as reader,
    ):
        found = [
            record
            for database_id in reader.rows.databases
            for record in reader.rows.by_number(database_id, number)
            if not record.deleted
        ]
        if not found:
            return None
        return [
            pair
            for record in found
            for pair in pairs_with(connection, finder, record.database.name, [record.record_id])
        ]


@dataclass(frozen=True, slots=True)
class Compared:
    """Two records beside each other; `pair` is None where they are not like each other at all.

    `marc` has their fields in order, those that are the same on one line.
    """

    one: StoredRecord
    other: StoredRecord
    pair: Pair | None
    holdings: tuple[Sequence[HoldingRow], Sequence[HoldingRow]]
    marc: Sequence[tuple[MarcLine | None, MarcLine | None]]

    @property
    def may_merge(self) -> bool:
        return self.one.database.name == self.other.database.name


def compare_records(config: Config, one_id: int, other_id: int) -> Compared | None:
    """Two live records; None: one is not there any more.

    Raises:
        StoreError: there is no catalogue.
    """
    with (
        closing(open_reader(config.data_dir / FILE_NAME)) as connection,
        RecordReader(config.data_dir) as reader,
    ):
        one, other = reader.rows.get(one_id), reader.rows.get(other_id)
        if one is None or other is None or one.deleted or other.deleted or one_id == other_id:
            return None
        pair = None
        if one.database.name == other.database.name:
            pair = pair_of(connection, one.database.name, one_id, other_id, score_min=0)
        if pair is not None and pair.keep.record_id == other_id:
            one, other = other, one
        rows = reader.merges.holding_rows
        return Compared(
            one, other, pair, (rows(one.record_id), rows(other.record_id)),
            list(_beside(marc_lines(parse(one.marc)), marc_lines(parse(other.marc)))),
        )  # fmt: skip


def _beside(
    ours: Sequence[MarcLine], theirs: Sequence[MarcLine]
) -> Iterator[tuple[MarcLine | None, MarcLine | None]]:
    """Fields of two records in lines; what is like nothing on the other side stands alone."""
    keys, other_keys = [_key(line) for line in ours], [_key(line) for line in theirs]
    matcher = SequenceMatcher(a=keys, b=other_keys, autojunk=False)
    for what, begin, end, other_begin, other_end in matcher.get_opcodes():
        left, right = list(ours[begin:end]), list(theirs[other_begin:other_end])
        if what == "equal":
            yield from zip(left, right, strict=True)
            continue
        while left or right:
            if left and right and left[0].tag == right[0].tag:
                yield left.pop(0), right.pop(0)
            elif left and (not right or left[0].tag <= right[0].tag):
                yield left.pop(0), None
            else:
                yield None, right.pop(0)


def _key(line: MarcLine) -> tuple[str, tuple[str, ...], tuple[tuple[str, str], ...]]:
    return line.tag, line.indicators, tuple(line.subfields)


def merge_records(
    config: Config,
    keep_id: int,
    away_id: int,
    versions: tuple[int, int],
    *,
    origin: Origin,
    reason: str,
) -> tuple[Merged, bool]:
    """Merge two records as `lianmu record merge` does; whether a credit was taken back.

    `versions` are those that the person saw, of the one kept and the other.

    Raises:
        MergeRefused: one of them was changed meanwhile, or they cannot be merged.
        StoreError: the catalogue cannot be written, or one of them is gone.
    """
    with editing(config, origin) as at, at.writer.transaction():
        found = at.rows.get(keep_id), at.rows.get(away_id)
        if tuple(record.version if record else 0 for record in found) != versions:
            raise MergeRefused("one of the records was changed meanwhile")
        done = at.editor.merge(keep_id, away_id, account=origin.account, reason=reason)
        at.note(MERGE, done.away, origin.account)
    log.info(
        "record merged away", control_number=done.away.control_number,
        into=done.keep.control_number, database=done.keep.database.name,
        account=origin.account, address=origin.address, reason=reason,
    )  # fmt: skip
    taken_back, _ = post_credits(config)
    return done, bool(taken_back)

"""Whether a catalogue is whole: its file, its rows, its counts, its index.

Everything is read in one state of the catalogue, and nothing is changed, so it
may run beside a server.
"""

from __future__ import annotations

import json
import random
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from pyroaring import BitMap

from protocol.iso2709 import parse
from store.gather import Postings
from store.holdings_journal import unfinished_imports
from store.index_audit import Sample, audit, decoded
from store.index_check import check_delta, check_main, damage
from store.indexed_versions import IndexedVersion, VersionReader, add_version
from store.indexed_versions import merged as merged_versions
from store.load_journal import unfinished_loads
from store.records import agency_of, read_databases
from store.registers import DATABASE, fingerprint
from store.reindex import NEW, NEW_FILE_NAME, unfinished_reindex
from store.sqlite import StoreError, go_through_all

SAMPLE_DEFAULT = 500
SAMPLE_MAX = 10_000
FINDINGS_MAX = 100

_HOLDINGS_HELD = """
SELECT institution, coalesce(counted_id, record_id) FROM holding
LEFT JOIN counted_under USING (record_id, institution)
"""
_HOLDINGS_TOLD = """
SELECT institution, record_id FROM holding_event GROUP BY 1, 2 HAVING sum(change) != 0
"""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is wrong, or only worth to be known (`is_problem` False)."""

    part: str
    text: str
    is_problem: bool = True


def examine(
    connection: sqlite3.Connection,
    path: Path,
    *,
    sample: int | None = SAMPLE_DEFAULT,
    seed: int | None = None,
    tell: Callable[[str], None] = lambda step: None,
) -> list[Finding]:
    """Everything that is amiss in the catalogue at `path`, at most FINDINGS_MAX problems.

    Of `sample` records, drawn by `seed`, every posting is checked; None: of all
    of them, which takes as long as `reindex` and the disk of a second index.
    `tell` is called with what is looked at next.
    """
    found: list[Finding] = []
    go_through_all(connection)
    connection.execute("BEGIN")
    try:
        for part, problems in (
            ("file", _damage(connection, tell, whole=sample is None)),
            ("records", _records(connection, tell)),
            ("holdings", _holdings(connection, tell)),
            ("index", _index(connection, tell, sample, seed)),
        ):
            for text in islice(problems, FINDINGS_MAX - len(found)):
                found.append(Finding(part, text))  # noqa: PERF401 - kept when it breaks off
        found += _unfinished(connection, path)
    except sqlite3.DatabaseError as error:
        found.append(Finding("file", f"the file is damaged: {error}"))
    finally:
        with suppress(sqlite3.DatabaseError):  # said above
            connection.execute("COMMIT")
    return found


def examine_file(path: Path, part: str, schema_version: int) -> Iterator[Finding]:
    """What is wrong with another SQLite file of the data folder, which is only read."""
    try:
        uri = f"{path.resolve().as_uri()}?mode=ro"
        with closing(sqlite3.connect(uri, uri=True, timeout=30.0)) as connection:
            for finding in damage(connection):
                yield Finding(part, finding)
            (version,) = connection.execute("PRAGMA user_version").fetchone()
    except sqlite3.Error as error:
        yield Finding(part, f"{path.name}: {error}")
        return
    if version > schema_version:
        yield Finding(part, f"{path.name} has schema {version}, newer than this program")
    elif version < schema_version:
        yield Finding(
            part, f"{path.name} has schema {version}: it is brought up to {schema_version} when"
            " it is next written", is_problem=False,
        )  # fmt: skip


def _damage(
    connection: sqlite3.Connection, tell: Callable[[str], None], *, whole: bool
) -> Iterator[str]:
    tell("the file")
    if whole:
        for (row,) in connection.execute("PRAGMA integrity_check(10)"):
            if row != "ok":
                yield f"the file is damaged: {row}"
    else:
        yield from damage(connection)
    for table, row_id, parent, _ in connection.execute("PRAGMA foreign_key_check").fetchmany(10):
        # A table without row numbers has none to tell.
        row = f"a row of {table}" if row_id is None else f"row {row_id} of {table}"
        yield f"{row} speaks of a row of {parent} that is not there"


def _records(connection: sqlite3.Connection, tell: Callable[[str], None]) -> Iterator[str]:
    tell("the history of records")
    for record_id, version, kept in connection.execute(
        "SELECT record_id, version, kept FROM (SELECT record_id, version, (SELECT count(*)"
        " FROM record_version v WHERE v.record_id = r.record_id AND v.version < r.version) AS kept"
        " FROM record r WHERE version > 1) WHERE kept != version - 1"
    ):
        yield f"record {record_id} is in version {version}, and {kept} before it are kept"
    for record_id, version in connection.execute(
        "SELECT record_id, v.version FROM record_version v JOIN record r USING (record_id)"
        " WHERE v.version >= r.version"
    ):
        yield f"record {record_id} has version {version} in its history, which is to come yet"


def _holdings(connection: sqlite3.Connection, tell: Callable[[str], None]) -> Iterator[str]:
    tell("holdings and what the ledger is told of them")
    for institution, record_id in connection.execute(f"{_HOLDINGS_HELD} EXCEPT {_HOLDINGS_TOLD}"):
        yield f"{institution} holds record {record_id}, and the ledger was not told"
    for institution, record_id in connection.execute(f"{_HOLDINGS_TOLD} EXCEPT {_HOLDINGS_HELD}"):
        yield f"the ledger was told that {institution} holds record {record_id}; it does not"
    for institution, record_id, total in connection.execute(
        "SELECT institution, record_id, sum(change) FROM holding_event GROUP BY 1, 2"
        " HAVING sum(change) NOT IN (0, 1)"
    ):
        yield f"the ledger was told {total} times that {institution} holds record {record_id}"


def _index(
    connection: sqlite3.Connection,
    tell: Callable[[str], None],
    sample: int | None,
    seed: int | None,
) -> Iterator[str]:
    built_by = connection.execute("SELECT value FROM meta WHERE key = 'index'").fetchone()
    if built_by is None or built_by[0] != fingerprint():
        yield "it was built by another version of the analysis: run `lianmu reindex`"
        return
    tell("records changed since the last merge")
    yield from _delta(connection)
    yield from check_delta(connection)
    tell("counts")
    live = _live(connection)
    bases = dict(connection.execute("SELECT record_id, base_version FROM delta").fetchall())
    merged = BitMap.union(BitMap(), *live.values()) - BitMap(bases)
    merged |= BitMap(record_id for record_id, version in bases.items() if version)
    yield from _database_counts(connection, live, BitMap(bases))
    if sample is None:
        tell("every posting of every record")
        try:
            yield from check_main(connection)
        except StoreError:  # one record is enough to stop it: which ones are they?
            yield from _not_indexable(connection)
            yield "the index was not compared with the records, since it cannot be made of them"
        return
    tell(f"every row, and every posting of {min(sample, len(merged)):,} records")
    drawn = Sample()
    register_ids = dict(connection.execute("SELECT name, register_id FROM register").fetchall())
    for version in _drawn(connection, merged, sample, seed):
        if isinstance(version, str):
            yield version
            continue
        try:
            drawn.add(version, register_ids)
        except StoreError as error:  # the others are looked at too
            yield str(error)
            continue
        except KeyError as error:
            yield f"register {error} is not there"
            return
        record = parse(version.marc)
        yield from _identity(
            connection,
            version.record_id,
            version.version,
            record_identity=(agency_of(record), record.control_number),
        )
    yield from audit(connection, merged, drawn)


def _not_indexable(connection: sqlite3.Connection) -> Iterator[str]:
    """Each record of the main index that is so damaged that no postings can be made of it."""
    for version in merged_versions(connection):
        try:
            add_version(Postings(), 0, version)
        except StoreError as error:
            yield str(error)


def _delta(connection: sqlite3.Connection) -> Iterator[str]:
    """Whether the numbering of changed records and of states of the index holds together."""
    generation, merged_sequence = connection.execute(
        "SELECT generation, merged_sequence FROM state"
    ).fetchone()
    for record_id, sequence in connection.execute(
        "SELECT record_id, sequence FROM delta WHERE sequence <= ?", (merged_sequence,)
    ):
        yield f"delta row {sequence} of record {record_id} was merged and is still there"
    row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'delta'").fetchone()
    if (row[0] if row else 0) < merged_sequence:
        yield f"change {merged_sequence} was merged, which is to come yet"
    for (newer,) in connection.execute(
        "SELECT generation FROM merged WHERE generation > ?", (generation,)
    ):
        yield f"the log of merges speaks of state {newer} of the index, which is to come yet"
    for (record_id,) in connection.execute(
        "SELECT record_id FROM delta WHERE record_id NOT IN (SELECT record_id FROM record)"
    ):
        yield f"the delta speaks of record {record_id}, which is not there"
    for record_id, base in connection.execute(
        "SELECT record_id, base_version FROM delta JOIN record r USING (record_id)"
        " WHERE base_version > 0 AND base_version != r.version AND NOT EXISTS (SELECT 1"
        " FROM record_version v WHERE v.record_id = r.record_id AND v.version = base_version)"
    ):
        yield f"the index holds version {base} of record {record_id}, which is not there"


def _live(connection: sqlite3.Connection) -> dict[int, BitMap]:
    """The records that are not deleted, by database."""
    live = {database_id: BitMap() for database_id in read_databases(connection)}
    rows = connection.execute("SELECT database_id, record_id FROM record WHERE NOT deleted")
    while some := rows.fetchmany(10_000):
        for database_id, record_id in some:
            live.setdefault(database_id, BitMap()).add(record_id)
    return live


def _database_counts(
    connection: sqlite3.Connection, live: dict[int, BitMap], changed: BitMap
) -> Iterator[str]:
    """Whether the index says of each database which records it holds."""
    found = dict(
        connection.execute(
            "SELECT term, records FROM posting JOIN register USING (register_id) WHERE name = ?",
            (DATABASE,),
        ).fetchall()
    )
    for database_id, database in read_databases(connection).items():
        records = decoded(found.pop(database.name, b"")) or BitMap()
        expected = live[database_id] - changed
        if records - changed != expected:
            yield (
                f"{database.name} has {len(expected):,} unchanged records,"
                f" and {len(records - changed):,} by the index"
            )
    for name in found:
        yield f"it knows a database {name!r} that there is not"


def _drawn(
    connection: sqlite3.Connection, merged: BitMap, count: int, seed: int | None
) -> Iterator[IndexedVersion | str]:
    """Some records as the main index should have them; or what is wrong with one."""
    draw = random.Random(seed if seed is not None else time.time_ns())  # noqa: S311
    chosen = draw.sample(range(len(merged)), min(count, len(merged)))
    reader = VersionReader(connection)
    for place in sorted(chosen):
        record_id = merged[place]
        row = connection.execute(
            "SELECT base_version, base_institutions FROM delta WHERE record_id = ?", (record_id,)
        ).fetchone()
        if row is None:
            newest = reader.newest(record_id)
            if newest is not None:
                yield newest
            continue
        try:
            yield reader.former(record_id, row[0], json.loads(row[1]))
        except StoreError as error:
            yield str(error)


def _identity(
    connection: sqlite3.Connection,
    record_id: int,
    version: int,
    *,
    record_identity: tuple[str, str],
) -> Iterator[str]:
    """Whether a record is kept under the 003 and 001 that it has."""
    row = connection.execute(
        "SELECT agency, control_number FROM record WHERE record_id = ? AND version = ?",
        (record_id, version),
    ).fetchone()
    if row is not None and row != record_identity:
        yield f"record {record_id} is kept as {row}, and says {record_identity}"


def _unfinished(connection: sqlite3.Connection, path: Path) -> Iterator[Finding]:
    """What was begun and has not ended; it may be under way."""
    for load in unfinished_loads(connection):
        done = load.progress
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(load.updated_us / 1e6))
        yield Finding(
            "load",
            f"a load of {', '.join(load.files)} into {load.database} stands behind record"
            f" {done.sources:,} of file {done.file + 1} since {when}: unless it is under way,"
            " give the same command again",
            is_problem=False,
        )
    for begun in unfinished_imports(connection):
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(begun.updated_us / 1e6))
        yield Finding(
            "holdings",
            f"an import of {begun.file} stands at {begun.progress.records:,} records since {when}:"
            " unless it is under way, give the same command again",
            is_problem=False,
        )
    if unfinished_reindex(connection) is not None:
        yield Finding(
            "reindex", "begun and not ended: unless it is under way, run `lianmu reindex` again",
            is_problem=False,
        )  # fmt: skip
    else:
        for (name,) in connection.execute(
            "SELECT name FROM sqlite_schema WHERE name IN (?, ?)",
            (f"posting{NEW}", f"position{NEW}"),
        ):
            yield Finding("reindex", f"table {name} was left behind")
        if path.with_name(NEW_FILE_NAME).exists():
            yield Finding(
                "reindex", f"{NEW_FILE_NAME} is of no use any more and may be removed",
                is_problem=False,
            )  # fmt: skip
    count, size = connection.execute(
        "SELECT count(*), coalesce(sum(length(entries)), 0) FROM delta"
    ).fetchone()
    if count:
        yield Finding(
            "merge", f"{count:,} changed records ({size // 1000:,} kB) wait to be merged",
            is_problem=False,
        )  # fmt: skip

"""How large the parts of a catalogue are, for whoever watches it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from store.sqlite import FILE_NAME, open_reader

# The tables of the index, by what they are to people.
INDEX_PARTS = {"postings": "posting", "positions": "position"}


def delta_rows(directory: Path) -> int:
    """Records changed since the last merge.

    Raises:
        StoreError: the catalogue cannot be read.
    """
    with closing(open_reader(directory / FILE_NAME)) as connection:
        (count,) = connection.execute("SELECT count(*) FROM delta").fetchone()
        return int(count)


def index_sizes(directory: Path) -> dict[str, int]:
    """What the parts of the index take in its file, in octets; empty: SQLite cannot tell.

    It reads most of the index: not to be asked often.

    Raises:
        StoreError: the catalogue cannot be read.
    """
    sizes = {}
    with closing(open_reader(directory / FILE_NAME)) as connection:
        # All of it is read once: a map or a large cache would only push out what is in use.
        connection.execute("PRAGMA mmap_size = 0")
        connection.execute("PRAGMA cache_size = -1024")
        try:
            for part, table in INDEX_PARTS.items():
                (size,) = connection.execute(
                    "SELECT coalesce(sum(pgsize), 0) FROM dbstat WHERE name = ? AND aggregate = 1",
                    (table,),
                ).fetchone()
                sizes[part] = int(size)
        except sqlite3.OperationalError:  # compiled without dbstat
            return {}
    return sizes

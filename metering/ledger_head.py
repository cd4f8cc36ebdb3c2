"""Whether the newest end of a ledger is whole, without reading all of it."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

from metering.entry import FIELDS, GENESIS_HASH, entry_hash
from metering.interface import MeteringError
from metering.ledger_page import PAGE_COLUMNS, Page, first_bad
from metering.ledger_schema import SCHEMA_VERSION, naming_errors

_LAST_ENTRY = f"SELECT {', '.join(FIELDS)} FROM entry ORDER BY seq DESC LIMIT 1"
_LAST_PAGE = f"SELECT {PAGE_COLUMNS} FROM page ORDER BY first_seq DESC LIMIT 1"


def check_head(path: Path) -> tuple[int, bytes]:
    """Number and hash of the last entry, hashed again; 0 and the genesis hash without entries.

    Reads one row or page, and writes nothing. What lies before is for `lianmu
    ledger verify`.

    Raises:
        MeteringError: the ledger is missing, cannot be read, has another schema, or
            its last entries are not what was hashed.
    """
    if not path.is_file():
        raise MeteringError(f"the ledger: there is no {path.name}")
    with naming_errors():
        uri = f"{path.resolve().as_uri()}?mode=ro"
        with contextlib.closing(sqlite3.connect(uri, uri=True, timeout=5.0)) as connection:
            connection.execute("PRAGMA query_only = ON")
            connection.execute("BEGIN")
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version != SCHEMA_VERSION:
                raise MeteringError(
                    f"the ledger has schema {version}, this program knows {SCHEMA_VERSION}"
                )
            row = connection.execute(_LAST_ENTRY).fetchone()
            stored = connection.execute(_LAST_PAGE).fetchone()
    page = Page(*stored) if stored is not None else None
    if page is not None and (row is None or row[0] <= page.last_seq):
        if first_bad(page) is not None:
            raise MeteringError(f"the ledger: entry {page.last_seq} is not what was hashed")
        return page.last_seq, page.hash
    if row is None:
        return 0, GENESIS_HASH
    *contents, previous, own_hash = row
    if entry_hash(previous, tuple(contents)) != own_hash:
        raise MeteringError(f"the ledger: entry {row[0]} is not what was hashed")
    return row[0], own_hash

"""A ledger that lies in a backup: verified where it is, without a file beside it."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

from metering.ledger_schema import naming_errors
from metering.ledger_verify import Progress, Verification, verify


def verify_copy(path: Path, progress: Progress | None = None) -> Verification:
    """As `Ledger.verify`, of a file that nobody writes to.

    Raises:
        MeteringError: it cannot be read.
    """
    uri = f"{path.resolve().as_uri()}?mode=ro&immutable=1"
    with (
        naming_errors(),
        contextlib.closing(sqlite3.connect(uri, uri=True, isolation_level=None)) as connection,
    ):
        return verify(connection, progress)

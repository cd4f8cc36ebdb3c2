"""Reading records with their history and merges, for who looks at one and changes nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from store.merging import MergeRows
from store.records import RecordRows, read_databases
from store.sqlite import FILE_NAME, open_reader
from store.versions import RecordVersion, versions


class RecordReader:
    """The records of the catalogue in `directory`; to be closed, or used in `with`.

    Raises:
        StoreError: there is no catalogue, or its schema is another.
    """

    def __init__(self, directory: Path) -> None:
        self._connection = open_reader(directory / FILE_NAME)
        self.rows = RecordRows(self._connection)
        self.rows.databases = read_databases(self._connection)
        self.merges = MergeRows(self._connection)

    def versions(self, record_id: int) -> list[RecordVersion]:
        """Every version of a record, the oldest first; empty: there is no such record."""
        return versions(self._connection, record_id)

    def close(self) -> None:
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

"""The catalogue open for an operator's change of a record, beside a server or without one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from server.config import Config
from store.editing import Editor
from store.record_reader import RecordReader
from store.records import RecordRows
from store.writer import CatalogueWriter


@contextmanager
def editing(config: Config) -> Iterator[tuple[Editor, RecordRows]]:
    """What changes records, and what finds them.

    Raises:
        StoreError: there is no catalogue, or it cannot be written.
    """
    RecordReader(config.data_dir).close()  # a change makes no new catalogue
    writer = CatalogueWriter(config.data_dir, durable=config.metering.fsync)
    try:
        yield Editor(writer), writer.rows
    finally:
        writer.close()

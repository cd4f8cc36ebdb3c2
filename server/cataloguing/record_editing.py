"""The catalogue open for an operator's change of a record, beside a server or without one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from protocol.record import StoredRecord
from server.config import Config
from store.audit import Origin
from store.editing import Editor
from store.record_reader import RecordReader
from store.uploaded import UploadRows
from store.writer import CatalogueWriter


class Editing:
    """What changes records, what finds them, and what writes the change down."""

    def __init__(self, writer: CatalogueWriter, origin: Origin) -> None:
        self.writer = writer
        self.editor = Editor(writer)
        self.rows = writer.rows
        self._origin = origin

    def note(self, action: str, stored: StoredRecord, who: str) -> None:
        """Write a change down for the audit, in its transaction."""
        UploadRows(self.writer.connection).add(
            stored.record_id, stored.version, action, institution="", account=who,
            protocol=self._origin.protocol, address=self._origin.address,
            at_us=stored.modified_us,
        )  # fmt: skip


@contextmanager
def editing(config: Config, origin: Origin) -> Iterator[Editing]:
    """`origin` is from where the changes come.

    Raises:
        StoreError: there is no catalogue, or it cannot be written.
    """
    RecordReader(config.data_dir).close()  # a change makes no new catalogue
    writer = CatalogueWriter(config.data_dir, durable=config.metering.fsync)
    try:
        yield Editing(writer, origin)
    finally:
        writer.close()

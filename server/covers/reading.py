"""Which cover a record has, for workers: point reads on a connection that is opened once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

from protocol.record import StoredRecord
from server.config import Config
from server.covers.shelf import Shelf, Size
from server.log import Log
from store.covers import Cover, CoverRows
from store.holding_events import HoldingEvents
from store.sqlite import Refused, StoreError

log = Log("lianmu.covers")


class CoverReader:
    """Reads covers; without any database of them nobody has one."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._shelf = Shelf(config.covers_dir)
        self._rows: CoverRows | None = None
        self._catalogue = ""

    def of_record(
        self, record: StoredRecord, former_numbers: Callable[[], Sequence[str]]
    ) -> Cover | None:
        """The record's own cover, or else that of a record which was merged into it.

        `former_numbers` gives the control numbers of those. A database that cannot
        be read is in the log, and then there is no cover: the record is there all
        the same.
        """
        try:
            rows = self._opened()
            if rows is None:
                return None
            own = rows.of_record(self._catalogue, record.record_id)
            if own is not None:
                return own
            former = former_numbers()
            name = record.database.name
            return rows.of_numbers(self._catalogue, name, former) if former else None
        except (StoreError, Refused) as error:
            log.error("covers cannot be read", reason=str(error))
            return None

    def path(self, cover: Cover, size: Size) -> Path:
        """Where a picture of it is; a reader that opened the file has all of it."""
        return self._shelf.path(cover.sha256, cover.format, size)

    def close(self) -> None:
        if self._rows is not None:
            self._rows.close()
            self._rows = None

    def _opened(self) -> CoverRows | None:
        if self._rows is None and self._config.covers_path.exists():
            with closing(HoldingEvents(self._config.data_dir)) as events:
                self._catalogue = events.name
            self._rows = CoverRows(self._config.covers_path)
        return self._rows

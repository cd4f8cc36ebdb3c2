"""Opens the ledger with what it is fed from: spools and the catalogue's holdings."""

from __future__ import annotations

from collections.abc import Iterator

from metering.fold import Folder
from metering.interface import HoldingEvent
from metering.kept_totals import KeptTotals
from metering.ledger import Ledger
from metering.usage import UsageReader
from server.config import Config
from store.holding_events import HoldingEvents


class Accounting:
    """The ledger of one configuration, its folder and its figures.

    Opening makes the ledger where it is missing; the catalogue must be there. `kept`
    is for who asks for all members' figures again and again.

    Raises:
        MeteringError: the ledger cannot be opened.
        StoreError: there is no catalogue.
    """

    def __init__(self, config: Config, kept: KeptTotals | None = None) -> None:
        self._events = HoldingEvents(config.data_dir)
        self.ledger = Ledger(config.ledger_path, rules=config.counting_rules)
        self.folder = Folder(
            self.ledger, config.spool_dir, events_after=self._events_after,
            outbox=self._events.name,
        )  # fmt: skip
        self.usage = UsageReader(
            self.ledger, config.spool_dir, events_after=self._events_after,
            outbox=self._events.name, tariffs=config.tariffs, kept=kept,
        )  # fmt: skip

    def _events_after(self, sequence: int) -> Iterator[HoldingEvent]:
        for change in self._events.after(sequence):
            yield HoldingEvent(
                change.sequence, change.institution, change.record_id, change.change,
                change.at_us, change.account, change.database, change.control_number,
            )  # fmt: skip

    def close(self) -> None:
        self.ledger.close()
        self._events.close()

    def __enter__(self) -> Accounting:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

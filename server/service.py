"""What one worker shares among its connections: catalogue, meter, accounts, counters."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from types import TracebackType

from metering.kept_totals import KeptTotals
from metering.spool import SpoolMeter
from protocol.diagnostic import Diagnostic
from server.access_control.access import Principal, SignIn
from server.access_control.session_table import SessionTable
from server.access_control.sessions import Sessions
from server.accounting.search_counts import SearchCounts
from server.config import Config
from server.delivery.retrieval import FormsOf, RecordForm, Retrieved, retrieve
from server.live.board import LiveBoard
from server.metrics.counting import Counting
from server.steering import Place, Steering
from server.uploads.door import Uploads
from server.z3950.forms import Forms
from store import sqlite
from store.catalogue import SqliteCatalogue


class Service:
    """Opened once in each worker; both protocols go through it."""

    def __init__(
        self,
        config: Config,
        worker: int,
        board: LiveBoard | None = None,
        place: Place | None = None,
    ) -> None:
        """`board` is what all processes of the server count on; none: it is alone.

        `place` is told of connections.
        """
        self.config = config
        self.worker = worker
        self.board = board or LiveBoard(worker + 1)
        self.place = place or Steering((), 0).begin(0)
        self.figures = self.board.worker(worker)
        self.counting = Counting(self.figures)
        places = config.z3950.associations_max
        self.sessions = Sessions(
            worker, SessionTable(config.run_dir, worker, config.workers, places)
        )
        # All members' sums of the year, which several pages show.
        self.kept_totals = KeptTotals()
        self.forms = Forms(config.database)
        self.sign_in = SignIn(
            config.members_path, config.access, refused=self.counting.refused,
            shared_dir=config.run_dir,
        )  # fmt: skip
        self.catalogue = SqliteCatalogue(
            config.data_dir, cache_size_bytes_max=config.catalogue.cache_bytes_max
        )
        self.searches = SearchCounts(config.data_dir, self.catalogue.resolve)
        self.uploads = Uploads(config)
        self.meter = SpoolMeter(
            config.spool_dir,
            owner=f"worker-{worker}",
            sync="always" if config.metering.fsync else "off",
        )

    async def __aenter__(self) -> Service:
        self.figures.begin()
        if self.config.tracing.otlp_endpoint:
            from server.metrics.spans import Spans  # noqa: PLC0415 - an extra that few install

            self.counting.spans = Spans(self.config.tracing, self.worker)
        self.searches.start()
        self.sign_in.open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self.counting.spans is not None:
            await asyncio.to_thread(self.counting.spans.close)
        await self.searches.stop()
        await asyncio.to_thread(self.uploads.close)
        await self.meter.close()
        self.catalogue.close()
        self.sign_in.close()

    def catalogue_changed_at(self) -> datetime:
        """When the catalogue's files were last written, the same for every worker."""
        path = self.config.data_dir / sqlite.FILE_NAME
        files = (path, path.with_name(f"{path.name}-wal"))
        changed = max(file.stat().st_mtime for file in files if file.exists())
        return datetime.fromtimestamp(changed, UTC)

    def retrieve(
        self,
        principal: Principal,
        record_ids: Sequence[int],
        form: RecordForm | FormsOf,
        protocol: str,
        session: str,
        fits: Callable[[bytes | Diagnostic, int], bytes | Diagnostic | None] | None = None,
    ) -> Awaitable[Retrieved | Diagnostic]:
        """`server.delivery.retrieval.retrieve` with this worker's catalogue and meter."""
        return retrieve(
            self.catalogue, self.meter, principal, record_ids, form,
            protocol=protocol, session=session, fits=fits,
        )  # fmt: skip

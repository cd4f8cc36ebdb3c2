"""All pages of one worker, area by area."""

from __future__ import annotations

from aiohttp import web

from server.batch.desk import BatchDesk
from server.catalogue_pages.pages import SearchPages
from server.config import Config
from server.console.pages import ConsolePages
from server.covers.pages import CoverPages
from server.delivery.outbox import Outbox
from server.live.pages import StatusPages
from server.selfservice.area import MyPages
from server.service import Service
from server.web.shell import Shell
from server.web.sign_in_pages import SignInPages


class Site:
    """Adds the routes of every area over one shell."""

    def __init__(self, config: Config, service: Service, outbox: Outbox, desk: BatchDesk) -> None:
        self.shell = Shell(config, service)
        self._covers = CoverPages(self.shell)
        self.search = SearchPages(self.shell, outbox, self._covers)
        self._status = StatusPages(self.shell, config, service)
        self._areas = (
            SignInPages(self.shell), self._status, ConsolePages(self.shell),
            MyPages(self.shell, desk), self._covers, self.search,
        )  # fmt: skip

    def add_routes(self, app: web.Application) -> None:
        self.shell.assets.add_routes(app)
        for area in self._areas:
            area.add_routes(app)

    def start(self) -> None:
        """Begin what goes on beside the requests."""
        self._status.start()

    async def stop(self) -> None:
        """End the answers that would go on."""
        await self._status.stop()

    def close(self) -> None:
        self._covers.close()
        self.shell.close()

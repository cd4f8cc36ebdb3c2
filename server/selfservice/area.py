"""The pages of member libraries, below `/-/my/`."""

from __future__ import annotations

from aiohttp import web

from server.batch.desk import BatchDesk
from server.selfservice.account_pages import AccountPages
from server.selfservice.batch_pages import BatchPages
from server.selfservice.holdings_pages import HoldingsPages
from server.selfservice.ledger_pages import LedgerPages
from server.selfservice.overview import PATH as OVERVIEW
from server.selfservice.overview import OverviewPages
from server.selfservice.statement_pages import StatementPages
from server.web.navigation import MY, is_member
from server.web.shell import Shell, Visit, redirect


class MyPages:
    """Every page of a member of one worker."""

    def __init__(self, shell: Shell, desk: BatchDesk) -> None:
        self._shell = shell
        self._parts = (
            OverviewPages(shell), LedgerPages(shell), HoldingsPages(shell),
            BatchPages(shell, desk), AccountPages(shell), StatementPages(shell),
        )  # fmt: skip

    def add_routes(self, app: web.Application) -> None:
        for path in (MY, f"{MY}/"):
            self._shell.get(app, path, self._first, is_member)
        for part in self._parts:
            part.add_routes(app)

    async def _first(self, _: web.Request, __: Visit) -> web.StreamResponse:
        return redirect(OVERVIEW)

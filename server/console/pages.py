"""All pages of the operator console."""

from __future__ import annotations

from typing import Protocol

from aiohttp import web

from server.access_control.permissions import Operation
from server.console.audit_pages import AuditPages
from server.console.duplicate_pages import DuplicatePages
from server.console.job_pages import JobPages
from server.console.ledger_pages import LedgerPages
from server.console.member_pages import MEMBERS, MemberPages
from server.console.settlement_pages import SettlementPages
from server.console.tariff_pages import TariffPages
from server.web.navigation import CONSOLE, operator_may
from server.web.shell import Shell, Visit, redirect


class _Area(Protocol):
    def add_routes(self, app: web.Application) -> None: ...


class ConsolePages:
    """What operators of the consortium have; members get 403, others the sign-in form."""

    def __init__(self, shell: Shell) -> None:
        self._shell = shell
        self._areas: tuple[_Area, ...] = (
            MemberPages(shell, shell.service.kept_totals), LedgerPages(shell), JobPages(shell),
            DuplicatePages(shell), SettlementPages(shell), TariffPages(shell), AuditPages(shell),
        )  # fmt: skip

    def add_routes(self, app: web.Application) -> None:
        for path in (CONSOLE, f"{CONSOLE}/"):
            self._shell.get(app, path, self._first, operator_may(Operation.MEMBERS_READ))
        for area in self._areas:
            area.add_routes(app)

    async def _first(self, _: web.Request, __: Visit) -> web.StreamResponse:
        return redirect(MEMBERS)

"""A member's statements: every year that has one, to look at and to download."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from aiohttp import web

from metering.entry import accounting_day
from metering.settlement_store import Settlement
from metering.spool import utc_us
from server.access_control.permissions import Operation
from server.accounting.ledger import Accounting
from server.accounting.settling import open_settlements
from server.accounting.statements import CONTENT_TYPES
from server.config import Config
from server.web.navigation import member_may
from server.web.shell import Shell, Visit
from server.web.statement_file import answer_statement

PATH = "/-/my/statements"


@dataclass(frozen=True, slots=True)
class StatedYear:
    """A year with the documents that its statement shows: an estimate, a draft, or final ones."""

    year: int
    documents: tuple[Settlement, ...]

    @property
    def status(self) -> str:
        """ "estimate", "draft" or "final"."""
        return next(each.status for each in self.documents if each.status != "note")

    @property
    def net_fen(self) -> int:
        return sum(each.net_fen for each in self.documents)


def stated_years(config: Config, institution: str, this_year: int) -> list[StatedYear]:
    """The years of a member, the newest first.

    Raises:
        MeteringError: the ledger cannot be read.
    """
    with Accounting(config) as accounting, accounting.ledger.reading() as snapshot:
        years = {*snapshot.years(institution), this_year}
    with open_settlements(config) as settlements:
        stated = []
        for year in sorted(years, reverse=True):
            documents = settlements.billed_with(year, institution)
            if not any(each.status == "final" for each in documents):
                documents = settlements.drafts(year, institution)[-1:] or settlements.estimates(
                    year, institution
                )
            if documents:
                stated.append(StatedYear(year, tuple(documents)))
    return stated


class StatementPages:
    """The list, and a statement in one of its forms."""

    def __init__(self, shell: Shell) -> None:
        self._shell = shell

    def add_routes(self, app: web.Application) -> None:
        allowed = member_may(Operation.STATEMENT_READ)
        self._shell.get(app, PATH, self._list, allowed)
        self._shell.get(app, f"{PATH}/{{year}}.{{form}}", self._download, allowed)

    async def _list(self, request: web.Request, visit: Visit) -> web.StreamResponse:
        this_year, _ = accounting_day(utc_us())
        years = await asyncio.to_thread(
            stated_years, self._shell.config, visit.who.institution, this_year
        )
        values = {"path": PATH, "years": years, "forms": tuple(CONTENT_TYPES)}
        return self._shell.render(request, visit, "my/statements.html", values)

    async def _download(self, request: web.Request, visit: Visit) -> web.StreamResponse:
        year, form = request.match_info["year"], request.match_info["form"]
        if not (year.isascii() and year.isdecimal() and len(year) == 4) or (
            form not in CONTENT_TYPES
        ):
            return self._shell.problem(request, visit, 404, visit.texts("my.no_statement"))
        return await answer_statement(
            self._shell, request, visit, visit.who.institution, int(year), form
        )

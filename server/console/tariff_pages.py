"""The page of the tariff: its versions, and the prices of one."""

from __future__ import annotations

from aiohttp import web

from metering.tariff import priced_years, tariff_of_year
from server.access_control.permissions import Operation
from server.console.base import year_in
from server.web.navigation import CONSOLE, operator_may
from server.web.shell import Shell, Visit

TARIFF = f"{CONSOLE}/tariff"


class TariffPages:
    def __init__(self, shell: Shell) -> None:
        self._shell = shell

    def add_routes(self, app: web.Application) -> None:
        self._shell.get(app, TARIFF, self._show, operator_may(Operation.TARIFF_READ))

    async def _show(self, request: web.Request, visit: Visit) -> web.StreamResponse:
        tariffs = self._shell.config.tariffs
        in_force = tariff_of_year(year_in(request), tariffs)
        asked = request.query.get("version", in_force.version)
        chosen = next((each for each in tariffs if each.version == asked), None)
        if chosen is None and asked != in_force.version:
            message = visit.texts("console.no_tariff", version=asked)
            return self._shell.problem(request, visit, 404, message)
        chosen = chosen or in_force
        values = {
            "versions": list(priced_years(tariffs))[::-1],
            "in_force": in_force.version,
            "chosen": chosen,
            "prices": [
                (item, fen, chosen.shares(item).partner_fen if chosen.is_shared(item) else 0)
                for item, fen in chosen.prices_fen.items()
            ],
            "path": TARIFF,
        }
        return self._shell.render(request, visit, "console/tariff.html", values)

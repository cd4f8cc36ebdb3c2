"""The status for operators: a page that stays up to date, and `/status` for programs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any

import msgspec
from aiohttp import hdrs, web

from protocol.diagnostic import Bib1, SruDiagnostic
from protocol.sru_update import UpdateDiagnostic
from server.access_control.access import Principal
from server.access_control.permissions import Operation, Why, http_status
from server.access_control.permissions import refusal as refusal_of
from server.config import Config
from server.http.refusals import refuse
from server.http.responses import NO_STORE
from server.http.sign_in import challenge, refusal, sign_in, wants_html
from server.live.charts import CHARTS, POINTS_MAX, RANGES, ROWS_MAX, charts, tables
from server.live.status import Status
from server.live.stream import Stream
from server.metrics.layout import BIB1, OTHER, SRU
from server.service import Service
from server.web.navigation import CONSOLE
from server.web.shell import CHART_SCRIPTS, Shell, Visit
from server.web.texts import LANGUAGES, Texts, texts

UPDATE_INTERVAL_S = 5.0
FIRST_READING_S = 2.0
# What a page shows of long lists; the JSON has all of them.
SESSIONS_MAX = 100
GROUPS_MAX = 30
MEMBERS_MAX = 50
RANGE = "1h"
# The parts of the page that are made anew, each a template of its own.
REGIONS = ("now", "processes", "sessions", "stores", "quota", "trouble")

_NO_STORE: Mapping[str, str] = {hdrs.CACHE_CONTROL: NO_STORE}


class StatusPages:
    """`/status`, `/status/series`, `/status/events` and the page of the console."""

    def __init__(self, shell: Shell, config: Config, service: Service) -> None:
        self._shell = shell
        self._service = service
        self._status = Status(config, service)
        self._stream = Stream(
            self._messages, UPDATE_INTERVAL_S, write_timeout_s=config.http.write_timeout_s
        )
        self._page = shell.page(self._show, Operation.STATUS_READ)
        self._first_reading: asyncio.Task[None] | None = None

    def add_routes(self, app: web.Application) -> None:
        self._shell.get(app, f"{CONSOLE}/status", self._show, Operation.STATUS_READ)
        app.router.add_get("/status", self._answer)
        self._shell.get(app, "/status/series", self._series, Operation.STATUS_READ)
        self._shell.get(app, "/status/events", self._events, Operation.STATUS_READ)

    def start(self) -> None:
        """Read the figures once, a moment after the start: nobody who looks need wait then."""
        self._first_reading = asyncio.get_running_loop().create_task(self._read_first())

    async def _read_first(self) -> None:
        await asyncio.sleep(FIRST_READING_S * (1 + self._service.worker))  # not all at once
        await self._status.collect(kept=True)

    async def stop(self) -> None:
        """Let go of the pages that are being told."""
        if self._first_reading is not None:
            self._first_reading.cancel()
        await self._stream.stop()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        if wants_html(request):
            return await self._page(request)
        refused = await self._require_operator(request)
        if refused is not None:
            return refused
        return _json(await self._status.collect())

    async def _require_operator(self, request: web.Request) -> web.Response | None:
        principal = await sign_in(self._service, request)
        wanted = "Sign in as an operator of the consortium."
        if isinstance(principal, Principal):
            refused = refusal_of(principal, Operation.STATUS_READ)
            if refused is None:
                return None
            if refused.why is Why.SIGN_IN:
                return refuse(request, 401, wanted, challenge(request))
            return refuse(request, http_status(refused), f"{refused.text}.")
        status_code, headers = refusal(self._service, request, principal)
        return refuse(request, status_code, f"{wanted} {principal.addinfo}".strip(), headers)

    async def _show(self, request: web.Request, visit: Visit) -> web.StreamResponse:
        chosen = _range(request)
        t = visit.texts
        figures = await self._status.collect(kept=True)
        values = {
            **self._values(figures, t),
            "range": chosen,
            "ranges": list(RANGES),
            "charts": charts(self._spans(chosen, POINTS_MAX), t),
            "tables": tables(self._spans(chosen, ROWS_MAX), t),
            "chart_names": CHARTS,
            "regions": REGIONS,
        }
        return self._shell.render(
            request, visit, "status/page.html", values, scripts=(*CHART_SCRIPTS, "status.js")
        )

    async def _series(self, request: web.Request, visit: Visit) -> web.StreamResponse:
        """What the charts draw, as JSON; `range` is one of RANGES."""
        return _json(charts(self._spans(_range(request), POINTS_MAX), visit.texts))

    async def _events(self, request: web.Request, visit: Visit) -> web.StreamResponse:
        def is_allowed() -> bool:
            principal = self._shell.standing(request, visit)
            return principal is not None and refusal_of(principal, Operation.STATUS_READ) is None

        return await self._stream.serve(request, visit.texts.language, is_allowed)

    def _spans(self, chosen: str, parts_max: int) -> list[Any]:
        now_us = time.time_ns() // 1_000
        return self._service.board.history.spans(RANGES[chosen], parts_max, now_us)

    async def _messages(self) -> dict[str, bytes]:
        """The regions of the page in each language."""
        figures = await self._status.collect(kept=True)
        messages = {}
        for language in LANGUAGES:
            t = texts(language)
            values = self._values(figures, t)
            regions = {
                name: self._shell.fragment(t, f"status/{name}.html", values) for name in REGIONS
            }
            message = {"regions": regions, "samples": self._service.board.history.taken}
            messages[language] = msgspec.json.encode(message)
        return messages

    def _values(self, figures: dict[str, Any], t: Texts) -> dict[str, Any]:
        """What the regions are made of."""
        return {
            **figures,
            "sessions": figures["sessions"][:SESSIONS_MAX],
            "sessions_count": len(figures["sessions"]),
            "sessions_by_member": figures["sessions_by_member"][:GROUPS_MAX],
            "groups_count": len(figures["sessions_by_member"]),
            "near_quota": figures["near_quota"][:MEMBERS_MAX],
            "near_count": len(figures["near_quota"]),
            "diagnostics": [
                {**each, "text": _meaning(each["set"], each["condition"], t)}
                for each in figures["diagnostics"]
            ],
            "concerns": concerns(figures, t),
        }


def concerns(figures: dict[str, Any], t: Texts) -> list[str]:
    """What somebody should look at, in sentences."""
    found = [
        t("status.process_down", name=each["name"])
        for each in figures["processes"]
        if not each["up"]
    ]
    server = figures["server"]
    if server["workers_answering"] < server["workers"]:
        found.append(
            t("status.not_answering", count=server["workers"] - server["workers_answering"])
        )
    found += [
        t("status.unreadable", part=t.name("status_part", part), reason=reason)
        for part, reason in figures["unreadable"].items()
    ]
    disk, ledger = figures["disk"], figures["ledger"]
    if disk is not None and disk["free_bytes"] < 2 * disk["free_bytes_min"]:
        found.append(t("status.disk_low"))
    waiting_us = ledger["waiting_since_us"] if ledger is not None else None
    if waiting_us is not None and time.time_ns() // 1_000 - waiting_us > 60_000_000:
        found.append(t("status.folding_late"))
    return found


def _range(request: web.Request) -> str:
    chosen = request.query.get("range", RANGE)
    return chosen if chosen in RANGES else RANGE


def _meaning(of: str, condition: str, t: Texts) -> str:
    """A diagnostic in words: those of the standard, in the language where there is one."""
    if condition == OTHER:
        return t("status.other")
    if of == BIB1:
        return Bib1(int(condition)).message
    if of == SRU:
        number = SruDiagnostic(int(condition))
        return t.tables["diagnostic"].get(condition, number.message)
    return UpdateDiagnostic(int(condition)).message


def _json(value: object) -> web.Response:
    return web.Response(
        body=msgspec.json.encode(value), content_type="application/json", charset="utf-8",
        headers=_NO_STORE,
    )  # fmt: skip

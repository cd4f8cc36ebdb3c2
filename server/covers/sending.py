"""`PUT` and `DELETE` of `/covers/{database}/{number}`: programs send pictures and take them away.

The body of PUT is the picture itself. Who sends is told by HTTP Basic or an API key;
cookies of browsers are not looked at, so no page of another site can make one send.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec
from aiohttp import hdrs, web

from protocol.diagnostic import Diagnostic
from protocol.record import StoredRecord
from server.access_control.principal import Principal
from server.config import Config
from server.covers.keeping import CoverKeeper, CoverKept, CoverReason, CoverRefused
from server.http.refusals import problem
from server.http.responses import NO_STORE
from server.http.sign_in import challenge, refusal, sign_in
from server.service import Service
from server.uploads.upload import Change
from store.audit import Origin

# Pictures that wait in a worker; decoding one takes up to a second and 100 MB.
WAITING_MAX = 8
_RETRY_S = "5"

_STATUS = {
    CoverReason.FORBIDDEN: 403,
    CoverReason.NOT_OWN: 403,
    CoverReason.BAD_PICTURE: 422,
    CoverReason.NO_RECORD: 404,
    CoverReason.NO_COVER: 404,
    CoverReason.UNAVAILABLE: 503,
}

Find = Callable[[web.Request], Awaitable[Sequence[StoredRecord]]]
_Work = Callable[[Principal, StoredRecord, Origin, bytes], CoverKept | CoverRefused]


class CoverSending:
    """Takes pictures one at a time; `find` gives the records that an address means."""

    def __init__(self, config: Config, service: Service, find: Find) -> None:
        self._service = service
        self._find = find
        self._keeper = CoverKeeper(config)
        self._turn = asyncio.Lock()
        self._waiting = 0

    def add_routes(self, app: web.Application, path: str) -> None:
        app.router.add_put(path, self._put)
        app.router.add_delete(path, self._delete)

    async def _put(self, request: web.Request) -> web.Response:
        sent = await request.read()

        def add(
            principal: Principal, record: StoredRecord, origin: Origin, sent: bytes
        ) -> CoverKept | CoverRefused:
            return self._keeper.add(principal, record, sent, origin=origin)

        return await self._change(request, add, sent)

    async def _delete(self, request: web.Request) -> web.Response:
        reason = request.query.get("reason", "")

        def remove(
            principal: Principal, record: StoredRecord, origin: Origin, _: bytes
        ) -> CoverKept | CoverRefused:
            return self._keeper.remove(principal, record, origin=origin, reason=reason)

        return await self._change(request, remove, b"")

    async def _change(self, request: web.Request, work: _Work, sent: bytes) -> web.Response:
        principal = await sign_in(self._service, request)
        if isinstance(principal, Diagnostic):
            status, headers = refusal(self._service, request, principal)
            return problem(status, principal.addinfo, headers)
        records = await self._find(request)
        if len(records) != 1:
            told = f"{len(records)} records have" if records else "no record has"
            return problem(409 if records else 404, f"In this database {told} this number.")
        if self._waiting >= WAITING_MAX:
            busy = "Too many pictures wait; send it again later."
            return problem(503, busy, {hdrs.RETRY_AFTER: _RETRY_S})
        origin = Origin("web", principal.account, request.remote or "")
        self._waiting += 1
        try:
            async with self._turn:
                outcome = await asyncio.to_thread(work, principal, records[0], origin, sent)
        finally:
            self._waiting -= 1
        if isinstance(outcome, CoverRefused):
            return _refused(request, principal, outcome)
        return _done(request, outcome)


def _refused(request: web.Request, principal: Principal, outcome: CoverRefused) -> web.Response:
    if outcome.reason is CoverReason.FORBIDDEN and principal.anonymous:
        return problem(401, outcome.text, challenge(request))
    status = _STATUS[outcome.reason]
    headers = {str(hdrs.RETRY_AFTER): _RETRY_S} if status == 503 else None
    return problem(status, outcome.text, headers)


def _done(request: web.Request, outcome: CoverKept) -> web.Response:
    cover = outcome.cover
    document: dict[str, Any] = {
        "change": outcome.change.value,
        "database": cover.database,
        "control_number": cover.control_number,
    }
    if outcome.change is not Change.DELETED:
        document |= {
            "format": cover.format, "width": cover.width, "height": cover.height,
            "size_bytes": cover.size_bytes, "sha256": cover.sha256, "credit": outcome.credit,
        }  # fmt: skip
    return web.Response(
        body=msgspec.json.encode(document), content_type="application/json",
        status=201 if outcome.change is Change.CREATED else 200,
        headers={hdrs.CACHE_CONTROL: NO_STORE, hdrs.LOCATION: request.rel_url.raw_path},
    )  # fmt: skip

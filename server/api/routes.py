"""All areas of the API, their routes, and the document that describes them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import msgspec
from aiohttp import hdrs, web

from server.api import (
    access,
    accounts,
    batch,
    changes,
    covers,
    databases,
    figures,
    holdings,
    institutions,
    records,
)
from server.api.dispatch import Dispatcher
from server.api.openapi import document
from server.api.operation import Area, Operation
from server.batch.desk import BatchDesk
from server.config import Config
from server.delivery.outbox import Outbox
from server.http.guard import Handler
from server.http.responses import REVALIDATE
from server.service import Service
from server.web.session import WebSessions

DOCUMENT_PATH = "/api/openapi.json"

AREAS: Sequence[Area] = (
    databases.AREA, records.AREA, covers.AREA, holdings.AREA, institutions.AREA, accounts.AREA,
    accounts.KEYS, access.AREA, figures.AREA, changes.AREA, batch.AREA, batch.FORMER,
)  # fmt: skip


class Api:
    """The API of one worker."""

    def __init__(self, config: Config, service: Service, outbox: Outbox, batch: BatchDesk) -> None:
        sessions = WebSessions(config.data_dir)
        self._dispatcher = Dispatcher(config, service, outbox, batch, sessions)

    def add_routes(self, app: web.Application) -> None:
        app.router.add_get(DOCUMENT_PATH, _show_document)
        for area in AREAS:
            for operation in area.operations:
                app.router.add_route(operation.method, operation.path, self._handler(operation))
                if operation.method == hdrs.METH_GET:
                    app.router.add_head(operation.path, self._handler(operation))

    def _handler(self, operation: Operation) -> Handler:
        async def respond(request: web.Request) -> web.StreamResponse:
            return await self._dispatcher.respond(operation, request)

        return respond

    async def stop(self) -> None:
        """Let what was begun come to its end."""
        await self._dispatcher.stop()


@cache
def document_json() -> bytes:
    """The OpenAPI document, for people who read it too."""
    return msgspec.json.format(msgspec.json.encode(document(AREAS)), indent=2) + b"\n"


async def _show_document(_: web.Request) -> web.Response:
    """For anyone: it says nothing of the catalogue."""
    return web.Response(
        body=document_json(), content_type="application/json",
        headers={hdrs.CACHE_CONTROL: REVALIDATE},
    )  # fmt: skip

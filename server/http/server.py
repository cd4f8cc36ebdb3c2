"""The HTTP shell: routes, and behind them SRU, ISBN jobs, the status page and health checks."""

from __future__ import annotations

import asyncio
import socket
from importlib import resources
from typing import Any

from aiohttp import hdrs, web

from server.access_control.proxied_listener import ProxiedListener
from server.access_control.proxies import TrustedProxies
from server.api.routes import Api
from server.batch.desk import BatchDesk
from server.config import Config
from server.http.connection import Connection
from server.http.guard import Guard
from server.http.responses import WRITE_TIMEOUT_S
from server.live import status
from server.log import Log
from server.metrics.pages import MetricsPages
from server.service import Service
from server.sru.service import SruService
from server.web.site import Site
from server.z3950.server import Z3950Server

ASSETS = {"style.css": "text/css", "sru.xsl": "text/xsl"}

log = Log("lianmu.http")


class HttpServer:
    """SRU, `/status`, health checks and metrics on one listening socket."""

    def __init__(self, config: Config, service: Service, z3950: Z3950Server) -> None:
        self._config = config
        self._service = service
        self._guard = Guard(config, service, z3950.outbox)
        self._sru = SruService(config, service, z3950.outbox, self._guard.limits)
        self._desk = BatchDesk(config, service)
        self._site = Site(config, service, z3950.outbox, self._desk)
        self._metrics = MetricsPages(service, z3950.outbox, lambda: len(self._connections))
        self._api = Api(config, service, z3950.outbox, self._desk)
        self._status_socket = status.StatusSocket(config, service)
        self._outbox = z3950.outbox
        self._connections: set[Connection] = set()
        self._runner: web.AppRunner | None = None
        self._listener: asyncio.Server | ProxiedListener | None = None
        self._proxies = TrustedProxies(config.access.trusted_proxies)

    async def start(self, listener: socket.socket) -> None:
        app = web.Application(client_max_size=self._config.http.body_bytes_max)
        app[WRITE_TIMEOUT_S] = self._config.http.write_timeout_s
        self._guard.install(app)
        self._metrics.add_routes(app)
        self._api.add_routes(app)
        app.router.add_get("/assets/{name}", self._asset)
        app.router.add_get("/", self._site.search.first(self._sru.respond))
        app.router.add_get("/{database}", self._site.search.first(self._sru.respond))
        app.router.add_post("/", self._sru.respond)
        app.router.add_post("/{database}", self._sru.respond)
        self._site.add_routes(app)
        self._runner = web.AppRunner(
            app, handle_signals=False, shutdown_timeout=self._config.server.shutdown_grace_s
        )
        await self._runner.setup()
        loop = asyncio.get_running_loop()
        access = self._config.access
        if access.trusted_proxies and "http" in access.proxy_protocol:
            self._listener = ProxiedListener(
                listener, lambda client: self._connection(loop, client), self._proxies
            )
        else:
            self._listener = await loop.create_server(lambda: self._connection(loop), sock=listener)
        await self._status_socket.start()
        self._desk.start()
        self._site.start()
        self._metrics.start()

    def _connection(self, loop: asyncio.AbstractEventLoop, client: str = "") -> Connection:
        assert self._runner is not None  # noqa: S101
        assert self._runner.server is not None  # noqa: S101 - set by setup()
        return Connection(
            self._runner.server, self._service, self._outbox, self._sru.at_once,
            self._connections, loop, self._proxies, client,
        )  # fmt: skip

    async def stop(self) -> None:
        """Accept no more and let requests finish."""
        await self._site.stop()
        await self._desk.stop()
        await self._status_socket.stop()
        if self._listener is not None:
            self._listener.close()
        if self._runner is not None:
            await self._runner.cleanup()
        await self._api.stop()
        self._site.close()
        self._metrics.stop()

    async def _asset(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        source = _page_source(name) if name in ASSETS else None
        if source is None:
            raise web.HTTPNotFound
        return web.Response(
            text=source, content_type=ASSETS[name], headers={hdrs.CACHE_CONTROL: "max-age=3600"}
        )


def _page_source(name: str) -> str | None:
    source: Any = resources.files("server").joinpath("pages", name)
    return source.read_text("utf-8") if source.is_file() else None

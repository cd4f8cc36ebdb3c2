"""The HTTP shell: routes, sign-in, limits of time; SRU and the status page behind it."""

from __future__ import annotations

import asyncio
import logging
import re
import socket
from collections.abc import Awaitable, Callable, Mapping
from importlib import resources
from typing import Any

import jinja2
import msgspec
from aiohttp import hdrs, web

from protocol.diagnostic import Diagnostic
from server import VERSION, status
from server.access import Principal
from server.config import Config
from server.http_responses import DEADLINE, deliver
from server.log import Log
from server.outbox import Outbox
from server.service import Service
from server.sign_in import challenge, refusal, sign_in, wants_html
from server.sru import SruService
from server.z3950 import Z3950Server

REQUEST_BYTES_MAX = 1 << 20
KEEPALIVE_TIMEOUT_S = 75.0
CLIENT_CLOSED_REQUEST = 499  # as web servers write it in their logs
ASSETS = {"style.css": "text/css"}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

log = Log("lianmu.http")


class HttpServer:
    """SRU, `/status` and the health checks on one listening socket."""

    def __init__(self, config: Config, service: Service, z3950: Z3950Server) -> None:
        self._config = config
        self._service = service
        self._sru = SruService(config, service, z3950.outbox)
        self._status_socket = status.StatusSocket(config, service)
        self._templates = jinja2.Environment(
            loader=jinja2.FunctionLoader(_page_source),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
        )
        self._templates.filters["yuan"] = lambda fen: f"{fen // 100}.{fen % 100:02d}"
        self._outbox = z3950.outbox
        self._runner: web.AppRunner | None = None
        self._listener: asyncio.Server | None = None

    async def start(self, listener: socket.socket) -> None:
        app = web.Application(middlewares=[self._guard], client_max_size=REQUEST_BYTES_MAX)
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/readyz", self._readyz)
        app.router.add_get("/status", self._status)
        app.router.add_get("/assets/{name}", self._asset)
        app.router.add_get("/", self._sru.respond)
        app.router.add_get("/{database}", self._sru.respond)
        self._runner = web.AppRunner(
            app, handle_signals=False, shutdown_timeout=self._config.server.shutdown_grace_s
        )
        await self._runner.setup()
        loop = asyncio.get_running_loop()
        self._listener = await loop.create_server(lambda: self._connection(loop), sock=listener)
        await self._status_socket.start()

    def _connection(self, loop: asyncio.AbstractEventLoop) -> _Connection:
        assert self._runner is not None  # noqa: S101
        assert self._runner.server is not None  # noqa: S101 - set by setup()
        return _Connection(
            self._runner.server, self._outbox, loop=loop, keepalive_timeout=KEEPALIVE_TIMEOUT_S
        )

    async def stop(self) -> None:
        """Accept no more and let requests finish."""
        await self._status_socket.stop()
        if self._listener is not None:
            self._listener.close()
        if self._runner is not None:
            await self._runner.cleanup()

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Bound the time of a request and keep tracebacks in the log."""
        try:
            async with asyncio.timeout(self._config.http.request_timeout_s) as deadline:
                request[DEADLINE] = deadline
                response = await handler(request)
                if isinstance(response, web.Response) and not response.prepared:
                    return await deliver(request, response)
                return response
        except web.HTTPException:
            raise
        except ConnectionError as error:
            log.debug("response not sent", path=request.path, reason=str(error))
            return self._cut(request, error)
        except TimeoutError:
            log.warning("request timed out", path=request.path)
            return _problem(503, "The request took too long.")
        except Exception as error:
            log.exception("request failed", path=request.path)
            self._service.sessions.counters.failures += 1
            if request.writer.output_size:
                return self._cut(request, error)
            return _problem(500, "Temporary system error.")

    def _cut(self, request: web.Request, error: Exception) -> web.Response:
        """End the connection of a response that cannot be finished.

        A client must not take what it got for the whole, so the connection is
        reset; and what waits there to be sent, of earlier responses too, will not be.
        """
        if request.transport is not None:
            self._outbox.lost(request.transport, error)
            request.transport.abort()
        return web.Response(status=CLIENT_CLOSED_REQUEST)  # nobody is there to read it

    async def _healthz(self, _: web.Request) -> web.Response:
        """This worker's event loop turns."""
        return web.json_response({"status": "ok", "version": VERSION})

    async def _readyz(self, _: web.Request) -> web.Response:
        """The catalogue answers and the ledger can be read."""
        try:
            records = sum(self._service.catalogue.totals().values())
            await asyncio.to_thread(status.check_ledger, self._config)
        except Exception as error:
            log.exception("not ready")
            return web.json_response({"status": "not ready", "reason": str(error)}, status=503)
        return web.json_response({"status": "ok", "records": records})

    async def _asset(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        source = _page_source(name) if name in ASSETS else None
        if source is None:
            raise web.HTTPNotFound
        return web.Response(
            text=source, content_type=ASSETS[name], headers={hdrs.CACHE_CONTROL: "max-age=3600"}
        )

    async def _status(self, request: web.Request) -> web.Response:
        refusal = await self._require_operator(request)
        if refusal is not None:
            return refusal
        figures = await status.collect(self._config, self._service)
        if wants_html(request):
            page = self._templates.get_template("status.html").render(figures)
            return web.Response(text=page, content_type="text/html", headers=_PAGE_HEADERS)
        return web.json_response(
            figures, dumps=lambda value: msgspec.json.encode(value).decode(), headers=_NO_STORE
        )

    async def _require_operator(self, request: web.Request) -> web.Response | None:
        principal = await sign_in(self._service, request)
        if isinstance(principal, Principal) and principal.operator:
            return None
        if isinstance(principal, Principal) and not principal.anonymous:
            return _problem(403, "The status page is for operators of the consortium.")
        wanted = "Sign in as an operator of the consortium."
        if not isinstance(principal, Diagnostic):
            return _problem(401, wanted, challenge(request))
        status_code, headers = refusal(self._service, request, principal)
        return _problem(status_code, f"{wanted} {principal.addinfo}".strip(), headers)


# Requests are logged by ourselves; aiohttp asks whether its own log is on.
_NO_ACCESS_LOG = logging.getLogger("lianmu.http.access")
_NO_ACCESS_LOG.disabled = True


_NOT_ASCII = re.compile(rb"[\x80-\xff]")


class _Connection(web.RequestHandler):
    """aiohttp's connection, telling the outbox how it ended."""

    __slots__ = ("_outbox",)

    def __init__(
        self, manager: web.Server, outbox: Outbox, *, loop: asyncio.AbstractEventLoop,
        keepalive_timeout: float,
    ) -> None:  # fmt: skip
        super().__init__(
            manager, loop=loop, keepalive_timeout=keepalive_timeout, access_log=_NO_ACCESS_LOG
        )
        self._outbox = outbox

    def data_received(self, data: bytes) -> None:
        # Simple clients put a query into the address as it is, in UTF-8, which
        # the parser refuses; escaped it says the same.
        end_of_line = data.find(b"\r\n")
        if end_of_line > 0 and data[:4] == b"GET " and not data[:end_of_line].isascii():
            line = _NOT_ASCII.sub(lambda octet: b"%%%02X" % octet[0][0], data[:end_of_line])
            data = line + data[end_of_line:]
        super().data_received(data)

    def connection_lost(self, exc: BaseException | None) -> None:
        if self.transport is not None:
            self._outbox.lost(self.transport, exc)
        super().connection_lost(exc)


_NO_STORE: Mapping[str, str] = {hdrs.CACHE_CONTROL: "no-store"}
_PAGE_HEADERS: Mapping[str, str] = {
    **_NO_STORE,
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src data:",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


def _problem(
    status_code: int, detail: str, headers: Mapping[str, str] | None = None
) -> web.Response:
    return web.json_response(
        {"status": status_code, "detail": detail},
        status=status_code,
        content_type="application/problem+json",
        headers=headers,
    )


def _page_source(name: str) -> str | None:
    source: Any = resources.files("server").joinpath("pages", name)
    return source.read_text("utf-8") if source.is_file() else None

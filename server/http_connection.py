"""One HTTP connection: aiohttp's, with what clients of ours send and the ledger needs."""

from __future__ import annotations

import asyncio
import re
from typing import cast

from aiohttp import hdrs, web
from aiohttp.http_exceptions import LineTooLong

from server.config import Http
from server.http_log import AccessLog, access_logger
from server.http_refusals import problem
from server.log import Log
from server.outbox import Outbox

# How long a connection too many may take to ask and be told so.
_TURNED_AWAY_S = 1.0
_METHODS = (b"GET ", b"HEAD", b"POST")
_FULL = (
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 10\r\nConnection: close\r\n"
    b"Content-Type: text/plain\r\nContent-Length: 22\r\n\r\nToo many connections.\n"
)
_NOT_ASCII = re.compile(rb"[\x80-\xff]")

log = Log("lianmu.http")


class Connection(web.RequestHandler):
    """Repairs addresses in raw UTF-8, and tells the outbox how the connection ended.

    `others` are the worker's open connections; one too many is turned away.
    """

    __slots__ = ("_max", "_others", "_outbox", "_sends_to", "_turned_away")

    def __init__(
        self,
        manager: web.Server,
        outbox: Outbox,
        config: Http,
        others: set[Connection],
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        super().__init__(
            manager,
            loop=loop,
            keepalive_timeout=config.idle_timeout_s,
            access_log_class=AccessLog,
            access_log=access_logger(config.access_log),
            max_line_size=config.address_bytes_max,
        )
        self._outbox = outbox
        self._others = others
        self._max = config.connections_max
        # aiohttp forgets its transport when it closes a connection, before that has ended.
        self._sends_to: asyncio.WriteTransport | None = None
        self._turned_away: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if len(self._others) >= self._max:
            self._turned_away = cast(asyncio.WriteTransport, transport)
            self._loop.call_later(_TURNED_AWAY_S, transport.close)
            log.warning("too many connections", connections=len(self._others))
            return
        self._others.add(self)
        self._sends_to = cast(asyncio.WriteTransport, transport)
        super().connection_made(transport)

    def data_received(self, data: bytes) -> None:
        if self._turned_away is not None:
            # Not before something came: what is unread would undo the answer.
            if not self._turned_away.is_closing():
                self._turned_away.write(_FULL)
                self._turned_away.close()
            return
        # Simple clients put a query into the address as it is, in UTF-8, which
        # the parser refuses; escaped it says the same.
        end_of_line = data.find(b"\r\n")
        if end_of_line > 0 and data[:4] in _METHODS and not data[:end_of_line].isascii():
            line = _NOT_ASCII.sub(lambda octet: b"%%%02X" % octet[0][0], data[:end_of_line])
            data = line + data[end_of_line:]
        super().data_received(data)

    def connection_lost(self, exc: BaseException | None) -> None:
        if self._turned_away is not None:
            return
        self._others.discard(self)
        if self._sends_to is not None:
            self._outbox.lost(self._sends_to, exc)
            self._sends_to = None
        super().connection_lost(exc)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what is not HTTP, in a sentence and without a traceback."""
        if status >= 500 or request.writer.output_size:
            return super().handle_error(request, status, exc, message)
        if isinstance(exc, LineTooLong):
            status, detail = 414, "The address or a header is too long."
        else:
            reason = (message or "").strip().partition("\n")[0].rstrip(":.")
            detail = f"This is not HTTP as it should be: {reason}." if reason else "Bad request."
        log.info("bad request", address=request.remote or "", status=status, reason=detail)
        response = problem(status, detail, {hdrs.CONNECTION: "close"})
        response.force_close()
        return response

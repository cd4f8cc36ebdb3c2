"""One HTTP connection: aiohttp's, with what clients of ours send and the ledger needs."""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from collections.abc import Iterator
from typing import Any, cast
from urllib.parse import parse_qsl

from aiohttp import hdrs, web
from aiohttp.http_exceptions import LineTooLong
from aiohttp.streams import EMPTY_PAYLOAD

from metering.interface import Entering, MeteringError, Receipt
from server.access_control.proxies import TrustedProxies
from server.delivery.outbox import Outbox
from server.http import access_log
from server.http.access_log import AccessLog, access_logger
from server.http.at_once import AnswerAtOnce, AtOnce
from server.http.refusals import problem
from server.log import Log
from server.service import Service

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

    A request that comes alone while no other is under way is answered here, if
    `at_once` can. `others` are the worker's open connections; one too many is
    turned away. `client` is its address where a proxy has told it in front of the
    connection; what `proxies` tell in headers, requests have as their `remote`.
    """

    __slots__ = (
        "_address", "_answer", "_answered", "_at_boundary", "_at_once", "_behind_proxy",
        "_entering", "_held", "_make_request", "_max", "_others", "_outbox", "_proxies",
        "_sends_to", "_service", "_turned_away", "head",
    )  # fmt: skip

    def __init__(
        self,
        manager: web.Server,
        service: Service,
        outbox: Outbox,
        at_once: AtOnce,
        others: set[Connection],
        loop: asyncio.AbstractEventLoop,
        proxies: TrustedProxies,
        client: str = "",
    ) -> None:
        config = service.config.http
        super().__init__(
            manager,
            loop=loop,
            keepalive_timeout=config.idle_timeout_s,
            access_log_class=AccessLog,
            access_log=access_logger(config.access_log),
            max_line_size=config.address_bytes_max,
        )
        self._service = service
        self._outbox = outbox
        self._at_once = at_once
        # The request under way, when it came alone and is nothing but a head.
        self.head = b""
        # All that came before was whole requests without bodies.
        self._at_boundary = True
        self._answer: AnswerAtOnce | None = None
        self._entering: Entering | None = None
        self._held: list[bytes] = []
        self._address = client
        self._proxies = proxies
        self._behind_proxy = False
        self._answered: asyncio.Future[None] | None = None
        self._others = others
        self._max = config.connections_max
        # aiohttp forgets its transport when it closes a connection, before that has ended.
        self._sends_to: asyncio.Transport | None = None
        self._turned_away: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if len(self._others) >= self._max:
            self._turned_away = cast(asyncio.WriteTransport, transport)
            self._loop.call_later(_TURNED_AWAY_S, transport.close)
            log.warning("too many connections", connections=len(self._others))
            self._service.counting.refused("connections")
            return
        self._others.add(self)
        self._service.place.opened()
        self._sends_to = cast(asyncio.Transport, transport)
        peer = transport.get_extra_info("peername")
        remote = peer[0] if isinstance(peer, tuple) else ""
        self._address = self._address or remote
        self._behind_proxy = self._proxies.trusts(self._address)
        if self._address != remote or self._behind_proxy:
            self._make_request = self._request_factory
            self._request_factory = self._request_of_client
        super().connection_made(transport)

    def _request_of_client(self, *arguments: Any) -> web.BaseRequest:
        """A request that knows where its client is, rather than where the connection is from."""
        assert self._make_request is not None  # noqa: S101 - the connection is made
        request = self._make_request(*arguments)
        return request.clone(remote=self._proxies.client_of(request, self._address))

    def told_by_proxy(self, request: web.BaseRequest) -> str:
        """Where the client is, if a header of the request says so and is believed; else ""."""
        remote = request.remote or ""
        return remote if self._behind_proxy and remote != self._address else ""

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
        if self._answer is not None:
            # What a client sends before it has its answer waits here and in the systems between.
            self._held.append(data)
            if self._sends_to is not None:
                self._sends_to.pause_reading()
            return
        if self._at_boundary and self._is_idle() and self._has_sent_all():
            answer = self._at_once.answer(data, self._address, self._behind_proxy)
            if answer is not None:
                self._answer_at_once(data, answer)
                return
        self._hand_on(data)

    def _hand_on(self, data: bytes) -> None:
        """Give octets to aiohttp, and see whether they were one request without a body."""
        known, idle = self._request_count, self._is_idle()
        super().data_received(data)
        self._at_boundary = (
            self._at_boundary
            and self._request_count == known + 1
            and self._messages[-1][1] is EMPTY_PAYLOAD
            and data.endswith(b"\r\n\r\n")
        )
        self.head = data if idle and self._at_boundary else b""

    def _is_idle(self) -> bool:
        waiter = self._waiter
        return (
            waiter is not None
            and not waiter.done()
            and not self._messages
            and not self._force_close
            and not self._close
        )

    def _has_sent_all(self) -> bool:
        return self._sends_to is not None and not self._sends_to.get_write_buffer_size()

    # Answers at once

    def _answer_at_once(self, data: bytes, answer: AnswerAtOnce) -> None:
        """Send it when its deliveries are in the ledger; if they cannot be, go the long way."""
        self.head = data
        self._answer = answer
        if not answer.deliveries:
            self._entered()
            return
        try:
            self._entering = entering = self._service.meter.enter(answer.deliveries)
        except MeteringError:
            self._entered()
        else:
            entering.resume = self._entered

    def _entered(self) -> None:
        answer, entering, transport = self._answer, self._entering, self._sends_to
        assert answer is not None  # noqa: S101 - it was waited for
        self._answer = self._entering = None
        answer.admission.__exit__()
        receipt = entering.outcome if entering is not None else None
        if transport is None or transport.is_closing():
            if isinstance(receipt, Receipt):
                self._service.meter.void(receipt, "connection lost")
        elif isinstance(receipt, Receipt) or not answer.deliveries:
            self._send(answer, transport)
            if isinstance(receipt, Receipt):
                self._outbox.add(transport, receipt)
        else:
            # Nothing was done yet: tried again there it is answered, or refused as it should be.
            self._hand_on(self.head)
        if self._answered is not None:
            self._answered.set_result(None)
        if self._held and transport is not None:
            held = b"".join(self._held)
            self._held.clear()
            transport.resume_reading()
            self.data_received(held)

    def _send(self, answer: AnswerAtOnce, transport: asyncio.WriteTransport) -> None:
        transport.write(answer.data)
        self._next_keepalive_close_time = self._loop.time() + self._keepalive_timeout
        counters = self._service.sessions.counters
        counters.sru_requests += 1
        counters.sru_records += answer.records
        duration_s = time.perf_counter() - answer.began_s
        counting = self._service.counting
        counting.sru_search.add(int(duration_s * 1e9))
        counting.sru_records.add(answer.records)
        if answer.searched is not None:
            self._service.searches.of(answer.principal, "sru")[answer.searched] += 1
        if counting.spans is not None:
            counting.spans.note(
                "sru searchRetrieve", int(duration_s * 1e9),
                {"lianmu.session": answer.session, "lianmu.deliveries": len(answer.deliveries),
                 "http.response.status_code": 200},
            )  # fmt: skip
        if self._logging_enabled:
            access_log.note(
                hdrs.METH_GET, answer.path, _parameters(answer.query), 200,
                size_bytes=len(answer.data),
                duration_s=duration_s,
                account=answer.principal.account,
                address=answer.address,
                session=answer.session,
            )  # fmt: skip

    async def shutdown(self, timeout: float | None = 15.0) -> None:  # noqa: ASYNC109 - aiohttp's
        """Let the answer under way be sent, then end as aiohttp does."""
        if self._answer is not None:
            self._answered = self._loop.create_future()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._answered, timeout)
        await super().shutdown(timeout)

    def connection_lost(self, exc: BaseException | None) -> None:
        if self._turned_away is not None:
            return
        self._others.discard(self)
        self._service.place.closed()
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
        log.info("bad request", address=self._address, status=status, reason=detail)
        response = problem(status, detail, {hdrs.CONNECTION: "close"})
        response.force_close()
        return response


def _parameters(query: bytes) -> Iterator[tuple[str, str]]:
    """Read when somebody looks at them, which the log at its usual level does not."""
    yield from parse_qsl(query.decode("ascii"), keep_blank_values=True)

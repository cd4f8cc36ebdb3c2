"""The Z39.50 shell: sockets, time-outs, back-pressure; never what an APDU means."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import ssl
import time
from collections.abc import Iterator
from typing import cast

from metering.interface import Entering, MeteringError, Receipt
from protocol import apdu
from protocol.association import Association, AssociationLimits
from protocol.known_requests import KnownRequest, like
from server.access_control.proxied_listener import ProxiedListener
from server.access_control.proxies import TrustedProxies
from server.config import Config
from server.delivery.outbox import Outbox, error_of
from server.log import Log
from server.metrics.counting import service_of
from server.service import Service
from server.z3950 import eager
from server.z3950.session import AnswerAtOnce, Z3950Session
from server.z3950.tls import HANDSHAKE_TIMEOUT_S, account_of

# One read of a socket can hold this many of the smallest requests.
PIPELINE_MAX = 16_384
# How long a peer may take to read what was sent before the connection is cut.
CLOSE_GRACE_S = 5.0
# A peer that ended its side may wait for answers or be gone altogether; then what is
# sent comes back as a reset, about as soon as it could have been acknowledged.
EOF_GRACE_S = 0.2
# Looks at all connections within the idle time-out: at most so late is one ended.
IDLE_ROUNDS_MAX = 50

log = Log("lianmu.z3950")


class Z3950Server:
    """Accepts associations on its listening sockets."""

    def __init__(self, config: Config, service: Service) -> None:
        self.service = service
        self.idle_timeout_s = config.z3950.idle_timeout_s
        self.limits = AssociationLimits(
            apdu_size_bytes_max=config.z3950.apdu_size_bytes_max, requests_queued_max=PIPELINE_MAX
        )
        self.connections: set[Connection] = set()
        self.outbox = Outbox(service.meter)
        self._servers: list[asyncio.Server | ProxiedListener] = []
        self._over_tls: asyncio.Server | ProxiedListener | None = None
        self._proxies = TrustedProxies(config.access.trusted_proxies)
        self._behind_proxies = config.access.proxy_protocol if config.access.trusted_proxies else ()
        self.client_accounts = config.z3950.tls.client_accounts
        self._drained: asyncio.Event | None = None
        self._idle_timer: asyncio.TimerHandle | None = None

    async def start(self, listener: socket.socket, tls: ssl.SSLContext | None = None) -> None:
        """Accept on `listener`, over TLS when a context is given.

        Another context takes the place of the one before it: handshakes from
        then on are by its certificates, and associations that are there go on.
        """
        # A server closes what it listens on, and another may follow over TLS.
        listener = listener if tls is None else listener.dup()
        handshake_timeout_s = HANDSHAKE_TIMEOUT_S if tls is not None else None
        server: asyncio.Server | ProxiedListener
        if ("z3950" if tls is None else "z3950s") in self._behind_proxies:
            server = ProxiedListener(
                listener, lambda client: Connection(self, client), self._proxies,
                tls=tls, handshake_timeout_s=handshake_timeout_s,
            )  # fmt: skip
        else:
            server = await asyncio.get_running_loop().create_server(
                lambda: Connection(self), sock=listener, ssl=tls,
                ssl_handshake_timeout=handshake_timeout_s,
            )  # fmt: skip
        self._servers.append(server)
        if tls is None:
            return
        before, self._over_tls = self._over_tls, server
        if before is not None:
            self._servers.remove(before)
            before.close()

    def opened(self, connection: Connection) -> None:
        """One timer looks after all: one for each would be a fifth of what an idle one takes."""
        self.connections.add(connection)
        self.service.place.opened()
        if self._idle_timer is None:
            loop = asyncio.get_running_loop()
            self._idle_timer = loop.call_later(self.idle_timeout_s, self._end_idle)

    def _end_idle(self) -> None:
        """End those without a request for too long; come back when the next may be due."""
        self._idle_timer = None
        left_s = [connection.end_if_idle() for connection in list(self.connections)]
        if left_s:
            wait_s = max(min(left_s), self.idle_timeout_s / IDLE_ROUNDS_MAX)
            loop = asyncio.get_running_loop()
            self._idle_timer = loop.call_later(wait_s, self._end_idle)

    def ended(self, connection: Connection) -> None:
        self.connections.discard(connection)
        self.service.place.closed()
        if self._drained is not None and not self.connections:
            self._drained.set()

    async def stop(self, grace_s: float) -> None:
        """Accept no more, let requests finish, send Close (shutdown) to every client."""
        if self._idle_timer is not None:
            self._idle_timer.cancel()
        for server in self._servers:
            server.close()
        for connection in list(self.connections):
            connection.shut_down()
        if self.connections:
            self._drained = asyncio.Event()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._drained.wait(), grace_s)
        for connection in list(self.connections):
            connection.abort()


class Connection(asyncio.Protocol):
    """One TCP connection and the Z-association on it.

    `client` is its address where a proxy has told it; "" is that of the peer.
    """

    __slots__ = (
        "_association", "_busy", "_client", "_entering", "_eof", "_info", "_last_activity", "_loop",
        "_reading",
        "_requests", "_server", "_session", "_stopping", "_timer", "_transport", "_writable",
    )  # fmt: skip

    def __init__(self, server: Z3950Server, client: str = "") -> None:
        self._server = server
        self._client = client
        self._association = Association(server.limits)
        self._requests: Iterator[apdu.Request] | None = None
        self._busy = False  # an answer is under way
        self._entering: tuple[AnswerAtOnce, Entering, int] | None = None
        self._eof = False  # the client has closed its side, and waits for answers
        self._stopping = False  # the server shuts down: Close after the answer under way
        self._reading = True
        self._writable = True
        self._timer: asyncio.TimerHandle | None = None

    # From the event loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._loop = asyncio.get_running_loop()
        peer = transport.get_extra_info("peername")
        service = self._server.service
        address = self._client or (peer[0] if isinstance(peer, tuple) else "")
        self._info = service.sessions.open("z3950", address)
        tls = transport.get_extra_info("ssl_object")
        self._info.tls = tls is not None
        self._info.certified_account = account_of(tls, self._server.client_accounts)
        self._session = Z3950Session(service, self._info)
        self._last_activity = self._loop.time()
        self._server.opened(self)
        log.debug("connected", session=self._info.id, address=self._info.address)

    def data_received(self, data: bytes) -> None:
        self._last_activity = self._loop.time()
        if not self._busy:
            request = self._association.take(data)
            if request is not None:
                self._answer_at_once(request, data)
                return
        self._association.receive_data(data)
        if not self._busy:
            self._serve()
        if (self._busy or not self._writable) and self._reading:
            # Requests wait in the client's and the system's buffers, not in ours.
            self._reading = False
            self._transport.pause_reading()

    def eof_received(self) -> bool:
        self._association.receive_eof()
        # TLS cannot be closed on one side only: the transport ends with it.
        if self._transport.get_extra_info("ssl_object") is not None:
            return False
        unheard = self._server.outbox.doubt(self._transport)
        if self._association.idle and not unheard:
            return False
        self._eof = True
        if self._association.idle:
            self._end_soon()
        return True

    def pause_writing(self) -> None:
        self._writable = False

    def resume_writing(self) -> None:
        self._writable = True
        self._last_activity = self._loop.time()
        self._serve()

    def connection_lost(self, error: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        server = self._server
        server.ended(self)
        server.service.sessions.close(self._info)
        server.outbox.lost(self._transport, error)
        failure = self._association.failure
        if failure is not None:
            server.service.sessions.counters.protocol_errors += 1
            log.warning(
                "protocol error", session=self._info.id, address=self._info.address,
                cause=str(failure),
            )  # fmt: skip
        log.debug("disconnected", session=self._info.id)

    # Requests, one after the other in the order they came

    def _serve(self) -> None:
        """Answer what waits, here and now until an answer takes time."""
        if not self._busy:
            self._busy = True
            eager.run(self._answer_all())

    def _answer_at_once(self, request: KnownRequest, data: bytes) -> None:
        """Answer a request of a known form without a coroutine, if nothing is to be waited for."""
        begun_ns = time.perf_counter_ns()
        self._info.last_request = time.time()
        association = self._association
        try:
            answer = self._session.respond_at_once(request) if self._writable else None
            if answer is None:
                association.answered()
                association.receive_data(data)
                self._serve()
            elif answer.deliveries:
                entering = self._server.service.meter.enter(answer.deliveries)
                self._busy = True
                self._entering = (answer, entering, begun_ns)
                entering.resume = self._entered
            else:
                association.answered()
                self._transport.write(answer.data)
                self._note(answer, begun_ns)
        except MeteringError as error:
            assert answer is not None  # noqa: S101 - or nothing was entered
            self._withhold(answer, error, begun_ns)
            self._flush(None)
        except Exception:
            association.answered()
            self._failed(like(request), begun_ns)
            self._flush(None)

    def _note(self, answer: AnswerAtOnce, begun_ns: int) -> None:
        counting = self._server.service.counting
        duration_ns = time.perf_counter_ns() - begun_ns
        counting.z3950_at_once[type(answer.request)].add(duration_ns)
        if counting.spans is not None:
            counting.spans.note(
                f"z3950 {service_of(answer.request)}", duration_ns,
                {"lianmu.session": self._info.id, "lianmu.deliveries": len(answer.deliveries)},
            )  # fmt: skip

    def _withhold(self, answer: AnswerAtOnce, error: MeteringError, begun_ns: int) -> None:
        response = self._session.withheld(answer, error)
        self._association.answered(response)
        duration_ns = time.perf_counter_ns() - begun_ns
        self._server.service.counting.z3950(answer.request, (response,), duration_ns, self._info.id)

    def _entered(self) -> None:
        """The deliveries of an answer are in the ledger, or cannot be."""
        assert self._entering is not None  # noqa: S101
        answer, entering, begun_ns = self._entering
        self._entering = None
        self._busy = False
        association, outcome = self._association, entering.outcome
        if isinstance(outcome, Receipt):
            association.answered(answer.data)
            self._note(answer, begun_ns)
        elif isinstance(outcome, MeteringError):
            self._withhold(answer, outcome, begun_ns)
        if self._stopping:
            association.close(apdu.CloseReason.SHUTDOWN, "server shutdown")
        self._flush(outcome if isinstance(outcome, Receipt) else None)
        if not association.idle or not self._reading:
            self._serve()

    async def _answer_all(self) -> None:
        association = self._association
        while self._writable and not self._transport.is_closing():
            if self._requests is None:
                self._requests = association.requests_received()
            request = next(self._requests, None)
            if request is None:
                self._requests = None
                break
            await self._answer(request)
        self._busy = False
        self._flush(None)
        # A client that does not take its answers is asked for no more requests.
        if not self._reading and self._writable and not self._transport.is_closing():
            self._reading = True
            self._transport.resume_reading()

    async def _answer(self, request: apdu.Request) -> None:
        begun_ns = time.perf_counter_ns()
        self._info.last_request = time.time()
        association, counting = self._association, self._server.service.counting
        refusal = self._session.refused()
        if refusal is not None:
            log.info("association ended", session=self._info.id, reason=refusal.addinfo)
            counting.refused("membership")
            association.close(apdu.CloseReason.SECURITY_VIOLATION, refusal.addinfo)
            return
        try:
            answer = await self._session.respond(request)
        except Exception:
            self._failed(request, begun_ns)
            return
        responses = answer.responses if answer is not None else ()
        for response in responses:
            association.send(response)
        counting.z3950(request, responses, time.perf_counter_ns() - begun_ns, self._info.id)
        if self._stopping:
            association.close(apdu.CloseReason.SHUTDOWN, "server shutdown")
        self._flush(answer.receipt if answer is not None else None)

    def _failed(self, request: apdu.Apdu, begun_ns: int) -> None:
        """To be called while the exception is handled."""
        log.exception("request failed", session=self._info.id, request=type(request).__name__)
        duration_ns = time.perf_counter_ns() - begun_ns
        self._server.service.counting.z3950_failed(request, duration_ns, self._info.id)
        self._server.service.sessions.counters.failures += 1
        self._association.close(apdu.CloseReason.SYSTEM_PROBLEM, "internal error")

    def _flush(self, receipt: Receipt | None) -> None:
        """Hand the transport what the association has to say, and close after the last."""
        transport = self._transport
        if transport.is_closing():
            if receipt is not None:
                self._server.service.meter.void(receipt, "connection lost")
            return
        data = self._association.data_to_send()
        if data:
            transport.write(data[0] if len(data) == 1 else b"".join(data))
        if receipt is not None:
            self._server.outbox.add(transport, receipt)
        if self._association.closed:
            self._end()
        elif self._eof and self._association.idle:
            self._end_soon()

    def _end_soon(self) -> None:
        """Close once it shows whether the peer that ended its side is still there."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(EOF_GRACE_S, self._end)

    def _end(self) -> None:
        """Close, after what waits to be sent."""
        transport = self._transport
        if self._eof:
            number = error_of(transport)
            if number:
                self._server.outbox.lost(transport, OSError(number, os.strerror(number)))
        transport.close()
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(CLOSE_GRACE_S, self.abort)

    # Time-out and shutdown

    def end_if_idle(self) -> float:
        """Close if there was no request for too long; else the seconds until that may be."""
        timeout_s = self._server.idle_timeout_s
        if self._busy or self._timer is not None:  # an end is on its way
            return timeout_s
        left_s = self._last_activity + timeout_s - self._loop.time()
        if left_s <= 0:
            self._close(apdu.CloseReason.LACK_OF_ACTIVITY, f"no request for {timeout_s:g} s")
        return left_s if left_s > 0 else timeout_s

    def shut_down(self) -> None:
        """Close now, or after the answer under way."""
        if self._busy:
            self._stopping = True
        elif not self._eof:  # a peer that is gone would answer Close with a reset
            self._close(apdu.CloseReason.SHUTDOWN, "server shutdown")

    def _close(self, reason: apdu.CloseReason, text: str) -> None:
        self._association.close(reason, text)
        self._flush(None)

    def abort(self) -> None:
        """Cut the connection; what the peer has not taken counts as not sent."""
        unsent = self._transport.get_write_buffer_size()
        self._server.outbox.lost(self._transport, ConnectionAbortedError() if unsent else None)
        self._transport.abort()

"""A listener behind proxies that send the PROXY protocol.

Connections from trusted proxies must begin with a header, which is taken off before
anything else sees the connection, TLS included; the address in it is the client's.
A connection from anywhere else is handed on as it is, so a header there is what it
is to a peer that never heard of it: a breach of the listener's own protocol.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable, Coroutine
from typing import Any

from protocol.ber import ProtocolError
from protocol.proxy_protocol import (
    FIXED_BYTES,
    LINE_BYTES_MAX,
    START_BYTES,
    rest_size,
    source_of,
    source_of_line,
    version_of,
)
from server.access_control.proxies import TrustedProxies
from server.log import Log

HEADER_TIMEOUT_S = 5.0
# Of so many connections at a time a header is waited for.
HEADERS_AT_ONCE_MAX = 1000
_RETRY_S = 0.1

log = Log("lianmu.access")


class ProxiedListener:
    """Accepts on `listener`; `factory` is given the client's address, "" for the peer's own."""

    def __init__(
        self,
        listener: socket.socket,
        factory: Callable[[str], asyncio.Protocol],
        proxies: TrustedProxies,
        *,
        tls: ssl.SSLContext | None = None,
        handshake_timeout_s: float | None = None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._listener = listener
        self._factory = factory
        self._proxies = proxies
        self._tls = tls
        self._handshake_timeout_s = handshake_timeout_s
        self._room = asyncio.Semaphore(HEADERS_AT_ONCE_MAX)
        self._tasks: set[asyncio.Task[None]] = set()
        listener.setblocking(False)
        self._accepting = self._begin(self._accept())

    def close(self) -> None:
        """Accept no more; connections that have begun go on."""
        if self._accepting.cancel():
            self._accepting.add_done_callback(lambda _: self._listener.close())
        for task in self._tasks - {self._accepting}:
            task.cancel()

    def _begin(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _accept(self) -> None:
        while True:
            try:
                connection, peer = await self._loop.sock_accept(self._listener)
            except OSError as error:
                log.error("no connection can be accepted", reason=str(error))
                await asyncio.sleep(_RETRY_S)
                continue
            address = peer[0] if isinstance(peer, tuple) else ""
            self._begin(self._hand_on(connection, address))

    async def _hand_on(self, connection: socket.socket, peer: str) -> None:
        client = ""
        try:
            if self._proxies.trusts(peer):
                async with self._room:
                    client = await self._client(connection, peer)
        except (ProtocolError, TimeoutError) as error:
            reason = str(error) or "no header of the PROXY protocol in time"
            log.warning("connection of a proxy refused", proxy=peer, reason=reason)
            connection.close()
            return
        except OSError as error:
            log.debug("connection lost before it began", address=peer, reason=str(error))
            connection.close()
            return
        except BaseException:
            connection.close()
            raise
        # A handshake that fails ends as it does for any other listener.
        with contextlib.suppress(OSError):
            await self._loop.connect_accepted_socket(
                lambda: self._factory(client), connection, ssl=self._tls,
                ssl_handshake_timeout=self._handshake_timeout_s if self._tls else None,
            )  # fmt: skip

    async def _client(self, connection: socket.socket, peer: str) -> str:
        """The address in the header; "" where the proxy speaks for itself.

        Raises:
            ProtocolError: no header, or a malformed one.
            TimeoutError: it did not come whole within HEADER_TIMEOUT_S.
        """
        async with asyncio.timeout(HEADER_TIMEOUT_S):
            start = await self._read(connection, START_BYTES)
            if version_of(start) == 2:
                fixed = await self._read(connection, FIXED_BYTES)
                client = source_of(fixed, await self._read(connection, rest_size(fixed)))
            else:
                # Of a line nobody knows the end before it is there.
                while not start.endswith(b"\r\n") and len(start) < LINE_BYTES_MAX:
                    start += await self._read(connection, 1)
                client = source_of_line(start)
        log.debug("connected through a proxy", proxy=peer, address=client or peer)
        return client

    async def _read(self, connection: socket.socket, size: int) -> bytes:
        data = b""
        while len(data) < size:
            part = await self._loop.sock_recv(connection, size - len(data))
            if not part:
                raise ProtocolError("the connection ended within the PROXY header")
            data += part
        return data

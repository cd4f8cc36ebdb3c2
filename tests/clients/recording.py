"""A proxy that keeps the octets of a session, cut into APDUs."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from protocol.ber import Framer

TIMEOUT_S = 30.0
_READ_SIZE_BYTES = 1 << 16
_APDU_SIZE_BYTES_MAX = 64 * 1024 * 1024


@dataclass
class Recording:
    """`port` is where clients connect; APDUs are kept in the order of each direction.

    `order` holds every APDU as it passed: True for those that the server sent.
    """

    port: int = 0
    from_client: list[bytes] = field(default_factory=list)
    from_server: list[bytes] = field(default_factory=list)
    order: list[tuple[bool, bytes]] = field(default_factory=list)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"


@contextmanager
def recording(server: str) -> Iterator[Recording]:
    """Stand before `server` (HOST:PORT) until the block ends."""
    host, port = server.rsplit(":", 1)
    kept = Recording()
    pumps: list[threading.Thread] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        kept.port = listener.getsockname()[1]

        def accept() -> None:
            with contextlib.suppress(OSError):  # the listener was closed: the block has ended
                while True:
                    client, _ = listener.accept()
                    upstream = socket.create_connection((host, int(port)), TIMEOUT_S)
                    client.settimeout(TIMEOUT_S)
                    for source, sink, is_server in (
                        (client, upstream, False),
                        (upstream, client, True),
                    ):
                        pump = threading.Thread(
                            target=_pump, args=(source, sink, is_server, kept), daemon=True
                        )
                        pumps.append(pump)
                        pump.start()

        acceptor = threading.Thread(target=accept, daemon=True)
        acceptor.start()
        yield kept
        for pump in pumps:
            pump.join(TIMEOUT_S)
        listener.shutdown(socket.SHUT_RDWR)
        acceptor.join(TIMEOUT_S)


def _pump(source: socket.socket, sink: socket.socket, is_server: bool, kept: Recording) -> None:
    framer = Framer(_APDU_SIZE_BYTES_MAX)
    apdus = kept.from_server if is_server else kept.from_client
    try:
        while data := source.recv(_READ_SIZE_BYTES):
            for octets in framer.feed(data):
                apdus.append(octets)
                kept.order.append((is_server, octets))
            sink.sendall(data)
    except OSError:
        pass  # one side went away: what it sent before is kept
    finally:
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)
        if is_server:  # nothing more can come either way
            for each in (source, sink):
                each.close()

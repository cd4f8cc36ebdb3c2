"""An SRU load in a process of its own: many kept connections, one epoll, requests made beforehand.

As `load_generator` does for Z39.50: each connection has at most one request
outstanding, and every answer is checked before the next is sent.
"""

from __future__ import annotations

import re
import socket
from base64 import b64encode
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import cycle
from multiprocessing.connection import Connection
from urllib.parse import urlencode

from benchmarks.load_generator import connect
from benchmarks.load_process import Address, Load, LoadProcess, Tally, serve_work

COMPLAINT_SIZE_BYTES = 400

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)
_HITS = re.compile(rb"numberOfRecords>(\d+)<")
_POSITION = re.compile(rb"recordPosition>\d+<")


@dataclass(frozen=True, slots=True)
class HttpExchange:
    """A request and what its answer must be: so many hits and records, `contains` in it."""

    request: bytes
    least: int
    most: int
    records: int
    contains: bytes = b""

    def complaint(self, answer: bytes) -> str:
        """What is wrong with `answer`; empty: nothing."""
        if b" 200 " not in answer[:16]:
            return repr(answer[:COMPLAINT_SIZE_BYTES])
        hits = _HITS.search(answer)
        if hits is None or not self.least <= int(hits[1]) <= self.most:
            return f"not {self.least} to {self.most} hits in {answer[-COMPLAINT_SIZE_BYTES:]!r}"
        delivered = len(_POSITION.findall(answer))
        if delivered != self.records:
            return f"{delivered} records instead of {self.records}"
        return "" if self.contains in answer else f"{self.contains!r} is not in the answer"


def search_request(
    database: str, query: str, *, records: int, user: str = "", password: str = ""
) -> bytes:
    """A searchRetrieve of SRU 1.1 for MARCXML over a kept connection."""
    parameters = urlencode(
        {"version": "1.1", "operation": "searchRetrieve", "query": query,
         "maximumRecords": records, "recordSchema": "marcxml"}
    )  # fmt: skip
    lines = [f"GET /{database}?{parameters} HTTP/1.1", "Host: 127.0.0.1"]
    if user:
        lines.append(f"Authorization: Basic {b64encode(f'{user}:{password}'.encode()).decode()}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("ascii")


def answer_end(data: bytes) -> int | None:
    """The octets of a whole response at the head of `data`; None: more are to come.

    Raises:
        ValueError: its length is not told beforehand.
    """
    head_end = data.find(b"\r\n\r\n")
    if head_end < 0:
        return None
    length = _LENGTH.search(data, 0, head_end + 2)
    if length is None:
        raise ValueError(f"no Content-Length: {data[:head_end]!r}")
    end = head_end + 4 + int(length[1])
    return end if end <= len(data) else None


class HttpLoadGenerator(LoadProcess):
    """A child process with `connections` open connections."""

    def __init__(self, address: Address, *, connections: int = 10) -> None:
        super().__init__(_child_main, address, connections)

    def run(
        self, exchanges: Sequence[HttpExchange], *, seconds: float, operations: int = 1 << 60
    ) -> Load:
        """Send them over and over, for `seconds` or until `operations` are done.

        Raises:
            RuntimeError: the generator itself failed.
        """
        return self.ask((tuple(exchanges), seconds, operations))


@dataclass(slots=True, eq=False)
class _Connection:
    socket: socket.socket
    exchange: HttpExchange | None = None
    started_s: float = 0.0
    received: bytearray = field(default_factory=bytearray)


class _Run(Tally):
    """One run over open connections."""

    def __init__(self, exchanges: Iterator[HttpExchange], count: int) -> None:
        super().__init__()
        self._exchanges = exchanges
        self._left = count

    def work(self, connections: Sequence[_Connection], seconds: float) -> Load:
        return self.keep_busy(connections, seconds, self._begin, self._proceed)

    def _begin(self, connection: _Connection, now_s: float) -> bool:
        """Send the next request; False: none is left."""
        if not self._left:
            return False
        self._left -= 1
        connection.exchange = next(self._exchanges)
        connection.started_s = now_s
        connection.received.clear()
        connection.socket.sendall(connection.exchange.request)
        return True

    def _proceed(self, connection: _Connection, data: bytes) -> bool:
        """Take `data` in; False once the answer is whole."""
        connection.received += data
        answer = bytes(connection.received)
        end = answer_end(answer)
        if end is None:
            return True
        assert connection.exchange is not None
        complaint = connection.exchange.complaint(answer)
        if complaint or end != len(answer):
            self.fail(complaint or "more than one answer to one request")
        return False


def _child_main(pipe: Connection, address: Address, connections: int) -> None:
    opened: list[_Connection] = []
    try:
        opened.extend(_Connection(connect(address)) for _ in range(connections))

        def work(job: tuple[tuple[HttpExchange, ...], float, int]) -> Load:
            exchanges, seconds, count = job
            return _Run(cycle(exchanges), count).work(opened, seconds)

        serve_work(pipe, work)
    except EOFError:  # the parent is gone
        pass
    except Exception as error:
        pipe.send(error)
    finally:
        for connection in opened:
            connection.socket.close()

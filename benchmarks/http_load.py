"""An SRU load in a process of its own: many kept connections, one epoll, requests made beforehand.

As `load_generator` does for Z39.50: each connection has at most one request
outstanding, and every answer is checked before the next is sent.
"""

from __future__ import annotations

import multiprocessing
import re
import select
import socket
import time
from array import array
from base64 import b64encode
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import cycle
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Self
from urllib.parse import urlencode

from benchmarks.load_generator import Address, Load

RECEIVE_SIZE_BYTES = 1 << 18
CONNECT_TIMEOUT_S = 30.0
DRAIN_TIMEOUT_S = 60.0
ERROR_EXAMPLES = 5
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


class HttpLoadGenerator:
    """A child process with `connections` open connections."""

    def __init__(self, address: Address, *, connections: int = 10) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, child_pipe = context.Pipe()
        self._process = context.Process(
            target=_child_main, args=(child_pipe, address, connections), daemon=True
        )
        self._process.start()
        child_pipe.close()
        self._receive()

    def run(
        self, exchanges: Sequence[HttpExchange], *, seconds: float, operations: int = 1 << 60
    ) -> Load:
        """Send them over and over, for `seconds` or until `operations` are done.

        Raises:
            RuntimeError: the generator itself failed.
        """
        self._pipe.send((tuple(exchanges), seconds, operations))
        answer = self._receive()
        assert isinstance(answer, Load)
        return answer

    def close(self) -> None:
        """Close the connections and end the child."""
        with suppress(OSError):
            self._pipe.send(None)
        self._process.join(10)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _receive(self) -> object:
        try:
            answer = self._pipe.recv()
        except EOFError:
            raise RuntimeError("the load generator died") from None
        if isinstance(answer, Exception):
            self.close()
            raise RuntimeError(f"load generator: {answer}") from answer
        return answer


@dataclass(slots=True, eq=False)
class _Connection:
    socket: socket.socket
    exchange: HttpExchange | None = None
    started_s: float = 0.0
    received: bytearray = field(default_factory=bytearray)


class _Run:
    """One run over open connections."""

    def __init__(self, exchanges: Iterator[HttpExchange], count: int) -> None:
        self._exchanges = exchanges
        self._left = count
        self._latencies_s = array("d")
        self._errors: list[str] = []
        self._error_count = 0

    def work(self, connections: Sequence[_Connection], seconds: float) -> Load:
        poll = select.epoll()
        by_number = {connection.socket.fileno(): connection for connection in connections}
        cpu_started_s, started_s = time.process_time(), time.perf_counter()
        deadline_s = started_s + seconds
        busy = 0
        for number, connection in by_number.items():
            poll.register(number, select.EPOLLIN)
            busy += self._begin(connection, started_s)
        while busy:
            events = poll.poll(DRAIN_TIMEOUT_S)
            if not events:
                self._fail(f"no answer within {DRAIN_TIMEOUT_S} s")
                break
            for number, _ in events:
                connection = by_number[number]
                data = connection.socket.recv(RECEIVE_SIZE_BYTES)
                if not data:
                    self._fail("the server closed the connection")
                    poll.unregister(number)
                    busy -= 1
                elif self._finished(connection, data):
                    now_s = time.perf_counter()
                    self._latencies_s.append(now_s - connection.started_s)
                    if now_s >= deadline_s or not self._begin(connection, now_s):
                        busy -= 1
        ended_s, cpu_ended_s = time.perf_counter(), time.process_time()
        poll.close()
        return self._load(ended_s - started_s, cpu_ended_s - cpu_started_s)

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

    def _finished(self, connection: _Connection, data: bytes) -> bool:
        connection.received += data
        answer = bytes(connection.received)
        end = answer_end(answer)
        if end is None:
            return False
        assert connection.exchange is not None
        complaint = connection.exchange.complaint(answer)
        if complaint or end != len(answer):
            self._fail(complaint or "more than one answer to one request")
        return True

    def _fail(self, reason: str) -> None:
        self._error_count += 1
        if len(self._errors) < ERROR_EXAMPLES:
            self._errors.append(reason)

    def _load(self, wall_s: float, generator_cpu_s: float) -> Load:
        ordered = sorted(self._latencies_s)

        def percentile_us(part: float) -> float:
            if not ordered:
                return 0.0
            return 1e6 * ordered[min(int(part * len(ordered)), len(ordered) - 1)]

        return Load(
            operations=len(ordered),
            wall_s=wall_s,
            generator_cpu_s=generator_cpu_s,
            errors=self._error_count,
            error_examples=tuple(self._errors),
            p50_us=percentile_us(0.50),
            p95_us=percentile_us(0.95),
            p99_us=percentile_us(0.99),
            max_us=percentile_us(1.0),
        )


def _child_main(pipe: Connection, address: Address, connections: int) -> None:
    opened: list[_Connection] = []
    try:
        for _ in range(connections):
            one = socket.create_connection(address, timeout=CONNECT_TIMEOUT_S)
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            opened.append(_Connection(one))
        pipe.send(None)
        while job := pipe.recv():
            exchanges, seconds, count = job
            pipe.send(_Run(cycle(exchanges), count).work(opened, seconds))
    except EOFError:  # the parent is gone
        pass
    except Exception as error:
        pipe.send(error)
    finally:
        for connection in opened:
            connection.socket.close()

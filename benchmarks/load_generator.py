"""A Z39.50 load in a process of its own: many connections, one epoll, requests made beforehand.

Each connection has at most one request outstanding and sends the next one as
soon as the answer is whole and checked. The checks are cheap but real: the
right APDU, a count within bounds, octets that must be in it. About 12 µs of
CPU a round trip on the machine where the servers take 30 to 100.

From Python: `with LoadGenerator(...) as load: load.run(...)`. By hand, against a
server that holds the generated records:

    python -m benchmarks.load_generator --address 127.0.0.1:9999 --records 100000
"""

from __future__ import annotations

import argparse
import select
import socket
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import cycle
from multiprocessing.connection import Connection
from pathlib import Path

from benchmarks import apdus
from benchmarks.load_process import (
    DRAIN_TIMEOUT_S,
    RECEIVE_SIZE_BYTES,
    Address,
    Load,
    LoadProcess,
    Tally,
    serve_work,
)

CONNECT_TIMEOUT_S = 30.0
COMPLAINT_SIZE_BYTES = 160


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request and what its answer must be.

    The answer begins with the identifier octets `response`; its element with
    identifier `element` is an INTEGER from `least` to `most`; it has at least
    `size_bytes_least` octets, `contains` among them.
    """

    request: bytes
    response: bytes
    element: int
    least: int
    most: int
    contains: bytes = b""
    size_bytes_least: int = 0

    def complaint(self, answer: bytes) -> str:
        """What is wrong with `answer`; empty: nothing."""
        if not answer.startswith(self.response):
            return f"APDU {answer[:2].hex()} instead of {self.response.hex()}"
        value = apdus.integer_element(answer, self.element)
        if value is None or not self.least <= value <= self.most:
            return (
                f"element {self.element:#x} is {value}, not {self.least} to {self.most}"
                f" in {answer[:COMPLAINT_SIZE_BYTES]!r}"
            )
        if len(answer) < self.size_bytes_least or self.contains not in answer:
            return f"{len(answer)} octets without {self.contains!r}"
        return ""


Operation = tuple[Exchange, ...]


@dataclass(frozen=True, slots=True)
class Workpiece:
    """What a run does: each operation over a kept connection, or each as a session of its own."""

    operations: tuple[Operation, ...]  # in order, over and over
    sessions: bool = False


class LoadGenerator(LoadProcess):
    """A child process with `connections` open associations, of which `idle` send nothing."""

    def __init__(
        self,
        address: Address,
        *,
        connections: int = 10,
        idle: int = 0,
        user: str = "",
        password: str = "",
    ) -> None:
        init = apdus.init_request(user, password)
        super().__init__(_child_main, address, connections, idle, init)

    def run(self, workpiece: Workpiece, *, seconds: float, operations: int = 1 << 60) -> Load:
        """Work for `seconds` or until `operations` are done, whichever comes first.

        Raises:
            RuntimeError: the generator itself failed.
        """
        return self.ask((workpiece, seconds, operations))


@dataclass(slots=True, eq=False)
class _Association:
    """One connection and the operation under way on it."""

    socket: socket.socket
    operation: Operation = ()
    step: int = 0
    started_s: float = 0.0
    received: bytearray = field(default_factory=bytearray)


class _Run(Tally):
    """One run over open associations."""

    def __init__(self, operations: Iterator[Operation], count: int) -> None:
        super().__init__()
        self._operations = operations
        self._left = count

    def keep_alive(self, associations: list[_Association], seconds: float) -> Load:
        return self.keep_busy(associations, seconds, self._begin, self._proceed)

    def sessions(self, address: Address, init: bytes, connections: int, seconds: float) -> Load:
        """Every operation on a connection of its own, from connect to the server's Close."""
        # TRUE is any octet but zero; a refusal shows at the search that follows.
        greeting = Exchange(init, apdus.INIT_RESPONSE, apdus.INIT_RESULT, -128, 127)
        farewell = apdus.close_request()
        poll = select.epoll()
        associations: dict[int, _Association] = {}
        cpu_started_s, started_s = time.process_time(), time.perf_counter()
        deadline_s = started_s + seconds

        def begin() -> None:
            now_s = time.perf_counter()
            if now_s >= deadline_s or not self._left:
                return
            self._left -= 1
            association = _Association(connect(address), started_s=now_s)
            association.operation = (greeting, *next(self._operations))
            associations[association.socket.fileno()] = association
            poll.register(association.socket.fileno(), select.EPOLLIN)
            association.socket.send(init)

        for _ in range(connections):
            begin()
        while associations:
            events = poll.poll(DRAIN_TIMEOUT_S)
            if not events:
                self.fail(f"no answer within {DRAIN_TIMEOUT_S} s")
                break
            for number, _ in events:
                association = associations[number]
                try:
                    data = association.socket.recv(RECEIVE_SIZE_BYTES)
                except ConnectionError as error:
                    self.fail(str(error))
                    data = b""
                finished = association.step == len(association.operation)
                if data and not finished:
                    if not self._proceed(association, data):
                        association.socket.send(farewell)
                    continue
                # The server's Close, or the end of the stream after it.
                if not finished:
                    self.fail("the server closed the connection")
                self.latencies_s.append(time.perf_counter() - association.started_s)
                poll.unregister(number)
                del associations[number]
                association.socket.close()
                begin()
        ended_s, cpu_ended_s = time.perf_counter(), time.process_time()
        for association in associations.values():
            association.socket.close()
        poll.close()
        return self.load(ended_s - started_s, cpu_ended_s - cpu_started_s)

    def _begin(self, association: _Association, now_s: float) -> bool:
        """Send the first request of the next operation; False: none is left."""
        if not self._left:
            return False
        self._left -= 1
        association.operation = next(self._operations)
        association.step = 0
        association.started_s = now_s
        association.socket.send(association.operation[0].request)
        return True

    def _proceed(self, association: _Association, data: bytes) -> bool:
        """Take `data` in; False once the operation is over."""
        if association.received:
            association.received += data
            data = bytes(association.received)
        end = apdus.apdu_end(data)
        if end is None:
            association.received[:] = data
            return True
        association.received.clear()
        exchange = association.operation[association.step]
        complaint = exchange.complaint(data)
        if complaint or end != len(data):
            self.fail(complaint or "more than one answer to one request")
        association.step += 1
        if association.step == len(association.operation):
            return False
        association.socket.send(association.operation[association.step].request)
        return True


def _child_main(
    pipe: Connection, address: Address, connections: int, idle: int, init: bytes
) -> None:
    associations: list[_Association] = []
    try:
        while len(associations) < connections + idle:
            associations.append(_associate(address, init))

        def work(job: tuple[Workpiece, float, int]) -> Load:
            workpiece, seconds, count = job
            run = _Run(cycle(workpiece.operations), count)
            if workpiece.sessions:
                return run.sessions(address, init, connections, seconds)
            return run.keep_alive(associations[:connections], seconds)

        serve_work(pipe, work)
    except EOFError:  # the parent is gone
        pass
    except Exception as error:
        pipe.send(error)
    finally:
        for association in associations:
            association.socket.close()


def connect(address: Address) -> socket.socket:
    connection = socket.create_connection(address, timeout=CONNECT_TIMEOUT_S)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def _associate(address: Address, init: bytes) -> _Association:
    """Connect and have Init accepted.

    Raises:
        ConnectionError: the server closed the connection or refused Init.
    """
    connection = connect(address)
    connection.sendall(init)
    answer = b""
    while apdus.apdu_end(answer) is None if answer else True:
        data = connection.recv(RECEIVE_SIZE_BYTES)
        if not data:
            raise ConnectionError("the server closed the connection at Init")
        answer += data
    if not apdus.integer_element(answer, apdus.INIT_RESULT):
        raise ConnectionError("the server refused Init")
    return _Association(connection)


def known_item(database: str, isbn: str) -> Operation:
    """Search an ISBN, then present the one full record."""
    return (
        search(database, apdus.term(7, isbn), least=1, most=1),
        Exchange(
            apdus.present_request(1, 1), apdus.PRESENT_RESPONSE, apdus.RECORDS_RETURNED, 1, 1,
            contains=isbn.encode(),
        ),
    )  # fmt: skip


def search(database: str, rpn: bytes, *, least: int = 1, most: int = 1 << 31) -> Exchange:
    """A search with `least` to `most` hits."""
    return Exchange(
        apdus.search_request(database, rpn),
        apdus.SEARCH_RESPONSE,
        apdus.RESULT_COUNT,
        least,
        most,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    # The generator's own module, not the one named __main__, so that what
    # crosses the process boundary has one type on both sides.
    from benchmarks import load_generator as module  # noqa: PLC0415, PLW0406
    from benchmarks.generate import prepared  # noqa: PLC0415

    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.load_generator",
        description="Known-item search and present over the generated records.",
        epilog="example: python -m benchmarks.load_generator --address 127.0.0.1:9999",
    )
    parser.add_argument("--address", required=True, help="HOST:PORT")
    parser.add_argument("--database", default="we_cat", help="default: %(default)s")
    parser.add_argument("--records", type=int, default=100_000, help="default: %(default)s")
    parser.add_argument("--connections", type=int, default=10, help="default: %(default)s")
    parser.add_argument("--seconds", type=float, default=5.0, help="default: %(default)s")
    parser.add_argument("--user", default="", help="open authentication USER/PASSWORD")
    parser.add_argument("--password", default="")
    parser.add_argument("--work", type=Path, default=Path(__file__).parent / "work")
    options = parser.parse_args(arguments)
    host, _, port = options.address.rpartition(":")
    _, workload = prepared(options.records, options.work)
    operations = tuple(module.known_item(options.database, isbn) for isbn in workload.isbns)
    with module.LoadGenerator(
        (host, int(port)),
        connections=options.connections,
        user=options.user,
        password=options.password,
    ) as generator:
        load = generator.run(module.Workpiece(operations), seconds=options.seconds)
    print(
        f"{load.operations} operations in {load.wall_s:.2f} s, {load.operations_per_s:.0f}/s, "
        f"p50 {load.p50_us:.0f} µs, p99 {load.p99_us:.0f} µs, "
        f"generator {1e6 * load.generator_cpu_s / max(load.operations, 1):.0f} µs CPU each, "
        f"{load.errors} errors {list(load.error_examples)}"
    )
    return 1 if load.errors else 0


if __name__ == "__main__":
    sys.exit(main())

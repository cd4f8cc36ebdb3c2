"""What every load generator is: a child process that is given work, and what it counts."""

from __future__ import annotations

import multiprocessing
import select
import socket
import time
from array import array
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

Address = tuple[str, int]

RECEIVE_SIZE_BYTES = 1 << 18
DRAIN_TIMEOUT_S = 60.0
ERROR_EXAMPLES = 5
END_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class Load:
    """One run as the client saw it."""

    operations: int
    wall_s: float
    generator_cpu_s: float
    errors: int
    error_examples: tuple[str, ...]
    p50_us: float
    p95_us: float
    p99_us: float
    max_us: float

    @property
    def operations_per_s(self) -> float:
        return self.operations / self.wall_s


class Client(Protocol):
    """One connection and the operation under way on it."""

    socket: socket.socket
    started_s: float


C = TypeVar("C", bound=Client)


class Tally:
    """Latencies and errors of one run."""

    def __init__(self) -> None:
        self.latencies_s = array("d")
        self._errors: list[str] = []
        self._error_count = 0

    def fail(self, reason: str) -> None:
        self._error_count += 1
        if len(self._errors) < ERROR_EXAMPLES:
            self._errors.append(reason)

    def keep_busy(
        self,
        clients: Sequence[C],
        seconds: float,
        begin: Callable[[C, float], bool],
        proceed: Callable[[C, bytes], bool],
    ) -> Load:
        """Let each client do one operation after another, for `seconds` at most.

        `begin` sends the first request of the next operation, at a time, and is
        False when none is left; `proceed` takes octets in and is False once the
        operation is over.
        """
        poll = select.epoll()
        by_number = {client.socket.fileno(): client for client in clients}
        busy = 0
        cpu_started_s, started_s = time.process_time(), time.perf_counter()
        deadline_s = started_s + seconds
        for number, client in by_number.items():
            poll.register(number, select.EPOLLIN)
            busy += begin(client, started_s)
        while busy:
            events = poll.poll(DRAIN_TIMEOUT_S)
            if not events:
                self.fail(f"no answer within {DRAIN_TIMEOUT_S} s")
                break
            for number, _ in events:
                client = by_number[number]
                try:
                    data = client.socket.recv(RECEIVE_SIZE_BYTES)
                except ConnectionError as error:
                    self.fail(str(error))
                    data = b""
                if not data:
                    self.fail("the server closed the connection")
                    poll.unregister(number)
                    busy -= 1
                elif not proceed(client, data):
                    now_s = time.perf_counter()
                    self.latencies_s.append(now_s - client.started_s)
                    if now_s >= deadline_s or not begin(client, now_s):
                        busy -= 1
        ended_s, cpu_ended_s = time.perf_counter(), time.process_time()
        poll.close()
        return self.load(ended_s - started_s, cpu_ended_s - cpu_started_s)

    def load(self, wall_s: float, generator_cpu_s: float) -> Load:
        ordered = sorted(self.latencies_s)

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


class LoadProcess:
    """A child that runs `main(pipe, *arguments)`.

    It sends None once it is ready, and answers each piece of work with a `Load`,
    or with the exception that ended it.
    """

    def __init__(self, main: Callable[..., None], *arguments: Any) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, child_pipe = context.Pipe()
        self._process = context.Process(target=main, args=(child_pipe, *arguments), daemon=True)
        self._process.start()
        child_pipe.close()
        self._receive()

    def ask(self, work: object) -> Load:
        """Raises RuntimeError: the generator itself failed."""
        self._pipe.send(work)
        answer = self._receive()
        assert isinstance(answer, Load)
        return answer

    def close(self) -> None:
        """Close its connections and end the child."""
        with suppress(OSError):
            self._pipe.send(None)
        self._process.join(END_TIMEOUT_S)
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


def serve_work(pipe: Connection, work: Callable[[Any], Load]) -> None:
    """The child's loop: say that it is ready, then answer until None comes."""
    pipe.send(None)
    while job := pipe.recv():
        pipe.send(work(job))

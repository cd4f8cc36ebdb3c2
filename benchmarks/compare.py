"""Rows of a comparison: the same operations against each server, in turns, and the ratio.

The figure to trust is server CPU µs per operation: the machine has few cores
and shares them between both servers and the generator, so operations per
second also measure the neighbours. Rounds are interleaved (A B C, A B C, …) so
that a slow spell of the machine falls on all; ratios are taken within a round.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any, Protocol, Self

from benchmarks import server_cpu
from benchmarks.generate import Workload
from benchmarks.load_generator import LoadGenerator, Operation, Workpiece
from benchmarks.load_process import Address, Load
from benchmarks.servers import Server

WARM_UP_S = 1.0
PEER = "zebra"
OURS = "lianmu"
MILLION = 1_000_000


class Client(Protocol):
    """A load generator that is connected to a server."""

    def run(self, work: Any, *, seconds: float, operations: int = ...) -> Load: ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table: what it is called, and what the budget allows (ours / Zebra, CPU)."""

    title: str
    goal: float | None = None
    goal_of_a_million: float | None = None  # None: as above
    floor: bool = False  # yaz-ztest can answer it, too

    def goal_for(self, records: int) -> float | None:
        large = records >= MILLION and self.goal_of_a_million is not None
        return self.goal_of_a_million if large else self.goal

    def client(self, server: Server, address: Address, connections: int) -> Client:
        """A load generator for the row's operations, connected."""
        raise NotImplementedError

    def work(self, workload: Workload, server: Server) -> object:
        """What the load generator is to do."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Z3950Row(Row):
    """A line over Z39.50. `operations` makes the requests for a server's database."""

    operations: Callable[[Workload, str], tuple[Operation, ...]] = lambda _, __: ()
    sessions: bool = False

    def client(self, server: Server, address: Address, connections: int) -> Client:
        return LoadGenerator(
            address, connections=connections, user=server.user, password=server.password
        )

    def work(self, workload: Workload, server: Server) -> Workpiece:
        return Workpiece(self.operations(workload, server.database), self.sessions)


@dataclass(frozen=True, slots=True)
class Round:
    load: Load
    cpu_us: float  # of the server, per operation


@dataclass(frozen=True, slots=True)
class Measured:
    """What one row gave, by server name; the rounds of all servers correspond."""

    row: Row
    rounds: Mapping[str, Sequence[Round]]

    def plain(self) -> dict[str, list[dict[str, Any]]]:
        """Every round, for JSON."""
        return {name: [asdict(one) for one in rounds] for name, rounds in self.rounds.items()}

    @classmethod
    def of(cls, row: Row, plain: Mapping[str, Sequence[Mapping[str, Any]]]) -> Self:
        """What `plain` gave, again."""
        rounds = {
            name: [Round(Load(**one["load"]), one["cpu_us"]) for one in rounds]
            for name, rounds in plain.items()
        }
        return cls(row, rounds)

    def cpu_us(self, name: str) -> list[float]:
        return [one.cpu_us for one in self.rounds[name]]

    def ratios(self, name: str = OURS, peer: str = PEER) -> list[float]:
        """CPU of `name` over CPU of `peer`, round by round; empty when either is missing."""
        if name not in self.rounds or peer not in self.rounds:
            return []
        return [
            ours / theirs for ours, theirs in zip(self.cpu_us(name), self.cpu_us(peer), strict=True)
        ]

    def errors(self) -> list[str]:
        return [
            f"{name}: {one.load.errors} errors, for example {one.load.error_examples[0]}"
            for name, rounds in self.rounds.items()
            for one in rounds
            if one.load.errors
        ]


def measure(
    row: Row,
    servers: Sequence[Server],
    addresses: Mapping[str, Address],
    workload: Workload,
    *,
    connections: int,
    rounds: int,
    seconds: float,
    operations: int = 1 << 60,
) -> Measured:
    """Run `row` against every server, `rounds` times in turns, each for `seconds` at most."""
    clients: dict[str, Client] = {}
    found: dict[str, list[Round]] = {server.name: [] for server in servers}
    try:
        for server in servers:
            clients[server.name] = row.client(server, addresses[server.name], connections)
        work = {server.name: row.work(workload, server) for server in servers}
        for server in servers:
            clients[server.name].run(work[server.name], seconds=min(WARM_UP_S, seconds))
        for _ in range(rounds):
            for server in servers:
                before_s = server_cpu.settled_cpu_s(server.pid)
                load = clients[server.name].run(
                    work[server.name], seconds=seconds, operations=operations
                )
                used_s = server_cpu.settled_cpu_s(server.pid) - before_s
                found[server.name].append(Round(load, 1e6 * used_s / max(load.operations, 1)))
    finally:
        for client in clients.values():
            client.close()
    return Measured(row, found)


def report(measured: Measured) -> str:
    """The row as lines of text: a line a server, then the ratio."""
    lines = [measured.row.title]
    for name, rounds in measured.rounds.items():
        loads = [one.load for one in rounds]
        lines.append(
            f"  {name:14} {spread(measured.cpu_us(name)):>24} µs CPU"
            f" {median(load.operations_per_s for load in loads):>9.0f}/s"
            f"  p50 {median(load.p50_us for load in loads):>7.0f} µs"
            f"  p99 {median(load.p99_us for load in loads):>7.0f} µs"
            f"  n {sum(load.operations for load in loads)}"
            f"  generator {median(_generator_us(load) for load in loads):.0f} µs"
        )
    ratios = measured.ratios()
    if ratios:
        goal = f", goal ≤ {measured.row.goal}" if measured.row.goal else ""
        lines.append(f"  {OURS} / {PEER}: {spread(ratios, 3)}{goal}")
    lines += [f"  ERROR {text}" for text in measured.errors()]
    return "\n".join(lines)


def spread(values: Sequence[float], digits: int = 0) -> str:
    """Median with the smallest and largest value."""
    return f"{median(values):.{digits}f} ({min(values):.{digits}f}–{max(values):.{digits}f})"


def machine() -> str:
    """The machine in a line, with how busy it is already, for a reader of the figures."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:  # noqa: PTH123
            models = [line.split(":", 1)[1].strip() for line in file if "model name" in line]
    except OSError:
        models = []
    name = models[0] if models else platform.processor()
    return (
        f"{len(models) or '?'} × {name}, {platform.system()}, Python {platform.python_version()},"
        f" load average {os.getloadavg()[0]:.1f}"
    )


def _generator_us(load: Load) -> float:
    return 1e6 * load.generator_cpu_s / max(load.operations, 1)

"""Memory of the servers under many connections, beside Zebra.

    python -m benchmarks.table --rows idle busy long-session

10 busy connections beside 2,000 that opened an association and fell silent;
1,000 busy ones; and one association that takes 70,000 records. Memory is the
proportional set size of all processes of the server. One server runs at a
time, so that neither takes pages from the other's share. The longest operation
shows stalls.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks import known_item, server_cpu
from benchmarks.compare import OURS, PEER
from benchmarks.generate import Workload
from benchmarks.load_generator import LoadGenerator, Workpiece
from benchmarks.markdown import Line
from benchmarks.servers import Server, running

WARM_UP_S_MAX = 120.0
LONG_SESSION_RECORDS = (10_000, 30_000, 50_000, 70_000)
LONG_SESSION_S_MAX = 600.0
STALL_MS_MAX = 1_000.0  # goal: no operation takes longer
# Goal: flat. A session that kept 50 octets of each record would grow by this.
GROWTH_MB_MAX = 50 * (LONG_SESSION_RECORDS[-1] - LONG_SESSION_RECORDS[0]) / 1e6


@dataclass(frozen=True, slots=True)
class Situation:
    title: str
    busy: int
    idle: int
    goal: float  # ours / Zebra


@dataclass(frozen=True, slots=True)
class Held:
    """The server's memory, and the longest that a busy connection waited for an operation."""

    memory_bytes: int
    longest_ms: float


SITUATIONS = {
    "idle": Situation("10 busy + 2,000 idle connections", 10, 2_000, 0.5),
    "busy": Situation("1,000 busy connections", 1_000, 0, 0.2),
}
LONG_SESSION = "long-session"
PARTS = (*SITUATIONS, LONG_SESSION)


def measured(server: Server, situation: Situation, workload: Workload, seconds: float) -> Held:
    """What the server holds under `situation`.

    Raises:
        RuntimeError: an answer was wrong, or the generator failed.
    """
    piece = Workpiece(known_item.operations(workload, server.database))
    with (
        running([server]) as addresses,
        LoadGenerator(
            addresses[server.name],
            connections=situation.busy,
            idle=situation.idle,
            user=server.user,
            password=server.password,
        ) as generator,
    ):
        # Each connection works once before the clock starts: a server that
        # prepares something for every connection does it here.
        generator.run(piece, seconds=WARM_UP_S_MAX, operations=situation.busy)
        load = generator.run(piece, seconds=seconds)
        used_bytes = server_cpu.memory_bytes(server.pid)
    if load.errors:
        raise RuntimeError(f"{server.name}: {load.errors} errors, {load.error_examples[0]}")
    return Held(used_bytes, load.max_us / 1e3)


def memory_of_a_long_session(server: Server, workload: Workload) -> list[int]:
    """The server's memory after each LONG_SESSION_RECORDS of one association.

    Raises:
        RuntimeError: an answer was wrong, or LONG_SESSION_S_MAX did not do.
    """
    piece = Workpiece(known_item.operations(workload, server.database))
    found_bytes = []
    done = 0
    with (
        running([server]) as addresses,
        LoadGenerator(
            addresses[server.name], connections=1, user=server.user, password=server.password
        ) as generator,
    ):
        for goal in LONG_SESSION_RECORDS:
            load = generator.run(piece, seconds=LONG_SESSION_S_MAX, operations=goal - done)
            if load.errors or load.operations < goal - done:
                raise RuntimeError(f"{server.name}: a long session failed: {load}")
            done = goal
            found_bytes.append(server_cpu.memory_bytes(server.pid))
    return found_bytes


def lines(
    name: str, servers: Mapping[str, Server], workload: Workload, seconds: float
) -> list[Line]:
    """One of PARTS, measured on each server, `servers` being ours and the peer by name.

    Raises:
        RuntimeError: an answer was wrong, or the generator failed.
    """
    if name == LONG_SESSION:
        sizes = [memory_of_a_long_session(servers[each], workload) for each in (OURS, PEER)]
        return long_session_lines(*sizes)
    found = [measured(servers[each], SITUATIONS[name], workload, seconds) for each in (OURS, PEER)]
    return situation_lines(SITUATIONS[name], *found)


def situation_lines(situation: Situation, ours: Held, peer: Held) -> list[Line]:
    return [
        Line(f"{situation.title}, MB", ours.memory_bytes / 1e6, peer.memory_bytes / 1e6,
             situation.goal),
        Line("the same, longest operation, ms", ours.longest_ms, peer.longest_ms, STALL_MS_MAX,
             alone=True),
    ]  # fmt: skip


def long_session_lines(ours: Sequence[int], peer: Sequence[int]) -> list[Line]:
    first, *_, last = LONG_SESSION_RECORDS
    return [
        Line(f"one session after {last:,} records, MB", ours[-1] / 1e6, peer[-1] / 1e6),
        Line(f"the same, growth since {first:,} records, MB", (ours[-1] - ours[0]) / 1e6,
             (peer[-1] - peer[0]) / 1e6, GROWTH_MB_MAX, alone=True),
    ]  # fmt: skip

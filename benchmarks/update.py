"""What changing records over Z39.50 costs, and what it does to those who read meanwhile.

    python -m benchmarks.update --records 100000

First, records are replaced by ES Update one after the other over one connection, each
searched for by what is new in it before the next is sent, in turns of both servers: the
server's CPU until it is quiet again, and records a second. Lianmu writes each to the disk
before it answers and keeps the version before; Zebra does neither. Then connections look
up records without pause, first alone, then while one more connection replaces records
without pause.
"""

from __future__ import annotations

import argparse
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks import apdus, server_cpu
from benchmarks.compare import machine, spread
from benchmarks.generate import Workload, prepared
from benchmarks.lianmu import PROGRAM, Lianmu
from benchmarks.load_generator import LoadGenerator, Operation, Workpiece, connect, known_item
from benchmarks.load_process import Address
from benchmarks.records import Generator
from benchmarks.servers import DATABASE, WORK_DIR, Server, running
from benchmarks.zebra import Zebra
from protocol import apdu, oid
from protocol.external import External
from protocol.iso2709 import Field, build, parse
from protocol.task_package import (
    UPDATE,
    SuppliedRecord,
    UpdateAction,
    UpdateParameters,
    UpdateRequest,
    VersionNumber,
)

CPU_RATIO_MAX = 0.15  # goal: of a replaced record, ours / Zebra
READER_P99_RATIO_MAX = 0.2  # goal: readers beside a writer, ours / Zebra
OPERATOR = "operator"
SUBJECT = 21  # the use attribute that finds what is new in a record
_OPTIONS = frozenset(
    {apdu.Option.SEARCH, apdu.Option.PRESENT, apdu.Option.EXTENDED_SERVICES}
)  # fmt: skip


class WritableZebra(Zebra):
    """Zebra that lets its clients change records."""

    def start(self) -> Address:
        path = self.directory / "zebra.cfg"
        text = path.read_text(encoding="utf-8")
        if "perm.anonymous" not in text:
            path.write_text(text + "perm.anonymous: rw\n", encoding="utf-8")
        return super().start()


class UpdatedLianmu(Lianmu):
    """Lianmu with an operator, to whom the records of files belong."""

    def start(self) -> Address:
        address = super().start()
        added = subprocess.run(
            [PROGRAM, "operator", "add", OPERATOR, "--password", OPERATOR,
             "--config", "config.toml"],
            cwd=self.directory, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if added.returncode and "already" not in added.stderr:
            raise RuntimeError(f"lianmu operator add: {added.stderr}")
        return address


class Writer:
    """One connection that replaces generated records, one after the other."""

    def __init__(self, address: Address, login: str, first: int, count: int) -> None:
        """Records `first` to `first + count - 1` are this writer's, over and over."""
        self._generator = Generator()
        self._first, self._count = first, count
        self._done = 0
        self._versions: dict[int, int] = {}
        self._socket: socket.socket = connect(address)
        self._received = b""
        init = apdu.InitializeRequest(
            protocol_version=frozenset(apdu.ProtocolVersion), options=_OPTIONS,
            preferred_message_size=1 << 20, exceptional_record_size=1 << 20,
            id_authentication=login or None,
        )  # fmt: skip
        answer = self._ask(init)
        if not isinstance(answer, apdu.InitializeResponse) or not answer.result:
            raise RuntimeError("Init was refused")

    def replace(self, *, check: bool) -> None:
        """Replace the next record; with `check` it is searched by what is new in it.

        Raises:
            RuntimeError: it was refused, or is not found.
        """
        number = self._first + self._done % self._count
        word = f"quokka{number}x{self._done}"
        self._done += 1
        version = self._versions.get(number, 1)
        request = _update(self._generator.record(number).marc, word, version)
        answer = self._ask(request)
        if not isinstance(answer, apdu.ExtendedServicesResponse):
            raise RuntimeError(f"{type(answer).__name__} in answer to an update")
        if answer.operation_status == apdu.OperationStatus.FAILURE or answer.diagnostics:
            raise RuntimeError(f"an update was refused: {answer.diagnostics}")
        self._versions[number] = version + 1
        if check:
            self._socket.sendall(apdus.search_request(DATABASE, apdus.term(SUBJECT, word)))
            found = apdu.decode(self._receive())
            if not isinstance(found, apdu.SearchResponse) or found.result_count != 1:
                raise RuntimeError(f"a record is not found by {word}: {found}")

    def close(self) -> None:
        with suppress(OSError):
            self._socket.close()

    def _ask(self, request: apdu.Apdu) -> apdu.Apdu:
        self._socket.sendall(apdu.encode(request))
        return apdu.decode(self._receive())

    def _receive(self) -> bytes:
        while not self._received or apdus.apdu_end(self._received) is None:
            data = self._socket.recv(1 << 16)
            if not data:
                raise RuntimeError("the server closed the connection")
            self._received += data
        end = apdus.apdu_end(self._received)
        answer, self._received = self._received[:end], self._received[end:]
        return answer


def _update(marc: bytes, word: str, version: int) -> apdu.ExtendedServicesRequest:
    """The replacement of a generated record by one with another subject."""
    record = parse(marc)
    fields = [*record.fields, Field.of("650", " 4", [("a", word)])]
    changed = build(record.leader, sorted(fields, key=lambda field: field.tag))
    supplied = SuppliedRecord(
        supplemental_id=VersionNumber(str(version)),
        record=External(oid.USMARC, changed),
    )
    request = UpdateRequest(
        to_keep=UpdateParameters(
            action=UpdateAction.RECORD_REPLACE, database_name=DATABASE, element_set_name="F"
        ),
        not_to_keep=(supplied,),
    )
    return apdu.ExtendedServicesRequest(
        function=apdu.EsFunction.CREATE, package_type=oid.ES_UPDATE,
        task_specific_parameters=External.of(oid.ES_UPDATE, UPDATE, request),
        wait_action=apdu.WaitAction.WAIT,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn: CPU of the server for each operation, operations a second, and p99."""

    cpu_us: float
    per_s: float
    p99_us: float


def replaced(server: Server, writer: Writer, count: int) -> Turn:
    """A turn of replacing `count` records, each searched for."""
    before_s, began_s = server_cpu.settled_cpu_s(server.pid), time.perf_counter()
    times_s = []
    for _ in range(count):
        one_s = time.perf_counter()
        writer.replace(check=True)
        times_s.append(time.perf_counter() - one_s)
    wall_s = time.perf_counter() - began_s
    used_s = server_cpu.settled_cpu_s(server.pid) - before_s
    times_s.sort()
    return Turn(1e6 * used_s / count, count / wall_s, 1e6 * times_s[int(0.99 * (count - 1))])


def read(server: Server, generator: LoadGenerator, piece: Workpiece, seconds: float) -> Turn:
    """A turn of looking records up."""
    before_s = server_cpu.cpu_s(server.pid)
    load = generator.run(piece, seconds=seconds)
    used_s = server_cpu.cpu_s(server.pid) - before_s
    if load.errors:
        raise RuntimeError(f"{load.errors} wrong answers: {load.error_examples[0]}")
    return Turn(1e6 * used_s / max(load.operations, 1), load.operations_per_s, load.p99_us)


@contextmanager
def writing(writer: Writer) -> Iterator[list[float]]:
    """Replace records without pause; gives the times when each was done.

    Raises:
        RuntimeError: an update was refused.
    """
    stop, done = threading.Event(), list[float]()
    failure: list[RuntimeError] = []

    def work() -> None:
        try:
            while not stop.is_set():
                writer.replace(check=False)
                done.append(time.perf_counter())
        except RuntimeError as error:
            failure.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield done
    finally:
        stop.set()
        thread.join()
    if failure:
        raise failure[0]


def compare(options: argparse.Namespace, work_dir: Path) -> int:
    """Measure and print; 0: our goals are met, or there is no peer."""
    reasons = {"zebra": Zebra.missing(), "lianmu": Lianmu.missing()}
    servers: list[Server] = []
    if not reasons["zebra"]:
        servers.append(WritableZebra(work_dir))
    if reasons["lianmu"]:
        raise RuntimeError(reasons["lianmu"])
    servers.append(UpdatedLianmu(work_dir))
    records_path, workload = prepared(options.records, work_dir)
    print(f"{options.records:,} records, {machine()}")
    for server in servers:
        server.loaded(records_path)
    updates: dict[str, list[Turn]] = {server.name: [] for server in servers}
    alone: dict[str, list[Turn]] = {server.name: [] for server in servers}
    beside: dict[str, list[Turn]] = {server.name: [] for server in servers}
    rates: dict[str, list[float]] = {server.name: [] for server in servers}
    with running(servers) as addresses:
        for server in servers:
            login = f"{OPERATOR}/{OPERATOR}" if isinstance(server, Lianmu) else ""
            writer = Writer(addresses[server.name], login, 0, min(5_000, options.records // 2))
            for _ in range(options.rounds):
                updates[server.name].append(replaced(server, writer, options.updates))
            with LoadGenerator(
                addresses[server.name], connections=options.connections,
                user=server.user, password=server.password,
            ) as generator:  # fmt: skip
                piece = Workpiece(_lookups(workload))
                read(server, generator, piece, options.seconds)  # to warm up
                for _ in range(options.rounds):
                    alone[server.name].append(read(server, generator, piece, options.seconds))
                    with writing(writer) as done:
                        turn = read(server, generator, piece, options.seconds)
                    beside[server.name].append(turn)
                    rates[server.name].append(len(done) / options.seconds)
            writer.close()
    print("\none record replaced by ES Update, then found")
    passed = _report(updates, "cpu_us", CPU_RATIO_MAX)
    print(f"\n{options.connections} readers, alone")
    _report(alone, "p99_us", None)
    print(f"\n{options.connections} readers while one writer updates without pause")
    passed &= _report(beside, "p99_us", READER_P99_RATIO_MAX)
    for name, rate in rates.items():
        print(f"  {name:8} writer {spread(rate)} records a second")
    return 0 if passed else 1


def _lookups(workload: Workload) -> tuple[Operation, ...]:
    """Known items; that they were changed meanwhile makes no answer wrong."""
    return tuple(known_item(DATABASE, isbn) for isbn in workload.isbns)


def _report(turns: dict[str, list[Turn]], figure: str, goal: float | None) -> bool:
    for name, each in turns.items():
        print(
            f"  {name:8}{spread([turn.cpu_us for turn in each]):>24} µs CPU"
            f"  {spread([turn.per_s for turn in each]):>20}/s"
            f"  p99 {spread([turn.p99_us / 1000 for turn in each], 1):>18} ms"
        )
    if len(turns) < 2 or goal is None:
        return True
    ours, peer = (
        median(getattr(turn, figure) for turn in turns[name]) for name in ("lianmu", "zebra")
    )
    print(f"  {figure}: ours / Zebra {ours / peer:.3f}, goal ≤ {goal}")
    return ours / peer <= goal


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.update",
        description="Replace records over Z39.50, alone and beside readers.",
        epilog="example: python -m benchmarks.update --records 100000",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--records", type=int, default=100_000, help="held by each server")
    parser.add_argument("--updates", type=int, default=200, help="of one turn")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each kind")
    parser.add_argument("--connections", type=int, default=4, help="readers, all busy")
    parser.add_argument("--seconds", type=float, default=5.0, help="length of a turn of readers")
    parser.add_argument("--work", type=Path, default=WORK_DIR, help="folder for all files")
    options = parser.parse_args(arguments)
    work_dir = options.work / f"update-{options.records}"
    try:
        return compare(options, work_dir)
    except RuntimeError as error:
        print(f"failed: {error}", file=sys.stderr)
        return 1
    finally:
        shutil.rmtree(work_dir, ignore_errors=True)  # the records have changed


if __name__ == "__main__":
    sys.exit(main())

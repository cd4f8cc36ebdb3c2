"""What changing records over Z39.50 costs, and what it does to those who read meanwhile.

    python -m benchmarks.table --rows update readers

Records are replaced by ES Update one after the other over one connection, each
searched for by what is new in it before the next is sent, in turns of both servers: the
server's CPU until it is quiet again, and records a second. Lianmu writes each to the disk
before it answers and keeps the version before; Zebra does neither. And connections look
up records without pause, alone and while one more connection replaces records without
pause. The catalogues are not the same afterwards: let the servers work on copies.
"""

from __future__ import annotations

import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from statistics import median

from benchmarks import apdus, known_item, server_cpu
from benchmarks.compare import WARM_UP_S
from benchmarks.generate import Workload
from benchmarks.lianmu import PROGRAM, Lianmu
from benchmarks.load_generator import LoadGenerator, Workpiece, connect
from benchmarks.load_process import Address
from benchmarks.markdown import Line
from benchmarks.records import Generator
from benchmarks.servers import DATABASE, Server
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
READER_RATIO_MAX = 0.2  # goal: readers beside a writer, p99 and CPU, ours / Zebra
READERS = 4
UPDATES = 200  # of one turn
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
    p99_ms: float


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
    return Turn(1e6 * used_s / count, count / wall_s, 1e3 * times_s[int(0.99 * (count - 1))])


def read(server: Server, generator: LoadGenerator, piece: Workpiece, seconds: float) -> Turn:
    """A turn of looking records up."""
    before_s = server_cpu.cpu_s(server.pid)
    load = generator.run(piece, seconds=seconds)
    used_s = server_cpu.cpu_s(server.pid) - before_s
    if load.errors:
        raise RuntimeError(f"{load.errors} wrong answers: {load.error_examples[0]}")
    return Turn(1e6 * used_s / max(load.operations, 1), load.operations_per_s, load.p99_us / 1e3)


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


@contextmanager
def writers(
    servers: Sequence[Server], addresses: Mapping[str, Address], first: int, count: int
) -> Iterator[dict[str, Writer]]:
    """A writer for each server, of the records from `first` on."""
    found: dict[str, Writer] = {}
    try:
        for server in servers:
            login = f"{OPERATOR}/{OPERATOR}" if isinstance(server, Lianmu) else ""
            found[server.name] = Writer(addresses[server.name], login, first, count)
        yield found
    finally:
        for writer in found.values():
            writer.close()


def updates(
    servers: Sequence[Server], addresses: Mapping[str, Address], *, rounds: int, first: int
) -> dict[str, list[Turn]]:
    """Replace records from `first` on, in turns of the servers.

    Raises:
        RuntimeError: one was refused, or is not found.
    """
    found: dict[str, list[Turn]] = {server.name: [] for server in servers}
    with writers(servers, addresses, first, rounds * UPDATES) as replacing:
        for _ in range(rounds):
            for server in servers:
                found[server.name].append(replaced(server, replacing[server.name], UPDATES))
    return found


@dataclass(slots=True)
class Readers:
    """Turns of readers, with nobody else and beside a writer, and the writer's records a second."""

    alone: list[Turn] = field(default_factory=list)
    beside: list[Turn] = field(default_factory=list)
    written_per_s: list[float] = field(default_factory=list)


def readers(
    servers: Sequence[Server], addresses: Mapping[str, Address], workload: Workload, *,
    rounds: int, seconds: float, first: int, count: int,
) -> dict[str, Readers]:  # fmt: skip
    """READERS look records up while the `count` from `first` on are replaced without pause.

    Raises:
        RuntimeError: an answer was wrong, or an update was refused.
    """
    found = {server.name: Readers() for server in servers}
    with writers(servers, addresses, first, count) as replacing, ExitStack() as stack:
        generators, pieces = {}, {}
        for server in servers:
            generators[server.name] = stack.enter_context(
                LoadGenerator(
                    addresses[server.name], connections=READERS,
                    user=server.user, password=server.password,
                )
            )  # fmt: skip
            # That records were changed meanwhile makes no answer wrong.
            pieces[server.name] = Workpiece(known_item.operations(workload, server.database))
            read(server, generators[server.name], pieces[server.name], min(WARM_UP_S, seconds))
        for _ in range(rounds):
            for server in servers:
                generator, piece = generators[server.name], pieces[server.name]
                one = found[server.name]
                one.alone.append(read(server, generator, piece, seconds))
                with writing(replacing[server.name]) as done:
                    one.beside.append(read(server, generator, piece, seconds))
                one.written_per_s.append(len(done) / seconds)
    return found


def update_lines(ours: Sequence[Turn], peer: Sequence[Turn]) -> list[Line]:
    return [
        _line("one record replaced by ES Update, then found, µs of CPU", "cpu_us", ours, peer,
              CPU_RATIO_MAX),
        _line("the same, replaced and found a second", "per_s", ours, peer, None),
        _line("the same, 99th percentile, ms", "p99_ms", ours, peer, None),
    ]  # fmt: skip


def reader_lines(ours: Readers, peer: Readers) -> list[Line]:
    return [
        _line(f"{READERS} readers beside a writer without pause, p99, ms", "p99_ms",
              ours.beside, peer.beside, READER_RATIO_MAX),
        _line("the same, µs of CPU for a lookup, the writer's in it", "cpu_us",
              ours.beside, peer.beside, READER_RATIO_MAX),
        Line("the same, records written a second", median(ours.written_per_s),
             median(peer.written_per_s)),
        _line(f"{READERS} readers alone, p99, ms", "p99_ms", ours.alone, peer.alone, None),
        _line("the same, µs of CPU for a lookup", "cpu_us", ours.alone, peer.alone, None),
    ]  # fmt: skip


def _line(
    title: str, figure: str, ours: Sequence[Turn], peer: Sequence[Turn], goal: float | None
) -> Line:
    ours_value, peer_value = (
        median(getattr(turn, figure) for turn in turns) for turns in (ours, peer)
    )
    return Line(title, ours_value, peer_value, goal)

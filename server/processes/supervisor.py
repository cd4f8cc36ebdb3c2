"""The first process: opens the ports, starts workers and the writer, replaces the dead."""

from __future__ import annotations

import fcntl
import gc
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from server.backup.note import STAGING_NAME
from server.config import Config
from server.errors import StartError
from server.live.board import LiveBoard
from server.live.status import socket_path
from server.log import Log
from server.metrics.layout import Level
from server.processes import eventloop, worker, writer_process
from server.selfservice.receiving import sweep
from server.steering import Steering
from server.z3950.tls import server_context

START_TIMEOUT_S = 60.0
RESTART_DELAY_S = 0.1
RESTART_DELAY_S_MAX = 5.0
STABLE_AFTER_S = 10.0
LOOK_INTERVAL_S = 1.0
STUCK_S = 4.0  # since a worker went through its loop, which it notes each second
LISTEN_BACKLOG = 1024
SIGNALS = (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)

SOCKET_PATH_BYTES_MAX = 107  # of a socket's address in Linux

log = Log("lianmu.supervisor")


@dataclass(frozen=True, slots=True)
class Listeners:
    """The listening sockets of one worker; they outlive it."""

    z3950: socket.socket
    http: socket.socket
    z3950s: socket.socket | None = None


@dataclass(slots=True)
class Child:
    """One process and how to start it again."""

    name: str
    body: Callable[[int], None]  # is given a descriptor that tells "ready"
    ended: Callable[[], None] = lambda: None
    pid: int = 0
    started_at: float = 0.0
    restart_delay_s: float = RESTART_DELAY_S
    restart_at: float | None = None
    # Held open while a replacement runs: it tells "ready" though nobody listens.
    ready: int | None = None


@dataclass(slots=True)
class Supervisor:
    """Runs the server described by `config` until SIGTERM or SIGINT.

    SIGHUP has the certificates of TLS read again; with `ends_with_terminal` it
    ends the server, as the hang-up that it is.
    """

    config: Config
    ends_with_terminal: bool = False
    children: list[Child] = field(default_factory=list)
    _lifeline_read: int = -1
    _lifeline_write: int = -1
    _lock: int = -1

    def run(self, announce: Callable[[str, str, str], None]) -> None:
        """Serve; `announce` is told the addresses once every process accepts.

        They are those of Z39.50, of HTTP and of Z39.50 over TLS, "" without TLS.

        Raises:
            StartError: a port is taken, the data folder is in use or not writable.
        """
        self._lock = lock_data_dir(self.config.data_dir)
        if (self.config.data_dir / STAGING_NAME).exists():
            # Half of it may be in place, and the ledger is the last: none must be made anew.
            raise StartError(
                f"{self.config.data_dir}: a restore was broken off here;"
                " give `lianmu restore` again with --force"
            )
        check_socket_paths(self.config)
        for folder in (self.config.spool_dir, self.config.run_dir):
            folder.mkdir(parents=True, exist_ok=True)
        if swept := sweep(self.config.data_dir):
            log.info("files removed whose receiving was broken off", files=swept)
        writer_process.prepare(self.config)
        listeners = open_listeners(self.config)
        steering = _steering(listeners, self.config.server.connections_together)
        board = LiveBoard(self.config.workers)
        board.recent.keep("supervisor")
        self._lifeline_read, self._lifeline_write = os.pipe()
        # Blocked here and taken by sigtimedwait, so that none is lost between
        # a check and a wait; each child unblocks them for itself.
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        writer = Child(
            "writer",
            lambda ready: writer_process.run(self.config, board, ready, self._lifeline_read),
        )
        workers = [
            Child(
                f"worker-{index}",
                self._worker_body(index, pair, board, steering),
                partial(steering.set_aside, index, aside=True),
            )
            for index, pair in enumerate(listeners)
        ]
        self.children = [writer, *workers]
        gc.collect()
        gc.freeze()  # the children share these pages as long as nobody writes to them
        try:
            for child in self.children:
                self._start_and_wait(child)
            first = listeners[0]
            announce(
                _address(first.z3950),
                _address(first.http),
                _address(first.z3950s) if first.z3950s is not None else "",
            )
            self._watch(board, steering)
        finally:
            self._stop(workers)
            self._stop([writer])
            os.close(self._lifeline_write)

    def _worker_body(
        self, index: int, listeners: Listeners, board: LiveBoard, steering: Steering
    ) -> Callable[[int], None]:
        return lambda ready: eventloop.run(
            worker.serve(
                self.config,
                board,
                index,
                listeners.z3950,
                listeners.http,
                listeners.z3950s,
                steering.begin(index),
                ready,
                self._lifeline_read,
            )
        )

    def _start(self, child: Child) -> int:
        """Fork `child`; returns the descriptor that becomes readable when it is ready."""
        ready_read, ready_write = os.pipe()
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                os.close(self._lifeline_write)
                os.close(ready_read)
                for each in (signal.SIGINT, signal.SIGHUP):
                    signal.signal(each, signal.SIG_IGN)
                signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
                child.body(ready_write)
                status = 0
            except BaseException:
                log.exception("process failed", process=child.name)
            finally:
                sys.stderr.flush()
                os._exit(status)
        os.close(ready_write)
        child.pid = pid
        child.started_at = time.monotonic()
        child.restart_at = None
        return ready_read

    def _start_and_wait(self, child: Child) -> None:
        ready = self._start(child)
        try:
            poll = select.poll()
            poll.register(ready, select.POLLIN)
            if not poll.poll(START_TIMEOUT_S * 1000) or os.read(ready, 1) != b"1":
                raise StartError(f"the {child.name} process did not start; see the log above")
        finally:
            os.close(ready)

    def _watch(self, board: LiveBoard, steering: Steering) -> None:
        while True:
            wait_s = self._seconds_to_next_restart()
            if steering.is_on:
                wait_s = min(wait_s, LOOK_INTERVAL_S)
            received = signal.sigtimedwait(SIGNALS, wait_s)
            number = received.si_signo if received is not None else signal.SIGCHLD
            if number == signal.SIGHUP and not self.ends_with_terminal:
                self._renew_certificates()
            elif number != signal.SIGCHLD:
                log.info("stopping", signal=signal.Signals(number).name)
                return
            self._reap()
            now = time.monotonic()
            for child in self.children:
                if child.restart_at is not None and child.restart_at <= now:
                    child.ready = self._start(child)
                    log.info("process replaced", process=child.name, pid=child.pid)
            if steering.is_on:
                self._set_stuck_aside(board, steering)

    def _set_stuck_aside(self, board: LiveBoard, steering: Steering) -> None:
        """New connections are not to wait for a worker that does not turn."""
        now_ns = time.monotonic_ns()
        for index, row in enumerate(board.snapshots()[:-1]):
            turned_ns = row.level(Level.TURNED_NS)
            if turned_ns:  # it has begun; and one that ended is silent, too
                steering.set_aside(index, aside=now_ns - turned_ns > STUCK_S * 1e9)

    def _renew_certificates(self) -> None:
        try:
            if server_context(self.config.z3950.tls) is None:
                log.info("no certificates to renew: TLS is not configured")
                return
        except StartError as error:
            log.error("certificates not renewed", reason=str(error))
            return
        for child in self.children:
            if child.pid:  # the writer pays no attention to it
                os.kill(child.pid, signal.SIGHUP)
        log.info("certificates renewed")

    def _seconds_to_next_restart(self) -> float:
        waits = [c.restart_at - time.monotonic() for c in self.children if c.restart_at is not None]
        return max(0.0, min(waits, default=60.0))

    def _reap(self) -> None:
        for child in self.children:
            if not child.pid or os.waitpid(child.pid, os.WNOHANG)[0] == 0:
                continue
            now = time.monotonic()
            if now - child.started_at > STABLE_AFTER_S:
                child.restart_delay_s = RESTART_DELAY_S
            log.error(
                "process ended", process=child.name, pid=child.pid, restart_s=child.restart_delay_s
            )
            child.pid = 0
            child.ended()
            if child.ready is not None:
                os.close(child.ready)
                child.ready = None
            child.restart_at = now + child.restart_delay_s
            child.restart_delay_s = min(child.restart_delay_s * 2, RESTART_DELAY_S_MAX)

    def _stop(self, children: list[Child]) -> None:
        """Ask `children` to finish; kill those that have not after the grace time."""
        running = [child for child in children if child.pid]
        for child in running:
            os.kill(child.pid, signal.SIGTERM)
        deadline = time.monotonic() + self.config.server.shutdown_grace_s + 2.0
        while running and time.monotonic() < deadline:
            signal.sigtimedwait([signal.SIGCHLD], 0.1)
            running = [c for c in running if os.waitpid(c.pid, os.WNOHANG)[0] == 0]
        for child in running:
            log.warning("process killed: it did not finish in time", process=child.name)
            os.kill(child.pid, signal.SIGKILL)
            os.waitpid(child.pid, 0)
        for child in children:
            child.pid = 0


def check_socket_paths(config: Config) -> None:
    """Workers have sockets in the data folder, whose paths the system bounds."""
    path = socket_path(config, config.workers)
    if len(os.fsencode(path)) > SOCKET_PATH_BYTES_MAX:
        raise StartError(
            f"{config.data_dir}: the path of the data folder is too long by"
            f" {len(os.fsencode(path)) - SOCKET_PATH_BYTES_MAX} octets: sockets in it may have"
            f" {SOCKET_PATH_BYTES_MAX}"
        )


def lock_data_dir(data_dir: Path) -> int:
    """Hold the data folder for this server alone; returns the lock's descriptor."""
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        lock = os.open(data_dir / "server.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StartError(f"{data_dir}: {error.strerror}") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        raise StartError(f"{data_dir}: another server is running on this data folder") from None
    return lock


def open_listeners(config: Config) -> list[Listeners]:
    """One set of sockets a worker, all on the configured ports.

    The kernel gives a connection to one of the sockets of a port (SO_REUSEPORT), to
    which `server.steering` tells it. A socket stays open here when its worker dies,
    so connections that wait in its queue are taken by the replacement.

    Raises:
        StartError: a port is taken, or the certificate of TLS cannot be used.
    """
    z3950 = _listen(config.z3950.host, config.z3950.port, config.workers, "z3950")
    http = _listen(config.http.host, config.http.port, config.workers, "http")
    tls = config.z3950.tls
    z3950s: list[socket.socket | None] = [None] * config.workers
    if server_context(tls) is not None:
        z3950s = [*_listen(config.z3950.host, tls.port, config.workers, "z3950.tls")]
    return [Listeners(*sockets) for sockets in zip(z3950, http, z3950s, strict=True)]


def _steering(listeners: Sequence[Listeners], together: int) -> Steering:
    ports: list[list[socket.socket]] = [[], [], []]
    for each in listeners:
        for port, listener in zip(ports, (each.z3950, each.http, each.z3950s), strict=True):
            if listener is not None:
                port.append(listener)
    return Steering(ports, together)


def _listen(host: str, port: int, count: int, section: str) -> list[socket.socket]:
    try:
        family, kind, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        # Without SO_REUSEPORT first: another server on the port must be an
        # error, not a silent partner.
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            address = probe.getsockname()
        sockets = []
        for _ in range(count):
            listener = socket.socket(family, kind)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            # Connections inherit it: a peer that vanished is noticed however long
            # the idle time-out is, and address translation does not forget one.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            listener.bind(address)
            listener.listen(LISTEN_BACKLOG)
            listener.setblocking(False)
            sockets.append(listener)
    except OSError as error:
        raise StartError(f"[{section}] {host}:{port}: {error.strerror or error}") from None
    return sockets


def _address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

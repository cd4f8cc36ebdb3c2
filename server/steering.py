"""Which worker the system gives the next connection to.

All workers listen on the same port, and the system would spread connections over
them by chance. A few busy connections cost less in one worker than in several: what
they are sent is made durable with one write, and one process runs instead of many that
wake each other's caches. So a worker is given `together` connections before the next
gets its first, then all of them as many again: with many connections all have the same.

The system is told by a filter of one instruction on the group of sockets of a port
(SO_ATTACH_REUSEPORT_CBPF in socket(7)), which names the worker's socket by its place in
the order of listening. Where there is no such thing connections are spread by chance.
"""

from __future__ import annotations

import ctypes
import mmap
import socket
import struct
from collections.abc import Sequence

from server.log import Log

# Of Linux; the socket module has no name for it. Rare processors number it otherwise,
# and then it is refused or names nothing that is set on sockets of this kind.
_SO_ATTACH_REUSEPORT_CBPF = getattr(socket, "SO_ATTACH_REUSEPORT_CBPF", 51)
_RETURN_CONSTANT = 0x06  # BPF_RET | BPF_K
_FILTER = struct.Struct("@HBBI")  # struct sock_filter: code, jt, jf, k
_PROGRAM = struct.Struct("@HP")  # struct sock_fprog: instructions, their address
_CELL_BYTES = 8

log = Log("lianmu.supervisor")


class Steering:
    """Made before the workers are forked, and shared by them.

    `ports` are the sockets of each port, in the order in which they began to listen,
    which is that of the workers. With one worker, or `together` 0, nothing is steered.
    """

    def __init__(self, ports: Sequence[Sequence[socket.socket]], together: int) -> None:
        self._ports = [sockets for sockets in ports if len(sockets) > 1]
        self._together = together
        workers = max((len(sockets) for sockets in ports), default=1)
        # Connections of each worker, written by that worker alone; whether it is set
        # aside; and whose turn it is, which any of them may write: who is late with that
        # merely gives one more there.
        cells = memoryview(mmap.mmap(-1, (2 * workers + 1) * _CELL_BYTES)).cast("q")
        self._counts, self._aside = cells[:workers], cells[workers : 2 * workers]
        self._turn = cells[2 * workers :]
        self._workers = range(workers)
        self.is_on = bool(together and self._ports) and self._point_to(0)

    def begin(self, worker: int) -> Place:
        """The place of a worker that has no connections yet; it is asked for by that worker."""
        self._counts[worker] = 0
        self.set_aside(worker, aside=False)
        return Place(self, worker)

    def set_aside(self, worker: int, *, aside: bool) -> None:
        """Give a worker connections only when there is no other: it has ended, or is stuck."""
        if self._aside[worker] != aside:
            self._aside[worker] = aside
            self.note(worker, 0)

    def note(self, worker: int, change: int) -> None:
        """A connection of a worker has begun (1) or ended (-1)."""
        self._counts[worker] += change
        if not self.is_on:
            return
        turn = min(self._workers, key=self._weight)
        if turn != self._turn[0]:
            self.is_on = self._point_to(turn)

    def _weight(self, worker: int) -> tuple[int, int]:
        """Who weighs less comes first; of equals the first."""
        return self._aside[worker], self._counts[worker] // self._together

    def _point_to(self, worker: int) -> bool:
        """Have the system give the next connections of every port to `worker`."""
        self._turn[0] = worker
        instruction = ctypes.create_string_buffer(_FILTER.pack(_RETURN_CONSTANT, 0, 0, worker))
        program = _PROGRAM.pack(1, ctypes.addressof(instruction))
        try:
            for sockets in self._ports:
                sockets[0].setsockopt(socket.SOL_SOCKET, _SO_ATTACH_REUSEPORT_CBPF, program)
        except OSError as error:
            log.warning("connections are spread over the workers by chance", reason=str(error))
            return False
        return True


class Place:
    """What one worker tells of its connections, of whatever protocol."""

    def __init__(self, steering: Steering, worker: int) -> None:
        self._steering = steering
        self._worker = worker

    def opened(self) -> None:
        self._steering.note(self._worker, 1)

    def closed(self) -> None:
        self._steering.note(self._worker, -1)

"""Counts by key with the time of the last, in a file of fixed size that all workers share.

Failed logins are few and each costs a password's hash, so a writer may take a lock
for the file; readers take none. A number that every write changes tells a reader
cheaply that nothing can have changed. What does not fit pushes out what was counted
longest ago in the same bucket, and the key of the hash is the file's own, so that
nobody can choose what to push out.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import secrets
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path

from server.log import Log

SLOTS = 16_384
_WAYS = 8  # slots of a bucket
_SLOT = struct.Struct("<QQd")
_HEADER = struct.Struct("<8sQ16s")
_HEADER_SIZE_BYTES = 64
_SIZE_BYTES = _HEADER_SIZE_BYTES + SLOTS * _SLOT.size
_MAGIC = b"LIANMUC1"
_GENERATION = 1  # the second number of eight octets

log = Log("lianmu.access")


class CountTable:
    """`path` is made when it is not there; None, or one that cannot be: this process's alone.

    Times are seconds of whatever clock the callers use, the same in all workers.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._descriptor = -1
        self._map = _anonymous()
        if path is not None:
            try:
                self._descriptor = _opened(path)
                self._map = mmap.mmap(self._descriptor, _SIZE_BYTES)
            except (OSError, ValueError) as error:
                log.error("logins are counted by each worker alone", reason=str(error))
        self._numbers = memoryview(self._map).cast("Q")
        self._key = _HEADER.unpack_from(self._map)[2]

    @property
    def generation(self) -> int:
        """Another than before when anything was written."""
        return self._numbers[_GENERATION]

    def get(self, *key: str) -> tuple[int, float]:
        """The count of `key` and when it was last counted; (0, 0.0) for none."""
        digest, bucket = self._place(key)
        for offset in bucket:
            known, count, last_s = _SLOT.unpack_from(self._map, offset)
            if known == digest:
                return count, last_s
        return 0, 0.0

    def add(self, *key: str, now_s: float, forget_after_s: float) -> int:
        """Count once more; the count begins anew when the last was longer ago than that."""
        digest, bucket = self._place(key)
        with self._writing():
            offset = self._slot(digest, bucket)
            known, count, last_s = _SLOT.unpack_from(self._map, offset)
            if known != digest or not 0 <= now_s - last_s <= forget_after_s:
                count = 0
            _SLOT.pack_into(self._map, offset, digest, count + 1, now_s)
        return int(count) + 1

    def forget(self, *key: str) -> None:
        digest, bucket = self._place(key)
        with self._writing():
            for offset in bucket:
                if _SLOT.unpack_from(self._map, offset)[0] == digest:
                    _SLOT.pack_into(self._map, offset, 0, 0, 0.0)

    def close(self) -> None:
        self._numbers.release()
        self._map.close()
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _place(self, key: tuple[str, ...]) -> tuple[int, range]:
        """The digest of a key, never 0, and the offsets of the slots it may be in."""
        text = "\0".join(key).encode("utf-8", "surrogatepass")
        digest = int.from_bytes(blake2b(text, digest_size=8, key=self._key).digest(), "little") or 1
        first = _HEADER_SIZE_BYTES + digest % (SLOTS // _WAYS) * _WAYS * _SLOT.size
        return digest, range(first, first + _WAYS * _SLOT.size, _SLOT.size)

    def _slot(self, digest: int, bucket: range) -> int:
        """Where the key is, or the slot that it takes: a free one, or the oldest."""
        slots = {offset: _SLOT.unpack_from(self._map, offset) for offset in bucket}
        for offset, (known, _, _) in slots.items():
            if known == digest:
                return offset
        return min(bucket, key=lambda offset: slots[offset][2])

    @contextmanager
    def _writing(self) -> Iterator[None]:
        if self._descriptor >= 0:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        try:
            yield
            self._numbers[_GENERATION] += 1
        finally:
            if self._descriptor >= 0:
                fcntl.flock(self._descriptor, fcntl.LOCK_UN)


def _anonymous() -> mmap.mmap:
    made = mmap.mmap(-1, _SIZE_BYTES)
    _HEADER.pack_into(made, 0, _MAGIC, 0, secrets.token_bytes(16))
    return made


def _opened(path: Path) -> int:
    """A descriptor of the file, made or made anew when it is none of ours."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        magic = os.pread(descriptor, len(_MAGIC), 0)
        if os.fstat(descriptor).st_size != _SIZE_BYTES or magic != _MAGIC:
            os.ftruncate(descriptor, 0)
            # Space that the disk lacks is missed here, not by a signal at a write.
            os.posix_fallocate(descriptor, 0, _SIZE_BYTES)
            os.pwrite(descriptor, _HEADER.pack(_MAGIC, 0, secrets.token_bytes(16)), 0)
        fcntl.flock(descriptor, fcntl.LOCK_UN)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor

"""Files of runs that wait to be merged, held so that a backup may copy them afterwards."""

from __future__ import annotations

import resource
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path
from typing import BinaryIO

from store.runs import RunDamagedError, waiting

_OTHER_FILES_MAX = 256  # that a process of ours has open beside these, unless it has more
_MORE_FILES = 64


class HeldRuns:
    """The runs of a catalogue, open: they may be copied when a merge has removed them."""

    def __init__(self) -> None:
        self._files: dict[Path, BinaryIO] = {}
        self._closing = ExitStack()
        self.size_bytes = 0

    def __len__(self) -> int:
        return len(self._files)

    def hold(self, path: Path) -> None:
        """Open what waits in the catalogue at `path`, while nobody writes to it.

        Raises:
            RunDamagedError: a file is gone.
            OSError: there are more than may be open.
        """
        uri = f"{path.resolve().as_uri()}?mode=ro"
        with closing(sqlite3.connect(uri, uri=True, isolation_level=None)) as connection:
            found = waiting(connection, path)
        _allow_open(len(found))
        for run in found:
            place = Path(run.file.path)
            try:
                file = self._closing.enter_context(place.open("rb"))
            except FileNotFoundError:
                raise RunDamagedError(run.file.path) from None
            self._files[place.relative_to(path.parent)] = file
            self.size_bytes += run.file.size_bytes

    def copy(self, target: Path, progress: Callable[[int], object] = lambda _: None) -> None:
        """Write them to the same places below the folder `target`; they are closed then.

        `progress` is told the octets of each. Raises OSError: a disk refuses.
        """
        with self._closing:
            for place, file in self._files.items():
                copy = target / place
                copy.parent.mkdir(parents=True, exist_ok=True)
                with copy.open("xb") as to:
                    shutil.copyfileobj(file, to, 1 << 20)
                    progress(to.tell())
            self._files.clear()

    def close(self) -> None:
        self._closing.close()


def _allow_open(files: int) -> None:
    """A load of ten million records leaves more runs than the usual 1,024 open files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = files + max(_OTHER_FILES_MAX, _open_files() + _MORE_FILES)
    if soft != resource.RLIM_INFINITY and soft < needed:
        if hard != resource.RLIM_INFINITY:
            needed = max(soft, min(needed, hard))
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


def _open_files() -> int:
    """How many files this process has open; 0 where the system does not tell."""
    try:
        return len(list(Path("/proc/self/fd").iterdir()))
    except OSError:
        return 0

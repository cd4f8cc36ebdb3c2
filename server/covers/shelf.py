"""The files of cover images: `covers/ab/SHA256.jpg` with two thumbnails beside it.

A file has the name of what is in it, so it is never changed: it appears whole and on
the disk, or not at all, and goes when no record has it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from enum import StrEnum
from hashlib import sha256
from pathlib import Path

from server.covers.picture import Picture
from store.durable import sync

SUFFIXES = {"jpeg": ".jpg", "png": ".png", "webp": ".webp"}


class Size(StrEnum):
    """Which of the three files of a cover."""

    FULL = ""
    MEDIUM = "medium"
    SMALL = "small"


class Shelf:
    """The files below one folder; methods block on the disk."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, picture_sha256: str, form: str, size: Size) -> Path:
        """Where a file is. `form` is that of the picture; thumbnails are always JPEG."""
        name = picture_sha256 + (SUFFIXES[form] if size is Size.FULL else f"-{size}.jpg")
        return self.folder / picture_sha256[:2] / name

    def put(self, picture: Picture) -> tuple[str, str, str]:
        """Write the three files; returns their checksums: of the picture, medium, small.

        They are on the disk when this returns.

        Raises:
            OSError: they cannot be written; what is half done is in nobody's way.
        """
        own = sha256(picture.octets).hexdigest()
        files = ((Size.FULL, picture.octets), (Size.MEDIUM, picture.medium),
                 (Size.SMALL, picture.small))  # fmt: skip
        for size, octets in files:
            _write(self.path(own, picture.format, size), octets)
        return own, sha256(picture.medium).hexdigest(), sha256(picture.small).hexdigest()

    def remove(self, picture_sha256: str) -> None:
        """Take the files of a picture away, as many as there are."""
        for path in (self.folder / picture_sha256[:2]).glob(f"{picture_sha256}[.-]*"):
            path.unlink(missing_ok=True)

    def kept(self, older_than_s: float = 0.0) -> Iterator[str]:
        """The checksum of each picture of which there is a file, if all are that old."""
        newest: dict[str, float] = {}
        for path in self.folder.glob("??/*"):
            try:
                changed = path.stat().st_mtime
            except FileNotFoundError:  # it went meanwhile
                continue
            name = path.name.partition(".")[0].partition("-")[0]
            newest[name] = max(newest.get(name, 0.0), changed)
        limit = time.time() - older_than_s
        yield from sorted(name for name, changed in newest.items() if changed <= limit)


def _write(path: Path, octets: bytes) -> None:
    """Make a file appear whole and durable; one that is there has the same content."""
    if path.exists():
        os.utime(path)  # whoever sweeps leaves it alone until its row is there
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    half_made = path.with_name(f"{path.name}.{os.getpid()}.{time.monotonic_ns()}.tmp")
    try:
        with half_made.open("wb") as file:
            file.write(octets)
            file.flush()
            os.fsync(file.fileno())
        half_made.rename(path)
    except BaseException:
        half_made.unlink(missing_ok=True)
        raise
    for folder in (path.parent, path.parent.parent):
        sync(folder)

"""Whether the files of covers and their rows agree, for `lianmu doctor`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from hashlib import sha256

from server.config import Config
from server.covers.shelf import Shelf, Size
from store.covers import SCHEMA_VERSION, Cover, CoverRows
from store.doctor import Finding, examine_file
from store.holding_events import HoldingEvents
from store.record_reader import RecordReader

_PART = "covers"
_FILES_MAX = 1_000  # whose content is read, of the newest covers; all with `whole`


def check_covers(config: Config, *, whole: bool) -> Iterator[Finding]:
    """What is amiss: rows without their files or record, and files that are not what they were.

    Every file must be there; `whole` reads all of them, otherwise those of the
    newest 1,000 covers are compared with their checksums.
    """
    shelf = Shelf(config.covers_dir)
    kept = set(shelf.kept())
    if not config.covers_path.exists():
        if kept:
            lost = f"{config.covers_path.name} is gone; pictures: {len(kept):,}"
            yield Finding(_PART, lost)
        return
    problems = list(examine_file(config.covers_path, _PART, SCHEMA_VERSION))
    yield from problems
    if any(finding.is_problem for finding in problems):
        return
    with closing(CoverRows(config.covers_path)) as rows:
        covers = list(rows.covers())
    covers.sort(key=lambda each: -each.at_us)
    yield from _records(config, covers)
    for place, cover in enumerate(covers):
        kept.discard(cover.sha256)
        yield from _files(shelf, cover, read=whole or place < _FILES_MAX)
    if kept:
        yield Finding(
            _PART, f"pictures of no record: {len(kept):,}; the server removes them",
            is_problem=False,
        )  # fmt: skip
    yield Finding(_PART, f"cover images: {len(covers):,}", is_problem=False)


def _records(config: Config, covers: list[Cover]) -> Iterator[Finding]:
    with closing(HoldingEvents(config.data_dir)) as events:
        catalogue = events.name
    with RecordReader(config.data_dir) as reader:
        for cover in covers:
            name = f"the cover of {cover.database} {cover.control_number}"
            if cover.catalogue != catalogue:
                yield Finding(_PART, f"{name} is of another catalogue: {cover.catalogue}")
                continue
            record = reader.rows.get(cover.record_id)
            if record is None or record.control_number != cover.control_number:
                yield Finding(_PART, f"{name} speaks of record {cover.record_id}, which is another")


def _files(shelf: Shelf, cover: Cover, *, read: bool) -> Iterator[Finding]:
    checksums = {
        Size.FULL: cover.sha256, Size.MEDIUM: cover.medium_sha256, Size.SMALL: cover.small_sha256,
    }  # fmt: skip
    for size, checksum in checksums.items():
        path = shelf.path(cover.sha256, cover.format, size)
        place = f"{path.parent.name}/{path.name}"
        try:
            if read and sha256(path.read_bytes()).hexdigest() != checksum:
                yield Finding(_PART, f"{place} is not what it was when it was stored")
            elif not read and not path.is_file():
                yield Finding(_PART, f"{place} is gone")
        except FileNotFoundError:
            yield Finding(_PART, f"{place} is gone")
        except OSError as error:
            yield Finding(_PART, f"{place}: {error.strerror}")

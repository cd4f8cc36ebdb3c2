"""A spool as drafts for the ledger, read by the folder and for figures of the moment."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from sys import intern

from metering.entry import Draft, Kind
from metering.spool_format import Frame, Position, Segment, SpoolDamaged, segment_path, segments

# A position behind everything: the spool is folded and may be removed.
DONE = Position(999_999, 0)


@dataclass(frozen=True, slots=True)
class Hold:
    """Leave frames for a later reading that are stamped between two moments."""

    after_us: int
    before_us: int

    def holds(self, frame: Frame) -> bool:
        after_us, before_us = self.after_us, self.before_us
        for at_us, _ in frame.calls:  # a loop, for this is asked of every frame
            if after_us < at_us < before_us:
                return True
        return bool(frame.voided) and any(after_us < void[2] < before_us for void in frame.voided)


NO_HOLD = Hold(0, 0)


@dataclass(slots=True)
class SpoolReading:
    """What a spool holds from one position to another."""

    spool: Path
    at: tuple[int, int]  # segment and offset; `end` of it is a Position
    drafts: list[Draft] = field(default_factory=list)
    full: bool = False  # the limit was reached, more is there
    damaged: list[int] = field(default_factory=list)  # segments to be kept for inspection
    gap: bool = False  # segments from the position on were missing

    @property
    def end(self) -> Position:
        return Position(*self.at)

    @property
    def newest_us(self) -> int:
        return max((draft.at_us for draft in self.drafts), default=0)


def read_spool(
    spool: Path,
    start: Position,
    *,
    orphan: bool,
    now_us: int,
    limit: int = 1 << 62,
    hold: Hold = NO_HOLD,
) -> SpoolReading:
    """Read about `limit` deliveries from a position, up to the first frame on hold.

    Of a spool whose owner lives the newest frame is left out: it may fail yet. An
    orphan read to its end brings a void for each delivery that was not settled
    and an audit remark that counts them, and ends at DONE.
    """
    reading = SpoolReading(spool, (start.segment, start.offset_bytes))
    for frame, end in _final_frames(reading, orphan):
        if len(reading.drafts) >= limit:
            reading.full = True
            return reading
        if hold.holds(frame):
            return reading
        reading.drafts += drafts(spool.name, frame)
        reading.at = end
    if reading.gap:
        note = f"segments from {start.segment} on were missing"
        reading.drafts.append(_audit(spool.name, f"{start.segment}:missing", now_us, note))
    for number in reading.damaged:
        reading.drafts.append(
            _audit(spool.name, f"{number}:damaged", now_us, f"segment {number} is damaged; kept")
        )
    if orphan:
        lost = list(_unsettled(spool))
        reason = "not confirmed before its worker ended"
        reading.drafts += [_void(spool.name, index, now_us, reason) for index in lost]
        if lost:
            note = f"{len(lost)} deliveries voided: {reason}"
            reading.drafts.append(_audit(spool.name, "recovery", now_us, note))
        reading.at = DONE.segment, DONE.offset_bytes
    return reading


def newest_frames(spool: Path, start: Position) -> Iterator[Draft]:
    """The frames that `read_spool` left out because their owner lives."""
    with contextlib.suppress(FileNotFoundError, SpoolDamaged):
        if start.segment:
            for frame, _ in Segment(spool, start.segment).frames(start.offset_bytes):
                yield from drafts(spool.name, frame)


def drafts(name: str, frame: Frame) -> Iterator[Draft]:
    """A frame's deliveries, then its voids."""
    index = frame.first
    kind = Kind.DELIVERY
    for at_us, deliveries in frame.calls:
        for delivery in deliveries:
            yield Draft(
                id=f"{name}:{index}",
                kind=kind,
                at_us=at_us,
                institution=intern(delivery.institution),  # kept for the repeat rule
                account=delivery.account,
                database=delivery.database,
                record_id=delivery.record_id,
                control_number=delivery.control_number,
                protocol=delivery.protocol,
                session=delivery.session,
            )
            index += 1
    for first, count, at_us, reason in frame.voided:
        for voided in range(first, first + count):
            yield _void(name, voided, at_us, reason)


def _final_frames(reading: SpoolReading, orphan: bool) -> Iterator[tuple[Frame, tuple[int, int]]]:
    """Frames from `reading.at` with where each ends; notes gaps and damaged segments."""
    spool = reading.spool
    numbers = [number for number in segments(spool) if number >= reading.at[0]]
    reading.gap = numbers[:1] != [reading.at[0] or 1]
    for number, following in zip(numbers, [*numbers[1:], 0], strict=True):
        try:
            segment = Segment(spool, number)
            size_bytes = _size_of_predecessor(spool, following) if following else 0
            begin = reading.at[1] if number == reading.at[0] else 0
            reading.at = number, begin or segment.first_offset_bytes
            held: tuple[Frame, tuple[int, int]] | None = None
            for frame, end in segment.frames(begin):
                if following and size_bytes and end > size_bytes:
                    break
                if held is not None:
                    yield held
                held = frame, (number, end)
            if held is not None and (size_bytes if following else orphan):
                yield held
            if following:
                if (held[1] if held else reading.at)[1] != size_bytes:
                    reading.damaged.append(number)
                reading.at = following, 0
            elif orphan and segment.has_frame_behind(reading.at[1]):
                reading.damaged.append(number)
        except FileNotFoundError:
            reading.gap = True
            return
        except SpoolDamaged:
            if following or orphan:
                reading.damaged.append(number)
            if following:
                reading.at = following, 0


def _size_of_predecessor(spool: Path, number: int) -> int:
    """Where the frames before a segment end; 0: unknown, so its last one may have failed."""
    try:
        return Segment(spool, number).header.previous_size_bytes
    except SpoolDamaged:
        return 0


def _unsettled(spool: Path) -> Iterator[int]:
    """Indexes of the deliveries of an orphan that were neither confirmed nor voided."""
    numbers = segments(spool)
    if not numbers:
        return
    try:
        segment = Segment(spool, numbers[-1])
    except SpoolDamaged:
        return
    unsettled = dict(segment.header.unsettled)
    for frame, _ in segment.frames():
        first = frame.first
        for _, deliveries in frame.calls:
            unsettled[first] = len(deliveries)
            first += len(deliveries)
        for settled_first in (*(c[0] for c in frame.confirmed), *(v[0] for v in frame.voided)):
            unsettled.pop(settled_first, None)
    for first, count in sorted(unsettled.items()):
        yield from range(first, first + count)


def remove_folded(spool: Path, end: Position, damaged: list[int]) -> None:
    """Remove the segments before a stored position; with DONE the whole spool.

    A damaged segment moves beside the spool instead.
    """
    for number in segments(spool):
        if number < end.segment:
            path = segment_path(spool, number)
            with contextlib.suppress(FileNotFoundError):
                if number in damaged:
                    path.rename(spool.with_name(f"{spool.name}.{number:06d}.damaged"))
                else:
                    path.unlink()
    if end == DONE:
        for left_over in spool.iterdir():
            left_over.unlink()
        spool.rmdir()


def _void(name: str, index: int, at_us: int, reason: str) -> Draft:
    delivery = f"{name}:{index}"
    return Draft(
        id=f"{delivery}:void", kind=Kind.VOID, at_us=at_us, refers_to=delivery, note=reason
    )


def _audit(name: str, what: str, at_us: int, note: str) -> Draft:
    return Draft(id=f"{name}:{what}", kind=Kind.AUDIT, at_us=at_us, note=note)

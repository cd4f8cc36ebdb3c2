"""How much fits into a response: message sizes and segments (Z39.50-2003 §3.3).

Sizes are sums of the octets of records, without protocol control information.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from protocol import apdu
from protocol.diagnostic import Bib1, Diagnostic

# What one response takes together, whatever number of segments a client permits.
AGGREGATE_BYTES_MAX = 64 << 20
SEGMENT_SIZE_BYTES_MIN = 64
_SURROGATE_BYTES = 48  # of a surrogate diagnostic without its addinfo


@dataclass(frozen=True, slots=True)
class Sizes:
    """What a response may take.

    `segment_bytes_max` is for each segment, or for the whole response where
    `segments_max` is 1. A record beyond that goes out whole up to
    `alone_bytes_max`, when it is the only one asked for, and in fragments up to
    `fragmented_bytes_max`.
    """

    segment_bytes_max: int
    exceptional_bytes_max: int
    segments_max: int = 1
    alone_bytes_max: int = 0
    fragmented_bytes_max: int = 0


def sizes_of(
    request: apdu.PresentRequest,
    level: int,
    preferred_message_size: int,
    exceptional_record_size: int,
) -> Sizes | Diagnostic:
    """The bounds of a Present under segmentation `level` (0: none, 1 or 2).

    A segment size in which no fragment has room is Bib-1 242.
    """
    only_one = request.number_of_records_requested == 1 and not request.additional_ranges
    whole = Sizes(
        preferred_message_size,
        exceptional_record_size,
        1,
        exceptional_record_size if only_one else 0,
    )
    count = request.max_segment_count
    if level == 0 or (count is not None and count <= 1):
        return whole
    segments = AGGREGATE_BYTES_MAX if count is None else count
    if level == 1:
        return dataclasses.replace(whole, segments_max=segments)
    size = request.max_segment_size or preferred_message_size
    if size < SEGMENT_SIZE_BYTES_MIN:
        return Diagnostic(Bib1.SEGMENT_SIZE_TOO_SMALL, str(size))
    # The exceptional record size says nothing at level 2 (§3.3.3.2).
    record = min(request.max_record_size or AGGREGATE_BYTES_MAX, size * segments)
    return Sizes(size, max(record, size), segments, fragmented_bytes_max=record)


class Packing:
    """Puts records into the segments of one response, in order.

    `fits` is asked for each record; `exhausted` says afterwards that records
    were left out because of the sum of all, not of what the client accepts.
    """

    __slots__ = ("_cuts", "_fragmented", "_items", "_room", "_sizes", "_used", "exhausted")

    def __init__(self, sizes: Sizes) -> None:
        self._sizes = sizes
        self._room = sizes.segment_bytes_max
        self._items = 0
        self._used = 1  # segments so far
        self._cuts: list[int] = []  # items before which a new segment begins
        self._fragmented: dict[int, int] = {}  # number of fragments by item
        self.exhausted = False

    def fits(self, content: bytes | Diagnostic, before: int) -> bytes | Diagnostic | None:
        """`content`, a surrogate diagnostic instead of it, or None: the response ends."""
        size = _size(content)
        if size > self._room or before + size > AGGREGATE_BYTES_MAX:
            return self._makes_room(content, size, before)
        self._room -= size
        self._items += 1
        return content

    def _makes_room(
        self, content: bytes | Diagnostic, size: int, before: int
    ) -> bytes | Diagnostic | None:
        """As `fits`, for what the segment so far has no room for."""
        if before and before + size > AGGREGATE_BYTES_MAX:
            self.exhausted = True
            return None
        sizes = self._sizes
        fragments = 1
        if size > sizes.segment_bytes_max and not isinstance(content, Diagnostic):
            if size <= sizes.fragmented_bytes_max:
                fragments = -(-size // sizes.segment_bytes_max)
            elif size > sizes.alone_bytes_max:
                content = Diagnostic(
                    Bib1.RECORD_EXCEEDS_PREFERRED_SIZE
                    if size <= sizes.exceptional_bytes_max
                    else Bib1.RECORD_EXCEEDS_EXCEPTIONAL_SIZE,
                    f"{size} octets",
                )
                size = _size(content)
        cut = size > self._room and self._items > 0
        more = cut + fragments - 1
        if more and self._used + more > sizes.segments_max:
            return None
        self._used += more
        if cut:
            self._cuts.append(self._items)
        if cut or fragments > 1:
            self._room = sizes.segment_bytes_max
        if fragments > 1:
            self._fragmented[self._items] = fragments
            size -= (fragments - 1) * sizes.segment_bytes_max
        self._room -= size
        self._items += 1
        return content

    def segments(
        self, records: Sequence[apdu.NamePlusRecord]
    ) -> list[tuple[apdu.NamePlusRecord, ...]]:
        """`records`, one for each item that fitted, cut as decided; the last is the response's."""
        if not self._cuts and not self._fragmented:
            return [tuple(records)]
        cuts = frozenset(self._cuts)
        segments: list[list[apdu.NamePlusRecord]] = [[]]
        for number, record in enumerate(records):
            if number in cuts:
                segments.append([])
            fragments = self._fragmented.get(number)
            if fragments is None:
                segments[-1].append(record)
                continue
            first, *rest = _fragments(record, fragments, self._sizes.segment_bytes_max)
            segments[-1].append(first)
            segments.extend([fragment] for fragment in rest)
        return [tuple(segment) for segment in segments]


def _size(content: bytes | Diagnostic) -> int:
    if isinstance(content, Diagnostic):
        return _SURROGATE_BYTES + len(content.addinfo)
    return len(content)


def _fragments(
    named: apdu.NamePlusRecord, count: int, size_bytes: int
) -> list[apdu.NamePlusRecord]:
    """One record as `count` fragments, their octets together those of its EXTERNAL (§3.3.3.1).

    The first is an EXTERNAL itself, so that the record syntax is known.
    """
    external = named.record
    assert isinstance(external, apdu.External)  # noqa: S101 - diagnostics are never cut
    data = external.data
    pieces = [
        data[start : start + size_bytes] for start in range(0, size_bytes * count, size_bytes)
    ]
    pieces[-1] += data[size_bytes * count :]
    first = apdu.External(external.direct_reference, pieces[0])
    return [
        apdu.NamePlusRecord(name=named.name, record=apdu.StartingFragment(first)),
        *(apdu.NamePlusRecord(record=apdu.IntermediateFragment(each)) for each in pieces[1:-1]),
        apdu.NamePlusRecord(record=apdu.FinalFragment(pieces[-1])),
    ]

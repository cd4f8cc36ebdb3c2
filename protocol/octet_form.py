"""Octets that differ from others only in the contents of a few elements.

Between two requests of one form the contents vary, and with them the lengths of
whatever they stand in. The contents are cut out by their own lengths; what is
fixed, with the lengths that follow, must then be there octet for octet. So
octets have the form or not, whatever anybody may send.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import chain

from protocol import ber

_PIECES_KEPT = 8192  # of all forms, by the sizes of their contents


class OctetForm:
    """`data` with the contents of some of its primitive elements left open.

    `contents` are their offsets, `(first, end)`, in order, none of them empty.

    Raises:
        ValueError: an element around them is too long to be of a form.
    """

    __slots__ = ("_before", "_fixed", "_lengths", "key")

    def __init__(self, data: bytes, contents: Sequence[tuple[int, int]]) -> None:
        starts = [0, *[end for _, end in contents]]
        ends = [*[first for first, _ in contents], len(data)]
        fixed = [bytearray(data[start:end]) for start, end in zip(starts, ends, strict=True)]
        # (piece, place in it, octets beside the contents, greatest length, contents inside)
        self._lengths: list[tuple[int, int, int, int, tuple[int, ...]]] = []
        for _, first, end in elements(data):
            inside = tuple(
                number for number, (at, to) in enumerate(contents) if first <= at and to <= end
            )
            if not inside:  # or it is of indefinite length
                continue
            size = end - first
            if size > 255:
                raise ValueError(f"an element of {size} octets")
            piece = sum(at < first for at, _ in contents)
            place = first - 1 - starts[piece]
            beside = size - sum(contents[number][1] - contents[number][0] for number in inside)
            # In the short form, or in the last octet of the long one.
            self._lengths.append((piece, place, beside, 127 if size < 128 else 255, inside))
            fixed[piece][place] = 0
        self._fixed = tuple(map(bytes, fixed))
        self._before = tuple(map(len, self._fixed[:-1]))
        self.key = self._fixed

    def contents(self, data: bytes) -> list[bytes] | None:
        """The contents of `data`; None: it has another form."""
        found: list[bytes] = []
        at = 0
        for size in self._before:
            at += size
            if at > len(data):
                return None
            end = at + data[at - 1]
            found.append(data[at:end])
            at = end
        return found if self.octets(found) == data else None

    def octets(self, contents: Sequence[bytes]) -> bytes | None:
        """What has this form and these contents; None: a length does not fit."""
        pieces = _pieces(self, tuple(map(len, contents)))
        if pieces is None:
            return None
        return b"".join((*chain.from_iterable(zip(pieces, contents, strict=False)), pieces[-1]))

    def pieces(self, sizes: Sequence[int]) -> Sequence[bytes] | None:
        """What is fixed around contents of these sizes."""
        pieces = [bytearray(piece) for piece in self._fixed]
        for piece, place, beside, greatest, inside in self._lengths:
            size = beside + sum(sizes[number] for number in inside)
            if size > greatest:
                return None
            pieces[piece][place] = size
        return [bytes(piece) for piece in pieces]


@lru_cache(_PIECES_KEPT)
def _pieces(form: OctetForm, sizes: tuple[int, ...]) -> Sequence[bytes] | None:
    return form.pieces(sizes)


def elements(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Every element of whole ones, in the order of their octets, nested ones included.

    Each as its identifier, where its content begins, and where that ends or
    `ber.INDEFINITE`.
    """
    at = 0
    while at < len(data):
        identifier, first, end = ber.read_header(data, at)
        if identifier:  # or it ends the contents of another
            yield identifier, first, end
        is_primitive = not ber.identifier_octets(identifier)[0] & ber.CONSTRUCTED
        at = end if is_primitive else first

"""Records chosen by a search, frozen: a bitmap, or an explicit order over one."""

from __future__ import annotations

from array import array
from collections.abc import Sequence

from pyroaring import BitMap

from protocol.diagnostic import Bib1, Diagnostic

_NUMBER_BYTES = 4
_AS_BITMAP, _IN_ORDER = b"B", b"O"


class RecordSet:
    """A `ResultSet` in order of record id, or in `order` when one is given.

    `order` holds each of `records` once. Neither is changed afterwards, here or
    by who gave them, so positions stay as they are while the catalogue changes.
    """

    __slots__ = ("_order", "records")

    def __init__(self, records: BitMap, order: array[int] | None = None) -> None:
        self.records = records
        self._order = order

    def __len__(self) -> int:
        return len(self.records)

    def ids(self, start: int, count: int) -> Sequence[int] | Diagnostic:
        """The record ids at positions `start` (from 1) to `start + count - 1`.

        Out of range is Bib-1 13 with `start` as the additional information
        (Z39.50-2003 §3.2.3.1.1).
        """
        if start < 1 or count < 0 or start + count - 1 > len(self.records):
            return Diagnostic(Bib1.PRESENT_OUT_OF_RANGE, str(start))
        first = start - 1
        if self._order is not None:
            return self._order[first : first + count]
        if count == 1:  # a slice costs three times as much
            return (self.records[first],)
        return self.records[first : first + count].to_array() if count else ()

    def to_bytes(self) -> bytes:
        """The set as octets, for a file that this machine reads again."""
        if self._order is not None:
            return _IN_ORDER + self._order.tobytes()
        return _AS_BITMAP + self.records.serialize()

    @classmethod
    def from_bytes(cls, data: bytes) -> RecordSet:
        """The set that `to_bytes` wrote.

        Raises:
            ValueError: these are other octets.
        """
        kind, content = data[:1], data[1:]
        if kind == _AS_BITMAP:
            return cls(BitMap.deserialize(content))
        if kind != _IN_ORDER:
            raise ValueError("not a result set")
        order = array("I")
        order.frombytes(content)
        return cls(BitMap(order), order)

    @property
    def order(self) -> array[int]:
        """Every record id in the order of positions."""
        return self._order if self._order is not None else self.records.to_array()

    @property
    def size_bytes(self) -> int:
        """The memory that the set takes, to within its fixed overhead."""
        statistics = self.records.get_statistics()
        size = (
            statistics["n_bytes_array_containers"]
            + statistics["n_bytes_run_containers"]
            + statistics["n_bytes_bitset_containers"]
        )
        return size + (_NUMBER_BYTES * len(self._order) if self._order is not None else 0)

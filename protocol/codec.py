"""One decoder and encoder a type, for elements that stand alone."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

from protocol import ber
from protocol.asn1 import (
    Asn1Type,
    Cached,
    Choice,
    Explicit,
    Lazy,
    Sequence,
    SequenceOf,
    Tagged,
    Wrapped,
    components,
)
from protocol.asn1_read import whole_reader
from protocol.asn1_write import whole_writer
from protocol.ber import ProtocolError

T = TypeVar("T")

DEPTH_MAX = 64  # of elements, where a type can hold itself


class Codec(Generic[T]):
    """`Codec(Sequence(OpacRecord), "OPACRecord")`; `name` is for error texts."""

    __slots__ = ("_read", "_recursive", "_write", "name", "type")

    def __init__(self, type_: Asn1Type[T], name: str) -> None:
        self.type = type_
        self.name = name
        self._recursive = _is_recursive(type_)
        self._read = whole_reader(type_)
        self._write = whole_writer(type_)

    def decode(self, data: bytes) -> T:
        """The value of the one element that `data` is.

        Raises:
            ProtocolError: it is not one element, or not of this type, or
                nested more than DEPTH_MAX deep.
        """
        try:
            if self._recursive:
                ber.check_depth(data, DEPTH_MAX)
            value: T = self._read(data, 0, len(data), len(data))[0]
        except IndexError as error:
            raise ProtocolError(f"{self.name} is cut short") from error
        return value

    def encode(self, value: T) -> bytes:
        """One element of definite lengths."""
        return self._write(value)


def _is_recursive(type_: Asn1Type[Any]) -> bool:
    """True when a value of `type_` can hold another: only `Lazy` makes that possible."""
    match type_:
        case Lazy():
            return True
        case Tagged() | Cached() | Explicit() | Wrapped():
            return _is_recursive(type_.type)
        case SequenceOf():
            return _is_recursive(type_.item)
        case Choice():
            return any(_is_recursive(each.type) for each in type_.alternatives)
        case Sequence():
            return any(_is_recursive(each.type) for each, _ in components(type_.cls).values())
    return False

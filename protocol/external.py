"""EXTERNAL: a value of a type that an object identifier names (X.690 §8.18).

The value stays undecoded in `data` until somebody asks with the codec of its
type. Both forms that peers use are read the same way: one ASN.1 element, or
octets that hold such an element.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TypeVar

from protocol import ber
from protocol.asn1 import Asn1Type, Custom
from protocol.ber import ProtocolError
from protocol.codec import Codec
from protocol.frozen import frozen
from protocol.oid import Oid

T = TypeVar("T")

_OID = 6
_INTEGER = 2
_DESCRIPTOR = 7
_SINGLE = 0xA0
_OCTETS = 0x81
_OCTETS_IN_SEGMENTS = 0xA1
_ARBITRARY = 0x82


class Form(IntEnum):
    """How EXTERNAL holds its value; the numbers are the context tags."""

    SINGLE_ASN1_TYPE = 0  # `data` is one whole element
    OCTET_ALIGNED = 1  # `data` is the octets themselves
    ARBITRARY = 2  # `data` is a BIT STRING's content, its count of unused bits first


@frozen
class External:
    """`direct_reference` None: the type is agreed in some other way."""

    direct_reference: Oid | None
    data: bytes
    form: Form = Form.OCTET_ALIGNED
    indirect_reference: int | None = None
    descriptor: str | None = None

    @classmethod
    def of(cls, oid: Oid, codec: Codec[T], value: T) -> External:
        """`value` as a single ASN.1 type, the form for everything but MARC and text."""
        return cls(oid, codec.encode(value), Form.SINGLE_ASN1_TYPE)

    def decode(self, codec: Codec[T]) -> T:
        """The value, by the codec that `direct_reference` calls for; else ProtocolError."""
        if self.form is Form.ARBITRARY:
            raise ProtocolError("an EXTERNAL of arbitrary bits")
        return codec.decode(self.data)


def read_external(data: bytes, offset: int, end: int, limit: int) -> tuple[External, int]:
    """As the readers of `protocol.asn1_read`."""
    if end != ber.INDEFINITE:
        limit = end
    oid = indirect = descriptor = None
    while True:
        identifier, offset, stop = ber.read_header(data, offset)
        if stop > limit:
            raise ProtocolError("an element is longer than the one around it")
        if identifier == _OID:
            oid = ber.read_oid(data[offset:stop])
        elif identifier == _INTEGER:
            indirect = ber.read_integer(data, offset, stop)
        elif identifier == _DESCRIPTOR:
            descriptor = data[offset:stop].decode("utf-8", "surrogateescape")
        else:
            break  # the value, which is last
        offset = stop
    if identifier == _OCTETS:
        content, offset, form = data[offset:stop], stop, Form.OCTET_ALIGNED
    elif identifier == _SINGLE:
        # The element inside, whole; its own length may be indefinite.
        start = offset
        _, offset, inner_end = ber.read_header(data, offset)
        offset = ber.skip(data, offset, inner_end, limit)
        content, form = data[start:offset], Form.SINGLE_ASN1_TYPE
        offset = ber.close_explicit(data, offset, stop)
    elif identifier == _OCTETS_IN_SEGMENTS:
        content, offset = ber.read_segments(data, offset, stop, limit)
        form = Form.OCTET_ALIGNED
    elif identifier == _ARBITRARY:
        content, offset, form = data[offset:stop], stop, Form.ARBITRARY
    else:
        raise ProtocolError("an EXTERNAL without a value")
    return External(oid, content, form, indirect, descriptor), ber.leave(data, offset, end, limit)


def write_external(value: External) -> bytes:
    octets = (
        b"" if value.direct_reference is None else b"\x06" + ber.write_oid(value.direct_reference)
    )
    if value.indirect_reference is not None:
        octets += b"\x02" + ber.write_integer(value.indirect_reference)
    if value.descriptor is not None:
        octets += ber.wrap(b"\x07", value.descriptor.encode("utf-8", "surrogateescape"))
    return octets + ber.wrap(_IDENTIFIERS[value.form], value.data)


_IDENTIFIERS = (bytes([_SINGLE]), bytes([_OCTETS]), bytes([_ARBITRARY]))

EXTERNAL: Asn1Type[External] = Custom(8, (External,), read_external, write_external)

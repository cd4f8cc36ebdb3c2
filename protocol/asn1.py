"""How an APDU is described: one component a field, one class a SEQUENCE.

A class decorated with `sequence` is a frozen dataclass with slots whose fields
are `component(tag, type)`. That description is the only one: `protocol.codec`
compiles decoder and encoder from it.

    @sequence
    class InfoCategory:
        category_type_id: Oid | None = component(1, OID, default=None)
        category_value: int = component(2, INTEGER)

`tag` is the context-specific tag number, None for a component that keeps the
tag of its type. Tags are IMPLICIT, as nearly all of Z39.50 is, except on a
CHOICE, which cannot be (X.680 §31.2.7), and on a type wrapped in `Explicit`.
A component with a default is OPTIONAL: it is left out when it equals that
default, and absence gives the default.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from enum import Enum, IntEnum
from typing import Any, Generic, TypeVar, dataclass_transform, overload

from protocol.frozen import make_frozen
from protocol.oid import Oid

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
C = TypeVar("C", bound=type[Any])


@dataclasses.dataclass(frozen=True, slots=True)
class GeneralizedTime:
    """`YYYYMMDDHHMMSS[.f][Z|±hhmm]` as sent; not checked (X.680 §46)."""

    text: str


class Null(Enum):
    NULL = None


@dataclasses.dataclass(frozen=True, slots=True)
class Opaque:
    """A value of type ANY in an alternative we do not know: its whole TLV."""

    tlv: bytes


class Asn1Type(Generic[T_co]):
    """An ASN.1 type whose values are `T_co` in Python."""


@dataclasses.dataclass(frozen=True, eq=False)
class Primitive(Asn1Type[T_co]):
    """A type with a universal tag and no components.

    `kind` names the code that is inlined for its content. `number` is written;
    the universal tags in `accepted` are read as well.
    """

    kind: str
    number: int
    python: type[Any]
    accepted: tuple[int, ...] = ()


BOOLEAN: Asn1Type[bool] = Primitive("boolean", 1, bool)
INTEGER: Asn1Type[int] = Primitive("integer", 2, int)
OCTETS: Asn1Type[bytes] = Primitive("octets", 4, bytes)
NULL: Asn1Type[Null] = Primitive("null", 5, Null)
FLAG: Asn1Type[bool] = Primitive("flag", 5, bool)  # NULL OPTIONAL: its presence is True
OID: Asn1Type[Oid] = Primitive("oid", 6, Oid)
GENERALIZED_TIME: Asn1Type[GeneralizedTime] = Primitive("time", 24, GeneralizedTime)
# InternationalString is GeneralString (Z39.50-2003 §4.1). Every other string
# tag is read too: a peer's choice among them changes nothing for us.
_STRING_TAGS = (12, 18, 19, 20, 22, 25, 26, 27)
STRING: Asn1Type[str] = Primitive("string", 27, str, _STRING_TAGS)
VISIBLE_STRING: Asn1Type[str] = Primitive("string", 26, str, _STRING_TAGS)
# VisibleString in version 2, InternationalString in version 3.
ADDINFO: Asn1Type[str] = Primitive("addinfo", 26, str, _STRING_TAGS)


@dataclasses.dataclass(frozen=True, eq=False)
class BitString(Asn1Type[frozenset[T]]):
    """A BIT STRING with named bits, as the set of those that are on.

    Bits without a name are dropped when read.
    """

    names: type[IntEnum]


ITEMS_MAX = 10_000


@dataclasses.dataclass(frozen=True, eq=False)
class SequenceOf(Asn1Type[tuple[T_co, ...]]):
    """More than `items_max` items are refused when read."""

    item: Asn1Type[T_co]
    items_max: int = ITEMS_MAX


@dataclasses.dataclass(frozen=True, eq=False)
class Cached(Asn1Type[T_co]):
    """`type`, whose values repeat so often that decoded ones are kept by their octets."""

    type: Asn1Type[T_co]


@dataclasses.dataclass(frozen=True, eq=False)
class Explicit(Asn1Type[T_co]):
    """`type` with its own tag kept inside the tag it is given."""

    type: Asn1Type[T_co]


@dataclasses.dataclass(frozen=True, eq=False)
class Tagged(Asn1Type[T_co]):
    """A type that brings its context tag along: `DatabaseName ::= [105] …`."""

    tag: int
    type: Asn1Type[T_co]


@dataclasses.dataclass(frozen=True, eq=False)
class Wrapped(Asn1Type[T_co]):
    """`type` held in the only field of `wrapper`.

    For alternatives of one CHOICE that would otherwise be the same in Python.
    """

    wrapper: type[T_co]
    type: Asn1Type[Any]


@dataclasses.dataclass(frozen=True, eq=False)
class Sequence(Asn1Type[T_co]):
    """The SEQUENCE described by the fields of `cls`."""

    cls: type[T_co]


@dataclasses.dataclass(frozen=True, eq=False)
class Custom(Asn1Type[T_co]):
    """A type whose codec is written by hand.

    `read(data, offset, end, limit)` and `write(value)` are as
    `protocol.asn1_read` and `protocol.asn1_write` say. `number` is the
    universal tag; None for a CHOICE, which is read and written as the content
    of the explicit tag around it.
    """

    number: int | None
    pythons: tuple[type[Any], ...]
    read: Callable[[bytes, int, int, int], tuple[T_co, int]]
    write: Callable[[Any], bytes]


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Alternative:
    """`constant` is the Python value when the type is NULL."""

    tag: int | None
    type: Asn1Type[Any]
    constant: Enum | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class Choice(Asn1Type[T_co]):
    """A CHOICE; which alternative a value belongs to is told by its class.

    With `others` an alternative of unknown tag is kept as `Opaque`, as ANY is.
    """

    name: str
    alternatives: tuple[Alternative, ...]
    others: bool = False


@dataclasses.dataclass(frozen=True, eq=False)
class Lazy(Asn1Type[T_co]):
    """A type named before it is defined, for recursive definitions."""

    resolve: Callable[[], Asn1Type[T_co]]


def choice(name: str, *alternatives: tuple[Any, ...], others: bool = False) -> Choice[Any]:
    """`choice("Term", (45, OCTETS), (215, INTEGER), (221, NULL, Null.NULL))`."""
    return Choice(name, tuple(Alternative(*each) for each in alternatives), others)


@dataclasses.dataclass(frozen=True, slots=True)
class Component:
    tag: int | None
    type: Asn1Type[Any]


@overload
def component(tag: int | None, type_: Asn1Type[T]) -> T: ...
@overload
def component(tag: int | None, type_: Asn1Type[T], *, default: None) -> T | None: ...
@overload
def component(tag: int | None, type_: Asn1Type[T], *, default: T) -> T: ...
def component(tag: int | None, type_: Asn1Type[Any], **default: Any) -> Any:
    """A field of a `sequence` class; with `default` it is OPTIONAL."""
    return dataclasses.field(**default, metadata={"asn1": Component(tag, type_)})


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(component,))
def sequence(cls: C) -> C:
    """Make `cls` a frozen, slotted, keyword-only dataclass that describes a SEQUENCE."""
    return make_frozen(cls, kw_only=True)


@dataclass_transform(frozen_default=True, field_specifiers=(component,))
def positional_sequence(cls: C) -> C:
    """As `sequence`, for small types built by position."""
    return make_frozen(cls, kw_only=False)


def components(cls: type[Any]) -> Mapping[str, tuple[Component, Any]]:
    """Field name to component and default (`dataclasses.MISSING`: mandatory)."""
    return {
        field.name: (field.metadata["asn1"], field.default)
        for field in dataclasses.fields(cls)
        if "asn1" in field.metadata
    }

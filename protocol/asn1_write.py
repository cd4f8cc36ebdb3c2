"""Encoders written from the description of a type.

A content writer takes a value and returns the content octets of its element; a
whole writer returns the element. Lengths are definite, and a component equal
to its default is left out. A CHOICE is written by the class of its value.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from enum import Enum
from typing import Any

from protocol import ber
from protocol.asn1 import (
    Asn1Type,
    BitString,
    Cached,
    Choice,
    Custom,
    Explicit,
    Lazy,
    Opaque,
    Primitive,
    Sequence,
    SequenceOf,
    Tagged,
    Wrapped,
    components,
)
from protocol.asn1_codegen import NAMESPACE, Lines, constant, expression, function, identifier

Writer = Callable[[Any], bytes]

_SEQUENCE_NUMBER = 16
_WRITE = {  # length and content of the value `x`
    "integer": "(SMALL_INTEGERS[x] if 0 <= x < 1024 else write_integer(x))",
    "oid": "write_oid(x)",
    "boolean": '(b"\\x01\\xff" if x else b"\\x01\\x00")',
    "flag": 'b"\\x00"',
    "null": 'b"\\x00"',
}
_CONTENT = {
    "octets": "x",
    "string": 'x.encode("utf-8", "surrogateescape")',
    "time": 'x.text.encode("utf-8", "surrogateescape")',
}


def whole_writer(type_: Asn1Type[Any], tag: int | None = None) -> Writer:
    """The writer of the element of `type_` under context tag `tag`."""
    writer: Writer = NAMESPACE[_whole_function(type_, tag)]
    return writer


def _whole_function(type_: Asn1Type[Any], tag: int | None) -> str:
    if isinstance(type_, Choice) and tag is None:
        return _choice_function(type_)
    return expression("whole", _element(type_, tag))


def _element(type_: Asn1Type[Any], tag: int | None) -> str:
    """An expression for the element of the value `x`."""
    match type_:
        case Lazy():
            return _element(type_.resolve(), tag)
        case Tagged():
            return _element(type_.type, type_.tag if tag is None else tag)
        case Cached():
            return _element(type_.type, tag)
        case Wrapped():
            (field,) = dataclasses.fields(type_.wrapper)
            return f"{_whole_function(type_.type, tag)}(x.{field.name})"
        case Choice() | Explicit() if tag is not None:
            inner = type_.type if isinstance(type_, Explicit) else type_
            if isinstance(inner, Custom) and inner.number is None:
                return f"wrap({_octets(tag, True)}, {_content_function(inner)}(x))"
            return f"wrap({_octets(tag, True)}, {_element(inner, None)})"
        case Choice():
            return f"{_choice_function(type_)}(x)"
        case Primitive(kind="addinfo"):
            return "write_addinfo(x)"
        case Primitive():
            octets = _octets(tag, False, type_.number)
            if type_.kind in _WRITE:
                return f"{octets} + {_WRITE[type_.kind]}"
            return f"wrap({octets}, {_CONTENT[type_.kind]})"
        case BitString():
            size = max(int(bit) for bit in type_.names) + 1
            return f"wrap({_octets(tag, False, 3)}, write_bits(x, {size}))"
        case Sequence() | SequenceOf() | Custom():
            number = type_.number if isinstance(type_, Custom) else _SEQUENCE_NUMBER
            if number is not None:
                return f"wrap({_octets(tag, True, number)}, {_content_function(type_)}(x))"
    raise TypeError(f"{type_!r} under tag {tag}")


def _octets(tag: int | None, constructed: bool, universal: int = 0) -> str:
    """The identifier octets as a literal."""
    return repr(ber.identifier_octets(identifier(tag, constructed, universal)))


def _content_function(type_: Asn1Type[Any]) -> str:
    match type_:
        case Sequence():
            return function("write", type_.cls, lambda: _sequence_body(type_.cls), "v")
        case SequenceOf():
            return function("write", type_, lambda: _sequence_of_body(type_.item), "v")
        case Custom():
            return constant(type_.write, "write_custom")
    raise TypeError(f"{type_!r} has no content of its own")


def _sequence_body(cls: type[Any]) -> Lines:
    lines = ['o = b""']
    for field, (component, default) in components(cls).items():
        add = f"o += {_element(component.type, component.tag)}"
        lines.append(f"x = v.{field}")
        if default is dataclasses.MISSING:
            lines.append(add)
        elif default is None:
            lines += ["if x is not None:", f"    {add}"]
        elif default in ((), False):
            lines += ["if x:", f"    {add}"]
        else:
            lines += [f"if x != {constant(default)}:", f"    {add}"]
    return [*lines, "return o"]


def _sequence_of_body(item: Asn1Type[Any]) -> Lines:
    return [f'return b"".join([{_element(item, None)} for x in v])']


def _choice_function(type_: Choice[Any]) -> str:
    return function("choice", type_, lambda: _choice_body(type_), "x")


def _choice_body(type_: Choice[Any]) -> Lines:
    writers: dict[type[Any], Writer] = {}
    name = constant(writers, "writers")
    _fill(writers, type_)
    return [f"w = {name}.get(type(x)) or writer_of({name}, {type_.name!r}, x)", "return w(x)"]


def _fill(writers: dict[type[Any], Writer], type_: Choice[Any]) -> None:
    """Find each alternative by the classes of its values."""
    constants: dict[Enum, bytes] = {}
    for alternative in type_.alternatives:
        write = whole_writer(alternative.type, alternative.tag)
        if alternative.constant is not None:
            constants[alternative.constant] = write(None)
            writers[type(alternative.constant)] = constants.__getitem__
            continue
        for cls in _classes(alternative.type):
            if cls in writers:
                raise TypeError(f"two alternatives of {type_.name} are {cls.__name__}")
            writers[cls] = write
    if type_.others:
        writers[Opaque] = lambda opaque: opaque.tlv


def _classes(type_: Asn1Type[Any]) -> tuple[type[Any], ...]:
    """The classes of the values of a type, by which a CHOICE tells them apart."""
    match type_:
        case Lazy():
            return _classes(type_.resolve())
        case Tagged() | Cached() | Explicit():
            return _classes(type_.type)
        case Wrapped():
            return (type_.wrapper,)
        case Primitive():
            return (type_.python,)
        case BitString():
            return (frozenset,)
        case SequenceOf():
            return (tuple,)
        case Sequence():
            return (type_.cls,)
        case Custom():
            return type_.pythons
        case Choice():
            found: list[type[Any]] = []
            for each in type_.alternatives:
                found += _classes(each.type) if each.constant is None else (type(each.constant),)
            return tuple(dict.fromkeys(found))
    raise TypeError(f"{type_!r}")


def _writer_of(writers: dict[type[Any], Writer], name: str, value: object) -> Writer:
    """The writer for a value of a subclass, such as an IntEnum for an INTEGER."""
    for cls in type(value).__mro__:
        if cls in writers:
            return writers[cls]
    raise TypeError(f"{value!r} is no {name}")


def _write_addinfo(text: str) -> bytes:
    """VisibleString while it can be, as version 2 asks; else InternationalString."""
    if text.isascii():
        return ber.wrap(b"\x1a", text.encode("ascii"))
    return ber.wrap(b"\x1b", text.encode("utf-8", "surrogateescape"))


NAMESPACE |= {
    "SMALL_INTEGERS": ber.SMALL_INTEGERS,
    "wrap": ber.wrap,
    "write_addinfo": _write_addinfo,
    "write_bits": ber.write_bits,
    "write_integer": ber.write_integer,
    "write_oid": ber.write_oid,
    "writer_of": _writer_of,
}

"""Decoders written from the description of a type.

A reader is `read(d, p, end, e) -> (value, p)`. The content of an element
starts at offset `p` of `d`; it ends at `end`, or where `end` is INDEFINITE at
its two zero octets, in any case not after the limit `e`. The offset after the
element comes back. Readers of a SEQUENCE are one loop over its elements with a
chain of tag comparisons; unknown elements are stepped over (Z39.50-2003 §4.3).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from protocol import ber
from protocol.asn1 import (
    Alternative,
    Asn1Type,
    BitString,
    Cached,
    Choice,
    Custom,
    Explicit,
    GeneralizedTime,
    Lazy,
    Opaque,
    Primitive,
    Sequence,
    SequenceOf,
    Tagged,
    Wrapped,
    components,
)
from protocol.asn1_codegen import NAMESPACE, Lines, constant, function, identifier, indent
from protocol.ber import ProtocolError
from protocol.frozen import twin_of

ELEMENTS_MAX = 1_000  # in one SEQUENCE, the unknown ones included
CACHED_OCTETS_MAX = 256
CACHED_VALUES_MAX = 1024

Reader = Callable[[bytes, int, int, int], tuple[Any, int]]
# Lines that set `target` from the content at `p`, and move `p` past the element.
Emit = Callable[[str], Lines]

_ARGUMENTS = "d, p, end, e"
_SEQUENCE_NUMBER = 16

# What a reader does first with each element: leaves the identifier in `t`,
# content start in `p`, content end or INDEFINITE in `q`.
_HEADER = """\
t = d[p]
p += 1
if t & 31 == 31:
    q = d[p]
    p += 1
    t = t << 8 | q
    if q > 127:
        q = d[p]
        p += 1
        t = t << 8 | q
        if q > 127:
            t, p = read_more_tag(d, p, t)
q = d[p]
p += 1
if q < 128:
    q += p
elif q == 128:
    q = indefinite_end(t)
else:
    p, q = read_long_length(d, p, q)
if q > e:
    raise ProtocolError("an element is longer than the one around it")
""".splitlines()

_TEXT = '"utf-8", "surrogateescape"'  # loses nothing of another charset
_READ = {
    "boolean": "read_boolean(d, p, q)",
    "integer": "d[p] if q - p == 1 and d[p] < 128 else read_integer(d, p, q)",
    "octets": "d[p:q]",
    "flag": "True",
    "null": "None",
    "oid": "read_oid(d[p:q])",
    "time": f"GeneralizedTime(d[p:q].decode({_TEXT}))",
    "string": f"d[p:q].decode({_TEXT})",
    "addinfo": f"d[p:q].decode({_TEXT})",
}
_READ_SEGMENTS = {  # `s` is what the segments of a constructed string make up
    "octets": "s",
    "time": f"GeneralizedTime(s.decode({_TEXT}))",
    "string": f"s.decode({_TEXT})",
    "addinfo": f"s.decode({_TEXT})",
}


def content_reader(type_: Asn1Type[Any]) -> Reader:
    """The reader of the content of a SEQUENCE or SEQUENCE OF."""
    reader: Reader = NAMESPACE[_content_function(type_)]
    return reader


def whole_reader(type_: Asn1Type[Any]) -> Reader:
    """The reader of content that is exactly one element of `type_`, as in an explicit tag."""
    reader: Reader = NAMESPACE[_explicit_function(type_)]
    return reader


def _branches(type_: Asn1Type[Any], tag: int | None) -> list[tuple[int, Emit]]:
    """Every identifier that begins `type_` under `tag`, with the code for what follows."""
    match type_:
        case Lazy():
            return _branches(type_.resolve(), tag)
        case Tagged():
            return _branches(type_.type, type_.tag if tag is None else tag)
        case Choice() | Wrapped(type=Choice()) | Explicit() if tag is not None:
            inner = type_.type if isinstance(type_, Explicit) else type_
            return [(identifier(tag, True, 0), _calling(_explicit_function(inner)))]
        case Choice():
            return [
                (found, _choosing(emit, alternative))
                for alternative in type_.alternatives
                for found, emit in _branches(alternative.type, alternative.tag)
            ]
        case Wrapped():
            return [
                (found, _wrapping(emit, type_.wrapper))
                for found, emit in _branches(type_.type, tag)
            ]
        case Primitive():
            return _primitive_branches(type_, tag)
        case BitString():
            names = constant({int(bit): bit for bit in type_.names})
            value = f"frozenset([{names}[b] for b in read_bits(d[p:q]) if b in {names}])"
            return [(identifier(tag, False, 3), _inlining(value))]
        case Cached():
            return [(found, _caching(type_.type)) for found, _ in _branches(type_.type, tag)]
        case Sequence() | SequenceOf() | Custom():
            number = type_.number if isinstance(type_, Custom) else _SEQUENCE_NUMBER
            if number is not None:
                return [(identifier(tag, True, number), _calling(_content_function(type_)))]
    raise TypeError(f"{type_!r} under tag {tag}")


def _primitive_branches(type_: Primitive[Any], tag: int | None) -> list[tuple[int, Emit]]:
    """Any string tag is read where one is due, and strings in segments too."""
    numbers = (type_.number, *type_.accepted) if tag is None else (type_.number,)
    found = {identifier(tag, False, n): _inlining(_READ[type_.kind]) for n in numbers}
    if type_.kind in _READ_SEGMENTS:
        found |= {
            identifier(tag, True, n): _from_segments(_READ_SEGMENTS[type_.kind]) for n in numbers
        }
    return list(found.items())


def _inlining(value: str) -> Emit:
    return lambda target: [f"{target} = {value}", "p = q"]


def _from_segments(value: str) -> Emit:
    return lambda target: ["s, p = read_segments(d, p, q, e)", f"{target} = {value}"]


def _calling(name: str) -> Emit:
    return lambda target: [f"{target}, p = {name}(d, p, q, e)"]


def _wrapping(emit: Emit, wrapper: type[Any]) -> Emit:
    name = constant(wrapper)
    return lambda target: [*emit(target), f"{target} = {name}({target})"]


def _choosing(emit: Emit, alternative: Alternative) -> Emit:
    return emit if alternative.constant is None else _inlining(constant(alternative.constant))


def _caching(type_: Asn1Type[Any]) -> Emit:
    """Decode short content through a cache keyed by its octets."""
    read = content_reader(type_)

    @lru_cache(CACHED_VALUES_MAX)
    def cached(content: bytes) -> Any:
        return read(content, 0, len(content), len(content))[0]

    name = constant(cached, "cached")
    return lambda target: [
        f"if 0 <= q <= p + {CACHED_OCTETS_MAX}:",
        f"    {target} = {name}(d[p:q])",
        "    p = q",
        "else:",
        f"    {target}, p = {_content_function(type_)}(d, p, q, e)",
    ]


def _content_function(type_: Asn1Type[Any]) -> str:
    match type_:
        case Sequence():
            return function("read", type_.cls, lambda: _sequence_body(type_.cls), _ARGUMENTS)
        case SequenceOf():
            return function("read", type_, lambda: _sequence_of_body(type_), _ARGUMENTS)
        case Custom():
            return constant(type_.read, "read_custom")
        case Cached():
            return _content_function(type_.type)
    raise TypeError(f"{type_!r} has no content of its own")


def _sequence_body(cls: type[Any]) -> Lines:
    described = components(cls)
    name = constant(cls, cls.__name__)
    lines = [
        f"f_{field} = {'MISSING' if default is dataclasses.MISSING else constant(default)}"
        for field, (_, default) in described.items()
    ]
    lines += _loop(
        [
            (found, emit(f"f_{field}"))
            for field, (component, _) in described.items()
            for found, emit in _branches(component.type, component.tag)
        ],
        ELEMENTS_MAX,
    )
    required = [f for f, (_, default) in described.items() if default is dataclasses.MISSING]
    if required:
        given = ", ".join(f"{field}=f_{field}" for field in required)
        lines += [
            f"if {' or '.join(f'f_{field} is MISSING' for field in required)}:",
            f"    raise lacks({name}, {given})",
        ]
    return [
        *lines,
        f"o = {constant(twin_of(cls))}()",
        *[f"o.{field} = f_{field}" for field in described],
        f"o.__class__ = {name}",
        "return o, p",
    ]


def _sequence_of_body(type_: SequenceOf[Any]) -> Lines:
    branches = [(found, [*emit("x"), "append(x)"]) for found, emit in _branches(type_.item, None)]
    return [
        "items = []",
        "append = items.append",
        *_loop(branches, type_.items_max),
        "return tuple(items), p",
    ]


def _loop(branches: list[tuple[int, Lines]], elements_max: int) -> Lines:
    """Read elements to the end of the content, stepping over unknown ones."""
    chain: Lines = []
    for found, lines in branches:
        chain += [f"{'elif' if chain else 'if'} t == {found:#x}:", *indent(lines)]
    chain += ["elif t == 0 and end < 0 and p == q:", "    break"]
    chain += ["else:", "    p = skip(d, p, q, e)"]
    return [
        "if end >= 0:",
        "    e = end",
        f"for _ in {constant(range(elements_max + 1))}:",
        "    if p >= e:",
        "        if end < 0 or p > e:",
        '            raise ProtocolError("an element without its end")',
        "        break",
        *indent([*_HEADER, *chain]),
        "else:",
        f'    raise ProtocolError("more than {elements_max} elements in one")',
    ]


def _explicit_function(type_: Asn1Type[Any]) -> str:
    if isinstance(type_, Custom) and type_.number is None:
        return _content_function(type_)
    return function("whole", type_, lambda: _explicit_body(type_), _ARGUMENTS)


def _explicit_body(type_: Asn1Type[Any]) -> Lines:
    lines = ["if end >= 0:", "    e = end", "start = p", *_HEADER]
    for number, (found, emit) in enumerate(_branches(type_, None)):
        lines += [f"{'elif' if number else 'if'} t == {found:#x}:", *indent(emit("x"))]
    bare = type_.type if isinstance(type_, Wrapped) else type_
    if isinstance(bare, Choice) and bare.others:
        lines += ["else:", "    p = skip(d, p, q, e)", "    x = Opaque(d[start:p])"]
    else:
        name = getattr(bare, "name", type(bare).__name__)
        lines += ["else:", f"    raise ProtocolError('no {name} begins with tag %x' % t)"]
    return [*lines, "return x, close_explicit(d, p, end)"]


def _lacks(cls: type[Any], **values: object) -> ProtocolError:
    missing = [name for name, value in values.items() if value is dataclasses.MISSING]
    return ProtocolError(f"{cls.__name__} lacks {', '.join(missing)}")


NAMESPACE |= {
    "MISSING": dataclasses.MISSING,
    "GeneralizedTime": GeneralizedTime,
    "Opaque": Opaque,
    "ProtocolError": ProtocolError,
    "close_explicit": ber.close_explicit,
    "indefinite_end": ber.indefinite_end,
    "lacks": _lacks,
    "read_bits": ber.read_bits,
    "read_boolean": ber.read_boolean,
    "read_integer": ber.read_integer,
    "read_long_length": ber.read_long_length,
    "read_more_tag": ber.read_more_tag,
    "read_oid": ber.read_oid,
    "read_segments": ber.read_segments,
    "skip": ber.skip,
}

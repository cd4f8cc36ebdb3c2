"""Explain records for people and for XML tools: the same tree, written out.

Names are those of the ASN.1 as our classes spell them; what is absent is left
out, and a text in several languages shows each with its code.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from enum import Enum
from typing import Any

from protocol.explain_common import Text
from protocol.explain_record import ExplainRecord
from protocol.oid import Oid
from protocol.xml_text import escape

NAMESPACE = "urn:lianmu:explain-record-v1"


def to_text(record: ExplainRecord) -> str:
    """`record` as lines, a level of the tree two blanks further in; ended by LF."""
    lines = [type(record).__name__, *_lines(record, "  ")]
    return "\n".join(lines) + "\n"


def to_xml(record: ExplainRecord) -> str:
    """`record` as one element named by its category, without XML declaration."""
    name = type(record).__name__
    return f'<{name} xmlns="{NAMESPACE}">{"".join(_elements(record))}</{name}>'


def _children(record: Any) -> Iterator[tuple[str, Any]]:
    """Name and value of every component that is there; a repeated one comes as often."""
    for field in dataclasses.fields(record):
        value = getattr(record, field.name)
        if value is None or value == () or (value is False and field.default is False):
            continue
        if isinstance(value, tuple) and not isinstance(value, Oid):
            for each in value:
                yield field.name, each
        else:
            yield field.name, value


def _lines(record: Any, indent: str) -> Iterator[str]:
    if isinstance(record, tuple) and not isinstance(record, Oid):
        for each in record:
            yield from _lines_of("item", each, indent)
        return
    for name, value in _children(record):
        yield from _lines_of(name, value, indent)


def _lines_of(name: str, value: Any, indent: str) -> Iterator[str]:
    if isinstance(value, Text):
        language = f" ({value.language})" if value.language else ""
        yield f"{indent}{name}{language}: {value.text}"
    elif _is_simple(value):
        yield f"{indent}{name}: {_simple(value)}"
    else:
        yield f"{indent}{name}:"
        yield from _lines(value, indent + "  ")


def _elements(record: Any) -> Iterator[str]:
    if isinstance(record, tuple) and not isinstance(record, Oid):
        for each in record:
            yield from _element("item", each)
        return
    for name, value in _children(record):
        yield from _element(name, value)


def _element(name: str, value: Any) -> Iterator[str]:
    if isinstance(value, Text):
        language = f' xml:lang="{escape(value.language)}"' if value.language else ""
        yield f"<{name}{language}>{escape(value.text)}</{name}>"
    elif _is_simple(value):
        yield f"<{name}>{escape(_simple(value))}</{name}>"
    else:
        yield f"<{name}>"
        yield from _elements(value)
        yield f"</{name}>"


def _is_simple(value: Any) -> bool:
    return isinstance(value, (str, int, Oid, Enum))


def _simple(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Enum) and not isinstance(value, int):
        return value.name.lower()
    return str(int(value) if isinstance(value, int) else value)

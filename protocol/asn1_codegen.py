"""The namespace in which generated decoders and encoders live.

As `dataclasses` does for `__init__`, Python functions specialised to each
SEQUENCE and CHOICE are written as source and compiled once. `protocol.asn1_read`
and `protocol.asn1_write` write them; this module names and compiles them.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

from protocol import ber

Lines = list[str]

NAMESPACE: dict[str, Any] = {}
_numbers = itertools.count()
_names: dict[tuple[str, int], str] = {}
_kept: list[object] = []  # keeps the ids in `_names` from being used again


def constant(value: object, prefix: str = "k") -> str:
    """A name by which generated code reaches `value`."""
    name = f"{prefix}_{next(_numbers)}"
    NAMESPACE[name] = value
    return name


def function(role: str, key: object, body: Callable[[], Lines], arguments: str) -> str:
    """The name of the function that plays `role` for `key`, compiled when first asked for.

    The name is settled before the body is written, so that recursive types
    can call it.
    """
    known = (role, id(key))
    if known not in _names:
        _kept.append(key)
        _names[known] = f"{role}_{next(_numbers)}"
        _compile(_names[known], body(), arguments)
    return _names[known]


def expression(role: str, value: str) -> str:
    """The name of a function of `x` that returns `value`."""
    name = f"{role}_{next(_numbers)}"
    _compile(name, [f"return {value}"], "x")
    return name


def _compile(name: str, body: Lines, arguments: str) -> None:
    source = "\n".join([f"def {name}({arguments}):", *indent(body)])
    exec(compile(source, f"<{name}>", "exec"), NAMESPACE)  # noqa: S102  the source is all ours


def indent(lines: Lines) -> Lines:
    return ["    " + line for line in lines]


def identifier(tag: int | None, constructed: bool, universal: int) -> int:
    """Identifier of context tag `tag`, or of universal tag `universal`."""
    if tag is not None:
        return ber.context_identifier(tag, constructed)
    return universal | (ber.CONSTRUCTED if constructed else 0)

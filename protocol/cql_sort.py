"""Wished orders: `sortBy` of CQL 1.2 and the sortKeys parameter of SRU 1.1."""

from __future__ import annotations

import re
from dataclasses import replace

from protocol.access_point import AccessPoint
from protocol.cql import resolve_index, resolve_modifier
from protocol.cql_ast import CqlQuery, Modifier, Scoped, SortKey, unescaped_quotes
from protocol.cql_context import SET_BY_URI
from protocol.diagnostic import SruDiagnostic, SruFault
from protocol.query import SortSpec

SORT_KEYS_MAX = 8
SORT_KEYS_CHARS_MAX = 1024

_MODIFIERS: dict[str, tuple[str, str | bool]] = {
    "ascending": ("descending", False),
    "descending": ("descending", True),
    "ignorecase": ("case_sensitive", False),
    "respectcase": ("case_sensitive", True),
    "missinghigh": ("missing", "high"),
    "missinglow": ("missing", "low"),
    "missingomit": ("missing", "omit"),
    "missingfail": ("missing", "fail"),
}
# Sort values are folded as index terms are.
_ALWAYS_SO = frozenset({"ignoreaccents"})
_MISSING_ACTIONS = {
    "abort": "fail",
    "highvalue": "high",
    "lowvalue": "low",
    "omit": "omit",
}


def sort_specs(query: CqlQuery) -> tuple[SortSpec, ...] | SruFault:
    """The keys of `sortBy`; none when the query has no such part.

    Prefixes in front of the whole query hold for the sort indexes too.
    """
    prefixes: dict[str, str] = {}
    node = query.root
    while isinstance(node, Scoped):
        for prefix in node.prefixes:
            known = SET_BY_URI.get(prefix.uri)
            prefixes[prefix.name.lower()] = known.name if known else f"?{prefix.uri}"
        node = node.query
    if len(query.sort_keys) > SORT_KEYS_MAX:
        return _too_many(query.sort_keys[SORT_KEYS_MAX].position)
    found: list[SortSpec] = []
    for key in query.sort_keys:
        point = resolve_index(key.index, prefixes, key.position)
        spec = _spec(point, key.index, key.position)
        given: dict[str, str] = {}
        for modifier in key.modifiers:
            if isinstance(spec, SruFault):
                return spec
            name = resolve_modifier(modifier, prefixes).removeprefix("sort.")
            what = "missing" if name.startswith("missing") else name
            if name in _MODIFIERS and what != "missing":
                what = _MODIFIERS[name][0]
            if given.setdefault(what, name) != name:
                return _unsupported(modifier)
            spec = _modified(spec, modifier, name)
        fault = _add(found, spec, key)
        if fault is not None:
            return fault
    return tuple(found)


def sort_specs_1_1(text: str) -> tuple[SortSpec, ...] | SruFault:
    """The keys of the SRU 1.1 parameter: `path[,schema[,ascending[,caseSensitive[,missing]]]]`.

    Keys stand apart by blanks; a path is an index name (`title`, `dc.date`).
    Schemas are not looked at: an index means the same in each of them.
    """
    if len(text) > SORT_KEYS_CHARS_MAX:
        return SruFault(SruDiagnostic.TOO_MANY_SORT_KEYS, f"at most {SORT_KEYS_CHARS_MAX} octets")
    found: list[SortSpec] = []
    if len(text.split()) > SORT_KEYS_MAX:
        return _too_many(None)
    for key in text.split():
        path, _, rest = key.partition(",")
        _schema, ascending, case_sensitive, missing = (*rest.split(",", 3), "", "", "", "")[:4]
        # XPaths of one step (`/title`, `"//dc:title"`) name the same things.
        name = path.strip("\"'/").replace(":", ".")
        point = resolve_index(name)
        if isinstance(point, SruFault):
            return SruFault(SruDiagnostic.UNSUPPORTED_SORT_PATH, path)
        spec = _spec(point, path, None)
        if isinstance(spec, SruFault):
            return spec
        if ascending not in ("", "0", "1"):
            return SruFault(SruDiagnostic.UNSUPPORTED_SORT_DIRECTION, ascending)
        if case_sensitive not in ("", "0", "1"):
            return SruFault(SruDiagnostic.UNSUPPORTED_SORT_CASE, case_sensitive)
        action = _missing_action(missing)
        if action is None:
            return SruFault(SruDiagnostic.UNSUPPORTED_MISSING_VALUE_ACTION, missing)
        spec = replace(
            spec, descending=ascending == "0", case_sensitive=case_sensitive == "1", missing=action
        )
        fault = _add(found, spec, SortKey(path))
        if fault is not None:
            return fault
    return tuple(found)


def _spec(point: AccessPoint | SruFault, name: str, position: int | None) -> SortSpec | SruFault:
    if isinstance(point, SruFault):
        return point
    if not point.sortable:
        return SruFault(SruDiagnostic.UNSUPPORTED_SORT_PATH, name, position)
    return SortSpec(point.name)


def _modified(spec: SortSpec, modifier: Modifier, name: str) -> SortSpec | SruFault:
    if name == "missingvalue" and modifier.comparison in ("=", "=="):
        return replace(spec, missing=f"={unescaped_quotes(modifier.value)}")
    if not modifier.comparison and name in _ALWAYS_SO:
        return spec
    if modifier.comparison or name not in _MODIFIERS:
        return _unsupported(modifier)
    attribute, value = _MODIFIERS[name]
    return replace(spec, **{attribute: value})  # type: ignore[arg-type]


def _unsupported(modifier: Modifier) -> SruFault:
    return SruFault(SruDiagnostic.UNSUPPORTED_SORT_SEQUENCE, modifier.name, modifier.position)


def _too_many(position: int | None) -> SruFault:
    return SruFault(SruDiagnostic.TOO_MANY_SORT_KEYS, f"at most {SORT_KEYS_MAX}", position)


def _add(found: list[SortSpec], spec: SortSpec | SruFault, key: SortKey) -> SruFault | None:
    if isinstance(spec, SruFault):
        return spec
    if any(each.access_point == spec.access_point for each in found):
        return SruFault(SruDiagnostic.DUPLICATE_SORT_KEYS, key.index, key.position)
    found.append(spec)
    return None


def _missing_action(text: str) -> str | None:
    if not text:
        return "high"
    constant = re.fullmatch(r"[\"']([^\"']*)[\"']", text)
    if constant:
        return f"={constant[1]}"
    return _MISSING_ACTIONS.get(text.lower())

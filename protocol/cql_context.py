"""CQL context sets, and which access point each of their indexes means.

Indexes come from the access-point table: its CQL names, every access point by
its own name in set `local`, and the fields in `marc` and `unimarc` (`cql_marc`).
Names of sets, indexes, relations and modifiers compare without case.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from protocol.access_point import AccessPoint
from protocol.access_points import ACCESS_POINTS, BY_NAME
from protocol.cql_marc import SETS as MARC_SETS
from protocol.cql_marc import marc_point


@dataclass(frozen=True, slots=True)
class ContextSet:
    """`uri` identifies the set; `other_uris` are older names of it."""

    name: str
    title: str
    uri: str
    other_uris: tuple[str, ...] = ()


CONTEXT_SETS: tuple[ContextSet, ...] = (
    ContextSet(
        "cql", "CQL", "info:srw/cql-context-set/1/cql-v1.2",
        ("info:srw/cql-context-set/1/cql-v1.1", "info:srw/cql-context-set/1/cql-v2.0",
         "http://www.loc.gov/zing/cql/context-sets/cql/v1.1/",
         "http://www.loc.gov/zing/cql/srw-indexes/v1.0/"),
    ),
    ContextSet(
        "dc", "Dublin Core", "info:srw/cql-context-set/1/dc-v1.1",
        ("http://purl.org/dc/elements/1.1/", "http://purl.org/dc/elements/1.1",
         "http://www.loc.gov/zing/cql/dc-indexes/v1.0/"),
    ),
    ContextSet("bath", "Bath Profile", "http://zing.z3950.org/cql/bath/2.0/",
               ("http://www.loc.gov/zing/cql/context-sets/bath/v1.1/",)),
    ContextSet("bib", "Bibliographic", "info:srw/cql-context-set/1/bib-v1"),
    ContextSet("rec", "Record metadata", "info:srw/cql-context-set/2/rec-1.1",
               ("info:srw/cql-context-set/2/rec-1.0",)),
    ContextSet("marc", "MARC fields", "info:srw/cql-context-set/1/marc-v1.0",
               ("info:srw/cql-context-set/1/marc-v1.1",)),
    ContextSet("unimarc", "UNIMARC and CNMARC fields", "urn:lianmu:cql-context-set:unimarc"),
    ContextSet("sort", "Sorting", "info:srw/cql-context-set/1/sort-v1.0"),
    ContextSet("pica", "PICA", "http://zing.z3950.org/cql/pica/1.0/"),
    ContextSet("local", "Access points by their own name", "urn:lianmu:cql-context-set:local"),
)  # fmt: skip

SET_BY_URI: dict[str, ContextSet] = {
    uri: each for each in CONTEXT_SETS for uri in (each.uri, *each.other_uris)
}
SET_BY_NAME: dict[str, ContextSet] = {each.name: each for each in CONTEXT_SETS}
SET_BY_NAME["srw"] = SET_BY_NAME["cql"]  # the name of CQL 1.0
SET_BY_NAME["cnmarc"] = SET_BY_NAME["unimarc"]

ALL_RECORDS = "allrecords"
RESULT_SET_ID = frozenset({"resultsetid", "resultsetname"})

# What JabRef and others write for PICA catalogues; no part of what explain tells.
_PICA_INDEXES = {
    "all": "any",
    "tit": "title",
    "per": "author",
    "slw": "subject",
    "isb": "isbn",
    "iss": "issn",
    "ppn": "control_number",
    "jah": "date",
    "vlg": "publisher",
    "spr": "language",
}

# Which set an unqualified name belongs to is the server's choice: these, in this order.
_DEFAULT_SETS = ("cql", "dc", "bath", "bib", "rec", "local")


def find_index(set_name: str, index: str) -> AccessPoint | None:
    """The access point of `set_name`.`index`; an empty set name means the defaults."""
    index = index.lower()
    if set_name in MARC_SETS:
        return marc_point(set_name, index)
    if set_name:
        return _INDEXES.get((set_name, index))
    for each in _DEFAULT_SETS:
        point = _INDEXES.get((each, index))
        if point is not None:
            return point
    return None


def index_by_name(name: str) -> AccessPoint | None:
    """The access point of `dc.title`, `title` or `ISBN`, by the usual prefixes."""
    prefix, dot, index = name.rpartition(".")
    if not dot:
        return find_index("", index)
    known = SET_BY_NAME.get(prefix.lower())
    return None if known is None else find_index(known.name, index)


def indexes() -> Iterator[tuple[str, str, AccessPoint]]:
    """Every index that explain tells of: context set, name as published, access point.

    An access point that no other set names is told by its own name.
    """
    for point in ACCESS_POINTS:
        for name in point.cql or (f"local.{point.name}",):
            set_name, _, index = name.partition(".")
            if set_name in SET_BY_NAME and find_index(set_name, index) is point:
                yield set_name, index, point


def _build() -> dict[tuple[str, str], AccessPoint]:
    found: dict[tuple[str, str], AccessPoint] = {}
    for point in ACCESS_POINTS:
        for name in point.cql:
            set_name, _, index = name.partition(".")
            found.setdefault((set_name, index.lower()), point)
    for index, access_point in _PICA_INDEXES.items():
        found["pica", index] = BY_NAME[access_point]
    for point in ACCESS_POINTS:
        found.setdefault(("local", point.name.lower()), point)
    return found


_INDEXES = _build()

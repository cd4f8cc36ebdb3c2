"""The corpus of CQL queries, and the whole meaning of a query in one line."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from protocol import cql, cql_parser
from protocol.cql_sort import sort_specs
from protocol.diagnostic import SruFault
from protocol.query import SortSpec
from tests.unit.query_notation import notation

CORPUS_FILE = Path(__file__).parent / "cql_corpus.txt"


@dataclass(frozen=True)
class Case:
    """One query; `xcql` is empty where the grammar forbids it."""

    query: str
    outcome: str
    xcql: str

    def __str__(self) -> str:
        return self.query


def meaning(text: str) -> str:
    """The tree and the order of a CQL query, or the diagnostic of the first of them that fails."""
    query = cql_parser.parse(text)
    if isinstance(query, SruFault):
        return notation(query)
    tree, sort = cql.to_query(query), sort_specs(query)
    if isinstance(tree, SruFault) or isinstance(sort, SruFault):
        return notation(tree if isinstance(tree, SruFault) else sort)  # type: ignore[arg-type]
    return " ".join([notation(tree), *map(_order, sort)])


def _order(spec: SortSpec) -> str:
    words = [spec.access_point]
    if spec.descending:
        words.append("descending")
    if spec.case_sensitive:
        words.append("cased")
    if spec.missing != "high":
        words.append(f"missing {spec.missing}")
    return f"[{' '.join(words)}]"


def _cases() -> list[Case]:
    cases: list[Case] = []
    for line in CORPUS_FILE.read_text("utf-8").splitlines():
        if line.startswith("#") or not line:
            continue
        if not line.startswith("    "):
            cases.append(Case(line, "", ""))
            continue
        case = cases[-1]
        told = line.strip()
        if not case.outcome:
            cases[-1] = Case(case.query, told, "")
        else:
            assert not case.xcql, case.query
            cases[-1] = Case(case.query, case.outcome, told)
    return cases


CORPUS = _cases()
WELL_FORMED = [case for case in CORPUS if case.xcql]

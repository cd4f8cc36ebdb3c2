"""The Explain database IR-Explain-1 over Search and Present (Z39.50-2003 §3.2.10).

It is small, so a search looks at every record. Its result sets are sets like
any other of the association, but for Sort and for searches of the catalogue.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from protocol import apdu, oid
from protocol.apdu_common import AttributesPlusTerm, Term
from protocol.apdu_query import ResultSetId, RpnOperation, rpn_postorder
from protocol.diagnostic import Bib1, Diagnostic
from protocol.explain_database import NAME, Entry, ExplainUse, Target, entries
from protocol.explain_record import EXPLAIN_RECORD
from protocol.explain_text import to_text, to_xml
from protocol.external import Form
from protocol.grs1 import SUTRS
from protocol.oid import Oid
from protocol.record import Database
from server.service import Service
from server.z3950.forms import RECORD_SYNTAXES
from store.interface import ResultSet

TRUNCATION, RIGHT_TRUNCATION, NO_TRUNCATION = 5, 1, 100
ALWAYS_MATCHES = (2, 103)
ANY = 1016  # the one Use attribute of Bib-1 that is understood here
_USES = frozenset(int(use) for use in ExplainUse)


@dataclass(frozen=True, slots=True)
class ExplainSet:
    """Explain records chosen by a search, as they were then."""

    found: tuple[Entry, ...]

    def __len__(self) -> int:
        return len(self.found)

    def ids(self, start: int, count: int) -> Sequence[int] | Diagnostic:
        """Explain records have no record ids: Bib-1 1025."""
        return Diagnostic(Bib1.SERVICE_UNSUPPORTED_FOR_DATABASE, NAME)


def is_asked(names: Iterable[str]) -> bool:
    """Whether a Search is, also, for the Explain database."""
    return any(name.casefold() == NAME.casefold() for name in names)


def search(
    service: Service, request: apdu.SearchRequest, sets: Mapping[str, ResultSet]
) -> ExplainSet | Diagnostic:
    """Answer a Search of IR-Explain-1; together with another database it is Bib-1 23."""
    others = [name for name in request.database_names if not is_asked((name,))]
    if others:
        return Diagnostic(Bib1.DATABASE_COMBINATION_UNSUPPORTED, f"{NAME} and {others[0]}")
    query = request.query
    if not isinstance(query, apdu.RpnQuery):
        return Diagnostic(Bib1.QUERY_TYPE_UNSUPPORTED, "IR-Explain-1 is searched by type 1 or 101")
    everything = tuple(entries(_target(service), _databases(service)))
    stack: list[frozenset[int]] = []
    for node in rpn_postorder(query.rpn):
        if isinstance(node, RpnOperation):
            right, left = stack.pop(), stack.pop()
            if not isinstance(node.operator, apdu.BooleanOperator):
                return Diagnostic(Bib1.OPERATOR_UNSUPPORTED, "proximity")
            stack.append(_OPERATORS[node.operator](left, right))
            continue
        positions = (
            _positions(node, query.attribute_set, everything)
            if isinstance(node, AttributesPlusTerm)
            else _of_set(node, sets, everything)
        )
        if isinstance(positions, Diagnostic):
            return positions
        stack.append(positions)
    return ExplainSet(tuple(everything[position] for position in sorted(stack[0])))


_OPERATORS: dict[
    apdu.BooleanOperator, Callable[[frozenset[int], frozenset[int]], frozenset[int]]
] = {
    apdu.BooleanOperator.AND: frozenset.__and__,
    apdu.BooleanOperator.OR: frozenset.__or__,
    apdu.BooleanOperator.AND_NOT: frozenset.__sub__,
}


def _target(service: Service) -> Target:
    z3950 = service.config.z3950
    return Target(
        name="Lianmu",
        description="Union catalogue; full records are for members and are counted",
        result_sets_max=z3950.result_sets_max,
        timeout_s=int(z3950.idle_timeout_s),
        record_syntaxes=RECORD_SYNTAXES,
        element_set_names=("F", "B"),
    )


def _databases(service: Service) -> list[tuple[Database, int]]:
    totals = service.catalogue.totals()
    databases = {each.name: each for each in service.catalogue.databases.values()}
    return [(databases[name], count) for name, count in totals.items()]


def _positions(
    operand: AttributesPlusTerm, attribute_set: Oid, everything: Sequence[Entry]
) -> frozenset[int] | Diagnostic:
    uses: set[int] = set()
    truncated = always = False
    for each in operand.attributes:
        value = each.value if isinstance(each.value, int) else None
        if value is None:
            return Diagnostic(Bib1.COMPLEX_ATTRIBUTE_UNSUPPORTED, str(each.type))
        element_set = each.attribute_set or attribute_set
        if element_set not in (oid.EXP_1, oid.BIB_1):
            return Diagnostic(Bib1.ATTRIBUTE_SET_UNSUPPORTED, str(element_set))
        if each.type == 1:
            if value not in _USES if element_set == oid.EXP_1 else value != ANY:
                return Diagnostic(Bib1.USE_ATTRIBUTE_UNSUPPORTED, str(value))
            uses |= {value} if element_set == oid.EXP_1 else _USES
        elif each.type == TRUNCATION:
            if value not in (RIGHT_TRUNCATION, NO_TRUNCATION):
                return Diagnostic(Bib1.TRUNCATION_UNSUPPORTED, str(value))
            truncated = value == RIGHT_TRUNCATION
        elif (each.type, value) == ALWAYS_MATCHES:
            always = True
        elif each.type not in (2, 3, 4, 6):  # which change nothing for whole values
            return Diagnostic(Bib1.ATTRIBUTE_TYPE_UNSUPPORTED, str(each.type))
    term = _text(operand.term)
    if term is None:
        return Diagnostic(Bib1.TERM_TYPE_UNSUPPORTED, type(operand.term).__name__)
    wanted = uses or _USES
    return frozenset(
        position
        for position, entry in enumerate(everything)
        if any(
            use in entry.keys and (always or _has(entry.keys[use], term, truncated))
            for use in wanted
        )
    )


def _has(keys: frozenset[str], term: str, truncated: bool) -> bool:
    return any(key.startswith(term) for key in keys) if truncated else term in keys


def _text(term: Term) -> str | None:
    """A term in lower case; identifiers also come as such (Z39.50-2003 §3.2.10.1)."""
    if isinstance(term, bytes):
        term = term.decode("utf-8", "replace")
    return str(term).strip().casefold() if isinstance(term, (str, int, Oid)) else None


def _of_set(
    node: object, sets: Mapping[str, ResultSet], everything: Sequence[Entry]
) -> frozenset[int] | Diagnostic:
    if not isinstance(node, ResultSetId):
        return Diagnostic(Bib1.RESULT_ATTRIBUTES_UNSUPPORTED)
    result_set = sets.get(node.name)
    if result_set is None:
        return Diagnostic(Bib1.RESULT_SET_UNKNOWN, node.name)
    if not isinstance(result_set, ExplainSet):
        return Diagnostic(Bib1.ILLEGAL_RESULT_SET_NAME, node.name)
    chosen = {_identity(entry) for entry in result_set.found}
    return frozenset(
        position for position, entry in enumerate(everything) if _identity(entry) in chosen
    )


def _identity(entry: Entry) -> tuple[str, frozenset[tuple[int, frozenset[str]]]]:
    """What stays the same of a record while counts in it change."""
    return entry.category, frozenset(entry.keys.items())


def external(entry: Entry, syntax: Oid | None) -> apdu.External | Diagnostic:
    """An Explain record in a record syntax; Explain's own where none is preferred.

    Any other than Explain, SUTRS and XML is Bib-1 239.
    """
    record = entry.record
    if syntax is None or syntax == oid.EXPLAIN:
        return apdu.External.of(oid.EXPLAIN, EXPLAIN_RECORD, record)
    if syntax == oid.SUTRS:
        return apdu.External.of(oid.SUTRS, SUTRS, to_text(record))
    if syntax in (oid.XML, oid.APPLICATION_XML):
        return apdu.External(syntax, to_xml(record).encode(), Form.OCTET_ALIGNED)
    return Diagnostic(Bib1.RECORD_SYNTAX_UNSUPPORTED, str(syntax))


def named(record: apdu.External, content: bytes | Diagnostic) -> apdu.NamePlusRecord:
    """A record of a response, or its surrogate diagnostic where `content` is one."""
    if isinstance(content, Diagnostic):
        diagnostic = apdu.DefaultDiagFormat.of(content)
        return apdu.NamePlusRecord(name=NAME, record=apdu.SurrogateDiagnostic(diagnostic))
    return apdu.NamePlusRecord(name=NAME, record=record)

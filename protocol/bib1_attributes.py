"""What a list of Bib-1 attributes asks for (Z39.50-2003 Appendix 3 ATR.1, Bib-1 semantics).

Attributes that a client leaves out mean:

- Use: `any` (1016), so that a bare term finds something.
- Relation: equal. Position: any. Completeness: incomplete subfield.
- Truncation: none. 5=0, which is no value of Bib-1 and which Evergreen sends,
  counts as left out.
- Structure: for an access point of text, all the words in any order, because
  Koha and dp2 send a Use attribute alone and mean that; with a position or
  completeness attribute, or with phrase (1), the words side by side. For
  identifiers, dates, codes and classification the whole term as one value.

A term of LC call number (16) that begins with a digit is looked for as a Dewey
number, as which Koha means it: no LC call number does. By its name the access
point is itself.

Several Use attributes on one operand are alternatives. First in subfield (3=2)
is answered as first in field, complete subfield (6=2) as complete field; 3=4,
which YAZ writes for a term that ends its field, is understood. Anything else
that is not understood is refused with its value, never ignored.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from protocol.access_point import AccessPoint, Kind
from protocol.access_points import ACCESS_POINTS, BY_NAME
from protocol.apdu_common import AttributeElement, StringOrNumeric
from protocol.cql_context import index_by_name
from protocol.diagnostic import Bib1, Diagnostic
from protocol.oid import BIB_1, CROSS_DOMAIN_1, GILS, Oid
from protocol.query import (
    MASK_ANY,
    MASK_ONE,
    Anchor,
    Clause,
    Operator,
    Query,
    Relation,
    Structure,
    joined,
)
from protocol.search_term import (
    KEY_KINDS,
    LIST_WORDS_MAX,
    ORDERED_KINDS,
    is_only_masks,
    truncate,
    truncate_words,
    whole_field,
)

USE, RELATION, POSITION, STRUCTURE, TRUNCATION, COMPLETENESS = range(1, 7)
ATTRIBUTES_MAX = 32  # on one operand; six types need no more
MASKS_MAX = 32  # in one term
_SHOWN_CHARS_MAX = 200  # of what a client sent, in a diagnostic

BY_USE: dict[int, AccessPoint] = {}
for _point in ACCESS_POINTS:
    for _value in _point.bib1:
        BY_USE.setdefault(_value, _point)

# Use values of the Cross-Domain set are the Dublin Core elements and Name.
_BY_CROSS_DOMAIN_USE = {
    value: BY_NAME[name]
    for value, name in ((1, "title"), (2, "subject"), (3, "author"), (4, "note"), (5, "date"),
                        (6, "material_type"), (8, "identifier"), (10, "language"))
    if name in BY_NAME
}  # fmt: skip
_KOHA_USE = "16"
_LCC, _DEWEY = BY_NAME["classification_lcc"], BY_NAME["classification_dewey"]
# Zebra's name for the access point that every record has.
_ALL_RECORDS = frozenset({"_allrecords", "cql.allrecords"})

_RELATIONS = {
    1: Relation.LESS,
    2: Relation.LESS_OR_EQUAL,
    3: Relation.EQUAL,
    4: Relation.GREATER_OR_EQUAL,
    5: Relation.GREATER,
    6: Relation.NOT_EQUAL,
    102: Relation.EQUAL,  # relevance: equal, and ranked
    103: Relation.ALWAYS,
    104: Relation.WITHIN,
}
_RELEVANCE = 102
_POSITIONS = {1: Anchor.FIRST, 2: Anchor.FIRST, 3: Anchor.ANYWHERE, 4: Anchor.LAST}
_COMPLETENESSES = {1: Anchor.ANYWHERE, 2: Anchor.COMPLETE, 3: Anchor.COMPLETE}
_TEXT_STRUCTURES = {
    1: Structure.PHRASE,
    2: Structure.ALL_WORDS,  # word: clients that write several mean all of them
    3: Structure.PHRASE,  # key: the whole field, see `_anchor`
    6: Structure.ALL_WORDS,
    101: Structure.PHRASE,  # normalised name
    102: Structure.ALL_WORDS,  # un-normalised name
    104: Structure.PHRASE,  # URX
    105: Structure.ANY_WORD,  # free-form text, as Zebra answers it
    106: Structure.ANY_WORD,  # document text
    108: Structure.PHRASE,  # string
    109: Structure.PHRASE,  # numeric string
}
_KEY = 3
_WORD_LISTS = frozenset({2, 6, 102, 105, 106})  # truncation opens each word
_TEXT_LISTS = frozenset({105, 106})
_DATE_STRUCTURES = frozenset({4, 5, 100})
_LOCAL_NUMBER = 107
_KNOWN_STRUCTURES = frozenset(_TEXT_STRUCTURES) | _DATE_STRUCTURES | {_LOCAL_NUMBER}

_RIGHT, _LEFT, _BOTH, _NONE = 1, 2, 3, 100
# RegExpr-2 is answered as RegExpr-1 is; its prefix for a number of errors is refused.
_PROCESS_HASH, _REGULAR_1, _REGULAR_2, _Z3958 = 101, 102, 103, 104
_MASKING = frozenset({_PROCESS_HASH, _REGULAR_1, _REGULAR_2, _Z3958})
_TRUNCATIONS = _MASKING | {_RIGHT, _LEFT, _BOTH, _NONE}
_UNDEFINED_BY_EVERGREEN = 0

_UNSUPPORTED = {
    RELATION: (frozenset(_RELATIONS), Bib1.RELATION_UNSUPPORTED),
    POSITION: (frozenset(_POSITIONS), Bib1.POSITION_UNSUPPORTED),
    STRUCTURE: (_KNOWN_STRUCTURES, Bib1.STRUCTURE_UNSUPPORTED),
    TRUNCATION: (_TRUNCATIONS | {_UNDEFINED_BY_EVERGREEN}, Bib1.TRUNCATION_UNSUPPORTED),
    COMPLETENESS: (frozenset(_COMPLETENESSES), Bib1.COMPLETENESS_UNSUPPORTED),
}
# Values that Bib-1 defines and that are understood, by attribute type but Use.
SUPPORTED = {kind: values - {_UNDEFINED_BY_EVERGREEN} for kind, (values, _) in _UNSUPPORTED.items()}


@dataclass(frozen=True, slots=True)
class Target:
    """One access point that an operand reaches, and how its term is cut there."""

    point: AccessPoint
    structure: Structure
    anchor: Anchor
    dewey_if_digit: bool = False  # asked for as Use 16, and so perhaps by Koha


@dataclass(frozen=True, slots=True)
class Reading:
    """A resolved attribute list, ready to be given terms."""

    targets: tuple[Target, ...]
    relation: Relation = Relation.EQUAL
    truncation: int = _NONE
    word_list: bool = False
    ranked: bool = False

    @property
    def needs_term(self) -> bool:
        return self.relation is not Relation.ALWAYS

    def clause(self, text: str) -> Query | Diagnostic:
        """The query for `text`, a term without blank ends and without our masks."""
        if self.relation is Relation.ALWAYS:
            every = [Clause(each.point.name, "", Relation.ALWAYS) for each in self.targets]
            return joined(Operator.OR, every)
        if self.truncation in _MASKING:
            masked = _masked(text, self.truncation)
            if isinstance(masked, Diagnostic):
                return masked
            text = masked
        if len(self.targets) == 1:
            return self._for(self.targets[0], text)
        found: list[Query] = []
        for target in self.targets:
            clause = self._for(target, text)
            if isinstance(clause, Diagnostic):
                return clause
            found.append(clause)
        return joined(Operator.OR, found)

    def _for(self, target: Target, term: str) -> Query | Diagnostic:
        name = target.point.name
        if target.dewey_if_digit and term[:1].isdigit():
            name = _DEWEY.name
        anchor = target.anchor
        if self.truncation in (_RIGHT, _LEFT, _BOTH):
            left, right = self.truncation != _RIGHT, self.truncation != _LEFT
            opened = truncate_words if self._cuts_words(target) else truncate
            term = opened(term, left=left, right=right)
        if MASK_ANY in term:
            if is_only_masks(term):
                return Clause(name, "", Relation.ALWAYS)
            term, anchor = whole_field(term, anchor)
        if self.relation is Relation.WITHIN:
            bounds = term.split()
            if len(bounds) != 2:
                return Diagnostic(Bib1.ILLEGAL_TERM_VALUE, term[:_SHOWN_CHARS_MAX])
            term = " ".join(bounds)
        elif target.structure is Structure.ANY_WORD and target.point.kind in KEY_KINDS:
            words = term.split()
            if len(words) > LIST_WORDS_MAX:
                return Diagnostic(Bib1.TOO_MANY_ARGUMENT_WORDS, f"at most {LIST_WORDS_MAX}")
            keys = [Clause(name, word, structure=Structure.KEY) for word in words]
            return joined(Operator.OR, keys)
        return Clause(name, term, self.relation, target.structure, anchor, self.ranked)

    def _cuts_words(self, target: Target) -> bool:
        return self.word_list and target.point.kind is Kind.TEXT


_READINGS: dict[tuple[Oid, tuple[AttributeElement, ...]], Reading | Diagnostic] = {}
_READINGS_MAX = 4096


def resolve(attribute_set: Oid, attributes: tuple[AttributeElement, ...]) -> Reading | Diagnostic:
    """Read the attributes of one operand; `attribute_set` is that of the whole query.

    Clients use few combinations, so each is read once and remembered.
    """
    if len(attributes) > ATTRIBUTES_MAX:
        return Diagnostic(Bib1.ATTRIBUTE_COMBINATION_UNSUPPORTED, f"{len(attributes)} attributes")
    key = (attribute_set, attributes)
    found = _READINGS.get(key)
    if found is None:
        found = _resolved(attribute_set, attributes)
        # Lists of strings may be long: only numbers are worth their room.
        if all(isinstance(element.value, int) for element in attributes):
            if len(_READINGS) >= _READINGS_MAX:
                _READINGS.clear()
            _READINGS[key] = found
    return found


def _resolved(attribute_set: Oid, attributes: tuple[AttributeElement, ...]) -> Reading | Diagnostic:
    if not attributes and attribute_set not in (BIB_1, GILS, CROSS_DOMAIN_1):
        return Diagnostic(Bib1.ATTRIBUTE_SET_UNSUPPORTED, str(attribute_set))
    points: dict[str, AccessPoint] = {}  # by the value that the client gave
    given: dict[int, int] = {}
    always = False
    for element in attributes:
        element_set = element.attribute_set or attribute_set
        if element_set not in (BIB_1, GILS, CROSS_DOMAIN_1):
            return Diagnostic(Bib1.ATTRIBUTE_SET_UNSUPPORTED, str(element_set))
        values = _values(element)
        if element.type == USE:
            point = _use(element_set, values)
            if isinstance(point, Diagnostic):
                return point
            always = always or str(values[0]).lower() in _ALL_RECORDS
            if point not in points.values():
                points[str(values[0])] = point
            continue
        if element_set == CROSS_DOMAIN_1 or element.type not in _UNSUPPORTED:
            return Diagnostic(Bib1.ATTRIBUTE_TYPE_UNSUPPORTED, str(element.type))
        supported, refusal = _UNSUPPORTED[element.type]
        value = next((each for each in values if each in supported), None)
        if not isinstance(value, int):
            return Diagnostic(refusal, _shown(values))
        if given.setdefault(element.type, value) != value:
            told = f"{element.type}={given[element.type]} {element.type}={value}"
            return Diagnostic(Bib1.ATTRIBUTE_COMBINATION_UNSUPPORTED, told)
    if always:
        return Reading((Target(BY_NAME["any"], Structure.KEY, Anchor.ANYWHERE),), Relation.ALWAYS)
    return _reading(points or {"": BY_NAME["any"]}, given)


def _reading(points: dict[str, AccessPoint], given: dict[int, int]) -> Reading | Diagnostic:
    relation_value = given.get(RELATION, 3)
    relation = _RELATIONS[relation_value]
    structure = given.get(STRUCTURE)
    truncation = given.get(TRUNCATION, _NONE) or _NONE
    if structure == _LOCAL_NUMBER and list(points.values()) == [BY_NAME["any"]]:
        points = {"": BY_NAME["control_number"]}
    targets: list[Target] = []
    for use, point in points.items():
        refused = _combination(point, relation, given, truncation)
        if refused is not None:
            told = [f"{kind}={value}" for kind, value in sorted(given.items())]
            return Diagnostic(refused, " ".join([f"1={use}"] * bool(use) + told))
        target = _target(point, given)
        if use == _KOHA_USE and point is _LCC:
            target = replace(target, dewey_if_digit=True)
        targets.append(target)
    return Reading(
        tuple(targets),
        relation,
        truncation,
        word_list=structure in _WORD_LISTS,
        ranked=relation_value == _RELEVANCE,
    )


def _combination(
    point: AccessPoint, relation: Relation, given: dict[int, int], truncation: int
) -> Bib1 | None:
    """Why these attributes make no sense together on `point`, or None."""
    structure = given.get(STRUCTURE)
    refused = Bib1.ATTRIBUTE_COMBINATION_UNSUPPORTED
    if relation not in (Relation.EQUAL, Relation.ALWAYS):
        allowed = KEY_KINDS if relation is Relation.NOT_EQUAL else ORDERED_KINDS
        if point.kind not in allowed or truncation != _NONE:
            return refused
    if structure in _DATE_STRUCTURES and point.kind is not Kind.DATE:
        return refused
    if point.kind is Kind.TEXT and structure == _LOCAL_NUMBER:
        return refused
    anchored = _anchor(given) is not Anchor.ANYWHERE
    if point.kind is Kind.TEXT and anchored and structure in {6, *_TEXT_LISTS}:
        return refused
    return None


def _target(point: AccessPoint, given: dict[int, int]) -> Target:
    structure = given.get(STRUCTURE)
    if point.kind in KEY_KINDS:
        # The value is the whole field: position and completeness always hold.
        listed = Structure.ANY_WORD if structure in _TEXT_LISTS else Structure.KEY
        return Target(point, listed, Anchor.ANYWHERE)
    anchor = _anchor(given)
    if anchor is not Anchor.ANYWHERE:
        return Target(point, Structure.PHRASE, anchor)
    if structure is None:
        return Target(point, Structure.ALL_WORDS, anchor)
    return Target(point, _TEXT_STRUCTURES[structure], anchor)


def _anchor(given: dict[int, int]) -> Anchor:
    if given.get(STRUCTURE) == _KEY:
        return Anchor.COMPLETE
    completeness = _COMPLETENESSES[given.get(COMPLETENESS, 1)]
    if completeness is not Anchor.ANYWHERE:
        return completeness
    return _POSITIONS[given.get(POSITION, 3)]


def _use(attribute_set: Oid, values: Sequence[StringOrNumeric]) -> AccessPoint | Diagnostic:
    for value in values:
        point = None
        if isinstance(value, int):
            uses = _BY_CROSS_DOMAIN_USE if attribute_set == CROSS_DOMAIN_1 else BY_USE
            point = uses.get(value)
        elif value.lower() in _ALL_RECORDS:
            point = BY_NAME["any"]
        else:
            point = index_by_name(value)
        if point is not None:
            return point
    return Diagnostic(Bib1.USE_ATTRIBUTE_UNSUPPORTED, _shown(values))


def _shown(values: Sequence[StringOrNumeric]) -> str:
    """The value that a client would like best, for a diagnostic."""
    return str(values[0])[:_SHOWN_CHARS_MAX] if values else ""


def _values(element: AttributeElement) -> tuple[StringOrNumeric, ...]:
    """The values in the client's order of preference (Z39.50-2003 Appendix 3 ATR)."""
    value = element.value
    return (value,) if isinstance(value, int) else value.list


def _masked(text: str, truncation: int) -> str | Diagnostic:
    """`text` with the wildcards of its truncation attribute turned into masks."""
    if truncation == _PROCESS_HASH:
        masked = text.replace("#", MASK_ANY)
    elif truncation == _Z3958:
        for at, character in enumerate(text):
            # `?3` is "up to three characters": masks know only one and any number.
            if character == "?" and text[at + 1 : at + 2].isdigit():
                return Diagnostic(Bib1.TRUNCATION_UNSUPPORTED, f"104: {text}"[:_SHOWN_CHARS_MAX])
        masked = text.replace("?", MASK_ANY).replace("*", MASK_ANY).replace("#", MASK_ONE)
    else:
        plain = _from_regular_expression(text)
        if plain is None:
            told = f"{truncation}: {text}"[:_SHOWN_CHARS_MAX]
            return Diagnostic(Bib1.TRUNCATION_UNSUPPORTED, told)
        masked = plain
    while MASK_ANY * 2 in masked:
        masked = masked.replace(MASK_ANY * 2, MASK_ANY)
    if masked.count(MASK_ANY) + masked.count(MASK_ONE) > MASKS_MAX:
        return Diagnostic(Bib1.TOO_MANY_TRUNCATED_WORDS, f"at most {MASKS_MAX} wildcards")
    return masked


def _from_regular_expression(text: str) -> str | None:
    """A regular expression as far as masks can say it: `.`, `.*` and escapes; None beyond that."""
    masked: list[str] = []
    at = 0
    while at < len(text):
        character = text[at]
        if character == "\\":
            at += 1
            if at == len(text):
                return None
            masked.append(text[at])
        elif character == ".":
            if text[at + 1 : at + 2] == "*":
                at += 1
                masked.append(MASK_ANY)
            else:
                masked.append(MASK_ONE)
        elif character in "[](){}*+?|^$":
            return None
        else:
            masked.append(character)
        at += 1
    return "".join(masked)

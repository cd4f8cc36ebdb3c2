"""Strategies: text, CQL as written, and query trees as the parsers make them."""

from __future__ import annotations

from hypothesis import strategies as st

from protocol.access_point import Kind
from protocol.access_points import ACCESS_POINTS
from protocol.cql_ast import (
    COMPARITORS,
    BooleanClause,
    CqlNode,
    CqlQuery,
    CqlRelation,
    Modifier,
    Prefix,
    Scoped,
    SearchClause,
    SortKey,
)
from protocol.query import (
    MASK_ANY,
    MASK_ONE,
    Anchor,
    Boolean,
    Clause,
    Operator,
    Proximity,
    ProximityUnit,
    Query,
    Relation,
    ResultSetRef,
    Structure,
)
from protocol.search_term import ORDERED_KINDS, is_only_masks, whole_field

# Text that is likely to hit the grammar: its own words and signs among others.
PIECES = st.sampled_from(
    ["and", "or", "NOT", "prox", "sortBy", "all", "any", "exact", "within", "dc.title", "isbn",
     "cql.allRecords", "红楼梦", "=", "==", "<", ">", "<=", "<>", "/", "(", ")", '"', '"a b"',
     "\\", "\\*", "*", "?", "^", "@and", "@or", "@attr", "1=4", "5=1", "@prox", "@set", "@term",
     "@attrset", "bib-1", "{", "}", "k", "2", "relevant", "unit=word", "distance<3", "\x00",
     "\uf8f0", "\udc80", "> x = ", "info:srw/cql-context-set/1/dc-v1.1", "\n", "\u3000"]
)  # fmt: skip
SOUP = st.one_of(st.text(max_size=60), st.lists(PIECES, max_size=25).map(" ".join),
                 st.lists(PIECES, max_size=25).map("".join))  # fmt: skip


def well_escaped(text: str) -> str:
    """`text` as a parser leaves a term: quotation marks and backslashes escaped."""
    return text.replace("\\", "\\\\").replace('"', '\\"')


UNICODE = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
NAMES = st.one_of(st.sampled_from(["dc.title", "and", "sortBy", "a b", ""]),
                  UNICODE.map(well_escaped))  # fmt: skip
MODIFIERS = st.lists(
    st.one_of(st.builds(Modifier, NAMES),
              st.builds(Modifier, NAMES, st.sampled_from(sorted(COMPARITORS)), NAMES)),
    max_size=3,
).map(tuple)  # fmt: skip
CLAUSES = st.one_of(
    st.builds(SearchClause, NAMES),
    st.builds(
        SearchClause,
        NAMES,
        NAMES,
        st.builds(CqlRelation, st.sampled_from([*sorted(COMPARITORS), "any", "x y"]), MODIFIERS),
    ),
)
NODES: st.SearchStrategy[CqlNode] = st.recursive(
    CLAUSES,
    lambda nodes: st.one_of(
        st.builds(BooleanClause, st.sampled_from(["and", "or", "not", "prox"]), nodes, nodes,
                  MODIFIERS),
        st.builds(Scoped, st.lists(st.builds(Prefix, NAMES.filter(bool), NAMES), min_size=1,
                                   max_size=2).map(tuple), nodes),
    ),
    max_leaves=6,
)  # fmt: skip
QUERIES = st.builds(
    CqlQuery, NODES, st.lists(st.builds(SortKey, NAMES, MODIFIERS), max_size=2).map(tuple)
)


WORDS = st.text(st.sampled_from("ab红梦0?*#.[\\\"' "), min_size=1, max_size=8).filter(str.strip)


def masked(text: str, mask: str, at: int) -> str:
    """`text` with a mask somewhere, its blanks as a parser leaves them."""
    text = " ".join(text.split())
    place = at % (len(text) + 1)
    return f"{text[:place]}{mask}{text[place:]}"


@st.composite
def clauses_of_the_tree(draw: st.DrawFn) -> Clause:
    point = draw(st.sampled_from(ACCESS_POINTS))
    term = masked(
        draw(WORDS), draw(st.sampled_from(["", MASK_ANY, MASK_ONE])), draw(st.integers(0, 9))
    )
    if draw(st.integers(0, 9)) == 0 or is_only_masks(term):
        structure = Structure.ALL_WORDS
        return Clause(point.name, "", Relation.ALWAYS, structure)
    if point.kind is Kind.TEXT:
        structure = draw(
            st.sampled_from([Structure.PHRASE, Structure.ALL_WORDS, Structure.ANY_WORD])
        )
        anchor = Anchor.ANYWHERE
        if structure is Structure.PHRASE:
            term, anchor = whole_field(term, draw(st.sampled_from(Anchor)))
        return Clause(point.name, term, structure=structure, anchor=anchor,
                      ranked=draw(st.booleans()))  # fmt: skip
    relations = [Relation.EQUAL, Relation.NOT_EQUAL]
    if point.kind in ORDERED_KINDS:
        relations = [each for each in Relation if each is not Relation.ALWAYS]
    relation = draw(st.sampled_from(relations))
    if relation is not Relation.EQUAL:
        term = term.replace(MASK_ANY, "").replace(MASK_ONE, "")
    if relation is Relation.WITHIN:
        term = f"{term.split()[0]} {term.split()[-1]}"
    return Clause(point.name, term, relation, Structure.KEY)


PROXIMITIES = st.builds(
    Proximity,
    st.integers(0, 9),
    st.sampled_from([each for each in Relation if each.value in ("<", "<=", "=", ">=", ">", "<>")]),
    st.sampled_from(ProximityUnit),
    st.booleans(),
    st.booleans(),
)
NEAR = st.builds(Boolean, PROXIMITIES, clauses_of_the_tree(), clauses_of_the_tree())
TREES: st.SearchStrategy[Query] = st.recursive(
    st.one_of(
        clauses_of_the_tree(),
        NEAR,
        st.builds(ResultSetRef, st.text('ab1 *?"\\\\红', min_size=1, max_size=5)),
    ),
    lambda nodes: st.builds(Boolean, st.sampled_from(Operator), nodes, nodes),
    max_leaves=6,
)

"""The index against a model: a dictionary of texts, searched by looking at each."""

from __future__ import annotations

import asyncio
import math
import operator
import re
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
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
    Structure,
)
from protocol.record import Holding
from store.interface import ScanResult
from store.reindex import check
from store.result_set import RecordSet
from tests.catalogue_records import DATABASES, Library, book, put

WORDS = ("red", "blue", "reed", "sky", "sea", "blues")
WORD = st.sampled_from(WORDS)
TITLE = st.lists(WORD, min_size=1, max_size=6).map(" ".join)
YEAR = st.sampled_from(("1988", "1995", "1996", "2004", "2010"))
SUBJECTS = st.lists(st.lists(WORD, min_size=1, max_size=3).map(" ".join), max_size=3)
HOLDERS = ("PKU", "THU", "BNU")

Fields = dict[str, list[list[str]]]  # access point -> the words of each field


ORDERS: dict[Relation, Callable[[str, str], bool]] = {
    Relation.LESS: operator.lt,
    Relation.LESS_OR_EQUAL: operator.le,
    Relation.GREATER: operator.gt,
    Relation.GREATER_OR_EQUAL: operator.ge,
}
DISTANCES: dict[Relation, Callable[[int, int], bool]] = {
    Relation.LESS: operator.lt,
    Relation.LESS_OR_EQUAL: operator.le,
    Relation.EQUAL: operator.eq,
    Relation.GREATER: operator.gt,
    Relation.GREATER_OR_EQUAL: operator.ge,
    Relation.NOT_EQUAL: operator.ne,
}


def matches(fields: Fields, clause: Clause) -> bool:
    """What a clause means, said as plainly as can be."""
    whole = [" ".join(field) for field in fields.get(clause.access_point, [])]
    if clause.relation is Relation.NOT_EQUAL:
        return bool(whole) and not matches(fields, replace(clause, relation=Relation.EQUAL))
    if clause.relation is Relation.WITHIN:
        low, high = clause.term.split()
        return any(low <= each <= high for each in whole)
    if clause.relation in ORDERS:
        return any(ORDERS[clause.relation](each, clause.term) for each in whole)
    return equals(fields, clause)


def equals(fields: Fields, clause: Clause) -> bool:
    words = clause.term.split()
    anchor = clause.anchor
    for field in fields.get(clause.access_point, []):
        for at in range(len(field) - len(words) + 1):
            if clause.structure is not Structure.PHRASE:
                break
            fits = all(has(field[at + offset], word) for offset, word in enumerate(words))
            if (
                fits
                and (anchor not in {Anchor.FIRST, Anchor.COMPLETE} or at == 0)
                and (anchor not in {Anchor.LAST, Anchor.COMPLETE} or at + len(words) == len(field))
            ):
                return True
    if clause.structure is Structure.PHRASE:
        return False
    everything = [word for field in fields.get(clause.access_point, []) for word in field]
    meets = [any(has(other, word) for other in everything) for word in words]
    return all(meets) if clause.structure is Structure.ALL_WORDS else any(meets)


def has(word: str, wanted: str) -> bool:
    return re.fullmatch(wanted.replace(MASK_ANY, ".*").replace(MASK_ONE, "."), word) is not None


def near(fields: Fields, left: Clause, right: Clause, proximity: Proximity) -> bool:
    """Whether a word of `left` has one of `right` where it should, or none there."""
    places = [
        (number, at, word)
        for number, field in enumerate(fields.get(left.access_point, []))
        for at, word in enumerate(field)
    ]
    rights = [place for place in places if has(place[2], right.term)]
    for number, at, word in places:
        if has(word, left.term):
            meets = any(stands(number, at, other, proximity) for other in rights)
            if meets is not proximity.exclusion:
                return True
    return False


def stands(number: int, at: int, other: tuple[int, int, str], proximity: Proximity) -> bool:
    compare = DISTANCES[proximity.relation]
    after = other[:2] > (number, at)
    if proximity.unit is ProximityUnit.FIELD:
        distance = abs(other[0] - number)
    else:
        distance = abs(other[1] - at)
        if other[0] != number or distance == 0:
            return False
    return compare(distance, proximity.distance) and (after or not proximity.ordered)


def answer(model: dict[str, Fields], query: Query) -> set[str]:
    if isinstance(query, Clause):
        return {number for number, fields in model.items() if matches(fields, query)}
    assert isinstance(query, Boolean)
    if isinstance(query.operator, Proximity):
        left, right, proximity = query.left, query.right, query.operator
        assert isinstance(left, Clause)
        assert isinstance(right, Clause)
        return {n for n, fields in model.items() if near(fields, left, right, proximity)}
    operation: Callable[[set[str], set[str]], set[str]] = {
        Operator.AND: set.intersection,
        Operator.OR: set.union,
        Operator.AND_NOT: set.difference,
    }[query.operator]
    return operation(answer(model, query.left), answer(model, query.right))


def clauses() -> st.SearchStrategy[Clause]:
    point = st.sampled_from(("title", "subject"))
    one = st.builds(Clause, point, WORD | masked())
    ordered = st.builds(Clause, point, TITLE, st.sampled_from(tuple(ORDERS)))
    within = st.builds(
        lambda name, low, high: Clause(name, f"{low} {high}", Relation.WITHIN), point, WORD, WORD
    )
    years = st.builds(
        Clause,
        st.just("date"),
        YEAR,
        st.sampled_from((*ORDERS, Relation.EQUAL, Relation.NOT_EQUAL)),
    )
    spans = st.builds(
        lambda low, high: Clause("date", f"{low} {high}", Relation.WITHIN), YEAR, YEAR
    )
    others = st.builds(Clause, point, WORD, st.just(Relation.NOT_EQUAL))
    several = st.builds(
        Clause,
        point,
        TITLE,
        structure=st.sampled_from((Structure.PHRASE, Structure.ALL_WORDS, Structure.ANY_WORD)),
    )
    anchored = st.builds(
        Clause,
        point,
        TITLE,
        structure=st.just(Structure.PHRASE),
        anchor=st.sampled_from(Anchor),
    )
    return one | several | anchored | ordered | within | years | spans | others


def masked() -> st.SearchStrategy[str]:
    """Words cut on the right, on the left, on both sides and inside."""

    def cut(word: str, first: int, last: int, how: str) -> str:
        first, last = sorted((first % (len(word) + 1), last % (len(word) + 1)))
        if how == "right":
            return word[: max(first, 1)] + MASK_ANY
        if how == "left":
            return MASK_ANY + word[min(first, len(word) - 1) :]
        if how == "both":
            return MASK_ANY + (word[first:last] or word[0]) + MASK_ANY
        if how == "inside":
            return word[: max(first, 1)] + MASK_ANY + word[last:]
        return word[:1] + MASK_ONE + word[2:]

    how = st.sampled_from(("right", "left", "both", "inside", "one"))
    return st.builds(cut, WORD, st.integers(0, 5), st.integers(0, 5), how)


def nearness() -> st.SearchStrategy[Boolean]:
    words = st.tuples(WORD, WORD, st.sampled_from(("title", "subject")))
    proximity = st.builds(
        Proximity,
        st.integers(0, 4),
        st.sampled_from(tuple(DISTANCES)),
        st.sampled_from(ProximityUnit),
        ordered=st.booleans(),
        exclusion=st.booleans(),
    )
    return st.builds(
        lambda w, p: Boolean(p, Clause(w[2], w[0]), Clause(w[2], w[1])), words, proximity
    )


QUERY = st.recursive(
    clauses() | nearness(),
    lambda queries: st.builds(Boolean, st.sampled_from(Operator), queries, queries),
    max_leaves=5,
)


def modelled(title: str, subjects: list[str], year: str) -> Fields:
    return {
        "title": [title.split()],
        "subject": [subject.split() for subject in dict.fromkeys(subjects)],
        "date": [[year]],
    }


class Catalogue(RuleBasedStateMachine):
    """Records come, change and go, and merge at any time; every query agrees with the model."""

    numbers = Bundle("numbers")

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.library = Library(Path(self.folder.name))
        self.model: dict[str, Fields] = {}
        self.ids: dict[str, int] = {}
        self.holders: dict[str, set[str]] = {}

    @rule(target=numbers, number=st.integers(0, 9).map(str))
    def name(self, number: str) -> str:
        return number

    @rule(number=numbers, title=TITLE, subjects=SUBJECTS, year=YEAR)
    def store(self, number: str, title: str, subjects: list[str], year: str) -> None:
        self.ids[number] = put(
            self.library.writer, book(number, title, subjects=subjects, year=year)
        )
        self.model[number] = modelled(title, subjects, year)

    @rule(number=numbers)
    def remove(self, number: str) -> None:
        if number in self.model:
            self.library.writer.delete(self.ids[number])
            del self.model[number]

    @rule(number=numbers, institution=st.sampled_from(HOLDERS), come=st.booleans())
    def hold(self, number: str, institution: str, come: bool) -> None:
        if number not in self.model:
            return
        holders = self.holders.setdefault(number, set())
        if come:
            holding = Holding(institution, self.ids[number])
            assert self.library.writer.put_holding(holding) == (institution not in holders)
            holders.add(institution)
        else:
            was_there = self.library.writer.remove_holding(institution, self.ids[number])
            assert was_there == (institution in holders)
            holders.discard(institution)

    @rule(records_max=st.integers(1, 5))
    def merge(self, records_max: int) -> None:
        self.library.writer.merge(records_max=records_max)

    @rule(query=QUERY)
    def search(self, query: Query) -> None:
        assert self.found(query) == answer(self.model, query)

    @rule(institution=st.sampled_from(HOLDERS))
    def held_by(self, institution: str) -> None:
        expected = {n for n in self.model if institution in self.holders.get(n, ())}
        assert self.found(Clause("possessing_institution", institution)) == expected

    @rule()
    def scan(self) -> None:
        counts = {
            word: sum(any(word in field for field in f["title"]) for f in self.model.values())
            for word in sorted(WORDS)
        }
        result = self.ask(
            self.library.catalogue.scan(DATABASES[:1], "title", "", count=20, position=1)
        )
        assert isinstance(result, ScanResult)
        assert {entry.term: entry.occurrences for entry in result.entries} == {
            word: count for word, count in counts.items() if count
        }

    @invariant()
    def totals_agree(self) -> None:
        assert self.library.catalogue.totals()["we_cat"] == len(self.model)

    @precondition(lambda self: len(self.ids) > 3)
    @rule()
    def index_agrees_with_the_records(self) -> None:
        assert check(self.library.writer.connection) == []

    def found(self, query: Query) -> set[str]:
        result = self.ask(self.library.catalogue.search(DATABASES, query, {}))
        assert isinstance(result, RecordSet)
        records = self.ask(self.library.catalogue.fetch(list(result.order)))
        return {record.control_number for record in records}

    def ask(self, question: Any) -> Any:
        return asyncio.run(question)

    def teardown(self) -> None:
        self.library.close()
        self.folder.cleanup()


def test_the_index_answers_as_the_model_does() -> None:
    run_state_machine_as_test(
        Catalogue,
        settings=settings(
            max_examples=25,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


BOOKS = st.lists(st.tuples(TITLE, SUBJECTS, YEAR), min_size=1, max_size=12)


@given(BOOKS, st.lists(QUERY, max_size=12))
@settings(max_examples=40, deadline=None)
def test_merged_and_changed_records_answer_alike(
    records: list[tuple[str, list[str], str]], queries: list[Query]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        library = Library(Path(folder))
        model: dict[str, Fields] = {}
        for index, (title, subjects, year) in enumerate(records):
            put(library.writer, book(str(index), title, subjects=subjects, year=year))
            model[str(index)] = modelled(title, subjects, year)

        async def answers() -> list[set[str]]:
            found = []
            for query in queries:
                result = await library.catalogue.search(DATABASES, query, {})
                assert isinstance(result, RecordSet)
                records = await library.catalogue.fetch(list(result.order))
                found.append({record.control_number for record in records if record})
            return found

        expected = [answer(model, query) for query in queries]
        assert asyncio.run(answers()) == expected
        library.merge()
        assert asyncio.run(answers()) == expected
        library.close()


@given(
    BOOKS,
    st.lists(WORD, min_size=1, max_size=3, unique=True),
    st.sampled_from((Structure.ALL_WORDS, Structure.ANY_WORD)),
    st.integers(0, 12),
)
@settings(max_examples=40, deadline=None)
def test_the_order_of_relevance_is_that_of_bm25(
    records: list[tuple[str, list[str], str]], words: list[str], structure: Structure, merged: int
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        library = Library(Path(folder))
        titles: dict[str, list[str]] = {}
        for index, (title, subjects, year) in enumerate(records):
            put(library.writer, book(str(index), title, subjects=subjects, year=year))
            titles[str(index)] = title.split()
            if index == merged:  # the rest stays in delta rows
                library.merge()
        clause = Clause("title", " ".join(words), structure=structure, ranked=True)

        async def order() -> list[str]:
            result = await library.catalogue.search(DATABASES, clause, {})
            assert isinstance(result, RecordSet)
            found = await library.catalogue.fetch(list(result.order))
            return [record.control_number for record in found if record]

        meets = all if structure is Structure.ALL_WORDS else any
        found = {n: title for n, title in titles.items() if meets(w in title for w in words)}
        scores = bm25(words, found, titles)
        expected = sorted(found, key=lambda number: (-round(scores[number], 9), int(number)))
        assert asyncio.run(order()) == expected
        library.close()


def bm25(
    words: list[str], found: dict[str, list[str]], titles: dict[str, list[str]]
) -> dict[str, float]:
    """Scores of Robertson and Zaragoza's BM25 with k1 = 1.2 and b = 0.5.

    A title is as long as its words and the end of it.
    """
    lengths = {number: len(title) + 1 for number, title in found.items()}
    mean = sum(lengths.values()) / len(lengths) if lengths else 1
    scores = dict.fromkeys(found, 0.0)
    for word in words:
        frequency = sum(word in title for title in titles.values())
        rarity = math.log1p((len(titles) - frequency + 0.5) / (frequency + 0.5))
        for number, title in found.items():
            count = title.count(word)
            norm = 1 - 0.5 + 0.5 * lengths[number] / mean
            scores[number] += rarity * count * 2.2 / (count + 1.2 * norm)
    return scores

"""The index against a model: a dictionary of texts, searched by looking at each."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable
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
    Anchor,
    Boolean,
    Clause,
    Operator,
    Proximity,
    Query,
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
SUBJECTS = st.lists(st.lists(WORD, min_size=1, max_size=3).map(" ".join), max_size=3)
HOLDERS = ("PKU", "THU", "BNU")

Fields = dict[str, list[list[str]]]  # access point -> the words of each field


def matches(fields: Fields, clause: Clause) -> bool:
    """What a clause means, said as plainly as can be."""
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
    if wanted.endswith(MASK_ANY):
        return word.startswith(wanted[:-1])
    return word == wanted


def near(fields: Fields, left: Clause, right: Clause, proximity: Proximity) -> bool:
    for field in fields.get(left.access_point, []):
        for at, word in enumerate(field):
            for other_at, other in enumerate(field):
                distance = other_at - at if proximity.ordered else abs(other_at - at)
                if (
                    has(word, left.term)
                    and has(other, right.term)
                    and 0 < distance <= proximity.distance
                ):
                    return True
    return False


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
    masked = WORD.flatmap(lambda w: st.integers(1, len(w)).map(lambda n: w[:n] + MASK_ANY))
    one = st.builds(Clause, point, WORD | masked)
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
    return one | several | anchored


def nearness() -> st.SearchStrategy[Boolean]:
    words = st.tuples(WORD, WORD, st.sampled_from(("title", "subject")))
    proximity = st.builds(Proximity, st.integers(1, 4), ordered=st.booleans())
    return st.builds(
        lambda w, p: Boolean(p, Clause(w[2], w[0]), Clause(w[2], w[1])), words, proximity
    )


QUERY = st.recursive(
    clauses() | nearness(),
    lambda queries: st.builds(Boolean, st.sampled_from(Operator), queries, queries),
    max_leaves=5,
)


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

    @rule(number=numbers, title=TITLE, subjects=SUBJECTS)
    def store(self, number: str, title: str, subjects: list[str]) -> None:
        self.ids[number] = put(self.library.writer, book(number, title, subjects=subjects))
        self.model[number] = {
            "title": [title.split()],
            "subject": [subject.split() for subject in dict.fromkeys(subjects)],
        }

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


@given(st.lists(st.tuples(TITLE, SUBJECTS), min_size=1, max_size=12), st.lists(QUERY, max_size=12))
@settings(max_examples=25, deadline=None)
def test_merged_and_changed_records_answer_alike(
    records: list[tuple[str, list[str]]], queries: list[Query]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        library = Library(Path(folder))
        model: dict[str, Fields] = {}
        for index, (title, subjects) in enumerate(records):
            put(library.writer, book(str(index), title, subjects=subjects))
            model[str(index)] = {
                "title": [title.split()],
                "subject": [subject.split() for subject in dict.fromkeys(subjects)],
            }

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

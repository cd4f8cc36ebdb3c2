"""Scan over SRU: positions, counts, and where in the whole list a term stands."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from protocol.iso2709 import Field, build
from server.sru.service import scan_terms
from store.interface import ScanResult, TermEntry
from tests.harness import RunningServer
from tests.server.own_server import own_server
from tests.server.sru_client import Answer, get


def record(number: int, language: str) -> bytes:
    return build(
        "00000nam a2200000 a 4500",
        [
            Field("001", f"r{number}"),
            Field("008", f"261102s2026    xx ||||| |||||||| 0|{language} d"),
            Field.of("245", "10", [("a", "Title")]),
        ],
    )


LANGUAGES = ("chi", "eng", "fre", "ger", "rus")


@pytest.fixture(scope="module")
def languages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A list of exactly five terms; `rus` twice."""
    records = {
        "we_cat": [record(number, each) for number, each in enumerate((*LANGUAGES, "rus"))],
        "jp_cat": [],
    }
    with own_server(tmp_path_factory.mktemp("languages"), records) as server:
        yield server


def scan(server: RunningServer, clause: str, database: str = "we_cat", **given: str) -> Answer:
    answer = get(server, database, version="1.2", operation="scan", scanClause=clause, **given)
    assert answer.status == 200
    return answer


def listed(answer: Answer) -> list[tuple[str, str]]:
    return list(
        zip(answer.texts("//zs:term/zs:value"), answer.texts("//zs:whereInList"), strict=True)
    )


@pytest.mark.parametrize(
    ("clause", "position", "count", "expected"),
    [
        ("language=chi", "1", "5", "chi:first eng:inner fre:inner ger:inner rus:last"),
        ("language=chi", "1", "99", "chi:first eng:inner fre:inner ger:inner rus:last"),
        ("language=chi", "1", "2", "chi:first eng:inner"),
        ("language=eng", "1", "2", "eng:inner fre:inner"),
        ("language=eng", "2", "2", "chi:first eng:inner"),
        ("language=eng", "3", "3", "chi:first eng:inner"),
        ("language=ger", "1", "2", "ger:inner rus:last"),
        ("language=rus", "1", "3", "rus:last"),
        ("language=rus", "2", "3", "ger:inner rus:last"),
        ("language=chi", "0", "2", "eng:inner fre:inner"),
        ("language=ger", "0", "9", "rus:last"),
        ("language=rus", "0", "9", ""),
        ("language=fre", "3", "2", "chi:first eng:inner"),
        ("language=ger", "3", "2", "eng:inner fre:inner"),
        ("language=dut", "1", "1", "eng:inner"),
        ("language=a", "1", "1", "chi:first"),
        ("language=zzz", "1", "3", ""),
        ("language=zzz", "3", "2", "ger:inner rus:last"),
    ],
)
def test_each_term_says_where_in_the_list_it_stands(
    languages: RunningServer, clause: str, position: str, count: str, expected: str
) -> None:
    answer = scan(languages, clause, responsePosition=position, maximumTerms=count)
    assert " ".join(f"{term}:{where}" for term, where in listed(answer)) == expected
    counts = answer.texts("//zs:numberOfRecords")
    assert counts == ["2" if term == "rus" else "1" for term, _ in listed(answer)]


def test_a_list_of_one_term_is_the_only_one(languages: RunningServer) -> None:
    assert listed(scan(languages, "material_type=a")) != []
    assert {where for _, where in listed(scan(languages, "title=title"))} == {"only"}
    assert listed(scan(languages, "language=eng", "jp_cat")) == []


def entries(terms: str) -> tuple[TermEntry, ...]:
    return tuple(TermEntry(term, term.upper(), 1) for term in terms)


def test_a_display_form_is_given_where_it_is_another() -> None:
    terms = scan_terms(ScanResult((TermEntry("abc", "ABC", 2), TermEntry("b", "b", 1)), 1), 1, 2)
    assert [(term.value, term.display) for term in terms] == [("abc", "ABC"), ("b", "")]
    assert [term.where for term in terms] == ["first", "last"]


@pytest.mark.parametrize("length", range(7))
@pytest.mark.parametrize("start", range(8))
@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_surplus_terms_tell_the_ends_at_every_position(length: int, start: int, count: int) -> None:
    """Against a list searched the plain way; `start` terms stand before the start term."""
    whole = entries("abcdefg"[:length])
    for position in range(count + 2):
        # What the catalogue answers for two terms more, one place further.
        before = whole[max(start - position, 0) : start]
        after = whole[start : start + count + 2 - position]
        found = ScanResult((*before, *after), len(before) + 1)
        terms = scan_terms(found, position, count)
        if position == 0:
            expected = whole[start + 1 : start + 1 + count]
        else:
            expected = whole[max(start - position + 1, 0) : start - position + 1 + count]
        if start > length:
            continue  # no such start
        assert [term.value for term in terms] == [entry.term for entry in expected]
        for term in terms:
            at = next(number for number, entry in enumerate(whole) if entry.term == term.value)
            first, last = at == 0, at == length - 1
            where = "only" if first and last else "first" if first else "last" if last else "inner"
            assert term.where == where


@pytest.mark.parametrize("version", ["1.1", "2.0"])
def test_chinese_and_pinyin_lists_are_scanned(demo: RunningServer, version: str) -> None:
    def terms(clause: str) -> list[str]:
        given = {"version": version, "scanClause": clause, "maximumTerms": "3"}
        if version != "2.0":
            given["operation"] = "scan"
        answer = get(demo, "cn_cat", **given)
        assert answer.diagnostics == []
        return answer.texts("//zs:value|//scan2:value")

    assert terms("dc.title=史记")[0] == "史记"
    assert terms("dc.title=紅樓")[0] == "红楼"
    assert terms("local.title_pinyin=hong")[0].startswith("hong")
    assert terms("local.author_pinyin=sima")[0].startswith("sima")
    assert len(terms('dc.creator=="司马迁"')) == 3


def test_whole_fields_are_scanned_by_their_relation(demo: RunningServer) -> None:
    answer = scan(demo, 'author=="knuth"', maximumTerms="1")
    assert answer.texts("//zs:displayTerm") != []
    assert answer.texts("//zs:value")[0].startswith("knuth")
    assert " " in answer.texts("//zs:value")[0]


@pytest.mark.parametrize(
    "clause", ["bath.possessingInstitution=demo1", "local.possessing_institution=DEMO1"]
)
def test_a_list_of_libraries_shows_their_names(demo: RunningServer, clause: str) -> None:
    answer = get(demo, "all", version="1.2", operation="scan", scanClause=clause, maximumTerms="3")
    assert answer.texts("//zs:term/zs:value") == ["demo1", "demo2", "demo3"]
    assert answer.texts("//zs:term/zs:displayTerm") == [
        "First demo library", "Second demo library", "Third demo library",
    ]  # fmt: skip

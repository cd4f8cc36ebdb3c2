"""Duplicate check: what is the same publication, what only looks like it, and how it is found."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

import pytest

from protocol.iso2709 import Field, build, parse
from protocol.record import Holding, MarcFamily
from server.web.texts import texts
from store import duplicate_score
from store.dedupe import PARTED, find_pairs, in_order_of_worth, merge_certain
from store.duplicate_facts import _EDITION_KINDS, facts_of
from store.duplicate_score import CERTAIN, POSSIBLE, Score, compare
from store.duplicates import DuplicateFinder
from store.editing import Editor
from store.load import load
from store.sqlite import StoreError
from tests.catalogue_records import Library, put

DREAM = "7-02-000220-X"
ART = "0-201-89683-4"


def chinese(
    number: str = "c1",
    title: str = "红楼梦",
    *,
    isbn: str = "",
    h: str = "",
    i: str = "",
    e: str = "",
    edition: str = "",
    year: str = "2008",
    publisher: str = "人民文学出版社",
    author: str = "曹雪芹",
    extent: str = "1606页",
    uniform: str = "",
    leader: str = "00000nam0 2200000   450 ",
    more: tuple[Field, ...] = (),
) -> bytes:
    """A CNMARC record; "" leaves a field out."""
    fields = [Field("001", number)]
    if isbn:
        fields.append(Field.of("010", "  ", [("a", isbn)]))
    if uniform:
        fields.append(Field.of("091", "  ", [("a", uniform)]))
    if year:
        fields.append(Field.of("100", "  ", [("a", f"20100101d{year}    em y0chiy50      ea")]))
    fields.append(Field.of("101", "0 ", [("a", "chi")]))
    codes = [("a", title), ("e", e), ("h", h), ("i", i)]
    fields.append(Field.of("200", "1 ", [each for each in codes if each[1]]))
    if edition:
        fields.append(Field.of("205", "  ", [("a", edition)]))
    fields.append(Field.of("210", "  ", [("a", "北京"), ("c", publisher), ("d", year)]))
    if extent:
        fields.append(Field.of("215", "  ", [("a", extent)]))
    if author:
        fields.append(Field.of("701", " 0", [("a", author)]))
    return build(leader, [*fields, *more])


def western(
    number: str = "w1",
    title: str = "The art of computer programming",
    *,
    isbn: str = "",
    n: str = "",
    p: str = "",
    b: str = "",
    edition: str = "",
    year: str = "1997",
    publisher: str = "Addison-Wesley",
    author: str = "Knuth, Donald Ervin",
    extent: str = "xix, 650 p.",
    form: str = " ",
    leader: str = "00000nam a2200000 i 4500",
    more: tuple[Field, ...] = (),
) -> bytes:
    """A MARC 21 record; "" leaves a field out."""
    fields = [
        Field("001", number),
        Field("008", f"040101s{year or '    '}    xxu     {form}     000 0 eng d"),
    ]
    if isbn:
        fields.append(Field.of("020", "  ", [("a", isbn)]))
    if author:
        fields.append(Field.of("100", "1 ", [("a", author)]))
    codes = [("a", title), ("n", n), ("p", p), ("b", b)]
    fields.append(Field.of("245", "10", [each for each in codes if each[1]]))
    if edition:
        fields.append(Field.of("250", "  ", [("a", edition)]))
    if publisher:
        fields.append(Field.of("260", "  ", [("b", publisher), ("c", year)]))
    if extent:
        fields.append(Field.of("300", "  ", [("a", extent)]))
    return build(leader, [*fields, *more])


def score(one: bytes, other: bytes) -> Score:
    family = MarcFamily.UNIMARC if b" 450 " in one[:24] else MarcFamily.MARC21
    facts = [facts_of(parse(marc), family) for marc in (one, other)]
    found = compare(*facts)
    assert compare(*reversed(facts)).points == found.points
    return found


def test_each_word_of_an_edition_is_told() -> None:
    plain, abridged = chinese(isbn=DREAM), chinese(isbn=DREAM, edition="国际缩印版")
    told = [each for each in score(plain, abridged).reasons if each.startswith("only one")]
    assert told == ["only one is an abridged edition", "only one is an international edition"]
    assert (score(plain, plain).is_certain, score(plain, abridged).is_certain) == (True, False)
    both = score(plain, chinese(isbn=DREAM, edition="影印缩版")).reasons
    assert {"only one is an abridged edition", "only one is a facsimile edition"} < set(both)


def held_elsewhere(number: str) -> tuple[Field, ...]:
    return (Field.of("035", "  ", [("a", number)]),)


SERIAL_21 = "00000nas a2200000 i 4500"
SERIAL = "00000nas0 2200000   450 "
SAME = {
    "the same record": (chinese(isbn=DREAM), chinese(isbn=DREAM)),
    "traditional and simplified, ISBN-13": (
        chinese(isbn=DREAM), chinese("c2", "紅樓夢", isbn="978-7-02-000220-7", author="曹雪芹"),
    ),
    "first edition named and not": (
        chinese(isbn=DREAM, edition="第1版"), chinese(isbn=DREAM),
    ),
    "volumes with one number, said in two ways": (
        chinese(isbn=DREAM, h="第三卷"), chinese(isbn=DREAM, h="第3册"),
    ),
    "the volume in the title": (
        chinese(isbn=DREAM, h="上"), chinese("c2", "红楼梦(上)", isbn=DREAM),
    ),
    "publisher and author in other words": (
        western(isbn=ART, publisher="Addison-Wesley Publishing Co.", author="Knuth, D. E."),
        western("w2", "Art of computer programming /", isbn="9780201896831"),
    ),
    "a subtitle more": (western(isbn=ART), western(isbn=ART, b="fundamental algorithms")),
    "roman volume": (western(isbn=ART, n="Vol. II"), western(isbn=ART, n="2")),
    "a serial by its ISSN, whatever the years": (
        western("s1", "Nature", year="1869", leader=SERIAL_21, author="",
                more=(Field.of("022", "  ", [("a", "0028-0836")]),)),
        western("s2", "Nature.", year="1999", leader=SERIAL_21, author="",
                more=(Field.of("022", "  ", [("a", "00280836")]),)),
    ),
    "a number of another system": (
        western(more=held_elsewhere("(OCoLC)ocm00012345")),
        western("w2", more=held_elsewhere("(OCoLC)12345")),
    ),
    "the 001 of one in the 035 of the other": (
        western("w9", more=(Field("003", "DLC"),)), western("x", more=held_elsewhere("(DLC)w9")),
    ),
    "the uniform book number of before 1987": (
        chinese(uniform="10019·1166", year="1959"),
        chinese("c2", uniform="10019.1166", year="1959"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SAME)
def test_the_same_publication_scores_as_certain(name: str) -> None:
    found = score(*SAME[name])
    assert found.points >= CERTAIN, found
    assert found.is_certain, found


APART = {
    "another volume with the ISBN of the set": (
        chinese(isbn=DREAM, h="上"), chinese(isbn=DREAM, h="下"),
    ),
    "第二卷 and 第三卷": (chinese(isbn=DREAM, h="第二卷"), chinese(isbn=DREAM, h="卷3")),
    "volumes in titles": (
        chinese("c1", "红楼梦 上册", isbn=DREAM), chinese("c2", "红楼梦 下册", isbn=DREAM),
    ),
    "the set and one of its volumes": (
        chinese(isbn=DREAM, extent="3册"), chinese(isbn=DREAM, h="1"),
    ),
    "the set and a volume that tells it by its extent": (
        western(isbn=ART, extent="3 v."), western(isbn=ART, extent="v. 2"),
    ),
    "volumes of a Western set": (
        western(isbn=ART, n="Volume 1"), western(isbn=ART, n="Volume 2"),
    ),
    "parts by name": (
        western(isbn=ART, p="Fundamental algorithms"), western(isbn=ART, p="Sorting"),
    ),
    "a later edition": (
        western(isbn=ART, edition="2nd ed."), western(isbn=ART, edition="Third edition"),
    ),
    "a later edition in Chinese": (
        chinese(isbn=DREAM, edition="第2版"), chinese(isbn=DREAM, edition="第三版"),
    ),
    "parts of a volume with one number": (
        western(isbn=ART, n="Volume 2, part A"), western(isbn=ART, n="Volume 2, part B"),
    ),
    "volumes in two parts": (
        chinese(isbn=DREAM, h="上册之二"), chinese(isbn=DREAM, h="下册之二"),
    ),
    "a reprint of years after": (chinese(isbn=DREAM), chinese(isbn=DREAM, year="2015")),
    "a facsimile": (chinese(isbn=DREAM), chinese(isbn=DREAM, edition="影印版")),
    "print and electronic": (western(isbn=ART), western(isbn=ART, form="o")),
    "print and microfilm": (
        western(isbn=ART), western(isbn=ART, more=(Field("007", "hd afb---"),)),
    ),
    "a book and a recording of it": (
        chinese(isbn=DREAM), chinese(isbn=DREAM, leader="00000nim0 2200000   450 "),
    ),
    "a book and a chapter": (
        western(isbn=ART), western(isbn=ART, leader="00000naa a2200000 i 4500"),
    ),
    "a translation": (
        chinese(), chinese(more=()).replace(b"chi", b"rus"),
    ),
    "two ISBNs: bound and paperback": (
        western(isbn=ART), western(isbn="0-262-03384-4"),
    ),
    "one ISBN for other books": (
        chinese(isbn=DREAM), chinese("c2", "水浒传", isbn=DREAM, author="施耐庵"),
    ),
    "the same title of other people": (
        chinese("c1", "微积分", author="王力"), chinese("c2", "微积分", author="李明"),
    ),
    "a yearbook of another year": (
        chinese("c1", "中国统计年鉴2005", author=""), chinese("c2", "中国统计年鉴2006", author=""),
    ),
    "numbers of a series": (
        western("w1", "Report", more=(Field.of("490", "0 ", [("a", "S"), ("v", "no. 4")]),)),
        western("w2", "Report", more=(Field.of("490", "0 ", [("a", "S"), ("v", "no. 5")]),)),
    ),
    "a serial and the one it became": (
        western("s1", "Nature", leader=SERIAL_21,
                more=(Field.of("022", "  ", [("a", "0028-0836")]),)),
        western("s2", "Science", leader=SERIAL_21,
                more=(Field.of("022", "  ", [("a", "0028-0836")]),)),
    ),
    "uniform book numbers": (
        chinese(uniform="10019·1166"), chinese(uniform="10019·2345"),
    ),
    "volumes of a monographic series with its ISSN": (
        western("s1", "Topology", author="Munkres, J.", year="1975",
                more=(Field.of("022", "  ", [("a", "0075-8434")]),)),
        western("s2", "Algebra", author="Lang, S.", year="1984",
                more=(Field.of("022", "  ", [("a", "0075-8434")]),)),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", APART)
def test_what_only_looks_like_it_is_no_candidate(name: str) -> None:
    found = score(*APART[name])
    assert found.points < POSSIBLE, found
    assert not found.is_certain


def test_the_pairs_that_are_apart_are_so_for_one_reason_alone() -> None:
    """Without the difference each would be a candidate, so each test can fail."""
    for name, (one, other) in APART.items():
        if "ISBN of the set" in name or "edition" in name or name.startswith("print"):
            assert score(one, one).is_certain, name
            assert score(other, other).is_certain, name


UNSURE = {
    "no number, but all else": (chinese(), chinese("c2")),
    "no number, in English": (western(), western("w2", author="Knuth, D.")),
    "one has a number and the other none": (chinese(isbn=DREAM), chinese("c2")),
    "only one is called a second edition": (
        western(isbn=ART, edition="2nd ed."), western(isbn=ART, year="", publisher=""),
    ),
    "all agrees but the extent": (
        western(isbn=ART, edition="1st ed."), western(isbn=ART, edition="1st ed.", extent="16 p."),
    ),
    "all agrees but one year": (chinese(isbn=DREAM), chinese("c2", isbn=DREAM, year="2009")),
    "one title begins the other": (
        chinese("c1", "红楼梦校注", isbn=DREAM), chinese("c2", "红楼梦", isbn=DREAM),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", UNSURE)
def test_what_a_person_should_look_at_is_never_certain(name: str) -> None:
    found = score(*UNSURE[name])
    assert found.points >= POSSIBLE, found
    assert not found.is_certain


@pytest.mark.parametrize(
    ("written", "volume"),
    [
        ("第三卷", "3"), ("Vol. III", "3"), ("v. 3", "3"), ("Book three", "3"), ("т. 3", "3"),
        ("Teil 3", "3"), ("第3巻", "3"), ("第十二分册", "12"), ("上巻", "上"), ("(下)", "下"),
        ("上册之二", "上-2"), ("Vol. 2, part A", "2-a"), ("Vol. 2, part B", "2-b"),
        ("v. 1-3", "1-3"),
        ("一九九八年", "1998"), ("", ""),
    ],
)  # fmt: skip
def test_a_volume_is_read_however_it_is_written(written: str, volume: str) -> None:
    assert facts_of(parse(chinese(h=written)), MarcFamily.UNIMARC).volume == volume


@pytest.mark.parametrize(
    ("written", "title", "volume"),
    [
        ("红楼梦（上）", "红楼梦", "上"), ("紅樓夢[下冊]", "红楼梦", "下"),
        ("论语·上", "论语", "上"), ("高等数学 第一册", "高等数学", "1"),
        ("A history of China, vol. 3", "historyofchina", "3"),
        ("Война и мир. Т. 2", "войнаимир", "2"), ("天下", "天下", ""), ("水上", "水上", ""),
        ("Henry IV", "henryiv", ""), ("1984", "1984", ""), ("Book 2", "book2", ""),
        ("C程序设计", "c程序设计", ""), ("三国演义", "三国演义", ""),
    ],
)  # fmt: skip
def test_a_volume_at_the_end_of_a_title_is_told_from_a_title(
    written: str, title: str, volume: str
) -> None:
    facts = facts_of(parse(chinese(title=written)), MarcFamily.UNIMARC)
    assert (facts.title, facts.volume) == (title, volume)


@pytest.mark.parametrize(
    ("written", "edition"),
    [
        ("第2版", "2"), ("第二版", "2"), ("2nd ed., rev.", "2"), ("Second revised edition", "2"),
        ("2. Aufl.", "2"), ("2-е изд.", "2"), ("增订2版", "2"), ("修订版", ""), ("", ""),
    ],
)  # fmt: skip
def test_an_edition_is_read_however_it_is_written(written: str, edition: str) -> None:
    assert facts_of(parse(chinese(edition=written)), MarcFamily.UNIMARC).edition == edition


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    library = Library(tmp_path)
    yield library
    library.close()


def test_candidates_are_found_by_each_number_and_by_title_and_year(library: Library) -> None:
    by_isbn = put(library.writer, chinese("c1", isbn=DREAM), "cn_cat")
    by_title = put(library.writer, chinese("c2", isbn=""), "cn_cat")
    put(library.writer, chinese("c3", "红楼梦", h="上", isbn=DREAM), "cn_cat")
    put(library.writer, chinese("c4", "西游记", author="吴承恩"), "cn_cat")
    put(library.writer, western("c5", "红楼梦", isbn=DREAM))
    with DuplicateFinder(library.directory) as finder:
        for _ in range(2):
            marc = chinese("", "紅樓夢", isbn="9787020002207")
            found = finder.candidates(marc, "cn_cat")
            assert [each.record_id for each in found] == [by_isbn, by_title]
            assert (found[0].control_number, found[0].is_certain) == ("c1", True)
            assert "same ISBN 9787020002207" in found[0].reasons
            assert finder.candidates(marc, "cn_cat", besides=by_isbn) == found[1:]
            assert finder.candidates(marc, "cn_cat", score_min=90, limit=5) == found[:1]
            assert [each.control_number for each in finder.candidates(marc, "we_cat")] == []
            library.merge()
        added = put(library.writer, western("w1", more=held_elsewhere("(OCoLC)ocm0042")))
        other = western("w2", "Art of computer programming.", more=held_elsewhere("(OCoLC)42"))
        assert [each.record_id for each in finder.candidates(other, "we_cat")] == [added]
        theirs = western("w7", more=(Field("003", "DLC"),))
        known = put(library.writer, theirs)
        assert known in [
            each.record_id
            for each in finder.candidates(western("w8", more=held_elsewhere("(DLC)w7")), "we_cat")
        ]
        library.writer.delete(by_isbn)
        assert [each.record_id for each in finder.candidates(marc, "cn_cat")] == [by_title]
        with pytest.raises(StoreError, match="no database 'xx'"):
            finder.candidates(marc, "xx")


def test_a_number_that_is_on_everything_costs_no_more_than_its_bound(library: Library) -> None:
    with library.writer.transaction():
        for number in range(300):
            put(library.writer, chinese(f"d{number}", f"书{number}", isbn=DREAM), "cn_cat")
    last = put(library.writer, chinese("e1", "红楼梦", isbn=DREAM), "cn_cat")
    with DuplicateFinder(library.directory) as finder:
        found = finder.candidates(chinese("", isbn=DREAM), "cn_cat")
    assert [each.record_id for each in found] == [last]


def test_a_catalogue_is_gone_through_in_one_pass(library: Library) -> None:
    ids = {}
    for number, marc in (
        ("c1", chinese("c1", isbn=DREAM)),
        ("c2", chinese("c2", "紅樓夢", isbn=DREAM)),
        ("c3", chinese("c3", isbn=DREAM, h="上")),
        ("c4", chinese("c4", isbn="")),
        ("c5", chinese("c5", "西游记", author="吴承恩")),
    ):
        ids[number] = put(library.writer, marc, "cn_cat")
    put(library.writer, western("c1", isbn=ART))
    put(library.writer, western("c2", isbn=ART))
    library.writer.put_holding(Holding("PKU", ids["c2"]))
    told: list[tuple[str, int, int]] = []
    connection = library.writer.connection
    pairs = list(find_pairs(connection, processes=0, progress=lambda *each: told.append(each)))
    found = {(each.keep.control_number, each.away.control_number) for each in pairs}
    assert found == {("c2", "c1"), ("c1", "c4"), ("c2", "c4"), ("c1", "c2")}
    assert [each.database for each in pairs] == ["we_cat", *["cn_cat"] * 3]
    assert [each.keep.holders for each in pairs] == [0, 1, 0, 1]
    assert ("cn_cat: reading", 5, 5) in told
    assert {each.database for each in find_pairs(connection, database="we_cat")} == {"we_cat"}
    assert len(list(find_pairs(connection, after_id=ids["c3"]))) == 3
    assert all(each.score.is_certain for each in find_pairs(connection, score_min=90))
    editor = Editor(library.writer)
    editor.merge(ids["c2"], ids["c1"], account="op")
    assert len(list(find_pairs(connection, database="cn_cat"))) == 1
    # Who parted two records has looked at them: they are not merged unasked again.
    editor.undelete(ids["c1"], account="op")
    pair = (ids["c1"], ids["c2"])
    assert list(merge_certain(library.writer, [pair], account="op")) == []
    (told,) = (
        each
        for each in find_pairs(connection, database="cn_cat")
        if {each.keep.record_id, each.away.record_id} == set(pair)
    )
    assert told.score.reasons[-1] == "a merge of them was undone"
    assert not told.score.is_certain


def test_one_pass_and_one_by_one_find_the_same(library: Library, shared_data: Path) -> None:
    files = [shared_data / "union" / f"aco-{name}.xml.xz" for name in ("cornell", "uaena")]
    files.append(shared_data / "marc21" / "folio-1000.mrc.xz")
    load(library.writer, files, "we_cat", processes=0)
    pairs = {
        tuple(sorted((each.keep.record_id, each.away.record_id)))
        for each in find_pairs(library.writer.connection, processes=0)
    }
    assert len(pairs) >= 4
    with DuplicateFinder(library.directory) as finder:
        for record_id in {record_id for pair in pairs for record_id in pair}:
            record = library.writer.rows.get(record_id)
            assert record is not None
            found = finder.candidates(record.marc, "we_cat", besides=record_id, limit=100)
            assert {each.record_id for each in found} >= {
                other for pair in pairs if record_id in pair for other in pair if other != record_id
            }


def test_the_record_kept_is_the_one_that_most_hold_then_the_fuller_then_the_older(
    library: Library,
) -> None:
    first = put(
        library.writer, chinese("c1", isbn=DREAM, leader="00000nam3 22000003  450 "), "cn_cat"
    )
    second = put(library.writer, chinese("c2", isbn=DREAM), "cn_cat")
    third = put(library.writer, chinese("c3", isbn=DREAM), "cn_cat")
    pairs = {
        frozenset((each.keep.record_id, each.away.record_id)): each.keep.record_id
        for each in find_pairs(library.writer.connection)
    }
    assert pairs[frozenset((first, second))] == second
    assert pairs[frozenset((second, third))] == second
    library.writer.put_holding(Holding("PKU", first))
    for each in find_pairs(library.writer.connection):
        for one, other in combinations((each.keep, each.away), 2):
            assert in_order_of_worth(one, other) == in_order_of_worth(other, one)
        if first in (each.keep.record_id, each.away.record_id):
            assert each.keep.record_id == first


def test_pages_say_every_finding_in_both_languages() -> None:
    source = ast.parse(Path(duplicate_score.__file__).read_text("utf-8"))
    sentences = {
        argument.value
        for call in ast.walk(source)
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Attribute)
        and call.func.attr in ("add", "limit", "note")
        for argument in call.args
        if isinstance(argument, ast.Constant) and isinstance(argument.value, str)
    }
    sentences |= {PARTED.sentence, "same publisher", "other publisher", "same author"}
    sentences |= {f"other {each}" for each in ("author", "material", "bibliographic level")}
    sentences |= {"other carrier"}
    for kind in _EDITION_KINDS:
        sentences.add(f"only one is {'an' if kind[0] in 'aeiou' else 'a'} {kind} edition")
    english, told = (texts(each).tables["console_finding"] for each in ("en", "zh"))
    assert english == {each: each for each in sentences}
    for sentence in sentences:
        assert told[sentence].count("{}") == sentence.count("{}"), sentence
        assert not told[sentence].replace("ISBN", "").replace("ISSN", "").isascii()

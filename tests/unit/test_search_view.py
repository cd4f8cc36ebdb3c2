"""What a person reads of a record, and in which language the page speaks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from protocol.diagnostic import SruDiagnostic
from protocol.iso2709 import Field, build, parse
from protocol.record import Database, MarcFamily, StoredRecord
from server.catalogue_pages.view import Value, labelled, line, marc_lines, record_path
from server.web.texts import preferred_language, prefers_html, texts
from tests.unit.cql_corpus import CORPUS

WESTERN = Database("we_cat", "Western", MarcFamily.MARC21)
CHINESE = Database("cn_cat", "Chinese", MarcFamily.UNIMARC)
PAGES = Path(__file__).resolve().parents[2] / "server" / "pages"


def western(*fields: Field, number: str = "W1") -> StoredRecord:
    marc = build("00000nam a2200000 a 4500", [Field("001", number), *fields], oversize=True)
    return StoredRecord(7, WESTERN, number, marc)


KNUTH = western(
    Field("008", "040101s1997    xx            000 0 eng d"),
    Field.of("020", "  ", [("a", "0201896834 (v. 1)")]),
    Field.of("100", "1 ", [("a", "Knuth, Donald E.,"), ("d", "1938-")]),
    Field.of("245", "14", [("a", "The art /"), ("c", "D. Knuth.")]),
    Field.of("264", " 1", [("a", "Reading :"), ("b", "Addison-Wesley,"), ("c", "1997.")]),
    Field.of("650", " 0", [("a", "Computers"), ("x", "History.")]),
    Field.of("856", "40", [("u", "https://example.org/a"), ("z", "x")]),
    Field.of("856", "40", [("u", "javascript:alert(1)")]),
)


def test_a_line_says_what_one_chooses_by() -> None:
    found = line(KNUTH, 3)
    assert found.title == "The art"
    assert found.authors == "Knuth, Donald E., 1938-"
    assert found.published == "Addison-Wesley, 1997"
    assert (found.database, found.holders, found.language) == ("Western", 3, "en")
    assert found.path == "/we_cat/record/W1"


@pytest.mark.parametrize(
    ("stated", "published"),
    [
        ([("a", "北京"), ("c", "中华书局"), ("d", "2008.1")], "中华书局, 2008.1"),
        ([("d", "唐咸通9年(868)")], "唐咸通9年(868)"),
        ([("c", "中华书局"), ("d", "[2008")], "中华书局, 2008"),
        ([("c", "中华书局")], "中华书局, 0868–0870"),
    ],
)
def test_a_date_is_shown_as_the_item_has_it(stated: list[tuple[str, str]], published: str) -> None:
    fields = [
        Field.of("100", "  ", [("a", "20261112g08680870em y0chiy50      ea")]),
        Field.of("200", "1 ", [("a", "金剛經")]),
        Field.of("210", "  ", stated),
    ]
    found = replace(western(*fields), database=Database("ancient", "古籍", MarcFamily.UNIMARC))
    assert line(found).published == published
    assert dict(labelled(found, texts("zh")).fields)["published"][0].text.endswith(published)


def test_more_authors_than_a_line_has_room_for_are_told_by_an_ellipsis() -> None:
    names = [Field.of("700", "1 ", [("a", f"Name {n}"), ("4", "aut")]) for n in range(5)]
    assert line(western(*names)).authors == "Name 0; Name 1; Name 2 …"


def test_a_record_without_a_title_is_called_by_its_number() -> None:
    assert line(western()).title == "W1"
    assert labelled(western(), texts("en")).title == "W1"


@pytest.mark.parametrize(
    ("number", "path"),
    [("a/b c", "/we_cat/record/a%2Fb%20c"), ("红?", "/we_cat/record/%E7%BA%A2%3F")],
)
def test_any_control_number_has_an_address(number: str, path: str) -> None:
    assert record_path(western(number=number)) == path


def test_fields_are_labelled_and_lead_to_searches() -> None:
    view = labelled(KNUTH, texts("en"))
    fields = dict(view.fields)
    assert fields["creators"] == [
        Value("Knuth, Donald E., 1938-", "/?q=Knuth%2C+Donald+E.%2C+1938-&in=author")
    ]
    assert fields["subjects"] == [Value("Computers--History", "/?q=Computers+History&in=subject")]
    assert fields["published"] == [Value("Reading : Addison-Wesley, 1997")]
    assert fields["languages"] == [Value("English")]
    assert dict(labelled(KNUTH, texts("zh")).fields)["languages"] == [Value("英语")]


def test_only_web_addresses_become_links() -> None:
    identifiers = dict(labelled(KNUTH, texts("en")).fields)["identifiers"]
    assert identifiers == [
        Value("https://example.org/a", "https://example.org/a", is_outside=True),
        Value("javascript:alert(1)"),
    ]


def test_marc_is_shown_with_blanks_and_controls_made_visible() -> None:
    marc = build(
        "00000nam0 2200000   450 ",
        [Field("001", "C1"), Field.of("200", "1 ", [("a", "\x98The \x9cred"), ("f", "X")])],
    )
    lines = marc_lines(parse(marc))
    assert (lines[0].indicators, lines[0].subfields) == ((), [("", "C1")])
    assert lines[1].indicators == ("1", "#")
    assert lines[1].subfields == [("a", "¬The ¬red"), ("f", "X")]


# Texts


def test_every_refusal_of_a_query_has_a_text_in_both_languages() -> None:
    english = texts("en").tables["diagnostic"]
    for number, text in english.items():
        assert SruDiagnostic(int(number)).message == text
    refused = (case.outcome for case in CORPUS if case.outcome.startswith("!"))
    assert {text.split()[1] for text in refused} <= set(english)


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("", "zh"),
        ("en", "en"),
        ("en-GB,en;q=0.9", "en"),
        ("de,en;q=0.5,zh;q=0.4", "en"),
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh"),
        ("fr", "zh"),
        ("en;q=0, zh;q=0.1", "zh"),
        ("en;q=nonsense", "zh"),
    ],
)
def test_the_language_is_what_the_browser_prefers(header: str, language: str) -> None:
    assert preferred_language(header) == language


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("", False),
        ("*/*", False),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", True),
        ("text/html", True),
        ("application/xml", False),
        ("application/sru+xml, text/html;q=0.9", False),
        ("application/xml, text/html", False),
        ("text/html;q=0", False),
        ("text/*", False),
    ],
)
def test_a_browser_is_told_from_a_library_system(header: str, expected: bool) -> None:
    assert prefers_html(header) is expected

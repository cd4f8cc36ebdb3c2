"""The access-point table is consistent and reaches what clients ask for."""

from __future__ import annotations

from collections import Counter

import pytest

from protocol.access_point import AccessPoint, Kind
from protocol.access_points import ACCESS_POINTS, BY_NAME
from protocol.cql_context import SET_BY_NAME, find_index
from protocol.record import MarcFamily
from store.feeds import READINGS, feeds_of

BY_USE = {value: point for point in ACCESS_POINTS for value in point.bib1}

# What Koha, dp2, Evergreen, FOLIO, Tellico, Alexandria, BiblioteQ and the Bath profile send.
CLIENTS = {
    1: "name_personal", 2: "name_corporate", 3: "name_conference", 4: "title", 5: "title_series",
    6: "title_uniform", 7: "isbn", 8: "issn", 9: "lccn", 12: "control_number",
    13: "classification_dewey", 16: "classification_lcc", 20: "classification_clc", 21: "subject",
    27: "subject_lcsh", 30: "date", 31: "date", 33: "title_key", 36: "title_variant",
    47: "subject_subdivision", 54: "language", 58: "subject_geographic", 59: "place",
    60: "coden", 62: "abstract", 63: "note", 1002: "name", 1003: "author",
    1004: "author_personal", 1005: "author_corporate", 1006: "author_conference",
    1007: "identifier", 1008: "subject_children", 1009: "subject_person", 1011: "date_entered",
    1012: "date_modified", 1016: "any", 1017: "any", 1018: "publisher", 1020: "editor",
    1031: "material_type", 1035: "any", 1044: "possessing_institution", 1075: "genre",
    1079: "subject_topical", 1211: "oclc_number",
}  # fmt: skip

INDEXES = {
    "cql.serverChoice": "any", "cql.anywhere": "any", "dc.title": "title", "dc.creator": "author",
    "dc.contributor": "author", "dc.subject": "subject", "dc.description": "abstract",
    "dc.publisher": "publisher", "dc.date": "date", "dc.type": "material_type",
    "dc.format": "material_type", "dc.identifier": "identifier", "dc.language": "language",
    "dc.coverage": "subject_geographic", "bath.isbn": "isbn", "bath.ISBN": "isbn",
    "bath.issn": "issn", "bath.name": "name", "bath.personalName": "name_personal",
    "bath.corporateName": "name_corporate", "bath.conferenceName": "name_conference",
    "bath.geographicName": "subject_geographic", "bath.uniformTitle": "title_uniform",
    "bath.keyTitle": "title_key", "bath.topicalSubject": "subject_topical",
    "bath.genreForm": "genre", "bath.notes": "note",
    "bath.possessingInstitution": "possessing_institution", "bib.isbn": "isbn",
    "bib.titleSeries": "title_series", "bib.dateIssued": "date", "bib.originPlace": "place",
    "bib.edition": "edition", "bib.classification": "classification",
    "bib.namePersonal": "name_personal", "rec.id": "control_number",
    "rec.identifier": "control_number", "rec.lastModificationDate": "date_modified",
}  # fmt: skip


@pytest.mark.parametrize(("use", "name"), CLIENTS.items())
def test_a_use_attribute_that_clients_send_has_its_access_point(use: int, name: str) -> None:
    assert BY_USE[use].name == name


@pytest.mark.parametrize(("index", "name"), INDEXES.items())
def test_an_index_of_the_context_sets_has_its_access_point(index: str, name: str) -> None:
    set_name, _, base = index.partition(".")
    point = find_index(set_name, base)
    assert point is not None
    assert point.name == name


def test_no_name_use_attribute_or_index_stands_twice() -> None:
    for values in (
        [point.name for point in ACCESS_POINTS],
        [value for point in ACCESS_POINTS for value in point.bib1],
        [name.lower() for point in ACCESS_POINTS for name in point.cql],
        [point.title for point in ACCESS_POINTS],
        [point.title_zh for point in ACCESS_POINTS],
    ):
        assert [value for value, count in Counter(values).items() if count > 1] == []


def test_the_first_63_and_the_later_use_attributes_are_answered_but_for_these() -> None:
    # Bliss and MOS class marks, BDI, INSPEC, PA, Precis and RSWK subjects, database
    # and microform numbers, name and title in one.
    missing = {value for value in range(1, 64) if value not in BY_USE}
    assert missing == {15, 19, 23, 24, 26, 45, 46, 52, 57, 61}
    missing = {value for value in range(1000, 1045) if value not in BY_USE}
    assert missing == {
        1000, 1010, 1013, 1014, 1015, 1022, 1023, 1024, 1025, 1029, 1030, 1032, 1038, 1039, 1043,
    }  # fmt: skip


@pytest.mark.parametrize("point", ACCESS_POINTS, ids=lambda point: point.name)
def test_every_row_can_be_asked_for_and_is_fed(point: AccessPoint) -> None:
    assert point.bib1 or point.cql
    assert all(name.partition(".")[0] in SET_BY_NAME for name in point.cql)
    if point.name not in ("any", "possessing_institution"):
        assert point.marc21 or point.unimarc
    assert point.title
    assert not point.title_zh.isascii() or point.title_zh == "CODEN"


@pytest.mark.parametrize("family", MarcFamily)
def test_every_feed_is_written_as_the_row_says(family: MarcFamily) -> None:
    feeds = [feed for every in feeds_of(family).by_tag.values() for feed in every]
    assert len(feeds) > 200
    for feed in feeds:
        assert feed.codes or feed.tag == "LDR" or feed.tag < "010"
        assert 0 <= feed.first <= feed.last or feed.first == -1


def test_what_only_repeats_other_rows_does_not_feed_any() -> None:
    for narrow, broad in (
        ("author_personal", "author"),
        ("name", "author"),
        ("title_series", "title"),
        ("subject_lcsh", "subject"),
        ("isbn", "identifier"),
    ):
        assert not BY_NAME[narrow].in_any
        assert BY_NAME[broad].in_any


def test_pinyin_and_texts_are_text_and_numbers_are_not() -> None:
    assert all(BY_NAME[name].kind is Kind.TEXT for name in READINGS)
    assert BY_NAME["date"].kind is BY_NAME["date_modified"].kind is Kind.DATE
    assert {point.name for point in ACCESS_POINTS if point.sortable} == {
        "title", "author", "date", "date_modified", "classification", "classification_clc",
    }  # fmt: skip

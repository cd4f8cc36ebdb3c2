"""The category and level of a record, what they earn, and what in the record decided."""

from __future__ import annotations

import pytest

from metering.tariff import tariff_of_year
from metering.tariff_category import (
    Category,
    CategoryRules,
    Level,
    are_detailed,
    classify,
    has_detailed_holdings,
)
from metering.tariff_credit import parts_of
from protocol.iso2709 import Field, build
from protocol.record import Holding, MarcFamily

UNIMARC, MARC21 = MarcFamily.UNIMARC, MarcFamily.MARC21
TARIFF = tariff_of_year(2024)


def record(
    *fields: Field, kind: str = "a", level: str = " ", family: MarcFamily = UNIMARC
) -> bytes:
    leader = f"00000n{kind}m0 2200000{level}  450 "
    if family is MARC21:
        leader = f"00000n{kind}m a2200000{level}i 4500"
    return build(leader, [Field("001", "CAL1"), *fields])


def language(*codes: str, tag: str = "101") -> Field:
    return Field.of(tag, "0 ", [("a", code) for code in codes])


def field_008(code: str) -> Field:
    return Field("008", f"040101s2004    xx            000 0 {code} d")


@pytest.mark.parametrize(
    ("marc", "family", "database", "category", "because"),
    [
        (record(language("chi")), UNIMARC, "cn_cat", "chinese", "101$a is chi"),
        (record(language("chi", "eng")), UNIMARC, "cn_cat", "chinese", "101$a is chi"),
        (record(language("eng", "chi")), UNIMARC, "cn_cat", "western", "101$a is eng"),
        (record(language("ZHO")), UNIMARC, "cn_cat", "chinese", "101$a is zho"),
        (record(language("jpn")), UNIMARC, "cn_cat", "japanese", "101$a is jpn"),
        (record(language("rus")), UNIMARC, "jp_cat", "russian", "101$a is rus"),
        (record(language("fre")), UNIMARC, "cn_cat", "other", "101$a is fre"),
        (record(language("kor")), UNIMARC, "cn_cat", "other", "101$a is kor"),
        (record(language(" ", "chi")), UNIMARC, "cn_cat", "chinese", "101$a is chi"),
        (record(), UNIMARC, "cn_cat", "other", "101$a says no language"),
        (record(language("chi")), UNIMARC, "ancient", "ancient", "the collection is ancient"),
        (record(language("chi"), kind="v"), UNIMARC, "cn_cat", "ancient", "leader/06 is v"),
        (record(language("chi"), kind="u"), UNIMARC, "cn_cat", "chinese", "101$a is chi"),
        (
            record(language("jpn"), Field.of("140", "  ", [("a", "x")])),
            UNIMARC, "cn_cat", "ancient", "field 140",
        ),
        # MARC 21: 041 before 008, and codes that share a subfield
        (
            record(field_008("eng"), language("rus", tag="041"), family=MARC21),
            MARC21, "we_cat", "russian", "041$a is rus",
        ),
        (
            record(field_008("eng"), language("jpneng", tag="041"), family=MARC21),
            MARC21, "we_cat", "japanese", "041$a is jpn",
        ),
        (record(field_008("eng"), family=MARC21), MARC21, "we_cat", "western", "008/35-37 is eng"),
        (record(field_008("ger"), family=MARC21), MARC21, "we_cat", "other", "008/35-37 is ger"),
        (record(field_008("   "), family=MARC21), MARC21, "we_cat", "other", "008/35-37 says no"),
        (record(family=MARC21), MARC21, "we_cat", "other", "008/35-37 says no language"),
        # what makes a UNIMARC record ancient means something else here
        (
            record(field_008("chi"), Field.of("140", "  ", [("a", "x")]), kind="v", family=MARC21),
            MARC21, "we_cat", "chinese", "008/35-37 is chi",
        ),
    ],
)  # fmt: skip
def test_a_category_names_what_decided(
    marc: bytes, family: MarcFamily, database: str, category: str, because: str
) -> None:
    found = classify(marc, family, database)
    assert found.category == category
    assert found.category_because.startswith(because)
    assert found.control_number == "CAL1"


def test_western_languages_and_ancient_collections_are_configured() -> None:
    rules = CategoryRules(frozenset({"rare"}), frozenset({"eng", "fre"}))
    french = record(language("fre"))
    assert classify(french, UNIMARC, "cn_cat", rules).category is Category.WESTERN
    for name in ("rare", "Rare"):  # names of databases have no case
        assert classify(french, UNIMARC, name, rules).category is Category.ANCIENT
    assert classify(french, UNIMARC, "ancient", rules).category is Category.WESTERN


@pytest.mark.parametrize(
    ("code", "family", "level", "because"),
    [
        (" ", UNIMARC, "full", "leader/17 is blank"),
        ("1", UNIMARC, "basic", "leader/17 is 1, not made from the item"),
        ("2", UNIMARC, "basic", "leader/17 is 2, from CIP data"),
        ("3", UNIMARC, "basic", "leader/17 is 3, not full"),
        (" ", MARC21, "full", "leader/17 is blank"),
        ("7", MARC21, "basic", "leader/17 is 7"),
    ],
)
def test_a_level_names_what_decided(
    code: str, family: MarcFamily, level: str, because: str
) -> None:
    found = classify(record(language("chi"), level=code, family=family), family, "x")
    assert (found.level, found.level_because) == (level, because)


@pytest.mark.parametrize(
    ("subfields", "family", "detailed"),
    [
        ((("a", "PKU"), ("s", "I207/1")), UNIMARC, True),
        ((("a", "PKU"), ("d", "I207"), ("e", "1")), UNIMARC, True),
        ((("a", "PKU"), ("d", "I207")), UNIMARC, False),
        ((("a", "PKU"), ("f", "2")), UNIMARC, False),
        ((("s", "I207/1"),), UNIMARC, False),
        ((("a", "PKU"), ("h", "PS3")), MARC21, True),
        ((("b", "MAIN"), ("h", "PS3")), MARC21, True),
        ((("a", "PKU"), ("c", "desk")), MARC21, False),
    ],
)
def test_detailed_holdings_have_a_library_and_a_call_number(
    subfields: tuple[tuple[str, str], ...], family: MarcFamily, detailed: bool
) -> None:
    tag = "905" if family is UNIMARC else "852"
    marc = record(Field.of(tag, "  ", subfields), family=family)
    assert has_detailed_holdings(marc, family) == (tag if detailed else "")


def test_stored_holdings_are_detailed_with_a_call_number() -> None:
    held = [Holding("PKU", 1), Holding("THU", 1, call_number="I207/1")]
    assert are_detailed(held)
    assert are_detailed(held, "THU")
    assert not are_detailed(held, "PKU")
    assert not are_detailed([])


@pytest.mark.parametrize(
    ("category", "level", "holdings", "cover", "items"),
    [
        ("chinese", "full", False, True, {"upload.chinese.full": 400}),
        ("chinese", "basic", True, True, {"upload.chinese.basic": 0}),
        ("western", "full", False, False, {"upload.western.full": 400}),
        ("japanese", "full", False, True, {"upload.japanese.full": 400}),
        ("japanese", "basic", False, False, {"upload.japanese.basic": 0}),
        ("russian", "full", False, True, {"upload.russian.full": 300}),
        ("russian", "basic", False, True, {"upload.russian.basic": 300}),
        ("other", "full", False, False, {"upload.other.full": 300}),
        ("other", "full", False, True, {"upload.other.full": 300, "cover.other": 100}),
        ("other", "basic", False, True, {"upload.other.basic": 300, "cover.other": 100}),
        ("ancient", "full", True, False, {"upload.ancient.full": 700}),
        ("ancient", "full", True, True, {"upload.ancient.full": 700, "cover.ancient": 300}),
        ("ancient", "full", False, True, {"upload.ancient.without_holdings": 0}),
        ("ancient", "basic", True, True, {"upload.ancient.basic": 400}),
        ("ancient", "basic", False, False, {"upload.ancient.without_holdings": 0}),
    ],
)  # fmt: skip
def test_a_record_earns_what_the_agreement_says(
    category: str, level: str, holdings: bool, cover: bool, items: dict[str, int]
) -> None:
    parts = parts_of(
        Category(category), Level(level), TARIFF, detailed_holdings=holdings, cover=cover
    )
    assert {part.item: part.fen for part in parts} == items
    assert {part.item: part.partner_fen for part in parts if part.partner_fen} == (
        {"upload.japanese.full": 200} if (category, level) == ("japanese", "full") else {}
    )


def test_every_category_and_level_has_a_price() -> None:
    for category in Category:
        for level in Level:
            for holdings in (False, True):
                assert parts_of(
                    category, level, TARIFF, detailed_holdings=holdings, cover=True
                )[0].because  # fmt: skip

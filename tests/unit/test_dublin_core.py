"""Dublin Core from MARC 21 and from UNIMARC."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import pytest
from lxml import etree

from protocol.description import clean, year_interval
from protocol.dublin_core import ELEMENTS_NAMESPACE, SRU_NAMESPACE, to_dublin_core
from protocol.iso2709 import (
    DecodedRecord,
    Field,
    RawRecord,
    build,
    decode_record,
    split,
)
from protocol.marcxml_reader import read_marcxml
from protocol.record import MarcFamily
from protocol.standard_number import urn_isbn, urn_issn
from tests.marc_files import marc_files

MARC21, UNIMARC = MarcFamily.MARC21, MarcFamily.UNIMARC
LEADER = "00000nam a2200000 a 4500"
CNMARC_LEADER = "00000nam0 2200000   450 "
CODED_008 = "000313s2000    nyu           000 1 eng  "


def elements(family: MarcFamily, *fields: Field, leader: str = "") -> list[tuple[str, str]]:
    """Name and value of each element, as an XML parser sees them."""
    default = LEADER if family is MarcFamily.MARC21 else CNMARC_LEADER
    root = etree.fromstring(to_dublin_core(build(leader or default, fields), family))
    assert root.tag == f"{{{SRU_NAMESPACE}}}dc"
    found = []
    for child in root:
        name = etree.QName(child)
        assert name.namespace == ELEMENTS_NAMESPACE
        found.append((name.localname, child.text or ""))
    return found


def values(name: str, found: list[tuple[str, str]]) -> list[str]:
    return [value for element, value in found if element == name]


def test_a_whole_marc_21_record() -> None:
    found = elements(
        MARC21,
        Field("001", "11939876"),
        Field("008", CODED_008),
        Field("010", "  \x1fa   00-039022 "),
        Field("020", "  \x1fa0679450041 (acid-free paper) :\x1fc$26.95"),
        Field("020", "  \x1fa0679450042"),
        Field("050", "00\x1faPS3553.H15\x1fbA82 2000"),
        Field("100", "1 \x1faChabon, Michael,\x1fd1963-"),
        Field("245", "14\x1faThe amazing adventures of Kavalier & Clay :\x1fba novel /"
                     "\x1fcMichael Chabon."),
        Field("260", "  \x1faNew York :\x1fbRandom House,\x1fcc2000."),
        Field("300", "  \x1fa639 p. ;\x1fc25 cm."),
        Field("490", "1 \x1faA series ;\x1fvv. 1"),
        Field("500", "  \x1faA note."),
        Field("506", "  \x1faFor members only."),
        Field("590", "  \x1faLocal note"),
        Field("650", " 0\x1faComic books, strips, etc.\x1fxAuthorship\x1fvFiction."),
        Field("651", " 0\x1faNew York (N.Y.)\x1fvFiction."),
        Field("655", " 7\x1faHumorous stories.\x1f2gsafd"),
        Field("700", "1 \x1faSmith, John,\x1fetranslator."),
        Field("700", "1 \x1faDoe, Jane,\x1feauthor."),
        Field("700", "12\x1faKafka, Franz.\x1ftProcess."),
        Field("856", "40\x1fuhttps://example.org/?a=1&b=2"),
    )  # fmt: skip
    assert found == [
        ("title", "The amazing adventures of Kavalier & Clay : a novel"),
        ("creator", "Chabon, Michael, 1963-"),
        ("creator", "Doe, Jane"),
        ("contributor", "Smith, John"),
        ("subject", "Comic books, strips, etc.--Authorship--Fiction"),
        ("subject", "PS3553.H15"),
        ("description", "A note"),
        ("publisher", "Random House"),
        ("date", "2000"),
        ("type", "Text"),
        ("type", "Humorous stories"),
        ("format", "639 p. ; 25 cm."),
        ("identifier", "urn:isbn:9780679450047"),
        ("identifier", "0679450042"),
        ("identifier", "info:lccn/00039022"),
        ("identifier", "https://example.org/?a=1&b=2"),
        ("language", "eng"),
        ("relation", "A series ; v. 1"),
        ("relation", "Kafka, Franz. Process"),
        ("coverage", "New York (N.Y.)--Fiction"),
        ("rights", "For members only"),
    ]


def test_a_whole_cnmarc_record() -> None:
    found = elements(
        UNIMARC,
        Field("001", "012002042862"),
        Field("010", "  \x1fa7-81024-846-4\x1fdCNY28.00"),
        Field("091", "  \x1fa10173·12"),
        Field("100", "  \x1fa20020819d2002    em y0chiy0121    ea"),
        Field("101", "1 \x1fachi\x1fceng"),
        Field("200", "1 \x1fa材料力学\x1fAcai liao li xue\x1fb专著\x1fe典型题解析\x1fdMechanics"
                     "\x1ff任钧国编写\x1fg刘甫译"),
        Field("205", "  \x1fa2版"),
        Field("210", "  \x1fa长沙\x1fc国防科技大学出版社\x1fd2002.7"),
        Field("215", "  \x1fa354页\x1fd26cm"),
        Field("225", "2 \x1fa指导丛书\x1fv3"),
        Field("300", "  \x1fa有书目"),
        Field("310", "  \x1fa精装"),
        Field("330", "  \x1fa本书共分两大部分。"),
        Field("461", " 0\x1f12001 \x1fa丛书总题名"),
        Field("517", "1 \x1fa力学\x1fAli xue"),
        Field("606", "0 \x1fa材料力学\x1fx研究生\x1fx入学考试"),
        Field("607", "  \x1fa中国"),
        Field("610", "0 \x1fa力学\x1fa考试"),
        Field("690", "  \x1faTB301\x1fv4"),
        Field("701", " 0\x1fa任钧国\x1fAren jun guo\x1f4编写"),
        Field("702", " 0\x1fa刘甫\x1fAliu fu\x1f4译"),
        Field("711", "02\x1fa国防科技大学\x1f4编"),
    )  # fmt: skip
    assert found == [
        ("title", "材料力学 : 典型题解析"),
        ("title", "Mechanics"),
        ("title", "力学"),
        ("creator", "任钧国"),
        ("creator", "国防科技大学"),
        ("contributor", "刘甫"),
        ("subject", "材料力学--研究生--入学考试"),
        ("subject", "力学"),
        ("subject", "考试"),
        ("subject", "TB301"),
        ("description", "有书目"),
        ("description", "本书共分两大部分。"),
        ("publisher", "国防科技大学出版社"),
        ("date", "2002"),
        ("type", "Text"),
        ("format", "354页 ; 26cm"),
        ("identifier", "urn:isbn:9787810248464"),
        ("identifier", "10173·12"),
        ("language", "chi"),
        ("relation", "指导丛书 ; 3"),
        ("relation", "丛书总题名"),
        ("coverage", "中国"),
    ]


def test_non_sorting_marks_and_controls_do_not_reach_the_elements() -> None:
    found = elements(UNIMARC, Field("200", "1 \x1fa\x98Le \x9cmot\x01 <juste> & co"))
    assert values("title", found) == ["Le mot <juste> & co"]


def test_other_scripts_of_marc_21_stand_beside_the_romanised_ones() -> None:
    found = elements(
        MARC21,
        Field("100", "1 \x1f6880-01\x1faCao, Xueqin."),
        Field("245", "10\x1f6880-02\x1faHong lou meng /\x1fcCao Xueqin."),
        Field("880", "1 \x1f6100-01/$1\x1fa曹雪芹."),
        Field("880", "10\x1f6245-02/$1\x1fa红楼梦 /\x1fc曹雪芹著."),
    )
    assert values("title", found) == ["Hong lou meng", "红楼梦"]
    assert values("creator", found) == ["Cao, Xueqin", "曹雪芹"]


def test_a_title_without_names_credits_its_statement_of_responsibility() -> None:
    found = elements(UNIMARC, Field("200", "1 \x1faTitre\x1ffpar quelqu'un\x1fgtrad. Autre"))
    assert values("contributor", found) == ["par quelqu'un ; trad. Autre"]


@pytest.mark.parametrize(
    ("coded", "printed", "expected"),
    [
        ("s2000    ", "", ["2000"]),
        ("m19982001", "", ["1998/2001"]),
        ("c19559999", "", ["1955/"]),
        ("d19551990", "", ["1955/1990"]),
        ("s19uu    ", "[19--?]", ["19--?"]),
        ("n        ", "c1987.", ["1987"]),
        ("r19851920", "", ["1985"]),
        ("|||||||||", "民國44 [1955]", ["1955"]),
        ("", "", []),
    ],
)
def test_dates_are_years_or_intervals(coded: str, printed: str, expected: list[str]) -> None:
    fields = [Field("245", "00\x1fax"), Field("008", f"000313{coded}nyu".ljust(40))]
    if printed:
        fields.append(Field("264", f" 1\x1fc{printed}"))
    assert values("date", elements(MARC21, *fields)) == expected


def test_intervals_need_known_years() -> None:
    assert year_interval("range", "uuuu", "1990") == "1990"
    assert year_interval("range", "uuuu", "9999") == ""
    assert year_interval("range", "1990", "    ") == "1990"
    assert year_interval("serial", "1990", "uuuu") == "1990/"


@pytest.mark.parametrize(
    ("leader", "family", "expected"),
    [
        ("00000njm a2200000 a 4500", MARC21, ["Sound"]),
        ("00000nem a2200000 a 4500", MARC21, ["Image"]),
        ("00000nac a2200000 a 4500", MARC21, ["Text", "Collection"]),
        ("00000num0 2200000   450 ", UNIMARC, ["StillImage"]),
        ("00000nvm0 2200000   450 ", UNIMARC, ["Text"]),
        ("00000n m0 2200000   450 ", UNIMARC, []),
    ],
)
def test_the_type_follows_the_leader(leader: str, family: MarcFamily, expected: list[str]) -> None:
    field = Field("245" if family is MARC21 else "200", "00\x1fax")
    assert values("type", elements(family, field, leader=leader)) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0-679-45004-1", "urn:isbn:9780679450047"),
        ("9787810248464", "urn:isbn:9787810248464"),
        ("080442957X", "urn:isbn:9780804429573"),
        ("080442957x", "urn:isbn:9780804429573"),
        ("0804429571", ""),
        ("9787810248465", ""),
        ("97878102484X4", ""),
        ("1234567890123", ""),
        ("", ""),
        ("X", ""),
        ("٠٦٧٩٤٥٠٠٤١", ""),
    ],
)
def test_isbns_become_urns_if_their_check_digit_holds(text: str, expected: str) -> None:
    assert urn_isbn(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("0001-6993", "urn:issn:0001-6993"), ("2434561x", "urn:issn:2434-561X"), ("0001-6994", "")],
)
def test_issns_become_urns_if_their_check_digit_holds(text: str, expected: str) -> None:
    assert urn_issn(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Title /", "Title"),
        ("A title.", "A title"),
        ("Smith, J.", "Smith, J."),
        ("Doe, Jr.", "Doe, Jr."),
        ("25 cm.", "25 cm."),
        ("曹雪芹著.", "曹雪芹著"),
        ("two  \n lines ;", "two lines"),
        (" : ", ""),
    ],
)
def test_punctuation_between_elements_goes_and_that_of_words_stays(
    text: str, expected: str
) -> None:
    assert clean(text) == expected


@pytest.mark.shared_data
def test_real_records_give_well_formed_dublin_core_with_a_title(shared_data: Path) -> None:
    untitled = records = 0
    for file in marc_files(shared_data):
        if file.name.startswith(("authority/", "holdings/", "bad/")):
            continue
        with file.open() as stream:
            if file.is_xml:
                found = islice(read_marcxml(stream, file.family), 20)
                decoded = [record for record in found if isinstance(record, DecodedRecord)]
            else:
                raws = islice(split(stream), 20)
                decoded = [
                    record
                    for raw in raws
                    if isinstance(raw, RawRecord)
                    and isinstance(record := decode_record(raw.raw, file.family), DecodedRecord)
                ]
        for record in decoded:
            root = etree.fromstring(to_dublin_core(record.marc, file.family))
            records += 1
            untitled += not root.findall(f"{{{ELEMENTS_NAMESPACE}}}title")
    assert records > 500
    assert untitled == 0

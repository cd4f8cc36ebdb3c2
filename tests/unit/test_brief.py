"""Brief records, element set B, and records as text."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import pytest

from protocol.brief import to_brief_marc, to_brief_sutrs, to_sutrs
from protocol.iso2709 import (
    DecodedRecord,
    Field,
    RawRecord,
    build,
    decode_record,
    parse,
    split,
)
from protocol.record import MarcFamily
from tests.marc_files import marc_files

MARC21, UNIMARC = MarcFamily.MARC21, MarcFamily.UNIMARC
LEADER = "00000nam a2200000 a 4500"
CNMARC_LEADER = "00000nvm0 2200000   450 "

ENGLISH = build(
    LEADER,
    [
        Field("001", "11939876"),
        Field("005", "20041229190604.0"),
        Field("008", "000313s2000    nyu           000 1 eng  "),
        Field("020", "  \x1fa0679450041 (acid-free paper)\x1fc$26.95"),
        Field("100", "1 \x1f6880-01\x1faChabon, Michael.\x1f0(uri)x"),
        Field("245", "14\x1faThe amazing adventures :\x1fba novel /\x1fcMichael Chabon."),
        Field("250", "  \x1fa1st ed.\x1fbrevised"),
        Field("260", "  \x1faNew York :\x1fbRandom House,\x1fcc2000."),
        Field("650", " 0\x1faComic books, strips, etc."),
        Field("700", "1 \x1faSmith, John,\x1fetranslator."),
        Field("880", "1 \x1f6100-01/$1\x1fa沙邦."),
        Field("880", " 0\x1f6650-02/$1\x1fa漫画."),
    ],
)
CHINESE = build(
    CNMARC_LEADER,
    [
        Field("001", "012002042862"),
        Field("005", "20020819000000.0"),
        Field("010", "  \x1fa7-81024-846-4\x1fdCNY28.00"),
        Field("100", "  \x1fa20020819d2002    em y0chiy0121    ea"),
        Field("200", "1 \x1fa\x98材料\x9c力学\x1fAcai liao li xue\x1fe典型题解析\x1ff任钧国编写"),
        Field("205", "  \x1fa2版"),
        Field("210", "  \x1fa长沙\x1fc国防科技大学出版社\x1fd2002.7"),
        Field("606", "0 \x1fa材料力学"),
        Field("701", " 0\x1fa任钧国\x1fAren jun guo\x1f4编写"),
        Field("702", " 0\x1fa刘甫\x1f4译"),
        Field("905", "  \x1faBNU\x1fdTB301"),
    ],
)


def test_a_brief_marc_21_record_is_a_whole_record_of_few_fields() -> None:
    record = parse(to_brief_marc(ENGLISH, MARC21))
    assert record.leader[5:12] == LEADER[5:12]
    assert record.fields == [
        Field("001", "11939876"),
        Field("020", "  \x1fa0679450041 (acid-free paper)"),
        Field("100", "1 \x1f6880-01\x1faChabon, Michael."),
        Field("245", "14\x1faThe amazing adventures :\x1fba novel /\x1fcMichael Chabon."),
        Field("250", "  \x1fa1st ed."),
        Field("260", "  \x1fcc2000."),
        Field("880", "1 \x1f6100-01/$1\x1fa沙邦."),
    ]


def test_a_brief_cnmarc_record_keeps_its_leader_and_its_coded_data() -> None:
    record = parse(to_brief_marc(CHINESE, UNIMARC))
    assert record.leader[5:12] + record.leader[17:] == CNMARC_LEADER[5:12] + CNMARC_LEADER[17:]
    assert record.fields == [
        Field("001", "012002042862"),
        Field("010", "  \x1fa7-81024-846-4"),
        Field("100", "  \x1fa20020819d2002    em y0chiy0121    ea"),
        Field("200", "1 \x1fa\x98材料\x9c力学\x1fe典型题解析\x1ff任钧国编写"),
        Field("205", "  \x1fa2版"),
        Field("210", "  \x1fd2002.7"),
        Field("701", " 0\x1fa任钧国\x1f4编写"),
    ]


def test_a_brief_record_is_valid_whatever_the_full_one_lacks() -> None:
    bare = build(LEADER, [Field("650", " 0\x1faOnly a subject")])
    assert parse(to_brief_marc(bare, MARC21)).fields == [Field("001", "")]


def test_a_brief_record_stays_brief() -> None:
    titles = [Field("245", f"10\x1fa{'x' * 9_000}") for _ in range(20)]
    long_title = Field("245", f"10\x1fa{'字' * 4_000}")
    marc = build(LEADER, [Field("001", "1"), *titles, long_title], oversize=True)
    brief = to_brief_marc(marc, MARC21)
    assert len(brief) < 21_000
    assert isinstance(decode_record(brief, MARC21), DecodedRecord)


def test_sutrs_has_one_labelled_value_a_line() -> None:
    assert to_sutrs(ENGLISH, MARC21).decode() == (
        "Title: The amazing adventures : a novel\n"
        "Author: Chabon, Michael\n"
        "Author: 沙邦\n"
        "Contributor: Smith, John\n"
        "Responsibility: Michael Chabon\n"
        "Edition: 1st ed. revised\n"
        "Published: New York : Random House, 2000\n"
        "ISBN: 0679450041\n"
        "Language: eng\n"
        "Subject: Comic books, strips, etc.\n"
        "Subject: 漫画\n"
        "Control number: 11939876\n"
    )
    assert to_sutrs(CHINESE, UNIMARC).decode() == (
        "Title: 材料力学 : 典型题解析\n"
        "Author: 任钧国\n"
        "Contributor: 刘甫\n"
        "Responsibility: 任钧国编写\n"
        "Edition: 2版\n"
        "Published: 长沙 : 国防科技大学出版社, 2002\n"
        "ISBN: 7-81024-846-4\n"
        "Subject: 材料力学\n"
        "Control number: 012002042862\n"
    )


def test_brief_sutrs_has_what_one_chooses_by() -> None:
    assert to_brief_sutrs(ENGLISH, MARC21).decode() == (
        "Title: The amazing adventures : a novel\n"
        "Author: Chabon, Michael\n"
        "Author: 沙邦\n"
        "Edition: 1st ed. revised\n"
        "Year: 2000\n"
        "ISBN: 0679450041\n"
        "Control number: 11939876\n"
    )


def test_a_serial_shows_its_years_as_people_write_them() -> None:
    serial = build(
        LEADER,
        [Field("008", "000313c19559999nyu".ljust(40)), Field("245", "00\x1faA\nserial\x01")],
    )
    assert to_brief_sutrs(serial, MARC21) == b"Title: A serial\nYear: 1955-\n"


@pytest.mark.shared_data
def test_real_records_have_brief_forms(shared_data: Path) -> None:
    records = 0
    for file in marc_files(shared_data):
        if file.is_xml:
            continue
        with file.open() as stream:
            for raw in islice(split(stream), 30):
                if not isinstance(raw, RawRecord):
                    continue
                full = decode_record(raw.raw, file.family)
                if isinstance(full, DecodedRecord):
                    brief = to_brief_marc(full.marc, file.family)
                    assert decode_record(brief, file.family) == DecodedRecord(brief, "utf-8")
                    assert parse(brief).control_number == parse(full.marc).control_number
                    assert to_sutrs(full.marc, file.family).endswith(b"\n")
                    assert b"\x1f" not in to_brief_sutrs(full.marc, file.family)
                    records += 1
    assert records > 500

"""Validation: each rule is broken once, good records break none, and all of it is quick."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import samples
from protocol.iso2709 import (
    DecodedRecord,
    Field,
    MarcRecord,
    RawRecord,
    RefusedRecord,
    build,
    decode_record,
    parse,
    split,
)
from protocol.marcxml_reader import read_marcxml
from protocol.record import MarcFamily
from protocol.record_kind import RecordKind, kind_refusal, record_kind
from protocol.validation import Finding, Severity, check, validate
from protocol.validation_definition import FORMATS
from protocol.validation_fixed import FIXED_008, FIXED_UNIMARC
from protocol.validation_rules import RULES, Rule
from tests.marc_files import MarcFile, marc_files
from tests.property.test_marc import anything, families, fields, leaders

MARC21, UNIMARC = MarcFamily.MARC21, MarcFamily.UNIMARC

CNMARC_LEADER = "00000nam0 2200000   450 "
CNMARC = (
    "001 012002042862",
    "005 20020819212120.0",
    "010   $a7-81024-846-4$dCNY35.00",
    "100   $a20020819d2002    em y0chiy0121    ea",
    "101 0 $achi",
    "102   $aCN$b430000",
    "105   $aak  a   000yy",
    "106   $ar",
    "200 1 $a材料力学$Acai liao li xue$e典型题解析$f任钧国等编写",
    "210   $a长沙$c国防科技大学出版社$d2002.7",
    "215   $a354页$d26cm",
    "225 2 $a研究生入学考试指导丛书",
    "461  0$12001 $a研究生入学考试指导丛书",
    "606 0 $a材料力学$x研究生$x入学考试$j升学参考资料",
    "690   $aTB301$v4",
    "701  0$a任钧国$Aren jun guo$4编写",
    "801  0$aCN$bSRXX$c20020819",
    "905   $aSRXX$b0422151$b0422152$dTB301$eR481$f2",
)
MARC21_LEADER = "00000cam a2200000 a 4500"
BOOK = (
    "001 ocm1",
    "005 20240102030405.0",
    "008 850416s1985    nyua     b    001 0 eng  ",
    "020   $a0306406152 (pbk.) :$c$20.00",
    "040   $aDLC$cDLC",
    "041 1 $aeng$hfre",
    "100 1 $6880-01$aCao, Xueqin,$d1715?-1763.",
    "245 14$6880-02$aThe dream /$cCao Xueqin.",
    "260   $aNew York :$bPublisher,$cc1985.",
    "300   $a123 p. :$bill. ;$c24 cm.",
    "650  0$aDreams$xFiction$zChina$vFiction.",
    "880 1 $6100-01/$1$a曹雪芹",
    "880 10$6245-02/$1$a红楼梦",
    "999   $xlocal",
)


BOOK_008 = BOOK[2][4:]
GENERAL_DATA = CNMARC[3][8:]


def at(coded: str, changes: dict[int, str]) -> str:
    """A coded value with other characters from some positions on."""
    for start, text in changes.items():
        coded = coded[:start] + text + coded[start + len(text) :]
    return coded


def field_of(line: str) -> Field:
    """`245 10$aTitle` or `001 text`; the text of a data field begins with indicators."""
    tag, text = line[:3], line[4:]
    for code in "abcdefghijklmnopqrstuvwxyzA0123456789":
        if tag[:2] != "00":
            text = text.replace(f"${code}", f"\x1f{code}")
    return Field(tag, text.replace("$ ", "\x1f ").replace("\x1f20.00", "$20.00"))


def record_of(family: MarcFamily, *changes: str, leader: str = "") -> MarcRecord:
    """The good record of a family with changes: `-245`, `+500   $aNew`, `~100   $aOther`."""
    lines = list(CNMARC if family is UNIMARC else BOOK)
    for change in changes:
        tag = change[1:4]
        if change[0] == "+":
            lines.append(change[1:])
        else:
            at = next(index for index, line in enumerate(lines) if line.startswith(tag))
            lines[at : at + 1] = [change[1:]] if change[0] == "~" else []
    leader = leader or (CNMARC_LEADER if family is UNIMARC else MARC21_LEADER)
    return MarcRecord(leader, [field_of(line) for line in lines])


def leader_with(family: MarcFamily, position: int, value: str) -> str:
    leader = CNMARC_LEADER if family is UNIMARC else MARC21_LEADER
    return leader[:position] + value + leader[position + len(value) :]


def told(findings: list[Finding]) -> list[str]:
    return [f"{finding.rule.id} {finding.field}" for finding in findings]


@pytest.mark.parametrize("family", [MARC21, UNIMARC])
def test_a_good_record_has_no_finding(family: MarcFamily) -> None:
    assert validate(record_of(family), family) == []


def test_samples_have_no_finding() -> None:
    for database, family in samples.databases().items():
        for marc in samples.records(database):
            assert check(DecodedRecord(marc, "utf-8"), family) == [], (database, marc)


# Each rule, broken once: the changes to a good record, and all that is told.
BROKEN_MARC21 = [
    (("+500   $ax$ y",), ["subfield.code 500"]),
    (("+001 ocm2",), ["control.repeated 001[2]"]),
    (("+245 10$aOther",), ["field.repeated 245[2]"]),
    (("+013 no subfields",), ["field.structure 013"]),
    (("+003",), []),
    (("+004 x",), ["field.undefined 004"]),
    (("+511 Lx$ax",), ["indicator.invalid 511"]),
    (("+5 1   $ax",), ["tag.invalid 5 1"]),
    (("+FMT BK",), []),
    (("+590   $ax", "+949  9$ax", "+949 L $ax"), ["indicator.invalid 949[2]"]),
    (("+531   $ax",), ["field.undefined 531"]),
    (("+012   $ax", "+866  0$ax"), []),
    (("~245 25$aThe dream /",), ["indicator.undefined 245 ind1"]),
    (("~245 1 $aThe dream /",), ["indicator.undefined 245 ind2"]),
    (("~245 19$aThe dream$dx$ax",), ["subfield.undefined 245 $d", "subfield.repeated 245 $a"]),
    (("+500   $aa$b",), ["subfield.undefined 500 $b", "subfield.empty 500 $b"]),
    (("+500   $aa\x01b",), ["text.control 500"]),
    (("+500   $aa\u200db\x98The \x9cc",), []),
    (("+500   $aa\x98The",), ["text.nonsorting 500"]),
    (("+500   $aa\x9cThe\x98 x",), ["text.nonsorting 500"]),
    (("+500   $acaf\ufffd",), ["text.replacement 500"]),
    (("~020   $a0306406153",), ["isbn.check 020 $a"]),
    (("~020   $a9780306406158",), ["isbn.check 020 $a"]),
    (("~020   $a9780306406157 (cloth)", "+020   $a03064X", "+020   $z0306406153"),
     ["isbn.form 020[2] $a"]),
    (("+022   $a0378-5955", "+022   $a0378-5956", "+022   $a0378", "+022   $y0378-5956"),
     ["issn.check 022[2] $a", "issn.form 022[3] $a"]),
    (("~005 2024",), ["005.form 005"]),
    (("~041 1 $aengfre$hchn",), ["language.code 041 $h"]),
    (("~041 17$aen$2rfc3066", "+041   $aen"), ["language.code 041[2] $a"]),
    (("~008 850416s1986    nyua     b    001 0 eng  ",), ["date.agreement 008 /07-10"]),
    (("~008 850416s1985    nyua     b    001 0 chn  ",), ["language.code 008 /35-37"]),
    (("~880 1 $6100-01/$1$a曹雪芹$fx$fy", "+880   $ano link", "+880   $6531-03$ax"),
     ["subfield.repeated 880 $f", "880.link 880[3] $6", "880.link 880[4] $6"]),
    (("-008",), ["missing.coded-data 008"]),
    (("-245",), ["missing.title 245 $a"]),
    (("~245 10$cno title",), ["missing.title 245 $a"]),
    (("-040",), ["missing.source 040 $a"]),
    (("-260",), ["missing.publication 260"]),
    (("-260", "+264  1$aNew York$c[1985?]"), []),
    (("-300",), ["missing.extent 300"]),
    (("-300", "-260", "+773 08$tHost"), []),
    (("~008 850416",), ["008.length 008"]),
    (("~008 851316q1985    n2ua     b    001 0 en gx",),
     ["008.entered 008 /00-05", "008.place 008 /15-17", "008.language 008 /35-37",
      "008.modified 008 /38", "008.source 008 /39"]),
    ((f"~008 {at(BOOK_008, {6: 'Zabcdefgh', 18: 'qqqqxxAAAAx234', 33: 'yx'})}",),
     ["008.date-type 008 /06", "008.date-1 008 /07-10", "008.date-2 008 /11-14",
      "008.illustrations 008 /18-21", "008.audience 008 /22", "008.form 008 /23",
      "008.contents 008 /24-27",
      "008.government 008 /28", "008.conference 008 /29", "008.festschrift 008 /30",
      "008.index 008 /31", "008.literary-form 008 /33", "008.biography 008 /34"]),
]  # fmt: skip

BROKEN_UNIMARC = [
    (("~100   $a20020819",), ["100.length 100 $a"]),
    ((f"~100   $a{at(GENERAL_DATA, {4: '13', 8: 'x', 14: 'X', 17: 'zzzx9', 25: 'x0x', 34: 'z'})}",),
     ["100.entered 100 $a/00-07", "100.date-type 100 $a/08", "100.date-2 100 $a/13-16",
      "100.audience 100 $a/17-19", "100.government 100 $a/20", "100.modified 100 $a/21",
      "100.transliteration 100 $a/25", "100.charset 100 $a/26-33", "100.script 100 $a/34-35"]),
    (("~100   $a20020819|x002    em y0c1iy0121    ea",),
     ["100.date-1 100 $a/09-12", "100.language 100 $a/22-24"]),
    (("~100   $a20020819d2001    em y0chiy0121    ea",), ["date.agreement 100 /09-12"]),
    (("~105   $aak  a   000yyy",), ["105.length 105 $a"]),
    (("~105   $azk  A   234xx",),
     ["105.illustrations 105 $a/00-03", "105.contents 105 $a/04-07", "105.conference 105 $a/08",
      "105.festschrift 105 $a/09", "105.index 105 $a/10", "105.literary-form 105 $a/11",
      "105.biography 105 $a/12"]),
    (("~106   $aa",), ["106.form 106 $a/00"]),
    (("~106   $arr",), ["106.length 106 $a"]),
    (("~101 1 $achi",), ["101.translation 101 $c"]),
    (("~101 0 $achn",), ["language.code 101 $a"]),
    (("~102   $aCX", "+102   $azz"), ["field.repeated 102[2]", "country.code 102[2] $a"]),
    (("~010   $a7-81024-846-6$dCNY35.00", "+010   $dCNY5"), ["isbn.check 010 $a"]),
    (("+011   $a1001-9013",), ["issn.check 011 $a"]),
    (("+011   $a1001-901",), ["issn.form 011 $a"]),
    (("~801  0$aCN$c20020819",), ["801.agency 801", "missing.agency 801 $b"]),
    (("~801  0$aCN$bX$c2002",), ["801.date 801 $c"]),
    (("~905   $dTB301$f一册",), ["905.library 905 $a", "905.copies 905 $f"]),
    (("~905   $aPKU",), ["905.call-number 905"]),
    (("-100",), ["missing.general-data 100 $a"]),
    (("-101",), ["missing.language 101 $a"]),
    (("-102",), ["missing.country 102 $a"]),
    (("-105",), ["missing.monograph-data 105 $a"]),
    (("-200",), ["missing.title 200 $a"]),
    (("-210",), ["missing.publication 210"]),
    (("-215",), ["missing.extent 215 $a"]),
    (("-690",), ["missing.classification 690 $a"]),
    (("-690", "+692   $a29.972$v3"), []),
    (("-701",), ["recommended.author 700"]),
    (("-701", "+711 02$a国家统计局$Aguo jia tong ji ju$4编"), []),
    (("~200 1 $a\x98Le \x9cmot",), []),
    (("~200 1 $a\x98Le mot",), ["text.nonsorting 200"]),
    (("+096   $ax", "+AVA   $0x", "+935   $a", "+393   $aa"), []),
    (("+107   $ax",), ["field.undefined 107"]),
    (("~140   $ax", "-105"), []),
    (("+410  0$12001 $a丛书$12251 $v5$h第2辑",), []),
]  # fmt: skip


def check_broken(family: MarcFamily, changes: tuple[str, ...], expected: list[str]) -> None:
    changes = tuple(f"+{change[1:]}" if change[1:4] == "140" else change for change in changes)
    findings = validate(record_of(family, *changes), family)
    if "+140   $ax" in changes:
        expected = ["140.length 140 $a"]
    assert told(findings) == expected
    for finding in findings:
        assert finding.message()
        assert finding.message(chinese=True) != finding.message()


@pytest.mark.parametrize(("changes", "expected"), BROKEN_MARC21)
def test_what_is_wrong_with_marc_21_is_told(changes: tuple[str, ...], expected: list[str]) -> None:
    check_broken(MARC21, changes, expected)


@pytest.mark.parametrize(("changes", "expected"), BROKEN_UNIMARC)
def test_what_is_wrong_with_cnmarc_is_told(changes: tuple[str, ...], expected: list[str]) -> None:
    check_broken(UNIMARC, changes, expected)


@pytest.mark.parametrize(
    ("family", "position", "value", "expected"),
    [
        (MARC21, 5, "x", ["leader.status leader/05"]),
        (MARC21, 6, " ", ["leader.type leader/06"]),
        (MARC21, 7, "x", ["leader.level leader/07"]),
        (MARC21, 17, "9", ["leader.encoding-level leader/17"]),
        (MARC21, 18, "x", ["leader.form leader/18"]),
        (MARC21, 6, "z ", ["record.kind leader/06"]),
        (MARC21, 6, "ys", ["leader.type leader/06"]),
        (UNIMARC, 5, "x", ["leader.status leader/05"]),
        (UNIMARC, 6, "v", []),
        (UNIMARC, 6, "u", []),
        (UNIMARC, 6, "x ", ["record.kind leader/06"]),
        (UNIMARC, 7, "s", ["missing.serial-data leader"]),
        (UNIMARC, 17, "9", ["leader.encoding-level leader/17"]),
    ],
)
def test_leaders_are_checked(
    family: MarcFamily, position: int, value: str, expected: list[str]
) -> None:
    leader = leader_with(family, position, value)
    found = told(validate(record_of(family, leader=leader), family))
    if value == "s":
        assert found == ["missing.serial-data 110 $a"]
    else:
        assert found == expected


@pytest.mark.parametrize(
    ("family", "level", "missing"),
    [
        (MARC21, " ", ["source", "publication", "extent"]), (MARC21, "7", []),
        (MARC21, "1", ["source", "publication", "extent"]), (MARC21, "8", []),
        (UNIMARC, " ", ["country", "publication", "extent", "monograph-data", "classification"]),
        (UNIMARC, "1", ["publication"]), (UNIMARC, "2", ["publication"]),
        (UNIMARC, "3", ["country", "publication"]),
    ],
)  # fmt: skip
def test_what_is_mandatory_depends_on_the_level(
    family: MarcFamily, level: str, missing: list[str]
) -> None:
    changes = (
        ("-102", "-105", "-210", "-215", "-690") if family is UNIMARC else ("-040", "-260", "-300")
    )
    record = record_of(family, *changes, leader=leader_with(family, 17, level))
    findings = validate(record, family)
    assert [finding.rule.id for finding in findings] == [f"missing.{name}" for name in missing]
    assert {finding.rule.severity for finding in findings} <= {Severity.MISSING}
    assert all(finding.occurrence == 0 for finding in findings)


@pytest.mark.parametrize("family", [MARC21, UNIMARC])
def test_a_level_that_is_none_lets_no_record_off_its_title(family: MarcFamily) -> None:
    title = "-245" if family is MARC21 else "-200"
    record = record_of(family, title, leader=leader_with(family, 17, "9"))
    assert [finding.rule.id for finding in validate(record, family)] == [
        "leader.encoding-level", "missing.title"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("leader", "data", "expected"),
    [
        ("as", {18: "xA?xx"}, ["frequency", "regularity", "continuing-type", "original-form"]),
        ("as", {18: "mr p ", 33: "A9"}, ["alphabet", "entry"]),
        ("as", {18: "mr p x", 28: "x2"}, ["form", "government", "conference"]),
        ("jm", {18: "1xq?zy", 33: "?"},
         ["composition", "music-format", "parts", "audience", "form", "transposition"]),
        ("em", {25: "?", 28: "xx", 31: "9"}, ["map-type", "government", "form", "index"]),
        ("gm", {18: "xyz", 33: "??"}, ["running-time", "visual-type", "technique"]),
        ("mm", {26: "?"}, ["file-type"]),
        ("pc", {23: "y"}, ["form"]),
    ],
)  # fmt: skip
def test_008_is_checked_by_the_material(
    leader: str, data: dict[int, str], expected: list[str]
) -> None:
    good = {
        "as": "mr p       0   a0",
        "jm": "ppzn           n ",
        "em": "       a     0   ",
        "gm": "010            vl",
        "mm": "        a        ",
        "pc": "                 ",
    }
    coded = at(BOOK_008, {18: good[leader]})
    changed = leader_with(MARC21, 6, leader)
    assert validate(record_of(MARC21, f"~008 {coded}", leader=changed), MARC21) == []
    record = record_of(MARC21, f"~008 {at(coded, data)}", leader=changed)
    found = [finding.rule.id for finding in validate(record, MARC21)]
    assert found == [f"008.{name}" for name in expected]


def test_110_is_checked() -> None:
    leader = leader_with(UNIMARC, 7, "s")
    record = record_of(UNIMARC, "+110   $axAx00000000", leader=leader)
    assert [finding.rule.id for finding in validate(record, UNIMARC)] == [
        "110.serial-type", "110.frequency", "110.regularity"
    ]  # fmt: skip
    record = record_of(UNIMARC, "+110   $aaua", leader=leader)
    assert told(validate(record, UNIMARC)) == ["110.length 110 $a"]


def all_rules() -> Iterator[Rule]:
    yield from RULES.values()
    for fixed in [*FIXED_008.values(), *FIXED_UNIMARC.values()]:
        yield fixed.length_rule
        yield from (rule for _, _, rule in fixed.parts)
    for form in FORMATS.values():
        yield from (required.rule for required in form.required)


def test_every_rule_is_broken_by_a_case_of_these_tests() -> None:
    text = Path(__file__).read_text("utf-8")
    for rule in all_rules():
        group, _, name = rule.id.partition(".")
        assert f'"{rule.id}' in text or (group in ("008", "missing") and f'"{name}"' in text), rule
        assert rule.english
        assert not rule.chinese.isascii()
        assert rule.source


def test_rules_of_one_id_are_of_one_severity() -> None:
    by_id: dict[str, set[Severity]] = {}
    for rule in all_rules():
        by_id.setdefault(rule.id, set()).add(rule.severity)
    assert all(len(severities) == 1 for severities in by_id.values())


# Structure --------------------------------------------------------------------------


def test_what_reading_told_comes_first() -> None:
    marc = build(MARC21_LEADER, record_of(MARC21).fields)
    assert check(DecodedRecord(marc, "utf-8"), MARC21) == []
    refused = check(RefusedRecord(7, "x", "there is no directory"), MARC21)
    assert told(refused) == ["structure.unreadable record"]
    assert refused[0].message() == "the record cannot be read: there is no directory"
    mended = decode_record(b"00001" + marc[5:], MARC21)
    assert isinstance(mended, DecodedRecord)
    assert told(check(mended, MARC21)) == ["structure.mended record"]
    note = Field("520", f"  \x1fa{'字' * 5_000}")
    big = build(MARC21_LEADER, [*record_of(MARC21).fields, note], oversize=True)
    assert told(check(DecodedRecord(big, "utf-8"), MARC21)) == ["structure.oversize record"]


@given(leaders, fields(anything), families)
def test_any_record_can_be_validated(leader: str, content: list[Field], family: MarcFamily) -> None:
    record = parse(build(leader, content, oversize=True))
    for finding in validate(record, family):
        assert finding.message()
        assert finding.field
        assert finding == Finding(
            finding.rule, finding.tag, finding.occurrence, finding.place, finding.value
        )


@given(st.text(max_size=60), st.sampled_from(["008", "100", "020", "041", "880", "905"]))
def test_any_field_can_be_validated(text: str, tag: str) -> None:
    for family in MarcFamily:
        validate(
            MarcRecord(MARC21_LEADER, [Field(tag, text), Field(tag, f"  \x1fa{text}")]), family
        )


# Kinds ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("family", "codes", "kind"),
    [
        (MARC21, "acdefgijkmoprt ?", RecordKind.BIBLIOGRAPHIC),
        (MARC21, "z", RecordKind.AUTHORITY),
        (MARC21, "uvxy", RecordKind.HOLDINGS),
        (MARC21, "w", RecordKind.CLASSIFICATION),
        (MARC21, "q", RecordKind.COMMUNITY),
        (UNIMARC, "abcdefgijklmruv ", RecordKind.BIBLIOGRAPHIC),
        (UNIMARC, "xyz", RecordKind.AUTHORITY),
    ],
)
def test_the_kind_of_a_record_is_what_leader_06_says(
    family: MarcFamily, codes: str, kind: RecordKind
) -> None:
    for code in codes:
        leader = leader_with(family, 6, f"{code}n" if code == "q" else f"{code} ")
        assert record_kind(leader, family) is kind
        assert record_kind(leader_with(family, 6, f"{code}m"), family) is RecordKind.BIBLIOGRAPHIC
        refusal = kind_refusal(build(leader, [Field("001", "1")]), family)
        assert (refusal == "") == (kind is RecordKind.BIBLIOGRAPHIC)
        assert refusal == "" or (kind.value in refusal and f"leader/06 is {code}" in refusal)


# Real files -------------------------------------------------------------------------


def decoded(file: MarcFile, count_max: int) -> Iterator[DecodedRecord | RefusedRecord]:
    with file.open() as stream:
        if file.is_xml:
            yield from islice(read_marcxml(stream, file.family), count_max)
            return
        for record in islice(split(stream), count_max):
            if isinstance(record, RawRecord):
                yield decode_record(record.raw, file.family)
            else:
                yield record


# All that is found in good records, read by a cataloguer: each is a real slip.
GOOD_FILES = {
    "marc21/lc-british_library.xml.xz": {},
    "marc21/lc-loc_general.xml.xz": {"date.agreement": 1},
    "marc21/lc-dnb.xml.xz": {"indicator.undefined": 1},
    "marc21/lc-nlm.xml.xz": {"missing.extent": 1, "isbn.check": 1},
    "cnmarc/bnu-alma-sru-cnmarcxml.xml": {
        "100.audience": 2, "100.charset": 1, "105.literary-form": 1,
    },
    "unimarc/cmarc-38-marc21-source.mrc": {},
    "cjk/marc4j-oclc-utf8.mrc": {},
}  # fmt: skip


@pytest.mark.shared_data
@pytest.mark.parametrize("name", GOOD_FILES)
def test_good_records_have_next_to_no_findings(shared_data: Path, name: str) -> None:
    (file,) = (file for file in marc_files(shared_data) if file.name == name)
    found = Counter(
        finding.rule.id for record in decoded(file, 200) for finding in check(record, file.family)
    )
    assert found == GOOD_FILES[name]


@pytest.mark.shared_data
def test_records_that_are_not_bibliographic_have_one_finding(shared_data: Path) -> None:
    for file in marc_files(shared_data):
        if file.name.startswith("authority/") or file.name == "holdings/zdb-292.mrc":
            for record in decoded(file, 100):
                assert told(check(record, file.family)) == ["record.kind leader/06"]


@pytest.mark.shared_data
def test_every_real_record_is_validated_and_quickly(shared_data: Path) -> None:
    count, spent_s = 0, 0.0
    for file in marc_files(shared_data):
        for record in decoded(file, 20):
            begun = time.process_time()
            findings = check(record, file.family)
            spent_s += time.process_time() - begun
            count += 1
            assert all(finding.message() and finding.field for finding in findings)
    assert count > 900
    assert spent_s / count < 0.001  # 0.06 ms where nothing else runs

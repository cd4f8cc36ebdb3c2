"""MARCXML and marcxchange, written and read."""

from __future__ import annotations

import io
import re
import tracemalloc
import unicodedata
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import pymarc
import pytest
from lxml import etree

from protocol import marcxml, marcxml_reader
from protocol.cnmarcxml import to_cnmarcxml
from protocol.iso2709 import DecodedRecord, Field, RefusedRecord, build, control_number, parse
from protocol.marcxml import (
    MARCXCHANGE_NAMESPACE,
    MARCXML_NAMESPACE,
    marcxml_octets,
    to_marcxchange,
    to_marcxml,
)
from protocol.marcxml_reader import decode_marcxml, read_marcxml
from protocol.record import MarcFamily
from tests.marc_files import REFUSED, MarcFile, marc_files

MARC21, UNIMARC = MarcFamily.MARC21, MarcFamily.UNIMARC
LEADER = "00000nam a2200000 a 4500"
USUAL = [
    Field("100", "1 \x1faUsual, Ann & Co.\x1fd1949-"), Field("245", "10\x1fa红楼梦 /\x1fcby <her>.")
]  # fmt: skip


def same_octets(marc: bytes) -> None:
    """The short way gives what the long one does."""
    assert marcxml_octets(marc) == to_marcxml(marc).encode()


def elements_of(xml: str) -> tuple[str, list[tuple[str, ...]]]:
    """Leader, and each field as a tuple, as an XML parser sees them."""
    root = etree.fromstring(xml.encode())
    fields: list[tuple[str, ...]] = []
    leader = ""
    for child in root:
        name = etree.QName(child).localname
        if name == "leader":
            leader = child.text or ""
        elif name == "controlfield":
            fields.append((child.get("tag", ""), child.text or ""))
        else:
            subfields = [part for sub in child for part in (sub.get("code", ""), sub.text or "")]
            indicators = child.get("ind1", "") + child.get("ind2", "")
            fields.append((child.get("tag", ""), indicators, *subfields))
    return leader, fields


# Writing ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        (Field("001", "a<b>&c\"'"), ("001", "a<b>&c\"'")),
        (Field("245", "10\x1fa1 < 2 & \"3\" > 0\x1fb红楼梦"),
         ("245", "10", "a", '1 < 2 & "3" > 0', "b", "红楼梦")),
        (Field("200", "1 \x1fa\x98Le \x9cmot"), ("200", "1 ", "a", "\x98Le \x9cmot")),
        (Field("245", "10\x1fa\x00\x01b\x08c\x0bd\x0ce\x1af\x1bg"), ("245", "10", "a", "bcdefg")),
        (Field("245", "10\x1fatab\tline\nreturn\rend"),
         ("245", "10", "a", "tab\tline\nreturn\rend")),
        (Field("245", "10\x1fa\ufffe\uffffx\ufffd"), ("245", "10", "a", "x\ufffd")),
        (Field("245", "10\x1fa\U0001f642\x7f\x85"), ("245", "10", "a", "\U0001f642\x7f\x85")),
        (Field("245", "&<\x1f&x\x1f<y\x1f\"z\x1f>w"),
         ("245", "&<", "&", "x", "<", "y", '"', "z", ">", "w")),
        (Field("245", "\"'\x1fax"), ("245", "\"'", "a", "x")),
        (Field("245", "1\x1fax"), ("245", "1 ", "a", "x")),
        (Field("245", "\x1fax"), ("245", "  ", "a", "x")),
        (Field("245", "10 \x1fa&amp;"), ("245", "10", "a", "&amp;")),
        (Field("245", "10\x1f\x1fax\x1f"), ("245", "10", "a", "x")),
        (Field("245", "10\x1f红x"), ("245", "10", "红", "x")),
        (Field("FMT", "BK"), ("FMT", "BK")),
        (Field("500", "  no subfields"), ("500", "  no subfields")),
        (Field("001", "1\x1fax"), ("001", "1ax")),
        (Field("00A", "12\x1fax"), ("00A", "12ax")),
        (Field("245", ""), ("245", "")),
    ],
)  # fmt: skip
def test_a_field_reads_back_as_it_was_but_for_what_xml_forbids(
    field: Field, expected: tuple[str, ...]
) -> None:
    leader, fields = elements_of(to_marcxml(build(LEADER, [field])))
    assert fields == [expected]
    same_octets(build(LEADER, [field]))
    same_octets(build(LEADER, [Field("001", "1"), *USUAL, field, *USUAL]))
    assert len(leader) == 24


@pytest.mark.parametrize(
    "odd",
    [
        "10\x1f\x1fax", "10\x1fax\x1f", "10\x1f&x\x1fay", '10\x1f<"x\x1fay', "1\x1fax", "\x1f", "1",
        "&<\x1fax", "10x\x1fay", "é0\x1fax", "", '</subfield><subfield code="a">',
    ],
)  # fmt: skip
@pytest.mark.parametrize("tag", ["001", "00A", "245", "F<T"])
def test_an_odd_field_changes_nothing_about_its_neighbours(tag: str, odd: str) -> None:
    first, last = Field("100", '1 \x1fa"A" & B\x1fd1 > 0'), Field("500", "  \x1fax\x1fby")
    plain = to_marcxml(build(LEADER, [Field("003", "x"), first, last]))
    among = to_marcxml(build(LEADER, [Field("003", "x"), first, Field(tag, odd), last]))
    alone = to_marcxml(build(LEADER, [Field(tag, odd)]))
    start = alone.index("</leader>") + len("</leader>")
    field = alone[start : -len("</record>")]
    assert field in among
    same_octets(build(LEADER, [Field("003", "x"), first, Field(tag, odd), last]))
    assert (
        among[among.index("<controlfield") :].replace(field, "", 1)
        == (plain[plain.index("<controlfield") :])
    )


def test_records_as_most_are_take_the_short_way(monkeypatch: pytest.MonkeyPatch) -> None:
    records = [
        build(LEADER, [Field("001", "1"), Field("008", ""), *USUAL]),
        build(LEADER, [Field("245", "10\x1faA <b> & \x98红\x9c\r\x7f\x1fb\x1f9c")]),
        build(LEADER, USUAL * 40),
    ]
    expected = [to_marcxml(record).encode() for record in records]
    monkeypatch.setattr(marcxml, "to_marcxml", None)
    assert [marcxml_octets(record) for record in records] == expected


def test_no_record_fills_the_memory_with_beginnings_of_fields(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(marcxml, "_ELEMENTS_KEPT_MAX", len(marcxml._OPEN_BOTH) + 3)
    for number in range(300, 400):
        same_octets(build(LEADER, [Field("001", "1"), Field(str(number), "79\x1fZx")]))
    assert len(marcxml._OPEN_BOTH) <= marcxml._ELEMENTS_KEPT_MAX


@pytest.mark.parametrize(
    "damage",
    [
        lambda marc: marc.replace(b"Usual", b"Us\xffal"),
        lambda marc: marc.replace(b"\x1e", b"", 1),
        lambda marc: marc[:24] + b"\x1e" + marc[24:],
        lambda marc: b"",
        lambda marc: marc[:20],
    ],
)
def test_what_is_no_stored_record_is_told_in_the_same_way(
    damage: Callable[[bytes], bytes],
) -> None:
    marc = damage(build(LEADER, [Field("001", "1"), *USUAL]))
    with pytest.raises(ValueError) as expected:
        to_marcxml(marc)
    with pytest.raises(type(expected.value)) as found:
        marcxml_octets(marc)
    assert str(found.value) == str(expected.value)


def test_the_namespaces_and_attributes_are_those_of_the_standards() -> None:
    marc = build(LEADER, [Field("001", "1")])
    root = etree.fromstring(to_marcxml(marc))
    assert root.tag == f"{{{MARCXML_NAMESPACE}}}record"
    assert len(root.attrib) == 0
    root = etree.fromstring(to_marcxchange(marc, UNIMARC))
    assert root.tag == f"{{{MARCXCHANGE_NAMESPACE}}}record"
    assert (root.get("format"), root.get("type")) == ("UNIMARC", "Bibliographic")


@pytest.mark.parametrize(
    "leader", ["00000nam0 2200000   450 ", '00000n&m<"2200000>  45  ', "00000nam1-22     ---4500"]
)
def test_a_leader_always_has_24_characters(leader: str) -> None:
    marc = build(leader, [Field("001", "1")])
    same_octets(marc)
    same_octets(build(leader, [Field("001", "1"), *USUAL]))
    found, _ = elements_of(to_cnmarcxml(marc))
    assert found == parse(marc).leader
    assert found[5:12] + found[17:] == leader[5:12] + leader[17:]
    assert len(elements_of(to_marcxml(marc))[0]) == 24


def test_controls_in_a_leader_become_blanks() -> None:
    marc = build(LEADER, [Field("001", "1")])
    found, _ = elements_of(to_marcxml(marc[:6] + b"\x00\x1f" + marc[8:]))
    assert found[5:9] == "n   "


def test_a_record_beyond_iso_2709_is_fine_in_xml() -> None:
    fields = [Field("500", f"  \x1fa{'字' * 9_000}") for _ in range(20)]
    marc = build(LEADER, [Field("001", "big"), *fields], oversize=True)
    assert len(marc) > 500_000
    leader, found = elements_of(to_marcxml(marc))
    assert len(found) == 21
    assert leader[:5] == "99999"
    again = decode_marcxml(to_marcxml(marc).encode(), MARC21)
    assert isinstance(again, DecodedRecord)
    assert again.marc == marc


def test_fields_come_in_the_order_of_the_directory() -> None:
    raw = (
        b"00000nam a2200061 a 4500" b"001000200010" b"245001000000" b"\x1e"
        b"10\x1faTitle\x1e" b"1\x1e" b"\x1d"
    )  # fmt: skip
    raw = raw[:12] + b"00049" + raw[17:]
    _, fields = elements_of(to_marcxml(raw))
    assert fields == [("001", "1"), ("245", "10", "a", "Title")]
    same_octets(raw)


def test_control_fields_come_before_all_others() -> None:
    fields = [
        Field("245", "10\x1faT"),
        Field("001", "1"),
        Field("100", "  \x1fa"),
        Field("008", ""),
    ]
    _, found = elements_of(to_marcxml(build(LEADER, fields)))
    assert [field[0] for field in found] == ["001", "008", "245", "100"]
    same_octets(build(LEADER, fields))
    unsorted = [Field("001", "1"), Field("500", "  \x1fa"), Field("245", "10\x1faT")]
    _, found = elements_of(to_marcxml(build(LEADER, unsorted)))
    assert [field[0] for field in found] == ["001", "500", "245"]


# Reading ----------------------------------------------------------------------------

RECORD = (
    '<record><leader>00000nam a2200000 a 4500</leader><controlfield tag="001">{}</controlfield>'
    '<datafield tag="245" ind1="1" ind2="0"><subfield code="a">T</subfield></datafield></record>\n'
)
OPEN = f'<?xml version="1.0"?>\n<c:collection xmlns:c="urn:x" xmlns="{MARCXML_NAMESPACE}">\n'
CLOSE = "</c:collection>"


def numbers(xml: str | bytes) -> list[str]:
    """001 of each record; in parentheses if refused."""
    octets = xml.encode() if isinstance(xml, str) else xml
    return [
        f"({record.control_number})" if isinstance(record, RefusedRecord)
        else control_number(record.marc)
        for record in read_marcxml(octets, MARC21)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (OPEN + RECORD.format(1) + RECORD.format(2) + CLOSE, ["1", "2"]),
        (OPEN + RECORD.format("\x01") + RECORD.format(2) + CLOSE, ["(\x01)", "2"]),
        (OPEN + RECORD.format(1) + RECORD.format("&nbsp;") + RECORD.format(3) + CLOSE,
         ["1", "(&nbsp;)", "3"]),
        (OPEN + RECORD.format(1) + RECORD.format("a & b") + RECORD.format(3) + CLOSE,
         ["1", "(a & b)", "3"]),
        (OPEN + RECORD.format(1) + RECORD.format(2)[:-10] + RECORD.format(3) + CLOSE,
         ["1", "(2)", "3"]),
        (OPEN + RECORD.format(1) + "</x>" + RECORD.format(2) + CLOSE, ["1", "(2)", "2"]),
        (OPEN + RECORD.format(1) + RECORD.format(2)[:60], ["1", "()"]),
        (OPEN + RECORD.format(1), ["1", "()"]),
        (OPEN + RECORD.format(1) + CLOSE + "junk", ["1", "()"]),
        (OPEN + CLOSE, ["()"]),
        ("", ["()"]),
        ("no XML at all", ["()"]),
        (b"\x00\xff\xfe" * 30, ["()"]),
        ("<a>" * 100_000, ["()"]),
        ('<!DOCTYPE x [<!ENTITY e "v">]>' + OPEN[22:] + RECORD.format("&e;") + CLOSE, ["()"]),
        (RECORD.format(7), ["7"]),
        (OPEN.replace('1.0"', '1.0" encoding="gb18030"') + RECORD.format("1") + CLOSE, ["1"]),
        ((OPEN.replace('1.0"', '1.0" encoding="utf-16"') + RECORD.format("1") + CLOSE).encode(
            "utf-16"), ["1"]),
    ],
)  # fmt: skip
def test_a_broken_record_never_stops_a_document(document: str | bytes, expected: list[str]) -> None:
    found = numbers(document)
    if found and found[-1] != expected[-1] and expected[-1] == "()":
        # An end that is missing is told with what number the last octets hold.
        found[-1] = "()"
    assert found == expected


def test_a_document_in_another_set_is_read_on_behind_a_break() -> None:
    document = OPEN.replace('1.0"', '1.0" encoding="GB18030"').encode() + b"".join(
        RECORD.format(number).encode("gb18030") for number in ("一", "二\x01", "三")
    )
    assert [number for number in numbers(document + CLOSE.encode()) if number[0] != "("] == [
        "一", "三"
    ]  # fmt: skip


def test_a_break_is_told_with_its_line() -> None:
    document = OPEN + RECORD.format(1) + RECORD.format("\x01") + RECORD.format(3)
    document += RECORD.format(4).replace(' tag="001"', "") + CLOSE
    refused = [
        record for record in read_marcxml(document.encode(), MARC21)
        if isinstance(record, RefusedRecord)
    ]  # fmt: skip
    assert [record.reason for record in refused] == [
        "not well-formed XML at line 4: PCDATA invalid Char value 1",
        "a controlfield without tag, in the record that begins at line 6",
    ]
    assert refused[1].offset == document.index("</record>", document.index(">3<")) + len(
        "</record>"
    )


@pytest.mark.parametrize("read_size", [1, 10, 97])
def test_a_document_may_come_in_any_pieces(monkeypatch: pytest.MonkeyPatch, read_size: int) -> None:
    monkeypatch.setattr(marcxml_reader, "READ_SIZE_BYTES", read_size)
    document = OPEN + RECORD.format(1) + RECORD.format("\x01") + RECORD.format(3) + CLOSE
    assert numbers(document) == ["1", "(\x01)", "3"]


def test_a_record_that_never_ends_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(marcxml_reader, "READ_SIZE_BYTES", 1_000)
    monkeypatch.setattr(marcxml_reader, "FRAME_SIZE_BYTES_MAX", 10_000)
    document = (OPEN + RECORD.format(1) + "<record>" + "x" * 50_000).encode()
    records = list(read_marcxml(io.BytesIO(document), MARC21))
    assert isinstance(records[1], RefusedRecord)
    assert "no record ends within" in records[1].reason
    assert len(records) == 2


def body(inner: str) -> bytes:
    return f"<record><leader>{LEADER}</leader>{inner}</record>".encode()


@pytest.mark.parametrize(
    ("xml", "reason"),
    [
        (b'<record><controlfield tag="001">1</controlfield></record>', "there is no leader"),
        (body(""), "there are no fields"),
        (body('<controlfield tag="245"/>').replace(LEADER.encode(), b"short"), "5 characters"),
        (body('<controlfield tag="001"/>').replace(b"nam", b"n\xc3\xa9m"), "not ASCII"),
        (body('<datafield ind1="1" ind2="0"/>'), "a datafield without tag"),
        (body('<controlfield tag="0 1">x</controlfield>'), "a tag '0 1'"),
        (body('<controlfield tag="é01">x</controlfield>'), "a tag 'é01'"),
        (body('<datafield tag="001"><subfield code="a">x</subfield></datafield>'),
         "field 001 with subfields"),
        (body('<datafield tag="245" ind1="10"/>'), "field 245 has ind1 '10'"),
        (body('<datafield tag="245"><subfield>x</subfield></datafield>'), "without code"),
        (body('<datafield tag="245"><subfield code="ab">x</subfield></datafield>'), "'ab'"),
        (body('<datafield tag="245"><subfields code="a">x</subfields></datafield>'),
         "element subfields is no part of field 245"),
        (body('<datafield tag="245"><subfield code="a">x<b>y</b></subfield></datafield>'),
         "b inside subfield"),
        (body("<field/>"), "element field is no part of a record"),
    ],
)  # fmt: skip
def test_a_record_that_is_no_marc_is_refused_with_its_reason(xml: bytes, reason: str) -> None:
    record = decode_marcxml(xml, MARC21)
    assert isinstance(record, RefusedRecord)
    assert reason in record.reason


@pytest.mark.parametrize(
    ("xml", "leader", "field", "warning"),
    [
        (body('<datafield tag="245"><subfield code="a">x</subfield></datafield>'), LEADER,
         Field("245", "  \x1fax"), ""),
        (body('<datafield tag="42" ind1="" ind2=" "><subfield code="a"/></datafield>'), LEADER,
         Field("042", "  \x1fa"), "tag 42 had lost its zeros"),
        (body('<controlfield tag="001">x</controlfield>').replace(LEADER.encode(),
                                                                 b"      Z   22 4500"),
         "      Z  a22        4500", Field("001", "x"), "the leader had lost blanks"),
        (body('<controlfield tag="001">x</controlfield><datafield tag="INST"/>'), LEADER,
         Field("001", "x"), "field INST was left out"),
        (body('<controlfield tag="001">x<!-- c -->y</controlfield>'), LEADER,
         Field("001", "xy"), ""),
        (body('<controlfield tag="001"><![CDATA[<&>]]></controlfield>'), LEADER,
         Field("001", "<&>"), ""),
        (body('<controlfield tag="001">&#x98;&lt;</controlfield>'), LEADER,
         Field("001", "\x98<"), ""),
    ],
)  # fmt: skip
def test_what_is_plain_is_mended_with_a_warning(
    xml: bytes, leader: str, field: Field, warning: str
) -> None:
    record = decode_marcxml(xml, MARC21)
    assert isinstance(record, DecodedRecord)
    parsed = parse(record.marc)
    assert parsed.fields == [field]
    assert parsed.leader[5:12] + parsed.leader[17:] == leader[5:12] + leader[17:]
    assert [text for text in record.warnings if warning in text] == list(record.warnings)
    assert bool(record.warnings) == bool(warning)


def test_leader_09_is_unicode_in_marc_21_and_untouched_in_unimarc() -> None:
    xml = body('<controlfield tag="001">1</controlfield>').replace(b" a22", b"  22")
    marc21, unimarc = decode_marcxml(xml, MARC21), decode_marcxml(xml, UNIMARC)
    assert isinstance(marc21, DecodedRecord)
    assert isinstance(unimarc, DecodedRecord)
    assert marc21.marc[9:10] == b"a"
    assert unimarc.marc[9:10] == b" "


def test_an_upload_holds_one_record() -> None:
    two = decode_marcxml((OPEN + RECORD.format(1) * 2 + CLOSE).encode(), MARC21)
    assert isinstance(two, RefusedRecord)
    assert two.reason == "2 records in place of one"
    none = decode_marcxml((OPEN + CLOSE).encode(), MARC21)
    assert isinstance(none, RefusedRecord)
    assert none.reason == "the document holds no MARC record"


def test_expanding_entities_cost_nothing() -> None:
    entities = '<!ENTITY a0 "ha">' + "".join(
        f'<!ENTITY a{level} "{f"&a{level - 1};" * 10}">' for level in range(1, 12)
    )
    bomb = f"<!DOCTYPE x [{entities}]><record><leader>&a11;</leader></record>"
    tracemalloc.start()
    try:
        (record,) = read_marcxml(bomb.encode(), MARC21)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert isinstance(record, RefusedRecord)
    assert peak < 5_000_000


@pytest.mark.parametrize("family", [MARC21, UNIMARC])
@pytest.mark.parametrize("prefix", ["", "mx:"])
def test_marcxchange_is_read_as_it_was_written(family: MarcFamily, prefix: str) -> None:
    leader = LEADER if family is MARC21 else "00000nam0 2200000   450 "
    fields = [
        Field("001", "b1"),
        Field.of("200", "1 ", [("a", "\x98Le \x9cmot & 红楼梦"), ("A", "x")]),
    ]
    marc = build(leader, fields)
    record = to_marcxchange(marc, family)
    if prefix:  # as systems that bind a prefix write it
        record = re.sub("<(/?)", "<\\1mx:", record).replace("xmlns=", "xmlns:mx=")
    document = (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<{prefix}collection '
        f'xmlns{":mx" if prefix else ""}="{MARCXCHANGE_NAMESPACE}">{record}\n{record}'
        f"</{prefix}collection>"
    )
    assert list(read_marcxml(document.encode(), family)) == [DecodedRecord(marc, "utf-8")] * 2


# Real files -------------------------------------------------------------------------


def check_whole(file: MarcFile) -> None:
    read = refused = 0
    with file.open() as stream:
        for record in read_marcxml(stream, file.family):
            if isinstance(record, RefusedRecord):
                refused += 1
                continue
            read += 1
            if read % 10 == 1:
                again = decode_marcxml(to_cnmarcxml(record.marc).encode(), file.family)
                assert again == DecodedRecord(record.marc, "utf-8"), file.name
                same_octets(record.marc)
                slim = decode_marcxml(to_marcxml(record.marc).encode(), file.family)
                assert isinstance(slim, DecodedRecord)
                assert parse(slim.marc).fields == parse(record.marc).fields, file.name
    assert refused == REFUSED.get(file.name, (0, ""))[0], file.name
    assert read + refused == file.count, file.name


@pytest.mark.shared_data
def test_every_small_document_is_read_whole(shared_data: Path) -> None:
    files = [file for file in marc_files(shared_data) if file.is_xml and file.count < 1_200]
    assert len(files) > 30
    for file in files:
        check_whole(file)


@pytest.mark.long
@pytest.mark.shared_data
@pytest.mark.timeout(600)
def test_every_big_document_is_read_whole_in_bounded_memory(shared_data: Path) -> None:
    for file in marc_files(shared_data):
        if file.is_xml and file.count >= 1_200:
            check_whole(file)


@pytest.mark.shared_data
def test_a_big_document_is_read_in_bounded_memory(shared_data: Path) -> None:
    (file,) = (file for file in marc_files(shared_data) if file.name.endswith("serial-set.xml.zip"))
    with file.open() as stream:
        records = read_marcxml(stream, MARC21)
        assert len(list(islice(records, 200))) == 200
        tracemalloc.start()
        try:
            assert all(isinstance(record, DecodedRecord) for record in islice(records, 400))
            assert tracemalloc.get_traced_memory()[1] < 10_000_000
        finally:
            tracemalloc.stop()


@pytest.mark.shared_data
@pytest.mark.parametrize(
    "name",
    [
        "cjk/trln-cjk.xml", "cjk/princeton-voyager-cjk.xml", "marc21/koha-bib.xml.xz",
        "union/aco-uaena.xml.xz", "holdings/evergreen-serials-mfhd.xml", "bad/marc4j-sample1a.xml",
    ],
)  # fmt: skip
def test_pymarc_reads_the_same_fields(shared_data: Path, name: str) -> None:
    (file,) = (file for file in marc_files(shared_data) if file.name == name)
    octets = file.read()
    ours = [
        parse(record.marc)
        for record in read_marcxml(octets, MARC21)
        if isinstance(record, DecodedRecord)
    ]
    theirs = pymarc.parse_xml_to_array(io.BytesIO(octets))  # type: ignore[no-untyped-call]
    assert len(ours) == len(theirs)
    for mine, other in zip(ours, theirs, strict=True):
        assert [(field.tag, nfc(field.text)) for field in mine.fields] == [
            (field.tag, nfc(text_of(field))) for field in other.fields
        ]


def text_of(field: pymarc.Field) -> str:
    if field.control_field:
        return field.data or ""
    subfields = "".join(f"\x1f{subfield.code}{subfield.value}" for subfield in field.subfields)
    return "".join(field.indicators or ()) + subfields


def nfc(text: str) -> str:
    return unicodedata.normalize("NFC", text)

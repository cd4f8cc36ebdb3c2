"""MARC records of any content survive every form, and any octets are read or refused."""

from __future__ import annotations

import io
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from protocol import iso2709_structure
from protocol.brief import to_brief_marc, to_brief_sutrs, to_sutrs
from protocol.charset import ENCODINGS, OUTPUT_ENCODINGS
from protocol.combining import is_mark
from protocol.dublin_core import to_dublin_core
from protocol.iso2709 import (
    DecodedRecord,
    EncodingFailure,
    Field,
    MalformedRecord,
    RawRecord,
    RefusedRecord,
    build,
    control_field,
    decode_record,
    encode_record,
    parse,
    split,
)
from protocol.marcxml import marcxml_octets, to_marcxchange, to_marcxml
from protocol.marcxml_reader import decode_marcxml, read_marcxml
from protocol.record import MarcFamily

DELIMITERS = "\x1d\x1e\x1f"
anything = st.text(st.characters(exclude_categories=["Cs"], exclude_characters=DELIMITERS))
# What XML and MARC-8 hand back unchanged: no controls, no characters that
# Unicode counts as the same as others.
plain = st.text(
    st.sampled_from(
        "abcXYZ019 .,:;/-&<>\"'éüñřđłøæßαβАбвж东京図書館中国漢字가나ひらカナ　、。שלום عربي"
    )
    | st.characters(max_codepoint=0x2000, categories=["L", "N", "P", "S"])
)
codes = st.sampled_from("abcdefghijklmnopqrstuvwxyz0123456789A")
tags = st.from_regex(r"[0-9]{3}", fullmatch=True)
families = st.sampled_from(MarcFamily)
leaders = st.from_regex(r"[0-9]{5}[a-z ]{5}22[0-9]{5}[a-z0-9 |]{3}45[0 -]{2}", fullmatch=True)


def fields(texts: st.SearchStrategy[str]) -> st.SearchStrategy[list[Field]]:
    control = st.builds(Field, tags.map(lambda tag: f"00{tag[2]}"), texts)
    data = st.builds(
        Field.of,
        tags.filter(lambda tag: not tag.startswith("00")),
        st.from_regex(r"[0-9 ]{2}", fullmatch=True),
        st.lists(st.tuples(codes, texts), min_size=1, max_size=5),
    )
    return st.lists(control | data, min_size=1, max_size=12)


@given(leaders, fields(anything), families)
def test_a_built_record_parses_to_itself_and_is_stored_as_it_is(
    leader: str, content: list[Field], family: MarcFamily
) -> None:
    marc = build(leader, content, oversize=True)
    record = parse(marc)
    assert record.fields == content
    assert record.leader[5:12] + record.leader[17:] == leader[5:12] + leader[17:]
    assert build(record.leader, record.fields, oversize=True) == marc
    decoded = decode_record(marc, family, "utf-8")
    assert isinstance(decoded, DecodedRecord)
    assert decoded.marc == marc
    for field in content:
        assert field.is_control or Field.of(field.tag, field.indicators, field.subfields) == field
    if content[0].tag < "010":
        assert control_field(marc, content[0].tag) == content[0].text


@given(leaders, fields(anything), families)
def test_gb18030_holds_every_record(leader: str, content: list[Field], family: MarcFamily) -> None:
    marc = build(leader, content, oversize=True)
    gb18030 = encode_record(marc, family, "gb18030")
    if isinstance(gb18030, EncodingFailure):
        assert "ISO 2709 allows" in gb18030.reason
        return
    assert int(gb18030[:5]) == len(gb18030)
    again = decode_record(gb18030, family, "gb18030")
    assert isinstance(again, DecodedRecord)
    assert parse(again.marc).fields == content


@given(fields(plain))
def test_marc_8_reads_what_it_writes(content: list[Field]) -> None:
    content = [Field(field.tag, unicodedata.normalize("NFC", field.text)) for field in content]
    marc = build("00000nam a2200000 a 4500", content)
    marc8 = encode_record(marc, MarcFamily.MARC21, "marc-8")
    if isinstance(marc8, EncodingFailure):
        assert marc8.character
        marc8 = encode_record(marc, MarcFamily.MARC21, "marc-8", references=True)
        assert isinstance(marc8, bytes)
    again = decode_record(marc8, MarcFamily.MARC21, "marc-8")
    assert isinstance(again, DecodedRecord)
    found = [
        Field(field.tag, unicodedata.normalize("NFC", field.text))
        for field in parse(again.marc).fields
    ]
    if not any(is_mark(character) for field in content for character in field.text):
        assert found == content


def readable_in_xml(text: str) -> str:
    """What of `text` an XML document may hold."""
    return "".join(
        character
        for character in text
        if character in "\t\n\r" or (character >= " " and character not in "\ufffe\uffff")
    )


@given(leaders, fields(anything), families)
def test_marcxml_is_well_formed_and_loses_only_what_xml_forbids(
    leader: str, content: list[Field], family: MarcFamily
) -> None:
    marc = build(leader, content, oversize=True)
    assert etree.fromstring(to_marcxchange(marc, family).encode()) is not None
    assert marcxml_octets(marc) == to_marcxml(marc).encode()
    again = decode_marcxml(to_marcxml(marc).encode(), family)
    assert isinstance(again, DecodedRecord)
    expected = [
        Field(field.tag, "\x1f".join(map(readable_in_xml, field.text.split("\x1f"))))
        for field in sorted(content, key=lambda field: field.tag[:2] != "00")  # control first
    ]
    assert parse(again.marc).fields == expected


@given(leaders, fields(anything), families)
def test_every_form_for_people_is_valid(
    leader: str, content: list[Field], family: MarcFamily
) -> None:
    marc = build(leader, content, oversize=True)
    assert etree.fromstring(to_dublin_core(marc, family)) is not None
    brief = to_brief_marc(marc, family)
    assert len(brief) < 99_999
    assert isinstance(decode_record(brief, family, "utf-8"), DecodedRecord)
    for text in (to_sutrs(marc, family), to_brief_sutrs(marc, family)):
        assert text == b"" or text.endswith(b"\n")
        assert not set(text.decode()) & set(DELIMITERS)


def check_any_octets(octets: bytes, family: MarcFamily, encoding: str) -> None:
    """Reading ends, raises nothing, and gives only records that every form can be made of."""
    position = -1
    for record in split(io.BytesIO(octets)):
        assert record.offset > position
        position = record.offset
        if isinstance(record, RawRecord):
            decoded = decode_record(record.raw, family, encoding, offset=record.offset)
            if isinstance(decoded, DecodedRecord):
                check_stored(decoded, family)
                continue
            record = decoded  # noqa: PLW2901
        assert record.reason


def check_stored(decoded: DecodedRecord, family: MarcFamily) -> None:
    marc = decoded.marc
    parsed = parse(marc)
    assert (
        decode_record(marc, family, "utf-8") == DecodedRecord(marc, "utf-8") or len(marc) > 99_999
    )
    etree.fromstring(marcxml_octets(marc))
    assert marcxml_octets(marc) == to_marcxml(marc).encode()
    etree.fromstring(to_dublin_core(marc, family))
    for encoding in OUTPUT_ENCODINGS:
        assert isinstance(encode_record(marc, family, encoding), bytes | EncodingFailure)
    assert build(parsed.leader, parsed.fields, oversize=True)


BASE = build(
    "00000nam a2200000 a 4500",
    [
        Field("001", "ocm12345"),
        Field("100", "  \x1fa20020819d2002    em y0chiy0121    ea"),
        Field("245", "10\x1faÉlan 红楼梦 /\x1fc曹雪芹著."),
        Field("260", "  \x1fa北京 :\x1fbX,\x1fc1957."),
    ],
)
MARC8 = build(
    "00000nam  2200000 a 4500",
    [Field("001", "1"), Field("880", "10\x1fa红楼梦 é t͡s Иван\x1fbשלום")],
    "marc-8",
)


@st.composite
def damaged_files(draw: st.DrawFn) -> bytes:
    """A file of good records in which octets were changed, put in or cut out."""
    octets = bytearray(b"".join(draw(st.lists(st.sampled_from([BASE, MARC8]), max_size=3))) or BASE)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(len(octets) - 1, 0)))
        kind = draw(st.sampled_from(["change", "insert", "cut", "repeat"]))
        if kind == "change" and octets:
            octets[at] = draw(st.sampled_from([*b"\x1b\x1d\x1e\x1f\x00 09a\xff\xe2\xc3"]))
        elif kind == "insert":
            octets[at:at] = draw(st.binary(max_size=6))
        elif kind == "cut":
            del octets[at : at + draw(st.integers(1, 40))]
        else:
            octets[at:at] = octets[at : at + draw(st.integers(1, 60))]
    return bytes(octets)


@given(damaged_files(), families, st.sampled_from(["auto", *ENCODINGS]))
def test_damaged_files_are_read_or_refused(
    octets: bytes, family: MarcFamily, encoding: str
) -> None:
    check_any_octets(octets, family, encoding)


@given(st.binary(max_size=300), families, st.sampled_from(["auto", *ENCODINGS]))
def test_random_octets_are_read_or_refused(
    octets: bytes, family: MarcFamily, encoding: str
) -> None:
    check_any_octets(octets, family, encoding)
    for marc in (octets, BASE[:24] + octets):
        try:
            parse(marc)
        except MalformedRecord as error:
            assert str(error)


@pytest.mark.long
@pytest.mark.timeout(1_200)
@settings(max_examples=10_000, deadline=None)
@given(damaged_files(), families, st.sampled_from(["auto", *ENCODINGS]))
def test_very_many_damaged_files_are_read_or_refused(
    octets: bytes, family: MarcFamily, encoding: str
) -> None:
    check_any_octets(octets, family, encoding)


@given(st.lists(st.sampled_from([BASE, MARC8, b"\n", BASE[:50], b"junk"])), st.integers(1, 60))
def test_records_do_not_depend_on_how_a_file_is_read(parts: list[bytes], read_size: int) -> None:
    octets = b"".join(parts)
    expected = list(split(octets))
    before = iso2709_structure.READ_SIZE_BYTES
    iso2709_structure.READ_SIZE_BYTES = read_size
    try:
        assert list(split(octets)) == expected
    finally:
        iso2709_structure.READ_SIZE_BYTES = before


DOCUMENT = (
    '<?xml version="1.0"?>\n<collection xmlns="http://www.loc.gov/MARC21/slim">'
    + to_marcxml(BASE) * 2
    + "</collection>"
).encode()


@given(
    st.lists(st.tuples(st.integers(0, len(DOCUMENT) - 1), st.binary(max_size=5)), max_size=4),
    families,
)
def test_damaged_documents_are_read_or_refused(
    changes: list[tuple[int, bytes]], family: MarcFamily
) -> None:
    octets = bytearray(DOCUMENT)
    for at, inserted in changes:
        octets[at : at + 3] = inserted
    records = list(read_marcxml(bytes(octets), family))
    assert records
    for record in records:
        if isinstance(record, DecodedRecord):
            check_stored(record, family)
        else:
            assert isinstance(record, RefusedRecord)
            assert record.reason

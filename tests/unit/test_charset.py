"""Character sets: MARC-8, ISO 5426, GB18030, their detection, and output in each."""

from __future__ import annotations

import re
import subprocess
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest
from pymarc.marc8_mapping import CODESETS

from protocol.charset import (
    Undecodable,
    Unencodable,
    UnknownEncoding,
    canonical_encoding,
    decode_text,
    encode_text,
    likely_encodings,
)
from protocol.iso2709 import (
    DecodedRecord,
    EncodingFailure,
    Field,
    RawRecord,
    RefusedRecord,
    build,
    decode_record,
    encode_record,
    parse,
    split,
)
from protocol.iso2709_structure import Structure, assemble, dissect
from protocol.marc8 import EAST_ASIAN
from protocol.marcxml_reader import read_marcxml
from protocol.record import MarcFamily
from tests.marc_files import MarcFile, marc_files

MARC21, UNIMARC = MarcFamily.MARC21, MarcFamily.UNIMARC
LEADER = "00000nam  2200000 a 4500"


def test_names_of_sets_are_folded_to_one() -> None:
    assert canonical_encoding("GBK") == canonical_encoding("gb2312") == "gb18030"
    assert canonical_encoding("UTF8") == canonical_encoding(" utf-8 ") == "utf-8"
    assert canonical_encoding("MARC8") == "marc-8"
    assert canonical_encoding("ISO_5426") == "iso-5426"
    with pytest.raises(UnknownEncoding):
        canonical_encoding("ebcdic")


# MARC-8 -----------------------------------------------------------------------------

MARC8_BOTH_WAYS = [
    (b"plain", "plain"),
    (b"Schr\xe8odinger", "Schrödinger"),
    (b"\xf2\xe3e", "ệ"),
    (b"\xac\xbc \xa1\xb1 \xc7", "Ơơ Łł ß"),
    (b"Nedz\xebi\xecel\xa7ni\xebt\xecsk\xe5i\xe6i", "Nedzi͡elʹnit͡skīĭ"),
    (b"\xfan\xfbg", "n͠g"),
    (b"H\x1bb2\x1bsO x\x1bp2\x1bs", "H₂O x²"),
    (b"\x1b(NiWANOW\x1b(B", "Иванов"),
    (b"\x1b$1!:|!F>\x1b(B", "宮殿"),
    (b"\x1b$1!Q5!Nt \x1b(Babc", "紫禁 abc"),
    (b"10\x1fa\x1b$1!:|\x1b(B\x1fb\x1b$1!F>\x1b(B", "10\x1fa宮\x1fb殿"),
    (b"\x88The \x89book", "\x98The \x9cbook"),
    (b"\x1b(2AMylEem\x1b(B", "שָׁלוֹם"),
    (b"\x1b(3GdYQHjI\x1b(B", "العربية"),
]


@pytest.mark.parametrize(("octets", "text"), MARC8_BOTH_WAYS)
def test_marc_8_is_read_and_written(octets: bytes, text: str) -> None:
    text = unicodedata.normalize("NFC", text)
    assert decode_text(octets, "marc-8") == text
    assert encode_text(text, "marc-8") == octets


@pytest.mark.parametrize(
    ("octets", "text"),
    [
        (b"\x1b,NiWANOW\x1b,B", "Иванов"),  # the other form of the escape
        (b"\x1b)NA\xe9\xd7\x1b)!EA\xe2e", "AИвAé"),  # Cyrillic in G1, then ANSEL
        (b"\x1b$)1\xa1\xba\xfcx\x1b)!E", "宮x"),  # EACC in G1
        (b"\x1b$,1!:|\x1b(B", "宮"),
        (b"\x1bga\x1bs", "α"),
        (b"\x1b$1!:|\x1fbplain", "宮\x1fbplain"),  # left open: back to ASCII at a subfield
        (b"&#x4E00;a &#x; &#x0041;", "一a &#x; &#x0041;"),
        (b"\xe2&#x03BF;", "ό"),  # the mark belongs to the character referred to
        (b"a\xe2\x1fbx", "á\x1fbx"),  # a mark without letter stays in its subfield
        (b"stat'\xebi\xeda", "stat'i\ufe20a\u0315"),  # half a ligature
        (b"\x1b$1!:\x1f!F>\x1b(B", "宮殿"),  # 1F that was 7C inside an ideograph
        (b"\x1b$1!:\x1f0F>\x1b(B", "宮殿"),  # and the 21 after it made a zero
        (b"\x1b$1\x21\x75\x59\x1b(B", "\U000212c4"),  # geta mark in older tables
    ],
)
def test_other_ways_to_write_marc_8_are_read(octets: bytes, text: str) -> None:
    assert decode_text(octets, "marc-8") == text


@pytest.mark.parametrize(
    ("octets", "position", "refused"),
    [
        (b"ab\xd0c", 2, "d0"),  # unassigned in ANSEL
        (b"ab\x80", 2, "80"),
        (b"a\xff", 1, "ff"),
        (b"a\x1b(Xb", 1, "1b 28 58 62"),
        (b"a\x1b", 1, "1b"),
        (b"a\x1b(", 1, "1b 28"),
        (b"a\x1b$", 1, "1b 24"),
        (b"a\x1b(!B", 1, "1b 28 21 42"),
        (b"\x1b$1!:", 3, "21 3a"),
        (b"\x1b$1~~~", 3, "7e 7e 7e"),
        (b"\x1b$1!:\x1fcplain", 3, "21 3a 1f"),  # a cut ideograph before a subfield
        (b"\xe1\xe2\xe3\xe4\xe5a", 4, "e5"),  # letters of another set
    ],
)
def test_what_is_no_marc_8_is_named_by_position(octets: bytes, position: int, refused: str) -> None:
    result = decode_text(octets, "marc-8")
    assert result == Undecodable(position, bytes.fromhex(refused), "marc-8")
    assert refused in str(result)


def test_every_character_of_marc_8_survives_writing_and_reading() -> None:
    for code in CODESETS[EAST_ASIAN]:
        text = decode_text(b"\x1b$1" + code.to_bytes(3, "big"), "marc-8")
        assert isinstance(text, str)
        assert_survives_marc8(text)
    for working_set, table in CODESETS.items():
        for ucs, is_mark in table.values():
            if working_set != EAST_ASIAN and not is_mark and ucs > 0x20:
                assert_survives_marc8(chr(ucs))


def assert_survives_marc8(text: str) -> None:
    octets = encode_text(f"x{text}", "marc-8")
    assert isinstance(octets, bytes), ascii(text)
    assert decode_text(octets, "marc-8") == f"x{text}"


def test_a_character_that_marc_8_lacks_is_named_or_referred_to() -> None:
    assert encode_text("a🙂b", "marc-8") == Unencodable("🙂", "marc-8")
    assert encode_text("10\x1fax🙂b\u0308", "marc-8", references=True) == (
        b"10\x1fax&#x1F642;\xe8b"
    )
    # 简 is in EACC, 㑇 is not; a mark of which MARC-8 has no form goes with its letter.
    assert encode_text("简㑇", "marc-8") == Unencodable("㑇", "marc-8")
    assert encode_text("a\u0330", "marc-8") == Unencodable("a\u0330", "marc-8")
    assert str(Unencodable("a\u0330", "marc-8")) == "U+0061 U+0330 is not in marc-8"


def test_an_accent_never_settles_on_a_subfield_code() -> None:
    assert encode_text("10\x1fa\u0301x", "marc-8") == Unencodable("\u0301", "marc-8")


@pytest.mark.parametrize("text", ["10\x1faHe\x1bp1", "10\x1fa红\x1b(N", "\x1b"])
def test_an_escape_in_the_text_is_never_written_as_one(text: str) -> None:
    assert encode_text(text, "marc-8") == Unencodable("\x1b", "marc-8")
    octets = encode_text(text, "marc-8", references=True)
    assert isinstance(octets, bytes)
    assert decode_text(octets, "marc-8") == text.replace("\x1b", "&#x001B;")


def converted_by_yaz(
    client_program: Callable[[str], str], folder: Path, encoding: str, values: list[bytes]
) -> list[str]:
    """What yaz-marcdump makes of `values`, each in a field of its own."""
    raw = assemble(LEADER.encode(), [(b"500", b"  \x1fa" + value) for value in values])
    (folder / "in.mrc").write_bytes(raw)
    output = subprocess.run(
        [client_program("yaz-marcdump"), "-f", encoding, "-t", "utf8", "-o", "marc",
         str(folder / "in.mrc")],
        capture_output=True, check=True,
    ).stdout  # fmt: skip
    return [field.text[4:] for field in parse(output).fields]


@pytest.mark.real_client
def test_the_tables_are_those_of_yaz(client_program: Callable[[str], str], tmp_path: Path) -> None:
    codes = sorted(CODESETS[EAST_ASIAN])
    for begin in range(0, len(codes), 2_000):
        values = [
            b"\x1b$1" + code.to_bytes(3, "big") + b"\x1b(B" for code in codes[begin : begin + 2_000]
        ]
        theirs = converted_by_yaz(client_program, tmp_path, "marc8", values)
        assert [decode_text(value, "marc-8") for value in values] == theirs


# ISO 5426 ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("octets", "text"),
    [
        (b"1 \x1fa\x88L'\x89\xc2ecole", "1 \x1fa\x98L'\x9cécole"),
        (b"Stra\xfbe \xc9uber", "Straße über"),
        (b"\xe9 \xf9 \xea \xfa \xa1", "Ø ø Œ œ ¡"),
        (b"\xddt\xdes \xddn\xdfg", "t͡s n͠g"),
        (b"\xd6\xc3e", "ệ"),
    ],
)
def test_iso_5426_is_read(octets: bytes, text: str) -> None:
    assert decode_text(octets, "iso-5426") == text


@pytest.mark.parametrize(
    ("octets", "position"), [(b"a\xff", 1), (b"\x80", 0), (b"\x1b(N", 0), (b"ab\xe4", 2)]
)
def test_what_iso_5426_leaves_free_is_refused(octets: bytes, position: int) -> None:
    result = decode_text(octets, "iso-5426")
    assert isinstance(result, Undecodable)
    assert result.position == position


@pytest.mark.real_client
def test_the_table_of_iso_5426_is_that_of_yaz(
    client_program: Callable[[str], str], tmp_path: Path
) -> None:
    octets = range(0x80, 0x100)
    values = [bytes([octet]) + b"x " for octet in octets]
    differing = {}
    for octet, value, theirs in zip(
        octets, values, converted_by_yaz(client_program, tmp_path, "iso5426", values), strict=True
    ):
        ours = decode_text(value, "iso-5426")
        if not isinstance(ours, str):
            assert theirs == "x ", hex(octet)  # yaz leaves out what it does not know
        elif unicodedata.normalize("NFC", theirs) != ours:
            differing[octet] = (ours, theirs)
    # yaz makes a whole double tilde of the left half, and knows neither right half.
    assert set(differing) == {0xDD, 0xDE, 0xDF}


# Detection --------------------------------------------------------------------------

CHINESE = "1 \x1fa围城\x1fb专著\x1ff钱钟书著"
TRADITIONAL = "1 \x1fa爾雅注疏\x1fe附校勘記\x1ff郭璞注\x1fg邢昺疏 [北市] 藝文印書館 重栞宋本"
FRENCH = b"1 \x1faL'\xc2ecole des \xc1eres et de la pens\xc2ee"
RUSSIAN = "1 \x1faЭкономика и статистика промышленности"


@pytest.mark.parametrize(
    ("raw", "family", "scheme", "declared", "expected"),
    [
        (b"plain", MARC21, " ", "", ("utf-8",)),
        (b"plain", UNIMARC, " ", "0103", ("utf-8",)),
        (b"x\x1b(Nabc\x1b(B", MARC21, " ", "", ("marc-8",)),
        (b"x &#x4E00;", MARC21, " ", "", ("marc-8",)),
        (b"x &#x4E00;", MARC21, "a", "", ("utf-8",)),
        ("é".encode(), MARC21, " ", "", ("utf-8",)),
        (b"Schr\xe8odinger", MARC21, " ", "", ("marc-8",)),
        (b"Schr\xe8odinger", MARC21, "a", "", ("utf-8",)),
        (CHINESE.encode("gbk"), MARC21, " ", "", ("marc-8", "gb18030")),
        (CHINESE.encode("gbk"), UNIMARC, " ", "0120", ("gb18030",)),
        (CHINESE.encode("gbk"), UNIMARC, " ", "50  ", ("gb18030",)),
        (CHINESE.encode(), UNIMARC, " ", "0120", ("utf-8",)),
        (TRADITIONAL.encode("gbk"), UNIMARC, " ", "0110", ("gb18030",)),
        (FRENCH, UNIMARC, " ", "0103", ("iso-5426",)),
        (FRENCH, UNIMARC, " ", "    ", ()),
        (RUSSIAN.encode("koi8-r"), UNIMARC, " ", "0102", ()),
        (RUSSIAN.encode("cp1251"), UNIMARC, " ", "0102", ()),
        (RUSSIAN.encode()[:-1], UNIMARC, " ", "0102", ("utf-8",)),
        (CHINESE.encode()[:30] + CHINESE.encode()[31:], MARC21, " ", "", ("utf-8",)),
        ("déjà vu, été".encode("latin-1"), MARC21, " ", "", ("marc-8",)),
    ],
)
def test_the_set_is_told_from_octets_before_declarations(
    raw: bytes, family: MarcFamily, scheme: str, declared: str, expected: tuple[str, ...]
) -> None:
    assert likely_encodings(raw, family, scheme, declared) == expected


def test_decoding_turns_leader_09_of_marc_21_and_nothing_else() -> None:
    raw = build(LEADER, [Field("001", "1"), Field("245", "10\x1faé")], "marc-8")
    decoded = decode_record(raw, MARC21)
    assert isinstance(decoded, DecodedRecord)
    assert decoded.encoding == "marc-8"
    assert parse(decoded.marc).leader[9] == "a"
    assert encode_record(decoded.marc, MARC21, "marc-8") == raw
    leader = "00000nvm1 2200000 z 450 "
    raw = build(leader, [Field("001", "1"), Field("200", CHINESE)], "gb18030")
    decoded = decode_record(raw, UNIMARC)
    assert isinstance(decoded, DecodedRecord)
    assert parse(decoded.marc).leader[5:12] == leader[5:12]
    assert parse(decoded.marc).leader[17:] == leader[17:]
    assert encode_record(decoded.marc, UNIMARC, "GBK") == raw


def test_a_named_set_goes_before_what_the_octets_look_like() -> None:
    raw = build(LEADER, [Field("001", "1"), Field("200", RUSSIAN)], "koi8-r")
    refused = decode_record(raw, UNIMARC)
    assert isinstance(refused, RefusedRecord)
    assert "names no set" in refused.reason
    decoded = decode_record(raw, UNIMARC, "KOI8-R")
    assert isinstance(decoded, DecodedRecord)
    assert parse(decoded.marc).fields[1].text == RUSSIAN
    with pytest.raises(UnknownEncoding):
        decode_record(raw, UNIMARC, "latin-9")
    with pytest.raises(UnknownEncoding):
        encode_record(decoded.marc, UNIMARC, "koi8-r")


def test_a_refusal_says_when_the_leader_is_at_fault() -> None:
    leader = "00000nam a2200000 a 4500"
    raw = build(
        leader, [Field("001", "1"), Field("245", "10\x1faFinnish \u00e4\u00e4ni")], "marc-8"
    )
    refused = decode_record(raw, MARC21)
    assert isinstance(refused, RefusedRecord)
    assert "reads as marc-8" in refused.reason
    assert isinstance(decode_record(raw, MARC21, "marc-8"), DecodedRecord)


def test_a_record_that_the_set_cannot_hold_is_named_by_field_and_character() -> None:
    marc = build(LEADER, [Field("001", "1"), Field("245", "10\x1fax🙂")])
    assert encode_record(marc, MARC21, "marc-8") == EncodingFailure(
        "field 245: U+1F642 is not in marc-8", "245", "🙂"
    )
    assert isinstance(encode_record(marc, MARC21, "marc-8", references=True), bytes)
    gb18030 = encode_record(marc, MARC21, "gb18030")
    assert isinstance(gb18030, bytes)
    assert gb18030.endswith("x🙂".encode("gb18030") + b"\x1e\x1d")


# Real files -------------------------------------------------------------------------


def file_named(folder: Path, name: str) -> MarcFile:
    (file,) = (file for file in marc_files(folder) if file.name == name)
    return file


def raw_records(file: MarcFile) -> list[bytes]:
    with file.open() as stream:
        return [record.raw for record in split(stream) if isinstance(record, RawRecord)]


def fields_of(marc: bytes) -> list[tuple[str, str]]:
    """Composed, because other converters leave letters and marks apart."""
    return [(field.tag, unicodedata.normalize("NFC", field.text)) for field in parse(marc).fields]


@pytest.mark.shared_data
def test_marc_8_of_the_gpo_decodes_to_its_unicode_twin(shared_data: Path) -> None:
    twins = zip(
        raw_records(file_named(shared_data, "marc21/gpo-nist-marc8.mrc.xz")),
        raw_records(file_named(shared_data, "marc21/gpo-nist-utf8.mrc.xz")),
        strict=True,
    )
    compared, differing = 0, []
    for marc8, utf8 in twins:
        if marc8.isascii() and b"\x1b" not in marc8:
            continue
        decoded = decode_record(marc8, MARC21)
        if isinstance(decoded, RefusedRecord):
            assert "octets 1b 28 22" in decoded.reason or "octets 1b 3f 22" in decoded.reason
            continue
        compared += 1
        if fields_of(decoded.marc) != fields_of(utf8):
            differing.append(decoded)
    assert compared == 42
    # The twin left escapes to subscript and superscript as they are.
    assert all(any(character in "₀₁₂²⁰⁵⁶" for character in record.marc.decode())
               for record in differing)  # fmt: skip


@pytest.mark.shared_data
def test_ideographs_of_marc_8_decode_to_their_unicode_twins(shared_data: Path) -> None:
    (marc8,) = raw_records(file_named(shared_data, "cjk/stanford-u2103-marc8.mrc"))
    (utf8,) = raw_records(file_named(shared_data, "cjk/stanford-u2103-utf8.mrc"))
    decoded = decode_record(marc8, MARC21)
    assert isinstance(decoded, DecodedRecord)
    assert decoded.warnings == ("field 880: 1F inside an ideograph read as 7C",) * 2
    # Its twin was exported on another day: a field of the copy differs.
    ours = sorted(field for field in fields_of(decoded.marc) if field[0] != "999")
    theirs = sorted(field for field in fields_of(utf8) if field[0] != "999")
    assert ours == theirs

    (marc8,) = raw_records(file_named(shared_data, "cjk/yaz-marc12-marc8.mrc"))
    refused = decode_record(marc8, MARC21)
    assert isinstance(refused, RefusedRecord)
    assert refused.reason == "field 880: octets fd at 59 are not marc-8"
    # Without those two octets it is what yaz made of it.
    structure = dissect(marc8)
    assert isinstance(structure, Structure)
    texts = [
        decode_text(value.replace(b"\xfd\xfd", b""), "marc-8") for _, value in structure.fields
    ]
    with file_named(shared_data, "cjk/yaz-marc12.xml").open() as stream:
        (twin,) = read_marcxml(stream, MARC21)
    assert isinstance(twin, DecodedRecord)
    # Its full-width punctuation had been cut down to control octets, delimiters
    # among them, which XML has no room for.
    assert [without_controls(str(text)) for text in texts] == [
        without_controls(field.text) for field in parse(twin.marc).fields
    ]


def without_controls(text: str) -> str:
    return re.sub("[\x00-\x1f]", "", text)


@pytest.mark.shared_data
@pytest.mark.real_client
@pytest.mark.parametrize(
    ("name", "explained"),
    [
        ("marc21/evergreen-french-500.mrc.xz", 0),
        ("marc21/evergreen-jazz-1000.mrc.xz", 0),
        ("unimarc/cmarc-38-marc21-source.mrc", 0),
        ("bad/marc4j-u335.mrc", 0),
        ("bad/marc4j-cyrillic_capital_e.mrc", 0),
        ("bad/pymarc-marc8.dat", 0),
        ("marc21/evergreen-hebrew.marc", 1),  # yaz drops a DEL
        ("marc21/uva-2000.mrc.xz", 2),  # a ligature without its right half
        ("cjk/xbib-irmarc8.mrc", 2),  # yaz keeps numeric references
    ],
)
def test_yaz_decodes_marc_8_to_the_same_text(
    shared_data: Path,
    tmp_path: Path,
    client_program: Callable[[str], str],
    name: str,
    explained: int,
) -> None:
    raws = raw_records(file_named(shared_data, name))
    marc8 = [raw for raw in raws if not raw.isascii() or b"\x1b" in raw or b"&#x" in raw]
    ours = [decode_record(raw, MARC21) for raw in marc8]
    chosen = [
        (raw, record.marc)
        for raw, record in zip(marc8, ours, strict=True)
        if isinstance(record, DecodedRecord) and record.encoding == "marc-8"
    ]
    (tmp_path / "in.mrc").write_bytes(b"".join(raw for raw, _ in chosen))
    converted = subprocess.run(
        [client_program("yaz-marcdump"), "-f", "marc8", "-t", "utf8", "-o", "marc",
         str(tmp_path / "in.mrc")],
        capture_output=True, check=True,
    ).stdout  # fmt: skip
    theirs = [record.raw for record in split(converted) if isinstance(record, RawRecord)]
    differing = sum(
        fields_of(mine) != fields_of(other) for (_, mine), other in zip(chosen, theirs, strict=True)
    )
    assert differing == explained


@pytest.mark.shared_data
def test_gb18030_decodes_to_its_unicode_twin(shared_data: Path) -> None:
    twins = zip(
        raw_records(file_named(shared_data, "cnmarc/derived-gb18030.mrc")),
        raw_records(file_named(shared_data, "cnmarc/derived-utf8.mrc")),
        strict=True,
    )
    for gb18030, utf8 in twins:
        decoded = decode_record(gb18030, UNIMARC)
        assert isinstance(decoded, DecodedRecord)
        assert decoded.encoding == "gb18030"
        ours, theirs = fields_of(decoded.marc), fields_of(utf8)
        # 100 names the set, and the two differ in that.
        assert [field for field in ours if field[0] != "100"] == [
            field for field in theirs if field[0] != "100"
        ]
        assert encode_record(decoded.marc, UNIMARC, "gb18030") == gb18030


@pytest.mark.shared_data
def test_cnmarc_in_gbk_is_read_with_its_price_signs(shared_data: Path) -> None:
    raws = raw_records(file_named(shared_data, "cnmarc/danching-gbk-2.iso"))
    decoded = [decode_record(raw, UNIMARC) for raw in raws]
    assert all(isinstance(record, DecodedRecord) for record in decoded)
    text = "".join(record.marc.decode() for record in decoded if isinstance(record, DecodedRecord))
    assert "材料力学" in text
    assert "国防科技大学出版社" in text


@pytest.mark.shared_data
def test_russian_in_koi8_r_is_read_when_told(shared_data: Path) -> None:
    for raw in raw_records(file_named(shared_data, "unimarc/rusmarc-72.iso")):
        decoded = decode_record(raw, UNIMARC, "koi8-r")
        assert isinstance(decoded, DecodedRecord)
        assert encode_record(decoded.marc, UNIMARC, "utf-8") == decoded.marc


@pytest.mark.shared_data
@pytest.mark.parametrize(
    "name", ["cjk/trln-cjk.xml", "cjk/princeton-cjk.xml", "marc21/lc-princeton.xml.xz"]
)
def test_real_records_survive_marc_8(shared_data: Path, name: str) -> None:
    with file_named(shared_data, name).open() as stream:
        records = list(read_marcxml(stream, MARC21))
    written = 0
    for record in records:
        assert isinstance(record, DecodedRecord)
        marc8 = encode_record(record.marc, MARC21, "marc-8", references=True)
        assert isinstance(marc8, bytes)
        again = decode_record(marc8, MARC21)
        assert isinstance(again, DecodedRecord)
        assert fields_of(again.marc) == fields_of(record.marc)
        written += isinstance(encode_record(record.marc, MARC21, "marc-8"), bytes)
    assert written

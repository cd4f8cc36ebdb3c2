"""ISO 2709: the codec, the framing of files, and what is mended or refused."""

from __future__ import annotations

import io
from itertools import islice
from pathlib import Path

import pymarc
import pytest

from protocol import iso2709_structure
from protocol.iso2709 import (
    DecodedRecord,
    EncodingFailure,
    Field,
    MalformedRecord,
    RawRecord,
    RecordTooLong,
    RefusedRecord,
    build,
    control_field,
    control_number,
    decode_record,
    encode_record,
    fits_iso2709,
    parse,
    split,
)
from protocol.record import MarcFamily
from tests.marc_files import REFUSED, MarcFile, marc_files

MARC21, UNIMARC = MarcFamily.MARC21, MarcFamily.UNIMARC
LEADER = "00000nam a2200000 a 4500"
CNMARC_LEADER = "00000nam0 2200000   450 "
FIELDS = [
    Field("001", "ocm12345"),
    Field("005", "20240102030405.0"),
    Field.of("245", "10", [("a", "Élan 红楼梦 /"), ("c", "曹雪芹著.")]),
    Field.of("260", "  ", [("a", "北京 :"), ("b", "X,"), ("c", "1957.")]),
]
GOOD = build(LEADER, FIELDS)


# The codec --------------------------------------------------------------------------


def test_what_was_built_parses_to_the_same_fields() -> None:
    record = parse(GOOD)
    assert record.fields == FIELDS
    assert record.control_number == "ocm12345"
    assert record.fields[2].indicators == "10"
    assert record.fields[2].subfields == [("a", "Élan 红楼梦 /"), ("c", "曹雪芹著.")]
    assert record.fields[3].values("ac") == ["北京 :", "1957."]
    assert record.fields[3].first("b") == "X,"
    assert record.fields[3].first("z") == ""
    assert [field.is_control for field in record.fields] == [True, True, False, False]


@pytest.mark.parametrize("encoding", ["utf-8", "gb18030", "marc-8"])
def test_length_fields_count_octets_of_the_output_encoding(encoding: str) -> None:
    marc = build(LEADER, [Field("001", "1"), Field.of("245", "10", [("a", "红楼梦")])], encoding)
    assert int(marc[:5]) == len(marc)
    base = int(marc[12:17])
    assert marc[base - 1 : base] == b"\x1e"
    size, start = int(marc[39:43]), int(marc[43:48])
    assert marc[base + start : base + start + size].endswith(b"\x1e")
    assert base + start + size == len(marc) - 1


def test_a_leader_keeps_all_but_lengths() -> None:
    leader = "99999nvm1-2299999 z 450-"
    marc = build(leader, FIELDS)
    assert marc[5:12].decode() + marc[17:24].decode() == leader[5:12] + leader[17:24]


def test_a_directory_in_another_order_than_the_data_gives_the_order_of_the_directory() -> None:
    values = [b"1\x1e", b"10\x1faTitle\x1e", b"20240102030405.0\x1e"]
    directory = b"001000200000" + b"005001700012" + b"245001000002"
    raw = b"00092nam a2200061 a 4500" + directory + b"\x1e" + b"".join(values) + b"\x1d"
    raw = b"%05d" % len(raw) + raw[5:]
    assert [field.tag for field in parse(raw).fields] == ["001", "005", "245"]
    assert parse(raw).fields[1].text == "20240102030405.0"
    assert control_field(raw, "005") == "20240102030405.0"
    decoded = decode_record(raw, MARC21)
    assert isinstance(decoded, DecodedRecord)
    assert decoded.marc is raw


def test_a_control_field_is_found_through_the_directory() -> None:
    assert control_number(GOOD) == "ocm12345"
    assert control_field(GOOD, "005") == "20240102030405.0"
    assert control_field(GOOD, "003") == ""
    # Lengths and positions may hold the digits of a tag across entries.
    marc = build(LEADER, [Field("100", "x" * 999), Field("245", "y" * 4), Field("005", "z")])
    assert control_field(marc, "005") == "z"
    assert control_field(marc, "001") == ""


@pytest.mark.parametrize(
    "raw",
    [b"", b"x", GOOD[:40], GOOD[:-10], b"\xff" * 100, GOOD.replace("红".encode(), b"\xe7\xba")],
)
def test_octets_that_are_no_stored_record_are_named_so(raw: bytes) -> None:
    with pytest.raises(MalformedRecord):
        parse(raw)


def test_a_record_beyond_the_digits_is_refused_or_kept_in_the_oversize_form() -> None:
    notes = [Field.of("500", "  ", [("a", "字" * 3_000)]) for _ in range(20)]
    fields = [*FIELDS, *notes]
    with pytest.raises(RecordTooLong, match="99999") as caught:
        build(LEADER, fields)
    assert caught.value.tag == ""
    kept = build(LEADER, fields, oversize=True)
    assert kept[:5] == b"99999"
    assert parse(kept).fields == fields
    assert control_number(kept) == "ocm12345"
    assert not fits_iso2709(kept)
    failure = encode_record(kept, MARC21, "utf-8")
    assert isinstance(failure, EncodingFailure)
    assert "99999" in failure.reason
    # Two octets an ideograph in GB18030 make it fit.
    gb18030 = encode_record(build(LEADER, [*FIELDS, *notes[:14]], oversize=True), MARC21, "gb18030")
    assert isinstance(gb18030, bytes)


def test_a_field_beyond_four_digits_is_named() -> None:
    fields = [*FIELDS, Field.of("520", "  ", [("a", "x" * 10_000)])]
    with pytest.raises(RecordTooLong, match="field 520 needs 10005 octets, ISO 2709 allows 9999"):
        build(LEADER, fields)
    kept = build(LEADER, fields, oversize=True)
    assert parse(kept).fields == fields
    assert not fits_iso2709(kept)
    assert fits_iso2709(build(LEADER, [*FIELDS, Field.of("520", "  ", [("a", "x" * 9_994)])]))
    failure = encode_record(kept, MARC21, "utf-8")
    assert isinstance(failure, EncodingFailure)
    assert failure.tag == "520"
    again = decode_record(kept, MARC21)
    assert isinstance(again, DecodedRecord)
    assert again.marc == kept


def test_building_names_what_it_cannot_write() -> None:
    with pytest.raises(MalformedRecord, match="leader"):
        build("short", FIELDS)
    with pytest.raises(MalformedRecord, match="tag"):
        build(LEADER, [Field("24", "x")])
    with pytest.raises(MalformedRecord, match=r"field 245: U\+1F642 is not in marc-8"):
        build(LEADER, [Field("245", "10\x1fa🙂")], "marc-8")


# Files ------------------------------------------------------------------------------

OTHER = build(LEADER, [Field("001", "other"), Field.of("245", "00", [("a", "Other")])])


def numbers(raw: bytes) -> list[str]:
    """001 of each record of a file; in parentheses if it was refused."""
    found = []
    for record in split(io.BytesIO(raw)):
        if isinstance(record, RawRecord):
            decoded = decode_record(record.raw, MARC21, offset=record.offset)
            assert raw.startswith(record.raw[:8], record.offset)
        else:
            decoded = record
        if isinstance(decoded, RefusedRecord):
            found.append(f"({decoded.control_number})")
        else:
            found.append(control_number(decoded.marc))
    return found


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        (GOOD + OTHER + GOOD, ["ocm12345", "other", "ocm12345"]),
        (b"\xef\xbb\xbf" + GOOD + OTHER, ["ocm12345", "other"]),
        (GOOD + b"\r\n" + OTHER + b"\n\n\x1a", ["ocm12345", "other"]),
        (b"\0\0" + GOOD + b"\0" * 50 + OTHER + b" " * 300, ["ocm12345", "other"]),
        (b"00999" + GOOD[5:] + OTHER, ["ocm12345", "other"]),
        (b"00030" + GOOD[5:] + OTHER, ["ocm12345", "other"]),
        (b"%05d" % (len(GOOD) + len(OTHER)) + GOOD[5:] + OTHER, ["ocm12345", "other"]),
        (b"     " + GOOD[5:] + OTHER, ["ocm12345", "other"]),
        (GOOD[:-1] + OTHER, ["ocm12345", "other"]),
        (GOOD[:-20] + OTHER + GOOD, ["(ocm12345)", "other", "ocm12345"]),
        (GOOD[:-20] + b"\n" + OTHER, ["(ocm12345)", "other"]),
        (GOOD + OTHER[:-9], ["ocm12345", "(other)"]),
        (GOOD + OTHER[:30], ["ocm12345", "()"]),
        (GOOD + b"x", ["ocm12345", "()"]),
        (b"some text \x1d" + GOOD, ["()", "ocm12345"]),
        (b"some text " + GOOD, ["()", "ocm12345"]),
        (GOOD.replace(b"X,", b"\x1d,") + OTHER, ["(ocm12345)", "other"]),
        (GOOD[:30] + b"9" + GOOD[30:] + OTHER, ["(ocm12345)", "other"]),
        (b"\x1d\x1d" + GOOD, ["()", "()", "ocm12345"]),
        (b"", []),
        (b"\n \n", []),
    ],
)  # fmt: skip
def test_a_bad_record_never_touches_its_neighbours(file: bytes, expected: list[str]) -> None:
    assert numbers(file) == expected


@pytest.mark.parametrize("read_size", [1, 7, 64, 500])
def test_records_may_lie_across_reads(monkeypatch: pytest.MonkeyPatch, read_size: int) -> None:
    monkeypatch.setattr(iso2709_structure, "READ_SIZE_BYTES", read_size)
    file = GOOD + b"\n" + GOOD[:-20] + OTHER + b"00999" + GOOD[5:] + OTHER[:-5]
    assert numbers(file) == ["ocm12345", "(ocm12345)", "other", "ocm12345", "(other)"]


def test_a_file_without_terminators_is_given_up_in_bounded_pieces(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(iso2709_structure, "READ_SIZE_BYTES", 1_000)
    monkeypatch.setattr(iso2709_structure, "FRAME_SIZE_BYTES_MAX", 5_000)
    records = list(split(io.BytesIO(b"x" * 50_000 + b"\x1d" + GOOD)))
    assert all(isinstance(record, RefusedRecord) for record in records[:-2])
    assert len(records) < 15
    assert records[-1] == RawRecord(50_001, GOOD)


# Mending and refusing ---------------------------------------------------------------


def changed(*, leader: str = LEADER, directory: bytes | None = None, data: bytes | None = None,
            terminator: bytes = b"\x1d") -> bytes:  # fmt: skip
    """GOOD with a part put in by hand; the leader's lengths follow unless given."""
    base = GOOD.index(b"\x1e") + 1
    directory = GOOD[24 : base - 1] if directory is None else directory
    data = GOOD[base:-1] if data is None else data
    rest = directory + b"\x1e" + data + terminator
    length, start = 24 + len(rest), 25 + len(directory)
    if leader == LEADER:
        leader = f"{length:05}{leader[5:12]}{start:05}{leader[17:]}"
    return leader.encode("latin-1") + rest


DIRECTORY = GOOD[24 : GOOD.index(b"\x1e")]
DATA = GOOD[GOOD.index(b"\x1e") + 1 : -1]


@pytest.mark.parametrize(
    ("raw", "warning"),
    [
        (b"00001" + GOOD[5:], "leader 0-4 says '00001'"),
        (GOOD[:12] + b"00099" + GOOD[17:], "leader 12-16 says '00099'"),
        (GOOD[:12] + b"     " + GOOD[17:], "leader 12-16 says '     '"),
        (GOOD[:10] + b"  " + GOOD[12:], "leader 10-11"),
        (GOOD[:6] + b"\0" + GOOD[7:], "control characters in the leader"),
        (changed(directory=DIRECTORY[:3] + b"0099" + DIRECTORY[7:]), "taken by terminator"),
        (changed(directory=DIRECTORY[:3] + b"a009" + DIRECTORY[7:]), "taken by terminator"),
        (changed(data=DATA + b"  \x1faorphan\x1e"), "belong to no directory entry"),
        (changed(data=DATA[:-1]), "the last field has no terminator"),
    ],
)
def test_what_can_be_mended_in_one_way_is_mended_with_a_warning(raw: bytes, warning: str) -> None:
    decoded = decode_record(raw, MARC21)
    assert isinstance(decoded, DecodedRecord)
    assert any(warning in text for text in decoded.warnings), decoded.warnings
    assert parse(decoded.marc).fields == FIELDS
    assert decode_record(decoded.marc, MARC21) == DecodedRecord(decoded.marc, "utf-8")


def test_a_directory_that_counts_characters_is_mended() -> None:
    texts = [field.text for field in FIELDS]
    start = 0
    directory = b""
    for field in FIELDS:
        directory += b"%b%04d%05d" % (field.tag.encode(), len(field.text) + 1, start)
        start += len(field.text) + 1
    assert len("".join(texts)) < len("".join(texts).encode())
    decoded = decode_record(changed(directory=directory), MARC21)
    assert isinstance(decoded, DecodedRecord)
    assert decoded.marc == GOOD
    assert decoded.warnings


def test_a_directory_with_wide_numbers_is_mended() -> None:
    note = b"  \x1fa" + b"x" * 12_000
    directory = DIRECTORY + b"520%04d%05d" % (len(note) + 1, len(DATA))
    assert len(directory) % 12 == 1
    decoded = decode_record(changed(directory=directory, data=DATA + note + b"\x1e"), MARC21)
    assert isinstance(decoded, DecodedRecord)
    assert parse(decoded.marc).fields[-1].first("a") == "x" * 12_000
    assert not fits_iso2709(decoded.marc)


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "0 octets are too few"),
        (GOOD[:25], "25 octets are too few"),
        (b"\xff" + GOOD[1:], "the leader is not ASCII"),
        (GOOD[:24] + b"\x1e\x1d", "there is no directory"),
        (GOOD[:60].replace(b"\x1e", b"") + b"\x1d", "there is no directory"),
        (changed(directory=DIRECTORY[1:]), "the directory has 47 octets"),
        (changed(directory=b"0 1" + DIRECTORY[3:]), "the directory has a tag '0 1'"),
        (changed(directory=DIRECTORY[:36]), ""),
        (changed(data=DATA.replace(b"X,", b"\x1e,")), "lists 4 fields, the data hold 5"),
        (changed(data=DATA.replace(b"X,", b"\x1d,")), "field 260 has a record terminator inside"),
        (
            changed(directory=b"245000000000001000000000260000000000005000000000"),
            "data for 245 look like another field's",
        ),
        (GOOD.replace("É".encode(), b"\xc3"), "field 245: octets c3 at 4 are not utf-8"),
    ],
)  # fmt: skip
def test_what_is_ambiguous_is_refused_with_its_reason(raw: bytes, reason: str) -> None:
    record = decode_record(raw, MARC21, offset=17)
    if not reason:  # entries left out: what they point to is dropped, with a warning
        assert isinstance(record, DecodedRecord)
        assert parse(record.marc).fields == FIELDS[:3]
        return
    assert isinstance(record, RefusedRecord)
    assert reason in record.reason
    assert record.offset == 17


def test_control_characters_stay_in_iso_2709() -> None:
    fields = [Field("001", "1"), Field.of("200", "1 ", [("a", "\x98Le \x9cmot\x01")])]
    raw = build(CNMARC_LEADER, fields)
    decoded = decode_record(raw, UNIMARC)
    assert isinstance(decoded, DecodedRecord)
    assert decoded.marc is raw
    assert encode_record(raw, UNIMARC, "utf-8") is raw


# Real files -------------------------------------------------------------------------


def small_iso2709_files(folder: Path) -> list[MarcFile]:
    return [file for file in marc_files(folder) if not file.is_xml and file.count <= 3_100]


def check_whole(file: MarcFile) -> None:
    read = refused = 0
    with file.open() as stream:
        for record in split(stream):
            if isinstance(record, RawRecord):
                decoded = decode_record(record.raw, file.family, offset=record.offset)
            else:
                decoded = record
            if isinstance(decoded, RefusedRecord):
                refused += 1
                assert decoded.reason
                continue
            read += 1
            if decoded.encoding == "utf-8" and not decoded.warnings:
                assert decoded.marc == record.raw  # type: ignore[union-attr]
            assert parse(decoded.marc).control_number == control_number(decoded.marc)
    expected, why = REFUSED.get(file.name, (0, ""))
    assert refused == expected, (file.name, why)
    # The 293rd record of this file is cut, and its page does not count it.
    extra = 1 if file.name == "holdings/zdb-292.mrc" else 0
    assert read + refused == file.count + extra, file.name


@pytest.mark.shared_data
def test_every_small_file_is_read_whole_and_utf_8_comes_back_byte_identical(
    shared_data: Path,
) -> None:
    files = small_iso2709_files(shared_data)
    assert len(files) > 70
    for file in files:
        check_whole(file)


@pytest.mark.long
@pytest.mark.shared_data
@pytest.mark.timeout(600)
def test_every_big_file_is_read_whole_and_utf_8_comes_back_byte_identical(
    shared_data: Path,
) -> None:
    small = {file.name for file in small_iso2709_files(shared_data)}
    for file in marc_files(shared_data):
        if not file.is_xml and file.name not in small:
            check_whole(file)


@pytest.mark.shared_data
@pytest.mark.parametrize(
    "name",
    [
        "marc21/gpo-cgp-new-2022-2024.mrc.xz", "marc21/folio-1000.mrc.xz",
        "cjk/yaz-marccol1.mrc", "cnmarc/derived-utf8.mrc", "unimarc/periouni-3064.mrc.xz",
        "unimarc/cmarc-38.mrc", "authority/evergreen-1066.mrc.xz", "holdings/zdb-292.mrc",
        "bad/marc4j-pride-and-prejudice-fixed.mrc.xz", "bad/marc4j-unordered-directory-entries.mrc",
    ],
)  # fmt: skip
def test_pymarc_reads_the_same_fields(shared_data: Path, name: str) -> None:
    (file,) = (file for file in marc_files(shared_data) if file.name == name)
    with file.open() as stream:
        for record in islice(split(stream), 150):
            assert isinstance(record, RawRecord)
            theirs = pymarc.Record(
                data=record.raw, to_unicode=True, force_utf8=True, utf8_handling="strict"
            )
            ours = parse(record.raw)
            assert [field.tag for field in ours.fields] == [field.tag for field in theirs.fields]
            for mine, other in zip(ours.fields, theirs.fields, strict=True):
                if other.control_field:
                    assert mine.text == other.data
                else:
                    assert mine.indicators == "".join(other.indicators or ())
                    # pymarc leaves subfields without a code out.
                    assert [pair for pair in mine.subfields if pair[0]] == [
                        (subfield.code, subfield.value) for subfield in other.subfields
                    ]

"""MARC-in-JSON, written and read, with pymarc as oracle."""

from __future__ import annotations

import io
import json
from itertools import islice
from pathlib import Path

import pymarc
import pytest
from hypothesis import given
from hypothesis import strategies as st

import samples
from protocol import marc_json
from protocol.iso2709 import DecodedRecord, Field, RawRecord, RefusedRecord, build, parse, split
from protocol.marc_json import decode_marc_json, read_marc_json, to_marc_json
from protocol.record import Database, MarcFamily, StoredRecord
from server.delivery.record_forms import MARC_JSON
from tests.marc_files import marc_files
from tests.property.test_marc import anything, families, fields, leaders

MARC21, UNIMARC = MarcFamily.MARC21, MarcFamily.UNIMARC
LEADER = "00000nam a2200000 a 4500"
MARC = build(
    LEADER, [Field("001", "b1"), Field.of("245", "10", [("a", '红楼梦 "x" {'), ("c", "曹雪芹")])]
)


def test_a_record_is_one_line_as_the_draft_has_it() -> None:
    octets = to_marc_json(MARC)
    assert b"\n" not in octets
    assert json.loads(octets) == {
        "leader": parse(MARC).leader,
        "fields": [
            {"001": "b1"},
            {"245": {"subfields": [{"a": '红楼梦 "x" {'}, {"c": "曹雪芹"}], "ind1": "1",
                     "ind2": "0"}},
        ],
    }  # fmt: skip
    database = Database("we_cat", "Western", MARC21)
    assert MARC_JSON.make(StoredRecord(1, database, "b1", MARC)) == octets
    assert MARC_JSON.full
    assert MARC_JSON.billable


@given(leaders, fields(anything), families)
def test_every_record_reads_back_as_it_was(
    leader: str, content: list[Field], family: MarcFamily
) -> None:
    marc = build(leader, content, oversize=True)
    again = decode_marc_json(to_marc_json(marc), family)
    assert isinstance(again, DecodedRecord)
    assert parse(again.marc).fields == content
    if family is UNIMARC:
        assert again.marc == marc


@pytest.mark.parametrize(
    "field", [Field("001", "1\x1fax"), Field("500", "  none"), Field("FMT", "BK"),
              Field("200", "1 \x1fa\x98Le \x9cmot\x1f"), Field("245", "")],
)  # fmt: skip
def test_odd_fields_read_back_too(field: Field) -> None:
    again = decode_marc_json(to_marc_json(build(LEADER, [field])), MARC21)
    assert isinstance(again, DecodedRecord)
    assert parse(again.marc).fields == [field]


def test_a_record_beyond_iso_2709_is_fine() -> None:
    big = build(LEADER, [Field("500", f"  \x1fa{'字' * 9_000}") for _ in range(20)], oversize=True)
    assert decode_marc_json(to_marc_json(big), MARC21) == DecodedRecord(big, "utf-8")


# Files ------------------------------------------------------------------------------

ONE = to_marc_json(MARC)
PRETTY = json.dumps(json.loads(ONE), indent=2, ensure_ascii=False).encode()
NO_LEADER = b'{"fields": [{"001": "n7"}]}'


@pytest.mark.parametrize("read_size", [1, 13, 300_000])
@pytest.mark.parametrize(
    ("octets", "expected"),
    [
        (ONE, "b1"),
        (b"\xef\xbb\xbf" + ONE + b"\n" + ONE + b"\r\n\n" + ONE, "b1 b1 b1"),
        (b"[" + ONE + b", " + ONE + b"]\n", "b1 b1"),
        (b"[\n" + ONE + b",\n" + ONE + b"\n]", "b1 b1"),
        (b"[" + PRETTY + b",\n" + PRETTY + b"\n]\n", "b1 b1"),
        (PRETTY + PRETTY, "b1 b1"),
        (ONE + b"\n" + ONE[:-9] + b"\n" + ONE + b"\n" + NO_LEADER + b"\n7\n" + ONE,
         "b1 () b1 (n7) () b1"),
        (b"[" + NO_LEADER + b"," + ONE + b"]", "(n7) b1"),
        (b"[" + ONE + b"," + ONE[:-9] + b"," + ONE + b"]", "b1 ()"),
        (b"[" + ONE + b", 7," + ONE + b"]", "b1 ()"),
        (b"", "()"),
        (b"[]", "()"),
        (b"no JSON", "()"),
        (b'{"leader": "', "()"),
        (b"[" * 100_000, "()"),
        (b'{"a":' * 100_000, "()"),
        (b"\xff\xfe{}\n", "()"),
    ],
)  # fmt: skip
def test_files_are_read_record_by_record(
    monkeypatch: pytest.MonkeyPatch, octets: bytes, expected: str, read_size: int
) -> None:
    if len(octets) > 10_000 and read_size == 1:
        read_size = 999
    monkeypatch.setattr(marc_json, "READ_SIZE_BYTES", read_size)
    found = []
    for record in read_marc_json(io.BytesIO(octets), MARC21):
        if isinstance(record, RefusedRecord):
            assert record.reason
            found.append(f"({record.control_number})")
        else:
            assert octets.startswith((b"{", b"[", b"\xef"))
            found.append(parse(record.marc).control_number)
    assert found == expected.split()


def test_a_record_that_never_ends_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(marc_json, "READ_SIZE_BYTES", 1_000)
    monkeypatch.setattr(marc_json, "FRAME_SIZE_BYTES_MAX", 10_000)
    stream = io.BytesIO(b'{"leader":\n"' + b"x" * 1_000_000)
    assert len(list(read_marc_json(stream, MARC21))) == 1
    assert stream.tell() < 20_000


def body(fields: str, leader: str = LEADER) -> bytes:
    return f'{{"leader": "{leader}", "fields": {fields}}}'.encode()


@pytest.mark.parametrize(
    ("octets", "reason"),
    [
        (b"7", "no object"),
        (b'{"fields": [{"001": "1"}]}', "there is no leader"),
        (body("[]"), "there are no fields"),
        (body('{"001": "1"}'), "there are no fields"),
        (body('[{"001": "1"}]', "short"), "5 characters"),
        (body('["001"]'), 'a field that is "001"'),
        (body('[{"0 1": "x"}]'), "a tag '0 1'"),
        (body('[{"001": 7}]'), "field 001 is 7"),
        (body('[{"001": {"subfields": []}}]'), "field 001 with subfields"),
        (body('[{"245": {"ind1": "10", "subfields": []}}]'), 'field 245 has ind1 "10"'),
        (body('[{"245": {"ind1": "1"}}]'), "field 245 has no list of subfields"),
        (body('[{"245": {"subfields": ["a"]}}]'), 'field 245 has a subfield that is "a"'),
        (body('[{"245": {"subfields": [{"ab": "x"}]}}]'), "field 245 has a subfield {"),
        (body('[{"245": {"subfields": [{"a": null}]}}]'), "field 245 has a subfield {"),
        (body(r'[{"245": {"subfields": [{"a": "x\u001fb"}]}}]'), "field 245 holds U+001F"),
        (body(r'[{"001": "\u001d"}]'), "field 001 holds U+001D"),
        (body(r'[{"001": "\ud800"}]'), "field 001 holds U+D800"),
    ],
)
def test_what_is_no_record_is_refused_with_its_reason(octets: bytes, reason: str) -> None:
    record = decode_marc_json(octets, MARC21)
    assert isinstance(record, RefusedRecord)
    assert reason in record.reason


@given(st.binary(max_size=200), st.integers(0, len(ONE)))
def test_any_octets_are_read_or_refused(octets: bytes, at: int) -> None:
    for data in (octets, ONE[:at] + octets + ONE[at:]):
        for record in read_marc_json(data, MARC21):
            assert record.reason if isinstance(record, RefusedRecord) else parse(record.marc)


# Samples and real files -------------------------------------------------------------


def test_the_samples_come_back_octet_for_octet() -> None:
    for database, family in samples.databases().items():
        for marc in samples.records(database):
            decoded = decode_marc_json(to_marc_json(marc), family)
            assert decoded == DecodedRecord(marc, "utf-8")


@pytest.mark.shared_data
@pytest.mark.parametrize(
    "name",
    ["marc21/folio-1000.mrc.xz", "cjk/yaz-marccol1.mrc", "cnmarc/derived-utf8.mrc",
     "unimarc/cmarc-38.mrc", "authority/folio-100.mrc", "holdings/zdb-292.mrc"],
)  # fmt: skip
def test_pymarc_writes_and_reads_the_same(shared_data: Path, name: str) -> None:
    (file,) = (file for file in marc_files(shared_data) if file.name == name)
    with file.open() as stream:
        for record in islice(split(stream), 100):
            assert isinstance(record, RawRecord)
            theirs = pymarc.Record(data=record.raw, to_unicode=True, force_utf8=True)
            ours = json.loads(to_marc_json(record.raw))
            expected = theirs.as_dict()  # type: ignore[no-untyped-call]
            assert ours["fields"] == expected["fields"]
            read = decode_marc_json(theirs.as_json().encode(), file.family)  # type: ignore[no-untyped-call]
            assert isinstance(read, DecodedRecord)
            assert parse(read.marc).fields == parse(record.raw).fields
            (back,) = pymarc.parse_json_to_array(
                io.StringIO(f"[{to_marc_json(record.raw).decode()}]")
            )  # type: ignore[no-untyped-call]
            assert back.as_dict()["fields"] == expected["fields"]

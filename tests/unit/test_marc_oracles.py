"""pymarc, yaz-marcdump and iconv over every file of the shared data.

They read what we store, what we write and, where they know the character set,
the octets that we were given. Each record in which one of them sees something
else than we do is counted here by file, with the reason.
"""

from __future__ import annotations

import contextlib
import io
import re
import subprocess
import unicodedata
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import groupby, islice
from pathlib import Path

import pymarc
import pytest

from protocol.iso2709 import (
    DecodedRecord,
    MalformedRecord,
    RawRecord,
    decode_record,
    encode_record,
    fits_iso2709,
    parse,
    split,
)
from protocol.marcxml import to_marcxml
from protocol.marcxml_reader import read_marcxml
from tests.marc_files import MarcFile, marc_files

pytestmark = [pytest.mark.shared_data, pytest.mark.real_client]

SAMPLE = 5  # records of each file in the ordinary suite
ALL = 1_000_000
BATCH = 2_000  # records in one run of another program

Explained = Mapping[str, tuple[int, str]]
Fields = list[tuple[str, str]]
Program = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Read:
    """A record as we read it; `raw` is what the file has, empty for XML."""

    file: MarcFile
    raw: bytes
    decoded: DecodedRecord

    @property
    def marc(self) -> bytes:
        return self.decoded.marc

    @property
    def fields(self) -> Fields:
        return fields_of(self.marc)


def fields_of(marc: bytes) -> Fields:
    return [(field.tag, field.text) for field in parse(marc).fields]


def composed(fields: Fields) -> Fields:
    """The same text for what others write otherwise.

    They leave letters and marks apart, pymarc makes two half marks of a ligature
    over two letters, and neither reads numeric references in MARC-8.
    """
    return [(tag, unicodedata.normalize("NFC", _REFERENCE.sub(_character, text.translate(_HALVES))))
            for tag, text in fields]  # fmt: skip


_HALVES = {0xFE20: 0x361, 0xFE21: None, 0xFE22: 0x360, 0xFE23: None}
_REFERENCE = re.compile("&#x([0-9A-F]{4,6});")


def _character(match: re.Match[str]) -> str:
    return chr(int(match[1], 16))


def read(folder: Path, count_max: int) -> Iterable[Read]:
    """Records that we accept and that ISO 2709 has room for, of every file."""
    return sample(folder) if count_max == SAMPLE else every(folder, count_max)


@cache
def sample(folder: Path) -> list[Read]:
    return list(every(folder, SAMPLE))


def every(folder: Path, count_max: int) -> Iterator[Read]:
    for file in marc_files(folder):
        yield from of_file(file, count_max)


def of_file(file: MarcFile, count_max: int) -> Iterator[Read]:
    with file.open() as stream:
        source = read_marcxml(stream, file.family) if file.is_xml else split(stream)
        for record in islice(source, count_max):
            raw = record.raw if isinstance(record, RawRecord) else b""
            decoded = decode_record(raw, file.family) if raw else record
            if isinstance(decoded, DecodedRecord) and fits_iso2709(decoded.marc):
                yield Read(file, raw, decoded)


def check_explained(differing: Counter[str], explained: Explained, count_max: int) -> None:
    """Every file has as many records that differ as is explained, a sample no more than that."""
    expected = {name: count for name, (count, _) in explained.items()}
    if count_max >= ALL:
        assert dict(differing) == expected
    else:
        assert not {
            name: count for name, count in differing.items() if count > expected.get(name, 0)
        }


both_sizes = pytest.mark.parametrize(
    "count_max",
    [SAMPLE, pytest.param(ALL, marks=[pytest.mark.long, pytest.mark.timeout(3_000)])],
)


# pymarc -----------------------------------------------------------------------------

PYMARC_STORED: Explained = {
    "marc21/evergreen-jazz-1000.mrc.xz": (5, "an empty subfield"),
    "marc21/evergreen-nepali.marc.xz": (1, "a third indicator"),
    "holdings/stanford-summary-49.mrc": (1, "an empty subfield"),
    "bad/marc4j-185258.mrc": (1, "an indicator that is not ASCII"),
    "bad/marc4j-bad-characters-in-various-fields.mrc": (1, "an empty subfield"),
    "bad/pymarc-bad_subfield_code.dat": (1, "a code that is not ASCII"),
    "bad/pymarc-regression45.dat": (11, "a third indicator"),
    "bad/pymarc-utf8_invalid.mrc": (1, "a code that is not ASCII"),
}


YAZ_STORED: Explained = {
    name: entry for name, entry in PYMARC_STORED.items() if "ASCII" not in entry[1]
}


def by_pymarc(record: pymarc.Record) -> Fields:
    return [
        (field.tag, field.data or "")
        if field.control_field
        else (
            field.tag,
            "".join(field.indicators or ())
            + "".join(f"\x1f{subfield.code}{subfield.value}" for subfield in field.subfields),
        )
        for field in record.fields
    ]


def pymarc_reads(octets: bytes, *, force_utf8: bool) -> Fields | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            record = pymarc.Record(
                octets, to_unicode=True, force_utf8=force_utf8, utf8_handling="strict"
            )
        except (ValueError, pymarc.exceptions.PymarcException):
            return None
    return by_pymarc(record)


@both_sizes
def test_pymarc_reads_what_we_store(shared_data: Path, count_max: int) -> None:
    differing = Counter(
        each.file.name
        for each in read(shared_data, count_max)
        if pymarc_reads(each.marc, force_utf8=True) != each.fields
    )
    check_explained(differing, PYMARC_STORED, count_max)


_MARK_BEFORE_REFERENCE = (1, "a mark on a numeric reference, which they put on the &")
_NOT_ASCII = (1, "an indicator that is not ASCII")
PYMARC_MARC8: Explained = {
    "marc21/evergreen-hebrew.marc": (1, "a DEL, which becomes a blank"),
    "bad/marc4j-185258.mrc": _NOT_ASCII,
    "bad/marc4j-greekmissingcharsetchange.mrc": _MARK_BEFORE_REFERENCE,
}


@both_sizes
def test_pymarc_decodes_marc_8_without_ideographs_to_the_same_text(
    shared_data: Path, count_max: int
) -> None:
    differing: Counter[str] = Counter()
    for each in read(shared_data, count_max):
        # pymarc loses ideographs of EACC; twins in Unicode prove those.
        if each.raw and each.decoded.encoding == "marc-8" and b"\x1b$" not in each.raw:
            theirs = pymarc_reads(each.raw, force_utf8=False)
            if theirs is None or composed(theirs) != composed(each.fields):
                differing[each.file.name] += 1
    check_explained(differing, PYMARC_MARC8, count_max)


def control_first(fields: Fields) -> Fields:
    return sorted(fields, key=lambda field: field[0][:2] != "00")


_NOT_IN_XML = "an ESC, which XML has no room for"
WRITTEN_XML: Explained = {
    **YAZ_STORED,
    "marc21/gpo-cgp-new-2022-2024.mrc.xz": (1, _NOT_IN_XML),
    "marc21/gpo-cgp-changed-2023-2024.mrc.xz": (1, _NOT_IN_XML),
    "marc21/gpo-nist-utf8.mrc.xz": (15, _NOT_IN_XML),
}


@both_sizes
def test_pymarc_reads_what_we_write_as_xml(shared_data: Path, count_max: int) -> None:
    differing: Counter[str] = Counter()
    for batch in batches(read(shared_data, count_max)):
        document = "".join(to_marcxml(each.marc) for each in batch)
        octets = f"<collection>{document}</collection>".encode()
        theirs = pymarc.parse_xml_to_array(io.BytesIO(octets))  # type: ignore[no-untyped-call]
        for mine, other in zip(batch, theirs, strict=True):
            if composed(by_pymarc(other)) != composed(control_first(mine.fields)):
                differing[mine.file.name] += 1
    check_explained(differing, WRITTEN_XML, count_max)


def batches(records: Iterable[Read]) -> Iterator[list[Read]]:
    iterator = iter(records)
    while batch := list(islice(iterator, BATCH)):
        yield batch


PYMARC_XML: Explained = {
    "cjk/princeton-cjk.xml": (3, "a tag of four characters, which we leave out"),
}


class _Enough(Exception):  # noqa: N818 - ends pymarc's reading of a document
    pass


@both_sizes
def test_pymarc_reads_the_same_from_xml(shared_data: Path, count_max: int) -> None:
    differing: Counter[str] = Counter()
    for name, group in groupby(read(shared_data, count_max), key=lambda each: each.file.name):
        ours = list(group)
        # pymarc stops where a document is not well-formed, and knows one namespace.
        if not ours[0].file.is_xml or name.startswith(("bad/", "cnmarc/")):
            continue
        theirs = [composed(fields) for fields in pymarc_reads_xml(ours[0].file, len(ours))]
        for mine, other in zip(ours, theirs, strict=True):
            differing[name] += composed(mine.fields) != other
    check_explained(+differing, PYMARC_XML, count_max)


def pymarc_reads_xml(file: MarcFile, count: int) -> list[Fields]:
    found: list[Fields] = []

    def take(record: pymarc.Record) -> None:
        found.append(by_pymarc(record))
        if len(found) == count:
            raise _Enough

    with file.open() as stream, contextlib.suppress(_Enough):
        pymarc.map_xml(take, stream)  # type: ignore[no-untyped-call]
    return found


# yaz-marcdump -----------------------------------------------------------------------


@dataclass
class Marcdump:
    """yaz-marcdump, which turns records into ISO 2709 in UTF-8."""

    program: str
    folder: Path

    def differing(
        self, records: Iterable[tuple[Read, bytes]], *options: str, wrap: str = "{}"
    ) -> Counter[str]:
        """Files of the records whose octets it reads otherwise than we do."""
        found: Counter[str] = Counter()
        iterator = iter(records)
        path = self.folder / "in"
        while batch := list(islice(iterator, BATCH)):
            before, after = wrap.split("{}")
            path.write_bytes(
                before.encode() + b"".join(octets for _, octets in batch) + after.encode()
            )
            output = subprocess.run(
                [self.program, *options, "-t", "utf8", "-o", "marc", str(path)],
                capture_output=True, check=True,
            ).stdout  # fmt: skip
            theirs = [record.raw for record in split(output) if isinstance(record, RawRecord)]
            for (mine, _), other in zip(batch, theirs, strict=True):
                fields = control_first(mine.fields) if before else mine.fields
                if not same(fields, other):
                    found[mine.file.name] += 1
        return found


def same(mine: Fields, other: bytes) -> bool:
    try:
        return composed(mine) == composed(fields_of(other))
    except MalformedRecord:
        return False


@pytest.fixture
def marcdump(client_program: Program, tmp_path: Path) -> Marcdump:
    return Marcdump(client_program("yaz-marcdump"), tmp_path)


@both_sizes
def test_yaz_reads_what_we_store(shared_data: Path, marcdump: Marcdump, count_max: int) -> None:
    records = ((each, each.marc) for each in read(shared_data, count_max))
    check_explained(marcdump.differing(records, "-f", "utf8"), YAZ_STORED, count_max)


# No file has octets of ISO 5426; its table is compared in test_charset.
YAZ_DECODED: dict[str, Explained] = {
    "marc-8": {
        "marc21/evergreen-hebrew.marc": (1, "a DEL, which is left out"),
        "cjk/stanford-u2103-marc8.mrc": (1, "1F inside an ideograph, where they end the subfield"),
        "bad/marc4j-185258.mrc": _NOT_ASCII,
        "bad/marc4j-greekmissingcharsetchange.mrc": _MARK_BEFORE_REFERENCE,
    },
    "gb18030": {},
}


@both_sizes
@pytest.mark.parametrize(("encoding", "name"), [("gb18030", "gb18030"), ("marc-8", "marc8")])
def test_yaz_decodes_other_sets_to_the_same_text(
    shared_data: Path, marcdump: Marcdump, count_max: int, encoding: str, name: str
) -> None:
    records = [
        (each, each.raw)
        for each in read(shared_data, count_max)
        if each.raw and each.decoded.encoding == encoding
    ]
    assert records
    differing = marcdump.differing(records, "-f", name)
    check_explained(differing, YAZ_DECODED[encoding], count_max)


_NOT_IN_MARC_8 = ("marc21/evergreen-nepali.marc.xz", "bad/pymarc-regression45.dat")
YAZ_ENCODED: dict[str, Explained] = {
    "gb18030": {**YAZ_STORED, "bad/marc4j-185258.mrc": _NOT_ASCII},
    "marc-8": {
        **{name: entry for name, entry in YAZ_STORED.items() if name not in _NOT_IN_MARC_8},
        "bad/marc4j-185258.mrc": _NOT_ASCII,
        "marc21/evergreen-hebrew.marc": (1, "a DEL, which is left out"),
        "marc21/gpo-cgp-new-2022-2024.mrc.xz": (2, "a control character, which is left out"),
        "marc21/gpo-cgp-changed-2023-2024.mrc.xz": (1, "a carriage return, which becomes a blank"),
        "cjk/princeton-cjk.xml": (3, "a line feed, which becomes a blank"),
    },
}


@both_sizes
@pytest.mark.parametrize(("encoding", "name"), [("gb18030", "gb18030"), ("marc-8", "marc8")])
def test_yaz_reads_what_we_write_in_other_sets(
    shared_data: Path, marcdump: Marcdump, count_max: int, encoding: str, name: str
) -> None:
    records = (
        (each, octets)
        for each in read(shared_data, count_max)
        if isinstance(octets := encode_record(each.marc, each.file.family, encoding), bytes)
    )
    differing = marcdump.differing(records, "-f", name)
    check_explained(differing, YAZ_ENCODED[encoding], count_max)


@both_sizes
def test_yaz_reads_what_we_write_as_xml(
    shared_data: Path, marcdump: Marcdump, count_max: int
) -> None:
    records = ((each, to_marcxml(each.marc).encode()) for each in read(shared_data, count_max))
    options = ("-i", "marcxml", "-f", "utf8")
    differing = marcdump.differing(records, *options, wrap="<collection>{}</collection>")
    check_explained(differing, WRITTEN_XML, count_max)


# iconv: GB18030 without any of Python's tables --------------------------------------


@both_sizes
def test_iconv_reads_the_gb18030_that_we_write(
    shared_data: Path, client_program: Program, count_max: int
) -> None:
    for batch in batches(read(shared_data, count_max)):
        ours, written = [], []
        for each in batch:
            octets = encode_record(each.marc, each.file.family, "gb18030")
            if isinstance(octets, bytes):
                ours += [text for _, text in each.fields]
                written += octets[int(octets[12:17]) : -2].split(b"\x1e")
        theirs = subprocess.run(
            [client_program("iconv"), "-f", "GB18030", "-t", "UTF-8"],
            input=b"\x1e".join(written), capture_output=True, check=True,
        ).stdout.decode()  # fmt: skip
        assert theirs.split("\x1e") == ours


@pytest.mark.parametrize(
    "text",
    ["㑇", "𠀀𪛖", "🙂", "ěščřž Ἀθῆναι", "한국어", "ไทย", "हिन्दी", "\x98Le \x9cmot", "镕囍"],
)
def test_iconv_agrees_on_what_gbk_lacks(client_program: Program, text: str) -> None:
    theirs = subprocess.run(
        [client_program("iconv"), "-f", "UTF-8", "-t", "GB18030"],
        input=text.encode(), capture_output=True, check=True,
    ).stdout  # fmt: skip
    assert text.encode("gb18030") == theirs

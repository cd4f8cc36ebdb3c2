"""The real MARC files of shared data: what they are and what is expected of them."""

from __future__ import annotations

import lzma
import re
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from protocol.record import MarcFamily

# Files of the folder that hold UNIMARC or CNMARC, by how their path begins.
_UNIMARC = (
    "unimarc/periouni", "unimarc/rusmarc", "unimarc/romania", "unimarc/usemarcon",
    "unimarc/cmarc-38.mrc", "cnmarc/derived", "cnmarc/danching", "cnmarc/bnu-alma-sru-cnmarcxml",
    "cnmarc/bnu-alma-sru-unimarcxml", "bad/ruby-cp866", "bad/pymarc-testunimarc",
)  # fmt: skip

# Records refused where the character set is found out, and why. Every other
# file is read whole.
REFUSED = {
    "bad/marc4j-chinese_mangled_multibyte.mrc": (1, "an ideograph of EACC lost an octet"),
    "bad/marc4j-greekmissingcharsetchange.mrc": (1, "ASCII punctuation within the Greek set"),
    "bad/marc4j-incomplete_esc_seq.mrc": (1, "an ideograph of EACC lost an octet"),
    "bad/marc4j-not_unimarc_errors_3.mrc": (3, "UTF-8 with octets missing"),
    "bad/marc4j-pride-and-prejudice-with-many-errors.mrc.xz": (
        85, "MARC-8 under a leader that says Unicode; directories that lost an octet"),
    "bad/marc4j-sample1.mrc": (1, "octets that are not UTF-8 under a leader that says so"),
    "bad/pymarc-1251.dat": (6, "Windows-1251, which nothing in the record names"),
    "bad/pymarc-bad_eacc_encoding.dat": (1, "no such ideograph in EACC"),
    "bad/pymarc-bad_indicator.dat": (1, "a tag with a blank in it"),
    "bad/pymarc-bad_marc8_escape.dat": (1, "an escape to no known set"),
    "bad/pymarc-bad_records.mrc": (3, "directories of 13 octets, or none"),
    "bad/ruby-bad_eacc_encoding.marc8.marc": (1, "no such ideograph in EACC"),
    "bad/ruby-cp866_multirecord.marc": (2, "control fields throughout, in CP866"),
    "bad/ruby-cp866_unimarc.marc": (1, "control fields throughout, in CP866"),
    "bad/ruby-marc8_accented_chars.marc": (1, "MARC-8 under a leader that says Unicode"),
    "bad/ruby-utf8_with_bad_bytes.marc": (1, "UTF-8 with octets missing"),
    "bad/koha-control-characters.xml": (1, "not well-formed: U+001F"),
    "bad/marc4j-chabon-bad-subfields-element.xml": (1, "an unknown element in a field"),
    "bad/marc4j-chabon-missing-controlfield-tag.xml": (1, "a field without tag"),
    "bad/marc4j-chabon-missing-datafield-tag.xml": (1, "an unknown element, a field without tag"),
    "bad/marc4j-chabon-missing-subfield-code.xml": (1, "a subfield without code"),
    "bad/ruby-three-records-second-bad.xml": (1, "not well-formed: octets that are not UTF-8"),
    "cjk/yaz-marc12-marc8.mrc": (1, "two octets FD amid ideographs, which are in no set"),
    "holdings/zdb-292.mrc": (1, "the file was cut inside a 293rd record"),
    "marc21/gpo-nist-marc8.mrc.xz": (8, "escapes to no known set"),
    "unimarc/rusmarc-72.iso": (72, "KOI8-R, which nothing in the record names"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class MarcFile:
    """One file; `name` is its path in the folder, `count` what the folder's page says."""

    name: str
    path: Path
    count: int

    @property
    def family(self) -> MarcFamily:
        return MarcFamily.UNIMARC if self.name.startswith(_UNIMARC) else MarcFamily.MARC21

    @property
    def is_xml(self) -> bool:
        return ".xml" in self.name

    def open(self) -> BinaryIO:
        if self.path.suffix == ".xz":
            return cast(BinaryIO, lzma.open(self.path))
        if self.path.suffix == ".zip":
            archive = zipfile.ZipFile(self.path)
            return cast(BinaryIO, archive.open(archive.namelist()[0]))
        return self.path.open("rb")

    def read(self) -> bytes:
        with self.open() as stream:
            return stream.read()


def marc_files(folder: Path) -> list[MarcFile]:
    """Every file that the folder's page lists, with the number of records it gives."""
    files = []
    subfolder = ""
    for line in (folder / "README.md").read_text("utf-8").splitlines():
        if heading := re.match(r"\| file in `([a-z0-9]+)/`", line):
            subfolder = heading[1]
        elif row := re.match(r"\| `([^`]+)` \| ([0-9,]+) \|", line):
            name = f"{subfolder}/{row[1]}"
            files.append(MarcFile(name, folder / name, int(row[2].replace(",", ""))))
    return files

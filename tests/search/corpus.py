"""One catalogue of the real files and of the samples.

Each sample table is a database, and so are the files of a folder that are of one
MARC family (`cjk`, `unimarc`, `unimarc-marc21`). Of records with one control
number the last in a folder counts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import samples.build
from protocol.iso2709 import Field, build
from protocol.record import Database, Holding, MarcFamily
from store.catalogue import SqliteCatalogue
from store.load import load
from store.writer import CatalogueWriter
from tests.marc_files import MarcFile, marc_files

# No bibliographic records, or the same ones as another file holds.
LEFT_OUT = ("authority/", "holdings/", "bad/", "cnmarc/derived-gb18030")
# Many records of one kind: the ordinary run does without them.
LARGE = (
    "marc21/gpo-", "marc21/uva-", "marc21/evergreen-jazz", "union/", "unimarc/periouni",
)  # fmt: skip
_KOI8 = "unimarc/rusmarc"  # names no set; who loads it knows which it is


def files(folder: Path, *, large: bool) -> list[MarcFile]:
    """The files of the shared data that make up the catalogue, the `large` ones among them."""
    skipped = LEFT_OUT if large else LEFT_OUT + LARGE
    return [each for each in marc_files(folder) if not each.name.startswith(skipped)]


def database_of(file: MarcFile) -> Database:
    folder = file.name.partition("/")[0]
    usual = MarcFamily.UNIMARC if folder in ("unimarc", "cnmarc") else MarcFamily.MARC21
    name = folder if file.family is usual else f"{folder}-{file.family.value}"
    return Database(name, name, file.family)


def build_catalogue(directory: Path, every: Sequence[MarcFile]) -> SqliteCatalogue:
    """Load the samples and `every` file, merge the index, and open it."""
    sample_bases = [
        Database(name, name, family) for name, family in samples.build.databases().items()
    ]
    by_database: dict[Database, list[MarcFile]] = {}
    for file in every:
        by_database.setdefault(database_of(file), []).append(file)
    writer = CatalogueWriter(directory, (*sample_bases, *by_database), durable=False)
    ids: dict[tuple[str, str], int] = {}
    try:
        with writer.transaction():
            for base in sample_bases:
                for marc in samples.build.records(base.name):
                    stored = writer.put(base.name, marc)
                    assert hasattr(stored, "record_id")
                    ids[base.name, stored.control_number] = stored.record_id
            for institution, name, number, call_number in samples.build.holdings():
                writer.put_holding(Holding(institution, ids[name, number], call_number))
            for base, found in by_database.items():
                for file in found:
                    if file.name.startswith(_KOI8):
                        for marc in _decoded(file.read(), "koi8-r"):
                            writer.put(base.name, marc)
        for base, found in by_database.items():
            paths = [each.path for each in found if not each.name.startswith(_KOI8)]
            load(writer, paths, base.name, processes=0)
        writer.merge_all()
    finally:
        writer.close()
    return SqliteCatalogue(directory)


def _decoded(data: bytes, encoding: str) -> Iterator[bytes]:
    """The records of a file in a set of one octet a character, in the stored form."""
    for octets in data.split(b"\x1d"):
        record = octets.lstrip(b"\r\n")
        if not record:
            continue
        base = int(record[12:17])
        fields = []
        for at in range(24, base - 12, 12):
            entry = record[at : at + 12].decode("ascii")
            start = base + int(entry[7:])
            octets_of_field = record[start : start + int(entry[3:7])]
            fields.append(Field(entry[:3], octets_of_field.rstrip(b"\x1e").decode(encoding)))
        yield build(record[:24].decode("ascii"), fields)

"""Records are compressed where they lie, and come back as they were, octet for octet."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from protocol.iso2709 import parse
from protocol.record import MarcFamily
from store.bulk import Accepted, Analysed, BulkWriter
from store.index import index_record
from store.indexed_versions import current
from store.marc_packing import DICTIONARY_BYTES, PACKED, SAMPLES_MIN
from store.repacking import pack_stored
from store.sqlite import open_reader
from store.writer import CatalogueWriter
from tests.catalogue_records import Library, back_to_schema, book, put

_WORDS = (Path(__file__).parents[2] / "docs" / "architecture.md").read_text("utf-8").split()
COUNT = 1200


def records(count: int, *, note: str = "") -> list[bytes]:
    draw = random.Random(7)
    return [
        book(
            f"n{number:04}", " ".join(draw.choices(_WORDS, k=12)),
            note=note + " ".join(draw.choices(_WORDS, k=60)),
        )
        for number in range(count)
    ]  # fmt: skip


def load(writer: CatalogueWriter, marcs: list[bytes]) -> None:
    bulk = BulkWriter(writer, "we_cat")
    analysed = Analysed()
    for place, marc in enumerate(marcs):
        record = parse(marc)
        index_record(analysed.postings, place, record, MarcFamily.MARC21, "we_cat")
        analysed.records.append(Accepted(place, "", record.control_number, marc))
    analysed.places = len(marcs)
    bulk.add(analysed)
    bulk.flush()


@pytest.fixture(scope="module")
def loaded_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("loaded")
    library = Library(directory)
    load(library.writer, records(COUNT))
    library.close()
    return directory


@pytest.fixture
def loaded(loaded_once: Path, tmp_path: Path) -> Iterator[Library]:
    """A catalogue of COUNT records."""
    shutil.copytree(loaded_once, tmp_path / "loaded")
    library = Library(tmp_path / "loaded")
    yield library
    library.close()


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    library = Library(tmp_path)
    yield library
    library.close()


def stored(writer: CatalogueWriter) -> list[bytes]:
    """What lies in the file."""
    return [row[0] for row in writer.connection.execute("SELECT marc FROM record ORDER BY 1")]


def read(writer: CatalogueWriter) -> list[bytes]:
    return [version.marc for version in current(writer.connection)]


def test_a_loaded_catalogue_is_compressed_and_reads_as_it_came(library: Library) -> None:
    marcs = records(COUNT)
    before = library.catalogue.fetch_at_once([1])  # a connection that knows no dictionary
    load(library.writer, marcs)
    lying = stored(library.writer)
    assert before == [None]
    assert all(octets[0] > PACKED for octets in lying)
    assert sum(map(len, lying)) < 0.5 * sum(map(len, marcs))
    assert read(library.writer) == marcs
    found = library.catalogue.fetch_at_once([1, COUNT])
    assert [one and one.control_number for one in found] == ["n0000", f"n{COUNT - 1}"]


def test_a_small_catalogue_stays_as_it_is(library: Library) -> None:
    marcs = records(SAMPLES_MIN - 1)
    load(library.writer, marcs)
    assert sorted(marcs) == stored(library.writer)


def test_every_version_reads_as_it_came(loaded: Library) -> None:
    marcs = records(COUNT)
    again = book("n0005", "Another title", note="and what was said of it")
    record_id = put(loaded.writer, again)
    assert loaded.writer.rows.version(record_id, 1) == marcs[5]
    assert loaded.writer.rows.version(record_id, 2) == again
    assert put(loaded.writer, again) == record_id  # nothing has changed
    load(loaded.writer, marcs)  # back to what it was, by a load that compares
    assert loaded.writer.rows.version(record_id, 3) == marcs[5]
    (versions,) = loaded.writer.connection.execute("SELECT sum(version) FROM record").fetchone()
    assert versions == COUNT + 2


def test_a_dictionary_is_of_one_database(loaded: Library) -> None:
    put(loaded.writer, book("c1", "Elsewhere"), "cn_cat")
    (lying,) = loaded.writer.connection.execute(
        "SELECT marc FROM record WHERE control_number = 'c1'"
    ).fetchone()
    assert lying == book("c1", "Elsewhere")


def test_octets_that_would_look_packed_come_back(library: Library) -> None:
    packing = library.writer.rows.packing
    connection = library.writer.connection
    for odd in (b"", b"\x80", b"\xff" * 3, b"\x7f\xff"):
        packed = packing.pack(1, odd)
        assert connection.execute("SELECT unpacked(?)", (packed,)).fetchone() == (odd,)


@pytest.mark.parametrize(
    "damage",
    ["substr(marc, 1, length(marc) - 3)", "x'ff' || substr(marc, 2)", "x'81'"],
)
def test_what_cannot_be_unpacked_is_no_record_and_stops_nothing(
    loaded: Library, damage: str
) -> None:
    execute = loaded.writer.connection.execute
    execute(f"UPDATE record SET marc = CAST({damage} AS BLOB) WHERE record_id = 3")
    (lying, given) = execute(
        "SELECT marc, unpacked(marc) FROM record WHERE record_id = 3"
    ).fetchone()
    assert given == lying
    assert len(read(loaded.writer)) == COUNT


def test_a_changed_octet_is_noticed(loaded: Library) -> None:
    execute = loaded.writer.connection.execute
    (lying,) = execute("SELECT marc FROM record WHERE record_id = 3").fetchone()
    for place in range(1, len(lying)):
        other = lying[:place] + bytes((lying[place] ^ 0x40,)) + lying[place + 1 :]
        (given,) = execute("SELECT unpacked(?)", (other,)).fetchone()
        assert given == other, place


def test_records_of_the_schema_before_are_read_and_then_packed(tmp_path: Path) -> None:
    library = Library(tmp_path)
    marcs = records(SAMPLES_MIN - 1)
    load(library.writer, marcs)
    put(library.writer, book("n0005", "Another title"))
    put(library.writer, marcs[5])
    back_to_schema(library.writer.connection, 7)
    library.close()
    library = Library(tmp_path)
    assert read(library.writer) == marcs
    more = records(COUNT, note="later ")[SAMPLES_MIN - 1 :]
    for marc in more:
        put(library.writer, marc)
    told: list[int] = []
    with pytest.raises(KeyboardInterrupt):
        pack_stored(library.writer, lambda done: _stop(done, told))
    assert pack_stored(library.writer) == COUNT + 2 - told[-1]
    assert pack_stored(library.writer) == 0
    assert read(library.writer) == marcs + more
    assert library.writer.rows.version(6, 2) == book("n0005", "Another title")
    assert all(octets[0] > PACKED for octets in stored(library.writer))
    with open_reader(library.writer.path) as reader:
        (size,) = reader.execute("SELECT length(octets) FROM marc_dictionary").fetchone()
    assert 0 < size <= DICTIONARY_BYTES
    library.close()


def _stop(done: int, told: list[int]) -> None:
    told.append(done)
    if done >= 1000:
        raise KeyboardInterrupt

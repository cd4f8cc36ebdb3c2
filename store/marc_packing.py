"""The octets of records as they lie in the catalogue: compressed one by one.

Records of a catalogue are much alike, so they are compressed with a dictionary
that was made from some of them, by database: to a third, where each by itself
would come to two thirds, and one is read in some 2 µs. Every dictionary that was
ever used is kept in the table `marc_dictionary`.

What lies in a column `marc` says itself what it is. First an octet from 0x80 on:
it is packed with the dictionary of that number less 0x80, 0 for none, in a frame
of Zstandard (RFC 8878) without its magic number, and with a checksum. Any other
first octet: the record as it is, which begins with a digit. So records stored by
earlier versions are read as ever, and those of small catalogues stay as they are.

SQL reads such a column as `unpacked(marc)`, a function of every connection.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any, Final

import zstandard

PACKED = 0x80
DICTIONARIES_MAX = 0x7F
DICTIONARY_BYTES = 112 << 10
# A dictionary is made of that many records at least, and of no more.
SAMPLES_MIN, SAMPLES_MAX = 1000, 4000
_SAMPLES_BYTES_MIN = 2 * DICTIONARY_BYTES
_LEVEL = 3  # 4 µs a record; level 9 takes five times as long and saves 6 %
_NOT_PACKED: Final = b"\x80"  # whatever sorts before it is not packed

_SELECT = "SELECT octets FROM marc_dictionary WHERE dictionary_id = ?"
_SELECT_NEWEST = (
    "SELECT dictionary_id, octets FROM marc_dictionary WHERE database_id = ?"
    " ORDER BY dictionary_id DESC LIMIT 1"
)


class Unpacking:
    """The SQL function `unpacked` of one connection."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._execute = connection.execute
        self._decompress = {0: _decompressor(None).decompress}

    def __call__(self, octets: Any) -> Any:
        """A record as it came; what cannot be unpacked, as it lies there, which is no record."""
        if not isinstance(octets, bytes) or octets < _NOT_PACKED:
            return octets
        number = octets[0] - PACKED
        decompress = self._decompress.get(number)
        if decompress is None:
            row = self._execute(_SELECT, (number,)).fetchone()
            if row is None:
                return octets
            decompress = self._decompress[number] = _decompressor(row[0]).decompress
        try:
            return decompress(octets[1:])
        except (zstandard.ZstdError, MemoryError):  # damage may speak of any size
            return octets


class Packing:
    """Packs what is written through one connection."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._execute = connection.execute
        # By database. Dictionaries are made in transactions of their own, so one that was
        # read is there for good.
        self._newest: dict[int, tuple[int, zstandard.ZstdCompressor]] = {}

    def pack(self, database_id: int, marc: bytes) -> bytes:
        """What is stored of a record of a database."""
        known = self._newest.get(database_id) or self._read(database_id)
        if known is None:
            if marc < _NOT_PACKED:
                return marc
            known = (0, _compressor(None))
        number, compressor = known
        packed = bytes((PACKED + number,)) + compressor.compress(marc)
        return marc if len(marc) <= len(packed) and marc < _NOT_PACKED else packed

    def has_dictionary(self, database_id: int) -> bool:
        return bool(self._newest.get(database_id) or self._read(database_id))

    def _read(self, database_id: int) -> tuple[int, zstandard.ZstdCompressor] | None:
        row = self._execute(_SELECT_NEWEST, (database_id,)).fetchone()
        if row is None:
            return None
        found = self._newest[database_id] = row[0], _compressor(row[1])
        return found

    def add_dictionary(self, database_id: int, samples: Sequence[bytes]) -> None:
        """Make a dictionary of records of a database, where they are enough for one.

        To be called inside a transaction that does nothing else.
        """
        chosen: list[bytes | bytearray | memoryview] = list(
            samples[:: max(1, len(samples) // SAMPLES_MAX)]
        )
        if len(chosen) < SAMPLES_MIN or sum(map(len, chosen)) < _SAMPLES_BYTES_MIN:
            return
        (count,) = self._execute("SELECT count(*) FROM marc_dictionary").fetchone()
        if count >= DICTIONARIES_MAX:
            return
        try:
            octets = zstandard.train_dictionary(DICTIONARY_BYTES, chosen).as_bytes()
        except zstandard.ZstdError:  # they have too little in common
            return
        self._execute(
            "INSERT INTO marc_dictionary (database_id, octets) VALUES (?, ?)", (database_id, octets)
        )


def register_function(connection: sqlite3.Connection) -> None:
    """Have SQL of this connection know `unpacked`."""
    connection.create_function("unpacked", 1, Unpacking(connection), deterministic=True)


def _dictionary(octets: bytes | None) -> zstandard.ZstdCompressionDict | None:
    return None if octets is None else zstandard.ZstdCompressionDict(octets)


def _decompressor(octets: bytes | None) -> zstandard.ZstdDecompressor:
    return zstandard.ZstdDecompressor(
        dict_data=_dictionary(octets), format=zstandard.FORMAT_ZSTD1_MAGICLESS
    )


def _compressor(octets: bytes | None) -> zstandard.ZstdCompressor:
    parameters = zstandard.ZstdCompressionParameters.from_level(
        _LEVEL,
        format=zstandard.FORMAT_ZSTD1_MAGICLESS,
        write_checksum=True,
        write_content_size=True,
        write_dict_id=False,  # the first octet says which
    )
    return zstandard.ZstdCompressor(dict_data=_dictionary(octets), compression_params=parameters)

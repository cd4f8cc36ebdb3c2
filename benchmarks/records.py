"""Generated MARC 21 records: record `i` depends on `(seed, i)` alone.

So the first 1,000 of 1,000,000 records are the 1,000 records of a small run. A
record has about 1.1 KB; every fourth is Chinese. Words follow a Zipf–Mandelbrot
law, every ISBN-13 is valid and unique.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from hashlib import shake_128
from typing import NamedTuple, TypeVar

from benchmarks import vocabulary

SEED = 2100
CHINESE_EVERY = 4
DRAWS_PER_RECORD = 72

_DRAWS = struct.Struct(f"<{DRAWS_PER_RECORD}I")
_SLOTS = 1 << 18
_SLOT_MASK = _SLOTS - 1
_SMALL_SLOTS = 1 << 14
_SMALL_MASK = _SMALL_SLOTS - 1

# (title words, pattern). Stop words give the index its few enormous terms.
_ENGLISH_PATTERNS = (
    (2, b"%b of %b"), (3, b"%b and %b in %b"), (3, b"the %b of %b %b"), (3, b"%b %b %b"),
    (4, b"%b %b of the %b and %b"), (5, b"%b %b for %b and %b in %b"),
    (4, b"on the %b %b from %b to %b"), (4, b"%b, %b and %b %b"),
)  # fmt: skip
_SUMMARY_WORDS_ENGLISH = 28
_SUMMARY_WORDS_CHINESE = 40
# A directory entry by table: formatting numbers would be half of a record's cost.
_FOUR_DIGITS = [b"%04d" % number for number in range(10_000)]

Item = TypeVar("Item")


class GeneratedRecord(NamedTuple):
    """One record and what a query may ask of it."""

    marc: bytes  # UTF-8 ISO 2709
    isbn: str
    title_words: Sequence[str]  # in order of the title, without stop words
    author_surname: str
    chinese: bool


class Generator:
    """Makes record `index` of the catalogue named by `seed`, in any order."""

    def __init__(self, seed: int = SEED) -> None:
        self.seed = seed
        encode = str.encode
        english = [encode(word) for word in vocabulary.english_words(32_768)]
        chinese = [encode(word) for word in vocabulary.chinese_words(8_192)]
        self._english = quantiles(english, _SLOTS)
        self._chinese = quantiles(chinese, _SLOTS)
        # Summaries keep to the commoner words, as running text does.
        self._english_prose = quantiles(english[:4096], _SMALL_SLOTS)
        self._chinese_prose = quantiles(chinese[:4096], _SMALL_SLOTS)
        self._english_authors = quantiles(
            [
                (encode(surname), encode(given))
                for surname, given in vocabulary.english_authors(65_536)
            ],
            _SLOTS,
            offset=200.0,
        )
        self._chinese_authors = quantiles(
            [encode(name) for name in vocabulary.chinese_authors(32_768)], _SLOTS, offset=200.0
        )
        self._english_subjects = quantiles(
            [
                b"%b and %b" % (a.capitalize(), b) if n % 3 else a.capitalize()
                for n, (a, b) in enumerate(zip(english[:4096], english[5:], strict=False))
            ],
            _SMALL_SLOTS,
        )
        self._chinese_subjects = quantiles(chinese[:2048], _SMALL_SLOTS)
        self._english_publishers = _imprints(vocabulary.ENGLISH_PUBLISHERS)
        self._chinese_publishers = _imprints(vocabulary.CHINESE_PUBLISHERS)
        self._years = quantiles([b"%d" % year for year in range(2024, 1949, -1)], _SMALL_SLOTS, 15)
        self._languages = quantiles(
            [
                (encode(code), encode(vocabulary.LANGUAGE_COUNTRIES[code]))
                for code in vocabulary.WESTERN_LANGUAGES
            ],
            _SMALL_SLOTS,
            offset=0.0,
        )
        self._english_series = [encode(name) for name in vocabulary.ENGLISH_SERIES]
        self._chinese_series = [encode(name) for name in vocabulary.CHINESE_SERIES]
        self._english_subdivisions = [encode(name) for name in vocabulary.WESTERN_SUBDIVISIONS]
        self._chinese_subdivisions = [encode(name) for name in vocabulary.CHINESE_SUBDIVISIONS]

    def record(self, index: int) -> GeneratedRecord:
        """Record number `index`, from 0."""
        octets = shake_128(b"%d:%d" % (self.seed, index)).digest(4 * DRAWS_PER_RECORD)
        draws = _DRAWS.unpack(octets)
        if is_chinese(index):
            return self._chinese_record(index, draws)
        return self._english_record(index, draws)

    def _english_record(self, index: int, draws: tuple[int, ...]) -> GeneratedRecord:
        words, mask = self._english, _SLOT_MASK
        surname, given = self._english_authors[draws[0] & mask]
        size, pattern = _ENGLISH_PATTERNS[draws[1] >> 29]
        title_words = [words[draw & mask] for draw in draws[2 : 2 + size]]
        title = pattern % tuple(title_words)
        subtitle = b""
        if draws[1] & 3:
            subtitle_words = [words[draw & mask] for draw in draws[8:11]]
            title_words += subtitle_words
            subtitle = b" :\x1fba %b %b of %b" % tuple(subtitle_words)
        year = self._years[draws[11] & _SMALL_MASK]
        language, country = self._languages[draws[12] & _SMALL_MASK]
        prose = self._english_prose
        summary = b" ".join(
            [prose[draw & _SMALL_MASK] for draw in draws[32 : 32 + _SUMMARY_WORDS_ENGLISH]]
        )
        subjects, subdivisions = self._english_subjects, self._english_subdivisions
        draw = draws[13]
        pages = 90 + draw % 600
        isbn = isbn13(index)
        fields = [
            *_control_fields(index, draws[14], year, country, language),
            (b"020", b"  \x1fa%b\x1fq(hbk.) :\x1fc$%d.00\x1e" % (isbn, 20 + draw % 180)),
            (b"040", b"  \x1faLMB\x1fbeng\x1fcLMB\x1e"),
            *_classes(draws[15], surname, year),
            (b"100", b"1 \x1fa%b, %b,\x1fd%d-\x1e" % (surname, given, 1900 + draws[16] % 95)),
            (
                b"245",
                b"10\x1fa%b%b%b /\x1fcby %b %b.\x1e"
                % (title[:1].upper(), title[1:], subtitle, given, surname),
            ),
            (b"260", self._english_publishers[draws[17] & _SMALL_MASK] % year),
            (
                b"300",
                b"  \x1faxvi, %d pages :\x1fbillustrations ;\x1fc%d cm.\x1e"
                % (pages, 20 + draw % 12),
            ),
            (
                b"490",
                b"0 \x1fa%b ;\x1fvv. %d\x1e"
                % (self._english_series[draws[18] & 7], draws[18] >> 24),
            ),
            (b"500", b"  \x1faIncludes index and a list of the sources quoted.\x1e"),
            (
                b"504",
                b"  \x1faIncludes bibliographical references (pages %d-%d) and index.\x1e"
                % (pages - 24, pages - 9),
            ),
            (b"520", b"  \x1fa%b.\x1e" % summary.capitalize()),
        ]
        fields += [
            (
                b"650",
                b" 0\x1fa%b\x1fx%b.\x1e"
                % (subjects[draw & _SMALL_MASK], subdivisions[(draw >> 16) % 12]),
            )
            for draw in draws[20 : 22 + (draws[19] & 1)]
        ]
        fields += [
            (b"700", b"1 \x1fa%b, %b.\x1e" % self._english_authors[draw & mask])
            for draw in draws[24 : 24 + (draws[19] >> 4 & 3) % 3]
        ]
        return GeneratedRecord(
            iso2709(fields), isbn.decode(), b" ".join(title_words).decode().split(),
            surname.decode(), False,
        )  # fmt: skip

    def _chinese_record(self, index: int, draws: tuple[int, ...]) -> GeneratedRecord:
        words, mask = self._chinese, _SLOT_MASK
        author = self._chinese_authors[draws[0] & mask]
        title_words = [words[draw & mask] for draw in draws[2 : 4 + (draws[1] >> 29) % 3]]
        ending = _CHINESE_ENDINGS[draws[1] % 10]
        title = b"".join(title_words) + ending
        subtitle = b""
        if draws[1] & 3 == 0:
            subtitle_words = [words[draw & mask] for draw in draws[8:10]]
            title_words += subtitle_words
            subtitle = _CHINESE_SUBTITLE + b"".join(subtitle_words)
        year = self._years[draws[11] & _SMALL_MASK]
        prose = self._chinese_prose
        summary = [prose[draw & _SMALL_MASK] for draw in draws[32 : 32 + _SUMMARY_WORDS_CHINESE]]
        subjects, subdivisions = self._chinese_subjects, self._chinese_subdivisions
        draw = draws[13]
        pages = 90 + draw % 600
        isbn = isbn13(index)
        fields = [
            *_control_fields(index, draws[14], year, b"cc ", b"chi"),
            (b"020", b"  \x1fa%b :\x1fcCNY%d.00\x1e" % (isbn, 20 + draw % 180)),
            (b"040", b"  \x1faLMB\x1fbchi\x1fcLMB\x1e"),
            *_classes(draws[15], b"C", year),
            (b"100", b"1 \x1fa%b,\x1fd%d-\x1e" % (author, 1900 + draws[16] % 95)),
            (b"245", b"10\x1fa%b%b /\x1fc%b%b.\x1e" % (title, subtitle, author, _AUTHORED)),
            (b"260", self._chinese_publishers[draws[17] & _SMALL_MASK] % year),
            (b"300", _CHINESE_EXTENT % (pages, 20 + draw % 12)),
            (
                b"490",
                b"0 \x1fa%b ;\x1fv%d\x1e" % (self._chinese_series[draws[18] % 6], draws[18] >> 24),
            ),
            (b"500", _CHINESE_NOTE),
            (b"504", _CHINESE_REFERENCES % (pages - 24, pages - 9)),
            (
                b"520",
                b"  \x1fa%b\xef\xbc\x8c%b\xef\xbc\x9b%b\xe3\x80\x82\x1e"
                % (b"".join(summary[:14]), b"".join(summary[14:26]), b"".join(summary[26:])),
            ),
        ]
        fields += [
            (
                b"650",
                b" 4\x1fa%b\x1fx%b.\x1e"
                % (subjects[draw & _SMALL_MASK], subdivisions[(draw >> 16) & 7]),
            )
            for draw in draws[20 : 22 + (draws[19] & 1)]
        ]
        fields += [
            (b"700", b"1 \x1fa%b.\x1e" % self._chinese_authors[draw & mask])
            for draw in draws[24 : 24 + (draws[19] >> 4 & 3) % 3]
        ]
        return GeneratedRecord(
            iso2709(fields), isbn.decode(), b" ".join(title_words).decode().split(),
            author.decode(), True,
        )  # fmt: skip


def is_chinese(index: int) -> bool:
    return index % CHINESE_EVERY == CHINESE_EVERY - 1


def isbn13(index: int) -> bytes:
    """The valid ISBN-13 of record `index` (below 100 million): 978-7 in Chinese, else 978-0/1."""
    # Multiplying by a number coprime with ten visits every residue once.
    if is_chinese(index):
        number = 9_787_00000000 + index * 61_803_399 % 100_000_000
    else:
        number = 9_780_00000000 + index * 141_421_357 % 200_000_000
    digits = b"%d" % number
    # Weights 1, 3, 1, ...; a digit's octet is 48 more than its value.
    total = sum(digits[::2]) + 3 * sum(digits[1::2]) - 48 * 24
    return digits + b"%d" % (-total % 10)


def iso2709(fields: Sequence[tuple[bytes, bytes]]) -> bytes:
    """A MARC 21 record of (tag, field with its terminator), in UTF-8, below 10,000 octets.

    Source: ISO 2709 §4.
    """
    directory = []
    offset = 0
    for tag, field in fields:
        size = len(field)
        directory.append(tag + _FOUR_DIGITS[size] + b"0" + _FOUR_DIGITS[offset])
        offset += size
    base = 24 + 12 * len(fields) + 1
    return b"%05dnam a22%05d i 4500%b\x1e%b\x1d" % (
        base + offset + 1,
        base,
        b"".join(directory),
        b"".join([field for _, field in fields]),
    )


def quantiles(items: Sequence[Item], slots: int, offset: float = 2.7) -> list[Item]:
    """A table of `slots` entries in which item `r` (from 0) stands in proportion to 1/(r+1+offset).

    Indexing it with a uniform number draws from a Zipf–Mandelbrot law. Every
    item stands at least once.
    """
    weights = [1.0 / (rank + 1 + offset) for rank in range(len(items))]
    spare = slots - len(items)
    share = spare / sum(weights)
    table: list[Item] = []
    owed = 0.0
    for item, weight in zip(items, weights, strict=True):
        owed += weight * share
        extra = int(owed)
        owed -= extra
        table.extend([item] * (1 + extra))
    table.extend(items[: slots - len(table)])
    return table


def _imprints(publishers: Sequence[tuple[str, str]]) -> list[bytes]:
    """Field 260 with a place left for the year."""
    fields = [f"  \x1fa{place} :\x1fb{name},\x1fc%b.\x1e".encode() for place, name in publishers]
    return quantiles(fields, _SMALL_SLOTS, offset=1.0)


def _control_fields(
    index: int, draw: int, year: bytes, country: bytes, language: bytes
) -> tuple[tuple[bytes, bytes], ...]:
    month, day = 1 + draw % 12, 1 + (draw >> 4) % 28
    return (
        (b"001", b"LMB%09d\x1e" % index),
        (b"003", b"CN-LMB\x1e"),
        (
            b"005",
            b"20%02d%02d%02d%02d%02d00.0\x1e"
            % (10 + (draw >> 9) % 14, month, day, (draw >> 13) % 24, (draw >> 18) % 60),
        ),
        (
            b"008",
            b"%02d%02d%02ds%b    %ba     b    001 0 %b  \x1e"
            % ((draw >> 24) % 24, month, day, year, country, language),
        ),
    )


def _classes(draw: int, book: bytes, year: bytes) -> tuple[tuple[bytes, bytes], ...]:
    letter = b"BDHJKNPQRT"[draw % 10]
    number = (draw >> 4) % 9000
    return (
        (
            b"050",
            b" 4\x1fa%c%d\x1fb.%c%d %b\x1e" % (letter, number, book[0], (draw >> 18) % 99, year),
        ),
        (b"082", b"04\x1fa%03d.%d\x1f223\x1e" % ((draw >> 8) % 1000, (draw >> 20) % 999)),
    )


_CHINESE_ENDINGS = [ending.encode() for ending in vocabulary.CHINESE_TITLE_ENDINGS]
_AUTHORED = "著".encode()
# 兼 is in no title word: servers that let a phrase run from $a into $b find no more for it.
_CHINESE_SUBTITLE = " :\x1fb兼论".encode()
_CHINESE_EXTENT = "  \x1fa%d页 :\x1fb图 ;\x1fc%dcm\x1e".encode()
_CHINESE_NOTE = "  \x1fa附索引及引用资料一览\x1e".encode()
_CHINESE_REFERENCES = "  \x1fa有参考书目（第%d-%d页）和索引\x1e".encode()

"""Generated MARC 21 records in a file, and the queries that find them, the same in every run.

    python -m benchmarks.generate --records 100000 --out benchmarks/work/100000.mrc

The workload names queries together with the number of records that they must
find, counted while the records are written.
"""

from __future__ import annotations

import argparse
import json
import struct
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from hashlib import shake_128
from itertools import pairwise
from pathlib import Path

from benchmarks.records import CHINESE_EVERY, SEED, GeneratedRecord, Generator, isbn13

ISBN_QUERIES = 10_000
SAMPLED_RECORDS = 4_000
TERMS_PER_FREQUENCY = 20
RECORDS_MAX = 100_000_000


@dataclass(frozen=True, slots=True)
class Term:
    """A title word and the exact number of records that have it in field 245."""

    term: str
    hits: int


@dataclass(frozen=True, slots=True)
class Workload:
    """Queries over the first `records` generated records, in the order to send them."""

    seed: int
    records: int
    isbns: tuple[str, ...]  # one hit each
    title_pair_and_author: tuple[tuple[str, str, str], ...]  # at least one hit each
    chinese_words: tuple[Term, ...]  # two characters
    # The English title words nearest to that many hits, or to a tenth and a
    # hundredth of the records where there are fewer than 100,000.
    terms_10k_hits: tuple[Term, ...]
    terms_1k_hits: tuple[Term, ...]
    scan_words: tuple[str, ...]

    def write(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self), ensure_ascii=False), encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> Workload:
        fields = json.loads(path.read_text(encoding="utf-8"))
        for name in ("chinese_words", "terms_10k_hits", "terms_1k_hits"):
            fields[name] = tuple(Term(**term) for term in fields[name])
        fields["title_pair_and_author"] = tuple(map(tuple, fields["title_pair_and_author"]))
        fields["isbns"] = tuple(fields["isbns"])
        fields["scan_words"] = tuple(fields["scan_words"])
        return cls(**fields)


class WorkloadBuilder:
    """Counts the title words of every record and keeps the queries of a few."""

    def __init__(self, seed: int, count: int) -> None:
        self._seed = seed
        self._count = count
        self._sampled = frozenset(_indexes(seed, count, SAMPLED_RECORDS))
        self._english_hits: Counter[str] = Counter()
        self._chinese_hits: Counter[str] = Counter()
        self._pairs: list[tuple[str, str, str]] = []
        self._chinese_words: list[str] = []
        self._scan_words: list[str] = []

    def add(self, index: int, record: GeneratedRecord) -> None:
        words = record.title_words
        if record.chinese:
            self._chinese_hits.update(_bigrams(record.marc))
        else:
            self._english_hits.update(set(words))
        if index not in self._sampled:
            return
        if record.chinese:
            self._chinese_words.append(words[index // CHINESE_EVERY % len(words)])
        else:
            self._scan_words.append(words[-1])
            if words[0] != words[1]:
                self._pairs.append((words[0], words[1], record.author_surname))

    def workload(self) -> Workload:
        return Workload(
            seed=self._seed,
            records=self._count,
            isbns=tuple(
                isbn13(index).decode()
                for index in _indexes(self._seed + 1, self._count, ISBN_QUERIES)
            ),
            title_pair_and_author=tuple(self._pairs),
            chinese_words=tuple(
                Term(word, self._chinese_hits[word]) for word in self._chinese_words
            ),
            terms_10k_hits=self._nearest(min(10_000, self._count // 10)),
            terms_1k_hits=self._nearest(min(1_000, self._count // 100)),
            scan_words=tuple(self._scan_words),
        )

    def _nearest(self, hits: int) -> tuple[Term, ...]:
        """Title words that at least half and at most twice as many records have, nearest first."""
        near = [
            Term(word, count)
            for word, count in self._english_hits.items()
            if hits <= 2 * count and count <= 2 * hits
        ]
        near.sort(key=lambda term: (max(term.hits / hits, hits / term.hits), term.term))
        return tuple(near[:TERMS_PER_FREQUENCY])


def generate(count: int, path: Path, seed: int = SEED) -> Workload:
    """Write `count` records to `path` as ISO 2709 and return the queries over them."""
    generator, builder = Generator(seed), WorkloadBuilder(seed, count)
    with path.open("wb", buffering=1 << 20) as file:
        for index in range(count):
            record = generator.record(index)
            builder.add(index, record)
            file.write(record.marc)
    return builder.workload()


def prepared(count: int, work_dir: Path, seed: int = SEED) -> tuple[Path, Workload]:
    """The records and workload in `work_dir`, made when they are not there yet.

    Whoever changes the generator deletes what was kept there.
    """
    work_dir.mkdir(parents=True, exist_ok=True)
    records_path = work_dir / f"{count}-{seed}.mrc"
    workload_path = records_path.with_suffix(".json")
    if not workload_path.exists():
        generate(count, records_path, seed).write(workload_path)
    return records_path, Workload.read(workload_path)


def _bigrams(marc: bytes) -> set[str]:
    """Every two characters side by side in 245 $a or $b of a Chinese record."""
    start = marc.index(b"\x1e10\x1fa") + 5
    found: set[str] = set()
    for part in marc[start : marc.index(b" /\x1fc", start)].decode().split(" :\x1fb"):
        found.update(map("".join, pairwise(part)))
    return found


def _indexes(seed: int, count: int, size: int) -> Iterator[int]:
    octets = shake_128(b"sample %d" % seed).digest(4 * size)
    return (draw % count for draw in struct.unpack(f"<{size}I", octets))


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.generate",
        description="Write generated MARC 21 records and the queries that find them.",
        epilog="example: python -m benchmarks.generate --records 100000 "
        "--out benchmarks/work/100000.mrc",
    )
    parser.add_argument("--records", type=int, default=100_000, help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=SEED, help="default: %(default)s")
    parser.add_argument("--out", type=Path, required=True, help="ISO 2709; queries go beside it")
    options = parser.parse_args(arguments)
    if not 1 <= options.records <= RECORDS_MAX:
        parser.error(f"--records is between 1 and {RECORDS_MAX:,}")
    started_s = time.perf_counter()
    workload = generate(options.records, options.out, options.seed)
    elapsed_s = time.perf_counter() - started_s
    workload.write(options.out.with_suffix(".json"))
    size_bytes = options.out.stat().st_size
    print(
        f"{options.records} records, {size_bytes / options.records:.0f} bytes each, "
        f"{elapsed_s:.1f} s, {1e6 * elapsed_s / options.records:.1f} µs each"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Every row of the performance budget that goes over Z39.50 and only reads.

    python -m benchmarks.rows --keep
    python -m benchmarks.rows --records 1000000 --rows chinese scan --keep

Hit counts are part of what is checked: a server that answers fast with another
number of records than the generator wrote has failed, not won.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence

from benchmarks import apdus, known_item
from benchmarks.compare import Z3950Row
from benchmarks.generate import Term, Workload
from benchmarks.load_generator import Exchange, Operation, search
from benchmarks.run import row_parser, run
from benchmarks.zebra import YazZtest

TITLE, AUTHOR, ISBN = 4, 1003, 7
SCAN_TERMS = 20
PAGE = 10
RECORD_SIZE_BYTES_LEAST = 700
OPERATIONS = 2_000


def piggybacked(workload: Workload, database: str) -> tuple[Operation, ...]:
    canned = database == YazZtest.database

    def operation(isbn: str) -> Operation:
        rpn = apdus.term(ISBN, isbn)
        if canned:  # any number of its records is one hit of that number
            rpn = apdus.term(ISBN, "1")
        return (
            Exchange(
                apdus.search_request(database, rpn, piggyback=True),
                apdus.SEARCH_RESPONSE, apdus.RECORDS_RETURNED, 1, 1,
                contains=b"" if canned else isbn.encode(),
            ),
        )  # fmt: skip

    return tuple(operation(isbn) for isbn in workload.isbns)


def words_and_author(workload: Workload, database: str) -> tuple[Operation, ...]:
    return tuple(
        (
            search(
                database,
                apdus.conjunction(
                    [apdus.term(TITLE, one), apdus.term(TITLE, other), apdus.term(AUTHOR, author)]
                ),
            ),
            present(1, 1),
        )
        for one, other, author in workload.title_pair_and_author
    )


def chinese_word(workload: Workload, database: str) -> tuple[Operation, ...]:
    return tuple((exact_search(database, term), present(1, 1)) for term in workload.chinese_words)


def page_of_many(workload: Workload, database: str) -> tuple[Operation, ...]:
    return tuple(
        (exact_search(database, term), present(start, PAGE))
        for term, start in _pages(workload.terms_10k_hits)
    )


def scan(workload: Workload, database: str) -> tuple[Operation, ...]:
    return tuple(
        (
            Exchange(
                apdus.scan_request(database, TITLE, word, SCAN_TERMS),
                apdus.SCAN_RESPONSE, apdus.ENTRIES_RETURNED, 1, SCAN_TERMS,
                # As it is displayed, its first letter may be a capital.
                contains=word[1:].encode(),
            ),
        )
        for word in workload.scan_words
    )  # fmt: skip


def sorted_page(workload: Workload, database: str) -> tuple[Operation, ...]:
    sort = Exchange(apdus.sort_request(TITLE), apdus.SORT_RESPONSE, apdus.SORT_STATUS, 0, 0)
    return tuple(
        (exact_search(database, term), sort, present(1, PAGE)) for term in workload.terms_1k_hits
    )


def exact_search(database: str, term: Term) -> Exchange:
    """A title word with exactly the hits that were counted when the records were written."""
    return search(database, apdus.term(TITLE, term.term), least=term.hits, most=term.hits)


def present(start: int, count: int) -> Exchange:
    return Exchange(
        apdus.present_request(start, count), apdus.PRESENT_RESPONSE, apdus.RECORDS_RETURNED,
        count, count, size_bytes_least=count * RECORD_SIZE_BYTES_LEAST,
    )  # fmt: skip


def _pages(terms: Sequence[Term]) -> Iterator[tuple[Term, int]]:
    """Each term with many starting positions, spread over the whole set."""
    for number in range(OPERATIONS if terms else 0):
        term = terms[number % len(terms)]
        yield term, 1 + number * 2_654_435_761 % (term.hits - PAGE + 1)


ROWS = {
    "known-item": known_item.ROW,
    "piggyback": Z3950Row(
        "ISBN search, record piggybacked", 0.35, operations=piggybacked, floor=True
    ),
    "session": Z3950Row(
        "whole session: connect, Init, ISBN search, present, close", 0.03,
        operations=known_item.operations, sessions=True, floor=True,
    ),
    "words-author": Z3950Row(
        "two title words AND author, present 1", 0.25, 0.1, operations=words_and_author
    ),
    "chinese": Z3950Row(
        "Chinese title word of two characters, present 1", 0.25, 0.1, operations=chinese_word
    ),
    "page": Z3950Row(
        "about 10k hits, present 10 at a random offset", 0.05, operations=page_of_many
    ),
    "scan": Z3950Row("scan 20 title words", 0.02, operations=scan),
    "sort": Z3950Row("about 1k hits, sort by title, present 10", 0.15, operations=sorted_page),
}  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    options = row_parser(
        "python -m benchmarks.rows",
        "Measure the read-only Z39.50 rows of the budget on Lianmu and on Zebra.",
        "--rows chinese scan --rounds 3 --keep",
    )
    options.add_argument("--rows", nargs="+", choices=tuple(ROWS), default=tuple(ROWS))
    chosen = options.parse_args(arguments)
    return run([ROWS[name] for name in chosen.rows], chosen)


if __name__ == "__main__":
    sys.exit(main())

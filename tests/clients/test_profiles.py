"""The attribute tuples of the Bath profile, functional area A, and of the US National profile.

Level 0 to 2 of Bath 2.0 §5.A and ANSI/NISO Z39.89-2003: each tuple, written in
PQF and sent by yaz-client, must find so many of the Western sample records;
the same tuple with its words in another order, its start elsewhere or its end
cut must find none, or fewer.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.harness import RunningServer

pytestmark = pytest.mark.real_client

KEYWORD = "@attr 2=3 @attr 3=3 @attr 4=2 @attr 5=100 @attr 6=1"
KEYWORD_CUT = "@attr 2=3 @attr 3=3 @attr 4=2 @attr 5=1 @attr 6=1"
EXACT = "@attr 2=3 @attr 3=1 @attr 4=1 @attr 5=100 @attr 6=3"
FIRST_WORDS = "@attr 2=3 @attr 3=1 @attr 4=1 @attr 5=100 @attr 6=1"
FIRST_CHARACTERS = "@attr 2=3 @attr 3=1 @attr 4=1 @attr 5=1 @attr 6=1"
PHRASE = "@attr 2=3 @attr 3=3 @attr 4=1 @attr 5=100 @attr 6=1"
# The established name heading: its words in order, anywhere in the field.
HEADING = "@attr 2=3 @attr 3=3 @attr 4=101 @attr 5=100 @attr 6=1"
NUMBER = FIRST_WORDS


def year(relation: int) -> str:
    return f"@attr 2={relation} @attr 3=1 @attr 4=4 @attr 5=100 @attr 6=1"


ANY, AUTHOR, TITLE, SUBJECT = 1016, 1003, 4, 21
IDENTIFIER, DATE = 1007, 31

# Use, the rest of the tuple, the term, and how many records have it.
TUPLES: list[tuple[int, str, str, int]] = [
    # Level 0: keywords, and the name heading of its first release
    (AUTHOR, KEYWORD, "austen", 2),
    (AUTHOR, KEYWORD, "aust", 0),
    (AUTHOR, KEYWORD, "jane austen", 2),
    (AUTHOR, HEADING, "Austen, Jane", 2),
    (AUTHOR, HEADING, "Jane Charles", 0),
    (TITLE, KEYWORD, "algorithms", 7),
    (TITLE, KEYWORD, "algorithm", 0),
    (TITLE, KEYWORD, "programming art", 4),
    (SUBJECT, KEYWORD, "genetics", 1),
    (SUBJECT, KEYWORD, "genetic", 0),
    (ANY, KEYWORD, "metamathematics", 1),
    (ANY, KEYWORD, "mythi", 0),
    # Level 1: author
    (AUTHOR, KEYWORD_CUT, "aust", 2),
    (AUTHOR, KEYWORD_CUT, "usten", 0),
    (AUTHOR, EXACT, "Austen, Jane, 1775-1817", 2),
    (AUTHOR, EXACT, "Austen", 0),
    (AUTHOR, EXACT, "1775-1817, Austen, Jane", 0),
    (AUTHOR, FIRST_WORDS, "Austen, Jane", 2),
    (AUTHOR, FIRST_WORDS, "Austen, Ja", 0),
    (AUTHOR, FIRST_WORDS, "1775-1817", 0),
    (AUTHOR, FIRST_CHARACTERS, "Austen, Ja", 2),
    (AUTHOR, FIRST_CHARACTERS, "1775", 0),
    # Level 1: title; what 245 indicator 2 says is not filed may be there or not
    (TITLE, KEYWORD_CUT, "algor", 7),
    (TITLE, KEYWORD_CUT, "gorithm", 0),
    (TITLE, EXACT, "computer networks", 1),
    (TITLE, EXACT, "networks computer", 0),
    (TITLE, EXACT, "computer", 0),
    (TITLE, EXACT, "the art of computer", 0),
    (TITLE, FIRST_WORDS, "the art of computer", 4),
    (TITLE, FIRST_WORDS, "art of computer", 4),
    (TITLE, FIRST_WORDS, "the art of comp", 0),
    (TITLE, FIRST_WORDS, "computer programming", 0),
    (TITLE, FIRST_CHARACTERS, "the art of comp", 4),
    (TITLE, FIRST_CHARACTERS, "art of the comp", 0),
    (TITLE, FIRST_CHARACTERS, "of computer prog", 0),
    # Level 1: subject
    (SUBJECT, KEYWORD_CUT, "genet", 1),
    (SUBJECT, EXACT, "natural selection", 1),
    (SUBJECT, EXACT, "selection natural", 0),
    (SUBJECT, EXACT, "natural", 0),
    (SUBJECT, FIRST_WORDS, "computer software", 1),
    (SUBJECT, FIRST_WORDS, "selection", 0),
    (SUBJECT, FIRST_WORDS, "natural sel", 0),
    (SUBJECT, FIRST_CHARACTERS, "natural sel", 1),
    (SUBJECT, FIRST_CHARACTERS, "selec", 0),
    # Level 1: any, standard identifier, date of publication
    (ANY, KEYWORD_CUT, "metamath", 1),
    (ANY, KEYWORD_CUT, "tamathematics", 0),
    (IDENTIFIER, NUMBER, "0-262-03561-8", 1),
    (IDENTIFIER, NUMBER, "0028-0836", 1),
    (IDENTIFIER, NUMBER, "0262035", 0),
    (DATE, year(1), "1687", 3),
    (DATE, year(2), "1687", 4),
    (DATE, year(3), "1976", 2),
    (DATE, year(3), "197", 0),
    (DATE, year(4), "2022", 5),
    (DATE, year(5), "2022", 4),
    # Level 2: key title of a periodical, language, range of dates
    (33, KEYWORD, "numbers", 1),
    (33, KEYWORD_CUT, "numb", 1),
    (33, EXACT, "journal of numbers", 1),
    (33, EXACT, "numbers", 0),
    (33, FIRST_WORDS, "journal of", 1),
    (33, FIRST_WORDS, "of numbers", 0),
    (33, FIRST_CHARACTERS, "journal of num", 1),
    (33, FIRST_CHARACTERS, "numb", 0),
    (54, NUMBER, "fre", 4),
    (54, NUMBER, "fr", 4),  # the code of two letters
    (54, NUMBER, "f", 0),
    (1031, KEYWORD, "serial", 8),
    (1031, PHRASE, "text", 139),
    (DATE, year(104), "1945 1949", 4),
    (DATE, year(104), "1949 1945", 0),
    # US National profile: the names and numbers apart, uniform and series title, more
    (1, FIRST_WORDS, "Newton, Isaac", 1),
    (1, FIRST_WORDS, "Isaac", 0),
    (1004, KEYWORD, "hofstadter", 1),
    (1004, FIRST_CHARACTERS, "Hofstadter, D", 1),
    (2, FIRST_WORDS, "American Physical", 1),
    (2, FIRST_WORDS, "Physical Society", 0),
    (1005, KEYWORD, "chicago", 2),
    (1006, KEYWORD, "chicago", 0),
    (6, KEYWORD, "hong", 2),
    (6, FIRST_WORDS, "san ti", 1),
    (6, FIRST_WORDS, "ti san", 0),
    (58, KEYWORD, "dublin", 1),
    (63, KEYWORD, "sample", 4),
    (1018, KEYWORD, "clarendon", 3),
    (1075, KEYWORD, "dictionaries", 1),
    (7, NUMBER, "0262035618", 1),
    (7, NUMBER, "9780262035613", 1),
    (7, NUMBER, "0262035619", 0),
    (8, NUMBER, "0028-0836", 1),
    (9, NUMBER, "78000001", 1),
    (12, NUMBER, "LMW0000031", 1),
    (12, NUMBER, "LMW000003", 0),
    (TITLE, PHRASE, "computer programming", 4),
    (TITLE, PHRASE, "programming computer", 0),
]


def test_every_tuple_finds_what_it_names_and_nothing_else(
    consortium: RunningServer, client_program: Callable[[str], str], tmp_path: Path
) -> None:
    queries = [f'@attr 1={use} {rest} "{term}"' for use, rest, term, _ in TUPLES]
    commands = tmp_path / "commands"
    commands.write_text(
        # Without `setnames` every search would keep a set of its own.
        f"open {consortium.z3950}/we_cat\nsetnames\n"
        + "".join(f"find {query}\n" for query in queries)
        + "quit\n",
        "utf-8",
    )
    done = subprocess.run(
        [client_program("yaz-client"), "-f", str(commands)],
        capture_output=True, timeout=120, check=False, text=True,
    )  # fmt: skip
    hits = [int(number) for number in re.findall(r"^Number of hits: (\d+)", done.stdout, re.M)]
    assert done.stdout.count("Search was a success.") == len(queries), done.stdout
    wanted = dict(zip(queries, (count for *_, count in TUPLES), strict=True))
    found = dict(zip(queries, hits, strict=True))
    assert {query: count for query, count in found.items() if count != wanted[query]} == {}

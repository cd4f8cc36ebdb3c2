"""CCL that a client on YAZ turns to RPN, as BibDesk does, finds the right records.

The qualifiers are written as YAZ documents them; which attributes they bring
is for YAZ to say, so this holds for whatever it sends.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.clients.rows import control_number
from tests.harness import RunningServer

QUALIFIERS = """\
term t=l,r s=al
ti u=4 s=pw t=l,r
au u=1003 s=pw t=l,r
su u=21 s=al t=r
isbn u=7
issn u=8
lccn u=9
date u=31 r=o
any u=1016 s=al t=l,r
local u=12 s=al
"""
_KNUTH = (5, 6, 7, 8)

ROWS: list[tuple[str, str, tuple[int, ...]]] = [
    ("we_cat", "deep learning", (31,)),
    ("we_cat", "ti=deep and au=goodfellow", (31,)),
    ("we_cat", "au=knuth and ti=programming", _KNUTH),
    ("we_cat", 'ti="art of computer"', _KNUTH),
    ("we_cat", "ti=algorithm? and au=cormen", (1, 2, 3, 4)),
    ("we_cat", "ti=?ithms and au=cormen", (1, 2, 3, 4)),
    ("we_cat", "isbn=0262033844 or isbn=9780262035613", (3, 31)),
    ("we_cat", "issn=0028-0836", (127,)),
    ("we_cat", "lccn=78000001", (901,)),
    ("we_cat", "local=LMW0000031", (31,)),
    ("we_cat", "ti=unix not date>1984", (13,)),
    ("we_cat", "ti=unix and date=1980-1984", (13,)),
    ("we_cat", "su=(computer networks)", (25,)),
    ("we_cat", "au=knuth and (ti=seminumerical or ti=sorting)", (6, 7)),
    ("we_cat", "ti=(art %3 programming)", _KNUTH),
    ("cn_cat", "ti=管锥编", (72,)),
    ("cn_cat", "ti=红楼梦 and date=1982", (1,)),
    ("cn_cat", "au=钱锺书 and ti=管锥?", (72,)),
]


@pytest.mark.real_client
def test_ccl_finds_what_it_names_and_nothing_else(
    consortium: RunningServer, client_program: Callable[[str], str], tmp_path: Path
) -> None:
    qualifiers = tmp_path / "qualifiers.bib"
    qualifiers.write_text(QUALIFIERS)
    commands = tmp_path / "commands"
    commands.write_text(
        f"set_cclfile {qualifiers}\nquerytype ccl2rpn\nauth demo1/demo1\n"
        f"open {consortium.z3950}/we_cat\nformat xml\nelements marcxml\n"
        + "".join(
            f"base {base}\nfind {query}\nshow 1+{len(numbers)}\n" for base, query, numbers in ROWS
        )
        + "quit\n",
        "utf-8",
    )
    done = subprocess.run(
        [client_program("yaz-client"), "-f", str(commands)],
        capture_output=True, timeout=120, check=False, text=True,
    )  # fmt: skip
    answers = done.stdout.split("Sent searchRequest.")[1:]
    assert len(answers) == len(ROWS), done.stdout
    hits = [int(number) for number in re.findall(r"^Number of hits: (\d+)", done.stdout, re.M)]
    assert {query: n for (_, query, _), n in zip(ROWS, hits, strict=True)} == {
        query: len(numbers) for _, query, numbers in ROWS
    }
    found = {
        query: tuple(sorted(set(re.findall(r'tag="001">([^<]+)', answer))))
        for (_, query, _), answer in zip(ROWS, answers, strict=True)
    }
    assert found == {
        query: tuple(control_number(base, each) for each in numbers)
        for base, query, numbers in ROWS
    }

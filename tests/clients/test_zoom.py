"""Sessions of Perl ZOOM and zoomsh: YAZ's own client library with all its services."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.harness import RunningServer

SCRIPT = Path(__file__).with_name("zoom.pl")
EXPECTED = """\
server: Lianmu
wrong password: error Bib-1 1011 Init/AC: Bad Userid and/or Password (demo1: unknown account\
 or wrong password / 账号不存在或密码错误)
pqf hits: 5
as usmarc: LMW0000005
as xml: LMW0000005
as sutrs: LMW0000005
as grs-1: LMW0000005
as opac: LMW0000005
titles: \
14 $a The art of computer programming. $n Volume 1, $p Fundamental algorithms / \
$c Donald E. Knuth.; \
14 $a The art of computer programming. $n Volume 2, $p Seminumerical algorithms / \
$c Donald E. Knuth.; \
14 $a The art of computer programming. $n Volume 3, $p Sorting and searching / \
$c Donald E. Knuth.; \
14 $a The art of computer programming. $n Volume 4A, $p Combinatorial algorithms, part 1 / \
$c Donald E. Knuth.; \
10 $a Concrete mathematics : $b a foundation for computer science / \
$c Ronald L. Graham, Donald E. Knuth and Oren Patashnik.
past the end: nothing
sorted by date: 0 LMW0000008 LMW0000006 LMW0000007 LMW0000005 LMW0000009
set named: yes
within the set: 1
unsupported use: error Bib-1 114 Unsupported Use attribute (9999)
unknown database: error Bib-1 109 Database unavailable (nowhere)
cql hits: 4
scan: knuth 5; korth 1; kuhn 2
scan size: 5
chinese hits: 1
unimarc title: 1  $a 夢溪筆談 $A meng xi bi tan $e 二十六卷 $f (宋)沈括撰
xml title: 夢溪筆談
asked as usmarc: 238 Record not available in requested syntax \
LMA0000003: records of ancient are unimarc Bib-1
item order: error Bib-1 221 ES: extended service type not supported (1.2.840.10003.9.4)
still there: 1
"""

pytestmark = pytest.mark.real_client


def run(*command: str) -> str:
    done = subprocess.run(
        command, capture_output=True, timeout=60, check=False, env={"LC_ALL": "C.UTF-8"}
    )
    return (done.stdout + done.stderr).decode("utf-8", "backslashreplace")


def test_perl_zoom_uses_every_service(
    consortium: RunningServer, client_program: Callable[[str], str]
) -> None:
    printed = run(client_program("perl"), str(SCRIPT), consortium.z3950)
    assert printed.splitlines() == EXPECTED.splitlines()


def test_zoomsh_searches_scans_and_shows_in_chinese(
    consortium: RunningServer, client_program: Callable[[str], str]
) -> None:
    printed = run(
        client_program("zoomsh"),
        "set charset UTF-8",
        "set user demo1",
        "set password demo1",
        "set preferredRecordSyntax xml",
        f"connect {consortium.z3950}/ancient",
        "search @attr 1=1003 沈括",
        "show 0 1",
        "set number 3",
        "scan @attr 1=4 夢",
        "search @attr 1=4 @attr 2=100 夢",
        "quit",
    )
    lines = printed.splitlines()
    assert lines[0] == f"{consortium.z3950}/ancient: 1 hits"
    assert lines[1].startswith("0 database=ancient syntax=XML")
    assert '<subfield code="a">夢溪筆談</subfield>' in lines[2]
    # Terms are folded to simplified characters and in the order of those.
    assert lines[3:6] == ["梦 1", "梦溪 1", "永 1"]
    assert lines[6] == (
        f"{consortium.z3950}/ancient error: Unsupported Relation attribute (Bib-1:117) 100"
    )

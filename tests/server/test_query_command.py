"""`lianmu query`: a query in every language, and the place of what is refused."""

from __future__ import annotations

import subprocess

import pytest
from click.testing import CliRunner, Result
from lxml import etree

from protocol.query import QUERY_DEPTH_MAX
from server.commands.query import query
from tests.harness import LIANMU, lianmu

CQL = 'dc.title = 紅樓* and dc.creator any "曹雪芹 高鹗" sortBy dc.date/sort.descending'


def run(*arguments: str, stdin: bytes = b"") -> Result:
    return CliRunner().invoke(query, arguments, input=stdin, standalone_mode=False)


def test_a_cql_query_is_drawn_as_the_server_understands_it() -> None:
    done = lianmu("query", "--cql", CQL)
    assert (
        done.stdout
        == """\
and
├─ title phrase "紅樓*"
└─ author any "曹雪芹 高鹗"
sort by date descending
"""
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("arguments", "output"),
    [
        (["--cql", "dc.title = 史记 not isbn=1", "--to", "pqf"],
         "@not @attr 1=4 @attr 4=1 史记 @attr 1=7 1"),
        (["--pqf", "@not @attr 1=4 @attr 4=1 史记 @attr 1=7 1", "--to", "cql"],
         "dc.title = 史记 not bath.isbn = 1"),
        (["--cql", "(title=a)   AND b", "--to", "cql"], "title = a and b"),
        (["--pqf", "@attr 1=4 @attr 5=1 algo", "--to", "tree"], 'title all "algo*"'),
        (["--pqf", "@attr 1=4 a", "--to", "pqf"], "@attr 1=4 @attr 4=6 a"),
        (["--cql", "a sortBy title", "--to", "cql"], "a sortBy title"),
    ],
)  # fmt: skip
def test_a_query_is_said_in_another_language(arguments: list[str], output: str) -> None:
    done = run(*arguments)
    assert (done.return_value, done.stdout, done.stderr) == (0, f"{output}\n", "")


def test_xcql_is_indented_in_either_version() -> None:
    for form, tag in (("xcql", "searchClause"), ("xcql-2.0", "xcql")):
        done = run("--pqf", "@attr 1=4 史记", "--to", form)
        assert etree.QName(etree.fromstring(done.stdout)).localname == tag
        assert "<term>史记</term>\n" in done.stdout


def test_pqf_without_the_order_is_told_so() -> None:
    done = run("--cql", CQL, "--to", "pqf")
    assert done.return_value == 0
    assert "sort" not in done.stdout
    assert done.stderr == "lianmu: PQF has no order, a Sort request has: sort by date descending\n"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--cql", "紅樓夢 and dc.titel = 史记"],
         "lianmu: SRU diagnostic 16: Unsupported index: dc.titel\n"
         "  紅樓夢 and dc.titel = 史记\n"
         "             ^\n"),
        (["--cql", "dc.title ="],
         "lianmu: SRU diagnostic 10: Query syntax error: a term is missing after =\n"
         "  dc.title =\n"
         "            ^\n"),
        (["--cql", "a sortBy isbn"],
         "lianmu: SRU diagnostic 88: Unsupported path for sort: isbn\n"
         "  a sortBy isbn\n"
         "           ^\n"),
        (["--cql", 'dc.title = "a\t^b"'],
         "lianmu: SRU diagnostic 32: Anchoring character in unsupported position: a\t^b\n"
         '  dc.title = "a ^b"\n'
         "                ^\n"),
        (["--pqf", "@and @attr 1=4 紅樓 @attr 1=9999 x"],
         "lianmu: Bib-1 diagnostic 114: Unsupported Use attribute: 9999\n"
         "  @and @attr 1=4 紅樓 @attr 1=9999 x\n"
         "                      ^\n"),
        (["--pqf", "@and a"],
         "lianmu: Bib-1 diagnostic 108: Malformed query: the query ends too early\n"
         "  @and a\n"
         "        ^\n"),
        (["--cql", "x" * 70_000],
         "lianmu: SRU diagnostic 12: Too many characters in query: at most 65536 characters\n"),
        (["--cql", ""],
         "lianmu: SRU diagnostic 10: Query syntax error: a search term is missing\n"
         "  \n"
         "  ^\n"),
    ],
)  # fmt: skip
def test_a_refused_query_has_a_caret_under_the_place(arguments: list[str], told: str) -> None:
    done = run(*arguments)
    assert (done.return_value, done.stdout, done.stderr) == (2, "", told)


def test_a_long_query_is_cut_to_what_is_near_the_place() -> None:
    done = run("--cql", "x and " * 60 + "(/ " + "y or " * 60)
    _, shown, caret = done.stderr.splitlines()
    assert shown.startswith("  … and x and")
    assert shown.endswith("…")
    assert len(shown) < 110
    assert shown[caret.index("^")] == "/"


def test_a_refusal_is_status_2_without_a_traceback() -> None:
    done = lianmu("query", "--cql", "a and (", "--to", "xcql")
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.splitlines()[1:] == ["  a and (", "         ^"]


@pytest.mark.parametrize(
    "arguments", [[], ["--cql", "a", "--pqf", "a"], ["--cql", "a", "--to", "x"]]
)
def test_what_is_wanted_must_be_said(arguments: list[str]) -> None:
    done = lianmu("query", *arguments)
    assert done.returncode == 2
    assert done.stderr.startswith("lianmu: ")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("octets", "status"),
    [("dc.title = 史记\n".encode(), 0), (b"a \xff b", 2), (b"", 2), (b"a\x00", 0)],
)
def test_standard_input_is_read_whatever_it_holds(octets: bytes, status: int) -> None:
    for language in ("--cql", "--pqf"):
        done = subprocess.run(
            [*LIANMU, "query", language, "-", "--to", "xcql"],
            input=octets, capture_output=True, check=False,
        )  # fmt: skip
        assert done.returncode == status or language == "--pqf"
        assert b"Traceback" not in done.stderr


def test_a_terminal_that_has_no_ideographs_gets_them_escaped() -> None:
    done = subprocess.run(
        [*LIANMU, "query", "--cql", "红"],
        env={"PYTHONIOENCODING": "ascii"}, capture_output=True, check=True,
    )  # fmt: skip
    assert done.stdout == b'any all "\\u7ea2"\n'


@pytest.mark.parametrize("form", ["tree", "cql", "pqf", "xcql", "xcql-2.0"])
def test_the_deepest_query_is_written_in_every_form(form: str) -> None:
    text = " or ".join(["x"] * (QUERY_DEPTH_MAX + 1))
    done = run("--cql", text, "--to", form)
    assert done.return_value == 0, done.exception
    assert done.stdout.count("x") > QUERY_DEPTH_MAX

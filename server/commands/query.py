"""`lianmu query`"""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Callable

import click
from lxml import etree

from protocol import cql, cql_ast, cql_parser, pqf, xcql
from protocol.cql_from_query import from_query
from protocol.cql_sort import sort_specs
from protocol.diagnostic import SruFault
from protocol.query import Query, SortSpec
from protocol.query_drawing import draw
from protocol.rpn_from_query import from_query as rpn_from_query

SHOWN_COLUMNS_MAX = 100  # of a query that is refused, around the place


class _Refused(Exception):  # noqa: N818 - never leaves this module
    """`position` counts the characters of the query from 0; None where no place is meant."""

    def __init__(self, language: str, number: int, message: str, position: int | None) -> None:
        super().__init__(f"{language} {number}: {message}")
        self.position = position


@click.command(epilog="Example: lianmu query --cql 'dc.title = 史记 and dc.date > 1980' --to pqf")
@click.option("--cql", "cql_text", metavar="TEXT", help="A CQL query; - reads standard input.")
@click.option("--pqf", "pqf_text", metavar="TEXT", help="A PQF query; - reads standard input.")
@click.option(
    "--to",
    "form",
    type=click.Choice(["tree", "cql", "pqf", "xcql", "xcql-2.0"]),
    default="tree",
    show_default=True,
    help="tree: as the server understands it. xcql: of SRU 1.1 and 1.2.",
)
def query(cql_text: str | None, pqf_text: str | None, form: str) -> int:
    """Say a query in another language, or why it is none.

    One query goes in, in CQL or in PQF; the server is not asked. A query that
    is refused is shown with a caret under the place, and the status is 2.
    """
    if (cql_text is None) == (pqf_text is None):
        raise click.UsageError("Give either --cql or --pqf.")
    text = cql_text if cql_text is not None else pqf_text or ""
    if text == "-":
        text = sys.stdin.buffer.read().decode("utf-8", "surrogateescape").removesuffix("\n")
    read: Callable[[str], _Read] = _read_cql if cql_text is not None else _read_pqf
    try:
        written, tree, sort = read(text)
    except _Refused as refused:
        click.echo(f"lianmu: {_printable(str(refused))}", err=True)
        if refused.position is not None:
            click.echo(_with_caret(text, refused.position), err=True)
        return 2
    if form == "pqf" and sort:
        keys = draw(tree, sort).split("\n")[-len(sort) :]
        told = f"PQF has no order, a Sort request has: {', '.join(keys)}"
        click.echo(f"lianmu: {_printable(told)}", err=True)
    click.echo(_printable(_WRITERS[form](written, tree, sort)))
    return 0


_Read = tuple[cql_ast.CqlQuery, Query, tuple[SortSpec, ...]]


def _read_cql(text: str) -> _Read:
    written = cql_parser.parse(text)
    if isinstance(written, SruFault):
        raise _of_sru(written)
    tree, sort = cql.to_query(written), sort_specs(written)
    if isinstance(tree, SruFault):
        raise _of_sru(tree)
    if isinstance(sort, SruFault):
        raise _of_sru(sort)
    return written, tree, sort


def _read_pqf(text: str) -> _Read:
    tree = pqf.parse_query(text)
    if isinstance(tree, pqf.PqfFault):
        condition, addinfo = tree.diagnostic.condition, tree.diagnostic.addinfo
        told = f"{condition.message}: {addinfo}" if addinfo else condition.message
        raise _Refused("Bib-1 diagnostic", condition.value, told, tree.position)
    return from_query(tree), tree, ()


def _of_sru(fault: SruFault) -> _Refused:
    told = fault.message or fault.condition.message
    if fault.details:
        told = f"{told}: {fault.details}"
    return _Refused("SRU diagnostic", fault.condition.value, told, fault.position)


def _as_xcql(written: cql_ast.CqlQuery, namespace: str) -> str:
    # 512 operators below one another are over libxml2's usual bound of depth.
    parser = etree.XMLParser(huge_tree=True)
    root = etree.fromstring(xcql.to_document(written, namespace).encode(), parser)
    etree.indent(root)
    return etree.tostring(root, encoding="unicode")


_WRITERS: dict[str, Callable[[cql_ast.CqlQuery, Query, tuple[SortSpec, ...]], str]] = {
    "tree": lambda written, tree, sort: draw(tree, sort),
    "cql": lambda written, tree, sort: cql_ast.to_text(written),
    "pqf": lambda written, tree, sort: pqf.to_text(rpn_from_query(tree)),
    "xcql": lambda written, tree, sort: _as_xcql(written, xcql.NAMESPACE_1),
    "xcql-2.0": lambda written, tree, sort: _as_xcql(written, xcql.NAMESPACE_2),
}


def _with_caret(text: str, position: int) -> str:
    """`text` in one line, cut to what is near `position`, and a caret under that."""
    before = _cut(text[:position], SHOWN_COLUMNS_MAX * 2 // 3, from_end=True)
    after = _cut(text[position:], SHOWN_COLUMNS_MAX // 3, from_end=False)
    return f"  {before}{after}\n  {' ' * _columns(before)}^"


def _cut(text: str, columns_max: int, *, from_end: bool) -> str:
    kept: list[str] = []
    columns = 0
    for character in reversed(text) if from_end else text:
        shown = character if character.isprintable() else " "
        columns += _columns(shown)
        if columns > columns_max:
            kept.append("…")
            break
        kept.append(shown)
    return "".join(reversed(kept) if from_end else kept)


def _columns(text: str) -> int:
    """How wide a terminal shows it: ideographs take two columns, combining marks none."""
    return sum(
        0 if unicodedata.combining(character)
        else 2 if unicodedata.east_asian_width(character) in "WF"
        else 1
        for character in text
    )  # fmt: skip


def _printable(text: str) -> str:
    """Without what the terminal's encoding cannot show, half surrogate pairs among it."""
    encoding = sys.stdout.encoding or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)

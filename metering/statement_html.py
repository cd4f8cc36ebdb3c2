"""A statement as one HTML page that fetches nothing."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from importlib.resources import files
from itertools import islice
from typing import BinaryIO, NamedTuple

import jinja2

from metering.money import yuan
from metering.statement import MONTH_COLUMNS, Month, Statement
from metering.statement_texts import Texts

CHART_HEIGHT = 130  # of the tallest bar, in units of the drawing
_BASE = 160


class Bar(NamedTuple):
    """A month of the chart; y counts downwards."""

    x: int
    y: int
    height: int
    label: str


def write_html(statement: Statement, t: Texts, out: BinaryIO, lines_max: int) -> None:
    """The page, with at most `lines_max` entries and a sentence that says so."""
    page = _template().stream(
        statement=statement,
        t=t,
        yuan=yuan,
        count=count,
        month_columns=MONTH_COLUMNS,
        bars=bars(statement.months),
        lines=islice(statement.lines(), lines_max),
        lines_remark=lines_remark(statement, t, lines_max),
    )
    page.enable_buffering(64)
    page.dump(out, encoding="utf-8")


def lines_remark(statement: Statement, t: Texts, lines_max: int) -> str:
    """Whether all entries are shown, and where the others are."""
    total = count(statement.entry_count)
    if statement.entry_count <= lines_max:
        return t("lines_all", count=total)
    return t("lines_some", count=total, shown=count(lines_max))


def bars(months: Sequence[Month]) -> list[Bar]:
    """One bar a month, as high as its downloads."""
    most = max(1, *(month.downloads for month in months))
    drawn = []
    for number, month in enumerate(months):
        height = max(0, month.downloads) * CHART_HEIGHT // most
        drawn.append(Bar(10 + 60 * number, _BASE - height, height, count(month.downloads)))
    return drawn


def count(number: int) -> str:
    """A number with thousands marked."""
    return f"{number:,}"


@lru_cache(maxsize=1)
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, keep_trailing_newline=True
    )
    return environment.from_string(files("metering").joinpath("statement.html").read_text("utf-8"))

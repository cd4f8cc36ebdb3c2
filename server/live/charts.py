"""What the charts of the status page draw, and the same as rows of a table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from protocol.china_time import china_time
from server.live.figures import QUANTILES
from server.live.history import GROUPS, LEVELS, Span
from server.metrics.layout import Level
from server.web.texts import Texts

# How far back the charts go, in seconds, by the name in the address.
RANGES = {"15m": 900, "1h": 3600, "6h": 6 * 3600}
POINTS_MAX = 360
ROWS_MAX = 12

_SESSIONS = LEVELS.index(Level.SESSIONS_OPEN)
_CONNECTIONS = LEVELS.index(Level.CONNECTIONS_HTTP)


@dataclass(frozen=True, slots=True)
class _Line:
    name: Callable[[Texts], str]
    value: Callable[[Span], float | None]


@dataclass(frozen=True, slots=True)
class Table:
    """A chart's figures, coarser than it draws them: the newest row first."""

    columns: list[str]
    rows: list[tuple[str, list[str]]]


def charts(spans: Sequence[Span], t: Texts) -> dict[str, dict[str, Any]]:
    """By the id of its figure, what each chart draws; `docs/pages.md` has the form."""
    x = [span.at_us / 1e6 for span in spans]
    return {
        name: {
            "kind": "line",
            "x": x,
            "across": t("status.time"),
            "unit": unit,
            "series": [
                {"label": line.name(t), "values": [_short(line.value(span)) for span in spans]}
                for line in lines
            ],
        }
        for name, (unit, lines) in _CHARTS.items()
    }


def tables(spans: Sequence[Span], t: Texts) -> dict[str, Table]:
    """The same as tables."""
    return {
        name: Table(
            [line.name(t) for line in lines],
            [
                (
                    f"{china_time(span.at_us):%H:%M:%S}",
                    [_written(line.value(span), unit) for line in lines],
                )
                for span in reversed(spans)
            ],
        )
        for name, (unit, lines) in _CHARTS.items()
    }


def _latency(group: str, quantile: float) -> Callable[[Span], float | None]:
    def value(span: Span) -> float | None:
        found = span.timed[group].quantile_s(quantile)
        return None if found is None else found * 1000

    return value


def _rate(group: str) -> Callable[[Span], float | None]:
    return lambda span: span.rate(group)


def _of_group(group: str) -> Callable[[Texts], str]:
    return lambda t: t.name("status_group", group)


def _named(name: str) -> Callable[[Texts], str]:
    return lambda _: name


def _trouble(which: str) -> Callable[[Span], float]:
    def value(span: Span) -> float:
        found = sum(getattr(timed, which) for timed in span.timed.values())
        return found / span.length_s if span.length_s else 0.0

    return value


_Lines = Sequence[_Line]
_CHARTS: dict[str, tuple[str, _Lines]] = {
    "rates": ("/s", [_Line(_of_group(group), _rate(group)) for group in GROUPS]),
    "trouble": (
        "/s",
        [
            _Line(lambda t: t("status.refused"), _trouble("refused")),
            _Line(lambda t: t("status.failed"), _trouble("failed")),
        ],
    ),
    **{
        f"latency-{group}": (
            "ms",
            [_Line(_named(name), _latency(group, quantile)) for name, quantile in QUANTILES],
        )
        for group in GROUPS
    },
    "open": (
        "",
        [
            _Line(lambda t: t("status.sessions"), lambda span: span.levels[_SESSIONS]),
            _Line(lambda t: t("status.connections"), lambda span: span.levels[_CONNECTIONS]),
        ],
    ),
}
CHARTS = tuple(_CHARTS)


def _short(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def _written(value: float | None, unit: str) -> str:
    if value is None:
        return "–"
    if not unit:
        return f"{value:,.0f}"
    return f"{value:,.2f}" if value < 10 else f"{value:,.1f}"

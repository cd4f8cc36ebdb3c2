"""Tables in Markdown: figures of both servers, their ratio, the goal, and whether it is met."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from benchmarks.compare import OURS, PEER, Measured

MET, MISSED, NO_GOAL = "✓", "✗", ""
READING_LEGEND = (
    "Each cell: µs of the server's CPU for an operation, Lianmu's / Zebra's = ratio"
    f" ({MET} met, {MISSED} missed); then the 99th percentile of Lianmu's answers / Zebra's."
)


@dataclass(frozen=True, slots=True)
class Line:
    """A figure of both servers. The goal is for the ratio; for ours alone where `alone`."""

    title: str
    ours: float
    peer: float
    goal: float | None = None
    alone: bool = False

    @property
    def ratio(self) -> float | None:
        """Ours / the peer's; None: the peer has nothing to compare with."""
        return self.ours / self.peer if self.peer > 0 else None

    @property
    def met(self) -> bool | None:
        """None: there is no goal, or nothing to compare with."""
        value = self.ours if self.alone else self.ratio
        return None if self.goal is None or value is None else value <= self.goal


def line(one: Line) -> str:
    """A row of the table that `lines_head` begins."""
    goal = "–" if one.goal is None else f"{'Lianmu ' if one.alone else ''}≤ {one.goal:g}"
    ratio = "–" if one.ratio is None else f"**{one.ratio:.3g}**"
    return (
        f"| {one.title} | {goal} | {number(one.ours)} | {number(one.peer)} | {ratio}"
        f" | {mark(one.met)} |"
    )


def lines_head(title: str) -> str:
    return f"| {title} | goal | Lianmu | Zebra | ratio | |\n|{'---|' * 6}"


def reading_head(connections: Sequence[int]) -> str:
    heads = " | ".join(f"{count:,} connection{'s' * (count > 1)}" for count in connections)
    return f"| operation | goal | {heads} |\n|{'---|' * (len(connections) + 2)}"


def reading_line(measured: Sequence[Measured], records: int) -> str:
    """One row over each number of connections."""
    row = measured[0].row
    goal = row.goal_for(records)
    cells = " | ".join(cell(one, goal) for one in measured)
    return f"| {row.title} | {'–' if goal is None else f'≤ {goal:g}'} | {cells} |"


def cell(measured: Measured, goal: float | None) -> str:
    """Ours and the peer's in µs, the median of the rounds' ratios, and both percentiles."""
    ours, theirs = median(measured.cpu_us(OURS)), median(measured.cpu_us(PEER))
    ratio = median(measured.ratios())
    p99_ms = [
        median(one.load.p99_us for one in measured.rounds[name]) / 1e3 for name in (OURS, PEER)
    ]
    wrong = " **wrong answers**" if measured.errors() else ""
    return (
        f"{ours:,.0f} / {theirs:,.0f} = **{ratio:.3g}** {mark(met(ratio, goal))},"
        f" p99 {p99_ms[0]:.1f} / {p99_ms[1]:.1f} ms{wrong}"
    )


def met(ratio: float, goal: float | None) -> bool | None:
    return None if goal is None else ratio <= goal


def mark(fulfilled: bool | None) -> str:
    return NO_GOAL if fulfilled is None else MET if fulfilled else MISSED


def number(value: float) -> str:
    """Three digits that count, all of a large one."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"

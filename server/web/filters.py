"""How figures, money and moments are written on pages, the same in both languages."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from protocol.china_time import china_clock, china_time

_SIZES = ("B", "KiB", "MiB", "GiB", "TiB")


def yuan(fen: int) -> str:
    """Integer fen as yuan: `1,234.05`, `-0.50`."""
    whole, rest = divmod(abs(fen), 100)
    return f"{'-' if fen < 0 else ''}{whole:,}.{rest:02d}"


def grouped(number: int) -> str:
    """A count by thousands: `1,234,567`."""
    return f"{number:,}"


def china_day(at_us: int) -> str:
    """The day of a moment by the clock of China: `2024-01-01`."""
    return f"{china_time(at_us):%Y-%m-%d}"


def iso_time(at_us: int) -> str:
    """A moment for `<time datetime>`: `2024-01-01T00:00:00+08:00`."""
    return china_time(at_us).isoformat(timespec="seconds")


def percent(part: float, whole: float) -> str:
    """A share in whole per cent; of nothing it is 0."""
    return f"{part / whole:.0%}" if whole else "0%"


def size(octets: int) -> str:
    """A number of octets as people say it: `1.5 GiB`."""
    value, unit = float(octets), _SIZES[0]
    for unit in _SIZES:
        if value < 1024 or unit == _SIZES[-1]:
            break
        value /= 1024
    return f"{value:.0f} {unit}" if unit == "B" or value >= 100 else f"{value:.1f} {unit}"


def duration(seconds: float) -> str:
    """A length of time: `12 s`, `3 min 20 s`, `2 h 5 min`, `3 d 4 h`; SI signs are universal."""
    whole = int(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return _two(whole // 60, "min", whole % 60, "s")
    if whole < 86400:
        return _two(whole // 3600, "h", whole % 3600 // 60, "min")
    return _two(whole // 86400, "d", whole % 86400 // 3600, "h")


def _two(many: int, unit: str, few: int, smaller: str) -> str:
    return f"{many} {unit} {few} {smaller}" if few else f"{many} {unit}"


FILTERS: Mapping[str, Callable[..., Any]] = {
    "yuan": yuan,
    "grouped": grouped,
    "china_clock": china_clock,
    "china_day": china_day,
    "iso_time": iso_time,
    "percent": percent,
    "size": size,
    "duration": duration,
}

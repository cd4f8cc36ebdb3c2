"""Fen as people write them."""

from __future__ import annotations


def yuan(fen: int) -> str:
    """Fen as yuan with two decimals and thousands marked: `-1,234.05`."""
    whole, rest = divmod(abs(fen), 100)
    return f"{'-' if fen < 0 else ''}{whole:,}.{rest:02d}"

"""Numbers in addresses and forms, where anybody may write anything."""

from __future__ import annotations

NUMBER_MAX = 2**53
_DIGITS_MAX = len(str(NUMBER_MAX))


def number_of(text: str, default: int = 0, highest: int = NUMBER_MAX) -> int:
    """A number from 0 to `highest`; the default where it is none."""
    if text.isascii() and text.isdecimal() and len(text) <= _DIGITS_MAX and int(text) <= highest:
        return int(text)
    return default

"""ISBN and ISSN as URNs, where their check digits hold (RFC 3187, RFC 3044)."""

from __future__ import annotations


def urn_isbn(text: str) -> str:
    """`urn:isbn:` and thirteen digits; "" if `text` is no valid ISBN.

    ISBN-10 and ISBN-13 with or without hyphens are taken (ISO 2108).
    """
    number = _bare(text)
    if len(number) == 10 and _modulus_11(number) == 0:
        number = f"978{number[:9]}"
        number += str(-_weighted_1_3(number) % 10)
    if len(number) == 13 and number.isdigit() and number[:3] in ("978", "979"):
        return f"urn:isbn:{number}" if _weighted_1_3(number) % 10 == 0 else ""
    return ""


def urn_issn(text: str) -> str:
    """`urn:issn:` and the number with its hyphen; "" if `text` is no valid ISSN (ISO 3297)."""
    number = _bare(text)
    if len(number) == 8 and _modulus_11(number) == 0:
        return f"urn:issn:{number[:4]}-{number[4:]}"
    return ""


def _bare(text: str) -> str:
    number = text.replace("-", "").replace(" ", "").upper()
    return number if number.isascii() and number[:-1].isdigit() else ""


def _modulus_11(number: str) -> int:
    """The check sum with weights that fall to 1; X at the end counts ten."""
    last = number[-1]
    if not (last.isdigit() or last == "X"):
        return -1
    digits = [*map(int, number[:-1]), 10 if last == "X" else int(last)]
    return sum(weight * digit for weight, digit in enumerate(reversed(digits), 1)) % 11


def _weighted_1_3(number: str) -> int:
    return sum((3 if place % 2 else 1) * int(digit) for place, digit in enumerate(number))

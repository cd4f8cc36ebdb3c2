"""What an accepted record earns: the items of the tariff, each with its reason.

| category | full level | basic level | cover image |
|---|---|---|---|
| Chinese, Western | item of the category | item of the category, worth 0 | nothing |
| Japanese | shared between the submitter and a partner | likewise, worth 0 | nothing |
| Russian | item of the category | item of the category | nothing |
| other languages | item of the category | item of the category | one more item |
| ancient, with detailed holdings | item of the category | item of the category | full: one more |
| ancient, without them | an item worth 0 | an item worth 0 | nothing |
"""

from __future__ import annotations

from dataclasses import dataclass

from metering.tariff import Tariff
from metering.tariff_category import Category, Level

ANCIENT_WITHOUT_HOLDINGS = "upload.ancient.without_holdings"
_WITH_COVER = frozenset({Category.OTHER, Category.ANCIENT})


@dataclass(frozen=True, slots=True)
class Part:
    """One item of a credit, in fen, with its reason; `partner_fen` of it are a partner's."""

    item: str
    fen: int
    because: str
    partner_fen: int = 0


def parts_of(
    category: Category, level: Level, tariff: Tariff, *, detailed_holdings: bool, cover: bool
) -> tuple[Part, ...]:
    """What a record earns; the first part is always there, be it worth nothing.

    Raises:
        KeyError: the tariff does not name an item.
    """
    if category is Category.ANCIENT and not detailed_holdings:
        item = ANCIENT_WITHOUT_HOLDINGS
        return (Part(item, tariff.price_fen(item), "without detailed holdings"),)
    item = f"upload.{category}.{level}"
    because = f"{category}, {level} level"
    if category is Category.ANCIENT:
        because += ", with detailed holdings"
    partner_fen = tariff.shares(item).partner_fen
    parts = [Part(item, tariff.price_fen(item), because, partner_fen)]
    part = cover_part(category, level, tariff, detailed_holdings=detailed_holdings)
    if cover and part is not None:
        parts.append(part)
    return tuple(parts)


def cover_part(
    category: Category, level: Level, tariff: Tariff, *, detailed_holdings: bool
) -> Part | None:
    """What a cover image adds to the record's credit; None: nothing."""
    if category not in _WITH_COVER:
        return None
    if category is Category.ANCIENT and not (level is Level.FULL and detailed_holdings):
        return None
    item = f"cover.{category}"
    return Part(item, tariff.price_fen(item), "with a cover image")

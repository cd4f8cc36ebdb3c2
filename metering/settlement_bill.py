"""A year's counts and a tariff become the lines of a bill, in whole fen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from metering.quota import billable, quota
from metering.tariff import DOWNLOAD_OVER_QUOTA, Tariff

BATCH_DELIVERY = "batch.delivery"
PARTNER = ".partner"  # behind an item: the part of a shared price that is not the submitter's


@dataclass(frozen=True, slots=True)
class Counts:
    """What one member did in a year, as the ledger adds it up.

    `items` are the uploads and covers accepted and not reversed, by the tariff's item.
    """

    holdings: int = 0  # H
    downloads: int = 0  # D
    repeats: int = 0
    voided: int = 0
    batch: int = 0  # B
    items: Mapping[str, int] = field(default_factory=dict)

    @property
    def quota(self) -> int:
        return quota(self.holdings)

    @property
    def billable(self) -> int:
        return billable(self.downloads, self.holdings)


@dataclass(frozen=True, slots=True)
class Line:
    """One item of a bill. The member owes a positive amount and is owed a negative one."""

    item: str
    quantity: int
    price_fen: int
    amount_fen: int

    @property
    def is_credit(self) -> bool:
        """Whether it is for uploads, and so moves what the member is owed."""
        return self.item not in (DOWNLOAD_OVER_QUOTA, BATCH_DELIVERY)

    @property
    def is_share(self) -> bool:
        """Whether it is the member's part in the credit of others' uploads."""
        return self.item.endswith(PARTNER)


def bill(counts: Counts, tariff: Tariff) -> tuple[Line, ...]:
    """The lines of a year: downloads always, batches and uploads where there are any.

    Raises:
        KeyError: the tariff does not name an item.
    """
    over = counts.billable
    lines = [_line(tariff, DOWNLOAD_OVER_QUOTA, over)]
    if counts.batch:
        lines.append(_line(tariff, BATCH_DELIVERY, counts.batch))
    for item, quantity in sorted(counts.items.items()):
        if quantity:
            lines.append(_line(tariff, item, quantity, -1))
    return tuple(lines)


def _line(tariff: Tariff, item: str, quantity: int, sign: int = 1) -> Line:
    price_fen = tariff.price_fen(item)
    return Line(item, quantity, price_fen, sign * quantity * price_fen)


def difference(now: Iterable[Line], settled: Iterable[Line]) -> tuple[Line, ...]:
    """What `now` adds to what was settled, item by item; items without a change are left out.

    `settled` may name an item several times: the settlement and its notes.
    """
    before: dict[str, list[int]] = {}
    prices: dict[str, int] = {}
    for line in settled:
        sums = before.setdefault(line.item, [0, 0])
        sums[0] += line.quantity
        sums[1] += line.amount_fen
        prices[line.item] = line.price_fen
    lines = []
    for line in now:
        quantity, amount_fen = before.pop(line.item, (0, 0))
        lines.append(
            Line(line.item, line.quantity - quantity, line.price_fen, line.amount_fen - amount_fen)
        )
    lines += [
        Line(item, -quantity, prices[item], -amount_fen)
        for item, (quantity, amount_fen) in before.items()
    ]
    return tuple(line for line in lines if line.quantity or line.amount_fen)

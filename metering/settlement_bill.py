"""A year's counts and a tariff become the lines of a bill, in whole fen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from metering.quota import billable, quota
from metering.tariff import DOWNLOAD_OVER_QUOTA, Tariff

BATCH_ITEM = "batch"


@dataclass(frozen=True, slots=True)
class Counts:
    """What one member did in a year, as the ledger adds it up.

    `items` are the uploads accepted and not reversed, by the tariff's item.
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
    """One item of a bill. The member owes a positive amount and is owed a negative one.

    A credit that is split has `amount_fen` for the member and `share_fen` for
    `share_to`, both negative.
    """

    item: str
    quantity: int
    price_fen: int
    amount_fen: int
    share_to: str = ""
    share_fen: int = 0

    @property
    def is_credit(self) -> bool:
        """Whether it is for uploads, and so moves what the member is owed."""
        return self.item not in (DOWNLOAD_OVER_QUOTA, BATCH_ITEM)


def bill(counts: Counts, tariff: Tariff) -> tuple[Line, ...]:
    """The lines of a year: downloads always, batches and uploads where there are any.

    Raises:
        KeyError: the tariff does not name an item.
    """
    price_fen = tariff.price_fen(DOWNLOAD_OVER_QUOTA)
    over = counts.billable
    lines = [Line(DOWNLOAD_OVER_QUOTA, over, price_fen, over * price_fen)]
    if counts.batch:
        price_fen = tariff.price_fen(BATCH_ITEM)
        lines.append(Line(BATCH_ITEM, counts.batch, price_fen, counts.batch * price_fen))
    for item, quantity in sorted(counts.items.items()):
        if quantity:
            lines.append(_credit(item, quantity, tariff))
    return tuple(lines)


def _credit(item: str, quantity: int, tariff: Tariff) -> Line:
    price_fen = tariff.price_fen(item)
    return Line(item, quantity, price_fen, -quantity * price_fen)


def difference(now: Iterable[Line], settled: Iterable[Line]) -> tuple[Line, ...]:
    """What `now` adds to what was settled, item by item; items without a change are left out.

    `settled` may name an item several times: the settlement and its notes.
    """
    before: dict[str, list[int]] = {}
    to: dict[str, str] = {}
    prices: dict[str, int] = {}
    for line in settled:
        sums = before.setdefault(line.item, [0, 0, 0])
        sums[0] += line.quantity
        sums[1] += line.amount_fen
        sums[2] += line.share_fen
        to[line.item] = line.share_to or to.get(line.item, "")
        prices[line.item] = line.price_fen
    lines = []
    for line in now:
        quantity, amount_fen, share_fen = before.pop(line.item, (0, 0, 0))
        changed = Line(
            line.item, line.quantity - quantity, line.price_fen,
            line.amount_fen - amount_fen, line.share_to, line.share_fen - share_fen,
        )  # fmt: skip
        lines.append(changed)
    lines += [
        Line(item, -quantity, prices[item], -amount_fen, to[item], -share_fen)
        for item, (quantity, amount_fen, share_fen) in before.items()
    ]
    return tuple(line for line in lines if line.quantity or line.amount_fen or line.share_fen)

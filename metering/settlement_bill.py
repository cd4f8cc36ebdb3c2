"""A year's counts and a tariff become the lines of a bill, in whole fen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from metering.quota import billable, quota
from metering.tariff import BATCH_DELIVERY, DOWNLOAD_OVER_QUOTA, Tariff

# Behind an item whose price is shared: which part of it a line has.
SUBMITTER = ".submitter"
PARTNER = ".partner"


@dataclass(frozen=True, slots=True)
class Counts:
    """What one member did in a year, as the ledger adds it up.

    `items` are the uploads and covers accepted and not reversed, by the tariff's item;
    `shared` those of all members, itself among them, whose price it has a part in.
    """

    holdings: int = 0  # H
    downloads: int = 0  # D
    repeats: int = 0
    voided: int = 0
    batch: int = 0  # B
    items: Mapping[str, int] = field(default_factory=dict)
    shared: Mapping[str, int] = field(default_factory=dict)

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
        """Whether it is a partner's part in the credit for uploads."""
        return self.item.endswith(PARTNER)


def bill(counts: Counts, tariff: Tariff) -> tuple[Line, ...]:
    """The lines of a year: downloads always, batches and uploads where there are any.

    Raises:
        KeyError: the tariff does not name an item.
    """
    lines = [_charge(DOWNLOAD_OVER_QUOTA, counts.billable, tariff)]
    if counts.batch:
        lines.append(_charge(BATCH_DELIVERY, counts.batch, tariff))
    for item, quantity in sorted(counts.items.items()):
        own_fen = tariff.shares(item).submitter_fen
        name = item + SUBMITTER if tariff.is_shared(item) else item
        lines.append(Line(name, quantity, own_fen, -quantity * own_fen))
    for item, quantity in sorted(counts.shared.items()):
        part_fen = tariff.shares(item).partner_fen
        lines.append(Line(item + PARTNER, quantity, part_fen, -quantity * part_fen))
    return tuple(line for line in lines if line.quantity or line.item == DOWNLOAD_OVER_QUOTA)


def _charge(item: str, quantity: int, tariff: Tariff) -> Line:
    price_fen = tariff.price_fen(item)
    return Line(item, quantity, price_fen, quantity * price_fen)


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

"""What a unit costs, by date of effect. Money is in whole fen, dates in Asia/Shanghai.

An accounting year has one tariff, the version in force on its 1 January: the bill is
made of sums of the year (H and D are), and can be recomputed from them. A version with a
later day of effect prices the years that begin after it. Before the first version nothing
has a price.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import msgspec

from metering.entry import accounting_day

DOWNLOAD_OVER_QUOTA = "download.over_quota"
BATCH_DELIVERY = "batch.delivery"

Fen = Annotated[int, msgspec.Meta(ge=0, le=100_000_000)]
Percent = Annotated[int, msgspec.Meta(ge=0, le=100)]


class TariffError(Exception):
    """A tariff that cannot be used; the message names file, path and reason."""


class Shares(NamedTuple):
    """A price in fen, parted; the sum of both is the price."""

    submitter_fen: int
    partner_fen: int


@dataclass(frozen=True, slots=True)
class Tariff:
    """One version, in force from `effective` until a later one is.

    `partner` is the code of the institution that has a part in the price of some
    items: `partner_percent` of it, rounded down to whole fen.
    """

    version: str
    effective: date
    prices_fen: Mapping[str, int]
    partner: str = ""
    partner_percent: Mapping[str, int] = field(default_factory=dict)
    origin: str = "built in"  # or the file

    @property
    def first_year(self) -> int:
        """The first accounting year that begins when it is in force."""
        return self.effective.year + (self.effective > date(self.effective.year, 1, 1))

    def price_fen(self, item: str) -> int:
        """Raises KeyError when the tariff does not name the item."""
        return self.prices_fen[item]

    def is_shared(self, item: str) -> bool:
        """Whether a partner has a part in the price."""
        return item in self.partner_percent

    def shares(self, item: str) -> Shares:
        """Who gets what of the item's price; an odd fen is the submitter's.

        Raises:
            KeyError: the tariff does not name the item.
        """
        return _parted(self.prices_fen[item], self.partner_percent.get(item, 0))


class _Partner(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who shares in some prices, and how much of them."""

    institution: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,31}$")]
    percent: dict[str, Percent]


class _Document(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A file of one version."""

    version: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,31}$")]
    effective: date
    price_fen: dict[str, Fen]
    partner: _Partner | None = None


def _parted(fen: int, partner_percent: int) -> Shares:
    partner_fen = fen * partner_percent // 100
    return Shares(fen - partner_fen, partner_fen)


def read_tariff(text: str, origin: str, items: frozenset[str] | None = None) -> Tariff:
    """The version that a TOML document says.

    `items` are those that must be priced, all of them and no others; None: any.

    Raises:
        TariffError: it is not TOML, a value is out of range or an item is missing.
    """
    try:
        document = msgspec.convert(tomllib.loads(text), _Document)
    except tomllib.TOMLDecodeError as error:
        raise TariffError(f"{origin}: not TOML: {error}") from None
    except msgspec.ValidationError as error:
        raise TariffError(f"{origin}: {error}") from None
    if items is not None:
        for item in sorted(items - document.price_fen.keys()):
            raise TariffError(f"{origin}: the price of `{item}` is missing - at `$.price_fen`")
        for item in sorted(document.price_fen.keys() - items):
            raise TariffError(f"{origin}: there is no item `{item}` - at `$.price_fen`")
    partner = document.partner or _Partner("none", {})
    for item in partner.percent:
        if item not in document.price_fen:
            raise TariffError(f"{origin}: there is no item `{item}` - at `$.partner.percent`")
        if not item.startswith("upload."):
            raise TariffError(
                f"{origin}: only uploads are shared, not `{item}` - at `$.partner.percent`"
            )
    return Tariff(
        document.version, document.effective, document.price_fen,
        "" if document.partner is None else partner.institution.upper(), partner.percent, origin,
    )  # fmt: skip


def load_tariffs(folder: Path | None = None, partner: str = "") -> tuple[Tariff, ...]:
    """The built-in versions and those of the files `*.toml` in `folder`, by date of effect.

    `partner` is the code here of the institution that shares in prices, instead of
    the one that the versions name.

    Raises:
        TariffError: the folder or a file cannot be read or used, or two versions
            have one name or one date.
    """
    tariffs = BUILT_IN if folder is None else _in_order((*BUILT_IN, *_read_folder(folder)))
    if not partner:
        return tariffs
    return tuple(
        replace(tariff, partner=partner.upper()) if tariff.partner else tariff for tariff in tariffs
    )


def _read_folder(folder: Path) -> list[Tariff]:
    if not folder.is_dir():
        raise TariffError(f"{folder}: no such folder")
    own = []
    path = folder
    try:
        for path in sorted(folder.glob("*.toml")):
            own.append(read_tariff(path.read_text("utf-8"), str(path), ITEMS))
    except UnicodeDecodeError as error:
        raise TariffError(f"{path}: {error}") from None
    except OSError as error:
        raise TariffError(f"{error.filename or path}: {error.strerror}") from None
    return own


def _in_order(tariffs: Iterable[Tariff]) -> tuple[Tariff, ...]:
    """By date of effect; the name and the date of each must be its own."""
    names: dict[str, Tariff] = {}
    dates: dict[date, Tariff] = {}
    for tariff in tariffs:
        twin = names.setdefault(tariff.version, tariff)
        if twin is not tariff:
            raise TariffError(
                f"{tariff.origin}: the version {tariff.version} is there already"
                f" ({twin.origin}) - at `$.version`"
            )
        twin = dates.setdefault(tariff.effective, tariff)
        if twin is not tariff:
            raise TariffError(
                f"{tariff.origin}: the version {twin.version} ({twin.origin}) takes effect on"
                f" {tariff.effective} already - at `$.effective`"
            )
    return tuple(dates[day] for day in sorted(dates))


def tariff_of_year(year: int, tariffs: Sequence[Tariff] | None = None) -> Tariff:
    """The tariff of an accounting year: that in force when it begins, or `NO_TARIFF`."""
    begun = [t for t in (BUILT_IN if tariffs is None else tariffs) if t.first_year <= year]
    return max(begun, key=lambda tariff: tariff.effective, default=NO_TARIFF)


def priced_years(tariffs: Sequence[Tariff]) -> Iterator[dict[str, Any]]:
    """Each version with the accounting years that it prices, for who lists them.

    `until_year` is None where no later version follows, and before `from_year` where the
    version prices none.
    """
    for place, each in enumerate(tariffs):
        following = tariffs[place + 1].first_year if place + 1 < len(tariffs) else None
        yield {
            "version": each.version,
            "effective": each.effective.isoformat(),
            "from_year": each.first_year,
            "until_year": None if following is None else following - 1,
            "origin": each.origin,
        }


def tariff_at(at_us: int, tariffs: Sequence[Tariff] | None = None) -> Tariff:
    """The tariff for what happens at a moment: UTC, microseconds since 1970."""
    return tariff_of_year(accounting_day(at_us)[0], tariffs)


def _built_in() -> tuple[Tariff, ...]:
    folder = files("metering").joinpath("tariffs")
    return _in_order(
        read_tariff(file.read_text("utf-8"), "built in")
        for file in folder.iterdir()
        if file.name.endswith(".toml")
    )


BUILT_IN = _built_in()
# What has a price: each version prices all of it.
ITEMS = frozenset(BUILT_IN[-1].prices_fen)
NO_TARIFF = Tariff("none", date.min, dict.fromkeys(ITEMS, 0))

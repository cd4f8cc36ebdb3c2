"""What happened (`Draft`), and what the ledger made of it (`Entry`)."""

from __future__ import annotations

import hashlib
from datetime import date, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import Any

import msgspec

from protocol.china_time import CHINA_OFFSET_US

GENESIS_HASH = bytes(32)  # stands before the first entry

DAY_US = 86_400 * 1_000_000
AT_US_MAX = 253_402_214_400_000_000  # the last day of the year 9999


class Kind(StrEnum):
    """The fact that an entry records."""

    DELIVERY = "delivery"  # a full record left, or was about to
    VOID = "void"  # the delivery it refers to did not go out
    HOLDING_ADDED = "holding_added"
    HOLDING_REMOVED = "holding_removed"
    BATCH = "batch"  # a record delivered by an ISBN job
    UPLOAD = "upload"  # a bibliographic record that the catalogue accepted
    UPLOAD_REVERSED = "upload_reversed"  # the upload or cover it refers to was merged away
    COVER = "cover"  # a cover image of a record, accepted
    CORRECTION = "correction"  # of the entry it refers to, made by a person
    AUDIT = "audit"  # a remark of the system; counts nothing


class Meter(StrEnum):
    """What an entry's quantity is added to."""

    DOWNLOAD = "download"  # D: deliveries that may be billed
    REPEAT = "repeat"  # deliveries that are not, by the repeat rule
    HOLDING = "holding"  # H
    BATCH = "batch"  # B, apart from D
    UPLOAD = "upload"  # U, by item
    COVER = "cover"  # cover images, by item
    NONE = ""


class Draft(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One fact, with an id that its maker chose so that a retry is the same entry.

    `meter` and `quantity` are stated for a correction only; the ledger counts
    every other kind itself. `item` names what the tariff prices, such as
    "upload.chinese.full"; batch deliveries, uploads and covers state it. A void, a
    reversal and a correction refer to another entry's id and take over from it
    what they leave empty.
    """

    id: str
    kind: Kind
    at_us: int  # UTC, microseconds since 1970, not negative
    institution: str = ""
    account: str = ""
    database: str = ""
    record_id: int = 0
    control_number: str = ""
    protocol: str = ""
    session: str = ""
    refers_to: str = ""
    note: str = ""
    meter: Meter = Meter.NONE
    quantity: int = 0
    item: str = ""


class Entry(msgspec.Struct, frozen=True, array_like=True):
    """One row of the ledger. The order of the fields is the order that is hashed."""

    seq: int  # from 1, without gaps
    id: str
    kind: Kind
    meter: Meter
    quantity: int
    institution: str
    account: str
    database: str
    record_id: int
    control_number: str
    at_us: int
    year: int  # of accounting; for a void that of the delivery
    day: int  # 20240131; likewise
    protocol: str
    session: str
    refers_to: str  # for a repeat: the billed delivery that it repeats
    note: str
    item: str  # of the tariff; "": none
    previous: bytes
    hash: bytes


FIELDS = Entry.__struct_fields__


def entry_hash(previous: bytes, contents: tuple[Any, ...]) -> bytes:
    """SHA-256 over the predecessor's hash and the fields `seq` to `item`.

    An empty `item` is left out, for it came with schema 2 and entries of schema 1
    were hashed without it. The fields are a JSON array in UTF-8 without white space,
    with no more escapes than JSON demands, so that any language can recompute it.
    """
    hashed = contents if contents[-1] else contents[:-1]
    return hashlib.sha256(previous + msgspec.json.encode(hashed)).digest()


@lru_cache(maxsize=4096)
def _calendar(day_number: int) -> tuple[int, int]:
    day = date(1970, 1, 1) + timedelta(days=day_number)
    return day.year, day.year * 10_000 + day.month * 100 + day.day


def accounting_day(at_us: int) -> tuple[int, int]:
    """The year and the day (as 20240131) in Asia/Shanghai.

    2023-12-31T16:00:00Z is the first moment of 2024.
    """
    return _calendar((at_us + CHINA_OFFSET_US) // DAY_US)


def day_span_us(at_us: int) -> tuple[int, int]:
    """First and last microsecond of the day in Asia/Shanghai that holds `at_us`."""
    first = (at_us + CHINA_OFFSET_US) // DAY_US * DAY_US - CHINA_OFFSET_US
    return first, first + DAY_US - 1


def span_of_day_us(day: int) -> tuple[int, int]:
    """The first moment of a day in Asia/Shanghai, as 20240131, and that of the next day.

    Raises:
        ValueError: there is no such day.
    """
    number = (date(day // 10_000, day // 100 % 100, day % 100) - date(1970, 1, 1)).days
    first = number * DAY_US - CHINA_OFFSET_US
    return first, first + DAY_US


def year_span_us(at_us: int) -> tuple[int, int]:
    """First and last microsecond of the accounting year that holds `at_us`."""
    year, _ = accounting_day(at_us)
    epoch = date(1970, 1, 1)
    first = (date(year, 1, 1) - epoch).days * DAY_US - CHINA_OFFSET_US
    return first, first + (date(year, 12, 31) - date(year, 1, 1)).days * DAY_US + DAY_US - 1

"""The OPAC record syntax, 1.2.840.10003.5.102: a record and who holds it."""

from __future__ import annotations

from protocol.asn1 import (
    BOOLEAN,
    STRING,
    Choice,
    Sequence,
    SequenceOf,
    choice,
    component,
    sequence,
)
from protocol.codec import Codec
from protocol.external import EXTERNAL, External


@sequence
class Volume:
    enumeration: str | None = component(1, STRING, default=None)
    chronology: str | None = component(2, STRING, default=None)
    enum_and_chron: str | None = component(3, STRING, default=None)


@sequence
class CircRecord:
    """One circulating item."""

    available_now: bool = component(1, BOOLEAN)
    availability_date: str | None = component(2, STRING, default=None)
    available_thru: str | None = component(3, STRING, default=None)
    restrictions: str | None = component(4, STRING, default=None)
    item_id: str | None = component(5, STRING, default=None)
    renewable: bool = component(6, BOOLEAN)
    on_hold: bool = component(7, BOOLEAN)
    enum_and_chron: str | None = component(8, STRING, default=None)
    midspine: str | None = component(9, STRING, default=None)
    temporary_location: str | None = component(10, STRING, default=None)


@sequence
class HoldingsAndCircData:
    """Holdings of one place; where in MARC 21 Holdings each comes from is beside it."""

    type_of_record: str | None = component(1, STRING, default=None)  # leader/06
    encoding_level: str | None = component(2, STRING, default=None)  # leader/17
    format: str | None = component(3, STRING, default=None)  # 007/00-01
    receipt_acq_status: str | None = component(4, STRING, default=None)  # 008/06
    general_retention: str | None = component(5, STRING, default=None)  # 008/12
    completeness: str | None = component(6, STRING, default=None)  # 008/16
    date_of_report: str | None = component(7, STRING, default=None)  # 008/26-31
    nuc_code: str | None = component(8, STRING, default=None)  # 852$a
    local_location: str | None = component(9, STRING, default=None)  # 852$b
    shelving_location: str | None = component(10, STRING, default=None)  # 852$c
    call_number: str | None = component(11, STRING, default=None)  # 852$h$i
    shelving_data: str | None = component(12, STRING, default=None)  # 852$j to $m
    copy_number: str | None = component(13, STRING, default=None)  # 852$t
    public_note: str | None = component(14, STRING, default=None)  # 852$z
    reproduction_note: str | None = component(15, STRING, default=None)  # 843
    terms_use_repro: str | None = component(16, STRING, default=None)  # 845
    enum_and_chron: str | None = component(17, STRING, default=None)  # 85x, 86x
    volumes: tuple[Volume, ...] = component(18, SequenceOf(Sequence(Volume)), default=())
    circulation_data: tuple[CircRecord, ...] = component(
        19, SequenceOf(Sequence(CircRecord)), default=()
    )


# An External is a MARC Holdings record.
HoldingsRecord = External | HoldingsAndCircData
_HOLDINGS_RECORD: Choice[HoldingsRecord] = choice(
    "HoldingsRecord", (1, EXTERNAL), (2, Sequence(HoldingsAndCircData))
)


@sequence
class OpacRecord:
    """`bibliographic_record` is MARC under the identifier of its own syntax."""

    bibliographic_record: External | None = component(1, EXTERNAL, default=None)
    holdings_data: tuple[HoldingsRecord, ...] = component(
        2, SequenceOf(_HOLDINGS_RECORD), default=()
    )


OPAC_RECORD: Codec[OpacRecord] = Codec(Sequence(OpacRecord), "OPACRecord")

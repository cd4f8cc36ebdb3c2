"""Resource reports: what an operation or association has used and will cost.

Formats resource-1 (1.2.840.10003.7.1) and resource-2 (1.2.840.10003.7.2).
"""

from __future__ import annotations

from enum import IntEnum

from protocol.apdu_common import INT_UNIT, STRING_OR_NUMERIC, IntUnit, StringOrNumeric
from protocol.asn1 import INTEGER, STRING, Sequence, SequenceOf, component, sequence
from protocol.codec import Codec

CURRENCY_CNY = 156  # ISO 4217


class EstimateType(IntEnum):
    """Times are in milliseconds, costs in the smallest unit of the currency."""

    CURRENT_SEARCH_RECORDS = 1
    FINAL_SEARCH_RECORDS = 2
    CURRENT_PRESENT_RECORDS = 3
    FINAL_PRESENT_RECORDS = 4
    CURRENT_OP_TIME_PROCESSING = 5
    FINAL_OP_TIME_PROCESSING = 6
    CURRENT_ASSOC_TIME = 7
    CURRENT_OPERATION_COST = 8
    FINAL_OPERATION_COST = 9
    CURRENT_ASSOC_COST = 10
    FINAL_OP_TIME_ELAPSED = 11
    PERCENT_COMPLETE = 12
    CURRENT_SEARCH_ASSOC_COST = 13
    CURRENT_PRESENT_ASSOC_COST = 14
    CURRENT_CONNECT_ASSOC_COST = 15
    CURRENT_OTHER_ASSOC_COST = 16


@sequence
class Estimate:
    """`type` is an EstimateType; `currency_code` (ISO 4217) goes with costs only."""

    type: int = component(1, INTEGER)
    value: int = component(2, INTEGER)
    currency_code: int | None = component(3, INTEGER, default=None)


@sequence
class Resource1Report:
    estimates: tuple[Estimate, ...] = component(1, SequenceOf(Sequence(Estimate)))
    message: str = component(2, STRING)


RESOURCE_1: Codec[Resource1Report] = Codec(Sequence(Resource1Report), "resource-1 report")


@sequence
class UnitEstimate:
    """A currency has the unit system `z3950` and the unit type `iso4217-1990`."""

    type: StringOrNumeric = component(1, STRING_OR_NUMERIC)
    value: IntUnit = component(2, INT_UNIT)


@sequence
class Resource2Report:
    estimates: tuple[UnitEstimate, ...] = component(
        1, SequenceOf(Sequence(UnitEstimate)), default=()
    )
    message: str | None = component(2, STRING, default=None)


RESOURCE_2: Codec[Resource2Report] = Codec(Sequence(Resource2Report), "resource-2 report")

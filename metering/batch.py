"""The ledger entries of an ISBN batch: one for each record that its file delivers."""

from __future__ import annotations

from dataclasses import dataclass

from metering.entry import Draft, Kind
from metering.tariff import BATCH_DELIVERY

PROTOCOL = "batch"


@dataclass(frozen=True, slots=True)
class BatchDelivery:
    """A record of the file, and the ISBN (thirteen digits) by which it was found."""

    isbn: str
    record_id: int
    database: str
    control_number: str


def batch_draft(
    job: str, institution: str, account: str, at_us: int, delivery: BatchDelivery
) -> Draft:
    """The entry of one delivery; its id is made of job and ISBN, so a retry is the same.

    `at_us`, UTC in microseconds since 1970, is one moment for the whole job and must be
    kept with it: an entry that comes again with another time is a conflict.
    """
    return Draft(
        id=f"batch:{job}:{delivery.isbn}",
        kind=Kind.BATCH,
        at_us=at_us,
        institution=institution,
        account=account,
        database=delivery.database,
        record_id=delivery.record_id,
        control_number=delivery.control_number,
        protocol=PROTOCOL,
        session=job,
        note=f"ISBN {delivery.isbn}",
        item=BATCH_DELIVERY,
    )

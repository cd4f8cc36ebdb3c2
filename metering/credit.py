"""The ledger entries of an accepted record: its own, its cover's, and what takes them back.

A record is credited once, to the member that created it: the ids of its entries are made
of the catalogue's name and the record's number, so a retry is the same entry. Of a shared
price (`Tariff.shares`) the entry is the submitter's; settlement parts the money.
"""

from __future__ import annotations

from dataclasses import dataclass

from metering.entry import Draft, Kind
from metering.tariff import Tariff
from metering.tariff_category import Category, Level
from metering.tariff_credit import Part, cover_part, parts_of


@dataclass(frozen=True, slots=True)
class Accepted:
    """A record that the catalogue took from a member. `at_us` is UTC, microseconds since 1970.

    `detailed_holdings`: the member's own holdings came with it, with a call number.
    `cover`: the catalogue has a picture of its cover from the same member.
    """

    institution: str
    account: str
    database: str
    record_id: int
    control_number: str
    at_us: int
    category: Category
    level: Level
    detailed_holdings: bool = False
    cover: bool = False

    def parts(self, tariff: Tariff) -> tuple[Part, ...]:
        """What it earns, the record's own part first.

        Raises:
            KeyError: the tariff does not name an item.
        """
        return parts_of(
            self.category, self.level, tariff,
            detailed_holdings=self.detailed_holdings, cover=self.cover,
        )  # fmt: skip


def upload_id(catalogue: str, record_id: int) -> str:
    """The id of the record's credit; `catalogue` names the numbering of its records."""
    return f"upload:{catalogue}:{record_id}"


def cover_id(catalogue: str, record_id: int) -> str:
    """The id of the credit for its cover image."""
    return f"cover:{catalogue}:{record_id}"


def credit_drafts(accepted: Accepted, tariff: Tariff, *, catalogue: str) -> tuple[Draft, ...]:
    """The entries of an accepted record: one UPLOAD, and one COVER if its cover earns something.

    Raises:
        KeyError: the tariff does not name an item.
    """
    upload, *covers = accepted.parts(tariff)
    own_id = upload_id(catalogue, accepted.record_id)
    drafts = [_draft(accepted, own_id, Kind.UPLOAD, upload)]
    drafts += [
        _draft(accepted, cover_id(catalogue, accepted.record_id), Kind.COVER, part)
        for part in covers
    ]
    return tuple(drafts)


def cover_draft(accepted: Accepted, at_us: int, tariff: Tariff, *, catalogue: str) -> Draft | None:
    """The entry of a cover image that came at `at_us`, after its record; None: it earns nothing."""
    part = cover_part(
        accepted.category, accepted.level, tariff, detailed_holdings=accepted.detailed_holdings
    )
    if part is None:
        return None
    return _draft(
        accepted, cover_id(catalogue, accepted.record_id), Kind.COVER, part, at_us
    )  # fmt: skip


def reversal_drafts(catalogue: str, record_id: int, at_us: int, into: str) -> tuple[Draft, ...]:
    """What takes a record's credit back because it was merged away as a duplicate.

    `into` is the control number of the record that stays. The ledger takes back what
    the upload and the cover counted if `at_us` lies in their accounting year, and
    nothing later; for what was never credited it says MOOT.
    """
    return tuple(
        Draft(
            id=f"{credit_id}:reversed", kind=Kind.UPLOAD_REVERSED, at_us=at_us,
            refers_to=credit_id, note=f"merged into {into}",
        )
        for credit_id in (upload_id(catalogue, record_id), cover_id(catalogue, record_id))
    )  # fmt: skip


def _draft(
    accepted: Accepted, entry_id: str, kind: Kind, part: Part, at_us: int | None = None
) -> Draft:
    return Draft(
        id=entry_id,
        kind=kind,
        at_us=accepted.at_us if at_us is None else at_us,
        institution=accepted.institution,
        account=accepted.account,
        database=accepted.database,
        record_id=accepted.record_id,
        control_number=accepted.control_number,
        note=part.because,
        item=part.item,
    )

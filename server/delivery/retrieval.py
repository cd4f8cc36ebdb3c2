"""From records chosen to bytes that may leave: the one path of both protocols.

Every full record is entered in the ledger after its form is made and before
anything is sent.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from metering.interface import Delivery, Meter, MeteringError, Receipt
from protocol.diagnostic import Bib1, Diagnostic
from protocol.frozen import frozen
from protocol.record import Holding, StoredRecord
from server.access_control.access import Principal
from server.access_control.permissions import Grant, Operation, is_granted, refusal, to_bib1
from server.log import Log, Seldom
from store.interface import Catalogue

log = Log("lianmu.retrieval")

# A disk that is full is not to be filled further by saying so at every request.
_TELL_WITHHELD = Seldom(interval_s=5.0)

PAGE_RECORDS = 100  # fetched and made at once


@dataclass(frozen=True, slots=True)
class RecordForm:
    """One form of a record on the wire.

    `make` gives its bytes, or why this record cannot be given so. `full` forms
    need a member's account; `billable` ones are counted as downloads too. A form
    that shows who holds the record has `make_with_holdings`, used instead.
    """

    name: str
    make: Callable[[StoredRecord], bytes | Diagnostic]
    full: bool = True
    billable: bool = True
    make_with_holdings: Callable[[StoredRecord, Sequence[Holding]], bytes | Diagnostic] | None = (
        None
    )


@frozen
class MadeItem:
    """A position of a response with its record: as `Item`, but never a diagnostic."""

    record: StoredRecord
    content: bytes


# The forms in which a record may be given, the best first; never none.
FormsOf = Callable[[StoredRecord], Sequence[RecordForm]]


@frozen
class Item:
    """One position of a response: the record's form, or a surrogate diagnostic.

    `form` is that of `content`; None where there is no record.
    """

    record: StoredRecord | None
    content: bytes | Diagnostic
    form: RecordForm | None = None


@frozen
class Retrieved:
    """`receipt` names the ledger entries; None: nothing was entered.

    `items` can be fewer than asked for when `fits` ended the list.
    """

    items: Sequence[Item]
    receipt: Receipt | None


@dataclass(slots=True)
class Chosen:
    """Records in one form. None may leave before `deliveries`, if any, are in the ledger."""

    form: RecordForm
    items: list[MadeItem]
    deliveries: list[Delivery]


def choose_at_once(
    catalogue: Catalogue,
    principal: Principal,
    record_ids: Sequence[int],
    form: RecordForm,
    bytes_max: int,
    protocol: str,
    session: str,
) -> Chosen | None:
    """The forms of a few records, without waiting and without entering them yet.

    None: `retrieve` must be asked, because the form shows holdings, there are too
    many records, they take more than `bytes_max` together, or a diagnostic is due.
    """
    if form.make_with_holdings is not None or len(record_ids) > PAGE_RECORDS:
        return None
    if form.full and not principal.may_download:
        return None
    chosen = Chosen(form, [], [])
    granted = principal.download_from if form.full else None
    size = 0
    for record in catalogue.fetch_at_once(record_ids):
        if record is None or record.deleted:
            return None
        if granted is not None and record.database.name not in granted:
            return None
        content = _made(form.make, record)
        if isinstance(content, Diagnostic):
            return None
        size += len(content)
        if size > bytes_max:
            return None
        chosen.items.append(MadeItem(record, content))
        if form.billable:
            chosen.deliveries.append(_delivery(principal, record, protocol, session))
    return chosen


async def retrieve(
    catalogue: Catalogue,
    meter: Meter,
    principal: Principal,
    record_ids: Sequence[int],
    form: RecordForm | FormsOf,
    *,
    protocol: str,
    session: str,
    fits: Callable[[Diagnostic | bytes, int], Diagnostic | bytes | None] | None = None,
) -> Retrieved | Diagnostic:
    """Make the forms of `record_ids` and enter the full ones in the ledger.

    Where `form` names several for a record, the first that can be made of it
    is taken.

    `fits` may replace an item by a diagnostic, or end the list with None, given
    the octets that the items before it take.

    A Diagnostic instead of a result means that nothing may be sent: no account
    for full records (1070), or the ledger could not take the entries.
    """
    only = form if isinstance(form, RecordForm) else None
    if only is not None and only.full and not principal.may_download and record_ids:
        return _not_to_download(principal)
    make = only.make if only is not None and only.make_with_holdings is None else None
    if make is not None and only is not None and only.full and principal.download_from is not None:
        make = None  # each record is looked at
    items: list[Item] = []
    size = 0
    content: bytes | Diagnostic | None = b""
    for first in range(0, len(record_ids), PAGE_RECORDS):
        if first:
            await asyncio.sleep(0)  # others take their turn
        for record in await catalogue.fetch(record_ids[first : first + PAGE_RECORDS]):
            used = only
            if record is None or record.deleted:
                content = _deleted(catalogue, record)
            elif make is not None:
                content = _made(make, record)
            else:
                forms = (form,) if isinstance(form, RecordForm) else form(record)
                used, content = await _first_of(catalogue, forms, record, principal)
            if fits is not None:
                content = fits(content, size)
                if content is None:
                    break
            if content.__class__ is bytes:
                size += len(content)
            items.append(Item(record, content, used))
        if content is None:
            break
    deliveries = [
        _delivery(principal, item.record, protocol, session)
        for item in items
        if item.record is not None
        and item.form is not None
        and item.form.billable
        and item.content.__class__ is bytes
    ]
    if not deliveries:
        return Retrieved(items, None)
    try:
        receipt = await meter.deliver(deliveries)
    except MeteringError as error:
        return withheld(error)
    return Retrieved(items, receipt)


def _made(
    make: Callable[..., bytes | Diagnostic], record: StoredRecord, *held: Sequence[Holding]
) -> bytes | Diagnostic:
    """The form of a record. One whose octets are damaged does not keep the others back."""
    try:
        return make(record, *held)
    except ValueError as error:  # MalformedRecord among them
        log.error("a record is damaged", record_id=record.record_id, reason=str(error))
        return Diagnostic(Bib1.SYSTEM_ERROR_IN_PRESENTING, record.control_number)


def _not_to_download(principal: Principal, database: str = "") -> Diagnostic:
    """What whoever may have no full record, or none of that database, is told."""
    refused = refusal(principal, Operation.DOWNLOAD, database=database)
    assert refused is not None  # noqa: S101 - the caller has asked
    return to_bib1(refused)


def _deleted(catalogue: Catalogue, record: StoredRecord | None) -> Diagnostic:
    """What stands at the place of a record that is no more, and where it went if it was merged."""
    if record is None:
        return Diagnostic(Bib1.RECORD_DELETED)
    survivor = catalogue.survivor(record.record_id)
    merged = f": merged into {survivor.control_number}" if survivor is not None else ""
    return Diagnostic(Bib1.RECORD_DELETED, record.control_number + merged)


def withheld(error: MeteringError) -> Diagnostic:
    """What is told instead of records that the ledger did not take."""
    times = _TELL_WITHHELD.count()
    if times:
        log.error(
            "records withheld: the ledger takes no entries", responses=times, reason=str(error)
        )
    return Diagnostic(Bib1.TEMPORARY_SYSTEM_ERROR, "downloads cannot be entered at present")


def _delivery(principal: Principal, record: StoredRecord, protocol: str, session: str) -> Delivery:
    return Delivery(
        principal.institution, record.database.name, record.record_id, record.control_number,
        principal.account, protocol, session,
    )  # fmt: skip


async def _first_of(
    catalogue: Catalogue, forms: Sequence[RecordForm], record: StoredRecord, principal: Principal
) -> tuple[RecordForm, bytes | Diagnostic]:
    """The first of `forms` that can be made of `record`, or why the first cannot."""
    failed: tuple[RecordForm, Diagnostic] | None = None
    for form in forms:
        content: bytes | Diagnostic
        if form.full and not (
            principal.may_download and is_granted(principal, Grant.DOWNLOAD, record.database.name)
        ):
            content = _not_to_download(principal, record.database.name)
        elif form.make_with_holdings is not None:
            held = await catalogue.holdings((record.record_id,))
            content = _made(form.make_with_holdings, record, held.get(record.record_id, ()))
        else:
            content = _made(form.make, record)
        if not isinstance(content, Diagnostic):
            return form, content
        failed = failed or (form, content)
    assert failed is not None  # noqa: S101 - there is at least one form
    return failed

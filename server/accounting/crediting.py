"""Credit for uploads, with the rules of the configuration.

Whoever accepts a record from a member does this, once it is stored:

    with open_credits(config) as crediting:
        crediting.submit(accepted_record(config, record, principal.institution, account, at_us))

`credit_covers` follows with images that came later. Merges need no call: `post_credits`
reads them in the catalogue, whoever made them, and claims what a crash or a full disk left
unclaimed. All may be called again when it is not known whether they were; all block on
the disk.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace

from metering.credit import Accepted
from metering.credit_claims import CreditPolicy, Credits, Status
from metering.interface import MeteringError
from metering.ledger import Ledger
from metering.tariff import tariff_of_year
from metering.tariff_category import CategoryRules, are_detailed, classify, has_detailed_holdings
from metering.tariff_credit import cover_part
from protocol.record import Holding, StoredRecord
from server.config import Config
from server.log import Log
from store.covers import Cover, CoverRows
from store.holding_events import HoldingEvents
from store.merge_events import MergeEvents
from store.sqlite import FILE_NAME, StoreError, open_reader
from store.uploaded import CREDIT_DUE, UploadRow, UploadRows
from store.writer import CatalogueWriter

CLAIM_GRACE_US = 30_000_000  # a worker claims in the same second what it stores

log = Log("lianmu.credit")

TAKEN_BACK = frozenset({Status.REVERSED, Status.WITHDRAWN})


def category_rules(config: Config) -> CategoryRules:
    """Those of `[tariff]`."""
    return CategoryRules(
        frozenset(name.lower() for name in config.tariff.ancient_databases),
        frozenset(config.tariff.western_languages),
    )


def credit_policy(config: Config) -> CreditPolicy:
    """That of `[credit]`."""
    section = config.credit
    return CreditPolicy(
        section.acceptance, section.records_per_year_max,
        {str(name): cap for name, cap in section.category_records_per_year_max.items()},
        config.metering.upload_reversal,
    )  # fmt: skip


@contextlib.contextmanager
def open_credits(config: Config) -> Iterator[Credits]:
    """The claims of one configuration, over its ledger and catalogue.

    Raises:
        MeteringError: the claims or the ledger cannot be opened.
        StoreError: there is no catalogue.
    """
    events = HoldingEvents(config.data_dir)
    catalogue = events.name
    events.close()
    with contextlib.ExitStack() as opened:
        ledger = Ledger(config.ledger_path, rules=config.counting_rules)
        opened.callback(ledger.close)
        crediting = Credits(
            config.credit_path, ledger, catalogue=catalogue, tariffs=config.tariffs,
            policy=credit_policy(config), clock=lambda: time.time_ns() // 1000,
        )  # fmt: skip
        opened.callback(crediting.close)
        yield crediting


def claim_due(
    config: Config, writer: CatalogueWriter, *, before_us: int | None = None
) -> dict[int, str]:
    """Claim the credit of uploads that wait for it; the states of the claims by record.

    `before_us` leaves out those that came since: whoever stored them is at it.
    What cannot be claimed now stays due.
    """
    uploads = UploadRows(writer.connection)
    due = [row for row in uploads.credit_due() if before_us is None or row.at_us < before_us]
    states: dict[int, str] = {}
    if not due:
        return states
    try:
        with open_credits(config) as crediting:
            for row in due:
                accepted = _first_version(config, writer, row)
                try:
                    claim = crediting.submit(accepted)
                except KeyError as error:  # the tariff has no such item: others go on
                    log.error(
                        "credit not claimed", record=accepted.control_number, reason=str(error)
                    )
                    continue
                with writer.transaction():
                    uploads.credit_claimed(row.upload_id)
                states[row.record_id] = claim.status.value
    except (MeteringError, StoreError) as error:
        # The records are stored; the rows stay due, and the next turn claims them.
        log.error("credit not claimed", records=len(due), reason=str(error))
    return states


def _first_version(config: Config, writer: CatalogueWriter, row: UploadRow) -> Accepted:
    """A record as it was accepted: its first version, and who holds it now."""
    stored = writer.rows.get(row.record_id)
    assert stored is not None  # noqa: S101 - rows of records stay
    first = replace(stored, marc=writer.rows.version(row.record_id, 1))
    held = [each.holding for each in writer.merges.holding_rows(row.record_id)]
    return accepted_record(config, first, row.institution, row.account, row.at_us, holdings=held)


def _claim_forgotten(config: Config) -> None:
    """What a worker stored and did not come to claim."""
    if not (config.data_dir / FILE_NAME).exists():
        return
    before_us = time.time_ns() // 1000 - CLAIM_GRACE_US
    with contextlib.closing(open_reader(config.data_dir / FILE_NAME)) as connection:
        if not any(row.at_us < before_us for row in UploadRows(connection).credit_due()):
            return
    with contextlib.closing(CatalogueWriter(config.data_dir, config.databases)) as writer:
        claim_due(config, writer, before_us=before_us)


def credit_covers(config: Config) -> dict[int, str]:
    """Tell the claims of records of cover images that came; what each earns, by record.

    One counts for each record, and only from the institution that has the claim.
    A cover of a record whose own claim is still due waits for it.

    Raises:
        MeteringError: the ledger does not take them now; they stay due.
        StoreError: there is no catalogue, or the covers cannot be written.
    """
    told: dict[int, str] = {}
    if not config.covers_path.exists():
        return told
    with contextlib.closing(CoverRows(config.covers_path, create=True)) as rows:
        due = rows.credit_due()
        if not due:
            return told
        with (
            contextlib.closing(open_reader(config.data_dir / FILE_NAME)) as connection,
            open_credits(config) as crediting,
        ):
            uploads = UploadRows(connection)
            for cover in due:
                if cover.catalogue != crediting.catalogue:
                    state = "of another catalogue / 属于另一目录"
                elif any(row.credit == CREDIT_DUE for row in uploads.of_record(cover.record_id)):
                    continue
                else:
                    state = _credit_cover(config, crediting, cover)
                told[cover.record_id] = state
                with rows.transaction():
                    rows.set_credit(cover, state)
    return told


def _credit_cover(config: Config, crediting: Credits, cover: Cover) -> str:
    claim = crediting.add_cover(cover.record_id, cover.institution, cover.at_us)
    if claim is None:
        return "the record earned its institution nothing / 该记录未给上传馆计酬"
    accepted = claim.accepted
    part = cover_part(
        accepted.category, accepted.level, tariff_of_year(claim.year, config.tariffs),
        detailed_holdings=accepted.detailed_holdings,
    )  # fmt: skip
    if part is None:
        kind = f"{accepted.category}/{accepted.level}"
        return f"a cover of {kind} earns nothing / {kind} 的封面不计酬"
    return claim.status.value


def post_credits(config: Config) -> tuple[int, int]:
    """Take back the credit of records merged away, and post what a crash kept from the ledger.

    Uploads whose credit nobody came to claim are claimed first, cover images at last.

    Returns how many claims were taken back, and how many entries had been kept from it.

    Raises:
        MeteringError: the ledger does not take them now.
        StoreError: there is no catalogue.
    """
    _claim_forgotten(config)
    if not config.credit_path.exists():
        return 0, 0  # nobody has uploaded anything
    with (
        open_credits(config) as crediting,
        contextlib.closing(Ledger(config.ledger_path, rules=config.counting_rules)) as ledger,
    ):
        late = crediting.post()
        taken_back = _follow_merges(config, crediting, ledger)
    credit_covers(config)  # last: whatever is wrong with them stops nothing else
    return taken_back, late


def _follow_merges(config: Config, crediting: Credits, ledger: Ledger) -> int:
    """Tell the claims of the merges behind the last one told; how many were taken back.

    The ledger remembers which that is: a merge is told under the rule of its time, and not
    again when an operator changes `[metering] upload_reversal`. A crash before that is
    noted tells some merges twice, which changes nothing.
    """
    source = f"merges of {crediting.catalogue}"
    with ledger.reading() as snapshot:
        told, _ = snapshot.positions().get(source, (0, 0))
    last, taken_back = told, 0
    with contextlib.closing(MergeEvents(config.data_dir)) as merges:
        for merge in merges.after(told):
            last = merge.sequence
            if merge.undone_us is None:
                claim = crediting.merged_away(merge.away_id, merge.keep_number, merge.at_us)
                taken_back += claim is not None and claim.status in TAKEN_BACK
    if last > told:
        with ledger.writing() as transaction:
            transaction.move(source, last)
    return taken_back


def accepted_record(
    config: Config,
    record: StoredRecord,
    institution: str,
    account: str,
    at_us: int,
    *,
    holdings: Iterable[Holding] = (),
    cover: bool = False,
) -> Accepted:
    """A record as it was accepted, classified by its content and the rules of `[tariff]`.

    `holdings` are those that the catalogue has of it; the record's own 905 or 852
    count too. `cover`: a picture of its cover came with it.

    Raises:
        MalformedRecord: `record.marc` is not in the stored form.
    """
    family = record.database.family
    found = classify(record.marc, family, record.database.name, category_rules(config))
    detailed = are_detailed(holdings, institution) or has_detailed_holdings(record.marc, family)
    return Accepted(
        institution, account, record.database.name, record.record_id, record.control_number,
        at_us, found.category, found.level, bool(detailed), cover,
    )  # fmt: skip

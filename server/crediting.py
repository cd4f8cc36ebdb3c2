"""Credit for uploads, with the rules of the configuration.

Whoever accepts a record from a member does this, once it is stored:

    with open_credits(config) as crediting:
        crediting.submit(accepted_record(config, record, principal.institution, account, at_us))

`Credits.add_cover` follows a record later. Merges need no call: `post_credits` reads them
in the catalogue, whoever made them. All may be called again when it is not known whether
they were; all block on the disk.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Iterator

from metering.credit import Accepted
from metering.credit_claims import CreditPolicy, Credits, Status
from metering.ledger import Ledger
from metering.tariff_category import CategoryRules, are_detailed, classify, has_detailed_holdings
from protocol.record import Holding, StoredRecord
from server.config import Config
from store.holding_events import HoldingEvents
from store.merge_events import MergeEvents

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


def post_credits(config: Config) -> tuple[int, int]:
    """Take back the credit of records merged away, and post what a crash kept from the ledger.

    Returns how many claims were taken back, and how many entries had been kept from it.

    Raises:
        MeteringError: the ledger does not take them now.
        StoreError: there is no catalogue.
    """
    if not config.credit_path.exists():
        return 0, 0  # nobody has uploaded anything
    with (
        open_credits(config) as crediting,
        contextlib.closing(Ledger(config.ledger_path, rules=config.counting_rules)) as ledger,
    ):
        late = crediting.post()
        return _follow_merges(config, crediting, ledger), late


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

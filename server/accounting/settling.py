"""Settlements as one configuration says."""

from __future__ import annotations

import time

from metering.interface import MeteringError
from metering.settlement import Settlements
from metering.usage import usage_of
from server.accounting.crediting import post_credits
from server.accounting.ledger import Accounting
from server.config import Config
from store.members import Members

FOLD_TRIES = 5
FOLD_PAUSE_S = 1.0


def open_settlements(config: Config) -> Settlements:
    """The settlements in the ledger of `config`, which must be there.

    Raises:
        MeteringError: they cannot be opened.
    """
    return Settlements(
        config.ledger_path,
        rules=config.counting_rules,
        grace_days=config.settlement.grace_days,
        note_minimum_fen=config.settlement.note_minimum_fen,
        tariffs=config.tariffs,
    )


def names_to_settle(config: Config, code: str | None = None) -> dict[str, str]:
    """Names of all who may have a settlement, by code; or of one alone, if there is such.

    They are the institutions, and the partners of tariffs, who have a part in the price
    of some uploads and need not be members: their code is their name then.
    """
    members = Members(config.members_path)
    try:
        names = {each.code: each.name for each in members.institutions()}
    finally:
        members.close()
    for tariff in config.tariffs:
        if tariff.partner:
            names.setdefault(tariff.partner, tariff.partner)
    if code is None:
        return names
    return {each: name for each, name in names.items() if each.upper() == code.upper()}


def fold_year(accounting: Accounting, config: Config, year: int) -> None:
    """Everything of the year that waits in spools, catalogue or credits, into the ledger.

    Raises:
        MeteringError: something of it stays outside.
    """
    post_credits(config)
    for attempt in range(FOLD_TRIES):
        if attempt:
            time.sleep(FOLD_PAUSE_S)
        accounting.folder.fold()
        with_waiting = accounting.usage.usage_all(year)
        in_ledger = [
            usage_of(code, year, totals, config.tariffs)
            for code, totals in sorted(accounting.ledger.totals(year).items())
            if code
        ]
        if with_waiting == in_ledger:
            return
    raise MeteringError(
        f"entries of {year} are still in the spools: settle when the server has folded them"
    )

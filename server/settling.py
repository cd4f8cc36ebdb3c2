"""Settlements as one configuration says."""

from __future__ import annotations

from metering.settlement import Settlements
from server.config import Config


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

"""Quota and charge of a year, in whole records and whole fen."""

from __future__ import annotations


def quota(holdings_uploaded: int) -> int:
    """Downloads a year free of charge: 1.2 times the holdings uploaded, rounded down.

    Corrections may bring the holdings below 0; the quota stays 0.
    """
    return max(0, 6 * holdings_uploaded // 5)


def billable(downloads: int, holdings_uploaded: int) -> int:
    """Downloads over the quota."""
    return max(0, downloads - quota(holdings_uploaded))


def charge_fen(downloads: int, holdings_uploaded: int, price_fen: int) -> int:
    """The charge for a year's downloads at `price_fen` each."""
    return billable(downloads, holdings_uploaded) * price_fen


def holdings_needed(downloads: int) -> int:
    """The fewest holdings whose quota covers so many downloads."""
    return -(-5 * downloads // 6)

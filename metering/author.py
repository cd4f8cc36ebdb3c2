"""Who decided something about money, and from where: the same words in every file of metering."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Author:
    """`who` is a person, "" for the rules; the rest says from where, as far as it is known.

    `account` is the account that was signed in, "" on the command line, where
    `protocol` is "cli" and `address` is `login@host`.
    """

    who: str = ""
    account: str = ""
    address: str = ""
    protocol: str = ""


THE_RULES = Author()

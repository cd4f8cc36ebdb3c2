"""Diagnostics of Bib-1 and SRU, and the map between them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class Bib1(IntEnum):
    """Conditions of diagnostic set bib-1, 1.2.840.10003.4.1."""

    PERMANENT_SYSTEM_ERROR = 1
    TEMPORARY_SYSTEM_ERROR = 2


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """A refusal that a client caused or must hear of.

    `addinfo` is the value refused, as the client sent it.
    """

    condition: Bib1
    addinfo: str = ""

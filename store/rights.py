"""What an account or a key may do.

| right | allows |
|---|---|
| search | search, scan, and read brief records |
| download | full records, which are entered for the institution |
| holdings | say what the institution holds |
| upload | add records to the catalogue, and correct those of the institution |
| manager | see the institution's figures and look after its accounts |

An operator of the consortium belongs to no institution: nothing can be entered or
held for one, so there is no right to it either.
"""

from __future__ import annotations

from collections.abc import Iterable

RIGHTS = ("search", "download", "holdings", "upload", "manager")
MEMBER_RIGHTS = ("search", "download", "holdings")
# Of the first account of an institution: somebody must look after the others.
FIRST_RIGHTS = (*MEMBER_RIGHTS, "manager")
OPERATOR_RIGHTS = ("search", "upload", "manager")


def read_rights(names: Iterable[str]) -> tuple[str, ...]:
    """Rights in the order of RIGHTS, each once.

    Raises:
        ValueError: a name that is none, or no name at all; says which there are.
    """
    given = {name.strip().lower() for name in names if name.strip()}
    unknown = sorted(given.difference(RIGHTS))
    if unknown:
        raise ValueError(f"{unknown[0]!r} is no right: there are {', '.join(RIGHTS)}")
    if not given:
        raise ValueError(f"no right is named: there are {', '.join(RIGHTS)}")
    return tuple(right for right in RIGHTS if right in given)

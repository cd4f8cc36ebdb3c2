"""The databases that somebody may search, of those that were asked for."""

from __future__ import annotations

from collections.abc import Sequence

from protocol.diagnostic import Bib1, Diagnostic
from protocol.record import Database
from server.access_control.permissions import Operation, refusal, to_bib1
from server.access_control.principal import Principal
from store.interface import Catalogue


def databases_for(
    catalogue: Catalogue,
    names: Sequence[str],
    principal: Principal,
    operation: Operation = Operation.SEARCH,
) -> tuple[Database, ...] | Diagnostic:
    """The databases meant by `names`, each once, that are granted for `operation`.

    One that was named and is not granted is Bib-1 236 with its name, however many
    others were named. `Default` and `all` mean those that are granted, and are
    refused in the same way when none is. Unknown names are as `Catalogue.resolve`
    has them.
    """
    databases = catalogue.resolve(names)
    if principal.search_in is None and principal.download_from is None:
        return databases
    if isinstance(databases, Diagnostic):
        return databases
    granted: dict[str, Database] = {}
    for name in names:
        meant = catalogue.resolve((name,))
        assert not isinstance(meant, Diagnostic)  # noqa: S101 - all of them were resolved
        allowed = [each for each in meant if not refusal(principal, operation, database=each.name)]
        if not allowed:
            # As the client wrote it: an alias or `Default` is no name in a grant either.
            refused = refusal(principal, operation, database=name)
            return to_bib1(refused) if refused else Diagnostic(Bib1.DATABASE_ACCESS_DENIED, name)
        granted.update((each.name, each) for each in allowed)
    return tuple(granted.values())

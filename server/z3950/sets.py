"""How much the named result sets of one association may hold."""

from __future__ import annotations

from collections.abc import Mapping

from protocol.diagnostic import Bib1, Diagnostic
from store.interface import ResultSet
from store.result_set import RecordSet

# Sets of so few records are bounded by their number alone.
SMALL_RECORDS_MAX = 1024


def too_large(
    sets: Mapping[str, ResultSet], name: str, made: ResultSet, size_bytes_max: int
) -> Diagnostic | None:
    """Why `made` cannot be kept as `name` beside the other `sets`; None when it can.

    The set that it would replace does not count. More octets than
    `size_bytes_max` together are Bib-1 31, resources exhausted: the number of
    sets is another bound, with a diagnostic of its own (112).
    """
    if len(made) <= SMALL_RECORDS_MAX:
        return None
    kept = sum(_size_bytes(each) for key, each in sets.items() if key != name)
    if kept + _size_bytes(made) <= size_bytes_max:
        return None
    return Diagnostic(
        Bib1.RESOURCES_EXHAUSTED_NO_RESULTS,
        f"the result sets of an association hold at most {size_bytes_max} octets: delete some",
    )


def _size_bytes(result_set: ResultSet) -> int:
    if not isinstance(result_set, RecordSet) or len(result_set) <= SMALL_RECORDS_MAX:
        return 0
    return result_set.size_bytes

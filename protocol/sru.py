"""SRU requests: parameters of a URL or form to typed requests, for 1.1, 1.2 and 2.0.

Everything a client can send ends as a request or as the diagnostics that say
what is wrong with it. Parameters with an empty value count as left out, as
HTML forms send them; those that begin with `x-` are extensions and are kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from protocol.diagnostic import SruDiagnostic, SruFault
from protocol.sru_reader import Reader
from protocol.sru_request import (
    X_PQUERY,
    X_PSCANCLAUSE,
    ExplainRequest,
    RefusedRequest,
    Request,
    ScanRequest,
    SearchRetrieveRequest,
    SruLimits,
    SruRequest,
)
from protocol.sru_version import V1_1, V2_0, VERSIONS, SruVersion

__all__ = [
    "X_PQUERY",
    "ExplainRequest",
    "RefusedRequest",
    "Request",
    "ScanRequest",
    "SearchRetrieveRequest",
    "SruLimits",
    "SruRequest",
    "parse_request",
    "record_range",
]

PARAMETERS_MAX = 64
VALUE_CHARS_MAX = 65_536
_TELL_OPERATION = frozenset({"operation", "query", "scanClause"})


def parse_request(parameters: Iterable[tuple[str, str]], limits: SruLimits) -> Request:
    """Read the parameters in the order given, names and values already unescaped.

    No parameter at all means explain. Every fault is reported, not the first
    alone, except that an unknown version or operation is reported alone.
    """
    given: dict[str, str] = {}
    extra: dict[str, str] = {}
    faults: list[SruFault] = []
    empty: set[str] = set()
    for count, (name, value) in enumerate(parameters):
        if count == PARAMETERS_MAX:
            details = f"more than {PARAMETERS_MAX} parameters"
            faults.append(SruFault(SruDiagnostic.UNSUPPORTED_PARAMETER, details))
            break
        if not value:
            empty.add(name)
            continue
        if len(value) > VALUE_CHARS_MAX:
            faults.append(SruFault(SruDiagnostic.UNSUPPORTED_PARAMETER_VALUE, name[:80]))
        elif name.lower().startswith("x-"):
            extra[name.lower()] = value
        elif given.setdefault(name, value) != value:
            faults.append(SruFault(SruDiagnostic.UNSUPPORTED_PARAMETER_VALUE, f"{name} twice"))
    if not given.keys() & _TELL_OPERATION and not extra.keys() & {X_PQUERY, X_PSCANCLAUSE}:
        # Empty parameters count as left out. These still tell a search that
        # lacks its query from a wish to have the server explained.
        given |= dict.fromkeys(sorted(empty & {"query", "scanClause"})[:1], "")
    version = _version(given, limits)
    if isinstance(version, SruFault):
        answering = _version_to_answer(given.get("version", ""), limits)
        return RefusedRequest(
            version=answering, operation=_operation_meant(given), faults=(version,), given=given
        )
    reader = Reader(version, given, extra, limits, faults)
    operation = reader.operation()
    if operation == "searchRetrieve":
        return reader.search_retrieve()
    if operation == "scan":
        return reader.scan()
    if operation == "explain":
        return reader.explain()
    return reader.refused(_operation_meant(given))


def record_range(request: SearchRetrieveRequest, number_of_records: int) -> range | SruFault:
    """The positions to deliver, from 1; empty when there is nothing to deliver.

    A start beyond the last record is diagnostic 61 unless nothing was found.
    """
    start = request.start_record
    if start > number_of_records and (number_of_records or start > 1):
        return SruFault(SruDiagnostic.FIRST_RECORD_OUT_OF_RANGE, str(start))
    return range(start, min(start + request.maximum_records, number_of_records + 1))


def _version(given: Mapping[str, str], limits: SruLimits) -> SruVersion | SruFault:
    name = given.get("version")
    if name is None:
        if "operation" in given and given["operation"] != "explain":
            return SruFault(SruDiagnostic.MANDATORY_PARAMETER_MISSING, "version")
        if "query" not in given and "scanClause" not in given:
            return VERSIONS[limits.default_version]
        # Since 2.0 a request names neither version nor operation.
        if V2_0.name not in limits.versions:
            return SruFault(SruDiagnostic.MANDATORY_PARAMETER_MISSING, "version")
        return V2_0
    if given.get("operation") == "update" and name not in limits.versions:
        # Record Update has a version of its own, and changes nothing by GET.
        return SruFault(SruDiagnostic.UNSUPPORTED_OPERATION, "update: send it by POST")
    if name not in limits.versions:
        return SruFault(SruDiagnostic.UNSUPPORTED_VERSION, max(limits.versions))
    return VERSIONS[name]


def _version_to_answer(name: str, limits: SruLimits) -> SruVersion:
    """The highest version that a client of version `name` may understand."""
    not_higher = [each for each in limits.versions if each <= name]
    return VERSIONS[max(not_higher)] if not_higher else V1_1


def _operation_meant(given: Mapping[str, str]) -> str:
    operation = given.get("operation")
    if operation == "scan" or (operation is None and "scanClause" in given):
        return "scan"
    if operation == "explain":
        return "explain"
    return "searchRetrieve"

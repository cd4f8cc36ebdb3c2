"""SRU requests: parameters of a URL or form to typed requests, for 1.1, 1.2 and 2.0.

Everything a client can send ends as a request or as the diagnostics that say
what is wrong with it. Parameters with an empty value count as left out, as
HTML forms send them; those that begin with `x-` are extensions and are kept.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from protocol import cql, cql_parser, pqf, rpn
from protocol.cql_ast import CqlQuery
from protocol.cql_sort import sort_specs, sort_specs_1_1
from protocol.diagnostic import Diagnostic, SruDiagnostic, SruFault
from protocol.diagnostic_map import to_sru
from protocol.query import Query, ScanStart, SortSpec
from protocol.sru_version import (
    V1_1,
    V2_0,
    VERSIONS,
    RecordSchema,
    SruVersion,
    schema_by_name,
)

PARAMETERS_MAX = 64
VALUE_CHARS_MAX = 65_536
_NUMBER_MAX = 2**31 - 1
# YAZ's name for a query in PQF, where the version knows no queryType.
X_PQUERY = "x-pquery"


@dataclass(frozen=True, slots=True)
class SruLimits:
    """What the server offers and allows. Counts are of records and of terms.

    `stylesheets` are the addresses that a client may name; none means that
    the parameter is refused. `default_version` answers requests that name
    no version and mean explain.
    """

    versions: tuple[str, ...] = ("1.1", "1.2", "2.0")
    default_version: str = "1.2"
    schemas: tuple[str, ...] = ("marcxml", "dc")
    default_schema: str = "marcxml"
    records_default: int = 10
    records_max: int = 100
    terms_default: int = 20
    terms_max: int = 200
    result_set_ttl_s_max: int = 0
    stylesheets: tuple[str, ...] = ()
    facets: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SruRequest:
    """What every request carries.

    `given` holds the parameters as sent, for the echo; `extra` those that
    begin with `x-`, by name in lower case.
    """

    version: SruVersion
    stylesheet: str = ""
    given: Mapping[str, str] = field(default_factory=dict)
    extra: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainRequest(SruRequest):
    """`as_string` asks for the record escaped, as one string."""

    as_string: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchRetrieveRequest(SruRequest):
    """`start_record` counts from 1; `maximum_records` is within the server's bound.

    `cql` is the parsed query when there was one in CQL. `result_set_ttl_s` is
    what the client wishes, cut to the server's bound; None: it said nothing.
    """

    query: Query
    schema: RecordSchema
    cql: CqlQuery | None = None
    sort: tuple[SortSpec, ...] = ()
    start_record: int = 1
    maximum_records: int
    as_string: bool = False
    result_set_ttl_s: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanRequest(SruRequest):
    """`response_position` is where the start term shall stand, from 1; 0: just before."""

    start: ScanStart
    cql: CqlQuery
    response_position: int = 1
    maximum_terms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedRequest(SruRequest):
    """A request that cannot be served; answered in the form of `operation`."""

    operation: str
    faults: tuple[SruFault, ...]


Request = ExplainRequest | SearchRetrieveRequest | ScanRequest | RefusedRequest


def parse_request(parameters: Iterable[tuple[str, str]], limits: SruLimits) -> Request:
    """Read the parameters in the order given, names and values already unescaped.

    No parameter at all means explain. Every fault is reported, not the first
    alone, except that an unknown version or operation is reported alone.
    """
    given: dict[str, str] = {}
    extra: dict[str, str] = {}
    faults: list[SruFault] = []
    for count, (name, value) in enumerate(parameters):
        if count == PARAMETERS_MAX:
            details = f"more than {PARAMETERS_MAX} parameters"
            faults.append(SruFault(SruDiagnostic.UNSUPPORTED_PARAMETER, details))
            break
        if not value:
            continue
        if len(value) > VALUE_CHARS_MAX:
            faults.append(SruFault(SruDiagnostic.UNSUPPORTED_PARAMETER_VALUE, name[:80]))
        elif name.lower().startswith("x-"):
            extra[name.lower()] = value
        elif given.setdefault(name, value) != value:
            faults.append(SruFault(SruDiagnostic.UNSUPPORTED_PARAMETER_VALUE, f"{name} twice"))
    version = _version(given, limits)
    if isinstance(version, SruFault):
        answering = _version_to_answer(given.get("version", ""), limits)
        return RefusedRequest(
            version=answering, operation=_operation_meant(given), faults=(version,), given=given
        )
    reader = _Reader(version, given, extra, limits, faults)
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


@dataclass(slots=True)
class _Reader:
    """Reads one request; `faults` grows as it goes."""

    version: SruVersion
    given: Mapping[str, str]
    extra: Mapping[str, str]
    limits: SruLimits
    faults: list[SruFault]

    def operation(self) -> str:
        """The operation, or nothing after a fault."""
        named = self.given.get("operation")
        if named is None:
            if not self.version.names_operations or len(self.given) == 0:
                if "scanClause" in self.given:
                    return "scan"
                return "searchRetrieve" if self._has_query() else "explain"
            if set(self.given) <= {"version"}:
                return "explain"
            self._fault(SruDiagnostic.MANDATORY_PARAMETER_MISSING, "operation")
            return ""
        if named not in ("explain", "scan", "searchRetrieve"):
            self._fault(SruDiagnostic.UNSUPPORTED_OPERATION, named)
            return ""
        return named

    def explain(self) -> ExplainRequest | RefusedRequest:
        self._refuse_unknown(self.version.explain_parameters)
        as_string = self._as_string()
        stylesheet = self._stylesheet()
        if self.faults:
            return self.refused("explain")
        return ExplainRequest(
            version=self.version, stylesheet=stylesheet, given=self.given, extra=self.extra,
            as_string=as_string,
        )  # fmt: skip

    def search_retrieve(self) -> SearchRetrieveRequest | RefusedRequest:
        self._refuse_unknown(self.version.search_parameters)
        limits = self.limits
        parsed, query = self._query()
        schema = self._schema()
        start = self._number("startRecord", 1)
        if start is not None and start < 1:
            self._fault(SruDiagnostic.FIRST_RECORD_OUT_OF_RANGE, str(start))
        maximum = self._number("maximumRecords", limits.records_default)
        if maximum is not None and maximum < 0:
            self._fault(SruDiagnostic.NEGATIVE_NUMBER_OF_RECORDS, str(maximum))
        as_string = self._as_string()
        if "recordXPath" in self.given and "recordXPath" in self.version.search_parameters:
            self._fault(SruDiagnostic.XPATH_UNSUPPORTED, self.given["recordXPath"])
        ttl = self._ttl()
        sort = self._sort(parsed)
        stylesheet = self._stylesheet()
        self._facets()
        if self.faults or query is None or schema is None or start is None or maximum is None:
            return self.refused("searchRetrieve")
        return SearchRetrieveRequest(
            version=self.version, stylesheet=stylesheet, given=self.given, extra=self.extra,
            query=query, schema=schema, cql=parsed, sort=sort, start_record=start,
            maximum_records=min(maximum, limits.records_max), as_string=as_string,
            result_set_ttl_s=ttl,
        )  # fmt: skip

    def scan(self) -> ScanRequest | RefusedRequest:
        self._refuse_unknown(self.version.scan_parameters)
        start: ScanStart | SruFault | None = None
        text = self.given.get("scanClause")
        parsed: CqlQuery | SruFault | None = None
        if text is None:
            self._fault(SruDiagnostic.MANDATORY_PARAMETER_MISSING, "scanClause")
        else:
            parsed = cql_parser.parse(text)
            start = parsed if isinstance(parsed, SruFault) else cql.to_scan(parsed)
            if isinstance(start, SruFault):
                self.faults.append(start)
        maximum = self._number("maximumTerms", self.limits.terms_default)
        if maximum is not None and maximum < 1:
            self._fault(SruDiagnostic.UNSUPPORTED_PARAMETER_VALUE, "maximumTerms")
        maximum = min(maximum or 1, self.limits.terms_max)
        position = self._number("responsePosition", 1)
        if position is not None and not 0 <= position <= maximum + 1:
            self._fault(SruDiagnostic.RESPONSE_POSITION_OUT_OF_RANGE, str(position))
        stylesheet = self._stylesheet()
        if self.faults or not isinstance(start, ScanStart) or position is None:
            return self.refused("scan")
        assert isinstance(parsed, CqlQuery)  # noqa: S101 - there is a start
        return ScanRequest(
            version=self.version, stylesheet=stylesheet, given=self.given, extra=self.extra,
            start=start, cql=parsed, response_position=position, maximum_terms=maximum,
        )  # fmt: skip

    def refused(self, operation: str) -> RefusedRequest:
        return RefusedRequest(
            version=self.version, given=self.given, extra=self.extra, operation=operation,
            faults=tuple(self.faults),
        )  # fmt: skip

    def _fault(self, condition: SruDiagnostic, details: str) -> None:
        self.faults.append(SruFault(condition, details))

    def _refuse_unknown(self, known: tuple[str, ...]) -> None:
        for name in self.given:
            # Naming version and operation is harmless where they are not needed.
            if name not in known and name != "operation":
                self._fault(SruDiagnostic.UNSUPPORTED_PARAMETER, name[:80])

    def _has_query(self) -> bool:
        return "query" in self.given or X_PQUERY in self.extra

    def _query(self) -> tuple[CqlQuery | None, Query | None]:
        text = self.given.get("query", "")
        language = self.given.get("queryType", "cql").lower()
        if not text and self.version.names_operations and X_PQUERY in self.extra:
            text, language = self.extra[X_PQUERY], "pqf"
        if not text:
            self._fault(SruDiagnostic.MANDATORY_PARAMETER_MISSING, "query")
            return None, None
        if language == "pqf":
            return None, self._pqf(text)
        if language != "cql":
            self._fault(SruDiagnostic.UNSUPPORTED_QUERY_TYPE, language[:80])
            return None, None
        parsed = cql_parser.parse(text)
        query = parsed if isinstance(parsed, SruFault) else cql.to_query(parsed)
        if isinstance(parsed, SruFault) or isinstance(query, SruFault):
            assert isinstance(query, SruFault)  # noqa: S101 - a fault of either is in `query`
            self.faults.append(query)
            return None, None
        return parsed, query

    def _pqf(self, text: str) -> Query | None:
        parsed = pqf.parse(text)
        if isinstance(parsed, pqf.PqfFault):
            fault = to_sru(parsed.diagnostic)
            self.faults.append(SruFault(fault.condition, fault.details, parsed.position))
            return None
        query = rpn.to_query(parsed)
        if isinstance(query, Diagnostic):
            self.faults.append(to_sru(query))
            return None
        return query

    def _schema(self) -> RecordSchema | None:
        name = self.given.get("recordSchema", self.limits.default_schema)
        schema = schema_by_name(name)
        if schema is None or schema.name not in self.limits.schemas:
            self._fault(SruDiagnostic.UNKNOWN_SCHEMA, name[:200])
            return None
        return schema

    def _as_string(self) -> bool:
        name = self.version.packing
        packing = self.given.get("recordPacking")
        if name != "recordPacking":
            if packing is not None and packing not in ("packed", "unpacked", "xml", "string"):
                self._fault(SruDiagnostic.UNSUPPORTED_RECORD_PACKING, packing[:80])
            # Clients carry the 1.x meaning of recordPacking over.
            packing = self.given.get(name, packing if packing in ("xml", "string") else "xml")
        if packing not in (None, "xml", "string"):
            self._fault(SruDiagnostic.UNSUPPORTED_RECORD_PACKING, packing[:80])
        return packing == "string"

    def _ttl(self) -> int | None:
        seconds = self._number("resultSetTTL", -1)
        if seconds is None or "resultSetTTL" not in self.given:
            return None
        if seconds < 0:
            self._fault(SruDiagnostic.UNSUPPORTED_PARAMETER_VALUE, "resultSetTTL")
        return min(seconds, self.limits.result_set_ttl_s_max)

    def _sort(self, parsed: CqlQuery | None) -> tuple[SortSpec, ...]:
        """The order of the query itself; else that of the parameter."""
        found: tuple[SortSpec, ...] | SruFault = ()
        if parsed is not None and parsed.sort_keys:
            found = sort_specs(parsed)
        elif "sortKeys" in self.given:
            found = sort_specs_1_1(self.given["sortKeys"])
        if isinstance(found, SruFault):
            self.faults.append(found)
            return ()
        return found

    def _stylesheet(self) -> str:
        # A stylesheet runs in the reader's browser with our origin's rights,
        # so only our own are named in a response.
        address = self.given.get("stylesheet", "")
        if address and not self.limits.stylesheets:
            self._fault(SruDiagnostic.STYLESHEETS_UNSUPPORTED, "")
        elif address and address not in self.limits.stylesheets:
            self._fault(SruDiagnostic.UNSUPPORTED_STYLESHEET, address[:200])
        return address

    def _facets(self) -> None:
        if self.limits.facets:
            return
        for name in ("facetLimit", "facetStart", "facetSort", "facetCount"):
            if name in self.given and name in self.version.search_parameters:
                self._fault(SruDiagnostic.UNSUPPORTED_PARAMETER, name)

    def _number(self, name: str, default: int) -> int | None:
        text = self.given.get(name)
        if text is None:
            return default
        if re.fullmatch(r"-?[0-9]{1,10}", text) and int(text) <= _NUMBER_MAX:
            return int(text)
        self._fault(SruDiagnostic.UNSUPPORTED_PARAMETER_VALUE, name)
        return None

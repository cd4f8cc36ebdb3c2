"""One SRU request read parameter by parameter, with every fault it has."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from protocol import cql, cql_parser, pqf, rpn
from protocol.apdu_common import AttributesPlusTerm
from protocol.apdu_query import RpnQuery
from protocol.cql_ast import CqlQuery
from protocol.cql_sort import sort_specs, sort_specs_1_1
from protocol.diagnostic import Diagnostic, SruDiagnostic, SruFault
from protocol.diagnostic_map import to_sru
from protocol.query import Query, ScanStart, SortSpec
from protocol.sru_accept import choose_media_type
from protocol.sru_facets import FACET_PARAMETERS, FacetsRequest, parse_facets
from protocol.sru_request import (
    X_PQUERY,
    X_PSCANCLAUSE,
    ExplainRequest,
    RefusedRequest,
    ScanRequest,
    SearchRetrieveRequest,
    SruLimits,
)
from protocol.sru_version import RecordSchema, SruVersion, schema_by_name

_NUMBER_MAX = 2**31 - 1


@dataclass(slots=True)
class Reader:
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
        media_type = self._media_type(self.version.namespace)
        if self.faults:
            return self.refused("explain")
        return ExplainRequest(
            version=self.version, stylesheet=stylesheet, media_type=media_type,
            given=self.given, extra=self.extra, as_string=as_string,
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
        media_type = self._media_type(self.version.namespace)
        facets = self._facets()
        if self.faults or query is None or schema is None or start is None or maximum is None:
            return self.refused("searchRetrieve")
        return SearchRetrieveRequest(
            version=self.version, stylesheet=stylesheet, media_type=media_type,
            given=self.given, extra=self.extra, query=query, schema=schema, cql=parsed,
            sort=sort, start_record=start, maximum_records=min(maximum, limits.records_max),
            as_string=as_string, result_set_ttl_s=ttl, facets=facets,
        )  # fmt: skip

    def scan(self) -> ScanRequest | RefusedRequest:
        self._refuse_unknown(self.version.scan_parameters)
        parsed, start = self._scan_clause()
        maximum = self._number("maximumTerms", self.limits.terms_default)
        if maximum is not None and maximum < 1:
            self._fault(SruDiagnostic.UNSUPPORTED_PARAMETER_VALUE, "maximumTerms")
        maximum = min(maximum or 1, self.limits.terms_max)
        position = self._number("responsePosition", 1)
        if position is not None and not 0 <= position <= maximum + 1:
            self._fault(SruDiagnostic.RESPONSE_POSITION_OUT_OF_RANGE, str(position))
        stylesheet = self._stylesheet()
        media_type = self._media_type(self.version.scan_namespace)
        if self.faults or start is None or position is None:
            return self.refused("scan")
        return ScanRequest(
            version=self.version, stylesheet=stylesheet, media_type=media_type,
            given=self.given, extra=self.extra, start=start, cql=parsed,
            response_position=position, maximum_terms=maximum,
        )  # fmt: skip

    def refused(self, operation: str) -> RefusedRequest:
        """Why not, shown as the client wished as far as that is possible."""
        stylesheet = self.given.get("stylesheet", "")
        accept = self.given.get("httpAccept", "")
        knows_accept = "httpAccept" in self.version.explain_parameters
        return RefusedRequest(
            version=self.version, given=self.given, extra=self.extra, operation=operation,
            stylesheet=stylesheet if stylesheet in self.limits.stylesheets else "",
            media_type=(choose_media_type(accept) or "") if knows_accept else "",
            faults=tuple(self.faults),
        )  # fmt: skip

    def _fault(self, condition: SruDiagnostic, details: str) -> None:
        self.faults.append(SruFault(condition, details[:200]))

    def _refuse_unknown(self, known: tuple[str, ...]) -> None:
        for name in self.given:
            # Naming version and operation is harmless where they are not needed.
            if name not in known and name != "operation":
                self._fault(SruDiagnostic.UNSUPPORTED_PARAMETER, name[:80])

    def _has_query(self) -> bool:
        return "query" in self.given or X_PQUERY in self.extra

    def _query(self) -> tuple[CqlQuery | None, Query | None]:
        text = self.given.get("query", "")
        query_type = self.given.get("queryType", "cql")
        language = query_type.lower()
        if not text and self.version.names_operations and X_PQUERY in self.extra:
            text, language = self.extra[X_PQUERY], "pqf"
        if not text:
            self._fault(SruDiagnostic.MANDATORY_PARAMETER_MISSING, "query")
            return None, None
        if language == "pqf":
            return None, self._pqf(text)
        if language != "cql":
            self._fault(SruDiagnostic.UNSUPPORTED_QUERY_TYPE, query_type[:80])
            return None, None
        parsed = cql_parser.parse(text)
        query = parsed if isinstance(parsed, SruFault) else cql.to_query(parsed)
        if isinstance(parsed, SruFault) or isinstance(query, SruFault):
            assert isinstance(query, SruFault)  # noqa: S101 - a fault of either is in `query`
            self.faults.append(query)
            return None, None
        return parsed, query

    def _scan_clause(self) -> tuple[CqlQuery | None, ScanStart | None]:
        text = self.given.get("scanClause", "")
        query_type = self.given.get("queryType", "cql")
        language = query_type.lower()
        if not text and self.version.names_operations and X_PSCANCLAUSE in self.extra:
            text, language = self.extra[X_PSCANCLAUSE], "pqf"
        if not text:
            self._fault(SruDiagnostic.MANDATORY_PARAMETER_MISSING, "scanClause")
            return None, None
        if language == "pqf":
            return None, self._pqf_start(text)
        if language != "cql":
            self._fault(SruDiagnostic.UNSUPPORTED_QUERY_TYPE, query_type[:80])
            return None, None
        parsed = cql_parser.parse(text)
        start = parsed if isinstance(parsed, SruFault) else cql.to_scan(parsed)
        if isinstance(parsed, SruFault) or isinstance(start, SruFault):
            assert isinstance(start, SruFault)  # noqa: S101 - a fault of either is in `start`
            self.faults.append(start)
            return None, None
        return parsed, start

    def _pqf_start(self, text: str) -> ScanStart | None:
        parsed = self._parsed_pqf(text)
        if parsed is None:
            return None
        if not isinstance(parsed.rpn, AttributesPlusTerm):
            self._fault(SruDiagnostic.QUERY_FEATURE_UNSUPPORTED, "scan takes one clause")
            return None
        start = rpn.to_scan(parsed.attribute_set, parsed.rpn)
        if isinstance(start, Diagnostic):
            self.faults.append(to_sru(start))
            return None
        return start

    def _parsed_pqf(self, text: str) -> RpnQuery | None:
        parsed = pqf.parse(text)
        if isinstance(parsed, pqf.PqfFault):
            fault = to_sru(parsed.diagnostic)
            self.faults.append(SruFault(fault.condition, fault.details, parsed.position))
            return None
        return parsed

    def _pqf(self, text: str) -> Query | None:
        parsed = self._parsed_pqf(text)
        if parsed is None:
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

    def _media_type(self, namespace: str) -> str:
        """What httpAccept asks for, "" without it; responseType can only be the usual one."""
        if "httpAccept" not in self.version.explain_parameters:
            return ""
        response_type = self.given.get("responseType", namespace)
        if response_type != namespace:
            self._fault(SruDiagnostic.UNSUPPORTED_PARAMETER_VALUE, f"responseType {response_type}")
        rendered_by = self.given.get("renderedBy", "client")
        if rendered_by != "client" and "renderedBy" in self.version.search_parameters:
            self._fault(SruDiagnostic.UNSUPPORTED_PARAMETER_VALUE, f"renderedBy {rendered_by}")
        accept = self.given.get("httpAccept")
        if accept is None:
            return ""
        chosen = choose_media_type(accept)
        if chosen is None:
            self._fault(SruDiagnostic.UNSUPPORTED_PARAMETER_VALUE, f"httpAccept {accept}")
        return chosen or ""

    def _facets(self) -> FacetsRequest | None:
        asked = [name for name in FACET_PARAMETERS if name in self.given]
        if not asked or asked[0] not in self.version.search_parameters:
            return None
        if not self.limits.facet_terms_max:
            for name in asked:
                self._fault(SruDiagnostic.UNSUPPORTED_PARAMETER, name)
            return None
        limits = self.limits
        facets = parse_facets(self.given, limits.facet_terms_default, limits.facet_terms_max)
        if isinstance(facets, SruFault):
            self.faults.append(facets)
            return None
        return facets

    def _number(self, name: str, default: int) -> int | None:
        text = self.given.get(name)
        if text is None:
            return default
        if re.fullmatch(r"-?[0-9]{1,10}", text) and int(text) <= _NUMBER_MAX:
            return int(text)
        self._fault(SruDiagnostic.UNSUPPORTED_PARAMETER_VALUE, name)
        return None

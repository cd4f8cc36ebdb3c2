"""Typed SRU requests: what `protocol.sru` makes of parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from protocol.cql_ast import CqlQuery
from protocol.diagnostic import SruFault
from protocol.query import Query, ScanStart, SortSpec
from protocol.sru_facets import FacetsRequest
from protocol.sru_version import RecordSchema, SruVersion

# YAZ's names for a query and a scan clause in PQF, where the version knows no
# queryType.
X_PQUERY = "x-pquery"
X_PSCANCLAUSE = "x-pscanclause"


@dataclass(frozen=True, slots=True)
class SruLimits:
    """What the server offers and allows. Counts are of records and of terms.

    `stylesheets` are the addresses that a client may name; none means that
    the parameter is refused, as `result_set_ttl_s_max` 0 means that no result
    set is kept and `facet_terms_max` 0 that there are no facets.
    `default_version` answers requests that name no version and mean explain.
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
    facet_terms_default: int = 10
    facet_terms_max: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SruRequest:
    """What every request carries.

    `given` holds the parameters as sent, for the echo; `extra` those that
    begin with `x-`, by name in lower case. `media_type` is what httpAccept
    chose for the response, "" when it said nothing.
    """

    version: SruVersion
    stylesheet: str = ""
    media_type: str = ""
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
    facets: FacetsRequest | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanRequest(SruRequest):
    """`response_position` is where the start term shall stand, from 1; 0: just before.

    `cql` is the parsed clause when it was one in CQL.
    """

    start: ScanStart
    cql: CqlQuery | None = None
    response_position: int = 1
    maximum_terms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedRequest(SruRequest):
    """A request that cannot be served; answered in the form of `operation`."""

    operation: str
    faults: tuple[SruFault, ...]


Request = ExplainRequest | SearchRetrieveRequest | ScanRequest | RefusedRequest

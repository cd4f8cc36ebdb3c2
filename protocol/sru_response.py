"""SRU responses: typed values to XML, by joining octets.

The element order is that of the published schemas (see `protocol.sru_version`).
Our elements carry the prefix `zs`; what a record brings keeps its own names.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from protocol.diagnostic import SruFault
from protocol.frozen import frozen
from protocol.sru_facets import FACET_PARAMETERS
from protocol.sru_request import (
    X_PQUERY,
    X_PSCANCLAUSE,
    ExplainRequest,
    RefusedRequest,
    ScanRequest,
    SearchRetrieveRequest,
    SruRequest,
)
from protocol.sru_version import (
    DIAGNOSTICS_SCHEMA,
    ZEEREX_SCHEMA,
    RecordSchema,
    SruVersion,
)
from protocol.xcql import to_scan_xcql, to_xcql
from protocol.xml_text import escape

_SEARCH_ECHO, _SCAN_ECHO = "echoedSearchRetrieveRequest", "echoedScanRequest"
_XML = b'<?xml version="1.0" encoding="UTF-8"?>\n'
_SEARCH_ENDING = b"</zs:searchRetrieveResponse>\n"


@frozen
class SruRecord:
    """One delivered record. `data` is XML in UTF-8 without a declaration.

    `position` counts from 1 in the result set. `identifier` is left out where
    the version has no such element. `extra` is XML for extraRecordData.
    """

    schema: RecordSchema
    data: bytes
    position: int
    identifier: str = ""
    extra: bytes = b""


@frozen
class SurrogateDiagnostic:
    """What stands at `position` in place of a record that cannot be delivered."""

    fault: SruFault
    position: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchRetrieveResponse:
    """The outcome of a search.

    `result_set_id` empty: no set is kept; `idle_time_s` is how long one lives
    unused. `diagnostics` concern the whole response, beside any records.
    `extra` is XML for extraResponseData. `precision` is what 2.0 says of the
    count: "exact", "estimate" and so on. `faceted_results` is the element of
    that name, for 2.0 alone.
    """

    number_of_records: int
    records: Sequence[SruRecord | SurrogateDiagnostic] = ()
    result_set_id: str = ""
    idle_time_s: int | None = None
    diagnostics: Sequence[SruFault] = ()
    extra: bytes = b""
    precision: str = "exact"
    faceted_results: bytes = b""


@dataclass(frozen=True, slots=True)
class ScanTerm:
    """One line of a scan. `where` is "first", "last", "only" or "inner" of the whole list."""

    value: str
    number_of_records: int
    display: str = ""
    where: str = ""
    extra: bytes = b""


def search_response(
    request: SearchRetrieveRequest, response: SearchRetrieveResponse, *, echo: bool | bytes = True
) -> bytes:
    """The searchRetrieveResponse. `echo` repeats the request in it, or is that element itself."""
    return b"".join(search_response_chunks(request, response, echo=echo))


def search_response_chunks(
    request: SearchRetrieveRequest, response: SearchRetrieveResponse, *, echo: bool | bytes = True
) -> Iterator[bytes]:
    """The searchRetrieveResponse piece by piece, so that no second copy of it is held."""
    version = request.version
    forms = _forms(version)
    head = [
        _opening(request, forms.search_opening),
        b"<zs:numberOfRecords>%d</zs:numberOfRecords>" % response.number_of_records,
    ]
    old = version.names_operations
    if response.result_set_id:
        head.append(_element("resultSetId", response.result_set_id))
        if old and response.idle_time_s:
            head.append(b"<zs:resultSetIdleTime>%d</zs:resultSetIdleTime>" % response.idle_time_s)
    records = response.records
    if records:
        head.append(b"<zs:records>")
    yield b"".join(head)
    for record in records:
        yield from _record(record, forms, version, as_string=request.as_string)
    tail = [b"</zs:records>"] if records else []
    following = request.start_record + len(records)
    # A page that was asked for and is not here has nothing after it.
    if following <= response.number_of_records and (records or not request.maximum_records):
        tail.append(b"<zs:nextRecordPosition>%d</zs:nextRecordPosition>" % following)
    if echo:
        tail.append(search_echo(request) if echo is True else echo)
    tail.append(_diagnostics(response.diagnostics, version))
    if response.extra:
        tail.append(_extra(response.extra))
    if not old:
        if response.result_set_id and response.idle_time_s:
            tail.append(b"<zs:resultSetTTL>%d</zs:resultSetTTL>" % response.idle_time_s)
        tail += (_precision(response.precision), response.faceted_results)
    tail.append(_SEARCH_ENDING)
    yield b"".join(tail)


@dataclass(frozen=True, slots=True)
class PlainPieces:
    """Of a response that is a count and whole records: what is before the count, what is
    before the data of each record, and what follows the repeated request."""

    opening: bytes
    record: bytes
    ending: bytes


def plain_pieces(request: SearchRetrieveRequest) -> PlainPieces:
    """What such responses to `request` have in common; `sru_frame` joins them."""
    forms = _forms(request.version)
    precision = b"" if request.version.names_operations else _precision("exact")
    return PlainPieces(
        opening=_opening(request, forms.search_opening) + b"<zs:numberOfRecords>",
        record=_record_opening(request.schema, forms, b"", as_string=request.as_string)[0],
        ending=precision + _SEARCH_ENDING,
    )


def scan_response(
    request: ScanRequest,
    terms: Iterable[ScanTerm],
    *,
    diagnostics: Sequence[SruFault] = (),
    extra: bytes = b"",
    echo: bool = True,
) -> bytes:
    """The scanResponse, terms in the order of the list."""
    version = request.version
    out = [_opening(request, _forms(version).scan_opening)]
    lines = [_scan_term(term) for term in terms]
    if lines:
        out.append(b"<zs:terms>%b</zs:terms>" % b"".join(lines))
    if echo:
        xcql = ""
        if request.cql is not None:
            xcql = to_scan_xcql(request.cql, version.xcql_namespace)
            xcql = f"<zs:xScanClause>{xcql}</zs:xScanClause>"
        out.append(_echo(request, _SCAN_ECHO, version.scan_parameters, "scanClause", xcql))
    out.append(_diagnostics(diagnostics, version))
    if extra:
        out.append(_extra(extra))
    out.append(b"</zs:scanResponse>\n")
    return b"".join(out)


def explain_response(
    request: ExplainRequest,
    explain_record: bytes,
    *,
    diagnostics: Sequence[SruFault] = (),
    extra: bytes = b"",
    echo: bool = True,
) -> bytes:
    """The explainResponse around a ZeeRex record (XML without a declaration)."""
    version = request.version
    forms = _forms(version)
    out = [_opening(request, forms.explain_opening)]
    schema = RecordSchema("zeerex", ZEEREX_SCHEMA, "ZeeRex")
    opening, data = _record_opening(schema, forms, explain_record, as_string=request.as_string)
    out += [opening, data, b"</zs:recordData></zs:record>"]
    if echo:
        out.append(_echo(request, "echoedExplainRequest", version.explain_parameters))
    out.append(_diagnostics(diagnostics, version))
    if extra:
        out.append(_extra(extra))
    out.append(b"</zs:explainResponse>\n")
    return b"".join(out)


def refusal_response(request: RefusedRequest, explain_record: bytes = b"") -> bytes:
    """The response of the operation that was meant, with the diagnostics alone.

    An explain response holds a record in any case: `explain_record` is needed
    when `request.operation` is "explain".
    """
    version = request.version
    forms = _forms(version)
    diagnostics = _diagnostics(request.faults, version)
    if request.operation == "scan":
        opening = _opening(request, forms.scan_opening)
        return b"%b%b</zs:scanResponse>\n" % (opening, diagnostics)
    if request.operation == "explain":
        explained = ExplainRequest(
            version=version, given=request.given, stylesheet=request.stylesheet
        )
        return explain_response(explained, explain_record, diagnostics=request.faults)
    return b"%b<zs:numberOfRecords>0</zs:numberOfRecords>%b</zs:searchRetrieveResponse>\n" % (
        _opening(request, forms.search_opening),
        diagnostics,
    )


@dataclass(frozen=True, slots=True)
class _Forms:
    """The parts of a version's responses that never change."""

    search_opening: bytes
    scan_opening: bytes
    explain_opening: bytes
    record: bytes  # after it: the schema, and "xml" or "string"
    surrogate: bytes


@lru_cache(maxsize=8)
def _forms(version: SruVersion) -> _Forms:
    def opening(element: str, namespace: str, told: str = version.name) -> bytes:
        number = f"<zs:version>{told}</zs:version>" if told else ""
        return f'<zs:{element} xmlns:zs="{namespace}">{number}'.encode()

    packing = version.packing
    return _Forms(
        search_opening=opening("searchRetrieveResponse", version.namespace),
        # scan.xsd of 2.0 has no version, here and in the echo.
        scan_opening=opening(
            "scanResponse", version.scan_namespace, version.name if version.names_operations else ""
        ),
        explain_opening=opening("explainResponse", version.namespace),
        record=(
            f"<zs:record><zs:recordSchema>%b</zs:recordSchema><zs:{packing}>%b</zs:{packing}>"
            "<zs:recordData>"
        ).encode(),
        surrogate=(
            f"<zs:record><zs:recordSchema>{DIAGNOSTICS_SCHEMA}</zs:recordSchema>"
            f"<zs:{packing}>xml</zs:{packing}><zs:recordData>"
        ).encode(),
    )


def _opening(request: SruRequest, opening: bytes) -> bytes:
    if not request.stylesheet:
        return _XML + opening
    address = escape(request.stylesheet).encode()
    return b'%b<?xml-stylesheet type="text/xsl" href="%b"?>\n%b' % (_XML, address, opening)


def _record(
    record: SruRecord | SurrogateDiagnostic,
    forms: _Forms,
    version: SruVersion,
    *,
    as_string: bool,
) -> tuple[bytes, bytes, bytes]:
    """The element of one record: what precedes its data, these, and what follows."""
    position = b"<zs:recordPosition>%d</zs:recordPosition>" % record.position
    if isinstance(record, SurrogateDiagnostic):
        closing = b"</zs:recordData>%b</zs:record>" % position
        return forms.surrogate, _diagnostic(record.fault, version), closing
    opening, data = _record_opening(record.schema, forms, record.data, as_string=as_string)
    if record.identifier and version.identifies_records:
        position = _element("recordIdentifier", record.identifier) + position
    if record.extra:
        position += b"<zs:extraRecordData>%b</zs:extraRecordData>" % record.extra
    return opening, data, b"</zs:recordData>%b</zs:record>" % position


def _record_opening(
    schema: RecordSchema, forms: _Forms, data: bytes, *, as_string: bool
) -> tuple[bytes, bytes]:
    uri = schema.uri.encode()
    if not as_string:
        return forms.record % (uri, b"xml"), data
    return forms.record % (uri, b"string"), escape(data.decode("utf-8", "replace")).encode()


def _scan_term(term: ScanTerm) -> bytes:
    display = f"<zs:displayTerm>{escape(term.display)}</zs:displayTerm>" if term.display else ""
    where = f"<zs:whereInList>{term.where}</zs:whereInList>" if term.where else ""
    line = (
        f"<zs:term><zs:value>{escape(term.value)}</zs:value>"
        f"<zs:numberOfRecords>{term.number_of_records}</zs:numberOfRecords>{display}{where}"
    ).encode()
    if term.extra:
        line += b"<zs:extraTermData>%b</zs:extraTermData>" % term.extra
    return line + b"</zs:term>"


def search_echo(request: SearchRetrieveRequest) -> bytes:
    """The request as the response repeats it: each parameter, and the query in XCQL."""
    version = request.version
    xcql = ""
    if request.cql is not None:
        xcql = f"<zs:xQuery>{to_xcql(request.cql, version.xcql_namespace)}</zs:xQuery>"
    return _echo(request, _SEARCH_ECHO, version.search_parameters, "query", xcql)


def _echo(
    request: SruRequest,
    element: str,
    parameters: tuple[str, ...],
    parsed_name: str = "",
    parsed_xml: str = "",
) -> bytes:
    """The request repeated: each parameter given, the parsed query behind its text."""
    given = request.given
    out = [f"<zs:{element}>"]
    for name in parameters:
        value = given.get(name)
        if value is None and name in _IN_PQF:
            value = request.extra.get(_IN_PQF[name], "")
        if name == "version" and element == _SCAN_ECHO and not request.version.names_operations:
            continue
        if name == "version":
            out.append(f"<zs:version>{request.version.name}</zs:version>")
        elif name == FACET_PARAMETERS[0]:
            out.append(_facet_parameters(given))
        elif name == "httpAccept" and element == _SEARCH_ECHO:
            out.append(_extra_parameters(request))
            out.append(f"<zs:httpAccept>{escape(value)}</zs:httpAccept>" if value else "")
        elif value is not None and (name in _ECHOED or name in _ECHOED_MORE.get(element, ())):
            out.append(f"<zs:{name}>{escape(value)}</zs:{name}>")
        if name == parsed_name:
            out.append(parsed_xml)
    out.append(f"</zs:{element}>")
    return "".join(out).encode()


def _facet_parameters(given: Mapping[str, str]) -> str:
    """All four in one element, each as `name=value`."""
    pairs = [f"{name}={given[name]}" for name in FACET_PARAMETERS if name in given]
    return f"<zs:facetParameters>{escape(' '.join(pairs))}</zs:facetParameters>" if pairs else ""


# YAZ sends x-username and x-password beside HTTP Basic.
_SECRET = re.compile("auth|pass|user|token|key")


def _extra_parameters(request: SruRequest) -> str:
    # A credential is not sent back: responses are kept and passed on.
    return "".join(
        f"<zs:extraRequestParameter>{escape(f'{name}={value}')}</zs:extraRequestParameter>"
        for name, value in request.extra.items()
        if name != X_PQUERY and not _SECRET.search(name)
    )


_IN_PQF = {"query": X_PQUERY, "scanClause": X_PSCANCLAUSE}
_ECHOED_MORE = {
    _SEARCH_ECHO: frozenset({"queryType", "httpAccept", "responseType", "renderedBy"}),
    _SCAN_ECHO: frozenset({"httpAccept"}),
}
# Parameters that the published echo elements have room for, each in its own.
_ECHOED = frozenset(
    {"query", "startRecord", "maximumRecords", "recordPacking", "recordXMLEscaping",
     "recordSchema", "resultSetTTL", "sortKeys", "stylesheet", "scanClause", "responsePosition",
     "maximumTerms"}
)  # fmt: skip


def _diagnostics(faults: Sequence[SruFault], version: SruVersion) -> bytes:
    if not faults:
        return b""
    inside = b"".join(_diagnostic(fault, version) for fault in faults)
    return b"<zs:diagnostics>%b</zs:diagnostics>" % inside


def _diagnostic(fault: SruFault, version: SruVersion) -> bytes:
    told = f"<details>{escape(fault.details)}</details>" if fault.details else ""
    message = fault.message or fault.condition.message
    if fault.position is not None:
        message = f"{message}, at character {fault.position + 1} of the query"
    return (
        f'<diagnostic xmlns="{version.diagnostic_namespace}"><uri>{fault.condition.uri}</uri>'
        f"{told}<message>{escape(message)}</message></diagnostic>"
    ).encode()


def _precision(name: str) -> bytes:
    return _element("resultCountPrecision", f"info:srw/vocabulary/resultCountPrecision/1/{name}")


def _extra(data: bytes) -> bytes:
    return b"<zs:extraResponseData>%b</zs:extraResponseData>" % data


def _element(name: str, text: str) -> bytes:
    return f"<zs:{name}>{escape(text)}</zs:{name}>".encode()

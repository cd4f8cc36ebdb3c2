"""SRU versions and record schemas as data: names, namespaces, element order.

The order of elements is that of the published XML schemas: srw-types.xsd for
1.1 and 1.2, sruResponse.xsd and scan.xsd of OASIS searchRetrieve 1.0 for 2.0.
"""

from __future__ import annotations

from dataclasses import dataclass

from protocol import xcql
from protocol.record import MarcFamily

DIAGNOSTICS_SCHEMA = "info:srw/schema/1/diagnostics-v1.1"
ZEEREX_SCHEMA = "http://explain.z3950.org/dtd/2.0/"


@dataclass(frozen=True, slots=True)
class SruVersion:
    """What differs between the versions.

    `packing` names the record element that says whether recordData is XML or
    a string of XML. `search_parameters` are those the version defines for
    searchRetrieve, in the order in which a response echoes them.
    """

    name: str
    namespace: str
    scan_namespace: str
    diagnostic_namespace: str
    xcql_namespace: str
    packing: str
    identifies_records: bool
    search_parameters: tuple[str, ...]
    scan_parameters: tuple[str, ...]
    explain_parameters: tuple[str, ...]

    @property
    def names_operations(self) -> bool:
        """False where the parameters alone tell the operation (2.0)."""
        return "operation" in self.search_parameters


_SRW = "http://www.loc.gov/zing/srw/"
_SCAN_1 = (
    "version", "operation", "scanClause", "responsePosition", "maximumTerms", "stylesheet",
)  # fmt: skip
_SEARCH_1 = (
    "version", "operation", "query", "startRecord", "maximumRecords", "recordPacking",
    "recordSchema", "recordXPath", "resultSetTTL", "sortKeys", "stylesheet",
)  # fmt: skip
_EXPLAIN_1 = ("version", "operation", "recordPacking", "stylesheet")


def _version_1(name: str, *, identifies_records: bool) -> SruVersion:
    return SruVersion(
        name=name,
        namespace=_SRW,
        scan_namespace=_SRW,
        diagnostic_namespace="http://www.loc.gov/zing/srw/diagnostic/",
        xcql_namespace=xcql.NAMESPACE_1,
        packing="recordPacking",
        identifies_records=identifies_records,
        search_parameters=_SEARCH_1,
        scan_parameters=_SCAN_1,
        explain_parameters=_EXPLAIN_1,
    )


V1_1 = _version_1("1.1", identifies_records=False)
V1_2 = _version_1("1.2", identifies_records=True)
V2_0 = SruVersion(
    name="2.0",
    namespace="http://docs.oasis-open.org/ns/search-ws/sruResponse",
    scan_namespace="http://docs.oasis-open.org/ns/search-ws/scan",
    diagnostic_namespace="http://docs.oasis-open.org/ns/search-ws/diagnostic",
    xcql_namespace=xcql.NAMESPACE_2,
    packing="recordXMLEscaping",
    # sruResponse.xsd has no place for recordIdentifier.
    identifies_records=False,
    search_parameters=(
        "version", "queryType", "query", "startRecord", "maximumRecords", "recordXMLEscaping",
        "recordPacking", "recordSchema", "facetLimit", "facetStart", "facetSort", "facetCount",
        "resultSetTTL", "sortKeys", "stylesheet", "renderedBy", "httpAccept", "responseType",
    ),
    scan_parameters=(
        "version", "queryType", "scanClause", "responsePosition", "maximumTerms", "httpAccept",
        "stylesheet", "responseType",
    ),
    explain_parameters=(
        "version", "recordXMLEscaping", "recordPacking", "stylesheet", "httpAccept",
        "responseType",
    ),
)  # fmt: skip

VERSIONS: dict[str, SruVersion] = {each.name: each for each in (V1_1, V1_2, V2_0)}


@dataclass(frozen=True, slots=True)
class RecordSchema:
    """A form in which records are delivered. `uri` is what responses carry.

    `other_names` are further names and identifiers that clients ask by;
    `family` is the only one whose records can be given so, None if any can.
    """

    name: str
    uri: str
    title: str
    other_names: tuple[str, ...] = ()
    family: MarcFamily | None = None


RECORD_SCHEMAS: tuple[RecordSchema, ...] = (
    RecordSchema(
        "marcxml", "info:srw/schema/1/marcxml-v1.1", "MARCXML",
        ("marc21", "marc21xml", "marc-xml", "marc21-xml", "info:srw/schema/1/marcxml-v1.0",
         "http://www.loc.gov/MARC21/slim",
         "http://www.loc.gov/standards/marcxml/schema/MARC21slim.xsd"),
    ),
    RecordSchema(
        "dc", "info:srw/schema/1/dc-v1.1", "Dublin Core",
        ("oai_dc", "info:srw/schema/1/dc-schema", "info:srw/schema/1/dc-v1.0",
         "http://purl.org/dc/elements/1.1/", "http://purl.org/dc/elements/1.1"),
    ),
    RecordSchema(
        "mods", "info:srw/schema/1/mods-v3.5", "MODS",
        ("info:srw/schema/1/mods-v3.0", "info:srw/schema/1/mods-v3.2",
         "info:srw/schema/1/mods-v3.3", "info:srw/schema/1/mods-v3.4",
         "http://www.loc.gov/mods/v3"),
    ),
    RecordSchema(
        "marcxchange", "info:srw/schema/9/marcxchange", "MarcXchange (ISO 25577)",
        ("info:lc/xmlns/marcxchange-v1", "info:lc/xmlns/marcxchange-v2"),
    ),
    RecordSchema(
        "cnmarcxml", "http://www.nlc.cn/", "CNMARC in XML", ("http://www.nlc.gov.cn/",),
        MarcFamily.UNIMARC,
    ),
    RecordSchema(
        "unimarcxml", "info:srw/schema/8/unimarcxml-v0.1", "UNIMARC in XML", ("unimarc",),
        MarcFamily.UNIMARC,
    ),
    RecordSchema(
        "isohold", "http://www.loc.gov/standards/iso20775/", "Holdings (ISO 20775)",
        ("iso20775", "info:ofi/fmt:xml:xsd:iso20775"),
    ),
    RecordSchema("brief", "urn:lianmu:record-schema:brief-v1", "Brief record: never counted"),
)  # fmt: skip

_SCHEMA_BY_NAME: dict[str, RecordSchema] = {}
for _schema in RECORD_SCHEMAS:
    for _name in (_schema.name, _schema.uri, *_schema.other_names):
        _SCHEMA_BY_NAME.setdefault(_name.lower(), _schema)


def schema_by_name(name: str) -> RecordSchema | None:
    """The schema of a short name or an identifier, without case."""
    return _SCHEMA_BY_NAME.get(name.lower())

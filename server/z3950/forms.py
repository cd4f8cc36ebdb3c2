"""Record syntaxes, element sets and schemas of Z39.50, and the forms they name."""

from __future__ import annotations

from collections.abc import Iterable

from protocol import apdu, oid
from protocol.diagnostic import Bib1, Diagnostic
from protocol.external import Form
from protocol.grs1 import SUTRS
from protocol.oid import Oid
from protocol.record import Database, MarcFamily
from protocol.sru_version import schema_by_name
from server.config import DatabaseSection
from server.delivery import record_forms
from server.delivery.retrieval import Item, MadeItem, RecordForm

# What stands for "the short form" as an element set name; any other name that
# we do not know is answered with the whole record.
BRIEF_NAMES = frozenset({"b", "brief"})
# The whole record with 905 or 852 for each library that holds it, in MARC and MARCXML.
HOLDINGS_NAMES = frozenset({"fh", "holdings"})

# National formats that have become MARC 21, or are it under another name.
MARC21_SYNTAXES = (
    oid.USMARC, oid.CANMARC, oid.AUSMARC, oid.IBERMARC, oid.MALMARC, oid.FINMARC2000,
    oid.MARC21_FIN,
)  # fmt: skip
# National formats built on UNIMARC. CNMARC has no identifier of its own: its
# clients ask for UNIMARC.
UNIMARC_SYNTAXES = (oid.UNIMARC, oid.SBN, oid.JPMARC, oid.RUSMARC, oid.COMARC)
XML_SYNTAXES = (oid.XML, oid.APPLICATION_XML)
# What Explain tells, the usual ones first.
RECORD_SYNTAXES = (
    *MARC21_SYNTAXES, *UNIMARC_SYNTAXES, *XML_SYNTAXES, oid.SUTRS, oid.GRS_1, oid.OPAC,
)  # fmt: skip

# XML by the name of its schema.
_XML_SCHEMAS = record_forms.XML_FORMS
_XML = (record_forms.MARCXML, record_forms.MARCXML_BRIEF, record_forms.MARCXML_HOLDINGS)
_SYNTAX_OF_FORM = {
    **{form.name: oid.XML for form in (*_XML_SCHEMAS.values(), *_XML)},
    "sutrs": oid.SUTRS, "sutrs-brief": oid.SUTRS,
    "grs-1": oid.GRS_1, "grs-1-brief": oid.GRS_1,
    "opac": oid.OPAC, "opac-brief": oid.OPAC,
    **{
        name + end: syntax
        for syntax in (*MARC21_SYNTAXES, *UNIMARC_SYNTAXES)
        for name in (oid.name_of(syntax),)
        for end in ("", "-brief", "-holdings")
    },
}  # fmt: skip
# Syntaxes that are ASN.1 types, where MARC and XML are octets.
_ASN_1 = frozenset({oid.GRS_1, oid.OPAC})


class Forms:
    """The forms that the databases of one configuration can be asked for."""

    def __init__(self, databases: Iterable[DatabaseSection] = ()) -> None:
        sections = tuple(databases)
        # Whole, brief, and where there is one with holdings.
        self._forms: dict[Oid | None, tuple[RecordForm, ...]] = {
            None: (record_forms.MARC, record_forms.MARC_BRIEF, record_forms.MARC_HOLDINGS),
            **dict.fromkeys(XML_SYNTAXES, _XML),
            oid.SUTRS: (record_forms.SUTRS, record_forms.SUTRS_BRIEF),
            oid.GRS_1: (record_forms.GRS_1, record_forms.GRS_1_BRIEF),
            oid.OPAC: (record_forms.OPAC, record_forms.OPAC_BRIEF),
        }
        for family, syntaxes in (
            (MarcFamily.MARC21, MARC21_SYNTAXES),
            (MarcFamily.UNIMARC, UNIMARC_SYNTAXES),
        ):
            for syntax in syntaxes:
                name = oid.name_of(syntax)
                also = frozenset(each.name for each in sections if name in each.also_as)
                self._forms[syntax] = record_forms.marc_forms(name, family, also)

    def choose(
        self,
        syntax: Oid | None,
        names: apdu.ElementSetNames | None,
        schema: Oid | str | None = None,
    ) -> RecordForm | Diagnostic:
        """The form for a preferred record syntax, element set names and schema.

        No syntax means the record's own MARC; an unsupported one is Bib-1 239.
        `schema` is that of a comp-spec: XML by its short name or URI, anything
        else Bib-1 1066. In XML an element set name may name the schema too.
        """
        forms = self._forms.get(syntax)
        if forms is None:
            return Diagnostic(Bib1.RECORD_SYNTAX_UNSUPPORTED, str(syntax))
        if names is not None and not isinstance(names, str):
            names = names[0].esn if names else ""
        name = (names or "").lower()
        if schema is not None:
            found = _xml_schema(str(schema)) if syntax in XML_SYNTAXES else None
            if found is None:
                return Diagnostic(Bib1.UNKNOWN_SCHEMA, str(schema))
            if found is record_forms.MARCXML:
                found = _XML[1] if name in BRIEF_NAMES else found
                found = _XML[2] if name in HOLDINGS_NAMES else found
            return found
        if name in BRIEF_NAMES:
            return forms[1]
        if name in HOLDINGS_NAMES:
            return forms[2] if len(forms) > 2 else forms[0]
        if name and syntax in XML_SYNTAXES:
            return _xml_schema(name) or forms[0]
        return forms[0]


def _xml_schema(name: str) -> RecordForm | None:
    schema = schema_by_name(name)
    return _XML_SCHEMAS.get(schema.name) if schema is not None else None


def octet_aligned_syntax(form: RecordForm, database: Database) -> Oid | None:
    """The syntax under which a form's octets go out as they are; None: inside a type."""
    syntax = _SYNTAX_OF_FORM.get(form.name) or record_forms.OWN_SYNTAX[database.family]
    return None if syntax in _ASN_1 or syntax == oid.SUTRS else syntax


def name_plus_records(
    items: Iterable[Item | MadeItem], form: RecordForm
) -> tuple[apdu.NamePlusRecord, ...]:
    """The items of a response, each with its database or its surrogate diagnostic."""
    return tuple(
        apdu.NamePlusRecord(
            name=item.record.database.name if item.record else None, record=_record(item, form)
        )
        for item in items
    )


def _record(item: Item | MadeItem, form: RecordForm) -> apdu.Record:
    content = item.content
    if isinstance(content, Diagnostic):
        return apdu.SurrogateDiagnostic(apdu.DefaultDiagFormat.of(content))
    assert item.record is not None  # noqa: S101 - a form was made of it
    syntax = _SYNTAX_OF_FORM.get(form.name)
    if syntax is None:
        return apdu.External(record_forms.OWN_SYNTAX[item.record.database.family], content)
    if syntax in _ASN_1:
        return apdu.External(syntax, content, Form.SINGLE_ASN1_TYPE)
    if syntax == oid.SUTRS:
        return apdu.External.of(oid.SUTRS, SUTRS, content.decode())
    return apdu.External(syntax, content)

"""Record syntaxes and element sets of Z39.50, and the forms they name."""

from __future__ import annotations

from collections.abc import Iterable

from protocol import apdu, oid
from protocol.diagnostic import Bib1, Diagnostic
from protocol.grs1 import SUTRS
from protocol.oid import Oid
from server import record_forms
from server.retrieval import Item, RecordForm

# What stands for "the short form" and "the whole record" as an element set
# name; any other name that we do not know is answered with the whole record.
BRIEF_NAMES = frozenset({"b", "brief"})

_SYNTAXES: dict[Oid | None, tuple[RecordForm, RecordForm]] = {
    None: (record_forms.MARC, record_forms.MARC_BRIEF),
    oid.USMARC: (record_forms.USMARC, record_forms.USMARC_BRIEF),
    oid.UNIMARC: (record_forms.UNIMARC, record_forms.UNIMARC_BRIEF),
    oid.XML: (record_forms.MARCXML, record_forms.MARCXML_BRIEF),
    oid.APPLICATION_XML: (record_forms.MARCXML, record_forms.MARCXML_BRIEF),
    oid.SUTRS: (record_forms.SUTRS, record_forms.SUTRS_BRIEF),
}
_XML_SCHEMAS = {
    "dc": record_forms.DUBLIN_CORE,
    "info:srw/schema/1/dc-v1.1": record_forms.DUBLIN_CORE,
}
_SYNTAX_OF_FORM = {
    form.name: syntax
    for syntax, forms in _SYNTAXES.items()
    if syntax is not None and syntax != oid.APPLICATION_XML
    for form in forms
} | {record_forms.DUBLIN_CORE.name: oid.XML}
_TEXT = frozenset({record_forms.SUTRS.name, record_forms.SUTRS_BRIEF.name})
_XML = frozenset({oid.XML, oid.APPLICATION_XML})


def choose(syntax: Oid | None, names: apdu.ElementSetNames | None) -> RecordForm | Diagnostic:
    """The form for a preferred record syntax and element set names.

    No syntax means the record's own MARC; an unsupported one is Bib-1 239.
    """
    forms = _SYNTAXES.get(syntax)
    if forms is None:
        return Diagnostic(Bib1.RECORD_SYNTAX_UNSUPPORTED, str(syntax))
    if names is None:
        return forms[0]
    if not isinstance(names, str):
        names = names[0].esn if names else ""
    name = names.lower()
    if name in BRIEF_NAMES:
        return forms[1]
    if syntax in _XML and name in _XML_SCHEMAS:
        return _XML_SCHEMAS[name]
    return forms[0]


def name_plus_records(items: Iterable[Item], form: RecordForm) -> tuple[apdu.NamePlusRecord, ...]:
    """The items of a response, each with its database or its surrogate diagnostic."""
    return tuple(
        apdu.NamePlusRecord(
            name=item.record.database.name if item.record else None, record=_record(item, form)
        )
        for item in items
    )


def _record(item: Item, form: RecordForm) -> apdu.Record:
    content = item.content
    if isinstance(content, Diagnostic):
        return apdu.SurrogateDiagnostic(
            apdu.DefaultDiagFormat.bib1(content.condition, content.addinfo)
        )
    assert item.record is not None  # noqa: S101 - a form was made of it
    if form.name in _TEXT:
        # SUTRS is a string in its own right, where MARC and XML are octets.
        return apdu.External.of(oid.SUTRS, SUTRS, content.decode())
    syntax = _SYNTAX_OF_FORM.get(form.name) or record_forms.OWN_SYNTAX[item.record.database.family]
    return apdu.External(syntax, content)

"""In which form each record of a request is given (Z39.50-2003 §3.6).

Record syntax, element set and schema, by database where the client says so,
and the session's character set make a list of forms to try for each database.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from protocol import apdu, oid
from protocol.ber import ProtocolError
from protocol.charset import Unencodable, encode_text
from protocol.diagnostic import Bib1, Diagnostic
from protocol.grs1 import ESPEC_1, SUTRS, Espec
from protocol.grs1_select import Paths, paths_of
from protocol.iso2709 import EncodingFailure, encode_record
from protocol.oid import Oid
from protocol.opac import OPAC_RECORD, OpacRecord
from protocol.record import Database, Holding, StoredRecord
from server.delivery import record_forms
from server.delivery.retrieval import FormsOf, Item, RecordForm
from server.z3950 import forms as z3950_forms
from store.interface import Catalogue

UTF_8 = "utf-8"
# Syntaxes beyond are not tried: the list of a comp-spec is an order of preference.
SYNTAXES_MAX = 16
# What MARC syntaxes can hold: anything but what is registered from 100 on.
_MARC_SYNTAX_MAX = 99


@dataclass(frozen=True, slots=True)
class _Wish:
    """What a client asks of the records of one database."""

    element_set: str | None = None
    schema: Oid | str | None = None
    paths: Paths = ()  # elements one by one, in GRS-1


@dataclass(frozen=True, slots=True)
class Composition:
    """`form` is what `retrieve` of `server.delivery.retrieval` takes; `charset` that of MARC
    and text.
    """

    form: RecordForm | FormsOf
    charset: str = UTF_8

    def records(self, items: Sequence[Item]) -> Sequence[apdu.NamePlusRecord]:
        """The items of a response, each with its database or its surrogate diagnostic."""
        if isinstance(self.form, RecordForm) and self.charset == UTF_8:
            return z3950_forms.name_plus_records(items, self.form)
        return [self._record(item) for item in items]

    def _record(self, item: Item) -> apdu.NamePlusRecord:
        form = item.form
        if form is None:
            form = _NO_FORM
        elif (
            self.charset != UTF_8
            and form.name.startswith("sutrs")
            and item.record is not None
            and isinstance(item.content, bytes)
        ):
            # The codec writes octets that are no UTF-8 as they came.
            text = item.content.decode("utf-8", "surrogateescape")
            return apdu.NamePlusRecord(
                name=item.record.database.name, record=apdu.External.of(oid.SUTRS, SUTRS, text)
            )
        return z3950_forms.name_plus_records((item,), form)[0]


_NO_FORM = RecordForm("", lambda _: b"")


def composition(
    forms: z3950_forms.Forms,
    catalogue: Catalogue,
    names: apdu.RecordComposition | None,
    syntax: Oid | None,
    charset: str = UTF_8,
) -> Composition | Diagnostic:
    """What a Search or Present asks for, or why it cannot be given.

    `names` are element set names or a comp-spec, whose record syntaxes go before
    `syntax`. No syntax at all is the record's own MARC. Records of databases that
    database-specific names leave out come as by default.
    """
    if charset == UTF_8 and (names is None or isinstance(names, str)):  # nearly always
        form = forms.choose(syntax, names)
        return form if isinstance(form, Diagnostic) else Composition(form)
    wishes = _wishes(catalogue, names)
    if isinstance(wishes, Diagnostic):
        return wishes
    default, by_database = wishes
    syntaxes: tuple[Oid | None, ...] = (syntax,)
    if isinstance(names, apdu.CompSpec) and names.record_syntax:
        syntaxes = names.record_syntax[:SYNTAXES_MAX]
        if names.select_alternative_syntax:
            syntaxes = (*syntaxes, None)

    def choices(wish: _Wish) -> tuple[RecordForm, ...] | Diagnostic:
        found = []
        refusal = None
        for each in syntaxes:
            form = forms.choose(each, wish.element_set, wish.schema)
            if wish.paths and isinstance(form, RecordForm):
                form = _selected(form, each, wish)
            if isinstance(form, Diagnostic):
                refusal = refusal or form
            else:
                found.append(_in_charset(form, each, charset))
        if not found and refusal is not None:
            return refusal
        return tuple(found)

    usual = choices(default)
    if isinstance(usual, Diagnostic):
        return usual
    special = {}
    for database, wish in by_database.items():
        chosen = choices(wish)
        if isinstance(chosen, Diagnostic):
            return chosen
        special[database] = chosen
    if len(usual) == 1 and not special:
        return Composition(usual[0], charset)
    return Composition(lambda record: special.get(record.database.name, usual), charset)


_Wishes = tuple[_Wish, Mapping[str, _Wish]]


def _wishes(catalogue: Catalogue, names: apdu.RecordComposition | None) -> _Wishes | Diagnostic:
    """The generic wish, and those by database name."""
    if names is None or isinstance(names, str):
        return _Wish(names), {}
    if isinstance(names, apdu.CompSpec):
        return _comp_spec_wishes(catalogue, names)
    by_database: dict[str, _Wish] = {}
    for each in names:
        databases = catalogue.resolve((each.db_name,))
        if isinstance(databases, Diagnostic):
            return Diagnostic(Bib1.ELEMENT_SET_NAME_INVALID, f"{each.esn} for {each.db_name}")
        by_database.update((database.name, _Wish(each.esn)) for database in databases)
    return _Wish(), by_database


def _comp_spec_wishes(catalogue: Catalogue, spec: apdu.CompSpec) -> _Wishes | Diagnostic:
    generic = _wish_of(spec.generic)
    if isinstance(generic, Diagnostic):
        return generic
    by_database: dict[str, _Wish] = {}
    for each in spec.db_specific:
        databases = catalogue.resolve((each.db,))
        if isinstance(databases, Diagnostic):
            return databases
        wish = _wish_of(each.spec)
        if isinstance(wish, Diagnostic):
            return wish
        by_database.update((database.name, wish) for database in databases)
    return generic, by_database


def _wish_of(specification: apdu.Specification | None) -> _Wish | Diagnostic:
    if specification is None:
        return _Wish()
    schema = specification.schema
    element_set = specification.element_spec
    paths: Paths = ()
    if isinstance(element_set, apdu.External):
        espec = _espec(element_set)
        if isinstance(espec, Diagnostic):
            return espec
        found = paths_of(espec)
        if isinstance(found, Diagnostic):
            return found
        paths = found
        element_set = espec.element_set_names[0] if espec.element_set_names else None
    return _Wish(element_set, schema.uri if isinstance(schema, apdu.SchemaUri) else schema, paths)


def _espec(external: apdu.External) -> Espec | Diagnostic:
    if external.direct_reference != oid.ESPEC_1:
        return Diagnostic(Bib1.COMP_SPEC_UNSUPPORTED, str(external.direct_reference))
    try:
        return external.decode(ESPEC_1)
    except ProtocolError:
        return Diagnostic(Bib1.COMP_SPEC_UNSUPPORTED, "an eSpec-1 that cannot be read")


def _selected(form: RecordForm, syntax: Oid | None, wish: _Wish) -> RecordForm | Diagnostic:
    """`form` with the elements alone that were asked for, beside those of a named set."""
    if syntax != oid.GRS_1:
        return Diagnostic(Bib1.COMP_SPEC_UNSUPPORTED, "eSpec-1 elements of another than GRS-1")
    if wish.element_set is not None and form.full:
        return form  # which has them all
    return record_forms.grs1_of(wish.paths, with_brief=wish.element_set is not None)


# Character sets of records (Z39.50-2003 §3.10)


def _in_charset(form: RecordForm, syntax: Oid | None, charset: str) -> RecordForm:
    """`form` with its octets in `charset`, where it is ISO 2709, holds that, or is text."""
    if charset == UTF_8:
        return form
    if syntax is None or _is_marc(syntax):
        recode: _Recode = _marc_in
    elif syntax in _RECODED:
        recode = _RECODED[syntax]
    else:
        return form
    with_holdings = form.make_with_holdings
    return dataclasses.replace(
        form,
        make=_recoded(form.make, charset, recode),
        make_with_holdings=with_holdings and _recoded(with_holdings, charset, recode),
    )


def _is_marc(syntax: Oid) -> bool:
    below = syntax[len(oid.RECORD_SYNTAXES) :]
    return syntax.within(oid.RECORD_SYNTAXES) and len(below) == 1 and below[0] <= _MARC_SYNTAX_MAX


_Make = Callable[..., bytes | Diagnostic]
_Recode = Callable[[bytes, Database, str], bytes | str]


def _recoded(make: _Make, charset: str, recode: _Recode) -> _Make:
    def made(record: StoredRecord, *holdings: Sequence[Holding]) -> bytes | Diagnostic:
        content = make(record, *holdings)
        if isinstance(content, Diagnostic):
            return content
        octets = recode(content, record.database, charset)
        if isinstance(octets, str):
            return Diagnostic(Bib1.RECORD_NOT_IN_SYNTAX, f"{record.control_number}: {octets}")
        return octets

    return made


def _marc_in(marc: bytes, database: Database, charset: str) -> bytes | str:
    octets = encode_record(marc, database.family, charset)
    return octets.reason if isinstance(octets, EncodingFailure) else octets


def _text_in(text: bytes, _database: Database, charset: str) -> bytes | str:
    octets = encode_text(text.decode(), charset)
    return str(octets) if isinstance(octets, Unencodable) else octets


def _opac_in(record: bytes, database: Database, charset: str) -> bytes | str:
    """An OPAC record with its bibliographic record in `charset`."""
    opac = OPAC_RECORD.decode(record)
    bibliographic = opac.bibliographic_record
    assert bibliographic is not None  # noqa: S101 - we made it
    marc = _marc_in(bibliographic.data, database, charset)
    if isinstance(marc, str):
        return marc
    external = apdu.External(bibliographic.direct_reference, marc)
    return OPAC_RECORD.encode(
        OpacRecord(bibliographic_record=external, holdings_data=opac.holdings_data)
    )


_RECODED: Mapping[Oid, _Recode] = {oid.SUTRS: _text_in, oid.OPAC: _opac_in}

"""The forms in which records leave, for both protocols."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from protocol import (
    brief,
    cnmarcxml,
    dublin_core,
    grs1_record,
    isohold,
    marc_json,
    marcxml,
    mods,
    oid,
)
from protocol.diagnostic import Bib1, Diagnostic
from protocol.grs1_select import Paths
from protocol.holdings_fields import with_holdings
from protocol.opac_record import to_opac
from protocol.record import Holding, MarcFamily, StoredRecord
from server.delivery.retrieval import RecordForm

# Each family's own record syntax.
OWN_SYNTAX = {MarcFamily.MARC21: oid.USMARC, MarcFamily.UNIMARC: oid.UNIMARC}
# ISO 2709 states the length of a record in five digits.
ISO_2709_BYTES_MAX = 99_999


def _iso2709(record: StoredRecord) -> bytes | Diagnostic:
    if len(record.marc) > ISO_2709_BYTES_MAX:
        return Diagnostic(
            Bib1.RECORD_NOT_IN_SYNTAX,
            f"{record.control_number}: {len(record.marc)} octets are too many for ISO 2709;"
            " ask for XML",
        )
    return record.marc


def _held_marc(record: StoredRecord, holdings: Sequence[Holding]) -> StoredRecord:
    """The record with a 905 or 852 for each holding."""
    marc = with_holdings(record.marc, record.database.family, holdings)
    return replace(record, marc=marc)


def _iso2709_held(record: StoredRecord, holdings: Sequence[Holding]) -> bytes | Diagnostic:
    return _iso2709(_held_marc(record, holdings))


def _brief(record: StoredRecord) -> bytes | Diagnostic:
    return brief.to_brief_marc(record.marc, record.database.family)


def _other_family(record: StoredRecord, family: MarcFamily) -> Diagnostic | None:
    """Why a form of `family` cannot be made of a record of the other one."""
    database = record.database
    if database.family is family:
        return None
    return Diagnostic(
        Bib1.RECORD_NOT_IN_SYNTAX,
        f"{record.control_number}: records of {database.name} are {database.family.value}",
    )


def marc_forms(
    name: str, family: MarcFamily, also_databases: frozenset[str] = frozenset()
) -> tuple[RecordForm, RecordForm, RecordForm]:
    """The full and brief forms of an ISO 2709 syntax that is for `family` alone, and with holdings.

    A record of the other family is surrogate 238, unless its database is one of
    `also_databases`, whose records go out unchanged under this syntax too.
    """

    def refusal(record: StoredRecord) -> Diagnostic | None:
        if record.database.name in also_databases:
            return None
        return _other_family(record, family)

    return (
        RecordForm(name, lambda record: refusal(record) or _iso2709(record)),
        RecordForm(
            f"{name}-brief", lambda record: refusal(record) or _brief(record),
            full=False, billable=False,
        ),
        RecordForm(
            f"{name}-holdings", lambda record: refusal(record) or _iso2709(record),
            make_with_holdings=lambda record, held: refusal(record) or _iso2709_held(record, held),
        ),
    )  # fmt: skip


MARC = RecordForm("marc", _iso2709)
MARC_HOLDINGS = RecordForm("marc-holdings", _iso2709, make_with_holdings=_iso2709_held)
MARC_BRIEF = RecordForm("marc-brief", _brief, full=False, billable=False)
MARCXML = RecordForm("marcxml", lambda record: marcxml.to_marcxml(record.marc).encode())
MARCXML_HOLDINGS = RecordForm(
    "marcxml-holdings", MARCXML.make,
    make_with_holdings=lambda record, held: MARCXML.make(_held_marc(record, held)),
)  # fmt: skip
MARCXML_BRIEF = RecordForm(
    "marcxml-brief",
    lambda record: marcxml.to_marcxml(
        brief.to_brief_marc(record.marc, record.database.family)
    ).encode(),
    full=False, billable=False,
)  # fmt: skip
DUBLIN_CORE = RecordForm(
    "dc", lambda record: dublin_core.to_dublin_core(record.marc, record.database.family)
)
MARCXCHANGE = RecordForm(
    "marcxchange",
    lambda record: marcxml.to_marcxchange(record.marc, record.database.family).encode(),
)
# For files that are exported; neither protocol has a name for it.
MARC_JSON = RecordForm("marc-json", lambda record: marc_json.to_marc_json(record.marc))
MODS = RecordForm("mods", lambda record: mods.to_mods(record.marc, record.database.family))


def _unimarc_alone(name: str, write: Callable[[bytes], str]) -> RecordForm:
    def make(record: StoredRecord) -> bytes | Diagnostic:
        return _other_family(record, MarcFamily.UNIMARC) or write(record.marc).encode()

    return RecordForm(name, make)


CNMARCXML = _unimarc_alone("cnmarcxml", cnmarcxml.to_cnmarcxml)
UNIMARCXML = _unimarc_alone("unimarcxml", cnmarcxml.to_unimarcxml)


def _isohold(record: StoredRecord, holdings: Sequence[Holding]) -> bytes | Diagnostic:
    return isohold.to_isohold(record, holdings) or Diagnostic(
        Bib1.RECORD_NOT_IN_SYNTAX, f"{record.control_number}: no library holds it"
    )


# Who holds a record is no record: it is open to all who may search, and free.
ISOHOLD = RecordForm(
    "isohold", lambda record: _isohold(record, ()), make_with_holdings=_isohold,
    full=False, billable=False,
)  # fmt: skip
GRS_1 = RecordForm("grs-1", lambda record: grs1_record.to_grs1(record.marc, record.database.family))
GRS_1_BRIEF = RecordForm(
    "grs-1-brief",
    lambda record: grs1_record.to_brief_grs1(record.marc, record.database.family),
    full=False, billable=False,
)  # fmt: skip


def grs1_of(paths: Paths, *, with_brief: bool) -> RecordForm:
    """Some elements of a record, which count as the record: many make it whole."""
    return RecordForm(
        GRS_1.name,
        lambda record: grs1_record.to_selected_grs1(
            record.marc, record.database.family, paths, with_brief=with_brief
        ),
    )


def _opac(record: StoredRecord, holdings: Sequence[Holding]) -> bytes | Diagnostic:
    marc = _iso2709(record)
    if isinstance(marc, Diagnostic):
        return marc
    return to_opac(marc, OWN_SYNTAX[record.database.family], holdings)


def _opac_brief(record: StoredRecord, holdings: Sequence[Holding]) -> bytes | Diagnostic:
    family = record.database.family
    return to_opac(brief.to_brief_marc(record.marc, family), OWN_SYNTAX[family], holdings)


OPAC = RecordForm("opac", lambda record: _opac(record, ()), make_with_holdings=_opac)
OPAC_BRIEF = RecordForm(
    "opac-brief", lambda record: _opac_brief(record, ()), make_with_holdings=_opac_brief,
    full=False, billable=False,
)  # fmt: skip
# Text for people is no MARC and is not billed; it needs an account all the same.
SUTRS = RecordForm(
    "sutrs", lambda record: brief.to_sutrs(record.marc, record.database.family), billable=False
)
SUTRS_BRIEF = RecordForm(
    "sutrs-brief",
    lambda record: brief.to_brief_sutrs(record.marc, record.database.family),
    full=False, billable=False,
)  # fmt: skip

# XML by the short name of its schema, for both protocols; a name of
# protocol.sru_version.RECORD_SCHEMAS each.
XML_FORMS: Mapping[str, RecordForm] = {
    "marcxml": MARCXML,
    "marcxchange": MARCXCHANGE,
    "mods": MODS,
    "dc": DUBLIN_CORE,
    "cnmarcxml": CNMARCXML,
    "unimarcxml": UNIMARCXML,
    "isohold": ISOHOLD,
    "brief": MARCXML_BRIEF,
}

"""The XML forms of records: each by its schema, over the samples and over real records."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from lxml import etree

import samples
from protocol import isohold
from protocol.cnmarcxml import CNMARCXML_NAMESPACE, UNIMARCXML_NAMESPACE
from protocol.diagnostic import Bib1, Diagnostic, SruDiagnostic
from protocol.diagnostic_map import to_sru
from protocol.iso2709 import Field, build, control_number, parse
from protocol.marcxml_reader import decode_marcxml
from protocol.record import Database, Holding, MarcFamily, StoredRecord
from protocol.sru_version import RECORD_SCHEMAS, RecordSchema, schema_by_name
from server.delivery.record_forms import XML_FORMS
from tests.marc_files import MarcFile, marc_files
from tests.xml_forms import decoded, fault

CHINESE = Database("cn_cat", "Chinese", MarcFamily.UNIMARC)
WESTERN = Database("we_cat", "Western", MarcFamily.MARC21)
OF_FAMILY = {MarcFamily.UNIMARC: CHINESE, MarcFamily.MARC21: WESTERN}
BIBLIOGRAPHIC = [name for name in XML_FORMS if name != "isohold"]
MARC_FORMS = ("marcxml", "marcxchange", "cnmarcxml", "unimarcxml", "brief")

# Records whose MARC the schemas of MARC in XML forbid: a tag, code or indicator
# that is none, or no type of record. They go out as they are.
NO_MARC = {
    "marc21/uva-2000.mrc.xz": (1, "an indicator L"),
    "marc21/koha-bib.xml.xz": (6, "leader/06 blank"),
    "unimarc/periouni-3064.mrc.xz": (2, "an indicator |"),
    "bad/marc4j-185258.mrc": (1, "an indicator ø"),
    "bad/marc4j-bad-characters-in-various-fields.mrc": (1, "a blank as subfield code"),
    "bad/marc4j-bad_leaders_10_11.mrc": (1, "leader/06 blank"),
    "bad/marc4j-pride-and-prejudice-fixed.mrc.xz": (7, "an indicator -"),
    "bad/marc4j-pride-and-prejudice-with-many-errors.mrc.xz": (7, "an indicator -"),
    "bad/pymarc-bad_records.mrc": (5, "leader/06 blank"),
    "bad/pymarc-bad_subfield_code.dat": (1, "a subfield code á"),
    "bad/pymarc-utf8_invalid.mrc": (1, "a subfield code that is no character"),
}
COUNT_MAX = 300  # of each real file


def stored(marc: bytes, family: MarcFamily) -> StoredRecord:
    return StoredRecord(7, OF_FAMILY[family], control_number(marc), marc)


def xml_of(name: str, record: StoredRecord) -> bytes | None:
    """The form, or None for a family that it is not for."""
    content = XML_FORMS[name].make(record)
    if isinstance(content, Diagnostic):
        assert name in ("cnmarcxml", "unimarcxml")
        assert record.database.family is MarcFamily.MARC21
        return None
    return content


def test_there_is_a_form_for_every_schema_that_sru_knows_and_no_other() -> None:
    assert set(XML_FORMS) == {schema.name for schema in RECORD_SCHEMAS}


@pytest.mark.parametrize("schema", RECORD_SCHEMAS, ids=lambda schema: schema.name)
def test_a_schema_is_found_by_its_short_name_and_by_every_uri(schema: RecordSchema) -> None:
    for name in (schema.name, schema.uri, *schema.other_names, schema.uri.upper()):
        assert schema_by_name(name) is schema


@pytest.mark.parametrize("name", BIBLIOGRAPHIC)
@pytest.mark.parametrize("database", list(samples.databases()))
def test_every_sample_is_valid_in_every_form(name: str, database: str) -> None:
    family = samples.databases()[database]
    for marc in samples.records(database):
        xml = xml_of(name, stored(marc, family))
        if xml is not None:
            assert fault(name, xml) == "", control_number(marc)


@pytest.mark.shared_data
@pytest.mark.timeout(600)
def test_real_records_are_valid_in_every_form(shared_data: Path) -> None:
    seen: Counter[str] = Counter()
    for file in marc_files(shared_data):
        invalid = check_file(file, seen)
        assert invalid == NO_MARC.get(file.name, (0, ""))[0], file.name
    assert min(seen.values()) > 400
    assert seen["mods"] == seen["dc"] == seen["marcxml"] > 6_000


@pytest.mark.long
@pytest.mark.shared_data
@pytest.mark.timeout(1_200)
def test_all_real_records_are_valid_mods_and_dublin_core(shared_data: Path) -> None:
    records = 0
    for file in marc_files(shared_data):
        for marc in decoded(file, 1_000_000):
            records += 1
            for name in ("mods", "dc"):
                xml = xml_of(name, stored(marc, file.family))
                assert xml is not None
                assert fault(name, xml) == "", f"{file.name}: {control_number(marc)}"
    assert records > 79_000


def check_file(file: MarcFile, seen: Counter[str]) -> int:
    """How many records some form of MARC in XML does not take; every other form must."""
    invalid = 0
    for marc in decoded(file, COUNT_MAX):
        record = stored(marc, file.family)
        faults = set()
        for name in BIBLIOGRAPHIC:
            xml = xml_of(name, record)
            if xml is None:
                continue
            seen[name] += 1
            if reason := fault(name, xml):
                assert name in MARC_FORMS, f"{file.name}: {reason}"
                faults.add(name)
        invalid += bool(faults)
    return invalid


@pytest.mark.parametrize(
    ("leader", "marcxml"),
    [
        ("00000nam0 2200000   450 ", "00056nam0 2200049   4500"),
        ("00000nam0-2200000---4500", "00056nam0 2200049   4500"),
        ("00000cas  2200000 i 45  ", "00056cas  2200049 i 4500"),
        ("00000nam|a       |i    |", "00056nam a2200049 i 4500"),
    ],
)
def test_a_leader_of_marcxml_is_what_the_schema_takes(leader: str, marcxml: str) -> None:
    marc = build(leader, [Field("001", "1"), Field("500", "  \x1fx")])
    record = stored(marc, MarcFamily.UNIMARC)
    for name in ("marcxml", "marcxchange", "cnmarcxml", "unimarcxml"):
        xml = xml_of(name, record)
        assert xml is not None
        assert fault(name, xml) == ""
        found = etree.fromstring(xml)[0].text or ""
        if name == "marcxml":
            assert found[5:12] + found[17:] == marcxml[5:12] + marcxml[17:]
        elif name in ("cnmarcxml", "unimarcxml"):
            assert found == parse(marc).leader
        else:
            assert found[5:10] + found[17:20] == leader[5:10] + leader[17:20]


@pytest.mark.parametrize(
    ("family", "leader", "attributes"),
    [
        (MarcFamily.MARC21, "00000nam a2200000 a 4500", ("MARC21", "Bibliographic")),
        (MarcFamily.MARC21, "00000nz  a2200000n  4500", ("MARC21", "Authority")),
        (MarcFamily.MARC21, "00000nx  a2200000n  4500", ("MARC21", "Holdings")),
        (MarcFamily.MARC21, "00000nw  a2200000n  4500", ("MARC21", "Classification")),
        (MarcFamily.MARC21, "00000nq  a2200000n  4500", ("MARC21", "Community")),
        (MarcFamily.UNIMARC, "00000nvm0 2200000   450 ", ("UNIMARC", "Bibliographic")),
        (MarcFamily.UNIMARC, "00000num0 2200000   450 ", ("UNIMARC", "Bibliographic")),
        (MarcFamily.UNIMARC, "00000nx  j2200000   45  ", ("UNIMARC", "Authority")),
    ],
)
def test_marcxchange_names_the_family_and_the_type_of_record(
    family: MarcFamily, leader: str, attributes: tuple[str, str]
) -> None:
    xml = xml_of("marcxchange", stored(build(leader, [Field("001", "1")]), family))
    root = etree.fromstring(xml or b"")
    assert (root.get("format"), root.get("type")) == attributes


def test_the_forms_of_cnmarc_are_for_cnmarc_alone() -> None:
    marc = build("00000nam a2200000 a 4500", [Field("001", "w1")])
    for name in ("cnmarcxml", "unimarcxml"):
        refused = XML_FORMS[name].make(stored(marc, MarcFamily.MARC21))
        assert refused == Diagnostic(Bib1.RECORD_NOT_IN_SYNTAX, "w1: records of we_cat are marc21")
        fault_of_sru = to_sru(refused)
        assert fault_of_sru.condition == SruDiagnostic.RECORD_NOT_IN_SCHEMA


@pytest.mark.shared_data
@pytest.mark.parametrize(
    ("name", "namespace"),
    [("cnmarcxml", CNMARCXML_NAMESPACE), ("unimarcxml", UNIMARCXML_NAMESPACE)],
)
def test_the_forms_of_cnmarc_are_what_an_alma_serves(
    shared_data: Path, name: str, namespace: str
) -> None:
    """Read from the responses of a real Alma and written again, each element is the same."""
    response = etree.fromstring(
        (shared_data / "cnmarc" / f"bnu-alma-sru-{name}.xml")
        .read_bytes()
        .removeprefix(b"\xef\xbb\xbf")
    )
    records = list(response.iter(f"{{{namespace}}}record"))
    assert len(records) == 10
    for theirs in records:
        read = decode_marcxml(etree.tostring(theirs), MarcFamily.UNIMARC)
        ours = xml_of(name, stored(read.marc, MarcFamily.UNIMARC))  # type: ignore[union-attr]
        assert fault(name, ours or b"") == ""
        assert elements(etree.fromstring(ours or b"")) == elements(theirs)


def elements(record: etree._Element) -> list[tuple[object, ...]]:
    """Names, attributes and texts; the length and base address that a leader tells aside."""
    found: list[tuple[object, ...]] = []
    for each in record.iter():
        text = (each.text or "") if len(each) == 0 else ""
        if etree.QName(each).localname == "leader":
            text = text[5:12] + text[17:]
        found.append((each.tag, sorted(each.attrib.items()), text))
    return found


# Holdings -----------------------------------------------------------------------------

RECORD = StoredRecord(7, CHINESE, "012<3", b"")
HELD = Holding("PKU", 7, "F124/26 & <1>", 3, "总馆\x01三层", ("100", "101"), "v.1-3", "赠书")


def holdings_xml(*holdings: Holding) -> bytes:
    make = XML_FORMS["isohold"].make_with_holdings
    assert make is not None
    content = make(RECORD, holdings)
    assert isinstance(content, bytes)
    assert fault("isohold", content) == ""
    return content


def test_holdings_tell_library_copies_pieces_place_and_call_number() -> None:
    root = etree.fromstring(holdings_xml(HELD))
    assert root.tag == f"{{{isohold.NAMESPACE}}}holdings"
    found = [(etree.QName(each).localname, each.text) for each in root.iter() if len(each) == 0]
    assert found == [
        ("value", "PKU"), ("text", "institution code"), ("physicalLocation", "PKU"),
        ("copiesCount", "3"),
        ("value", "100"), ("text", "barcode"), ("value", "101"), ("text", "barcode"),
        ("value", "012<3"), ("text", "control number in cn_cat"),
        ("sublocation", "总馆\ufffd三层"), ("shelfLocator", "F124/26 & <1>"),
        ("note", "赠书"), ("text", "v.1-3"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "holding",
    [Holding("PKU", 7), Holding("PKU", 7, "F1"), Holding("PKU", 7, location="x"),
     Holding("PKU", 7, barcodes=("1",))],
)  # fmt: skip
def test_holdings_are_valid_however_little_is_known(holding: Holding) -> None:
    assert holdings_xml(holding, HELD).count(b"<holding>") == 2


def test_what_nobody_holds_has_no_holdings() -> None:
    make = XML_FORMS["isohold"].make_with_holdings
    assert make is not None
    nothing = Diagnostic(Bib1.RECORD_NOT_IN_SYNTAX, "012<3: no library holds it")
    assert make(RECORD, ()) == nothing
    assert make(RECORD, [Holding("PKU", 7, copies=0)]) == nothing


def test_whole_records_are_counted_and_holdings_and_brief_ones_are_not() -> None:
    free = {name for name, form in XML_FORMS.items() if not form.billable and not form.full}
    counted = {name for name, form in XML_FORMS.items() if form.billable and form.full}
    assert free == {"isohold", "brief"}
    assert counted == set(XML_FORMS) - free


def test_the_page_on_record_forms_tells_each_schema_as_it_is() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "record-forms.md").read_text("utf-8")
    for schema in RECORD_SCHEMAS:
        databases = "UNIMARC family" if schema.name in ("cnmarcxml", "unimarcxml") else "all"
        counted = "yes" if XML_FORMS[schema.name].billable else "no"
        assert f"| `{schema.name}` | `{schema.uri}` | {databases} | {counted} |" in page


# The schemas of the tests themselves --------------------------------------------------

WRONG = [
    ("mods", b'<mods xmlns="http://www.loc.gov/mods/v3"/>'),
    ("mods", b'<mods xmlns="http://www.loc.gov/mods/v3"><titleInfo type="x"><title>t</title>'
             b"</titleInfo></mods>"),
    ("mods", b'<mods xmlns="http://www.loc.gov/mods/v3"><typeOfResource>book</typeOfResource>'
             b"</mods>"),
    ("mods", b'<mods xmlns="http://www.loc.gov/mods/v3"><originInfo><issuance>once</issuance>'
             b"</originInfo></mods>"),
    ("mods", b'<mods xmlns="http://www.loc.gov/mods/v3"><location><url>u</url>'
             b"<shelfLocator>s</shelfLocator></location></mods>"),
    ("mods", b'<mods xmlns="http://www.loc.gov/mods/v3"><language><languageTerm authority="x">eng'
             b"</languageTerm></language></mods>"),
    ("mods", b'<mods xmlns="http://www.loc.gov/mods/v3"><note></note></mods>'),
    ("dc", b'<dc xmlns="info:srw/schema/1/dc-schema"><title>t</title></dc>'),
    ("dc", b'<dc xmlns="info:srw/schema/1/dc-schema"><d:isbn xmlns:d="http://purl.org/dc/elements/'
           b'1.1/">1</d:isbn></dc>'),
    ("marcxml", b'<record xmlns="http://www.loc.gov/MARC21/slim"><leader>00000nam0 2200000   450 '
                b"</leader></record>"),
    ("marcxml", b'<record xmlns="http://www.loc.gov/MARC21/slim"><leader>00000nam a2200000 a 4500'
                b'</leader><controlfield tag="245">x</controlfield></record>'),
    ("marcxml", b'<record xmlns="http://www.loc.gov/MARC21/slim"><leader>00000nam a2200000 a 4500'
                b'</leader><datafield tag="245" ind1=" " ind2=" "/></record>'),
    ("isohold", b'<holdings xmlns="http://www.loc.gov/standards/iso20775/"/>'),
]  # fmt: skip


@pytest.mark.parametrize(("name", "xml"), WRONG)
def test_the_schemas_refuse_what_is_wrong(name: str, xml: bytes) -> None:
    assert fault(name, xml)

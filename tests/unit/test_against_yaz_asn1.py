"""Our codec against another one: asn1tools over the ASN.1 that YAZ installs.

What we write goes through the other decoder and encoder and must come back to
us as the same value. Tags, order, implicit or explicit, mandatory or optional:
each difference between our description and that ASN.1 loses something there.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import asn1tools
import pytest
from hypothesis import HealthCheck, given, settings

from protocol import apdu as wire
from protocol.apdu import TAGS, Apdu
from protocol.charset_negotiation import CHARSET_NEGOTIATION
from protocol.codec import Codec
from protocol.explain_record import EXPLAIN_RECORD
from protocol.grs1 import ESPEC_1, GRS_1
from protocol.opac import OPAC_RECORD
from protocol.resource_report import RESOURCE_1, RESOURCE_2
from protocol.task_package import TASK_PACKAGE, UPDATE
from protocol.user_information import DATE_TIME, DIAGNOSTIC_FORMAT, SEARCH_RESULT
from tests.property.asn1_values import Values
from tests.unit import captured_apdus
from tests.unit.test_apdu import CAPTURED

pytestmark = pytest.mark.real_client

FOLDER = Path("/usr/share/yaz/z39.50")
FILES = ("z3950v3.asn", "charneg-3.asn", "esupdate.asn", "datetime.asn")

# ANY in EXTERNAL has to be said; times and strings are kept as they are written.
EXTERNAL = """
Ext ::= [UNIVERSAL 8] IMPLICIT SEQUENCE {
  direct-reference OBJECT IDENTIFIER OPTIONAL,
  indirect-reference INTEGER OPTIONAL,
  descriptor [UNIVERSAL 7] IMPLICIT OCTET STRING OPTIONAL,
  encoding CHOICE {
    single [0] ANY,
    octets [1] IMPLICIT OCTET STRING,
    arbitrary [2] IMPLICIT BIT STRING}}
Time ::= [UNIVERSAL 24] IMPLICIT OCTET STRING
Visible ::= [UNIVERSAL 26] IMPLICIT OCTET STRING
END
"""

APDUS = "Z39-50-APDU-1995"
FORMATS: list[tuple[str, str, Codec[Any]]] = [
    ("RecordSyntax-opac", "OPACRecord", OPAC_RECORD),
    ("RecordSyntax-generic", "GenericRecord", GRS_1),
    ("RecordSyntax-explain", "Explain-Record", EXPLAIN_RECORD),
    ("RecordSyntax-ESTaskPackage", "TaskPackage", TASK_PACKAGE),
    ("ResourceReport-Format-Resource-1", "ResourceReport", RESOURCE_1),
    ("ResourceReport-Format-Resource-2", "ResourceReport", RESOURCE_2),
    ("UserInfoFormat-searchResult-1", "SearchInfoReport", SEARCH_RESULT),
    ("UserInfoFormat-dateTime", "DateTime", DATE_TIME),
    ("ElementSpecificationFormat-eSpec-1", "Espec-1", ESPEC_1),
    ("ESFormat-Update", "Update", UPDATE),
    ("DiagnosticFormatDiag1", "DiagnosticFormat", DIAGNOSTIC_FORMAT),
    (
        "NegotiationRecordDefinition-charSetandLanguageNegotiation-3",
        "CharSetandLanguageNegotiation",
        CHARSET_NEGOTIATION,
    ),
]


@pytest.fixture(scope="module")
def modules() -> dict[str, Any]:
    """Compiled types of the installed ASN.1, by module and name."""
    if not FOLDER.is_dir():
        pytest.fail(f"YAZ is not installed: {FOLDER} is missing; run `make test-tools`")
    text = "\n".join((FOLDER / name).read_text() for name in FILES)
    text = re.sub(r"--.*", "", text)
    text = re.sub(r"\bEXTERNAL\b", "Ext", text)
    text = re.sub(r"\bGeneralizedTime\b", "Time", text)
    text = re.sub(r"\bVisibleString\b", "Visible", text)
    found = {}
    for module in re.split(r"(?m)^\s*END\b.*$", text):
        name = module.split(maxsplit=1)[0] if module.strip() else ""
        if name in {APDUS, *(name for name, _, _ in FORMATS)}:
            # Object identifiers of modules and lists of exports do not matter here.
            body = re.sub(r"\{[^{}]*\}\s*DEFINITIONS", "DEFINITIONS", module, count=1)
            found[name] = re.sub(r"(?m)^\s*EXPORTS[^;]*;", "", body) + EXTERNAL
    specification = asn1tools.compile_string("\n".join(found.values()), "ber")
    return dict(specification.modules)


@pytest.mark.parametrize("cls", TAGS, ids=lambda cls: cls.__name__)
def test_an_apdu_survives_another_codec(cls: type[Apdu], modules: dict[str, Any]) -> None:
    other = modules[APDUS]["PDU"]

    @settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(Values(opaque_elements=False).sequence(cls))
    def survives(apdu: Apdu) -> None:
        decoded = other.decode(wire.encode(apdu))
        assert wire.decode(bytes(other.encode(decoded))) == apdu

    survives()


@pytest.mark.parametrize(("octets", "value"), CAPTURED)
def test_what_we_write_means_the_same_to_another_codec(
    octets: str, value: Apdu, modules: dict[str, Any]
) -> None:
    other = modules[APDUS]["PDU"]
    if octets == captured_apdus.SEARCH_BOOLEAN_INDEFINITE:
        octets = wire.encode(value).hex()
    assert other.decode(wire.encode(value)) == other.decode(bytes.fromhex(octets))


@pytest.mark.parametrize(("module", "name", "codec"), FORMATS, ids=lambda part: str(part)[:30])
def test_a_format_survives_another_codec(
    module: str, name: str, codec: Codec[Any], modules: dict[str, Any]
) -> None:
    other = modules[module][name]

    @settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
    @given(Values(opaque_elements=False).of(codec.type))
    def survives(value: object) -> None:
        decoded = other.decode(codec.encode(value))
        assert codec.decode(bytes(other.encode(decoded))) == value

    survives()

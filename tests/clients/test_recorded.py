"""What we sent in whole sessions of real clients, read by decoders that are not ours.

asn1tools, with the ASN.1 that YAZ installs, must give back every octet of every
APDU and of every external in it; tshark must find nothing malformed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from protocol import apdu, oid
from protocol.grs1 import ESPEC_1, Espec, SimpleElement, SpecificTag
from tests.clients.recording import Recording, recording
from tests.clients.test_zoom import SCRIPT, run
from tests.harness import RunningServer
from tests.unit.test_against_yaz_asn1 import APDUS, modules
from tests.z3950_client import Client, present_request

__all__ = ["modules"]  # a fixture

pytestmark = pytest.mark.real_client

# Every service of yaz-client, in sets small and large, right and wrong.
COMMANDS = """\
auth demo1/demo1
charset UTF-8
open {address}/we_cat
find @attr 1=1003 knuth
format usmarc
show 1+5
elements B
show 1+2
elements F
format xml
show 1
format sutrs
show 1
format grs-1
show 1
format opac
show 1
format usmarc
show 100
sort 1=31 >i
show 1+2
setnames
find @attr 1=4 algorithms
find @and @set 1 @set 2
find @attr 1=9999 x
find @attr 1=4 @attr 2=101 x
querytype cql
find dc.creator=knuth and dc.title=art
find dc.nothing=x
querytype rpn
ssub 5
find @attr 1=1003 knuth
ssub 0
mspn 2
lslb 100
find @attr 1=1003 knuth
lslb 1
scan @attr 1=1003 knuth
scansize 3
scanpos 3
scan @attr 1=4 @attr 4=1 zzzz
scan @attr 1=9999 x
delete 1
delete 99
base nowhere
find x
base cn_cat ancient
find @attr 1=4 史记
format unimarc
show 1+3
format usmarc
show 1
scan @attr 1=4 史
base IR-Explain-1
find @attrset exp1 @attr 1=1 TargetInfo
format explain
show 1
close
"""


# Every APDU that the server sends; it never asks for access control.
APDUS_SEEN = {
    "duplicateDetectionResponse",
    "initResponse",
    "searchResponse",
    "presentResponse",
    "scanResponse",
    "sortResponse",
    "deleteResultSetResponse",
    "extendedServicesResponse",
    "segmentRequest",
    "resourceReportResponse",
    "resourceControlRequest",
    "close",
}
# What an EXTERNAL holds: module and type of the installed ASN.1.
FORMATS = {
    str(oid.CHARSET_NEGOTIATION_3): (
        "NegotiationRecordDefinition-charSetandLanguageNegotiation-3",
        "CharSetandLanguageNegotiation",
    ),
    str(oid.SUTRS): (APDUS, "InternationalString"),
    str(oid.GRS_1): ("RecordSyntax-generic", "GenericRecord"),
    str(oid.OPAC): ("RecordSyntax-opac", "OPACRecord"),
    str(oid.EXPLAIN): ("RecordSyntax-explain", "Explain-Record"),
    str(oid.DIAG_1): ("DiagnosticFormatDiag1", "DiagnosticFormat"),
    "1.2.840.10003.10.3": (APDUS, "OtherInformation"),  # userInfo-1
    "1.2.840.10003.7.1": ("ResourceReport-Format-Resource-1", "ResourceReport"),
}
TSHARK_OCTETS_MIN = 10
# The kinds of Explain records, and what each client asks in each.
EXPLAIN_CATEGORIES = (
    "TargetInfo", "DatabaseInfo", "AttributeDetails", "RecordSyntaxInfo", "CategoryList",
)  # fmt: skip


def proxied(consortium: RunningServer, talk: Callable[[str], object]) -> Recording:
    with recording(consortium.z3950) as kept:
        talk(kept.address)
    assert kept.from_server
    return kept


@pytest.fixture(scope="module")
def sessions(
    consortium: RunningServer,
    client_program: Callable[[str], str],
    tmp_path_factory: pytest.TempPathFactory,
) -> list[Recording]:
    """A session of yaz-client, one of Perl ZOOM, and what neither of them asks."""
    script = tmp_path_factory.mktemp("yaz") / "commands"

    def yaz_client(address: str) -> None:
        script.write_text(COMMANDS.format(address=address), "utf-8")
        run(client_program("yaz-client"), "-f", str(script))

    return [
        proxied(consortium, yaz_client),
        proxied(consortium, lambda address: run(client_program("perl"), str(SCRIPT), address)),
        proxied(consortium, segments_and_reports),
        proxied(consortium, elements_explain_and_refusals),
    ]


def segments_and_reports(address: str) -> None:
    """Records in segments, a report of resources, and one by trigger."""
    client = Client(address)
    client.init(
        "demo1/demo1",
        options=frozenset(apdu.Option) - {apdu.Option.CONCURRENT_OPERATIONS},
        preferred_message_size=2048,
        exceptional_record_size=4096,
        reference_id=b"i",
    )
    client.search("@attr 1=1003 knuth", "we_cat", reference_id=b"s")
    client.send(present_request(1, 5, reference_id=b"p"))
    while isinstance(client.receive(), apdu.Segment):
        pass
    client.ask(apdu.ResourceReportRequest(reference_id=b"r"), apdu.ResourceReportResponse)
    client.ask(
        apdu.TriggerResourceControlRequest(requested_action=apdu.RequestedAction.RESOURCE_REPORT),
        apdu.ResourceControlRequest,
    )
    client.ask(
        apdu.DuplicateDetectionRequest(
            input_result_set_ids=("default",),
            output_result_set_name="d",
            retention_criteria=(),
        ),
        apdu.DuplicateDetectionResponse,
    )
    client.close()


def elements_explain_and_refusals(address: str) -> None:
    """Elements one by one, every kind of Explain record, and what nobody may do."""
    client = Client(address)
    assert client.init("demo1/demo1").result
    client.search("@attr 1=1003 knuth", "we_cat")
    title = SimpleElement(path=(SpecificTag(tag_type=2, tag_value=1),))
    wanted = apdu.External.of(oid.ESPEC_1, ESPEC_1, Espec(elements=(title,)))
    elements = apdu.CompSpec(
        select_alternative_syntax=False, generic=apdu.Specification(element_spec=wanted)
    )
    response = client.present(1, 1, oid.GRS_1, record_composition=elements)
    assert response.number_of_records_returned == 1
    for category in EXPLAIN_CATEGORIES:
        found = client.search(f"@attr exp-1 1=1 {category}", "IR-Explain-1")
        client.present(1, min(found.result_count, 5), oid.EXPLAIN)
    client.close()
    client = Client(address)
    assert not client.init("demo1/wrong").result
    client.close()
    client = Client(address)
    assert client.init().result
    client.ask(
        apdu.ExtendedServicesRequest(
            function=apdu.EsFunction.CREATE,
            package_type=oid.ES_UPDATE,
            wait_action=apdu.WaitAction.WAIT,
        ),
        apdu.ExtendedServicesResponse,
    )
    client.search("@attr 1=1003 knuth", "we_cat")
    client.present(1, 1)  # without an account: 1070
    client.send(apdu.Close(close_reason=apdu.CloseReason.FINISHED))
    assert isinstance(client.receive(), apdu.Close)
    client.close()


def test_another_codec_gives_back_every_octet_that_we_sent(
    sessions: list[Recording],
    modules: dict[str, Any],
) -> None:
    pdu = modules[APDUS]["PDU"]
    kinds: set[str] = set()
    formats: set[str] = set()
    for session in sessions:
        for octets in session.from_server:
            kind, content = decoded = pdu.decode(octets)
            assert bytes(pdu.encode(decoded)) == octets, apdu.decode(octets)
            kinds.add(kind)
            waiting = [*externals(content)]
            while waiting:
                syntax, inner = waiting.pop()
                module, name = FORMATS[syntax]
                type_ = modules[module][name]
                value = type_.decode(inner)
                assert bytes(type_.encode(value)) == inner, (syntax, inner)
                formats.add(syntax)
                waiting += externals(value)
    assert kinds == APDUS_SEEN
    assert formats == set(FORMATS)


def test_tshark_finds_nothing_malformed_in_what_we_sent(
    sessions: list[Recording], client_program: Callable[[str], str], tmp_path: Path
) -> None:
    for session in sessions:
        dump, capture = tmp_path / "dump", tmp_path / "capture"
        # tshark takes no frame as short as the response to Sort for Z39.50.
        order = [each for each in session.order if len(each[1]) >= TSHARK_OCTETS_MIN]
        dump.write_text("".join(map(hexadecimal, order)))
        run(client_program("text2pcap"), "-q", "-D", "-T", "40000,210", str(dump), str(capture))
        fields = ("tcp.srcport", "frame.protocols", "_ws.malformed")
        printed = run(
            *(client_program("tshark"), "-r", str(capture), "-d", "tcp.port==210,z3950"),
            *("-T", "fields", "-E", "separator=|"),
            *(part for field in fields for part in ("-e", field)),
        )
        frames = [line.split("|") for line in printed.splitlines() if line.count("|") == 2]
        assert len(frames) == len(order), printed
        for (is_server, octets), (port, protocols, malformed) in zip(order, frames, strict=True):
            if is_server:
                assert port == "210"
                assert "z3950" in protocols.split(":")
                assert not malformed, apdu.decode(octets)


def hexadecimal(sent: tuple[bool, bytes]) -> str:
    """One APDU as text2pcap reads it; the client's go in."""
    is_server, octets = sent
    lines = [f"{at:06x} {octets[at : at + 16].hex(' ')}\n" for at in range(0, len(octets), 16)]
    return ("O\n" if is_server else "I\n") + "".join(lines)


def externals(value: object) -> Iterator[tuple[str, bytes]]:
    """Every EXTERNAL in a decoded value that is an ASN.1 type: its identifier and octets."""
    if isinstance(value, dict):
        encoding = value.get("encoding")
        if isinstance(encoding, tuple) and encoding[0] == "single":
            yield value["direct-reference"], bytes(encoding[1])
        for each in value.values():
            yield from externals(each)
    elif isinstance(value, (list, tuple)):
        for each in value:
            yield from externals(each)

"""Holdings by Z39.50 Update, as clients on the wire and the programs that people use send them."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from protocol import apdu, ber, oid
from protocol.diagnostic import Bib1
from protocol.external import External, Form
from protocol.grs1 import SUTRS
from protocol.holding_symbol import (
    HOLDING_SYMBOL,
    HOLDING_SYMBOL_DELETE,
    HOLDING_SYMBOL_RECORD,
    HoldingSymbolRecord,
)
from protocol.holdings_fields import holdings_record
from protocol.iso2709 import DecodedRecord, Field, build, parse
from protocol.marcxml import to_marcxml
from protocol.marcxml_reader import decode_marcxml
from protocol.oid import Oid
from protocol.opac import OPAC_RECORD, HoldingsAndCircData
from protocol.record import Holding, MarcFamily
from protocol.task_package import (
    TASK_PACKAGE,
    UPDATE,
    CorrelationInfo,
    RecordStatus,
    SuppliedRecord,
    TaskPackage,
    UpdateAction,
    UpdatePackage,
    UpdateParameters,
    UpdateRequest,
    UpdateResult,
)
from tests.harness import RunningServer
from tests.perl_updates import perl_updates
from tests.server.own_server import cnmarc, marc21, own_server
from tests.server.test_z3950_update import diagnostics, supplied
from tests.z3950_client import Client, connected, records

LOGIN = "demo1/demo1"
MARC21, UNIMARC = MarcFamily.MARC21, MarcFamily.UNIMARC


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    held = {
        "we_cat": [marc21(f"w{n}", f"Western {n}") for n in range(1, 9)] + [with_oclc()],
        "cn_cat": [cnmarc(f"c{n}", f"中文书{n}") for n in range(1, 9)],
    }
    with own_server(tmp_path_factory.mktemp("es"), held, pinned={"other": ""}) as running:
        yield running


def with_oclc() -> bytes:
    record = parse(marc21("w99", "Known to OCLC"))
    record.fields.append(Field.of("035", "  ", [("a", "(OCoLC)ocm00777")]))
    return build(record.leader, record.fields)


def update(
    client: Client, action: UpdateAction, *sent: SuppliedRecord, database: str = "cn_cat"
) -> tuple[apdu.ExtendedServicesResponse, TaskPackage | None, UpdateResult | None]:
    request = apdu.ExtendedServicesRequest(
        function=apdu.EsFunction.CREATE, package_type=oid.ES_UPDATE,
        wait_action=apdu.WaitAction.WAIT,
        task_specific_parameters=External.of(
            oid.ES_UPDATE, UPDATE,
            UpdateRequest(
                to_keep=UpdateParameters(action=action, database_name=database), not_to_keep=sent
            ),
        ),
    )  # fmt: skip
    response = client.ask(request, apdu.ExtendedServicesResponse)
    if response.task_package is None:
        return response, None, None
    package = response.task_package.decode(TASK_PACKAGE)
    inside = package.task_specific_parameters.decode(UPDATE)
    assert isinstance(inside, UpdatePackage)
    return response, package, inside.target_part


def said(client: Client, action: UpdateAction, *sent: SuppliedRecord, **more: str) -> list[str]:
    """The lines that tell of the one record, which was taken."""
    response, package, result = update(client, action, *sent, **more)
    assert response.operation_status == apdu.OperationStatus.DONE, response
    assert result is not None
    assert package is not None
    (one,) = result.task_package_records
    assert one.record_status == RecordStatus.SUCCESS
    assert isinstance(one.record_or_sur_diag, External)
    lines = one.record_or_sur_diag.decode(SUTRS).splitlines()
    assert package.target_reference is not None
    assert lines[0] == f"control-number: {package.target_reference.decode()}"
    return lines


def refused(
    client: Client, action: UpdateAction, *sent: SuppliedRecord, **more: str
) -> tuple[int, str]:
    response, _, _ = update(client, action, *sent, **more)
    assert response.operation_status == apdu.OperationStatus.FAILURE, response
    ((condition, addinfo),) = diagnostics(response.diagnostics)
    return condition, addinfo


def held(client: Client, number: str, database: str = "cn_cat") -> list[tuple[str, ...]]:
    """What the OPAC record of a record says of its holders."""
    assert client.search(f"@attr 1=12 {number}", database).result_count == 1
    (data,) = records(client.present(1, 1, syntax=oid.OPAC))
    found = OPAC_RECORD.decode(data).holdings_data
    return [
        (each.nuc_code or "", each.call_number or "", each.copy_number or "",
         each.enum_and_chron or "", each.public_note or "")
        for each in found if isinstance(each, HoldingsAndCircData)
    ]  # fmt: skip


def with_905(number: str, **said: object) -> bytes:
    holding = Holding("DEMO1", 0, **said)  # type: ignore[arg-type]
    return holdings_record(number, UNIMARC, holding)


def mfhd(number: str, *, status: str = "n", **said: object) -> bytes:
    holding = Holding("DEMO1", 0, **said)  # type: ignore[arg-type]
    marc = holdings_record(number, MARC21, holding)
    return marc[:5] + status.encode() + marc[6:]


def test_element_update_changes_the_holdings_in_a_record_alone(server: RunningServer) -> None:
    with connected(server.z3950, LOGIN) as client:
        record = with_905("c1", call_number="TP1", copies=2, extent="v.1-3")
        lines = said(client, UpdateAction.ELEMENT_UPDATE, supplied(record))
        assert lines == [
            "control-number: c1", "database: cn_cat", "change: holdings added",
            "held-by: DEMO1", "call-number: TP1", "copies: 2", "extent: v.1-3",
        ]  # fmt: skip
        assert held(client, "c1") == [("DEMO1", "TP1", "2", "v.1-3", "")]
        assert client.search("@attr 1=1044 demo1", "cn_cat").result_count == 1
        for syntax in (oid.UNIMARC, oid.XML):
            (with_holdings,) = records(client.present(
                1, 1, syntax=syntax, record_composition="FH",
            ))  # fmt: skip
            if syntax == oid.XML:
                decoded = decode_marcxml(with_holdings, UNIMARC)
                assert isinstance(decoded, DecodedRecord)
                with_holdings = decoded.marc
            fields = [each.subfields for each in parse(with_holdings).get("905")]
            assert fields == [[("a", "DEMO1"), ("s", "TP1"), ("f", "2"), ("v", "v.1-3")]]
        again = said(client, UpdateAction.ELEMENT_UPDATE, supplied(record))
        assert "change: holdings unchanged" in again
        xml = to_marcxml(with_905("c1", call_number="TP9")).encode()
        changed = said(
            client, UpdateAction.ELEMENT_UPDATE,
            SuppliedRecord(record=External(oid.XML, xml), record_id=b"c1"),
        )  # fmt: skip
        assert "change: holdings changed" in changed
        # The record itself is what it was.
        (marc,) = records(client.present(1, 1, syntax=oid.UNIMARC))
        title = parse(marc).first("200")
        assert title is not None
        assert title.first("a") == "中文书1"
        note = CorrelationInfo(note="remove-holdings")
        removed = said(client, UpdateAction.ELEMENT_UPDATE, supplied(record, correlation_info=note))
        assert removed == [
            "control-number: c1", "database: cn_cat", "change: holdings removed",
        ]  # fmt: skip
        assert held(client, "c1") == []
        assert client.search("@attr 1=1044 demo1", "cn_cat").result_count == 0


def test_holdings_records_are_added_replaced_and_deleted(server: RunningServer) -> None:
    with connected(server.z3950, LOGIN) as client:

        def ask(action: UpdateAction, record: bytes) -> list[str]:
            # Clients write some identifier, which is of the holdings record.
            return said(client, action, supplied(record, record_id=b"1"), database="we_cat")

        assert "change: holdings added" in ask(
            UpdateAction.RECORD_INSERT, mfhd("w1", call_number="QA1", note="ask")
        )
        assert held(client, "w1", "we_cat") == [("DEMO1", "QA1", "1", "", "ask")]
        taken = refused(
            client, UpdateAction.RECORD_INSERT, supplied(mfhd("w1", call_number="QA2")),
            database="we_cat",
        )  # fmt: skip
        assert taken == (Bib1.ES_IMMEDIATE_FAILED, "58 Suspect duplicate")
        assert "change: holdings changed" in ask(
            UpdateAction.RECORD_REPLACE, mfhd("w1", call_number="QA2")
        )
        assert "change: holdings unchanged" in ask(
            UpdateAction.SPECIAL_UPDATE, mfhd("w1", call_number="QA2")
        )
        assert "change: holdings removed" in ask(UpdateAction.RECORD_DELETE, mfhd("w1"))
        missing = refused(
            client, UpdateAction.RECORD_REPLACE, supplied(mfhd("w1")), database="we_cat"
        )
        assert missing == (224, "50 Record not found (replacement or delete)")
        ask(UpdateAction.SPECIAL_UPDATE, mfhd("w1", call_number="QA3"))
        assert "change: holdings removed" in ask(
            UpdateAction.SPECIAL_UPDATE, mfhd("w1", status="d")
        )
        assert held(client, "w1", "we_cat") == []


def test_special_update_changes_holdings_where_the_note_says_so(server: RunningServer) -> None:
    with connected(server.z3950, LOGIN) as client:
        note = CorrelationInfo(note="holdings", id=4)
        record = with_905("c2", call_number="I247")
        lines = said(client, UpdateAction.SPECIAL_UPDATE, supplied(record, correlation_info=note))
        assert "change: holdings added" in lines
        assert held(client, "c2") == [("DEMO1", "I247", "1", "", "")]
        # Without it the record would be a record, for which there is no right.
        assert refused(client, UpdateAction.SPECIAL_UPDATE, supplied(record)) == (222, "53 Cannot"
            " delete or replace record or component, authorization failure")  # fmt: skip


def symbol(number: str, syntax: Oid = HOLDING_SYMBOL, *, aligned: bool = False) -> SuppliedRecord:
    record = External.of(syntax, HOLDING_SYMBOL_RECORD, HoldingSymbolRecord(record_number=number))
    if aligned:
        record = External(syntax, record.data, Form.OCTET_ALIGNED)
    return SuppliedRecord(record=record)


def test_oclcs_record_is_a_control_number_alone(server: RunningServer) -> None:
    with connected(server.z3950, LOGIN) as client:
        for number, database, aligned in (
            ("w2", "oclc_oluc_holdings", False), ("w3", "OCLCInstitutionRecords", True),
            ("w4", "we_cat", False), ("c4", "Default", False),
        ):  # fmt: skip
            lines = said(
                client, UpdateAction.ELEMENT_UPDATE, symbol(number, aligned=aligned),
                database=database,
            )  # fmt: skip
            assert lines[0] == f"control-number: {number}"
            assert "change: holdings added" in lines
        by_oclc = said(client, UpdateAction.ELEMENT_UPDATE, symbol("777"), database="Default")
        assert by_oclc[0] == "control-number: w99"
        gone = said(
            client, UpdateAction.ELEMENT_UPDATE, symbol("w2", HOLDING_SYMBOL_DELETE),
            database="oclc_oluc_holdings",
        )  # fmt: skip
        assert "change: holdings removed" in gone
        unknown = refused(client, UpdateAction.ELEMENT_UPDATE, symbol("nope"), database="Default")
        assert unknown == (224, "50 Record not found (replacement or delete)")
        # Orders of cards, as older clients send them, are passed over.
        cards = ber.wrap(b"\xa6", b"\x81\x01\xff")
        number_alone = ber.wrap(b"\x85", b"w5")
        whole = External(HOLDING_SYMBOL, ber.wrap(b"\x30", number_alone + cards),
                         Form.SINGLE_ASN1_TYPE)  # fmt: skip
        lines = said(
            client, UpdateAction.ELEMENT_UPDATE, SuppliedRecord(record=whole), database="we_cat"
        )
        assert lines[0] == "control-number: w5"


def test_each_holding_of_a_package_has_its_own_status(server: RunningServer) -> None:
    with connected(server.z3950, LOGIN) as client:
        other = holdings_record("c5", UNIMARC, Holding("OTHER", 0, "X"))
        response, _, result = update(
            client, UpdateAction.ELEMENT_UPDATE, supplied(with_905("c5")),
            supplied(other), supplied(with_905("c99")), supplied(cnmarc("c6", "x")),
            supplied(b"rubbish"),
        )  # fmt: skip
        assert result is not None
        statuses = [each.record_status for each in result.task_package_records]
        assert statuses == [RecordStatus.SUCCESS] + [RecordStatus.FAILURE] * 4
        assert diagnostics(response.diagnostics) == [
            (223, "53 Cannot delete or replace record or component, authorization failure"),
            (224, "50 Record not found (replacement or delete)"),
            (224, "12 Invalid data structure"), (224, "12 Invalid data structure"),
        ]  # fmt: skip


def test_whoever_has_no_right_to_holdings_is_told(server: RunningServer) -> None:
    with connected(server.z3950) as client:
        condition, _ = refused(client, UpdateAction.ELEMENT_UPDATE, supplied(with_905("c7")))
        assert condition == Bib1.ES_ID_NOT_AUTHORISED
    with connected(server.z3950, "other/other") as client:
        # It may only speak of its own.
        assert refused(client, UpdateAction.ELEMENT_UPDATE, supplied(with_905("c7")))[0] == 223
    with connected(server.z3950, LOGIN) as client:
        assert held(client, "c7") == []


# Programs that people use


@pytest.mark.real_client
def test_yaz_client_submits_holdings(
    server: RunningServer, client_program: Callable[[str], str], tmp_path: Path
) -> None:
    def run(*lines: str, database: str = "we_cat") -> str:
        script = tmp_path / "commands"
        script.write_text(f"auth {LOGIN}\nopen {server.z3950}/{database}\n" + "\n".join(lines))
        done = subprocess.run(
            [client_program("yaz-client"), "-f", str(script)],
            capture_output=True, timeout=60, check=False,
        )  # fmt: skip
        return done.stdout.decode("utf-8", "replace")

    (tmp_path / "held.mrc").write_bytes(mfhd("w6", call_number="QA76", note="third floor"))
    told = run(
        f"update insert 1 <{tmp_path}/held.mrc", "find @and @attr 1=1044 DEMO1 @attr 1=12 w6",
        "format opac", "show 1", "quit",
    )  # fmt: skip
    assert "Status: done" in told
    assert "Number of hits: 1" in told
    assert "callNumber: QA76" in told
    assert "third floor" in told
    # Its `update update` is specialUpdate.
    (tmp_path / "held.mrc").write_bytes(mfhd("w6", call_number="QA77"))
    again = run(f"update update 1 <{tmp_path}/held.mrc", "quit")
    assert "Status: done" in again, again
    gone = run(
        f"update delete 1 <{tmp_path}/held.mrc", "find @and @attr 1=1044 DEMO1 @attr 1=12 w6",
        "quit",
    )  # fmt: skip
    assert "Status: done" in gone
    assert "Number of hits: 0" in gone


PERL = """
my %held = (action => 'elementUpdate', record => $record, databaseName => 'cn_cat',
    syntax => 'unimarc');
update(%held);
update(%held, action => 'specialUpdate', 'correlationInfo.note' => 'holdings');
$held{record} =~ s/c8/c9/;
update(%held);
sub hits { $connection->search_pqf('@and @attr 1=1044 DEMO1 @attr 1=12 c8')->size(); }
printf "hits %d\\n", hits();
$held{record} =~ s/c9/c8/;
update(%held, 'correlationInfo.note' => 'remove-holdings');
printf "hits %d\\n", hits();
"""


@pytest.mark.real_client
def test_packages_of_perl_zoom_submit_holdings(
    server: RunningServer, client_program: Callable[[str], str], tmp_path: Path
) -> None:
    lines = perl_updates(
        client_program("perl"), f"{server.z3950}/cn_cat", LOGIN, tmp_path,
        with_905("c8", call_number="TP8"), PERL,
    )  # fmt: skip
    assert [line[:40] for line in lines] == [
        "elementUpdate c8", "specialUpdate c8", "refused 224 50 Record not found (replace",
        "hits 1", "elementUpdate c8", "hits 0",
    ], lines  # fmt: skip

"""Z39.50 Update as clients on the wire see it, and with the programs that people use."""

from __future__ import annotations

import dataclasses
import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from protocol import apdu, oid
from protocol.apdu_common import DiagRec
from protocol.asn1 import GeneralizedTime
from protocol.diagnostic import Bib1
from protocol.external import External
from protocol.grs1 import SUTRS
from protocol.iso2709 import Field, MarcRecord, build, parse
from protocol.marcxml import to_marcxml
from protocol.oid import Oid
from protocol.record import MarcFamily
from protocol.task_package import (
    TASK_PACKAGE,
    UPDATE,
    CorrelationInfo,
    RecordStatus,
    SuppliedRecord,
    TaskPackage,
    TaskStatus,
    UpdateAction,
    UpdatePackage,
    UpdateParameters,
    UpdateRequest,
    UpdateResult,
    UpdateStatus,
    VersionNumber,
)
from tests.harness import RunningServer, lianmu
from tests.perl_updates import perl_updates
from tests.server.own_server import own_server
from tests.unit.test_validation import record_of
from tests.z3950_client import Client, connected, records

LOGIN = "srxx/pw"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with own_server(tmp_path_factory.mktemp("update"), {}, workers=2) as running:
        command(running, "add", "SRXX", "--name", "Library SRXX", "--password", "pw")
        rights = "search,download,holdings,upload"
        command(running, "account", "rights", "srxx", rights, "--reason", "cataloguer")
        command(running, "uploads", "SRXX", "on", "--reason", "agreement")
        command(
            running, "certificate", "add", "srxx", "--language", "chinese", "--level", "full",
            "--expires", "2099-12-31",
        )  # fmt: skip
        yield running


def command(server: RunningServer, *arguments: str) -> None:
    done = lianmu("member", *arguments, "--config", str(server.config))
    assert done.returncode == 0, done.stderr


def book(number: str, title: str, *changes: str) -> bytes:
    """A record unlike all others."""
    isbn = f"~010   $a7-{number}"
    record = record_of(
        MarcFamily.UNIMARC, f"~001 {number}", isbn, f"~200 1 $a{title}$f{title}", *changes
    )
    return build(record.leader, record.fields, oversize=True)


def update(
    client: Client,
    action: UpdateAction,
    *supplied: SuppliedRecord,
    version: Oid = oid.ES_UPDATE,
    qualifier: External | None = None,
    wait: int = apdu.WaitAction.WAIT,
) -> tuple[apdu.ExtendedServicesResponse, TaskPackage | None, UpdateResult | None]:
    to_keep = UpdateParameters(action=action, database_name="CN_CAT", action_qualifier=qualifier)
    request = apdu.ExtendedServicesRequest(
        reference_id=b"r", function=apdu.EsFunction.CREATE, package_type=version,
        wait_action=wait, task_specific_parameters=External.of(
            version, UPDATE, UpdateRequest(to_keep=to_keep, not_to_keep=supplied)
        ),
    )  # fmt: skip
    response = client.ask(request, apdu.ExtendedServicesResponse)
    assert response.reference_id == b"r"
    if response.task_package is None:
        return response, None, None
    assert response.task_package.direct_reference == oid.ES_TASK_PACKAGE
    package = response.task_package.decode(TASK_PACKAGE)
    assert package.task_specific_parameters.direct_reference == version
    inside = package.task_specific_parameters.decode(UPDATE)
    assert isinstance(inside, UpdatePackage)
    assert inside.origin_part == to_keep
    return response, package, inside.target_part


def supplied(record: bytes, **fields: object) -> SuppliedRecord:
    return SuppliedRecord(record=External(oid.UNIMARC, record), **fields)  # type: ignore[arg-type]


def inserted(client: Client, record: bytes) -> str:
    """The control number that a record was given."""
    _, package, _ = update(client, UpdateAction.RECORD_INSERT, supplied(record))
    assert package is not None
    assert package.target_reference is not None, package
    return package.target_reference.decode()


def diagnostics(given: tuple[DiagRec, ...]) -> list[tuple[int, str]]:
    return [
        (each.condition, each.addinfo.split(":")[0])
        for each in given
        if isinstance(each, apdu.DefaultDiagFormat)
    ]


def taken(client: Client, number: str) -> MarcRecord:
    found = client.search(f"@attr 1=12 {number}", "cn_cat")
    assert found.result_count == 1
    (record,) = records(client.present(1, 1, syntax=oid.UNIMARC))
    return parse(record)


@pytest.mark.parametrize(
    "version", [oid.ES_UPDATE, oid.ES_UPDATE_REVISION_0, oid.ES_UPDATE_FIRST], ids=str
)
def test_an_inserted_record_is_found_at_once_and_its_package_says_what_became_of_it(
    server: RunningServer, version: Oid
) -> None:
    title = f"新书{version.arcs[-1] if hasattr(version, 'arcs') else len(str(version))}甲"
    note = CorrelationInfo(note="mine", id=7)
    with connected(server.z3950, LOGIN) as client:
        record = supplied(book(f"i{len(str(version))}", title), record_id=b"1")
        record = dataclasses.replace(record, correlation_info=note)
        response, package, result = update(
            client, UpdateAction.RECORD_INSERT, record, version=version
        )
        assert response.operation_status == apdu.OperationStatus.DONE
        assert response.diagnostics == ()
        assert package is not None
        assert result is not None
        assert (package.task_status, package.user_id) == (TaskStatus.COMPLETE, "srxx")
        assert result.update_status == UpdateStatus.SUCCESS
        (one,) = result.task_package_records
        assert (one.record_status, one.correlation_info) == (RecordStatus.SUCCESS, note)
        assert isinstance(one.record_or_sur_diag, External)
        text = one.record_or_sur_diag.decode(SUTRS)
        number = (package.target_reference or b"").decode()
        assert text.startswith(f"control-number: {number}\nchange: created\nversion: 1\n005: 2")
        assert "\ncredit: accepted\n" in text
        assert client.search(f"@attr 1=4 {title}", "cn_cat").result_count == 1
        assert client.search("@attr 1=1044 SRXX", "cn_cat").result_count >= 1
        again, second, _ = update(client, UpdateAction.RECORD_INSERT, record, version=version)
        assert second is not None
        assert second.target_reference == package.target_reference
        assert again.operation_status == apdu.OperationStatus.DONE
    with connected(server.z3950, LOGIN) as other:
        assert other.search(f"@attr 1=4 {title}", "cn_cat").result_count == 1


def test_the_audit_names_the_protocol_and_address_of_record_and_holding(
    server: RunningServer,
) -> None:
    held = Field.of("905", "  ", [("a", "SRXX"), ("s", "G1")])
    record = parse(book("audited", "审计之书"))
    with connected(server.z3950, LOGIN) as client:
        number = inserted(client, build(record.leader, [*record.fields, held]))
    for kind in ("record", "holdings"):
        told = lianmu(
            "audit", "--protocol", "z3950", "--kind", kind, "--member", "SRXX", "--json",
            "--config", str(server.config),
        )  # fmt: skip
        assert told.returncode == 0, told.stderr
        rows = [json.loads(line) for line in told.stdout.splitlines()]
        (row,) = [each for each in rows if each["subject"] == f"cn_cat {number}"]
        assert (row["account"], row["protocol"], row["address"]) == ("srxx", "z3950", "127.0.0.1")
        assert (row["before"], row["after"]) == (
            ("", "version 1") if kind == "record" else ("absent", "present")
        )


def test_a_record_is_replaced_from_the_version_that_the_client_took(server: RunningServer) -> None:
    with connected(server.z3950, LOGIN) as client:
        number = inserted(client, book("r1", "替换之书"))
        record = taken(client, number)
        changed = MarcRecord(record.leader, [*record.fields, Field.of("300", "  ", [("a", "new")])])
        marc = build(changed.leader, changed.fields)
        named = supplied(marc, record_id=number)
        response, _, _ = update(client, UpdateAction.RECORD_REPLACE, named)
        assert response.operation_status == apdu.OperationStatus.DONE
        assert taken(client, number).first("300") is not None
        other = build(record.leader, [*record.fields, Field.of("300", "  ", [("a", "other")])])
        stale, package, result = update(client, UpdateAction.RECORD_REPLACE, supplied(other))
        assert stale.operation_status == apdu.OperationStatus.FAILURE
        incorrect = (
            Bib1.ES_IMMEDIATE_FAILED,
            "55 Cannot process update, incorrect or invalid version",
        )
        assert diagnostics(stale.diagnostics) == [incorrect]
        assert package is not None
        assert result is not None
        assert package.task_status == TaskStatus.ABORTED
        assert result.update_status == UpdateStatus.FAILURE
        given = result.task_package_records[0].record_or_sur_diag
        assert isinstance(given, tuple)
        assert diagnostics(given) == [incorrect]
        stamp = taken(client, number).first("005")
        assert stamp is not None
        for version in (VersionNumber("9"), GeneralizedTime("20200101000000.0"),
                        External(oid.UNIMARC, build(record.leader, record.fields))):  # fmt: skip
            wrong, _, _ = update(
                client, UpdateAction.RECORD_REPLACE, supplied(other, supplemental_id=version)
            )
            assert diagnostics(wrong.diagnostics) == [incorrect]
        right, _, _ = update(
            client, UpdateAction.RECORD_REPLACE,
            supplied(other, supplemental_id=GeneralizedTime(stamp.text)),
        )  # fmt: skip
        assert right.operation_status == apdu.OperationStatus.DONE
        last, _, _ = update(
            client, UpdateAction.RECORD_DELETE,
            supplied(b"", record_id=number.encode(), supplemental_id=VersionNumber("3")),
        )  # fmt: skip
        assert last.operation_status == apdu.OperationStatus.DONE, last
        assert client.search(f"@attr 1=12 {number}", "cn_cat").result_count == 0


def test_each_record_of_a_package_has_its_own_status(server: RunningServer) -> None:
    with connected(server.z3950, LOGIN) as client:
        first = inserted(client, book("p1", "成套之书"))
        response, package, result = update(
            client, UpdateAction.RECORD_INSERT,
            supplied(book("p2", "成套之书二", "~215   $a1页")),
            supplied(book("p1", "成套之书", "~215   $a355页"),
                     correlation_info=CorrelationInfo(note="b")),
            supplied(b"no record"),
        )  # fmt: skip
        assert response.operation_status == apdu.OperationStatus.DONE
        assert [condition for condition, _ in diagnostics(response.diagnostics)] == [224, 224]
        assert result is not None
        assert package is not None
        assert result.update_status == UpdateStatus.PARTIAL
        assert package.target_reference is None
        statuses = [each.record_status for each in result.task_package_records]
        assert statuses == [RecordStatus.SUCCESS, RecordStatus.FAILURE, RecordStatus.FAILURE]
        duplicate = result.task_package_records[1]
        assert duplicate.correlation_info == CorrelationInfo(note="b")
        assert isinstance(duplicate.record_or_sur_diag, tuple)
        (told,) = duplicate.record_or_sur_diag
        assert isinstance(told, apdu.DefaultDiagFormat)
        assert told.addinfo.startswith("58 Suspect duplicate")
        assert first in told.addinfo


def test_a_duplicate_is_taken_when_it_is_confirmed(server: RunningServer) -> None:
    with connected(server.z3950, LOGIN) as client:
        inserted(client, book("c1", "确认之书"))
        for number, record in (
            ("c2", {"correlation_info": CorrelationInfo(note="confirm-duplicate")}), ("c3", {}),
        ):  # fmt: skip
            qualifier = External(oid.SUTRS, b"confirm-duplicate") if not record else None
            response, _, _ = update(
                client, UpdateAction.RECORD_INSERT,
                supplied(book("c1", "确认之书", f"+300   $a{number}"), **record),
                qualifier=qualifier,
            )  # fmt: skip
            assert response.operation_status == apdu.OperationStatus.DONE, response


def test_special_update_inserts_or_replaces_and_takes_marcxml(server: RunningServer) -> None:
    with connected(server.z3950, LOGIN) as client:
        xml = to_marcxml(book("s1", "特殊之书")).encode()
        record = SuppliedRecord(record=External(oid.XML, xml))
        response, package, _ = update(
            client, UpdateAction.SPECIAL_UPDATE, record,
            wait=apdu.WaitAction.DONT_RETURN_PACKAGE,
        )  # fmt: skip
        assert (response.operation_status, package) == (apdu.OperationStatus.DONE, None)
        client.search("@attr 1=4 特殊之书", "cn_cat")
        (marc,) = records(client.present(1, 1, syntax=oid.UNIMARC))
        stored = parse(marc)
        changed = build(stored.leader, [*stored.fields, Field.of("300", "  ", [("a", "x")])])
        _, package, result = update(client, UpdateAction.SPECIAL_UPDATE, supplied(changed))
        assert result is not None
        (one,) = result.task_package_records
        assert isinstance(one.record_or_sur_diag, External)
        assert "change: replaced\nversion: 2" in one.record_or_sur_diag.decode(SUTRS)


# Programs that people use


@pytest.mark.real_client
def test_yaz_client_inserts_replaces_and_deletes(
    server: RunningServer, client_program: Callable[[str], str], tmp_path: Path
) -> None:
    def run(*lines: str) -> str:
        script = tmp_path / "commands"
        script.write_text(f"auth {LOGIN}\nopen {server.z3950}/cn_cat\n" + "\n".join(lines))
        done = subprocess.run(
            [client_program("yaz-client"), "-f", str(script)],
            capture_output=True, timeout=60, check=False,
        )  # fmt: skip
        return done.stdout.decode("utf-8", "replace")

    (tmp_path / "new.mrc").write_bytes(book("y1", "雅兹之书"))
    told = run(f"update insert 1 <{tmp_path}/new.mrc", "find @attr 1=4 雅兹之书", "quit")
    assert "Status: done" in told
    assert "Number of hits: 1" in told
    with connected(server.z3950, LOGIN) as client:
        client.search("@attr 1=4 雅兹之书", "cn_cat")
        (marc,) = records(client.present(1, 1, syntax=oid.UNIMARC))
    record = parse(marc)
    number = record.control_number
    assert number in told
    changed = build(record.leader, [*record.fields, Field.of("300", "  ", [("a", "changed")])])
    (tmp_path / "changed.mrc").write_bytes(changed)
    replaced = run(
        f"update replace {number} <{tmp_path}/changed.mrc", "format unimarc",
        f"find @attr 1=12 {number}", "show 1", "quit",
    )  # fmt: skip
    assert "Status: done" in replaced
    assert "changed" in replaced
    other = build(record.leader, [*record.fields, Field.of("300", "  ", [("a", "other")])])
    (tmp_path / "other.mrc").write_bytes(other)
    stale = run(f"update replace {number} <{tmp_path}/other.mrc", "quit")
    assert "Status: failure" in stale
    assert "55 Cannot process update, incorrect or invalid version" in stale
    with connected(server.z3950, LOGIN) as client:
        newest = taken(client, number)
    (tmp_path / "newest.mrc").write_bytes(build(newest.leader, newest.fields))
    deleted = run(
        f"update delete {number} <{tmp_path}/newest.mrc", f"find @attr 1=12 {number}", "quit"
    )
    assert "Status: done" in deleted, deleted
    assert "Number of hits: 0" in deleted


PERL = """
my %new = (action => 'recordInsert', record => $record, databaseName => 'cn_cat',
    syntax => 'unimarc');
update(%new);
update(%new);
$new{record} =~ s/354/355/;
update(%new);
update(%new, 'correlationInfo.note' => 'confirm-duplicate');
update(action => 'recordDelete', recordIdOpaque => 'lm999999999', databaseName => 'cn_cat',
    record => $record);
"""


@pytest.mark.real_client
def test_packages_of_perl_zoom_are_carried_out(
    server: RunningServer, client_program: Callable[[str], str], tmp_path: Path
) -> None:
    lines = perl_updates(
        client_program("perl"), f"{server.z3950}/cn_cat", LOGIN, tmp_path,
        book("z1", "佩尔之书"), PERL,
    )  # fmt: skip
    first, second, duplicate, confirmed, unknown = lines
    assert first.startswith("recordInsert lm"), lines
    assert second == first
    assert duplicate.startswith("refused 224 58 Suspect duplicate")
    assert confirmed.startswith("recordInsert lm")
    assert confirmed != first
    assert unknown.startswith("refused 224 50 Record not found")

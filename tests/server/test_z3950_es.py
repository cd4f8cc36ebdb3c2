"""Extended Services as a client on the wire sees them."""

from __future__ import annotations

import dataclasses
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from protocol import apdu, oid
from protocol.apdu_common import IntUnit, Unit
from protocol.apdu_services import Permission
from protocol.diagnostic import Bib1
from protocol.external import External
from protocol.oid import Oid
from protocol.task_package import (
    UPDATE,
    SuppliedRecord,
    UpdateAction,
    UpdateParameters,
    UpdateRequest,
)
from server.z3950.es import RECORDS_MAX
from tests.harness import RunningServer
from tests.z3950_client import connected

NO_RIGHT = (
    "53 Cannot delete or replace record or component, authorization failure:"
    " demo1 has no right to upload records: 'upload' is missing"
    " / 账号 demo1 无权上传记录，缺少权限 upload"
)
MARC = b"00026nam0 2200025   4500\x1e\x1d"


def update(
    action: int = UpdateAction.RECORD_INSERT,
    database: str = "we_cat",
    records: int = 1,
    version: Oid = oid.ES_UPDATE,
) -> External:
    supplied = SuppliedRecord(record=External(oid.USMARC, MARC))
    return External.of(
        version,
        UPDATE,
        UpdateRequest(
            to_keep=UpdateParameters(action=action, database_name=database),
            not_to_keep=(supplied,) * records,
        ),
    )


def request(**fields: object) -> apdu.ExtendedServicesRequest:
    values: dict[str, object] = {
        "reference_id": b"e",
        "function": apdu.EsFunction.CREATE,
        "package_type": oid.ES_UPDATE,
        "wait_action": apdu.WaitAction.WAIT,
        "task_specific_parameters": update(),
        **fields,
    }
    return apdu.ExtendedServicesRequest(**values)  # type: ignore[arg-type]


def refused(
    demo: RunningServer, asked: apdu.ExtendedServicesRequest, login: str | None = "demo1/demo1"
) -> tuple[int, str]:
    """The diagnostic of the answer, after which the session must still serve."""
    with connected(demo.z3950, login) as client:
        response = client.ask(asked, apdu.ExtendedServicesResponse)
        assert client.search("@attr 1=4 史记").search_status
    assert response.reference_id == asked.reference_id
    assert response.operation_status == apdu.OperationStatus.FAILURE
    diagnostic = response.diagnostics[0]
    assert isinstance(diagnostic, apdu.DefaultDiagFormat)
    return diagnostic.condition, diagnostic.addinfo


@pytest.mark.parametrize(
    "version", [oid.ES_UPDATE, oid.ES_UPDATE_REVISION_0, oid.ES_UPDATE_FIRST], ids=str
)
@pytest.mark.parametrize("action", list(UpdateAction))
def test_an_update_of_any_version_needs_the_right_to_upload(
    demo: RunningServer, version: Oid, action: UpdateAction
) -> None:
    asked = request(package_type=version, task_specific_parameters=update(action, version=version))
    if action == UpdateAction.ELEMENT_UPDATE:  # for which the right to holdings is enough
        condition, addinfo = refused(demo, asked)
        assert (condition, addinfo[:2]) == (Bib1.ES_IMMEDIATE_FAILED, "12")
    else:
        condition, addinfo = refused(demo, asked)
        assert condition == Bib1.ES_ID_NOT_AUTHORISED
        assert "demo1 has no right to" in addinfo
        assert "'upload' is missing" in addinfo


@pytest.mark.parametrize(
    "service",
    [
        oid.ES_PERSISTENT_RESULT_SET, oid.ES_PERSISTENT_QUERY, oid.ES_PERIODIC_QUERY_SCHEDULE,
        oid.ES_ITEM_ORDER, oid.ES_EXPORT_SPECIFICATION, oid.ES_EXPORT_INVOCATION,
        Oid.parse("1.2.3"),
    ],
    ids=str,
)  # fmt: skip
def test_any_other_service_is_221_with_its_identifier(demo: RunningServer, service: Oid) -> None:
    asked = request(package_type=service)
    assert refused(demo, asked) == (Bib1.ES_TYPE_UNSUPPORTED, str(service))


def _without_record() -> External:
    return dataclasses.replace(update(), data=update().data[:-4])


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"function": 9}, (Bib1.ES_INVALID_FUNCTION, "9")),
        ({"function": -1}, (Bib1.ES_INVALID_FUNCTION, "-1")),
        ({"wait_action": 0}, (Bib1.ES_INVALID_WAIT_ACTION, "0")),
        ({"function": apdu.EsFunction.DELETE, "package_name": "p"},
         (Bib1.ES_NO_SUCH_PACKAGE, "p")),
        ({"function": apdu.EsFunction.MODIFY}, (Bib1.ES_NO_SUCH_PACKAGE, "")),
        ({"permissions": (Permission(user_id="a", allowable_functions=(1, 7)),)},
         (Bib1.ES_PERMISSIONS_NOT_UNDERSTOOD, "7")),
        ({"permissions": (Permission(user_id="a", allowable_functions=(1, 4)),)},
         (Bib1.ES_ID_NOT_AUTHORISED, NO_RIGHT)),
        ({"task_specific_parameters": update(database="Default")},
         (Bib1.DATABASE_UNKNOWN, "Default")),
        ({"retention_time": IntUnit(-3, Unit(unit="d"))}, (Bib1.ES_RETENTION_TIME_ERROR, "-3")),
        ({"task_specific_parameters": None}, (Bib1.ES_MISSING_PARAMETER, "taskSpecificParameters")),
        ({"task_specific_parameters": External(oid.USMARC, MARC)},
         (Bib1.ES_TASK_OID_INVALID, str(oid.USMARC))),
        ({"task_specific_parameters": update(action=9)}, (Bib1.ES_INVALID_ACTION, "9")),
        ({"task_specific_parameters": update(database="nowhere")},
         (Bib1.DATABASE_UNKNOWN, "nowhere")),
        ({"task_specific_parameters": update(records=0)},
         (Bib1.ES_MISSING_PARAMETER, "suppliedRecords")),
        ({"task_specific_parameters": update(records=RECORDS_MAX + 1)},
         (Bib1.ES_TOO_MANY_RECORDS, str(RECORDS_MAX + 1))),
    ],
)  # fmt: skip
def test_what_is_wrong_in_a_request_is_named(
    demo: RunningServer, fields: dict[str, object], expected: tuple[int, str]
) -> None:
    assert refused(demo, request(**fields)) == expected


@pytest.mark.parametrize("data", [b"", b"\x05\x00", b"\xa1\x02\x30\x00", MARC], ids=bytes.hex)
def test_a_package_that_cannot_be_read_is_a_diagnostic(demo: RunningServer, data: bytes) -> None:
    asked = request(task_specific_parameters=External(oid.ES_UPDATE, data))
    condition, addinfo = refused(demo, asked)
    assert condition == Bib1.MALFORMED_APDU
    assert addinfo.startswith("Update: ")


def test_without_an_account_nothing_may_be_updated(demo: RunningServer) -> None:
    assert refused(demo, request(), login=None)[0] == Bib1.ES_ID_NOT_AUTHORISED


@pytest.mark.real_client
def test_the_update_of_yaz_client_is_read_and_answered(
    demo: RunningServer, client_program: Callable[[str], str], tmp_path: Path
) -> None:
    (tmp_path / "record.mrc").write_bytes(MARC)
    script = tmp_path / "commands"
    script.write_text(
        f"auth demo1/demo1\nopen {demo.z3950}/we_cat\n"
        f"update insert 1 {tmp_path}/record.mrc\nupdate0 replace 1 {tmp_path}/record.mrc\n"
        "itemorder 1 1\nfind @attr 1=1003 knuth\nquit\n"
    )
    done = subprocess.run(
        [client_program("yaz-client"), "-f", str(script)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.stdout.count("'upload' is missing") == 2, done.stdout
    assert str(oid.ES_ITEM_ORDER) in done.stdout
    assert "Search was a success" in done.stdout

"""Resource and access control as a client on the wire sees it."""

from __future__ import annotations

import pytest

from metering.interface import Usage
from protocol import apdu, oid
from protocol.resource_report import CURRENCY_CNY, RESOURCE_1, EstimateType, Resource1Report
from server.z3950.control import report_of
from tests.harness import RunningServer
from tests.z3950_client import Client, connected

Status = apdu.ResourceReportStatus


def report(client: Client, **fields: object) -> apdu.ResourceReportResponse:
    request = apdu.ResourceReportRequest(**fields)  # type: ignore[arg-type]
    return client.ask(request, apdu.ResourceReportResponse)


def contents(response: apdu.ResourceReportResponse) -> Resource1Report:
    assert response.resource_report is not None
    assert response.resource_report.direct_reference == oid.RESOURCE_1
    return response.resource_report.decode(RESOURCE_1)


def downloads(response: apdu.ResourceReportResponse) -> int:
    return next(
        each.value
        for each in contents(response).estimates
        if each.type == EstimateType.CURRENT_PRESENT_RECORDS
    )


def test_the_options_of_resource_control_and_extended_services_are_negotiated(
    demo: RunningServer,
) -> None:
    asked = frozenset(
        {
            apdu.Option.SEARCH, apdu.Option.RESOURCE_REPORT, apdu.Option.RESOURCE_CTRL,
            apdu.Option.TRIGGER_RESOURCE_CTRL, apdu.Option.EXTENDED_SERVICES,
        }
    )  # fmt: skip
    client = Client(demo.z3950)
    assert client.init("demo1/demo1", options=asked).options == asked
    client.close()


def test_a_report_tells_a_member_its_own_last_download_at_once(demo: RunningServer) -> None:
    with connected(demo.z3950, "demo2/demo2") as client:
        before = report(client, reference_id=b"r")
        assert before.reference_id == b"r"
        assert before.resource_report_status == Status.SUCCESS
        # A record that no other test takes: a second time within 30 s is a repeat.
        last = client.search("@attr 1=1016 @attr 2=103 x", "ru_cat").result_count
        client.present(last, 1, oid.UNIMARC)
        after = report(client)
        assert downloads(after) == downloads(before) + 1
        assert "DEMO2" in contents(after).message
        assert "quota" in contents(after).message


def test_the_estimate_is_in_fen_of_currency_156() -> None:
    usage = Usage("PKU", 2026, 5, 8, 0, 0, 6, 2, 200)
    found = report_of(usage)
    cost = found.estimates[1]
    assert (cost.value, cost.currency_code) == (200, CURRENCY_CNY)
    assert "8 downloads, quota 6, 2 over quota; estimated charge 2.00 CNY" in found.message


@pytest.mark.parametrize(
    ("preferred", "status"),
    [
        (None, Status.SUCCESS),
        (oid.RESOURCE_1, Status.SUCCESS),
        (oid.RESOURCE_2, Status.PARTIAL),  # a report, and not in that format
    ],
)
def test_a_report_in_another_format_than_preferred_is_partial(
    demo: RunningServer, preferred: oid.Oid | None, status: Status
) -> None:
    with connected(demo.z3950, "demo1/demo1") as client:
        response = report(client, pref_resource_report_format=preferred)
        assert response.resource_report_status == status
        contents(response)


def test_of_operations_that_are_over_nothing_is_known(demo: RunningServer) -> None:
    with connected(demo.z3950, "demo1/demo1") as client:
        client.search("@attr 1=4 art", "we_cat", reference_id=b"1")
        response = report(client, op_id=b"1")
        assert response.resource_report_status == Status.FAILURE_5
        assert response.resource_report is None


@pytest.mark.parametrize("login", [None, "admin/admin"])
def test_who_is_no_member_gets_no_report(demo: RunningServer, login: str | None) -> None:
    with connected(demo.z3950, login) as client:
        response = report(client)
        assert response.resource_report_status == Status.FAILURE_3
        assert response.resource_report is None


@pytest.mark.parametrize(
    "action", [apdu.RequestedAction.RESOURCE_REPORT, apdu.RequestedAction.RESOURCE_CONTROL]
)
def test_a_trigger_brings_a_report_that_wants_no_answer(
    demo: RunningServer, action: apdu.RequestedAction
) -> None:
    with connected(demo.z3950, "demo1/demo1") as client:
        request = client.ask(
            apdu.TriggerResourceControlRequest(reference_id=b"t", requested_action=action),
            apdu.ResourceControlRequest,
        )
        assert request.reference_id == b"t"
        assert request.triggered_request_flag
        assert not request.response_required
        assert request.resource_report is not None
        # A client that answers all the same does no harm.
        client.send(apdu.ResourceControlResponse(reference_id=b"t", continue_flag=True))
        assert client.search("@attr 1=4 史记").search_status


@pytest.mark.parametrize(
    "stray",
    [
        apdu.TriggerResourceControlRequest(requested_action=apdu.RequestedAction.CANCEL),
        apdu.TriggerResourceControlRequest(requested_action=99),
        apdu.ResourceControlResponse(continue_flag=False, result_set_wanted=False),
        apdu.AccessControlResponse(security_challenge_response=b"secret"),
        apdu.AccessControlResponse(diagnostic=apdu.DefaultDiagFormat.bib1(101)),
    ],
    ids=lambda each: type(each).__name__,
)
def test_what_asks_for_nothing_leaves_the_session_as_it_was(
    demo: RunningServer, stray: apdu.Apdu
) -> None:
    with connected(demo.z3950, "demo1/demo1") as client:
        found = client.search("@attr 1=4 史记")
        client.send(stray)
        again = client.search("@and @set default @set default", result_set_name="b")
        assert again.result_count == found.result_count

"""What is noted of a request: its service, how it ended, its diagnostics."""

from __future__ import annotations

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from protocol import apdu
from protocol.diagnostic import Bib1, Diagnostic, SruDiagnostic, SruFault
from protocol.sru_update import UpdateDiagnostic, UpdateFault
from server.metrics.counting import ENDLESS, Counting, note_faults, note_operation
from server.metrics.layout import DIAGNOSTICS, REFUSALS
from server.metrics.registry import Board, Snapshot

UNSUPPORTED = apdu.DefaultDiagFormat.of(Diagnostic(Bib1.USE_ATTRIBUTE_UNSUPPORTED, "9999"))
PRESENT = apdu.PresentRequest(
    result_set_id="default", result_set_start_point=1, number_of_records_requested=1
)


def present_response(records: apdu.Records | None) -> apdu.PresentResponse:
    return apdu.PresentResponse(
        number_of_records_returned=0, next_result_set_position=1,
        present_status=apdu.PresentStatus.FAILURE, records=records,
    )  # fmt: skip


def noted(response: apdu.Apdu) -> Snapshot:
    figures = Board(1).worker(0)
    Counting(figures).z3950(PRESENT, (response,), 1_000)
    return figures.snapshot()


@pytest.mark.parametrize(
    ("records", "refused", "diagnostics"),
    [
        (None, 0, 0),
        (UNSUPPORTED, 1, 1),
        (apdu.MultipleNonSurDiagnostics((UNSUPPORTED, UNSUPPORTED)), 1, 2),
        # One record that cannot be given is no refusal of the others.
        ((apdu.NamePlusRecord(record=apdu.SurrogateDiagnostic(UNSUPPORTED)),), 0, 1),
    ],
)
def test_a_present_is_refused_as_a_whole_or_in_single_records(
    records: apdu.Records | None, refused: int, diagnostics: int
) -> None:
    snapshot = noted(present_response(records))
    timed = snapshot.timing("z3950", "present")
    assert (timed.count, timed.refused) == (1, refused)
    assert snapshot.count(DIAGNOSTICS, "bib-1", "114") == diagnostics
    assert snapshot.count(DIAGNOSTICS) == diagnostics


def test_segments_have_diagnostics_too() -> None:
    item = apdu.NamePlusRecord(record=apdu.SurrogateDiagnostic(UNSUPPORTED))
    segment = apdu.Segment(number_of_records_returned=1, segment_records=(item,))
    assert noted(segment).count(DIAGNOSTICS, "bib-1", "114") == 1


def test_a_scan_is_refused_by_a_diagnostic_in_place_of_terms() -> None:
    response = apdu.ScanResponse(
        scan_status=apdu.ScanStatus.FAILURE, number_of_entries_returned=0,
        entries=apdu.ListEntries(nonsurrogate_diagnostics=(UNSUPPORTED,)),
    )  # fmt: skip
    snapshot = noted(response)
    assert snapshot.timing("z3950", "present").refused == 1
    assert snapshot.count(DIAGNOSTICS, "bib-1", "114") == 1


def request(path: str) -> web.Request:
    return make_mocked_request("GET", path)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/", "page"), ("/cn_cat", "page"), ("/search", "page"), ("/healthz", "health"),
        ("/readyz", "health"), ("/metrics", "metrics"), ("/assets/style.css", "assets"),
        ("/-/assets/app.css", "assets"), ("/status", "status"), ("/batch/1", "batch"),
        ("/api/v1/records", "api"), ("/api/batch/1", "batch"),
    ],
)  # fmt: skip
def test_a_page_is_counted_by_what_it_is_of(path: str, name: str) -> None:
    figures = Board(1).worker(0)
    Counting(figures).http(request(path), 200, 1_000)
    assert figures.snapshot().timing("http", name).answered == 1


@pytest.mark.parametrize(
    ("status", "answered", "refused", "failed"),
    [(200, 1, 0, 0), (304, 1, 0, 0), (401, 0, 1, 0), (503, 0, 1, 0), (500, 0, 0, 1)],
)
def test_how_a_request_ended_is_told_by_its_status(
    status: int, answered: int, refused: int, failed: int
) -> None:
    figures = Board(1).worker(0)
    Counting(figures).http(request("/status"), status, 1_000)
    timed = figures.snapshot().timing("http", "status")
    assert (timed.answered, timed.refused, timed.failed) == (answered, refused, failed)


def test_an_answer_that_goes_on_as_long_as_the_client_likes_is_not_timed() -> None:
    figures = Board(1).worker(0)
    asked = request("/status/events")
    asked[ENDLESS] = True
    Counting(figures).http(asked, 200, 10**12)
    assert figures.snapshot().timing("http", "status").count == 0


def test_sru_is_counted_by_its_operation_and_a_diagnostic_within_200_is_a_refusal() -> None:
    figures = Board(1).worker(0)
    asked = request("/cn_cat")
    note_operation(asked, "scan")
    note_faults(asked, [SruFault(SruDiagnostic.QUERY_SYNTAX_ERROR)])
    note_faults(asked, [UpdateFault(UpdateDiagnostic.SUSPECT_DUPLICATE)])
    Counting(figures).http(asked, 200, 1_000)
    snapshot = figures.snapshot()
    assert snapshot.timing("sru", "scan").refused == 1
    assert snapshot.timing("http", "page").count == 0
    assert snapshot.count(DIAGNOSTICS, "sru", "10") == 1
    assert snapshot.count(DIAGNOSTICS, "sru-update", "58") == 1


def test_refusals_are_counted_by_reason_and_no_other() -> None:
    figures = Board(1).worker(0)
    Counting(figures).refused("rate_limit")
    assert figures.snapshot().count(REFUSALS, "rate_limit") == 1
    with pytest.raises(KeyError):
        Counting(figures).refused("no such reason")

"""Spans of requests: what is in them, what is not, and what happens without the packages."""

from __future__ import annotations

import gzip
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from server import config as config_module
from server.config import ConfigError, Tracing, load_config
from server.metrics.counting import Counting
from server.metrics.registry import Board
from server.metrics.spans import Spans
from tests.faults.counting_clients import DATABASE
from tests.faults.exactness import prepare
from tests.harness import serving
from tests.metrics.test_counting import PRESENT, UNSUPPORTED, present_response, request
from tests.metrics.test_pages import get
from tests.z3950_client import connected

WITHIN_S = 30.0


def spans_of(counting: Counting, **settings: Any) -> tuple[Spans, InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    counting.spans = spans = Spans(Tracing(**settings), 3, exporter)
    return spans, exporter


def test_a_span_has_the_time_of_its_request_and_no_contents() -> None:
    counting = Counting(Board(1).worker(0))
    spans, exporter = spans_of(counting, service_name="test")
    counting.z3950(PRESENT, (present_response(UNSUPPORTED),), 2_000_000, "z0-1")
    counting.z3950_failed(PRESENT, 1_000, "z0-1")
    spans.close()
    refused, failed = exporter.get_finished_spans()
    assert refused.name == "z3950 present"
    assert refused.start_time is not None
    assert refused.end_time is not None
    assert refused.end_time - refused.start_time == 2_000_000
    assert abs(refused.end_time - time.time_ns()) < 60e9
    assert dict(refused.attributes or {}) == {
        "lianmu.session": "z0-1", "lianmu.diagnostic": "bib-1/114",
    }  # fmt: skip
    assert refused.resource.attributes["service.name"] == "test"
    assert refused.resource.attributes["service.instance.id"] == "worker-3"
    assert failed.status.status_code is StatusCode.ERROR
    assert refused.status.status_code is StatusCode.UNSET


def test_a_request_is_part_of_the_trace_that_its_header_names() -> None:
    counting = Counting(Board(1).worker(0))
    spans, exporter = spans_of(counting)
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    asked = request("/search")
    counting.http(asked.clone(headers={"traceparent": f"00-{trace}-00f067aa0ba902b7-01"}), 200, 1)
    counting.http(asked.clone(headers={"traceparent": "nonsense"}), 200, 1)
    counting.http(asked, 200, 1)
    spans.close()
    ids = [f"{span.context.trace_id:032x}" for span in exporter.get_finished_spans()]
    assert ids[0] == trace
    assert len(set(ids)) == 3


def test_only_the_share_asked_for_is_kept_and_health_checks_never() -> None:
    counting = Counting(Board(1).worker(0))
    spans, exporter = spans_of(counting, sample_ratio=0.25)
    asked = request("/search")
    for _ in range(2_000):
        counting.http(asked, 200, 1)
    for path in ("/healthz", "/readyz", "/metrics", "/assets/style.css"):
        counting.http(request(path), 200, 1)
    spans.close()
    found = exporter.get_finished_spans()
    assert 300 < len(found) < 700
    assert {span.name for span in found} == {"http page"}


def test_without_the_packages_the_configuration_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "config.toml"
    path.write_text('[tracing]\notlp_endpoint = "http://127.0.0.1:4318/v1/traces"\n')
    assert load_config(path).tracing.otlp_endpoint
    monkeypatch.setattr(config_module, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"pip install 'lianmu\[tracing\]' - at `\$\.tracing"):
        load_config(path)
    path.write_text("[tracing]\nsample_ratio = 0.5\n")
    load_config(path)


@contextmanager
def collector() -> Iterator[tuple[str, list[Any]]]:
    """Takes spans by OTLP over HTTP; gives its address and what came."""
    came: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                for scope in resource.scope_spans:
                    came.extend(scope.spans)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1/traces", came
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_server_sends_spans_of_both_protocols_and_nothing_of_what_was_asked(
    tmp_path: Path,
) -> None:
    with collector() as (endpoint, came):
        more = f'[tracing]\notlp_endpoint = "{endpoint}"\n'
        config = prepare(tmp_path, workers=1, more=more)
        with serving(config) as server:
            with connected(server.z3950, "ma/ma") as client:
                for _ in range(2):  # the second is answered at once
                    client.search("@attr 1=4 common", DATABASE)
                    client.present(1, 2)
            query = "version=1.2&operation=searchRetrieve&query=title=common&maximumRecords=1"
            for _ in range(2):
                assert get(server, f"/{DATABASE}?{query}", "ma:ma")[0] == 200
        # The worker sends what is left before it ends.
        names = [span.name for span in came]
        assert names.count("z3950 search") == names.count("z3950 present") == 2
        assert names.count("sru searchRetrieve") == 2
        assert names.count("z3950 init") == 1
        assert "Traceback" not in server.log
    text = "\n".join(str(span) for span in came)
    for secret in ("common", "k0000", '"ma"', "127.0.0.1", DATABASE):
        assert secret not in text, secret


def test_a_collector_that_is_not_there_holds_up_nobody(tmp_path: Path) -> None:
    more = '[tracing]\notlp_endpoint = "http://127.0.0.1:9/v1/traces"\n'
    with serving(prepare(tmp_path, workers=1, more=more)) as server:
        with connected(server.z3950, "ma/ma") as client:
            assert client.search("@attr 1=4 common", DATABASE).search_status
        begun_s = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - begun_s < WITHIN_S

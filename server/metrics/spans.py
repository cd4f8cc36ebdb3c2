"""Spans of requests for OpenTelemetry. Imported only where [tracing] is configured.

A span is made when its request has ended, with the times that were measured for the
metrics anyway, so no request carries anything about. No span holds what was asked for,
by whom or from where.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from server import VERSION
from server.config import Tracing

# A collector that does not answer holds up no worker that wants to end.
EXPORT_TIMEOUT_S = 2.0

Value = str | int
_PARENT = "traceparent"
_NO_PARENT = Context()


class Spans:
    """Sends the spans of one worker, from a thread of its own."""

    def __init__(self, config: Tracing, worker: int, exporter: SpanExporter | None = None) -> None:
        """`exporter` is where they go; None: by OTLP to the configured endpoint."""
        self._provider = TracerProvider(
            sampler=ParentBased(TraceIdRatioBased(config.sample_ratio)),
            resource=Resource.create(
                {
                    "service.name": config.service_name,
                    "service.version": VERSION,
                    "service.instance.id": f"worker-{worker}",
                }
            ),
            shutdown_on_exit=False,
        )
        if exporter is None:
            exporter = OTLPSpanExporter(config.otlp_endpoint, timeout=EXPORT_TIMEOUT_S)
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("lianmu", VERSION)
        self._propagator = TraceContextTextMapPropagator()

    def note(
        self,
        name: str,
        duration_ns: int,
        attributes: Mapping[str, Value],
        *,
        failed: bool = False,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """A request that has just ended; `headers` may name the trace that it is part of."""
        ended_ns = time.time_ns()
        parent = _NO_PARENT
        if headers is not None and _PARENT in headers:
            parent = self._propagator.extract({_PARENT: headers[_PARENT]}, _NO_PARENT)
        span = self._tracer.start_span(
            name, parent, SpanKind.SERVER, attributes=attributes, start_time=ended_ns - duration_ns
        )
        if failed:
            span.set_status(Status(StatusCode.ERROR))
        span.end(ended_ns)

    def close(self) -> None:
        """Send what is left; it blocks, for a few seconds at most."""
        self._provider.force_flush(int(EXPORT_TIMEOUT_S * 1000))
        self._provider.shutdown()

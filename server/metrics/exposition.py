"""The text of /metrics, in the format of Prometheus."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate

from prometheus_client.core import CollectorRegistry, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.registry import Collector

from server.metrics import definitions as d
from server.metrics.layout import BOUNDS_S, COUNTERS, DIAGNOSTICS, TIMED
from server.metrics.readings import Reading
from server.metrics.registry import Snapshot, Timed

CONTENT_TYPE = CONTENT_TYPE_LATEST

_LE = [f"{bound:g}" for bound in BOUNDS_S] + ["+Inf"]
_OF_PROCESS = {
    "event_loop_lag": d.EVENT_LOOP_LAG,
    "fold": d.FOLD_DURATION,
    "merge": d.MERGE_DURATION,
}


def render(total: Snapshot, readings: Sequence[Reading]) -> bytes:
    """Everything that all processes have counted, and the gauges, as text."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Families([*_counted(total), *_gauges(readings)]))
    return generate_latest(registry)


class _Families(Collector):
    """What `prometheus_client` asks for metrics, made before."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


def _counted(total: Snapshot) -> Iterator[Metric]:
    requests = CounterMetricFamily(d.REQUESTS.name, d.REQUESTS.help, labels=d.REQUESTS.labels)
    durations = _histogram(d.REQUEST_DURATION)
    for protocol, services in TIMED.items():
        for service in services if protocol != "process" else ():
            timed = total.timing(protocol, service)
            for outcome in ("answered", "refused", "failed"):
                requests.add_metric([protocol, service, outcome], getattr(timed, outcome))
            if timed.count:
                _add(durations, [protocol, service], timed)
    yield requests
    yield durations
    for name, definition in _OF_PROCESS.items():
        histogram = _histogram(definition)
        _add(histogram, [], total.timing("process", name))
        yield histogram
    for counter in COUNTERS:
        family = CounterMetricFamily(counter.name, counter.help, labels=counter.labels)
        for values in counter.values:
            count = total.count(counter, *values)
            # Of hundreds of conditions few are ever given.
            if count or counter is not DIAGNOSTICS:
                family.add_metric(values, count * counter.unit)
        yield family


def _histogram(definition: d.Metric) -> HistogramMetricFamily:
    return HistogramMetricFamily(definition.name, definition.help, labels=definition.labels)


def _add(histogram: HistogramMetricFamily, labels: Sequence[str], timed: Timed) -> None:
    cumulative = list(zip(_LE, accumulate(timed.buckets), strict=True))
    histogram.add_metric(labels, buckets=cumulative, sum_value=timed.total_ns / 1e9)


def _gauges(readings: Sequence[Reading]) -> Iterator[Metric]:
    by_metric: dict[d.Metric, list[Reading]] = {}
    for reading in readings:
        by_metric.setdefault(reading.metric, []).append(reading)
    for definition, found in by_metric.items():
        make = CounterMetricFamily if definition.kind == "counter" else GaugeMetricFamily
        family = make(definition.name, definition.help, labels=definition.labels)
        for reading in found:
            family.add_metric(reading.labels, reading.value)
        yield family

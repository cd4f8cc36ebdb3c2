"""Writes docs/operations/grafana-dashboard.json: `python -m docs.dashboard`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

PAGE = Path(__file__).with_name("operations") / "grafana-dashboard.json"

_SOURCE = {"type": "prometheus", "uid": "${datasource}"}
_WIDTH, _HEIGHT, _STAT_HEIGHT = 24, 8, 4
_THIRDS = 3


class Panel(NamedTuple):
    """`queries` are pairs of an expression and the name of its lines."""

    title: str
    unit: str
    queries: tuple[tuple[str, str], ...]
    kind: str = "timeseries"


def _rate(metric: str, by: str, labels: str = "") -> str:
    return f'sum by ({by}) (rate({metric}{{instance=~"$instance"{labels}}}[$__rate_interval]))'


def _quantile(quantile: float, metric: str, by: str = "", labels: str = "") -> str:
    grouped = f"{by}, le" if by else "le"
    return f"histogram_quantile({quantile}, {_rate(f'{metric}_bucket', grouped, labels)})"


def _value(metric: str, labels: str = "") -> str:
    return f'{metric}{{instance=~"$instance"{labels}}}'


DURATION = "lianmu_request_duration_seconds"
Z3950, SRU = ', protocol="z3950"', ', protocol="sru"'

ROWS: tuple[tuple[str, tuple[Panel, ...]], ...] = (
    ("Overview", (
        Panel("Ready", "short", ((f"min({_value('lianmu_ready')})", ""),), "stat"),
        Panel("Processes up", "short", ((f"sum({_value('lianmu_process_up')})", ""),), "stat"),
        Panel("Associations", "short", ((f"sum({_value('lianmu_sessions_open')})", ""),), "stat"),
        Panel("Records", "short", ((f"sum({_value('lianmu_catalogue_records')})", ""),), "stat"),
        Panel("Ledger entries", "short", ((_value("lianmu_ledger_entries"), ""),), "stat"),
        Panel("Age of the last backup", "s", (
            (f"time() - {_value('lianmu_backup_last_success_timestamp_seconds')}", ""),
        ), "stat"),
    )),
    ("Requests", (
        Panel("Z39.50 requests", "reqps", (
            (_rate("lianmu_requests_total", "service", Z3950), "{{service}}"),
        )),
        Panel("SRU requests", "reqps", (
            (_rate("lianmu_requests_total", "service", SRU), "{{service}}"),
        )),
        Panel("Other HTTP requests", "reqps", (
            (_rate("lianmu_requests_total", "service", ', protocol="http"'), "{{service}}"),
        )),
        Panel("Durations of Z39.50 searches", "s", tuple(
            (_quantile(q, DURATION, "", Z3950 + ', service="search"'), f"p{q * 100:g}")
            for q in (0.5, 0.95, 0.99)
        )),
        Panel("Durations of Presents", "s", tuple(
            (_quantile(q, DURATION, "", Z3950 + ', service="present"'), f"p{q * 100:g}")
            for q in (0.5, 0.95, 0.99)
        )),
        Panel("Durations of SRU searches", "s", tuple(
            (_quantile(q, DURATION, "", SRU + ', service="searchRetrieve"'), f"p{q * 100:g}")
            for q in (0.5, 0.95, 0.99)
        )),
        Panel("How requests ended", "reqps", (
            (_rate("lianmu_requests_total", "outcome"), "{{outcome}}"),
        )),
        Panel("Diagnostics", "cps", (
            (f"topk(10, {_rate('lianmu_diagnostics_total', 'set, condition')})",
             "{{set}} {{condition}}"),
        )),
        Panel("Refusals and errors", "cps", (
            (_rate("lianmu_refusals_total", "reason"), "{{reason}}"),
            (_rate("lianmu_failures_total", "instance"), "failures"),
            (_rate("lianmu_protocol_errors_total", "instance"), "protocol errors"),
        )),
    )),
    ("Metering", (
        Panel("Records and deliveries", "cps", (
            (_rate("lianmu_records_delivered_total", "protocol"), "records, {{protocol}}"),
            (_rate("lianmu_deliveries_entered_total", "instance"), "deliveries entered"),
            (_rate("lianmu_ledger_folded_total", "kind"), "folded, {{kind}}"),
        )),
        Panel("Not in the ledger yet", "short", (
            (_value("lianmu_ledger_unfolded_deliveries"), "deliveries"),
            (f"sum({_value('lianmu_deliveries_unconfirmed')})", "not taken by clients"),
        )),
        Panel("Age of the oldest delivery not in the ledger", "s", (
            (_value("lianmu_ledger_unfolded_age_seconds"), "age"),
            (f"time() - {_value('lianmu_ledger_last_fold_timestamp_seconds')}", "last fold"),
        )),
        Panel("Time of a durable write", "s", (
            (f"{_rate('lianmu_spool_write_seconds_total', 'instance')} / "
             f"{_rate('lianmu_spool_writes_total', 'instance')}", "mean"),
        )),
        Panel("Durations of folds", "s", tuple(
            (_quantile(q, "lianmu_fold_duration_seconds"), f"p{q * 100:g}") for q in (0.5, 0.99)
        )),
        Panel("Failures of metering and writer", "cps", (
            (_rate("lianmu_spool_write_failures_total", "instance"), "spool writes"),
            (_rate("lianmu_writer_failures_total", "chore"), "{{chore}}"),
        )),
    )),
    ("Catalogue", (
        Panel("Records by database", "short", (
            (_value("lianmu_catalogue_records"), "{{database}}"),
        )),
        Panel("Changed records not merged yet", "short", (
            (_value("lianmu_catalogue_delta_rows"), "records"),
        )),
        Panel("Merges", "s", (
            (_quantile(0.99, "lianmu_merge_duration_seconds"), "p99"),
            (f"time() - {_value('lianmu_catalogue_last_merge_timestamp_seconds')}", "last"),
        )),
    )),
    ("Processes", (
        Panel("Memory", "bytes", (
            (_value("lianmu_process_resident_memory_bytes"), "{{process}}"),
        )),
        Panel("Processor", "percentunit", (
            (_rate("lianmu_process_cpu_seconds_total", "process"), "{{process}}"),
        )),
        Panel("Lateness of event loops", "s", tuple(
            (_quantile(q, "lianmu_event_loop_lag_seconds"), f"p{q * 100:g}") for q in (0.5, 0.99)
        )),
        Panel("Open files, of those allowed", "percentunit", (
            (f"{_value('lianmu_process_open_files')} / "
             f"({_value('lianmu_process_open_files_max')} > 0)", "{{process}}"),
        )),
        Panel("Connections", "short", (
            (_value("lianmu_sessions_open"), "Z39.50, {{process}}"),
            (_value("lianmu_http_connections_open"), "HTTP, {{process}}"),
            (_rate("lianmu_sessions_total", "instance"), "new associations a second"),
        )),
        Panel("Starts of processes", "dateTimeAsIso", (
            (f"{_value('lianmu_process_start_time_seconds')} * 1000", "{{process}}"),
        )),
    )),
    ("Data folder and members", (
        Panel("Disk", "bytes", (
            (_value("lianmu_disk_free_bytes"), "free"),
            (_value("lianmu_disk_size_bytes"), "size"),
            (_value("lianmu_disk_free_bytes_min"), "wanted free"),
        )),
        Panel("Files", "bytes", (
            (_value("lianmu_file_size_bytes"), "{{file}}"),
            (_value("lianmu_catalogue_index_size_bytes"), "index, {{part}}"),
            (_value("lianmu_spool_size_bytes"), "spools"),
            (_value("lianmu_backup_last_size_bytes"), "last backup"),
        )),
        Panel("Spools", "short", ((_value("lianmu_spools"), "spools"),)),
        Panel("ISBN jobs", "short", ((_value("lianmu_batch_jobs"), "{{phase}}"),)),
        Panel("Members and settlements", "short", (
            (_value("lianmu_members"), "members, {{status}}"),
            (_value("lianmu_settlement_documents"), "{{year}}, {{status}}"),
        )),
        Panel("Certificates end in", "s", (
            (f"{_value('lianmu_certificate_expiry_timestamp_seconds')} - time()", "{{file}}"),
        )),
        Panel("What is amiss", "short", (
            (f"{_value('lianmu_ready')} == 0", "not ready: {{check}}"),
            (f"{_value('lianmu_metrics_part_failed')} == 1", "no metrics: {{part}}"),
        )),
        Panel("Versions", "short", ((_value("lianmu_build_info"), "{{version}}"),)),
    )),
)  # fmt: skip


def page() -> str:
    return json.dumps(dashboard(), indent=1, ensure_ascii=False) + "\n"


def dashboard() -> dict[str, Any]:
    panels: list[dict[str, Any]] = []
    y = 0
    for title, row in ROWS:
        panels.append(
            {"id": len(panels) + 1, "type": "row", "title": title, "collapsed": False,
             "gridPos": {"x": 0, "y": y, "w": _WIDTH, "h": 1}, "panels": []}
        )  # fmt: skip
        y += 1
        across = len(row) if row[0].kind == "stat" else _THIRDS
        height = _STAT_HEIGHT if row[0].kind == "stat" else _HEIGHT
        for place, panel in enumerate(row):
            width = _WIDTH // across
            at = {"x": place % across * width, "y": y + place // across * height}
            panels.append(_panel(len(panels) + 1, panel, {**at, "w": width, "h": height}))
        y += -(-len(row) // across) * height
    return {
        "title": "Lianmu 联目",
        "uid": "lianmu",
        "tags": ["lianmu", "z39.50"],
        "timezone": "browser",
        "editable": True,
        "schemaVersion": 39,
        "version": 1,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {"list": [
            {"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Source"},
            {"name": "instance", "type": "query", "label": "Server", "datasource": _SOURCE,
             "query": "label_values(lianmu_build_info, instance)", "refresh": 2,
             "includeAll": True, "multi": True, "allValue": ".*",
             "current": {"text": "All", "value": "$__all"}},
        ]},
        "panels": panels,
    }  # fmt: skip


def _panel(number: int, panel: Panel, place: dict[str, int]) -> dict[str, Any]:
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "datasource": _SOURCE,
        "gridPos": place,
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "targets": [
            {"refId": chr(ord("A") + letter), "datasource": _SOURCE, "expr": expression,
             "legendFormat": legend}
            for letter, (expression, legend) in enumerate(panel.queries)
        ],
    }  # fmt: skip


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")

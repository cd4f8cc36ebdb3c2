"""Every metric by name, with what it means: what /metrics tells and the docs list."""

from __future__ import annotations

from typing import NamedTuple

from server.metrics.layout import COUNTERS, Counter


class Metric(NamedTuple):
    """`kind` is "counter", "gauge" or "histogram"; a counter's name ends in _total."""

    name: str
    kind: str
    help: str
    labels: tuple[str, ...] = ()

    @property
    def series(self) -> tuple[str, ...]:
        """The names under which Prometheus keeps it."""
        if self.kind == "histogram":
            return tuple(f"{self.name}_{part}" for part in ("bucket", "sum", "count"))
        return (self.name,)


def _gauge(name: str, text: str, *labels: str) -> Metric:
    return Metric(f"lianmu_{name}", "gauge", text, labels)


REQUESTS = Metric(
    "lianmu_requests_total", "counter",
    "Requests by how they ended: answered, refused (a diagnostic, 4xx or 503) or failed (an error"
    " of the server).", ("protocol", "service", "outcome"),
)  # fmt: skip
REQUEST_DURATION = Metric(
    "lianmu_request_duration_seconds", "histogram",
    "From a request's octets to its answer handed to the connection, durable ledger entries"
    " included.", ("protocol", "service"),
)  # fmt: skip
EVENT_LOOP_LAG = Metric(
    "lianmu_event_loop_lag_seconds", "histogram",
    "How late a worker's event loop ran a timer of one second.",
)  # fmt: skip
FOLD_DURATION = Metric(
    "lianmu_fold_duration_seconds", "histogram",
    "Turns of the writer that fold spools and holdings into the ledger.",
)  # fmt: skip
MERGE_DURATION = Metric(
    "lianmu_merge_duration_seconds", "histogram",
    "Turns of the writer that merge changed records into the main index.",
)  # fmt: skip

BUILD = _gauge("build_info", "Always 1; the version is in the label.", "version")
PROCESS_UP = _gauge("process_up", "1 while the process runs and has turned lately.", "process")
PROCESS_START = _gauge("process_start_time_seconds", "When the process began.", "process")
PROCESS_MEMORY = _gauge("process_resident_memory_bytes", "Memory that it holds.", "process")
PROCESS_FILES = _gauge("process_open_files", "Open files and sockets.", "process")
PROCESS_FILES_MAX = _gauge("process_open_files_max", "How many it may open.", "process")
PROCESS_CPU = Metric(
    "lianmu_process_cpu_seconds_total", "counter", "Processor time, of user and system.",
    ("process",),
)  # fmt: skip
SESSIONS_OPEN = _gauge("sessions_open", "Z39.50 associations that are open.", "process")
CONNECTIONS_OPEN = _gauge("http_connections_open", "HTTP connections that are open.", "process")
UNCONFIRMED = _gauge(
    "deliveries_unconfirmed", "Deliveries whose octets wait to be taken by a client.", "process"
)
CATALOGUE_RECORDS = _gauge("catalogue_records", "Records that can be found.", "database")
DELTA_ROWS = _gauge("catalogue_delta_rows", "Changed records that wait to be merged.")
LAST_MERGE = _gauge(
    "catalogue_last_merge_timestamp_seconds", "When the writer last looked for records to merge."
)
INDEX_SIZE = _gauge(
    "catalogue_index_size_bytes",
    "What the index takes in catalogue.sqlite; looked at once an hour.", "part",
)  # fmt: skip
FILE_SIZE = _gauge("file_size_bytes", "Databases of the data folder and their logs.", "file")
SPOOLS = _gauge("spools", "Spools that are there, of running workers and of ended ones.")
SPOOL_SIZE = _gauge("spool_size_bytes", "What the spools take on disk, reserved room included.")
UNFOLDED = _gauge("ledger_unfolded_deliveries", "Deliveries in spools, not in the ledger yet.")
UNFOLDED_AGE = _gauge(
    "ledger_unfolded_age_seconds", "Age of the oldest delivery that is not in the ledger yet."
)
LAST_FOLD = _gauge("ledger_last_fold_timestamp_seconds", "When folding last succeeded.")
LEDGER_ENTRIES = _gauge("ledger_entries", "Entries of the ledger.")
SETTLEMENTS = _gauge(
    "settlement_documents",
    "Settlements by year and status: draft, final, note.", "year", "status",
)  # fmt: skip
MEMBERS = _gauge("members", "Institutions by the status of their membership.", "status")
BATCH_JOBS = _gauge("batch_jobs", "ISBN jobs that are kept, by phase.", "phase")
DISK_FREE = _gauge("disk_free_bytes", "Free room on the data folder's disk.")
DISK_SIZE = _gauge("disk_size_bytes", "Size of the data folder's disk.")
DISK_FREE_MIN = _gauge("disk_free_bytes_min", "What [server] disk_free_bytes_min asks to be free.")
READY = _gauge("ready", "Whether each thing that /readyz looks at is well: 1 or 0.", "check")
BACKUP_AT = _gauge(
    "backup_last_success_timestamp_seconds", "When the last whole backup began; none: 0."
)
BACKUP_SIZE = _gauge("backup_last_size_bytes", "Size of the last whole backup.")
CERTIFICATE_EXPIRY = _gauge(
    "certificate_expiry_timestamp_seconds", "When the certificate of TLS ends.", "file"
)
UNREADABLE = _gauge(
    "metrics_part_failed", "1 where a part of these metrics could not be read.", "part"
)

GAUGES = (
    BUILD, PROCESS_UP, PROCESS_START, PROCESS_MEMORY, PROCESS_FILES, PROCESS_FILES_MAX,
    PROCESS_CPU, SESSIONS_OPEN, CONNECTIONS_OPEN, UNCONFIRMED, CATALOGUE_RECORDS, DELTA_ROWS,
    LAST_MERGE, INDEX_SIZE, FILE_SIZE, SPOOLS, SPOOL_SIZE, UNFOLDED, UNFOLDED_AGE, LAST_FOLD,
    LEDGER_ENTRIES, SETTLEMENTS, MEMBERS, BATCH_JOBS, DISK_FREE, DISK_SIZE, DISK_FREE_MIN, READY,
    BACKUP_AT, BACKUP_SIZE, CERTIFICATE_EXPIRY, UNREADABLE,
)  # fmt: skip


def _of(counter: Counter) -> Metric:
    return Metric(counter.name, "counter", counter.help, counter.labels)


METRICS: tuple[Metric, ...] = (
    REQUESTS, REQUEST_DURATION, *(_of(counter) for counter in COUNTERS), EVENT_LOOP_LAG,
    FOLD_DURATION, MERGE_DURATION, *GAUGES,
)  # fmt: skip

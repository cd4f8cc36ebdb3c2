"""Whether the server can do its work, thing by thing: what /readyz says."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Mapping

from metering.interface import MeteringError
from metering.ledger_head import check_head
from server.config import Config
from server.metrics.layout import Level
from server.metrics.registry import Snapshot
from store.sizes import delta_rows
from store.sqlite import Refused, StoreError

# Whoever asks more often is told what was found a moment ago.
KEPT_S = 1.0
_PROBE_SIZE_BYTES = 8192


class Readiness:
    """Looks at the data folder and at the writer's row; its methods block on the disk."""

    def __init__(
        self,
        config: Config,
        writer: Callable[[], Snapshot],
        records: Callable[[], object],
        clock_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        """`writer` gives the writer's row, `records` reads the catalogue's counts."""
        self._config = config
        self._writer = writer
        self._records = records
        self._clock_ns = clock_ns
        self._checks: Mapping[str, Callable[[], object]] = {
            "catalogue": self._check_catalogue,
            "ledger": lambda: check_head(config.ledger_path),
            "spool": self._check_spool,
            "disk": self._check_disk,
            "writer": self._check_writer,
        }
        self._found: dict[str, str] = {}
        self._found_ns: int | None = None

    def failures(self) -> dict[str, str]:
        """Each thing that was looked at, with what is wrong with it; "": nothing."""
        now_ns = self._clock_ns()
        if self._found_ns is None or now_ns - self._found_ns > KEPT_S * 1e9:
            self._found = {name: _failure(check) for name, check in self._checks.items()}
            self._found_ns = now_ns
        return self._found

    def _check_catalogue(self) -> None:
        self._records()
        delta_rows(self._config.data_dir)

    def _check_spool(self) -> None:
        """A delivery that cannot be written down cannot be made."""
        folder = self._config.spool_dir
        # A name with a dot is no spool.
        probe = folder / f"probe.{os.getpid()}"
        try:
            with probe.open("wb", buffering=0) as file:
                file.write(bytes(_PROBE_SIZE_BYTES))
        finally:
            probe.unlink(missing_ok=True)

    def _check_disk(self) -> None:
        free, wanted = (
            shutil.disk_usage(self._config.data_dir).free,
            self._config.server.disk_free_bytes_min,
        )
        if free < wanted:
            raise OSError(f"{free} octets are free, disk_free_bytes_min asks for {wanted}")

    def _check_writer(self) -> None:
        row = self._writer()
        longest_s = self._config.server.writer_silence_s_max
        if not row.level(Level.PID):
            raise OSError("the writer process has not started")
        silent_s = (self._clock_ns() - row.level(Level.TURNED_NS)) / 1e9
        if silent_s > longest_s:
            raise OSError(f"the writer process has been silent for {silent_s:.0f} s")
        folded_s = (self._clock_ns() - row.level(Level.FOLDED_NS)) / 1e9
        if folded_s > longest_s + self._config.metering.fold_interval_s:
            raise OSError(f"nothing could be folded into the ledger for {folded_s:.0f} s")


def _failure(check: Callable[[], object]) -> str:
    try:
        check()
    except OSError as error:
        return error.strerror or str(error)
    except (MeteringError, StoreError, Refused) as error:
        return str(error)
    return ""

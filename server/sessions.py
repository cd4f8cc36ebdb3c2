"""Who is connected to this worker, and what it has done since it started."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class SessionInfo:
    """One association, as the status page shows it. Times are seconds since 1970.

    `certified_account` is the account that the client's TLS certificate stands
    for, "" for none; `account` the one that it came in with; `tls`: encrypted.
    """

    id: str
    protocol: str
    address: str
    certified_account: str = ""
    tls: bool = False
    account: str = ""
    institution: str = ""
    since: float = field(default_factory=time.time)
    last_request: float = field(default_factory=time.time)
    searches: int = 0
    presents: int = 0
    records: int = 0

    def as_json(self) -> dict[str, Any]:
        now = time.time()
        return {
            "id": self.id,
            "protocol": self.protocol,
            "tls": self.tls,
            "address": self.address,
            "account": self.account,
            "institution": self.institution,
            "connected_s": round(now - self.since, 1),
            "idle_s": round(now - self.last_request, 1),
            "searches": self.searches,
            "presents": self.presents,
            "records": self.records,
        }


@dataclass(slots=True)
class Counters:
    """What one worker has answered since it started."""

    sessions: int = 0
    searches: int = 0
    presents: int = 0
    records: int = 0
    sru_requests: int = 0
    sru_records: int = 0
    protocol_errors: int = 0
    failures: int = 0

    def as_json(self) -> dict[str, int]:
        return {name: getattr(self, name) for name in self.__slots__}


class Sessions:
    """The open associations of a worker and its counters."""

    def __init__(self, worker: int) -> None:
        self._worker = worker
        self._open: dict[str, SessionInfo] = {}
        self._started = 0
        self._ended = Counters()

    def __len__(self) -> int:
        return len(self._open)

    @property
    def counters(self) -> Counters:
        """Counters of ended sessions and of SRU, to be added to."""
        return self._ended

    def next_id(self, prefix: str) -> str:
        """An id that is unique among the workers, for the log and the ledger."""
        self._started += 1
        return f"{prefix}{self._worker}-{self._started}"

    def open(self, protocol: str, address: str) -> SessionInfo:
        info = SessionInfo(self.next_id("z"), protocol, address)
        self._open[info.id] = info
        self._ended.sessions += 1
        return info

    def close(self, info: SessionInfo) -> None:
        if self._open.pop(info.id, None) is not None:
            self._ended.searches += info.searches
            self._ended.presents += info.presents
            self._ended.records += info.records

    def as_json(self) -> dict[str, Any]:
        """This worker's part of `/status`."""
        totals = self._ended.as_json()
        for info in self._open.values():
            totals["searches"] += info.searches
            totals["presents"] += info.presents
            totals["records"] += info.records
        return {
            "worker": self._worker,
            "sessions": [info.as_json() for info in self._open.values()],
            "totals": totals,
        }

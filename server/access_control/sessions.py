"""Who is connected to this worker, and what it has done since it started."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from server.access_control.session_table import SessionTable


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
    place: int | None = None  # in the table of all workers, past Init

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

    def __init__(self, worker: int, table: SessionTable | None = None) -> None:
        self._worker = worker
        self._table = table
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

    def admit(
        self,
        info: SessionInfo,
        account: str,
        institution: str,
        of_account_max: int,
        of_institution_max: int,
    ) -> str | None:
        """Count a session that has signed in; the account or institution that has too many.

        None: it is let in. A bound of 0 is none. What the session counted as before
        counts no more.
        """
        self._leave(info)
        if self._table is None or not account:
            return None
        info.place = self._table.enter(account, institution)
        over: str | None = None
        if of_account_max and self._table.count_of_account(account) > of_account_max:
            over = account
        elif (
            of_institution_max
            and institution
            and (self._table.count_of_institution(institution) > of_institution_max)
        ):
            over = institution
        if over is not None:
            self._leave(info)
        return over

    def _leave(self, info: SessionInfo) -> None:
        if info.place is not None and self._table is not None:
            self._table.leave(info.place)
        info.place = None

    def close(self, info: SessionInfo) -> None:
        self._leave(info)
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

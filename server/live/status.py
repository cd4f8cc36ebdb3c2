"""The status of the whole server: every worker's sessions, the catalogue, the ledger.

What each worker knows alone, its open sessions, is asked of it over a socket in
the run folder; all else is where every process can read it (`server.live`).
"""

from __future__ import annotations

import asyncio
from collections import Counter as Tally
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from server import VERSION
from server.config import Config
from server.live.figures import Figures
from server.log import Log
from server.service import Service

PEER_TIMEOUT_S = 2.0
PEER_ANSWER_BYTES_MAX = 64 * 1024 * 1024
EVENTS_MAX = 100
TOTALS = ("sessions", "searches", "presents", "records", "sru_requests", "sru_records",
          "protocol_errors", "failures")  # fmt: skip

log = Log("lianmu.status")


def socket_path(config: Config, worker: int) -> Path:
    return config.run_dir / f"worker-{worker}.sock"


class StatusSocket:
    """Tells other workers about this one, over a socket that only this user may open."""

    def __init__(self, config: Config, service: Service) -> None:
        self._path = socket_path(config, service.worker)
        self._service = service
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        self._path.unlink(missing_ok=True)
        self._server = await asyncio.start_unix_server(self._answer, path=self._path)
        self._path.chmod(0o600)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            writer.write(msgspec.json.encode(self._service.sessions.as_json()))
            await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        self._path.unlink(missing_ok=True)


async def _ask(path: Path) -> dict[str, Any] | None:
    try:
        async with asyncio.timeout(PEER_TIMEOUT_S):
            reader, writer = await asyncio.open_unix_connection(path, limit=PEER_ANSWER_BYTES_MAX)
            try:
                answer: dict[str, Any] = msgspec.json.decode(await reader.read())
                return answer
            finally:
                writer.close()
    except (OSError, TimeoutError, msgspec.DecodeError) as error:
        log.warning("a worker did not tell its status", socket=path.name, reason=str(error))
        return None


class Status:
    """What one worker tells of the whole server."""

    def __init__(self, config: Config, service: Service) -> None:
        self._config = config
        self._service = service
        self._figures = Figures(config, service)

    async def collect(self, now: datetime | None = None, *, kept: bool = False) -> dict[str, Any]:
        """Everything `/status` shows. Money is in fen, times in UTC.

        `kept`: figures that cost something to read may be some seconds old.
        """
        now = now or datetime.now(UTC)
        workers = await asyncio.gather(
            *(
                self._own() if index == self._service.worker else _ask(self._socket(index))
                for index in range(self._config.workers)
            )
        )
        answered = [worker for worker in workers if worker is not None]
        sessions = [
            {"worker": worker["worker"], **session}
            for worker in answered
            for session in worker["sessions"]
        ]
        figures = await self._figures.read(kept=kept)
        return {
            "server": {
                "version": VERSION,
                "time": now.isoformat(timespec="seconds"),
                "workers": self._config.workers,
                "workers_answering": len(answered),
            },
            "sessions": sessions,
            "sessions_by_member": by_member(sessions),
            "totals": {name: sum(worker["totals"][name] for worker in answered) for name in TOTALS},
            "catalogue": dict(self._service.catalogue.totals()),
            "estimate": True,
            "recent": [asdict(event) for event in self._service.board.recent.events(EVENTS_MAX)],
            **self._figures.counted(),
            **figures,
        }

    async def _own(self) -> dict[str, Any]:
        return self._service.sessions.as_json()

    def _socket(self, worker: int) -> Path:
        return socket_path(self._config, worker)


def by_member(sessions: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Open sessions by protocol and member, the most first; "" is nobody's.

    Those over TLS are of the protocol with an `s` behind it.
    """
    counted: Tally[tuple[str, str]] = Tally()
    searches: Tally[tuple[str, str]] = Tally()
    records: Tally[tuple[str, str]] = Tally()
    for session in sessions:
        protocol = f"{session['protocol']}s" if session["tls"] else session["protocol"]
        key = (protocol, session["institution"])
        counted[key] += 1
        searches[key] += session["searches"]
        records[key] += session["records"]
    return [
        {"protocol": key[0], "institution": key[1], "sessions": count, "searches": searches[key],
         "records": records[key]}
        for key, count in counted.most_common()
    ]  # fmt: skip

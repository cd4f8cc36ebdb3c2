"""The status of the whole server: every worker's sessions, the catalogue, the ledger."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from metering.entry import accounting_day
from metering.estimate import estimate
from metering.interface import Usage
from metering.tariff import tariff_of_year
from server import VERSION
from server.accounting import Accounting
from server.config import Config
from server.log import Log
from server.service import Service
from store.members import Members

PEER_TIMEOUT_S = 2.0
PEER_ANSWER_BYTES_MAX = 64 * 1024 * 1024
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


async def collect(config: Config, service: Service, now: datetime | None = None) -> dict[str, Any]:
    """Everything `/status` shows. Money is in fen, times in UTC."""
    now = now or datetime.now(UTC)
    workers = await asyncio.gather(
        *(
            _own(service) if index == service.worker else _ask(socket_path(config, index))
            for index in range(config.workers)
        )
    )
    answered = [worker for worker in workers if worker is not None]
    year, _ = accounting_day(int(now.timestamp() * 1_000_000))
    ledger, members = await asyncio.to_thread(_figures, config, year)
    return {
        "server": {
            "version": VERSION,
            "time": now.isoformat(timespec="seconds"),
            "workers": config.workers,
            "workers_answering": len(answered),
        },
        "sessions": [
            {"worker": worker["worker"], **session}
            for worker in answered
            for session in worker["sessions"]
        ],
        "totals": {name: sum(worker["totals"][name] for worker in answered) for name in TOTALS},
        "catalogue": dict(service.catalogue.totals()),
        "ledger": ledger,
        "year": year,
        "estimate": True,
        "members": members,
    }


async def _own(service: Service) -> dict[str, Any]:
    return service.sessions.as_json()


def _figures(config: Config, year: int) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The state of the ledger, and each member's year as it stands."""
    members = Members(config.members_path)
    accounting = Accounting(config)
    try:
        usages = {usage.institution: usage for usage in accounting.usage.usage_all(year)}
        entries, head_hash = accounting.ledger.head()
        tariff = tariff_of_year(year, config.tariffs)
        rows = []
        for institution in members.institutions():
            usage = usages.get(institution.code, Usage(institution.code, year, 0, 0, 0, 0, 0, 0, 0))
            money = estimate(usage, tariff)
            rows.append(
                {"code": institution.code, "name": institution.name,
                 "status": institution.status, **asdict(usage),
                 "batch_fen": money.batch_fen, "credit_fen": money.credit_fen}
            )  # fmt: skip
        return {"entries": entries, "head_hash": head_hash.hex()}, rows
    finally:
        accounting.close()
        members.close()

"""What the ledger says of a round of traffic, held against what the clients counted."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import time
import urllib.request
from base64 import b64encode
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import argon2

from metering.entry import Entry, Kind, accounting_day
from metering.interface import Usage
from metering.spool import utc_us
from protocol.record import Holding, StoredRecord
from server.accounting.ledger import Accounting
from server.config import load_config
from store.members import Members
from store.writer import CatalogueWriter
from tests.faults.counting_clients import DATABASE, Key, Tally, record_number
from tests.harness import RunningServer, lianmu
from tests.server.own_server import marc21

MEMBERS = ("MA", "MB", "MC")
OPERATOR = "admin"
SMALL = 50
LARGE = 10  # of some 12 KB: a page of them is streamed, and a Present waits for its reader
CONFIG = """\
[server]
data_dir = "data"
workers = {workers}
connections_together = 1
[z3950]
port = 0
[http]
port = 0
access_log = false
[http.limits]
requests_per_minute = 0
requests_at_once = 0
[metering]
repeat_window_s = {repeat_window_s}
fold_interval_s = 0.05
"""
NOT_CONFIRMED = "not confirmed before its worker ended"
SETTLED_WITHIN_S = 30.0
REPLACED = re.compile(r"process replaced process=(\S+) pid=(\d+)")
# From entry to confirmation pass some 45 ms on an idle machine; this is for a busy one.
IN_FLIGHT_US = 5_000_000


def prepare(
    folder: Path, *, workers: int = 2, repeat_window_s: int | str = 0, more: str = ""
) -> Path:
    """A catalogue, three members and an operator; returns the configuration's path.

    Every account's password is its name; `more` is appended to the configuration.
    """
    path = folder / "config.toml"
    path.write_text(CONFIG.format(workers=workers, repeat_window_s=repeat_window_s) + more, "utf-8")
    config = load_config(path)
    writer = CatalogueWriter(
        config.data_dir, config.databases, durable=False, merge_after_records=None
    )
    with writer.transaction():
        for number in range(SMALL + LARGE):
            small = number < SMALL
            title = f"Common group{number % 5} {number}" if small else f"Large {number}"
            notes = ["A note. " * 40] if small else ["A long note. " * 50] * 20
            stored = writer.put(DATABASE, marc21(record_number(number), title, *notes))
            assert isinstance(stored, StoredRecord)
        writer.merge_all()
    writer.close()
    members = Members(config.members_path, create=True)
    # Servers are started again and again here, and each verifies every password anew.
    members._hasher = argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    for code in MEMBERS:
        members.add_member(code, f"Library {code}", code.lower(), 1)
    members.add_account(OPERATOR, OPERATOR, None, 1)
    members.close()
    return path


class Processes:
    """The children of a server by name: "writer", "worker-0" and so on."""

    def __init__(self, server: RunningServer) -> None:
        self._server = server
        pid = server.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii").split()
        # At first they are in the order in which they were started.
        names = ["writer", *(f"worker-{number}" for number in range(len(children) - 1))]
        self._pids = dict(zip(names, map(int, children), strict=True))

    @property
    def writer(self) -> int:
        return self._pids["writer"]

    @property
    def workers(self) -> list[int]:
        return [pid for name, pid in self._pids.items() if name != "writer"]

    def wait_until_replaced(self, dead: list[int], limit_s: float = 60.0) -> None:
        """Until each of the dead has a successor, and all are alive."""
        deadline = time.monotonic() + limit_s
        while True:
            for name, pid in REPLACED.findall(self._server.log):
                self._pids[name] = int(pid)
            now = set(self._pids.values())
            if not now.intersection(dead) and not any(map(has_ended, now)):
                return
            assert time.monotonic() < deadline, self._server.log
            time.sleep(0.02)


def has_ended(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/stat").read_text("utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return True
    return status[status.rindex(")") + 2] == "Z"


def wait_until_ended(pids: list[int], limit_s: float = 60.0) -> None:
    deadline = time.monotonic() + limit_s
    while not all(map(has_ended, pids)):
        assert time.monotonic() < deadline, f"{pids} go on without their supervisor"
        time.sleep(0.01)


def kill(pids: list[int]) -> int:
    """End processes as a crash does; returns the moment before, UTC in microseconds."""
    at_us = utc_us()
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    return at_us


def status_of_members(server: RunningServer) -> dict[str, dict[str, int]]:
    """What the status page tells its operator of each member's year."""
    request = urllib.request.Request(f"{server.url}/status")
    login = b64encode(f"{OPERATOR}:{OPERATOR}".encode()).decode()
    request.add_header("Authorization", f"Basic {login}")
    with urllib.request.urlopen(request, timeout=60) as response:
        status = json.load(response)
    return {member["code"]: member for member in status["members"]}


@dataclass
class Auditor:
    """Reads the data folder beside a running server, as `lianmu usage` and `ledger` do.

    Only with `repeat_window_s = 0` is every delivery billed, as `check` expects.
    """

    config_path: Path
    seen: int = 0  # number of the newest entry that was checked
    ids: set[str] = field(default_factory=set)
    delivered: Counter[Key] = field(default_factory=Counter)  # since the last audit
    billed_total: int = 0
    lost_total: int = 0

    def __post_init__(self) -> None:
        self.config = load_config(self.config_path)
        self.accounting = Accounting(self.config)
        self.ledger = self.accounting.ledger
        self._writer = CatalogueWriter(self.config.data_dir, self.config.databases, durable=False)
        self.held: set[tuple[str, int]] = set()
        self.killed_us: list[int] = []

    def close(self) -> None:
        self._writer.close()
        self.accounting.close()

    def change_holdings(self, chance: random.Random, count: int) -> None:
        """Add and remove holdings as uploads do, beside whatever goes on."""
        for _ in range(count):
            pair = chance.choice(MEMBERS), chance.randint(1, SMALL)
            if pair in self.held and chance.random() < 0.5:
                assert self._writer.remove_holding(*pair)
                self.held.discard(pair)
            else:
                self._writer.put_holding(Holding(*pair))
                self.held.add(pair)

    def figures(self) -> dict[str, Usage]:
        """Every member's year, with what is not folded yet."""
        year, _ = accounting_day(utc_us())
        return {usage.institution: usage for usage in self.accounting.usage.usage_all(year)}

    def downloads(self) -> dict[str, int]:
        figures = self.figures()
        return {code: figures[code].downloads if code in figures else 0 for code in MEMBERS}

    def check(self, server: RunningServer, before: dict[str, int], tally: Tally) -> None:
        """After a round: nobody is billed what it did not get, and everybody is told the same."""
        self.delivered.update(tally.received)
        now = self.downloads()
        for code in MEMBERS:
            billed, received = now[code] - before[code], tally.of(code)
            assert billed <= received, f"{code} got {received} records and is billed {billed}"
        shown = status_of_members(server)
        figures = self.figures()
        for code in MEMBERS:
            held = sum(institution == code for institution, _ in self.held)
            assert shown[code]["downloads"] == now[code]
            assert shown[code]["repeats"] == 0
            assert shown[code]["holdings_uploaded"] == held
            assert figures.get(code) is None or figures[code].holdings_uploaded == held

    def audit(self) -> None:
        """Fold what is left, and follow every entry since the last audit to its delivery."""
        entries = self._all_folded()
        new_ids = [entry.id for entry in entries]
        assert len(set(new_ids)) == len(new_ids)
        assert not self.ids.intersection(new_ids)
        self.ids.update(new_ids)
        deliveries = {entry.id: entry for entry in entries if entry.kind is Kind.DELIVERY}
        voids = [entry for entry in entries if entry.kind is Kind.VOID]
        assert len({void.refers_to for void in voids}) == len(voids)
        assert {void.refers_to for void in voids} <= deliveries.keys()
        billed = count(deliveries.values()) - count(voids)
        assert not billed - self.delivered, "billed and not delivered"
        lost = self.delivered - billed
        recovered = [void for void in voids if void.note == NOT_CONFIRMED]
        assert not lost - count(recovered), "delivered and neither billed nor reported"
        # What a crash takes back was on its way when it came, and the ledger says how much.
        for void in recovered:
            at_us = deliveries[void.refers_to].at_us
            open_us = min(abs(killed_us - at_us) for killed_us in self.killed_us)
            assert open_us < IN_FLIGHT_US, f"{void.refers_to} was open for {open_us} µs"
        # And it is the tail of what each connection was sent.
        tails: dict[tuple[str, str], bool] = {}
        taken_back = {void.refers_to for void in recovered}
        for entry in deliveries.values():
            session = entry.id.rpartition(":")[0], entry.session
            assert not tails.get(session) or entry.id in taken_back, f"{entry.id} behind a lost one"
            tails[session] = entry.id in taken_back
        reported = [entry.note for entry in entries if entry.kind is Kind.AUDIT]
        assert all(NOT_CONFIRMED in note for note in reported), reported
        assert sum(int(note.split()[0]) for note in reported) == len(recovered)
        self.billed_total += billed.total()
        self.lost_total += lost.total()
        self.delivered.clear()

    def verify(self) -> None:
        """The chain holds, and the sums that the ledger keeps are those of its entries."""
        found = self.ledger.verify()
        assert found.ok, found
        assert found.entries >= self.seen
        year, _ = accounting_day(utc_us())
        while True:
            head = self.ledger.head()
            recount: dict[str, list[int]] = {code: [0, 0, 0] for code in MEMBERS}
            for entry in self.ledger.entries(year=year):
                if entry.institution:
                    sums = recount[entry.institution]
                    sums[0] += entry.quantity if entry.meter == "download" else 0
                    sums[1] += entry.quantity if entry.meter == "holding" else 0
                    sums[2] += entry.kind is Kind.VOID
            totals = self.ledger.totals(year)
            if head == self.ledger.head():  # or the server's writer has come in between
                break
        for code in MEMBERS:
            kept = totals[code]
            assert recount[code] == [kept.downloads, kept.holdings, kept.voided]
            assert kept.holdings == sum(institution == code for institution, _ in self.held)

    def tells_the_command_line(self, server: RunningServer) -> None:
        """`lianmu usage` and `/status` agree on every figure."""
        shown = status_of_members(server)
        for code in MEMBERS:
            done = lianmu("usage", code, "--json", "--config", str(self.config_path))
            assert done.returncode == 0, done.stderr
            told = json.loads(done.stdout)
            same = told.keys() - {"estimate", "documents", "open_fen"}
            assert {n: told[n] for n in same} == {n: shown[code][n] for n in same}

    def _all_folded(self) -> list[Entry]:
        """Entries since the last audit, once the ledger holds all that the spools do."""
        deadline = time.monotonic() + SETTLED_WITHIN_S
        year, _ = accounting_day(utc_us())
        while True:
            self.accounting.folder.fold(lag_us=0)
            totals = self.ledger.totals(year)
            in_ledger = {code: totals[code].downloads for code in MEMBERS if code in totals}
            if {code: in_ledger.get(code, 0) for code in MEMBERS} == self.downloads():
                break
            assert time.monotonic() < deadline, "the spools are never folded"
            time.sleep(0.02)
        entries = list(self.ledger.entries(after=self.seen))
        if entries:
            self.seen = entries[-1].seq
        return entries


def count(entries: Iterable[Entry]) -> Counter[Key]:
    return Counter((entry.institution, entry.control_number) for entry in entries)


@contextmanager
def auditing(config_path: Path) -> Iterator[Auditor]:
    auditor = Auditor(config_path)
    try:
        yield auditor
    finally:
        auditor.close()

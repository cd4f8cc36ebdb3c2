"""How long it takes to answer the pages of operators and members over a large ledger.

    python -m benchmarks.console                          1,000,000 entries, 200 members
    python -m benchmarks.console --entries 10000000 --folder /var/tmp/big    kept and used again
    python -m benchmarks.console --entries 5000 --members 10 --rounds 2      a quick look

A ledger of one year is made: deliveries in the order of time, spread evenly over members
and days, and one holding uploaded for every forty of them. Each page is asked for by a
browser that has signed in, several times one after the other; the time is from its request
to the last octet of the page, on the same machine, so the server took no longer.
"""

from __future__ import annotations

import argparse
import contextlib
import http.cookiejar
import random
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from urllib.parse import urlencode

from rich.console import Console
from rich.progress import track
from rich.table import Table

from metering.entry import Draft, Kind, span_of_day_us, year_span_us
from metering.ledger import Ledger
from server.config import Config, load_config
from server.processes.writer_process import prepare
from store.members import Members
from store.membership import Membership

YEAR = 2025
GOAL_MS = 200.0
MEMBER = 1  # whose own pages are asked for
HOLDING_EVERY = 40
BATCH_ENTRIES = 20_000
RECORDS = 2_000_000  # that deliveries are of
START_TIMEOUT_S = 120.0
CONFIG = """\
[server]
data_dir = "data"
workers = 1
[z3950]
port = 0
[http]
port = 0
[http.limits]
requests_per_minute = 0
"""
SOURCE = "20250101T000000Z-00000000"
_READY = re.compile(r"^READY z3950=\S+ http=(\S+)")
_TOKEN = re.compile(r'name="token" value="([^"]+)"')


def make(folder: Path, entries: int, members: int) -> Config:
    """The data folder of the benchmark; one that is there already is used as it is."""
    path = folder / "config.toml"
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(CONFIG)
    config = load_config(path)
    if config.ledger_path.exists():
        return config
    prepare(config)
    middle_us = span_of_day_us(YEAR * 10_000 + 615)[0]
    with contextlib.closing(Members(config.members_path, create=True)) as opened:
        opened.add_account("bench", "bench", None, middle_us)
        membership = Membership(opened)
        opened.add_member(code(MEMBER), "The library that looks", "bench", middle_us)
        for number in range(members):
            if number == MEMBER:
                continue
            membership.register(code(number), f"Library {number}", middle_us, who="bench")
            membership.sign(code(number), middle_us, who="bench")
    first_us, last_us = year_span_us(middle_us)
    step_us = (last_us - first_us) // entries
    chance = random.Random(1)
    with contextlib.closing(Ledger(config.ledger_path, rules=config.counting_rules)) as ledger:
        for begin in track(range(0, entries, BATCH_ENTRIES), "entries"):
            drafts = [
                _draft(number, first_us + number * step_us, code(chance.randrange(members)), chance)
                for number in range(begin, min(begin + BATCH_ENTRIES, entries))
            ]
            # Holdings part the runs of deliveries that become pages, so they come after them.
            drafts.sort(key=lambda draft: draft.kind is Kind.HOLDING_ADDED)
            with ledger.writing() as transaction:
                transaction.append_new(drafts)
    return config


def code(number: int) -> str:
    """The code of a member."""
    return f"LIB{number:04}"


def _draft(number: int, at_us: int, institution: str, chance: random.Random) -> Draft:
    record_id = chance.randrange(RECORDS)
    is_holding = number % HOLDING_EVERY == 0
    return Draft(
        id=f"h:{number}" if is_holding else f"{SOURCE}:{number}",
        kind=Kind.HOLDING_ADDED if is_holding else Kind.DELIVERY,
        at_us=at_us, institution=institution, account=institution.lower(), database="cn_cat",
        record_id=record_id, control_number=f"{record_id:012}", protocol="z3950", session="s",
    )  # fmt: skip


def pages(member: str) -> dict[str, str]:
    """What is asked for, by name."""
    of_member = f"/-/console/members/{member}"
    return {
        "members": f"/-/console/members?year={YEAR}",
        "members by downloads": f"/-/console/members?year={YEAR}&sort=downloads&order=down",
        "member": f"{of_member}?year={YEAR}",
        "month": f"{of_member}/{YEAR}/6",
        "day": f"{of_member}/{YEAR}0615",
        "day, holdings": f"{of_member}/{YEAR}0615?meter=holding",
        "day, one record": f"{of_member}/{YEAR}0615?record=000000000001",
        "entry": f"/-/console/entry?{urlencode({'id': f'{SOURCE}:777'})}",
        "jobs": "/-/console/jobs",
        "duplicates": "/-/console/duplicates",
        "settlement": f"/-/console/settlement?year={YEAR}",
        "tariff": "/-/console/tariff",
        "audit": "/-/console/audit",
    }


def pages_of_member() -> dict[str, str]:
    """What a member asks for of its own, by name."""
    return {
        "my overview": f"/-/my/overview?year={YEAR}",
        "my ledger": "/-/my/ledger",
        "my ledger, a month": f"/-/my/ledger?from={YEAR}-03-01&to={YEAR}-03-31&meter=holding",
        "my ledger, one record": "/-/my/ledger?record=000000000001",
        "my holdings": "/-/my/holdings",
        "my jobs": "/-/my/batch",
        "my accounts": "/-/my/accounts",
        "my statements": "/-/my/statements",
    }


class Browser:
    """Signed in with an account whose password is `bench`."""

    def __init__(self, root: str, account: str) -> None:
        self._root = root
        jar = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
        self._opener = urllib.request.build_opener(jar)
        token = _TOKEN.search(self.get("/-/sign-in"))
        assert token is not None
        form = {"token": token[1], "account": account, "password": "bench", "next": "/"}
        self._opener.open(root + "/-/sign-in", urlencode(form).encode(), timeout=60).read()

    def get(self, path: str) -> str:
        request = urllib.request.Request(self._root + path, headers={"Accept": "text/html"})
        with self._opener.open(request, timeout=600) as response:
            return str(response.read().decode())


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[str]:
    """The address of a server over the folder."""
    process = subprocess.Popen(
        [sys.executable, "-m", "server", "serve", "--config", str(folder / "config.toml")],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    lines: list[str] = []
    address: list[str] = []
    ready = threading.Event()

    def read() -> None:
        assert process.stdout is not None
        for line in process.stdout:
            lines.append(line)
            found = _READY.match(line)
            if found:
                address.append(found[1])
                ready.set()
        ready.set()

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        if not ready.wait(START_TIMEOUT_S) or not address:
            raise RuntimeError("the server did not start:\n" + "".join(lines))
        yield f"http://{address[0]}"
    finally:
        process.terminate()
        process.wait(60)
        reader.join(60)
        assert process.stdout is not None
        process.stdout.close()


def measure(folder: Path, rounds: int) -> dict[str, list[float]]:
    """Milliseconds by page, the first of each before anything is kept.

    Raises:
        urllib.error.HTTPError: a page was not answered with 200.
    """
    with serving(folder) as root:
        times: dict[str, list[float]] = {}
        for account, asked in (
            ("bench", pages(code(MEMBER))), (code(MEMBER).lower(), pages_of_member()),
        ):  # fmt: skip
            browser = Browser(root, account)
            for _ in range(rounds):
                for name, path in asked.items():
                    begun = time.perf_counter()
                    browser.get(path)
                    times.setdefault(name, []).append((time.perf_counter() - begun) * 1000)
    return times


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--entries", type=int, default=1_000_000)
    parser.add_argument("--members", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--folder", type=Path, help="kept afterwards; else a temporary one")
    options = parser.parse_args(arguments)
    folder = options.folder or Path(tempfile.mkdtemp(prefix="lianmu-console-"))
    try:
        make(folder, options.entries, options.members)
        found = measure(folder, options.rounds)
    finally:
        if options.folder is None:
            shutil.rmtree(folder)
    table = Table(title=f"{options.entries:,} entries, {options.members} members: ms")
    for heading in ("page", "first", "median", "slowest"):
        table.add_column(heading, justify="left" if heading == "page" else "right")
    for name, times in found.items():
        later = times[1:] or times
        table.add_row(name, f"{times[0]:.1f}", f"{median(later):.1f}", f"{max(later):.1f}")
    Console().print(table)
    slowest = max(median(times[1:] or times) for times in found.values())
    return 0 if slowest <= GOAL_MS else 1


if __name__ == "__main__":
    sys.exit(main())

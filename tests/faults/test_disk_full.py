"""Disks that are full or read-only, under the whole server: before it starts and in traffic.

No record leaves unmetered, every client is told why, and counting goes on by
itself once there is room again.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import resource
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.faults.counting_clients import Tally, Traffic
from tests.faults.exactness import MEMBERS, Auditor, Processes, auditing, prepare
from tests.harness import RunningServer, lianmu, serving
from tests.server.own_server import marc21

REASON = "downloads cannot be entered at present"
DISK_BYTES = 48 << 20
FILLING = "filling"
WITHIN_S = 60.0


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, which only root may mount."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    if mount.returncode:
        if os.environ.get("CI"):
            pytest.fail(f"no file system may be mounted: {mount.stderr}")
        pytest.skip("only root may mount a file system")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(folder: Path) -> None:
    """A file that takes all the room there is."""
    with (folder / FILLING).open("ab", buffering=0) as file:
        for size in (1 << 20, 4_096, 512):
            try:
                while True:
                    file.write(bytes(size))
            except OSError as error:
                assert error.errno == errno.ENOSPC


def empty(folder: Path) -> None:
    (folder / FILLING).unlink()


def wait_until(what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WITHIN_S
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def refused_by_both(tally: Tally) -> bool:
    refused = list(tally.refused)
    return any("<" in text for text in refused) and any("<" not in text for text in refused)


def nothing_comes(tally: Tally) -> bool:
    received = tally.total()
    time.sleep(0.5)
    return tally.total() == received


def traffic_over(
    server: RunningServer,
    auditor: Auditor,
    take_room: Callable[[], object],
    give_room: Callable[[], object],
) -> None:
    """What every full disk must come to: withheld, told, and exact again afterwards."""
    before = auditor.downloads()
    traffic = Traffic.begin(server.z3950, server.http, MEMBERS, each=2, seed=1)
    tally = traffic.tally
    traffic.wait_until_busy()
    take_room()
    wait_until(lambda: refused_by_both(tally) and nothing_comes(tally))
    # What costs nothing is answered as ever.
    refused, free, received = len(tally.refused), tally.free, tally.total()
    wait_until(lambda: tally.free > free and len(tally.refused) > refused)
    assert tally.total() == received
    give_room()
    wait_until(lambda: tally.total() > received + 200)
    traffic.end()
    assert tally.cut == 0
    for text in set(tally.refused):
        assert REASON in text
        assert text == f"2 {REASON}" or "info:srw/diagnostic/1/2<" in text
    auditor.check(server, before, tally)
    # Nobody died: what was delivered is billed, to the last record.
    now = auditor.downloads()
    assert {code: now[code] - before[code] for code in MEMBERS} == {
        code: tally.of(code) for code in MEMBERS
    }
    assert "Traceback" not in server.log
    assert server.log.count("records withheld") >= 1


@pytest.mark.long  # until the room that the spools have reserved is used up
def test_a_disk_that_fills_under_traffic_withholds_records_until_it_has_room(
    small_disk: Path,
) -> None:
    config = prepare(small_disk)
    with auditing(config) as auditor, serving(config) as server:
        traffic_over(server, auditor, lambda: fill(small_disk), lambda: empty(small_disk))
        wait_until(lambda: server.log.count("chore failed") == server.log.count("works again"))
        auditor.audit()
        auditor.verify()


def test_workers_that_may_write_to_no_file_withhold_records_until_they_may(
    tmp_path: Path,
) -> None:
    """The same for any user, and for a spool that fails on its first octet."""
    config = prepare(tmp_path)
    with auditing(config) as auditor, serving(config) as server:
        workers = Processes(server).workers

        def limit(size: int) -> None:
            for pid in workers:
                resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

        traffic_over(server, auditor, lambda: limit(0), lambda: limit(resource.RLIM_INFINITY))
        auditor.audit()
        auditor.verify()


def test_a_server_whose_disk_is_full_from_its_first_delivery_on(small_disk: Path) -> None:
    config = prepare(small_disk)
    with auditing(config) as auditor, serving(config) as server:
        fill(small_disk)
        before = auditor.downloads()
        traffic = Traffic.begin(server.z3950, server.http, MEMBERS, each=2, seed=2)
        wait_until(lambda: refused_by_both(traffic.tally))
        assert traffic.tally.total() == 0
        empty(small_disk)
        wait_until(lambda: traffic.tally.total() > 0)
        tally = traffic.end()
        auditor.check(server, before, tally)
        auditor.audit()


def not_ready(server: RunningServer) -> set[str]:
    """What /readyz complains of."""
    try:
        with urllib.request.urlopen(f"{server.url}/readyz", timeout=30) as response:
            checks = json.load(response)["checks"]
    except urllib.error.HTTPError as error:
        with error:
            assert error.code == 503
            checks = json.load(error)["checks"]
    return {name for name, check in checks.items() if not check["ok"]}


def test_a_server_on_a_full_disk_is_not_ready_until_there_is_room(small_disk: Path) -> None:
    config = prepare(small_disk)
    settings = "disk_free_bytes_min = 4_000_000\nwriter_silence_s_max = 600.0\n[z3950]\n"
    config.write_text(config.read_text("utf-8").replace("[z3950]\n", settings))
    with serving(config) as server:
        wait_until(lambda: not not_ready(server))
        fill(small_disk)
        wait_until(lambda: not_ready(server) == {"disk", "spool"})
        empty(small_disk)
        wait_until(lambda: not not_ready(server))
        assert "Traceback" not in server.log


COMMANDS = [
    ["serve"],
    ["member", "charset", "MA", "gb18030"],
    ["member", "key", "add", "MA", "ils"],
    ["load", "--database", "we_cat", "{records}"],
    ["usage", "MA"],
]
MORE_COMMANDS = [
    ["member", "add", "THU", "--name", "Tsinghua"],
    ["member", "key", "revoke", "MA", "old"],
    ["operator", "add", "second"],
    ["reindex"],
    ["doctor"],
]


@contextlib.contextmanager
def full(folder: Path) -> Iterator[None]:
    fill(folder)
    try:
        yield
    finally:
        empty(folder)


@pytest.mark.parametrize(
    "commands", [COMMANDS, pytest.param(MORE_COMMANDS, marks=pytest.mark.long)], ids=["", "more"]
)
def test_commands_on_a_full_disk_say_so_in_one_line(
    small_disk: Path, tmp_path: Path, commands: list[list[str]]
) -> None:
    config = prepare(small_disk)
    made = lianmu("member", "key", "add", "MA", "old", "--config", str(config))
    assert made.returncode == 0, made.stderr
    records = tmp_path / "records.mrc"
    records.write_bytes(b"".join(marc21(f"n{number}", "New" * 900) for number in range(2_000)))
    with full(small_disk):
        for command in commands:
            words = [word.format(records=records) for word in command]
            done = lianmu(*words, "--config", str(config), timeout_s=30.0)
            lines = done.stderr.splitlines()
            assert done.returncode == 2, (command, done)
            assert len(lines) == 1, (command, lines)
            assert lines[0].startswith("lianmu: "), (command, lines)
            assert "full" in lines[0] or "no room" in lines[0] or "No space" in lines[0], lines
            assert "READY" not in done.stdout
    # And nothing was harmed.
    with serving(config) as server:
        assert "Traceback" not in server.log
    done = lianmu("doctor", "--json", "--config", str(config))
    problems = [each for each in json.loads(done.stdout)["findings"] if each["is_problem"]]
    # A disk of this size is what it finds amiss, and rightly.
    assert {each["part"] for each in problems} <= {"disk"}, problems


def test_a_read_only_disk_stops_serve_in_one_line(small_disk: Path, tmp_path: Path) -> None:
    prepare(small_disk)
    # Another way to the same files, by which none may be written.
    read_only = tmp_path / "read-only"
    read_only.mkdir()
    for options in (["--bind", str(small_disk)], ["-o", "remount,bind,ro"]):
        subprocess.run(["mount", *options, str(read_only)], check=True)
    try:
        for command in COMMANDS[:3]:
            config = read_only / "config.toml"
            done = lianmu(*command, "--config", str(config), timeout_s=30.0)
            lines = done.stderr.splitlines()
            assert (done.returncode, len(lines)) == (2, 1), (command, done)
            assert "read" in lines[0].lower() or "unable to open" in lines[0], (command, lines)
    finally:
        subprocess.run(["umount", "--lazy", str(read_only)], check=True)

"""One data folder, one server: a second is refused in a line, commands take turns with it."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from tests.faults.exactness import MEMBERS, Processes, has_ended, prepare, wait_until_ended
from tests.harness import RunningServer, lianmu, serving
from tests.server.own_server import marc21
from tests.z3950_client import connected, records

REFUSAL = "another server is running on this data folder"
LOGIN = f"{MEMBERS[0].lower()}/{MEMBERS[0].lower()}"
LOADED = 3_000


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory):  # type: ignore[no-untyped-def]
    with serving(prepare(tmp_path_factory.mktemp("first"))) as running:
        yield running


def refused(config: Path, *command: str) -> None:
    done = lianmu(*(command or ("serve", "--config", str(config))), timeout_s=30.0)
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("lianmu: ")
    assert line.endswith(REFUSAL)


def test_a_second_server_is_refused_however_it_names_the_folder(
    server: RunningServer, tmp_path: Path
) -> None:
    text = server.config.read_text("utf-8")
    data = server.config.parent / "data"
    (tmp_path / "linked").symlink_to(data)
    refused(server.config)
    for number, name in enumerate(("linked", f"{data}/../data")):
        other = tmp_path / f"{number}.toml"
        other.write_text(text.replace('data_dir = "data"', f'data_dir = "{name}"'), "utf-8")
        refused(other)
    # The first one has not noticed.
    with connected(server.z3950, LOGIN) as client:
        client.search("@attr 1=4 common", "we_cat")
        assert len(records(client.present(1, 3))) == 3


def test_a_load_beside_a_running_server_is_found_at_once(
    server: RunningServer, tmp_path: Path
) -> None:
    path = tmp_path / "more.mrc"
    path.write_bytes(
        b"".join(marc21(f"n{number:06d}", f"Besides {number}") for number in range(LOADED))
    )
    with connected(server.z3950, LOGIN) as client:
        done = lianmu("load", "--config", str(server.config), "--database", "we_cat", str(path))
        assert done.returncode == 0, done.stderr
        assert client.search("@attr 1=4 besides", "we_cat").result_count == LOADED
        assert client.search("@attr 1=4 common", "we_cat").result_count > 0


def test_the_folder_is_free_when_the_last_process_has_ended_and_not_before(
    tmp_path: Path,
) -> None:
    config = prepare(tmp_path)
    with serving(config) as first:
        processes = Processes(first)
        children = [processes.writer, *processes.workers]
        os.kill(children[0], signal.SIGSTOP)  # it cannot end yet
        first.kill()
        wait_until_ended(children[1:])
        refused(config)
        os.kill(children[0], signal.SIGCONT)
        wait_until_ended(children)
        assert all(map(has_ended, children))
    time.sleep(0.1)
    with serving(config) as second, connected(second.z3950, LOGIN) as client:
        assert client.search("@attr 1=4 common", "we_cat").search_status


def test_a_folder_whose_path_is_too_long_for_sockets_is_refused_in_a_line(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text(f'[server]\ndata_dir = "{"deep/" * 20}"\n', "utf-8")
    done = lianmu("serve", "--config", str(config), timeout_s=30.0)
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert "the path of the data folder is too long by" in line

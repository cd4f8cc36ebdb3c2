"""A worker that dies takes its own sessions with it and nothing else."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

from protocol import apdu
from tests.harness import RunningServer, running_demo
from tests.z3950_client import Client, search_request

CONFIG = """\
[server]
data_dir = "data"
workers = 2
connections_together = 1
[z3950]
port = 0
[http]
port = 0
[access]
anonymous = true
"""
CLIENTS = 24
REPLACED_WITHIN_S = 30.0


def children(server: RunningServer) -> list[int]:
    """The writer and the workers, in the order in which they were started."""
    pid = server.process.pid
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def signed_in(server: RunningServer) -> Client:
    client = Client(server.z3950)
    assert client.init("demo1/demo1").result
    return client


def goes_on(client: Client) -> bool:
    try:
        client.send(search_request("@and @set a @attr 1=1003 knuth", "we_cat"))
        response = client.receive()
    except ConnectionError:
        return False
    return isinstance(response, apdu.SearchResponse) and response.search_status


def test_sessions_of_the_other_worker_go_on_and_the_dead_one_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(CONFIG, "utf-8")
    with running_demo(tmp_path) as server:
        clients = [signed_in(server) for _ in range(CLIENTS)]
        for client in clients:
            client.search("@attr 1=1003 knuth", "we_cat", result_set_name="a")
        before = children(server)
        os.kill(before[1], signal.SIGKILL)
        alive = [client for client in clients if goes_on(client)]
        assert len(alive) == CLIENTS // 2  # connections went to both in turn
        deadline = time.monotonic() + REPLACED_WITHIN_S
        # The dead one is a child until the supervisor has seen it, and then another is.
        while True:
            after = children(server)
            if before[1] not in after and len(after) == len(before):
                break
            if time.monotonic() > deadline:
                break
            time.sleep(0.05)
        assert len(after) == len(before)
        assert before[1] not in after
        # New clients come to either, those that waited in the dead one's queue too.
        newcomers = [signed_in(server) for _ in range(CLIENTS)]
        clients += newcomers
        for client in newcomers:
            assert client.search("@attr 1=1003 knuth", "we_cat").search_status
        assert all(goes_on(client) for client in alive)
        assert children(server) == after
        for client in clients:
            client.close()


def test_new_connections_are_not_left_with_a_worker_that_is_stuck(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(CONFIG.replace("together = 1", "together = 16"), "utf-8")
    with running_demo(tmp_path) as server:
        stuck = children(server)[1]
        with contextlib.ExitStack() as stack:
            stack.callback(os.kill, stuck, signal.SIGCONT)
            os.kill(stuck, signal.SIGSTOP)
            deadline = time.monotonic() + REPLACED_WITHIN_S
            while not _is_answered(server):
                assert time.monotonic() < deadline
            # From now on all of them, though the stuck one has fewer connections.
            assert all(_is_answered(server) for _ in range(CLIENTS))


def _is_answered(server: RunningServer) -> bool:
    client = Client(server.z3950)
    client.socket.settimeout(1.0)
    try:
        return bool(client.init("demo1/demo1").result)
    except TimeoutError:
        return False
    finally:
        client.close()

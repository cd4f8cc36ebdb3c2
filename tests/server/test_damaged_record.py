"""A record whose octets a disk has damaged keeps no other record back, and no session."""

from __future__ import annotations

import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness import RunningServer
from tests.server import sru_client
from tests.server.own_server import marc21, own_server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    folder: Path = tmp_path_factory.mktemp("damaged")
    catalogue = {"we_cat": [marc21(f"n{number}", "Histories") for number in range(3)]}
    with own_server(folder, catalogue) as running:
        connection = sqlite3.connect(next(folder.rglob("catalogue.sqlite")))
        connection.execute("UPDATE record SET marc = x'3132' WHERE control_number = 'n1'")
        connection.commit()
        connection.close()
        yield running


def test_the_others_of_a_page_are_sent(server: RunningServer) -> None:
    answer = sru_client.search(server, "we_cat", "dc.title = histories")
    assert answer.texts("//m:controlfield[@tag='001']") == ["n0", "n2"]
    assert b"info:srw/diagnostic/1/63</uri><details>n1</details>" in answer.body


def test_a_session_of_z39_50_goes_on(server: RunningServer) -> None:
    commands = (
        "auth demo1/demo1", f"open {server.z3950}/we_cat", "format xml",
        "find @attr 1=4 histories", "show 1+3", "quit",
    )  # fmt: skip
    done = subprocess.run(
        ["yaz-client"], input="\n".join(commands), capture_output=True, text=True, timeout=60,
        check=True,
    )  # fmt: skip
    assert "[14] System error in presenting records -- v2 addinfo 'n1'" in done.stdout
    assert '<controlfield tag="001">n0<' in done.stdout
    assert '<controlfield tag="001">n2<' in done.stdout

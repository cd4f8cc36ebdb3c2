"""A server with members, an operator and a few records, for all tests of the API."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from server.config import load_config
from store.accounts import Accounts
from store.members import Members
from store.operators import Operators
from store.rights import RIGHTS
from tests.api.client import Client
from tests.harness import RunningServer
from tests.server.own_server import cnmarc, marc21, own_server

BODY_BYTES_MAX = 65_536
FILE_BYTES_MAX = 3_000_000
PASSWORD = "password-1"


@contextmanager
def api_server(
    folder: Path, http: str = "", *, access: str = "", workers: int = 1
) -> Iterator[RunningServer]:
    """`demo1` and `demo2` are members with every right, `reader` may search alone, `admin` is an
    operator; passwords are the names."""
    twin = marc21("twin", "Of the same number, from two agencies")
    records = {
        "we_cat": [
            *(marc21(f"w{n}", f"Western title {n}") for n in range(5)),
            twin,
            twin.replace(b"TEST", b"TWIN"),
        ],
        "cn_cat": [cnmarc(f"c{n}", f"中文题名{n}") for n in range(3)],
    }
    lines = (
        f"body_bytes_max = {BODY_BYTES_MAX}\n{http}\n"
        f"[holdings]\nfile_bytes_max = {FILE_BYTES_MAX}\n"
    )
    with own_server(
        folder,
        records,
        http=lines,
        access=access,
        pinned={"demo2": ""},
        workers=workers,
        rights=RIGHTS,
    ) as server:
        members = Members(load_config(server.config).members_path, create=True)
        Accounts(members).add("DEMO1", "reader", "reader", 1, rights=("search",), who="test")
        Operators(members).add("admin", "admin", 1, who="test")
        members.close()
        yield server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with api_server(tmp_path_factory.mktemp("api")) as running:
        yield running


@pytest.fixture
def anyone(server: RunningServer) -> Client:
    return Client(server.url)


@pytest.fixture
def member(server: RunningServer) -> Client:
    return Client(server.url, ("demo1", "demo1"))


@pytest.fixture
def other(server: RunningServer) -> Client:
    return Client(server.url, ("demo2", "demo2"))


@pytest.fixture
def reader(server: RunningServer) -> Client:
    return Client(server.url, ("reader", "reader"))


@pytest.fixture
def operator(server: RunningServer) -> Client:
    return Client(server.url, ("admin", "admin"))

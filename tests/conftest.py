"""Fixtures that every test may use."""

from __future__ import annotations

import functools
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import argon2
import pytest

from tests.harness import RunningServer, running_demo

CHECKOUT = Path(__file__).resolve().parents[1]
SHARED_DATA = CHECKOUT.parent / "shared" / "data"


@pytest.fixture(scope="session", autouse=True)
def quick_hashes() -> Iterator[None]:
    """Passwords that tests set are hashed at once, where argon2id takes 50 ms by design.

    A hash says how it was made, so the servers of these tests verify it as quickly.
    What a server or command hashes itself is hashed as it is in use.
    """
    quick = functools.partial(argon2.PasswordHasher, time_cost=1, memory_cost=8, parallelism=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(argon2, "PasswordHasher", quick)
        yield


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real MARC files; must exist in CI, elsewhere the test skips."""
    if not SHARED_DATA.is_dir():
        if os.environ.get("CI"):
            pytest.fail(f"the real MARC files are missing: {SHARED_DATA}")
        pytest.skip("the real MARC files are not beside this checkout")
    return SHARED_DATA


@pytest.fixture(scope="session")
def client_program() -> Callable[[str], str]:
    """Find an installed client by name; missing is a failure, never a skip."""

    def find(name: str) -> str:
        path = shutil.which(name)
        if path is None:
            pytest.fail(f"{name} is not installed: run `make test-tools`")
        return path

    return find


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """The demo server, shared by all tests that only read (and are counted)."""
    with running_demo(tmp_path_factory.mktemp("demo")) as server:
        yield server

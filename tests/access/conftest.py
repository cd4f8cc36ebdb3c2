"""Passwords that are hashed at once: what is tested here is not how long that takes."""

from __future__ import annotations

import functools
from collections.abc import Iterator

import argon2
import pytest


@pytest.fixture(scope="module", autouse=True)
def quick_hashes() -> Iterator[None]:
    """A hash says how it was made, so the servers of these tests verify it as quickly."""
    quick = functools.partial(argon2.PasswordHasher, time_cost=1, memory_cost=8, parallelism=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(argon2, "PasswordHasher", quick)
        yield

"""A member's own pages: figures, ledger, statements, accounts; without JavaScript and with it."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness import RunningServer, lianmu, running_demo
from tests.pages.plain_browser import Page, PlainBrowser, active_content, outside_references
from tests.z3950_client import Client

PAGES = ("/-/my/overview", "/-/my/ledger", "/-/my/statements", "/-/my/accounts")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """Accounts are changed here, so the demo is of these tests alone."""
    with running_demo(tmp_path_factory.mktemp("my")) as running:
        yield running


@pytest.fixture
def browser(server: RunningServer) -> PlainBrowser:
    return PlainBrowser(server)


def signed_in(server: RunningServer, account: str = "demo2") -> PlainBrowser:
    browser = PlainBrowser(server)
    page = browser.sign_in(account, path="/-/my/overview")
    assert page.url.endswith("/-/my/overview"), page.text
    return browser

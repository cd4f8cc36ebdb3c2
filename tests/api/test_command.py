"""What is printed of the API, and the page about it."""

from __future__ import annotations

import json

from docs import api
from server.api.routes import AREAS, document_json
from tests.harness import lianmu


def test_the_command_prints_the_document_of_the_server() -> None:
    done = lianmu("api", "--openapi")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == json.loads(document_json())


def test_the_command_lists_the_operations() -> None:
    done = lianmu("api")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    preferred = [each for area in AREAS for each in area.operations if not each.replaced_by]
    assert len(lines) == len(preferred)
    assert lines[0].split()[:2] == ["GET", "/api/v1/databases"]
    assert lianmu("api", "--nonsense").returncode == 2


def test_the_page_is_that_of_the_declarations() -> None:
    assert api.PAGE.read_text("utf-8") == api.page(), "run `python -m docs.api`"

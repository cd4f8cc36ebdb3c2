"""curl, as tests ask with it, and what a member has been counted."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

from lxml import etree

from tests.harness import RunningServer, lianmu

SEARCH = "/we_cat?version=1.2&operation=searchRetrieve&query="
NAMESPACES = {
    "zs": "http://www.loc.gov/zing/srw/",
    "d": "http://www.loc.gov/zing/srw/diagnostic/",
    "m": "http://www.loc.gov/MARC21/slim",
}


@dataclass(frozen=True)
class Reply:
    """One response: its status, its headers in order, its body as it came."""

    status: int
    headers: Sequence[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str:
        """The value, "" where the header is missing; values of several joined by commas."""
        return ", ".join(value for key, value in self.headers if key == name.lower())

    @property
    def conditions(self) -> list[int]:
        """The SRU diagnostics in the body, by number."""
        found = etree.fromstring(self.body).xpath("//d:uri/text()", namespaces=NAMESPACES)
        assert isinstance(found, list)
        return [int(str(uri).rpartition("/")[2]) for uri in found]

    @property
    def records(self) -> int:
        return self.body.count(b"<zs:recordPosition>")


def curl(server: RunningServer, path: str, *arguments: str) -> Reply:
    """Ask with curl, arguments as its user gives them."""
    done = subprocess.run(
        ["curl", "--silent", "--show-error", "--globoff", "--max-time", "30",
         "--dump-header", "-", *arguments, server.url + path],
        capture_output=True, check=True,
    )  # fmt: skip
    head, _, body = done.stdout.partition(b"\r\n\r\n")
    while head.startswith(b"HTTP/1.1 100"):
        head, _, body = body.partition(b"\r\n\r\n")
    line, *lines = head.decode("latin-1").split("\r\n")
    headers = [
        (name.lower(), value.strip()) for name, _, value in (x.partition(":") for x in lines)
    ]
    return Reply(int(line.split()[1]), headers, body)


def counted(server: RunningServer, code: str = "DEMO1") -> int:
    """Downloads and repeats entered for a member this year, none voided."""
    done = lianmu("usage", code, "--json", "--config", str(server.config))
    figures = json.loads(done.stdout)
    return int(figures["downloads"]) + int(figures["repeats"])


def made_key(server: RunningServer, code: str, name: str) -> str:
    """A new API key of a member."""
    done = lianmu("member", "key", "add", code, name, "--config", str(server.config))
    assert done.returncode == 0, done.stderr
    return next(word for word in done.stdout.split() if word.startswith("lianmu_"))

"""curl, as tests ask with it, and what a member has been counted."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lxml import etree

from tests.harness import RunningServer, lianmu, running_demo, serving

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
         "--dump-header", "/dev/stderr", *arguments, server.url + path],
        capture_output=True, check=True,
    )  # fmt: skip
    # One head for each 100 Continue, and that of the response.
    *_, head = done.stderr.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n\r\n")
    line, *lines = head.split("\r\n")
    pairs = [each.partition(":") for each in lines]
    headers = [(name.lower(), value.strip()) for name, _, value in pairs]
    # Where there is no body, curl writes the head once more.
    body = b"" if "--head" in arguments else done.stdout
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


@contextmanager
def demo_with(folder: Path, http: str) -> Iterator[RunningServer]:
    """The demo catalogue served with `http` in place of its `[http]` section's keys."""
    with running_demo(folder):
        pass
    config = folder / "config.toml"
    text, _, rest = config.read_text("utf-8").partition("[http]\n")
    _, _, after = rest.partition("\n\n")
    config.write_text(f"{text}[http]\nport = 0\n{http}\n{after}", "utf-8")
    with serving(config) as server:
        yield server

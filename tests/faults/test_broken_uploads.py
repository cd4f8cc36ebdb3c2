"""A file that was being received when its worker died is gone after the next start."""

from __future__ import annotations

import os
import signal
import socket
import time
from pathlib import Path

from server.selfservice.receiving import sweep
from tests.faults.test_workers import children
from tests.harness import RunningServer, lianmu, running_demo
from tests.pages.plain_browser import PlainBrowser

BOUNDARY = "lianmu-test"
RECEIVED_WITHIN_S = 30.0


def half_sent(server: RunningServer) -> socket.socket:
    """A form whose file has begun and does not end."""
    browser = PlainBrowser(server)
    browser.sign_in("demo1", path="/-/my/holdings")
    page = browser.get("/-/my/holdings")
    token = str(page.tree.xpath("//input[@name='token']/@value")[0])
    cookies = "; ".join(f"{each.name}={each.value}" for each in browser.cookies)
    body = (
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="token"\r\n\r\n{token}\r\n'
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\n'
        + "control_number\r\n"
        * 10_000
    )
    head = (
        f"POST /-/my/holdings/send HTTP/1.1\r\nHost: {server.http}\r\nCookie: {cookies}\r\n"
        f"Content-Type: multipart/form-data; boundary={BOUNDARY}\r\n"
        f"Content-Length: {len(body) + 1_000_000}\r\n\r\n"
    )
    host, port = server.http.split(":")
    connection = socket.create_connection((host, int(port)), 30)
    connection.sendall((head + body).encode())
    return connection


def test_what_a_worker_left_half_received_is_removed_at_the_next_start(tmp_path: Path) -> None:
    folder = tmp_path / "data" / "holdings"
    with running_demo(tmp_path) as server, half_sent(server):
        deadline = time.monotonic() + RECEIVED_WITHIN_S
        while not any(path.stat().st_size for path in folder.glob("*.upload")):
            assert time.monotonic() < deadline, server.log
            time.sleep(0.05)
        # Another server does not come as far as to take the file from this one.
        second = lianmu("serve", "--config", str(server.config))
        assert "another server is running" in second.stderr
        assert len(list(folder.glob("*.upload"))) == 1
        os.kill(children(server)[1], signal.SIGKILL)
        assert server.stop() == 0
    (left,) = folder.glob("*.upload")
    assert left.stat().st_size
    with running_demo(tmp_path) as server:
        assert not left.exists()
        assert "files removed whose receiving was broken off files=1" in server.log


def test_only_what_was_being_received_is_removed(tmp_path: Path) -> None:
    lists, holdings = tmp_path / "batch" / "received", tmp_path / "holdings"
    sent = holdings / "sent" / ("0" * 32)
    for folder in (lists, sent):
        folder.mkdir(parents=True)
    left = [lists / "a.upload", holdings / "b.upload"]
    others = [sent / "file", holdings / "batch-1-1.sqlite", tmp_path / "batch" / "c.upload"]
    for path in (*left, *others):
        path.write_bytes(b"x")
    assert sweep(tmp_path) == len(left)
    assert not any(path.exists() for path in left)
    assert all(path.exists() for path in others)
    assert sweep(tmp_path) == 0
    assert sweep(tmp_path / "nowhere") == 0

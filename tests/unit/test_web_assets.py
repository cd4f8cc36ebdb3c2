"""Style sheets and scripts of the pages, and where those that are not ours come from."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest

from server.web.assets import PREFIX, assets

CHECKOUT = Path(__file__).resolve().parents[2]
VENDOR = CHECKOUT / "server" / "pages" / "vendor"


def test_an_address_changes_with_the_content() -> None:
    content = (VENDOR / "uPlot.min.js").read_bytes()
    digest = hashlib.sha256(content).hexdigest()[:12]
    assert assets().address("uPlot.min.js") == f"{PREFIX}uPlot.min.{digest}.js"
    with pytest.raises(KeyError):
        assets().address("SHA256SUMS")


def test_what_is_not_ours_is_as_it_was_published() -> None:
    kept = {file.name for file in VENDOR.iterdir()} - {"SHA256SUMS"}
    listed = {}
    for line in (VENDOR / "SHA256SUMS").read_text().splitlines():
        digest, name = line.split()
        listed[name] = digest
    assert kept == set(listed)
    for name, digest in listed.items():
        assert hashlib.sha256((VENDOR / name).read_bytes()).hexdigest() == digest, name
    version = re.search(r"CHARTS_VERSION := (\S+)", (CHECKOUT / "Makefile").read_text())
    assert version is not None
    assert f"(v{version[1]})" in (VENDOR / "uPlot.min.js").read_text("utf-8")[:200]
    assert "MIT" in (VENDOR / "uPlot.LICENSE").read_text()


@pytest.mark.parametrize("name", ["app.css", "chart.js", "uPlot.min.css"])
def test_nothing_is_loaded_from_elsewhere(name: str) -> None:
    (path,) = (CHECKOUT / "server" / "pages").rglob(name)
    assert not re.search(r"url\(|@import|https?://|eval\(|new Function", path.read_text("utf-8"))

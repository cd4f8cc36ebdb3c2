"""`lianmu cover` and what `lianmu doctor` says of covers."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from PIL import Image

from server.cli import main
from server.config import load_config
from store.members import Members
from store.writer import CatalogueWriter
from tests.covers.pictures import picture
from tests.server.own_server import cnmarc


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("covers")
    path = folder / "config.toml"
    path.write_text('[server]\ndata_dir = "data"\n')
    config = load_config(path)
    writer = CatalogueWriter(config.data_dir, config.databases, durable=False)
    with writer.transaction():
        writer.put("cn_cat", cnmarc("c1", "红楼梦"))
        writer.put("cn_cat", cnmarc("c/2", "史记"))
    writer.close()
    members = Members(config.members_path, create=True)
    members.add_member("PKU", "Library", "secret", 1)
    members.close()
    return path


def lianmu(config: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, [*arguments, "--config", str(config)])


def file(config: Path, name: str, octets: bytes) -> str:
    path = config.parent / name
    path.write_bytes(octets)
    return str(path)


def doctor(config: Path) -> list[str]:
    found = json.loads(lianmu(config, "doctor", "--json").stdout)["findings"]
    return [each["text"] for each in found if each["part"] == "covers" and each["is_problem"]]


def test_an_operator_gives_lists_copies_out_and_takes_away(config: Path, tmp_path: Path) -> None:
    front = file(config, "front.jpg", picture())
    added = lianmu(config, "cover", "add", "c1", front)
    assert added.exit_code == 0, added.output
    assert added.stdout.startswith("created    cn_cat c1: jpeg, 400 × 600 pixels, ")
    assert "credit     an operator earns nothing" in added.stdout
    assert "unchanged" in lianmu(config, "cover", "add", "c1", front).stdout
    back = file(config, "back.png", picture("PNG", colour="green"))
    assert "replaced   cn_cat c1: png" in lianmu(config, "cover", "add", "c1", back).stdout
    lianmu(config, "cover", "add", "c/2", front)
    listed = [
        json.loads(line) for line in lianmu(config, "cover", "list", "--json").stdout.splitlines()
    ]
    assert [(each["control_number"], each["format"]) for each in listed] == [
        ("c1", "png"), ("c/2", "jpeg"),
    ]  # fmt: skip
    assert "2 covers" in lianmu(config, "cover", "list").stdout
    assert "0 covers" in lianmu(config, "cover", "list", "--member", "PKU").stdout
    out = tmp_path / "out"
    assert "exported 2 covers" in lianmu(config, "cover", "export", "--out", str(out)).stdout
    assert sorted(path.name for path in out.iterdir()) == ["cn_cat-c1.png", "cn_cat-c_2.jpg"]
    assert Image.open(io.BytesIO((out / "cn_cat-c1.png").read_bytes())).size == (400, 600)
    assert doctor(config) == []
    for number in ("c1", "c/2"):
        removed = lianmu(config, "cover", "remove", number, "--reason", "not this book")
        assert removed.stdout == f"removed    cn_cat {number}\n"
    assert "0 covers" in lianmu(config, "cover", "list").stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("add", "c1", "{page}"), "no picture in JPEG, PNG or WebP (it begins as HTML or XML)"),
        (("add", "c9", "{front}"), "there is no record c9"),
        (("add", "c1", "/nowhere.jpg"), "does not exist"),
        (("add", "c1", "{front}", "--account", "PKU/pku"), "pku has no right to upload"),
        (("add", "c1", "{front}", "--account", "PKU/nobody"), "there is no account nobody"),
        (("remove", "c1", "--reason", "x"), "c1 has no cover image"),
        (("remove", "c1"), "--reason"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(
    config: Path, arguments: tuple[str, ...], message: str
) -> None:
    files = {
        "{page}": file(config, "page.jpg", b"<html>404</html>"),
        "{front}": file(config, "front.jpg", picture()),
    }
    done = lianmu(config, "cover", *(files.get(each, each) for each in arguments))
    assert done.exit_code == 2
    assert message in done.output
    assert done.output.count("\n") == 1


def test_doctor_finds_files_that_are_gone_changed_or_of_nobody(config: Path) -> None:
    lianmu(config, "cover", "add", "c1", file(config, "front.jpg", picture()))
    covers = config.parent / "data" / "covers"
    (full,) = covers.glob("*/*[0-9a-f].jpg")
    medium = full.with_name(f"{full.stem}-medium.jpg")
    octets = full.read_bytes()
    full.write_bytes(octets[:-1] + b"x")
    medium.unlink()
    assert doctor(config) == [
        f"{full.parent.name}/{full.name} is not what it was when it was stored",
        f"{full.parent.name}/{medium.name} is gone",
    ]
    full.unlink()
    orphan = covers / "ab" / f"{'ab' * 32}.jpg"
    orphan.parent.mkdir(exist_ok=True)
    orphan.write_bytes(octets)
    told = lianmu(config, "doctor").stdout
    assert "note: pictures of no record: 1" in told
    assert f"{full.name} is gone" in told
    orphan.unlink()
    lianmu(config, "cover", "remove", "c1", "--reason", "damaged")
    assert doctor(config) == []
    lianmu(config, "cover", "add", "c1", file(config, "front.jpg", picture()))
    (config.parent / "data" / "covers.sqlite").rename(config.parent / "elsewhere")
    assert doctor(config) == ["covers.sqlite is gone; pictures: 1"]

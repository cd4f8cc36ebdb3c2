"""Covers over HTTP, with curl: sent, served, kept by browsers, shown, taken away."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from urllib.parse import quote

import pytest
from PIL import Image

from server.config import load_config
from store.accounts import Accounts
from store.members import Members
from tests.covers.pictures import picture
from tests.harness import RunningServer, lianmu
from tests.pages.plain_browser import PlainBrowser, active_content, outside_references
from tests.server.http_client import Reply, curl
from tests.server.own_server import cnmarc, own_server

WANG = ("--user", "demo1:demo1")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    catalogue = {
        "cn_cat": [cnmarc(number, f"书名{number}") for number in ("c1", "c/2", "c3", "c4")]
    }
    rights = ("search", "download", "upload")
    with own_server(tmp_path_factory.mktemp("covers"), catalogue, rights=rights) as running:
        config = load_config(running.config)
        members = Members(config.members_path, create=True)
        members.add_member("THU", "Library", "thu", 1)
        Accounts(members).set_rights("thu", ("search", "upload"), 1, who="test", reason="test")
        _, running_key = members.add_key("DEMO1", "scanner", 1, rights=("upload",))
        (running.config.parent / "key").write_text(running_key)
        members.close()
        yield running


def put(server: RunningServer, number: str, octets: bytes, *arguments: str) -> Reply:
    path = server.config.parent / "sent"
    path.write_bytes(octets)
    target = f"/covers/cn_cat/{quote(number, safe='')}"
    return curl(server, target, "--request", "PUT", "--data-binary", f"@{path}", *arguments)


def told(reply: Reply) -> str:
    return str(json.loads(reply.body).get("detail", ""))


def test_a_cover_is_sent_served_revalidated_shown_and_taken_away(server: RunningServer) -> None:
    assert curl(server, "/covers/cn_cat/c1").status == 404
    sent = put(server, "c1", picture(), *WANG)
    assert sent.status == 201
    document = json.loads(sent.body)
    assert (document["change"], document["width"], document["height"]) == ("created", 400, 600)
    assert document["credit"].startswith("the record earned its institution nothing")
    assert put(server, "c1", picture(), *WANG).status == 200
    for path, width in (("", 400), ("/medium", 300), ("/small", 120)):
        reply = curl(server, f"/covers/cn_cat/c1{path}")
        assert (reply.status, reply.header("content-type")) == (200, "image/jpeg")
        assert Image.open(io.BytesIO(reply.body)).width == width
        assert reply.header("etag") == f'"{sha256(reply.body).hexdigest()}"'
        assert reply.header("cache-control") == "public, max-age=3600"
        assert reply.header("x-content-type-options") == "nosniff"
        assert reply.header("content-security-policy") == "default-src 'none'"
        known = curl(
            server, f"/covers/cn_cat/c1{path}", "--header", f"If-None-Match: {reply.header('etag')}"
        )
        assert (known.status, known.body) == (304, b"")
    head = curl(server, "/covers/cn_cat/c1", "--head")
    assert int(head.header("content-length")) == document["size_bytes"]
    page = PlainBrowser(server).get("/cn_cat/record/c1")
    assert page.all("//a[@class='cover']/@href") == ["/covers/cn_cat/c1"]
    assert page.all("//a[@class='cover']/img/@src") == ["/covers/cn_cat/c1/medium"]
    assert page.all("//a[@class='cover']/img/@height") == ["450"]
    assert page.all("//a[@class='cover']/img/@alt") == ["Cover of 书名c1"]
    assert active_content(page) == []
    assert outside_references(page) == []
    assert PlainBrowser(server).get("/cn_cat/record/c3").all("//img") == []
    gone = curl(server, "/covers/cn_cat/c1?reason=wrong", "--request", "DELETE", *WANG)
    assert (gone.status, json.loads(gone.body)["change"]) == (200, "deleted")
    assert curl(server, "/covers/cn_cat/c1/small").status == 404
    done = lianmu("audit", "--kind", "cover", "--json", "--config", str(server.config))
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [
        (row["action"], row["account"], row["protocol"], row["address"], row["reason"])
        for row in rows
        if row["subject"] == "cn_cat c1"
    ] == [
        ("cover add", "demo1", "web", "127.0.0.1", ""),
        ("cover remove", "demo1", "web", "127.0.0.1", "wrong"),
    ]


def test_a_control_number_may_have_a_slash_and_a_program_a_key(server: RunningServer) -> None:
    key = (server.config.parent / "key").read_text()
    sent = put(server, "c/2", picture("PNG"), "--header", f"Authorization: Bearer {key}")
    assert (sent.status, json.loads(sent.body)["format"]) == (201, "png")
    assert curl(server, "/covers/cn_cat/c%2F2").header("content-type") == "image/png"
    assert curl(server, "/covers/CN_CAT/c%2F2/small").header("content-type") == "image/jpeg"


def test_who_may_not_send_is_told_why(server: RunningServer) -> None:
    nobody = put(server, "c3", picture())
    assert nobody.status == 401
    assert "Basic" in nobody.header("www-authenticate")
    assert put(server, "c3", picture(), "--user", "demo1:wrong").status == 401
    assert put(server, "c3", picture(), *WANG).status == 201
    other = put(server, "c3", picture(colour="green"), "--user", "thu:thu")
    assert other.status == 403
    assert "c3 has a cover image that DEMO1 brought" in told(other)
    assert "已有封面" in told(other)
    missing = put(server, "c9", picture(), *WANG)
    assert (missing.status, told(missing)) == (404, "In this database no record has this number.")
    assert curl(server, "/covers/cn_cat/c4", "--request", "DELETE", *WANG).status == 404


@pytest.mark.parametrize(
    ("octets", "status", "reason"),
    [
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", 422, "it begins as HTML or XML"),
        (picture(size=(20, 20)), 422, "at least 80 a side"),
        (picture()[:-1500], 422, "the picture is damaged"),
        (b"", 422, "nothing was sent"),
        (b"\xff\xd8" + bytes(1_000_000), 422, "at most 1,000,000 are taken"),
        (bytes(2_000_000), 413, ""),
    ],
)
def test_what_is_no_cover_is_refused_precisely(
    server: RunningServer, octets: bytes, status: int, reason: str
) -> None:
    refused = put(server, "c4", octets, *WANG, "--header", "Accept: application/json")
    assert refused.status == status
    assert reason in told(refused)
    assert curl(server, "/covers/cn_cat/c4").status == 404


def test_a_merged_records_cover_is_found_under_both_numbers(
    server: RunningServer, tmp_path: Path
) -> None:
    put(server, "c3", picture(), *WANG)
    merge = ("record", "merge", "c4", "c3", "--as", "li", "--config", str(server.config))
    assert lianmu(*merge).returncode == 0
    for number in ("c3", "c4"):
        assert curl(server, f"/covers/cn_cat/{number}").status == 200
    page = PlainBrowser(server).get("/cn_cat/record/c4")
    assert page.all("//a[@class='cover']/img/@src") == ["/covers/cn_cat/c4/medium"]

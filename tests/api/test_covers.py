"""Covers over the API."""

from __future__ import annotations

import io

from PIL import Image

from tests.api.client import V1, Client
from tests.covers.pictures import picture

COVER = f"{V1}/databases/we_cat/records/w2/cover"
JPEG = {"Content-Type": "image/jpeg"}


def test_a_cover_is_given_shown_replaced_and_taken_away(
    anyone: Client, member: Client, other: Client, reader: Client
) -> None:
    member.get(COVER).problem(404, "not-found")
    member("DELETE", COVER).problem(404, "not-found")
    made = member("PUT", COVER, picture(), headers=JPEG)
    told = made.ok(201)
    assert (told["change"], told["width"], told["height"]) == ("created", 400, 600)
    assert (made.header("Location"), told["control_number"]) == (COVER, "w2")
    assert member("PUT", COVER, picture(), headers=JPEG).ok()["change"] == "unchanged"
    shown = anyone.get(COVER)
    assert shown.header("Content-Type") == "image/jpeg"
    assert shown.header("ETag") == f'"{told["sha256"]}"'
    assert Image.open(io.BytesIO(shown.body)).size == (400, 600)
    small = anyone.get(COVER, size="small")
    assert Image.open(io.BytesIO(small.body)).width == 120
    same = anyone("GET", COVER, headers={"If-None-Match": shown.header("ETag")})
    assert (same.status, same.body) == (304, b"")
    anyone.get(COVER, size="huge").problem(400, "parameter")
    # Another institution's cover is not one's own to change.
    other("PUT", COVER, picture(colour="green"), headers=JPEG).problem(403, "not-own")
    other("DELETE", COVER).problem(403, "not-own")
    assert reader("PUT", COVER, picture(), headers=JPEG).problem(403, "right")["right"] == "upload"
    anyone("PUT", COVER, picture(), headers=JPEG).problem(401, "sign-in")
    replaced = member("PUT", COVER, picture("PNG"), headers={"Content-Type": "image/png"}).ok()
    assert (replaced["change"], replaced["format"]) == ("replaced", "png")
    problem = member("PUT", COVER, b"no picture", headers=JPEG).problem(422, "invalid")
    assert problem["detail_zh"] != problem["title_zh"]
    member("PUT", COVER, picture(), headers={"Content-Type": "image/gif"}).problem(
        415, "media-type"
    )
    assert member("DELETE", COVER, reason="not this book").ok()["change"] == "deleted"
    anyone.get(COVER).problem(404, "not-found")
    member("PUT", COVER.replace("w2", "none"), picture(), headers=JPEG).problem(404, "not-found")
    rows = member.every(f"{V1}/institutions/DEMO1/audit", kind="cover")
    assert [(row["account"], row["protocol"], row["address"]) for row in rows] == [
        ("demo1", "api", "127.0.0.1")
    ] * 3
    assert rows[-1]["reason"] == "not this book"

"""What is taken as a picture, what is kept of it, and what is refused with which reason."""

from __future__ import annotations

import contextlib
import io
import struct
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from server.covers.decoding import read_picture
from server.covers.picture import MEDIUM_WIDTH, SMALL_WIDTH, BadPictureError, PictureLimits
from tests.covers.pictures import picture

LIMITS = PictureLimits(size_bytes_max=200_000, side_min=50, side_max=1_000)


def opened(octets: bytes) -> Image.Image:
    return Image.open(io.BytesIO(octets))


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
def test_a_picture_keeps_its_format_and_gets_two_thumbnails(form: str) -> None:
    kept = read_picture(picture(form), LIMITS)
    assert (kept.format, kept.width, kept.height) == (form.lower(), 400, 600)
    assert (opened(kept.octets).format, opened(kept.octets).size) == (form, (400, 600))
    for octets, width in ((kept.medium, MEDIUM_WIDTH), (kept.small, SMALL_WIDTH)):
        thumbnail = opened(octets)
        assert (thumbnail.format, thumbnail.size) == ("JPEG", (width, width * 3 // 2))
        red, _, blue = thumbnail.convert("RGB").getpixel((2, 2))  # type: ignore[misc]
        assert blue > 200 > red  # the corner is still the corner


def test_a_small_picture_is_not_enlarged() -> None:
    kept = read_picture(picture(size=(100, 140)), LIMITS)
    assert opened(kept.medium).size == (100, 140)


def test_it_is_turned_as_the_camera_says_and_loses_every_metadatum() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90°
    exif[0x010E] = "taken in the reading room"
    sent = picture(exif=exif.tobytes(), comment=b"a secret of the photographer")
    assert b"reading room" in sent
    kept = read_picture(sent, LIMITS)
    assert (kept.width, kept.height) == (600, 400)
    right = opened(kept.octets).convert("RGB").getpixel((597, 3))
    assert right[2] > 200 > right[0]  # type: ignore[index]
    for octets in (kept.octets, kept.medium, kept.small):
        assert b"reading room" not in octets
        assert b"secret" not in octets
        assert not opened(octets).getexif()


def test_text_and_what_follows_a_picture_are_not_kept() -> None:
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    info.add_text("Comment", "a hidden remark")
    kept = read_picture(picture("PNG", pnginfo=info) + b"<script>alert(1)</script>", LIMITS)
    assert b"remark" not in kept.octets
    assert b"script" not in kept.octets


def test_what_is_transparent_is_white_in_thumbnails() -> None:
    image = Image.new("RGBA", (200, 300), (0, 0, 0, 0))
    octets = io.BytesIO()
    image.save(octets, "PNG")
    kept = read_picture(octets.getvalue(), LIMITS)
    assert opened(kept.octets).mode == "RGBA"
    assert opened(kept.small).convert("RGB").getpixel((50, 50)) == (255, 255, 255)


@pytest.mark.parametrize("mode", ["1", "L", "P", "CMYK", "I;16", "LA"])
def test_every_kind_of_colour_is_read(mode: str) -> None:
    form = "JPEG" if mode in ("L", "CMYK") else "PNG"
    octets = io.BytesIO()
    Image.new(mode, (200, 300)).save(octets, form)
    assert read_picture(octets.getvalue(), LIMITS).width == 200


def bomb() -> bytes:
    """A PNG of a few octets that says it is 60,000 pixels wide and high."""
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(bytes(100))), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )


def animation() -> bytes:
    frames = [Image.new("RGB", (200, 300), colour) for colour in ("red", "blue")]
    octets = io.BytesIO()
    frames[0].save(octets, "WEBP", save_all=True, append_images=frames[1:])
    return octets.getvalue()


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (b"", "nothing was sent"),
        (b"<html>not found</html>", "no picture in JPEG, PNG or WebP .it begins as HTML"),
        (b"%PDF-1.7 and so on", "it begins as PDF"),
        (picture("GIF"), "it begins as GIF"),
        (picture("BMP", (60, 80)), "it begins as BMP"),
        (picture("TIFF", (60, 80)), "it begins as TIFF"),
        (b"\x01\x02\x03 whatever", "it begins with 01 02 03"),
        (picture()[:-2000], "the picture is damaged: .*truncated"),
        (picture("PNG")[:800], "the picture is damaged"),
        (b"\xff\xd8\xff\xe0" + bytes(2000), "no picture|damaged"),
        (picture(size=(40, 400)), "40 × 400 pixels, at least 50"),
        (picture(size=(100, 1001)), "100 × 1,001 pixels, at most 1,000"),
        (bomb(), "at most 1,000|claims to have far more"),
        (picture("BMP", size=(400, 600)) * 2, "1,4.* octets, at most 200,000"),
        (animation(), "animation"),
    ],
)
def test_what_is_no_cover_is_refused_with_its_reason(sent: bytes, reason: str) -> None:
    with pytest.raises(BadPictureError, match=reason) as refused:
        read_picture(sent, LIMITS)
    assert "\n" not in refused.value.english
    assert any("\u4e00" <= char <= "\u9fff" for char in refused.value.chinese)


@settings(deadline=None, max_examples=60)
@given(
    at=st.integers(0, 3_000), octets=st.binary(min_size=1, max_size=40),
    form=st.sampled_from(["JPEG", "PNG", "WEBP"]),
)  # fmt: skip
def test_damaged_pictures_are_read_or_refused_and_nothing_else(
    at: int, octets: bytes, form: str
) -> None:
    sent = picture(form, size=(60, 80))
    place = at % len(sent)
    with contextlib.suppress(BadPictureError):
        read_picture(sent[:place] + octets + sent[place + len(octets) :], LIMITS)

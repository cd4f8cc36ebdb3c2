"""A picture that somebody sent: whether it is one, and what is kept of it.

It is decoded whole, turned as its EXIF data say, and written anew, so nothing of what
came is served as it came: no metadata, no second file behind the picture.
"""

from __future__ import annotations

import io
from hashlib import sha256

from PIL import Image, ImageOps, UnidentifiedImageError

from server.covers.picture import (
    MEDIUM_WIDTH,
    SMALL_WIDTH,
    BadPictureError,
    Picture,
    PictureLimits,
    fitting,
)

_FORMATS = {"JPEG": "jpeg", "PNG": "png", "WEBP": "webp"}
_JPEG_QUALITY, _THUMBNAIL_QUALITY = 90, 82
_WHITE = (255, 255, 255)


def read_picture(sent: bytes, limits: PictureLimits) -> Picture:
    """Check a picture and make what is kept of it; takes up to a second.

    Raises:
        BadPictureError: it is none, too large or too small, moves, or is damaged.
    """
    if not sent:
        raise BadPictureError("nothing was sent", "没有收到图片")
    if len(sent) > limits.size_bytes_max:
        raise BadPictureError(
            f"the file has {len(sent):,} octets, at most {limits.size_bytes_max:,} are taken",
            f"文件大小 {len(sent):,} 字节，超过上限 {limits.size_bytes_max:,}",
        )
    try:
        with Image.open(io.BytesIO(sent), formats=tuple(_FORMATS)) as image:
            kind = image.format or ""
            _check_header(image, limits)  # nothing is decoded before that
            image.load()
            turned = ImageOps.exif_transpose(image)
        return _kept(turned, kind, sha256(sent).hexdigest())
    except UnidentifiedImageError:
        raise BadPictureError(
            f"it is no picture in JPEG, PNG or WebP ({_looks_like(sent)})",
            "不是 JPEG、PNG 或 WebP 图片",
        ) from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise BadPictureError(
            f"it claims to have far more than {limits.side_max:,} pixels a side",
            f"图片边长远超上限 {limits.side_max:,} 像素",
        ) from None
    except (OSError, ValueError, SyntaxError, EOFError, Warning) as error:
        # What decoders raise of damaged data; Pillow has no one class of it.
        reason = " ".join(str(error).split())[:200]
        raise BadPictureError(f"the picture is damaged: {reason}", "图片已损坏，无法解码") from None


def _check_header(image: Image.Image, limits: PictureLimits) -> None:
    width, height = image.size
    if max(width, height) > limits.side_max:
        raise BadPictureError(
            f"it has {width:,} × {height:,} pixels, at most {limits.side_max:,} a side are taken",
            f"图片为 {width:,} × {height:,} 像素，边长上限为 {limits.side_max:,}",
        )
    if min(width, height) < limits.side_min:
        raise BadPictureError(
            f"it has {width:,} × {height:,} pixels, at least {limits.side_min:,} a side are needed",
            f"图片为 {width:,} × {height:,} 像素，边长至少为 {limits.side_min:,}",
        )
    if getattr(image, "n_frames", 1) > 1:
        raise BadPictureError("it is an animation; a cover is one picture", "不接受动画图片")


def _kept(image: Image.Image, kind: str, sent_sha256: str) -> Picture:
    has_alpha = image.has_transparency_data and kind != "JPEG"
    if kind == "JPEG":
        plain = image.convert("L" if image.mode in ("1", "L", "I;16") else "RGB")
    else:
        plain = image.convert("RGBA" if has_alpha else "RGB")
    octets = io.BytesIO()
    options = {"quality": _JPEG_QUALITY} if kind != "PNG" else {"optimize": True}
    _without_metadata(plain).save(octets, kind, **options)
    on_white = plain.convert("RGB")
    if has_alpha:
        on_white = Image.new("RGB", plain.size, _WHITE)
        on_white.paste(plain, mask=plain.getchannel("A"))
    return Picture(
        _FORMATS[kind], plain.width, plain.height, octets.getvalue(),
        _thumbnail(on_white, MEDIUM_WIDTH), _thumbnail(on_white, SMALL_WIDTH), sent_sha256,
    )  # fmt: skip


def _without_metadata(image: Image.Image) -> Image.Image:
    """The pixels alone: writers copy EXIF, comments and profiles out of `info`."""
    bare = image.copy()
    bare.info = {}
    return bare


def _thumbnail(image: Image.Image, width: int) -> bytes:
    """At most `width` pixels wide and twice as high; a smaller picture is not enlarged."""
    small = _without_metadata(image).resize(
        fitting(image.width, image.height, width), Image.Resampling.LANCZOS
    )
    octets = io.BytesIO()
    small.save(octets, "JPEG", quality=_THUMBNAIL_QUALITY, optimize=True)
    return octets.getvalue()


_BEGINNINGS = (
    (b"GIF8", "it begins as GIF"),
    (b"%PDF", "it begins as PDF"),
    (b"BM", "it begins as BMP"),
    (b"II*\0", "it begins as TIFF"),
    (b"MM\0*", "it begins as TIFF"),
    (b"<", "it begins as HTML or XML"),
    (b"PK\x03\x04", "it begins as a ZIP file"),
)


def _looks_like(sent: bytes) -> str:
    for beginning, told in _BEGINNINGS:
        if sent.lstrip().startswith(beginning):
            return told
    return f"it begins with {sent[:8].hex(' ')}"

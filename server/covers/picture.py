"""What is kept of a picture that somebody sent, and why one is refused.

Decoding is apart from it, in `decoding`: it needs libraries that most processes never
have use for.
"""

from __future__ import annotations

from dataclasses import dataclass

MEDIUM_WIDTH, SMALL_WIDTH = 300, 120  # of thumbnails, in pixels


@dataclass(frozen=True, slots=True)
class PictureLimits:
    """What is taken. Sides are in pixels, of the picture as it is looked at."""

    size_bytes_max: int = 1_000_000
    side_min: int = 80
    side_max: int = 4_000


@dataclass(frozen=True, slots=True)
class Picture:
    """What is kept: the picture in its own format, and two JPEG thumbnails of it."""

    format: str  # "jpeg", "png" or "webp"
    width: int
    height: int
    octets: bytes
    medium: bytes
    small: bytes
    sent_sha256: str  # of what came, hexadecimal


class BadPictureError(Exception):
    """Why it is not taken: `english` and `chinese` say the same in a line."""

    def __init__(self, english: str, chinese: str) -> None:
        super().__init__(f"{english} / {chinese}")
        self.english = english
        self.chinese = chinese


def fitting(width: int, height: int, width_max: int) -> tuple[int, int]:
    """The size of a thumbnail of at most `width_max` pixels, and twice as many in height."""
    scale = min(1.0, width_max / width, 2 * width_max / height)
    return max(1, round(width * scale)), max(1, round(height * scale))

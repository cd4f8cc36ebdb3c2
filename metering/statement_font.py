"""Finds a font that has Chinese, for forms that must carry their own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fontTools.ttLib import TTCollection, TTFont, TTLibError

from metering.interface import MeteringError

# Where Debian and Ubuntu put fonts with simplified Chinese, the best one first.
PLACES = (
    ("/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc",
     "/usr/share/fonts/opentype/noto/NotoSansCJK-Bold.ttc"),
    ("/usr/share/fonts/truetype/wqy/wqy-microhei.ttc", ""),
    ("/usr/share/fonts/truetype/wqy/wqy-zenhei.ttc", ""),
    ("/usr/share/fonts/truetype/arphic/uming.ttc", ""),
)  # fmt: skip
_PROBE = "结算单"
_FAMILY_NAME = 1  # of the name table (OpenType, name identifier 1)


class FontError(MeteringError):
    """There is no font with Chinese; the message says what to do."""


@dataclass(frozen=True, slots=True)
class FontFile:
    """A font file, and which font of it, if it is a collection."""

    path: Path
    number: int = 0


@dataclass(frozen=True, slots=True)
class Fonts:
    """The two weights; the same file twice where there is no bold one."""

    regular: FontFile
    bold: FontFile


def find_fonts(regular: str = "", bold: str = "") -> Fonts:
    """The fonts at these paths, or, when none is named, those of the system.

    Raises:
        FontError: there is none, a file is no font, or it lacks Chinese.
    """
    if regular:
        found = _font(Path(regular))
        return Fonts(found, _font(Path(bold)) if bold else found)
    for place, bold_place in PLACES:
        if Path(place).is_file():
            found = _font(Path(place))
            has_bold = bold_place and Path(bold_place).is_file()
            return Fonts(found, _font(Path(bold_place)) if has_bold else found)
    raise FontError(
        "a PDF needs a font with Chinese: apt-get install fonts-noto-cjk, or name one with"
        " [statement] font"
    )


def _font(path: Path) -> FontFile:
    try:
        with path.open("rb") as file:
            is_collection = file.read(4) == b"ttcf"
            file.seek(0)
            # A collection has the same characters as each country writes them.
            fonts = TTCollection(file, lazy=True).fonts if is_collection else [TTFont(file)]
            number = next((n for n, font in enumerate(fonts) if _is_simplified(font)), 0)
            _check(fonts[number], path)
            return FontFile(path, number)
    except OSError as error:
        raise FontError(f"the font {path}: {error.strerror or error}") from None
    except TTLibError as error:
        raise FontError(f"{path} is no font: {error}") from None


def _is_simplified(font: TTFont) -> bool:
    name = font["name"].getDebugName(_FAMILY_NAME) or ""
    return name.endswith((" SC", " CN"))


def _check(font: TTFont, path: Path) -> None:
    characters = font.getBestCmap() or {}
    if any(ord(character) not in characters for character in _PROBE):
        raise FontError(f"the font {path} has no Chinese characters")

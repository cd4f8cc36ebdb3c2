"""ISO 5426: extended Latin for bibliographic use, the eight-bit set of UNIMARC.

The lower half is ASCII, the upper half holds letters, signs and marks; a mark
stands before its letter. Sources: ISO 5426:1983, ISO-IR 53; UNIMARC Manual,
appendix J. Non-sorting begin and end are octets 88 and 89.
"""

from __future__ import annotations

from protocol.combining import compose

_SIGNS = {
    0x88: "\x98", 0x89: "\x9c",
    0xA1: "¡", 0xA2: "„", 0xA3: "£", 0xA4: "$", 0xA5: "¥", 0xA6: "†", 0xA7: "§", 0xA8: "′",
    0xA9: "‘", 0xAA: "“", 0xAB: "«", 0xAC: "♭", 0xAD: "©", 0xAE: "℗", 0xAF: "®",
    0xB0: "ʻ", 0xB1: "ʼ", 0xB2: "‚", 0xB6: "‡", 0xB7: "·", 0xB8: "″", 0xB9: "’", 0xBA: "”",
    0xBB: "»", 0xBC: "♯", 0xBD: "ʹ", 0xBE: "ʺ", 0xBF: "¿",
    0xE1: "Æ", 0xE2: "Đ", 0xE6: "Ĳ", 0xE8: "Ł", 0xE9: "Ø", 0xEA: "Œ", 0xEC: "Þ",
    0xF1: "æ", 0xF2: "đ", 0xF3: "ð", 0xF5: "ı", 0xF6: "ĳ", 0xF8: "ł", 0xF9: "ø", 0xFA: "œ",
    0xFB: "ß", 0xFC: "þ",
}  # fmt: skip
# C9 is the German umlaut, C8 the diaeresis of others; Unicode has one mark for
# both. DD is the left half of a ligature as well as of a double tilde: which
# one shows in the right half, which `compose` looks at.
_MARKS = {
    0xC0: "\u0309", 0xC1: "\u0300", 0xC2: "\u0301", 0xC3: "\u0302", 0xC4: "\u0303", 0xC5: "\u0304",
    0xC6: "\u0306", 0xC7: "\u0307", 0xC8: "\u0308", 0xC9: "\u0308", 0xCA: "\u030a", 0xCB: "\u0315",
    0xCC: "\u0313", 0xCD: "\u030b", 0xCE: "\u031b", 0xCF: "\u030c", 0xD0: "\u0327", 0xD1: "\u031c",
    0xD2: "\u0326", 0xD3: "\u0328", 0xD4: "\u0325", 0xD5: "\u032e", 0xD6: "\u0323", 0xD7: "\u0324",
    0xD8: "\u0332", 0xD9: "\u0333", 0xDA: "\u0329", 0xDB: "\u032d", 0xDD: "\ufe20", 0xDE: "\ufe21",
    0xDF: "\ufe23",
}  # fmt: skip


def decode_iso5426(data: bytes) -> str:
    """Read one field's octets, indicators and subfield delimiters included.

    Raises:
        UnicodeDecodeError: an octet that the set leaves free.
    """
    if data.isascii() and 0x1B not in data:
        return data.decode("ascii")
    characters: list[str] = []
    marks: list[str] = []
    for position, octet in enumerate(data):
        if octet in _MARKS:
            marks.append(_MARKS[octet])
            continue
        character = chr(octet) if octet < 0x80 else _SIGNS.get(octet)
        # Escapes lead to Greek or Cyrillic sets, which are not read here.
        if character is None or octet == 0x1B:
            raise UnicodeDecodeError("iso-5426", data, position, position + 1, "unassigned")
        if character == "\x1f":  # a mark never reaches into the next subfield
            characters += marks
            marks.clear()
        characters.append(character)
        if marks:
            characters += marks
            marks.clear()
    return compose("".join(characters + marks))

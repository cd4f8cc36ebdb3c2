"""MARC-8: the character sets of MARC 21 before Unicode, switched by ISO 2022 escapes.

Sources: MARC 21 Specifications for Record Structure, Character Sets, and
Exchange Media, part 2 (MARC-8) and part 4 (conversion); ISO/IEC 2022. The code
tables are the Library of Congress's, as pymarc carries them; the state machine
is ours.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from functools import lru_cache

from protocol.combining import CLUSTER, compose, decompose, is_mark

ESCAPE = 0x1B
SUBFIELD_DELIMITER = 0x1F

# Sets by the final character of their escape sequence.
BASIC_LATIN = 0x42  # B
EXTENDED_LATIN = 0x45  # !E, ANSEL
EAST_ASIAN = 0x31  # 1, EACC: three octets a character
_CUSTOM_SETS = frozenset(b"gbp")  # Greek symbols, subscript, superscript: ESC and this octet
_SINGLE_OCTET_SETS = frozenset(b"BENQS234")
# What a character is written in when several sets have it; ASCII and ANSEL are
# at hand without an escape, and the three Greek symbols are discouraged.
_WRITING_ORDER = tuple(b"BENQS234pb1g")

# The tables read four characters of EACC as the geta mark or a private-use
# character although Unicode has had them since 2001; Library of Congress
# table of 2004 and later, as other converters have it.
_EAST_ASIAN_REVISED = {
    0x217559: 0x212C4,
    0x222A34: 0x2251B,
    0x223339: 0x22C4D,
    0x6F7625: 0x318D,
    0x6F773C: 0xC717,
}
_MARKS_ON_LETTER_MAX = 4  # more of them in a row are letters of another set
_C1_CONTROLS = {0x88: "\x98", 0x89: "\x9c", 0x8D: "\u200d", 0x8E: "\u200c"}
_C1_OCTETS = {character: bytes([octet]) for octet, character in _C1_CONTROLS.items()}
_REFERENCE = re.compile(rb"&#x([0-9A-Fa-f]{4,6});")


def decode_marc8(data: bytes) -> str:
    """Read one field's octets, indicators and subfield delimiters included.

    The sets go back to ASCII and ANSEL at each subfield: escapes that were left
    open do not reach into the next one. Numeric character references decode.

    Raises:
        UnicodeDecodeError: octets that are no character, or an unknown escape.
    """
    if data.isascii() and ESCAPE not in data and b"&#x" not in data:
        return data.decode("ascii")
    return compose("".join(_Decoder(data).run()))


class _Decoder:
    """The state machine: working sets, and marks that wait for their letter."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.characters: list[str] = []
        self._marks: list[str] = []
        self._sets = _tables()
        self._g0 = BASIC_LATIN
        self._g1 = EXTENDED_LATIN

    def run(self) -> list[str]:
        data, at = self.data, 0
        while at < len(data):
            octet = data[at]
            if octet == ESCAPE:
                size = self._designate(at)
            elif octet == SUBFIELD_DELIMITER:
                size = self._begin_subfield(at)
            elif octet <= 0x20 or octet == 0x7F:
                size = self._put(chr(octet))
            elif octet in _C1_CONTROLS:
                size = self._put(_C1_CONTROLS[octet])
            elif 0x7F < octet < 0xA1 or octet == 0xFF:
                size = 0
            elif octet == 0x26 and self._g0 == BASIC_LATIN:
                size = self._reference(at)
            else:
                working_set = self._g1 if octet & 0x80 else self._g0
                if working_set == EAST_ASIAN:
                    size = self._east_asian(at)
                else:
                    size = self._single(working_set, octet)
            if not size:
                raise UnicodeDecodeError("marc-8", data, at, self._end_of_refused(at), "unknown")
            at += size
        self._flush()
        return self.characters

    def _end_of_refused(self, at: int) -> int:
        if self.data[at] == ESCAPE:
            return min(at + 4, len(self.data))
        in_east_asian = (self._g1 if self.data[at] & 0x80 else self._g0) == EAST_ASIAN
        return min(at + 3 if in_east_asian else at + 1, len(self.data))

    def _put(self, character: str) -> int:
        self.characters.append(character)
        self._flush()
        return 1

    def _flush(self) -> None:
        if self._marks:
            self.characters += self._marks
            self._marks.clear()

    def _reference(self, at: int) -> int:
        """An ampersand: a character of its own, or the start of a numeric reference."""
        match = _REFERENCE.match(self.data, at)
        code = int(match[1], 16) if match else 0
        # A reference never stands for a control character or half a surrogate pair.
        if match is None or code < 0xA0 or code > 0x10FFFF or 0xD800 <= code < 0xE000:
            return self._put("&")
        self._put(chr(code))
        return len(match[0])

    def _begin_subfield(self, at: int) -> int:
        self._flush()
        self._g0, self._g1 = BASIC_LATIN, EXTENDED_LATIN
        self.characters.append("\x1f")
        code = self.data[at + 1 : at + 2]
        if code.isascii() and code not in (b"", b"\x1b", b"\x1f"):
            self.characters.append(code.decode("ascii"))
            return 2
        return 1

    def _designate(self, at: int) -> int:
        """Carry out the escape sequence at `at`; its size, or 0 if there is none such.

        Two forms of each are in use: ( or , for G0, ) or - for G1, and for
        three-octet sets $ alone, $, or $) or $-.
        """
        escape = self.data[at + 1 : at + 5]
        if not escape:
            return 0
        first = escape[0]
        if first in _CUSTOM_SETS:
            self._g0 = first
            return 2
        if first == 0x73:  # s
            self._g0 = BASIC_LATIN
            return 2
        into_g1 = first in b")-"
        at_final = 1
        if first == 0x24:  # $
            into_g1 = escape[1:2] in (b")", b"-")
            at_final = 2 if into_g1 or escape[1:2] in (b",", b"(") else 1
            allowed = frozenset((EAST_ASIAN,))
        elif first in b"(,)-":
            allowed = _SINGLE_OCTET_SETS
            if escape[1:2] == b"!":
                at_final = 2
                allowed = frozenset((EXTENDED_LATIN,))
        else:
            return 0
        final = escape[at_final] if at_final < len(escape) else 0
        if final not in allowed:
            return 0
        if into_g1:
            self._g1 = final
        else:
            self._g0 = final
        return at_final + 2

    def _single(self, working_set: int, octet: int) -> int:
        found = self._sets[working_set].get(octet & 0x7F)
        if found is None:
            return 0
        character, is_combining = found
        if is_combining:
            self._marks.append(character)
            return 1 if len(self._marks) <= _MARKS_ON_LETTER_MAX else 0
        return self._put(character)

    def _east_asian(self, at: int) -> int:
        found = self._sets[EAST_ASIAN].get(_triple(self.data, at))
        if found is None and SUBFIELD_DELIMITER in self.data[at + 1 : at + 3]:
            mended = self._with_bar(at)
            if mended:
                self.data = mended
                found = self._sets[EAST_ASIAN].get(_triple(mended, at))
        if found is None:
            return 0
        self._put(found[0])
        return 3

    def _with_bar(self, at: int) -> bytes | None:
        """The data with 1F inside the ideograph at `at` turned back into 7C.

        Systems that show the delimiter as a bar have turned bars inside
        ideographs into delimiters, and some then the exclamation mark that
        follows, no subfield code, into a zero. Believed if one such reading
        makes everything up to the next escape ideographs; a cut ideograph
        before a true delimiter is followed by text that is none.
        """
        end = self.data.find(b"\x1b", at)
        end = end if end >= 0 else len(self.data)
        run = self.data[at:end]
        readings = [
            reading
            for reading in (run.replace(b"\x1f0", b"|!", 1), run.replace(b"\x1f", b"|", 1))
            if reading != run and self._is_east_asian(reading)
        ]
        if len(readings) != 1:
            return None
        return self.data[:at] + readings[0] + self.data[end:]

    def _is_east_asian(self, run: bytes) -> bool:
        at = 0
        while at < len(run):
            if run[at] == 0x20:
                at += 1
            elif _triple(run, at) in self._sets[EAST_ASIAN]:
                at += 3
            else:
                return False
        return True


def _triple(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 3], "big") & 0x7F7F7F if at + 3 <= len(data) else 0


def encode_marc8(text: str, *, references: bool = False) -> bytes:
    """Write one field's text; ASCII and ANSEL are back in place after each subfield.

    With `references` a character that MARC-8 lacks is written as `&#x4E00;`,
    which readers of MARC-8 turn back.

    Raises:
        UnicodeEncodeError: the first character that MARC-8 lacks.
    """
    if "\x1b" in text:
        # A reader would take it for the beginning of an escape sequence.
        if not references:
            at = text.index("\x1b")
            raise UnicodeEncodeError("marc-8", text, at, at + 1, "no such character")
        text = text.replace("\x1b", "&#x001B;")
    if text.isascii():
        return text.encode("ascii")
    indicators, *subfields = decompose(text).split("\x1f")
    octets = [_encode_run(indicators, references)]
    for subfield in subfields:
        # A mark at the start of the text must not settle on the subfield code.
        octets += (
            b"\x1f",
            subfield[:1].encode("ascii"),
            _encode_run(subfield[1:], references),
        )
    return b"".join(octets)


def _encode_run(text: str, references: bool) -> bytes:
    if text.isascii():
        return text.encode("ascii")
    octets: list[bytes] = []
    writer = _Writer()
    for match in CLUSTER.finditer(text):
        written = writer.write(match[0])
        if written is None:
            if not references:
                start, end = match.span()
                raise UnicodeEncodeError("marc-8", text, start, end, "no such character")
            written = writer.write("".join(f"&#x{ord(character):04X};" for character in match[0]))
        octets.append(written or b"")
    octets.append(writer.switch(BASIC_LATIN))
    return b"".join(octets)


class _Writer:
    """Writes clusters, with the escapes that they need."""

    def __init__(self) -> None:
        self._g0 = BASIC_LATIN

    def switch(self, working_set: int) -> bytes:
        """The escape that puts `working_set` into G0, if it is not there."""
        before = self._g0
        if working_set == before:
            return b""
        self._g0 = working_set
        if working_set in _CUSTOM_SETS:
            return bytes((ESCAPE, working_set))
        if working_set == BASIC_LATIN and before in _CUSTOM_SETS:
            return b"\x1bs"
        return bytes((ESCAPE, 0x24 if working_set == EAST_ASIAN else 0x28, working_set))

    def write(self, cluster: str) -> bytes | None:
        """Marks first, then their letter; None if MARC-8 lacks any of them."""
        parts = _expand(unicodedata.normalize("NFC", cluster) if len(cluster) > 1 else cluster)
        if parts is None:
            return None
        octets = []
        for character in parts:
            if character < "\x21" or character == "\x7f":
                octets.append(character.encode("ascii"))
            elif character in _C1_OCTETS:
                octets.append(_C1_OCTETS[character])
            else:
                working_set, code = _codes()[character]
                if working_set != EXTENDED_LATIN:  # always in G1
                    octets.append(self.switch(working_set))
                octets.append(code)
        return b"".join(octets)


def _expand(cluster: str) -> list[str] | None:
    """The characters of MARC-8 for one cluster, marks before the letter."""
    if cluster.isascii():
        return list(cluster)
    codes = _codes()
    letters: list[str] = []
    marks: list[str] = []
    pending = list(reversed(cluster))
    while pending:
        character = pending.pop()
        if character < "\x21" or character in codes or character in _C1_OCTETS:
            (marks if is_mark(character) else letters).append(character)
            continue
        parts = unicodedata.decomposition(character)
        if not parts or parts.startswith("<"):
            return None
        pending += [chr(int(part, 16)) for part in reversed(parts.split())]
    return marks + letters if len(letters) == 1 else None


@lru_cache(maxsize=1)
def _tables() -> Mapping[int, Mapping[int, tuple[str, bool]]]:
    """Set to code to (character, whether a mark); single-octet codes have seven bits."""
    # Loading takes a tenth of a second, and most catalogues never see MARC-8.
    from pymarc.marc8_mapping import CODESETS, ODD_MAP  # noqa: PLC0415

    tables = {
        working_set: {code & 0x7F: (chr(ucs), bool(mark)) for code, (ucs, mark) in table.items()}
        for working_set, table in CODESETS.items()
        if working_set != EAST_ASIAN
    }
    east_asian = {code: ucs for code, (ucs, _) in CODESETS[EAST_ASIAN].items()}
    east_asian |= ODD_MAP | _EAST_ASIAN_REVISED
    # A few codes stand as compatibility ideographs in the table; any Unicode
    # software exchanges those for the ideograph itself, so do it at once.
    tables[EAST_ASIAN] = {
        code: (unicodedata.normalize("NFC", chr(ucs)), False) for code, ucs in east_asian.items()
    }
    return tables


@lru_cache(maxsize=1)
def _codes() -> Mapping[str, tuple[int, bytes]]:
    """Character to (set, octets), the octets as they stand in G0, or G1 for ANSEL."""
    codes: dict[str, tuple[int, bytes]] = {}
    for working_set in _WRITING_ORDER:
        table = _tables()[working_set]
        size = 3 if working_set == EAST_ASIAN else 1
        high_bit = 0x80 if working_set == EXTENDED_LATIN else 0
        for code in sorted(table):
            octets = (code | high_bit).to_bytes(size, "big")
            if min(octets) & 0x7F > 0x20 and max(octets) & 0x7F < 0x7F:
                codes.setdefault(table[code][0], (working_set, octets))
    return codes

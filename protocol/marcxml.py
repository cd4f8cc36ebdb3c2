"""MARC records as XML: MARCXML and marcxchange, assembled from the stored octets.

What the schemas demand of a leader and of the order of fields is met for every
record; a tag, indicator or code that they forbid goes out as the record has it,
since leaving it out would lose what a cataloguer has to correct.

Sources: MARC 21 XML schema (MARC21slim 1.2); ISO 25577:2013 (MarcXchange 2.0);
XML 1.0 §2.2 for the characters that may stand in a document.
"""

from __future__ import annotations

import re

from protocol.iso2709 import split_fields, tags_in_order
from protocol.iso2709_structure import LEADER_SIZE_BYTES
from protocol.record import MarcFamily

MARCXML_NAMESPACE = "http://www.loc.gov/MARC21/slim"
MARCXCHANGE_NAMESPACE = "info:lc/xmlns/marcxchange-v2"

# C0 controls that XML forbids, but for the two delimiters that are cut at.
_FORBIDDEN_OCTETS = bytes(set(range(0x20)) - {0x09, 0x0A, 0x0D, 0x1E, 0x1F})
_RARE = re.compile("[\r\x7f-\x9f\ufffe\uffff]")
_SPECIAL = re.compile('[&<>"]')
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;"}

_AFTER_SUBFIELD = "</subfield>"
_AFTER_SUBFIELDS = "</subfield></datafield>"


def to_marcxml(marc: bytes) -> str:
    """A stored record as one `record` element of MARCXML, without XML declaration.

    Characters that XML forbids are left out; C1 controls, the non-sorting marks
    of UNIMARC among them, become character references. In the leader, fill
    characters become blanks and 10-11 and 20-23 are what MARC 21 has there: the
    schema takes nothing else, and in XML they mean nothing.

    Raises:
        MalformedRecord: the octets are not in the stored form.
    """
    return (
        f'<record xmlns="{MARCXML_NAMESPACE}">{record_content(marc, _slim_leader(marc))}</record>'
    )


def marcxml_octets(marc: bytes) -> bytes:
    """`to_marcxml` in UTF-8, in two thirds of the time for the records that most are.

    Raises:
        MalformedRecord: the octets are not in the stored form.
    """
    fields = _usual_fields(marc)
    leader = marc[:LEADER_SIZE_BYTES]
    if not _SLIM_LEADER_OCTETS.fullmatch(leader):
        leader = _slim_leader(marc).encode()
        if not _SLIM_LEADER_OCTETS.fullmatch(leader):  # it needs escapes
            fields = None
    if fields is None:
        return to_marcxml(marc).encode()
    return b"".join([_BEFORE_LEADER, leader, b"</leader>", *fields, b"</record>"])


def _slim_leader(marc: bytes) -> str:
    """The leader as MARCXML wants it; it may need escapes."""
    leader = plain_leader(marc)
    if _SLIM_LEADER.fullmatch(leader):
        return leader
    return f"{_FILL.sub(' ', leader[:10])}22{leader[12:17]}{_FILL.sub(' ', leader[17:20])}4500"


def to_marcxchange(marc: bytes, family: MarcFamily) -> str:
    """A stored record as one `record` element of marcxchange.

    The standard's `format` attribute names the family; `type` follows leader/06.
    The leader is the record's own but for 10-11 and 20-22, which the schema wants
    to be the digits of ISO 2709.

    Raises:
        MalformedRecord: the octets are not in the stored form.
    """
    leader = plain_leader(marc)
    if not _ISO_2709_LEADER.fullmatch(leader):
        leader = f"{leader[:10]}22{leader[12:20]}450{leader[23]}"
    record_type = _RECORD_TYPES[family].get(leader[6], "Bibliographic")
    return (
        f'<record xmlns="{MARCXCHANGE_NAMESPACE}" format="{_FORMATS[family]}" '
        f'type="{record_type}">{record_content(marc, leader)}</record>'
    )


_SLIM_LEADER = re.compile("[0-9]{5}[0-9A-Za-z ]{5}22[0-9]{5}[0-9A-Za-z ]{3}4500")
_FILL = re.compile("[^0-9A-Za-z ]")
_ISO_2709_LEADER = re.compile(r"[0-9]{5}[\x20-\x7e]{5}[0-9]{7}[\x20-\x7e]{3}[0-9]{3}[\x20-\x7e]")
_SLIM_LEADER_OCTETS = re.compile(_SLIM_LEADER.pattern.encode())
_BEFORE_LEADER = f'<record xmlns="{MARCXML_NAMESPACE}"><leader>'.encode()
_AFTER_LAST_FIELD = _AFTER_SUBFIELDS.encode()
_FORMATS = {MarcFamily.MARC21: "MARC21", MarcFamily.UNIMARC: "UNIMARC"}
_RECORD_TYPES = {
    MarcFamily.MARC21: {
        "z": "Authority", "u": "Holdings", "v": "Holdings", "x": "Holdings", "y": "Holdings",
        "w": "Classification", "q": "Community",
    },
    MarcFamily.UNIMARC: {"x": "Authority", "y": "Authority", "z": "Authority"},
}  # fmt: skip


def _usual_fields(marc: bytes) -> list[bytes] | None:
    """The elements of the fields of a record with nothing unusual in it, as `record_content` has
    them, in pieces; None: something is. Octets all through, and each field's first subfield
    together with its tag.
    """
    octets = marc.translate(None, _FORBIDDEN_OCTETS)
    if b"&" in octets:
        octets = octets.replace(b"&", b"&amp;")
    if b"<" in octets:
        octets = octets.replace(b"<", b"&lt;")
    if b">" in octets:
        octets = octets.replace(b">", b"&gt;")
    if b"\r" in octets or b"\x7f" in octets or not octets.isascii():
        text = octets.decode()  # what is no UTF-8 is told
        if _may_have_rare(text, marc):
            octets = _RARE.sub(_reference, text).encode()
    fields = octets.split(b"\x1e")
    tags = tags_in_order(marc, len(fields) - 2)
    if tags is None:
        return None
    out: list[bytes] = []
    at = 0
    for at, tag in enumerate(tags):
        element = _OPEN_CONTROL_OCTETS.get(tag)
        if element is None:
            break
        if b"\x1f" in fields[at + 1]:
            return None
        out += (element, fields[at + 1], b"</controlfield>")
    else:
        return None  # no data field
    try:
        data = [
            _OPEN_BOTH[tag + field[:4]] + field[4:]
            for tag, field in zip(tags[at:], fields[at + 1 : -1], strict=True)
        ]
        first, *others = b"".join(data).split(b"\x1f")
        out.append(first[len(_AFTER_SUBFIELDS) :])
        out += [_OPEN_SUBFIELD_OCTETS[part[0]] + part[1:] for part in others]
    except (KeyError, IndexError):
        return None
    out.append(_AFTER_LAST_FIELD)
    return out


def _may_have_rare(text: str, marc: bytes) -> bool:
    """Whether one of the octets is there with which all begins that `_RARE` finds."""
    return (
        "\r" in text
        or "\x7f" in text
        or (not text.isascii() and (b"\xc2" in marc or b"\xef\xbf" in marc))
    )


def record_content(marc: bytes, leader: str) -> str:
    """The elements of leader and fields.

    `leader` is text for XML already, as `plain_leader` gives it.

    Raises:
        MalformedRecord: the octets are not in the stored form.
    """
    text = marc.translate(None, _FORBIDDEN_OCTETS).decode()
    if "&" in text:
        text = text.replace("&", "&amp;")
    if "<" in text:
        text = text.replace("<", "&lt;")
    if ">" in text:
        text = text.replace(">", "&gt;")
    if _may_have_rare(text, marc):
        text = _RARE.sub(_reference, text)
    # Every subfield of the record at once: a loop within each field costs more.
    before, *subfields = text.split("\x1f")
    opened = [_OPEN_SUBFIELD[part[0]] + part[1:] if part else "\x1f" for part in subfields]
    text = before + "".join(opened)
    odd = "\x1f" in text
    tags, texts = split_fields(marc, text)
    controls = ["<leader>", _escape(leader) if _SPECIAL.search(leader) else leader, "</leader>"]
    parts: list[str] = []
    for tag, field in zip(tags, texts, strict=True):
        # All other "<" have become entities.
        if field[2:3] == "<":
            opening = _OPEN_DATA[tag + field[:2]]
            if opening and not (odd and "\x1f" in field):
                parts += (opening, field[_INDICATORS_CHARS:], _AFTER_SUBFIELDS)
                continue
        elif tag in _OPEN_CONTROL and "<" not in field and not (odd and "\x1f" in field):
            controls += (_OPEN_CONTROL[tag], field, "</controlfield>")
            continue
        # The schemas want every control field before the first data field.
        as_it_was = _OPENED_SUBFIELD.sub("\x1f\\1", field)
        (controls if tag[:2] == "00" else parts).append(_irregular_field(tag, as_it_was))
    return "".join(controls + parts)


def _reference(match: re.Match[str]) -> str:
    return "" if match[0] >= "\ufffe" else f"&#{ord(match[0])};"


def plain_leader(marc: bytes) -> str:
    """The 24 characters of the leader in ASCII, with blanks for controls."""
    leader = marc[:LEADER_SIZE_BYTES].decode("ascii", "replace")
    if _PLAIN_LEADER.fullmatch(leader):
        return leader
    return _CONTROLS.sub(" ", leader).ljust(LEADER_SIZE_BYTES)


_PLAIN_LEADER = re.compile("[0-9A-Za-z |#-]{24}")
_CONTROLS = re.compile("[\x00-\x1f\x7f]")


def _escape(text: str) -> str:
    return _RARE.sub(_reference, _SPECIAL.sub(lambda match: _ENTITIES[match[0]], text))


_ESCAPED = re.compile("&(amp|lt|gt|#([0-9]+));")
_CHARACTERS = {"amp": "&", "lt": "<", "gt": ">"}


def _unescape(text: str) -> str:
    return _ESCAPED.sub(lambda match: _CHARACTERS.get(match[1]) or chr(int(match[2])), text)


class _OpenDataElements(dict[str, str]):
    """From tag and indicators to the start of the element.

    Only what is usual is kept, so that no record can fill the memory; an empty
    text sends the field the careful way.
    """

    def __missing__(self, key: str) -> str:
        if not _USUAL_KEY.fullmatch(key) or len(self) >= _ELEMENTS_KEPT_MAX:
            return ""
        element = f'<datafield tag="{key[:3]}" ind1="{key[3]}" ind2="{key[4]}">'
        self[key] = element
        return element


class _OpenSubfieldElements(dict[str, str]):
    """From a code to the end of the subfield before and the start of its own element.

    Behind a code that needs an escape the delimiter stays.
    """

    def __missing__(self, code: str) -> str:
        return "\x1f" + code


class _OpenBothElements(dict[bytes, bytes]):
    """From tag, indicators, delimiter and code to the start of the field and its subfield,
    behind the end of the field before. Of these, too, only what is usual is there.
    """

    def __missing__(self, key: bytes) -> bytes:
        if not _USUAL_BEGINNING.fullmatch(key) or len(self) >= _ELEMENTS_KEPT_MAX:
            raise KeyError(key)
        field = _OPEN_DATA[key[:5].decode()]
        if not field:
            raise KeyError(key)
        element = f'{_AFTER_SUBFIELDS}{field}<subfield code="{chr(key[6])}">'.encode()
        self[key] = element
        return element


_USUAL_BEGINNING = re.compile(rb"(?!00)[0-9A-Za-z]{3}[0-9a-z |#-]{2}\x1f[0-9A-Za-z]")
_USUAL_KEY = re.compile("(?!00)[0-9A-Za-z]{3}[0-9a-z |#-]{2}")
_ELEMENTS_KEPT_MAX = 20_000
_OPEN_DATA = _OpenDataElements()
_OPEN_CONTROL = {tag: f'<controlfield tag="{tag}">' for tag in (f"00{n}" for n in range(10))}
# An escaped code has become "&", which is not here.
_OPEN_SUBFIELD = _OpenSubfieldElements(
    (chr(code), f'{_AFTER_SUBFIELD}<subfield code="{chr(code)}">')
    for code in range(0x21, 0x7F)
    if chr(code) not in '&<>"'
)
_OPEN_BOTH = _OpenBothElements()
_OPEN_CONTROL_OCTETS = {tag.encode(): element.encode() for tag, element in _OPEN_CONTROL.items()}
_OPEN_SUBFIELD_OCTETS = {ord(code): element.encode() for code, element in _OPEN_SUBFIELD.items()}
_OPENED_SUBFIELD = re.compile(f'{_AFTER_SUBFIELD}<subfield code="(.)">')
# The indicators and the end of a subfield that is not there.
_INDICATORS_CHARS = 2 + len(_AFTER_SUBFIELD)


def _irregular_field(tag: str, field: str) -> str:
    """A control field, or one whose indicators or codes are unusual.

    `field` is escaped already. A field without any subfield is written as a
    control field whatever its tag, as other MARC writers do: nothing is lost.
    """
    tag = _escape(_CONTROLS.sub("", tag))
    if tag[:2] == "00" or "\x1f" not in field:
        value = field.replace("\x1f", "")
        return f'<controlfield tag="{tag}">{value}</controlfield>'
    indicators, *subfields = (_unescape(part) for part in field.split("\x1f"))
    first, second = _escape(indicators[:1] or " "), _escape(indicators[1:2] or " ")
    parts = [f'<datafield tag="{tag}" ind1="{first}" ind2="{second}">']
    for subfield in subfields:
        if subfield:
            code, value = _escape(subfield[0]), _escape(subfield[1:])
            parts.append(f'<subfield code="{code}">{value}</subfield>')
    parts.append("</datafield>")
    return "".join(parts)

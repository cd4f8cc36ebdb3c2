"""MARC records as XML: MARCXML and marcxchange, assembled from the stored octets.

Sources: MARC 21 XML schema (MARC21slim 1.1); ISO 25577:2013 (MarcXchange); XML
1.0 §2.2 for the characters that may stand in a document.
"""

from __future__ import annotations

import re

from protocol.iso2709 import split_fields
from protocol.iso2709_structure import LEADER_SIZE_BYTES

MARCXML_NAMESPACE = "http://www.loc.gov/MARC21/slim"
MARCXCHANGE_NAMESPACE = "info:lc/xmlns/marcxchange-v2"

# C0 controls that XML forbids, but for the two delimiters that are cut at.
_FORBIDDEN_OCTETS = bytes(set(range(0x20)) - {0x09, 0x0A, 0x0D, 0x1E, 0x1F})
_RARE = re.compile("[\r\x7f-\x9f\ufffe\uffff]")
_SPECIAL = re.compile('[&<>"]')
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;"}

_BETWEEN_SUBFIELDS = '</subfield><subfield code="'
_AFTER_SUBFIELDS = "</subfield></datafield>"


def to_marcxml(marc: bytes) -> str:
    """A stored record as one `record` element of MARCXML, without XML declaration.

    Characters that XML forbids are left out; C1 controls, the non-sorting marks
    of UNIMARC among them, become character references.

    Raises:
        MalformedRecord: the octets are not in the stored form.
    """
    return f'<record xmlns="{MARCXML_NAMESPACE}">{_content(marc)}</record>'


def to_marcxchange(marc: bytes, format_name: str, record_type: str = "Bibliographic") -> str:
    """A stored record as one `record` element of marcxchange.

    `format_name` is what the standard's `format` attribute holds: "CNMARC",
    "UNIMARC" or "MARC21".

    Raises:
        MalformedRecord: the octets are not in the stored form.
    """
    return (
        f'<record xmlns="{MARCXCHANGE_NAMESPACE}" format="{_escape(format_name)}" '
        f'type="{_escape(record_type)}">{_content(marc)}</record>'
    )


def _content(marc: bytes) -> str:
    """Leader and fields; the hot path of every XML delivery."""
    text = marc.translate(None, _FORBIDDEN_OCTETS).decode()
    if "&" in text:
        text = text.replace("&", "&amp;")
    if "<" in text:
        text = text.replace("<", "&lt;")
    if ">" in text:
        text = text.replace(">", "&gt;")
    # All that is rare begins with one of these octets.
    if b"\xc2" in marc or b"\xef\xbf" in marc or b"\r" in marc or b"\x7f" in marc:
        text = _RARE.sub(_reference, text)
    tags, texts = split_fields(marc, text)
    parts = ["<leader>", _leader(marc), "</leader>"]
    for tag, field in zip(tags, texts, strict=True):
        try:
            if field[2] == "\x1f" and tag[:2] != "00":
                subfields = [_OPEN_CODE[part[0]] + part[1:] for part in field[3:].split("\x1f")]
                parts += (
                    _OPEN_DATA[tag + field[:2]],
                    _BETWEEN_SUBFIELDS.join(subfields),
                    _AFTER_SUBFIELDS,
                )
                continue
        except (KeyError, IndexError):
            pass
        parts.append(_irregular_field(tag, field))
    return "".join(parts)


def _reference(match: re.Match[str]) -> str:
    return "" if match[0] >= "\ufffe" else f"&#{ord(match[0])};"


def _leader(marc: bytes) -> str:
    leader = marc[:LEADER_SIZE_BYTES].decode("ascii", "replace")
    if _PLAIN_LEADER.fullmatch(leader):
        return leader
    return _escape(_CONTROLS.sub(" ", leader).ljust(LEADER_SIZE_BYTES))


_PLAIN_LEADER = re.compile("[0-9A-Za-z |#-]{24}")
_CONTROLS = re.compile("[\x00-\x1f\x7f]")


def _escape(text: str) -> str:
    return _RARE.sub(_reference, _SPECIAL.sub(lambda match: _ENTITIES[match[0]], text))


_ESCAPED = re.compile("&(amp|lt|gt|#([0-9]+));")
_CHARACTERS = {"amp": "&", "lt": "<", "gt": ">"}


def _unescape(text: str) -> str:
    return _ESCAPED.sub(lambda match: _CHARACTERS.get(match[1]) or chr(int(match[2])), text)


class _OpenDataElements(dict[str, str]):
    """From tag and indicators to the start of the element, up to the first code.

    Only what is usual is kept, so that no record can fill the memory; a
    KeyError sends the field the careful way.
    """

    def __missing__(self, key: str) -> str:
        if not _USUAL_KEY.fullmatch(key) or len(self) >= _ELEMENTS_KEPT_MAX:
            raise KeyError(key)
        element = f'<datafield tag="{key[:3]}" ind1="{key[3]}" ind2="{key[4]}"><subfield code="'
        self[key] = element
        return element


_USUAL_KEY = re.compile("[0-9A-Za-z]{3}[0-9a-z |#-]{2}")
_ELEMENTS_KEPT_MAX = 20_000
_OPEN_DATA = _OpenDataElements()
# Codes that need no escape. An escaped one has become "&", which is not here.
_OPEN_CODE = {chr(code): f'{chr(code)}">' for code in range(0x21, 0x7F) if chr(code) not in '&<>"'}


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

"""The fields that UNIMARC embeds in its linking fields (UNIMARC Manual, 4--)."""

from __future__ import annotations

from protocol.iso2709 import Field


def embedded_fields(field: Field) -> list[Field]:
    """The fields that a 4XX or 604 holds, each begun by $1 with tag and indicators."""
    found: list[Field] = []
    for code, value in field.subfields:
        if code == "1" and len(value) >= 3:
            tag = value[:3]
            text = value[3:] if tag < "010" else value[3:5].ljust(2)
            found.append(Field(tag, text))
        elif found and code and not found[-1].tag.startswith("00"):
            found[-1].text += f"\x1f{code}{value}"
    return found

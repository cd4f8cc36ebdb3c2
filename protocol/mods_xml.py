"""The elements of a MODS record as text, and the record that collects them.

Elements are assembled as strings: a tree costs several times as much. Every
text goes through `element` or `attributes`, which escape it and leave out what
is empty, so that no element is ever without content.

Source: MODS 3.5 schema and user guidelines, Library of Congress.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from protocol.description import plain
from protocol.xml_text import escape

NAMESPACE = "http://www.loc.gov/mods/v3"
VERSION = "3.5"

# The order in which they are written: that of the user guidelines.
TOP_ELEMENTS = (
    "titleInfo", "name", "typeOfResource", "genre", "originInfo", "language",
    "physicalDescription", "abstract", "tableOfContents", "targetAudience", "note", "subject",
    "classification", "relatedItem", "identifier", "location", "accessCondition", "part",
    "recordInfo",
)  # fmt: skip


def element(name: str, text: str, attributes: str = "") -> str:
    """`text` in an element, or "" if there is none; `attributes` are XML already."""
    return f"<{name}{attributes}>{escape(text)}</{name}>" if text else ""


def attributes(**values: str) -> str:
    """Attributes in the order given, each after a blank; empty ones are left out."""
    return "".join([f' {name}="{escape(value)}"' for name, value in values.items() if value])


def wrap(name: str, content: str, attributes: str = "") -> str:
    """XML in an element, or "" if there is none."""
    return f"<{name}{attributes}>{content}</{name}>" if content else ""


def any_uri(text: str) -> str:
    """`text` as a value of xs:anyURI, or "" if it can be none.

    Characters that stand in no URI become percent escapes; those beyond ASCII stay,
    as XML Schema lets them.
    """
    text, mark, fragment = _NO_URI.sub(_percent, plain("".join(text.split()))).partition("#")
    found = _SCHEME_AND_AUTHORITY.match(text)
    if found is None or (not found["scheme"] and ":" in text.partition("/")[0].partition("?")[0]):
        return ""
    return text + mark + fragment.replace("#", "%23")


# RFC 3986 §2: neither reserved nor unreserved, or a percent sign that escapes nothing.
# Square brackets are for IPv6 addresses alone, which nobody catalogues.
_NO_URI = re.compile(r"[\[\]<>{}|\\^`\" ]|%(?![0-9A-Fa-f]{2})")
_SCHEME_AND_AUTHORITY = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*:)?(?://(?:[^/?#@]*@)?[^/?#:@]*(?::[0-9]+)?(?=[/?#]|$)|(?!//))"
)


def _percent(match: re.Match[str]) -> str:
    return f"%{ord(match[0]):02X}"


class Mods:
    """The top-level elements of one record, or of one item related to it."""

    __slots__ = ("_elements",)

    def __init__(self) -> None:
        self._elements: dict[str, list[str]] = {}

    def add(self, name: str, xml: str, *, first: bool = False) -> None:
        """Add the whole element `xml` under its name; an equal one is not added again.

        `first`: before those of its name that are there already.
        """
        if xml:
            elements = self._elements.setdefault(name, [])
            if xml not in elements:
                elements.insert(0 if first else len(elements), xml)

    def text(self, name: str, text: str, attributes: str = "") -> None:
        """Add an element that holds only text, if there is any."""
        self.add(name, element(name, text, attributes))

    def wrap(self, name: str, content: str, attributes: str = "") -> None:
        """Add an element around XML, if there is any."""
        self.add(name, wrap(name, content, attributes))

    def related(self, kind: str, item: Mods | str, label: str = "") -> None:
        """Add a related item; `kind` is a value of the schema's `type` or ""."""
        content = item if isinstance(item, str) else item.content()
        self.wrap("relatedItem", content, attributes(type=kind, displayLabel=label))

    def content(self) -> str:
        """Every element, in the order of `TOP_ELEMENTS`."""
        elements = self._elements
        return "".join(["".join(elements[name]) for name in TOP_ELEMENTS if name in elements])

    def xml(self) -> bytes:
        """The record as one `mods` element in UTF-8, without XML declaration."""
        content = self.content()
        if not content:  # the schema takes no empty record
            content = "<recordInfo><recordOrigin>no data</recordOrigin></recordInfo>"
        return f'<mods xmlns="{NAMESPACE}" version="{VERSION}">{content}</mods>'.encode()


def title_info(
    title: str,
    attributes: str = "",
    *,
    non_sort: str = "",
    subtitle: str = "",
    number: str = "",
    part: str = "",
) -> str:
    """A `titleInfo`, or "" if all parts are empty. `non_sort` keeps the blank behind it."""
    return wrap(
        "titleInfo",
        element("nonSort", non_sort)
        + element("title", title)
        + element("subTitle", subtitle)
        + element("partNumber", number)
        + element("partName", part),
        attributes,
    )


def date(name: str, text: str, **attribute_values: str) -> str:
    """A date element with its encoding, point and qualifier, where they are known."""
    return element(name, text, attributes(**attribute_values))


def language(code: str, part: str = "") -> str:
    """A `language` of one ISO 639-2 code."""
    term = element("languageTerm", code, ' authority="iso639-2b" type="code"')
    return wrap("language", term, attributes(objectPart=part))


def language_terms(codes: Iterable[str], name: str) -> str:
    """An element `name` of type language that holds codes of ISO 639-2."""
    terms = [element("languageTerm", code, ' authority="iso639-2b" type="code"') for code in codes]
    return wrap(name, "".join(terms))


def place(text: str, kind: str = "text", authority: str = "") -> str:
    term = element("placeTerm", text, attributes(type=kind, authority=authority))
    return wrap("place", term)


def role(code: str = "", text: str = "") -> str:
    """A `role` by its MARC relator code, by words of the record, or by both."""
    return wrap(
        "role",
        element("roleTerm", code, ' type="code" authority="marcrelator"')
        + element("roleTerm", text, ' type="text"'),
    )


def name_part(text: str, kind: str = "") -> str:
    return element("namePart", text, attributes(type=kind))


def identifier(kind: str, text: str, *, invalid: bool = False, label: str = "") -> str:
    values = attributes(type=kind, invalid="yes" if invalid else "", displayLabel=label)
    return element("identifier", text, values)

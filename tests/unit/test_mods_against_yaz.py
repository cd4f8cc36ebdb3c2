"""MODS from MARC 21 beside an independent conversion: YAZ's copy of LC's stylesheet.

That stylesheet makes an early version of MODS, which tells less and some things
otherwise; what it does tell must be in ours too, and each exception is named.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from lxml import etree

import samples
from protocol.marcxml import to_marcxml
from protocol.mods import to_mods
from protocol.mods_xml import NAMESPACE
from protocol.record import MarcFamily
from tests.marc_files import marc_files
from tests.xml_forms import decoded

EARLY_NAMESPACE = "http://www.loc.gov/mods/"
STYLESHEET = Path("/usr/share/yaz/etc/MARC21slim2MODS.xsl")  # Debian: libyaz-dev


def words(text: str) -> str:
    """Without punctuation and case: old MODS keeps other stops than ours."""
    return re.sub(r"[\W_]+", " ", text).strip().lower()


def first_word(text: str) -> str:
    return text.partition(" ")[0].partition("(")[0].rstrip(":;,")


def dates(text: str) -> str:
    return text if re.fullmatch("[0-9][0-9u]{3}", text) else ""  # else it says nothing


def language_code(text: str) -> str:
    return text if re.fullmatch("[a-z]{3}", text) and text not in ("und", "xxx") else ""


# What is compared: where the stylesheet has it, where we have it, how both are put alike.
Rule = tuple[str, str, Callable[[str], str]]
RULES: dict[str, Rule] = {
    "isbn": ("m:identifier[@type='isbn']", "m:identifier[@type='isbn']", first_word),
    "issn": ("m:identifier[@type='issn']", "m:identifier[@type='issn']", words),
    "lccn": ("m:identifier[@type='lccn']", "m:identifier[@type='lccn']", words),
    "publisher": (".//m:publisher", ".//m:publisher", words),
    "place": (".//m:place/m:text", ".//m:placeTerm[@type='text']", words),
    "country": (".//m:place/m:code", ".//m:placeTerm[@type='code']", words),
    "coded date": (".//m:dateIssued[@encoding='marc']", ".//m:dateIssued[@encoding='marc']", dates),
    "edition": (".//m:edition", ".//m:edition", words),
    "language": ("m:language", "m:language/m:languageTerm", language_code),
    "topic": ("m:subject/m:topic", "m:subject/*[self::m:topic or self::m:genre]", words),
    "geographic": ("m:subject/m:geographic", "m:subject/m:geographic", words),
    "table of contents": ("m:tableOfContents", "m:tableOfContents", words),
    "abstract": ("m:abstract", "m:abstract", words),
    "record": ("m:recordInfo/m:recordIdentifier", "m:recordInfo/m:recordIdentifier", words),
    "series": ("m:relatedItem[@type='series']//m:title",
               "m:relatedItem[@type='series']/m:titleInfo", words),
    "url": ("m:location/m:url", "m:location/m:url", str.strip),
}  # fmt: skip


@pytest.fixture(scope="module")
def early_mods() -> etree.XSLT:
    if not STYLESHEET.is_file():
        pytest.fail("libyaz-dev is not installed: run `make test-tools`")
    return etree.XSLT(etree.parse(STYLESHEET))


def missing(early_mods: etree.XSLT, marc: bytes) -> list[tuple[str, str]]:
    """What the stylesheet says of a record and our MODS does not."""
    (theirs,) = early_mods(etree.fromstring(to_marcxml(marc))).getroot()
    ours = etree.fromstring(to_mods(marc, MarcFamily.MARC21))
    found = []
    for name, (early, path, alike) in RULES.items():
        said = texts(ours, NAMESPACE, path, alike)
        found += [
            (name, value)
            for value in texts(theirs, EARLY_NAMESPACE, early, alike) - said
            if name not in FULLER or not any(within(value, each) for each in said)
        ]
    ours_title = words(" ".join(titles(ours, NAMESPACE)))
    theirs_title = words(" ".join(titles(theirs, EARLY_NAMESPACE)))
    # There a medium ($h) and a parallel title stand inside the title.
    apart = ours.xpath(
        "m:physicalDescription/m:form[@authority='gmd']/text()"
        " | m:titleInfo[@otherType='parallel']/*/text()",
        namespaces={"m": NAMESPACE},
    )
    whole = words(" ".join([ours_title, *apart]))
    if not within(ours_title, theirs_title) or not within(theirs_title, whole):
        found.append(("title", f"{theirs_title} | {ours_title}"))
    return found


# Series with their numbers in another order, editions with who made them.
FULLER = ("series", "edition")


def within(part: str, whole: str) -> bool:
    """Whether every word of `part` is one of `whole`."""
    return set(part.split()) <= set(whole.split())


def texts(root: etree._Element, namespace: str, path: str, alike: Callable[[str], str]) -> set[str]:
    found = {
        alike(" ".join(" ".join(each.itertext()).split()))
        for each in root.xpath(path, namespaces={"m": namespace})
    }
    return found - {""}


def titles(root: etree._Element, namespace: str) -> list[str]:
    """The title proper with all its parts; early MODS has the other title inside the title."""
    info = root.find(f"{{{namespace}}}titleInfo")
    if info is None:
        return []
    order = ("nonSort", "title", "subTitle", "partNumber", "partName")
    parts = {etree.QName(each).localname: each.text or "" for each in info}
    return [parts.get(name, "") for name in order]


def test_samples_say_all_that_the_stylesheet_finds(early_mods: etree.XSLT) -> None:
    for marc in samples.records("we_cat"):
        assert missing(early_mods, marc) == []


@pytest.mark.shared_data
@pytest.mark.timeout(600)
def test_real_records_say_all_that_the_stylesheet_finds(
    early_mods: etree.XSLT, shared_data: Path
) -> None:
    differences: Counter[str] = Counter()
    records = 0
    for file in marc_files(shared_data):
        if file.family is not MarcFamily.MARC21 or not file.name.startswith(
            ("marc21/", "cjk/", "union/")
        ):
            continue
        for marc in decoded(file, 60):
            records += 1
            for name, value in missing(early_mods, marc):
                differences[f"{file.name}: {name}: {value}"] += 1
    assert records > 1_400
    assert sorted(differences) == []

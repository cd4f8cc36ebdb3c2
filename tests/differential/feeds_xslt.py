"""Tells Zebra's DOM filter what feeds the access points: the table, written as XSLT.

Both servers then index the same texts, and what differs is how they cut,
fold and match them. The entries of the table are read here by their documented
form (`protocol.access_point.AccessPoint`), not by the store's own reader.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator

from protocol.access_point import AccessPoint, Kind
from protocol.access_points import ACCESS_POINTS, BY_NAME
from protocol.record import MarcFamily

# Access points compared, and the names by which Zebra's bib1.att knows them.
TEXTS = {
    "title": "Title",
    "author": "Author",
    "author_personal": "Author-name-personal",
    "author_corporate": "Author-name-corporate",
    "subject": "Subject-heading",
    "title_series": "Title-series",
    "publisher": "Publisher",
    "place": "Place-publication",
    "note": "Note",
}
NUMBERS = {"isbn": "ISBN", "issn": "ISSN", "lccn": "LC-card-number"}

_ENTRY = re.compile(
    r"(?P<tag>[0-9]{3})(?:\[(?P<indicators>..)\])?(?P<codes>[a-z0-9]+)"
    r"(?:\?(?P<code>[a-z0-9])=(?P<begins>.+))?"
)
# Fields whose indicator 1 or 2 counts the characters that filing passes over.
_NONFILING = {"130": 1, "730": 1, "740": 1, "240": 2, "242": 2, "245": 2, "440": 2, "830": 2}

# Where the coded years stand: the field, and the places of their kind and of each.
_CODED = {
    MarcFamily.MARC21: {
        "coded": "m:controlfield[@tag='008']", "kind": 7, "year_1": 8, "year_2": 12,
    },
    MarcFamily.UNIMARC: {
        "coded": "m:datafield[@tag='100']/m:subfield[@code='a']",
        "kind": 9, "year_1": 10, "year_2": 14,
    },
}  # fmt: skip

_HEAD = """\
<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform"
  xmlns:m="http://www.loc.gov/MARC21/slim" xmlns:z="http://indexdata.com/zebra-2.0"
  exclude-result-prefixes="m z">
<xsl:output indent="no" method="xml" encoding="UTF-8"/>
<xsl:template match="text()"/>
<xsl:template match="m:record">
<z:record z:id="{{m:controlfield[@tag='001']}}">
<z:index name="Local-number:0 Local-number:w">
  <xsl:value-of select="m:controlfield[@tag='001']"/>
</z:index>
<xsl:variable name="c" select="{coded}"/>
<xsl:variable name="y1" select="translate(substring($c,{year_1},4),'u','0')"/>
<xsl:variable name="y2" select="translate(substring($c,{year_2},4),'u','0')"/>
<z:index name="Date-of-publication:w Date-of-publication:n Date-of-publication:y">
  <xsl:if test="number($y1) &gt; 0 and substring($c,{year_1},1)!='u'">
    <xsl:value-of select="$y1"/></xsl:if>
</z:index>
<z:index name="Date-of-publication:w Date-of-publication:n Date-of-publication:y">
  <xsl:if test="number($y2) &gt; 0 and number($y2) &lt; 2100 and substring($c,{kind},1)!='e'">
    <xsl:value-of select="$y2"/></xsl:if>
</z:index>
<xsl:for-each select="m:datafield">
<xsl:variable name="tag">
  <xsl:choose>
    <xsl:when test="@tag='880'">
      <xsl:value-of select="substring(m:subfield[@code='6'],1,3)"/>
    </xsl:when>
    <xsl:otherwise><xsl:value-of select="@tag"/></xsl:otherwise>
  </xsl:choose>
</xsl:variable>
<xsl:choose>
"""
_TAIL = "</xsl:choose></xsl:for-each>\n</z:record>\n</xsl:template>\n</xsl:stylesheet>\n"


def stylesheet(family: MarcFamily = MarcFamily.MARC21) -> str:
    """The stylesheet from MARCXML of a family to the filter's index elements."""
    by_tag: dict[str, list[str]] = defaultdict(list)
    for name, index in TEXTS.items():
        for entry in map(_parsed, _feeds(BY_NAME[name], family)):
            by_tag[entry["tag"]].append(_text(entry, f"{index}:w {index}:p"))
    for name, index in NUMBERS.items():
        for entry in map(_parsed, _feeds(BY_NAME[name], family)):
            by_tag[entry["tag"]].append(_number(entry, f"{index}:w"))
    for entry in map(_parsed, _any_entries(family)):
        by_tag[entry["tag"]].append(_text(entry, "Any:w"))
    parts = [_HEAD.format(**_CODED[family])]
    for tag, steps in by_tag.items():
        parts += [f"<xsl:when test=\"$tag='{tag}'\">\n", *steps, "</xsl:when>\n"]
    return "".join([*parts, _TAIL])


def _feeds(point: AccessPoint, family: MarcFamily) -> list[str]:
    return (point.marc21 if family is MarcFamily.MARC21 else point.unimarc).split()


def _any_entries(family: MarcFamily) -> Iterator[str]:
    rows = [row for row in ACCESS_POINTS if row.in_any and row.kind is Kind.TEXT]
    yield from dict.fromkeys(entry for row in rows for entry in _feeds(row, family))


def _parsed(entry: str) -> re.Match[str]:
    found = _ENTRY.fullmatch(entry)
    assert found is not None, entry
    return found


def _field_test(entry: re.Match[str]) -> str:
    """XPath that is true for the fields of the tag that an entry wants."""
    tests = ["true()"]
    for place, wanted in enumerate(entry["indicators"] or "", 1):
        if wanted != ".":
            tests.append(f"@ind{place}='{wanted}'")
    if entry["code"]:
        begins = " or ".join(f"starts-with(.,'{each}')" for each in entry["begins"].split("|"))
        tests.append(f"m:subfield[@code='{entry['code']}' and ({begins})]")
    return " and ".join(tests)


def _subfields(entry: re.Match[str]) -> str:
    return f"m:subfield[contains('{entry['codes']}',@code)]"


def _text(entry: re.Match[str], index: str) -> str:
    """One text of the subfields in record order; of one code, each apart."""
    if len(entry["codes"]) == 1:
        made = (
            f'<xsl:for-each select="{_subfields(entry)}"><z:index name="{index}">'
            '<xsl:value-of select="."/></z:index></xsl:for-each>'
        )
        return f'<xsl:if test="{_field_test(entry)}">{made}</xsl:if>\n'
    made = (
        f'<xsl:variable name="t"><xsl:for-each select="{_subfields(entry)}">'
        '<xsl:if test="position() &gt; 1"><xsl:text> </xsl:text></xsl:if>'
        '<xsl:value-of select="."/></xsl:for-each></xsl:variable>'
        f'<xsl:if test="$t!=\'\'"><z:index name="{index}"><xsl:value-of select="$t"/></z:index>'
    )
    place = _NONFILING.get(entry["tag"])
    if place and "a" in entry["codes"]:
        # The title is also filed without its article.
        made += (
            f'<xsl:if test="number(@ind{place}) &gt; 0"><z:index name="{index}">'
            f'<xsl:value-of select="substring($t, number(@ind{place}) + 1)"/>'
            "</z:index></xsl:if>"
        )
    return f'<xsl:if test="{_field_test(entry)}">{made}</xsl:if></xsl:if>\n'


def _number(entry: re.Match[str], index: str) -> str:
    """The number without hyphens, up to the qualifier."""
    number = "normalize-space(translate(substring-before(concat(.,'('),'('),'-',''))"
    return (
        f'<xsl:for-each select="{_subfields(entry)}"><z:index name="{index}">'
        f'<xsl:value-of select="{number}"/></z:index></xsl:for-each>\n'
    )

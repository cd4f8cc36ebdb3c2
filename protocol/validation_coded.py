"""Validation of what is coded: fixed fields, numbers with check digits, codes, dates."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from protocol.iso2709 import Field
from protocol.record import MarcFamily
from protocol.standard_number import urn_isbn, urn_issn
from protocol.validation_codes import COUNTRIES, FORMER_LANGUAGES, LANGUAGES
from protocol.validation_finding import Finding, found
from protocol.validation_fixed import FIXED_008, FIXED_UNIMARC, FixedField, material_008

ByTag = Mapping[str, Sequence[Field]]


def coded_findings(leader: str, by_tag: ByTag, family: MarcFamily) -> Iterator[Finding]:
    """What is wrong with the coded data of a record; `by_tag` has its fields."""
    yield from _time(by_tag)
    if family is MarcFamily.MARC21:
        yield from _marc21(leader, by_tag)
    else:
        yield from _unimarc(by_tag)


def _time(by_tag: ByTag) -> Iterator[Finding]:
    for occurrence, field in enumerate(by_tag.get("005", ()), 1):
        if not _TIME.fullmatch(field.text.strip()):
            yield found("005.form", field.text[:40], "005", occurrence)


_TIME = re.compile(
    r"(?:19|20)[0-9]{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])(?:[0-9]{6}(?:\.[0-9])?)?"
)


def _marc21(leader: str, by_tag: ByTag) -> Iterator[Finding]:
    fixed = FIXED_008[material_008(leader)]
    for occurrence, field in enumerate(by_tag.get("008", ()), 1):
        yield from _fixed(field.text, fixed, "008", occurrence)
        if (code := field.text[35:38]).isalpha():
            yield from _language(code, "008", occurrence, "/35-37")
    yield from _isbns(by_tag.get("020", ()), "020")
    yield from _issns(by_tag.get("022", ()), "022")
    for occurrence, field in enumerate(by_tag.get("041", ()), 1):
        if field.indicators[1] == "7":  # codes of a list of its own
            continue
        for code, value in field.subfields:
            if code in "abdefghjkmnpqrt":
                # Until 2001 the codes of a subfield were written without a break.
                codes = value.strip()
                whole = len(codes) % 3 == 0 and codes.isalpha()
                for at in range(0, len(codes), 3) if whole else ():
                    yield from _language(codes[at : at + 3], "041", occurrence, f"${code}")
                if not whole:
                    yield found("language.code", value[:40], "041", occurrence, f"${code}")
    yield from _dates_of_marc21(by_tag)


def _dates_of_marc21(by_tag: ByTag) -> Iterator[Finding]:
    coded = by_tag.get("008")
    if coded and coded[0].text[6:7] == "s":
        imprints = [*by_tag.get("260", ()), *by_tag.get("264", ())]
        dates = [date for field in imprints for date in field.values("cg")]
        yield from _agreement(coded[0].text[7:11], dates, "008", "/07-10")


def _unimarc(by_tag: ByTag) -> Iterator[Finding]:
    for tag, fixed in FIXED_UNIMARC.items():
        for occurrence, field in enumerate(by_tag.get(tag, ()), 1):
            for value in field.values("a"):
                yield from _fixed(value, fixed, tag, occurrence)
    yield from _isbns(by_tag.get("010", ()), "010")
    yield from _issns(by_tag.get("011", ()), "011")
    for occurrence, field in enumerate(by_tag.get("101", ()), 1):
        if field.indicators[1] != "7":
            for code, value in field.subfields:
                if code in "abcdefghij":
                    yield from _language(value, "101", occurrence, f"${code}")
        if field.indicators[0] == "1" and not field.first("c"):
            yield found("101.translation", "", "101", occurrence, "$c")
    for occurrence, field in enumerate(by_tag.get("102", ()), 1):
        for value in field.values("a"):
            if value.strip() not in COUNTRIES:
                yield found("country.code", value[:40], "102", occurrence, "$a")
    coded = by_tag.get("100")
    if coded and (data := coded[0].first("a"))[8:9] == "d":
        imprints = [*by_tag.get("210", ()), *by_tag.get("214", ())]
        dates = [date for field in imprints for date in field.values("dh")]
        yield from _agreement(data[9:13], dates, "100", "/09-12")
    yield from _sources(by_tag.get("801", ()))
    yield from _holdings(by_tag.get("905", ()))


def _fixed(value: str, fixed: FixedField, tag: str, occurrence: int) -> Iterator[Finding]:
    if fixed.whole.fullmatch(value):
        return
    if len(value) != fixed.length:
        shown = f"{len(value)} characters"
        yield Finding(fixed.length_rule, tag, occurrence, _subfield(fixed), shown)
        return
    for position, pattern, rule in fixed.parts:
        part = value[position.start : position.end]
        if not pattern.fullmatch(part):
            last = f"-{position.end - 1:02}" if position.end - position.start > 1 else ""
            place = f"{_subfield(fixed)}/{position.start:02}{last}"
            yield Finding(rule, tag, occurrence, place, repr(part))


def _subfield(fixed: FixedField) -> str:
    return f"${fixed.subfield}" if fixed.subfield else ""


def _language(code: str, tag: str, occurrence: int, place: str) -> Iterator[Finding]:
    code = code.strip()
    if code in LANGUAGES or code in FORMER_LANGUAGES or code in ("", "|||", "###"):
        return
    yield found("language.code", repr(code[:20]), tag, occurrence, place)


# Numbers ----------------------------------------------------------------------------

_NUMBER = re.compile(r"[\s:]*(?:ISBN|ISSN)?[\s:]*([0-9][0-9 \u2010-\u2015-]*[0-9Xx]?)", re.I)


def _isbns(fields: Sequence[Field], tag: str) -> Iterator[Finding]:
    for occurrence, field in enumerate(fields, 1):
        for value in field.values("a"):
            number = _bare_number(value)
            if len(number) not in (10, 13):
                yield found("isbn.form", value[:40], tag, occurrence, "$a")
            elif not urn_isbn(number):
                yield found("isbn.check", value[:40], tag, occurrence, "$a")


def _issns(fields: Sequence[Field], tag: str) -> Iterator[Finding]:
    for occurrence, field in enumerate(fields, 1):
        for value in field.values("a"):
            number = _bare_number(value)
            if len(number) != 8:
                yield found("issn.form", value[:40], tag, occurrence, "$a")
            elif not urn_issn(number):
                yield found("issn.check", value[:40], tag, occurrence, "$a")


def _bare_number(value: str) -> str:
    """The digits that `value` begins with; behind them a binding or price may stand."""
    match = _NUMBER.match(value)
    return re.sub(r"[^0-9Xx]", "", match[1]).upper() if match else ""


# Dates, sources, holdings -----------------------------------------------------------

_YEAR = re.compile("(?<![0-9])[0-9]{4}(?![0-9])")


def _agreement(year: str, dates: Sequence[str], tag: str, place: str) -> Iterator[Finding]:
    """A year of issue that is coded should be among those that are written."""
    if not year.isdigit():
        return
    written = [found_year for date in dates for found_year in _YEAR.findall(date)]
    if written and year not in written:
        yield found("date.agreement", f"{year}, {', '.join(written)}"[:40], tag, 1, place)


_DATE = re.compile("(?:19|20)[0-9]{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])")


def _sources(fields: Sequence[Field]) -> Iterator[Finding]:
    for occurrence, field in enumerate(fields, 1):
        if not field.first("a") or not field.first("b"):
            yield found("801.agency", "", "801", occurrence)
        for value in field.values("c"):
            if not _DATE.fullmatch(value.strip()):
                yield found("801.date", value[:40], "801", occurrence, "$c")


_COPIES = re.compile("[0-9]{1,4}")


def _holdings(fields: Sequence[Field]) -> Iterator[Finding]:
    for occurrence, field in enumerate(fields, 1):
        if not field.first("a"):
            yield found("905.library", "", "905", occurrence, "$a")
        if not field.values("dsb"):
            yield found("905.call-number", "", "905", occurrence)
        for value in field.values("f"):
            if not _COPIES.fullmatch(value.strip()):
                yield found("905.copies", value[:40], "905", occurrence, "$f")

"""What is compared of two records to tell whether they describe the same publication.

Everything is normalised as the index does it: folded script and case, ISBN as
thirteen digits, numerals of either kind as numbers. docs/duplicates.md says why
each is looked at.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from protocol.iso2709 import Field, MarcRecord
from protocol.record import MarcFamily
from store.analysis import key
from store.dates import coded_years, years_in
from store.folding import fold
from store.identifiers import identifier_keys, isbn_is_valid, isbn_keys, issn_keys
from store.numerals import number_of

_TITLE_CHARS_MAX = 200
_LEADING_ARTICLE = re.compile("^(?:the|an|a) (?=.)")


@dataclass(frozen=True, slots=True)
class Facts:
    """Sets are empty and texts "" for what a record does not say."""

    kind: str  # of material, from the leader
    level: str  # monograph, serial, part …, from the leader
    carrier: str  # print, electronic, micro, large or braille
    isbns: frozenset[str]  # valid ones, thirteen digits
    issns: frozenset[str]
    numbers: frozenset[str]  # of other systems, with what says whose they are
    title: str  # proper, without a volume at its end
    rest_of_title: str
    volume: str  # number or name of the part that is described
    part_title: str
    is_set: bool  # described as several volumes
    edition: str  # its number
    edition_kind: frozenset[str]  # revised, facsimile …
    years: frozenset[int]
    publishers: frozenset[str]
    authors: frozenset[str]
    pages: int
    language: str
    series_numbers: frozenset[str]  # the volume's place in its series

    @property
    def is_serial(self) -> bool:
        return self.level == "s"


def facts_of(record: MarcRecord, family: MarcFamily) -> Facts:
    """The facts of a record. Never raises."""
    marc21 = family is MarcFamily.MARC21
    fields = _ByTag(record)
    title_field = fields.first("245" if marc21 else "200")
    whole = _title(title_field)
    title, volume = _without_volume(whole)
    if not title:  # "Book 2" may be all there is
        title, volume = _squeezed(whole), ""
    rest, rest_volume = _without_volume(_rest(title_field, "b" if marc21 else "e"))
    stated = _designation(" ".join(title_field.values("n" if marc21 else "h")))
    part = key(" ".join(title_field.values("p" if marc21 else "i")))
    extent = fold(" ".join(fields.values("300" if marc21 else "215", "a")))
    edition = fold(" ".join(fields.values("250" if marc21 else "205", "ab" if marc21 else "ad")))
    return Facts(
        kind=record.leader[6:7],
        level=record.leader[7:8].strip() or "m",
        carrier=_carrier(record, fields, title_field, marc21=marc21),
        isbns=frozenset(
            number
            for value in fields.values("020" if marc21 else "010", "a")
            for number in isbn_keys(value)
            if isbn_is_valid(number)
        ),
        issns=frozenset(
            number
            for value in fields.values("022" if marc21 else "011", "a")
            for number in issn_keys(value)
            if len(number) == 8
        ),
        numbers=frozenset(_numbers(fields, marc21=marc21)),
        title=title,
        rest_of_title=rest,
        volume=stated or volume or rest_volume or _volume_of_extent(extent),
        part_title=part,
        is_set=_is_set(extent),
        edition=_edition_number(edition),
        edition_kind=frozenset(
            kind for kind, words in _EDITION_KINDS.items() if words.search(edition)
        ),
        years=frozenset(_years(fields, marc21=marc21)),
        publishers=frozenset(filter(None, map(_publisher, _publishers(fields, marc21=marc21)))),
        authors=frozenset(filter(None, map(_author, _authors(fields, marc21=marc21)))),
        pages=_pages(extent),
        language=_language(fields, marc21=marc21),
        series_numbers=frozenset(
            filter(
                None,
                map(
                    _designation,
                    fields.values("490", "v") + fields.values("830", "v")
                    if marc21
                    else fields.values("225", "v"),
                ),
            )
        ),
    )


class _ByTag:
    """The fields of a record by their tag."""

    def __init__(self, record: MarcRecord) -> None:
        self._fields: dict[str, list[Field]] = {}
        for field in record.fields:
            self._fields.setdefault(field.tag, []).append(field)

    def get(self, tag: str) -> list[Field]:
        return self._fields.get(tag, [])

    def first(self, tag: str) -> Field:
        """The first field of that tag, or an empty one."""
        return self._fields.get(tag, [Field(tag, "")])[0]

    def text(self, tag: str) -> str:
        return self.first(tag).text

    def values(self, tag: str, codes: str) -> list[str]:
        return [value for field in self.get(tag) for value in field.values(codes)]


# Titles and volumes


_NUMERAL = "[0-9〇零一二三四五六七八九十百两]"
_SUFFIX = "[卷册集部辑编篇辑輯冊編]"
# 第三卷, 上册, (上), [下]; a bare 上 at the end of a word is part of the word.
_HAN_TAIL = re.compile(
    rf"[\s,.:;·(\[]*(?:第?{_NUMERAL}+{_SUFFIX}|[上中下]{_SUFFIX}|(?<=[(\[\s,.:;·])[上中下])[)\]\s.]*$"
)
_LATIN_TAIL = re.compile(
    r"(?:^|[\s,.:;(\[])(?:vol(?:ume)?|v|part|pt|band|bd|tome|t|том|т|ч|часть|book)\b\.?\s*"
    r"([0-9]+|[ivxlc]+|one|two|three|four|five)[)\]\s.]*$"
)
_ROMAN = {"i": 1, "v": 5, "x": 10, "l": 50, "c": 100}
_WORDS = {
    word: str(number)
    for number, words in enumerate(
        (
            "one first", "two second", "three third", "four fourth", "five fifth",
            "six sixth", "seven seventh", "eight eighth", "nine ninth", "ten tenth",
        ),
        1,
    )
    for word in words.split()
}  # fmt: skip
_HAN_NUMERAL = re.compile(f"{_NUMERAL}+")
_TOKEN = re.compile(r"[0-9]+|[^\W0-9_]+")
_NOT_NAMING = re.compile(f"[第之分年]|{_SUFFIX}")
_VOLUME_WORDS = re.compile(
    r"\b(?:volumes?|vol|v|parts?|pt|bande?|bd|tomes?|teile?|heft|t|book|bk|no|nr|том|т|часть|ч|выпуск|вып)"
    r"\b\.?"
)


def _title(field: Field) -> str:
    text = fold(" ".join(field.values("a"))[:_TITLE_CHARS_MAX]).strip(" /:;,=.")
    return _LEADING_ARTICLE.sub("", text)


def _rest(field: Field, codes: str) -> str:
    return fold(" ".join(field.values(codes))[:_TITLE_CHARS_MAX]).strip(" /:;,=.")


def _without_volume(folded: str) -> tuple[str, str]:
    """The key of a folded title, and the volume that stands at its end."""
    for tail in (_HAN_TAIL, _LATIN_TAIL):
        found = tail.search(folded)
        if found:
            return _squeezed(folded[: found.start()]), _designation(found[0])
    return _squeezed(folded), ""


def _squeezed(folded: str) -> str:
    return key(folded).replace(" ", "")


def _designation(text: str) -> str:
    """What names a volume, numbers as digits: 第三卷, Vol. III and v. 3 are 3; 上册之二 is 上-2."""
    folded = fold(text).strip()
    if not folded:
        return ""
    digits = _HAN_NUMERAL.sub(lambda found: f" {number_of(found[0])} ", folded)
    tokens = _TOKEN.findall(_NOT_NAMING.sub(" ", _VOLUME_WORDS.sub(" ", digits)))
    return "-".join(_WORDS.get(token) or _roman(token) or token for token in tokens)


def _roman(word: str) -> str:
    if not word or not set(word) <= _ROMAN.keys():
        return ""
    values = [_ROMAN[char] for char in word]
    pairs = zip(values, [*values[1:], 0], strict=True)
    return str(sum(-value if value < following else value for value, following in pairs))


_ONE_VOLUME = re.compile(r"^\W*(?:v\.|vol\.?|bd\.?|t\.|том|т\.)\s*([0-9]+)\b")
_ONE_HAN_VOLUME = re.compile(rf"^\W*第({_NUMERAL}+)[册卷冊]")
_VOLUMES = re.compile(
    r"([0-9]+|[一二三四五六七八九十百]+)\s*"
    r"(?:v\b|vols?\b|volumes\b|册|卷|冊|函|bde?\b|bände|т\b|том)"
)


def _volume_of_extent(extent: str) -> str:
    found = _ONE_VOLUME.search(extent) or _ONE_HAN_VOLUME.search(extent)
    return _designation(found[1]) if found else ""


def _is_set(extent: str) -> bool:
    if _ONE_VOLUME.search(extent) or _ONE_HAN_VOLUME.search(extent):
        return False
    found = _VOLUMES.search(extent)
    return found is not None and number_of(found[1]) > 1


_PAGES = re.compile(r"([0-9]+)\s*(?:p\b|pages|页|頁|s\b|seiten|с\b)")


def _pages(extent: str) -> int:
    return max(map(int, _PAGES.findall(extent)), default=0)


# Editions, years, publishers, authors


_EDITION = re.compile(
    rf"第?({_NUMERAL}+)\s*版|([0-9]+)(?:st|nd|rd|th|e|-?е|-?ое|\.)?\s*(?:ed|aufl|изд|éd)"
)
_EDITION_WORD = re.compile(rf"\b({'|'.join(_WORDS)})\s+(?:[a-z]+\s+)?ed")
_EDITION_KINDS = {
    "revised": re.compile(r"修订|修訂|订正|rev|überarb|испр"),
    "enlarged": re.compile(r"增订|增補|增补|增修|enl|erw|доп"),
    "facsimile": re.compile(r"影印|facsim|reprint|重印"),
    "new": re.compile(r"新[0-9一二三]*版|\bnew (?:[a-z]+ )?ed"),
    "large": re.compile(r"大字|large"),
    "abridged": re.compile(r"缩|节|abridg"),
    "international": re.compile(r"international|国际"),
}


def _edition_number(edition: str) -> str:
    found = _EDITION.search(edition)
    if found:
        return str(number_of(found[1] or found[2]))
    word = _EDITION_WORD.search(edition)
    return _WORDS[word[1]] if word else ""


def _years(fields: _ByTag, *, marc21: bool) -> Iterable[int]:
    coded = fields.text("008")[6:15] if marc21 else fields.first("100").first("a")[8:17]
    years = coded_years(coded[:1], coded[1:5], coded[5:9])[:1]
    if marc21:
        stated = fields.values("260", "c") + fields.values("264", "c")
    else:
        stated = fields.values("210", "d")
    return map(int, (*years, *(year for text in stated for year in years_in(text)[:1])))


def _publishers(fields: _ByTag, *, marc21: bool) -> list[str]:
    if marc21:
        return fields.values("260", "b") + fields.values("264", "b")
    return fields.values("210", "c")


_UNKNOWN_PUBLISHER = re.compile(r"s\.\s?n\.|出版者不详|not identified|б\.\s?и\.")
_COMPANY = re.compile(
    r"出版(?:社|公司|集团|传媒|发行)?|有限(?:责任)?公司|股份|集团|公司|"
    r"\b(?:press|publish(?:ing|ers?)|pub|company|co|inc|ltd|limited|corp|corporation|group|verlag"
    r"|gmbh|ag|editions?|books|the|and|sons|llc|изд-во|изд|издательство)\b\.?"
)


def _publisher(text: str) -> str:
    folded = fold(text)
    if _UNKNOWN_PUBLISHER.search(folded):
        return ""
    return _squeezed(_COMPANY.sub(" ", folded)) or _squeezed(folded)


def _authors(fields: _ByTag, *, marc21: bool) -> list[str]:
    tags = ("100", "110", "111", "700", "710") if marc21 else ("700", "701", "710", "711")
    return [field.first("a") for tag in tags for field in fields.get(tag)]


def _author(text: str) -> str:
    """A Chinese name whole, of another the part before the comma: given names get shortened."""
    return _squeezed(fold(text).partition(",")[0])


# Coded


def _numbers(fields: _ByTag, *, marc21: bool) -> Iterable[str]:
    """Numbers that name the record elsewhere, each with whose it is."""
    number, agency = fields.text("001").strip(), fields.text("003").strip()
    if number and agency:
        yield from identifier_keys(f"({agency}){number}", bare=False)[-1:]
    for value in fields.values("035", "a"):
        if value.startswith("(") and ")" in value:
            yield from identifier_keys(value, bare=False)[-1:]
    if marc21:
        yield from (f"lccn {each}" for text in fields.values("010", "a") for each in _id(text))
        yield from (f"nb {each}" for text in fields.values("015", "a") for each in _id(text))
    else:
        yield from (f"uniform {each}" for text in fields.values("091", "a") for each in _id(text))
        for field in fields.get("020"):
            country = field.first("a").strip().lower()
            kind = "lccn" if country == "us" else f"nb{country}"
            yield from (f"{kind} {each}" for text in field.values("b") for each in _id(text))


def _id(text: str) -> tuple[str, ...]:
    return identifier_keys(text.strip(), bare=False)[:1]


_ELECTRONIC = re.compile(r"electronic|电子|網路|网络|光盘|computer|online|электрон")
_MICRO = re.compile(r"micro|缩微|縮微|микро")
_BRAILLE = re.compile(r"braille|盲文")


def _carrier(record: MarcRecord, fields: _ByTag, title: Field, *, marc21: bool) -> str:
    """print, electronic, micro, large or braille; print where nothing says otherwise."""
    stated = fold(" ".join(title.values("h" if marc21 else "b")))
    if marc21:
        place = 29 if record.leader[6:7] in "efgkor" else 23
        form = fields.text("008")[place : place + 1]
        physical = {field.text[:1] for field in fields.get("007")}
        carriers = fold(" ".join(fields.values("338", "ab") + fields.values("337", "ab")))
        is_electronic = form in tuple("osq") or "c" in physical or record.leader[6:7] == "m"
        is_micro = form in tuple("abc") or "h" in physical
        stated = f"{stated} {carriers}"
    else:
        form = fields.first("106").first("a")[:1]
        is_electronic = form == "s" or bool(fields.get("135")) or record.leader[6:7] == "l"
        is_micro = bool(fields.get("130"))
        form = {"d": "d", "f": "f"}.get(form, "")
    if is_electronic or _ELECTRONIC.search(stated):
        return "electronic"
    if is_micro or _MICRO.search(stated):
        return "micro"
    if form == "f" or _BRAILLE.search(stated):
        return "braille"
    return "large" if form == "d" else "print"


def _language(fields: _ByTag, *, marc21: bool) -> str:
    code = fields.text("008")[35:38] if marc21 else fields.first("101").first("a")[:3]
    code = code.lower().strip(" |#")
    return "" if code in ("und", "mul", "zxx") else code

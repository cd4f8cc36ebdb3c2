"""What a MARC record brings to the index, as the access-point table says."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from protocol.access_point import Kind
from protocol.access_points import ACCESS_POINTS
from protocol.iso2709 import Field, MarcRecord
from protocol.record import MarcFamily
from store import pinyin
from store.analysis import KEY_CHARS_MAX, key
from store.coded import years
from store.cyrillic import romanised
from store.dates import date_query, years_in
from store.feeds import CLASS_MARKS_SORTED, NONFILING, READINGS, feeds_of, nonfiling
from store.identifiers import classification_keys, query_keys

__all__ = ["Entries", "entries", "query_keys", "sort_value", "sort_values"]

FIELD_CHARS_MAX = 20_000  # of one text that is indexed

# UNIMARC encloses what filing passes over in NSB and NSE: C1 controls in UTF-8,
# or as ISO 6630 had them.
_NON_SORTING = re.compile("[\x88\x98][^\x89\x9c]*[\x89\x9c] ?")
_NON_SORTING_SIGNS = re.compile("[\x88\x89\x98\x9c]")
_END_PUNCTUATION = " /:;,=\t\n"

# Of titles and names that bring no reading, these are read.
_READ_TAGS = frozenset(("100", "110", "200", "245", "700", "701", "702", "710", "711", "712"))
_PERSON_TAGS = frozenset(("100", "700", "701", "702"))
# Of titles and names, Cyrillic is also indexed in Latin letters.
_ROMANISED = frozenset(
    point.name
    for point in ACCESS_POINTS
    if point.kind is Kind.TEXT
    and point.name.startswith(("title", "author", "name", "editor", "related_title", "host_item"))
    and point.name not in READINGS
)
_HAS_ROMAN = re.compile("[A-Za-z]")


@dataclass(frozen=True, slots=True)
class Entries:
    """What one record brings.

    `fields` are (access point, text) of kind TEXT in record order, to which the
    index applies `analysis.words` and `analysis.key`; `keys` are (access point,
    normalised value) of every other kind. Neither holds anything twice.
    """

    fields: list[tuple[str, str]] = field(default_factory=list)
    keys: list[tuple[str, str]] = field(default_factory=list)


def entries(record: MarcRecord, family: MarcFamily) -> Entries:
    """Everything that `record` brings, but for who holds it. Never raises."""
    return _Extraction(record, family).run()


def sort_values(record: MarcRecord, family: MarcFamily) -> dict[str, str]:
    """One value for each sortable access point that the record has, ordered as text.

    Titles without what filing passes over; Chinese titles and names by Pinyin,
    Japanese ones by the reading that the record brings, then by their characters.
    """
    extraction = _Extraction(record, family)
    values = {
        name: extraction.sort_text(source, codes)
        for name, (source, codes) in _sort_sources(record, family).items()
    }
    if years := extraction.years():
        values["date"] = years[0]
    for name in CLASS_MARKS_SORTED:
        values[name] = extraction.class_mark(name)
    modified = record.first("005")
    if modified is not None and modified.text[:8].isdecimal():
        values["date_modified"] = modified.text[:14].rstrip(".")
    return {name: value for name, value in values.items() if value}


def cased_sort_text(record: MarcRecord, family: MarcFamily, access_point: str) -> str:
    """What the record sorts by as it is written, upper and lower case apart; "": nothing."""
    source, codes = _sort_sources(record, family).get(access_point, (None, ""))
    return "" if source is None else _Extraction(record, family).filing_text(source, codes)


def _sort_sources(record: MarcRecord, family: MarcFamily) -> dict[str, tuple[Field, str]]:
    """The field, and its subfields, that each sortable access point of text is taken from."""
    is_marc21 = family is MarcFamily.MARC21
    sources = {}
    title = record.first("245" if is_marc21 else "200")
    if title is not None:
        sources["title"] = (title, "anp" if is_marc21 else "ahi")
    tags = ("100", "110", "111") if is_marc21 else ()
    names = [each for each in record.fields if each.tag in tags]
    names = names or [each for each in record.fields if each.tag[:1] == "7" and each.tag < "730"]
    if names:
        sources["author"] = (names[0], "abcdq" if is_marc21 else "abcdf")
    return sources


def sort_value(access_point: str, text: str) -> str:
    """Where a record with `text` as its `access_point` would stand among the sort values.

    Chinese text is read as of a record that brings no reading.
    """
    if access_point in ("date", "date_modified"):
        return next(iter(date_query(text)), "")
    if access_point in CLASS_MARKS_SORTED:
        return next(iter(classification_keys(text)), "")
    value = key(text)
    if pinyin.is_chinese(text):
        value = f"{' '.join(pinyin.read(text, is_name=access_point == 'author'))}\x01{value}"
    return value[:KEY_CHARS_MAX]


class _Extraction:
    """The entries of one record while they are gathered."""

    def __init__(self, record: MarcRecord, family: MarcFamily) -> None:
        self._record = record
        self._is_marc21 = family is MarcFamily.MARC21
        self._feeds = feeds_of(family)
        self._fields: dict[tuple[str, str], None] = {}
        self._keys: dict[tuple[str, str], None] = {}
        self._stated_dates: list[str] = []
        self._known_language: str | None = None

    def run(self) -> Entries:
        known = self._feeds.by_tag
        self._add("LDR", Field("LDR", self._record.leader))
        for each in self._record.fields:
            tag = each.tag
            if tag in known:
                self._add(tag, each)
            elif tag == "880" and self._is_marc21:
                linked = each.first("6")[:3]
                if linked in known:
                    self._add(linked, each)
            if tag[:1] == "4" and not self._is_marc21 and "\x1f1" in each.text:
                for inner_tag, inner in _embedded(each):
                    if inner_tag in known:
                        self._add(inner_tag, inner)
        if self._stated_dates:
            coded = {value for name, value in self._keys if name == "date"}
            for date in self._stated_dates:
                # A coded year goes before a stated one, and has no month to tell.
                if not coded or (len(date) > 4 and date[:4] in coded):
                    self._keys["date", date] = None
        return Entries(list(self._fields), list(self._keys))

    def _add(self, tag: str, source: Field) -> None:
        parts = source.text.split("\x1f")
        head = ""
        if len(parts) > 1:
            head = "\x1f".join((parts[0], "".join([part[:1] or " " for part in parts[1:]])))
        text_steps, value_steps = self._feeds.steps(tag, head)
        fields, keys = self._fields, self._keys
        for places, condition, begins, names, readings, skipped, is_apart in text_steps:
            if condition and not _meets(condition, begins, parts):
                continue
            values = [parts[place][1:] for place in places]
            text = " ".join(values) if len(values) > 1 else values[0]
            if skipped or not text.isascii():
                self._add_texts(names, values if is_apart else [text], skipped)
                if readings and pinyin.has_reading(text):
                    codes = "".join([parts[place][0] for place in places])
                    self._add_reading(readings, tag, source, codes, text)
                continue
            for each in values if is_apart else (text,):
                if clean := each.strip(_END_PUNCTUATION)[:FIELD_CHARS_MAX]:
                    for name in names:
                        fields[name, clean] = None
        for places, condition, begins, first, end, is_class_mark, rule, names in value_steps:
            if condition and not _meets(condition, begins, parts):
                continue
            values = [parts[place][1:] for place in places] if head else parts
            if is_class_mark and len(values) > 1:
                values = [" ".join(values), values[0]]  # with the item number ($b), and without
            for value in values:
                for normalised in rule(value[first:end]):
                    for name in names:
                        keys[name, normalised] = None
                    if not names:
                        self._stated_dates.append(normalised)

    def _add_texts(self, names: Sequence[str], texts: Sequence[str], skipped: int) -> None:
        """Add texts that may have another form for filing, or one in Latin letters."""
        for text in texts:
            filed = text[skipped:]
            if _NON_SORTING_SIGNS.search(text):
                filed = _NON_SORTING.sub("", text)
                text = _NON_SORTING_SIGNS.sub("", text)  # noqa: PLW2901
            self._add_text(names, text)
            if filed is not text:
                self._add_text(names, filed)
            romanised_names = [name for name in names if name in _ROMANISED]
            for latin in romanised(filed) if romanised_names else ():
                self._add_text(romanised_names, latin)

    def _add_text(self, names: Sequence[str], text: str) -> None:
        if clean := text.strip(_END_PUNCTUATION)[:FIELD_CHARS_MAX]:
            for name in names:
                self._fields[name, clean] = None

    def years(self) -> list[str]:
        """Years of publication: those that are coded, else those of the statement."""
        coded: list[str] = []
        stated: list[str] = []
        for each in self._record.fields:
            for feed in self._feeds.of_date.get(each.tag, ()):
                values = each.values("".join(feed.codes)) if feed.codes else [each.text]
                for value in values:
                    if feed.first >= 0:
                        coded += years(value[feed.first : feed.last + 1])
                    else:
                        stated += years_in(value)
        return coded or stated

    def class_mark(self, access_point: str) -> str:
        """The first class mark of the record by one classification; "" when it has none."""
        feeds = self._feeds.of_class_marks[access_point]
        for each in self._record.fields:
            for feed in feeds.get(each.tag, ()):
                if feed.condition and not each.first(feed.condition).startswith(feed.begins):
                    continue
                for value in each.values("".join(sorted(feed.codes))):
                    for mark in classification_keys(value):
                        return mark
        return ""

    def filing_text(self, source: Field, codes: str) -> str:
        """The text of `source` without what filing passes over."""
        text = " ".join(source.values(codes))
        if not text.isascii() and _NON_SORTING_SIGNS.search(text):
            return _NON_SORTING_SIGNS.sub("", _NON_SORTING.sub("", text))
        if self._is_marc21 and source.tag in NONFILING:
            return text[nonfiling(source.tag, source.text) :]
        return text

    def sort_text(self, source: Field, codes: str) -> str:
        """What `source` sorts by."""
        text = self.filing_text(source, codes)
        value = key(text)
        if pinyin.has_reading(text):
            reading = self._reading(source.tag, source, codes, text)
            value = f"{' '.join(reading)}\x01{value}" if reading else value
        return value[:KEY_CHARS_MAX]

    def _add_reading(
        self, names: Sequence[str], tag: str, source: Field, codes: str, text: str
    ) -> None:
        reading = self._reading(tag, source, codes, text)
        for form in pinyin.index_forms(reading):
            for name in names:
                self._fields[name, form] = None

    def _reading(self, tag: str, source: Field, codes: str, text: str) -> Sequence[str]:
        """The syllables of `text`, which `codes` of `source` hold: the record's, else made ones."""
        if self._known_language is None:
            self._known_language = self._language()
        chinese = self._known_language in ("chi", "zho", "")
        if self._is_marc21:
            own = self._romanised(tag, source, codes)
        else:
            own = " ".join(source.values(codes.upper())) or " ".join(source.values("9"))
        if _HAS_ROMAN.search(own) and not pinyin.is_han(own):
            return pinyin.from_record(own, chinese=chinese)
        if own and not pinyin.is_han(own) and (words := pinyin.kana(own)):
            return words
        if chinese and tag in _READ_TAGS and pinyin.is_chinese(text):
            return pinyin.read(text, is_name=tag in _PERSON_TAGS)
        return ()

    def _romanised(self, tag: str, source: Field, codes: str) -> str:
        """The text of the field that a MARC 21 880 is linked with; "" when there is none."""
        link = source.first("6")
        if source.tag != "880" or len(link) < 6 or link[4:6] == "00":
            return ""
        partner = f"880-{link[4:6]}"
        for each in self._record.fields:
            if each.tag == tag and each.first("6").startswith(partner):
                return " ".join(each.values(codes))
        return ""

    def _language(self) -> str:
        if not self._is_marc21:
            coded = self._record.first("101")
            return coded.first("a").strip().lower() if coded else ""
        coded = self._record.first("008")
        return coded.text[35:38].strip(" |").lower() if coded else ""


def _embedded(linking: Field) -> Iterator[tuple[str, Field]]:
    """The fields inside a UNIMARC linking entry, with the tag whose feeds they go to.

    A title (200, 500) stands for the linking field itself; names for themselves.
    """
    for inner in linking.text.split("\x1f1")[1:]:
        tag = inner[:3]
        if tag in ("200", "500"):
            yield linking.tag, Field(linking.tag, inner[3:])
        elif tag[:1] == "7":
            yield tag, Field(tag, inner[3:])


def _meets(condition: str, begins: tuple[str, ...], parts: list[str]) -> bool:
    return any(part[:1] == condition and part.startswith(begins, 1) for part in parts[1:])

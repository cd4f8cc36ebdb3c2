"""A record's category and level, and which of its fields decided.

The rule of the agreement: a record is ancient first, if its database is a collection of
ancient books, its leader/06 is `v` (善本) or it has a field 140 (古籍 coded data; UNIMARC
both). Else its language decides: the first 101$a of UNIMARC; of MARC 21 the first 041$a
or, without one, 008/35-37. The level is full when leader/17 is blank (完全级), else basic.
Nothing here looks at a clock, a file or a database.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from protocol.iso2709 import Field, MarcRecord, control_number, parse
from protocol.record import Holding, MarcFamily


class Category(StrEnum):
    CHINESE = "chinese"
    WESTERN = "western"
    JAPANESE = "japanese"
    RUSSIAN = "russian"
    OTHER = "other"
    ANCIENT = "ancient"


class Level(StrEnum):
    FULL = "full"
    BASIC = "basic"


@dataclass(frozen=True, slots=True)
class CategoryRules:
    """What a consortium decides, in lower case: databases, and languages of ISO 639-2."""

    ancient_databases: frozenset[str] = frozenset({"ancient"})
    western_languages: frozenset[str] = frozenset({"eng"})


@dataclass(frozen=True, slots=True)
class Classification:
    """`category_because` and `level_because` name the place in the record and what is there."""

    control_number: str
    category: Category
    level: Level
    category_because: str
    level_because: str


_BY_LANGUAGE = {
    "chi": Category.CHINESE,
    "zho": Category.CHINESE,  # the same in ISO 639-2/T
    "jpn": Category.JAPANESE,
    "rus": Category.RUSSIAN,
}
_UNIMARC_LEVELS = {
    "1": "not made from the item",
    "2": "from CIP data",
    "3": "not full",
}
DEFAULT_RULES = CategoryRules()


def classify(
    marc: bytes, family: MarcFamily, database: str, rules: CategoryRules = DEFAULT_RULES
) -> Classification:
    """The category and level of a record in the stored form.

    `database` is the name of the collection that it is in, or is to go into.

    Raises:
        MalformedRecord: the octets are no record in the stored form.
    """
    record = parse(marc)
    category, category_because = _category(record, family, database, rules)
    level, level_because = _level(record.leader, family)
    return Classification(
        control_number(marc), category, level, category_because, level_because
    )  # fmt: skip


def _category(
    record: MarcRecord, family: MarcFamily, database: str, rules: CategoryRules
) -> tuple[Category, str]:
    if database.lower() in rules.ancient_databases:
        return Category.ANCIENT, f"the collection is {database}"
    if family is MarcFamily.UNIMARC:
        # MARC 21 gives other meanings to both.
        if record.leader[6:7] == "v":
            return Category.ANCIENT, "leader/06 is v, a rare book"
        if record.first("140") is not None:
            return Category.ANCIENT, "field 140, coded data of ancient books, is there"
    place, language = _language(record, family)
    if not language:
        return Category.OTHER, f"{place} says no language"
    because = f"{place} is {language}"
    category = _BY_LANGUAGE.get(language)
    if category is not None:
        return category, because
    if language in rules.western_languages:
        return Category.WESTERN, f"{because}, a Western language here"
    return Category.OTHER, because


def _language(record: MarcRecord, family: MarcFamily) -> tuple[str, str]:
    """Where the first language code stands, and the code in lower case or ""."""
    tag = "101" if family is MarcFamily.UNIMARC else "041"
    for field in record.get(tag):
        for value in field.values("a"):
            # Several codes were once written into one subfield.
            code = value.strip().lower()[:3]
            if code:
                return f"{tag}$a", code
    if family is MarcFamily.UNIMARC:
        return "101$a", ""
    fixed = record.first("008")
    code = fixed.text[35:38].lower() if fixed is not None else ""
    return "008/35-37", code if code.isalpha() else ""


def _level(leader: str, family: MarcFamily) -> tuple[Level, str]:
    code = leader[17:18]
    if code == " ":
        return Level.FULL, "leader/17 is blank"
    meaning = _UNIMARC_LEVELS.get(code) if family is MarcFamily.UNIMARC else None
    return Level.BASIC, f"leader/17 is {code}" + (f", {meaning}" if meaning else "")


def has_detailed_holdings(marc: bytes, family: MarcFamily) -> str:
    """The field of local holdings that names a library and a call number; "" if none does.

    905 $a with $s, or $d and $e, in CNMARC; 852 $a or $b with $h in MARC 21.

    Raises:
        MalformedRecord: the octets are no record in the stored form.
    """
    record = parse(marc)
    tag = "905" if family is MarcFamily.UNIMARC else "852"
    is_detailed = _is_detailed_905 if tag == "905" else _is_detailed_852
    return tag if any(map(is_detailed, record.get(tag))) else ""


def _is_detailed_905(field: Field) -> bool:
    number = field.first("s").strip() or (field.first("d").strip() and field.first("e").strip())
    return bool(field.first("a").strip() and number)


def _is_detailed_852(field: Field) -> bool:
    library = field.first("a").strip() or field.first("b").strip()
    return bool(library and field.first("h").strip())


def are_detailed(holdings: Iterable[Holding], institution: str = "") -> bool:
    """Whether one of the holdings, of that institution or of any, has a call number."""
    return any(
        holding.call_number.strip() and institution in ("", holding.institution)
        for holding in holdings
    )

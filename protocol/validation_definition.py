"""What a format says of its fields and of what a record must have, ready to be checked.

The tables of `validation_marc21` and `validation_unimarc` are read once, when
this module is imported.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product

from protocol import validation_marc21, validation_unimarc
from protocol.record import MarcFamily
from protocol.validation_rules import Rule, Severity


@dataclass(frozen=True, slots=True)
class FieldDefinition:
    """One field of a format.

    `indicators` are the two sets of characters, `pairs` all that may stand
    together; `single` are the subfields that stand once in a field.
    """

    tag: str
    name: str
    repeatable: bool
    indicators: tuple[str, str] = ("", "")
    pairs: frozenset[str] = frozenset()
    subfields: frozenset[str] = frozenset()
    single: frozenset[str] = frozenset()
    written: str = ""  # the subfields as the table has them


@dataclass(frozen=True, slots=True)
class Required:
    """What a record must have: one of `tags`, with one of `subfields` if there are any.

    `levels` are values of leader/17 for which it must, "" is all; `types` and `not_types`
    narrow that by leader/06, `not_bibliographic_levels` by leader/07. A record
    with one of `unless` is let off.
    """

    rule: Rule
    tags: tuple[str, ...]
    levels: str
    subfields: str = ""
    types: str = ""
    not_types: str = ""
    bibliographic_levels: str = ""
    not_bibliographic_levels: str = ""
    unless: tuple[str, ...] = ()
    given: tuple[str, str] = ("", "")  # only for records with this field and subfield


@dataclass(frozen=True, slots=True)
class Format:
    """A MARC family as validation knows it."""

    family: MarcFamily
    source: str
    fields: Mapping[str, FieldDefinition]
    unchecked: frozenset[str]
    # Leader position to the characters that are defined there.
    leader: Mapping[int, str]
    required: tuple[Required, ...]
    encoding_levels: Mapping[str, tuple[str, str]]


def _expanded(notation: str) -> str:
    """`#0-2` is blank, 0, 1 and 2."""
    text = re.sub(
        r"(\w)-(\w)",
        lambda match: "".join(map(chr, range(ord(match[1]), ord(match[2]) + 1))),
        notation,
    )
    return text.replace("#", " ")


def _read_subfields(notation: str) -> tuple[frozenset[str], frozenset[str]]:
    expanded = re.sub(r"a-z\*", "".join(f"{chr(code)}*" for code in range(0x61, 0x7B)), notation)
    codes = re.findall(r"(\w)(\*?)", expanded)
    return frozenset(code for code, _ in codes), frozenset(code for code, star in codes if not star)


def _read_fields(
    control: str, data: str, everywhere: str, local_indicator: str = ""
) -> dict[str, FieldDefinition]:
    """`everywhere` are subfields that each field may have, `local_indicator` a character
    that may be an indicator of each.
    """
    fields = {}
    for line in control.splitlines():
        tag, repeat, name = line.split(" ", 2)
        fields[tag] = FieldDefinition(tag, name, repeat == "R")
    for line in data.splitlines():
        tag, repeat, first, second, subfields, name = line.split(" ", 5)
        indicators = (_expanded(first) + local_indicator, _expanded(second) + local_indicator)
        known, single = _read_subfields(subfields)
        fields[tag] = FieldDefinition(
            tag, name, repeat == "R", indicators,
            frozenset(map("".join, product(*indicators))),
            known | frozenset(everywhere), single, subfields,
        )  # fmt: skip
    return fields


def _missing(name: str, english: str, chinese: str, source: str) -> Rule:
    return Rule(f"missing.{name}", Severity.MISSING, english, chinese, source)


_EVERY = ""
_FULL_MARC21 = " 14I"  # I: full, of OCLC
_FULL_UNIMARC = " #-|"

_MARC21_REQUIRED = (
    Required(_missing("coded-data", "no 008", "缺少定长数据字段008", "MARC 21 008"),
             ("008",), _EVERY),
    Required(_missing("title", "no title proper", "缺少正题名", "MARC 21 245 $a"),
             ("245",), _EVERY, "abfgkp"),
    Required(_missing("source", "no cataloging source", "缺少编目来源", "MARC 21 040"),
             ("040",), _FULL_MARC21, "acd"),
    # Archives, manuscripts and parts of other works are not published themselves.
    Required(_missing("publication", "no imprint", "缺少出版项", "MARC 21 260, 264"),
             ("260", "264"), _FULL_MARC21, not_types="dfpt", not_bibliographic_levels="abcd",
             unless=("773", "261", "262")),
    Required(_missing("extent", "no physical description", "缺少载体形态项", "MARC 21 300"),
             ("300",), _FULL_MARC21, not_bibliographic_levels="abis", unless=("773", "305")),
)  # fmt: skip

_UNIMARC_REQUIRED = (
    Required(_missing("general-data", "no 100", "缺少通用处理数据100", "UNIMARC 100"),
             ("100",), _EVERY, "a"),
    Required(_missing("title", "no title proper", "缺少正题名", "UNIMARC 200 $a"),
             ("200",), _EVERY, "a"),
    # Music without words, pictures and objects have no language.
    Required(_missing("language", "no language of the text", "缺少作品语种", "UNIMARC 101 $a"),
             ("101",), _EVERY, "a", not_types="cdjkr"),
    Required(_missing("agency", "no source of the record", "缺少记录来源", "UNIMARC 801 $a"),
             ("801",), _EVERY, "b"),
    Required(_missing("country", "no country of publication", "缺少出版国别", "UNIMARC 102 $a"),
             ("102",), _FULL_UNIMARC + "3", "a", not_types="bdf"),
    Required(_missing("publication", "no imprint", "缺少出版发行项", "UNIMARC 210, 214"),
             ("210", "214"), _FULL_UNIMARC + "123", not_types="bdf",
             not_bibliographic_levels="a", unless=("463",)),
    Required(_missing("extent", "no physical description", "缺少载体形态项", "UNIMARC 215 $a"),
             ("215",), _FULL_UNIMARC, "a", not_types="l", not_bibliographic_levels="ais"),
    Required(_missing("monograph-data", "no 105 for printed text",
                      "缺少专著性文字资料编码数据105", "GB/T 33286 105"),
             ("105",), _FULL_UNIMARC, "a", types="a", bibliographic_levels="m",
             unless=("140", "135")),
    Required(_missing("serial-data", "no 110 for a serial", "缺少连续出版物编码数据110",
                      "GB/T 33286 110"),
             ("110",), _FULL_UNIMARC, "a", bibliographic_levels="s"),
    Required(_missing("classification", "no class number", "缺少分类号", "CALIS, field 690"),
             ("690", "692", "694", "696", "675", "676", "680", "686"), _FULL_UNIMARC, "a"),
    Required(Rule("recommended.author", Severity.WARNING,
                  "a statement of responsibility without access point",
                  "有责任说明而无责任者检索点", "GB/T 33286 7--"),
             ("700", "701", "702", "710", "711", "712", "716", "720", "721", "722", "730", "740",
              "741", "742"), _FULL_UNIMARC, given=("200", "f")),
)  # fmt: skip

FORMATS: dict[MarcFamily, Format] = {
    MarcFamily.MARC21: Format(
        MarcFamily.MARC21,
        validation_marc21.SOURCE,
        _read_fields(validation_marc21.CONTROL_FIELDS, validation_marc21.FIELDS, "01356789", "9"),
        validation_marc21.UNCHECKED,
        {
            5: "acdnp", 6: "acdefgijkmoprt", 7: "abcdims", 17: " 1234578uzEIJKLM",
            18: " acinu",
        },
        _MARC21_REQUIRED,
        {
            " ": ("full", "完全级"), "1": ("full, not from the item", "完全级，未核对原文献"),
            "2": ("less than full", "次完全级"), "3": ("abbreviated", "简略级"),
            "4": ("core", "核心级"), "5": ("partial", "初步级"), "7": ("minimal", "最低级"),
            "8": ("prepublication", "在版编目"), "u": ("unknown", "未知"),
            "z": ("not applicable", "不适用"), "EIJKLM": ("levels of OCLC", "OCLC自定义"),
        },
    ),
    MarcFamily.UNIMARC: Format(
        MarcFamily.UNIMARC,
        validation_unimarc.SOURCE,
        _read_fields(
            validation_unimarc.CONTROL_FIELDS, validation_unimarc.FIELDS,
            "0123456789" + "".join(map(chr, range(0x41, 0x5B))),
        ),
        validation_unimarc.UNCHECKED,
        {5: "acdnop", 6: "abcdefgijklmnrtuv", 7: "aimsc", 17: " 1234#-|", 18: " in#-|"},
        _UNIMARC_REQUIRED,
        {
            " ": ("full (完全级)", "完全级"), "1": ("not from the item", "未核对原文献"),
            "2": ("CIP", "在版编目"), "3": ("not full", "非完全级"), "4": ("other", "其他"),
        },
    ),
}  # fmt: skip

"""Coded fields of fixed length, position by position, as data.

Positions count from 0, as both formats do, and the end is the position behind
the last. A value is checked whole by one expression made of its positions; only
when that fails is each position looked at. `|` says "not coded" everywhere.

Sources: MARC 21 Format for Bibliographic Data, 008; UNIMARC Manual,
Bibliographic Format, and GB/T 33286-2016, 100-140.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from protocol.validation_rules import Rule, Severity


@dataclass(frozen=True, slots=True)
class Position:
    """What may stand from `start` up to `end`: an expression, and what it is called."""

    start: int
    end: int
    pattern: str
    name: str
    english: str
    chinese: str


@dataclass(frozen=True, slots=True)
class FixedField:
    """A coded value: of `tag`, in `subfield` or, without one, the whole control field.

    `rules` has one for the length and one for each position, in order.
    """

    tag: str
    subfield: str
    length: int
    positions: Sequence[Position]
    length_severity: Severity
    whole: re.Pattern[str] = field(init=False)
    parts: tuple[tuple[Position, re.Pattern[str], Rule], ...] = field(init=False)
    length_rule: Rule = field(init=False)

    def __post_init__(self) -> None:
        expression, at, parts = "", 0, []
        for position in self.positions:
            expression += f".{{{position.start - at}}}(?:{position.pattern})"
            at = position.end
            rule = Rule(
                f"{self.tag}.{position.name}", Severity.WARNING, position.english,
                position.chinese, self.source_of(position),
            )  # fmt: skip
            parts.append((position, re.compile(position.pattern, re.DOTALL), rule))
        expression += f".{{{self.length - at}}}"
        place = f"{self.tag}{f' ${self.subfield}' if self.subfield else ''}"
        length_rule = Rule(
            f"{self.tag}.length", self.length_severity,
            f"{place} has not {self.length} characters", f"{place}长度不是{self.length}个字符",
            place,
        )  # fmt: skip
        object.__setattr__(self, "whole", re.compile(expression, re.DOTALL))
        object.__setattr__(self, "parts", tuple(parts))
        object.__setattr__(self, "length_rule", length_rule)

    def source_of(self, position: Position) -> str:
        last = f"-{position.end - 1:02}" if position.end - position.start > 1 else ""
        return f"{self.tag}{f'${self.subfield}' if self.subfield else ''}/{position.start:02}{last}"


_MONTH_DAY = "(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])"
_YEAR = r"[0-9u ?|#-]{4}"
_DATE_1 = (_YEAR, "date-1", "a first date that is none", "出版年1无效")
_DATE_2 = (_YEAR, "date-2", "a second date that is none", "出版年2无效")

# MARC 21 008 ------------------------------------------------------------------------

_ALL_008_BEFORE = (
    Position(0, 6, f"[0-9]{{2}}{_MONTH_DAY}", "entered", "a date of entry that is not yymmdd",
             "入档日期不是yymmdd"),
    Position(6, 7, "[bceikmnpqrstud|]", "date-type", "a type of date that is not defined",
             "日期类型代码未定义"),
    Position(7, 11, *_DATE_1),
    Position(11, 15, *_DATE_2),
    Position(15, 18, r"[a-z]{2}[a-z ]|[|]{3}", "place",
             "a place of publication that is no code", "出版地代码无效"),
)  # fmt: skip
_ALL_008_BEHIND = (
    Position(35, 38, r"[a-z]{3}|[|]{3}| {3}", "language", "a language that is no code",
             "语种代码无效"),
    Position(38, 39, "[ dorsx|]", "modified", "a modified-record code that is not defined",
             "记录修改代码未定义"),
    Position(39, 40, "[ abcdlnu|]", "source", "a cataloging source that is not defined",
             "编目来源代码未定义"),
)  # fmt: skip


def _audience(at: int = 22) -> Position:
    return Position(at, at + 1, "[ a-gju|]", "audience", "an audience that is not defined",
                    "读者对象代码未定义")  # fmt: skip


def _form(at: int = 23) -> Position:
    return Position(at, at + 1, "[ abcdfoqrsz|]", "form", "a form of item that is not defined",
                    "文献形式代码未定义")  # fmt: skip


def _government(at: int = 28) -> Position:
    return Position(at, at + 1, "[ acfilmnosuz|]", "government",
                    "a government publication code that is not defined",
                    "政府出版物代码未定义")  # fmt: skip


def _flag(at: int, name: str, english: str, chinese: str) -> Position:
    return Position(at, at + 1, "[01 |]", name, english, chinese)


_CONFERENCE = _flag(
    29, "conference", "a conference code that is not 0 or 1", "会议出版物代码不是0或1"
)
_MATERIALS_008: dict[str, tuple[Position, ...]] = {
    "book": (
        Position(18, 22, "[ a-mop|]{4}", "illustrations", "an illustration that is not defined",
                 "图表代码未定义"),
        _audience(), _form(),
        Position(24, 28, "[ a-z2-6|]{4}", "contents", "a nature of contents that is not defined",
                 "内容特征代码未定义"),
        _government(), _CONFERENCE,
        _flag(30, "festschrift", "a festschrift code that is not 0 or 1",
              "纪念文集代码不是0或1"),
        _flag(31, "index", "an index code that is not 0 or 1", "索引代码不是0或1"),
        Position(33, 34, "[01cdefhijmpsu |]", "literary-form",
                 "a literary form that is not defined", "文学体裁代码未定义"),
        Position(34, 35, "[ abcd|]", "biography", "a biography code that is not defined",
                 "传记代码未定义"),
    ),
    "continuing": (
        Position(18, 19, "[ a-kmqstuwz|]", "frequency", "a frequency that is not defined",
                 "出版频率代码未定义"),
        Position(19, 20, "[nrux |]", "regularity", "a regularity that is not defined",
                 "出版规律代码未定义"),
        Position(21, 22, "[ dghjlmnprstw|]", "continuing-type",
                 "a type of continuing resource that is not defined", "连续性资源类型代码未定义"),
        Position(22, 23, "[ a-foqs|]", "original-form",
                 "a form of original item that is not defined", "原文献形式代码未定义"),
        _form(), _government(), _CONFERENCE,
        Position(33, 34, "[ a-luz|]", "alphabet", "an alphabet of title that is not defined",
                 "题名文字代码未定义"),
        Position(34, 35, "[012 |]", "entry", "an entry convention that is not defined",
                 "款目原则代码未定义"),
    ),
    "music": (
        Position(18, 20, "[a-z]{2}|[|]{2}| {2}", "composition",
                 "a form of composition that is not defined", "作品形式代码无效"),
        Position(20, 21, "[a-eg-npuz |]", "music-format", "a format of music that is not defined",
                 "乐谱格式代码未定义"),
        Position(21, 22, "[ defnu|]", "parts", "a code of music parts that is not defined",
                 "分谱代码未定义"),
        _audience(), _form(),
        Position(33, 34, "[ abcnu|]", "transposition",
                 "a transposition code that is not defined", "移调代码未定义"),
    ),
    "map": (
        Position(25, 26, "[a-guz |]", "map-type",
                 "a type of cartographic material that is not defined", "测绘资料类型代码未定义"),
        _government(), _form(29),
        _flag(31, "index", "an index code that is not 0 or 1", "索引代码不是0或1"),
    ),
    "visual": (
        Position(18, 21, "[0-9]{3}|nnn|---|[|]{3}", "running-time",
                 "a running time that is none", "播放时间无效"),
        _audience(), _government(), _form(29),
        Position(33, 34, "[a-dfgik-tvwz|]", "visual-type",
                 "a type of visual material that is not defined", "视觉资料类型代码未定义"),
        Position(34, 35, "[aclnuz |]", "technique", "a technique that is not defined",
                 "制作技术代码未定义"),
    ),
    "file": (
        _audience(), _form(),
        Position(26, 27, "[a-jmuz|]", "file-type", "a type of computer file that is not defined",
                 "计算机文件类型代码未定义"),
        _government(),
    ),
    "mixed": (_form(),),
}  # fmt: skip

FIXED_008 = {
    material: FixedField(
        "008", "", 40, (*_ALL_008_BEFORE, *positions, *_ALL_008_BEHIND), Severity.ERROR
    )
    for material, positions in _MATERIALS_008.items()
}


def material_008(leader: str) -> str:
    """Which 008 a record has: a key of `FIXED_008`, by leader/06 and 07."""
    record_type = leader[6]
    if record_type == "a":
        return "continuing" if leader[7] in "bis" else "book"
    return _MATERIAL_OF.get(record_type, "mixed")


_MATERIAL_OF = {
    "t": "book", "c": "music", "d": "music", "i": "music", "j": "music", "e": "map", "f": "map",
    "g": "visual", "k": "visual", "o": "visual", "r": "visual", "m": "file", "p": "mixed",
}  # fmt: skip

# UNIMARC ----------------------------------------------------------------------------

_SCRIPTS = "ba|ca|d[abc]|ea|fa|ga|ha|ia|ja|ka|la|m[ab]|zz"

FIXED_UNIMARC = {
    "100": FixedField("100", "a", 36, (
        Position(0, 8, f"(?:19|20)[0-9]{{2}}{_MONTH_DAY}", "entered",
                 "a date of entry that is not yyyymmdd", "入档日期不是yyyymmdd"),
        Position(8, 9, "[a-ku|]", "date-type", "a type of date that is not defined",
                 "出版日期类型代码未定义"),
        Position(9, 13, *_DATE_1),
        Position(13, 17, *_DATE_2),
        Position(17, 20, "[abcdekmux |]{3}", "audience", "an audience that is not defined",
                 "阅读对象代码未定义"),
        Position(20, 21, "[a-huyz |]", "government",
                 "a government publication code that is not defined", "政府出版物代码未定义"),
        Position(21, 22, "[01 |]", "modified", "a modified-record code that is not 0 or 1",
                 "修改记录代码不是0或1"),
        Position(22, 25, "[a-z]{3}|[|]{3}", "language", "a cataloguing language that is no code",
                 "编目语种代码无效"),
        Position(25, 26, "[abcdeyz |]", "transliteration",
                 "a transliteration code that is not defined", "音译代码未定义"),
        Position(26, 34, "(?:[0-9]{2}| {2}|[|]{2}){4}", "charset",
                 "character sets that are not pairs of digits", "字符集代码不是两位数字"),
        Position(34, 36, f"{_SCRIPTS}|[|]{{2}}", "script", "a script of title that is not defined",
                 "题名文字代码未定义"),
    ), Severity.ERROR),
    "105": FixedField("105", "a", 13, (
        Position(0, 4, "[a-oy |]{4}", "illustrations", "an illustration that is not defined",
                 "图表代码未定义"),
        Position(4, 8, "[a-z |]{4}", "contents", "a form of contents that is not defined",
                 "内容特征代码未定义"),
        _flag(8, "conference", "a conference code that is not 0 or 1", "会议代码不是0或1"),
        _flag(9, "festschrift", "a festschrift code that is not 0 or 1", "纪念文集代码不是0或1"),
        _flag(10, "index", "an index code that is not 0 or 1", "索引代码不是0或1"),
        Position(11, 12, "[a-hyz |]", "literary-form", "a literary form that is not defined",
                 "文学体裁代码未定义"),
        Position(12, 13, "[abcdy |]", "biography", "a biography code that is not defined",
                 "传记代码未定义"),
    ), Severity.WARNING),
    "106": FixedField("106", "a", 1, (
        Position(0, 1, "[d-jrstyz |]", "form", "a physical form that is not defined",
                 "文献物理形式代码未定义"),
    ), Severity.WARNING),
    "110": FixedField("110", "a", 11, (
        Position(0, 1, "[a-hz |]", "serial-type", "a type of serial that is not defined",
                 "连续出版物类型代码未定义"),
        Position(1, 2, "[a-puyz |]", "frequency", "a frequency that is not defined",
                 "出版频率代码未定义"),
        Position(2, 3, "[abuy |]", "regularity", "a regularity that is not defined",
                 "出版规律代码未定义"),
    ), Severity.WARNING),
    "140": FixedField("140", "a", 28, (), Severity.WARNING),
}  # fmt: skip

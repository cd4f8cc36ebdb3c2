"""The rules of validation but for those that are tables of fields: each with its id.

A rule says what is wrong where it is broken, in English and in Chinese, and
where it comes from. What fields, indicators and subfields there are is in
`validation_marc21` and `validation_unimarc`, coded positions are in
`validation_fixed`; this module tells what each kind of mistake is called.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Severity(Enum):
    """How bad a finding is. An upload with an error is refused, one with something
    missing earns no credit, a warning is only told.
    """

    ERROR = "error"
    MISSING = "missing"
    WARNING = "warning"


SEVERITIES = tuple(Severity)  # the worst first


@dataclass(frozen=True, slots=True)
class Rule:
    """`source` is the clause or field definition that the rule comes from."""

    id: str
    severity: Severity
    english: str
    chinese: str
    source: str


_FORMAT = "the definition of the field"
_STRUCTURE = "ISO 2709:2008 §4"

_E, _M, _W = SEVERITIES

RULES: dict[str, Rule] = {rule.id: rule for rule in (
    # The record as a whole
    Rule("structure.unreadable", _E, "the record cannot be read", "记录无法读取", _STRUCTURE),
    Rule("structure.mended", _W, "the structure was wrong and has been mended",
         "记录结构有误，已修正", _STRUCTURE),
    Rule("structure.oversize", _W, "the record or a field is too long to leave as ISO 2709",
         "记录或字段过长，不能以ISO 2709格式输出", _STRUCTURE),
    Rule("record.kind", _E, "not a bibliographic record", "不是书目记录",
         "MARC 21, leader/06; UNIMARC Authorities, record label 6"),
    # Leader
    Rule("leader.status", _W, "a record status that is not defined", "记录状态代码未定义",
         "leader/05"),
    Rule("leader.type", _E, "a type of record that is not defined", "记录类型代码未定义",
         "leader/06"),
    Rule("leader.level", _E, "a bibliographic level that is not defined", "书目级别代码未定义",
         "leader/07"),
    Rule("leader.encoding-level", _W, "an encoding level that is not defined",
         "编目等级代码未定义", "leader/17"),
    Rule("leader.form", _W, "a descriptive cataloguing form that is not defined",
         "著录格式代码未定义", "leader/18"),
    # Fields
    Rule("tag.invalid", _E, "a tag that is none", "字段标识符无效", _STRUCTURE),
    Rule("field.undefined", _W, "a field that the format does not define", "格式未定义的字段",
         "the list of fields"),
    Rule("field.repeated", _W, "a field that stands only once", "不可重复的字段重复出现", _FORMAT),
    Rule("control.repeated", _E, "a control field that stands only once",
         "不可重复的控制字段重复出现", _FORMAT),
    Rule("field.structure", _E, "a data field without subfields", "数据字段没有子字段",
         "ISO 2709:2008 §4.5"),
    Rule("indicator.invalid", _E, "an indicator that is no digit, lower-case letter or blank",
         "指示符不是数字、小写字母或空位", "ISO 2709:2008 §4.5"),
    Rule("indicator.undefined", _W, "an indicator that is not defined", "指示符值未定义", _FORMAT),
    Rule("subfield.code", _E, "a subfield code that is none", "子字段标识符无效",
         "ISO 2709:2008 §4.5"),
    Rule("subfield.undefined", _W, "a subfield that is not defined", "子字段未定义", _FORMAT),
    Rule("subfield.repeated", _W, "a subfield that stands only once in a field",
         "不可重复的子字段重复出现", _FORMAT),
    Rule("subfield.empty", _W, "a subfield without content", "子字段没有内容", _FORMAT),
    Rule("text.control", _W, "a control character", "含有控制字符", "ISO 2709:2008 §4.5"),
    Rule("text.replacement", _W, "a character that was lost in conversion (U+FFFD)",
         "转换中丢失的字符 (U+FFFD)", "Unicode"),
    Rule("text.nonsorting", _W, "non-sorting marks that do not come in pairs",
         "不参加排序标记不成对", "UNIMARC Manual, appendix J"),
    # Numbers
    Rule("isbn.form", _W, "an ISBN that has neither 10 nor 13 digits", "ISBN不是10位或13位",
         "ISO 2108"),
    Rule("isbn.check", _W, "an ISBN whose check digit is wrong (a wrong number goes to $z)",
         "ISBN校验位错误（错误号码应记入$z）", "ISO 2108"),
    Rule("issn.form", _W, "an ISSN that has not eight digits", "ISSN不是8位", "ISO 3297"),
    Rule("issn.check", _W, "an ISSN whose check digit is wrong (a wrong number goes to $y)",
         "ISSN校验位错误（错误号码应记入$y）", "ISO 3297"),
    # Codes outside of fixed fields
    Rule("005.form", _W, "a time that is not yyyymmddhhmmss.f", "处理时间不是yyyymmddhhmmss.f",
         "field 005"),
    Rule("language.code", _W, "a code that is no language", "语种代码无效",
         "MARC Code List for Languages, ISO 639-2; MARC 21 041, UNIMARC 101"),
    Rule("country.code", _W, "a code that is no country", "国家代码无效",
         "ISO 3166-1; UNIMARC 102"),
    Rule("101.translation", _W, "a translation (indicator 1) without original language $c",
         "译作（指示符1）缺少原著语种$c", "UNIMARC 101"),
    Rule("date.agreement", _W, "the first date of the coded field is not in the imprint",
         "编码字段的出版年与出版项不符", "UNIMARC 100, 210; MARC 21 008, 260, 264"),
    Rule("880.link", _W, "a linkage that names no field", "880连接字段无效",
         "MARC 21, appendix A, $6"),
    # Source and local holdings
    Rule("801.agency", _W, "a source of the record without country or agency",
         "记录来源缺少国家代码或机构代码", "UNIMARC 801"),
    Rule("801.date", _W, "a date of the source that is not yyyymmdd", "记录来源日期不是yyyymmdd",
         "UNIMARC 801"),
    Rule("905.library", _W, "own holdings without library code", "馆藏信息缺少馆代码$a",
         "CALIS, field 905"),
    Rule("905.call-number", _W, "own holdings without call number or barcode",
         "馆藏信息缺少索书号或条码", "CALIS, field 905"),
    Rule("905.copies", _W, "a number of copies that is none", "复本数无效", "CALIS, field 905"),
)}  # fmt: skip

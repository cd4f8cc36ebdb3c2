"""Validation of bibliographic records: what is wrong with one, field by field.

What a format allows and demands is data, in `validation_definition` and the
tables that it reads; this module goes through a record once and says where it
differs. It knows no store and no clock: the same record has the same findings
everywhere, on upload, on load and in `lianmu validate`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from protocol.iso2709 import (
    DecodedRecord,
    Field,
    MarcRecord,
    RefusedRecord,
    fits_iso2709,
    parse,
)
from protocol.record import MarcFamily
from protocol.record_kind import RecordKind, record_kind
from protocol.validation_coded import coded_findings
from protocol.validation_definition import FORMATS, FieldDefinition, Format, Required
from protocol.validation_finding import Finding, found
from protocol.validation_rules import SEVERITIES, Severity

__all__ = ["LEADER_RULES", "SEVERITIES", "Finding", "Severity", "check", "validate"]


def check(record: DecodedRecord | RefusedRecord, family: MarcFamily) -> list[Finding]:
    """`validate`, and before it what reading the record told of its structure."""
    if isinstance(record, RefusedRecord):
        return [found("structure.unreadable", record.reason)]
    findings = [found("structure.mended", warning) for warning in record.warnings]
    if not fits_iso2709(record.marc):
        findings.append(found("structure.oversize", f"{len(record.marc)} octets"))
    return findings + validate(parse(record.marc), family)


def validate(record: MarcRecord, family: MarcFamily) -> list[Finding]:
    """What is wrong with a record: the leader, then each field in order, then what is missing.

    A record that is not bibliographic has that one finding: its fields mean
    other things.
    """
    kind = record_kind(record.leader, family)
    if kind is not RecordKind.BIBLIOGRAPHIC:
        return [found("record.kind", f"{kind.value}, {record.leader[6]}", place="/06")]
    form = FORMATS[family]
    findings = list(_leader_findings(record.leader, form))
    by_tag: dict[str, list[Field]] = {}
    for field in record.fields:
        occurrences = by_tag.setdefault(field.tag, [])
        occurrences.append(field)
        _check_field(field, len(occurrences), form, findings)
    # Texts are looked through together: a search in each field costs more.
    if _SUSPECT.search("".join([field.text for field in record.fields])):
        findings += _text_findings(by_tag, family)
    findings += coded_findings(record.leader, by_tag, family)
    findings += _missing(record, by_tag, form)
    return findings


LEADER_RULES = {
    5: "leader.status", 6: "leader.type", 7: "leader.level", 17: "leader.encoding-level",
    18: "leader.form",
}  # fmt: skip


def _leader_findings(leader: str, form: Format) -> Iterator[Finding]:
    for position, allowed in form.leader.items():
        if leader[position] not in allowed:
            yield found(LEADER_RULES[position], _quoted(leader[position]), place=f"/{position:02}")


# Fields -----------------------------------------------------------------------------

_TAG = re.compile("[0-9A-Z]{3}|[0-9a-z]{3}")
_INDICATORS = frozenset(
    first + second
    for first in " 0123456789abcdefghijklmnopqrstuvwxyz"
    for second in " 0123456789abcdefghijklmnopqrstuvwxyz"
)
_CODES = frozenset(map(chr, range(0x21, 0x7F)))
_EMPTY_SUBFIELD = re.compile("\x1f.(?:\x1f|$)")


def _check_field(field: Field, occurrence: int, form: Format, findings: list[Finding]) -> None:
    """Add what is wrong with one field; `occurrence` counts fields of its tag from 1."""
    tag, text = field.tag, field.text
    definition = form.fields.get(tag)
    if tag[:2] == "00":
        if definition is None:
            findings.append(found("field.undefined", "", tag, occurrence))
        elif occurrence > 1 and not definition.repeatable:
            findings.append(found("control.repeated", "", tag, occurrence))
        return
    head, *subfields = text.split("\x1f")
    if definition is None and not _is_undefined(tag, text, form):
        if subfields and tag.isdigit():
            _check_structure(tag, occurrence, head, subfields, findings)
            if tag == "880":
                _check_linked(field, occurrence, form, findings)
        elif not _TAG.fullmatch(tag):
            findings.append(found("tag.invalid", "", tag, occurrence))
        return
    if not subfields:
        findings.append(found("field.structure", text[:40], tag, occurrence))
        return
    sound = head in _INDICATORS and _CODES.issuperset([part[:1] for part in subfields])
    if not sound:
        _check_structure(tag, occurrence, head, subfields, findings)
    if definition is None:
        findings.append(found("field.undefined", "", tag, occurrence))
        return
    if occurrence == 2 and not definition.repeatable:
        findings.append(found("field.repeated", "", tag, occurrence))
    if sound:
        _check_content(tag, occurrence, head, subfields, definition, findings)
    if _EMPTY_SUBFIELD.search(text):
        empty = next(part for part in subfields if len(part) == 1)
        findings.append(found("subfield.empty", "", tag, occurrence, f"${empty}"))


def _is_undefined(tag: str, text: str, form: Format) -> bool:
    """Whether a tag without definition is a mistake: not one that a library may use itself."""
    return (
        tag.isdigit() and "9" not in tag and tag not in form.unchecked
    ) or ("\x1f" not in text and tag.isdigit())  # fmt: skip


def _check_structure(
    tag: str, occurrence: int, head: str, subfields: list[str], findings: list[Finding]
) -> None:
    if head not in _INDICATORS:
        findings.append(found("indicator.invalid", _quoted(head), tag, occurrence))
    findings += [
        found("subfield.code", _quoted(part[:1]), tag, occurrence)
        for part in subfields
        if part[:1] not in _CODES
    ]


def _check_content(
    tag: str,
    occurrence: int,
    head: str,
    subfields: list[str],
    definition: FieldDefinition,
    findings: list[Finding],
) -> None:
    """Indicators and subfields of a field that is sound, against its definition."""
    if head not in definition.pairs:
        for index, allowed in enumerate(definition.indicators):
            if head[index] not in allowed:
                place = f"ind{index + 1}"
                findings.append(
                    found("indicator.undefined", _quoted(head[index]), tag, occurrence, place)
                )
    codes = [part[0] for part in subfields]
    different = set(codes)
    if not definition.subfields.issuperset(different):
        findings += [
            found("subfield.undefined", "", tag, occurrence, f"${code}")
            for code in dict.fromkeys(codes)
            if code not in definition.subfields
        ]
    if len(different) < len(codes) and not definition.single.isdisjoint(codes):
        findings += [
            found("subfield.repeated", "", tag, occurrence, f"${code}")
            for code in dict.fromkeys(codes)
            if code in definition.single and codes.count(code) > 1
        ]


_LINK = re.compile(r"([0-9]{3})-[0-9]{2}(?:/.*)?")


def _check_linked(field: Field, occurrence: int, form: Format, findings: list[Finding]) -> None:
    """880 of MARC 21 holds another field in another script, and is checked as that."""
    link = _LINK.fullmatch(field.first("6"))
    definition = form.fields.get(link[1]) if link else None
    if link is None or (definition is None and "9" not in link[1]):
        findings.append(found("880.link", field.first("6")[:40], "880", occurrence, "$6"))
    elif definition is not None and definition.indicators[0]:
        head, *subfields = field.text.split("\x1f")
        if head in _INDICATORS and _CODES.issuperset([part[:1] for part in subfields]):
            _check_content("880", occurrence, head, subfields, definition, findings)


# Texts ------------------------------------------------------------------------------

_SUSPECT = re.compile("[\x00-\x1e\x7f-\x9f\ufffd]")
_CONTROL = re.compile("[\x00-\x1e\x7f-\x9f]")
_NONSORTING = re.compile("\x98[^\x1f\x98\x9c]*\x9c")
# Both families may mark what is not sorted; joiners stand in names of several scripts.
_MARKS = {0x98: None, 0x9C: None, 0x8D: None, 0x8E: None}


def _text_findings(by_tag: dict[str, list[Field]], family: MarcFamily) -> Iterator[Finding]:
    for tag, fields in by_tag.items():
        for occurrence, field in enumerate(fields, 1):
            text = field.text
            if "\ufffd" in text:
                yield found("text.replacement", "", tag, occurrence)
            if control := _CONTROL.search(text.translate(_MARKS)):
                yield found("text.control", f"U+{ord(control[0]):04X}", tag, occurrence)
            if "\x98" in text or "\x9c" in text:
                rest = _NONSORTING.sub("", text)
                if "\x98" in rest or "\x9c" in rest:
                    yield found("text.nonsorting", "", tag, occurrence)


# What is missing --------------------------------------------------------------------


def _missing(record: MarcRecord, by_tag: dict[str, list[Field]], form: Format) -> Iterator[Finding]:
    record_type, level, encoding_level = record.leader[6], record.leader[7], record.leader[17]
    for required in form.required:
        if required.levels and encoding_level not in required.levels:
            continue
        if any(tag in by_tag for tag in required.tags):
            if not required.subfields or _holds(required, by_tag):
                continue
        elif (
            record_type in required.not_types
            or level in required.not_bibliographic_levels
            or (required.types and record_type not in required.types)
            or (required.bibliographic_levels and level not in required.bibliographic_levels)
            or any(tag in by_tag for tag in required.unless)
        ):
            continue
        tag, code = required.given
        if tag and not any(field.first(code) for field in by_tag.get(tag, ())):
            continue
        place = f"${required.subfields[0]}" if required.subfields else ""
        yield Finding(required.rule, required.tags[0], 0, place)


def _holds(required: Required, by_tag: dict[str, list[Field]]) -> bool:
    return any(
        field.values(required.subfields) for tag in required.tags for field in by_tag.get(tag, ())
    )


def _quoted(text: str) -> str:
    return repr(text[:20])

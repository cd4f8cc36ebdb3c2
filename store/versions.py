"""The versions of a record: how one is named, stamped, and told in the history.

A version is named by its number, or by the date and time of its latest change as
field 005 has them. A record that came without 005 is shown with one made of the
time when it was stored, so that both always name the version.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from protocol.china_time import CHINA, china_time
from protocol.iso2709 import Field, MarcRecord, build, control_field, parse

_TENTH_US = 100_000
_DAY_US = 86_400_000_000
VERSION_DIGITS_MAX = 9  # a longer run of digits is a 005
_MARKS = ("001", "003", "005")  # stand first, in this order


class Change(StrEnum):
    """What made a version."""

    CREATED = "created"
    REPLACED = "replaced"
    DELETED = "deleted"
    UNDELETED = "undeleted"
    MERGED_AWAY = "merged away"  # into another record
    MERGED_IN = "merged in"  # another record went into this one
    MERGE_UNDONE = "merge undone"  # another record went out of this one again


@dataclass(frozen=True, slots=True)
class RecordVersion:
    """One version, the newest included. `at_us` is UTC in microseconds since 1970.

    `identifier` is its 005; `other_id` the other record of a merge, else 0.
    """

    record_id: int
    version: int
    change: Change
    at_us: int
    account: str
    reason: str
    other_id: int
    deleted: bool
    marc: bytes

    @property
    def identifier(self) -> str:
        return identifier(self.marc, self.at_us)


def identifier(marc: bytes, modified_us: int) -> str:
    """Field 005, or what it would be for the time of storing."""
    return control_field(marc, "005").strip() or timestamp(modified_us)


def timestamp(at_us: int) -> str:
    """A moment as field 005 writes it: yyyymmddhhmmss.f, China's time."""
    # Field 005 is local time, and all members are in China.
    return f"{china_time(at_us):%Y%m%d%H%M%S}.{at_us // _TENTH_US % 10}"


def later_timestamp(at_us: int, before: str) -> str:
    """`timestamp`, but later than `before`, so that it names the new version alone.

    A `before` more than a day ahead was written by a wrong clock and is not followed.
    """
    stamp = timestamp(at_us)
    if stamp <= before <= timestamp(at_us + _DAY_US):
        try:
            moment = datetime.strptime(before, "%Y%m%d%H%M%S.%f").replace(tzinfo=CHINA)
        except ValueError:
            return stamp
        return timestamp(round(moment.timestamp() * 10) * _TENTH_US + _TENTH_US)
    return stamp


def with_marks(record: MarcRecord, number: str, agency: str, stamp: str) -> bytes:
    """The record in the stored form with these as 001, 003 (unless empty) and 005."""
    marks = [Field("001", number)]
    if agency:
        marks.append(Field("003", agency))
    marks.append(Field("005", stamp))
    rest = [field for field in record.fields if field.tag not in _MARKS]
    return build(record.leader, marks + rest, oversize=True)


def stamped(marc: bytes, modified_us: int) -> bytes:
    """The record with a 005 behind its numbers; as it is when it has one."""
    if control_field(marc, "005").strip():
        return marc
    record = parse(marc)
    fields = [field for field in record.fields if field.tag != "005"]
    place = sum(field.tag in _MARKS for field in fields)
    fields.insert(place, Field("005", timestamp(modified_us)))
    return build(record.leader, fields, oversize=True)


def is_same_content(one: MarcRecord, other: MarcRecord) -> bool:
    """Whether two records differ in nothing but 001, 003 and 005.

    What a leader says of lengths does not count, nor its entry map, which MARCXML
    writes as 4500 whatever it was.
    """
    return _content(one) == _content(other)


def _content(record: MarcRecord) -> tuple[str, list[Field]]:
    leader = record.leader[5:12] + record.leader[17:20]
    return leader, [field for field in record.fields if field.tag not in _MARKS]


def is_based_on(based_on: int | str, version: int, newest: str) -> bool:
    """Whether `based_on`, a version's number or its 005, names the version with 005 `newest`."""
    if isinstance(based_on, int):
        return based_on == version
    named = based_on.strip()
    if named.isdecimal() and len(named) <= VERSION_DIGITS_MAX:
        return int(named) == version
    return named == newest


_SELECT_VERSIONS = """
SELECT version, modified_us, account, deleted, unpacked(marc), change, other_id, reason FROM (
    SELECT record_id, version, modified_us, account, deleted, marc FROM record_version
    WHERE record_id = ?1
    UNION ALL
    SELECT record_id, version, modified_us, account, deleted, marc FROM record
    WHERE record_id = ?1
) LEFT JOIN record_remark USING (record_id, version) ORDER BY version
"""


def versions(connection: sqlite3.Connection, record_id: int) -> list[RecordVersion]:
    """Every version of a record, the oldest first; empty: there is no such record."""
    found: list[RecordVersion] = []
    for row in connection.execute(_SELECT_VERSIONS, (record_id,)):
        version, at_us, account, deleted, marc, change, other_id, reason = row
        was_deleted = found[-1].deleted if found else None
        made_by = Change(change) if change else _change(was_deleted, deleted)
        found.append(
            RecordVersion(
                record_id, version, made_by, at_us, account, reason or "", other_id or 0,
                bool(deleted), marc,
            )
        )  # fmt: skip
    return found


def _change(was_deleted: bool | None, is_deleted: bool) -> Change:
    """What happened, of a version that nobody remarked on."""
    if was_deleted is None:
        return Change.CREATED
    if is_deleted:
        return Change.DELETED
    return Change.UNDELETED if was_deleted else Change.REPLACED


def field_changes(before: bytes, after: bytes) -> tuple[Sequence[Field], Sequence[Field]]:
    """The fields that only the one version has, and those that only the other has.

    The leader is told as a field LDR, without its lengths.
    """
    old, new = _fields(before), _fields(after)
    gone = [field for field in old if field not in set(new)]
    come = [field for field in new if field not in set(old)]
    return gone, come


def _fields(marc: bytes) -> list[Field]:
    record = parse(marc)
    leader = f"#####{record.leader[5:12]}#####{record.leader[17:]}"
    return [Field("LDR", leader), *record.fields]

"""What kind of record a MARC record is: the catalogue keeps bibliographic ones.

Authority, holdings, classification and community records have formats of their
own in which the same tags mean other things, so a database of bibliographic
records refuses them by what leader/06 says. None of them has a bibliographic level
in leader/07: a record that has one is a book whose leader/06 is a slip, and stays.
"""

from __future__ import annotations

from enum import Enum

from protocol.record import MarcFamily


class RecordKind(Enum):
    """Kinds by leader/06; the value is how a refusal names it."""

    BIBLIOGRAPHIC = "a bibliographic record"
    AUTHORITY = "an authority record"
    HOLDINGS = "a holdings record"
    CLASSIFICATION = "a classification record"
    COMMUNITY = "a record of community information"


_KINDS = {
    MarcFamily.MARC21: {
        "z": RecordKind.AUTHORITY,
        "u": RecordKind.HOLDINGS, "v": RecordKind.HOLDINGS,
        "x": RecordKind.HOLDINGS, "y": RecordKind.HOLDINGS,
        "w": RecordKind.CLASSIFICATION,
        "q": RecordKind.COMMUNITY,
    },
    # u and v are rubbings and rare books in CNMARC, not holdings.
    MarcFamily.UNIMARC: {
        "x": RecordKind.AUTHORITY, "y": RecordKind.AUTHORITY, "z": RecordKind.AUTHORITY,
    },
}  # fmt: skip


_BIBLIOGRAPHIC_LEVELS = "abcdims"


def record_kind(leader: str, family: MarcFamily) -> RecordKind:
    """The kind that leader/06 names; what is no code of any is taken for bibliographic.

    Source: MARC 21 formats, leader/06-07; UNIMARC Manual, Authorities Format, record label.
    """
    if leader[7:8] in _BIBLIOGRAPHIC_LEVELS:
        return RecordKind.BIBLIOGRAPHIC
    return _KINDS[family].get(leader[6:7], RecordKind.BIBLIOGRAPHIC)


def kind_refusal(marc: bytes, family: MarcFamily) -> str:
    """Why a record in the stored form is none for a catalogue; "" for a bibliographic one."""
    leader = marc[:8].decode("ascii", "replace")
    kind = record_kind(leader, family)
    if kind is RecordKind.BIBLIOGRAPHIC:
        return ""
    return f"leader/06 is {leader[6]}: {kind.value}, and the catalogue holds bibliographic ones"

"""User-information formats: UserInfo-1, searchResult-1 and dateTime.

UserInfo-1 (1.2.840.10003.10.3) carries other information, among it the
diagnostic of a refused Init, in the form of the implementors' agreement on
diagnostics in an Init response.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from enum import Enum

from protocol import oid
from protocol.apdu_common import (
    DATABASE_NAME,
    DEFAULT_DIAG_FORMAT,
    INT_UNIT,
    OTHER_INFORMATION,
    TERM,
    DefaultDiagFormat,
    IntUnit,
    OtherInformation,
    OtherInformationItem,
    Term,
)
from protocol.apdu_query import Query
from protocol.apdu_query_codec import QUERY
from protocol.apdu_retrieval import InitializeRequest
from protocol.asn1 import (
    BOOLEAN,
    FLAG,
    INTEGER,
    NULL,
    STRING,
    Choice,
    Explicit,
    Opaque,
    Sequence,
    SequenceOf,
    Tagged,
    Wrapped,
    choice,
    component,
    positional_sequence,
    sequence,
)
from protocol.ber import ProtocolError
from protocol.codec import Codec
from protocol.external import External
from protocol.frozen import frozen
from protocol.oid import Oid

USER_INFO_1: Codec[OtherInformation] = Codec(Tagged(201, OTHER_INFORMATION), "UserInfo-1")


def other_information(external: External) -> OtherInformationItem:
    return OtherInformationItem(information=external)


def init_information(request: InitializeRequest, format_: Oid) -> External | None:
    """The first user information of that format in an Init, wherever the client put it.

    It may be userInformationField itself, inside UserInfo-1 there, or in
    otherInfo.
    """
    for external in _init_externals(request):
        if external.direct_reference == format_:
            return external
    return None


def _init_externals(request: InitializeRequest) -> Iterator[External]:
    items = request.other_info
    field = request.user_information_field
    if field is not None:
        yield field
        if field.direct_reference == oid.USER_INFO_1:
            # Information is optional: what cannot be read is not there.
            with contextlib.suppress(ProtocolError):
                items += field.decode(USER_INFO_1)
    for item in items:
        if isinstance(item.information, External):
            yield item.information


# Diagnostics of an Init


@sequence
class DiagnosticItem:
    """An entry of diag-1; a diagnostic of its own explicit kind stays an Opaque."""

    diagnostic: DefaultDiagFormat | Opaque | None = component(
        1, choice("diagnostic", (1, DEFAULT_DIAG_FORMAT), others=True), default=None
    )
    message: str | None = component(2, STRING, default=None)


DIAGNOSTIC_FORMAT: Codec[tuple[DiagnosticItem, ...]] = Codec(
    SequenceOf(Sequence(DiagnosticItem)), "DiagnosticFormat"
)


def init_diagnostic(diagnostic: DefaultDiagFormat) -> External:
    """For the userInformationField of an InitializeResponse that refuses."""
    item = External.of(oid.DIAG_1, DIAGNOSTIC_FORMAT, (DiagnosticItem(diagnostic=diagnostic),))
    return External.of(oid.USER_INFO_1, USER_INFO_1, (other_information(item),))


# Results of a search by its parts: searchResult-1


@positional_sequence
class QueryTerm:
    term: Term = component(1, TERM)
    term_comment: str | None = component(2, STRING, default=None)


QueryExpression = QueryTerm | Query
QUERY_EXPRESSION: Choice[QueryExpression] = choice(
    "QueryExpression", (1, Sequence(QueryTerm)), (2, Explicit(QUERY))
)


class AllDatabases(Enum):
    ALL = "all"


@sequence
class ResultsByDatabase:
    """`databases` are those of the search, or those named."""

    databases: AllDatabases | tuple[str, ...] = component(
        1, choice("databases", (1, NULL, AllDatabases.ALL), (2, SequenceOf(DATABASE_NAME)))
    )
    count: int | None = component(2, INTEGER, default=None)
    result_set_name: str | None = component(3, STRING, default=None)


@sequence
class SubqueryReport:
    subquery_id: str | None = component(1, STRING, default=None)
    full_query: bool = component(2, BOOLEAN)
    subquery_expression: QueryExpression | None = component(3, QUERY_EXPRESSION, default=None)
    subquery_interpretation: QueryExpression | None = component(4, QUERY_EXPRESSION, default=None)
    subquery_recommendation: QueryExpression | None = component(5, QUERY_EXPRESSION, default=None)
    subquery_count: int | None = component(6, INTEGER, default=None)
    subquery_weight: IntUnit | None = component(7, INT_UNIT, default=None)
    results_by_db: tuple[ResultsByDatabase, ...] = component(
        8, SequenceOf(Sequence(ResultsByDatabase)), default=()
    )


SEARCH_RESULT: Codec[tuple[SubqueryReport, ...]] = Codec(
    SequenceOf(Sequence(SubqueryReport)), "SearchInfoReport"
)


# Dates and times: format dateTime (6)


@sequence
class MonthAndDay:
    month: int = component(2, INTEGER)
    day: int | None = component(3, INTEGER, default=None)


@frozen
class WeekNumber:
    number: int


class Quarter(Enum):
    FIRST = 1
    SECOND = 2
    THIRD = 3
    FOURTH = 4


class Season(Enum):
    WINTER = 1
    SPRING = 2
    SUMMER = 3
    AUTUMN = 4


# int is the day of the year.
PartOfYear = MonthAndDay | int | WeekNumber | Quarter | Season
_PART_OF_YEAR: Choice[PartOfYear] = choice(
    "partOfYear",
    (1, Sequence(MonthAndDay)),
    (2, INTEGER),
    (3, Wrapped(WeekNumber, INTEGER)),
    (4, choice("quarter", *((each.value, NULL, each) for each in Quarter))),
    (5, choice("season", *((each.value, NULL, each) for each in Season))),
)


class Era(Enum):
    DECADE = 1
    CENTURY = 2
    MILLENNIUM = 3


@sequence
class DateFlags:
    circa: bool = component(1, FLAG, default=False)
    era: Era | None = component(
        2, choice("era", *((each.value, NULL, each) for each in Era)), default=None
    )


@sequence
class Z3950Date:
    """`year` is counted without a year 0: -1 is 1 BC."""

    year: int = component(1, INTEGER)
    part_of_year: PartOfYear | None = component(2, _PART_OF_YEAR, default=None)
    flags: DateFlags | None = component(3, Sequence(DateFlags), default=None)


class Zone(Enum):
    LOCAL = 1
    UTC = 2


@sequence
class Z3950Time:
    """`zone` as int is the offset from UTC in minutes."""

    hour: int = component(1, INTEGER)
    minute: int | None = component(2, INTEGER, default=None)
    second: int | None = component(3, INTEGER, default=None)
    part_of_second: IntUnit | None = component(4, INT_UNIT, default=None)
    zone: Zone | int = component(
        5, choice("zone", (1, NULL, Zone.LOCAL), (2, NULL, Zone.UTC), (3, INTEGER))
    )


@sequence
class DateTime:
    """One of the two, or both."""

    date: Z3950Date | None = component(1, Explicit(Sequence(Z3950Date)), default=None)
    time: Z3950Time | None = component(2, Explicit(Sequence(Z3950Time)), default=None)


DATE_TIME: Codec[DateTime] = Codec(Sequence(DateTime), "DateTime")

"""Long lists in pages: an opaque cursor says behind what the next page begins.

A cursor holds a position of the list's own order, never a count of what to skip, so
a page neither repeats nor leaves out what was there all the time, whatever is added
meanwhile.
"""

from __future__ import annotations

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Annotated, Generic, TypeVar

import msgspec
from aiohttp import hdrs

from server.api.operation import Call, Reply
from server.api.problem import Kind, Refusal

LIMIT_DEFAULT, LIMIT_MAX = 50, 500
_CURSOR_CHARS_MAX = 512
_POSITION_MAX = 2**62

_T = TypeVar("_T")
_Position = TypeVar("_Position", int, str)


class PageQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What every list is asked with."""

    limit: Annotated[
        int, msgspec.Meta(ge=1, le=LIMIT_MAX, description="How many items at most.")
    ] = LIMIT_DEFAULT
    cursor: Annotated[
        str,
        msgspec.Meta(
            max_length=_CURSOR_CHARS_MAX, description="`next_cursor` of the page before this one."
        ),
    ] = ""


class Page(msgspec.Struct, Generic[_T], frozen=True, kw_only=True):
    """Some items in order; without `next_cursor` they are the last. A `Link` header with
    `rel="next"` leads to the next page too."""

    items: list[_T]
    next_cursor: str | None = None


def position(call: Call, query: PageQuery, kind: type[_Position]) -> _Position | None:
    """Behind what the page begins; None: at the beginning.

    Raises:
        Refusal: the cursor is none of this list.
    """
    if not query.cursor:
        return None
    try:
        octets = urlsafe_b64decode(query.cursor + "=" * (-len(query.cursor) % 4))
        name, place = msgspec.json.decode(octets, type=tuple[str, int | str])
    except (ValueError, binascii.Error, msgspec.MsgspecError):
        name, place = "", ""
    is_fit = isinstance(place, kind) and not (isinstance(place, int) and place > _POSITION_MAX)
    if name != call.operation.id or not is_fit:
        raise Refusal(Kind.PARAMETER, "cursor: it is none of this list", "cursor：不是此列表的游标")
    assert isinstance(place, kind)  # noqa: S101 - asked above
    return place


def page(
    call: Call,
    query: PageQuery,
    rows: Iterable[_T],
    place_of: Callable[[_T], int | str],
) -> tuple[list[_T], str | None]:
    """The rows of a page, of `rows` that begin with it, and the cursor of the next one."""
    taken = list(islice(rows, query.limit + 1))
    if len(taken) <= query.limit:
        return taken, None
    del taken[query.limit :]
    octets = msgspec.json.encode((call.operation.id, place_of(taken[-1])))
    return taken, urlsafe_b64encode(octets).decode().rstrip("=")


def paged(call: Call, items: list[_T], cursor: str | None) -> Reply[Page[_T]]:
    """The page with its `Link` (RFC 8288), relative to the address asked."""
    if cursor is None:
        return Reply(Page(items=items))
    following = call.request.rel_url.update_query(cursor=cursor)
    return Reply(
        Page(items=items, next_cursor=cursor), headers={hdrs.LINK: f'<{following}>; rel="next"'}
    )

"""The cover image of a record: given, shown, taken away.

The rules are those of `server/covers`; the picture is the body itself.
"""

from __future__ import annotations

import asyncio
from typing import Annotated, Literal

import msgspec
from aiohttp import hdrs, web
from msgspec import Meta

from protocol.record import StoredRecord
from server.access_control.permissions import Operation as Permission
from server.api.models import Sent
from server.api.operation import Area, Call, Header, Reply
from server.api.problem import Kind, Refusal, both
from server.api.records import RecordPath, database_named, record_numbered
from server.covers.keeping import CoverKept
from server.covers.shelf import Size
from server.uploads.upload import Change
from store.covers import Cover as StoredCover

AREA = Area("covers", "Cover images of records")

_AGE_MAX_S = 3600
_PICTURES = ("image/jpeg", "image/png", "image/webp")
_HAS_IT = Header("If-None-Match", "Entity tags of pictures that the client has.")


class SizeQuery(Sent, frozen=True):
    """How large."""

    size: Annotated[
        Literal["full", "medium", "small"],
        Meta(description="full: as it was kept; medium, small: JPEG, 300 and 120 pixels wide."),
    ] = "full"


class RemovalQuery(Sent, frozen=True):
    """Why it is taken away."""

    reason: Annotated[str, Meta(max_length=1000, description="Why, for the audit.")] = ""


class CoverKeptReply(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a cover. `credit` is the state of the record's claim if the cover earns
    something, "due" while that is not known, else "none" with the reason."""

    change: Literal["created", "replaced", "unchanged", "deleted"]
    database: str
    control_number: str
    format: Literal["jpeg", "png", "webp"]
    width: int
    height: int
    size_bytes: int
    sha256: str
    credit: str
    credit_reason: str
    credit_reason_zh: str


@AREA.get(
    "/databases/{database}/records/{number}/cover", needs=Permission.SEARCH,
    summary="Show the cover of a record", gives=_PICTURES, headers=(_HAS_IT,),
    answers={200: "The picture", 304: "The client has it"}, problems=(409,),
)  # fmt: skip
async def show_cover(call: Call, path: RecordPath, query: SizeQuery) -> web.StreamResponse:
    """Its entity tag is the SHA-256 of the file."""
    record = await _record(call, path)
    catalogue = call.service.catalogue
    cover = call.covers.reader.of_record(record, lambda: catalogue.former_numbers(record))
    if cover is None:
        raise Refusal(
            Kind.NOT_FOUND, f"{path.number} has no cover image.", f"记录 {path.number} 没有封面。"
        )
    size = Size("" if query.size == "full" else query.size)
    tags = {
        Size.FULL: cover.sha256, Size.MEDIUM: cover.medium_sha256, Size.SMALL: cover.small_sha256,
    }  # fmt: skip
    headers: dict[str, str] = {
        hdrs.ETAG: f'"{tags[size]}"', hdrs.CACHE_CONTROL: f"private, max-age={_AGE_MAX_S}",
    }  # fmt: skip
    if any(each.value in ("*", tags[size]) for each in call.request.if_none_match or ()):
        return web.Response(status=304, headers=headers)
    try:
        octets = await asyncio.to_thread(call.covers.reader.path(cover, size).read_bytes)
    except OSError:
        raise Refusal(
            Kind.NOT_FOUND, "The cover image cannot be read.", "封面文件无法读取。"
        ) from None
    form = cover.format if size is Size.FULL else "jpeg"
    return web.Response(body=octets, content_type=f"image/{form}", headers=headers)


@AREA.put(
    "/databases/{database}/records/{number}/cover", needs=Permission.COVER_UPLOAD,
    summary="Give a record its cover", reads=_PICTURES, problems=(409, 422),
    answers={201: "It is kept and served", 200: "It took the place of one, or was there already"},
)  # fmt: skip
async def put_cover(call: Call, path: RecordPath, body: bytes) -> Reply[CoverKeptReply]:
    """JPEG, PNG or WebP, looked at whole and written anew. Another institution's cover is
    replaced by that institution and by operators alone."""
    record = await _record(call, path)
    keeper = call.covers.keeper
    kept = await call.covers.change(
        lambda: keeper.add(call.principal, record, body, origin=call.origin)
    )
    is_new = kept.change is Change.CREATED
    return Reply(
        _told(kept), status=201 if is_new else 200,
        headers={hdrs.LOCATION: call.request.rel_url.raw_path} if is_new else {},
    )  # fmt: skip


@AREA.delete(
    "/databases/{database}/records/{number}/cover", needs=Permission.COVER_UPLOAD,
    summary="Take the cover of a record away", problems=(409,),
    answers={200: "It is gone; what it earned stays"},
)  # fmt: skip
async def remove_cover(call: Call, path: RecordPath, query: RemovalQuery) -> CoverKeptReply:
    record = await _record(call, path)
    keeper = call.covers.keeper
    kept = await call.covers.change(
        lambda: keeper.remove(call.principal, record, origin=call.origin, reason=query.reason)
    )
    return _told(kept)


async def _record(call: Call, path: RecordPath) -> StoredRecord:
    return await record_numbered(call, database_named(call, path.database), path.number)


def _told(kept: CoverKept) -> CoverKeptReply:
    cover: StoredCover = kept.cover
    state, reason, reason_zh = kept.credit or "none", "", ""
    if " " in state:  # it says why there is none
        reason, reason_zh = both(state)
        state = "none"
    return CoverKeptReply(
        change=kept.change.value, database=cover.database, control_number=cover.control_number,
        format=cover.format, width=cover.width, height=cover.height,  # type: ignore[arg-type]
        size_bytes=cover.size_bytes, sha256=cover.sha256, credit=state, credit_reason=reason,
        credit_reason_zh=reason_zh,
    )  # fmt: skip

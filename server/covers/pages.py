"""`/covers/{database}/{number}`: the cover image of a record, and its thumbnails.

`…/medium` is at most 300 pixels wide and `…/small` 120, both JPEG. Whoever may search
may see covers; who may send them, `server/covers/sending.py` says.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from urllib.parse import quote

from aiohttp import ETag, hdrs, web

from protocol.diagnostic import Diagnostic
from protocol.query import Clause, Structure
from protocol.record import StoredRecord
from protocol.search_term import clean
from server.covers.picture import MEDIUM_WIDTH, fitting
from server.covers.reading import CoverReader
from server.covers.sending import CoverSending
from server.covers.shelf import Size
from server.http.refusals import refuse
from server.http.sign_in import refusal
from server.log import Log
from server.web.shell import ALL_NAMES, PageHandler, Shell, Visit
from store.covers import Cover

# A browser asks again after that, and is told 304 where nothing has changed.
_AGE_MAX_S = 3600
_SAME_NUMBER_MAX = 50
PATH = "/covers/{database}/{number:.+}"

log = Log("lianmu.covers")


class CoverPages:
    """The pictures, of one worker."""

    def __init__(self, shell: Shell) -> None:
        self._shell = shell
        self._reader = CoverReader(shell.config)
        self._sending = CoverSending(shell.config, shell.service, self._records)

    def add_routes(self, app: web.Application) -> None:
        # A control number may have slashes in it, so the longer addresses come first.
        for size in (Size.SMALL, Size.MEDIUM):
            app.router.add_get(
                f"/covers/{{database}}/{{number:.+}}/{size}", self._shell.page(self._of(size))
            )
        app.router.add_get(PATH, self._shell.page(self._of(Size.FULL)))
        self._sending.add_routes(app, PATH)

    def close(self) -> None:
        self._reader.close()

    def of_record(self, record: StoredRecord) -> Cover | None:
        """The cover that the page of a record shows."""
        catalogue = self._shell.service.catalogue
        return self._reader.of_record(record, lambda: catalogue.former_numbers(record))

    def _of(self, size: Size) -> PageHandler:
        async def respond(request: web.Request, visit: Visit) -> web.StreamResponse:
            if isinstance(visit.principal, Diagnostic):
                status, headers = refusal(self._shell.service, request, visit.principal)
                return refuse(request, status, visit.principal.addinfo, headers)
            cover = await self._cover(request)
            if cover is None:
                return refuse(request, 404, "There is no cover image of this record.")
            return await self._picture(request, visit, cover, size)

        return respond

    async def _records(self, request: web.Request) -> list[StoredRecord]:
        """The records of the address, or those into which that of its number was merged."""
        catalogue = self._shell.service.catalogue
        name, number = request.match_info["database"], clean(request.match_info["number"])
        databases = catalogue.resolve(("Default",) if name.lower() in ALL_NAMES else (name,))
        if isinstance(databases, Diagnostic):
            return []
        found = await catalogue.search(
            databases, Clause("control_number", number, structure=Structure.KEY), {}
        )
        if isinstance(found, Diagnostic):
            return []
        ids = found.ids(1, min(len(found), _SAME_NUMBER_MAX))
        if isinstance(ids, Diagnostic):
            return []
        live = [
            record
            for record in await catalogue.fetch(ids)
            if record is not None and not record.deleted
        ]
        return [record for record in live if record.control_number == number] or [
            record for record in live if number in catalogue.former_numbers(record)
        ]

    async def _cover(self, request: web.Request) -> Cover | None:
        covers = (self.of_record(record) for record in await self._records(request))
        return next((cover for cover in covers if cover is not None), None)

    async def _picture(
        self, request: web.Request, visit: Visit, cover: Cover, size: Size
    ) -> web.StreamResponse:
        tag = {
            Size.FULL: cover.sha256, Size.MEDIUM: cover.medium_sha256,
            Size.SMALL: cover.small_sha256,
        }[size]  # fmt: skip
        # What only those who signed in may see is kept by nobody between them and us.
        is_public = self._shell.config.access.anonymous and visit.session is None
        headers = {
            hdrs.ETAG: f'"{tag}"',
            hdrs.CACHE_CONTROL: f"{'public' if is_public else 'private'}, max-age={_AGE_MAX_S}",
            "X-Content-Type-Options": "nosniff",
            "Content-Security-Policy": "default-src 'none'",
        }
        if any(each in (ETag(tag), ETag("*")) for each in request.if_none_match or ()):
            return web.Response(status=304, headers=headers)
        try:
            octets = await asyncio.to_thread(self._reader.path(cover, size).read_bytes)
        except OSError as error:  # it was replaced this moment, or is lost: `doctor` says which
            log.error("cover cannot be read", record=cover.control_number, reason=str(error))
            return refuse(request, 404, "The cover image cannot be read.")
        form = cover.format if size is Size.FULL else "jpeg"
        return web.Response(body=octets, content_type=f"image/{form}", headers=headers)


@dataclass(frozen=True, slots=True)
class ShownCover:
    """What the page of a record says of its cover: addresses, and how large it is shown."""

    path: str
    medium_path: str
    width: int
    height: int


def shown(record: StoredRecord, cover: Cover) -> ShownCover:
    """A record's cover in the size of the medium thumbnail."""
    path = f"/covers/{quote(record.database.name)}/{quote(record.control_number, safe='')}"
    width, height = fitting(cover.width, cover.height, MEDIUM_WIDTH)
    return ShownCover(path, f"{path}/{Size.MEDIUM}", width, height)

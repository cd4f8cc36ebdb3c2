"""A member's statements: every year that has one, to look at and to download."""

from __future__ import annotations

import asyncio
import io
import re
import tempfile
from base64 import b64encode
from dataclasses import dataclass
from hashlib import sha256
from typing import BinaryIO, cast

from aiohttp import hdrs, web

from metering.entry import accounting_day
from metering.interface import MeteringError
from metering.settlement_store import Settlement
from metering.spool import utc_us
from metering.statement import build
from metering.statement_texts import Language, Texts
from server.accounting import Accounting
from server.config import Config
from server.log import Log
from server.permissions import Operation
from server.settling import names_to_settle, open_settlements
from server.statements import CONTENT_TYPES, remittance, write
from server.web.navigation import member_may
from server.web.shell import HEADERS, Shell, Visit

PATH = "/-/my/statements"
_MEMORY_BYTES_MAX = 8 << 20  # larger files wait on the disk
_CHUNK_BYTES = 256 << 10
_STYLE = re.compile(rb"<style>(.*?)</style>", re.DOTALL)

log = Log("lianmu.web")


@dataclass(frozen=True, slots=True)
class StatedYear:
    """A year with the documents that its statement shows: an estimate, a draft, or final ones."""

    year: int
    documents: tuple[Settlement, ...]

    @property
    def status(self) -> str:
        """ "estimate", "draft" or "final"."""
        return next(each.status for each in self.documents if each.status != "note")

    @property
    def net_fen(self) -> int:
        return sum(each.net_fen for each in self.documents)


def stated_years(config: Config, institution: str, this_year: int) -> list[StatedYear]:
    """The years of a member, the newest first.

    Raises:
        MeteringError: the ledger cannot be read.
    """
    with Accounting(config) as accounting, accounting.ledger.reading() as snapshot:
        years = {*snapshot.years(institution), this_year}
    with open_settlements(config) as settlements:
        stated = []
        for year in sorted(years, reverse=True):
            documents = settlements.billed_with(year, institution)
            if not any(each.status == "final" for each in documents):
                documents = settlements.drafts(year, institution)[-1:] or settlements.estimates(
                    year, institution
                )
            if documents:
                stated.append(StatedYear(year, tuple(documents)))
    return stated


class StatementPages:
    """The list, and a statement in one of its forms."""

    def __init__(self, shell: Shell) -> None:
        self._shell = shell

    def add_routes(self, app: web.Application) -> None:
        allowed = member_may(Operation.STATEMENT_READ)
        self._shell.get(app, PATH, self._list, allowed)
        self._shell.get(app, f"{PATH}/{{year}}.{{form}}", self._download, allowed)

    async def _list(self, request: web.Request, visit: Visit) -> web.StreamResponse:
        this_year, _ = accounting_day(utc_us())
        years = await asyncio.to_thread(
            stated_years, self._shell.config, visit.who.institution, this_year
        )
        values = {"path": PATH, "years": years, "forms": tuple(CONTENT_TYPES)}
        return self._shell.render(request, visit, "my/statements.html", values)

    async def _download(self, request: web.Request, visit: Visit) -> web.StreamResponse:
        year, form = request.match_info["year"], request.match_info["form"]
        if not (year.isascii() and year.isdecimal() and len(year) == 4) or (
            form not in CONTENT_TYPES
        ):
            return self._shell.problem(request, visit, 404, visit.texts("my.no_statement"))
        language = request.query.get("language", "both")
        if language not in ("zh", "en", "both"):
            language = "both"
        try:
            file = await asyncio.to_thread(
                self._made, visit.who.institution, int(year), form, cast(Language, language)
            )
        except MeteringError as error:
            log.error("a statement cannot be made", year=year, form=form, reason=str(error))
            return self._shell.problem(request, visit, 503, visit.texts("system_error"))
        with file:
            return await _send(request, file, form, f"{visit.who.institution}-{year}.{form}")

    def _made(self, institution: str, year: int, form: str, language: Language) -> BinaryIO:
        config = self._shell.config
        name = names_to_settle(config, institution).get(institution, institution)
        with Accounting(config) as accounting, open_settlements(config) as settlements:
            made = build(
                accounting.ledger, settlements, institution, name, year, remittance(config)
            )
            file = tempfile.SpooledTemporaryFile(_MEMORY_BYTES_MAX)  # noqa: SIM115 - returned
            write(made, form, Texts(language), config, cast(BinaryIO, file))
        return cast(BinaryIO, file)


def _policy(file: BinaryIO) -> str:
    """A statement has its style within, and that alone may be used; nothing runs or loads."""
    style = _STYLE.search(file.read(_CHUNK_BYTES))
    file.seek(0)
    digest = b64encode(sha256(style[1]).digest()).decode() if style else ""
    return f"default-src 'none'; style-src 'sha256-{digest}'; frame-ancestors 'none'"


async def _send(request: web.Request, file: BinaryIO, form: str, name: str) -> web.StreamResponse:
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    headers = {**HEADERS, hdrs.CONTENT_TYPE: CONTENT_TYPES[form]}
    if form == "html":
        headers[hdrs.CONTENT_TYPE] += "; charset=utf-8"
        headers["Content-Security-Policy"] = await asyncio.to_thread(_policy, file)
    else:
        headers[hdrs.CONTENT_DISPOSITION] = f'attachment; filename="{name}"'
    response = web.StreamResponse(headers=headers)
    response.content_length = size
    await response.prepare(request)
    while chunk := await asyncio.to_thread(file.read, _CHUNK_BYTES):
        await response.write(chunk)
    await response.write_eof()
    return response

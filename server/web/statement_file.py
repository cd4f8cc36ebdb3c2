"""A member's statement of a year as an answer, for the member and for operators."""

from __future__ import annotations

import asyncio
import io
import re
import tempfile
from base64 import b64encode
from hashlib import sha256
from typing import BinaryIO, cast

from aiohttp import hdrs, web

from metering.interface import MeteringError
from metering.statement import build
from metering.statement_texts import Language, Texts
from server.accounting.ledger import Accounting
from server.accounting.settling import names_to_settle, open_settlements
from server.accounting.statements import CONTENT_TYPES, remittance, write
from server.config import Config
from server.log import Log
from server.web.shell import HEADERS, Shell, Visit

_MEMORY_BYTES_MAX = 8 << 20  # larger files wait on the disk
_CHUNK_BYTES = 256 << 10
_STYLE = re.compile(rb"<style>(.*?)</style>", re.DOTALL)

log = Log("lianmu.web")


async def answer_statement(
    shell: Shell, request: web.Request, visit: Visit, institution: str, year: int, form: str
) -> web.StreamResponse:
    """The statement of a member in one of CONTENT_TYPES, in the `language` of the address.

    503 where it cannot be made; the log says why.
    """
    language = request.query.get("language", "both")
    if language not in ("zh", "en", "both"):
        language = "both"
    try:
        file = await asyncio.to_thread(
            _made, shell.config, institution, year, form, cast(Language, language)
        )
    except MeteringError as error:
        log.error(
            "a statement cannot be made", institution=institution, year=year, form=form,
            reason=str(error),
        )  # fmt: skip
        return shell.problem(request, visit, 503, visit.texts("system_error"))
    with file:
        return await _send(request, file, form, f"{institution}-{year}.{form}")


def _made(config: Config, institution: str, year: int, form: str, language: Language) -> BinaryIO:
    name = names_to_settle(config, institution).get(institution, institution)
    with Accounting(config) as accounting, open_settlements(config) as settlements:
        made = build(accounting.ledger, settlements, institution, name, year, remittance(config))
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

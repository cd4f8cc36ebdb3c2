"""Files that people send with a form: to the disk as they come, however large."""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import BodyPartReader, web

from server.http.deadline import DEADLINE
from server.web.forms import form_faults
from server.web.shell import FormExpiredError, Visit

# Where in the data folder files are while they are received.
HOLDINGS_FOLDER = Path("holdings")
LISTS_FOLDER = Path("batch", "received")
FIELDS_MAX = 32
_SUFFIX = ".upload"
_FIELD_BYTES_MAX = 1 << 20
_CHUNK_BYTES = 1 << 16
_CHUNK_S_MAX = 60.0  # between two pieces; the whole may take as long as it takes


class TooLargeError(Exception):
    """The file has more octets than are taken."""


@dataclass(slots=True)
class Received:
    """`fields` of the form; `path` is where its file is, None: none was chosen."""

    fields: dict[str, str] = field(default_factory=dict)
    lists: dict[str, list[str]] = field(default_factory=dict)
    path: Path | None = None
    name: str = ""  # of the file, as its sender has it
    size_bytes: int = 0

    def discard(self) -> None:
        if self.path is not None:
            self.path.unlink(missing_ok=True)


def sweep(data_dir: Path) -> int:
    """Remove what workers that died had of files they received; how many there were.

    To be called by who holds the data folder's lock and before there are workers: each
    worker of a server shares that lock, so nobody is receiving then.
    """
    left = [
        path
        for folder in (HOLDINGS_FOLDER, LISTS_FOLDER)
        for path in (data_dir / folder).glob(f"*{_SUFFIX}")
    ]
    for path in left:
        path.unlink(missing_ok=True)
    return len(left)


async def receive(
    request: web.Request, visit: Visit, folder: Path, file_bytes_max: int
) -> Received:
    """Read a form of several parts; its token stands before its file.

    Raises:
        FormExpiredError: it came from no page of this session; nothing is kept.
        FormUnreadableError: what was sent is no form; nothing is kept.
        TooLargeError: the file is too large; nothing is kept.
        TimeoutError: nothing came for a minute; nothing is kept.
    """
    received = Received()
    if request.content_type != "multipart/form-data":
        raise FormExpiredError
    if (deadline := request.get(DEADLINE)) is not None:
        deadline.lift()
    try:
        with form_faults():
            async for part in await request.multipart():
                if not isinstance(part, BodyPartReader) or len(received.fields) >= FIELDS_MAX:
                    raise FormExpiredError
                if part.filename is None:
                    value = (await _field(part)).decode(errors="replace")
                    received.fields[part.name or ""] = value
                    received.lists.setdefault(part.name or "", []).append(value)
                    continue
                if not visit.sessions.is_form_token(visit.session, received.fields.get("token")):
                    raise FormExpiredError
                if part.filename and received.path is None:
                    await _store(part, received, folder, file_bytes_max)
        if not visit.sessions.is_form_token(visit.session, received.fields.get("token")):
            raise FormExpiredError
    except BaseException:
        received.discard()
        raise
    return received


async def _field(part: BodyPartReader) -> bytes:
    """A field to its end, or what is taken of it: it may come in many pieces."""
    value = bytearray()
    while len(value) < _FIELD_BYTES_MAX:
        chunk = await asyncio.wait_for(part.read_chunk(_CHUNK_BYTES), _CHUNK_S_MAX)
        if not chunk:
            break
        value += chunk
    return bytes(value[:_FIELD_BYTES_MAX])


async def _store(
    part: BodyPartReader, received: Received, folder: Path, file_bytes_max: int
) -> None:
    await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
    received.path = folder / f"{secrets.token_hex(16)}{_SUFFIX}"
    received.name = Path((part.filename or "").replace("\\", "/")).name[:200]
    with await asyncio.to_thread(received.path.open, "xb") as file:
        while chunk := await asyncio.wait_for(part.read_chunk(_CHUNK_BYTES), _CHUNK_S_MAX):
            received.size_bytes += len(chunk)
            if received.size_bytes > file_bytes_max:
                raise TooLargeError(f"more than {file_bytes_max} octets")
            await asyncio.to_thread(file.write, chunk)

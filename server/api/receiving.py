"""Bodies that are longer than memory should hold: taken into a file as they come."""

from __future__ import annotations

import asyncio
import hashlib
import tempfile

from aiohttp import web

from server.http.deadline import DEADLINE

IN_MEMORY_BYTES = 1 << 20
CHUNK_BYTES = 1 << 18
CHUNK_S_MAX = 60.0  # for the next octets of a client


class ReceivedFile(tempfile.SpooledTemporaryFile[bytes]):
    """A body, read from its beginning; in memory while it is short. `sha256` is of all of it."""

    sha256: bytes = b""


async def receive(request: web.Request, size_bytes_max: int) -> ReceivedFile:
    """The body of a request.

    The time limit of requests does not hold for it, nor for what is done with it: both
    take as long as the file is long.

    Raises:
        web.HTTPRequestEntityTooLarge: it is too long; nothing is kept.
        TimeoutError: nothing came for a minute; nothing is kept.
    """
    if (deadline := request.get(DEADLINE)) is not None:
        deadline.lift()
    file = ReceivedFile(max_size=IN_MEMORY_BYTES)
    digest = hashlib.sha256()
    size_bytes = 0
    try:
        while chunk := await asyncio.wait_for(request.content.read(CHUNK_BYTES), CHUNK_S_MAX):
            size_bytes += len(chunk)
            if size_bytes > size_bytes_max:
                raise web.HTTPRequestEntityTooLarge(size_bytes_max, size_bytes)
            digest.update(chunk)
            await asyncio.to_thread(file.write, chunk)
    except BaseException:
        file.close()
        raise
    file.seek(0)
    file.sha256 = digest.digest()
    return file

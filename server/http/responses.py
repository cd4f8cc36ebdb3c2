"""Responses on their way out: streamed, compressed and revalidated as the client agrees.

A body that may be kept by the client carries an entity tag, and one that it has
already is answered 304. Whatever was entered in the ledger is never such a
body: `send` keeps a response out of every cache unless `revalidate` says more.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import sys
import zlib
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager
from functools import lru_cache
from itertools import chain

from aiohttp import ETag, hdrs, web
from multidict import CIMultiDict

from server.http.deadline import DEADLINE

# A body up to here is sent whole, a larger one in portions of about this size.
PORTION_SIZE_BYTES = 64 * 1024
# With nothing else to be sent so much fits below the mark at which a connection
# makes its writer wait (64 KiB), headers included.
NEVER_WAITS_BYTES = 48 * 1024
# Below it the headers of compression cost more than they save.
GZIP_SIZE_BYTES_MIN = 1024
GZIP_LEVEL = 5
_GZIP_WBITS = 31  # a gzip header and trailer around deflate

NO_STORE = "no-store"
REVALIDATE = "private, no-cache"

# How long a client may leave a response unread, in seconds.
WRITE_TIMEOUT_S = web.AppKey("WRITE_TIMEOUT_S", float)
_WRITE_TIMEOUT_S = 60.0

_COMPRESSIBLE = re.compile(r"text/|application/(.*\+)?(xml|json)$|image/svg")
_QUALITY_NONE = re.compile(r"0(\.0{0,3})?")


class WriteTimeoutError(ConnectionError):
    """The client read nothing for too long; the response is cut."""


async def send(
    request: web.Request,
    chunks: Iterable[bytes],
    *,
    content_type: str,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    revalidate: bool = False,
) -> web.StreamResponse:
    """Send a body in UTF-8, holding no more of it than a portion at a time.

    `chunks` is read only as fast as the client reads. To HEAD the headers
    alone are sent. With `revalidate` the body gets an entity tag, for which it
    is gone through once more, and a client that has it already is told 304;
    that is for bodies only of which nothing is billed. When this returns all
    was handed to the connection; otherwise it raises.

    Raises:
        ConnectionError: the client is gone, or reads nothing any more.
    """
    given = CIMultiDict(headers or {})
    given[hdrs.CONTENT_TYPE] = f"{content_type}; charset=utf-8"
    given.setdefault(hdrs.CACHE_CONTROL, REVALIDATE if revalidate else NO_STORE)
    if revalidate and status == 200:
        chunks = list(chunks)
        given[hdrs.ETAG] = _tag(chunks)
    portions = _portions(chunks)
    first = next(portions, b"")
    second = next(portions, None)
    if second is None or _has_it(request, given.get(hdrs.ETAG)):
        return await deliver(request, web.Response(body=first, status=status, headers=given))
    response = web.StreamResponse(status=status, headers=given)
    response.headers.add(hdrs.VARY, hdrs.ACCEPT_ENCODING)
    squeeze = None
    if accepts_gzip(request.headers.get(hdrs.ACCEPT_ENCODING, "")):
        squeeze = zlib.compressobj(GZIP_LEVEL, zlib.DEFLATED, _GZIP_WBITS)
        response.headers[hdrs.CONTENT_ENCODING] = "gzip"
    _begin(request)
    await response.prepare(request)
    if request.method == hdrs.METH_HEAD:
        await response.write_eof()
        return response
    for portion in chain((first, second), portions):
        data = squeeze.compress(portion) if squeeze is not None else portion
        if data:
            async with _patience(request):
                await response.write(data)
    async with _patience(request):
        await response.write_eof(squeeze.flush() if squeeze is not None else b"")
    return response


async def send_head(
    request: web.Request,
    *,
    content_type: str,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
) -> web.StreamResponse:
    """Answer HEAD where the body must not be made: nothing is said of its size."""
    return await send(request, (), content_type=content_type, status=status, headers=headers)


async def deliver(request: web.Request, response: web.Response) -> web.Response:
    """Send a whole response: compressed where agreed, or 304 where the client has it.

    A body gets an entity tag when its Cache-Control lets the client keep it.
    """
    body = response.body
    cache = response.headers.get(hdrs.CACHE_CONTROL, NO_STORE)
    if isinstance(body, (bytes, bytearray)) and not response.prepared:
        if response.status == 200 and NO_STORE not in cache:
            response.headers.setdefault(hdrs.ETAG, _tag((bytes(body),)))
        if _is_compressible(response.headers.get(hdrs.CONTENT_TYPE, "")):
            response.headers.add(hdrs.VARY, hdrs.ACCEPT_ENCODING)
        if _has_it(request, response.headers.get(hdrs.ETAG)):
            response = _not_modified(response)
        elif _is_squeezed(request, response, len(body)):
            response.body = compressed(body)
            response.headers[hdrs.CONTENT_ENCODING] = "gzip"
    _begin(request)
    body = response.body or b""
    size = len(body) if isinstance(body, (bytes, bytearray)) else sys.maxsize
    if size < NEVER_WAITS_BYTES and not _waiting_bytes(request):
        await response.prepare(request)
        await response.write_eof()
        return response
    async with _patience(request):
        await response.prepare(request)
        await response.write_eof()
    return response


def accepts_gzip(accept_encoding: str) -> bool:
    """Whether the value of an Accept-Encoding header allows gzip (RFC 9110 §12.5.3)."""
    for_any = False
    for part in accept_encoding.lower().split(","):
        coding, _, parameters = part.partition(";")
        name, _, quality = parameters.partition("=")
        refused = name.strip() == "q" and _QUALITY_NONE.fullmatch(quality.strip())
        if coding.strip() in ("gzip", "x-gzip"):
            return not refused
        if coding.strip() == "*":
            for_any = not refused
    return for_any


def compressed(body: bytes | bytearray) -> bytes:
    """A whole body in the gzip format."""
    return zlib.compress(body, GZIP_LEVEL, _GZIP_WBITS)


def _is_squeezed(request: web.Request, response: web.Response, size: int) -> bool:
    if size < GZIP_SIZE_BYTES_MIN:
        return False
    accepted = request.headers.get(hdrs.ACCEPT_ENCODING)
    return (
        accepted is not None
        and accepts_gzip(accepted)
        and _is_compressible(response.headers.get(hdrs.CONTENT_TYPE, ""))
    )


@lru_cache(maxsize=64)
def _is_compressible(content_type: str) -> bool:
    """Whether a Content-Type header names text; ours are few."""
    return _COMPRESSIBLE.match(content_type.partition(";")[0].strip().lower()) is not None


@asynccontextmanager
async def _patience(request: web.Request) -> AsyncIterator[None]:
    """Bounds one write: what may be exceeded is the client's reading, not our making.

    As long as the client reads at all, however little, the write goes on.
    """
    limit_s = request.config_dict.get(WRITE_TIMEOUT_S, _WRITE_TIMEOUT_S)
    loop = asyncio.get_running_loop()
    # What is to be sent now has joined what waits when the loop turns the first time.
    timers: list[asyncio.Handle] = [loop.call_soon(lambda: look(sys.maxsize))]

    def look(waiting_before: int) -> None:
        waiting = _waiting_bytes(request)
        if waiting < waiting_before:
            timers[0] = loop.call_later(limit_s, look, waiting)
        else:
            timeout.reschedule(loop.time())

    try:
        async with asyncio.timeout(None) as timeout:
            yield
    except TimeoutError:
        raise WriteTimeoutError("the client reads nothing") from None
    finally:
        timers[0].cancel()


def _waiting_bytes(request: web.Request) -> int:
    """What was given to the connection and not yet taken by the operating system."""
    transport = request.transport
    return transport.get_write_buffer_size() if transport is not None else 0


def _begin(request: web.Request) -> None:
    """The answer is made: from here on the client's pace counts, not ours."""
    if DEADLINE in request:
        request[DEADLINE].lift()


def _portions(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The same octets in pieces of PORTION_SIZE_BYTES or a little more."""
    held: list[bytes] = []
    size = 0
    for chunk in chunks:
        held.append(chunk)
        size += len(chunk)
        if size >= PORTION_SIZE_BYTES:
            yield b"".join(held)
            held.clear()
            size = 0
    if held:
        yield b"".join(held)


def _tag(chunks: Iterable[bytes]) -> str:
    """A weak tag, the same for the body compressed and not (RFC 9110 §8.8.1)."""
    digest = hashlib.blake2b(digest_size=16)
    for chunk in chunks:
        digest.update(chunk)
    return f'W/"{digest.hexdigest()}"'


def _has_it(request: web.Request, tag: str | None) -> bool:
    """Whether If-None-Match names the tag; compared weakly (RFC 9110 §13.1.2)."""
    if tag is None or request.method not in (hdrs.METH_GET, hdrs.METH_HEAD):
        return False
    known: tuple[ETag, ...] = request.if_none_match or ()
    return any(each.value in ("*", tag[3:-1]) for each in known)


def _not_modified(response: web.Response) -> web.Response:
    """304 with the headers that the whole response would have (RFC 9110 §15.4.5)."""
    kept = CIMultiDict(response.headers)
    for name in (hdrs.CONTENT_TYPE, hdrs.CONTENT_LENGTH):
        kept.popall(name, None)
    return web.Response(status=304, headers=kept)

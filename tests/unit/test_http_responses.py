"""How bodies are sent: in portions, compressed and tagged as the client agrees."""

from __future__ import annotations

import asyncio
import gzip
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import ClientResponse, ClientSession, web
from aiohttp.test_utils import TestServer

from server.http.responses import (
    GZIP_SIZE_BYTES_MIN,
    PORTION_SIZE_BYTES,
    WRITE_TIMEOUT_S,
    WriteTimeoutError,
    accepts_gzip,
    deliver,
    send,
    send_head,
)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
SMALL = [b"<a>", "史记".encode(), b"</a>"]
BIG = [b"%06d " % number * 1000 for number in range(100)]


@asynccontextmanager
async def asking(
    handler: Handler, write_timeout_s: float = 30.0
) -> AsyncIterator[Callable[..., Awaitable[tuple[ClientResponse, bytes]]]]:
    """Serve `handler` alone; what is given asks it and returns the body as it came."""
    app = web.Application()
    app[WRITE_TIMEOUT_S] = write_timeout_s
    app.router.add_get("/", handler)
    async with TestServer(app) as server, ClientSession(auto_decompress=False) as session:

        async def ask(method: str = "GET", **headers: str) -> tuple[ClientResponse, bytes]:
            given = {name.replace("_", "-"): value for name, value in headers.items()}
            given.setdefault("Accept-Encoding", "identity")
            async with session.request(method, server.make_url("/"), headers=given) as response:
                return response, await response.read()

        yield ask


def sending(chunks: list[bytes], *, revalidate: bool = False) -> Handler:
    async def handler(request: web.Request) -> web.StreamResponse:
        return await send(
            request, iter(chunks), content_type="application/xml", revalidate=revalidate
        )

    return handler


@pytest.mark.parametrize("chunks", [SMALL, BIG, [b"x" * 300_000], []])
@pytest.mark.parametrize("revalidate", [True, False])
async def test_the_body_is_the_chunks_compressed_or_not(
    chunks: list[bytes], revalidate: bool
) -> None:
    whole = b"".join(chunks)
    async with asking(sending(chunks, revalidate=revalidate)) as ask:
        plain, body = await ask()
        assert body == whole
        assert "Content-Encoding" not in plain.headers
        squeezed, body = await ask(Accept_Encoding="deflate, gzip;q=0.5")
        if len(whole) < GZIP_SIZE_BYTES_MIN:
            assert "Content-Encoding" not in squeezed.headers
            assert body == whole
        else:
            assert squeezed.headers["Content-Encoding"] == "gzip"
            assert gzip.decompress(body) == whole
            assert len(body) < len(whole) / 2
        assert plain.headers["Vary"] == squeezed.headers["Vary"] == "Accept-Encoding"
        assert plain.headers["Content-Type"] == "application/xml; charset=utf-8"


async def test_a_small_body_states_its_length_and_a_big_one_is_chunked() -> None:
    async with asking(sending(SMALL)) as ask:
        response, _ = await ask()
        assert response.headers["Content-Length"] == str(len(b"".join(SMALL)))
    async with asking(sending(BIG)) as ask:
        response, _ = await ask()
        assert response.headers["Transfer-Encoding"] == "chunked"


@pytest.mark.parametrize("chunks", [SMALL, BIG])
async def test_what_may_be_kept_is_answered_304_to_who_has_it(chunks: list[bytes]) -> None:
    async with asking(sending(chunks, revalidate=True)) as ask:
        first, _ = await ask()
        tag = first.headers["ETag"]
        assert first.headers["Cache-Control"] == "private, no-cache"
        squeezed, _ = await ask(Accept_Encoding="gzip")
        assert squeezed.headers["ETag"] == tag
        for known in (tag, tag.removeprefix("W/"), f'"other", {tag}', "*"):
            again, body = await ask(If_None_Match=known)
            assert (again.status, body) == (304, b"")
            assert again.headers["ETag"] == tag
            assert again.headers["Vary"] == "Accept-Encoding"
            assert "Content-Type" not in again.headers
        changed, body = await ask(If_None_Match='"other"')
        assert (changed.status, body) == (200, b"".join(chunks))


@pytest.mark.parametrize("chunks", [SMALL, BIG])
async def test_what_is_billed_is_never_304_nor_kept(chunks: list[bytes]) -> None:
    async with asking(sending(chunks)) as ask:
        response, body = await ask(If_None_Match="*")
        assert (response.status, body) == (200, b"".join(chunks))
        assert response.headers["Cache-Control"] == "no-store"
        assert "ETag" not in response.headers


@pytest.mark.parametrize("chunks", [SMALL, BIG])
@pytest.mark.parametrize("coding", ["identity", "gzip"])
async def test_head_tells_the_headers_of_get(chunks: list[bytes], coding: str) -> None:
    async with asking(sending(chunks, revalidate=True)) as ask:
        get, _ = await ask(Accept_Encoding=coding)
        head, body = await ask("HEAD", Accept_Encoding=coding)
        assert (head.status, body) == (200, b"")
        volatile = {"Date", "Transfer-Encoding"}
        assert {k: v for k, v in get.headers.items() if k not in volatile} == {
            k: v for k, v in head.headers.items() if k not in volatile
        }


async def test_head_without_a_body_says_nothing_of_its_length() -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        return await send_head(request, content_type="application/xml")

    async with asking(handler) as ask:
        head, _ = await ask("HEAD")
        assert head.status == 200
        assert "Content-Length" not in head.headers


async def test_a_whole_response_is_compressed_and_tagged_only_if_it_may_be_kept() -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        kept = {"Cache-Control": "max-age=60"} if request.headers.get("X-Keep") else {}
        return await deliver(request, web.Response(text="a" * 5000, headers=kept))

    async with asking(handler) as ask:
        response, body = await ask(Accept_Encoding="gzip")
        assert gzip.decompress(body) == b"a" * 5000
        assert "ETag" not in response.headers
        response, _ = await ask(X_Keep="1")
        again, _ = await ask(X_Keep="1", If_None_Match=response.headers["ETag"])
        assert again.status == 304
        assert again.headers["Cache-Control"] == "max-age=60"


async def test_a_picture_is_not_compressed_again() -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        return await deliver(request, web.Response(body=b"a" * 5000, content_type="image/png"))

    async with asking(handler) as ask:
        response, _ = await ask(Accept_Encoding="gzip")
        assert "Content-Encoding" not in response.headers


async def stalled(chunks: Iterator[bytes], write_timeout_s: float) -> tuple[int, Exception | None]:
    """How many chunks are taken for a client that reads nothing, and how it ends."""
    taken = itertools.count()
    ended: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()

    def counted() -> Iterator[bytes]:
        for chunk in chunks:
            next(taken)
            yield chunk

    async def handler(request: web.Request) -> web.StreamResponse:
        try:
            response = await send(request, counted(), content_type="text/plain")
        except Exception as error:
            ended.set_result(error)
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        ended.set_result(None)
        return response

    app = web.Application()
    app[WRITE_TIMEOUT_S] = write_timeout_s
    app.router.add_get("/", handler)
    async with TestServer(app) as server:
        _, writer = await asyncio.open_connection(server.host, server.port, limit=1024)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        error = await asyncio.wait_for(ended, 30)
        writer.transport.abort()
    return next(taken), error


async def test_a_client_that_does_not_read_is_cut_and_no_more_is_made_for_it() -> None:
    portions = 10_000  # 655 MB, if they were all made
    chunks = (b"x" * PORTION_SIZE_BYTES for _ in range(portions))
    taken, error = await stalled(chunks, 0.5)
    assert isinstance(error, WriteTimeoutError)
    assert taken < portions / 20  # what the system's socket buffers hold, and a little


@pytest.mark.parametrize(
    ("header", "accepted"),
    [
        ("", False),
        ("gzip", True),
        ("GZIP", True),
        ("x-gzip", True),
        ("deflate, gzip;q=1.0, *;q=0.5", True),
        ("gzip;q=0", False),
        ("gzip; q=0.000, *", False),
        ("*", True),
        ("*;q=0", False),
        ("identity", False),
        ("gzipped", False),
        ("br", False),
    ],
)
def test_gzip_is_used_only_where_it_is_accepted(header: str, accepted: bool) -> None:
    assert accepts_gzip(header) is accepted

"""Style sheets and scripts of the pages: our own, and served by ourselves.

The address of each holds a digest of its content, so browsers may keep it for
good and get another as soon as it changes.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from functools import cache
from hashlib import sha256
from importlib import resources
from importlib.resources.abc import Traversable

from aiohttp import hdrs, web

PREFIX = "/-/assets/"
_TYPES = {".css": "text/css", ".js": "text/javascript"}
_YEAR_S = 365 * 24 * 3600
_FOLDERS = ("assets", "vendor")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Assets:
    """The files of `pages/assets` and `pages/vendor`, read once."""

    def __init__(self) -> None:
        self._contents: dict[str, bytes] = {}
        self._addresses: dict[str, str] = {}
        for file in _files():
            name, content = file.name, file.read_bytes()
            stem, _, ending = name.rpartition(".")
            self._contents[name] = content
            self._addresses[name] = f"{PREFIX}{stem}.{sha256(content).hexdigest()[:12]}.{ending}"

    def address(self, name: str) -> str:
        """Where the file of that name is served.

        Raises:
            KeyError: there is none.
        """
        return self._addresses[name]

    def add_routes(self, app: web.Application) -> None:
        for name, address in self._addresses.items():
            app.router.add_get(address, _respond(self._contents[name], name))


@cache
def assets() -> Assets:
    """The same for all who make pages in this process."""
    return Assets()


def _files() -> Iterator[Traversable]:
    for folder in _FOLDERS:
        for file in resources.files("server").joinpath("pages", folder).iterdir():
            if _type(file.name):
                yield file


def _type(name: str) -> str:
    return _TYPES.get(f".{name.rpartition('.')[2]}", "")


def _respond(content: bytes, name: str) -> Handler:
    async def respond(_: web.Request) -> web.StreamResponse:
        return web.Response(
            body=content, content_type=_type(name), charset="utf-8",
            headers={hdrs.CACHE_CONTROL: f"public, max-age={_YEAR_S}, immutable"},
        )  # fmt: skip

    return respond

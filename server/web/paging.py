"""A long list in pages, each with an address of its own."""

from __future__ import annotations

import math
from dataclasses import dataclass
from urllib.parse import urlencode

from aiohttp import web

from server.catalogue_pages.query import page_numbers
from server.web.numbers import number_of

PAGE_ROWS = 50
_PARAMETER = "page"


@dataclass(frozen=True, slots=True)
class Pager:
    """Page `page` of `pages`, both from 1, of a list of `count` rows.

    `path` and `query` are the address of the list, without the page.
    """

    page: int
    pages: int
    count: int
    rows: int
    path: str
    query: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, request: web.Request, count: int, rows: int = PAGE_ROWS) -> Pager:
        """The page that a request asks for; the nearest where there is no such page."""
        pages = max(math.ceil(count / rows), 1)
        page = number_of(request.query.get(_PARAMETER, ""), 1)
        query = tuple(
            (name, value)
            for name, value in request.query.items()
            if name not in (_PARAMETER, "lang")
        )
        return cls(min(max(page, 1), pages), pages, count, rows, request.rel_url.raw_path, query)

    @property
    def offset(self) -> int:
        """How many rows come before this page."""
        return (self.page - 1) * self.rows

    @property
    def first(self) -> int:
        """The number of this page's first row, from 1; 0 in an empty list."""
        return min(self.offset + 1, self.count)

    @property
    def last(self) -> int:
        return min(self.offset + self.rows, self.count)

    @property
    def numbers(self) -> list[int]:
        """The pages to link to; 0 stands for a gap."""
        return page_numbers(self.page, self.pages)

    def url(self, page: int) -> str:
        return f"{self.path}?{urlencode([*self.query, (_PARAMETER, str(page))])}"

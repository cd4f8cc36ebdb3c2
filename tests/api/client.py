"""A client of the API as a program of a library would have one, and what tests ask with it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import requests

V1 = "/api/v1"
TIMEOUT_S = 30.0


@dataclass
class Client:
    """Asks as one account, by password or by key; every answer is looked at."""

    url: str
    user: tuple[str, str] | None = None
    key: str = ""
    seen: set[tuple[str, str, int]] = field(default_factory=set)

    def __call__(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        headers: Mapping[str, str] | None = None,
        **query: object,
    ) -> Answer:
        """`body` is sent as JSON unless it is octets, whose type `headers` says."""
        given = dict(headers or {})
        if self.key:
            given["Authorization"] = f"Bearer {self.key}"
        data = body
        if body is not None and not isinstance(body, bytes):
            data = json.dumps(body).encode()
            given.setdefault("Content-Type", "application/json")
        with requests.Session() as session:
            session.trust_env = False
            response = session.request(
                method, self.url + path, data=data, headers=given, params=query,  # type: ignore[arg-type]
                auth=self.user, timeout=TIMEOUT_S, allow_redirects=False,
            )  # fmt: skip
        answer = Answer(response)
        if response.status_code >= 400:
            answer.check_problem(method)
        self.seen.add((method, path, response.status_code))
        return answer

    def get(self, path: str, **query: object) -> Answer:
        return self("GET", path, **query)

    def post(self, path: str, body: object, **headers: str) -> Answer:
        return self("POST", path, body, headers=_named(headers))

    def put(self, path: str, body: object, **headers: str) -> Answer:
        return self("PUT", path, body, headers=_named(headers))

    def delete(self, path: str, **query: object) -> Answer:
        return self("DELETE", path, **query)

    def every(self, path: str, **query: object) -> list[Any]:
        """All items of a list, page by page along the Link header."""
        items: list[Any] = []
        answer = self.get(path, **query)
        while True:
            page = answer.ok()
            items += page["items"]
            link = answer.header("Link")
            assert bool(link) == (page["next_cursor"] is not None)
            if not link:
                return items
            target, _, relation = link.partition(">; ")
            assert relation == 'rel="next"'
            answer = self.get(target.removeprefix("<"))


class Answer:
    """One response."""

    def __init__(self, response: requests.Response) -> None:
        self._response = response
        self.status = response.status_code
        self.body = response.content

    def header(self, name: str) -> str:
        return self._response.headers.get(name, "")

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    def ok(self, status: int = 200) -> Any:
        """The value, when the status is that one."""
        assert self.status == status, (self.status, self.body)
        return self.json

    def problem(self, status: int, name: str) -> dict[str, Any]:
        """The problem, when it is that one."""
        assert self.status == status, (self.status, self.body)
        found: dict[str, Any] = self.json
        assert found["type"] == f"urn:lianmu:problem:{name}", found
        return found

    def check_problem(self, method: str) -> None:
        """Every refusal is a problem document in both languages."""
        assert self.header("Content-Type") == "application/problem+json", self.body
        assert self.header("Cache-Control") == "no-store"
        if method == "HEAD":
            return
        problem = self.json
        assert problem["status"] == self.status
        assert problem["type"].startswith("urn:lianmu:problem:")
        for name in ("title", "title_zh", "detail", "detail_zh"):
            assert problem[name].strip(), problem
        assert any("一" <= each <= "鿿" for each in problem["title_zh"])
        assert any("一" <= each <= "鿿" for each in problem["detail_zh"]), problem
        if self.status == 401:
            assert self.header("WWW-Authenticate")
        if self.status == 405:
            assert self.header("Allow")


def _named(headers: Mapping[str, str]) -> dict[str, str]:
    """`If_Match="…"` is the header If-Match."""
    return {name.replace("_", "-"): value for name, value in headers.items()}

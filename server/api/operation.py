"""How an operation of the API is declared: once, for its route and for the document.

    AREA = Area("institutions", "Member libraries and their agreements")

    @AREA.get("/institutions/{code}", needs=Permission.PROFILE_READ,
              summary="Show an institution")
    def show_institution(call: Call, path: InstitutionPath) -> Institution: ...

The annotations say what is read and answered: `path`, `query` and `body` are structs
(a body of another kind is `bytes`, or a file where it may be long, with its media types
in `reads`), and the return
value is a struct, a `Reply` around one, or a response made by the operation itself
with its media types in `gives`. Where annotations do not tell, `asks` names the struct
of the query, `takes` that of JSON among several media types, `shows` that of an answer
in JSON. A plain function may block: it runs in a thread.
"""

from __future__ import annotations

import inspect
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Generic, TypeVar, get_args, get_origin, get_type_hints

import msgspec
from aiohttp import web

from server.access_control.permissions import Operation as Permission
from server.access_control.principal import Principal
from server.api.cover_desk import CoverDesk
from server.batch.desk import BatchDesk
from server.config import Config
from server.delivery.outbox import Outbox
from server.service import Service
from store.audit import Origin

PREFIX = "/api/v1"
PROTOCOL = "api"
JSON = "application/json"

_T = TypeVar("_T")
_Handler = TypeVar("_Handler", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Call:
    """One request, as operations see it."""

    request: web.Request
    config: Config
    service: Service
    outbox: Outbox
    batch: BatchDesk
    covers: CoverDesk
    principal: Principal
    operation: Operation
    now_us: int = field(default_factory=lambda: time.time_ns() // 1000)

    @property
    def who(self) -> str:
        """The account, for the audit."""
        return self.principal.account

    @property
    def origin(self) -> Origin:
        """From where what is changed is changed, for the audit."""
        return Origin(PROTOCOL, self.principal.account, self.request.remote or "")


@dataclass(frozen=True, slots=True)
class Reply(Generic[_T]):
    """A value with what goes beside it.

    `status` 0 is the first that the operation declares. `secrets` are fields that are
    shown once: a reply repeated for an Idempotency-Key has null there.
    """

    value: _T
    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    secrets: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Header:
    """A header that an operation reads."""

    name: str
    description: str
    pattern: str = ""
    length_max: int = 0


IF_MATCH = Header(
    "If-Match",
    "The entity tag, or the bare number in quotes, of the version that the change was made"
    ' from; `*` for whatever is there. Another version is refused with 412.',
    r'^(\*|"[0-9]{1,9}(\.[a-z0-9-]+)?")$',
)  # fmt: skip
IF_NONE_MATCH = Header(
    "If-None-Match", "Entity tags of what the client has: answered 304, and nothing is counted."
)
IDEMPOTENCY_KEY = Header(
    "Idempotency-Key",
    "Any text of the client's own for one intent, such as a UUID. The same request with the"
    " same key is carried out once and answered the same for 24 hours at least, but for"
    " secrets, which are null then; another request with it is refused with 422.",
    r"^[\x21-\x7E]{1,200}$", 200,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Operation:
    """`needs` is what whoever asks must be permitted, of the institution whose `code` is in
    the path if it has one; None: anyone may ask.

    `answers` are the statuses of success with what they mean, the usual one first.

    `json_type` is what JSON is in a body that is read as octets; `replaced_by` the path
    of the operation that does the same and is to be preferred.

    `problems` are statuses of refusals that it has beside those that follow from its
    declaration.
    """

    id: str
    method: str
    path: str
    tag: str
    summary: str
    description: str
    needs: Permission | None
    handler: Callable[..., Any]
    path_type: type[msgspec.Struct] | None
    query_type: type[msgspec.Struct] | None
    body_type: Any
    value_type: Any
    answers: Mapping[int, str]
    problems: Sequence[int]
    headers: Sequence[Header]
    reads: Sequence[str]
    gives: Sequence[str]
    json_type: type[msgspec.Struct] | None = None
    replaced_by: str = ""

    @property
    def blocks(self) -> bool:
        return not inspect.iscoroutinefunction(self.handler)

    @property
    def is_file(self) -> bool:
        """Whether its body may be as long as a file of holdings."""
        return self.body_type is BinaryIO

    @property
    def is_json(self) -> bool:
        """Whether its body is read as JSON before it is carried out."""
        return self.body_type not in (None, bytes, BinaryIO)

    @property
    def is_idempotent(self) -> bool:
        """Whether it takes an Idempotency-Key."""
        return IDEMPOTENCY_KEY in self.headers

    @property
    def refusals(self) -> list[int]:
        """Every status below 500 with which it may refuse; a parameter that is unknown is 400."""
        found = {429, *self.problems}
        if not self.replaced_by or self.body_type is not None:
            found.add(400)
        if self.needs is not None:
            found |= {401, 403}
        if self.path_type is not None:
            found.add(404)
        if self.body_type is not None:
            found |= {413, 415}
            found |= {422} if self.is_json else set()
        if self.is_idempotent:
            found |= {409, 422}
        return sorted(found)


class Area:
    """Operations that belong together, in the order in which they were declared."""

    def __init__(self, tag: str, description: str, *, prefix: str = PREFIX) -> None:
        self.tag = tag
        self.description = description
        self.operations: list[Operation] = []
        self._prefix = prefix

    def get(self, path: str, **declared: Any) -> Callable[[_Handler], _Handler]:
        return self._operation("GET", path, **declared)

    def post(self, path: str, **declared: Any) -> Callable[[_Handler], _Handler]:
        """Every POST takes an Idempotency-Key."""
        headers = (*declared.pop("headers", ()), IDEMPOTENCY_KEY)
        return self._operation("POST", path, headers=headers, **declared)

    def put(self, path: str, **declared: Any) -> Callable[[_Handler], _Handler]:
        return self._operation("PUT", path, **declared)

    def delete(self, path: str, **declared: Any) -> Callable[[_Handler], _Handler]:
        return self._operation("DELETE", path, **declared)

    def _operation(
        self,
        method: str,
        path: str,
        *,
        needs: Permission | None,
        summary: str,
        answers: Mapping[int, str] | None = None,
        problems: Sequence[int] = (),
        headers: Sequence[Header] = (),
        reads: Sequence[str] = (JSON,),
        gives: Sequence[str] = (JSON,),
        takes: type[msgspec.Struct] | None = None,
        shows: type[msgspec.Struct] | None = None,
        asks: type[msgspec.Struct] | None = None,
    ) -> Callable[[_Handler], _Handler]:
        def declare(handler: _Handler) -> _Handler:
            hints = get_type_hints(handler)
            value = hints.pop("return")
            if get_origin(value) is Reply:
                (value,) = get_args(value)
            description = inspect.getdoc(handler) or ""
            self.operations.append(
                Operation(
                    id=_camel(handler.__name__), method=method, path=self._prefix + path,
                    tag=self.tag, summary=summary, description=description, needs=needs,
                    handler=handler, path_type=hints.get("path"),
                    query_type=asks or hints.get("query"),
                    body_type=hints.get("body"), value_type=shows or value, json_type=takes,
                    answers=answers or {200: "Done"}, problems=problems, headers=headers,
                    reads=reads, gives=gives,
                )
            )  # fmt: skip
            return handler

        return declare


def _camel(name: str) -> str:
    return re.sub(r"_([a-z0-9])", lambda found: found[1].upper(), name)

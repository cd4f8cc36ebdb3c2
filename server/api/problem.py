"""What the API refuses, as problem documents in English and Chinese.

Every refusal below `/api/` has this form, those too that no operation made: an
address where nothing is, a method that is not answered, a body that is too large.

Source: RFC 9457.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any

import msgspec
from aiohttp import hdrs, web
from multidict import CIMultiDict

from server.http.responses import NO_STORE

CONTENT_TYPE = "application/problem+json"
TYPE_PREFIX = "urn:lianmu:problem:"
PREFIX = "/api/"


class Kind(Enum):
    """A kind of problem: the end of its `type`, its status, and its title twice."""

    MALFORMED = ("malformed", 400, "The request cannot be read", "请求无法读取")
    PARAMETER = ("parameter", 400, "A parameter is not valid", "请求参数无效")
    SIGN_IN = ("sign-in", 401, "Sign in", "请先登录")
    RIGHT = ("right", 403, "A right is missing", "权限不足")
    CLOSED = ("closed", 403, "The membership or account is closed", "成员资格或账号已停用")
    SESSION_TOKEN = ("session-token", 403, "The session's token is wrong", "会话令牌不正确")
    NOT_OWN = ("not-own", 403, "It is another institution's", "只能由其创建者修改")
    FOREIGN = ("forbidden", 403, "Not allowed", "不允许访问")
    NOT_FOUND = ("not-found", 404, "There is nothing of that name", "未找到")
    METHOD = ("method", 405, "The method is not answered here", "不支持这种请求方式")
    NOT_ACCEPTABLE = ("not-acceptable", 406, "No form that was asked for", "无法提供所请求的格式")
    CONFLICT = ("conflict", 409, "The present state does not allow it", "当前状态不允许此操作")
    DUPLICATE = ("duplicate", 409, "The catalogue seems to have the record", "疑似重复记录")
    HELD = ("held", 409, "Other institutions hold the record", "其他成员馆有馆藏")
    KEY_IN_USE = (
        "idempotency-key-in-use", 409, "A request with this Idempotency-Key is being answered",
        "使用同一幂等键的请求正在处理",
    )  # fmt: skip
    STALE = ("stale", 412, "It has changed since", "内容已被修改")
    TOO_LARGE = ("too-large", 413, "The body is too large", "请求内容过大")
    ADDRESS_TOO_LONG = ("address-too-long", 414, "The address is too long", "地址过长")
    MEDIA_TYPE = ("media-type", 415, "The type of the body is not read here", "不支持这种内容类型")
    INVALID = ("invalid", 422, "The content is not valid", "内容无效")
    INVALID_RECORD = ("invalid-record", 422, "The record is not valid", "书目记录无效")
    KEY_REUSED = (
        "idempotency-key-reused", 422, "The Idempotency-Key was used for another request",
        "幂等键已用于另一请求",
    )  # fmt: skip
    VERSION_NEEDED = (
        "version-needed",
        428,
        "Name the version that is changed",
        "请指明所依据的版本",
    )
    TOO_MANY = ("too-many", 429, "Too many requests", "请求过于频繁，请稍后再试")
    FAILED = ("failed", 500, "Temporary system error", "系统出错，请稍后再试")
    UNAVAILABLE = ("unavailable", 503, "Not available at present", "系统暂时不可用，请稍后再试")

    def __init__(self, slug: str, status: int, title: str, title_zh: str) -> None:
        self.slug = slug
        self.status = status
        self.title = title
        self.title_zh = title_zh


# What a refusal that no operation made is, by its status.
_OF_STATUS: Mapping[int, Kind] = {
    400: Kind.MALFORMED,
    401: Kind.SIGN_IN,
    403: Kind.FOREIGN,
    404: Kind.NOT_FOUND,
    405: Kind.METHOD,
    413: Kind.TOO_LARGE,
    414: Kind.ADDRESS_TOO_LONG,
    415: Kind.MEDIA_TYPE,
    429: Kind.TOO_MANY,
    503: Kind.UNAVAILABLE,
}


class Finding(msgspec.Struct, frozen=True):
    """Where a record breaks a rule. `field` is such as `200 $a`; `severity`: error,
    missing (earns no credit) or warning."""

    rule: str
    severity: str
    field: str
    message: str
    message_zh: str


class Candidate(msgspec.Struct, frozen=True):
    """A record that may be the same publication; `score` is from 60 to 100."""

    control_number: str
    score: int
    is_certain: bool
    reasons: list[str]


class Named(msgspec.Struct, frozen=True):
    """A record by its database and control number."""

    database: str
    control_number: str


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why a request was refused (RFC 9457).

    `type` is stable; texts may change. `right` names the right that is missing,
    `findings` and `candidates` are those of a record that was refused, `records` those
    that may be meant, `version` is the number of the version that the record has now.
    """

    type: str
    title: str
    title_zh: str
    status: int
    detail: str
    detail_zh: str
    right: str = ""
    findings: list[Finding] = []
    candidates: list[Candidate] = []
    records: list[Named] = []
    control_number: str = ""
    version: int = 0


class Refusal(Exception):  # noqa: N818 - an answer on its way, not a failure
    """Ends an operation with a problem; what it did is undone by who raises it."""

    def __init__(
        self,
        kind: Kind,
        detail: str,
        detail_zh: str = "",
        *,
        headers: Mapping[str, str] | None = None,
        **extension: Any,
    ) -> None:
        super().__init__(detail)
        self.kind = kind
        self.headers = headers
        self.problem = Problem(
            TYPE_PREFIX + kind.slug, kind.title, kind.title_zh, kind.status,
            detail, detail_zh or kind.title_zh, **extension,
        )  # fmt: skip

    def response(self) -> web.Response:
        headers = CIMultiDict({hdrs.CACHE_CONTROL: NO_STORE})
        headers.extend(self.headers or {})
        return web.Response(
            body=msgspec.json.encode(self.problem), status=self.kind.status,
            content_type=CONTENT_TYPE, headers=headers,
        )  # fmt: skip


def refusal_of_status(
    status: int, detail: str, headers: Mapping[str, str] | None = None
) -> web.Response:
    """The same for what was refused before any operation was reached."""
    kind = _OF_STATUS.get(status)
    if kind is None:
        kind = Kind.FAILED if status >= 500 else Kind.MALFORMED
    response = Refusal(kind, detail, headers=headers).response()
    if response.status != status:  # a status of aiohttp's that is none of ours
        response.set_status(status)
    return response


def both(text: str) -> tuple[str, str]:
    """English and Chinese of a text that has both with ` / ` between, as diagnostics do."""
    english, found, chinese = text.rpartition(" / ")
    return (english, chinese) if found else (text, "")

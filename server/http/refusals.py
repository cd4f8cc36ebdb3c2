"""Refusals outside of what a protocol says: for a person a page, for an SRU client
its diagnostic, for any other program a problem document (RFC 9457)."""

from __future__ import annotations

import http
from collections.abc import Mapping
from functools import cache
from importlib import resources

import jinja2
import msgspec
from aiohttp import hdrs, web
from multidict import CIMultiDict

from protocol.diagnostic import SruDiagnostic, SruFault
from protocol.sru import RefusedRequest
from protocol.sru_response import refusal_response
from protocol.sru_version import V1_2, V2_0, VERSIONS
from server.api.problem import PREFIX, refusal_of_status
from server.http.responses import NO_STORE
from server.http.sign_in import wants_html

# What a page says above the reason. Nobody knows the reader's language where a
# request is refused before its cookies are read, so it says it twice.
_CHINESE: Mapping[int, str] = {
    400: "请求有误",
    401: "请先登录",
    403: "不允许访问",
    404: "没有这个页面",
    405: "不支持这种请求方式",
    413: "请求的内容过大",
    414: "地址过长",
    415: "不支持这种内容类型",
    429: "请求过于频繁，请稍后再试",
    500: "系统出错，请稍后再试",
    503: "系统暂时不可用，请稍后再试",
}

# The routes that answer SRU, as they are added to the application.
SRU_ROUTES = frozenset({"/", "/{database}"})

PAGE_HEADERS: Mapping[str, str] = {
    hdrs.CACHE_CONTROL: NO_STORE,
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src data:",
    "Referrer-Policy": "no-referrer",
}

_CONDITIONS = {
    401: SruDiagnostic.AUTHENTICATION_ERROR,
    403: SruDiagnostic.AUTHENTICATION_ERROR,
    405: SruDiagnostic.UNSUPPORTED_OPERATION,
    429: SruDiagnostic.SYSTEM_TEMPORARILY_UNAVAILABLE,
    500: SruDiagnostic.GENERAL_SYSTEM_ERROR,
    503: SruDiagnostic.SYSTEM_TEMPORARILY_UNAVAILABLE,
}


def refuse(
    request: web.Request, status: int, detail: str, headers: Mapping[str, str] | None = None
) -> web.Response:
    """The response of `status` that this client can read; `detail` says why, in a sentence."""
    if request.path.startswith(PREFIX):
        return refusal_of_status(status, detail, headers)
    if wants_html(request):
        return page(status, detail, headers)
    resource = request.match_info.route.resource
    if resource is not None and resource.canonical in SRU_ROUTES:
        return web.Response(
            body=_sru_body(request, status, detail), status=status, content_type="application/xml",
            charset="utf-8", headers=_merged({hdrs.CACHE_CONTROL: NO_STORE}, headers),
        )  # fmt: skip
    return problem(status, detail, headers)


def problem(status: int, detail: str, headers: Mapping[str, str] | None = None) -> web.Response:
    """A problem document for programs."""
    title = http.HTTPStatus(status).phrase
    return web.Response(
        body=msgspec.json.encode({"title": title, "status": status, "detail": detail}),
        status=status, content_type="application/problem+json",
        headers=_merged({hdrs.CACHE_CONTROL: NO_STORE}, headers),
    )  # fmt: skip


def page(status: int, detail: str, headers: Mapping[str, str] | None = None) -> web.Response:
    """The same for people."""
    title = http.HTTPStatus(status).phrase
    return web.Response(
        text=_template().render(
            title=title, title_zh=_CHINESE.get(status, ""), status=status, detail=detail
        ),
        status=status, content_type="text/html", headers=_merged(PAGE_HEADERS, headers),
    )  # fmt: skip


@cache
def _template() -> jinja2.Template:
    source = resources.files("server").joinpath("pages", "refusal.html").read_text("utf-8")
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    return environment.from_string(source)


def _sru_body(request: web.Request, status: int, detail: str) -> bytes:
    """A response in the version and form of the request, as far as it can be told.

    An explain response would need the explain record, which is not made for a
    request that is refused; so explain is answered in the form of a search.
    """
    query = request.query
    named = VERSIONS.get(query.get("version", ""))
    implied = V2_0 if "query" in query and "operation" not in query else V1_2
    is_scan = query.get("operation") == "scan" or (
        "operation" not in query and "scanClause" in query
    )
    condition = _CONDITIONS.get(status, SruDiagnostic.UNSUPPORTED_PARAMETER_VALUE)
    return refusal_response(
        RefusedRequest(
            version=named or implied,
            operation="scan" if is_scan else "searchRetrieve",
            faults=(SruFault(condition, detail),),
        )
    )


def _merged(ours: Mapping[str, str], given: Mapping[str, str] | None) -> CIMultiDict[str]:
    headers = CIMultiDict(ours)
    headers.extend(given or {})
    return headers

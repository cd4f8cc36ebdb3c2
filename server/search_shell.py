"""What all pages for a browser share: who asks, in which language, and how pages look."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from importlib import resources
from typing import Any
from urllib.parse import urlencode

import jinja2
from aiohttp import hdrs, web

from protocol.diagnostic import Bib1, Diagnostic
from server.access import Principal
from server.config import Config
from server.libraries import library
from server.log import Log
from server.permissions import Operation, refusal, to_bib1
from server.search_texts import LANGUAGES, Texts, preferred_language, texts
from server.service import Service
from server.sign_in import remember
from server.web_session import WebSession, WebSessions
from store.members import MemberError

LANGUAGE_COOKIE = "lianmu_language"
_YEAR_S = 365 * 24 * 3600
# Names that stand for every database in an address.
ALL_NAMES = frozenset(("", "sru", "default", "all"))

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

log = Log("lianmu.web")

HEADERS: Mapping[str, str] = {
    hdrs.CACHE_CONTROL: "no-store",
    hdrs.VARY: "Accept, Accept-Language, Cookie",
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src data:;"
    " form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
}


@dataclass(frozen=True, slots=True)
class Visit:
    """Who asks for a page and in which language. A diagnostic: may not come in."""

    texts: Texts
    session: WebSession | None
    principal: Principal | Diagnostic


PageHandler = Callable[[web.Request, Visit], Awaitable[web.StreamResponse]]


class Shell:
    """Makes pages of one worker out of templates and texts."""

    def __init__(self, config: Config, service: Service) -> None:
        self.config = config
        self.service = service
        self.sessions = WebSessions(config.data_dir)
        self._templates = jinja2.Environment(
            loader=jinja2.PackageLoader("server", "pages"),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._templates.filters["yuan"] = lambda fen: f"{fen // 100:,}.{fen % 100:02d}"
        self._templates.filters["grouped"] = lambda number: f"{number:,}"
        self._style = resources.files("server").joinpath("pages", "search.css").read_bytes()
        self.style_path = f"/-/{sha256(self._style).hexdigest()[:12]}.css"

    def page(self, handler: PageHandler) -> Handler:
        async def respond(request: web.Request) -> web.StreamResponse:
            chosen = request.query.get("lang")
            if chosen in LANGUAGES and request.method == "GET":
                return self._choose_language(request, chosen)
            visit = self._visit(request)
            try:
                return await handler(request, visit)
            except web.HTTPException:
                raise
            except Exception:
                log.exception("page failed", path=request.path)
                self.service.sessions.counters.failures += 1
                return self.problem(request, visit, 500, visit.texts("system_error"))

        return respond

    def _choose_language(self, request: web.Request, language: str) -> web.StreamResponse:
        rest = [(name, value) for name, value in request.query.items() if name != "lang"]
        target = request.rel_url.raw_path + (f"?{urlencode(rest)}" if rest else "")
        response = redirect(target)
        response.set_cookie(
            LANGUAGE_COOKIE, language, max_age=_YEAR_S, path="/", httponly=True, samesite="Lax",
            secure=self.is_secure(request),
        )  # fmt: skip
        return response

    def is_secure(self, request: web.Request) -> bool:
        return request.secure or self.config.http.public_url.startswith("https:")

    def _visit(self, request: web.Request) -> Visit:
        language = request.cookies.get(LANGUAGE_COOKIE, "")
        if language not in LANGUAGES:
            language = preferred_language(request.headers.get(hdrs.ACCEPT_LANGUAGE, ""))
        session = self.sessions.read(request)
        sign_in = self.service.sign_in
        address = request.remote or ""
        principal: Principal | Diagnostic = sign_in.without_login(address)
        if session is not None and session.account:
            try:
                if sign_in.members.account(session.account) is None:
                    session = None  # the account is gone, and the session with it
                else:
                    principal = sign_in.certified(session.account, address)
            except MemberError:
                log.exception("members cannot be read")
                principal = Diagnostic(Bib1.AUTHENTICATION_SYSTEM_ERROR)
        if session is not None and session.account and isinstance(principal, Principal):
            remember(request, principal)  # for the access log
            refused = refusal(principal, Operation.SEARCH)
            principal = to_bib1(refused) if refused is not None else principal
        return Visit(texts(language), session, principal)

    def render(
        self,
        request: web.Request,
        visit: Visit,
        template: str,
        values: Mapping[str, Any],
        status: int = 200,
    ) -> web.Response:
        session = visit.session
        principal = visit.principal if isinstance(visit.principal, Principal) else None
        query = [(name, each) for name, each in request.query.items() if name != "lang"]
        other = visit.texts("other_language_code")
        here = request.rel_url.raw_path if request.method in ("GET", "HEAD") else "/"
        page = self._templates.get_template(template).render(
            t=visit.texts,
            style=self.style_path,
            principal=principal,
            signed_in=session.account if session else "",
            form_token=self.sessions.form_token(session) if session else "",
            other_language_url=f"{here}?{urlencode([*query, ('lang', other)])}",
            sign_in_url=sign_in_url(request),
            **values,
        )
        return web.Response(text=page, content_type="text/html", status=status, headers=HEADERS)

    def problem(
        self, request: web.Request, visit: Visit, status: int, message: str
    ) -> web.Response:
        return self.render(request, visit, "problem.html", {"message": message}, status)

    async def stylesheet(self, _: web.Request) -> web.Response:
        # The name changes with the content, so it may be kept for good.
        return web.Response(
            body=self._style, content_type="text/css", charset="utf-8",
            headers={hdrs.CACHE_CONTROL: f"public, max-age={_YEAR_S}, immutable"},
        )  # fmt: skip

    def library_name(self, code: str) -> str:
        """What a library is called, by its code in whatever case."""
        return library(self.service, code).name


def redirect(target: str) -> web.Response:
    return web.Response(status=303, headers={**HEADERS, hdrs.LOCATION: target})


def sign_in_url(request: web.Request) -> str:
    if request.method != "GET" or request.path.startswith("/-/"):
        return "/-/sign-in"
    return f"/-/sign-in?{urlencode({'next': request.rel_url.raw_path_qs})}"

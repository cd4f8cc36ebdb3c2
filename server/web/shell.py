"""What all pages for a browser share: who asks, in which language, and how pages look.

`docs/pages.md` tells how a page is added.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

import jinja2
from aiohttp import hdrs, web

from protocol.diagnostic import Bib1, Diagnostic
from server.access_control.access import Principal
from server.access_control.permissions import Operation, refusal, to_bib1
from server.config import Config
from server.http.sign_in import remember, sign_in
from server.libraries import library
from server.log import Log
from server.service import Service
from server.web.assets import assets
from server.web.filters import FILTERS
from server.web.forms import Form, FormUnreadableError, form_faults
from server.web.navigation import May, is_allowed, links
from server.web.session import Flash, WebSession, WebSessions
from server.web.texts import LANGUAGES, Texts, preferred_language, texts
from store.audit import Origin
from store.members import MemberError
from store.web_sessions import session_mark

LANGUAGE_COOKIE = "lianmu_language"
_YEAR_S = 365 * 24 * 3600
# Names that stand for every database in an address.
ALL_NAMES = frozenset(("", "sru", "default", "all"))

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

log = Log("lianmu.web")

_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self' data:;"
    " form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS: Mapping[str, str] = {
    hdrs.CACHE_CONTROL: "no-store",
    hdrs.VARY: "Accept, Accept-Language, Cookie",
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
}
# For the pages alone that have a script.
SCRIPT_HEADERS: Mapping[str, str] = {
    **HEADERS,
    "Content-Security-Policy": f"{_POLICY}; script-src 'self'; connect-src 'self'",
}


# What a page with charts loads; further scripts of its own come after.
CHART_SCRIPTS = ("uPlot.min.js", "chart.js")


class FormExpiredError(Exception):
    """A form came from no page of this session."""


@dataclass(frozen=True, slots=True)
class Visit:
    """Who asks for a page and in which language. A diagnostic: may not come in.

    `ended`: the browser had a session that is over because of its account.
    """

    request: web.Request
    sessions: WebSessions
    texts: Texts
    session: WebSession | None
    principal: Principal | Diagnostic
    ended: bool = False

    async def form(self) -> Form:
        """The fields of the form that was sent, once its token was found to be of this session.

        Raises:
            FormExpiredError: it is not.
            FormUnreadableError: what was sent is no form.
        """
        with form_faults():
            fields = await self.request.post()
        if not self.sessions.is_form_token(self.session, fields.get("token")):
            raise FormExpiredError
        return fields

    @property
    def is_signed_in(self) -> bool:
        return self.session is not None and bool(self.session.account)

    @property
    def who(self) -> Principal:
        """The principal of a page that is served to nobody else."""
        assert isinstance(self.principal, Principal)  # noqa: S101 - the shell has seen to it
        return self.principal

    @property
    def origin(self) -> Origin:
        """From where a change comes that a page makes, for the audit."""
        return Origin("web", self.who.account, self.request.remote or "")


PageHandler = Callable[[web.Request, Visit], Awaitable[web.StreamResponse]]
FormHandler = Callable[[web.Request, Visit, Form], Awaitable[web.StreamResponse]]


class Shell:
    """Makes pages of one worker out of templates and texts."""

    def __init__(self, config: Config, service: Service) -> None:
        self.config = config
        self.service = service
        self.sessions = WebSessions(
            config.data_dir, idle_s=config.http.session_idle_s, max_s=config.http.session_max_s
        )
        self.assets = assets()
        self._served: set[str] = set()
        self._templates = jinja2.Environment(
            loader=jinja2.PackageLoader("server", "pages"),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._templates.filters.update(FILTERS)

    # Routes

    def get(
        self, app: web.Application, path: str, handler: PageHandler, may: May | None = None
    ) -> None:
        """Serve a page at `path`, where `may` says so to those who may see it alone."""
        app.router.add_get(path, self.page(handler, may))
        self._served.add(path)

    def post(
        self, app: web.Application, path: str, handler: FormHandler, may: May | None = None
    ) -> None:
        """Take a form at `path`, of pages of the same session alone.

        To be answered with `see_other`, or with the form again where it is wrong.
        """

        async def respond(request: web.Request, visit: Visit) -> web.StreamResponse:
            return await handler(request, visit, await visit.form())

        app.router.add_post(path, self.page(respond, may))

    def page(self, handler: PageHandler, may: May | None = None) -> Handler:
        """`handler` with all that surrounds it; `may`: for whom alone it is.

        Without `may` it is a page of the catalogue, where a diagnostic stands for
        the principal that may not search.
        """

        async def respond(request: web.Request) -> web.StreamResponse:
            chosen = request.query.get("lang")
            if chosen in LANGUAGES and request.method == "GET":
                return self._choose_language(request, chosen)
            visit = await self._visit(request)
            if may is None and isinstance(visit.principal, Principal) and visit.is_signed_in:
                unsearching = refusal(visit.principal, Operation.SEARCH)
                if unsearching is not None:
                    visit = replace(visit, principal=to_bib1(unsearching))
            try:
                refused = self._refused(request, visit, may) if may is not None else None
                response = refused or await handler(request, visit)
            except (web.HTTPException, ConnectionError):
                raise  # of the latter the client knows already
            except FormExpiredError:
                response = self.problem(request, visit, 403, visit.texts("form_expired"))
            except FormUnreadableError as error:
                log.info("form not readable", path=request.path, reason=str(error))
                response = self.problem(request, visit, 400, visit.texts("form_unreadable"))
            except Exception:
                log.exception("page failed", path=request.path)
                self.service.sessions.counters.failures += 1
                return self.problem(request, visit, 500, visit.texts("system_error"))
            if visit.session is not None:
                self.sessions.keep(response, visit.session, secure=self.is_secure(request))
            return response

        return respond

    def _refused(self, request: web.Request, visit: Visit, may: May) -> web.Response | None:
        """What somebody gets who may not see a page; None: they may."""
        if isinstance(visit.principal, Diagnostic):
            return self.ask(request, visit, visit.principal)
        if is_allowed(visit.principal, may):
            return None
        if visit.principal.anonymous:
            return self.sign_in_form(request, visit, _ask_text(visit), _here(request), status=403)
        refused = refusal(visit.principal, may) if isinstance(may, Operation) else None
        if refused is None:
            return self.problem(request, visit, 403, visit.texts("not_for_you"))
        told = refused.english if visit.texts.language == "en" else refused.chinese
        return self.problem(request, visit, 403, told)

    # Who asks

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

    async def _visit(self, request: web.Request) -> Visit:
        language = request.cookies.get(LANGUAGE_COOKIE, "")
        if language not in LANGUAGES:
            language = preferred_language(request.headers.get(hdrs.ACCEPT_LANGUAGE, ""))
        session = self.sessions.read(request)
        address = request.remote or ""
        if session is not None and session.account:
            principal = self._principal(session, address)
            ended = principal is None
            if principal is None:
                session, principal = None, self.service.sign_in.without_login(address)
        else:
            # Programs that read a page send a password or a key with it. Forms need a session.
            principal, ended = await sign_in(self.service, request), False
        if isinstance(principal, Principal) and not principal.anonymous:
            remember(request, principal)  # for the access log
        return Visit(request, self.sessions, texts(language), session, principal, ended)

    def _principal(self, session: WebSession, address: str) -> Principal | Diagnostic | None:
        """Whose session it is, or why they may not come in; None: the session is over."""
        accounts = self.service.sign_in
        try:
            mark = session_mark(accounts.members, session.account)
            if mark is None:
                return None
            principal = accounts.certified(session.account, address)
        except MemberError:
            log.exception("members cannot be read")
            return Diagnostic(Bib1.AUTHENTICATION_SYSTEM_ERROR)
        if isinstance(principal, Principal) and not self.sessions.is_of(session, mark):
            return None
        return principal

    def standing(self, request: web.Request, visit: Visit) -> Principal | None:
        """Who a visitor is by now, in a long answer; None: nobody that may come in.

        A session that the browser uses meanwhile is another cookie, which this
        request does not have: it asks again with that.
        """
        if visit.session is not None and visit.session.account:
            if self.sessions.read(request) is None:
                return None
            principal = self._principal(visit.session, request.remote or "")
            return principal if isinstance(principal, Principal) else None
        if not isinstance(visit.principal, Principal):
            return None
        refused = self.service.sign_in.standing(visit.principal, request.remote or "")
        return visit.principal if refused is None else None

    def begin_session(
        self, request: web.Request, response: web.StreamResponse, account: str
    ) -> WebSession:
        """Sign the browser in with `account`, in a session of its own.

        To be called too when people change their own password, which ends every
        session of theirs but the one that begins here.
        """
        mark = session_mark(self.service.sign_in.members, account) or ""
        session = self.sessions.begin(account, mark)
        self.sessions.write(response, session, secure=self.is_secure(request))
        return session

    # Answers

    def render(
        self,
        request: web.Request,
        visit: Visit,
        template: str,
        values: Mapping[str, Any],
        status: int = 200,
        *,
        scripts: Sequence[str] = (),
    ) -> web.Response:
        """A page; `scripts` names files of `pages/assets` and `pages/vendor` that it loads."""
        session = visit.session
        principal = visit.principal if isinstance(visit.principal, Principal) else None
        query = [(name, each) for name, each in request.query.items() if name != "lang"]
        other = visit.texts("other_language_code")
        here = request.rel_url.raw_path if request.method in ("GET", "HEAD") else "/"
        flash = self.sessions.read_flash(request, session)
        page = self._templates.get_template(template).render(
            t=visit.texts,
            asset=self.assets.address,
            scripts=scripts,
            principal=principal,
            navigation=links(principal, request.path, self._served, visit.texts),
            signed_in=session.account if session else "",
            form_token=self.sessions.form_token(session) if session else "",
            other_language_url=f"{here}?{urlencode([*query, ('lang', other)])}",
            sign_in_url=sign_in_url(request),
            flash=flash,
            **values,
        )
        headers = SCRIPT_HEADERS if scripts else HEADERS
        response = web.Response(text=page, content_type="text/html", status=status, headers=headers)
        if flash is not None:
            self.sessions.end_flash(response)
        return response

    def fragment(self, language: Texts, template: str, values: Mapping[str, Any]) -> str:
        """A part of a page by itself, which its script puts in the place of the former."""
        return self._templates.get_template(template).render(t=language, form_token="", **values)

    def problem(
        self, request: web.Request, visit: Visit, status: int, message: str
    ) -> web.Response:
        return self.render(request, visit, "problem.html", {"message": message}, status)

    def see_other(
        self,
        request: web.Request,
        visit: Visit,
        target: str,
        key: str = "",
        *,
        is_wrong: bool = False,
        **values: str | int,
    ) -> web.Response:
        """Lead to `target`, an address of ours, after a form was taken.

        The page there says the text `key`, with `values` in its blanks.
        """
        response = redirect(target)
        if key and visit.session is not None:
            visit.texts(key, **values)  # a text that is missing shows here, not there
            flash = Flash(visit.session.nonce, key, values, is_wrong)
            self.sessions.write_flash(response, flash, secure=self.is_secure(request))
        return response

    def ask(self, request: web.Request, visit: Visit, refusal: Diagnostic) -> web.Response:
        """The sign-in form in the place of a page that needs an account."""
        signed_in = visit.session is not None and visit.session.account
        message = refusal_text(refusal) if signed_in else _ask_text(visit)
        return self.sign_in_form(request, visit, message, _here(request), status=403)

    def sign_in_form(
        self,
        request: web.Request,
        visit: Visit,
        message: str,
        target: str,
        *,
        name: str = "",
        status: int = 200,
    ) -> web.Response:
        """The form that leads to `target`; `message` is the key of a text, or ""."""
        session = visit.session or self.sessions.begin()
        values = {
            "message": visit.texts(message) if message else "",
            "is_wrong": message not in ("", "sign_in_needed", "session_ended"),
            "target": target,
            "name": name,
        }
        response = self.render(
            request, replace(visit, session=session), "sign_in.html", values, status
        )
        if visit.session is None:
            self.sessions.write(response, session, secure=self.is_secure(request))
        return response

    def library_name(self, code: str) -> str:
        """What a library is called, by its code in whatever case."""
        return library(self.service, code).name

    def close(self) -> None:
        self.sessions.close()


def redirect(target: str) -> web.Response:
    return web.Response(status=303, headers={**HEADERS, hdrs.LOCATION: target})


def sign_in_url(request: web.Request) -> str:
    if request.method != "GET" or request.path == "/-/sign-in":
        return "/-/sign-in"
    return f"/-/sign-in?{urlencode({'next': request.rel_url.raw_path_qs})}"


def refusal_text(refusal: Diagnostic) -> str:
    """The key of the text that says why an account may not come in."""
    return {
        Bib1.BAD_USER_ID_OR_PASSWORD: "sign_in_failed",
        Bib1.BAD_USER_ID: "sign_in_failed",
        Bib1.TEMPORARILY_UNAVAILABLE: "sign_in_paused",
        Bib1.ACCOUNT_EXPIRED: "sign_in_expired",
        Bib1.BLOCKED_NETWORK_ADDRESS: "sign_in_address",
    }.get(refusal.condition, "sign_in_error")


def _ask_text(visit: Visit) -> str:
    return "session_ended" if visit.ended else "sign_in_needed"


def _here(request: web.Request) -> str:
    return request.rel_url.raw_path_qs if request.method == "GET" else "/"

"""Signing in to the pages with the password of an account, and out again."""

from __future__ import annotations

from urllib.parse import quote

from aiohttp import web

from protocol.diagnostic import Bib1, Diagnostic
from server.log import Log
from server.web.shell import Shell, Visit, redirect

log = Log("lianmu.web")


class SignInPages:
    """The sign-in form and what it posts to."""

    def __init__(self, shell: Shell) -> None:
        self._shell = shell

    def add_routes(self, app: web.Application) -> None:
        app.router.add_get("/-/sign-in", self._shell.page(self._form))
        app.router.add_post("/-/sign-in", self._shell.page(self._sign_in))
        app.router.add_post("/-/sign-out", self._shell.page(self._sign_out))

    def ask(self, request: web.Request, visit: Visit, refusal: Diagnostic) -> web.Response:
        """The sign-in form in the place of a page that needs an account."""
        signed_in = visit.session is not None and visit.session.account
        message = _message(refusal) if signed_in else "sign_in_needed"
        target = request.rel_url.raw_path_qs if request.method == "GET" else "/"
        return self._show(request, visit, message, target, status=403)

    async def _form(self, request: web.Request, visit: Visit) -> web.StreamResponse:
        target = _inside(request.query.get("next", ""))
        if visit.session is not None and visit.session.account:
            return redirect(target)
        return self._show(request, visit, "", target)

    def _show(
        self,
        request: web.Request,
        visit: Visit,
        message: str,
        target: str,
        *,
        name: str = "",
        status: int = 200,
    ) -> web.Response:
        session = visit.session or self._shell.sessions.begin()
        values = {
            "message": visit.texts(message) if message else "",
            "is_wrong": message not in ("", "sign_in_needed"),
            "target": target,
            "name": name,
        }
        response = self._shell.render(
            request, Visit(visit.texts, session, visit.principal), "sign_in.html", values, status
        )
        if visit.session is None:
            self._shell.sessions.write(response, session, secure=self._shell.is_secure(request))
        return response

    async def _sign_in(self, request: web.Request, visit: Visit) -> web.StreamResponse:
        form = await request.post()
        name, password = str(form.get("account", "")), str(form.get("password", ""))
        target = _inside(str(form.get("next", "")))
        if not self._shell.sessions.is_form_token(visit.session, form.get("token")):
            return self._show(request, visit, "form_expired", target, name=name, status=403)
        principal = await self._shell.service.sign_in.sign_in(name, password, request.remote or "")
        if isinstance(principal, Diagnostic):
            message = _message(principal)
            return self._show(request, visit, message, target, name=name, status=403)
        response = redirect(target)
        session = self._shell.sessions.begin(principal.account)
        self._shell.sessions.write(response, session, secure=self._shell.is_secure(request))
        log.info("signed in", account=principal.account, address=request.remote or "")
        return response

    async def _sign_out(self, request: web.Request, visit: Visit) -> web.StreamResponse:
        form = await request.post()
        response = redirect("/")
        if self._shell.sessions.is_form_token(visit.session, form.get("token")):
            self._shell.sessions.end(response)
        return response


def _inside(target: str) -> str:
    """`target` if it is an address of this server, else the start page."""
    if target.startswith("/") and target[1:2] not in ("/", "\\") and target.isprintable():
        return quote(target, safe="/?&=%+:;,@!$'()*~-._")
    return "/"


def _message(refusal: Diagnostic) -> str:
    """The key of the text that says why an account may not come in."""
    return {
        Bib1.BAD_USER_ID_OR_PASSWORD: "sign_in_failed",
        Bib1.BAD_USER_ID: "sign_in_failed",
        Bib1.TEMPORARILY_UNAVAILABLE: "sign_in_paused",
        Bib1.ACCOUNT_EXPIRED: "sign_in_expired",
    }.get(refusal.condition, "sign_in_error")

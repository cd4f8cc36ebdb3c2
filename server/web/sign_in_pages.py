"""Signing in to the pages with the password of an account, and out again."""

from __future__ import annotations

import asyncio
from urllib.parse import quote

from aiohttp import web

from protocol.diagnostic import Diagnostic
from server.log import Log
from server.web.forms import Form, form_faults
from server.web.shell import FormExpiredError, Shell, Visit, redirect, refusal_text

log = Log("lianmu.web")


class SignInPages:
    """The sign-in form and what it posts to."""

    def __init__(self, shell: Shell) -> None:
        self._shell = shell

    def add_routes(self, app: web.Application) -> None:
        self._shell.get(app, "/-/sign-in", self._form)
        app.router.add_post("/-/sign-in", self._shell.page(self._sign_in))
        app.router.add_post("/-/sign-out", self._shell.page(self._sign_out))

    async def _form(self, request: web.Request, visit: Visit) -> web.StreamResponse:
        target = _inside(request.query.get("next", ""))
        if visit.session is not None and visit.session.account:
            return redirect(target)
        return self._shell.sign_in_form(request, visit, "", target)

    async def _sign_in(self, request: web.Request, visit: Visit) -> web.StreamResponse:
        with form_faults():
            fields = await request.post()
        name, password = _typed(fields, "account"), _typed(fields, "password")
        target = _inside(_typed(fields, "next"))
        try:
            await visit.form()
        except FormExpiredError:
            return self._shell.sign_in_form(
                request, visit, "form_expired", target, name=name, status=403
            )
        principal = await self._shell.service.sign_in.sign_in(name, password, request.remote or "")
        if isinstance(principal, Diagnostic):
            return self._shell.sign_in_form(
                request, visit, refusal_text(principal), target, name=name, status=403
            )
        response = redirect(target)
        self._shell.begin_session(request, response, principal.account)
        log.info("signed in", account=principal.account, address=request.remote or "")
        return response

    async def _sign_out(self, _: web.Request, visit: Visit) -> web.StreamResponse:
        response = redirect("/")
        try:
            await visit.form()
        except FormExpiredError:
            return response
        await asyncio.to_thread(self._shell.sessions.end, response, visit.session)
        return response


def _typed(form: Form, name: str) -> str:
    """A field as it was typed, "" where it is a file or there is none."""
    value = form.get(name, "")
    return value if isinstance(value, str) else ""


def _inside(target: str) -> str:
    """`target` if it is an address of this server, else the start page."""
    if target.startswith("/") and target[1:2] not in ("/", "\\") and target.isprintable():
        return quote(target, safe="/?&=%+:;,@!$'()*~-._")
    return "/"

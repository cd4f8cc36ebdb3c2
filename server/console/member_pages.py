"""Pages of members: the list, one in full, and what an operator does to a membership."""

from __future__ import annotations

import asyncio
from contextlib import closing
from dataclasses import dataclass
from datetime import date
from typing import Any
from urllib.parse import quote, urlencode

from aiohttp import web

from metering.kept_totals import KeptTotals
from server.access_control.permissions import Operation
from server.config import Config
from server.console.base import now_us, number_in, year_in
from server.console.members import (
    MEMBERS_A_PAGE,
    SORTS,
    STATES,
    Asked,
    Member,
    list_members,
    read_member,
)
from server.web.forms import Form, text_of
from server.web.navigation import CONSOLE, operator_may
from server.web.paging import Pager
from server.web.shell import Shell, Visit
from store.audit import Origin
from store.members import Institution, MemberError, Members
from store.membership import Membership

MEMBERS = f"{CONSOLE}/members"
_STEP = "{step:warn|suspend|restore|end}"
_WORDS_CHARS_MAX = 100


def member_path(code: str) -> str:
    """The address of a member's page."""
    return f"{MEMBERS}/{quote(code, safe='')}"


@dataclass(frozen=True, slots=True)
class Heading:
    """The head of a column that the list can be sorted by; `sorted_by` is what aria-sort says."""

    name: str
    url: str
    sorted_by: str


class MemberPages:
    def __init__(self, shell: Shell, kept: KeptTotals) -> None:
        self._shell = shell
        self._config = shell.config
        self._kept = kept

    def add_routes(self, app: web.Application) -> None:
        may_read = operator_may(Operation.MEMBERS_READ)
        may_step = operator_may(Operation.MEMBERS_STEP)
        self._shell.get(app, MEMBERS, self._list, may_read)
        self._shell.get(app, f"{MEMBERS}/{{code}}", self._member, may_read)
        self._shell.get(app, f"{MEMBERS}/{{code}}/{_STEP}", self._ask, may_step)
        self._shell.post(app, f"{MEMBERS}/{{code}}/{_STEP}", self._step, may_step)

    async def _list(self, request: web.Request, visit: Visit) -> web.StreamResponse:
        query = request.query
        asked = Asked(
            words=query.get("q", "")[:_WORDS_CHARS_MAX],
            state=query.get("state", "") if query.get("state") in STATES else "",
            sort=query.get("sort", "code") if query.get("sort") in SORTS else "code",
            descending=query.get("order") == "down",
            page=number_in(query, "page", 1),
        )
        year = year_in(request)
        found = await asyncio.to_thread(
            list_members, self._config, self._kept, asked, year, now_us()
        )
        kept = {"q": asked.words, "state": asked.state, "year": query.get("year", "")}
        values = {
            "asked": asked,
            "found": found,
            "year": year,
            "years": range(year_in(request, None), year - 5, -1),
            "states": STATES,
            "headings": {
                name: _heading(name, asked, {key: each for key, each in kept.items() if each})
                for name in SORTS
            },
            "pager": Pager.of(request, found.count, MEMBERS_A_PAGE),
            "member_path": member_path,
        }
        return self._shell.render(request, visit, "console/members.html", values)

    async def _read(self, request: web.Request, visit: Visit) -> Member | web.Response:
        code, year = request.match_info["code"], year_in(request)
        member = await asyncio.to_thread(read_member, self._config, code, year, now_us())
        if member is None:
            return self._shell.problem(
                request, visit, 404, visit.texts("console.no_member", code=code)
            )
        return member

    async def _member(self, request: web.Request, visit: Visit) -> web.StreamResponse:
        member = await self._read(request, visit)
        if isinstance(member, web.Response):
            return member
        values = {
            "member": member,
            "path": member_path(member.institution.code),
            "may_step": operator_may(Operation.MEMBERS_STEP)(visit.who),
            "may_ledger": operator_may(Operation.LEDGER_READ)(visit.who),
            "may_audit": operator_may(Operation.AUDIT_READ_ALL)(visit.who),
            "audit_url": f"{CONSOLE}/audit?{urlencode({'member': member.institution.code})}",
            "now_us": now_us(),
        }
        return self._shell.render(request, visit, "console/member.html", values)

    # What is done to a membership

    async def _ask(self, request: web.Request, visit: Visit) -> web.StreamResponse:
        return await self._form(request, visit, {}, {})

    async def _form(
        self,
        request: web.Request,
        visit: Visit,
        given: dict[str, str],
        errors: dict[str, str],
        status: int = 200,
    ) -> web.StreamResponse:
        """The page that says what a step does, and asks for the reason."""
        member = await self._read(request, visit)
        if isinstance(member, web.Response):
            return member
        step = request.match_info["step"]
        if step not in member.actions and not errors:
            errors = {
                "step": visit.texts(
                    "console.step_not_now",
                    state=visit.texts.name("console_state", member.institution.status),
                )
            }
            status = 409
        values: dict[str, Any] = {
            "member": member,
            "step": step,
            "path": member_path(member.institution.code),
            "given": {"reason": "", "when": "", "day": "", **given},
            "errors": errors,
            "is_possible": step in member.actions,
        }
        return self._shell.render(request, visit, "console/step.html", values, status)

    async def _step(self, request: web.Request, visit: Visit, form: Form) -> web.StreamResponse:
        step, code = request.match_info["step"], request.match_info["code"]
        given = {name: text_of(form, name) for name in ("reason", "when", "day")}
        errors = {} if given["reason"] else {"reason": visit.texts("console.reason_needed")}
        last_day = None
        if step == "end" and given["when"] == "day":
            try:
                last_day = date.fromisoformat(given["day"])
            except ValueError:
                errors["day"] = visit.texts("console.no_day")
        if step == "end" and given["when"] not in ("now", "term", "day"):
            errors["when"] = visit.texts("console.when_needed")
        if errors:
            return await self._form(request, visit, given, errors, 422)
        try:
            changed = await asyncio.to_thread(
                _carry_out, self._config, step, code, given, last_day, visit.origin
            )
        except MemberError as error:
            return await self._form(request, visit, given, {"step": str(error)}, 409)
        return self._shell.see_other(
            request,
            visit,
            member_path(changed.code),
            f"console_step_done.{step}",
            code=changed.code,
        )


def _carry_out(
    config: Config,
    step: str,
    code: str,
    given: dict[str, str],
    last_day: date | None,
    origin: Origin,
) -> Institution:
    """Raises MemberError: it cannot be done."""
    with closing(Members(config.members_path, create=True)) as members:
        membership = Membership(members, origin)
        at_us, who, reason = now_us(), origin.account, given["reason"]
        if step == "warn":
            return membership.warn(code, at_us, who=who, reason=reason)
        if step == "suspend":
            return membership.suspend(code, at_us, who=who, reason=reason)
        if step == "restore":
            return membership.restore(code, at_us, who=who, reason=reason)
        if given["when"] == "term":
            last_day = membership.last_day_of_term(code, at_us)
        return membership.end(code, at_us, who=who, reason=reason, last_day=last_day)


def _heading(name: str, asked: Asked, kept: dict[str, str]) -> Heading:
    """A click sorts by the column; another one the other way round."""
    is_current = asked.sort == name
    down = not asked.descending if is_current else name not in ("code", "name", "state", "term")
    query = {**kept, "sort": name, **({"order": "down"} if down else {})}
    sorted_by = ("descending" if asked.descending else "ascending") if is_current else "none"
    return Heading(name, f"{MEMBERS}?{urlencode(query)}", sorted_by)

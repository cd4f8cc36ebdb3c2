"""The page of the audit: who changed what, from where, the newest first."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from urllib.parse import urlencode

from aiohttp import web

from server.config import Config
from server.console.base import may, number_in
from server.permissions import Operation
from server.web.navigation import CONSOLE
from server.web.shell import Shell, Visit
from store.audit import AuditRow, newest_audit_rows
from store.members import Members

AUDIT = f"{CONSOLE}/audit"
ROWS_A_PAGE = 100
_CHARS_MAX = 64


@dataclass(frozen=True, slots=True)
class AuditPage:
    """Rows, the newest first; `next_before` is where the next page begins, None: nowhere."""

    rows: Sequence[AuditRow]
    next_before: int | None


def read_audit(
    config: Config, *, institution: str = "", who: str = "", before: int = 0
) -> AuditPage:
    """The changes of one institution and by one person, or of all, before row `before`.

    Raises:
        MemberError: the audit cannot be read.
    """
    with closing(Members(config.members_path)) as members:
        rows = newest_audit_rows(
            members.connection, institution or None, who or None, before=before or None,
            limit=ROWS_A_PAGE + 1,
        )  # fmt: skip
    shown = rows[:ROWS_A_PAGE]
    return AuditPage(shown, shown[-1].seq if len(rows) > len(shown) else None)


class AuditPages:
    def __init__(self, shell: Shell) -> None:
        self._shell = shell
        self._config = shell.config

    def add_routes(self, app: web.Application) -> None:
        self._shell.get(app, AUDIT, self._list, may(Operation.AUDIT_READ_ALL))

    async def _list(self, request: web.Request, visit: Visit) -> web.StreamResponse:
        member = request.query.get("member", "").strip().upper()[:_CHARS_MAX]
        who = request.query.get("who", "").strip()[:_CHARS_MAX]
        before = number_in(request.query, "before", 0)
        found = await asyncio.to_thread(
            read_audit, self._config, institution=member, who=who, before=before
        )
        kept = {name: value for name, value in (("member", member), ("who", who)) if value}
        values = {
            "found": found,
            "member": member,
            "who": who,
            "path": AUDIT,
            "is_first": not before,
            "first_url": f"{AUDIT}?{urlencode(kept)}" if kept else AUDIT,
            "next_url": f"?{urlencode({**kept, 'before': str(found.next_before)})}",
        }
        return self._shell.render(request, visit, "console/audit.html", values)

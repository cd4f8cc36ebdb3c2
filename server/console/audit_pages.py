"""The page of the audit: who changed what, from where, the newest first.

Changes of members, accounts, loads and jobs are in one file and read from its end. Those
of records, holdings, covers, credit, the ledger and settlements are elsewhere: they are
asked for by kind, and of some days, so that a page reads no more than that.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import date, timedelta
from urllib.parse import urlencode

from aiohttp import web

from server.access_control.permissions import Operation
from server.accounting.audit_trail import trail
from server.config import Config
from server.console.base import now_us, number_in
from server.web.navigation import CONSOLE, operator_may
from server.web.shell import Shell, Visit
from store.audit import AuditRow, AuditSelection, newest_audit_rows
from store.members import Members
from store.membership import day_of, start_us

AUDIT = f"{CONSOLE}/audit"
ROWS_A_PAGE = 100
DAYS_SHOWN = 31
# Whose rows are in files of their own.
KINDS = ("record", "holdings", "cover", "credit", "ledger", "settlement")
_CHARS_MAX = 64


@dataclass(frozen=True, slots=True)
class AuditPage:
    """Rows, the newest first; `next_before` is where the next page begins, None: nowhere."""

    rows: Sequence[AuditRow]
    next_before: int | None


def read_audit(config: Config, selection: AuditSelection, before: int = 0) -> AuditPage:
    """Rows of a selection, before row `before` where they are in the file of members.

    Raises:
        MemberError, StoreError, MeteringError: a file cannot be read.
    """
    if selection.kind in KINDS:
        last = deque(trail(config, selection), maxlen=ROWS_A_PAGE)
        return AuditPage(list(last)[::-1], None)
    with closing(Members(config.members_path)) as members:
        rows = newest_audit_rows(
            members.connection, selection, before=before or None, limit=ROWS_A_PAGE + 1
        )
    shown = rows[:ROWS_A_PAGE]
    return AuditPage(shown, shown[-1].seq if len(rows) > len(shown) else None)


class AuditPages:
    def __init__(self, shell: Shell) -> None:
        self._shell = shell
        self._config = shell.config

    def add_routes(self, app: web.Application) -> None:
        self._shell.get(app, AUDIT, self._list, operator_may(Operation.AUDIT_READ_ALL))

    async def _list(self, request: web.Request, visit: Visit) -> web.StreamResponse:
        query = request.query
        kind = query.get("kind", "") if query.get("kind") in KINDS else ""
        asked = {
            "kind": kind,
            "member": query.get("member", "").strip().upper()[:_CHARS_MAX],
            "who": query.get("who", "").strip()[:_CHARS_MAX],
            "from": _day_in(query, "from", day_of(now_us()) - timedelta(DAYS_SHOWN - 1), kind),
            "to": _day_in(query, "to", None, kind),
        }
        since, until = (date.fromisoformat(asked[name]) if asked[name] else None
                        for name in ("from", "to"))  # fmt: skip
        selection = AuditSelection(
            institution=asked["member"] or None,
            account=asked["who"] or None,
            since_us=start_us(since) if since else None,
            until_us=start_us(until + timedelta(1)) if until else None,
            kind=kind or None,
        )
        before = number_in(query, "before", 0)
        found = await asyncio.to_thread(read_audit, self._config, selection, before)
        kept = {name: value for name, value in asked.items() if value}
        values = {
            "found": found,
            "asked": asked,
            "kinds": KINDS,
            "path": AUDIT,
            "is_first": not before,
            "is_full": bool(kind) and len(found.rows) == ROWS_A_PAGE,
            "first_url": f"{AUDIT}?{urlencode(kept)}" if kept else AUDIT,
            "next_url": f"?{urlencode({**kept, 'before': str(found.next_before)})}",
        }
        return self._shell.render(request, visit, "console/audit.html", values)


def _day_in(query: Mapping[str, str], name: str, default: date | None, kind: str) -> str:
    """A day as a form sends it; where there is none, the default of a kind with many rows."""
    try:
        day = date.fromisoformat(query.get(name, ""))
    except ValueError:
        return default.isoformat() if default is not None and kind else ""
    return day.isoformat() if 1970 <= day.year < 9999 else ""

"""Pages of duplicates: pairs, two records beside each other, and merging them."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any
from urllib.parse import urlencode

from aiohttp import web

from server.access_control.permissions import Operation
from server.catalogue_pages.view import labelled, record_path
from server.console.base import number_in
from server.console.duplicates import (
    Compared,
    compare_records,
    is_duplicate_report,
    merge_records,
    newest_uploads,
    pairs_of_record,
    read_report,
)
from server.console.jobs import list_reports, report_file
from server.web.forms import Form, text_of
from server.web.navigation import CONSOLE, operator_may
from server.web.numbers import number_of
from server.web.shell import Shell, Visit
from server.web.texts import Texts
from store.dedupe import Pair
from store.sqlite import StoreError

DUPLICATES = f"{CONSOLE}/duplicates"
_PAIR = "{one:[0-9]{1,12}}/{other:[0-9]{1,12}}"
_NUMBER_CHARS_MAX = 200


class DuplicatePages:
    def __init__(self, shell: Shell) -> None:
        self._shell = shell
        self._config = shell.config

    def add_routes(self, app: web.Application) -> None:
        may_read = operator_may(Operation.DUPLICATES_READ)
        may_merge = operator_may(Operation.DUPLICATES_MERGE)
        self._shell.get(app, DUPLICATES, self._list, may_read)
        self._shell.get(app, f"{DUPLICATES}/{_PAIR}", self._compare, may_read)
        self._shell.get(app, f"{DUPLICATES}/{_PAIR}/merge", self._ask, may_merge)
        self._shell.post(app, f"{DUPLICATES}/{_PAIR}/merge", self._merge, may_merge)

    async def _list(self, request: web.Request, visit: Visit) -> web.StreamResponse:
        """Of one record, of a report, or else of the newest uploads."""
        number = request.query.get("record", "").strip()[:_NUMBER_CHARS_MAX]
        reports = [
            report
            for report in await asyncio.to_thread(list_reports, self._config)
            if is_duplicate_report(report.name)
        ]
        values: dict[str, Any] = {
            "number": number,
            "reports": reports,
            "report": None,
            "next_url": "",
            "path": DUPLICATES,
            "source": "uploads",
            "told": partial(_told, visit.texts),
            "found": True,
        }
        if number:
            pairs = await asyncio.to_thread(pairs_of_record, self._config, number)
            values |= {"pairs": pairs or (), "source": "record", "found": pairs is not None}
            status = 200 if pairs is not None else 404
            return self._shell.render(request, visit, "console/duplicates.html", values, status)
        name = request.query.get("report", "")
        chosen = next((each for each in reports if each.name == name), None)
        path = await asyncio.to_thread(report_file, self._config, name) if chosen else None
        if chosen is not None and path is not None:
            offset = number_in(request.query, "offset", 0)
            read = await asyncio.to_thread(read_report, self._config, path, offset)
            values |= {"pairs": read.pairs, "source": "report", "report": chosen}
            if read.next_offset is not None:
                query = {"report": name, "offset": str(read.next_offset)}
                values["next_url"] = f"?{urlencode(query)}"
        else:
            values["pairs"] = await asyncio.to_thread(newest_uploads, self._config)
        return self._shell.render(request, visit, "console/duplicates.html", values)

    async def _read(self, request: web.Request, visit: Visit) -> Compared | web.Response:
        one, other = int(request.match_info["one"]), int(request.match_info["other"])
        compared = await asyncio.to_thread(compare_records, self._config, one, other)
        if compared is None:
            return self._shell.problem(request, visit, 404, visit.texts("console.no_pair"))
        return compared

    async def _compare(self, request: web.Request, visit: Visit) -> web.StreamResponse:
        compared = await self._read(request, visit)
        if isinstance(compared, web.Response):
            return compared
        values = {
            "compared": compared,
            "sides": _sides(compared, self._shell),
            "fields": _fields(compared, visit.texts),
            "may_merge": compared.may_merge and operator_may(Operation.DUPLICATES_MERGE)(visit.who),
            "path": DUPLICATES,
            "told": partial(_told, visit.texts),
        }
        return self._shell.render(request, visit, "console/compare.html", values)

    # Merging: the first record of the address is kept

    async def _ask(self, request: web.Request, visit: Visit) -> web.StreamResponse:
        return await self._form(request, visit, "", {})

    async def _form(
        self,
        request: web.Request,
        visit: Visit,
        reason: str,
        errors: dict[str, str],
        status: int = 200,
    ) -> web.StreamResponse:
        compared = await self._read(request, visit)
        if isinstance(compared, web.Response):
            return compared
        if not compared.may_merge:
            return self._shell.problem(request, visit, 409, visit.texts("console.other_database"))
        keep, away = _sides(compared, self._shell)
        if keep["record"].record_id != int(request.match_info["one"]):
            keep, away = away, keep
        values = {
            "keep": keep,
            "away": away,
            "pair": compared.pair,
            "reason": reason,
            "errors": errors,
            "path": DUPLICATES,
        }
        return self._shell.render(request, visit, "console/merge.html", values, status)

    async def _merge(self, request: web.Request, visit: Visit, form: Form) -> web.StreamResponse:
        keep_id, away_id = int(request.match_info["one"]), int(request.match_info["other"])
        reason = text_of(form, "reason")
        if not reason:
            errors = {"reason": visit.texts("console.reason_needed")}
            return await self._form(request, visit, reason, errors, 422)
        seen = (
            number_of(text_of(form, "keep_version")),
            number_of(text_of(form, "away_version")),
        )
        try:
            done, taken_back = await asyncio.to_thread(
                merge_records, self._config, keep_id, away_id, seen,
                origin=visit.origin, reason=reason,
            )  # fmt: skip
        except StoreError as error:
            return await self._form(request, visit, reason, {"merge": str(error)}, 409)
        return self._shell.see_other(
            request, visit, DUPLICATES,
            "console.merged_credit" if taken_back else "console.merged",
            away=done.away.control_number, keep=done.keep.control_number,
            holdings=len(done.moved) + len(done.combined),
        )  # fmt: skip


def _told(texts: Texts, pair: Pair) -> str:
    """What agrees between the two and what does not, in the language of the page."""
    return texts("console.findings_between").join(
        texts.name("console_finding", each.sentence).format(*each.values)
        for each in pair.score.findings
    )


def _sides(compared: Compared, shell: Shell) -> list[dict[str, Any]]:
    return [
        {
            "record": record,
            "path": record_path(record),
            "holdings": [
                (shell.library_name(row.holding.institution), row.holding) for row in rows
            ],
        }
        for record, rows in zip(
            (compared.one, compared.other), compared.holdings, strict=True
        )
    ]  # fmt: skip


def _fields(compared: Compared, texts: Texts) -> list[tuple[str, list[str], list[str]]]:
    """Label, and the values of both records, in the order of the record kept."""
    sides = [labelled(record, texts) for record in (compared.one, compared.other)]
    one, other = (
        {label: [value.text for value in values] for label, values in side.fields} for side in sides
    )
    labels = dict.fromkeys([*one, *other])
    return [
        ("titles", [sides[0].title], [sides[1].title]),
        *((label, one.get(label, []), other.get(label, [])) for label in labels),
    ]

"""The page of one record: its description, its MARC, who holds it, and its download."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from protocol.diagnostic import Bib1, Diagnostic
from protocol.iso2709 import parse
from protocol.query import Clause, Structure
from protocol.record import StoredRecord
from protocol.search_term import clean
from server.access_control.access import Principal
from server.access_control.databases import databases_for
from server.catalogue_pages.download import (
    DESCRIPTION_VIEW,
    FORMATS,
    MARC_VIEW,
    PROTOCOL,
    formats_for,
    running_figures,
    send,
)
from server.catalogue_pages.view import labelled, line, marc_lines, record_path
from server.covers.pages import CoverPages, shown
from server.delivery.outbox import Outbox
from server.http.access_log import SESSION
from server.web.shell import ALL_NAMES, HEADERS, FormExpiredError, Shell, Visit, redirect

_SAME_NUMBER_MAX = 50  # records of one control number that are told apart


class RecordPages:
    """`/{database}/record/{number}`: GET shows, POST downloads."""

    def __init__(self, shell: Shell, outbox: Outbox, covers: CoverPages) -> None:
        self._shell = shell
        self._outbox = outbox
        self._covers = covers

    def add_routes(self, app: web.Application) -> None:
        app.router.add_get("/{database}/record/{number:.+}", self._shell.page(self._record))
        app.router.add_post("/{database}/record/{number:.+}", self._shell.page(self._download))

    async def _candidates(
        self, request: web.Request, principal: Principal
    ) -> list[StoredRecord] | Diagnostic:
        """The records that the address means: nearly always one."""
        catalogue = self._shell.service.catalogue
        name, number = request.match_info["database"], clean(request.match_info["number"])
        names = ("Default",) if name.lower() in ALL_NAMES else (name,)
        databases = databases_for(catalogue, names, principal)
        if isinstance(databases, Diagnostic):
            return databases
        found = await catalogue.search(
            databases, Clause("control_number", number, structure=Structure.KEY), {}
        )
        if isinstance(found, Diagnostic):
            return found
        ids = found.ids(1, min(len(found), _SAME_NUMBER_MAX))
        if isinstance(ids, Diagnostic):
            return ids
        live = [
            record
            for record in await catalogue.fetch(ids)
            if record is not None and not record.deleted
        ]
        # Otherwise the number of a record that was merged into one of them.
        records = [record for record in live if record.control_number == number] or [
            record for record in live if number in catalogue.former_numbers(record)
        ]
        wanted = request.query.get("id", "")
        chosen = [record for record in records if str(record.record_id) == wanted]
        return chosen or records

    async def _one_record(
        self, request: web.Request, visit: Visit
    ) -> StoredRecord | web.StreamResponse:
        """The record of the address, or the page that says why there is none."""
        if isinstance(visit.principal, Diagnostic):
            return self._shell.ask(request, visit, visit.principal)
        candidates = await self._candidates(request, visit.principal)
        if isinstance(candidates, Diagnostic):
            name = request.match_info["database"]
            return self._shell.problem(
                request, visit, 404, visit.texts("unknown_database", name=name)
            )
        if not candidates:
            number = request.match_info["number"]
            return self._shell.problem(
                request, visit, 404, visit.texts("unknown_record", number=number)
            )
        if len(candidates) > 1:
            lines = [line(record, apart=True) for record in candidates]
            return self._shell.render(request, visit, "search/several.html", {"lines": lines}, 300)
        (record,) = candidates
        if request.method in ("GET", "HEAD") and (
            request.match_info["database"] != record.database.name
            or clean(request.match_info["number"]) != record.control_number
        ):
            query = f"?{request.rel_url.raw_query_string}" if request.query else ""
            return redirect(record_path(record) + query)
        return record

    async def _record(self, request: web.Request, visit: Visit) -> web.StreamResponse:
        record = await self._one_record(request, visit)
        if isinstance(record, web.StreamResponse):
            return record
        return await self._show(request, visit, record)

    async def _show(
        self,
        request: web.Request,
        visit: Visit,
        record: StoredRecord,
        problem: str = "",
        status: int = 200,
    ) -> web.StreamResponse:
        """The page of a record, with what went wrong with its download."""
        assert isinstance(visit.principal, Principal)  # noqa: S101 - asked before
        principal, t = visit.principal, visit.texts
        as_marc = request.query.get("view") == "marc"
        retrieved = await self._shell.service.retrieve(
            principal, (record.record_id,), MARC_VIEW if as_marc else DESCRIPTION_VIEW, PROTOCOL,
            request[SESSION],
        )  # fmt: skip
        if not isinstance(retrieved, Diagnostic):
            content = retrieved.items[0].content
        elif retrieved.condition == Bib1.SYNTAX_NOT_AUTHORISED:
            content = retrieved
        else:
            return self._shell.problem(request, visit, 503, t("system_error"))
        held = await self._shell.service.catalogue.holdings((record.record_id,))
        institution = principal.institution
        path = record_path(record)
        public = self._shell.config.http.public_url.rstrip("/") or str(request.url.origin())
        cover = self._covers.of_record(record)
        values: dict[str, Any] = {
            "path": path,
            "cover": shown(record, cover) if cover is not None else None,
            "by_id": request.query.get("id", ""),
            "address": public + path,
            "database": record.database,
            "view": labelled(record, t),
            "as_marc": as_marc,
            "marc": None,
            "holdings": sorted(
                (
                    (self._shell.library_name(each.institution), each)
                    for each in held.get(record.record_id, ())
                ),
                key=lambda pair: (pair[1].institution != institution, pair[1].institution),
            ),
            "has_locations": any(each.location for each in held.get(record.record_id, ())),
            "formats": formats_for(principal),
            "figures": None,
            "repeat_window": self._shell.config.metering.repeat_window_s,
            "library": self._shell.library_name(institution) if institution else "",
            "problem": problem,
        }
        if as_marc and isinstance(content, bytes):
            marc = parse(content)
            values["marc"] = {"leader": marc.leader, "lines": marc_lines(marc)}
        if institution:
            values["figures"] = await running_figures(self._shell.config, institution)
        return self._shell.render(request, visit, "search/record.html", values, status)

    async def _download(self, request: web.Request, visit: Visit) -> web.StreamResponse:
        record = await self._one_record(request, visit)
        if isinstance(record, web.StreamResponse):
            return record
        assert isinstance(visit.principal, Principal)  # noqa: S101 - asked before
        t = visit.texts
        try:
            form = await visit.form()
        except FormExpiredError:
            return await self._show(request, visit, record, t("form_expired"), 403)
        if not visit.principal.may_download:
            return await self._show(request, visit, record, t("download_needs_member"), 403)
        wanted = FORMATS.get(str(form.get("format", "")))
        if wanted is None:
            return await self._show(request, visit, record, t("cannot_make"), 400)
        sent = await send(
            request, self._shell.service, self._outbox, visit.principal, record, wanted, HEADERS
        )
        if isinstance(sent, Diagnostic):
            unavailable = sent.condition == Bib1.TEMPORARY_SYSTEM_ERROR
            reason = t("system_error" if unavailable else "cannot_make")
            return await self._show(request, visit, record, reason, 503 if unavailable else 422)
        return sent

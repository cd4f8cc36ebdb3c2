"""The catalogue for a person with a browser: the search form and its results.

Pages are whole without JavaScript and load nothing from elsewhere. They share
the addresses `/` and `/{database}` with SRU; a request is for a page when it
prefers HTML and has no parameter of SRU.
"""

from __future__ import annotations

import math
from typing import Any

from aiohttp import hdrs, web

from protocol.diagnostic import Bib1, Diagnostic, SruDiagnostic, SruFault
from protocol.diagnostic_map import to_sru
from protocol.record import Database
from server.access_control.databases import databases_for
from server.catalogue_pages.query import (
    FIELDS,
    PAGE_RECORDS,
    PICKS_MAX,
    SORTS,
    WORDS_CHARS_MAX,
    Search,
    is_sru,
    page_numbers,
    read_search,
)
from server.catalogue_pages.record import RecordPages
from server.catalogue_pages.results import FacetGroup, facet_groups, pick_labels
from server.catalogue_pages.view import line
from server.covers.pages import CoverPages
from server.delivery.outbox import Outbox
from server.web.shell import ALL_NAMES, Handler, Shell, Visit, redirect
from server.web.texts import Texts, prefers_html

# Their details say in English what the marked place shows.
_EXPLAINED = frozenset({
    SruDiagnostic.GENERAL_SYSTEM_ERROR, SruDiagnostic.QUERY_SYNTAX_ERROR,
    SruDiagnostic.TOO_MANY_CHARACTERS_IN_QUERY, SruDiagnostic.UNSUPPORTED_PARENTHESES,
    SruDiagnostic.UNSUPPORTED_QUOTES, SruDiagnostic.TOO_MANY_CHARACTERS_IN_TERM,
    SruDiagnostic.TOO_MANY_BOOLEANS, SruDiagnostic.QUERY_FEATURE_UNSUPPORTED,
})  # fmt: skip


class SearchPages:
    """The pages for searching of one worker."""

    def __init__(self, shell: Shell, outbox: Outbox, covers: CoverPages) -> None:
        self._shell = shell
        self._records = RecordPages(self._shell, outbox, covers)

    def add_routes(self, app: web.Application) -> None:
        """Everything but `/` and `/{database}`, which `first` stands before."""
        self._records.add_routes(app)

    def first(self, otherwise: Handler) -> Handler:
        """A handler that answers a browser with the search page, others with `otherwise`."""
        page = self._shell.page(self._search)

        async def respond(request: web.Request) -> web.StreamResponse:
            if prefers_html(request.headers.get(hdrs.ACCEPT, "")) and not is_sru(request.query):
                return await page(request)
            return await otherwise(request)

        return respond

    async def _search(self, request: web.Request, visit: Visit) -> web.StreamResponse:
        name = request.match_info.get("database", "")
        names = ("Default",) if name.lower() in ALL_NAMES else (name,)
        catalogue = self._shell.service.catalogue
        databases = catalogue.resolve(names)
        if isinstance(databases, Diagnostic):
            message = visit.texts("unknown_database", name=name)
            return self._shell.problem(request, visit, 404, message)
        if isinstance(visit.principal, Diagnostic):
            return self._shell.ask(request, visit, visit.principal)
        granted = databases_for(catalogue, names, visit.principal)
        if isinstance(granted, Diagnostic):
            return self._shell.problem(request, visit, 403, granted.addinfo)
        chosen = request.query.get("db")
        search = read_search(
            "" if name.lower() in ALL_NAMES else databases[0].name, list(request.query.items())
        )
        if chosen is not None:  # the form's choice becomes the address
            known = self._shell.service.catalogue.databases.get(chosen.casefold())
            return redirect(
                Search(known.name if known else "", search.words, search.field, search.sort).url
            )
        if search.is_empty:
            return self._shell.render(request, visit, "search/start.html", self._form(search))
        return await self._results(request, visit, search, granted)

    def _form(self, search: Search) -> dict[str, Any]:
        """What the search form and the list of databases are made of."""
        catalogue = self._shell.service.catalogue
        totals = catalogue.totals()
        databases = {each.name: each for each in catalogue.databases.values()}
        return {
            "search": search,
            "fields": list(FIELDS),
            "sorts": list(SORTS),
            "databases": [
                (each.name, each.title, totals.get(each.name, 0)) for each in databases.values()
            ],
            "words_chars_max": WORDS_CHARS_MAX,
        }

    async def _results(
        self, request: web.Request, visit: Visit, search: Search, databases: tuple[Database, ...]
    ) -> web.StreamResponse:
        catalogue = self._shell.service.catalogue
        values = self._form(search)
        t = visit.texts
        refusal = ""
        if len(search.words) > WORDS_CHARS_MAX:
            refusal = t("words_too_long", count=WORDS_CHARS_MAX)
        elif len(search.picks) > PICKS_MAX:
            refusal = t("too_many_picks", count=PICKS_MAX)
        if refusal:
            return self._refused(request, visit, values, refusal)
        query = search.query()
        if isinstance(query, SruFault):
            return self._refused(request, visit, values, *_reason(query, search.words, t))
        found = await catalogue.search(databases, query, {})
        if not isinstance(found, Diagnostic) and SORTS[search.sort]:
            found = await catalogue.sort((found,), SORTS[search.sort])
        if isinstance(found, Diagnostic):
            return self._refused(request, visit, values, _message(found, t))
        self._shell.service.sessions.counters.searches += 1
        if search.page == 1 and not isinstance(visit.principal, Diagnostic):
            names = tuple(database.name for database in databases)
            self._shell.service.searches.of(visit.principal, "web")[names] += 1
        pages = max(math.ceil(len(found) / PAGE_RECORDS), 1)
        if search.page > pages:
            return redirect(search.at(pages).url)
        first = (search.page - 1) * PAGE_RECORDS
        ids = found.ids(first + 1, min(PAGE_RECORDS, len(found) - first))
        if isinstance(ids, Diagnostic):
            return self._refused(request, visit, values, _message(ids, t))
        records = await catalogue.fetch(ids)
        holdings = await catalogue.holdings(ids)
        groups: list[FacetGroup] = []
        labels = pick_labels(search, t, self._shell.library_name)
        if len(found):
            groups, displays = await facet_groups(
                catalogue, found, search, t, self._shell.library_name
            )
            labels |= displays
        values |= {
            "count": len(found),
            "first": first + 1,
            "lines": [
                line(record, len(holdings.get(record.record_id, ())))
                if record is not None and not record.deleted
                else None
                for record in records
            ],
            "picks": [(pick, labels[pick]) for pick in search.picks],
            "groups": groups,
            "pages": pages,
            "page_numbers": page_numbers(search.page, pages),
        }
        return self._shell.render(request, visit, "search/results.html", values)

    def _refused(
        self,
        request: web.Request,
        visit: Visit,
        values: dict[str, Any],
        reason: str,
        marked: tuple[str, str, str] | None = None,
    ) -> web.Response:
        """A search that cannot be carried out. `marked`: the words, cut about the fault."""
        values |= {"reason": reason, "marked": marked}
        return self._shell.render(request, visit, "search/refused.html", values, 400)


def _message(diagnostic: Diagnostic, t: Texts) -> str:
    if diagnostic.condition == Bib1.TOO_MANY_INDEX_TERMS:
        return t("refused_broad")
    return _told(to_sru(diagnostic), t)


def _reason(fault: SruFault, words: str, t: Texts) -> tuple[str, tuple[str, str, str] | None]:
    """Why a CQL query is refused, with its text cut about the place of the fault."""
    reason = _told(fault, t)
    if fault.position is None:
        return reason, None
    at = min(fault.position, len(words))
    return (
        t("refused_at", reason=reason, position=at + 1),
        (words[:at], words[at : at + 1], words[at + 1 :]),
    )


def _told(fault: SruFault, t: Texts) -> str:
    """The fault in the language of `t`, with the value that is refused."""
    known = t.tables["diagnostic"].get(str(fault.condition.value))
    reason = known or fault.message or fault.condition.message
    if not fault.details or (known and fault.condition in _EXPLAINED and t.language != "en"):
        return reason
    return t("refused_value", reason=reason, value=fault.details)

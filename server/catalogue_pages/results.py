"""The facets of a result: what narrows it, with counts, in a person's words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from protocol.description import clean
from protocol.diagnostic import Diagnostic
from server.catalogue_pages.query import FACETS, Search
from server.web.texts import Texts
from store.interface import Catalogue, ResultSet

_VALUES_MAX = 20
VALUES_OPEN = 6  # shown at once; the rest unfold

LibraryName = Callable[[str], str]
Pick = tuple[str, str]


@dataclass(frozen=True, slots=True)
class FacetValue:
    """One value to narrow by: the address does it."""

    label: str
    count: int
    url: str


@dataclass(frozen=True, slots=True)
class FacetGroup:
    facet: str
    values: list[FacetValue]

    @property
    def open(self) -> list[FacetValue]:
        return self.values[:VALUES_OPEN]

    @property
    def folded(self) -> list[FacetValue]:
        return self.values[VALUES_OPEN:]


def value_label(facet: str, term: str, display: str, t: Texts, library_name: LibraryName) -> str:
    """A value as a person calls it; "" for one that says nothing to a person."""
    if facet == "language":
        return t.name("language", term)
    if facet == "type":  # the index also has "text", "monograph": of nearly every record
        return t.tables["type"].get(term, "")
    if facet == "library":
        return library_name(term)
    return clean(display)


def pick_labels(search: Search, t: Texts, library_name: LibraryName) -> dict[Pick, str]:
    """What each chosen value is called, as far as its term says it."""
    return {
        (facet, term): value_label(facet, term, term, t, library_name) or term
        for facet, term in search.picks
    }


async def facet_groups(
    catalogue: Catalogue, found: ResultSet, search: Search, t: Texts, library_name: LibraryName
) -> tuple[list[FacetGroup], dict[Pick, str]]:
    """Every facet with a choice in it, and what chosen values are called.

    Values that all results have narrow nothing and are left out, those chosen
    already among them.
    """
    groups: list[FacetGroup] = []
    labels: dict[Pick, str] = {}
    for facet, access_point in FACETS.items():
        counted = await catalogue.facets(found, access_point, limit=_VALUES_MAX + len(search.picks))
        if isinstance(counted, Diagnostic):
            continue
        values: list[FacetValue] = []
        for each in counted.terms:
            label = value_label(facet, each.term, each.display, t, library_name)
            if (facet, each.term) in search.picks:
                labels[facet, each.term] = label or each.term
            elif label and each.count < len(found):
                url = search.within(facet, each.term).url
                values.append(FacetValue(label, each.count, url))
        if facet == "year":
            values.sort(key=lambda value: value.label, reverse=True)
        if values:
            groups.append(FacetGroup(facet, values[:_VALUES_MAX]))
    return groups, labels

"""Parts of a GRS-1 record that an element specification eSpec-1 asks for.

Source: Z39.50-2003 Appendix 14 ESP (ElementSpecificationFormat-eSpec-1).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from protocol.diagnostic import Bib1, Diagnostic
from protocol.grs1 import (
    AllOrLast,
    Espec,
    Occurrences,
    OccurrenceValues,
    PathStep,
    SimpleElement,
    SpecificTag,
    TaggedElement,
    WildPath,
    WildThing,
)
from protocol.oid import Oid

REQUESTS_MAX = 256  # elements of one specification
STEPS_MAX = 16  # tags of one path; our records are three deep

Tree = tuple[TaggedElement, ...]
Paths = tuple[tuple[PathStep, ...], ...]


def paths_of(espec: Espec) -> Paths | Diagnostic:
    """The tag paths of a specification, each tag with its type where one is known.

    Composite elements, variants and more than is reasonable are Bib-1 244.
    """
    if len(espec.elements) > REQUESTS_MAX:
        return _refused(f"more than {REQUESTS_MAX} elements in an eSpec-1")
    if espec.default_variant_request is not None:
        return _refused("variants in an eSpec-1")
    paths = []
    for request in espec.elements:
        if not isinstance(request, SimpleElement):
            return _refused("composite elements in an eSpec-1")
        if request.variant_request is not None:
            return _refused("variants in an eSpec-1")
        if not 0 < len(request.path) <= STEPS_MAX:
            return _refused(f"a path of {len(request.path)} tags in an eSpec-1")
        paths.append(tuple(_typed(step, espec.default_tag_type) for step in request.path))
    return tuple(paths)


def _refused(what: str) -> Diagnostic:
    return Diagnostic(Bib1.COMP_SPEC_UNSUPPORTED, what)


def _typed(step: PathStep, tag_type: int | None) -> PathStep:
    if isinstance(step, SpecificTag) and step.tag_type is None:
        return replace(step, tag_type=tag_type)
    return step


def select(record: Tree, paths: Paths, also: Tree = ()) -> Tree:
    """The elements of `record` on `paths`, or equal to one of `also`, in record order.

    What leads to a chosen element stays, without what else is below it; what
    is not there is left out. A tag without a type matches whatever type, a tag
    without an occurrence its first one.
    """
    whole: set[int] = set()  # identities of elements that are given as they are
    partly: set[int] = set()
    for path in paths:
        for *above, chosen in _chains(record, path):
            whole.add(id(chosen))
            partly.update(map(id, above))
    whole.update(id(each) for each in record if each in also)

    def kept(elements: Tree) -> Iterator[TaggedElement]:
        for each in elements:
            if id(each) in whole:
                yield each
            elif id(each) in partly:
                yield replace(each, content=tuple(kept(_below(each))))

    return tuple(kept(record))


def _chains(elements: Tree, path: Sequence[PathStep]) -> Iterator[list[TaggedElement]]:
    """Each element at the end of `path`, after those that lead to it."""
    step, rest = path[0], path[1:]
    if isinstance(step, WildPath) and rest:
        yield from _chains(elements, rest)  # no level at all, or one and further ones
        followed, rest = elements, path
    else:
        followed = _chosen(elements, step)
    for each in followed:
        if not rest:
            yield [each]
        else:
            for below in _chains(_below(each), rest):
                yield [each, *below]


def _below(element: TaggedElement) -> Tree:
    content = element.content
    return content if isinstance(content, tuple) and not isinstance(content, Oid) else ()


def _chosen(elements: Tree, step: PathStep) -> Tree:
    if isinstance(step, WildPath):
        return elements
    if isinstance(step, WildThing):
        return _occurring(elements, step.occurrences)
    matching = tuple(
        each
        for each in elements
        if plain(each.tag_value) == plain(step.tag_value) and step.tag_type in (None, each.tag_type)
    )
    return _occurring(matching, step.occurrence or OccurrenceValues(start=1))


def plain(value: str | int) -> str | int:
    """A tag value as a number where it is one: clients send "245" and 245."""
    if isinstance(value, str):
        return int(value) if value.isascii() and value.isdigit() else value.lower()
    return value


def _occurring(elements: Tree, which: Occurrences) -> Tree:
    if which is AllOrLast.ALL:
        return elements
    if isinstance(which, OccurrenceValues):
        first = max(which.start, 1) - 1
        return elements[first : first + max(which.how_many or 1, 0)]
    return elements[-1:]

"""Elements asked for one by one, by eSpec-1 in a comp-spec (Z39.50-2003 §3.6.3)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from protocol import apdu, oid
from protocol.diagnostic import Bib1
from protocol.grs1 import (
    ESPEC_1,
    GRS_1,
    AllOrLast,
    Espec,
    OccurrenceValues,
    PathStep,
    SimpleElement,
    SpecificTag,
    TaggedElement,
    WildPath,
    WildThing,
)
from protocol.iso2709 import Field, build
from tests.harness import RunningServer
from tests.server.own_server import own_server
from tests.z3950_client import connected, diagnostic, records

RECORD = build(
    "00000nam0 2200000   450 ",
    [
        Field("001", "c1"),
        Field.of("100", "  ", [("a", "20260101d2026    em y0chiy50      ea")]),
        Field.of("200", "1 ", [("a", "阿Q正传"), ("f", "鲁迅著")]),
        Field.of("300", "  ", [("a", "Not in a brief record")]),
        Field.of("701", " 0", [("a", "鲁迅")]),
        Field.of("801", " 0", [("a", "CN"), ("b", "PUL"), ("b", "NLC")]),
        Field.of("801", " 2", [("a", "CN"), ("b", "SHL")]),
    ],
)


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with own_server(tmp_path_factory.mktemp("elements"), {"cn_cat": [RECORD]}) as server:
        yield server


def espec(*paths: tuple[PathStep, ...], **fields: object) -> apdu.CompSpec:
    """A comp-spec for GRS-1 with these tag paths."""
    wanted = Espec(
        elements=tuple(SimpleElement(path=path) for path in paths),
        **fields,  # type: ignore[arg-type]
    )
    return apdu.CompSpec(
        select_alternative_syntax=False,
        generic=apdu.Specification(element_spec=apdu.External.of(oid.ESPEC_1, ESPEC_1, wanted)),
        record_syntax=(oid.GRS_1,),
    )


def tag(value: str | int, tag_type: int | None = None, **fields: object) -> SpecificTag:
    return SpecificTag(tag_type=tag_type, tag_value=value, **fields)  # type: ignore[arg-type]


ALL, LAST, WILD = AllOrLast.ALL, AllOrLast.LAST, WildPath.WILD_PATH
FIRST_THING = WildThing(OccurrenceValues(start=1))
TITLE = (tag(1, 2),)


@pytest.mark.parametrize(
    ("wish", "values"),
    [
        (espec(TITLE), ["阿Q正传"]),
        (espec((tag(1),)), ["阿Q正传"]),
        # 200 $a below whatever indicators, and the control number as MARC has it.
        (
            espec((tag("200"), FIRST_THING, tag("a")), (tag("001"),), default_tag_type=3),
            ["c1", "阿Q正传"],
        ),
        # Without an occurrence the first one is meant.
        (espec((tag(801, 3), WILD, tag("b", 3))), ["PUL"]),
        (espec((tag(801, 3), WILD, tag("b", 3, occurrence=ALL))), ["PUL", "NLC"]),
        (espec((tag(801, 3), WILD, tag("b", 3, occurrence=LAST))), ["NLC"]),
        (
            espec(
                (tag(801, occurrence=OccurrenceValues(start=2, how_many=5)), WILD, tag("b")),
                default_tag_type=3,
            ),
            ["SHL"],
        ),
        (espec((tag(200, 3),)), ["阿Q正传", "鲁迅著"]),
        (espec((tag(99, 2),)), []),
        (espec((tag(1, 3),)), ["c1"]),
        (espec((tag(1, 2), tag(1, 2))), []),
        # A named set, and an element that it does not have.
        (espec((tag(17, 2),), element_set_names=("B",)),
         ["c1", "阿Q正传", "鲁迅", "2026", "Not in a brief record"]),
    ],
)  # fmt: skip
def test_elements_are_given_as_they_are_asked_for(
    shelf: RunningServer, wish: apdu.CompSpec, values: list[str]
) -> None:
    with connected(shelf.z3950, "demo1/demo1") as client:
        assert client.search("@attr 1=12 c1", "cn_cat").result_count == 1
        [record] = records(client.present(1, 1, oid.GRS_1, record_composition=wish))
        assert list(leaves(GRS_1.decode(record))) == values


def leaves(elements: tuple[TaggedElement, ...]) -> Iterator[object]:
    for each in elements:
        if isinstance(each.content, tuple):
            yield from leaves(each.content)
        else:
            yield each.content


def test_what_leads_to_an_element_stays_with_it(shelf: RunningServer) -> None:
    with connected(shelf.z3950, "demo1/demo1") as client:
        client.search("@attr 1=12 c1", "cn_cat")
        wish = espec((tag(200, 3), WILD, tag("f", 3)))
        [record] = records(client.present(1, 1, oid.GRS_1, record_composition=wish))
        assert GRS_1.decode(record) == (
            TaggedElement(tag_type=3, tag_value=200, content=(
                TaggedElement(tag_type=3, tag_value="1 ", content=(
                    TaggedElement(tag_type=3, tag_value="f", content="鲁迅著"),
                )),
            )),
        )  # fmt: skip


def test_all_elements_of_a_named_full_set_are_the_record(shelf: RunningServer) -> None:
    with connected(shelf.z3950, "demo1/demo1") as client:
        client.search("@attr 1=12 c1", "cn_cat")
        wish = espec(TITLE, element_set_names=("F",))
        given = records(client.present(1, 1, oid.GRS_1, record_composition=wish))
        assert given == records(client.present(1, 1, oid.GRS_1))


def test_elements_by_themselves_need_an_account_all_the_same(shelf: RunningServer) -> None:
    with connected(shelf.z3950) as client:
        client.search("@attr 1=12 c1", "cn_cat")
        refused = client.present(1, 1, oid.GRS_1, record_composition=espec(TITLE))
        assert diagnostic(refused)[0] == Bib1.SYNTAX_NOT_AUTHORISED

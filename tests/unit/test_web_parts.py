"""How pages write figures, turn long lists into pages, and know who may go where."""

from __future__ import annotations

import pytest
from aiohttp.test_utils import make_mocked_request

from server.access_control.principal import ANONYMOUS, Principal
from server.web import filters
from server.web.navigation import SECTIONS, links
from server.web.paging import Pager
from store.rights import MEMBER_RIGHTS, OPERATOR_RIGHTS

OPERATOR = Principal("admin", operator=True, rights=OPERATOR_RIGHTS)
MEMBER = Principal("pku", "PKU", rights=(*MEMBER_RIGHTS, "manager"))


@pytest.mark.parametrize(
    ("fen", "text"),
    [(0, "0.00"), (5, "0.05"), (123456, "1,234.56"), (-50, "-0.50"), (-123400, "-1,234.00")],
)
def test_fen_are_written_as_yuan(fen: int, text: str) -> None:
    assert filters.yuan(fen) == text


@pytest.mark.parametrize(
    ("octets", "text"),
    [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (200 << 20, "200 MiB"), (3 << 40, "3.0 TiB")],
)
def test_sizes_are_written_as_people_say_them(octets: int, text: str) -> None:
    assert filters.size(octets) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (59.9, "59 s"), (60, "1 min"), (200, "3 min 20 s"), (7500, "2 h 5 min"),
     (187200, "2 d 4 h")],
)  # fmt: skip
def test_lengths_of_time_are_written_in_two_units(seconds: float, text: str) -> None:
    assert filters.duration(seconds) == text


def test_days_are_those_of_china() -> None:
    assert filters.china_day(1704038400_000000) == "2024-01-01"  # 2023-12-31T16:00:00Z
    assert filters.iso_time(1704038400_000000) == "2024-01-01T00:00:00+08:00"


@pytest.mark.parametrize(
    ("asked", "page", "offset"),
    [("", 1, 0), ("2", 2, 50), ("3", 3, 100), ("4", 3, 100), ("0", 1, 0), ("-1", 1, 0),
     ("x", 1, 0), ("٣", 1, 0), ("9" * 400, 1, 0)],
)  # fmt: skip
def test_any_page_that_is_asked_for_is_one_there_is(asked: str, page: int, offset: int) -> None:
    request = make_mocked_request("GET", f"/-/console/audit?who=a%26b&page={asked}&lang=en")
    pager = Pager.of(request, 101)
    assert (pager.page, pager.pages, pager.offset) == (page, 3, offset)
    assert pager.url(2) == "/-/console/audit?who=a%26b&page=2"
    assert Pager.of(request, 0).pages == 1


@pytest.mark.parametrize(
    ("who", "area"),
    [(OPERATOR, "/-/console/"), (MEMBER, "/-/my/"), (ANONYMOUS, None), (None, None)],
)
def test_everybody_is_shown_their_own_sections(who: Principal | None, area: str | None) -> None:
    served = {section.path for section in SECTIONS}
    shown = links(who, "/", served, str)
    assert [link.path for link in shown] == [
        path.path for path in SECTIONS if area and path.path.startswith(area)
    ]
    assert links(who, "/", set(), str) == []


def test_sections_that_need_a_right_are_shown_to_those_who_have_it() -> None:
    served = {section.path for section in SECTIONS}
    shown = {link.path for link in links(Principal("pku", "PKU"), "/", served, str)}
    assert "/-/my/overview" in shown
    assert "/-/my/statements" not in shown


def test_the_section_of_a_page_is_marked() -> None:
    served = {section.path for section in SECTIONS}
    for here, current in (
        ("/-/console/members/PKU", ["/-/console/members"]),
        ("/-/console/members", ["/-/console/members"]),
        ("/-/console/membersx", []),
    ):
        assert [link.path for link in links(OPERATOR, here, served, str) if link.current] == current

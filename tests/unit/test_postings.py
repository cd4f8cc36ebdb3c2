"""Lists of numbers in blobs: what goes in comes out, added and removed."""

from __future__ import annotations

from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyroaring import BitMap

from store import postings

NUMBERS = st.sets(st.integers(0, 2**32 - 1), max_size=100)
DENSE = st.sets(st.integers(0, 200), max_size=100)


def blob(numbers: set[int]) -> bytes:
    return postings.encode_numbers(array("I", sorted(numbers)).tobytes())


@given(NUMBERS)
def test_a_blob_gives_back_its_numbers(numbers: set[int]) -> None:
    assert postings.decode(blob(numbers)) == BitMap(numbers)
    assert postings.decode(postings.encode(BitMap(numbers))) == BitMap(numbers)


@given(NUMBERS | DENSE, NUMBERS | DENSE)
def test_adding_blobs_is_the_union_and_removing_the_difference(
    one: set[int], other: set[int]
) -> None:
    assert postings.decode(postings.add(blob(one), blob(other))) == BitMap(one | other)
    assert postings.decode(postings.remove(blob(one), blob(other))) == BitMap(one - other)


@given(st.lists(NUMBERS | DENSE, max_size=5))
def test_many_blobs_unite(sets: list[set[int]]) -> None:
    united = postings.union([blob(numbers) for numbers in sets])
    assert united == BitMap(set().union(*sets))


@pytest.mark.parametrize(
    ("count", "tag"), [(1, postings.TINY), (32, postings.TINY), (33, postings.ROARING)]
)
def test_short_lists_are_tiny_and_longer_ones_roaring(count: int, tag: int) -> None:
    assert blob(set(range(count)))[0] == tag
    assert postings.encode(BitMap(range(count)))[0] == tag


def test_adding_what_follows_a_tiny_list_appends_to_it() -> None:
    assert postings.add(blob({1, 5}), blob({9})) == blob({1, 5, 9})


def test_an_emptied_blob_has_no_number_left() -> None:
    assert len(postings.remove(blob({7}), blob({7}))) == postings.EMPTY_SIZE_BYTES


def test_a_long_run_is_kept_as_a_run() -> None:
    assert len(postings.encode(BitMap(range(100_000)))) < 100


@given(NUMBERS | DENSE, NUMBERS | DENSE, st.integers(0, 100), st.integers(0, 150))
def test_the_numbers_of_a_blob_that_are_among_others_are_counted(
    one: set[int], others: set[int], first: int, size: int
) -> None:
    for among in (others, set(range(first, first + size)), others | one):
        assert postings.count_in(blob(one), BitMap(among)) == len(one & among)
        assert postings.count_in_few(blob(one), BitMap(among)) == len(one & among)

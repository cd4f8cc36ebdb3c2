"""Lists of numbers in blobs: what goes in comes out, added and removed."""

from __future__ import annotations

from array import array
from random import Random

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


SPARSE = range(0, 3_000_000, 1000)  # of which Roaring takes much


@pytest.mark.parametrize("extra", [set(), {1}, {2**32 - 1}, {0, 5, 2_999_999}])
def test_a_long_sparse_list_is_packed_and_gives_back_its_numbers(extra: set[int]) -> None:
    numbers = set(SPARSE) | extra
    packed = blob(numbers)
    assert packed[0] == postings.PACKED
    assert len(packed) < 0.75 * len(BitMap(numbers).serialize())
    assert postings.decode(packed) == BitMap(numbers)
    assert postings.union([packed, blob({7}), blob(set(range(100)))]) == BitMap(
        numbers | set(range(100))
    )
    more = postings.add(packed, blob({7, 11}))
    assert postings.decode(more) == BitMap(numbers | {7, 11})
    assert postings.remove(more, blob({7, 11})) == packed
    assert postings.decode(postings.remove(packed, blob(set(range(0, 2_990_000, 1000))))) == (
        BitMap(numbers - set(range(0, 2_990_000, 1000)))
    )


@given(st.sets(st.integers(0, 2**32 - 1), min_size=33, max_size=200))
def test_positions_are_packed_from_the_first_and_come_back(numbers: set[int]) -> None:
    octets = array("I", sorted(numbers)).tobytes()
    as_positions, as_records = postings.encode_positions(octets), blob(numbers)
    assert as_positions[0] in {postings.PACKED, postings.ROARING}
    assert as_records[0] == postings.ROARING
    assert postings.decode(as_positions) == postings.decode(as_records) == BitMap(numbers)
    one = blob({max(numbers)})
    assert postings.decode(postings.add_positions(as_positions, one)) == BitMap(numbers)
    left = postings.remove_positions(as_positions, one)
    assert postings.decode(left) == BitMap(numbers - {max(numbers)})


def test_a_run_is_never_packed() -> None:
    octets = array("I", range(70_000)).tobytes()
    assert postings.encode_positions(octets)[0] == postings.ROARING


@pytest.mark.parametrize("cut", [slice(1, 1), slice(1, 40), slice(1, -1), slice(3, None)])
def test_a_damaged_packed_list_is_refused(cut: slice) -> None:
    packed = blob(set(Random(3).sample(range(1_000_000), 9_000)))
    assert packed[0] == postings.PACKED
    with pytest.raises(ValueError, match=r".+"):
        postings.decode(packed[:1] + packed[cut])


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

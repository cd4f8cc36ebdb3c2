"""Whatever is merged, undone and held, in whatever order: nothing is lost or counted twice."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from protocol.record import Holding
from store.editing import Editor, MergeRefused
from store.merge_events import MergeEvents
from store.reindex import check
from store.sqlite import StoreError, open_reader
from store.writer import UnknownRecord
from tests.catalogue_records import Library, book, put

RECORDS = 4
INSTITUTIONS = ("PKU", "THU")
NOW_US = 1_700_000_000_000_000

_record = st.integers(0, RECORDS - 1)
OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("hold"), st.sampled_from(INSTITUTIONS), _record),
        st.tuples(st.just("drop"), st.sampled_from(INSTITUTIONS), _record),
        st.tuples(st.just("merge"), _record, _record),
        st.tuples(st.just("undelete"), _record, _record),
        st.tuples(st.just("delete"), _record, _record),
        st.tuples(st.just("change"), _record, _record),
        st.tuples(st.just("fold"), _record, _record),
    ),
    max_size=14,
)
_numbers = count()


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    library = Library(tmp_path_factory.mktemp("merging"))
    yield library
    library.close()


def counted(library: Library, ids: list[int]) -> Counter[str]:
    """What the ledger makes of the events: a pair is counted while it is there."""
    present: dict[tuple[str, int], int] = {}
    for institution, record_id, change in library.writer.connection.execute(
        "SELECT institution, record_id, change FROM holding_event ORDER BY sequence"
    ):
        if record_id in ids:
            present[institution, record_id] = max(change, 0)
    totals: Counter[str] = Counter()
    for (institution, _), value in present.items():
        totals[institution] += value
    return totals


def holders(library: Library, ids: list[int]) -> set[tuple[str, int]]:
    """Which institution holds which record in the end, wherever its holding lies."""
    merges = library.writer.merges
    return {
        (row.holding.institution, counted_id)
        for record_id in ids
        for row in merges.holding_rows(record_id)
        for counted_id in row.counted_under
    }


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(OPERATIONS)
def test_no_order_of_changes_loses_a_holding_or_a_number(
    library: Library, operations: list[tuple[str, str | int, int]]
) -> None:
    writer, editor = library.writer, Editor(library.writer)
    run = next(_numbers)
    ids = [put(writer, book(f"r{run}-{n}", f"Title {n}")) for n in range(RECORDS)]
    for name, one, other in operations:
        before, held = counted(library, ids), holders(library, ids)
        with contextlib.suppress(UnknownRecord, MergeRefused, StoreError):
            if name == "hold":
                writer.put_holding(Holding(str(one), ids[other]), at_us=NOW_US)
            elif name == "drop":
                writer.remove_holding(str(one), ids[other], at_us=NOW_US)
            elif name == "fold":
                library.merge()
            else:
                first, second = ids[int(one)], ids[other]
                if name == "merge":
                    editor.merge(first, second, account="op", at_us=NOW_US)
                elif name == "undelete":
                    editor.undelete(first, account="op", at_us=NOW_US)
                elif name == "delete":
                    editor.delete(first, account="op", at_us=NOW_US)
                else:
                    marc = book("x", f"New {other}")
                    editor.replace(first, marc, based_on=None, account="op", at_us=NOW_US)
                assert counted(library, ids) == before
                assert holders(library, ids) == held
    connection = open_reader(writer.path)
    assert check(connection) == []
    connection.close()
    for record_id in ids:
        record = writer.rows.get(record_id)
        assert record is not None
        survivor = writer.merges.survivor(record_id)
        assert not survivor or record.deleted
        assert record.control_number.startswith(f"r{run}-")
        versions = editor.versions(record_id)
        assert [each.version for each in versions] == list(range(1, record.version + 1))
        assert len({each.identifier for each in versions}) == len(versions)
    # Giving everything up takes back everything that was counted.
    for record_id in ids:
        for institution in INSTITUTIONS:
            writer.remove_holding(institution, record_id, at_us=NOW_US)
    assert not +counted(library, ids)


def test_merges_are_read_in_order_with_what_was_undone(library: Library) -> None:
    editor = Editor(library.writer)
    events = MergeEvents(library.directory)
    last = max((each.sequence for each in events.after(0)), default=0)
    one, two, three = (put(library.writer, book(f"e{n}", "T")) for n in (1, 2, 3))
    editor.merge(one, two, account="op", at_us=NOW_US)
    editor.merge(one, three, account="op", at_us=NOW_US + 1)
    editor.undelete(two, account="op", at_us=NOW_US + 2)
    read = list(events.after(last))
    assert [(each.away_number, each.keep_number, each.undone_us) for each in read] == [
        ("e2", "e1", NOW_US + 2),
        ("e3", "e1", None),
    ]
    assert (read[0].database, read[0].account, read[0].at_us) == ("we_cat", "op", NOW_US)
    assert list(events.after(read[0].sequence)) == read[1:]
    events.close()

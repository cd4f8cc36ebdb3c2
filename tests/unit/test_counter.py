"""Usage reports in the manner of COUNTER: what counts, and how the forms look."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metering.counter_forms import REPORTS, THE_WORLD, Report, to_json, to_tsv
from metering.counter_report import Usage, count_usage
from metering.entry import Draft, Entry, Kind, Meter, accounting_day
from metering.interface import MeteringError
from metering.ledger import Ledger
from metering.search_counts import SearchCount, SearchCountFile
from tests.unit.test_settlement import SECOND_US, at

MORNING = at("2024-03-05T02:00:00")
HOUR_US = 3_600 * SECOND_US


def delivery(
    number: int, after_s: float, record_id: int = 7, session: str = "a-1", account: str = "pku01",
    protocol: str = "z3950", database: str = "cn_cat",
) -> Draft:  # fmt: skip
    return Draft(
        id=f"d{number}", kind=Kind.DELIVERY, at_us=MORNING + int(after_s * SECOND_US),
        institution="PKU", account=account, database=database, record_id=record_id,
        protocol=protocol, session=session,
    )  # fmt: skip


def counted(
    tmp_path: Path, drafts: Sequence[Draft], searches: Sequence[SearchCount] = (), **more: object
) -> Usage:
    ledger = Ledger(tmp_path / "ledger.sqlite")
    try:
        ledger.append(drafts)
        entries: list[Entry] = list(ledger.entries("PKU", 2024))
    finally:
        ledger.close()
    databases = ["cn_cat", "we_cat"]
    return count_usage(2024, lambda: entries, searches, databases=databases, **more)  # type: ignore[arg-type]


def march(usage: Usage, metric: str, database: str = "") -> int:
    return sum(
        months[2]
        for (of, _, named), months in usage.rows.items()
        if (of, named) == (database, metric)
    )


@pytest.mark.parametrize(
    ("times_s", "total"),
    [
        ([0], 1),
        ([0, 30], 1),  # a double click
        ([0, 31], 2),
        ([0, 25, 50, 75], 1),  # each within 30 seconds of the one before
        ([0, 25, 60], 2),
    ],
)
def test_clicks_within_30_seconds_are_one_request(
    tmp_path: Path, times_s: list[float], total: int
) -> None:
    usage = counted(tmp_path, [delivery(n, after_s) for n, after_s in enumerate(times_s)])
    assert march(usage, "Total_Item_Requests") == total
    assert march(usage, "Total_Item_Investigations", "cn_cat") == total
    assert march(usage, "Unique_Item_Requests") == 1


def test_of_a_double_click_over_the_end_of_a_month_the_last_counts(tmp_path: Path) -> None:
    end_s = (at("2024-03-31T16:00:00") - MORNING) / SECOND_US
    usage = counted(tmp_path, [delivery(1, end_s - 5), delivery(2, end_s + 5)])
    total = usage.rows["", "Database_Full_Item", "Total_Item_Requests"]
    assert (total[2], total[3]) == (0, 1)


def test_two_accounts_make_no_double_click(tmp_path: Path) -> None:
    usage = counted(tmp_path, [delivery(1, 0), delivery(2, 1, account="pku02", session="a-2")])
    assert march(usage, "Total_Item_Requests") == 2


@pytest.mark.parametrize(
    ("second", "unique"),
    [
        ({"after_s": 7_200}, 1),  # the same association all morning
        ({"after_s": 60, "session": "a-2"}, 2),
        ({"after_s": 60, "record_id": 8}, 2),
        ({"after_s": 86_400}, 2),  # an association of two days is two sessions
    ],
)
def test_an_item_is_unique_in_a_session(
    tmp_path: Path, second: dict[str, object], unique: int
) -> None:
    usage = counted(tmp_path, [delivery(1, 0), delivery(2, **second)])  # type: ignore[arg-type]
    assert march(usage, "Total_Item_Requests") == 2
    assert march(usage, "Unique_Item_Requests") == unique


@pytest.mark.parametrize(("after_s", "unique"), [(1_800, 1), (3_600, 2)])
def test_over_http_an_account_has_a_session_an_hour(
    tmp_path: Path, after_s: int, unique: int
) -> None:
    sru = [
        delivery(number, seconds, protocol="sru", session=f"h-{number}")
        for number, seconds in ((1, 0), (2, after_s))
    ]
    assert march(counted(tmp_path, sru), "Unique_Item_Requests") == unique


def test_a_double_click_in_another_session_leaves_one_unique_request(tmp_path: Path) -> None:
    """A client that connects anew for each record, as a Z39.50 gateway does."""
    clicks = [delivery(n, 5 * n, session=f"a-{n}") for n in range(4)]
    usage = counted(tmp_path, clicks)
    assert march(usage, "Total_Item_Requests") == 1
    assert march(usage, "Unique_Item_Requests", "cn_cat") == 1


@given(
    st.lists(
        st.tuples(st.integers(0, 60), st.integers(1, 2), st.integers(1, 3), st.booleans()),
        max_size=25,
    )
)
def test_unique_requests_are_never_more_than_all(
    clicks: list[tuple[int, int, int, bool]],
) -> None:
    after_s = 86_400 * 26 + 13 * 3_600 + 59 * 60  # over the end of a month
    entries = []
    for number, (pause_s, record_id, session, over_http) in enumerate(clicks):
        after_s += pause_s
        draft = delivery(
            number, after_s, record_id, f"a-{session}", protocol="sru" if over_http else "z3950"
        )
        year, day = accounting_day(draft.at_us)
        entries.append(
            Entry(
                number + 1, draft.id, draft.kind, Meter.DOWNLOAD, 1, "PKU", draft.account,
                draft.database, record_id, "", draft.at_us, year, day, draft.protocol,
                draft.session, "", "", "", b"", b"",
            )
        )  # fmt: skip
    usage = count_usage(2024, lambda: entries, [], databases=["cn_cat"])
    for kind in ("Requests", "Investigations"):
        total = usage.rows.get(("", "Database_Full_Item", f"Total_Item_{kind}"), [0] * 12)
        unique = usage.rows.get(("", "Database_Full_Item", f"Unique_Item_{kind}"), [0] * 12)
        assert all(0 <= few <= many for few, many in zip(unique, total, strict=True))
        assert bool(sum(unique)) == bool(clicks)


def test_voids_batches_and_robots_do_not_count(tmp_path: Path) -> None:
    drafts = [
        delivery(1, 0),
        Draft(id="v", kind=Kind.VOID, at_us=MORNING + 5, refers_to="d1"),
        Draft(id="b", kind=Kind.BATCH, at_us=MORNING, institution="PKU", record_id=9,
              database="cn_cat", item="batch.delivery"),
        delivery(2, 100, account="pku+harvester"),
    ]  # fmt: skip
    searches = [SearchCount("PKU", "pku+harvester", 20240305, "cn_cat", "sru", 100)]
    usage = counted(tmp_path, drafts, searches, excluded_accounts=["pku+harvester"])
    assert usage.rows == {}


def test_searches_count_for_each_database_and_once_for_the_platform(tmp_path: Path) -> None:
    searches = [
        SearchCount("PKU", "pku01", 20240305, "cn_cat", "z3950", 3),
        SearchCount("PKU", "pku01", 20240306, "cn_cat,we_cat", "z3950", 2),
        SearchCount("PKU", "pku01", 20240307, "all", "sru", 5),
    ]
    usage = counted(tmp_path, [], searches)
    assert march(usage, "Searches_Platform") == 10
    assert march(usage, "Searches_Regular", "cn_cat") == 5
    assert march(usage, "Searches_Regular", "we_cat") == 2
    assert march(usage, "Searches_Automated", "we_cat") == 5


# Forms


def report(tmp_path: Path, report_id: str = "PR", **more: object) -> Report:
    searches = [SearchCount("PKU", "pku01", 20240305, "cn_cat", "z3950", 3)]
    usage = counted(tmp_path, [delivery(1, 0), delivery(2, 100)], searches)
    values: dict[str, object] = {
        "report_id": report_id, "usage": usage, "code": "PKU", "name": "北京大学图书馆",
        "first_month": 1, "last_month": 12, "created_us": at("2025-01-15T09:11:12"),
        "titles": {"cn_cat": "中文图书"}, "publisher": "CALIS",
    }  # fmt: skip
    return Report(**(values | more))  # type: ignore[arg-type]


def rows_of(text: str) -> list[list[str]]:
    return [line.split("\t") for line in text.splitlines()]


def test_a_tsv_has_thirteen_rows_of_header_an_empty_one_and_the_body(tmp_path: Path) -> None:
    rows = rows_of(to_tsv(report(tmp_path)))
    assert [row[0] for row in rows[:13]] == [
        "Report_Name", "Report_ID", "Release", "Institution_Name", "Institution_ID",
        "Metric_Types", "Report_Filters", "Report_Attributes", "Exceptions",
        "Reporting_Period", "Created", "Created_By", "Registry_Record",
    ]  # fmt: skip
    assert rows[2][1] == "5.1"
    assert rows[4][1] == "Lianmu:PKU"
    assert rows[9][1] == "Begin_Date=2024-01-01; End_Date=2024-12-31"
    assert rows[10][1] == "2025-01-15T09:11:12Z"
    assert rows[13] == [""]
    heading = ["Platform", "Data_Type", "Metric_Type", "Reporting_Period_Total", "Jan-2024"]
    assert rows[14][:5] == heading
    assert rows[14][-1] == "Dec-2024"
    body = {row[2]: row for row in rows[15:]}
    assert body["Searches_Platform"][:4] == ["Lianmu", "Platform", "Searches_Platform", "3"]
    assert body["Total_Item_Requests"][3:8] == ["2", "0", "0", "2", "0"]
    assert body["Unique_Item_Requests"][3] == "1"


def test_a_database_report_names_the_database(tmp_path: Path) -> None:
    rows = rows_of(to_tsv(report(tmp_path, "DR")))
    assert rows[14][:8] == [
        "Database", "Publisher", "Publisher_ID", "Platform", "Proprietary_ID", "Data_Type",
        "Metric_Type", "Reporting_Period_Total",
    ]  # fmt: skip
    searches = next(row for row in rows[15:] if row[6] == "Searches_Regular")
    assert searches[:6] == ["中文图书", "CALIS", "", "Lianmu", "Lianmu:cn_cat", "Database_Full"]


@pytest.mark.parametrize("report_id", ["PR_P1", "DR_D1"])
def test_a_view_has_its_metrics_and_no_data_type(tmp_path: Path, report_id: str) -> None:
    rows = rows_of(to_tsv(report(tmp_path, report_id)))
    assert "Data_Type" not in rows[14]
    place = rows[14].index("Metric_Type")
    assert {row[place] for row in rows[15:]} <= set(REPORTS[report_id].metrics)
    assert rows[5][1] == "; ".join(REPORTS[report_id].metrics)
    assert rows[6][1] == "Access_Method=Regular"


def test_json_has_the_structure_of_the_api(tmp_path: Path) -> None:
    document = json.loads(to_json(report(tmp_path)))
    header = document["Report_Header"]
    assert (header["Release"], header["Report_ID"]) == ("5.1", "PR")
    assert header["Institution_ID"] == {"Proprietary": ["Lianmu:PKU"]}
    assert header["Report_Filters"] == {"Begin_Date": "2024-01-01", "End_Date": "2024-12-31"}
    (item,) = document["Report_Items"]
    assert item["Platform"] == "Lianmu"
    by_type = {each["Data_Type"]: each["Performance"] for each in item["Attribute_Performance"]}
    assert by_type["Platform"] == {"Searches_Platform": {"2024-03": 3}}
    assert by_type["Database_Full_Item"]["Total_Item_Requests"] == {"2024-03": 2}


def test_json_of_a_view_sums_over_data_types(tmp_path: Path) -> None:
    (item,) = json.loads(to_json(report(tmp_path, "DR_D1")))["Report_Items"]
    assert item["Item_ID"] == {"Proprietary": "Lianmu:cn_cat"}
    (performance,) = item["Attribute_Performance"]
    assert set(performance) == {"Performance"}
    assert performance["Performance"]["Searches_Regular"] == {"2024-03": 3}


def test_all_usage_is_that_of_the_world(tmp_path: Path) -> None:
    world = report(tmp_path, code="", name=THE_WORLD)
    rows = rows_of(to_tsv(world))
    assert rows[3][1] == "The World"
    assert rows[4][1] == "Lianmu:0000000000000000"


def test_a_period_that_is_not_over_is_an_exception(tmp_path: Path) -> None:
    running = report(tmp_path, available_to="2024-03-06", first_month=3, last_month=3)
    rows = rows_of(to_tsv(running))
    assert rows[8][1] == (
        "3031: Usage Not Ready for Requested Dates (request was for 2024-03-01 to 2024-03-31;"
        " however, usage is only available to 2024-03-06)"
    )
    assert rows[14][-1] == "Mar-2024"
    (exception,) = json.loads(to_json(running))["Report_Header"]["Exceptions"]
    assert exception["Code"] == 3031


def test_a_month_without_usage_has_an_empty_body(tmp_path: Path) -> None:
    january = report(tmp_path, first_month=1, last_month=1)
    assert len(rows_of(to_tsv(january))) == 15
    assert json.loads(to_json(january))["Report_Items"] == []


# The file of searches


def test_counts_add_up_in_the_file(tmp_path: Path) -> None:
    file = SearchCountFile(tmp_path)
    assert file.of_year(2024) == []
    count = SearchCount("PKU", "pku01", 20240305, "cn_cat", "z3950", 3)
    file.add([count, count])
    file.add([count, count._replace(institution="THU"), count._replace(day=20231231)])
    assert [(each.institution, each.searches) for each in file.of_year(2024)] == [
        ("PKU", 9), ("THU", 3),
    ]  # fmt: skip
    assert file.of_year(2024, "THU") == [count._replace(institution="THU")]


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "usage.sqlite").write_bytes(b"no database" * 100)
    with pytest.raises(MeteringError, match=r"usage\.sqlite"):
        SearchCountFile(tmp_path).of_year(2024)

"""A member's year over the API: what it did, what it owes, and every entry of it."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

import openpyxl
import pytest

from metering.entry import Draft, Kind
from metering.ledger import Ledger
from server.config import load_config
from tests.api.client import V1, Client
from tests.api.conftest import api_server
from tests.harness import RunningServer, lianmu

DEMO1 = f"{V1}/institutions/DEMO1"
YEAR = 2024
AT_US = 1_717_200_000_000_000  # in June of that year
DOWNLOADS, HOLDINGS = 7, 5


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with api_server(tmp_path_factory.mktemp("figures")) as running:
        ledger = Ledger(load_config(running.config).ledger_path)
        drafts = [
            Draft(
                id=f"d{n}",
                kind=Kind.DELIVERY,
                at_us=AT_US + n * 3_600_000_000,
                institution="DEMO1",
                account="demo1",
                database="we_cat",
                record_id=n + 1,
                control_number=f"w{n}",
                protocol="z3950",
            )
            for n in range(DOWNLOADS)
        ]
        drafts += [
            Draft(
                id=f"h{n}",
                kind=Kind.HOLDING_ADDED,
                at_us=AT_US,
                institution="DEMO1",
                account="demo1",
                database="we_cat",
                record_id=n + 1,
                control_number=f"w{n}",
            )
            for n in range(HOLDINGS)
        ]
        drafts.append(
            Draft(id="other", kind=Kind.DELIVERY, at_us=AT_US, institution="DEMO2", record_id=1)
        )
        ledger.append(drafts)
        ledger.close()
        done = lianmu(
            "settle", str(YEAR), "--final", "--as", "test", "--config", str(running.config)
        )
        assert done.returncode == 0, done.stderr
        yield running


def test_a_settled_year_is_shown_with_its_document(member: Client, operator: Client) -> None:
    told = member.get(f"{DEMO1}/usage/{YEAR}").ok()
    assert {name: told[name] for name in ("holdings", "downloads", "quota", "billable")} == {
        "holdings": 5, "downloads": 7, "quota": 6, "billable": 1,
    }  # fmt: skip
    assert told["money"] == {"downloads_fen": 100, "batch_fen": 0, "credit_fen": 0}
    assert told["is_estimate"] is False
    (number,) = told["documents"]
    assert told["documents"][number] == 100
    (document,) = member.every(f"{DEMO1}/settlements", year=YEAR)
    assert (document["number"], document["net_fen"], document["status"]) == (number, 100, "final")
    assert sum(line["amount_fen"] for line in document["lines"]) == 100
    assert member.every(f"{DEMO1}/settlements", year=2023) == []
    assert operator.every(f"{DEMO1}/settlements", limit=1) == [document]
    quiet = member.get(f"{DEMO1}/usage/2023").ok()
    assert (quiet["downloads"], quiet["is_estimate"]) == (0, True)
    member.get(f"{DEMO1}/usage/1900").problem(404, "not-found")
    member.get(f"{DEMO1}/usage/{YEAR}x").problem(404, "not-found")


def test_every_figure_is_a_sum_of_ledger_entries(member: Client) -> None:
    entries = member.every(f"{DEMO1}/ledger", year=YEAR, limit=3)
    assert {each["institution"] for each in entries} == {"DEMO1"}
    assert [each["seq"] for each in entries] == sorted(each["seq"] for each in entries)
    sums: dict[str, int] = {}
    for each in entries:
        sums[each["meter"]] = sums.get(each["meter"], 0) + each["quantity"]
    assert (sums["download"], sums["holding"]) == (DOWNLOADS, HOLDINGS)
    assert len(member.every(f"{DEMO1}/ledger", meter="holding", limit=2)) == HOLDINGS
    assert len(member.every(f"{DEMO1}/ledger", kind="delivery")) == DOWNLOADS
    (one,) = member.every(f"{DEMO1}/ledger", control_number="w3", kind="delivery")
    assert (one["id"], one["protocol"], len(one["hash"])) == ("d3", "z3950", 64)
    since = member.every(f"{DEMO1}/ledger", since=one["at"], kind="delivery")
    assert [each["id"] for each in since] == ["d3", "d4", "d5", "d6"]
    until = member.every(f"{DEMO1}/ledger", until=one["at"], kind="delivery")
    assert [each["id"] for each in until] == ["d0", "d1", "d2"]
    member.get(f"{DEMO1}/ledger", since="2024-06-01").problem(400, "parameter")
    member.get(f"{DEMO1}/ledger", since="2024-06-01T00:00:00").problem(400, "parameter")
    member.get(f"{DEMO1}/ledger", since="0.5").problem(400, "parameter")
    member.get(f"{DEMO1}/ledger", kind="theft").problem(400, "parameter")


def test_a_statement_is_downloaded_in_each_form(member: Client, reader: Client) -> None:
    path = f"{DEMO1}/statements/{YEAR}"
    made = member.get(path)
    assert made.header("Content-Disposition") == f'attachment; filename="DEMO1-{YEAR}.json"'
    assert len(made.json["entries"]) == DOWNLOADS + HOLDINGS
    table = member.get(path, format="csv")
    rows = list(csv.DictReader(io.StringIO(table.body.decode("utf-8-sig"))))
    assert sum(row["part"] == "entry" for row in rows) == DOWNLOADS + HOLDINGS
    assert b'lang="zh-Hans"' in member.get(path, format="html", language="zh").body
    assert member.get(path, format="pdf", language="en").body.startswith(b"%PDF-")
    book = openpyxl.load_workbook(io.BytesIO(member.get(path, format="xlsx").body))
    assert book.worksheets
    again = member.get(path)
    assert again.body == made.body
    estimate = member.get(f"{DEMO1}/statements/2023").ok()
    assert estimate["entries"] == []
    member.get(path, format="doc").problem(400, "parameter")
    assert reader.get(path).problem(403, "right")["right"] == "manager"
    member.get(f"{V1}/institutions/DEMO2/statements/{YEAR}").problem(403, "right")
    assert reader.get(f"{DEMO1}/usage/{YEAR}").status == 200

"""Searches are counted by account and database, and stored without being lost."""

from __future__ import annotations

import asyncio
import urllib.parse
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from metering.interface import MeteringError
from metering.search_counts import SearchCountFile
from protocol.diagnostic import Bib1, Diagnostic
from protocol.record import Database, MarcFamily
from server.access_control.access import Principal
from server.accounting import search_counts
from server.accounting.search_counts import NAMES_MAX, SearchCounts
from server.cli import main
from store.members import Members
from tests.server.own_server import cnmarc, marc21, own_server
from tests.z3950_client import connected

YEAR = (datetime.now(UTC) + timedelta(hours=8)).year
CN = Database("cn_cat", "Chinese", MarcFamily.UNIMARC, ("cn",))
WE = Database("we_cat", "Western", MarcFamily.MARC21, ())
PKU = Principal("pku01", "PKU")


def resolve(names: tuple[str, ...]) -> tuple[Database, ...] | Diagnostic:
    found: list[Database] = []
    for name in names:
        by_name = {"cn_cat": [CN], "cn": [CN], "we_cat": [WE], "all": [CN, WE]}
        if name.lower() not in by_name:
            return Diagnostic(Bib1.DATABASE_UNAVAILABLE, name)
        found += by_name[name.lower()]
    return tuple(dict.fromkeys(found))


def stored(folder: Path) -> dict[str, int]:
    return {each.databases: each.searches for each in SearchCountFile(folder).of_year(YEAR)}


async def test_names_are_stored_as_configured_whatever_was_written(tmp_path: Path) -> None:
    counts = SearchCounts(tmp_path, resolve)
    of_pku = counts.of(PKU, "z3950")
    for names in (("cn_cat",), ("CN",), ("we_cat", "cn_cat"), ("All",), ("gone",)):
        of_pku[names] += 1
    await counts.stop()
    assert stored(tmp_path) == {"cn_cat": 2, "all": 2, "gone": 1}


async def test_a_session_goes_on_counting_after_its_counts_were_stored(tmp_path: Path) -> None:
    counts = SearchCounts(tmp_path, resolve)
    of_pku = counts.of(PKU, "z3950")
    for _ in range(3):
        of_pku["cn_cat",] += 1
        await counts.store()
    assert stored(tmp_path) == {"cn_cat": 3}
    assert counts.of(PKU, "z3950") is of_pku


async def test_what_cannot_be_stored_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = SearchCounts(tmp_path, resolve)
    counts.of(PKU, "sru")["cn_cat",] += 2

    def fail(*_: object) -> None:
        raise MeteringError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(SearchCountFile, "add", fail)
        await counts.store()
    counts.of(PKU, "sru")["cn_cat",] += 1
    await counts.store()
    assert stored(tmp_path) == {"cn_cat": 3}


async def test_ever_new_spellings_do_not_fill_the_memory(tmp_path: Path) -> None:
    counts = SearchCounts(tmp_path, resolve)
    of_pku = counts.of(PKU, "z3950")
    for number in range(3 * NAMES_MAX):
        of_pku[("cn_cat",) * (number + 1)] += 1
        assert len(of_pku) <= NAMES_MAX + 1
    await counts.store()
    assert stored(tmp_path) == {"cn_cat": 3 * NAMES_MAX}


async def test_counts_are_stored_without_being_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search_counts, "INTERVAL_S", 0.01)
    counts = SearchCounts(tmp_path, resolve)
    counts.start()
    counts.of(PKU, "z3950")["cn_cat",] += 1
    for _ in range(500):
        await asyncio.sleep(0.01)
        if stored(tmp_path):
            break
    await counts.stop()
    assert stored(tmp_path) == {"cn_cat": 1}


def test_a_members_searches_of_all_protocols_are_in_its_report(tmp_path: Path) -> None:
    records = {
        "we_cat": [marc21(f"w{number}", f"Volume {number} of many") for number in range(3)],
        "cn_cat": [cnmarc("c1", "红楼梦")],
    }
    with own_server(tmp_path, records) as server:
        with connected(server.z3950, "demo1/demo1") as client:
            for _ in range(3):  # the long way, and then at once
                client.search("@attr 1=4 many", "we_cat")
            client.search("@attr 1=4 many", "WE_CAT", "cn_cat")
            client.search("@attr 1=4 many", "nowhere")  # no search of any database
            client.present(1, 2)
        for start in (1, 2):  # the second page is of the same search
            query = urllib.parse.urlencode(
                {"query": "dc.title=many", "startRecord": start, "maximumRecords": 1,
                 "recordSchema": "brief", "operation": "searchRetrieve", "version": "1.2"}
            )  # fmt: skip
            request = urllib.request.Request(f"{server.url}/we_cat?{query}")
            request.add_header("Authorization", "Basic ZGVtbzE6ZGVtbzE=")
            urllib.request.urlopen(request, timeout=10).read()
        page = urllib.request.Request(f"{server.url}/we_cat?q=many")
        page.add_header("Accept", "text/html")
        page.add_header("Authorization", "Basic ZGVtbzE6ZGVtbzE=")
        assert b"Volume 1 of many" in urllib.request.urlopen(page, timeout=10).read()
        page.remove_header("Authorization")
        assert b"Volume 1 of many" in urllib.request.urlopen(page, timeout=10).read()
        assert server.stop() == 0
    counts = SearchCountFile(tmp_path / "data").of_year(YEAR)
    of_demo1 = [each for each in counts if each.institution == "DEMO1"]
    assert {(each.protocol, each.databases): each.searches for each in of_demo1} == {
        ("z3950", "we_cat"): 3,
        ("z3950", "cn_cat,we_cat"): 1,
        ("sru", "we_cat"): 1,
        ("web", "we_cat"): 1,  # a page that was asked for with a password
    }
    # A browser that is not signed in is nobody's, and counts for all usage.
    (anonymous,) = [each for each in counts if not each.institution]
    assert (anonymous.protocol, anonymous.databases, anonymous.searches) == ("web", "we_cat", 1)
    config = str(tmp_path / "config.toml")
    done = CliRunner().invoke(
        main, ["counter", "demo1", "--year", str(YEAR), "--report", "pr_p1", "--config", config]
    )
    assert done.exit_code == 0, done.output
    lines = [line.split("\t") for line in done.stdout.splitlines()]
    totals = {line[1]: line[2] for line in lines[15:]}
    assert totals["Searches_Platform"] == "6"
    assert "3031" in lines[8][1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--year", "2024"], "name a member's CODE, or --all"),
        (["PKU", "--all", "--year", "2024"], "name a member's CODE, or --all"),
        (["NOBODY", "--year", "2024"], "no institution NOBODY"),
        (["--all", "--year", "2024", "--month", "13"], "13 is not in the range"),
        (["--all"], "Missing option '--year'"),
    ],
)
def test_bad_input_is_refused_in_one_line(
    tmp_path: Path, arguments: list[str], message: str
) -> None:
    config = tmp_path / "config.toml"
    config.write_text('[server]\ndata_dir = "data"\n')
    Members(tmp_path / "data" / "members.sqlite", create=True).close()
    done = CliRunner().invoke(main, ["counter", *arguments, "--config", str(config)])
    assert done.exit_code == 2
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1

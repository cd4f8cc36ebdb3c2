"""Real MARC files go in by `lianmu load` and come out of the server as they were."""

from __future__ import annotations

import json
import lzma
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pymarc
import pytest

from protocol import apdu, oid
from protocol.iso2709 import build, parse
from tests.harness import RunningServer, lianmu, serving
from tests.z3950_client import Client, connected, records

pytestmark = [pytest.mark.shared_data, pytest.mark.timeout(900)]

CONFIG = """\
[server]
data_dir = "data"
workers = 1
[z3950]
port = 0
[http]
port = 0
[[database]]
name = "we_cat"
title = "MARC 21"
family = "marc21"
[[database]]
name = "cn_cat"
title = "UNIMARC"
family = "unimarc"
"""

# Files in UTF-8 whose records must come back octet for octet.
UTF_8_FILES = {
    "we_cat": (
        "marc21/gpo-cgp-new-2022-2024.mrc.xz",
        "marc21/gpo-nist-utf8.mrc.xz",
        "marc21/folio-1000.mrc.xz",
        "marc21/evergreen-nepali.marc.xz",
        "cjk/yaz-marccol1.mrc",
        "cjk/yaz-marccol5.mrc",
        "cjk/stanford-u2103-utf8.mrc",
        "cjk/marc4j-oclc-utf8.mrc",
    ),
    "cn_cat": (
        "unimarc/periouni-3064.mrc.xz",
        "unimarc/romania-21.mrc",
        "unimarc/cmarc-38.mrc",
        "cnmarc/derived-utf8.mrc",
    ),
}
# Everything else that a load must survive: other encodings, XML, damage.
OTHER_FILES = {
    "we_cat": (
        "marc21/uva-2000.mrc.xz",
        "marc21/evergreen-jazz-1000.mrc.xz",
        "marc21/evergreen-french-500.mrc.xz",
        "marc21/evergreen-hebrew.marc",
        "marc21/koha-bib.xml.xz",
        "marc21/lc-princeton.xml.xz",
        "cjk/trln-cjk.xml",
        "cjk/princeton-cjk.xml",
        "cjk/xbib-irmarc8.mrc",
        "union/aco-cornell.xml.xz",
    ),
    "cn_cat": ("cnmarc/derived-gb18030.mrc", "cnmarc/danching-gbk-2.iso"),
}
SAMPLE = 40  # records of each file that are asked for one by one


def read(path: Path) -> bytes:
    return lzma.decompress(path.read_bytes()) if path.suffix == ".xz" else path.read_bytes()


def iso2709_records(path: Path) -> list[bytes]:
    return [chunk + b"\x1d" for chunk in read(path).split(b"\x1d") if len(chunk) > 24]


@dataclass
class Loaded:
    server: RunningServer
    summaries: dict[str, dict[str, int]]
    delivered: int = 0


def load(config: Path, database: str, *files: Path, **options: str) -> dict[str, int]:
    arguments = [f"--{name}={value}" for name, value in options.items()]
    done = lianmu(
        "load", "--config", str(config), "--database", database, *arguments, *map(str, files),
        timeout_s=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = re.findall(r"^(\w+) +([\d,]+)", done.stdout, re.MULTILINE)
    return {name: int(number.replace(",", "")) for name, number in found}


@pytest.fixture(scope="module")
def loaded(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loaded]:
    folder = tmp_path_factory.mktemp("real")
    config = folder / "config.toml"
    config.write_text(CONFIG)
    lianmu("member", "add", "PKU", "--name", "PKU", "--password", "p", "--config", str(config))
    summaries = {}
    for group in (OTHER_FILES, UTF_8_FILES):
        for database, names in group.items():
            for name in names:
                summaries[name] = load(config, database, shared_data / name)
    bad = sorted((shared_data / "bad").iterdir())
    summaries["bad"] = load(config, "we_cat", *bad)
    with serving(config) as server:
        yield Loaded(server, summaries)


def spread(items: list[bytes], count: int) -> list[bytes]:
    step = max(1, len(items) // count)
    return items[::step][:count]


def quoted(term: str) -> str:
    escaped = term.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def newest(path: Path) -> dict[str, bytes]:
    """The last record of each 003 and 001, which is the one that stays."""
    found: dict[str, bytes] = {}
    for raw in iso2709_records(path):
        record = pymarc.Record(raw, to_unicode=True, force_utf8=True)
        number = record["001"].data if "001" in record else None
        agency = record["003"].data if "003" in record else ""
        if number:
            found[f"{agency}\0{number}"] = raw
    return found


@pytest.mark.parametrize(
    ("database", "name"),
    [(database, name) for database, names in UTF_8_FILES.items() for name in names],
)
def test_a_utf_8_record_comes_back_octet_for_octet(
    loaded: Loaded, shared_data: Path, database: str, name: str
) -> None:
    by_number = newest(shared_data / name)
    syntax = oid.USMARC if database == "we_cat" else oid.UNIMARC
    with connected(loaded.server.z3950, "pku/p") as client:
        for key in spread(list(map(str.encode, by_number)), SAMPLE):
            number = key.decode().split("\0")[1]
            got = all_records(client, f"@attr 1=12 {quoted(number)}", database, syntax)
            loaded.delivered += len(got)
            raw = by_number[key.decode()]
            if "005" not in pymarc.Record(raw, to_unicode=True, force_utf8=True):
                got = list(map(without_005, got))  # every record goes out with one
            assert raw in got, number


def without_005(marc: bytes) -> bytes:
    record = parse(marc)
    return build(record.leader, [field for field in record.fields if field.tag != "005"])


def all_records(client: Client, query: str, database: str, syntax: oid.Oid) -> list[bytes]:
    hits = client.search(query, database).result_count
    assert hits >= 1, query
    return records(client.present(1, hits, syntax)) if hits else []


@pytest.mark.parametrize(
    "name",
    ["marc21/gpo-cgp-new-2022-2024.mrc.xz", "marc21/folio-1000.mrc.xz", "cjk/yaz-marccol1.mrc",
     "unimarc/romania-21.mrc", "cnmarc/derived-utf8.mrc"],
)  # fmt: skip
def test_a_record_is_found_by_its_own_title_author_and_isbn(
    loaded: Loaded, shared_data: Path, name: str
) -> None:
    unimarc = not name.startswith(("marc21", "cjk"))
    database = "cn_cat" if unimarc else "we_cat"
    asked = 0
    with connected(loaded.server.z3950, "pku/p") as client:
        for raw in spread(list(newest(shared_data / name).values()), SAMPLE):
            record = pymarc.Record(raw, to_unicode=True, force_utf8=True)
            number = quoted(record["001"].data or "")
            for use, value in own_terms(record, unimarc=unimarc):
                asked += 1
                query = f"@and @attr 1=12 {number} @attr 1={use} {quoted(value)}"
                assert client.search(query, database).result_count >= 1, query
    assert asked > min(SAMPLE, 15)


def own_terms(record: pymarc.Record, *, unimarc: bool) -> Iterator[tuple[int, str]]:
    titles, authors, isbns = ("200", ("700", "701"), "010") if unimarc else ("245", ("100",), "020")
    for use, tags in ((4, (titles,)), (1003, authors), (7, (isbns,))):
        for field in record.get_fields(*tags):
            for text in field.get_subfields("a")[:1]:
                value = re.split(r"[ (:]", text.strip())[0] if use == 7 else text
                if re.search(r"\w", value):
                    yield use, value


def test_every_file_is_accounted_for_record_by_record(loaded: Loaded) -> None:
    for name, summary in loaded.summaries.items():
        stored = summary["loaded"] + summary["replaced"] + summary["unchanged"]
        assert stored > 0, name
    counts = {
        "marc21/gpo-cgp-new-2022-2024.mrc.xz": 22_926,
        "marc21/uva-2000.mrc.xz": 2_000,
        "marc21/koha-bib.xml.xz": 435,
        "unimarc/periouni-3064.mrc.xz": 3_064,
        "cnmarc/derived-gb18030.mrc": 94,
        "cnmarc/danching-gbk-2.iso": 2,
    }
    for name, records_in_file in counts.items():
        summary = loaded.summaries[name]
        total = sum(summary[part] for part in ("loaded", "replaced", "unchanged", "refused"))
        assert (total, summary["refused"]) == (records_in_file, 0), (name, summary)


def test_gb18030_records_are_found_and_delivered_in_utf_8(
    loaded: Loaded, shared_data: Path
) -> None:
    raw = iso2709_records(shared_data / "cnmarc/danching-gbk-2.iso")[0]
    title = re.search(rb"\x1fa([^\x1f\x1e]+)", raw[raw.index(b"\x1fa", 300) :])
    assert title is not None
    with connected(loaded.server.z3950, "pku/p") as client:
        found = client.search("@attr 1=1016 @attr 4=1 中国", "cn_cat")
        assert found.result_count > 0
        (record,) = records(client.present(1, 1, oid.UNIMARC))
        loaded.delivered += 1
        record.decode("utf-8")


def test_bad_records_are_refused_with_reasons_and_the_rest_is_there(loaded: Loaded) -> None:
    summary = loaded.summaries["bad"]
    assert summary["refused"] > 0
    assert summary["loaded"] + summary["replaced"] + summary["unchanged"] > 300
    reports = list((loaded.server.config.parent / "data" / "reports").glob("load-we_cat-*"))
    assert reports
    assert any("offset" in report.read_text("utf-8").splitlines()[0] for report in reports)


def test_the_ledger_counts_exactly_what_was_delivered(loaded: Loaded) -> None:
    before = usage(loaded)
    with connected(loaded.server.z3950, "pku/p") as client:
        hits = client.search("@attr 1=1016 the", "we_cat").result_count
        assert hits > 500
        received = 0
        for start in range(1, 301, 50):
            response = client.present(start, 50)
            assert response.present_status == apdu.PresentStatus.SUCCESS
            received += len(records(response))
    after = usage(loaded)
    counted = after["downloads"] + after["repeats"] - before["downloads"] - before["repeats"]
    assert counted == received == 300


def usage(loaded: Loaded) -> dict[str, int]:
    done = lianmu("usage", "PKU", "--json", "--config", str(loaded.server.config))
    figures: dict[str, int] = json.loads(done.stdout)
    return figures

"""`lianmu export`: what it chooses, in which forms, and that nothing is lost silently."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from lxml import etree

from protocol.iso2709 import Field, build, parse
from protocol.record import Holding
from server.cataloguing.export_forms import ExportForm, Written, export_form
from server.cli import main
from server.config import load_config, parse_config
from store.export import Selection, exported
from store.load import load
from store.members import Members
from store.writer import CatalogueWriter
from tests.catalogue_records import LEADER, book, chinese_book, put

WESTERN = [book(f"n{number}", f"Tïtle {number}", author="Cao", year="1999") for number in range(4)]
CHINESE = [chinese_book(f"c{number}", f"红楼梦 {number}", "曹雪芹") for number in range(3)]

Export = Callable[..., Result]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "config.toml"
    path.write_text('[server]\ndata_dir = "data"\nworkers = 1\n')
    return path


@pytest.fixture
def writer(config: Path) -> Iterator[CatalogueWriter]:
    read = load_config(config)
    writer = CatalogueWriter(read.data_dir, read.databases, durable=False)
    with closing(Members(read.members_path, create=True)) as members:
        for code in ("PKU", "THU", "NJU"):
            members.add_institution(code, code, 0)
    for marc in WESTERN:
        put(writer, marc)
    for marc in CHINESE:
        put(writer, marc, "cn_cat")
    yield writer
    writer.close()


@pytest.fixture
def export(config: Path, writer: CatalogueWriter) -> Export:
    def run(*arguments: str) -> Result:
        return CliRunner().invoke(
            main, ["export", "--config", str(config), *arguments], prog_name="lianmu"
        )

    return run


def numbers(result: Result) -> list[str]:
    """Control numbers of records that are exported as JSON."""
    assert result.exit_code == 0, result.output
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    return [line["fields"][0]["001"] for line in lines]


def test_records_come_as_they_are_kept(export: Export, tmp_path: Path) -> None:
    result = export("--out", str(tmp_path / "all.mrc"))
    assert (tmp_path / "all.mrc").read_bytes() == b"".join(WESTERN + CHINESE)
    assert result.stdout == "written             7\n"
    assert not list(tmp_path.glob("*.part"))
    to_stdout = export()
    assert to_stdout.stdout_bytes == b"".join(WESTERN + CHINESE)
    assert to_stdout.stderr == "written             7\n"


def test_what_is_chosen(export: Export, writer: CatalogueWriter) -> None:
    assert numbers(export("--form", "json", "--database", "CN_CAT")) == ["c0", "c1", "c2"]
    both = export("--form", "json", "--database", "cn_cat", "--database", "we_cat")
    assert len(numbers(both)) == 7
    assert numbers(export("--form", "json", "--query", "title = 2 and author = cao")) == ["n2"]
    found = export("--form", "json", "--query", "title = 2", "--database", "cn_cat")
    assert numbers(found) == ["c2"]
    assert numbers(export("--form", "json", "--query", "title = nothing")) == []
    writer.put_holding(Holding("PKU", 2))
    writer.put_holding(Holding("THU", 6))
    writer.put_holding(Holding("PKU", 6))
    assert numbers(export("--form", "json", "--held-by", "NJU")) == []
    assert numbers(export("--form", "json", "--held-by", "pku")) == ["n1", "c1"]
    both = export("--form", "json", "--held-by", "PKU", "--query", "title = 1")
    assert numbers(both) == ["n1", "c1"]
    writer.delete(2)
    assert numbers(export("--form", "json", "--held-by", "PKU")) == ["c1"]


def test_by_the_date_of_the_last_change(export: Export, writer: CatalogueWriter) -> None:
    # In Shanghai the first of these is on the last day of the year.
    moments = ("2023-12-31T15:59:59", "2023-12-31T16:00:00", "2024-06-01T00:00:00")
    for number, moment in enumerate(moments):
        at_us = int(datetime.fromisoformat(f"{moment}+00:00").timestamp()) * 10**6
        writer.put("we_cat", book(f"n{number}", f"Changed {number}"), at_us=at_us)
    forms = ("--form", "json", "--database", "we_cat")
    assert numbers(export(*forms, "--until", "2023-12-31")) == ["n0"]
    assert numbers(export(*forms, "--since", "2024-01-01", "--until", "2024-06-01")) == ["n1", "n2"]
    assert numbers(export(*forms, "--since", "2024-06-01T08:00", "--until", "2024-06-02")) == ["n2"]
    assert numbers(export(*forms, "--since", "2024-06-02")) == ["n3"]
    assert numbers(export(*forms, "--since", "2023-12-31T16:00:00+00:00")) == ["n1", "n2", "n3"]


def test_forms(export: Export) -> None:
    for form, root in (
        ("marcxml", "{http://www.loc.gov/MARC21/slim}collection"),
        ("marcxchange", "{info:lc/xmlns/marcxchange-v2}collection"),
        ("mods", "{http://www.loc.gov/mods/v3}modsCollection"),
        ("dc", "collection"),
    ):
        result = export("--form", form)
        document = etree.fromstring(result.stdout_bytes)
        assert document.tag == root
        assert len(document) == 7, form
    rows = list(csv.DictReader(io.StringIO(export("--form", "csv").stdout)))
    assert len(rows) == 7
    assert rows[0]["title"] == "Tïtle 0"
    assert (rows[5]["database"], rows[5]["title"], rows[5]["author"]) == (
        "cn_cat", "红楼梦 1", "曹雪芹"
    )  # fmt: skip


def test_the_file_is_packed_by_its_name(export: Export, tmp_path: Path) -> None:
    for name in ("one.mrc.gz", "two.mrc.gz"):
        assert export("--out", str(tmp_path / name)).exit_code == 0
    packed = (tmp_path / "one.mrc.gz").read_bytes()
    assert gzip.decompress(packed) == b"".join(WESTERN + CHINESE)
    assert packed == (tmp_path / "two.mrc.gz").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "load_as"),
    [
        ((), "auto"),
        (("--encoding", "gb18030"), "gb18030"),
        (("--encoding", "marc-8"), "marc-8"),
        (("--form", "marcxml"), "auto"),
        (("--form", "marcxchange"), "auto"),
        (("--form", "json"), "auto"),
    ],
)
@pytest.mark.parametrize("database", ["we_cat", "cn_cat"])
def test_export_load_and_export_again_give_the_same_octets(
    export: Export,
    config: Path,
    tmp_path: Path,
    arguments: tuple[str, ...],
    load_as: str,
    database: str,
) -> None:
    first, second = tmp_path / "first.gz", tmp_path / "second.gz"
    assert export(*arguments, "--database", database, "--out", str(first)).exit_code == 0
    other = tmp_path / "other.toml"
    other.write_text('[server]\ndata_dir = "other"\nworkers = 1\n')
    read = load_config(other)
    writer = CatalogueWriter(read.data_dir, read.databases, durable=False)
    summary = load(writer, [first], database, encoding=load_as)
    writer.close()
    assert (summary.loaded, summary.refused) == (4 if database == "we_cat" else 3, 0)
    again = CliRunner().invoke(
        main, ["export", "--config", str(other), *arguments, "--out", str(second)]
    )
    assert again.exit_code == 0
    assert gzip.decompress(second.read_bytes()) == gzip.decompress(first.read_bytes())


@pytest.mark.shared_data
@pytest.mark.parametrize(
    ("database", "files"),
    [
        ("we_cat", ["cjk/trln-cjk.xml", "marc21/lc-dnb.xml.xz"]),
        ("cn_cat", ["cnmarc"]),
    ],
)
def test_real_records_go_round_in_every_form_of_marc(
    tmp_path: Path, shared_data: Path, database: str, files: list[str]
) -> None:
    paths = [
        each
        for name in files
        for each in (sorted((shared_data / name).iterdir()) if "." not in name else
                     [shared_data / name])
        if each.suffix != ".md" and each.stat().st_size < 1_000_000
    ]  # fmt: skip
    kept = tmp_path / "kept"
    writer = CatalogueWriter(kept, parse_config({}, tmp_path).databases, durable=False)
    assert load(writer, paths, database, processes=0).loaded > 20
    writer.close()
    for form, encoding in (
        ("marc", "utf-8"), ("marc", "gb18030"), ("marcxml", ""), ("marcxchange", ""), ("json", ""),
    ):  # fmt: skip
        made = export_form(form, encoding=encoding or "utf-8")
        first = octets_of(kept, made)
        file = tmp_path / "exported"
        file.write_bytes(first)
        again = tmp_path / f"again-{form}-{encoding}"
        writer = CatalogueWriter(again, parse_config({}, tmp_path).databases, durable=False)
        load(writer, [file], database, encoding=encoding or "auto", processes=0)
        writer.close()
        assert octets_of(again, made) == first, form


def octets_of(directory: Path, form: ExportForm) -> bytes:
    made = [form.make(each.record, ()) for each in exported(directory, Selection())]
    written = [each.octets for each in made if isinstance(each, Written)]
    return b"".join((form.begin, *written, form.end))


def test_holdings_stand_in_the_fields_of_the_family(
    export: Export, writer: CatalogueWriter
) -> None:
    held = Holding("PKU", 1, "I242.4/7", 2, "A1", ("b1", "b2"))
    writer.put_holding(held)
    writer.put_holding(Holding("PKU", 5, "I242.4/7", 2, "A1", ("b1", "b2")))
    own = [Field.of("852", "  ", [("a", "PKU")]), Field.of("852", "  ", [("a", "THU")])]
    writer.put("we_cat", build(LEADER, [Field("001", "n0"), *own]))
    lines = [
        json.loads(line)
        for line in export("--form", "json", "--holdings", "--held-by", "PKU").stdout.splitlines()
    ]
    western = [field["852"]["subfields"] for field in lines[0]["fields"] if "852" in field]
    assert western == [
        [{"a": "THU"}],
        [{"a": "PKU"}, {"c": "A1"}, {"h": "I242.4/7"}, {"p": "b1"}, {"p": "b2"}, {"t": "2"}],
    ]
    chinese = [field["905"]["subfields"] for field in lines[1]["fields"] if "905" in field]
    assert chinese == [
        [{"a": "PKU"}, {"c": "A1"}, {"s": "I242.4/7"}, {"b": "b1"}, {"b": "b2"}, {"f": "2"}]
    ]
    [row, _] = csv.DictReader(io.StringIO(export("--form", "csv", "--held-by", "PKU").stdout))
    assert row["held_by"] == "PKU"


def test_what_a_form_cannot_hold_is_told(
    export: Export, writer: CatalogueWriter, tmp_path: Path
) -> None:
    put(writer, book("odd", "Tibetan ༀ"))
    long = build(LEADER, [Field("001", "long"), *[Field("500", "  \x1fa" + "x" * 9000)] * 12],
                 oversize=True)  # fmt: skip
    put(writer, long)
    put(writer, book("control", "A\x01B"))
    out, report = tmp_path / "we.mrc", tmp_path / "left.csv"
    forms = ("--database", "we_cat", "--out", str(out))
    result = export(*forms, "--encoding", "marc-8")
    assert result.exit_code == 1
    assert "we_cat odd: left out: field 245: " in result.stderr
    assert "we_cat long: left out: " in result.stderr
    assert result.stdout == "written             5\nleft out            2\n"
    result = export(*forms, "--encoding", "marc-8", "--references", "--report", str(report))
    [row] = csv.DictReader(report.read_text(encoding="utf-8").splitlines())
    assert (row["control_number"], row["what"]) == ("long", "left out")
    assert b"&#x0F00;" in out.read_bytes()
    result = export(*forms, "--form", "marcxml", "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout) == {"written": 7, "altered": 1, "refused": 0}
    assert result.stderr == (
        "we_cat control: written without: control characters, which XML cannot hold\n"
    )
    result = export(*forms, "--form", "json")
    assert result.stderr == ""
    [line] = [line for line in out.read_text(encoding="utf-8").splitlines() if '"control"' in line]
    assert "A\\u0001B" in line


@pytest.mark.parametrize("form", ["marc", "marcxml", "json", "dc", "csv"])
def test_a_damaged_record_is_named_and_the_others_are_rescued(
    export: Export, writer: CatalogueWriter, form: str, tmp_path: Path
) -> None:
    writer.connection.execute("UPDATE record SET marc = x'3132' WHERE control_number = 'n2'")
    result = export("--form", form, "--out", str(tmp_path / "out"))
    assert result.exit_code == 1
    assert "we_cat n2: left out: the record is damaged: " in result.stderr
    assert result.stdout == "written             6\nleft out            1\n"


def test_only_the_first_losses_are_shown(export: Export, writer: CatalogueWriter) -> None:
    for number in range(12):
        put(writer, book(f"x{number}", "A\x01B"))
    result = export("--form", "marcxml", "--query", "title = b or title = ab or title = a")
    assert len(result.stderr.splitlines()) == 13


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--database", "nowhere"), "there is no database nowhere; there are ancient, cn_cat"),
        (("--held-by", "PKV"), "there is no institution PKV; `lianmu member list`"),
        (("--query", "title ="), "--query"),
        (("--query", "nosuch.index = 1"), "--query"),
        (("--since", "yesterday"), "yesterday is no date as 2024-01-31"),
        (("--form", "csv", "--holdings"), "--form csv has the holdings without"),
        (("--form", "json", "--encoding", "gb18030"), "are for --form marc"),
        (("--out", "{tmp}/nowhere/out.mrc"), "nowhere/out.mrc.part: No such file or directory"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(
    export: Export, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    result = export(*(argument.format(tmp=tmp_path) for argument in arguments))
    assert result.exit_code == 2
    assert len(result.stderr.splitlines()) == 1
    assert message in result.stderr


def test_no_half_file_is_left(
    export: Export, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(marc: bytes) -> bytes:
        raise OSError(28, "No space left on device")

    out = tmp_path / "all.json"
    out.write_text("as it was")
    monkeypatch.setattr("protocol.marc_json.to_marc_json", fail)
    result = export("--form", "json", "--out", str(out))
    assert result.exit_code == 2
    assert out.read_text() == "as it was"
    assert not list(tmp_path.glob("*.part"))


def test_a_record_that_changes_meanwhile_is_exported_as_it_was(
    config: Path, writer: CatalogueWriter
) -> None:
    stream = exported(load_config(config).data_dir, Selection())
    first = next(stream)
    writer.put("we_cat", book("n3", "Another title"))
    writer.delete(2)
    put(writer, book("late", "Late"))
    rest = [each.record.marc for each in stream]
    assert [first.record.marc, *rest] == WESTERN + CHINESE
    assert parse(first.record.marc).control_number == "n0"

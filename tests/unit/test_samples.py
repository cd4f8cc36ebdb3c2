"""The sample catalogue: every record is sound MARC and says only what the tables say."""

from __future__ import annotations

import hashlib
import io
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pymarc
import pytest

import samples
from protocol.iso2709 import MarcRecord, parse
from protocol.record import MarcFamily
from samples import table
from samples.shelf import cutter

CHECKOUT = Path(__file__).resolve().parents[2]
DATABASES = tuple(samples.databases())
CNMARC = tuple(name for name, family in samples.databases().items() if family is MarcFamily.UNIMARC)
LEAST = {"cn_cat": 180, "we_cat": 100, "jp_cat": 20, "ru_cat": 20, "ancient": 8}
CATALOGUE = {name: [parse(marc) for marc in samples.records(name)] for name in DATABASES}


def every_record() -> list[tuple[str, MarcRecord]]:
    return [(name, record) for name, found in CATALOGUE.items() for record in found]


def values(record: MarcRecord, tag: str, codes: str = "a") -> list[str]:
    return [value for field in record.get(tag) for value in field.values(codes)]


def isbn_is_valid(text: str) -> bool:
    digits = text.replace("-", "")
    if re.fullmatch(r"\d{9}[\dX]", digits):
        ten = [10 if digit == "X" else int(digit) for digit in digits]
        return sum((10 - at) * digit for at, digit in enumerate(ten)) % 11 == 0
    if re.fullmatch(r"97[89]\d{10}", digits):
        return sum((1 + at % 2 * 2) * int(digit) for at, digit in enumerate(digits)) % 10 == 0
    return False


def issn_is_valid(text: str) -> bool:
    if not re.fullmatch(r"\d{4}-\d{3}[\dX]", text):
        return False
    digits = [10 if digit == "X" else int(digit) for digit in text.replace("-", "")]
    return sum((8 - at) * digit for at, digit in enumerate(digits)) % 11 == 0


@pytest.mark.parametrize("database", DATABASES)
def test_a_database_has_records_enough_for_a_tour(database: str) -> None:
    assert len(CATALOGUE[database]) >= LEAST[database]
    assert sum(map(len, CATALOGUE.values())) >= 320


@pytest.mark.parametrize("database", DATABASES)
def test_pymarc_reads_in_every_record_what_our_codec_wrote(database: str) -> None:
    octets = b"".join(samples.records(database))
    reader = pymarc.MARCReader(io.BytesIO(octets), to_unicode=True, force_utf8=True)
    theirs = list(reader)
    assert len(theirs) == len(CATALOGUE[database])
    for record, ours in zip(theirs, CATALOGUE[database], strict=True):
        assert record is not None
        for field, our_field in zip(record.fields, ours.fields, strict=True):
            assert field.tag == our_field.tag
            if our_field.is_control:
                assert field.data == our_field.text
            else:
                assert "".join(field.indicators) == our_field.indicators
                assert [(pair.code, pair.value) for pair in field.subfields] == our_field.subfields


@pytest.mark.real_client
@pytest.mark.parametrize("database", DATABASES)
def test_yaz_marcdump_reads_every_record_without_complaint(
    database: str, tmp_path: Path, client_program: Callable[[str], str]
) -> None:
    path = tmp_path / "records.mrc"
    path.write_bytes(b"".join(samples.records(database)))
    done = subprocess.run(
        [client_program("yaz-marcdump"), "-f", "utf8", "-t", "utf8", str(path)],
        capture_output=True, text=True, check=True, encoding="utf-8",
    )  # fmt: skip
    assert done.stderr == ""
    assert "Bad" not in done.stdout
    numbers = re.findall(r"^001 (\S+)$", done.stdout, re.MULTILINE)
    assert numbers == [record.control_number for record in CATALOGUE[database]]


def test_control_numbers_are_unique_and_name_their_database() -> None:
    numbers = Counter(record.control_number for _, record in every_record())
    assert set(numbers.values()) == {1}
    letters = {"cn_cat": "C", "we_cat": "W", "jp_cat": "J", "ru_cat": "R", "ancient": "A"}
    for database, record in every_record():
        assert re.fullmatch(rf"LM{letters[database]}\d{{7}}", record.control_number)


def test_every_isbn_and_issn_has_its_check_digit() -> None:
    isbn = [
        text
        for database, record in every_record()
        for text in values(record, "010" if database in CNMARC else "020")
    ]
    issn = [
        text
        for database, record in every_record()
        for text in values(record, "011" if database in CNMARC else "022")
    ]
    assert [text for text in isbn if not isbn_is_valid(text)] == []
    assert [text for text in issn if not issn_is_valid(text)] == []
    assert len(isbn) > 100
    assert len(issn) > 10


def test_an_isbn_made_for_the_samples_says_so_in_a_note() -> None:
    marked = 0
    for database, record in every_record():
        tag, note = ("010", "300") if database in CNMARC else ("020", "500")
        numbers = [text.replace("-", "") for text in values(record, tag, "az")]
        made_up = any("7999999" in number for number in numbers)
        said = any("Lianmu sample record" in text for text in values(record, note))
        assert made_up is said, record.control_number
        marked += made_up
    assert 10 <= marked <= 15


def test_a_made_up_isbn_is_given_to_one_record_only() -> None:
    made_up = Counter(
        text.replace("-", "")
        for database, record in every_record()
        for text in values(record, "010" if database in CNMARC else "020")
        if "7999999" in text.replace("-", "")
    )
    assert set(made_up.values()) == {1}


@pytest.mark.parametrize("database", CNMARC)
def test_a_cnmarc_record_has_its_mandatory_fields_and_coded_lengths(database: str) -> None:
    for record in CATALOGUE[database]:
        assert re.fullmatch(r"\d{5}n[ab][ms]0 22\d{5}1  450 ", record.leader)
        for tag in ("001", "005", "100", "101", "102", "200", "210", "215", "690", "801"):
            assert len(record.get(tag)) >= 1, (record.control_number, tag)
        assert [len(text) for text in values(record, "100")] == [36]
        assert all(len(text) == 13 for text in values(record, "105"))
        assert all(len(text) == 11 for text in values(record, "110"))
        assert all(len(text) == 28 for text in values(record, "140"))
        assert len(record.get("105") + record.get("110") + record.get("140")) == 1
        assert len(record.get("106")) == (database != "ancient")
        assert values(record, "200")[0]
        assert values(record, "210", "d")[0]
        assert [field.tag for field in record.fields] == sorted(
            field.tag for field in record.fields
        )


def test_a_marc21_record_has_its_mandatory_fields_and_40_characters_of_008() -> None:
    for record in CATALOGUE["we_cat"]:
        assert re.fullmatch(r"\d{5}na[ms] a22\d{5}1i 4500", record.leader)
        for tag in ("001", "003", "005", "008", "040", "245", "264", "300", "336", "650"):
            found = record.get(tag) or (record.get("651") if tag == "650" else [])
            assert found, (record.control_number, tag)
        (fixed,) = record.get("008")
        assert len(fixed.text) == 40
        assert re.fullmatch(
            r"\d{6}[scm]\d{4}(?:\d{4}| {4})[a-z]{2}[a-z ].{17}[a-z]{3} d", fixed.text
        )
        (title,) = record.get("245")
        assert title.indicators[0] == ("1" if record.get("100") else "0")
        assert len(record.get("100")) <= 1


@pytest.mark.parametrize(
    ("number", "indicators", "title"),
    [
        ("LMW0000003", "10", "Introduction to algorithms /"),
        ("LMW0000005", "14", "The art of computer programming."),
        ("LMW0000036", "12", "A course of pure mathematics /"),
        ("LMW0000108", "12", "L'étranger /"),
        ("LMW0000111", "14", "Die Verwandlung /"),
        ("LMW0000127", "00", "Nature."),
        ("LMW0000130", "04", "The lancet."),
    ],
)
def test_a_title_skips_the_article_of_its_language(
    number: str, indicators: str, title: str
) -> None:
    (record,) = [found for found in CATALOGUE["we_cat"] if found.control_number == number]
    (field,) = record.get("245")
    assert (field.indicators, field.first("a")) == (indicators, title)


def test_dates_are_fixed_by_the_tables() -> None:
    for database in DATABASES:
        for row, record in zip(table.rows(database), CATALOGUE[database], strict=True):
            (changed,) = record.get("005")
            assert changed.text == f"{row.entered}000000.0"


def test_another_process_builds_the_same_octets() -> None:
    script = (
        "import hashlib, samples\n"
        "found = hashlib.sha256()\n"
        "for name in samples.databases():\n"
        "    for marc in samples.records(name): found.update(marc)\n"
        "print(found.hexdigest())\n"
    )
    ours = hashlib.sha256()
    for database in DATABASES:
        for marc in samples.records(database):
            ours.update(marc)
    environment = os.environ | {
        "PYTHONHASHSEED": "7", "TZ": "America/Lima", "LC_ALL": "C", "PYTHONPATH": str(CHECKOUT),
    }  # fmt: skip
    theirs = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True
    )
    assert theirs.stdout.strip() == ours.hexdigest()


def test_holdings_refer_to_records_that_exist_and_name_a_shelf() -> None:
    known = {(name, record.control_number) for name, record in every_record()}
    seen = set()
    for institution, database, number, call_number in samples.holdings():
        assert (database, number) in known
        assert re.fullmatch(r"[A-Z0-9].*\d{3,4}", call_number), call_number
        seen.add((institution, database, number))
    held = Counter(institution for institution, _, _ in seen)
    assert len(seen) == sum(1 for _ in samples.holdings())
    assert held == {"DEMO1": 60, "DEMO2": 25, "DEMO3": 5}
    assert set(held) == set(samples.INSTITUTIONS)


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("cormen", "C67"),
        ("knuth", "K58"),
        ("stevens", "S74"),
        ("schwartz", "S34"),
        ("aho", "A36"),
        ("orwell", "O79"),
        ("ou", "O9"),
    ],
)
def test_an_author_number_follows_the_table_of_letters(name: str, number: str) -> None:
    assert cutter(name) == number


def reading_of(database: str, title: str) -> str:
    for row in table.rows(database):
        if row.title[0][1] == title:
            return row.reading
    raise AssertionError(title)


@pytest.mark.parametrize(
    ("database", "title", "reading"),
    [
        ("cn_cat", "水浒传", "shui hu zhuan"),
        ("cn_cat", "呼兰河传", "hu lan he zhuan"),
        ("cn_cat", "传奇", "chuan qi"),
        ("cn_cat", "阿Q正传", "a Q zheng zhuan"),
        ("cn_cat", "朝花夕拾", "zhao hua xi shi"),
        ("cn_cat", "长恨歌", "chang hen ge"),
        ("cn_cat", "长生殿", "chang sheng dian"),
        ("cn_cat", "废都", "fei du"),
        ("cn_cat", "永乐大典", "yong le da dian"),
        ("cn_cat", "老子校释", "lao zi jiao shi"),
        ("cn_cat", "脂硯齋重評石頭記", "zhi yan zhai chong ping shi tou ji"),
        ("cn_cat", "儿女英雄传", "er nü ying xiong zhuan"),
        ("cn_cat", "吕氏春秋校释", "lü shi chun qiu jiao shi"),
        ("cn_cat", "概率论与数理统计", "gai lü lun yu shu li tong ji"),
        ("cn_cat", "C语言程序设计", "C yu yan cheng xu she ji"),
        ("ancient", "金剛般若波羅蜜經", "jin gang bo re bo luo mi jing"),
        ("jp_cat", "吾輩は猫である", "ワガハイ ワ ネコ デ アル"),
    ],
)
def test_a_title_is_read_as_a_reader_says_it(database: str, title: str, reading: str) -> None:
    assert reading_of(database, title) == reading


HAN = "[\u3400-\u4dbf\u4e00-\u9fff]"


@pytest.mark.parametrize("database", ["cn_cat", "ancient"])
def test_a_chinese_title_has_one_syllable_for_each_character(database: str) -> None:
    for row in table.rows(database):
        title = " ".join(value for code, value in row.title if code in "ahi")
        latin = re.findall(r"[A-Za-z][A-Za-z+]*", title)
        syllables = [
            part
            for part in row.reading.split()
            if part not in latin and re.fullmatch("[a-zü]+", part)
        ]
        assert len(syllables) == len(re.findall(HAN, title)), row.where


def test_a_heading_in_han_characters_has_a_reading() -> None:
    for heading, agent in table._agents().items():
        if not re.search(HAN, heading):
            continue
        if re.search("[\u30a0-\u30ff]", agent.reading):
            assert re.fullmatch("[\u30a0-\u30ff ]+", agent.reading), heading
        else:
            syllables = [part for part in agent.reading.split() if re.fullmatch("[a-zü]+", part)]
            assert len(syllables) == len(re.findall(HAN, agent.name)), heading


def test_one_author_is_found_in_several_languages() -> None:
    names = {"cn_cat": "鲁迅", "we_cat": "Lu, Xun", "jp_cat": "魯迅", "ru_cat": "Лу Синь"}
    for database, name in names.items():
        headings = [agent.heading for row in table.rows(database) for statement in row.people
                    for agent in statement.agents]  # fmt: skip
        assert name in headings


def test_nobody_stands_in_the_tables_without_a_record() -> None:
    every_row = [row for database in DATABASES for row in table.rows(database)]
    agents = {agent.heading for row in every_row for statement in row.people
              for agent in statement.agents}  # fmt: skip
    assert set(table._agents()) == agents
    publishers = {row.publisher for row in every_row if row.publisher}
    assert set(table._publishers().values()) == publishers


def line(**cells: str) -> dict[str, str]:
    columns = (
        "number entered title reading people edition publisher year extent series class "
        "subjects also notes abstract identifier language holders"
    )
    known = {"number": "1", "entered": "20261101", "title": "家", "year": "1933", "class": "I"}
    return dict.fromkeys(columns.split(), "") | known | cells


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        ({"people": "无此人 著"}, "'无此人' is not in people.tsv"),
        ({"publisher": "无此社"}, "'无此社' is not in publishers.tsv"),
        ({"title": ""}, "title is empty"),
        ({"entered": "2026-11-01"}, "entered is not YYYYMMDD: '2026-11-01'"),
        ({"number": "0"}, "number 0 does not rise"),
    ],
)
def test_a_wrong_line_is_named_with_its_file_and_reason(
    cells: dict[str, str], reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    table._agents(), table._publishers()  # read before the tables are replaced
    lines = [("cn_cat.tsv:2", line()), ("cn_cat.tsv:3", line(number="2") | cells)]
    monkeypatch.setattr(table, "_lines", lambda name: lines)
    with pytest.raises(table.TableError, match=re.escape(f"cn_cat.tsv:3: {reason}")):
        table.rows.__wrapped__("cn_cat")

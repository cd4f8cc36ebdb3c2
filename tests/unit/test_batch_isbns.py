"""ISBNs as people write them, in text, CSV and spreadsheets."""

from __future__ import annotations

import io

import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.batch.isbns import BatchInputError, Line, read_isbns, read_numbers

A, B, C = "9787301048153", "9787020002207", "9780131103627"


def numbers(text: str) -> list[str]:
    return [line.isbn for line in read_numbers(1, text)]


@pytest.mark.parametrize(
    ("written", "isbns"),
    [
        (A, [A]),
        ("978-7-301-04815-3", [A]),
        ("978 7 301 04815 3", [A]),
        ("７３０１０４８１５７", [A]),
        ("９７８－７－３０１－０４８１５－３", [A]),
        ("7-301-04815-7", [A]),
        ("7301048157", [A]),
        ("978—7—301—04815—3", [A]),
        ("978‐7‐301‐04815‐3", [A]),
        ("7-301-04815-7 : CNY45.00", [A]),
        ("978-7-301-04815-3（精装） : CNY128.00 (2 vols)", [A]),
        ("7-301-04815-7 2001.05 25.00", [A]),
        ("7301048157(pbk.) £12.99", [A]),
        ("ISBN 978-7-301-04815-3", [A]),
        ("ISBN：7-301-04815-7", [A]),
        ("ISBN-13: 978-7-301-04815-3", [A]),
        ("ISBN-10: 7-301-04815-7", [A]),
        ("ISBN978-7-301-04815-3", [A]),
        ("0-13-110362-8", [C]),
        ("0131103628", [C]),
        ("131103628", [C]),  # a spreadsheet took its 0 away
        ("080442957X", ["9780804429573"]),
        ("080442957x", ["9780804429573"]),
        ("080442957Ｘ", ["9780804429573"]),
        ("7-301-04815-7, 978-7-02-000220-7", [A, B]),
        ("7-301-04815-7（上） 978-7-02-000220-7（下）", [A, B]),
        ('"978-7-301-04815-3"', [A]),
    ],
)
def test_an_isbn_is_read_however_it_is_written(written: str, isbns: list[str]) -> None:
    assert numbers(written) == isbns


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        ("978-7-301-04815-4", "the check digit of 978-7-301-04815-4 is wrong"),
        ("7301048158", "the check digit of 7301048158 is wrong"),
        ("6901234567892", "no ISBN: 13 digits"),
        ("97873010481530", "no ISBN: 14 digits"),
        ("12345", "no ISBN: 5 digits"),
        ("红楼梦", "no ISBN"),
        ("9.7873E+12", "a spreadsheet has rounded the number away"),
    ],
)
def test_what_is_no_isbn_says_why(written: str, reason: str) -> None:
    assert read_numbers(3, written) == [Line(3, written, "", reason)]


def test_text_has_comments_headings_and_empty_lines() -> None:
    text = f"\ufeffISBN\r\n\r\n# from the fair\r\n{A}\r\nnothing 5\r\n{B}, {C}\r\n"
    assert read_isbns(text.encode(), lines_max=10) == [
        Line(4, A, A),
        Line(5, "nothing 5", "", "no ISBN: 1 digits"),
        Line(6, f"{B}, {C}", B),
        Line(6, f"{B}, {C}", C),
    ]


@pytest.mark.parametrize("encoding", ["utf-8", "gb18030", "utf-16"])
def test_text_is_read_in_the_encodings_of_windows(encoding: str) -> None:
    lines = read_isbns(f"书名 {A}\n".encode(encoding), lines_max=10)
    assert lines == [Line(1, f"书名 {A}", A)]


@pytest.mark.parametrize(
    "text",
    [
        f"title,ISBN,price\n红楼梦,{A},25.00\n,,\n三国,{B},30\n",
        f"书名;国际标准书号;定价\n红楼梦;{A};25.00\n;;\n三国;{B};30\n",
        f"title\tISBN-13\n红楼梦\t{A}\n\t\n三国\t{B}\n",
        f"书名,号码\n红楼梦,{A}\n,\n三国,{B}\n",
        f'"a, b",{A}\n"c",\n"d",\n"e",{B}\n'.replace('"c",\n', "", 1),
    ],
)
def test_the_column_of_the_numbers_is_found_in_csv(text: str) -> None:
    lines = read_isbns(text.encode("gb18030"), is_csv=True, lines_max=10)
    assert [line.isbn for line in lines] == [A, B]
    assert [text.splitlines()[line.number - 1].count(line.isbn) for line in lines] == [1, 1]


def spreadsheet(*rows: tuple[object, ...]) -> bytes:
    workbook = openpyxl.Workbook()
    sheet = workbook.active
    assert sheet is not None
    for row in rows:
        sheet.append(row)
    file = io.BytesIO()
    workbook.save(file)
    return file.getvalue()


def test_a_spreadsheet_may_hold_numbers_and_texts() -> None:
    data = spreadsheet(
        ("采购单", None), ("书名", "ISBN"), ("红楼梦", int(A)), ("三国", float(B)),
        (None, None), ("C", "0-13-110362-8"), ("again", 131103628), ("bad", 12.5),
    )  # fmt: skip
    lines = read_isbns(data, lines_max=10)
    assert [(line.number, line.isbn) for line in lines] == [
        (3, A), (4, B), (6, C), (7, C), (8, ""),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "there is no ISBN in the list"),
        (b"\n\n", "there is no ISBN in the list"),
        (b"PK\x03\x04 damaged", "not a spreadsheet"),
        (b"\x89PNG\r\n\x00\x00\xff", "not a text, and not a spreadsheet"),
        (spreadsheet(("a", "b")), "no column has an ISBN"),
        (f"{A}\n{B}\n{C}\n{A}\n".encode(), "more than 3 numbers"),
    ],
)
def test_a_list_that_cannot_be_read_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(BatchInputError, match=reason):
        read_isbns(data, lines_max=3)


@settings(max_examples=50)
@given(st.text(max_size=60))
def test_no_line_is_too_strange_to_be_read(text: str) -> None:
    lines = read_numbers(1, text)
    assert lines
    for line in lines:
        assert bool(line.isbn) != bool(line.reason)
        assert len(line.isbn) in (0, 13)


@settings(max_examples=50)
@given(st.binary(max_size=80), st.booleans())
def test_no_file_is_too_strange_to_be_refused(data: bytes, is_csv: bool) -> None:
    try:
        assert read_isbns(data, is_csv=is_csv, lines_max=100)
    except BatchInputError as error:
        assert str(error)

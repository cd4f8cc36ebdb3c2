"""ISBNs of a list that somebody made: plain text, CSV or a spreadsheet.

Lists come out of order forms, exports of field 010 and spreadsheets, so a number may
have hyphens, blanks or full-width digits, a price or a binding behind it, `ISBN` in front
of it, ten digits or thirteen. What is read is the thirteen digits, or why there are none.
"""

from __future__ import annotations

import csv
import io
import re
import unicodedata
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

import msgspec

from store.identifiers import isbn_13, isbn_is_valid

WRITTEN_CHARS_MAX = 200  # of a line that goes into the report
# A spreadsheet is a packed archive: what it unpacks to is bounded too.
_UNPACKED_BYTES_MAX = 64 << 20
_COLUMNS_MAX = 256
_SNIFFED_CHARS = 8192

_DASHES = re.compile(r"[\u2010-\u2015\u2212\u30fc\u4e00\u00ad]|\s*-\s*")
# The 10 or 13 of "ISBN-13:" would be taken for digits of the number.
_LABEL = re.compile(r"isbn(?:-?\s?1[03](?=\s*:|\s+[0-9]))?\s*:?", re.IGNORECASE)
_NUMBER = re.compile(
    r"(?<![0-9])(?:97[89][- ]?(?:[0-9][- ]?){9}[0-9](?![0-9])"
    r"|(?:[0-9][- ]?){9}[0-9X](?![0-9A-Z])"
    r"|(?:[0-9]-?){8}[0-9X](?![0-9A-Z]))",
    re.IGNORECASE,
)
_DIGITS = re.compile("[0-9]")
_HEADINGS = ("isbn", "书号", "書號")


class BatchInputError(Exception):
    """The list cannot be read; says why in one line."""


class Line(msgspec.Struct, frozen=True, array_like=True):
    """One number of the list: `isbn` is thirteen digits, or "" with a `reason`.

    `number` is that of the line or row, from 1; several lines may share it.
    """

    number: int
    written: str
    isbn: str
    reason: str = ""


def read_isbns(data: bytes, *, is_csv: bool = False, lines_max: int) -> list[Line]:
    """The numbers of a list in their order, repeated ones too; empty lines are left out.

    A spreadsheet is known by its first octets. In it and in CSV the numbers are in the
    column whose heading says ISBN or 书号, otherwise in that with the most of them. Text
    is UTF-8, UTF-16 with a mark, or GB18030.

    Raises:
        BatchInputError: no text and no spreadsheet, no such column, or more than
            `lines_max` numbers.
    """
    if data.startswith(b"PK\x03\x04"):
        found = _of_rows(_spreadsheet(data))
    elif is_csv:
        found = _of_rows(_csv(_text(data)))
    else:
        found = _of_text(_text(data))
    lines = list(islice(found, lines_max + 1))
    if len(lines) > lines_max:
        raise BatchInputError(
            f"more than {lines_max} numbers; split the list / 超过 {lines_max} 个号码，请分批"
        )
    if not lines:
        raise BatchInputError("there is no ISBN in the list / 列表中没有 ISBN")
    return lines


def read_numbers(number: int, written: str) -> list[Line]:
    """The ISBNs of one line or cell; one line with a reason if there is none."""
    text = unicodedata.normalize("NFKC", written).replace("×", "X")
    text = _LABEL.sub(" ", _DASHES.sub("-", text))
    shown = " ".join(written.split())[:WRITTEN_CHARS_MAX]
    lines = []
    for match in _NUMBER.finditer(text):
        digits = re.sub("[- ]", "", match[0]).lower()
        if len(digits) == 9:
            digits = "0" + digits  # an SBN, or an ISBN whose 0 a spreadsheet took away
        if isbn_is_valid(digits):
            lines.append(Line(number, shown, isbn_13(digits)))
        else:
            lines.append(Line(number, shown, "", f"the check digit of {match[0].strip()} is wrong"))
    valid = [line for line in lines if line.isbn]
    if lines:
        # Beside a good number, one of nine digits is a price or a date.
        return valid or lines[:1]
    if re.search(r"[0-9]\.[0-9]+E\+?[0-9]+", text, re.IGNORECASE):
        return [Line(number, shown, "", "a spreadsheet has rounded the number away")]
    digits = "".join(_DIGITS.findall(text))
    return [Line(number, shown, "", f"no ISBN: {len(digits)} digits" if digits else "no ISBN")]


def _of_text(text: str) -> Iterator[Line]:
    for number, line in enumerate(text.splitlines(), start=1):
        stripped = line.strip().strip("\ufeff")
        is_heading = number == 1 and not _DIGITS.search(stripped)
        if stripped and not stripped.startswith("#") and not is_heading:
            yield from read_numbers(number, stripped)


def _of_rows(rows: Iterable[Sequence[str]]) -> Iterator[Line]:
    kept = list(rows)
    column, first = _column(kept)
    for number, row in enumerate(kept[first:], start=first + 1):
        cell = row[column].strip() if column < len(row) else ""
        if cell:
            yield from read_numbers(number, cell)


def _column(rows: Sequence[Sequence[str]]) -> tuple[int, int]:
    """The column of the numbers and the index of the first row that may have one."""
    for index, row in enumerate(rows[:10]):
        for column, cell in enumerate(row):
            if any(heading in cell.lower() for heading in _HEADINGS) and not _DIGITS.search(
                re.sub("1[03]", "", cell)
            ):
                return column, index + 1
    counts: dict[int, int] = {}
    for row in rows:
        for column, cell in enumerate(row):
            if any(line.isbn for line in read_numbers(0, cell)):
                counts[column] = counts.get(column, 0) + 1
    if not counts:
        raise BatchInputError("no column has an ISBN in it / 没有含 ISBN 的列")
    column = max(counts, key=lambda each: (counts[each], -each))
    is_heading = bool(rows[0][column:]) and not _DIGITS.search(rows[0][column])
    return column, int(is_heading)


def _csv(text: str) -> list[list[str]]:
    try:
        dialect: type[csv.Dialect] | str = csv.Sniffer().sniff(text[:_SNIFFED_CHARS], ",;\t|")
    except csv.Error:
        dialect = "excel"  # one column has no separator to find
    try:
        return [row[:_COLUMNS_MAX] for row in csv.reader(io.StringIO(text), dialect)]
    except csv.Error as error:
        raise BatchInputError(f"not CSV / 不是 CSV: {error}") from None


def _spreadsheet(data: bytes) -> list[list[str]]:
    """The cells of the first sheet as text."""
    # Costs each worker some megabytes, and most never see a spreadsheet.
    import openpyxl  # noqa: PLC0415

    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if sum(each.file_size for each in archive.infolist()) > _UNPACKED_BYTES_MAX:
                raise BatchInputError("the spreadsheet is too large / 表格过大")
        workbook = openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=True)
        try:
            if not workbook.worksheets:
                raise BatchInputError("the spreadsheet has no sheet with cells / 表格中没有内容")
            sheet = workbook.worksheets[0]
            return [
                [_cell(value) for value in row]
                for row in sheet.iter_rows(max_col=_COLUMNS_MAX, values_only=True)
            ]
        finally:
            workbook.close()
    except BatchInputError:
        raise
    except Exception as error:
        # The library lets through whatever a damaged file makes of its parsers.
        raise BatchInputError(f"not a spreadsheet / 不是表格 (xlsx): {error}") from None


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))  # a number of thirteen digits is exact
    return str(value)


def _text(data: bytes) -> str:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        encodings: tuple[str, ...] = ("utf-16",)
    else:
        encodings = ("utf-8-sig", "gb18030")
    for encoding in encodings:
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" not in text:
            return text
    raise BatchInputError("not a text, and not a spreadsheet (xlsx) / 既非文本也非表格")

"""A statement as an Excel workbook: a summary, the months, and every entry."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterable
from typing import Any, BinaryIO

import openpyxl
from openpyxl.cell import WriteOnlyCell
from openpyxl.chart import BarChart, Reference, Series
from openpyxl.styles import Alignment, Font
from openpyxl.utils import get_column_letter
from openpyxl.worksheet._write_only import WriteOnlyWorksheet

from metering.statement import MONTH_COLUMNS, Progress, Statement, StatementLine
from metering.statement_texts import Texts

# Excel opens no sheet with more rows.
ROWS_MAX = 1_048_576
_BOLD = Font(bold=True)
_MONEY = "#,##0.00"
_COUNT = "#,##0"
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest date that a ZIP file knows
_LINE_WIDTHS = {"time": 20, "control_number": 16, "note": 32, "refers_to": 28, "id": 28, "hash": 66}


def write_xlsx(
    statement: Statement,
    t: Texts,
    out: BinaryIO,
    rows_max: int = ROWS_MAX,
    progress: Progress | None = None,
) -> None:
    """The workbook. Entries go on in a further sheet after `rows_max` rows."""
    book = openpyxl.Workbook(write_only=True)
    book.properties.creator = "Lianmu"
    book.properties.created = statement.dated.replace(tzinfo=None)
    _summary(_Sheet(book, t("summary"), [44, 14, 14, 16]), statement, t)
    _months(_Sheet(book, t("months"), [12] + [16] * len(MONTH_COLUMNS)), statement, t)
    _lines(book, statement, t, rows_max, progress)
    packed = io.BytesIO()
    book.save(packed)
    _pack_without_times(packed, out, f"{statement.dated:%Y-%m-%dT%H:%M:%SZ}")


class _Sheet:
    """Rows of one worksheet, written as they come."""

    def __init__(self, book: openpyxl.Workbook, title: str, widths: Iterable[int]) -> None:
        self._sheet: WriteOnlyWorksheet = book.create_sheet(title[:31])
        self.rows = 0
        for number, width in enumerate(widths, 1):
            self._sheet.column_dimensions[get_column_letter(number)].width = width

    def freeze(self, cell: str) -> None:
        self._sheet.freeze_panes = cell

    def bars(self, title: str, name: str, column: int) -> None:
        """A chart of twelve rows below the head, below the table."""
        chart = BarChart()
        chart.title, chart.legend = title, None
        series = Series(Reference(self._sheet, min_col=column, min_row=2, max_row=13), title=name)
        chart.series.append(series)
        chart.set_categories(Reference(self._sheet, min_col=1, min_row=2, max_row=13))
        chart.x_axis.delete = chart.y_axis.delete = False
        chart.height, chart.width = 8, 22
        # The stubs know the method of the other kind of sheet alone.
        self._sheet.add_chart(chart, f"A{self.rows + 2}")  # type: ignore[misc]

    def row(self, *values: str | int, bold: bool = False, money_from: int = 99) -> None:
        """One row; numbers from column `money_from` on (0 is the first) are fen."""
        cells = []
        for place, value in enumerate(values):
            if isinstance(value, str):
                cell = WriteOnlyCell(self._sheet, value)
                cell.data_type = "s"  # never a formula, whatever it begins with
                cell.alignment = Alignment(vertical="top")
            else:
                is_money = place >= money_from
                cell = WriteOnlyCell(self._sheet, value / 100 if is_money else value)
                cell.number_format = _MONEY if is_money else _COUNT
            if bold:
                cell.font = _BOLD
            cells.append(cell)
        self._sheet.append(cells)
        self.rows += 1

    def plain(self, values: Iterable[Any]) -> None:
        """A row without formats: a sheet may have a million."""
        cells = []
        for value in values:
            if isinstance(value, str) and value.startswith("="):
                cell = WriteOnlyCell(self._sheet, value)
                cell.data_type = "s"
                cells.append(cell)
            else:
                cells.append(value)
        self._sheet.append(cells)
        self.rows += 1


def _summary(sheet: _Sheet, statement: Statement, t: Texts) -> None:
    sheet.row(t("title"), t.status(statement.main), bold=True)
    if statement.is_estimate:
        sheet.row(t("estimate_remark"))
    for fact in t.facts(statement):
        sheet.row(*fact)
    sheet.row()
    sheet.row(t("summary"), bold=True)
    for figure in t.figures(statement):
        sheet.row(*figure)
    sheet.row()
    sheet.row(t("item"), t("quantity"), t("price"), t("amount"), bold=True)
    for document in statement.documents:
        if len(statement.documents) > 1:
            sheet.row(f"{t.status(document)} {document.number}", document.reason, bold=True)
        for line in document.lines:
            item = t.item(line.item)
            sheet.row(item, line.quantity, line.price_fen, line.amount_fen, money_from=2)
    sheet.row(t("receivable"), "", "", statement.receivable_fen, bold=True, money_from=3)
    sheet.row(t("payable"), "", "", statement.payable_fen, bold=True, money_from=3)
    sheet.row(t.net(statement), "", "", abs(statement.net_fen), bold=True, money_from=3)
    remittance = t.remittance(statement)
    if remittance:
        sheet.row()
        sheet.row(t("remittance"), bold=True)
        for fact in remittance:
            sheet.row(*fact)


def _months(sheet: _Sheet, statement: Statement, t: Texts) -> None:
    sheet.freeze("B2")
    sheet.row(t("month"), *(t(column) for column in MONTH_COLUMNS), bold=True)
    for number, month in enumerate(statement.months, 1):
        values = [getattr(month, column) for column in MONTH_COLUMNS]
        sheet.row(f"{statement.year}-{number:02d}", *values)
    totals = [sum(getattr(month, column) for month in statement.months) for column in MONTH_COLUMNS]
    sheet.row(t("total"), *totals, bold=True)
    sheet.bars(t("chart"), t("downloads"), column=2 + MONTH_COLUMNS.index("downloads"))


def _lines(
    book: openpyxl.Workbook,
    statement: Statement,
    t: Texts,
    rows_max: int,
    progress: Progress | None,
) -> None:
    widths = [_LINE_WIDTHS.get(name, 12) for name in StatementLine._fields]
    sheet: _Sheet | None = None
    number = 0
    for line in statement.lines(progress):
        if sheet is None or sheet.rows == rows_max:
            number += 1
            title = t("lines") if number == 1 else f"{t('lines')} {number}"
            sheet = _Sheet(book, title, widths)
            sheet.freeze("A2")
            sheet.row(*StatementLine._fields, bold=True)
        sheet.plain(line)
    if sheet is None:
        _Sheet(book, t("lines"), widths).row(*StatementLine._fields, bold=True)


def _pack_without_times(packed: io.BytesIO, out: BinaryIO, modified: str) -> None:
    """The same workbook without the time of its making, in the archive and in its properties."""
    with (
        zipfile.ZipFile(packed) as made,
        zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive,
    ):
        for name in made.namelist():
            content = made.read(name)
            if name == "docProps/core.xml":
                content = re.sub(
                    rb"(<dcterms:modified[^>]*>)[^<]*", rb"\g<1>" + modified.encode(), content
                )
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o600 << 16
            archive.writestr(entry, content)

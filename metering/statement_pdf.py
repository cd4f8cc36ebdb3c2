"""A statement as PDF, with the parts of the Chinese font that it uses in it.

fpdf2 makes it: it reads the OpenType collections that Chinese fonts come in (Noto
CJK has PostScript outlines, which ReportLab cannot embed) and needs no library of
the system as WeasyPrint does. The same statement gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import BinaryIO

from fpdf import FPDF
from fpdf.enums import XPos, YPos
from fpdf.fonts import FontFace

from metering.money import yuan
from metering.statement import MONTH_COLUMNS, Statement, StatementLine
from metering.statement_font import Fonts
from metering.statement_html import bars, count, lines_remark
from metering.statement_texts import Texts

_MARGIN_MM = 15
_INK = (28, 36, 48)
_SOFT = (91, 102, 117)
_RULE = (204, 211, 220)
_MARK = (155, 28, 28)
_BAR = (47, 93, 138)
_CHART_MM = 48
_MONTHS_MM = 110
_LABEL_MM = 58
_LINE_MM = 5.2
# Column, its width in mm, and how its text stands.
_ENTRY_COLUMNS = (
    ("seq", 17, "R"), ("time", 28, "L"), ("kind", 36, "L"), ("meter", 29, "L"),
    ("quantity", 20, "R"), ("record", 30, "L"), ("account", 20, "L"),
)  # fmt: skip


def write_pdf(statement: Statement, t: Texts, out: BinaryIO, fonts: Fonts, lines_max: int) -> None:
    """The document, with at most `lines_max` entries and a sentence that says so."""
    pdf = _Document(statement, t, fonts)
    pdf.head()
    pdf.figures()
    pdf.bill()
    pdf.months()
    pdf.chart()
    pdf.remittance()
    pdf.entries(lines_max)
    out.write(bytes(pdf.output()))


class _Document(FPDF):
    """One statement, written from top to bottom."""

    def __init__(self, statement: Statement, t: Texts, fonts: Fonts) -> None:
        super().__init__(format="A4")
        self._statement = statement
        self._t = t
        self.set_margins(_MARGIN_MM, _MARGIN_MM)
        self.set_auto_page_break(True, _MARGIN_MM + 5)
        self.set_creation_date(statement.dated)
        self.set_title(f"{statement.institution} {statement.year} {t('title')}")
        self.set_lang(t.html_language)
        self.set_producer("Lianmu")
        for style, font in (("", fonts.regular), ("B", fonts.bold)):
            self.add_font("text", style, font.path, collection_font_number=font.number)
        self.alias_nb_pages("{n}")
        self.add_page()

    # On every page

    def header(self) -> None:
        if self.page_no() == 1:
            return
        statement = self._statement
        self._use(8, _SOFT)
        number = statement.main.number or str(statement.year)
        self.cell(text=f"{statement.institution}  {number}  {self._t('title')}")
        self._use(8, _MARK if statement.is_estimate else _SOFT)
        self.cell(0, text=self._t.status(statement.main), align="R")
        self.ln(8)

    def footer(self) -> None:
        self.set_y(-_MARGIN_MM)
        self._use(8, _SOFT)
        self.cell(0, text=self._t("page", page=self.page_no(), pages="{n}"), align="C")

    # Parts

    def head(self) -> None:
        statement = self._statement
        self._use(18, bold=True)
        self.cell(text=self._t("title"), h=10)
        self._use(12, _MARK if statement.is_estimate else _INK, bold=True)
        self.cell(
            0, 10, self._t.status(statement.main), align="R", new_x=XPos.LMARGIN, new_y=YPos.NEXT
        )
        self.set_draw_color(*_INK)
        self.line(_MARGIN_MM, self.get_y() + 1, self.w - _MARGIN_MM, self.get_y() + 1)
        self.ln(3)
        if statement.is_estimate:
            self._use(9, _MARK)
            self._paragraph(self._t("estimate_remark"))
            self.ln(1)
        self._facts(self._t.facts(statement))

    def figures(self) -> None:
        self._heading(self._t("summary"))
        rows = [(label, count(value)) for label, value in self._t.figures(self._statement)]
        half = (len(rows) + 1) // 2
        # Side by side, so that the bill is on the first page too.
        cells = [
            (*left, "", *right)
            for left, right in zip(rows[:half], [*rows[half:], ("", "")], strict=False)
        ]
        self._table(None, cells, (64, 22, 8, 64, 22), ("L", "R", "L", "L", "R"))

    def bill(self) -> None:
        t, statement = self._t, self._statement
        self._heading(t("bill"))
        rows: list[tuple[str, ...]] = []
        for document in statement.documents:
            if len(statement.documents) > 1:
                named = f"{t.status(document)} {document.number}"
                rows.append((f"{named} · {document.reason}" if document.reason else named,
                             "", "", ""))  # fmt: skip
            rows += [
                (t.item(line.item), count(line.quantity), yuan(line.price_fen),
                 yuan(line.amount_fen))
                for line in document.lines
            ]  # fmt: skip
        totals = [
            (t("receivable"), "", "", yuan(statement.receivable_fen)),
            (t("payable"), "", "", yuan(statement.payable_fen)),
            (t.net(statement), "", "", yuan(abs(statement.net_fen))),
        ]
        head = tuple(t(key) for key in ("item", "quantity", "price", "amount"))
        self._table(head, rows, (92, 24, 32, 32), ("L", "R", "R", "R"), totals)

    def months(self) -> None:
        t, statement = self._t, self._statement
        if self.get_y() + _MONTHS_MM > self.page_break_trigger:
            self.add_page()
        self._heading(t("months"))
        rows = [
            (f"{statement.year}-{number:02d}",
             *(count(getattr(month, column)) for column in MONTH_COLUMNS))
            for number, month in enumerate(statement.months, 1)
        ]  # fmt: skip
        total = [
            count(sum(getattr(month, column) for month in statement.months))
            for column in MONTH_COLUMNS
        ]
        head = (t("month"), *(t(column) for column in MONTH_COLUMNS))
        self._table(
            head, rows, (24, 26, 26, 26, 26, 26, 26), ("L", *"RRRRRR"), [(t("total"), *total)]
        )

    def chart(self) -> None:
        if self.get_y() + _CHART_MM + 14 > self.page_break_trigger:
            self.add_page()
        self._heading(self._t("chart"))
        top, scale = self.get_y(), self.epw / 720
        self._use(7, _INK)
        self.set_fill_color(*_BAR)
        base = top + 160 * scale
        for number, bar in enumerate(bars(self._statement.months), 1):
            left, width = _MARGIN_MM + bar.x * scale, 40 * scale
            if bar.height:
                self.rect(left, top + bar.y * scale, width, bar.height * scale, style="F")
            self.set_xy(left, top + bar.y * scale - 4)
            self.cell(width, 4, bar.label, align="C")
            self.set_xy(left, base + 0.5)
            self.cell(width, 4, str(number), align="C")
        self.set_draw_color(*_INK)
        self.line(_MARGIN_MM, base, self.w - _MARGIN_MM, base)
        self.set_xy(_MARGIN_MM, base + 6)

    def remittance(self) -> None:
        facts = self._t.remittance(self._statement)
        if facts:
            if self.get_y() + 14 + 6 * len(facts) > self.page_break_trigger:
                self.add_page()
            self._heading(self._t("remittance"))
            self._facts(facts)

    def entries(self, lines_max: int) -> None:
        t = self._t
        self.add_page()
        self._heading(t("lines"))
        self._use(9)
        self._paragraph(lines_remark(self._statement, t, lines_max))
        self.ln(2)
        self._entry_head()
        for entry in islice(self._statement.lines(), lines_max):
            if self.get_y() + _LINE_MM > self.page_break_trigger:
                self.add_page()
                self._entry_head()
            self._use(7.5)
            self._entry(
                [
                    str(entry.seq), entry.time, t(entry.kind),
                    entry.item or t(entry.meter),
                    str(entry.quantity), f"{entry.database} {entry.control_number}",
                    self._account(entry),
                ]
            )  # fmt: skip

    def _account(self, entry: StatementLine) -> str:
        if entry.institution == self._statement.institution:
            return entry.account
        return f"{entry.institution} {entry.account}"

    # Pieces

    def _entry_head(self) -> None:
        self._use(7.5, bold=True)
        self._entry([self._t(name) for name, _, _ in _ENTRY_COLUMNS])

    def _entry(self, texts: Sequence[str]) -> None:
        self.set_draw_color(*_RULE)
        for text, (_, width, align) in zip(texts, _ENTRY_COLUMNS, strict=True):
            self.cell(width, _LINE_MM, self._fitted(text, width), border="B", align=align)
        self.ln(_LINE_MM)

    def _fitted(self, text: str, width: float) -> str:
        """As much of the text as one cell takes."""
        room = width - 2 * self.c_margin
        if self.get_string_width(text) <= room:
            return text
        while text and self.get_string_width(f"{text}…") > room:
            text = text[:-1]
        return f"{text}…"

    def _use(self, size: float, colour: tuple[int, int, int] = _INK, *, bold: bool = False) -> None:
        self.set_font("text", "B" if bold else "", size)
        self.set_text_color(*colour)

    def _heading(self, text: str) -> None:
        if self.get_y() + 25 > self.page_break_trigger:
            self.add_page()
        self.ln(4)
        self._use(12, bold=True)
        self.cell(0, 7, text, new_x=XPos.LMARGIN, new_y=YPos.NEXT)
        self.ln(1)

    def _paragraph(self, text: str) -> None:
        self.multi_cell(0, 5, text, new_x=XPos.LMARGIN, new_y=YPos.NEXT)

    def _facts(self, facts: Sequence[tuple[str, str]]) -> None:
        for label, value in facts:
            self._use(9, _SOFT)
            self.multi_cell(_LABEL_MM, 5.5, label, align="L", new_x=XPos.RIGHT, new_y=YPos.TOP)
            self._use(9)
            self.set_x(_MARGIN_MM + _LABEL_MM)
            self.multi_cell(0, 5.5, value, align="L", new_x=XPos.LMARGIN, new_y=YPos.NEXT)

    def _table(
        self,
        head: Sequence[str] | None,
        rows: Sequence[Sequence[str]],
        widths: Sequence[int],
        aligns: Sequence[str],
        totals: Sequence[Sequence[str]] = (),
    ) -> None:
        self._use(9)
        self.set_draw_color(*_RULE)
        bold = FontFace(emphasis="BOLD")
        with self.table(
            col_widths=tuple(widths), text_align=tuple(aligns), line_height=5.5, padding=0.4,
            borders_layout="HORIZONTAL_LINES", headings_style=bold,
            first_row_as_headings=head is not None,
        ) as table:  # fmt: skip
            for cells in [*([head] if head is not None else []), *rows]:
                table.row(cells)
            for cells in totals:
                table.row(cells, style=bold)

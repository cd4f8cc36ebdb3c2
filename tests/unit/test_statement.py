"""Statements: what they say, that they are true, and that they look like something."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
from collections.abc import Iterator
from pathlib import Path

import lxml.html
import openpyxl
import pypdfium2
import pytest

from metering.entry import Draft, Kind
from metering.ledger import Ledger
from metering.settlement import Settlements
from metering.statement import Remittance, Statement, build
from metering.statement_font import PLACES, FontError, find_fonts
from metering.statement_html import bars, write_html
from metering.statement_pdf import write_pdf
from metering.statement_table import write_csv, write_json
from metering.statement_texts import Texts
from metering.statement_xlsx import write_xlsx
from tests.unit.test_settlement import AFTER_GRACE, IN_GRACE, at, deliveries, holdings, upload, void

NAME = "北京大学图书馆 Peking University Library"
REMITTANCE = Remittance(
    issuer="CALIS 管理中心", payee="北京大学", bank="中国工商银行", account_number="0200 0045",
    contact="张三", email="calis@example.edu.cn",
)  # fmt: skip
LINE_ROWS = "//table[@class='lines']/tbody/tr"
LATE = "记录未收到 not received"


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with contextlib.closing(Ledger(tmp_path / "ledger.sqlite")) as ledger:
        ledger.append(holdings(5))
        for month in range(1, 13):
            moment = at(f"2024-{month:02d}-05T03:00:00")
            ledger.append(deliveries(month, at_us=moment, prefix=f"m{month}"))
        yield ledger


@pytest.fixture
def settlements(ledger: Ledger, tmp_path: Path) -> Iterator[Settlements]:
    with Settlements(tmp_path / "ledger.sqlite") as settlements:
        yield settlements


def statement(ledger: Ledger, settlements: Settlements, year: int = 2024) -> Statement:
    return build(ledger, settlements, "PKU", NAME, year, REMITTANCE)


@pytest.fixture
def settled(ledger: Ledger, settlements: Settlements) -> Statement:
    """A final settlement with a credit note after it."""
    settlements.settle(2024, AFTER_GRACE, ledger.verify())
    ledger.append([void("m3-PKU-2")])
    settlements.note(2024, AFTER_GRACE, ledger.verify(), reason=LATE)
    return statement(ledger, settlements)


def html(made: Statement, language: str = "both", lines_max: int = 1000) -> str:
    out = io.BytesIO()
    write_html(made, Texts(language), out, lines_max)  # type: ignore[arg-type]
    return out.getvalue().decode()


def test_figures_come_with_all_notes_and_months_add_up_to_them(settled: Statement) -> None:
    assert [document.number for document in settled.documents] == ["2024-PKU", "N1-2024-PKU"]
    assert (settled.main.downloads, settled.current.downloads) == (78, 77)
    assert sum(month.downloads for month in settled.months) == 77
    assert sum(month.holdings for month in settled.months) == 5
    assert settled.receivable_fen == (78 - 6) * 100 - 100
    assert settled.due == "2025-03-31"


def test_the_lines_recount_to_the_figures_and_name_the_document_that_counts_them(
    settled: Statement,
) -> None:
    lines = list(settled.lines())
    assert len(lines) == settled.entry_count
    counted: dict[str, int] = {}
    for line in lines:
        if line.meter == "download":
            counted[line.document] = counted.get(line.document, 0) + line.quantity
    assert counted == {"2024-PKU": 78, "N1-2024-PKU": -1}
    assert [line.seq for line in lines] == sorted({line.seq for line in lines})
    first = next(line for line in lines if line.kind == "delivery")
    assert (first.time, first.control_number) == ("2024-01-05 11:00:00", "012003000000")


def test_before_settlement_it_is_an_estimate_then_a_draft_and_says_so(
    ledger: Ledger, settlements: Settlements
) -> None:
    estimate = statement(ledger, settlements)
    assert estimate.is_estimate
    assert estimate.due == ""
    assert "ESTIMATE" in html(estimate)
    assert "This is an estimate and no bill" in html(estimate, "en")
    settlements.draft(2024, IN_GRACE)
    draft = statement(ledger, settlements)
    assert draft.main.number == "D1-2024-PKU"
    assert "结算草案（估算）" in html(draft, "zh")
    settlements.settle(2024, AFTER_GRACE, ledger.verify())
    assert "ESTIMATE" not in html(statement(ledger, settlements))


def test_entries_after_the_settlement_are_in_no_statement_until_a_note_counts_them(
    ledger: Ledger, settlements: Settlements
) -> None:
    settlements.settle(2024, AFTER_GRACE, ledger.verify())
    before = html(statement(ledger, settlements))
    ledger.append([void("m3-PKU-2")])
    assert html(statement(ledger, settlements)) == before


def test_a_carried_note_is_billed_and_itemised_with_the_next_year(
    ledger: Ledger, tmp_path: Path
) -> None:
    with Settlements(tmp_path / "ledger.sqlite", note_minimum_fen=10_000) as settlements:
        settlements.settle(2024, AFTER_GRACE, ledger.verify())
        ledger.append([void("m3-PKU-2")])
        settlements.settle(2025, at("2026-03-01T00:00:00"), ledger.verify(), "PKU")
        made = statement(ledger, settlements, 2025)
    assert [document.number for document in made.documents] == ["N1-2024-PKU", "2025-PKU"]
    assert made.main.number == "2025-PKU"
    assert made.net_fen == -100
    void_line = next(line for line in made.lines() if line.kind == "void")
    assert void_line.document == "N1-2024-PKU"
    assert sum(month.downloads for month in made.months) == 0


def test_a_partners_statement_lists_the_uploads_that_it_has_a_part_in(
    ledger: Ledger, settlements: Settlements
) -> None:
    ledger.append([upload(22, "upload.japanese.full"), upload(23, "upload.chinese.full")])
    settlements.settle(2024, AFTER_GRACE, ledger.verify())
    made = build(ledger, settlements, "CAU", "中国农业大学图书馆", 2024, REMITTANCE)
    assert [(line.institution, line.item) for line in made.lines()] == [
        ("PKU", "upload.japanese.full")
    ]
    assert (made.net_fen, made.entry_count) == (-200, 1)
    assert sum(month.uploads for month in made.months) == 0
    assert "合作馆部分" in html(made)


def test_a_year_without_entries_has_a_statement_of_zeros(
    ledger: Ledger, settlements: Settlements
) -> None:
    made = statement(ledger, settlements, 2020)
    assert (made.entry_count, made.net_fen, made.is_estimate) == (0, 0, True)
    assert "2020" in html(made)


# HTML


def test_a_page_has_the_summary_months_chart_remittance_and_lines(settled: Statement) -> None:
    page = lxml.html.fromstring(html(settled, "en"))
    text = page.text_content()
    for expected in (NAME, "FINAL", "Credit note N1-2024-PKU", LATE, "0200 0045", "71.00"):
        assert expected in text
    assert len(page.xpath("//svg/rect")) == 12
    assert len(page.xpath(LINE_ROWS)) == settled.entry_count
    assert page.get("lang") == "en"


def test_a_page_fetches_nothing(settled: Statement) -> None:
    page = lxml.html.fromstring(html(settled))
    assert not [element for element in page.iter() if element.get("src") or element.get("href")]
    assert "url(" not in html(settled)


def test_entries_over_the_bound_are_left_out_and_the_page_says_so(settled: Statement) -> None:
    text = html(settled, "en", lines_max=10)
    assert len(lxml.html.fromstring(text).xpath(LINE_ROWS)) == 10
    assert "The first 10 of 84 entries" in text


def test_what_a_member_wrote_is_no_markup(ledger: Ledger, settlements: Settlements) -> None:
    ledger.append(
        [Draft(id="x", kind=Kind.DELIVERY, at_us=at("2024-08-01T00:00:00"), institution="PKU",
               record_id=99, account="<script>alert(1)</script>")]
    )  # fmt: skip
    assert "<script>" not in html(statement(ledger, settlements))


def test_bars_are_as_high_as_the_downloads(settled: Statement) -> None:
    drawn = bars(settled.months)
    assert drawn[11].height == 130
    assert drawn[5].height == 65
    assert {bar.y + bar.height for bar in drawn} == {160}


# CSV and JSON


def test_csv_is_one_table_whose_entries_recount_to_its_figures(settled: Statement) -> None:
    out = io.BytesIO()
    write_csv(settled, out)
    data = out.getvalue()
    assert data.startswith(b"\xef\xbb\xbf")
    rows = list(csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline="")))
    figures = {row["item"]: int(row["quantity"]) for row in rows if row["part"] == "figure"}
    entries = [row for row in rows if row["part"] == "entry"]
    assert sum(int(row["quantity"]) for row in entries if row["meter"] == "download") == 77
    assert figures["downloads"] == 77
    billed = sum(int(row["amount_fen"]) for row in rows if row["part"] == "bill")
    (net,) = [row for row in rows if row["part"] == "net"]
    assert billed == int(net["amount_fen"]) == settled.net_fen
    assert len([row for row in rows if row["part"] == "month"]) == 12


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x"])
def test_no_text_is_a_formula_in_a_spreadsheet(
    ledger: Ledger, settlements: Settlements, text: str
) -> None:
    ledger.append(
        [Draft(id="x", kind=Kind.DELIVERY, at_us=at("2024-08-01T00:00:00"), institution="PKU",
               record_id=99, account=text)]
    )  # fmt: skip
    made = statement(ledger, settlements)
    out = io.BytesIO()
    write_csv(made, out)
    assert f",'{text}," in out.getvalue().decode()
    book = io.BytesIO()
    write_xlsx(made, Texts("en"), book)
    cells = [cell for row in openpyxl.load_workbook(book)["Entries"].rows for cell in row]
    (found,) = [cell for cell in cells if cell.value == text]
    assert found.data_type == "s"


def test_json_has_everything(settled: Statement) -> None:
    out = io.BytesIO()
    write_json(settled, out)
    document = json.loads(out.getvalue())
    assert document["net_fen"] == settled.net_fen
    assert document["documents"][1]["reason"] == LATE
    assert len(document["entries"]) == document["entry_count"] == settled.entry_count
    assert document["months"][11]["downloads"] == 12


# XLSX


def test_a_workbook_has_summary_months_and_every_entry(settled: Statement) -> None:
    out = io.BytesIO()
    write_xlsx(settled, Texts("both"), out)
    book = openpyxl.load_workbook(out)
    assert book.sheetnames == ["汇总 Summary", "分月统计 By month", "明细 Entries"]
    summary = {row[0].value: row for row in book["汇总 Summary"].rows if row and row[0].value}
    assert summary["净额：成员馆应付 Net: owed by the member"][3].value == 71
    assert summary["下载 Downloads"][1].value == 77
    assert book["明细 Entries"].max_row == settled.entry_count + 1


def test_a_workbook_has_a_chart_of_the_months(settled: Statement) -> None:
    out = io.BytesIO()
    write_xlsx(settled, Texts("en"), out)
    sheet = openpyxl.load_workbook(out)["By month"]
    (chart,) = sheet._charts
    (series,) = chart.series
    assert series.val.numRef.f == "'By month'!$C$2:$C$13"
    assert [sheet[f"C{row}"].value for row in range(2, 14)] == [
        month.downloads for month in settled.months
    ]


def test_entries_go_on_in_a_further_sheet(settled: Statement) -> None:
    out = io.BytesIO()
    write_xlsx(settled, Texts("en"), out, rows_max=50)
    book = openpyxl.load_workbook(out)
    assert book.sheetnames[2:] == ["Entries", "Entries 2"]
    assert book["Entries"].max_row + book["Entries 2"].max_row == settled.entry_count + 2


# PDF


def test_a_pdf_has_its_chinese_and_is_looked_at(settled: Statement, tmp_path: Path) -> None:
    """The rendered pages go to the folder in LIANMU_ARTEFACTS, for people to see."""
    made = []
    for _ in range(2):
        out = io.BytesIO()
        write_pdf(settled, Texts("both"), out, find_fonts(), 1000)
        made.append(out.getvalue())
    assert made[0] == made[1]
    document = pypdfium2.PdfDocument(made[0])
    texts = [page.get_textpage().get_text_bounded() for page in document]
    assert "年度结算单 Annual statement" in texts[0]
    assert "北京大学图书馆" in texts[0]
    assert "净额：成员馆应付" in texts[0]
    assert "0200 0045" in "".join(texts)
    assert "2024-12-05 11:00:11" in texts[-1]
    for head in ("序号 Entry", "数量 Quantity", "账号 Account"):
        assert head in texts[-1]
    assert f"共 {len(document)} 页" in texts[0]
    folder = Path(os.environ.get("LIANMU_ARTEFACTS", tmp_path))
    for number, page in enumerate(document, 1):
        image = page.render(scale=1.5).to_pil()
        image.save(folder / f"statement-{number}.png")
        # Nothing is written into the margins: 10 mm of white on each side.
        grey = image.convert("L").point(lambda value: 255 * (value < 200))
        left, top, right, bottom = grey.getbbox()
        margin = round(10 / 25.4 * 72 * 1.5)
        assert left > margin
        assert top > margin
        assert right < image.width - margin
        assert bottom < image.height - margin
    document.close()


@pytest.mark.parametrize("form", ["html", "xlsx", "csv", "json"])
def test_the_same_settlement_gives_the_same_bytes(settled: Statement, form: str) -> None:
    def made() -> bytes:
        out = io.BytesIO()
        t = Texts("zh")
        if form == "html":
            write_html(settled, t, out, 10)
        elif form == "xlsx":
            write_xlsx(settled, t, out)
        elif form == "csv":
            write_csv(settled, out)
        else:
            write_json(settled, out)
        return out.getvalue()

    assert made() == made()


def test_without_a_font_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("metering.statement_font.PLACES", (("/nowhere/font.ttc", ""),))
    with pytest.raises(FontError, match="apt-get install fonts-noto-cjk"):
        find_fonts()


def test_a_font_that_cannot_serve_is_named(tmp_path: Path) -> None:
    with pytest.raises(FontError, match="No such file"):
        find_fonts(str(tmp_path / "none.ttf"))
    (tmp_path / "text.ttf").write_text("no font")
    with pytest.raises(FontError, match="is no font"):
        find_fonts(str(tmp_path / "text.ttf"))


def test_a_font_without_chinese_is_refused() -> None:
    latin = "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf"
    with pytest.raises(FontError, match="has no Chinese"):
        find_fonts(latin)


def test_of_a_collection_the_simplified_chinese_font_is_taken() -> None:
    fonts = find_fonts()
    assert str(fonts.regular.path) == PLACES[0][0]
    assert fonts.regular.number == 2
    assert find_fonts(PLACES[0][1]).bold.path == Path(PLACES[0][1])


# Words


@pytest.mark.parametrize(
    ("language", "expected"),
    [
        ("zh", "上传：日文，完全级，提交馆部分"),
        ("en", "Upload: Japanese, full level, submitter's part"),
    ],
)
def test_an_item_is_named_by_its_parts(language: str, expected: str) -> None:
    assert Texts(language).item("upload.japanese.full.submitter") == expected  # type: ignore[arg-type]
    assert Texts(language).item("software.client") == "software.client"  # type: ignore[arg-type]

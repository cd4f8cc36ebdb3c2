"""Statements in every form that they are given in, by the command line and over HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from typing import BinaryIO

from metering.statement import Progress, Remittance, Statement
from metering.statement_font import find_fonts
from metering.statement_html import write_html
from metering.statement_pdf import write_pdf
from metering.statement_table import write_csv, write_json
from metering.statement_texts import Texts
from metering.statement_xlsx import write_xlsx
from server.config import Config

# The forms with their media types.
CONTENT_TYPES: Mapping[str, str] = {
    "html": "text/html",
    "pdf": "application/pdf",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "csv": "text/csv",
    "json": "application/json",
}
FORMATS = tuple(CONTENT_TYPES)
BINARY = ("pdf", "xlsx")
LISTED = ("xlsx", "csv", "json")  # with every entry, which takes its time


def write(
    made: Statement,
    form: str,
    t: Texts,
    config: Config,
    out: BinaryIO,
    progress: Progress | None = None,
) -> None:
    """One of FORMATS; `progress` is told the entries written, of those in LISTED.

    Raises:
        MeteringError: the ledger cannot be read, or PDF has no font with Chinese.
    """
    section = config.statement
    if form == "html":
        write_html(made, t, out, section.lines_max)
    elif form == "pdf":
        write_pdf(made, t, out, find_fonts(section.font, section.font_bold), section.lines_max)
    elif form == "xlsx":
        write_xlsx(made, t, out, progress=progress)
    else:
        (write_csv if form == "csv" else write_json)(made, out, progress)


def remittance(config: Config) -> Remittance:
    """Who asks for the money and where it goes, as [statement] says."""
    section = config.statement
    return Remittance(
        issuer=section.issuer, payee=section.payee, bank=section.bank,
        bank_code=section.bank_code, account_number=section.account_number,
        contact=section.contact, phone=section.phone, email=section.email,
        address=section.address, remark=section.remark, due_days=section.due_days,
    )  # fmt: skip

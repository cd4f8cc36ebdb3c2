"""COUNTER 5.1 reports as JSON and as TSV: header and body in their prescribed order.

Source: COUNTER Code of Practice 5.1 §3.2 (formats), §4.1 (platform reports) and §4.2
(database reports).
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import msgspec

from metering.counter_report import (
    SEARCHES_AUTOMATED,
    SEARCHES_FEDERATED,
    SEARCHES_PLATFORM,
    SEARCHES_REGULAR,
    TOTAL_INVESTIGATIONS,
    TOTAL_REQUESTS,
    UNIQUE_INVESTIGATIONS,
    UNIQUE_REQUESTS,
    Months,
    Usage,
    last_day,
)

RELEASE = "5.1"
THE_WORLD = "The World"
_NOBODY = "0000000000000000"  # the institution's id in a report of all usage
_MONTH_NAMES = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
NOT_READY = (3031, "Usage Not Ready for Requested Dates")


@dataclass(frozen=True, slots=True)
class ReportKind:
    """A report or a standard view of one; a view has its metrics and no data types."""

    name: str
    by_database: bool
    metrics: tuple[str, ...] = ()  # of a view

    @property
    def is_view(self) -> bool:
        return bool(self.metrics)


REPORTS: Mapping[str, ReportKind] = {
    "PR": ReportKind("Platform Report", by_database=False),
    "PR_P1": ReportKind(
        "Platform Usage", False, (SEARCHES_PLATFORM, TOTAL_REQUESTS, UNIQUE_REQUESTS)
    ),
    "DR": ReportKind("Database Report", by_database=True),
    "DR_D1": ReportKind(
        "Database Search and Item Usage", True,
        (SEARCHES_AUTOMATED, SEARCHES_FEDERATED, SEARCHES_REGULAR, TOTAL_INVESTIGATIONS,
         TOTAL_REQUESTS, UNIQUE_INVESTIGATIONS, UNIQUE_REQUESTS),
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Report:
    """One report to be written. Months count from 1; `code` is "" for all usage."""

    report_id: str
    usage: Usage
    code: str
    name: str
    first_month: int
    last_month: int
    created_us: int  # UTC, microseconds since 1970
    available_to: str = ""  # the last day with usage, if that is before the period's end
    platform: str = "Lianmu"
    publisher: str = ""
    registry_record: str = ""
    titles: Mapping[str, str] = field(default_factory=dict)

    @property
    def kind(self) -> ReportKind:
        return REPORTS[self.report_id]

    @property
    def begin(self) -> str:
        return f"{self.usage.year}-{self.first_month:02d}-01"

    @property
    def end(self) -> str:
        days = last_day(self.usage.year, self.last_month)
        return f"{self.usage.year}-{self.last_month:02d}-{days}"

    @property
    def created(self) -> str:
        return f"{datetime.fromtimestamp(self.created_us // 1_000_000, UTC):%Y-%m-%dT%H:%M:%SZ}"

    @property
    def institution_id(self) -> str:
        return f"{self.platform}:{self.code or _NOBODY}"

    @property
    def not_ready(self) -> str:
        """What the exception says of a period that is not over; "": it is."""
        if not self.available_to:
            return ""
        return (
            f"request was for {self.begin} to {self.end};"
            f" however, usage is only available to {self.available_to}"
        )

    @property
    def months(self) -> range:
        return range(self.first_month, self.last_month + 1)

    def rows(self) -> Iterator[tuple[str, str, str, Months]]:
        """Database, data type, metric and the period's months, those with usage, in order."""
        kind = self.kind
        for (database, data_type, metric), months in sorted(self.usage.rows.items()):
            within = months[self.first_month - 1 : self.last_month]
            wanted = bool(database) == kind.by_database
            if wanted and any(within) and (not kind.is_view or metric in kind.metrics):
                yield database, data_type, metric, within


def to_tsv(report: Report) -> str:
    """Thirteen rows of header, an empty one, the column headings and the body."""
    kind = report.kind
    text = io.StringIO()
    writer = csv.writer(text, delimiter="\t", lineterminator="\n", quoting=csv.QUOTE_MINIMAL)
    code, message = NOT_READY
    header = {
        "Report_Name": kind.name,
        "Report_ID": report.report_id,
        "Release": RELEASE,
        "Institution_Name": report.name,
        "Institution_ID": report.institution_id,
        "Metric_Types": "; ".join(kind.metrics),
        "Report_Filters": "Access_Method=Regular" if kind.is_view else "",
        "Report_Attributes": "",
        "Exceptions": f"{code}: {message} ({report.not_ready})" if report.not_ready else "",
        "Reporting_Period": f"Begin_Date={report.begin}; End_Date={report.end}",
        "Created": report.created,
        "Created_By": "Lianmu",
        "Registry_Record": report.registry_record,
    }
    writer.writerows(header.items())
    writer.writerow([])
    item = ["Database", "Publisher", "Publisher_ID", "Platform", "Proprietary_ID"]
    columns = item if kind.by_database else ["Platform"]
    if not kind.is_view:
        columns = [*columns, "Data_Type"]
    names = [f"{_MONTH_NAMES[month - 1]}-{report.usage.year}" for month in report.months]
    writer.writerow([*columns, "Metric_Type", "Reporting_Period_Total", *names])
    for database, data_type, metric, months in report.rows():
        cells = [report.platform]
        if kind.by_database:
            title = report.titles.get(database, database)
            cells = [title, report.publisher, "", report.platform, f"{report.platform}:{database}"]
        if not kind.is_view:
            cells.append(data_type)
        writer.writerow([*cells, metric, sum(months), *months])
    return text.getvalue()


def to_json(report: Report) -> bytes:
    """The report as the COUNTER API has it: months without usage are left out."""
    kind = report.kind
    filters: dict[str, Any] = {"Begin_Date": report.begin, "End_Date": report.end}
    if kind.is_view:
        filters |= {"Metric_Type": list(kind.metrics), "Access_Method": ["Regular"]}
    header: dict[str, Any] = {
        "Release": RELEASE,
        "Report_ID": report.report_id,
        "Report_Name": kind.name,
        "Created": report.created,
        "Created_By": "Lianmu",
        "Institution_ID": {"Proprietary": [report.institution_id]},
        "Institution_Name": report.name,
        "Report_Filters": filters,
    }
    if report.registry_record:
        header["Registry_Record"] = report.registry_record
    if report.not_ready:
        code, message = NOT_READY
        header["Exceptions"] = [{"Code": code, "Message": message, "Data": report.not_ready}]
    items: dict[str, dict[str, Any]] = {}
    for database, data_type, metric, months in report.rows():
        item = items.setdefault(database, _item(report, database))
        # A view sums over the data types.
        by_type = item["Attribute_Performance"]
        shown_type = "" if kind.is_view else data_type
        performance = by_type.setdefault(shown_type, {}).setdefault(metric, {})
        for month, number in zip(report.months, months, strict=True):
            if number:
                performance[f"{report.usage.year}-{month:02d}"] = number
    for item in items.values():
        item["Attribute_Performance"] = [
            ({"Data_Type": data_type} if data_type else {}) | {"Performance": performance}
            for data_type, performance in item["Attribute_Performance"].items()
        ]
    document = {"Report_Header": header, "Report_Items": list(items.values())}
    return msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"


def _item(report: Report, database: str) -> dict[str, Any]:
    performance: dict[str, Any] = {}
    if not database:
        return {"Platform": report.platform, "Attribute_Performance": performance}
    return {
        "Database": report.titles.get(database, database),
        "Publisher": report.publisher,
        "Platform": report.platform,
        "Item_ID": {"Proprietary": f"{report.platform}:{database}"},
        "Attribute_Performance": performance,
    }

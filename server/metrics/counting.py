"""What one worker notes of each request: how long it took, and how it ended."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from aiohttp import web

from protocol import apdu
from protocol.diagnostic import SruDiagnostic, SruFault
from protocol.sru_update import UpdateFault
from server.metrics.layout import BIB1, DIAGNOSTICS, OTHER, RECORDS, REFUSALS, SRU, SRU_UPDATE
from server.metrics.registry import Figures, Timing

if TYPE_CHECKING:  # what it needs is an extra
    from server.metrics.spans import Spans

# What a handler says of its request: the SRU operation, and the faults in its answer.
OPERATION = web.RequestKey("OPERATION", str)
# Set where an answer goes on as long as the client likes, which says nothing of ours.
ENDLESS = web.RequestKey("ENDLESS", bool)
FAULTS = web.RequestKey("FAULTS", list[SruFault | UpdateFault])

_SERVICES: dict[type, str] = {
    apdu.InitializeRequest: "init",
    apdu.SearchRequest: "search",
    apdu.PresentRequest: "present",
    apdu.ScanRequest: "scan",
    apdu.SortRequest: "sort",
    apdu.DeleteResultSetRequest: "delete",
    apdu.ExtendedServicesRequest: "extended_services",
    apdu.ResourceReportRequest: "resource_report",
    apdu.TriggerResourceControlRequest: "resource_report",
}
SESSION = "lianmu.session"
# Asked every few seconds by whatever watches the server, or with every page.
_UNTRACED = frozenset({"health", "metrics", "assets"})
_PATHS = (
    ("/assets/", "assets"), ("/-/assets/", "assets"), ("/healthz", "health"),
    ("/readyz", "health"), ("/metrics", "metrics"), ("/status", "status"),
    ("/api/batch", "batch"), ("/batch", "batch"), ("/api/", "api"),
)  # fmt: skip


class Counting:
    """The cells of one worker's row that requests are noted in, each found once."""

    def __init__(self, figures: Figures) -> None:
        self._figures = figures
        self.spans: Spans | None = None  # where requests are traced, too
        # Those that are answered at once are added to directly.
        self.z3950_at_once: dict[type[apdu.Apdu], Timing] = {
            kind: figures.timing("z3950", _SERVICES[kind])
            for kind in (
                apdu.SearchRequest,
                apdu.PresentRequest,
                apdu.ScanRequest,
                apdu.SortRequest,
            )
        }
        self.z3950_records = figures.cell(RECORDS, "z3950")
        self.sru_search = figures.timing("sru", "searchRetrieve")
        self.sru_records = figures.cell(RECORDS, "sru")

    def refused(self, reason: str) -> None:
        """Note a refusal; `reason` is one of those of `layout.REFUSALS`."""
        self._figures.count(REFUSALS, reason)

    def diagnosed(self, condition: int) -> None:
        """Note a diagnostic of Bib-1 that is not among the answer's own, as that of Init is not."""
        self._figures.count(DIAGNOSTICS, BIB1, str(int(condition)))

    def z3950(
        self,
        request: apdu.Apdu,
        responses: Sequence[apdu.Apdu],
        duration_ns: int,
        session: str = "",
    ) -> None:
        """Note a Z39.50 request with all that was answered to it."""
        timing = self._figures.timing("z3950", service_of(request))
        refused = False
        for response in responses:
            for condition in conditions_of(response):
                self._figures.count(DIAGNOSTICS, BIB1, str(condition))
            refused = refused or is_refusal(response)
        if refused:
            timing.add_refused(duration_ns)
        else:
            timing.add(duration_ns)
        if self.spans is not None:
            name = f"z3950 {service_of(request)}"
            self.spans.note(name, duration_ns, {SESSION: session, **_attributes(responses)})

    def z3950_failed(self, request: apdu.Apdu, duration_ns: int, session: str = "") -> None:
        self._figures.timing("z3950", service_of(request)).add_failed(duration_ns)
        if self.spans is not None:
            name = f"z3950 {service_of(request)}"
            self.spans.note(name, duration_ns, {SESSION: session}, failed=True)

    def http(self, request: web.Request, status: int, duration_ns: int, session: str = "") -> None:
        """Note a request over HTTP that was answered with `status`, SRU ones among them."""
        if ENDLESS in request:
            return
        operation = request.get(OPERATION)
        faults = request.get(FAULTS, ())
        group = "http" if operation is None else "sru"
        service = _page_of(request.path) if operation is None else operation
        timing = self._figures.timing(group, service)
        for fault in faults:
            self._figures.count(DIAGNOSTICS, *_condition_of(fault))
        if status == 500:
            timing.add_failed(duration_ns)
        elif status >= 400 or faults:
            timing.add_refused(duration_ns)
        else:
            timing.add(duration_ns)
        if self.spans is not None and service not in _UNTRACED:
            attributes: dict[str, str | int] = {
                SESSION: session, "http.response.status_code": status,
            }  # fmt: skip
            if faults:
                attributes["lianmu.diagnostic"] = "/".join(_condition_of(faults[0]))
            self.spans.note(
                f"{group} {service}", duration_ns, attributes,
                failed=status >= 500, headers=request.headers,
            )  # fmt: skip


def note_operation(request: web.Request, operation: str) -> None:
    request[OPERATION] = operation


def note_faults(request: web.Request, faults: Iterable[SruFault | UpdateFault]) -> None:
    """Say that the answer to `request` has these diagnostics, beside those noted before."""
    found = list(faults)
    if found:
        request.setdefault(FAULTS, []).extend(found)


def _attributes(responses: Iterable[apdu.Apdu]) -> dict[str, str | int]:
    """What a span tells of the answer: counts and the first diagnostic, and no contents."""
    found: dict[str, str | int] = {}
    records = 0
    for response in responses:
        if isinstance(response, apdu.SearchResponse):
            found["lianmu.hits"] = response.result_count
        if isinstance(response, apdu.SearchResponse | apdu.PresentResponse | apdu.Segment):
            records += response.number_of_records_returned
        for condition in conditions_of(response):
            found.setdefault("lianmu.diagnostic", f"{BIB1}/{condition}")
    if records:
        found["lianmu.records"] = records
    return found


def service_of(request: apdu.Apdu) -> str:
    return _SERVICES.get(type(request), OTHER)


def conditions_of(response: apdu.Apdu) -> Iterator[int]:
    """The condition of each diagnostic of Bib-1 in a response, surrogate or not."""
    for diagnostic in _diagnostics(response):
        if isinstance(diagnostic, apdu.DefaultDiagFormat):
            yield diagnostic.condition


def is_refusal(response: apdu.Apdu) -> bool:
    """Whether a request as a whole was refused, not only one of its records or terms."""
    match response:
        case apdu.SearchResponse() | apdu.PresentResponse():
            return isinstance(
                response.records, (apdu.DefaultDiagFormat, apdu.MultipleNonSurDiagnostics)
            )
        case apdu.InitializeResponse():
            return not response.result
        case apdu.ScanResponse():
            return bool(response.entries and response.entries.nonsurrogate_diagnostics)
        case apdu.SortResponse() | apdu.ExtendedServicesResponse():
            return bool(response.diagnostics)
        case apdu.DuplicateDetectionResponse() | apdu.Close():
            return True
        case _:
            return False


def _diagnostics(response: apdu.Apdu) -> Iterable[object]:
    match response:
        case apdu.SearchResponse() | apdu.PresentResponse():
            return _of_records(response.records)
        case apdu.Segment():
            return _surrogates(response.segment_records)
        case apdu.ScanResponse() if response.entries is not None:
            within = (
                entry.diagnostic
                for entry in response.entries.entries
                if isinstance(entry, apdu.SurrogateDiagnostic)
            )
            return (*response.entries.nonsurrogate_diagnostics, *within)
        case (
            apdu.SortResponse()
            | apdu.ExtendedServicesResponse()
            | apdu.DuplicateDetectionResponse()
        ):
            return response.diagnostics
        case _:
            return ()


def _of_records(records: apdu.Records | None) -> Iterable[object]:
    match records:
        case None:
            return ()
        case apdu.DefaultDiagFormat():
            return (records,)
        case apdu.MultipleNonSurDiagnostics():
            return records.diagnostics
        case _:
            return _surrogates(records)


def _surrogates(records: Sequence[apdu.NamePlusRecord]) -> Iterator[object]:
    for item in records:
        if item.record.__class__ is apdu.SurrogateDiagnostic:
            yield item.record.diagnostic


def _condition_of(fault: SruFault | UpdateFault) -> tuple[str, str]:
    of_sru = isinstance(fault.condition, SruDiagnostic)
    return SRU if of_sru else SRU_UPDATE, str(int(fault.condition))


def _page_of(path: str) -> str:
    for prefix, name in _PATHS:
        if path.startswith(prefix):
            return name
    return "page"

"""Files of holdings, in any of their forms, as lines of one kind.

Nothing in a line stops the others: what cannot be read is a line with its problem.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import Any, BinaryIO

import msgspec

from protocol.holding_statement import HoldingStatement, RecordName
from protocol.holdings_fields import SaidInMarc, is_holdings_record, read_holdings
from protocol.iso2709 import DecodedRecord, RefusedRecord, decode_record, parse, split
from protocol.marcxml_reader import read_marcxml
from protocol.record import MarcFamily
from server.holdings.change import Format, Line, Reason
from server.holdings.columns import ACTIONS, column_names

HEAD_BYTES = 1 << 16
_JSON_ARRAY_MAX_BYTES = 64 << 20
_JSON_LINE_MAX_BYTES = 1 << 20
_SEPARATORS = ",\t;|"
_BARCODE_BREAKS = re.compile(r"\s*[;；|\n]\s*")
_LEADER = re.compile(rb"[0-9]{5}[a-z ]")
_OF_TEXT = ("utf-8", "utf-16", "gb18030")
_REPLACED = "\ufffd"
_BLANK = b"\xef\xbb\xbf \t\r\n"


def sniff(head: bytes) -> Format:
    """The form of what begins like this."""
    start = head.lstrip(_BLANK)
    if start.startswith(b"<"):
        return Format.MARCXML
    if start.startswith((b"{", b"[")):
        return Format.JSON
    return Format.MARC if _LEADER.match(start) else Format.CSV


class _Counted(io.RawIOBase):
    """What is read of a stream, which stays open."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.read_bytes = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._stream.read(len(buffer))
        buffer[: len(data)] = data
        self.read_bytes += len(data)
        return len(data)


def opened(stream: BinaryIO) -> tuple[io.BufferedReader, Callable[[], int]]:
    """A stream that can be looked into before it is read, and how much was read of it."""
    counted = _Counted(stream)
    return io.BufferedReader(counted, HEAD_BYTES), lambda: counted.read_bytes


def read_lines(
    stream: io.BufferedReader,
    form: Format,
    *,
    institution: str,
    database: str = "",
    family: MarcFamily | None = None,
    encoding: str = "auto",
    removes: bool = False,
) -> Iterator[Line]:
    """The lines of a file that `opened` gave, said by `institution`.

    `database` is meant where a line names none. MARC needs its `family`. With
    `removes` every line is to remove.

    Raises:
        ValueError: the file as a whole cannot be read; says why.
    """
    match form:
        case Format.CSV:
            lines = _csv(stream, institution, encoding)
        case Format.JSON:
            lines = _json(stream, institution)
        case _:
            if family is None:
                raise ValueError(
                    "MARC records need a database, which says their format / MARC 记录须指明数据库"
                )
            lines = _marc(stream, form, institution, family, encoding)
    for line in lines:
        if line.problem:
            yield line
            continue
        name, statement = line.name, line.statement
        if database and not name.database:
            name = RecordName(
                name.control_number, database, name.numbers, name.local_number, name.isbn,
                name.issn,
            )  # fmt: skip
        if removes:
            statement = None
        elif statement is not None and (excess := statement.excess()):
            yield Line(line.number, name, None, Reason.EXCESS, excess)
            continue
        yield Line(line.number, name, statement)


# CSV


def _csv(stream: io.BufferedReader, institution: str, encoding: str) -> Iterator[Line]:
    text = _text(stream, encoding)
    first = _first_line(text)
    separator = max(_SEPARATORS, key=first.count)
    if not first.count(separator):
        separator = ","
    rows = csv.reader(chain([first], text), delimiter=separator)
    header = next(rows, [])
    columns = column_names(header)
    if not {"control_number", "local_number", "isbn", "issn"} & set(columns):
        raise ValueError(
            "no column names the record: the first line must name the columns, one of them"
            " control_number (控制号), local_number (本馆记录号), isbn or issn"
            " / 首行须为列名，其中一列为控制号、本馆记录号、isbn 或 issn"
        )
    while True:
        try:
            cells = next(rows, None)
        except csv.Error as error:
            yield Line(rows.line_num, RecordName(), None, Reason.MALFORMED, f"no CSV: {error}")
            continue
        if cells is None:
            return
        if any(cell.strip() for cell in cells):
            yield _csv_line(rows.line_num, columns, cells, institution)


def _csv_line(number: int, columns: Sequence[str], cells: Sequence[str], institution: str) -> Line:
    # A line may end early: what is not there is empty.
    said = {
        column: cell.strip()
        for column, cell in zip(columns, [*cells, *[""] * (len(columns) - len(cells))])  # noqa: B905
        if column
    }
    values: dict[str, Any] = dict(said)
    problem = ""
    if len(cells) > len(columns) and any(cell.strip() for cell in cells[len(columns) :]):
        problem = f"{len(cells)} cells under {len(columns)} columns"
    if any(_REPLACED in cell for cell in cells):
        problem = "characters that the file's encoding has not; name it with --encoding"
    if "barcodes" in values:
        values["barcodes"] = [code for code in _BARCODE_BREAKS.split(said["barcodes"]) if code]
    if "copies" in values:
        copies = said["copies"]
        values["copies"] = int(copies) if copies.isdecimal() and len(copies) < 10 else None
        if copies and values["copies"] is None:
            problem = f"{copies[:20]!r} is no number of copies"
    return _line(number, values, institution, problem)


def _text(stream: io.BufferedReader, encoding: str) -> io.TextIOBase:
    head = stream.peek(HEAD_BYTES)
    name = encoding.lower()
    if name == "auto":
        name = _guess(head)
    elif name not in _OF_TEXT:
        raise ValueError(f"CSV is in {', '.join(_OF_TEXT)}, not in {encoding}")
    elif name == "utf-8":
        name = "utf-8-sig"
    return io.TextIOWrapper(stream, encoding=name, errors="replace", newline="")


def _guess(head: bytes) -> str:
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return "gb18030"
    return "utf-8-sig"


def _first_line(text: io.TextIOBase) -> str:
    for line in text:
        if line.strip():
            return line
    raise ValueError("the file is empty / 文件为空")


# JSON


class _Object(msgspec.Struct, forbid_unknown_fields=True):
    """One holding as JSON. What is left out or null is not said."""

    institution: str | None = None
    database: str | None = None
    control_number: str | None = None
    local_number: str | None = None
    numbers: list[str] | None = None
    isbn: str | None = None
    issn: str | None = None
    call_number: str | None = None
    copies: int | None = None
    location: str | None = None
    barcodes: list[str] | str | None = None
    extent: str | None = None
    note: str | None = None
    action: str | None = None
    title: str | None = None  # of an export, not looked at
    changed: str | None = None


_OBJECT = msgspec.json.Decoder(_Object)
_OBJECTS = msgspec.json.Decoder(list[msgspec.Raw])


class _Wrapped(msgspec.Struct, forbid_unknown_fields=True):
    holdings: list[msgspec.Raw]


def _json(stream: BinaryIO, institution: str) -> Iterator[Line]:
    number = 0
    first = b""
    while not first and (line := stream.readline(_JSON_LINE_MAX_BYTES)):
        number += 1
        first = line.strip(_BLANK)
    if not first:
        raise ValueError("the file is empty / 文件为空")
    if first.startswith(b"{") and _is_object(first):
        yield _json_line(number, first, institution)
        while line := stream.readline(_JSON_LINE_MAX_BYTES):
            number += 1
            if line.strip(_BLANK):
                yield _json_line(number, line.strip(_BLANK), institution)
        return
    whole = first + stream.read(_JSON_ARRAY_MAX_BYTES)
    if len(whole) >= _JSON_ARRAY_MAX_BYTES:
        raise ValueError(
            f"an array of more than {_JSON_ARRAY_MAX_BYTES >> 20} MiB: send one object a line"
            " / 数组过大，请每行一个对象"
        )
    try:
        if whole.startswith(b"["):
            objects = _OBJECTS.decode(whole)
        elif b'"holdings"' in whole:
            objects = msgspec.json.decode(whole, type=_Wrapped).holdings
        else:
            objects = [msgspec.Raw(whole)]
    except (msgspec.DecodeError, RecursionError) as error:
        raise ValueError(f"not JSON of holdings / 不是馆藏 JSON: {error}") from None
    for count, raw in enumerate(objects, 1):
        yield _json_line(count, bytes(raw), institution)


def _is_object(line: bytes) -> bool:
    """Whether the first line is a whole object that is a holding itself."""
    try:
        found = msgspec.json.decode(line)
    except (msgspec.DecodeError, RecursionError):
        return line.rstrip(b",").endswith(b"}")
    return isinstance(found, dict) and "holdings" not in found


def _json_line(number: int, octets: bytes, institution: str) -> Line:
    try:
        found = _OBJECT.decode(octets.rstrip(b","))
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        return Line(number, RecordName(), None, Reason.MALFORMED, f"not read: {error}"[:300])
    return _line(number, msgspec.structs.asdict(found), institution)


def _line(number: int, values: dict[str, Any], institution: str, problem: str = "") -> Line:
    """A line of values by column; None or missing: not said."""
    named = values.get("control_number") or ""
    numbers = tuple(values.get("numbers") or ())
    if named.startswith("("):  # with whose it is, as 035 has it
        named, numbers = "", (named, *numbers)
    name = RecordName(
        named, (values.get("database") or "").lower(), numbers, values.get("local_number") or "",
        values.get("isbn") or "", values.get("issn") or "",
    )  # fmt: skip
    if problem:
        return Line(number, name, None, Reason.MALFORMED, problem)
    whose = values.get("institution") or ""
    if whose and whose.casefold() != institution.casefold():
        told = f"it is about holdings of {whose[:40]}, not of {institution}"
        return Line(number, name, None, Reason.NOT_OWN, told)
    action = (values.get("action") or "put").strip().casefold()
    if action not in ACTIONS:
        told = f"{action[:40]!r} is no action: put or remove"
        return Line(number, name, None, Reason.MALFORMED, told)
    if not ACTIONS[action]:
        return Line(number, name, None)
    barcodes = values.get("barcodes")
    if isinstance(barcodes, str):
        barcodes = _BARCODE_BREAKS.split(barcodes)
    if barcodes is not None:
        barcodes = tuple(dict.fromkeys(code.strip() for code in barcodes if code.strip()))
    texts = {}
    for column in ("call_number", "location", "extent", "note"):
        text = values.get(column)
        texts[column] = None if text is None else " ".join(text.split())
    statement = HoldingStatement(copies=values.get("copies"), barcodes=barcodes, **texts)
    return Line(number, name, statement)


# MARC


def _marc(
    stream: BinaryIO, form: Format, institution: str, family: MarcFamily, encoding: str
) -> Iterator[Line]:
    if form is Format.MARCXML:
        records: Iterator[DecodedRecord | RefusedRecord] = read_marcxml(stream, family)
    else:
        records = (
            raw
            if isinstance(raw, RefusedRecord)
            else decode_record(raw.raw, family, encoding, offset=raw.offset)
            for raw in split(stream)
        )
    for number, record in enumerate(records, 1):
        if isinstance(record, RefusedRecord):
            name = RecordName(record.control_number)
            yield Line(number, name, None, Reason.MALFORMED, record.reason[:300])
        else:
            yield marc_line(number, record.marc, family, institution)


def marc_line(number: int, marc: bytes, family: MarcFamily, institution: str) -> Line:
    """What a record in the stored form says of the holdings of `institution`."""
    record = parse(marc)
    said = read_holdings(record, family, institution)
    apart = is_holdings_record(record, family)
    if said.statement is None or said.fields or (apart and not said.others):
        return Line(number, said.name, said.statement)
    return Line(number, said.name, None, *_no_field(said, family, institution))


def _no_field(said: SaidInMarc, family: MarcFamily, institution: str) -> tuple[Reason, str]:
    tag = "852" if family is MarcFamily.MARC21 else "905"
    if said.others:
        told = f"its {tag} are of other libraries, not of {institution}"
        return Reason.NOT_OWN, f"{told} / 记录中的 {tag} 均非 {institution} 的馆藏"
    return Reason.MALFORMED, f"it has no {tag} / 记录中无 {tag} 字段"

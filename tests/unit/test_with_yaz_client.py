"""What we write, read by the real yaz-client: one answer of each kind, nothing behind it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from protocol import apdu as wire
from protocol import oid
from protocol.apdu import (
    AttributeElement,
    AttributesPlusTerm,
    DefaultDiagFormat,
    DeleteResultSetRequest,
    DeleteResultSetResponse,
    ExtendedServicesRequest,
    ExtendedServicesResponse,
    External,
    InitializeRequest,
    InitializeResponse,
    ListEntries,
    ListStatus,
    NamePlusRecord,
    Option,
    PresentRequest,
    PresentResponse,
    ProtocolVersion,
    Request,
    ScanRequest,
    ScanResponse,
    SearchRequest,
    SearchResponse,
    SortRequest,
    SortResponse,
    SurrogateDiagnostic,
    TermInfo,
)
from protocol.association import Association, AssociationLimits
from protocol.charset_negotiation import (
    Iso10646,
    TargetResponse,
    proposal_of,
    response_external,
)
from protocol.explain_common import human
from protocol.explain_record import EXPLAIN_RECORD, TargetInfo
from protocol.grs1 import GRS_1, SUTRS, TaggedElement
from protocol.opac import OPAC_RECORD, CircRecord, HoldingsAndCircData, OpacRecord
from protocol.task_package import (
    TASK_PACKAGE,
    UPDATE,
    TaskPackage,
    UpdatePackage,
    UpdateParameters,
    UpdateResult,
)
from protocol.user_information import init_diagnostic, other_information

pytestmark = pytest.mark.real_client

OPTIONS = frozenset(Option) - {Option.CONCURRENT_OPERATIONS, Option.ENCAPSULATION}


def marc_record() -> bytes:
    """A small record with a true leader."""
    fields = [("001", b"lm0001\x1e"), ("245", "10\x1fa联合目录\x1fcLianmu\x1e".encode())]
    directory, body = b"", b""
    for tag, content in fields:
        directory += f"{tag}{len(content):04}{len(body):05}".encode()
        body += content
    base = 24 + len(directory) + 1
    size = base + len(body) + 1
    return f"{size:05}nam a22{base:05}   4500".encode() + directory + b"\x1e" + body + b"\x1d"


RECORDS: dict[oid.Oid, External] = {
    oid.USMARC: External(oid.USMARC, marc_record()),
    oid.XML: External(oid.XML, b"<record>x</record>"),
    oid.SUTRS: External.of(oid.SUTRS, SUTRS, "Title: Lianmu\n"),
    oid.GRS_1: External.of(
        oid.GRS_1,
        GRS_1,
        (
            TaggedElement(tag_type=2, tag_value=1, content="Lianmu"),
            TaggedElement(
                tag_type=3,
                tag_value="holding",
                content=(TaggedElement(tag_type=3, tag_value="copies", content=7),),
            ),
        ),
    ),
    oid.OPAC: External.of(
        oid.OPAC,
        OPAC_RECORD,
        OpacRecord(
            bibliographic_record=External(oid.USMARC, marc_record()),
            holdings_data=(
                HoldingsAndCircData(
                    nuc_code="PKU",
                    call_number="TP311/5",
                    circulation_data=(
                        CircRecord(
                            available_now=True, item_id="b1", renewable=False, on_hold=False
                        ),
                    ),
                ),
            ),
        ),
    ),
    oid.EXPLAIN: External.of(
        oid.EXPLAIN,
        EXPLAIN_RECORD,
        TargetInfo(
            name="Lianmu",
            named_result_sets=True,
            multiple_db_search=True,
            description=human("a union catalogue", "eng"),
        ),
    ),
}


def init_response(request: InitializeRequest) -> InitializeResponse:
    accepted = request.id_authentication != "nobody/nothing"
    negotiated = TargetResponse(
        selected_charset=Iso10646(encoding_level=oid.UTF_8), records_in_selected_charsets=True
    )
    return InitializeResponse(
        reference_id=request.reference_id,
        protocol_version=request.protocol_version & frozenset(ProtocolVersion),
        options=request.options & OPTIONS,
        preferred_message_size=request.preferred_message_size,
        exceptional_record_size=request.exceptional_record_size,
        result=accepted,
        implementation_id="lianmu",
        implementation_name="Lianmu 联目",
        implementation_version="0",
        user_information_field=(
            None if accepted else init_diagnostic(DefaultDiagFormat.bib1(1011, "who are you"))
        ),
        other_info=(
            (other_information(response_external(negotiated)),)
            if accepted and proposal_of(request)
            else ()
        ),
    )


def search_response(request: SearchRequest) -> SearchResponse:
    fails = isinstance(request.query, wire.RpnQuery) and request.query.rpn == AttributesPlusTerm(
        (AttributeElement(type=1, value=9999),), b"x"
    )
    refusal = DefaultDiagFormat.bib1(114, "9999") if fails else None
    if isinstance(request.query, wire.QueryTooComplex):
        refusal = DefaultDiagFormat.bib1(6, str(request.query.bound))
    return SearchResponse(
        reference_id=request.reference_id,
        result_count=0 if refusal else 1234,
        number_of_records_returned=0,
        next_result_set_position=1,
        search_status=refusal is None,
        result_set_status=3 if refusal else None,
        records=refusal,
    )


def present_response(request: PresentRequest) -> PresentResponse:
    assert request.preferred_record_syntax is not None
    found = RECORDS.get(request.preferred_record_syntax)
    record: wire.Record = (
        SurrogateDiagnostic(DefaultDiagFormat.bib1(238, "1.2.840.10003.5.10"))
        if found is None
        else found
    )
    count = request.number_of_records_requested
    return PresentResponse(
        reference_id=request.reference_id,
        number_of_records_returned=count,
        next_result_set_position=request.result_set_start_point + count,
        present_status=0,
        records=(NamePlusRecord(name="cn_cat", record=record),) * count,
    )


def scan_response(request: ScanRequest) -> ScanResponse:
    terms = [("词", 3), ("词典", 12_345)]
    return ScanResponse(
        reference_id=request.reference_id,
        step_size=0,
        scan_status=0,
        number_of_entries_returned=3,
        position_of_term=1,
        entries=ListEntries(
            entries=(
                *(TermInfo(term=term.encode(), global_occurrences=n) for term, n in terms),
                SurrogateDiagnostic(DefaultDiagFormat.bib1(228, "no term")),
            )
        ),
    )


def update_response(request: ExtendedServicesRequest) -> ExtendedServicesResponse:
    update = UpdatePackage(
        UpdateParameters(action=1, database_name="cn_cat"),
        UpdateResult(update_status=1, task_package_records=()),
    )
    package = TaskPackage(
        package_type=request.package_type,
        target_reference=b"task-17",
        task_status=2,
        task_specific_parameters=External.of(oid.ES_UPDATE, UPDATE, update),
    )
    return ExtendedServicesResponse(
        reference_id=request.reference_id,
        operation_status=1,
        task_package=External.of(oid.ES_TASK_PACKAGE, TASK_PACKAGE, package),
    )


def answer(request: Request) -> wire.Apdu:
    match request:
        case InitializeRequest():
            return init_response(request)
        case SearchRequest():
            return search_response(request)
        case PresentRequest():
            return present_response(request)
        case ScanRequest():
            return scan_response(request)
        case SortRequest():
            return SortResponse(reference_id=request.reference_id, sort_status=0)
        case DeleteResultSetRequest():
            statuses = tuple(ListStatus(name, 0) for name in request.result_set_list)
            return DeleteResultSetResponse(
                reference_id=request.reference_id,
                delete_operation_status=0,
                delete_list_statuses=statuses,
            )
        case ExtendedServicesRequest():
            return update_response(request)
    raise AssertionError(f"{type(request).__name__} is not in the script")


@asynccontextmanager
async def echo_server() -> AsyncIterator[tuple[int, list[Association]]]:
    """A server that knows one answer to each request; its port and associations."""
    associations: list[Association] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        association = Association(AssociationLimits())
        associations.append(association)
        while not association.closed:
            data = await reader.read(65_536)
            if not data:
                break
            association.receive_data(data)
            for request in association.requests_received():
                association.send(answer(request))
            writer.writelines(association.data_to_send())
            await writer.drain()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1], associations


@pytest.fixture
def yaz_client(client_program: Callable[[str], str]) -> str:
    return client_program("yaz-client")


async def session(program: str, folder: Path, commands: str) -> tuple[str, list[Association]]:
    """What yaz-client prints for `commands`; PORT in them is ours."""
    async with echo_server() as (port, associations):
        script = folder / "commands"
        script.write_text(commands.replace("PORT", str(port)) + "\nquit\n", encoding="utf-8")
        process = await asyncio.create_subprocess_exec(
            program, "-f", str(script),
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
            env={"LC_ALL": "C.UTF-8", "HOME": str(folder)}, cwd=folder,
        )  # fmt: skip
        output, _ = await asyncio.wait_for(process.communicate(), 30)
        return output.decode("utf-8", "replace"), associations


async def test_a_whole_session_of_yaz_client_is_understood(yaz_client: str, tmp_path: Path) -> None:
    (tmp_path / "record.xml").write_text("<record/>")
    output, associations = await session(
        yaz_client,
        tmp_path,
        """auth user/secret
charset UTF-8
open tcp:127.0.0.1:PORT/cn_cat
find @and @attr 1=4 "联合" @attr 1=1003 x
format usmarc
show 1+2
format xml
show 1
format sutrs
show 1
format grs-1
show 1
format opac
show 1
format unimarc
show 1
format explain
show 1
scan @attr 1=4 词
sort 1=4 i<
delete 1
find @attr 1=9999 x
update insert 1 record.xml
close""",
    )
    expected = [
        "Connection accepted by v3 target.",
        "Name   : Lianmu 联目",
        "search present delSet",
        "Accepted character set : UTF-8",
        "Number of hits: 1234",
        "nextResultSetPosition = 3",
        "245 10 $a 联合目录 $c Lianmu",
        "<record>x</record>",
        "Title: Lianmu",
        "(2,1) Lianmu",
        "(3,copies) 7",
        "callNumber: TP311/5",
        "itemId: b1",
        "[238] Record not available in requested syntax",
        "a union catalogue",
        "词典 (12345)",
        "Received SortResponse: status=success",
        "Got deleteResultSetResponse status=0",
        "1 status=0",
        "[114] Unsupported Use attribute -- v2 addinfo '9999'",
        "Got extended services response",
        "Status: done",
        "Target Reference: task-17",
        "Reason: finished",
    ]
    missing = [line for line in expected if line not in output]
    assert not missing, output
    assert [association.failure for association in associations] == [None]
    assert associations[0].closed


async def test_a_refused_init_shows_its_reason(yaz_client: str, tmp_path: Path) -> None:
    output, _ = await session(
        yaz_client, tmp_path, "auth nobody/nothing\nopen tcp:127.0.0.1:PORT/cn_cat"
    )
    assert "Connection rejected by" in output
    assert "code=1011 (Init/AC: Bad Userid and/or Password)" in output
    assert "addinfo='who are you'" in output


async def test_version_2_is_spoken(yaz_client: str, tmp_path: Path) -> None:
    output, associations = await session(
        yaz_client, tmp_path, "zversion 2\nopen tcp:127.0.0.1:PORT\nfind x\nshow 1"
    )
    assert "Connection accepted by v2 target." in output
    assert "Number of hits: 1234" in output
    assert [association.version for association in associations] == [2]


async def test_a_query_500_levels_deep_is_answered_and_a_deeper_one_refused(
    yaz_client: str, tmp_path: Path
) -> None:
    output, associations = await session(
        yaz_client,
        tmp_path,
        f"open tcp:127.0.0.1:PORT\nfind {'@and x ' * 500}x\nfind {'@and x ' * 1_200}x\nfind x",
    )
    assert output.count("Number of hits: 1234") == 2
    assert "[6] Too many boolean operators -- v2 addinfo '1000'" in output
    assert [association.failure for association in associations] == [None]

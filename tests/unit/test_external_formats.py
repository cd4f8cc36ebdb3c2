"""Payloads of EXTERNAL: as real programs sent them, and as they are refused."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from protocol import apdu as wire
from protocol import ber, oid
from protocol.apdu import (
    DefaultDiagFormat,
    ExtendedServicesRequest,
    ExtendedServicesResponse,
    External,
    Form,
    InitializeRequest,
    OtherInformationItem,
    ProtocolError,
    ProtocolVersion,
)
from protocol.charset_negotiation import (
    CHARSET_NEGOTIATION,
    Iso10646,
    OriginProposal,
    TargetResponse,
    proposal_of,
    response_external,
)
from protocol.codec import DEPTH_MAX, Codec
from protocol.explain_common import AccessInfo, human
from protocol.explain_record import EXPLAIN_RECORD, CategoryInfo, CategoryList, TargetInfo
from protocol.grs1 import ESPEC_1, GRS_1, SUTRS, NoElement, TaggedElement
from protocol.opac import OPAC_RECORD, CircRecord, HoldingsAndCircData, OpacRecord
from protocol.resource_report import (
    CURRENCY_CNY,
    RESOURCE_1,
    RESOURCE_2,
    Estimate,
    EstimateType,
    Resource1Report,
)
from protocol.task_package import (
    TASK_PACKAGE,
    UPDATE,
    SuppliedRecord,
    TaskPackageRecord,
    TaskStatus,
    UpdateAction,
    UpdatePackage,
    UpdateParameters,
    UpdateRequest,
    UpdateResult,
    UpdateStatus,
)
from protocol.user_information import (
    DATE_TIME,
    DIAGNOSTIC_FORMAT,
    SEARCH_RESULT,
    USER_INFO_1,
    DiagnosticItem,
    init_diagnostic,
    other_information,
)
from tests.property.asn1_values import Values
from tests.unit import captured_apdus as captured

FORMATS: list[Codec[Any]] = [
    CHARSET_NEGOTIATION, DATE_TIME, DIAGNOSTIC_FORMAT, ESPEC_1, EXPLAIN_RECORD, GRS_1, OPAC_RECORD,
    RESOURCE_1, RESOURCE_2, SEARCH_RESULT, SUTRS, TASK_PACKAGE, UPDATE, USER_INFO_1,
]  # fmt: skip


@pytest.mark.parametrize("codec", FORMATS, ids=lambda codec: codec.name)
def test_a_payload_comes_back_as_it_went(codec: Codec[Any]) -> None:
    @settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
    @given(Values().of(codec.type))
    def comes_back(value: object) -> None:
        octets = codec.encode(value)
        assert codec.decode(octets) == value
        for end in {0, 1, len(octets) // 2, len(octets) - 1} - {len(octets)}:
            with pytest.raises(ProtocolError):
                codec.decode(octets[:end])

    comes_back()


# Charset negotiation

UTF_8_PROPOSAL = OriginProposal(
    proposed_charsets=(Iso10646(encoding_level=oid.UTF_8),), records_in_selected_charsets=True
)


def init(**changed: object) -> InitializeRequest:
    given_fields: dict[str, object] = {
        "protocol_version": frozenset(ProtocolVersion),
        "options": frozenset(),
        "preferred_message_size": 0,
        "exceptional_record_size": 0,
    }
    return InitializeRequest(**(given_fields | changed))  # type: ignore[arg-type]


@pytest.mark.parametrize("octets", [captured.INIT_V3_OPEN, captured.INIT_V2_ID_PASS])
def test_the_proposal_of_yaz_client_is_found(octets: str) -> None:
    request = wire.decode(bytes.fromhex(octets))
    assert isinstance(request, InitializeRequest)
    assert proposal_of(request) == UTF_8_PROPOSAL


def test_a_proposal_is_found_wherever_the_client_put_it() -> None:
    external = External.of(oid.CHARSET_NEGOTIATION_3, CHARSET_NEGOTIATION, UTF_8_PROPOSAL)
    other = other_information(External(oid.DATE_TIME, b""))
    item = other_information(external)
    wrapped = External.of(oid.USER_INFO_1, USER_INFO_1, (other, item))
    assert proposal_of(init(user_information_field=external)) == UTF_8_PROPOSAL
    assert proposal_of(init(other_info=(other, item))) == UTF_8_PROPOSAL
    assert proposal_of(init(user_information_field=wrapped)) == UTF_8_PROPOSAL
    assert proposal_of(init(user_information_field=other.information)) is None
    assert proposal_of(init()) is None


def test_a_proposal_that_cannot_be_read_counts_as_none() -> None:
    for data in (b"", b"\xa1\x02\x81", b"\x30\x00"):
        broken = External(oid.CHARSET_NEGOTIATION_3, data, Form.SINGLE_ASN1_TYPE)
        assert proposal_of(init(user_information_field=broken)) is None
    answer = response_external(TargetResponse(selected_language="chi"))
    assert proposal_of(init(user_information_field=answer)) is None
    unreadable = External(oid.USER_INFO_1, b"\x30\x00", Form.SINGLE_ASN1_TYPE)
    assert proposal_of(init(user_information_field=unreadable)) is None


def test_the_response_is_what_yaz_would_send() -> None:
    response = TargetResponse(
        selected_charset=Iso10646(encoding_level=oid.UTF_8), records_in_selected_charsets=True
    )
    external = response_external(response)
    assert external.data.hex() == "a20fa10aa208820628d31601000883" + "01ff"
    assert external.decode(CHARSET_NEGOTIATION) == response


def test_a_refused_init_says_why() -> None:
    external = init_diagnostic(DefaultDiagFormat.bib1(1011, "expired"))
    assert external.direct_reference == oid.USER_INFO_1
    ((item),) = external.decode(USER_INFO_1)
    assert isinstance(item, OtherInformationItem)
    assert isinstance(item.information, External)
    assert item.information.decode(DIAGNOSTIC_FORMAT) == (
        DiagnosticItem(diagnostic=DefaultDiagFormat.bib1(1011, "expired")),
    )


def test_the_diagnostic_of_an_init_is_the_octets_that_yaz_makes() -> None:
    external = init_diagnostic(DefaultDiagFormat.bib1(1011, "who are you"))
    request = wire.encode(init(user_information_field=external))
    assert bytes.fromhex(captured.YAZ_INIT_DIAGNOSTIC) in request


# Extended services


def test_the_update_of_yaz_client_is_read() -> None:
    request = wire.decode(bytes.fromhex(captured.UPDATE))
    assert isinstance(request, ExtendedServicesRequest)
    assert request.task_specific_parameters is not None
    assert request.task_specific_parameters.decode(UPDATE) == UpdateRequest(
        UpdateParameters(
            action=UpdateAction.RECORD_INSERT,
            database_name="Default",
            schema=oid.Oid.parse("1.2.840.10003.13.2"),
        ),
        (SuppliedRecord(record_id=b"5", record=External(oid.XML, b"rec.xml")),),
    )


def test_the_task_package_of_yaz_is_read() -> None:
    response = wire.decode(bytes.fromhex(captured.UPDATE_RESPONSE))
    assert isinstance(response, ExtendedServicesResponse)
    assert response.task_package is not None
    package = response.task_package.decode(TASK_PACKAGE)
    assert package.package_type == oid.ES_UPDATE
    assert package.target_reference == b"123"
    assert package.task_status == TaskStatus.PENDING
    update = package.task_specific_parameters.decode(UPDATE)
    assert update == UpdatePackage(
        UpdateParameters(action=1, database_name="Default"),
        UpdateResult(
            update_status=UpdateStatus.SUCCESS,
            task_package_records=(
                TaskPackageRecord(
                    record_or_sur_diag=External(
                        oid.SUTRS, SUTRS.encode("test"), Form.SINGLE_ASN1_TYPE
                    ),
                    record_status=1,
                ),
            ),
        ),
    )
    assert UPDATE.decode(UPDATE.encode(update)) == update
    assert TASK_PACKAGE.encode(package) == response.task_package.data


# Records

RECORDS: list[tuple[Codec[Any], Any, str]] = [
    (SUTRS, "a\n", "1b02610a"),
    (
        OPAC_RECORD,
        OpacRecord(
            bibliographic_record=External(oid.USMARC, b"x"),
            holdings_data=(
                HoldingsAndCircData(
                    nuc_code="PKU",
                    call_number="TP3",
                    circulation_data=(
                        CircRecord(available_now=True, renewable=False, on_hold=False),
                    ),
                ),
            ),
        ),
        "3029a10c06072a8648ce13050a810178a219a217"
        "8803504b558b03545033b30b30098101ff860100870100",
    ),
    (
        GRS_1,
        (
            TaggedElement(tag_type=2, tag_value=1, content="t"),
            TaggedElement(tag_value="x", content=(
                TaggedElement(tag_value=1, content=NoElement.ELEMENT_EMPTY),
            )),
        ),
        "3027300d810102a203820101a4031b01743016a203810178a40fa60d300b3009a203820101a4028300",
    ),
    (
        RESOURCE_1,
        Resource1Report(
            estimates=(
                Estimate(
                    type=EstimateType.CURRENT_ASSOC_COST, value=1200, currency_code=CURRENCY_CNY
                ),
            ),
            message="m",
        ),
        "3012a10d300b81010a820204b08302009c82016d",
    ),
    (
        EXPLAIN_RECORD,
        CategoryList(categories=(CategoryInfo(category="TargetInfo"),)),
        "bf6410a10e300c810a546172676574496e666f",
    ),
    (
        EXPLAIN_RECORD,
        TargetInfo(
            name="n",
            named_result_sets=True,
            multiple_db_search=True,
            description=human("d", "chi"),
            common_access_info=AccessInfo(unit_systems=()),
        ),
        "a019 81016e 8401ff 8501ff ac0a 3008 8003636869 810164 b302 ab00".replace(" ", ""),
    ),
]  # fmt: skip


@pytest.mark.parametrize(("codec", "value", "octets"), RECORDS)
def test_a_record_is_these_octets(codec: Codec[Any], value: object, octets: str) -> None:
    assert codec.encode(value).hex() == octets
    assert codec.decode(bytes.fromhex(octets)) == value


def test_a_record_that_holds_itself_is_bounded_in_depth() -> None:
    def tree(depth: int) -> tuple[TaggedElement, ...]:
        record: tuple[TaggedElement, ...] = ()
        for _ in range(depth):
            record = (TaggedElement(tag_value=1, content=record),)
        return record

    shallow = GRS_1.encode(tree(15))
    assert GRS_1.decode(shallow) == tree(15)
    deep = GRS_1.encode(tree(DEPTH_MAX))
    with pytest.raises(ProtocolError, match="nested"):
        GRS_1.decode(deep)
    endless = b"\x30\x80\x30\x80\xa4\x80\xa6\x80" * 50_000
    with pytest.raises(ProtocolError, match="nested"):
        GRS_1.decode(endless)


@pytest.mark.parametrize(
    ("octets", "reason"),
    [
        ("", "cut short"),
        ("30", "cut short"),
        ("3001", "longer"),
        ("02010000", "no "),
        ("30000000", "more than one"),
        ("3100", "no "),
    ],
)
def test_a_malformed_payload_is_a_protocol_error(octets: str, reason: str) -> None:
    with pytest.raises(ProtocolError, match=reason):
        OPAC_RECORD.decode(bytes.fromhex(octets))


def test_an_external_is_read_in_every_form() -> None:
    def through(content: str) -> External:
        head = bytes.fromhex("830100840100850101860101")
        octets = ber.wrap(b"\xb4", head + ber.wrap(b"\xab", bytes.fromhex(content)))
        request = wire.decode(octets)
        assert isinstance(request, InitializeRequest)
        assert request.user_information_field is not None
        return request.user_information_field

    assert through("28080601 2a 8103616263".replace(" ", "")) == External(oid.Oid((1, 2)), b"abc")
    assert through("2805a003020105") == External(None, b"\x02\x01\x05", Form.SINGLE_ASN1_TYPE)
    assert through("2880a0800201050000 0000".replace(" ", "")).data == b"\x02\x01\x05"
    assert through("2880a08030800000 0000 0000".replace(" ", "")).data == b"\x30\x80\x00\x00"
    assert through("2808a10604016104 0162".replace(" ", "")) == External(None, b"ab")
    assert through("280482020580") == External(None, b"\x05\x80", Form.ARBITRARY)
    assert through("280a0201030701648102 6162".replace(" ", "")) == External(
        None, b"ab", indirect_reference=3, descriptor="d"
    )
    for broken in (
        "2800",
        "28020500",
        "2880810161",
        "2804a0020201",
        "2805a0040500 0500".replace(" ", ""),
    ):
        with pytest.raises(ProtocolError):
            through(broken)
    with pytest.raises(ProtocolError, match="arbitrary"):
        External(None, b"\x00", Form.ARBITRARY).decode(SUTRS)


def test_hostile_payloads_raise_nothing_unnamed() -> None:
    randomness = random.Random(11)
    payloads = [(codec, codec.encode(value)) for codec, value, _ in RECORDS]
    request = wire.decode(bytes.fromhex(captured.UPDATE))
    assert isinstance(request, ExtendedServicesRequest)
    assert request.task_specific_parameters is not None
    payloads.append((UPDATE, request.task_specific_parameters.data))
    survivors = 0
    for _ in range(4_000):
        codec, octets = randomness.choice(payloads)
        changed = bytearray(octets)
        for _ in range(randomness.randrange(1, 4)):
            changed[randomness.randrange(len(changed))] = randomness.choice(
                [0, 0x30, 0x7F, 0x80, 0x82, 0xFF, randomness.randrange(256)]
            )
        try:
            value = codec.decode(bytes(changed))
        except ProtocolError:
            continue
        assert codec.decode(codec.encode(value)) == value
        survivors += 1
    assert 200 < survivors < 3_800

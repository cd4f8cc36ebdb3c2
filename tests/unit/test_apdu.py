"""Each APDU against octets that real programs sent, and against malformed ones."""

from __future__ import annotations

import copy
import pickle

import pytest

from protocol import apdu as wire
from protocol import ber, oid
from protocol.apdu import (
    AccessControlRequest,
    AccessControlResponse,
    Anonymous,
    Apdu,
    AttributeElement,
    AttributesPlusTerm,
    BooleanOperator,
    Close,
    ComplexAttribute,
    CompSpec,
    CqlQuery,
    DatabaseElementSetName,
    DefaultDiagFormat,
    DeleteResultSetRequest,
    DeleteResultSetResponse,
    ExtendedServicesRequest,
    External,
    FinalFragment,
    Form,
    IdPass,
    InfoCategory,
    InitializeRequest,
    ListStatus,
    MissingValueAction,
    MultipleNonSurDiagnostics,
    NamePlusRecord,
    Null,
    Opaque,
    Option,
    OtherInformationItem,
    OtherQuery,
    PresentRequest,
    PresentResponse,
    ProtocolError,
    ProtocolVersion,
    ProximityOperator,
    QueryBound,
    QueryTooComplex,
    ResourceReportRequest,
    ResultAttr,
    ResultSetId,
    RpnOperation,
    RpnQuery,
    ScanRequest,
    SearchRequest,
    SearchResponse,
    SortAttributes,
    SortKeySpec,
    SortRequest,
    SortResponse,
    Specification,
    SurrogateDiagnostic,
    Term,
    UnknownApduError,
)
from tests.unit import captured_apdus as captured
from tests.unit.apdu_samples import operand, rpn, search, use

UNSUPPORTED = DefaultDiagFormat(oid.DIAG_BIB_1, 239, "1.2.840.10003.5.100")
HELLO = OtherInformationItem(
    category=InfoCategory(category_type_id=oid.Oid.parse("1.2.3"), category_value=1),
    information="hello",
)


PIGGYBACK = {
    "large_set_lower_bound": 3,
    "medium_set_present_number": 2,
    "small_set_element_set_names": "B",
    "medium_set_element_set_names": "B",
    "preferred_record_syntax": oid.EXPLAIN,
}
PROXIMITY = ProximityOperator(
    exclusion=False, distance=3, ordered=True, relation_type=2, proximity_unit_code=2
)

CAPTURED: list[tuple[str, Apdu]] = [
    (captured.SEARCH_NO_ATTRIBUTE, search(rpn(operand(b"computer")))),
    (captured.SEARCH_TITLE, search(rpn(operand(b"computer", use(4))), "2")),
    (
        captured.SEARCH_BOOLEAN_INDEFINITE,
        search(
            rpn(
                RpnOperation(
                    BooleanOperator.AND,
                    operand(b"computer", use(4)),
                    RpnOperation(
                        BooleanOperator.OR,
                        operand(b"knuth donald", use(3, type_=2), use(1003)),
                        operand(b"1990", use(31)),
                    ),
                )
            ),
            "3",
        ),
    ),
    (
        captured.SEARCH_PROXIMITY,
        search(rpn(RpnOperation(PROXIMITY, operand(b"a"), operand(b"b"))), "4"),
    ),
    (
        captured.SEARCH_WITHIN_SET,
        search(
            rpn(
                RpnOperation(
                    BooleanOperator.AND_NOT,
                    ResultSetId("1"),
                    operand(b"comput", use(1, type_=5)),
                )
            ),
            "5",
        ),
    ),
    (captured.SEARCH_NUMERIC_TERM, search(rpn(operand(42)), "6")),
    (captured.SEARCH_CQL, search(CqlQuery("dc.title=knuth"), "10", **PIGGYBACK)),
    (
        captured.SEARCH_CCL_OTHER_INFO,
        search(OtherQuery(2, b"\x04\x01x"), "12", **PIGGYBACK, other_info=(HELLO,)),
    ),
    (
        captured.SEARCH_RESPONSE,
        SearchResponse(
            result_count=23,
            number_of_records_returned=0,
            next_result_set_position=1,
            search_status=True,
        ),
    ),
    (
        captured.SEARCH_RESPONSE_DIAGNOSTIC,
        SearchResponse(
            result_count=1,
            number_of_records_returned=0,
            next_result_set_position=2,
            search_status=True,
            present_status=5,
            records=UNSUPPORTED,
        ),
    ),
    (
        captured.PRESENT,
        PresentRequest(
            result_set_id="9",
            result_set_start_point=1,
            number_of_records_requested=1,
            preferred_record_syntax=oid.USMARC,
        ),
    ),
    (
        captured.PRESENT_COMP_SPEC,
        PresentRequest(
            result_set_id="9",
            result_set_start_point=1,
            number_of_records_requested=1,
            record_composition=CompSpec(
                select_alternative_syntax=False,
                generic=Specification(schema=oid.Oid.parse("1.2.840.10003.13.2"), element_spec="B"),
            ),
            preferred_record_syntax=oid.EXPLAIN,
        ),
    ),
    (
        captured.PRESENT_RESPONSE_SUTRS,
        PresentResponse(
            number_of_records_returned=1,
            next_result_set_position=2,
            present_status=0,
            records=(
                NamePlusRecord(
                    name="Default",
                    record=External(
                        oid.SUTRS,
                        b"\x1b$This is dummy SUTRS record number 1\n",
                        Form.SINGLE_ASN1_TYPE,
                    ),
                ),
            ),
        ),
    ),
    (
        captured.PRESENT_RESPONSE_SURROGATE,
        PresentResponse(
            number_of_records_returned=1,
            next_result_set_position=3,
            present_status=0,
            records=(
                NamePlusRecord(
                    name="Default",
                    record=SurrogateDiagnostic(DefaultDiagFormat.bib1(14)),
                ),
            ),
        ),
    ),
    (
        captured.SCAN,
        ScanRequest(
            database_names=("Default",),
            attribute_set=oid.BIB_1,
            term_list_and_start_point=operand(b"b", use(4)),
            step_size=0,
            number_of_terms_requested=20,
            preferred_position_in_response=1,
        ),
    ),
    (
        captured.SORT,
        SortRequest(
            input_result_set_names=("9",),
            sorted_result_set_name="9",
            sort_sequence=(
                SortKeySpec(
                    sort_element=SortAttributes(oid.BIB_1, (use(4),)),
                    sort_relation=0,
                    case_sensitivity=1,
                    missing_value_action=MissingValueAction.NULL,
                ),
            ),
        ),
    ),
    (captured.SORT_RESPONSE, SortResponse(sort_status=0)),
    (captured.DELETE, DeleteResultSetRequest(delete_function=0, result_set_list=("1",))),
    (
        captured.DELETE_RESPONSE,
        DeleteResultSetResponse(
            delete_operation_status=0, delete_list_statuses=(ListStatus("1", 0),)
        ),
    ),
    (captured.CLOSE, Close(close_reason=0)),
    (
        captured.CLOSE_RESPONSE,
        Close(close_reason=0, diagnostic_information="Association terminated by client"),
    ),
]


@pytest.mark.parametrize(("octets", "value"), CAPTURED)
def test_what_real_programs_send_is_read(octets: str, value: Apdu) -> None:
    assert wire.decode(bytes.fromhex(octets)) == value


@pytest.mark.parametrize(("octets", "value"), CAPTURED)
def test_what_is_written_is_what_yaz_writes_in_definite_lengths(octets: str, value: Apdu) -> None:
    written = wire.encode(value)
    assert wire.decode(written) == value
    if octets[2:4] != "80":
        true_as_ff = octets.replace("900101", "9001ff").replace("960101", "9601ff")
        assert written.hex() == true_as_ff.replace("830101840102a5", "8301ff840102a5")


def test_init_of_version_3_with_open_authentication_is_read() -> None:
    request = wire.decode(bytes.fromhex(captured.INIT_V3_OPEN))
    assert isinstance(request, InitializeRequest)
    assert request.protocol_version == set(ProtocolVersion)
    assert Option.NAMED_RESULT_SETS in request.options
    assert Option.CONCURRENT_OPERATIONS not in request.options
    assert request.preferred_message_size == 64 * 1024 * 1024
    assert request.id_authentication == "user/pass"
    assert request.implementation_name == "YAZ"
    (item,) = request.other_info
    assert isinstance(item.information, External)
    assert item.information.direct_reference == oid.CHARSET_NEGOTIATION_3
    assert wire.decode(wire.encode(request)) == request


def test_init_of_version_2_with_id_pass_is_read() -> None:
    request = wire.decode(bytes.fromhex(captured.INIT_V2_ID_PASS))
    assert isinstance(request, InitializeRequest)
    assert ProtocolVersion.VERSION_3 not in request.protocol_version
    assert request.id_authentication == IdPass(group_id="grp", user_id="usr", password="pw")
    assert request.other_info[1] == HELLO


def test_an_update_keeps_its_task_package_undecoded() -> None:
    request = wire.decode(bytes.fromhex(captured.UPDATE))
    assert isinstance(request, ExtendedServicesRequest)
    assert request.package_type == oid.ES_UPDATE
    assert request.task_specific_parameters is not None
    assert request.task_specific_parameters.form is Form.SINGLE_ASN1_TYPE
    assert wire.encode(request).hex() == captured.UPDATE


INIT_HEAD = "83020560840300e9a2" + "850101" + "860101"

AUTHENTICATIONS = [
    ("a7061a04752f7077", "u/pw"),
    ("a7061b04752f7077", "u/pw"),  # GeneralString where VisibleString is due
    ("a7060c04752f7077", "u/pw"),
    ("a7020500", Anonymous.ANONYMOUS),
    ("a7053003810175", IdPass(user_id="u")),
    ("a7023000", IdPass()),
    ("a7800500 0000".replace(" ", ""), Anonymous.ANONYMOUS),
    ("a78030808101750000 0000".replace(" ", ""), IdPass(user_id="u")),
    ("a70428028100", External(None, b"")),
    ("a7030a0101", Opaque(b"\x0a\x01\x01")),
]


@pytest.mark.parametrize(("octets", "value"), AUTHENTICATIONS)
def test_every_form_of_authentication_is_read(octets: str, value: object) -> None:
    content = bytes.fromhex(INIT_HEAD + octets)
    request = wire.decode(ber.wrap(b"\xb4", content))
    assert isinstance(request, InitializeRequest)
    assert request.id_authentication == value
    assert wire.decode(wire.encode(request)) == request


TERMS: list[Term] = [
    b"",
    b"\xd6\xd0\xb9\xfa",  # GB18030, not UTF-8
    0,
    -5,
    "text",
    "中国",
    oid.USMARC,
    wire.GeneralizedTime("20240101000000Z"),
    External(oid.SUTRS, b"x"),
    wire.IntUnit(3, wire.Unit(unit_system="SI", unit_type=2, unit="kg", scale_factor=3)),
    Null.NULL,
]


@pytest.mark.parametrize("term", TERMS)
def test_a_term_keeps_its_kind(term: Term) -> None:
    request = search(rpn(operand(term)))
    decoded = wire.decode(wire.encode(request))
    assert decoded == request
    assert isinstance(decoded, SearchRequest)
    assert isinstance(decoded.query, RpnQuery)
    assert isinstance(decoded.query.rpn, AttributesPlusTerm)
    assert type(decoded.query.rpn.term) is type(term)


def test_octets_that_are_not_utf_8_survive_in_text() -> None:
    gb18030 = "上海".encode("gb18030")
    octets = bytes.fromhex(captured.SEARCH_TITLE).replace(b"Default", gb18030 + b"abc")
    request = wire.decode(octets)
    assert isinstance(request, SearchRequest)
    assert request.database_names[0].encode("utf-8", "surrogateescape") == gb18030 + b"abc"
    assert gb18030 in wire.encode(request)


def test_complex_attributes_and_restricted_sets_are_read_in_type_101() -> None:
    attributes = (
        AttributeElement(
            attribute_set=oid.GILS, type=1, value=ComplexAttribute(("title", 4), (1,))
        ),
    )
    query = RpnQuery(oid.BIB_1, ResultAttr("set", attributes), query_type=101)
    request = search(query)
    assert wire.decode(wire.encode(request)) == request


def test_a_query_of_unknown_type_is_kept_for_a_diagnostic() -> None:
    request = search(OtherQuery(119, b"\x04\x01x"))
    assert wire.decode(wire.encode(request)) == request
    foreign = External(oid.Oid.parse("1.2.3"), b"q")
    assert wire.decode(wire.encode(search(OtherQuery(104, external=foreign)))) == search(
        OtherQuery(104, external=foreign)
    )


def test_cql_as_bare_octets_is_read() -> None:
    octets = External(oid.CQL, "title=中".encode())
    request = search(OtherQuery(104, external=octets))
    assert wire.decode(wire.encode(request)) == search(CqlQuery("title=中"))


def test_element_sets_by_database_and_fragments_and_several_diagnostics_are_read() -> None:
    names = (DatabaseElementSetName("cn_cat", "F"), DatabaseElementSetName("we_cat", "B"))
    request = search(rpn(operand(b"x")), small_set_element_set_names=names)
    assert wire.decode(wire.encode(request)) == request
    for records in (
        (NamePlusRecord(record=FinalFragment(b"tail")), NamePlusRecord(record=External(None, b""))),
        MultipleNonSurDiagnostics((UNSUPPORTED, External(oid.DIAG_1, b"\x30\x00"))),
        UNSUPPORTED,
        (),
    ):
        response = PresentResponse(
            number_of_records_returned=0,
            next_result_set_position=0,
            present_status=5,
            records=records,
        )
        assert wire.decode(wire.encode(response)) == response


def test_access_control_is_read_in_both_forms() -> None:
    for value in (b"simple", External(oid.PROMPT_1, b"\x30\x00", Form.SINGLE_ASN1_TYPE)):
        challenge = AccessControlRequest(security_challenge=value)
        assert wire.decode(wire.encode(challenge)) == challenge
        answer = AccessControlResponse(security_challenge_response=value, diagnostic=UNSUPPORTED)
        assert wire.decode(wire.encode(answer)) == answer


@pytest.mark.parametrize(
    ("addinfo", "tag"), [("plain", 0x1A), ("", 0x1A), ("中文", 0x1B), ("\udcd6\udcd0", 0x1B)]
)
def test_addinfo_is_a_visible_string_while_it_can_be(addinfo: str, tag: int) -> None:
    response = SortResponse(sort_status=2, diagnostics=(DefaultDiagFormat.bib1(1, addinfo),))
    octets = wire.encode(response)
    assert wire.decode(octets) == response
    assert octets[octets.index(b"\x02\x01\x01") + 3] == tag


def test_an_unknown_component_is_stepped_over() -> None:
    octets = bytes.fromhex(captured.PRESENT)[2:]
    for unknown in ("9f8b0a0100", "bf8b0a80040178300000 00".replace(" ", ""), "bf8b0a0430020400"):
        for at in (0, len(octets)):
            content = octets[:at] + bytes.fromhex(unknown) + octets[at:]
            request = wire.decode(ber.wrap(b"\xb8", content))
            assert request == wire.decode(bytes.fromhex(captured.PRESENT))


def test_strings_in_segments_are_read() -> None:
    octets = bytes.fromhex("bf30109f81530100a309040261620403636465")
    assert wire.decode(octets) == Close(close_reason=0, diagnostic_information="abcde")
    octets = bytes.fromhex("bf30129f81530100a3800402616204036364650000")
    assert wire.decode(octets) == Close(close_reason=0, diagnostic_information="abcde")


def test_a_reference_id_is_kept_as_octets() -> None:
    request = ResourceReportRequest(reference_id=b"\x00\xff", op_id=b"")
    decoded = wire.decode(wire.encode(request))
    assert decoded == request


MALFORMED = [
    ("", "cut short"),
    ("b8", "cut short"),
    ("b81400", "cut short"),
    ("b703990101", "lacks result_count, number_of_records_returned, search_status"),
    ("b700", "lacks result_count"),
    ("3000", "no APDU begins with tag 30"),
    ("bf2a00", "no APDU begins with tag bf2a"),
    ("bf3300", "no APDU begins with tag bf33"),
    ("98020000", "no APDU begins with tag 98"),
    ("b80a9f1f01399e01019d0200", "longer than the one around it"),
    ("b8099f1f01399e01019d00", "INTEGER of 0 octets"),
    ("b8109f1f01399e09010000000000000000", "INTEGER of 9 octets"),
    ("bf30059f8153010000", "an APDU is longer than its length says"),
    ("b8809f1f01399e01019d0101", "without its end"),
    ("b8029e80", "primitive element of indefinite length"),
    ("b40483020800", "unused bits"),
    ("b403830100", "lacks options, preferred_message_size, exceptional_record_size"),
    ("b6029000", "BOOLEAN of 0 octets"),
    ("b605b503a10130", "cut short|longer"),
    ("b60ab508a10606022a03a100", "cut short"),
    ("b60ab508a10606022a033000", "no RPNStructure begins with tag 30"),
    ("b60cb50aa10806022a03a0023000", "no Operand begins with tag 30"),
    ("b607b505a103020100", "without its attribute set"),
    ("b606b504a1020500", "without its attribute set"),
]


@pytest.mark.parametrize(("octets", "reason"), MALFORMED)
def test_malformed_octets_are_a_protocol_error(octets: str, reason: str) -> None:
    with pytest.raises(ProtocolError, match=reason):
        wire.decode(bytes.fromhex(octets))


@pytest.mark.parametrize(
    ("node", "reason"),
    [
        ("a005bf8156020500", "longer than the one around it"),
        ("a006bf8156020500", "a restricted result set without its name"),
        ("a009bf8156059f1f000500", "a restricted result set without its attributes"),
        ("a1023000", "no RPNStructure begins with tag 30"),
        ("a10aa0039f1f00a0039f1f00", "cut short|longer"),
        ("a10ca0039f1f00a0039f1f000500", "without its operator"),
        ("a10fa0039f1f00a0039f1f00bf2e020500", "no Operator begins with tag 5"),
        ("a011a0039f1f00a0039f1f00bf2e0480008000", "no Operand begins with tag a0"),
        ("a111a0039f1f00a0039f1f00bf2e0480008000", "more than one element"),
    ],
)
def test_a_malformed_query_is_a_protocol_error(node: str, reason: str) -> None:
    content = b"\x06\x02\x2a\x03" + bytes.fromhex(node)
    octets = ber.wrap(b"\xb6", ber.wrap(b"\xb5", ber.wrap(b"\xa1", content)))
    with pytest.raises(ProtocolError, match=reason):
        wire.decode(octets)


def test_an_unknown_apdu_has_its_own_error() -> None:
    with pytest.raises(UnknownApduError):
        wire.decode(bytes.fromhex("bf2500"))


# Values


def test_an_apdu_is_a_value() -> None:
    request = wire.decode(bytes.fromhex(captured.SEARCH_BOOLEAN_INDEFINITE))
    assert copy.deepcopy(request) == request
    assert pickle.loads(pickle.dumps(request)) == request
    assert hash(request) == hash(copy.copy(request))
    with pytest.raises(AttributeError):
        request.query = None  # type: ignore[misc, union-attr]


def test_what_the_description_forbids_is_not_written() -> None:
    with pytest.raises(TypeError, match="is no Term"):
        wire.encode(search(rpn(operand(1.5))))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="cannot be sent"):
        wire.encode(search(QueryTooComplex(1, QueryBound.DEPTH)))
    with pytest.raises(TypeError):
        SearchResponse(result_count=1)  # type: ignore[call-arg]

"""Character sets of a session, negotiated or pinned (Z39.50-2003 §3.10)."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import pytest

from protocol import apdu, oid, user_information
from protocol.apdu_common import AttributeElement, AttributesPlusTerm
from protocol.charset_negotiation import (
    CHARSET_NEGOTIATION,
    Iso10646,
    NoCharset,
    OriginProposal,
    PrivateCharacterSet,
    ProposedCharset,
    SelectedCharset,
    TargetResponse,
)
from protocol.diagnostic import Bib1
from protocol.iso2709 import decode_record
from protocol.opac import OPAC_RECORD
from protocol.record import MarcFamily
from tests.harness import RunningServer, lianmu
from tests.server.own_server import cnmarc, marc21, own_server
from tests.z3950_client import (
    Client,
    diagnostic,
    present_request,
    records,
    search_request,
    surrogates,
)

TITLE = "红楼梦研究"
# In GB 18030 but not in the EACC of MARC-8.
RARE = "𠮷野家史"


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    catalogue = {
        "cn_cat": [
            cnmarc("c1", TITLE, author="曹雪芹"),
            cnmarc("c2", "联通史", author="王五"),
            cnmarc("c3", RARE),
        ],
        "we_cat": [marc21("w1", "Café society", author="Müller, Jürgen")],
    }
    folder = tmp_path_factory.mktemp("charsets")
    pinned = {"koha": "gb18030", "horizon": "marc-8"}
    with own_server(folder, catalogue, pinned=pinned) as server:
        yield server


def private(name: str) -> PrivateCharacterSet:
    """A set by name, as YAZ proposes it."""
    yaz = oid.Oid.parse("1.2.840.10003.15.1000.81.1")
    return PrivateCharacterSet(apdu.External(yaz, name.encode()))


def iso10646(level: oid.Oid) -> Iso10646:
    return Iso10646(encoding_level=level)


def proposing(
    *charsets: ProposedCharset, languages: tuple[str, ...] = (), in_records: bool | None = True
) -> apdu.External:
    proposal = OriginProposal(
        proposed_charsets=charsets,
        proposed_languages=languages,
        records_in_selected_charsets=in_records,
    )
    return apdu.External.of(oid.CHARSET_NEGOTIATION_3, CHARSET_NEGOTIATION, proposal)


def signed_in(
    server: RunningServer, proposal: apdu.External | None = None, login: str = "demo1/demo1"
) -> tuple[Client, TargetResponse | None]:
    """A client past Init, and the answer to its proposal."""
    client = Client(server.z3950)
    other_info = (user_information.other_information(proposal),) if proposal else ()
    response = client.init(login, other_info=other_info)
    assert response.result
    if not response.other_info:
        return client, None
    assert apdu.Option.NEGOTIATION_MODEL in response.options
    return client, answer_in(response.other_info[0].information)


def answer_in(information: apdu.Information) -> TargetResponse:
    assert isinstance(information, apdu.External)
    answer = information.decode(CHARSET_NEGOTIATION)
    assert isinstance(answer, TargetResponse)
    return answer


def title(client: Client, octets: bytes, *databases: str, **fields: object) -> apdu.SearchResponse:
    """A search for a title whose term is these octets."""
    attributes = (AttributeElement(type=1, value=4), AttributeElement(type=4, value=1))
    query = apdu.RpnQuery(oid.BIB_1, AttributesPlusTerm(attributes, octets))
    request = search_request("x", *(databases or ("cn_cat",)), **fields)
    return client.ask(dataclasses.replace(request, query=query), apdu.SearchResponse)


# Negotiation


@pytest.mark.parametrize(
    ("charsets", "selected"),
    [
        ((iso10646(oid.UTF_8),), 0),
        ((private("gb18030"),), 0),
        ((private("GBK"),), 0),
        ((private("gb2312"), iso10646(oid.UTF_8)), 0),
        ((private("big5"), iso10646(oid.UTF_16), iso10646(oid.UTF_8)), 2),
        ((private("MARC-8"),), 0),
        ((private("utf-8"),), 0),
        ((private("big5"), iso10646(oid.UCS_4)), None),
        ((PrivateCharacterSet((oid.BIB_1,)),), None),
    ],
)
def test_the_first_set_that_is_ours_is_selected(
    shelf: RunningServer, charsets: tuple[ProposedCharset, ...], selected: int | None
) -> None:
    client, answer = signed_in(shelf, proposing(*charsets))
    client.close()
    assert answer is not None
    expected: SelectedCharset = NoCharset.NONE
    if selected is not None:
        chosen = charsets[selected]
        assert isinstance(chosen, Iso10646 | PrivateCharacterSet)
        expected = chosen
    assert answer.selected_charset == expected
    assert answer.records_in_selected_charsets is (selected is not None)


@pytest.mark.parametrize(
    ("languages", "selected"), [(("chi", "eng"), "eng"), (("chi",), None), ((), None)]
)
def test_english_is_selected_where_it_is_proposed(
    shelf: RunningServer, languages: tuple[str, ...], selected: str | None
) -> None:
    client, answer = signed_in(shelf, proposing(languages=languages, in_records=None))
    client.close()
    assert answer == TargetResponse(selected_language=selected)


def test_the_answer_is_where_the_proposal_was(shelf: RunningServer) -> None:
    item = user_information.other_information(proposing(private("gbk")))
    wrapped = apdu.External.of(oid.USER_INFO_1, user_information.USER_INFO_1, (item,))
    for field in (wrapped, proposing(private("gbk"))):
        client = Client(shelf.z3950)
        response = client.init("demo1/demo1", user_information_field=field)
        client.close()
        assert response.other_info == ()
        assert response.user_information_field is not None
        [answered] = response.user_information_field.decode(user_information.USER_INFO_1)
        assert answer_in(answered.information).selected_charset == private("gbk")


def test_a_proposal_that_cannot_be_read_does_not_matter(shelf: RunningServer) -> None:
    broken = apdu.External(oid.CHARSET_NEGOTIATION_3, b"\x30\x80")
    client, answer = signed_in(shelf, broken)
    assert answer is None
    assert title(client, TITLE.encode()).result_count == 1
    client.close()


def test_a_refused_login_tells_why_and_not_the_charset(shelf: RunningServer) -> None:
    client = Client(shelf.z3950)
    item = user_information.other_information(proposing(private("gbk")))
    response = client.init("demo1/wrong", other_info=(item,))
    client.close()
    assert not response.result
    assert response.user_information_field is not None


# Terms


@pytest.mark.parametrize("charset", ["gb18030", "gbk", "gb2312", "utf-8"])
def test_terms_are_in_the_negotiated_set_and_no_other(shelf: RunningServer, charset: str) -> None:
    client, _ = signed_in(shelf, proposing(private(charset)))
    codec = "utf-8" if charset == "utf-8" else "gb18030"
    assert title(client, TITLE.encode(codec)).result_count == 1
    # In GB 18030 these octets happen to be UTF-8 too.
    assert title(client, "联通".encode(codec)).result_count == 1
    client.close()


@pytest.mark.parametrize(
    ("charset", "octets", "addinfo"),
    [
        ("utf-8", TITLE.encode("gb18030"), "not utf-8 at octet 0: ba ec c2 a5"),
        ("gb18030", b"ab\xff\xff", "not gb18030 at octet 2: ff ff"),
    ],
)
def test_a_term_in_another_set_is_a_diagnostic_and_never_no_hits(
    shelf: RunningServer, charset: str, octets: bytes, addinfo: str
) -> None:
    client, _ = signed_in(shelf, proposing(private(charset)))
    condition, told = diagnostic(title(client, octets))
    assert condition == Bib1.MALFORMED_SEARCH_TERM
    assert told.startswith(addinfo)
    client.close()


def test_who_negotiates_nothing_may_send_either(shelf: RunningServer) -> None:
    client, answer = signed_in(shelf)
    assert answer is None
    assert title(client, TITLE.encode()).result_count == 1
    assert title(client, TITLE.encode("gb18030")).result_count == 1
    client.close()


def test_latin_1_is_for_terms_only(shelf: RunningServer) -> None:
    client, answer = signed_in(shelf, proposing(private("ISO-8859-1")))
    assert answer is not None
    assert answer.selected_charset == private("ISO-8859-1")
    assert answer.records_in_selected_charsets is False
    assert title(client, "Café".encode("latin-1"), "we_cat").result_count == 1
    assert "Café" in records(client.present(1, 1))[0].decode()
    client.close()


# Records


@pytest.mark.parametrize("element_set", ["F", "B"])
def test_records_are_in_the_negotiated_set_when_asked_so(
    shelf: RunningServer, element_set: str
) -> None:
    client, _ = signed_in(shelf, proposing(private("gb18030")))
    title(client, TITLE.encode("gb18030"))
    [marc] = records(client.present(1, 1, oid.UNIMARC, record_composition=element_set))
    assert TITLE.encode("gb18030") in marc
    assert int(marc[:5]) == len(marc)
    stored = decode_record(marc, MarcFamily.UNIMARC, "gb18030")
    client.close()
    client, _ = signed_in(shelf, proposing(private("gb18030"), in_records=False))
    title(client, TITLE.encode("gb18030"))
    [utf_8] = records(client.present(1, 1, oid.UNIMARC, record_composition=element_set))
    client.close()
    assert getattr(stored, "marc", None) == utf_8


def test_text_is_in_the_negotiated_set_and_xml_says_its_own(shelf: RunningServer) -> None:
    client, _ = signed_in(shelf, proposing(private("gb18030")))
    title(client, TITLE.encode("gb18030"))
    [text] = records(client.present(1, 1, oid.SUTRS))
    assert TITLE.encode("gb18030") in text
    [xml] = records(client.present(1, 1, oid.XML))
    assert TITLE in xml.decode()
    client.close()


def test_the_marc_inside_an_opac_record_is_in_the_negotiated_set(shelf: RunningServer) -> None:
    client, _ = signed_in(shelf, proposing(private("gb18030")))
    title(client, TITLE.encode("gb18030"))
    [marc] = records(client.present(1, 1, oid.UNIMARC))
    [opac] = records(client.present(1, 1, oid.OPAC))
    inside = OPAC_RECORD.decode(opac).bibliographic_record
    assert inside is not None
    assert inside.data == marc
    client.close()


def test_a_character_that_the_set_lacks_is_238_and_named(shelf: RunningServer) -> None:
    client, _ = signed_in(shelf, proposing(private("marc-8")))
    assert client.search("@attr 1=12 c3", "cn_cat").result_count == 1
    for syntax in (oid.UNIMARC, oid.SUTRS, oid.OPAC):
        [(condition, addinfo)] = surrogates(client.present(1, 1, syntax))
        assert condition == Bib1.RECORD_NOT_IN_SYNTAX
        assert "U+20BB7" in addinfo
        assert "marc-8" in addinfo
    client.close()


def test_records_go_with_a_search_in_the_same_set(shelf: RunningServer) -> None:
    client, _ = signed_in(shelf, proposing(private("gb18030")))
    response = title(
        client, TITLE.encode("gb18030"), small_set_upper_bound=5, large_set_lower_bound=6,
        preferred_record_syntax=oid.UNIMARC,
    )  # fmt: skip
    assert TITLE.encode("gb18030") in records(response)[0]
    client.close()


# Accounts pinned to a set


def test_a_pinned_account_needs_no_negotiation(shelf: RunningServer) -> None:
    client, answer = signed_in(shelf, login="koha/koha")
    assert answer is None
    assert title(client, TITLE.encode("gb18030")).result_count == 1
    assert TITLE.encode("gb18030") in records(client.present(1, 1, oid.UNIMARC))[0]
    # Octets that are UTF-8 as well mean what they mean in the pinned set.
    assert title(client, "联通".encode("gb18030")).result_count == 1
    client.close()


def test_an_account_pinned_to_marc_8_searches_and_reads_in_it(shelf: RunningServer) -> None:
    client, _ = signed_in(shelf, login="horizon/horizon")
    # Café with the acute before its letter, as MARC-8 has it.
    assert title(client, b"Caf\xe2e", "we_cat").result_count == 1
    [marc] = records(client.present(1, 1))
    assert b"Caf\xe2e society" in marc
    assert marc[9:10] == b" "
    client.close()


def test_negotiation_goes_before_the_pin(shelf: RunningServer) -> None:
    client, _ = signed_in(shelf, proposing(iso10646(oid.UTF_8)), login="koha/koha")
    assert title(client, TITLE.encode()).result_count == 1
    assert TITLE.encode() in records(client.present(1, 1, oid.UNIMARC))[0]
    client.close()


def test_the_command_line_pins_and_frees_an_institution(shelf: RunningServer) -> None:
    config = ("--config", str(shelf.config))
    told = lianmu("member", "charset", "demo1", "gb18030", *config)
    assert told.stdout == "charset   DEMO1, gb18030\n"
    assert "gb18030" in lianmu("member", "list", *config).stdout
    client, _ = signed_in(shelf)
    title(client, TITLE.encode("gb18030"))
    assert TITLE.encode("gb18030") in records(client.present(1, 1, oid.UNIMARC))[0]
    client.close()
    assert lianmu("member", "charset", "demo1", "utf-8", *config).returncode == 0
    client, _ = signed_in(shelf)
    title(client, TITLE.encode())
    assert TITLE.encode() in records(client.present(1, 1, oid.UNIMARC))[0]
    client.close()
    refused = lianmu("member", "charset", "demo1", "big5", *config)
    assert refused.returncode != 0


# Scan


def test_scan_reads_and_writes_the_sessions_set(shelf: RunningServer) -> None:
    client, _ = signed_in(shelf, proposing(private("gb18030")))
    attributes = (AttributeElement(type=1, value=4), AttributeElement(type=4, value=1))
    response = client.ask(
        apdu.ScanRequest(
            database_names=("cn_cat",),
            attribute_set=oid.BIB_1,
            term_list_and_start_point=AttributesPlusTerm(attributes, TITLE.encode("gb18030")),
            number_of_terms_requested=1,
            preferred_position_in_response=1,
        ),
        apdu.ScanResponse,
    )
    assert response.entries is not None
    [entry] = response.entries.entries
    assert isinstance(entry, apdu.TermInfo)
    assert isinstance(entry.term, bytes)
    assert entry.term.decode("gb18030") == TITLE
    assert entry.global_occurrences == 1
    client.close()


def test_fragments_hold_records_in_the_sessions_set(shelf: RunningServer) -> None:
    """Sizes are those of the octets that leave."""
    client = Client(shelf.z3950)
    item = user_information.other_information(proposing(private("gb18030")))
    level_2 = frozenset({apdu.Option.LEVEL_2_SEGMENTATION})
    options = frozenset({apdu.Option.SEARCH, apdu.Option.PRESENT}) | level_2
    client.init("demo1/demo1", other_info=(item,), options=options)
    title(client, TITLE.encode("gb18030"))
    [whole] = records(client.present(1, 1, oid.UNIMARC))
    client.send(present_request(1, 1, oid.UNIMARC, max_segment_size=100))
    pieces: list[apdu.NamePlusRecord] = []
    while isinstance(response := client.receive(), apdu.Segment):
        pieces += response.segment_records
    assert isinstance(response, apdu.PresentResponse)
    assert isinstance(response.records, tuple)
    pieces += response.records
    octets = b""
    for piece in pieces:
        assert not isinstance(piece.record, apdu.External | apdu.SurrogateDiagnostic)
        fragment = piece.record.fragment
        octets += fragment.data if isinstance(fragment, apdu.External) else fragment
    assert octets == whole
    assert len(pieces) == -(-len(whole) // 100)
    client.close()

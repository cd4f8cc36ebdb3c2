"""Files of holdings in each of their forms."""

from __future__ import annotations

import io

import pytest

from protocol.holding_statement import HoldingStatement, RecordName
from protocol.holdings_fields import holdings_record
from protocol.iso2709 import Field, build
from protocol.marcxml import to_marcxml
from protocol.record import Holding, MarcFamily
from server.holdings.change import Format, Line, Reason
from server.holdings.columns import ACTIONS
from server.holdings.reading import opened, read_lines, sniff
from tests.catalogue_records import LEADER


def lines(content: bytes | str, form: Format | None = None, **more: object) -> list[Line]:
    octets = content.encode() if isinstance(content, str) else content
    stream, _ = opened(io.BytesIO(octets))
    more.setdefault("institution", "PKU")
    return list(read_lines(stream, form or sniff(octets), **more))  # type: ignore[arg-type]


def one(content: bytes | str, form: Format | None = None, **more: object) -> Line:
    (line,) = lines(content, form, **more)
    return line


def test_a_header_in_either_language_names_the_columns() -> None:
    english = "Control Number,call_number,Barcodes,copies,location,extent,note,price\n"
    row = "a1,TP312/1,b1; b2,3,Main,v.1,gift,9.50\n"
    expected = Line(
        2, RecordName("a1"), HoldingStatement("TP312/1", 3, "Main", ("b1", "b2"), "v.1", "gift")
    )
    assert lines(english + row) == [expected]
    chinese = "控制号,索书号,条码号,复本数,馆藏地,馆藏卷期,备注,价格\n"
    assert lines(chinese + row) == [expected]
    for encoding in ("gb18030", "utf-8-sig", "utf-16"):
        assert lines((chinese + row).encode(encoding)) == [expected], encoding
    assert lines((chinese + row).replace(",", "\t")) == [expected]


def test_what_a_file_has_no_column_for_is_not_said() -> None:
    assert one("isbn\n9787301123454\n").statement == HoldingStatement()
    said = one("isbn,call_number,copies\n9787301123454,,\n").statement
    assert said == HoldingStatement("", None)


def test_each_kind_of_number_names_a_record() -> None:
    head = "control_number,database,local_number,isbn,issn\n"
    assert one(head + "a1,CN_CAT,,,\n").name == RecordName("a1", "cn_cat")
    assert one(head + ",,77,,\n").name == RecordName(local_number="77")
    assert one(head + "(PKU)77,,,,\n").name == RecordName(numbers=("(PKU)77",))
    assert one(head + ",,,7-301-1,1000-0054\n").name == RecordName(isbn="7-301-1", issn="1000-0054")
    assert one("isbn\n1\n", database="we_cat").name == RecordName(database="we_cat", isbn="1")


@pytest.mark.parametrize(
    ("row", "reason", "told"),
    [
        ("a1,many,", Reason.MALFORMED, "no number of copies"),
        ("a1,1,,x", Reason.MALFORMED, "4 cells under 3 columns"),
        ("a1,1,borrow", Reason.MALFORMED, "no action"),
        ("a1,9999999,", Reason.EXCESS, "9999999 copies"),
        (b"a1,1,\xff", Reason.MALFORMED, "--encoding"),
    ],
)
def test_a_line_that_cannot_be_read_stops_no_other(
    row: str | bytes, reason: Reason, told: str
) -> None:
    row = row.encode() if isinstance(row, str) else row
    content = b"control_number,copies,action\n" + row + b"\na2,1,\n"
    first, second = lines(content, encoding="utf-8")
    assert (first.number, first.name.control_number, first.reason) == (2, "a1", reason)
    assert told in first.problem
    assert (second.number, second.problem) == (3, "")


def test_an_action_says_that_something_is_held_no_more() -> None:
    for word, holds in ACTIONS.items():
        line = one(f"控制号,操作\na1,{word}\n")
        assert (line.statement is not None) is holds, word
    assert one("001\na1\n", removes=True).statement is None


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("title,copies\nx,1\n", "no column names the record"),
        ("a1\na2\n", "no column names the record"),
        ("isbn,ISBN号\n1,2\n", "there twice"),
        ("", "empty"),
        ("[{]", "not JSON"),
        ('{"holdings": 5}', "not JSON"),
    ],
)
def test_a_file_that_cannot_be_read_says_why(content: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        lines(content)


def test_json_is_read_as_lines_as_an_array_and_alone() -> None:
    text = '{"control_number": "a1", "copies": 2, "barcodes": ["b1", "b2"], "location": null}'
    expected = (RecordName("a1"), HoldingStatement(copies=2, barcodes=("b1", "b2")))
    for content in (
        text, f"{text}\n{text}\n", f"[{text}, {text}]", f'{{"holdings": [{text}]}}',
        text.replace(", ", ",\n"), f"\n[\n{text},\n{text}]\n",
    ):  # fmt: skip
        found = lines(content)
        assert {(line.name, line.statement) for line in found} == {expected}, content
    (one,) = lines('{"control_number": "a1", "barcodes": "b1; b2"}')
    assert one.statement == HoldingStatement(barcodes=("b1", "b2"))


def test_a_broken_line_of_json_refuses_itself() -> None:
    found = lines('{"control_number": "a1"}\n{"controlnumber": "a2"}\n{"isbn": 5}\nx\n{"isbn":"1"}')
    assert [line.reason for line in found] == [
        None, Reason.MALFORMED, Reason.MALFORMED, Reason.MALFORMED, None,
    ]  # fmt: skip
    assert "controlnumber" in found[1].problem


def test_what_is_said_of_another_library_is_refused() -> None:
    found = lines("institution,control_number\npku,a1\nSRXX,a2\n")
    assert [line.reason for line in found] == [None, Reason.NOT_OWN]
    assert one('{"institution": "SRXX", "control_number": "a1"}').reason is Reason.NOT_OWN


HOLDING = Holding("PKU", 1, "TP312/1", 2, "Main", ("b1", "b2"), "v.1-3", "gift")


@pytest.mark.parametrize("family", MarcFamily)
def test_marc_records_say_what_is_held(family: MarcFamily) -> None:
    note = "gift" if family is MarcFamily.MARC21 else None
    marc = holdings_record("a1", family, HOLDING)
    expected = HoldingStatement("TP312/1", 2, "Main", ("b1", "b2"), "v.1-3", note)
    xml = to_marcxml(marc).encode()
    for content, form in ((marc + marc, Format.MARC), (xml, Format.MARCXML)):
        assert sniff(content) is form
        found = lines(content, family=family, database="x")
        assert {line.statement for line in found} == {expected}
        assert found[0].name.control_number == "a1"
    with pytest.raises(ValueError, match="need a database"):
        lines(marc)


def marc21(*fields: Field, leader: str = LEADER) -> bytes:
    return build(leader, list(fields))


def test_a_record_of_the_members_own_system_is_known_by_its_numbers() -> None:
    marc = marc21(
        Field("001", "77"), Field("003", "XX-Xx"), Field.of("020", "  ", [("a", "7301123450")]),
        Field.of("035", "  ", [("a", "(OCoLC)5")]),
        Field.of("852", "  ", [("h", "TP"), ("i", "1")]),
    )  # fmt: skip
    line = one(marc, family=MarcFamily.MARC21)
    assert line.name == RecordName("77", "", ("(OCoLC)5", "(XX-Xx)77"), "77", "7301123450")
    assert line.statement is not None
    assert line.statement.call_number == "TP 1"


def test_fields_of_several_copies_number_them() -> None:
    copies = [Field.of("852", "  ", [("h", "QA"), ("t", str(n))]) for n in (1, 2, 3)]
    for fields, count in ((copies, 3), (copies[2:], 3)):
        line = one(marc21(Field("001", "a1"), *fields), family=MarcFamily.MARC21)
        assert line.statement is not None
        assert line.statement.copies == count


def test_a_holdings_record_brings_its_extent_and_items() -> None:
    marc = marc21(
        Field("001", "h1"), Field("004", "a1"), Field.of("014", "1 ", [("a", "(OCoLC)5")]),
        Field.of("852", "  ", [("a", "PKU"), ("b", "Main"), ("z", "ask")]),
        Field.of("866", "41", [("8", "1"), ("a", "v.1-45")]),
        Field.of("876", "  ", [("p", "b7")]), Field.of("876", "  ", [("p", "b8")]),
        leader="00000ny  a2200000un 4500",
    )  # fmt: skip
    line = one(marc, family=MarcFamily.MARC21)
    assert line.name == RecordName("a1", numbers=("(OCoLC)5",))
    assert line.statement == HoldingStatement("", 2, "Main", ("b7", "b8"), "v.1-45", "ask")
    # One that says nothing but which record: it is held.
    bare = marc21(Field("004", "a1"), leader="00000nx  a2200000un 4500")
    assert one(bare, family=MarcFamily.MARC21).statement == HoldingStatement()
    gone = marc21(Field("004", "a1"), leader="00000dx  a2200000un 4500")
    assert one(gone, family=MarcFamily.MARC21) == Line(1, RecordName("a1"), None)


def test_a_record_that_says_nothing_of_the_member_is_refused() -> None:
    other = Field.of("852", "  ", [("a", "SRXX")])
    assert one(marc21(Field("001", "a1"), other), family=MarcFamily.MARC21).reason is Reason.NOT_OWN
    none = one(marc21(Field("001", "a1")), family=MarcFamily.MARC21)
    assert (none.reason, none.name.control_number) == (Reason.MALFORMED, "a1")
    broken = one(b"00026nam0 22broken\x1d", Format.MARC, family=MarcFamily.MARC21)
    assert broken.reason is Reason.MALFORMED

"""Numbers, dates, codes and class marks as records hold them and clients ask for them."""

from __future__ import annotations

import pytest

from protocol.access_point import Kind
from protocol.query import MASK_ANY, MASK_ONE
from store import identifiers
from store.coded import code, day, flag, languages, materials, years
from store.dates import coded_years, dates_in, years_in
from store.identifiers import query_keys
from store.numerals import number_of, numeral_of

A = MASK_ANY


@pytest.mark.parametrize(
    ("record", "term"),
    [
        ("7-81024-846-4", "7-81024-846-4"),
        ("7-81024-846-4", "7810248464"),
        ("7-81024-846-4", "978-7-81024-846-4"),
        ("7-81024-846-4", "978 7 81024 846 4"),
        ("7-81024-846-4 (精装)", "７－８１０２４－８４６－４"),
        ("7‐81024‐846‐4", "7 81024 846 4"),
        ("9787810248464", "ISBN 7-81024-846-4"),
        ("978-7-81024-846-4 (pbk.) : CNY35.00", "7810248464"),
        ("080442957X", "0-8044-2957-x"),
        ("0-8044-2957-x", "080442957X"),
        ("9780804429573", "0 8044 2957 X"),
        ("0-306-40615-2", "SBN 306-40615-2"),
        ("979-10-90636-07-1", "9791090636071"),
        ("7-81024-846-5", "7810248465"),  # wrong check digit: as written
        ("978-7-81024-846-5", "9787810248465"),
        ("7-81024-846-4", f"7-81024{A}"),
        ("7-81024-846-4", f"978781024{A}"),
        ("7-81024-846-4", f"7810248464{A}"),
    ],
)
def test_an_isbn_is_found_however_it_is_written(record: str, term: str) -> None:
    assert matches([*identifiers.isbn_keys(record)], query_keys(Kind.ISBN, term))


@pytest.mark.parametrize(
    ("record", "term"),
    [
        ("7-81024-846-4", "7-81024-846-5"),
        ("7-81024-846-5", "7-81024-846-4"),
        ("979-10-90636-07-1", f"10906{A}"),
        ("7-", "7-"),
        ("CNY35.00", "35"),
        ("", ""),
    ],
)
def test_another_isbn_is_not_found(record: str, term: str) -> None:
    assert not matches([*identifiers.isbn_keys(record)], query_keys(Kind.ISBN, term))


def matches(keys: list[str], asked: list[str]) -> bool:
    return any(
        key.startswith(term[:-1]) if term.endswith(A) else key == term
        for key in keys
        for term in asked
    )


@pytest.mark.parametrize(
    ("digits", "valid"),
    [
        ("7810248464", True), ("7810248465", False), ("080442957x", True), ("9787810248464", True),
        ("9777810248464", False), ("123", False), ("x810248464", False), ("781024846", False),
    ],
)  # fmt: skip
def test_the_check_digit_decides(digits: str, valid: bool) -> None:
    assert identifiers.isbn_is_valid(digits) is valid


def test_an_isbn_of_979_has_no_form_of_ten() -> None:
    assert identifiers.isbn_both_keys("979-10-90636-07-1") == ["9791090636071"]
    assert identifiers.isbn_both_keys("080442957X") == ["9780804429573", "080442957x"]


@pytest.mark.parametrize(
    ("record", "term", "found"),
    [
        ("1241-1515", "12411515", True),
        ("ISSN 0317-8471 (print)", "0317-8471", True),
        ("2049-363X", "2049363x", True),
        ("0317-8471", "9770317847001", True),  # the EAN on the cover
        ("0317-8471", "03178472", False),
        ("0317-8471", f"0317{A}", True),
    ],
)
def test_an_issn_is_found_however_it_is_written(record: str, term: str, found: bool) -> None:
    assert matches(identifiers.issn_keys(record), query_keys(Kind.ISSN, term)) is found


@pytest.mark.parametrize(
    ("record", "term", "found"),
    [
        ("   85000002 ", "85-2", True),
        ("  2001012345", "2001-12345", True),
        ("n  79018774", "n79018774", True),
        ("   93214567 //r95", "93214567", True),
        ("(OCoLC)10699347", "(OCoLC)10699347", True),
        ("(OCoLC)10699347", "10699347", True),
        ("(OCoLC)ocm00012345", "12345", True),
        ("(OCoLC)ocm00012345", "ocm00012345", True),
        ("(CALIS)012002042862", "012002042862", True),
        ("(CALIS)012002042862", "12002042862", False),
        ("10.1000/XYZ-123", "10.1000/xyz-123", True),
        ("10118·3", "10118.3", True),  # a 统一书号
        ("EPA 600/R-93", "epa600r93", True),
        ("012002042862", f"0120{A}", True),
        ("", "x", False),
    ],
)
def test_an_identifier_ignores_case_and_punctuation(record: str, term: str, found: bool) -> None:
    asked = query_keys(Kind.IDENTIFIER, term)
    assert matches([*identifiers.identifier_keys(record)], asked) is found


def test_a_prefixed_number_can_be_kept_to_its_prefix() -> None:
    assert identifiers.identifier_keys("(Sirsi) o10699347", bare=False) == ("sirsio10699347",)


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("1998", ["1998"]), ("[1998?]", ["1998"]), ("c1998", ["1998"]), ("1998-", ["1998"]),
        ("1998-2003", ["1998", "2003"]), ("2002.7", ["2002"]), ("1999年10月第2版", ["1999"]),
        ("1997, c1998", ["1997", "1998"]), ("199-", ["1990"]), ("19--?", ["1900"]),
        ("民国二十三年", ["1934"]), ("民国23年", ["1934"]), ("民國元年", ["1912"]),
        ("民国23年[1934]", ["1934"]), ("昭和53", ["1978"]), ("平成元年", ["1989"]),
        ("一九八五年", ["1985"]), ("康熙五十年 (1711)", ["1711"]), ("5745 [1984 or 1985]",
        ["1984", "1985"]), ("n.d.", []), ("", []), ("35元", []),
    ],
)  # fmt: skip
def test_years_are_read_from_a_statement(statement: str, expected: list[str]) -> None:
    assert years_in(statement) == expected


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("2002.7", ["2002", "200207"]), ("1999年10月第2版", ["1999", "199910"]),
        ("2002-07-15", ["2002", "200207", "20020715"]), ("1985.12印", ["1985", "198512"]),
        ("1998-99", ["1998"]), ("1998-2003", ["1998", "2003"]), ("1998.13", ["1998"]),
        ("2002.7-2003.1", ["2002", "2003", "200207", "200301"]), ("c1998", ["1998"]),
        ("2002.7.45", ["2002", "200207"]), ("12002.7", []), ("", []),
    ],
)  # fmt: skip
def test_months_are_read_after_the_years(statement: str, expected: list[str]) -> None:
    assert dates_in(statement) == expected


@pytest.mark.parametrize(
    ("kind", "first", "second", "expected"),
    [
        ("d", "2002", "    ", ["2002"]),
        ("d", "1992", "9999", ["1992"]),
        ("g", "1998", "2003", ["1998", "2003"]),
        ("s", "19uu", "    ", ["1900"]),
        ("e", "1998", "1012", ["1998"]),
        ("n", "uuuu", "uuuu", []),
        ("|", "||||", "||||", []),
        ("", "", "", []),
    ],
)
def test_years_are_read_from_coded_data(
    kind: str, first: str, second: str, expected: list[str]
) -> None:
    assert coded_years(kind, first, second) == expected
    assert years(f"{kind:1}{first:4}{second:4}") == expected


@pytest.mark.parametrize(
    ("term", "expected"),
    [
        ("1998", ["1998", f"1998{A}"]),
        ("[1998?]", ["1998", f"1998{A}"]),
        ("2001-2002", ["2001", f"2001{A}", "2002", f"2002{A}"]),
        ("2002-2001", ["2002", f"2002{A}"]),
        ("2018-06-25", ["20180625"]),
        ("2018.7", ["201807", f"201807{A}"]),
        ("20180625", ["20180625"]),
        ("20180625022747.0", ["20180625"]),
        ("民国23年", ["1934", f"1934{A}"]),
        ("868", ["0868", f"0868{A}"]),
        (f"199{A}", [f"199{A}"]),
        (f"199{MASK_ONE}", [f"199{MASK_ONE}"]),
        (f"1998{MASK_ONE}", ["1998", f"1998{A}"]),
        (A, []),
        ("abc", []),
        ("", []),
    ],
)
def test_a_date_that_a_client_sends_becomes_values(term: str, expected: list[str]) -> None:
    assert query_keys(Kind.DATE, term) == expected


def test_a_span_of_years_is_bounded() -> None:
    assert len(query_keys(Kind.DATE, "1000-2000")) == 2 * 120


@pytest.mark.parametrize(
    ("record", "term", "found"),
    [
        ("TB301", "tb301", True), ("TP312 JA", f"TP312{A}", True), ("QA76.73 .P98", "qa76.73.p98",
        True), ("338.4/7", "338.47", True), ("338.4/7", f"338{A}", True), ("F124/26", "F124/26",
        True), ("I242.4", f"I24{A}", True), ("I242.4", f"I25{A}", False),
    ],
)  # fmt: skip
def test_class_marks_ignore_case_and_blanks(record: str, term: str, found: bool) -> None:
    keys = identifiers.classification_keys(record)
    assert matches(keys, query_keys(Kind.CLASSIFICATION, term)) is found


@pytest.mark.parametrize(
    ("term", "expected"),
    [
        ("CHI", ["chi"]), ("zho", ["zho", "chi"]), ("zh", ["zh", "chi"]), ("中文", ["中文", "chi"]),
        ("German", ["german", "ger"]), ("CN", ["cn"]), (" ", []),
    ],
)  # fmt: skip
def test_a_language_has_several_names(term: str, expected: list[str]) -> None:
    assert query_keys(Kind.CODE, term) == expected


def test_coded_positions_become_values() -> None:
    assert materials("am") == ("text", "monograph", "book")
    assert materials("as") == ("text", "serial")
    assert materials("vm") == ("text", "rare", "monograph", "book")
    assert materials("??") == ()
    assert flag(" ") == ("#",)
    assert flag("n") == ("n",)
    assert code("a-cc---") == ("a-cc",)
    assert code("|||") == code("   ") == ()
    assert languages("engfre") == ("eng", "fre")
    assert languages("chi") == ("chi",)
    assert day("840507") == ["19840507"]
    assert day("240507") == ["20240507"]
    assert day("20240507") == ["20240507"]
    assert day("2024 507") == []


def test_numerals_are_read_and_written() -> None:
    for number in range(1, 1000):
        assert number_of(numeral_of(number)) == number
    assert number_of("一九三四") == 1934
    assert number_of("元") == 1

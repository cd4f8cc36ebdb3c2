"""What a record brings to the index."""

from __future__ import annotations

from protocol.iso2709 import parse
from protocol.record import MarcFamily
from store.analysis import END, START
from store.gather import Postings
from store.index import FIELD_GAP, index_holders, index_record
from store.postings import POSITION_MAX
from store.registers import ANY, DATABASE, HELD_BY, PRESENT, key_register
from tests.catalogue_records import book


def indexed(marc: bytes, *institutions: str) -> Postings:
    postings = Postings()
    index_record(postings, 0, parse(marc), MarcFamily.MARC21, "we_cat", institutions)
    return postings


def test_words_stand_between_the_start_and_the_end_of_their_field() -> None:
    words = indexed(book("w1", "Red dream, red")).by_term("title")
    assert words == {START: [0], "red": [1, 3], "dream": [2], END: [4]}


def test_fields_of_one_access_point_keep_apart() -> None:
    words = indexed(book("w1", "T", subjects=("Red", "Blue sky"))).by_term("subject")
    second = 2 + FIELD_GAP
    assert words == {
        START: [0, second],
        "red": [1],
        "blue": [second + 1],
        "sky": [second + 2],
        END: [2, second + 3],
    }


def test_words_far_out_are_found_without_a_position() -> None:
    words = indexed(book("w1", "w " * 3000, subjects=["s " * 3000, "moon"])).by_term
    assert len(words("title")["w"]) == 3000
    assert words("subject")["moon"] == [3000 + 2 + FIELD_GAP]
    many = indexed(book("w1", "T", subjects=["s " * 3000, "m " * 3000])).by_term("subject")
    assert many["m"][-1] == POSITION_MAX
    assert POSITION_MAX not in many["s"]


def test_any_has_the_words_of_short_texts_and_no_others() -> None:
    postings = indexed(book("w1", "Dream", author="Cao", note="Translated", isbn="0306406152"))
    assert set(postings.by_term(ANY)) == {"dream", "cao"}
    assert set(postings.by_term("note")) == {START, "translated", END}
    assert set(postings.by_term("isbn")) == {"9780306406157"}


def test_a_record_says_what_it_has_where_it_is_and_who_holds_it() -> None:
    postings = indexed(book("w1", "Dream", isbn="0306406152"), "PKU")
    assert {"title", "isbn", "control_number", HELD_BY, ANY} <= set(postings.by_term(PRESENT))
    assert "author" not in postings.by_term(PRESENT)
    assert set(postings.by_term(DATABASE)) == {"we_cat"}
    assert set(postings.by_term(HELD_BY)) == {"pku"}


def test_a_whole_field_is_a_term_that_is_shown_as_written() -> None:
    postings = indexed(book("w1", "Dream of the Red Chamber"))
    register = key_register("title")
    assert set(postings.by_term(register)) == {"dream of the red chamber"}
    assert postings.displays[register] == {"dream of the red chamber": "Dream of the Red Chamber"}


def test_the_first_holder_makes_a_record_held() -> None:
    first, further = Postings(), Postings()
    index_holders(first, 0, ["PKU"], is_first=True)
    index_holders(further, 0, ["THU"], is_first=False)
    assert set(first.registers) == {HELD_BY, PRESENT}
    assert set(further.registers) == {HELD_BY}
    nobody = Postings()
    index_holders(nobody, 0, [], is_first=True)
    assert not nobody.registers

"""Laws of folding and analysis, over texts that hypothesis makes."""

from __future__ import annotations

import time
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.access_point import Kind
from protocol.query import MASK_ANY, MASK_ONE
from store import analysis, identifiers, numeral_forms, pinyin
from store.dates import years_in

HAN = st.characters(min_codepoint=0x4E00, max_codepoint=0x9FFF)
WIDE_HAN = (
    HAN
    | st.characters(min_codepoint=0x3400, max_codepoint=0x4DBF)
    | st.characters(min_codepoint=0x20000, max_codepoint=0x2FA1D)
)
KANA = st.characters(min_codepoint=0x3041, max_codepoint=0x30FA, categories=["Lo"])
ANY_TEXT = st.text(st.characters() | st.sampled_from(f"'-.,+#·{MASK_ANY}{MASK_ONE}第年三12aЙé "))
PUNCTUATION = st.text(st.sampled_from(" 《》:：/·,，.。()（）"), max_size=3)


@given(ANY_TEXT)
def test_folding_twice_is_folding_once(text: str) -> None:
    folded = analysis.fold(text)
    assert analysis.fold(folded) == folded


@given(st.characters())
def test_a_character_folds_to_itself_or_to_what_stays(char: str) -> None:
    folded = analysis.fold(char)
    assert analysis.fold(folded) == folded


def test_every_assigned_character_folds_to_what_stays() -> None:
    for code_point in [*range(0x3400), *range(0x4E00, 0xD800)]:
        folded = analysis.fold(chr(code_point))
        assert analysis.fold(folded) == folded, hex(code_point)


@given(st.text(st.characters(categories=["Lu", "Ll", "Lt"])))
def test_case_does_not_matter(text: str) -> None:
    composed = unicodedata.normalize("NFKC", text)
    if composed.upper().lower() == composed.lower():
        assert analysis.fold(composed.upper()) == analysis.fold(composed)


@given(st.text(WIDE_HAN | KANA, min_size=2, max_size=40), st.data())
def test_any_part_of_a_run_is_found_as_a_phrase(run: str, data: st.DataObject) -> None:
    folded = analysis.fold(run)
    start = data.draw(st.integers(0, max(len(folded) - 2, 0)))
    end = data.draw(st.integers(start + 1, len(folded)))
    part = folded[start:end]
    indexed = set(analysis.words(run))
    query = analysis.query_words(part)
    assert (
        any(
            all((token, offset + place) in indexed for token, offset in query)
            for place in range(len(folded))
        )
        or not query
    )


@given(st.lists(st.text(HAN, min_size=1, max_size=6), min_size=1, max_size=5), st.data())
def test_punctuation_does_not_part_a_run(pieces: list[str], data: st.DataObject) -> None:
    marked = "".join(piece + data.draw(PUNCTUATION) for piece in pieces)
    assert analysis.words(marked) == analysis.words("".join(pieces))
    assert analysis.key(marked) == analysis.key("".join(pieces))


@given(ANY_TEXT)
def test_positions_run_from_0_to_the_length_of_the_phrase(text: str) -> None:
    text = text.replace(MASK_ANY, "").replace(MASK_ONE, "")
    positions = {position for _, position in analysis.words(text)}
    length = analysis.query_length(text)
    assert positions == set(range(length))
    assert {position for _, position in analysis.query_words(text)} <= positions


@given(ANY_TEXT)
def test_a_whole_field_is_found_in_itself(text: str) -> None:
    text = text.replace(MASK_ANY, "").replace(MASK_ONE, "")
    assert set(analysis.query_words(text)) <= set(analysis.words(text))


@given(ANY_TEXT)
def test_no_token_is_empty_or_too_long(text: str) -> None:
    tokens = [token for token, _ in analysis.words(text) + analysis.query_words(text)]
    assert all(0 < len(token) <= analysis.TOKEN_CHARS_MAX for token in tokens)
    assert len(analysis.key(text)) <= analysis.KEY_CHARS_MAX


@given(ANY_TEXT)
def test_words_and_key_are_the_same_together(text: str) -> None:
    text = text.replace(MASK_ANY, "").replace(MASK_ONE, "")
    assert analysis.analyse(text) == (analysis.words(text), analysis.key(text))


@given(ANY_TEXT)
def test_a_key_is_its_own_key(text: str) -> None:
    text = text.replace(MASK_ANY, "").replace(MASK_ONE, "")
    key = analysis.key(text)
    if len(key) < analysis.KEY_CHARS_MAX and not {"+", "#", "."} & set(key):
        assert analysis.key(key) == key


@given(ANY_TEXT, st.sampled_from(Kind))
def test_any_term_of_any_kind_gives_values(text: str, kind: Kind) -> None:
    assert all(identifiers.query_keys(kind, text)) or kind is Kind.TEXT
    identifiers.isbn_both_keys(text)
    identifiers.issn_keys(text)
    identifiers.identifier_keys(text)
    identifiers.classification_keys(text)
    years_in(text)


NUMBERED = st.text(st.sampled_from("12309第三卷册上下年十百廿〇iIvVxXⅢｖ. ()之тч梦a"), max_size=14)


@given(NUMBERED | ANY_TEXT)
def test_a_number_has_other_forms_and_never_itself(text: str) -> None:
    folded = analysis.fold(text)
    found = numeral_forms.variants(folded)
    assert folded not in found
    assert len(found) == len(set(found)) <= 6


@given(NUMBERED | ANY_TEXT)
def test_a_volume_is_what_a_query_ends_with(text: str) -> None:
    folded = analysis.fold(text)
    volume = numeral_forms.volume(folded)
    if volume is not None:
        assert volume.rest
        assert folded.startswith(volume.rest)
        assert volume.written in folded[len(volume.rest) :]
        assert analysis.words(volume.written)


@given(ANY_TEXT)
@settings(deadline=None)
def test_any_text_can_be_read(text: str) -> None:
    for reading in (pinyin.read(text), pinyin.from_record(text)):
        assert all(pinyin.index_forms(reading))
    pinyin.respelled(text)


@pytest.mark.parametrize(
    "unit",
    [
        "第3卷 ",
        "v. 3 ",
        "二十卷",
        "上 ",
        "廿",
        "xii ",
        "ゝ々",
        "1,111,",
        "a.",
        "红 ",
        "红.",
        "'a",
        "a-",
        "第三",
        "年二〇〇八",
        "(OCoLC)",
        "1998-",
        "zhong",
    ],
)
@pytest.mark.parametrize(
    "function",
    [analysis.words, analysis.query_words, analysis.query_parts, analysis.key, years_in,
     numeral_forms.variants, numeral_forms.volume, pinyin.respelled, pinyin.from_record,
     identifiers.isbn_keys, identifiers.identifier_keys],
)  # fmt: skip
def test_a_text_ten_times_as_long_takes_about_ten_times_as_long(function, unit) -> None:  # type: ignore[no-untyped-def]
    function(unit * 10)

    def least_s(text: str) -> float:
        times = []
        for _ in range(3):
            begin = time.process_time()
            function(text)
            times.append(time.process_time() - begin)
        return min(times)

    short, long = unit * 400 + "x", unit * 4_000 + "x"
    assert least_s(long) < 40 * least_s(short) + 0.01

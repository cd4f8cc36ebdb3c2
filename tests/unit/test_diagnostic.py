"""Diagnostics: the published numbers, their texts, and the map between the lists."""

from __future__ import annotations

import ctypes
import ctypes.util
import re

import pytest

from protocol.diagnostic import Bib1, Diagnostic, SruDiagnostic, SruFault
from protocol.diagnostic_map import to_bib1, to_sru

BIB1_RANGES = ((1, 33), (100, 132), (201, 203), (205, 247), (1001, 1029), (1040, 1074))
SRU_RANGES = ((1, 8), (10, 74), (80, 93), (100, 102), (110, 111), (120, 121), (235, 236))


def numbers(ranges: tuple[tuple[int, int], ...]) -> set[int]:
    return {number for first, last in ranges for number in range(first, last + 1)}


def test_bib1_holds_every_published_number() -> None:
    assert {condition.value for condition in Bib1} == numbers(BIB1_RANGES)


def test_bib1_says_what_the_list_in_libyaz_says() -> None:
    """The same numbers, and most words of the same texts, from a reading that is not ours."""
    library = ctypes.CDLL(ctypes.util.find_library("yaz"))
    library.diagbib1_str.restype = ctypes.c_char_p
    theirs = {number: library.diagbib1_str(number).decode() for number in range(1, 3_000)}
    known = {number: text for number, text in theirs.items() if text != "Unknown error"}
    assert set(known) == {condition.value for condition in Bib1}
    for condition in Bib1:
        ours, published = stems(condition.message), stems(known[condition.value])
        assert len(ours & published) >= 0.6 * min(len(ours), len(published)), condition


def stems(text: str) -> set[str]:
    return {word[:5] for word in re.findall("[a-z]{3,}", text.lower())}


def test_the_sru_list_holds_every_published_number() -> None:
    assert {condition.value for condition in SruDiagnostic} == numbers(SRU_RANGES)


def test_every_condition_has_a_text_of_its_own() -> None:
    for conditions in (Bib1, SruDiagnostic):
        messages = [condition.message for condition in conditions]
        assert all(messages)
        assert len(set(messages)) == len(messages)


def test_a_condition_is_found_by_its_number_and_compares_as_one() -> None:
    assert Bib1(114) is Bib1.USE_ATTRIBUTE_UNSUPPORTED
    assert Bib1(114) == 114
    assert SruDiagnostic(16).uri == "info:srw/diagnostic/1/16"


@pytest.mark.parametrize(
    ("bib1", "sru"),
    [(1, 1), (2, 2), (13, 61), (18, 50), (30, 51), (108, 10), (109, 235), (114, 16), (117, 19),
     (118, 22), (120, 28), (121, 15), (125, 36), (238, 67), (239, 66), (1011, 3), (1066, 66),
     (1070, 69), (237, 93)],
)  # fmt: skip
def test_a_bib1_condition_becomes_the_sru_condition_that_says_the_same(bib1: int, sru: int) -> None:
    assert to_sru(Diagnostic(Bib1(bib1), "x")) == SruFault(SruDiagnostic(sru), "x")


@pytest.mark.parametrize(
    ("sru", "bib1"),
    [(10, 108), (11, 107), (15, 121), (16, 114), (19, 117), (27, 125), (39, 129), (51, 30),
     (61, 13), (66, 1066), (67, 238), (235, 109)],
)  # fmt: skip
def test_a_cql_fault_becomes_the_bib1_condition_that_says_the_same(sru: int, bib1: int) -> None:
    assert to_bib1(SruFault(SruDiagnostic(sru), "x", position=3)) == Diagnostic(Bib1(bib1), "x")


@pytest.mark.parametrize("condition", Bib1)
def test_every_bib1_condition_can_be_told_in_sru(condition: Bib1) -> None:
    fault = to_sru(Diagnostic(condition, "what"))
    assert "what" in fault.details
    if fault.condition is SruDiagnostic.GENERAL_SYSTEM_ERROR and condition != 1:
        assert str(condition.value) in fault.details


@pytest.mark.parametrize("condition", SruDiagnostic)
def test_every_sru_condition_can_be_told_in_bib1(condition: SruDiagnostic) -> None:
    assert to_bib1(SruFault(condition, "what")).addinfo == "what"

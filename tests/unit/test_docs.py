"""Pages generated from the code say what the code says."""

from __future__ import annotations

from docs import rights, sru, validation, z3950
from protocol.validation_definition import FORMATS
from protocol.validation_rules import RULES


def test_the_z3950_page_is_that_of_the_tables() -> None:
    assert z3950.PAGE.read_text("utf-8") == z3950.page(), "run `python -m docs.z3950`"


def test_every_condition_that_tests_expect_is_on_the_page() -> None:
    for condition in (13, 21, 30, 109, 114, 117, 118, 119, 120, 122, 221, 238, 239):
        assert f"\n| {condition} | " in z3950.page()


def test_the_sru_page_is_that_of_the_tables() -> None:
    assert sru.PAGE.read_text("utf-8") == sru.page(), "run `python -m docs.sru`"


def test_every_sru_condition_that_tests_expect_is_on_the_page() -> None:
    for condition in (3, 4, 5, 6, 7, 8, 10, 11, 15, 16, 20, 22, 51, 60, 61, 66, 69, 111, 120):
        assert f"\n| {condition} | " in sru.page()
    for never in (50, 54, 100):
        assert f"\n| {never} | " not in sru.page().partition("info:srw/diagnostic/12")[0]


def test_the_validation_page_is_that_of_the_tables() -> None:
    assert validation.PAGE.read_text("utf-8") == validation.page(), (
        "run `python -m docs.validation`"
    )


def test_the_table_of_rights_is_that_of_the_code() -> None:
    written = rights.PAGE.read_text("utf-8")
    assert written == rights.page(written), "run `python -m docs.rights`"


def test_the_validation_page_has_every_rule_and_field() -> None:
    page = validation.page()
    for form in FORMATS.values():
        assert all(f"\n| {tag} | {field.name} | " in page for tag, field in form.fields.items())
        assert all(f"\n| `{required.rule.id}` | " in page for required in form.required)
    assert all(f"\n| `{rule}` | " in page for rule in RULES)

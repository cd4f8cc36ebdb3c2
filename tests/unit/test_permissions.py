"""Who may do what: the table as a whole, and the words of refusals."""

from __future__ import annotations

import itertools

import pytest

from protocol.diagnostic import Bib1, SruDiagnostic
from server.access_control.access import ANONYMOUS, Principal
from server.access_control.permissions import (
    RULES,
    Grant,
    Operation,
    Who,
    Why,
    http_status,
    refusal,
    to_bib1,
    to_sru,
)
from store.rights import OPERATOR_RIGHTS, RIGHTS

ALL_OF_A_MEMBER = Principal("pku", "PKU", rights=RIGHTS)
OPERATOR = Principal("li", operator=True, rights=OPERATOR_RIGHTS)


def why(principal: Principal, operation: Operation, **of: str) -> Why | None:
    refused = refusal(principal, operation, **of)
    return refused.why if refused is not None else None


def test_every_operation_has_its_rule() -> None:
    assert set(RULES) == set(Operation)
    assert {rule.right for rule in RULES.values()} <= {*RIGHTS, ""}


@pytest.mark.parametrize("operation", Operation)
def test_a_member_with_all_rights_may_do_all_but_what_operators_do(operation: Operation) -> None:
    expected = None if Who.MEMBER in RULES[operation].who else Why.OPERATORS_ONLY
    assert why(ALL_OF_A_MEMBER, operation) is expected


@pytest.mark.parametrize("operation", Operation)
def test_an_operator_may_do_all_but_what_is_entered_for_an_institution(
    operation: Operation,
) -> None:
    expected = None if Who.OPERATOR in RULES[operation].who else Why.MEMBERS_ONLY
    assert why(OPERATOR, operation, institution="PKU") is expected


@pytest.mark.parametrize("operation", Operation)
def test_a_stranger_may_search_and_see_brief_records_and_no_more(operation: Operation) -> None:
    open_to_all = {Operation.SEARCH, Operation.SCAN, Operation.BRIEF}
    assert why(ANONYMOUS, operation) is (None if operation in open_to_all else Why.SIGN_IN)


@pytest.mark.parametrize(("operation", "right"), list(itertools.product(Operation, RIGHTS)))
def test_one_right_alone_gives_what_is_its_own(operation: Operation, right: str) -> None:
    rule = RULES[operation]
    refused = refusal(Principal("pku", "PKU", rights=(right,)), operation)
    if Who.MEMBER not in rule.who:
        assert refused is not None
        assert refused.why is Why.OPERATORS_ONLY
    elif rule.right in ("", right):
        assert refused is None
    else:
        assert refused is not None
        assert (refused.why, refused.right) == (Why.NO_RIGHT, rule.right)
        assert rule.right in refused.english
        assert rule.right in refused.chinese


@pytest.mark.parametrize("operation", [op for op, rule in RULES.items() if rule.own])
def test_what_is_of_an_institution_is_done_by_its_own_accounts(operation: Operation) -> None:
    assert why(ALL_OF_A_MEMBER, operation, institution="pku") is None
    assert why(ALL_OF_A_MEMBER, operation, institution="THU") is Why.NOT_OWN


def test_a_key_changes_no_password_and_nor_does_an_address() -> None:
    key = Principal("pku+ils", "PKU", rights=RIGHTS)
    address = Principal("campus", "PKU", rights=RIGHTS, by_address=True)
    assert why(key, Operation.PASSWORD_CHANGE) is Why.PEOPLE_ONLY
    assert why(address, Operation.PASSWORD_CHANGE) is Why.PEOPLE_ONLY
    assert why(ALL_OF_A_MEMBER, Operation.PASSWORD_CHANGE) is None


def test_an_operator_needs_the_right_as_well() -> None:
    watching = Principal("li", operator=True, rights=("search",))
    assert why(watching, Operation.STATUS_READ) is None
    assert why(watching, Operation.MEMBERS_STEP) is Why.NO_RIGHT
    assert why(watching, Operation.LEDGER_READ, institution="PKU") is Why.NO_RIGHT


def test_a_database_that_is_not_granted_is_refused_by_its_name() -> None:
    held = Principal(
        "pku", "PKU", search_in=frozenset({"cn_cat", "we_cat"}), download_from=frozenset({"cn_cat"})
    )
    assert why(held, Operation.SEARCH, database="we_cat") is None
    assert why(held, Operation.SCAN, database="jp_cat") is Why.DATABASE
    refused = refusal(held, Operation.DOWNLOAD, database="we_cat")
    assert refused is not None
    assert (refused.why, refused.database, refused.right) == (Why.DATABASE, "we_cat", "")
    assert to_bib1(refused).condition is Bib1.DATABASE_ACCESS_DENIED
    assert to_bib1(refused).addinfo.startswith("we_cat: ")
    assert to_sru(refused).condition is SruDiagnostic.DATABASE_ACCESS_DENIED
    # Uploads are held to neither.
    assert why(Principal("pku", "PKU", rights=RIGHTS, search_in=frozenset()),
               Operation.UPLOAD_INSERT, database="we_cat") is None  # fmt: skip


@pytest.mark.parametrize(
    ("principal", "operation", "of", "bib1", "sru", "status"),
    [
        (Principal("p", "PKU", rights=("upload",)), Operation.SEARCH, "", 236, 236, 403),
        (Principal("p", "PKU", rights=("upload",)), Operation.SCAN, "", 236, 236, 403),
        (Principal("p", "PKU", rights=("search",)), Operation.DOWNLOAD, "", 1070, 69, 403),
        (ANONYMOUS, Operation.DOWNLOAD, "", 1070, 69, 401),
        (OPERATOR, Operation.DOWNLOAD, "", 1070, 69, 403),
        (Principal("p", "PKU"), Operation.UPLOAD_INSERT, "", 222, 3, 403),
        (ALL_OF_A_MEMBER, Operation.UPLOAD_REPLACE, "THU", 223, 3, 403),
        (ALL_OF_A_MEMBER, Operation.HOLDINGS_WRITE, "THU", 222, 3, 403),
        (ANONYMOUS, Operation.STATUS_READ, "", 236, 236, 401),
    ],
)
def test_each_protocol_has_its_own_word_for_it(
    principal: Principal, operation: Operation, of: str, bib1: int, sru: int, status: int
) -> None:
    refused = refusal(principal, operation, of)
    assert refused is not None
    assert (int(to_bib1(refused).condition), int(to_sru(refused).condition)) == (bib1, sru)
    assert http_status(refused) == status
    assert any("\u4e00" <= letter <= "\u9fff" for letter in refused.chinese)
    assert refused.text == f"{refused.english} / {refused.chinese}"


@pytest.mark.parametrize(
    "principal",
    [
        ANONYMOUS, OPERATOR, ALL_OF_A_MEMBER, Principal("pku+ils", "PKU", rights=("download",)),
        *(Principal("p", "PKU", rights=(right,)) for right in RIGHTS),
        *(Principal("o", operator=True, rights=(right,)) for right in RIGHTS),
    ],
)  # fmt: skip
def test_what_the_quickest_answers_ask_is_what_the_table_says(principal: Principal) -> None:
    assert principal.may_search == (refusal(principal, Operation.SEARCH) is None)
    assert principal.may_download == (refusal(principal, Operation.DOWNLOAD) is None)


def test_grants_are_read_for_each_operation_apart() -> None:
    assert RULES[Operation.SEARCH].grant is Grant.SEARCH
    assert RULES[Operation.BATCH].grant is Grant.DOWNLOAD

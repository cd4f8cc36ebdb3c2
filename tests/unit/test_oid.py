"""The names of registered objects against the registry that YAZ carries."""

from __future__ import annotations

import pytest

from protocol import oid
from protocol.oid import Oid

REGISTERED = [
    (oid.BIB_1, "1.2.840.10003.3.1", "bib-1"),
    (oid.DIAG_BIB_1, "1.2.840.10003.4.1", "diag-bib-1"),
    (oid.UNIMARC, "1.2.840.10003.5.1", "unimarc"),
    (oid.USMARC, "1.2.840.10003.5.10", "usmarc"),
    (oid.RUSMARC, "1.2.840.10003.5.28", "rusmarc"),
    (oid.EXPLAIN, "1.2.840.10003.5.100", "explain"),
    (oid.SUTRS, "1.2.840.10003.5.101", "sutrs"),
    (oid.OPAC, "1.2.840.10003.5.102", "opac"),
    (oid.GRS_1, "1.2.840.10003.5.105", "grs-1"),
    (oid.ES_TASK_PACKAGE, "1.2.840.10003.5.106", "es-task-package"),
    (oid.XML, "1.2.840.10003.5.109.10", "xml"),
    (oid.RESOURCE_1, "1.2.840.10003.7.1", "resource-1"),
    (oid.ES_UPDATE, "1.2.840.10003.9.5.1.1", "es-update"),
    (oid.SEARCH_RESULT_1, "1.2.840.10003.10.1", "search-result-1"),
    (oid.USER_INFO_1, "1.2.840.10003.10.3", "user-info-1"),
    (oid.DATE_TIME, "1.2.840.10003.10.6", "date-time"),
    (oid.ESPEC_1, "1.2.840.10003.11.1", "espec-1"),
    (oid.CHARSET_NEGOTIATION_3, "1.2.840.10003.15.3", "charset-negotiation-3"),
    (oid.CQL, "1.2.840.10003.16.2", "cql"),
    (oid.UTF_8, "1.0.10646.1.0.8", "utf-8"),
]


@pytest.mark.parametrize(("constant", "dotted", "name"), REGISTERED)
def test_a_constant_is_the_registered_identifier(constant: Oid, dotted: str, name: str) -> None:
    assert str(constant) == dotted
    assert Oid.parse(dotted) == constant
    assert oid.name_of(constant) == name


def test_no_two_names_stand_for_one_identifier() -> None:
    named = [value for value in vars(oid).values() if isinstance(value, Oid)]
    assert len(named) == len(set(named))


def test_an_unknown_identifier_is_named_by_its_digits() -> None:
    assert oid.name_of(Oid((1, 2, 3))) == "1.2.3"
    assert repr(Oid((1, 2, 3))) == "Oid.parse('1.2.3')"


@pytest.mark.parametrize("text", ["", "1", "1.2.x", "3.1", "1.40", "1..2", "1.-2", "١.٢"])
def test_text_that_is_no_object_identifier_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="object identifier"):
        Oid.parse(text)


def test_an_identifier_of_too_many_arcs_is_refused() -> None:
    with pytest.raises(ValueError, match="object identifier"):
        Oid.parse(".".join(["1"] * 33))


def test_an_identifier_knows_its_subtree() -> None:
    assert oid.USMARC.within(oid.RECORD_SYNTAXES)
    assert not oid.USMARC.within(oid.ATTRIBUTE_SETS)

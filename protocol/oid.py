"""Object identifiers: the value type and the registered names of Z39.50.

The registry is Z39.50-2003 Annex 1 (OID) and the maintenance agency's list.
"""

from __future__ import annotations

from collections.abc import Mapping

OID_ARCS_MAX = 32


class Oid(tuple[int, ...]):
    """An object identifier as its arcs; `str()` is the dotted form.

    A tuple, not a string, so that a term or a value that is an identifier is
    never mistaken for text.
    """

    __slots__ = ()

    @classmethod
    def parse(cls, dotted: str) -> Oid:
        """`1.2.840.10003.5.10` as an Oid; ValueError when it is not one."""
        parts = dotted.strip().strip(".").split(".")
        if not 2 <= len(parts) <= OID_ARCS_MAX or not all(
            part.isascii() and part.isdigit() for part in parts
        ):
            raise ValueError(f"not an object identifier: {dotted[:80]!r}")
        arcs = cls(map(int, parts))
        if arcs[0] > 2 or (arcs[0] < 2 and arcs[1] > 39):
            raise ValueError(f"not an object identifier: {dotted[:80]!r}")
        return arcs

    def __str__(self) -> str:
        return ".".join(map(str, self))

    def __repr__(self) -> str:
        return f"Oid.parse({str(self)!r})"

    def child(self, *arcs: int) -> Oid:
        return Oid((*self, *arcs))

    def within(self, parent: Oid) -> bool:
        """True for `parent` itself and everything registered below it."""
        return self[: len(parent)] == parent


Z3950 = Oid.parse("1.2.840.10003")

# Attribute sets (class 3)
ATTRIBUTE_SETS = Z3950.child(3)
BIB_1 = ATTRIBUTE_SETS.child(1)
EXP_1 = ATTRIBUTE_SETS.child(2)
EXT_1 = ATTRIBUTE_SETS.child(3)
CCL_1 = ATTRIBUTE_SETS.child(4)
GILS = ATTRIBUTE_SETS.child(5)
STAS = ATTRIBUTE_SETS.child(6)
UTILITY = ATTRIBUTE_SETS.child(11)
CROSS_DOMAIN_1 = ATTRIBUTE_SETS.child(12)
HOLDINGS_ATTRIBUTES = ATTRIBUTE_SETS.child(16)
MARC_ATTRIBUTES = ATTRIBUTE_SETS.child(17)
BIB_2 = ATTRIBUTE_SETS.child(18)
ZEEREX_ATTRIBUTES = ATTRIBUTE_SETS.child(19)

# Diagnostic sets (class 4)
DIAGNOSTIC_SETS = Z3950.child(4)
DIAG_BIB_1 = DIAGNOSTIC_SETS.child(1)
DIAG_1 = DIAGNOSTIC_SETS.child(2)
DIAG_ES = DIAGNOSTIC_SETS.child(3)
DIAG_GENERAL = DIAGNOSTIC_SETS.child(4)

# Record syntaxes (class 5)
RECORD_SYNTAXES = Z3950.child(5)
UNIMARC = RECORD_SYNTAXES.child(1)
INTERMARC = RECORD_SYNTAXES.child(2)
CCF = RECORD_SYNTAXES.child(3)
USMARC = RECORD_SYNTAXES.child(10)  # MARC 21
UKMARC = RECORD_SYNTAXES.child(11)
NORMARC = RECORD_SYNTAXES.child(12)
LIBRISMARC = RECORD_SYNTAXES.child(13)
DANMARC = RECORD_SYNTAXES.child(14)
FINMARC = RECORD_SYNTAXES.child(15)
MAB = RECORD_SYNTAXES.child(16)
CANMARC = RECORD_SYNTAXES.child(17)
SBN = RECORD_SYNTAXES.child(18)
PICAMARC = RECORD_SYNTAXES.child(19)
AUSMARC = RECORD_SYNTAXES.child(20)
IBERMARC = RECORD_SYNTAXES.child(21)
CATMARC = RECORD_SYNTAXES.child(22)
MALMARC = RECORD_SYNTAXES.child(23)
JPMARC = RECORD_SYNTAXES.child(24)
SWEMARC = RECORD_SYNTAXES.child(25)
SIGLEMARC = RECORD_SYNTAXES.child(26)
ISDSMARC = RECORD_SYNTAXES.child(27)
RUSMARC = RECORD_SYNTAXES.child(28)
HUNMARC = RECORD_SYNTAXES.child(29)
NACSIS_CATP = RECORD_SYNTAXES.child(30)
FINMARC2000 = RECORD_SYNTAXES.child(31)
MARC21_FIN = RECORD_SYNTAXES.child(32)
COMARC = RECORD_SYNTAXES.child(33)
EXPLAIN = RECORD_SYNTAXES.child(100)
SUTRS = RECORD_SYNTAXES.child(101)
OPAC = RECORD_SYNTAXES.child(102)
SUMMARY = RECORD_SYNTAXES.child(103)
GRS_0 = RECORD_SYNTAXES.child(104)
GRS_1 = RECORD_SYNTAXES.child(105)
ES_TASK_PACKAGE = RECORD_SYNTAXES.child(106)
FRAGMENT = RECORD_SYNTAXES.child(107)
HTML = RECORD_SYNTAXES.child(109, 3)
XML = RECORD_SYNTAXES.child(109, 10)
APPLICATION_XML = RECORD_SYNTAXES.child(109, 11)

# Resource reports (7), access control (8), extended services (9)
RESOURCE_1 = Z3950.child(7, 1)
RESOURCE_2 = Z3950.child(7, 2)
PROMPT_1 = Z3950.child(8, 1)
EXTENDED_SERVICES = Z3950.child(9)
ES_PERSISTENT_RESULT_SET = EXTENDED_SERVICES.child(1)
ES_PERSISTENT_QUERY = EXTENDED_SERVICES.child(2)
ES_PERIODIC_QUERY_SCHEDULE = EXTENDED_SERVICES.child(3)
ES_ITEM_ORDER = EXTENDED_SERVICES.child(4)
ES_UPDATE_FIRST = EXTENDED_SERVICES.child(5)
ES_UPDATE_REVISION_0 = EXTENDED_SERVICES.child(5, 1)
ES_UPDATE = EXTENDED_SERVICES.child(5, 1, 1)  # revision 1, what clients send
ES_EXPORT_SPECIFICATION = EXTENDED_SERVICES.child(6)
ES_EXPORT_INVOCATION = EXTENDED_SERVICES.child(7)

# User information (10), element specification (11), variants (12), schemas (13)
SEARCH_RESULT_1 = Z3950.child(10, 1)
USER_INFO_1 = Z3950.child(10, 3)
DATE_TIME = Z3950.child(10, 6)
ESPEC_1 = Z3950.child(11, 1)
VARIANT_1 = Z3950.child(12, 1)
SCHEMA_HOLDINGS = Z3950.child(13, 7)
TAG_SET_M = Z3950.child(14, 1)
TAG_SET_G = Z3950.child(14, 2)

# Negotiation (15) and queries (16)
CHARSET_NEGOTIATION_2 = Z3950.child(10, 2)
CHARSET_NEGOTIATION_3 = Z3950.child(15, 3)
CHARSET_NEGOTIATION_4 = Z3950.child(15, 4)
CQL = Z3950.child(16, 2)

# ISO 10646 transfer forms, for character set negotiation
UCS_2 = Oid.parse("1.0.10646.1.0.2")
UCS_4 = Oid.parse("1.0.10646.1.0.4")
UTF_16 = Oid.parse("1.0.10646.1.0.5")
UTF_8 = Oid.parse("1.0.10646.1.0.8")

NAMES: Mapping[Oid, str] = {
    value: name.lower().replace("_", "-")
    for name, value in globals().items()
    if isinstance(value, Oid)
}


def name_of(oid: Oid) -> str:
    """A short name for logs and Explain (`usmarc`), or the dotted form."""
    return NAMES.get(oid) or str(oid)

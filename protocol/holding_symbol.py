"""OCLC's record that a library holds something: a control number alone.

Z39.50 clients of OCLC's cataloguing service send one in an elementUpdate, one in
each request: under the first of these record syntaxes to say that the library of
the account holds the record, under the other that it does not any more.

Source: OCLC, Z39.50 Database Update Implementation, holdingSymbolRecord.
"""

from __future__ import annotations

from protocol.asn1 import STRING, Sequence, component, sequence
from protocol.codec import Codec
from protocol.oid import RECORD_SYNTAXES

HOLDING_SYMBOL = RECORD_SYNTAXES.child(1000, 17, 1)
HOLDING_SYMBOL_DELETE = RECORD_SYNTAXES.child(1000, 17, 1002)
# How these clients name the database, whatever ours are called.
OCLC_DATABASES = frozenset({"oclc_oluc_holdings", "oclcinstitutionrecords"})


@sequence
class HoldingSymbolRecord:
    """Orders of catalogue cards, which may come with it, are passed over."""

    record_number: str = component(5, STRING)


HOLDING_SYMBOL_RECORD: Codec[HoldingSymbolRecord] = Codec(
    Sequence(HoldingSymbolRecord), "holdingSymbolRecord"
)

"""MODS records, version 3.5, from every family of MARC.

3.5 is the version that Alma and most SRU servers name in their explain; all that
is written here is valid in 3.6 to 3.8 too, but for their version attribute.

Source: MODS 3.5, Library of Congress, 2013 (info:srw/schema/1/mods-v3.5).
"""

from __future__ import annotations

from protocol.iso2709 import parse
from protocol.mods_marc21 import read_marc21
from protocol.mods_unimarc import read_unimarc
from protocol.record import MarcFamily


def to_mods(marc: bytes, family: MarcFamily) -> bytes:
    """A stored record as one `mods` element in UTF-8, without XML declaration.

    Raises:
        MalformedRecord: the octets are not in the stored form.
    """
    record = parse(marc)
    mods = read_marc21(record) if family is MarcFamily.MARC21 else read_unimarc(record)
    return mods.xml()

"""From a record of either family to what it says of a work."""

from __future__ import annotations

from protocol.description import Description, clean
from protocol.description_marc21 import describe_marc21
from protocol.description_unimarc import describe_unimarc
from protocol.iso2709 import MarcRecord
from protocol.record import MarcFamily


def describe(record: MarcRecord, family: MarcFamily) -> Description:
    """Read `record` as one of `family`; what it lacks stays empty."""
    description = Description(control_number=clean(record.control_number))
    if family is MarcFamily.MARC21:
        describe_marc21(record, description)
    else:
        describe_unimarc(record, description)
    for name in Description.__slots__:
        values = getattr(description, name)
        if isinstance(values, list):
            setattr(description, name, list(dict.fromkeys(filter(None, values))))
    return description

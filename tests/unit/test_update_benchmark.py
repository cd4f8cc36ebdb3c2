"""What the benchmark of updates sends."""

from __future__ import annotations

from benchmarks.records import Generator
from benchmarks.update import _update
from protocol import apdu
from protocol.iso2709 import decode_record, parse
from protocol.iso2709_structure import RefusedRecord
from protocol.record import MarcFamily
from protocol.task_package import UPDATE, UpdateAction, UpdateRequest, VersionNumber


def test_a_generated_record_is_replaced_by_one_that_can_be_found() -> None:
    original = Generator().record(7).marc
    request = apdu.decode(apdu.encode(_update(original, "quokka7x1", 3)))
    assert isinstance(request, apdu.ExtendedServicesRequest)
    assert request.task_specific_parameters is not None
    update = request.task_specific_parameters.decode(UPDATE)
    assert isinstance(update, UpdateRequest)
    assert update.to_keep.action == UpdateAction.RECORD_REPLACE
    (supplied,) = update.not_to_keep
    assert supplied.supplemental_id == VersionNumber("3")
    decoded = decode_record(supplied.record.data, MarcFamily.MARC21)
    assert not isinstance(decoded, RefusedRecord)
    record = parse(decoded.marc)
    assert record.control_number == parse(original).control_number
    assert [field.first("a") for field in record.get("650")][-1] == "quokka7x1"

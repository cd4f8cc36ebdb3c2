"""Whatever the sizes of records, a response keeps to what was agreed on (Z39.50-2003 §3.3)."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from protocol import apdu, oid
from protocol.diagnostic import Bib1, Diagnostic
from server.z3950.sizes import Packing, Sizes

SIZES = st.lists(st.integers(0, 700), max_size=40)


def pack(sizes: Sizes, lengths: list[int]) -> list[tuple[apdu.NamePlusRecord, ...]]:
    """The segments of records of these lengths; the response ends where nothing fits."""
    packing = Packing(sizes)
    records = []
    before = 0
    for number, length in enumerate(lengths):
        content = packing.fits(bytes([number]) * length, before)
        if content is None:
            break
        record: apdu.Record
        if isinstance(content, Diagnostic):
            record = apdu.SurrogateDiagnostic(
                apdu.DefaultDiagFormat.bib1(content.condition, content.addinfo)
            )
        else:
            before += len(content)
            record = apdu.External(oid.USMARC, content)
        records.append(apdu.NamePlusRecord(name="db", record=record))
    return packing.segments(records)


def octets(named: apdu.NamePlusRecord) -> bytes:
    record = named.record
    if isinstance(record, apdu.SurrogateDiagnostic):
        return b""
    if isinstance(record, apdu.External):
        return record.data
    fragment = record.fragment
    return fragment.data if isinstance(fragment, apdu.External) else fragment


@given(SIZES, st.integers(64, 400), st.integers(1, 6))
def test_whole_records_fill_segments_within_their_size_and_number(
    lengths: list[int], size: int, count: int
) -> None:
    segments = pack(Sizes(size, 600, count), lengths)
    assert len(segments) <= count
    for segment in segments:
        assert sum(len(octets(each)) for each in segment) <= size
    sent = [named for segment in segments for named in segment]
    for length, named in zip(lengths, sent, strict=False):
        record = named.record
        if length <= size:
            assert isinstance(record, apdu.External)
            assert len(record.data) == length
            continue
        assert isinstance(record, apdu.SurrogateDiagnostic)
        assert isinstance(record.diagnostic, apdu.DefaultDiagFormat)
        assert record.diagnostic.condition == (
            Bib1.RECORD_EXCEEDS_PREFERRED_SIZE
            if length <= 600
            else Bib1.RECORD_EXCEEDS_EXCEPTIONAL_SIZE
        )


@given(SIZES, st.integers(64, 400), st.integers(2, 6), st.integers(64, 2400))
def test_fragments_put_together_are_the_records(
    lengths: list[int], size: int, count: int, record_size: int
) -> None:
    most = max(size, min(record_size, size * count))
    segments = pack(Sizes(size, most, count, fragmented_bytes_max=most), lengths)
    assert len(segments) <= count
    assert all(segments) or segments == [()]
    for segment in segments:
        assert sum(len(octets(each)) for each in segment) <= size
    rebuilt: list[bytes | None] = []
    for named in (each for segment in segments for each in segment):
        match named.record:
            case apdu.SurrogateDiagnostic():
                rebuilt.append(None)
            case apdu.External() | apdu.StartingFragment():
                rebuilt.append(octets(named))
            case _:
                assert rebuilt[-1] is not None
                rebuilt[-1] += octets(named)
    for length, content in zip(lengths, rebuilt, strict=False):
        assert (content is None) == (length > most)
        assert content is None or len(set(content)) <= 1
        assert content is None or len(content) == length

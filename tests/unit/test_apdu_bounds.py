"""How deep, how many: what one APDU can make the decoder do has an end."""

from __future__ import annotations

import pytest

from protocol import apdu as wire
from protocol import ber, oid
from protocol.apdu import (
    CqlQuery,
    OtherQuery,
    ProtocolError,
    QueryBound,
    QueryTooComplex,
    RpnQuery,
    SearchRequest,
)
from tests.unit import captured_apdus as captured
from tests.unit.apdu_samples import nested, operand, rpn, search, use

# Depth


@pytest.mark.parametrize("indefinite", [False, True])
def test_a_query_500_levels_deep_is_read(indefinite: bool) -> None:
    request = wire.decode(nested(500, indefinite))
    assert isinstance(request, SearchRequest)
    assert isinstance(request.query, RpnQuery)
    nodes = list(wire.rpn_postorder(request.query.rpn))
    assert len(nodes) == 1001
    again = wire.decode(wire.encode(request))
    assert again == request
    assert hash(again) == hash(request)
    assert len(repr(request)) < 1_000


@pytest.mark.parametrize("indefinite", [False, True])
@pytest.mark.parametrize("depth", [1_001, 5_000, 20_000])
def test_a_query_5000_levels_deep_is_told_apart_and_not_read(depth: int, indefinite: bool) -> None:
    if depth == 20_000 and not indefinite:
        depth = 6_000
    request = wire.decode(nested(depth, indefinite))
    assert isinstance(request, SearchRequest)
    assert request.query == QueryTooComplex(1, QueryBound.DEPTH)
    assert request.result_set_name == "1"


def test_a_query_of_too_many_operands_is_told_apart() -> None:
    leaf = bytes.fromhex("a009bf6606bf2c009f2d00")
    operator = bytes.fromhex("bf2e028000")
    level = [leaf] * 16_384
    while len(level) > 1:
        level = [
            ber.wrap(b"\xa1", left + right + operator)
            for left, right in zip(level[::2], level[1::2], strict=True)
        ]
    query = ber.wrap(b"\xa1", b"\x06" + ber.write_oid(oid.BIB_1) + level[0])
    request = wire.encode(search(OtherQuery(1, query[5:])))
    decoded = wire.decode(request)
    assert isinstance(decoded, SearchRequest)
    assert decoded.query == QueryTooComplex(1, QueryBound.OPERANDS)


# Other bounds


def present_of(elements: bytes) -> bytes:
    return ber.wrap(b"\xb8", bytes.fromhex(captured.PRESENT)[2:] + elements)


@pytest.mark.parametrize(
    ("octets", "reason"),
    [
        (wire.encode(search(CqlQuery("x"), database_names=("x",) * 10_001)), "10000 elements"),
        (wire.encode(search(rpn(operand(b"x", *[use(4)] * 33)))), "32 elements"),
        (present_of(b"\x9f\x8b\x0a\x00" * 1_000), "1000 elements"),
        (present_of(b"\xbf\x8b\x0a\x80" + b"\x04\x00" * 250_001 + b"\0\0"), "250000 elements"),
        (
            ber.wrap(
                b"\xbf\x30", b"\x9f\x81\x53\x01\x00" + ber.wrap(b"\xa3", b"\x04\x00" * 100_001)
            ),
            "without its end",
        ),
    ],
    ids=["databases", "attributes", "unknown", "unknown indefinite", "segments"],
)
def test_elements_are_bounded_in_number(octets: bytes, reason: str) -> None:
    with pytest.raises(ProtocolError, match=reason):
        wire.decode(octets)

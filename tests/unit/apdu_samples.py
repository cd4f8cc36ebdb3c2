"""APDUs that several tests build."""

from __future__ import annotations

from protocol import apdu as wire
from protocol import ber, oid
from protocol.apdu import (
    AttributeElement,
    AttributesPlusTerm,
    RpnNode,
    RpnQuery,
    SearchRequest,
    Term,
)


def use(value: int, type_: int = 1) -> AttributeElement:
    return AttributeElement(type=type_, value=value)


def operand(term: Term, *attributes: AttributeElement) -> AttributesPlusTerm:
    return AttributesPlusTerm(attributes, term)


def search(query: wire.Query, name: str = "1", **changed: object) -> SearchRequest:
    settings: dict[str, object] = {
        "small_set_upper_bound": 0,
        "large_set_lower_bound": 1,
        "medium_set_present_number": 0,
        "replace_indicator": True,
        "result_set_name": name,
        "database_names": ("Default",),
        "query": query,
    }
    return SearchRequest(**(settings | changed))  # type: ignore[arg-type]


def rpn(node: RpnNode) -> RpnQuery:
    return RpnQuery(oid.BIB_1, node)


def nested(depth: int, indefinite: bool) -> bytes:
    """A SearchRequest whose right operands nest `depth` operators deep."""
    leaf = bytes.fromhex("a009bf6606bf2c009f2d00")
    operator = bytes.fromhex("bf2e028000")
    node = leaf
    parts_before: list[bytes] = []
    if indefinite:
        parts_before = [b"\xa1\x80" + leaf] * depth
        node = b"".join(parts_before) + leaf + (operator + b"\0\0") * depth
    else:
        for _ in range(depth):
            node = ber.wrap(b"\xa1", leaf + node + operator)
    query = ber.wrap(b"\xb5", ber.wrap(b"\xa1", b"\x06" + ber.write_oid(oid.BIB_1) + node))
    head = bytes.fromhex("8d01008e01018f01009001ff910131b20a9f690744656661756c74")
    return ber.wrap(b"\xb6", head + query)

"""Decoder and encoder of Query, which must not recurse.

A client may nest operators far deeper than Python's stack, with lengths
definite or indefinite, so RPNStructure is read and written with a stack of our
own (Z39.50-2003 §4.1, RPNQuery).
"""

from __future__ import annotations

from protocol import ber
from protocol.apdu_common import (
    ATTRIBUTE_LIST,
    ATTRIBUTES_PLUS_TERM,
    AttributeElement,
    AttributesPlusTerm,
)
from protocol.apdu_query import (
    RPN_DEPTH_MAX,
    RPN_OPERANDS_MAX,
    BooleanOperator,
    CqlQuery,
    OtherQuery,
    ProximityOperator,
    Query,
    QueryBound,
    QueryTooComplex,
    ResultAttr,
    ResultSetId,
    RpnNode,
    RpnOperation,
    RpnQuery,
    rpn_postorder,
)
from protocol.asn1 import STRING, Asn1Type, Custom, Sequence, Tagged
from protocol.asn1_read import content_reader
from protocol.asn1_write import whole_writer
from protocol.ber import ProtocolError
from protocol.codec import Codec
from protocol.external import EXTERNAL, External, Form, read_external
from protocol.oid import CQL

_OID = 0x06
_OPERAND = 0xA0
_OPERATION = 0xA1
_ATTRIBUTES_PLUS_TERM = ber.context_identifier(102, True)
_RESULT_SET_ID = ber.context_identifier(31, False)
_RESULT_ATTR = ber.context_identifier(214, True)
_ATTRIBUTE_LIST = ber.context_identifier(44, True)
_OPERATOR = ber.context_identifier(46, True)
_PROXIMITY = 0xA3
_RPN_TYPES = {ber.context_identifier(number, True): number for number in (1, 101)}
_TYPE_104 = ber.context_identifier(104, True)
_READ_TYPES = (1, 101, 104)

_read_attributes_plus_term = content_reader(Sequence(AttributesPlusTerm))
_read_proximity = content_reader(Sequence(ProximityOperator))
_read_attribute_list = content_reader(ATTRIBUTE_LIST)
_write_attributes_plus_term = whole_writer(ATTRIBUTES_PLUS_TERM)
_write_attribute_list = whole_writer(Tagged(44, ATTRIBUTE_LIST))
_write_proximity = whole_writer(Sequence(ProximityOperator), 3)
_write_external = whole_writer(EXTERNAL, 104)
_CQL_TEXT = Codec(STRING, "CQL query")


class _TooComplex(Exception):  # noqa: N818  leaves the decoder, never this module
    def __init__(self, bound: QueryBound) -> None:
        self.bound = bound


def _read_query(data: bytes, offset: int, end: int, limit: int) -> tuple[Query, int]:
    """The CHOICE inside its explicit tag; as the readers of `protocol.asn1_read`."""
    if end != ber.INDEFINITE:
        limit = end
    identifier, offset, stop = _header(data, offset, limit)
    query: Query
    if identifier in _RPN_TYPES:
        query_type = _RPN_TYPES[identifier]
        try:
            query, offset = _read_rpn_query(data, offset, stop, limit, query_type)
        except _TooComplex as too_complex:
            query = QueryTooComplex(query_type, too_complex.bound)
            offset = ber.skip(data, offset, stop, limit)
    elif identifier == _TYPE_104:
        external, offset = read_external(data, offset, stop, limit)
        query = _external_query(external)
    else:
        query_type = ber.tag_number(identifier)
        if not ber.is_context(identifier) or query_type in _READ_TYPES:
            raise ProtocolError(f"no Query begins with tag {identifier:x}")
        start, offset = offset, ber.skip(data, offset, stop, limit)
        content_end = offset if stop != ber.INDEFINITE else offset - 2
        query = OtherQuery(query_type, data[start:content_end])
    return query, ber.close_explicit(data, offset, end)


def _header(data: bytes, offset: int, limit: int) -> tuple[int, int, int]:
    identifier, offset, end = ber.read_header(data, offset)
    if end > limit:
        raise ProtocolError("an element is longer than the one around it")
    return identifier, offset, end


def _external_query(external: External) -> Query:
    """Type-104: CQL as the text itself or as one string element."""
    if external.direct_reference != CQL or external.form is Form.ARBITRARY:
        return OtherQuery(104, external=external)
    if external.form is Form.OCTET_ALIGNED:
        return CqlQuery(external.data.decode("utf-8", "surrogateescape"))
    return CqlQuery(external.decode(_CQL_TEXT))


def _read_rpn_query(
    data: bytes, offset: int, end: int, limit: int, query_type: int
) -> tuple[RpnQuery, int]:
    if end != ber.INDEFINITE:
        limit = end
    identifier, offset, stop = _header(data, offset, limit)
    if identifier != _OID:
        raise ProtocolError("an RPN query without its attribute set")
    attribute_set = ber.read_oid(data[offset:stop])
    rpn, offset = _read_rpn(data, stop, limit)
    return RpnQuery(attribute_set, rpn, query_type), ber.leave(data, offset, end, limit)


def _read_rpn(data: bytes, offset: int, limit: int) -> tuple[RpnNode, int]:
    """One RPNStructure, with a stack of the operations it is inside."""
    stack: list[tuple[int, int, list[RpnNode]]] = []  # end, outer limit, operands read
    operands = 0
    while True:
        identifier, offset, end = _header(data, offset, limit)
        if identifier == _OPERATION:
            if len(stack) >= RPN_DEPTH_MAX:
                raise _TooComplex(QueryBound.DEPTH)
            stack.append((end, limit, []))
            if end != ber.INDEFINITE:
                limit = end
            continue
        if identifier != _OPERAND:
            raise ProtocolError(f"no RPNStructure begins with tag {identifier:x}")
        operands += 1
        if operands > RPN_OPERANDS_MAX:
            raise _TooComplex(QueryBound.OPERANDS)
        node, offset = _read_operand(data, offset, end, limit)
        while stack:
            operation_end, outer_limit, children = stack[-1]
            children.append(node)
            if len(children) == 1:
                break
            operator, offset = _read_operator(data, offset, limit)
            offset = ber.leave(data, offset, operation_end, limit)
            limit = outer_limit
            stack.pop()
            node = RpnOperation(operator, children[0], children[1])
        else:
            return node, offset


def _read_operand(data: bytes, offset: int, end: int, limit: int) -> tuple[RpnNode, int]:
    if end != ber.INDEFINITE:
        limit = end
    identifier, offset, stop = _header(data, offset, limit)
    node: RpnNode
    if identifier == _ATTRIBUTES_PLUS_TERM:
        node, offset = _read_attributes_plus_term(data, offset, stop, limit)
    elif identifier == _RESULT_SET_ID:
        node = ResultSetId(data[offset:stop].decode("utf-8", "surrogateescape"))
        offset = stop
    elif identifier == _RESULT_ATTR:
        node, offset = _read_result_attr(data, offset, stop, limit)
    else:
        raise ProtocolError(f"no Operand begins with tag {identifier:x}")
    return node, ber.close_explicit(data, offset, end)


def _read_result_attr(data: bytes, offset: int, end: int, limit: int) -> tuple[ResultAttr, int]:
    if end != ber.INDEFINITE:
        limit = end
    identifier, offset, stop = _header(data, offset, limit)
    if identifier != _RESULT_SET_ID:
        raise ProtocolError("a restricted result set without its name")
    name = data[offset:stop].decode("utf-8", "surrogateescape")
    identifier, offset, attributes_end = _header(data, stop, limit)
    if identifier != _ATTRIBUTE_LIST:
        raise ProtocolError("a restricted result set without its attributes")
    attributes: tuple[AttributeElement, ...]
    attributes, offset = _read_attribute_list(data, offset, attributes_end, limit)
    return ResultAttr(name, attributes), ber.leave(data, offset, end, limit)


def _read_operator(
    data: bytes, offset: int, limit: int
) -> tuple[BooleanOperator | ProximityOperator, int]:
    identifier, offset, end = _header(data, offset, limit)
    if identifier != _OPERATOR:
        raise ProtocolError("an RPN operation without its operator")
    if end != ber.INDEFINITE:
        limit = end
    identifier, offset, stop = _header(data, offset, limit)
    operator: BooleanOperator | ProximityOperator
    if identifier in _BOOLEANS:
        operator, offset = _BOOLEANS[identifier], stop
    elif identifier == _PROXIMITY:
        operator, offset = _read_proximity(data, offset, stop, limit)
    else:
        raise ProtocolError(f"no Operator begins with tag {identifier:x}")
    return operator, ber.close_explicit(data, offset, end)


_BOOLEANS = {ber.context_identifier(int(each), False): each for each in BooleanOperator}


def _write_query(query: Query) -> bytes:
    match query:
        case RpnQuery():
            content = b"\x06" + ber.write_oid(query.attribute_set) + _write_rpn(query.rpn)
            return ber.wrap(_context(query.query_type), content)
        case CqlQuery():
            return _write_external(External.of(CQL, _CQL_TEXT, query.text))
        case OtherQuery(external=External() as external):
            return _write_external(external)
        case OtherQuery():
            return ber.wrap(_context(query.query_type), query.data)
    raise TypeError(f"{query!r} cannot be sent")


def _context(number: int) -> bytes:
    return ber.identifier_octets(ber.context_identifier(number, True))


def _write_rpn(root: RpnNode) -> bytes:
    done: list[bytes] = []
    for node in rpn_postorder(root):
        if isinstance(node, RpnOperation):
            right, left = done.pop(), done.pop()
            operator = ber.wrap(_context(46), _write_operator(node.operator))
            done.append(ber.wrap(b"\xa1", left + right + operator))
        else:
            done.append(ber.wrap(b"\xa0", _write_operand(node)))
    return done.pop()


def _write_operator(operator: BooleanOperator | ProximityOperator) -> bytes:
    if isinstance(operator, ProximityOperator):
        return _write_proximity(operator)
    return bytes((ber.CONTEXT | operator, 0))


def _write_operand(node: AttributesPlusTerm | ResultSetId | ResultAttr) -> bytes:
    match node:
        case AttributesPlusTerm():
            return _write_attributes_plus_term(node)
        case ResultSetId():
            return ber.wrap(b"\x9f\x1f", node.name.encode("utf-8", "surrogateescape"))
        case ResultAttr():
            name = ber.wrap(b"\x9f\x1f", node.result_set.encode("utf-8", "surrogateescape"))
            return ber.wrap(_context(214), name + _write_attribute_list(node.attributes))


QUERY: Asn1Type[Query] = Custom(
    None, (RpnQuery, CqlQuery, OtherQuery, QueryTooComplex), _read_query, _write_query
)

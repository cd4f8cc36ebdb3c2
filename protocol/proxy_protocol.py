"""The PROXY protocol: whom a proxy connects for, in front of what the client sends.

Version 2 is binary, version 1 a line of text. A receiver reads `START_BYTES`, which
tell the version, and then exactly the rest, so that nothing of what follows is taken.
Source: "The PROXY protocol, versions 1 & 2", haproxy.org, 2020/03/05, §2.1 and §2.2.
"""

from __future__ import annotations

import ipaddress
import struct

from protocol.ber import ProtocolError

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
START_BYTES = len(SIGNATURE)
# Of the whole line, its end included (§2.1).
LINE_BYTES_MAX = 107
# Of version 2: version and command, family and transport, size of the rest.
_FIXED = struct.Struct("!BBH")
FIXED_BYTES = _FIXED.size
# Addresses, and whatever proxies tell beside them; the field could say 65,535.
REST_BYTES_MAX = 4096

_LINE_START = b"PROXY "
_LOCAL, _PROXY = 0, 1
# Octets of one address, and of two with their ports, by family.
_INET, _INET6 = 1, 2
_SIZES = {_INET: (4, 12), _INET6: (16, 36)}
_FAMILY_MAX = 3


def version_of(start: bytes) -> int:
    """1 or 2, of the first START_BYTES of a connection.

    Raises:
        ProtocolError: they begin no header.
    """
    if start == SIGNATURE:
        return 2
    if start.startswith(_LINE_START):
        return 1
    raise ProtocolError("no header of the PROXY protocol")


def rest_size(fixed: bytes) -> int:
    """How many octets follow the FIXED_BYTES behind the signature.

    Raises:
        ProtocolError: another version, an unknown command, or more than REST_BYTES_MAX.
    """
    version_command, _, size = _FIXED.unpack(fixed)
    if version_command >> 4 != 2 or version_command & 0xF not in (_LOCAL, _PROXY):
        raise ProtocolError(f"PROXY header of version and command {version_command:#04x}")
    if size > REST_BYTES_MAX:
        raise ProtocolError(f"PROXY header of {size} octets")
    return int(size)


def source_of(fixed: bytes, rest: bytes) -> str:
    """The client's address as version 2 has it; "" where the proxy speaks for itself,
    or for something that has no internet address.

    Raises:
        ProtocolError: the addresses are cut short, or of an unknown family.
    """
    version_command, family_transport, _ = _FIXED.unpack(fixed)
    if version_command & 0xF == _LOCAL:
        return ""
    family = family_transport >> 4
    if family > _FAMILY_MAX:
        raise ProtocolError(f"PROXY header of family {family}")
    if family not in _SIZES:
        return ""
    address_size, addresses_size = _SIZES[family]
    if len(rest) < addresses_size:
        raise ProtocolError("PROXY header cut short")
    return _text(ipaddress.ip_address(rest[:address_size]))


def source_of_line(line: bytes) -> str:
    """The client's address as version 1 has it; "" where it is unknown.

    Raises:
        ProtocolError: no such line, with its end.
    """
    if not line.endswith(b"\r\n") or len(line) > LINE_BYTES_MAX:
        raise ProtocolError("PROXY line without its end")
    words = line[:-2].split(b" ")
    if words[:2] == [b"PROXY", b"UNKNOWN"]:
        return ""
    versions = {b"TCP4": 4, b"TCP6": 6}
    if len(words) != 6 or words[0] != b"PROXY" or words[1] not in versions:
        raise ProtocolError("malformed PROXY line")
    try:
        source = ipaddress.ip_address(words[2].decode("ascii"))
        destination = ipaddress.ip_address(words[3].decode("ascii"))
    except (ValueError, UnicodeDecodeError):
        raise ProtocolError("malformed address in a PROXY line") from None
    ports = all(word.isdigit() and len(word) <= 5 and int(word) <= 65535 for word in words[4:])
    if {source.version, destination.version} != {versions[words[1]]} or not ports:
        raise ProtocolError("malformed PROXY line")
    return _text(source)


def _text(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> str:
    """The address; of IPv4 in IPv6, as a proxy that listens on both has it, that of IPv4."""
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)

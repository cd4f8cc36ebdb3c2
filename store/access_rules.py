"""What a member may reach, from where, and how often at a time.

An institution's rules hold for all its accounts and keys; those of an account
narrow them and never widen them.
"""

from __future__ import annotations

import ipaddress
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass

IpNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network
IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

ADDRESSES_REMEMBERED_MAX = 4096


@dataclass(frozen=True, slots=True)
class AccessRules:
    """`search_in` and `download_from` are names of databases; None: all of them.

    `sessions_max` bounds the Z39.50 sessions at a time, over all workers; None: as
    the configuration says. `addresses_only`: nobody comes in but from the
    institution's address ranges.
    """

    search_in: frozenset[str] | None = None
    download_from: frozenset[str] | None = None
    sessions_max: int | None = None
    addresses_only: bool = False


OPEN = AccessRules()


def rules_of(
    search_in: str | None, download_from: str | None, sessions_max: int | None, only: int = 0
) -> AccessRules:
    """The rules as their columns have them: names with spaces between, NULL for all."""
    if search_in is None and download_from is None and sessions_max is None and not only:
        return OPEN
    return AccessRules(_names(search_in), _names(download_from), sessions_max, bool(only))


def _names(column: str | None) -> frozenset[str] | None:
    return None if column is None else frozenset(column.split())


def both(one: frozenset[str] | None, other: frozenset[str] | None) -> frozenset[str] | None:
    """The databases that both grant."""
    if one is None or other is None:
        return other if one is None else one
    return one & other


@dataclass(frozen=True, slots=True)
class AddressRange:
    """Addresses of an institution. `network` is in CIDR form.

    Who comes from there without a login is `account`; "" is nobody.
    """

    institution: str
    network: str
    account: str = ""


def read_network(text: str) -> IpNetwork:
    """A network in CIDR form, or one address.

    Raises:
        ValueError: it is neither, has bits beyond its prefix, or is all addresses;
            says which.
    """
    try:
        network = ipaddress.ip_network(text.strip())
    except ValueError as error:
        raise ValueError(f"{text!r} is no range of addresses: {error}") from None
    if isinstance(network, ipaddress.IPv6Network) and network.network_address.ipv4_mapped:
        raise ValueError(f"{text!r}: write IPv4 addresses as such, such as 192.0.2.0/24")
    if network.prefixlen == 0:
        raise ValueError(f"{text!r} is all addresses there are")
    return network


def read_address(text: str) -> IpAddress | None:
    """An address as a socket tells it; of IPv4 in IPv6, that of IPv4. None: it is none."""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


class AddressRanges:
    """All ranges as they are at a moment. The narrowest range that an address is in holds."""

    def __init__(self, ranges: Iterable[AddressRange]) -> None:
        self._by_prefix: dict[tuple[int, int], dict[int, AddressRange]] = {}
        for each in ranges:
            network = read_network(each.network)
            key = (network.version, network.prefixlen)
            shift = network.max_prefixlen - network.prefixlen
            self._by_prefix.setdefault(key, {})[int(network.network_address) >> shift] = each
        self._prefixes = sorted(self._by_prefix, reverse=True)
        self._known: dict[str, AddressRange | None] = {}

    def of(self, address: str) -> AddressRange | None:
        """The range that `address` is in."""
        if not self._prefixes:
            return None
        if address in self._known:
            return self._known[address]
        found = self._find(address)
        if len(self._known) >= ADDRESSES_REMEMBERED_MAX:
            self._known.clear()
        self._known[address] = found
        return found

    def _find(self, text: str) -> AddressRange | None:
        address = read_address(text)
        if address is None:
            return None
        for version, prefix in self._prefixes:
            if version == address.version:
                high = int(address) >> (address.max_prefixlen - prefix)
                found = self._by_prefix[version, prefix].get(high)
                if found is not None:
                    return found
        return None


def read_ranges(connection: sqlite3.Connection, code: str | None = None) -> list[AddressRange]:
    """The ranges of one institution or of all, in the order they were added."""
    rows = connection.execute(
        "SELECT institution, network, coalesce(account, '') FROM address_range"
        " WHERE ?1 IS NULL OR institution = ?1 ORDER BY range_id",
        (code,),
    )
    return [AddressRange(*row) for row in rows]

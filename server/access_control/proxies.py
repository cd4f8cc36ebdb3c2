"""Where a client comes from, by the word of proxies that the configuration trusts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from aiohttp import hdrs, web

from server.log import Log, Seldom
from store.access_rules import AddressRange, AddressRanges, read_address

FORWARDED_FOR = "X-Forwarded-For"

log = Log("lianmu.access")

_TELL_AMBIGUOUS = Seldom(interval_s=60.0)


class TrustedProxies:
    """The networks of `[access] trusted_proxies`."""

    def __init__(self, networks: Iterable[str]) -> None:
        self._ranges = AddressRanges(AddressRange("", network) for network in networks)

    def trusts(self, address: str) -> bool:
        return self._ranges.of(address) is not None

    def client_of(self, request: web.BaseRequest, peer: str) -> str:
        """The address of the client that sent `request` over a connection from `peer`.

        Headers count when `peer` is trusted. Each proxy adds at the end whom it
        heard from, so the client is the last address that is not a trusted
        proxy's; what stands before it was written by the client. Where a proxy
        names nobody, it is the proxy itself. A proxy that writes one of the two
        headers may hand on the other as the client made it up, so both count
        only when they say the same.
        """
        if not self.trusts(peer):
            return peer
        headers = request.headers
        found = {
            self._last_untrusted(chain, peer)
            for name, chain in (
                (hdrs.FORWARDED, _forwarded(request.forwarded)),
                (FORWARDED_FOR, _list_of(headers.getall(FORWARDED_FOR, ()))),
            )
            if name in headers
        }
        if len(found) > 1:
            if _TELL_AMBIGUOUS.count():
                log.warning("Forwarded and X-Forwarded-For differ", proxy=peer)
            return peer
        return found.pop() if found else peer

    def _last_untrusted(self, chain: Sequence[str], peer: str) -> str:
        client = peer
        for hop in reversed(chain):
            address = read_address(hop)
            if address is None:
                break  # "unknown", a name that hides it, or nothing of the sort
            client = str(address)
            if not self.trusts(client):
                break
        return client


def _forwarded(elements: Iterable[Mapping[str, str]]) -> list[str]:
    """The `for` of each element (RFC 7239 §6), without port and brackets."""
    return [_without_port(element.get("for", "")) for element in elements]


def _list_of(values: Iterable[str]) -> list[str]:
    return [_without_port(part.strip()) for value in values for part in value.split(",")]


def _without_port(node: str) -> str:
    if node.startswith("["):
        return node[1:].partition("]")[0]
    return node.partition(":")[0] if node.count(":") == 1 else node

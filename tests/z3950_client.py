"""A blocking Z39.50 client for tests, on our own codec."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

from protocol import apdu, oid, pqf
from protocol.ber import Framer
from protocol.oid import Oid

T = TypeVar("T")
TIMEOUT_S = 30.0
VERSION_3 = frozenset({apdu.ProtocolVersion.VERSION_2, apdu.ProtocolVersion.VERSION_3})
SEGMENTATION = frozenset({apdu.Option.LEVEL_1_SEGMENTATION, apdu.Option.LEVEL_2_SEGMENTATION})
OPTIONS = frozenset(apdu.Option) - SEGMENTATION


class Client:
    """One association; `peer` is HOST:PORT, `source` the address that it comes from.

    `before` is sent ahead of everything.
    """

    def __init__(self, peer: str, *, source: str = "", before: bytes = b"") -> None:
        host, port = peer.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), TIMEOUT_S, (source, 0))
        if before:
            self.socket.sendall(before)
        self._framer = Framer(64 * 1024 * 1024)
        self._received: list[bytes] = []

    def send(self, *requests: apdu.Apdu) -> None:
        """Send all at once, as a pipelining client does."""
        self.socket.sendall(b"".join(apdu.encode(request) for request in requests))

    def receive(self) -> apdu.Apdu | None:
        """The next APDU; None when the server has closed the connection."""
        while not self._received:
            data = self.socket.recv(1 << 18)
            if not data:
                return None
            self._received.extend(self._framer.feed(data))
        return apdu.decode(self._received.pop(0))

    def ask(self, request: apdu.Apdu, kind: type[T]) -> T:
        self.send(request)
        response = self.receive()
        assert isinstance(response, kind), response
        return response

    def init(
        self, authentication: apdu.IdAuthentication | None = None, **fields: object
    ) -> apdu.InitializeResponse:
        return self.ask(init_request(authentication, **fields), apdu.InitializeResponse)

    def search(self, query: str, *databases: str, **fields: object) -> apdu.SearchResponse:
        return self.ask(search_request(query, *databases, **fields), apdu.SearchResponse)

    def present(
        self, start: int, count: int, syntax: Oid | None = oid.USMARC, **fields: object
    ) -> apdu.PresentResponse:
        return self.ask(present_request(start, count, syntax, **fields), apdu.PresentResponse)

    def close(self) -> None:
        self.socket.close()


def init_request(
    authentication: apdu.IdAuthentication | None = None, **fields: object
) -> apdu.InitializeRequest:
    values: dict[str, object] = {
        "protocol_version": VERSION_3,
        "options": OPTIONS,
        "preferred_message_size": 1 << 20,
        "exceptional_record_size": 1 << 20,
        "id_authentication": authentication,
        **fields,
    }
    return apdu.InitializeRequest(**values)  # type: ignore[arg-type]


def search_request(query: str, *databases: str, **fields: object) -> apdu.SearchRequest:
    parsed = pqf.parse(query)
    assert isinstance(parsed, apdu.RpnQuery), parsed
    values: dict[str, object] = {
        "small_set_upper_bound": 0,
        "large_set_lower_bound": 1,
        "medium_set_present_number": 0,
        "replace_indicator": True,
        "result_set_name": "default",
        "database_names": databases or ("Default",),
        "query": parsed,
        **fields,
    }
    return apdu.SearchRequest(**values)  # type: ignore[arg-type]


def present_request(
    start: int, count: int, syntax: Oid | None = oid.USMARC, **fields: object
) -> apdu.PresentRequest:
    values: dict[str, object] = {
        "result_set_id": "default",
        "result_set_start_point": start,
        "number_of_records_requested": count,
        "preferred_record_syntax": syntax,
        **fields,
    }
    return apdu.PresentRequest(**values)  # type: ignore[arg-type]


@contextmanager
def connected(peer: str, login: str | None = None) -> Iterator[Client]:
    """A client past Init, signed in with `login` (user/password)."""
    client = Client(peer)
    try:
        assert client.init(login).result
        yield client
    finally:
        client.close()


def records(response: apdu.PresentResponse | apdu.SearchResponse) -> list[bytes]:
    """The octets of the records of a response; a surrogate diagnostic fails the test."""
    assert isinstance(response.records, tuple), response.records
    found = []
    for each in response.records:
        assert isinstance(each.record, apdu.External), each.record
        found.append(each.record.data)
    return found


def diagnostic(response: apdu.PresentResponse | apdu.SearchResponse) -> tuple[int, str]:
    """Condition and addinfo of a response that failed as a whole."""
    assert isinstance(response.records, apdu.DefaultDiagFormat), response.records
    return response.records.condition, response.records.addinfo


def surrogates(response: apdu.PresentResponse) -> list[tuple[int, str]]:
    """Conditions and addinfos of the surrogate diagnostics of a response."""
    assert isinstance(response.records, tuple), response.records
    return [
        (each.record.diagnostic.condition, each.record.diagnostic.addinfo)
        for each in response.records
        if isinstance(each.record, apdu.SurrogateDiagnostic)
        and isinstance(each.record.diagnostic, apdu.DefaultDiagFormat)
    ]

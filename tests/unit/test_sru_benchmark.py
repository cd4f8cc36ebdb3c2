"""The SRU load generator: what it sends, where an answer ends, what it complains of."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import parse_qs, urlsplit

import pytest

from benchmarks.http_load import HttpExchange, HttpLoadGenerator, answer_end, search_request
from benchmarks.load_process import Address

BODY = (
    b"<r><numberOfRecords>2</numberOfRecords><record>9780000000002<recordPosition>1"
    b"</recordPosition></record><record><recordPosition>2</recordPosition></record></r>"
)


def answer(body: bytes = BODY, status: bytes = b"200 OK") -> bytes:
    return b"HTTP/1.1 %b\r\nContent-Length: %d\r\n\r\n%b" % (status, len(body), body)


def test_a_request_is_whole_and_signed() -> None:
    text = search_request("we_cat", "dc.title=a b", records=10, user="u", password="p").decode()
    line, *headers = text.split("\r\n")
    method, address, version = line.split(" ")
    assert (method, version) == ("GET", "HTTP/1.1")
    parts = urlsplit(address)
    assert parts.path == "/we_cat"
    assert parse_qs(parts.query)["query"] == ["dc.title=a b"]
    assert parse_qs(parts.query)["maximumRecords"] == ["10"]
    assert "Authorization: Basic dTpw" in headers
    assert text.endswith("\r\n\r\n")


def test_an_answer_ends_where_its_length_says() -> None:
    whole = answer()
    for end in range(len(whole)):
        assert answer_end(whole[:end]) is None
    assert answer_end(whole) == len(whole)
    assert answer_end(whole + b"HTTP") == len(whole)
    with pytest.raises(ValueError, match="Content-Length"):
        answer_end(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")


@pytest.mark.parametrize(
    ("least", "most", "records", "contains", "received", "complaint"),
    [
        (2, 2, 2, b"9780000000002", answer(), ""),
        (1, 9, 2, b"", answer(), ""),
        (3, 9, 2, b"", answer(), "not 3 to 9 hits"),
        (1, 1, 2, b"", answer(), "not 1 to 1 hits"),
        (2, 2, 1, b"", answer(), "2 records instead of 1"),
        (2, 2, 2, b"9780000000019", answer(), "is not in the answer"),
        (2, 2, 2, b"", answer(status=b"401 Unauthorized"), "401"),
        (2, 2, 2, b"", answer(b"<r/>"), "not 2 to 2 hits"),
    ],
)
def test_a_wrong_answer_is_a_complaint(
    least: int, most: int, records: int, contains: bytes, received: bytes, complaint: str
) -> None:
    told = HttpExchange(b"", least, most, records, contains).complaint(received)
    assert complaint in told
    assert bool(told) == bool(complaint)


@contextmanager
def answering(*answers: bytes) -> Iterator[Address]:
    """A server that gives each request of its one connection the next answer, in pieces."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                for each in answers:
                    if not connection.recv(65536):
                        return
                    for part in (each[:9], each[9:]):
                        connection.sendall(part)
                connection.recv(65536)

        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()
        thread.join(30)


def test_operations_are_counted_and_wrong_answers_told() -> None:
    exchange = HttpExchange(search_request("x", "y", records=2), 2, 2, 2)
    with (
        answering(answer(), answer(b"<r/>"), answer()) as address,
        HttpLoadGenerator(address, connections=1) as generator,
    ):
        load = generator.run([exchange], seconds=30, operations=3)
    assert (load.operations, load.errors) == (3, 1)
    assert "not 2 to 2 hits" in load.error_examples[0]
    assert load.p50_us > 0

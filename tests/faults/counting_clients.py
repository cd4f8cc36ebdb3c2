"""Clients that write down every record they were given, to be held against the ledger."""

from __future__ import annotations

import gzip
import http.client
import random
import re
import threading
import time
from base64 import b64encode
from collections import Counter
from dataclasses import dataclass, field
from urllib.parse import urlencode

from protocol import apdu, oid
from tests.z3950_client import Client, present_request, search_request

DATABASE = "we_cat"
# Field 001, in ISO 2709 and in MARCXML; SRU tells the number beside the record, too.
NUMBER = re.compile(rb'(?:\x1e|"001">)(k\d{6})(?=\x1e|<)')
PIPELINED_MAX = 6
PAGE_MAX = 40

Key = tuple[str, str]  # institution, control number


def record_number(number: int) -> str:
    return f"k{number:06d}"


@dataclass
class Tally:
    """Full records in responses that came whole, of all clients of a round."""

    received: Counter[Key] = field(default_factory=Counter)
    free: int = 0  # brief records, which nobody is billed
    refused: list[str] = field(default_factory=list)  # diagnostics instead of records
    responses: int = 0
    cut: int = 0  # connections that ended by themselves
    failures: list[str] = field(default_factory=list)  # what no client should see
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, institution: str, data: bytes, *, billable: bool = True) -> None:
        found = [each.decode() for each in NUMBER.findall(data)]
        with self._lock:
            self.responses += 1
            if billable:
                self.received.update((institution, number) for number in found)
            else:
                self.free += len(found)

    def refuse(self, reason: str) -> None:
        with self._lock:
            self.responses += 1
            self.refused.append(reason)

    def of(self, institution: str) -> int:
        with self._lock:
            return sum(count for (code, _), count in self.received.items() if code == institution)

    def total(self) -> int:
        with self._lock:
            return self.received.total()


class CountingClient(threading.Thread):
    """One connection of a member, busy until told to stop or until it is cut.

    `begun` is set at the first answer. Whatever is not an answer to what was
    asked goes into the tally's failures.
    """

    def __init__(
        self,
        address: str,
        institution: str,
        tally: Tally,
        stop: threading.Event,
        seed: int,
        pause_s: float = 0.0,
    ) -> None:
        super().__init__(name=f"{type(self).__name__} of {institution}", daemon=True)
        self.address = address
        self.institution = institution
        self.login = institution.lower()
        self.tally = tally
        self.stop = stop
        self.chance = random.Random(seed)
        self.pause_s = pause_s  # after each response, or after those that were pipelined
        self.begun = threading.Event()

    def run(self) -> None:
        try:
            self.work()
        except (ConnectionError, http.client.HTTPException, EOFError):
            # What came in part of a response is not counted as received.
            self.tally.cut += 1
        except Exception as error:
            self.tally.failures.append(f"{self.name}: {error!r}")
        finally:
            self.begun.set()

    def work(self) -> None:
        raise NotImplementedError


class Z3950CountingClient(CountingClient):
    """Pipelined Searches and Presents, piggyback, ranges, several record syntaxes."""

    def work(self) -> None:
        client = Client(self.address)
        try:
            assert client.init(f"{self.login}/{self.login}").result
            while not self.stop.is_set():
                asked: list[tuple[apdu.Apdu, bool]] = []
                for _ in range(self.chance.randint(1, PIPELINED_MAX)):
                    asked += self._some()
                client.send(*(request for request, _ in asked))
                for _, billable in asked:
                    response = client.receive()
                    if response is None or isinstance(response, apdu.Close):
                        raise ConnectionError("closed by the server")
                    self._count(response, billable)
                    self.begun.set()
                self.stop.wait(self.pause_s)
        finally:
            client.close()

    def _some(self) -> list[tuple[apdu.Apdu, bool]]:
        """A few requests that belong together; whether each brings billable records."""
        chance = self.chance
        kind = chance.choice(["known", "known", "range", "ranges", "piggyback", "xml", "brief"])
        if kind == "piggyback":
            # Ten hits, which is at most the small set.
            search = search_request(
                f"@attr 1=4 group{chance.randrange(5)}", DATABASE, small_set_upper_bound=10,
                large_set_lower_bound=11, preferred_record_syntax=oid.USMARC,
            )  # fmt: skip
            return [(search, True)]
        if kind == "known":
            query = f"@attr 1=12 {record_number(chance.randrange(50))}"
            return [(search_request(query, DATABASE), False), (present_request(1, 1), True)]
        search = search_request("@attr 1=4 common", DATABASE)
        first = chance.randint(1, 30)
        present = present_request(first, chance.randint(1, 20))
        if kind == "ranges":
            present = present_request(
                1, 2, additional_ranges=(apdu.Range(first, 5), apdu.Range(first + 7, 3))
            )
        elif kind == "xml":
            present = present_request(first, 10, oid.XML)
        elif kind == "brief":
            present = present_request(first, 10, record_composition="B")
        return [(search, False), (present, kind != "brief")]

    def _count(self, response: apdu.Apdu, billable: bool) -> None:
        assert isinstance(response, apdu.SearchResponse | apdu.PresentResponse), response
        records = response.records
        if isinstance(records, apdu.DefaultDiagFormat):
            self.tally.refuse(f"{records.condition} {records.addinfo}")
            return
        data = b""
        for each in records or ():
            assert isinstance(each, apdu.NamePlusRecord)
            assert isinstance(each.record, apdu.External), each.record
            data += each.record.data + b"\n"
        self.tally.count(self.institution, data, billable=billable)


class SruCountingClient(CountingClient):
    """Pages of MARCXML over one kept connection, plain and compressed, whole and streamed."""

    def work(self) -> None:
        host, port = self.address.rsplit(":", 1)
        connection = http.client.HTTPConnection(host, int(port), timeout=60)
        login = b64encode(f"{self.login}:{self.login}".encode()).decode()
        try:
            while not self.stop.is_set():
                billable, target = self._page()
                headers = {"Authorization": f"Basic {login}"}
                if self.chance.random() < 0.5:
                    headers["Accept-Encoding"] = "gzip"
                connection.request("GET", target, headers=headers)
                response = connection.getresponse()
                body = response.read()
                if response.getheader("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                assert response.status == 200, (response.status, body)
                if b"</zs:searchRetrieveResponse>" not in body:
                    raise AssertionError(f"half a response passed for a whole one: {body[-80:]!r}")
                if b"<zs:diagnostics>" in body:
                    self.tally.refuse(body.decode())
                else:
                    self.tally.count(self.institution, body, billable=billable)
                self.begun.set()
                self.stop.wait(self.pause_s)
        finally:
            connection.close()

    def _page(self) -> tuple[bool, str]:
        chance = self.chance
        brief = chance.random() < 0.1
        query = f"dc.title={chance.choice(['common', 'large', 'group1'])}"
        parameters = {
            "version": "1.2",
            "operation": "searchRetrieve",
            "query": query,
            "startRecord": "1" if "common" not in query else str(chance.randint(1, 10)),
            "maximumRecords": str(chance.randint(1, PAGE_MAX)),
            "recordSchema": "brief" if brief else "marcxml",
        }
        return not brief, f"/{DATABASE}?{urlencode(parameters)}"


@dataclass
class Traffic:
    """The clients of all members, at work from the moment this is made."""

    clients: list[CountingClient]
    tally: Tally
    stop: threading.Event

    @classmethod
    def begin(
        cls, z3950: str, http: str, institutions: tuple[str, ...], *, each: int, seed: int
    ) -> Traffic:
        """`each` member has that many connections of Z39.50 and one less of SRU."""
        tally, stop = Tally(), threading.Event()
        clients: list[CountingClient] = []
        for institution in institutions:
            for _ in range(each):
                seed += 1
                clients.append(Z3950CountingClient(z3950, institution, tally, stop, seed))
            for _ in range(each - 1):
                seed += 1
                clients.append(SruCountingClient(http, institution, tally, stop, seed))
        for client in clients:
            client.start()
        return cls(clients, tally, stop)

    def wait_until_busy(self, limit_s: float = 60.0) -> None:
        """Until every client has had an answer, or has failed."""
        deadline = time.monotonic() + limit_s
        for client in self.clients:
            assert client.begun.wait(max(0.0, deadline - time.monotonic())), client.name

    def end(self, limit_s: float = 90.0) -> Tally:
        """Let every client have its last answers; what they were given."""
        self.stop.set()
        deadline = time.monotonic() + limit_s
        for client in self.clients:
            client.join(max(0.0, deadline - time.monotonic()))
            assert not client.is_alive(), f"{client.name} waits for ever"
        assert not self.tally.failures, self.tally.failures
        return self.tally

"""SRU searches answered without a task: those whose head has come before, octet for octet.

A library system sends the same headers again and again; only the query in the
address changes. What the headers mean is learned from a request that went the
long way (`server.http.server`, `server.sru.service`), together with the head of its response.
Whatever is not exactly so, or would have to wait, goes the long way again.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from urllib.parse import parse_qsl

from aiohttp import BasicAuth, hdrs, web

from protocol.diagnostic import Diagnostic, SruFault
from protocol.record import Database
from protocol.sru import SearchRetrieveRequest, SruLimits, parse_request
from protocol.sru_frame import ResponseFrame
from protocol.sru_known import KnownSearch, KnownSearches, parted
from protocol.sru_response import search_echo
from server.access_control.access import KnownLogin, Principal, SignIn
from server.access_control.databases import databases_for
from server.access_control.request_limits import RequestLimits
from server.http.at_once import AnswerAtOnce
from server.http.responses import (
    GZIP_SIZE_BYTES_MIN,
    NEVER_WAITS_BYTES,
    NO_STORE,
    accepts_gzip,
    compressed,
)
from server.http.sign_in import tokens_among
from server.service import Service
from server.sru.http import accepted_media_type
from server.sru.search import AskedAtOnce, SearchRetrieve

HEADS_MAX = 1_000
REQUESTS_MAX = 512
HEAD_SIZE_BYTES_MAX = 4_096
# Of a request: what each means for the answer is known here, or it means nothing.
_HEADERS = frozenset(
    {"host", "authorization", "accept", "accept-encoding", "accept-language", "user-agent"}
)
# The same of one that a trusted proxy hands on, which adds where the client is.
_HEADERS_OF_PROXIES = frozenset(
    {
        "forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-port",
        "x-forwarded-proto", "x-real-ip",
    }
)  # fmt: skip
_FIXED = frozenset(
    {
        hdrs.VARY, hdrs.CACHE_CONTROL, hdrs.CONTENT_TYPE, hdrs.SERVER, hdrs.CONTENT_ENCODING,
        "X-Content-Type-Options",
    }
)  # fmt: skip
_UTF_8 = "; charset=utf-8"
_QUERY = re.compile(rb"(?:[A-Za-z0-9._~!$&'()*+,;=:@/?-]|%[0-9A-Fa-f]{2})*")


@dataclass(frozen=True, slots=True)
class Granted:
    """What the database of a request means for a principal; it does not change, nor do they."""

    principal: Principal
    databases: tuple[Database, ...]
    names: tuple[str, ...]


@dataclass(slots=True)
class KnownHead:
    """The headers of requests to one path, and the heads of responses to them.

    `login` tells who sent the credentials in them; `media_type` is what the Accept
    header chooses. The responses go by their media type and whether they are
    compressed. `client` is where the client is by the word of a proxy, in these very
    headers; "" without.
    """

    path: str
    database: str
    login: KnownLogin | _KeyOrNone
    media_type: str
    gzip: bool
    client: str = ""
    responses: dict[tuple[str, bool], bytes] = field(default_factory=dict)
    granted: Granted | None = None


@dataclass(frozen=True, slots=True)
class KnownRequest:
    """A whole request but for the term of its query. Its address is in its octets from
    `address_begin` on, and `rest` octets from their end."""

    head: KnownHead
    search: KnownSearch
    address_begin: int
    rest: int


class _KeyOrNone:
    """Credentials that are looked up each time: an API key, or none at all."""

    __slots__ = ("_key", "_sign_in")

    def __init__(self, sign_in: SignIn, key: str | None) -> None:
        self._sign_in = sign_in
        self._key = key

    def principal(self, address: str) -> Principal | Diagnostic:
        if self._key is None:
            return self._sign_in.without_login(address)
        return self._sign_in.by_key(self._key, address)


class SruAtOnce:
    """The known heads of one worker."""

    def __init__(
        self,
        service: Service,
        limits: SruLimits,
        request_limits: RequestLimits,
        search: SearchRetrieve,
    ) -> None:
        self._service = service
        self._limits = limits
        self._request_limits = request_limits
        self._search = search
        self._known: dict[tuple[bytes, bytes], KnownHead] = {}
        self._searches = KnownSearches(limits)
        # By the octets before the term and behind it.
        self._requests: dict[tuple[bytes, bytes], KnownRequest] = {}
        self._date = (0, b"")

    def learn(
        self,
        data: bytes,
        http: web.Request,
        database: str,
        response: web.StreamResponse,
        client: str = "",
    ) -> None:
        """Note that the request `data` was answered by `response`, of which no part may be kept.

        `client` is where a trusted proxy says the client is, in a header of the request.
        """
        if len(data) > HEAD_SIZE_BYTES_MAX or not _is_ordinary(http, response, client):
            return
        path, rest = _parts(data)
        if path is None:
            return
        known = self._known.get((path, rest))
        if known is None:
            login = self._login(http)
            if login is None:
                return
            if len(self._known) >= HEADS_MAX:  # a client that varies them, as no library does
                self._known.pop(next(iter(self._known)))
                self._requests.clear()  # some may be of that one
            known = self._known[path, rest] = KnownHead(
                path.decode("ascii"),
                database,
                login,
                accepted_media_type(http.headers.get(hdrs.ACCEPT)),
                accepts_gzip(http.headers.get(hdrs.ACCEPT_ENCODING, "")),
                client,
            )
        media_type, utf_8, _ = response.headers[hdrs.CONTENT_TYPE].partition(_UTF_8)
        encoded = hdrs.CONTENT_ENCODING in response.headers
        if utf_8:
            known.responses.setdefault((media_type, encoded), _template(response))

    def answer(self, data: bytes, address: str, behind_proxy: bool = False) -> AnswerAtOnce | None:
        """The response to a request that came alone; None: it must go the long way.

        Then nothing has been done. Otherwise `admission` must be left when the
        response was sent, or cannot be.
        """
        read = self._read(data)
        if read is None:
            return None
        known, query, asked = read
        if known.client:
            if not behind_proxy:
                return None  # whoever says so is nobody to be believed
            address = known.client
        began_s = time.perf_counter()
        principal = known.login.principal(address)
        if not isinstance(principal, Principal) or not principal.may_search:
            return None
        granted = self._granted(known, principal)
        if granted is None:
            return None
        if asked is None:
            asked = self._asked(data, known, query)
            if asked is None:
                return None
        session = self._service.sessions.next_id("s")
        made = self._search.respond_at_once(asked, granted.databases, principal, session)
        if made is None:
            return None
        body, deliveries, records = made
        if len(body) > NEVER_WAITS_BYTES:
            return None
        request = asked.request
        encoded = known.gzip and len(body) >= GZIP_SIZE_BYTES_MIN
        template = known.responses.get((request.media_type or known.media_type, encoded))
        if template is None:
            return None
        admission = self._request_limits.admitted(principal, address)
        if admission.__enter__():
            admission.__exit__()
            return None
        if encoded:
            body = compressed(body)
        data = template % {b"size": len(body), b"date": self._http_date(), b"body": body}
        return AnswerAtOnce(
            data, deliveries, records, principal, session, known.path, query, admission,
            began_s, address, granted.names if request.start_record == 1 else None,
        )  # fmt: skip

    def _read(self, data: bytes) -> tuple[KnownHead, bytes, AskedAtOnce | None] | None:
        """The headers of a request, its address behind the `?`, and what it asks.

        The last is None where the address is still to be read.
        """
        parts = parted(data)
        if parts is not None:
            about, term = parts
            known = self._requests.get(about)
            if known is not None:
                asked = _asked_again(known.search, term)
                address = data[known.address_begin : len(data) - known.rest]
                return None if asked is None else (known.head, address, asked)
        path, rest = _parts(data)
        head = self._known.get((path, rest)) if path is not None else None
        if head is None or path is None:
            return None
        return head, data[5 + len(path) : len(data) - len(rest)], None

    def _granted(self, known: KnownHead, principal: Principal) -> Granted | None:
        granted = known.granted
        if granted is None or granted.principal is not principal:
            databases = databases_for(self._service.catalogue, (known.database,), principal)
            if isinstance(databases, Diagnostic):
                return None
            names = tuple(database.name for database in databases)
            granted = known.granted = Granted(principal, databases, names)
        return granted

    def _asked(self, data: bytes, known: KnownHead, address: bytes) -> AskedAtOnce | None:
        """What is behind the `?`, and where that is known but for its term, note the request."""
        found = self._searches.find(address)
        if found is not None:
            parts = parted(data)
            if parts is not None:
                if len(self._requests) >= REQUESTS_MAX:
                    self._requests.pop(next(iter(self._requests)))
                begin = 5 + len(known.path)
                self._requests[parts[0]] = KnownRequest(
                    known, found[0], begin, len(data) - begin - len(address)
                )
            return _asked_again(*found)
        if _QUERY.fullmatch(address) is None:
            return None
        try:
            parameters = parse_qsl(address.decode("ascii"), keep_blank_values=True, errors="strict")
        except UnicodeDecodeError:
            return None
        if tokens_among(parameters):
            return None
        request = parse_request(parameters, self._limits)
        if not isinstance(request, SearchRetrieveRequest):
            return None
        self._searches.learn(address, parameters, request)
        return AskedAtOnce(request, request.query, ResponseFrame(request), search_echo(request))

    def _login(self, http: web.Request) -> KnownLogin | _KeyOrNone | None:
        """Whose credentials are in the headers; None: what should be these is something else."""
        sign_in = self._service.sign_in
        header = http.headers.get(hdrs.AUTHORIZATION)
        if header is None:
            return _KeyOrNone(sign_in, None)
        scheme, _, rest = header.partition(" ")
        if scheme.lower() == "bearer":
            return _KeyOrNone(sign_in, rest.strip())
        try:
            basic = BasicAuth.decode(header, encoding="utf-8")
        except ValueError:
            return None
        return KnownLogin(sign_in, basic.login, basic.password)

    def _http_date(self) -> bytes:
        """The present second as RFC 9110 §5.6.7 has it."""
        now_s = int(time.time())
        if self._date[0] != now_s:
            self._date = (now_s, formatdate(now_s, usegmt=True).encode("ascii"))
        return self._date[1]


def _parts(data: bytes) -> tuple[bytes | None, bytes]:
    """The path of a GET request, and all behind its target; no path: it has no query."""
    end = data.find(b" HTTP/1.1\r\n")
    begin = data.find(b"?", 5, end)
    if begin < 0 or end < 0 or not data.startswith(b"GET /"):
        return None, b""
    return data[4:begin], data[end:]


def _is_ordinary(http: web.Request, response: web.StreamResponse, client: str) -> bool:
    """Whether both have no header but those that mean the same another time."""
    names = [name.lower() for name in http.headers]
    if client:
        names = [name for name in names if name not in _HEADERS_OF_PROXIES]
    if len(set(names)) < len(names) or not _HEADERS.issuperset(names):
        return False
    if "text/html" in http.headers.get(hdrs.ACCEPT, ""):
        return False
    fixed = [name for name in response.headers if name not in (hdrs.CONTENT_LENGTH, hdrs.DATE)]
    return (
        response.status == 200
        and response.keep_alive is True
        and response.headers.get(hdrs.CACHE_CONTROL) == NO_STORE
        and hdrs.CONTENT_LENGTH in response.headers
        and all(name in _FIXED or name.startswith("Access-Control-") for name in fixed)
    )


def _asked_again(known: KnownSearch, term: bytes) -> AskedAtOnce | None:
    query = known.query(term)
    if isinstance(query, SruFault):
        return None
    return AskedAtOnce(known.request, query, known.frame, known.echo_of(term))


def _template(response: web.StreamResponse) -> bytes:
    """A response with places for the size, the date and the body."""
    places: Mapping[str, str] = {hdrs.CONTENT_LENGTH: "%(size)d", hdrs.DATE: "%(date)b"}
    lines = [
        f"{name}: {places.get(name) or value.replace('%', '%%')}\r\n"
        for name, value in response.headers.items()
    ]
    head = f"HTTP/1.1 {response.status} {response.reason}\r\n{''.join(lines)}\r\n"
    return head.encode("latin-1") + b"%(body)b"

"""SRU searches answered without a task: those whose head has come before, octet for octet.

A library system sends the same headers again and again; only the query in the
address changes. What the headers mean is learned from a request that went the
long way (`server.http.server`, `server.sru.service`), together with the head of its response.
Whatever is not exactly so, or would have to wait, goes the long way again.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from email.utils import formatdate
from urllib.parse import parse_qsl

from aiohttp import BasicAuth, hdrs, web

from protocol.diagnostic import Diagnostic, SruFault
from protocol.query import Query
from protocol.sru import SearchRetrieveRequest, SruLimits, parse_request
from protocol.sru_known import KnownSearches
from server.access_control.access import Principal, SignIn
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
from server.sru.search import SearchRetrieve

HEADS_MAX = 1_000
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
_QUERY = re.compile(rb"(?:[A-Za-z0-9._~!$&'()*+,;=:@/?-]|%[0-9A-Fa-f]{2})*")


@dataclass(slots=True)
class KnownHead:
    """The headers of requests to one path, and the heads of responses to them.

    `credentials` are a name and a password, or a key alone, or neither; `media_type`
    is what the Accept header chooses. The responses go by their Content-Type and
    whether they are compressed. `client` is where the client is by the word of a
    proxy, in these very headers; "" without.
    """

    database: str
    credentials: Sequence[str]
    media_type: str
    gzip: bool
    client: str = ""
    responses: dict[tuple[str, bool], bytes] = field(default_factory=dict)


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
            credentials = _credentials(http)
            if credentials is None:
                return
            if len(self._known) >= HEADS_MAX:  # a client that varies them, as no library does
                self._known.pop(next(iter(self._known)))
            known = self._known[path, rest] = KnownHead(
                database,
                credentials,
                accepted_media_type(http.headers.get(hdrs.ACCEPT)),
                accepts_gzip(http.headers.get(hdrs.ACCEPT_ENCODING, "")),
                client,
            )
        content_type = response.headers[hdrs.CONTENT_TYPE]
        encoded = hdrs.CONTENT_ENCODING in response.headers
        known.responses.setdefault((content_type, encoded), _template(response))

    def answer(self, data: bytes, address: str, behind_proxy: bool = False) -> AnswerAtOnce | None:
        """The response to a request that came alone; None: it must go the long way.

        Then nothing has been done. Otherwise `admission` must be left when the
        response was sent, or cannot be.
        """
        path, rest = _parts(data)
        known = self._known.get((path, rest)) if path is not None else None
        if known is None or path is None:
            return None
        if known.client:
            if not behind_proxy:
                return None  # whoever says so is nobody to be believed
            address = known.client
        began_s = time.perf_counter()
        query = data[5 + len(path) : len(data) - len(rest)]
        principal = _principal(self._service.sign_in, known.credentials, address)
        if not isinstance(principal, Principal) or not principal.may_search:
            return None
        databases = databases_for(self._service.catalogue, (known.database,), principal)
        if isinstance(databases, Diagnostic):
            return None
        asked = self._asked(query)
        if asked is None:
            return None
        request, tree, echo = asked
        session = self._service.sessions.next_id("s")
        made = self._search.respond_at_once(request, databases, principal, session, tree, echo)
        if made is None:
            return None
        body, deliveries, records = made
        if len(body) > NEVER_WAITS_BYTES:
            return None
        media_type = request.media_type or known.media_type
        encoded = known.gzip and len(body) >= GZIP_SIZE_BYTES_MIN
        template = known.responses.get((f"{media_type}; charset=utf-8", encoded))
        if template is None:
            return None
        admission = self._request_limits.admitted(principal, address)
        if admission.__enter__():
            admission.__exit__()
            return None
        if encoded:
            body = compressed(body)
        head = template % {b"size": len(body), b"date": self._http_date()}
        return AnswerAtOnce(
            head + body, deliveries, records, principal, session, path.decode("ascii"),
            query, admission, began_s, address,
        )  # fmt: skip

    def _asked(self, address: bytes) -> tuple[SearchRetrieveRequest, Query, bool | bytes] | None:
        """What is behind the `?`: the request, its query and how the response repeats it."""
        found = self._searches.find(address)
        if found is not None:
            known, term = found
            query = known.query(term)
            return None if isinstance(query, SruFault) else (
                known.request, query, known.echo_of(term)
            )  # fmt: skip
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
        return request, request.query, True

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


def _credentials(http: web.Request) -> Sequence[str] | None:
    """A name and a password, or a key; None: what should be these is something else."""
    header = http.headers.get(hdrs.AUTHORIZATION)
    if header is None:
        return ()
    scheme, _, rest = header.partition(" ")
    if scheme.lower() == "bearer":
        return (rest.strip(),)
    try:
        basic = BasicAuth.decode(header, encoding="utf-8")
    except ValueError:
        return None
    return basic.login, basic.password


def _principal(
    sign_in: SignIn, credentials: Sequence[str], address: str
) -> Principal | Diagnostic | None:
    """Who asks, as `server.http.sign_in` finds it; None: that would take time."""
    if not credentials:
        return sign_in.without_login(address)
    if len(credentials) == 1:
        return sign_in.by_key(credentials[0], address)
    name, password = credentials
    return sign_in.recognised(name, password, address)


def _template(response: web.StreamResponse) -> bytes:
    """The head of a response, with places for the size and the date."""
    places: Mapping[str, str] = {hdrs.CONTENT_LENGTH: "%(size)d", hdrs.DATE: "%(date)b"}
    lines = [
        f"{name}: {places.get(name) or value.replace('%', '%%')}\r\n"
        for name, value in response.headers.items()
    ]
    return f"HTTP/1.1 {response.status} {response.reason}\r\n{''.join(lines)}\r\n".encode("latin-1")

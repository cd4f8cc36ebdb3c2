"""What every request passes before its handler, and every failure after it.

From the outside in: a time limit and the one place where failures become
responses; whether the request is well formed at all; who asks and how much.
"""

from __future__ import annotations

import re
import socket
import struct
import time
from collections.abc import Awaitable, Callable, Mapping
from urllib.parse import unquote_to_bytes

from aiohttp import hdrs, web
from multidict import istr

from server import VERSION
from server.access_control.access import Principal
from server.access_control.request_limits import RequestLimits
from server.config import Config
from server.delivery.outbox import Outbox
from server.http.access_log import SESSION
from server.http.cors import Cors
from server.http.deadline import DEADLINE, Deadlines
from server.http.refusals import refuse
from server.http.responses import deliver
from server.http.sign_in import sign_in
from server.log import Log
from server.service import Service
from server.web.assets import PREFIX

SERVER = f"Lianmu/{VERSION}"
CLIENT_CLOSED_REQUEST = 499  # as web servers write it in their logs
_CONTENT_TYPE_OPTIONS = istr("X-Content-Type-Options")  # not folded anew each time
# Whatever watches the server or shows a page is not counted.
_UNLIMITED = ("/healthz", "/readyz", "/metrics", "/assets/", PREFIX)

_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: on, for no time at all
_UNUSUAL_ESCAPE = re.compile(r"%(?![0-7][0-9A-Fa-f])")  # none of ASCII
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
# RFC 3986 §3.2.2: a name, an IPv4 address or an IPv6 address in brackets; a port.
_HOST = re.compile(
    r"(\[[0-9A-Fa-f:.]+\]|([A-Za-z0-9._~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})+)(:[0-9]{0,5})?"
)
_FORM = "application/x-www-form-urlencoded"

# Whose handlers bound what they read themselves.
FILES_OF_HOLDINGS = frozenset(
    {("POST", "/api/v1/institutions/{code}/holdings"), ("POST", "/-/my/holdings/send")}
)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

log = Log("lianmu.http")


class Guard:
    """The middleware of the application; a layer less is a coroutine less for each request."""

    def __init__(self, config: Config, service: Service, outbox: Outbox) -> None:
        self._config = config
        self._service = service
        self._outbox = outbox
        self._cors = Cors(config.http.cors)
        self._deadlines = Deadlines(config.http.request_timeout_s)
        self.limits = RequestLimits(config.http.limits)

    def install(self, app: web.Application) -> None:
        app.middlewares.append(self._answer)
        app.on_response_prepare.append(self._add_headers)

    @web.middleware
    async def _answer(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Note what `_safely` makes of a request."""
        begun_ns = time.perf_counter_ns()
        status = CLIENT_CLOSED_REQUEST
        try:
            response = await self._safely(request, handler)
            status = response.status
        except web.HTTPException as elsewhere:
            status = elsewhere.status
            raise
        finally:
            duration_ns = time.perf_counter_ns() - begun_ns
            self._service.counting.http(request, status, duration_ns, request.get(SESSION, ""))
        return response

    async def _safely(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Bound the time of a request, send its response, keep tracebacks in the log."""
        request[SESSION] = session = self._service.sessions.next_id("s")
        try:
            with self._deadlines.begin() as deadline:
                request[DEADLINE] = deadline
                response: web.StreamResponse | None
                try:
                    response = self._unacceptable(request)
                    if response is None:
                        response = await self._limited(request, handler)
                except web.HTTPError as error:
                    response = _refusal(request, error)
                if isinstance(response, web.Response) and not response.prepared:
                    return await deliver(request, response)
                return response
        except web.HTTPException:
            raise  # to another address: aiohttp sends it
        except ConnectionError as error:
            log.debug("response not sent", session=session, reason=str(error))
            return self._cut(request, error)
        except web.RequestPayloadError as error:
            return refuse(request, 400, f"The body cannot be read: {error}.")
        except TimeoutError as error:
            self._service.counting.refused("time_out")
            log.warning("request timed out", path=request.path, session=session)
            if request.writer.output_size:
                return self._cut(request, error)
            return refuse(request, 503, "The request took too long.", {hdrs.RETRY_AFTER: "10"})
        except Exception as error:
            log.exception("request failed", path=request.path, session=session)
            self._service.sessions.counters.failures += 1
            if request.writer.output_size:
                return self._cut(request, error)
            return refuse(request, 500, "Temporary system error.")

    def _cut(self, request: web.Request, error: Exception) -> web.Response:
        """End the connection of a response that cannot be finished.

        A client must not take what it got for the whole, so the connection is
        reset; and what waits there to be sent, of earlier responses too, will not be.
        """
        transport = request.transport
        if transport is not None:
            self._outbox.lost(transport, error)
            connection = transport.get_extra_info("socket")
            if connection is not None:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            transport.abort()
        return web.Response(status=CLIENT_CLOSED_REQUEST)  # nobody is there to read it

    def _unacceptable(self, request: web.Request) -> web.Response | None:
        """The refusal of what no handler could make sense of, and what needs none."""
        reason = _malformed(request)
        if reason:
            return refuse(request, 400, reason)
        size_max = self._body_bytes_max(request)
        if (request.content_length or 0) > size_max:
            raise web.HTTPRequestEntityTooLarge(size_max, request.content_length or 0)
        if self._cors.is_preflight(request):
            return self._cors.preflight(request)
        if self._cors.is_foreign(request):
            return refuse(request, 403, "Pages of other sites may not ask this server.")
        return None

    def _body_bytes_max(self, request: web.Request) -> int:
        """What a body may have: files of holdings are taken in portions, and may be long."""
        resource = request.match_info.route.resource
        if resource is not None and (request.method, resource.canonical) in FILES_OF_HOLDINGS:
            return max(self._config.holdings.file_bytes_max, self._config.http.body_bytes_max)
        return self._config.http.body_bytes_max

    async def _limited(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Find out who asks, and refuse who asks too much."""
        if request.path.startswith(_UNLIMITED):
            return await handler(request)
        form = await _form(request) if request.method == hdrs.METH_POST else None
        principal = await sign_in(self._service, request, form)
        known = principal if isinstance(principal, Principal) else None
        with self.limits.admitted(known, request.remote or "") as wait_s:
            if wait_s:
                self._service.counting.refused("rate_limit")
                log.debug("too many requests", session=request[SESSION], retry_s=wait_s)
                return refuse(
                    request, 429, f"Too many requests; try again in {wait_s} s.",
                    {hdrs.RETRY_AFTER: str(wait_s)},
                )  # fmt: skip
            return await handler(request)

    async def _add_headers(self, request: web.Request, response: web.StreamResponse) -> None:
        response.headers[hdrs.SERVER] = SERVER
        response.headers.setdefault(_CONTENT_TYPE_OPTIONS, "nosniff")
        self._cors.add_headers(request, response)


async def _form(request: web.Request) -> Mapping[str, str] | None:
    """The fields of a form, which can hold SRU's token; aiohttp keeps what was read."""
    if request.content_type != _FORM:
        return None
    try:
        fields = await request.post()
    except (UnicodeDecodeError, LookupError):
        return None  # the handler says what is wrong with it
    return {name: value for name, value in fields.items() if isinstance(value, str)}


def _malformed(request: web.Request) -> str:
    """What is wrong with the request line or the Host header, "" when nothing is."""
    target = request.raw_path
    if _UNUSUAL_ESCAPE.search(target):
        if _BAD_ESCAPE.search(target):
            return "The address holds a % that begins no escape; write it as %25."
        try:
            unquote_to_bytes(target).decode()
        except UnicodeDecodeError:
            return "The address is not in UTF-8: escape the octets of UTF-8."
    hosts = request.headers.getall(hdrs.HOST, ())
    if len(hosts) > 1 or (not hosts and request.version >= (1, 1)):
        return "One Host header is needed (RFC 9112 §3.2)."
    if hosts and hosts[0] and not _HOST.fullmatch(hosts[0]):
        return "The Host header names no host."
    return ""


def _refusal(request: web.Request, error: web.HTTPError) -> web.Response:
    """What aiohttp or a handler refused, in the form that this client can read."""
    if isinstance(error, web.HTTPMethodNotAllowed):
        allowed = ", ".join(sorted(error.allowed_methods))
        detail = f"{error.method} is not answered here; {allowed} are."
        return refuse(request, error.status, detail, {hdrs.ALLOW: allowed})
    if isinstance(error, web.HTTPRequestEntityTooLarge):
        response = refuse(request, error.status, "The body of the request is too large.")
        response.force_close()  # rather than read the rest of it
        return response
    if isinstance(error, web.HTTPNotFound):
        return refuse(request, error.status, f"There is nothing at {request.path}.")
    return refuse(request, error.status, error.reason)

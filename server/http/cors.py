"""Which web pages of other origins may ask, and read what they are answered.

Credentials that a browser holds are never shared with another origin: a script
there brings a key of its own in the Authorization header.
"""

from __future__ import annotations

from aiohttp import hdrs, web

from server.config import HttpCors

ALLOWED_METHODS = "GET, HEAD, POST, PUT, DELETE"
ALLOWED_HEADERS = (
    "Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, X-Requested-With,"
    " X-SRU-Authentication-Token"
)


class Cors:
    """The rules of `[http.cors]`; without allowed origins there are none."""

    def __init__(self, config: HttpCors) -> None:
        self._config = config
        self._any = "*" in config.allowed_origins
        self._origins = frozenset(config.allowed_origins)

    def allows(self, request: web.BaseRequest) -> bool:
        """Whether the request's origin is one of those allowed; False without one."""
        origin = request.headers.get(hdrs.ORIGIN)
        return origin is not None and (self._any or origin in self._origins)

    def is_preflight(self, request: web.BaseRequest) -> bool:
        """Whether a browser asks, on its own, what a script may do."""
        return (
            bool(self._origins)
            and request.method == hdrs.METH_OPTIONS
            and hdrs.ORIGIN in request.headers
            and hdrs.ACCESS_CONTROL_REQUEST_METHOD in request.headers
        )

    def preflight(self, request: web.BaseRequest) -> web.Response:
        """The answer to a preflight request; what is missing from it is forbidden."""
        response = web.Response(status=204)
        if self.allows(request):
            response.headers[hdrs.ACCESS_CONTROL_ALLOW_METHODS] = ALLOWED_METHODS
            response.headers[hdrs.ACCESS_CONTROL_ALLOW_HEADERS] = ALLOWED_HEADERS
            response.headers[hdrs.ACCESS_CONTROL_MAX_AGE] = str(self._config.max_age_s)
        return response

    def add_headers(self, request: web.BaseRequest, response: web.StreamResponse) -> None:
        """Let the page read the response, if it is of an allowed origin."""
        if not self._origins:
            return
        if not self._any:
            response.headers.add(hdrs.VARY, hdrs.ORIGIN)
        if self.allows(request):
            origin = "*" if self._any else request.headers[hdrs.ORIGIN]
            response.headers[hdrs.ACCESS_CONTROL_ALLOW_ORIGIN] = origin
            if self._config.exposed_headers:
                exposed = ", ".join(self._config.exposed_headers)
                response.headers[hdrs.ACCESS_CONTROL_EXPOSE_HEADERS] = exposed

    def is_foreign(self, request: web.BaseRequest) -> bool:
        """Whether a page elsewhere asks without its reader's knowledge.

        The browser adds the password that its user once gave here, so a picture
        or a script in such a page could download records at the user's cost.
        Following a link shows what it does and is no such request. Browsers say
        where a request comes from in headers that no page can set.
        """
        headers = request.headers
        if headers.get("Sec-Fetch-Site") != "cross-site" or self.allows(request):
            return False
        return not (
            headers.get("Sec-Fetch-Mode") == "navigate"
            and headers.get("Sec-Fetch-Dest", "document") == "document"
            and request.method in (hdrs.METH_GET, hdrs.METH_HEAD)
        )

"""The access log: one event for each response, with nothing secret in it.

What was asked of the catalogue stays out of it at the level of operation: the
path is logged without its query. At level "debug" the query is there too, with
tokens left out.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from urllib.parse import urlencode

from aiohttp import web
from aiohttp.abc import AbstractAccessLogger

from server.http.sign_in import is_token, principal_of
from server.log import Log

LOGGER_NAME = "lianmu.http.access"
# Asked every few seconds by whatever watches the server.
_QUIET_PATHS = frozenset({"/healthz", "/readyz", "/metrics"})
_PATH_CHARS_MAX = 200

# The id of a request, the same in the access log, in other events and in the ledger.
SESSION = web.RequestKey("SESSION", str)

log = Log(LOGGER_NAME)
_logger = logging.getLogger(LOGGER_NAME)


def access_logger(enabled: bool) -> logging.Logger:
    """The logger to give aiohttp, which asks it whether requests are logged."""
    logger = logging.getLogger(LOGGER_NAME)
    logger.disabled = not enabled
    return logger


class AccessLog(AbstractAccessLogger):
    """What aiohttp calls when a response has been sent, or could not be."""

    @property
    def enabled(self) -> bool:
        return not self.logger.disabled and self.logger.isEnabledFor(logging.INFO)

    def log(self, request: web.BaseRequest, response: web.StreamResponse, time: float) -> None:
        """`time` is the duration in seconds; `bytes` counts headers and body as sent."""
        principal = principal_of(request)
        note(
            request.method, request.rel_url.raw_path, request.query.items(), response.status,
            size_bytes=request.writer.output_size,
            duration_s=time,
            account=principal.account if principal is not None else "",
            address=request.remote or "",
            session=request.get(SESSION, ""),
        )  # fmt: skip


def note(
    method: str,
    path: str,
    query: Iterable[tuple[str, str]],
    status: int,
    *,
    size_bytes: int,
    duration_s: float,
    account: str,
    address: str,
    session: str,
) -> None:
    """Write down one response."""
    fields = {
        "method": method,
        "path": path[:_PATH_CHARS_MAX],
        "status": status,
        "bytes": size_bytes,
        "duration_ms": round(duration_s * 1000, 1),
        "account": account,
        "address": address,
        "session": session,
    }
    if _logger.isEnabledFor(logging.DEBUG):
        shown = [(name, value) for name, value in query if not is_token(name)]
        log.debug("request", **fields, query=urlencode(shown))
    elif path not in _QUIET_PATHS:
        log.info("request", **fields)

"""HTTP credentials to a principal."""

from __future__ import annotations

from aiohttp import BasicAuth, hdrs, web

from protocol.diagnostic import Diagnostic
from server.access import Principal
from server.service import Service

REALM = 'Basic realm="Lianmu", charset="UTF-8"'


async def sign_in(service: Service, request: web.Request) -> Principal | Diagnostic:
    """The principal of HTTP Basic credentials; without any, an anonymous one."""
    header = request.headers.get(hdrs.AUTHORIZATION)
    if not header:
        return service.sign_in.anonymous()
    try:
        credentials = BasicAuth.decode(header, encoding="utf-8")
    except ValueError:
        return service.sign_in.malformed()
    return await service.sign_in.sign_in(
        credentials.login, credentials.password, request.remote or ""
    )

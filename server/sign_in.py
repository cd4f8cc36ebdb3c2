"""HTTP credentials to a principal."""

from __future__ import annotations

from collections.abc import Mapping

from aiohttp import BasicAuth, hdrs, web
from multidict import CIMultiDict

from protocol.diagnostic import Diagnostic
from server.access import Principal
from server.service import Service

REALM = 'Basic realm="Lianmu", charset="UTF-8"'


def challenge(request: web.Request) -> CIMultiDict[str]:
    """The headers of a 401 response: how `request` could have been signed in."""
    return CIMultiDict({hdrs.WWW_AUTHENTICATE: REALM})


async def sign_in(
    service: Service, request: web.Request, parameters: Mapping[str, str] | None = None
) -> Principal | Diagnostic:
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

"""HTTP credentials to a principal, and the challenge of a response that refuses them.

Read are HTTP Basic (RFC 7617), an API key as Bearer (RFC 6750) and the token of
SRU's authentication extension, which holds an API key too. What was found is
kept with the request, so that limits, handlers and the log agree on who asks.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from aiohttp import BasicAuth, hdrs, web
from multidict import CIMultiDict

from protocol.diagnostic import Bib1, Diagnostic
from server.access_control import answers
from server.access_control.access import Principal
from server.service import Service

BASIC_CHALLENGE = 'Basic realm="Lianmu", charset="UTF-8"'
BEARER_CHALLENGE = 'Bearer realm="Lianmu"'

# The parameter of info:srw/extension/2/auth-1.0, under which clients know it, and
# of its version 1.1; names of extensions are compared in lower case here.
_TOKEN_PARAMETER = re.compile(r"x-info-2-auth1\.[0-9]-authenticationtoken", re.IGNORECASE)
_TOKEN_CHARS = len("x-info-2-auth1.0-authenticationtoken")
# The same token beside the address, where it stays out of the logs of proxies.
TOKEN_HEADER = "X-SRU-Authentication-Token"  # noqa: S105


class _SignedIn(NamedTuple):
    """What was found: tokens of the address alone, all of them, and whose they are."""

    in_address: frozenset[str]
    tokens: frozenset[str]
    principal: Principal | Diagnostic


_SIGN_IN = web.RequestKey("_SIGN_IN", _SignedIn)


async def sign_in(
    service: Service, request: web.Request, parameters: Mapping[str, str] | None = None
) -> Principal | Diagnostic:
    """The principal of the credentials sent; without any, an anonymous one.

    `parameters` are those of the request where they are not in its address: of
    a form, or extraRequestData. Credentials that are wrong are refused even
    where none are needed, and several kinds at once are refused too.
    """
    known = request.get(_SIGN_IN)
    in_address = known.in_address if known is not None else _tokens(request)
    tokens = in_address | tokens_among(parameters.items()) if parameters else in_address
    if known is None or known.tokens != tokens:
        principal = await _sign_in(service, request, tokens)
        request[_SIGN_IN] = known = _SignedIn(in_address, tokens, principal)
    return known.principal


async def _sign_in(
    service: Service, request: web.Request, tokens: frozenset[str]
) -> Principal | Diagnostic:
    accounts = service.sign_in
    address = request.remote or ""
    header = request.headers.get(hdrs.AUTHORIZATION, "")
    scheme, _, credentials = header.partition(" ")
    if scheme.lower() == "bearer":
        tokens |= {credentials.strip()}
    if len(tokens) > 1 or (tokens and header and scheme.lower() != "bearer"):
        return answers.SEVERAL
    if tokens:
        return accounts.by_key(next(iter(tokens)), address)
    if not header:
        return accounts.without_login(address)
    try:
        basic = BasicAuth.decode(header, encoding="utf-8")
    except ValueError:
        return accounts.malformed()
    return await accounts.sign_in(basic.login, basic.password, address)


def _tokens(request: web.Request) -> frozenset[str]:
    """Those of the address and of the header for them."""
    found = tokens_among(request.query.items())
    header = request.headers.get(TOKEN_HEADER)
    return found | {header} if header else found


def tokens_among(parameters: Iterable[tuple[str, str]]) -> frozenset[str]:
    """The values of the parameters that hold a key."""
    # Asked of every parameter of every request: the length tells nearly all apart.
    return frozenset(
        [
            value
            for name, value in parameters
            if len(name) == _TOKEN_CHARS and value and is_token(name)
        ]
    )


def is_token(parameter: str) -> bool:
    """Whether the value of a parameter of that name is a secret."""
    return _TOKEN_PARAMETER.fullmatch(parameter) is not None


def remember(request: web.Request, principal: Principal) -> None:
    """Keep with the request who it is of, where something else than a header told it.

    For the access log, and for whoever asks `sign_in` of this request again.
    """
    known = request.get(_SIGN_IN)
    in_address = known.in_address if known is not None else _tokens(request)
    tokens = known.tokens if known is not None else frozenset()
    request[_SIGN_IN] = _SignedIn(in_address, tokens, principal)


def principal_of(request: web.BaseRequest) -> Principal | None:
    """Who was found to be asking; None where nobody looked or nobody was let in."""
    known = request.get(_SIGN_IN) if isinstance(request, web.Request) else None
    return known.principal if known and isinstance(known.principal, Principal) else None


def refusal(
    service: Service, request: web.Request, diagnostic: Diagnostic
) -> tuple[int, CIMultiDict[str]]:
    """The status and headers of the response that tells why nobody was let in."""
    if isinstance(diagnostic, answers.Paused):
        return 429, CIMultiDict({hdrs.RETRY_AFTER: str(diagnostic.retry_s)})
    if diagnostic.condition == Bib1.AUTHENTICATION_SYSTEM_ERROR:
        return 503, CIMultiDict()
    if diagnostic.condition in (Bib1.ACCOUNT_EXPIRED, Bib1.BLOCKED_NETWORK_ADDRESS):
        return 403, CIMultiDict()  # other credentials would help as little
    return 401, challenge(request)


def challenge(request: web.Request) -> CIMultiDict[str]:
    """The headers of a 401 response: how `request` could have been signed in.

    A browser that shows a page is asked for a password. A script in one is
    not: its user did not mean to see a dialogue, and the script has a key or
    asks for one itself. Any other client is told both ways.
    """
    headers: CIMultiDict[str] = CIMultiDict()
    for each in _challenges(request):
        headers.add(hdrs.WWW_AUTHENTICATE, each)
    return headers


def _challenges(request: web.Request) -> Iterable[str]:
    bearer = BEARER_CHALLENGE
    scheme = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")[0].lower()
    if scheme == "bearer":
        # RFC 6750 §3.1: only who sent a key is told that it is no good.
        bearer += ', error="invalid_token", error_description="unknown or revoked"'
    if _is_script(request):
        return (bearer,)
    if wants_html(request):
        return (BASIC_CHALLENGE,)
    return (bearer, BASIC_CHALLENGE) if scheme == "bearer" else (BASIC_CHALLENGE, bearer)


def _is_script(request: web.Request) -> bool:
    """A script of a page asks; browsers say so in headers that scripts cannot set."""
    if request.headers.get("X-Requested-With", "").lower() == "xmlhttprequest":
        return True
    mode = request.headers.get("Sec-Fetch-Mode", "")
    return mode in ("cors", "same-origin") and request.headers.get("Sec-Fetch-Dest") == "empty"


def wants_html(request: web.BaseRequest) -> bool:
    """Whether a person with a browser asks, not a program."""
    accept = request.headers.get(hdrs.ACCEPT, "")
    return "text/html" in accept and request.rel_url.query.get("format") != "json"

"""Asks a running server in the ways that SRU clients do."""

from __future__ import annotations

import urllib.error
import urllib.request
from base64 import b64encode
from dataclasses import dataclass
from urllib.parse import urlencode

from lxml import etree

from tests.harness import RunningServer

NAMESPACES = {
    "zs": "http://www.loc.gov/zing/srw/",
    "d": "http://www.loc.gov/zing/srw/diagnostic/",
    "m": "http://www.loc.gov/MARC21/slim",
    "dc": "http://purl.org/dc/elements/1.1/",
    "e": "http://explain.z3950.org/dtd/2.0/",
    "s2": "http://docs.oasis-open.org/ns/search-ws/sruResponse",
    "d2": "http://docs.oasis-open.org/ns/search-ws/diagnostic",
    "scan2": "http://docs.oasis-open.org/ns/search-ws/scan",
    "f": "http://docs.oasis-open.org/ns/search-ws/facetedResults",
    "q": "urn:lianmu:extension:quota",
    "soap": "http://schemas.xmlsoap.org/soap/envelope/",
    "soap12": "http://www.w3.org/2003/05/soap-envelope",
    "u": "info:lc/xmlns/update-v1",
}


@dataclass(frozen=True)
class Answer:
    """`media_type` is without parameters."""

    status: int
    media_type: str
    body: bytes
    challenge: str = ""

    @property
    def root(self) -> etree._Element:
        return etree.fromstring(self.body)

    def texts(self, path: str) -> list[str]:
        """The strings or the texts of elements that `path` selects."""
        return texts(self.root, path)

    @property
    def diagnostics(self) -> list[str]:
        """Numbers of the diagnostics, in every version."""
        found = self.texts("//d:diagnostic/d:uri|//d2:diagnostic/d2:uri")
        return [uri.rpartition("/diagnostic/")[2] for uri in found]


def texts(root: etree._Element, path: str) -> list[str]:
    found = root.xpath(path, namespaces=NAMESPACES)
    assert isinstance(found, list)
    return [str(each if isinstance(each, str) else each.text) for each in found]


def send(
    server: RunningServer,
    path: str,
    body: bytes | None = None,
    *,
    login: str | None = "demo1:demo1",
    **headers: str,
) -> Answer:
    """One request: POST when there is a body. `_` in a header's name stands for `-`."""
    request = urllib.request.Request(f"{server.url}/{path}", data=body)
    for name, value in headers.items():
        request.add_header(name.replace("_", "-"), value)
    if login:
        request.add_header("Authorization", "Basic " + b64encode(login.encode()).decode())
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            return _answer(response.status, response.headers, response.read())
    except urllib.error.HTTPError as error:
        with error:
            return _answer(error.code, error.headers, error.read())


def _answer(status: int, headers: object, body: bytes) -> Answer:
    get = headers.get  # type: ignore[attr-defined]
    media_type = get("Content-Type", "").partition(";")[0]
    return Answer(status, media_type, body, get("WWW-Authenticate", ""))


def get(
    server: RunningServer, path: str, login: str | None = "demo1:demo1", **parameters: str
) -> Answer:
    return send(server, f"{path}?{urlencode(parameters)}", login=login)


def search(
    server: RunningServer,
    path: str,
    query: str,
    login: str | None = "demo1:demo1",
    **parameters: str,
) -> Answer:
    """A searchRetrieve of 1.2 unless `version` says otherwise."""
    given = {"version": "1.2", "operation": "searchRetrieve", "query": query, **parameters}
    answer = get(server, path, login, **given)
    assert answer.status == 200, answer.body
    return answer


def form(
    server: RunningServer, path: str, login: str | None = "demo1:demo1", **parameters: str
) -> Answer:
    return send(
        server, path, urlencode(parameters).encode(), login=login,
        Content_Type="application/x-www-form-urlencoded",
    )  # fmt: skip


def soap(
    server: RunningServer,
    path: str,
    content: str,
    login: str | None = "demo1:demo1",
    *,
    version: str = "soap",
) -> Answer:
    """`content` in an envelope of 1.1, or of 1.2 when `version` is "soap12"."""
    body = (
        f'<E:Envelope xmlns:E="{NAMESPACES[version]}"><E:Body>{content}</E:Body></E:Envelope>'
    ).encode()
    media_type = "text/xml" if version == "soap" else "application/soap+xml"
    return send(server, path, body, login=login, Content_Type=f"{media_type}; charset=utf-8")

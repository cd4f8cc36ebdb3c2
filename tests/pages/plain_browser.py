"""A browser without JavaScript or style: cookies, redirects, links and forms."""

from __future__ import annotations

import http.cookiejar
import urllib.error
import urllib.request
from collections.abc import Iterable
from dataclasses import dataclass
from email.message import Message
from urllib.parse import urlencode, urljoin, urlsplit

from lxml import etree, html

from tests.harness import RunningServer

ACCEPT = "text/html,application/xhtml+xml,application/xml;q=0.9,image/webp,*/*;q=0.8"


@dataclass
class Page:
    """What came back. `url` is where redirects led."""

    status: int
    url: str
    headers: Message
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def tree(self) -> html.HtmlElement:
        return html.fromstring(self.body.decode())

    def all(self, path: str) -> list[str]:
        """The texts, blanks made single, of what an XPath finds."""
        found = self.tree.xpath(path)
        assert isinstance(found, list)
        return [
            " ".join((each if isinstance(each, str) else each.text_content()).split())
            for each in found
        ]

    def one(self, path: str) -> str:
        (found,) = self.all(path)
        return found

    def link(self, text: str) -> str:
        """Where the first link with this text leads."""
        for each in self.tree.iter("a"):
            if " ".join(each.text_content().split()) == text:
                return each.get("href", "")
        raise AssertionError(f"no link {text!r} on {self.url}")

    @property
    def hits(self) -> int:
        """How many results the page tells of."""
        told = self.one("//h1[@id='results']").partition(" ")[0].replace(",", "")
        return int(told) if told.isdecimal() else 0


class PlainBrowser:
    """One person's browser at one server."""

    def __init__(self, server: RunningServer, language: str = "en") -> None:
        self.root = server.url
        self.language = language
        self.cookies = http.cookiejar.CookieJar()
        self._opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self.cookies))

    def get(self, path: str = "/", accept: str = ACCEPT, method: str = "GET") -> Page:
        return self._open(urllib.request.Request(urljoin(self.root, path), method=method), accept)

    def post(self, path: str, **fields: str) -> Page:
        request = urllib.request.Request(
            urljoin(self.root, path), data=urlencode(fields).encode(), method="POST"
        )
        return self._open(request, ACCEPT)

    def post_body(
        self, path: str, body: bytes | Iterable[bytes], content_type: str, size: int = 0
    ) -> Page:
        """Send a body; one in pieces goes as they come, and its `size` is said."""
        headers = {"Content-Type": content_type}
        if size:
            headers["Content-Length"] = str(size)
        request = urllib.request.Request(
            urljoin(self.root, path), data=body, method="POST", headers=headers
        )
        return self._open(request, ACCEPT)

    def _open(self, request: urllib.request.Request, accept: str) -> Page:
        request.add_header("Accept", accept)
        request.add_header("Accept-Language", self.language)
        try:
            response = self._opener.open(request, timeout=30)
        except urllib.error.HTTPError as error:
            response = error
        with response:
            return Page(response.status, response.url, response.headers, response.read())

    def submit(self, page: Page, action: str, **changed: str) -> Page:
        """Send a form of `page` as it stands, but for what is `changed`."""
        for form in page.tree.forms:
            if urlsplit(form.action or "").path == action:
                fields = {name: str(value) for name, value in form.form_values()} | changed
                if form.method == "POST":
                    return self.post(form.action, **fields)
                return self.get(f"{form.action}?{urlencode(fields)}")
        raise AssertionError(f"no form for {action} on {page.url}")

    def sign_in(self, account: str, password: str | None = None, path: str = "/") -> Page:
        """Sign in by the form, unless signed in; returns the page that it leads to."""
        page = self.get(f"/-/sign-in?{urlencode({'next': path})}")
        if "/-/sign-in" not in page.url:
            return page
        return self.submit(
            page, "/-/sign-in", account=account, password=account if password is None else password
        )


def outside_references(page: Page) -> list[str]:
    """What a browser would load or send to other hosts by itself."""
    found = []
    for element in page.tree.iter():
        if not isinstance(element.tag, str):
            continue
        found += [element.get(name, "") for name in ("src", "srcset", "action", "data", "poster")]
        if element.tag == "link" and element.get("rel") != "canonical":
            found.append(element.get("href", ""))
    return [each for each in found if each and not each.startswith(("/", "data:,"))]


def active_content(page: Page) -> list[str]:
    """Scripts, handlers, and addresses that would run one."""
    found = [
        etree.tostring(each, encoding="unicode")
        for each in page.tree.iter("script", "iframe", "object", "embed", "svg", "style")
    ]
    for element in page.tree.iter():
        if isinstance(element.tag, str):
            found += [
                f"{element.tag} {name}={value}"
                for name, value in element.attrib.items()
                if name.startswith("on")
                or name == "style"
                or value.strip().lower().startswith(("javascript:", "vbscript:", "data:text"))
                if not (element.tag == "input" and name == "value")
            ]
    return found

"""What scripts in a browser may do: with the session of our pages, and from other sites."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
import requests

from tests.api.client import V1, Client
from tests.api.conftest import api_server
from tests.harness import RunningServer

ORIGIN = "https://library.example.org"
KEYS = f"{V1}/institutions/DEMO1/keys"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    cors = f'[http.cors]\nallowed_origins = ["{ORIGIN}"]\n'
    with api_server(tmp_path_factory.mktemp("browsers"), cors) as running:
        yield running


def signed_in(server: RunningServer) -> tuple[requests.Session, str]:
    """The session of a person who has signed in on a page, and its form token."""
    browser = requests.Session()
    browser.trust_env = False
    form = browser.get(f"{server.url}/-/sign-in", headers={"Accept": "text/html"})
    token = _token(form.text)
    sent = {"account": "demo1", "password": "demo1", "token": token, "next": "/"}
    page = browser.post(f"{server.url}/-/sign-in", data=sent, headers={"Accept": "text/html"})
    assert page.status_code == 200, page.text
    return browser, _token(page.text)


def _token(page: str) -> str:
    found = re.search(r'name="token" value="([^"]+)"', page)
    assert found is not None, page
    return found[1]


def test_a_session_is_good_with_its_token_alone(server: RunningServer) -> None:
    browser, token = signed_in(server)
    # Other sites can make a browser send its cookie, but cannot know the token.
    assert browser.get(f"{server.url}{V1}/me").status_code == 401
    assert browser.post(f"{server.url}{KEYS}", json={"name": "forged"}).status_code == 401
    wrong = browser.get(f"{server.url}{V1}/me", headers={"X-CSRF-Token": "wrong"})
    assert wrong.status_code == 403
    assert wrong.json()["type"] == "urn:lianmu:problem:session-token"
    browser.headers["X-CSRF-Token"] = token
    assert browser.get(f"{server.url}{V1}/me").json()["account"] == "demo1"
    made = browser.post(f"{server.url}{KEYS}", json={"name": "script"})
    assert made.status_code == 201
    assert "demo1" in server.log.splitlines()[-1]  # the access log knows whose it was
    # A token without a session is nobody's either.
    alone = Client(server.url)("GET", f"{V1}/me", headers={"X-CSRF-Token": token})
    alone.problem(401, "sign-in")


def test_a_script_of_an_allowed_site_may_do_what_its_key_may(server: RunningServer) -> None:
    asked = {
        "Origin": ORIGIN, "Access-Control-Request-Method": "PUT",
        "Access-Control-Request-Headers": "authorization, if-match, idempotency-key",
    }  # fmt: skip
    told = Client(server.url)("OPTIONS", KEYS, headers=asked)
    assert told.status == 204
    assert "PUT" in told.header("Access-Control-Allow-Methods")
    allowed = told.header("Access-Control-Allow-Headers").lower()
    assert {"authorization", "if-match", "idempotency-key"} <= set(allowed.split(", "))
    listed = Client(server.url, ("demo1", "demo1"))("GET", KEYS, headers={"Origin": ORIGIN})
    assert listed.header("Access-Control-Allow-Origin") == ORIGIN
    assert {"ETag", "Link", "Location"} <= set(
        listed.header("Access-Control-Expose-Headers").split(", ")
    )


def test_a_page_of_another_site_is_refused(server: RunningServer) -> None:
    foreign = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}
    member = Client(server.url, ("demo1", "demo1"))
    member("GET", KEYS, headers=foreign).problem(403, "forbidden")
    script = {"Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty", "Sec-Fetch-Site": "same-origin"}
    challenge = Client(server.url)("GET", KEYS, headers=script).header("WWW-Authenticate")
    assert "Basic" not in challenge  # no dialogue in the face of a reader
    assert challenge.startswith("Bearer")

"""Sessions of browsers: what is signed holds, anything else is nobody's."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from server.web.session import COOKIE, KEY_FILE, SESSION_MAX_S, SessionError, WebSessions


class Clock:
    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sessions(tmp_path: Path, clock: Clock) -> WebSessions:
    return WebSessions(tmp_path, clock)


def request(cookie: str) -> web.Request:
    return make_mocked_request("GET", "/", headers={"Cookie": f"{COOKIE}={cookie}"})


def cookie_of(sessions: WebSessions, account: str) -> str:
    response = web.Response()
    sessions.write(response, sessions.begin(account), secure=False)
    return response.cookies[COOKIE].value


def test_every_worker_reads_what_one_wrote(
    sessions: WebSessions, tmp_path: Path, clock: Clock
) -> None:
    cookie = cookie_of(sessions, "demo1")
    read = WebSessions(tmp_path, clock).read(request(cookie))
    assert read is not None
    assert read.account == "demo1"


def test_a_session_ends_after_its_time(sessions: WebSessions, clock: Clock) -> None:
    cookie = cookie_of(sessions, "demo1")
    clock.now += SESSION_MAX_S - 1
    assert sessions.read(request(cookie)) is not None
    clock.now += 1
    assert sessions.read(request(cookie)) is None


def test_what_was_not_signed_here_is_nothing(
    sessions: WebSessions, tmp_path: Path, clock: Clock
) -> None:
    body, _, signature = cookie_of(sessions, "demo1").partition(".")
    other = urlsafe_b64encode(b'{"account":"admin","nonce":"x","expires_s":9999999999}').decode()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for forged in (
        "", ".", body, f"{body}.", f"{body}.{signature[:-2]}xx", f"{other}.{signature}",
        f"{body}x.{signature}", "x" * 5000, cookie_of(WebSessions(elsewhere, clock), "demo1"),
    ):  # fmt: skip
        assert sessions.read(request(forged)) is None, forged


def test_a_form_token_is_no_session_and_a_session_no_form_token(sessions: WebSessions) -> None:
    session = sessions.begin("demo1")
    token = sessions.form_token(session)
    assert sessions.is_form_token(session, token)
    body, _, signature = cookie_of(sessions, "demo1").partition(".")
    assert sessions.read(request(f"{body}.{token}")) is None
    for wrong in ("", signature, token[:-1], None, 1, "é"):
        assert not sessions.is_form_token(session, wrong)
    assert not sessions.is_form_token(None, token)


def test_signing_in_makes_former_form_tokens_useless(sessions: WebSessions) -> None:
    before = sessions.begin()
    assert not sessions.is_form_token(sessions.begin("demo1"), sessions.form_token(before))


def test_the_cookie_is_out_of_reach_of_scripts_and_of_other_sites(sessions: WebSessions) -> None:
    response = web.Response()
    sessions.write(response, sessions.begin("demo1"), secure=True)
    cookie = response.cookies[COOKIE]
    assert cookie["httponly"]
    assert cookie["secure"]
    assert (cookie["samesite"], cookie["path"]) == ("Lax", "/")
    assert int(cookie["max-age"]) == SESSION_MAX_S


def test_the_key_is_for_this_user_alone(sessions: WebSessions, tmp_path: Path) -> None:
    sessions.form_token(sessions.begin())
    assert (tmp_path / KEY_FILE).stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == [KEY_FILE]


def test_a_key_that_is_too_short_is_refused(sessions: WebSessions, tmp_path: Path) -> None:
    (tmp_path / KEY_FILE).write_bytes(b"short")
    with pytest.raises(SessionError, match="too short"):
        sessions.form_token(sessions.begin())


def test_no_folder_is_an_error_that_names_it(tmp_path: Path) -> None:
    sessions = WebSessions(tmp_path / "nowhere")
    with pytest.raises(SessionError, match="nowhere"):
        sessions.form_token(sessions.begin())

"""Sessions of browsers: what is signed holds, anything else is nobody's."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from server.web.session import (
    COOKIE,
    FLASH_COOKIE,
    KEY_FILE,
    SESSION_IDLE_S,
    SESSION_MAX_S,
    Flash,
    SessionError,
    WebSessions,
)
from store.web_sessions import EndedSessions


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


def used(sessions: WebSessions, cookie: str) -> str:
    """The cookie after a request with it."""
    session = sessions.read(request(cookie))
    assert session is not None
    response = web.Response()
    sessions.keep(response, session, secure=False)
    return response.cookies[COOKIE].value if COOKIE in response.cookies else cookie


def test_every_worker_reads_what_one_wrote(
    sessions: WebSessions, tmp_path: Path, clock: Clock
) -> None:
    cookie = cookie_of(sessions, "demo1")
    read = WebSessions(tmp_path, clock).read(request(cookie))
    assert read is not None
    assert read.account == "demo1"


def test_a_session_ends_after_its_time_though_it_is_used(
    sessions: WebSessions, clock: Clock
) -> None:
    cookie, began = cookie_of(sessions, "demo1"), clock.now
    while clock.now < began + SESSION_MAX_S - SESSION_IDLE_S / 2:
        clock.now += SESSION_IDLE_S / 2
        cookie = used(sessions, cookie)
    clock.now = began + SESSION_MAX_S - 1
    assert sessions.read(request(cookie)) is not None
    clock.now += 1
    assert sessions.read(request(cookie)) is None


def test_a_session_that_is_not_used_ends_sooner(sessions: WebSessions, clock: Clock) -> None:
    cookie = cookie_of(sessions, "demo1")
    clock.now += SESSION_IDLE_S - 1
    kept = used(sessions, cookie)
    clock.now += 1
    assert sessions.read(request(cookie)) is None
    assert sessions.read(request(kept)) is not None


def test_the_use_of_a_session_is_not_written_down_at_every_request(
    sessions: WebSessions, clock: Clock
) -> None:
    session = sessions.read(request(cookie_of(sessions, "demo1")))
    assert session is not None
    for after_s, written in ((0, False), (59, False), (60, True)):
        clock.now += after_s
        response = web.Response()
        sessions.keep(response, session, secure=False)
        assert (COOKIE in response.cookies) is written
        clock.now -= after_s


def test_an_unsigned_visitor_keeps_the_form_token_while_typing(
    sessions: WebSessions, clock: Clock
) -> None:
    cookie = cookie_of(sessions, "")
    clock.now += SESSION_IDLE_S * 2
    assert sessions.read(request(cookie)) is not None


def test_a_session_that_was_ended_is_good_for_no_worker(
    sessions: WebSessions, tmp_path: Path, clock: Clock
) -> None:
    cookie, other = cookie_of(sessions, "demo1"), cookie_of(sessions, "demo1")
    sessions.end(web.Response(), sessions.read(request(cookie)))
    for each in (sessions, WebSessions(tmp_path, clock)):
        assert each.read(request(cookie)) is None
        assert each.read(request(other)) is not None
        each.close()


def test_ended_sessions_are_forgotten_when_they_would_be_over(tmp_path: Path) -> None:
    ended = EndedSessions(tmp_path)
    assert not ended.is_ended("a")
    ended.end("a", until_s=100, now_s=50)
    ended.end("b", until_s=200, now_s=99)
    assert ended.is_ended("a")
    ended.end("c", until_s=300, now_s=100)
    assert [ended.is_ended(nonce) for nonce in "abc"] == [False, True, True]
    ended.close()


def test_a_session_is_of_the_account_as_it_was(sessions: WebSessions) -> None:
    session = sessions.begin("demo1", "hash 0")
    assert "hash" not in session.mark
    assert sessions.is_of(session, "hash 0")
    assert not sessions.is_of(session, "hash 7")
    assert not sessions.is_of(session, "")


def test_what_the_next_page_says_is_for_one_session(sessions: WebSessions) -> None:
    session = sessions.begin("demo1")
    response = web.Response()
    sessions.write_flash(response, Flash(session.nonce, "done", {"count": 2}), secure=True)
    written = response.cookies[FLASH_COOKIE]
    assert (written["httponly"], written["secure"]) == (True, True)
    sent = make_mocked_request("GET", "/", headers={"Cookie": f"{FLASH_COOKIE}={written.value}"})
    flash = sessions.read_flash(sent, session)
    assert flash is not None
    assert (flash.key, flash.values) == ("done", {"count": 2})
    assert sessions.read_flash(sent, sessions.begin("demo1")) is None
    assert sessions.read_flash(request("x"), session) is None


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

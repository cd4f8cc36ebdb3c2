"""The session of a browser: a signed cookie, and tokens that bind a form to it.

A session says which account signed in, when it was last used and until when it
is good at most; it is signed with a key that all workers share, so any of them
reads it and none keeps a list. What is kept is which were ended by signing out.
A session also holds the mark of its account, which another password, removal
and suspension change. Whether the account may still come in is asked anew at
every request. A browser gets a session without an account together with its
first form, so that the token of the sign-in form holds against forged requests
too.
"""

from __future__ import annotations

import contextlib
import hmac
import os
import secrets
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import msgspec
from aiohttp import web

from store.web_sessions import EndedSessions

COOKIE = "lianmu_session"
FLASH_COOKIE = "lianmu_flash"
SESSION_IDLE_S = 1800.0
SESSION_MAX_S = 8 * 3600.0  # a working day
KEY_FILE = "web_session.key"
_KEY_SIZE_BYTES = 32
_COOKIE_CHARS_MAX = 2048
# A session's last use is written down no more often than that.
_SEEN_INTERVAL_S = 60.0
_FLASH_S = 60

_Signed = TypeVar("_Signed")


class SessionError(Exception):
    """The key of the sessions cannot be kept or read; says why."""


@dataclass(frozen=True, slots=True)
class WebSession:
    """`account` is "" before sign-in. Times are seconds since 1970.

    `mark` stands for the state of the account when it signed in.
    """

    account: str
    nonce: str
    expires_s: int
    seen_s: int = 0
    mark: str = ""


@dataclass(frozen=True, slots=True)
class Flash:
    """What the next page says of what was just done: a key of the texts, and its blanks.

    `nonce` is that of the session which is to read it.
    """

    nonce: str
    key: str
    values: dict[str, str | int]
    is_wrong: bool = False


class WebSessions:
    """Makes and reads sessions, with the key kept in `data_dir`."""

    def __init__(
        self,
        data_dir: Path,
        clock: Callable[[], float] = time.time,
        *,
        idle_s: float = SESSION_IDLE_S,
        max_s: float = SESSION_MAX_S,
    ) -> None:
        self._path = data_dir / KEY_FILE
        self._clock = clock
        self._idle_s = idle_s
        self._max_s = max_s
        self._ended = EndedSessions(data_dir)
        self._kept_key = b""

    @property
    def _key(self) -> bytes:
        if not self._kept_key:
            self._kept_key = _shared_key(self._path)
        return self._kept_key

    def begin(self, account: str = "", mark: str = "") -> WebSession:
        """A new session. Signing in begins one, so that nothing of the former is of use.

        `mark` is the `session_mark` of the account.
        """
        now_s = int(self._clock())
        return WebSession(
            account, secrets.token_urlsafe(16), now_s + int(self._max_s), now_s, self._marked(mark)
        )

    def read(self, request: web.Request) -> WebSession | None:
        """The session that a browser sent; None where it is absent, forged or over.

        Raises:
            StoreError: whether it was ended cannot be told.
        """
        session = self._read(request.cookies.get(COOKIE, ""), "session", WebSession)
        if session is None or self.ends_s(session) <= self._clock():
            return None
        if session.account and self._ended.is_ended(session.nonce):
            return None
        return session

    def ends_s(self, session: WebSession) -> float:
        """When it is over if nothing more is asked, in seconds since 1970."""
        if not session.account:
            return session.expires_s
        return min(session.expires_s, session.seen_s + self._idle_s)

    def is_of(self, session: WebSession, mark: str) -> bool:
        """Whether the account is still as it was when the session began."""
        return hmac.compare_digest(session.mark, self._marked(mark))

    def write(self, response: web.StreamResponse, session: WebSession, *, secure: bool) -> None:
        """Give the session to the browser; `secure`: for encrypted connections alone."""
        response.set_cookie(
            COOKIE, self._written("session", session),
            max_age=max(session.expires_s - int(self._clock()), 0),
            path="/", httponly=True, samesite="Lax", secure=secure,
        )  # fmt: skip

    def keep(self, response: web.StreamResponse, session: WebSession, *, secure: bool) -> None:
        """Note in the cookie that the session is in use, unless that was done just now."""
        now_s = int(self._clock())
        if (
            session.account
            and not response.prepared
            and COOKIE not in response.cookies
            and now_s - session.seen_s >= min(_SEEN_INTERVAL_S, self._idle_s / 10)
        ):
            self.write(response, replace(session, seen_s=now_s), secure=secure)

    def end(self, response: web.StreamResponse, session: WebSession | None) -> None:
        """Have the browser forget its session, and make every copy of it good for nothing.

        Waits for the disk: call it off the event loop.

        Raises:
            StoreError: that cannot be written down.
        """
        if session is not None and session.account:
            self._ended.end(session.nonce, session.expires_s, int(self._clock()))
        response.del_cookie(COOKIE, path="/", httponly=True, samesite="Lax")

    def form_token(self, session: WebSession) -> str:
        """What a form of this session sends back."""
        return self._sign("form", f"{session.nonce}.{session.account}")

    def is_form_token(self, session: WebSession | None, token: object) -> bool:
        """Whether a form came from a page of this session."""
        if session is None or not isinstance(token, str):
            return False
        return hmac.compare_digest(token.encode(), self.form_token(session).encode())

    def write_flash(self, response: web.StreamResponse, flash: Flash, *, secure: bool) -> None:
        """Have the next page that this browser asks for say something."""
        response.set_cookie(
            FLASH_COOKIE, self._written("flash", flash), max_age=_FLASH_S,
            path="/", httponly=True, samesite="Lax", secure=secure,
        )  # fmt: skip

    def read_flash(self, request: web.Request, session: WebSession | None) -> Flash | None:
        """What this page is to say, when it is for this session."""
        flash = self._read(request.cookies.get(FLASH_COOKIE, ""), "flash", Flash)
        if flash is None or session is None or flash.nonce != session.nonce:
            return None
        return flash

    def end_flash(self, response: web.StreamResponse) -> None:
        """It was shown."""
        response.del_cookie(FLASH_COOKIE, path="/", httponly=True, samesite="Lax")

    def close(self) -> None:
        self._ended.close()

    def _marked(self, mark: str) -> str:
        """The mark as it may be shown: nothing of the account can be read from it."""
        return self._sign("mark", mark)[:22] if mark else ""

    def _written(self, purpose: str, value: WebSession | Flash) -> str:
        body = _encoded(msgspec.json.encode(value))
        return f"{body}.{self._sign(purpose, body)}"

    def _read(self, text: str, purpose: str, kind: type[_Signed]) -> _Signed | None:
        if not text or len(text) > _COOKIE_CHARS_MAX:
            return None
        body, _, signature = text.partition(".")
        if not hmac.compare_digest(signature.encode(), self._sign(purpose, body).encode()):
            return None
        try:
            return msgspec.json.decode(_decoded(body), type=kind)
        except (ValueError, msgspec.MsgspecError):
            return None

    def _sign(self, purpose: str, text: str) -> str:
        return _encoded(hmac.digest(self._key, f"{purpose}:{text}".encode(), "sha256"))


def _encoded(data: bytes) -> str:
    return urlsafe_b64encode(data).decode().rstrip("=")


def _decoded(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _shared_key(path: Path) -> bytes:
    """The key in `path`; made there by whichever process comes first.

    Raises:
        SessionError: it can be neither read nor written, or is too short.
    """
    try:
        if not path.exists():
            # Whole before it has its name: nobody reads half a key.
            draft = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            try:
                with os.fdopen(descriptor, "wb") as file:
                    file.write(secrets.token_bytes(_KEY_SIZE_BYTES))
                    file.flush()
                    os.fsync(file.fileno())
                with contextlib.suppress(FileExistsError):  # another worker was quicker
                    os.link(draft, path)
            finally:
                draft.unlink()
        key = path.read_bytes()
    except OSError as error:
        raise SessionError(f"{path}: {error}") from None
    if len(key) < _KEY_SIZE_BYTES:
        raise SessionError(f"{path}: too short for a key; remove it to have a new one made")
    return key

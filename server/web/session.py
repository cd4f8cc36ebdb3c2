"""The session of a browser: a signed cookie, and tokens that bind a form to it.

A session says which account signed in, and until when; it is signed with a key
that all workers share, so any of them reads it and none keeps a list. Whether
the account may still come in is asked anew at every request. A browser gets a
session without an account together with its first form, so that the token of
the sign-in form holds against forged requests too.
"""

from __future__ import annotations

import contextlib
import hmac
import os
import secrets
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec
from aiohttp import web

COOKIE = "lianmu_session"
SESSION_MAX_S = 8 * 3600  # a working day
KEY_FILE = "web_session.key"
_KEY_SIZE_BYTES = 32
_COOKIE_CHARS_MAX = 1024


class SessionError(Exception):
    """The key of the sessions cannot be kept or read; says why."""


@dataclass(frozen=True, slots=True)
class WebSession:
    """`account` is "" before sign-in; `expires_s` is in seconds since 1970."""

    account: str
    nonce: str
    expires_s: int


class WebSessions:
    """Makes and reads sessions, with the key kept in `data_dir`."""

    def __init__(self, data_dir: Path, clock: Callable[[], float] = time.time) -> None:
        self._path = data_dir / KEY_FILE
        self._clock = clock
        self._kept_key = b""

    @property
    def _key(self) -> bytes:
        if not self._kept_key:
            self._kept_key = _shared_key(self._path)
        return self._kept_key

    def begin(self, account: str = "") -> WebSession:
        """A new session. Signing in begins one, so that nothing of the former is of use."""
        expires_s = int(self._clock()) + SESSION_MAX_S
        return WebSession(account, secrets.token_urlsafe(16), expires_s)

    def read(self, request: web.Request) -> WebSession | None:
        """The session that a browser sent; None where it is absent, forged or over."""
        text = request.cookies.get(COOKIE, "")
        if not text or len(text) > _COOKIE_CHARS_MAX:
            return None
        body, _, signature = text.partition(".")
        if not hmac.compare_digest(signature.encode(), self._sign("session", body).encode()):
            return None
        try:
            session = msgspec.json.decode(_decoded(body), type=WebSession)
        except (ValueError, msgspec.MsgspecError):
            return None
        return session if session.expires_s > self._clock() else None

    def write(self, response: web.StreamResponse, session: WebSession, *, secure: bool) -> None:
        """Give the session to the browser; `secure`: for encrypted connections alone."""
        body = _encoded(msgspec.json.encode(session))
        response.set_cookie(
            COOKIE, f"{body}.{self._sign('session', body)}",
            max_age=max(session.expires_s - int(self._clock()), 0),
            path="/", httponly=True, samesite="Lax", secure=secure,
        )  # fmt: skip

    def end(self, response: web.StreamResponse) -> None:
        """Have the browser forget its session."""
        response.del_cookie(COOKIE, path="/", httponly=True, samesite="Lax")

    def form_token(self, session: WebSession) -> str:
        """What a form of this session sends back."""
        return self._sign("form", f"{session.nonce}.{session.account}")

    def is_form_token(self, session: WebSession | None, token: object) -> bool:
        """Whether a form came from a page of this session."""
        if session is None or not isinstance(token, str):
            return False
        return hmac.compare_digest(token.encode(), self.form_token(session).encode())

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

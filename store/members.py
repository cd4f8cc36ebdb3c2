"""Institutions, their accounts, passwords and API keys, in `members.sqlite`."""

from __future__ import annotations

import hashlib
import re
import secrets
import sqlite3
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

import argon2

from store.access_rules import AddressRanges, read_ranges, rules_of
from store.audit import UNKNOWN, Origin
from store.member_values import Account, ApiKey, Institution, MemberError
from store.members_migrations import migrate, version_of
from store.rights import FIRST_RIGHTS, MEMBER_RIGHTS, OPERATOR_RIGHTS
from store.snapshot import WalIndex
from store.sqlite import StoreError, statements, transaction

__all__ = ["Account", "ApiKey", "Institution", "MemberError", "Members", "note_key_use"]

SCHEMA_VERSION = 7
# What an institution's system can be pinned to, beside UTF-8 ("").
CHARSETS = ("gb18030", "marc-8")
CODE_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,31}")
VERIFIED_MAX = 4096
# Tells a key from a password at sight, to people and to scanners of leaked secrets.
KEY_PREFIX = "lianmu_"
KEY_SIZE_BYTES = 32

_INSTITUTION = (
    "code, name, status, created_us, charset, reason, ends_us, contact, uploads,"
    " search_in, download_from, sessions_max, addresses_only"
)
_ACCOUNT = "name, institution, password_hash, role, rights, search_in, download_from, sessions_max"
_API_KEY = "key_id, institution, name, created_us, last_used_us, revoked_us, rights"
_Key = TypeVar("_Key", bytes, str)
_Answer = TypeVar("_Answer")
_AccountRow = tuple[str, str | None, str, str, str, str | None, str | None, int | None]


class Members:
    """Reads and changes members; one instance a process, used from one thread.

    With `create`, a missing database is made; otherwise it is opened for
    reading only. One of an earlier version is brought up to date first.

    Raises:
        MemberError: the database is missing, cannot be opened or brought up to
            date, or is of a later version.
    """

    def __init__(self, path: Path, *, create: bool = False) -> None:
        if create:
            path.parent.mkdir(parents=True, exist_ok=True)
        elif not path.exists():
            raise MemberError(f"{path}: no such database; add a member first")
        self._path = path
        try:
            self._open(path, create)
        except sqlite3.DatabaseError as error:
            raise MemberError(f"{path}: {error}") from error
        self._hasher = argon2.PasswordHasher()
        # argon2id takes some 50 ms by design; a client that signs in for each
        # request is recognised by a keyed digest that lives in this process only.
        self._verified: OrderedDict[bytes, None] = OrderedDict()
        self._digest_key = secrets.token_bytes(32)
        self._unknown_hash: str | None = None
        # Who came with which credentials, as long as nothing is committed here:
        # a member that is suspended is suspended for the next request.
        self._header = b""
        self._accounts: dict[bytes, Account] = {}
        self._key_holders: dict[bytes, tuple[ApiKey, Institution]] = {}
        self._named: dict[str, Account] = {}
        self._ranges: dict[str, AddressRanges] = {}

    def _open(self, path: Path, create: bool) -> None:
        if create:
            self._connection = sqlite3.connect(path, isolation_level=None, timeout=30.0)
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._create_schema()
            migrate(self._connection)
        else:
            _bring_up_to_date(path)
            self._connection = sqlite3.connect(
                f"{path.absolute().as_uri()}?mode=ro",
                uri=True,
                isolation_level=None,
                timeout=30.0,
                check_same_thread=False,
            )
        self._connection.execute("PRAGMA foreign_keys = ON")
        version = version_of(self._connection)
        if version != SCHEMA_VERSION:
            self._connection.close()
            raise MemberError(f"{path}: schema version {version}, expected {SCHEMA_VERSION}")
        self._wal_index = WalIndex(self._connection, path)

    def _create_schema(self) -> None:
        with self.transaction():
            if version_of(self._connection) == 0:
                schema = resources.files("store").joinpath("members.sql").read_text("utf-8")
                for statement in statements(schema):
                    self._connection.execute(statement)
                self._connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")

    @property
    def connection(self) -> sqlite3.Connection:
        """For the steps of `store.membership`, which are written with what is here."""
        return self._connection

    @contextmanager
    def transaction(self) -> Iterator[None]:
        try:
            with transaction(self._connection, self._path):
                yield
        except StoreError as error:
            raise MemberError(str(error)) from error

    def close(self) -> None:
        self._connection.close()

    def add_institution(
        self, code: str, name: str, now_us: int, *, status: str = "active", contact: str = ""
    ) -> Institution:
        """Add an institution.

        Raises:
            MemberError: a code that is malformed or taken, or an empty name.
        """
        if not CODE_PATTERN.fullmatch(code):
            raise MemberError(
                f"{code!r} is no institution code: 1 to 32 letters, digits, '-', '_' or '.'"
            )
        if not name.strip():
            raise MemberError("an institution needs a name")
        code = code.upper()
        try:
            self._connection.execute(
                "INSERT INTO institution (code, name, status, created_us, contact)"
                " VALUES (?, ?, ?, ?, ?)",
                (code, name.strip(), status, now_us, contact.strip()),
            )
        except sqlite3.IntegrityError:
            raise MemberError(f"the institution {code} is there already") from None
        return Institution(code, name.strip(), status, now_us, contact=contact.strip())

    def add_account(
        self,
        name: str,
        password: str,
        institution: str | None,
        now_us: int,
        *,
        rights: Sequence[str] | None = None,
    ) -> None:
        """Add an account of `institution`, or of an operator where that is None.

        Without `rights` it has MEMBER_RIGHTS or OPERATOR_RIGHTS.

        Raises:
            MemberError: a name that is malformed or taken, no password, or an
                institution that is not there.
        """
        if not CODE_PATTERN.fullmatch(name):
            raise MemberError(
                f"{name!r} is no account name: 1 to 32 letters, digits, '-', '_' or '.'"
            )
        if not password:
            raise MemberError("an account needs a password")
        role = "operator" if institution is None else "member"
        if institution is not None and self.institution(institution) is None:
            raise MemberError(f"there is no institution {institution}")
        if rights is None:
            rights = OPERATOR_RIGHTS if institution is None else MEMBER_RIGHTS
        try:
            self._connection.execute(
                "INSERT INTO account (name, institution, role, password_hash, created_us, rights)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                (name, institution, role, self._hasher.hash(password), now_us, " ".join(rights)),
            )
        except sqlite3.IntegrityError:
            raise MemberError(f"the account {name} is there already") from None

    def set_password(self, name: str, password: str) -> None:
        """Give an account another password.

        Raises:
            MemberError: no password, or no such account.
        """
        if not password:
            raise MemberError("an account needs a password")
        changed = self._connection.execute(
            "UPDATE account SET password_hash = ? WHERE name = ?",
            (self._hasher.hash(password), name),
        )
        if not changed.rowcount:
            raise MemberError(f"there is no account {name}")

    def add_member(
        self,
        code: str,
        name: str,
        password: str,
        now_us: int,
        *,
        who: str = "",
        origin: Origin = UNKNOWN,
    ) -> Account:
        """Add an active institution with its first account, named as its code in lower case.

        Its agreement runs from now on.
        """
        with self.transaction():
            institution = self.add_institution(code, name, now_us)
            self._connection.execute(
                "INSERT INTO agreement (institution, signed_us, from_us) VALUES (?, ?, ?)",
                (institution.code, now_us, now_us),
            )
            account = institution.code.lower()
            self.add_account(account, password, institution.code, now_us, rights=FIRST_RIGHTS)
            origin.write(
                self._connection, "add", institution.code, now_us, who=who, subject=account,
                after="active",
            )  # fmt: skip
        return Account(institution.code.lower(), institution, "member", FIRST_RIGHTS)

    def set_charset(
        self, code: str, charset: str, now_us: int, *, who: str = "", origin: Origin = UNKNOWN
    ) -> None:
        """Pin the institution's system to one of CHARSETS, or "" to none.

        Raises:
            MemberError: another set, or no such institution.
        """
        if charset and charset not in CHARSETS:
            raise MemberError(f"{charset!r} is none of {', '.join(CHARSETS)}")
        with self.transaction():
            known = self._existing(code)
            self._connection.execute(
                "UPDATE institution SET charset = ? WHERE code = ?", (charset, known.code)
            )
            origin.write(
                self._connection, "charset", known.code, now_us, who=who,
                before=known.charset or "utf-8", after=charset or "utf-8",
            )  # fmt: skip

    def institution(self, code: str) -> Institution | None:
        row = self._connection.execute(
            f"SELECT {_INSTITUTION} FROM institution WHERE code = ?",
            (code,),
        ).fetchone()
        return _institution(row) if row else None

    def institutions(self) -> list[Institution]:
        """All institutions, by code."""
        rows = self._connection.execute(f"SELECT {_INSTITUTION} FROM institution ORDER BY code")
        return [_institution(row) for row in rows]

    def account_names(self) -> dict[str, list[str]]:
        """Account names by institution code, operators under an empty code."""
        names: dict[str, list[str]] = {}
        for institution, name in self._connection.execute(
            "SELECT coalesce(institution, ''), name FROM account ORDER BY name"
        ):
            names.setdefault(institution, []).append(name)
        return names

    def account(self, name: str) -> Account | None:
        """The account of that name, for who is known in some other way than by password."""
        row = self._account_row(name)
        return self._account(row) if row is not None else None

    def kept_account(self, name: str) -> Account | None:
        """As `account`, read again only when anything was written; for who asks all the time."""
        return self._unless_changed(self._named, name, lambda: self.account(name))

    def address_ranges(self) -> AddressRanges:
        """The address ranges of all institutions, read again only when anything was written."""
        kept = self._unless_changed(
            self._ranges, "", lambda: AddressRanges(read_ranges(self._connection))
        )
        assert kept is not None  # noqa: S101 - it is read when it is not kept
        return kept

    def recognise(self, name: str, password: str) -> Account | None:
        """The account, when this process verified the same password before."""
        return self._unless_changed(
            self._accounts,
            self._digest(str(len(name)), name, password),
            lambda: self._recognise(name, password),
        )

    def _recognise(self, name: str, password: str) -> Account | None:
        row = self._account_row(name)
        if row is None or self._digest(row[0], row[2], password) not in self._verified:
            return None
        return self._account(row)

    def state(self) -> bytes:
        """Another than before when anything of the members was written; empty: unknown."""
        return self._wal_index.header()

    def _unless_changed(
        self, kept: dict[_Key, _Answer], key: _Key, read: Callable[[], _Answer | None]
    ) -> _Answer | None:
        """What `read` gives, or gave for `key` since the database was last written to."""
        header = self._wal_index.header()
        if not header or header != self._header:
            self._accounts.clear()
            self._key_holders.clear()
            self._named.clear()
            self._ranges.clear()
            self._header = header  # of before the reading: a commit meanwhile differs
        known = kept.get(key)
        if known is not None:
            return known
        answer = read()
        if answer is not None and len(kept) < VERIFIED_MAX:
            kept[key] = answer
        return answer

    def verify(self, name: str, password: str) -> Account | None:
        """The account whose password this is; None for a wrong one of either.

        Takes some 50 ms of processor by design, for an unknown name too: call
        it off the event loop.
        """
        row = self._account_row(name)
        if row is None:
            if self._unknown_hash is None:
                self._unknown_hash = self._hasher.hash(secrets.token_hex(16))
            self._matches(self._unknown_hash, password)
            return None
        if not self._matches(row[2], password):
            return None
        self._verified[self._digest(row[0], row[2], password)] = None
        if len(self._verified) > VERIFIED_MAX:
            self._verified.popitem(last=False)
        return self._account(row)

    def add_key(
        self,
        code: str,
        name: str,
        now_us: int,
        *,
        rights: Sequence[str] = MEMBER_RIGHTS,
        who: str = "",
        origin: Origin = UNKNOWN,
    ) -> tuple[ApiKey, str]:
        """Make a key for the institution's programs; returns it with its secret.

        The secret is not kept and cannot be shown again.

        Raises:
            MemberError: a name that is malformed or that a good key has, or no
                such institution.
        """
        if not CODE_PATTERN.fullmatch(name):
            raise MemberError(
                f"{name!r} is no name of a key: 1 to 32 letters, digits, '-', '_' or '.'"
            )
        secret, words = KEY_PREFIX + secrets.token_urlsafe(KEY_SIZE_BYTES), " ".join(rights)
        with self.transaction():
            institution = self._existing(code)
            try:
                key_id = self._connection.execute(
                    "INSERT INTO api_key (institution, name, key_hash, created_us, rights)"
                    " VALUES (?, ?, ?, ?, ?)",
                    (institution.code, name, _key_hash(secret), now_us, words),
                ).lastrowid
            except sqlite3.IntegrityError:
                raise MemberError(f"{institution.code} has a key {name} already") from None
            origin.write(
                self._connection, "key add", institution.code, now_us, who=who, subject=name,
                after=words,
            )  # fmt: skip
        made = ApiKey(int(key_id or 0), institution.code, name, now_us, rights=tuple(rights))
        return made, secret

    def revoke_key(
        self, code: str, name: str, now_us: int, *, who: str = "", reason: str = "",
        origin: Origin = UNKNOWN,
    ) -> None:  # fmt: skip
        """Make the institution's key of that name good for nothing, at once.

        Raises:
            MemberError: no such institution, or no good key of that name.
        """
        with self.transaction():
            institution = self._existing(code)
            revoked = self._connection.execute(
                "UPDATE api_key SET revoked_us = ?"
                " WHERE institution = ? AND name = ? AND revoked_us IS NULL RETURNING name, rights",
                (now_us, institution.code, name),
            ).fetchone()
            if revoked is None:
                raise MemberError(f"{institution.code} has no good key {name}")
            origin.write(
                self._connection, "key revoke", institution.code, now_us, who=who, reason=reason,
                subject=revoked[0], before=revoked[1],
            )  # fmt: skip

    def keys(self, code: str) -> list[ApiKey]:
        """The institution's keys, good and revoked, oldest first.

        Raises:
            MemberError: no such institution.
        """
        rows = self._connection.execute(
            f"SELECT {_API_KEY} FROM api_key WHERE institution = ? ORDER BY key_id",
            (self._existing(code).code,),
        )
        return [_api_key(row) for row in rows]

    def key_holder(self, secret: str) -> tuple[ApiKey, Institution] | None:
        """The good key of that secret, and whose it is.

        A point read of microseconds: a key is 256 random bits, which nobody
        finds by trying, so one fast hash guards it as well as a slow one would;
        and without a salt its hash can be looked up.
        """
        key_hash = _key_hash(secret)
        return self._unless_changed(
            self._key_holders, key_hash, lambda: self._read_key_holder(key_hash)
        )

    def _read_key_holder(self, key_hash: bytes) -> tuple[ApiKey, Institution] | None:
        row = self._connection.execute(
            f"SELECT {_API_KEY} FROM api_key WHERE key_hash = ? AND revoked_us IS NULL",
            (key_hash,),
        ).fetchone()
        if row is None:
            return None
        institution = self.institution(row[1])
        assert institution is not None  # noqa: S101 - a foreign key
        return _api_key(row), institution

    def _existing(self, code: str) -> Institution:
        institution = self.institution(code)
        if institution is None:
            raise MemberError(f"there is no institution {code}")
        return institution

    def accounts(self, code: str) -> list[Account]:
        """The accounts of an institution, by name.

        Raises:
            MemberError: no such institution.
        """
        rows = self._connection.execute(
            f"SELECT {_ACCOUNT} FROM account WHERE institution = ? COLLATE NOCASE ORDER BY name",
            (self._existing(code).code,),
        ).fetchall()
        return [self._account(row) for row in rows]

    def _account_row(self, name: str) -> _AccountRow | None:
        row: _AccountRow | None = self._connection.execute(
            f"SELECT {_ACCOUNT} FROM account WHERE name = ?", (name,)
        ).fetchone()
        return row

    def _account(self, row: _AccountRow) -> Account:
        name, code, _, role, rights, search_in, download_from, sessions_max = row
        institution = self.institution(code) if code is not None else None
        access = rules_of(search_in, download_from, sessions_max)
        return Account(name, institution, role, tuple(rights.split()), access)

    def _matches(self, password_hash: str, password: str) -> bool:
        try:
            return self._hasher.verify(password_hash, password)
        except argon2.exceptions.VerifyMismatchError:
            return False

    def _digest(self, *parts: str) -> bytes:
        secret = "\0".join(parts).encode("utf-8", "surrogatepass")
        return hashlib.blake2b(secret, key=self._digest_key, digest_size=32).digest()


def note_key_use(path: Path, key_id: int, now_us: int) -> None:
    """Write down that a key was used; over a connection of its own, from any thread.

    Raises:
        MemberError: the database cannot be written.
    """
    try:
        connection = sqlite3.connect(path, isolation_level=None, timeout=30.0)
        try:
            connection.execute(
                "UPDATE api_key SET last_used_us = max(coalesce(last_used_us, 0), ?)"
                " WHERE key_id = ?",
                (now_us, key_id),
            )
        finally:
            connection.close()
    except sqlite3.OperationalError as error:
        raise MemberError(f"{path}: cannot be written: {error}") from None


def _institution(row: tuple[Any, ...]) -> Institution:
    *values, uploads, search_in, download_from, sessions_max, only = row
    access = rules_of(search_in, download_from, sessions_max, only)
    read = [*values, bool(uploads), access]
    return Institution(*read)


def _api_key(row: tuple[Any, ...]) -> ApiKey:
    values = [*row[:-1], tuple(row[-1].split())]
    return ApiKey(*values)


def _key_hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


def _bring_up_to_date(path: Path) -> None:
    """Migrate a database that is about to be opened for reading only."""
    try:
        connection = sqlite3.connect(path, isolation_level=None, timeout=30.0)
        try:
            migrate(connection)
        finally:
            connection.close()
    except sqlite3.OperationalError as error:
        raise MemberError(f"{path}: cannot be brought up to date: {error}") from None

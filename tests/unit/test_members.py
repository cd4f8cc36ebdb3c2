"""Institutions and accounts: who may be added and who may sign in."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import argon2
import pytest

from store.access_rules import OPEN
from store.audit import AuditRow, Origin, audit_rows
from store.members import MemberError, Members, note_key_use
from store.members_migrations import MIGRATIONS
from store.rights import MEMBER_RIGHTS, OPERATOR_RIGHTS

NOW_US = 1_700_000_000_000_000


@pytest.fixture
def members(tmp_path: Path) -> Iterator[Members]:
    members = Members(tmp_path / "members.sqlite", create=True)
    yield members
    members.close()


def test_a_member_signs_in_with_its_code_in_any_case(members: Members) -> None:
    members.add_member("pku", "Peking University Library", "secret", NOW_US)
    for name in ("pku", "PKU"):
        account = members.verify(name, "secret")
        assert account is not None
        assert account.institution is not None
        assert account.institution.code == "PKU"


@pytest.mark.parametrize(
    ("name", "password"), [("pku", "Secret"), ("pku", ""), ("thu", "secret"), ("", "")]
)
def test_a_wrong_name_or_password_is_no_account(members: Members, name: str, password: str) -> None:
    members.add_member("PKU", "Peking University Library", "secret", NOW_US)
    assert members.verify(name, password) is None


def test_a_verified_password_is_recognised_and_no_other(members: Members) -> None:
    members.add_member("PKU", "Peking University Library", "secret", NOW_US)
    assert members.recognise("pku", "secret") is None
    members.verify("pku", "secret")
    assert members.recognise("pku", "secret") is not None
    assert members.recognise("pku", "other") is None


def test_who_was_recognised_is_looked_up_again_when_anything_was_written(tmp_path: Path) -> None:
    path = tmp_path / "members.sqlite"
    writer = Members(path, create=True)
    writer.add_member("PKU", "Peking University Library", "secret", NOW_US)
    _, key = writer.add_key("PKU", "ILS", NOW_US)
    writer.close()
    reader = Members(path)
    reader.verify("pku", "secret")
    statements: list[str] = []
    reader._connection.set_trace_callback(statements.append)

    def statuses() -> list[str]:
        statements.clear()
        account, holder = reader.recognise("pku", "secret"), reader.key_holder(key)
        assert account is not None
        assert account.institution is not None
        assert holder is not None
        return [account.institution.status, holder[1].status]

    assert statuses() == ["active", "active"]
    assert statements
    assert statuses() == ["active", "active"]
    assert not statements
    # As the command line does: another process, which is alone with the file but for us.
    change = (
        "import sqlite3, sys; connection = sqlite3.connect(sys.argv[1]);"
        "connection.execute('UPDATE institution SET status = ?', (sys.argv[2],));"
        "connection.commit(); connection.close()"
    )
    for status in ("suspended", "active", "ended"):
        subprocess.run([sys.executable, "-c", change, str(path), status], check=True)
        assert statuses() == [status, status]
        assert statements
        assert statuses() == [status, status]
        assert not statements
    reader.close()


def test_a_revoked_key_and_a_changed_password_are_forgotten_at_once(members: Members) -> None:
    members.add_member("PKU", "Peking University Library", "secret", NOW_US)
    _, key = members.add_key("PKU", "ILS", NOW_US)
    members.verify("pku", "secret")
    assert members.recognise("pku", "secret") is not None
    assert members.key_holder(key) is not None
    members.revoke_key("PKU", "ILS", NOW_US)
    members._connection.execute("UPDATE account SET password_hash = 'other'")
    assert members.recognise("pku", "secret") is None
    assert members.key_holder(key) is None


def test_another_process_reads_what_was_added(members: Members, tmp_path: Path) -> None:
    members.add_account("root", "secret", None, NOW_US)
    reader = Members(tmp_path / "members.sqlite")
    account = reader.verify("root", "secret")
    reader.close()
    assert account is not None
    assert (account.role, account.institution) == ("operator", None)


@pytest.mark.parametrize(
    ("code", "name", "password", "message"),
    [
        ("PKU", "Again", "x", "is there already"),
        ("P U", "Name", "x", "no institution code"),
        ("", "Name", "x", "no institution code"),
        ("X" * 33, "Name", "x", "no institution code"),
        ("THU", " ", "x", "needs a name"),
        ("THU", "Name", "", "needs a password"),
    ],
)
def test_a_refused_member_leaves_nothing_behind(
    members: Members, code: str, name: str, password: str, message: str
) -> None:
    members.add_member("PKU", "Peking University Library", "secret", NOW_US)
    with pytest.raises(MemberError, match=message):
        members.add_member(code, name, password, NOW_US)
    assert [institution.code for institution in members.institutions()] == ["PKU"]
    assert members.account_names() == {"PKU": ["pku"]}


def test_a_missing_database_says_so(tmp_path: Path) -> None:
    with pytest.raises(MemberError, match="no such database"):
        Members(tmp_path / "members.sqlite")


def test_an_institution_is_pinned_to_a_character_set_and_freed_again(members: Members) -> None:
    members.add_member("PKU", "Peking University Library", "secret", NOW_US)
    for charset in ("gb18030", "marc-8", ""):
        members.set_charset("pku", charset, NOW_US)
        institution = members.institution("PKU")
        assert institution is not None
        assert institution.charset == charset


@pytest.mark.parametrize(
    ("code", "charset", "message"),
    [("PKU", "big5", "is none of gb18030, marc-8"), ("THU", "gb18030", "no institution THU")],
)
def test_a_pin_that_cannot_be_is_refused(
    members: Members, code: str, charset: str, message: str
) -> None:
    members.add_member("PKU", "Peking University Library", "secret", NOW_US)
    with pytest.raises(MemberError, match=message):
        members.set_charset(code, charset, NOW_US)


VERSION_1 = """
CREATE TABLE institution (
    code TEXT PRIMARY KEY COLLATE NOCASE, name TEXT NOT NULL,
    status TEXT NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'suspended', 'ended')),
    created_us INTEGER NOT NULL
) STRICT;
CREATE TABLE account (
    name TEXT PRIMARY KEY COLLATE NOCASE, institution TEXT REFERENCES institution (code),
    role TEXT NOT NULL CHECK (role IN ('member', 'operator')),
    password_hash TEXT NOT NULL, created_us INTEGER NOT NULL,
    CHECK ((role = 'operator') = (institution IS NULL))
) STRICT;
INSERT INTO institution (code, name, created_us) VALUES ('PKU', 'Peking University Library', 1);
PRAGMA user_version = 1;
"""
VERSION_2 = f"""{VERSION_1}
ALTER TABLE institution ADD COLUMN charset TEXT NOT NULL DEFAULT ''
    CHECK (charset IN ('', 'gb18030', 'marc-8'));
PRAGMA user_version = 2;
"""
VERSION_3 = f"""{VERSION_2}
CREATE TABLE api_key (
    key_id INTEGER PRIMARY KEY,
    institution TEXT NOT NULL COLLATE NOCASE REFERENCES institution (code),
    name TEXT NOT NULL COLLATE NOCASE,
    key_hash BLOB NOT NULL UNIQUE CHECK (length(key_hash) = 32),
    created_us INTEGER NOT NULL, last_used_us INTEGER, revoked_us INTEGER
) STRICT;
CREATE UNIQUE INDEX api_key_name ON api_key (institution, name) WHERE revoked_us IS NULL;
INSERT INTO account VALUES ('pku', 'PKU', 'member', 'hash', 1);
INSERT INTO api_key (institution, name, key_hash, created_us)
    VALUES ('PKU', 'old', zeroblob(32), 1);
PRAGMA user_version = 3;
"""
VERSION_4 = (
    VERSION_3
    + "PRAGMA foreign_keys = OFF; BEGIN;"
    + ";".join(MIGRATIONS[3])
    + """;
INSERT INTO account VALUES ('root', NULL, 'operator', 'hash', 1);
COMMIT;
PRAGMA user_version = 4;
"""
)
VERSION_5 = (
    VERSION_4
    + "PRAGMA foreign_keys = OFF; BEGIN;"
    + ";".join(MIGRATIONS[4])
    + """;
INSERT INTO member_audit
    (at_us, who, action, institution, reason, status_before, status_after)
    VALUES (7, 'li', 'suspend', 'PKU', 'bill open', 'active', 'suspended');
COMMIT;
PRAGMA user_version = 5;
"""
)
VERSION_6 = f"{VERSION_5};{';'.join(MIGRATIONS[5])}; PRAGMA user_version = 6;"


@pytest.mark.parametrize("create", [True, False])
@pytest.mark.parametrize(
    "version",
    [VERSION_1, VERSION_2, VERSION_3, VERSION_4, VERSION_5, VERSION_6],
    ids=["1", "2", "3", "4", "5", "6"],
)
def test_a_database_of_an_earlier_version_is_brought_up_to_date_however_it_is_opened(
    tmp_path: Path, version: str, create: bool
) -> None:
    path = tmp_path / "members.sqlite"
    old = sqlite3.connect(path)
    old.executescript(version)
    old.close()
    members = Members(path, create=create)
    institution = members.institution("pku")
    members.close()
    assert institution is not None
    assert (institution.name, institution.charset) == ("Peking University Library", "")
    # A new database and a migrated one are the same, and take the same keys.
    fresh = Members(tmp_path / "fresh.sqlite", create=True)
    fresh.close()
    assert shape(path) == shape(tmp_path / "fresh.sqlite")
    migrated = Members(path, create=True)
    migrated.add_key("PKU", "ils", NOW_US)
    with pytest.raises(MemberError, match="has a key ILS already"):
        migrated.add_key("PKU", "ILS", NOW_US)
    migrated.close()


@pytest.mark.parametrize("create", [True, False])
def test_who_is_there_before_rights_are_may_do_what_it_could(tmp_path: Path, create: bool) -> None:
    path = tmp_path / "members.sqlite"
    old = sqlite3.connect(path)
    old.executescript(VERSION_4)
    old.close()
    members = Members(path, create=create)
    member, operator, (key,) = members.account("pku"), members.account("root"), members.keys("PKU")
    institution = members.institution("PKU")
    members.close()
    assert member is not None
    assert operator is not None
    assert institution is not None
    assert member.rights == key.rights == MEMBER_RIGHTS
    assert operator.rights == OPERATOR_RIGHTS
    assert institution.uploads is False
    assert institution.access == member.access == OPEN


def test_what_was_audited_before_there_were_addresses_is_still_there(tmp_path: Path) -> None:
    path = tmp_path / "members.sqlite"
    old = sqlite3.connect(path)
    old.executescript(VERSION_5)
    old.close()
    members = Members(path)
    (row,) = audit_rows(members.connection, "pku")
    members.close()
    assert row == AuditRow(1, 7, "li", "suspend", "PKU", "bill open", "active", "suspended")


def shape(path: Path) -> list[object]:
    """Tables with their columns, their foreign keys and their indexes."""
    connection = sqlite3.connect(path)
    try:
        names = connection.execute(
            "SELECT type, name, tbl_name FROM sqlite_schema ORDER BY type, name"
        ).fetchall()
        pragmas = [
            connection.execute(f"PRAGMA {pragma}({name})").fetchall()
            for _, name, _ in names
            for pragma in ("table_info", "foreign_key_list", "index_list", "index_xinfo")
        ]
        return [*names, *pragmas, *connection.execute("PRAGMA user_version")]
    finally:
        connection.close()


def test_a_database_of_a_later_version_is_refused(members: Members, tmp_path: Path) -> None:
    later = sqlite3.connect(tmp_path / "members.sqlite")
    later.execute("PRAGMA user_version = 99")
    later.close()
    with pytest.raises(MemberError, match="schema version 99, expected 7"):
        Members(tmp_path / "members.sqlite")


def test_a_key_stands_for_its_institution_until_it_is_revoked(
    members: Members, tmp_path: Path
) -> None:
    members.add_member("PKU", "Peking University Library", "secret", NOW_US)
    key, secret = members.add_key("pku", "ils", NOW_US)
    assert (key.institution, key.name, key.account) == ("PKU", "ils", "pku+ils")
    reader = Members(tmp_path / "members.sqlite")  # as a worker has it open
    holder = reader.key_holder(secret)
    assert holder is not None
    assert (holder[0].key_id, holder[1].code) == (key.key_id, "PKU")
    members.revoke_key("pku", "ILS", NOW_US + 5)
    assert reader.key_holder(secret) is None
    reader.close()
    (listed,) = members.keys("PKU")
    assert (listed.created_us, listed.last_used_us, listed.revoked_us) == (
        NOW_US, None, NOW_US + 5,
    )  # fmt: skip


def test_keys_are_long_and_different_and_not_kept(members: Members, tmp_path: Path) -> None:
    members.add_member("PKU", "Peking University Library", "secret", NOW_US)
    secrets = {members.add_key("PKU", f"key-{number}", NOW_US)[1] for number in range(20)}
    assert len(secrets) == 20
    assert all(len(secret) == len("lianmu_") + 43 for secret in secrets)
    members.close()
    stored = (tmp_path / "members.sqlite").read_bytes()
    assert not any(secret.removeprefix("lianmu_").encode() in stored for secret in secrets)


@pytest.mark.parametrize("wrong", ["", "lianmu_", "pku", "secret", "\udcff"])
def test_what_is_no_key_stands_for_nobody(members: Members, wrong: str) -> None:
    members.add_member("PKU", "Peking University Library", "secret", NOW_US)
    _, secret = members.add_key("PKU", "ils", NOW_US)
    for each in (wrong, secret[:-1], secret.upper(), secret + " "):
        assert members.key_holder(each) is None


def test_the_name_of_a_revoked_key_is_free_again(members: Members) -> None:
    members.add_member("PKU", "Peking University Library", "secret", NOW_US)
    _, first = members.add_key("PKU", "ils", NOW_US)
    members.revoke_key("PKU", "ils", NOW_US)
    with pytest.raises(MemberError, match="PKU has no good key ils"):
        members.revoke_key("PKU", "ils", NOW_US)
    _, second = members.add_key("PKU", "ils", NOW_US)
    assert members.key_holder(first) is None
    assert members.key_holder(second) is not None
    assert [key.name for key in members.keys("PKU")] == ["ils", "ils"]


@pytest.mark.parametrize(
    ("code", "name", "message"),
    [
        ("THU", "ils", "no institution THU"),
        ("PKU", "", "no name of a key"),
        ("PKU", "a b", "no name of a key"),
        ("PKU", "x" * 33, "no name of a key"),
    ],
)
def test_a_key_that_cannot_be_is_refused(
    members: Members, code: str, name: str, message: str
) -> None:
    members.add_member("PKU", "Peking University Library", "secret", NOW_US)
    with pytest.raises(MemberError, match=message):
        members.add_key(code, name, NOW_US)


def test_the_last_use_of_a_key_never_goes_back(members: Members, tmp_path: Path) -> None:
    members.add_member("PKU", "Peking University Library", "secret", NOW_US)
    key, _ = members.add_key("PKU", "ils", NOW_US)
    for at_us in (NOW_US + 9, NOW_US + 3):
        note_key_use(tmp_path / "members.sqlite", key.key_id, at_us)
    assert members.keys("PKU")[0].last_used_us == NOW_US + 9


def test_keys_and_character_sets_are_audited_with_where_the_change_came_from(
    members: Members,
) -> None:
    origin = Origin("web", "root", "192.0.2.7")
    members.add_member(
        "PKU", "Peking University Library", "secret", NOW_US, who="root", origin=origin
    )
    members.set_charset("pku", "gb18030", NOW_US + 1, who="root", origin=origin)
    members.add_key("pku", "ils", NOW_US + 2, rights=("search",), who="root", origin=origin)
    members.revoke_key("pku", "ILS", NOW_US + 3, who="root", origin=origin)
    rows = list(audit_rows(members.connection))
    assert [
        (row.at_us - NOW_US, row.action, row.subject, row.before, row.after) for row in rows
    ] == [
        (0, "add", "pku", "", "active"),
        (1, "charset", "", "utf-8", "gb18030"),
        (2, "key add", "ils", "", "search"),
        (3, "key revoke", "ils", "search", ""),
    ]
    assert {(row.who, row.account, row.address, row.protocol, row.institution) for row in rows} == {
        ("root", "root", "192.0.2.7", "web", "PKU")
    }


def test_a_change_that_fails_leaves_no_audit_row(members: Members) -> None:
    members.add_member("PKU", "Peking University Library", "secret", NOW_US)
    for change in (
        lambda: members.revoke_key("PKU", "ils", NOW_US),
        lambda: members.set_charset("THU", "gb18030", NOW_US),
        lambda: members.add_key("THU", "ils", NOW_US),
    ):
        with pytest.raises(MemberError):
            change()
    assert [row.action for row in audit_rows(members.connection)] == ["add"]


def test_passwords_are_kept_as_argon2id_of_the_recommended_cost(tmp_path: Path) -> None:
    # In a process of its own: those that tests set are hashed more quickly.
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "from store.members import Members\n"
        "members = Members(Path(sys.argv[1]), create=True)\n"
        "members.add_member('PKU', 'Peking University', 'secret', 1)\n"
        "members.close()\n"
    )
    path = tmp_path / "members.db"
    subprocess.run([sys.executable, "-c", program, path], check=True)
    connection = sqlite3.connect(path)
    (kept,) = connection.execute("SELECT password_hash FROM account").fetchone()
    connection.close()
    parameters = argon2.extract_parameters(kept)
    assert parameters.type is argon2.Type.ID
    # RFC 9106 §4, the second recommendation, for where memory is short.
    assert parameters.memory_cost >= 64 * 1024
    assert parameters.time_cost >= 3
    assert parameters.salt_len >= 16

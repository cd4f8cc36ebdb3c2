"""What brings a database of members of each earlier version to the next."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence

# From where each change came, and what was changed when it was not the institution itself.
AUDIT_OF_EVERYTHING: Sequence[str] = (
    "ALTER TABLE member_audit RENAME COLUMN status_before TO before",
    "ALTER TABLE member_audit RENAME COLUMN status_after TO after",
    *(
        f"ALTER TABLE member_audit ADD COLUMN {column} TEXT NOT NULL DEFAULT ''"
        for column in ("account", "address", "protocol", "subject")
    ),
)

# Which databases, how many sessions at a time and which addresses a member has; NULL is
# all databases, or as many sessions as the configuration says.
ACCESS_RULES: Sequence[str] = (
    *(
        f"ALTER TABLE {table} ADD COLUMN {column}"
        for table in ("institution", "account")
        for column in (
            "search_in TEXT", "download_from TEXT",
            "sessions_max INTEGER CHECK (sessions_max > 0)",
        )
    ),
    "ALTER TABLE institution ADD COLUMN addresses_only INTEGER NOT NULL DEFAULT 0"
    " CHECK (addresses_only IN (0, 1))",
    "CREATE TABLE address_range (range_id INTEGER PRIMARY KEY,"
    " institution TEXT NOT NULL COLLATE NOCASE REFERENCES institution (code),"
    " network TEXT NOT NULL UNIQUE, account TEXT COLLATE NOCASE REFERENCES account (name),"
    " added_us INTEGER NOT NULL) STRICT",
    "CREATE INDEX address_range_of ON address_range (institution, range_id)",
)  # fmt: skip

MIGRATIONS: Mapping[int, Sequence[str]] = {
    1: (
        "ALTER TABLE institution ADD COLUMN charset TEXT NOT NULL DEFAULT ''"
        " CHECK (charset IN ('', 'gb18030', 'marc-8'))",
    ),
    2: (
        "CREATE TABLE api_key (key_id INTEGER PRIMARY KEY,"
        " institution TEXT NOT NULL COLLATE NOCASE REFERENCES institution (code),"
        " name TEXT NOT NULL COLLATE NOCASE,"
        " key_hash BLOB NOT NULL UNIQUE CHECK (length(key_hash) = 32),"
        " created_us INTEGER NOT NULL, last_used_us INTEGER, revoked_us INTEGER) STRICT",
        "CREATE UNIQUE INDEX api_key_name ON api_key (institution, name) WHERE revoked_us IS NULL",
    ),
    # A constraint cannot be changed, so the table is made anew under its name. Who
    # is a member already has signed: its agreement runs since it was added.
    3: (
        "CREATE TABLE institution_4 (code TEXT PRIMARY KEY COLLATE NOCASE, name TEXT NOT NULL,"
        " status TEXT NOT NULL DEFAULT 'active' CHECK (status IN"
        " ('registered', 'signed', 'active', 'warned', 'suspended', 'ended')),"
        " created_us INTEGER NOT NULL,"
        " charset TEXT NOT NULL DEFAULT '' CHECK (charset IN ('', 'gb18030', 'marc-8')),"
        " reason TEXT NOT NULL DEFAULT '', ends_us INTEGER,"
        " contact TEXT NOT NULL DEFAULT '') STRICT",
        "INSERT INTO institution_4 (code, name, status, created_us, charset)"
        " SELECT code, name, status, created_us, charset FROM institution",
        "DROP TABLE institution",
        "ALTER TABLE institution_4 RENAME TO institution",
        "CREATE TABLE agreement (agreement_id INTEGER PRIMARY KEY,"
        " institution TEXT NOT NULL COLLATE NOCASE REFERENCES institution (code),"
        " signed_us INTEGER NOT NULL, from_us INTEGER NOT NULL, ends_us INTEGER) STRICT",
        "CREATE INDEX agreement_of ON agreement (institution, from_us)",
        "INSERT INTO agreement (institution, signed_us, from_us)"
        " SELECT code, created_us, created_us FROM institution WHERE status <> 'ended'",
        "CREATE TABLE activation (token_hash BLOB PRIMARY KEY CHECK (length(token_hash) = 32),"
        " institution TEXT NOT NULL COLLATE NOCASE REFERENCES institution (code),"
        " made_us INTEGER NOT NULL, expires_us INTEGER NOT NULL, used_us INTEGER) STRICT",
        "CREATE TABLE member_audit (seq INTEGER PRIMARY KEY, at_us INTEGER NOT NULL,"
        " who TEXT NOT NULL, action TEXT NOT NULL,"
        " institution TEXT NOT NULL COLLATE NOCASE, reason TEXT NOT NULL,"
        " status_before TEXT NOT NULL, status_after TEXT NOT NULL) STRICT",
        "CREATE INDEX member_audit_of ON member_audit (institution, seq)",
        "CREATE TRIGGER member_audit_is_final BEFORE UPDATE ON member_audit"
        " BEGIN SELECT RAISE(ABORT, 'an audit row is never updated'); END",
        "CREATE TRIGGER member_audit_stays BEFORE DELETE ON member_audit"
        " BEGIN SELECT RAISE(ABORT, 'an audit row is never deleted'); END",
    ),
    # Who could do anything so far may do what accounts are given without a word.
    4: (
        "ALTER TABLE institution ADD COLUMN uploads INTEGER NOT NULL DEFAULT 0"
        " CHECK (uploads IN (0, 1))",
        "ALTER TABLE account ADD COLUMN rights TEXT NOT NULL DEFAULT 'search download holdings'",
        "UPDATE account SET rights = 'search upload manager' WHERE role = 'operator'",
        "ALTER TABLE api_key ADD COLUMN rights TEXT NOT NULL DEFAULT 'search download holdings'",
        "CREATE TABLE certificate (certificate_id INTEGER PRIMARY KEY,"
        " account TEXT NOT NULL COLLATE NOCASE REFERENCES account (name),"
        " language TEXT NOT NULL, level TEXT NOT NULL CHECK (level IN ('basic', 'full')),"
        " issued_us INTEGER NOT NULL, expires_us INTEGER NOT NULL, revoked_us INTEGER) STRICT",
        "CREATE INDEX certificate_of ON certificate (account, language)",
    ),
    5: AUDIT_OF_EVERYTHING,
    6: ACCESS_RULES,
}


def migrate(connection: sqlite3.Connection) -> None:
    """Apply what is missing, once, whichever process comes first."""
    if version_of(connection) not in MIGRATIONS:
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        while (version := version_of(connection)) in MIGRATIONS:
            for statement in MIGRATIONS[version]:
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {version + 1}")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def version_of(connection: sqlite3.Connection) -> int:
    """Which version a database has; 0 is one without anything."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])

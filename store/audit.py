"""The audit of members: who changed what of whom, when, why, and from where.

One row a change, in the transaction of the change, in the table `member_audit` of
`members.sqlite`, whose rows cannot be changed or removed.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Origin:
    """From where a change came.

    `protocol` is "cli" for the command line, "http" for pages and the API, "z3950"
    or "sru", and "" where it is not known. `account` is the account that was signed
    in, "" on the command line; `address` that of the client, or there `login@host`.
    """

    protocol: str = ""
    account: str = ""
    address: str = ""

    def write(
        self,
        connection: sqlite3.Connection,
        step: str,
        institution: str,
        at_us: int,
        *,
        who: str,
        reason: str = "",
        subject: str = "",
        before: str = "",
        after: str = "",
    ) -> None:
        """`write_audit` of a change that came from here."""
        write_audit(
            connection, step, institution, at_us, who=who, reason=reason, account=self.account,
            address=self.address, protocol=self.protocol, subject=subject, before=before,
            after=after,
        )  # fmt: skip


UNKNOWN = Origin()


@dataclass(frozen=True, slots=True)
class AuditRow:
    """One change. `at_us` is UTC, microseconds since 1970.

    `who` is the person: an account's name, or whoever is at the machine.
    `institution` is "" where the consortium itself is concerned. `subject` is
    what was changed, an account or a key; "" is the institution. `before` and
    `after` are a status or what else was and is; "" is nothing.
    """

    seq: int
    at_us: int
    who: str
    action: str
    institution: str
    reason: str
    before: str
    after: str
    account: str = ""
    address: str = ""
    protocol: str = ""
    subject: str = ""


_COLUMNS = (
    "seq, at_us, who, action, institution, reason, before, after, account, address, protocol,"
    " subject"
)


def write_audit(
    connection: sqlite3.Connection,
    step: str,
    institution: str,
    at_us: int,
    *,
    who: str,
    reason: str = "",
    account: str = "",
    address: str = "",
    protocol: str = "",
    subject: str = "",
    before: str = "",
    after: str = "",
) -> None:
    """Write down one change, inside its transaction; what is meant by each, `AuditRow` says.

    Secrets are never given: of a password or a key only that there is another.
    """
    connection.execute(
        "INSERT INTO member_audit (at_us, who, action, institution, reason, before, after,"
        " account, address, protocol, subject) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            at_us, who or account, step, institution, reason.strip(), before, after,
            account, address, protocol, subject,
        ),
    )  # fmt: skip


def audit_rows(
    connection: sqlite3.Connection, institution: str | None = None, *, after: int = 0
) -> Iterator[AuditRow]:
    """The changes of one institution or of all, in order, behind number `after`."""
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM member_audit WHERE seq > ?1 AND (?2 IS NULL OR institution = ?2)"
        " ORDER BY seq",
        (after, institution),
    )
    for row in rows:
        yield AuditRow(*row)


def newest_audit_rows(
    connection: sqlite3.Connection,
    institution: str | None = None,
    who: str | None = None,
    *,
    before: int | None = None,
    limit: int,
) -> list[AuditRow]:
    """The last changes of one institution or of all, by one person or by anybody.

    The newest comes first; `before` is the number of the row to go on before.
    """
    chosen = {"institution = ?": institution, "who = ?": who, "seq < ?": before}
    conditions = [condition for condition, value in chosen.items() if value is not None]
    values = [value for value in chosen.values() if value is not None]
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM member_audit WHERE {' AND '.join(conditions) or '1'}"
        " ORDER BY seq DESC LIMIT ?",
        (*values, limit),
    )
    return [AuditRow(*row) for row in rows]

"""The audit: who changed what of whom, when, why, and from where.

Of members and what belongs to them it is the table `member_audit` of
`members.sqlite`, written in the transaction of the change; its rows cannot be changed
or removed. What is changed in another file is written down there, in the transaction
of that change, and read as the same rows: `server/accounting/audit_trail.py` puts all together.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice


@dataclass(frozen=True, slots=True)
class Origin:
    """From where a change came.

    `protocol` is "cli" for the command line, "load" for `lianmu load --as`, "api",
    "web" for pages and covers, "z3950" or "sru", and "" where it is not known. `account`
    is the account that was signed in, "" on the command line; `address` that of the
    client, or there `login@host`.
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

    `who` is the person: an account's name, or whoever is at the machine; "" is
    nobody, a rule. `institution` is "" where the consortium itself is concerned.
    `subject` is what was changed, an account, a key or a record; "" is the
    institution. `before` and `after` are a status or what else was and is; "" is
    nothing. `seq` numbers the rows of one file and `kind`, one of KINDS.
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

    @property
    def kind(self) -> str:
        """One of KINDS, by the first word of the action."""
        return _KIND_OF.get(self.action.partition(" ")[0], "member")


KINDS = (
    "member", "account", "record", "holdings", "cover", "load", "batch", "credit", "ledger",
    "settlement",
)  # fmt: skip
_KIND_OF = {
    **{kind: kind for kind in KINDS},
    **dict.fromkeys(
        ("operator", "key", "rights", "password", "certificate", "revoke"), "account"
    ),
    "holding": "holdings",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class AuditSelection:
    """Which rows to list; what is None does not matter.

    `account` is one that made the change or was changed. Times are UTC in
    microseconds; `until_us` itself is not in it.
    """

    institution: str | None = None
    account: str | None = None
    since_us: int | None = None
    until_us: int | None = None
    protocol: str | None = None
    kind: str | None = None

    def takes(self, row: AuditRow) -> bool:
        """Whether `row` is one of them; case does not matter in names."""
        if self.account is not None:
            named = (row.account, row.who, row.subject)
            if self.account.casefold() not in {name.casefold() for name in named}:
                return False
        return (
            (self.institution is None or row.institution.upper() == self.institution.upper())
            and (self.since_us is None or row.at_us >= self.since_us)
            and (self.until_us is None or row.at_us < self.until_us)
            and (self.protocol is None or row.protocol == self.protocol)
            and (self.kind is None or row.kind == self.kind)
        )

    @property
    def bounds(self) -> tuple[str | None, int, int]:
        """For SQL over many rows: the institution's code, and the times between which."""
        code = self.institution.upper() if self.institution is not None else None
        since_us = 0 if self.since_us is None else self.since_us
        return code, since_us, _END_US if self.until_us is None else self.until_us


EVERYTHING = AuditSelection()
_END_US = (1 << 63) - 1


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
    selection: AuditSelection = EVERYTHING,
    *,
    before: int | None = None,
    limit: int,
) -> list[AuditRow]:
    """The last rows of a selection in the table of members, the newest first.

    `before` is the number of the row to go on before.
    """
    code, since_us, until_us = selection.bounds
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM member_audit"
        " WHERE (?1 IS NULL OR institution = ?1) AND at_us >= ?2 AND at_us < ?3 AND seq < ?4"
        " ORDER BY seq DESC",
        (code, since_us, until_us, _END_US if before is None else before),
    )
    return list(islice((row for each in rows if selection.takes(row := AuditRow(*each))), limit))

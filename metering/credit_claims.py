"""Claims of credit: made when a record is accepted, decided by rules or operators.

A claim's entries go into the ledger when it is accepted, with the time of the upload, so
they count in its accounting year. What was decided and is not in the ledger yet, because
a crash came between, is posted by the next `post`.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

from metering.author import THE_RULES, Author
from metering.counting import UploadReversal
from metering.credit import Accepted, cover_draft, credit_drafts, reversal_drafts
from metering.entry import Draft, accounting_day
from metering.interface import MeteringError
from metering.ledger import Ledger
from metering.sqlite_scripts import naming_errors_of, run
from metering.tariff import Tariff, tariff_of_year
from metering.tariff_category import Category, Level

SCHEMA_VERSION = 2


class Status(StrEnum):
    PENDING = "pending"  # an operator has to accept it
    CAPPED = "capped"  # beyond what one member is credited in a year
    ACCEPTED = "accepted"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"  # merged away before it was accepted
    REVERSED = "reversed"  # merged away while its credit could be taken back


_naming_errors = partial(naming_errors_of, "the claims of credit")
_OPEN = frozenset({Status.PENDING, Status.CAPPED, Status.REFUSED})


class CreditError(MeteringError):
    """A decision that cannot be made; says why in one line."""


@dataclass(frozen=True, slots=True)
class CreditPolicy:
    """What a consortium credits by itself. Of records worth something; 0: no cap.

    `category_max` are the caps of one category, by its name. `reversal` is the
    ledger's rule for uploads merged away (`CountingRules.upload_reversal`).
    """

    acceptance: Literal["automatic", "operator"] = "automatic"
    records_max: int = 0  # of one member and accounting year
    category_max: Mapping[str, int] = field(default_factory=dict)
    reversal: UploadReversal = "same_year"


@dataclass(frozen=True, slots=True)
class Claim:
    """A claim and its last decision. `worth_fen` is by the tariff of its year."""

    claim_id: int
    catalogue: str
    accepted: Accepted
    year: int
    worth_fen: int
    cover_at_us: int | None  # of a cover that came later
    status: Status
    decided_us: int
    by_whom: str
    reason: str


@dataclass(frozen=True, slots=True)
class Decision:
    """One decision about a claim; `before` is the status until then, "" for a new claim."""

    claim_id: int
    institution: str
    control_number: str
    at_us: int
    before: str
    status: str
    reason: str
    by: Author


_DECISIONS = """
SELECT claim_id, institution, control_number, decision.at_us,
       coalesce(lag(status) OVER (PARTITION BY claim_id ORDER BY decision_id), ''),
       status, reason, by_whom, decision.account, address, protocol
FROM decision JOIN claim USING (claim_id) ORDER BY decision_id
"""
_CLAIM = """
SELECT claim.claim_id, catalogue, record_id, institution, claim.account, database, control_number,
       claim.at_us, year, category, level, detailed_holdings, claim.cover, worth_fen, cover.at_us,
       status, decision.at_us, by_whom, reason
FROM claim JOIN decision ON decision.decision_id = (
    SELECT max(decision_id) FROM decision WHERE decision.claim_id = claim.claim_id
) LEFT JOIN cover ON cover.claim_id = claim.claim_id
"""
# Accepted once, whatever became of it since: the entries belong into the ledger.
_WAS_ACCEPTED = """
EXISTS (SELECT 1 FROM decision AS d WHERE d.claim_id = claim.claim_id AND d.status = 'accepted')
"""
_NOT_POSTED = """
NOT EXISTS (SELECT 1 FROM posted WHERE posted.claim_id = claim.claim_id AND posted.what = '{}')
"""
_TO_POST = {
    "credit": f"{_WAS_ACCEPTED} AND {_NOT_POSTED.format('credit')}",
    "cover": f"{_WAS_ACCEPTED} AND cover.at_us IS NOT NULL AND {_NOT_POSTED.format('cover')}",
    "reversal": f"status = 'reversed' AND {_NOT_POSTED.format('reversal')}",
}


# The same of all claims at once: few are left, and those alone are looked at.
_LEFT = {
    what: f"claim.claim_id IN ({which} EXCEPT SELECT claim_id FROM posted WHERE what = '{what}')"
    for what, which in (
        ("credit", "SELECT claim_id FROM decision WHERE status = 'accepted'"),
        ("cover", "SELECT claim_id FROM cover"),
        ("reversal", "SELECT claim_id FROM decision WHERE status = 'reversed'"),
    )
}


class Credits:
    """The claims in one file beside the ledger. Methods block on the disk."""

    def __init__(
        self,
        path: Path,
        ledger: Ledger,
        *,
        catalogue: str,
        tariffs: Sequence[Tariff],
        policy: CreditPolicy,
        clock: Callable[[], int],
    ) -> None:
        """`catalogue` names the numbering of records; `clock` gives UTC microseconds.

        Raises:
            MeteringError: the file cannot be opened, or a newer program wrote it.
        """
        self._ledger = ledger
        self.catalogue = catalogue
        self._tariffs = tariffs
        self._policy = policy
        self._clock = clock
        with _naming_errors():
            path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = _connect(path)

    def close(self) -> None:
        self._connection.close()

    def submit(self, accepted: Accepted) -> Claim:
        """Claim the credit of a record that was accepted, and decide what rules can decide.

        A record has one claim: for one that has it already, also of another member,
        this is what is there, so it is safe to call again.

        Raises:
            MeteringError: it could not be stored, or not posted; calling again is safe.
        """
        year, _ = accounting_day(accepted.at_us)
        parts = accepted.parts(tariff_of_year(year, self._tariffs))
        worth_fen = sum(part.fen for part in parts)
        with self._transaction():
            claim = self._of_record(accepted.record_id)
            if claim is None:
                cursor = self._connection.execute(
                    "INSERT INTO claim (catalogue, record_id, institution, account, database,"
                    " control_number, at_us, year, category, level, detailed_holdings, cover,"
                    " worth_fen) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    (
                        self.catalogue, accepted.record_id, accepted.institution,
                        accepted.account, accepted.database, accepted.control_number,
                        accepted.at_us, year, accepted.category.value, accepted.level.value,
                        accepted.detailed_holdings, accepted.cover, worth_fen,
                    ),
                )  # fmt: skip
                claim_id = int(cursor.lastrowid or 0)
                status, reason = self._by_rules(accepted, year, worth_fen)
                self._decide(claim_id, status, THE_RULES, reason)
            else:
                claim_id = claim.claim_id
        return self._posted(claim_id)

    def add_cover(self, record_id: int, institution: str, at_us: int) -> Claim | None:
        """A cover image of a record came after it; one counts, from the record's creator.

        None: the record has no claim of this member, or none any more, so the picture
        earns nothing.

        Raises:
            MeteringError: as `submit`.
        """
        with self._transaction():
            claim = self._of_record(record_id)
            if claim is None or claim.accepted.institution != institution:
                return None
            if claim.status in (Status.WITHDRAWN, Status.REVERSED):
                return None  # nothing would take it back any more
            if not claim.accepted.cover:
                self._connection.execute(
                    "INSERT INTO cover (claim_id, at_us) VALUES (?, ?) ON CONFLICT DO NOTHING",
                    (claim.claim_id, at_us),
                )
        return self._posted(claim.claim_id)

    def merged_away(self, record_id: int, into: str, at_us: int) -> Claim | None:
        """A record was merged as a duplicate into that with the control number `into`.

        Its credit is taken back as the ledger's rule says: by default in the
        accounting year of the upload, while later it stays. None: it has no claim.

        Raises:
            MeteringError: as `submit`.
        """
        year, _ = accounting_day(at_us)
        with self._transaction():
            claim = self._of_record(record_id)
            if claim is None:
                return None
            reason = f"merged into {into}"
            if claim.status in _OPEN:
                self._decide(claim.claim_id, Status.WITHDRAWN, THE_RULES, reason, at_us)
            elif claim.status is Status.ACCEPTED and self._is_reversed(claim, year):
                self._decide(claim.claim_id, Status.REVERSED, THE_RULES, reason, at_us)
        return self._posted(claim.claim_id)

    def _is_reversed(self, claim: Claim, year: int) -> bool:
        if self._policy.reversal != "same_year":
            return self._policy.reversal == "always"
        return year == claim.year or (
            claim.cover_at_us is not None and year == accounting_day(claim.cover_at_us)[0]
        )

    def accept(self, claim_id: int, by: Author, *, over_cap: bool = False) -> Claim:
        """Have a claim counted that is pending, capped or refused.

        Raises:
            CreditError: there is no such claim, it is decided for good, or the cap of
                its member is reached and `over_cap` is not given.
            MeteringError: as `submit`.
        """
        with self._transaction():
            claim = self._to_decide(claim_id)
            if not over_cap:
                reason = self._cap_reached(claim.accepted, claim.year, claim.worth_fen)
                if reason:
                    raise CreditError(f"claim {claim_id}: {reason}")
            self._decide(claim_id, Status.ACCEPTED, by, "beyond the cap" if over_cap else "")
        return self._posted(claim_id)

    def refuse(self, claim_id: int, by: Author, reason: str) -> Claim:
        """Have a claim counted nothing. What was accepted is corrected in the ledger instead.

        Raises:
            CreditError: there is no such claim, or it is decided for good.
        """
        with self._transaction():
            self._to_decide(claim_id)
            self._decide(claim_id, Status.REFUSED, by, reason)
        return self.claim(claim_id)

    def claim(self, claim_id: int) -> Claim:
        """Raises CreditError: there is no such claim."""
        for claim in self._claims("claim.claim_id = ?", claim_id):
            return claim
        raise CreditError(f"there is no claim {claim_id}")

    def claims(
        self,
        *,
        institution: str | None = None,
        year: int | None = None,
        status: Status | None = None,
    ) -> Iterator[Claim]:
        """In the order they were made."""
        conditions, values = ["1"], []
        for column, value in (("institution", institution), ("year", year), ("status", status)):
            if value is not None:
                conditions.append(f"{column} = ?")
                values.append(value)
        yield from self._claims(" AND ".join(conditions), *values)

    def decisions(self) -> Iterator[Decision]:
        """Every decision about every claim, the rules' own too, in the order they were made."""
        with _naming_errors():
            rows = self._connection.execute(_DECISIONS).fetchall()
        for row in rows:
            claim_id, institution, number, at_us, before, status, reason, *author = row
            yield Decision(
                claim_id, institution, number, at_us, before, status, reason, Author(*author)
            )

    def post(self, claim_id: int | None = None) -> int:
        """Put into the ledger what was decided and is not there yet; how many entries are new.

        Of one claim, or of all: what a crash left.

        Raises:
            MeteringError: the ledger does not take them; they wait for the next time.
        """
        entries = 0
        for what, condition in _TO_POST.items():
            some = _LEFT[what] if claim_id is None else f"claim.claim_id = {int(claim_id)}"
            for claim in self._claims(f"{some} AND {condition}"):
                outcomes = self._ledger.append(self._drafts(claim, what))
                entries += sum(outcome.value == "created" for outcome in outcomes)
                with self._transaction():
                    self._connection.execute(
                        "INSERT INTO posted (claim_id, what) VALUES (?, ?) ON CONFLICT DO NOTHING",
                        (claim.claim_id, what),
                    )
        return entries

    def _posted(self, claim_id: int) -> Claim:
        self.post(claim_id)
        return self.claim(claim_id)

    def _drafts(self, claim: Claim, what: str) -> Sequence[Draft]:
        tariff = tariff_of_year(claim.year, self._tariffs)
        if what == "credit":
            return credit_drafts(claim.accepted, tariff, catalogue=claim.catalogue)
        if what == "reversal":
            return reversal_drafts(
                claim.catalogue, claim.accepted.record_id, claim.decided_us,
                claim.reason.removeprefix("merged into "),
            )  # fmt: skip
        assert claim.cover_at_us is not None  # noqa: S101 - the query asks for it
        draft = cover_draft(
            claim.accepted, claim.cover_at_us, tariff, catalogue=claim.catalogue
        )  # fmt: skip
        return () if draft is None else (draft,)

    def _by_rules(self, accepted: Accepted, year: int, worth_fen: int) -> tuple[Status, str]:
        if self._policy.acceptance == "operator":
            return Status.PENDING, ""
        reason = self._cap_reached(accepted, year, worth_fen)
        return (Status.CAPPED, reason) if reason else (Status.ACCEPTED, "")

    def _cap_reached(self, accepted: Accepted, year: int, worth_fen: int) -> str:
        """Which cap stands against one more; records worth nothing are never capped."""
        if not worth_fen:
            return ""
        caps: list[tuple[int, str, str]] = [
            (self._policy.records_max, "%", ""),
            (
                self._policy.category_max.get(accepted.category.value, 0),
                accepted.category.value, f" of category {accepted.category.value}",
            ),
        ]  # fmt: skip
        for cap, pattern, kind in caps:
            if cap and self._credited(accepted.institution, year, pattern) >= cap:
                return f"{accepted.institution} has its {cap} credited records{kind} of {year}"
        return ""

    def _credited(self, institution: str, year: int, category: str) -> int:
        row = self._connection.execute(
            f"SELECT count(*) FROM ({_CLAIM} WHERE institution = ? AND year = ?"
            " AND category LIKE ? AND worth_fen > 0 AND status = 'accepted')",
            (institution, year, category),
        ).fetchone()
        return int(row[0])

    def _to_decide(self, claim_id: int) -> Claim:
        claim = self.claim(claim_id)
        if claim.status not in _OPEN:
            raise CreditError(f"claim {claim_id} is {claim.status} already")
        return claim

    def _decide(
        self, claim_id: int, status: Status, by: Author, reason: str, at_us: int | None = None
    ) -> None:
        self._connection.execute(
            "INSERT INTO decision (claim_id, status, at_us, by_whom, reason, account, address,"
            " protocol) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                claim_id, status.value, self._clock() if at_us is None else at_us, by.who, reason,
                by.account, by.address, by.protocol,
            ),
        )  # fmt: skip

    def _of_record(self, record_id: int) -> Claim | None:
        where = "catalogue = ? AND record_id = ?"
        return next(self._claims(where, self.catalogue, record_id), None)

    def _claims(self, where: str, *values: object) -> Iterator[Claim]:
        with _naming_errors():
            rows = self._connection.execute(
                f"{_CLAIM} WHERE {where} ORDER BY claim.claim_id", values
            ).fetchall()
        yield from map(_claim, rows)

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        with _naming_errors():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._connection.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):
                    self._connection.execute("ROLLBACK")
                raise


def _claim(row: Sequence[Any]) -> Claim:
    (
        claim_id, catalogue, record_id, institution, account, database, control_number, at_us,
        year, category, level, detailed_holdings, cover, worth_fen, cover_at_us, status,
        decided_us, by_whom, reason,
    ) = row  # fmt: skip
    accepted = Accepted(
        institution, account, database, record_id, control_number, at_us,
        Category(category), Level(level), bool(detailed_holdings), bool(cover),
    )  # fmt: skip
    return Claim(
        claim_id, catalogue, accepted, year, worth_fen, cover_at_us, Status(status),
        decided_us, by_whom, reason,
    )  # fmt: skip


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=30, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        _create(connection)
    except BaseException:
        connection.close()
        raise
    return connection


_FROM_WHERE = """
ALTER TABLE decision ADD COLUMN account TEXT NOT NULL DEFAULT '';
ALTER TABLE decision ADD COLUMN address TEXT NOT NULL DEFAULT '';
ALTER TABLE decision ADD COLUMN protocol TEXT NOT NULL DEFAULT '';
"""
_MIGRATIONS = (_FROM_WHERE,)  # each from its number to the next


def _create(connection: sqlite3.Connection) -> None:
    if _version(connection) == SCHEMA_VERSION:
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        if _version(connection) == 0:  # nobody was faster
            run(connection, files("metering").joinpath("credit.sql").read_text("utf-8"))
        else:
            for migrate in _MIGRATIONS[_version(connection) - 1 :]:
                run(connection, migrate)
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        with contextlib.suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        raise


def _version(connection: sqlite3.Connection) -> int:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if not 0 <= version <= SCHEMA_VERSION:
        raise MeteringError(
            f"the claims of credit have schema {version}, this program knows {SCHEMA_VERSION}"
        )
    return int(version)

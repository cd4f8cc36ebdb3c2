"""What uploads earn: entries, decisions, caps, covers, reversals, and going on after a crash."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from metering.author import Author
from metering.counting import CountingRules, UploadReversal
from metering.credit import Accepted, cover_draft, credit_drafts, reversal_drafts
from metering.credit_claims import Claim, CreditError, CreditPolicy, Credits, Status
from metering.entry import Entry, Kind
from metering.interface import MeteringError
from metering.ledger import Ledger, Totals
from metering.tariff import BUILT_IN, tariff_of_year
from metering.tariff_category import Category, Level

NOON_US = 1_718_424_000_000_000  # 2024-06-15 in Shanghai
YEAR_US = 366 * 86_400_000_000
CATALOGUE = "catalogue:x"
TARIFF = tariff_of_year(2024)


def accepted(record_id: int = 7, category: str = "chinese", level: str = "full") -> Accepted:
    return Accepted(
        "PKU", "pku01", "cn_cat", record_id, f"CAL{record_id}", NOON_US,
        Category(category), Level(level),
    )  # fmt: skip


ADMIN = Author("admin", "", "root@host", "cli")


class Desk:
    """Claims and a ledger in a folder of a test."""

    def __init__(self, folder: Path, policy: CreditPolicy) -> None:
        self.path = folder / "credit.sqlite"
        rules = CountingRules(upload_reversal=policy.reversal)
        self.ledger = Ledger(folder / "ledger.sqlite", rules=rules)
        self.credits = Credits(
            self.path, self.ledger, catalogue=CATALOGUE, tariffs=BUILT_IN, policy=policy,
            clock=lambda: NOON_US + 1,
        )  # fmt: skip

    def close(self) -> None:
        self.credits.close()
        self.ledger.close()

    def totals(self, year: int = 2024, institution: str = "PKU") -> Totals:
        return self.ledger.totals(year).get(institution, Totals())

    def entries(self) -> list[Entry]:
        assert self.ledger.verify().ok
        return list(self.ledger.entries())


@contextlib.contextmanager
def desk(folder: Path, **policy: object) -> Iterator[Desk]:
    opened = Desk(folder, CreditPolicy(**policy))  # type: ignore[arg-type]
    try:
        yield opened
    finally:
        opened.close()


def test_an_accepted_record_is_one_entry_of_its_category_and_level() -> None:
    (draft,) = credit_drafts(accepted(), TARIFF, catalogue=CATALOGUE)
    assert (draft.id, draft.kind, draft.item) == (
        "upload:catalogue:x:7", Kind.UPLOAD, "upload.chinese.full",
    )  # fmt: skip
    assert (draft.institution, draft.account, draft.database) == ("PKU", "pku01", "cn_cat")
    assert (draft.record_id, draft.control_number, draft.at_us) == (7, "CAL7", NOON_US)
    assert draft.note == "chinese, full level"


def test_a_cover_is_an_entry_of_its_own() -> None:
    french = replace(accepted(category="other", level="basic"), cover=True)
    upload, cover = credit_drafts(french, TARIFF, catalogue=CATALOGUE)
    assert (upload.item, cover.item) == ("upload.other.basic", "cover.other")
    assert (cover.id, cover.kind) == ("cover:catalogue:x:7", Kind.COVER)
    later = cover_draft(replace(french, cover=False), NOON_US + 5, TARIFF, catalogue=CATALOGUE)
    assert later is not None
    assert (later.id, later.at_us) == (cover.id, NOON_US + 5)
    assert cover_draft(accepted(), NOON_US, TARIFF, catalogue=CATALOGUE) is None


def test_a_reversal_names_what_it_takes_back() -> None:
    upload, cover = reversal_drafts(CATALOGUE, 7, NOON_US, "CAL1")
    assert (upload.refers_to, cover.refers_to) == ("upload:catalogue:x:7", "cover:catalogue:x:7")
    assert {upload.kind, cover.kind} == {Kind.UPLOAD_REVERSED}
    assert upload.note == "merged into CAL1"


def test_a_record_is_credited_once_however_often_it_is_submitted(tmp_path: Path) -> None:
    with desk(tmp_path) as at:
        first = at.credits.submit(accepted())
        later = replace(accepted(), at_us=NOON_US + 99, level=Level.BASIC)
        other = replace(accepted(), institution="THU")
        assert at.credits.submit(later) == at.credits.submit(other) == first
        assert (first.status, first.worth_fen, first.year) == (Status.ACCEPTED, 400, 2024)
        assert at.totals().uploads == {"upload.chinese.full": 1}
        assert at.totals(institution="THU") == Totals()
        assert len(at.entries()) == 1


def test_a_japanese_record_is_one_upload_whose_price_settlement_parts(tmp_path: Path) -> None:
    with desk(tmp_path) as at:
        claim = at.credits.submit(accepted(category="japanese"))
        assert claim.worth_fen == 400
        assert at.totals().uploads == {"upload.japanese.full": 1}
        assert TARIFF.shares("upload.japanese.full") == (200, 200)


def test_a_cover_that_comes_later_counts_once_and_from_the_creator(tmp_path: Path) -> None:
    with desk(tmp_path) as at:
        at.credits.submit(accepted(category="other"))
        at.credits.submit(accepted(8, category="chinese"))
        at.credits.submit(replace(accepted(9, category="other"), cover=True))
        assert at.credits.add_cover(7, "THU", NOON_US + 3) is None
        assert at.credits.add_cover(99, "PKU", NOON_US + 3) is None
        for at_us in (NOON_US + 3, NOON_US + 4):
            assert at.credits.add_cover(7, "PKU", at_us) is not None
            at.credits.add_cover(8, "PKU", at_us)
            at.credits.add_cover(9, "PKU", at_us)
        assert at.totals().covers == {"cover.other": 2}


def test_a_record_merged_away_in_its_year_earns_nothing(tmp_path: Path) -> None:
    with desk(tmp_path) as at:
        at.credits.submit(replace(accepted(category="other"), cover=True))
        for _ in range(2):
            claim = at.credits.merged_away(7, "CAL1", NOON_US + 5)
            assert claim is not None
            assert (claim.status, claim.reason) == (Status.REVERSED, "merged into CAL1")
        assert at.totals().uploads == {"upload.other.full": 0}
        assert at.totals().covers == {"cover.other": 0}
        assert len(at.entries()) == 4
        assert at.credits.merged_away(99, "CAL1", NOON_US) is None
        with pytest.raises(CreditError, match="claim 1 is reversed already"):
            at.credits.accept(1, ADMIN)


def test_a_record_merged_away_after_its_year_keeps_its_credit(tmp_path: Path) -> None:
    with desk(tmp_path) as at:
        at.credits.submit(accepted())
        claim = at.credits.merged_away(7, "CAL1", NOON_US + YEAR_US)
        assert claim is not None
        assert claim.status is Status.ACCEPTED
        assert at.totals().uploads == {"upload.chinese.full": 1}
        assert len(at.entries()) == 1


@pytest.mark.parametrize(
    ("rule", "years_later", "status"),
    [
        ("same_year", 0, Status.REVERSED), ("same_year", 1, Status.ACCEPTED),
        ("always", 1, Status.REVERSED), ("never", 0, Status.ACCEPTED),
    ],
)  # fmt: skip
def test_a_claim_is_reversed_when_the_ledgers_rule_takes_it_back(
    tmp_path: Path, rule: UploadReversal, years_later: int, status: Status
) -> None:
    with desk(tmp_path, reversal=rule) as at:
        at.credits.submit(accepted())
        claim = at.credits.merged_away(7, "CAL1", NOON_US + years_later * YEAR_US)
        assert claim is not None
        assert claim.status is status
        taken_back = at.totals(2024 + years_later).uploads.get("upload.chinese.full", 0)
        assert taken_back == {
            ("same_year", 0): 0, ("same_year", 1): 0, ("always", 1): -1, ("never", 0): 1,
        }[rule, years_later]  # fmt: skip


def test_nothing_counts_before_an_operator_accepts_it(tmp_path: Path) -> None:
    with desk(tmp_path, acceptance="operator") as at:
        one, two, three = (at.credits.submit(accepted(n)) for n in (1, 2, 3))
        assert {one.status, two.status, three.status} == {Status.PENDING}
        at.credits.add_cover(1, "PKU", NOON_US + 3)
        assert at.entries() == []
        taken = at.credits.accept(one.claim_id, ADMIN)
        assert (taken.status, taken.by_whom, taken.decided_us) == (
            Status.ACCEPTED, "admin", NOON_US + 1,
        )  # fmt: skip
        at.credits.refuse(two.claim_id, ADMIN, "copied")
        withdrawn = at.credits.merged_away(3, "CAL1", NOON_US)
        assert withdrawn is not None
        assert withdrawn.status is Status.WITHDRAWN
        (entry,) = at.entries()
        assert (entry.control_number, entry.at_us, entry.year) == ("CAL1", NOON_US, 2024)
        for decided in (one.claim_id, three.claim_id):
            with pytest.raises(CreditError, match="already"):
                at.credits.refuse(decided, ADMIN, "late")
        assert at.credits.accept(two.claim_id, ADMIN).status is Status.ACCEPTED
        assert [claim.status for claim in at.credits.claims()] == [
            "accepted", "accepted", "withdrawn",
        ]  # fmt: skip


def test_caps_hold_for_member_year_and_category(tmp_path: Path) -> None:
    with desk(tmp_path, records_max=3, category_max={"western": 1}) as at:

        def status(record: Accepted) -> Status:
            return at.credits.submit(record).status

        assert status(accepted(1, "western")) is Status.ACCEPTED
        capped = at.credits.submit(accepted(2, "western"))
        assert (capped.status, capped.reason) == (
            Status.CAPPED, "PKU has its 1 credited records of category western of 2024",
        )  # fmt: skip
        assert status(accepted(3, "western", "basic")) is Status.ACCEPTED  # worth nothing
        assert status(accepted(4)) is Status.ACCEPTED
        assert status(accepted(5)) is Status.ACCEPTED
        assert status(accepted(6)) is Status.CAPPED
        assert status(replace(accepted(7), institution="THU")) is Status.ACCEPTED
        assert status(replace(accepted(8), at_us=NOON_US + YEAR_US)) is Status.ACCEPTED
        assert at.totals().uploads == {
            "upload.western.full": 1, "upload.western.basic": 1, "upload.chinese.full": 2,
        }  # fmt: skip
        with pytest.raises(CreditError, match="claim 2: PKU has its 3 credited records of 2024"):
            at.credits.accept(capped.claim_id, ADMIN)
        over = at.credits.accept(capped.claim_id, ADMIN, over_cap=True)
        assert (over.status, over.reason) == (Status.ACCEPTED, "beyond the cap")
        at.credits.merged_away(1, "CAL0", NOON_US + 5)  # makes room
        at.credits.merged_away(4, "CAL0", NOON_US + 5)
        assert at.credits.accept(6, ADMIN).status is Status.ACCEPTED


def test_claims_are_listed_by_member_year_and_status(tmp_path: Path) -> None:
    with desk(tmp_path, records_max=1) as at:
        at.credits.submit(accepted(1))
        at.credits.submit(accepted(2))
        at.credits.submit(replace(accepted(3), institution="THU", at_us=NOON_US + YEAR_US))

        def listed(**chosen: object) -> list[int]:
            return [claim.claim_id for claim in at.credits.claims(**chosen)]  # type: ignore[arg-type]

        assert listed() == [1, 2, 3]
        assert listed(institution="PKU") == [1, 2]
        assert listed(year=2025) == [3]
        assert listed(status=Status.CAPPED) == [2]
        assert listed(institution="PKU", year=2025) == []
        with pytest.raises(CreditError, match="there is no claim 4"):
            at.credits.accept(4, ADMIN)


@pytest.mark.parametrize("stored", [False, True])
def test_what_a_crash_left_is_posted_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stored: bool
) -> None:
    """It may come before the ledger has the entry, or between that and the note of it."""
    with desk(tmp_path) as at:
        with monkeypatch.context() as patch:
            append = Ledger.append

            def dying(ledger: Ledger, drafts: object) -> object:
                if stored:
                    append(ledger, drafts)  # type: ignore[arg-type]
                raise MeteringError("the disk is full")

            patch.setattr(Ledger, "append", dying)
            with pytest.raises(MeteringError):
                at.credits.submit(accepted())
        assert len(at.entries()) == stored
    with desk(tmp_path) as at:
        assert at.credits.submit(accepted()).status is Status.ACCEPTED
        assert len(at.entries()) == 1
    with desk(tmp_path) as at:
        assert at.credits.post() == 0


def test_what_a_crash_left_is_found_without_its_claim_being_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with desk(tmp_path) as at:
        with monkeypatch.context() as patch:
            patch.setattr(Credits, "post", lambda *_: 0)
            at.credits.submit(replace(accepted(category="other"), cover=False))
            at.credits.add_cover(7, "PKU", NOON_US + 1)
            at.credits.merged_away(7, "CAL1", NOON_US + 2)
        assert at.entries() == []
        assert at.credits.post() == 4
        assert [entry.kind for entry in at.entries()] == [
            Kind.UPLOAD, Kind.COVER, Kind.UPLOAD_REVERSED, Kind.UPLOAD_REVERSED,
        ]  # fmt: skip
        assert at.totals().uploads == {"upload.other.full": 0}


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE claim SET institution = 'THU'",
        "DELETE FROM claim",
        "UPDATE decision SET status = 'accepted'",
        "DELETE FROM decision",
    ],
)
def test_claims_and_decisions_are_never_changed(tmp_path: Path, statement: str) -> None:
    with desk(tmp_path, acceptance="operator") as at:
        at.credits.submit(accepted())
    connection = sqlite3.connect(tmp_path / "credit.sqlite")
    with contextlib.closing(connection), pytest.raises(sqlite3.IntegrityError, match="is never"):
        connection.execute(statement)


def test_claims_of_a_newer_program_are_refused(tmp_path: Path) -> None:
    with desk(tmp_path):
        pass
    connection = sqlite3.connect(tmp_path / "credit.sqlite")
    connection.execute("PRAGMA user_version = 3")
    connection.close()
    with pytest.raises(MeteringError, match="schema 3, this program knows 2"):
        Desk(tmp_path, CreditPolicy())


def test_claims_of_the_first_version_are_kept_with_decisions_from_nowhere(tmp_path: Path) -> None:
    with desk(tmp_path) as at:
        at.credits.submit(accepted())
    connection = sqlite3.connect(tmp_path / "credit.sqlite")
    for column in ("account", "address", "protocol"):
        connection.execute(f"ALTER TABLE decision DROP COLUMN {column}")
    connection.execute("PRAGMA user_version = 1")
    connection.close()
    with desk(tmp_path) as at:
        (decision,) = at.credits.decisions()
        assert (decision.before, decision.status, decision.by) == ("", "accepted", Author())
        assert at.credits.claim(1).status is Status.ACCEPTED


def test_every_decision_says_by_whom_and_what_was_before(tmp_path: Path) -> None:
    with desk(tmp_path, acceptance="operator") as at:
        at.credits.submit(accepted())
        at.credits.submit(accepted(record_id=8))
        at.credits.refuse(1, ADMIN, "copied")
        at.credits.accept(1, ADMIN)
        told = [
            (each.claim_id, each.before, each.status, each.by) for each in at.credits.decisions()
        ]
    assert told == [
        (1, "", "pending", Author()),
        (2, "", "pending", Author()),
        (1, "pending", "refused", ADMIN),
        (1, "refused", "accepted", ADMIN),
    ]


def test_a_cover_of_a_record_that_was_merged_away_earns_nothing(tmp_path: Path) -> None:
    with desk(tmp_path) as at:
        at.credits.submit(accepted(category=Category.OTHER))
        at.credits.merged_away(7, "X1", NOON_US + 5)
        assert at.credits.add_cover(7, "PKU", NOON_US + 6) is None
        assert at.credits.post() == 0
        assert not [entry for entry in at.entries() if entry.kind is Kind.COVER]


def test_two_processes_make_one_claim(tmp_path: Path) -> None:
    with desk(tmp_path) as one, desk(tmp_path) as two:
        claims: set[Claim] = {at.credits.submit(accepted()) for at in (one, two)}
        assert len(claims) == 1
        assert len(one.entries()) == 1

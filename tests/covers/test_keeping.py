"""Who may give a cover and take it away, what stays after a crash, and what it earns."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from metering.credit_claims import Status
from metering.ledger import Ledger
from protocol.iso2709 import Field, build
from protocol.record import StoredRecord
from server.access_control.principal import ANONYMOUS, Principal
from server.accounting import crediting
from server.accounting.crediting import accepted_record, credit_covers, open_credits, post_credits
from server.config import Config, load_config
from server.covers import keeping
from server.covers.keeping import CoverKeeper, CoverKept, CoverReason, CoverRefused
from server.covers.shelf import Shelf, Size
from server.uploads.upload import Change
from store.audit import Origin
from store.covers import CoverRows
from store.editing import Editor
from store.uploaded import CREDIT_DUE, UploadRows
from store.writer import CatalogueWriter
from tests.covers.pictures import picture

WANG = Principal("wang", "PKU", rights=("upload",))
CHEN = Principal("chen", "THU", rights=("upload",))
ROOT = Principal("root", operator=True, rights=("search", "upload", "manager"))
READER = Principal("reader", "PKU", rights=("search", "download"))
HERE = Origin("web", "wang", "192.0.2.7")
NOON_US = 1_718_424_000_000_000  # 2024-06-15 in Shanghai


class Site:
    def __init__(self, folder: Path) -> None:
        (folder / "config.toml").write_text('[server]\ndata_dir = "data"\n')
        self.config: Config = load_config(folder / "config.toml")
        self.writer = CatalogueWriter(self.config.data_dir, self.config.databases, durable=False)
        self.keeper = CoverKeeper(self.config)

    def record(self, number: str, code: str = "fre") -> StoredRecord:
        marc = build(
            "00000nam0 2200000   450 ",
            [Field("001", number), Field.of("101", "0 ", [("a", code)])],
        )
        stored = self.writer.put("cn_cat", marc)
        assert isinstance(stored, StoredRecord)
        return stored

    def claimed(self, number: str, code: str = "fre") -> StoredRecord:
        """A record that PKU brought, and has the credit of."""
        stored = self.record(number, code)
        with open_credits(self.config) as credits_:
            credits_.submit(accepted_record(self.config, stored, "PKU", "wang", NOON_US))
        return stored

    def kept(self, *arguments: object, **named: object) -> CoverKept:
        outcome = self.keeper.add(*arguments, origin=HERE, **named)  # type: ignore[arg-type]
        assert isinstance(outcome, CoverKept), outcome
        return outcome

    def refused(self, *arguments: object) -> CoverReason:
        outcome = self.keeper.add(*arguments, origin=HERE)  # type: ignore[arg-type]
        assert isinstance(outcome, CoverRefused)
        return outcome.reason

    def files(self) -> list[str]:
        return sorted(path.name for path in self.config.covers_dir.glob("*/*"))

    def covers_credited(self) -> int:
        with contextlib.closing(Ledger(self.config.ledger_path)) as ledger:
            return sum(
                sum(totals.get("PKU").covers.values())  # type: ignore[union-attr]
                for year in (2024, 2025, 2026, 2027)
                if "PKU" in (totals := ledger.totals(year))
            )

    def rows(self) -> contextlib.closing[CoverRows]:
        return contextlib.closing(CoverRows(self.config.covers_path))


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path)
    yield site
    site.writer.close()


def test_a_missing_cover_comes_from_any_uploader_and_another_from_who_brought_it_or_an_operator(
    site: Site,
) -> None:
    record = site.record("r1")
    assert site.refused(ANONYMOUS, record, picture()) is CoverReason.FORBIDDEN
    assert site.refused(READER, record, picture()) is CoverReason.FORBIDDEN
    first = site.kept(CHEN, record, picture())
    assert (first.change, first.cover.institution) == (Change.CREATED, "THU")
    assert site.refused(WANG, record, picture(colour="green")) is CoverReason.NOT_OWN
    own = site.kept(CHEN, record, picture(colour="green"))
    assert own.change is Change.REPLACED
    other = site.kept(ROOT, record, picture(colour="black"))
    assert (other.change, other.cover.institution) == (Change.REPLACED, "")
    assert site.refused(CHEN, record, picture(colour="red")) is CoverReason.NOT_OWN
    taken = site.keeper.remove(CHEN, record, origin=HERE)
    assert isinstance(taken, CoverRefused)
    assert taken.reason is CoverReason.NOT_OWN
    assert "the consortium brought" in taken.english
    gone = site.keeper.remove(ROOT, record, origin=HERE, reason="not this book")
    assert isinstance(gone, CoverKept)
    assert site.files() == []
    again = site.keeper.remove(ROOT, record, origin=HERE)
    assert isinstance(again, CoverRefused)
    assert again.reason is CoverReason.NO_COVER
    with site.rows() as rows:
        told = [
            (each.action, each.who, each.before == "", each.after == "", each.reason)
            for each in rows.audit()
        ]
    assert told == [
        ("cover add", "chen", True, False, ""), ("cover replace", "chen", False, False, ""),
        ("cover replace", "root", False, False, ""),
        ("cover remove", "root", False, True, "not this book"),
    ]  # fmt: skip


def test_the_same_picture_sent_again_changes_nothing(site: Site) -> None:
    record = site.record("r1")
    first = site.kept(WANG, record, picture())
    again = site.kept(WANG, record, picture())
    assert (again.change, again.cover.at_us) == (Change.UNCHANGED, first.cover.at_us)
    with site.rows() as rows:
        assert len(list(rows.audit())) == 1


def test_a_deleted_record_gets_no_cover(site: Site) -> None:
    record = site.record("r1")
    assert site.refused(WANG, replace(record, deleted=True), picture()) is CoverReason.NO_RECORD


def test_files_have_the_names_of_their_content_and_are_shared_until_the_last_record_goes(
    site: Site,
) -> None:
    one, two = site.record("r1"), site.record("r2")
    kept = site.kept(WANG, one, picture()).cover
    site.kept(WANG, two, picture())
    shelf = Shelf(site.config.covers_dir)
    for size, checksum in (
        (Size.FULL, kept.sha256),
        (Size.MEDIUM, kept.medium_sha256),
        (Size.SMALL, kept.small_sha256),
    ):  # fmt: skip
        octets = shelf.path(kept.sha256, kept.format, size).read_bytes()
        assert sha256(octets).hexdigest() == checksum
    assert len(site.files()) == 3
    site.keeper.remove(WANG, one, origin=HERE)
    assert len(site.files()) == 3
    site.keeper.remove(WANG, two, origin=HERE)
    assert site.files() == []


def test_a_crash_between_files_and_row_leaves_files_that_are_swept_and_no_row(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    record = site.record("r1")
    with monkeypatch.context() as broken:
        broken.setattr(CoverRows, "put", crash)
        with pytest.raises(KeyboardInterrupt):
            site.keeper.add(WANG, record, picture(), origin=HERE)
    with site.rows() as rows:
        assert list(rows.covers()) == []
    assert len(site.files()) == 3
    assert site.keeper.sweep() == 0  # they are young: a row may be on its way
    site.kept(WANG, site.record("r2"), picture(colour="green"))
    assert site.keeper.sweep(older_than_s=-1) == 1
    assert len(site.files()) == 3


def test_a_full_disk_is_told_and_changes_nothing(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Shelf, "put", full)
    assert site.refused(WANG, site.record("r1"), picture()) is CoverReason.UNAVAILABLE
    with site.rows() as rows:
        assert list(rows.covers()) == []


def test_a_cover_of_the_records_creator_is_credited_once_whatever_is_sent_again(site: Site) -> None:
    record = site.claimed("r1")
    assert site.kept(WANG, record, picture()).credit == "accepted"
    assert site.covers_credited() == 1
    site.kept(WANG, record, picture(colour="green"))
    site.keeper.remove(WANG, record, origin=HERE)
    site.kept(WANG, record, picture())
    post_credits(site.config)
    assert site.covers_credited() == 1


@pytest.mark.parametrize(
    ("principal", "code", "credit"),
    [
        (CHEN, "fre", "the record earned its institution nothing"),
        (ROOT, "fre", "an operator earns nothing"),
        (WANG, "chi", "a cover of chinese/full earns nothing"),
    ],
)
def test_what_earns_nothing_says_why(
    site: Site, principal: Principal, code: str, credit: str
) -> None:
    record = site.claimed("r1", code)
    assert site.kept(principal, record, picture()).credit.startswith(credit)
    assert site.covers_credited() == 0


def test_a_cover_that_is_there_before_its_records_claim_waits_for_it(site: Site) -> None:
    record = site.record("r1")
    with site.writer.transaction():
        UploadRows(site.writer.connection).add(
            record.record_id, 1, "insert", institution="PKU", account="wang", protocol="sru",
            address="", at_us=NOON_US, credit=CREDIT_DUE,
        )  # fmt: skip
    assert site.kept(WANG, record, picture()).credit == CREDIT_DUE
    assert credit_covers(site.config) == {}
    # What the server does each minute: the record's claim, then the cover's.
    post_credits(site.config)
    assert site.covers_credited() == 1
    with open_credits(site.config) as credits_:
        (claim,) = credits_.claims()
        assert claim.status is Status.ACCEPTED
        assert claim.cover_at_us is not None


def test_a_ledger_that_is_full_keeps_a_cover_due_for_later(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = site.claimed("r1")

    def fail(*_: object) -> None:
        raise crediting.MeteringError("no room")

    with monkeypatch.context() as broken:
        broken.setattr(keeping, "credit_covers", fail)
        assert site.kept(WANG, record, picture()).credit == CREDIT_DUE
    assert site.covers_credited() == 0
    post_credits(site.config)
    assert site.covers_credited() == 1


def test_uploads_that_nobody_came_to_claim_are_claimed_by_and_by(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_us = [NOON_US]
    monkeypatch.setattr(crediting.time, "time_ns", lambda: now_us[0] * 1000)
    record = site.record("r1", "chi")
    with site.writer.transaction():
        UploadRows(site.writer.connection).add(
            record.record_id, 1, "insert", institution="PKU", account="wang", protocol="sru",
            address="", at_us=NOON_US, credit=CREDIT_DUE,
        )  # fmt: skip
    post_credits(site.config)
    with open_credits(site.config) as credits_:
        assert list(credits_.claims()) == []  # the worker that stored it may be at it
    now_us[0] += crediting.CLAIM_GRACE_US + 1
    post_credits(site.config)
    post_credits(site.config)
    with open_credits(site.config) as credits_:
        (claim,) = credits_.claims()
    assert (claim.accepted.institution, claim.worth_fen) == ("PKU", 400)
    assert UploadRows(site.writer.connection).credit_due() == []


def test_a_cover_finds_the_record_that_its_own_was_merged_into(site: Site) -> None:
    keep, away = site.record("keep"), site.record("away")
    site.kept(WANG, away, picture())
    Editor(site.writer).merge(keep.record_id, away.record_id, account="li")
    with site.rows() as rows:
        cover = next(rows.covers())
        found = rows.of_numbers(cover.catalogue, "cn_cat", ["keep", "away"])
        assert found == cover
        assert rows.of_numbers(cover.catalogue, "cn_cat", ["keep"]) is None

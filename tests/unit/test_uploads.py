"""Uploads of every kind over real files: accepted, refused, sent again, credited."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from metering.interface import MeteringError
from metering.ledger import Ledger
from protocol.diagnostic import Diagnostic
from protocol.holdings_fields import take_holdings
from protocol.iso2709 import Field, MarcRecord, build, control_field, parse
from protocol.marcxml import to_marcxml
from protocol.query import Clause
from protocol.record import Database, Holding, MarcFamily, StoredRecord
from server.access_control.access import Principal
from server.accounting import crediting
from server.config import Config, Metering, Server
from server.config import Uploads as Section
from server.uploads.door import Uploads
from server.uploads.upload import Action, Change, Done, Outcome, Reason, Refused, Upload
from server.uploads.uploading import Uploader
from store.accounts import Accounts
from store.catalogue import SqliteCatalogue
from store.editing import Editor
from store.members import Members
from store.rights import MEMBER_RIGHTS
from store.uploaded import UploadRows
from store.writer import CatalogueWriter, now_us
from tests.unit.test_validation import CNMARC_LEADER, record_of

MARC = build(CNMARC_LEADER, record_of(MarcFamily.UNIMARC).fields)
YEAR_US = 366 * 86_400_000_000
RIGHTS = (*MEMBER_RIGHTS, "upload")
SRXX = Principal("srxx", "SRXX", rights=RIGHTS)
PKU = Principal("pku", "PKU", rights=RIGHTS)
OPERATOR = Principal("root", operator=True, rights=("search", "upload", "manager"))


class Site:
    """A data folder with two members, and the uploader over it."""

    def __init__(self, folder: Path) -> None:
        self.config = msgspec.structs.replace(
            Config(), server=Server(data_dir=str(folder)), metering=Metering(fsync=False)
        )
        self.writer = CatalogueWriter(folder, self.config.databases, durable=False)
        self.databases = {each.name: each for each in self.writer.databases}
        self.members = Members(self.config.members_path, create=True)
        for code in ("SRXX", "PKU"):
            self.members.add_member(code, f"Library {code}", "pw", 1)
        self.accounts = Accounts(self.members)
        self.rows = UploadRows(self.writer.connection)
        self.uploader = Uploader(self.config)

    @property
    def cn_cat(self) -> Database:
        return self.databases["cn_cat"]

    def certify(self, account: str, language: str = "chinese", level: str = "full") -> None:
        code = account.upper()
        now = now_us() - 1_000_000
        self.accounts.set_uploads(code, True, now, who="li", reason="agreement")
        self.accounts.certify(account, language, level, now, expires_us=now + YEAR_US, who="li")

    def send(
        self, sent: MarcRecord | None, action: Action = Action.INSERT, /, **more: object
    ) -> Outcome:
        marc = build(sent.leader, sent.fields, oversize=True) if sent is not None else b""
        fields: dict[str, object] = {
            "action": action, "principal": SRXX, "database": self.cn_cat, "record": marc,
            "protocol": "test", "address": "192.0.2.1", **more,
        }  # fmt: skip
        return self.uploader.run(Upload(**fields))  # type: ignore[arg-type]

    def done(self, *arguments: object, **more: object) -> Done:
        outcome = self.send(*arguments, **more)  # type: ignore[arg-type]
        assert isinstance(outcome, Done), outcome
        return outcome

    def refused(self, *arguments: object, **more: object) -> Refused:
        outcome = self.send(*arguments, **more)  # type: ignore[arg-type]
        assert isinstance(outcome, Refused), outcome
        return outcome

    def holdings(self, record: StoredRecord) -> list[Holding]:
        return [row.holding for row in self.writer.merges.holding_rows(record.record_id)]

    def earned(self) -> list[tuple[str, str, str, str]]:
        ledger = Ledger(self.config.ledger_path)
        try:
            return [
                (entry.kind.value, entry.institution, entry.control_number, entry.item)
                for entry in ledger.entries()
            ]
        finally:
            ledger.close()

    def close(self) -> None:
        self.uploader.close()
        self.members.close()
        self.writer.close()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path)
    yield site
    site.close()


def book(*changes: str) -> MarcRecord:
    return record_of(MarcFamily.UNIMARC, *changes)


async def test_a_record_is_stored_numbered_held_and_found_at_once(
    site: Site, tmp_path: Path
) -> None:
    done = site.done(book())
    assert done.change is Change.CREATED
    record = parse(done.record.marc)
    assert record.control_number == done.record.control_number == "lm000000001"
    assert [field.text for field in record.get("035")] == ["  \x1fa(SRXX)012002042862"]
    assert record.get("905") == []
    assert control_field(done.record.marc, "005") > "20260101"
    assert site.holdings(done.record) == [
        Holding("SRXX", 1, "TB301/R481", 2, "", ("0422151", "0422152"))
    ]
    catalogue = SqliteCatalogue(tmp_path)
    for access_point, term in (
        ("title", "材料力学"), ("isbn", "7810248464"), ("control_number", "lm000000001"),
        ("possessing_institution", "SRXX"),
    ):  # fmt: skip
        result = await catalogue.search((site.cn_cat,), Clause(access_point, term), {})
        assert not isinstance(result, Diagnostic)
        assert list(result.ids(1, len(result))) == [1], access_point  # type: ignore[arg-type]
    catalogue.close()
    (row,) = site.rows.of_record(1)
    assert (row.action, row.institution, row.account, row.protocol, row.address) == (
        "insert", "SRXX", "srxx", "test", "192.0.2.1",
    )  # fmt: skip


def test_the_same_record_sent_again_is_one_record_and_one_credit(site: Site) -> None:
    site.certify("srxx")
    first = site.done(book())
    assert first.credit == "accepted"
    # As ISO 2709 with another time, and as MARCXML: still the same.
    again = site.done(book("~005 20200101000000.0"))
    xml = site.done(None, record=to_marcxml(build(book().leader, book().fields)).encode(), xml=True)
    for outcome in (again, xml):
        assert (outcome.change, outcome.record) == (Change.UNCHANGED, first.record)
        assert outcome.credit == "claimed"
    assert site.earned() == [("upload", "SRXX", "lm000000001", "upload.chinese.full")]
    # Of another member it is another upload, and a duplicate.
    other = site.refused(book(), principal=PKU)
    assert other.reason is Reason.DUPLICATE


def test_two_that_send_the_same_at_once_make_one_record(site: Site) -> None:
    other = Uploader(site.config)
    marc = build(book().leader, book().fields)
    upload = Upload(principal=SRXX, database=site.cn_cat, action=Action.INSERT, record=marc)
    outcomes: list[Outcome] = []
    gate = threading.Barrier(2)

    def send(uploader: Uploader) -> None:
        gate.wait()
        outcomes.append(uploader.run(upload))

    threads = [threading.Thread(target=send, args=(each,)) for each in (site.uploader, other)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    other.close()
    changes = sorted(each.change for each in outcomes if isinstance(each, Done))
    assert changes == [Change.CREATED, Change.UNCHANGED]
    assert site.writer.connection.execute("SELECT count(*) FROM record").fetchone() == (1,)


def test_what_is_deleted_and_brought_anew_has_one_credit(site: Site) -> None:
    site.certify("srxx")
    sent = record_of(MarcFamily.UNIMARC)
    first = site.done(sent)
    assert first.credit == "accepted"
    number = first.record.control_number
    assert site.done(None, Action.DELETE, number=number).change is Change.DELETED
    for _ in range(2):  # that of the one before it earned nothing either
        again = site.done(sent)
        assert again.change is Change.CREATED
        assert again.credit == f"it has its credit as {number}, which was deleted" + (
            f" / 已随 {number}（已删除）计酬"
        )
        assert site.done(sent).credit == again.credit
        site.done(None, Action.DELETE, number=again.record.control_number)
    assert [entry[:3] for entry in site.earned()] == [("upload", "SRXX", number)]


def test_a_retry_after_a_crash_before_the_credit_claims_it(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.certify("srxx")

    def fail(config: Config) -> object:
        raise MeteringError("disk full")

    with monkeypatch.context() as broken:
        broken.setattr(crediting, "open_credits", fail)
        assert site.done(book()).credit == "due"
    assert site.done(book()).credit == "accepted"
    assert len(site.earned()) == 1


@pytest.mark.parametrize(
    ("prepare", "told"),
    [
        (lambda site: None, "SRXX does not upload for credit"),
        (lambda site: site.accounts.set_uploads("SRXX", True, 1, who="li", reason="r"),
         "srxx has no good certificate for chinese/full"),
        (lambda site: site.certify("srxx", "western"), "no good certificate for chinese/full"),
        (lambda site: site.certify("srxx", "chinese", "basic"), "no good certificate"),
        (lambda site: (site.certify("srxx"), site.accounts.revoke(1, 2, who="li", reason="r")),
         "no good certificate"),
        (lambda site: (site.certify("srxx"),
                       site.accounts.set_uploads("SRXX", False, 2, who="li", reason="r")),
         "SRXX does not upload for credit"),
    ],
)  # fmt: skip
def test_without_authority_and_certificate_a_record_is_taken_and_earns_nothing(
    site: Site, prepare: Callable[[Site], object], told: str
) -> None:
    prepare(site)
    done = site.done(book("-606"))
    assert (done.change, told in done.credit) == (Change.CREATED, True)
    assert not site.config.credit_path.exists()


def test_an_upload_for_credit_must_have_what_is_mandatory(site: Site) -> None:
    site.certify("srxx")
    refused = site.refused(book("-690"))
    assert refused.reason is Reason.INCOMPLETE
    assert [finding.tag for finding in refused.findings] == ["690"]
    assert site.writer.rows.get(1) is None


def test_a_duplicate_is_refused_with_its_number_until_it_is_confirmed(site: Site) -> None:
    first = site.done(book())
    same = book("~001 other1", "~215   $a355页$d26cm")
    refused = site.refused(same, principal=PKU)
    assert refused.reason is Reason.DUPLICATE
    assert refused.candidates[0].control_number == first.record.control_number
    assert first.record.control_number in refused.text
    confirmed = site.done(same, principal=PKU, confirmed=True)
    assert confirmed.record.control_number == "lm000000002"
    taken = parse(first.record.marc)
    again = site.refused(MarcRecord(taken.leader, taken.fields), principal=PKU)
    assert again.candidates[0].control_number == "lm000000001"


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"principal": Principal("pku", "PKU")}, Reason.FORBIDDEN),
        ({"principal": Principal(rights=("search", "upload"))}, Reason.FORBIDDEN),
        ({"record": b"no record"}, Reason.MALFORMED),
        ({"record": 2 * MARC}, Reason.MALFORMED),
        (
            {
                "record": build(
                    CNMARC_LEADER, [Field("001", "x"), Field.of("905", "  ", [("a", "SRXX")])]
                )
            },
            Reason.MALFORMED,
        ),
        ({"record": b"<record/>", "xml": True}, Reason.MALFORMED),
        ({"record": b"<", "xml": True}, Reason.MALFORMED),
        ({"action": Action.REPLACE, "number": "lm9"}, Reason.UNKNOWN),
        ({"action": Action.DELETE, "number": "lm9"}, Reason.UNKNOWN),
        ({"action": Action.DELETE, "record": b""}, Reason.UNNAMED),
    ],
)
def test_what_cannot_be_is_refused_and_changes_nothing(
    site: Site, more: dict[str, object], reason: Reason
) -> None:
    assert site.refused(book(), **more).reason is reason
    assert site.writer.connection.execute("SELECT count(*) FROM record").fetchone() == (0,)


def test_a_record_that_breaks_its_format_is_refused_with_every_finding(site: Site) -> None:
    refused = site.refused(book("~200 no subfields"))
    assert refused.reason is Reason.INVALID
    assert "200" in refused.text
    assert any(finding.tag == "200" for finding in refused.findings)


def changed(record: StoredRecord, *, title: str = "新题名", stamp: str | None = None) -> MarcRecord:
    """What a cataloguer sends back of a record."""
    fields = [
        each for each in parse(record.marc).fields
        if each.tag != "200" and not (each.tag == "005" and stamp == "")
    ]  # fmt: skip
    fields.append(book(f"~200 1 $a{title}").first("200"))  # type: ignore[arg-type]
    if stamp:
        fields = [replace_text(each, stamp) if each.tag == "005" else each for each in fields]
    return MarcRecord(parse(record.marc).leader, fields)


def replace_text(field: object, text: str) -> object:
    return type(field)("005", text)  # type: ignore[call-arg]


def test_a_replacement_is_of_the_version_that_it_names(site: Site) -> None:
    first = site.done(book()).record
    new = site.done(changed(first), Action.REPLACE)
    assert (new.change, new.record.version) == (Change.REPLACED, 2)
    # The same once more is a retry; another is made from a version that is not the newest.
    assert site.done(changed(first), Action.REPLACE).change is Change.UNCHANGED
    stale = site.refused(changed(first, title="Another"), Action.REPLACE)
    assert stale.reason is Reason.STALE
    assert "version 2" in stale.text
    assert stale.current is not None
    assert stale.current.version == 2
    unnamed = site.refused(changed(first, title="Another", stamp=""), Action.REPLACE)
    assert unnamed.reason is Reason.NO_VERSION
    by_time = (control_field(new.record.marc, "005"),)
    third = site.done(changed(first, title="Third"), Action.REPLACE, based_on=by_time)
    fourth = site.done(changed(first, title="Fourth"), Action.REPLACE, based_on=(3,))
    assert (third.record.version, fourth.record.version) == (3, 4)
    both = (4, "20200101000000.0")
    assert site.refused(changed(first), Action.REPLACE, based_on=both).reason is Reason.STALE


def test_only_who_brought_a_record_and_operators_may_change_it(site: Site) -> None:
    first = site.done(book()).record
    assert site.refused(changed(first), Action.REPLACE, principal=PKU).reason is Reason.NOT_OWN
    assert site.refused(None, Action.DELETE, number="lm000000001", principal=PKU).reason is (
        Reason.NOT_OWN
    )
    colleague = Principal("chen", "SRXX", rights=("upload",))
    assert site.done(changed(first), Action.REPLACE, principal=colleague).record.version == 2
    by_operator = site.done(
        changed(first, title="y"), Action.REPLACE, principal=OPERATOR, based_on=(2,)
    )
    assert by_operator.record.version == 3
    # What came in a file is nobody's but the operators'.
    loaded = site.writer.put("cn_cat", build(book().leader, book("~001 f1").fields))
    assert isinstance(loaded, StoredRecord)
    assert site.refused(changed(loaded), Action.REPLACE).reason is Reason.NOT_OWN
    assert site.done(changed(loaded), Action.REPLACE, principal=OPERATOR).record.version == 2


def test_what_others_hold_is_not_deleted_and_a_retry_of_a_deletion_is_none(site: Site) -> None:
    first = site.done(book()).record
    site.writer.put_holding(Holding("PKU", first.record_id, "T/1"))
    delete = {"number": first.control_number}
    held = site.refused(None, Action.DELETE, **delete)
    assert held.reason is Reason.HELD
    assert "PKU" in held.text
    site.writer.remove_holding("PKU", first.record_id)
    assert site.refused(None, Action.DELETE, based_on=(9,), **delete).reason is Reason.STALE
    assert site.done(None, Action.DELETE, based_on=(1,), **delete).change is Change.DELETED
    assert site.done(None, Action.DELETE, **delete).change is Change.UNCHANGED
    assert site.refused(changed(first), Action.REPLACE).reason is Reason.UNKNOWN
    assert [row.action for row in site.rows.of_record(1)] == ["insert", "delete"]
    # Sent again after that it is a new record.
    assert site.done(book()).record.record_id == 2


def test_an_update_of_a_merged_record_tells_where_it_went(site: Site) -> None:
    keep, away = site.done(book()).record, site.done(book("~001 b"), confirmed=True).record
    Editor(site.writer).merge(keep.record_id, away.record_id, account="op")
    refused = site.refused(changed(away), Action.REPLACE)
    assert refused.reason is Reason.MERGED
    assert keep.control_number in refused.text
    retried = site.done(book("~001 b"))
    assert (retried.change, retried.record.record_id) == (Change.UNCHANGED, keep.record_id)


def test_update_replaces_what_is_there_and_inserts_what_is_not(site: Site) -> None:
    created = site.done(book(), Action.UPDATE)
    assert created.change is Change.CREATED
    assert site.done(changed(created.record), Action.UPDATE).change is Change.REPLACED


def test_a_member_says_only_what_it_holds_itself(site: Site) -> None:
    two = book("+905   $aPKU$sT/9", "+905   $aSRXX$cReading room$b0422153")
    done = site.done(two, principal=replace_rights(SRXX, RIGHTS))
    assert site.holdings(done.record) == [
        Holding("SRXX", 1, "TB301/R481", 3, "Reading room", ("0422151", "0422152", "0422153"))
    ]
    assert "905 of other libraries" in done.notes[0]
    silent = site.done(book("~001 c"), principal=replace_rights(SRXX, ("upload",)), confirmed=True)
    assert site.holdings(silent.record) == []
    assert "no right to holdings" in silent.notes[0]
    # A correction that repeats them changes the holding alone.
    fields = [*parse(done.record.marc).fields, *book("~905   $aSRXX$sNEW").get("905")]
    again = site.done(MarcRecord(two.leader, fields), Action.REPLACE)
    assert again.change is Change.UNCHANGED
    assert [each.call_number for each in site.holdings(done.record)] == ["NEW"]


def replace_rights(principal: Principal, rights: tuple[str, ...]) -> Principal:
    return replace(principal, rights=rights)


def test_holdings_of_marc_21_are_read_from_852() -> None:
    record = record_of(
        MarcFamily.MARC21, "+852   $aPKU$cStacks$hPZ3$i.T88$p100$t2", "+852   $bMain$hX",
    )  # fmt: skip
    rest, holding, others = take_holdings(record, MarcFamily.MARC21, "pku")
    assert holding == Holding("pku", 0, "PZ3 .T88", 2, "Stacks", ("100",))
    assert [field.text for field in rest.get("852")] == ["  \x1fbMain\x1fhX"]
    assert others == []


def test_a_pinned_library_system_sends_its_own_character_set(site: Site) -> None:
    marc = build(book().leader, book("~100   $a20020819d2002    em y0chiy5012    ea").fields)
    gb = marc.decode().encode("gb18030")
    # The lengths of the directory are of octets in UTF-8, so it is mended, not refused.
    pinned = Principal("srxx", "SRXX", charset="gb18030", rights=RIGHTS)
    done = site.done(None, record=gb, principal=pinned)
    assert parse(done.record.marc).first("200").first("a") == "材料力学"  # type: ignore[union-attr]


async def test_uploads_wait_in_a_thread_and_only_so_many(site: Site) -> None:
    config = msgspec.structs.replace(site.config, uploads=Section(waiting_max=2))
    uploads = Uploads(config)
    marc = build(book().leader, book().fields)
    upload = Upload(principal=SRXX, database=site.cn_cat, action=Action.INSERT, record=marc)
    outcomes = await asyncio.gather(*(uploads.apply(upload) for _ in range(5)))
    await asyncio.to_thread(uploads.close)
    told = [each.reason if isinstance(each, Refused) else each.change for each in outcomes]
    assert told == [Change.CREATED, Change.UNCHANGED, Reason.BUSY, Reason.BUSY, Reason.BUSY]


async def test_the_loop_goes_on_while_the_catalogue_is_locked(site: Site) -> None:
    uploads = Uploads(site.config)
    marc = build(book().leader, book().fields)
    upload = Upload(principal=SRXX, database=site.cn_cat, action=Action.INSERT, record=marc)
    await uploads.apply(upload)
    site.writer.connection.execute("BEGIN IMMEDIATE")
    waiting = asyncio.ensure_future(uploads.apply(replace(upload, number="x")))
    slowest_s = 0.0
    for _ in range(20):
        began_s = time.perf_counter()
        await asyncio.sleep(0)
        slowest_s = max(slowest_s, time.perf_counter() - began_s)
    assert not waiting.done()
    site.writer.connection.execute("ROLLBACK")
    assert isinstance(await waiting, Done)
    assert slowest_s < 1.0
    await asyncio.to_thread(uploads.close)

"""Changes of holdings over real files: authorised, found at once, counted, told in full."""

from __future__ import annotations

import asyncio
import csv
import io
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from protocol.holding_statement import HoldingStatement, RecordName
from protocol.holdings_fields import holdings_record
from protocol.iso2709 import build
from protocol.record import Holding, MarcFamily
from server.access_control.principal import ANONYMOUS, Principal
from server.accounting.ledger import Accounting
from server.holdings.batch import BatchRefused
from server.holdings.change import (
    BatchRequest,
    Change,
    Done,
    MarcChange,
    Mode,
    Outcome,
    Reason,
    Refused,
    Summary,
)
from server.holdings.desk import apply_batch
from server.uploads.door import Uploads
from store.holdings_history import HoldingsHistory
from store.rights import MEMBER_RIGHTS
from tests.catalogue_records import book as western
from tests.unit.test_uploads import PKU, SRXX, Site, book

READER = Principal("reader", "SRXX", rights=("search", "download"))


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path)
    for number in range(1, 7):
        marc = book(f"~001 b{number}", f"~010   $a7-{number}", f"~200 1 $aBook {number}")
        site.writer.put("cn_cat", build(marc.leader, marc.fields))
    yield site
    site.close()


def change(number: str, mode: Mode = Mode.PUT, **more: object) -> Change:
    fields: dict[str, object] = {
        "principal": SRXX, "name": RecordName(number), "mode": mode, "protocol": "test",
        "address": "192.0.2.1", **more,
    }  # fmt: skip
    return Change(**fields)  # type: ignore[arg-type]


def refused(outcome: Outcome) -> Reason:
    assert isinstance(outcome, Refused), outcome
    return outcome.reason


def held(site: Site, code: str = "SRXX") -> dict[str, Holding]:
    rows = site.writer.connection.execute(
        "SELECT record_id FROM holding WHERE institution = ?", (code,)
    ).fetchall()
    found = {}
    for (record_id,) in rows:
        record = site.writer.rows.get(record_id)
        assert record is not None
        (found[record.control_number],) = [
            each for each in site.holdings(record) if each.institution == code
        ]
    return found


def counted(site: Site, code: str = "SRXX") -> int:
    """H of this year."""
    with Accounting(site.config) as accounting:
        accounting.folder.fold(lag_us=0)
        entries = list(accounting.ledger.entries())
    return sum(each.quantity for each in entries if each.institution == code)


def test_one_change_says_what_was_and_is_held(site: Site) -> None:
    said = HoldingStatement("TP1", 2)
    done = site.uploader.hold(change("b1", statement=said))
    assert isinstance(done, Done)
    assert (done.effect.value, done.record.control_number, done.before) == ("added", "b1", None)
    assert done.after == held(site)["b1"]
    again = site.uploader.hold(change("b1", statement=said))
    assert isinstance(again, Done)
    assert again.effect.value == "unchanged"
    assert counted(site) == 1
    gone = site.uploader.hold(change("b1", Mode.REMOVE))
    assert isinstance(gone, Done)
    assert (gone.effect.value, gone.before, gone.after) == ("removed", done.after, None)
    again = site.uploader.hold(change("b1", Mode.REMOVE))
    assert isinstance(again, Done)
    assert again.effect.value == "unchanged"
    assert counted(site) == 0
    history = HoldingsHistory(site.writer.connection)
    assert [(each.account, each.protocol) for each in history.submissions()] == [
        ("srxx", "test"), ("srxx", "test"),
    ]  # fmt: skip


def test_what_is_refused_changes_nothing(site: Site) -> None:
    for asked, reason in (
        (change("b1", principal=READER), Reason.FORBIDDEN),
        (change("b1", principal=ANONYMOUS), Reason.FORBIDDEN),
        (change("b1", institution="PKU"), Reason.FORBIDDEN),
        (change("b9"), Reason.UNKNOWN),
        (change("b1", name=RecordName()), Reason.UNNAMED),
        (change("b1", name=RecordName("b1", "nope")), Reason.DATABASE),
        (change("b1", Mode.CHANGE), Reason.NOT_HELD),
        (change("b1", statement=HoldingStatement("x" * 301)), Reason.EXCESS),
    ):
        assert refused(site.uploader.hold(asked)) is reason
    assert held(site) == {}
    assert list(HoldingsHistory(site.writer.connection).submissions()) == []


def test_adding_what_is_held_otherwise_is_refused(site: Site) -> None:
    site.uploader.hold(change("b1"))
    said = HoldingStatement("TP2")
    assert refused(site.uploader.hold(change("b1", Mode.ADD, statement=said))) is Reason.HELD
    done = site.uploader.hold(change("b1", Mode.CHANGE, statement=said))
    assert isinstance(done, Done)
    assert done.effect.value == "changed"


def test_several_records_of_one_isbn_are_told(site: Site) -> None:
    for number in ("x1", "x2"):
        marc = book(f"~001 {number}", "~010   $a9787301123454", f"~200 1 $aTwo {number}")
        site.writer.put("cn_cat", build(marc.leader, marc.fields))
    outcome = site.uploader.hold(change("", name=RecordName(isbn="9787301123454")))
    assert isinstance(outcome, Refused)
    assert outcome.reason is Reason.AMBIGUOUS
    assert [each.control_number for each in outcome.candidates] == ["x1", "x2"]


def marc(number: str, call_number: str, code: str = "SRXX") -> bytes:
    return holdings_record(number, MarcFamily.UNIMARC, Holding(code, 0, call_number))


def test_a_record_changes_the_holdings_in_it_and_nothing_else(site: Site) -> None:
    before = site.writer.rows.get(1)

    def send(record: bytes, mode: Mode = Mode.PUT, **more: object) -> Outcome:
        fields: dict[str, object] = {
            "principal": SRXX, "database": "cn_cat", "record": record, "mode": mode, **more,
        }  # fmt: skip
        return site.uploader.hold(MarcChange(**fields))  # type: ignore[arg-type]

    done = send(marc("b1", "TP3"))
    assert isinstance(done, Done)
    assert held(site)["b1"].call_number == "TP3"
    assert site.writer.rows.get(1) == before
    # The record that the request names goes before its own number.
    assert isinstance(send(marc("b1", "TP4"), number="b2"), Done)
    assert held(site)["b2"].call_number == "TP4"
    assert refused(send(marc("b1", "TP5", "PKU"))) is Reason.NOT_OWN
    assert refused(send(marc("b1", "TP5") * 2)) is Reason.MALFORMED
    assert refused(send(b"00020 rubbish")) is Reason.MALFORMED
    deleted = marc("b2", "TP4")
    assert isinstance(send(deleted[:5] + b"d" + deleted[6:]), Done)
    assert isinstance(send(b"", Mode.REMOVE, number="b1"), Done)
    assert held(site) == {}


async def test_a_worker_takes_changes_in_turn_and_says_when_it_cannot(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    uploads = Uploads(site.config)
    try:
        outcomes = await asyncio.gather(*(uploads.hold(change(f"b{n}")) for n in range(1, 7)))
        assert all(isinstance(each, Done) for each in outcomes)
        monkeypatch.setattr(uploads._uploader, "hold", lambda _: 1 / 0)
        assert refused(await uploads.hold(change("b1"))) is Reason.UNAVAILABLE
        uploads._waiting = uploads._waiting_max
        assert refused(await uploads.hold(change("b1"))) is Reason.BUSY
        uploads._waiting = 0
    finally:
        uploads.close()


def batch(site: Site, content: str | bytes, mode: Mode = Mode.PUT, **more: object) -> Summary:
    octets = content.encode() if isinstance(content, str) else content
    report = more.pop("report", None)
    fields: dict[str, object] = {
        "principal": SRXX, "mode": mode, "protocol": "test", "source": "file.csv", **more
    }  # fmt: skip
    request = BatchRequest(**fields)  # type: ignore[arg-type]
    return apply_batch(site.config, request, io.BytesIO(octets), report=report)  # type: ignore[arg-type]


def counts(summary: Summary) -> tuple[int, ...]:
    return (
        summary.added, summary.changed, summary.unchanged, summary.removed, summary.refused,
        summary.held_before, summary.held_after,
    )  # fmt: skip


FILE = "控制号,索书号,条码号\nb1,TP1,c1\nb2,TP2,\nb9,TP9,\nb1,TP1,c2\n"


def test_a_file_is_carried_out_and_a_dry_run_says_the_same(site: Site, tmp_path: Path) -> None:
    report = tmp_path / "out" / "refused.csv"
    dry = batch(site, FILE, dry_run=True)
    assert (counts(dry), dry.submission, held(site)) == ((2, 0, 0, 0, 1, 0, 2), None, {})
    done = batch(site, FILE, report=report)
    assert counts(done) == counts(dry)
    assert (done.lines, done.records, done.report) == (4, 2, report)
    assert held(site)["b1"] == Holding("SRXX", 1, "TP1", 2, "", ("c1", "c2"))
    with report.open(encoding="utf-8", newline="") as file:
        assert list(csv.DictReader(file)) == [
            {"line": "4", "record": "b9", "reason": "unknown", "text": "there is no such record"}
        ]
    assert counts(batch(site, FILE)) == (0, 0, 2, 0, 1, 2, 2)
    assert counts(batch(site, "控制号,索书号\nb2,TQ\nb3,TR\n")) == (1, 1, 0, 0, 0, 2, 3)
    assert counted(site) == 3
    assert not list((site.config.data_dir / "holdings").iterdir())


def test_a_file_may_add_only_or_change_only_or_take_away(site: Site) -> None:
    batch(site, "001,call_number\nb1,A\nb2,B\n")
    adding = batch(site, "001,call_number\nb1,A\nb2,other\nb3,C\n", Mode.ADD)
    assert counts(adding) == (1, 0, 1, 0, 1, 2, 3)
    assert [(each.reason, each.name, each.line) for each in adding.refusals] == [
        ("held", "cn_cat b2", 3)
    ]
    changing = batch(site, "001,call_number\nb1,Z\nb4,D\n", Mode.CHANGE)
    assert (counts(changing), changing.refusals[0].reason) == ((0, 1, 0, 0, 1, 3, 3), "not-held")
    taking = batch(site, "001\nb1\nb4\n", Mode.REMOVE)
    assert counts(taking) == (0, 0, 1, 1, 0, 3, 2)
    mixed = batch(site, "001,action\nb2,remove\nb5,put\n")
    assert counts(mixed) == (1, 0, 0, 1, 0, 2, 2)
    assert (sorted(held(site)), counted(site)) == (["b3", "b5"], 2)


def test_replacing_all_takes_away_what_no_line_may_mean(site: Site) -> None:
    batch(site, "001\nb1\nb2\nb3\nb4\n")
    batch(site, "001\nb1\n", principal=PKU)
    for number in ("x1", "x2"):
        double = book(f"~001 {number}", "~010   $a9787301123454", f"~200 1 $aTwo {number}")
        site.writer.put("cn_cat", build(double.leader, double.fields))
    batch(site, "001\nx1\nx2\n")
    # b2 cannot be read, and the ISBN is on both of what is held: none of them goes.
    file = "001,isbn,copies\nb1,,\nb2,,many\n,9787301123454,\n"
    dry = batch(site, file, Mode.REPLACE_ALL, dry_run=True)
    done = batch(site, file, Mode.REPLACE_ALL)
    assert counts(done) == counts(dry) == (0, 0, 1, 2, 2, 6, 4)
    assert sorted(held(site)) == ["b1", "b2", "x1", "x2"]
    assert sorted(held(site, "PKU")) == ["b1"]
    assert counted(site) == 4
    # In one database, the holdings of the others stay.
    site.writer.put("we_cat", western("w1", "One"))
    within = batch(site, "001\nw1\nb1\n", Mode.REPLACE_ALL, database="we_cat")
    assert counts(within) == (1, 0, 0, 0, 1, 4, 5)
    assert sorted(held(site)) == ["b1", "b2", "w1", "x1", "x2"]


def test_what_a_crash_left_behind_is_removed_after_a_day(site: Site) -> None:
    folder = site.config.data_dir / "holdings"
    folder.mkdir()
    old, new = folder / "batch-1.sqlite", folder / "batch-2.sqlite.part"
    for path in (old, new):
        path.write_bytes(b"")
    os.utime(old, (1, 1))
    batch(site, "001\nb1\n")
    assert [path.name for path in folder.iterdir()] == [new.name]


def test_nothing_replaces_nothing(site: Site) -> None:
    batch(site, "001\nb1\n")
    for file in ("001\n", "001\nb9\n"):
        with pytest.raises(BatchRefused, match="no line names a record") as caught:
            batch(site, file, Mode.REPLACE_ALL)
        assert caught.value.reason is Reason.NOTHING
    assert sorted(held(site)) == ["b1"]


def test_a_batch_that_cannot_be_carried_out_says_why(site: Site) -> None:
    good = "001\nb1\n"
    cases: tuple[tuple[str | bytes, dict[str, object], Reason], ...] = (
        (good, {"principal": READER}, Reason.FORBIDDEN),
        (good, {"institution": "PKU"}, Reason.FORBIDDEN),
        (good, {"database": "nope"}, Reason.DATABASE),
        ("title\nx\n", {}, Reason.MALFORMED),
        (marc("b1", "x"), {}, Reason.MALFORMED),
    )
    for content, more, reason in cases:
        with pytest.raises(BatchRefused) as caught:
            batch(site, content, **more)
        assert caught.value.reason is reason
    assert held(site) == {}


def test_files_of_marc_records_are_batches_too(site: Site) -> None:
    content = marc("b1", "TP1") + marc("b2", "TP2", "PKU") + marc("b3", "TP3")
    done = batch(site, content, database="cn_cat")
    assert (counts(done), done.refusals[0].reason) == ((2, 0, 0, 0, 1, 0, 2), "not-own")
    assert {number: each.call_number for number, each in held(site).items()} == {
        "b1": "TP1", "b3": "TP3",
    }  # fmt: skip


def test_what_comes_with_an_uploaded_record_goes_the_same_way(site: Site) -> None:
    own = book("~001 n1", "~010   $a7-99", "~200 1 $aNew one", "~905   $aSRXX$sTP9$v1-3$f2")
    done = site.done(own, principal=Principal("srxx", "SRXX", rights=(*MEMBER_RIGHTS, "upload")))
    number = done.record.control_number
    assert held(site)[number] == Holding("SRXX", done.record.record_id, "TP9", 2, extent="1-3")
    (made,) = HoldingsHistory(site.writer.connection).submissions("SRXX")
    assert (made.protocol, made.address, made.added) == ("test", "192.0.2.1", 1)
    assert counted(site) == 1

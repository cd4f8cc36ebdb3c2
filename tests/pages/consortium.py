"""A consortium for the tests of the console: members, records, a ledger of two years, jobs."""

from __future__ import annotations

import contextlib
from pathlib import Path

from metering.entry import DAY_US, Draft, Kind
from metering.ledger import Ledger
from protocol.iso2709 import Field, build, parse
from protocol.record import Holding
from server.accounting.ledger import Accounting
from server.batch.isbns import read_numbers
from server.batch.job import Jobs, Order, Phase, State
from server.config import Config, load_config
from store.access_changes import AccessChanges
from store.accounts import Accounts
from store.members import Members
from store.membership import Membership
from store.rights import MEMBER_RIGHTS
from store.writer import CatalogueWriter
from tests.server.own_server import CONFIG, cnmarc, marc21

YEAR = 2024  # settled in none of the tests before they begin
NOON = 1_718_424_000_000_000  # 2024-06-15 12:00 in China
MINUTE_US = 60_000_000


def numbered(number: str, title: str, isbn: str, publisher: str = "人民文学出版社") -> bytes:
    """A CNMARC record that others may be duplicates of."""
    record = parse(cnmarc(number, title, author="曹雪芹"))
    fields = [*record.fields, Field.of("010", "  ", [("a", isbn)])]
    fields.append(Field.of("210", "  ", [("a", "北京"), ("c", publisher), ("d", "2008")]))
    return build(record.leader, sorted(fields, key=lambda field: field.tag))


def make_consortium(folder: Path, further: str = "") -> Config:
    """A data folder with everything, and its configuration. Passwords are the accounts' names.

    PKU, THU and FDU are members, BNU has registered; `admin` and `clerk` are operators, the
    latter without the right to change members.
    """
    path = folder / "config.toml"
    text = CONFIG.format(
        present_records_max=1000, http="", sru="", z3950="", access="", workers=1
    )  # fmt: skip
    path.write_text(text + further, encoding="utf-8")
    config = load_config(path)
    writer = CatalogueWriter(config.data_dir, config.databases, durable=False)
    with writer.transaction():
        stored = [
            writer.put("cn_cat", numbered("c1", "红楼梦", "7-02-000220-X")),
            writer.put("cn_cat", numbered("c2", "紅樓夢", "7-02-000220-X", "人民文学")),
            writer.put("cn_cat", cnmarc("c3", "史记")),
            writer.put("we_cat", marc21("w1", "Introduction to algorithms")),
        ]
        for institution, record, call_number in (
            ("PKU", stored[0], "I242.4/1"), ("THU", stored[1], "I24"), ("PKU", stored[1], "I242"),
        ):  # fmt: skip
            writer.put_holding(Holding(institution, record.record_id, call_number))
        writer.merge_all()
    writer.close()
    with contextlib.closing(Members(config.members_path, create=True)) as members:
        for code, name in (
            ("PKU", "Peking University Library"), ("THU", "Tsinghua University Library"),
            ("FDU", "Fudan University Library"),
        ):  # fmt: skip
            members.add_member(code, name, code.lower(), NOON - 400 * DAY_US, who="li")
        membership = Membership(members)
        membership.register("BNU", "Beijing Normal University Library", NOON, who="li")
        membership.warn("FDU", NOON, who="li", reason="the bill of 2023 is open")
        members.add_account("admin", "admin", None, NOON)
        members.add_account("clerk", "clerk", None, NOON, rights=("search",))
        accounts = Accounts(members)
        accounts.add("PKU", "pku-cat", "pku-cat", NOON, rights=MEMBER_RIGHTS, who="li")
        accounts.certify(
            "pku-cat", "chinese", "full", NOON, expires_us=NOON + 2000 * DAY_US, who="li"
        )
        members.add_key("PKU", "ils", NOON)
        AccessChanges(members).add_range("PKU", "192.0.2.0/24", NOON, who="li", account="pku")
    Accounting(config).close()
    with contextlib.closing(Ledger(config.ledger_path)) as ledger:
        with ledger.writing() as transaction:
            transaction.append_new(spooled("PKU", 260))
        ledger.append([
            Draft(id=f"h{n}", kind=Kind.HOLDING_ADDED, at_us=NOON + n, institution="PKU",
                  record_id=1000 + n, database="cn_cat", control_number=f"h{n}")
            for n in range(50)
        ])  # fmt: skip
        ledger.append(
            [
                Draft(id="thu", kind=Kind.DELIVERY, at_us=NOON, institution="THU", account="thu",
                      database="cn_cat", record_id=1, control_number="c1", protocol="sru"),
                Draft(id="void", kind=Kind.VOID, at_us=NOON + DAY_US, note="connection lost",
                      refers_to=f"{SPOOL}:3"),
            ]
        )  # fmt: skip
    jobs = Jobs(config.batch_dir)
    order = Order(institution="PKU", account="pku", databases=("cn_cat",))
    lines = [line for n in range(4) for line in read_numbers(n + 1, f"978702000220{n}")]
    job, _ = jobs.create(order, lines, NOON)
    job.save(State(phase=Phase.RUNNING, resolved=1, counts={"found": 1}), durable=False)
    reports = config.data_dir / "reports"
    reports.mkdir()
    (reports / "duplicates-20260101T000000.000000Z.csv").write_text(
        "database,score,certain,keep,keep_id,keep_title,keep_holders,away,away_id,away_title,"
        "away_holders,reasons\n"
        "cn_cat,100,yes,c1,1,红楼梦,1,c2,2,紅樓夢,2,same title\n"
        'cn_cat,70,no,c1,1,"a ""title"", with a comma",1,gone,99,x,0,same title\n',
        encoding="utf-8",
    )
    (reports / "load-cn_cat-20260101T000000.000000Z.csv").write_text("record,reason\n")
    return config


SPOOL = "20240615T040000Z-3f2a9c1e"


def spooled(institution: str, count: int) -> list[Draft]:
    """Deliveries of records that differ, a minute after one another from noon on."""
    return [
        Draft(
            id=f"{SPOOL}:{number}", kind=Kind.DELIVERY, at_us=NOON + number * MINUTE_US,
            institution=institution, account=institution.lower(), database="cn_cat",
            record_id=number + 1, control_number=f"c{number + 1}", protocol="z3950",
            session="s-1",
        )
        for number in range(count)
    ]  # fmt: skip

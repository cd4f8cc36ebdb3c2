"""What is written down of the ISBN jobs that members make and cancel."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec

from server.accounting.audit_trail import trail
from server.batch.desk import BatchDesk
from server.batch.isbns import read_isbns
from server.batch.job import Order, Phase
from server.config import Config
from store.audit import AuditSelection, Origin

HERE = Origin("web", "wang", "192.0.2.7")
ORDER = Order(institution="PKU", account="wang", databases=("we_cat",), served=True)


def test_the_audit_tells_who_made_and_cancelled_a_job(tmp_path: Path) -> None:
    config = msgspec.convert({"server": {"data_dir": str(tmp_path)}}, Config)
    service: Any = SimpleNamespace(catalogue=None)  # nothing is looked up: the desk does not work
    desk = BatchDesk(config, service)
    numbers = read_isbns(b"9787301048153\n9787020002207\n", lines_max=10)
    job, is_new = desk.make(ORDER, numbers, HERE)
    assert is_new
    again, is_new = desk.make(ORDER, numbers, HERE)
    assert (again.id, is_new) == (job.id, False)
    assert desk.cancel(job, HERE) is None
    assert desk.told(job)["phase"] == "cancelling"
    state = job.state()
    state.phase = Phase.DONE
    job.save(state)
    assert desk.cancel(job, HERE) is not None  # too late, and nothing is written down
    rows = [
        (row.action, row.institution, row.subject, row.before, row.after, row.who, row.protocol)
        for row in trail(config, AuditSelection(kind="batch"))
    ]
    assert rows == [
        ("batch", "PKU", job.id, "", "2 numbers", "wang", "web"),
        ("batch cancel", "PKU", job.id, "queued", "cancelled", "wang", "web"),
    ]

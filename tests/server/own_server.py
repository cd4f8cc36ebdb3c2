"""A server over records that a test makes itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from protocol.iso2709 import Field, build
from server.config import load_config
from store.accounts import Accounts
from store.members import Members
from store.rights import MEMBER_RIGHTS
from store.writer import CatalogueWriter
from tests.harness import RunningServer, serving

CONFIG = """\
[server]
data_dir = "data"
workers = {workers}
connections_together = 1

[z3950]
port = 0
present_records_max = {present_records_max}
{z3950}

[http]
port = 0
{http}

[access]
anonymous = true
{access}

[metering]
fsync = false

[sru]
{sru}
"""


def marc21(number: str, title: str, *notes: str, author: str = "") -> bytes:
    """A small MARC 21 record in the stored form, of any size."""
    fields = [Field("001", number), Field("003", "TEST")]
    if author:
        fields.append(Field.of("100", "1 ", [("a", author)]))
    fields.append(Field.of("245", "10", [("a", title)]))
    fields += [Field.of("500", "  ", [("a", note)]) for note in notes]
    return build("00000nam a2200000 a 4500", fields, oversize=True)


def cnmarc(number: str, title: str, *, author: str = "") -> bytes:
    """A small CNMARC record in the stored form."""
    fields = [
        Field("001", number),
        Field.of("100", "  ", [("a", "20260101d2026    em y0chiy50      ea")]),
        Field.of("200", "1 ", [("a", title)]),
        Field.of("300", "  ", [("a", "Not in a brief record")]),
    ]
    if author:
        fields.append(Field.of("701", " 0", [("a", author)]))
    return build("00000nam0 2200000   450 ", fields)


@contextmanager
def own_server(
    folder: Path,
    records: Mapping[str, Iterable[bytes]],
    *,
    present_records_max: int = 1000,
    pinned: Mapping[str, str] | None = None,
    http: str = "",
    z3950: str = "",
    sru: str = "",
    access: str = "",
    workers: int = 1,
    rights: Sequence[str] = MEMBER_RIGHTS,
) -> Iterator[RunningServer]:
    """Serve `records` by database; account `demo1/demo1`, and one for each pinned charset.

    All accounts have these `rights`.

    `pinned` gives the charset by account, whose password is its name; `http`,
    `z3950`, `sru` and `access` are further lines of these sections of the configuration.
    """
    path = folder / "config.toml"
    text = CONFIG.format(
        present_records_max=present_records_max, http=http, sru=sru, z3950=z3950, access=access,
        workers=workers,
    )  # fmt: skip
    path.write_text(text, encoding="utf-8")
    config = load_config(path)
    writer = CatalogueWriter(
        config.data_dir, config.databases, durable=False, merge_after_records=None
    )
    with writer.transaction():
        for database, each in records.items():
            for marc in each:
                writer.put(database, marc)
        writer.merge_all()
    writer.close()
    members = Members(config.members_path, create=True)
    for name, charset in {"demo1": "", **(pinned or {})}.items():
        members.add_member(name, f"Library {name}", name, 1)
        members.set_charset(name, charset, 1)
        Accounts(members).set_rights(name, rights, 1, who="test", reason="test")
    members.close()
    with serving(path) as server:
        yield server

"""`lianmu demo`"""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

import samples
from protocol.record import Holding, StoredRecord
from server import log
from server.accounting.ledger import Accounting
from server.commands.options import now_us
from server.commands.serve import announce
from server.config import Config, load_config
from server.processes import writer_process
from server.processes.supervisor import Supervisor
from store.members import Members
from store.reindex import reindex
from store.writer import CatalogueWriter

CONFIG = """\
# The demo's configuration; config.example.toml in the checkout has every key.
[server]
data_dir = "data"
workers = 1

[z3950]
host = "127.0.0.1"
port = {z3950_port}

[http]
host = "127.0.0.1"
port = {http_port}

[access]
anonymous = true
"""
MEMBERS = (
    ("DEMO1", "First demo library"),
    ("DEMO2", "Second demo library"),
    ("DEMO3", "Third demo library"),
)
OPERATOR = "admin"


@click.command(epilog="Example: lianmu demo --dir /tmp/lianmu --z3950-port 0 --http-port 0")
@click.option(
    "--dir",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("demo-data"),
    show_default=True,
    help="Where the demo keeps everything.",
)
@click.option(
    "--z3950-port", type=click.IntRange(0, 65535), help="0: any free one. [default: 2100]"
)
@click.option("--http-port", type=click.IntRange(0, 65535), help="0: any free one. [default: 8080]")
def demo(folder: Path, z3950_port: int | None, http_port: int | None) -> None:
    """Serve a sample catalogue on this machine until Ctrl-C.

    The first time it makes the catalogue, three member libraries and an
    operator; after that it goes on with what is there.
    """
    path = folder / "config.toml"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        path.write_text(
            CONFIG.format(
                z3950_port=2100 if z3950_port is None else z3950_port,
                http_port=8080 if http_port is None else http_port,
            ),
            encoding="utf-8",
        )
    config = _with_ports(load_config(path), z3950_port, http_port)
    log.set_up(config.server.log_format, config.server.log_level)
    writer_process.prepare(config)
    fill(config)

    def tell(z3950: str, http: str, z3950s: str) -> None:
        click.echo(_what_to_type(folder, z3950, http))
        announce(z3950, http, z3950s)

    Supervisor(config, ends_with_terminal=True).run(tell)


def _with_ports(config: Config, z3950_port: int | None, http_port: int | None) -> Config:
    replace = msgspec.structs.replace
    if z3950_port is not None:
        config = replace(config, z3950=replace(config.z3950, port=z3950_port))
    if http_port is not None:
        config = replace(config, http=replace(config.http, port=http_port))
    return config


def fill(config: Config) -> None:
    """Make accounts and records that are missing; what is there, or was deleted, stays so."""
    members = Members(config.members_path, create=True)
    try:
        for code, name in MEMBERS:
            if members.institution(code) is None:
                members.add_member(code, name, code.lower(), now_us())
        if OPERATOR not in members.account_names().get("", []):
            members.add_account(OPERATOR, OPERATOR, None, now_us())
    finally:
        members.close()
    writer = CatalogueWriter(config.data_dir, config.databases)
    try:
        if not writer.is_index_current:  # the folder is of an earlier version of the program
            reindex(writer, processes=0)
        with writer.transaction():  # all or nothing
            numbers: dict[tuple[str, str], int] = {}
            for name in samples.databases():
                for marc in samples.records(name):
                    stored = writer.put(name, marc, if_version=0)
                    if isinstance(stored, StoredRecord):
                        numbers[name, stored.control_number] = stored.record_id
            for institution, name, control_number, call_number in samples.holdings():
                record_id = numbers.get((name, control_number))
                if record_id is not None:
                    writer.put_holding(Holding(institution, record_id, call_number))
        while writer.merge():
            pass
    finally:
        writer.close()
    with Accounting(config) as accounting:
        accounting.folder.fold(lag_us=0)


def _what_to_type(folder: Path, z3950: str, http: str) -> str:
    return f"""
Lianmu is running a sample catalogue in {folder}. In another terminal, try:

  yaz-client -u demo1/demo1 {z3950}/Default
      format unimarc
      find @attr 1=4 红楼梦
      show 1
      base we_cat
      format usmarc
      find @and @attr 1=1003 knuth @attr 1=4 programming
      show 1

  curl -u demo1:demo1 'http://{http}/cn_cat?version=1.2&operation=searchRetrieve&query=title=史记'

  browser       http://{http}/                       (sign in: demo1 / demo1)
  status        http://{http}/status                 (operator: admin / admin)
  usage         .venv/bin/lianmu usage DEMO1 --config {folder}/config.toml
  accounts      demo1, demo2, demo3 (password = name); without one: brief records

Ctrl-C ends it.
"""

"""The peer: Zebra 2.2 (Debian `idzebra-2.0`) over the same ISO 2709 file.

Set up as its manual has it for MARC 21: the `grs.marcxml` filter, its own
record store, words and phrases of title, author, subject and publisher, ISBN,
ISSN, date, any, and the stock ICU chain (single ideographs are tokens, so a
Chinese word is a phrase). That is fewer indexes than Lianmu keeps. Nothing is
made worse than the defaults: memory for the load and the bound on sorted
records are raised. `zebrasrv` keeps its default of one process for each
connection.
"""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

from benchmarks.load_process import Address
from benchmarks.servers import (
    LoadFigures,
    Server,
    free_port,
    measured,
    start_process,
    wait_until_listening,
)

TAB_DIR = Path("/usr/share/idzebra-2.0/tab")
MODULE_DIRS = sorted(Path("/usr/lib").glob("**/idzebra-2.0/modules"))

# sortmax: 1,000 by default; the sorted sets have up to 2,000. Every new session
# allocates a table of that size, so a large one would slow the peer down.
ZEBRA_CFG = """\
profilePath: .:{tab}
modulePath: {modules}
attset: bib1.att
recordType: grs.marcxml.catalogue
recordId: (bib1,Local-number)
index: {index}
encoding: utf-8
storeKeys: 1
storeData: 1
register: register:200G
keyTmpDir: tmp
setTmpDir: tmp
memMax: 400
sortmax: 5000
"""

CATALOGUE_ABS = """\
name catalogue
attset bib1.att
encoding UTF-8
esetname F @
esetname B @
marc usmarc.mar
xpath disable
all any

melm 001    Local-number:w
melm 008    Date-of-publication:w:range(data,7,4)
melm 020$a  ISBN:w
melm 022$a  ISSN:w
melm 100    Author:w,Author:p
melm 245$a  Title:w,Title:p,Title:s
melm 245$b  Title:w
melm 260$b  Publisher:w,Publisher:p
melm 650    Subject-heading:w,Subject-heading:p
melm 700    Author:w,Author:p
"""


class Zebra(Server):
    """`zebraidx` and `zebrasrv`; without `icu` the stock `default.idx`, which knows no Chinese."""

    def __init__(self, work_dir: Path, *, icu: bool = True) -> None:
        self.name = "zebra" if icu else "zebra-no-icu"
        self._icu = icu
        super().__init__(work_dir / self.name)

    @staticmethod
    def missing() -> str:
        """Why Zebra cannot run here; empty: it can."""
        absent = [name for name in ("zebraidx", "zebrasrv") if not shutil.which(name)]
        if absent or not MODULE_DIRS:
            return f"{', '.join(absent) or 'modules of idzebra-2.0'} not installed"
        return ""

    def setup(self) -> str:
        text = ZEBRA_CFG + CATALOGUE_ABS
        return f"{self.name} {hashlib.sha256(text.encode()).hexdigest()}"

    def load(self, records_path: Path) -> LoadFigures:
        config = ZEBRA_CFG.format(
            tab=TAB_DIR,
            modules=":".join(map(str, MODULE_DIRS)),
            index="icu.idx" if self._icu else "default.idx",
        )
        (self.directory / "zebra.cfg").write_text(config, encoding="utf-8")
        (self.directory / "catalogue.abs").write_text(CATALOGUE_ABS, encoding="utf-8")
        (self.directory / "register").mkdir()
        (self.directory / "tmp").mkdir()
        zebraidx = ["zebraidx", "-c", "zebra.cfg", "-l", "zebraidx.log", "-f", "0"]
        measured([*zebraidx, "init"], self.directory, self.log_path())
        return measured(
            [*zebraidx, "-d", self.database, "update", records_path.resolve()],
            self.directory,
            self.log_path(),
        )

    def start(self) -> Address:
        address = ("127.0.0.1", free_port())
        self.process = start_process(
            ["zebrasrv", "-c", "zebra.cfg", "-v", "none", f"tcp:{address[0]}:{address[1]}"],
            self.directory,
            self.log_path(),
        )
        wait_until_listening(address, self.process, self.log_path())
        return address


# One server of the generic frontend, for Z39.50 and SRU on one port. `backend`
# fetches ISO 2709, which the frontend writes as MARCXML: Zebra's documented way.
YAZGFS = """\
<yazgfs>
  <listen id="one">tcp:{host}:{port}</listen>
  <server id="catalogue" listenref="one">
    <config>zebra.cfg</config>
    <cql2rpn>cql2pqf.txt</cql2rpn>
    <retrievalinfo>
      <retrieval syntax="usmarc" name="F"/>
      <retrieval syntax="xml" name="marcxml" identifier="info:srw/schema/1/marcxml-v1.1">
        <backend syntax="usmarc" name="F">
          <marc inputformat="marc" outputformat="marcxml" inputcharset="utf-8"/>
        </backend>
      </retrieval>
    </retrievalinfo>
    <explain xmlns="http://explain.z3950.org/dtd/2.0/">
      <serverInfo protocol="SRU" version="1.1">
        <host>{host}</host><port>{port}</port><database>{database}</database>
      </serverInfo>
    </explain>
  </server>
</yazgfs>
"""
# The indexes and relations that our queries use.
CQL2PQF = """\
set.cql = info:srw/cql-context-set/1/cql-v1.1
set.dc = info:srw/cql-context-set/1/dc-v1.1
set.bath = http://zing.z3950.org/cql/bath/2.0/
index.cql.serverChoice = 1=1016
index.dc.title = 1=4
index.dc.creator = 1=1003
index.bath.isbn = 1=7
relation.eq = 2=3
relation.scr = 2=3
relationModifier.relevant = 2=102
position.any = 3=3 6=1
structure.* = 4=1
structure.eq = 4=2
truncation.none = 5=100
"""


class ZebraSru(Zebra):
    """Zebra with the configuration by which it speaks SRU, over the same register."""

    def start(self) -> Address:
        host, port = address = ("127.0.0.1", free_port())
        config = YAZGFS.format(host=host, port=port, database=self.database)
        (self.directory / "yazgfs.xml").write_text(config, encoding="utf-8")
        (self.directory / "cql2pqf.txt").write_text(CQL2PQF, encoding="utf-8")
        self.process = start_process(
            ["zebrasrv", "-f", "yazgfs.xml", "-v", "none"], self.directory, self.log_path()
        )
        wait_until_listening(address, self.process, self.log_path())
        return address


class YazZtest(Server):
    """The floor: YAZ's own server, which searches nothing and sends canned records."""

    name = "yaz-ztest"
    database = "Default"

    def __init__(self, work_dir: Path) -> None:
        super().__init__(work_dir / self.name)

    @staticmethod
    def missing() -> str:
        """Why it cannot run here; empty: it can."""
        return "" if shutil.which("yaz-ztest") else "Debian package yaz is not installed"

    def load(self, records_path: Path) -> LoadFigures:
        # It answers Scan from this file and ends without it.
        (self.directory / "dummy-words").write_text("history\ntheory\n", encoding="ascii")
        return LoadFigures(0.0, 0.0, 0, 0)

    def start(self) -> Address:
        address = ("127.0.0.1", free_port())
        self.process = start_process(
            ["yaz-ztest", "-v", "none", f"tcp:{address[0]}:{address[1]}"],
            self.directory,
            self.log_path(),
        )
        wait_until_listening(address, self.process, self.log_path())
        return address

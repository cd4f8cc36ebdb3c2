"""A catalogue for real clients: the demo's, with what its records lack."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from protocol.iso2709 import Field, build
from tests.harness import RunningServer, lianmu, running

# As the demo's, but Chinese records may be had by clients that know only USMARC.
CONFIG = """\
[server]
data_dir = "data"
workers = 1

[z3950]
port = 0

[http]
port = 0

[access]
anonymous = true

[[database]]
name = "cn_cat"
title = "cn_cat"
family = "unimarc"
also_as = ["usmarc"]

[[database]]
name = "we_cat"
title = "we_cat"
family = "marc21"

[[database]]
name = "jp_cat"
title = "jp_cat"
family = "unimarc"

[[database]]
name = "ru_cat"
title = "ru_cat"
family = "unimarc"

[[database]]
name = "ancient"
title = "ancient"
family = "unimarc"
"""

# The samples have no LCCN, OCLC number or key title.
WITH_LCCN = build(
    "00000nam a22000001i 4500",
    [
        Field("001", "LMW0000901"),
        Field("003", "LMDEMO"),
        Field("008", "261102s1978    enk||||| |||||||| 0|eng d"),
        Field.of("010", "  ", [("a", "   78000001 ")]),
        Field.of("035", "  ", [("a", "(OCoLC)00012345")]),
        Field.of("222", " 0", [("a", "Journal of numbers")]),
        Field.of("245", "02", [("a", "A numbered record")]),
    ],
)
# An institution whose library system speaks GB18030; its account is gbk/gbk.
PINNED = ("GBK", "--name", "A library in GB18030", "--password", "gbk", "--charset", "gb18030")


@pytest.fixture(scope="package")
def consortium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    folder = tmp_path_factory.mktemp("consortium")
    config = folder / "config.toml"
    config.write_text(CONFIG, "utf-8")
    record = folder / "record.mrc"
    record.write_bytes(WITH_LCCN)
    for arguments in (
        ("member", "add", *PINNED, "--config", str(config)),
        ("load", "--config", str(config), "--database", "we_cat", str(record)),
    ):
        done = lianmu(*arguments)
        assert done.returncode == 0, done.stdout + done.stderr
    demo = ["demo", "--dir", str(folder), "--z3950-port", "0", "--http-port", "0"]
    with running(demo, config) as server:
        yield server

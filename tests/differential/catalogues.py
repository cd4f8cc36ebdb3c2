"""The same records in both servers, running."""

from __future__ import annotations

import lzma
import re
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pymarc

from benchmarks.servers import end, free_port, measured, start_process, wait_until_listening
from benchmarks.zebra import MODULE_DIRS, TAB_DIR
from protocol.record import MarcFamily
from tests.differential.feeds_xslt import stylesheet
from tests.harness import lianmu, serving

DATABASES = {MarcFamily.MARC21: "we_cat", MarcFamily.UNIMARC: "cn_cat"}
DATABASE = DATABASES[MarcFamily.MARC21]

# Files, and which of their records are taken: every n-th that is UTF-8 or ASCII.
SOURCES = (
    ("marc21/folio-1000.mrc.xz", 1),  # 62 control numbers
    ("marc21/gpo-cgp-new-2022-2024.mrc.xz", 40),
    ("marc21/uva-2000.mrc.xz", 3),
    ("cjk/yaz-marccol5.mrc", 1),
)

UNIMARC_SOURCE = "unimarc/periouni-3064.mrc.xz"

LEADER_OCTETS = 24

LIANMU_CONFIG = """\
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
name = "we_cat"
title = "MARC 21"
family = "marc21"
[[database]]
name = "cn_cat"
title = "CNMARC"
family = "unimarc"
"""

ZEBRA_CFG = """\
profilePath: .:{tab}
modulePath: {modules}
attset: bib1.att
recordType: dom.filter.xml
index: words.idx
encoding: utf-8
storeKeys: 1
storeData: 1
register: register:2G
keyTmpDir: tmp
setTmpDir: tmp
truncmax: 100000
"""

FILTER = """\
<dom xmlns="http://indexdata.com/zebra-2.0">
<extract name="index"><xslt stylesheet="index.xsl"/></extract>
<retrieve name="F"/>
<input><marc inputcharset="utf-8"/></input>
</dom>
"""

WORDS_IDX = """\
index w
completeness 0
position 1
alwaysmatches 1
firstinfield 1
charmap folded.chr

index p
completeness 1
charmap folded.chr

index n
completeness 0
charmap numeric.chr

index 0
completeness 0
position 1
charmap @

index y
completeness 0
charmap @

sort s
completeness 1
charmap folded.chr
"""


_CODED_YEARS = re.compile("(1[0-9]{3}|20[0-9]{2})( {4}|9999|1[0-9]{3}|20[0-9]{2})")


def unimarc_records(shared_data: Path) -> list[bytes]:
    """Periodicals of a French union catalogue, the first of each control number.

    Only those with coded years: without one, Lianmu takes that of the statement,
    and what a year of unknown digits stands for is not compared.
    """
    data = lzma.decompress((shared_data / UNIMARC_SOURCE).read_bytes())
    found: dict[str, bytes] = {}
    for raw in _cut(data):
        record = pymarc.Record(raw, to_unicode=True, force_utf8=True)
        coded = record["100"].get("a", "") if "100" in record else ""
        if "001" in record and _CODED_YEARS.fullmatch(coded[9:17]):
            found.setdefault(record["001"].data or "", raw)
    return list(found.values())


def chosen_records(shared_data: Path) -> list[bytes]:
    """The records to compare, in ISO 2709; the first of each control number."""
    found: dict[str, bytes] = {}
    for name, step in SOURCES:
        path = shared_data / name
        data = lzma.decompress(path.read_bytes()) if path.suffix == ".xz" else path.read_bytes()
        for raw in [each for each in _cut(data) if _is_utf_8(each)][::step]:
            record = pymarc.Record(raw, to_unicode=True, force_utf8=True)
            number = record["001"].data if "001" in record else None
            if number:
                found.setdefault(number.strip(), raw)
    return list(found.values())


def _cut(data: bytes) -> list[bytes]:
    """The records of a file in ISO 2709."""
    whole = [chunk.lstrip(b"\r\n") + b"\x1d" for chunk in data.split(b"\x1d")]
    return [each for each in whole if len(each) > LEADER_OCTETS]


def _is_utf_8(raw: bytes) -> bool:
    """Whether a record says that it is Unicode, or does not need to say so."""
    return raw[9:10] == b"a" or (raw.isascii() and b"\x1b" not in raw)


def character_map(text: str) -> str:
    """Zebra's map of characters: lower case, no diacritics, punctuation as blanks."""
    lines = [
        "encoding utf-8",
        "lowercase {0-9}{a-z}",
        "uppercase {0-9}{A-Z}",
        r"space {\001-\040}!\"#$%&'\()*+,-./:;<=>?@\[\\]^_`\{|}~".replace('\\"', '"'),
    ]
    marked: dict[str, None] = {}
    base = ""
    for char in text:
        if unicodedata.category(char)[0] == "M":
            base += char
            marked[base] = None
            continue
        base = char
        if not char.isascii():
            marked[char] = None
    for sequence in marked:
        plain = "".join(
            char
            for char in unicodedata.normalize("NFKD", sequence).casefold()
            if not unicodedata.combining(char)
        )
        if plain and plain.isascii() and plain.isalnum():
            lines.append(f"map ({sequence}) {plain}")
        elif len(sequence) == 1 and not sequence.isalnum():
            lines.append(f"map ({sequence}) \\s")
    return "\n".join(lines) + "\n"


# Every ideograph is a word, so that a Chinese word is a phrase; the simplified form
# stands for the traditional one.
_IDEOGRAPHS = """\
  <transform rule="NFKC"/>
  <transform rule="Traditional-Simplified"/>
  <transliterate rule="[[:Punctuation:][:Symbol:]] > ' ';"/>
"""
WORDS_CHAIN = f"""\
<icu_chain locale="en">
{_IDEOGRAPHS}
  <tokenize rule="l"/>
  <transform rule="[:WhiteSpace:] Remove"/>
  <casemap rule="l"/>
</icu_chain>
"""
WHOLE_CHAIN = f"""\
<icu_chain locale="en">
{_IDEOGRAPHS}
  <transform rule="[:WhiteSpace:] Remove"/>
  <casemap rule="l"/>
</icu_chain>
"""


def as_folded(records: list[bytes]) -> dict[str, str]:
    """Files of an index whose words are those of `records`, without case and diacritics."""
    texts = b"".join(records).decode("utf-8", "replace")
    return {"words.idx": WORDS_IDX, "folded.chr": character_map(texts)}


def as_ideographs() -> dict[str, str]:
    """Files of an index whose words are single ideographs."""
    index = WORDS_IDX.replace("charmap folded.chr", "icuchain words.xml", 1)
    return {
        "words.idx": index.replace("charmap folded.chr", "icuchain whole.xml"),
        "words.xml": WORDS_CHAIN,
        "whole.xml": WHOLE_CHAIN,
    }


@contextmanager
def zebra(
    folder: Path,
    records: list[bytes],
    index: dict[str, str],
    family: MarcFamily = MarcFamily.MARC21,
) -> Iterator[str]:
    """Zebra over `records` of a family in `folder`, indexed as said; gives HOST:PORT."""
    folder.mkdir()
    files = {
        "zebra.cfg": ZEBRA_CFG.format(tab=TAB_DIR, modules=":".join(map(str, MODULE_DIRS))),
        "filter.xml": FILTER,
        "index.xsl": stylesheet(family),
        **index,
    }
    for name, content in files.items():
        (folder / name).write_text(content, encoding="utf-8")
    (folder / "records.mrc").write_bytes(b"".join(records))
    (folder / "register").mkdir()
    (folder / "tmp").mkdir()
    log = folder / "zebra.log"
    zebraidx = ["zebraidx", "-c", "zebra.cfg", "-l", "zebraidx.log"]
    measured([*zebraidx, "init"], folder, log)
    measured([*zebraidx, "-d", DATABASES[family], "update", "records.mrc"], folder, log)
    address = ("127.0.0.1", free_port())
    process = start_process(
        ["zebrasrv", "-c", "zebra.cfg", "-l", "zebrasrv.log", f"tcp:{address[0]}:{address[1]}"],
        folder,
        log,
    )
    try:
        wait_until_listening(address, process, log)
        yield f"{address[0]}:{address[1]}"
    finally:
        end(process)


@contextmanager
def our_server(
    folder: Path, records: list[bytes], family: MarcFamily = MarcFamily.MARC21
) -> Iterator[str]:
    """Lianmu over `records` of a family in `folder`; gives HOST:PORT."""
    folder.mkdir()
    config = folder / "config.toml"
    config.write_text(LIANMU_CONFIG)
    (folder / "records.mrc").write_bytes(b"".join(records))
    done = lianmu(
        "load", "--config", str(config), "--database", DATABASES[family],
        str(folder / "records.mrc"),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    with serving(config) as server:
        yield server.z3950

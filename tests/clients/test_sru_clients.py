"""Sessions of SRU clients that libraries run: Catmandu, sru-client, sruthi, curl."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import sruthi
from lxml import etree

from tests.harness import CHECKOUT, RunningServer, lianmu
from tests.server.sru_client import NAMESPACES, texts

HERE = Path(__file__).parent
NODE_MODULES = CHECKOUT / ".node" / "node_modules"
KNUTH = {"LMW0000005", "LMW0000006", "LMW0000007", "LMW0000008", "LMW0000009"}

pytestmark = pytest.mark.real_client

Programs = Callable[[str], str]


def run(*command: str, **environment: str) -> str:
    done = subprocess.run(
        command, capture_output=True, timeout=60, check=False,
        env={"LC_ALL": "C.UTF-8", **environment},
    )  # fmt: skip
    return (done.stdout + done.stderr).decode("utf-8", "backslashreplace")


# Catmandu::SRU (Perl)


def catmandu(
    programs: Programs,
    server: RunningServer,
    database: str,
    query: str,
    schema: str,
    parser: str = "struct",
    version: str = "1.1",
) -> list[dict[str, Any]]:
    base = f"http://demo1:demo1@{server.http}/{database}"
    script = str(HERE / "catmandu.pl")
    printed = run(programs("perl"), script, base, query, schema, parser, version)
    return [json.loads(line) for line in printed.splitlines()]


@pytest.mark.parametrize("version", ["1.1", "1.2"])
def test_catmandu_imports_marc_page_by_page(
    demo: RunningServer, client_program: Programs, version: str
) -> None:
    records = catmandu(
        client_program, demo, "we_cat", "author=knuth", "marcxml", "marcxml", version
    )
    assert {record["_id"] for record in records} == KNUTH
    assert len(records) == len(KNUTH)


def test_catmandu_imports_chinese_dublin_core(
    demo: RunningServer, client_program: Programs
) -> None:
    records = catmandu(client_program, demo, "cn_cat", "dc.title=史记", "dc", "simple")
    assert len(records) == 3
    titles = json.dumps(records, ensure_ascii=False)
    assert titles.count("史记") >= 3


@pytest.mark.parametrize(
    ("login", "query", "told"),
    [
        ("demo1:demo1", "dc.nothing=x", "info:srw/diagnostic/1/16 : Unsupported index"),
        ("demo3:wrong", "dc.title=x", "401 Unauthorized"),
    ],
)
def test_catmandu_hears_of_a_mistake(
    demo: RunningServer, client_program: Programs, login: str, query: str, told: str
) -> None:
    base = f"http://{login}@{demo.http}/we_cat"
    script = str(HERE / "catmandu.pl")
    printed = run(client_program("perl"), script, base, query, "marcxml", "struct", "1.1")
    assert printed.startswith(told)


# @natlibfi/sru-client (JavaScript)


def sru_client(
    programs: Programs, address: str, query: str, schema: str = "brief", version: str = "2.0"
) -> list[str]:
    if not (NODE_MODULES / "@natlibfi" / "sru-client").is_dir():
        pytest.fail("@natlibfi/sru-client is not installed: run `make test-tools`")
    script = str(HERE / "sru_client.cjs")
    return run(
        programs("node"), script, address, schema, version, query, NODE_PATH=str(NODE_MODULES)
    ).splitlines()


@pytest.mark.parametrize("version", ["1.1", "1.2", "2.0"])
def test_sru_client_retrieves_page_by_page(
    demo: RunningServer, client_program: Programs, version: str
) -> None:
    lines = sru_client(client_program, f"{demo.url}/we_cat", "author=knuth", version=version)
    assert lines[0] == "total 5"
    assert {line.removeprefix("record ") for line in lines[1:-1]} == KNUTH
    assert (len(lines), lines[-1]) == (7, "end")


def test_sru_client_finds_nothing_and_hears_of_a_mistake(
    demo: RunningServer, client_program: Programs
) -> None:
    address = f"{demo.url}/cn_cat"
    assert sru_client(client_program, address, "dc.title=xyzzy") == ["total 0", "end"]
    assert sru_client(client_program, address, "dc.nothing=x") == [
        "error Unsupported index, at character 1 of the query"
    ]
    refused = sru_client(client_program, address, "dc.title=史记", schema="marcxml")
    assert refused[0].startswith("error Unexpected response 401")


def test_sru_client_has_full_records_with_a_key_in_its_address(
    demo: RunningServer, client_program: Programs
) -> None:
    made = lianmu("member", "key", "add", "DEMO2", "node", "--config", str(demo.config))
    assert made.returncode == 0, made.stdout + made.stderr
    key = made.stdout.split("key ")[1].split()[0]
    # It puts `?` and its parameters behind whatever address it is given.
    address = f"{demo.url}/cn_cat?x-info-2-auth1.0-authenticationToken={key}&x-client=1"
    lines = sru_client(client_program, address, "dc.title=史记", schema="marcxml")
    assert lines[0] == "total 3"
    assert lines[-1] == "end"
    assert len(lines) == 5


# sruthi (Python)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("version", ["1.1", "1.2"])
def test_sruthi_reads_what_explain_tells(demo: RunningServer, version: str) -> None:
    info = sruthi.explain(f"{demo.url}/cn_cat", sru_version=version)
    assert info.server["database"] == "cn_cat"
    assert {"marcxml", "dc", "brief"} <= set(info.schema)
    assert "title" in info.index["dc"]
    assert str(info.config["maximumRecords"]) == "100"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("version", ["1.1", "1.2"])
def test_sruthi_pages_through_records(demo: RunningServer, version: str) -> None:
    records = sruthi.searchretrieve(
        f"{demo.url}/we_cat", query="author=knuth", record_schema="brief", maximum_records=2,
        sru_version=version,
    )  # fmt: skip
    assert records.count == 5
    assert len(list(records)) == 5
    with pytest.raises(sruthi.errors.SruthiError, match="Unsupported index"):
        sruthi.searchretrieve(f"{demo.url}/we_cat", query="dc.nothing=x", sru_version=version)


# curl


def curl(programs: Programs, *arguments: str) -> tuple[int, str, etree._Element]:
    """Status, content type and body."""
    printed = run(
        programs("curl"), "--silent", "--show-error", "--compressed", "--user", "demo1:demo1",
        "--write-out", "\n%{http_code} %{content_type}", *arguments,
    )  # fmt: skip
    body, _, told = printed.rpartition("\n")
    status, _, content_type = told.partition(" ")
    return int(status), content_type, etree.fromstring(body.encode())


FORM: Mapping[str, str] = {
    "version": "1.2", "operation": "searchRetrieve", "query": "dc.title=史记",
    "recordSchema": "brief",
}  # fmt: skip


@pytest.mark.parametrize("method", ["--get", "--no-get"])
def test_curl_asks_by_url_and_by_form(
    demo: RunningServer, client_program: Programs, method: str
) -> None:
    data = [
        part for name, value in FORM.items() for part in ("--data-urlencode", f"{name}={value}")
    ]
    status, content_type, root = curl(client_program, method, *data, f"{demo.url}/cn_cat")
    assert (status, content_type) == (200, "application/xml; charset=utf-8")
    assert texts(root, "zs:numberOfRecords") == ["3"]


def test_curl_posts_a_message_from_a_file(
    demo: RunningServer, client_program: Programs, tmp_path: Path
) -> None:
    message = tmp_path / "message.xml"
    message.write_text(
        f'<s:Envelope xmlns:s="{NAMESPACES["soap"]}"><s:Body><z:searchRetrieveRequest '
        f'xmlns:z="{NAMESPACES["zs"]}"><z:version>1.1</z:version><z:query>dc.title=史记</z:query>'
        "<z:maximumRecords>0</z:maximumRecords></z:searchRetrieveRequest></s:Body></s:Envelope>",
        "utf-8",
    )
    status, content_type, root = curl(
        client_program, "--data-binary", f"@{message}", "--header", "Content-Type: text/xml",
        "--header", 'SOAPAction: ""', f"{demo.url}/cn_cat",
    )  # fmt: skip
    assert (status, content_type) == (200, "text/xml; charset=utf-8")
    assert texts(root, "soap:Body/zs:searchRetrieveResponse/zs:numberOfRecords") == ["3"]

"""The benchmarks' own tools: what is generated, what is sent, what is read from /proc."""

from __future__ import annotations

import hashlib
import io
import os
import socketserver
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pymarc
import pytest

from benchmarks import apdus, server_cpu, vocabulary
from benchmarks.generate import Workload, generate, prepared
from benchmarks.load_generator import Exchange, LoadGenerator, Workpiece, known_item, search
from benchmarks.records import SEED, Generator, is_chinese, isbn13

COUNT = 1000
SHA256_OF_1000_RECORDS = "c8101541c0d0dea63e0a60660c7e5a4d2083ff6bd36e9643984a57f5fe89c5e8"


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, Workload]:
    path = tmp_path_factory.mktemp("generated") / "records.mrc"
    workload = generate(COUNT, path)
    return path.read_bytes(), workload


@pytest.fixture(scope="module")
def records(generated: tuple[bytes, Workload]) -> list[pymarc.Record]:
    found = list(pymarc.MARCReader(io.BytesIO(generated[0])))
    assert None not in found
    return found


def title_parts(record: pymarc.Record) -> list[str]:
    field = record["245"]
    return field.get_subfields("a", "b")


def test_the_same_seed_gives_the_same_records(generated: tuple[bytes, Workload]) -> None:
    assert hashlib.sha256(generated[0]).hexdigest() == SHA256_OF_1000_RECORDS


def test_a_record_depends_on_its_number_alone(generated: tuple[bytes, Workload]) -> None:
    generator = Generator(SEED)
    last_first = [generator.record(index).marc for index in (999, 500, 3, 0)]
    everything = generated[0].split(b"\x1d")
    assert [marc[:-1] for marc in last_first] == [everything[i] for i in (999, 500, 3, 0)]
    assert Generator(SEED + 1).record(0).marc != last_first[-1]


def test_pymarc_reads_every_record_with_the_fields_a_catalogue_has(
    records: list[pymarc.Record],
) -> None:
    assert len(records) == COUNT
    once = (
        "001 003 005 008 020 040 050 082 "
        "100 245 260 300 490 500 504 520"
    )  # fmt: skip
    for number, record in enumerate(records):
        tags = [field.tag for field in record.fields]
        assert [tag for tag in tags if tag not in {"650", "700"}] == once.split()
        assert tags.count("650") in {2, 3}
        assert tags.count("700") in {0, 1, 2}
        assert record["001"].data == f"LMB{number:09d}"
        assert len(record["008"].data) == 40
        assert record.leader[9] == "a"


def test_a_quarter_is_chinese(records: list[pymarc.Record]) -> None:
    chinese = [r for r in records if "\u4e00" <= title_parts(r)[0][0] <= "\u9fff"]
    assert len(chinese) == COUNT // 4
    assert {r["008"].data[35:38] for r in chinese} == {"chi"}


def test_records_have_about_1100_octets(generated: tuple[bytes, Workload]) -> None:
    sizes = [len(marc) + 1 for marc in generated[0].split(b"\x1d")[:-1]]
    assert 1050 < sum(sizes) / len(sizes) < 1200
    assert min(sizes) > 800
    assert max(sizes) < 1800


def test_isbns_are_valid_and_unique() -> None:
    isbns = [isbn13(index).decode() for index in range(20_000)]
    assert len(set(isbns)) == len(isbns)
    for index, isbn in enumerate(isbns):
        assert len(isbn) == 13
        assert sum(int(digit) * (1, 3)[place % 2] for place, digit in enumerate(isbn)) % 10 == 0
        assert isbn.startswith("9787" if is_chinese(index) else ("9780", "9781"))


def test_hit_counts_of_the_workload_are_true(
    generated: tuple[bytes, Workload], records: list[pymarc.Record]
) -> None:
    workload = generated[1]
    words = [set(" ".join(title_parts(r)).lower().replace(",", " ").split()) for r in records]
    parts = [title_parts(r) for r in records]
    for term in (*workload.terms_10k_hits, *workload.terms_1k_hits):
        assert sum(term.term in found for found in words) == term.hits
    assert workload.terms_10k_hits
    assert workload.terms_1k_hits
    for term in workload.chinese_words[:100]:
        assert len(term.term) == 2
        assert sum(any(term.term in part for part in found) for found in parts) == term.hits > 0


def test_queries_of_the_workload_find_something(
    generated: tuple[bytes, Workload], records: list[pymarc.Record]
) -> None:
    workload = generated[1]
    present = {r["020"]["a"].split()[0] for r in records}
    assert set(workload.isbns) <= present
    haystack = [(" ".join(title_parts(r)).lower(), r["100"]["a"]) for r in records]
    for one, other, author in workload.title_pair_and_author[:50]:
        assert any(one in title and other in title and author in name for title, name in haystack)


def test_a_workload_survives_its_file(tmp_path: Path) -> None:
    path, workload = prepared(20, tmp_path)
    assert path.stat().st_size > 20 * 800
    assert prepared(20, tmp_path) == (path, workload)


def test_no_series_name_has_a_word_of_a_title() -> None:
    titles = set(vocabulary.english_words(32_768)) | set(vocabulary.ENGLISH_STOP)
    titles.remove("and")
    for name in vocabulary.ENGLISH_SERIES:
        assert not titles & set(name.lower().split())
    chinese = set(vocabulary.chinese_words(8_192))
    for name in vocabulary.CHINESE_SERIES:
        assert not chinese & {name[i : i + 2] for i in range(len(name) - 1)}
        # Nor does a title's last character make one with the first of a series.
        assert not any(word.endswith(name[0]) for word in chinese)
    assert not any("兼" in word for word in chinese)


SEARCH_RESPONSE = bytes.fromhex("b70f 970101 980100 990101 960101 850100".replace(" ", ""))
# PresentResponse with indefinite lengths, as YAZ sends it: one record inside.
PRESENT_RESPONSE = bytes.fromhex("b980 980101 990102 9b0100 bc80 3080 810431323334 0000 0000 0000")


@pytest.mark.parametrize("wire", [SEARCH_RESPONSE, PRESENT_RESPONSE])
def test_an_apdu_ends_where_its_last_octet_is(wire: bytes) -> None:
    assert apdus.apdu_end(wire) == len(wire)
    assert apdus.apdu_end(wire + wire) == len(wire)
    assert apdus.apdu_end(wire + wire, len(wire)) == 2 * len(wire)
    for size in range(len(wire)):
        assert apdus.apdu_end(wire[:size]) is None


def test_counts_are_read_from_either_form_of_length() -> None:
    assert apdus.integer_element(SEARCH_RESPONSE, apdus.RESULT_COUNT) == 1
    assert apdus.integer_element(PRESENT_RESPONSE, apdus.RECORDS_RETURNED) == 1
    assert apdus.integer_element(PRESENT_RESPONSE, apdus.RESULT_COUNT) is None


@pytest.mark.parametrize(
    "request_apdu",
    [
        apdus.init_request("user", "password"),
        apdus.search_request("db", apdus.term(4, "语" * 100), piggyback=True),
        apdus.present_request(10_000, 10),
        apdus.scan_request("db", 4, "word", 20),
        apdus.sort_request(4),
        apdus.close_request(),
    ],
)
def test_a_request_is_one_whole_apdu(request_apdu: bytes) -> None:
    assert apdus.apdu_end(request_apdu) == len(request_apdu)


def test_a_close_is_encoded_as_the_standard_has_it() -> None:
    assert apdus.close_request().hex() == "bf30059f81530100"


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        (SEARCH_RESPONSE, ""),
        (PRESENT_RESPONSE, "APDU b980 instead of b7"),
        (SEARCH_RESPONSE.replace(b"\x97\x01\x01", b"\x97\x01\x00"), "element 0x97 is 0"),
    ],
)
def test_a_wrong_answer_is_named(answer: bytes, complaint: str) -> None:
    found = search("db", apdus.term(4, "x")).complaint(answer)
    assert found.startswith(complaint)
    assert bool(found) == bool(complaint)


def test_a_record_without_the_isbn_is_wrong() -> None:
    exchange = known_item("db", "9780000000002")[1]
    assert "without" in exchange.complaint(PRESENT_RESPONSE)


INIT_RESPONSE = bytes.fromhex("b503 8c01ff")
HITS_BY_TERM = {b"one": SEARCH_RESPONSE, b"two": SEARCH_RESPONSE.replace(b"\x97\1\1", b"\x97\1\2")}


class _Canned(socketserver.BaseRequestHandler):
    """Answers Init and searches for `one` and `two`; the Close too."""

    def handle(self) -> None:
        while data := self.request.recv(65536):
            if data.startswith(b"\xb4"):
                self.request.sendall(INIT_RESPONSE)
            elif data.startswith(apdus.CLOSE):
                self.request.sendall(apdus.close_request())
                return
            else:
                answer = next(a for term, a in HITS_BY_TERM.items() if term in data)
                # In two parts, so that framing is needed.
                self.request.sendall(answer[:3])
                self.request.sendall(answer[3:])


@pytest.fixture
def canned_server() -> Iterator[tuple[str, int]]:
    class Threads(socketserver.ThreadingTCPServer):
        daemon_threads = True

    with Threads(("127.0.0.1", 0), _Canned) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield server.server_address[0], server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


def exchange_for(term: str) -> tuple[Exchange]:
    return (search("db", apdus.term(4, term), most=1),)


@pytest.mark.parametrize("sessions", [False, True])
def test_the_load_generator_counts_operations_and_wrong_answers(
    canned_server: tuple[str, int], sessions: bool
) -> None:
    with LoadGenerator(canned_server, connections=3, idle=2) as generator:
        piece = Workpiece((exchange_for("one"), exchange_for("two")), sessions)
        load = generator.run(piece, seconds=30, operations=40)
        assert (load.operations, load.errors) == (40, 20)
        assert "element 0x97 is 2, not 1 to 1" in load.error_examples[0]
        load = generator.run(Workpiece((exchange_for("one"),), sessions), seconds=30, operations=5)
        assert (load.operations, load.errors) == (5, 0)
        assert 0 < load.p50_us <= load.p99_us <= load.max_us


def test_the_load_generator_says_that_nobody_listens() -> None:
    with pytest.raises(RuntimeError, match="refused"):
        LoadGenerator(("127.0.0.1", 1), connections=1)


BURN = "import time\nwhile time.process_time() < {seconds}: pass\n"


def test_cpu_of_ended_and_of_living_descendants_is_counted() -> None:
    # A parent that waits for one child, then keeps another one: both count.
    script = (
        "import subprocess, sys\n"
        f"subprocess.run([sys.executable, '-c', {BURN.format(seconds=0.2)!r}])\n"
        f"living = {BURN.format(seconds=0.3)!r} + 'print(flush=True)\\ninput()\\n'\n"
        "subprocess.run([sys.executable, '-c', living])\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert len(server_cpu.tree(process.pid)) == 2
        assert 0.45 < server_cpu.cpu_s(process.pid) < 5
        assert server_cpu.memory_bytes(process.pid) > 1 << 20
        process.communicate(b"\n")
    with pytest.raises(ProcessLookupError):
        server_cpu.cpu_s(process.pid)


def test_cpu_never_falls_below_what_the_process_itself_reads() -> None:
    times = os.times()
    assert server_cpu.cpu_s(os.getpid()) >= times.user + times.system - 0.02


def test_holes_of_sparse_files_are_not_disk(tmp_path: Path) -> None:
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(1 << 30)
    assert server_cpu.disk_bytes(tmp_path) < 1 << 20

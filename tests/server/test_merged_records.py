"""What clients see of records that were merged, while the server runs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from protocol import oid
from protocol.diagnostic import Bib1
from protocol.iso2709 import control_field, control_number
from protocol.record import StoredRecord
from server.config import load_config
from store.editing import Editor
from store.rights import MEMBER_RIGHTS
from store.writer import CatalogueWriter
from tests.harness import RunningServer
from tests.server import sru_client
from tests.server.own_server import cnmarc, own_server
from tests.server.test_sru_update import element
from tests.z3950_client import connected, records, surrogates


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    rights = (*MEMBER_RIGHTS, "upload")
    folder = tmp_path_factory.mktemp("merged")
    with own_server(folder, {"ru_cat": []}, rights=rights) as server:
        yield server


def test_a_merged_record_says_where_it_went_and_its_number_finds_that(
    shelf: RunningServer,
) -> None:
    config = load_config(shelf.config)
    writer = CatalogueWriter(config.data_dir)
    try:
        ids = []
        for number in ("m1", "m2"):
            stored = writer.put("ru_cat", cnmarc(number, "Слияние"))
            assert isinstance(stored, StoredRecord)
            ids.append(stored.record_id)
        with connected(shelf.z3950, "demo1/demo1") as client:
            assert client.search("@attr 1=4 слияние", "ru_cat").result_count == 2
            Editor(writer).merge(*ids, account="op")
            response = client.present(1, 2, oid.UNIMARC)
            assert surrogates(response) == [(Bib1.RECORD_DELETED, "m2: merged into m1")]
            assert client.search("@attr 1=12 m2", "ru_cat").result_count == 1
            (found,) = records(client.present(1, 1, oid.UNIMARC))
            assert control_number(found) == "m1"
            assert control_field(found, "005")
        answer = sru_client.search(shelf, "ru_cat", "rec.identifier = m2")
        assert answer.texts("//m:controlfield[@tag='001']") == ["m1"]
        page = sru_client.send(shelf, "ru_cat/record/m2")
        assert page.status == 200
        assert page.body == sru_client.send(shelf, "ru_cat/record/m1").body
        refused = sru_client.soap(shelf, "ru_cat", element("delete", "m2", ""))
        assert refused.diagnostics == ["12/50"]
        assert refused.texts("//d:details") == ["m2 was merged into m1 / 记录 m2 已并入 m1"]
    finally:
        writer.close()

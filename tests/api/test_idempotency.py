"""A request that is sent again with its Idempotency-Key is carried out once."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from store.api_idempotency import KEPT_US, LEASE_US, ApiIdempotency, Kept, State
from tests.api.client import V1, Answer, Client
from tests.api.conftest import api_server
from tests.harness import RunningServer, serving

KEYS = f"{V1}/institutions/DEMO1/keys"
INSTITUTIONS = f"{V1}/institutions"


def test_a_repeated_request_is_answered_as_the_first_was(
    member: Client, other: Client, operator: Client
) -> None:
    body = {"code": "IDEM", "name": "Idem"}
    first = operator.post(INSTITUTIONS, body, Idempotency_Key="i-1")
    second = operator.post(INSTITUTIONS, body, Idempotency_Key="i-1")
    assert (first.status, second.status) == (201, 201)
    assert first.body == second.body
    assert first.header("Location") == second.header("Location")
    assert (first.header("Idempotency-Replayed"), second.header("Idempotency-Replayed")) == (
        "", "true",
    )  # fmt: skip
    assert len(operator.every(f"{INSTITUTIONS}/IDEM/audit")) == 1
    # Without the key, or with another one, it is another request.
    operator.post(INSTITUTIONS, body).problem(409, "conflict")
    operator.post(INSTITUTIONS, body, Idempotency_Key="i-2").problem(409, "conflict")
    # The key with anything else is a mistake.
    told = operator.post(INSTITUTIONS, {**body, "name": "Other"}, Idempotency_Key="i-1")
    told.problem(422, "idempotency-key-reused")
    operator.post(f"{INSTITUTIONS}/IDEM/sign", body, Idempotency_Key="i-1").problem(422, "invalid")
    operator.post(INSTITUTIONS, body, Idempotency_Key="x" * 201).problem(400, "parameter")
    operator.post(INSTITUTIONS, body, Idempotency_Key="two words").problem(400, "parameter")
    # Keys are each account's own.
    mine = member.post(KEYS, {"name": "mine"}, Idempotency_Key="shared")
    theirs = other.post(f"{INSTITUTIONS}/DEMO2/keys", {"name": "mine"}, Idempotency_Key="shared")
    assert (mine.status, theirs.status) == (201, 201)
    assert theirs.header("Idempotency-Replayed") == ""


def test_a_secret_is_not_kept_for_a_repeated_request(server: RunningServer, member: Client) -> None:
    first = member.post(KEYS, {"name": "once"}, Idempotency_Key="s-1").ok(201)
    second = member.post(KEYS, {"name": "once"}, Idempotency_Key="s-1").ok(201)
    assert first["secret"].startswith("lianmu_")
    assert second == {"key": first["key"], "secret": None}
    folder = server.config.parent / "data"
    for file in folder.glob("api.sqlite*"):
        assert first["secret"].encode() not in file.read_bytes()


def test_a_refused_request_may_be_mended_and_sent_with_its_key(member: Client) -> None:
    member.post(KEYS, {"name": "taken"}).ok(201)
    member.post(KEYS, {"name": "taken"}, Idempotency_Key="m-1").problem(409, "conflict")
    assert member.post(KEYS, {"name": "free"}, Idempotency_Key="m-1").status == 201


def test_of_requests_at_once_one_is_carried_out(tmp_path: Path) -> None:
    with api_server(tmp_path, workers=2) as server:
        answers: list[Answer] = []
        barrier = threading.Barrier(6)

        def send() -> None:
            client = Client(server.url, ("demo1", "demo1"))
            client.get(f"{V1}/me").ok()
            barrier.wait(30)
            answers.append(client.post(KEYS, {"name": "race"}, Idempotency_Key="race"))

        threads = [threading.Thread(target=send) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert len(answers) == 6
        assert {answer.status for answer in answers} <= {201, 409}
        secrets = [answer.json["secret"] for answer in answers if answer.status == 201]
        assert len([secret for secret in secrets if secret]) == 1
        for answer in answers:
            if answer.status == 409:
                answer.problem(409, "idempotency-key-in-use")
                assert answer.header("Retry-After") == "1"
        member = Client(server.url, ("demo1", "demo1"))
        assert len(member.every(KEYS)) == 1
        answered = member.post(KEYS, {"name": "race"}, Idempotency_Key="race")
        server.stop()
        # And after a restart it is still known.
        with serving(server.config) as again:
            member = Client(again.url, ("demo1", "demo1"))
            repeated = member.post(KEYS, {"name": "race"}, Idempotency_Key="race")
            assert repeated.body == answered.body
            assert repeated.header("Idempotency-Replayed") == "true"


@pytest.fixture
def kept(tmp_path: Path) -> ApiIdempotency:
    return ApiIdempotency(tmp_path / "api.sqlite")


def test_a_request_is_new_then_running_then_done(kept: ApiIdempotency, tmp_path: Path) -> None:
    assert kept.begin("a", "k", b"1", 0).state is State.NEW
    elsewhere = ApiIdempotency(tmp_path / "api.sqlite")  # another worker
    assert elsewhere.begin("a", "k", b"1", 1).state is State.RUNNING
    assert elsewhere.begin("a", "k", b"2", 1).state is State.OTHER
    assert elsewhere.begin("b", "k", b"2", 1).state is State.NEW
    answer = Kept(201, {"Location": "/x"}, b"{}")
    kept.finish("a", "k", answer)
    found = elsewhere.begin("a", "k", b"1", 2)
    assert (found.state, found.kept) == (State.DONE, answer)
    kept.forget("a", "k")  # what has an answer stays
    assert elsewhere.begin("a", "k", b"1", 3).state is State.DONE
    kept.forget("b", "k")
    assert elsewhere.begin("b", "k", b"3", 3).state is State.NEW
    elsewhere.close()
    kept.close()


def test_what_a_dead_process_had_begun_is_taken_over_in_time(kept: ApiIdempotency) -> None:
    assert kept.begin("a", "k", b"1", 0).state is State.NEW
    assert kept.begin("a", "k", b"1", LEASE_US - 1).state is State.RUNNING
    assert kept.begin("a", "k", b"1", LEASE_US).state is State.NEW
    assert kept.begin("a", "k", b"1", LEASE_US + 1).state is State.RUNNING
    kept.close()


def test_answers_are_kept_for_longer_than_a_day_and_then_forgotten(kept: ApiIdempotency) -> None:
    assert KEPT_US >= 24 * 3_600_000_000
    kept.begin("a", "k", b"1", 0)
    kept.finish("a", "k", Kept(200, {}, b"{}"))
    assert kept.begin("a", "k", b"1", KEPT_US).state is State.DONE
    assert kept.begin("a", "k", b"2", KEPT_US + 1).state is State.NEW
    kept.close()

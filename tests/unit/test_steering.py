"""Which of several sockets on one port gets the next connection, told to the system itself."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from server.steering import Place, Steering

WORKERS = 3


def _listening(port: int) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen()
    listener.setblocking(False)
    return listener


class Port:
    """The sockets of some workers on one port, and who connects to it."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        first = stack.enter_context(_listening(0))
        self.address = first.getsockname()
        self.listeners = [first]
        for _ in range(WORKERS - 1):
            self.listeners.append(stack.enter_context(_listening(self.address[1])))

    def connect(self, places: list[Place]) -> int:
        """Who gets one more connection; it stays open."""
        self._stack.enter_context(socket.create_connection(self.address))
        for worker, listener in enumerate(self.listeners):
            try:
                accepted, _ = listener.accept()
            except BlockingIOError:
                continue
            self._stack.enter_context(accepted)
            places[worker].opened()
            return worker
        raise AssertionError("nobody was given the connection")


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as opened:
        yield opened


@pytest.fixture
def port(stack: ExitStack) -> Port:
    return Port(stack)


def _begun(steering: Steering) -> list[Place]:
    assert steering.is_on
    return [steering.begin(worker) for worker in range(WORKERS)]


def test_a_worker_is_given_some_connections_before_the_next_gets_its_first(port: Port) -> None:
    places = _begun(Steering([port.listeners], 2))
    given = [port.connect(places) for _ in range(12)]
    assert given == [0, 0, 1, 1, 2, 2, 0, 0, 1, 1, 2, 2]


def test_together_1_is_one_after_the_other(port: Port) -> None:
    places = _begun(Steering([port.listeners], 1))
    assert [port.connect(places) for _ in range(6)] == [0, 1, 2, 0, 1, 2]


def test_a_connection_that_ended_leaves_its_place_to_another(port: Port) -> None:
    places = _begun(Steering([port.listeners], 2))
    assert [port.connect(places) for _ in range(4)] == [0, 0, 1, 1]
    places[0].closed()
    assert [port.connect(places) for _ in range(2)] == [0, 2]


def test_connections_of_all_ports_are_counted_together(stack: ExitStack) -> None:
    z3950, http = Port(stack), Port(stack)
    places = _begun(Steering([z3950.listeners, http.listeners, []], 2))
    assert [each.connect(places) for each in (z3950, http, z3950, http)] == [0, 0, 1, 1]


def test_a_worker_that_is_set_aside_is_passed_over_until_it_begins_again(port: Port) -> None:
    steering = Steering([port.listeners], 2)
    places = _begun(steering)
    assert port.connect(places) == 0
    steering.set_aside(0, aside=True)
    assert [port.connect(places) for _ in range(6)] == [1, 1, 2, 2, 1, 1]
    places[0] = steering.begin(0)
    assert [port.connect(places) for _ in range(3)] == [0, 0, 0]


def test_where_all_are_set_aside_somebody_still_gets_connections(port: Port) -> None:
    steering = Steering([port.listeners], 1)
    places = _begun(steering)
    for worker in range(WORKERS):
        steering.set_aside(worker, aside=True)
    assert sorted(port.connect(places) for _ in range(WORKERS)) == [0, 1, 2]


@pytest.mark.parametrize("together", [0, 16])
def test_nothing_is_steered_with_one_worker_or_without_a_number(port: Port, together: int) -> None:
    sockets = port.listeners[:1] if together else port.listeners
    steering = Steering([sockets], together)
    assert not steering.is_on
    place = steering.begin(0)
    place.opened()
    place.closed()


def test_what_the_system_refuses_leaves_connections_to_chance(
    stack: ExitStack, caplog: pytest.LogCaptureFixture
) -> None:
    alone = [stack.enter_context(socket.socket(socket.AF_UNIX)) for _ in range(2)]
    assert not Steering([alone], 2).is_on
    assert "spread over the workers by chance" in caplog.text

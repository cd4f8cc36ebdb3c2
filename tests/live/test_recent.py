"""The last errors and refusals, whichever process said them."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator

import pytest

from server.live.recent import EVENTS_MAX, Event, Recent
from server.log import Log

log = Log("lianmu.test")
PLACE = Recent.__module__


@pytest.fixture
def recent() -> Iterator[Recent]:
    recent = Recent(2)
    before = logging.getLogger().handlers[:]
    recent.keep("worker-1")
    yield recent
    logging.getLogger().handlers[:] = before


def test_what_is_said_in_the_log_is_kept_with_its_fields(recent: Recent) -> None:
    log.info("not kept")
    log.warning("login refused", account="demo", address="10.0.0.1")
    try:
        raise OSError("disk full")
    except OSError:
        log.exception("page failed", path="/")
    error, warning = recent.events()
    assert (warning.level, warning.event) == ("warning", "login refused")
    assert warning.fields == {"account": "demo", "address": "10.0.0.1"}
    assert (error.process, error.level, error.event) == ("worker-1", "error", "page failed")
    assert error.error == "OSError: disk full"
    assert error.at_us >= warning.at_us > 1_600_000_000_000_000


def test_many_refusals_do_not_push_out_an_error(recent: Recent) -> None:
    log.error("ledger cannot be read")
    for number in range(EVENTS_MAX * 3):
        log.warning("login refused", number=number)
    events = recent.events()
    assert [event.event for event in events].count("login refused") == EVENTS_MAX
    assert events[0].fields == {"number": str(EVENTS_MAX * 3 - 1)}
    assert events[-1].event == "ledger cannot be read"
    assert len(recent.events(5)) == 5


@pytest.mark.parametrize("text", ["汉" * 5000, "\x00" * 5000], ids=["long", "nul"])
def test_a_long_or_odd_text_is_cut_and_kept(recent: Recent, text: str) -> None:
    log.warning("odd", **{f"f{number}": text for number in range(40)})
    log.warning(text)
    try:
        raise ValueError(text)
    except ValueError:
        log.exception("failed")
    events = recent.events()
    assert {event.event[:3] for event in events} == {"odd", text[:3], "fai"}


def test_half_a_character_stops_nobody(recent: Recent) -> None:
    """Given to the handler itself: what runs the tests could not pass the text on."""
    handlers = [each for each in logging.getLogger().handlers if type(each).__module__ == PLACE]
    assert handlers
    for handler in handlers:
        handler.emit(logging.LogRecord("x", logging.WARNING, "", 0, "odd \ud800", None, None))
    log.warning("even")
    assert "even" in {event.event for event in recent.events()}


def test_what_another_process_said_is_there_when_it_is_gone(recent: Recent) -> None:
    pid = os.fork()
    if pid == 0:
        recent.keep("writer")
        log.error("chore failed", chore="fold")
        os._exit(0)
    os.waitpid(pid, 0)
    (event,) = recent.events()
    assert (event.process, event.fields) == ("writer", {"chore": "fold"})


def test_only_the_handler_of_this_process_is_left(recent: Recent) -> None:
    recent.keep("worker-0")
    log.error("once")
    assert [event.process for event in recent.events()] == ["worker-0"]


def test_an_event_that_is_being_written_is_left_out() -> None:
    recent = Recent(1)
    recent.add(Event(1, "writer", "error", "whole", {}))
    recent.add(Event(2, "writer", "error", "torn", {}))
    place = recent._memory.find(b"torn")
    recent._memory[place : place + 1] = b'"'
    assert [event.event for event in recent.events()] == ["whole"]

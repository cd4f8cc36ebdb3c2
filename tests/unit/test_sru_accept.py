"""The media type of a response, by the rules of HTTP's Accept."""

from __future__ import annotations

import pytest

from protocol.sru_accept import choose_media_type


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        ("*/*", "application/xml"),
        ("text/xml", "text/xml"),
        ("text/*", "text/xml"),
        ("application/sru+xml", "application/sru+xml"),
        ("application/*;q=0.5, text/xml;q=0.6", "text/xml"),
        ("application/*, application/xml;q=0", "application/sru+xml"),
        ("TEXT/XML ; q=0.3 , application/sru+xml ; q=0.31", "application/sru+xml"),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "application/xml"),
        ("text/html", None),
        ("text/xml;q=0", None),
        ("text/xml;q=0.000, */*;q=0", None),
        ("nonsense", None),
        ("", None),
        ("text/xml;charset=utf-8", "text/xml"),
    ],
)
def test_the_best_type_is_chosen(accept: str, chosen: str | None) -> None:
    assert choose_media_type(accept) == chosen


def test_an_endless_header_is_read_to_a_bound() -> None:
    assert choose_media_type("a/b," * 100_000 + "text/xml") is None

"""Reading what forms send: a form that is none is told, not taken for a fault of ours."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager

from aiohttp.http import HttpProcessingError
from aiohttp.web_request import FileField
from multidict import MultiDictProxy

TEXT_CHARS_MAX = 1_000

Form = MultiDictProxy[str | bytearray | FileField | bytes]


class FormUnreadableError(Exception):
    """What was sent is no form: its parts, its encoding or its octets are wrong."""


@contextmanager
def form_faults() -> Iterator[None]:
    """Tell what aiohttp raises on a broken form from what goes wrong here.

    Raises:
        FormUnreadableError: in the place of those.
    """
    try:
        yield
    except (HttpProcessingError, ValueError, LookupError, RuntimeError) as error:
        # Of parts without an end or a boundary, of octets that are not in the
        # character set, of a character set and of a transfer encoding unknown.
        raise FormUnreadableError(str(error)) from error


def text_of(form: Form, name: str) -> str:
    """A field of a form, at most TEXT_CHARS_MAX, "" where there is none or it is a file.

    Blanks and control characters, which nobody types, become single blanks.
    """
    value = form.get(name, "")
    if not isinstance(value, str):
        return ""
    kept = "".join(" " if unicodedata.category(char) == "Cc" else char for char in value)
    return " ".join(kept.split())[:TEXT_CHARS_MAX]

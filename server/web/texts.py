"""What pages say, in Chinese and English, and which of the two a browser gets."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib import resources

# The first is the one for browsers that prefer neither.
LANGUAGES = ("zh", "en")

Tables = dict[str, dict[str, str]]


class Texts:
    """The texts of one language: every `pages/messages/<area>.<language>.toml`, together.

    A key of the table `[text]` of any area is asked for by itself, one of the
    table `[console]` as `console.key`; the other tables say what codes mean.
    """

    def __init__(self, language: str, tables: Tables) -> None:
        self.language = language
        self.tables = tables

    def __call__(self, key: str, **values: object) -> str:
        """The text `key` with its blanks filled in; numbers are grouped by thousands.

        Raises:
            KeyError: there is no such text, or a blank has no value.
        """
        table, _, rest = key.rpartition(".")
        text = self.tables[table or "text"][rest]
        shown = {
            name: f"{value:,}" if name == "count" and isinstance(value, int) else value
            for name, value in values.items()
        }
        return text.format(**shown) if shown else text

    def count(self, key: str, one: str, count: int) -> str:
        """`one` for a single thing, else `key` with the number of them."""
        return self(one) if count == 1 else self(key, count=count)

    def name(self, table: str, code: str) -> str:
        """What a code means; the code itself where no text says."""
        return self.tables[table].get(code, code)


@cache
def texts(language: str) -> Texts:
    """The texts of one of LANGUAGES.

    Raises:
        ValueError: two areas have a text of the same name.
    """
    tables: Tables = {}
    folder = resources.files("server").joinpath("pages", "messages")
    for source in folder.iterdir():
        if source.name.endswith(f".{language}.toml"):
            _add(tables, tomllib.loads(source.read_text("utf-8")), source.name)
    return Texts(language, tables)


def _add(tables: Tables, further: Tables, source: str) -> None:
    for name, table in further.items():
        known = tables.setdefault(name, {})
        if twice := known.keys() & table.keys():
            raise ValueError(
                f"{source}: [{name}] {', '.join(sorted(twice))} is in another file too"
            )
        known |= table


def preferred_language(accept_language: str) -> str:
    """The one of LANGUAGES that an Accept-Language header ranks highest (RFC 9110 §12.5.4)."""
    best, best_quality = LANGUAGES[0], 0.0
    for part in accept_language.split(","):
        tag, quality = quality_of(part)
        language = tag.partition("-")[0]
        if language in LANGUAGES and quality > best_quality:
            best, best_quality = language, quality
    return best


def prefers_html(accept: str) -> bool:
    """Whether an Accept header names HTML, and no XML before it (RFC 9110 §12.5.1)."""
    html, xml = 0.0, 0.0
    for part in accept.split(","):
        media_type, quality = quality_of(part)
        if media_type in {"text/html", "application/xhtml+xml"}:
            if quality > xml:
                html = max(html, quality)
        elif media_type in {"application/xml", "text/xml", "application/sru+xml"}:
            xml = max(xml, quality)
    return html > 0 and html >= xml


def quality_of(part: str) -> tuple[str, float]:
    """One element of a header with its weight: 1 where it has none, 0 where it is no number."""
    value, *parameters = (each.strip().lower() for each in part.split(";"))
    for parameter in parameters:
        name, _, number = parameter.partition("=")
        if name.strip() == "q":
            try:
                return value, min(max(float(number), 0.0), 1.0)
            except ValueError:
                return value, 0.0
    return value, 1.0

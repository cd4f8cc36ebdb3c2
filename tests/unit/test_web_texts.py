"""What pages say: the same in both languages, and nothing that no page says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from server.web.texts import LANGUAGES, _add, texts

SERVER = Path(__file__).resolve().parents[2] / "server"
# Tables of names of codes, which are asked for by what a record or an account has.
AREAS = ("text", "nav", "status", "console", "my")
# Beginnings of keys that are put together with a code: "my.phase_" ~ phase.
_MADE = re.compile(r"""['"]((?:\w+\.)?\w+_)(?:['"]\s*[~+]|\{)""")


def test_both_languages_say_the_same_things() -> None:
    chinese, english = (texts(language).tables for language in LANGUAGES)
    assert {table: set(keys) for table, keys in chinese.items()} == {
        table: set(keys) for table, keys in english.items()
    }
    for table, keys in english.items():
        for key, text in keys.items():
            blanks = set(re.findall(r"{(\w+)}", text))
            assert set(re.findall(r"{(\w+)}", chinese[table][key])) == blanks, (table, key)


def test_every_text_is_used_and_every_text_used_is_there() -> None:
    sources = [*SERVER.joinpath("pages").rglob("*.html"), *SERVER.rglob("*.py")]
    source = "\n".join(path.read_text("utf-8") for path in sources)
    tables = texts("en").tables
    used = re.findall(r"\bt(?:exts)?\(\s*['\"](?:(\w+)\.)?(\w+)['\"]\s*[,)]", source)
    assert used
    for area, key in used:
        assert key in tables[area or "text"], (area, key)
    beginnings = tuple(set(_MADE.findall(source)))
    for area in set(AREAS) & set(tables):
        for key in tables[area]:
            name = key if area == "text" else f"{area}.{key}"
            said = name.startswith(beginnings) or re.search(rf"['\"]{re.escape(name)}['\"]", source)
            assert said, name


def test_two_areas_do_not_say_the_same_key_differently() -> None:
    tables = {"text": {"a": "1"}}
    with pytest.raises(ValueError, match="a is in another file too"):
        _add(tables, {"text": {"a": "2"}}, "other.en.toml")
    _add(tables, {"text": {"b": "2"}, "other": {"a": "3"}}, "other.en.toml")
    assert tables == {"text": {"a": "1", "b": "2"}, "other": {"a": "3"}}


def test_a_text_of_an_area_is_asked_for_by_its_name() -> None:
    assert texts("en")("nav.status") == "Status"
    assert texts("zh")("nav.status") == "运行状态"
    with pytest.raises(KeyError):
        texts("en")("nav.nowhere")

"""Cyrillic in the Latin letters that readers type."""

from __future__ import annotations

import pytest

from store.cyrillic import romanised


@pytest.mark.parametrize(
    ("text", "forms"),
    [
        ("Чехов", {"chekhov", "cechov", "cehov"}),
        ("Достоевский", {"dostoevskii", "dostoevsky", "dostoyevsky", "dostoevskij"}),
        ("Евгений", {"evgenii", "evgeny", "yevgeny", "evgenij"}),
        ("Толстой", {"tolstoi", "tolstoy", "tolstoj"}),
        ("Щедрин", {"shchedrin", "scedrin", "sedrin"}),
        ("Юрий", {"iurii", "yury", "jurij", "urij"}),
        ("Война и мир", {"voina i mir", "voyna i mir", "vojna i mir"}),
    ],
)
def test_a_word_has_a_form_for_each_way_to_write_it(text: str, forms: set[str]) -> None:
    assert set(romanised(text)) == forms


def test_other_scripts_have_none() -> None:
    assert romanised("Чехов") and romanised("Война 1812")
    assert romanised("War and peace") == romanised("戦争と平和") == []

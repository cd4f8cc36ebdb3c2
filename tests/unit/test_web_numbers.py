"""Only ASCII digits within bounds are a number."""

from __future__ import annotations

import pytest

from server.web.numbers import NUMBER_MAX, number_of


@pytest.mark.parametrize("text", ["", "-1", "+1", "1.0", " 1", "1_0", "x", "²", "１", "9" * 5_000])
def test_what_is_no_number_is_the_default(text: str) -> None:
    assert number_of(text, 7) == 7


def test_a_number_has_its_bounds() -> None:
    assert [number_of(text, -1, 20) for text in ("0", "020", "20", "21")] == [0, 20, 20, -1]
    assert number_of(str(NUMBER_MAX)) == NUMBER_MAX
    assert number_of(str(NUMBER_MAX + 1)) == 0

"""Which of our forms a client's Accept header asks for.

Source: RFC 9110 §12.5.1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def chosen_form(accept: str, forms: Mapping[str, Sequence[str]]) -> str | None:
    """The name of the form that the client likes best, the first of several alike.

    `forms` gives the media types that ask for each. Without Accept it is the first form;
    None: the header names none of them.
    """
    if not accept.strip():
        return next(iter(forms))
    asked = [_range(part) for part in accept.split(",") if part.strip()]
    best, best_quality = None, 0.0
    for name, media_types in forms.items():
        quality = max((_quality(media, asked) for media in media_types), default=0.0)
        if quality > best_quality:
            best, best_quality = name, quality
    return best


def _range(part: str) -> tuple[str, float]:
    media, *parameters = (each.strip() for each in part.lower().split(";"))
    quality = 1.0
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                quality = min(max(float(value), 0.0), 1.0)
            except ValueError:
                quality = 0.0
    return media, quality


def _quality(media: str, asked: Sequence[tuple[str, float]]) -> float:
    """How much it is liked, by the range that is most exact of those that hold it."""
    kind = media.partition("/")[0]
    for wanted in (media, f"{kind}/*", "*/*"):
        found = [quality for each, quality in asked if each == wanted]
        if found:
            return found[0]
    return 0.0

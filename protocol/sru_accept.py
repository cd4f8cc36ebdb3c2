"""Which media type an SRU response has: the Accept header and httpAccept of 2.0."""

from __future__ import annotations

import re

SRU_XML = "application/sru+xml"
# What a response can be sent as; where a client leaves the choice, the first.
MEDIA_TYPES = ("application/xml", "text/xml", SRU_XML)
_RANGES_MAX = 32
_RANGE = re.compile(r"\s*([\w*+.-]+/[\w*+.-]+)\s*(?:;(.*))?$")
_QUALITY = re.compile(r"(?:^|;)\s*q\s*=\s*(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)\s*(?:;|$)")


def choose_media_type(accept: str) -> str | None:
    """The best of MEDIA_TYPES by the rules of HTTP's Accept; None: none will do.

    Source: RFC 9110 §12.5.1.
    """
    qualities: dict[str, float] = {}
    for each in accept.lower().split(",")[:_RANGES_MAX]:
        matched = _RANGE.match(each)
        if matched:
            quality = _QUALITY.search(matched[2] or "")
            qualities[matched[1]] = float(quality[1]) if quality else 1.0
    best, best_quality = None, 0.0
    for media_type in MEDIA_TYPES:
        quality_here = next(
            (
                qualities[name]
                for name in (media_type, f"{media_type.partition('/')[0]}/*", "*/*")
                if name in qualities
            ),
            0.0,
        )
        if quality_here > best_quality:
            best, best_quality = media_type, quality_here
    return best

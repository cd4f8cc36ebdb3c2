"""Text inside XML: escaped, and free of the characters that XML 1.0 forbids."""

from __future__ import annotations

import re

# XML 1.0 §2.2: what may not stand in a document, not even as a reference.
_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_SPECIAL = re.compile('[&<>"\r]')
_ESCAPES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\r": "&#13;"}


def escape(text: str) -> str:
    """`text` for element content or an attribute value in double quotes.

    Forbidden characters (controls, unpaired surrogates) become U+FFFD.
    """
    if not text.isprintable():
        text = _FORBIDDEN.sub("\ufffd", text)
    if _SPECIAL.search(text):
        text = _SPECIAL.sub(lambda match: _ESCAPES[match[0]], text)
    return text

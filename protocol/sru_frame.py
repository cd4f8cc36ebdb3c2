"""SRU responses to requests of one kind, whose parts that stay the same are made once.

`sru_response.search_response` makes any response of a search; what nearly all of them
are, a count and whole records, is put together here from fewer pieces.
"""

from __future__ import annotations

from collections.abc import Sequence

from protocol.sru_request import SearchRetrieveRequest
from protocol.sru_response import plain_pieces
from protocol.xml_text import escape

_AFTER_COUNT = b"</zs:numberOfRecords>"
_AFTER_DATA = b"</zs:recordData>"


class ResponseFrame:
    """What the responses to a request have in common, and to any that differs in its query."""

    __slots__ = ("_as_string", "_ending", "_identifies", "_opening", "_record", "_request")

    def __init__(self, request: SearchRetrieveRequest) -> None:
        pieces = plain_pieces(request)
        self._opening = pieces.opening
        self._record = pieces.record
        self._ending = pieces.ending
        self._as_string = request.as_string
        self._identifies = request.version.identifies_records
        self._request = request

    def response(
        self, number_of_records: int, records: Sequence[tuple[bytes, str]], echo: bytes
    ) -> bytes:
        """As `search_response` of so many hits and these records, from `start_record` on.

        `records` are the XML and the identifier of each; `echo` is the element that
        repeats the request.
        """
        request = self._request
        parts = [self._opening, b"%d" % number_of_records, _AFTER_COUNT]
        position = request.start_record
        if records:
            parts.append(b"<zs:records>")
            for data, identifier in records:
                parts += (self._record, _escaped(data) if self._as_string else data, _AFTER_DATA)
                if self._identifies and identifier:
                    parts.append(_identifier(identifier))
                parts.append(b"<zs:recordPosition>%d</zs:recordPosition></zs:record>" % position)
                position += 1
            parts.append(b"</zs:records>")
        if position <= number_of_records and (records or not request.maximum_records):
            parts.append(b"<zs:nextRecordPosition>%d</zs:nextRecordPosition>" % position)
        parts += (echo, self._ending)
        return b"".join(parts)


def _escaped(data: bytes) -> bytes:
    return escape(data.decode("utf-8", "replace")).encode()


def _identifier(text: str) -> bytes:
    return f"<zs:recordIdentifier>{escape(text)}</zs:recordIdentifier>".encode()

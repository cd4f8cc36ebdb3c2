"""The access-point table: which queries reach what, and which fields feed it."""

from __future__ import annotations

from protocol.access_point import AccessPoint, Kind

ACCESS_POINTS: tuple[AccessPoint, ...] = (
    AccessPoint(
        "any", "Any", "任意", Kind.TEXT,
        bib1=(1016, 1017, 1035), cql=("cql.serverChoice", "cql.anywhere"),
    ),
    AccessPoint(
        "title", "Title", "题名", Kind.TEXT,
        bib1=(4,), cql=("dc.title", "bath.title"),
        marc21="245abnp", unimarc="200aei", sortable=True,
    ),
    AccessPoint(
        "isbn", "ISBN", "国际标准书号", Kind.ISBN,
        bib1=(7,), cql=("bath.isbn",), marc21="020az", unimarc="010az",
    ),
)

BY_NAME = {point.name: point for point in ACCESS_POINTS}

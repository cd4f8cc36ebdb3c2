"""One table row as a CNMARC record (Chinese, Japanese, Russian, ancient)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from protocol.iso2709 import Field
from samples.table import Agent, Row, Statement, subfields

AGENCY = "LMDEMO"

SAMPLE_NOTE = "样例记录，ISBN为示例。Lianmu sample record; the ISBN is an example."

# Who does this made the work; others (译, 注, 校 …) came to it later: 702, 712.
_PRIMARY_ROLES = frozenset({"著", "撰", "编", "主编", "编著", "原著", "作", "主办"})

# Leader 17 "1": described from knowledge of the edition, not from the item.
_LEADER = "00000nam0 22000001  450 "
_SERIAL_LEADER = "00000nas0 22000001  450 "
_MANUSCRIPT_LEADER = "00000nbm0 22000001  450 "


@dataclass(frozen=True, slots=True)
class Conventions:
    """What the records of one database share."""

    language: str  # ISO 639-2, of the text
    country: str  # when the publisher does not tell
    script: str  # of the title: 100 $a/34-35
    extent: str = "1册"
    no_place: str = "[出版地不详]"
    no_publisher: str = "[出版者不详]"
    antiquarian: bool = False


def cnmarc_record(
    conventions: Conventions, row: Row, control_number: str
) -> tuple[str, list[Field]]:
    """The leader and the fields, by tag."""
    fields = [
        Field("001", control_number),
        Field("005", f"{row.entered}000000.0"),
        *_coded(conventions, row),
        *_described(conventions, row),
        *_headings(row),
        Field.of("801", " 0", [("a", "CN"), ("b", AGENCY), ("c", row.entered)]),
    ]
    fields.sort(key=lambda field: field.tag)
    return _leader(row), fields


def _leader(row: Row) -> str:
    if row.is_serial:
        return _SERIAL_LEADER
    return _MANUSCRIPT_LEADER if row.edition == "写本" else _LEADER


def _coded(conventions: Conventions, row: Row) -> list[Field]:
    fields = [Field.of("010", "  ", [("a", isbn)]) for isbn in row.isbn]
    fields += [Field.of("010", "  ", [("z", isbn)]) for isbn in row.wrong_isbn]
    fields += [Field.of("011", "  ", [("a", issn)]) for issn in row.issn]
    fields.append(Field.of("100", "  ", [("a", _general_data(conventions, row))]))
    languages = row.languages or (conventions.language,)
    fields.append(
        Field.of(
            "101",
            "1 " if row.originals else "0 ",
            [*(("a", code) for code in languages), *(("c", code) for code in row.originals)],
        )
    )
    country = row.publisher.country if row.publisher else conventions.country
    region = row.publisher.region if row.publisher else ""
    fields.append(Field.of("102", "  ", [("a", country), *([("b", region)] if region else [])]))
    if row.is_serial:
        # A periodical whose frequency these tables do not record.
        fields.append(Field.of("110", "  ", [("a", "auu||||0|||")]))
    elif conventions.antiquarian:
        fields.append(Field.of("140", "  ", [("a", _antiquarian_data(row))]))
    else:
        fields.append(Field.of("105", "  ", [("a", _monograph_data(row))]))
    if not conventions.antiquarian:
        fields.append(Field.of("106", "  ", [("a", "r")]))
    return fields


def _general_data(conventions: Conventions, row: Row) -> str:
    """100 $a: 36 characters."""
    years = row.years
    if row.is_serial:
        dates = f"a{years[0]}9999"
    elif "[" in row.year:
        dates = f"f{years[0]}{years[1]}"
    elif len(years) > 1:
        dates = f"g{years[0]}{years[1]}"
    else:
        dates = f"d{years[0]:0>4}    "
    audience = "em " if row.classes[0].startswith("I") else "km "
    return f"{row.entered}{dates}{audience}y0chiy50      {conventions.script}"


def _monograph_data(row: Row) -> str:
    """105 $a: 13 characters; a fill character where the tables do not say."""
    subjects = " ".join(row.subjects)
    if re.search("词典|字典|辞書", subjects):
        contents = "e   "
    else:
        contents = "f   " if "百科全书" in subjects else "z   "
    biography = "b" if row.classes[0].startswith("K825") else "y"
    return f"||||{contents}00|{_literary_form(row.classes[0])}{biography}"


def _literary_form(clc: str) -> str:
    """105 $a/11 from the Chinese Library Classification, class I (literature)."""
    match = re.match(r"I(?:2(\d)|\d+\.(\d))", clc)
    form = (match[1] or match[2]) if match else ""
    return {"1": "z", "2": "g", "3": "b", "4": "a", "6": "c", "7": "z", "8": "a"}.get(form, "y")


def _antiquarian_data(row: Row) -> str:
    """140 $a: 28 characters, of which only the literary form is recorded."""
    form = "ea" if row.classes[0].startswith("I24") else "||"
    return "|" * 17 + form + "|" * 9


def _described(conventions: Conventions, row: Row) -> list[Field]:
    fields = [_title(conventions, row)]
    if row.edition:
        fields.append(Field.of("205", "  ", [("a", row.edition)]))
    fields.append(_publication(conventions, row))
    extent = row.extent or ("册" if row.is_serial else conventions.extent)
    fields.append(Field.of("215", "  ", [("a", extent)]))
    if row.series:
        fields.append(Field.of("225", "2 ", row.series))
        # An embedded 200: its tag and indicators lead the linked subfields.
        fields.append(Field.of("410", " 0", [("1", "2001 "), *row.series]))
    fields += [Field.of("300", "  ", [("a", note)]) for note in row.notes]
    if row.is_sample:
        fields.append(Field.of("300", "  ", [("a", SAMPLE_NOTE)]))
    if row.abstract:
        fields.append(Field.of("330", "  ", [("a", row.abstract)]))
    for text in row.also:
        tag, _, title = text.partition(" ")
        fields.append(Field.of(tag, "10" if tag == "500" else "1 ", subfields(title)))
    return fields


def _title(conventions: Conventions, row: Row) -> Field:
    head, *rest = row.title
    pairs = [head]
    if row.reading:
        pairs.append(("A", row.reading))
    pairs += rest
    if not any(code == "f" for code, _ in pairs):
        codes = "f" + "g" * len(row.people)
        named = row.people[:1] if conventions.language == "rus" else row.people
        pairs += [
            (code, _responsibility(statement))
            for code, statement in zip(codes, named, strict=False)
        ]
    return Field.of("200", "1 ", pairs)


def _responsibility(statement: Statement) -> str:
    """(清)曹雪芹著; more than three names are cut to the first."""
    agents = statement.agents
    if _is_cyrillic(agents[0]):
        return ", ".join(_with_initials(agent.name) for agent in agents)
    names = [(f"({agent.qualifier})" if agent.qualifier else "") + agent.name for agent in agents]
    if len(names) > 3:
        return f"{names[0]}...[等]{statement.role}"
    return ", ".join(names) + ("等" if statement.others else "") + statement.role


def _is_cyrillic(agent: Agent) -> bool:
    return "\u0400" <= agent.heading[0] <= "\u04ff"


def _with_initials(heading: str) -> str:
    """Толстой, Лев Николаевич → Л. Н. Толстой."""
    family, _, given = heading.partition(", ")
    return " ".join([*(f"{word[0]}." for word in given.split()), family])


def _publication(conventions: Conventions, row: Row) -> Field:
    publisher = row.publisher
    place = publisher.place if publisher else conventions.no_place
    name = publisher.name if publisher else conventions.no_publisher
    pairs = [("a", place), ("c", name), ("d", row.year)]
    return Field.of("210", "  ", [(code, value) for code, value in pairs if value])


def _headings(row: Row) -> list[Field]:
    fields = []
    for text in row.subjects:
        match = re.match(r"(60\d) (.*)", text)
        tag, heading = (match[1], match[2]) if match else ("606", text)
        fields.append(Field.of(tag, " 0" if tag == "600" else "0 ", subfields(heading)))
    for text in row.classes:
        if re.match("[A-Z]", text):
            fields.append(Field.of("690", "  ", [("a", text), ("v", "5")]))
        else:
            fields.append(Field.of("696", "  ", [("a", text), ("2", "四部分类法")]))
    for position, statement in enumerate(row.people):
        role = statement.role
        primary = (position == 0 or role in _PRIMARY_ROLES) and role[-1] not in "译訳"
        fields += [_agent_field(agent, role, primary) for agent in statement.agents]
    return fields


def _agent_field(agent: Agent, role: str, primary: bool) -> Field:
    """701/702 for a person, 711/712 for a body."""
    if agent.kind == "body":
        pairs = [("a", agent.name), ("A", agent.reading), ("4", role)]
        return Field.of("711" if primary else "712", "02", [pair for pair in pairs if pair[1]])
    family, _, given = agent.name.partition(", ")
    pairs = [
        ("a", family),
        ("b", given),
        ("A", agent.reading),
        ("c", f"({agent.qualifier})" if agent.qualifier else ""),
        ("g", f"({agent.original})" if agent.original else ""),
        ("f", agent.dates),
        ("4", role),
    ]
    indicators = " 1" if given else " 0"
    return Field.of("701" if primary else "702", indicators, [pair for pair in pairs if pair[1]])

"""One table row as a MARC 21 bibliographic record (Western)."""

from __future__ import annotations

import re
from itertools import pairwise

from protocol.iso2709 import Field
from samples.table import Agent, Row, Statement, Subfields, subfields

AGENCY = "LMDEMO"

SAMPLE_NOTE = "Lianmu sample record; the ISBN is an example."

# Encoding level "1" (17): full, material not examined; "i" (18): ISBD with punctuation.
_LEADER = "00000nam a22000001i 4500"
_SERIAL_LEADER = "00000nas a22000001i 4500"

# Initial articles that 245's second indicator skips, by language of the title.
_ARTICLES = {
    "eng": ("The ", "A ", "An "),
    "fre": ("Les ", "Le ", "La ", "L'"),
    "ger": ("Die ", "Der ", "Das ", "Ein ", "Eine "),
    "spa": ("El ", "La ", "Los ", "Las "),
}

_STATEMENTS = {"author": "", "translator": "translated by ", "editor": "edited by "}


def marc21_record(row: Row, control_number: str) -> tuple[str, list[Field]]:
    """The leader and the fields, by tag."""
    fields = [
        Field("001", control_number),
        Field("003", AGENCY),
        Field("005", f"{row.entered}000000.0"),
        Field("008", _fixed_data(row)),
        *_numbers(row),
        *_described(row),
        *_agents(row),
    ]
    fields.sort(key=lambda field: field.tag)
    return _SERIAL_LEADER if row.is_serial else _LEADER, fields


def _fixed_data(row: Row) -> str:
    """008: 40 characters; a fill character where the tables do not say."""
    years = row.years
    if row.is_serial:
        dates = f"c{years[0]}9999"
        material = "|| p| ||||||   ||"
    else:
        dates = f"m{years[0]}{years[1]}" if len(years) > 1 else f"s{years[0]}    "
        material = f"||||| |||||||| {_literary_form(row)}|"
    place = row.publisher.marc if row.publisher else "xx "
    language = row.languages[0] if row.languages else "eng"
    return f"{row.entered[2:]}{dates}{place}{material}{language} d"


def _literary_form(row: Row) -> str:
    """008/33 from the Dewey class: literatures are 810-899, the form comes last."""
    for number in row.classes:
        match = re.match(r"8(?:91\.7|95\.[16]|[1-7])(\d)", number)
        if match:
            return {"1": "p", "2": "d", "3": "1", "4": "e"}.get(match[1], "|")
    return "0"


def _numbers(row: Row) -> list[Field]:
    fields = [Field.of("020", "  ", [("a", isbn)]) for isbn in row.isbn]
    fields += [Field.of("020", "  ", [("z", isbn)]) for isbn in row.wrong_isbn]
    fields += [Field.of("022", "  ", [("a", issn)]) for issn in row.issn]
    fields.append(Field.of("040", "  ", [("a", AGENCY), ("b", "eng"), ("e", "rda"), ("c", AGENCY)]))
    if row.originals:
        codes = [*(("a", code) for code in row.languages), *(("h", code) for code in row.originals)]
        fields.append(Field.of("041", "1 ", codes))
    for number in row.classes:
        if number[0].isdigit():
            fields.append(Field.of("082", "04", [("a", number), ("2", "23")]))
        else:
            fields.append(Field.of("050", " 4", [("a", number)]))
    return fields


def _described(row: Row) -> list[Field]:
    fields = [_title(row)]
    if row.edition:
        fields.append(Field.of("250", "  ", [("a", _ended(row.edition))]))
    fields.append(_publication(row))
    extent = row.extent or ("volumes" if row.is_serial else "1 volume")
    fields.append(Field.of("300", "  ", [("a", extent)]))
    for tag, term, code, source in (
        ("336", "text", "txt", "rdacontent"),
        ("337", "unmediated", "n", "rdamedia"),
        ("338", "volume", "nc", "rdacarrier"),
    ):
        fields.append(Field.of(tag, "  ", [("a", term), ("b", code), ("2", source)]))
    if row.series:
        fields.append(Field.of("490", "1 ", _joined(row.series)))
        fields.append(Field.of("830", " 0", _closed(_joined(row.series))))
    fields += [Field.of("500", "  ", [("a", note)]) for note in row.notes]
    if row.is_sample:
        fields.append(Field.of("500", "  ", [("a", SAMPLE_NOTE)]))
    if row.abstract:
        fields.append(Field.of("520", "  ", [("a", row.abstract)]))
    for text in row.also:
        # "246 3  Wealth of nations": tag, both indicators, then the subfields.
        fields.append(Field.of(text[:3], text[4:6], subfields(text[7:])))
    for text in row.subjects:
        match = re.match(r"(6\d\d) (.*)", text)
        tag, heading = (match[1], match[2]) if match else ("650", text)
        fields.append(Field.of(tag, " 0", _closed(subfields(heading))))
    return fields


def _title(row: Row) -> Field:
    pairs = list(row.title)
    if not any(code == "c" for code, _ in pairs):
        statement = " ; ".join(filter(None, map(_responsibility, row.people)))
        if statement:
            pairs.append(("c", statement))
    entered_under_author = "1" if _main_author(row) else "0"
    skipped = str(_articles_skipped(row))
    return Field.of("245", entered_under_author + skipped, _closed(_joined(tuple(pairs))))


def _articles_skipped(row: Row) -> int:
    title = row.title[0][1]
    for article in _ARTICLES.get(row.languages[0] if row.languages else "eng", ()):
        if title.startswith(article):
            return len(article)
    return 0


def _responsibility(statement: Statement) -> str:
    if statement.role not in _STATEMENTS:
        return ""
    names = [_direct(agent.name) for agent in statement.agents]
    listed = names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
    return _STATEMENTS[statement.role] + listed


def _direct(heading: str) -> str:
    """Cormen, Thomas H. → Thomas H. Cormen."""
    family, _, given = heading.partition(", ")
    return f"{given} {family}".strip()


def _publication(row: Row) -> Field:
    publisher = row.publisher
    place = publisher.place if publisher else "[Place of publication not identified]"
    name = publisher.name if publisher else "[publisher not identified]"
    date = row.year if row.is_serial else _ended(row.year)
    if not name:
        return Field.of("264", " 1", [("a", f"{place},"), ("c", date)])
    return Field.of("264", " 1", [("a", f"{place} :"), ("b", f"{name},"), ("c", date)])


def _main_author(row: Row) -> Agent | None:
    if row.people and row.people[0].role == "author":
        return row.people[0].agents[0]
    return None


def _agents(row: Row) -> list[Field]:
    main = _main_author(row)
    fields = []
    for statement in row.people:
        for agent in statement.agents:
            tag = "100" if agent is main else "700"
            fields.append(_agent_field(tag, agent, statement.role))
    return fields


def _agent_field(tag: str, agent: Agent, role: str) -> Field:
    pairs = [("a", agent.name)]
    if agent.qualifier:
        pairs.append(("c", agent.qualifier))
    if agent.dates:
        pairs.append(("d", agent.dates))
    # A comma leads to the next part, except after an open date ("1938-").
    punctuated = [(code, value if value.endswith("-") else f"{value},") for code, value in pairs]
    if agent.kind == "body":
        return Field.of("710", "2 ", [*punctuated, ("e", f"{role}.")])
    kind = "1 " if ", " in agent.name else "0 "
    return Field.of(tag, kind, [*punctuated, ("e", f"{role}.")])


def _joined(pairs: Subfields) -> Subfields:
    """With ISBD punctuation between subfields, at the end of the earlier one."""
    marks = {"b": " :", "c": " /", "v": " ;", "n": ".", "p": "."}
    joined = []
    for (code, value), (following, _) in pairwise([*pairs, ("", "")]):
        mark = "," if (code, following) == ("n", "p") else marks.get(following, "")
        joined.append((code, value if mark and value.endswith(mark) else value + mark))
    return tuple(joined)


def _closed(pairs: Subfields) -> Subfields:
    """With a full stop at the end."""
    *before, (code, value) = pairs
    return (*before, (code, _ended(value)))


def _ended(text: str) -> str:
    return text if text[-1] in ".?!)-" else f"{text}."

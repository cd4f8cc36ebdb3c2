"""What of CQL is supported, as tables: for the interpreter, its tests and the docs.

Names are written as their context sets spell them, with the set in front; CQL
compares them without case, and those of set `cql` and, in a sort key, `sort`
may stand alone. What a set defines and we do not do is in the tables too,
marked so: it is refused with the diagnostic named beside the table. Indexes are
the access-point table's (`cql_context.indexes`, `cql_marc.marc_indexes`).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Feature:
    """One name of a context set. `value` says what it is compared with, if anything."""

    name: str
    description: str
    supported: bool = True
    value: str = ""

    @property
    def key(self) -> str:
        """The name as the interpreter compares it: lower case, without the set `cql`."""
        return self.name.lower().removeprefix("cql.")


def _missing(name: str, description: str, value: str = "") -> Feature:
    return Feature(name, description, supported=False, value=value)


# Others are diagnostic 19; a pair of relation and index that makes no sense, 22.
RELATIONS: tuple[Feature, ...] = (
    Feature("=", "text: the words side by side; an identifier, code, date or class mark: the "
            "whole value; cql.serverChoice and cql.anywhere: all the words, anywhere"),
    Feature("==", "the whole field"),
    Feature("cql.exact", "the whole field, as CQL 1.1 writes =="),
    Feature("cql.scr", "as =; what a term alone means"),
    Feature("cql.adj", "the words side by side, in order"),
    Feature("cql.all", "every word, anywhere in the field's access point; on an identifier the "
            "term as one value"),
    Feature("cql.any", "at least one of the words or values"),
    Feature("<", "dates and class marks: before"),
    Feature("<=", "dates and class marks: before or equal; a year includes its months"),
    Feature(">", "dates and class marks: after"),
    Feature(">=", "dates and class marks: after or equal"),
    Feature("<>", "identifiers, codes, dates, class marks: has a value, and not this one"),
    Feature("cql.within", "dates and class marks: between two values, both included"),
    Feature("cql.encloses", "dates: the span from a record's earliest to its latest date holds "
            "the date, or the two dates, of the term"),
)  # fmt: skip

# Others are diagnostic 20; masked with unmasked, or two formats, 21.
RELATION_MODIFIERS: tuple[Feature, ...] = (
    Feature("cql.relevant", "order by relevance"),
    Feature("cql.ignoreCase", "always so"),
    Feature("cql.ignoreAccents", "always so"),
    Feature("cql.masked", "* ? ^ and \\ have their meaning: always so without cql.unmasked"),
    Feature("cql.unmasked", "* ? and ^ stand for themselves"),
    Feature("cql.word", "with =: all the words, anywhere"),
    Feature("cql.string", "with =: the whole field"),
    Feature("cql.isoDate", "the term is a date, else 36; not on texts (22)"),
    Feature("cql.number", "the term is a number, else 36; not on texts (22)"),
    Feature("cql.uri", "the term is a URI"),
    Feature("cql.oid", "the term is an object identifier, else 36"),
    Feature("bib.identifierAuthority", "narrows dc.identifier to one kind of number", value=
            "isbn, issn, lccn, local, doi, hdl, isrc, ismn, sici, upc, stock number, "
            "music publisher, music plate, issue number, matrix number, oclc, coden"),
    Feature("bib.classAuthority", "narrows bib.classification to one scheme",
            value="clc, cas, ddc, lcc, udc, nlm, nal"),
    Feature("bib.subjectAuthority", "narrows dc.subject to one list of headings, "
            "bib.subjectPlace to the area code of 043 (marcgac)",
            value="lcsh, lcshac, mesh, ram, rvm, local, marcgac"),
    Feature("bib.role", "narrows dc.creator, bib.name and its kinds to authors or editors",
            value="aut, author, cre, creator, edt, editor"),
    Feature("bib.roleAuthority", "beside bib.role", value="marcrelator"),
    Feature("bib.portion", "of bib.originPlace", value="city"),
    Feature("marc.substring", "positions: marc.008 =/marc.substring=\"35:3\", unimarc.100$a too",
            value="start:length, as an access point has them"),
    _missing("cql.stem", "other forms of the word"),
    _missing("cql.fuzzy", "misspelt forms"),
    _missing("cql.phonetic", "what sounds alike; Pinyin has indexes of its own"),
    _missing("cql.partial", "of within and encloses"),
    _missing("cql.respectCase", "upper and lower case told apart"),
    _missing("cql.respectAccents", "accents told apart"),
    _missing("cql.locale", "comparison by locale", value="a locale"),
    _missing("cql.lang", "the term's language", value="a language"),
    _missing("cql.substring", "part of a value", value="start:length"),
    _missing("cql.regexp", "regular expressions"),
    _missing("bib.titleAuthority", "", value="lcnaf"),
    _missing("bib.nameAuthority", "", value="lcnaf"),
    _missing("bib.genreAuthority", "", value="a list of genre terms"),
    _missing("bib.dateAuthority", "", value="a date format"),
    _missing("bib.date", "dates of a person", value="a date"),
)  # fmt: skip

# Of `prox` alone. Others, and any of and, or and not, are diagnostic 46; a unit
# that is missing 42, a distance that is no number 41, contradictions 44.
BOOLEAN_MODIFIERS: tuple[Feature, ...] = (
    Feature("cql.unit", "what is counted; words without it", value="word, element"),
    Feature("cql.distance", "words from one to the other, neighbours being at 1, or fields "
            "between; without it <=1 word, =0 elements", value="= < <= > >= <> and a number"),
    Feature("cql.ordered", "the left operand comes first"),
    Feature("cql.unordered", "either may come first: so without cql.ordered"),
    Feature("local.exclusion", "the left operand with no right one near it: what Z39.50 calls "
            "exclusion and CQL has no word for"),
)  # fmt: skip
PROXIMITY_UNITS: tuple[Feature, ...] = (
    Feature("word", "words"),
    Feature("element", "fields: 0 is the same field"),
    _missing("sentence", "not known to MARC"),
    _missing("paragraph", "not known to MARC"),
)

# Others, and contradictions, are diagnostic 82; an index that does not sort 88.
SORT_MODIFIERS: tuple[Feature, ...] = (
    Feature("sort.ascending", "so without sort.descending"),
    Feature("sort.descending", "the greatest first"),
    Feature("sort.ignoreCase", "so without sort.respectCase"),
    Feature("sort.respectCase", "among values that are the same but for case and marks, "
            "capitals first"),
    Feature("sort.ignoreAccents", "always so"),
    Feature("sort.missingHigh", "records without the value after all others: the default"),
    Feature("sort.missingLow", "records without the value before all others"),
    Feature("sort.missingOmit", "records without the value are left out"),
    Feature("sort.missingFail", "diagnostic 93 where a record has no value"),
    Feature("sort.missingValue", "records without the value as if they had this one",
            value="= a value"),
    _missing("sort.respectAccents", "accents told apart"),
    _missing("sort.locale", "order by locale: it is by Pinyin for Chinese", value="a locale"),
    _missing("sort.unicodeCollate", "collation levels", value="a level"),
)  # fmt: skip


def keys(features: tuple[Feature, ...]) -> frozenset[str]:
    """The supported ones' names as the interpreter compares them."""
    return frozenset(each.key for each in features if each.supported)

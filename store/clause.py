"""One search term against one access point, made into questions to the index."""

from __future__ import annotations

import re
from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from pyroaring import BitMap

from protocol.access_point import AccessPoint, Kind
from protocol.access_points import ACCESS_POINTS, BY_NAME
from protocol.diagnostic import Bib1, Diagnostic
from protocol.query import MASK_ANY, MASK_ONE, Anchor, Clause, Relation, Structure
from store import analysis, extract, numeral_forms, pinyin
from store.analysis import END, START, TOKEN_CHARS_MAX
from store.feeds import READINGS
from store.folding import fold
from store.gather import KEY_CHARS_MAX
from store.index import VALUE_CHARS_MAX, cut_value
from store.postings import POSITION_STEP, SHARD_BITS, SHARD_MASK
from store.reader import TERM_END, Segment, TermRange
from store.registers import (
    ANY,
    ANY_LONG_TEXTS,
    ANY_TEXTS,
    ANY_VALUES,
    IN_ANY,
    PRESENT,
    has_keys,
    key_register,
)

Matcher = Callable[[Segment], BitMap]

# Elsewhere `T. V` is somebody's initials.
_HAS_VOLUMES = frozenset(
    point.name
    for point in ACCESS_POINTS
    if point.name.startswith("title") or point.name in {ANY, "host_item", "related_title"}
)
_HAN_MIN = "\u1100"  # bigrams are made of nothing before it
_HAN_FIRST, _HAN_LAST = "\u4e00", "\u9fff"
_MASK = re.compile(f"[{MASK_ANY}{MASK_ONE}]")


class Refused(Exception):  # noqa: N818 - carries the diagnostic to the evaluator
    """The clause cannot be searched."""

    def __init__(self, condition: Bib1, addinfo: str = "") -> None:
        super().__init__(condition, addinfo)
        self.diagnostic = Diagnostic(condition, addinfo)


@dataclass(frozen=True, slots=True)
class Slot:
    """One word of a phrase, `offset` positions after the phrase's first."""

    offset: int
    term: str  # may hold masks

    @property
    def has_mask(self) -> bool:
        return _MASK.search(self.term) is not None


def matcher(clause: Clause, registers: Mapping[str, int]) -> Matcher:
    """The question that `clause` asks of each segment.

    Raises:
        Refused: the access point, or the relation on it, cannot be searched.
    """
    point = BY_NAME.get(clause.access_point)
    if point is None:
        raise Refused(Bib1.USE_ATTRIBUTE_UNSUPPORTED, clause.access_point)
    if clause.relation is Relation.ALWAYS:
        return _present(point, registers)
    if clause.relation is Relation.NOT_EQUAL:
        present, equal = _present(point, registers), _equal(clause, point, registers)
        return lambda segment: present(segment) - equal(segment)
    if clause.relation is Relation.EQUAL:
        return _equal(clause, point, registers)
    return _compared(clause, point, registers)


def exact_keys(clause: Clause, registers: Mapping[str, int]) -> tuple[int, list[str]] | None:
    """The register, and the terms of it, that a clause for a whole value looks up.

    None for every other clause: `matcher` has its question.
    """
    point = BY_NAME.get(clause.access_point)
    if point is None or point.kind is Kind.TEXT or clause.relation is not Relation.EQUAL:
        return None
    term = clause.term
    if len(term) > VALUE_CHARS_MAX or MASK_ANY in term or MASK_ONE in term:
        return None
    keys = extract.query_keys(point.kind, term)
    for key in keys:
        # A year may be asked for as all its months.
        if MASK_ANY in key or MASK_ONE in key:
            return None
    return registers[point.name], keys


def text_registers(point: AccessPoint) -> Sequence[str]:
    """The access points whose positions answer for `point`: itself, or those of `any`."""
    return ANY_TEXTS if point.name == ANY else (point.name,)


def _present(point: AccessPoint, registers: Mapping[str, int]) -> Matcher:
    return _term(registers[PRESENT], point.name)


def _equal(clause: Clause, point: AccessPoint, registers: Mapping[str, int]) -> Matcher:
    if point.name not in READINGS:
        return _as_written(clause, point, registers)
    words = clause.term.split()
    apart = clause.structure in {Structure.ALL_WORDS, Structure.ANY_WORD}
    if apart and clause.anchor is Anchor.ANYWHERE and len(words) > 1:
        each = [_equal(replace(clause, term=word), point, registers) for word in words]
        return all_of(each) if clause.structure is Structure.ALL_WORDS else _any_of(each)
    # Syllables written as one word are the whole reading, or stand together in it.
    spelled = pinyin.respelled(clause.term)
    if spelled == clause.term:
        return _as_written(clause, point, registers)
    structure = Structure.KEY if clause.structure is Structure.KEY else Structure.PHRASE
    parted = replace(clause, term=spelled, structure=structure)
    return _any_of([_as_written(clause, point, registers), _as_written(parted, point, registers)])


def _as_written(clause: Clause, point: AccessPoint, registers: Mapping[str, int]) -> Matcher:
    if point.kind is not Kind.TEXT:
        return _value(clause.term, point, registers)
    anchor = Anchor.COMPLETE if clause.structure is Structure.KEY else clause.anchor
    if anchor is Anchor.ANYWHERE and clause.structure is not Structure.PHRASE:
        return _words(clause, point, registers)
    terms = [clause.term, *numeral_forms.variants(fold(clause.term))]
    begins_field = (
        anchor is Anchor.FIRST
        and clause.structure is Structure.PHRASE
        and clause.term.endswith(MASK_ANY)
    )
    if anchor is Anchor.COMPLETE or begins_field:
        return _any_of(
            [
                _whole_field(term, anchor, name, registers)
                for name in text_registers(point)
                for term in terms
            ]
        )
    return _any_of([_phrase(phrase_slots(term, anchor), point, registers) for term in terms])


def _words(clause: Clause, point: AccessPoint, registers: Mapping[str, int]) -> Matcher:
    """The records with all the words of a list, or with any of them."""
    term = clause.term
    if term.isascii() and term.isalpha() and point.name != ANY:  # most words that are asked for
        return _term(registers[point.name], term.lower()[:TOKEN_CHARS_MAX])
    folded = fold(term)
    if len(folded) == 2 and point.name != ANY and _is_plain_bigram(folded):
        return _term(registers[point.name], folded)
    volume = None
    if clause.structure is Structure.ALL_WORDS and point.name in _HAS_VOLUMES:
        volume = numeral_forms.volume(folded)
        if volume is not None:
            folded = volume.rest
    words = folded.split()
    alone = len(words) == 1 and volume is None
    parts = [part for word in words for part in _word_parts(word, point, registers, alone=alone)]
    if clause.structure is Structure.ANY_WORD:
        return _any_of(parts)
    if volume is not None:
        parts.append(_volume(volume, point, registers))
    every = all_of(parts)
    if point.name == ANY and len(parts) > 0:
        # An identifier with hyphens or blanks is several words, and one value.
        values = [_value(clause.term, each, registers) for each in ANY_VALUES]
        return _any_of([every, *values])
    return every


def _is_plain_bigram(folded: str) -> bool:
    """Whether two characters are one term of the index, with no other form."""
    return (
        _HAN_FIRST <= folded[0] <= _HAN_LAST
        and _HAN_FIRST <= folded[1] <= _HAN_LAST
        and not numeral_forms.has_number(folded)
    )


def _word_parts(
    word: str, point: AccessPoint, registers: Mapping[str, int], *, alone: bool
) -> list[Matcher]:
    """The phrases that one word of a list is, all of which a record must have."""
    parts = [
        _phrase([Slot(offset, term) for term, offset in part], point, registers)
        for part in analysis.query_parts(word)
    ]
    if not parts or _MASK.search(word):
        return parts
    others = numeral_forms.variants(word, alone=alone)
    phrases = [_phrase(phrase_slots(each), point, registers) for each in others]
    if point.name == ANY and word.isascii() and word.isalpha():
        # Pinyin without blanks is found where it begins a title or stands in it.
        # Two syllables are too often an English word.
        syllables = pinyin.split_syllables(word)
        if len(syllables) > 2:
            slots = phrase_slots(" ".join(syllables))
            phrases += [_phrase_in(slots, name, registers) for name in sorted(READINGS)]
    if not phrases:
        return parts
    return [_any_of([all_of(parts), *phrases])]


@lru_cache(4096)
def _slots_of(phrase: str) -> tuple[Slot, ...]:
    """The slots of a phrase of ours, of which there are not many."""
    return tuple(phrase_slots(phrase))


def _volume(
    volume: numeral_forms.Volume, point: AccessPoint, registers: Mapping[str, int]
) -> Matcher:
    """The records that name the part of a work as the query does, or otherwise."""
    named = [_phrase(phrase_slots(volume.written), point, registers)]
    if point.name == ANY:
        point = BY_NAME["title"]  # where the parts of a work are named
    named += [_phrase(list(_slots_of(each)), point, registers) for each in volume.phrases]
    if volume.last:
        named.append(_phrase(phrase_slots(volume.last, Anchor.LAST), point, registers))
    return _any_of(named)


def _value(term: str, point: AccessPoint, registers: Mapping[str, int]) -> Matcher:
    keys = extract.query_keys(point.kind, term)
    return _any_of([_term_or_mask(registers[point.name], cut_value(key)) for key in keys])


def _word(term: str, point: AccessPoint, registers: Mapping[str, int]) -> Matcher:
    """The records with one word, of which `any` does not have all itself."""
    if point.name != ANY:
        return _term_or_mask(registers[point.name], term)
    names = (ANY, *ANY_LONG_TEXTS, *[each.name for each in ANY_VALUES])
    return _any_of([_term_or_mask(registers[name], term) for name in names])


def _compared(clause: Clause, point: AccessPoint, registers: Mapping[str, int]) -> Matcher:
    """Order relations: a range of the values, or of the whole fields of a text."""
    if point.kind is not Kind.TEXT:
        register = registers[point.name]
    elif has_keys(point):
        register = registers[key_register(point.name)]
    else:
        raise Refused(Bib1.RELATION_UNSUPPORTED, clause.relation.value)
    values = [clause.term]
    if clause.relation is Relation.WITHIN:
        values = clause.term.split()
        if len(values) != 2:
            raise Refused(Bib1.MALFORMED_SEARCH_TERM, clause.term)
    keys = [_comparable(value, point) for value in values]
    if clause.relation is Relation.WITHIN:
        bounds = TermRange(keys[0], _after(keys[1], point))
    elif clause.relation is Relation.LESS:
        bounds = TermRange("", keys[0])
    elif clause.relation is Relation.LESS_OR_EQUAL:
        bounds = TermRange("", _after(keys[0], point))
    elif clause.relation is Relation.GREATER:
        bounds = TermRange(_after(keys[0], point))
    else:
        bounds = TermRange(keys[0])
    return lambda segment: segment.records_in(register, bounds)


def _comparable(value: str, point: AccessPoint) -> str:
    if _MASK.search(value):
        raise Refused(Bib1.ATTRIBUTE_COMBINATION_UNSUPPORTED, "truncation with an order relation")
    if point.kind is Kind.TEXT:
        return analysis.key(value)[:KEY_CHARS_MAX]
    for key in extract.query_keys(point.kind, value):
        return key
    raise Refused(Bib1.ILLEGAL_TERM_VALUE, value)


def _after(key: str, point: AccessPoint) -> str:
    """Where the terms that equal `key` end; a year takes its months and days along."""
    return key + TERM_END if point.kind is Kind.DATE else key + "\0"


def _whole_field(term: str, anchor: Anchor, name: str, registers: Mapping[str, int]) -> Matcher:
    """The records with a field that is the term, or begins with it."""
    key = analysis.key(term)
    if len(key) < KEY_CHARS_MAX and has_keys(BY_NAME[name]):
        return _term_or_mask(registers[key_register(name)], key)
    return _phrase_in(phrase_slots(term, anchor), name, registers)


def _term(register: int, term: str) -> Matcher:
    return lambda segment: segment.records(register, term)


def _term_or_mask(register: int, term: str) -> Matcher:
    if _MASK.search(term):
        terms = term_range(term)
        return lambda segment: segment.records_in(register, terms)
    return _term(register, term)


def term_range(term: str) -> TermRange:
    """The terms that a masked term stands for."""
    first_mask = _MASK.search(term)
    low = term[: first_mask.start()] if first_mask else term
    if term == low + MASK_ANY:
        return TermRange(low, low + TERM_END)
    glob = re.sub(r"[*?\[]", lambda match: f"[{match[0]}]", term)
    glob = glob.replace(MASK_ANY, "*").replace(MASK_ONE, "?")
    return TermRange(low, low + TERM_END, glob)


def _any_of(matchers: Sequence[Matcher]) -> Matcher:
    if len(matchers) == 1:
        return matchers[0]
    if not matchers:
        return lambda segment: BitMap()
    return lambda segment: BitMap.union(*[ask(segment) for ask in matchers])


def all_of(matchers: Sequence[Matcher]) -> Matcher:
    """The records that all have, asked one after the other until none is left."""
    if len(matchers) == 1:
        return matchers[0]

    def ask_all(segment: Segment) -> BitMap:
        records: BitMap | None = None
        for ask in matchers:
            records = ask(segment) if records is None else records & ask(segment)
            if not records:
                break
        return records if records is not None else BitMap()

    return ask_all


def _continues(slot: Slot, after: Slot) -> bool:
    return (
        after.offset == slot.offset + 1
        and len(slot.term) == 2
        and slot.term[1] == after.term[0]
        and slot.term[1] >= _HAN_MIN
    )


def phrase_slots(term: str, anchor: Anchor = Anchor.ANYWHERE) -> list[Slot]:
    """The words of a phrase, with START before them and END after them as `anchor` demands."""
    slots = [Slot(offset, token) for token, offset in analysis.query_words(term)]
    if slots and anchor in {Anchor.FIRST, Anchor.COMPLETE}:
        slots.insert(0, Slot(-1, START))
    if slots and anchor in {Anchor.LAST, Anchor.COMPLETE}:
        slots.append(Slot(analysis.query_length(term), END))
    return slots


def _phrase(slots: list[Slot], point: AccessPoint, registers: Mapping[str, int]) -> Matcher:
    """The records with all `slots` at their places in one field."""
    if len(slots) == 1:
        return _word(slots[0].term, point, registers)
    if point.name != ANY:
        return _phrase_in(slots, point.name, registers)
    anywhere = _all_words(slots, registers[ANY])
    in_short = _any_of([_phrase_in(slots, name, registers) for name in ANY_TEXTS if name in IN_ANY])
    in_long = _any_of([_phrase_in(slots, name, registers) for name in ANY_LONG_TEXTS])

    def ask(segment: Segment) -> BitMap:
        found = in_long(segment)
        return found | in_short(segment) if anywhere(segment) else found

    return ask


def _phrase_in(slots: list[Slot], name: str, registers: Mapping[str, int]) -> Matcher:
    if not slots:
        return lambda segment: BitMap()
    register = registers[name]
    every = _all_words(slots, register)
    needed = _cover(slots)

    def ask(segment: Segment) -> BitMap:
        records = every(segment)
        return phrase_records(segment, register, needed) if records else records

    return ask


def _all_words(slots: Sequence[Slot], register: int) -> Matcher:
    words = [slot.term for slot in slots if slot.term not in {START, END}]
    return all_of([_term_or_mask(register, word) for word in words])


def _cover(slots: list[Slot]) -> list[Slot]:
    """Leave out every bigram whose two characters the bigrams beside it bring."""
    kept: list[Slot] = []
    for index, slot in enumerate(slots):
        inner = 0 < index < len(slots) - 1
        if (
            inner
            and kept[-1] is slots[index - 1]
            and _continues(slots[index - 1], slot)
            and _continues(slot, slots[index + 1])
        ):
            continue
        kept.append(slot)
    return kept


def phrase_places(segment: Segment, register: int, slots: Sequence[Slot]) -> dict[int, BitMap]:
    """Where the phrase begins, by shard: the place of the slot with the least offset."""
    least = min(slot.offset for slot in slots)
    found: dict[int, BitMap] = {}
    for number, slot in enumerate(slots):
        places = slot_places(segment, register, slot)
        down = (least - slot.offset) * POSITION_STEP
        for shard in list(found) if number else list(places):
            here = places.get(shard)
            if here is None:
                del found[shard]
                continue
            if down:
                here = here.shift(down)
            found[shard] = found[shard] & here if number else here
            if not found[shard]:
                del found[shard]
        if not found:
            break
    return found


def slot_places(segment: Segment, register: int, slot: Slot) -> dict[int, BitMap]:
    """Where the word of a slot stands; of a masked one, every word it stands for."""
    if not slot.has_mask:
        return segment.positions(register, slot.term)
    shards: dict[int, list[BitMap]] = {}
    for term in segment.terms(register, term_range(slot.term)):
        if term in {START, END}:
            continue
        for shard, places in segment.positions(register, term).items():
            shards.setdefault(shard, []).append(places)
    return {shard: BitMap.union(*places) for shard, places in shards.items()}


def phrase_records(segment: Segment, register: int, slots: Sequence[Slot]) -> BitMap:
    """The records that hold the phrase in one register."""
    records = BitMap()
    for shard, places in phrase_places(segment, register, slots).items():
        numbers = np.frombuffer(places.to_array(), np.uint32) & np.uint32(SHARD_MASK)
        numbers |= np.uint32(shard << SHARD_BITS)
        records |= BitMap(array("I", numbers.tobytes()))
    return records

"""One thing that is wrong with a record."""

from __future__ import annotations

from dataclasses import dataclass

from protocol.validation_rules import RULES, Rule


@dataclass(frozen=True, slots=True)
class Finding:
    """Where a record breaks a rule.

    `tag` is a field's, "" for the leader or the whole record; `occurrence`
    counts fields of that tag from 1, and is 0 for a field that is not there.
    `place` is `$a`, `ind1` or the positions of a coded value, such as `/09-12`.
    `value` is what stands there, cut to what a line can show.
    """

    rule: Rule
    tag: str = ""
    occurrence: int = 0
    place: str = ""
    value: str = ""

    @property
    def field(self) -> str:
        """`701[2] $4`, `100 /09-12`, `leader/06`: for people."""
        if not self.tag:
            return f"leader{self.place}" if self.place else "record"
        number = f"[{self.occurrence}]" if self.occurrence > 1 else ""
        return f"{self.tag}{number} {self.place}".rstrip()

    def message(self, *, chinese: bool = False) -> str:
        text = self.rule.chinese if chinese else self.rule.english
        return f"{text}: {self.value}" if self.value else text


def found(rule: str, value: str, tag: str = "", occurrence: int = 0, place: str = "") -> Finding:
    """A finding by a rule of `RULES`."""
    return Finding(RULES[rule], tag, occurrence, place, value)

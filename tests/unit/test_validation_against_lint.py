"""The table of MARC 21 fields beside that of MARC::Lint: it is never the stricter one."""

from __future__ import annotations

import re
import subprocess

import pytest

from protocol.record import MarcFamily
from protocol.validation_definition import FORMATS

pytestmark = pytest.mark.real_client

PROGRAM = r"""
use MARC::Lint;
my $rules = MARC::Lint->new->{_rules};
for my $tag (sort keys %$rules) {
    my $rule = $rules->{$tag};
    my @subfields = map { "$_$rule->{$_}" } sort grep { length == 1 } keys %$rule;
    print join("\t", $tag, map({ $rule->{$_} // '' } qw(repeatable ind1 ind2)), @subfields), "\n";
}
"""


def characters(notation: str) -> set[str]:
    """`b01` is blank, 0 and 1; `0-9` a range."""
    expanded = re.sub("([0-9])-([0-9])", lambda match: "".join(
        map(chr, range(ord(match[1]), ord(match[2]) + 1))), notation)  # fmt: skip
    return {" "} if notation in ("blank", "") else set(expanded.replace("b", " "))


@pytest.fixture(scope="module")
def lint() -> list[list[str]]:
    done = subprocess.run(
        ["perl", "-e", PROGRAM], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, f"libmarc-lint-perl: run `make test-tools`\n{done.stderr}"
    return [line.split("\t") for line in done.stdout.splitlines()]


def test_nothing_that_marc_lint_allows_is_called_wrong(lint: list[list[str]]) -> None:
    form = FORMATS[MarcFamily.MARC21]
    assert len(lint) > 200
    stricter = []
    for tag, repeatable, first, second, *subfields in lint:
        if tag in form.unchecked or "9" in tag or tag == "002":
            continue
        ours = form.fields[tag]
        if repeatable == "R" and not ours.repeatable:
            stricter.append(f"{tag} may be repeated")
        for allowed, theirs in zip(ours.indicators, (first, second), strict=True):
            if tag >= "010" and not characters(theirs) <= set(allowed):
                stricter.append(f"{tag} indicator {theirs}")
        for subfield in subfields:
            code, repeated = subfield[0], subfield[1:] == "R"
            if code not in ours.subfields or (repeated and code in ours.single):
                stricter.append(f"{tag} ${subfield}")
    assert stricter == []


def test_marc_lint_knows_nearly_every_field_that_is_listed(lint: list[list[str]]) -> None:
    theirs = {row[0] for row in lint}
    # Fields of later updates, obsolete ones, and those of holdings.
    assert set(FORMATS[MarcFamily.MARC21].fields) - theirs == {
        "009", "023", "305", "334", "335", "353", "361", "387", "440", "841", "842", "843", "844",
        "845", "857", "881",
    }  # fmt: skip

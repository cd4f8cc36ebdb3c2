"""Whatever a record holds in the fields that MODS and Dublin Core read, both stay valid."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from protocol.dublin_core import to_dublin_core
from protocol.iso2709 import Field, build
from protocol.mods import to_mods
from protocol.mods_marc21 import _READERS as MARC21_READERS
from protocol.mods_unimarc import _READERS as UNIMARC_READERS
from protocol.record import MarcFamily
from tests.xml_forms import fault

TAGS = sorted({*MARC21_READERS, *UNIMARC_READERS, "100", "880"})
# What readers look for, amid what must not trouble them.
texts = st.one_of(
    st.sampled_from([
        "", " ", "-", "()", "[", "a = b :", "=", "2001 ", "001", "7001 ", "200", "070", "aut",
        "eng", "chi", "2020", "https://example.org/a b?x=1&y=2", "245-01/$1", "100-02/(B",
        "20020819d2002    em y0chiy0121    ea", "\x98Le \x9cmot", "\x98", "红楼梦", "イズ", "c2000",
        "000313t20002001nyua   e b    101 1 eng d", "<&>\"'", "\u3000", "\ufffe\x01\x85",
        "http://a:b/", "http://[x]/#a#b", "1:2", "%zz", "http://", "://x", "http:///x",
    ]),
    st.text(st.characters(exclude_characters="\x1d\x1e\x1f", exclude_categories=("Cs",)),
            max_size=12),
)  # fmt: skip
codes = st.sampled_from("abcdefghijklmnopqrstuvwxyzAEHI0123456789$")
indicators = st.text("0123456789 |#", min_size=2, max_size=2)


@st.composite
def records(draw: st.DrawFn) -> bytes:
    fields = []
    for tag in draw(st.lists(st.sampled_from(TAGS), min_size=1, max_size=6)):
        if tag < "010":
            fields.append(Field(tag, draw(texts)))
            continue
        parts = draw(st.lists(st.tuples(codes, texts), min_size=1, max_size=6))
        fields.append(Field.of(tag, draw(indicators), parts))
    leader = draw(st.text("0123456789abcdefgijkmnoprstuvz |#-", min_size=24, max_size=24))
    return build(leader, fields, oversize=True)


@given(records(), st.sampled_from(MarcFamily))
def test_mods_and_dublin_core_are_always_valid(marc: bytes, family: MarcFamily) -> None:
    assert fault("mods", to_mods(marc, family)) == ""
    assert fault("dc", to_dublin_core(marc, family)) == ""

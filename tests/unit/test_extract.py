"""What records bring to the index."""

from __future__ import annotations

import itertools
import lzma
from collections.abc import Iterator
from pathlib import Path

import pytest

from protocol.access_point import Kind
from protocol.iso2709 import DecodedRecord, Field, MarcRecord, decode_record, parse
from protocol.record import MarcFamily
from store import analysis
from store.extract import FIELD_CHARS_MAX, Entries, entries, query_keys, sort_values
from store.feeds import feeds_of

MARC21, UNIMARC = MarcFamily.MARC21, MarcFamily.UNIMARC
LEADER = "00000nam a2200000 a 4500"


def record(*fields: str, leader: str = LEADER) -> MarcRecord:
    """A record of fields written `245 10 $aTitle` or `001 x`; `#` is a blank indicator."""
    made = []
    for text in fields:
        tag, rest = text[:3], text[4:]
        if "$" in rest:
            rest = rest[:2].replace("#", " ") + rest[2:].strip().replace("$", "\x1f")
        made.append(Field(tag, rest))
    return MarcRecord(leader, made)


def texts(found: Entries, name: str) -> list[str]:
    return [text for access_point, text in found.fields if access_point == name]


def values(found: Entries, name: str) -> list[str]:
    return [value for access_point, value in found.keys if access_point == name]


def test_a_title_is_indexed_with_and_without_its_article_and_subtitle() -> None:
    found = entries(record("245 14 $aThe princes of Hà-tiên :$ba study /$cN. Sellers."), MARC21)
    assert texts(found, "title") == [
        "The princes of Hà-tiên : a study",
        "princes of Hà-tiên : a study",
        "The princes of Hà-tiên",
        "princes of Hà-tiên",
    ]
    assert texts(found, "author") == ["N. Sellers."]


def test_unimarc_signs_of_what_filing_passes_over_are_followed() -> None:
    for begin, end in (("\x88", "\x89"), ("\x98", "\x9c")):
        marked = record(f"200 1# $a{begin}Le {end}petit prince")
        found = entries(marked, UNIMARC)
        assert texts(found, "title") == ["Le petit prince", "petit prince"]
        assert sort_values(marked, UNIMARC)["title"] == "petit prince"


def test_an_880_feeds_what_its_linked_field_feeds_and_is_read_by_it() -> None:
    found = entries(
        record(
            "008 840523s1982    cc af    b    000 0 chi d",
            "245 00 $6880-01$aZi jin cheng gong dian /$cYu Zhuoyun zhu bian.",
            "700 1# $6880-05$aYu, Zhuoyun.",
            "880 00 $6245-01/$1$a紫禁城宮殿 /$c于倬雲主編.",
            "880 1# $6700-05/$1$a于倬雲.",
            "880 ## $6500-00/$1$a附录.",
        ),
        MARC21,
    )
    assert texts(found, "title") == ["Zi jin cheng gong dian", "紫禁城宮殿"]
    assert texts(found, "title_pinyin") == [
        "zi jin cheng gong dian", "zijinchenggongdian", "zjcgd",
    ]  # fmt: skip
    assert texts(found, "author_personal") == ["Yu, Zhuoyun.", "于倬雲."]
    assert texts(found, "author_pinyin") == ["yu zhuo yun", "yuzhuoyun", "yzy"]
    assert texts(found, "note") == ["附录."]


def test_a_romanisation_for_readers_is_no_word_of_the_title() -> None:
    for code in "A9":
        found = entries(
            record("101 0# $achi", f"200 1# $a材料力学${code}cai liao li xue$e题解"), UNIMARC
        )
        assert texts(found, "title") == ["材料力学 题解", "材料力学"]
        assert texts(found, "title_pinyin")[0] == "cai liao li xue"


def test_a_title_without_a_reading_is_read() -> None:
    chinese = record("101 0# $achi", "200 1# $a旅游经济$f单田芳著", "701 #0 $a单田芳")
    found = entries(chinese, UNIMARC)
    assert texts(found, "title_pinyin") == [
        "lv you jing ji", "lvyoujingji", "lyjj", "lu you jing ji", "luyoujingji",
    ]  # fmt: skip
    assert texts(found, "author_pinyin") == ["shan tian fang", "shantianfang", "stf"]


@pytest.mark.parametrize("language", ["jpn", "kor", "vie"])
def test_han_characters_of_another_language_are_not_read_as_chinese(language: str) -> None:
    found = entries(record(f"101 0# $a{language}", "200 1# $a東京物語"), UNIMARC)
    assert texts(found, "title_pinyin") == []
    assert sort_values(record("200 1# $a大陸建設の礎"), UNIMARC) == {"title": "大陆建设の础"}


def test_a_number_in_subfield_9_is_no_reading() -> None:
    found = entries(record("101 0# $achi", "700 #0 $a鲁迅$9001234"), UNIMARC)
    assert texts(found, "author_pinyin") == ["lu xun", "luxun", "lx"]


def test_fields_inside_unimarc_linking_entries_are_read() -> None:
    found = entries(
        record(
            "200 1# $aУездное",
            "423 #0 $12001 $aКотлован$eроман$1700 1$aПлатонов$bА. П.",
            "461 #0 $1001123$12001 $aШкола классики$v5",
            "454 #1 $tThe original",
        ),
        UNIMARC,
    )
    assert "Котлован" in texts(found, "title")
    assert "Платонов А. П." in texts(found, "author_personal")
    assert texts(found, "title_series")[:2] == ["Школа классики 5", "shkola klassiki 5"]
    assert "The original" in texts(found, "title")
    assert texts(found, "title_translated") == ["The original"]
    assert "Уездное" not in texts(found, "title_series")


def test_cyrillic_titles_and_authors_are_also_in_latin_letters() -> None:
    found = entries(record("200 1# $aВойна и мир$fЛ. Толстой"), UNIMARC)
    assert "voina i mir" in texts(found, "title")
    assert {"l. tolstoi", "l. tolstoy"} <= set(texts(found, "author"))


def test_subjects_go_to_their_vocabularies() -> None:
    found = entries(
        record(
            "650 #0 $aAstronautics$xPopular works.",
            "650 #2 $aSpace Flight",
            "650 #7 $aAstronautique$2ram",
            "650 #1 $aRockets",
            "651 #0 $aChina$xHistory",
            "653 ## $aspace$aflight",
            "600 10 $aNewton, Isaac,$d1642-1727.$tPrincipia.",
            "655 #7 $aBiographies.$2lcgft",
        ),
        MARC21,
    )
    assert texts(found, "subject_mesh") == ["Space Flight"]
    assert texts(found, "subject_rameau") == ["Astronautique"]
    assert texts(found, "subject_children") == ["Rockets"]
    assert texts(found, "subject_local") == ["space", "flight"]
    assert texts(found, "subject_person") == ["Newton, Isaac, 1642-1727."]
    assert texts(found, "subject_title") == ["Principia."]
    assert texts(found, "subject_geographic") == ["China"]
    assert texts(found, "genre") == ["Biographies."]
    assert texts(found, "subject_lcsh") == [
        "Astronautics Popular works.", "China History",
        "Newton, Isaac, 1642-1727. Principia.", "Biographies.",
    ]  # fmt: skip
    assert len(texts(found, "subject")) == 8


def test_an_editor_is_known_by_the_relator() -> None:
    marc21 = record("700 1# $aChen, Wei,$eeditor.", "700 1# $aLi, Na,$4edt", "700 1# $aWang, Fei.")
    assert texts(entries(marc21, MARC21), "editor") == ["Chen, Wei", "Li, Na"]
    cnmarc = record("702 #0 $a李强$4主编", "702 #0 $a刘慧茹$4译", "711 02 $a国家统计局$4编")
    assert texts(entries(cnmarc, UNIMARC), "editor") == ["李强", "国家统计局"]


def test_numbers_are_normalised_for_each_access_point() -> None:
    found = entries(
        record(
            "001 ocm00012345",
            "010 ## $a   85000002 ",
            "020 ## $a0960764216 (pbk.)",
            "020 ## $z0-306-40615-2",
            "022 0# $a0317-8471",
            "024 7# $a10.1000/182$2doi",
            "035 ## $a(OCoLC)ocm00012345",
            "082 00 $a338.4/7",
            "050 00 $aTL546.7$b.S48 1980",
            "090 ## $aTL546$b.S4",
        ),
        MARC21,
    )
    assert values(found, "isbn") == ["9780960764211", "9780306406157"]
    assert values(found, "issn") == ["03178471"]
    assert values(found, "lccn") == ["85000002"]
    assert values(found, "standard_number") == ["101000182"]
    assert set(values(found, "oclc_number")) >= {"12345", "ocolc12345"}
    assert values(found, "control_number") == ["ocm00012345", "ocolcocm00012345", "ocolc12345"]
    assert set(values(found, "identifier")) >= {
        "9780960764211", "0960764216", "0306406152", "03178471", "85000002", "101000182", "12345",
    }  # fmt: skip
    assert values(found, "classification_dewey") == ["338.47"]
    assert values(found, "classification_lcc") == [
        "tl546.7.s481980", "tl546.7", "tl546.s4", "tl546",
    ]  # fmt: skip
    assert query_keys(Kind.IDENTIFIER, "85-2")[0] in values(found, "lccn")


def test_coded_years_come_before_those_of_the_statement() -> None:
    coded = record("008 840523s1982    cc af    b    000 0 chi d", "260 ## $c1981, c1980.")
    assert values(entries(coded, MARC21), "date") == ["1982"]
    stated = record("008 840523nuuuuuuuucc af    b    000 0 chi d", "260 ## $c1981, c1980.")
    assert values(entries(stated, MARC21), "date") == ["1981", "1980"]
    cnmarc = record("100 ## $a19950109d1984    ekmy0chiy0120    ea", "210 ## $d1985.8")
    assert values(entries(cnmarc, UNIMARC), "date") == ["1984"]
    assert values(entries(cnmarc, UNIMARC), "date_entered") == ["19950109"]
    month = record("100 ## $a19950109d1985    ekmy0chiy0120    ea", "210 ## $d1985.8")
    assert values(entries(month, UNIMARC), "date") == ["1985", "198508"]
    assert sort_values(month, UNIMARC) == {"date": "1985"}
    uncoded = record("100 ## $a19950109d        ekmy0chiy0120    ea", "210 ## $d民国二十三年")
    assert values(entries(uncoded, UNIMARC), "date") == ["1934"]
    assert sort_values(uncoded, UNIMARC) == {"date": "1934"}


def test_leader_and_coded_fields_become_codes() -> None:
    found = entries(
        record(
            "005 20180625022747.0",
            "101 1# $achi$ceng",
            "102 ## $aCN$b110000",
            "801 #0 $aCN$bBNU$c19950626",
            leader="01441nam0 22003131  45  ",
        ),
        UNIMARC,
    )
    assert values(found, "material_type") == ["text", "monograph", "book"]
    assert values(found, "cataloguing_level") == ["1"]
    assert values(found, "language") == ["chi"]
    assert values(found, "language_original") == ["eng"]
    assert values(found, "country") == ["cn"]
    assert values(found, "record_source") == ["bnu"]
    assert values(found, "date_modified") == ["20180625"]


def test_holdings_in_a_record_say_nothing_of_who_holds_it() -> None:
    cnmarc = record("905 ## $aPKU$dTB301$s301/1")
    assert values(entries(cnmarc, UNIMARC), "possessing_institution") == []
    marc21 = record("852 0# $aDLC$bRare$hQA76$iS4")
    assert values(entries(marc21, MARC21), "possessing_institution") == []


def test_nothing_is_brought_twice() -> None:
    same = record(
        "650 #0 $aPalaces.", "650 #0 $aPalaces.", "020 ## $a0960764216", "020 ## $a9780960764211"
    )
    found = entries(same, MARC21)
    assert len(found.fields) == len(set(found.fields))
    assert values(found, "isbn") == ["9780960764211"]


@pytest.mark.parametrize("family", MarcFamily)
@pytest.mark.parametrize(
    "odd",
    [
        record(),
        record("245 10"),
        record("245 10 $"),
        record("245 10 $$a$"),
        record("245"),
        record("880 ## $a no link"),
        record("880 ## $6880-01$aloop"),
        record("880 ## $6"),
        record("461 #0 $1$12$1200"),
        record("008 short", "100 ## $ashort", "005 x", "101", "200 1# $a《》"),
        record("245 1९ $aThe x", "245 ²² $aThe y"),
        record("245 10 $a" + "x " * 50_000),
        record("020 ## $a" + "9" * 10_000, "024 ## $a(" + "(" * 10_000),
        MarcRecord("", [Field("", ""), Field("245", "\x1f\x1f\x1f"), Field("4", "\x1f1")]),
    ],
    ids=itertools.count(),
)
def test_an_odd_record_brings_what_it_can(family: MarcFamily, odd: MarcRecord) -> None:
    found = entries(odd, family)
    assert all(text and len(text) <= FIELD_CHARS_MAX for _, text in found.fields)
    assert all(value for _, value in found.keys)
    assert all(sort_values(odd, family).values())


def test_what_is_kept_of_the_forms_of_fields_is_bounded() -> None:
    feeds = feeds_of(MARC21)
    for number in range(25_000):
        feeds.steps("245", f"10|a{number}")
    assert len(feeds._steps) <= 20_000


def test_sorting_passes_over_articles_and_puts_chinese_in_pinyin_order() -> None:
    titles = [
        record("101 0# $achi", "200 1# $a中国通史"),
        record("101 0# $achi", "200 1# $a红楼梦$AHong lou meng"),
        record("101 0# $achi", "200 1# $aC语言"),
        record("101 0# $achi", "200 1# $a阿Q正传"),
        record("101 0# $achi", "200 1# $a红楼梦研究"),
    ]
    ordered = sorted(titles, key=lambda each: sort_values(each, UNIMARC)["title"])
    assert [each.fields[1].first("a") for each in ordered] == [
        "阿Q正传", "C语言", "红楼梦", "红楼梦研究", "中国通史",
    ]  # fmt: skip
    assert sort_values(record("245 04 $aThe Zoo"), MARC21)["title"] == "zoo"
    assert sort_values(record("245 00 $aAn", "700 1# $aShen, Li"), MARC21)["author"] == "shen li"


def _records(path: Path, family: MarcFamily, encoding: str = "auto") -> Iterator[MarcRecord]:
    octets = path.read_bytes()
    octets = lzma.decompress(octets) if path.suffix == ".xz" else octets
    for raw in octets.split(b"\x1d")[:-1]:
        decoded = decode_record(raw.lstrip(b"\r\n ") + b"\x1d", family, encoding)
        if isinstance(decoded, DecodedRecord):
            yield parse(decoded.marc)


# (file, 001, access point, what it must hold), checked by hand against the records.
BY_HAND = [
    ("cnmarc/danching-gbk-2.iso", "012002042862", "title", "材料力学"),
    ("cnmarc/danching-gbk-2.iso", "012002042862", "title_pinyin", "cailiaolixue"),
    ("cnmarc/danching-gbk-2.iso", "012002042862", "title_pinyin", "cllx"),
    ("cnmarc/danching-gbk-2.iso", "012002042862", "title_series",
     "新世纪理工科研究生入学考试指导丛书"),
    ("cnmarc/danching-gbk-2.iso", "012002042862", "author_pinyin", "ren jun guo"),
    ("cnmarc/danching-gbk-2.iso", "012002042862", "isbn", "9787810248464"),
    ("cnmarc/danching-gbk-2.iso", "012002042862", "classification_clc", "tb301"),
    ("cnmarc/danching-gbk-2.iso", "012002042862", "date", "2002"),
    ("cnmarc/danching-gbk-2.iso", "0195000001", "author_corporate", "土木学会"),
    ("cnmarc/danching-gbk-2.iso", "0195000001", "author", "土木学会编 杨广里 刘慧茹译"),
    ("cnmarc/derived-utf8.mrc", "D000000002", "title_pinyin", "tairiku kensetsu no ishizue"),
    ("cnmarc/derived-utf8.mrc", "D000000002", "title_series", "満洲開拓叢書 13"),
    ("cnmarc/derived-utf8.mrc", "D000000001", "subject_lcsh", "Liberalism History China"),
    ("unimarc/periouni-3064.mrc.xz", "0000050707", "issn", "00014826"),
    ("unimarc/periouni-3064.mrc.xz", "0000050707", "related_title",
     "Committee reports - American Accounting Association (0587-2863)"),
    ("unimarc/periouni-3064.mrc.xz", "0000050707", "author_corporate",
     "American Accounting Association"),
    ("unimarc/periouni-3064.mrc.xz", "0000050707", "place", "Sarasota, Fla., etc."),
    ("unimarc/periouni-3064.mrc.xz", "0000050707", "date", "1926"),
    ("marc21/uva-2000.mrc.xz", "u4", "title", "princes of Hà-tiên (1682-1867)"),
    ("marc21/uva-2000.mrc.xz", "u4", "subject_geographic", "Hatien (Principality)"),
    ("marc21/uva-2000.mrc.xz", "u4", "oclc_number", "10699347"),
    ("marc21/uva-2000.mrc.xz", "u4", "geographic_area", "a-vt"),
    ("marc21/uva-2000.mrc.xz", "u10", "title_uniform", "Selections. 1982"),
    ("cjk/yaz-marccol3.mrc", "82129893", "title", "宇宙　航行　和　数理化"),
    ("cjk/yaz-marccol3.mrc", "82129893", "title_pinyin", "yuzhouhangxingheshulihua"),
    ("cjk/yaz-marccol3.mrc", "82129893", "title_series", "科学　知识　普及　丛书"),
    ("cjk/yaz-marccol3.mrc", "82129893", "classification_dewey", "629.4"),
]  # fmt: skip


@pytest.mark.shared_data
@pytest.mark.parametrize(("file", "number", "name", "expected"), BY_HAND)
def test_a_real_record_brings_what_stands_in_it(
    shared_data: Path, file: str, number: str, name: str, expected: str
) -> None:
    family = UNIMARC if file.startswith(("cnmarc", "unimarc")) else MARC21
    every = _records(shared_data / file, family)
    found = entries(next(each for each in every if each.control_number == number), family)
    assert expected in texts(found, name) + values(found, name)


@pytest.mark.shared_data
@pytest.mark.parametrize(
    ("file", "family"),
    [
        ("marc21/uva-2000.mrc.xz", MARC21),
        ("cjk/yaz-marccol3.mrc", MARC21),
        ("cnmarc/derived-utf8.mrc", UNIMARC),
        ("unimarc/periouni-3064.mrc.xz", UNIMARC),
        ("unimarc/cmarc-38.mrc", UNIMARC),
    ],
)
def test_every_record_is_found_by_its_own_title(
    shared_data: Path, file: str, family: MarcFamily
) -> None:
    tag = "245" if family is MARC21 else "200"
    for each in itertools.islice(_records(shared_data / file, family), 300):
        title = each.first(tag)
        if title is None or not analysis.query_words(title.first("a")):
            continue
        query = analysis.query_words(title.first("a"))
        indexed = [set(analysis.words(text)) for text in texts(entries(each, family), "title")]
        assert any(set(query) <= words for words in indexed), title


@pytest.mark.parametrize(
    ("field", "reading"),
    [
        ("200 1 $a吾輩は猫である$Aワガハイ ワ ネコ デ アル", "わがはい わ ねこ で ある"),
        ("200 1 $aエコノミスト$AEkonomisuto", "ekonomisuto"),
        ("200 1 $a들어라, 딸들아$ATŭrŏra, ttaltŭl a", "turora ttaltul a"),
    ],
)
def test_a_reading_of_japanese_and_korean_is_the_records(field: str, reading: str) -> None:
    jpn = record("101 0 $ajpn", field)
    assert reading in texts(entries(jpn, UNIMARC), "title_pinyin")
    assert sort_values(jpn, UNIMARC)["title"].startswith(reading + "\x01")


def test_records_sort_by_their_first_class_mark() -> None:
    found = sort_values(record("690   $aI242.4$v5", "690   $aI207$v5"), UNIMARC)
    assert found["classification"] == found["classification_clc"] == "i242.4"
    dewey_first = record("082 04$a005.1", "084   $aTP311$2clc")
    found = sort_values(dewey_first, MARC21)
    assert (found["classification"], found["classification_clc"]) == ("005.1", "tp311")
    assert sort_values(record("082 04$a005.1/23"), MARC21)["classification"] == "005.123"

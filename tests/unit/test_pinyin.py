"""Readings of Chinese titles and names."""

from __future__ import annotations

import pytest

from store import pinyin


@pytest.mark.parametrize(
    ("text", "reading"),
    [
        ("中国现代文学史", "zhong guo xian dai wen xue shi"),
        ("红樓夢", "hong lou meng"),
        ("《红楼梦》研究", "hong lou meng yan jiu"),
        ("乾隆皇帝", "qian long huang di"),
        ("重庆长江大桥", "chong qing chang jiang da qiao"),
        ("银行行长", "yin hang hang zhang"),
        ("快乐的音乐", "kuai le de yin yue"),
        ("女性与旅游", "nv xing yu lv you"),
        ("C语言程序设计", "c yu yan cheng xu she ji"),
        ("", ""),
    ],
)
def test_a_title_is_read(text: str, reading: str) -> None:
    assert " ".join(pinyin.read(text)) == reading


@pytest.mark.parametrize(
    ("name", "reading"),
    [
        ("单田芳", "shan tian fang"),
        ("曾国藩", "zeng guo fan"),
        ("尉迟恭", "yu chi gong"),
        ("任钧国", "ren jun guo"),
        ("黑格尔", "hei ge er"),
    ],
)
def test_a_surname_is_read_as_a_surname(name: str, reading: str) -> None:
    assert " ".join(pinyin.read(name, is_name=True)) == reading


@pytest.mark.parametrize(
    ("romanised", "reading"),
    [
        ("Cai liao li xue", "cai liao li xue"),
        ("CAI LIAO LI XUE", "cai liao li xue"),
        ("Zhongguo li shi", "zhong guo li shi"),
        ("Zhōngguó lìshǐ", "zhong guo li shi"),
        ("lü you", "lv you"),
        ("nǚ rén", "nv ren"),
        ("lv you", "lv you"),
        ("Xi'an", "xi an"),
        ("'94Zhong Guo", "94 zhong guo"),
        ("Java cheng xu", "java cheng xu"),
    ],
)
def test_the_reading_of_a_record_is_parted_into_syllables(romanised: str, reading: str) -> None:
    assert " ".join(pinyin.from_record(romanised)) == reading


def test_a_japanese_reading_keeps_its_words() -> None:
    assert pinyin.from_record("Tairiku kensetsu", chinese=False) == ["tairiku", "kensetsu"]


def test_a_reading_is_indexed_spaced_joined_by_initials_and_with_u_for_v() -> None:
    assert pinyin.index_forms(["lv", "you"]) == ["lv you", "lvyou", "ly", "lu you", "luyou"]
    assert pinyin.index_forms(["ren"]) == ["ren", "r"]
    assert pinyin.index_forms(["java", "ji", "shu"]) == ["java ji shu", "javajishu", "jjs"]
    assert pinyin.index_forms([]) == []


@pytest.mark.parametrize(
    ("term", "spelled"),
    [
        ("hongloumeng", "hong lou meng"),
        ("Hongloumeng yanjiu", "hong lou meng yan jiu"),
        ("hong lou meng", "hong lou meng"),
        ("hlm", "hlm"),
        ("lüyou", "lv you"),
        ("hongl*", "hongl*"),
        ("红楼梦", "红楼梦"),
    ],
)
def test_a_query_without_blanks_is_parted_into_syllables(term: str, spelled: str) -> None:
    assert pinyin.respelled(term) == spelled


def test_the_syllables_of_a_word_are_the_fewest() -> None:
    assert pinyin.split_syllables("xian") == ("xian",)
    assert pinyin.split_syllables("xianfa") == ("xian", "fa")
    assert pinyin.split_syllables("hlm") == ()


def test_scripts_are_told_apart() -> None:
    assert pinyin.is_chinese("红楼梦")
    assert not pinyin.is_chinese("大陸建設の礎")
    assert pinyin.is_han("大陸建設の礎")
    assert not pinyin.is_han("Tolstoy")


def test_what_folds_to_nothing_is_no_syllable() -> None:
    assert pinyin.read("ـ中") == ("zhong",)
    assert pinyin.index_forms(pinyin.read("ـ")) == []

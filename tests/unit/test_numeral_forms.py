"""Numbers in the ways that readers write them, and what names a volume."""

from __future__ import annotations

import pytest

from store.folding import fold
from store.numeral_forms import variants, volume

OTHER_FORMS = [
    ("三体2", "三体ii"),
    ("三体Ⅱ", "三体2"),
    ("World War II", "world war 2"),
    ("Henry 8", "henry viii"),
    ("一九八四", "1984"),
    ("1984", "一九八四"),
    ("2008年统计年鉴", "二〇〇八年统计年鉴"),
    ("古代汉语第1册", "古代汉语第一册"),
    ("红楼梦第一百二十回", "红楼梦第120回"),
    ("二十卷", "20卷"),
    ("20卷", "二十卷"),
    ("20世纪文学史", "二十世纪文学史"),
    ("廿四史", "二十四史"),
    ("二十四史", "廿四史"),
]


@pytest.mark.parametrize(("text", "other"), OTHER_FORMS)
def test_a_number_is_looked_for_in_its_other_form(text: str, other: str) -> None:
    assert other in variants(fold(text))


@pytest.mark.parametrize(
    "text", ["ii", "vi", "百年孤独", "三国演义", "Xi Jinping", "civil law", "mix 3.5", "C++", ""]
)
def test_what_is_no_number_stays_as_it_is(text: str) -> None:
    assert variants(fold(text)) == []


@pytest.mark.parametrize(
    ("text", "rest", "phrase"),
    [
        ("邓小平文选 卷三", "邓小平文选", "第三卷"),
        ("邓小平文选第三卷", "邓小平文选", "卷3"),
        ("资治通鉴 第12册", "资治通鉴", "第十二册"),
        ("art of programming v.3", "art of programming", "volume 3"),
        ("art of programming, Vol. III", "art of programming", "v 3"),
        ("математический анализ ч. 1", "математический анализ", "часть 1"),
        ("高等数学 上", "高等数学", "上册"),
        ("高等数学(上)", "高等数学", "上册"),
        ("高等数学上册", "高等数学", "上卷"),
        ("聊斋志异 卷之三", "聊斋志异", "卷三"),
    ],
)
def test_a_volume_at_the_end_has_other_names(text: str, rest: str, phrase: str) -> None:
    found = volume(fold(text))
    assert found is not None
    assert found.rest == fold(rest)
    assert phrase in found.phrases


@pytest.mark.parametrize(
    "text",
    [
        "v.3",
        "卷三",
        "上",
        "上海",
        "三部曲",
        "programming in c 3",
        "路上",
        "vitamin c",
        "20卷",
        "san ti",
        "xi'an",
    ],
)
def test_what_names_no_volume_of_something_is_left_alone(text: str) -> None:
    assert volume(fold(text)) is None

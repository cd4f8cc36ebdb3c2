"""What a query finds in a text, by the analysis alone."""

from __future__ import annotations

import re

import pytest

from protocol.query import MASK_ANY, MASK_ONE
from store import analysis
from store.analysis import END, KEY_CHARS_MAX, START, TOKEN_CHARS_MAX, Token

A, O = MASK_ANY, MASK_ONE  # noqa: E741 - short enough for tables


def has_phrase(text: str, query: list[Token]) -> bool:
    """Whether the tokens of `query` stand in `text` at the same distances."""
    indexed = analysis.words(text)
    if not query:
        return False
    places = [
        {at - offset for word, at in indexed if _pattern(token).fullmatch(word)}
        for token, offset in query
    ]
    return bool(set.intersection(*places))


def _pattern(token: str) -> re.Pattern[str]:
    return re.compile(re.escape(token).replace(A, ".*").replace(O, "."))


def finds_words(text: str, query: str) -> bool:
    parts = analysis.query_parts(query)
    return bool(parts) and all(has_phrase(text, part) for part in parts)


def finds_phrase(text: str, query: str) -> bool:
    return has_phrase(text, analysis.query_words(query))


WORDS = [
    # Short Chinese titles, with and without punctuation
    ("家", "家", True),
    ("家·春·秋", "家春秋", True),
    ("骆驼祥子", "骆驼", True),
    ("骆驼祥子", "祥子", True),
    ("骆驼祥子", "骆子", False),
    ("《红楼梦》研究", "红楼梦研究", True),
    ("红楼梦研究", "《红楼梦》", True),
    ("红楼梦研究", "红楼梦 研究", True),
    ("研究红楼梦的方法", "红楼梦研究", False),
    ("中国文学史", "国文", True),
    ("中国文学史", "中国史", False),
    ("史记", "书记", False),
    ("平凡的世界", "平凡世界", False),
    ("鲁 迅", "鲁迅", True),
    ("材料力学", "材料", True),
    ("材料力学", "力学 材料", True),
    ("论语", "语论", False),
    ("一", "一", True),
    # Traditional, simplified, variants, shinjitai
    ("紫禁城宮殿", "紫禁城宫殿", True),
    ("红楼梦", "紅樓夢", True),
    ("乾隆皇帝", "乾隆", True),
    ("乾淨", "干净", True),
    ("幹部教育", "干部", True),
    ("著名著作", "着名", True),
    ("看着天空", "看著", True),
    ("後漢書", "后汉书", True),
    ("皇后", "皇後", True),
    ("瞭解中國", "了解中国", True),
    ("憑藉", "凭借", True),
    ("藝術概論", "艺术概论", True),
    ("文芸春秋", "文艺春秋", True),
    ("日本国憲法と沢田", "日本國宪法", True),
    ("広島", "广岛", True),
    ("図書館学", "图书馆学", True),
    ("囯文教科書", "国文教科书", True),
    ("啟蒙運動", "启蒙运动", True),
    ("羣衆路綫", "群众路线", True),
    ("裏面", "里面", True),
    ("髮型", "发型", True),
    ("周易", "週易", True),
    ("𠀋夫", "𠀋夫", True),
    ("⻓征", "长征", True),
    ("数字图象处理", "图像处理", True),
    ("会计帐簿", "会计账簿", True),
    ("沪剧", "滤剧", False),
    ("予告", "豫告", False),
    # Full and half width, compatibility forms
    ("Ｃ语言程序设计", "C语言", True),
    ("２００８年年鉴", "2008年", True),
    ("ﾃﾞｰﾀﾍﾞｰｽ入門", "データベース", True),
    ("第①卷", "第1卷", True),
    ("Ⅳ期临床", "iv期", True),
    # Kana, Hangul, other scripts without blanks
    ("ゆまに書房", "ユマニ", True),
    ("ソフトウェア工学", "そふとうぇあ", True),
    ("コンピューター入門", "コンピュータ", True),
    ("コンピュ－タ入門", "コンピューター入門", True),
    ("ノルウェイの森", "ノルウエイの森", True),
    ("学問のすゝめ", "学問のすすめ", True),
    ("佐々木小次郎", "佐佐木", True),
    ("馬鹿々々しい", "馬鹿馬鹿しい", True),
    ("いすゞ自動車", "いすず", True),
    ("かがみ", "かかみ", False),
    ("都市計画", "都市计划", True),
    ("한국어 사전", "국어", True),
    ("한국어 사전", "한국어사전", True),
    ("ประวัติศาสตร์ไทย", "ไทย", True),
    # Chinese with Latin letters and digits
    ("C语言程序设计", "c 语言", True),
    ("Python编程", "python编", True),
    ("3D打印技术", "3D打印", True),
    ("ASP.NET程序设计", "asp.net", True),
    ("'94中国发展报告", "94中国", True),
    ("5G时代", "5g", True),
    # Ordinals and years
    ("鲁迅全集.第三卷", "第3卷", True),
    ("鲁迅全集 第3卷", "第三卷", True),
    ("红楼梦 第一百二十回", "第120回", True),
    ("第12册", "第十二册", True),
    ("第十二册", "第2册", False),
    ("二〇〇八年统计年鉴", "2008年", True),
    ("二○○八年", "二〇〇八年", True),
    ("2008年统计年鉴", "二〇〇八年", True),
    # Latin: case, diacritics, ligatures, romanisation
    ("Les Misérables", "miserables", True),
    ("LES MISERABLES", "Misérables", True),
    ("Straßenbau", "strassenbau", True),
    ("Œuvres complètes", "oeuvres", True),
    ("Ægir og Øst", "aegir ost", True),
    ("Łódź", "lodz", True),
    ("İstanbul ısı", "istanbul isi", True),
    ("Hà-tiên", "ha tien", True),
    ("Gogolʹ", "Gogol", True),
    ("Gogol'", "Gogolʹ", True),
    ("Saʻdī", "sa'di", True),
    ("Đặng Thái Sơn", "dang thai son", True),
    ("naïve", "nai\u0308ve", True),
    # Apostrophes, hyphens, initials, signs
    ("L'étranger", "étranger", True),
    ("L’étranger", "l'etranger", True),
    ("O'Brien", "obrien", True),
    ("OBrien", "o'brien", True),
    ("Xi'an", "xian", True),
    ("Jean-Paul Sartre", "jean paul", True),
    ("Jean Paul Sartre", "Jean-Paul", True),
    ("Jean-Paul Sartre", "paul jean", True),
    ("co-operation", "cooperation", True),
    ("e-mail", "email", True),
    ("email", "e-mail", True),
    ("The U.S.A. today", "usa", True),
    ("USA today", "U.S.A.", True),
    ("Rowling, J. K.", "j.k. rowling", True),
    ("Rowling, J.K.", "rowling j", True),
    ("Толстой, Л. Н.", "Л.Н. Толстой", True),
    ("C++ primer", "c++", True),
    ("C++ primer", "c", False),
    ("C primer", "c++", False),
    ("Visual C# 2008", "c#", True),
    ("ASP.NET", ".net", True),
    ("The net", ".net", False),
    ("1,000 places", "1000", True),
    ("1000 places", "1,000", True),
    ("Web 2.0", "2.0", True),
    ("1998-2003", "2003", True),
    # Cyrillic, Hebrew, Arabic, Devanagari
    ("Всё о войне", "все", True),
    ("Мой край", "мои", False),
    ("שָׁלוֹם", "שלום", True),
    ("مُحَمَّد", "محمد", True),
    ("أحمد", "احمد", True),
    ("हिन्दी साहित्य", "हिन्दी", True),
    ("हिन्दी साहित्य", "हिन्द", False),
    # Truncation and masks
    ("Cataloguing rules", f"catalog{A}", True),
    ("Cataloguing rules", f"{A}guing", True),
    ("Cataloguing rules", f"rul{O}s", True),
    ("Cataloguing rules", f"rul{O}", False),
    ("红楼梦研究", f"红楼{A}", True),
    ("红楼梦研究", f"红{O}梦", True),
    ("红楼梦研究", f"红{O}{O}梦", False),
    ("红楼梦研究", f"红{A}研究", True),
    # Nothing to look for
    ("红楼梦", "《》", False),
    ("红楼梦", "", False),
    ("红楼梦", A, False),
]


@pytest.mark.parametrize(("text", "query", "found"), WORDS)
def test_a_query_finds_what_a_cataloguer_expects(text: str, query: str, found: bool) -> None:
    assert finds_words(text, query) is found


PHRASES = [
    ("The lord of the rings", "lord of the", True),
    ("The lord of the rings", "lord rings", False),
    ("History of the U.S. Army", "U.S. Army", True),
    ("History of the US Army", "U.S. Army", True),
    ("Rowling, J. K. (Joanne)", "Rowling, J.K.", True),
    ("L'étranger de Camus", "étranger de camus", True),
    ("Jean-Paul Sartre", "Jean Paul Sartre", True),
    ("e-mail marketing", "email marketing", True),
    ("红楼梦 研究", "红楼梦研究", True),
    ("鲁迅全集 第十二卷 杂文", "第12卷", True),
    ("C语言程序设计 : 第3版", "程序设计第3版", True),
    ("C语言程序设计 : 第3版", "第3版程序设计", False),
]


@pytest.mark.parametrize(("text", "query", "found"), PHRASES)
def test_a_phrase_stands_in_its_order(text: str, query: str, found: bool) -> None:
    assert finds_phrase(text, query) is found


def test_a_run_gives_characters_and_bigrams_at_their_places() -> None:
    assert analysis.words("红楼梦") == [("红", 0), ("楼", 1), ("梦", 2), ("红楼", 0), ("楼梦", 1)]
    assert analysis.query_words("红楼梦") == [("红楼", 0), ("楼梦", 1)]
    assert analysis.query_words("红") == [("红", 0)]


@pytest.mark.parametrize(
    ("text", "length"),
    [("红楼梦", 3), ("C语言", 3), ("", 0), ("《》", 0), ("J. K. Rowling", 2), ("Jean-Paul", 2)],
)
def test_the_length_of_a_phrase_is_where_its_field_would_end(text: str, length: int) -> None:
    assert analysis.query_length(text) == length
    positions = [position for _, position in analysis.words(text)]
    assert max(positions, default=-1) + 1 == length


def test_masks_are_separators_where_they_are_not_wanted() -> None:
    assert analysis.query_words(f"ca{A}t", masks=False) == [("ca", 0), ("t", 1)]
    assert analysis.query_words(f"ca{A}t") == [(f"ca{A}t", 0)]


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("The Lord of the rings /", "the lord of the rings"),
        ("  L'Étranger  ", "letranger"),
        ("《红楼梦》研究", "红楼梦研究"),
        ("紅樓夢 研究", "红楼梦研究"),
        ("C语言程序设计", "c 语言程序设计"),
        ("C 语言程序设计", "c 语言程序设计"),
        ("Rowling, J. K.", "rowling jk"),
        ("Jean-Paul", "jean paul"),
        (f"红楼{A}", f"红楼{A}"),
        (f"Lord of the r{A}", f"lord of the r{A}"),
        ("《》", ""),
    ],
)
def test_the_key_of_a_field_hides_case_and_punctuation(text: str, key: str) -> None:
    assert analysis.key(text) == key


def test_keys_and_words_are_bounded() -> None:
    assert len(analysis.key("word " * 1000)) == KEY_CHARS_MAX
    assert analysis.words("x" * 1000) == [("x" * TOKEN_CHARS_MAX, 0)]
    assert analysis.query_words("x" * 1000) == [("x" * TOKEN_CHARS_MAX, 0)]


def test_no_text_brings_the_sentinels_of_the_index() -> None:
    assert analysis.words(f"a{START}b {END}") == [("ab", 0)]

"""Pinyin of titles and names: from the record where it brings it, made where it does not.

A reading is a list of syllables in lower case without tones, ü as `v`; words in
other scripts stand in it as they are, folded.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import cache, lru_cache
from typing import NamedTuple

from opencc import OpenCC

from store.folding import fold

READ_CHARS_MAX = 120  # of a text that brings no reading; titles proper are shorter
_PHRASE_CHARS_MAX = 8

_HAN = re.compile("[\u3007\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U0003ffff]")
_OTHER_SCRIPT = re.compile("[\u3041-\u30ff\u1100-\u11ff\uac00-\ud7a3]")  # kana and Hangul
_KANA = re.compile("[\u3041-\u30ff\uff66-\uff9f]")
_PIECE = re.compile(r"[^\W_]+")
_ROMANISED = re.compile(r"[0-9]+|[^\W\d_]+")
_ROMAN_WORD = re.compile("[a-z]+")
_U_UMLAUT = re.compile("u\u0304?\u0308[\u0300\u0301\u0304\u030c]?")

# Surnames that are read otherwise than the word.
_SURNAMES = {
    "单": "shan", "曾": "zeng", "解": "xie", "仇": "qiu", "任": "ren", "查": "zha", "区": "ou",
    "朴": "piao", "翟": "zhai", "覃": "qin", "种": "chong", "员": "yun", "缪": "miao", "乐": "yue",
    "召": "shao", "尉迟": "yu chi", "万俟": "mo qi", "长孙": "zhang sun", "澹台": "tan tai",
    "单于": "chan yu",
}  # fmt: skip

_SYLLABLE_LIST = """
a ai an ang ao ba bai ban bang bao bei ben beng bi bian biao bie bin bing bo bu ca cai can cang
cao ce cen ceng cha chai chan chang chao che chen cheng chi chong chou chu chua chuai chuan chuang
chui chun chuo ci cong cou cu cuan cui cun cuo da dai dan dang dao de dei deng di dia dian diao die
ding diu dong dou du duan dui dun duo e ei en eng er fa fan fang fei fen feng fo fou fu ga gai gan
gang gao ge gei gen geng gong gou gu gua guai guan guang gui gun guo ha hai han hang hao he hei hen
heng hong hou hu hua huai huan huang hui hun huo ji jia jian jiang jiao jie jin jing jiong jiu ju
juan jue jun ka kai kan kang kao ke ken keng kong kou ku kua kuai kuan kuang kui kun kuo la lai lan
lang lao le lei leng li lia lian liang liao lie lin ling liu lo long lou lu luan lue lun luo lv lve
ma mai man mang mao me mei men meng mi mian miao mie min ming miu mo mou mu na nai nan nang nao ne
nei nen neng ni nian niang niao nie nin ning niu nong nou nu nuan nue nuo nv nve o ou pa pai pan
pang pao pei pen peng pi pian piao pie pin ping po pou pu qi qia qian qiang qiao qie qin qing qiong
qiu qu quan que qun ran rang rao re ren reng ri rong rou ru ruan rui run ruo sa sai san sang sao se
sen seng sha shai shan shang shao she shei shen sheng shi shou shu shua shuai shuan shuang shui
shun shuo si song sou su suan sui sun suo ta tai tan tang tao te teng ti tian tiao tie ting tong tou
tu tuan tui tun tuo wa wai wan wang wei wen weng wo wu xi xia xian xiang xiao xie xin xing xiong xiu
xu xuan xue xun ya yan yang yao ye yi yin ying yo yong you yu yuan yue yun za zai zan zang zao ze
zei zen zeng zha zhai zhan zhang zhao zhe zhen zheng zhi zhong zhou zhu zhua zhuai zhuan zhuang zhui
zhun zhuo zi zong zou zu zuan zui zun zuo
"""
_SYLLABLES = frozenset(_SYLLABLE_LIST.split())
_SYLLABLE_CHARS_MAX = 6
_WORD_CHARS_MAX = 200


def index_forms(reading: Sequence[str]) -> list[str]:
    """The texts to index for a reading: spaced, joined, initials; ü as u and as v.

    Of one in kana, where blanks do not matter, the reading itself.
    """
    if not reading:
        return []
    spaced = " ".join(reading)
    if _KANA.search(spaced):
        return [spaced]
    forms = [spaced, spaced.replace(" ", ""), "".join([syllable[0] for syllable in reading])]
    if "v" in spaced:
        other = " ".join(
            [each.replace("v", "u") if each in _SYLLABLES else each for each in reading]
        )
        forms += [other, other.replace(" ", "")]
    return list(dict.fromkeys(forms))


def is_han(text: str) -> bool:
    """Whether `text` has Han characters to read."""
    return _HAN.search(text) is not None


def has_reading(text: str) -> bool:
    """Whether `text` is in a script that records give readings of: Han, kana, Hangul."""
    return is_han(text) or _OTHER_SCRIPT.search(text) is not None


def kana(reading: str) -> list[str]:
    """The words of a reading that a record brings in kana; [] when it is none."""
    return fold(reading).split() if _KANA.search(reading) else []


def is_chinese(text: str) -> bool:
    """Whether `text` has Han characters and neither kana nor Hangul."""
    return is_han(text) and _OTHER_SCRIPT.search(text) is None


def from_record(romanised: str, *, chinese: bool = True) -> list[str]:
    """The syllables of a reading that a record brings (`Zhongguo li shi`, `lü you`).

    A word that is no Pinyin stays whole; so does every word unless `chinese`.
    """
    text = romanised.lower()
    if not text.isascii():
        text = fold(_U_UMLAUT.sub("v", unicodedata.normalize("NFD", text)))
    text = text.replace("'", " ")
    found: list[str] = []
    for word in _ROMANISED.findall(text):
        found += (split_syllables(word) if chinese else ()) or [word]
    return found


@lru_cache(maxsize=8192)
def split_syllables(word: str) -> tuple[str, ...]:
    """The fewest syllables that make up `word`; () when it is not all Pinyin."""
    if word in _SYLLABLES:
        return (word,)
    if len(word) > _WORD_CHARS_MAX or not _ROMAN_WORD.fullmatch(word):
        return ()
    best: list[tuple[str, ...] | None] = [()] + [None] * len(word)
    for end in range(1, len(word) + 1):
        for start in range(max(0, end - _SYLLABLE_CHARS_MAX), end):
            before = best[start]
            current = best[end]
            if (
                before is not None
                and word[start:end] in _SYLLABLES
                and (current is None or len(before) + 1 < len(current))
            ):
                best[end] = (*before, word[start:end])
    return best[-1] or ()


def respelled(term: str) -> str:
    """A query for a Pinyin access point with its words parted into syllables.

    `hongloumeng yanjiu` becomes `hong lou meng yan jiu`; what is no Pinyin stays
    as it is, masks too.
    """
    words = []
    for word in term.split():
        lower = fold(_U_UMLAUT.sub("v", unicodedata.normalize("NFD", word.lower())))
        words.append(" ".join(split_syllables(lower)) or word)
    return " ".join(words)


@lru_cache(maxsize=256)  # a title is read for the index and again for sorting
def read(text: str, *, is_name: bool = False) -> tuple[str, ...]:
    """The reading of Chinese text that brings none; of long texts only the beginning.

    Words of more than one reading are read as their longest known phrase says.
    """
    tables = _tables()
    simplified = unicodedata.normalize("NFKC", text[:READ_CHARS_MAX])
    if not _in_gb2312(simplified):
        # A lone surrogate, which no record can hold, would stop OpenCC.
        simplified = simplified.encode("utf-8", "ignore").decode()
        simplified = tables.simplify.convert(simplified)
    found: list[str] = []
    for piece in _PIECE.findall(simplified):
        start = 0
        if is_name and not found:
            for size in (2, 1):
                if surname := _SURNAMES.get(piece[:size]):
                    found += surname.split()
                    start = size
                    break
        while start < len(piece):
            start = _read_next(piece, start, tables, found)
    return tuple(found)


def _in_gb2312(text: str) -> bool:
    """Whether `text` has only characters of simplified Chinese; cheap."""
    try:
        text.encode("gb2312")
    except UnicodeEncodeError:
        return False
    return True


def _read_next(piece: str, start: int, tables: _Tables, found: list[str]) -> int:
    """Append the reading of what stands at `start`; return where the next begins."""
    char = piece[start]
    for size in range(min(tables.phrase_size.get(char, 1), len(piece) - start), 1, -1):
        syllables = tables.phrases.get(piece[start : start + size])
        if syllables is not None:
            found += [_plain(choices[0]) for choices in syllables]
            return start + size
    reading = tables.characters.get(ord(char))
    if reading is not None:
        found.append(_plain(reading.partition(",")[0]))
        return start + 1
    end = start + 1
    while end < len(piece) and ord(piece[end]) not in tables.characters:
        end += 1
    if folded := fold(piece[start:end]):  # the tatweel of Arabic folds to nothing
        found.append(folded)
    return end


@lru_cache(maxsize=4096)
def _plain(syllable: str) -> str:
    """A syllable with tone mark as plain letters, ü as v."""
    return fold(_U_UMLAUT.sub("v", unicodedata.normalize("NFD", syllable)))


class _Tables(NamedTuple):
    simplify: OpenCC
    phrases: dict[str, list[list[str]]]
    phrase_size: dict[str, int]  # of the longest phrase, by its first character
    characters: dict[int, str]


@cache
def _tables() -> _Tables:
    # Loading them takes longer than everything else here, and only records
    # without a reading need them.
    from pypinyin.constants import PHRASES_DICT, PINYIN_DICT  # noqa: PLC0415

    sizes: dict[str, int] = {}
    for phrase in PHRASES_DICT:
        size = len(phrase)
        if size <= _PHRASE_CHARS_MAX and size > sizes.get(phrase[0], 1):
            sizes[phrase[0]] = size
    return _Tables(OpenCC("t2s"), PHRASES_DICT, sizes, PINYIN_DICT)

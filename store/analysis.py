"""From text to index words: one chain for records and for queries.

The chain is NFKC, lower case, diacritics folded, Japanese and traditional
Chinese characters simplified (`store.folding`), then words. Each word or
character of a field has a position, counted from 0:

- Scripts written without blanks (Han, kana, Hangul, Thai, Khmer ...) are
  *runs*: every character has a position, and is indexed alone and together
  with its successor (a bigram). Blanks and punctuation do not part a run, so
  红楼梦研究 finds 《红楼梦》研究. A query of n characters looks up n - 1 bigrams.
- Elsewhere a word is letters, digits and the marks that belong to them, and
  has one position.
- Words joined by apostrophes (L'étranger, O'Brien, Xi'an, Gogol'), initials
  (J. K., U.S.A.) and e-words (e-mail) share one position: the joined form and
  every part are indexed there. A query that writes them so looks up the joined
  form, so `usa`, `u.s.a.` and `U. S. A.` all meet.
- Other hyphens part words (Jean-Paul is two); the joined form is indexed
  beside the first part, so `cooperation` finds `co-operation`.
- Ordinals and years are indexed as written and in the other numerals, so 第3卷
  finds 第三卷 and 2008年 finds 二〇〇八年, and the reverse.
- 1,000 is 1000; other separators in numbers part them. C++, C# and .NET are
  words; `net` finds .NET, `c` does not find C++.
"""

from __future__ import annotations

import re
from itertools import count
from operator import add

from protocol.query import MASK_ANY, MASK_ONE
from store import numerals
from store.folding import JOINING, RUN, fold, separate

__all__ = [
    "END",
    "KEY_CHARS_MAX",
    "START",
    "TOKEN_CHARS_MAX",
    "Token",
    "analyse",
    "fold",
    "key",
    "query_length",
    "query_parts",
    "query_words",
    "words",
]

Token = tuple[str, int]  # (token, position)

# Sentinel tokens; `fold` drops these characters from every text.
START = "\uf8f2"  # stands before the first word of a field
END = "\uf8f3"  # stands after its last word

TOKEN_CHARS_MAX = 64  # longer words are cut, in records and queries alike
KEY_CHARS_MAX = 200  # of a whole-field key

_MASKS = MASK_ANY + MASK_ONE
_BETWEEN = re.escape(f" {JOINING}")


def _pattern(char: str, letter: str, after_run: str) -> re.Pattern[str]:
    """The pieces of separated text: runs, and words with what joins them.

    `char` matches what words consist of, `letter` one letter, and `after_run`
    what a run takes with it at its end.
    """
    return re.compile(
        rf"{RUN}.(?:[{_BETWEEN}{_MASKS}]*{RUN}.)*{after_run}"
        r"|[a-z](?:\+\+|\#)(?![a-z])"
        rf"|\.net(?!{char})"
        rf"|[0-9]{{1,3}}(?:,[0-9]{{3}}){{1,6}}(?!,?{char})"
        rf"|{letter}(?:\.\ ?{letter}(?!{char}))+"
        rf"|{char}+(?:['`·-]{char}+)*"
    )


_NO_WORD = _BETWEEN + RUN
_PIECE = _pattern(f"[^{_NO_WORD}{_MASKS}]", f"[^{_NO_WORD}{_MASKS}0-9]", "")
_MASKED_PIECE = _pattern(f"[^{_NO_WORD}]", f"[^{_NO_WORD}{_MASKS}0-9]", f"[{_MASKS}]*")
_RUN_CHARS = re.compile(f"{RUN}(.)")
_RUN_MASK_ANY = re.compile(f"(?<={RUN}.){MASK_ANY}+(?={RUN})")
# Where `_PIECE` may find more than runs and words. Each begins with a plain
# character, which makes the search for it cheap.
_HYPHEN = re.compile(r"-(?<![0-9 ]-)[^ ]")
_THOUSANDS = re.compile(r",[0-9]")
_FULL_STOP = re.compile(rf"\.(?:net|(?<=[{_BETWEEN}][^\W\d]\.) ?[^\W\d](?![^{_BETWEEN}]))")
_FULL_STOP_AMONG_RUNS = re.compile(r"\. ?[^\W\d]")
_SIMPLE_PIECE = re.compile(rf"{RUN}.(?: *{RUN}.)*|[^ {RUN}]+")
_ALWAYS_JOINING = f"'`·+#{_MASKS}"
_NOT_WORDS = frozenset(JOINING + _MASKS)
_JOINING_TO_BLANKS = str.maketrans(JOINING, " " * len(JOINING))
_JOINERS = re.compile(r"['`·]")
_INITIALS_JOINERS = re.compile(r"\. ?")


def words(text: str) -> list[Token]:
    """Return the tokens to index for the text of one field, with their positions.

    Several tokens may share a position. Linear in the length of `text`.
    """
    return analyse(text)[0]


def analyse(text: str) -> tuple[list[Token], str]:
    """Return `words(text)` and `key(text)`, at little more than the cost of one."""
    separated = separate(text)
    plain = separated.split()
    whole = "".join(plain)
    pattern = _SIMPLE_PIECE
    if not _NOT_WORDS.isdisjoint(whole):
        if _joins_words(separated):
            pattern = _PIECE
        else:
            separated = separated.translate(_JOINING_TO_BLANKS)
            plain = separated.split()
            whole = "".join(plain)
    if whole.isalnum():
        if len(text) > TOKEN_CHARS_MAX:
            cut = [word[:TOKEN_CHARS_MAX] for word in plain]
            return list(zip(cut, count())), " ".join(plain)[:KEY_CHARS_MAX]
        return list(zip(plain, count())), " ".join(plain)
    if whole and len(whole) == 2 * whole.count(RUN):
        tokens, found = _run_tokens(whole[1::2], 0), [whole[1::2]]
    else:
        tokens, found = _piece_tokens(pattern.findall(separated))
    if numerals.ORDINAL in whole or numerals.YEAR in whole:
        tokens += numerals.other_forms(tokens)
    return tokens, " ".join(found)[:KEY_CHARS_MAX]


def _joins_words(separated: str) -> bool:
    """Whether `_PIECE` may find more than runs and words; rather once too often."""
    if any(sign in separated for sign in _ALWAYS_JOINING):
        return True
    if "-" in separated and _HYPHEN.search(separated):
        return True
    if "," in separated and _THOUSANDS.search(separated):
        return True
    if "." not in separated:
        return False
    if RUN in separated:
        return _FULL_STOP_AMONG_RUNS.search(separated) is not None
    return _FULL_STOP.search(f" {separated}") is not None


def _piece_tokens(pieces: list[str]) -> tuple[list[Token], list[str]]:
    """The tokens of pieces in order, and what stands for them in a key."""
    tokens: list[Token] = []
    found: list[str] = []
    position = 0
    for piece in pieces:
        if piece[0] == RUN:
            chars = "".join(_RUN_CHARS.findall(piece))
            found.append(chars)
            tokens += _run_tokens(chars, position)
            position += len(chars)
        elif piece.isalnum():
            found.append(piece)
            tokens.append((piece[:TOKEN_CHARS_MAX], position))
            position += 1
        else:
            joined = _joined(piece)
            found += [word for word, _ in joined]
            tokens += _compound(piece, position, joined)
            position += len(joined)
    return tokens, found


def _run_tokens(chars: str, position: int) -> list[Token]:
    """Every character of a run, and every two side by side."""
    tokens = list(zip(chars, count(position)))
    tokens += zip(map(add, chars, chars[1:]), count(position))
    return tokens


def query_words(text: str, *, masks: bool = True) -> list[Token]:
    """Return the tokens to look up for `text` as one phrase, each at its position.

    Unless `masks`, MASK_ANY and MASK_ONE part words like blanks. With them, a
    mask stays in its word for the index to expand; in a run MASK_ONE is a
    position left open, and MASK_ANY is nothing, as a run matches inside its
    field anyway (`query_parts` lets it stand for any distance).
    """
    return _query(fold(text), masks)[0]


def query_length(text: str, *, masks: bool = True) -> int:
    """Return how many positions the phrase `text` occupies; 0 when it has no words."""
    return _query(fold(text), masks)[1]


def query_parts(text: str, *, masks: bool = True) -> list[list[Token]]:
    """Return the words of `text`, each a phrase of tokens whose positions begin at 0.

    A word ends at a blank, and in a run at MASK_ANY: 红楼梦 研究 is two words,
    红楼梦 one of two bigrams.
    """
    parts = []
    for chunk in text.split():
        pieces = _RUN_MASK_ANY.split(separate(chunk)) if masks else [chunk]
        # Only a run is parted, and then what is left needs no folding again.
        whole = [chunk] if len(pieces) == 1 else pieces
        parts += [tokens for piece in whole if (tokens := _query(piece, masks)[0])]
    return parts


def key(text: str) -> str:
    """Return the whole-field key: words parted by one blank, runs unparted.

    Equal for texts that differ only in what folding and punctuation hide, and
    a prefix for one that begins the other at a word (or at any character of a
    run); at most KEY_CHARS_MAX characters. Masks are kept.
    """
    folded, is_open = _closed(fold(text))
    separated = separate(folded)
    plain = separated.split()
    if "".join(plain).isalnum():
        return " ".join(plain)[:KEY_CHARS_MAX] + MASK_ANY * is_open
    found: list[str] = []
    for piece in _MASKED_PIECE.findall(separated):
        if piece[0] == RUN:
            found.append("".join(char for char in piece if char not in _NOT_IN_RUN))
        elif piece.isalnum():
            found.append(piece)
        else:
            found += [word for word, _ in _joined(piece)]
    return " ".join(found)[:KEY_CHARS_MAX] + MASK_ANY * is_open


_NOT_IN_RUN = frozenset(f" {JOINING}{RUN}")


def _closed(folded: str) -> tuple[str, bool]:
    """The text without a MASK_ANY that opens its last word, and whether there was one.

    The mask belongs to the last word even behind punctuation, and must not
    keep initials from being seen as such: `Geology.*`, `Caplen, B. R*`.
    """
    closed = folded.rstrip(MASK_ANY)
    is_open = len(closed) < len(folded) and closed[-1:].strip() != ""
    return (closed, True) if is_open else (folded, False)


def _query(folded: str, masks: bool) -> tuple[list[Token], int]:
    """The tokens of a phrase and the positions that it occupies."""
    tokens: list[Token] = []
    position = 0
    piece = ""
    folded, is_open = _closed(folded) if masks else (folded, False)
    for piece in (_MASKED_PIECE if masks else _PIECE).findall(separate(folded)):
        if piece[0] == RUN:
            position = _query_run(piece, position, tokens)
        elif piece.isalnum():
            tokens.append((piece[:TOKEN_CHARS_MAX], position))
            position += 1
        elif piece.strip(_MASKS):
            for word, offset in _joined(piece):
                tokens.append((word[:TOKEN_CHARS_MAX], position + offset))
            position = tokens[-1][1] + 1
    if is_open and tokens and piece[0] != RUN:
        word, offset = tokens[-1]
        tokens[-1] = (word + MASK_ANY, offset)
    return tokens, position


def _query_run(piece: str, position: int, tokens: list[Token]) -> int:
    """Append the bigrams of a run, and the characters that masks leave alone."""
    stretches = [""]
    for char in piece:
        if char == MASK_ONE:
            stretches.append("")
        elif char not in _NOT_IN_RUN and char != MASK_ANY:
            stretches[-1] += char
    for stretch in stretches:
        if len(stretch) == 1:
            tokens.append((stretch, position))
        tokens += zip(map(add, stretch, stretch[1:]), count(position))
        position += len(stretch) + 1
    return position - 1


def _joined(piece: str) -> list[Token]:
    """The words by which a piece that is more than letters is looked up, from 0."""
    if piece[0] == "." or piece[-1] in "+#":
        return [(piece, 0)]
    if "," in piece:
        return [(piece.replace(",", ""), 0)]
    if "." in piece:
        return [(_INITIALS_JOINERS.sub("", piece), 0)]
    parts = _JOINERS.sub("", piece).split("-")
    if len(parts) > 1 and parts[0] == "e":
        parts[:2] = ["e" + parts[1]]
    return [(part, offset) for offset, part in enumerate(parts)]


def _compound(piece: str, position: int, joined: list[Token]) -> list[Token]:
    """What is indexed at `position` for such a piece: `joined`, and its parts."""
    found = [*joined]
    if piece[0] == ".":
        found.append((piece[1:], 0))
    elif "." in piece:
        found += [(letter, 0) for letter in _INITIALS_JOINERS.split(piece)]
    elif piece[-1] not in "+#" and "," not in piece:
        segments = piece.split("-")
        if len(joined) > 1 and (whole := piece.replace("-", "")).isalpha():
            found.append((whole, 0))
        first = len(joined) - len(segments)  # -1: an e-word, whose e shares position 0
        for offset, segment in enumerate(segments, first):
            if len(parts := _JOINERS.split(segment)) > 1 or first:
                found += [(part, max(offset, 0)) for part in parts]
    return [(word[:TOKEN_CHARS_MAX], position + offset) for word, offset in dict.fromkeys(found)]

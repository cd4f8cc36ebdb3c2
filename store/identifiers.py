"""Numbers, dates, codes and class marks in the form in which they are compared.

Each kind has a function for what a record holds and one for what a client asks;
both give the values to index or to look up, the canonical one first. Masks
(`protocol.query`) in a query stay where they are. Nothing here raises.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from operator import mul

from protocol.access_point import Kind
from protocol.query import MASK_ANY, MASK_ONE
from store.dates import date_query
from store.folding import fold

_MASKS = MASK_ANY + MASK_ONE
_WEIGHTS_10 = range(10, 1, -1)
_KEPT = 64  # results; one number is asked for by several access points in turn
_DIGITS_MIN = 5  # of a number that is no valid ISBN or ISSN, to be worth indexing
_NOT_NUMBER = re.compile(rf"[^0-9x{_MASKS}]")
_DASHES = re.compile(r"[-\u2010-\u2015\u2212\uff0d~]")
_NUMBER_RUN = re.compile(r"[0-9](?: ?[0-9])*(?: ?x)?")
_NOT_ALNUM = re.compile(rf"(?:[^\w{_MASKS}]|_)+")
_LEADING_DIGITS = re.compile("[0-9]+")
_OCLC_PREFIX = re.compile(r"(?:ocm|ocn|on)?0*(?=[0-9])")
_LCCN = re.compile(r"\s*([a-z]{0,3})\s*([0-9]{2}|[0-9]{4})-([0-9]{1,6})\s*$")
_LCCN_SUFFIX = re.compile(r"(\s*[a-z]{0,3}\s*[0-9]{8,10})\s*/")
_DEWEY_PRIMES = re.compile(r"[0-9]{3}(?:\.[0-9]*)?['/]")


def query_keys(kind: Kind, term: str) -> list[str]:
    """The values to look up for `term`, to be OR-ed; empty when it can match nothing.

    The first one has no mask that the term has not, so it can bound a range.
    """
    rule = _QUERY_RULES.get(kind)
    return rule(term) if rule else [fold(term).strip()]


def isbn_is_valid(digits: str) -> bool:
    """Whether 10 or 13 digits, the last of 10 possibly `x`, end in the right check digit.

    ISO 2108; of thirteen only those that begin with 978 or 979.
    """
    if not digits.isascii():
        return False
    if len(digits) == 10 and digits[:9].isdecimal():
        total = sum(map(mul, _WEIGHTS_10, map(int, digits[:9])))
        return "0123456789x"[-total % 11] == digits[9]
    if len(digits) == 13 and digits.isdecimal() and digits.startswith(("978", "979")):
        return _check_digit_13(digits[:12]) == digits[12]
    return False


def isbn_13(digits: str) -> str:
    """The thirteen digits of a valid ISBN of ten or thirteen."""
    if len(digits) == 13:
        return digits
    body = "978" + digits[:9]
    return body + _check_digit_13(body)


def isbn_10(digits: str) -> str:
    """The ten characters of an ISBN that begins with 978; "" for others."""
    if not digits.startswith("978"):
        return ""
    total = sum(map(mul, _WEIGHTS_10, map(int, digits[3:12])))
    return digits[3:12] + "0123456789x"[-total % 11]


@lru_cache(_KEPT)
def isbn_keys(text: str) -> tuple[str, ...]:
    """ISBN-13 of what stands at the beginning of a subfield; as written when it is not valid.

    Binding and price after the number do not matter. A nine-digit SBN is taken
    as the ISBN that it became.
    """
    plain = text.replace("-", "").lower()
    if isbn_is_valid(plain):
        return (isbn_13(plain),)
    run = _NUMBER_RUN.search(_DASHES.sub("", fold(text)))
    if run is None:
        return ()
    for digits in (run[0].replace(" ", ""), run[0].split()[0]):
        if isbn_is_valid(digits):
            return (isbn_13(digits),)
        if len(digits) == 9 and isbn_is_valid("0" + digits):
            return (isbn_13("0" + digits),)
    digits = run[0].replace(" ", "")
    return (digits,) if len(digits) >= _DIGITS_MIN else ()


def isbn_both_keys(text: str) -> list[str]:
    """`isbn_keys`, and the form of ten characters where there is one."""
    return [form for digits in isbn_keys(text) for form in (digits, isbn_10(digits)) if form]


def issn_keys(text: str) -> list[str]:
    """Eight characters; of an EAN that begins with 977 the ISSN inside."""
    digits = _NOT_NUMBER.sub("", _without_qualifier(fold(text)))
    if len(digits) == 13 and digits.startswith("977"):
        return [_issn(digits[3:10])]
    return [digits] if len(digits) >= _DIGITS_MIN else []


@lru_cache(_KEPT)
def identifier_keys(text: str, *, bare: bool = True) -> tuple[str, ...]:
    """Letters and digits of an identifier.

    `(OCoLC)ocm00012345` gives ocolcocm00012345, ocolc12345 and, if `bare`, also
    ocm00012345 and 12345. LCCNs are padded as the Library of Congress does
    (85-2 is 85000002), beside the form without padding.
    """
    folded = fold(text).strip()
    if folded.isalnum():
        return (folded,)
    if folded[:1] == "(":
        prefix, _, number = map(_letters_and_digits, folded[1:].partition(")"))
        plain = number
        if prefix == "ocolc" and number[:1] in ("o", "0"):
            plain = _OCLC_PREFIX.sub("", number, count=1)
        keys = (prefix + number, prefix + plain)
        return _distinct((*keys, number, plain) if bare else keys)
    if "/" in folded and (suffix := _LCCN_SUFFIX.match(folded)):
        folded = suffix[1]
    whole = _letters_and_digits(folded)
    if "-" in folded and (lccn := _LCCN.match(folded)):
        return _distinct((lccn[1] + lccn[2] + lccn[3].zfill(6), whole))
    return (whole,) if whole else ()


def _letters_and_digits(folded: str) -> str:
    return folded if folded.isalnum() else _NOT_ALNUM.sub("", folded)


def code_keys(text: str) -> list[str]:
    """A code without case and blanks around it."""
    code = fold(text).strip()
    return [code] if code else []


def classification_keys(text: str) -> list[str]:
    """A class mark without case and blanks; segmentation marks of Dewey are taken out."""
    mark = "".join(fold(text).split())
    if ("/" in mark or "'" in mark) and _DEWEY_PRIMES.match(mark):
        mark = mark.replace("/", "").replace("'", "")
    return [mark] if mark else []


def isbn_query(term: str) -> list[str]:
    """What to look up for an ISBN; one that a mask ends may be the beginning of either form."""
    if len(term) == 13 and isbn_is_valid(term):
        return [term]
    folded = _DASHES.sub("", fold(term))
    if MASK_ANY not in folded and MASK_ONE not in folded:
        return [*isbn_keys(folded)]
    digits = _NOT_NUMBER.sub("", folded)
    keys = [digits]
    complete = digits.strip(_MASKS)
    if isbn_is_valid(complete):
        keys.append(isbn_13(complete))
    body = _LEADING_DIGITS.match(digits)
    if body and not digits.startswith(("978", "979")):
        # The check digit of an ISBN-10 is another one in ISBN-13.
        keys.append("978" + body[0][:9] + (digits[body.end() :] or MASK_ANY))
    return [*_distinct(keys)]


def issn_query(term: str) -> list[str]:
    """What to look up for an ISSN."""
    return issn_keys(term) or [*_distinct([_NOT_NUMBER.sub("", fold(term))])]


def identifier_query(term: str) -> list[str]:
    """What to look up for an identifier, with its prefix if it has one."""
    return [*identifier_keys(term, bare=False)]


def code_query(term: str) -> list[str]:
    """What to look up for a code; a language also by its other codes and common names."""
    return [code for key in code_keys(term) for code in (key, *_LANGUAGES.get(key, ()))]


def _issn(body: str) -> str:
    total = sum(map(mul, _WEIGHTS_10[2:], map(int, body)))
    return body + "0123456789x"[-total % 11]


def _check_digit_13(body: str) -> str:
    octets = body.encode()  # twelve digits, each its ASCII code: 48 too much
    return str((24 * 48 - sum(octets[::2]) - 3 * sum(octets[1::2])) % 10)


def _without_qualifier(folded: str) -> str:
    return folded.partition("(")[0] or folded


def _distinct(keys: Iterable[str]) -> tuple[str, ...]:
    return tuple(filter(None, dict.fromkeys(keys)))


# ISO 639-2 bibliographic code, then what else is said for it.
_LANGUAGE_NAMES = """
chi zho zh chinese 中文 汉语; eng en english 英文 英语; jpn ja japanese 日文 日语
rus ru russian 俄文 俄语; fre fra fr french 法文 法语; ger deu de german 德文 德语
kor ko korean 韩文 韩语 朝鲜文 朝鲜语; spa es spanish 西班牙文 西班牙语; ita it italian
lat la latin; ara ar arabic; per fas fa persian; tib bod bo tibetan 藏文 藏语; cze ces cs
dut nld nl; gre ell el; rum ron ro; slo slk sk; arm hye hy; baq eus eu; bur mya my
geo kat ka; ice isl is; mac mkd mk; mao mri mi; may msa ms; alb sqi sq; wel cym cy
mon mn mongolian 蒙古文 蒙古语; uig ug uighur 维吾尔文; por pt portuguese; vie vi; tha th
"""
_LANGUAGES: dict[str, tuple[str, ...]] = {
    name: (codes[0],)
    for codes in map(str.split, re.split(r"[;\n]", _LANGUAGE_NAMES))
    for name in codes[1:]
}

_QUERY_RULES: dict[Kind, Callable[[str], list[str]]] = {
    Kind.ISBN: isbn_query,
    Kind.ISSN: issn_query,
    Kind.IDENTIFIER: identifier_query,
    Kind.DATE: date_query,
    Kind.CODE: code_query,
    Kind.CLASSIFICATION: classification_keys,
}

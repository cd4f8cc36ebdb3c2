"""What library systems send, a row per client and form of query.

Collected from the public sources of the clients. Where a client is built on
YAZ's ZOOM, its Init and Search are those of ZOOM. Queries are in PQF, terms
travel in the character set of the client. `finds` names the control numbers
of every record that the client must get.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from protocol import oid
from protocol.apdu import IdAuthentication, IdPass, Option
from protocol.oid import Oid

NUMBERS = "LM{letter}{number:07d}"
_LETTERS = {"cn_cat": "C", "we_cat": "W", "jp_cat": "J", "ru_cat": "R", "ancient": "A"}

_ZOOM_OPTIONS = frozenset(
    {
        Option.SEARCH, Option.PRESENT, Option.SCAN, Option.SORT, Option.EXTENDED_SERVICES,
        Option.NAMED_RESULT_SETS,
    }
)  # fmt: skip


_LOGIN = IdPass(user_id="demo1", password="demo1")
_PINNED_LOGIN = IdPass(user_id="gbk", password="gbk")


@dataclass(frozen=True)
class Client:
    """How a client begins a session and asks for records; sizes in octets.

    `piggyback` is how many records the client wants with the response to its
    Search; it never presents then. `negotiates` proposes UTF-8, for records too.
    """

    name: str
    login: IdAuthentication | None = _LOGIN
    options: frozenset[Option] = _ZOOM_OPTIONS
    message_size_bytes: int = 64 << 20
    syntax: Oid = oid.USMARC
    element_set: str | None = None
    present_batch: int = 20
    piggyback: int = 0
    charset: str = "utf-8"
    records_charset: str = "utf-8"
    negotiates: bool = False
    reference_id: bytes | None = None


@dataclass(frozen=True)
class Row:
    """One query of a client, and the records it must get from `database`."""

    client: Client
    query: str
    finds: frozenset[str]
    database: str = "we_cat"

    def __str__(self) -> str:
        return f"{self.client.name}: {self.query} in {self.database}"


def _rows(client: Client, database: str, *queries: tuple[str, tuple[int, ...]]) -> list[Row]:
    """Rows of one client; records by their numbers in the table of the database."""
    return [
        Row(client, query, frozenset(control_number(database, each) for each in found), database)
        for query, found in queries
    ]


def control_number(database: str, number: int) -> str:
    return NUMBERS.format(letter=_LETTERS[database], number=number)


KOHA = Client("Koha", element_set="F")
# The catalogue data of Chinese vendors is in GB18030 and nobody negotiates: the
# institution is pinned to that character set.
KOHA_IN_CHINA = Client(
    "Koha in China",
    login=_PINNED_LOGIN,
    element_set="F",
    charset="gb18030",
    records_charset="gb18030",
)
KOHA_IN_CHINA_UNIMARC = replace(KOHA_IN_CHINA, name="Koha in China, UNIMARC", syntax=oid.UNIMARC)
# The same terms from an institution that nobody has pinned: GB18030 is recognised.
KOHA_IN_CHINA_UNPINNED = replace(
    KOHA_IN_CHINA_UNIMARC, name="Koha in China, not pinned", login=KOHA.login,
    records_charset="utf-8",
)  # fmt: skip
DP2 = Client(
    "dp2",
    login=_PINNED_LOGIN,
    options=frozenset({Option.SEARCH, Option.PRESENT}),
    message_size_bytes=0x100000,
    syntax=oid.UNIMARC,
    element_set="F",
    present_batch=10,
    charset="gb2312",
    records_charset="gb18030",
    reference_id=b"dp2-17",
)
DP2_OPEN = replace(DP2, name="dp2, open login", login="gbk/gbk")
DP2_IN_GROUP = replace(
    DP2, name="dp2, group", login=IdPass(group_id="", user_id="gbk", password="gbk")
)
DP2_UTF_8 = replace(
    DP2, name="dp2, UTF-8", options=DP2.options | {Option.NEGOTIATION_MODEL},
    charset="utf-8", records_charset="utf-8", negotiates=True,
)  # fmt: skip
EVERGREEN = Client("Evergreen", element_set="FI")
FOLIO = Client("FOLIO")
TELLICO = Client("Tellico", element_set="F")
ALEXANDRIA = Client("Alexandria", piggyback=10)
BIBLIOTEQ = Client("BiblioteQ", element_set="F")
BIBDESK = Client("BibDesk", present_batch=100)
BATH = Client("Bath", login="demo1/demo1", syntax=oid.USMARC, element_set="F")

_KNUTH = (5, 6, 7, 8, 9)
_ART = (5, 6, 7, 8)
_QA76_6 = (1, 2, 3, 4, 5, 6, 7, 8, 10, 16, 19, 22)
LC_CALL_NUMBER = "@attr 1=16 @attr 2=3 @attr 3=1 @attr 4=1 @attr 5=1 @attr 6=1"

KOHA_ROWS = [
    *_rows(
        KOHA,
        "we_cat",
        ('@attr 1=7 @attr 5=1 "0262033844"', (3,)),
        ('@attr 1=7 @attr 5=1 "9780262033848"', (3,)),
        ('@attr 1=7 @attr 5=1 "0-262-03384-4"', (3,)),
        ('@attr 1=7 @attr 5=1 "02620338"', (3,)),
        ('@attr 1=8 @attr 5=1 "0028-0836"', (127,)),
        ('@attr 1=8 @attr 5=1 "00280836"', (127,)),
        ('@attr 1=4 "Deep learning"', (31,)),
        ('@attr 1=1003 "Goodfellow, Ian"', (31,)),
        ('@attr 1=16 "006.31"', (31, 33)),
        ('@attr 1=21 "computer networks"', (25,)),
        (f'{LC_CALL_NUMBER} "TK5105.5"', (25, 27)),
        (f'{LC_CALL_NUMBER} "QA76.6"', _QA76_6),
        ('@attr 1=12 "LMW0000031"', (31,)),
        ('@attr 1=1016 "goodfellow learning"', (31,)),
        ('@attr 1=1007 "9780262035613"', (31,)),
        ('@attr 1=31 "1976"', (34, 50)),
        ('@and @attr 1=4 "unix" @attr 1=31 "1984"', (13,)),
        (
            '@and @and @attr 1=4 "algorithms" @attr 1=1003 "knuth" '
            '@attr 1=7 @attr 5=1 "0201896834"',
            (5,),
        ),
        # A prefix that the administrator has given for the server.
        ('@attr 4=6 @and @attr 1=4 "programming art" @attr 1=1003 "knuth"', _ART),
        ('@attr 2=3 @attr 5=1 @and @attr 1=4 "seminum" @attr 1=1003 "knu"', (6,)),
        # Authorities, which a bibliographic server answers from its headings.
        ('@attr 1=1002 "Newton, Isaac"', (41,)),
        ('@attr 1=1003 "Newton, Isaac"', (41,)),
        ('@attr 1=2 "University of Chicago Press"', (125, 126)),
        ('@attr 1=1 "Newton, Isaac"', (41,)),
        ('@attr 1=3 "International Congress"', ()),
        ('@attr 1=21 "Metamathematics"', (122,)),
        ('@attr 1=47 "Philosophy"', (48, 49, 115)),
        ('@attr 1=4 "Principia"', (41,)),
        ('@attr 1=6 "San ti"', (85,)),
    ),
    *_rows(
        KOHA_IN_CHINA,
        "cn_cat",
        ('@attr 1=7 @attr 5=1 "7-02-000872-0"', (5,)),
        ('@or @attr 1=8 "7-02-000872-0" @attr 1=7 "7-02-000872-0"', (5,)),
        ('@attr 1=4 "三国演义"', (5,)),
        ('@attr 1=1003 "罗贯中"', (5, 6)),
        ('@and @attr 1=4 "水浒" @attr 1=1003 "施耐庵"', (6,)),
        ('@attr 1=1016 "鹿鼎记"', (119,)),
        # 談 and 藝 are in GBK and not in GB2312.
        ('@attr 1=4 "談藝錄"', (73,)),
        ('@attr 1=1003 "钱锺书"', (72, 73, 101, 102, 103)),
    ),
    *_rows(
        KOHA_IN_CHINA_UNIMARC,
        "ancient",
        ('@attr 1=4 "夢溪筆談"', (3,)),
        ('@attr 1=1003 "沈括"', (3,)),
        ('@attr 1=31 "1593"', (5,)),
    ),
    *_rows(KOHA_IN_CHINA_UNPINNED, "cn_cat", ('@attr 1=4 "三国演义"', (5,))),
]

# Every Use attribute that dp2's search form offers, alone on its operand.
DP2_ROWS = [
    *_rows(
        DP2,
        "cn_cat",
        ('@attr 1=4 "管锥编"', (72,)),
        ('@attr 1=1003 "施耐庵"', (6,)),
        ('@attr 1=7 "7-02-000872-0"', (5,)),
        # The variants of one ISBN, in the order in which dp2 makes them.
        (
            '@or @or @or @attr 1=7 "7-02-000872-0" @attr 1=7 "7020008720" '
            '@attr 1=7 "978-7-02-000872-8" @attr 1=7 "9787020008728"',
            (5,),
        ),
        ('@and @attr 1=1018 "作家出版社" @attr 1=1003 "余华"', (123,)),
        ('@attr 1=1 "蒲松龄"', (9,)),
        ('@attr 1=12 "LMC0000072"', (72,)),
        ('@and @attr 1=20 "I242.4" @attr 1=1003 "施耐庵"', (6,)),
        ('@attr 1=21 "神怪小说"', (7, 244)),
        ('@and @attr 1=30 "1997" @attr 1=1003 "黄仁宇"', (55, 56)),
        ('@and @attr 1=31 "1997" @attr 1=1003 "黄仁宇"', (55, 56)),
        ('@and @attr 1=62 "林黛玉" @attr 1=4 "红楼梦"', (1,)),
        ('@attr 1=63 "庚辰本"', (4,)),
        ('@attr 1=1002 "柳如是"', (62,)),
        ('@attr 1=1016 "鹿鼎记"', (119,)),
        ('@and @attr 1=1020 "袁行霈" @attr 1=4 "中国文学史"', (76,)),
        ('@not @attr 1=4 "红楼梦" @attr 1=31 "1982"', (2, 3, 4)),
    ),
    *_rows(
        replace(DP2, syntax=oid.USMARC),
        "we_cat",
        ('@attr 1=8 "0036-8075"', (128,)),
        ('@attr 1=9 "78000001"', (901,)),
        ('@attr 1=13 "006.31"', (31, 33)),
        ('@attr 1=16 "TK5105.5"', (25,)),
        ('@attr 1=27 "computer networks"', (25,)),
        ('@attr 1=60 "SCIEAS"', ()),
    ),
    *_rows(DP2_OPEN, "cn_cat", ('@attr 1=4 "管锥编"', (72,))),
    *_rows(DP2_IN_GROUP, "cn_cat", ('@attr 1=4 "管锥编"', (72,))),
    *_rows(
        DP2_UTF_8,
        "cn_cat",
        ('@attr 1=4 "管锥编"', (72,)),
        ('@and @attr 1=4 "談藝錄" @attr 1=1003 "钱锺书"', (73,)),
    ),
]

EVERGREEN_ROWS = _rows(
    EVERGREEN,
    "we_cat",
    ('@attr 1=12 @attr 4=1 @attr 5=1 "LMW0000031"', (31,)),
    ('@attr 1=7 @attr 4=6 @attr 5=1 "9780262035613"', (31,)),
    ('@attr 1=9 @attr 4=6 @attr 5=1 "78000001"', (901,)),
    ('@attr 1=1003 @attr 4=6 @attr 5=1 "goodfel"', (31,)),
    ('@attr 1=4 @attr 4=6 @attr 5=1 "struct scien"', (48, 49)),
    ('@attr 1=8 @attr 4=1 @attr 5=1 "0036-8075"', (128,)),
    ('@attr 1=1018 @attr 4=6 @attr 5=1 "clarendon"', (37, 45, 124)),
    ('@attr 1=31 @attr 4=1 @attr 5=1 "1976"', (34, 50)),
    ('@attr 1=1007 @attr 4=1 @attr 5=1 "9780262035613"', (31,)),
    (
        '@and @attr 1=1003 @attr 4=6 @attr 5=1 "tanenb" @attr 1=4 @attr 4=6 @attr 5=1 "netw"',
        (25,),
    ),
    # Targets marked as not truncating get 5=0, which Bib-1 does not define.
    ('@attr 1=4 @attr 4=6 @attr 5=0 "deep learning"', (31,)),
    ('@attr 1=7 @attr 4=6 @attr 5=0 "9780262035613"', (31,)),
    (
        '@and @attr 1=1003 @attr 4=6 @attr 5=0 "goodfellow" @attr 1=4 @attr 4=6 @attr 5=0 "deep"',
        (31,),
    ),
)

OTHER_ROWS = [
    *_rows(FOLIO, "we_cat", ("@attr 1=9 78000001", (901,)), ("@attr 1=1211 12345", (901,))),
    *_rows(
        TELLICO,
        "we_cat",
        ('@attr 1=4 "deep learning"', (31,)),
        ('@attr 1=1003 "goodfellow"', (31,)),
        ('@attr 1=1016 "metamathematics"', (122,)),
        ("@or @attr 1=7 9780262035613 @attr 1=7 0-262-03384-4", (3, 31)),
        ("@or @attr 1=9 78000001 @attr 1=9 78-1", (901,)),
    ),
    *_rows(replace(TELLICO, syntax=oid.UNIMARC), "cn_cat", ('@attr 1=4 "管锥编"', (72,))),
    *_rows(replace(TELLICO, syntax=oid.XML), "we_cat", ("@attr 1=4 tractatus", (115,))),
    *_rows(replace(TELLICO, syntax=oid.GRS_1), "we_cat", ("@attr 1=4 tractatus", (115,))),
    *_rows(
        ALEXANDRIA,
        "we_cat",
        ('@attr 1=1 @attr 1=1003 "KNUTH"', _KNUTH),
        ('@attr 1=4 "DEEP LEARNING"', (31,)),
        ('@attr 1=7 "9780262035613"', (31,)),
    ),
    *_rows(
        replace(ALEXANDRIA, syntax=oid.UNIMARC),
        "cn_cat",
        ('@attr 1=1 @attr 1=1003 "鲁迅"', (77, 80, 81, 82, 83, 84, 85, 86, 87, 238)),
    ),
    *_rows(
        replace(ALEXANDRIA, syntax=oid.SUTRS),
        "we_cat",
        ('@attr 1=1 @attr 1=1003 "HARDY"', (36, 37)),
    ),
    *_rows(
        BIBLIOTEQ,
        "we_cat",
        ("@attr 1=7 @or 0262033844 9780262033848", (3,)),
        ("@attr 1=7 @or 9780262035613 9780262033848", (3, 31)),
        ("@attr 1=8 0028-0836", (127,)),
    ),
    *_rows(
        BIBDESK,
        "we_cat",
        ("@and @attr 1=1003 knuth @attr 1=4 programming", _ART),
        ("@or @attr 1=1003 cormen @attr 1=7 0201633612", (1, 2, 3, 4, 16)),
        ('@attr 1=4 @attr 4=1 "art of computer"', _ART),
        ("@attr 1=4 @attr 5=1 algorithm", (1, 2, 3, 4, 5, 6, 8)),
        ("@attr 1=1016 @attr 2=103 all", (*range(1, 139), 901)),
    ),
    *_rows(replace(BIBDESK, syntax=oid.UNIMARC), "cn_cat", ('@attr 1=4 "管锥编"', (72,))),
    *_rows(replace(BIBDESK, syntax=oid.XML), "cn_cat", ('@attr 1=4 "管锥编"', (72,))),
]

# Aleph, Alma, Sierra, Symphony and others send the tuples of the Bath profile.
KEYWORD = "@attr 2=3 @attr 3=3 @attr 4=2 @attr 5=100 @attr 6=1"
KEYWORD_TRUNCATED = "@attr 2=3 @attr 3=3 @attr 4=2 @attr 5=1 @attr 6=1"
EXACT = "@attr 2=3 @attr 3=1 @attr 4=1 @attr 5=100 @attr 6=3"
FIRST_WORDS = "@attr 2=3 @attr 3=1 @attr 4=1 @attr 5=100 @attr 6=1"
FIRST_CHARACTERS = "@attr 2=3 @attr 3=1 @attr 4=1 @attr 5=1 @attr 6=1"

BATH_ROWS = _rows(
    BATH,
    "we_cat",
    (f"@attr 1=1003 {KEYWORD} hofstadter", (122,)),
    (f"@attr 1=1003 {KEYWORD_TRUNCATED} hofst", (122,)),
    (f'@attr 1=1003 {EXACT} "Austen, Jane, 1775-1817"', (55, 56)),
    (f'@attr 1=1003 {FIRST_WORDS} "Austen, Jane"', (55, 56)),
    (f'@attr 1=1003 {FIRST_CHARACTERS} "Austen, J"', (55, 56)),
    (f"@attr 1=4 {KEYWORD} algebra", (39,)),
    (f"@attr 1=4 {KEYWORD_TRUNCATED} algeb", (39,)),
    (f'@attr 1=4 {EXACT} "computer networks"', (25,)),
    (f'@attr 1=4 {FIRST_WORDS} "the art of computer"', _ART),
    (f'@attr 1=4 {FIRST_CHARACTERS} "the art of comp"', _ART),
    (f"@attr 1=21 {KEYWORD} genetics", (50,)),
    (f"@attr 1=21 {KEYWORD_TRUNCATED} genet", (50,)),
    (f'@attr 1=21 {EXACT} "computer networks"', (25,)),
    (f'@attr 1=21 {FIRST_WORDS} "computer software"', (20,)),
    (f'@attr 1=21 {FIRST_CHARACTERS} "computer soft"', (20,)),
    (f"@attr 1=1016 {KEYWORD} metamathematics", (122,)),
    (f"@attr 1=1016 {KEYWORD_TRUNCATED} metamath", (122,)),
    (f'@attr 1=1016 {EXACT} "deep learning"', (31,)),
    (f'@attr 1=1016 {FIRST_WORDS} "mythical man"', (21,)),
    (f'@attr 1=1016 {FIRST_CHARACTERS} "the mythical m"', (21,)),
)

ROWS = [*KOHA_ROWS, *DP2_ROWS, *EVERGREEN_ROWS, *OTHER_ROWS, *BATH_ROWS]


@dataclass(frozen=True)
class SruRow:
    """A searchRetrieve as a client sends it; `parameters` without the query."""

    client: str
    query: str
    finds: frozenset[str]
    parameters: tuple[tuple[str, str], ...]
    database: str = "we_cat"

    def __str__(self) -> str:
        return f"{self.client}: {self.query} in {self.database}"


def _sru(
    client: str, parameters: str, database: str, *queries: tuple[str, tuple[int, ...]]
) -> list[SruRow]:
    given = tuple(
        (name, value) for name, _, value in (p.partition("=") for p in parameters.split())
    )
    return [
        SruRow(
            client, query, frozenset(control_number(database, n) for n in found), given, database
        )
        for query, found in queries
    ]


_RETRIEVE = "operation=searchRetrieve"
SRU_ROWS = [
    *_sru(
        "Koha",
        f"version=1.1 {_RETRIEVE} recordSchema=marcxml maximumRecords=20",
        "we_cat",
        ('bath.isbn="9780262035613"', (31,)),
        ('dc.title="deep learning"', (31,)),
        ('title="unix" and author="kernighan"', (13,)),
        ('rec.id="LMW0000031"', (31,)),
    ),
    *_sru(
        "Koha",
        f"version=1.1 {_RETRIEVE} recordSchema=marcxml maximumRecords=20",
        "cn_cat",
        ('dc.title="管锥编"', (72,)),
    ),
    *_sru(
        "Zotero",
        f"version=1.1 {_RETRIEVE} maximumRecords=1",
        "we_cat",
        ("bath.ISBN=^9780262035613", (31,)),
    ),
    *_sru(
        "Zotero",
        f"version=1.2 {_RETRIEVE} maximumRecords=1",
        "we_cat",
        ('bib.isbn all "9780262035613"', (31,)),
    ),
    *_sru(
        "BiblioteQ",
        f"version=2.0 {_RETRIEVE} recordSchema=marcxml startRecord=1 maximumRecords=1",
        "we_cat",
        ("bath.isbn=9780262035613 or bath.isbn=0262035618", (31,)),
        ("bath.issn=0028-0836", (127,)),
    ),
    *_sru("JabRef", f"version=1.1 {_RETRIEVE}", "we_cat", ("pica.all=metamathematics", (122,))),
    *_sru(
        "Tellico",
        f"version=1.1 {_RETRIEVE} maximumRecords=25 recordSchema=marcxml",
        "we_cat",
        ("bath.isbn=9780262035613", (31,)),
        ("bath.isbn=9780262035613 or bath.isbn=0-262-03384-4", (3, 31)),
        ("dc.identifier=9780262035613", (31,)),
        ('dc.title="deep learning"', (31,)),
    ),
]

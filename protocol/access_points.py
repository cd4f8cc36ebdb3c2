"""The access-point table: which queries reach what, and which fields feed it.

Use values and their meaning follow Bib-1 (Z39.50-2003 Appendix 3 ATR.1, with
the later values that the maintenance agency lists), CQL indexes the context
sets cql, dc, bath, bib and rec. Some rows are broader than their attribute:

- The kinds of title on the item (36 cover ... 41 other variant) are one row,
  national bibliography numbers (10, 11, 48) another.
- 12, local number, is the control number 001 with the system numbers of 035.
- 20, local classification, is the Chinese Library Classification.

`any` has the words of every row with `in_any`. Rows without it repeat what
such a row already holds. What a library holds (1044) comes from holdings, so
nothing in a record feeds it. Pinyin rows are fed by the readings that a record
brings (CNMARC $A, $9) or that are made for it.
"""

from __future__ import annotations

from protocol.access_point import AccessPoint, Kind

TEXT, CODE, DATE = Kind.TEXT, Kind.CODE, Kind.DATE
IDENTIFIER, CLASSIFICATION = Kind.IDENTIFIER, Kind.CLASSIFICATION

_SUBJECT = "abcdfghjklmnopqrstuvxyz"
_HEADING = "abcdfghijklmnopqtxyz"  # of UNIMARC 6XX
_EDITS = "340|编|主编|总编|选编"  # the relator code of an editor, or what CNMARC writes

_PERSONAL_21 = "100abcdq 700abcdq 800abcdq"
_CORPORATE_21 = "110abcdgn 710abcdgn 810abcdgn"
_CONFERENCE_21 = "111acdegnq 711acdegnq 811acdegnq"
_PERSONAL = "700abcdfg 701abcdfg 702abcdfg 703abcdfg 720af 721af 722af"
_CORPORATE = "710abcdefgh 711abcdefgh 712abcdefgh"
_CONFERENCE = "710[1.]abcdefgh 711[1.]abcdefgh 712[1.]abcdefgh"

_SERIES_TITLE_21 = "440anp 490a 830anp 800tnp 810tp 811tp"
_SERIES_TITLE = "225adehi 410athi 461athi 462athi"
_LINKED_TITLES = (
    "411at 421at 422at 423at 424at 425at 430at 431at 432at 433at 434at 435at 436at 437at 440at "
    "441at 442at 443at 444at 445at 446at 447at 448at 451at 452at 453at 454at 455at 456at "
    "470at 481at 482at 488at"
)
_OWN_TITLES = (
    "500ahiklmnqrsu 501akmrsu 503a 510aehij 512aeh 513aeh 514ae 515ae 516ae 517aehij 518aehi "
    "520aehj 530abj 531ab 532a 540a 541aeh 545a 560aeh 576t 577at 740aij 463athi 464athi 454at "
    "423at 604t"
)


def _each(tags: str, rest: str) -> str:
    """`rest` after each of the blank-separated tags."""
    return " ".join(tag + rest for tag in tags.split())


_HEADINGS_21 = "600 610 611 630 650 651"

ACCESS_POINTS: tuple[AccessPoint, ...] = (
    AccessPoint(
        "any", "Any", "任意字段", TEXT,
        bib1=(1016, 1017, 1035, 1036),
        cql=("cql.serverChoice", "cql.anywhere", "cql.allIndexes", "cql.anyIndexes",
             "cql.keywords"),
    ),
    # Titles
    AccessPoint(
        "title", "Title", "题名", TEXT,
        bib1=(4, 1097), cql=("dc.title", "bath.title"),
        marc21="245abfgknps 245anp 130adfklmnoprst 210ab 222ab 240adfklmnoprs 242abnp "
               "243adfklmnoprs 246abfgnp 247abfgnp 700tnp 710tp 711tp 730adfklmnoprst 740anp "
               "774t 505t " + _SERIES_TITLE_21,
        unimarc="200acdehi 200ahi " + _OWN_TITLES + " " + _SERIES_TITLE,
        sortable=True,
    ),
    AccessPoint(
        "title_pinyin", "Title in Pinyin", "题名拼音", TEXT,
        cql=("local.title_pinyin",), marc21="245a", unimarc="200a 510a 512a 517a 461a 225a",
    ),
    AccessPoint(
        "title_series", "Series", "丛编", TEXT,
        bib1=(5,), cql=("bib.titleSeries", "bath.seriesTitle"),
        marc21="440anpv 490av 800abcdtnpv 810abtpv 811acdtpv 830anpv",
        unimarc="225adehiv 410atvhi 461atvhi 462atvhi", in_any=False,
    ),
    AccessPoint(
        "title_uniform", "Uniform title", "统一题名", TEXT,
        bib1=(6,), cql=("bath.uniformTitle", "bib.titleUniform"),
        marc21="130adfklmnoprst 240adfklmnoprs 630adfklmnoprst 730adfklmnoprst 700tnp 710tp 711tp",
        unimarc="500ahiklmnqrsu 501akmrsu 503a 577at 605ahiklmnqrsu 604t 740aij", in_any=False,
    ),
    AccessPoint(
        "title_key", "Key title", "识别题名", TEXT,
        bib1=(33,), cql=("bath.keyTitle",), marc21="222ab", unimarc="530abj", in_any=False,
    ),
    AccessPoint(
        "title_collective", "Collective uniform title", "作品集统一题名", TEXT,
        bib1=(34,), marc21="243adfklmnoprs", unimarc="501akmrsu", in_any=False,
    ),
    AccessPoint(
        "title_expanded", "Expanded title", "扩展题名", TEXT,
        bib1=(44,), unimarc="532a", in_any=False,
    ),
    AccessPoint(
        "title_parallel", "Parallel title", "并列题名", TEXT,
        bib1=(35,), marc21="246[.1]abnp", unimarc="200d 510aehij", in_any=False,
    ),
    AccessPoint(
        "title_variant", "Cover, spine, caption and other variant titles", "其他题名", TEXT,
        bib1=(41, 36, 37, 38, 39, 40), cql=("bib.titleAlternative",),
        marc21="246abfgnp 740anp", unimarc="512aeh 513aeh 514ae 515ae 516ae 517aehij 518aehi",
        in_any=False,
    ),
    AccessPoint(
        "title_abbreviated", "Abbreviated title", "缩略题名", TEXT,
        bib1=(43,), cql=("bib.titleAbbreviated",), marc21="210ab", unimarc="531ab", in_any=False,
    ),
    AccessPoint(
        "title_translated", "Translated and original title", "翻译题名与原题名", TEXT,
        bib1=(1082,), cql=("bib.titleTranslated",),
        marc21="242abnp", unimarc="541aeh 454at", in_any=False,
    ),
    AccessPoint(
        "title_former", "Former title", "曾用题名", TEXT,
        bib1=(42,), marc21="247abfgnp 780at", unimarc="520aehj 430at 431at 434at 435at 436at 437at",
        in_any=False,
    ),
    AccessPoint(
        "title_later", "Later title", "改名后题名", TEXT,
        bib1=(1096,), marc21="785at", unimarc="440at 441at 444at 445at 446at 447at 448at",
        in_any=False,
    ),
    AccessPoint(
        "related_title", "Related work or issue", "相关文献", TEXT,
        bib1=(1026,), cql=("dc.relation",),
        marc21="760at 762at 765at 767at 770at 772at 775at 776at 777at 780at 785at 786at 787at",
        unimarc=_LINKED_TITLES,
    ),
    AccessPoint(
        "host_item", "Host item", "所在文献", TEXT,
        bib1=(1033,), marc21="773abdgpt", unimarc="463atv 464at",
    ),
    # Names
    AccessPoint(
        "author", "Author", "责任者", TEXT,
        bib1=(1003, 1098, 1106),
        cql=("dc.creator", "dc.contributor", "dc.author", "bath.author"),
        marc21=f"{_PERSONAL_21} 100abc 700abc {_CORPORATE_21} {_CONFERENCE_21} 720a 245c",
        unimarc=f"{_PERSONAL} 700ab 701ab 702ab {_CORPORATE} 200fg 730a",
        sortable=True,
    ),
    AccessPoint(
        "author_pinyin", "Author in Pinyin", "责任者拼音", TEXT,
        cql=("local.author_pinyin",), marc21="100a 110ab 700a 710ab",
        unimarc="700ab 701ab 702ab 710ab 711ab 712ab",
    ),
    AccessPoint(
        "author_personal", "Personal author", "个人责任者", TEXT,
        bib1=(1004,), marc21=_PERSONAL_21, unimarc=_PERSONAL, in_any=False,
    ),
    AccessPoint(
        "author_corporate", "Corporate author", "团体责任者", TEXT,
        bib1=(1005,), marc21=_CORPORATE_21, unimarc=_CORPORATE, in_any=False,
    ),
    AccessPoint(
        "author_conference", "Conference as author", "会议责任者", TEXT,
        bib1=(1006,), marc21=_CONFERENCE_21, unimarc=_CONFERENCE, in_any=False,
    ),
    AccessPoint(
        "editor", "Editor", "编者", TEXT,
        bib1=(1020,), cql=("dc.editor",),
        marc21="100abcdq?e=edit 700abcdq?e=edit|ed. 700abcdq?4=edt 710abcdgn?e=edit "
               "710abcdgn?4=edt",
        unimarc=_each(
            "700abcdfg 701abcdfg 702abcdfg 711abcdefgh 712abcdefgh", f"?4={_EDITS}"
        ),
        in_any=False,
    ),
    AccessPoint(
        "name", "Name", "名称", TEXT,
        bib1=(1002,), cql=("bath.name", "bib.name"),
        marc21=f"{_PERSONAL_21} {_CORPORATE_21} {_CONFERENCE_21} 720a 600abcdq 610abcdgn "
               "611acdegnq",
        unimarc=f"{_PERSONAL} {_CORPORATE} 600abcdf 601abcdefgh 602af", in_any=False,
    ),
    AccessPoint(
        "name_personal", "Personal name", "个人名称", TEXT,
        bib1=(1,), cql=("bath.personalName", "bib.namePersonal"),
        marc21=f"{_PERSONAL_21} 600abcdq", unimarc=f"{_PERSONAL} 600abcdf 602af", in_any=False,
    ),
    AccessPoint(
        "name_corporate", "Corporate name", "团体名称", TEXT,
        bib1=(2,), cql=("bath.corporateName", "bib.nameCorporate"),
        marc21=f"{_CORPORATE_21} 610abcdgn", unimarc=f"{_CORPORATE} 601abcdefgh", in_any=False,
    ),
    AccessPoint(
        "name_conference", "Conference name", "会议名称", TEXT,
        bib1=(3,), cql=("bath.conferenceName", "bib.nameConference"),
        marc21=f"{_CONFERENCE_21} 611acdegnq", unimarc=f"{_CONFERENCE} 601[1.]abcdefgh",
        in_any=False,
    ),
    # Subjects
    AccessPoint(
        "subject", "Subject", "主题", TEXT,
        bib1=(21, 1099), cql=("dc.subject", "bath.subject"),
        marc21=_each(
            "600 610 611 630 647 648 650 651 653 654 655 656 657 658 662 690 691 695 696 697 698 "
            "699", _SUBJECT,
        ),
        unimarc=_each("600 601 602 604 605 606 607 608 610 611 615 616 617 620 626", _HEADING),
    ),
    AccessPoint(
        "subject_topical", "Topical subject", "论题主题", TEXT,
        bib1=(1079,), cql=("bath.topicalSubject",),
        marc21="650abcdg 690a", unimarc="606a", in_any=False,
    ),
    AccessPoint(
        "subject_lcsh", "LC subject heading", "国会图书馆标题表主题", TEXT,
        bib1=(27,),
        marc21=_each(_HEADINGS_21, f"[.0]{_SUBJECT}") + f" 655{_SUBJECT}?2=lcgft",
        unimarc=_each("600 601 602 605 606 607", f"{_HEADING}?2=lc"),
        in_any=False,
    ),
    AccessPoint(
        "subject_mesh", "MeSH subject heading", "医学主题词", TEXT,
        bib1=(25,),
        marc21=_each(_HEADINGS_21, f"[.2]{_SUBJECT}"),
        unimarc=f"606{_HEADING}?2=mesh", in_any=False,
    ),
    AccessPoint(
        "subject_children", "LC children's subject heading", "国会图书馆儿童主题", TEXT,
        bib1=(1008,),
        marc21=_each(_HEADINGS_21, f"[.1]{_SUBJECT}"),
        in_any=False,
    ),
    AccessPoint(
        "subject_rameau", "Rameau and Répertoire de vedettes-matière", "法语主题词", TEXT,
        bib1=(22, 28),
        marc21=_each(_HEADINGS_21, f"[.6]{_SUBJECT}") + f" 650{_SUBJECT}?2=ram",
        unimarc=_each("600 601 605 606 607", f"{_HEADING}?2=ram"),
        in_any=False,
    ),
    AccessPoint(
        "subject_local", "Local and uncontrolled subject", "非控主题词", TEXT,
        bib1=(29, 1080), marc21=f"653a 690{_SUBJECT} 691{_SUBJECT} 698{_SUBJECT} 699{_SUBJECT}",
        unimarc="610a", in_any=False,
    ),
    AccessPoint(
        "subject_person", "Person as subject", "个人名称主题", TEXT,
        bib1=(1009,), cql=("bib.subjectName",), marc21="600abcdq", unimarc="600abcdf 602af",
        in_any=False,
    ),
    AccessPoint(
        "subject_body", "Corporate body or conference as subject", "团体与会议名称主题", TEXT,
        bib1=(1074, 1073), marc21="610abcdgn 611acdegnq", unimarc="601abcdefgh", in_any=False,
    ),
    AccessPoint(
        "subject_title", "Work as subject", "题名主题", TEXT,
        bib1=(1078,), cql=("bib.subjectTitle",), marc21="600tnp 610tnp 611tnp 630adfklmnoprst",
        unimarc="604t 605ahikl", in_any=False,
    ),
    AccessPoint(
        "subject_geographic", "Geographic name", "地名", TEXT,
        bib1=(58, 1076, 1110), cql=("bath.geographicName", "bib.subjectPlace", "dc.coverage"),
        marc21="651az 650z 600z 610z 611z 630z 648z 655z 662abcdfgh 752abcdfgh",
        unimarc="607axyz 606y 600y 601y 605y 617abcd 620abcd", in_any=False,
    ),
    AccessPoint(
        "subject_subdivision", "Subject subdivision", "主题复分", TEXT,
        bib1=(47,),
        marc21=_each(_HEADINGS_21, "vxyz"),
        unimarc=_each("600 601 605 606 607", "jxyz"), in_any=False,
    ),
    AccessPoint(
        "subject_chronological", "Chronological subject", "时代主题", TEXT,
        bib1=(1077,), marc21="648a 650y 651y 600y 610y", unimarc="606z 600z 601z 607z",
        in_any=False,
    ),
    AccessPoint(
        "genre", "Genre and form", "体裁形式", TEXT,
        bib1=(1075,), cql=("bath.genreForm", "bib.genre"),
        marc21="655abcvxyz 650v 651v 600v 610v", unimarc="608axyz 606j 607j 600j 601j",
        in_any=False,
    ),
    # Numbers
    AccessPoint(
        "isbn", "ISBN", "国际标准书号", Kind.ISBN,
        bib1=(7,), cql=("bath.isbn", "bib.isbn", "dc.isbn"), marc21="020az", unimarc="010az",
        in_any=False,
    ),
    AccessPoint(
        "issn", "ISSN", "国际标准连续出版物号", Kind.ISSN,
        bib1=(8,), cql=("bath.issn", "bib.issn", "dc.issn"), marc21="022almyz", unimarc="011afyz",
        in_any=False,
    ),
    AccessPoint(
        "lccn", "LC control number", "国会图书馆控制号", IDENTIFIER,
        bib1=(9,), cql=("bath.lccn", "bib.lccn", "dc.lccn"), marc21="010abz", unimarc="020b?a=US",
        in_any=False,
    ),
    AccessPoint(
        "control_number", "Control number", "记录控制号", IDENTIFIER,
        bib1=(12,), cql=("rec.identifier", "rec.id", "rec.recordIdentifier",
                         "dc.resourceIdentifier"),
        marc21="001 035az", unimarc="001 035az",
    ),
    AccessPoint(
        "oclc_number", "OCLC number", "OCLC 号", IDENTIFIER,
        bib1=(1211,), marc21="035a?a=(OCoLC)", unimarc="035a?a=(OCoLC)", in_any=False,
    ),
    AccessPoint(
        "identifier", "Standard identifier", "标准编号", IDENTIFIER,
        bib1=(1007, 1104), cql=("dc.identifier", "bath.standardIdentifier"),
        marc21="020az 022almyz 010az 024az 013a 015az 016az 017a 025a 027az 028ab 030az 035a 037a "
               "074az 086az 088az",
        unimarc="010az 011afyz 013az 014az 015a 016az 017az 020b 021b 022b 035a 040az 071ab 072az "
                "073az 091az 094az",
    ),
    AccessPoint(
        "standard_number", "DOI, ISMN, ISRC, EAN and other standard numbers", "其他标准编号",
        IDENTIFIER,
        bib1=(1094, 1092, 1091, 1093, 1214, 1209, 1200, 1037),
        marc21="024az", unimarc="013az 014az 015a 016az 017az 072az 073az 094az", in_any=False,
    ),
    AccessPoint(
        "national_bibliography_number", "National bibliography number", "国家书目号", IDENTIFIER,
        bib1=(48, 10, 11), marc21="015az 016az", unimarc="020b", in_any=False,
    ),
    AccessPoint(
        "legal_deposit_number", "Legal deposit number", "呈缴号", IDENTIFIER,
        bib1=(49,), marc21="017a", unimarc="021b", in_any=False,
    ),
    AccessPoint(
        "government_number", "Government publication number", "政府出版物号", IDENTIFIER,
        bib1=(50,), marc21="086az 074az", unimarc="022b", in_any=False,
    ),
    AccessPoint(
        "bookseller_number", "Uniform book number (China)", "统一书刊号", IDENTIFIER,
        cql=("local.bookseller_number",), unimarc="091az 092ab 094az", in_any=False,
    ),
    AccessPoint(
        "publisher_number", "Publisher's number for music and sound", "出版者号", IDENTIFIER,
        bib1=(51, 1202), marc21="028ab", unimarc="071ab", in_any=False,
    ),
    AccessPoint(
        "report_number", "Report number", "报告号", IDENTIFIER,
        bib1=(1027,), marc21="088az 027az", unimarc="015az", in_any=False,
    ),
    AccessPoint(
        "stock_number", "Stock number", "订购号", IDENTIFIER,
        bib1=(1028,), marc21="037a", unimarc="092ab 345b", in_any=False,
    ),
    AccessPoint("coden", "CODEN", "CODEN", IDENTIFIER, bib1=(60,), marc21="030az", unimarc="040az",
                in_any=False),
    # Publication
    AccessPoint(
        "publisher", "Publisher", "出版者", TEXT,
        bib1=(1018, 1101), cql=("dc.publisher",), marc21="260b 260f 264b 261a 533c",
        unimarc="210c 210g 214c",
    ),
    AccessPoint(
        "place", "Place of publication", "出版地", TEXT,
        bib1=(59,), cql=("bib.originPlace",),
        marc21="260a 260e 264a", unimarc="210a 210e 214a 620d",
    ),
    AccessPoint(
        "date", "Date of publication", "出版日期", DATE,
        bib1=(31, 30, 1102), cql=("dc.date", "bib.dateIssued"),
        marc21="008/6-14 260c 264c", unimarc="100a/8-16 210d 214d", sortable=True,
    ),
    AccessPoint(
        "edition", "Edition", "版本", TEXT,
        bib1=(1223,), cql=("bib.edition",), marc21="250ab", unimarc="205abdf",
    ),
    # Record and coded data
    AccessPoint(
        "date_entered", "Date entered", "入档日期", DATE,
        bib1=(1011, 32), cql=("rec.creationDate", "rec.created"),
        marc21="008/0-5", unimarc="100a/0-7", in_any=False,
    ),
    AccessPoint(
        "date_modified", "Date last modified", "最后修改日期", DATE,
        bib1=(1012,), cql=("rec.lastModificationDate", "rec.lastModified"),
        marc21="005/0-7", unimarc="005/0-7", in_any=False, sortable=True,
    ),
    AccessPoint(
        "language", "Language", "语种", CODE,
        bib1=(54, 1105), cql=("dc.language", "bath.language"),
        marc21="008/35-37 041ad", unimarc="101a", in_any=False,
    ),
    AccessPoint(
        "language_original", "Language of the original", "原著语种", CODE,
        bib1=(1095,), marc21="041h", unimarc="101c", in_any=False,
    ),
    AccessPoint(
        "country", "Country of publication", "出版国", CODE,
        bib1=(1053,), marc21="008/15-17 044a", unimarc="102a", in_any=False,
    ),
    AccessPoint(
        "geographic_area", "Geographic area code", "地区代码", CODE,
        bib1=(55,), marc21="043a", unimarc="660a", in_any=False,
    ),
    AccessPoint(
        "material_type", "Type of material", "文献类型", CODE,
        bib1=(1031, 1034, 1103), cql=("dc.type", "dc.format", "dc.resourceType"),
        marc21="LDR/6-7", unimarc="LDR/6-7", in_any=False,
    ),
    AccessPoint(
        "record_type", "Record type", "记录类型", CODE,
        bib1=(1001,), marc21="LDR/6", unimarc="LDR/6", in_any=False,
    ),
    AccessPoint(
        "bibliographic_level", "Bibliographic level", "书目级别", CODE,
        bib1=(1021,), cql=("bib.issuance",), marc21="LDR/7", unimarc="LDR/7", in_any=False,
    ),
    AccessPoint(
        "cataloguing_level", "Cataloguing level", "编目等级", CODE,
        cql=("local.cataloguing_level",), marc21="LDR/17", unimarc="LDR/17", in_any=False,
    ),
    AccessPoint(
        "record_status", "Record status", "记录状态", CODE,
        bib1=(1046,), marc21="LDR/5", unimarc="LDR/5", in_any=False,
    ),
    AccessPoint(
        "record_source", "Cataloguing agency", "编目机构", CODE,
        bib1=(1019,), cql=("dc.source",), marc21="040acd 003", unimarc="801b", in_any=False,
    ),
    AccessPoint(
        "possessing_institution", "Held by", "收藏馆", CODE,
        bib1=(1044, 56), cql=("bath.possessingInstitution",), in_any=False,
    ),
    # Classification
    AccessPoint(
        "classification", "Classification", "分类号", CLASSIFICATION,
        bib1=(1040, 1041), cql=("bib.classification",),
        marc21="050ab 055ab 060ab 070ab 080a 082a 083a 084ab 086a 090ab 092ab 093ab 096ab 099a",
        unimarc="675a 676a 680ab 686a 690a 692a 694a 696a", sortable=True,
    ),
    AccessPoint(
        "classification_clc", "Chinese Library Classification", "中图法分类号", CLASSIFICATION,
        bib1=(20, 1042), cql=("local.classification_clc",), marc21="093a 084a?2=clc",
        unimarc="690a 686a?2=clc", in_any=False, sortable=True,
    ),
    AccessPoint(
        "classification_cas", "Classification of the Chinese Academy of Sciences", "科图法分类号",
        CLASSIFICATION, cql=("local.classification_cas",), unimarc="692a", in_any=False,
    ),
    AccessPoint(
        "classification_dewey", "Dewey Decimal Classification", "杜威十进分类号", CLASSIFICATION,
        bib1=(13,), marc21="082a 083a 092a", unimarc="676a", in_any=False,
    ),
    AccessPoint(
        "classification_udc", "Universal Decimal Classification", "国际十进分类号", CLASSIFICATION,
        bib1=(14,), marc21="080a", unimarc="675a", in_any=False,
    ),
    AccessPoint(
        "classification_lcc", "Library of Congress call number", "国会图书馆分类号", CLASSIFICATION,
        bib1=(16,), marc21="050ab 090ab 055ab", unimarc="680ab", in_any=False,
    ),
    AccessPoint(
        "classification_nlm", "National Library of Medicine call number", "美国医学图书馆分类号",
        CLASSIFICATION, bib1=(17,), marc21="060ab 096ab", unimarc="686a?2=nlm", in_any=False,
    ),
    AccessPoint(
        "classification_nal", "National Agricultural Library call number", "美国农业图书馆分类号",
        CLASSIFICATION, bib1=(18,), marc21="070ab", unimarc="686a?2=nal", in_any=False,
    ),
    AccessPoint(
        "call_number", "Local call number", "本地索书号", CLASSIFICATION,
        bib1=(53,), marc21="090ab 092ab 093ab 096ab 099a 852hi", unimarc="905de 905s 930a",
        in_any=False,
    ),
    # Notes
    AccessPoint(
        "note", "Note", "附注", TEXT,
        bib1=(63,), cql=("bath.notes",),
        marc21="500a 501a 502abcdgo 504a 506a 508a 510a 511a 513ab 515a 518adop 521a 522a 524a "
               "525a 526a 530a 533anp 534abcefklmnpt 535ab 536a 538a 540a 541ac 544adn 545ab 546ab "
               "547a 550a 555a 556a 561a 562ab 563a 580a 581a 583a 585a 586a 588a",
        unimarc="300a 301a 302a 303a 304a 305a 306a 307a 308a 310a 311a 312a 313a 314a 315a 316a "
                "317a 318a 320a 321a 322a 323a 324a 325a 326a 328abcdet 332a 333a 334a 336a 337a "
                "393a",
    ),
    AccessPoint(
        "abstract", "Abstract", "提要", TEXT,
        bib1=(62, 1100), cql=("dc.description",), marc21="520ab", unimarc="330a 331a",
    ),
    AccessPoint(
        "contents", "Table of contents", "内容目次", TEXT,
        cql=("local.contents",), marc21="505agrt", unimarc="327abcdefghi 464atv",
    ),
)  # fmt: skip

BY_NAME = {point.name: point for point in ACCESS_POINTS}

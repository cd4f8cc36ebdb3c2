"""Dublin Core of MARC 21 and of CNMARC, record by record: what each element must hold.

A record lists its elements whole: one that is not named must not be there.
"""

from __future__ import annotations

import pytest
from lxml import etree

from protocol.dublin_core import to_dublin_core
from protocol.record import MarcFamily
from tests.xml_forms import Facts, fault, marc

BOOK = "00000cam a2200000 a 4500"
CNMARC = "00000nam0 2200000   450 "
MARC21, UNIMARC = MarcFamily.MARC21, MarcFamily.UNIMARC

CASES: list[tuple[str, MarcFamily, str, str, Facts]] = [
    ("a Chinese book", UNIMARC, CNMARC, """
        010 __$a7-02-000220-X$dCNY59.70
        020 __$aCN$b2005-1
        091 __$a10019·1
        100 __$a20261101d1982    em y0chiy50      ea
        101 1_$achi$ceng
        200 1_$a红楼梦$Ahong lou meng$h第1卷$i前八十回$e脂评本$dDream$f(清)曹雪芹著$zeng
        210 __$a北京$c人民文学出版社$d1982.3
        215 __$a3册$c图$d20cm$e1光盘
        225 2_$a古典文学丛书$h甲编$v3
        410 _0$12001_$a古典文学丛书$h甲编$v3
        454 _1$12001_$aThe story$eof the stone$v2
        517 1_$a石头记$e别名
        606 0_$a章回小说$y中国$z清代$j文集
        690 __$aI242.4$v5
        696 __$a集·小说$2四部分类法
        701 _0$a曹雪芹$Acao xue qin$c(清)$f约1715-约1763$4著
        701 _0$a某某$4译
        702 _0$a启功$4著
     """, {
        "title": ["红楼梦. 第1卷, 前八十回 : 脂评本", "Dream", "石头记 : 别名"],
        "creator": ["曹雪芹(清), 约1715-约1763", "启功"],
        "contributor": ["某某"],
        "subject": ["章回小说--中国--清代--文集", "I242.4", "集·小说"],
        "publisher": ["人民文学出版社"],
        "date": ["1982"],
        "type": ["Text"],
        "format": ["3册 : 图 ; 20cm + 1光盘"],
        "identifier": ["urn:isbn:9787020002207", "CN 2005-1", "10019·1"],
        "language": ["chi"],
        "relation": ["古典文学丛书. 甲编 ; 3", "The story : of the stone ; 2"],
     }),
    ("names of persons, bodies and meetings", UNIMARC, CNMARC, """
        200 1_$aX
        700 _1$aHugo$bVictor$cécrivain$f1802-1885$4070
        701 _1$aPoirier$bJ.$4730
        702 _1$aDoré$bG.$4440
        702 _0$a某人$4编$4著
        710 02$a北京大学$b图书馆$4编
        711 12$a全国会议$d第2届$f1990$e北京
        720 _1$aMedici
        730 _1$a无名氏
     """, {
        "title": ["X"],
        "creator": ["Hugo, Victor, écrivain, 1802-1885", "某人", "北京大学. 图书馆",
                    "全国会议 (第2届 : 1990 : 北京)", "Medici"],
        "contributor": ["Poirier, J.", "Doré, G.", "无名氏"],
        "type": ["Text"],
     }),
    ("subjects, places and times", UNIMARC, CNMARC, """
        200 1_$aX
        600 _0$a鲁迅$f1881-1936$t呐喊$x研究
        601 02$a联合国$y非洲
        604 __$1700_0$a曹雪芹$150010$a红楼梦
        605 __$a红楼梦$x研究
        607 __$a北京$x历史$z清代
        608 __$a小说
        610 0_$a力学$a考试
        620 __$aChina$bHebei$dBeijing
     """, {
        "title": ["X"],
        "subject": ["鲁迅, 1881-1936. 呐喊--研究", "联合国--非洲", "曹雪芹. 红楼梦", "红楼梦--研究",
                    "力学", "考试"],
        "coverage": ["北京--历史--清代", "China--Hebei--Beijing"],
        "type": ["Text", "小说"],
     }),
    ("a serial and its relations", UNIMARC, "00000nas0 2200000   450 ", """
        011 __$a1000-4238
        100 __$a20150324a19819999km y0chiy50      ea
        200 1_$a法学
        520 1_$a政法学报$e月刊
        430 _0$t旧刊$x1000-0003
        440 _1$12001_$a新刊
     """, {
        "title": ["法学"],
        "date": ["1981/"],
        "type": ["Text"],
        "identifier": ["urn:issn:1000-4238"],
        "relation": ["政法学报 : 月刊", "旧刊", "新刊"],
     }),
    ("notes", UNIMARC, CNMARC, """
        200 1_$aX
        300 __$a有附录
        310 __$a精装
        316 __$a本馆有破损
        327 1_$a卷一$a卷二
        328 _0$b博士论文$c北大$d1999
        330 __$a内容提要
        371 0_$a限馆内阅览
     """, {
        "title": ["X"],
        "description": ["有附录", "卷一 卷二", "博士论文 北大 1999", "内容提要"],
        "rights": ["限馆内阅览"],
        "type": ["Text"],
     }),
    ("several works, none with authors", UNIMARC, CNMARC, """
        200 1_$a呐喊$e小说集$a彷徨$f鲁迅著$c子夜$f茅盾著
     """, {
        "title": ["呐喊 : 小说集", "彷徨", "子夜"],
        "contributor": ["鲁迅著 ; 茅盾著"],
        "type": ["Text"],
     }),
    ("an ancient book of doubtful dates", UNIMARC, "00000nvm0 2200000   450 ", """
        100 __$a20261101f16##1700em y0chiy50      ea
        200 1_$a本草綱目
        210 __$a[金陵$c胡承龙$d明万历21年(1593)]
     """, {
        "title": ["本草綱目"],
        "publisher": ["胡承龙"],
        "date": ["1700"],
        "type": ["Text"],
     }),
    ("a dated range, by years printed alone", UNIMARC, CNMARC, """
        200 1_$aX
        210 __$c甲社$d民国25年 [1936]
     """, {"title": ["X"], "publisher": ["甲社"], "date": ["1936"], "type": ["Text"]}),
    ("an electronic resource", UNIMARC, "00000nlm0 2200000   450 ", """
        017 70$a10.1000/182$2doi
        200 1_$aX
        856 40$uhttps://example.org/书
     """, {
        "title": ["X"],
        "identifier": ["https://doi.org/10.1000/182", "https://example.org/书"],
        "type": ["Software"],
     }),
    ("French, with marks of non-sorting characters", UNIMARC, CNMARC, """
        101 0_$afre$aeng
        200 1_$a\x98Les \x9cmisérables$eroman$h2$iCosette
        500 10$a\x98Les \x9cmisérables$mFrançais
     """, {
        "title": ["Les misérables : roman. 2, Cosette", "Les misérables Français"],
        "language": ["fre", "eng"],
        "type": ["Text"],
     }),
    ("a novel in MARC 21", MARC21, BOOK, """
        008 000313s2000    nyu           000 1 eng
        010 __$a   00039022
        020 __$a0679450041 (acid-free paper)
        050 00$aPS3553.H15$bA82 2000
        082 00$a813.54$221
        100 1_$aChabon, Michael,$d1963-
        245 14$aThe adventures :$ba novel /$cMichael Chabon.
        260 __$a[New York :$bRandom House],$cc2000.
        300 __$a639 p. ;$c25 cm.
        650 _0$aComic books, strips, etc.$xAuthorship$vFiction.
        651 _0$aNew York (N.Y.)$vFiction.
        700 1_$aDoe, Jane,$eillustrator.
        700 1_$aRoe, Jane,$eauthor.
     """, {
        "title": ["The adventures : a novel"],
        "creator": ["Chabon, Michael, 1963-", "Roe, Jane"],
        "contributor": ["Doe, Jane"],
        "subject": ["Comic books, strips, etc.--Authorship--Fiction", "PS3553.H15", "813.54"],
        "publisher": ["Random House"],
        "date": ["2000"],
        "type": ["Text"],
        "format": ["639 p. ; 25 cm."],
        "identifier": ["urn:isbn:9780679450047", "info:lccn/00039022"],
        "language": ["eng"],
        "coverage": ["New York (N.Y.)--Fiction"],
     }),
    ("a serial in MARC 21", MARC21, "00000cas a2200000 a 4500", """
        008 750901c19559999gw mr p       0   a0ger d
        022 0_$a0001-6993$y0001-6994
        245 00$aActa.
        780 00$tOld acta
        785 00$tNew acta
     """, {
        "title": ["Acta"],
        "date": ["1955/"],
        "type": ["Text"],
        "identifier": ["urn:issn:0001-6993"],
        "language": ["ger"],
        "relation": ["Old acta", "New acta"],
     }),
    ("a Chinese book in two scripts of MARC 21", MARC21, BOOK, """
        100 1_$6880-01$aCao, Xueqin.
        245 10$6880-02$aHong lou meng.$n1,$pQian bian
        264 _1$6880-03$aBeijing :$bRen min,$c1982
        490 1_$aCong shu ;$v3
        648 _7$a1700-1799$2fast
        752 __$aChina$dBeijing
        880 1_$6100-01/$1$a曹雪芹.
        880 10$6245-02/$1$a红楼梦.$n1,$p前编
        880 _1$6264-03/$1$a北京 :$b人民,$c1982
     """, {
        "title": ["Hong lou meng. 1, Qian bian", "红楼梦. 1, 前编"],
        "creator": ["Cao, Xueqin", "曹雪芹"],
        "publisher": ["Ren min", "人民"],
        "date": ["1982"],
        "type": ["Text"],
        "relation": ["Cong shu ; 3"],
        "coverage": ["1700-1799", "China--Beijing"],
     }),
    ("titles proper twice", MARC21, BOOK, """
        240 10$aUniform
        245 10$aOne /$cA.
        245 10$aTwo /$cB.
     """, {"title": ["One", "Two", "Uniform"], "contributor": ["A."], "type": ["Text"]}),
    ("titles proper twice, CNMARC", UNIMARC, CNMARC, """
        200 1_$7ba$aVojna i mir$fTolstoj
        200 1_$7ca$aВойна и мир$fТолстой
        517 1_$aОднотомник
     """, {"title": ["Vojna i mir", "Война и мир", "Однотомник"], "contributor": ["Tolstoj"],
           "type": ["Text"]}),
    ("a sound recording in MARC 21", MARC21, "00000cjm a2200000 a 4500", """
        008 990810s1978    caujzn              eng d
        024 1_$a012345678905
        100 1_$aNiehaus, Lennie,$ecomposer.
        245 00$aJazz conception$h[sound recording]
        260 __$aHollywood, CA :$bTry,$cp1978.
        300 __$a1 sound disc :$bdigital ;$c12 cm.
        511 0_$aLennie Niehaus, saxophone.
        650 _0$aJazz.
        700 1_$aDoe, J.,$4prf
     """, {
        "title": ["Jazz conception"],
        "creator": ["Niehaus, Lennie"],
        "contributor": ["Doe, J."],
        "subject": ["Jazz"],
        "description": ["Lennie Niehaus, saxophone"],
        "publisher": ["Try"],
        "date": ["1978"],
        "type": ["Sound"],
        "format": ["1 sound disc : digital ; 12 cm."],
        "identifier": ["012345678905"],
        "language": ["eng"],
     }),
    ("a map in MARC 21", MARC21, "00000cem a2200000 a 4500", """
        008 990810m19982001cc                  chi d
        110 1_$aChina.$bGuo jia ce hui ju.
        245 10$aZhongguo di tu
        255 __$aScale 1:4,000,000
        651 _0$aChina$vMaps.
     """, {
        "title": ["Zhongguo di tu"],
        "creator": ["China. Guo jia ce hui ju."],
        "date": ["1998/2001"],
        "type": ["Image"],
        "language": ["chi"],
        "coverage": ["China--Maps"],
     }),
    ("a thesis online in MARC 21", MARC21, "00000nam a2200000 i 4500", """
        008 150101s2015    gw      om    000 0 ger d
        024 7_$a10.1000/182$2doi
        041 1_$ager$aeng$hchi
        245 10$aTitel :$bZusatz
        264 _0$c2014
        264 _1$aBonn$c2015
        502 __$aDissertation, Bonn, 2015
        520 __$aEin Abriss.
        533 __$aMicrofilm.
        655 _7$aHochschulschrift$2gnd-content
        856 40$uhttps://doi.org/10.1000/182
     """, {
        "title": ["Titel : Zusatz"],
        "description": ["Dissertation, Bonn, 2015", "Ein Abriss"],
        "date": ["2015"],
        "type": ["Text", "Hochschulschrift"],
        "identifier": ["https://doi.org/10.1000/182"],
        "language": ["ger", "eng"],
     }),
    ("proceedings in MARC 21", MARC21, BOOK, """
        111 2_$aWorld Congress$n(2nd :$d1990 :$cParis)
        245 10$aProceedings /$cedited by A. B.
        246 14$aCongress proceedings
        440 _0$aLecture notes ;$vv. 12
        600 10$aShakespeare, William,$d1564-1616.$tHamlet$xSources.
        610 20$aUnited Nations$zAfrica.
        653 _0$afree$awords
     """, {
        "title": ["Proceedings", "Congress proceedings"],
        "creator": ["World Congress (2nd : 1990 : Paris)"],
        "subject": ["Shakespeare, William, 1564-1616. Hamlet--Sources", "United Nations--Africa",
                    "free", "words"],
        "type": ["Text"],
        "relation": ["Lecture notes ; v. 12"],
     }),
    ("a collection of papers in MARC 21", MARC21, "00000npc a2200000 a 4500", """
        008 990810i19001950xxu                 eng d
        245 00$aPapers,$f1900-1950.
        300 __$a3 boxes
        506 1_$aBy appointment.
        545 0_$aA life.
     """, {
        "title": ["Papers, 1900-1950"],
        "description": ["A life"],
        "date": ["1900/1950"],
        "type": ["Collection"],
        "format": ["3 boxes"],
        "language": ["eng"],
        "rights": ["By appointment"],
     }),
    ("a work inside and one related, MARC 21", MARC21, BOOK, """
        245 10$aX
        700 12$aKafka, Franz.$tProcess
        710 2_$aYale University.$bLibrary.
        711 2_$aCongress$n(2nd :$d1990)
        773 0_$aEditor, A.$tHost journal$gVol. 3
        506 __$aMembers only.
        540 __$aCC BY
        856 40$uhttps://example.org/
     """, {
        "title": ["X"],
        "contributor": ["Yale University. Library", "Congress (2nd : 1990)"],
        "relation": ["Kafka, Franz. Process", "Editor, A. Host journal"],
        "rights": ["Members only", "CC BY"],
        "identifier": ["https://example.org/"],
        "type": ["Text"],
     }),
]  # fmt: skip


@pytest.mark.parametrize(("family", "leader", "fields", "expected"),
                         [case[1:] for case in CASES], ids=[case[0] for case in CASES])  # fmt: skip
def test_a_record_says_in_dublin_core_what_it_says_in_marc(
    family: MarcFamily, leader: str, fields: str, expected: Facts
) -> None:
    xml = to_dublin_core(marc(leader, fields), family)
    assert fault("dc", xml) == ""
    found: Facts = {}
    for child in etree.fromstring(xml):
        found.setdefault(etree.QName(child).localname, []).append(child.text or "")
    assert found == expected

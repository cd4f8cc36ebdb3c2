"""MODS from UNIMARC and CNMARC: what each record must say, fact by fact."""

from __future__ import annotations

import pytest

import samples
from protocol.iso2709 import parse
from protocol.mods import to_mods
from protocol.mods_xml import NAMESPACE
from protocol.record import MarcFamily
from tests.xml_forms import Facts, facts_of, fault, marc

CNMARC = "00000nam0 2200000   450 "
SERIAL = "00000nas0 2200000   450 "
PINYIN = "[@script='Latn'][@transliteration='pinyin']"

CASES: list[tuple[str, str, str, Facts]] = [
    ("a Chinese book with pinyin of CALIS", CNMARC, """
        001 012002042862
        005 20020819123000.0
        010 __$a7-81024-846-4$dCNY28.00$z7-81024-846-5
        091 __$a10173·12
        100 __$a20020819d2002    em_y0chiy0121    ea
        101 0_$achi
        102 __$aCN$b430000
        105 __$aa   e   000ay
        106 __$ar
        200 1_$a材料力学$Acai liao li xue$b专著$e题解$Eti jie$f任钧国等编$g刘甫译
        205 __$a2版
        210 __$a长沙$c国防科技大学出版社$d2002.7
        215 __$a354页$c图$d26cm$e1光盘
        300 __$a有附录
        320 __$a有书目 (第350页)
        330 __$a本书共分两大部分。
        606 0_$a材料力学$Acai liao li xue$x研究生$x入学考试$j升学参考资料
        690 __$aTB301$v4
        701 _0$a任钧国$Aren jun guo$4编写
        702 _0$a刘甫$Aliu fu$f1950-$4译
        711 02$a国防科技大学$Aguo fang ke ji da xue$4编
        801 _0$aCN$bBNU$c20020819
        905 __$aBNU$dTB301$eR481$f4
     """, {
        "m:titleInfo[@script='Hani']/*": ["材料力学", "题解"],
        f"m:titleInfo{PINYIN}/*": ["cai liao li xue", "ti jie"],
        "m:titleInfo/@altRepGroup": ["01", "01"],
        "m:name[@script='Hani'][1]/m:namePart": ["任钧国"],
        "m:name[m:namePart='任钧国']/m:role/m:roleTerm": ["编写"],
        "m:name[m:namePart='刘甫']/m:role/m:roleTerm[@type='code']": ["trl"],
        "m:name[m:namePart='刘甫']/m:role/m:roleTerm[@type='text']": ["译"],
        "m:name[m:namePart='刘甫']/m:namePart[@type='date']": ["1950-"],
        f"m:name{PINYIN}/m:namePart": ["ren jun guo", "liu fu", "guo fang ke ji da xue"],
        "m:name/@type": ["personal", "personal", "personal", "personal", "corporate",
                         "corporate"],
        "m:typeOfResource": ["text"],
        "m:genre[@authority='marcgt']": ["dictionary", "fiction"],
        "m:originInfo/m:place/m:placeTerm[@authority='iso3166']": ["CN"],
        "m:originInfo/m:place/m:placeTerm[@type='text']": ["长沙"],
        "m:originInfo/m:publisher": ["国防科技大学出版社"],
        "m:originInfo/m:dateIssued[not(@encoding)]": ["2002.7"],
        "m:originInfo/m:dateIssued[@encoding='marc']": ["2002"],
        "m:originInfo/m:edition": ["2版"],
        "m:originInfo/m:issuance": ["monographic"],
        "m:language/m:languageTerm[@authority='iso639-2b']": ["chi"],
        "m:physicalDescription/m:form[@authority='gmd']": ["专著"],
        "m:physicalDescription/m:form[@authority='marcform']": ["print"],
        "m:physicalDescription/m:extent": ["354页 : 图 ; 26cm + 1光盘"],
        "m:abstract": ["本书共分两大部分。"],
        "m:note[not(@type)]": ["有附录"],
        "m:note[@type='bibliography']": ["有书目 (第350页)"],
        "m:note[@type='statement of responsibility']": ["任钧国等编 ; 刘甫译"],
        "m:subject[not(@authority)]/*": ["材料力学", "研究生", "入学考试", "升学参考资料"],
        "m:subject/m:genre": ["升学参考资料"],
        "m:classification[@authority='clc'][@edition='4']": ["TB301"],
        "m:identifier[@type='isbn'][not(@invalid)]": ["7-81024-846-4"],
        "m:identifier[@type='isbn'][@invalid='yes']": ["7-81024-846-5"],
        "m:identifier[@type='csbn'][@displayLabel='统一书刊号']": ["10173·12"],
        "m:location/m:physicalLocation": ["BNU"],
        "m:location/m:shelfLocator": ["TB301/R481"],
        "m:recordInfo/m:recordContentSource": ["BNU"],
        "m:recordInfo/m:recordCreationDate[@encoding='iso8601']": ["20020819"],
        "m:recordInfo/m:recordChangeDate": ["20020819123000.0"],
        "m:recordInfo/m:recordIdentifier": ["012002042862"],
        "m:recordInfo/m:languageOfCataloging/m:languageTerm": ["chi"],
     }),
    ("pinyin as the National Library writes it", CNMARC, """
        101 0_$achi
        200 1_$a红楼梦$9hong lou meng$f(清)曹雪芹著
        701 _0$c(清)$a曹雪芹$9cao xue qin$f(约1715-约1763)$4著
     """, {
        f"m:titleInfo{PINYIN}/m:title": ["hong lou meng"],
        f"m:name{PINYIN}/m:namePart": ["cao xue qin"],
        "m:name/m:namePart[@type='termsOfAddress']": ["清"],
        "m:name/m:namePart[@type='date']": ["约1715-约1763"],
        "m:name/m:role/m:roleTerm[@type='code']": ["aut"],
     }),
    ("$9 that is no reading", CNMARC, """
        101 0_$achi
        200 1_$a红楼梦$912345
        700 _1$aHugo$bVictor$9Victor Hugo$4070
     """, {
        "m:titleInfo/m:title": ["红楼梦"],
        "m:titleInfo/@altRepGroup": [],
        "m:name/m:namePart[@type='family']": ["Hugo"],
        "m:name/m:namePart[@type='given']": ["Victor"],
        "m:name/@usage": ["primary"],
        "m:name/m:role/m:roleTerm[@authority='marcrelator']": ["aut"],
     }),
    ("a Japanese book with kana", CNMARC, """
        100 __$a20261101d1927    em y0chiy50      da
        101 1_$ajpn$ceng
        200 1_$a伊豆の踊子$Aイズ ノ オドリコ$f川端康成著
        225 2_$a名作選$Ameisakusen$v3
        701 _0$a川端康成$Aカワバタ ヤスナリ$f1899-1972$4著
     """, {
        "m:titleInfo[@script='Jpan']/m:title": ["伊豆の踊子"],
        "m:titleInfo[@script='Kana'][not(@transliteration)]/m:title": ["イズ ノ オドリコ"],
        "m:name[@script='Kana']/m:namePart": ["カワバタ ヤスナリ"],
        "m:relatedItem[@type='series']/m:titleInfo[1]/*": ["名作選", "3"],
        "m:relatedItem[@type='series']/m:titleInfo[@script='Latn']/m:title": ["meisakusen"],
        "m:relatedItem[@type='series']/m:titleInfo/@transliteration": [],
        "m:relatedItem[@type='original']/m:language/m:languageTerm": ["eng"],
        "m:language/m:languageTerm": ["jpn"],
     }),
    ("a Russian book", CNMARC, """
        100 __$a20261101d1867    em y0chiy50      ca
        101 0_$arus
        102 __$aRU
        200 1_$aПреступление и наказание$fФ. М. Достоевский
        210 __$aСанкт-Петербург$d1867
        215 __$a2 т.
        701 _1$aДостоевский$bФёдор Михайлович$f1821-1881$4著
     """, {
        "m:titleInfo/m:title": ["Преступление и наказание"],
        "m:name/m:namePart[@type='family']": ["Достоевский"],
        "m:name/m:namePart[@type='given']": ["Фёдор Михайлович"],
        "m:physicalDescription/m:extent": ["2 т."],
        "m:originInfo/m:place": ["RU", "Санкт-Петербург"],
     }),
    ("an ancient manuscript", "00000nbm0 2200000   450 ", """
        100 __$a20261101g15621567km y0chiy50      ea
        200 1_$a永樂大典$Ayong le da dian$e目錄六十卷$f(明)解缙等纂修
        205 __$a写本
        210 __$a北京$c内府$d明嘉靖41年至隆庆元年(1562-1567)
        517 1_$a永乐大典
        690 __$aZ225$v5
        696 __$a子·类书$2四部分类法
        701 _0$a解缙$Axie jin$c(明)$f1369-1415$4纂修
     """, {
        "m:typeOfResource[@manuscript='yes']": ["text"],
        "m:originInfo/m:dateIssued[@encoding='marc'][@point='start']": ["1562"],
        "m:originInfo/m:dateIssued[@encoding='marc'][@point='end']": ["1567"],
        "m:originInfo/m:dateIssued[not(@encoding)]": ["明嘉靖41年至隆庆元年(1562-1567)"],
        "m:titleInfo[@type='alternative']/m:title": ["永乐大典"],
        "m:classification[@authority='clc']": ["Z225"],
        "m:classification[@displayLabel='四部分类法'][not(@authority)]": ["子·类书"],
        "m:name[m:namePart='解缙']/m:role": ["edt|纂修"],
     }),
    ("a part of a set with several titles", "00000nam1 2200000   450 ", """
        100 __$a20261101f18##1900em_y0fre_50______ba
        101 1_$afre$beng$dger
        200 1_$a\x98Les \x9cmisérables$dThe wretched$eroman$h2$iCosette$zeng$fVictor Hugo$gtrad. X
        500 10$a\x98Les \x9cmisérables$mFrançais
        510 1_$aThe wretched ones$zeng
        512 1_$aCouverture
        531 __$aMis.
        532 1_$aDeux misérables
        541 1_$aThe miserable$zeng
        700 _1$aHugo$bV.$gVictor$cécrivain$f1802-1885$4070$4730
     """, {
        "m:titleInfo[1]/m:nonSort": ["Les "],
        "m:titleInfo[1]/m:title": ["misérables"],
        "m:titleInfo[@otherType='parallel'][1]/@lang": ["eng"],
        "m:titleInfo[@otherType='parallel'][1]/*": ["The wretched", "roman", "2", "Cosette"],
        "m:titleInfo[@type='uniform']/*": ["Les ", "misérables Français"],
        "m:titleInfo[@type='translated'][@supplied='yes'][@lang='eng']": ["The miserable"],
        "m:titleInfo[@displayLabel='cover title']": ["Couverture"],
        "m:titleInfo[@displayLabel='expanded title']": ["Deux misérables"],
        "m:titleInfo[@type='abbreviated']": ["Mis."],
        "m:originInfo/m:dateIssued[@qualifier='questionable'][@point='start']": ["18uu"],
        "m:originInfo/m:dateIssued[@qualifier='questionable'][@point='end']": ["1900"],
        "m:originInfo/m:issuance": ["multipart monograph"],
        "m:language[@objectPart='summary']": ["ger"],
        "m:name/m:displayForm": ["Victor Hugo"],
        "m:name/m:namePart[@type='termsOfAddress']": ["écrivain"],
        "m:name/m:role": ["aut", "trl"],
        "m:note[@type='statement of responsibility']": ["Victor Hugo ; trad. X"],
     }),
    ("fields that tell the same in two scripts", CNMARC, """
        200 1_$6a01$7ba0yba0a$aVojna i mir
        200 1_$6a01$7ba0yca0y$aВойна и мир
        700 _1$6a02$7ba$aTolstoj$bLev
        700 _1$6a02$7ca$aТолстой$bЛев
        702 _1$6a00$7xx$aX$bY
     """, {
        "m:titleInfo[@altRepGroup='link-01']/@script": ["Latn", "Cyrl"],
        "m:titleInfo[@script='Cyrl']/m:title": ["Война и мир"],
        "m:name[@altRepGroup='link-02']/@script": ["Latn", "Cyrl"],
        "m:name[not(@altRepGroup)][not(@script)]/m:namePart": ["X", "Y"],
     }),
    ("works without a collective title", CNMARC, """
        200 1_$a呐喊$a彷徨$f鲁迅著$c子夜$f茅盾著
     """, {
        "m:titleInfo/m:title": ["呐喊"],
        "m:relatedItem[@type='constituent']/m:titleInfo/m:title": ["彷徨", "子夜"],
        "m:note": ["鲁迅著 ; 茅盾著"],
     }),
    ("a serial and its relations", SERIAL, """
        011 __$a1000-4238$y1000-4239$f1000-4238
        100 __$a20150324a19819999km_y0chiy50______ea
        110 __$aafz_||_0___
        200 1_$a法学$h甲辑$i理论版
        207 _0$aNo. 1 (1981)-
        326 __$a月刊
        520 1_$a政法学报$x1000-0001
        421 _0$t增刊$x1000-0002
        430 _0$12001_$a旧刊$1011__$a1000-0003
        440 _1$t新刊$x1000-0004
        451 __$12001_$a影印版$1210__$a北京$c某社$d1990
        488 __$t有关的刊
     """, {
        "m:titleInfo/*": ["法学", "甲辑", "理论版"],
        "m:genre[@authority='marcgt']": ["periodical"],
        "m:originInfo/m:issuance": ["serial"],
        "m:originInfo/m:frequency": ["Monthly", "月刊"],
        "m:originInfo/m:dateIssued[@point='start']": ["1981"],
        "m:originInfo/m:dateIssued[@point='end']": ["9999"],
        "m:note[@type='numbering']": ["No. 1 (1981)-"],
        "m:identifier[@type='issn'][not(@invalid)]": ["1000-4238"],
        "m:identifier[@type='issn'][@invalid='yes']": ["1000-4239"],
        "m:identifier[@type='issn-l']": ["1000-4238"],
        "m:relatedItem[@type='preceding']/m:titleInfo": ["政法学报", "旧刊"],
        "m:relatedItem[@type='preceding']/m:identifier": ["1000-0001", "1000-0003"],
        "m:relatedItem[@type='succeeding']/m:titleInfo": ["新刊"],
        "m:relatedItem[@type='constituent']/m:titleInfo": ["增刊"],
        "m:relatedItem[@type='otherVersion']/m:originInfo/*": ["北京", "某社", "1990"],
        "m:relatedItem[not(@type)]/m:titleInfo": ["有关的刊"],
     }),
    ("series told once, sets and pieces", CNMARC, """
        225 2_$a新世纪丛书$v3
        410 _0$12001_$a新世纪丛书$v3
        410 _0$12001_$a另一丛书$h2$i理工
        461 _0$1001A012003$12001_$a全集$v卷5$1701_0$a鲁迅$4著
        463 _0$12001_$a分册
        470 __$t被评之书
        454 __$12001_$aOriginal title
     """, {
        "m:relatedItem[@type='series']/m:titleInfo": ["新世纪丛书|3", "另一丛书|2|理工"],
        "m:relatedItem[@type='host']/m:titleInfo/*": ["全集", "卷5"],
        "m:relatedItem[@type='host']/m:name/m:namePart": ["鲁迅"],
        "m:relatedItem[@type='host']/m:identifier[@type='local']": ["A012003"],
        "m:relatedItem[@type='constituent']/m:titleInfo": ["分册"],
        "m:relatedItem[@type='reviewOf']/m:titleInfo": ["被评之书"],
        "m:relatedItem[@type='original']/m:titleInfo": ["Original title"],
     }),
    ("subjects and classes of every kind", CNMARC, """
        600 _0$a鲁迅$f1881-1936$x生平
        601 02$a联合国$y非洲
        601 12$a国际会议$f1990
        602 __$a曹家
        604 __$1700_0$a曹雪芹$150010$a红楼梦
        605 __$a红楼梦$x研究
        606 0_$aPolitical science$yChina$2lc
        607 __$a北京$x历史
        608 __$a小说$2rameau
        610 0_$a力学$a考试
        617 __$aChina$dBeijing
        660 __$aa-cc---
        675 __$a53$v3
        676 __$a813.54$v21
        680 __$aPL2702$b.A1
        686 __$aI-1$2ncsclt
        692 __$a28.24$v3
     """, {
        "m:subject[m:name/@type='personal'][1]": ["鲁迅|1881-1936|生平"],
        "m:subject/m:name[@type='corporate']": ["联合国"],
        "m:subject/m:name[@type='conference']": ["国际会议|1990"],
        "m:subject/m:name[@type='family']": ["曹家"],
        "m:subject[m:name][m:titleInfo]": ["曹雪芹|红楼梦"],
        "m:subject[m:titleInfo][not(m:name)]": ["红楼梦|研究"],
        "m:subject[@authority='lcsh']": ["Political science|China"],
        "m:subject/m:geographic": ["非洲", "China", "北京"],
        "m:genre[@authority='ram']": ["小说"],
        "m:subject[count(*)=1]/m:topic": ["力学", "考试"],
        "m:subject/m:hierarchicalGeographic/*": ["China", "Beijing"],
        "m:subject/m:geographicCode[@authority='marcgac']": ["a-cc"],
        "m:classification[@authority='udc'][@edition='3']": ["53"],
        "m:classification[@authority='ddc'][@edition='21']": ["813.54"],
        "m:classification[@authority='lcc']": ["PL2702 .A1"],
        "m:classification[@authority='ncsclt']": ["I-1"],
        "m:classification[@displayLabel='中国科学院图书馆图书分类法']": ["28.24"],
     }),
    ("numbers, links and shelves", "00000nlm0 2200000   450 ", """
        013 __$aM-2306-7118-7
        016 __$aCN-A01-20-00001-0
        017 70$a10.1000/182$2doi
        020 __$aCN$b2005-1
        035 __$a(OCoLC)123$a(aleph)1
        040 __$aJPCHA4
        071 01$bEMI$a123-4
        073 _0$a9787302000000
        106 __$as
        856 40$uhttps://example.org/书?a=1&b=2$3全文$qapplication/pdf
        852 __$aBNU$b文库$jF124
        905 __$aPKU$sF124/26
        905 __$aPKU$b1234
     """, {
        "m:typeOfResource": ["software, multimedia"],
        "m:identifier[@type='ismn']": ["M-2306-7118-7"],
        "m:identifier[@type='isrc']": ["CN-A01-20-00001-0"],
        "m:identifier[@type='doi']": ["10.1000/182"],
        "m:identifier[@type='national bibliography number']": ["CN 2005-1"],
        "m:identifier[@type='oclc']": ["123"],
        "m:identifier[@type='coden']": ["JPCHA4"],
        "m:identifier[@type='issue number']": ["EMI 123-4"],
        "m:identifier[@type='ean']": ["9787302000000"],
        "m:physicalDescription/*": ["electronic", "application/pdf"],
        "m:location/m:url[@usage='primary display'][@displayLabel='全文']": [
            "https://example.org/书?a=1&b=2"],
        "m:location/m:physicalLocation": ["BNU 文库", "PKU"],
        "m:location/m:shelfLocator": ["F124", "F124/26"],
     }),
    ("what carries the text", CNMARC, """
        106 __$ar
        130 __$ad
        135 __$adrbn#---auaua
        204 1_$a[electronic resource]
     """, {
        "m:physicalDescription/m:form[@authority='marcform']": [
            "print", "microform", "electronic"],
        "m:physicalDescription/m:form[@authority='gmd']": ["electronic resource"],
     }),
    ("origins and notes", CNMARC, """
        100 __$a20200101h20202019em_y0chiy50______ea
        214 _0$a北京$c甲社$d2020
        214 _3$a天津$c乙厂
        214 _4$dc2019
        304 __$a题名取自封面
        310 __$a精装
        323 __$a演员
        324 __$a据宋本影印
        327 1_$a卷一$a卷二
        328 _0$b博士论文$c北大$d1999
        333 __$a大学生
        334 __$a获奖
        371 0_$a限馆内阅览
     """, {
        "m:originInfo[@eventType='publication']/m:publisher": ["甲社"],
        "m:originInfo[@eventType='publication']/m:dateIssued": ["2020", "2020"],
        "m:originInfo[@eventType='publication']/m:copyrightDate": ["2019", "2019"],
        "m:originInfo[@eventType='manufacture']/*": ["天津", "乙厂"],
        "m:note[not(@type)]": ["题名取自封面"],
        "m:note[@type='performers']": ["演员"],
        "m:note[@type='original version']": ["据宋本影印"],
        "m:note[@type='thesis']": ["博士论文 北大 1999"],
        "m:note[@type='awards']": ["获奖"],
        "m:tableOfContents": ["卷一 卷二"],
        "m:targetAudience[not(@authority)]": ["大学生"],
        "m:accessCondition[@type='restriction on access']": ["限馆内阅览"],
     }),
]  # fmt: skip


@pytest.mark.parametrize(("leader", "fields", "facts"), [case[1:] for case in CASES],
                         ids=[case[0] for case in CASES])  # fmt: skip
def test_a_record_says_in_mods_what_it_says_in_cnmarc(
    leader: str, fields: str, facts: Facts
) -> None:
    xml = to_mods(marc(leader, fields), MarcFamily.UNIMARC)
    assert fault("mods", xml) == ""
    assert facts_of(xml, NAMESPACE, facts) == facts


@pytest.mark.parametrize(
    ("leader", "expected"),
    [
        ("00000nam", "text"), ("00000ncm", "notated music"), ("00000nem", "cartographic"),
        ("00000ngm", "moving image"), ("00000nim", "sound recording-nonmusical"),
        ("00000njm", "sound recording-musical"), ("00000nkm", "still image"),
        ("00000nlm", "software, multimedia"), ("00000nmm", "mixed material"),
        ("00000nrm", "three dimensional object"), ("00000num", "still image"),
        ("00000nvm", "text"),
    ],
)  # fmt: skip
def test_the_type_of_resource_is_that_of_the_leader(leader: str, expected: str) -> None:
    xml = to_mods(marc(leader.ljust(20) + "450 ", "200 1_$ax"), MarcFamily.UNIMARC)
    assert facts_of(xml, NAMESPACE, {"m:typeOfResource": []})["m:typeOfResource"] == [expected]


def test_every_reading_of_the_samples_is_told_beside_its_text() -> None:
    """Each $A of a 200 gives a second titleInfo with the same altRepGroup, none is lost."""
    pinyin = 0
    for database in ("cn_cat", "jp_cat", "ancient"):
        for record in samples.records(database):
            readings = parse(record).get("200")[0].values("A")
            xml = to_mods(record, MarcFamily.UNIMARC)
            paths = {"m:titleInfo[@altRepGroup='01'][2]/m:title": []}
            assert list(facts_of(xml, NAMESPACE, paths).values()) == [readings[:1]]
            pinyin += xml.count(b'transliteration="pinyin"')
    assert pinyin > 500

"""MODS from MARC 21: what each record must say, fact by fact."""

from __future__ import annotations

import pytest

from protocol.mods import to_mods
from protocol.mods_xml import NAMESPACE, any_uri
from protocol.record import MarcFamily
from tests.xml_forms import Facts, facts_of, fault, marc

BOOK = "00000cam a2200000 a 4500"
RDA = "00000cam a2200000 i 4500"
SERIAL = "00000cas a2200000 a 4500"
LATIN_HAN = ("", "Hani")

# Name of the case, leader, fields, facts by path.
CASES: list[tuple[str, str, str, Facts]] = [
    ("a novel", BOOK, """
        001 11939876
        003 DLC
        005 20041229190604.0
        008 000313s2000    nyu      b    000 1 eng
        010 __$a   00039022
        020 __$a0679450041 (acid-free paper)$z0679450042
        040 __$aDLC$beng$cDLC
        043 __$an-us-ny
        050 00$aPS3553.H15$bA82 2000
        082 00$a813/.54$221
        100 1_$aChabon, Michael,$d1963-$0http://id.loc.gov/authorities/names/n87940178
        245 14$aThe amazing adventures of Kavalier & Clay :$ba novel /$cMichael Chabon.
        250 __$a1st ed.
        260 __$aNew York :$bRandom House,$cc2000.
        300 __$a639 p. ;$c25 cm.
        504 __$aIncludes bibliographical references.
        650 _0$aComic books, strips, etc.$xAuthorship$vFiction.
        651 _0$aNew York (N.Y.)$y20th century$vFiction.
        655 _7$aHumorous stories.$2gsafd
     """, {
        "m:titleInfo/m:nonSort": ["The "],
        "m:titleInfo/m:title": ["amazing adventures of Kavalier & Clay"],
        "m:titleInfo/m:subTitle": ["a novel"],
        "m:name/@type": ["personal"],
        "m:name/@usage": ["primary"],
        "m:name/@valueURI": ["http://id.loc.gov/authorities/names/n87940178"],
        "m:name/m:namePart[not(@type)]": ["Chabon, Michael"],
        "m:name/m:namePart[@type='date']": ["1963-"],
        "m:typeOfResource": ["text"],
        "m:genre[@authority='marcgt']": ["bibliography", "fiction"],
        "m:genre[@authority='gsafd']": ["Humorous stories"],
        "m:originInfo/m:place/m:placeTerm[@authority='marccountry']": ["nyu"],
        "m:originInfo/m:place/m:placeTerm[@type='text']": ["New York"],
        "m:originInfo/m:publisher": ["Random House"],
        "m:originInfo/m:dateIssued[not(@encoding)]": ["c2000"],
        "m:originInfo/m:dateIssued[@encoding='marc']": ["2000"],
        "m:originInfo/m:edition": ["1st ed."],
        "m:originInfo/m:issuance": ["monographic"],
        "m:language/m:languageTerm[@authority='iso639-2b'][@type='code']": ["eng"],
        "m:physicalDescription/m:extent": ["639 p. ; 25 cm."],
        "m:note[@type='statement of responsibility']": ["Michael Chabon."],
        "m:note[@type='bibliography']": ["Includes bibliographical references."],
        "m:subject[m:geographicCode]": ["n-us-ny"],
        "m:subject[@authority='lcsh'][m:topic]": [
            "Comic books, strips, etc|Authorship|Fiction"],
        "m:subject[m:geographic]/*": ["New York (N.Y.)", "20th century", "Fiction"],
        "m:classification[@authority='lcc']": ["PS3553.H15 A82 2000"],
        "m:classification[@authority='ddc'][@edition='21']": ["813.54"],
        "m:identifier[@type='isbn'][not(@invalid)]": ["0679450041"],
        "m:identifier[@type='isbn'][@invalid='yes']": ["0679450042"],
        "m:identifier[@type='lccn']": ["00039022"],
        "m:recordInfo/m:descriptionStandard": ["aacr"],
        "m:recordInfo/m:recordContentSource[@authority='marcorg']": ["DLC"],
        "m:recordInfo/m:recordCreationDate[@encoding='marc']": ["000313"],
        "m:recordInfo/m:recordChangeDate[@encoding='iso8601']": ["20041229190604.0"],
        "m:recordInfo/m:recordIdentifier[@source='DLC']": ["11939876"],
        "m:recordInfo/m:languageOfCataloging/m:languageTerm": ["eng"],
     }),
    ("a Chinese book in two scripts", BOOK, """
        008 861014s1982    cc            000 0 chi d
        100 1_$6880-01$aCao, Xueqin,$dapproximately 1717-1763.
        245 10$6880-02$aHong lou meng /$c[Cao Xueqin zhu].
        260 __$6880-03$aBeijing :$bRen min wen xue chu ban she,$c1982.
        880 1_$6100-01/$1$a曹雪芹,$dapproximately 1717-1763.
        880 10$6245-02/$1$a红楼梦 /$c[曹雪芹著].
        880 __$6260-03/$1$a北京 :$b人民文学出版社,$c1982.
        880 __$6500-00/$1$a无对应的附注.
     """, {
        "m:titleInfo/m:title": ["Hong lou meng", "红楼梦"],
        "m:titleInfo/@altRepGroup": ["02", "02"],
        "m:titleInfo/@script": ["Hani"],
        "m:name/m:namePart[not(@type)]": ["Cao, Xueqin", "曹雪芹"],
        "m:name/@usage": ["primary"],
        "m:name[@script='Hani']/m:namePart[1]": ["曹雪芹"],
        "m:name/@altRepGroup": ["01", "01"],
        "m:note[@type]": ["[Cao Xueqin zhu].", "[曹雪芹著]."],
        "m:originInfo[@altRepGroup='03']/m:publisher": [
            "Ren min wen xue chu ban she", "人民文学出版社"],
        "m:originInfo/m:dateIssued[@encoding]": ["1982"],
        "m:originInfo[1]/m:place": ["cc", "Beijing"],
        "m:originInfo[2]/m:place": ["北京"],
        "m:note[@script='Hani'][not(@altRepGroup)]": ["无对应的附注."],
     }),
    ("Japanese, Korean, Arabic, Cyrillic and unnamed scripts", BOOK, """
        245 00$6880-01$aYukiguni
        246 3_$6880-02$aAlf laylah
        246 3_$6880-03$aMnogo
        246 3_$6880-04$aHan'guk
        246 3_$6880-05$aHan
        246 3_$6880-06$aZwei
        880 00$6245-01/$1$a雪国の
        880 3_$6246-02/(3/r$aألف ليلة
        880 3_$6246-03/(N$aМного
        880 3_$6246-04/$1$a韓国 한국
        880 3_$6246-05$a漢
        880 3_$6246-06/(B$aDva
     """, {
        "m:titleInfo/@script": ["Jpan", "Arab", "Cyrl", "Kore", "Hani", "Latn"],
        "count(m:titleInfo[@type='alternative']) = 10": [],
     }),
    ("a serial with its history", SERIAL, """
        008 750901c19559999nyumr p       0   a0eng d
        022 0_$a0001-6993$y0001-6994$l0001-6993
        210 0_$aActa inform.
        222 _0$aActa informatica
        245 00$aActa informatica.
        246 13$aActa
        247 10$aInformatica$x1234-5679
        260 __$aBerlin,$bSpringer.
        310 __$aMonthly
        321 __$aQuarterly,$b1955-1960
        362 0_$aVol. 1-
        780 00$tOld acta$x0002-0001$w(OCoLC)123
        785 00$tNew acta$w(DLC)sn 86-1
     """, {
        "m:typeOfResource": ["text"],
        "m:genre": ["periodical"],
        "m:titleInfo[@type='abbreviated']/m:title": ["Acta inform."],
        "m:titleInfo[@displayLabel='key title']/m:title": ["Acta informatica"],
        "m:titleInfo[not(@type)]/m:title": ["Acta informatica"],
        "m:originInfo/m:dateIssued[@point='start']": ["1955"],
        "m:originInfo/m:dateIssued[@point='end']": ["9999"],
        "m:originInfo/m:issuance": ["serial"],
        "m:originInfo/m:frequency[@authority='marcfrequency']": ["Monthly"],
        "m:originInfo/m:frequency[not(@authority)]": ["Monthly", "Quarterly, 1955-1960"],
        "m:note[@type='date/sequential designation']": ["Vol. 1-"],
        "m:relatedItem[@type='preceding']/m:titleInfo/m:title": ["Informatica", "Old acta"],
        "m:relatedItem[@type='preceding']/m:identifier[@type='oclc']": ["123"],
        "m:relatedItem[@type='succeeding']/m:titleInfo/m:title": ["New acta"],
        "m:relatedItem[@type='succeeding']/m:identifier[@type='lccn']": ["sn 86-1"],
        "m:identifier[@type='issn'][not(@invalid)]": ["0001-6993"],
        "m:identifier[@type='issn'][@invalid='yes']": ["0001-6994"],
        "m:identifier[@type='issn-l']": ["0001-6993"],
     }),
    ("a part of a set, in RDA", RDA, """
        008 150101t20152014gw a   e      100 0 ger d
        040 __$aDE-101$bger$erda
        041 1_$ager$aeng$bfre$hchi
        245 10$aWerke.$nBand 2,$pBriefe =$bLetters :$bselected /$cX.
        264 _1$aLeipzig :$bInsel,$c[2015]
        264 _2$aBerlin :$bVertrieb
        264 _3$aHalle :$bDruckerei,$c2016
        264 _4$c©2014
        336 __$aText$btxt$2rdacontent
        337 __$aohne Hilfsmittel zu benutzen$2rdamedia
        338 __$aBand$2rdacarrier
     """, {
        "m:titleInfo[1]/m:title": ["Werke"],
        "m:titleInfo[1]/m:partNumber": ["Band 2"],
        "m:titleInfo[1]/m:partName": ["Briefe"],
        "m:originInfo[@eventType='publication']/m:publisher": ["Insel"],
        "m:originInfo[@eventType='publication']/m:dateIssued[@encoding='marc']": ["2015"],
        "m:originInfo[@eventType='publication']/m:dateIssued[not(@encoding)]": ["[2015]"],
        "m:originInfo/m:copyrightDate[@encoding='marc']": ["2014"],
        "m:originInfo/m:copyrightDate[not(@encoding)]": ["2014"],
        "m:originInfo[@eventType='distribution']/m:place": ["Berlin"],
        "m:originInfo[@eventType='manufacture']/m:publisher": ["Druckerei"],
        "m:genre[@authority='marcgt']": ["conference publication"],
        "m:genre[@authority='rdacontent']": ["Text"],
        "m:physicalDescription/m:form[@authority='rdacarrier']": ["Band"],
        "m:targetAudience": ["adult"],
        "m:language[not(@objectPart)]": ["ger", "eng"],
        "m:language[@objectPart='summary']": ["fre"],
        "m:relatedItem[@type='original']/m:language": ["chi"],
        "m:recordInfo/m:descriptionStandard": ["rda"],
     }),
    ("a parallel title", BOOK, """
        245 10$aFa xue =$bLaw science : a review /$cX.
        242 14$aThe law$yeng
        246 11$aLaw science
        246 1_$iTitle on cover:$aLaw
        740 02$aAn essay inside
        740 0_$aA variant
     """, {
        "m:titleInfo[1]/m:title": ["Fa xue"],
        "m:titleInfo[@otherType='parallel']/*": ["Law science", "a review"],
        "m:titleInfo[@type='translated'][@lang='eng']/*": ["The ", "law"],
        "m:titleInfo[@displayLabel='parallel title']/m:title": ["Law science"],
        "m:titleInfo[@displayLabel='Title on cover']/m:title": ["Law"],
        "m:relatedItem[@type='constituent']/m:titleInfo/m:title": ["An essay inside"],
        "m:titleInfo[@type='alternative'][last()]/m:title": ["A variant"],
     }),
    ("names and what they did", BOOK, """
        100 0_$aJohn Paul$bII,$cPope,$d1920-2005,$eauthor.$4aut
        240 10$aWorks.$kSelections.$lEnglish
        245 10$aX
        700 1_$aSmith, John,$etranslator.$4http://id.loc.gov/vocabulary/relators/trl
        700 3_$aMedici family.
        700 12$aKafka, Franz,$d1883-1924.$tProcess.$lEnglish
        700 1_$iBased on:$aMann, Thomas.$tZauberberg
        710 2_$aYale University.$bLibrary.$eissuing body.
        711 2_$aWorld Congress$n(2nd :$d1990 :$cParis)$jhost
        720 2_$aSome body$esponsor
     """, {
        "m:name[1]/m:namePart": ["John Paul", "II, Pope", "1920-2005"],
        "m:name[1]/m:namePart/@type": ["termsOfAddress", "date"],
        "m:name[1]/m:role": ["author", "aut"],
        "m:name[1]/@nameTitleGroup": ["1"],
        "m:titleInfo[@type='uniform'][@nameTitleGroup='1']/m:title": [
            "Works. Selections. English"],
        "m:name[2]/m:role/m:roleTerm[@type='code'][@authority='marcrelator']": ["trl"],
        "m:name/@type": ["personal", "personal", "family", "corporate", "conference",
                         "corporate"],
        "m:name[@type='corporate'][1]/m:namePart": ["Yale University", "Library"],
        "m:name[@type='conference']/m:namePart": ["World Congress (2nd : 1990 : Paris)"],
        "m:name[@type='conference']/m:role": ["host"],
        "m:relatedItem[@type='constituent']/m:titleInfo/m:title": ["Process. English"],
        "m:relatedItem[@type='constituent']/m:name/m:namePart[1]": ["Kafka, Franz"],
        "m:relatedItem[@displayLabel='Based on']/m:name": ["Mann, Thomas"],
     }),
    ("subjects of every kind", BOOK, """
        034 1_$aa
        255 __$aScale 1:50,000 ;$bTransverse Mercator$c(E 1°--E 2°)
        600 10$aShakespeare, William,$d1564-1616.$tHamlet$xSources.
        610 20$aUnited Nations$zAfrica.
        611 27$aOlympics$2fast
        630 00$aBible.$pGenesis$vCommentaries.
        648 _7$a1900-1999$2fast
        650 _2$aNeoplasms$xtherapy.
        650 _7$a诗歌$2cct
        651 _4$aChina
        653 _0$afree$awords
        653 _5$aParis
        656 _7$aSailors$2xyz
        752 __$aChina$bHebei$dBeijing$fHaidian
     """, {
        "m:subject/m:cartographics/*": [
            "Scale 1:50,000", "Transverse Mercator", "(E 1°--E 2°)"],
        "m:subject[m:titleInfo][1]/m:name/m:namePart": ["Shakespeare, William", "1564-1616"],
        "m:subject[m:titleInfo][1]/m:titleInfo": ["Hamlet"],
        "m:subject[m:titleInfo][1]/m:topic": ["Sources"],
        "m:subject[m:name/@type='corporate']/*": ["United Nations", "Africa"],
        "m:subject[@authority='fast']": ["Olympics", "1900-1999"],
        "m:subject[@authority='fast']/m:name/@type": ["conference"],
        "m:subject[m:titleInfo][2]/*": ["Bible|Genesis", "Commentaries"],
        "m:subject[@authority='mesh']": ["Neoplasms|therapy"],
        "m:subject[@authority='cct']/m:topic": ["诗歌"],
        "m:subject[not(@authority)]/m:geographic": ["China", "Paris"],
        "m:subject[not(@authority)]/m:topic": ["free", "words"],
        "m:subject/m:occupation": ["Sailors"],
        "m:subject/m:hierarchicalGeographic/*": ["China", "Hebei", "Beijing", "Haidian"],
     }),
    ("series and hosts", BOOK, """
        490 1_$aLecture notes in physics,$x0075-8450 ;$vv. 12
        830 _0$aLecture notes in physics ;$v12.
        800 1_$aTolkien, J. R. R.$tWorks ;$v3
        773 0_$iIn:$aEditor, A.$tThe host journal$dParis, 1990$gVol. 3, p. 1-9$x1234-5679
        776 08$iOnline version:$tSame$z9780000000002
        787 08$tSomething related
        534 __$pOriginally published:$tThe original$cLondon, 1900$nNote
     """, {
        "m:relatedItem[@type='series'][1]/m:titleInfo/*": ["Lecture notes in physics", "v. 12"],
        "m:relatedItem[@type='series'][1]/m:identifier": ["0075-8450"],
        "m:relatedItem[@type='series'][2]/m:titleInfo/*": ["Lecture notes in physics", "12"],
        "m:relatedItem[@type='series'][3]/m:name/m:namePart": ["Tolkien, J. R. R."],
        "m:relatedItem[@type='host'][@displayLabel='In']/m:titleInfo/m:title": [
            "The host journal"],
        "m:relatedItem[@type='host']/m:name": ["Editor, A."],
        "m:relatedItem[@type='host']/m:part/m:text": ["Vol. 3, p. 1-9"],
        "m:relatedItem[@type='host']/m:identifier[@type='issn']": ["1234-5679"],
        "m:relatedItem[@type='otherFormat']/m:identifier[@type='isbn']": ["9780000000002"],
        "m:relatedItem[not(@type)]/m:titleInfo": ["Something related"],
        "m:relatedItem[@type='original']/m:titleInfo": ["The original"],
     }),
    ("numbers, links and shelves", BOOK, """
        024 7_$a10.1000/182$2doi
        024 2_$aM571100511
        024 3_$a9780000000002
        028 02$a438 953-2$bDeutsche Grammophon
        035 __$a(OCoLC)ocm20819021
        035 __$a(NjP)3076628
        084 __$aI242.4$2clc
        086 0_$aGA 1.13
        080 __$a53
        852 __$aNjP$bGest$hKQK$i.F33
        856 40$3Full text$uhttps://doi.org/10.1000/182$qtext/html
        856 42$uhttps://example.org/about?a=1&b=2$zAbout it
     """, {
        "m:identifier[@type='doi']": ["10.1000/182"],
        "m:identifier[@type='ismn']": ["M571100511"],
        "m:identifier[@type='ean']": ["9780000000002"],
        "m:identifier[@type='issue number']": ["Deutsche Grammophon 438 953-2"],
        "m:identifier[@type='oclc']": ["20819021"],
        "m:identifier[@type='uri']": ["https://doi.org/10.1000/182"],
        "m:classification[@authority='clc']": ["I242.4"],
        "m:classification[@authority='sudocs']": ["GA 1.13"],
        "m:classification[@authority='udc']": ["53"],
        "m:location/m:physicalLocation": ["NjP Gest"],
        "m:location/m:shelfLocator": ["KQK .F33"],
        "m:location/m:url[@usage='primary display'][@displayLabel='Full text']": [
            "https://doi.org/10.1000/182"],
        "m:location/m:url[@note='About it']": ["https://example.org/about?a=1&b=2"],
        "m:physicalDescription/m:internetMediaType": ["text/html"],
     }),
    ("notes of every type", BOOK, """
        500 __$aA general note.
        502 __$bPh.D.$cYale$d1999.
        505 1_$gv. 1.$tFirst /$rA --$tSecond
        506 __$aMembers only.$2x
        511 0_$aAn actor.
        520 3_$aAn abstract.$bMore.
        521 __$aGrades 3-6
        540 __$aCC BY
        541 0_$aA private gift
        561 1_$aFrom a library.
        586 __$aA prize
        590 __$aLocal
     """, {
        "m:note[not(@type)]": ["A general note."],
        "m:note[@type='thesis']": ["Ph.D. Yale 1999."],
        "m:tableOfContents[@displayLabel='Incomplete contents']": [
            "v. 1. First / A -- Second"],
        "m:accessCondition[@type='restriction on access']": ["Members only."],
        "m:accessCondition[@type='use and reproduction']": ["CC BY"],
        "m:note[@type='performers']": ["An actor."],
        "m:abstract[@displayLabel='Abstract']": ["An abstract. More."],
        "m:targetAudience[not(@authority)]": ["Grades 3-6"],
        "m:note[@type='acquisition']": [],
        "m:note[@type='ownership']": ["From a library."],
        "m:note[@type='awards']": ["A prize"],
        "m:note[.='Local']": [],
     }),
    ("an electronic resource", BOOK, """
        007 cr |||||||||||
        008 150101s2015    gw      o     000 0 ger d
        015 __$a15,N33$2dnb
        037 __$b960-1234-00$aST-1
     """, {
        "m:physicalDescription/m:form[@authority='marccategory']": ["electronic resource"],
        "m:physicalDescription/m:form[@authority='marcform']": ["electronic"],
        "m:identifier[@type='national bibliography number']": ["15,N33"],
        "m:identifier[@type='stock number']": ["ST-1"],
     }),
    ("a fragment with unclosed brackets and doubtful dates", BOOK, """
        008 051019q14541457gw            000 0 lat d
        260 __$a[Mainz :$bPrinter,$cca. 1454-1457]
     """, {
        "m:originInfo/m:place/m:placeTerm[@type='text']": ["Mainz"],
        "m:originInfo/m:dateIssued[not(@encoding)]": ["ca. 1454-1457"],
        "m:originInfo/m:dateIssued[@qualifier='questionable'][@point='start']": ["1454"],
        "m:originInfo/m:dateIssued[@qualifier='questionable'][@point='end']": ["1457"],
     }),
]  # fmt: skip


@pytest.mark.parametrize(("leader", "fields", "facts"), [case[1:] for case in CASES],
                         ids=[case[0] for case in CASES])  # fmt: skip
def test_a_record_says_in_mods_what_it_says_in_marc(leader: str, fields: str, facts: Facts) -> None:
    xml = to_mods(marc(leader, fields), MarcFamily.MARC21)
    assert fault("mods", xml) == ""
    paths = {path: values for path, values in facts.items() if not path.startswith("count(")}
    assert facts_of(xml, NAMESPACE, paths) == paths


@pytest.mark.parametrize(
    ("leader", "expected", "attributes"),
    [
        ("00000nam a22", "text", {}),
        ("00000ntm a22", "text", {"manuscript": "yes"}),
        ("00000ncm a22", "notated music", {}),
        ("00000ndc a22", "notated music", {"collection": "yes", "manuscript": "yes"}),
        ("00000nem a22", "cartographic", {}),
        ("00000ngm a22", "moving image", {}),
        ("00000nim a22", "sound recording-nonmusical", {}),
        ("00000njm a22", "sound recording-musical", {}),
        ("00000nkm a22", "still image", {}),
        ("00000nmm a22", "software, multimedia", {}),
        ("00000npc a22", "mixed material", {"collection": "yes"}),
        ("00000nrm a22", "three dimensional object", {}),
    ],
)
def test_the_type_of_resource_is_that_of_the_leader(
    leader: str, expected: str, attributes: dict[str, str]
) -> None:
    xml = to_mods(marc(leader.ljust(20) + "4500", "245 00$ax"), MarcFamily.MARC21)
    assert facts_of(xml, NAMESPACE, {"m:typeOfResource": []})["m:typeOfResource"] == [expected]
    for name in ("manuscript", "collection"):
        found = facts_of(xml, NAMESPACE, {f"m:typeOfResource/@{name}": []})
        assert list(found.values()) == [[attributes[name]] if name in attributes else []]


@pytest.mark.parametrize(
    ("text", "uri"),
    [
        ("https://example.org/a?b=1&c=d#e", "https://example.org/a?b=1&c=d#e"),
        ("https://example.org/a b", "https://example.org/ab"),
        ("https://example.org/?type[3058]=3058", "https://example.org/?type%5B3058%5D=3058"),
        ("https://example.org/#k=1#s=11", "https://example.org/#k=1%23s=11"),
        ("https://example.org/100%", "https://example.org/100%25"),
        ("https://example.org/书", "https://example.org/书"),
        ("http://www.eclac.clouhttp://www.eclac.org", ""),
        ("http://example.org:80/", "http://example.org:80/"),
        ("http://me:x@example.org/", "http://me:x@example.org/"),
        ("urn:isbn:9780000000002", "urn:isbn:9780000000002"),
        ("www.example.org/a:b", "www.example.org/a:b"),
        ("1:2", ""),
        ("", ""),
    ],
)
def test_a_url_is_one_by_the_schema_or_none(text: str, uri: str) -> None:
    assert any_uri(text) == uri
    xml = to_mods(marc(BOOK, f"245 00$ax\n856 40$u{text}"), MarcFamily.MARC21)
    assert fault("mods", xml) == ""
    assert facts_of(xml, NAMESPACE, {"m:location/m:url": []}) == {
        "m:location/m:url": [uri] if uri else []
    }
    paths = {"m:identifier[@type='uri']": []}
    assert list(facts_of(xml, NAMESPACE, paths).values()) == [[uri or text] if text else []]


def test_a_record_that_says_nothing_is_valid_all_the_same() -> None:
    for family in MarcFamily:
        xml = to_mods(marc("00000    a2200000   4500", "999 __$ax"), family)
        assert fault("mods", xml) == ""


def test_controls_and_markup_do_not_break_the_record() -> None:
    fields = "245 10$a<b>&\x01\x08 \ufffe\"']]>$b\x98The \x9crest\x85"
    xml = to_mods(marc(BOOK, fields), MarcFamily.MARC21)
    assert fault("mods", xml) == ""
    found = facts_of(xml, NAMESPACE, {"m:titleInfo/*": []})
    assert found["m:titleInfo/*"] == ["<b>& \ufffd\"']]>", "The rest"]

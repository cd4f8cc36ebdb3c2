"""Coded data of MARC 21 and UNIMARC in the terms that MODS has for them.

Sources: MARC 21 Format for Bibliographic Data (leader, 008); UNIMARC Manual,
Bibliographic Format (leader, 100, 105, 106, 110, relator codes); the MARC genre
terms (marcgt), relator codes (marcrelator) and target audience terms (marctarget).
"""

from __future__ import annotations

# typeOfResource by leader/06, MARC 21 ------------------------------------------------

RESOURCE_TYPES_MARC21 = {
    "a": "text", "t": "text", "c": "notated music", "d": "notated music", "e": "cartographic",
    "f": "cartographic", "g": "moving image", "i": "sound recording-nonmusical",
    "j": "sound recording-musical", "k": "still image", "m": "software, multimedia",
    "o": "mixed material", "p": "mixed material", "r": "three dimensional object",
}  # fmt: skip
MANUSCRIPT_MARC21 = frozenset("dft")

# Which 008 a record has: by leader/06, and for language material by leader/07.
MATERIALS = {
    "c": "music", "d": "music", "i": "music", "j": "music", "e": "map", "f": "map",
    "g": "visual", "k": "visual", "o": "visual", "r": "visual", "m": "file", "p": "mixed",
    "a": "book", "t": "book",
}  # fmt: skip
FORMS_OF_ITEM = {
    "a": "microfilm", "b": "microfiche", "c": "microopaque", "d": "large print", "f": "braille",
    "o": "electronic", "q": "electronic", "s": "electronic", "r": "print",
}  # fmt: skip
# 007/00
CATEGORIES = {
    "a": "map", "c": "electronic resource", "d": "globe", "f": "tactile material",
    "g": "projected graphic", "h": "microform", "k": "nonprojected graphic",
    "m": "motion picture", "o": "kit", "q": "notated music", "r": "remote-sensing image",
    "s": "sound recording", "t": "text", "v": "videorecording",
}  # fmt: skip
AUDIENCES = {
    "a": "preschool", "b": "primary", "c": "pre-adolescent", "d": "adolescent", "e": "adult",
    "f": "specialized", "g": "general", "j": "juvenile",
}  # fmt: skip
FREQUENCIES = {
    "a": "Annual", "b": "Bimonthly", "c": "Semiweekly", "d": "Daily", "e": "Biweekly",
    "f": "Semiannual", "g": "Biennial", "h": "Triennial", "i": "Three times a week",
    "j": "Three times a month", "k": "Continuously updated", "m": "Monthly", "q": "Quarterly",
    "s": "Semimonthly", "t": "Three times a year", "w": "Weekly",
}  # fmt: skip
CONTENTS = {
    "a": "abstract or summary", "b": "bibliography", "c": "catalog", "d": "dictionary",
    "e": "encyclopedia", "f": "handbook", "g": "legal article", "i": "index", "j": "patent",
    "k": "discography", "l": "legislation", "m": "thesis", "n": "survey of literature",
    "o": "review", "p": "programmed text", "q": "filmography", "r": "directory",
    "s": "statistics", "t": "technical report", "u": "standard or specification",
    "v": "legal case and case notes", "w": "law report or digest", "y": "yearbook",
    "z": "treaty", "2": "offprint", "5": "calendar", "6": "comic or graphic novel",
}  # fmt: skip
LITERARY_FORMS = {
    "1": "fiction", "d": "drama", "e": "essay", "f": "novel", "h": "humor, satire",
    "i": "letter", "j": "short story", "p": "poetry", "s": "speech",
}  # fmt: skip
SERIAL_TYPES = {
    "d": "database", "l": "loose-leaf", "m": "series", "n": "newspaper", "p": "periodical",
    "w": "web site",
}  # fmt: skip
MAP_TYPES = {"a": "map", "b": "series", "c": "series", "d": "globe", "e": "atlas"}
VISUAL_TYPES = {
    "a": "art original", "b": "kit", "c": "art reproduction", "d": "diorama", "f": "filmstrip",
    "g": "game", "i": "picture", "k": "graphic", "l": "technical drawing",
    "m": "motion picture", "n": "chart", "o": "flash card", "p": "microscope slide",
    "q": "model", "r": "realia", "s": "slide", "t": "transparency", "v": "videorecording",
    "w": "toy",
}  # fmt: skip
FILE_TYPES = {
    "a": "numeric data", "e": "database", "f": "font", "g": "game",
    "j": "online system or service",
}  # fmt: skip
SUBJECT_AUTHORITIES = {
    "0": "lcsh", "1": "lcshac", "2": "mesh", "3": "nal", "5": "csh", "6": "rvm",
}  # fmt: skip
# ISO 15924 for the script codes of $6; "$1" stands for three scripts.
SCRIPTS = {"(3": "Arab", "(4": "Arab", "(B": "Latn", "(N": "Cyrl", "(Q": "Cyrl", "(S": "Grek",
           "(2": "Hebr"}  # fmt: skip

# UNIMARC, CNMARC ----------------------------------------------------------------------

RESOURCE_TYPES_UNIMARC = {
    "a": "text", "b": "text", "c": "notated music", "d": "notated music", "e": "cartographic",
    "f": "cartographic", "g": "moving image", "i": "sound recording-nonmusical",
    "j": "sound recording-musical", "k": "still image", "l": "software, multimedia",
    "m": "mixed material", "r": "three dimensional object",
    "u": "still image", "v": "text",  # CNMARC: rubbings, rare books
}  # fmt: skip
MANUSCRIPT_UNIMARC = frozenset("bdf")
# 100/17-19
AUDIENCES_UNIMARC = {
    "a": "juvenile", "b": "preschool", "c": "primary", "d": "pre-adolescent",
    "e": "adolescent", "k": "adult", "m": "general",
}  # fmt: skip
# 100/34-35, ISO 15924
SCRIPTS_UNIMARC = {
    "ba": "Latn", "ca": "Cyrl", "da": "Jpan", "db": "Jpan", "dc": "Hrkt", "ea": "Hani",
    "fa": "Arab", "ga": "Grek", "ha": "Hebr", "ia": "Thai", "ja": "Deva", "ka": "Kore",
    "la": "Taml", "ma": "Geor", "mb": "Armn",
}  # fmt: skip
# 105/4-7
CONTENTS_UNIMARC = {
    "a": "bibliography", "b": "catalog", "c": "index", "d": "abstract or summary",
    "e": "dictionary", "f": "encyclopedia", "g": "directory", "i": "statistics",
    "j": "programmed text", "k": "patent", "l": "standard or specification", "m": "thesis",
    "n": "legislation", "o": "numeric data", "p": "technical report",
    "r": "survey of literature", "s": "treaty", "t": "comic or graphic novel", "v": "thesis",
}  # fmt: skip
# 105/11
LITERARY_FORMS_UNIMARC = {
    "a": "fiction", "b": "drama", "c": "essay", "d": "humor, satire", "e": "letter",
    "f": "short story", "g": "poetry", "h": "speech",
}  # fmt: skip
# 106/0
FORMS_UNIMARC = {
    "d": "large print", "f": "braille", "g": "microopaque", "r": "print", "s": "electronic",
    "t": "microform",
}  # fmt: skip
# 110/0 and 110/1
SERIAL_TYPES_UNIMARC = {
    "a": "periodical", "b": "series", "c": "newspaper", "e": "loose-leaf", "f": "database",
    "g": "web site",
}  # fmt: skip
FREQUENCIES_UNIMARC = {
    "a": "Daily", "b": "Semiweekly", "c": "Weekly", "d": "Biweekly", "e": "Semimonthly",
    "f": "Monthly", "g": "Bimonthly", "h": "Quarterly", "i": "Three times a year",
    "j": "Semiannual", "k": "Annual", "l": "Biennial", "m": "Triennial",
    "n": "Three times a week", "o": "Three times a month",
}  # fmt: skip

# Relator codes of UNIMARC as those of MARC 21.
RELATORS = {
    "005": "act", "010": "adp", "020": "ann", "030": "arr", "040": "art", "050": "asg",
    "060": "asn", "065": "auc", "070": "aut", "072": "aqt", "075": "aft", "080": "aui",
    "090": "aud", "100": "ant", "110": "bnd", "120": "bdd", "130": "bkd", "140": "bjd",
    "150": "bpd", "160": "bsl", "170": "cll", "180": "ctg", "190": "cns", "200": "chr",
    "205": "ctb", "210": "cmm", "212": "cwt", "220": "com", "230": "cmp", "240": "cmt",
    "245": "ccp", "250": "cnd", "255": "csp", "260": "cph", "270": "crr", "273": "cur",
    "275": "dnc", "280": "dte", "290": "dto", "295": "dgg", "300": "drt", "305": "dis",
    "310": "dst", "320": "dnr", "330": "dub", "340": "edt", "350": "egr", "360": "etr",
    "365": "exp", "370": "flm", "380": "frg", "390": "fmo", "400": "fnd", "420": "hnr",
    "430": "ilu", "440": "ill", "450": "ins", "460": "ive", "470": "ivr", "480": "lbt",
    "490": "lse", "500": "lso", "510": "ltg", "520": "lyr", "530": "mte", "540": "mon",
    "545": "mus", "550": "nrt", "555": "opn", "557": "orm", "560": "org", "570": "oth",
    "580": "ppm", "582": "pta", "590": "prf", "595": "res", "600": "pht", "610": "prt",
    "620": "prm", "630": "pro", "635": "prg", "640": "pfr", "650": "pbl", "651": "pbd",
    "655": "ppt", "660": "rcp", "670": "rce", "673": "rth", "675": "rev", "677": "rtm",
    "680": "rbr", "690": "aus", "695": "sad", "700": "scr", "705": "scl", "710": "sec",
    "720": "sgn", "721": "sng", "723": "spn", "725": "stn", "727": "ths", "730": "trl",
    "740": "tyd", "750": "tyg", "755": "voc", "760": "wde", "770": "wam",
}  # fmt: skip
# The roles of Chinese title pages that mean one relator alone.
CHINESE_RELATORS = {
    "著": "aut", "撰": "aut", "作": "aut", "著者": "aut", "作者": "aut", "原著": "aut",
    "撰文": "aut", "编": "edt", "编辑": "edt", "主编": "edt", "副主编": "edt", "编者": "edt",
    "编纂": "edt", "纂修": "edt", "改编": "adp", "译": "trl", "翻译": "trl",
    "译者": "trl", "绘": "ill", "绘画": "ill", "绘图": "ill", "插图": "ill", "摄影": "pht",
    "摄": "pht", "作曲": "cmp", "作词": "lyr", "导演": "drt", "主演": "act", "演唱": "sng",
    "演奏": "prf", "指挥": "cnd", "编剧": "aus",
    "出版": "pbl", "发行": "dst", "主办": "orm",
}  # fmt: skip

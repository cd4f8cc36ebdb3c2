"""One refusal in the words of the other protocol: Bib-1 to SRU and back."""

from __future__ import annotations

from protocol.diagnostic import Bib1, Diagnostic, SruDiagnostic, SruFault


def to_sru(diagnostic: Diagnostic) -> SruFault:
    """The SRU diagnostic that tells an SRU client the same.

    Conditions without a counterpart become 1 (general system error) with the
    Bib-1 number in front of the details, so that nothing is lost in a log.
    """
    condition = _BIB1_TO_SRU.get(diagnostic.condition)
    if condition is None:
        details = f"bib-1 {diagnostic.condition.value} {diagnostic.condition.message}"
        if diagnostic.addinfo:
            details = f"{details}: {diagnostic.addinfo}"
        return SruFault(SruDiagnostic.GENERAL_SYSTEM_ERROR, details)
    return SruFault(condition, diagnostic.addinfo)


def to_bib1(fault: SruFault) -> Diagnostic:
    """The Bib-1 diagnostic that tells a Z39.50 client the same (type-104 queries)."""
    condition = _SRU_TO_BIB1.get(fault.condition, Bib1.UNSPECIFIED_ERROR)
    return Diagnostic(condition, fault.details or fault.message)


# Number pairs: a reader compares them with the two published lists more easily
# than names. Each Bib-1 condition has one counterpart, the most exact.
_PAIRS = """
1:1 2:2 3:48 4:35 5:12 6:38 7:30 8:32 9:29 10:10 11:12 12:60 13:61 14:63 15:68 16:70 17:70
18:50 19:55 20:56 21:52 22:50 23:48 24:66 25:66 26:66 27:51 28:52 29:52 30:51 31:57 32:58 33:59
101:3 102:3 103:68 104:68 105:3 106:66 107:11 108:10 109:235 110:37 111:48 112:52 113:48 114:16
115:24 116:16 117:19 118:22 119:32 120:28 121:15 122:31 123:22 124:24 125:36 126:24 127:36 128:51
129:39 130:39 131:40 132:42 201:39 202:41 203:43
205:6 206:6 207:82 208:51 209:80 210:80 211:84 212:85 213:92 214:82 215:91 216:92 217:70
222:3 223:3 227:67 228:10 229:36 230:83 231:86 232:16 233:120 234:30 235:235 236:236 237:93
238:67 239:66 240:2 241:120 242:70 244:66 245:48 246:48 247:48
1010:3 1011:3 1012:3 1013:3 1014:3 1015:3 1016:3 1017:3 1018:2 1019:2 1020:2 1021:3 1022:3 1023:3
1024:48 1025:4 1026:64 1028:65 1029:121 1056:16 1066:66 1069:66 1070:69 1071:7 1072:36 1073:16
1074:2
"""

# Where several Bib-1 conditions lead to one of SRU, or none does, this is the way back.
_BACK = """
1:1 2:2 3:101 4:1025 5:100 6:100 7:100 8:100 10:108 11:107 12:11 13:108 14:108 15:121 16:114 17:123
18:123 19:117 20:117 21:123 22:123 23:11 24:123 25:108 26:108 27:125 28:120 29:9 30:7 31:119 32:119
33:201 34:201 35:4 36:127 37:110 38:6 39:129 40:131 41:202 42:132 43:203 44:201 45:108 46:110
47:100 48:3 49:120 50:18 51:30 52:28 53:18 54:3 55:19 56:20 57:31 58:32 59:33 60:12 61:13 62:13
63:14 64:1026 65:1028 66:1066 67:238 68:15 69:1070 70:17 71:239 80:209 81:210 82:207 83:230 84:211
85:212 86:231 87:207 88:207 89:207 90:214 91:215 92:213 93:213 100:1007 120:233 121:1029
235:109 236:236
"""


def _pairs(text: str) -> list[tuple[int, int]]:
    return [(int(left), int(right)) for left, right in (pair.split(":") for pair in text.split())]


_BIB1_TO_SRU = {Bib1(left): SruDiagnostic(right) for left, right in _pairs(_PAIRS)}
_SRU_TO_BIB1 = {SruDiagnostic(left): Bib1(right) for left, right in _pairs(_BACK)}

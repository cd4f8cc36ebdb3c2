"""Who may do what: one table of operations, and one function that decides.

Both protocols, the API, the pages and the ISBN jobs ask `refusal`; what is asked of
a request at every turn (`Principal.may_search`, `may_download`) says the same. The
words of an answer are made here, and how each protocol writes it down: as a Bib-1
diagnostic, as one of SRU, as an HTTP status.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, Flag, auto

from protocol import diagnostic_map
from protocol.diagnostic import Bib1, Diagnostic, SruFault
from protocol.frozen import frozen
from server.access_control.principal import Principal


class Operation(Enum):
    """What somebody may want to do; the value is its name in documents and logs."""

    SEARCH = "search"
    SCAN = "scan"
    BRIEF = "brief"
    DOWNLOAD = "download"
    BATCH = "batch"
    UPLOAD_INSERT = "upload.insert"
    UPLOAD_REPLACE = "upload.replace"
    UPLOAD_DELETE = "upload.delete"
    COVER_UPLOAD = "cover.upload"
    RECORD_HISTORY = "record.history"
    HOLDINGS_READ = "holdings.read"
    HOLDINGS_WRITE = "holdings.write"
    QUOTA_READ = "quota.read"
    USAGE_READ = "usage.read"
    LEDGER_READ = "ledger.read"
    STATEMENT_READ = "statement.read"
    CREDIT_READ = "credit.read"
    TARIFF_READ = "tariff.read"
    PROFILE_READ = "profile.read"
    PROFILE_WRITE = "profile.write"
    PASSWORD_CHANGE = "password.change"  # noqa: S105
    ACCOUNTS_MANAGE = "accounts.manage"
    KEYS_MANAGE = "keys.manage"
    CERTIFICATES_READ = "certificates.read"
    AUDIT_READ = "audit.read"
    AUDIT_READ_ALL = "audit.read_all"
    MEMBERS_READ = "members.read"
    MEMBERS_CHANGE = "members.change"
    MEMBERS_STEP = "members.step"
    CERTIFICATES_ISSUE = "certificates.issue"
    CREDIT_DECIDE = "credit.decide"
    SETTLEMENT_DRAFT = "settlement.draft"
    SETTLEMENT_FINALISE = "settlement.finalise"
    TARIFF_CHANGE = "tariff.change"
    DUPLICATES_READ = "duplicates.read"
    DUPLICATES_MERGE = "duplicates.merge"
    STATUS_READ = "status.read"
    METRICS_READ = "metrics.read"


class Who(Flag):
    """Kinds of those who ask. People have a password or certificate, keys have neither."""

    ANONYMOUS = auto()
    MEMBER = auto()
    OPERATOR = auto()


ANYONE = Who.ANONYMOUS | Who.MEMBER | Who.OPERATOR
SIGNED_IN = Who.MEMBER | Who.OPERATOR


class Grant(Enum):
    """Which of the databases granted to a member an operation is held to."""

    SEARCH = "search"
    DOWNLOAD = "download"


@frozen
class Rule:
    """Who may carry out an operation, and in what words it is spoken of.

    `right` is needed by whoever asks, operators too; "" for none. A member does
    what is of an institution (`own`) for its own alone; operators for any.
    `people`: not with an API key, nor for being at an address.
    """

    english: str
    chinese: str
    who: Who
    right: str = ""
    own: bool = False
    grant: Grant | None = None
    people: bool = False


def _of_records(
    english: str, chinese: str, who: Who, right: str, grant: Grant | None = None
) -> Rule:
    return Rule(english, chinese, who, right, grant=grant)


RULES: Mapping[Operation, Rule] = {
    # The catalogue
    Operation.SEARCH: _of_records("search", "检索", ANYONE, "search", Grant.SEARCH),
    Operation.SCAN: _of_records("scan indexes", "浏览索引", ANYONE, "search", Grant.SEARCH),
    Operation.BRIEF: _of_records("see brief records", "查看简要记录", ANYONE, "search",
                                 Grant.SEARCH),
    Operation.DOWNLOAD: _of_records("download full records", "下载完整记录", Who.MEMBER,
                                    "download", Grant.DOWNLOAD),
    Operation.BATCH: Rule("run ISBN batch jobs", "运行 ISBN 批量任务", Who.MEMBER, "download",
                          own=True, grant=Grant.DOWNLOAD),
    Operation.UPLOAD_INSERT: _of_records("upload records", "上传记录", SIGNED_IN, "upload"),
    Operation.UPLOAD_REPLACE: Rule("correct records", "修改记录", SIGNED_IN, "upload", own=True),
    Operation.UPLOAD_DELETE: Rule("delete records", "删除记录", SIGNED_IN, "upload", own=True),
    Operation.COVER_UPLOAD: _of_records("upload cover images", "上传封面", SIGNED_IN, "upload"),
    Operation.RECORD_HISTORY: _of_records("see earlier versions of records", "查看记录历史版本",
                                          SIGNED_IN, "upload"),
    # Of an institution
    Operation.HOLDINGS_READ: Rule("list holdings", "查看馆藏", SIGNED_IN, "search", own=True),
    Operation.HOLDINGS_WRITE: Rule("change holdings", "提交馆藏", Who.MEMBER, "holdings",
                                   own=True),
    Operation.QUOTA_READ: Rule("see the running count and estimate", "查看当前用量与估算",
                               SIGNED_IN, own=True),
    Operation.USAGE_READ: Rule("see usage reports", "查看使用统计", SIGNED_IN, "manager", own=True),
    Operation.LEDGER_READ: Rule("see the ledger", "查看明细账", SIGNED_IN, "manager", own=True),
    Operation.STATEMENT_READ: Rule("see statements", "查看年度账单", SIGNED_IN, "manager",
                                   own=True),
    Operation.CREDIT_READ: Rule("see credit for uploads", "查看上传奖励", SIGNED_IN, "manager",
                                own=True),
    Operation.PROFILE_READ: Rule("see an institution's particulars", "查看机构信息", SIGNED_IN,
                                 own=True),
    Operation.PROFILE_WRITE: Rule("change an institution's contact", "修改机构联系方式", SIGNED_IN,
                                  "manager", own=True),
    Operation.ACCOUNTS_MANAGE: Rule("manage accounts", "管理账号", SIGNED_IN, "manager", own=True),
    Operation.KEYS_MANAGE: Rule("manage API keys", "管理 API 密钥", SIGNED_IN, "manager", own=True),
    Operation.CERTIFICATES_READ: Rule("see cataloguers' certificates", "查看编目员证书", SIGNED_IN,
                                      "manager", own=True),
    Operation.AUDIT_READ: Rule("see what was changed at an institution", "查看机构变更日志",
                               SIGNED_IN, "manager", own=True),
    # Of whoever asks
    Operation.TARIFF_READ: Rule("see the tariff", "查看价目", SIGNED_IN),
    Operation.PASSWORD_CHANGE: Rule("change one's own password", "修改本人密码", SIGNED_IN,
                                    people=True),
    # Of the consortium
    Operation.AUDIT_READ_ALL: Rule("see all that was changed", "查看全部变更日志", Who.OPERATOR),
    Operation.MEMBERS_READ: Rule("list members", "查看成员列表", Who.OPERATOR),
    Operation.MEMBERS_CHANGE: Rule("change members", "修改成员信息", Who.OPERATOR, "manager"),
    Operation.MEMBERS_STEP: Rule("admit, suspend and end members", "接纳、暂停或终止成员",
                                 Who.OPERATOR, "manager"),
    Operation.CERTIFICATES_ISSUE: Rule("issue and revoke certificates", "颁发与吊销证书",
                                       Who.OPERATOR, "manager"),
    Operation.CREDIT_DECIDE: Rule("decide on credit", "审核上传奖励", Who.OPERATOR, "manager"),
    Operation.SETTLEMENT_DRAFT: Rule("draft the settlement", "编制年度结算", Who.OPERATOR,
                                     "manager"),
    Operation.SETTLEMENT_FINALISE: Rule("finalise the settlement", "确定年度结算", Who.OPERATOR,
                                        "manager"),
    Operation.TARIFF_CHANGE: Rule("change the tariff", "修改价目", Who.OPERATOR, "manager"),
    Operation.DUPLICATES_READ: Rule("list duplicates", "查看重复记录", Who.OPERATOR),
    Operation.DUPLICATES_MERGE: Rule("merge duplicates", "合并重复记录", Who.OPERATOR, "upload"),
    Operation.STATUS_READ: Rule("see the status page", "查看运行状态", Who.OPERATOR),
    Operation.METRICS_READ: Rule("read metrics", "读取监控指标", Who.OPERATOR),
}  # fmt: skip


class Why(Enum):
    """Why somebody may not."""

    SIGN_IN = "nobody has signed in"
    NO_RIGHT = "the right is missing"
    MEMBERS_ONLY = "it is done for an institution, and the account has none"
    OPERATORS_ONLY = "it is for operators of the consortium"
    NOT_OWN = "it is another institution's"
    PEOPLE_ONLY = "it is for who has signed in with a password or certificate"
    DATABASE = "the database is not granted"


@frozen
class Refusal:
    """Why an operation may not be carried out, in English and in Chinese.

    `right` is the one that is missing, "" where no right would help; `database`
    the one that is not granted, as it was asked for.
    """

    why: Why
    operation: Operation
    english: str
    chinese: str
    right: str = ""
    database: str = ""

    @property
    def text(self) -> str:
        """Both languages in a line, where nobody knows which the reader has."""
        return f"{self.english} / {self.chinese}"


def refusal(
    principal: Principal, operation: Operation, institution: str = "", database: str = ""
) -> Refusal | None:
    """Why `principal` may not carry out `operation`; None: it may.

    `institution` is whose the matter is, by its code, where a rule is `own`; ""
    is the principal's own. `database` is a database by its name, where one is
    concerned.
    """
    rule = RULES[operation]
    why = _why_not(principal, rule, institution, database)
    if why is None:
        return None
    english, chinese = _in_words(why, principal, rule, institution, database)
    return Refusal(
        why, operation, english, chinese, rule.right if why is Why.NO_RIGHT else "",
        database if why is Why.DATABASE else "",
    )  # fmt: skip


def _why_not(principal: Principal, rule: Rule, institution: str, database: str) -> Why | None:
    if principal.anonymous:
        if Who.ANONYMOUS not in rule.who:
            return Why.SIGN_IN
    elif principal.operator:
        if Who.OPERATOR not in rule.who:
            return Why.MEMBERS_ONLY
    elif Who.MEMBER not in rule.who:
        return Why.OPERATORS_ONLY
    elif not principal.institution and (rule.own or rule.who is Who.MEMBER):
        return Why.MEMBERS_ONLY
    if rule.right and rule.right not in principal.rights:
        return Why.NO_RIGHT
    if rule.people and (principal.is_key or principal.by_address):
        return Why.PEOPLE_ONLY
    is_others = institution and institution.casefold() != principal.institution.casefold()
    if rule.own and is_others and not principal.operator:
        return Why.NOT_OWN
    if rule.grant is not None and database and not is_granted(principal, rule.grant, database):
        return Why.DATABASE
    return None


def is_granted(principal: Principal, grant: Grant, database: str) -> bool:
    """Whether a database, by its name, is among those granted."""
    granted = principal.search_in if grant is Grant.SEARCH else principal.download_from
    return granted is None or database in granted


SIGN_IN_HINT = (
    "sign in with a member's account to receive full records; "
    "in Z39.50 send user/password at Init, in SRU use HTTP Basic or an API key"
)
SIGN_IN_HINT_CHINESE = (
    "下载完整记录请用成员馆账号登录：Z39.50 在 Init 中发送用户名/密码，"
    "SRU 使用 HTTP Basic 或 API 密钥"
)


def _in_words(
    why: Why, principal: Principal, rule: Rule, institution: str, database: str
) -> tuple[str, str]:
    name = principal.account
    match why:
        case Why.SIGN_IN | Why.MEMBERS_ONLY if rule is RULES[Operation.DOWNLOAD]:
            return SIGN_IN_HINT, SIGN_IN_HINT_CHINESE
        case Why.SIGN_IN:
            return f"sign in to {rule.english}", f"请先登录再{rule.chinese}"
        case Why.NO_RIGHT:
            return (
                f"{name or 'anonymous'} has no right to {rule.english}: '{rule.right}' is missing",
                f"账号 {name or '匿名用户'} 无权{rule.chinese}，缺少权限 {rule.right}",
            )
        case Why.MEMBERS_ONLY:
            return (
                f"{name} belongs to no institution: accounts of members may {rule.english}",
                f"账号 {name} 不属于任何成员馆，只有成员馆账号可以{rule.chinese}",
            )
        case Why.OPERATORS_ONLY:
            return (
                f"only operators of the consortium may {rule.english}",
                f"只有联合目录管理方可以{rule.chinese}",
            )
        case Why.NOT_OWN:
            return (
                f"{name} may {rule.english} of {principal.institution}, not of {institution}",
                f"账号 {name} 只能对 {principal.institution} {rule.chinese}，"
                f"不能对 {institution} 进行此操作",
            )
        case Why.PEOPLE_ONLY:
            return (
                f"sign in with a password to {rule.english}: a key or an address is not enough",
                f"请用密码登录后再{rule.chinese}，API 密钥或 IP 地址登录不能进行此操作",
            )
        case Why.DATABASE:
            return (
                f"{database}: {name or 'anonymous'} may not {rule.english} in this database",
                f"{database}：账号 {name or '匿名用户'} 不能在此数据库中{rule.chinese}",
            )


# How each protocol writes it down

_UPLOADS = (Operation.UPLOAD_INSERT, Operation.UPLOAD_REPLACE, Operation.UPLOAD_DELETE)


def to_bib1(refused: Refusal) -> Diagnostic:
    """As a Bib-1 diagnostic; its additional information begins with the database, if it is one."""
    match refused.operation:
        case Operation.DOWNLOAD if refused.why is not Why.DATABASE:
            condition = Bib1.SYNTAX_NOT_AUTHORISED
        case Operation.UPLOAD_REPLACE | Operation.UPLOAD_DELETE if refused.why is Why.NOT_OWN:
            condition = Bib1.ES_CANNOT_MODIFY
        case operation if operation in _UPLOADS or operation is Operation.HOLDINGS_WRITE:
            condition = Bib1.ES_ID_NOT_AUTHORISED
        case _:
            condition = Bib1.DATABASE_ACCESS_DENIED
    return Diagnostic(condition, refused.text)


def to_sru(refused: Refusal) -> SruFault:
    """As a diagnostic of SRU, in the words of the other protocol."""
    return diagnostic_map.to_sru(to_bib1(refused))


def http_status(refused: Refusal) -> int:
    """401 where signing in would help, with a challenge; 403 where it would not."""
    return 401 if refused.why is Why.SIGN_IN else 403

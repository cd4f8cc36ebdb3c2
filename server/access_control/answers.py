"""Why somebody may not come in: each reason with its own Bib-1 condition, in two languages.

An unknown account and a wrong password are one and the same answer, given after the
same time. What is told of a membership is told only to who knows a password of it.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

from protocol.diagnostic import Bib1, Diagnostic
from store.members import Institution


@dataclass(frozen=True, slots=True)
class Paused(Diagnostic):
    """Refused for a while: `retry_s` whole seconds."""

    retry_s: int = 0


LOGIN_NEEDED = Diagnostic(
    Bib1.BAD_USER_ID, "this server needs an account and its password / 本服务器需要账号和密码"
)
MALFORMED = Diagnostic(
    Bib1.BAD_USER_ID,
    "send HTTP Basic credentials in UTF-8, or an API key as Bearer"
    " / 请以 UTF-8 编码发送 HTTP Basic 认证信息，或以 Bearer 方式发送 API 密钥",
)
SEVERAL = Diagnostic(
    Bib1.BAD_USER_ID, "several credentials were sent; send one / 收到多个认证信息，请只发送一个"
)
UNKNOWN_KEY = Diagnostic(
    Bib1.BAD_USER_ID, "the API key is not known or was revoked / API 密钥不存在或已吊销"
)
UNREADABLE = Diagnostic(
    Bib1.AUTHENTICATION_SYSTEM_ERROR,
    "accounts cannot be read at present; try again later / 暂时无法读取账号，请稍后重试",
)


def wrong_login(name: str) -> Diagnostic:
    return Diagnostic(
        Bib1.BAD_USER_ID_OR_PASSWORD,
        f"{name}: unknown account or wrong password / 账号不存在或密码错误",
    )


def no_account(name: str) -> Diagnostic:
    """For who is known by something else than a password, which names no account."""
    return Diagnostic(Bib1.BAD_USER_ID, f"{name}: there is no such account / 账号不存在")


def paused(pause_s: float) -> Paused:
    retry_s = math.ceil(pause_s)
    return Paused(
        Bib1.TEMPORARILY_UNAVAILABLE,
        f"too many failed logins; try again in {retry_s} s"
        f" / 登录失败次数过多，请在 {retry_s} 秒后重试",
        retry_s,
    )


def account_gone(name: str) -> Diagnostic:
    return Diagnostic(Bib1.ACCOUNT_EXPIRED, f"the account {name} is no more / 账号 {name} 已注销")


def rights_changed(name: str) -> Diagnostic:
    return Diagnostic(
        Bib1.ACCOUNT_EXPIRED,
        f"the rights of {name} have changed; sign in again / 账号 {name} 的权限已变更，请重新登录",
    )


def databases_changed(name: str) -> Diagnostic:
    return Diagnostic(
        Bib1.ACCOUNT_EXPIRED,
        f"the databases granted to {name} have changed; sign in again"
        f" / 账号 {name} 可用的数据库已变更，请重新登录",
    )


def blocked(code: str, address: str) -> Diagnostic:
    return Diagnostic(
        Bib1.BLOCKED_NETWORK_ADDRESS,
        f"{address}: accounts of {code} may come from its own addresses alone"
        f" / {code} 的账号只能从其登记的 IP 地址范围登录",
    )


def address_changed(address: str) -> Diagnostic:
    return Diagnostic(
        Bib1.BLOCKED_NETWORK_ADDRESS,
        f"{address} no longer signs in without a password / IP 地址 {address} 不再享有免密码登录",
    )


def too_many_sessions(name: str, sessions_max: int) -> Diagnostic:
    """`name` is an account or an institution."""
    return Diagnostic(
        Bib1.TOO_MANY_SESSIONS_FOR_USER,
        f"{name} has {sessions_max} sessions, as many as it may have at a time; close one first"
        f" / {name} 同时在线会话数已达上限 {sessions_max}，请先关闭其他会话",
    )


# What follows "the membership is", and the same in Chinese.
_CLOSED = {
    "registered": ("not signed yet", "尚未签约"),
    "signed": ("not activated yet", "尚未激活"),
    "suspended": ("suspended", "已暂停"),
    "ended": ("ended", "已终止"),
}


def inactive(institution: Institution) -> Diagnostic | None:
    """Why nobody of the institution may come in; None: it is active, or only warned."""
    now = institution.at(time.time_ns() // 1_000) if institution.ends_us else institution
    if now.is_open:
        return None
    state, chinese = _CLOSED[now.status]
    because = f": {now.reason}" if now.reason else ""
    return Diagnostic(
        Bib1.ACCOUNT_EXPIRED,
        f"the membership of {now.code} is {state}{because}; ask the consortium's operators"
        f" / {now.code} 的成员资格{chinese}，请与联合目录管理方联系",
    )

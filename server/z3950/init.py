"""Init: who the client is and what both sides can do (Z39.50-2003 §3.2.1)."""

from __future__ import annotations

from dataclasses import dataclass

from protocol import apdu, user_information
from protocol.diagnostic import Bib1, Diagnostic
from server import VERSION
from server.access_control import answers
from server.access_control.access import Principal
from server.access_control.sessions import SessionInfo
from server.log import Log
from server.service import Service
from server.z3950.charsets import UNSETTLED, Charsets, place_answer, settle

log = Log("lianmu.z3950")

OPTIONS = frozenset(
    {
        apdu.Option.SEARCH,
        apdu.Option.PRESENT,
        apdu.Option.DEL_SET,
        apdu.Option.SCAN,
        apdu.Option.SORT,
        apdu.Option.RESOURCE_REPORT,
        apdu.Option.TRIGGER_RESOURCE_CTRL,
        apdu.Option.RESOURCE_CTRL,
        apdu.Option.EXTENDED_SERVICES,
        apdu.Option.LEVEL_1_SEGMENTATION,
        apdu.Option.LEVEL_2_SEGMENTATION,
        apdu.Option.NAMED_RESULT_SETS,
        apdu.Option.RESULT_COUNT,
        apdu.Option.QUERY_TYPE_104,
        apdu.Option.STRING_SCHEMA,
    }
)
# Versions 1 and 2 are the same protocol; who speaks 2 says both (§3.2.1.1.1).
VERSIONS = frozenset(apdu.ProtocolVersion)
SPOKEN = VERSIONS - {apdu.ProtocolVersion.VERSION_1}
MESSAGE_SIZE_BYTES_MIN = 1024


@dataclass(frozen=True, slots=True)
class Negotiated:
    """What Init settled for the rest of the association; sizes in octets.

    `segmentation_level` is 0 where a response to Present is one message.
    """

    preferred_message_size: int = 1 << 20
    exceptional_record_size: int = 1 << 20
    segmentation_level: int = 0
    counts_sorted: bool = False  # option resultCount: a response to Sort counts its set
    charsets: Charsets = UNSETTLED


@dataclass(frozen=True, slots=True)
class InitResult:
    """`principal` is None when the association is refused."""

    response: apdu.InitializeResponse
    principal: Principal | None
    negotiated: Negotiated


async def negotiate(
    service: Service, request: apdu.InitializeRequest, info: SessionInfo
) -> InitResult:
    """Answer an Init request."""
    z3950 = service.config.z3950
    principal: Principal | Diagnostic
    if not request.protocol_version & SPOKEN:
        principal = Diagnostic(
            Bib1.UNSPECIFIED_ERROR,
            "versions 2 and 3 of Z39.50 are spoken here / 本服务器支持 Z39.50 第 2、3 版",
        )
    elif len(service.sessions) > z3950.associations_max:
        principal = Diagnostic(
            Bib1.TEMPORARILY_OUT_OF_RESOURCES,
            "too many associations; try again later / 连接数过多，请稍后重试",
        )
    else:
        principal = await _authenticate(service, request.id_authentication, info)
        if isinstance(principal, Principal):
            principal = _within_limits(service, principal, info)
    refusal = principal if isinstance(principal, Diagnostic) else None
    pinned = principal.charset if isinstance(principal, Principal) else ""
    charsets = settle(request, pinned, z3950.term_charsets)
    user_information_field: apdu.External | None = None
    other_info: apdu.OtherInformation = ()
    options = request.options & OPTIONS
    if charsets.response is not None:
        user_information_field, other_info = place_answer(request, charsets.response)
        # Bit 17 says that a negotiation record is in this response.
        options |= request.options & {apdu.Option.NEGOTIATION_MODEL}
    negotiated = Negotiated(
        _size(request.preferred_message_size, z3950.apdu_size_bytes_max),
        _size(
            max(request.exceptional_record_size, request.preferred_message_size)
            if request.exceptional_record_size and request.preferred_message_size
            else 0,
            z3950.apdu_size_bytes_max,
        ),
        _segmentation_level(request, options),
        apdu.Option.RESULT_COUNT in request.options,
        charsets.charsets,
    )
    if refusal is not None:
        service.counting.diagnosed(refusal.condition)
        log.info(
            "association refused",
            address=info.address,
            condition=int(refusal.condition),
            reason=refusal.addinfo,
        )
    response = apdu.InitializeResponse(
        reference_id=request.reference_id,
        protocol_version=request.protocol_version & VERSIONS or VERSIONS,
        options=options,
        preferred_message_size=negotiated.preferred_message_size,
        exceptional_record_size=negotiated.exceptional_record_size,
        result=refusal is None,
        implementation_id="Lianmu",
        implementation_name="Lianmu union catalogue",
        implementation_version=VERSION,
        user_information_field=_diagnostic(refusal) or user_information_field,
        other_info=other_info,
    )
    return InitResult(
        response, None if isinstance(principal, Diagnostic) else principal, negotiated
    )


def _diagnostic(refusal: Diagnostic | None) -> apdu.External | None:
    if refusal is None:
        return None
    return user_information.init_diagnostic(apdu.DefaultDiagFormat.of(refusal))


def _segmentation_level(request: apdu.InitializeRequest, options: frozenset[apdu.Option]) -> int:
    """The Segment APDU is of version 3 (Z39.50-2003 §3.2.3.2)."""
    if apdu.ProtocolVersion.VERSION_3 not in request.protocol_version:
        return 0
    if apdu.Option.LEVEL_2_SEGMENTATION in options:
        return 2
    return 1 if apdu.Option.LEVEL_1_SEGMENTATION in options else 0


def _size(wished: int, bound: int) -> int:
    # 0 means "no limit stated", not "nothing fits" (Z39.50-2003 §3.2.1.1.4).
    if wished <= 0:
        return bound
    return max(MESSAGE_SIZE_BYTES_MIN, min(wished, bound))


async def _authenticate(
    service: Service, authentication: apdu.IdAuthentication | None, info: SessionInfo
) -> Principal | Diagnostic:
    """Open `user/password`, idPass, or nobody (Z39.50-2003 §3.2.1.1.5).

    Who sends no login is whom the client's certificate stands for, if it sent one.
    """
    match authentication:
        case None | apdu.Anonymous.ANONYMOUS | "":
            return _without_login(service, info)
        case str():
            name, _, password = authentication.partition("/")
        case apdu.IdPass():
            # Some clients give the login as group and leave the user out.
            name = authentication.user_id or authentication.group_id or ""
            password = authentication.password or ""
            if not name and not password:
                return _without_login(service, info)
        case _:
            return Diagnostic(
                Bib1.BAD_USER_ID,
                "authentication is open (user/password) or idPass"
                " / 认证方式须为 open（用户名/密码）或 idPass",
            )
    return await service.sign_in.sign_in(name, password, info.address)


def _without_login(service: Service, info: SessionInfo) -> Principal | Diagnostic:
    if info.certified_account:
        return service.sign_in.certified(info.certified_account, info.address)
    return service.sign_in.without_login(info.address)


def _within_limits(
    service: Service, principal: Principal, info: SessionInfo
) -> Principal | Diagnostic:
    """The principal, unless it or its institution has as many sessions as it may have."""
    of_account, of_institution = service.sign_in.sessions_max(principal)
    over = service.sessions.admit(
        info, principal.account, principal.institution, of_account, of_institution
    )
    if over is None:
        return principal
    is_account = over == principal.account
    return answers.too_many_sessions(over, of_account if is_account else of_institution)

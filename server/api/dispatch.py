"""From a request to an operation and back: the same steps for every one.

Who asks, whether they may, what they ask, whether they asked it before; then the
operation, off the event loop where it blocks; then its value as JSON.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec
from aiohttp import hdrs, web
from multidict import CIMultiDict

from metering.interface import MeteringError
from protocol.diagnostic import Bib1, Diagnostic
from server.access_control.principal import Principal
from server.api.cover_desk import CoverDesk
from server.api.operation import JSON, Call, Operation, Reply
from server.api.permission import require
from server.api.problem import Kind, Refusal, both
from server.api.receiving import ReceivedFile, receive
from server.api.repeats import Repeats
from server.batch.desk import BatchDesk
from server.config import Config
from server.delivery.outbox import Outbox
from server.http.responses import NO_STORE
from server.http.sign_in import is_token, refusal, remember, sign_in
from server.log import Log
from server.service import Service
from server.web.session import WebSessions
from store.members import MemberError
from store.sqlite import StoreError

CSRF_HEADER = "X-CSRF-Token"
REPLAYED_HEADER = "Idempotency-Replayed"

log = Log("lianmu.api")


class Dispatcher:
    """Answers operations for one worker."""

    def __init__(
        self,
        config: Config,
        service: Service,
        outbox: Outbox,
        batch: BatchDesk,
        sessions: WebSessions,
    ) -> None:
        self._config = config
        self._service = service
        self._outbox = outbox
        self._batch = batch
        self._covers = CoverDesk(config)
        self._sessions = sessions
        self._repeats = Repeats(config.data_dir)
        self._running: set[asyncio.Task[web.Response]] = set()

    async def stop(self) -> None:
        """Let what was begun come to its end."""
        if self._running:
            await asyncio.wait(set(self._running))
        await asyncio.to_thread(self._repeats.close)
        self._covers.close()

    async def respond(self, operation: Operation, request: web.Request) -> web.StreamResponse:
        try:
            principal = await self._principal(operation, request)
            call = Call(
                request,
                self._config,
                self._service,
                self._outbox,
                self._batch,
                self._covers,
                principal,
                operation,
            )
            arguments = await _arguments(call)
            if operation.method == "GET":
                return await _carried_out(call, arguments)
            return await self._change(call, arguments)
        except Refusal as refused:
            return refused.response()

    async def _principal(self, operation: Operation, request: web.Request) -> Principal:
        """Who asks: by the credentials of the request, or by a browser's session."""
        principal = await sign_in(self._service, request)
        has_header = hdrs.AUTHORIZATION in request.headers
        if not has_header and CSRF_HEADER in request.headers:
            principal = self._of_session(request)
        if isinstance(principal, Principal):
            return principal
        if operation.needs is None and not has_header:
            return Principal(rights=())
        raise _not_let_in(self._service, request, principal)

    def _of_session(self, request: web.Request) -> Principal | Diagnostic:
        """Whose browser it is; a cookie alone, which other sites can make it send, is nobody's."""
        session = self._sessions.read(request)
        token = request.headers[CSRF_HEADER]
        if session is None or not session.account:
            return Diagnostic(Bib1.BAD_USER_ID, "the browser's session is over / 会话已过期")
        if not self._sessions.is_form_token(session, token):
            raise Refusal(
                Kind.SESSION_TOKEN, f"{CSRF_HEADER} is not that of this session.",
                f"{CSRF_HEADER} 与会话不符。",
            )  # fmt: skip
        principal = self._service.sign_in.certified(session.account, request.remote or "")
        if isinstance(principal, Principal):
            remember(request, principal)  # for the access log
        return principal

    async def _change(self, call: Call, arguments: Mapping[str, Any]) -> web.StreamResponse:
        """Carry out what changes something: to its end, whatever becomes of the request."""
        task = asyncio.get_running_loop().create_task(self._once(call, arguments))
        self._running.add(task)
        task.add_done_callback(self._ended)
        return await asyncio.shield(task)

    def _ended(self, task: asyncio.Task[web.Response]) -> None:
        self._running.discard(task)
        if not task.cancelled():
            task.exception()  # told to whoever waits, if anybody still does

    async def _once(self, call: Call, arguments: Mapping[str, Any]) -> web.Response:
        try:
            return await self._kept_or_new(call, arguments)
        finally:
            body = arguments.get("body")
            if isinstance(body, ReceivedFile):
                body.close()

    async def _kept_or_new(self, call: Call, arguments: Mapping[str, Any]) -> web.Response:
        key = call.request.headers.get("Idempotency-Key")
        if key is None or not call.operation.is_idempotent:
            response = await _carried_out(call, arguments)
            assert isinstance(response, web.Response)  # noqa: S101 - only GET streams
            return response
        digest = await _digest(call, arguments.get("body"))
        who = call.who or f"?{digest.hex()}"  # nobody else's request is found by a stranger
        known = await asyncio.to_thread(self._repeats.begin, who, key, digest, call.now_us)
        if known is not None:
            return _replayed(known.status, known.headers, known.body)
        try:
            reply = _reply_of(await _value(call, arguments))
            kept = _kept(call, reply)
            response = _response(call, reply)
        except BaseException:
            await asyncio.to_thread(self._repeats.forget, who, key)
            raise
        await asyncio.to_thread(
            self._repeats.finish, who, key, response.status, _kept_headers(response), kept
        )
        return response


async def _arguments(call: Call) -> dict[str, Any]:
    """What the operation's function is called with, each part checked against its type."""
    operation, request = call.operation, call.request
    arguments: dict[str, Any] = {}
    if operation.needs is not None:
        require(call, operation.needs, request.match_info.get("code", ""))
    if operation.path_type is not None:
        try:
            arguments["path"] = msgspec.convert(
                dict(request.match_info), operation.path_type, strict=False
            )
        except msgspec.ValidationError:
            raise Refusal(
                Kind.NOT_FOUND, f"There is nothing at {request.path}.", "未找到。"
            ) from None
    if operation.query_type is not None:
        arguments["query"] = _query(operation.query_type, request)
    elif not operation.replaced_by and (
        unknown := [name for name in request.query if not is_token(name)]
    ):
        name = unknown[0]
        raise _parameter(f"{name[:40]}: there is no such parameter")
    _check_headers(operation, request)
    if operation.body_type is not None:
        arguments["body"] = await _body(call)
    return arguments


def _query(kind: type[msgspec.Struct], request: web.Request) -> msgspec.Struct:
    given: dict[str, Any] = {}
    lists = {
        field.encode_name
        for field in msgspec.structs.fields(kind)
        if getattr(field.type, "__origin__", None) in (tuple, list)
    }
    for name in request.query:
        if is_token(name):
            continue
        values = request.query.getall(name)
        if name not in lists and len(values) > 1:
            raise _parameter(f"{name[:40]}: it is there {len(values)} times")
        given[name] = values if name in lists else values[0]
    try:
        query = msgspec.convert(given, kind, strict=False)
    except msgspec.ValidationError as error:
        raise _parameter(str(error)) from None
    for name in given.keys() & set(kind.__struct_fields__):
        value = getattr(query, name)
        # The word "null" is read as what JSON has, and a number as a time: neither is meant.
        if value is None or (isinstance(value, datetime) and ":" not in given[name]):
            raise _parameter(f"{name}: {given[name]!r} is not a value of it")
    return query


def _parameter(detail: str) -> Refusal:
    return Refusal(Kind.PARAMETER, detail, f"请求参数无效：{detail}")


def _check_headers(operation: Operation, request: web.Request) -> None:
    for header in operation.headers:
        values = request.headers.getall(header.name, ())
        if header.pattern and any(not re.fullmatch(header.pattern, value) for value in values):
            raise _parameter(f"{header.name}: not of the form {header.pattern}")
        if header.pattern and len(values) > 1:
            raise _parameter(f"{header.name}: it is there {len(values)} times")


async def _body(call: Call) -> Any:
    operation, request = call.operation, call.request
    if operation.reads and request.content_type not in operation.reads:
        told = ", ".join(operation.reads)
        raise Refusal(
            Kind.MEDIA_TYPE, f"Send {told}.", f"请发送 {told}。", headers={hdrs.ACCEPT: told}
        )
    if operation.is_file:
        return await receive(request, call.config.holdings.file_bytes_max)
    body = await request.read()
    if not operation.is_json:
        return body
    try:
        return msgspec.json.decode(body, type=operation.body_type)
    except msgspec.ValidationError as error:
        raise Refusal(Kind.INVALID, f"{error}.", f"内容无效：{error}") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Refusal(
            Kind.MALFORMED, f"The body is not JSON: {error}.", "请求内容不是 JSON。"
        ) from None


async def _carried_out(call: Call, arguments: Mapping[str, Any]) -> web.StreamResponse:
    value = await _value(call, arguments)
    if isinstance(value, web.StreamResponse):
        return value
    return _response(call, _reply_of(value))


async def _value(call: Call, arguments: Mapping[str, Any]) -> Any:
    try:
        if call.operation.blocks:
            return await asyncio.to_thread(call.operation.handler, call, **arguments)
        return await call.operation.handler(call, **arguments)
    except MemberError as error:
        # What is not there or not of the right form was found out before.
        raise Refusal(Kind.CONFLICT, f"{error}.", f"当前状态不允许此操作：{error}") from None
    except (MeteringError, StoreError) as error:
        log.error("operation failed", operation=call.operation.id, reason=str(error))
        raise Refusal(
            Kind.UNAVAILABLE, "The data cannot be read or written at present; try again later.",
            "数据暂时无法读写，请稍后重试。", headers={hdrs.RETRY_AFTER: "10"},
        ) from None  # fmt: skip


def _reply_of(value: Any) -> Reply[Any]:
    return value if isinstance(value, Reply) else Reply(value)


def _response(call: Call, reply: Reply[Any]) -> web.Response:
    status = reply.status or next(iter(call.operation.answers))
    headers = CIMultiDict({hdrs.CACHE_CONTROL: NO_STORE})
    headers.extend(reply.headers)
    return web.Response(
        body=msgspec.json.encode(reply.value), status=status, content_type=JSON, headers=headers
    )


def _kept(call: Call, reply: Reply[Any]) -> bytes:
    """The body as it is answered again: without what is shown once."""
    value = reply.value
    if reply.secrets:
        value = msgspec.structs.replace(value, **dict.fromkeys(reply.secrets))
    return msgspec.json.encode(value)


def _kept_headers(response: web.Response) -> dict[str, str]:
    return {
        name: response.headers[name]
        for name in (hdrs.LOCATION, hdrs.ETAG, hdrs.CACHE_CONTROL)
        if name in response.headers
    }


def _replayed(status: int, headers: Mapping[str, str], body: bytes) -> web.Response:
    return web.Response(
        body=body, status=status, content_type=JSON, headers={**headers, REPLAYED_HEADER: "true"}
    )


async def _digest(call: Call, body: object) -> bytes:
    """Tells one request from another: all of it that an operation reads."""
    request = call.request
    digest = hashlib.sha256()
    for part in (
        request.method, request.rel_url.raw_path_qs, request.headers.get(hdrs.CONTENT_TYPE, ""),
        request.headers.get(hdrs.IF_MATCH, ""),
    ):  # fmt: skip
        digest.update(part.encode() + b"\0")
    digest.update(body.sha256 if isinstance(body, ReceivedFile) else await request.read())
    return digest.digest()


def _not_let_in(service: Service, request: web.Request, refused: Diagnostic) -> Refusal:
    status, headers = refusal(service, request, refused)
    english, chinese = both(refused.addinfo)
    kinds = {401: Kind.SIGN_IN, 403: Kind.CLOSED, 429: Kind.TOO_MANY, 503: Kind.UNAVAILABLE}
    kind = kinds[status]
    return Refusal(kind, english or kind.title, chinese, headers=headers)

"""SRU's HTTP: GET, POST of a form and of SOAP in; the same kind of body out."""

from __future__ import annotations

from collections.abc import Awaitable, Iterable, Mapping, Sequence
from urllib.parse import parse_qsl

from aiohttp import hdrs, web
from multidict import CIMultiDict

from protocol import sru_soap
from protocol.charset import UnknownEncoding, canonical_encoding
from protocol.frozen import frozen
from protocol.sru_accept import MEDIA_TYPES, choose_media_type
from protocol.sru_update import UpdateRequest, read_element, read_parameters
from server.http.refusals import refuse
from server.http.responses import NO_STORE, REVALIDATE, send, send_head

FORM = "application/x-www-form-urlencoded"
SOAP_TYPES = {
    "text/xml": sru_soap.SOAP_1_1,
    "application/xml": sru_soap.SOAP_1_1,
    "application/soap+xml": sru_soap.SOAP_1_2,
}
FORM_PARAMETERS_MAX = 200
# The same address is a page for a browser, and XML under several names for others.
_BY_ACCEPT: Mapping[str, str] = {hdrs.VARY: hdrs.ACCEPT}


@frozen
class Call:
    """One request as SRU sees it. `soap` is the envelope's namespace, "" without one.

    `update` is set when it is a Record Update, and `parameters` are then empty.
    """

    http: web.Request
    parameters: Sequence[tuple[str, str]]
    soap: str = ""
    update: UpdateRequest | None = None

    def answer(
        self,
        document: bytes,
        *,
        media_type: str = "",
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        may_be_kept: bool = False,
    ) -> web.Response:
        """The response that holds `document`; `media_type` is what httpAccept chose.

        A client may keep it, to ask later whether it still holds, when it
        `may_be_kept`.
        """
        given = CIMultiDict(headers or {})
        given.extend(_BY_ACCEPT)
        given[hdrs.CACHE_CONTROL] = REVALIDATE if may_be_kept else NO_STORE
        return web.Response(
            body=self._wrapped(document),
            status=status,
            content_type=self._content_type(media_type),
            charset="utf-8",
            headers=given,
        )

    def send(
        self, chunks: Iterable[bytes], *, media_type: str = "", may_be_kept: bool = False
    ) -> Awaitable[web.StreamResponse]:
        """Send the document that `chunks` are, as far as possible in portions.

        It was handed to the connection when this is awaited; otherwise that raises.
        """
        if self.soap:
            chunks = (self._wrapped(b"".join(chunks)),)
        content_type = self._content_type(media_type)
        return send(
            self.http, chunks, content_type=content_type, revalidate=may_be_kept, headers=_BY_ACCEPT
        )

    async def send_head(self, media_type: str = "") -> web.StreamResponse:
        """Answer HEAD without making the document."""
        content_type = self._content_type(media_type)
        return await send_head(self.http, content_type=content_type, headers=_BY_ACCEPT)

    def _wrapped(self, document: bytes) -> bytes:
        return sru_soap.envelope(document, self.soap) if self.soap else document

    def _content_type(self, chosen: str) -> str:
        return sru_soap.media_type(self.soap) if self.soap else chosen or self._accepted()

    def _accepted(self) -> str:
        return accepted_media_type(self.http.headers.get(hdrs.ACCEPT))


def accepted_media_type(accept: str | None) -> str:
    """The one of ours that the Accept header prefers."""
    # A client that would take none of them can read XML all the same.
    return choose_media_type(accept) or MEDIA_TYPES[0] if accept else MEDIA_TYPES[0]


async def read_call(http: web.Request) -> Call | web.Response:
    """The request of any method, or the answer to what is none."""
    parameters = list(http.query.items())
    if http.method != hdrs.METH_POST:
        return Call(http, parameters)
    body = await http.read()
    if http.content_type == FORM or not body:
        try:
            parameters += _form_fields(body, http.charset or "")
        except UnicodeDecodeError:
            return refuse(http, 400, "The form is neither in UTF-8 nor in the GB18030 it declares.")
        except ValueError:
            return refuse(http, 400, f"The form has more than {FORM_PARAMETERS_MAX} fields.")
        if ("operation", "update") in parameters:
            return Call(http, (), update=read_parameters(parameters))
        return Call(http, parameters)
    soap = SOAP_TYPES.get(http.content_type)
    if soap is None:
        accepted = ", ".join((FORM, *SOAP_TYPES))
        return web.Response(
            status=415, text=f"Send one of {accepted}.\n", headers={"Accept-Post": accepted}
        )
    message = sru_soap.read_message(body, soap=soap)
    if isinstance(message, sru_soap.SoapFault):
        return web.Response(
            body=sru_soap.fault(message),
            status=message.status,
            content_type=sru_soap.media_type(message.soap),
            charset="utf-8",
        )
    if message.operation == "update":
        return Call(http, (), message.soap, read_element(message.payload))
    return Call(http, parameters + sru_soap.parameters(message), message.soap)


def _form_fields(body: bytes, charset: str) -> list[tuple[str, str]]:
    """Names and values of a form, in UTF-8 unless its Content-Type declares GB18030 or GBK.

    Other names of `charset` say nothing: libraries put them where UTF-8 is sent.

    Raises:
        UnicodeDecodeError: octets, escaped or not, that are no text. Replaced by
            something else they would find nothing, and nobody would know why.
        ValueError: more than FORM_PARAMETERS_MAX fields.
    """
    try:
        encoding = "gb18030" if canonical_encoding(charset) == "gb18030" else "utf-8"
    except UnknownEncoding:
        encoding = "utf-8"
    return parse_qsl(
        body.decode(encoding), keep_blank_values=True, max_num_fields=FORM_PARAMETERS_MAX,
        encoding=encoding, errors="strict",
    )  # fmt: skip

"""SRW: SRU requests and responses in SOAP 1.1 and 1.2.

A request's elements become the parameters that a URL would carry, so one
reader serves both. A fault is only for what is no SOAP message; everything
else is answered by the diagnostics of the operation, inside an envelope.

Documents are read without a DTD: entities are neither read nor fetched.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import islice

from lxml import etree

from protocol.sru_request import X_PQUERY, X_PSCANCLAUSE
from protocol.xml_text import escape

SOAP_1_1 = "http://schemas.xmlsoap.org/soap/envelope/"
SOAP_1_2 = "http://www.w3.org/2003/05/soap-envelope"
_MEDIA_TYPES = {SOAP_1_1: "text/xml", SOAP_1_2: "application/soap+xml"}
# Children of one element that are looked at: more than any request may have.
ELEMENTS_MAX = 100
_OASIS = "http://docs.oasis-open.org/ns/search-ws/"
# YAZ names the database inside; the address has told it.
_IGNORED = frozenset({"database"})
# `info:srw/extension/2/auth-1.0` is `x-info-2-auth1.0-` in a URL (SRU, Extensions).
_EXTENSION = re.compile(r"info:srw/extension/(\d+)/([A-Za-z]+)-([\w.]+)$")
_OWN_EXTENSION = re.compile(r"urn:lianmu:extension:([a-z]+)$")
# Elements of YAZ for PQF, in 1.1 and 1.2.
_PQF = {"pQuery": X_PQUERY, "pScanClause": X_PSCANCLAUSE}
_SORT_KEY_PARTS = ("path", "schema", "ascending", "caseSensitive", "missingValue")
_BOOLEANS = {"true": "1", "false": "0"}


@dataclass(frozen=True, slots=True)
class SoapFault:
    """No SOAP message: `code` is "Client", "VersionMismatch" or "MustUnderstand"."""

    code: str
    reason: str
    soap: str = SOAP_1_1

    @property
    def status(self) -> int:
        """The HTTP status (SOAP 1.1 §6.2; SOAP 1.2 part 2 §7.5.2)."""
        return 400 if self.soap == SOAP_1_2 and self.code == "Client" else 500


@dataclass(frozen=True, slots=True)
class SoapCall:
    """The request element of a message. `soap` is the envelope's namespace, "" without one."""

    payload: etree._Element
    soap: str = ""

    @property
    def operation(self) -> str:
        """`searchRetrieve` of `searchRetrieveRequest`."""
        return _local_name(self.payload).removesuffix("Request")


def media_type(soap: str) -> str:
    """The content type of a message in an envelope of namespace `soap`."""
    return _MEDIA_TYPES[soap]


def read_message(body: bytes, *, soap: str = SOAP_1_1) -> SoapCall | SoapFault:
    """The request in an envelope, or the request alone, as some update clients send it.

    `soap` is the version to answer in when the body does not even tell that.
    """
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False,
        remove_comments=True, remove_pis=True,
    )  # fmt: skip
    try:
        root = etree.fromstring(body, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        return SoapFault("Client", f"not well-formed XML: {error}", soap)
    if root.getroottree().docinfo.internalDTD is not None:
        return SoapFault("Client", "a message must not have a document type", soap)
    name = etree.QName(root)
    if name.localname != "Envelope":
        if name.localname.endswith("Request"):
            return SoapCall(root)
        return SoapFault("Client", f"neither an envelope nor a request: {name.localname}", soap)
    if name.namespace not in _MEDIA_TYPES:
        return SoapFault("VersionMismatch", f"unknown envelope {name.namespace}")
    soap = str(name.namespace)
    header = root.find(f"{{{soap}}}Header")
    for block in header if header is not None else ():
        if block.get(f"{{{soap}}}mustUnderstand") in ("1", "true"):
            return SoapFault("MustUnderstand", f"header {_local_name(block)}", soap)
    payload = root.find(f"{{{soap}}}Body/*")
    if payload is None:
        return SoapFault("Client", "the body holds no request", soap)
    return SoapCall(payload, soap)


def parameters(call: SoapCall) -> list[tuple[str, str]]:
    """The parameters that a URL of the same meaning would have, up to a bound."""
    found = [("operation", call.operation)]
    is_2_0 = (etree.QName(call.payload).namespace or "").startswith(_OASIS)
    if is_2_0 and call.payload.find("{*}version") is None:
        found.append(("version", "2.0"))
    for child in islice(call.payload.iterchildren(etree.Element), ELEMENTS_MAX):
        name = _local_name(child)
        if name in _IGNORED:
            continue
        if name == "extraRequestData":
            found += extra_parameters(child)
        elif name == "xSortKeys":
            found.append(("sortKeys", _sort_keys(child)))
        elif name in _PQF:
            found.append((_PQF[name], _text(child)))
        else:
            found.append((name, _text(child)))
    return found


def extra_parameters(element: etree._Element) -> list[tuple[str, str]]:
    """The children of an extraRequestData as parameters that begin with `x-`.

    Elements whose namespace is no known extension are left out, as extensions
    that nobody knows are to be ignored.
    """
    found = []
    for child in islice(element.iterchildren(etree.Element), ELEMENTS_MAX):
        namespace, name = etree.QName(child).namespace or "", _local_name(child)
        extension = _EXTENSION.match(namespace)
        if extension:
            found.append(
                (f"x-info-{extension[1]}-{extension[2]}{extension[3]}-{name}", _text(child))
            )
        elif name.startswith("x-"):
            found.append((name, _text(child)))
        elif _OWN_EXTENSION.match(namespace):
            found.append((f"x-lianmu-{name}", _text(child)))
    return found


def envelope(document: bytes, soap: str) -> bytes:
    """`document`, an SRU response with its declaration, inside an envelope."""
    # What stands before the first element has no place in a body.
    content = document[re.search(rb"<[A-Za-z]", document).start() :]  # type: ignore[union-attr]
    return (
        b'<?xml version="1.0" encoding="UTF-8"?>\n<SOAP:Envelope xmlns:SOAP="%b"><SOAP:Body>%b'
        b"</SOAP:Body></SOAP:Envelope>\n" % (soap.encode(), content.rstrip())
    )


def fault(failure: SoapFault) -> bytes:
    """The message that tells a fault."""
    reason = escape(failure.reason)
    if failure.soap == SOAP_1_2:
        code = {"Client": "Sender"}.get(failure.code, failure.code)
        inside = (
            f"<SOAP:Code><SOAP:Value>SOAP:{code}</SOAP:Value></SOAP:Code>"
            f'<SOAP:Reason><SOAP:Text xml:lang="en">{reason}</SOAP:Text></SOAP:Reason>'
        )
    else:
        inside = f"<faultcode>SOAP:{failure.code}</faultcode><faultstring>{reason}</faultstring>"
    return envelope(f"<SOAP:Fault>{inside}</SOAP:Fault>".encode(), failure.soap)


def _sort_keys(element: etree._Element) -> str:
    """The structured sort keys in the form of the parameter."""
    keys = []
    for key in islice(element.iterchildren("{*}sortKey"), ELEMENTS_MAX):
        parts = [_text(key.find(f"{{*}}{part}")) for part in _SORT_KEY_PARTS]
        keys.append(",".join(_BOOLEANS.get(part, part) for part in parts).rstrip(","))
    return " ".join(keys)


def _local_name(element: etree._Element) -> str:
    return etree.QName(element).localname


def _text(element: etree._Element | None) -> str:
    return "" if element is None else "".join(map(str, element.itertext())).strip()

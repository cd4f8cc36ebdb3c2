"""When a certificate ends, read from its file."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime
from pathlib import Path

from protocol.ber import ProtocolError, read_header

_BEGIN, _END = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
_EXPLICIT_VERSION = 0xA0
_UTC_TIME, _GENERALIZED_TIME = 0x17, 0x18


def expires_at(path: Path) -> datetime:
    """The end of the first certificate in a PEM file, the server's own one, in UTC.

    Raises:
        OSError: the file cannot be read.
        ValueError: there is no certificate in it.

    Source: RFC 5280 §4.1.
    """
    text = path.read_text("ascii", errors="replace")
    begin = text.find(_BEGIN)
    end = text.find(_END, begin)
    if begin < 0 or end < 0:
        raise ValueError(f"{path}: no certificate in PEM")
    try:
        return not_after(ssl.PEM_cert_to_DER_cert(text[begin : end + len(_END)]))
    except (ValueError, IndexError, ProtocolError) as error:
        raise ValueError(f"{path}: not a certificate: {error}") from error


def not_after(certificate: bytes) -> datetime:
    """The end of the validity of a certificate in DER.

    Raises:
        ValueError, IndexError, ProtocolError: it is none.
    """
    _, inside, _ = read_header(certificate, 0)  # Certificate
    _, at, _ = read_header(certificate, inside)  # TBSCertificate
    tag, _, end = read_header(certificate, at)
    if tag == _EXPLICIT_VERSION:
        at = end
    for _ in range(3):  # serialNumber, signature, issuer
        _, _, at = read_header(certificate, at)
    _, at, _ = read_header(certificate, at)  # Validity
    _, _, at = read_header(certificate, at)  # notBefore
    tag, begin, end = read_header(certificate, at)
    text = certificate[begin:end].decode("ascii")
    if tag == _UTC_TIME:  # two digits of the year: 1950 to 2049
        text = f"{'19' if text[:2] >= '50' else '20'}{text}"
    elif tag != _GENERALIZED_TIME:
        raise ValueError(f"a time of tag {tag:x}")
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)

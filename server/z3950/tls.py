"""TLS of the Z39.50 listener: the server's certificate, and whom a client's stands for."""

from __future__ import annotations

import hashlib
import ssl
from collections.abc import Mapping
from typing import Any

from server.config import Tls
from server.errors import StartError

# A peer that does not finish its handshake in time is cut.
HANDSHAKE_TIMEOUT_S = 10.0
_FINGERPRINT = "sha256:"


def server_context(tls: Tls) -> ssl.SSLContext | None:
    """The context of the listener, TLS 1.2 or later; None where no certificate is configured.

    Raises:
        StartError: a file is missing, or no certificate or key.
    """
    if not tls.certificate:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # YAZ takes a session ticket of TLS 1.3 for a broken APDU; associations are
    # long, so none is missed.
    context.num_tickets = 0
    file = tls.certificate
    try:
        # A key that wants a pass phrase must not stop a server at a prompt.
        context.load_cert_chain(file, tls.key or None, password=lambda: "")
        if tls.client_ca:
            file = tls.client_ca
            context.load_verify_locations(file)
            context.verify_mode = (
                ssl.CERT_REQUIRED if tls.client_certificate_required else ssl.CERT_OPTIONAL
            )
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise StartError(f"[z3950.tls] {file}: {reason}") from None
    return context


def account_of(connection: ssl.SSLObject | None, accounts: Mapping[str, str]) -> str:
    """The account that the client's certificate stands for; "" without one.

    The certificate has been verified by then. Its fingerprint goes before the
    common name of its subject.
    """
    if connection is None or not accounts:
        return ""
    octets = connection.getpeercert(binary_form=True)
    if octets is None:
        return ""
    digest = hashlib.sha256(octets).hexdigest()
    for name, account in accounts.items():
        if name.startswith(_FINGERPRINT) and name[7:].replace(":", "").lower() == digest:
            return account
    subject: Any = (connection.getpeercert() or {}).get("subject", ())
    for part in subject:
        for key, value in part:
            if key == "commonName" and value in accounts:
                return accounts[value]
    return ""

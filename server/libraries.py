"""Libraries by the codes under which the index has what they hold."""

from __future__ import annotations

from server.service import Service
from store.members import Institution, MemberError


def library(service: Service, code: str) -> Institution:
    """The institution of `code`, whose letters may be of either case.

    One that is not registered any more goes by its code.
    """
    try:
        institution = service.sign_in.members.institution(code.upper())
    except MemberError:
        institution = None
    return institution or Institution(code.upper(), code.upper(), "ended", 0, "")

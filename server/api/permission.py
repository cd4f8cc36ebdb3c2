"""What `server.access_control.permissions` decides, as problems."""

from __future__ import annotations

from server.access_control import permissions
from server.access_control.permissions import Operation as Permission
from server.access_control.permissions import Why
from server.api.operation import Call
from server.api.problem import Kind, Refusal
from server.http.sign_in import challenge


def require(call: Call, permission: Permission, institution: str = "", database: str = "") -> None:
    """Go on if whoever asks may do it to the institution or database named.

    Raises:
        Refusal: 401 where signing in would help, else 403 with the right that is missing.
    """
    refused = permissions.refusal(call.principal, permission, institution, database)
    if refused is None:
        return
    if refused.why is Why.SIGN_IN:
        raise Refusal(
            Kind.SIGN_IN, refused.english, refused.chinese, headers=challenge(call.request)
        )
    raise Refusal(Kind.RIGHT, refused.english, refused.chinese, right=refused.right)

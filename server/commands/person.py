"""Who is at the machine: what the audit says of changes made on the command line."""

from __future__ import annotations

import os
import pwd
import socket
from collections.abc import Callable
from typing import Any

import click

from metering.author import Author
from server.accounting import audit_note
from server.commands.options import now_us
from server.config import Config
from store.audit import Origin


def person_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """`--as WHO`, given to the command as `who`."""
    return click.option(
        "--as", "who", metavar="WHO", help="Who does this, for the audit; your login without it."
    )(function)


def login() -> str:
    """The user as the operating system knows it, whatever the environment says."""
    uid = os.getuid()
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:  # in a container a number need not have a name
        return f"uid {uid}"


def here() -> Origin:
    """Where a change comes from that is made now: this login, on this machine."""
    return Origin("cli", "", f"{login()}@{socket.gethostname()}")


def author(who: str | None) -> Author:
    """The same for decisions about money, made by WHO or else by this login."""
    origin = here()
    return Author(who or login(), origin.account, origin.address, origin.protocol)


def note_down(
    config: Config,
    step: str,
    institution: str,
    *,
    subject: str,
    reason: str = "",
    before: str = "",
    after: str,
) -> None:
    """A row of the audit for work of this login that no other file writes down.

    Raises:
        MemberError: the members' database cannot be written.
    """
    audit_note.note_down(
        config, here(), step, institution, now_us(), who=login(), reason=reason,
        subject=subject, before=before, after=after,
    )  # fmt: skip

"""A row of the audit for work that no file of its own writes down, such as an ISBN job."""

from __future__ import annotations

from contextlib import closing

from server.config import Config
from store.audit import Origin
from store.members import Members


def note_down(
    config: Config,
    origin: Origin,
    step: str,
    institution: str,
    at_us: int,
    *,
    who: str,
    subject: str,
    reason: str = "",
    before: str = "",
    after: str = "",
) -> None:
    """Write it into `members.sqlite`; blocks on the disk.

    Raises:
        MemberError: the members' database cannot be written.
    """
    with closing(Members(config.members_path, create=True)) as members, members.transaction():
        origin.write(
            members.connection, step, institution, at_us, who=who, reason=reason,
            subject=subject, before=before, after=after,
        )  # fmt: skip

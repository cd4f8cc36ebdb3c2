"""The databases of the catalogue, and whoever asks."""

from __future__ import annotations

from typing import Literal

import msgspec

from server.access_control.permissions import Operation as Permission
from server.api.models import Right
from server.api.operation import Area, Call

AREA = Area("catalogue", "The databases of the catalogue, and what whoever asks may do")


class DatabaseInfo(msgspec.Struct, frozen=True, kw_only=True):
    """`records` counts those that are not deleted."""

    name: str
    title: str
    family: Literal["marc21", "unimarc"]
    aliases: list[str]
    records: int


class Databases(msgspec.Struct, frozen=True, kw_only=True):
    """All of them, in the order of the configuration."""

    items: list[DatabaseInfo]


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """Who the credentials stand for; `institution` is "" for an operator."""

    account: str
    institution: str
    operator: bool
    key: bool
    rights: list[Right]


@AREA.get("/databases", needs=Permission.SEARCH, summary="List the databases")
async def list_databases(call: Call) -> Databases:
    totals = call.service.catalogue.totals()
    return Databases(
        items=[
            DatabaseInfo(
                name=each.name, title=each.title, family=each.family.value,
                aliases=list(each.aliases), records=totals.get(each.name, 0),
            )
            for each in call.config.databases
        ]
    )  # fmt: skip


@AREA.get("/me", needs=Permission.PROFILE_READ, summary="Show who asks")
async def show_caller(call: Call) -> Caller:
    principal = call.principal
    return Caller(
        account=principal.account, institution=principal.institution,
        operator=principal.operator, key=principal.is_key,
        rights=list(principal.rights),  # type: ignore[arg-type]
    )  # fmt: skip

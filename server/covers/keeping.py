"""Giving a record its cover image, and taking it away.

Any account with the right `upload` may give a cover to a record that has none. Another
one in its place, or none, is for the institution that brought the one that is there, and
for operators of the consortium.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from metering.interface import MeteringError
from protocol.record import StoredRecord
from server.access_control.permissions import Operation, refusal
from server.access_control.principal import Principal
from server.accounting.crediting import credit_covers
from server.config import Config
from server.covers.picture import BadPictureError, Picture, PictureLimits, read_picture
from server.covers.shelf import Shelf
from server.log import Log
from server.uploads.upload import Change
from store.audit import Origin
from store.covers import CREDIT_DUE, Cover, CoverRows
from store.holding_events import HoldingEvents
from store.sqlite import StoreError
from store.writer import now_us

SWEEP_AGE_S = 3600.0  # files younger than that may be waiting for their row

log = Log("lianmu.covers")


class CoverReason(Enum):
    """Why nothing was changed."""

    FORBIDDEN = "the account may not upload"
    NOT_OWN = "another institution brought the cover that is there"
    BAD_PICTURE = "it is no picture that can be a cover"
    NO_RECORD = "the record is deleted"
    NO_COVER = "the record has no cover"
    UNAVAILABLE = "it cannot be stored at present"


@dataclass(frozen=True, slots=True)
class CoverRefused:
    """Nothing has changed; why, in English and Chinese."""

    reason: CoverReason
    english: str
    chinese: str

    @property
    def text(self) -> str:
        return f"{self.english} / {self.chinese}"


@dataclass(frozen=True, slots=True)
class CoverKept:
    """It is on the disk and served. `change` is CREATED, REPLACED, DELETED or UNCHANGED.

    `credit` is the state of the record's claim if the cover earns something, "due"
    while that is not known, or says why it earns nothing.
    """

    change: Change
    cover: Cover
    credit: str = ""


class CoverKeeper:
    """Changes covers; methods block on the disk and on decoding, so they belong in a thread."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._shelf = Shelf(config.covers_dir)
        section = config.covers
        self._limits = PictureLimits(
            section.size_bytes_max, section.side_pixels_min, section.side_pixels_max
        )

    def add(
        self,
        principal: Principal,
        record: StoredRecord,
        sent: bytes,
        *,
        origin: Origin,
        who: str = "",
        reason: str = "",
    ) -> CoverKept | CoverRefused:
        """Make `sent` the cover of a record; the same sent again changes nothing.

        `who` is the person, the principal's account without it.
        """
        refused = _may(principal, record)
        if refused is not None:
            return refused
        try:
            picture = read_picture(sent, self._limits)
        except BadPictureError as bad:
            return CoverRefused(CoverReason.BAD_PICTURE, bad.english, bad.chinese)
        try:
            outcome = self._put(principal, record, picture, origin, who, reason)
        except (StoreError, OSError) as error:
            return _unavailable(error, record)
        if isinstance(outcome, CoverRefused):
            return outcome
        return CoverKept(outcome.change, outcome.cover, self._credit(outcome.cover))

    def remove(
        self,
        principal: Principal,
        record: StoredRecord,
        *,
        origin: Origin,
        who: str = "",
        reason: str = "",
    ) -> CoverKept | CoverRefused:
        """Take a record's cover away; what it earned stays."""
        refused = _may(principal, record)
        if refused is not None and refused.reason is not CoverReason.NO_RECORD:
            return refused
        try:
            with self._rows() as (rows, catalogue):
                with rows.transaction():
                    before = rows.of_record(catalogue, record.record_id)
                    if before is None:
                        return CoverRefused(
                            CoverReason.NO_COVER,
                            f"{record.control_number} has no cover image",
                            f"记录 {record.control_number} 没有封面",
                        )
                    if not _is_own(principal, before):
                        return _not_own(before)
                    by = who or principal.account
                    rows.remove(before, now_us(), who=by, origin=origin, reason=reason)
                self._forget(rows, before.sha256)
        except (StoreError, OSError) as error:
            return _unavailable(error, record)
        log.info("cover removed", record=record.control_number, account=principal.account)
        return CoverKept(Change.DELETED, before)

    def sweep(self, older_than_s: float = SWEEP_AGE_S) -> int:
        """Remove files that no row speaks of, which a crash left; how many pictures went."""
        if not self._config.covers_path.exists():
            return 0
        with self._rows() as (rows, _):
            unused = [each for each in self._shelf.kept(older_than_s) if not rows.is_used(each)]
            for each in unused:
                self._forget(rows, each)
        return len(unused)

    def _put(
        self,
        principal: Principal,
        record: StoredRecord,
        picture: Picture,
        origin: Origin,
        who: str,
        reason: str,
    ) -> CoverKept | CoverRefused:
        with self._rows() as (rows, catalogue):
            # Files are written under the lock: nobody sweeps them before their row is there.
            with rows.transaction():
                before = rows.of_record(catalogue, record.record_id)
                if before is not None and before.sent_sha256 == picture.sent_sha256:
                    return CoverKept(Change.UNCHANGED, before)
                if before is not None and not _is_own(principal, before):
                    return _not_own(before)
                sha256, medium, small = self._shelf.put(picture)
                cover = Cover(
                    catalogue=catalogue, record_id=record.record_id,
                    database=record.database.name, control_number=record.control_number,
                    institution=principal.institution, account=principal.account,
                    at_us=now_us(), sent_sha256=picture.sent_sha256, sha256=sha256,
                    medium_sha256=medium, small_sha256=small, format=picture.format,
                    width=picture.width, height=picture.height, size_bytes=len(picture.octets),
                    credit=CREDIT_DUE if principal.institution
                    else "an operator earns nothing / 管理方上传不计酬",
                )  # fmt: skip
                rows.put(cover, who=who or principal.account, origin=origin, reason=reason)
            if before is not None:
                self._forget(rows, before.sha256)
        log.info(
            "cover kept", record=record.control_number, database=record.database.name,
            account=principal.account, protocol=origin.protocol, address=origin.address,
        )  # fmt: skip
        return CoverKept(Change.CREATED if before is None else Change.REPLACED, cover)

    def _credit(self, cover: Cover) -> str:
        """What it earns, told at once if the ledger takes it; else within a minute."""
        if cover.credit != CREDIT_DUE:
            return cover.credit
        try:
            return credit_covers(self._config).get(cover.record_id, CREDIT_DUE)
        except (MeteringError, StoreError) as error:
            log.error("credit of a cover not told", record=cover.control_number, reason=str(error))
            return CREDIT_DUE

    def _forget(self, rows: CoverRows, sha256: str) -> None:
        """Remove the files of a picture that no record has any more."""
        with rows.transaction():
            if not rows.is_used(sha256):
                self._shelf.remove(sha256)

    @contextlib.contextmanager
    def _rows(self) -> Iterator[tuple[CoverRows, str]]:
        """The rows for writing, and the name of the catalogue's numbering."""
        with contextlib.closing(HoldingEvents(self._config.data_dir)) as events:
            catalogue = events.name
        with contextlib.closing(CoverRows(self._config.covers_path, create=True)) as rows:
            yield rows, catalogue


def _may(principal: Principal, record: StoredRecord) -> CoverRefused | None:
    forbidden = refusal(principal, Operation.COVER_UPLOAD)
    if forbidden is not None:
        return CoverRefused(CoverReason.FORBIDDEN, forbidden.english, forbidden.chinese)
    if record.deleted:
        return CoverRefused(
            CoverReason.NO_RECORD,
            f"the record {record.control_number} is deleted",
            f"记录 {record.control_number} 已删除",
        )
    return None


def _is_own(principal: Principal, cover: Cover) -> bool:
    return principal.operator or principal.institution == cover.institution


def _not_own(cover: Cover) -> CoverRefused:
    whose = cover.institution or "the consortium"
    return CoverRefused(
        CoverReason.NOT_OWN,
        f"{cover.control_number} has a cover image that {whose} brought, which may change it",
        f"记录 {cover.control_number} 已有封面，"
        f"仅其提供者（{cover.institution or '联合目录中心'}）可更换",
    )


def _unavailable(error: Exception, record: StoredRecord) -> CoverRefused:
    log.error("cover not stored", record=record.control_number, reason=str(error))
    return CoverRefused(
        CoverReason.UNAVAILABLE,
        "the cover image cannot be stored at present; send it again later",
        "封面暂时无法保存，请稍后重试",
    )

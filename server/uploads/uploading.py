"""Carrying out uploads: checked, stored, found at once, and credited.

Everything about one upload happens under the catalogue's write lock, so that two
processes that are sent the same record make one of it.

Rules of ownership: a record is replaced and deleted by the institution that
brought it, or by an operator of the consortium; one that came in a file belongs to
the operators. Nobody deletes what another institution holds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from metering.tariff_category import classify
from protocol.holdings_fields import HOLDINGS_TAG, take_holdings
from protocol.iso2709 import (
    DecodedRecord,
    Field,
    MalformedRecord,
    MarcRecord,
    RefusedRecord,
    build,
    decode_record,
    parse,
)
from protocol.marcxml_reader import decode_marcxml
from protocol.record import Holding, StoredRecord
from protocol.validation import Finding, Severity, check
from server.access_control.access import Principal
from server.access_control.permissions import Operation, refusal
from server.accounting.crediting import category_rules, claim_due
from server.config import Config
from server.holdings import change as of_holdings
from server.holdings.desk import HoldingsDesk
from server.log import Log
from server.uploads.upload import Action, Change, Done, Outcome, Reason, Refused, Upload
from store.accounts import Accounts
from store.duplicates import DuplicateFinder
from store.editing import Editor
from store.members import MemberError, Members
from store.sqlite import StoreError
from store.uploaded import CREDIT_CLAIMED, CREDIT_DUE, UploadRows, digest_of
from store.versions import identifier, is_based_on, is_same_content
from store.writer import CatalogueWriter, VersionConflict, now_us

_MARKS = ("001", "003", "005")
_CANDIDATES_TOLD_MAX = 5
RECORD_TERMINATOR = b"\x1d"
# The writer process merges; only when it cannot keep up does whoever uploads wait for
# a merge, which takes the CPU from the searches of the same worker.
MERGE_AFTER_RECORDS = 2_000

# An update of a record that is not there is an insert, so asks for no more than that.
_OPERATIONS = {
    Action.INSERT: Operation.UPLOAD_INSERT,
    Action.UPDATE: Operation.UPLOAD_REPLACE,
    Action.REPLACE: Operation.UPLOAD_REPLACE,
    Action.DELETE: Operation.UPLOAD_DELETE,
}

log = Log("lianmu.upload")


class Uploader:
    """Does one upload after the other, from one thread; files are opened when first needed."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._rules = category_rules(config)
        self._opened: _Opened | None = None

    def run(self, upload: Upload) -> Outcome:
        """Carry out one upload; it is on disk when this returns."""
        forbidden = refusal(upload.principal, _OPERATIONS[upload.action])
        if forbidden is not None:
            return Refused(reason=Reason.FORBIDDEN, text=forbidden.text)
        record: DecodedRecord | None = None
        findings: Sequence[Finding] = ()
        if upload.action is not Action.DELETE or upload.record:
            decoded = _decode(upload)
            if isinstance(decoded, RefusedRecord):
                return _refused_record(upload, decoded)
            record = decoded
        if record is not None and upload.action is not Action.DELETE:
            findings = check(record, upload.database.family)
            if any(finding.rule.severity is Severity.ERROR for finding in findings):
                return _invalid(findings)
        try:
            opened = self._open()
            with opened.writer.transaction():
                outcome = self._change(opened, upload, record, findings)
            claimed = claim_due(self._config, opened.writer)
        except (StoreError, MemberError) as error:
            log.error("upload failed", account=upload.principal.account, reason=str(error))
            return Refused(
                reason=Reason.UNAVAILABLE,
                text="the catalogue cannot be written at present; send it again later"
                " / 目录暂时无法写入，请稍后重试",
            )
        except MalformedRecord as error:
            return Refused(reason=Reason.MALFORMED, text=str(error), findings=findings)
        if isinstance(outcome, Done) and outcome.credit in (CREDIT_DUE, CREDIT_CLAIMED):
            outcome = replace(outcome, credit=claimed.get(outcome.record.record_id, outcome.credit))
        return outcome

    def hold(self, change: of_holdings.Change | of_holdings.MarcChange) -> of_holdings.Outcome:
        """Carry out a change of holdings; it is on disk when this returns."""
        try:
            desk = self._open().desk
            if isinstance(change, of_holdings.MarcChange):
                return desk.apply_marc(change)
            return desk.apply_one(change)
        except (StoreError, MemberError) as error:
            log.error("holding not changed", account=change.principal.account, reason=str(error))
            return of_holdings.Refused(
                reason=of_holdings.Reason.UNAVAILABLE,
                text="the catalogue cannot be written at present; send it again later"
                " / 目录暂时无法写入，请稍后重试",
            )

    def close(self) -> None:
        if self._opened is not None:
            self._opened.close()
            self._opened = None

    def _open(self) -> _Opened:
        if self._opened is None:
            self._opened = _Opened(self._config)
        return self._opened

    def _change(
        self,
        opened: _Opened,
        upload: Upload,
        record: DecodedRecord | None,
        findings: Sequence[Finding],
    ) -> Outcome:
        sent = parse(record.marc) if record is not None else None
        if upload.action is Action.INSERT:
            assert sent is not None  # noqa: S101 - decoded above
            return self._insert(opened, upload, sent, findings)
        number = upload.number or (sent.control_number if sent is not None else "")
        target = _target(opened, upload, number)
        if isinstance(target, Refused):
            is_new = target.reason in (Reason.UNKNOWN, Reason.UNNAMED)
            if upload.action is Action.UPDATE and sent is not None and is_new:
                return self._insert(opened, upload, sent, findings)
            return target
        creator = opened.uploads.creator(target.record_id)
        whose = creator or "the consortium"
        if refusal(upload.principal, _OPERATIONS[upload.action], whose) is not None:
            return Refused(
                reason=Reason.NOT_OWN, current=target,
                text=f"{target.control_number} was brought by {whose}, which may change it"
                f" / 记录 {target.control_number} 仅其创建者（{creator or '联合目录中心'}）可修改",
            )  # fmt: skip
        if upload.action is Action.DELETE:
            return _delete(opened, upload, target, sent)
        assert sent is not None  # noqa: S101 - decoded above
        return _replace(opened, upload, target, sent, findings)

    def _insert(
        self, opened: _Opened, upload: Upload, sent: MarcRecord, findings: Sequence[Finding]
    ) -> Outcome:
        principal, database = upload.principal, upload.database
        writer = opened.writer
        owner = principal.institution or principal.account
        digest = digest_of(owner, database.name, sent)
        known = opened.uploads.inserted(digest)
        there = writer.rows.get(known.record_id) if known is not None else None
        if there is not None and there.deleted:
            there = writer.rows.get(writer.merges.survivor(there.record_id))
        if known is not None and there is not None and not there.deleted:
            return Done(
                change=Change.UNCHANGED, record=there, findings=findings, credit=known.credit
            )
        shared, holding, others = take_holdings(sent, database.family, principal.institution)
        if all(field.tag.startswith("00") for field in shared.fields):
            return Refused(reason=Reason.MALFORMED, text="a record without any data field")
        marc = _numbered_elsewhere(shared, principal)
        at_us = now_us()
        credit = self._credit(opened, upload, marc, at_us)
        if credit == CREDIT_DUE:
            credit = _credited_before(opened, digest) or credit
        if credit == CREDIT_DUE:
            missing = [each for each in findings if each.rule.severity is Severity.MISSING]
            if missing:
                return Refused(
                    reason=Reason.INCOMPLETE, findings=missing,
                    text=f"an upload for credit needs {_told(missing)}"
                    f" / 计酬上传缺少必备内容：{_told(missing, chinese=True)}",
                )  # fmt: skip
        if not upload.confirmed:
            # With the number that it came with: it may have been taken from here.
            looked_for = build(shared.leader, shared.fields, oversize=True)
            candidates = opened.finder.candidates(looked_for, database.name)
            if candidates:
                shown = candidates[:_CANDIDATES_TOLD_MAX]
                told = "; ".join(f"{each.control_number} ({each.score})" for each in shown)
                return Refused(
                    reason=Reason.DUPLICATE, candidates=candidates,
                    text=f"the catalogue seems to have it: {told} / 疑似重复记录：{told}",
                )  # fmt: skip
        stored = opened.editor.create(database.name, marc, account=principal.account, at_us=at_us)
        assert isinstance(stored, StoredRecord)  # noqa: S101 - it came without a number
        notes = _hold(opened, upload, stored, holding, others, at_us)
        _write_down(opened, upload, stored, Action.INSERT, at_us, digest=digest, credit=credit)
        return Done(
            change=Change.CREATED, record=stored, findings=findings, notes=notes, credit=credit
        )

    def _credit(self, opened: _Opened, upload: Upload, marc: bytes, at_us: int) -> str:
        """CREDIT_DUE, or why a record that is brought now earns nothing (design §7)."""
        principal = upload.principal
        if not principal.institution:
            return "an operator earns nothing / 管理方上传不计酬"
        institution = opened.members.institution(principal.institution)
        if institution is None or not institution.uploads:
            code = principal.institution
            return f"{code} does not upload for credit / {code} 未获计酬上传授权"
        found = classify(marc, upload.database.family, upload.database.name, self._rules)
        wanted = (found.category.value, found.level.value)
        certificates = opened.accounts.certificates(principal.account)
        if any(certificate.covers(*wanted, at_us) for certificate in certificates):
            return CREDIT_DUE
        kind = "/".join(wanted)
        return (
            f"{principal.account} has no good certificate for {kind}"
            f" / 账号 {principal.account} 无 {kind} 有效编目员资格"
        )


def _credited_before(opened: _Opened, digest: bytes) -> str:
    """Why the content earns nothing again, though its record is gone; "": it never earned.

    Deleting a record does not take its credit back, so that bringing it anew gives none.
    """
    before = opened.uploads.credited(digest)
    stored = opened.writer.rows.get(before.record_id) if before is not None else None
    if stored is None:
        return ""
    number = stored.control_number
    return f"it has its credit as {number}, which was deleted / 已随 {number}（已删除）计酬"


class _Opened:
    """The files that uploads need."""

    def __init__(self, config: Config) -> None:
        self.writer = CatalogueWriter(
            config.data_dir, config.databases, merge_after_records=MERGE_AFTER_RECORDS
        )
        self.editor = Editor(self.writer)
        self.uploads = UploadRows(self.writer.connection)
        self.finder = DuplicateFinder(config.data_dir)
        self.desk = HoldingsDesk(config, self.writer)
        self.members = Members(config.members_path)
        self.accounts = Accounts(self.members)

    def close(self) -> None:
        self.members.close()
        self.desk.close()
        self.finder.close()
        self.writer.close()


def _decode(upload: Upload) -> DecodedRecord | RefusedRecord:
    family = upload.database.family
    if upload.xml:
        return decode_marcxml(upload.record, family)
    raw = upload.record.rstrip(b"\r\n\0 ")
    if RECORD_TERMINATOR in raw[:-1]:
        # Read as one, all but the first would be mended away.
        return RefusedRecord(0, "", "several records in place of one")
    decoded = decode_record(raw, family)
    charset = upload.principal.charset
    if isinstance(decoded, RefusedRecord) and charset:
        again = decode_record(raw, family, charset)
        return decoded if isinstance(again, RefusedRecord) else again
    return decoded


def _refused_record(upload: Upload, decoded: RefusedRecord) -> Refused:
    return Refused(
        reason=Reason.MALFORMED, text=decoded.reason[:500],
        findings=check(decoded, upload.database.family),
    )  # fmt: skip


def _invalid(findings: Sequence[Finding]) -> Refused:
    errors = [finding for finding in findings if finding.rule.severity is Severity.ERROR]
    return Refused(
        reason=Reason.INVALID, findings=findings,
        text=f"{_told(errors)} / {_told(errors, chinese=True)}",
    )  # fmt: skip


def _target(opened: _Opened, upload: Upload, number: str) -> StoredRecord | Refused:
    """The record that is meant."""
    if not number:
        return Refused(
            reason=Reason.UNNAMED, text="neither a record identifier nor a 001 / 未指明记录控制号"
        )
    rows = opened.writer.rows
    found = rows.by_number(rows.database_id(upload.database.name), number)
    live = [record for record in found if not record.deleted]
    if len(live) > 1:
        return Refused(
            reason=Reason.AMBIGUOUS, text=f"{len(live)} records have the number {number[:80]}"
        )
    if live:
        return live[0]
    for record in found:
        survivor = rows.get(opened.writer.merges.survivor(record.record_id))
        if survivor is not None:
            return Refused(
                reason=Reason.MERGED, current=survivor,
                text=f"{number} was merged into {survivor.control_number}"
                f" / 记录 {number} 已并入 {survivor.control_number}",
            )  # fmt: skip
        if upload.action is Action.DELETE:
            return record  # it may be a retry
    return Refused(
        reason=Reason.UNKNOWN,
        text=f"{number[:80]} is deleted / 记录 {number[:80]} 已删除"
        if found
        else f"there is no record {number[:80]} / 无此记录 {number[:80]}",
    )


def _replace(
    opened: _Opened,
    upload: Upload,
    target: StoredRecord,
    sent: MarcRecord,
    findings: Sequence[Finding],
) -> Outcome:
    principal, family = upload.principal, upload.database.family
    shared, holding, others = take_holdings(sent, family, principal.institution)
    # What is known of other libraries from elsewhere is not in this record's hands.
    _, _, kept = take_holdings(parse(target.marc), family, principal.institution)
    new = MarcRecord(shared.leader, [*shared.fields, *kept])
    at_us = now_us()
    left_out = [field for field in others if field not in kept]
    if is_same_content(_without_number(new), _without_number(parse(target.marc))):
        notes = _hold(opened, upload, target, holding, left_out, at_us)
        return Done(change=Change.UNCHANGED, record=target, findings=findings, notes=notes)
    field_005 = sent.first("005")
    based_on = upload.based_on or ([field_005.text.strip()] if field_005 is not None else [])
    if not any(str(named).strip() for named in based_on):
        return Refused(
            reason=Reason.NO_VERSION, current=target,
            text="name the version that the change was made from, or send its 005"
            " / 请指明所依据的版本，或在记录中保留 005 字段",
        )  # fmt: skip
    stale = _stale(target, based_on)
    if stale is not None:
        return stale
    stored = opened.editor.replace(
        target.record_id, build(new.leader, new.fields, oversize=True), based_on=target.version,
        account=principal.account, at_us=at_us,
    )  # fmt: skip
    assert isinstance(stored, StoredRecord)  # noqa: S101 - nobody else writes meanwhile
    notes = _hold(opened, upload, stored, holding, left_out, at_us)
    _write_down(opened, upload, stored, Action.REPLACE, at_us)
    return Done(change=Change.REPLACED, record=stored, findings=findings, notes=notes)


def _delete(
    opened: _Opened, upload: Upload, target: StoredRecord, sent: MarcRecord | None
) -> Outcome:
    if target.deleted:
        done = opened.uploads.of_record(target.record_id)
        if done and done[-1].action == Action.DELETE:
            return Done(change=Change.UNCHANGED, record=target)
        return Refused(
            reason=Reason.UNKNOWN,
            text=f"{target.control_number} is deleted / 记录 {target.control_number} 已删除",
        )
    field_005 = sent.first("005") if sent is not None else None
    based_on = upload.based_on or ([field_005.text.strip()] if field_005 is not None else [])
    stale = _stale(target, [named for named in based_on if str(named).strip()])
    if stale is not None:
        return stale
    own = upload.principal.institution
    others = [code for code in opened.writer.rows.holders(target.record_id) if code != own]
    if others:
        told = ", ".join(sorted(others)[:_CANDIDATES_TOLD_MAX])
        return Refused(
            reason=Reason.HELD, current=target,
            text=f"{len(others)} others hold it: {told} / 其他 {len(others)} 馆有馆藏：{told}",
        )  # fmt: skip
    at_us = now_us()
    stored = opened.editor.delete(target.record_id, account=upload.principal.account, at_us=at_us)
    assert isinstance(stored, StoredRecord)  # noqa: S101 - nobody else writes meanwhile
    _write_down(opened, upload, stored, Action.DELETE, at_us)
    return Done(change=Change.DELETED, record=stored)


def _stale(target: StoredRecord, based_on: Sequence[int | str]) -> Refused | None:
    """Set when the record is not in every version that the client named."""
    newest = identifier(target.marc, target.modified_us)
    if all(is_based_on(named, target.version, newest) for named in based_on):
        return None
    told = VersionConflict(target.record_id, target.version, newest)
    return Refused(
        reason=Reason.STALE, current=target,
        text=f"{told} / 记录已被修改，现为第 {target.version} 版（{newest}），请重新获取后再提交",
    )  # fmt: skip


def _hold(
    opened: _Opened,
    upload: Upload,
    stored: StoredRecord,
    holding: Holding | None,
    others: Sequence[Field],
    at_us: int,
) -> list[str]:
    """Store the member's own holding; returns what was left out."""
    notes = []
    principal = upload.principal
    tag = HOLDINGS_TAG[stored.database.family]
    if holding is not None and refusal(principal, Operation.HOLDINGS_WRITE) is None:
        opened.desk.hold(
            principal, replace(holding, record_id=stored.record_id), stored.database.family,
            protocol=upload.protocol, address=upload.address, at_us=at_us,
        )  # fmt: skip
    elif holding is not None:
        notes.append(
            f"{tag} is left out: {principal.account} has no right to holdings"
            f" / 未采用 {tag}：账号 {principal.account} 无馆藏权限"
        )
    if others:
        notes.append(
            f"{len(others)} × {tag} of other libraries left out / 未采用其他馆的 {tag} 字段"
        )
    return notes


def _numbered_elsewhere(record: MarcRecord, principal: Principal) -> bytes:
    """The record without its numbers, which are kept in 035: the catalogue gives its own."""
    fields = [field for field in record.fields if field.tag not in _MARKS]
    number = record.control_number
    agency = record.first("003")
    whose = (agency.text.strip() if agency is not None else "") or principal.institution
    if number:
        own = Field.of("035", "  ", [("a", f"({whose}){number}" if whose else number)])
        if own not in fields:
            place = next((at for at, field in enumerate(fields) if field.tag > "035"), len(fields))
            fields.insert(place, own)
    return build(record.leader, fields, oversize=True)


def _without_number(record: MarcRecord) -> MarcRecord:
    return MarcRecord(record.leader, [f for f in record.fields if f.tag not in _MARKS])


def _write_down(
    opened: _Opened,
    upload: Upload,
    stored: StoredRecord,
    action: Action,
    at_us: int,
    *,
    digest: bytes | None = None,
    credit: str = "",
) -> None:
    principal = upload.principal
    opened.uploads.add(
        stored.record_id, stored.version, action.value, institution=principal.institution,
        account=principal.account, protocol=upload.protocol, address=upload.address, at_us=at_us,
        digest=digest, credit=credit,
    )  # fmt: skip
    log.info(
        "record uploaded", action=action.value, database=upload.database.name,
        record=stored.control_number, version=stored.version, account=principal.account,
        protocol=upload.protocol, address=upload.address,
    )  # fmt: skip


def _told(findings: Sequence[Finding], *, chinese: bool = False) -> str:
    told = [f"{each.field}: {each.message(chinese=chinese)}" for each in findings[:5]]
    if len(findings) > len(told):
        told.append(f"… ({len(findings)})")
    return "; ".join(told)

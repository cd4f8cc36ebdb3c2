"""The words of a statement, in Chinese, in English, or in both."""

from __future__ import annotations

from typing import Literal

from metering.settlement_store import Settlement
from metering.statement import Statement
from protocol.china_time import china_clock

Language = Literal["zh", "en", "both"]

_TEXTS = {
    "title": ("年度结算单", "Annual statement"),
    "estimate": ("估算", "ESTIMATE"),
    "draft": ("结算草案（估算）", "DRAFT (ESTIMATE)"),
    "final": ("正式结算", "FINAL"),
    "note": ("更正单", "Note"),
    "credit_note": ("贷项通知单", "Credit note"),
    "debit_note": ("借项通知单", "Debit note"),
    "estimate_remark": (
        "本单为估算，不是账单：年内续传馆藏会提高免费额度，金额在正式结算时确定。",
        "This is an estimate and no bill: holdings uploaded later still raise the quota,"
        " and the amounts are fixed by the final settlement.",
    ),
    "member": ("成员馆", "Member"),
    "year": ("结算年度", "Accounting year"),
    "year_rule": ("按北京时间", "by the clock of China"),
    "document": ("单据号", "Document"),
    "made": ("结算日期", "Settled on"),
    "due": ("请于此日前付款", "Please pay by"),
    "tariff": ("资费版本", "Tariff"),
    "position": ("账本位置", "Ledger position"),
    "hash": ("账本校验值", "Ledger hash"),
    "reason": ("说明", "Reason"),
    "summary": ("汇总", "Summary"),
    "holdings": ("上传馆藏", "Holdings uploaded"),
    "quota": ("免费额度（馆藏的 120%）", "Quota (120 % of holdings)"),
    "downloads": ("下载", "Downloads"),
    "repeats": ("重复（不计费）", "Repeats (not billed)"),
    "voided": ("作废", "Void"),
    "billable": ("计费下载", "Downloads billed"),
    "batch": ("批量套录", "Batch"),
    "uploads": ("上传书目", "Records uploaded"),
    "covers": ("封面", "Covers"),
    "bill": ("费用", "Bill"),
    "item": ("项目", "Item"),
    "quantity": ("数量", "Quantity"),
    "price": ("单价（元）", "Price, yuan"),
    "amount": ("金额（元）", "Amount, yuan"),
    "receivable": ("应收合计", "Receivable from the member"),
    "payable": ("应付报酬合计", "Payable to the member"),
    "net_receivable": ("净额：成员馆应付", "Net: owed by the member"),
    "net_payable": ("净额：应付给成员馆", "Net: owed to the member"),
    "months": ("分月统计", "By month"),
    "month": ("月份", "Month"),
    "total": ("合计", "Total"),
    "chart": ("各月下载量", "Downloads by month"),
    "remittance": ("汇款与联系", "Remittance and contact"),
    "issuer": ("出单单位", "Issued by"),
    "payee": ("收款单位", "Payee"),
    "bank": ("开户银行", "Bank"),
    "bank_code": ("银行代码", "Bank code"),
    "account_number": ("账号", "Account number"),
    "contact": ("联系人", "Contact"),
    "phone": ("电话", "Telephone"),
    "email": ("电子邮件", "E-mail"),
    "address": ("地址", "Address"),
    "remark": ("备注", "Remark"),
    "lines": ("明细", "Entries"),
    "lines_all": ("全部 {count} 条账本记录。", "All {count} entries of the ledger."),
    "lines_some": (
        "共 {count} 条账本记录，此处列出前 {shown} 条；全部见 XLSX、CSV 或 JSON 格式的结算单。",
        "The first {shown} of {count} entries; the XLSX, CSV and JSON forms have them all.",
    ),
    "seq": ("序号", "Entry"),
    "time": ("时间", "Time"),
    "kind": ("类型", "Kind"),
    "meter": ("计量", "Counts as"),
    "record": ("记录", "Record"),
    "account": ("账号", "Account"),
    "protocol": ("途径", "Through"),
    "page": ("第 {page} 页，共 {pages} 页", "Page {page} of {pages}"),
    "download.over_quota": ("超额下载", "Downloads over the quota"),
    "download_over_quota": ("超额下载", "Downloads over the quota"),
    "batch.delivery": ("ISBN 批量套录", "ISBN batch, records delivered"),
    "upload": ("上传", "Upload"),
    "cover": ("封面图像", "Cover image"),
    "chinese": ("中文", "Chinese"),
    "western": ("西文", "Western"),
    "japanese": ("日文", "Japanese"),
    "russian": ("俄文", "Russian"),
    "other": ("其他语种", "other languages"),
    "ancient": ("古籍", "ancient books"),
    "full": ("完全级", "full level"),
    "basic": ("基本级", "basic level"),
    "without_holdings": ("无馆藏明细", "without detailed holdings"),
    "submitter": ("提交馆部分", "submitter's part"),
    "partner": ("合作馆部分", "partner's part"),
    "delivery": ("下载", "Delivery"),
    "void": ("作废", "Void"),
    "holding_added": ("增加馆藏", "Holding added"),
    "holding_removed": ("删除馆藏", "Holding removed"),
    "upload_reversed": ("撤销上传", "Upload reversed"),
    "correction": ("更正", "Correction"),
    "audit": ("审计", "Audit"),
    "download": ("下载", "Download"),
    "repeat": ("重复", "Repeat"),
    "holding": ("馆藏", "Holding"),
}


class Texts:
    """Looks words up in one language, or in both."""

    def __init__(self, language: Language) -> None:
        self.language = language

    def __call__(self, key: str, **values: object) -> str:
        """The text of `key`; a key without one is shown as it is."""
        chinese, english = _TEXTS.get(key, (key, key))
        chinese, english = chinese.format(**values), english.format(**values)
        if self.language == "zh":
            return chinese
        if self.language == "en" or chinese == english:
            return english
        return f"{chinese} {english}"

    @property
    def html_language(self) -> str:
        """As the `lang` attribute of a page."""
        return "en" if self.language == "en" else "zh-Hans"

    def item(self, item: str) -> str:
        """An item of the tariff: a text of its own, or its parts'."""
        if item in _TEXTS:
            return self(item)
        parts = item.split(".")
        if any(part not in _TEXTS for part in parts):
            return item
        if self.language == "zh":
            return "：".join([self(parts[0]), "，".join(self(part) for part in parts[1:])])
        english = Texts("en")
        named = f"{english(parts[0])}: {', '.join(english(part) for part in parts[1:])}"
        return named if self.language == "en" else f"{Texts('zh').item(item)} {named}"

    def status(self, document: Settlement) -> str:
        if document.status != "note":
            return self(document.status)
        return self("credit_note" if document.net_fen < 0 else "debit_note")

    def net(self, statement: Statement) -> str:
        """The label of the net amount, which is then shown without a sign."""
        return self("net_payable" if statement.net_fen < 0 else "net_receivable")

    def facts(self, statement: Statement) -> list[tuple[str, str]]:
        """The head of a statement: label and value."""
        main = statement.main
        facts = [
            (self("member"), f"{statement.name} ({statement.institution})"),
            (self("year"), f"{statement.year} ({self('year_rule')})"),
        ]
        if main.number:
            made = china_clock(main.made_us)[:10]
            facts += [(self("document"), main.number), (self("made"), made)]
        if statement.due:
            facts.append((self("due"), statement.due))
        return [
            *facts,
            (self("tariff"), main.tariff_version),
            (self("position"), str(statement.current.ledger_seq)),
            (self("hash"), statement.current.head_hash),
        ]

    def figures(self, statement: Statement) -> list[tuple[str, int]]:
        """The counts that the bill is made of."""
        now = statement.current
        counts = {
            "holdings": now.holdings, "quota": now.quota, "downloads": now.downloads,
            "repeats": now.repeats, "voided": now.voided, "billable": now.billable,
            "batch": sum(month.batch for month in statement.months),
            "uploads": sum(month.uploads for month in statement.months),
            "covers": sum(month.covers for month in statement.months),
        }  # fmt: skip
        return [(self(key), value) for key, value in counts.items()]

    def remittance(self, statement: Statement) -> list[tuple[str, str]]:
        """What the configuration says of payment and contact; may be empty."""
        names = (
            "issuer", "payee", "bank", "bank_code", "account_number", "contact", "phone",
            "email", "address", "remark",
        )  # fmt: skip
        values = [(name, getattr(statement.remittance, name)) for name in names]
        return [(self(name), value) for name, value in values if value]

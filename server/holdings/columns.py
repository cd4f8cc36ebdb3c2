"""The columns of a CSV file of holdings, by their names in English and Chinese."""

from __future__ import annotations

import re
from collections.abc import Sequence

# Each with the other names that it may have; case, blanks and underscores do not matter.
COLUMNS = {
    "institution": ("library", "馆代码", "成员馆代码", "机构代码"),
    "database": ("数据库", "库名"),
    "control_number": ("001", "record number", "record id", "控制号", "记录控制号",
                       "联合目录控制号"),
    "local_number": ("local control number", "本馆记录号", "本馆控制号", "本地控制号",
                     "本地记录号"),
    "isbn": ("isbn号", "国际标准书号"),
    "issn": ("issn号", "国际标准连续出版物号"),
    "call_number": ("callnumber", "索书号", "索取号", "排架号"),
    "location": ("shelving location", "馆藏地", "馆藏地点", "馆藏地址"),
    "barcodes": ("barcode", "item id", "条码", "条码号", "登录号", "财产号"),
    "copies": ("copy count", "复本", "复本数", "复本量", "册数"),
    "extent": ("holdings", "volumes", "馆藏卷期", "卷期", "馆藏范围"),
    "note": ("notes", "备注", "附注"),
    "action": ("操作", "动作"),
}  # fmt: skip
# By what they are called: whether something is held then.
ACTIONS = {
    "put": True, "add": True, "change": True, "update": True, "set": True,
    "增加": True, "新增": True, "修改": True, "更新": True,
    "remove": False, "delete": False, "withdraw": False,
    "删除": False, "注销": False, "剔除": False,
}  # fmt: skip
_BETWEEN = re.compile(r"[\s_\-]+")


def _plain(name: str) -> str:
    return _BETWEEN.sub("", name.casefold()).strip("\ufeff")


_BY_NAME = {
    _plain(each): column for column, others in COLUMNS.items() for each in (column, *others)
}


def column_names(header: Sequence[str]) -> list[str]:
    """The columns of a file by its first line; "" for one that is not looked at.

    Raises:
        ValueError: two columns are one.
    """
    columns = [_BY_NAME.get(_plain(cell), "") for cell in header]
    twice = {column for column in columns if column and columns.count(column) > 1}
    if twice:
        raise ValueError(f"the column {min(twice)} is there twice / 列名重复")
    return columns

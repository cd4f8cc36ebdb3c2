"""Han characters folded to one form each, whatever script reform wrote them.

A catalogue holds 國, 国 and 囯, 藝, 艺 and 芸 for the same word, and a query
may bring any of them. Every character is folded by itself, never by its
neighbours, so that a record and a query meet wherever they were cut.

One-to-many cases are folded to the broad form on both sides: 乾 and 幹 become
干 (乾隆 is indexed and looked up as 干隆), 後 and 后 become 后, 著 and 着
become 著, 像 and 象 (图像, 图象) become 像. What this cannot reach are words
that one side spells with another word's character (Taiwan's 計畫 for 计划).
"""

from __future__ import annotations

from functools import cache

from opencc import OpenCC

# Simplified Chinese characters that Japanese uses as the short form of another
# one. Only these are read as Japanese: 予, 弁, 欠, 沪 and the like would cost
# Chinese readers more than they would give Japanese ones.
_SHINJITAI_IN_GB2312 = frozenset("芸浜糸")

# Unified or variant forms that neither conversion of OpenCC reaches: the form
# kept, then what folds to it. From the lists of variants in use in mainland
# and Taiwan cataloguing and in the KangXi forms that Japanese tables produce.
_VARIANTS = """
户戸 吴呉 清淸 青靑 暨曁 值値 算祘 遍徧 并竝倂 绪緖 卫衞 乡鄕 矿鑛 斗鬭鬪鬦鬬 饼餠 举擧 涩澁
国囯圀 岩巗 璃瓈 皋臯皐 稿稾槀 盖葢 苏蘓甦穌 蛇虵 睹覩 赞讃 鉴鍳 邻隣 飘飃 粗麤麁 厂厰 参叅葠
告吿 回囘廻囬逥 婿壻 寿夀 本夲 姊姉 妊姙 宝寳 冤寃 昆崐 岛嶋嶌 纸帋 厩廏 强彊 往徃 匆悤怱 惭慙
戏戱 拗抝 拿拏 插揷 考攷 叙敍 昵暱 朵朶 柏栢 刊栞 槟梹 棋碁 乘椉 棕椶 楫檝 棹櫂 款欵 毗毘 冰氷
污汚 潜濳 浚濬 法灋 灾烖 照炤 暖煖 焰熖燄焔 耀燿 笺牋 徇狥 猿猨蝯 珍珎 砖甎塼 尝甞 略畧 留畱
疏疎 鼓皷 杯桮 碗盌椀 炮砲礮 祀禩 年秊 稚穉稺 窗窓窻牕 藤籐 妆粧 粽糭 扎紥 伞繖 总縂 绒羢 翱翺
联聨聮 胁脇 吻脗 第苐 麻蔴 蚊蟁 螂蜋 蟹蠏 裙裠 讹譌 宴讌醼 质貭 剩賸 耽躭 体軆躰 软輭 辞辤辝
村邨 郎郞 酬醻 衔啣 枪鎗 麟麐 鳌鼇 著着 了瞭 借藉 余馀 钟锺 复覆 坂阪 托讬 咨谘 宁甯 只衹祇 乃迺
管筦 仿彷 尽侭 线缐 克尅 窥闚 喻喩 兔兎 富冨 写冩 宜冝 凭凴 劫刦刧 券劵 敕勑 奁匲 仙僊 柳栁桞
桑桒 餐歺 铁銕鐡鑯 关闗 边邉 齐斊 崎嵜碕 高髙 滨濵 怪恠 慎愼 晃晄 概槪 瓶甁 研硏 翻飜 萌萠 褒襃
麽么 同仝 唇脣 够夠 群羣 奸姦 猫貓 鹅鵞鵝 懒嬾 棱稜 耕畊 夜亱 哲喆嚞 坤堃 野埜 和龢 内內 拂払
像象 账帐 径迳 澄澂 琅瑯 果菓 豆荳 背揹 堤隄 它牠 姬姫 舍舎 榆楡 咒呪 痹痺 填塡 檐簷 斤觔 俯頫
锄耡 画划畵劃
"""

# Radicals that copying from PDF files leaves behind and Unicode does not
# decompose (CJK Radicals Supplement).
_RADICALS = dict(
    zip(
        "⺟⺠⻄⻅⻆⻈⻉⻋⻌⻐⻓⻔⻘⻙⻚⻛⻜⻝⻢⻣⻤⻥⻦⻧⻨⻩⻬⻮⻰⻳",
        "母民西见角讠贝车辶钅长门青韦页风飞食马骨鬼鱼鸟卤麦黄齐齿龙龟",
        strict=True,
    )
)


@cache
def _tables() -> tuple[OpenCC, OpenCC, dict[str, str]]:
    kept = {}
    for group in _VARIANTS.split():
        for variant in group:  # the kept form too, so that nothing moves it
            kept[variant] = group[0]
    return OpenCC("t2s"), OpenCC("jp2t"), kept | _RADICALS


def _in_gb2312(char: str) -> bool:
    try:
        char.encode("gb2312")
    except UnicodeEncodeError:
        return False
    return True


def fold_han(char: str) -> str:
    """Return the folded form of one Han character; itself when it has no other."""
    while (folded := _fold_once(char)) != char:
        char = folded
    return char


def _fold_once(char: str) -> str:
    simplify, from_shinjitai, variants = _tables()
    if char in variants:
        return variants[char]
    folded: str = simplify.convert(char)
    if folded == char and (char in _SHINJITAI_IN_GB2312 or not _in_gb2312(char)):
        folded = from_shinjitai.convert(char)
    return folded

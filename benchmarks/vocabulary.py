"""The words that generated records are made of, most frequent first.

The head of each list is what real catalogues hold most; the long tail is put
together from morphemes and common characters, so that a scan of the title
index passes tens of thousands of different terms. Names are random pairings
of common surnames and given names.
"""

from __future__ import annotations

from itertools import islice, product


def _words(text: str) -> list[str]:
    return text.split()


ENGLISH_COMMON = _words("""
history theory analysis studies modern science development social political economic law
international american world research systems management design education culture language
literature philosophy art war politics policy practice methods data computer engineering applied
chemistry physics mathematics statistics biology medicine health psychology sociology religion
music poetry drama women gender family children city urban rural environment energy water climate
food trade finance market business industry labour government democracy rights justice crime
security peace conflict europe china india africa japan russia england france germany century
ancient medieval contemporary early new general comparative advanced principles foundations
structure model models control process processes information network networks software programming
algorithms learning teaching school university student thinking knowledge mind body human nature
life death time space earth sea river mountain island empire revolution nation state society
community public private global local regional national identity memory image text word story
letters essays collected selected complete critical annotated illustrated guide manual reference
dictionary encyclopedia atlas bibliography catalogue archives museum library architecture painting
sculpture photography film theatre dance sport travel exploration geography geology astronomy
ecology evolution genetics cell molecular organic inorganic physical quantum mechanics dynamics
optics materials surface structures construction transport aviation maritime railway agriculture
forestry fisheries mining steel textile paper printing publishing communication media journalism
rhetoric grammar linguistics translation semantics logic ethics aesthetics metaphysics theology
""")

ENGLISH_STOP = ("of", "the", "and", "in", "for", "on", "to", "from")

_PREFIXES = _words("""
aero agro astro auto bio cardio chrono cosmo crypto demo dermo electro endo epi ethno exo geo haemo
helio hetero homo hydro hyper hypo immuno infra inter iso macro mega meta micro mono morpho multi
neo neuro ortho paleo pan para patho petro philo photo phyto poly proto pseudo psycho pyro radio
socio stereo tele theo thermo trans ultra xeno zoo
""")
_ROOTS = _words("""
bar bol cad cel cer chrom clim cor crin crit cyt derm dom dox duct dyn fac fer fil flex flor form
gam gen gloss gnos gon graf grad gram hal ject kin lect lex lith loc log lum mant mer metr mim mit
mne mor mot nav nom nym opt orb osm path ped pel phag phas pher phil phob phon phor plan plas plex
pod pol por port prax puls quer rad rect rot scop sect sens ser sis som son soph spec sper sphe
stat sten stic stol strat syn tact tax tect temp ten term thes tom ton top torp trac trop typ urb
vac val ven vers vis viv vol vor
""")
_SUFFIXES = _words("ics ology ism ation ity ment ance al ia ous ing or")

CHINESE_COMMON = _words("""
中国 历史 研究 文学 经济 管理 社会 教育 理论 分析 现代 科学 技术 发展 文化 语言 哲学 艺术 政治 法律
国际 世界 系统 设计 工程 应用 化学 物理 数学 统计 生物 医学 健康 心理 宗教 音乐 诗歌 小说 戏剧 妇女
家庭 儿童 城市 农村 环境 能源 气候 食品 贸易 金融 市场 企业 工业 劳动 政府 民主 权利 司法 犯罪 安全
和平 战争 亚洲 欧洲 美国 日本 印度 俄国 英国 法国 德国 世纪 古代 近代 当代 比较 原理 基础 结构 模型
控制 过程 信息 网络 软件 程序 算法 学习 教学 学校 大学 学生 思想 知识 人类 自然 生命 时间 空间 地球
海洋 河流 山水 岛屿 帝国 革命 民族 国家 社区 公共 全球 地方 区域 身份 记忆 图像 文本 故事 书信 散文
全集 选集 批判 注释 插图 指南 手册 词典 百科 地图 书目 档案 博物 图书 建筑 绘画 雕塑 摄影 电影 舞蹈
体育 旅游 探险 地理 地质 天文 生态 进化 遗传 细胞 分子 有机 无机 量子 力学 光学 材料 表面 施工 交通
航空 航海 铁路 农业 林业 渔业 矿业 钢铁 纺织 造纸 印刷 出版 传播 媒体 新闻 修辞 语法 翻译 语义 逻辑
伦理 美学 神学 考古 文献 目录 校勘 训诂 音韵 方言 民俗 礼仪 书法 篆刻 陶瓷 园林 中医 本草 针灸 方剂
""")

CHINESE_TITLE_ENDINGS = ("", "", "概论", "导论", "教程", "初探", "论稿", "通史", "问题", "讲义")

_CHARACTERS = (
    "一二三四五七八九十百千万天地人山川江河日月星云风雨雪春夏秋冬东西南北金木火土石玉龙凤马牛羊鱼鸟花草树"
    "林竹梅松柏家园门户房屋宫殿城乡道路桥船车舟衣食住行心手足目耳口言行思想情意志气神精力量性命理义仁礼智信"
    "忠孝诚德善美真伪新旧古今长短高低大小多少远近内外前后上下左右始终生死存亡成败得失兴衰治乱安危贫富贵贱强弱"
    "虚实动静刚柔阴阳文武诗书画琴棋歌舞曲词赋记传志录谱图表史论说谈集编选注释译校考证辨析评述要略概览精华"
)

ENGLISH_SURNAMES = _words("""
Smith Johnson Williams Brown Jones Garcia Miller Davis Rodriguez Martinez Anderson Taylor Thomas
Moore Jackson Martin Lee Thompson White Harris Clark Lewis Robinson Walker Young Allen King Wright
Scott Hill Green Adams Nelson Baker Hall Campbell Mitchell Carter Roberts Turner Phillips Evans
Parker Edwards Collins Stewart Morris Murphy Cook Rogers Morgan Cooper Peterson Reed Bailey Bell
Kelly Howard Ward Cox Richardson Wood Watson Brooks Bennett Gray James Hughes Price Myers Long
Foster Sanders Ross Sullivan Russell Fisher Henderson Cole Jenkins Perry Powell Patterson Hamilton
Graham Reynolds Griffin Wallace West Bryant Herrera Gibson Ellis Stevens Murray Ford Marshall Owens
Harrison Ruiz Kennedy Wells Alvarez Woods Mendoza Castillo Olson Webb Washington Tucker Freeman
Burns Henry Schmidt Weber Wagner Becker Hoffmann Koch Richter Klein Wolf Neumann Schwarz Braun
Dubois Laurent Lefebvre Michel Moreau Bernard Girard Rossi Ferrari Bianchi Romano Colombo Ricci
Ivanov Petrov Sokolov Novak Horvat Nagy Kowalski Nowak Jansen Visser Andersson Nilsson Hansen
""")
ENGLISH_GIVEN = _words("""
James Mary Robert Patricia John Jennifer Michael Linda David Elizabeth William Barbara Richard
Susan Joseph Jessica Charles Sarah Christopher Karen Daniel Lisa Matthew Nancy Anthony Betty Mark
Margaret Donald Sandra Steven Ashley Paul Kimberly Andrew Emily Joshua Donna Kenneth Michelle Kevin
Carol Brian Amanda George Dorothy Timothy Melissa Ronald Deborah Edward Stephanie Jason Rebecca
Jeffrey Sharon Ryan Laura Jacob Cynthia Gary Kathleen Nicholas Amy Eric Angela Jonathan Shirley
Stephen Anna Larry Brenda Justin Pamela Scott Emma Brandon Nicole Benjamin Helen Samuel Samantha
""")

CHINESE_SURNAMES = (
    "王李张刘陈杨黄赵吴周徐孙马朱胡郭何林高罗郑梁谢宋唐许韩冯邓曹彭曾肖田董袁潘于蒋蔡余杜叶程苏魏吕丁任沈"
    "姚卢姜崔钟谭陆汪范金石廖贾夏韦付方白邹孟熊秦邱江尹薛闫段雷侯龙史陶黎贺顾毛郝龚邵钱严覃武戴莫孔向汤"
)
CHINESE_GIVEN = (
    "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超霞平刚桂英华玉兰红"
    "建国文志海波晓东鹏辉云峰宏林春梅秀珍德福永康学良"
)

# Words of series names stand in no title, so that hit counts of title words do
# not depend on whether a server files series under titles.
ENGLISH_SERIES = (
    "Monographs and proceedings", "Colloquium publications", "Occasional pamphlets",
    "Handbooks series", "Undergraduate classics", "Fellowship symposia", "Graduate lectures",
    "Working pamphlets",
)  # fmt: skip
CHINESE_SERIES = ("博雅丛刊", "汉译丛刊", "青年丛刊", "京师丛刊", "珞珈丛刊", "复旦丛刊")

ENGLISH_PUBLISHERS = (
    ("New York", "Springer"), ("Cambridge", "Cambridge University Press"),
    ("Oxford", "Oxford University Press"), ("London", "Routledge"), ("Hoboken, N.J.", "Wiley"),
    ("Amsterdam", "Elsevier"), ("Leiden", "Brill"), ("Berlin", "De Gruyter"),
    ("Princeton, N.J.", "Princeton University Press"), ("Chicago", "University of Chicago Press"),
    ("New Haven", "Yale University Press"), ("Cambridge, Mass.", "MIT Press"),
    ("Basingstoke", "Palgrave Macmillan"), ("Singapore", "World Scientific"),
    ("Boca Raton", "CRC Press"), ("Washington, D.C.", "World Bank"),
    ("Stanford", "Stanford University Press"), ("Ithaca", "Cornell University Press"),
    ("Paris", "OECD"), ("Tokyo", "University of Tokyo Press"),
)  # fmt: skip
CHINESE_PUBLISHERS = (
    ("北京", "高等教育出版社"), ("北京", "科学出版社"), ("北京", "清华大学出版社"),
    ("北京", "人民出版社"), ("北京", "商务印书馆"), ("北京", "中华书局"),
    ("上海", "上海古籍出版社"), ("上海", "复旦大学出版社"), ("北京", "北京大学出版社"),
    ("武汉", "武汉大学出版社"), ("南京", "江苏人民出版社"), ("广州", "中山大学出版社"),
    ("成都", "四川人民出版社"), ("杭州", "浙江大学出版社"), ("西安", "陕西人民出版社"),
)  # fmt: skip

WESTERN_LANGUAGES = ("eng", "ger", "fre", "spa", "ita", "rus")
LANGUAGE_COUNTRIES = {
    "eng": "nyu", "ger": "gw ", "fre": "fr ", "spa": "sp ", "ita": "it ", "rus": "ru ",
    "chi": "cc ",
}  # fmt: skip
WESTERN_SUBDIVISIONS = (
    "History", "Congresses", "Study and teaching", "Philosophy", "Bibliography", "Handbooks",
    "Political aspects", "Social aspects", "United States", "China", "Great Britain",
    "Mathematical models",
)  # fmt: skip
CHINESE_SUBDIVISIONS = ("研究", "高等学校", "教材", "中国", "文集", "历史", "手册", "会议")


def english_words(size: int) -> list[str]:
    """The `size` different title words, most frequent first; `size` is at most 80,000."""
    tail = ("".join(parts) for parts in product(_PREFIXES, _ROOTS, _SUFFIXES))
    # A stride coprime with the number of combinations spreads the tail over the alphabet.
    combinations = list(dict.fromkeys(tail))
    stride = 7919
    spread = (combinations[i * stride % len(combinations)] for i in range(len(combinations)))
    words = dict.fromkeys(ENGLISH_COMMON)
    words.update(dict.fromkeys(islice(spread, size - len(words))))
    return list(words)


def chinese_words(size: int) -> list[str]:
    """The `size` different two-character title words, most frequent first; at most 30,000."""
    characters = list(dict.fromkeys(_CHARACTERS))
    pairs = [a + b for a, b in product(characters, characters) if a != b]
    stride = 7919
    spread = (pairs[i * stride % len(pairs)] for i in range(len(pairs)))
    words = dict.fromkeys(CHINESE_COMMON)
    words.update(dict.fromkeys(islice((w for w in spread if w not in words), size - len(words))))
    return list(words)


def english_authors(size: int) -> list[tuple[str, str]]:
    """`size` different (surname, given names)."""
    initials = [f" {letter}." for letter in "ABCDEFGHJKLMNPRSTVW"]
    spread = product(["", *initials], ENGLISH_GIVEN, ENGLISH_SURNAMES)
    return [(surname, given + initial) for initial, given, surname in islice(spread, size)]


def chinese_authors(size: int) -> list[str]:
    """`size` different names of two or three characters, surname first."""
    spread = product(["", *CHINESE_GIVEN], CHINESE_GIVEN, CHINESE_SURNAMES)
    return [surname + first + second for second, first, surname in islice(spread, size)]

"""Fields of UNIMARC and CNMARC bibliographic records, for validation.

One line a field: tag, R or N (may it be repeated), what the indicators may be,
the subfields, the name. `#` is a blank; `0-9` a range; a subfield with `*` may
be repeated, and `a-z*` is every letter. Digits (control subfields, and $9 for
pinyin at the National Library) and capitals ($A and others of CALIS, which hold
pinyin) are taken in every field and not written here. Fields with 9 in the tag
are a library's own; only those that are listed here are checked.

Sources: UNIMARC Manual, Bibliographic Format, third edition and updates (IFLA);
GB/T 33286-2016 China MARC format for bibliographic data (CNMARC).
"""

from __future__ import annotations

SOURCE = "UNIMARC Manual, Bibliographic Format; GB/T 33286-2016"

CONTROL_FIELDS = """\
001 N 记录标识号
002 N 前记录标识号
003 N 永久记录标识号
005 N 记录处理时间标识
"""

FIELDS = """\
010 R # # ab*d*z* 国际标准书号 (ISBN)
011 R #01 #0-2 abd*fg*y*z* 国际标准连续出版物号 (ISSN)
012 R # # a2 指纹标识
013 R # # abdz* 国际标准音乐作品号 (ISMN)
014 R # # az*2 论文标识号
015 R # # abdz* 国际标准技术报告号 (ISRN)
016 R # # abdz* 国际标准音像编码 (ISRC)
017 R #078 #0-2 abdz*2 其他标准号
020 R # # abz* 国家书目号
021 R # # abz* 版权登记号
022 R # # abz* 政府出版物号
033 R # # az* 其他系统永久记录标识号
035 R # # az* 其他系统控制号
036 R # # abcdef*gmnopq*rt*u*z*2 音乐导句
040 R # # az* CODEN
071 R #0-8 #01 abcdz* 出版者号
072 R # #0-2 abcdz* 通用产品代码
073 R #0 #0-2 abcdz* 国际物品编码
091 R # # abcdz* 统一书刊号
092 R # # abcdz* 订购号
094 R # # abcdz* 标准号
100 N # # a 通用处理数据
101 R #0-2 #7 a*b*c*d*e*f*g*h*i*j*2 作品语种
102 N # # a*b*c*2 出版或制作国别
105 R # # a 编码数据字段：专著性文字资料
106 N # # a 编码数据字段：形态特征
110 N # # a 编码数据字段：连续出版物
111 R # # a*b*c*d*e*f*g*h* 编码数据字段：连续出版物形态特征
115 R # # a*b 编码数据字段：投影、录像和电影资料
116 R # # a 编码数据字段：图形资料
117 R # # a 编码数据字段：三维制品和实物
120 N # # a 编码数据字段：测绘资料一般特征
121 N # # a*b 编码数据字段：测绘资料形态特征
122 R #0-2 # a* 编码数据字段：文献内容的时间范围
123 R #0-4 # ab*c*defgh*ijkmnop 编码数据字段：比例尺和坐标
124 N # # ab*c*d*e*f*g* 编码数据字段：测绘资料特别标识
125 N # # ab*c 编码数据字段：录音与乐谱
126 R # # ab 编码数据字段：录音资料形态特征
127 N # # a* 编码数据字段：录音与乐谱演奏时间
128 R # # a*b*c*d 编码数据字段：音乐作品形式和调
130 R # # a 编码数据字段：缩微品形态特征
131 N # # a*b*c*d*e*f*g*h*i*j*k*l* 编码数据字段：大地测量坐标
135 R # # a 编码数据字段：电子资源
140 N # # a 编码数据字段：古籍一般特征
141 R # # abcdef 编码数据字段：古籍复本形态特征
145 R #01 #1 a*b*c*d*e*f* 编码数据字段：演奏媒介
146 R #0-4 #1 ab*c*d*e*f*gh*i* 编码数据字段：演奏媒介
181 R # #01 a*b*c*2 编码数据字段：内容形式
182 R # #01 a*b*c*2 编码数据字段：媒介类型
183 R # #01 a*b*c*2 编码数据字段：载体类型
191 R # # abcdefghijk 编码数据字段：拓片
192 R # # abcdefghijk 编码数据字段：中国民族音乐
193 R # # abcdefghijk 编码数据字段：中国古籍
194 R # # abcdefghijk 编码数据字段：中国古籍形态特征
200 N #01 #0 a*b*c*d*e*f*g*h*i*j*k*r*s*v*z* 题名与责任说明
203 R # # a*b*c* 内容形式和媒介类型
204 N # # a* 一般资料标识
205 R # # ab*d*f*g* 版本说明
206 R #01 #0 a*b*cde*f 资料特殊细节项：测绘资料数学数据
207 N # #01 a*z* 资料特殊细节项：连续出版物卷期编号
208 N # # ad* 资料特殊细节项：乐谱特别说明
210 R #0-2 #01 a*b*c*d*e*f*g*h*j*k*l*m*p*r*s* 出版发行项
211 N # # a 预定出版日期
214 R #0-3 #0-4 a*b*c*d*e*f*g*h*r*s* 出版、制作、发行、版权说明
215 R # # a*bcd*e*f 载体形态项
225 R #0-2 # ad*e*f*h*i*v*x*z* 丛编项
230 R # # a 资料特殊细节项：电子资源特征
231 R # # a*b*c*d*e*f*g*h*i*mnrstvwy* 数字文件特征
251 R # # a*b*c 资料组织与编排
260 R #01 #1-3 a-z* 资料特殊细节项：钱币
283 R # # a*bc*2 载体类型
300 R #0 # a 一般性附注
301 R # # a 标识号附注
302 R # # a 编码信息附注
303 R # # a 著录信息一般性附注
304 R # # a 题名与责任说明附注
305 R # # a 版本与书目沿革附注
306 R # # a 出版发行附注
307 R # # a 载体形态附注
308 R # # a 丛编附注
309 R # # a 内容形式附注
310 R # # a 装订与获得方式附注
311 R # # a 连接字段附注
312 R # # a 相关题名附注
313 R # # a 主题附注
314 R # # a 知识责任附注
315 R # # a 资料特殊细节附注
316 R # # a*5u* 现有藏本附注
317 R # # a5u* 出处附注
318 R # # ab*c*d*e*f*h*i*j*k*l*n*o*p*r*u* 操作附注
320 R # # au* 书目、索引附注
321 R #01 # abcux 外部索引、文摘、参考书目附注
322 R # # a 制作者附注
323 R # # a 演出者附注
324 R # # a 原作版本附注
325 R #1 # abc*d*e*f*g*h*i*j*n*u*v*x*y*z* 复制品附注
326 R # # ab 连续出版物出版周期附注
327 R #0-2 #01 a*b*c*d*e*f*g*h*i*p*u*z* 内容附注
328 R # #01 abcdetuz* 学位论文附注
330 R # # ab*u* 提要或文摘附注
332 R # # a 优先引用格式附注
333 R # # a 使用对象附注
334 R # # ab*c*d*u* 获奖附注
335 R # # ab*c*f* 复制品位置附注
336 R # # a 电子资源类型附注
337 R # # au* 电子资源系统要求附注
338 R # #1 ab*c*d*e*f*g*h* 资助附注
339 R # # abcd 电子资源附注
340 R # # abcu 传记或历史附注
341 R # # abcdefgz 印刷资源附注
345 R # # a*b*c*d*u* 采访信息附注
346 R # # a*b* 增补与使用频率附注
360 R #0-3 #1-3 abu* 钱币著录附注
371 R #0-3 # abcdfuz 使用限制附注
393 R # # a 系统外字符附注
410 R # #0-2 a-z* 丛编
411 R # #0-2 a-z* 附属丛编
412 R # #0-2 a-z* 摘录自
413 R # #0-2 a-z* 摘录
421 R # #0-2 a-z* 补编
422 R # #0-2 a-z* 正编
423 R # #0-2 a-z* 合订、合刊
424 R # #0-2 a-z* 由其更新
425 R # #0-2 a-z* 更新
430 R # #0-2 a-z* 继承
431 R # #0-2 a-z* 部分继承
432 R # #0-2 a-z* 替代
433 R # #0-2 a-z* 部分替代
434 R # #0-2 a-z* 吸收
435 R # #0-2 a-z* 部分吸收
436 R # #0-2 a-z* 由……合并而成
437 R # #0-2 a-z* 分自
440 R # #0-2 a-z* 由……继承
441 R # #0-2 a-z* 由……部分继承
442 R # #0-2 a-z* 由……替代
443 R # #0-2 a-z* 由……部分替代
444 R # #0-2 a-z* 并入
445 R # #0-2 a-z* 部分并入
446 R # #0-2 a-z* 分成
447 R # #0-2 a-z* 与……合并而成
448 R # #0-2 a-z* 改回
451 R # #0-2 a-z* 同一载体其他版本
452 R # #0-2 a-z* 不同载体其他版本
453 R # #0-2 a-z* 译为
454 R # #0-2 a-z* 译自
455 R # #0-2 a-z* 复制自
456 R # #0-2 a-z* 复制为
461 R # #0-2 a-z* 总集
462 R # #0-2 a-z* 分集
463 R # #0-2 a-z* 单册
464 R # #0-2 a-z* 单册分析
470 R # #0-2 a-z* 被评论作品
481 R # #0-2 a-z* 还装订有
482 R # #0-2 a-z* 与……合装
488 R # #0-2 a-z* 其他相关作品
500 R #01 #01 ab*h*i*j*kl*mn*q*r*s*uvwx*y*z* 统一题名
501 R #0-2 # ab*ehij*kmr*s*uwx*y*z* 作品集统一题名
503 R #01 #01 ab*d*e*fghij*klmno 统一惯用标目
506 R #01 # acdefgh*i*jk*lmnopqr*s*u 优选检索点：作品
507 R #01 # acdefgh*i*jk*lmnopqr*s*uv*w* 优选检索点：内容表达
510 R #01 # ae*h*i*jnz 并列正题名
511 R #01 # aehijn 半题名
512 R #01 # ae*hi*n 封面题名
513 R #01 # ae*h*i*jnz 附加题名页题名
514 R #01 # ae*hijn 卷端题名
515 R #01 # aehijn 逐页题名
516 R #01 # ae*hijn 书脊题名
517 R #01 # ae*h*i*j*n*z* 其他题名
518 R #01 # ae*n 现代标准书写题名
520 R #01 # ae*h*i*jnx 前题名
530 R #01 #01 abjv 识别题名
531 R #01 # abv 缩略题名
532 R #01 #0-3 az 展开题名
540 R #01 # ae*h*i* 编目员补充的附加题名
541 R #01 # ae*h*i*z 编目员补充的翻译题名
545 R #01 # ah*i* 分部题名
560 R #01 # ae* 人工题名
576 R #01 #01 acdefhijk*r*s*tuxyz 名称/检索点：作品识别
577 R #01 #01 acdefhijk*lmnor*s*tuvwxyz 名称/检索点：内容表达识别
600 R #0-2 #0-2 abc*dfgj*ptx*y*z* 个人名称主题
601 R #01 #0-2 ab*c*defgh*j*tx*y*z* 团体名称主题
602 R #0-2 #0-2 afj*tx*y*z* 家族名称主题
604 R #0-2 #01 at*b*c*d*f*g*h*i*j*k*l*m*n*q*r*s*u*w*x*y*z* 名称和题名主题
605 R #0-2 # ah*i*j*klmn*qr*s*uwx*y*z* 题名主题
606 R #0-2 #0-2 aj*x*y*z* 学科名称主题
607 R #0-2 #0-2 aj*x*y*z* 地理名称主题
608 R #0-2 #0-2 aj*x*y*z* 形式、类型或物理特征检索点
610 R #0-2 #0-2 a* 非控主题词
615 R #0-2 # a*m*n*x* 主题类别
616 R # #0-2 ac*fj*x*y*z* 商标主题
617 R # # a*b*c*d*e*f*g*h*ik*m*n*o*s* 等级地理名称
620 R #0-5 #01 a*b*c*d*e*f*g*h*i*k*m*n*o*s* 地点检索点
621 R #0-5 #01 a*b*c*d*e*f*g*h*i*k*m*n*o* 地点和日期检索点
623 R # # abc 人物检索点
626 R # # abc 技术细节检索点
631 R # # abj*x*y*z* 职业检索点
632 R # # aj*x*y*z* 职能检索点
660 R # # a 地区代码
661 R # # a 年代范围代码
670 R # # bce*z 保留文脉索引 (PRECIS)
675 R # # avz 国际十进分类法分类号 (UDC)
676 R # # avz 杜威十进分类法分类号 (DDC)
680 R # # abv 国会图书馆分类法分类号 (LCC)
686 R # # a*b*c*v2 国外其他分类法分类号
690 R # # av 中国图书馆分类法分类号
692 R # # av 中国科学院图书馆图书分类法分类号
694 R # # av 中国人民大学图书馆图书分类法分类号
696 R # # abcv 国内其他分类法分类号
700 N # #01 abc*dfgk*po*4* 个人名称：主要知识责任
701 R # #01 abc*dfgk*po*4* 个人名称：等同知识责任
702 R # #01 abc*dfgk*po*r*4* 个人名称：次要知识责任
703 R # #0-2 abcdfgk*po*4* 个人名称：来源或所有
710 N #01 #0-2 ab*c*d*efg*hpo*4* 团体名称：主要知识责任
711 R #01 #0-2 ab*c*d*efg*hpo*4* 团体名称：等同知识责任
712 R #01 #0-2 ab*c*d*efg*hpo*r*4* 团体名称：次要知识责任
713 R #01 #0-2 ab*c*d*efg*hp4* 团体名称：来源或所有
716 R # # ac*fo* 商标
720 N # # acd*fo*4* 家族名称：主要知识责任
721 R # # acd*fo*4* 家族名称：等同知识责任
722 R # # acd*fo*r*4* 家族名称：次要知识责任
723 R # # acd*fo*4* 家族名称：其他知识责任
730 R #0-2 #01 a4* 名称：知识责任
740 N #01 #12 ab*c*d*e*f*hi*j*k*l*n*ot 统一惯用标目：知识责任
741 R #01 #12 ab*c*d*e*f*hi*j*k*l*n*ot 统一惯用标目：知识责任
742 R #01 #12 ab*c*d*e*f*hi*j*k*l*n*ot 统一惯用标目：知识责任
801 R # #0-3 abcg*h2 记录来源
802 N # # a ISSN 中心
830 R # # a 编目员一般附注
850 R # # a*b* 馆藏机构
852 R #0-8 #0-2 a*b*c*d*e*f*gh*i*jk*l*m*npq*st*x*y*z* 馆藏位置与索书号
856 R #0-47 #0-24 a*b*c*d*e*f*g*h*ijk*l*m*nop*q*r*s*t*u*v*w*x*y*z* 电子资源地址与检索
886 R #0-3 # a-z* 源格式数据
905 R #0-9 #0-9 a-z* 馆藏信息
"""

# Holdings within a bibliographic record, which another format defines: not checked.
UNCHECKED = frozenset((
    "853", "854", "855", "863", "864", "865", "866", "867", "868", "876", "877", "878",
))  # fmt: skip

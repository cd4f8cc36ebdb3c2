"""The search pages as a browser without JavaScript has them."""

from __future__ import annotations

import re
from urllib.parse import quote

import pytest

from tests.harness import RunningServer
from tests.pages.plain_browser import PlainBrowser, active_content, outside_references


@pytest.fixture
def browser(demo: RunningServer) -> PlainBrowser:
    return PlainBrowser(demo)


# Who gets a page


def test_a_browser_gets_the_search_page(browser: PlainBrowser) -> None:
    page = browser.get("/")
    assert page.status == 200
    assert page.headers.get_content_type() == "text/html"
    assert page.one("//h1") == "Lianmu 联目"
    assert "西文图书 Western 138 records" in page.all("//ul[@class='databases']/li")


@pytest.mark.parametrize("accept", ["*/*", "application/xml", "application/xml, text/html"])
@pytest.mark.parametrize("path", ["/", "/we_cat"])
def test_a_library_system_gets_sru(browser: PlainBrowser, accept: str, path: str) -> None:
    page = browser.get(path, accept=accept)
    assert page.headers.get_content_type() == "application/xml"
    assert b"explain" in page.body


@pytest.mark.parametrize(
    "path", ["/?operation=explain&version=1.2", "/we_cat?query=title%3Dx&version=1.2"]
)
def test_a_browser_that_asks_for_sru_gets_sru(browser: PlainBrowser, path: str) -> None:
    assert browser.get(path).headers.get_content_type() == "application/xml"


def test_a_head_request_is_answered_without_a_body(browser: PlainBrowser) -> None:
    page = browser.get("/?q=knuth", method="HEAD")
    assert (page.status, page.body) == (200, b"")


EVERY_PAGE = (
    "/", "/we_cat", "/?q=knuth", "/?q=xyzzy", "/?q=a%3D%3D%3D&in=cql", "/nowhere", "/-/sign-in",
    "/we_cat/record/LMW0000003", "/we_cat/record/LMW0000003?view=marc", "/we_cat/record/none",
)  # fmt: skip


@pytest.mark.parametrize("path", EVERY_PAGE)
def test_every_page_is_whole_by_itself(browser: PlainBrowser, path: str) -> None:
    page = browser.get(path)
    assert active_content(page) == []
    assert outside_references(page) == []
    policy = page.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; style-src 'self';")
    assert "'unsafe" not in policy
    assert "script-src" not in policy
    assert page.headers["X-Content-Type-Options"] == "nosniff"
    assert page.headers["Cache-Control"] == "no-store"
    (style,) = page.tree.xpath("//link[@rel='stylesheet']/@href")
    sheet = browser.get(str(style))
    assert (sheet.status, sheet.headers.get_content_type()) == (200, "text/css")
    assert "immutable" in sheet.headers["Cache-Control"]
    assert not re.search(r"url\(|@import", sheet.text)


@pytest.mark.parametrize("path", EVERY_PAGE)
def test_every_page_can_be_used_by_ear_and_by_keyboard(browser: PlainBrowser, path: str) -> None:
    page = browser.get(path)
    tree = page.tree
    assert tree.get("lang") == "en"
    assert page.one("//title")
    assert len(page.all("//h1")) == 1
    assert page.one("//a[@class='skip']/@href") == "#content"
    ids = page.all("//@id")
    assert len(ids) == len(set(ids))
    labels = set(page.all("//label/@for"))
    for field in tree.xpath("//input[not(@type='hidden')] | //select"):
        assert field.get("id") in labels
    for name in ("aria-labelledby", "aria-describedby"):
        for reference in page.all(f"//@{name}"):
            assert set(reference.split()) <= set(ids)
    assert all(page.all("//a | //button")), "a link or button without a text"


# Searching


@pytest.mark.parametrize(
    ("path", "hits"),
    [
        ("/we_cat?q=knuth&in=author", 5),
        ("/?q=红楼梦&in=title&db=cn_cat", 4),
        ("/cn_cat?q=hongloumeng", 3),
        ("/?q=0-262-03384-4&in=isn", 1),
        ("/?q=LMW0000003&in=number", 1),
        ("/?q=QA76.6&in=class", 12),
        ("/we_cat?q=algorith*&in=title", 7),
        ('/we_cat?q="art of computer programming"', 4),
        ('/?q="computer art of programming"', 0),
        ("/we_cat?q=dc.creator%3Dknuth and title%3Dprogramming&in=cql", 4),
        ("/ancient?q=*", 12),
        ("/cn_cat?q=*&library=demo3", 4),
    ],
)
def test_each_field_finds_what_it_should(browser: PlainBrowser, path: str, hits: int) -> None:
    page = browser.get(quote(path, safe="/?&=%*"))
    assert page.status == 200
    assert page.hits == hits
    assert len(page.all("//ol[@class='lines']/li")) == hits


def test_a_database_can_be_looked_through(browser: PlainBrowser) -> None:
    page = browser.get(browser.get("/").link("12 records"))
    assert (page.status, page.hits) == (200, 12)


def test_a_line_says_what_one_chooses_by(browser: PlainBrowser) -> None:
    page = browser.get("/we_cat?q=9780262033848&in=isn")
    line = page.one("//ol[@class='lines']/li")
    assert line.startswith("Introduction to algorithms Cormen, Thomas H.; Leiserson, Charles E.;")
    assert line.endswith("MIT Press, 2009 西文图书 Western · Held by 3 libraries")


def test_the_form_searches_and_shows_what_was_asked(browser: PlainBrowser) -> None:
    page = browser.submit(browser.get("/"), "/", q="knuth", db="we_cat", **{"in": "author"})
    assert page.url.endswith("/we_cat?q=knuth&in=author")
    assert page.hits == 5
    chosen = page.all("//form[@role='search']//option[@selected]/@value")
    assert chosen == ["author", "we_cat"]
    assert page.one("//input[@id='q']/@value") == "knuth"


def test_pages_follow_one_another_and_repeat_nothing(browser: PlainBrowser) -> None:
    page = browser.get("/we_cat?type=book&sort=title")
    assert page.hits > 100
    seen: list[str] = []
    first = 1
    while True:
        assert page.one("//ol/@start") == str(first)
        lines = page.all("//ol[@class='lines']/li/h2/a/@href")
        seen += lines
        first += 20
        following = page.all("//a[@rel='next']/@href")
        if not following:
            break
        assert len(lines) == 20
        page = browser.get(following[0])
    assert len(seen) == len(set(seen)) == page.hits
    assert page.one("//a[@aria-current='page']/@aria-label").startswith("Page ")
    beyond = browser.get("/we_cat?type=book&sort=title&page=9999")
    assert beyond.url == page.url


@pytest.mark.parametrize(("sort", "backwards"), [("newest", True), ("oldest", False)])
def test_results_come_in_the_order_of_years(
    browser: PlainBrowser, sort: str, backwards: bool
) -> None:
    page = browser.get("/we_cat?q=knuth&in=author")
    page = browser.submit(page, "/we_cat", sort=sort)
    years = [
        match[1]
        for line in page.all("//ol[@class='lines']/li")
        if (match := re.search(r", (\d{4}) 西文图书", line))
    ]
    assert len(years) == page.hits == 5
    assert years == sorted(years, reverse=backwards)


# Narrowing


@pytest.mark.parametrize("path", ["/?q=history", "/cn_cat?q=%E7%BA%A2%E6%A5%BC%E6%A2%A6"])
def test_every_count_is_what_following_it_finds(browser: PlainBrowser, path: str) -> None:
    page = browser.get(path)
    values = page.tree.xpath("//aside[@id='narrow']//li")
    assert len(values) > 5
    for value in values:
        (link,) = value.iter("a")
        (count,) = value.xpath("span[@class='n']/text()")
        narrowed = browser.get(link.get("href"))
        assert narrowed.hits == int(str(count)), link.text_content()
        assert narrowed.all("//section[@class='picks']//li")


def test_what_narrows_can_be_taken_back(browser: PlainBrowser) -> None:
    page = browser.get("/?q=history")
    before = page.hits
    narrowed = browser.get(browser.get(page.link("English")).link("1992"))
    assert narrowed.hits < before
    assert narrowed.all("//section[@class='picks']//li/a/@aria-label") == [
        "Take back: Language English",
        "Take back: Year 1992",
    ]
    without_year = browser.get(narrowed.link("Year 1992 ×"))
    assert without_year.hits == browser.get(page.link("English")).hits
    assert browser.get(narrowed.link("Take all back")).hits == before


def test_a_chosen_value_is_shown_as_records_write_it(browser: PlainBrowser) -> None:
    page = browser.get("/?q=algorithms")
    narrowed = browser.get(page.link("Cormen, Thomas H."))
    assert narrowed.link("Author Cormen, Thomas H. ×")


# Languages


def test_the_page_speaks_the_browser_s_language(demo: RunningServer) -> None:
    page = PlainBrowser(demo, "zh-CN,zh;q=0.9").get("/?q=history")
    assert page.tree.get("lang") == "zh-CN"
    assert page.one("//h1") == "15 条结果"
    assert page.link("英语")


def test_the_language_can_be_switched_and_is_remembered(browser: PlainBrowser) -> None:
    page = browser.get("/we_cat?q=knuth&in=author")
    switched = browser.get(page.link("中文"))
    assert switched.url == page.url
    assert switched.one("//h1") == "5 条结果"
    assert browser.get("/").tree.get("lang") == "zh-CN"
    assert browser.get(browser.get("/").link("English")).tree.get("lang") == "en"


def test_titles_say_in_which_language_they_are(browser: PlainBrowser) -> None:
    page = browser.get("/jp_cat?type=book")
    assert set(page.all("//ol[@class='lines']//h2/a/@lang")) == {"ja"}


# Records


def test_a_record_is_described_field_by_field(browser: PlainBrowser) -> None:
    page = browser.get("/we_cat/record/LMW0000003")
    assert page.one("//h1") == "Introduction to algorithms"
    fields = dict(zip(page.all("//dl/div/dt"), page.all("//dl/div"), strict=True))
    assert fields["Published"] == "Published Cambridge, Massachusetts : MIT Press, 2009"
    assert fields["Language"] == "Language English"
    assert page.all("//table[@class='holdings']//tr/th[@scope='row']") == [
        "First demo library", "Second demo library", "Third demo library",
    ]  # fmt: skip
    assert "QA76.6 .C67 2009" in page.all("//table[@class='holdings']//td")
    assert page.one("//link[@rel='canonical']/@href") == f"{browser.root}/we_cat/record/LMW0000003"


def test_an_author_leads_to_what_else_there_is(browser: PlainBrowser) -> None:
    page = browser.get("/we_cat/record/LMW0000003")
    assert browser.get(page.link("Cormen, Thomas H.")).hits >= 4
    assert browser.get(page.link("Computer algorithms")).hits >= 4


def test_every_link_of_a_description_finds_something(browser: PlainBrowser) -> None:
    for database in ("cn_cat", "we_cat", "jp_cat", "ru_cat", "ancient"):
        for path in browser.get(f"/{database}?type=book").all("//h2/a/@href")[:3]:
            for link in browser.get(path).all("//dl[@class='fields']//a/@href"):
                assert browser.get(link).hits >= 1, (path, link)


def test_every_record_of_a_page_of_results_opens(browser: PlainBrowser) -> None:
    for database in ("cn_cat", "we_cat", "jp_cat", "ru_cat", "ancient"):
        for path in browser.get(f"/{database}?type=book").all("//h2/a/@href")[:5]:
            page = browser.get(path)
            assert page.status == 200
            assert page.all("//dl[@class='fields']//dt")


def test_the_address_is_the_same_however_the_database_is_named(browser: PlainBrowser) -> None:
    for name in ("WE_CAT", "Default"):
        assert browser.get(f"/{name}/record/LMW0000003").url.endswith("/we_cat/record/LMW0000003")


# What goes wrong


def test_nothing_found_comes_with_a_way_on(browser: PlainBrowser) -> None:
    page = browser.get("/we_cat?q=红楼梦&in=author".replace("红楼梦", quote("红楼梦")))
    assert page.status == 200
    assert page.one("//h1") == "Nothing was found"
    assert browser.get(page.link("Search in all fields")).url.endswith("%E6%A2%A6")
    assert "/?q=" in browser.get(page.link("Search in all databases")).url


@pytest.mark.parametrize(
    ("path", "status", "message"),
    [
        ("/nowhere", 404, "There is no database “nowhere”."),
        ("/nowhere/record/1", 404, "There is no database “nowhere”."),
        ("/we_cat/record/none", 404, "There is no record none in this database"),
        ("/cn_cat/record/LMW0000003", 404, "There is no record LMW0000003 in this database"),
        ("/?in=cql&q=colour%3Dred", 400, "Unsupported index: colour (at character 1)"),
        ("/?in=cql&q=title%3D", 400, "at character"),
        ("/?q=" + "x" * 501, 400, "longer than 500 characters"),
        ("/?q=x&" + "&".join(f"year={n}" for n in range(13)), 400, "by more than 12 values"),
    ],
)
def test_an_error_is_a_page_that_says_why(
    browser: PlainBrowser, path: str, status: int, message: str
) -> None:
    page = browser.get(path)
    assert page.status == status
    assert page.headers.get_content_type() == "text/html"
    assert message in " ".join(page.tree.text_content().split())


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("colour=red", "没有这个检索点：colour（第 1 个字符处）"),
        ("title = (", "检索式语法错误（第 9 个字符处）"),
        ('title = "red', "引号不配对（第 9 个字符处）"),
        ("title < red", "该检索点不支持这种关系：title <（第 1 个字符处）"),
        ('dc.date within "abc def"', "关系符与检索词不能这样组合：abc"),
    ],
)
def test_a_chinese_reader_is_told_in_chinese_why_a_query_fails(
    browser: PlainBrowser, query: str, message: str
) -> None:
    page = browser.get("/?lang=zh&in=cql&q=" + quote(query))
    assert page.status == 400
    assert page.one("//section[@role='alert']/p[1]") == message


def test_the_place_of_a_fault_is_marked(browser: PlainBrowser) -> None:
    page = browser.get("/?in=cql&q=" + quote("title = red and colour = blue"))
    assert page.one("//code") == "title = red and colour = blue"
    assert page.one("//mark") == "c"

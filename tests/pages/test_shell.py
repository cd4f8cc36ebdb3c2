"""What the shell does for every page: who may see it, forms, sessions and their end."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiohttp import CookieJar, encode_basic_auth, web
from aiohttp.test_utils import TestClient, TestServer

from server.access_control.access import SignIn
from server.access_control.permissions import Operation
from server.access_control.sessions import Sessions
from server.config import Config, load_config
from server.service import Service
from server.web.forms import Form
from server.web.navigation import member_may
from server.web.shell import Shell, Visit
from server.web.sign_in_pages import SignInPages
from store.accounts import Accounts
from store.members import Members
from store.membership import Membership

Client = TestClient[web.Request, web.Application]


@pytest.fixture
def members(tmp_path: Path) -> Iterator[Members]:
    members = Members(tmp_path / "data" / "members.sqlite", create=True)
    members.add_member("LIB", "Library", "lib", 1)
    members.add_account("admin", "admin", None, 1)
    yield members
    members.close()


@pytest.fixture
def config(tmp_path: Path, members: Members) -> Config:
    path = tmp_path / "config.toml"
    path.write_text("[access]\nanonymous = true\n[http]\nsession_idle_s = 600.0\n")
    return load_config(path)


@asynccontextmanager
async def visited(
    config: Config, clock: Any = None, meanwhile: Callable[[], object] | None = None
) -> AsyncIterator[Client]:
    """A browser at a server with two pages: one of the console, one of a member."""
    sign_in = SignIn(config.members_path, config.access)
    service = cast(Service, SimpleNamespace(config=config, sign_in=sign_in, sessions=Sessions(0)))
    shell = Shell(config, service)
    if clock is not None:
        shell.sessions._clock = clock

    async def page(request: web.Request, visit: Visit) -> web.StreamResponse:
        values = {"message": visit.who.account}
        return shell.render(request, visit, "problem.html", values)

    async def take(request: web.Request, visit: Visit, form: Form) -> web.StreamResponse:
        if form["name"] == "fail":
            raise RuntimeError("not to be shown")
        count = int(str(form["name"]))
        return shell.see_other(
            request, visit, "/-/my/overview", "of_many", first=1, last=2, count=count
        )

    app = web.Application()
    SignInPages(shell).add_routes(app)

    async def standing(request: web.Request, visit: Visit) -> web.StreamResponse:
        """As a long answer does: say who asks before and after something happened."""
        before = shell.standing(request, visit)
        if meanwhile is not None:
            meanwhile()
        after = shell.standing(request, visit)
        return web.json_response([each.account if each else None for each in (before, after)])

    shell.get(app, "/", page, lambda _: True)
    shell.get(app, "/standing", standing, lambda _: True)
    shell.get(app, "/-/console/members", page, Operation.MEMBERS_READ)
    mine = member_may(Operation.QUOTA_READ)
    shell.get(app, "/-/my/overview", page, mine)
    shell.post(app, "/-/my/overview", take, mine)
    jar = CookieJar(unsafe=True)
    async with TestClient(TestServer(app), cookie_jar=jar) as client:
        yield client
    shell.close()
    sign_in.close()


async def get(client: Client, path: str) -> tuple[int, str]:
    async with client.get(path, headers={"Accept-Language": "en"}) as response:
        return response.status, await response.text()


async def post(client: Client, path: str, **fields: str) -> tuple[int, str]:
    async with client.post(path, data=fields, headers={"Accept-Language": "en"}) as response:
        return response.status, await response.text()


def token(page: str) -> str:
    found = re.search(r'name="token" value="([^"]+)"', page)
    assert found is not None
    return found[1]


async def sign_in(client: Client, account: str, password: str | None = None) -> str:
    """The page that the form leads to."""
    form = token((await get(client, "/-/sign-in"))[1])
    status, page = await post(
        client, "/-/sign-in", account=account, password=password or account, token=form
    )
    assert status == 200
    return page


def sections(page: str) -> list[str]:
    return re.findall(r'<li><a href="([^"]+)"', page)


async def test_a_page_is_for_those_who_may_see_it(config: Config) -> None:
    async with visited(config) as client:
        for path in ("/-/console/members", "/-/my/overview"):
            status, page = await get(client, path)
            assert (status, "Please sign in" in page) == (403, True)
            assert f'name="next" value="{path}"' in page
        page = await sign_in(client, "lib")
        assert sections(page) == ["/-/my/overview"]
        assert (await get(client, "/-/my/overview"))[0] == 200
        status, page = await get(client, "/-/console/members")
        assert (status, "only operators of the consortium may list members" in page) == (403, True)
        await post(client, "/-/sign-out", token=token(page))
        page = await sign_in(client, "admin")
        assert sections(page) == ["/-/console/members"]
        assert (await get(client, "/-/console/members"))[0] == 200
        status, page = await get(client, "/-/my/overview")
        assert (status, "not allowed to see this page" in page) == (403, True)


async def test_who_may_not_search_may_still_see_their_own_pages(
    config: Config, members: Members
) -> None:
    Accounts(members).set_rights("lib", ["holdings"], 2, who="admin", reason="robot")
    async with visited(config) as client:
        await sign_in(client, "lib")
        assert (await get(client, "/-/my/overview"))[0] == 200


async def test_a_form_is_taken_from_a_page_of_the_session_alone(config: Config) -> None:
    async with visited(config) as client:
        await sign_in(client, "lib")
        page = (await get(client, "/-/my/overview"))[1]
        for wrong in ({}, {"token": ""}, {"token": "x"}, {"token": token(page)[:-1]}):
            status, answer = await post(client, "/-/my/overview", name="7", **wrong)
            assert (status, "expired" in answer) == (403, True)
        async with visited(config) as other:
            await sign_in(other, "lib")
            theirs = token((await get(other, "/-/my/overview"))[1])
        assert (await post(client, "/-/my/overview", name="7", token=theirs))[0] == 403
        assert (await post(client, "/-/my/overview", name="7", token=token(page)))[0] == 200


@pytest.mark.parametrize("path", ["/-/my/overview", "/-/sign-in"])
@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("multipart/form-data", b"x"),
        ("multipart/form-data; boundary=x", b"--x\r\nbroken"),
        ("multipart/form-data; boundary=x", b"--y\r\n\r\n"),
        (
            "multipart/form-data; boundary=x",
            b'--x\r\nContent-Disposition: form-data; name="a"\r\n'
            b"Content-Transfer-Encoding: rot13\r\n\r\nb\r\n--x--\r\n",
        ),
        ("application/x-www-form-urlencoded", b"\xff"),
        ("application/x-www-form-urlencoded; charset=nosuch", b"a=1"),
    ],
)
async def test_what_is_no_form_is_told_so(
    config: Config, path: str, kind: str, body: bytes
) -> None:
    async with visited(config) as client:
        await sign_in(client, "lib")
        headers = {"Accept-Language": "en", "Content-Type": kind}
        async with client.post(path, data=body, headers=headers) as response:
            page = await response.text()
    assert (response.status, "could not be read" in page) == (400, True)


async def test_the_page_after_a_form_says_once_what_was_done(config: Config) -> None:
    async with visited(config) as client:
        page = await sign_in(client, "lib")
        status, page = await post(client, "/-/my/overview", name="1234", token=token(page))
        assert status == 200
        assert '<p class="notice done" role="status">1–2 of 1,234</p>' in page
        assert "1,234" not in (await get(client, "/-/my/overview"))[1]


async def test_a_page_that_fails_says_so_and_not_why(config: Config) -> None:
    async with visited(config) as client:
        page = await sign_in(client, "lib")
        status, page = await post(client, "/-/my/overview", name="fail", token=token(page))
        assert status == 500
        assert "cannot answer at present" in page
        assert "not to be shown" not in page


async def test_a_program_reads_pages_with_a_password_and_sends_no_forms(config: Config) -> None:
    async with visited(config) as client:
        headers = {"Authorization": "Basic YWRtaW46YWRtaW4="}  # admin:admin
        async with client.get("/-/console/members", headers=headers) as response:
            assert response.status == 200
        headers = {"Authorization": "Basic bGliOmxpYg=="}  # lib:lib
        async with client.post("/-/my/overview", headers=headers, data={"name": "1"}) as response:
            assert response.status == 403


# What ends a session


async def test_a_session_that_is_not_used_is_over(config: Config) -> None:
    now = [1_800_000_000.0]
    async with visited(config, lambda: now[0]) as client:
        await sign_in(client, "lib")
        for _ in range(5):
            now[0] += 500
            assert (await get(client, "/-/my/overview"))[0] == 200
        now[0] += 601
        assert (await get(client, "/-/my/overview"))[0] == 403


async def test_signing_out_makes_copies_of_the_cookie_worthless(config: Config) -> None:
    async with visited(config) as client:
        page = await sign_in(client, "lib")
        copy = {cookie.key: cookie.value for cookie in client.session.cookie_jar}
        await post(client, "/-/sign-out", token=token(page))
        client.session.cookie_jar.update_cookies(copy)
        status, page = await get(client, "/-/my/overview")
        assert (status, "Please sign in" in page) == (403, True)


async def test_another_password_ends_sessions(config: Config, members: Members) -> None:
    async with visited(config) as client:
        await sign_in(client, "lib")
        Accounts(members).set_password("lib", "better", 2, who="admin")
        status, page = await get(client, "/-/my/overview")
        assert (status, "Your session has ended" in page) == (403, True)
        await sign_in(client, "lib", "better")
        assert (await get(client, "/-/my/overview"))[0] == 200


async def test_an_operator_s_session_ends_with_another_password(
    config: Config, members: Members
) -> None:
    async with visited(config) as client:
        await sign_in(client, "admin")
        members.set_password("admin", "better")
        assert (await get(client, "/-/console/members"))[0] == 403


async def test_an_account_that_is_removed_is_out_though_it_comes_again(
    config: Config, members: Members
) -> None:
    accounts = Accounts(members)
    accounts.add("LIB", "second", "second", 2, rights=["search"], who="admin")
    async with visited(config) as client:
        await sign_in(client, "second")
        accounts.remove("second", 3, who="admin", reason="left")
        assert (await get(client, "/-/my/overview"))[0] == 403
        accounts.add("LIB", "second", "second", 4, rights=["search"], who="admin")
        assert (await get(client, "/-/my/overview"))[0] == 403


async def test_a_suspension_ends_sessions_for_good(config: Config, members: Members) -> None:
    async with visited(config) as client:
        await sign_in(client, "lib")
        Membership(members).suspend("LIB", 2, who="admin", reason="unpaid")
        status, page = await get(client, "/-/my/overview")
        assert (status, "is not active" in page) == (403, True)
        Membership(members).restore("LIB", 3, who="admin", reason="paid")
        status, page = await get(client, "/-/my/overview")
        assert (status, "Your session has ended" in page) == (403, True)
        await sign_in(client, "lib")
        assert (await get(client, "/-/my/overview"))[0] == 200


async def test_a_long_answer_learns_that_its_session_has_ended(
    config: Config, members: Members
) -> None:
    now = [1_800_000_000.0]
    happenings: list[Callable[[], object]] = [
        lambda: None,
        lambda: now.__setitem__(0, now[0] + 601),
        lambda: Membership(members).suspend("LIB", 2, who="admin", reason="unpaid"),
    ]
    for happening, after in zip(happenings, ("lib", None, None), strict=True):
        async with visited(config, lambda: now[0], happening) as client:
            await sign_in(client, "lib")
            async with client.get("/standing") as response:
                assert await response.json() == ["lib", after]


async def test_a_long_answer_to_a_program_ends_with_its_account(
    config: Config, members: Members
) -> None:
    removal = Accounts(members)
    removal.add("LIB", "second", "second", 2, rights=["search"], who="admin")

    def remove() -> None:
        removal.remove("second", 3, who="admin", reason="left")

    async with visited(config, meanwhile=remove) as client:
        headers = {"Authorization": encode_basic_auth("second", "second")}
        async with client.get("/standing", headers=headers) as response:
            assert await response.json() == ["second", None]

"""A coroutine starts at once and becomes a task only when it waits."""

from __future__ import annotations

import asyncio

import pytest

from server import eager


async def test_a_coroutine_that_never_waits_is_done_at_once() -> None:
    seen: list[int] = []

    async def work() -> None:
        seen.append(1)

    assert eager.run(work()) is None
    assert seen == [1]


@pytest.mark.parametrize("ready_before", [True, False])
async def test_a_coroutine_that_waits_goes_on_as_a_task(ready_before: bool) -> None:
    seen: list[object] = []
    future = asyncio.get_running_loop().create_future()

    async def work() -> None:
        seen.append("start")
        seen.append(await future)
        await asyncio.sleep(0)
        seen.append(asyncio.current_task())

    task = eager.run(work())
    assert task is not None
    assert seen == ["start"]
    if not ready_before:
        await asyncio.sleep(0)
    future.set_result("value")
    await task
    assert seen == ["start", "value", task]


async def test_an_error_before_the_first_wait_is_raised_to_the_caller() -> None:
    async def work() -> None:
        raise KeyError("x")

    with pytest.raises(KeyError):
        eager.run(work())


async def test_a_failed_future_reaches_the_coroutine() -> None:
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    seen: list[str] = []

    async def work() -> None:
        try:
            await future
        except OSError as error:
            seen.append(str(error))

    task = eager.run(work())
    assert task is not None
    future.set_exception(OSError("disk"))
    await task
    assert seen == ["disk"]


async def test_cancelling_reaches_the_coroutine() -> None:
    cleaned: list[bool] = []

    async def work() -> None:
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            cleaned.append(True)

    task = eager.run(work())
    assert task is not None
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert cleaned == [True]


async def test_a_task_cancelled_before_its_first_turn_cleans_up() -> None:
    cleaned: list[bool] = []

    async def work() -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            cleaned.append(True)

    task = eager.run(work())
    assert task is not None
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert cleaned == [True]

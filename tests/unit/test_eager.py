"""A coroutine starts at once and becomes a task only when it waits."""

from __future__ import annotations

import asyncio
from collections.abc import Generator

import pytest

from server.z3950 import eager


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


class Resumable:
    """Waited for without a future, as the meter's calls are."""

    resume: object = None

    def __await__(self) -> Generator[object, None, None]:
        yield self


async def test_what_is_resumed_needs_no_task() -> None:
    seen: list[object] = []
    waited_for = Resumable()

    async def work() -> None:
        await waited_for
        seen.append(asyncio.current_task())
        await asyncio.sleep(0)
        seen.append("after a real wait")

    here = asyncio.current_task()
    assert eager.run(work()) is None
    assert callable(waited_for.resume)
    assert seen == []
    waited_for.resume()
    assert seen == [here]  # run by who resumed it
    await asyncio.sleep(0.01)
    assert seen == [here, "after a real wait"]


async def test_an_error_after_resuming_is_told_to_the_loop() -> None:
    told: list[object] = []
    waited_for = Resumable()
    asyncio.get_running_loop().set_exception_handler(
        lambda _loop, context: told.append(context["exception"])
    )

    async def work() -> None:
        await waited_for
        raise KeyError("x")

    eager.run(work())
    assert callable(waited_for.resume)
    waited_for.resume()
    assert [type(error) for error in told] == [KeyError]

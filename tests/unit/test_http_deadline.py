"""One timer for the time limits of all requests."""

from __future__ import annotations

import asyncio

import pytest

from server.http.deadline import Deadlines

LIMIT_S = 0.05


async def take(deadlines: Deadlines, seconds: float) -> str:
    try:
        with deadlines.begin():
            await asyncio.sleep(seconds)
    except TimeoutError:
        return "late"
    return "done"


async def test_each_has_its_own_limit_from_when_it_began() -> None:
    deadlines = Deadlines(LIMIT_S)
    loop = asyncio.get_running_loop()
    began_s = loop.time()

    async def later(start_s: float, seconds: float) -> tuple[str, float]:
        await asyncio.sleep(start_s)
        outcome = await take(deadlines, seconds)
        return outcome, loop.time() - began_s

    ended = await asyncio.gather(
        later(0.0, 60), later(0.0, 0.001), later(0.03, 60), later(0.03, 0.001), later(0.12, 60)
    )
    assert [outcome for outcome, _ in ended] == ["late", "done", "late", "done", "late"]
    for (_, at_s), start_s in zip(ended[::2], (0.0, 0.03, 0.12), strict=True):
        assert at_s >= start_s + LIMIT_S - 0.005


async def test_after_a_timeout_the_task_is_as_if_it_had_never_been_cancelled() -> None:
    deadlines = Deadlines(LIMIT_S)
    assert await take(deadlines, 60) == "late"
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0
    assert await take(deadlines, 0.001) == "done"
    await asyncio.sleep(2 * LIMIT_S)  # nothing is left that ends this


async def test_what_is_lifted_may_take_its_time() -> None:
    with Deadlines(LIMIT_S).begin() as deadline:
        deadline.lift()
        await asyncio.sleep(3 * LIMIT_S)
    assert not deadline.expired


async def test_who_is_cancelled_is_not_late() -> None:
    task = asyncio.create_task(take(Deadlines(LIMIT_S), 60))
    await asyncio.sleep(0.001)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_who_is_late_and_cancelled_at_once_is_cancelled() -> None:
    deadlines = Deadlines(60)

    async def both() -> None:
        with deadlines.begin() as deadline:
            task = asyncio.current_task()
            assert task is not None
            asyncio.get_running_loop().call_soon(deadline.expire)
            asyncio.get_running_loop().call_soon(task.cancel)
            await asyncio.sleep(60)

    with pytest.raises(asyncio.CancelledError):
        await asyncio.create_task(both())


async def test_another_failure_of_the_block_stays_what_it_is() -> None:
    with pytest.raises(ValueError, match="x"), Deadlines(LIMIT_S).begin():
        raise ValueError("x")

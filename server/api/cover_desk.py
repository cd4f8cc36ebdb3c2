"""Changes of cover images, one at a time in each worker, and who waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from aiohttp import hdrs

from server.api.problem import Kind, Refusal
from server.config import Config
from server.covers.keeping import CoverKeeper, CoverKept, CoverReason, CoverRefused
from server.covers.reading import CoverReader
from server.covers.sending import WAITING_MAX


class CoverDesk:
    """Of one worker: takes pictures one at a time, since each takes a second and much memory."""

    def __init__(self, config: Config) -> None:
        self.reader = CoverReader(config)
        self.keeper = CoverKeeper(config)
        self._turn = asyncio.Lock()
        self._waiting = 0

    async def change(self, work: Callable[[], CoverKept | CoverRefused]) -> CoverKept:
        """Carry out a change in a thread.

        Raises:
            Refusal: it was refused, or too many wait.
        """
        if self._waiting >= WAITING_MAX:
            raise Refusal(
                Kind.UNAVAILABLE, "Too many pictures wait; send it again later.",
                "等待处理的图片过多，请稍后重试。", headers={hdrs.RETRY_AFTER: "5"},
            )  # fmt: skip
        self._waiting += 1
        try:
            async with self._turn:
                outcome = await asyncio.to_thread(work)
        finally:
            self._waiting -= 1
        if isinstance(outcome, CoverRefused):
            raise _refusal(outcome)
        return outcome

    def close(self) -> None:
        self.reader.close()


_KINDS: Mapping[CoverReason, Kind] = {
    CoverReason.FORBIDDEN: Kind.RIGHT,
    CoverReason.NOT_OWN: Kind.NOT_OWN,
    CoverReason.BAD_PICTURE: Kind.INVALID,
    CoverReason.NO_RECORD: Kind.NOT_FOUND,
    CoverReason.NO_COVER: Kind.NOT_FOUND,
    CoverReason.UNAVAILABLE: Kind.UNAVAILABLE,
}


def _refusal(refused: CoverRefused) -> Refusal:
    kind = _KINDS[refused.reason]
    headers: dict[str, str] = {hdrs.RETRY_AFTER: "5"} if kind is Kind.UNAVAILABLE else {}
    return Refusal(kind, f"{refused.english}.", f"{refused.chinese}。", headers=headers)

"""The one door of all uploads: off the event loop, one after the other, durable when answered.

Z39.50 Update and SRU Record Update come through here; what they ask is a
`server.uploads.upload.Upload`, and what they are answered a `server.uploads.upload.Outcome`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from server.config import Config
from server.holdings.change import Change, MarcChange
from server.holdings.change import Outcome as HoldingOutcome
from server.holdings.change import Reason as HoldingReason
from server.holdings.change import Refused as HoldingRefused
from server.log import Log
from server.uploads.upload import Outcome, Reason, Refused, Upload
from server.uploads.uploading import Uploader

log = Log("lianmu.upload")
_BUSY = "too many uploads wait; send it again in a moment / 上传繁忙，请稍后重试"
_OUR_ERROR = "an error of this server / 服务器内部错误"
_Asked = TypeVar("_Asked")
_Answer = TypeVar("_Answer")


class Uploads:
    """Of one worker: a thread with a writing connection of its own, and who waits for it.

    The thread and its files come with the first upload. Other processes take turns
    with it at SQLite's lock.
    """

    def __init__(self, config: Config) -> None:
        self._uploader = Uploader(config)
        self._waiting_max = config.uploads.waiting_max
        self._waiting = 0
        self._thread: ThreadPoolExecutor | None = None

    async def apply(self, upload: Upload) -> Outcome:
        """Carry out an upload; what was done is on disk and found by every search.

        A caller that is cancelled meanwhile does not undo it: sending the same
        again tells what became of it.
        """
        if self._waiting >= self._waiting_max:
            return Refused(reason=Reason.BUSY, text=_BUSY)
        try:
            return await self._run(self._uploader.run, upload)
        except Exception as error:
            log.exception("upload failed", account=upload.principal.account, reason=str(error))
            return Refused(reason=Reason.UNAVAILABLE, text=_OUR_ERROR)

    async def hold(self, change: Change | MarcChange) -> HoldingOutcome:
        """Carry out a change of holdings, in turn with the uploads."""
        if self._waiting >= self._waiting_max:
            return HoldingRefused(reason=HoldingReason.BUSY, text=_BUSY)
        try:
            return await self._run(self._uploader.hold, change)
        except Exception as error:
            log.exception(
                "holding not changed", account=change.principal.account, reason=str(error)
            )
            return HoldingRefused(reason=HoldingReason.UNAVAILABLE, text=_OUR_ERROR)

    async def _run(self, work: Callable[[_Asked], _Answer], asked: _Asked) -> _Answer:
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="uploads")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work, asked)
        finally:
            self._waiting -= 1

    def close(self) -> None:
        """Finish what is begun and close the files; blocks."""
        if self._thread is not None:
            self._thread.submit(self._uploader.close).result()
            self._thread.shutdown()
            self._thread = None

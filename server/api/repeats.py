"""Requests that are sent again with the same Idempotency-Key, by whichever worker."""

from __future__ import annotations

from pathlib import Path

from aiohttp import hdrs

from server.api.problem import Kind, Refusal
from store.api_idempotency import ApiIdempotency, Kept, State

FILE_NAME = "api.sqlite"


class Repeats:
    """What was answered, and what is being answered. Its methods block on the disk."""

    def __init__(self, data_dir: Path) -> None:
        self._requests = ApiIdempotency(data_dir / FILE_NAME)

    def begin(self, who: str, key: str, digest: bytes, now_us: int) -> Kept | None:
        """The answer that is to be repeated; None: the request is new and has now begun.

        Raises:
            Refusal: the key stands for another request, or for one that is not answered yet.
            StoreError: the file cannot be written.
        """
        found = self._requests.begin(who, key, digest, now_us)
        if found.state is State.OTHER:
            raise Refusal(
                Kind.KEY_REUSED, f"The key {key} was sent with another request; make a new one.",
                f"幂等键 {key} 已用于另一请求，请更换。",
            )  # fmt: skip
        if found.state is State.RUNNING:
            raise Refusal(
                Kind.KEY_IN_USE, "The first request with this key is still being answered.",
                "使用同一幂等键的请求正在处理，请稍后重试。", headers={hdrs.RETRY_AFTER: "1"},
            )  # fmt: skip
        return found.kept

    def finish(self, who: str, key: str, status: int, headers: dict[str, str], body: bytes) -> None:
        self._requests.finish(who, key, Kept(status, headers, body))

    def forget(self, who: str, key: str) -> None:
        """The request was refused, or failed: it may be sent again, changed or not."""
        self._requests.forget(who, key)

    def close(self) -> None:
        self._requests.close()

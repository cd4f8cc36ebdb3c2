"""The board of all processes together with its past and with what they said last."""

from __future__ import annotations

from server.live.history import History
from server.live.recent import Recent
from server.metrics.registry import Board


class LiveBoard(Board):
    """Made by the supervisor before it forks, as its base is."""

    def __init__(self, workers: int) -> None:
        super().__init__(workers)
        self.history = History(workers)
        self.recent = Recent(workers)

"""The billed deliveries of the last seconds, kept so that folding need not look them up."""

from __future__ import annotations

from collections import deque

RECENT_MAX = 500_000  # deliveries; some 100 MB at the worst
VOIDED_MAX = 50_000

Key = tuple[str, int]  # institution, record_id


class RecentDeliveries:
    """Every billed delivery in the ledger that is stamped `since_us` or later.

    True for a ledger whose newest entry is number `seq`, and no longer once
    somebody else has appended.
    """

    def __init__(self, window_us: int) -> None:
        self.window_us = window_us
        self.seq = -1
        self.since_us = 0
        # (at_us, id) in ledger order; tuples, which the garbage collector need not watch.
        self.billed: dict[Key, tuple[tuple[int, str], ...]] = {}
        self.voided_us: dict[str, int] = {}  # when some of them were voided, by id
        # Of each in ledger order. Two columns, for a tuple a row would take as much again.
        self._times_us: deque[int] = deque()
        self._keys: deque[Key] = deque()

    def reset(self, seq: int, since_us: int) -> None:
        """Begin anew at a state of the ledger, of which `advance` is to tell the rest."""
        self.seq = seq
        self.since_us = since_us
        self.billed.clear()
        self.voided_us.clear()
        self._times_us.clear()
        self._keys.clear()

    def advance(
        self, seq: int, added: list[tuple[Key, int, str]], voided_us: dict[str, int]
    ) -> None:
        """What a committed transaction appended, up to entry `seq`."""
        self.seq = seq
        billed = self.billed
        for key, at_us, entry_id in added:
            known = billed.get(key)
            new = (at_us, entry_id)
            billed[key] = (*known, new) if known else (new,)
            self._times_us.append(at_us)
            self._keys.append(key)
        self.voided_us |= voided_us
        if len(self.voided_us) > VOIDED_MAX:  # most are of repeats, which nobody asks for
            ids = {entry_id for pairs in billed.values() for _, entry_id in pairs}
            self.voided_us = {each: at for each, at in self.voided_us.items() if each in ids}
        if added:
            self._forget(added[-1][1] - 2 * self.window_us)

    def _forget(self, before_us: int) -> None:
        """Drop what lies before a moment, and the oldest of too many."""
        times_us, keys = self._times_us, self._keys
        while times_us and (times_us[0] < before_us or len(times_us) > RECENT_MAX):
            at_us, key = times_us.popleft(), keys.popleft()
            self.since_us = max(self.since_us, at_us + 1)
            kept = []
            for pair in self.billed.get(key, ()):
                if pair[0] > at_us:
                    kept.append(pair)
                elif self.voided_us:
                    self.voided_us.pop(pair[1], None)
            if kept:
                self.billed[key] = tuple(kept)
            else:
                self.billed.pop(key, None)

"""Binance's L2 stream: when a change may be applied to the book.

Changes come before the REST snapshot that they build on. So they are kept until it comes; those it
already contains are dropped, the rest is applied in order, and each must follow the one before
without a gap. After a gap nothing is applied until the next snapshot. Where none comes the changes
are lost, and told.

Source: Binance, "How to manage a local order book correctly", for futures (``pu`` names the event
before) and for spot (``U`` is the ``u`` of the event before plus one).
"""

from __future__ import annotations

from collections import deque
from typing import Final, NamedTuple

from feeds.formats.gathering import Pairs

__all__ = ["Changes", "DepthSync"]

BUFFERED_MAX: Final = 4_096
"""Changes kept while waiting for a snapshot: 40 s of a busy stream. Older ones are lost."""


class Changes(NamedTuple):
    """One ``depthUpdate``: new sizes at prices, and which updates it covers (``first`` to
    ``last``)."""

    ts_ns: int
    ingest_ns: int
    first: int
    last: int
    before: int
    bids: Pairs
    asks: Pairs


class DepthSync:
    """Whether the next change of one symbol may be applied.

    Attributes:
        breaks: gaps met so far.
    """

    def __init__(self, spot: bool) -> None:
        self.spot = spot
        self.breaks = 0
        self._last: int | None = None
        self._joined = False
        self._waiting: deque[Changes] = deque()
        self._repeated: list[Changes] = []

    @property
    def synced(self) -> bool:
        """Whether a snapshot came and nothing was lost since."""
        return self._last is not None

    def may_follow(self, snapshot: int) -> bool:
        """Whether a snapshot of this id could belong to the changes that are waiting."""
        return bool(self._waiting) and self._waiting[0].first <= snapshot

    def accept(self, changes: Changes) -> bool:
        """Whether to apply these changes now; if not, they are kept or are out of date."""
        last = self._last
        if last is None:
            self._waiting.append(changes)
            return False
        if not self._joined:
            # Spot's first change must cover the update after the snapshot, futures' the snapshot
            # itself.
            oldest = last + 1 if self.spot else last
            if changes.last < oldest:
                return False
            follows = changes.first <= oldest
        elif self.spot:
            follows = changes.first == last + 1
        else:
            follows = changes.before == last
        if not follows and changes.last <= last:
            self._repeated.append(changes)
            return False
        if not follows:
            self.breaks += 1
            self._last = None
            self._joined = False
            self._waiting.append(changes)
            return False
        self._last = changes.last
        self._joined = True
        return True

    def repeated(self) -> list[Changes]:
        """Changes since the last call that a book in sync held already: they came twice."""
        repeated, self._repeated = self._repeated, []
        return repeated

    def lost(self, *, ended: bool = False) -> list[Changes]:
        """Changes, taken from those that wait, that no snapshot came for: the oldest of too many,
        or all of them where the stream has ended."""
        kept = 0 if ended else BUFFERED_MAX
        if len(self._waiting) <= kept:
            return []
        return [self._waiting.popleft() for _ in range(len(self._waiting) - kept)]

    def snapshot(self, update: int) -> tuple[bool, list[Changes]]:
        """Whether to take this image, and the waiting changes to apply after it.

        An image no newer than a book in sync is not taken: changes beyond it were applied already.
        """
        if self._last is not None and update <= self._last:
            return False, []
        self._last = update
        self._joined = False
        waiting = list(self._waiting)
        self._waiting.clear()
        return True, [changes for changes in waiting if self.accept(changes)]

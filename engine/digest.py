"""Chained digests: one number that says whether two output logs are the same, at any point of them.

A chain takes items in order and makes a link of every 4,096: ``link = sha256(previous link +
items)``. Its open tail is kept, so that it can be put into a snapshot and go on elsewhere.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Any, Final

import msgspec
import numpy as np
from msgspec import Struct

__all__ = ["Chain", "ChainState", "SampleChain"]

LINK_ITEMS: Final = 4_096


class ChainState(Struct):
    """The last link, what came after it, and how many items the chain has."""

    link: bytes = b""
    tail: bytearray = msgspec.field(default_factory=bytearray)
    open: int = 0
    items: int = 0


class Chain:
    """A chained sha256 over items of any size.

    The open tail is hashed as it comes, so that neither a link nor a digest takes longer than what
    came since: a link of events is a megabyte.
    """

    __slots__ = ("_running", "_state")

    def __init__(self) -> None:
        self.state = ChainState()

    @property
    def state(self) -> ChainState:
        """What a snapshot keeps; set, the chain goes on from there."""
        return self._state

    @state.setter
    def state(self, state: ChainState) -> None:
        self._state = state
        self._running = sha256(state.link + state.tail)

    def lines(self, text: bytes, count: int) -> None:
        """Take so many items of variable size, each ended by a line end."""
        while count > (room := LINK_ITEMS - self._state.open):
            *part, text = text.split(b"\n", room)
            self._take(b"\n".join(part) + b"\n", room)
            count -= room
        self._take(text, count)

    def records(self, data: bytes | memoryview, size: int) -> None:
        """Take items of ``size`` bytes each, one after the other."""
        start = 0
        while start < len(data):
            room = (LINK_ITEMS - self._state.open) * size
            part = data[start : start + room]
            self._take(part, len(part) // size)
            start += len(part)

    def note(self, data: bytes) -> None:
        """Take something that is no item: it counts for the digest, not for the links."""
        self._state.tail += data
        self._running.update(data)

    def _take(self, data: bytes | memoryview, items: int) -> None:
        state = self._state
        state.open += items
        state.items += items
        self._running.update(data)
        if state.open < LINK_ITEMS:
            state.tail += data
        else:
            state.link = self._running.digest()
            state.tail.clear()
            state.open = 0
            self._running = sha256(state.link)

    def digest(self) -> bytes:
        """The digest of everything taken so far."""
        return self._running.digest()


class SampleChain(Chain):
    """A chain over NAV samples: ``(ts_ns, mark, sequence)``, 24 bytes each.

    Samples wait as they came until there are enough of them for a link, or somebody asks: a block
    of few samples costs nothing but its place in the queue. ``settle`` before looking at ``state``.
    """

    __slots__ = ("_waiting", "_waiting_items")

    def __init__(self) -> None:
        super().__init__()
        self._waiting: list[tuple[np.ndarray[Any, Any], ...]] = []
        self._waiting_items = 0

    def samples(self, *columns: np.ndarray[Any, Any]) -> None:
        """Take samples, as three columns of 64 bits: times, marks, sequences."""
        self._waiting.append(columns)
        self._waiting_items += len(columns[0])
        if self._waiting_items >= LINK_ITEMS:
            self.settle()

    def settle(self) -> None:
        """Let no samples wait any longer."""
        if self._waiting:
            samples = np.empty((self._waiting_items, 3), np.int64)
            for place, columns in enumerate(zip(*self._waiting, strict=True)):
                column = columns[0] if len(columns) == 1 else b"".join(columns)
                samples[:, place] = np.frombuffer(column, np.int64)
            self._waiting, self._waiting_items = [], 0
            self.records(samples.data.cast("B"), 24)

    def digest(self) -> bytes:
        """The digest of everything taken so far."""
        self.settle()
        return super().digest()

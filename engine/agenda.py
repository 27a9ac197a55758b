"""Who is due next: alarms in time, and the tightest pair of prices of a market.

Alarms are a heap whose entries go stale instead of being removed: an entry counts only while it
says what its owner last said. Edges are two columns, searched whole: a market has products by the
hundred at most, and that many are looked through faster than a heap is kept.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from enum import IntEnum
from heapq import heappop, heappush, heapreplace

import numpy as np

from engine.units import NEVER_NS

__all__ = ["Agenda", "Edges", "Priority"]


class Priority(IntEnum):
    """The order of what happens at one instant; prices and their breaches come before all of it,
    requests and samples after. ``MARK`` is such a price, made by the venue at that instant. What a
    breach liquidates takes along what is due at its instant: ``engine.margins`` says what."""

    MARK = -1
    VENUE = 0
    FILL = 1
    FUNDING = 2
    LIQUIDATION = 3
    FEE = 4
    POLICY = 5


Key = tuple[int, int, int]
"""``(priority, market, handler)``; within one instant this is also the order."""


class Agenda:
    """Alarms in event time, one per key."""

    __slots__ = ("_due", "_heap")

    def __init__(self) -> None:
        self._due: dict[Key, int] = {}
        self._heap: list[tuple[int, Key]] = []

    def set(self, key: Key, ts_ns: int) -> None:
        """Ring ``key`` at ``ts_ns`` instead of when it would have; ``NEVER_NS`` silences it."""
        if self._due.get(key) != ts_ns:
            self._due[key] = ts_ns
            if ts_ns != NEVER_NS:
                heappush(self._heap, (ts_ns, key))

    def hasten(self, key: Key, ts_ns: int) -> None:
        """Ring ``key`` at ``ts_ns``, or when it would have if that is earlier."""
        if ts_ns < self._due.get(key, NEVER_NS):
            self.set(key, ts_ns)

    def set_each(self, keys: tuple[Key, ...], times: tuple[int, ...]) -> None:
        """``set`` for several keys, most of which say what they said before."""
        if tuple(map(self._due.get, keys)) != times:
            for key, ts_ns in zip(keys, times, strict=True):
                self.set(key, ts_ns)

    def next_ns(self) -> int:
        """When the next alarm rings."""
        heap, known = self._heap, self._due
        while heap:
            ts_ns, key = heap[0]
            if known[key] == ts_ns:
                return ts_ns
            heappop(heap)
        return NEVER_NS

    def next_key(self) -> Key:
        """Whose alarm rings at ``next_ns``, which must have been asked for before."""
        return self._heap[0][1]

    def put_off(self, ts_ns: int) -> int:
        """Ring the key of ``next_key`` at ``ts_ns`` instead; when the next alarm rings then."""
        heap, known = self._heap, self._due
        key = heap[0][1]
        known[key] = ts_ns
        if ts_ns == NEVER_NS:
            heappop(heap)
            return self.next_ns()
        heapreplace(heap, (ts_ns, key))
        next_ns, key = heap[0]
        return next_ns if known[key] == next_ns else self.next_ns()

    def due(self, ts_ns: int) -> Iterator[Key]:
        """The keys that ring at ``ts_ns``, in order, each silenced as it is given; those set
        meanwhile included."""
        while self.next_ns() == ts_ns:
            key = heappop(self._heap)[1]
            self._due[key] = NEVER_NS
            yield key

    def entries(self) -> list[tuple[int, int, int, int]]:
        """``(ts_ns, priority, market, handler)`` of every alarm that will ring, in that order."""
        return sorted((ts, *key) for key, ts in self._due.items() if ts != NEVER_NS)


class Edges:
    """The price edges of a market's products, and the tightest of them."""

    __slots__ = ("_highs", "_least", "_lows", "_most")

    def __init__(self, count: int) -> None:
        rows = max(count, 1)  # of none there would be no tightest
        self._lows = np.full(rows, -math.inf)
        self._highs = np.full(rows, math.inf)
        # The tightest of either; none since who was that gave way.
        self._least: float | None = None
        self._most: float | None = None

    def bounds(self) -> tuple[float, float]:
        """Between which prices nobody wakes: the highest of the lows, the lowest of the highs."""
        least, most = self._least, self._most
        if least is None:
            least = self._least = self._lows.item(self._lows.argmax())
        if most is None:
            most = self._most = self._highs.item(self._highs.argmin())
        return least, most

    def arm(self, handler: int, low: float, high: float) -> None:
        """From now on the handler wakes at or below ``low`` and at or above ``high``."""
        lows, highs, least, most = self._lows, self._highs, self._least, self._most
        if least is not None:
            if low >= least:
                self._least = low
            elif lows.item(handler) >= least:
                self._least = None
        if most is not None:
            if high <= most:
                self._most = high
            elif highs.item(handler) <= most:
                self._most = None
        lows[handler] = low
        highs[handler] = high

    def breached(self, price: float) -> list[int]:
        """Handlers whose edge ``price`` is at or beyond, in declared order."""
        low, high = self.bounds()
        if price > low:
            beyond = self._highs <= price
        else:
            beyond = self._lows >= price
            if price >= high:
                beyond |= self._highs <= price
        places: list[int] = beyond.nonzero()[0].tolist()
        return places

    def of(self, handler: int) -> tuple[float, float]:
        """The edges of one handler."""
        return self._lows.item(handler), self._highs.item(handler)

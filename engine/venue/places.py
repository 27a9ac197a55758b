"""Everybody's place in a market's queue for auto-deleveraging, at any marks.

Holdings change at wakes alone, scores with every mark. So the accounts are kept as columns, and a
place is worked out where somebody wants to see it: a change costs one row, a sample nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from engine.units import HOUR_NS, MINUTE_NS, total
from engine.venue.crowd import Crowd
from engine.venue.crowd_versions import Version
from engine.venue.held import Held, Positions, candidates
from engine.venue.margined import Margined
from engine.venue.ranking import scores
from engine.venue.standing import Listing

__all__ = ["QUEUED", "Places", "Queue"]

F64 = np.ndarray[Any, np.dtype[np.float64]]
I64 = np.ndarray[Any, np.dtype[np.int64]]

QUEUED: Final = frozenset({"bitmex", "bybit", "binance", "okx", "gate", "hyperliquid"})
"""Rankings by which one is closed before another; the others draw lots, or share."""
_EVERY: Final = ((2_000, 1), (20_000, MINUTE_NS))
"""Up to so many accounts in a market places are worked out at every sample, at whole minutes, and
beyond at whole hours: a day costs some seconds at most."""
_CELLS: Final = 1 << 20
"""Scores worked out at once."""
_PILE: Final = 1_000
"""Versions that nobody looked at, each of which keeps the one before."""


class Queue:
    """A market's accounts as they stand from one instant to another: the columns of how they stood
    before with some rows changed, put together where somebody wants to see them.

    Args:
        before: as they stood until then, or columns to begin with.
        seats: the row of each product's hedge, in declared order; -1 where it has none.

    Attributes:
        columns: as far as put together; until then ``before`` and what ``changed`` since.
        crosses: whether anybody may hold something elsewhere, too.
        crowds: the rows of populations, that stand after the accounts.
    """

    __slots__ = ("before", "changed", "columns", "crosses", "crowds", "listings", "market", "seats")

    def __init__(
        self,
        listings: Sequence[Listing],
        market: int,
        before: Queue | Held,
        seats: Sequence[int],
        crowds: tuple[Version, ...] = (),
    ) -> None:
        self.listings = listings
        self.market = market
        self.seats = seats
        self.before: Queue | None = None
        self.columns: Held | None = None
        self.changed: dict[int, tuple[Positions, int] | None] = {}
        self.crosses = False
        self.crowds = crowds
        if isinstance(before, Held):
            self.columns = before
        else:
            self.before, self.crosses = before, before.crosses

    def after(self) -> Queue:
        """The same accounts, to be changed."""
        return Queue(self.listings, self.market, self, self.seats, self.crowds)

    def put(self, row: int, positions: Positions, cash: int, *, queued: bool) -> None:
        """An account stands otherwise; nobody has seen these columns yet."""
        self.changed[row] = (positions, cash) if queued else None
        if len(positions) > 1:
            self.crosses = True

    @property
    def held(self) -> Held:
        """The columns."""
        if self.columns is None:
            changes, queue = [self.changed], self.before
            while queue is not None and queue.columns is None:
                changes.append(queue.changed)
                queue = queue.before
            assert queue is not None
            assert queue.columns is not None
            held, latest = queue.columns.copy(), changes.pop()
            while changes:
                latest = latest | changes.pop()
            for row, stand in latest.items():
                if stand is None:
                    held.lots[row] = 0
                else:
                    held.put(row, *stand, self.market)
            self.columns, self.before, self.changed = held, None, {}
        return self.columns

    @property
    def markets(self) -> list[int]:
        """On whose marks places depend."""
        if not self.crosses:
            return [self.market]
        held = self.held.others.values()
        return sorted({self.market, *(number for others in held for number, _, _ in others)})

    def quantiles(self, ts_ns: I64, marks: Mapping[int, F64]) -> F64:
        """Share of its side's queue that is not ahead of each hedge: 1 for who is closed first.

        Args:
            ts_ns: shape (s,).
            marks: shape (s,) each, of ``markets``.

        Returns:
            Shape (s, products); nan for who is in no queue.
        """
        found = np.full((len(ts_ns), len(self.seats)), np.nan)
        at = self._at(ts_ns)
        if not len(at):
            return found
        held = self.held.beside([history.at(count) for history, count in self.crowds])
        for side in (held.lots > 0, held.lots < 0):
            rows = np.flatnonzero(side)
            own = [
                (number, int(rows.searchsorted(row)))
                for number, row in enumerate(self.seats)
                if row >= 0 and side.item(row)
            ]
            if own:
                self._fill(found, at, marks, held.take(rows), own)
        return found

    def _at(self, ts_ns: I64) -> I64:
        """Which of the samples are told of."""
        count = len(self.held.lots) + total(history.rows for history, _ in self.crowds)
        every = next((each for most, each in _EVERY if count <= most), HOUR_NS)
        return np.flatnonzero(ts_ns % every == 0)

    def _fill(
        self,
        found: F64,
        at: I64,
        marks: Mapping[int, F64],
        held: Held,
        own: Sequence[tuple[int, int]],
    ) -> None:
        count = len(held.lots)
        ranking, step = self.listings[self.market].rules.adl.ranking, max(_CELLS // count, 1)
        for first in range(0, len(at), step):
            part = at[first : first + step]
            there = {number: each[part][:, None] for number, each in marks.items()}
            scored = scores(ranking, candidates(self.listings, self.market, held, there))
            for column, place in own:
                score = scored[:, place : place + 1]
                ahead = np.count_nonzero(scored > score, axis=1)
                ahead = ahead + np.count_nonzero(scored[:, :place] == score, axis=1)
                found[part, column] = (count - ahead) / count


class Places:
    """The queue of one market as it changes: versions, each with the sample from which it holds.

    Args:
        accounts: all that may hold something in the market, in declared order.
        crowds: the populations that do.
    """

    __slots__ = ("_crowds", "_later", "_lent", "_now", "_piled", "_since")

    def __init__(
        self,
        listings: Sequence[Listing],
        market: int,
        accounts: Sequence[Margined],
        seats: Sequence[int],
        crowds: Sequence[Crowd] = (),
    ) -> None:
        self._crowds = crowds
        leverage = np.array([account.max_leverage for account in accounts], np.float64)
        self._now = Queue(listings, market, Held(leverage), seats)
        self._since = self._piled = 0
        self._lent = True
        self._later: list[tuple[int, Queue]] = []

    def change(
        self, row: int, positions: Positions, cash: int, sample: int, *, queued: bool
    ) -> None:
        """An account stands otherwise from ``sample`` on, counted from the next block's first."""
        self._from(sample).put(row, positions, cash, queued=queued)

    @property
    def crowded(self) -> bool:
        """Whether it has populations."""
        return bool(self._crowds)

    def follow_crowds(self, sample: int) -> None:
        """Where rows of a crowd stand otherwise they do so from ``sample`` on."""
        crowds = tuple(crowd.versions.latest() for crowd in self._crowds)
        if crowds != self._now.crowds:
            self._from(sample).crowds = crowds

    def _from(self, sample: int) -> Queue:
        """The present version, to be changed: it holds from ``sample`` on."""
        if sample > self._since:
            self._later.append((self._since, self._now))
        elif not self._lent:
            return self._now
        self._since, self._lent = sample, False
        self._now = self._now.after()
        return self._now

    def start(self) -> None:
        """The market has its first price: samples count from here on."""
        self._later, self._since = [], 0

    def take(self, samples: int) -> tuple[tuple[int, Queue], ...]:
        """The versions of the next so many samples."""
        versions = [*self._later, (self._since, self._now)]
        taken = tuple(each for each in versions if each[0] < samples)
        left = versions[len(taken) - 1 : -1]
        self._later = [(max(at - samples, 0), each) for at, each in left]
        self._piled += len(taken)
        if self._piled > _PILE and taken[-1][1].held:  # put together, so that no more pile up
            self._piled = 0
        if len(taken) == len(versions):
            self._since, self._lent = 0, True
        else:
            self._since -= samples
        return taken

"""Quiet tables of one kind and symbol, one after the other: their samples are valued together.

While nobody is attended no line changes and no other mark moves, so it makes no difference when
samples are read off the lines: one search finds the rows of all of them. It is made when somebody
looks at the samples of one of the tables, or when the lull ends.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final, overload

import numpy as np

from engine.digest import SampleChain
from engine.even_times import rows_up_to
from engine.market import Market
from engine.outputs import NavBlock
from engine.sampler import Sampler
from engine.ticks import Kind, Table

__all__ = ["Lull", "QuietSamples"]

F64 = np.ndarray[Any, np.dtype[np.float64]]
I64 = np.ndarray[Any, np.dtype[np.int64]]
Rows = tuple[I64, F64, I64]
"""Engine times, prices and sequences of a table."""

_INDEX: Final = Kind.INDEX  # looked up once; see ``folding``
_ROWS_MAX: Final = 16_384
"""Rows that wait; whoever lets more wait copies more than it saves."""


class QuietSamples(Sequence[NavBlock]):
    """The samples that one table let pass: a block for each launched market, made when somebody
    looks."""

    __slots__ = ("_blocks", "_length", "_lull")

    def __init__(self, lull: Lull, markets: int) -> None:
        self._lull: Lull | None = lull
        self._length = markets

    def value(self, blocks: Sequence[NavBlock]) -> None:
        """These are they."""
        self._lull, self._blocks = None, blocks

    def _valued(self) -> Sequence[NavBlock]:
        if self._lull is not None:
            self._lull.settle()
        return self._blocks

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[NavBlock]:
        return iter(self._valued())

    @overload
    def __getitem__(self, place: int) -> NavBlock: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[NavBlock]: ...
    def __getitem__(self, place: int | slice) -> NavBlock | Sequence[NavBlock]:
        return self._valued()[place]


class Lull:
    """Tables that nobody was attended at, and whose samples nobody looked at yet.

    Args:
        chains, indexes: of the digest, by symbol: over samples of marks, and of the index where
            products follow it.

    Attributes:
        waiting: the samples of those tables.
        next_ns: of the next sample behind them.
    """

    __slots__ = (
        "_chains",
        "_indexes",
        "_kind",
        "_known",
        "_launched",
        "_market",
        "_rows",
        "_sampler",
        "_tables",
        "next_ns",
        "waiting",
    )

    def __init__(
        self, sampler: Sampler, chains: list[SampleChain], indexes: dict[int, SampleChain]
    ) -> None:
        self._sampler = sampler
        self._chains, self._indexes = chains, indexes
        self.waiting: list[QuietSamples] = []
        self._tables: list[Rows] = []
        self._rows = self._launched = 0
        self._market: Market | None = None
        self._kind: Kind | None = None
        self._known = (0.0, 0.0)
        self.next_ns = sampler.state.next_ns

    def begin(self, market: Market | None, kind: Kind) -> None:
        """From here on tables are of that kind, and of the symbol of that market."""
        self.settle()
        self._market, self._kind = market, kind
        self.next_ns = self._sampler.state.next_ns

    def take(self, table: Table, run: I64, prices: F64, before_ns: int) -> Sequence[NavBlock]:
        """The samples that a table lets pass; no holders are to be valued. Where nothing waits, the
        market is as the tables before it left it.

        Args:
            run: shape (n,), engine time at its rows; ``before_ns`` at the last.
        """
        waiting, market, blocks = self.waiting, self._market, 0
        if not waiting:
            self._launched = len(self._sampler.launched())
            if market is not None:
                self._known = market.state.mark, market.state.index
        late_ns = before_ns - self.next_ns
        if late_ns > 0:
            every, blocks = self._sampler.spec.nav_every_ns, self._launched
            self.next_ns += -(-late_ns // every) * every
        samples = QuietSamples(self, blocks)
        waiting.append(samples)
        self._tables.append((run, prices, table.sequence))
        self._rows += len(run)
        if self._rows > _ROWS_MAX:
            self.settle()
        return samples

    def settle(self) -> None:
        """Value what waits."""
        waiting, sampler = self.waiting, self._sampler
        if not waiting:
            return
        tables, self._tables, self.waiting, self._rows = self._tables, [], [], 0
        run, prices = _joined(tables)
        times = sampler.pass_by(run.item(-1))
        later = rows_up_to(run, times)
        passed, early = _sequences(tables, later), int(times.searchsorted(run.item(0)))
        marks, indexes = self._prices(prices, later, early)
        for number, market in enumerate(sampler.launched()):
            symbol, index = market.spec.symbol, indexes[number]
            self._chains[symbol].samples(times, marks[number], passed)
            if index is not None:
                self._indexes[symbol].samples(times, index, passed)
        held, base = sampler.hold(len(times)), sampler.base(passed)
        ends = times.searchsorted([run.item(-1) for run, _, _ in tables]).tolist()
        blocks = sampler.blocks_of(held, passed, times, marks, indexes, base, ends)
        for each, valued in zip(waiting, blocks, strict=True):
            each.value(valued)

    def _prices(self, prices: F64, later: I64, early: int) -> tuple[list[F64], list[F64 | None]]:
        """Of each launched market the marks of the samples, and their indexes where somebody
        follows it.

        Args:
            later: shape (n,), the first row that is later than each sample.
            early: how many of them come before the first row of all.
        """
        marks, indexes = [], []
        for market in self._sampler.launched():
            own, followed = market is self._market, bool(market.followers)
            known = np.full(len(later), market.state.mark)
            index = np.full(len(later), market.state.index) if followed else None
            if own and market.kind is self._kind:
                known = _through(prices, later, early, self._known[0])
            elif own and followed and self._kind is _INDEX:
                index = _through(prices, later, early, self._known[1])
            marks.append(known)
            indexes.append(index)
        return marks, indexes


def _joined(tables: list[Rows]) -> tuple[I64, F64]:
    """Engine times and prices of all rows."""
    if len(tables) == 1:
        return tables[0][:2]
    run, prices, _ = zip(*tables, strict=True)
    return np.concatenate(run), np.concatenate(prices)


def _sequences(tables: list[Rows], rows: I64) -> I64:
    """Those of some of all rows."""
    first, last = tables[0][2].item(0), tables[-1][2].item(-1)
    if last - first + 1 == sum(len(run) for run, _, _ in tables):  # no place was left out
        return rows + first
    return np.concatenate([sequence for _, _, sequence in tables])[rows]


def _through(prices: F64, later: I64, early: int, known: float) -> F64:
    """The last price at or before each sample; ``known`` before the first row."""
    found: F64 = prices[later - 1]
    found[:early] = known
    return found

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
from engine.market import Market
from engine.outputs import NavBlock
from engine.sampler import Sampler
from engine.ticks import Kind, Table

__all__ = ["Lull", "QuietSamples"]

F64 = np.ndarray[Any, np.dtype[np.float64]]
I64 = np.ndarray[Any, np.dtype[np.int64]]

_INDEX: Final = Kind.INDEX  # looked up once; see ``folding``
_ROWS_MAX: Final = 16_384
"""Rows that wait; whoever lets more wait copies more than it saves."""


class QuietSamples(Sequence[NavBlock]):
    """The samples that one table let pass: a block for each launched market, made when somebody
    looks."""

    __slots__ = ("_blocks", "_length", "_lull", "prices", "run", "sequence")

    def __init__(self, lull: Lull, sequence: I64, run: I64, prices: F64, markets: int) -> None:
        self._lull: Lull | None = lull
        self._blocks: Sequence[NavBlock] = ()
        self._length = markets
        self.sequence, self.run, self.prices = sequence, run, prices

    def value(self, blocks: Sequence[NavBlock]) -> None:
        """These are they; the table is let go."""
        self._lull, self._blocks = None, blocks
        del self.sequence, self.run, self.prices

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
    """

    __slots__ = (
        "_chains",
        "_indexes",
        "_kind",
        "_known",
        "_launched",
        "_market",
        "_next_ns",
        "_rows",
        "_sampler",
        "_waiting",
    )

    def __init__(
        self, sampler: Sampler, chains: list[SampleChain], indexes: dict[int, SampleChain]
    ) -> None:
        self._sampler = sampler
        self._chains, self._indexes = chains, indexes
        self._waiting: list[QuietSamples] = []
        self._rows = self._launched = 0
        self._market: Market | None = None
        self._kind: Kind | None = None
        self._known = (0.0, 0.0)
        self._next_ns = sampler.state.next_ns

    def begin(self, market: Market | None, kind: Kind) -> None:
        """From here on tables are of that kind, and of the symbol of that market."""
        self.settle()
        self._market, self._kind = market, kind
        self._next_ns = self._sampler.state.next_ns

    def take(self, table: Table, run: I64, prices: F64) -> Sequence[NavBlock]:
        """The samples that a table lets pass; no holders are to be valued.

        Args:
            run: shape (n,), engine time at its rows.
        """
        waiting, market, before_ns = self._waiting, self._market, run.item(-1)
        late_ns = before_ns - self._next_ns
        if late_ns <= 0 and not waiting:
            return ()
        if not waiting:
            self._launched = len(self._sampler.launched())
            if market is not None:
                self._known = market.state.mark, market.state.index
        blocks = 0
        if late_ns > 0:
            every, blocks = self._sampler.spec.nav_every_ns, self._launched
            self._next_ns += -(-late_ns // every) * every
        samples = QuietSamples(self, table.sequence, run, prices, blocks)
        waiting.append(samples)
        self._rows += len(run)
        if self._rows > _ROWS_MAX:
            self.settle()
        return samples

    def settle(self) -> None:
        """Value what waits."""
        waiting, sampler = self._waiting, self._sampler
        if not waiting:
            return
        self._waiting, self._rows = [], 0
        run, prices, sequence = _joined(waiting)
        times = sampler.pass_by(run.item(-1))
        later = run.searchsorted(times, "right")
        passed, early = sequence[later], int(times.searchsorted(run.item(0)))
        marks, indexes = self._prices(prices, later, early)
        for number, market in enumerate(sampler.launched()):
            symbol, index = market.spec.symbol, indexes[number]
            self._chains[symbol].samples(times, marks[number], passed)
            if index is not None:
                self._indexes[symbol].samples(times, index, passed)
        held, base, begin = sampler.hold(len(times)), sampler.base(passed), 0
        ends = times.searchsorted([each.run.item(-1) for each in waiting])
        for each, end in zip(waiting, ends.tolist(), strict=True):
            part = slice(begin, end)
            cut = [mark[part] for mark in marks], [None if i is None else i[part] for i in indexes]
            blocks = sampler.blocks_of(held, passed[part], times[part], *cut, base)
            each.value(blocks if begin < end else ())
            begin, base = end, 0

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


def _joined(waiting: list[QuietSamples]) -> tuple[I64, F64, I64]:
    """Engine times, prices and sequences of all rows."""
    if len(waiting) == 1:
        return waiting[0].run, waiting[0].prices, waiting[0].sequence
    return (
        np.concatenate([each.run for each in waiting]),
        np.concatenate([each.prices for each in waiting]),
        np.concatenate([each.sequence for each in waiting]),
    )


def _through(prices: F64, later: I64, early: int, known: float) -> F64:
    """The last price at or before each sample; ``known`` before the first row."""
    found: F64 = prices[later - 1]
    found[:early] = known
    return found

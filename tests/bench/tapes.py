"""What the benchmarks replay: a tape of marks, and the line-ups of W1 and W2.

A tape is a random walk of one price, 11.6 ticks a second (1M ticks are a day), 0.5 bps a tick. W1
is one 3x product on it; W2 a hundred, long and short in turn, with bands so narrow that the work is
rebalancing.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any, Final

import numpy as np
from msgspec import Struct

from engine.engine import EngineSpec
from engine.market import MarketSpec
from engine.product import ProductSpec
from engine.sampler import Sampling
from engine.ticks import Marks, Step
from engine.units import SECOND_NS
from engine.venue.book import BookSpec
from engine.venue.contract_spec import ContractSpec
from strategies import LeverageBand

__all__ = [
    "BLOCK_ROWS",
    "SAMPLE_NS",
    "SEED_ATOMS",
    "TAKER_FEE",
    "WORK",
    "Lineup",
    "MixedTape",
    "Tape",
    "heart_spec",
    "mixed_tape",
    "tape",
]

SEED_ATOMS: Final = 10**12
"""Quote atoms in each product at the start: a million."""
TAKER_FEE: Final = 0.0004
SAMPLE_NS: Final = SECOND_NS
"""Every product's NAV is sampled at every second."""
BATCH_ROWS: Final = 100_000
"""Rows between two looks at the clock; outputs are drained there, beside the time that counts."""

BLOCK_ROWS: Final = 65_536
"""Rows of a step as a recording gives them."""

_INTERVAL_NS: Final = 86_400_000
_MOVE_BPS: Final = 0.5
_OFF_GRID: Final = 0.618_033_988_749
"""Generated prices lie on a grid of 0.1, where products with lots are nearly whole and floats would
floor the other way
than exact numbers do."""


class Lineup(Struct, frozen=True):
    """Products of a benchmark: signed targets, and the band's edges in absolute leverage; ``mixed``
    tapes hold trades and book tops beside the marks."""

    targets: tuple[float, ...]
    lows: tuple[float, ...]
    highs: tuple[float, ...]
    mixed: bool = False

    def __len__(self) -> int:
        return len(self.targets)

    def idle(self) -> Lineup:
        """The same products with bands that nothing reaches."""
        count = len(self)
        return Lineup(self.targets, (0.3,) * count, (30.0,) * count)


def _lineup(products: int, width: float) -> Lineup:
    widths = [width * (1.0 + number / products) for number in range(products)]
    return Lineup(
        tuple(3.0 if number % 2 == 0 else -3.0 for number in range(products)),
        tuple(3.0 - w for w in widths),
        tuple(3.0 + w for w in widths),
    )


WORK: Final = {
    "w1": _lineup(1, 0.0366),
    "w2": _lineup(100, 0.02275),
    "mixed": Lineup((3.0, -3.0, 2.0), (2.9, 2.9, 1.96), (3.1, 3.1, 2.04), mixed=True),
}
"""About 65 rebalances on 1M ticks, and about 20,560; the third is like the standard line-up, with
rebalances."""


class Tape:
    """Marks of one symbol, to be cut into steps."""

    def __init__(self, ts_ns: Any, price: Any) -> None:
        self.ts_ns = ts_ns
        self.price = price
        self.sequence = np.arange(len(ts_ns))

    def __len__(self) -> int:
        return len(self.ts_ns)

    def batches(self, block: int) -> Iterator[list[Step]]:
        """Steps of ``block`` rows, in lists of about ``BATCH_ROWS`` rows."""
        for start in range(0, len(self), max(BATCH_ROWS, block)):
            stop = min(len(self), start + max(BATCH_ROWS, block))
            yield [self._step(at, min(at + block, stop)) for at in range(start, stop, block)]

    def _step(self, first: int, end: int) -> Step:
        rows = slice(first, end)
        marks = Marks(
            sequence=self.sequence[rows], symbol=0, ts_ns=self.ts_ns[rows], price=self.price[rows]
        )
        return Step(first=first, end=end, tables=(marks,))


class MixedTape:
    """Trades, book tops and marks of one symbol, a hundred rows a second."""

    def __init__(self, steps: list[Step]) -> None:
        self.steps = steps

    def __len__(self) -> int:
        return self.steps[-1].end

    def batches(self, block: int) -> Iterator[list[Step]]:
        """The steps as they were generated; ``block`` is what they were generated with."""
        assert block == BLOCK_ROWS
        for step in self.steps:
            yield [step]


@cache
def mixed_tape(rows: int) -> MixedTape:
    """The mixed tape of that many rows; the same bits everywhere."""
    from tests.bench.walk import generate_rows

    return MixedTape([_off_grid(step) for step in generate_rows(rows, block_rows=BLOCK_ROWS)])


def _off_grid(step: Step) -> Step:
    tables = tuple(
        table.replaced(
            ingest_ns=None,
            **{
                name: column * _OFF_GRID
                for name, column in table.values()
                if name in ("price", "bid", "ask")
            },
        )
        for table in step.tables
    )
    return Step(first=step.first, end=step.end, tables=tables)


@cache
def tape(rows: int) -> Tape:
    """The tape of that many ticks; the same bits everywhere."""
    from tests.bench.walk import generate_rows  # not for those who measure memory: it needs pyarrow

    tables = [
        step.tables[0]
        for step in generate_rows(
            rows, marks_only=True, move_bps=_MOVE_BPS, interval_ns=_INTERVAL_NS
        )
    ]
    prices = np.concatenate([table.price for table in tables])  # type: ignore[attr-defined]
    return Tape(np.concatenate([table.ts_ns for table in tables]), prices * _OFF_GRID)


def heart_spec(lineup: Lineup) -> EngineSpec:
    """The line-up as the heart takes it: one linear market, a flat book, a taker fee."""
    contract = ContractSpec(symbol="BTCUSDT", base="BTC", quote="USDT", taker_fee=TAKER_FEE)
    market = MarketSpec(
        symbol=0, contract=contract, book=BookSpec(model="flat"), mark_source="mark"
    )
    return EngineSpec(
        symbols=("BTCUSDT",),
        markets=(market,),
        products=tuple(
            ProductSpec(id=f"P{number}", market=0, seed_atoms=SEED_ATOMS)
            for number in range(len(lineup))
        ),
        policies=tuple(
            (LeverageBand(target=target, low=low, high=high),)
            for target, low, high in zip(lineup.targets, lineup.lows, lineup.highs, strict=True)
        ),
        sampling=Sampling(nav_every_ns=SAMPLE_NS),
    )

"""What all generators have in common: symbols, the grid of time, and what surrounds the price."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from datetime import date
from typing import Annotated, Any, Final, Literal, NamedTuple

import numpy as np
from msgspec import Meta, Struct, structs

from engine.durations import Duration, duration_ns
from engine.units import DAY_NS
from feeds.generators.draws import Draws
from feeds.generators.grid import Grid
from feeds.recording import InputFile

__all__ = [
    "Chunk",
    "Count",
    "Deals",
    "Finite",
    "Model",
    "NotNegative",
    "Positive",
    "Quotes",
    "Share",
]

I64 = np.ndarray[Any, np.dtype[np.int64]]
F64 = np.ndarray[Any, np.dtype[np.float64]]

Positive = Annotated[float, Meta(gt=0.0, le=1e12)]
Price = Annotated[float, Meta(ge=1e-12, le=1e12)]
NotNegative = Annotated[float, Meta(ge=0.0, le=1e12)]
Share = Annotated[float, Meta(ge=0.0, le=1.0)]
Finite = Annotated[float, Meta(ge=-1e6, le=1e6)]
Count = Annotated[int, Meta(ge=0, le=2**63 - 1)]
_SYMBOL: Final = re.compile(r"[A-Z0-9][A-Z0-9_.-]{0,39}")
SYMBOLS_MAX: Final = 1_000
STEPS_MAX: Final = 10**9
_OPENING: Final = 100_000.0


class Deals(NamedTuple):
    """Trades in order of time; columns of one length.

    Attributes:
        step: within the chunk; the trade lies behind the instant of the step before.
        offset_ns: how far behind, less than a step.
        symbol: whose.
        side: +1 the buyer was the aggressor, -1 the seller.
        log: of the price there, against the end of the last chunk, in steps of ``1 / FIXED``;
            ``None``: at the quotes that stand.
    """

    step: I64
    offset_ns: I64
    symbol: I64
    side: I64
    log: I64 | None = None

    def until(self, end: int) -> Deals:
        """Those of the steps before."""
        count = int(np.searchsorted(self.step, end))
        step, offset_ns, symbol, side = (column[:count] for column in self[:4])
        log = None if self.log is None else self.log[:count]
        return Deals(step, offset_ns, symbol, side, log)


class Chunk(NamedTuple):
    """What a model draws: the moves of the logarithm of the price, shape (symbols, steps of a
    chunk), in steps of ``1 / FIXED``; trades where the model has its own."""

    moves: I64
    deals: Deals | None = None


class Quotes(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What surrounds the price: the book's top, trades, index and funding.

    Attributes:
        spread_bps: between best bid and ask, whose mid is the price; widened to the price step.
        depth: mean size at the best prices, in quote.
        trades: mean number of trades in a step, at most 1; Hawkes trades come on their own.
        trade: mean size of a trade, in quote.
        premium_bps: mean of the perpetual's price over the index.
        premium_sd_bps: standard deviation of that; it wanders.
        premium_half_life: in which half of a premium's distance to its mean is gone.
        funding_every: interval of funding, whose rate is the mean premium of the interval, pulled
            towards 1 bp by up to 5 (Binance's rule).
    """

    spread_bps: Annotated[float, Meta(ge=0.0, le=5_000.0)] = 1.0
    depth: Positive = 500_000.0
    trades: Share = 0.5
    trade: Positive = 5_000.0
    premium_bps: Annotated[float, Meta(ge=-1_000.0, le=1_000.0)] = 0.0
    premium_sd_bps: Annotated[float, Meta(ge=0.0, le=1_000.0)] = 2.0
    premium_half_life: Duration = "30m"
    funding_every: Duration = "8h"


class Model(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="model"):
    """Base of all generators.

    Rates are per year of 365.25 days. ``drift`` is the growth of the expected price: the mean of
    the price at time T is the opening price times ``exp(drift T)``, whatever the model.

    Attributes:
        symbols: perpetuals, linear in their quote.
        prices: at the start; 100,000 for a symbol that is not named.
        start: first instant, a date (UTC).
        days: how long.
        step: between rows of one kind; divides a minute, or is whole minutes that divide a day.
        path: which of the seed's paths a run takes.
        scales: of symbols whose volatility is not the model's: 1.5 is half as much again.
        drift: growth of the expected price per year.
        correlation: of the normal part of any two symbols' returns.
        rows: ``all`` kinds of rows; or ``marks`` with index and funding once a minute, which is
            quick.
        quotes: what surrounds the price.
    """

    symbols: Annotated[tuple[str, ...], Meta(min_length=1, max_length=SYMBOLS_MAX)] = ("BTCUSDT",)
    prices: dict[str, Price] = {}
    start: str = "2026-01-15"
    days: Annotated[float, Meta(gt=0.0, le=36_600.0)] = 1.0
    step: Duration = "1s"
    path: Count = 0
    scales: dict[str, NotNegative] = {}
    drift: Finite = 0.0
    correlation: Share = 0.0
    rows: Literal["all", "marks"] = "all"
    quotes: Quotes = Quotes()

    def __post_init__(self) -> None:
        _check_finite(self)
        _check_finite(self.quotes)
        for symbol in self.symbols:
            if not _SYMBOL.fullmatch(symbol):
                raise ValueError(f"symbols has {symbol!r}, expected a name such as BTCUSDT")
        if len(set(self.symbols)) < len(self.symbols):
            raise ValueError("symbols has a name twice")
        for setting in ("prices", "scales"):
            for name in getattr(self, setting):
                if name not in self.symbols:
                    raise ValueError(f'{setting} has "{name}", which is not among symbols')
        for name in ("premium_half_life", "funding_every"):
            if not duration_ns(getattr(self.quotes, name)):
                raise ValueError(f"quotes.{name} must be longer than 0")
        self.grid()

    def grid(self) -> Grid:
        """Its steps in time."""
        try:
            start = date.fromisoformat(self.start)
        except ValueError:
            said = f'start must be a date such as "2026-01-15", was {self.start!r}'
            raise ValueError(said) from None
        start_ns = (start - date(1970, 1, 1)).days * DAY_NS
        grid = Grid.of(start_ns, self.days, duration_ns(self.step))
        if grid.steps > STEPS_MAX:
            raise ValueError(f"days has {grid.steps:,} steps, expected at most {STEPS_MAX:,}")
        return grid

    def opening(self, symbol: str) -> float:
        """The price of a symbol at the start."""
        return self.prices.get(symbol, _OPENING)

    def files(self) -> tuple[InputFile, ...]:
        """Recordings that the path is drawn from."""
        return ()

    def scale(self) -> F64:
        """Shape (symbols, 1): by which the model's volatility is multiplied."""
        return np.array([[self.scales.get(symbol, 1.0)] for symbol in self.symbols])

    def chunks(self, grid: Grid, draws: Draws) -> Iterator[Chunk]:
        """The path, a chunk of the grid at a time."""
        raise NotImplementedError


def _check_finite(one: Struct) -> None:
    """``Meta`` lets NaN pass."""
    for name, value in structs.asdict(one).items():
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f"{name} must be finite, was {value}")

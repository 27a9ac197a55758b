"""The calibrated market beside what was measured: what trades cost after large moves, how far falls
go on, and how much of what a crash liquidates is left to auto-deleveraging.

Each seed is a fall of its own and a crash of its own: prices that the input says, and the engine
with feedback. A fall is news of a size drawn from a power law; it counts from where the last five
minutes lost four deviations. A crash is news of 12 %, as of 2025-10-10.

Sources: reference venue notes 3 (ADL share), 4.2 (slippage), 4.4 (survival of falls). Sizes of
news, and how fast it spreads, are assumed: they are what the survival of falls was fitted with.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any, Final

import numpy as np
from msgspec import Struct, structs

from engine.config import load_config, placed, spec_of
from engine.crowd_events import PopulationLiquidated
from engine.engine import Engine, EngineSpec
from engine.errors import ConfigError
from engine.exact import exp2
from engine.felt_market import FeltMarket
from engine.inputs import open_market
from engine.ticks import Marks, Step
from engine.units import SECOND_NS
from engine.venue.survival import CALM
from engine.venue.taking import Top
from feeds.chance import normals, raw_words, uniforms

__all__ = [
    "ADL_SHARE",
    "REACHED",
    "SLIPPAGES",
    "Crash",
    "Fall",
    "Found",
    "calibrated_text",
    "crash_of",
    "fall_of",
    "found",
    "market_of",
]

F64 = np.ndarray[Any, np.dtype[np.float64]]

SLIPPAGES: Final = {1e5: 1.3, 5e5: 6.4, 1e6: 12.7, 5e6: 64.5, 1e7: 144.6}
"""Quote to basis points: medians of five coins on Binance after moves of six deviations."""
REACHED: Final = {0.5: 0.63, 1.0: 0.49, 2.0: 0.29, 3.0: 0.18, 5.0: 0.09}
"""Per cent to the share of 295 falls that went so much further."""
ADL_SHARE: Final = (0.33, 0.45)
"""Of what was liquidated on Hyperliquid on 2025-10-10, by coin: 33.2 % in the median, BTC 34.7, ETH
43.3, SOL 44.7."""

_START_NS: Final = 1_760_129_400 * SECOND_NS
_PRICE: Final = 121_684.0
_QUIET: Final = 600
_PIECE: Final = 10
_FAR: Final = 6.0
_LEAST: Final = 0.0045
_EXPONENT: Final = 1.4
_SCALE: Final = 0.0115
_MOST: Final = 0.3
_FALL: Final = (60.0, 600)
_CRASH: Final = (0.12, 360.0, 1_800)
"""Size, seconds in which two thirds of it have happened, seconds until it is looked at."""
_STREAMS: Final = {"fall": 61, "crash": 62}


class Fall(Struct, frozen=True):
    """One fall: per cent that it went on; ``None`` where it never counted; and what selling each of
    ``SLIPPAGES`` cost when six deviations were first passed, basis points."""

    further: float | None
    slippage: tuple[float, ...] | None


class Crash(Struct, frozen=True):
    """One crash: quote that was liquidated, quote of it that neither book nor insurance fund took,
    smallest share of the bids that was left, and the whole fall of the mark."""

    liquidated: float
    deleveraged: float
    depth: float
    fell: float

    @property
    def share(self) -> float:
        """Of what was liquidated, what was left to ADL."""
        return self.deleveraged / self.liquidated if self.liquidated else 0.0


class Found(Struct, frozen=True, kw_only=True):
    """Over many seeds.

    Attributes:
        counted: falls that lost four deviations in five minutes.
        reached: share of them that went on as far, in the order of ``REACHED``.
        slippage: medians, in the order of ``SLIPPAGES``; basis points.
        adl_share: of all that was liquidated in all crashes.
        adl_shares: the tenth, the half and nine tenths of the crashes lie below.
        depth: medians of the smallest share of the bids left, and of the fall of the mark.
    """

    seeds: int
    counted: int
    reached: tuple[float, ...]
    slippage: tuple[float, ...]
    adl_share: float
    adl_shares: tuple[float, float, float]
    depth: float
    fell: float


def calibrated_text() -> str:
    """The configuration, as a file would say it."""
    return files("engine.config").joinpath("crash.toml").read_text(encoding="utf-8")


def market_of(path: Path | None = None, sets: Sequence[str] = ()) -> EngineSpec:
    """What the heart needs of a configuration; without a path, of the calibrated one.

    Raises:
        ConfigError: where its first market has no feedback.
    """
    if path is None:
        with as_file(files("engine.config").joinpath("crash.toml")) as own:
            return market_of(own, sets)
    symbols = open_market((), path, sets).symbols
    settings = load_config(path, list(sets), symbols=symbols)
    with placed(path, list(sets)):
        spec = spec_of(settings, symbols)
    impact = spec.markets[0].impact
    if impact is None or impact.survival is None:
        raise ConfigError(f"{path}: its first market has no feedback, or depth never collapses")
    return spec


def found(spec: EngineSpec, seeds: Sequence[int]) -> Found:
    """A fall and a crash of each seed."""
    falls = [fall_of(spec, seed, place, len(seeds)) for place, seed in enumerate(seeds)]
    crashes = [crash_of(spec, seed) for seed in seeds]
    further = np.array([each.further for each in falls if each.further is not None])
    costs = [each.slippage for each in falls if each.slippage is not None]
    shares = np.array([each.share for each in crashes])
    low, middle, high = np.quantile(shares, (0.1, 0.5, 0.9)).tolist()
    liquidated = sum(each.liquidated for each in crashes)
    deleveraged = sum(each.deleveraged for each in crashes)
    return Found(
        seeds=len(seeds),
        counted=len(further),
        reached=tuple(float((further >= far).mean()) for far in REACHED) if len(further) else (),
        slippage=tuple(np.median(np.array(costs), axis=0).tolist()) if costs else (),
        adl_share=deleveraged / liquidated if liquidated else 0.0,
        adl_shares=(low, middle, high),
        depth=float(np.median([each.depth for each in crashes])),
        fell=float(np.median([each.fell for each in crashes])),
    )


def fall_of(spec: EngineSpec, seed: int, place: int = 0, count: int = 1) -> Fall:
    """News of a size drawn from a power law: from that ``place`` of ``count`` equal parts of it, so
    that few falls have small ones and large ones as they come."""
    drawn = (place + uniforms(raw_words(seed, _STREAMS["fall"], 1, 1), 0).item()) / count
    size = _LEAST + _SCALE * ((1.0 - drawn) ** (-1.0 / _EXPONENT) - 1.0)
    run = _Run(spec, seed, _prices(spec, seed, "fall", min(size, _MOST), *_FALL))
    began = lowest = 0.0
    costs: tuple[float, ...] | None = None
    while run.goes_on():
        if not began and run.move < -CALM:
            began = lowest = run.mark
        if began:
            lowest = min(lowest, run.mark)
        if costs is None and run.move < -_FAR:
            costs = run.costs()
    return Fall((1.0 - lowest / began) * 100.0 if began else None, costs)


def crash_of(spec: EngineSpec, seed: int) -> Crash:
    """News of the size of 2025-10-10."""
    run = _Run(spec, seed, _prices(spec, seed, "crash", *_CRASH))
    lowest, least = run.prices[0], 1.0
    while run.goes_on():
        lowest, least = min(lowest, run.mark), min(least, run.bids)
    scale = run.quote
    return Crash(run.liquidated / scale, run.unpaid / scale, least, 1.0 - lowest / run.prices[0])


def _prices(spec: EngineSpec, seed: int, kind: str, size: float, pace: float, lasts: int) -> F64:
    """What the input says each second: calm, and then news that spreads, beside calm noise."""
    impact = spec.markets[0].impact
    assert impact is not None
    assert impact.survival is not None
    count = _QUIET + lasts
    words = raw_words(seed, _STREAMS[kind], 0, count)
    noise = np.cumsum(normals(words, 0)) * (impact.survival.deviation / math.sqrt(300.0))
    told = 1.0 - np.exp(-np.maximum(np.arange(count) - _QUIET, 0) / pace)
    prices: F64 = _PRICE * np.exp(noise + math.log1p(-size) * told)
    return prices


class _Run:
    """The engine over these prices, a piece after the other, looked at between them."""

    def __init__(self, spec: EngineSpec, seed: int, prices: F64) -> None:
        self._engine = Engine(structs.replace(spec, seed=seed))
        market = self._engine.markets[0]
        assert isinstance(market, FeltMarket)
        self._market = market
        self.prices: list[float] = prices.tolist()
        self._column = prices
        self._done = 0
        self.quote = 10.0**6
        self.liquidated = self.unpaid = 0

    def goes_on(self) -> bool:
        """One more piece; whether there was one."""
        first, end = self._done, min(self._done + _PIECE, len(self._column))
        if first == end:
            return False
        times = _START_NS + np.arange(first, end) * SECOND_NS
        marks = Marks(
            sequence=np.arange(first, end),
            symbol=self._market.spec.symbol,
            ts_ns=times,
            price=self._column[first:end],
        )
        said = self._engine.process(Step(first=first, end=end, tables=(marks,)))
        for event in said.events:
            if isinstance(event, PopulationLiquidated) and event.lots:
                self.liquidated += event.notional_atoms
                self.unpaid += event.notional_atoms * event.unpaid_lots // event.lots
        self._done = end
        return True

    @property
    def mark(self) -> float:
        return self._market.state.mark

    @property
    def move(self) -> float:
        """Of the last five minutes, in deviations."""
        spec, known = self._market.spec.impact, self._market.state.impact.survival.prices
        assert spec is not None
        assert spec.survival is not None
        if len(known) < spec.survival.steps:
            return 0.0
        return (known[-1] / known[0] - 1.0) / spec.survival.deviation

    @property
    def bids(self) -> float:
        """Share of them that is left."""
        return exp2(self._market.state.impact.survival.bid)

    def costs(self) -> tuple[float, ...]:
        """Basis points from the first bid that is left to the average of a sale; nothing is
        sold."""
        book, top = self._market.book, Top(self.mark, -1.0, self._engine.time_ns)
        best = book.best(-1, top)
        if best is None:
            return tuple(math.nan for _ in SLIPPAGES)
        sold = [book.offer(-1, 10**9, size, None, top).price for size in SLIPPAGES]
        return tuple((1.0 - price / best) * 1e4 for price in sold)

"""Tests of ``engine/cells.py`` and of the checks for staleness that are passed in one go."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import pytest

from engine.config import RunConfig, spec_of
from engine.config.settings import MarketConfig, OutputConfig, ProductConfig, SignalConfig
from engine.engine import Engine, EngineSpec
from engine.snapshot import snapshot
from engine.ticks import Kind, Marks, Step
from feeds.chance import indexes, raw_words
from feeds.recording import SymbolInfo
from strategies import TrendVol, VolTarget

SECOND = 1_000_000_000
START = 1_700_000_000 * SECOND + 123


def market(seed: int) -> Step:
    """1,500 marks, most a second apart; some stand still, some after silences of minutes."""
    words = raw_words(seed, 3, 0, 1_500)
    gaps = np.where(indexes(words, 0) < 40, indexes(words, 1) / 10, 1.0 + indexes(words, 2) / 5_000)
    moves = np.where(indexes(words, 3) < 1_500, 0, indexes(words, 4) - 2_048)
    moves[600:720] = 0
    return Step(
        first=0,
        end=1_500,
        tables=(
            Marks(
                sequence=np.arange(1_500),
                symbol=0,
                ts_ns=START + np.cumsum((gaps * SECOND).astype(np.int64)),
                price=60_000.0 + np.cumsum(moves) / 100.0,
            ),
        ),
    )


@pytest.fixture(scope="module")
def spec() -> EngineSpec:
    """Two products that look at signals on a grid of five seconds; stale after twenty."""
    info = SymbolInfo("BTCUSDT", "BTC", "USDT", "linear", 1.0, (Kind.MARK,), decade=10_000.0)
    config = RunConfig(
        markets=(
            MarketConfig(
                symbol="BTCUSDT",
                signals=SignalConfig(every="5s", stale_after=3),
                stale_after="20s",
                frozen_after="90s",
            ),
        ),
        products=tuple(
            ProductConfig(id=name, symbol="BTCUSDT", policies=(policy,))
            for name, policy in {
                "VOL": VolTarget(review_s=30.0),
                "TREND": TrendVol(review_s=60.0, trend_floor=0.0),
            }.items()
        ),
        output=OutputConfig(nav_every="10s"),
    )
    return spec_of(config, [info])


def cut(step: Step, rows: int) -> Iterator[Step]:
    """The same rows, so many at a time."""
    for first in range(step.first, step.end, rows):
        yield step.between(first, min(first + rows, step.end))


def outcome(spec: EngineSpec, steps: Iterable[Step]) -> tuple[str, bytes, dict[str, int]]:
    """Digest, state and the counts of what was said."""
    engine, said = Engine(spec), {}
    for step in steps:
        for event in engine.process(step).events:
            name = type(event).__name__
            said[name] = said.get(name, 0) + 1
    engine.finish()
    return engine.digest(), snapshot(engine), said


@pytest.mark.parametrize("seed", range(4))
def test_cells_of_a_whole_column_are_those_of_its_parts(spec: EngineSpec, seed: int) -> None:
    """Signals, staleness, every event and the state at the end are the same in one step, in steps
    of a few cells each, and row by row."""
    step = market(seed)
    whole = outcome(spec, [step])
    assert whole[2]["MarketStale"] >= 2
    assert whole[2]["Rebalanced"] >= 5
    assert outcome(spec, cut(step, 97)) == whole
    assert outcome(spec, cut(step, 1)) == whole

"""Tests of ``engine.signals``."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from random import Random

import msgspec
import pytest

from engine.signals import Signals, SignalSpec, SignalState
from engine.units import DAY_NS, MINUTE_NS

MINUTES_PER_YEAR = 365 * 24 * 60
SPEC = SignalSpec(vol_half_life=10.0, trend_half_life=20.0, window=8, stale_after=3)


def fed(closes: Sequence[float], spec: SignalSpec = SPEC) -> Signals:
    """Signals after these closes, each its own high and low."""
    signals = Signals(spec)
    for close in closes:
        signals.step(close, close, close, fresh=True)
    return signals


def a_walk(count: int, seed: int = 1) -> list[float]:
    random, price, walk = Random(seed), 100.0, []
    for _ in range(count):
        walk.append(price)
        price *= 1.0 + random.gauss(0.0, 0.003)
    return walk


def returns(closes: Sequence[float]) -> list[float]:
    return [b / a - 1.0 for a, b in pairwise(closes)]


def ewma(values: Sequence[float], half_life: float) -> float:
    """The weighted sum as it is written down: the newest value weighs 1 - keep, its neighbour keep
    times that."""
    keep = 0.5 ** (1.0 / half_life)
    return math.fsum((1.0 - keep) * keep**age * v for age, v in enumerate(reversed(values)))


@pytest.mark.parametrize("count", [2, 3, 9, 10, 11, 200])
def test_the_recurrences_are_the_plain_sums(count: int) -> None:
    """EWMA volatility, realised volatility over the last eight returns and the trend agree with
    sums over all closes, before and after the window is full. Catches a window that keeps its
    oldest return, and a year of another length."""
    closes = a_walk(count)
    changes, signals = returns(closes), fed(closes)
    variance = ewma([c * c for c in changes], 10.0) / ewma([1.0] * len(changes), 10.0)
    assert signals.ewma_vol == pytest.approx(math.sqrt(variance * MINUTES_PER_YEAR))
    last = changes[-8:]
    mean = math.fsum(c * c for c in last) / len(last)
    assert signals.realised_vol == pytest.approx(math.sqrt(mean * MINUTES_PER_YEAR))
    move, path = ewma(changes, 20.0), ewma([abs(c) for c in changes], 20.0)
    assert signals.trend == pytest.approx(move / path * ewma([1.0] * len(changes), 20.0))


def test_after_a_half_life_half_of_a_new_volatility_is_seen() -> None:
    """A thousand returns of 0.1 %, then ten of nothing with a half-life of ten: variance r^2 / 2,
    by hand. Catches a half-life that is a decay."""
    closes = [100.0 * 1.001**n for n in range(1_001)]
    closes += [closes[-1]] * 10
    assert fed(closes).ewma_vol == pytest.approx(0.001 * math.sqrt(0.5 * MINUTES_PER_YEAR))


def test_volatility_does_not_start_from_calm() -> None:
    """Returns of one size are that volatility from the first on. Catches an average that still
    weighs the zeros before the data began: a young market would look calm."""
    for count in (2, 3, 30):
        closes = [100.0 * 1.001**n for n in range(count)]
        assert fed(closes).ewma_vol == pytest.approx(0.001 * math.sqrt(MINUTES_PER_YEAR))
        assert fed(closes).realised_vol == pytest.approx(0.001 * math.sqrt(MINUTES_PER_YEAR))


def test_parkinson_on_a_known_range() -> None:
    """Steps whose high is 2 % over their low have ln(1.02)^2 / (4 ln 2) each. Catches a range in
    the wrong logarithm, off by ln 2."""
    signals = Signals(SPEC)
    for _ in range(11):
        signals.step(100.0, 101.0, 101.0 / 1.02, fresh=True)
    one = math.log(1.02) ** 2 / (4.0 * math.log(2.0))
    assert signals.parkinson_vol == pytest.approx(math.sqrt(one * MINUTES_PER_YEAR))
    assert signals.ewma_vol == 0.0


def test_the_year_is_counted_in_steps_of_the_grid() -> None:
    """The same closes on a daily grid are sqrt(1,440) times less volatile a year than on minutes.
    Catches a fixed factor."""
    closes = a_walk(50)
    daily = SignalSpec(every_ns=DAY_NS, vol_half_life=10.0, trend_half_life=20.0, window=8)
    ratio = fed(closes).ewma_vol / fed(closes, daily).ewma_vol
    assert ratio == pytest.approx(math.sqrt(DAY_NS / MINUTE_NS))


def test_the_trend_tells_straight_ways_from_detours() -> None:
    """Straight up goes to 1, straight down to -1, to and fro stays near 0, as does what has only
    begun: after a half-life of 20 straight steps it is half. Catches an unsigned trend, and a
    first tick that is taken for a clear one."""
    assert fed([]).trend == fed([100.0]).trend == fed([100.0] * 5).trend == 0.0
    assert fed([100.0 + n for n in range(21)]).trend == pytest.approx(0.5)
    assert fed([100.0 * 1.001**n for n in range(500)]).trend == pytest.approx(1.0)
    assert fed([100.0 * 0.999**n for n in range(500)]).trend == pytest.approx(-1.0)
    assert abs(fed([100.0, 101.0] * 100).trend) < 0.05


def test_the_first_close_is_no_return() -> None:
    """Catches a return from zero."""
    signals = fed([60_000.0])
    assert (signals.ewma_vol, signals.realised_vol, signals.parkinson_vol) == (0.0, 0.0, 0.0)


def test_a_step_without_a_fresh_tick_does_not_update() -> None:
    """Whatever price it brings. After three of them the signals are stale, a fresh one ends that,
    and the jump across the gap is one return. Catches a silent market that looks calm."""
    closes = a_walk(30)
    signals = fed(closes)
    before = msgspec.structs.replace(signals.state, returns=list(signals.state.returns))
    for missed in range(1, 4):
        assert not signals.stale
        signals.step(7.0, math.inf, -math.inf, fresh=False)
        assert msgspec.structs.replace(signals.state, missed=0) == before
        assert signals.state.missed == missed
    assert signals.stale
    signals.step(closes[-1] * 1.1, closes[-1] * 1.1, closes[-1], fresh=True)
    assert not signals.stale
    assert signals.ewma_vol == pytest.approx(fed([*closes, closes[-1] * 1.1]).ewma_vol)


def test_the_drawdown_is_from_the_highest_price_of_the_steps() -> None:
    """A high of 125 between two closes counts: at 100 the drawdown is -20 %; at a new high it is
    0. Catches a highest close."""
    signals = Signals(SPEC)
    signals.step(100.0, 125.0, 99.0, fresh=True)
    signals.step(100.0, 101.0, 99.0, fresh=True)
    assert signals.drawdown(100.0) == pytest.approx(-0.2)
    assert signals.drawdown(125.0) == signals.drawdown(130.0) == 0.0
    assert Signals(SPEC).drawdown(100.0) == 0.0


def test_the_signals_go_on_from_a_snapshot_bit_by_bit() -> None:
    """State through msgpack, then the rest of the closes: the same floats. Catches a remembered
    figure outside the state."""
    closes = a_walk(60)
    whole = fed(closes)
    for place in (0, 1, 5, 8, 40):
        first, rest = fed(closes[:place]), Signals(SPEC)
        packed = msgspec.msgpack.encode(first.state)
        rest.state = msgspec.msgpack.decode(packed, type=SignalState)
        assert rest.realised_vol == first.realised_vol
        for close in closes[place:]:
            rest.step(close, close, close, fresh=True)
        for name in ("ewma_vol", "realised_vol", "parkinson_vol", "trend"):
            assert getattr(rest, name) == getattr(whole, name)

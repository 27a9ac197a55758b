"""Tests of ``engine.signals_ahead``."""

from __future__ import annotations

from itertools import islice
from random import Random

import msgspec
import numpy as np
import pytest

from engine.signals import Signals, SignalSpec
from engine.signals_ahead import SignalsAhead

STEPS = 300


def a_grid(seed: int) -> tuple[list[float], list[float], list[float]]:
    """Closes, highs, lows of a walk; some steps without a range, one without a move."""
    random, price = Random(seed), 100.0
    closes, highs, lows = [], [], []
    for step in range(STEPS):
        price *= 1.0 if step == 7 else 1.0 + random.gauss(0.0, 0.01)
        flat = random.random() < 0.1
        closes.append(price)
        highs.append(price if flat else price * (1.0 + random.random() * 0.01))
        lows.append(price if flat else price * (1.0 - random.random() * 0.01))
    return closes, highs, lows


def a_start(spec: SignalSpec, steps: int, seed: int) -> Signals:
    """Signals that saw so many steps, the last of them without a fresh tick."""
    signals = Signals(spec)
    for close, high, low in islice(zip(*a_grid(seed), strict=True), steps):
        signals.step(close, high, low, fresh=True)
    for _ in range(spec.stale_after if steps % 2 else 0):
        signals.step(1.0, 1.0, 1.0, fresh=False)
    return signals


@pytest.mark.parametrize("window", [1, 2, 7, 60, 1_000])
@pytest.mark.parametrize("seen", [0, 1, 2, 7, 8, 61, 130])
def test_what_is_worked_out_ahead_is_what_the_steps_say(window: int, seen: int) -> None:
    """State and figures at every point, to the last bit, whatever was seen before, however far one
    goes at once, whether the window is empty, half full or has gone round. Catches a window filled
    at another place, and a range that is rounded by another logarithm."""
    spec = SignalSpec(vol_half_life=5.0, trend_half_life=9.0, window=window, stale_after=3)
    grid = a_grid(1)
    for stride in (1, 5, 97):
        plain, led = a_start(spec, seen, 2), a_start(spec, seen, 2)
        ahead = SignalsAhead(led, *(np.array(column) for column in grid))
        known = ahead.figures(np.arange(STEPS + 1))
        for point, (close, high, low) in enumerate(zip(*grid, strict=True)):
            figures = (plain.ewma_vol, plain.realised_vol, plain.parkinson_vol, plain.trend)
            state = (plain.state.highest, plain.stale, plain.state.price)
            assert tuple(column[point].item() for column in known) == (*figures, *state)
            plain.step(close, high, low, fresh=True)
            if (point + 1) % stride == 0:
                ahead.take(point + 1)
                assert msgspec.msgpack.encode(led.state) == msgspec.msgpack.encode(plain.state)
                assert led.realised_vol == plain.realised_vol


def test_where_the_signals_were_led_to_changes_no_figure() -> None:
    """Figures of a few points, then of more, are those of all at once; leading the signals on
    changes none of them. Catches a window that is read where the signals were led to."""
    spec, grid = SignalSpec(window=12), [np.array(column) for column in a_grid(3)]
    whole = SignalsAhead(a_start(spec, 20, 4), *grid).figures(np.arange(STEPS + 1))
    bit = SignalsAhead(a_start(spec, 20, 4), *grid)
    for first in range(0, STEPS, 45):
        points = np.arange(first, min(first + 45, STEPS + 1))
        for one, other in zip(bit.figures(points), whole, strict=True):
            assert one.tolist() == other[points].tolist()
        bit.take(points.item(-1))

"""A million holders of one product, valued exactly, and what a holding costs in memory."""

from __future__ import annotations

import tracemalloc
from typing import Any, Final

import numpy as np

from engine.config import RunConfig, spec_of
from engine.config.settings import PopulationConfig, ProductConfig
from engine.engine import Engine
from engine.shares import value_users
from engine.ticks import Marks, Step
from feeds.recording import SymbolInfo
from feeds.synthetic import Synthetic
from strategies import LeverageBand
from tests.bench.clock import medians
from tests.bench.table import Row, Scale

__all__ = ["users"]

UPDATES: Final = 0.2e9
BYTES: Final = 32.0
CHECKED: Final = 10_000
"""Holdings compared one by one with Python's integers."""


def users(scale: Scale) -> list[Row]:
    """Users' NAVs from a product's NAV into the bytes that go out; memory of a population."""
    return [_valued(scale), _held(scale)]


def _valued(scale: Scale) -> Row:
    count = scale.of(1_000_000)
    units = np.random.default_rng(7).integers(0, 10**12, count)
    nav, total = 1_234_567_890_123, int(units.sum())
    buffer = bytearray(8 * count)
    out = np.frombuffer(buffer, np.int64)
    spent = medians(lambda: value_users(units, nav, total, out), 1 if scale.smoke else 15)
    for place in range(0, count, max(1, count // CHECKED)):
        assert int(out[place]) == int(units[place]) * nav // total
    dust = nav - int(out.sum())
    assert 0 <= dust < count
    rate = count / max(spent.cpu, 1e-9)
    return Row(
        name="users",
        work=f"{count:,} user NAVs from a product's NAV, exact integers, into a byte buffer",
        target=f">= {UPDATES / 1e9:g} G updates/s",
        figure=f"{rate / 1e9:.2f} G/s ({spent.cpu * 1e3:.1f} ms)",
        met=rate >= UPDATES,
        note=f"equal to Python's integers; {dust:,} atoms of dust stay with the product",
        details={"holders": count, "cpu": spent.cpu, "wall": spent.wall},
    )


def _held(scale: Scale) -> Row:
    count = scale.of(1_000_000)
    info: tuple[SymbolInfo, ...] = Synthetic().symbols
    band = LeverageBand(target=3.0, low=2.25, high=4.125)
    product = ProductConfig(id="BTC3L", symbol="BTCUSDT", policies=(band,))
    sizes: dict[str, Any] = {}
    for holders in (0, count):
        config = RunConfig(products=(product,), population=PopulationConfig(count=holders))
        tracemalloc.start()
        spec = spec_of(config, info)
        described = tracemalloc.get_traced_memory()[0]
        engine = Engine(spec)
        engine.process(_first_price())
        held, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        sizes[str(holders)] = {"spec": described, "all": held, "peak": peak}
    none, all_ = sizes["0"], sizes[str(count)]
    each = {name: (all_[name] - none[name]) / count for name in none}
    state = each["all"] - each["spec"]
    buffer = 8.0
    return Row(
        name="users",
        work=f"{count:,} holders of one product: memory of a holding",
        target=f"<= {BYTES:g} bytes",
        figure=f"{each['all'] + buffer:.0f} bytes: specification {each['spec']:.0f}, "
        f"state {state:.0f}, NAV {buffer:.0f}\npeak at the launch {each['peak']:.0f}",
        met=each["all"] + buffer <= BYTES,
        details={"bytes": sizes},
    )


def _first_price() -> Step:
    marks = Marks(
        sequence=np.array([0]),
        symbol=0,
        ts_ns=np.array([1_700_000_000_000_000_000]),
        price=np.array([60_000.0]),
    )
    return Step(first=0, end=1, tables=(marks,))

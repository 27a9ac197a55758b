"""Products on price paths that a test draws, without fees and spreads: what is left of NAV.

One price a minute; what happens between two of them nobody sees, so a path is a path of jumps.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import Any, Final

import numpy as np

from engine.engine import Engine
from engine.signals import SignalSpec
from engine.ticks import Kind
from engine.units import DAY_NS, MINUTE_NS
from engine.venue.book import BookSpec
from strategies import Constant, DrawdownControl, LeverageBand, TrendVol, VolTarget
from tests.builders import T0, Run, a_contract, a_market, a_product, a_row, a_spec, a_tape, run

__all__ = [
    "CAUTIOUS",
    "FIXED",
    "SMART",
    "START",
    "YEAR_MINUTES",
    "held",
    "interval",
    "nav_factors",
    "replayed",
    "steps",
    "walk",
]

START: Final = -(-T0 // DAY_NS) * DAY_NS
YEAR_MINUTES: Final = 365.0 * 1_440.0
FIXED: Final = Constant(target=3.0)
"""Back to 3x at every price."""
SMART: Final[dict[str, Any]] = {
    "trend_vol": TrendVol(low=0.5, base=1.5, high=3.0, review_s=60.0, step=0.1, target_vol=1.2),
    "vol_target": VolTarget(target_vol=2.0, high=3.0, unknown=1.0, review_s=60.0, step=0.1),
    "by_variance": VolTarget(
        target_vol=2.0, scaled_by="variance", high=3.0, unknown=1.0, review_s=60.0, step=0.1
    ),
}
"""Dynamic policies, fixed before any path was drawn; none may hold more than the fixed multiple."""
CAUTIOUS: Final = DrawdownControl(base=3.0, max_drawdown=0.4, review_s=60.0, step=0.1)
"""One that looks at what was lost, and not at how."""


def replayed(prices: Sequence[float], *orders: Any, **products: Any) -> Run:
    """Each product (a policy, or several) on the path; Ann holds a thousand of each, and gives her
    orders after the first price."""
    market = a_market(
        contract=a_contract(taker_fee=0.0),
        book=BookSpec(model="flat"),
        signals=SignalSpec(every_ns=MINUTE_NS, vol_half_life=30, trend_half_life=60, window=60),
        stale_after_ns=DAY_NS,
        frozen_after_ns=DAY_NS,
    )
    rows = [a_row(Kind.MARK, START + n * MINUTE_NS, price) for n, price in enumerate(prices)]
    own = [
        (
            a_product(name, holdings=((0, 10**9),) if orders else ()),
            policies if isinstance(policies, tuple) else (policies,),
        )
        for name, policies in products.items()
    ]
    spec = a_spec(*own, markets=[market], users=("ann",))
    return run(spec, a_tape([*rows[:1], *orders, *rows[1:]]))


def nav_factors(prices: Sequence[float], **products: Any) -> dict[str, float]:
    """NAV at the end over NAV at the start, by product."""
    engine: Engine = replayed(prices, **products).engine
    return {
        handler.spec.id: handler.account.nav(prices[-1]) / handler.account.state.equity_start
        for handler in engine.handlers
    }


def steps(seed: int, count: int, volatility: float, drift: float = 0.0) -> Any:
    """Shape (count,): log steps of a minute, with a volatility and a drift a year."""
    chance = np.random.default_rng(seed)
    each = volatility / math.sqrt(YEAR_MINUTES)
    return chance.normal(drift / YEAR_MINUTES, each, count)


def walk(log_steps: Any, start: float = 50_000.0) -> list[float]:
    """The prices that log steps lead to."""
    return [start, *(start * np.exp(np.cumsum(log_steps))).tolist()]


def held(said: Run, product: str) -> list[float]:
    """Leverage at every sample, where it is known."""
    nav = said.nav
    (place,) = (n for n, h in enumerate(said.engine.handlers) if h.spec.id == product)
    own = nav["product"] == place
    leverage = nav["leverage"][own]
    return [float(each) for each in leverage if math.isfinite(each)]


def interval(hits: int, count: int, trust: float = 0.95) -> tuple[float, float]:
    """Wilson's interval of a share: 50 of 100 are 0.404 to 0.596."""
    z = NormalDist().inv_cdf(0.5 + trust / 2.0)
    share, spread = hits / count, z * z / count
    middle = (share + spread / 2.0) / (1.0 + spread)
    half = z * math.sqrt(share * (1.0 - share) / count + spread / (4.0 * count)) / (1.0 + spread)
    return middle - half, middle + half


def band(target: float, low: float, high: float) -> LeverageBand:
    return LeverageBand(target=target, low=low, high=high)

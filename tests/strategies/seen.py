"""A view with valid defaults: a test states only what matters to it."""

from __future__ import annotations

from typing import Any

import numpy as np

from engine.conform_products import Trial, trial
from engine.policy import MarketView, Policy, PositionView, View
from tests.builders import T0

__all__ = ["a_view", "followed", "ladder"]

_OF_POSITION = ("high_water_mark", "drawdown", "last_rebalance_ns")


def a_view(
    leverage: float = 0.0,
    *,
    price: float = 100.0,
    nav: float = 100.0,
    target: float | None = None,
    due_ns: int = T0,
    **fields: Any,
) -> View:
    """A product of 100 of NAV at that leverage, asked at ``due_ns``."""
    own = {name: fields.pop(name) for name in _OF_POSITION if name in fields}
    market = MarketView(due_ns, price, price, price, **fields)
    decided = leverage if target is None else target
    return View(market, PositionView(nav, nav * leverage, leverage, decided, price, **own), due_ns)


def ladder(start: float, end: float, rungs: int) -> Any:
    """Prices from one to another, each the same share away from the one before."""
    return start * np.exp(np.linspace(0.0, np.log(end / start), rungs + 1))


def followed(policy: Policy, prices: Any) -> Trial:
    """The policy on a price a second, without costs."""
    return trial(policy, np.array(prices, np.float64))

"""What the samples of a product's NAV come to: worst drawdown, range and mean of its leverage."""

from __future__ import annotations

from typing import Any

import numpy as np

from engine.events import Deleveraged, Rebalanced

__all__ = ["Samples"]


class Samples:
    """Figures of each product over its NAV samples, kept up to date block by block; the range of
    its leverage takes in what it was before and after each trade, which no sample need meet."""

    def __init__(self, products: int) -> None:
        self.count = np.zeros(products, np.int64)
        self.peak = np.ones(products)  # a unit starts at one quote
        self.drawdown = np.zeros(products)
        self.leverage_min = np.full(products, np.inf)
        self.leverage_max = np.full(products, -np.inf)
        self.leverage_sum = np.zeros(products)

    def add(self, product: int, per_unit: Any, leverage: Any) -> None:
        """One product's samples, in time order. ``per_unit`` and ``leverage`` of shape (n,)."""
        if not len(per_unit):
            return
        peaks = np.maximum.accumulate(np.maximum(per_unit, self.peak[product]))
        self.peak[product] = peaks[-1]
        self.drawdown[product] = min(self.drawdown[product], float((per_unit / peaks - 1.0).min()))
        known = leverage[np.isfinite(leverage)]
        if len(known):
            self.leverage_min[product] = min(self.leverage_min[product], known.min())
            self.leverage_max[product] = max(self.leverage_max[product], known.max())
            # A running sum in sample order: the same however the run was cut into flushes.
            total = np.cumsum(np.concatenate([[self.leverage_sum[product]], known]))
            self.leverage_sum[product] = total[-1]
            self.count[product] += len(known)

    def trade(self, product: int, event: Rebalanced | Deleveraged) -> None:
        """Leverage around a trade; the opening trade begins with none."""
        if isinstance(event, Rebalanced) and event.opening:
            return
        for leverage in (event.leverage_before, event.leverage_after):
            if leverage is not None:
                self.leverage_min[product] = min(self.leverage_min[product], leverage)
                self.leverage_max[product] = max(self.leverage_max[product], leverage)

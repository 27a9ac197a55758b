"""``vol_target``: leverage in inverse proportion to volatility, or to variance."""

from __future__ import annotations

import math
from typing import Literal

from engine.policy import View
from strategies.reviewing import Reviewing, Wanted, direction_fault, kept_between

__all__ = ["VolTarget"]


class VolTarget(Reviewing, frozen=True, kw_only=True, tag="vol_target", tag_field="type"):
    """Keep the product's own volatility near ``target_vol``.

    ``target_vol / volatility`` times, or the square of that with ``scaled_by = "variance"``, kept
    in ``[low, high]``. A target of 60 % and a market of 30 % make 2x (4x by variance), one of 120 %
    makes 0.5x (0.25x).

    Args:
        direction: +1 long, -1 short.
        target_vol: a year's volatility of the product.
        scaled_by: by how much leverage falls where volatility rises.
        estimator: which of the market's volatilities.
        low, high: magnitudes, ``0 <= low <= high``.
        unknown: magnitude while no volatility is known, or none was seen.
        review_s, step: see ``reviewing``.

    It does badly where volatility comes as a gap: the estimate rises after the loss, and the
    product buys back when the rebound is over.

    Source: Harvey et al. 2018 (volatility), Moreira and Muir 2017 (variance), ``products.md`` 3.4;
    the defaults are ours.
    """

    direction: int = 1
    target_vol: float = 0.6
    scaled_by: Literal["volatility", "variance"] = "volatility"
    estimator: Literal["ewma", "realised", "parkinson"] = "ewma"
    low: float = 0.0
    high: float = 4.0
    unknown: float = 1.0

    def _fault(self) -> str:
        if not 0.0 < self.target_vol < math.inf:
            return f"target_vol must be > 0, was {self.target_vol}"
        if not 0.0 <= self.low <= self.unknown <= self.high < math.inf:
            return "0 <= low <= unknown <= high is wanted"
        return direction_fault(self.direction)

    def want(self, view: View) -> Wanted:
        market = view.market
        if self.estimator == "ewma":
            volatility = market.ewma_vol
        elif self.estimator == "realised":
            volatility = market.realised_vol
        else:
            volatility = market.parkinson_vol
        if not volatility > 0.0:
            return self.direction * self.unknown, "no volatility known", ()
        times = self.target_vol / volatility
        if self.scaled_by == "variance":
            times *= times
        want = self.direction * kept_between(times, self.low, self.high)
        return want, "volatility {:.0%} for {:.0%}", (volatility, self.target_vol)

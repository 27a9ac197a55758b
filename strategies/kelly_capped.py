"""``kelly_capped``: the leverage of the fastest growth, a share of it, and no more than a cap."""

from __future__ import annotations

import math

from engine.policy import View
from strategies.reviewing import Reviewing, Wanted, kept_between

__all__ = ["KellyCapped"]


class KellyCapped(Reviewing, frozen=True, kw_only=True, tag="kelly_capped", tag_field="type"):
    """``fraction * (expected_return - funding) / volatility**2``, kept in ``[low, high]``.

    At ``L`` the logarithm of NAV grows by ``L (mu - f) - L**2 sigma**2 / 2`` a year, most at
    ``(mu - f) / sigma**2``, and not at all at twice that. An expected 50 %, funding of 10 % and a
    volatility of 60 % make 1.1111x, at which NAV grows by 0.2222 a year; half of it is 0.5556x.

    Args:
        expected_return: of the price, a year, simple; nobody knows it.
        fraction: share of the full leverage.
        low, high: signed, ``low <= high``; a negative ``low`` allows short.
        funding_times: funding instants in a year; the market's next rate is taken for all.
        review_s, step: see ``reviewing``.

    It does badly where ``expected_return`` is wrong, and that is everywhere: at twice the right
    leverage nothing is left of the growth.

    Source: Kelly's rule for a continuous market, as in Giese 2010 (``products.md`` 3.4).
    """

    expected_return: float = 0.3
    fraction: float = 0.5
    low: float = 0.0
    high: float = 3.0
    funding_times: float = 1095.0

    def _fault(self) -> str:
        if not math.isfinite(self.expected_return):
            return f"expected_return must be finite, was {self.expected_return}"
        if not 0.0 < self.fraction <= 2.0:
            return f"fraction must be above 0 and at most 2, was {self.fraction}"
        if not -math.inf < self.low <= self.high < math.inf:
            return "low <= high is wanted"
        if not 0.0 <= self.funding_times < math.inf:
            return f"funding_times must be >= 0, was {self.funding_times}"
        return ""

    def want(self, view: View) -> Wanted:
        market = view.market
        volatility = market.ewma_vol
        variance = volatility * volatility
        if not variance > 0.0:
            return kept_between(0.0, self.low, self.high), "no volatility known", ()
        excess = self.expected_return - market.funding_rate * self.funding_times
        want = kept_between(self.fraction * (excess / variance), self.low, self.high)
        return want, "excess return {:.0%}, volatility {:.0%}", (excess, volatility)

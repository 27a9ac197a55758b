"""What a fixed-term claim is worth: payoff, fair value before settlement, and the fair breakeven.

A long claim on 1 quote with leverage V and breakeven B pays ``max(0, 1 + V (S - B) / B)`` of the
settlement price S. That is ``V / B`` calls struck at ``K = B (1 - 1 / V)``; a short claim, which
pays ``max(0, 1 + V (B - S) / B)``, is ``V / B`` puts struck at ``B (1 + 1 / V)``. Values are those
of Black and Scholes 1973 without interest: what is left is a variance, and the price.

Source: payoff as Bybit publishes it (``products.md`` 1.1), the strikes by rearranging it.
"""

from __future__ import annotations

from math import sqrt
from typing import Final

from msgspec import Struct

from engine.exact import log2, normal_cdf

__all__ = ["Claim", "fair_breakeven", "mean_variance", "worth"]

_LN2: Final = 0.6931471805599453
_RATIO_MIN: Final = 1e-4
_RATIO_MAX: Final = 1e4
_HALVINGS: Final = 80
"""More than there are floats between a breakeven and the next."""


class Claim(Struct, frozen=True):
    """One quote's worth at entry: ``side`` +1 long or -1 short, ``leverage`` >= 1, ``breakeven`` in
    quote per base."""

    side: int
    leverage: float
    breakeven: float

    @property
    def strike(self) -> float:
        """Where nothing is paid any more: below it of a long claim, above it of a short one."""
        return self.breakeven * (1.0 - self.side / self.leverage)

    def payoff(self, settlement: float) -> float:
        """Quote, at a settlement price: 1.5 at 60,600 of a long 50x with a breakeven of 60,000."""
        gain = self.leverage * self.side * (settlement - self.breakeven) / self.breakeven
        return max(0.0, 1.0 + gain)


def worth(
    claim: Claim, price: float, variance: float, *, known: float = 0.0, open_share: float = 1.0
) -> tuple[float, float]:
    """Fair value of a claim, and how much it gains for each quote per base that the price gains.

    The settlement price is ``known + open_share * M`` where M, what is still to be seen, has a
    lognormal law with mean ``price``. Long 50x at its breakeven of 100, with 1e-4 of variance (a
    day at 19 % a year), it is worth 1.0040.

    Args:
        price: of the index now, quote per base, > 0.
        variance: of ``log M``, >= 0.
        known: the part of the settlement price that has been seen.
        open_share: the share of it that has not, > 0.

    Returns:
        Quote and base per quote paid in; base is signed, as the hedge that replicates the claim.

    Source: Black and Scholes 1973; in the averaging window the strike moves by what is known and
    the law of the rest is taken to be lognormal, as Levy 1992 has it.
    """
    count = claim.leverage / claim.breakeven * open_share
    strike = (claim.strike - known) / open_share
    if strike <= 0.0:
        return (count * (price - strike), count) if claim.side > 0 else (0.0, 0.0)
    if variance <= 0.0:
        gain = claim.side * (price - strike)
        return (count * gain, claim.side * count) if gain > 0.0 else (0.0, 0.0)
    spread = sqrt(variance)
    near = log2(price / strike) * _LN2 / spread + spread / 2.0
    if claim.side > 0:
        delta = normal_cdf(near)
        value = price * delta - strike * normal_cdf(near - spread)
        return count * max(value, 0.0), count * delta
    delta = normal_cdf(-near)
    value = strike * normal_cdf(spread - near) - price * delta
    return count * max(value, 0.0), -count * delta


def fair_breakeven(side: int, leverage: float, price: float, variance: float, fee: float) -> float:
    """The breakeven at which a claim on 1 quote is worth ``1 - fee``.

    A week at 60 % a year (variance 0.0069) makes 1.0502 times the price of a long 50x and 0.9488 of
    a short one, without a fee.

    Args:
        price: quote per base, > 0.
        variance: of the logarithm of the settlement price, >= 0.
        fee: share of what is paid in that the issuer keeps, 0 <= fee < 1.
    """
    low, high = _RATIO_MIN, _RATIO_MAX
    for _ in range(_HALVINGS):
        middle = sqrt(low * high)
        if not low < middle < high:
            break
        value, _delta = worth(Claim(side, leverage, middle * price), price, variance)
        # The farther the breakeven, the less a long claim is worth, and the more a short one.
        if (value > 1.0 - fee) == (side > 0):
            low = middle
        else:
            high = middle
    return sqrt(low * high) * price


def mean_variance(volatility: float, until_first_s: float, samples: int) -> float:
    """Variance of the logarithm of a mean of ``samples`` prices, one a second, the first of them
    ``until_first_s`` from now: ``volatility**2`` a year times the mean's time.

    Times ``u + i`` have a mean Brownian motion of variance ``u + (m - 1) (2 m - 1) / (6 m)``: of a
    long window a third counts.
    """
    rest_s = (samples - 1) * (2 * samples - 1) / (6.0 * samples)
    return volatility * volatility * (until_first_s + rest_s) / (365.0 * 86_400.0)

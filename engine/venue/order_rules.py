"""Which orders the venue takes, and how far a market order may walk.

Bounds are shares of the mark: a limit order may not buy far above it nor sell far below it, a
market order stops there. What is too large is refused, never cut: cutting is for who sends it.

Source: reference venue notes 1.2 (bands, caps), 1.3 (reduce-only); Hyperliquid's tick and lot sizes
for significant figures.
"""

from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction
from typing import Final, Literal

from engine.units import Rounding, decimal, decimal_ratio
from engine.venue.contract_spec import ContractSpec
from engine.venue.rules import OrderRules

__all__ = ["OrderBounds", "Refusal", "price_digits", "price_fits", "size_fits"]

Refusal = Literal[
    "reduce_only", "too_small", "too_large", "not_a_price", "price_step", "price_band", "no_mark"
]
"""Why an order is not taken."""

_UP: Final = Rounding.UP


class OrderBounds:
    """The order rules of one contract, in its lots.

    Args:
        rules: the venue's.
        contract: with price step and lot.
    """

    __slots__ = (
        *("_deviations", "_dust", "_is_plain", "_limits", "_lots_min", "_market_max", "_max"),
        *("_notional_min", "_rules", "_step", "_step_ratio", "_surely_max"),
    )

    def __init__(self, rules: OrderRules, contract: ContractSpec) -> None:
        lot = decimal(contract.lot_size)
        self._rules = rules
        self._step = decimal(contract.price_step)
        self._lots_min = max(math.ceil(decimal(rules.size_min) / lot), 1)
        self._max = _lots_max(rules.limit_size_max, lot)
        self._market_max = _lots_max(rules.market_size_max, lot)
        self._surely_max = math.inf if self._market_max is None else self._market_max
        face = lot * decimal(contract.contract_size)
        inverse = contract.kind == "inverse"
        # The smallest notional as lots where inverse, as lots times price where linear.
        self._notional_min = (decimal(rules.notional_min) / face, inverse)
        self._dust = 2.0 * float(self._notional_min[0])
        # Whether the price step alone makes the grid.
        self._is_plain = rules.significant_figures is None and rules.price_decimals is None
        share = rules.market_deviation
        # By side, the bound of market orders as a share of the mark, and in price steps.
        self._deviations = {}
        if share is not None:
            for side, most in ((1, 1 + decimal(share)), (-1, 1 - decimal(share))):
                steps = most / self._step
                over, under = most.as_integer_ratio(), steps.as_integer_ratio()
                self._deviations[side] = (*over, *under)
        self._step_ratio = self._step.as_integer_ratio()
        # By side, the last mark that somebody asked about, and the limit there.
        self._limits = {1: (math.nan, math.nan), -1: (math.nan, math.nan)}

    def surely_takes(self, size: int, mark: float) -> bool:
        """Whether no rule about sizes is near a market order of so many lots, unsigned: the venue
        takes it, whatever else is held. Of others ``refusal`` knows."""
        if not self._lots_min <= size <= self._surely_max:
            return False
        least, inverse = self._notional_min
        if inverse:
            return size >= least and 0.0 < mark < math.inf
        return self._dust < size * mark < math.inf

    def refusal(
        self,
        lots: int,
        mark: float,
        price: float | None = None,
        *,
        position: int = 0,
        reduce_only: bool = False,
    ) -> Refusal | None:
        """Why the venue does not take an order; ``None`` where it does.

        Args:
            lots: signed, positive buys.
            mark: quote per base.
            price: limit; ``None`` for a market order.
            position: signed lots of the account, at this moment. Of a reduce-only order that is
                larger only the position's size will be executed.
            reduce_only: whether the order may only bring the position nearer to zero.
        """
        if not 0.0 < mark < math.inf:
            return "no_mark"
        if reduce_only and lots * position >= 0:
            return "reduce_only"
        size = abs(lots)
        if price is not None and not 0.0 < price < math.inf:
            return "not_a_price"
        if size < self._lots_min:
            return "too_small"
        if not reduce_only and self._is_dust(size, mark if price is None else price):
            return "too_small"
        most = self.lots_max(market=price is None)
        if most is not None and size > most:
            return "too_large"
        if price is None:
            return None
        if not self.is_price(price):
            return "price_step"
        return None if self._is_in_band(lots, price, mark) else "price_band"

    def lots_max(self, *, market: bool) -> int | None:
        """Largest single order; ``None`` where none is too large."""
        return self._market_max if market else self._max

    def market_limit(self, side: int, mark: float) -> float:
        """Worst price at which a market order may fill: the last valid one on the mark's side; the
        bound itself where the grid is so coarse that this would lie beyond the mark.

        Args:
            side: +1 buys, -1 sells.
            mark: quote per base.

        Returns:
            Infinite for buys and 0 for sales where the venue has no bound.
        """
        if not self._deviations:
            return math.inf if side > 0 else 0.0
        asked, limit = self._limits[side]
        if asked != mark:
            limit = self._market_limit(side, mark)
            self._limits[side] = mark, limit
        return limit

    def _market_limit(self, side: int, mark: float) -> float:
        share_over, share_under, steps_over, steps_under = self._deviations[side]
        over, under = decimal_ratio(mark)
        if self._is_plain:  # in whole numbers, for every market order asks
            steps = side * (side * over * steps_over // (under * steps_under))
            step_over, step_under = self._step_ratio
            limit = steps * step_over / step_under
        else:
            bound = Fraction(over * share_over, under * share_under)
            limit = self.rounded(bound, Rounding.DOWN if side > 0 else _UP)
        if side * (limit - mark) >= 0.0:
            return limit
        return over * share_over / (under * share_under)

    def is_price(self, price: float) -> bool:
        """Whether a price lies on the venue's grid. 0.1 is the decimal, not the nearest float."""
        exact, rules = decimal(price), self._rules
        if self._is_plain:
            return (exact / self._step).denominator == 1
        return _digits_fit(exact, rules.significant_figures, rules.price_decimals)

    def rounded(self, price: float | Fraction, rounding: Rounding) -> float:
        """The nearest price on the grid in a direction.

        A liquidation price of 5,739.08 on a grid of 0.5 goes up to 5,739.5 for a long: the venue
        liquidates sooner, never later. For a short it goes down.
        """
        exact = price if isinstance(price, Fraction) else decimal(price)
        step = self._step_at(exact)
        whole = exact / step
        return float((math.ceil(whole) if rounding is _UP else math.floor(whole)) * step)

    def _step_at(self, price: Fraction) -> Fraction:
        if self._is_plain:
            return self._step
        figures, most = self._rules.significant_figures, self._rules.price_decimals
        own = None if figures is None else figures - _magnitude(price)
        decimals = min(each for each in (own, most) if each is not None)
        return Fraction(1, 10 ** max(decimals, 0))

    def _is_dust(self, size: int, price: float) -> bool:
        least, inverse = self._notional_min
        if not inverse and size * price > self._dust:  # twice as much: no float is that wrong
            return False
        return size < least if inverse else size * decimal(price) < least

    def _is_in_band(self, lots: int, price: float, mark: float) -> bool:
        """A purchase is bounded from above and a sale from below: nobody is hurt by the rest."""
        if lots > 0:
            share = self._rules.band_up
            return share is None or decimal(price) <= decimal(mark) * (1 + decimal(share))
        share = self._rules.band_down
        return share is None or decimal(price) >= decimal(mark) * (1 - decimal(share))


def price_digits(price: Fraction) -> tuple[int, int]:
    """Significant figures and decimals of a decimal number: ``(5, 1)`` for 1,234.5. All digits of a
    whole number count."""
    decimals = 0
    scaled = price
    while scaled.denominator != 1:
        scaled *= 10
        decimals += 1
    return len(str(abs(scaled.numerator))), decimals


def price_fits(text: str, size_decimals: int = 0, figures: int = 5, most: int = 6) -> bool:
    """Whether Hyperliquid takes a price: at most ``figures`` significant figures and ``most -
    size_decimals`` decimals; whole numbers always.

    Args:
        text: a decimal number; trailing zeros do not count.
        size_decimals: of sizes of the contract.
        figures, most: the venue's.
    """
    return _digits_fit(Fraction(Decimal(text)), figures, most - size_decimals)


def size_fits(text: str, size_decimals: int) -> bool:
    """Whether a size has no more decimals than the contract."""
    return price_digits(Fraction(Decimal(text)))[1] <= size_decimals


def _digits_fit(price: Fraction, figures: int | None, decimals: int | None) -> bool:
    if price.denominator == 1:
        return True
    own_figures, own_decimals = price_digits(price)
    return (figures is None or own_figures <= figures) and (
        decimals is None or own_decimals <= decimals
    )


def _magnitude(price: Fraction) -> int:
    """Digits before the point; of a price below 1 less the zeros after it: 0 for 0.5, -2 for
    0.005."""
    if price >= 1:
        return len(str(int(price)))
    zeros, scaled = 0, price * 10
    while 0 < scaled < 1:
        scaled *= 10
        zeros += 1
    return -zeros


def _lots_max(size: float | None, lot: Fraction) -> int | None:
    return None if size is None else int(decimal(size) / lot)

"""Known answers about policies: flexible leverage, restrikes, and what bands and jumps make of a
market that is given by its laws."""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Any, Final

import numpy as np

from engine.conform_products import BAND_TICKS, band, limits, path, trial
from engine.events import TermSettled
from engine.exact import normal_cdf
from engine.product import Terms
from strategies import FixedTerm, LeverageBand
from strategies.collateral import ONE, Collateral, recentred

__all__ = ["flexible", "identities", "jump_ruin", "renewal", "restrike", "term"]

_USDC: Final = 10**12
"""From the six decimals of the debt's coin to eighteen."""
_YEAR_DAYS: Final = 365.0
_TERM_S: Final = 3_600.0
_SETTLE_S: Final = 1_800
"""Half an hour of samples, at the end of an hour."""
_DIGITS: Final = Decimal(1).scaleb(-18)
_EXACT: Final = Context(prec=60, rounding=ROUND_HALF_EVEN)

Inputs = Mapping[str, Any]


def flexible(inputs: Inputs) -> dict[str, str]:
    """One trade of flexible leverage, in whole numbers: ``mode`` is ``rebalance``, ``engage``,
    ``ripcord`` (to the highest leverage) or ``disengage`` (to 1).

    Raises:
        ArithmeticError: if nothing is left of the collateral after its debt.
    """
    price = int(Decimal(str(inputs["price"])) * ONE)
    held = Collateral(price, int(inputs["collateral"]), int(inputs["debt_usdc"]) * _USDC)
    if held.value <= held.debt:
        raise ArithmeticError(f"a debt of {held.debt} on a value of {held.value} is no leverage")
    target, mode = int(inputs["target"]), inputs["mode"]
    goals = {"engage": target, "ripcord": int(inputs["max"]), "disengage": ONE}
    if mode == "rebalance":
        speed, low, high = (int(inputs[name]) for name in ("recentring_speed", "min", "max"))
        goal = recentred(held.leverage, target, speed, low, high)
    else:
        goal = goals[mode]
    factor, unutilised = int(inputs["collateral_factor"]), int(inputs["unutilised"])
    return {
        "current_leverage": str(held.leverage),
        "new_leverage": str(goal),
        "total_notional": str(held.total(goal)),
        "chunk_notional": str(held.chunk(goal, int(inputs["max_trade"]), factor, unutilised)),
    }


def restrike(inputs: Inputs) -> dict[str, float]:
    """A product that starts anew at given prices, or, with ``low`` and ``high``, wherever its
    leverage reaches them.

    ``prices`` are those it is struck at, ``path`` with edges is a straight line between its points.
    ``nav`` begins at 1 unless the vector says otherwise.
    """
    line = inputs.get("path", inputs.get("prices"))
    whole = {**inputs, "path": line}
    if inputs.get("low") is None and inputs.get("high") is None:
        factor = path(whole)["nav_factor"]
    elif "path" in inputs:
        factor = band(whole, BAND_TICKS)["nav_factor"]
    else:
        low, high = limits(inputs)
        policy = LeverageBand(target=float(inputs["target"]), low=low, high=high)
        factor = trial(policy, np.array(line, np.float64)).factor
    return {"nav_factor": factor, "nav": factor * float(inputs.get("nav", 1.0))}


def term(inputs: Inputs) -> dict[str, float]:
    """What a fixed-term claim pays that ends on a market which stands at its settlement price."""
    policy = FixedTerm(
        side=inputs["side"],
        leverage=float(inputs["leverage"]),
        breakeven=float(inputs["breakeven"]),
        term_s=_TERM_S,
        settle_over_s=_SETTLE_S,
    )
    prices = np.full(int(_TERM_S) + 2, float(inputs["settlement"]))
    (settled,) = trial(policy, prices, Terms(nav="quoted")).of(TermSettled)
    return {"payoff": settled.nav_per_unit * float(inputs["investment"])}


def renewal(inputs: Inputs) -> dict[str, float]:
    """How often a band product trades on a driftless logarithm of the price, and what it grows by.

    The engine says what is left of NAV at each edge; which edge comes first, and when, is the exit
    of a Brownian motion.
    """
    low, high = float(inputs["price_ratio_low"]), float(inputs["price_ratio_high"])
    a, b = math.log(low), math.log(high)
    variance = float(inputs["volatility"]) ** 2
    up = -a / (b - a)
    years = -a * b / variance
    at_low, at_high = (
        path({"target": inputs["target"], "path": [100.0, 100.0 * ratio]})["nav_factor"]
        for ratio in (low, high)
    )
    growth = up * math.log(at_high) + (1.0 - up) * math.log(at_low)
    return {
        "p_up": up,
        "days_between": years * _YEAR_DAYS,
        "rebalances_per_year": 1.0 / years,
        "log_growth_per_year": growth / years,
    }


def jump_ruin(inputs: Inputs) -> dict[str, float]:
    """The probability that one jump takes everything from a product that is rebalanced all the
    time: of a jump by ``-1 / L`` or worse."""
    target, sd = float(inputs["target"]), float(inputs["log_jump_sd"])
    if 0.0 <= target <= 1.0:
        return {"probability": 0.0}
    edge = math.log(1.0 - 1.0 / target) - float(inputs["log_jump_mean"])
    jumps = float(inputs["jumps_per_year"]) * float(inputs["years"])
    side = 1.0 if target > 0.0 else -1.0
    deadly = normal_cdf(side * edge / sd) if sd else float(side * edge >= 0.0)
    return {"probability": -math.expm1(-jumps * deadly)}


def identities(inputs: Inputs) -> dict[str, str]:
    """What follows from an exchange's message about a token, to 18 decimals."""
    basket, circulation, loan, nav = (
        Decimal(str(inputs[name])) for name in ("basket", "circulation", "loan", "nav")
    )
    position = _EXACT.divide(basket, circulation)
    price = _EXACT.divide(_EXACT.subtract(nav, loan), position)
    leverage = _EXACT.divide(_EXACT.multiply(position, price), nav)
    found = {"position": position, "price": price, "leverage": leverage}
    return {name: str(_EXACT.quantize(each, _DIGITS)) for name, each in found.items()}

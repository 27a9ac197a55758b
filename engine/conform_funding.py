"""Known answers about funding and marks, and about the digits of a price.

Payments are those of accounts of an engine at its funding instants; rates, averages and marks come
from the venue's own formulas.
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable
from typing import Any, Final

from engine.conform_accounts import (
    MICROS,
    SIDES,
    START_NS,
    Inputs,
    a_market,
    flat,
    held_at,
    lots_of,
    number,
    play,
)
from engine.units import DAY_NS, HOUR_NS, MINUTE_NS, SECOND_NS
from engine.venue import funding_rate
from engine.venue.mark import MarkLegs, Quotes, funding_basis
from engine.venue.order_rules import price_fits, size_fits
from engine.venue.premium import Premiums, premium
from engine.venue.price_rules import FundingRules, MarkRules
from engine.venue.rules import MarginRules, VenueRules
from engine.venue_events import TradersFunded

__all__ = [
    "averaged",
    "basis",
    "digits",
    "hourly",
    "index_delta",
    "lazy",
    "paid",
    "spread_max",
]

_SCALE: Final = 10**6
"""Sizes are so many times larger, so that no atom is seen."""
_LOT: Final = 1e-6
_TINY_RATE: Final = 1e-9
_RICH: Final = 10**24
"""Atoms of an account that no price here endangers."""
_TEN: Final = 10.0
_CAP_1H: Final = 0.04
_CENT: Final = 0.01
_TERMS: Final = re.compile(r"\w+\s*=(.+) for i=(\d+)\.\.(\d+)")
_OPERATORS: Final[dict[type, Callable[[float, float], float]]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
}

Values = dict[str, Any]


def paid(inputs: Inputs) -> Values:
    """What a position gets at the settlements within the time it is held (C1)."""
    marks = _listed(inputs["marks_at_settlement" if "mark" not in inputs else "mark"])
    rates = _listed(inputs["rates" if "rate" not in inputs else "rate"])
    side = SIDES[inputs["side"]]
    got = -_payment(side * float(inputs["qty"]), marks, rates)
    return {"received": got, "paid": -got}


def _payment(size: float, marks: list[float], rates: list[float]) -> float:
    """Quote that a position pays, at settlements eight hours apart."""
    due = [START_NS + (place + 1) * 8 * HOUR_NS for place in range(len(rates))]
    rules = VenueRules(margin=MarginRules(tiers=flat(_TINY_RATE)))
    market = a_market(rules, lot=_LOT, instants=tuple(zip(due, rates, strict=True)))
    trader = held_at("T", _RICH, (lots_of(size, _LOT, _SCALE),), marks[:1], (market,))
    rows = [(0, mark) for mark in [*marks, marks[-1]]]
    at_ns = [*(instant - MINUTE_NS for instant in due), due[-1] + MINUTE_NS]
    atoms = 0
    funded = play((market,), (trader,), rows, at_ns=at_ns).of(TradersFunded)
    if len(funded) != len(rates):
        raise ArithmeticError(f"funding was paid {len(funded)} times, not {len(rates)}")
    for each in funded:
        atoms += each.paid_atoms
    return atoms / MICROS / _SCALE


def _listed(value: Any) -> list[float]:
    return [float(each) for each in value] if isinstance(value, list) else [float(value)]


# dYdX ---------------------------------------------------------------------------------


def index_delta(inputs: Inputs) -> Values:
    """How far a funding index moves (C2)."""
    found = funding_rate.index_delta(
        inputs["funding_8h_ppm"],
        inputs["price"],
        inputs["price_exponent"],
        inputs["atomic_resolution"],
        inputs["dt_s"] * SECOND_NS,
    )
    return {"index_delta": found}


def lazy(inputs: Inputs) -> Values:
    """What a position is owed when it is next touched (C3)."""
    names = "current_index", "position_index", "base_quantums"
    return {"net_settlement_ppm": funding_rate.settlement(*(inputs[name] for name in names))}


# Rates --------------------------------------------------------------------------------


def hourly(inputs: Inputs) -> Values:
    """Hyperliquid's rate of a premium that was the same all hour, and what ten coins pay (C4)."""
    rules = FundingRules(
        interval_ns=HOUR_NS,
        kernel="flat",
        sample_ns=5 * SECOND_NS,
        interest=float(inputs["interest_8h"]),
        clamp=float(inputs["clamp"]),
        cap=_CAP_1H,
    )
    oracle = float(inputs.get("oracle", 1.0))
    sample = inputs.get("premium")
    if sample is None:
        sample = premium(number(inputs["impact_bid"]), number(inputs["impact_ask"]), oracle)
    premiums = Premiums(rules)
    for ts_ns in range(rules.sample_ns, HOUR_NS + 1, rules.sample_ns):
        premiums.add(float(sample), ts_ns)
    average = premiums.settle(HOUR_NS)
    assert average is not None
    rate = funding_rate.period_rate(average, rules)
    in_1h = funding_rate.capped(rate, rules, funding_rate.MarginRates())
    found = {"premium": average, "rate_8h": rate, "rate_1h": in_1h}
    if "oracle" in inputs:
        found["payment_1h_10btc_long"] = -_payment(_TEN, [oracle], [in_1h])
    return found


def basis(inputs: Inputs) -> Values:
    """BitMEX's fair basis and mark on the grid of minutes, or its interest (C5)."""
    if "quote_rate_daily" in inputs:
        names = "quote_rate_daily", "base_rate_daily", "intervals_per_day"
        return {"interest_8h": funding_rate.interest_rate(*(inputs[name] for name in names))}
    rules = MarkRules(legs=("funding",), funding_grid_ns=MINUTE_NS, basis_step=_CENT)
    now_ns, due_ns = _clock_ns(inputs["minute_of_mark"]), _clock_ns(inputs["funding_at"])
    quotes = Quotes(
        index=float(inputs["index"]),
        rate=float(inputs["funding_rate"]),
        to_funding_ns=(due_ns - now_ns // MINUTE_NS * MINUTE_NS) % DAY_NS,
        interval_ns=round(inputs["interval_h"] * HOUR_NS),
    )
    mark = MarkLegs(rules).at(now_ns, quotes)
    assert mark is not None
    return {
        "fair_basis": funding_basis(quotes, rules),
        "fair_basis_rate": quotes.rate * (DAY_NS / quotes.interval_ns) * 365,
        "mark": mark.price,
    }


def _clock_ns(text: str) -> int:
    """``23:33Z`` or ``04:00:00Z`` from midnight on."""
    hours, minutes, seconds = [*map(int, text.rstrip("Z").split(":")), 0, 0][:3]
    return ((hours * 60 + minutes) * 60 + seconds) * SECOND_NS


def averaged(inputs: Inputs) -> Values:
    """The time-weighted average of a period's premiums, one a minute (C6)."""
    said = inputs["premium_minutes"]
    values = _terms(said) if isinstance(said, str) else [float(each) for each in said]
    rules = FundingRules(interval_ns=round(inputs["interval_h"] * HOUR_NS), kernel="linear")
    premiums = Premiums(rules)
    for minute, value in enumerate(values, 1):
        premiums.add(value, minute * MINUTE_NS)
    return {"avg_premium": premiums.settle(len(values) * MINUTE_NS)}


def _terms(text: str) -> list[float]:
    """``p_i=i*1e-6 for i=1..480`` as its numbers."""
    found = _TERMS.fullmatch(text)
    if found is None:
        raise ValueError(f"expected terms like p_i=i*1e-6 for i=1..480, was {text}")
    tree = ast.parse(found[1].strip(), mode="eval").body
    return [_value(tree, i) for i in range(int(found[2]), int(found[3]) + 1)]


def _value(node: ast.expr, i: int) -> float:
    if isinstance(node, ast.BinOp):
        return _OPERATORS[type(node.op)](_value(node.left, i), _value(node.right, i))
    if isinstance(node, ast.UnaryOp):
        return -_value(node.operand, i)
    return float(i) if isinstance(node, ast.Name) else float(ast.unparse(node))


def spread_max(inputs: Inputs) -> Values:
    """Largest spread that Drift's funding counts, and the hour's rate of a mark (C7)."""
    oracle, tier = inputs["oracle_twap"], inputs["tier"]
    found: Values = {"max_spread": funding_rate.drift_spread_max(oracle, tier)}
    if "mark_twap" in inputs:
        found["rate_1h"] = funding_rate.drift_rate(inputs["mark_twap"], oracle, tier)
    return found


def digits(inputs: Inputs) -> bool:
    """Whether Hyperliquid takes a price, or a size (J1)."""
    if "sz" in inputs:
        return size_fits(inputs["sz"], inputs["szDecimals"])
    return price_fits(inputs["px"], inputs.get("szDecimals", 0))

"""The funding and mark vectors of ``venue.json``, each group worked out by its rule.

A driver takes a vector's inputs and nothing else, so that other vectors of a group's shape can be
given to it. Where a text stands for numbers (``p_i=i*1e-6 for i=1..480``, ``>=10100``) it is read.
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable
from typing import Any, Final

from engine.units import DAY_NS, HOUR_NS, MINUTE_NS, SECOND_NS
from engine.venue import funding_rate
from engine.venue.contract import Contract
from engine.venue.contract_spec import ContractSpec
from engine.venue.funding import funding_payment
from engine.venue.mark import MarkLegs, Quotes, funding_basis
from engine.venue.premium import Premiums, premium
from engine.venue.price_rules import FundingRules, MarkRules

Inputs = dict[str, Any]
_SCALE: Final = 10**6
_MICROS: Final = 10**6
_OPERATORS: Final[dict[type, Callable[[float, float], float]]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


def bound(value: float | str) -> float:
    """A number, also as ``">=10100"``."""
    return float(value.lstrip("<>=")) if isinstance(value, str) else float(value)


def clock_ns(text: str) -> int:
    """``23:33Z`` or ``04:00:00Z`` from midnight on."""
    hours, minutes, seconds = [*map(int, text.rstrip("Z").split(":")), 0, 0][:3]
    return ((hours * 60 + minutes) * 60 + seconds) * SECOND_NS


def terms(text: str) -> list[float]:
    """``p_i=i*1e-6 for i=1..480`` as its numbers."""
    found = re.fullmatch(r"\w+=(.+) for i=(\d+)\.\.(\d+)", text)
    assert found, text
    tree = ast.parse(found[1], mode="eval").body

    def value(node: ast.expr, i: int) -> float:
        if isinstance(node, ast.BinOp):
            return _OPERATORS[type(node.op)](value(node.left, i), value(node.right, i))
        if isinstance(node, ast.UnaryOp):
            return -value(node.operand, i)
        if isinstance(node, ast.Name):
            return float(i)
        assert isinstance(node, ast.Constant)
        return float(str(node.value))

    return [value(tree, i) for i in range(int(found[2]), int(found[3]) + 1)]


def listed(value: Any) -> list[float]:
    return [float(v) for v in value] if isinstance(value, list) else [float(value)]


def c1(i: Inputs) -> Inputs:
    """Each settlement on its own, in the atoms of a contract, as the engine books it; a million
    times the size, so that what an atom is does not matter."""
    lot = 1e-6
    contract = Contract(ContractSpec(symbol="X", base="X", quote="USDT", lot_size=lot))
    lots = round(i["qty"] / lot) * _SCALE
    side = 1 if i.get("side") == "long" else -1
    marks = listed(i["marks_at_settlement"] if "marks_at_settlement" in i else i["mark"])
    rates = listed(i["rates"] if "rates" in i else i["rate"])
    paid = 0
    for mark, rate in zip(marks, rates, strict=True):
        paid += funding_payment(contract.notional(lots, mark), side, rate)
    return {"received": -paid / _MICROS / _SCALE, "paid": paid / _MICROS / _SCALE}


def c2(i: Inputs) -> Inputs:
    return {
        "index_delta": funding_rate.index_delta(
            i["funding_8h_ppm"],
            i["price"],
            i["price_exponent"],
            i["atomic_resolution"],
            i["dt_s"] * SECOND_NS,
        )
    }


def c3(i: Inputs) -> Inputs:
    found = funding_rate.settlement(i["current_index"], i["position_index"], i["base_quantums"])
    return {"net_settlement_ppm": found}


def c4(i: Inputs) -> Inputs:
    rules = FundingRules(
        interval_ns=HOUR_NS, kernel="flat", interest=i["interest_8h"], clamp=i["clamp"], cap=0.04
    )
    index = float(i.get("oracle", 1.0))
    premiums = Premiums(rules)
    sample = i.get("premium")
    if sample is None:
        sample = premium(bound(i["impact_bid"]), bound(i["impact_ask"]), index)
    for point in range(1, 721):
        premiums.add(sample, point * 5 * SECOND_NS)
    average = premiums.settle(HOUR_NS)
    assert average is not None
    rate = funding_rate.period_rate(average, rules)
    hourly = funding_rate.capped(rate, rules, funding_rate.MarginRates())
    contract = Contract(ContractSpec(symbol="X", base="BTC", quote="USDT", lot_size=1e-6))
    paid = funding_payment(contract.notional(10 * 10**6, index), 1, hourly)
    return {
        "premium": average,
        "rate_8h": rate,
        "rate_1h": hourly,
        "payment_1h_10btc_long": -paid / _MICROS,
    }


def c5(i: Inputs) -> Inputs:
    if "quote_rate_daily" in i:
        daily = i["quote_rate_daily"], i["base_rate_daily"]
        return {"interest_8h": funding_rate.interest_rate(*daily, i["intervals_per_day"])}
    rules = MarkRules(legs=("funding",), funding_grid_ns=MINUTE_NS, basis_step=0.01)
    interval_ns = i["interval_h"] * HOUR_NS
    now_ns, due_ns = clock_ns(i["minute_of_mark"]), clock_ns(i["funding_at"])
    left_ns = (due_ns - now_ns // MINUTE_NS * MINUTE_NS) % DAY_NS
    quotes = Quotes(
        index=i["index"], rate=i["funding_rate"], to_funding_ns=left_ns, interval_ns=interval_ns
    )
    mark = MarkLegs(rules).at(now_ns, quotes)
    assert mark is not None
    return {
        "fair_basis": funding_basis(quotes, rules),
        "fair_basis_rate": i["funding_rate"] * (24 / i["interval_h"]) * 365,
        "mark": mark.price,
    }


def c6(i: Inputs) -> Inputs:
    said = i["premium_minutes"]
    values = terms(said) if isinstance(said, str) else said
    premiums = Premiums(FundingRules(interval_ns=int(i["interval_h"] * HOUR_NS), kernel="linear"))
    for minute, value in enumerate(values, 1):
        premiums.add(value, minute * MINUTE_NS)
    return {"avg_premium": premiums.settle(len(values) * MINUTE_NS)}


def c7(i: Inputs) -> Inputs:
    tier = i["tier"]
    found: Inputs = {"max_spread": funding_rate.drift_spread_max(i["oracle_twap"], tier)}
    if "mark_twap" in i:
        found["rate_hour"] = funding_rate.drift_rate(i["mark_twap"], i["oracle_twap"], tier)
    return found


DRIVERS: Final[dict[str, Callable[[Inputs], Inputs]]] = {
    "C1": c1,
    "C2": c2,
    "C3": c3,
    "C4": c4,
    "C5": c5,
    "C6": c6,
    "C7": c7,
}

"""Known answers about partial liquidation and what it costs: Drift's shortage, fees and socialised
loss, Mango's health."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

from engine.conform_accounts import (
    MICROS,
    START_NS,
    Inputs,
    Play,
    a_market,
    flat,
    held_at,
    lots_of,
    play,
    toward,
)
from engine.units import DAY_NS, SECOND_NS, decimal
from engine.venue.accounts import TraderSpec
from engine.venue.contract import Contract
from engine.venue.rules import LiquidationRules, MarginRules, VenueRules
from engine.venue_events import (
    LiquidationEnded,
    LiquidationFilled,
    LiquidationStarted,
    LossSocialised,
)

__all__ = ["charged_fee", "health", "ramped_fee", "shortage_size", "socialised"]

_SCALE: Final = 10**6
"""Money is so many times larger, so that no atom is seen."""
_LOT: Final = 1e-9
_HELD: Final = 100.0
"""Times what would be short if nothing were left: a position of which a part is closed."""
_TINY_RATE: Final = 1e-6
_LOT_DECIMALS_MAX: Final = 9
_PPM_DIGITS: Final = 6
"""Fees are whole millionths; what floats add lies far below."""

Values = dict[str, Any]


def _short(
    size: float, price: float, shortage: float, margin: float, rules: Any, idle_ns: int = 0
) -> Play:
    """Liquidate a long whose margin is short of maintenance by ``shortage``, so long after it was
    opened."""
    market = a_market(
        VenueRules(
            margin=MarginRules(tiers=flat(margin), strict=True),
            liquidation=LiquidationRules(
                steps="shortage", limit="none", surplus="account", **rules
            ),
        ),
        lot=_LOT,
        half_spread=rules["liquidator_fee"],
    )
    lots = lots_of(size, _LOT, _SCALE)
    worth = Contract(market.contract).exposure_value(lots, price)
    needed = worth * decimal(margin) - decimal(shortage) * _SCALE * MICROS
    trader = held_at("T", round(needed) - worth, (lots,), (price,), (market,))
    *better, last = toward(1, price)
    days = range(START_NS, START_NS + idle_ns, DAY_NS) or [START_NS]
    rows = [*better * len(days), last]
    return play((market,), (trader,), rows, at_ns=[*days, START_NS + idle_ns])


def shortage_size(inputs: Inputs) -> Values:
    """How much is closed until margin suffices, and that it does then (E1).

    The account counts in dollars: where the quote asset is worth more than one, so is the mark, and
    the insurance fee, a share of the price in the quote asset, is less of it.
    """
    quote, rate = float(inputs["quote_oracle"]), float(inputs["margin_ratio"])
    shortage, price = float(inputs["margin_shortage_usd"]), float(inputs["oracle"]) * quote
    fees = {
        "liquidator_fee": float(inputs["liquidator_fee"]),
        "fee": float(inputs["insurance_fee"]) / quote,
    }
    done = _short(_HELD * shortage / (price * rate), price, shortage, rate, fees)
    if done.first(LiquidationEnded, "T").outcome != "restored":
        raise ArithmeticError("the engine left the account short of margin")
    closed = 0
    for filled in done.of(LiquidationFilled, "T"):
        closed -= filled.lots
    return {"base_1e9": closed / _SCALE}


def charged_fee(inputs: Inputs) -> Values:
    """What the insurance fund is paid of a liquidated notional (E2)."""
    fees = {
        "liquidator_fee": float(inputs["liquidator_fee"]),
        "fee": float(inputs["max_if_fee"]),
        "fee_from_freed": True,
    }
    done = _short(
        float(inputs["base"]),
        float(inputs["oracle"]),
        float(inputs["shortage"]),
        float(inputs["margin_ratio"]),
        fees,
    )
    filled = done.first(LiquidationFilled, "T")
    return {"if_fee_ppm": round(filled.fee_atoms * MICROS / abs(filled.cash_atoms), _PPM_DIGITS)}


def ramped_fee(inputs: Inputs) -> Values:
    """The liquidator's fee after some slots (E3), by how much more than the shortage was closed: of
    each unit closed the fee is lost to the account, ``size (rate - fee) = shortage``."""
    base, most = (float(inputs[f"{name}_fee_ppm"]) / MICROS for name in ("base", "max"))
    rate = min(2.0 * max(base, most), 1.0)
    done = _short(
        _HELD,
        1.0,
        rate,
        rate,
        {"liquidator_fee": base, "liquidator_fee_max": most},
        round(decimal(float(inputs["slots_elapsed"])) * LiquidationRules().slot_ns),
    )
    started = done.first(LiquidationStarted, "T")
    short = started.maintenance_atoms - started.equity_atoms
    closed = -done.first(LiquidationFilled, "T").lots * _LOT
    return {"fee_ppm": round((rate - short / MICROS / closed) * MICROS, _PPM_DIGITS)}


def socialised(inputs: Inputs) -> Values:
    """A loss that neither the bankrupt nor the fund can pay, by size among all positions (E4): an
    order without a limit sold the bankrupt's at a price below what he had."""
    sides = (1, "long"), (-1, "short")
    open_sizes = {name: abs(float(inputs[f"oi_{name}"])) for _, name in sides}
    users = {name: abs(float(inputs.get(f"{name}_user_base", 0.0))) for _, name in sides}
    # A loss is shared in atoms a unit, so a unit is a lot: all is so many times larger.
    scale = _whole([*open_sizes.values(), *users.values()])
    loss = float(inputs["loss_usd"])
    market = a_market(
        VenueRules(
            margin=MarginRules(tiers=flat(_TINY_RATE)),
            liquidation=LiquidationRules(limit="none"),
        ),
        lot=1.0,
        fund=float(decimal(float(inputs.get("insurance", 0.0))) * scale),
    )
    worth = Contract(market.contract).exposure_value(1, 1.0)
    rich = round(decimal(loss) * scale * MICROS * _HELD) + worth

    def holder(name: str, lots: int) -> list[TraderSpec]:
        return [held_at(name, rich - lots * worth, (lots,), (1.0,), (market,))] if lots else []

    owed = round(decimal(loss) * scale * MICROS)
    traders = [held_at("bankrupt", -owed - worth, (1,), (1.0,), (market,))]
    held = {name: side * lots_of(users[name], 1.0, scale) for side, name in sides}
    for side, name in sides:
        traders += holder(f"{name} user", held[name])
        traders += holder(f"{name} rest", side * lots_of(open_sizes[name], 1.0, scale) - held[name])
    done = play((market,), traders, ((0, 1.0),))
    rate = done.first(LossSocialised).atoms_per_lot
    found: Values = {
        "cumulative_funding_delta_1e9": rate * 1_000,
        "delta_per_unit": rate / MICROS,
    }
    for name, lots in held.items():
        left = done.trader(f"{name} user").cash + lots * worth if lots else rich
        found[f"{name}_user_loss"] = (rich - left) / MICROS / scale
    return found


def _quote(value: float) -> int:
    return round(decimal(value) * MICROS)


def _whole(sizes: Sequence[float]) -> int:
    """The least power of ten by which all sizes are whole numbers."""
    scales = (10**places for places in range(_LOT_DECIMALS_MAX))
    fits = (s for s in scales if all((decimal(size) * s).denominator == 1 for size in sizes))
    return next(fits, 10**_LOT_DECIMALS_MAX)


def health(inputs: Inputs) -> Values:
    """A perp closed at a price of 1 until health is not negative, or no more may be (K1): health is
    equity less the maintenance of a rate that is one less the weight."""
    base, quote = lots_of(inputs["base"], 1.0), float(inputs["quote"])
    if not base or not inputs["max_base"]:
        return {"base_after": base, "quote_after": quote}
    rate = float(1 - decimal(float(inputs["base_weight"])))
    rules = VenueRules(
        margin=MarginRules(tiers=flat(rate), strict=True),
        liquidation=LiquidationRules(
            steps="shortage",
            step_max=abs(float(inputs["max_base"])),
            limit="none",
            surplus="account",
        ),
    )
    cash = _quote(float(inputs["spot"]) + quote)
    # Funding takes whole quotes from each lot: what is left may be less than any opening asks for.
    lost = math.ceil(abs(cash) / MICROS) + 2
    funding = ((START_NS + SECOND_NS // 2, math.copysign(lost, base)),)
    market = a_market(rules, lot=1.0, instants=funding)
    trader = held_at("T", cash + lost * abs(base) * MICROS, (base,), (1.0,), (market,))
    filled = play((market,), (trader,), ((0, 1.0), (0, 1.0))).of(LiquidationFilled, "T")[:1]
    return {
        "base_after": base + sum(each.lots for each in filled),
        "quote_after": quote + sum(each.cash_atoms for each in filled) / MICROS,
    }

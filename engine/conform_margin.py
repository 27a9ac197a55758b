"""Known answers about margin: the prices at which accounts are liquidated and bankrupt, and what
maintenance a size needs.

A price is found by asking the engine at two neighbouring ones, of which it liquidates at one only;
a margin is what it says when it liquidates.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from msgspec.structs import replace

from engine.conform_accounts import (
    MICROS,
    SIDES,
    Inputs,
    Play,
    a_market,
    edge,
    flat,
    held_at,
    lots_of,
    number,
    play,
    table,
    tiers_of,
    toward,
)
from engine.market import MarketSpec
from engine.venue.accounts import PositionSpec, TraderSpec
from engine.venue.contract import Contract
from engine.venue.rules import MarginRules, Tier, VenueRules
from engine.venue.standing import Listing
from engine.venue_events import LiquidationFilled, LiquidationStarted

__all__ = ["at_entry", "isolated", "linear_or_inverse", "requirement", "tables", "with_others"]

_SCALE: Final = 10**6
"""Sizes and money are so many times larger, so that no atom and no lot is seen."""
_LOT: Final = 1e-6
_BEYOND: Final = 2.0
"""Times the last cap, a size in a tier without end."""
_ONE_TIER: Final = 1e6
"""Of a table of one tier without end, a size in it."""
_BTC: Final = 10**8

Values = dict[str, Any]


# Prices -------------------------------------------------------------------------------


def isolated(inputs: Inputs, *, at_entry: bool = False) -> Values:
    """The liquidation price of one linear position (A1, A2, F5), in any of the venues' forms; its
    bankruptcy price where its collateral is told."""
    side, entry = SIDES[inputs["side"]], number(inputs["entry"])
    size = number(inputs.get("qty", 1.0))
    rate = float(inputs.get("mmr", 0.1))
    fee = float(inputs.get("taker_fee", 0.0))
    margin = MarginRules(
        tiers=tiers_of(rate, number(inputs.get("maintenance_amount", 0.0)) * _SCALE),
        priced_at="entry" if at_entry else "mark",
        taker_fee_inside=fee > 0.0,
    )
    if "wallet_balance" in inputs or "collateral" in inputs:
        paid_in = number(inputs.get("wallet_balance", inputs.get("collateral", 0.0)))
    else:
        paid_in = size * entry / float(inputs["leverage"])
    market = a_market(VenueRules(margin=margin), taker_fee=fee)
    lots = side * lots_of(size, _LOT, _SCALE)
    position = PositionSpec(market=0, lots=lots, entry=entry)
    trader = TraderSpec(id="T", wallet_atoms=_paid_in(paid_in), positions=(position,))
    if not at_entry:  # then what it holds decides, not what it cost
        cash = trader.wallet_atoms + Contract(market.contract).trade_cash(lots, entry)
        trader = held_at("T", cash, (lots,), (entry,), (market,))

    def played(price: float) -> Play:
        return play((market,), (trader,), toward(side, price))

    price = edge(lambda at: bool(played(at).of(LiquidationStarted)), side, entry)
    if "collateral" not in inputs:
        return {"liq_price": price}
    bankruptcy = 0.0
    if price > 0.0:
        filled = played(price).first(LiquidationFilled)
        bankruptcy = filled.bankruptcy_price or 0.0
    return {"bankruptcy": bankruptcy, "liq_mu10": price}


def at_entry(inputs: Inputs) -> Values:
    """The same with maintenance priced at entry (A3)."""
    return isolated(inputs, at_entry=True)


def with_others(inputs: Inputs) -> Values:
    """The liquidation price of one of several positions of a cross account, the marks of the others
    being held (A4); an isolated one like any other."""
    if inputs["mode"] == "isolated":
        return isolated(inputs)
    held = [*inputs["positions"]]
    (own,) = [place for place, each in enumerate(held) if each["sym"] == inputs["target"]]
    markets = [
        a_market(
            VenueRules(margin=MarginRules(tiers=tiers_of(each["mmr"], each["cum"] * _SCALE))),
            place,
        )
        for place, each in enumerate(held)
    ]
    sides = [-1 if each["q"] < 0 else SIDES[each.get("side", "long")] for each in held]
    lots = [
        side * lots_of(abs(each["q"]), _LOT, _SCALE) for side, each in zip(sides, held, strict=True)
    ]
    entries = [float(each["ep"]) for each in held]
    cash = _paid_in(inputs["wallet_balance"])
    for market, size, entry in zip(markets, lots, entries, strict=True):
        cash += Contract(market.contract).trade_cash(size, entry)
    trader = held_at("T", cash, lots, entries, markets)
    fixed = [(place, float(e["mark"])) for place, e in enumerate(held) if place != own]

    def dies(price: float) -> bool:
        rows = (*fixed, *((own, at) for _, at in toward(sides[own], price)))
        return bool(play(markets, (trader,), rows).of(LiquidationStarted))

    return {"liq_price": edge(dies, sides[own], float(held[own]["ep"]))}


def linear_or_inverse(inputs: Inputs) -> Values:
    """Margins priced at entry (A5): of a linear position, or of an inverse one with the fee of
    closing at the bankruptcy price."""
    if "contracts_usd" in inputs:
        return _inverse(inputs)
    size, entry, side = float(inputs["qty"]), float(inputs["entry"]), SIDES[inputs["side"]]
    rate, leverage = float(inputs["mmr"]), float(inputs["leverage"])
    tiers = tiers_of(rate, float(inputs["deduction"]) * _SCALE)
    market = a_market(VenueRules(margin=MarginRules(tiers=tiers, priced_at="entry")))
    lots = side * lots_of(size, _LOT, _SCALE)
    initial = Listing(Contract(market.contract), market.venue).initial(lots, entry, leverage)
    trader = TraderSpec(
        id="T",
        wallet_atoms=initial,
        positions=(PositionSpec(market=0, lots=lots, entry=entry),),
    )

    def started(price: float) -> list[LiquidationStarted]:
        return play((market,), (trader,), toward(side, price)).of(LiquidationStarted)

    price = edge(lambda at: bool(started(at)), side, entry)
    (first,) = started(price)
    return {
        "initial_margin": initial / MICROS / _SCALE,
        "maintenance_margin": first.maintenance_atoms / MICROS / _SCALE,
        "liq_price": price,
    }


def _inverse(inputs: Inputs) -> Values:
    side, entry = SIDES[inputs["side"]], float(inputs["entry"])
    margin = MarginRules(
        tiers=flat(float(inputs["mmr"])),
        caps_in="settlement",
        priced_at="entry",
        taker_fee_inside=True,
        fee_at="bankruptcy",
    )
    fee = float(inputs["taker_fee"])
    market = a_market(VenueRules(margin=margin), lot=1.0, inverse=True, taker_fee=fee)
    trader = TraderSpec(
        id="T",
        wallet_atoms=round(float(inputs["account_balance_btc"]) * _SCALE * _BTC),
        positions=(
            PositionSpec(
                market=0, lots=side * lots_of(inputs["contracts_usd"], 1.0, _SCALE), entry=entry
            ),
        ),
    )

    def played(price: float) -> Play:
        return play((market,), (trader,), toward(side, price))

    price = edge(lambda at: bool(played(at).of(LiquidationStarted)), side, entry)
    filled = played(price).first(LiquidationFilled)
    step = replace(market.contract, price_step=float(inputs.get("price_step", 0.5)))
    return {
        "bankruptcy_price": filled.bankruptcy_price,
        "liq_price_unrounded": price,
        # A long is liquidated sooner, at the next step above: a buyer's limit is the one below.
        "liq_price_published": Contract(step).on_step(price, -side),
    }


# Margins ------------------------------------------------------------------------------


def tables(inputs: Inputs) -> Values:
    """Tier tables (B1): each tier's rate and deduction as the engine asks for margin in it, or the
    maintenance of one size."""
    if "new_marginal" in inputs:
        marginal, size = inputs["new_marginal"], float(inputs["notional"])
        ends = _closed([cap for cap, _ in marginal])
        return {
            "old_maintenance": _maintenance([size * _BEYOND], [inputs["old_flat_mmr"]], size),
            "new_maintenance": _maintenance(ends, [rate for _, rate in marginal], size),
        }
    if "caps" in inputs:
        caps = _closed(inputs["caps"])
        # A venue that publishes leverage alone asks for half of the initial margin.
        rates = inputs.get("mmr") or [0.5 / most for most in inputs["max_leverage"]]
    else:
        listed = inputs["tables"][inputs["table"]]
        caps, rates = _closed([row["cap"] for row in listed]), [row["mmr"] for row in listed]
    if "notional" in inputs:
        return {"maintenance_margin": _maintenance(caps, rates, float(inputs["notional"]))}
    found: Values = {"mmr": [], "deductions": []}
    below = 0.0
    for cap in caps:
        sizes = (below + (cap - below) * 0.25, below + (cap - below) * 0.75)
        low, high = (_maintenance(caps, rates, size) for size in sizes)
        rate = (high - low) / (sizes[1] - sizes[0])
        found["mmr"].append(rate)
        found["deductions"].append(max(sizes[1] * rate - high, 0.0))
        below = cap
    return found


def _closed(caps: Sequence[float | None]) -> list[float]:
    """A tier without end ends where it is large enough to be asked about."""
    known = [float(cap) for cap in caps if cap is not None] or [_ONE_TIER]
    return [float(cap) if cap is not None else known[-1] * _BEYOND for cap in caps]


def _maintenance(caps: Sequence[float], rates: Sequence[float], size: float) -> float:
    """What the engine asks for a position of a size, when it liquidates it for having nothing."""
    market = a_market(VenueRules(margin=MarginRules(tiers=table(caps, rates))))
    return _asked(market, lots_of(size, market.contract.lot_size), 1.0) / MICROS


def _asked(market: MarketSpec, lots: int, price: float) -> int:
    cash = Contract(market.contract).trade_cash(lots, price)
    trader = held_at("T", cash, (lots,), (price,), (market,))
    return play((market,), (trader,), ((0, price),)).first(LiquidationStarted).maintenance_atoms


def requirement(inputs: Inputs) -> Values:
    """DYdX's initial and maintenance margin (D4): maintenance a share of the base initial margin,
    initial growing with open interest."""
    scale = 10.0 ** inputs["exponent"] if inputs["exponent"] > 0 else 1.0
    price = inputs["price"] * scale / 10.0 ** max(-inputs["exponent"], 0)
    lot = float(f"1e{inputs['atomic_resolution']}")
    initial = inputs["initial_margin_ppm"] / MICROS
    share = inputs["initial_margin_ppm"] * inputs["maintenance_fraction_ppm"] / MICROS**2
    low, high = inputs["oi_lower_cap"] / MICROS, inputs["oi_upper_cap"] / MICROS
    margin = MarginRules(
        tiers=(Tier(cap=1e30, max_leverage=1.0, rate=share, initial_rate=initial),),
        of_initial=True,
        open_interest=(low, high) if high > low else None,
    )
    market = a_market(VenueRules(margin=margin), lot=lot)
    lots, opened = inputs["base_quantums"], inputs.get("open_interest") or 0
    listing = Listing(Contract(market.contract), market.venue)
    return {
        "imr": listing.initial(lots, price, open_lots=opened),
        # Of a short: a long with all of its price paid in is never liquidated.
        "mmr": _asked(market, -abs(lots), price),
    }


def _paid_in(value: float) -> int:
    return round(value * _SCALE * MICROS)

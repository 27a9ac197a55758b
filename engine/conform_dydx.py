"""Known answers of dYdX: bankruptcy and fillable prices, the insurance fund and deleveraging, of
cross accounts in whole quantums.

The accounts are short of margin at the oracle's prices, so that the engine closes the position that
is asked about first: the account holds it first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from engine import philox
from engine.conform_accounts import (
    MICROS,
    SIDES,
    Inputs,
    Play,
    a_market,
    flat,
    held_at,
    lots_of,
    play,
    quotes_at,
)
from engine.market import MarketSpec
from engine.venue.accounts import TraderSpec
from engine.venue.rules import (
    AdlRules,
    LiquidationRules,
    MarginRules,
    VenueRules,
)
from engine.venue_events import LiquidationFilled, LiquidationStarted, PositionAutoDeleveraged

__all__ = ["bankruptcy", "deleveraged", "fillable", "insured", "out_of_reach", "start_at_first"]

ORACLE: Final = {"BTC": 50_000.0, "ETH": 3_000.0}
"""Prices, and below the decimals of quantums, where a vector leaves them to its group."""
RESOLUTION: Final = {"BTC": -8, "ETH": -9}
_MAINTENANCE: Final = 0.1
_PLENTY: Final = 1e9
"""Quote of an insurance fund that does not run dry."""
_SEEDS_MAX: Final = 100_000
_LEAST_RATE: Final = 1e-6

Values = dict[str, Any]


def bankruptcy(inputs: Inputs) -> Values:
    """What an account must get for a part of a position (D1)."""
    held = _closed_first(inputs)
    # Half a lot more than is asked for: a share of a position is cut to whole lots.
    part = (abs(inputs["delta_base_quantums"]) + 0.5) / abs(held[0]["base_quantums"])
    rules = LiquidationRules(
        first="listed", steps="portion", portion=min(part, 1.0), limit="bankruptcy"
    )
    filled = _liquidated(inputs, held, rules)
    if filled.asked_lots != inputs["delta_base_quantums"]:
        raise ArithmeticError(f"the engine closed {filled.asked_lots} quantums")
    return {"bankruptcy_quote_quantums": filled.bankruptcy_atoms}


def fillable(inputs: Inputs) -> Values:
    """The worst price of a liquidation order (D2)."""
    rules = LiquidationRules(
        first="listed",
        limit="fillable",
        bankruptcy_adjustment=float(inputs["bankruptcy_adjustment"]),
        spread_to_maintenance=float(inputs["spread_to_mmr"]),
    )
    return {"fillable_price": _liquidated(inputs, _closed_first(inputs), rules).limit_price}


def insured(inputs: Inputs) -> Values:
    """What a fill at some price brings the insurance fund, or takes from it (D3)."""
    side, price = SIDES[inputs["side"]], float(inputs.get("oracle", ORACLE["BTC"]))
    held = {"usdc": float(inputs["usdc"]), "btc": side * float(inputs["base_qty"])}
    rules = VenueRules(
        margin=MarginRules(tiers=flat(max(_rate(held, ["BTC"], [price]), _MAINTENANCE))),
        liquidation=LiquidationRules(
            limit="bankruptcy", surplus="account", fee=inputs["max_liq_fee_ppm"] / MICROS
        ),
    )
    market = a_market(rules, lot=1e-8, fund=_PLENTY)
    lots = side * lots_of(inputs["base_qty"], market.contract.lot_size)
    trader = held_at("T", _quantums(inputs["usdc"]), (lots,), (price,), (market,))
    fill = float(inputs["fill_price"])
    quotes = {0: quotes_at(side, fill)}
    filled = play((market,), (trader,), ((0, price),), quotes=quotes).of(LiquidationFilled, "T")
    if not any(each.lots for each in filled):
        raise ArithmeticError("the engine filled nothing")
    delta = 0
    for each in filled:
        delta += each.fund_atoms
    return {"insurance_fund_delta_quantums": delta}


def _quantums(value: float) -> int:
    return lots_of(value, 1e-6)


def _closed_first(inputs: Inputs) -> list[Mapping[str, Any]]:
    """The positions, the one to be closed first."""
    own = inputs["close_market"]
    return sorted(inputs["positions"], key=lambda each: each["market"] != own)


def _liquidated(
    inputs: Inputs, held: Sequence[Mapping[str, Any]], rules: LiquidationRules
) -> LiquidationFilled:
    """The first order of the account's liquidation, at the oracle's prices."""
    margin = MarginRules(tiers=flat(float(inputs.get("mmf", _MAINTENANCE))))
    markets, marks = [], []
    for place, each in enumerate(held):
        market = each["market"]
        lot = float(f"1e{each.get('atomic_resolution', RESOLUTION[market])}")
        markets.append(a_market(VenueRules(margin=margin, liquidation=rules), place, lot=lot))
        marks.append(float(each.get("oracle", ORACLE[market])))
    lots = [each["base_quantums"] for each in held]
    trader = held_at("T", inputs["usdc_quantums"], lots, marks, markets)
    return play(markets, (trader,), tuple(enumerate(marks))).first(LiquidationFilled, "T")


# Deleveraging -------------------------------------------------------------------------


def deleveraged(inputs: Inputs) -> Values:
    """A position closed against a list of accounts, from its first on (D5): the book is out of
    reach, and the fund is empty."""
    own, others = inputs["liquidated"], inputs["offset_accounts"]
    oracle = {**ORACLE, **inputs.get("oracle", {})}
    names = [name for name in oracle if any(name.lower() in each for each in (own, *others))]
    marks = [float(oracle[name]) for name in names]
    rules = VenueRules(
        margin=MarginRules(tiers=flat(_rate(own, names, marks))),
        liquidation=LiquidationRules(first="listed"),
        adl=AdlRules(ranking="dydx", rest="stay_open"),
    )
    markets = [a_market(rules, place, lot=1e-6) for place in range(len(names))]

    def account(name: str, each: Mapping[str, Any]) -> TraderSpec:
        lots = [lots_of(each.get(asset.lower(), 0), 1e-6) for asset in names]
        return held_at(name, _quantums(each["usdc"]), lots, marks, markets)

    traders = [account("liquidated", own), *(account(each["id"], each) for each in others)]
    done = start_at_first(
        markets, traders, tuple(enumerate(marks)), out_of_reach(traders[0], marks)
    )
    fills = done.of(PositionAutoDeleveraged)
    closed = {each.account.removeprefix("trader:") for each in fills}
    left = done.trader("liquidated")
    return {
        "fills": [
            [each.account.removeprefix("trader:"), abs(each.lots) / MICROS] for each in fills
        ],
        "usdc_after": {name: done.trader(name).cash / MICROS for name in sorted(closed)},
        "remaining": abs(left.holdings[0].lots) / MICROS,
        "liquidated_usdc_after": left.cash / MICROS,
    }


def _rate(own: Mapping[str, Any], names: Sequence[str], marks: Sequence[float]) -> float:
    """The venue's maintenance; with a single position, whose bankruptcy price does not depend on
    it, the least at which the account is liquidated, so that no other is."""
    if len(names) > 1:
        return _MAINTENANCE
    notional = own[names[0].lower()] * marks[0]
    return float(max((own["usdc"] + notional) / abs(notional), _LEAST_RATE))


def out_of_reach(trader: TraderSpec, marks: Sequence[float]) -> dict[int, tuple[float, float]]:
    """Best prices at which nobody is paid what his position is worth."""
    found = {}
    for position in trader.positions:
        side = 1 if position.lots > 0 else -1
        found[position.market] = quotes_at(side, marks[position.market] * 2.0**-side)
    return found


def start_at_first(
    markets: Sequence[MarketSpec],
    traders: Sequence[TraderSpec],
    rows: Sequence[tuple[int, float]],
    quotes: Mapping[int, tuple[float, float]],
) -> Play:
    """``play`` with a seed by which the walk of ``dydx`` begins at the first counterparty of the
    first trader, of as many as there are."""
    started = play(markets, traders, rows, quotes=quotes).first(LiquidationStarted, traders[0].id)
    own = traders[0].positions[0]
    count = sum(
        1
        for each in traders[1:]
        for held in each.positions
        if held.market == own.market and held.lots * own.lots < 0
    )
    seed = 0
    while count and philox.below(count, seed, 0, started.sequence) and seed < _SEEDS_MAX:
        seed += 1
    return play(markets, traders, rows, quotes=quotes, seed=seed)

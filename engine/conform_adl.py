"""Known answers about auto-deleveraging: who is closed, in which order, at which price; and how a
loss is shared.

A bankrupt account is liquidated where the book is out of its reach and the insurance fund is empty,
so that the engine closes it against the others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

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
)
from engine.conform_dydx import out_of_reach, start_at_first
from engine.market import MarketSpec
from engine.units import decimal
from engine.venue.accounts import PositionSpec, TraderSpec
from engine.venue.adl import seized
from engine.venue.contract import Contract
from engine.venue.rules import AdlRules, MarginRules, Ranking, VenueRules
from engine.venue.sharing import capped, pro_rata
from engine.venue_events import PositionAutoDeleveraged

__all__ = ["given_order", "haircuts", "ranked", "scored", "water_filling"]

_LOT: Final = 1e-6
_SCALE: Final = 10**6
"""Sizes and money are so many times larger, so that no atom is seen."""
_TINY_RATE: Final = 1e-6
_BEYOND: Final = 0.01
"""Share of the bankruptcy price by which the mark is beyond it."""
_SAME: Final = 1e-9
_GAIN: Final = 0.1
"""Profit, as a share of entry, of accounts of which only their rank is told."""
_RANKINGS: Final[dict[str, Ranking]] = {
    "bitmex": "bitmex",
    "binance": "binance",
    "okx_grvt": "okx",
    "hyperliquid": "hyperliquid",
    "gate_2022": "gate",
}

Values = dict[str, Any]


def _market(ranking: Ranking, rate: float = _TINY_RATE) -> MarketSpec:
    rules = VenueRules(
        margin=MarginRules(tiers=flat(rate)), adl=AdlRules(ranking=ranking, rest="stay_open")
    )
    return a_market(rules, lot=_LOT)


def _bankrupt(side: int, size: int, price: float, mark: float, market: MarketSpec) -> TraderSpec:
    """Who holds so many lots and has nothing at ``price``."""
    cash = Contract(market.contract).trade_cash(side * size, price)
    return held_at("bankrupt", cash, (side * size,), (mark,), (market,))


def _deleveraged(
    market: MarketSpec, bankrupt: TraderSpec, others: Sequence[TraderSpec], mark: float
) -> Play:
    quotes = out_of_reach(bankrupt, (mark,))
    return play((market,), (bankrupt, *others), ((0, mark),), quotes=quotes)


def _name(event: PositionAutoDeleveraged) -> str:
    return event.account.removeprefix("trader:")


def _one_price(fills: Sequence[PositionAutoDeleveraged]) -> float:
    """The price of all fills.

    Raises:
        ArithmeticError: if there is not one.
    """
    prices = {each.price for each in fills}
    if len(prices) != 1:
        raise ArithmeticError(f"closed at the prices {sorted(prices)}")
    return prices.pop()


def ranked(inputs: Inputs) -> Values:
    """Accounts with scores in the order of the given ones, closed by BitMEX's ranking at the
    bankruptcy price (F1)."""
    side = SIDES[inputs["liquidated_side"]]
    held = inputs["longs" if side < 0 else "shorts"]
    price = float(inputs["bankruptcy_price"])
    mark = price * (1.0 - side * _BEYOND)
    market = _market("bitmex")
    ranks = sorted({each["rank_score"] for each in held})
    others = []
    for each in held:
        # The same profit; the better the rank, the higher the leverage.
        entry = mark / (1.0 - side * _GAIN)
        times = (1.0 + ranks.index(each["rank_score"])) / len(ranks)
        worth = float(each["qty"]) * mark
        profit = float(each["qty"]) * -side * (mark - entry)
        others.append(
            TraderSpec(
                id=str(each["account"]),
                wallet_atoms=round((worth / times - profit) * MICROS),
                positions=(
                    PositionSpec(market=0, lots=-side * lots_of(each["qty"], _LOT), entry=entry),
                ),
            )
        )
    size = lots_of(inputs["liquidated_qty"], _LOT)
    fills = _deleveraged(market, _bankrupt(side, size, price, mark, market), others, mark).of(
        PositionAutoDeleveraged
    )
    left = {str(each["account"]): lots_of(each["qty"], _LOT) for each in held}
    for fill in fills:
        left[_name(fill)] -= abs(fill.lots)
    numbers = {str(each["account"]): each["account"] for each in held}
    return {
        "fills": [[numbers[_name(fill)], abs(fill.lots) / MICROS] for fill in fills],
        "price": _one_price(fills),
        **{f"account{name}_remaining": lots / MICROS for name, lots in left.items()},
    }


def scored(inputs: Inputs) -> Values:
    """Scores of the published rankings, and the order in which all are closed by them (F2)."""
    side, mark, held = SIDES[inputs["side"]], float(inputs["mark"]), inputs["positions"]
    found: Values = {"scores": {each["id"]: {} for each in held}, "order": {}}
    for published, ours in _RANKINGS.items():
        # Binance counts a wallet of less than one quote as one.
        scale = 1 if ours == "binance" else _SCALE
        traders = [_holder(each, side, scale) for each in held]
        everything = sum(abs(each.positions[0].lots) for each in traders)
        market = _market(ours, float(inputs["mmr"]))
        margins = play((market,), traders, ((0, mark),)).engine.margins
        assert margins is not None
        for account, score in margins.deleverager.scores(0, side).items():
            found["scores"][account.removeprefix("trader:")][published] = score
        price = mark * (1.0 - side * _BEYOND)
        bankrupt = _bankrupt(-side, everything, price, mark, market)
        done = _deleveraged(market, bankrupt, traders, mark)
        found["order"][published] = [_name(each) for each in done.of(PositionAutoDeleveraged)]
    return found


def _holder(each: Mapping[str, Any], side: int, scale: int) -> TraderSpec:
    """An account of a table, and what it holds, so many times larger."""
    lots = side * lots_of(each["qty"], _LOT, scale)
    return TraderSpec(
        id=each["id"],
        wallet_atoms=round(decimal(float(each["wallet"])) * scale * MICROS),
        positions=(PositionSpec(market=0, lots=lots, entry=float(each["entry"])),),
    )


def given_order(inputs: Inputs) -> Values:
    """Accounts closed in the order of the list, all at one price (H1)."""
    held: Sequence[Mapping[str, Any]] = inputs["counterparties"]
    price = float(inputs["adl_price"])
    side = -1 if held[0]["position"] > 0 else 1
    mark = price - side * abs(float(inputs.get("markPx_minus_price_abs", price * _BEYOND)))
    market = _market("dydx")
    others = []
    for number, each in enumerate(held):
        lots, entry = lots_of(each["position"], _LOT, _SCALE), float(each["entry"])
        equity = round(decimal(float(each["equity"])) * _SCALE * MICROS)
        cash = equity - Contract(market.contract).exposure_value(lots, mark)
        paid_in = cash - Contract(market.contract).trade_cash(lots, entry)
        position = PositionSpec(market=0, lots=lots, entry=entry)
        if paid_in > 0:
            others.append(TraderSpec(id=f"{number}", wallet_atoms=paid_in, positions=(position,)))
        else:
            others.append(held_at(f"{number}", cash, (lots,), (mark,), (market,)))
    size = lots_of(inputs["liquidated_total"], _LOT, _SCALE)
    bankrupt = _bankrupt(side, size, price, mark, market)
    done = start_at_first(
        (market,), (bankrupt, *others), ((0, mark),), out_of_reach(bankrupt, (mark,))
    )
    fills = done.of(PositionAutoDeleveraged)
    if not abs(_one_price(fills) / price - 1.0) <= _SAME:
        raise ArithmeticError(f"closed at {_one_price(fills)!r}, not at {price!r}")
    partial = [
        abs(f.lots) < abs(lots_of(held[int(_name(f))]["position"], _LOT, _SCALE)) for f in fills
    ]
    closed = sum(abs(fill.lots) for fill in fills)
    return {
        "fills": [abs(fill.lots) / MICROS / _SCALE for fill in fills],
        "sum": closed / MICROS / _SCALE,
        "partial_fills": sum(partial),
    }


# Shared losses ------------------------------------------------------------------------


def haircuts(inputs: Inputs) -> Values:
    """Profits seized in the order of a queue, or from all in proportion (F3)."""
    endowments = [float(each) for each in inputs["endowment"]]
    budget = float(inputs["severity"]) * float(inputs["deficit"])
    found: Values = {}
    if inputs.get("policy") == "pro-rata":
        cut = pro_rata(np.array(endowments), budget)
        taken = (cut.share * np.array(endowments)).tolist()
        found["haircut"] = float(cut.share[0])
    else:
        taken = seized([place - 1 for place in inputs["queue_order"]], endowments, budget)
    owned = zip(inputs["cash"], inputs["pnl"], taken, strict=True)
    after = [cash + pnl - amount for cash, pnl, amount in owned]
    return {**found, "seized": taken, "equity_after": after}


def water_filling(inputs: Inputs) -> Values | str:
    """A level that rises until a budget is met, nobody being cut beyond his cap (F4)."""
    equity, caps = (np.array(inputs[name], np.float64) for name in ("equity", "caps"))
    cut = capped(equity, caps, float(inputs["budget"]))
    if not cut.feasible:
        return f"infeasible (capacity {cut.capacity:g} < {inputs['budget']:g})"
    return {"haircut": cut.share.tolist(), "raised": cut.raised}

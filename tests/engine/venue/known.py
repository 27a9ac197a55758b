"""The margin, liquidation and ADL vectors of ``venue.json``, each group worked out by its rule.

A driver takes a vector's inputs and nothing else, so that other vectors of a group's shape can be
given to it; money is read as the atoms the rules count in.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from math import inf
from typing import Any, Final

import numpy as np

from engine.units import Rounding, decimal, mul_div
from engine.venue import bankruptcy, closing, ranking, sharing
from engine.venue.adl import overlaps, seized, taken_from, walked
from engine.venue.contract import to_price_step
from engine.venue.ranking import Candidates
from engine.venue.rules import Tier
from tests.engine.venue import closed_forms as closed
from tests.engine.venue import closed_inverse as inverse

Inputs = dict[str, Any]
SIDES: Final = {"long": 1, "short": -1}
MICROS: Final = 10**6


def flat(rate: float, deduction: float = 0.0) -> tuple[Tier, ...]:
    """A table of one tier."""
    return (Tier(cap=inf, max_leverage=1.0, rate=rate, deduction=deduction),)


def number(value: float | str) -> float:
    """Also ``"8/3"``."""
    return float(Fraction(value)) if isinstance(value, str) else float(value)


def atoms(value: float) -> int:
    """Quote money in millionths."""
    return int(decimal(value) * MICROS)


# Liquidation prices -------------------------------------------------------------------


def a1(i: Inputs) -> Inputs:
    tiers = flat(i["mmr"], i["maintenance_amount"])
    side = SIDES[i["side"]]
    price = closed.liquidation_price(side, i["qty"], i["entry"], i["wallet_balance"], tiers)
    return {"liq_price": price}


def a2(i: Inputs) -> Inputs:
    collateral = i["qty"] * i["entry"] / i["leverage"]
    price = closed.liquidation_price(
        SIDES[i["side"]],
        i["qty"],
        i["entry"],
        collateral,
        flat(i["mmr"]),
        fee=i["taker_fee"],
    )
    return {"liq_price": price}


def a3(i: Inputs) -> Inputs:
    side, entry = SIDES[i["side"]], i["entry"]
    price = closed.entry_priced(side, 1.0, entry, entry / i["leverage"], rate=i["mmr"])
    return {"liq_price": price}


def a4(i: Inputs) -> Inputs:
    if i["mode"] == "isolated":
        return a1(i)
    (own,) = [p for p in i["positions"] if p["sym"] == i["target"]]
    others = [p for p in i["positions"] if p["sym"] != i["target"]]

    def side(position: Inputs) -> int:
        return SIDES[position.get("side", "long")]

    price = closed.liquidation_price(
        side(own),
        own["q"],
        own["ep"],
        i["wallet_balance"],
        flat(own["mmr"], own["cum"]),
        others=closed.what_others_add(
            [side(p) * p["q"] * (p["mark"] - p["ep"]) for p in others],
            [p["q"] * p["mark"] * p["mmr"] - p["cum"] for p in others],
        ),
    )
    return {"liq_price": price}


def a5(i: Inputs) -> Inputs:
    side, entry = SIDES[i["side"]], i["entry"]
    if "contracts_usd" in i:
        face, coins, fee = i["contracts_usd"], i["account_balance_btc"], i["taker_fee"]
        price = inverse.entry_priced_inverse(side, face, entry, coins, rate=i["mmr"], fee=fee)
        return {
            "bankruptcy_price": inverse.inverse_bankruptcy_price(side, face, entry, coins, fee),
            "liq_price_unrounded": price,
            "liq_price_published": to_price_step(price, 0.5, side),
        }
    value = i["qty"] * entry
    initial = value / i["leverage"]
    return {
        "initial_margin": initial,
        "maintenance_margin": value * i["mmr"] - i["deduction"],
        "liq_price": closed.entry_priced(
            side, i["qty"], entry, initial, rate=i["mmr"], deduction=i["deduction"]
        ),
    }


def f5(i: Inputs) -> Inputs:
    side, size, entry = SIDES[i["side"]], number(i["qty"]), number(i["entry"])
    collateral = number(i["collateral"])
    return {
        "bankruptcy": max(closed.bankruptcy_price(side, size, entry, collateral), 0.0),
        "liq_mu10": max(closed.liquidation_price(side, size, entry, collateral, flat(0.1)), 0.0),
    }


# dYdX ---------------------------------------------------------------------------------

ORACLE: Final = {"BTC": 50_000, "ETH": 3_000}
RESOLUTION: Final = {"BTC": -8, "ETH": -9}


def account(i: Inputs) -> tuple[int, dict[str, tuple[int, int, int]]]:
    """Net collateral, and of each market (base quantums, notional, requirement), in atoms."""
    mmf, markets, collateral = decimal(i.get("mmf", 0.1)), {}, i["usdc_quantums"]
    for position in i["positions"]:
        market, base = position["market"], position["base_quantums"]
        oracle = position.get("oracle", ORACLE[market])
        resolution = position.get("atomic_resolution", RESOLUTION[market])
        notional = int(Fraction(base * oracle * MICROS) * Fraction(10) ** resolution)
        needed = mul_div(abs(notional), mmf.numerator, mmf.denominator, Rounding.UP)
        markets[market] = (base, notional, needed)
        collateral += notional
    return collateral, markets


def d1(i: Inputs) -> Inputs:
    collateral, markets = account(i)
    base, notional, needed = markets[i["close_market"]]
    rest = [p for p in i["positions"] if p["market"] == i["close_market"]]
    left = {**rest[0], "base_quantums": base + i["delta_base_quantums"]}
    after = account({**i, "positions": [left]})[1][i["close_market"]]
    price = bankruptcy.bankruptcy_quote(
        after[1] - notional,
        collateral,
        after[2] - needed,
        sum(each[2] for each in markets.values()),
    )
    return {"bankruptcy_quote_quantums": price}


def d2(i: Inputs) -> Inputs:
    collateral, markets = account(i)
    base, notional, needed = markets[i["close_market"]]
    size = base * 10.0 ** RESOLUTION[i["close_market"]]
    price = bankruptcy.fillable_price(
        notional / MICROS,
        size,
        collateral / MICROS,
        needed / MICROS,
        sum(each[2] for each in markets.values()) / MICROS,
        adjustment=i["bankruptcy_adjustment"],
        spread=i["spread_to_mmr"],
    )
    return {"fillable_price": price}


def d3(i: Inputs) -> Inputs:
    side, quantums = SIDES[i["side"]], atoms(i["base_qty"])
    notional = side * quantums * ORACLE["BTC"]
    needed = abs(notional) // 10
    price = bankruptcy.bankruptcy_quote(-notional, atoms(i["usdc"]) + notional, -needed, needed)
    fill = side * mul_div(quantums, atoms(i["fill_price"]), MICROS, Rounding.DOWN)
    delta = bankruptcy.insurance_delta(fill, price, i["max_liq_fee_ppm"] / MICROS)
    return {"insurance_fund_delta_quantums": delta}


def d5(i: Inputs) -> Inputs:
    """The list is walked from its first account: the start is drawn elsewhere."""
    own, others = i["liquidated"], i["offset_accounts"]
    side = 1 if own["btc"] > 0 else -1

    def price(each: Inputs) -> float:
        return closed.bankruptcy_price(
            1 if each["btc"] > 0 else -1,
            abs(each["btc"]),
            i["oracle"]["BTC"],
            each["usdc"] + each["btc"] * i["oracle"]["BTC"],
        )

    at = price(own)
    taken = walked(
        range(len(others)),
        [atoms(each["btc"]) for each in others],
        abs(atoms(own["btc"])),
        [overlaps(side, at, price(each)) and each["btc"] * side < 0 for each in others],
    )
    sizes = [lots / MICROS for lots in taken.lots]
    names = [others[place]["id"] for place in taken.places]
    paid = {name: -side * size * at for name, size in zip(names, sizes, strict=True)}
    return {
        "fills": [list(fill) for fill in zip(names, sizes, strict=True)],
        "usdc_after": {e["id"]: e["usdc"] + paid[e["id"]] for e in others if e["id"] in paid},
        "remaining": taken.rest / MICROS,
        "liquidated_usdc_after": own["usdc"] - sum(paid.values()),
    }


# Drift and Mango ----------------------------------------------------------------------


def e1(i: Inputs) -> Inputs:
    size = closing.shortage_size(
        i["margin_shortage_usd"],
        i["oracle"],
        margin_rate=i["margin_ratio"],
        liquidator_fee=i["liquidator_fee"],
        insurance_fee=i["insurance_fee"],
        quote_price=i["quote_oracle"],
    )
    return {"base_1e9": size * 10**9}


def e2(i: Inputs) -> Inputs:
    fee = closing.charged_insurance_fee(
        i["shortage"],
        i["base"],
        i["oracle"],
        margin_rate=i["margin_ratio"],
        liquidator_fee=i["liquidator_fee"],
        fee_max=i["max_if_fee"],
    )
    return {"if_fee_ppm": fee * MICROS}


def e3(i: Inputs) -> Inputs:
    base, most = i["base_fee_ppm"] / MICROS, i["max_fee_ppm"] / MICROS
    return {"fee_ppm": closing.ramped_fee(base, most, i["slots_elapsed"]) * MICROS}


def e4(i: Inputs) -> Inputs:
    loss = atoms(i["loss_usd"]) - atoms(i.get("insurance", 0))
    rate = sharing.socialised_rate(
        loss, atoms(abs(i["oi_long"])) + atoms(abs(i["oi_short"])), MICROS
    )

    def lost(base: float) -> float:
        return closed.socialised_share(rate, atoms(base), MICROS) / MICROS

    return {
        "cumulative_funding_delta_1e9": rate * 1_000,
        "delta_per_unit": rate / MICROS,
        "long_user_loss": lost(i.get("long_user_base", 0)),
        "short_user_loss": lost(i.get("short_user_base", 0)),
    }


def k1(i: Inputs) -> Inputs:
    base, quote = i["base"], i["quote"]
    lots = closed.health_lots(
        i["spot"], base, quote, weight=i["base_weight"], lots_max=i["max_base"]
    )
    way = 1 if base > 0 else -1
    return {"base_after": base - way * lots, "quote_after": quote + way * lots}


# ADL ----------------------------------------------------------------------------------


def f1(i: Inputs) -> Inputs:
    side = i["longs" if i["liquidated_side"] == "short" else "shorts"]
    places = sorted(range(len(side)), key=lambda place: -side[place]["rank_score"])
    taken = taken_from(places, [each["qty"] for each in side], i["liquidated_qty"])
    left = {each["account"]: each["qty"] for each in side}
    for place, lots in zip(taken.places, taken.lots, strict=True):
        left[side[place]["account"]] -= lots
    return {
        "fills": [[side[p]["account"], n] for p, n in zip(taken.places, taken.lots, strict=True)],
        "price": i["bankruptcy_price"],
        **{f"account{name}_remaining": rest for name, rest in left.items()},
    }


def f2(i: Inputs) -> Inputs:
    side, mark, held = SIDES[i["side"]], float(i["mark"]), i["positions"]
    size = np.array([each["qty"] for each in held], np.float64)
    entry = np.array([each["entry"] for each in held])
    wallet = np.array([each["wallet"] for each in held])
    candidates = Candidates(
        account=np.arange(len(held)),
        lots=side * size.astype(np.int64),
        entry=entry,
        mark=mark,
        notional=size * mark,
        wallet=wallet,
        equity=wallet + side * size * (mark - entry),
        maintenance=size * mark * i["mmr"],
        leverage=np.zeros(len(held)),
    )
    names = [each["id"] for each in held]
    rankings = {
        "bitmex": "bitmex",
        "binance": "binance",
        "okx_grvt": "okx",
        "hyperliquid": "hyperliquid",
        "gate_2022": "gate",
    }
    found: Inputs = {"scores": {name: {} for name in names}, "order": {}}
    for published, ours in rankings.items():
        for name, score in zip(names, ranking.scores(ours, candidates), strict=True):
            found["scores"][name][published] = float(score)
        found["order"][published] = [names[p] for p in ranking.order(ours, candidates)]
    return found


def f3(i: Inputs) -> Inputs:
    endowments = np.array(i["endowment"], np.float64)
    budget = i["severity"] * i["deficit"]
    found: Inputs = {}
    if i.get("policy") == "pro-rata":
        cut = sharing.pro_rata(endowments, budget)
        taken = (cut.share * endowments).tolist()
        found["haircut"] = float(cut.share[0])
    else:
        taken = seized([place - 1 for place in i["queue_order"]], i["endowment"], budget)
    owned = zip(i["cash"], i["pnl"], taken, strict=True)
    return {
        **found,
        "seized": taken,
        "equity_after": [cash + pnl - amount for cash, pnl, amount in owned],
    }


def f4(i: Inputs) -> Inputs | str:
    cut = sharing.capped(
        np.array(i["equity"], np.float64), np.array(i["caps"], np.float64), i["budget"]
    )
    if not cut.feasible:
        return f"infeasible (capacity {cut.capacity:g} < {i['budget']:g})"
    return {"haircut": cut.share.tolist(), "raised": cut.raised}


def h1(i: Inputs) -> Inputs:
    """Base amounts are whole in the venue's size decimals: millionths hold them all."""
    held = [atoms(each["position"]) for each in i["counterparties"]]
    taken = taken_from(range(len(held)), held, atoms(i["liquidated_total"]))
    fills = [lots / MICROS for lots in taken.lots]
    partial = [lots < abs(held[p]) for p, lots in zip(taken.places, taken.lots, strict=True)]
    return {"fills": fills, "sum": sum(taken.lots) / MICROS, "partial_fills": sum(partial)}


DRIVERS: Final[dict[str, Callable[[Inputs], Inputs | str]]] = {
    "A1": a1,
    "A2": a2,
    "A3": a3,
    "A4": a4,
    "A5": a5,
    "D1": d1,
    "D2": d2,
    "D3": d3,
    "D5": d5,
    "E1": e1,
    "E2": e2,
    "E3": e3,
    "E4": e4,
    "F1": f1,
    "F2": f2,
    "F3": f3,
    "F4": f4,
    "F5": f5,
    "H1": h1,
    "K1": k1,
}


def agrees(value: Any, expected: Any, tolerance: dict[str, float]) -> bool:
    """Whether a value, or all of a nest of values, is what was expected."""
    if isinstance(expected, dict):
        return all(
            key in value and agrees(value[key], expected[key], tolerance) for key in expected
        )
    if isinstance(expected, list):
        return len(value) == len(expected) and all(
            agrees(each, wanted, tolerance) for each, wanted in zip(value, expected, strict=True)
        )
    if isinstance(expected, str):
        return bool(value == expected)
    allowed = max(tolerance.get("abs", 0.0), tolerance.get("rel", 0.0) * abs(expected))
    return abs(value - expected) <= allowed

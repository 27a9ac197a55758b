"""What a run comes to: one object, printed by ``run --json`` and read by everything else."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from engine.attribution import attribution, price_split
from engine.engine import Engine
from engine.handler import Handler
from engine.issuer import issuer_book
from engine.ledger import Cause
from engine.market import Market
from engine.policy import Policy
from engine.rundir import RunWriter
from engine.turnover import Turnover
from engine.units import UNIT_STEPS, asset_decimals

__all__ = ["COSTS", "costs_of", "depth_left", "policy_times", "summarise"]

COSTS: Final = ("fees", "management_fee", "funding", "interest", "liquidation")
"""The causes that are a price for holding; what liquidation took is all beyond the mark."""
_BORROWED: Final = ("futures", "margin_loan")


def summarise(
    engine: Engine, writer: RunWriter, turnover: Turnover | None = None
) -> dict[str, Any]:
    """Figures of a finished run; money in quote, ratios plain; ``turnover``: what was traded."""
    state = engine.state
    products: dict[str, Any] = {}
    for market in engine.markets:
        for number, handler in zip(market.products, market.handlers, strict=True):
            if handler.state.status != "pending":
                products[handler.spec.id] = _product(market, handler, writer, number)
    order = [p.id for p in engine.spec.products]
    return {
        "digest": engine.digest(),
        "ticks": state.ticks,
        "rows": engine.sequence,
        "end_ns": engine.time_ns,
        "wakes": state.wakes,
        "wakes_empty": state.wakes_empty,
        "rejected": dict(sorted(state.rejected.items())),
        "samples_left_out": engine.sampler.state.left_out,
        "late_trades": _lanes(engine, "late_trades"),
        "off_market_trades": _lanes(engine, "off_market"),
        "events": dict(sorted(writer.counts.items())),
        "refused": dict(sorted(writer.refusals.items())),
        "markets": {
            engine.spec.symbols[m.spec.symbol]: _market(m) for m in engine.markets if m.handlers
        },
        "products": {name: products[name] for name in order if name in products},
        "not_launched": [name for name in order if name not in products],
        "feedback": writer.feeding.summary(),
        "issuer": issuer_book(engine, writer, turnover or Turnover()),
        "transfers": {c.name.lower(): engine.ledger.transfers[c] for c in Cause},
    }


def policy_times(policies: Sequence[Sequence[Policy]], engine_seconds: float) -> dict[str, Any]:
    """Of users' own policies, by class: how often each was asked, how long it took, and what share
    of the run that was."""
    found: dict[str, Any] = {}
    for policy in (each for listed in policies for each in listed):
        spent = getattr(policy, "spent", None)
        if spent is not None and spent.asked:
            row = found.setdefault(str(getattr(policy, "name", "")), {"asked": 0, "seconds": 0.0})
            row["asked"] += spent.asked
            row["seconds"] += spent.ns / 1e9
    for row in found.values():
        row["microseconds"] = row["seconds"] / row["asked"] * 1e6
        row["share"] = min(row["seconds"] / max(engine_seconds, 1e-9), 1.0)
    return found


def _lanes(engine: Engine, field: str) -> int:
    return sum(getattr(lane, field) for lanes in engine.intake.lanes for lane in lanes)


def _market(market: Market) -> dict[str, Any]:
    return {
        "mark_source": market.spec.mark_source,
        "contract": market.spec.contract.kind,
        "mark_end": market.state.mark,
        "stale": market.state.stale or None,
        **({"moved_for_good": market.state.impact.lasting} if market.spec.impact else {}),
        **({"depth_left": depth_left(market)} if market.spec.impact else {}),
    }


def depth_left(market: Market) -> list[list[float]]:
    """``[ts_ns, share of the bids, share of the asks]``: the smallest of each minute in which not
    the whole book was there."""
    told = market.state.impact.survival.minutes
    return [[ts_ns, 2.0**bid, 2.0**ask] for ts_ns, bid, ask in told]


def _product(market: Market, handler: Handler, writer: RunWriter, number: int) -> dict[str, Any]:
    account, state, samples = handler.account, handler.state, writer.samples
    scale = 10.0 ** -asset_decimals(account.contract.quote_asset)
    mark, price = market.state.mark, account.at(market.state.mark)
    nav, units = account.nav(mark), account.units
    intercept, slope = account.line()
    worth = intercept + slope * price
    per_unit = nav * scale / (units / UNIT_STEPS) if units else 0.0
    first = per_unit * state.units_scale
    count = int(samples.count[number])
    target, parts = account.state.first_target, attribution(account, mark)
    return {
        "symbol": market.spec.contract.symbol,
        "quote": account.contract.quote_asset,
        "kind": handler.spec.kind,
        "status": state.status,
        "target": target,
        "launched_ns": state.launched_ns,
        "closed_ns": state.closed_ns or None,
        "nav_start": 1.0 / state.units_scale,
        "nav_end": per_unit,
        "units": units / UNIT_STEPS,
        "equity_start": account.state.equity_start * scale,
        "equity_end": nav * scale,
        "return": first - 1.0,
        **_followed(handler, price, target),
        "max_drawdown": _drawdown(writer, number, first if units else None),
        "rebalances": state.rebalances,
        "deleveragings": state.deleveragings,
        "liquidations": state.liquidations,
        "adl_events": state.adl_events,
        "unhedged_seconds": handler.unhedged_ns(writer.engine.time_ns) / 1e9,
        "leverage": {
            "min": _finite(samples.leverage_min[number]),
            "max": _finite(samples.leverage_max[number]),
            "mean": float(samples.leverage_sum[number] / count) if count else None,
            "end": slope * price / worth if worth > 0.0 else None,
            "chosen": handler.spec.leverage if handler.spec.kind in _BORROWED else None,
        },
        "attribution": {k: v * scale for k, v in parts.items()},
        "price_split": {k: v * scale for k, v in price_split(account, mark).items()},
        "costs": costs_of(parts) * scale,
        **_fate(writer, handler.spec.id, per_unit, scale),
        "roundings": account.state.roundings,
        "policy_faults": sum(state.faulted),
        "no_position": _no_position(market, handler, writer),
    }


def _followed(handler: Handler, price: float, target: float) -> dict[str, Any]:
    """Which price NAV follows, how far it went, and what the first multiple of that comes to."""
    start = handler.account.state.first_mark
    move = price / start - 1.0
    return {
        "follows": handler.spec.terms.formula_price,
        "price_start": start,
        "price_end": price,
        "underlying_return": move,
        "multiple_return": target * move,
    }


def costs_of(parts: Mapping[str, int]) -> int:
    """What was paid for holding, quote atoms: ``COSTS``, and the fee and the rest of the margin
    that the venue's fund took in a liquidation."""
    return -sum(parts[cause] for cause in COSTS) - min(parts["insurance"], 0)


def _fate(writer: RunWriter, name: str, per_unit: float, scale: float) -> dict[str, Any]:
    """When and at which mark the liquidation began that ended a product, or the forced sale; and
    what its owner had to do; when his units were counted anew, and what they traded at."""
    fates, liquidated = writer.fates, None
    if name in fates.liquidated:
        ts_ns, mark = fates.liquidated[name]
        ts = np.datetime_as_string(np.datetime64(ts_ns, "ns"), unit="ms")
        liquidated = {"ts_ns": ts_ns, "ts": f"{ts}Z", "mark_price": mark}
    splits = [list(each) for each in writer.splits.get(name, ())]
    traded = writer.premiums.summary(name, writer.engine.time_ns, per_unit, scale)
    told = {"liquidated": liquidated, "actions": fates.actions(name), "splits": splits}
    return {**told, "secondary": traded}


def _no_position(market: Market, handler: Handler, writer: RunWriter) -> str | None:
    """Why a product never held a position; ``None`` where it did."""
    account, name, mark = handler.account, handler.spec.id, market.state.mark
    if name in writer.filled:
        return None
    if orders := writer.orders.get(name, 0):
        return f"none of its {orders} orders was filled"
    if account.slope:
        return None  # the coins of an inverse account are once long without a contract
    most = account.contract.lots_for(handler.spec.limit, account.nav(mark), mark)
    if not most:
        return f"one lot of {account.contract.spec.symbol} is worth more than it may hold"
    return "its policies asked for none"


def _drawdown(writer: RunWriter, number: int, end: float | None) -> float:
    """Over the start, the samples and the end."""
    samples = writer.samples
    worst = float(samples.drawdown[number])
    return worst if end is None else min(worst, end / float(samples.peak[number]) - 1.0)


def _finite(value: Any) -> float | None:
    return float(value) if math.isfinite(value) else None

"""What a reader must know beside the pictures, in sentences."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from engine.report.reading import Run
from engine.report.verdict import coin_margined, promise
from engine.report.words import instant, listed, number, percent, plural

__all__ = ["notes_of"]

Object = dict[str, Any]


def notes_of(run: Run) -> Iterator[str]:
    """Sentences in order: products, markets, refusals."""
    products = run.summary["products"]
    for name, product in products.items():
        yield from _leverage(name, product)
    yield from coin_margined(run.summary)
    falls = {n: p["max_drawdown"] for n, p in products.items() if p["kind"] == "fund"}
    if falls:
        worst = min(falls, key=lambda name: falls[name])
        depth = percent(-falls[worst], signed=False)
        yield f"No liquidation is not no loss: {worst} was down {depth} on the way."
    for name, curves in run.curves.items():
        low = float(curves["value"].series["myth"].min())
        if low < -1.0:
            yield (
                f"{promise(products[name])}, bought once and held, was at {percent(low)} on the "
                "way: nothing would have been left."
            )
    yield from _markets(run)
    yield from _refusals(run.summary)


def _leverage(name: str, product: Object) -> Iterator[str]:
    leverage = product["leverage"]
    traded = product["rebalances"] + product["deleveragings"]
    if "SMART" not in name or leverage["min"] is None or not traded:
        return
    yield (
        f"{name} promised {promise(product)} at the start; its leverage ranged "
        f"{number(leverage['min'])} to {number(leverage['max'])}, mean "
        f"{number(leverage['mean'])}. Nobody could have known that in advance."
    )


def _markets(run: Run) -> Iterator[str]:
    gaps: dict[str, list[Object]] = {}
    halts: dict[str, list[Object]] = {}
    for event in run.markets:
        if event["event"] == "market_stale":
            found = halts if event["reason"] == "halted" else gaps
            found.setdefault(event["symbol"], []).append(event)
    for symbol, events in halts.items():
        first, times = instant(events[0]["ts_ns"]), plural(len(events), "time")
        yield f"{symbol} was halted by the operator {times}, first at {first} UTC."
    for symbol, events in gaps.items():
        first = instant(events[0]["since_ns"])
        if len(events) == 1:
            yield f"{symbol} had no fresh price from {first} UTC on for a while."
        else:
            times = plural(len(events), "time")
            yield f"{symbol} had no fresh price for a while {times}, first from {first} UTC on."


def _refusals(summary: Object) -> Iterator[str]:
    for what, counts in (("Rejected", summary["rejected"]), ("Refused", summary["refused"])):
        if counts:
            said = [f"{count:,} {reason.replace('_', ' ')}" for reason, count in counts.items()]
            yield f"{what}: {listed(said)}."
    if summary["not_launched"]:
        yield f"Never launched, for want of a price: {listed(summary['not_launched'])}."

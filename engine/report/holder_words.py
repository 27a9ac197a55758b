"""What a holder asked for and what became of it, a line each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from engine.report.amounts import amount
from engine.report.statement import Statement
from engine.report.words import instant, number, percent
from engine.units import UNIT_STEPS

if TYPE_CHECKING:
    from engine.report.history import History

__all__ = ["told_deals"]

Object = dict[str, Any]


def told_deals(history: History, one: Statement, money: tuple[int, str]) -> Iterator[str]:
    """What a holder asked for and what he has."""
    decimals, currency = money
    yield f"What {one.user} did in {one.product}:"
    if one.units[0]:
        paid = amount(one.worth_start, decimals, signed=False)
        yield f"  {instant(one.from_ns)}  held {_units(one.units[0])} units, worth {paid}"
    own = {deal.place: deal for deal in history.own_deals(one.product, one.user or "")[1]}
    for event in history.events[one.product]:
        if not one.from_ns <= event["ts_ns"] <= one.to_ns:
            continue
        deal = own.get((event["sequence"], event["ordinal"]))
        if deal is not None and event["event"] == "units_split":
            left = amount(-deal.own.paid, decimals, signed=False)
            ratio = (
                f"{event['new']} for {event['old']}: {_units(deal.units)} units, {left} paid out"
            )
            yield f"  {instant(event['ts_ns'])}  units counted anew, {ratio}"
        elif event.get("user") == one.user:
            yield f"  {instant(event['ts_ns'])}  {_did(event, decimals)}"
    worth = amount(one.worth_end, decimals, signed=False)
    yield f"  {instant(one.to_ns)}  holds {_units(one.units[1])} units, worth {worth} {currency}"
    result = f"{amount(one.result, decimals)} {currency}".rstrip()
    yield f"  That is {result}, {percent(one.gain)} of what was put in."


def _did(event: Object, decimals: int) -> str:
    kind, fee = event["event"], event.get("fee_atoms", 0)
    if kind in ("units_created", "units_redeemed"):
        verb, flow, sign = ("bought", "paid", 1) if kind == "units_created" else ("sold", "got", -1)
        money = amount(event["quote_atoms"] + sign * fee, decimals, signed=False)
        cost = amount(event["cost_atoms"] + fee, decimals, signed=False)
        return (
            f"{verb} {_units(event['units'])} units, {flow} {money} "
            f"(of it spread, impact and fees {cost}), request {event['id']}"
        )
    if kind == "level_reached":
        now, level = (number(event[name], 6) for name in ("nav_per_unit", "level"))
        return f"NAV per unit reached {now}, request {event['id']} waited for {level}"
    if kind == "level_dealt":
        got, level = (number(event[name], 6) for name in ("price_per_unit", "level"))
        return f"got {got} a unit at a level of {level}, request {event['id']}"
    if kind == "request_cancelled":
        return f"took request {event['id']} back"
    words = {
        "request_queued": "request waits",
        "creation_refused": "creation refused",
        "cancellation_refused": "cancellation refused",
        "redemption_refused": "redemption refused",
    }
    return f"{words.get(kind, kind)}: {event.get('reason', '')}, request {event.get('id', '')}"


def _units(steps: int) -> str:
    return number(steps / UNIT_STEPS, 8).rstrip("0").rstrip(".")

"""A holder's own deals with one product, and what splits made of his units."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from msgspec import Struct

from engine.report.holding import Own

__all__ = ["OwnDeal", "own_deals"]

Object = dict[str, Any]

_SIGNS = {"units_created": 1, "units_redeemed": -1}


class OwnDeal(Struct, frozen=True, kw_only=True):
    """``units``: what he held afterwards, steps; ``place``: of the event that says so."""

    ts_ns: int
    place: tuple[int, int]
    units: int
    own: Own


def own_deals(
    events: Iterable[Object], user: str, rows: Sequence[Object]
) -> tuple[int, list[OwnDeal]]:
    """What he held at the launch, and his deals and the splits that met him, in order.

    Args:
        events: of the product.
        rows: of ``user_nav.parquet``, his of this product.
    """
    told = [event for event in events if _is_his(event, user)]
    first = _first(told, rows)
    return first, list(_walk(told, rows, first))


def _is_his(event: Object, user: str) -> bool:
    dealt = event["event"] in _SIGNS and bool(event["user"] == user)
    return dealt or bool(event["event"] == "units_split")


def _first(told: Sequence[Object], rows: Sequence[Object]) -> int:
    """Told by his first deal, or by the first record of what he held; where that is of a split, by
    what it made of so many. Who came after one had nothing."""
    if told and told[0]["event"] in _SIGNS:
        return int(told[0]["user_units"] - _SIGNS[told[0]["event"]] * told[0]["units"])
    if not rows or (told and rows[0]["ts_ns"] > told[0]["ts_ns"]):
        return 0
    units = int(rows[0]["units"])
    if told and rows[0]["ts_ns"] == told[0]["ts_ns"]:
        return int(units * told[0]["old"] // told[0]["new"])
    return units


def _walk(told: Sequence[Object], rows: Sequence[Object], held: int) -> Iterator[OwnDeal]:
    for event in told:
        before, place = held, (event["sequence"], event["ordinal"])
        if event["event"] in _SIGNS:
            sign, fee, quote = _SIGNS[event["event"]], event["fee_atoms"], event["quote_atoms"]
            held = int(event["user_units"])
            dealing = event["cost_atoms"] + fee
            own = Own(units=sign * event["units"], paid=sign * quote + fee, dealing=dealing)
        elif not held:
            continue
        else:
            held = _regrouped(event, held, rows)
            left = _left(event, before, held)
            own = Own(units=held - before, paid=-left, dealing=0)
        yield OwnDeal(ts_ns=event["ts_ns"], place=place, units=held, own=own)


def _regrouped(event: Object, held: int, rows: Sequence[Object]) -> int:
    """What a split left him: what he is recorded with then, which is no more than his part."""
    most: int = held * event["new"] // event["old"]
    found = [r["units"] for r in rows if r["ts_ns"] == event["ts_ns"] and r["units"] <= most]
    return max(found, default=most)


def _left(event: Object, before: int, held: int) -> int:
    """What he was paid for the units that were none any more, atoms."""
    nav, total = event["nav_atoms"] + event["paid_atoms"], event["units_before"]
    rest = before * event["new"] - held * event["old"]
    return int(rest * nav // (total * event["new"]))

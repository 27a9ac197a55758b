"""Had I bought something else, or an hour later: answered by what the run itself held, on the same
ticks.

What the run did not hold is reckoned on the price that the holder's product follows. Where that is
the index, and where another product follows another price, its row says so.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from engine.errors import InputError
from engine.report.history import History
from engine.report.statement import Point, Statement
from engine.report.words import DASH, asset_of, instant, number, percent, priced

__all__ = ["alternatives_of"]

_HOUR_NS: Final = 3600 * 10**9
_STAKE: Final = 1_000.0
_FUTURES: Final = 3.0
_COSTLESS: Final = {"mark": "without costs", "index": "without costs, at the index"}


def alternatives_of(history: History, one: Statement) -> Iterator[str]:
    """What 1,000 would have become from a holder's entry to the end of his statement: in the same
    product, in it an hour later, in each other product of its market, in spot and in futures."""
    own = history.summary["products"][one.product]
    symbol, costless = own["symbol"], _COSTLESS[own["follows"]]
    yield f"What 1,000 put in at {instant(one.from_ns, seconds=True)} UTC would be at the end:"
    yield from _row(one.product, _became(history, one.product, one.from_ns, one.to_ns))
    later = one.from_ns + _HOUR_NS
    if later < one.to_ns:
        yield from _row(
            f"{one.product}, an hour later", _became(history, one.product, later, one.to_ns)
        )
    kinds = set()
    for name, product in history.summary["products"].items():
        if product["symbol"] == symbol and name != one.product:
            kinds.add(product["kind"])
            notes = [_note(history, name, product, one.from_ns)]
            if product["follows"] != own["follows"]:
                notes.append(f"follows the {product['follows']}")
            note = ", ".join(each for each in notes if each)
            yield from _row(name, _became(history, name, one.from_ns, one.to_ns), note)
    asset = asset_of(symbol)
    if "spot" not in kinds:
        yield from _row(f"{asset} itself", 1.0 + one.move, costless)
    yield from _futures(history, one, asset, costless)


def _row(words: str, became: float | None, note: str = "") -> Iterator[str]:
    worth = DASH if became is None else number(_STAKE * became)
    share = "" if became is None else percent(became - 1.0)
    yield f"  {words:<28}{worth:>12}{share:>11}  {note}".rstrip()


def _became(history: History, product: str, from_ns: int, to_ns: int) -> float | None:
    """What one quote in a product became; ``None`` where it had nothing then, or was not there."""
    if from_ns < history.launches[product]["ts_ns"]:
        return None
    try:
        start, end = history.at(product, from_ns), history.at(product, to_ns, ends=True)
    except InputError:
        return None
    before, after = _per_unit(start), _per_unit(end)
    for event in history.events[product]:
        if event["event"] == "units_split" and start.ts_ns < event["ts_ns"] <= end.ts_ns:
            after *= event["new"] / event["old"]  # so many are left of one
    return max(after, 0.0) / before if before > 0.0 else None


def _per_unit(point: Point) -> float:
    return point.nav / point.units if point.units else 0.0


def _note(history: History, name: str, product: dict[str, Any], from_ns: int) -> str:
    """Futures and loans are opened once: who comes later finds another leverage."""
    launch_ns = history.launches[name]["ts_ns"]
    if product["kind"] not in ("futures", "margin_loan") or from_ns <= launch_ns:
        return ""
    held = history.at(name, from_ns).leverage
    if not held:
        return "it was closed by then"
    return f"as it stood then, at {number(held)}x"


def _futures(history: History, one: Statement, asset: str, costless: str) -> Iterator[str]:
    """A position opened once at the entry, from the samples of the price: a reckoning, no run."""
    side = 1.0 if one.leverage >= 0.0 else -1.0
    times = side * _FUTURES
    low, high = history.range_of(one.product, one.from_ns, one.to_ns)
    worst = low if side > 0.0 else high
    name = f"{number(times, 0)}x futures on {asset}"
    if 1.0 + times * (worst / one.price_start - 1.0) <= 0.0:
        ruin = one.price_start * (1.0 - 1.0 / times)
        yield from _row(name, 0.0, f"{costless}; liquidated before {priced(ruin)}")
    else:
        yield from _row(name, 1.0 + times * one.move, costless)

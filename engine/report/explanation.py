"""Why a NAV is what it is: in words, and in a table that sums to the last atom."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from engine.errors import InputError
from engine.report.actions import MOST, last_actions
from engine.report.amounts import MEANINGS, biggest_causes, lines_of, words_of
from engine.report.holder_words import told_deals
from engine.report.statement import Statement, summary_statement
from engine.report.trading_at import traded_words
from engine.report.verdict import coin_margined, promise, undecided, verdict_of
from engine.report.words import (
    instant,
    listed,
    moved,
    multiple,
    number,
    percent,
    plural,
    points,
    priced,
    underlying_of,
)
from engine.units import asset_decimals

if TYPE_CHECKING:
    from engine.report.history import History

__all__ = ["explain", "explain_of", "statements_of"]

Object = dict[str, Any]

_SMALL: Final = 0.0005


def explain(
    run_dir: Path,
    product: str | None = None,
    user: str | None = None,
    from_ns: int | None = None,
    to_ns: int | None = None,
) -> str:
    """Where the result of a run came from, product by product, or for one holder.

    Args:
        product: only this one.
        user: whose units are to be followed, since he bought them.
        from_ns, to_ns: only what lies between; ends are those of NAV samples.

    Raises:
        InputError: if the directory is none of a run, or the run has no such product or user.
    """
    from engine.report.alternatives import alternatives_of
    from engine.report.history import read_history

    history = read_history(run_dir)
    summary = history.summary
    found = statements(history, product, user, from_ns, to_ns)
    most = MOST if product or user else None
    whole = from_ns is None and to_ns is None and user is None
    parts = [verdict_of(summary) if whole else f"The whole run: {verdict_of(summary)}"]
    for one in found:
        events = [e for e in history.events[one.product] if one.from_ns <= e["ts_ns"] <= one.to_ns]
        money = history.decimals(one.product), history.currency(one.product)
        head = _whole_head if whole else _part_head
        if user is not None:
            parts.append("\n".join(told_deals(history, one, money)))
        lines = [*head(one, summary), "", *lines_of(one, *money), "", *_because(one)]
        did = last_actions(events) if most is None else last_actions(events, most)
        lines += ["", *did] if did else []
        lines += _doubt(one.product, summary)
        traded = traded_words(summary["products"][one.product]) if whole else ""
        parts.append("\n".join([*lines, *(["", traded] if traded else [])]))
        if user is not None:
            parts.append("\n".join(alternatives_of(history, one)))
    parts.append(_assumed(summary, product))
    return "\n\n".join(part for part in parts if part)


def statements(
    history: History,
    product: str | None = None,
    user: str | None = None,
    from_ns: int | None = None,
    to_ns: int | None = None,
) -> list[Statement]:
    """The statements behind ``explain``.

    Raises:
        InputError: if the run has no such product or user.
    """
    names = _chosen(history.summary, product)
    if user is None:
        return [history.statement(name, from_ns, to_ns) for name in names]
    held = [history.holder(name, user, from_ns, to_ns) for name in names]
    found = [one for one in held if one is not None]
    if not found:
        where = f" in {names[0]}" if len(names) == 1 else ""
        raise InputError(f"{user} held nothing{where}, and asked for nothing")
    return found


def statements_of(
    run_dir: Path,
    product: str | None = None,
    user: str | None = None,
    from_ns: int | None = None,
    to_ns: int | None = None,
) -> list[Object]:
    """``statements`` as plain objects, with ``decimals`` of the asset and its ``currency``."""
    from engine.report.history import read_history

    history = read_history(run_dir)
    return [
        {
            **msgspec.to_builtins(one),
            "decimals": history.decimals(one.product),
            "currency": history.currency(one.product),
        }
        for one in statements(history, product, user, from_ns, to_ns)
    ]


def explain_of(
    summary: Object, events: Iterable[Object] = (), *, product: str | None = None
) -> str:
    """``explain`` of a summary alone, without the directory it is from.

    Args:
        events: the run's events in order; they say what each product did.
    """
    parts, known = [verdict_of(summary)], list(events)
    for name in _chosen(summary, product):
        asset = summary["products"][name]["quote"]
        decimals = asset_decimals(asset)
        one = summary_statement(name, summary, decimals)
        did = last_actions(e for e in known if e.get("product") == name)
        money = lines_of(one, decimals, asset)
        lines = [*_whole_head(one, summary), "", *money, "", *_because(one)]
        lines += ["", *did] if did else []
        parts.append("\n".join([*lines, *_doubt(name, summary)]))
    parts.append(_assumed(summary, product))
    return "\n\n".join(part for part in parts if part)


def _chosen(summary: Object, product: str | None) -> list[str]:
    launched = list(summary["products"])
    if product is None:
        return launched
    if product in summary["not_launched"]:
        raise InputError(f"{product} was never launched; launched were {listed(launched)}")
    if product not in launched:
        raise InputError(f"the run has no product {product}; it has {listed(launched) or 'none'}")
    return [product]


def _whole_head(one: Statement, summary: Object) -> Iterator[str]:
    product = summary["products"][one.product]
    myth, got = product["multiple_return"], product["return"]
    yield f"{one.product}: {promise(product)}, from {instant(one.from_ns)} UTC"
    yield (
        f"{underlying_of(product)} moved by {percent(product['underlying_return'])}; "
        f"{promise(product)} {_held(myth)}. {one.product} {moved(got)}: "
        f"{_side(got, max(myth, -1.0))}."
    )
    leverage = product["leverage"]
    if leverage["min"] is not None:
        yield (
            f"Leverage was {number(leverage['min'])} to {number(leverage['max'])}, on average "
            f"{number(leverage['mean'])}; {plural(product['rebalances'], 'rebalance')}, "
            f"{plural(product['deleveragings'], 'forced cut')}. "
            f"At worst it stood {percent(abs(product['max_drawdown']), signed=False)} "
            "below its peak."
        )
    yield from (line for line in coin_margined(summary) if line.startswith(f"{one.product}:"))
    if product["status"] == "closed":
        yield (
            f"{one.product} was closed{_when(product)}. Direction counts the market's way to the "
            "end; what came after the closing is taken back under compounding."
        )
    if product["policy_faults"]:
        yield f"Its policy faulted {plural(product['policy_faults'], 'time')}; safe mode took over."


def _when(product: Object) -> str:
    closed, forced = product.get("closed_ns"), product.get("liquidated")
    at = f" at {priced(forced['mark_price'])}" if forced else ""
    return f" on {instant(closed, seconds=True)} UTC{at}" if closed else ""


def _held(myth: float) -> str:
    """What a multiple bought once and held would have come to; nobody loses more than he has."""
    if myth <= -1.0:
        return f"bought once and held would have lost everything (it is {percent(myth)})"
    return f"would be {percent(myth)}"


def _side(got: float, myth: float) -> str:
    if abs(got - myth) < _SMALL:
        return "just that"
    return f"{points(got, myth)} {'worse' if got < myth else 'better'}"


def _part_head(one: Statement, summary: Object) -> Iterator[str]:
    asset = underlying_of(summary["products"][one.product])
    who = f"{one.user} in {one.product}" if one.user else one.product
    ends = [instant(ts_ns, seconds=True) for ts_ns in (one.from_ns, one.to_ns)]
    times, myth = round(one.leverage, 2), one.leverage * one.move
    yield f"{who}, from {ends[0]} to {ends[1]} UTC"
    yield (
        f"{asset} moved by {percent(one.move)}, from {priced(one.price_start)} to "
        f"{priced(one.price_end)}. {multiple(times, asset)}, the leverage at the start, "
        f"{_held(myth)}. {who} {moved(one.gain)}: {_side(one.gain, max(myth, -1.0))}."
    )


def _because(one: Statement) -> Iterator[str]:
    parts = {**one.split, **one.causes}
    biggest = biggest_causes(parts, one.worth_start + one.put_in)[:3]
    if not biggest:
        yield "Nothing but the market's direction moved it."
        return
    yield "What moved it beyond direction, the biggest first:"
    for name, share in biggest:
        verb = "added" if share > 0 else "took"
        meaning = f" ({MEANINGS[name]})" if name in MEANINGS else ""
        yield f"  {words_of(name, share)} {verb} {percent(abs(share), signed=False)}{meaning}"


def _doubt(name: str, summary: Object) -> list[str]:
    if name not in undecided(summary):
        return []
    return ["Not decidable from bars: the order of the extremes within them decides."]


def _assumed(summary: Object, product: str | None) -> str:
    """What the run leans on; of one product, without what is said of the others alone."""
    others = [name for name in summary["products"] if product not in (None, name)]
    foreign = tuple(f"{name}{end}" for name in others for end in (":", " "))
    names = [
        name
        for name in summary.get("assumed", [])
        if not name.partition(": ")[2].startswith(foreign)
    ]
    if not names:
        return ""
    return "\n".join(["It leans on these assumptions:", *(f"  {name}" for name in names)])

"""Why a NAV is what it is: attribution in words, and a table that sums to the last cent printed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from engine.errors import InputError
from engine.report.actions import last_actions
from engine.report.table import CAUSES, SPLIT, exact_parts, split_of
from engine.report.verdict import promise, undecided, verdict_of
from engine.report.words import asset_of, instant, listed, moved, number, percent, plural, points
from engine.units import UNIT_STEPS

__all__ = ["MEANINGS", "biggest_causes", "explain", "explain_of"]

Object = dict[str, Any]

MEANINGS: Final = {
    "direction": "the first multiple, bought once and held",
    "compounding": "the multiple applies to a NAV that moves: swings wear it out, trends add",
    "leverage_change": "promised leverage that differed from the first",
    "timing": "leverage that had drifted from what was promised",
    "gap": "moves beyond an edge before the product could act",
    "spread_impact": "bought above mid, sold below it",
    "basis": "the mark differed from the middle of the book where we traded",
    "funding": "paid to, or received from, the other side of the perpetual",
    "management_fee": "the issuer's fee",
    "flows": "brought or taken by those who came and went",
}
"""What a part stands for, where its name does not say all."""

_CENT: Final = 0.01
_WIDTH: Final = 30
_SMALL: Final = 0.0005
"""Causes below this share of the equity at the start are not called big."""


def explain(run_dir: Path, product: str | None = None, user: str | None = None) -> str:
    """``explain_of`` a run directory.

    Raises:
        InputError: if the directory is none of a run, or the run has no such product or user.
    """
    from engine.report.reading import events_of, holdings_of, readable, summary_of

    summary = summary_of(run_dir)
    if user is None:
        with readable(run_dir, "events.jsonl"):
            return explain_of(summary, events_of(run_dir), product=product)
    with readable(run_dir, "events.jsonl", "user_nav.parquet"):
        events, holdings = events_of(run_dir), holdings_of(run_dir, user)
        return explain_of(summary, events, holdings, product=product, user=user)


def explain_of(
    summary: Object,
    events: Iterable[Object] = (),
    holdings: Sequence[Object] = (),
    *,
    product: str | None = None,
    user: str | None = None,
) -> str:
    """Where the result came from, product by product, or for one user.

    Args:
        summary: the object of ``summary.json``.
        events: the run's events in order; they say what each product did, and when a user came.
        holdings: the user's rows of ``user_nav.parquet`` in order; needed for a user.
        product: only this one.
        user: whose units are to be followed.

    Raises:
        InputError: if the run has no such product or user.
    """
    names = _chosen(summary, product)
    parts = [verdict_of(summary)]
    if user is None:
        did = last_actions(events)
        parts += [_of_product(name, summary, did.get(name, [])) for name in names]
    else:
        parts += _of_user(user, names, summary, list(events), holdings)
    parts.append(_assumed(summary))
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


def _of_product(name: str, summary: Object, did: list[str]) -> str:
    product = summary["products"][name]
    lines = [
        f"{name}: {promise(product)}, from {instant(product['launched_ns'])} UTC",
        *_course(name, product),
        "",
        *_sum(product),
        "",
        *_because(product),
        *(["", *did] if did else []),
    ]
    if name in undecided(summary):
        lines.append("Not decidable from bars: the order of the extremes within them decides.")
    return "\n".join(lines)


def _course(name: str, product: Object) -> Iterator[str]:
    myth, got = product["multiple_return"], product["return"]
    asset, difference = asset_of(product["symbol"]), got - myth
    side = f"{points(got, myth)} {'worse' if difference < 0 else 'better'}"
    if abs(difference) < _SMALL:
        side = "just that"
    yield (
        f"{asset} moved by {percent(product['underlying_return'])}; {promise(product)} would be "
        f"{percent(myth)}. {name} {moved(got)}: {side}."
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
    if product["status"] == "closed":
        yield f"{name} was closed."
    if product["policy_faults"]:
        yield f"Its policy faulted {plural(product['policy_faults'], 'time')}; safe mode took over."


def _sum(product: Object) -> Iterator[str]:
    start, end = product["equity_start"], product["equity_end"]
    causes = product["attribution"]
    shown = {"price": causes["price"]} | {n: causes[n] for n in CAUSES if causes[n]}
    cents = exact_parts(shown, end - start, _CENT)
    split = exact_parts(split_of(product), cents["price"] * _CENT, _CENT)
    yield _line("equity at the start", round(start / _CENT), None)
    yield _line("price moves", cents.pop("price"), start)
    for part, amount in split.items():
        yield _line(f"  {SPLIT[part]}", amount, start, inner=True)
    for cause, amount in cents.items():
        yield _line(CAUSES[cause], amount, start)
    yield _line("equity at the end", round(start / _CENT) + round((end - start) / _CENT), None)


def _line(words: str, cents: int, start: float | None, *, inner: bool = False) -> str:
    amount = number(cents * _CENT, 2, signed=start is not None)
    share = percent(cents * _CENT / start, 2) if start else ""
    column = f"{amount:>18}" if not inner else f"{'':>3}{amount:>18}"
    return f"  {words:<{_WIDTH}}{column:<21}{share:>11}".rstrip()


def biggest_causes(product: Object) -> list[tuple[str, float]]:
    """What moved the result beyond direction, largest first: ``(name, share of the equity at the
    start)``."""
    start = product["equity_start"]
    parts = {**split_of(product), **product["attribution"]}
    names = [name for name in parts if name not in ("price", "direction", "flows")]
    shares = {name: parts[name] / start for name in names}
    order = sorted(shares, key=lambda name: -abs(shares[name]))
    return [(name, shares[name]) for name in order if abs(shares[name]) >= _SMALL]


def _because(product: Object) -> Iterator[str]:
    biggest = biggest_causes(product)[:3]
    if not biggest:
        yield "Nothing but the market's direction moved it."
        return
    yield "What moved it beyond direction, the biggest first:"
    for name, share in biggest:
        verb = "added" if share > 0 else "took"
        words = (SPLIT | CAUSES)[name]
        meaning = f" ({MEANINGS[name]})" if name in MEANINGS else ""
        yield f"  {words} {verb} {percent(share, signed=False).lstrip('−')}{meaning}"


def _of_user(
    user: str,
    names: Sequence[str],
    summary: Object,
    events: Sequence[Object],
    holdings: Sequence[Object],
) -> list[str]:
    scales = {
        e["product"]: summary["products"][e["product"]]["equity_start"] / e["equity_atoms"]
        for e in events
        if e["event"] == "product_launched"
    }
    found = []
    for name in names:
        own = [e for e in events if e.get("user") == user and e.get("product") == name]
        rows = [row for row in holdings if row["product"] == name]
        if own or rows:
            found.append(_in_product(user, name, own, rows, summary, scales[name]))
    if not found:
        where = f" in {names[0]}" if len(names) == 1 else ""
        raise InputError(f"{user} held nothing{where}, and asked for nothing")
    return found


def _in_product(
    user: str,
    name: str,
    events: Sequence[Object],
    rows: Sequence[Object],
    summary: Object,
    scale: float,
) -> str:
    product = summary["products"][name]
    changes = [e for e in events if e["event"] in ("units_created", "units_redeemed")]
    units = _opening_units(changes, rows)
    paid, got, lines = units / UNIT_STEPS, 0.0, [f"{user} in {name}"]
    if units:
        lines.append(
            f"  {instant(product['launched_ns'])}  held from the start "
            f"{_units(units)} units at 1.00, paid {number(paid)}"
        )
    for event in events:
        amount = event.get("quote_atoms", 0) * scale
        fee, units = event.get("fee_atoms", 0) * scale, event.get("user_units", units)
        if event["event"] == "units_created":
            amount += fee
            paid += amount
        elif event["event"] == "units_redeemed":
            amount -= fee
            got += amount
        lines.append(f"  {instant(event['ts_ns'])}  {_did(event, amount, scale)}")
    worth = _worth(units, rows, product, scale)
    result = worth + got - paid
    share = f" ({percent(result / paid)})" if paid else ""
    each = number(product["nav_end"], 6)
    holds = f"holds {_units(units)} units worth {number(worth)}, {each} a unit"
    outcome = f"{number(result, signed=True)}{share}"
    lines += [
        f"  {instant(summary['end_ns'])}  {holds}",
        f"  worth {number(worth)}, got {number(got)}, paid {number(paid)}: {outcome}",
        "",
        f"Why a unit of {name} is worth {each}:",
        _of_product(name, summary, []),
    ]
    return "\n".join(lines)


def _opening_units(changes: Sequence[Object], rows: Sequence[Object]) -> int:
    """Units held from the start, in steps: what was there before the first change."""
    if changes:
        first = changes[0]
        sign = -1 if first["event"] == "units_created" else 1
        return int(first["user_units"] + sign * first["units"])
    return int(rows[-1]["units"]) if rows else 0


def _worth(units: int, rows: Sequence[Object], product: Object, scale: float) -> float:
    if rows and rows[-1]["units"] == units:
        return float(rows[-1]["nav_atoms"] * scale)
    return float(units / UNIT_STEPS * product["nav_end"])


def _did(event: Object, amount: float, scale: float) -> str:
    kind = event["event"]
    if kind in ("units_created", "units_redeemed"):
        verb, flow = ("bought", "paid") if kind == "units_created" else ("sold", "got")
        cost = number(event["cost_atoms"] * scale)
        return (
            f"{verb} {_units(event['units'])} units, {flow} {number(amount)} "
            f"(of it spread, impact and fees {cost}), request {event['id']}"
        )
    words = {
        "request_queued": "request waits",
        "creation_refused": "creation refused",
        "redemption_refused": "redemption refused",
    }
    return f"{words.get(kind, kind)}: {event.get('reason', '')}, request {event.get('id', '')}"


def _units(steps: int) -> str:
    return number(steps / UNIT_STEPS, 8).rstrip("0").rstrip(".")


def _assumed(summary: Object) -> str:
    names = summary.get("assumed", [])
    if not names:
        return ""
    lines = [f"  {name}" for name in names]
    return "\n".join(["It leans on these assumptions:", *lines])

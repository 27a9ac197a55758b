"""The hedge desk's view: what the funds held against what they promised, what their hedges cost,
and which of them traded at once."""

from __future__ import annotations

from collections import defaultdict
from typing import Any, Final

import numpy as np

from engine.report.axes import Axes, drawing, polyline
from engine.report.card import Card, line, said
from engine.report.moments import STRIDE
from engine.report.numbers import Table
from engine.report.reading import Run
from engine.report.thinning import F64
from engine.report.trading import MINUTE_NS
from engine.report.words import DASH, digits_of, instant, listed, number, plural, whole_digits

__all__ = ["desk_card", "exposures_of"]

Object = dict[str, Any]

_MINUTES: Final = 8


def exposures_of(run: Run, name: str) -> tuple[F64, F64]:
    """What moved with the price at each moment, quote, plus is long: of what a fund's hedge held,
    and of what was promised.

    Of a basket the hedge's is the fund's own exposure, and the promise is the target of then times
    its NAV. A formula's NAV tells nothing of its hedge: that is what its fills left; and the
    promise is the exposure of the formula.
    """
    product, moments = run.summary["products"][name], run.moments[name]
    nav = np.maximum(product["equity_start"] + moments.causes.sum(axis=1), 0.0)
    told = np.nan_to_num(moments.leverage) * nav
    if "hedge" in run.summary["issuer"]["products"][name] and name in run.trading:
        return run.trading[name].exposure_at(moments.sampled_ns, moments.mark), told
    steps = [(e["decided_ns"], e["target"]) for e in run.events[name] if "target" in e]
    times = np.array([ts for ts, _ in steps], np.int64)
    targets = np.array([product["target"], *(target for _, target in steps)])
    wanted = targets[np.searchsorted(times, moments.sampled_ns, side="right")] * nav
    return told, wanted


def desk_card(run: Run) -> Card | None:
    """The first market's funds together; none where there is no fund."""
    products = run.summary["products"]
    funds = [name for name in run.moments if products[name]["kind"] == "fund"]
    funds = [name for name in funds if products[name]["symbol"] == products[funds[0]]["symbol"]]
    starts = {products[name]["launched_ns"] for name in funds}
    if not funds or len(starts) > 1:
        return None
    both = {name: exposures_of(run, name) for name in funds}
    held, wanted = (np.asarray(sum(pair[n] for pair in both.values())) for n in (0, 1))
    currency = run.currency(funds[0])
    return Card(
        "desk",
        _title(run, funds),
        [
            line("own", "net exposure held"),
            line("myth", "promised", "6 4"),
            said(f"of {listed(funds)}, in {currency}"),
        ],
        _drawn(run, funds, held, wanted),
        [_hedges(run, both), _crowding(run, funds), _over_time(run, funds, held, wanted)],
    )


def _crowded(run: Run, funds: list[str]) -> list[tuple[int, dict[str, float]]]:
    """Minutes by what was traded in them, the largest first."""
    minutes: dict[int, dict[str, float]] = defaultdict(dict)
    for name in funds:
        if name in run.trading:
            for minute, amount in run.trading[name].minutes.items():
                minutes[minute][name] = amount
    return sorted(minutes.items(), key=lambda one: (-sum(one[1].values()), one[0]))


def _title(run: Run, funds: list[str]) -> str:
    costs = 0.0
    for name in funds:
        paid = run.summary["issuer"]["products"][name]["hedge_costs"]
        costs += paid["spread_impact"] + paid["basis"] + paid["fees"]
    currency = run.currency(funds[0])
    said_ = f"Hedging cost {number(costs, whole_digits(currency))} {currency}"
    crowded = _crowded(run, funds)
    if not crowded:
        return f"{said_}; none traded of its own accord"
    minute, traded = crowded[0]
    amount = f"{number(sum(traded.values()), whole_digits(currency))} {currency}"
    who = plural(len(traded), "fund")
    return f"{said_}; in the busiest minute, {instant(minute * MINUTE_NS)}, {who} traded {amount}"


def _drawn(run: Run, funds: list[str], held: F64, wanted: F64) -> str:
    ts = run.moments[funds[0]].ts_ns.tolist()
    low = float(min(held.min(), wanted.min(), 0.0))
    high = float(max(held.max(), wanted.max(), 0.0))
    room = 0.04 * ((high - low) or 1.0)
    axes = Axes(
        float(ts[0]), float(ts[-1]), low - room, high + room, width=1240, height=300, before=104
    )
    parts = [*axes.side(number), *axes.times(), *axes.events(run.happened)]
    for values, role, dash in ((wanted, "myth", "6 4"), (held, "own", "")):
        points = zip(ts, values.tolist(), strict=True)
        parts.append(polyline([(axes.x(x), axes.y(y)) for x, y in points], role, dash))
    return drawing("net exposure of the funds over time; the numbers are beneath", parts, axes)


def _hedges(run: Run, both: dict[str, tuple[F64, F64]]) -> Table:
    rows, currency = [], run.currency(next(iter(both)))
    whole, digits = whole_digits(currency), digits_of(currency)
    for name, (held, wanted) in both.items():
        product, trading = run.summary["products"][name], run.trading.get(name)
        paid, off = run.summary["issuer"]["products"][name]["hedge_costs"], held - wanted
        slippage = paid["spread_impact"] + paid["basis"]
        traded = trading.traded if trading else 0.0
        trades = trading.fills if trading else 0
        rows.append(
            [
                name,
                f"{trades:,}",
                number(traded, whole),
                number(slippage, digits),
                number(1e4 * slippage / traded, 2) if traded else DASH,
                number(slippage / trades, digits) if trades else DASH,
                number(paid["fees"], digits),
                number(float(np.abs(off).mean()), whole),
                number(float(off[np.abs(off).argmax()]), whole, signed=True),
                number(product["unhedged_seconds"], 1),
            ]
        )
    head = ["fund", "fills", "traded", "slippage", "in bps", "a fill", "fees"]
    off_ = ["off the promise, mean", "at worst", "unhedged, s"]
    return Table([*head, *off_], rows)


def _crowding(run: Run, funds: list[str]) -> Table:
    rows = [
        [
            instant(minute * MINUTE_NS),
            listed(list(traded)),
            number(sum(traded.values()), whole_digits(run.currency(funds[0]))),
        ]
        for minute, traded in _crowded(run, funds)[:_MINUTES]
    ]
    head = ["minute (UTC)", "funds that traded", "traded"]
    caption = "The minutes in which most was traded of the funds' own accord"
    return Table(head, rows, words=2, caption=caption if rows else f"{caption}: none")


def _over_time(run: Run, funds: list[str], held: F64, wanted: F64) -> Table:
    ts, digits = run.moments[funds[0]].ts_ns, digits_of(run.currency(funds[0]))
    rows = [
        [
            instant(int(ts[n]), seconds=True),
            number(float(held[n]), digits),
            number(float(wanted[n]), digits),
            number(float(held[n] - wanted[n]), digits, signed=True),
        ]
        for n in range(0, len(ts), STRIDE)
    ]
    return Table(["time (UTC)", "held", "promised", "off"], rows)

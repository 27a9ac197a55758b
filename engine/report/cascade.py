"""The cascade: what was liquidated minute by minute and who took it, and how near the market was to
feeding its own move."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise
from typing import Final

from engine.report.axes import Axes, drawing, polyline
from engine.report.card import Card, area, line, said
from engine.report.crash import market_in_crisis
from engine.report.numbers import Table
from engine.report.reading import Run
from engine.report.waves import Minute, Waves, assets_of
from engine.report.words import DASH, asset_of, digits_of, instant, number, percent, plural, priced

__all__ = ["cascade_card"]

_MINUTE_NS: Final = 60 * 10**9
_WIDTH, _BARS, _RATIOS = 1240, 280, 150
_SHOWN: Final = 240
"""Rows of a table: the minutes in which most was liquidated."""
_LINES: Final = (("own", ""), ("gain", "6 4"), ("loss", "2 3"))
_BINS: Final = (0, 2, 4)
"""Distances whose ratios are drawn, among those told."""
_LOWEST: Final = -2
"""Power of ten at which the ratios begin; what is less lies on the floor."""


def cascade_card(run: Run) -> Card | None:
    """Of the market in crisis; none where nobody of a crowd was liquidated there."""
    symbol = market_in_crisis(run)
    waves = run.waves.get(symbol) if symbol is not None else None
    if symbol is None or waves is None or not waves.minutes:
        return None
    asset = assets_of(run.config).get(symbol, "USDT")
    legend = [
        area("loss", "longs liquidated"),
        area("gain", "shorts liquidated"),
        area("forced", "of both: left to counterparties (ADL)"),
        *_named(waves),
        said("n above 1: each quote that is liquidated lets more than one follow"),
    ]
    return Card(
        "cascade",
        _title(symbol, waves, asset),
        legend,
        _drawn(run, symbol, waves),
        [_by_minute(waves, asset), _ratios(waves)],
    )


def _named(waves: Waves) -> list[str]:
    if not waves.ratios:
        return []
    edges = waves.ratios[0]["distances_pct"]
    return [
        line(role, f"n(u), {edges[place]:g} to {edges[place + 1]:g} %", dash)
        for (role, dash), place in zip(_LINES, _BINS, strict=True)
    ]


def _title(symbol: str, waves: Waves, asset: str) -> str:
    whole = waves.liquidated
    share = waves.unpaid / whole if whole else 0.0
    times = sum(one.instants for one in waves.minutes.values())
    amount = f"{number(whole, 0 if whole >= 1000 else digits_of(asset))} {asset}"
    words = (
        f"{amount} of {asset_of(symbol)} liquidated at {plural(times, 'instant')}; "
        f"{percent(share, signed=False)} of it was left to counterparties"
    )
    peak = _peak(waves)
    return words if peak is None else f"{words}; n(u) reached {number(peak, 2)}"


def _peak(waves: Waves) -> float | None:
    told = [max(*one["down"], *one["up"]) for one in waves.ratios]
    return max(told, default=None)


def _drawn(run: Run, symbol: str, waves: Waves) -> str:
    products = run.summary["products"].values()
    starts = [one["launched_ns"] for one in products if one["symbol"] == symbol]
    minutes = sorted(waves.minutes.items())
    most = max(one.longs for _, one in minutes)
    rise = max(one.shorts for _, one in minutes)
    beneath = _RATIOS if waves.ratios else 0
    axes = Axes(
        float(min(starts)),
        float(run.summary["end_ns"]),
        -1.05 * most,
        1.05 * rise if rise else 0.05 * most,
        width=_WIDTH,
        height=_BARS + beneath,
        before=104,
        behind=30,
        below=26 + beneath,
    )
    parts = [*axes.side(number), *axes.times()]
    wide = max(axes.x(axes.left + _MINUTE_NS) - axes.before, 2.0)
    for start_ns, one in minutes:
        parts += _bars(axes, start_ns, one, wide)
    if waves.ratios:
        parts += _ratio_lines(axes, waves)
    return drawing(
        f"{asset_of(symbol)}: liquidations and cascade ratio over time; the numbers are beneath",
        parts,
        axes,
    )


def _bars(axes: Axes, start_ns: int, one: Minute, wide: float) -> Iterator[str]:
    """Longs down, shorts up; what nobody could be paid for is the inner part of each."""
    whole = one.longs + one.shorts
    share = one.unpaid / whole if whole else 0.0
    x, ground = axes.x(max(start_ns, axes.left)), axes.y(0.0)
    for sign, amount, role in ((-1, one.longs, "loss"), (1, one.shorts, "gain")):
        for part, colour in ((amount, role), (amount * share, "forced")):
            y = axes.y(sign * part)
            if abs(y - ground) >= 0.05:
                yield (
                    f'<rect fill="var(--{colour})" x="{x:.1f}" y="{min(y, ground):.1f}" '
                    f'width="{wide:.1f}" height="{abs(y - ground):.1f}"/>'
                )


def _ratio_lines(above: Axes, waves: Waves) -> Iterator[str]:
    """Beneath, by powers of ten: of each time it was told, the larger of both directions, as far as
    the last one."""
    highest = math.ceil(math.log10(max(_peak(waves) or 1.0, 10.0)))
    axes = Axes(
        above.left,
        above.right,
        _LOWEST,
        highest + 0.2,
        width=above.width,
        height=above.height,
        before=above.before,
        behind=above.behind,
        above=above.height - _RATIOS + 4,
        below=26,
    )
    for power in range(_LOWEST, highest + 1):
        y, kind = axes.y(power), "zero" if power == 0 else "grid"
        words = f"n = {number(10.0**power, max(0, -power))}"
        yield (
            f'<line class="{kind}" x1="{axes.before}" x2="{axes.width - axes.behind}" '
            f'y1="{y:.1f}" y2="{y:.1f}"/><text x="{axes.before - 8}" y="{y + 4:.1f}" '
            f'text-anchor="end">{words}</text>'
        )
    for (role, dash), place in zip(_LINES, _BINS, strict=True):
        told = [(one["ts_ns"], max(one["down"][place], one["up"][place])) for one in waves.ratios]
        points = [
            (axes.x(ts_ns), axes.y(max(math.log10(ratio) if ratio else _LOWEST, _LOWEST)))
            for ts_ns, ratio in told
        ]
        steps = points[:1]
        for x, y in points[1:]:
            steps += [(x, steps[-1][1]), (x, y)]
        steps.append((min(steps[-1][0] + 8.0, axes.width - axes.behind), steps[-1][1]))
        yield polyline(steps, role, dash)


def _by_minute(waves: Waves, asset: str) -> Table:
    largest = sorted(waves.minutes.items(), key=lambda one: -(one[1].longs + one[1].shorts))
    rows, digits = [], digits_of(asset)
    for start_ns, one in sorted(largest[:_SHOWN]):
        whole = one.longs + one.shorts
        rows.append(
            [
                instant(start_ns),
                f"{one.positions:,}",
                str(one.instants),
                str(one.repeats),
                *(number(each, digits) for each in (one.longs, one.shorts, one.unpaid)),
                percent(one.unpaid / whole if whole else 0.0, 1, signed=False),
                number(one.fund, digits, signed=True),
                priced(one.low),
            ]
        )
    whole = waves.liquidated
    rows.append(
        [
            "together",
            f"{sum(one.positions for one in waves.minutes.values()):,}",
            str(sum(one.instants for one in waves.minutes.values())),
            str(sum(one.repeats for one in waves.minutes.values())),
            number(sum(one.longs for one in waves.minutes.values()), digits),
            number(sum(one.shorts for one in waves.minutes.values()), digits),
            number(waves.unpaid, digits),
            percent(waves.unpaid / whole if whole else 0.0, 1, signed=False),
            number(sum(one.fund for one in waves.minutes.values()), digits, signed=True),
            DASH,
        ]
    )
    head = ["minute (UTC)", "positions", "instants", "waves after the first", "longs", "shorts"]
    tail = ["left to ADL", "share", "insurance fund", "lowest mark"]
    return Table([*head, *tail], rows, words=1, caption=f"Liquidated, in {asset}")


def _ratios(waves: Waves) -> Table:
    if not waves.ratios:
        return Table(["time (UTC)"], [], words=1, caption="No cascade ratio was told")
    edges = waves.ratios[0]["distances_pct"]
    bins = [f"{near:g}-{far:g} %" for near, far in pairwise(edges)]
    rows = [
        [instant(one["ts_ns"], seconds=True), side] + [number(each, 3) for each in one[side]]
        for one in waves.ratios[:_SHOWN]
        for side in ("down", "up")
    ]
    caption = "n(u): quote that a move liquidates for each that the book takes, by distance"
    return Table(["time (UTC)", "move", *bins], rows, words=2, caption=caption)

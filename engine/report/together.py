"""All products of a market below their peaks: no liquidation is not no loss."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from engine.report.axes import Axes, drawing, polyline
from engine.report.card import Card, line, said
from engine.report.numbers import Table
from engine.report.reading import Run
from engine.report.thinning import thinned
from engine.report.words import DASH, asset_of, instant, listed, percent, title_of

__all__ = ["together_card"]

Object = dict[str, Any]

_COLUMNS: Final = 240
_DRAWN: Final = 8
_ROLES: Final = ("own", "loss", "gain", "forced", "ink", "sum", "myth", "dim")
_DASHES: Final = ("", "7 4", "2 3", "9 3 2 3")
_CROSS: Final = 6


def together_card(run: Run) -> Card | None:
    """The first market's products; none where a product stands alone."""
    products = run.summary["products"]
    first = next((products[name]["symbol"] for name in run.curves), None)
    names = [name for name in run.curves if products[name]["symbol"] == first][:_DRAWN]
    if len(names) < 2:
        return None
    legend = [line(_role(n), name, _dash(n)) for n, name in enumerate(names)]
    if any(products[name]["liquidated"] for name in names):
        legend.append(said("a cross: liquidated"))
    return Card(
        "together",
        _title([(name, products[name]) for name in names]),
        legend,
        _drawn(run, names),
        [_table(run, names)],
    )


def _role(place: int) -> str:
    return _ROLES[place % len(_ROLES)]


def _dash(place: int) -> str:
    return _DASHES[place % len(_DASHES)]


def _title(products: list[tuple[str, Object]]) -> str:
    taken = [title_of(name, alone=True) for name, one in products if one["liquidated"]]
    alive = [(one["max_drawdown"], name) for name, one in products if not one["liquidated"]]
    funds = [each for each in alive if dict(products)[each[1]]["kind"] == "fund"] or alive
    if not funds:
        return f"{listed(taken)} {'was' if len(taken) == 1 else 'were'} liquidated"
    worst, name = min(funds)
    fell = f"{title_of(name, alone=True)} was down {percent(abs(worst), signed=False)} on the way"
    if not taken:
        return f"Nobody was liquidated, and still {fell}"
    were = "was" if len(taken) == 1 else "were"
    return f"{listed(taken)} {were} liquidated; not liquidated, {fell}"


def _drawn(run: Run, names: list[str]) -> str:
    products, end = run.summary["products"], run.summary["end_ns"]
    start = min(products[name]["launched_ns"] for name in names)
    worst = min(products[name]["max_drawdown"] for name in names)
    axes = Axes(float(start), float(end), 1.05 * (worst or -0.01), 0.0, width=1240, height=340)
    parts = [
        *axes.side(lambda v, digits: percent(v, max(0, digits - 2))),
        *axes.times(),
        *axes.events(run.happened),
    ]
    for place, name in enumerate(names):
        curve = thinned(run.curves[name]["underwater"], start, end, _COLUMNS)
        below = curve.series["product"].tolist()
        points = zip(curve.ts_ns.tolist(), below, strict=True)
        parts.append(
            polyline([(axes.x(ts), axes.y(y)) for ts, y in points], _role(place), _dash(place))
        )
        if products[name]["liquidated"]:
            at = products[name]["liquidated"]["ts_ns"]
            reached = [y for ts, y in zip(curve.ts_ns.tolist(), below, strict=True) if ts <= at]
            parts += _cross(axes.x(at), axes.y(reached[-1] if reached else 0.0), _role(place))
    asset = asset_of(products[names[0]]["symbol"])
    return drawing(f"{asset}: products below their peaks; the numbers are beneath", parts, axes)


def _cross(x: float, y: float, role: str) -> Iterator[str]:
    size = _CROSS
    yield (
        f'<path class="cross" stroke="var(--{role})" d="M{x - size:.1f} {y - size:.1f}l{2 * size} '
        f'{2 * size}m0 -{2 * size}l-{2 * size} {2 * size}"/>'
    )


def _table(run: Run, names: list[str]) -> Table:
    rows = []
    for name in names:
        product = run.summary["products"][name]
        curve = run.curves[name]["underwater"]
        below = curve.series["product"]
        at = instant(int(curve.ts_ns[int(below.argmin())]), seconds=True) if len(curve) else DASH
        forced = product["liquidated"]
        rows.append(
            [
                name,
                percent(product["max_drawdown"], 2),
                at,
                percent(float(below[-1]), 2) if len(curve) else DASH,
                instant(forced["ts_ns"], seconds=True) if forced else DASH,
            ]
        )
    head = ["product", "worst", "at (UTC)", "at the end", "liquidated (UTC)"]
    return Table(head, rows)

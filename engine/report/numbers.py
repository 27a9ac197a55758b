"""The tables under the pictures, for those who copy numbers or cannot see curves."""

from __future__ import annotations

import math
import re
from collections import Counter
from typing import Any, Final

from msgspec import Struct

from engine.report.pictures import WHAT, trades_of
from engine.report.reading import Run
from engine.report.table import CAUSES, SPLIT, exact_parts, split_of, table_of
from engine.report.words import DASH, digits_of, instant, number, percent, priced
from engine.units import asset_decimals

__all__ = ["Table", "numbers_of", "overview_of"]

Object = dict[str, Any]

_MOMENTS: Final = 12
_TRADES: Final = 240
_OVERVIEW: Final = (
    *("direction", "compounding", "leverage_change", "timing", "gap"),
    *("spread_impact", "fees", "funding", "management_fee", "other"),
)
_SHORT: Final = {
    "spread_impact": "spread, impact",
    "fees": "fees",
    "management_fee": "issuer's fee",
    "flows": "came and went",
    "other": "other",
}


class Table(Struct, frozen=True):
    """Rows of text. ``words`` columns from the left are names, the others numbers."""

    head: list[str]
    rows: list[list[str]]
    words: int = 1
    caption: str = ""


def numbers_of(name: str, run: Run) -> dict[str, list[Table]]:
    """By picture: the tables beneath it."""
    return {
        "value": [_value(name, run)],
        "waterfall": [_waterfall(name, run)],
        "leverage": _leverage(name, run),
        "underwater": [_underwater(name, run)],
    }


def overview_of(run: Run) -> Table:
    """A row a product: the promise, the result, and where the difference went."""
    rows = []
    flows = any(row["flows"] for row in table_of(run.summary))
    columns = (*_OVERVIEW[:-1], "flows", "other") if flows else _OVERVIEW
    for row in table_of(run.summary):
        status = "" if row["status"] == "active" else f" ({row['status']})"
        rows.append(
            [
                f"{row['product']}{status}",
                f"{row['promise']}",
                percent(row["myth"]),
                percent(row["got"]),
                *(_share(row[column]) for column in columns),
                percent(row["max_drawdown"]),
                f"{row['rebalances']:,}",
                f"{row['deleveragings']:,}",
            ]
        )
    names = {**SPLIT, **CAUSES, **_SHORT}
    head = ["product", "promise", "the myth", "you got", *(names[column] for column in columns)]
    return Table([*head, "worst drawdown", "rebalances", "forced cuts"], rows, words=2)


def _share(value: float) -> str:
    """Per cent without the sign of per cent: the table's head says so."""
    if not math.isfinite(value):
        return DASH
    if value == 0.0:
        return "0"
    return number(100.0 * value, 1 if abs(value) >= 0.0095 else 2, signed=True)


def _even(count: int, wanted: int) -> list[int]:
    if count <= wanted:
        return list(range(count))
    return sorted({i * (count - 1) // (wanted - 1) for i in range(wanted)})


def _value(name: str, run: Run) -> Table:
    curve = run.curves[name]["value"]
    got, myth = curve.series["got"], curve.series["myth"]
    rows = [
        [
            instant(int(curve.ts_ns[i]), seconds=True),
            number(1.0 + float(got[i]), 6),
            percent(float(got[i]), 2),
            percent(float(myth[i]), 2),
            number(100.0 * float(got[i] - myth[i]), 2, signed=True),
        ]
        for i in _even(len(curve), _MOMENTS)
    ]
    unit = "unit of the start" if run.summary["products"][name]["splits"] else "unit"
    return Table(["time (UTC)", f"NAV per {unit}", "you got", "the myth", "gap, points"], rows)


def _waterfall(name: str, run: Run) -> Table:
    product, currency = run.summary["products"][name], run.currency(name)
    digits = digits_of(currency)
    cent = 10.0**-digits

    def amount(words: str, cents: int) -> list[str]:
        value = cents * cent
        return [words, number(value, digits, signed=True), percent(value / start, 3)]

    start, end = product["equity_start"], product["equity_end"]
    cents = exact_parts(product["attribution"], end - start, cent)
    split = exact_parts(split_of(product), cents["price"] * cent, cent)
    rows = [["equity at the start", number(start, digits), ""]]
    rows += [amount(f"price: {SPLIT[part]}", value) for part, value in split.items()]
    rows.append(amount("price moves, sum", cents["price"]))
    rows += [amount(words, cents[cause]) for cause, words in CAUSES.items()]
    rows.append(amount("change of equity", sum(cents.values())))
    rows.append(["equity at the end", number(end, digits), ""])
    return Table(["cause", currency, "of the start"], rows)


def _leverage(name: str, run: Run) -> list[Table]:
    limit = max(10, _TRADES // len(run.curves))
    all_events = [e for e in run.events[name] if not e.get("opening")]
    events = trades_of(run, name, limit)
    if not events:
        held = run.summary["products"][name]["leverage"]
        row = [
            DASH if held[k] is None else number(held[k], 3) for k in ("min", "max", "mean", "end")
        ]
        return [Table(["lowest", "highest", "mean", "at the end"], [row], words=0)]
    asset = run.settled_in(name)
    scale, digits = 10.0 ** -asset_decimals(asset), digits_of(asset)
    rows = [
        [
            instant(e["ts_ns"], seconds=True),
            WHAT[e["event"]],
            e.get("reason") or e.get("error", ""),
            _times(e.get("leverage_before")),
            _times(e.get("leverage_after")),
            priced(e["mark_price"]) if "mark_price" in e else DASH,
            number(e["cost_atoms"] * scale, digits) if "cost_atoms" in e else DASH,
        ]
        for e in events
    ]
    head = ["time (UTC)", "what", "why", "before", "after", "mark", f"cost, {asset}"]
    less = len(all_events) - len(events)
    caption = (
        f"The {len(events)} that moved leverage most, of {len(all_events):,} events" if less else ""
    )
    return [_reasons(all_events), Table(head, rows, words=3, caption=caption)]


def _reasons(events: list[Object]) -> Table:
    """How often each kind of reason came: reasons alike but for their numbers are one."""
    kinds = Counter(
        re.sub(r"[-+\u2212]?\d[\d.,]*", "…", e.get("reason") or e.get("error", "")) for e in events
    )
    rows = [[reason, f"{count:,}"] for reason, count in kinds.most_common(8)]
    return Table(["reason", "times"], rows)


def _times(value: float | None) -> str:
    return DASH if value is None or not math.isfinite(value) else f"{number(value, 3)} x"


def _followed(product: Object) -> str:
    return f"{product['symbol']} index" if product["follows"] == "index" else product["symbol"]


def _underwater(name: str, run: Run) -> Table:
    curve = run.curves[name]["underwater"]
    series = curve.series
    chosen = set(_even(len(curve), 8))
    if len(curve):
        chosen |= {int(values.argmin()) for values in series.values()}
    worst = int(series["product"].argmin()) if len(curve) else -1
    rows = [
        [
            instant(int(curve.ts_ns[i]), seconds=True) + (" (worst)" if i == worst else ""),
            percent(float(series["product"][i]), 2),
            percent(float(series["underlying"][i]), 2),
        ]
        for i in sorted(chosen)
    ]
    return Table(["time (UTC)", name, _followed(run.summary["products"][name])], rows)

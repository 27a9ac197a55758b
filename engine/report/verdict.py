"""The run in a sentence: what the market and the products did, and what the data cannot decide."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from engine.report.words import (
    asset_of,
    change,
    date_of,
    listed,
    money,
    moved,
    multiple,
    number,
    percent,
    plural,
    priced,
    title_of,
    underlying_of,
)

__all__ = ["coin_margined", "promise", "undecided", "verdict_of"]

Summary = dict[str, Any]

_NAMED: Final = 6
"""With more products than this only the best and the worst are named."""

_OUT_OF_TIME: Final = (
    "a row stamped too late may stand before them: look at the first times of the data, and at the "
    "order of the files"
)
_ADVICE: Final = {
    "jump": "the first price may be wrong, or the unit changed: begin the data behind that row",
    "clock_jump": "the first time may be wrong: begin the data behind that row",
    "late": _OUT_OF_TIME,
    "late_trade": _OUT_OF_TIME,
    "duplicate": "the same rows come twice: look for files that overlap",
    "unknown_symbol": "name the symbol with --symbol",
}
"""What to do about rows that were refused, by the reason."""

_ORDERS: Final = {
    "ohlc": "each bar's high came before its low",
    "olhc": "each bar's low came before its high",
}


def verdict_of(summary: Summary) -> str:
    """What came of the run, in words that a stranger understands.

    ``BTC ended 12.3 % lower. BTC3L lost 38.1 %; BTC3S was closed, it lost 95.0 %.`` Under scenarios
    these are named first.
    Data that were mostly refused come first; results that bars cannot decide, faults of policies
    and products that never started or never held anything are said.
    """
    parts = [*_refused(summary), *_markets(summary), *_products(summary)]
    parts += [*_doubts(summary), *_troubles(summary)]
    text = " ".join(f"{part}." for part in parts)
    told = summary.get("scenario", {}).get("names", ())
    if told:
        stage = " on synthetic data" if summary.get("synthetic") else ""
        return f"{'Scenario' if len(told) == 1 else 'Scenarios'} {listed(told)}{stage}: {text}"
    return f"Synthetic data: {text}" if summary.get("synthetic") else text


def undecided(summary: Summary) -> list[str]:
    """The products whose result depends on an order within bars that the data do not tell."""
    bars = summary.get("bars")
    if not bars:
        return []
    return [name for name, sure in bars["decidable"].items() if not sure]


def _alone(summary: Summary) -> bool:
    return len({p["symbol"] for p in summary["products"].values()}) <= 1


def _refused(summary: Summary) -> Iterator[str]:
    """Where most rows counted for nothing, the rest of the run means little."""
    late = {"late_trade": summary.get("late_trades", 0)}
    reasons: dict[str, int] = {**summary.get("rejected", {}), **late}
    lost, rows = sum(reasons.values()), summary.get("rows", 0)
    if 2 * lost > rows:
        main = max(reasons, key=lambda reason: reasons[reason])
        advice = _ADVICE.get(main, "input_rejected in events.jsonl tells each of them")
        yield (
            f"MOST OF THE DATA DID NOT COUNT: {lost:,} of {rows:,} rows were refused, "
            f"{reasons[main]:,} of them as {main}; {advice}"
        )


def _markets(summary: Summary) -> Iterator[str]:
    told: dict[str, Summary] = {}
    for product in summary["products"].values():
        first = told.setdefault(product["symbol"], product)
        if first["follows"] == "index" and product["follows"] == "mark":
            told[product["symbol"]] = product
    moves = {symbol: product["underlying_return"] for symbol, product in told.items()}
    assets = [underlying_of(product) for product in told.values()]
    names = [a if assets.count(a) == 1 else s for a, s in zip(assets, moves, strict=True)]
    if not moves:
        return
    if len(moves) > 3:
        low, high = min(moves.values()), max(moves.values())
        between = f"{percent(low)} to {percent(high)}"
        yield f"{len(moves)} markets moved by {between}"
        return
    ends = [change(move) for move in moves.values()]
    yield "; ".join(f"{name} ended {end}" for name, end in zip(names, ends, strict=True))


def _products(summary: Summary) -> Iterator[str]:
    doubtful = undecided(summary)
    products = {
        name: product
        for name, product in summary["products"].items()
        if product["kind"] != "spot" and name not in doubtful
    }
    alone = _alone(summary)
    if len(products) > _NAMED:
        yield _extremes(products, alone)
    running = [n for n, p in products.items() if p["status"] != "closed"]
    closed = [n for n, p in products.items() if p["status"] == "closed"]
    said = []
    if len(products) <= _NAMED:
        outcomes = [f"{title_of(n, alone=alone)} {moved(products[n]['return'])}" for n in running]
        said = [", ".join(outcomes)] if outcomes else []
    said += [_closing(title_of(n, alone=alone), products[n]) for n in closed[:_NAMED]]
    if len(closed) > _NAMED:
        said.append(f"{len(closed) - _NAMED} more were closed")
    if said:
        yield "; ".join(said)


def _extremes(products: Summary, alone: bool) -> str:
    order = sorted(products, key=lambda name: products[name]["return"])
    gained = sum(product["return"] > 0 for product in products.values())
    worst, best = order[0], order[-1]
    return (
        f"{gained} of {len(products)} products gained: the best was {title_of(best, alone=alone)} "
        f"({percent(products[best]['return'])}), the worst {title_of(worst, alone=alone)} "
        f"({percent(products[worst]['return'])})"
    )


def _closing(name: str, product: Summary) -> str:
    when = f" on {date_of(product['closed_ns'])}" if product.get("closed_ns") else ""
    loss, forced = product["return"], product.get("liquidated")
    if forced:
        return f"{name} {moved(loss)}, liquidated{when} at {priced(forced['mark_price'])}"
    what = "having lost everything" if loss <= -1.0 else f"it {moved(loss)}"
    return f"{name} was closed{when}, {what}"


def _doubts(summary: Summary) -> Iterator[str]:
    bars = summary.get("bars")
    names = undecided(summary)
    if not bars or not names:
        return
    alone = _alone(summary)
    for name in names[:_NAMED]:
        ends = {order: one[name] for order, one in bars["orders"].items() if name in one}
        results = [
            f"{told}{_ruin(bars, order, name)} if {_ORDERS.get(order, order)}"
            for order, told in zip(ends, _apart(list(ends.values())), strict=True)
        ]
        said = f"{title_of(name, alone=alone)} is not decidable from bars"
        yield f"{said}: it {listed(results)}" if results else said
    if len(names) > _NAMED:
        more = listed([title_of(name, alone=alone) for name in names[_NAMED:]])
        yield f"Not decidable from bars either: {more}"


def _apart(ends: list[float]) -> list[str]:
    """What became of one, in words that differ where the figures do."""
    told = [moved(end - 1.0) for end in ends]
    if len(set(told)) == len(told):
        return told
    return [f"made {number(1_000.0 * end)} of 1,000" for end in ends]


def _ruin(bars: Summary, order: str, name: str) -> str:
    return " and was closed" if name in bars["ruined"].get(order, ()) else ""


def _troubles(summary: Summary) -> Iterator[str]:
    alone = _alone(summary)
    for name, product in summary["products"].items():
        if product["policy_faults"]:
            times = plural(product["policy_faults"], "time")
            yield f"A policy of {title_of(name, alone=alone)} faulted {times}; safe mode took over"
    for name, product in summary["products"].items():
        if why := product.get("no_position"):
            yield f"{title_of(name, alone=alone)} never held a position: {why}"
    books = summary["issuer"]["by_asset"].items()
    deficits = ((asset, book["deficits_paid"]) for asset, book in books)
    paid = [money(deficit, asset) for asset, deficit in deficits if deficit > 0]
    if paid:
        yield f"The issuer paid deficits of {listed(paid)}"
    for name, product in summary["products"].items():
        book = summary["issuer"]["products"].get(name)
        if product["kind"] != "fund" and book is not None and book["deficits_paid"] > 0:
            deficit = money(book["deficits_paid"], book["asset"])
            payer = "lender" if product["kind"] == "margin_loan" else "venue"
            yield f"{title_of(name, alone=alone)} left a deficit of {deficit} to its {payer}"
    missing = summary["not_launched"]
    if missing and not summary["products"]:
        yield "Nothing was launched: no price came for any product"
    elif missing:
        yield f"{listed(missing)} never launched: no price came"


def coin_margined(summary: Mapping[str, Any]) -> Iterator[str]:
    """Why futures on a contract that settles in coins are another multiple of the price than their
    leverage, a sentence each."""
    for name, product in summary["products"].items():
        chosen = product["leverage"]["chosen"]
        if product["kind"] != "futures" or chosen is None:
            continue
        if summary["markets"][product["symbol"]]["contract"] == "inverse":
            asset, side = asset_of(product["symbol"]), " short" if chosen < 0.0 else ""
            yield (
                f"{name}: {abs(chosen):g}x{side} futures whose margin lies in {asset} come to "
                f"{promise(product)}, for the coins of the margin move with the price, too."
            )


def promise(product: Summary) -> str:
    """``3 x BTC``, ``3 x BTC index``: the multiple at the start and what it is of."""
    return multiple(product["target"], underlying_of(product))

"""Screening: fixed multiples without frictions, many paths at once.

A multiple with a band, or one that is restored at every review, needs no engine where nothing
costs anything: its NAV is a product of ``1 + L * r`` over what the price did between two trades.
Between trades it is a line, so a block of rows in which the price stays within the band matters to
nobody: the extremes of all blocks are found once, and only who breaches is looked at row by row.

What this leaves out (spread, impact, fees, funding, lots, margin) is what the full engine is for:
it judges a sample of the same paths, and the difference is stated.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np

from engine.config import RunConfig
from engine.config.settings import ProductConfig
from engine.errors import ConfigError
from engine.sweep.market import market_of, steps_of
from engine.sweep.measures import faulty_row
from engine.sweep.plan import Job
from engine.sweep.tally import COUNTED, MONEY
from engine.sweep.work import streamed
from engine.ticks import Kind, Marks, Step
from engine.units import SECOND_NS
from strategies import Constant, LeverageBand

__all__ = ["Screened", "banded", "check_screenable", "restored", "screen"]

_BLOCK: Final = 64
F64 = np.ndarray[Any, np.dtype[np.float64]]
I64 = np.ndarray[Any, np.dtype[np.int64]]


class Screened(NamedTuple):
    """Shape (paths,) each: NAV per unit at the end, worst drawdown at the ends of blocks or at
    reviews, trades beyond the opening one."""

    nav: F64
    drawdown: F64
    trades: I64


def check_screenable(config: RunConfig) -> None:
    """Whether screening knows all products of a configuration.

    Raises:
        ConfigError: naming the first one that it does not.
    """
    for product in config.products:
        _policy_of(product)
    for market in config.markets:
        if market.mark != "mark" or market.contract.kind != "linear":
            raise ConfigError(
                f"--screen: {market.symbol} must be a linear contract with recorded marks, was "
                f"{market.contract.kind} by {market.mark}"
            )


def _policy_of(product: ProductConfig) -> LeverageBand | Constant:
    policies = product.policies
    if product.kind == "fund" and product.terms.nav == "basket" and len(policies) == 1:
        policy = policies[0]
        if isinstance(policy, Constant):
            return policy
        if isinstance(policy, LeverageBand) and policy.rebalance_to == "target":
            return policy
    raise ConfigError(
        f"--screen: {product.id} cannot be screened: it wants a fund with one policy, constant, or "
        "leverage_band to its target"
    )


def screen(packed: bytes) -> bytes:
    """Carry out a job (msgpack) without frictions; its rows as an Arrow stream, with zeros for what
    costs nothing here."""
    job = msgspec.msgpack.decode(packed, type=Job)
    chunk, rows = job.chunk, []
    paths = range(chunk.path, chunk.path_end)
    for point, each in enumerate(job.configs, chunk.point):
        config = msgspec.msgpack.decode(each, type=RunConfig)
        try:
            rows += _rows(config, job, point, paths)
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001  # as ``work`` tells it
            fault = f"{type(error).__name__}: {error}".splitlines()[0]
            rows += [faulty_row(point, path, fault) for path in paths]
    return streamed(rows)


def _rows(config: RunConfig, job: Job, point: int, paths: range) -> list[dict[str, Any]]:
    names = [info.symbol for info in market_of(config, job.setup, 0).symbols]
    markets = [tuple(steps_of(config, job.setup, path)) for path in paths]
    known: dict[str, tuple[I64, F64]] = {}
    found: list[list[dict[str, Any]]] = [[] for _ in paths]
    for product in config.products:
        if product.symbol not in known:
            known[product.symbol] = _marks(markets, names.index(product.symbol))
        times, marks = known[product.symbol]
        policy = _policy_of(product)
        if isinstance(policy, LeverageBand):
            result = banded(marks, policy.target, policy.low, policy.high)
        else:
            result = restored(times, marks, policy)
        moved = marks[:, -1] / marks[:, 0] - 1.0
        for place, path in enumerate(paths):
            found[place].append(
                _row(point, path, product, result, place)
                | {"underlying_return": float(moved[place])}
            )
    return [row for rows in found for row in rows]


def _row(
    point: int, path: int, product: ProductConfig, result: Screened, place: int
) -> dict[str, Any]:
    nav, start = float(result.nav[place]), product.seed_capital
    return {
        **dict.fromkeys(MONEY, 0.0),
        **dict.fromkeys(COUNTED, 0),
        "point": point,
        "path": path,
        "product": product.id,
        "status": "active" if nav > 0.0 else "closed",
        "nav_end": nav,
        "return": nav - 1.0,
        "max_drawdown": float(result.drawdown[place]),
        "ruined": nav <= 0.0,
        "equity_start": start,
        "equity_end": start * nav,
        "rebalances": int(result.trades[place]),
        "unhedged_seconds": 0.0,
    }


def _marks(markets: Sequence[Sequence[Step]], symbol: int) -> tuple[I64, F64]:
    """Times, shape (rows,), and marks, shape (paths, rows), of a symbol."""
    columns = [_column(steps, symbol) for steps in markets]
    times = columns[0][0]
    if any(not np.array_equal(own, times) for own, _ in columns):
        raise ConfigError("--screen: the marks of the paths are not at the same times")
    return times, np.stack([prices for _, prices in columns])


def _column(steps: Sequence[Step], symbol: int) -> tuple[I64, F64]:
    times, prices = [], []
    for step in steps:
        for table in step.tables:
            if table.KIND is Kind.MARK:
                assert isinstance(table, Marks)
                own = table.symbols() == symbol
                times.append(table.ts_ns[own])
                prices.append(table.price[own])
    return np.concatenate(times), np.concatenate(prices)


def band_edges(target: float, low: float, high: float) -> tuple[float, float]:
    """Prices, as shares of the last trade's, at which leverage is at an edge of its band (absolute
    leverage): 0.88 and 1.2 for 3 in [2.25, 4.125]; 0 and infinity where there is none.

    ``L x / (1 + L (x - 1)) = b`` at ``x = b (1 - L) / (L (1 - b))``.
    """
    below, above = 0.0, math.inf
    for edge in (math.copysign(low, target), math.copysign(high, target)):
        if edge in (0.0, 1.0) or not math.isfinite(edge):
            continue
        x = edge * (1.0 - target) / (target * (1.0 - edge))
        if 0.0 < x < 1.0:
            below = max(below, x)
        elif x > 1.0:
            above = min(above, x)
    return below, above


def banded(marks: F64, target: float, low: float, high: float) -> Screened:
    """Back to target at the first mark at or beyond an edge of the band; nothing costs anything.

    Args:
        marks: shape (paths, rows).
        target: signed leverage.
        low, high: the band, absolute leverage.
    """
    below, above = band_edges(target, low, high)
    paths, rows = marks.shape
    base, nav = marks[:, 0].copy(), np.ones(paths)
    peak, worst, trades = np.ones(paths), np.zeros(paths), np.zeros(paths, np.int64)
    starts = np.arange(0, rows, _BLOCK)
    lows = np.minimum.reduceat(marks, starts, axis=1)
    highs = np.maximum.reduceat(marks, starts, axis=1)
    for place, start in enumerate(starts.tolist()):
        who = np.flatnonzero((lows[:, place] <= base * below) | (highs[:, place] >= base * above))
        done = np.full(len(who), -1)
        while len(who):
            part = marks[who, start : start + _BLOCK]
            hit = (part <= (base[who] * below)[:, None]) | (part >= (base[who] * above)[:, None])
            hit &= np.arange(part.shape[1]) > done[:, None]
            hit &= (nav[who] > 0.0)[:, None]
            struck = hit.any(axis=1)
            who, done = who[struck], hit.argmax(axis=1)[struck]
            price = marks[who, start + done]
            nav[who] = np.maximum(nav[who] * (1.0 + target * (price / base[who] - 1.0)), 0.0)
            base[who] = price
            trades[who] += 1
        end = marks[:, min(start + _BLOCK, rows) - 1]
        now = np.maximum(nav * (1.0 + target * (end / base - 1.0)), 0.0)
        np.maximum(peak, now, out=peak)
        np.minimum(worst, now / peak - 1.0, out=worst)
    return Screened(now, worst, trades)


def restored(times: I64, marks: F64, policy: Constant) -> Screened:
    """Back to target at every review at which leverage is off by more than a step.

    Args:
        times: shape (rows,).
        marks: shape (paths, rows).
        policy: its target, grid and step.
    """
    target, every = policy.target, round(policy.review_s * SECOND_NS)
    grid = np.arange((times.item(0) // every + 1) * every, times.item(-1) + 1, every)
    places = [*(times.searchsorted(grid, "right") - 1).tolist(), -1]
    base, nav = marks[:, 0].copy(), np.ones(len(marks))
    peak, worst = np.ones(len(marks)), np.zeros(len(marks))
    trades = np.zeros(len(marks), np.int64)
    for place in places:
        price = marks[:, place]
        now = np.maximum(nav * (1.0 + target * (price / base - 1.0)), 0.0)
        np.maximum(peak, now, out=peak)
        np.minimum(worst, now / peak - 1.0, out=worst)
        if place != -1:
            with np.errstate(divide="ignore", invalid="ignore"):
                held = target * nav * (price / base) / now
            off = (np.abs(target - held) > policy.step) & (now > 0.0)
            nav = np.where(off | (now <= 0.0), now, nav)
            base = np.where(off, price, base)
            trades += off
    return Screened(now, worst, trades)

"""The compiled loops. Importing this needs numba; it compiles, or loads what was compiled."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit

from engine.ticks import NOT_MARKET
from tests.bench.columns import (
    ASK,
    BAND_HIGH,
    BAND_LOW,
    BID,
    BOOK_CASH,
    BOOK_LOTS,
    CASH,
    FEES,
    FILLED,
    HIGH,
    ISSUER,
    LAST_ID,
    LAST_NS,
    LAUNCH,
    LAUNCHED,
    LOTS,
    LOW,
    MARK,
    MINT,
    NEXT_NS,
    ORDERS,
    REBALANCED,
    REBALANCES,
    REJECTED,
    SENT,
    TARGET,
    TRANSFERS,
)
from tests.bench.plain import DRAW_IN, FEE_OVER, FEE_UNDER
from tests.bench.tapes import SAMPLE_NS, SEED_ATOMS

__all__ = ["walk", "walk_mixed"]

_WHOLE, _REAL = "int64[:, ::1]", "float64[:, ::1]"
_TIMES, _FLOATS = "int64[::1]", "float64[::1]"
_STATE = f"{_WHOLE}, {_REAL}, int64[::1], float64[::1], {_WHOLE}, {_REAL}, {_REAL}"


@njit(cache=True)
def _launch(
    n: int, row: int, ordinal: int, products: Any, state: Any, prices: Any, whole: Any, real: Any
) -> None:
    products[n, LAUNCHED] = 1
    state[ISSUER] -= SEED_ATOMS
    products[n, CASH] += SEED_ATOMS
    state[MINT] += SEED_ATOMS
    state[TRANSFERS] += 5
    for at, value in enumerate((LAUNCH, n, row, ordinal, state[LAST_NS])):
        whole[at] = value
    whole[5] = whole[6] = SEED_ATOMS
    real[0] = prices[MARK]


@njit(cache=True)
def _rebalance(
    n: int,
    row: int,
    said: int,
    began: int,
    products: Any,
    edges: Any,
    state: Any,
    prices: Any,
    whole: Any,
    real: Any,
) -> int:
    """A product is beyond an edge: trade, post, state it, watch anew; how many events there are."""
    price = prices[MARK]
    bid = prices[BID] if prices[BID] > 0.0 else price
    ask = prices[ASK] if prices[ASK] > 0.0 else price
    opening = products[n, LAUNCHED] == 0
    if opening:
        _launch(n, row, said - began, products, state, prices, whole[said], real[said])
        said += 1
    cash, held = products[n, CASH], products[n, LOTS]
    nav = cash + np.int64(math.floor(held * price))
    target = edges[n, TARGET]
    lots = np.int64(target * nav / price) - held
    if lots == 0:
        return said
    before = held * price / (cash + held * price)
    order = products[n, ORDERS]
    products[n, ORDERS] += 1
    mid = (bid + ask) * 0.5
    paid = mid * (1.0 + math.copysign((ask - bid) * 0.5 / mid, lots))
    hedge = np.int64(math.floor(-lots * mid))
    impact = np.int64(math.floor(-lots * paid)) - hedge
    fee = -(-abs(hedge + impact) * FEE_OVER // FEE_UNDER)
    state[BOOK_LOTS] -= lots
    products[n, LOTS] += lots
    state[BOOK_CASH] -= hedge
    products[n, CASH] += hedge
    state[BOOK_CASH] -= impact
    products[n, CASH] += impact
    products[n, CASH] -= fee
    state[FEES] += fee
    state[TRANSFERS] += 4
    state[REBALANCES] += not opening
    cash, held = products[n, CASH], products[n, LOTS]
    for kind in (SENT, FILLED, REBALANCED):
        place = (kind, n, row, said - began, state[LAST_NS], order, lots, hedge, impact, fee, held)
        for at, value in enumerate(place):
            whole[said, at] = value
        whole[said, 11] = cash + np.int64(math.floor(held * price))
        whole[said, 12] = opening
        after = held * price / (cash + held * price)
        for at, real_value in enumerate((price, mid, paid, target, before, after)):
            real[said, at] = real_value
        said += 1
    low, high = (
        math.copysign(edges[n, BAND_LOW], target),
        math.copysign(edges[n, BAND_HIGH], target),
    )
    at_low = low * cash / (held * (1.0 - low))
    at_high = high * cash / (held * (1.0 - high))
    below, above = (at_high, at_low) if cash < 0 else (at_low, at_high)
    edges[n, LOW], edges[n, HIGH] = below * (1.0 + DRAW_IN), above * (1.0 - DRAW_IN)
    return said


@njit(cache=True)
def _pass_time(ts_ns: int, products: Any, state: Any, prices: Any, navs: Any, samples: int) -> int:
    """Value every product at the seconds before ``ts_ns``; how many samples there are."""
    state[LAST_NS] = ts_ns
    while state[NEXT_NS] < ts_ns:
        for n in range(products.shape[0]):
            navs[samples, n] = products[n, CASH] + products[n, LOTS] * prices[MARK]
        samples += 1
        state[NEXT_NS] += SAMPLE_NS
    return samples


@njit(f"(int64, {_TIMES}, {_FLOATS}, {_STATE})", cache=True)
def walk(
    first: int,
    times: Any,
    marks: Any,
    products: Any,
    edges: Any,
    state: Any,
    prices: Any,
    whole: Any,
    real: Any,
    navs: Any,
) -> tuple[int, int]:
    """Every tick against every edge; the number of events and of samples."""
    said = samples = 0
    for row in range(times.shape[0]):
        ts_ns, price = times[row], marks[row]
        if not (0.0 < price < math.inf) or ts_ns < state[LAST_NS]:
            state[REJECTED] += 1
            continue
        samples = _pass_time(ts_ns, products, state, prices, navs, samples)
        prices[MARK] = price
        began = said
        for n in range(products.shape[0]):
            if not edges[n, LOW] < price < edges[n, HIGH]:
                said = _rebalance(
                    n, first + row, said, began, products, edges, state, prices, whole, real
                )
    return said, samples


@njit(
    f"({_TIMES}, {_TIMES}, {_FLOATS}, {_FLOATS}, int8[::1], {_TIMES}, "
    f"{_TIMES}, {_TIMES}, {_FLOATS}, {_FLOATS}, {_FLOATS}, {_FLOATS}, "
    f"{_TIMES}, {_TIMES}, {_FLOATS}, {_STATE})",
    cache=True,
)
def walk_mixed(
    trade_at: Any,
    trade_ns: Any,
    trade_price: Any,
    trade_size: Any,
    aggressor: Any,
    trade_id: Any,
    book_at: Any,
    book_ns: Any,
    bid: Any,
    ask: Any,
    bid_size: Any,
    ask_size: Any,
    mark_at: Any,
    mark_ns: Any,
    marks: Any,
    products: Any,
    edges: Any,
    state: Any,
    prices: Any,
    whole: Any,
    real: Any,
    navs: Any,
) -> tuple[int, int]:
    """``walk`` for three tables, row by row in the order of the input."""
    said = samples = t = b = m = 0
    trades, tops, count = trade_at.shape[0], book_at.shape[0], mark_at.shape[0]
    while t < trades or b < tops or m < count:
        trade = trade_at[t] if t < trades else np.int64(2**62)
        top = book_at[b] if b < tops else np.int64(2**62)
        mark = mark_at[m] if m < count else np.int64(2**62)
        if trade < top and trade < mark:
            price, ts_ns = trade_price[t], trade_ns[t]
            good = 0.0 < price < math.inf and trade_size[t] >= 0.0 and aggressor[t] < NOT_MARKET
            if good and trade_id[t] > state[LAST_ID] and ts_ns >= state[LAST_NS]:
                state[LAST_ID] = trade_id[t]
                samples = _pass_time(ts_ns, products, state, prices, navs, samples)
            else:
                state[REJECTED] += 1
            t += 1
        elif top < mark:
            good = 0.0 < bid[b] < ask[b] < math.inf and bid_size[b] >= 0.0 and ask_size[b] >= 0.0
            if good and book_ns[b] >= state[LAST_NS]:
                samples = _pass_time(book_ns[b], products, state, prices, navs, samples)
                prices[BID], prices[ASK] = bid[b], ask[b]
            else:
                state[REJECTED] += 1
            b += 1
        else:
            price = marks[m]
            if 0.0 < price < math.inf and mark_ns[m] >= state[LAST_NS]:
                samples = _pass_time(mark_ns[m], products, state, prices, navs, samples)
                prices[MARK] = price
                began = said
                for n in range(products.shape[0]):
                    if not edges[n, LOW] < price < edges[n, HIGH]:
                        said = _rebalance(
                            n, mark, said, began, products, edges, state, prices, whole, real
                        )
            else:
                state[REJECTED] += 1
            m += 1
    return said, samples

"""What a kind of rows of one symbol remembers, and which trade ids are new.

An id that is not above the last one known is a duplicate. One that leaps by more than 1,000 above
it makes its row no worse, but is remembered only as the third in a row of those, each above the one
before by no leap. So a stray id makes no duplicates of the trades that follow, and a true gap costs
none. The id of the row before is a duplicate, remembered or not: a recording in which every trade
stands twice would else never have three in a row.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from msgspec import Struct

from engine.clock import EPOCH_END_NS
from engine.groups import Groups
from engine.soundness import CONFIRMATIONS, highest
from engine.ticks import NOT_MARKET, Table, Trades

__all__ = ["ID_LEAP", "Lane", "fresh_ids_mixed", "learn_id", "newest_id"]

I64 = np.ndarray[Any, np.dtype[np.int64]]

ID_LEAP: Final = 1_000


class Lane(Struct):
    """One kind of rows of one symbol: what the next row is judged by."""

    ts_ns: int = EPOCH_END_NS
    price: float = 0.0
    trade_id: int = -1
    suspect: float = 0.0
    suspects: int = 0
    leapt_id: int = -1
    leaps: int = 0
    rows: int = 0
    late_trades: int = 0
    off_market: int = 0


def learn_id(lane: Lane, trade_id: int) -> None:
    """Remember a counted trade's id, which is above the last one known or -1."""
    if trade_id < 0:
        return
    if trade_id - lane.trade_id > ID_LEAP:
        agrees = lane.leaps and 0 < trade_id - lane.leapt_id <= ID_LEAP
        lane.leaps = lane.leaps + 1 if agrees else 1
        lane.leapt_id = trade_id
        if lane.leaps < CONFIRMATIONS:
            return
    lane.trade_id, lane.leapt_id, lane.leaps = trade_id, -1, 0


def newest_id(trades: Table, lane: Lane) -> int | None:
    """The id to remember once a table of one symbol was taken; ``None`` where not all ids are new,
    or a leap is in doubt. Prints that are no market trades want a look at each row."""
    assert isinstance(trades, Trades)
    if highest(trades.aggressor) >= NOT_MARKET:
        return None
    ids = trades.trade_id
    if ids.item(0) == -1 and ids.item(-1) == -1 and highest(ids) == -1:
        return lane.trade_id
    return ids.item(-1) if _are_new(ids, lane) else None


def _are_new(ids: I64, lane: Lane) -> bool:
    """One symbol's ids: none is a duplicate, and at the end no leap waits to be confirmed."""
    first, last, count = ids.item(0), ids.item(-1), len(ids)
    before = lane.trade_id
    if first <= before or lane.leaps or (count > 1 and not bool((ids[1:] > ids[:-1]).all())):
        return False
    # Ascending ids rise by at least one each: what is left of the way bounds the greatest leap.
    if last - before - count >= ID_LEAP:
        tail = [before, *ids[-CONFIRMATIONS:].tolist()]
        steps = [b - a for a, b in zip(tail[-3:], tail[-2:], strict=False)]
        if count < CONFIRMATIONS or max(steps) > ID_LEAP:
            return False
    return True


def fresh_ids_mixed(trades: Trades, lanes: list[Lane], groups: Groups) -> bool:
    """Whether all ids are new, per symbol and without any leap; then they are remembered. ``lanes``
    are those of the groups."""
    if highest(trades.aggressor) >= NOT_MARKET:
        return False
    ids = trades.trade_id[groups.order]
    if int(ids.max()) == -1:
        return True
    for lane, first in zip(lanes, ids[groups.firsts].tolist(), strict=True):
        if lane.leaps or not 0 < first - lane.trade_id <= ID_LEAP:
            return False
    rises = ids[1:] - ids[:-1]
    same = groups.whose[1:] == groups.whose[:-1]
    if bool((same & ((rises <= 0) | (rises > ID_LEAP))).any()):
        return False
    for lane, (_, end) in zip(lanes, groups.bounds.values(), strict=True):
        lane.trade_id = ids.item(end - 1)
    return True

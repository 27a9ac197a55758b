"""The book as it was recorded: L2 rows folded to levels, walked level by level.

A row says the new size at a price. Rows wait, and are folded many at a time when somebody looks at
the book: only the last one of each price matters. Of an order each level gives what was recorded
there in whole lots, less what we took there ourselves; nothing is extrapolated beyond the last
level.

The feed tells of the market without us: a row that re-states a level, or a new image of the whole
book, leaves our own takings as they are. They are kept per price, recover by a half-life in closed
form of the time since the last taking there, and are forgotten when less than half a lot is left.
"""

from __future__ import annotations

from math import ceil
from typing import Any, Final

import numpy as np
from msgspec import Struct

from engine.exact import exp2
from engine.ticks import Levels
from engine.units import decimal
from engine.venue.contract_spec import ContractSpec
from engine.venue.last_rows import last_of_each
from engine.venue.taking import Taken, Top, within

__all__ = ["RecordedBook", "RecordedState"]

F64 = np.ndarray[Any, np.dtype[np.float64]]
I64 = np.ndarray[Any, np.dtype[np.int64]]

_BIDS: Final = 1
_ASKS: Final = -1
_SIDES: Final = (_BIDS, _ASKS)
_FIRST_OF_IMAGE: Final = 1
_PENDING_MAX: Final = 1 << 18
"""Rows that wait to be folded: the more at once, the fewer of them matter; some 5 MB."""
_WITHIN: Final = 0.01


class RecordedState(Struct, tag="recorded"):
    """Levels ``(price, size)`` of bids and asks in ascending order of price, whether an image of
    each was seen, when the book was last heard of, and our own takings: ``(side, price, lots,
    ts_ns)``, lots not yet back as of ``ts_ns``."""

    bids: list[tuple[float, float]]
    asks: list[tuple[float, float]]
    imaged: tuple[bool, bool]
    heard_ns: int
    takings: list[tuple[int, float, float, int]]


class RecordedBook:
    """One symbol's recorded levels, and what our own orders took of them.

    Args:
        contract: level sizes are in its base where linear, in contracts where inverse.
        half_life_s: time in which half of what we took is back.
        silent_ns: without a row for longer than this the book is not believed.
        half_spread_bps: for who asks for a spread where no best bid and ask are recorded.
    """

    def __init__(
        self,
        contract: ContractSpec,
        half_life_s: float,
        silent_ns: int,
        half_spread_bps: float,
    ) -> None:
        self.half_spread_bps = half_spread_bps
        self._inverse = contract.kind == "inverse"
        self._step = contract.price_step
        self._lot = decimal(contract.lot_size)
        self._lot_size = contract.lot_size
        self._contract_size = contract.contract_size
        self._half_life_ns = half_life_s * 1e9
        self._silent_ns = silent_ns
        self._levels: dict[int, dict[float, float]] = {_BIDS: {}, _ASKS: {}}
        self._imaged = {_BIDS: False, _ASKS: False}
        self._sorted: dict[int, list[float] | None] = {_BIDS: None, _ASKS: None}
        self._takings: dict[int, dict[float, tuple[float, int]]] = {_BIDS: {}, _ASKS: {}}
        self._heard_ns = 0
        self._pending: list[tuple[np.ndarray[Any, Any], ...]] = []
        self._pending_rows = 0

    @property
    def state(self) -> RecordedState:
        """All that it remembers, in canonical order."""
        self._settle()
        return RecordedState(
            sorted(self._levels[_BIDS].items()),
            sorted(self._levels[_ASKS].items()),
            (self._imaged[_BIDS], self._imaged[_ASKS]),
            self._heard_ns,
            [
                (side, price, *taking)
                for side in _SIDES
                for price, taking in sorted(self._takings[side].items())
            ],
        )

    @state.setter
    def state(self, kept: RecordedState) -> None:
        self._pending.clear()
        self._pending_rows = 0
        self._levels = {_BIDS: dict(kept.bids), _ASKS: dict(kept.asks)}
        self._imaged = {_BIDS: kept.imaged[0], _ASKS: kept.imaged[1]}
        self._sorted = {_BIDS: None, _ASKS: None}
        self._heard_ns = kept.heard_ns
        self._takings = {_BIDS: {}, _ASKS: {}}
        for side, price, lots, ts_ns in kept.takings:
            self._takings[side][price] = (lots, ts_ns)

    # Rows ---------------------------------------------------------------------------------------

    def fold(self, rows: Levels) -> None:
        """Take rows of this symbol in, in order; not none of them."""
        self._heard_ns = rows.ts_ns.item(-1)
        # Copies: views would keep the whole block.
        columns = (rows.side, rows.price, rows.size, rows.snapshot)
        self._pending.append(tuple(column.copy() for column in columns))
        self._pending_rows += len(rows)
        if self._pending_rows >= _PENDING_MAX:
            self._settle()

    def _settle(self) -> None:
        """Fold what waits: before anybody looks."""
        if not self._pending:
            return
        side, price, size, snapshot = map(np.concatenate, zip(*self._pending, strict=True))
        self._pending.clear()
        self._pending_rows = 0
        for each in _SIDES:
            own = np.flatnonzero(side == each)
            if len(own):
                self._fold_side(each, price[own], size[own], snapshot[own])

    def _fold_side(
        self, side: int, price: F64, size: F64, snapshot: np.ndarray[Any, np.dtype[np.int8]]
    ) -> None:
        images = np.flatnonzero(snapshot == _FIRST_OF_IMAGE)
        if len(images):
            price, size = price[images.item(-1) :], size[images.item(-1) :]
            self._levels[side].clear()
            self._imaged[side] = True
        elif not self._imaged[side]:
            return
        self._sorted[side] = None
        rows, levels = last_of_each(price, self._step), self._levels[side]
        price, size = price[rows], size[rows]
        there = size > 0.0
        levels.update(zip(price[there].tolist(), size[there].tolist(), strict=True))
        for gone in price[~there].tolist():
            levels.pop(gone, None)

    # Orders -------------------------------------------------------------------------------------

    def flaw(self, ts_ns: int) -> str:
        """Why the book cannot be traded with now; empty where it can."""
        self._settle()
        if not (self._imaged[_BIDS] and self._imaged[_ASKS]):
            return "no_image"
        if ts_ns - self._heard_ns > self._silent_ns:
            return "silent"
        bids, asks = self._prices(_BIDS), self._prices(_ASKS)
        return "crossed" if bids and asks and bids[0] >= asks[0] else ""

    def best(self, side: int, top: Top) -> float | None:
        """The price of the first lot that an order of that side would take; ``None`` where there
        is nothing to take."""
        if self.flaw(top.ts_ns):
            return None
        for price in self._prices(-side):
            if self._there(-side, price, top.ts_ns) > 0:
                return price
        return None

    def offer(
        self, side: int, lots: int, _notional: float, limit: float | None, top: Top, /
    ) -> Taken:
        """What ``take_limited`` would fill; nothing is taken."""
        parts, reason = self._walk(side, lots, limit, top.ts_ns)
        return self._taken(parts, reason)

    def take_limited(
        self, side: int, lots: int, _notional: float, limit: float | None, top: Top, /
    ) -> Taken:
        """Execute an order: level by level, whole lots, up to a limit.

        Args:
            side: +1 buys (takes asks), -1 sells.
            lots: size, unsigned, > 0.
            limit: worst price; ``None`` at market.
            top: the market around the book; of it, when.
        """
        ts_ns = top.ts_ns
        parts, reason = self._walk(side, lots, limit, ts_ns)
        takings = self._takings[-side]
        for price in [p for p in takings if not self._missing(-side, p, ts_ns)]:
            del takings[price]
        for price, filled in parts:
            takings[price] = (self._missing(-side, price, ts_ns) + filled, ts_ns)
        return self._taken(parts, reason)

    def ahead(self, side: int, price: float) -> float:
        """Lots of others that rest at a price on our own side."""
        self._settle()
        return float(self._whole(self._levels[side].get(price, 0.0)))

    def depth(self, ts_ns: int) -> float:
        """Quote per side within 1 % of its own mid that is there now, of the thinner side; 0 where
        the book cannot be traded with."""
        flawed = self.flaw(ts_ns)
        bids, asks = self._prices(_BIDS), self._prices(_ASKS)
        if flawed or not bids or not asks:
            return 0.0
        mid = (bids[0] + asks[0]) * 0.5
        return min(self._near(side, mid, ts_ns) for side in _SIDES)

    def _near(self, side: int, mid: float, ts_ns: int) -> float:
        edge, total = mid * (1.0 - side * _WITHIN), 0.0
        for price in self._prices(side):
            if side * (price - edge) < 0.0:
                break
            size = self._levels[side][price] - self._missing(side, price, ts_ns) * self._lot_size
            total += max(size, 0.0) * (self._contract_size if self._inverse else price)
        return total

    def _walk(
        self, side: int, lots: int, limit: float | None, ts_ns: int
    ) -> tuple[list[tuple[float, int]], str]:
        """``(price, lots)`` of each level that gives something, and why there is a rest."""
        if flaw := self.flaw(ts_ns):
            return [], flaw
        parts: list[tuple[float, int]] = []
        for price in self._prices(-side):
            if not within(side, price, limit):
                return parts, "limit"
            filled = min(lots, self._there(-side, price, ts_ns))
            if filled > 0:
                parts.append((price, filled))
                lots -= filled
                if not lots:
                    return parts, ""
        return parts, "no_depth"

    def _taken(self, parts: list[tuple[float, int]], reason: str) -> Taken:
        """The parts of a fill as one, at the price at which their lots cost the same together."""
        if not parts:
            return Taken(0, reason=reason)
        first, lots, beyond = parts[0][0], 0, 0.0
        for price, filled in parts:
            lots += filled
            beyond += filled * ((first - price) / price if self._inverse else price - first)
        # Inverse contracts cost coins: their average is that of 1 / price.
        price = first / (1.0 + beyond / lots) if self._inverse else first + beyond / lots
        return Taken(lots, price, len(parts), reason)

    def _prices(self, side: int) -> list[float]:
        """Prices of a side, the best first."""
        prices = self._sorted[side]
        if prices is None:
            prices = self._sorted[side] = sorted(self._levels[side], reverse=side == _BIDS)
        return prices

    def _there(self, side: int, price: float, ts_ns: int) -> int:
        """Whole lots at a level, less ours; what is missing of a lot is missing whole."""
        there = self._whole(self._levels[side][price])
        return there - ceil(self._missing(side, price, ts_ns))

    def _missing(self, side: int, price: float, ts_ns: int) -> float:
        """Lots of ours at a level that are not back yet; less than half a lot is none."""
        taking = self._takings[side].get(price)
        if taking is None:
            return 0.0
        lots, since_ns = taking
        if ts_ns > since_ns:
            lots *= exp2((since_ns - ts_ns) / self._half_life_ns)
        return lots if lots >= 0.5 else 0.0

    def _whole(self, size: float) -> int:
        return int(decimal(size) / self._lot)

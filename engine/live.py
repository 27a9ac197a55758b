"""The live path of a tick that matters to nobody: plain numbers, no arrays, and nothing written but
where it waits.

A single tick is judged by the same rules as a block. If it is sound, wakes nobody and lets no alarm
pass, it waits in the gate of its kind and symbol; of all that wait there only the last values, the
extremes and how many they are will ever matter. They are settled, written to where everybody looks
for them, before the engine does or tells anything else. Every other tick goes the general way, as a
step of one row, and shuts the gates; each opens again when it is next come to.
"""

from __future__ import annotations

import math
from typing import Final

from engine.intake import Intake
from engine.lanes import ID_LEAP, Lane
from engine.market import Market
from engine.ticks import NOT_MARKET, Kind, Tick
from engine.units import NEVER_NS

__all__ = ["Gate", "Live"]

_CALM: Final = 3.0
"""Prices within this factor of one price are within its square of one another, which is no jump."""
_INF: Final = math.inf


class Gate:
    """Marks or index prices of one symbol: between which a tick passes, and what those leave that
    passed.

    Attributes:
        low, high: within the market's edges, and near enough to one another that no price between
            them is a jump from another; shut where ``low`` is infinite.
        rows: how many rows wait.
        ts_ns, price: of the last row, waiting or settled.
        changed_ns: when that price was first seen, of the rows that the market values its positions
            with.
    """

    __slots__ = (
        "_intake",
        "_kind",
        "_least",
        "_market",
        "_most",
        "_opened",
        "_source",
        "_symbol",
        "_tracks",
        "_waiting",
        "changed_ns",
        "high",
        "low",
        "price",
        "rows",
        "ts_ns",
    )

    def __init__(self, live: Live, kind: Kind, symbol: int, market: Market | None) -> None:
        self._intake, self._opened, self._waiting = live.intake, live.opened, live.waiting
        self._kind = kind
        self._symbol = symbol
        self._market = market
        self._source = market if market is not None and market.kind is kind else None
        self._tracks = self._source is not None and (
            self._source.uses_signals or bool(self._source.high_water)
        )
        self.low, self.high = _INF, -_INF
        self.rows = self.ts_ns = self.changed_ns = 0
        self.price = 0.0
        self._least, self._most = _INF, -_INF

    def passes(self, values: tuple[float, ...], ts_ns: int) -> bool:
        """Take a row that matters to nobody; ``False`` leaves it untouched for the general way."""
        (price,) = values
        if not self.low < price < self.high and not self._opens(price):
            return False
        if ts_ns < self.ts_ns:
            return False
        rows = self.rows
        if not rows:
            self._waiting.append(self)
        self.rows = rows + 1
        self.ts_ns = ts_ns
        if price != self.price:
            self.price = price
            self.changed_ns = ts_ns
        if self._tracks:
            self._least, self._most = min(self._least, price), max(self._most, price)
        return True

    def settle(self) -> None:
        """Write out what the rows that wait here leave, as floats whatever numbers came."""
        lane, market = self._lane(), self._source
        self.price = float(self.price)
        lane.ts_ns, lane.price = self.ts_ns, self.price
        lane.rows += self.rows
        self.rows = 0
        if market is not None:
            state = market.state
            state.mark, state.changed_ns, state.seen_ns = self.price, self.changed_ns, self.ts_ns
            if self._tracks:
                market.see(float(self._least), float(self._most))
                self._least, self._most = _INF, -_INF
        if self._kind is Kind.INDEX and self._market is not None:
            self._market.state.index = self.price
            self._market.settle_index(self.ts_ns)

    def _lane(self) -> Lane:
        return self._intake.lanes[self._kind][self._symbol]

    def _opens(self, price: float) -> bool:
        """Whether a gate that is shut can take over the market's present edges, around the present
        price, and lets ``price`` through."""
        lane = self._lane()
        kept = self._source is not None and self._source.keeps_previous
        if self.low < _INF or lane.suspects or lane.leaps or kept:
            return False
        if self._market is not None and (self._market.resting or self._market.following):
            return False
        self._opened.append(self)
        low, high = -_INF, _INF
        self.ts_ns, self.price = lane.ts_ns, lane.price
        if self._source is not None:
            low, high = self._source.bounds()
            self.price, self.changed_ns = self._source.state.mark, self._source.state.changed_ns
        elif self._kind is Kind.INDEX and self._market is not None:
            low, high = self._market.index_bounds()
        self.low = max(low, lane.price / _CALM)
        self.high = min(high, lane.price * _CALM)
        return self.low < price < self.high


class BookGate(Gate):
    """Best bids and asks of one symbol; their mid is the price."""

    __slots__ = ("_ask", "_bid")
    _bid: float
    _ask: float

    def passes(self, values: tuple[float, ...], ts_ns: int) -> bool:
        bid, bid_size, ask, ask_size = values
        if not (0.0 < bid < ask and 0.0 <= bid_size < _INF and 0.0 <= ask_size < _INF):
            return False
        if not Gate.passes(self, ((bid + ask) * 0.5,), ts_ns):
            return False
        self._bid, self._ask = bid, ask
        return True

    def settle(self) -> None:
        Gate.settle(self)
        if self._market is not None:
            state = self._market.state
            state.bid, state.ask = float(self._bid), float(self._ask)


class TradeGate(Gate):
    """Trades of one symbol: new ids, without a leap."""

    __slots__ = ("_trade_id",)
    _trade_id: int

    def passes(self, values: tuple[float, ...], ts_ns: int) -> bool:
        price, size, aggressor, trade_id = values
        known = self._trade_id if self.rows else self._lane().trade_id
        if not (
            0.0 <= size < _INF and aggressor < NOT_MARKET and known < trade_id <= known + ID_LEAP
        ):
            return False
        if not Gate.passes(self, (price,), ts_ns):
            return False
        self._trade_id = int(trade_id)
        return True

    def settle(self) -> None:
        Gate.settle(self)
        self._lane().trade_id = self._trade_id
        if self._market is not None:
            self._market.state.last = self.price


_GATES: Final[dict[Kind, type[Gate]]] = {
    Kind.TRADE: TradeGate,
    Kind.BBO: BookGate,
    Kind.MARK: Gate,
    Kind.INDEX: Gate,
}


class Live:
    """Gates of every priced kind and symbol.

    Attributes:
        opened: those that let rows pass.
        waiting: those in which rows wait.
    """

    __slots__ = ("_gates", "_signalled", "intake", "opened", "waiting")

    def __init__(self, intake: Intake, markets: list[Market]) -> None:
        self.intake = intake
        self.opened: list[Gate] = []
        self.waiting: list[Gate] = []
        by_symbol = {market.spec.symbol: market for market in markets}
        self._gates = {
            int(kind): {
                symbol: gate(self, kind, symbol, by_symbol.get(symbol))
                for symbol in range(intake.symbols)
            }
            for kind, gate in _GATES.items()
        }
        self._signalled = [market for market in markets if market.uses_signals]

    def shut(self) -> int:
        """Somebody was attended: shut all gates. The first time at which one of the grids wants to
        be folded."""
        for gate in self.opened:
            gate.low, gate.high = _INF, -_INF
        self.opened.clear()
        return min([market.state.grid_ns for market in self._signalled], default=NEVER_NS)

    def passes(self, tick: Tick) -> bool:
        """Take a tick that matters to nobody; ``False`` leaves it untouched for the general way."""
        try:
            gate = self._gates[tick.kind][tick.symbol]
        except KeyError:
            return False
        return gate.passes(tick.values, tick.ts_ns)

    def settle(self) -> tuple[int, int]:
        """Write out what waits; how many rows, and the latest time among them."""
        rows = ts_ns = 0
        for gate in self.waiting:
            rows, ts_ns = rows + gate.rows, max(ts_ns, gate.ts_ns)
            gate.settle()
        self.waiting.clear()
        return rows, ts_ns

"""The live path of a tick that matters to nobody: plain numbers, no arrays.

A single tick is judged by the same rules as a block; if it is sound, wakes nobody and lets no alarm
pass, a few fields change and that is all. Every other tick goes the general way, as a step of one
row, and shuts the gates; each opens again when it is next come to.
"""

from __future__ import annotations

import math
from typing import Final

from engine.intake import Intake
from engine.lanes import ID_LEAP, Lane
from engine.market import Market, MarketState
from engine.ticks import NOT_MARKET, Kind, Tick
from engine.units import NEVER_NS

__all__ = ["Live"]

_CALM: Final = 3.0
"""Prices within this factor of one price are within its square of one another, which is no jump."""
_INF: Final = math.inf
_TRADE: Final = int(Kind.TRADE)
_BBO: Final = int(Kind.BBO)
_MARK: Final = int(Kind.MARK)


class Gate:
    """One kind of rows of one symbol: between which prices a tick passes quietly.

    Attributes:
        lane: what the next row is judged by.
        market: of the symbol, if there is one.
        source: whether the market values its positions with these rows.
        tracks: whether it wants to know their extremes, too.
        low, high: within the market's edges, and near enough to one another that no price between
            them is a jump from another; shut where ``low`` is infinite.
    """

    __slots__ = ("high", "lane", "low", "market", "source", "tracks")

    def __init__(self, lane: Lane, market: Market | None, source: bool) -> None:
        self.lane = lane
        self.market = market
        self.source = source
        self.tracks = (
            source and market is not None and (market.uses_signals or bool(market.high_water))
        )
        self.low = _INF
        self.high = -_INF

    def open(self) -> None:
        """Take over the market's present edges, around the present price."""
        lane = self.lane
        if lane.suspects:
            return
        low, high = -_INF, _INF
        if self.source:
            assert self.market is not None
            low, high = self.market.bounds()
        self.low = max(low, lane.price / _CALM)
        self.high = min(high, lane.price * _CALM)


class Live:
    """Gates of every priced kind and symbol."""

    __slots__ = ("_by_kind", "_opened", "_signalled")

    def __init__(self, intake: Intake, markets: list[Market]) -> None:
        by_symbol = {m.spec.symbol: m for m in markets}
        self._by_kind: dict[int, dict[int, Gate]] = {}
        for kind in (Kind.TRADE, Kind.BBO, Kind.MARK, Kind.INDEX):
            row = self._by_kind[int(kind)] = {}
            for symbol in range(intake.symbols):
                market = by_symbol.get(symbol)
                source = market is not None and market.kind is kind
                row[symbol] = Gate(intake.lanes[kind][symbol], market, source)
        self._opened: list[Gate] = []
        self._signalled = [market for market in markets if market.uses_signals]

    def shut(self) -> int:
        """Somebody was attended: shut all gates. The first time at which one of the grids wants to
        be folded."""
        for gate in self._opened:
            gate.low, gate.high = _INF, -_INF
        self._opened.clear()
        return min([market.state.grid_ns for market in self._signalled], default=NEVER_NS)

    def passes(self, tick: Tick) -> bool:
        """Take a tick that matters to nobody; ``False`` leaves it untouched for the general way."""
        kind, values, ts_ns = tick.kind, tick.values, tick.ts_ns
        try:
            gate = self._by_kind[kind][tick.symbol]
        except KeyError:
            return False
        lane = gate.lane
        if kind == _BBO:
            bid, bid_size, ask, ask_size = values
            price = (bid + ask) * 0.5
            if not (0.0 < bid < ask and 0.0 <= bid_size < _INF and 0.0 <= ask_size < _INF):
                return False
        elif kind == _TRADE:
            price, size, aggressor, trade_id = values
            known_id = lane.trade_id
            if not (
                0.0 <= size < _INF
                and aggressor < NOT_MARKET
                and known_id < trade_id <= known_id + ID_LEAP
                and not lane.leaps
            ):
                return False
        else:
            price = values[0]
        if gate.low == _INF:
            gate.open()
            self._opened.append(gate)
        if not (gate.low < price < gate.high and lane.ts_ns <= ts_ns):
            return False
        if kind == _TRADE:
            lane.trade_id = int(values[3])
        lane.ts_ns = ts_ns
        lane.price = price
        lane.rows += 1
        if gate.source:
            _follow(gate, price, ts_ns)
        if kind != _MARK and gate.market is not None:
            _note(gate.market.state, kind, price, values)
        return True


def _note(state: MarketState, kind: int, price: float, values: tuple[float, ...]) -> None:
    if kind == _BBO:
        state.bid, state.ask = values[0], values[2]
    elif kind == _TRADE:
        state.last = price
    else:
        state.index = price


def _follow(gate: Gate, price: float, ts_ns: int) -> None:
    market = gate.market
    assert market is not None
    state = market.state
    if price != state.mark:
        state.mark = price
        state.changed_ns = ts_ns
    state.seen_ns = ts_ns
    if gate.tracks:
        market.see(price, price)

"""The live path of a tick that matters to nobody: plain numbers, no arrays.

A single tick is judged by the same rules as a block; if it is sound, wakes nobody and lets no alarm
or sample pass, a few fields change and that is all. Every other tick goes the general way, as a
step of one row.
"""

from __future__ import annotations

import math
from typing import Final

from engine.intake import Intake, Lane
from engine.market import Market
from engine.ticks import NOT_MARKET, Kind, Tick
from engine.units import NEVER_NS

__all__ = ["Live"]

_CALM: Final = 10.0
_INF: Final = math.inf
_TRADE: Final = int(Kind.TRADE)
_BBO: Final = int(Kind.BBO)
_MARK: Final = int(Kind.MARK)
_INDEX: Final = int(Kind.INDEX)


class Gate:
    """One kind of rows of one symbol: between which prices a tick passes quietly."""

    __slots__ = ("high", "lane", "low", "market", "source", "tracks")

    def __init__(self, lane: Lane, market: Market | None, source: bool) -> None:
        self.lane = lane
        self.market = market
        self.source = source
        self.tracks = (
            source and market is not None and (market.uses_signals or bool(market.high_water))
        )
        self.low = -math.inf
        self.high = math.inf


class Live:
    """Gates of every kind and symbol."""

    __slots__ = ("_gates", "_sources")

    def __init__(self, intake: Intake, markets: list[Market]) -> None:
        by_symbol = {m.spec.symbol: m for m in markets}
        self._gates: list[list[Gate]] = []
        self._sources: list[tuple[Market, Gate]] = []
        for kind in (_TRADE, _BBO, _MARK, _INDEX):
            row = []
            for symbol in range(intake.symbols):
                market = by_symbol.get(symbol)
                source = market is not None and market.kind == kind
                gate = Gate(intake.lanes[kind][symbol], market, source)
                row.append(gate)
                if market is not None and source:
                    self._sources.append((market, gate))
            self._gates.append(row)

    def refresh(self) -> int:
        """Take over the markets' present edges; the first time at which one of their grids wants to
        be folded."""
        until = NEVER_NS
        for market, gate in self._sources:
            gate.low, gate.high = market.bounds()
            if market.uses_signals:
                until = min(until, market.state.grid_ns)
        return until

    def passes(self, tick: Tick) -> bool:
        """Take a tick that matters to nobody; ``False`` leaves it untouched for the general way."""
        kind, symbol, values = tick.kind, tick.symbol, tick.values
        if kind > _INDEX or symbol < 0:
            return False
        row = self._gates[kind]
        if symbol >= len(row):
            return False
        gate = row[symbol]
        lane = gate.lane
        if kind == _BBO:
            bid, bid_size, ask, ask_size = values
            price = (bid + ask) * 0.5
            if not (0.0 < bid < ask and 0.0 <= bid_size < _INF and 0.0 <= ask_size < _INF):
                return False
        elif kind == _TRADE:
            price, size, aggressor, trade_id = values
            if not (0.0 <= size < _INF and aggressor < NOT_MARKET and trade_id > lane.trade_id):
                return False
        else:
            price = values[0]
        known, ts_ns = lane.price, tick.ts_ns
        if not (
            gate.low < price < gate.high
            and known / _CALM < price < known * _CALM
            and lane.ts_ns <= ts_ns
            and not lane.suspects
        ):
            return False
        if kind == _TRADE:
            lane.trade_id = int(values[3])
        lane.ts_ns = ts_ns
        lane.price = price
        lane.rows += 1
        if gate.market is not None:
            self._see(gate, kind, price, values, ts_ns)
        return True

    def _see(
        self, gate: Gate, kind: int, price: float, values: tuple[float, ...], ts_ns: int
    ) -> None:
        market = gate.market
        assert market is not None
        state = market.state
        if kind == _BBO:
            state.bid, state.ask = values[0], values[2]
        elif kind == _TRADE:
            state.last = price
        elif kind == _INDEX:
            state.index = price
        if gate.source:
            if price != state.mark:
                state.mark = price
                state.changed_ns = ts_ns
            state.seen_ns = ts_ns
            if gate.tracks:
                market.see(price)

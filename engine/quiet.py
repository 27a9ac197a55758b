"""The short way of a block that matters to nobody: no walk, no router, no market opened or closed.

Most blocks of one symbol and one kind hold sound prices between two edges while no alarm rings but
the check that finds its market fresh. Such a block is sampled, its last values are remembered, and
that is all. Every other block goes the general way, which gives the same.
"""

from __future__ import annotations

from engine.clock import LEAP_NS
from engine.guarding import Guarding
from engine.rows import Column

__all__ = ["Quiet"]


class Quiet:
    """Tells the blocks that matter to nobody, and takes them."""

    __slots__ = ("_parts", "_signalled")

    def __init__(self, parts: Guarding) -> None:
        self._parts = parts
        self._signalled = [market for market in parts.markets if market.uses_signals]

    def passes(self, column: Column) -> bool:
        """Take a column that is all of its step; ``False`` leaves it for the general way."""
        parts, symbol, state = self._parts, column.symbol, self._parts.state
        if column.prices is None or not isinstance(symbol, int) or parts.priced:
            return False
        low, high = parts.router.edges(column.kind, symbol)
        if not low < column.low or not column.high < high:
            return False
        last_ns, sampler = column.run.item(-1), parts.sampler
        if sampler.state.next_users_ns < last_ns or last_ns - state.time_ns > LEAP_NS:
            return False
        for other in self._signalled:
            if other.state.grid_ns < last_ns or not other.launched:
                return False
        number = parts.router.of_symbol[symbol]
        market = parts.markets[number] if number >= 0 else None
        if market is not None and (market.resting or market.following):
            return False
        tracked = market if market is not None and market.kind is column.kind else None
        if tracked is not None and tracked.keeps_previous:
            return False
        if parts.agenda.next_ns() < last_ns and parts.pass_checks(last_ns, column) < last_ns:
            return False
        if sampler.wakes_ns < last_ns:
            sampler.pass_column(tracked, column, last_ns)
        if market is not None:
            market.pass_column(column)
        state.time_ns = last_ns
        return True

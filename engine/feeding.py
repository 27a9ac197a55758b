"""Who traded with the move, and what became of background populations: tallied as events pass."""

from __future__ import annotations

from typing import Any, Final

from engine.crowd_events import PopulationLiquidated
from engine.events import Deleveraged, Output, Rebalanced

__all__ = ["FEEDING", "Feeding"]

FEEDING: Final = frozenset({"rebalanced", "deleveraged", "population_liquidated"})
"""Tags of the events that ``Feeding.note`` wants."""
_SUMS: Final = (
    *("positions", "notional_atoms", "unpaid_positions", "fund_atoms"),
    *("fund_paid_atoms", "deficit_atoms"),
)


class Feeding:
    """Tallies of one run."""

    def __init__(self) -> None:
        self._marks: dict[str, float] = {}
        self.trades: dict[str, list[int]] = {}
        """By product: rebalances with the move since its last one, and against it."""
        self.populations: dict[str, dict[str, int]] = {}

    def note(self, event: Output) -> None:
        """One of ``FEEDING``."""
        if isinstance(event, Rebalanced | Deleveraged):
            self._trade(event)
        elif isinstance(event, PopulationLiquidated):
            sums = self.populations.setdefault(event.population, dict.fromkeys(_SUMS, 0))
            for name in _SUMS:
                sums[name] += getattr(event, name)

    def _trade(self, event: Any) -> None:
        last = self._marks.get(event.product)
        self._marks[event.product] = event.mark_price
        if last is not None and event.lots and event.mark_price != last:
            against = (event.lots > 0) != (event.mark_price > last)
            self.trades.setdefault(event.product, [0, 0])[against] += 1

    def summary(self) -> dict[str, Any]:
        """By product how many of its trades went with the move and against it; by population what
        its liquidations came to."""
        return {
            "with_the_move": {
                product: {"with": own[0], "against": own[1]} for product, own in self.trades.items()
            },
            "populations": self.populations,
        }

"""``one_sided_guard``: within the day leverage is only ever reduced."""

from __future__ import annotations

import math
from typing import ClassVar

from msgspec import Struct

from engine.policy import Decision, Nothing, SetLeverage, View, leverage_watch
from engine.watch import NEVER, Watch

__all__ = ["OneSidedGuard", "leverage_after", "watch_above"]


class OneSidedGuard(
    Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    tag="one_sided_guard",
    tag_field="type",
):
    """Cut back to ``target`` when a move against the product has raised its leverage.

    The losing side of a rebalance between two scheduled ones, beside a ``schedule`` that goes both
    ways: FTX's tokens from September 2019 (at 4/3 of the target), KuCoin's and MEXC's (after 15 %).
    A fall ``x``, below 0 where the price rises, makes ``L (1 - x) / (1 - L x)`` of a leverage
    ``L``: 15 % against 3x long are 4.6364x, 15 % against 3x short 6.2727x; 4x is a fall of 11.11 %
    of the long one, a rise of 6.67 % of the short one.

    Args:
        target: signed leverage.
        high: magnitude at which it cuts; or
        move: share of the price, against the product since its leverage was ``target``.

    It does badly after a fall that goes on overnight and turns in the morning: what was cut is
    bought back at the next scheduled time, whatever the price is then.

    Source: ``products.md`` 1.4 and 1.5, algebra of 3.1.
    """

    uses_signals: ClassVar[bool] = False
    uses_high_water: ClassVar[bool] = False
    de_risking: ClassVar[bool] = True
    is_pure: ClassVar[bool] = True

    target: float
    high: float = 0.0
    move: float = 0.0

    def __post_init__(self) -> None:
        if bool(self.high) == bool(self.move):
            raise ValueError("one_sided_guard wants either high or move")
        if not 0.0 < abs(self.target) < math.inf:
            raise ValueError(f"one_sided_guard wants a target that is not 0, was {self.target}")
        if self.move and not 0.0 < self.move < 1.0:
            raise ValueError(f"one_sided_guard wants 0 < move < 1, was {self.move}")
        if not abs(self.target) < self.edge < math.inf:
            raise ValueError(
                f"one_sided_guard wants an edge above |target| {abs(self.target):g}, was "
                f"{self.edge:g}: the product would be bankrupt first, or its leverage never rises"
            )

    @property
    def edge(self) -> float:
        """Magnitude of the leverage at which it cuts."""
        if self.high:
            return self.high
        return abs(leverage_after(self.target, -math.copysign(self.move, self.target)))

    def initial_state(self) -> Nothing:
        return Nothing()

    def watch(self, view: View, state: Nothing) -> Watch:
        return watch_above(view, self.target, self.edge)

    def decide(self, view: View, state: Nothing) -> tuple[Decision | None, Nothing]:
        held = math.copysign(1.0, self.target) * view.position.leverage
        if held < self.edge:
            return None, state
        reason = f"leverage {held:.4g} at or above {self.edge:.4g}, reduced within the day"
        return SetLeverage(self.target, reason), state


def watch_above(view: View, target: float, edge: float) -> Watch:
    """Wake where leverage on the side of the target reaches ``edge``, a magnitude; never where
    nothing is held on that side."""
    sign = math.copysign(1.0, target)
    if sign * view.position.exposure <= 0.0:
        return NEVER
    return leverage_watch(view, 0.0, edge, sign)


def leverage_after(leverage: float, move: float) -> float:
    """Leverage after the price has moved by a share of itself, nothing traded:
    ``L x / (1 + L (x - 1))`` with ``x = 1 + move``. 3x after -1/9 is 4x; infinity where nothing is
    left."""
    left = 1.0 + leverage * move
    return leverage * (1.0 + move) / left if left > 0.0 else math.inf

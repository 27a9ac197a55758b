"""``leverage_band``: back to target whenever leverage reaches an edge of its band."""

from __future__ import annotations

import math
from typing import ClassVar

from msgspec import Struct

from engine.policy import Decision, Nothing, SetLeverage, View, leverage_watch
from engine.watch import Watch

__all__ = ["LeverageBand"]


class LeverageBand(
    Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    tag="leverage_band",
    tag_field="type",
):
    """Trade back to ``target`` when leverage is at or beyond ``low`` or ``high``.

    The rule of Gate's and Bybit's tokens. A 3x product with the band [2.25, 4.125] trades when the
    price has moved
    -12 % or +20 % since the last time (``products.md`` 0.3).

    Args:
        target: signed leverage; negative for a short product.
        low, high: edges in absolute leverage, ``low < |target| < high``.

    It does badly in a market that crosses its edges back and forth: each time it buys high and
    sells low.
    """

    uses_signals: ClassVar[bool] = False
    uses_high_water: ClassVar[bool] = False
    de_risking: ClassVar[bool] = False

    target: float
    low: float
    high: float

    def __post_init__(self) -> None:
        if not (0.0 <= self.low < abs(self.target) < self.high):
            raise ValueError(
                f"leverage_band wants 0 <= low < |target| < high, was low {self.low}, "
                f"target {self.target}, high {self.high}"
            )

    def initial_state(self) -> Nothing:
        return Nothing()

    def watch(self, view: View, state: Nothing) -> Watch:
        return leverage_watch(view, self.low, self.high, math.copysign(1.0, self.target))

    def decide(self, view: View, state: Nothing) -> tuple[Decision | None, Nothing]:
        # Signed: coins of an inverse account that are not hedged yet are one times long, for short
        # products too.
        held = math.copysign(1.0, self.target) * view.position.leverage
        inside = self.low < held < self.high
        if inside and view.position.target:
            return None, state
        where = (
            "before the opening trade"
            if inside
            else "at or below"
            if held <= self.low
            else "at or above"
        )
        reason = f"leverage {held:.4g} {where}{'' if inside else ' the band'}"
        return SetLeverage(self.target, reason), state

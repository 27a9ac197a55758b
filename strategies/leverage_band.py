"""``leverage_band``: back to target whenever leverage reaches an edge of its band."""

from __future__ import annotations

import math
from typing import ClassVar, Literal

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
    price has moved -12 % or +20 % since the last time (``products.md`` 0.3).

    With ``rebalance_to = "edge"`` it goes just inside the edge that it left, as Toros' tokens do: a
    3x product with the band [2.7, 3.3] that fell 4.35 % trades from 3.3x to 3.285x, not to 3x.

    Args:
        target: signed leverage; negative for a short product.
        low, high: edges in absolute leverage, ``low < |target| < high``.
        rebalance_to: where it trades to.
        inset: how far inside the edge, as a share of the way to the target; assumed, no issuer
            says it.

    It does badly in a market that crosses its edges back and forth: each time it buys high and
    sells low. Trading to the edge it does so in many small steps, and is at the wrong end of its
    band for as long as a move lasts.

    Source: ``products.md`` 0.3 and 3.3 (bands and what they save), 1.6 (to the edge).
    """

    uses_signals: ClassVar[bool] = False
    uses_high_water: ClassVar[bool] = False
    de_risking: ClassVar[bool] = False
    is_pure: ClassVar[bool] = True

    target: float
    low: float
    high: float
    rebalance_to: Literal["target", "edge"] = "target"
    inset: float = 0.05

    def __post_init__(self) -> None:
        if not (0.0 <= self.low < abs(self.target) < self.high):
            raise ValueError(
                f"leverage_band wants 0 <= low < |target| < high, was low {self.low}, "
                f"target {self.target}, high {self.high}"
            )
        if not 1e-6 <= self.inset <= 1.0:
            raise ValueError(f"leverage_band wants inset from 1e-6 to 1, was {self.inset}")

    def initial_state(self) -> Nothing:
        return Nothing()

    def watch(self, view: View, state: Nothing) -> Watch:
        return leverage_watch(view, self.low, self.high, 1.0 if self.target > 0.0 else -1.0)

    def decide(self, view: View, state: Nothing) -> tuple[Decision | None, Nothing]:
        # Signed: coins of an inverse account that are not hedged yet are one times long, for short
        # products too.
        leverage = view.position.leverage
        held = leverage if self.target > 0.0 else -leverage
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
        # An opening goes to the target always.
        if self.rebalance_to == "target" or not view.position.target:
            return SetLeverage(self.target, reason), state
        return SetLeverage(self._inside(held), reason), state

    def _inside(self, held: float) -> float:
        """Just within the edge that was left."""
        edge = math.copysign(self.low if held <= self.low else self.high, self.target)
        return edge + self.inset * (self.target - edge)

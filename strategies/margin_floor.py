"""``margin_floor``: a forced cut when leverage is too high for the margin."""

from __future__ import annotations

import math
from typing import ClassVar

from msgspec import Struct

from engine.policy import Decision, Deleverage, Nothing, View, leverage_watch
from engine.watch import NEVER, Watch

__all__ = ["MarginFloor"]


class MarginFloor(
    Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    tag="margin_floor",
    tag_field="type",
):
    """Cut to ``cut_to`` when |leverage| reaches ``max_leverage``.

    Leverage ``l`` leaves a margin of ``1 / l`` of the exposure: at 8x a move of 12.5 % wipes the
    product out. A 3x product with ``max_leverage = 8`` is cut when the price has fallen 23.8 %
    since its last rebalance (``x = l (L - 1) / (L (l - 1))``).

    Args:
        max_leverage: magnitude at which to cut, > ``cut_to``.
        cut_to: magnitude to cut to, > 0.

    It does badly in a crash with a rebound: it sells at the bottom what it then lacks.

    Source: the band algebra of ``products.md`` 3.1; no issuer publishes a floor of its own.
    """

    uses_signals: ClassVar[bool] = False
    uses_high_water: ClassVar[bool] = False
    de_risking: ClassVar[bool] = True
    is_pure: ClassVar[bool] = True

    max_leverage: float = 8.0
    cut_to: float = 3.0

    def __post_init__(self) -> None:
        if not 0.0 < self.cut_to < self.max_leverage:
            raise ValueError(
                f"margin_floor wants 0 < cut_to < max_leverage, was {self.cut_to} and "
                f"{self.max_leverage}"
            )

    def initial_state(self) -> Nothing:
        return Nothing()

    def watch(self, view: View, state: Nothing) -> Watch:
        exposure = view.position.exposure
        if exposure == 0.0:
            return NEVER
        return leverage_watch(view, 0.0, self.max_leverage, math.copysign(1.0, exposure))

    def decide(self, view: View, state: Nothing) -> tuple[Decision | None, Nothing]:
        held = view.position.leverage
        if abs(held) < self.max_leverage:
            return None, state
        reason = f"leverage {abs(held):.4g} at or above {self.max_leverage:g}"
        return Deleverage(math.copysign(self.cut_to, held), reason), state

"""``margin_level``: the lender's rule of a margin loan."""

from __future__ import annotations

import math
from typing import ClassVar

from msgspec import Struct

from engine.policy import Close, Decision, View, Warn, leverage_watch
from engine.watch import NEVER, Watch

__all__ = ["Called", "MarginLevel"]


class Called(Struct, frozen=True):
    """Whether the borrower was called already."""

    called: bool = False


class MarginLevel(
    Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    tag="margin_level",
    tag_field="type",
):
    """Warn once, then sell everything, as assets over debt fall.

    A level of ``m`` is a leverage of ``m / (m - 1)`` where money is borrowed, and of
    ``1 / (m - 1)`` where coins are: 3x long begins at 1.5, is called at 1.3 (4.33x, the price
    13.3 % lower) and sold at 1.1 (11x, 26.7 % lower).

    Args:
        call: level at which the borrower is called, > ``sell``.
        sell: level at which the lender sells, > 1.

    It does badly where the price jumps over both levels: the call and the sale come together, and
    what is sold late may leave the lender with a loss.

    Source: margin level of Binance's cross margin, call at 1.3 and liquidation at 1.1.
    """

    uses_signals: ClassVar[bool] = False
    uses_high_water: ClassVar[bool] = False
    de_risking: ClassVar[bool] = True

    call: float = 1.3
    sell: float = 1.1

    def __post_init__(self) -> None:
        if not 1.0 < self.sell < self.call < math.inf:
            raise ValueError(f"margin_level wants 1 < sell < call, was {self.sell} and {self.call}")

    def initial_state(self) -> Called:
        return Called()

    def watch(self, view: View, state: Called) -> Watch:
        exposure = view.position.exposure
        if exposure == 0.0:
            return NEVER
        level = self.sell if state.called else self.call
        return leverage_watch(view, 0.0, _leverage(level, exposure), math.copysign(1.0, exposure))

    def decide(self, view: View, state: Called) -> tuple[Decision | None, Called]:
        exposure, held = view.position.exposure, abs(view.position.leverage)
        if exposure == 0.0:
            return None, state
        if held >= _leverage(self.sell, exposure):
            return Close(f"margin level at or below {self.sell:g}"), state
        if not state.called and held >= _leverage(self.call, exposure):
            return Warn(f"margin level at or below {self.call:g}"), Called(called=True)
        return None, state


def _leverage(level: float, exposure: float) -> float:
    return (level if exposure > 0.0 else 1.0) / (level - 1.0)

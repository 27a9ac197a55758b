"""``hidden_band``: a range of leverage, and a target that is not told."""

from __future__ import annotations

import math
from typing import ClassVar

from msgspec import Struct

from engine.policy import Decision, Nothing, SetLeverage, View, leverage_watch
from engine.watch import Watch
from strategies.reviewing import direction_fault

__all__ = ["HiddenBand"]


class HiddenBand(
    Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    tag="hidden_band",
    tag_field="type",
):
    """Trade only where leverage has left ``[low, high]``, and then to a place inside.

    Binance's UP and DOWN tokens: 1.25x to 4x (1.5x to 3x at first), only when needed, unannounced.
    **Assumed**, for nobody told it: "needed" is at the edges and nowhere else, and the place is
    the middle of the range in ratios, ``sqrt(low * high)``: 2.2361x of 1.25x to 4x. From there it
    trades after a fall of 26.3 % or a rise of 176 %, a DOWN token after a rise of 15.8 % or a fall
    of 19.6 %.

    Args:
        direction: +1 for UP, -1 for DOWN.
        low, high: magnitudes, ``0 < low < high``.
        home: magnitude to which it trades; the middle in ratios where 0.

    It does badly on a day that goes far and comes back, like 19 May 2021: a DOWN token that gained
    on the way down buys more there, and gives it back on the way up.

    Source: ``products.md`` 1.0 and 1.3 for the range; the rule is assumed.
    """

    uses_signals: ClassVar[bool] = False
    uses_high_water: ClassVar[bool] = False
    de_risking: ClassVar[bool] = False

    direction: int = 1
    low: float = 1.25
    high: float = 4.0
    home: float = 0.0

    def __post_init__(self) -> None:
        if fault := direction_fault(self.direction):
            raise ValueError(f"hidden_band: {fault}")
        if not 0.0 < self.low < self.high < math.inf:
            raise ValueError(f"hidden_band wants 0 < low < high, was {self.low} and {self.high}")
        if not self.low < self.magnitude < self.high:
            raise ValueError(f"hidden_band wants home between low and high, was {self.home}")

    @property
    def magnitude(self) -> float:
        """Where it trades to, without the sign."""
        return self.home or math.sqrt(self.low * self.high)

    def initial_state(self) -> Nothing:
        return Nothing()

    def watch(self, view: View, state: Nothing) -> Watch:
        return leverage_watch(view, self.low, self.high, self.direction)

    def decide(self, view: View, state: Nothing) -> tuple[Decision | None, Nothing]:
        held = self.direction * view.position.leverage
        if self.low < held < self.high and view.position.target:
            return None, state
        reason = f"leverage {held:.4g} outside [{self.low:g}, {self.high:g}]"
        return SetLeverage(self.direction * self.magnitude, reason), state

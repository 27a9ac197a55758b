"""``drawdown_control``: less leverage the farther NAV lies below its high-water mark."""

from __future__ import annotations

from typing import ClassVar

from engine.policy import View
from strategies.reviewing import Reviewing, Wanted, direction_fault, kept_between

__all__ = ["DrawdownControl"]


class DrawdownControl(
    Reviewing, frozen=True, kw_only=True, tag="drawdown_control", tag_field="type"
):
    """Exposure in proportion to what NAV has left above its lowest permitted drawdown.

    With ``a = 1 - max_drawdown`` and NAV at ``v`` of its high-water mark, leverage is ``base (1 -
    a / v) / (1 - a)``, kept in ``[low, base]``: ``base`` at the mark, nothing at a drawdown of
    ``max_drawdown``. A base of 3x and a limit of 40 % make 1.875x at -20 % and nothing at -40 %. As
    the price falls without a jump what is left above the limit goes as its
    ``base / (1 - a)``-th power, so the limit is never reached.

    Args:
        direction: +1 long, -1 short.
        base: magnitude at the high-water mark.
        max_drawdown: share of the high-water mark that may be lost.
        low: magnitude that is always kept; with 0 a product at its limit stays there for good.
        review_s, step: see ``reviewing``.

    It does badly in a fall that comes back: it has sold on the way down, and takes a new high of
    the price to be where it was. A jump between two reviews may go through the limit.

    Source: Grossman and Zhou 1993, the fraction of the surplus over a floor under the maximum.
    """

    uses_signals: ClassVar[bool] = False
    uses_high_water: ClassVar[bool] = True

    direction: int = 1
    base: float = 3.0
    max_drawdown: float = 0.4
    low: float = 0.0
    review_s: float = 60.0

    def _fault(self) -> str:
        if not 0.0 < self.max_drawdown < 1.0:
            return f"max_drawdown must be a share between 0 and 1, was {self.max_drawdown}"
        if not 0.0 <= self.low <= self.base or not 0.0 < self.base < 1e6:
            return "0 <= low <= base is wanted, and base > 0"
        return direction_fault(self.direction)

    def want(self, view: View) -> Wanted:
        drawdown = view.position.drawdown
        floor = 1.0 - self.max_drawdown
        share = (1.0 - floor / (1.0 + drawdown)) / self.max_drawdown
        want = kept_between(self.base * share, self.low, self.base)
        return self.direction * want, "drawdown {:.2%} of {:.0%}", (drawdown, self.max_drawdown)

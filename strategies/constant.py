"""``constant``: the same leverage at every review."""

from __future__ import annotations

import math
from typing import ClassVar

from engine.policy import Decision, SetLeverage, View
from strategies.reviewing import Review, Reviewing, after

__all__ = ["Constant"]


class Constant(Reviewing, frozen=True, kw_only=True, tag="constant", tag_field="type"):
    """Trade back to ``target`` at every review.

    The multiple of a fund that is rebalanced every so often: each review multiplies NAV by
    ``1 + target * r`` of the price's return ``r`` since the last one. 3x on 10,000, 11,000, 10,000
    makes 1.3 and then 1.3 * (1 - 3 / 11) = 0.9455 (``products.md`` 3.1, 4.5). What a user's class
    that always answers the same does, to the last unit.

    Args:
        target: signed leverage.
        review_s: grid of the reviews, counted from 1970-01-01 UTC.
        step: leverage by which it must be off before it trades.

    It does badly in a market that goes nowhere: it buys what rose and sells what fell, for
    ``target (target - 1) / 2`` times the variance a year.

    Source: any fund of a fixed multiple, and its prospectus (``products.md`` 3.1).
    """

    uses_signals: ClassVar[bool] = False

    target: float
    review_s: float = 60.0
    step: float = 0.0

    def _fault(self) -> str:
        return "" if math.isfinite(self.target) else f"target must be finite, was {self.target}"

    def decide(self, view: View, state: Review) -> tuple[Decision | None, Review]:
        if state.next_ns and view.due_ns < state.next_ns:
            return None, state
        reviewed = Review(after(view.due_ns, self.review_s))
        if state.next_ns and abs(self.target - view.position.leverage) <= self.step:
            return None, reviewed
        return SetLeverage(self.target, "review"), reviewed

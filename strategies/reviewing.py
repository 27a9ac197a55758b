"""What policies share that are asked on a grid of event time."""

from __future__ import annotations

import math
from typing import ClassVar, Final

from msgspec import Struct

from engine.policy import Decision, SetLeverage, View
from engine.units import SECOND_NS
from engine.watch import NEVER, Watch

__all__ = ["Review", "Reviewing", "Wanted", "after", "direction_fault", "kept_between"]

_NO_LOW, _NO_HIGH = NEVER.low, NEVER.high
REVIEW_S_MIN: Final = 0.001
REVIEW_S_MAX: Final = 1e9
"""About 32 years: a longer grid would leave the range of 64-bit times."""


Wanted = tuple[float, str, tuple[float, ...]]
"""A signed leverage, and why: a text with places for the figures that come with it."""


class Review(Struct, frozen=True):
    """When the next review is; 0 before the first look."""

    next_ns: int = 0


class Reviewing(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Asks ``want`` at the opening and at every point of a grid.

    It trades where ``want`` differs from the leverage held by more than ``step``. From long to
    short it goes by way of nothing: no order turns a product's sign, so a turn takes two reviews.
    While the signals are stale it only reduces.

    Args:
        review_s: grid of the reviews, counted from 1970-01-01 UTC.
        step: leverage by which ``want`` must differ before it trades.
    """

    uses_signals: ClassVar[bool] = True
    uses_high_water: ClassVar[bool] = False
    de_risking: ClassVar[bool] = False
    is_pure: ClassVar[bool] = True

    review_s: float = 300.0
    step: float = 0.1

    def __post_init__(self) -> None:
        name = self.__struct_config__.tag
        if not REVIEW_S_MIN <= self.review_s <= REVIEW_S_MAX:
            raise ValueError(f"{name}: review_s must be from 0.001 to 1e9, was {self.review_s}")
        if not 0.0 <= self.step < math.inf:
            raise ValueError(f"{name}: step must be >= 0, was {self.step}")
        fault = self._fault()
        if fault:
            raise ValueError(f"{name}: {fault}")

    def _fault(self) -> str:
        """What is wrong with the parameters; empty where nothing is."""
        return ""

    def want(self, view: View) -> Wanted:
        """What it wants now; the reason is put together where it is told."""
        raise NotImplementedError

    @property
    def review_ns(self) -> int:
        """The grid of the reviews."""
        return round(self.review_s * SECOND_NS)

    def initial_state(self) -> Review:
        return Review()

    def watch(self, view: View, state: Review) -> Watch:
        return Watch(_NO_LOW, _NO_HIGH, state.next_ns or after(view.due_ns, self.review_s))

    def decide(self, view: View, state: Review) -> tuple[Decision | None, Review]:
        first = state.next_ns == 0
        if not first and view.due_ns < state.next_ns:
            return None, state
        return self._decided(view, self.want(view), first), Review(
            after(view.due_ns, self.review_s)
        )

    def _decided(self, view: View, wanted: Wanted, first: bool) -> Decision | None:
        want, held, step = wanted[0], view.position.leverage, self.step
        turns = held * want < 0.0
        if turns:
            want = 0.0
        if not first:
            if -step <= want - held <= step:
                return None
            if view.market.stale and abs(want) >= abs(held):
                return None
        why = wanted[1].format(*wanted[2])
        return SetLeverage(want, f"{why}; flat before it turns" if turns else why)


def after(ts_ns: int, every_s: float) -> int:
    """The first point of a grid from 1970-01-01 UTC that is later than ``ts_ns``."""
    every = round(every_s * SECOND_NS)
    return (ts_ns // every + 1) * every


def kept_between(value: float, low: float, high: float) -> float:
    """``value``, or the limit beyond which it lies; ``low`` for what is no number."""
    return high if value > high else value if value > low else low


def direction_fault(direction: int) -> str:
    """What is wrong with a direction; empty where nothing is."""
    return "" if direction in (1, -1) else f"direction must be 1 or -1, was {direction}"

"""What policies will see of a market at the coming reviews of a step, looked up for all at once.

The rows of a step are there, and between wakes nobody changes what they mean: what a view takes
from them is the same whenever it is looked up. Depth alone depends on what is traded meanwhile.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from engine.market import Market
from engine.policy import MarketView
from engine.rows import Rows
from engine.ticks import Kind

__all__ = ["ViewsAhead"]

F64 = np.ndarray[Any, np.dtype[np.float64]]
I64 = np.ndarray[Any, np.dtype[np.int64]]

_TRADE, _INDEX = Kind.TRADE, Kind.INDEX  # looked up once; see ``folding``
_MOST: Final = 1_024
"""Reviews that are looked up at once."""
_LEAST: Final = 4
"""So many for which it pays."""


class ViewsAhead:
    """A market at the points of a grid of reviews.

    Attributes:
        places: which of the reviews it is, by time.
        limits: by review, the first tick later than it.
    """

    __slots__ = (
        *("_cells", "_heads", "_market", "_rate", "_tails", "_view", "_viewed"),
        *("limits", "places"),
    )

    def __init__(self, market: Market, rows: Rows, times: I64, points: I64 | None) -> None:
        """``points``: of the signals' grid at those times; none where nobody uses signals."""
        self._market = market
        self.places = {ts_ns: place for place, ts_ns in enumerate(times.tolist())}
        self.limits: list[int] = rows.ticks_after(times).tolist()
        self._viewed = -1
        self._cells, self._rate = market.cells, market.state.rate
        marks = market.marks_ahead(times)
        if points is None:
            self._heads: list[Any] = _rows(times, marks, marks, marks)
            self._tails: list[Any] | None = None
        else:
            self._heads = _rows(times, *_heads(market, times, marks))
            self._tails = _rows(*_tails(market, points, marks))

    @classmethod
    def of(
        cls, market: Market, rows: Rows, due_ns: int, every_ns: int, *, uses_signals: bool
    ) -> ViewsAhead | None:
        """The views at ``due_ns``, up to which the market's grid was fed, and at the reviews after
        it within the step, where there are so many that it pays."""
        count = min((rows.time_ns - 1 - due_ns) // every_ns + 1, _MOST)
        if count < _LEAST:
            return None
        times = due_ns + every_ns * np.arange(count)
        points = market.points_ahead(times) if uses_signals else None
        if points is not None:
            times = times[: int(points.searchsorted(market.points_known, "right"))]
            points = points[: len(times)]
        return cls(market, rows, times, points) if len(times) >= _LEAST else None

    @property
    def holds(self) -> bool:
        """Whether nothing came in between: a point of the grid that was fed otherwise than was
        worked out, a scheduled funding rate."""
        return self._cells is self._market.cells and self._rate == self._market.state.rate

    def view(self, place: int) -> MarketView:
        """The market at a review; the same one for all who are asked there. Nobody trades in
        between: whoever wants to ends the way ahead, and an instant is looked ahead at once."""
        if place != self._viewed:
            self._viewed, self._view = place, self.view_now(place)
        return self._view

    def view_now(self, place: int) -> MarketView:
        """The market at a review, after all that was traded there."""
        head = self._heads[place]
        if self._tails is None:
            return MarketView(*head)
        depth = self._market.book.depth(head[0])
        return MarketView(*(*head, depth, *self._tails[place]))


def _rows(*columns: Any) -> list[Any]:
    return list(zip(*(column.tolist() for column in columns), strict=True))


def _heads(market: Market, times: I64, marks: F64) -> tuple[F64, ...]:
    """What a view shows before the depth; as ``Market`` has it for one time."""
    state = market.state
    price = market.prices_ahead(_TRADE, times, state.last)
    index = market.prices_ahead(_INDEX, times, state.index)
    index = np.where(index == 0.0, marks, index)
    bid, ask = market.quotes_ahead(times)
    mid = (bid + ask) * 0.5
    with np.errstate(divide="ignore", invalid="ignore"):
        half_spread = np.where(bid <= 0.0, 0.0, (ask - bid) * 0.5 / mid)
    return (
        marks,
        np.where(price == 0.0, marks, price),
        index,
        (marks / index - 1.0) * 1e4,
        market.rates_ahead(times),
        np.maximum(half_spread, 0.0) * 2e4,
    )


def _tails(market: Market, points: I64, marks: F64) -> tuple[Any, ...]:
    """What it shows after the depth."""
    figures = market.figures_ahead(points)
    with np.errstate(divide="ignore", invalid="ignore"):
        fall = np.where(figures.highest > marks, marks / figures.highest - 1.0, 0.0)
    return (
        *(figures.ewma_vol, figures.realised_vol, figures.parkinson_vol, figures.trend),
        *(fall, figures.stale, figures.step_price),
    )

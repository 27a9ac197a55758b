"""What every policy must hold to: one suite, for the built-in ones and for anybody's own.

``check_policy(policy)`` runs the policy on a plain float product, without the engine: it is asked
at every tick and every alarm, whether it wanted to be or not, on prices that aim at its own edges.

- Woken early it has nothing to say and leaves no trace: its watch is never later than its decision.
- After a decision is carried out the price lies strictly inside the new watch, or a plan is
  pending; on a price that stands still it comes to rest, whatever its trades cost and however
  often it is reviewed.
- An alarm lies in the future; answers depend on nothing but view and state, and neither changes.
- Its state survives msgpack, as snapshots need.
- Views that no market gives at peace (no volatility, or none that is a number, stale signals,
  hardly any NAV, prices of any size) get a finite answer within the product's limits, or none.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from random import Random
from time import perf_counter_ns
from typing import Any, Final

from msgspec import Struct

from engine.policy import (
    Close,
    MarketView,
    Policy,
    PolicyAnswerError,
    PositionView,
    Quote,
    View,
    Warn,
)
from engine.units import HOUR_NS, SECOND_NS
from strategies.trial_path import START_NS, BrokenPromiseError, TrialPath, place_of_promise

__all__ = ["BrokenPromiseError", "Checked", "check_policy"]

STARTS: Final = (0.0, 1.0, 3.0, -3.0)
"""Leverage before the first look: flat, unhedged coins, and positions of somebody else."""
LATENCIES: Final = (0, 3)
STILL_TICKS: Final = 120
STILL_TRADES_MAX: Final = 3
"""On a price that stands still: the opening, and what its own costs make necessary."""
COSTS: Final = 0.001
STILL_REVIEWS: Final = 60
STILL_TURNOVER_MAX: Final = 100.0
"""Multiples of NAV: at a taker's fee of 0.05 % a twentieth of NAV is gone by then."""
REVIEW_US_MAX: Final = 1_000.0
_ASKED_FOR_TIME: Final = 200
_ODD: Final = (0.0, math.nan, 1e-300, 1e-9, 1e9, math.inf)
_MARKS: Final = (100.0, 1e-9, 1e9)


class Checked(Struct, frozen=True):
    """What was done: ticks and questions, and how long an answer took on average."""

    paths: int
    ticks: int
    asked: int
    review_us: float


def check_policy(
    policy: Policy, *, seeds: int = 2, ticks: int = 300, limit: float = 10.0
) -> Checked:
    """Hold a policy to the promises above.

    Args:
        seeds: how many random paths for each start and each latency.
        ticks: length of a path; it ends early where the product is ruined or closed.
        limit: largest magnitude of leverage that the product takes.

    Raises:
        BrokenPromiseError: saying what was broken, at which tick, and how things stood.
    """
    paths, walked, asked = 0, 0, _check_odd_views(policy, limit)
    review_us = _timed(policy)
    if review_us > REVIEW_US_MAX:
        raise BrokenPromiseError(
            f"an answer takes {review_us:,.0f} us on average, {REVIEW_US_MAX:,.0f} at most: a day "
            f"reviewed every minute would take {review_us * 1440 / 1e6:,.1f} s"
        )
    for seed in range(seeds):
        for start in STARTS:
            for latency in LATENCIES:
                path = TrialPath(policy, _dice(f"{seed} {start} {latency}"), start, latency)
                path.walk(ticks)
                paths, walked, asked = paths + 1, walked + path.tick, asked + path.asked
    _check_standstill(policy)
    return Checked(paths, walked, asked, review_us)


def _dice(name: str) -> Random:
    return Random(name)  # noqa: S311  # the same path every time is the purpose


def _check_standstill(policy: Policy) -> None:
    """A price that stands still: with costs no trade may be the cause of the next one, and without
    them no review may be reason enough to trade."""
    path = TrialPath(policy, _dice("still"), 0.0, 0, costs=COSTS)
    for _ in range(STILL_TICKS):
        path.pass_still(SECOND_NS)
    if path.woken_by_price > STILL_TRADES_MAX:
        raise BrokenPromiseError(
            f"a storm: {path.woken_by_price} trades within {STILL_TICKS} s of a price that stands "
            f"still, {STILL_TRADES_MAX} at most: what a trade costs ({COSTS:.1%}) makes it trade "
            "again"
        )
    path = TrialPath(policy, _dice("still"), 0.0, 0)
    for _ in range(STILL_REVIEWS):
        path.pass_still(min(path.watch.alarm_ns + 1 - path.ts_ns, HOUR_NS))
    if path.turnover > STILL_TURNOVER_MAX:
        raise BrokenPromiseError(
            f"a storm: it trades {path.turnover:.0f} times NAV in {STILL_REVIEWS} reviews of a "
            f"price that stands still, {STILL_TURNOVER_MAX:.0f} at most"
        )


def _check_odd_views(policy: Policy, limit: float) -> int:
    """Each odd figure in turn, before the first look and two hours after it; how many questions it
    took."""
    asked = 0
    for number, first in enumerate(_odd_views()):
        where = place_of_promise(policy, f"odd view {number}", first)
        state = policy.initial_state()
        later = View(first.market, first.position, first.due_ns + 7_200 * SECOND_NS)
        for view in (first, later):
            state = _asked_oddly(policy, view, state, limit, where)
            asked += 1
    return asked


def _asked_oddly(policy: Policy, view: View, state: Any, limit: float, where: str) -> Any:
    try:
        decision, kept = policy.decide(view, state)
        policy.watch(view, kept)
    except PolicyAnswerError as error:
        raise BrokenPromiseError(f"{error}: {where}") from error
    except Exception as error:  # a user's policy may raise anything
        said = f"it raises {type(error).__name__}: {error}"
        raise BrokenPromiseError(f"{said}: {where}") from error
    if isinstance(decision, Quote):
        if not (math.isfinite(decision.target) and 0.0 <= decision.nav_per_unit < math.inf):
            raise BrokenPromiseError(f"it quotes {decision}: {where}")
    elif decision is not None and not isinstance(decision, Close | Warn):
        target = decision.target
        if not (isinstance(target, int | float) and abs(target) <= limit):
            said = f"it asks for {target!r}, the product takes up to {limit:g}"
            raise BrokenPromiseError(f"{said}: {where}")
    return kept


def _odd_views() -> Iterator[View]:
    names = ("ewma_vol", "realised_vol", "parkinson_vol")
    for odd in _ODD:
        yield _view(**dict.fromkeys(names, odd))
    for odd in (-1.0, 1.0, math.nan):
        yield _view(trend=odd, ewma_vol=0.6)
    for rate in (-0.05, 0.05, math.nan):
        yield _view(funding_rate=rate, ewma_vol=0.6)
    yield _view(ewma_vol=0.6, stale=True)
    for mark in _MARKS:
        for leverage in (0.0, 1.0, -2.0, 9.0, 1e6):
            yield _view(mark=mark, leverage=leverage, nav=1e-6, ewma_vol=0.6)
    for drawdown in (-0.999, -0.5):
        yield _view(drawdown=drawdown, ewma_vol=0.6, leverage=3.0)


def _view(
    *,
    mark: float = 100.0,
    leverage: float = 0.0,
    nav: float = 1e6,
    drawdown: float = 0.0,
    **market: Any,
) -> View:
    seen = MarketView(START_NS, mark, mark, mark, **market)
    position = PositionView(
        nav, nav * leverage, leverage, leverage, mark, 1.0, drawdown, SECOND_NS, START_NS
    )
    return View(seen, position, START_NS - 1)


def _timed(policy: Policy) -> float:
    """Microseconds of an answer, a day apart so that no review is left out."""
    state, spent = policy.initial_state(), 0
    for number in range(_ASKED_FOR_TIME):
        view = _view(ewma_vol=0.5 + number % 7 / 10.0, leverage=2.0 + number % 3 / 10.0)
        view = View(view.market, view.position, START_NS + number * 86_400 * SECOND_NS)
        began = perf_counter_ns()
        _, state = policy.decide(view, state)
        spent += perf_counter_ns() - began
    return spent / _ASKED_FOR_TIME / 1e3

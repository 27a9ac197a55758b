"""What every policy must hold to: one suite, for the built-in ones and for anybody's own.

``check_policy(policy)`` runs the policy on a plain float product, without the engine: it is asked
at every tick and every alarm, whether it wanted to be or not, on prices that aim at its own edges.

- Woken early it has nothing to say and leaves no trace: its watch is never later than its
decision. - After a decision is carried out the price lies strictly inside the new watch, or a plan
is pending. - An alarm lies in the future; questions have answers that depend on nothing but view
and state. - Its state survives msgpack, as snapshots need."""

from __future__ import annotations

import math
from random import Random
from typing import Any, Final

import msgspec

from engine.policy import Close, Decision, MarketView, Policy, PositionView, View, Warn
from engine.signals import Signals, SignalSpec
from engine.units import MINUTE_NS, NEVER_NS, SECOND_NS
from engine.watch import ALWAYS
from strategies import LeverageBand, MarginFloor, MarginLevel, Schedule, TrendVol
from tests.builders import T0

__all__ = ["EXAMPLES", "check_policy"]

EXAMPLES: Final[dict[str, tuple[Policy, ...]]] = {
    "leverage_band": (
        LeverageBand(target=3.0, low=2.25, high=4.125),
        LeverageBand(target=-3.0, low=1.5, high=5.25),
        LeverageBand(target=5.0, low=4.99, high=5.01),
        LeverageBand(target=-5.0, low=3.5, high=7.0),
        LeverageBand(target=0.5, low=0.4, high=0.6),
        LeverageBand(target=1.0, low=0.5, high=2.0),
        LeverageBand(target=-1.0, low=0.0, high=1.5),
    ),
    "schedule": (
        Schedule(target=3.0, every_s=60.0),
        Schedule(target=-2.0, times=("09:30", "16:00:01"), timezone="America/New_York"),
        Schedule(target=2.0, times=("00:00",), timezone="Asia/Shanghai"),
    ),
    "margin_floor": (
        MarginFloor(),
        MarginFloor(max_leverage=3.2, cut_to=2.5),
        MarginFloor(max_leverage=3.0, cut_to=0.5),
    ),
    "margin_level": (
        MarginLevel(),
        MarginLevel(call=1.45, sell=1.02),
    ),
    "trend_vol": (
        TrendVol(),
        TrendVol(direction=-1),
        TrendVol(review_s=10.0, fast_move=0.002, step=0.0),
        TrendVol(direction=-1, review_s=30.0, fast_move=0.005, low=0.5, base=0.5, high=3.0),
    ),
}
"""Built-in policies to be checked, by the name that a configuration uses."""

STARTS: Final = (0.0, 1.0, 3.0, -3.0)
"""Leverage before the first look: flat, unhedged coins, and positions of somebody else."""
GAPS_NS: Final = (0, 1, SECOND_NS, SECOND_NS, 10 * SECOND_NS, 30 * SECOND_NS, 301 * SECOND_NS)
GRID: Final = SignalSpec(vol_half_life=10.0, trend_half_life=10.0, window=10)


def check_policy(policy: Policy, *, seeds: int = 2, ticks: int = 300) -> None:
    """Hold a policy to the promises above.

    Args:
        seeds: how many random paths for each start and each latency.
        ticks: length of a path; it ends early where the product is ruined or closed.

    Raises:
        AssertionError: saying what was broken, and where.
    """
    for seed in range(seeds):
        for start in STARTS:
            for latency in (0, 3):
                _Path(policy, Random(f"{seed} {start} {latency}"), start, latency).walk(ticks)


class _Path:
    """A product of 100 on a random price, with the policy beside it."""

    def __init__(self, policy: Policy, random: Random, start: float, latency: int) -> None:
        self.policy, self.random, self.latency = policy, random, latency
        self.ts_ns, self.price = T0, 100.0
        self.lots, self.cash = start, 100.0 * (1.0 - start)
        self.target = 0.0
        self.state: Any = policy.initial_state()
        self.kind = type(self.state)
        self.watch = ALWAYS
        self.signals = Signals(GRID)
        self.grid_ns = T0 // MINUTE_NS * MINUTE_NS + MINUTE_NS
        self.low = self.high = self.price
        self.fresh = True
        self.order: tuple[float, int] | None = None

    def walk(self, ticks: int) -> None:
        for _ in range(ticks):
            next_ns = self.ts_ns + self.random.choice(GAPS_NS)
            if self.random.random() < 0.2 and self.watch.alarm_ns < NEVER_NS:
                next_ns = max(self.ts_ns, self.watch.alarm_ns + self.random.choice((-1, 0, 1)))
            while not self._busy() and self.watch.alarm_ns < next_ns:
                self.ts_ns = self.watch.alarm_ns
                self._attend(self.ts_ns)
            self.ts_ns = next_ns
            self._feed(next_ns - 1)
            self.price = self._aimed()
            self.low, self.high = min(self.low, self.price), max(self.high, self.price)
            self.fresh = True
            self._deliver()
            if self._nav() <= 0.01:
                return
            self._attend(self.ts_ns - 1)
            if math.isnan(self.target):
                return

    def _aimed(self) -> float:
        random, draw = self.random, self.random.random()
        edges = [e for e in (self.watch.low, self.watch.high) if 0.5 < e / self.price < 2.0]
        if edges and draw < 0.4:
            price = random.choice(edges) * random.choice((1.0, 1.0 - 1e-12, 1.0 + 1e-12))
            for _ in range(random.randint(0, 3)):
                price = math.nextafter(price, random.choice((0.0, math.inf)))
            return price
        size = 0.002 if draw < 0.95 else 0.05
        return self.price * (1.0 + random.gauss(0.0, size))

    def _busy(self) -> bool:
        """A plan is under way and the policy is none that is asked meanwhile."""
        return self.order is not None and not self.policy.de_risking

    def _deliver(self) -> None:
        if self.order is not None:
            target_lots, left = self.order
            self.order = (target_lots, left - 1)
            if left <= 1:
                self._trade(target_lots)

    def _trade(self, lots: float) -> None:
        self.cash -= (lots - self.lots) * self.price
        self.lots = lots
        self.order = None
        self.watch = ALWAYS  # another line: whatever was watched holds no more

    def _nav(self) -> float:
        return self.cash + self.lots * self.price

    def _feed(self, due_ns: int) -> None:
        """The signals as of the grid points up to then."""
        while self.policy.uses_signals and self.grid_ns <= due_ns:
            self.signals.step(self.price, self.high, self.low, fresh=self.fresh)
            self.low = self.high = self.price
            self.fresh = False
            self.grid_ns += MINUTE_NS

    def _view(self, due_ns: int) -> View:
        self._feed(due_ns)
        s, price, nav = self.signals, self.price, self._nav()
        market = MarketView(
            self.ts_ns,
            price,
            price,
            price,
            ewma_vol=s.ewma_vol,
            realised_vol=s.realised_vol,
            parkinson_vol=s.parkinson_vol,
            trend=s.trend,
            drawdown=s.drawdown(price),
            stale=s.stale,
        )
        exposure = self.lots * price
        position = PositionView(nav, exposure, exposure / nav if nav > 0.0 else 0.0, self.target)
        return View(market, position, due_ns)

    def _attend(self, due_ns: int) -> None:
        if self._busy():
            return
        policy, state = self.policy, self.state
        view = self._view(due_ns)
        inside = self.watch.low < self.price < self.watch.high and due_ns < self.watch.alarm_ns
        where = f"{policy} at {view.market.ts_ns}, price {self.price!r}, due {due_ns}, {self.watch}"
        before = _packed(state, where)
        decision, remembered = policy.decide(view, state)
        again, _ = policy.decide(view, state)
        assert again == decision, f"asked twice it answers {decision} and {again}: {where}"
        assert _packed(state, where) == before, f"decide wrote into its state: {where}"
        if inside:
            assert decision is None, f"it wants {decision} and its watch says nothing: {where}"
            assert remembered is state, f"woken early it leaves a trace, {remembered}: {where}"
            return
        self.state = _restored(remembered, self.kind, where)
        acted = decision is not None and self._carry_out(decision, view)
        if math.isnan(self.target) or self._busy():
            return
        self._look(due_ns, settled=acted and self.order is None, where=where)

    def _look(self, due_ns: int, *, settled: bool, where: str) -> None:
        """Take over the new watch."""
        view = self._view(due_ns)
        watch = self.policy.watch(view, self.state)
        numbers = not (math.isnan(watch.low) or math.isnan(watch.high))
        assert numbers, f"{watch} is no number: {where}"
        assert self.policy.watch(view, self.state) == watch, f"two watches of one view: {where}"
        assert watch.alarm_ns > due_ns, f"{watch} rings in the past: {where}"
        strictly = watch.low < self.price < watch.high
        assert strictly or not settled, f"after its decision the price is outside {watch}: {where}"
        self.watch = watch

    def _carry_out(self, decision: Decision, view: View) -> bool:
        """What the handler makes of a decision; whether it traded or sent an order."""
        if isinstance(decision, Close):
            self.target = math.nan
            return True
        if isinstance(decision, Warn):
            assert decision.reason, f"{self.policy} warns of nothing"
            return False
        target = decision.target
        assert math.isfinite(target), f"{self.policy} asks for {target}"
        assert decision.reason, f"{self.policy} gives no reason"
        reduces = abs(target) < abs(view.position.leverage)
        if view.market.stale and not reduces:
            return False
        self.target = target
        lots = target * view.position.nav / self.price
        if self.latency:
            self.order = (lots, self.latency)
        else:
            self._trade(lots)
        return True


def _packed(state: Any, where: str) -> bytes:
    try:
        return msgspec.msgpack.encode(state)
    except (TypeError, ValueError, OverflowError) as error:
        raise AssertionError(f"no snapshot can hold {state!r}, {error}: {where}") from error


def _restored(state: Any, kind: type, where: str) -> Any:
    """The state as a snapshot would give it back."""
    kept = msgspec.convert(msgspec.msgpack.decode(_packed(state, where)), kind)
    assert kept == state, f"a snapshot makes {kept!r} of {state!r}: {where}"
    return kept

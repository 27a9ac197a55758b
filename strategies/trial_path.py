"""A product of 100 on a random price, with a policy that is asked at every tick and every alarm.

The price aims at the policy's own edges, to a few ulps; times lie a nanosecond from its alarms.
What the policy promises is looked at with every answer.
"""

from __future__ import annotations

import math
from random import Random
from typing import Any, Final

import msgspec

from engine.policy import (
    Close,
    Decision,
    MarketView,
    Policy,
    PolicyAnswerError,
    PositionView,
    Quote,
    View,
    Warn,
)
from engine.signals import Signals, SignalSpec
from engine.units import MINUTE_NS, NEVER_NS, SECOND_NS
from engine.watch import ALWAYS

__all__ = ["START_NS", "BrokenPromiseError", "TrialPath", "place_of_promise"]

START_NS: Final = 1_700_000_000 * SECOND_NS
GAPS_NS: Final = (0, 1, SECOND_NS, SECOND_NS, 10 * SECOND_NS, 30 * SECOND_NS, 301 * SECOND_NS)
LONG_GAP_NS: Final = 2 * 3_600 * SECOND_NS
"""Long enough for the signals to be stale."""
GRID: Final = SignalSpec(vol_half_life=10.0, trend_half_life=10.0, window=10)
UNITS: Final = 100.0


class BrokenPromiseError(Exception):
    """A policy does what it may not; the message says what, at which tick, and how things stood."""


class TrialPath:
    """One walk.

    Attributes:
        tick: how many prices there were.
        asked: how many questions.
        woken_by_price: trades that no alarm of the policy's own called for.
        turnover: all that was traded, in multiples of NAV at the time.
    """

    def __init__(
        self,
        policy: Policy,
        random: Random,
        start: float,
        latency: int,
        *,
        costs: float = 0.0,
    ) -> None:
        self.policy, self.random, self.latency, self.costs = policy, random, latency, costs
        self.ts_ns, self.price = START_NS, 100.0
        self.lots, self.cash = start, 100.0 * (1.0 - start)
        self.target = 0.0
        self.high_water = 1.0
        self.state: Any = policy.initial_state()
        self.kind = type(self.state)
        self.watch = ALWAYS
        self.signals = Signals(GRID)
        self.grid_ns = START_NS // MINUTE_NS * MINUTE_NS + MINUTE_NS
        self.low = self.high = self.price
        self.fresh = True
        self.order: tuple[float, int] | None = None
        self.tick = self.asked = self.woken_by_price = 0
        self.turnover = 0.0

    def walk(self, ticks: int) -> None:
        """So many prices; fewer where the product is ruined or closed before."""
        for _ in range(ticks):
            self.tick += 1
            next_ns = self.ts_ns + self._gap()
            if self.random.random() < 0.2 and self.watch.alarm_ns < NEVER_NS:
                next_ns = max(self.ts_ns, self.watch.alarm_ns + self.random.choice((-1, 0, 1)))
            self._pass(next_ns)
            self.price = self._aimed()
            self.low, self.high = min(self.low, self.price), max(self.high, self.price)
            self.fresh = True
            self._deliver()
            self._mark_high()
            if self._nav() <= 0.01:
                return
            self._attend(self.ts_ns - 1)
            if math.isnan(self.target):
                return

    def pass_still(self, gap_ns: int) -> None:
        """A tick at the same price."""
        self.tick += 1
        self._pass(self.ts_ns + gap_ns)
        self.fresh, before = True, self.lots
        self._attend(self.ts_ns - 1)
        # What is left of a rounding is no trade.
        self.woken_by_price += abs(self.lots - before) > 1e-9 * abs(before)

    def _pass(self, next_ns: int) -> None:
        """The alarms before a time, and then that time."""
        while not self._busy() and self.watch.alarm_ns < next_ns:
            self.ts_ns = self.watch.alarm_ns
            self._attend(self.ts_ns)
        self.ts_ns = next_ns
        self._feed(next_ns - 1)

    def _gap(self) -> int:
        return LONG_GAP_NS if self.random.random() < 0.01 else self.random.choice(GAPS_NS)

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

    # The product ------------------------------------------------------------------------------

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
        traded, nav = lots - self.lots, self._nav()
        self.turnover += abs(traded) * self.price / nav if nav > 0.0 else 0.0
        self.cash -= traded * self.price + abs(traded) * self.price * self.costs
        self.lots = lots
        self.order = None
        self.watch = ALWAYS  # another line: whatever was watched holds no more

    def _quote(self, quote: Quote) -> None:
        """Units are worth that from now on, and the product follows the price with its target."""
        _promise(quote.nav_per_unit >= 0.0, f"it quotes {quote.nav_per_unit}", str(quote))
        nav = quote.nav_per_unit * UNITS
        self.lots = quote.target * nav / self.price
        self.cash = nav - self.lots * self.price
        self.target = math.nan if quote.settles else quote.target
        self.watch = ALWAYS

    def _nav(self) -> float:
        return self.cash + self.lots * self.price

    def _mark_high(self) -> None:
        self.high_water = max(self.high_water, self._nav() / UNITS)

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
        exposure, high_water = self.lots * price, self.high_water
        leverage = exposure / nav if nav > 0.0 else 0.0
        below = min(nav / UNITS / high_water - 1.0, 0.0)
        age_ns = self.ts_ns - START_NS
        position = PositionView(
            nav, exposure, leverage, self.target, 100.0, high_water, below, age_ns
        )
        return View(market, position, due_ns)

    # The promises -----------------------------------------------------------------------------

    def _attend(self, due_ns: int) -> None:
        if self._busy():
            return
        policy, state = self.policy, self.state
        view = self._view(due_ns)
        inside = self.watch.low < self.price < self.watch.high and due_ns < self.watch.alarm_ns
        where = f"{place_of_promise(policy, f'tick {self.tick}', view)}, {self.watch}"
        before = _packed(state, where)
        decision, remembered = self._answer(view, where)
        again, _ = self._answer(view, where)
        _promise(again == decision, f"asked twice it answers {decision} and {again}", where)
        _promise(_packed(state, where) == before, "decide wrote into its state", where)
        if inside:
            _promise(decision is None, f"it wants {decision} and its watch says nothing", where)
            _promise(remembered is state, f"woken early it leaves a trace, {remembered}", where)
            return
        self.state = _restored(remembered, self.kind, where)
        acted = decision is not None and self._carry_out(decision, view, where)
        if math.isnan(self.target) or self._busy():
            return
        self._look(due_ns, settled=acted and self.order is None, where=where)

    def _answer(self, view: View, where: str) -> tuple[Decision | None, Any]:
        self.asked += 1
        try:
            decision, remembered = self.policy.decide(view, self.state)
        except PolicyAnswerError as error:
            raise BrokenPromiseError(f"{error}: {where}") from error
        except Exception as error:  # a user's policy may raise anything
            said = f"decide raises {type(error).__name__}: {error}"
            raise BrokenPromiseError(f"{said}: {where}") from error
        return decision, remembered

    def _look(self, due_ns: int, *, settled: bool, where: str) -> None:
        """Take over the new watch."""
        view = self._view(due_ns)
        watch = self.policy.watch(view, self.state)
        numbers = not (math.isnan(watch.low) or math.isnan(watch.high))
        _promise(numbers, f"{watch} is no number", where)
        again = self.policy.watch(view, self.state)
        _promise(again == watch, "two watches of one view", where)
        _promise(watch.alarm_ns > due_ns, f"{watch} rings in the past", where)
        # What a trade costs may leave it outside its edges once.
        strictly = self.costs > 0.0 or watch.low < self.price < watch.high
        _promise(strictly or not settled, f"after its decision the price is outside {watch}", where)
        self.watch = watch

    def _carry_out(self, decision: Decision, view: View, where: str) -> bool:
        """What the handler makes of a decision; whether it traded or sent an order."""
        _promise(bool(decision.reason), f"{type(decision).__name__} without a reason", where)
        if isinstance(decision, Close):
            self.target = math.nan
            return True
        if isinstance(decision, Warn):
            return False
        target = decision.target
        _promise(math.isfinite(target), f"it asks for {target}", where)
        reduces = abs(target) < abs(view.position.leverage)
        if view.market.stale and not reduces and not isinstance(decision, Quote):
            return False
        self.target = target
        if isinstance(decision, Quote):
            self._quote(decision)
            return True
        lots = target * view.position.nav / self.price
        if self.latency:
            self.order = (lots, self.latency)
        else:
            self._trade(lots)
        return True


def place_of_promise(policy: Policy, when: str, view: View) -> str:
    """Where a promise was broken: the tick, and what a reader needs to do it again."""
    market, position = view.market, view.position
    stale = ", stale" if market.stale else ""
    return (
        f"{when} of {getattr(policy, 'name', policy)}, price {market.mark!r}, "
        f"ewma_vol {market.ewma_vol:g}, trend {market.trend:g}{stale}, "
        f"leverage {position.leverage:g}, NAV {position.nav:g}, due {view.due_ns}"
    )


def _promise(kept: bool, broken: str, where: str) -> None:
    if not kept:
        raise BrokenPromiseError(f"{broken}: {where}")


def _packed(state: Any, where: str) -> bytes:
    try:
        return msgspec.msgpack.encode(state)
    except (TypeError, ValueError, OverflowError) as error:
        raise BrokenPromiseError(f"no snapshot can hold {state!r}, {error}: {where}") from error


def _restored(state: Any, kind: type, where: str) -> Any:
    """The state as a snapshot would give it back."""
    kept: Any = msgspec.convert(msgspec.msgpack.decode(_packed(state, where)), kind)
    _promise(kept == state, f"a snapshot makes {kept!r} of {state!r}", where)
    return kept

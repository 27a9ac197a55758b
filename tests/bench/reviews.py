"""What a review costs beyond its wake, and a market whose products all follow other rules."""

from __future__ import annotations

import math
import time
from statistics import median
from typing import Any, Final, cast

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from engine.engine import Engine, EngineSpec
from engine.policy import Decision, Policy, View
from engine.ticks import Marks, Step
from engine.units import SECOND_NS
from engine.venue.contract_spec import ContractSpec
from engine.watch import Watch
from strategies import (
    Constant,
    Cppi,
    Deviation,
    DrawdownControl,
    HiddenBand,
    KellyCapped,
    LeverageBand,
    OneSidedGuard,
    TimeSeriesMomentum,
    TrendVol,
    VolTarget,
)
from strategies.reviewing import Review, after
from strategies.small import SmallPolicy
from tests.bench.contest import Ours, Score, equal, play
from tests.bench.plain import DRAW_IN, Plain
from tests.bench.table import Row, Scale
from tests.bench.tapes import SAMPLE_NS, Lineup, heart_spec, tape

__all__ = ["reviews"]

BUILT_IN_US: Final = 6.0
SMALL_US: Final = 15.0
PLAIN_TIMES: Final = 10.0
PRODUCTS: Final = 200
_START_NS: Final = 1_700_000_000 * SECOND_NS
_BLOCK: Final = 1_000
_BURST: Final = 200
"""Reviews between two looks at the clock: so few that a busy machine leaves some of them alone."""
_NEVER: Final = 9.0
"""A step of leverage that no review reaches: it is worked out, and nothing is traded."""


class _Idle(Struct, frozen=True):
    """Woken as often as another, with the same views, asked ahead as that is, and has nothing to
    say."""

    uses_signals: bool
    uses_high_water: bool
    is_pure: bool
    de_risking: bool = False
    review_ns: int = SECOND_NS

    def initial_state(self) -> Review:
        return Review()

    def watch(self, view: View, state: Review) -> Watch:
        return Watch(alarm_ns=state.next_ns or after(view.due_ns, 1.0))

    def decide(self, view: View, state: Review) -> tuple[Decision | None, Review]:
        if state.next_ns and view.due_ns < state.next_ns:
            return None, state
        return None, Review(after(view.due_ns, 1.0))


class _Small:
    """The class of the README."""

    def __init__(self, base: float = 2.0, target_vol: float = 0.6) -> None:
        self.base, self.target_vol = base, target_vol

    def target(self, market: Any, position: Any) -> float:
        want = self.base
        if market.ewma_vol > 0:
            want *= min(1.0, self.target_vol / market.ewma_vol)
        return want * 0.5 if position.drawdown < -0.25 else want


REVIEWED: Final[dict[str, Policy]] = {
    "vol_target": VolTarget(review_s=1.0, step=_NEVER),
    "kelly_capped": KellyCapped(review_s=1.0, step=_NEVER),
    "drawdown_control": DrawdownControl(review_s=1.0, step=_NEVER),
    "cppi": Cppi(review_s=1.0, step=_NEVER),
    "trend_vol": TrendVol(review_s=1.0, step=_NEVER),
    "time_series_momentum": TimeSeriesMomentum(review_s=1.0, step=_NEVER),
    "constant": Constant(target=1.0, review_s=1.0, step=_NEVER),
}


def reviews(scale: Scale) -> list[Row]:
    """Two rows: microseconds of a review, and 200 products with different policies."""
    return [_reviewed(scale), _different(scale)]


# A review -----------------------------------------------------------------------------------------


def _reviewed(scale: Scale) -> Row:
    count, rounds = scale.of(5_000, 2_000), 1 if scale.smoke else 12
    small = SmallPolicy.around(_Small(), review_ns=SECOND_NS, limit=10.0)
    policies: dict[str, Policy] = {**REVIEWED, "small": small}
    beyond, wakes = dict.fromkeys(policies, math.inf), dict.fromkeys(policies, math.inf)
    for name, policy in policies.items():
        is_pure = getattr(policy, "is_pure", False)
        idle = cast("Policy", _Idle(policy.uses_signals, policy.uses_high_water, is_pure))
        own = math.inf
        for _ in range(rounds):
            own = min(own, _woken(policy, count))
            wakes[name] = min(wakes[name], _woken(idle, count))
        beyond[name] = own - wakes[name]
    built_in = max(beyond[name] for name in REVIEWED)
    return Row(
        name="reviews",
        work=f"{count:,} reviews of one product, a second apart",
        target=f"built in <= {BUILT_IN_US:g} us, small interface <= {SMALL_US:g} us",
        figure=f"{built_in:.1f} us (the dearest of {len(REVIEWED)}), {beyond['small']:.1f} us",
        met=built_in <= BUILT_IN_US and beyond["small"] <= SMALL_US,
        note="beyond a policy that is woken as often, sees the same and wants nothing "
        f"({min(wakes.values()):.1f} us); the quickest burst of {rounds} rounds in turn; the small "
        "one's target is sized each time, too",
        details={"wakes": 0, "microseconds": beyond, "wake_microseconds": wakes},
    )


def _woken(policy: Policy, count: int) -> float:
    """Microseconds of a wake, in the quickest burst, on a price that moves too little for a lot."""
    spec = heart_spec(Lineup((1.0,), (0.0,), (math.inf,)))
    market = replace(
        spec.markets[0],
        contract=ContractSpec(symbol="BTCUSDT", base="BTC", quote="USDT", lot_size=1.0),
    )
    engine = Engine(replace(spec, markets=(market,), policies=((policy,),)))
    moves = np.random.default_rng(1).normal(0.0, 1e-6, count)
    prices = 20_000.0 * np.cumprod(1.0 + moves)
    quickest = math.inf
    for first in range(0, count, _BURST):
        sequence = np.arange(first, first + _BURST)
        ts_ns = _START_NS + sequence * SECOND_NS + 1
        price = prices[first : first + _BURST]
        marks = Marks(sequence=sequence, symbol=0, ts_ns=ts_ns, price=price)
        began = time.process_time_ns()
        engine.process(Step(first=first, end=first + _BURST, tables=(marks,)))
        quickest = min(quickest, time.process_time_ns() - began)
    return quickest / _BURST / 1e3


# Different policies -------------------------------------------------------------------------------


def _policies(number: int) -> tuple[tuple[Policy, ...], tuple[float, float, float, float]]:
    """A product's policies, and what the plain loop needs of them: target, prices at which it
    trades over the price at which leverage is on target, seconds between two reviews (0 none)."""
    width = 0.02 * (1.0 + number / PRODUCTS)
    kind, sign = number % 5, 1.0 if number % 2 else -1.0
    if kind == 0:
        low, high = 3.0 - 4.0 * width, 3.0 + 4.0 * width
        ratios = sorted(_ratio(sign * 3.0, sign * edge) for edge in (low, high))
        band = LeverageBand(target=sign * 3.0, low=low, high=high)
        return (band,), (sign * 3.0, ratios[0], ratios[1], 0.0)
    if kind == 1:
        share = width / 2.0
        rule = Deviation(target=sign * 2.0, threshold=share * 2.0)
        return (rule,), (sign * 2.0, 1.0 - share, 1.0 + share, 0.0)
    if kind == 2:
        low, high = 2.0 - width, 2.0 + width
        rule_hidden = HiddenBand(direction=int(sign), low=low, high=high)
        home = sign * math.sqrt(low * high)
        ratios = sorted(_ratio(home, sign * edge) for edge in (low, high))
        return (rule_hidden,), (home, ratios[0], ratios[1], 0.0)
    every_s = 3_600.0 + 60.0 * (number // 5)
    constant = Constant(target=sign * 3.0, review_s=every_s)
    if kind == 3:
        return (constant,), (sign * 3.0, 0.0, math.inf, every_s)
    guard = OneSidedGuard(target=sign * 3.0, move=width / 2.0)
    low = 1.0 - width / 2.0 if sign > 0 else 0.0
    high = 1.0 + width / 2.0 if sign < 0 else math.inf
    return (constant, guard), (sign * 3.0, low, high, every_s)


def _ratio(target: float, leverage: float) -> float:
    return leverage * (target - 1.0) / (target * (leverage - 1.0))


RULES: Final = tuple(_policies(number)[1] for number in range(PRODUCTS))
LINEUP: Final = Lineup(tuple(rule[0] for rule in RULES), (0.0,) * PRODUCTS, (math.inf,) * PRODUCTS)


def _spec() -> EngineSpec:
    policies = tuple(_policies(number)[0] for number in range(PRODUCTS))
    return replace(heart_spec(LINEUP), policies=policies)


class _Ours(Ours):
    """The engine with a policy of its own in each product."""

    def __init__(self) -> None:
        self.engine = Engine(_spec())
        self.process = self.engine.process
        self.finish = self.engine.finish


class _PlainRules(Plain):
    """The plain loop, whose products have edges around the price at which they are on target, and
    some a time at which they are reviewed."""

    def __init__(self) -> None:
        super().__init__(LINEUP)
        self.every_ns = {n: round(rule[3] * SECOND_NS) for n, rule in enumerate(RULES) if rule[3]}
        self.due_ns: dict[int, int] = {}

    def process(self, step: Step) -> tuple[list[Any], list[float]]:
        """As the loop for bands, with reviews and samples in the order of their times."""
        (table,) = step.tables
        assert isinstance(table, Marks)
        events: list[Any] = []
        navs: list[float] = []
        self.events = events
        edges, mark, last_ns, next_ns = self.edges, self.mark, self.last_ns, self.next_ns
        if next_ns < 0:
            first_ns = int(table.ts_ns[0])
            next_ns = -(-first_ns // SAMPLE_NS) * SAMPLE_NS
            self.due_ns = {n: -(-first_ns // ns) * ns for n, ns in self.every_ns.items()}
        due_ns = min(self.due_ns.values())
        for row, (ts_ns, price) in enumerate(
            zip(table.ts_ns.tolist(), table.price.tolist(), strict=True), step.first
        ):
            if not 0.0 < price < math.inf or ts_ns < last_ns:
                self.rejected += 1
                continue
            last_ns = ts_ns
            while next_ns < ts_ns or due_ns < ts_ns:
                if due_ns <= next_ns:
                    due_ns = self._review(due_ns, mark, row)
                else:
                    self._value(navs, mark)
                    next_ns += SAMPLE_NS
            mark = price
            for number, low, high in edges:
                if not low < price < high:
                    self._rebalance(number, price, price, price, ts_ns, row)
        self.mark, self.last_ns, self.next_ns = mark, last_ns, next_ns
        return events, navs

    def _review(self, due_ns: int, mark: float, row: int) -> int:
        """Whoever is due; when somebody is due next."""
        for number, at_ns in self.due_ns.items():
            if at_ns == due_ns:
                self._rebalance(number, mark, mark, mark, due_ns, row)
                self.due_ns[number] = at_ns + self.every_ns[number]
        return min(self.due_ns.values())

    def _watch(self, number: int, cash: int, held: int, target: float) -> None:
        _, low, high, _ = RULES[number]
        start = target * cash / (held * (1.0 - target))
        self.edges[number] = (
            number,
            start * low * (1.0 + DRAW_IN),
            start * high * (1.0 - DRAW_IN),
        )


def _different(scale: Scale) -> Row:
    ticks = scale.of(300_000)
    replayed = tape(ticks)
    scores: dict[str, list[Score]] = {"ours": [], "plain": []}
    for _ in range(1 if scale.smoke else 3):
        scores["ours"].append(play(_Ours(), LINEUP, replayed, _BLOCK))
        scores["plain"].append(play(_PlainRules(), LINEUP, replayed, _BLOCK))
    ours, plain = scores["ours"], scores["plain"]
    tally, theirs = ours[0].tally, plain[0].tally
    equal(tally, theirs, "the plain loop")
    ratio = median(b.cpu / a.cpu for a, b in zip(ours, plain, strict=True))
    return Row(
        name="reviews",
        work=f"{ticks // 1000:,}k ticks, {PRODUCTS} products of five kinds of policy on one "
        f"symbol, {tally.rebalances:,} rebalances",
        target=f">= {PLAIN_TIMES:g}x plain",
        figure=f"{ratio:.1f}x plain, ours {median(s.cpu for s in ours):.2f} s, plain "
        f"{median(s.cpu for s in plain):.2f} s",
        met=ratio >= PLAIN_TIMES,
        details={"wakes": ours[0].wakes, "wakes_empty": ours[0].wakes_empty, "ratio": ratio},
    )

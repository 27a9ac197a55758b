"""Reviews that are passed in one go say and leave what reviews one by one do.

Long calm tapes, on which most reviews find nothing to do, with everything between them that may
come: rows of all kinds, silences, funding, requests, commands, breaches, products that are not
asked ahead. In one step they are passed; row by row none is.
"""

from __future__ import annotations

import gc
from functools import cache
from hashlib import sha256
from random import Random
from typing import Any, ClassVar

import pytest
from msgspec import Struct

from engine.commands import PauseProduct, ResumeProduct, ThinBook
from engine.engine import Engine, EngineSpec
from engine.events import CreationRequest
from engine.handler import Handler
from engine.market import MarketSpec
from engine.policy import Decision, SetLeverage, View
from engine.rows import Column
from engine.sampler import Sampling
from engine.signals import SignalSpec
from engine.snapshot import state_digest
from engine.ticks import Kind, Step
from engine.units import SECOND_NS
from engine.venue.book import BookSpec
from engine.venue.funding import FundingSpec
from engine.watch import Watch
from strategies import (
    Constant,
    Cppi,
    DrawdownControl,
    KellyCapped,
    LeverageBand,
    MarginFloor,
    OneSidedGuard,
    Schedule,
    TimeSeriesMomentum,
    TrendVol,
    VolTarget,
)
from tests.builders import T0, Run, a_contract, a_market, a_product, a_row, a_spec, a_tape, cut, run
from tests.properties.agreement import agree


class Told(Struct, frozen=True):
    """The next review, how many there were, the mark at the last and all that was ever seen."""

    next_ns: int = 0
    count: int = 0
    mark: float = 0.0
    seen: str = ""


class Teller(Struct, frozen=True):
    """Sees everything on a grid, and tells it in its reason, to the last bit, every so many
    reviews; with ``move`` also where the price moved by that share of itself since it was asked
    last."""

    uses_signals: ClassVar[bool] = True
    uses_high_water: ClassVar[bool] = True
    de_risking: ClassVar[bool] = False
    is_pure: ClassVar[bool] = True

    review_ns: int = 10 * SECOND_NS
    every: int = 7
    move: float = 0.0

    def initial_state(self) -> Told:
        return Told()

    def watch(self, view: View, state: Told) -> Watch:
        alarm_ns = state.next_ns or self._after(view.due_ns)
        if not self.move or not state.mark:
            return Watch(alarm_ns=alarm_ns)
        return Watch(state.mark * (1.0 - self.move), state.mark * (1.0 + self.move), alarm_ns)

    def decide(self, view: View, state: Told) -> tuple[Decision | None, Told]:
        mark = view.market.mark
        if view.due_ns < state.next_ns:
            if not self.move or abs(mark / state.mark - 1.0) < self.move * 0.999:
                return None, state
            return self._said(view, state), Told(state.next_ns, state.count + 1, mark)
        seen = sha256(f"{state.seen} {view.market}".encode()).hexdigest()
        told = Told(self._after(view.due_ns), state.count + 1, mark, seen)
        return (None if told.count % self.every else self._said(view, state)), told

    def _said(self, view: View, state: Told) -> Decision:
        return SetLeverage(1.0 + state.count % 2, f"{view.market} {view.position}")

    def _after(self, ts_ns: int) -> int:
        return (ts_ns // self.review_ns + 1) * self.review_ns


START_NS = T0 + 6_000 * SECOND_NS
"""Six minutes before a funding instant."""
ROWS = 1_500
SETTLED = tuple((START_NS + n * 170 * SECOND_NS, 0.0003 * (-1) ** n * n) for n in range(1, 9))
SEEDS = range(8)
POLICIES: tuple[tuple[Any, ...], ...] = (
    (VolTarget(review_s=30.0, step=0.4), MarginFloor()),
    (VolTarget(direction=-1, estimator="parkinson", review_s=20.0, step=0.5),),
    (VolTarget(estimator="realised", scaled_by="variance", review_s=30.0, step=0.6),),
    (KellyCapped(expected_return=8.0, review_s=15.0, step=0.3),),
    (TrendVol(review_s=30.0, fast_move=0.004),),
    (TrendVol(direction=-1, review_s=45.0, fast_move=0.01, step=0.5), MarginFloor()),
    (Constant(target=2.0, review_s=25.0, step=0.01),),
    (Constant(target=-2.0, review_s=60.0),),
    (DrawdownControl(review_s=10.0, step=0.2),),
    (Cppi(review_s=20.0, step=0.1),),
    (TimeSeriesMomentum(lookback=4, review_s=30.0, step=0.3),),
    (LeverageBand(target=3.0, low=2.97, high=3.03), VolTarget(review_s=60.0, step=9.0)),
    (Constant(target=3.0, review_s=300.0), OneSidedGuard(target=3.0, move=0.01)),
    (Schedule(target=-3.0, every_s=120.0),),
)
TELLERS: tuple[tuple[Any, ...], ...] = (
    (Teller(),),
    (Teller(review_ns=120 * SECOND_NS, every=5, move=0.001),),
    (Teller(review_ns=15 * SECOND_NS, every=11, move=0.003), MarginFloor()),
)


def a_spec_of(seed: int) -> EngineSpec:
    """Those that tell, and six other policies, on one or two markets."""
    chance = Random(seed)
    markets = tuple(_a_market(chance, symbol) for symbol in range(1 + seed % 2))
    products = [
        (
            a_product(
                f"P{number}",
                chance.randrange(len(markets)),
                seed_atoms=10**11,
                latency_ns=chance.choice((0, 0, SECOND_NS, 30 * SECOND_NS)),
                management_fee=chance.choice((0.0, 0.0001)),
                fee_every_ns=300 * SECOND_NS,
                holdings=((0, 10**9),),
            ),
            policies,
        )
        for number, policies in enumerate([*TELLERS, *chance.sample(POLICIES, 6)])
    ]
    every_ns = chance.choice((0, SECOND_NS, 7 * SECOND_NS))
    users_ns = chance.choice((0, 40 * SECOND_NS))
    sampling = Sampling(nav_every_ns=every_ns, user_nav_every_ns=users_ns)
    return a_spec(*products, markets=markets, users=("alice",), sampling=sampling)


def _a_market(chance: Random, symbol: int) -> MarketSpec:
    thin = BookSpec(model="depth", depth_at_1pct=3e5, half_life_s=60.0)
    grid = SignalSpec(
        every_ns=chance.choice((10, 10, 90)) * SECOND_NS,
        vol_half_life=8.0,
        trend_half_life=12.0,
        window=9,
        stale_after=4,
    )
    return a_market(
        symbol,
        contract=a_contract(f"BTCUSDT{symbol}"),
        book=chance.choice((thin, BookSpec(model="flat", half_spread_bps=1.0))),
        funding=chance.choice(
            (
                FundingSpec(recorded=True),
                FundingSpec(recorded=False, instants=SETTLED),
            )
        ),
        mark_source=chance.choice(("mark", "mark", "mid", "last")),
        signals=grid,
        stale_after_ns=60 * SECOND_NS,
        frozen_after_ns=300 * SECOND_NS,
    )


def a_long_tape(seed: int, symbols: int) -> Step:
    """A row of each kind now and then, some seconds apart; a market that moves, stands still and
    falls; a request and commands."""
    chance, ts_ns, rows = Random(seed), START_NS, []
    prices = [20_000.0 * (1 + symbol) for symbol in range(symbols)]
    for row in range(ROWS):
        ts_ns += chance.choice((SECOND_NS, SECOND_NS, SECOND_NS, 0, 10**8, 3 * SECOND_NS))
        if row % 400 == 399:
            ts_ns += chance.choice((35, 100, 700)) * SECOND_NS
        elif chance.random() < 0.1:  # on the grids of reviews and signals
            ts_ns += -ts_ns % (10 * SECOND_NS)
        symbol = chance.randrange(symbols)
        wild = 8.0 if row % 500 > 440 else 1.0
        prices[symbol] *= 1.0 + chance.gauss(0.0, 0.0002) * wild * (chance.random() < 0.9)
        rows += _rows(chance, ts_ns, symbol, prices[symbol])
        if chance.random() < 0.004:
            rows.append(_message(chance, row, ts_ns))
    return a_tape(rows)


def _rows(chance: Random, ts_ns: int, symbol: int, price: float) -> list[Any]:
    made: list[Any] = []
    if chance.random() < 0.3:
        bid = (price * 0.9999, 1.0, price * 1.0001, 1.0)
        made.append(a_row(Kind.BBO, ts_ns, *bid, symbol=symbol))
    if chance.random() < 0.3:
        made.append(a_row(Kind.TRADE, ts_ns, price, 1.0, 1, -1, symbol=symbol))
    if chance.random() < 0.05:
        made.append(a_row(Kind.INDEX, ts_ns, price * 0.999, symbol=symbol))
    if chance.random() < 0.05:
        next_ns = (ts_ns // (8 * 3_600 * SECOND_NS) + 1) * 8 * 3_600 * SECOND_NS
        rate = chance.choice((0.0001, 0.0004))
        made.append(a_row(Kind.FUNDING, ts_ns, rate, next_ns, symbol=symbol))
    return [*made, a_row(Kind.MARK, ts_ns, price, symbol=symbol)]


def _message(chance: Random, row: int, ts_ns: int) -> Any:
    product = f"P{chance.randrange(9)}"
    return chance.choice(
        (
            CreationRequest(ts_ns=ts_ns, id=f"c{row}", product=product, user="alice", quote=5.0),
            PauseProduct(ts_ns=ts_ns, id=f"p{row}", product=product),
            ResumeProduct(ts_ns=ts_ns, id=f"r{row}", product=product),
            ThinBook(
                ts_ns=ts_ns, id=f"t{row}", symbol="BTCUSDT0", scale=0.5, until_ns=ts_ns + SECOND_NS
            ),
        )
    )


@cache
def whole(seed: int) -> tuple[EngineSpec, Step, Run]:
    spec = a_spec_of(seed)
    tape = a_long_tape(seed, len(spec.markets))
    return spec, tape, run(spec, tape)


@pytest.mark.parametrize("seed", SEEDS)
def test_one_step_says_what_rows_one_by_one_say(seed: int) -> None:
    """The output log, wakes, empty wakes and the state are the same. Catches a review that is
    passed though a row before it woke its product, a view of a time that has not come, edges that
    were not armed anew, and a grid of signals that was led too far."""
    spec, tape, said = whole(seed)
    engine = Engine(spec)
    single = Run(engine)
    for step in cut(tape, range(1, len(tape))):
        single.take(engine.process(step))
    single.take(engine.finish())
    assert single.lines == said.lines
    assert engine.digest() == said.engine.digest()
    assert engine.state.wakes == said.engine.state.wakes
    assert engine.state.wakes_empty == said.engine.state.wakes_empty
    assert state_digest(engine) == state_digest(said.engine)


@pytest.mark.parametrize("seed", SEEDS)
def test_steps_of_any_length_leave_the_same_state(seed: int) -> None:
    """Cut at random into a few long steps: the state after each is that of the same rows in other
    steps. Catches what a step keeps of its views."""
    spec, tape, _ = whole(seed)
    chance = Random(seed)
    places = sorted(chance.sample(range(1, len(tape)), 5))
    long, short = Engine(spec), Engine(spec)
    for step in cut(tape, places):
        long.process(step)
        for part in cut(step.shifted(-step.first), range(7, len(step), 7)):
            short.process(part.shifted(step.first))
        assert state_digest(long) == state_digest(short)


@pytest.mark.parametrize("seed", [0, 3])
def test_the_slow_engine_agrees(seed: int) -> None:
    """It asks every product at every row. Catches what all ways of cutting have wrong alike."""
    spec, tape, _ = whole(seed)
    agree(spec, tape.between(0, len(tape) // 3))


@pytest.mark.interpreted
def test_reviews_between_two_points_of_the_grid_are_passed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A review a second, signals every 90 of them, steps of 40: too short for more than one point.
    Catches signals that stand still behind their next point, and reviews that are walked to because
    none is worked out."""
    passed, right = [0], Handler.review

    def counted(self: Handler, scene: Any, market: Any, due_ns: int) -> bool | None:
        changed = right(self, scene, market, due_ns)
        passed[0] += changed is not None
        return changed

    monkeypatch.setattr(Handler, "review", counted)
    chance, prices = Random(1), [20_000.0]
    while len(prices) < 300:
        prices.append(prices[-1] * (1.0 + chance.gauss(0.0, 0.0005)))
    rows = [a_row(Kind.MARK, START_NS + n * SECOND_NS, price) for n, price in enumerate(prices)]
    spec = a_spec(
        (a_product("P", 0), (Teller(review_ns=SECOND_NS, every=31),)),
        markets=(a_market(signals=SignalSpec(every_ns=90 * SECOND_NS, window=3)),),
        sampling=Sampling(nav_every_ns=0),
    )
    tape = a_tape(rows)
    agree(spec, tape)
    passed[0] = 0
    engine = Engine(spec)
    for step in cut(tape, range(40, len(tape), 40)):
        engine.process(step)
    assert passed[0] > 200


def test_reviews_beside_other_alarms_see_what_was_traded_before_them() -> None:
    """Three products on one grid and one thin book; fees at every fifth review ring with them, and
    who comes first trades at every third. Catches a view that was put together before that trade,
    and reviews beside a fee that are passed as if it rang later."""
    spec = a_spec(
        *(
            (
                a_product(f"P{every}", 0, management_fee=0.01, fee_every_ns=50 * SECOND_NS),
                (Teller(every=every),),
            )
            for every in (3, 4, 1_000)
        ),
        markets=(a_market(book=BookSpec(model="depth", depth_at_1pct=3e5, half_life_s=60.0)),),
        sampling=Sampling(nav_every_ns=0),
    )
    chance, prices = Random(2), [20_000.0]
    while len(prices) < 900:
        prices.append(prices[-1] * (1.0 + chance.gauss(0.0, 0.0005)))
    rows = [a_row(Kind.MARK, START_NS + n * SECOND_NS, price) for n, price in enumerate(prices)]
    tape = a_tape(rows)
    said = agree(spec, tape)
    single = Engine(spec)
    for step in cut(tape, range(1, len(tape))):
        single.process(step)
    single.finish()
    assert state_digest(single) == state_digest(said.engine)


class Cue(Struct, frozen=True):
    """The next review, how many there were, and the price that it waits about."""

    next_ns: int = 0
    count: int = 0
    mark: float = 0.0


class Narrowing(Struct, frozen=True):
    """Wants nothing on its grid, and after so many reviews, without a word, to be woken by a move
    of a thousandth."""

    uses_signals: ClassVar[bool] = False
    uses_high_water: ClassVar[bool] = False
    de_risking: ClassVar[bool] = False
    is_pure: ClassVar[bool] = True

    after: int = 12
    review_ns: int = 10 * SECOND_NS

    def initial_state(self) -> Cue:
        return Cue()

    def watch(self, view: View, state: Cue) -> Watch:
        alarm_ns = state.next_ns or self._after(view.due_ns)
        if state.count < self.after:
            return Watch(alarm_ns=alarm_ns)
        return Watch(state.mark * 0.999, state.mark * 1.001, alarm_ns)

    def decide(self, view: View, state: Cue) -> tuple[Decision | None, Cue]:
        if view.due_ns >= state.next_ns:
            return None, Cue(self._after(view.due_ns), state.count + 1, view.market.mark)
        if state.count < self.after or abs(view.market.mark / state.mark - 1.0) < 0.00099:
            return None, state
        return SetLeverage(2.0, "it moved"), Cue(state.next_ns, -10_000, view.market.mark)

    def _after(self, ts_ns: int) -> int:
        return (ts_ns // self.review_ns + 1) * self.review_ns


def test_a_review_that_comes_closer_wakes_at_the_next_rows() -> None:
    """Thirty reviews on a still market; after the twelfth a move that mattered to nobody before.
    Catches rows that were looked through under the edges of before (planted: the scan goes on)."""
    prices = [20_000.0] * 125 + [20_100.0] * 180
    rows = [a_row(Kind.MARK, START_NS + n * SECOND_NS, price) for n, price in enumerate(prices)]
    spec = a_spec(
        (a_product("P", 0), (Narrowing(),)),
        markets=(a_market(),),
        sampling=Sampling(nav_every_ns=0),
    )
    (sent,) = agree(spec, a_tape(rows)).named("order_sent")
    assert sent.ts_ns == START_NS + 125 * SECOND_NS


def test_a_step_is_let_go_once_it_is_through() -> None:
    """Nothing of the engine holds its columns: who works path after path has one in memory, and
    waits for no collector of cycles. Catches views that were looked up ahead, and the columns of a
    scan, kept until the next step."""
    spec = a_spec(
        (a_product("P", 0), (VolTarget(review_s=30.0), MarginFloor())), markets=(a_market(),)
    )
    rows = [a_row(Kind.MARK, START_NS + n * SECOND_NS, 20_000.0 + n % 7) for n in range(600)]
    engine, step = Engine(spec), a_tape(rows)
    price = step.tables[0].price  # type: ignore[attr-defined]  # marks have it
    engine.process(step)
    assert engine.state.wakes > 10, "reviews were passed"
    del step
    gc.disable()
    try:
        assert not any(isinstance(each, Column) for each in gc.get_referrers(price))
    finally:
        gc.enable()

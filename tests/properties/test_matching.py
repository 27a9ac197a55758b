"""Orders on a recorded book, against the slow engine's plain one: same log, wherever it is cut, and
after a restart at any row."""

from __future__ import annotations

from collections import Counter
from functools import cache
from random import Random
from typing import Any

import pytest

from engine.engine import Engine, EngineSpec
from engine.events import OrderFilled, OrderRested
from engine.plans import LimitThenMarket
from engine.snapshot import restore, snapshot, state_digest
from engine.ticks import Kind, Step
from engine.units import SECOND_NS
from engine.venue.book import BookSpec
from engine.venue.queue import QueueSpec
from strategies import LeverageBand, MarginFloor, Schedule, TrendVol
from tests.builders import T0, Run, a_contract, a_market, a_product, a_row, a_spec, a_tape, cut, run
from tests.properties.agreement import agree, reference
from tests.properties.observers import Ratchet
from tests.properties.rich import happened
from tests.properties.test_partition import ticks_of

SEEDS = range(8)
ROWS = 1_000
STEP = 0.5


def waits(**limit: Any) -> LimitThenMarket:
    """For eight seconds."""
    return LimitThenMarket(timeout_s=8.0, **limit)


def a_book_spec(*, inverse: bool = False, model: Any = "recorded") -> EngineSpec:
    """Products that trade often, at once and late, at market and at a limit, on one book."""
    band = LeverageBand(target=3.0, low=2.985, high=3.015)
    late = {"latency_ns": 250_000_000, "retry_ns": 300_000_000}
    size = {"seed_atoms": 3 * 10**10}
    small = {"seed_atoms": 10**10}
    market = a_market(
        contract=a_contract("BTC", inverse=inverse, price_step=STEP, maker_fee=0.0001),
        book=BookSpec(
            model=model,
            half_life_s=3.0,
            depth_at_1pct=1e6,
            queue=QueueSpec(model="log") if inverse else QueueSpec(exponent=2.0),
        ),
        stale_after_ns=8 * SECOND_NS,
    )
    return a_spec(
        (a_product("BAND", **size), (band,)),
        (a_product("LATE", **size, **late), (band,)),
        (a_product("SHORT", **size, **late), (LeverageBand(target=-2.0, low=1.95, high=2.05),)),
        (a_product("CLOCK", **size), (Schedule(target=1.5, every_s=5.0),)),
        (a_product("TREND", **size), (TrendVol(review_s=10.0, fast_move=0.01, step=0.05),)),
        (a_product("WAITS", **small, plan=waits(offset_bps=0.0)), (band,)),
        (
            a_product("WAITS2", **small, **late, plan=waits(offset_bps=4.0)),
            (band, MarginFloor(max_leverage=3.025, cut_to=2.99)),
        ),
        (a_product("WAITS3", **size, plan=waits(offset_bps=-1.0)), (Ratchet(every_s=3),)),
        (
            a_product("POST", **small, **late, plan=waits(offset_bps=-0.6, post_only=True)),
            (
                LeverageBand(target=-2.0, low=1.99, high=2.01),
                MarginFloor(max_leverage=2.012, cut_to=1.9),
            ),
        ),
        (
            a_product("WHOLE", **size, plan=waits(offset_bps=-2.0, time_in_force="fok")),
            (Schedule(target=2.0, every_s=6.0), LeverageBand(target=2.0, low=1.99, high=2.01)),
        ),
        (
            a_product("PART", **size, plan=waits(offset_bps=-1.0, time_in_force="ioc")),
            (LeverageBand(target=2.5, low=2.47, high=2.53),),
        ),
        markets=[market],
        users=("alice",),
    )


def a_book_tape(random: Random, rows: int, *, inverse: bool = False) -> Step:
    """Marks, quotes, trades, and a book of half-coin levels that is now and then crossed, empty on
    one side, silent, or given whole again."""
    return a_tape(_BookGrower(random, inverse).grow(rows))


class _BookGrower:
    def __init__(self, random: Random, inverse: bool) -> None:
        self.random = random
        self.unit = 20_000.0 if inverse else 1.0
        self.ts_ns, self.tick, self.trade_id = T0, 40_000, 0
        self.imaged, self.deaf_ns = False, 0
        self.rows: list[Any] = []

    def grow(self, rows: int) -> list[Any]:
        random = self.random
        while len(self.rows) < rows:
            self.ts_ns += random.choice((0, 1, 10**7, 10**8, 10**8, SECOND_NS))
            if random.random() < 0.003:
                self.ts_ns += 20 * SECOND_NS
            calm = random.random() < 0.9
            self.tick += round(random.gauss(0.0, 0.6 if calm else 25.0))
            draw = random.random()
            if draw < 0.35:
                self.add(Kind.MARK, self.tick * STEP)
            elif draw < 0.45:
                self.add(Kind.BBO, (self.tick - 1) * STEP, 1.0, self.tick * STEP, 1.0)
            elif draw < 0.65:
                self.trade_id += 1
                price = (self.tick + random.randint(-2, 2)) * STEP
                side = random.choice((-1, 0, 1))
                size = self.size() * random.choice((0.01, 0.1, 1.0))
                self.add(Kind.TRADE, price, size, side, self.trade_id)
            elif self.ts_ns < self.deaf_ns:
                continue
            elif draw < 0.67 or (not self.imaged and len(self.rows) > 40):
                self.image()
                self.imaged = True
            elif draw < 0.68:
                self.deaf_ns = self.ts_ns + 15 * SECOND_NS
            else:
                self.update()
        return self.rows[:rows]

    def add(self, kind: Kind, *values: float) -> None:
        self.rows.append(a_row(kind, self.ts_ns, *values))

    def size(self) -> float:
        return self.random.randint(1, 900) / 1000 * self.unit

    def image(self) -> None:
        """Both sides anew, sometimes with a single bid."""
        for side in (1, -1):
            count = 1 if self.random.random() < 0.1 else 12
            for n in range(count):
                price = (self.tick - side * (1 + 2 * n)) * STEP
                self.add(Kind.LEVEL, side, price, self.size(), 1 if n == 0 else 2)

    def update(self) -> None:
        """Some levels around the price; what they leave on the wrong side of it goes."""
        for _ in range(self.random.randint(1, 6)):
            side = self.random.choice((1, -1))
            away = self.random.randint(1, 30)
            size = self.size() if self.random.random() < 0.6 else 0.0
            self.add(Kind.LEVEL, side, (self.tick - side * away) * STEP, size, 0)
        if self.random.random() < 0.97:
            for side in (1, -1):
                for away in range(40):
                    if self.random.random() < 0.9:
                        self.add(Kind.LEVEL, side, (self.tick + side * away) * STEP, 0.0, 0)


@cache
def _run(
    seed: int, *, inverse: bool = False, model: str = "recorded"
) -> tuple[EngineSpec, Step, Run]:
    spec = a_book_spec(inverse=inverse, model=model)
    tape = a_book_tape(Random(seed), ROWS, inverse=inverse)
    return spec, tape, run(spec, tape)


@pytest.mark.parametrize("model", ["recorded", "depth", "flat"])
@pytest.mark.parametrize("inverse", [False, True])
@pytest.mark.parametrize("seed", SEEDS)
def test_the_log_is_that_of_a_plain_book(seed: int, inverse: bool, model: str) -> None:
    """The slow engine keeps two dictionaries, writes every row down as it comes and lets it go by
    every order that rests; the log is the same, cut at three rows or not. Catches a row folded or
    matched too early, too late or not at all, and any other order of rounding."""
    spec, tape, _ = _run(seed, inverse=inverse, model=model)
    random = Random(seed)
    agree(spec, tape, [random.randrange(ROWS) for _ in range(3)])


def test_the_books_are_not_calm() -> None:
    """Sometimes: no image yet, crossed, silent, too thin, and whole."""
    counts: Counter[str] = Counter()
    for seed in SEEDS:
        counts += happened(_run(seed)[2], _run(seed, inverse=True)[2])
    reasons = ("no_image", "crossed", "silent", "no_depth", "limit")
    wanted = [f"order_unfilled {reason}" for reason in reasons]
    wanted += ["order_rejected would_cross", "order_rejected not_whole"]
    wanted += ["order_cancelled expired", "order_cancelled replaced"]
    missing = [what for what in wanted if not counts[what]]
    assert not missing, counts
    assert counts["order_filled"] > 300


@pytest.mark.parametrize("model", ["recorded", "depth"])
def test_the_queues_are_not_calm(model: str) -> None:
    """Sometimes: behind others and alone, filled whole and in part, as makers."""
    parts, behind, fills = 0, Counter[bool](), 0
    for seed in SEEDS:
        for inverse in (False, True):
            events = _run(seed, inverse=inverse, model=model)[2].events
            rested = {}
            for event in events:
                if isinstance(event, OrderRested):
                    rested[event.product, event.order] = event.lots
                    behind[event.ahead_lots == 0.0] += 1
                elif isinstance(event, OrderFilled) and event.maker:
                    fills += 1
                    parts += event.lots != rested[event.product, event.order]
    assert fills > 40
    assert parts > 3
    assert min(behind.values()) > 4, behind


@pytest.mark.parametrize("model", ["recorded", "depth"])
@pytest.mark.parametrize("size", [1, 7])
@pytest.mark.parametrize("seed", [0, 1])
def test_any_cut(seed: int, size: int, model: str) -> None:
    """Row by row, and in sevens: the same log, and the same state to the last byte. Catches a fold
    that depends on how many rows it gets, and levels in the order in which they were heard."""
    spec, tape, whole = _run(seed, model=model)
    parts = run(spec, tape, range(0, tape.end, size))
    assert parts.lines == whole.lines
    assert state_digest(parts.engine) == state_digest(whole.engine)


@pytest.mark.parametrize("model", ["recorded", "depth"])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_single_ticks(seed: int, model: str) -> None:
    """Live ticks, one at a time: the same. Catches a quote or a trade that passes a gate while an
    order rests in its market."""
    spec, tape, whole = _run(seed, model=model)
    engine = Engine(spec)
    said = Run(engine)
    for tick in ticks_of(tape):
        said.take(engine.process_tick(tick))
    said.take(engine.finish())
    assert said.lines == whole.lines
    assert state_digest(engine) == state_digest(whole.engine)


@pytest.mark.parametrize("seed", [2, 3])
def test_a_restart_anywhere(seed: int) -> None:
    """A snapshot at 40 random rows, restored, goes on as if nothing had been; the snapshot of what
    was restored is the same bytes. Catches levels or takings that a snapshot leaves out."""
    spec, tape, whole = _run(seed)
    random, engine = Random(seed), Engine(spec)
    said = Run(engine)
    resting = 0
    for step in cut(tape, [random.randrange(ROWS) for _ in range(40)]):
        said.take(engine.process(step))
        kept = snapshot(engine)
        resting += any(market.resting for market in engine.markets)
        engine = restore(spec, kept)
        assert snapshot(engine) == kept
    said.take(engine.finish())
    assert said.lines == whole.lines
    assert resting > 5


def test_the_reference_is_asked() -> None:
    """The comparison would notice: with another half-life the logs differ."""
    spec, tape, said = _run(0)
    book = BookSpec(model="recorded", half_life_s=30.0)
    (market,) = spec.markets
    other = a_spec(
        *zip(spec.products, spec.policies, strict=True),
        markets=[a_market(contract=market.contract, book=book, stale_after_ns=8 * SECOND_NS)],
        users=("alice",),
    )
    assert reference(other, tape).log.lines != said.lines

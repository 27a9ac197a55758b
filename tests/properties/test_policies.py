"""The four properties with every built-in policy, in every regime, on every book.

One run holds a product of each of the policies' examples, with latencies and fees in turn, so that
the matrix of policy, regime and book is a dozen runs.
"""

from __future__ import annotations

import math
from functools import cache
from random import Random
from typing import Any

import pytest

from engine.engine import Engine, EngineSpec
from engine.snapshot import restore, snapshot
from engine.ticks import Kind, Step
from engine.units import SECOND_NS
from engine.venue.book import BookSpec
from engine.venue.funding import FundingSpec
from strategies import Constant, LeverageBand, MarginFloor, TrendVol
from tests.builders import T0, Run, a_market, a_product, a_row, a_spec, a_tape, cut, run
from tests.properties.agreement import agree
from tests.properties.observers import Fallible
from tests.properties.tapes import a_random_tape
from tests.properties.test_causality import assert_same_until, with_another_future
from tests.properties.test_conservation import check
from tests.strategies.check_policy import EXAMPLES

ROWS = 125
BOOKS = {
    "flat": BookSpec(model="flat", half_spread_bps=1.0),
    "thin": BookSpec(model="depth", depth_at_1pct=2e5, half_life_s=20.0),
}
LATENCIES_NS = (0, 0, 250_000_000, 12 * SECOND_NS)
GUARDS = ("margin_floor", "margin_level", "one_sided_guard", "restrike")
"""They guard what others hold."""
REGIMES = ("calm", "trend", "crash", "whipsaw", "gaps")


def spec_of(book: str) -> EngineSpec:
    """A product of every example, and three whose policy faults."""
    products: list[Any] = []
    for name, examples in EXAMPLES.items():
        for policy in examples:
            target = getattr(policy, "target", 3.0)
            opener = (Constant(target=target, review_s=1e7),) if name in GUARDS else ()
            quoted = name == "fixed_term"
            own = (policy,) if quoted else (*opener, policy, MarginFloor())
            nav = "quoted" if quoted else "basket"
            products.append(_a_product(len(products), name, own, nav))
    band = LeverageBand(target=3.0, low=2.9, high=3.1)
    quick = TrendVol(review_s=10.0, fast_move=0.005, step=0.0)
    for answer in (None, math.nan, 99.0):
        fallible = Fallible(every_s=20, answer=answer)
        own = (band, fallible, quick, MarginFloor(max_leverage=4.0))
        product, policies = _a_product(len(products), "faulting", own)
        changed = {"safe_mode": "cut", "safe_leverage": 0.5}
        products.append((_with(product, **changed), policies))
    market = a_market(
        book=BOOKS[book],
        funding=FundingSpec(recorded=False, rate_8h=0.0003),
        stale_after_ns=120 * SECOND_NS,
        frozen_after_ns=600 * SECOND_NS,
    )
    return a_spec(*products, markets=(market,), users=("alice",))


def _a_product(number: int, name: str, policies: tuple[Any, ...], nav: str = "basket") -> Any:
    product = a_product(
        f"{name}-{number}",
        seed_atoms=10**11,
        holdings=((0, 10**9),),
        nav=nav,
        latency_ns=LATENCIES_NS[number % len(LATENCIES_NS)],
        management_fee=0.0001 * (number % 2),
        fee_every_ns=300 * SECOND_NS,
    )
    return product, policies


def _with(product: Any, **fields: Any) -> Any:
    return product.__class__(**{n: getattr(product, n) for n in product.__struct_fields__} | fields)


@cache
def tape_of(regime: str) -> Step:
    """Marks, some seconds apart, from 2 minutes before a funding instant."""
    chance, price, ts_ns, rows = Random(regime), 20_000.0, T0 + 6_280 * SECOND_NS, []
    for row in range(ROWS):
        ts_ns += chance.choice((1, 3, 10, 10, 25)) * SECOND_NS
        move = chance.gauss(0.0, 0.0004)
        if regime == "trend":
            move += 0.001 if row < ROWS * 2 // 3 else -0.0015
        elif regime == "crash":
            move = move * 5 - (0.01 if 60 < row < 95 else 0.0) + (0.012 if 100 < row < 120 else 0)
        elif regime == "whipsaw":
            move += 0.012 * (-1) ** (row // 6)
        elif regime == "gaps" and row % 25 == 24:
            ts_ns += chance.choice((130, 700, 4_000)) * SECOND_NS
            move = chance.choice((-0.12, 0.1, 0.03))
        price *= 1.0 + move
        rows.append(a_row(Kind.MARK, ts_ns, price))
    return a_tape(rows)


@cache
def whole(regime: str, book: str) -> Run:
    return run(spec_of(book), tape_of(regime))


def restarted(spec: EngineSpec, tape: Step, places: list[int]) -> Run:
    """The run with a snapshot, a restart and a look at the money at each place."""
    engine = Engine(spec)
    said = Run(engine)
    for step in cut(tape, places):
        said.take(engine.process(step))
        check(engine)
        engine = said.engine = restore(spec, snapshot(engine))
    said.take(engine.finish())
    return said


@pytest.mark.parametrize("book", BOOKS)
@pytest.mark.parametrize("regime", REGIMES)
def test_every_policy_in_every_regime(regime: str, book: str) -> None:
    """The slow engine says the same; cut, stopped and restored the engine does, too, and the money
    is all there. Catches a watch that is later than its decision on real books and latencies, and a
    state that a snapshot loses."""
    said, tape, spec = whole(regime, book), tape_of(regime), spec_of(book)
    agree(spec, tape)
    places = sorted(Random(regime).sample(range(1, tape.end), 6))
    again = restarted(spec, tape, places)
    assert again.lines == said.lines
    assert again.engine.digest() == said.engine.digest()


def test_every_policy_at_its_own_edges() -> None:
    """On prices a few ulps from the edges and times a nanosecond from the alarms. Catches an edge
    that lies a hair beyond its decision."""
    spec = spec_of("flat")
    agree(spec, a_random_tape(Random(11), spec, 100))


@pytest.mark.parametrize("regime", ["trend", "gaps"])
def test_no_policy_sees_the_future(regime: str) -> None:
    """With all prices from a row on replaced, nobody says anything else before it. Catches a policy
    that looks ahead."""
    said, tape = whole(regime, "flat"), tape_of(regime)
    for at in (40, 110):
        other = run(spec_of("flat"), with_another_future(tape, at))
        assert_same_until(said, other, at)
        assert other.lines != said.lines


def test_the_matrix_is_no_idle_one() -> None:
    """Every policy trades or closes somewhere; those that only guard, in a crash. Catches products
    that nobody ever woke."""
    busy = {
        event.product
        for regime in REGIMES
        for event in whole(regime, "flat").named(
            "rebalanced", "deleveraged", "product_closed", "product_warned"
        )
        if not getattr(event, "opening", False)
    }
    names = {name.rpartition("-")[0] for name in busy}
    assert names == {*EXAMPLES, "faulting"}


def test_a_product_in_safe_mode_is_cut_and_only_reduced() -> None:
    """After the fault one cut to the floor, and no rebalance ever after. Catches a safe mode that
    its other policies undo."""
    said = whole("calm", "flat")
    faulting = {p.id for p in spec_of("flat").products if p.safe_mode == "cut"}
    for name in faulting:
        own = [e for e in said.events if getattr(e, "product", "") == name]
        fault = next(n for n, e in enumerate(own) if type(e).__name__ == "PolicyFaulted")
        assert own[fault].safe_mode == "cut"
        after = [e for e in own[fault:] if type(e).__name__ in ("Rebalanced", "Deleveraged")]
        cuts = [e for e in after if e.reason.startswith("safe mode")]
        assert len(cuts) == 1
        assert cuts[0].target == 0.5
        later = after[after.index(cuts[0]) + 1 :]
        assert all(type(e).__name__ == "Deleveraged" for e in later)

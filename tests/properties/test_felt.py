"""Feedback: what is traded moves the price, and nothing else does."""

from __future__ import annotations

import math
from collections import Counter
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from msgspec import structs
from msgspec.structs import replace

from engine.commands import MaskIndex, ThinBook
from engine.engine import Engine, EngineSpec
from engine.plans import LimitThenMarket
from engine.sampler import Sampling
from engine.snapshot import restore, snapshot, state_digest
from engine.summary import depth_left
from engine.ticks import Kind, Step
from engine.units import MINUTE_NS, SECOND_NS
from engine.venue.accounts import PositionSpec, TraderSpec
from engine.venue.book import BookSpec
from engine.venue.depth import DepthBook
from engine.venue.funding import FundingSpec
from engine.venue.funding_rate import MarginRates
from engine.venue.impact import WAVES_MAX, FeltBook, ImpactSpec, ImpactState
from engine.venue.price_rules import FundingRules
from engine.venue.rules import LiquidationRules, MarginRules, Tier
from engine.venue.taking import Top
from tests.builders import T0, Run, a_row, a_spec, a_tape, cut, run
from tests.properties.agreement import agree, difference, reference
from tests.properties.crowded import a_crowd
from tests.properties.felt import band, felt_spec, felt_tape

SEEDS = (1, 2, 3)


@pytest.mark.parametrize("seed", SEEDS)
def test_cut_anywhere(seed: int) -> None:
    """Row by row, in blocks, and restored at each cut, a market that feels says the same."""
    spec, tape = felt_spec(seed), felt_tape(seed)
    whole = run(spec, tape, check=True)
    assert len(whole.named("population_liquidated")) > 5
    for places in (range(tape.end), range(0, tape.end, 7)):
        said = run(spec, tape, places)
        assert said.lines == whole.lines
        assert said.engine.digest() == whole.engine.digest()
        assert state_digest(said.engine) == state_digest(whole.engine)
    engine = Engine(spec)
    said = Run(engine)
    for step in cut(tape, range(0, tape.end, 5)):
        said.take(engine.process(step))
        kept = snapshot(engine)
        engine = restore(spec, kept)
        assert snapshot(engine) == kept
    said.take(engine.finish())
    assert said.lines == whole.lines
    assert engine.digest() == whole.engine.digest()


@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_the_plain_engine_says_the_same(seed: int) -> None:
    """Point by point, everybody asked at each and again after each wave, the same is said."""
    spec, tape = felt_spec(seed), felt_tape(seed)
    found = difference(run(spec, tape), reference(spec, tape))
    assert found is None, found


def _records(said: Run, *products: str) -> list[dict[str, Any]]:
    """What was said of these products and of the population, without its place in the log."""
    found = []
    for event in said.events:
        fields = {name: getattr(event, name) for name in event.__struct_fields__}
        named = fields.get("product") in products or "population" in fields
        if named:
            for name in ("sequence", "ordinal"):
                del fields[name]
            found.append({"event": event.__struct_config__.tag, **fields})
    return found


@pytest.mark.parametrize("funded", [False, True])
@pytest.mark.parametrize("seed", SEEDS)
def test_the_idle_observer(seed: int, funded: bool) -> None:
    """A product that never trades but looks often, and another cadence of NAVs, change nobody's
    record: impact is felt, and premiums are taken, at fills and at points of the grid, not at
    wakes."""
    spec, tape = felt_spec(seed), felt_tape(seed, indexed=funded)
    if funded:
        spec = _funded(spec, PREMIUMS["linear"])
    plain = run(spec, tape)
    idle, _ = band(1.0, "IDLE")
    watching = (replace(spec.policies[0][0], target=1.0, low=0.999999, high=1.000001),)
    more = replace(
        spec,
        products=(*spec.products, replace(idle, kind="spot", seed_atoms=1)),
        policies=(*spec.policies, watching),
        sampling=Sampling(nav_every_ns=7 * SECOND_NS),
    )
    names = ("BTC3L", "BTC3S")
    watched = run(more, tape)
    assert watched.engine.state.wakes >= plain.engine.state.wakes
    assert _records(watched, *names) == _records(plain, *names)


def test_a_book_without_end_is_no_feedback() -> None:
    """Where fills move nothing, every NAV is that of the plain replay."""
    spec, tape = felt_spec(1, depth=1e30), felt_tape(2)
    (market,) = spec.markets
    spec = replace(spec, crowds=())
    felt = run(spec, tape)
    plain = run(replace(spec, markets=(replace(market, impact=None),)), tape)
    marks = dict(zip(plain.nav["ts_ns"], plain.nav["mark_price"], strict=True))
    same = 0
    for ts_ns, mark in zip(felt.nav["ts_ns"], felt.nav["mark_price"], strict=True):
        if ts_ns in marks:
            assert mark == marks[ts_ns]
            same += 1
    assert same > 100
    assert felt.engine.markets[0].state.impact.lasting == pytest.approx(0.0, abs=1e-15)


def test_a_cascade_falls_further_than_its_cause() -> None:
    """Waves of one instant, each liquidated by the fall that the one before made: with feedback
    more are liquidated by the same tape, and the mark ends below what the input says."""
    spec, tape = felt_spec(2, depth=1e6), felt_tape(2)
    (market,) = spec.markets
    felt = run(spec, tape, check=True)
    plain = run(replace(spec, markets=(replace(market, impact=None),)), tape, check=True)
    waves = felt.named("population_liquidated")
    again = [one for one, other in pairwise(waves) if one.ts_ns == other.ts_ns]
    assert again
    count = sum(event.positions for event in waves)
    assert count > sum(event.positions for event in plain.named("population_liquidated"))
    assert felt.engine.markets[0].state.impact.lasting != 0.0


def test_long_and_short_feed_the_move() -> None:
    """After a fall the 3x long sells to come down to its leverage, and the 3x short sells to come
    up to its own: both in the direction of the move; after a rise both buy."""
    for change, side in ((0.95, -1), (1.06, 1)):
        spec = replace(felt_spec(1), crowds=())
        found = run(spec, _leap(change)).named("rebalanced")
        own = {event.product for event in found}
        assert own == {"BTC3L", "BTC3S"}
        fills = run(spec, _leap(change)).named("order_filled")
        later = [event for event in fills if event.purpose != "opening"]
        assert {event.product for event in later} == {"BTC3L", "BTC3S"}
        assert all(event.lots * side > 0 for event in later)


def _leap(change: float) -> Step:
    return a_tape([100.0] * 5 + [100.0 * change] * 10)


def test_what_a_fill_moves() -> None:
    """A fill that reaches 1 % moves the middle by the permanent share of it at once and for good;
    the rest is halved after a half-life; a second order goes on where the first one ended."""
    spec = ImpactSpec(permanent=0.6, half_life_s=10.0)
    impact = ImpactState()
    book = FeltBook(DepthBook(depth_at_1pct=1e6, half_life_s=10.0), spec, impact)
    top = Top(100.0, 0.0, 0)
    book.take_limited(-1, 10_000, 1e6, None, top)
    assert impact.lasting == pytest.approx(-0.006)
    assert impact.passing == pytest.approx(-0.004)
    assert book.best(-1, Top(100.0 * impact.middle, 0.0, 0)) == pytest.approx(99.0, rel=1e-4)
    impact.settle(spec, 10 * SECOND_NS)
    assert impact.passing == pytest.approx(-0.002)
    impact.settle(spec, 3_600 * SECOND_NS)
    assert impact.passing == 0.0
    assert impact.lasting == pytest.approx(-0.006)


def test_what_was_withdrawn_comes_back_while_it_is_eaten() -> None:
    """A quarter of a book lets the same sale reach four times as far, and move its own middle so;
    for good it moves the price no further than on the whole book."""
    impacts = []
    for share in (1.0, 0.25):
        impact = ImpactState()
        book = DepthBook(depth_at_1pct=1e7, beta_near=1.0)
        book.survive(share, share, 0)
        FeltBook(book, ImpactSpec(), impact).take_limited(-1, 100, 2e6, None, Top(100.0, 0.0, 0))
        impacts.append(impact)
    assert impacts[0].lasting == pytest.approx(-0.0012)
    assert impacts[1].lasting == pytest.approx(-0.0012)
    assert impacts[1].passing == pytest.approx(-(0.008 - 0.0012))


def test_a_thin_book_is_felt_more() -> None:
    """The operator thins the book of a market that feels: the same tape moves it further, and the
    plain engine says the same."""
    thin = ThinBook(id="t", ts_ns=T0 + 20 * SECOND_NS, symbol="BTCUSDT", scale=0.3, until_ns=2**62)
    spec, tape = felt_spec(1, depth=3e7), felt_tape(1, message=thin)
    said, plain = run(spec, tape), run(spec, felt_tape(1))
    assert said.named("command_obeyed")
    lasting = [abs(each.engine.markets[0].state.impact.lasting) for each in (said, plain)]
    assert lasting[0] > lasting[1]
    found = difference(said, reference(spec, tape))
    assert found is None, found


def test_legs_and_survival_wherever_cut() -> None:
    """With funding to come, an index out of order for a while and a book that has collapsed, the
    plain engine says the same, and so does a run that is cut and restored everywhere."""
    mask = MaskIndex(id="m", ts_ns=T0 + 20 * SECOND_NS, symbol="BTCUSDT", for_ms=40_000)
    spec, tape = felt_spec(3), felt_tape(3, message=mask)
    (market,) = spec.markets
    market = replace(market, funding=FundingSpec(recorded=False, rate_8h=0.003))
    spec = replace(spec, markets=(market,))
    whole = run(spec, tape, check=True)
    assert whole.named("command_obeyed")
    assert whole.engine.markets[0].state.impact.survival.bid < 0.0
    found = difference(whole, reference(spec, tape))
    assert found is None, found
    engine = Engine(spec)
    said = Run(engine)
    for step in cut(tape, range(0, tape.end, 3)):
        said.take(engine.process(step))
        engine = restore(spec, snapshot(engine))
    said.take(engine.finish())
    assert said.lines == whole.lines
    assert engine.digest() == whole.engine.digest()


@pytest.mark.parametrize("both", [False, True])
def test_a_fill_before_the_point_of_its_instant(both: bool) -> None:
    """An account with positions in two markets falls by the price of the first, row or point: what
    is sold in the second, before its own point of that instant, is decaying at that point already.
    So says the plain engine, and so does a run that is cut and restored everywhere."""
    (market,) = _dominoes(1).markets
    tier = Tier(cap=1e12, max_leverage=50.0, rate=0.01)
    felt = replace(market, venue=replace(market.venue, margin=MarginRules(tiers=(tier,))))
    contract = replace(felt.contract, symbol="ETHUSDT")
    lots, moved = 10**8, ImpactSpec(half_life_s=2.0, survival=None)
    spec = a_spec(
        band(1.0, "A", seed_atoms=10**9),
        band(1.0, "B", market=1, seed_atoms=10**9),
        markets=(
            replace(felt, impact=moved if both else None),
            replace(felt, impact=moved, symbol=1, contract=contract),
        ),
        traders=(
            TraderSpec(
                id="joint",
                wallet_atoms=lots * 10,
                positions=tuple(PositionSpec(market=n, lots=lots, entry=100.0) for n in (0, 1)),
            ),
        ),
    )
    seconds = [T0 + second * SECOND_NS for second in range(12)]
    rows = []
    for ts_ns in seconds:
        rows.append(a_row(Kind.MARK, ts_ns, 100.0, symbol=1))
        rows.append(a_row(Kind.MARK, ts_ns, 100.0 if ts_ns < seconds[5] else 80.0))
    tape = a_tape(rows)
    whole = agree(spec, tape)
    fills = [event for event in whole.named("liquidation_filled") if event.symbol == "ETHUSDT"]
    assert {event.ts_ns for event in fills} == {seconds[5]}
    engine = Engine(spec)
    said = Run(engine)
    for step in cut(tape, range(tape.end)):
        said.take(engine.process(step))
        engine = restore(spec, snapshot(engine))
    said.take(engine.finish())
    assert said.lines == whole.lines
    assert said.nav["nav_atoms"].tolist() == whole.nav["nav_atoms"].tolist()
    assert state_digest(engine) == state_digest(whole.engine)


def test_orders_that_rest_are_struck_at_points() -> None:
    """A row of the very instant of a point fills orders that rest, which moves nothing; what nobody
    took goes on at market, and moves the price. The plain engine says the same."""
    plan = LimitThenMarket(offset_bps=20.0, timeout_s=3.0)
    (market,) = felt_spec(1).markets
    spec = a_spec(band(3.0, "BTC3L", seed_atoms=10**11, plan=plan), markets=(market,))
    rows: list[Any] = []
    for second in range(60):
        mark, ts_ns = 100.0 + second // 10 % 2 * 10.0 + second % 2 * 0.1, T0 + second * SECOND_NS
        rows.append(a_row(Kind.MARK, ts_ns, mark))
        if second < 25:
            for place, side in enumerate((-1, 1)):
                price = mark * (1.0 + side * 0.01)
                rows.append(a_row(Kind.TRADE, ts_ns, price, 30.0, side, 2 * second + place))
    said, pieces = agree(spec, a_tape(rows)), run(spec, a_tape(rows), range(0, len(rows), 2))
    assert pieces.lines == said.lines
    fills = said.named("order_filled")
    struck = [event for event in fills if event.maker]
    assert len(struck) == 3
    assert all(event.ts_ns % SECOND_NS == 0 for event in struck)
    assert said.engine.markets[0].state.impact.fills == len(fills) - len(struck) > 0


PREMIUMS = {
    "linear": FundingRules(
        interval_ns=MINUTE_NS,
        rate_interval_ns=MINUTE_NS,
        sample_ns=5 * SECOND_NS,
        impact_notional=5_000.0,
        cap_maintenance=0.75,
    ),
    "rolling": FundingRules(
        interval_ns=30 * SECOND_NS,
        rate_interval_ns=30 * SECOND_NS,
        offset_ns=15 * SECOND_NS,
        kernel="rolling",
        window_ns=2 * MINUTE_NS,
        sample_ns=SECOND_NS,
    ),
    "mid": FundingRules(
        interval_ns=MINUTE_NS,
        rate_interval_ns=MINUTE_NS,
        kernel="flat",
        premium="mid",
        sample_ns=2 * SECOND_NS,
        clamp=None,
    ),
}


def _funded(spec: EngineSpec, rules: FundingRules) -> EngineSpec:
    """With rates that are made of premiums."""
    (market,) = spec.markets
    impact = replace(market.impact, margins=MarginRates(0.02, 0.01))
    funding = FundingSpec(recorded=False, premium=rules)
    return replace(spec, markets=(replace(market, impact=impact, funding=funding),))


@pytest.mark.parametrize("kernel", sorted(PREMIUMS))
def test_funding_of_the_moved_price(kernel: str) -> None:
    """With rates made of the moved price's premium over the index, with an index out of order for a
    while and a thinned book, the plain engine says the same, and so does a run that is cut and
    restored everywhere."""
    seed = 1 + sorted(PREMIUMS).index(kernel)
    mask = MaskIndex(id="m", ts_ns=T0 + 20 * SECOND_NS, symbol="BTCUSDT", for_ms=40_000)
    thin = ThinBook(id="t", ts_ns=T0, symbol="BTCUSDT", scale=0.3, until_ns=T0 + 90 * SECOND_NS)
    spec = _funded(felt_spec(seed), PREMIUMS[kernel])
    tape = felt_tape(seed, message=(mask, thin)[seed % 2], indexed=True)
    whole = run(spec, tape, check=True)
    rates = {event.rate for event in whole.named("funding_settled")}
    assert len(rates) > 2
    assert min(rates) < 0.0
    found = difference(whole, reference(spec, tape))
    assert found is None, found
    engine = Engine(spec)
    said = Run(engine)
    for step in cut(tape, range(0, tape.end, 3)):
        said.take(engine.process(step))
        engine = restore(spec, snapshot(engine))
    said.take(engine.finish())
    assert said.lines == whole.lines
    assert engine.digest() == whole.engine.digest()
    assert state_digest(engine) == state_digest(whole.engine)


def _marks(spec: ImpactSpec, carry: float, passing: float, basis: float) -> float:
    at = [np.array([each]) for each in (100.0, carry, passing, basis)]
    return float(ImpactState(lasting=-0.01).marks(spec, *at)[0])


def test_the_mark_is_the_median_of_three() -> None:
    """The book far below its index moves the mark no further than the nearer of the other two legs,
    on either side; a mark of the book alone goes with it."""
    legs, alone = ImpactSpec(), ImpactSpec(mark="book")
    assert _marks(legs, 0.001, -0.05, -0.02) == pytest.approx(99.0 * 0.98)
    assert _marks(legs, -0.03, -0.05, -0.02) == pytest.approx(99.0 * 0.97)
    assert _marks(legs, 0.001, -0.05, -0.06) == pytest.approx(94.0)
    assert _marks(legs, 0.001, 0.0, 0.0) == 99.0
    assert _marks(alone, 0.001, -0.05, -0.02) == pytest.approx(94.0)


def test_the_basis_is_an_average_of_150_seconds() -> None:
    """A book that stays away from its index by a share has a basis of 1 - exp(-t / 150 s) of it;
    it is gone with the book's own distance."""
    spec = ImpactSpec(half_life_s=1e9)
    impact = ImpactState(passing=-0.01)
    impact.settle(spec, 150 * SECOND_NS)
    assert impact.basis == pytest.approx(-0.01 * (1.0 - math.exp(-1.0)), rel=1e-4)
    fast = ImpactSpec(half_life_s=1.0)
    impact.settle(fast, 7_200 * SECOND_NS)
    assert impact.is_still


def test_a_fall_takes_the_depth_with_it() -> None:
    """A fall of many deviations within five minutes leaves a share of the book, wider quotes and a
    larger move for the same order; ten half-lives later the book is whole again but for a
    thousandth of the collapse."""
    fall = [100.0] * 400 + [100.0 - 0.1 * n for n in range(60)] + [94.0] * 20
    spec = replace(felt_spec(1, depth=1e12), crowds=())
    market = run(spec, a_tape(fall)).engine.markets[0]
    state = market.state.impact.survival
    assert state.bid < -0.5
    assert state.ask < -0.5
    told = depth_left(market)
    assert told[-1][1:] == [2.0 ** state.minutes[-1][1], 2.0 ** state.minutes[-1][2]]
    assert told[-1][1] <= 2.0**state.bid < 0.8
    assert told[-1][1] != told[-1][2]
    engine = run(spec, a_tape(fall + [94.0] * 2_100)).engine
    late = engine.markets[0].state.impact.survival
    assert -0.01 < late.bid < 0.0
    calm = replace(spec.markets[0].impact, survival=None)
    still = replace(spec, markets=(replace(spec.markets[0], impact=calm),))
    assert run(still, a_tape(fall)).engine.markets[0].state.impact.survival.prices == []


def _dominoes(count: int) -> Any:
    """Longs that are short one after the other, each a little below what the sale of the one before
    makes of the mark."""
    spec = felt_spec(1)
    (market,) = spec.markets
    tier = Tier(cap=1e9, max_leverage=100.0, rate=0.005)
    venue = replace(
        market.venue,
        margin=MarginRules(tiers=(tier,)),
        liquidation=LiquidationRules(limit="none"),
    )
    book = replace(market.book, depth_at_1pct=1e5, beta_near=1.0, beta_far=1.0)
    impact = ImpactSpec(half_life_s=20.0, survival=None)
    lots, mark, positions = 10**8, 99.89, []
    for _ in range(count):  # each sale of 100 leaves 0.6 of how far it reaches in the price
        wallet = int(lots * (100.0 - (mark + 0.02) * (1.0 - tier.rate)))
        positions.append((lots, wallet, 100.0, 100.0))
        mark -= 99.89 * 0.6 * 100.0 * mark / 1e5 * 0.01
    fund = 10**13
    market = replace(market, venue=venue, book=book, impact=impact, insurance_atoms=fund)
    product, policies = band(1.0, "BTC1L", seed_atoms=10**7)
    return replace(
        spec,
        markets=(market,),
        crowds=(a_crowd(positions),),
        products=(product,),
        policies=(policies,),
    )


def test_waves_end_where_nobody_is_short() -> None:
    """Ten that fall one after the other fall at one instant, each in a wave of its own, and then
    nobody is short of margin at the mark."""
    spec, tape = _dominoes(10), a_tape([100.0] * 5 + [99.89] * 3)
    said = run(spec, tape, check=True)
    waves = said.named("population_liquidated")
    assert [each.positions for each in waves] == [1] * 10
    assert len({each.ts_ns for each in waves}) == 1
    assert said.engine.margins is not None
    assert not said.engine.margins.crowds.are_short()
    found = difference(said, reference(spec, tape))
    assert found is None, found


def test_waves_are_bounded() -> None:
    """Of ninety no more than one and sixty-four fall at one instant; the others at the next point,
    and none is forgotten."""
    spec = _dominoes(90)
    said = run(spec, a_tape([100.0] * 5 + [99.89] * 8), check=True)
    waves = said.named("population_liquidated")
    assert sum(each.positions for each in waves) == 90
    counts = Counter(each.ts_ns for each in waves)
    assert max(counts.values()) == 1 + WAVES_MAX
    assert len(counts) == 2


def _pushed(rules: FundingRules, index: float | None = None, **impact: Any) -> Run:
    """A million bought at the start in a book of a million within one per cent, evenly spread; the
    input says 100 throughout, and of its index that."""
    (market,) = felt_spec(1).markets
    book = BookSpec(model="depth", depth_at_1pct=1e6, beta_near=1.0, beta_far=1.0, half_life_s=1e12)
    felt = {"half_life_s": 1e12, "survival": None, "margins": MarginRates(0.02, 0.01), **impact}
    market = replace(
        market,
        book=book,
        impact=ImpactSpec(**felt),
        funding=FundingSpec(recorded=False, premium=rules),
        venue=replace(market.venue, margin=MarginRules()),
    )
    spec = a_spec(band(1.0, "BTC1L", seed_atoms=10**12), markets=(market,))
    rows = []
    for second in range(61):
        if index is not None:
            rows.append(a_row(Kind.INDEX, T0 + second * SECOND_NS, index))
        rows.append(a_row(Kind.MARK, T0 + second * SECOND_NS, 100.0))
    return run(spec, a_tape(rows), check=True)


def _rate(said: Run) -> float:
    (event,) = said.named("funding_settled")
    assert event.ts_ns == T0 + 40 * SECOND_NS
    return float(event.rate)


def test_a_rate_of_the_moved_price_by_hand() -> None:
    """A million bought reaches 1 %: 0.6 % stay, in the index too, 0.4 % are the book's own. Then
    5,000 are sold at 101 less half of 0.005 %, that is 0.395 % above the index of 100.6. The
    premium before the purchase is none, so the nine of the period average at 0.351 %; less the
    clamp that is the rate, or the cap is: three quarters of the maintenance margin of 1 %."""
    rules = FundingRules(
        interval_ns=MINUTE_NS,
        rate_interval_ns=MINUTE_NS,
        sample_ns=5 * SECOND_NS,
        kernel="flat",
        impact_notional=5_000.0,
    )
    premium = (101.0 * (1.0 - 0.000025) - 100.6) / 100.6
    assert premium == pytest.approx(0.003951, abs=1e-6)
    assert _rate(_pushed(rules)) == pytest.approx(premium * 8 / 9 - 0.0005, rel=1e-4)
    assert _rate(_pushed(rules, index=100.0)) == pytest.approx(premium * 8 / 9 - 0.0005, rel=1e-4)
    capped = structs.replace(rules, cap_maintenance=0.15)
    assert _rate(_pushed(capped)) == pytest.approx(0.0015)
    whole = _rate(_pushed(rules, permanent=1.0))
    assert whole == pytest.approx(0.0001)  # what stays is in the index too: only the interest


def test_the_inputs_own_basis_is_paid_too() -> None:
    """Where the input's index lies a per cent below its price the premium has that, too."""
    rules = FundingRules(
        interval_ns=MINUTE_NS,
        rate_interval_ns=MINUTE_NS,
        sample_ns=5 * SECOND_NS,
        kernel="flat",
        premium="mid",
        clamp=None,
        interest=0.0,
    )
    before, after = 100.0 / 99.0 - 1.0, 101.0 / (100.6 * 0.99) - 1.0
    said = _pushed(rules, index=99.0)
    assert _rate(said) == pytest.approx((before + 8 * after) / 9, rel=1e-4)

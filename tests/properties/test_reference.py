"""The heart writes the output log of the slow engine: same events, same lines, same NAVs."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.events import CreationRequest, RedemptionRequest
from engine.sampler import Sampling
from engine.signals import SignalSpec
from engine.ticks import Kind, Step
from engine.units import SECOND_NS
from engine.venue.book import BookSpec
from engine.venue.funding import FundingSpec
from feeds.recording import open_recording
from strategies import LeverageBand, MarginFloor, Schedule, TrendVol
from tests.builders import T0, a_contract, a_malformed, a_market, a_product, a_row, a_spec, a_tape
from tests.properties.agreement import agree
from tests.properties.observers import Looker
from tests.properties.rich import SEEDS, happened, rich_run, rich_spec, rich_tape
from tests.properties.tapes import a_random_spec, a_random_tape

EXAMPLES = 40
GRID_NS = (T0 // (10 * SECOND_NS) + 1) * 10 * SECOND_NS


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(seed=st.integers(0, 2**32 - 1), rows=st.integers(1, 260))
def test_any_tape(seed: int, rows: int) -> None:
    """On random products and a tape aimed at their edges, cut anywhere, no product is woken too
    late or told too much."""
    random = Random(seed)
    spec = a_random_spec(random)
    tape = a_random_tape(random, spec, rows)
    agree(spec, tape, [random.randrange(rows) for _ in range(3)])


@pytest.mark.parametrize("seed", SEEDS)
def test_rich_tape(seed: int) -> None:
    """On a tape where everything happens, the two logs are the same."""
    agree(rich_spec(), rich_tape(seed), (100, 400))


def test_the_tapes_are_not_calm() -> None:
    """Sometimes: each product trades, orders are filled in part, held and refused, markets go
    silent and freeze, products are ruined, requests dealt, queued and refused, and every kind of
    bad row is met."""
    counts = happened(*(rich_run(seed) for seed in SEEDS))
    missing = [what for what in _SOMETIMES if not counts[what]]
    assert not missing, f"never happened: {missing}; happened: {sorted(counts)}"


_SOMETIMES = (
    *(f"traded {product.id}" for product in rich_spec().products),
    *("deleveraged", "order_unfilled no_depth", "order_unfilled stale", "order_held"),
    *("market_stale gap", "market_stale frozen", "market_resumed"),
    *("product_closed nav_not_positive", "deficit_paid reserve", "deficit_paid issuer"),
    *("funding_settled BAND", "funding_settled COIN", "management_fee_charged COIN"),
    *("units_created", "units_redeemed", "request_queued", "policy_faulted"),
    *(
        "creation_refused duplicate",
        "creation_refused unknown_product",
        "redemption_refused unknown_user",
    ),
    *("redemption_refused insufficient_units", "creation_refused too_small"),
    *("order_filled creation", "order_filled redemption", "order_filled close"),
    *(
        f"input_rejected {r}"
        for r in ("not_finite", "not_positive", "jump", "late", "duplicate", "crossed")
    ),
    *(f"input_rejected {r}" for r in ("unknown_symbol", "malformed", "clock_jump")),
)


def test_wakes_are_not_empty() -> None:
    """At most a twentieth of the wakes find nothing to say, where prices are not aimed into the
    draw-in of an edge."""
    wakes: Counter[str] = Counter()
    for seed in SEEDS:
        tape = a_random_tape(Random(seed), rich_spec(), 500, aim=False)
        state = agree(rich_spec(), tape).engine.state
        wakes.update(all=state.wakes, empty=state.wakes_empty)
    assert wakes["all"] > 1_000
    assert wakes["empty"] <= 0.05 * wakes["all"], wakes


def _first_rows(steps: object, count: int) -> Step:
    """The first rows of a recording as one step."""
    for step in steps:  # type: ignore[attr-defined]
        return step.between(0, min(count, step.end))
    raise AssertionError("the recording is empty")


def test_recorded_capture(shared_data: Path) -> None:
    """On the captured flash of 2024-08-08, with bands a thousandth wide and latency, the logs are
    the same."""
    recording = open_recording([shared_data / "ticks" / "binance-usdm-btcusdt-20240808.raw.gz"])
    tape = _first_rows(recording.steps(block_rows=5_000), 5_000)
    late = {"latency_ns": 40_000_000}
    tight = LeverageBand(target=3.0, low=2.999, high=3.001)
    spec = a_spec(
        (a_product("TIGHT"), (tight,)),
        (a_product("LATE", **late), (tight, MarginFloor())),
        (a_product("SHORT"), (LeverageBand(target=-3.0, low=2.999, high=3.001),)),
        (a_product("SMART"), (TrendVol(review_s=5.0, step=0.01),)),
        markets=(
            a_market(
                contract=a_contract("BTCUSDT"),
                mark_source="mid",
                book=BookSpec(depth_at_1pct=244e6),
            ),
        ),
    )
    said = agree(spec, tape, (1, 77, 2_500, 4_999))
    counts = happened(said)
    assert all(counts[f"traded {product}"] > 1 for product in ("TIGHT", "LATE", "SHORT"))


def test_recorded_bars_of_the_crash(shared_data: Path) -> None:
    """On three days of minute bars around 2020-03-12, settled in coin, the logs are the same and
    the crash is met."""
    recording = open_recording([shared_data / "bitmex-xbtusd-1m" / "2020-03.jsonl.gz"])
    tape = None
    for step in recording.steps(bars="close", block_rows=3 * 1_440):
        if tape is None or int(tape.tables[0].ts_ns[-1]) < 1_584_057_600 * SECOND_NS:
            tape = step
    assert tape is not None
    tape = tape.shifted(-tape.first)
    inverse = a_contract("XBTUSD", inverse=True, taker_fee=0.00075)
    spec = a_spec(
        (a_product("LONG"), (LeverageBand(target=3.0, low=2.4, high=3.6), MarginFloor())),
        (a_product("SHORT", latency_ns=SECOND_NS), (LeverageBand(target=-3.0, low=2.4, high=3.6),)),
        (a_product("SMART"), (TrendVol(),)),
        markets=(
            a_market(
                contract=inverse,
                mark_source="last",
                funding=FundingSpec(recorded=False, rate_8h=0.0001),
                stale_after_ns=600 * SECOND_NS,
                frozen_after_ns=3_600 * SECOND_NS,
            ),
        ),
        sampling=Sampling(nav_every_ns=600 * SECOND_NS),
    )
    counts = happened(agree(spec, tape, (5, 3_000)))
    assert counts["traded LONG"] > 3
    assert counts["traded SHORT"] > 3
    assert counts["funding_settled"] > 6


# Cases that once parted the two engines ----------------------------------------------------------


def test_a_product_asked_too_early_is_launched() -> None:
    """A request before the first price is refused, and the product launches at that price
    nevertheless."""
    early = CreationRequest(ts_ns=T0, id="1", user="a", product="BTC3L", quote=100.0)
    said = agree(a_spec(), a_tape([early, 100.0, 101.0]))
    assert [e.reason for e in said.named("creation_refused")] == ["not_launched"]
    assert said.named("product_launched")


def test_a_refused_request_draws_no_line() -> None:
    """A request to a product of a market that has no price yet leaves nothing in the samples that
    come after it."""
    ask = RedemptionRequest(ts_ns=T0 + SECOND_NS, id="1", user="a", product="LATER", units=1.0)
    rows = [a_row(Kind.MARK, T0, 100.0), ask]
    rows += [a_row(Kind.MARK, T0 + n * SECOND_NS, 50.0, symbol=1) for n in range(3, 6)]
    band = LeverageBand(target=3.0, low=2.4, high=3.6)
    markets = [a_market(n, contract=a_contract(f"S{n}")) for n in range(2)]
    spec = a_spec((a_product(), (band,)), (a_product("LATER", 1), (band,)), markets=markets)
    agree(spec, a_tape(rows), range(6))


def test_a_market_is_watched_again_after_it_resumed() -> None:
    """The second silence of a market is stated as the first one was."""
    times = (0, 1, 100, 101, 300, 301)
    tape = a_tape([a_row(Kind.MARK, T0 + s * SECOND_NS, 100.0 + s) for s in times])
    said = agree(a_spec(), tape)
    assert [e.reason for e in said.named("market_stale")] == ["gap", "gap"]


def test_orders_under_way_when_a_product_closes() -> None:
    """Hedges that arrive after the last fill of a product are settled, and the alarm does not ring
    for ever."""
    spec = a_spec(
        (
            a_product(latency_ns=2 * SECOND_NS, holdings=((0, 10**9),)),
            (LeverageBand(target=9.0, low=0.0, high=1e6),),
        ),
        users=("alice",),
    )
    asks = [
        CreationRequest(ts_ns=T0 + 5 * SECOND_NS, id="1", user="b", product="BTC3L", quote=1e3),
        RedemptionRequest(
            ts_ns=T0 + 5 * SECOND_NS, id="2", user="alice", product="BTC3L", units=5.0
        ),
    ]
    said = agree(
        spec, a_tape([100.0, 100.0, 100.0, 100.0, 100.0, *asks, 80.0, 80.0, 80.0, 80.0, 80.0])
    )
    assert said.named("product_closed")
    assert said.named("creation_refused")


def test_a_product_without_units_is_closed_at_the_next_price() -> None:
    """When the last holder has gone there is nothing to look after, whatever the policy's next time
    is."""
    spec = a_spec(
        (a_product(seed_atoms=0, holdings=((0, 10**9),)), (Schedule(target=0.5, every_s=1e6),)),
        users=("alice",),
    )
    ask = RedemptionRequest(ts_ns=T0 + SECOND_NS, id="1", user="alice", product="BTC3L", units=1e3)
    said = agree(spec, a_tape([100.0, 100.0, ask, 100.0, 101.0]))
    assert said.named("units_redeemed")
    assert [event.sequence for event in said.named("product_closed")] == [3]


def test_leverage_outside_its_band_is_acted_on_at_the_next_price() -> None:
    """A fill that leaves a product below its band, with cash to spare, is mended at the next price:
    no edge says so."""
    rows = [a_row(Kind.BBO, T0, 109.99, 1.0, 110.01, 1.0), a_row(Kind.MARK, T0, 100.0)]
    rows += [a_row(Kind.MARK, T0 + n * SECOND_NS, 100.0 + 0.001 * n) for n in range(1, 6)]
    spec = a_spec((a_product(), (LeverageBand(target=0.9, low=0.85, high=0.95),)))
    assert len(agree(spec, a_tape(rows)).named("rebalanced")) > 1


def test_an_instant_that_a_request_has_passed_does_not_ring_again() -> None:
    """Ticks of the instant of a request, after it, find its alarms rung and the signals' step
    taken, whoever was asked."""
    ask = CreationRequest(ts_ns=GRID_NS, id="1", user="a", product="LOOK", quote=100.0)
    before = [a_row(Kind.MARK, GRID_NS - n * SECOND_NS, 100.0 + n % 3) for n in range(9, -1, -1)]
    at_once = [a_row(Kind.MARK, GRID_NS, price) for price in (103.0, 97.0, 90.0, 88.0)]
    after = [a_row(Kind.MARK, GRID_NS + n * SECOND_NS, 90.0 + n % 3) for n in range(1, 60)]
    smart = TrendVol(review_s=10.0, fast_move=0.01, step=0.01)
    spec = a_spec((a_product("SMART"), (smart,)), (a_product("LOOK"), (Looker(),)))
    agree(spec, a_tape([*before, ask, *at_once, *after]), (10, 12))


def test_a_malformed_row_does_not_move_the_clock() -> None:
    """What could not be read is rejected; the time it claims moves nothing, however the stream is
    cut."""
    later = T0 + 3_600 * SECOND_NS
    tape = a_tape([100.0, 101.0, a_malformed("half a line", ts_ns=later), 102.0, 103.0])
    assert len(agree(a_spec(), tape).named("input_rejected")) == 1
    agree(a_spec(), tape, (1, 2, 3, 4))


def test_a_leap_of_the_clock_is_judged_by_all_kinds() -> None:
    """A row 500 days ahead is refused in the first step too, and a kind that slept while others
    moved on is not."""
    leap = 500 * 86_400 * SECOND_NS
    half = leap // 2
    ahead = a_tape([100.0, a_row(Kind.MARK, T0 + leap, 101.0), 102.0])
    slept = [a_row(Kind.BBO, T0, 99.0, 1.0, 101.0, 1.0), a_row(Kind.MARK, T0, 100.0)]
    slept += [a_row(Kind.MARK, T0 + half, 100.0), a_row(Kind.MARK, T0 + leap, 100.0)]
    slept += [a_row(Kind.BBO, T0 + leap, 99.0, 1.0, 101.0, 1.0)]
    spec = a_spec(
        (a_product(), (Schedule(target=2.0, every_s=1e7),)),
        markets=(a_market(signals=SignalSpec(every_ns=86_400 * SECOND_NS)),),
        sampling=Sampling(nav_every_ns=10**15),
    )
    for places in ((), (1, 2, 3, 4)):
        refused = agree(spec, ahead, places).named("input_rejected")
        assert [e.reason for e in refused] == ["clock_jump"]
        assert not agree(spec, a_tape(slept), places).named("input_rejected")


def test_flaws_of_a_book_are_seen_among_several_symbols() -> None:
    """A crossed quote, and one with a negative size, are refused in a block of mixed symbols as in
    one of their own."""
    rows = [
        a_row(Kind.BBO, T0, 99.0, 1.0, 101.0, 1.0),
        a_row(Kind.BBO, T0, 99.0, 1.0, 101.0, 1.0, symbol=1),
        a_row(Kind.BBO, T0 + 1, 101.0, 1.0, 99.0, 1.0, symbol=1),
        a_row(Kind.BBO, T0 + 2, 99.0, -1.0, 101.0, 1.0),
    ]
    markets = [a_market(n, contract=a_contract(f"S{n}"), mark_source="mid") for n in range(2)]
    said = agree(a_spec(markets=markets), a_tape(rows))
    assert [e.reason for e in said.named("input_rejected")] == ["crossed", "not_finite"]

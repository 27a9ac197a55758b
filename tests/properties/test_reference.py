"""The heart writes the output log of the slow engine: same events, same lines, same NAVs."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.sampler import Sampling
from engine.ticks import Step
from engine.units import SECOND_NS
from engine.venue.book import BookSpec
from engine.venue.funding import FundingSpec
from feeds.recording import open_recording
from strategies import LeverageBand, MarginFloor, TrendVol
from tests.builders import T0, a_contract, a_market, a_product, a_spec, run
from tests.properties.agreement import agree
from tests.properties.rich import (
    SEEDS,
    happened,
    rich_reference,
    rich_run,
    rich_spec,
    rich_tape,
)
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
    agree(rich_spec(), rich_tape(seed), (100, 400), slow=rich_reference(seed))


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
        state = run(rich_spec(), tape).engine.state
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

"""Cases that once parted the two engines, as small as they could be made."""

from __future__ import annotations

from engine.booking import TRIES_MAX
from engine.engine import Engine
from engine.events import CreationRequest, RedemptionRequest
from engine.sampler import Sampling
from engine.snapshot import restore, snapshot
from engine.ticks import Kind
from engine.units import SECOND_NS
from engine.venue.book import BookSpec
from strategies import LeverageBand, Schedule, TrendVol
from tests.builders import (
    T0,
    Run,
    a_contract,
    a_malformed,
    a_market,
    a_product,
    a_row,
    a_spec,
    a_tape,
)
from tests.properties.agreement import agree
from tests.properties.observers import Looker
from tests.properties.test_partition import assert_same, ticks_of

GRID_NS = (T0 // (10 * SECOND_NS) + 1) * 10 * SECOND_NS
BAND = LeverageBand(target=3.0, low=2.4, high=3.6)


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
    markets = [a_market(n, contract=a_contract(f"S{n}")) for n in range(2)]
    spec = a_spec((a_product(), (BAND,)), (a_product("LATER", 1), (BAND,)), markets=markets)
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


RUIN = LeverageBand(target=9.0, low=0.0, high=1e6)
"""Does nothing until NAV is gone."""


def closed_at_last(said: Run, product: str) -> int:
    """How often the close was tried; asserts that it ended with nothing held, and said so once."""
    (closed,) = [e for e in said.named("product_closed") if e.product == product]
    tries = [e for e in said.named("order_unfilled") if e.product == product]
    fills = [e for e in said.named("order_filled") if e.product == product]
    assert sum(fill.lots for fill in fills) == 0
    assert closed.ts_ns == fills[-1].ts_ns
    assert all(e.retry_ns > e.ts_ns for e in tries)
    return len(tries)


def test_a_close_goes_on_until_the_book_has_refilled() -> None:
    """In a book that another product has emptied a close takes what comes back, try after try, and
    the product is closed when its last contract is gone, not before.

    Catches a close that gives up after a thousand tries with contracts still held.
    """
    book = BookSpec(model="depth", depth_at_1pct=1e4, half_life_s=600.0)
    spec = a_spec(
        (a_product("BTC9L", seed_atoms=600 * 10**6, retry_ns=15 * 10**6), (RUIN,)),
        (
            a_product("BTC1S", seed_atoms=134_000 * 10**6),
            (Schedule(target=-1.0, every_s=1e6),),
        ),
        markets=[a_market(book=book)],
    )
    said = agree(spec, a_tape([100.0, 100.0, *[80.0] * 60]))
    assert closed_at_last(said, "BTC9L") > TRIES_MAX


def test_a_close_outlasts_a_stale_market() -> None:
    """A close that is refused while its market is stale is sent again until the market is back."""
    hedge = {"latency_ns": 90 * SECOND_NS, "retry_ns": 10**8, "when_stale": "refuse"}
    spec = a_spec((a_product(**hedge), (RUIN,)))
    rows = [a_row(Kind.MARK, T0 + n * SECOND_NS, 100.0) for n in range(0, 120, 30)]
    rows += [a_row(Kind.MARK, T0 + n * SECOND_NS, 80.0) for n in (121, 400, 401, 402)]
    said = agree(spec, a_tape(rows))
    assert closed_at_last(said, "BTC3L") > TRIES_MAX


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


def test_a_queued_request_draws_a_new_line() -> None:
    """A request that waited for a rebalance is dealt when the policies are asked; samples go on
    along the new line."""
    ask = CreationRequest(ts_ns=T0 + SECOND_NS, id="1", user="a", product="BTC3L", quote=1e6)
    spec = a_spec(
        (a_product(latency_ns=3 * SECOND_NS, while_rebalancing="queue"), (BAND,)),
        sampling=Sampling(nav_every_ns=SECOND_NS // 2),
    )
    said = agree(spec, a_tape([100.0, 100.0, ask, *([100.0] * 20)]))
    assert said.named("request_queued")
    assert said.named("units_created")


def test_a_redemption_under_way_can_be_kept() -> None:
    """A snapshot taken while a redemption travels holds the units it has pledged."""
    spec = a_spec(
        (a_product(latency_ns=5 * SECOND_NS, holdings=((0, 10**9),)), (BAND,)), users=("alice",)
    )
    ask = RedemptionRequest(
        ts_ns=T0 + 7 * SECOND_NS, id="1", user="alice", product="BTC3L", units=9.0
    )
    engine = Engine(spec)
    engine.process(a_tape([*([100.0] * 8), ask]))
    assert engine.handlers[0].dealing.pledged
    kept = snapshot(engine)
    again = restore(spec, kept)
    assert snapshot(again) == kept
    assert again.handlers[0].dealing.pledged == engine.handlers[0].dealing.pledged


def test_live_ticks_where_nothing_is_due() -> None:
    """With no alarm and no sample to come, a live tick years ahead is refused as in a block; and a
    market without products hears its live ticks."""
    markets = [a_market(n, contract=a_contract(f"S{n}")) for n in range(2)]
    spec = a_spec(markets=markets, sampling=Sampling(nav_every_ns=0))
    leap = 500 * 86_400 * SECOND_NS
    other = [a_row(Kind.MARK, T0 + n * SECOND_NS, 50.0 + n, symbol=1) for n in range(3)]
    ahead = a_row(Kind.MARK, T0 + leap, 51.0, symbol=1)
    tape = a_tape([*other, ahead, a_row(Kind.MARK, T0 + 4 * SECOND_NS, 52.0, symbol=1)])
    whole = agree(spec, tape)
    assert len(whole.named("input_rejected")) == 1
    said = Run(Engine(spec))
    for tick in ticks_of(tape):
        said.take(said.engine.process_tick(tick))
    said.take(said.engine.finish())
    assert_same(said, whole)


def test_a_request_at_the_instant_of_the_first_price() -> None:
    """The signals' grid begins after an instant that a request has passed, not without a price."""
    ask = CreationRequest(ts_ns=GRID_NS, id="1", user="a", product="BTC3L", quote=100.0)
    rows = [a_row(Kind.MARK, GRID_NS + n * SECOND_NS, 100.0 + n % 4) for n in range(40)]
    spec = a_spec((a_product(), (TrendVol(review_s=10.0, step=0.01),)))
    for places in ((), range(40)):
        agree(spec, a_tape([ask, *rows]), places)


def test_a_step_without_a_price_feeds_the_grid() -> None:
    """The state at a sequence does not depend on whether the last block held a price."""
    rows = [a_row(Kind.MARK, T0 + n * SECOND_NS, 100.0 + n % 4) for n in range(30)]
    beats = [a_row(Kind.HEARTBEAT, T0 + (30 + n) * SECOND_NS) for n in range(30)]
    spec = a_spec((a_product(), (TrendVol(review_s=3_600.0),)))
    tape = a_tape([*rows, *beats])
    whole = agree(spec, tape)
    assert_same(agree(spec, tape, range(tape.end)), whole)

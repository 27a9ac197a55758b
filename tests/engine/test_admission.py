"""Hedge orders under the venue's order rules: refused, cut, bounded, and sent again."""

from __future__ import annotations

from typing import Any

import pytest

from engine.commands import ForceTarget
from engine.events import CreationRequest, RedemptionRequest
from engine.plans import LimitThenMarket
from engine.units import MINUTE_NS, SECOND_NS
from engine.venue.book import BookSpec
from engine.venue.rules import OrderRules, VenueRules
from strategies import LeverageBand, Schedule
from tests.builders import T0, Run, a_contract, a_market, a_product, a_spec, a_tape
from tests.properties.agreement import agree

COIN = 10**6
"""Lots."""
BAND = LeverageBand(target=3.0, low=0.2, high=8.0)


def said_by(rows: list[Any], book: BookSpec | None = None, **rules: Any) -> Run:
    """A 3x product of a million at a mark of 100: 30,000 coins; heart and reference agree."""
    own = ("plan", "seed_atoms", "latency_ns")
    hedge = {name: rules.pop(name) for name in own if name in rules}
    policy = rules.pop("policy", BAND)
    market = a_market(
        contract=a_contract(taker_fee=0.0),
        book=book or BookSpec(model="flat"),
        venue=VenueRules(orders=OrderRules(**rules)),
    )
    product = a_product(**hedge)
    return agree(a_spec((product, (policy,)), markets=(market,)), a_tape(rows))


def fills(said: Run) -> list[int]:
    return [event.lots for event in said.named("order_filled")]


def test_what_is_too_large_goes_in_pieces_at_one_instant() -> None:
    """30,000 coins where 14,000 are the most: 14,000 twice and 2,000, each a fill of its own."""
    said = said_by([100.0, 100.0], market_size_max=14_000.0)
    assert fills(said) == [14_000 * COIN, 14_000 * COIN, 2_000 * COIN]
    assert {event.ts_ns for event in said.named("order_filled")} == {T0}
    assert not said.named("order_unfilled", "order_rejected")


def test_more_pieces_than_may_be_sent_wait() -> None:
    """250 coins at most: a hundred pieces at once, the last twenty a second later."""
    said = said_by([100.0, 100.0, 100.0], market_size_max=250.0)
    (left,) = said.named("order_unfilled")
    assert (left.reason, left.lots, left.retry_ns) == ("pieces", 5_000 * COIN, T0 + SECOND_NS)
    assert len(fills(said)) == 120
    assert sum(fills(said)) == 30_000 * COIN


def test_a_market_order_stops_at_the_venues_deviation() -> None:
    """The book has two million a side within 1 % and 1 % is the venue's bound: three million fill
    up to 101 and no further; the plan sends the rest until it is done, and no fill was worse."""
    book = BookSpec(model="depth", depth_at_1pct=2e6, half_life_s=1.0, beta_near=1.0, beta_far=1.0)
    said = said_by([100.0] * 5, book, market_deviation=0.01)
    first = said.named("order_unfilled")[0]
    assert (first.reason, first.retry_ns) == ("market_deviation", T0 + SECOND_NS)
    assert abs(first.lots - 10_000 * COIN) <= 1
    assert max(event.price for event in said.named("order_filled")) <= 101.0
    assert sum(fills(said)) == 30_000 * COIN
    assert said.named("rebalanced")[-1].position_lots == 30_000 * COIN
    free = said_by([100.0] * 5, book)
    assert not free.named("order_unfilled")


def test_a_deviation_that_does_not_bind_changes_nothing() -> None:
    """Where no order reaches the bound the output log is the same to the byte."""
    book = BookSpec(model="depth", depth_at_1pct=1e8, half_spread_bps=1.0)
    rows = [100.0, 101.0, 99.0, 130.0, 100.0, 70.0, 100.0]
    bound = said_by(rows, book, market_deviation=0.1, notional_min=10.0, size_min=0.001)
    assert bound.lines == said_by(rows, book).lines
    assert len(fills(bound)) > 1


def test_a_price_beyond_the_band_is_refused_and_goes_on_at_market() -> None:
    """A purchase 2 % above the mid where 1 % is allowed: rejected, and sent again at market."""
    said = said_by([100.0, 100.0, 100.0], plan=LimitThenMarket(offset_bps=-200.0), band_up=0.01)
    (refused,) = said.named("order_rejected")
    assert (refused.reason, refused.retry_ns) == ("price_band", T0 + SECOND_NS)
    assert fills(said) == [30_000 * COIN]
    assert said.named("order_filled")[0].ts_ns == T0 + SECOND_NS


def test_a_price_has_as_many_figures_as_the_venue_takes() -> None:
    """A bid at 104.17 is on the step at 104.1; with three figures it rests at 104."""
    said = said_by(
        [104.3, 104.3], plan=LimitThenMarket(offset_bps=12.4), significant_figures=3, band_up=0.1
    )
    assert [event.price for event in said.named("order_rested")] == [104.0]


def test_a_decision_too_small_for_an_order_is_postponed_and_never_forgotten() -> None:
    """A product of ten is put back to 3x every ten seconds. At 102 it lacks 1.2 quote of 31.8,
    less than the least order of 5: no order leaves and no plan is open, so that a creation is dealt
    meanwhile. At 115 it lacks 9 of 43.5: that is bought at once, seven seconds before the next
    review, with the lots of then. It is said once."""
    request = CreationRequest(
        ts_ns=T0 + 11 * SECOND_NS, id="r", user="u", product="BTC3L", quote=9.0
    )
    rows = [*[100.0] * 10, 102.0, request, 102.0, 115.0, 115.0]
    said = said_by(
        rows, policy=Schedule(target=3.0, every_s=10.0), seed_atoms=10**7, notional_min=5.0
    )
    assert not said.named("order_rejected", "creation_refused", "request_queued")
    (postponed,) = said.named("decision_postponed")
    assert (postponed.ts_ns - T0) // SECOND_NS == 10
    assert (postponed.target, postponed.why, postponed.lots) == (3.0, "too_small", 11_764)
    opening, hedge, again = said.named("order_filled")
    assert (opening.lots, hedge.purpose, again.purpose) == (300_000, "creation", "rebalance")
    assert (again.ts_ns - T0) // SECOND_NS == 13
    assert again.mark_price == 115.0
    assert said.named("rebalanced")[-1].leverage_after == pytest.approx(3.0, rel=1e-4)


def test_what_became_too_small_on_its_way_is_postponed() -> None:
    """Six quote were enough when the order left; at the mark at which it meets the venue they are
    less than five: its plan ends without a fill, and the opening is taken anew, with the lots
    that six quote are then."""
    said = said_by(
        [100.0, 79.0, 79.0, 120.0, 120.0],
        seed_atoms=2 * 10**6,
        notional_min=5.0,
        latency_ns=SECOND_NS,
        policy=Schedule(target=3.0, every_s=1_000.0),
    )
    (refused,) = said.named("order_rejected")
    assert (refused.reason, refused.lots, refused.retry_ns) == ("too_small", 60_000, 0)
    assert [e.why for e in said.named("decision_postponed")] == ["too_small"]
    (opened,) = said.named("rebalanced")
    assert opened.opening
    assert opened.mark_price == 79.0


def test_the_rest_of_a_filled_order_may_be_too_small() -> None:
    """30,000 coins in pieces of 29,999.99: the last hundredth is below the venue's least, and is
    left; the plan ends with what it has."""
    said = said_by([100.0, 100.0], market_size_max=29_999.99, size_min=1.0)
    (refused,) = said.named("order_rejected")
    assert (refused.reason, refused.lots, refused.retry_ns) == ("too_small", 10_000, 0)
    assert said.named("rebalanced")[0].position_lots == 29_999_990_000


def test_reducing_is_free_of_the_least_notional() -> None:
    """From 3x to 2.99x sells 100 coins for 10,000: less than the least order of 20,000, and taken;
    back to 3x buys as many, and is not."""
    down = ForceTarget(ts_ns=0, id="down", product="BTC3L", target=2.99)
    up = ForceTarget(ts_ns=0, id="up", product="BTC3L", target=3.0)
    said = said_by([100.0, 100.0, down, 100.0, up, 100.0], notional_min=20_000.0)
    assert fills(said) == [30_000 * COIN, -100 * COIN]
    assert [event.reason for event in said.named("command_refused")] == ["too_small"]


def test_a_position_is_closed_whatever_its_size() -> None:
    """9,000 coins are less than the least order of 20,000: a part of them may not be sold, all of
    them may."""
    commands = [
        ForceTarget(ts_ns=0, id=f"{target}", product="BTC3L", target=target)
        for target in (0.9, 0.5, 0.0)
    ]
    rows = [100.0, 100.0, *commands[:2], 100.0, commands[2], 100.0]
    said = said_by(rows, size_min=20_000.0)
    assert fills(said)[:3] == [30_000 * COIN, -21_000 * COIN, -9_000 * COIN]
    assert [event.reason for event in said.named("command_refused")] == ["too_small"]


def test_the_hedge_of_a_request_that_the_venue_refuses_deals_nothing() -> None:
    """A creation of one hedges with three quote: below the least of five it is refused for that,
    not dealt without a hedge, nor for want of a depth that nobody looked at."""
    request = CreationRequest(ts_ns=T0 + MINUTE_NS, id="r", user="u", product="BTC3L", quote=1.0)
    said = said_by([100.0, 100.0, request], notional_min=5.0)
    assert [event.reason for event in said.named("order_rejected")] == ["too_small"]
    assert [event.reason for event in said.named("creation_refused")] == ["too_small"]


def test_a_redemption_whose_hedge_the_venue_refuses_says_why() -> None:
    """One unit of many is three quote of hedge, and selling needs one lot of a whole coin at
    least."""
    requests = (
        CreationRequest(ts_ns=T0 + 2 * SECOND_NS, id="c", user="u", product="BTC3L", quote=100.0),
        RedemptionRequest(ts_ns=T0 + 3 * SECOND_NS, id="r", user="u", product="BTC3L", units=1.0),
    )
    said = said_by([100.0, 100.0, *requests], size_min=1.0)
    assert [event.reason for event in said.named("units_created", "redemption_refused")[1:]] == [
        "too_small"
    ]

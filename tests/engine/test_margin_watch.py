"""Tests of ``engine.margin_watch``: between which marks nobody need look, worked by hand."""

from __future__ import annotations

import math

import msgspec
import pytest

from engine.engine import Engine
from engine.margin_watch import MarginWatch
from engine.market import Market
from engine.units import NEVER_NS
from engine.venue.desk import Stage
from engine.venue.rules import MarginRules, VenueRules
from tests.builders import a_product, a_spec, a_tape
from tests.engine.test_liquidation_by_hand import TIER, a_trader, a_venue, mark

CALLED = VenueRules(margin=MarginRules(tiers=TIER, call_at=2.0))
LONG, SHORT = "trader:long", "trader:short"
LOW, HIGH = 90_000 / 990, 110_000 / 1_010
"""Where 10,000 and a thousand coins from 100 come to 1 % of their worth."""


def watched() -> tuple[Market, MarginWatch]:
    """A long and a short of a thousand coins from 100 with 10,000 each, at a mark of 100; a second
    market in which nobody but its idle product is."""
    markets = (a_venue(), a_venue(1))
    traders = (
        a_trader("long", 10_000, (0, 1_000, 100.0)),
        a_trader("short", 10_000, (0, -1_000, 100.0)),
    )
    idle = [(a_product(f"IDLE{n}", market=n), ()) for n in range(2)]
    engine = Engine(a_spec(*idle, markets=markets, traders=traders))
    engine.process(a_tape([mark(0, 100.0), mark(0, 50.0, 1)]))
    assert engine.margins is not None
    return engine.markets[0], engine.margins.watch


def test_nobody_is_short_between_the_nearest_edges() -> None:
    """The long dies at 90.91, the short at 108.91; who holds nothing has no edge, nor has a market
    without accounts that hold anything."""
    _, watch = watched()
    assert watch.bounds(0) == pytest.approx((LOW, HIGH), rel=1e-8)
    assert watch.bounds(1) == (-math.inf, math.inf)
    low, high = watch.bounds(0)
    inside = math.nextafter(low, math.inf), 100.0, math.nextafter(high, 0.0)
    assert [watch.breached(0, price) for price in inside] == [[], [], []]
    for price, name in ((low, LONG), (low / 2, LONG), (high, SHORT), (high * 2, SHORT)):
        assert [account.name for account in watch.breached(0, price)] == [name]
    assert [account.name for account in watch.of(0)] == ["product:IDLE0", LONG, SHORT]


def test_who_is_at_or_beyond_his_edge_is_due_at_once() -> None:
    """Told anew what it holds, an account whose edge the mark has reached must be looked at; one
    lot of price nearer, it need not."""
    market, watch = watched()
    long, short = watch.of(0)[1:]
    low, high = watch.bounds(0)
    for price, due in ((low, (True, False)), (high, (False, True)), (100.0, (False, False))):
        market.mark = price
        assert (watch.arm(long), watch.arm(short)) == due
    market.mark = 0.0
    assert not watch.arm(long)
    assert watch.bounds(0)[0] == -math.inf  # nobody knows what it is worth


def test_who_holds_something_else_is_called_again() -> None:
    """A call stands for what was held of each market: ten less of one and ten more of another is
    something else, though as many lots."""
    venues = [msgspec.structs.replace(a_venue(n), venue=CALLED) for n in range(2)]
    both = a_trader("both", 10_000, (0, 500, 100.0), (1, -500, 100.0))
    idle = [(a_product(f"IDLE{n}", market=n), ()) for n in range(2)]
    engine = Engine(a_spec(*idle, markets=venues, traders=(both,)))
    engine.process(a_tape([mark(0, 100.0), mark(0, 100.0, 1), mark(1, 83.0)]))
    assert engine.margins is not None
    desk, account = engine.margins.desk, engine.margins.others(0)[0]
    assert [name for name in desk.called if name == account.name]
    assert desk.calls_at(account, account.positions()) == 0.0
    first, second = account.trader.holdings
    first.lots, second.lots = first.lots - 10, second.lots + 10
    assert desk.calls_at(account, account.positions()) == 2.0


def test_between_two_steps_an_account_has_an_alarm_and_no_edge() -> None:
    """Its next step is for an instant, and for that alone; where it is for the next price, any
    price wakes: one that covers it ends the liquidation."""
    _, watch = watched()
    long = watch.of(0)[1]
    assert (watch.next_step_ns(), watch.waiting(10**30)) == (NEVER_NS, [])
    watch.desk.stages[LONG] = Stage(resumes_ns=7)
    assert not watch.arm(long)
    assert watch.bounds(0)[0] == -math.inf
    assert [watch.waiting(ts_ns) for ts_ns in (6, 7, 8)] == [[], [long], [long]]
    assert watch.next_step_ns() == 7
    watch.desk.stages[LONG].resumes_ns = 0
    watch.arm(long)
    assert watch.bounds(0) == (math.inf, -math.inf)
    assert watch.next_step_ns() == NEVER_NS

"""Tests of ``engine/price_split.py``: closed forms of the five parts."""

from __future__ import annotations

from typing import Any

import pytest

from engine.attribution import attribution, price_split
from engine.price_split import PARTS, PriceSplit, whole_parts
from engine.units import SECOND_NS
from engine.venue.book import BookSpec
from strategies import LeverageBand, Schedule
from tests.builders import a_contract, a_market, a_product, a_spec, a_tape, run

USDT = 10**6
M = 10**6 * USDT
WIDE = LeverageBand(target=3.0, low=0.1, high=30.0)


def split(policy: Any, prices: list[float], **product: Any) -> dict[str, float]:
    """The parts of a million at the end of marks a second apart, in a market without costs; in
    shares of the million."""
    free = a_market(
        contract=a_contract(taker_fee=0.0), book=BookSpec(model="flat", half_spread_bps=0.0)
    )
    spec = a_spec((a_product(**product), (policy,)), markets=(free,))
    engine = run(spec, a_tape(prices)).engine
    account = engine.handlers[0].account
    parts = price_split(account, prices[-1])
    assert sum(parts.values()) == attribution(account, prices[-1])["price"]
    return {name: value / M for name, value in parts.items()}


def about(**parts: float) -> Any:
    """These parts, the others nothing; lots are a micro-coin, 1e-6 of what a unit costs here."""
    return pytest.approx({**dict.fromkeys(PARTS, 0.0), **parts}, abs=3e-9)


def test_what_is_never_decided_anew_is_all_direction() -> None:
    """A 3x product that trades once, then the market goes up and down: three times its way, and
    nothing else. Catches drift that is called compounding here and timing there."""
    assert split(WIDE, [100.0, 110.0, 95.0, 103.0]) == about(direction=0.09)


def test_a_multiple_struck_at_every_step_compounds_by_its_closed_form() -> None:
    """3x struck after each row of 100, 110, 100: (1 + 0.3) (1 - 3/11) - 1 = -0.054545 with no
    direction at all; of 100, 110, 121 compounding adds 1.3 * 1.3 - 1 - 0.63 = 0.06. Catches another
    base, or volatility decay with the wrong sign."""
    every = Schedule(target=3.0, every_s=1.0)
    swing = split(every, [100.0, 110.0, 100.0])
    assert swing == about(compounding=1.3 * (1.0 - 3.0 / 11.0) - 1.0)
    trend = split(every, [100.0, 110.0, 121.0])
    assert trend == about(direction=0.63, compounding=0.06)


def test_a_multiple_struck_at_every_step_compounds_alike_in_any_order() -> None:
    """The same three returns in two orders: the same direction, and the same compounding. Catches a
    part that depends on the way."""
    every = Schedule(target=3.0, every_s=1.0)
    one = split(every, [100.0, 110.0, 104.5, 114.95])
    other = split(every, [100.0, 95.0, 104.5, 114.95])
    assert one == pytest.approx(other, abs=3e-9)


def test_a_band_gains_a_gap_where_a_row_leads_beyond_its_edge() -> None:
    """3x with an edge of 3.6 at 92.3077, where NAV is 0.7692; the next row says 80. From the edge
    on it loses 3 * (92.3077 - 80) / 100 = 0.36923 of the million; one struck at the edge would lose
    3 * 0.7692 * (1 - 80 / 92.3077) = 0.30769; the gap is -0.061538, and direction with compounding
    is what the struck one had. Catches a gap that calls the whole way beyond the edge its own."""
    edge = 200.0 / 3.0 * 3.6 / 2.6
    nav = 1.0 - 3.0 * (1.0 - edge / 100.0)
    struck = 3.0 * nav * (1.0 - 80.0 / edge)
    gap = struck - 3.0 * (edge - 80.0) / 100.0
    parts = split(LeverageBand(target=3.0, low=2.4, high=3.6), [100.0, 80.0])
    compounding = -3.0 * (1.0 - edge / 100.0) - struck + 0.6
    assert parts == about(direction=-0.6, compounding=compounding, gap=gap)
    assert gap == pytest.approx(-0.0615384615)


def test_another_leverage_is_a_change_of_leverage() -> None:
    """2x until 110 and 1x from there to 121: direction 0.42, what 2x struck at 110 would have
    compounded 0.02, and leverage that was less took 0.12. Catches a change booked as timing."""

    class Twice(Schedule, frozen=True, tag="twice", kw_only=True):
        def decide(self, view: Any, state: Any) -> Any:
            from engine.policy import SetLeverage

            return SetLeverage(2.0 if view.market.mark < 105.0 else 1.0, "as told"), state

    parts = split(Twice(target=2.0, every_s=1.0), [100.0, 110.0, 121.0])
    assert parts == about(direction=0.42, compounding=0.02, leverage_change=-0.12)


def test_what_happens_while_an_order_is_under_way_is_timing() -> None:
    """An opening order that arrives two seconds late misses the first tenth of a 3x way: timing,
    -0.3; the lots were fixed at 100. Catches latency that is booked as compounding."""
    late = split(WIDE, [100.0, 110.0, 110.0, 110.0, 121.0], latency_ns=2 * SECOND_NS)
    assert late == about(direction=0.63, timing=-0.3)


def test_parts_of_holders_who_come_are_in_proportion() -> None:
    """Half as much again bought at 110: direction goes on with half as many lots again. Catches
    flows that count as direction."""
    one = PriceSplit(since=100.0)
    one.open(100.0, 1000.0, 3.0)
    one.strike(100.0, 1000.0, 3.0, 30.0, None)
    one.scale(110.0, 1.5)
    parts = one.parts(120.0, 300.0 + 450.0)
    assert parts == about(direction=750.0)


def test_who_enters_twice_has_the_mean_leverage() -> None:
    """3x for 1,000 at 100, then as many units at 2x at 110: 30 lots, and 20 beside them; struck
    anew at 120 both count with 2.5 times what they are worth then. Catches entries that are
    forgotten."""
    mine = PriceSplit()
    mine.enter(100.0, 30.0, 3.0, 1.0)
    mine.enter(110.0, 20.0, 2.0, 0.5)
    assert mine.leverage == 2.5
    mine.strike(120.0, 2400.0, 3.0, 50.0, None)
    parts = mine.parts(121.0, 30.0 * 20.0 + 20.0 * 10.0 + 60.0)
    assert parts == pytest.approx(
        {"direction": 850.0, "compounding": 0.0, "leverage_change": 10.0, "timing": 0.0, "gap": 0.0}
    )


def test_whole_parts_sum_to_the_total() -> None:
    """Catches rounding each part alone."""
    assert whole_parts({"a": 1.6, "b": 1.4}, 3) == {"a": 2, "b": 1}
    assert whole_parts({"a": 0.5, "b": 0.5, "c": -1.5}, -1) == {"a": 1, "b": 0, "c": -2}
    assert sum(whole_parts({"a": 10.2, "b": -3.3}, 5).values()) == 5

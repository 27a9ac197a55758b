"""Orders that the venue refuses, and when they are tried again: tiers with 50x up to 3,000,000 and
2x beyond, and a 3x product of 800,000. At 119 its NAV, 1,256,000, is more than its band's far edge
allows: what it wants to buy is refused as long as the mark stays there."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import pytest

from engine.booking import PAUSES_MAX, TRIES_MAX
from engine.commands import FreezeWithdrawals, HaltMarket, ResumeMarket
from engine.engine import Engine, EngineSpec
from engine.snapshot import restore, snapshot
from engine.ticks import Kind, Step
from engine.units import SECOND_NS
from engine.venue.book import BookSpec
from engine.venue.rules import MarginRules, VenueRules
from tests.builders import T0, Run, a_contract, a_market, a_product, a_row, a_spec, a_tape
from tests.engine.test_risk_limits import BAND, EDGES, TIERS
from tests.engine.test_treasury import hedged
from tests.properties.agreement import agree

QUOTE = 10**6


def a_limited(**fields: Any) -> EngineSpec:
    """The product at its venue."""
    market = a_market(
        contract=a_contract(taker_fee=0.0),
        book=BookSpec(model="flat"),
        venue=VenueRules(margin=MarginRules(tiers=TIERS)),
    )
    product = a_product("BTC3L", seed_atoms=800_000 * QUOTE, **{"edges": EDGES, **fields})
    return a_spec((product, (BAND,)), markets=(market,))


def marks(*rows: tuple[int, float]) -> Step:
    """Seconds and marks; every half minute each moves a little, or it were frozen."""
    held = list(rows)
    for (second, mark), (end, _) in pairwise(rows):
        again = range(second + 30, end, 30)
        held += [(each, mark + each % 4 * 0.001) for each in again]
    return a_tape(a_row(Kind.MARK, T0 + second * SECOND_NS, mark) for second, mark in sorted(held))


def refused(said: Run) -> list[int]:
    """The seconds at which an order was refused."""
    return [(each.ts_ns - T0) // SECOND_NS for each in said.named("order_rejected")]


def test_each_refusal_doubles_the_wait_up_to_64_pauses() -> None:
    """Wanted at the first second, refused after 1, 2, 4, ... 64, 64 more. Catches a wait that stays
    as it is, grows for ever, or doubles before the first refusal."""
    said = agree(a_limited(), marks((0, 100.0), (1, 119.0), (200, 119.0)))
    assert refused(said) == [1, 2, 4, 8, 16, 32, 64, 128, 192]
    assert PAUSES_MAX == 64
    every = [each.retry_ns - each.ts_ns for each in said.named("order_rejected")]
    assert every[-1] == 64 * SECOND_NS


def test_a_product_names_its_own_pause() -> None:
    """A tenth of a second: eight refusals within 12.8 seconds."""
    said = agree(a_limited(retry_ns=SECOND_NS // 10), marks((0, 100.0), (1, 119.0), (13, 119.0)))
    assert [(each.ts_ns - T0) * 10 // SECOND_NS for each in said.named("order_rejected")] == [
        *(10, 11, 13, 17, 25, 41, 73),
    ]


def test_a_plan_ends_after_its_thousand_pauses_and_its_decision_is_taken_anew() -> None:
    """Counted in pauses, not in attempts: 127 until the wait is 64, then 14 of these, and the plan
    ends at its 1,023rd; the decision is remembered, said once, and its next order begins with a
    wait of one. When 848,000 fit again, at 102, it is carried out. Catches a plan that waits for 64
    times a quarter of an hour, and a decision that is forgotten with it."""
    assert TRIES_MAX == 1_000
    last = 128 + 13 * 64
    said = agree(
        a_limited(edges=()),
        marks((0, 100.0), (1, 119.0), (last + 1, 119.0), (last + 10, 102.0), (last + 20, 102.0)),
    )
    times = refused(said)
    assert times[:22] == [1, 2, 4, 8, 16, 32, 64, *range(128, last + 1, 64), last]
    (postponed,) = said.named("decision_postponed")
    assert (postponed.ts_ns, postponed.why) == (T0 + last * SECOND_NS, "risk_limit")
    assert times[22:] == [last + 1, last + 3, last + 7]
    assert said.named("order_filled")[-1].ts_ns == T0 + (last + 10) * SECOND_NS


def test_a_wait_that_grew_survives_a_snapshot() -> None:
    """Stopped after every row, of which some lie between two tries. Catches a restored order that
    waits as if it were refused for the first time."""
    spec, tape = a_limited(), marks((0, 100.0), *((n, 119.0) for n in range(1, 40)))
    whole, said = agree(spec, tape), Run(Engine(spec))
    for place in range(40):
        said.take(said.engine.process(tape.between(place, place + 1)))
        said.engine = restore(spec, snapshot(said.engine))
    said.take(said.engine.finish())
    assert said.lines == whole.lines
    assert refused(said) == [1, 2, 4, 8, 16, 32]


def test_what_is_no_refusal_begins_with_one_pause_anew() -> None:
    """Refused after 1, 2 and 4 s; halted from the seventh to the middle of the tenth, where orders
    are tried every second; then refused after 1, 2, 4 s again. Catches a wait of 16."""
    halt = HaltMarket(ts_ns=T0 + 7 * SECOND_NS, id="h", symbol="BTCUSDT")
    resume = ResumeMarket(ts_ns=T0 + 9 * SECOND_NS + 1, id="r", symbol="BTCUSDT")
    at = [a_row(Kind.MARK, T0 + n * SECOND_NS, 119.0 if n else 100.0) for n in (0, 1, 7, 9, 10, 20)]
    tape = a_tape([*at[:3], halt, at[3], resume, *at[4:]])
    said = agree(a_limited(when_stale="refuse"), tape)
    assert refused(said) == [1, 2, 4, 10, 11, 13, 17]
    halted = [(each.ts_ns - T0) // SECOND_NS for each in said.named("order_unfilled")]
    assert halted == [8, 9]


@pytest.mark.parametrize("account", ["segregated", "omnibus"])
def test_a_mark_that_moves_half_a_per_cent_ends_the_wait(account: str) -> None:
    """Refused at 119 for the fifth time at the 16th second, and next at the 32nd. A hair inside
    119.595 nothing happens; at it, the 21st second, the order is tried, and at 119 x 0.995 from
    there again, each time with a wait of one from then on. Catches a product whose bands sleep
    through a crash because of an order that nobody takes."""
    up, down = 119.0 * 1.005, 119.0 * 1.005 * 0.995
    inside = (20, math.nextafter(up, 0.0))
    said = agree(
        a_limited(account=account),
        marks((0, 100.0), (1, 119.0), inside, (21, up), (23, math.nextafter(down, 999.0))),
        range(60),
    )
    assert refused(said) == [1, 2, 4, 8, 16, 21, 22]
    said = agree(
        a_limited(account=account),
        marks((0, 100.0), (1, 119.0), inside, (21, up), (27, down), (28, 80.0)),
    )
    assert refused(said) == [1, 2, 4, 8, 16, 21, 22, 24, 27]
    (dropped,) = said.named("order_cancelled")
    assert (dropped.ts_ns, dropped.reason) == (T0 + 28 * SECOND_NS, "not_needed")
    assert said.named("rebalanced")[-1].ts_ns == T0 + 28 * SECOND_NS


def test_margin_that_arrives_ends_the_wait() -> None:
    """Refused at 3, 4, 6, and next at 10; the top-up is free at the ninth second, and the hedge is
    bought back then. Catches a product that stays unhedged beside money that is there."""
    freeze = FreezeWithdrawals(ts_ns=T0, id="f", symbol="BTCUSDT", until_ns=T0 + 9 * SECOND_NS)
    said = hedged([100.0, freeze, 93.5, 93.0, *[92.0] * 9])
    assert refused(said) == [3, 4, 6]
    assert said.named("topup_arrived")[0].ts_ns == T0 + 9 * SECOND_NS
    assert said.named("order_filled")[-1].ts_ns == T0 + 9 * SECOND_NS

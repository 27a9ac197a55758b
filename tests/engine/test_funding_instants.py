"""Funding at its very instant: who pays, and on what, worked by hand; heart and reference agree."""

from __future__ import annotations

from typing import Any

import pytest

from engine.points import PricingSpec
from engine.ticks import Kind
from engine.units import SECOND_NS
from engine.venue.accounts import PositionSpec, TraderSpec
from engine.venue.book import BookSpec
from engine.venue.funding import FundingSpec
from engine.venue.price_rules import FundingRules, IndexSource, MarkRules
from engine.venue.rules import MarginRules, Tier, VenueRules
from strategies import LeverageBand
from tests.builders import T0, Run, a_contract, a_market, a_product, a_row, a_spec, a_tape
from tests.properties.agreement import agree

INSTANT_NS = T0 + 5 * SECOND_NS
COIN = 10**6
BAND = LeverageBand(target=3.0, low=2.4, high=3.6)


def said_by(rows: list[Any], *, latency_ns: int = 0, traders: Any = (), **rules: Any) -> Run:
    """A 3x product of a million at 100 holds 30,000 coins; 1 % is paid at second 5."""
    tiers = (Tier(cap=1e9, max_leverage=20.0, rate=0.01),) if traders else ()
    market = a_market(
        contract=a_contract(taker_fee=0.0),
        book=BookSpec(model="flat"),
        funding=FundingSpec(recorded=False, instants=((INSTANT_NS, 0.01),)),
        venue=VenueRules(funding=FundingRules(**rules), margin=MarginRules(tiers=tiers)),
    )
    product = a_product(latency_ns=latency_ns)
    return agree(a_spec((product, (BAND,)), markets=(market,), traders=traders), a_tape(rows))


def mark(second: float, price: float) -> Any:
    return a_row(Kind.MARK, T0 + int(second * SECOND_NS), price)


@pytest.mark.parametrize(
    ("instant_pays", "second", "latency_ns", "lots"),
    [
        # At 120 the product is 2.25 times levered and buys to 40,000 coins.
        (True, 5, 0, 40_000),
        (False, 5, 0, 30_000),
        (True, 4, SECOND_NS, 40_000),
        (False, 4, SECOND_NS, 30_000),
        (False, 4, 0, 40_000),
        (True, 5, 1, 30_000),
    ],
)
def test_what_is_opened_at_the_very_instant(
    instant_pays: bool, second: int, latency_ns: int, lots: int
) -> None:
    """Bought by a price or an order of that very instant it pays where the venue says so; bought a
    second before it always does, a nanosecond later never."""
    rows = [mark(0, 100.0), mark(second, 120.0), mark(7, 120.0)]
    said = said_by(rows, latency_ns=latency_ns, instant_pays=instant_pays)
    (paid,) = said.named("funding_settled")
    assert paid.ts_ns == INSTANT_NS
    assert paid.position_lots == lots * COIN
    assert paid.paid_atoms == lots * COIN * 120 // 100
    assert b"index_price" not in said.lines[said.events.index(paid)]


def test_what_is_closed_at_the_very_instant_does_not_pay() -> None:
    """At 90 it is 3.86 times levered and sells to 23,333.33 coins: these pay, whatever was held
    before."""
    for instant_pays in (True, False):
        said = said_by([mark(0, 100.0), mark(5, 90.0), mark(7, 90.0)], instant_pays=instant_pays)
        (paid,) = said.named("funding_settled")
        assert paid.position_lots == said.named("rebalanced")[-1].position_lots < 30_000 * COIN


def test_positions_pay_by_the_index_where_the_venue_says_so() -> None:
    """1 % of 30,000 coins at an index of 110 are 33,000, at the mark of 100 they are 30,000; a
    customer short 1,000 coins receives 1,100. Without an index the mark holds."""
    index = a_row(Kind.INDEX, T0 + SECOND_NS, 110.0)
    short = PositionSpec(market=0, lots=-1_000 * COIN, entry=100.0)
    trader = TraderSpec(id="t", wallet_atoms=10**11, positions=(short,))
    for priced_at, rows, price in (
        ("index", [mark(0, 100.0), index, mark(7, 100.0)], 110.0),
        ("mark", [mark(0, 100.0), index, mark(7, 100.0)], None),
        ("index", [mark(0, 100.0), mark(7, 100.0)], None),
    ):
        said = said_by(rows, traders=(trader,), priced_at=priced_at)
        (paid,), (others,) = said.named("funding_settled"), said.named("traders_funded")
        assert paid.index_price == others.index_price == price
        assert paid.paid_atoms == 300 * COIN * round(price or 100.0)
        assert others.paid_atoms == -10 * COIN * round(price or 100.0)
        assert paid.mark_price == others.mark_price == 100.0


# Recorded rates that come late --------------------------------------------------------------------

HOUR = 3_600


def rate(second: float, share: float, due: float) -> Any:
    due_ns = T0 + int(due * SECOND_NS)
    return a_row(Kind.FUNDING, T0 + int(second * SECOND_NS), share, due_ns)


def recorded(rows: list[Any], places: Any = (), **market: Any) -> Run:
    known = a_market(
        contract=a_contract(taker_fee=0.0),
        book=BookSpec(model="flat"),
        funding=FundingSpec(recorded=True),
        **market,
    )
    return agree(a_spec((a_product(), (BAND,)), markets=(known,)), a_tape(rows), places)


@pytest.mark.parametrize("places", [(), (1, 2, 3, 4, 5, 6)])
def test_a_rate_of_an_instant_that_was_settled_is_late(places: Any) -> None:
    """1 % is announced for second 9. Rows that still name second 5, which was settled at 2 %, move
    nothing, whether one that is in time follows or none: they are refused, and told as late."""
    rows = [mark(0, 100.0), rate(1, 0.02, 5), mark(6, 100.0), rate(6, 0.01, 9), rate(7, 0.05, 5)]
    rows += [rate(7.5, 0.06, 4), mark(10, 100.0)]
    said = recorded(rows, places)
    settled = said.named("funding_settled")
    assert [(paid.ts_ns - T0) // SECOND_NS for paid in settled] == [5, 9]
    assert [paid.rate for paid in settled] == [0.02, 0.01]
    refused = said.named("input_rejected")
    assert [(e.reason, e.kind, e.sequence) for e in refused] == [
        ("late", "funding", 4),
        ("late", "funding", 5),
    ]
    assert refused[0].detail == f"rate=0.05 next_ns={INSTANT_NS}"
    assert said.engine.state.rejected == {"late": 2}


def test_a_repetition_is_late_once_its_instant_was_settled() -> None:
    """A feed that goes on saying what it said: in time up to the instant and at it, late beyond,
    in whatever order the rows of one step lie. A later instant that is settled within the step
    makes what copied it late too."""
    again = [rate(second, 0.02, 5) for second in (1, 4, 5, 5.5, 6)]
    rows = [mark(0, 100.0), *again, rate(6, 0.01, 7), rate(6.5, 0.04, 5), mark(7.5, 100.0)]
    rows += [rate(8, 0.03, 7), rate(8, 0.05, 9), mark(10, 100.0)]
    for places in ((), (3, 4, 7, 8), range(1, len(rows))):
        said = recorded(rows, places)
        assert [paid.rate for paid in said.named("funding_settled")] == [0.02, 0.01, 0.05]
        assert [event.sequence for event in said.named("input_rejected")] == [4, 5, 7, 9]


@pytest.mark.parametrize("places", [(), (13,), (14,), range(1, 24)])
def test_a_late_rate_leaves_the_mark_of_a_venue_alone(places: Any) -> None:
    """The index is 100, and what is left of 1 % over ten seconds lies on it: 100.2 two seconds
    before it is paid. A row in between that names what was settled takes nothing off, be it the
    first of its step. Catches a mark that forgets the funding to come."""
    index = [a_row(Kind.INDEX, T0 + n * SECOND_NS // 2, 100.0) for n in range(20)]
    index.insert(3, rate(1, 0.02, 5))
    index.insert(13, rate(5.5, 0.01, 9))
    index.insert(14, rate(5.6, 0.05, 5))
    source = IndexSource(symbol=0, stale_after_ns=SECOND_NS, recorded=True)
    pricing = PricingSpec(
        sources=(source,),
        mark=MarkRules(legs=("funding",)),
        interval_ns=10 * SECOND_NS,
    )
    said = recorded(index, places, pricing=pricing, mark_source="venue")
    assert [event.sequence for event in said.named("input_rejected")] == [14]
    columns = said.nav
    marks = dict(zip(columns["ts_ns"].tolist(), columns["mark_price"].tolist(), strict=True))
    assert [marks[T0 + n * SECOND_NS] for n in (4, 6, 7, 8)] == pytest.approx(
        [100.2, 100.3, 100.2, 100.1]
    )


def test_a_first_rate_whose_instant_is_past_is_settled_at_once() -> None:
    """Nobody was told of the instant before: what is owed for it is paid when it is known."""
    said = recorded([mark(0, 100.0), mark(6, 100.0), rate(6.5, 0.02, 5), mark(7, 100.0)])
    (paid,) = said.named("funding_settled")
    assert (paid.rate, paid.ts_ns) == (0.02, T0 + 6_500_000_000)
    assert not said.named("input_rejected")

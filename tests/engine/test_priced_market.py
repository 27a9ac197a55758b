"""Tests of ``engine.points``, ``engine.pricing`` and ``engine.priced_market``: what a venue makes
of its own, worked by hand."""

from __future__ import annotations

from typing import Any

import pytest

from engine.commands import MaskIndex
from engine.engine import EngineSpec
from engine.errors import ConfigError
from engine.points import PricingSpec
from engine.ticks import Kind
from engine.units import MINUTE_NS, SECOND_NS
from engine.venue.funding import FundingSpec
from engine.venue.funding_rate import MarginRates
from engine.venue.price_rules import FundingRules, IndexSource, MarkRules
from strategies import LeverageBand
from tests.builders import T0, Run, a_contract, a_market, a_product, a_row, a_spec, a_tape, run
from tests.properties.agreement import agree

HOLD = LeverageBand(target=3.0, low=0.0, high=1e6)
SHORT = LeverageBand(target=-3.0, low=0.0, high=1e6)


def a_priced_spec(pricing: PricingSpec, **market: Any) -> EngineSpec:
    """A long and a short on symbol 0; symbols 1, 2 and 3 are spot markets."""
    spec = a_spec(
        (a_product("LONG", 0), (HOLD,)),
        (a_product("SHORT", 0), (SHORT,)),
        markets=(
            a_market(
                0,
                **{
                    "mark_source": "venue",
                    "stale_after_ns": 30 * SECOND_NS,
                    "pricing": pricing,
                    **market,
                },
            ),
        ),
    )
    names = ("BTCUSDT", "ONE", "TWO", "THREE")
    return EngineSpec(
        symbols=names, markets=spec.markets, products=spec.products, policies=spec.policies
    )


def spot(*weights: float, stale_after_ns: int = 10 * SECOND_NS) -> tuple[IndexSource, ...]:
    return tuple(
        IndexSource(symbol=n, weight=w, stale_after_ns=stale_after_ns)
        for n, w in enumerate(weights, 1)
    )


def quote(second: float, mid: float, symbol: int) -> Any:
    at = T0 + round(second * SECOND_NS)
    return a_row(Kind.BBO, at, mid - 0.5, 1.0, mid + 0.5, 1.0, symbol=symbol)


def trade(second: float, price: float, number: int, symbol: int = 0) -> Any:
    at = T0 + round(second * SECOND_NS)
    return a_row(Kind.TRADE, at, price, 1.0, 1, number, symbol=symbol)


def marks(said: Run) -> dict[int, float]:
    """The mark of each sample, by seconds from the start."""
    nav = said.nav
    times = ((nav["ts_ns"] - T0) // SECOND_NS).tolist()
    return dict(zip(times, nav["mark_price"].tolist(), strict=True))


def calm(seconds: int, own: float = 100.0, index: float = 100.0) -> list[Any]:
    """Quotes of the market and of three sources in every second."""
    rows = []
    for second in range(seconds):
        rows += [quote(second, index, symbol) for symbol in (1, 2, 3)]
        rows += [quote(second, own, 0), trade(second, own, second + 1)]
    return rows


def test_the_mark_at_a_point_is_of_the_rows_up_to_it() -> None:
    """Rows at the very point count, rows a moment later do not: 100 at second 1, 107 at second
    2."""
    pricing = PricingSpec(sources=spot(1.0), mark=MarkRules(legs=("index",)))
    rows = [quote(0, 100.0, 1), quote(1.000000001, 107.0, 1), quote(3, 90.0, 1), quote(4, 90.0, 1)]
    made = marks(run(a_priced_spec(pricing), a_tape(rows)))
    assert made == {0: 100.0, 1: 100.0, 2: 107.0, 3: 90.0, 4: 90.0}


def test_a_print_of_one_source_does_not_move_the_mark() -> None:
    """2021-10-21: one of three sources falls from 100 to 12.5 for 13 seconds; mark, products and
    log stay as they are."""
    pricing = PricingSpec(sources=spot(3.0, 2.0, 2.0), mark=MarkRules())
    rows = calm(60)
    broken = [
        quote(second, 12.5, 1) if row[1] == 1 and 20 <= second < 33 else row
        for place, row in enumerate(rows)
        for second in (place // 5,)
    ]
    said = run(a_priced_spec(pricing), a_tape(broken))
    held = run(a_priced_spec(pricing), a_tape(rows))
    assert set(marks(said).values()) == {100.0}
    assert said.engine.intake.lanes[Kind.BBO][1].price == 100.0
    assert said.lines == held.lines


def test_a_print_of_the_market_itself_does_not_move_its_mark() -> None:
    """The last trade falls from 100 to 12.5 for 13 seconds: two legs hold the mark."""
    pricing = PricingSpec(sources=spot(1.0), mark=MarkRules())
    rows = [
        trade(place // 5, 12.5, place // 5 + 1)
        if row[0] is Kind.TRADE and 20 <= place // 5 < 33
        else row
        for place, row in enumerate(calm(60))
    ]
    assert set(marks(run(a_priced_spec(pricing), a_tape(rows))).values()) == {100.0}


def test_the_legs_are_told_when_they_change_and_not_otherwise() -> None:
    """Book and basis from the start; the index falls silent after ten seconds, then the book
    alone holds; then it is back. One event each."""
    pricing = PricingSpec(sources=spot(1.0), mark=MarkRules())
    rows = [quote(0, 100.0, 1), quote(0, 101.0, 0)]
    rows += [quote(second, 101.0, 0) for second in range(1, 20)]
    rows += [quote(20, 100.0, 1), quote(22, 101.0, 0)]
    said = run(a_priced_spec(pricing), a_tape(rows))
    told = [
        ((e.ts_ns - T0) // SECOND_NS, e.legs, e.leg, e.price, e.index)
        for e in said.named("mark_source_changed")
    ]
    assert told == [
        (0, "basis+book", "basis", 101.0, 100.0),
        (10, "book", "book", 101.0, 0.0),
        (20, "basis+book", "basis", 101.0, 100.0),
    ]
    (stale,) = said.named("index_stale")
    assert (stale.ts_ns - T0, stale.since_ns - T0) == (10 * SECOND_NS, 9 * SECOND_NS)


def test_without_any_source_there_is_no_mark_and_the_market_goes_stale() -> None:
    """An index alone: its last mark is made at second 9, so thirty seconds later the market is
    stale, and the first fresh source resumes it."""
    pricing = PricingSpec(sources=spot(1.0, 1.0), mark=MarkRules(legs=("index",)))
    rows = [quote(0, 100.0, 1), *(quote(second, 500.0, 0) for second in range(1, 50))]
    rows += [quote(50, 103.0, 2), quote(52, 103.0, 2)]
    said = run(a_priced_spec(pricing), a_tape(rows))
    (stale,) = said.named("market_stale")
    assert (stale.ts_ns - T0, stale.reason) == (39 * SECOND_NS, "gap")
    (resumed,) = said.named("market_resumed")
    assert (resumed.ts_ns - T0, resumed.price) == (50 * SECOND_NS, 103.0)


def test_recorded_index_rows_are_a_source() -> None:
    """The market's own index rows, where no other source is named."""
    own = IndexSource(symbol=0, stale_after_ns=5 * SECOND_NS, recorded=True)
    pricing = PricingSpec(sources=(own,), mark=MarkRules(legs=("index",)))
    rows = [a_row(Kind.INDEX, T0 + n * SECOND_NS, 100.0 + n) for n in range(4)]
    assert marks(run(a_priced_spec(pricing), a_tape(rows))) == {
        0: 100.0,
        1: 101.0,
        2: 102.0,
        3: 103.0,
    }


PREMIUM = FundingRules(
    interval_ns=MINUTE_NS,
    rate_interval_ns=MINUTE_NS,
    sample_ns=5 * SECOND_NS,
    kernel="flat",
)
FIRST_NS = (T0 // MINUTE_NS + 1) * MINUTE_NS


def funded(rules: FundingRules, own: float, seconds: int = 60) -> list[Any]:
    pricing = PricingSpec(
        sources=spot(1.0),
        mark=MarkRules(legs=("index",)),
        premium=rules,
        margins=MarginRates(0.02, 0.012),
    )
    spec = a_priced_spec(pricing, funding=FundingSpec(recorded=False, premium=rules))
    said = run(spec, a_tape(calm(seconds, own=own)))
    assert said.named("funding_settled")
    return said.named("funding_settled")


def test_a_premium_above_the_index_makes_longs_pay() -> None:
    """A bid of 102.5 over an index of 100: a premium of 2.5 %, less 0.05 %. Long and short hold
    three times a million, so the long pays 73,500 and the short receives as much; what both hold
    sums to nothing but the rounding."""
    long, short = funded(PREMIUM, own=103.0)
    assert long.ts_ns == FIRST_NS
    assert long.rate == short.rate == pytest.approx(0.0245, rel=1e-12)
    assert long.paid_atoms > 0 > short.paid_atoms
    held = long.position_lots * 10**-6 * long.mark_price
    assert long.paid_atoms == pytest.approx(held * 0.0245 * 10**6, rel=1e-9)
    for event in (long, short):
        expected = event.position_lots * event.mark_price * event.rate
        assert event.paid_atoms == pytest.approx(expected, abs=2.0)


def test_a_premium_below_the_index_makes_shorts_pay() -> None:
    """An ask of 97.5: -2.5 % and 0.05 % back."""
    long, short = funded(PREMIUM, own=97.0)
    assert long.rate == pytest.approx(-0.0245, rel=1e-12)
    assert long.paid_atoms < 0 < short.paid_atoms


def test_a_capped_rate() -> None:
    """Six times 2 % less 1.2 % is 4.8 %, and 10 % would have been asked."""
    rules = FundingRules(
        interval_ns=MINUTE_NS,
        rate_interval_ns=MINUTE_NS,
        sample_ns=5 * SECOND_NS,
        kernel="flat",
        cap_margins=6.0,
    )
    assert funded(rules, own=112.0)[0].rate == pytest.approx(0.048, rel=1e-12)


def test_without_an_index_no_premium_is_made_up() -> None:
    """Nothing was heard of the index: the rate is 0."""
    pricing = PricingSpec(sources=spot(1.0), mark=None, premium=PREMIUM)
    spec = a_priced_spec(
        pricing, mark_source="mid", funding=FundingSpec(recorded=False, premium=PREMIUM)
    )
    rows = [quote(second, 100.0, 0) for second in range(60)]
    said = run(spec, a_tape(rows))
    assert [(e.rate, e.paid_atoms) for e in said.named("funding_settled")] == [(0.0, 0), (0.0, 0)]


def test_without_a_book_no_premium_is_made_up() -> None:
    """The index is heard, the market itself is silent from before the funding instant's period on:
    the rate is 0 and not that of a price of 0."""
    pricing = PricingSpec(
        sources=spot(1.0), mark=MarkRules(legs=("index",), stale_after_ns=1), premium=PREMIUM
    )
    spec = a_priced_spec(pricing, funding=FundingSpec(recorded=False, premium=PREMIUM))
    rows = [quote(second + 0.5, 100.0, 1) for second in range(60)]
    said = run(spec, a_tape(rows))
    assert {e.rate for e in said.named("funding_settled")} == {0.0}


def test_the_funding_leg_is_there_up_to_its_instant() -> None:
    """A recorded rate of 8 % at second 2: the mark is the index and what is left of it; at the
    instant that is nothing, and after it there is no leg."""
    pricing = PricingSpec(
        sources=spot(1.0),
        mark=MarkRules(legs=("funding", "index"), pair="first"),
        interval_ns=8 * SECOND_NS,
    )
    spec = a_priced_spec(pricing, funding=FundingSpec(recorded=True))
    named = a_row(Kind.FUNDING, T0, 0.08, T0 + 2 * SECOND_NS)
    rows = [quote(0, 100.0, 1), named, *(quote(n, 100.0, 1) for n in (1, 2, 3, 4))]
    said = run(spec, a_tape(rows))
    made = marks(said)
    assert [made[n] for n in range(4)] == pytest.approx([102.0, 101.0, 100.0, 100.0], rel=1e-12)
    told = [((e.ts_ns - T0) // SECOND_NS, e.legs) for e in said.named("mark_source_changed")]
    assert told == [(0, "funding+index"), (3, "index")]


@pytest.mark.parametrize(
    ("mark", "premium"),
    [
        (MarkRules(every_ns=3 * SECOND_NS), None),
        (None, FundingRules(sample_ns=7 * SECOND_NS)),
        (None, FundingRules(sample_ns=MINUTE_NS, offset_ns=SECOND_NS)),
        (None, FundingRules(sample_ns=MINUTE_NS, interval_ns=90 * SECOND_NS)),
    ],
)
def test_grids_that_miss_one_another_are_refused(mark: Any, premium: Any) -> None:
    """The basis lies on the mark's grid, and the instants on the premium's."""
    with pytest.raises(ConfigError, match="grid"):
        PricingSpec(sources=spot(1.0), mark=mark, premium=premium)


def test_a_market_of_a_contract_that_is_inverse_is_priced_alike() -> None:
    """The mark does not ask what the contract is."""
    pricing = PricingSpec(sources=spot(1.0), mark=MarkRules(legs=("index",)))
    spec = a_priced_spec(pricing, contract=a_contract("BTCUSD", inverse=True))
    rows = [quote(second, 20_000.0 + second, 1) for second in range(4)]
    assert marks(run(spec, a_tape(rows))) == {n: 20_000.0 + n for n in range(4)}


def mask(second: float, name: str, **fields: Any) -> MaskIndex:
    at = T0 + round(second * SECOND_NS)
    return MaskIndex(ts_ns=at, id=name, symbol="BTCUSDT", **fields)


def test_an_index_goes_on_without_a_masked_source() -> None:
    """Weights of 3, 2 and 2 at 100, 104 and 108: half of the weight lies at or below 104. Without
    the first it is 106's lower neighbour, 104, or where the second is masked as well, 108. Masked
    sources go on speaking and are not heard."""
    pricing = PricingSpec(sources=spot(3.0, 2.0, 2.0), mark=MarkRules(legs=("index",)))
    rows: list[Any] = []
    for second in range(9):
        rows += [quote(second, 100.0 + 4.0 * n, n + 1) for n in range(3)]
        rows += {
            2: [mask(2.5, "a", source="TWO")],
            4: [mask(4.5, "b", source="ONE", for_ms=2_000)],
            7: [mask(7.5, "c", source="TWO", masked=False)],
        }.get(second, [])
    said = agree(a_priced_spec(pricing), a_tape(rows))
    assert list(marks(said).values()) == [
        104.0,
        104.0,
        104.0,
        100.0,
        100.0,
        108.0,
        108.0,
        100.0,
        104.0,
    ]
    assert [event.detail for event in said.named("command_obeyed")] == [
        "TWO masked",
        "ONE masked for 2000 ms",
        "TWO counted",
    ]


def test_an_index_of_masked_sources_is_stale_and_no_number() -> None:
    """All sources are masked from 5.5 to 45.5 while they go on speaking: the index is stale at
    second 6, there is no mark from then on, so that the market is stale thirty seconds after its
    last one, and orders wait; when the sources count again it resumes by itself."""
    pricing = PricingSpec(sources=spot(1.0, 1.0), mark=MarkRules(legs=("index",)))
    rows: list[Any] = []
    for second in range(60):
        rows += [quote(second, 100.0 + second, symbol) for symbol in (1, 2)]
        rows += [mask(5.5, "a", for_ms=40_000)] if second == 5 else []
    said = agree(a_priced_spec(pricing), a_tape(rows))
    (gone,) = said.named("index_stale")
    assert (gone.ts_ns - T0, gone.since_ns - T0) == (6 * SECOND_NS, 5 * SECOND_NS)
    (stale,) = said.named("market_stale")
    assert (stale.ts_ns - T0, stale.reason) == (35 * SECOND_NS, "gap")
    (resumed,) = said.named("market_resumed")
    assert (resumed.ts_ns - T0, resumed.price) == (46 * SECOND_NS, 146.0)
    assert {price for second, price in marks(said).items() if 5 <= second < 46} == {105.0}


def test_masks_that_change_nothing_are_refused() -> None:
    """A symbol that is no source, one that nobody knows, the same again, and the end of what is
    not; a market without an index of its own has nothing to mask."""
    pricing = PricingSpec(sources=spot(1.0, 1.0), mark=MarkRules())
    rows = [
        *(quote(0, 100.0, 1), quote(0, 100.0, 0), mask(1, "a", source="THREE")),
        *(mask(1, "b", source="FOUR"), mask(1, "c", masked=False), mask(2, "d"), mask(3, "e")),
    ]
    said = agree(a_priced_spec(pricing), a_tape(rows))
    assert [event.reason for event in said.named("command_refused")] == [
        *("unknown_source", "unknown_source", "not_masked", "masked")
    ]
    plain = agree(a_spec(), a_tape([100.0, mask(1, "a")]))
    assert [event.reason for event in plain.named("command_refused")] == ["no_index"]
    with pytest.raises(ValueError, match="for_ms must be in"):
        mask(1, "a", for_ms=-1)


@pytest.mark.parametrize(("share", "rate"), [(0.0, 0.015), (0.001, 0.01398), (float("inf"), 0.0)])
def test_a_premium_is_that_of_the_impact_notional(share: float, rate: float) -> None:
    """The mid is 102, the best bid 101.5, the index 100; a tenth of a per cent further the impact
    notional sells at 101.398. Where the book cannot fill it there is no premium."""
    rules = FundingRules(
        interval_ns=MINUTE_NS,
        rate_interval_ns=MINUTE_NS,
        sample_ns=5 * SECOND_NS,
        interest=0.0,
        clamp=None,
    )
    pricing = PricingSpec(sources=spot(1.0), premium=rules, impact_share=share)
    spec = a_priced_spec(pricing, funding=FundingSpec(recorded=False, premium=rules))
    said = agree(spec, a_tape(calm(70, own=102.0)))
    rates = [event.rate for event in said.named("funding_settled")]
    assert rates == pytest.approx([rate] * 2, abs=1e-12)

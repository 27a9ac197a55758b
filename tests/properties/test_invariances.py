"""What may be done to a market or to a product's holders without anybody's return changing.

Prices come once a minute, policies review in between, so that every review sees one return.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from engine.events import (
    CreationRequest,
    FundingSettled,
    ManagementFeeCharged,
    OrderFilled,
    RedemptionRequest,
)
from engine.sampler import Sampling
from engine.ticks import Kind
from engine.units import DAY_NS, MINUTE_NS
from engine.venue.book import BookSpec
from engine.venue.funding import FundingSpec
from strategies import Constant, LeverageBand, Schedule
from tests.builders import T0, Run, a_contract, a_market, a_product, a_row, a_spec, a_tape, run

SEED = 10**15
"""A billion, so that a lot more or less is nothing."""
START = 100.0
FREE = BookSpec(model="flat", half_spread_bps=0.0)
DEEP = BookSpec(model="depth", depth_at_1pct=244e9, half_life_s=20.0)
NO_FUNDING = FundingSpec(recorded=False)
FUNDED = FundingSpec(
    recorded=False,
    instants=tuple((T0 + n * MINUTE_NS + 1, 0.0005 * (-1) ** n) for n in range(2, 12, 3)),
)
RETURNS = st.lists(st.floats(-0.12, 0.12), min_size=2, max_size=12)
TARGETS = st.sampled_from((-3.0, -1.0, 0.5, 2.0, 3.0, 5.0))
few = settings(max_examples=30, deadline=None)


def told(
    returns: list[float], *policies: Any, scale: float = 1.0, insert: Any = None, **terms: Any
) -> Run:
    """A product of a billion at 100 and these returns; ``insert``: a request, and after how many of
    them it comes."""
    market: dict[str, Any] = {"book": FREE, "funding": NO_FUNDING}
    market |= {name: terms.pop(name) for name in ("book", "funding") if name in terms}
    fee = terms.pop("taker_fee", 0.0)
    contract = a_contract(taker_fee=fee, lot_size=1e-6 / scale, price_step=0.01 * scale)
    never = {"stale_after_ns": 9 * DAY_NS, "frozen_after_ns": 9 * DAY_NS}
    product = a_product(seed_atoms=SEED, holdings=((0, SEED // 4),), **terms)
    spec = a_spec(
        (product, policies),
        markets=[a_market(contract=contract, **market, **never)],
        users=("alice",),
        sampling=Sampling(nav_every_ns=MINUTE_NS),
    )
    rows: list[Any] = []
    price = START * scale
    for number, change in enumerate([0.0, *returns]):
        price *= 1.0 + change
        rows.append(a_row(Kind.MARK, T0 + number * MINUTE_NS, price))
    rows.append(a_row(Kind.MARK, T0 + len(rows) * MINUTE_NS, price))
    if insert is not None:
        rows.insert(insert[1] + 1, insert[0])
    return run(spec, a_tape(rows))


def per_unit(said: Run) -> float:
    """NAV per unit at the end, quote."""
    held, mark = said.engine.handlers[0].account, said.engine.markets[0].state.mark
    return float(held.nav(mark) * 100 / held.units)


def wakes(said: Run) -> list[Any]:
    """When and from which leverage the product traded on its own."""
    return [(e.ts_ns, e.reason) for e in said.named("rebalanced")]


# Prices -------------------------------------------------------------------------------------------


@few
@given(returns=RETURNS, target=TARGETS, random=st.randoms(use_true_random=False))
def test_the_order_of_returns_is_nothing_to_a_multiple(
    returns: list[float], target: float, random: Any
) -> None:
    """Rebalanced at every step, NAV is the product of 1 + L r, whatever comes first; free of costs.
    Catches an exposure that is sized at the NAV of the step before."""
    shuffled = returns.copy()
    random.shuffle(shuffled)
    for order in (returns, shuffled):
        said = told(order, Constant(target=target, review_s=60.0))
        expected = prod(1.0 + target * change for change in returns)
        assert per_unit(said) == pytest.approx(expected, rel=1e-9)


@few
@given(returns=RETURNS, scale=st.sampled_from((0.001, 0.125, 0.5, 3.7, 8.0, 1024.0)))
def test_the_unit_of_the_price_is_nothing_to_anybody(returns: list[float], scale: float) -> None:
    """All prices c times as high, lots of 1 / c: the same wakes, and the same NAV per unit; with
    fee, spread, impact, funding, a band and a schedule. Catches an edge that is drawn in by a part
    of a coin's price instead of a share of it."""
    band = LeverageBand(target=3.0, low=2.6, high=3.5)
    policies = (band, Schedule(target=3.0, every_s=240.0))
    costs: dict[str, Any] = {"book": DEEP, "funding": FUNDED, "taker_fee": 0.0005}
    plain, scaled = (told(returns, *policies, scale=by, **costs) for by in (1.0, scale))
    assert wakes(scaled) == wakes(plain)
    assert scaled.engine.state.wakes == plain.engine.state.wakes
    assert per_unit(scaled) == pytest.approx(per_unit(plain), rel=1e-9)


@few
@given(returns=RETURNS, fee=st.sampled_from((0.0, 0.0005)), funded=st.booleans())
def test_once_long_is_spot_less_costs(returns: list[float], fee: float, funded: bool) -> None:
    """A holder of coins who pays the same fees, funding and spread by selling coins at the next
    trade has the same. Catches a cost that is booked twice, or not at all."""
    funding = FUNDED if funded else NO_FUNDING
    terms = {"management_fee": 0.001, "fee_every_ns": 5 * MINUTE_NS}
    spread = BookSpec(model="flat", half_spread_bps=2.0)
    policy = Constant(target=1.0, review_s=60.0)
    said = told(returns, policy, book=spread, funding=funding, taker_fee=fee, **terms)
    cash, coins, paid = SEED * 1.25, 0.0, 0
    for event in said.events:
        if isinstance(event, OrderFilled):
            coins += cash / event.mid_price
            cash = event.spread_impact_atoms - event.fee_atoms
            paid -= cash
        elif isinstance(event, (FundingSettled, ManagementFeeCharged)):
            cash -= event.paid_atoms
    spot = cash + coins * said.engine.markets[0].state.mark
    assert per_unit(said) == pytest.approx(spot / (SEED * 1.25), rel=1e-9)
    assert paid > 0


# Holders ------------------------------------------------------------------------------------------


@st.composite
def requests(draw: Any) -> tuple[Any, int]:
    """A creation of up to twice the product, or a redemption of up to all that Alice has; early or
    late."""
    place = draw(st.integers(0, 2))
    named = {"ts_ns": T0 + place * MINUTE_NS, "id": "r", "product": "BTC3L"}
    if draw(st.booleans()):
        quote = draw(st.floats(1.0, 2e9))
        return CreationRequest(user="bob", quote=quote, **named), place
    return RedemptionRequest(user="alice", units=draw(st.floats(1.0, 2.5e8)), **named), place


BANDS = st.sampled_from(
    (
        LeverageBand(target=3.0, low=2.6, high=3.5),
        LeverageBand(target=-2.0, low=1.7, high=2.4),
        LeverageBand(target=1.0, low=0.9, high=1.1),
    )
)


@few
@given(returns=RETURNS, band=BANDS, insert=requests())
def test_who_comes_or_goes_is_nothing_to_the_others(
    returns: list[float], band: LeverageBand, insert: tuple[Any, int]
) -> None:
    """Free of costs, NAV per unit and every wake are those of a product that nobody came to.
    Catches a hedge of the target leverage instead of the present one."""
    plain, joined = told(returns, band), told(returns, band, insert=insert)
    assert joined.named("units_created", "units_redeemed")
    assert wakes(joined) == wakes(plain)
    assert joined.engine.state.wakes == plain.engine.state.wakes
    assert per_unit(joined) == pytest.approx(per_unit(plain), rel=1e-9)


@few
@given(returns=RETURNS, band=BANDS, insert=requests())
def test_who_comes_or_goes_pays_his_own_impact(
    returns: list[float], band: LeverageBand, insert: tuple[Any, int]
) -> None:
    """With fee, spread and impact NAV per unit never falls by a deal, to the last atom: whoever
    asked pays for his hedge. Catches a creation whose impact is left to the pool."""
    _, place = insert
    costs: dict[str, Any] = {"book": DEEP, "taker_fee": 0.0005}
    seen = returns[:place]
    plain, joined = (told(seen, band, insert=each, **costs) for each in (None, insert))
    before, after = (said.engine.handlers[0].account for said in (plain, joined))
    mark = plain.engine.markets[0].state.mark
    dealt = joined.named("units_created", "units_redeemed")
    assert dealt
    assert after.nav(mark) * before.units >= before.nav(mark) * after.units


@few
@given(returns=RETURNS, band=BANDS, insert=requests(), funded=st.booleans())
def test_where_costs_are_in_proportion_who_comes_or_goes_costs_the_others_nothing(
    returns: list[float], band: LeverageBand, insert: tuple[Any, int], funded: bool
) -> None:
    """With fee, spread, funding and management fee, but without impact: the same wakes to the end,
    and NAV per unit never lower, but for a part in a million (the fee on the spread). Catches a
    request whose spread the pool pays, and lots per unit that are others afterwards."""
    costs: dict[str, Any] = {
        "book": BookSpec(model="flat", half_spread_bps=3.0),
        "taker_fee": 0.0005,
        "funding": FUNDED if funded else NO_FUNDING,
        "management_fee": 0.001,
        "fee_every_ns": 3 * MINUTE_NS,
    }
    plain, joined = (told(returns, band, insert=each, **costs) for each in (None, insert))
    assert joined.named("units_created", "units_redeemed")
    assert [at for at, _ in wakes(joined)] == [at for at, _ in wakes(plain)]
    before, after = (said.nav["nav_per_unit"] for said in (plain, joined))
    assert (after >= before * (1.0 - 1e-6)).all()


BOOKS = st.sampled_from(
    [BookSpec(model="depth", depth_at_1pct=deep, half_life_s=20.0) for deep in (3e9, 2.44e11)]
)


@few
@given(returns=RETURNS, band=BANDS, insert=requests(), book=BOOKS)
def test_a_deal_with_impact_leaves_the_others_their_position_and_no_less(
    returns: list[float], band: LeverageBand, insert: tuple[Any, int], book: BookSpec
) -> None:
    """A redemption takes its share of the lots, to the last; a creation buys its share before it
    knows its impact and gets units after it: the others' lots per unit grow by no more than the
    part of NAV that it cost. So with impact leverage may be higher by that part from then on.
    Catches a hedge of the money instead of the share."""
    _, place = insert
    costs: dict[str, Any] = {"book": book, "taker_fee": 0.0005}
    plain, joined = (told(returns[:place], band, insert=each, **costs) for each in (None, insert))
    before, after = (said.engine.handlers[0].account for said in (plain, joined))
    deals = joined.named("units_created", "units_redeemed")
    assume(deals and deals[0].units and not joined.named("order_unfilled"))
    nav = before.nav(plain.engine.markets[0].state.mark)
    grown = (after.lots / after.units) / (before.lots / before.units) - 1.0
    most = deals[0].cost_atoms / nav if isinstance(insert[0], CreationRequest) else 0.0
    assert -1e-6 <= grown <= most + 1e-6


@few
@given(returns=RETURNS, band=BANDS, insert=requests(), book=BOOKS)
def test_nobody_notices_who_leaves_until_the_product_trades_for_itself(
    returns: list[float], band: LeverageBand, insert: tuple[Any, int], book: BookSpec
) -> None:
    """After a redemption into a book of any thinness NAV per unit is never lower up to the next
    rebalance, which comes at the same instant. Catches a hedge that the others pay for later, and
    edges that a deal moves."""
    assume(isinstance(insert[0], RedemptionRequest))
    costs: dict[str, Any] = {"book": book, "taker_fee": 0.0005}
    plain, joined = (told(returns, band, insert=each, **costs) for each in (None, insert))
    assume(not joined.named("order_unfilled"))
    (deal,) = joined.named("units_redeemed")
    later = [[at for at, _ in wakes(said) if at > deal.ts_ns] for said in (plain, joined)]
    assert later[0][:1] == later[1][:1]
    until_ns = min(later[0], default=10**30)
    before, after = (
        said.nav["nav_per_unit"][np.array(said.nav["ts_ns"]) < until_ns] for said in (plain, joined)
    )
    assert len(after) == len(before)
    assert (after >= before * (1.0 - 1e-9)).all()


@few
@given(
    returns=st.lists(st.floats(-0.12, 0.12), min_size=3, max_size=3),
    target=st.sampled_from((-2.0, 1.0, 3.0)),
    quote=st.floats(1.0, 2e9),
    creates=st.booleans(),
)
def test_with_latency_a_deal_is_at_the_nav_of_its_fill(
    returns: list[float], target: float, quote: float, creates: bool
) -> None:
    """Asked at one price and hedged at the next, free of costs: NAV per unit is nobody's loss or
    gain. A redemption takes its share of the lots; a creation's lots are those of its money when it
    asked, its units those when it was hedged, so that the others' lots per unit change by that.
    Catches a deal at the NAV of the asking, which is a gift of the pool's."""
    wide = LeverageBand(target=target, low=0.01, high=99.0)
    named = {"ts_ns": T0 + 2 * MINUTE_NS, "id": "r", "product": "BTC3L"}
    request: Any = RedemptionRequest(user="alice", units=quote / 8.0, **named)
    if creates:
        request = CreationRequest(user="bob", quote=quote, **named)
    late = 3 * MINUTE_NS // 2
    plain, joined = (
        told(returns, wide, insert=each, latency_ns=late) for each in (None, (request, 2))
    )
    (deal,) = joined.named("units_created", "units_redeemed")
    assert deal.ts_ns == request.ts_ns + late
    assert per_unit(joined) == pytest.approx(per_unit(plain), rel=1e-9)
    before, after = (said.engine.handlers[0].account for said in (plain, joined))
    asked, dealt = (before.nav(plain.nav["mark_price"][n]) / 1e6 for n in (2, 3))
    ratio = (1.0 + quote / asked) / (1.0 + quote / dealt) if creates else 1.0
    grown = (after.lots / after.units) / (before.lots / before.units)
    assert grown == pytest.approx(ratio, rel=1e-6)


def test_a_creation_just_before_a_rebalance_may_cost_the_others_in_a_thin_book() -> None:
    """One and a half billion come to one and a quarter, and a minute later all of it must sell:
    what is sold meets the book together, and those who were there get less than without them; in a
    book of any depth they do not. It is why "never lower" is promised of the deal and no further.
    Catches a promise that nobody could keep."""
    band = LeverageBand(target=3.0, low=2.6, high=3.5)
    request = CreationRequest(
        ts_ns=T0 + MINUTE_NS, id="r", product="BTC3L", user="bob", quote=1.5e9
    )
    thin = BookSpec(model="depth", depth_at_1pct=3e9, half_life_s=20.0)
    lost = {}
    for name, book in (("thin", thin), ("flat", FREE)):
        plain, joined = (
            told([0.0, -0.1, 0.0], band, insert=each, book=book) for each in (None, (request, 1))
        )
        assert len(joined.named("rebalanced")) == len(plain.named("rebalanced")) == 2
        lost[name] = 1.0 - per_unit(joined) / per_unit(plain)
    assert lost["thin"] > 0.001
    assert lost["flat"] == pytest.approx(0.0, abs=1e-9)

"""The closed forms to which the engine is held agree with plain scans."""

from __future__ import annotations

from math import inf, isclose, ulp
from random import Random
from typing import Any

import numpy as np
import pytest

from engine.venue.contract import to_price_step
from engine.venue.rules import Tier
from tests.engine.venue import closed_forms as closed
from tests.engine.venue.closed_inverse import (
    entry_priced_inverse,
    liquidation_price_inverse,
    mark_priced_inverse,
)
from tests.engine.venue.closed_joint import Leg, Shock, joint_shock, margin_left


def a_table(*steps: tuple[float, float]) -> tuple[Tier, ...]:
    """Tiers of (cap, rate) with the deductions that make maintenance continuous."""
    tiers: list[Tier] = []
    for cap, rate in steps:
        before = tiers[-1] if tiers else None
        deduction = before.deduction + before.cap * (rate - before.rate) if before else 0.0
        tiers.append(Tier(cap=cap, max_leverage=1.0 / (2.0 * rate), rate=rate, deduction=deduction))
    return tuple(tiers)


TIERS = a_table((1_000.0, 0.01), (5_000.0, 0.02), (20_000.0, 0.05), (inf, 0.25))


def maintenance(notional: float, tiers: tuple[Tier, ...] = TIERS) -> float:
    """The rule, plainly: every slice of the notional at its own tier's rate."""
    needed, below = 0.0, 0.0
    for place, tier in enumerate(tiers):
        last = place == len(tiers) - 1
        within = notional if last or notional < tier.cap else tier.cap
        needed += (within - below) * tier.rate
        below = within
    return needed


def left(
    price: float, side: int, size: float, entry: float, collateral: float, fee: float = 0.0
) -> float:
    """Equity less maintenance at a mark."""
    notional = size * price
    return collateral + side * size * (price - entry) - maintenance(notional) - notional * fee


def test_the_tier_is_that_of_the_liquidation_price() -> None:
    """A long of 2,000 that dies at 808 dies in the first tier: ``(1,200 - 2,000) / (20 * 0.01 -
    20) = 40.404``; the second tier's rate would say 40.82. Catches the present tier used."""
    price = closed.liquidation_price(1, 20.0, 100.0, 1_200.0, TIERS)
    assert isclose(price, 800.0 / 19.8, rel_tol=1e-15)
    assert closed.mark_priced(1, 20.0, 100.0, 1_200.0, rate=0.02, deduction=10.0) == pytest.approx(
        790.0 / 19.6
    )


def test_a_short_grows_into_a_higher_tier() -> None:
    """A short of 900 with 900 of collateral dies at 1,780.39 of notional, in the second tier:
    ``(900 + 10 + 900) / (10 * 1.02)``. Catches the sign of the side and of the deduction."""
    price = closed.liquidation_price(-1, 10.0, 90.0, 900.0, TIERS)
    assert isclose(price, 1_810.0 / 10.2, rel_tol=1e-15)


@pytest.mark.parametrize("seed", range(20))
def test_liquidation_prices_are_where_a_plain_scan_finds_them(seed: int) -> None:
    """A hair to the safe side equity exceeds maintenance, a hair further it does not, for every
    side, size and fee, in every tier."""
    random = Random(seed)
    side = 1 if seed % 2 else -1
    fee = random.choice([0.0, 0.0006])
    for _ in range(50):
        size, entry = random.uniform(0.1, 400.0), random.uniform(50.0, 150.0)
        collateral = size * entry * random.uniform(0.01, 1.5)
        price = closed.liquidation_price(side, size, entry, collateral, TIERS, fee=fee)
        if price > 0.0:
            near = 1e-9 * price
            assert left(price + side * near, side, size, entry, collateral, fee) > 0.0
            assert left(price - side * near, side, size, entry, collateral, fee) < 0.0
        else:
            assert left(1e-9, side, size, entry, collateral, fee) > 0.0


@pytest.mark.parametrize("cap", [1_000.0, 5_000.0, 20_000.0])
@pytest.mark.parametrize("side", [1, -1])
def test_a_position_that_dies_at_a_cap_dies_there_in_both_tiers(side: int, cap: float) -> None:
    """Both tiers say the same at the cap that joins them, and a few ulps off it."""
    size, price = 10.0, cap / 10.0
    entry = price * 1.3 if side > 0 else price * 0.7
    exact = maintenance(cap) - side * size * (price - entry)
    for off in (-3, -1, 0, 1, 3):
        collateral = exact + off * ulp(exact)
        found = closed.liquidation_price(side, size, entry, collateral, TIERS)
        assert isclose(found, price, rel_tol=1e-12)


def test_a_table_whose_deductions_are_rounded_answers_at_the_cap() -> None:
    """Where neither tier holds its own solution (the second asks 1 less than the first at the cap)
    the position dies as it crosses the cap. Catches an answer from neither tier."""
    rounded = (TIERS[0], Tier(cap=inf, max_leverage=25.0, rate=0.02, deduction=11.0))
    collateral = 9.5 + 10.0 * (130.0 - 100.0)
    found = closed.liquidation_price(1, 10.0, 130.0, collateral, rounded)
    assert found == 100.0


def test_a_long_that_no_price_saves_has_none() -> None:
    """Where the last tier asks for all of the notional, a long that is short of margin up to its
    cap stays so at every price: infinity. A short has its price there."""
    table = a_table((1_000.0, 0.01), (inf, 1.0))
    found = [
        closed.liquidation_price(side, 10.0, 100.0, cash, table)
        for side, cash in ((1, -300.0), (-1, 900.0), (1, 300.0))
    ]
    assert found[0] == inf
    assert found[1] == pytest.approx((900.0 + 990.0 + 1_000.0) / 20.0)
    assert found[2] == pytest.approx(700.0 / 9.9)
    full = a_table((inf, 0.999))
    assert closed.liquidation_price(1, 1.0, 100.0, 10.0, full, fee=0.001) == inf


@pytest.mark.parametrize("seed", range(100))
def test_inverse_tiers_are_those_of_the_coins_at_the_price(seed: int) -> None:
    """A hair to the safe side of the price the coins exceed the maintenance, a hair further not,
    by the plain rule, with caps in coin."""
    random = Random(seed)
    side = 1 if seed % 2 else -1
    table = a_table((1.0, 0.005), (3.0, 0.01), (inf, 0.05))
    face, entry = random.uniform(1_000.0, 90_000.0), random.uniform(5_000.0, 20_000.0)
    coins = face / entry * random.uniform(0.05, 1.3)
    price = liquidation_price_inverse(side, face, entry, coins, table, fee=0.0005)

    def spare(at: float) -> float:
        value = face / at
        profit = side * face * (1.0 / entry - 1.0 / at)
        return coins + profit - maintenance(value, table) - value * 0.0005

    if price < inf:
        assert spare(price * (1.0 + side * 1e-9)) > 0.0
        assert spare(price * (1.0 - side * 1e-9)) < 0.0
    else:
        assert spare(1e12) > 0.0


def test_without_tiers_the_price_is_that_of_bankruptcy() -> None:
    """No maintenance: a long of 2 at 100 with 50 lasts to 75, a short to 125."""
    assert closed.liquidation_price(1, 2.0, 100.0, 50.0, ()) == 75.0
    assert closed.liquidation_price(-1, 2.0, 100.0, 50.0, ()) == 125.0


def test_what_the_others_add_moves_the_price() -> None:
    """10 less in the others is 10 less collateral; 56,354.57 of loss and 71,200.81 of maintenance
    take 127,555.38 away."""
    alone = closed.liquidation_price(1, 1.0, 100.0, 40.0, TIERS)
    assert closed.liquidation_price(1, 1.0, 100.0, 50.0, TIERS, others=-10.0) == alone
    assert closed.what_others_add([-56_354.57, 3.0], [71_200.81, 1.0]) == pytest.approx(-127_553.38)
    assert closed.what_others_add([], []) == 0.0
    with pytest.raises(ValueError, match="zip"):
        closed.what_others_add([1.0], [])


def test_hyperliquid_s_form_is_the_same_price_seen_from_the_mark() -> None:
    """``P - s A / q / (1 - l s)`` from any mark is where equity meets maintenance; the docstring's
    long of 2 at 100 dies at 89.47."""
    assert closed.from_margin_available(1, 2.0, 100.0, 20.0, rate=0.05) == pytest.approx(
        100.0 - 10.0 / 0.95, rel=1e-15
    )
    for side in (1, -1):
        for mark in (80.0, 100.0, 130.0):
            available = 60.0 + side * 2.0 * (mark - 100.0) - 2.0 * mark * 0.05
            found = closed.from_margin_available(side, 2.0, mark, available, rate=0.05)
            whole = closed.mark_priced(side, 2.0, 100.0, 60.0, rate=0.05)
            assert isclose(found, whole, rel_tol=1e-13)


def test_entry_priced_maintenance_does_not_move_with_the_mark() -> None:
    """400 of collateral less 100 of maintenance is 300 of loss on 1 coin; with a deduction of 20
    and 30 from others, 350; on 2 coins half of it each."""
    assert closed.entry_priced(1, 1.0, 20_000.0, 400.0, rate=0.005) == 19_700.0
    assert closed.entry_priced(-1, 1.0, 20_000.0, 400.0, rate=0.005) == 20_300.0
    changed = closed.entry_priced(1, 1.0, 20_000.0, 400.0, rate=0.005, deduction=20.0, others=30.0)
    assert changed == 19_650.0
    assert closed.entry_priced(1, 2.0, 20_000.0, 400.0, rate=0.005) == 19_900.0


@pytest.mark.parametrize("side", [1, -1])
@pytest.mark.parametrize("fee", [0.0, 0.00075])
def test_inverse_prices_leave_the_maintenance_in_coins(side: int, fee: float) -> None:
    """At the price, coins and their profit are the maintenance: at entry with the fee of closing at
    the bankruptcy price, or at the mark. Checked by putting the price back into the definition."""
    face, entry, coins, rate = 10_000.0, 8_000.0, 0.5, 0.005
    price = entry_priced_inverse(side, face, entry, coins, rate=rate, fee=fee)
    profit = side * face * (1.0 / entry - 1.0 / price)
    bankrupt = face * (1.0 + side * fee) / (face / entry + side * coins)
    needed = face / entry * rate + face * fee / bankrupt
    assert isclose(coins + profit, needed, rel_tol=1e-12)
    price = mark_priced_inverse(side, face, entry, coins, rate=rate, deduction=7.0, fee=fee)
    profit = side * face * (1.0 / entry - 1.0 / price)
    assert isclose(coins + profit, (face * (rate + fee) - 7.0) / price, rel_tol=1e-11)


def test_an_inverse_short_covered_by_its_coins_cannot_be_liquidated() -> None:
    """10,000 USD short at 8,000 is worth 1.25 coins: with those or more the short is a hedge.
    A long without any coins is liquidated at every price. Catches a price below zero."""
    for coins in (1.25, 2.0):
        assert mark_priced_inverse(-1, 10_000.0, 8_000.0, coins, rate=0.005) == inf
    assert entry_priced_inverse(-1, 10_000.0, 8_000.0, 1.5, rate=0.005) == inf
    assert mark_priced_inverse(-1, 10_000.0, 8_000.0, 1.2, rate=0.005) < inf
    assert mark_priced_inverse(1, 10_000.0, 8_000.0, -1.25, rate=0.005) == inf
    assert mark_priced_inverse(1, 10_000.0, 10_000.0, 0.1, rate=0.01) == pytest.approx(
        9_181.818181818
    )


@pytest.mark.parametrize(
    ("price", "step", "side", "published"),
    [
        (5_739.08, 0.5, 1, 5_739.5),
        (5_739.08, 0.5, -1, 5_739.0),
        (5_739.5, 0.5, 1, 5_739.5),
        (1.1, 0.1, 1, 1.1),
        (0.7, 0.1, -1, 0.7),
        (100.01, 0.1, 1, 100.1),
        (12_345_678.1, 0.1, 1, 12_345_678.1),
        (100_000.000_01, 0.1, 1, 100_000.1),
        (100.09, 0.1, -1, 100.0),
        (6_553.9, 0.1, -1, 6_553.9),
    ],
)
def test_published_prices_are_rounded_to_act_early(
    price: float, step: float, side: int, published: float
) -> None:
    """A long's up, a short's down; a price on a step stays, whatever its float says."""
    assert to_price_step(price, step, side) == pytest.approx(published, rel=1e-14)


def test_inverse_prices_below_one_and_small_faces_count() -> None:
    """A long of half a unit at 0.5 with a quarter coin, and a short whose price lies at infinity
    exactly. Catches a bound of one where zero is meant."""
    assert entry_priced_inverse(1, 0.5, 0.5, 0.25, rate=0.0) == 0.4
    assert mark_priced_inverse(1, 0.5, 0.5, -0.5, rate=0.0) == 1.0
    assert liquidation_price_inverse(1, 0.5, 0.5, -0.5, ()) == 1.0
    assert entry_priced_inverse(-1, 1_000.0, 500.0, 2.0, rate=0.0) == inf
    assert liquidation_price_inverse(-1, 1_000.0, 500.0, 2.0, ()) == inf
    assert mark_priced_inverse(1, 1_000.0, 500.0, -2.0, rate=0.0) == inf


def test_what_has_no_liquidation_price_is_refused() -> None:
    """No size, or a maintenance of all the notional, is an error and not a number."""
    assert closed.mark_priced(1, 0.5, 100.0, 10.0, rate=0.5) == 160.0
    assert closed.entry_priced(1, 0.5, 100.0, 10.0, rate=0.01) == 81.0
    assert closed.from_margin_available(1, 0.5, 100.0, 10.0, rate=0.5) == 60.0
    for size in (0.0, -1.0):
        with pytest.raises(ValueError, match="size"):
            closed.mark_priced(1, size, 100.0, 10.0, rate=0.01)
        with pytest.raises(ValueError, match="size"):
            closed.entry_priced(1, size, 100.0, 10.0, rate=0.01)
        with pytest.raises(ValueError, match="size"):
            closed.from_margin_available(1, size, 100.0, 10.0, rate=0.01)
        with pytest.raises(ValueError, match="face"):
            mark_priced_inverse(1, size, 100.0, 10.0, rate=0.01)
        with pytest.raises(ValueError, match="face"):
            entry_priced_inverse(1, size, 100.0, 10.0, rate=0.01)
    with pytest.raises(ValueError, match="rate"):
        closed.mark_priced(1, 1.0, 100.0, 10.0, rate=0.999, fee=0.001)
    with pytest.raises(ValueError, match="rate"):
        closed.from_margin_available(1, 1.0, 100.0, 10.0, rate=1.0)
    assert closed.mark_priced(-1, 1.0, 100.0, 10.0, rate=1.0) == 55.0
    assert closed.from_margin_available(-1, 1.0, 100.0, 10.0, rate=1.0) == 105.0
    with pytest.raises(ValueError, match="face"):
        liquidation_price_inverse(1, 0.0, 100.0, 1.0, TIERS)


# The joint surface --------------------------------------------------------------------


def a_leg(side: int = 1, size: float = 1.0, entry: float = 100.0, **more: Any) -> Leg:
    given = {"mark": entry, "tiers": a_table((inf, 0.01)), **more}
    return Leg(side=side, size=size, entry=entry, **given)


def test_two_longs_die_together_long_before_either_price() -> None:
    """``60 + 200 beta = 2 (1 + beta)``: -29.3 %, while either price alone could fall by 58.6 %."""
    legs = [a_leg(), a_leg(size=10.0, entry=10.0)]
    shock = joint_shock(60.0, legs)
    assert isclose(shock.down, -58.0 / 198.0, rel_tol=1e-14)
    assert shock.up == inf
    alone = closed.liquidation_price(1, 1.0, 100.0, 60.0, legs[0].tiers, others=-1.0)
    assert isclose(alone, 100.0 - 100.0 * 58.0 / 99.0, rel_tol=1e-14)


def test_one_leg_s_shock_is_its_liquidation_price() -> None:
    """Scaled to the price, for either side; the fee counts where it is inside."""
    for side in (1, -1):
        leg = a_leg(side=side, size=30.0, mark=110.0, tiers=TIERS, fee=0.0006)
        shock = joint_shock(900.0, [leg])
        price = closed.liquidation_price(side, 30.0, 100.0, 900.0, TIERS, fee=0.0006)
        beta = shock.down if side > 0 else shock.up
        assert isclose(110.0 * (1.0 + beta), price, rel_tol=1e-13)
        assert (shock.up if side > 0 else shock.down) == side * inf


@pytest.mark.parametrize("seed", range(25))
def test_the_joint_surface_is_where_a_plain_scan_finds_it(seed: int) -> None:
    """Walking the shock in small steps from today, what is left stays positive up to the answer and
    is gone just beyond it, for hedged and unhedged books across all tiers."""
    random = Random(seed)
    legs = [
        Leg(
            side=random.choice([1, -1]),
            size=random.uniform(1.0, 100.0),
            entry=random.uniform(50.0, 150.0),
            mark=random.uniform(50.0, 150.0),
            tiers=TIERS,
            fee=random.choice([0.0, 0.001]),
        )
        for _ in range(random.randint(1, 5))
    ]

    def plainly(beta: float) -> float:
        total = wallet
        for leg in legs:
            price = leg.mark * (1.0 + beta)
            total += leg.side * leg.size * (price - leg.entry)
            total -= maintenance(leg.size * price) + leg.size * price * leg.fee
        return total

    wallet = 0.0
    wallet = -plainly(0.0) + random.uniform(10.0, 3_000.0)
    shock = joint_shock(wallet, legs)
    for beta in np.linspace(-1.0, 3.0, 201):
        assert isclose(margin_left(wallet, legs, beta), plainly(beta), abs_tol=1e-8)
        if shock.down + 1e-9 < beta < shock.up - 1e-9:
            assert plainly(beta) > 0.0
        elif beta < shock.down - 1e-9 or beta > shock.up + 1e-9:
            assert plainly(beta) < 0.0
    for edge in (shock.down, shock.up):
        if -1.0 < edge < inf:
            assert abs(plainly(edge)) < 1e-7


def test_an_account_that_is_already_there_has_no_distance_left() -> None:
    """At maintenance exactly, or below, both edges are today."""
    assert joint_shock(1.0, [a_leg()]) == Shock(0.0, 0.0)
    assert joint_shock(0.5, [a_leg()]) == Shock(0.0, 0.0)
    assert joint_shock(1.5, [a_leg()]).down < 0.0


def test_an_account_without_risk_never_dies() -> None:
    """A covered long, an empty account, a book that is its own hedge with margin to spare."""
    assert joint_shock(101.0, [a_leg()]) == Shock(-inf, inf)
    assert joint_shock(5.0, []) == Shock(-inf, inf)
    assert joint_shock(50.0, [a_leg(), a_leg(side=-1)]).down == -inf
    assert joint_shock(100.0, [a_leg()]).down == -1.0
    assert joint_shock(100.5, [a_leg()]).down == -inf
    assert joint_shock(0.25, [a_leg(size=0.005)]).up == inf
    assert joint_shock(50.0, [a_leg(side=-1, tiers=())]) == Shock(-inf, 0.5)


def test_a_hedged_book_dies_of_its_maintenance() -> None:
    """Long 1 and short 1 cancel; 50 of wallet covers ``2 * 1 % * 100 (1 + beta)`` up to +2,400 %,
    through every tier of the table."""
    assert isclose(joint_shock(50.0, [a_leg(), a_leg(side=-1)]).up, 24.0, rel_tol=1e-14)
    tiered = [a_leg(side=s, tiers=TIERS) for s in (1, -1)]
    for wallet in (600.0, 10_000.0):
        shock = joint_shock(wallet, tiered)
        assert isclose(maintenance(100.0 * (1.0 + shock.up)), wallet / 2.0, rel_tol=1e-12)


def test_a_table_with_a_gap_dies_at_the_cap() -> None:
    """Where the second tier asks more at once than the first, the account dies at the corner."""
    gap = (Tier(cap=110.0, max_leverage=50.0, rate=0.01), Tier(cap=inf, max_leverage=2.0, rate=0.2))
    shock = joint_shock(12.0, [a_leg(side=-1, tiers=gap)])
    assert isclose(1.0 + shock.up, 1.1, rel_tol=1e-12)


@pytest.mark.parametrize("field", ["size", "entry", "mark"])
@pytest.mark.parametrize("wrong", [0.0, -1.0, inf, float("nan")])
def test_a_leg_that_is_no_position_is_refused(field: str, wrong: float) -> None:
    """Sizes and prices are finite and above zero, or it is an error; halves are fine."""
    whole = {"size": 0.5, "entry": 0.5, "mark": 0.5}
    assert joint_shock(0.25, [Leg(side=1, **whole)]) == Shock(-1.0, inf)
    with pytest.raises(ValueError, match="finite"):
        joint_shock(10.0, [Leg(side=1, **{**whole, field: wrong})])


@pytest.mark.parametrize("wrong", [inf, -inf, float("nan")])
def test_a_wallet_that_is_no_amount_is_refused(wrong: float) -> None:
    """Also without any position."""
    with pytest.raises(ValueError, match="wallet"):
        joint_shock(wrong, [])

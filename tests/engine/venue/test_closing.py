"""Tests of ``engine.venue.closing`` and ``engine.venue.bankruptcy``: sizes, fees and prices, by
hand."""

from __future__ import annotations

from fractions import Fraction
from math import floor, inf, isclose
from random import Random

import pytest

from engine.venue import bankruptcy, closing
from tests.engine.venue import closed_forms as forms
from tests.engine.venue import closed_inverse as inverse

MICROS = 10**6


def test_closing_the_shortage_s_size_restores_the_margin() -> None:
    """1.25 at 100 free 12.5 of margin, of which 1.25 go to the liquidator and 1.25 to the fund: 10
    are left. Catches the signs of the fees."""
    size = closing.shortage_size(
        10.0, 100.0, margin_rate=0.1, liquidator_fee=0.01, insurance_fee=0.01
    )
    assert size == pytest.approx(1.25)
    assert size * 100.0 * 0.1 - size * 100.0 * 0.02 == pytest.approx(10.0)
    one = closing.shortage_size(10.0, 100.0, margin_rate=0.1, liquidator_fee=0.03)
    other = closing.shortage_size(10.0, 100.0, margin_rate=0.1, insurance_fee=0.03)
    assert one == pytest.approx(other)
    assert one == pytest.approx(10.0 / 7.0)
    dear = closing.shortage_size(10.0, 100.0, margin_rate=0.1, insurance_fee=0.01, quote_price=2.0)
    assert dear == pytest.approx(10.0 / 19.0)


def test_where_fees_eat_what_is_freed_no_size_restores_it() -> None:
    """Nothing short, nothing closed; nothing freed, everything closed."""
    assert closing.shortage_size(0.0, 100.0, margin_rate=0.1) == 0.0
    assert closing.shortage_size(1.0, 5.0, margin_rate=0.1) == 2.0
    assert closing.shortage_size(0.0, 100.0, margin_rate=0.1, liquidator_fee=0.2) == 0.0
    assert closing.shortage_size(0.5, 100.0, margin_rate=0.1, liquidator_fee=0.2) == inf
    assert closing.shortage_size(-1.0, 100.0, margin_rate=0.1) == 0.0
    assert closing.shortage_size(1.0, 128.0, margin_rate=0.125, insurance_fee=0.125) == inf
    assert closing.shortage_size(1.0, 100.0, margin_rate=0.1, liquidator_fee=0.2) == inf
    assert closing.shortage_lots(-7, inf, 0.5) == 7


def test_shortage_lots_are_rounded_up_and_never_more_than_held() -> None:
    """1.25 in lots of 0.5 is 3; of 2 lots both; of exactly 3 all three; a whole number stays."""
    assert closing.shortage_lots(-10, 1.25, 0.5) == 3
    assert closing.shortage_lots(2, 1.25, 0.5) == 2
    assert closing.shortage_lots(3, 1.5, 0.5) == 3
    assert closing.shortage_lots(10, 1.5, 0.5) == 3
    assert closing.shortage_lots(10, 0.0, 0.5) == 0
    assert closing.shortage_lots(3, 1.25, 0.5) == 3


def test_the_insurance_fee_takes_what_is_left_of_the_margin() -> None:
    """At most 95 % of it, at most the maximum, never less than nothing."""

    def fee(shortage: float, most: float = 0.05) -> float:
        return closing.charged_insurance_fee(
            shortage, 10.0, 100.0, margin_rate=0.05, liquidator_fee=0.01, fee_max=most
        )

    assert fee(20.0) == pytest.approx(0.019)
    assert fee(1.0) == pytest.approx(0.03705)
    assert fee(1.0, 0.02) == 0.02
    assert fee(41.0) == 0.0
    assert fee(-40.0, 1.0) == pytest.approx(0.076)
    small = closing.charged_insurance_fee(
        0.0, 0.5, 0.5, margin_rate=0.05, liquidator_fee=0.01, fee_max=1.0
    )
    assert small == pytest.approx(0.038)
    for size, price in ((0.0, 100.0), (-1.0, -100.0), (10.0, 0.0)):
        with pytest.raises(ValueError, match="size and price"):
            closing.charged_insurance_fee(
                1.0, size, price, margin_rate=0.05, liquidator_fee=0.01, fee_max=1.0
            )


@pytest.mark.parametrize(
    ("slots", "fee"),
    [(0, 0.02), (1_499, 0.02), (1_500, 0.0215), (30_000, 0.05), (29_999, 0.049999)],
)
def test_the_fee_ramps_after_the_grace(slots: int, fee: float) -> None:
    """Flat for 1,500 slots, then a millionth for every slot that has passed, up to the most."""
    assert isclose(closing.ramped_fee(0.02, 0.05, slots), fee, rel_tol=1e-15)


@pytest.mark.parametrize(
    ("spot", "base", "quote", "most", "closed"),
    [
        (5.0, -10, 0.0, -1, 1),
        (5.0, -10, 0.0, -20, 10),
        (5.0, -4, 0.0, -20, 2),
        (5.0, 20, -20.0, 1, 1),
        (0.0, 20, -30.0, 100, 20),
        (5.0, 20, -20.0, 100, 10),
        (5.0, 20, -19.5, 100, 9),
        (5.0, 20, -15.0, 100, 0),
        (5.0, 20, -14.0, 100, 0),
        (0.0, 0, -5.0, 100, 0),
    ],
)
def test_a_position_is_closed_until_health_is_no_longer_negative(
    spot: float, base: int, quote: float, most: int, closed: int
) -> None:
    """Up to the limit, up to the position, rounded up; healthy accounts are left alone."""
    assert forms.health_lots(spot, base, quote, weight=0.5, lots_max=most) == closed
    after, way = base, 1 if base > 0 else -1
    after -= way * closed
    left = forms.health(spot, after, quote + way * closed, 0.5)
    assert left >= 0.0 or closed == min(abs(base), abs(most))


def test_health_counts_price_and_fee() -> None:
    """20 at a price of 2, sold at 2 less 10 %: each adds ``2 (1 - 0.5 - 0.1) = 0.8``; a fee of half
    the price adds nothing, so all is closed."""
    assert forms.health(1.0, 3.0, 5.0, 0.5, 2.0) == 9.0
    assert forms.health(1.0, 0.5, 5.0, 0.25, 2.0) == 6.25
    assert forms.health_lots(0.0, 20, -10.0, weight=0.5, lots_max=9, fee=0.5) == 0
    assert forms.health_lots(0.0, 20, -10.5, weight=0.5, lots_max=9, fee=0.5) == 9
    assert forms.health(1.0, -3.0, 5.0, 0.5, 2.0) == -3.0
    lots = forms.health_lots(0.0, 20, -24.0, weight=0.5, lots_max=99, price=2.0, fee=0.1)
    assert lots == 5
    assert forms.health_lots(0.0, 20, -24.0, weight=0.5, lots_max=9, price=2.0, fee=0.5) == 9


# Bankruptcy ---------------------------------------------------------------------------


def test_bankruptcy_prices_leave_nothing() -> None:
    """Put back into the definition: equity is 0, linear and inverse, with the fee of closing."""
    for side in (1, -1):
        price = forms.bankruptcy_price(side, 4.0, 10.0, 6.0)
        assert 6.0 + side * 4.0 * (price - 10.0) == 0.0
        for fee in (0.0, 0.01):
            price = inverse.inverse_bankruptcy_price(side, 1_000.0, 500.0, 0.5, fee)
            coins = 0.5 + side * 1_000.0 * (1.0 / 500.0 - 1.0 / price)
            assert isclose(coins, 1_000.0 * fee / price, abs_tol=1e-12)
    assert inverse.inverse_bankruptcy_price(-1, 1_000.0, 500.0, 2.0) == inf
    assert inverse.inverse_bankruptcy_price(-1, 1_000.0, 500.0, 3.0) == inf
    assert inverse.inverse_bankruptcy_price(-1, 1_000.0, 500.0, 1.5) == 2_000.0
    assert forms.bankruptcy_price(1, 0.5, 10.0, 1.0) == 8.0
    assert inverse.inverse_bankruptcy_price(1, 0.5, 1.0, 0.5) == 0.5
    for size in (0.0, -1.0):
        with pytest.raises(ValueError, match="size"):
            forms.bankruptcy_price(1, size, 10.0, 1.0)
        with pytest.raises(ValueError, match="face"):
            inverse.inverse_bankruptcy_price(1, size, 10.0, 1.0)


@pytest.mark.parametrize("seed", range(30))
def test_an_apportioned_price_takes_the_part_s_share_against_the_account(seed: int) -> None:
    """``-dNNV - TNC |dMMR| / TMMR`` in fractions, rounded to plus infinity; the parts of a position
    closed one by one never leave it more than all at once."""
    random = Random(seed)
    change, collateral = random.randint(-(10**9), 10**9), random.randint(-(10**9), 10**9)
    total = random.randint(1, 10**9)
    part = random.randint(0, total) * random.choice([-1, 1])
    found = bankruptcy.bankruptcy_quote(change, collateral, part, total)
    assert found == -change - floor(Fraction(collateral * abs(part), total))
    half = bankruptcy.bankruptcy_quote(0, collateral, part // 2, total)
    rest = bankruptcy.bankruptcy_quote(0, collateral, abs(part) - abs(part // 2), total)
    assert half + rest >= bankruptcy.bankruptcy_quote(0, collateral, part, total)
    assert bankruptcy.bankruptcy_quote(3, 5, 1, 1) == -8
    for wrong in (0, -1):
        with pytest.raises(ValueError, match="requirement"):
            bankruptcy.bankruptcy_quote(1, 1, 1, wrong)


def test_the_fillable_price_leaves_the_oracle_as_collateral_goes() -> None:
    """At or above the requirement the oracle price; half way half the spread; from bankruptcy on
    all of it; twice as fast with an adjustment of 2. A short's lies above."""

    def price(collateral: float, side: float = 1.0, **more: float) -> float:
        return bankruptcy.fillable_price(
            side * 5_000.0, side * 0.1, collateral, 500.0, 500.0, **more
        )

    assert price(600.0) == price(500.0) == 50_000.0
    assert price(250.0) == pytest.approx(49_750.0)
    assert price(0.0) == price(-100.0) == pytest.approx(49_500.0)
    assert price(375.0, adjustment=2.0) == pytest.approx(49_750.0)
    assert price(250.0, spread=0.2) == pytest.approx(49_500.0)
    assert price(250.0, side=-1.0) == pytest.approx(50_250.0)
    assert bankruptcy.fillable_price(1.0, 1.0, 0.25, 0.5, 0.5) == pytest.approx(0.975)
    with pytest.raises(ValueError, match="size"):
        bankruptcy.fillable_price(1.0, 0.0, 1.0, 1.0, 1.0)
    for needed in (0.0, -1.0):
        with pytest.raises(ValueError, match="requirement"):
            bankruptcy.fillable_price(1.0, 1.0, 1.0, 1.0, needed)


def test_a_fill_s_surplus_pays_the_fee_and_its_loss_is_the_fund_s() -> None:
    """5,610 against 5,100 and 0.5 %: 28.05; a surplus of 5 is taken whole; a loss is the fund's
    whole; of 333 atoms at 1 % the fee is 3."""
    assert bankruptcy.insurance_delta(5_610 * MICROS, 5_100 * MICROS, 0.005) == 28_050_000
    assert bankruptcy.insurance_delta(5_105 * MICROS, 5_100 * MICROS, 0.005) == 5 * MICROS
    assert bankruptcy.insurance_delta(5_100 * MICROS, 5_100 * MICROS, 0.005) == 0
    assert bankruptcy.insurance_delta(-4_949 * MICROS, -4_900 * MICROS, 0.005) == -49 * MICROS
    assert bankruptcy.insurance_delta(-4_410 * MICROS, -4_900 * MICROS, 0.025) == 110_250_000
    assert bankruptcy.insurance_delta(333, 0, 0.01) == 3

"""Tests of ``engine.product``: the algebra of leveraged products."""

from __future__ import annotations

import math
from random import Random

import pytest

from engine.engine import EngineSpec
from engine.product import bankruptcy_price, price_at_leverage, units_for
from engine.sampler import Sampling
from engine.units import SECOND_NS
from engine.venue.book import BookSpec
from strategies import Schedule
from tests.builders import Run, a_contract, a_market, a_product, a_spec, a_tape, run

GATE_BANDS = {
    # target: (leverage, price ratio) at both edges, products.md 0.3
    3.0: ((4.125, 0.88), (2.25, 1.20)),
    -3.0: ((-5.25, 1.12), (-1.5, 0.80)),
    5.0: ((7.0, 14.0 / 15.0), (3.5, 1.12)),
    -5.0: ((-7.0, 1.05), (-3.5, 14.0 / 15.0)),
}


def line(leverage: float, price: float = 100.0, nav: float = 100.0) -> tuple[float, float]:
    """Intercept and slope of a product with that leverage."""
    return nav * (1.0 - leverage), leverage * nav / price


def leverage_at(intercept: float, slope: float, price: float) -> float:
    return slope * price / (intercept + slope * price)


def test_three_coins_bought_at_100_with_100_are_bankrupt_at_66_67() -> None:
    """-200 of cash and 3 coins; a 3x short at 133.33; an unleveraged holding at no price above
    zero. Catches a sign."""
    assert bankruptcy_price(-200.0, 3.0) == pytest.approx(66.6667, abs=1e-4)
    assert bankruptcy_price(*line(-3.0)) == pytest.approx(400.0 / 3.0)
    assert bankruptcy_price(*line(1.0)) == 0.0
    assert bankruptcy_price(*line(0.5)) < 0.0
    with pytest.raises(ZeroDivisionError):
        bankruptcy_price(1.0, 0.0)


@pytest.mark.parametrize("leverage", [1.5, 2.0, 3.0, 5.0, 10.0, -1.0, -3.0, -5.0])
def test_ruin_is_at_the_ratio_1_minus_1_over_l(leverage: float) -> None:
    """Catches a bankruptcy price that is reckoned from the exposure instead of the cash
    (products.md 3.1)."""
    ruin = bankruptcy_price(*line(leverage))
    assert ruin / 100.0 == pytest.approx(1.0 - 1.0 / leverage)


@pytest.mark.parametrize("target", GATE_BANDS)
def test_leverage_bands_are_price_bands_in_disguise(target: float) -> None:
    """A 3x product reaches 4.125 at -12 % and 2.25 at +20 %; 3S, 5L and 5S as Gate's bands say.
    Catches edges on the wrong side of the price."""
    for leverage, ratio in GATE_BANDS[target]:
        assert price_at_leverage(*line(target), leverage) == pytest.approx(100.0 * ratio)


def test_leverage_drifts_as_the_formula_says() -> None:
    """Leverage is l = L x / (1 + L (x - 1)), its inverse x = l (L - 1) / (L (l - 1)) and the NAV
    factor n = (L - 1) / (l - 1), for random leverages and moves. Catches a price at leverage that
    is right for one side only."""
    random = Random(1)
    for _ in range(1_000):
        target = random.choice((-1, 1)) * random.uniform(1.1, 8.0)
        ratio = random.uniform(0.7, 1.4)
        factor = 1.0 + target * (ratio - 1.0)
        if factor < 0.05:
            continue
        drifted = target * ratio / factor
        own = line(target)
        assert leverage_at(*own, 100.0 * ratio) == pytest.approx(drifted)
        assert price_at_leverage(*own, drifted) == pytest.approx(100.0 * ratio)
        assert ratio == pytest.approx(drifted * (target - 1.0) / (target * (drifted - 1.0)))
        assert factor == pytest.approx((target - 1.0) / (drifted - 1.0))


def test_a_leverage_on_the_far_side_has_no_positive_price() -> None:
    """A 3x long is never between 0 and 1, a short never long: the price is zero or below. Catches
    an edge armed at a price of another branch of the curve."""
    assert price_at_leverage(*line(3.0), 0.5) <= 0.0
    assert price_at_leverage(*line(3.0), -2.0) < 100.0 * (1 - 1 / 3)
    assert price_at_leverage(*line(-3.0), 0.5) <= 0.0


def test_units_bought_at_nav_round_down() -> None:
    """10 quote at a NAV of 3 per 2 units buy 6 units, and 10 at 3 per 1 buy 3, not 3.33. Catches a
    unit given away, which would dilute the others."""
    assert units_for(10, 2, 3) == 6
    assert units_for(10, 1, 3) == 3
    assert units_for(2, 1, 3) == 0
    big = 10**18
    assert units_for(big - 1, big, big) == big - 1


# On the engine ------------------------------------------------------------------------------------


def products(*targets: float) -> EngineSpec:
    """Products without costs that are brought back to their targets every second."""
    contract = a_contract(taker_fee=0.0, lot_size=1e-9)
    market = a_market(contract=contract, book=BookSpec(model="flat"))
    chosen = [
        (
            a_product(f"P{n}", seed_atoms=10**14),
            (Schedule(target=target, every_s=1.0),),
        )
        for n, target in enumerate(targets)
    ]
    return a_spec(*chosen, markets=(market,), sampling=Sampling(nav_every_ns=0))


def multiples(closes: list[float], *targets: float) -> list[float]:
    """What is left of 1 in each product; every close is held for its second, then all rebalance."""
    said: Run = run(products(*targets), a_tape([float(close) for close in closes]))
    mark = said.engine.markets[0].mark
    return [h.account.nav(mark) / 10**14 for h in said.engine.handlers]


@pytest.mark.parametrize(
    ("closes", "target", "change"),
    [
        ([10_000.0, 11_000.0, 10_000.0], 3.0, -0.054545),  # FTX
        ([10_000.0, 11_000.0, 12_100.0], 3.0, 0.69),
        ([10_000.0, 9_500.0, 9_000.0], 3.0, -0.284211),
        ([100.0, 105.0, 110.25], 3.0, 0.3225),
        ([100.0, 110.0, 121.0, 133.1, 146.41], 3.0, 1.8561),  # KuCoin, MEXC: 1.3^4
        ([100.0, 90.0, 81.0, 72.9, 65.61], 3.0, -0.7599),
        ([100.0, 110.0, 99.0, 108.9, 98.01], 3.0, -0.1719),
    ],
)
def test_periods_compound_as_issuers_publish(
    closes: list[float], target: float, change: float
) -> None:
    """NAV' = NAV (1 + L r) each period (products.md 4.5). Catches a rebalance on the wrong price
    or NAV."""
    assert multiples(closes, target)[0] - 1.0 == pytest.approx(change, abs=5e-5)


@pytest.mark.parametrize(
    ("sigma", "published"),
    [(0.25, {2.0: -6.1, 3.0: -17.1}), (0.5, {2.0: -22.1, -2.0: -52.8}), (1.0, {2.0: -63.2})],
)
def test_decay_in_a_market_that_goes_nowhere_is_the_one_funds_file(
    sigma: float, published: dict[float, float]
) -> None:
    """A market that ends where it began with a volatility of 25 % takes 6.1 % from a 2x and 17.1 %
    from a 3x product, as the tables of ProShares and Direxion say: exp(-(L^2 - L) sigma^2 / 2) -
    1. Catches decay of another size, from holding lots between rebalances that were not there."""
    step = 0.01 if sigma < 0.9 else 0.02
    count = round(sigma**2 / math.log1p(step) ** 2)
    closes = [100.0 * (1.0 + step) ** (n % 2) for n in range(count + count % 2 + 1)]
    left = multiples(closes, *published)
    for target, multiple in zip(published, left, strict=True):
        formula = math.exp(-(target * target - target) / 2.0 * sigma**2) - 1.0
        assert 100.0 * formula == pytest.approx(published[target], abs=0.05)
        assert 100.0 * (multiple - 1.0) == pytest.approx(100.0 * formula, abs=0.1)


@pytest.mark.parametrize(("target", "multiplier"), [(2, 2), (3, 6), (5, 20), (-1, 2), (-3, 12)])
def test_a_rebalance_trades_l_times_l_minus_1_times_the_move(target: int, multiplier: int) -> None:
    """On 100 millions +1 % makes a 3x product buy 6 (Direxion's own figure) and a -3x product buy
    12: longs and shorts trade the same way. Catches a short that hedges against the market."""
    closes = [100.0, 101.0]
    said = run(products(float(target)), a_tape(closes))
    opening, trade = said.named("order_filled")
    assert opening.lots == target * 10**15
    bought = trade.lots * 1e-9 * 101.0
    assert bought / 1e6 == pytest.approx(multiplier, rel=1e-6)
    rebalanced = said.named("rebalanced")[-1]
    assert rebalanced.leverage_before == pytest.approx(target * 1.01 / (1 + target * 0.01))
    assert rebalanced.ts_ns % SECOND_NS == 0

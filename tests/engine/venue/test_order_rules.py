"""Tests of ``engine.venue.order_rules``."""

from __future__ import annotations

import json
import math
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.units import Rounding, decimal
from engine.venue.order_rules import OrderBounds, Refusal, price_digits, price_fits, size_fits
from engine.venue.rules import OrderRules
from tests.builders import a_contract

UP, DOWN = Rounding.UP, Rounding.DOWN
VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "venue.json").read_text())
J1 = next(group["vectors"] for group in VECTORS["groups"] if group["id"] == "J1")
HYPERLIQUID = {"significant_figures": 5, "price_decimals": 1}


def bounds(**rules: Any) -> OrderBounds:
    """Lots of 0.001 coin on a grid of 0.5."""
    contract = a_contract(price_step=0.5, lot_size=0.001)
    return OrderBounds(OrderRules(**rules), contract)


@pytest.mark.parametrize(
    ("order", "reason"),
    [
        ({"lots": 1_000}, None),
        ({"lots": 1_000, "price": 110.0}, None),
        ({"lots": 1_000, "price": 110.5}, "price_band"),
        ({"lots": 10_000, "price": 1.0}, None),
        ({"lots": -1_000, "price": 85.0}, None),
        ({"lots": -1_000, "price": 84.5}, "price_band"),
        ({"lots": -1_000, "price": 900.0}, None),
        ({"lots": 1_000, "price": 100.3}, "price_step"),
        ({"lots": 1_000, "price": 0.0}, "not_a_price"),
        ({"lots": 1_000, "price": -0.5}, "not_a_price"),
        ({"lots": 1_000, "price": math.nan}, "not_a_price"),
        ({"lots": 1_000, "price": math.inf}, "not_a_price"),
        ({"lots": 99}, "too_small"),
        ({"lots": 100}, None),
        ({"lots": -99}, "too_small"),
        ({"lots": 119, "price": 84.0}, "too_small"),
        ({"lots": 120, "price": 84.0}, None),
        ({"lots": 50_000}, None),
        ({"lots": 50_001}, "too_large"),
        ({"lots": -50_001}, "too_large"),
        ({"lots": 200_000, "price": 100.0}, None),
        ({"lots": 200_001, "price": 100.0}, "too_large"),
    ],
)
def test_each_order_meets_its_bound(order: dict[str, Any], reason: Refusal | None) -> None:
    """10 above and 15 below the mark of 100, the bounds included; 0.1 to 50 coins at market, 200 by
    limit; 10 quote at least."""
    venue = bounds(
        band_up=0.10,
        band_down=0.15,
        size_min=0.05,
        market_size_max=50.0,
        limit_size_max=200.0,
        notional_min=10.0,
    )
    assert venue.refusal(mark=100.0, **order) == reason


def test_the_smallest_size_counts_beside_the_smallest_notional() -> None:
    """0.05 coins are 50 lots."""
    venue = bounds(size_min=0.05)
    assert [venue.refusal(lots, 100.0) for lots in (49, 50, 0)] == ["too_small", None, "too_small"]


def test_without_rules_only_an_empty_order_is_refused() -> None:
    """No band, no cap, no smallest size."""
    venue = bounds()
    assert venue.refusal(10**15, 100.0, 9_999_999.0) is None
    assert venue.refusal(-1, 100.0, 0.5) is None
    assert venue.refusal(0, 100.0) == "too_small"
    assert (venue.lots_max(market=True), venue.lots_max(market=False)) == (None, None)
    assert (venue.market_limit(1, 100.0), venue.market_limit(-1, 100.0)) == (math.inf, 0.0)


@pytest.mark.parametrize("mark", [0.0, -1.0, math.nan, math.inf])
def test_without_a_mark_no_order_is_taken(mark: float) -> None:
    """Bounds that nobody can reckon are not passed."""
    assert bounds().refusal(1, mark) == "no_mark"


@pytest.mark.parametrize(
    ("lots", "position", "reason"),
    [
        (-5, 10, None),
        (-15, 10, None),
        (5, -10, None),
        (5, 10, "reduce_only"),
        (-5, -10, "reduce_only"),
        (5, 0, "reduce_only"),
    ],
)
def test_a_reduce_only_order_points_to_zero(lots: int, position: int, reason: str | None) -> None:
    """It has a position to reduce and the other sign; its size may be larger, for it is cut when it
    is executed."""
    assert bounds().refusal(lots, 100.0, position=position, reduce_only=True) == reason
    assert bounds().refusal(lots, 100.0, reduce_only=True) == "reduce_only"


def test_a_reduce_only_order_may_be_worth_little_but_not_much() -> None:
    """Free of the smallest notional, not of the largest size."""
    venue = bounds(notional_min=10.0, market_size_max=1.0)
    assert venue.refusal(-1, 100.0, position=1) == "too_small"
    assert venue.refusal(-1, 100.0, position=1, reduce_only=True) is None
    assert venue.refusal(-1_001, 100.0, position=9_999, reduce_only=True) == "too_large"


def test_inverse_contracts_are_as_large_as_their_face() -> None:
    """100 dollars at least are 100 contracts of one, whatever the price; sizes count contracts."""
    contract = a_contract("XBTUSD", inverse=True, price_step=0.5)
    venue = OrderBounds(OrderRules(notional_min=100.0, limit_size_max=1_000.0), contract)
    for price in (1.0, 60_000.0):
        assert venue.refusal(99, 60_000.0, price) == "too_small"
        assert venue.refusal(100, 60_000.0, price) is None
    assert venue.refusal(1_001, 60_000.0, 60_000.0) == "too_large"


def test_a_market_order_stops_at_the_last_price_inside_its_deviation() -> None:
    """5 % of 101 is 106.05 above and 95.95 below: 106 and 96 on a grid of 0.5."""
    venue = bounds(market_deviation=0.05)
    assert (venue.market_limit(1, 101.0), venue.market_limit(-1, 101.0)) == (106.0, 96.0)
    assert (venue.market_limit(1, 100.0), venue.market_limit(-1, 100.0)) == (105.0, 95.0)


def test_a_grid_coarser_than_the_price_stops_no_market_order() -> None:
    """A coin at 0.0001 on a grid of 0.5: rounded, a sale would be bounded at 0.5, far above the
    mark, and a purchase at 0; both would never fill."""
    venue = bounds(market_deviation=0.05)
    assert venue.market_limit(-1, 1e-4) == pytest.approx(0.95e-4, rel=1e-12)
    assert venue.market_limit(1, 1e-4) == pytest.approx(1.05e-4, rel=1e-12)


def test_a_liquidation_price_is_rounded_towards_being_liquidated() -> None:
    """Bybit's example: 5,739.08 becomes 5,739.5 for a long on a grid of 0.5."""
    venue = bounds()
    assert (venue.rounded(5_739.08, UP), venue.rounded(5_739.08, DOWN)) == (5_739.5, 5_739.0)
    assert venue.rounded(5_739.5, UP) == venue.rounded(5_739.5, DOWN) == 5_739.5
    assert venue.rounded(Fraction(1, 3), DOWN) == 0.0
    assert venue.rounded(Fraction(1, 3), UP) == 0.5
    assert venue.rounded(Fraction(10**30 + 1, 10**30), UP) == 1.5


@pytest.mark.parametrize(
    ("price", "down", "up"),
    [
        (Fraction("12345.67"), 12_345.0, 12_346.0),
        (Fraction("1234.567"), 1_234.5, 1_234.6),
        (Fraction("123456.7"), 123_456.0, 123_457.0),
        (Fraction("99999.5"), 99_999.0, 100_000.0),
        (Fraction("9.99999"), 9.9, 10.0),
    ],
)
def test_prices_are_rounded_to_significant_figures(price: Fraction, down: float, up: float) -> None:
    """Five figures, one decimal; whole numbers keep all of theirs."""
    venue = bounds(**HYPERLIQUID)
    assert (venue.rounded(price, DOWN), venue.rounded(price, UP)) == (down, up)


def test_small_prices_keep_their_figures() -> None:
    """0.0012345678 has five figures at 0.0012345: seven decimals, if so many are allowed."""
    venue = bounds(significant_figures=5, price_decimals=8)
    assert venue.rounded(0.0012345678, DOWN) == 0.0012345
    assert bounds(significant_figures=5, price_decimals=6).rounded(0.0012345678, DOWN) == 0.001234
    assert bounds(significant_figures=5).rounded(0.5123456, UP) == 0.51235
    assert bounds(significant_figures=5).rounded(0.0, UP) == 0.0
    assert bounds(significant_figures=5).rounded(1.2345678, DOWN) == 1.2345
    assert bounds(significant_figures=5).rounded(1.2345678e-15, DOWN) == 1.2345e-15


@settings(deadline=None)
@given(st.floats(1e-4, 1e7), st.sampled_from([UP, DOWN]))
def test_what_is_rounded_is_a_price(price: float, rounding: Rounding) -> None:
    """On every grid, and not farther than a step in the direction asked for."""
    for venue in (bounds(), bounds(**HYPERLIQUID), bounds(significant_figures=5)):
        rounded = venue.rounded(price, rounding)
        assert venue.is_price(rounded)
        assert rounded >= price if rounding is UP else rounded <= price
        assert abs(rounded - price) < max(1.0, price * 1e-4)


@pytest.mark.parametrize("vector", J1, ids=[vector["id"] for vector in J1])
def test_published_prices_and_sizes_are_judged_as_published(vector: dict[str, Any]) -> None:
    """Hyperliquid's own examples."""
    given = dict(vector["inputs"])
    decimals = given.get("szDecimals", 0)
    fits = price_fits(given["px"], decimals) if "px" in given else size_fits(given["sz"], decimals)
    assert fits == vector["expected"]


@pytest.mark.parametrize(
    ("price", "size_decimals", "fits"),
    [
        ("1234.56", 0, False),
        ("1234.50", 0, True),
        ("0.0012345", 0, False),
        ("0.012345", 1, False),
        ("0.012345", 2, False),
        ("0.0123", 2, True),
        ("12345.6", 0, False),
        ("1234567", 5, True),
        ("100000.0", 5, True),
        ("0.1", 5, True),
        ("0.11", 5, False),
    ],
)
def test_prices_beside_the_published_ones(price: str, size_decimals: int, fits: bool) -> None:
    """Each rule alone: figures, decimals, and whole numbers free of both."""
    assert price_fits(price, size_decimals) is fits


def test_without_size_decimals_a_price_has_six() -> None:
    """Whole sizes: 0.001234 is a price, and 0.0012345 none."""
    assert price_fits("0.001234")
    assert not price_fits("0.0012345")


def test_a_price_is_the_decimal_that_was_written() -> None:
    """0.3 is three steps of 0.1, though no float is; 0.1 + 0.2 is none."""
    venue = OrderBounds(OrderRules(), a_contract(price_step=0.1))
    assert venue.is_price(0.3)
    assert not venue.is_price(0.1 + 0.2)
    assert size_fits("1.0010", 3)
    assert not size_fits("1.0001", 3)
    assert price_digits(Fraction("0.00120")) == (2, 4)


@given(
    st.floats(1e-6, 1e6),
    st.sampled_from([0.0001, 0.005, 0.05, 0.3, 1.0]),
    st.sampled_from([1, -1]),
)
def test_the_bound_of_a_market_order_is_exact(mark: float, share: float, side: int) -> None:
    """It is the last price of the grid within the share of the decimal that the mark is, as
    fractions find it, or that very bound where no price of the grid lies between it and the mark.
    Catches a bound that is rounded to the other side, or twice."""
    bound = decimal(mark) * (1 + side * decimal(share))
    step = Fraction(1, 2)
    steps = math.floor(bound / step) if side > 0 else math.ceil(bound / step)
    expected = float(steps * step)
    if side * (expected - mark) < 0.0:
        expected = float(bound)
    assert bounds(market_deviation=share).market_limit(side, mark) == expected


@given(st.integers(1, 10_000), st.floats(0.01, 1e4), st.floats(0.01, 1e4))
def test_dust_is_told_exactly(lots: int, price: float, least: float) -> None:
    """An order is too small where its decimal notional is below the venue's, at whatever distance.
    Catches a quick look that lets dust pass."""
    found = bounds(notional_min=least).refusal(lots, price)
    dust = lots * decimal(price) * Fraction(1, 1_000) < decimal(least)
    assert found == ("too_small" if dust else None)


@given(
    st.integers(0, 300),
    st.floats(0.01, 1e4),
    st.floats(0.0, 1e4),
    st.integers(-300, 300),
    st.sampled_from([None, 0.2]),
    st.booleans(),
)
def test_what_is_surely_taken_is_taken(
    lots: int, mark: float, least: float, held: int, most: float | None, inverse: bool
) -> None:
    """No closer look would have refused an order that needed none. Catches a short way past a
    rule."""
    rules = OrderRules(size_min=0.01, notional_min=least, market_size_max=most)
    venue = OrderBounds(rules, a_contract(inverse=inverse, price_step=0.5, lot_size=0.001))
    if venue.surely_takes(lots, mark):
        for side in (1, -1):
            reduces = held * side < 0 and lots <= abs(held)
            order = {"position": held, "reduce_only": reduces}
            assert venue.refusal(side * lots, mark, **order) is None


@pytest.mark.parametrize(
    ("lots", "mark", "taken"),
    [
        (50, 1_000.0, True),
        (49, 1_000.0, False),
        (50_000, 100.0, True),
        (50_001, 100.0, False),
        # Twice the least notional is 20 quote: in lots of a thousandth 20,000.
        (200, 100.0, False),
        (201, 100.0, True),
        (50_000, 0.5, True),
        (1_000, 0.0, False),
        (1_000, math.inf, False),
    ],
)
def test_what_is_taken_without_a_look(lots: int, mark: float, *, taken: bool) -> None:
    """0.05 to 50 coins of 10 quote at least, as long as no rounding could matter."""
    venue = bounds(size_min=0.05, market_size_max=50.0, notional_min=10.0)
    assert venue.surely_takes(lots, mark) is taken
    assert not taken or venue.refusal(lots=lots, mark=mark) is None


def test_what_is_taken_of_contracts_without_a_look() -> None:
    """Ten dollars at least are ten contracts of one, or one of ten; without a rule all is."""
    rules = OrderRules(notional_min=10.0)
    for size, least in ((1.0, 10), (10.0, 1)):
        contract = a_contract("XBTUSD", inverse=True, contract_size=size)
        venue = OrderBounds(rules, contract)
        assert venue.surely_takes(least, 30_000.0)
        assert not venue.surely_takes(least - 1, 30_000.0)
        assert venue.surely_takes(least, 0.5)
        assert not venue.surely_takes(least, 0.0)
        assert not venue.surely_takes(least, math.inf)
    assert bounds().surely_takes(1, 100.0)


@pytest.mark.parametrize(
    ("rules", "mark", "buys", "sells"),
    [
        ({"step": 0.5, "market_deviation": 0.1}, 100.2, 110.0, 90.5),
        ({"step": 2.5, "market_deviation": 0.1}, 101.0, 110.0, 92.5),
        # The mark is on the grid and the bound within the next step; or the grid is beyond.
        ({"step": 0.5, "market_deviation": 0.001}, 100.0, 100.0, 100.0),
        ({"step": 0.5, "market_deviation": 0.001}, 100.2, 100.3002, 100.0998),
        ({"step": 0.5, "market_deviation": 0.2}, 0.9, 1.0, 0.72),
        # Whole numbers are on every grid of figures.
        ({"significant_figures": 3, "market_deviation": 0.1}, 1_234.0, 1_357.0, 1_111.0),
        ({"significant_figures": 3, "market_deviation": 0.0001}, 1_234.0, 1_234.0, 1_234.0),
        (
            {"significant_figures": 3, "market_deviation": 0.0001},
            *(1_234.5, 1_234.62345, 1_234.37655),
        ),
        ({}, 100.0, math.inf, 0.0),
    ],
)
def test_the_worst_price_of_a_market_order(
    rules: dict[str, Any], mark: float, buys: float, sells: float
) -> None:
    """The last price of the grid within the bound, or the bound where that is beyond the mark."""
    said = {name: rule for name, rule in rules.items() if name != "step"}
    contract = a_contract(price_step=rules.get("step", 0.5), lot_size=0.001)
    venue = OrderBounds(OrderRules(**said), contract)
    assert venue.market_limit(1, mark) == pytest.approx(buys, rel=1e-12)
    assert venue.market_limit(-1, mark) == pytest.approx(sells, rel=1e-12)


def test_a_band_holds_for_a_single_lot() -> None:
    """Bought at no more than 110, sold at no less than 85."""
    venue = bounds(band_up=0.10, band_down=0.15)
    for lots, price, reason in (
        (1, 110.5, "price_band"),
        (1, 84.5, None),
        (-1, 84.5, "price_band"),
        (-1, 110.5, None),
    ):
        assert venue.refusal(lots=lots, price=price, mark=100.0) == reason


def test_figures_begin_after_the_zeros() -> None:
    """Of 0.0095 two are 9 and 5."""
    venue = bounds(significant_figures=2)
    for price in (0.0095, 0.095, 0.95, 9.5):
        assert venue.rounded(price, DOWN) == venue.rounded(price, UP) == price

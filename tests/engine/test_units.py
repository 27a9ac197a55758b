"""Tests of ``engine.units``."""

from __future__ import annotations

import math
from fractions import Fraction
from random import Random

import pytest

from engine.units import Rounding, asset_decimals, decimal, mul_div, side_of, whole_lots

DRAWS = 2_000


@pytest.mark.parametrize(
    ("a", "b", "c", "down", "up"),
    [
        (7, 3, 2, 10, 11),
        (-7, 3, 2, -11, -10),
        (7, -3, 2, -11, -10),
        (7, 3, -2, -11, -10),
        (-7, 3, -2, 10, 11),
        (6, 3, 2, 9, 9),
        (-6, 3, 2, -9, -9),
        (0, 3, 2, 0, 0),
    ],
)
def test_rounding_is_towards_the_infinities_not_towards_zero(
    a: int, b: int, c: int, down: int, up: int
) -> None:
    """DOWN never exceeds the quotient and UP is never below it, whatever the signs. Catches
    truncation, by which a payer of a negative amount would pay less."""
    assert mul_div(a, b, c, Rounding.DOWN) == down
    assert mul_div(a, b, c, Rounding.UP) == up


def test_integers_of_any_size_divide_exactly() -> None:
    """mul_div agrees with fractions for numbers beyond 64 and beyond 53 bits. Catches a float or
    an int64 on the way."""
    random = Random(1)
    for _ in range(DRAWS):
        a, b = (random.randint(-(10**30), 10**30) for _ in range(2))
        c = random.choice((-1, 1)) * random.randint(1, 10 ** random.randint(1, 30))
        true = Fraction(a) * b / c
        assert mul_div(a, b, c, Rounding.DOWN) == math.floor(true)
        assert mul_div(a, b, c, Rounding.UP) == math.ceil(true)


def test_dividing_by_zero_is_an_error() -> None:
    """Catches a share of nothing that becomes a number."""
    for rounding in Rounding:
        with pytest.raises(ZeroDivisionError):
            mul_div(1, 1, 0, rounding)


def test_quote_money_has_six_decimals_and_coins_eight() -> None:
    """Catches satoshis counted as micros, a factor of a hundred; the case of the letters does not
    matter."""
    assert [asset_decimals(a) for a in ("USDT", "usd", "USDC", "EUR")] == [6, 6, 6, 6]
    assert [asset_decimals(a) for a in ("BTC", "XBT", "ETH", "DOGE")] == [8, 8, 8, 8]


@pytest.mark.parametrize(
    ("size", "lot", "lots"),
    [
        (0.3, 0.1, 3),
        (-0.7, 1e-6, -700_000),
        (0.35, 0.1, None),
        (1.0000000000005, 1e-6, None),
        (1e9, 3.0, None),
        (2.0**52, 1.0, 2**52),
        (98_765_432.100001, 1e-6, 98_765_432_100_001),
        (0.0, 100.0, 0),
    ],
)
def test_a_size_is_whole_lots_as_written(size: float, lot: float, lots: int | None) -> None:
    """Neither what a decimal fraction misses nor what a quotient does makes a lot more or less; a
    fraction of a lot, however small, does."""
    assert whole_lots(size, lot) == lots


def test_a_rate_is_the_decimal_that_was_written() -> None:
    """0.0001 is one ten-thousandth. Catches the nearest float, whose excess rounds a payment of
    exactly 100 up by one."""
    assert decimal(0.0001) == Fraction(1, 10_000)
    assert decimal(-0.00075) == Fraction(-75, 100_000)
    assert decimal(1e-6) == Fraction(1, 10**6)
    share = decimal(0.0001)
    assert mul_div(10**6, share.numerator, share.denominator, Rounding.UP) == 100
    exact = Fraction(0.0001)
    assert mul_div(10**6, exact.numerator, exact.denominator, Rounding.UP) == 101


@pytest.mark.parametrize(("lots", "side"), [(1, 1), (10**18, 1), (-1, -1), (-(10**18), -1)])
def test_the_side_of_lots(lots: int, side: int) -> None:
    """A single lot has one too."""
    assert side_of(lots) == side

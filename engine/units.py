"""Units of account: nanoseconds, atoms, lots, and the one function that rounds money.

Money is ``int`` in the asset's smallest unit, lots and units are ``int`` of the smallest step,
prices and ratios are ``float``. Money is rounded where something becomes a transfer, and the caller
says in whose favour.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from enum import IntEnum
from fractions import Fraction
from functools import lru_cache
from typing import Final

__all__ = [
    "ATOMS_MAX",
    "DAY_NS",
    "HOUR_NS",
    "MILLISECOND_NS",
    "MINUTE_NS",
    "NEVER_NS",
    "SECOND_NS",
    "UNITS_MAX",
    "UNIT_STEPS",
    "Rounding",
    "asset_decimals",
    "decimal",
    "decimal_ratio",
    "mul_div",
    "side_of",
    "split",
    "total",
    "whole_lots",
]

MILLISECOND_NS: Final = 1_000_000
SECOND_NS: Final = 1_000_000_000
MINUTE_NS: Final = 60 * SECOND_NS
HOUR_NS: Final = 60 * MINUTE_NS
DAY_NS: Final = 24 * HOUR_NS

NEVER_NS: Final = 2**63 - 1
"""An alarm at this time never rings; it is later than every event time."""

UNIT_STEPS: Final = 100_000_000
"""Steps in one unit of a product."""

UNITS_MAX: Final = 2**60
"""Steps outstanding of one product: users' units are 64-bit, and sums of them too."""

ATOMS_MAX: Final = 2**60
"""Quote atoms of one product: sums of a few such amounts are still 64-bit."""

_COIN_DECIMALS: Final = 8
_QUOTE_DECIMALS: Final = 6
_QUOTE_ASSETS: Final = frozenset({"USD", "USDT", "USDC", "BUSD", "FDUSD", "TUSD", "DAI", "EUR"})


class Rounding(IntEnum):
    """Which way a money amount goes that does not divide."""

    DOWN = 0
    """Towards minus infinity: what somebody receives."""
    UP = 1
    """Towards plus infinity: what somebody pays."""


_DOWN: Final = Rounding.DOWN


def mul_div(a: int, b: int, c: int, rounding: Rounding) -> int:
    """``a * b / c`` in whole units, rounded as told; exact for integers of any size.

    ``mul_div(7, 3, 2, DOWN) == 10`` and ``mul_div(7, 3, 2, UP) == 11``; for negative results
    ``DOWN`` is still towards minus infinity, so that a payer of ``-x`` never pays less.

    Raises:
        ZeroDivisionError: if ``c`` is zero.
    """
    if rounding is _DOWN:
        return a * b // c
    return -(a * b // -c)


def asset_decimals(asset: str) -> int:
    """Decimals of an asset's smallest unit: 6 for quote money (``micros``), 8 for coins
    (satoshi)."""
    return _QUOTE_DECIMALS if asset.upper() in _QUOTE_ASSETS else _COIN_DECIMALS


def side_of(lots: int) -> int:
    """Of lots that are not 0: +1 where they are bought or held long, -1 where sold or short."""
    return 1 if lots > 0 else -1


def total(counts: Iterable[int]) -> int:
    """Sum of whole numbers, exact."""
    found = 0
    for count in counts:
        found += count
    return found


def split(amount: int, weights: Sequence[int]) -> list[int]:
    """``amount`` in proportion to weights that are not negative nor all 0, rounded one after the
    other, so that the parts sum to it: ``split(10, [1, 1, 1]) == [3, 3, 4]``."""
    parts, passed, given = [], 0, 0
    whole = total(weights)
    for weight in weights:
        passed += weight
        parts.append(amount * passed // whole - given)
        given += parts[-1]
    return parts


@lru_cache(maxsize=1_024)
def decimal(value: float) -> Fraction:
    """The decimal number somebody wrote down: a rate of 0.0001 is one ten-thousandth, not the
    nearest float, which would make a payment of exactly 100 round up to 100.000001.

    A number of numpy is its float: its own ``repr`` is ``np.float64(...)``.
    """
    return Fraction(repr(float(value)))


def whole_lots(size: float, lot: float) -> int | None:
    """How many lots a size is, both as somebody wrote them down: ``whole_lots(0.3, 0.1) == 3``;
    ``None`` where it is no whole number of them. Both finite, ``lot`` > 0."""
    over, under = decimal_ratio(lot)
    top, bottom = size.as_integer_ratio()
    lots = (2 * top * under + bottom * over) // (2 * bottom * over)  # the nearest
    return lots if lots * over / under == size else None


def decimal_ratio(value: float) -> tuple[int, int]:
    """``decimal`` as numerator and denominator, which may have factors in common: for prices, of
    which none comes twice."""
    text = repr(float(value))
    whole, _, part = text.partition(".")
    if not part.isdigit():  # with an exponent, or no number
        return Decimal(text).as_integer_ratio()
    return int(whole + part), 10 ** len(part)

"""``exp2``, ``log2``, ``power``, ``normal_cdf``: the same bits on every machine.

The C library and numpy round these functions differently from CPU to CPU, so the heart may not call
theirs. Here they stand on integers, on ``+ - * /`` of floats and on tables, all of which Python and
IEEE 754 define to the last bit; ``frexp``, ``ldexp`` and ``floor`` only take numbers apart. Results
lie within 4 ulp of the true value (the tests see less than 2.5). The tables are computed at import,
in integers, so there is nothing to trust but this page.

All four raise ``ValueError`` for NaN, infinities, arguments outside the domain, and results too
large for a float; results too small for one go through the subnormals to 0.0.
"""

from __future__ import annotations

from functools import cache
from math import floor, frexp, inf, isqrt, ldexp
from typing import Final

__all__ = [
    "ENTRIES",
    "INVERSES",
    "INVERSE_LOGS",
    "LEAD_SHIFT",
    "LOG2_E_INT",
    "LOG_BITS",
    "LOG_ONE",
    "LOG_STEP",
    "LOG_TERMS",
    "exp2",
    "log2",
    "normal_cdf",
    "power",
]

LOG_BITS: Final = 128
"""Logarithms are integers in steps of 2**-128: one of 2**-52 may still be multiplied by 2**62."""
_GUARD_BITS: Final = 64
_INDEX_BITS: Final = 10
ENTRIES: Final = 1 << _INDEX_BITS
_INDEX_MASK: Final = ENTRIES - 1


def _atanh_inverse(n: int, bits: int) -> int:
    """``atanh(1 / n)`` in steps of ``2**-bits``; a few of them low."""
    total, power_of_n, k = 0, (1 << bits) // n, 1
    while power_of_n:
        total += power_of_n // k
        power_of_n //= n * n
        k += 2
    return total


def _logarithm_tables() -> tuple[int, list[int], list[int]]:
    """``1 / ln 2``; for each leading part of a mantissa its inverse, and minus the log2 of that.

    A mantissa in ``[i, i + 1) / 2048`` is multiplied by ``inverse / 1024``, which leaves ``1 + t``,
    ``|t| <= 2**-10``.
    """
    bits = LOG_BITS + _GUARD_BITS
    ln2 = 2 * _atanh_inverse(3, bits)
    ln = [0]  # ln(n / 1024) from n = 1024 on: ln((k + 1) / k) = 2 atanh(1 / (2 k + 1))
    for k in range(ENTRIES, 2 * ENTRIES):
        ln.append(ln[-1] + 2 * _atanh_inverse(2 * k + 1, bits))
    inverses = [4 * ENTRIES * ENTRIES // (2 * i + 1) for i in range(ENTRIES, 2 * ENTRIES)]
    # The first and the last entry touch a power of two, where the logarithm has to be exact.
    inverses[0], inverses[-1] = 2 * ENTRIES, ENTRIES
    logs = [-((ln[inverse - ENTRIES] << LOG_BITS) // ln2) for inverse in inverses]
    logs[0] = -(1 << LOG_BITS)
    return (1 << (bits + LOG_BITS)) // ln2, inverses, logs


def _power_tables() -> tuple[list[float], list[float]]:
    """``2**(i / 1024)`` for each i, as the nearest float below and what is missing."""
    bits = LOG_BITS + _GUARD_BITS
    root = 2 << bits
    for _ in range(_INDEX_BITS):
        root = isqrt(root << bits)
    heads, tails, value = [], [], 1 << bits
    for _ in range(ENTRIES):
        head = value >> (bits - 52)
        heads.append(ldexp(head, -52))
        tails.append(ldexp(value - (head << (bits - 52)), -bits))
        value = value * root >> bits
    return heads, tails


LOG2_E_INT, INVERSES, INVERSE_LOGS = _logarithm_tables()
_HEADS, _TAILS = _power_tables()

# log2(1 + t) = t / ln 2 + t**2 (L2 + t (L3 + ...)); the first term is done in integers.
_LOG2_E: Final = ldexp(LOG2_E_INT, -LOG_BITS)
LOG_TERMS: Final = (
    *(-_LOG2_E / 2.0, _LOG2_E / 3.0, -_LOG2_E / 4.0),
    *(_LOG2_E / 5.0, -_LOG2_E / 6.0),
)
_L2, _L3, _L4, _L5, _L6 = LOG_TERMS
# 2**r - 1 = r (E1 + r (E2 + ...))
_E1: Final = 1.0 / _LOG2_E
_E2: Final = _E1 * _E1 / 2.0
_E3: Final = _E2 * _E1 / 3.0
_E4: Final = _E3 * _E1 / 4.0

_LOG_SHIFT: Final = 53 + _INDEX_BITS
LOG_ONE: Final = 1 << _LOG_SHIFT
LOG_STEP: Final = ldexp(1.0, -_LOG_SHIFT)
LEAD_SHIFT: Final = 53 - _INDEX_BITS - 1
_POWER_SHIFT: Final = LOG_BITS - _INDEX_BITS
_POWER_HALF: Final = 1 << (_POWER_SHIFT - 1)
_TWO_53: Final = ldexp(1.0, 53)
_TWO_BITS: Final = ldexp(1.0, LOG_BITS)
_TWO_MINUS_BITS: Final = ldexp(1.0, -LOG_BITS)
_EXPONENT_MAX: Final = 1025
"""2 to this or more is too large for a float (to 1024 as well, which ``ldexp`` notices)."""
_EXPONENT_MIN: Final = -1080
"""2 to this or less is 0.0."""
_LARGEST: Final = _EXPONENT_MAX << LOG_BITS
_SMALLEST: Final = _EXPONENT_MIN << LOG_BITS


def _log2_fixed(x: float) -> int:
    """``log2(x)`` in steps of 2**-128 for finite x > 0: relative error below 2**-61, absolute below
    2**-70."""
    mantissa, exponent = frexp(x)
    digits = int(mantissa * _TWO_53)
    i = (digits >> LEAD_SHIFT) - ENTRIES
    rest = digits * INVERSES[i] - LOG_ONE
    t = rest * LOG_STEP
    higher = t * t * (_L2 + t * (_L3 + t * (_L4 + t * (_L5 + t * _L6))))
    return (
        (exponent << LOG_BITS)
        + INVERSE_LOGS[i]
        + (rest * LOG2_E_INT >> _LOG_SHIFT)
        + int(higher * _TWO_BITS)
    )


def _exp2_split(steps: int, r: float) -> float:
    """``2**(steps / 1024 + r)`` for ``|r| <= 2**-11``."""
    entry = steps & _INDEX_MASK
    head = _HEADS[entry]
    growth = r * (_E1 + r * (_E2 + r * (_E3 + r * _E4)))
    return ldexp(head + (_TAILS[entry] + head * growth), steps >> _INDEX_BITS)


def exp2(x: float) -> float:
    """``2**x``. Exact for whole ``x``: ``exp2(-2.0) == 0.25``.

    Raises:
        ValueError: if ``x`` is not finite, or 1024 or more.
    """
    if not -inf < x < _EXPONENT_MAX:
        raise ValueError(f"exp2 needs a finite exponent below 1024, was {x}")
    if x < _EXPONENT_MIN:
        return 0.0
    steps = floor(x * ENTRIES + 0.5)
    try:
        return _exp2_split(steps, x - steps / ENTRIES)
    except OverflowError:
        raise ValueError(f"exp2 needs a finite exponent below 1024, was {x}") from None


def log2(x: float) -> float:
    """Logarithm to base 2. Exact for powers of two: ``log2(0.25) == -2.0``; accurate near 1 as
    well.

    Raises:
        ValueError: if ``x`` is not finite or not above zero.
    """
    if not 0.0 < x < inf:
        raise ValueError(f"log2 needs a finite argument > 0, was {x}")
    return _log2_fixed(x) * _TWO_MINUS_BITS


def power(x: float, y: float) -> float:
    """``x**y`` for ``x >= 0``. ``power(2.25, 0.5) == 1.5``; ``power(0, 0) == 1`` and ``power(0, y >
    0) == 0``.

    Raises:
        ValueError: if an argument is not finite, ``x`` is negative, ``x`` is zero with ``y``
            negative, or the result is too large for a float.
    """
    if not (0.0 < x < inf and -inf < y < inf):
        return _power_of_zero(x, y)
    mantissa, binary_exponent = frexp(y)
    product = _log2_fixed(x) * int(mantissa * _TWO_53)
    shift = 53 - binary_exponent
    exponent = product >> shift if shift >= 0 else product << -shift
    if exponent < _SMALLEST:
        return 0.0
    try:
        if exponent < _LARGEST:
            steps = (exponent + _POWER_HALF) >> _POWER_SHIFT
            return _exp2_split(steps, (exponent - (steps << _POWER_SHIFT)) * _TWO_MINUS_BITS)
    except OverflowError:
        pass
    raise ValueError(f"{x} to the power of {y} is too large for a float")


def _power_of_zero(x: float, y: float) -> float:
    if x != 0.0 or not 0.0 <= y < inf:
        raise ValueError(f"power needs finite x >= 0 and y, y >= 0 where x is 0; was {x}, {y}")
    return 1.0 if y == 0.0 else 0.0


_CDF_CELLS: Final = 4
"""Expansions per unit of the argument."""
_CDF_MIN: Final = -39.0
"""The distribution function here and below is 0.0: less than half the smallest float."""
_CDF_ONE: Final = 9.0
"""From here on it is 1.0."""
_CDF_TERMS: Final = 13


@cache
def _mills_ratio_table() -> list[tuple[float, ...]]:
    """Taylor coefficients of ``R(a) = Q(a) exp(a**2 / 2)``, ``Q`` the upper tail, at ``a = 0, 1/4,
    ... 39``.

    ``R' = a R - 1 / sqrt(2 pi)`` gives all derivatives from R. R itself comes from its continued
    fraction far out and is carried inwards by the same expansions, which is the direction in which
    errors shrink. Up to the factor ``1 / sqrt(2 pi)``; that follows at the end from ``R(0) = 1/2``.
    """
    bits = 2 * LOG_BITS
    terms = 40
    cell = int(-_CDF_MIN) * _CDF_CELLS
    point = (cell << bits) // _CDF_CELLS
    denominator = point
    for k in range(60, 0, -1):
        denominator = point + (k << 2 * bits) // denominator
    ratio = (1 << 2 * bits) // denominator
    rows: list[list[int]] = []
    while cell >= 0:
        point = (cell << bits) // _CDF_CELLS
        row = [ratio, (point * ratio >> bits) - (1 << bits)]
        for n in range(1, terms):
            row.append(((point * row[n] >> bits) + row[n - 1]) // (n + 1))
        rows.append(row[:_CDF_TERMS])
        ratio = 0
        for coefficient in reversed(row):
            ratio = coefficient - ratio // _CDF_CELLS
        cell -= 1
    rows.reverse()
    half = rows[0][0] * 2
    return [tuple(ldexp((c << bits) // half, -bits) for c in row) for row in rows]


def normal_cdf(x: float) -> float:
    """Share of the standard normal distribution below ``x``: ``normal_cdf(0.0) == 0.5``.

    Accurate to 4 ulp in the lower tail too, down to the smallest float near ``x = -38.5``.

    Raises:
        ValueError: if ``x`` is not finite.

    Source: Mills' ratio, ``Q(a) = R(a) exp(-a**2 / 2)``.
    """
    if not -inf < x < inf:
        raise ValueError(f"normal_cdf needs a finite argument, was {x}")
    if x <= _CDF_MIN:
        return 0.0
    if x >= _CDF_ONE:
        return 1.0
    distance = -x if x < 0.0 else x
    cell = floor(distance * _CDF_CELLS + 0.5)
    ratio = 0.0
    offset = distance - cell / _CDF_CELLS
    for coefficient in reversed(_mills_ratio_table()[cell]):
        ratio = coefficient + offset * ratio
    mantissa, binary_exponent = frexp(distance)
    digits = int(mantissa * _TWO_53)
    exponent = -(digits * digits * LOG2_E_INT >> (107 - 2 * binary_exponent))
    # Multiply before scaling down, so that a subnormal result is rounded only once.
    steps = (exponent + _POWER_HALF) >> _POWER_SHIFT
    whole = steps >> _INDEX_BITS
    rest = (exponent - (steps << _POWER_SHIFT)) * _TWO_MINUS_BITS
    tail = ldexp(ratio * _exp2_split(steps - (whole << _INDEX_BITS), rest), whole)
    return tail if x < 0.0 else 1.0 - tail

"""Tests of ``engine.exact``."""

from __future__ import annotations

import hashlib
import itertools
import math
import random
import struct
from collections.abc import Callable, Iterable, Iterator

import mpmath
import pytest

from engine.exact import exp2, log2, normal_cdf, power

ULP_MAX = 4.0
DRAWS = 3_000


@pytest.fixture(autouse=True)
def _precise() -> Iterator[None]:
    """The yardstick computes with 300 bits."""
    with mpmath.workprec(300):
        yield


def worst_ulp(
    ours: Callable[..., float],
    true: Callable[..., mpmath.mpf],
    points: Iterable[tuple[float, ...]],
) -> float:
    """Largest distance from the true value, in units of the last place of the true value."""
    worst = 0.0
    for point in points:
        expected = true(*(mpmath.mpf(value) for value in point))
        unit = mpmath.mpf(math.ulp(float(expected)))
        worst = max(worst, float(abs(mpmath.mpf(ours(*point)) - expected) / unit))
    return worst


def neighbours(x: float, count: int = 6) -> list[float]:
    """The floats around x, in order."""
    low = [x]
    high = [x]
    for _ in range(count):
        low.append(math.nextafter(low[-1], -math.inf))
        high.append(math.nextafter(high[-1], math.inf))
    return low[:0:-1] + high


def is_monotone(function: Callable[[float], float], points: list[float]) -> bool:
    values = [function(point) for point in points]
    return all(a <= b for a, b in itertools.pairwise(values))


def true_cdf(x: mpmath.mpf) -> mpmath.mpf:
    return mpmath.erfc(-x / mpmath.sqrt(2)) / 2


def test_exp2_is_within_4_ulp() -> None:
    """Over its whole range, subnormal results included, and densely where exponents are small."""
    draw = random.Random(1)
    points = [(draw.uniform(-1074.0, 1023.999),) for _ in range(DRAWS)]
    points += [(draw.uniform(-1.0, 1.0),) for _ in range(DRAWS)]
    points += [(math.ldexp(draw.uniform(-1.0, 1.0), -draw.randrange(1, 80)),) for _ in range(500)]
    assert worst_ulp(exp2, lambda x: mpmath.power(2, x), points) < ULP_MAX


def test_log2_is_within_4_ulp() -> None:
    """Over all floats, and around 1, where the result is as small as the distance from it."""
    draw = random.Random(2)
    points = [
        (math.ldexp(draw.uniform(0.5, 1.0), draw.randrange(-1073, 1025)),) for _ in range(DRAWS)
    ]
    points += [(draw.uniform(0.99, 1.01),) for _ in range(DRAWS)]
    points += [
        (1.0 + math.ldexp(draw.uniform(-1.0, 1.0), -draw.randrange(1, 52)),) for _ in range(DRAWS)
    ]
    assert worst_ulp(log2, lambda x: mpmath.log(x, 2), [p for p in points if p != (1.0,)]) < ULP_MAX


def test_power_is_within_4_ulp() -> None:
    """Everyday arguments, results at the ends of the range, bases near 1 with huge exponents."""
    draw = random.Random(3)
    points = [(draw.uniform(0.001, 3.0), draw.uniform(-3.0, 3.0)) for _ in range(DRAWS)]
    for _ in range(DRAWS):
        x = math.ldexp(draw.uniform(0.5, 1.0), draw.randrange(-900, 900))
        points.append((x, draw.uniform(-1.0, 1.0) * 1020.0 / abs(log2(x))))
        x = 1.0 + math.ldexp(draw.uniform(0.5, 1.0) * draw.choice((-1, 1)), -draw.randrange(1, 52))
        points.append((x, draw.uniform(-1.0, 1.0) * 1020.0 / abs(log2(x))))
    assert worst_ulp(power, mpmath.power, points) < ULP_MAX


def test_normal_cdf_is_within_4_ulp() -> None:
    """From the smallest float to 1, with relative accuracy in the whole lower tail."""
    draw = random.Random(4)
    points = [(draw.uniform(-38.45, 9.0),) for _ in range(DRAWS)]
    points += [(draw.uniform(-2.0, 2.0),) for _ in range(DRAWS)]
    points += [(draw.uniform(-37.0, -30.0),) for _ in range(1_000)]
    assert worst_ulp(normal_cdf, true_cdf, points) < ULP_MAX


def test_no_step_back_at_the_joints_of_the_tables() -> None:
    """From one table entry to the next no function falls, float by float."""
    for k in range(-2_048, 2_049, 5):
        assert is_monotone(exp2, neighbours((k + 0.5) / 1_024)), k
        assert is_monotone(exp2, neighbours(k / 1_024)), k
    for k in range(1_024, 4_097, 3):
        assert is_monotone(log2, neighbours(k / 2_048)), k
        assert is_monotone(lambda x: power(x, 0.67), neighbours(k / 2_048)), k
        assert is_monotone(lambda y: power(1.7, y), neighbours(k / 2_048)), k
    for k in range(-150, 36):
        assert is_monotone(normal_cdf, neighbours((k + 0.5) / 4)), k


def test_what_is_exact_stays_exact() -> None:
    """Powers of two, roots of squares, whole powers that fit a float, and identities."""
    for k in range(-1_074, 1_024):
        assert exp2(float(k)) == math.ldexp(1.0, k)
        assert log2(math.ldexp(1.0, k)) == k
    for n in range(1, 200):
        assert power(float(n * n), 0.5) == n
        assert power(float(n), 3.0) == n**3
        assert power(float(n), 1.0) == n
        assert power(float(n), 0.0) == 1.0
    assert power(10.0, 22.0) == 1e22
    assert power(0.3, -1.0) == 1.0 / 0.3
    assert power(1.0, 1e300) == 1.0
    assert normal_cdf(0.0) == 0.5


def test_the_ends_of_the_range() -> None:
    """Too small becomes zero through the subnormals; the largest float is reached."""
    assert exp2(-1074.0) == 5e-324
    assert exp2(-1075.5) == 0.0
    assert exp2(-1e300) == 0.0
    assert exp2(math.nextafter(1024.0, 0.0)) == pytest.approx(1.797693134862e308, rel=1e-12)
    assert log2(5e-324) == -1074.0
    assert log2(1.7976931348623157e308) == 1024.0
    assert power(0.0, 0.5) == 0.0
    assert power(-0.0, 0.0) == 1.0
    assert power(1e-300, 2.0) == 0.0
    assert power(0.5, 1e308) == 0.0
    assert power(2.0, -1074.0) == 5e-324
    assert power(3.0, 5e-324) == 1.0
    assert normal_cdf(-40.0) == 0.0
    assert normal_cdf(-1e308) == 0.0
    assert 0.0 < normal_cdf(-38.4) < 1e-320
    assert normal_cdf(9.0) == normal_cdf(1e308) == 1.0
    assert normal_cdf(8.0) == math.nextafter(1.0, 0.0) - 5 * 2.0**-53


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        (exp2, (1024.0,)),
        (exp2, (1e308,)),
        (exp2, (math.nan,)),
        (exp2, (math.inf,)),
        (exp2, (-math.inf,)),
        (log2, (0.0,)),
        (log2, (-1.0,)),
        (log2, (math.nan,)),
        (log2, (math.inf,)),
        (power, (-1.0, 2.0)),
        (power, (0.0, -1.0)),
        (power, (0.0, math.nan)),
        (power, (0.0, math.inf)),
        (power, (2.0, 1024.0)),
        (power, (2.0, 1e308)),
        (power, (0.5, -1e308)),
        (power, (math.nan, 1.0)),
        (power, (1.0, math.nan)),
        (power, (math.inf, 1.0)),
        (power, (2.0, -math.inf)),
        (normal_cdf, (math.nan,)),
        (normal_cdf, (math.inf,)),
        (normal_cdf, (-math.inf,)),
    ],
)
def test_outside_the_domain(function: Callable[..., float], arguments: tuple[float, ...]) -> None:
    """What has no finite answer is a ``ValueError`` that repeats the argument."""
    with pytest.raises(ValueError, match=str(arguments[0]).split("e")[0]):
        function(*arguments)


GOLDEN: list[tuple[Callable[..., float], tuple[float, ...], str]] = [
    (exp2, (0.5,), "0x1.6a09e667f3bcdp+0"),
    (exp2, (-0.1,), "0x1.ddb680117ab12p-1"),
    (exp2, (10.3,), "0x1.3b2c47bff832cp+10"),
    (exp2, (-1073.4,), "0x0.0000000000002p-1022"),
    (log2, (3.0,), "0x1.95c01a39fbd68p+0"),
    (log2, (0.1,), "-0x1.a934f0979a371p+1"),
    (log2, (1.0000001,), "0x1.35d0fea5fccb7p-23"),
    (log2, (0.9999999999999999,), "-0x1.71547652b82fep-53"),
    (power, (0.01, 0.67), "0x1.7672575282091p-5"),
    (power, (2.5, 1.13), "0x1.687b17f3f4bc5p+1"),
    (power, (0.999, 86400.0), "0x1.38bb5c22cb43ep-125"),
    (power, (95000.0, -0.25), "0x1.d29d890bdfa09p-5"),
    (power, (1.0000000000000002, 1e18), "0x1.44a12826f5073p+320"),
    (normal_cdf, (1.0,), "0x1.aec4bd120d37dp-1"),
    (normal_cdf, (-1.0,), "0x1.44ed0bb7cb20bp-3"),
    (normal_cdf, (-2.326,), "0x1.47fbe31f72a28p-7"),
    (normal_cdf, (-10.0,), "0x1.26c75e84fb10ep-77"),
    (normal_cdf, (-37.0,), "0x1.eaccc6bfeb0afp-995"),
]
SWEEP = "6dcdc72bcc7dc43298b70f64685b8a2b81fc55474157e1b50cad8d1da5a49126"


@pytest.mark.parametrize(("function", "arguments", "expected"), GOLDEN)
def test_golden_bits(
    function: Callable[..., float], arguments: tuple[float, ...], expected: str
) -> None:
    """The very bits, by eye."""
    assert function(*arguments).hex() == expected


def test_golden_bits_of_a_sweep() -> None:
    """The very bits of 40,000 values, as one hash: a change of one changes recorded runs."""
    draw = random.Random(5)
    digest = hashlib.sha256()
    for _ in range(10_000):
        x, y = draw.uniform(0.0001, 4.0), draw.uniform(-4.0, 4.0)
        values = exp2(8.0 * y), log2(x), power(x, y), normal_cdf(3.0 * y)
        digest.update(struct.pack("<4d", *values))
    assert digest.hexdigest() == SWEEP

"""Tests of ``engine.venue.premium``."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from engine.units import HOUR_NS, MINUTE_NS, SECOND_NS
from engine.venue.premium import Premiums, PremiumState, mean, median, mid_premium, premium
from engine.venue.price_rules import FundingRules, Kernel

T = 1_700_006_400 * SECOND_NS


@pytest.mark.parametrize(
    ("bid", "ask", "expected"),
    [
        (10_100.0, 10_110.0, 0.01),
        (9_880.0, 9_900.0, -0.01),
        (9_990.0, 10_010.0, 0.0),
        (10_000.0, 10_000.0, 0.0),
        (10_200.0, 9_900.0, 0.01),
    ],
)
def test_a_premium_is_what_leaves_the_index_outside(
    bid: float, ask: float, expected: float
) -> None:
    """Above the index by the bid, below it by the ask, nothing between."""
    assert premium(bid, ask, 10_000.0) == expected


def test_the_premium_of_a_mid() -> None:
    """OKX: 100.5 over 100 is half a per cent."""
    assert mid_premium(100.0, 101.0, 100.0) == 0.005
    assert mid_premium(98.0, 99.0, 100.0) == -0.015


def test_mean_and_median() -> None:
    """Of an even number the two in the middle are halved."""
    assert mean([1.0, 2.0, 6.0]) == 3.0
    assert median([5.0, 1.0, 2.0]) == 2.0
    assert median([5.0, 1.0, 2.0, 4.0]) == 3.0


def averaged(rules: FundingRules, *values: float, every_ns: int = MINUTE_NS) -> float | None:
    """Premiums one a sample, the last at the end of the period."""
    premiums = Premiums(rules)
    for place, value in enumerate(values, 1):
        premiums.add(value, T + place * every_ns)
    return premiums.average(T + len(values) * every_ns)


def test_linear_weights_rise_with_the_place() -> None:
    """(1 x 1 + 2 x 2 + 3 x 6) / 6."""
    assert averaged(FundingRules(kernel="linear"), 1.0, 2.0, 6.0) == 23.0 / 6.0


@pytest.mark.parametrize("kernel", ["linear", "flat", "rolling", "votes"])
@pytest.mark.parametrize("count", [480, 5_760])
@pytest.mark.parametrize("value", [0.0001, 0.0003, -0.00012345])
def test_a_premium_that_never_changes_is_its_own_average(
    kernel: Kernel, count: int, value: float
) -> None:
    """To the last bit, over all minutes of eight hours and all its five seconds. Catches a sum of
    floats: of a million at 0.01 % the payer would pay an atom too much."""
    rules = FundingRules(kernel=kernel, interval_ns=8 * HOUR_NS, votes_min=1)
    rules = replace(rules, window_ns=MINUTE_NS if kernel == "votes" else 8 * HOUR_NS)
    every_ns = rules.interval_ns // count
    assert averaged(rules, *[value] * count, every_ns=every_ns) == value


@given(st.lists(st.floats(-0.1, 0.1), min_size=1, max_size=50))
def test_sums_are_exact(values: list[float]) -> None:
    """An average is the fraction's, rounded once; tiny, huge and cancelling premiums included."""
    linear = sum((n * Fraction(v) for n, v in enumerate(values, 1)), Fraction())
    weight = len(values) * (len(values) + 1) // 2
    assert averaged(FundingRules(kernel="linear"), *values) == float(linear / weight)
    flat = sum(map(Fraction, values), Fraction()) / len(values)
    assert averaged(FundingRules(kernel="flat"), *values) == float(flat)
    assert mean(values) == float(flat)


def test_linear_weights_of_480_minutes() -> None:
    """Premiums of n millionths: (2 x 480 + 1) / 3 millionths; of 240 minutes (2 x 240 + 1) / 3."""
    for count in (480, 240):
        values = [n * 1e-6 for n in range(1, count + 1)]
        found = averaged(FundingRules(kernel="linear"), *values)
        assert found == pytest.approx((2 * count + 1) / 3 * 1e-6, rel=1e-12)


def test_flat_weighs_alike() -> None:
    """(1 + 2 + 6) / 3."""
    assert averaged(FundingRules(kernel="flat"), 1.0, 2.0, 6.0) == 3.0


def test_rolling_forgets_what_is_a_window_old() -> None:
    """Of a window of two minutes the last two count: what lies exactly a window back does not."""
    rules = FundingRules(kernel="rolling", window_ns=2 * MINUTE_NS)
    assert averaged(rules, 1.0, 2.0, 6.0) == 4.0
    assert (
        averaged(FundingRules(kernel="rolling", window_ns=2 * MINUTE_NS + 1), 1.0, 2.0, 6.0) == 3.0
    )


def test_a_settlement_begins_a_new_period() -> None:
    """But the rolling window goes on across it."""
    rules = FundingRules(kernel="rolling", window_ns=2 * MINUTE_NS)
    premiums = Premiums(rules)
    premiums.add(3.0, T)
    assert premiums.settle(T) == 3.0
    premiums.add(5.0, T + MINUTE_NS)
    assert premiums.settle(T + MINUTE_NS) == 4.0
    assert premiums.settle(T + 2 * MINUTE_NS) == 5.0
    for kernel in ("linear", "flat", "votes"):
        period = Premiums(FundingRules(kernel=kernel, window_ns=MINUTE_NS, interval_ns=MINUTE_NS))
        period.add(3.0, T)
        period.settle(T)
        assert period.average(T) is None
        assert period.state == PremiumState()


@pytest.mark.parametrize("kernel", ["linear", "flat", "rolling", "votes"])
def test_a_period_in_which_nothing_was_heard_has_no_premium(kernel: str) -> None:
    """Nobody makes up a zero."""
    assert averaged(FundingRules(kernel=kernel)) is None  # type: ignore[arg-type]  # a name of four


VOTES = FundingRules(
    kernel="votes", window_ns=MINUTE_NS, interval_ns=3 * MINUTE_NS, votes_min=3, sample_ns=SECOND_NS
)


def voted(rules: FundingRules, *minutes: list[float]) -> float | None:
    premiums = Premiums(rules)
    for minute, votes in enumerate(minutes):
        for place, vote in enumerate(votes, 1):
            premiums.add(vote, T + minute * MINUTE_NS + place * SECOND_NS)
    return premiums.average(T + len(minutes) * MINUTE_NS)


def test_votes_make_medians_and_medians_a_mean() -> None:
    """Medians 2, 5 and 9: their mean is 16/3."""
    assert voted(VOTES, [1.0, 2.0, 90.0], [5.0, 5.0, 6.0], [9.0, 9.0, 9.0]) == 16.0 / 3.0


def test_missing_votes_are_zero() -> None:
    """Two votes of three: the median of 4, 6 and 0; one of three: 0; a missing minute counts as
    0 too."""
    assert voted(VOTES, [4.0, 6.0], [7.0], [3.0, 3.0, 3.0]) == 7.0 / 3.0
    assert voted(VOTES, [6.0, 6.0, 6.0]) == 2.0
    assert voted(VOTES, [6.0, 6.0, 6.0], [], [6.0, 6.0, 6.0]) == 4.0


def test_a_vote_at_the_end_of_a_minute_belongs_to_it() -> None:
    """At the full minute the one that ends is still open."""
    premiums = Premiums(VOTES)
    for second in (20, 40, 60):
        premiums.add(6.0, T + second * SECOND_NS)
    premiums.add(3.0, T + 61 * SECOND_NS)
    assert premiums.state.votes == [3.0]
    assert [value for _, value in premiums.state.samples] == [6.0]


def test_tails_are_cut_at_both_ends() -> None:
    """A third of three samples at each end leaves the middle; with an odd number of samples to cut
    the top loses one more."""
    third = FundingRules(
        kernel="votes", window_ns=MINUTE_NS, interval_ns=3 * MINUTE_NS, votes_min=1, tails=0.34
    )
    assert voted(third, [90.0], [5.0], [-70.0]) == 5.0
    odd = FundingRules(
        kernel="votes", window_ns=MINUTE_NS, interval_ns=3 * MINUTE_NS, votes_min=1, tails=0.2
    )
    assert voted(odd, [90.0], [5.0], [-70.0]) == -32.5


def test_an_hour_of_sixty_minutes() -> None:
    """Sixty minutes of ten votes of 0.5 % each: the median of ten and five zeros is the vote."""
    rules = FundingRules(
        kernel="votes", window_ns=MINUTE_NS, interval_ns=HOUR_NS, sample_ns=6 * SECOND_NS
    )
    premiums = Premiums(rules)
    for place in range(1, 601):
        premiums.add(0.005, T + place * 6 * SECOND_NS)
    assert premiums.settle(T + HOUR_NS) == pytest.approx(0.005, rel=1e-12)


@pytest.mark.parametrize(
    ("steps", "kept"),
    [
        (0, b"\x00"), (1, b"\x01"), (127, b"\x7f"), (128, b"\x80\x00"), (-127, b"\x81"),
        (-129, b"\x7f\xff"), (255 * 256, b"\x00\xff\x00"),
    ],
)  # fmt: skip
def test_a_sum_is_kept_in_as_many_bytes_as_it_needs(steps: int, kept: bytes) -> None:
    """And one bit for its sign. Catches a byte too few, and a snapshot that grows."""
    premiums = Premiums(FundingRules(kernel="flat"))
    premiums.add(steps * 5e-324, T)
    assert (premiums.state.weighted, premiums.state.weight) == (kept, 1)
    assert premiums.average(T) == steps * 5e-324


def test_the_second_after_a_minute_begins_the_next() -> None:
    """A nanosecond after the full minute it is another; before the first vote there is none."""
    premiums = Premiums(VOTES)
    assert premiums.state.minute == -1
    for ts_ns, votes in ((T + MINUTE_NS, 1), (T + MINUTE_NS + 1, 1), (T + 2 * MINUTE_NS, 2)):
        premiums.add(6.0, ts_ns)
        assert len(premiums.state.votes) == votes
    assert premiums.state.minute == T // MINUTE_NS + 1


def test_votes_of_which_all_are_tails_are_all_counted() -> None:
    """Half of three samples at each end would leave none: none is cut. Catches a mean of none."""
    all_of_them = FundingRules(
        kernel="votes", window_ns=MINUTE_NS, interval_ns=3 * MINUTE_NS, votes_min=1, tails=0.5
    )
    assert voted(all_of_them, [90.0], [6.0], [-60.0]) == 12.0


def test_what_is_kept_of_a_period() -> None:
    """Three premiums: weights of 1, 2 and 3, or of 1 each."""
    kernels: tuple[tuple[Kernel, int], ...] = (("linear", 6), ("flat", 3))
    for kernel, weight in kernels:
        premiums = Premiums(FundingRules(kernel=kernel))
        for second in (1, 2, 3):
            premiums.add(0.5, T + second * SECOND_NS)
        assert (premiums.state.count, premiums.state.weight) == (3, weight)

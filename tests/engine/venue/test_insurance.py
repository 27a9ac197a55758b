"""Tests of ``engine.venue.insurance``: a fund's peak and drawdown against a plain memory."""

from __future__ import annotations

from fractions import Fraction
from math import ceil
from random import Random

import msgspec
import pytest

from engine.errors import InvariantError
from engine.units import HOUR_NS
from engine.venue.insurance import InsuranceFund, fund_of
from engine.venue.rules import InsuranceRules


def a_fund(drawdown: float = 0.3, window_ns: int = 8 * HOUR_NS, ts_ns: int = 0) -> InsuranceFund:
    return fund_of(InsuranceRules(drawdown=drawdown, window_ns=window_ns), ts_ns)


def test_a_fund_stops_at_thirty_per_cent_below_its_peak() -> None:
    """From 1,000 it pays 300 and no atom more; the loss beyond that is left to others."""
    fund = a_fund()
    assert fund.available(1_000, 0) == 300
    assert fund.available(1_000, 0) == 300
    fund.changed(1_000, 10)
    assert fund.peak(800, 10) == 1_000
    assert fund.available(800, 10) == 100
    fund.changed(800, 20)
    assert fund.available(700, 20) == 0


def test_the_part_that_stays_is_rounded_up() -> None:
    """Of 11 atoms 7.7 must stay: 8, so 3 may be paid."""
    assert a_fund().available(11, 0) == 3


def test_a_full_drawdown_pays_until_it_is_empty() -> None:
    """A share of 1 has no peak to mind."""
    fund = a_fund(drawdown=1.0)
    fund.changed(1_000, 10)
    assert fund.available(100, 10) == 100
    assert fund.available(0, 20) == 0


def test_a_peak_is_forgotten_when_its_window_has_passed() -> None:
    """1,000 until 10 is a peak up to and not including 10 + window; then the fund counts from
    what it has."""
    fund = a_fund(window_ns=100)
    fund.changed(1_000, 10)
    assert fund.peak(600, 109) == 1_000
    assert fund.peak(600, 110) == 600
    assert fund.available(600, 110) == 180


def test_a_balance_is_a_peak_as_long_as_it_was_in_force() -> None:
    """100 until 10, 40 until 20, then 50. At 115 the window begins after 100 ended: the peak is 50,
    though the next larger entry came at 20 only. Catches counting a balance until its successor in
    the queue."""
    fund = a_fund(window_ns=100)
    fund.changed(100, 10)
    fund.changed(40, 20)
    assert fund.peak(50, 109) == 100
    assert fund.peak(50, 115) == 50


def test_what_was_in_force_for_no_time_never_was_a_peak() -> None:
    """A surplus and a payment of the same instant: only what stands after it counts."""
    fund = a_fund()
    fund.changed(100, 10)
    fund.changed(900, 10)
    assert fund.peak(120, 11) == 120
    fund.changed(120, 12)
    assert fund.peak(60, 12) == 120


@pytest.mark.parametrize("seed", range(20))
def test_the_peak_is_what_a_plain_memory_says(seed: int) -> None:
    """Random walks with repeated instants and rises and falls of every size: peak and available
    part are those of a list of every balance that was ever in force."""
    random = Random(seed)
    window, share = random.choice([1, 7, 50]), random.choice(["0.3", "0.05", "1"])
    fund = a_fund(float(share), window)
    spans: list[tuple[int, int, int]] = []
    balance, since, ts = random.randint(0, 50), 0, 0
    for _ in range(300):
        ts += random.choice([0, 0, 1, 2, 30])
        if ts > since:
            spans.append((since, ts, balance))
            since = ts
        after = max(0, balance + random.randint(-20, 20))
        fund.changed(balance, ts)
        balance = after
        fund.check()
        peak = max([each for start, end, each in spans if end > ts - window] + [balance])
        assert fund.peak(balance, ts) == peak
        kept = ceil(peak * (1 - Fraction(share)))
        assert fund.available(balance, ts) == max(balance - kept, 0)
        assert all(end > ts - window for end, _ in fund.ended)


def test_a_snapshot_of_a_fund_goes_on_as_the_fund() -> None:
    """Encoded and decoded it is the same struct, and answers alike."""
    fund = a_fund()
    fund.changed(1_000, 10)
    fund.changed(900, 20)
    again = msgspec.msgpack.decode(msgspec.msgpack.encode(fund), type=InsuranceFund)
    assert again == fund
    assert again.available(950, 30) == fund.available(950, 30) == 250


def test_a_fund_refuses_what_cannot_be() -> None:
    """Time going back, negative losses, shares and windows that mean nothing, broken memories."""
    fund = a_fund(ts_ns=5)
    with pytest.raises(InvariantError, match="back"):
        fund.changed(10, 4)
    for drawdown in (0.0, 1.1, float("nan")):
        with pytest.raises(ValueError, match="drawdown"):
            a_fund(drawdown)
    with pytest.raises(ValueError, match="window"):
        a_fund(window_ns=-1)
    assert a_fund(window_ns=0).peak(3, 9) == 3


@pytest.mark.parametrize(
    "ended",
    [
        [(21, 9)],
        [(10, 9), (30, 8)],
        [(10, 9), (10, 8)],
        [(10, 7), (10, 8)],
        [(10, 9), (9, 8)],
        [(10, 8), (11, 9)],
        [(10, 8), (11, 8)],
    ],
)
def test_a_broken_memory_is_noticed(ended: list[tuple[int, int]]) -> None:
    """From the future, out of order, not falling: ``check`` stops."""
    fund = a_fund()
    fund.changed(10, 20)
    fund.ended = [(10, 8), (20, 7)]
    fund.check()
    fund.ended = ended
    with pytest.raises(InvariantError, match="insurance fund"):
        fund.check()

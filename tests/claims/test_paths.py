"""Claims about paths: what a multiple, a band and Smart Leverage make of trends, chop and V shapes,
on prices drawn for it, frictionless."""

from __future__ import annotations

import math
import os
from itertools import pairwise
from statistics import median
from typing import Any

import numpy as np
import pytest

from engine.events import RedemptionRequest
from strategies import Constant, Schedule, TrendVol
from tests.claims.paths import (
    CAUTIOUS,
    FIXED,
    SMART,
    START,
    YEAR_MINUTES,
    band,
    held,
    interval,
    nav_factors,
    replayed,
    steps,
    walk,
)

PATHS = int(os.environ.get("CLAIM_PATHS", "60"))
"""Of K4 and K5; ``CLAIM_PATHS=1000`` takes a quarter of an hour."""
HOURS = 8 * 60


@pytest.mark.parametrize("target", [3.0, -3.0, 2.0])
def test_k1_over_one_interval_the_multiple(target: float) -> None:
    """K1: between two rebalances the return is the multiple of the price's; over several it is
    their product."""
    assert nav_factors([100.0, 104.0], P=Constant(target=target))["P"] == pytest.approx(
        1.0 + target * 0.04, rel=1e-6
    )
    path = [100.0, 104.0, 101.0, 103.0]
    expected = math.prod(1.0 + target * (b / a - 1.0) for a, b in pairwise(path))
    assert nav_factors(path, P=Constant(target=target))["P"] == pytest.approx(expected, rel=1e-6)


def test_k2_three_times_20_per_cent() -> None:
    """K2: 1,000 become 1,600 in one jump; in a smooth trend, rebalanced on the way, more; 2x on 5 %
    is 10 %."""
    assert nav_factors([100.0, 120.0], P=FIXED)["P"] == pytest.approx(1.6, rel=1e-6)
    smooth = [100.0 * 1.2 ** (n / 200) for n in range(201)]
    assert nav_factors(smooth, P=FIXED)["P"] == pytest.approx(1.2**3, rel=2e-3)
    assert nav_factors([100.0, 105.0], P=Constant(target=2.0))["P"] == pytest.approx(1.1, rel=1e-6)


def test_k3_after_a_rise_a_long_token_buys() -> None:
    """K3, wrong as it is told: after +5 % exposure is 3.15 on a NAV of 1.15, 2.74x, and it buys
    0.30 per 1.00 of old NAV; after -5 % it sells 0.30."""
    for move, traded in ((1.05, 0.30), (0.95, -0.30)):
        said = replayed([100.0, 100.0 * move], P=FIXED)
        _, fill = said.named("order_filled")
        worth = fill.lots * 1e-6 * fill.price / 1e6
        assert worth == pytest.approx(traded, rel=1e-5)
        assert said.named("rebalanced")[1].leverage_before == pytest.approx(
            3.0 * move / (1.0 + 3.0 * (move - 1.0))
        )


def ahead(policy: Any, *, drift: float, volatility: float, back: bool, wins: bool) -> int:
    """On how many of ``PATHS`` the fixed multiple ends above the policy (``wins``), or below it;
    ``back``: the price ends where it began."""
    hits = 0
    for seed in range(PATHS):
        log_steps = steps(seed, HOURS, volatility, drift)
        log_steps -= log_steps.mean() if back else 0.0
        made = nav_factors(walk(log_steps), FIXED=FIXED, SMART=policy)
        hits += (made["FIXED"] > made["SMART"]) is wins
    return hits


@pytest.mark.parametrize("name", SMART)
def test_k4_in_a_strong_trend_the_multiple_beats_smart_leverage(name: str) -> None:
    """K4: a rise of some 20 % in eight hours, caps at the multiple: on nearly all paths. The lower
    end of the interval is above nine in ten."""
    drift = 0.18 * YEAR_MINUTES / HOURS
    hits = ahead(SMART[name], drift=drift, volatility=0.6, back=False, wins=True)
    low, high = interval(hits, PATHS)
    print(f"K4 {name}: {hits} of {PATHS}, {low:.1%} to {high:.1%}")
    assert low > 0.9


@pytest.mark.parametrize("name", SMART)
def test_k5_in_chop_smart_leverage_cushions(name: str) -> None:
    """K5: eight hours at a volatility of 300 % that end where they began: on more than two paths in
    three the policy loses less than the multiple does."""
    hits = ahead(SMART[name], drift=0.0, volatility=3.0, back=True, wins=False)
    low, high = interval(hits, PATHS)
    print(f"K5 {name}: {hits} of {PATHS}, {low:.1%} to {high:.1%}")
    assert low > 2.0 / 3.0


def test_k5_and_for_whom_it_does_not() -> None:
    """K5: a policy that looks at what was lost sells low and buys high: on the same paths it loses
    more than the multiple, more often than not."""
    hits = ahead(CAUTIOUS, drift=0.0, volatility=3.0, back=True, wins=False)
    low, high = interval(hits, PATHS)
    print(f"K5 drawdown_control: {hits} of {PATHS}, {low:.1%} to {high:.1%}")
    assert high < 0.5


def test_k5_and_where_it_does_not() -> None:
    """K5: a whipsaw of its trend signal, an hour up and twenty minutes down again and again: Smart
    Leverage is largest at the turns, and loses more than 1.5x that is kept all the way."""
    up, down = [0.0012] * 60, [-0.0036] * 20
    prices = walk(np.array((up + down) * 8))
    smart = TrendVol(low=0.5, base=1.5, high=3.0, review_s=60.0, step=0.1, target_vol=10.0)
    made = nav_factors(prices, SMART=smart, EVEN=Constant(target=1.5))
    assert made["SMART"] < made["EVEN"]


@pytest.mark.parametrize("target", [3.0, -3.0])
def test_k6_without_a_trend_volatility_erodes(target: float) -> None:
    """K6: price back where it was, NAV is ``exp(-L (L - 1) / 2 * variance)``, from the path's own
    variance; more of it where volatility is higher."""
    lost = []
    for volatility in (1.0, 2.0, 3.0):
        log_steps = steps(7, 3 * HOURS, volatility)
        log_steps -= log_steps.mean()
        made = nav_factors(walk(log_steps), P=Constant(target=target))["P"]
        variance = float((log_steps**2).sum())
        theory = math.exp(-target * (target - 1.0) / 2.0 * variance)
        assert made == pytest.approx(theory, rel=2e-3)
        lost.append(1.0 - made)
    assert lost == sorted(lost)


def test_k7_price_back_holder_below() -> None:
    """K7: down by 10 % and back in four hours, at a volatility of 200 %: in the median, long and
    short, banded and smart, all end below where they began."""
    there = np.concatenate([np.full(120, math.log(0.9) / 120), np.full(120, -math.log(0.9) / 120)])
    made: dict[str, list[float]] = {}
    for seed in range(9):
        noise = steps(seed, 240, 2.0)
        for name, factor in nav_factors(
            walk(there + noise - noise.mean()),
            LONG=FIXED,
            SHORT=Constant(target=-3.0),
            BAND=band(3.0, 2.7, 3.3),
            SMART=SMART["vol_target"],
        ).items():
            made.setdefault(name, []).append(factor)
    assert all(median(each) < 1.0 for each in made.values()), made


def test_k8_order_matters_for_all_but_a_step_rebalanced_multiple() -> None:
    """K8: the same steps in twenty orders: one result for the multiple (to the rounding of lots),
    different ones for a band and for Smart Leverage."""
    log_steps = steps(5, 240, 2.5, 40.0)
    made: dict[str, list[float]] = {"FIXED": [], "BAND": [], "SMART": []}
    for seed in range(20):
        shuffled = np.random.default_rng(seed).permutation(log_steps)
        found = nav_factors(
            walk(shuffled), FIXED=FIXED, BAND=band(3.0, 2.4, 3.6), SMART=SMART["trend_vol"]
        )
        for name, factor in found.items():
            made[name].append(factor)
    spread = {name: max(each) / min(each) - 1.0 for name, each in made.items()}
    assert spread["FIXED"] < 1e-6
    assert spread["BAND"] > 1e-4
    assert spread["SMART"] > 1e-3


def test_k9_right_direction_and_still_below() -> None:
    """K9: the price ends 3 % higher at a volatility of 400 %: 3x long has not gained 9 %, but lost;
    what compounding took says why."""
    log_steps = steps(11, 2 * HOURS, 4.0)
    log_steps += (math.log(1.03) - log_steps.sum()) / len(log_steps)
    prices = walk(log_steps)
    variance = float((log_steps**2).sum())
    made = nav_factors(prices, P=FIXED)["P"]
    assert prices[-1] / prices[0] == pytest.approx(1.03)
    assert made < 1.0 + 3.0 * 0.03
    assert made == pytest.approx(1.03**3 * math.exp(-3.0 * variance), rel=3e-3)


def test_k10_k28_leverage_and_result_are_not_known_in_advance() -> None:
    """K10, K28: who entered at another minute met another leverage, from below 1x to above 2x; and
    where the price ends alike, Smart Leverage ends everywhere, the multiple only as variance has
    it."""
    calm, wild = steps(1, HOURS, 0.4, 60.0), steps(2, HOURS, 4.0)
    leverage = held(replayed(walk(np.concatenate([calm, wild])), P=SMART["trend_vol"]), "P")
    assert min(leverage) < 1.0
    assert max(leverage) > 2.0
    smart, fixed = [], []
    for seed in range(12):
        log_steps = np.random.default_rng(seed).permutation(np.concatenate([calm, wild]))
        found = nav_factors(walk(log_steps), F=FIXED, S=SMART["trend_vol"])
        smart.append(found["S"])
        fixed.append(found["F"])
    assert max(smart) / min(smart) - 1.0 > 100.0 * (max(fixed) / min(fixed) - 1.0)


def test_k11_k12_up_in_a_trend_down_in_noise_cut_in_a_fall() -> None:
    """K11, K12: leverage rises in a clear trend, falls in the range that follows, and a sharp fall
    cuts it to its least at once, with the reason."""
    trend, chop = [0.0004] * 180, steps(3, 180, 3.0)
    fall = [-0.04, -0.01]
    prices = walk(np.concatenate([trend, chop, fall]))
    policy = TrendVol(low=0.5, base=1.5, high=3.0, review_s=60.0, step=0.1, target_vol=1.2)
    said = replayed(prices, P=policy)
    at = [(e.ts_ns, e.target) for e in said.named("rebalanced", "deleveraged")]
    first = said.events[0].ts_ns
    minutes = [((ts_ns - first) / 6e10, target) for ts_ns, target in at]
    in_trend = max(target for minute, target in minutes if minute <= 180)
    in_chop = [target for minute, target in minutes if 240 < minute <= 360]
    assert in_trend > 2.5
    assert median(in_chop or [minutes[-1][1]]) < 1.5
    (cut, *_) = said.named("deleveraged")
    assert cut.target == 0.5
    assert cut.reason.startswith("fast move")
    assert (cut.ts_ns - first) / 6e10 > 360


@pytest.mark.parametrize("target", [3.0, -3.0])
def test_k20_k21_the_longer_held_the_further_from_the_multiple(target: float) -> None:
    """K20, K21: how far NAV is from the multiple of the price's return, in the median over paths,
    grows with the time it is held."""
    apart = []
    for minutes in (10, 100, 1_000):
        gaps = []
        for seed in range(20):
            prices = walk(steps(seed, minutes, 2.0))
            made = nav_factors(prices, P=Constant(target=target))["P"]
            gaps.append(abs(made - 1.0 - target * (prices[-1] / prices[0] - 1.0)))
        apart.append(median(gaps))
    assert apart[0] * 5.0 < apart[1]
    assert apart[1] * 5.0 < apart[2]


def test_k22_a_stop_loss_on_nav() -> None:
    """K22: who sells at 0.8 of NAV gets no less than a step below it where the price falls by steps
    of 0.1 %, and 0.39 where it falls by a fifth at once. Catches a sale at the level itself."""
    stop = RedemptionRequest(
        ts_ns=START, id="s", user="ann", product="P", units=1_000.0, at_or_below=0.8
    )
    slow = [100.0 * 0.999**n for n in range(120)]
    for prices, least, most in ((slow, 0.797, 0.8), ([100.0, 99.0, 79.2, 99.0], 0.38, 0.40)):
        (dealt,) = replayed(prices, stop, P=FIXED).named("level_dealt")
        assert least < dealt.price_per_unit <= most
    waits = replayed([100.0, 94.0, 100.0], stop, P=FIXED)
    assert waits.named("request_queued")
    assert not waits.named("level_reached")


def test_k23_long_and_short_together_are_not_neutral() -> None:
    """K23: half in 3L and half in 3S loses where the price ends where it was, and gains where it
    runs away."""
    log_steps = steps(9, 2 * HOURS, 2.5)
    back = nav_factors(walk(log_steps - log_steps.mean()), L=FIXED, S=Constant(target=-3.0))
    assert (back["L"] + back["S"]) / 2.0 < 0.97
    away = nav_factors(walk(np.full(400, 0.0006)), L=FIXED, S=Constant(target=-3.0))
    assert (away["L"] + away["S"]) / 2.0 > 1.05


def test_k27_leverage_is_kept_at_rebalances_alone() -> None:
    """K27: a token that is rebalanced every four hours is anywhere between 2.5x and 3.5x before, by
    ``L x / (1 + L (x - 1))``."""
    prices = walk(steps(21, 3 * HOURS, 2.0))
    said = replayed(prices, P=Schedule(target=3.0, every_s=4.0 * 3_600.0))
    before = [e.leverage_before for e in said.named("rebalanced") if not e.opening]
    after = [e.leverage_after for e in said.named("rebalanced")]
    assert after == pytest.approx([3.0] * len(after), rel=1e-6)
    assert max(before) - min(before) > 0.2
    moved = prices[240] / prices[0]
    assert before[0] == pytest.approx(3.0 * moved / (1.0 + 3.0 * (moved - 1.0)), rel=1e-6)


def test_k29_small_positions_in_clear_trends() -> None:
    """K29: of a wallet put into 3x a quarter or all of it, the worst drawdown is the smaller for
    the smaller part; and it is the smaller, the clearer the trend."""
    drawdowns = []
    for drift in (0.0, 100.0, 300.0):
        nav = replayed(walk(steps(4, HOURS, 1.5, drift)), P=FIXED).nav["nav_per_unit"]
        for part in (1.0, 0.25):
            wallet = 1.0 - part + part * nav
            drawdowns.append(float((wallet / np.maximum.accumulate(wallet) - 1.0).min()))
    whole, quarter = drawdowns[0::2], drawdowns[1::2]
    assert all(less > more for less, more in zip(quarter, whole, strict=True))
    assert whole == sorted(whole)

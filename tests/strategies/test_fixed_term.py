"""Tests of ``strategies.fixed_term`` and ``strategies.term_value``."""

from __future__ import annotations

import math
from statistics import NormalDist, pstdev
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.events import CreationRequest, RedemptionRequest
from engine.ticks import Kind
from engine.units import SECOND_NS
from engine.venue.book import BookSpec
from engine.venue.funding import FundingSpec
from strategies import FixedTerm
from strategies.term_value import Claim, fair_breakeven, mean_variance, worth
from tests.builders import T0, Run, a_contract, a_market, a_product, a_row, a_spec, a_tape, run
from tests.properties.agreement import agree

QUOTE = 10**6
DAY_S = 86_400
PUBLISHED = {
    (1, 10): (1.000003, 0.999989),
    (1, 50): (1.006946, 0.992682),
    (1, 100): (1.015304, 0.984445),
    (1, 200): (1.024986, 0.975092),
    (3, 10): (1.000531, 0.999042),
    (3, 50): (1.023040, 0.976079),
    (3, 100): (1.039696, 0.960281),
    (3, 200): (1.057259, 0.944171),
    (7, 10): (1.004280, 0.993691),
    (7, 50): (1.050244, 0.948753),
    (7, 100): (1.077282, 0.924579),
    (7, 200): (1.104821, 0.901188),
}
"""Breakeven over price, long and short, by days and leverage: ``products.md`` 1.1, at 60 %."""


@pytest.mark.parametrize(("days", "leverage"), PUBLISHED)
def test_breakevens_are_those_of_the_table(days: int, leverage: int) -> None:
    """Without a fee and without averaging. Catches a strike on the wrong side, and time in the
    wrong unit."""
    variance = mean_variance(0.6, days * DAY_S, 1)
    for side, published in zip((1, -1), PUBLISHED[days, leverage], strict=True):
        fair = fair_breakeven(side, float(leverage), 1.0, variance, 0.0)
        assert fair == pytest.approx(published, abs=1e-6)


@given(
    leverage=st.floats(1.5, 200.0),
    breakeven=st.floats(50.0, 200.0),
    price=st.floats(50.0, 200.0),
    variance=st.floats(1e-6, 1.0),
)
def test_calls_less_puts_are_a_forward(
    leverage: float, breakeven: float, price: float, variance: float
) -> None:
    """A long claim less a short one with the same strike and count is worth ``S - K`` apiece, and
    their deltas differ by one. Catches a put that is valued on its own."""
    call = Claim(1, leverage, breakeven)
    # The short claim with this strike: K = B' (1 + 1 / V'), and V' / B' as many puts as calls.
    count = leverage / breakeven
    other = call.strike - 1.0 / count
    if other <= 0.0:
        return
    put = Claim(-1, count * other, other)
    assert put.strike == pytest.approx(call.strike)
    (long, up), (short, down) = worth(call, price, variance), worth(put, price, variance)
    assert long - short == pytest.approx(count * (price - call.strike), rel=1e-9, abs=1e-9)
    assert up - down == pytest.approx(count, rel=1e-9)


def test_the_value_is_the_mean_of_the_payoff() -> None:
    """By a sum over the law itself, a tenth of it known. Catches a wrong drift of the logarithm,
    and a strike that does not move with what is known."""
    claim, price, variance = Claim(1, 20.0, 102.0), 100.0, 0.0025
    quantiles = (np.arange(200_000) + 0.5) / 200_000
    normal = np.array([NormalDist().inv_cdf(q) for q in quantiles[::20]])
    rest = price * np.exp(-variance / 2.0 + math.sqrt(variance) * normal)
    pays = [claim.payoff(float(9.5 + 0.9 * each)) for each in rest]
    value, _ = worth(claim, price, variance, known=9.5, open_share=0.9)
    assert value == pytest.approx(np.mean(pays), rel=2e-3)


def test_the_mean_of_a_window_has_a_third_of_its_variance() -> None:
    """Against the double sum over the covariances ``min(s, t)`` of a Brownian motion. Catches a
    window that counts whole."""
    times = 40.0 + np.arange(90)
    plain = np.minimum.outer(times, times).mean() / (365.0 * DAY_S)
    assert mean_variance(1.0, 40.0, 90) == pytest.approx(plain, rel=1e-12)


# Through the engine ---------------------------------------------------------------------------


def term_run(rows: list[Any], *policies: FixedTerm, half_spread: float = 0.0, **fields: Any) -> Run:
    market = a_market(
        contract=a_contract(taker_fee=0.0, lot_size=1e-8),
        book=BookSpec(model="flat", half_spread_bps=half_spread),
        funding=FundingSpec(recorded=False),
    )
    products = [
        (a_product(f"T{number}", nav="quoted", **fields), (policy,))
        for number, policy in enumerate(policies)
    ]
    return run(a_spec(*products, markets=(market,), users=("alice",)), a_tape(rows))


def settled(said: Run) -> Any:
    (event,) = said.named("term_settled")
    return event


def test_it_settles_at_the_mean_of_the_last_window() -> None:
    """Prices that differ each second: the mean of the last 60 is met to the last digits, and one
    sample more, less or a second later is another number. The hedge is gone with the settlement,
    and a unit stays what it paid."""
    prices = [100.0 + math.sin(second) + second / 100.0 for second in range(303)]
    policy = FixedTerm(leverage=20.0, breakeven=102.0, term_s=300.0, settle_over_s=60)
    said = term_run(prices, policy)
    # An alarm sees the market as of the last tick up to its instant, that of the instant among
    # them: the ticks at T0 + 241 ... T0 + 300.
    expected = Claim(1, 20.0, 102.0).payoff(math.fsum(prices[241:301]) / 60)
    assert settled(said).nav_per_unit == pytest.approx(expected, rel=1e-12)
    assert settled(said).ts_ns == T0 + 300 * SECOND_NS
    assert said.nav["nav_atoms"][-1] == math.floor(expected * 10**12 + 0.5)
    assert said.engine.handlers[0].account.book.lots == 0
    (closed,) = said.named("product_closed")
    assert closed.reason == "settled"


def test_nothing_liquidates_it_and_it_may_come_back() -> None:
    """Down by 30 % a 50x claim is worth nothing at all, and pays 1.5 when the price is back.
    Catches a ruin test that closes what cannot be ruined."""
    prices = [100.0, *[70.0] * 100, *[101.0] * 102]
    policy = FixedTerm(leverage=50.0, breakeven=100.0, term_s=200.0, settle_over_s=20, review_s=5.0)
    said = term_run(prices, policy)
    assert min(said.nav["nav_atoms"]) == 0
    assert settled(said).nav_per_unit == pytest.approx(1.5, rel=1e-12)


def test_units_are_redeemed_at_their_quote_and_none_are_made() -> None:
    """Alice has 100 of a claim whose fair value is 0.99 after the fee; she gets 99. Others would
    have entered at another breakeven. Catches a redemption at what was paid in."""
    asks = [
        RedemptionRequest(ts_ns=T0 + SECOND_NS, id="out", user="alice", product="T0", units=100.0),
        CreationRequest(ts_ns=T0 + SECOND_NS, id="in", user="alice", product="T0", quote=100.0),
    ]
    policy = FixedTerm(leverage=10.0, fee=0.01, term_s=3600.0, volatility=0.3, review_s=1e6)
    holding = ((0, 100 * QUOTE),)
    said = term_run([100.0, *asks, 100.0, 100.0], policy, holdings=holding)
    (redeemed,) = said.named("units_redeemed")
    assert redeemed.quote_atoms == pytest.approx(99 * QUOTE, abs=2)
    (refused,) = said.named("creation_refused")
    assert refused.reason == "not_offered"


def test_the_issuers_error_shrinks_with_the_root_of_the_reviews() -> None:
    """On drawn days at the quoted volatility the error of a hedge reviewed n times has a standard
    deviation of ``sqrt(pi / 4) vega sigma / sqrt(n)``; with four times the reviews it halves. Its
    mean is the fee. Catches a delta of the wrong size or sign, and a hedge that is not moved."""
    often, fee, days = 300.0, 0.002, 36
    policies = [
        FixedTerm(leverage=40.0, fee=fee, term_s=DAY_S - 1.0, settle_over_s=0, review_s=every)
        for every in (often, 4 * often)
    ]
    errors: list[list[float]] = [[], []]
    random = np.random.default_rng(7)
    step_s = 60
    for _ in range(days):
        moves = random.standard_normal(DAY_S // step_s) * 0.6 * math.sqrt(step_s / 365 / DAY_S)
        path = 100.0 * np.exp(np.concatenate([[0.0], np.cumsum(moves)]))
        rows = [
            a_row(Kind.MARK, T0 + n * step_s * SECOND_NS, float(price))
            for n, price in enumerate(path)
        ]
        said = term_run(rows, *policies)
        for number, errors_of in enumerate(errors):
            book = said.named("surplus_taken", "deficit_paid")
            own = [event for event in book if event.product == f"T{number}"]
            gain = sum(getattr(e, "atoms", 0) - getattr(e, "paid_atoms", 0) for e in own)
            errors_of.append(gain / 10**12)
    variance = mean_variance(0.6, DAY_S, 1)
    claim = Claim(1, 40.0, fair_breakeven(1, 40.0, 100.0, variance, fee))
    near = math.log(100.0 / claim.strike) / math.sqrt(variance) + math.sqrt(variance) / 2.0
    vega = 40.0 / claim.breakeven * 100.0 * math.sqrt(variance) * NormalDist().pdf(near)
    for errors_of, every in zip(errors, (often, 4 * often), strict=True):
        theory = math.sqrt(math.pi / 4.0) * vega / math.sqrt(DAY_S / every)
        assert pstdev(errors_of) == pytest.approx(theory, rel=0.35)
        assert np.mean(errors_of) == pytest.approx(fee, abs=3.0 * theory / math.sqrt(days))
    assert pstdev(errors[1]) / pstdev(errors[0]) == pytest.approx(2.0, rel=0.3)


def test_the_slow_engine_says_the_same_with_latency_and_costs() -> None:
    """Orders that are under way while samples are due. Catches samples that wait for a fill."""
    random = np.random.default_rng(3)
    path = 100.0 * np.exp(np.cumsum(random.standard_normal(400) * 0.002))
    long = FixedTerm(leverage=30.0, term_s=350.0, settle_over_s=50, review_s=7.0, volatility=3.0)
    short = FixedTerm(side="short", leverage=60.0, term_s=300.0, review_s=20.0, settle_over_s=10)
    products = [
        (a_product("L", nav="quoted", latency_ns=3 * SECOND_NS), (long,)),
        (a_product("S", nav="quoted", latency_ns=SECOND_NS // 4), (short,)),
    ]
    spec = a_spec(*products, markets=(a_market(),), users=("alice",))
    said = agree(spec, a_tape([float(price) for price in path]), range(400))
    assert {event.product for event in said.named("term_settled")} == {"L", "S"}
    assert len(said.named("rebalanced")) > 20


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"side": "up"}, 'side must be "long" or "short"'),
        ({"leverage": 0.5}, "leverage must be from 1 to 200"),
        ({"leverage": 201.0}, "leverage must be from 1 to 200"),
        ({"term_s": 60.0}, "settle_over_s <= term_s"),
        ({"volatility": 0.0}, "volatility must be above 0"),
        ({"volatility": math.nan}, "volatility must be above 0"),
        ({"fee": 1.0}, "fee must be from 0"),
        ({"breakeven": math.inf}, "breakeven must be"),
        ({"review_s": 0.0}, "review_s must be"),
    ],
)
def test_what_no_claim_can_have_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FixedTerm(**fields)

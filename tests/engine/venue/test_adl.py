"""Tests of ``engine.venue.ranking``, ``adl`` and ``sharing``: scores, queues, shares, by hand."""

from __future__ import annotations

from fractions import Fraction
from math import inf, isclose, nan
from random import Random
from typing import Any

import numpy as np
import pytest

from engine.errors import InputError
from engine.philox import below
from engine.venue import sharing
from engine.venue.adl import Taken, adl_price, overlaps, seized, taken_from, walked
from engine.venue.ranking import (
    Candidates,
    leverage,
    order,
    quantile,
    risk_weights,
    scores,
    unrealised,
)
from engine.venue.rules import AdlRules, Ranking
from tests.engine.venue.closed_forms import socialised_share

RANKED: tuple[Ranking, ...] = ("bitmex", "binance", "okx", "bybit", "gate", "hyperliquid")


def a_crowd(*accounts: dict[str, float], mark: float = 100.0, **more: Any) -> Candidates:
    """Candidates of ``size`` (signed), ``entry`` and ``wallet``; the rest follows, or is given."""

    def column(name: str, otherwise: Any) -> Any:
        return np.array([each.get(name, otherwise(each)) for each in accounts], np.float64)

    def equity(each: dict[str, float]) -> float:
        return each["wallet"] + each["size"] * (mark - each["entry"])

    return Candidates(
        account=np.arange(len(accounts)),
        lots=np.array([each["size"] for each in accounts], np.int64),
        entry=column("entry", lambda _: 100.0),
        mark=mark,
        notional=column("notional", lambda each: abs(each["size"]) * mark),
        wallet=column("wallet", lambda _: 0.0),
        equity=column("equity", equity),
        maintenance=column("maintenance", lambda each: abs(each["size"]) * mark * 0.01),
        leverage=column("leverage", lambda _: 0.0),
        **more,
    )


WINNER = {"size": 10, "entry": 80.0, "wallet": 300.0}  # +200, equity 500, leverage 2
LOSER = {"size": 10, "entry": 125.0, "wallet": 450.0}  # -250, equity 200, leverage 5
FLAT = {"size": -5, "entry": 100.0, "wallet": 250.0}  # 0, leverage 2
SHORT = {"size": -10, "entry": 125.0, "wallet": 150.0}  # +250, equity 400, leverage 2.5
BANKRUPT = {"size": 10, "entry": 125.0, "wallet": 200.0}  # -250, equity -50
CROWD = a_crowd(WINNER, LOSER, FLAT, SHORT, BANKRUPT)


def test_profit_is_a_share_of_the_entry() -> None:
    """Bought at 80 and worth 100: +25 %; bought at 125: -20 %; sold at 125: +20 %."""
    assert unrealised(CROWD).tolist() == pytest.approx([0.25, -0.2, 0.0, 0.2, -0.2])
    assert leverage(CROWD).tolist() == [2.0, 5.0, 2.0, 2.5, inf]


def test_inverse_profit_is_a_share_of_the_coins() -> None:
    """A long from 80 at 100 gains ``1 - 80 / 100`` of the coins its entry was worth, a short from
    125 gains a quarter. Catches the linear share on an inverse contract."""
    crowd = a_crowd(WINNER, SHORT, inverse=True)
    assert unrealised(crowd).tolist() == pytest.approx([0.2, 0.25])


@pytest.mark.parametrize(
    ("ranking", "expected"),
    [
        ("bitmex", [0.5, -0.04, 0.0, 0.5, -inf]),
        ("bybit", [0.5, -0.04, 0.0, 0.5, -inf]),
        ("binance", [200 / 300 * 10 / 500, 0.0, 0.0, 250 / 150 * 10 / 400, 0.0]),
        ("okx", [0.25 / 50, -0.2 * 20, 0.0, 0.2 / 40, -inf]),
        ("gate", [0.5, -1.0, 0.0, 0.5, -inf]),
        ("hyperliquid", [1.25 * 2, 0.8 * 5, 2.0, 1.25 * 2.5, -inf]),
        ("risk_aware", [2.0, 5.0, 2.0, 2.5, -inf]),
    ],
)
def test_scores_are_the_published_formulas(ranking: Ranking, expected: list[float]) -> None:
    """A winner, a loser, a flat one, a short and a bankrupt one under each formula, by hand."""
    assert scores(ranking, CROWD).tolist() == pytest.approx(expected)


def test_a_wallet_below_one_counts_as_one() -> None:
    """Binance divides by ``max(1, WB)``: a wallet of 0.5, of 0 or of -40 is 1."""
    thin = [{"size": 10, "entry": 80.0, "wallet": wallet} for wallet in (2.0, 1.0, 0.5, 0.0, -40.0)]
    expected = [200 / max(1.0, w) * 10 / (200 + w) for w in (2.0, 1.0, 0.5, 0.0, -40.0)]
    assert scores("binance", a_crowd(*thin)).tolist() == pytest.approx(expected)


def test_gate_takes_the_leverage_that_was_chosen() -> None:
    """20x chosen on an account of 2 effective: 25 % times 20."""
    assert scores("gate", a_crowd({**WINNER, "leverage": 20.0})).tolist() == [5.0]


def test_okx_without_maintenance_asks_nothing_of_a_profit() -> None:
    """No maintenance is a margin ratio without end: profits score next to nothing, losses come
    last, flat is 0."""
    free = [{**each, "maintenance": 0.0} for each in (WINNER, LOSER, FLAT)]
    found = scores("okx", a_crowd(*free)).tolist()
    assert 0.0 < found[0] < 1e-11
    assert found[1] < -1e9
    assert found[2] == 0.0


def test_a_position_of_one_lot_and_a_leverage_below_one_count() -> None:
    """One lot long gains with the mark; a chosen leverage of a half is taken; equity and
    maintenance below one are something."""
    one = {"size": 1, "entry": 80.0, "wallet": 30.0}
    assert scores("hyperliquid", a_crowd(one)).tolist() == [1.25 * 100 / 50]
    assert scores("gate", a_crowd({**one, "leverage": 0.5})).tolist() == [0.125]
    thin = {"size": 1, "entry": 80.0, "wallet": -19.5, "maintenance": 0.25}
    assert scores("bitmex", a_crowd(thin)).tolist() == [0.25 * 200]
    assert scores("okx", a_crowd(thin)).tolist() == [0.25 / 2]
    assert leverage(a_crowd(thin)).tolist() == [200.0]
    assert leverage(a_crowd({**thin, "equity": 0.0})).tolist() == [inf]
    small = a_crowd({"size": 1, "entry": 0.5, "wallet": 0.1, "notional": 0.75}, mark=0.75)
    assert scores("risk_aware", small).tolist() == pytest.approx([0.75 / 0.35])


@pytest.mark.parametrize("ranking", RANKED)
def test_an_account_without_equity_comes_last(ranking: Ranking) -> None:
    """Zero or negative equity: behind every winner, whatever its leverage looks like."""
    broke = [{**WINNER, "equity": 0.0}, {**WINNER, "equity": -1.0}, WINNER]
    crowd = a_crowd(*broke)
    assert order(ranking, crowd).tolist() == [2, 0, 1]
    assert np.isfinite(scores(ranking, crowd)[2])


@pytest.mark.parametrize("ranking", RANKED)
def test_ties_are_broken_by_place(ranking: Ranking) -> None:
    """Alike accounts stay in their order; the better one goes before them."""
    better = {**WINNER, "entry": 70.0, "wallet": 200.0}
    assert order(ranking, a_crowd(WINNER, WINNER, better, WINNER)).tolist() == [2, 0, 1, 3]


@pytest.mark.parametrize(
    "wrong",
    [
        {"entry": nan},
        {"entry": 0.0},
        {"wallet": inf},
        {"equity": nan},
        {"notional": -1.0},
        {"notional": 0.0},
        {"maintenance": -1.0},
        {"maintenance": nan},
        {"leverage": nan},
    ],
)
def test_candidates_that_cannot_be_ranked_are_refused(wrong: dict[str, float]) -> None:
    """NaN, infinities and negative margins are an error, never a rank."""
    with pytest.raises(InputError, match="ADL candidates"):
        a_crowd(FLAT, {**WINNER, **wrong})


@pytest.mark.parametrize("mark", [0.0, -1.0, nan, inf])
def test_a_mark_that_is_no_price_is_refused(mark: float) -> None:
    """Also for nobody at all."""
    with pytest.raises(InputError, match="mark"):
        a_crowd(mark=mark)
    with pytest.raises(InputError, match="one an account"):
        Candidates(
            account=np.arange(1),
            lots=np.ones(1, np.int64),
            mark=100.0,
            **dict.fromkeys(("entry", "notional", "wallet", "equity"), np.ones(1)),
            maintenance=np.ones(1),
            leverage=np.ones(2),
        )


def test_risk_falls_on_leverage_in_fine_parts() -> None:
    """2x, 5x, 2x, 2.5x and nothing on who has no equity, in parts of 2**-40, so that a third is
    right to twelve digits. Catches weights so coarse that lots would be shared otherwise."""
    assert risk_weights(CROWD) == [2 << 40, 5 << 40, 2 << 40, 5 << 39, 0]
    third = {"size": 1, "entry": 100.0, "wallet": 300.0}
    assert risk_weights(a_crowd(third)) == [2**40 // 3]


def test_a_sharing_rule_has_no_scores() -> None:
    """``dydx``, ``drift`` and ``pro_rata`` rank nobody: the order is the list's."""
    for ranking in ("dydx", "drift", "pro_rata"):
        with pytest.raises(ValueError, match="no scores"):
            scores(ranking, CROWD)
    assert order("drift", CROWD).tolist() == [0, 1, 2, 3, 4]
    assert order("pro_rata", CROWD).tolist() == [0, 1, 2, 3, 4]


def test_a_walk_starts_where_its_place_in_the_stream_says() -> None:
    """A rotation of the list, the same for the same key, another for another sequence or path."""
    walks = {
        (path, sequence): tuple(order("dydx", CROWD, seed=3, path=path, sequence=sequence))
        for path in range(6)
        for sequence in range(6)
    }
    assert walks[2, 4] == tuple(order("dydx", CROWD, seed=3, path=2, sequence=4))
    assert {walk[0] for walk in walks.values()} == {0, 1, 2, 3, 4}
    assert all([(walk[0] + i) % 5 for i in range(5)] == list(walk) for walk in walks.values())
    assert all(walk[0] == below(5, 3, path, place) for (path, place), walk in walks.items())
    many = a_crowd(*[WINNER] * 999)
    assert order("dydx", many)[0] == below(999, 0, 0, 0)
    assert len({walks[0, sequence] for sequence in range(6)}) > 1
    assert len({walks[path, 0] for path in range(6)}) > 1
    assert order("dydx", a_crowd()).tolist() == []


def test_the_quantile_is_the_share_not_ahead() -> None:
    """First of four 1, last of four a quarter; outside the queue there is none."""
    assert [quantile(place, 4) for place in range(4)] == [1.0, 0.75, 0.5, 0.25]
    for place in (-1, 4):
        with pytest.raises(ValueError, match="queue"):
            quantile(place, 4)


# Queues -------------------------------------------------------------------------------


def test_only_the_last_fill_is_partial() -> None:
    """20 lots of 10, 20, 30: ten and ten; exactly 30 leave nothing partial; beyond all, a rest."""
    lots = [-30, 10, 20]
    assert taken_from([1, 2, 0], lots, 20) == Taken((1, 2), (10, 10), 0)
    assert taken_from([1, 2, 0], lots, 30) == Taken((1, 2), (10, 20), 0)
    assert taken_from([1, 2, 0], lots, 31) == Taken((1, 2, 0), (10, 20, 1), 0)
    assert taken_from([1, 2, 0], lots, 70) == Taken((1, 2, 0), (10, 20, 30), 10)
    assert taken_from([], lots, 7) == Taken((), (), 7)
    assert taken_from([0], lots, 0) == Taken((), (), 0)
    assert taken_from([0, 1], [0, 4], 4) == Taken((1,), (4,), 0)
    with pytest.raises(ValueError, match="negative"):
        taken_from([0], lots, -1)


def test_lots_beyond_64_bits_are_counted() -> None:
    """Python integers do not wrap: three holdings of 2**62."""
    held = np.full(3, 2**62)
    assert taken_from(np.arange(3), held.tolist(), 3 * 2**62).rest == 0


def test_a_walk_skips_who_does_not_fit_and_gives_up() -> None:
    """Skipped candidates count among those looked at; what is left stays open."""
    lots, fits = [5, 5, 5, 5], [True, False, True, True]
    assert walked([1, 2, 3, 0], lots, 8, fits) == Taken((2, 3), (5, 3), 0)
    assert walked([1, 2, 3, 0], lots, 8, fits, looked_at_max=2) == Taken((2,), (5,), 3)
    assert walked([1, 2, 3, 0], lots, 8, fits, looked_at_max=0) == Taken((), (), 8)
    assert walked([0, 1], lots, 8, [False] * 4) == Taken((), (), 8)
    with pytest.raises(ValueError, match="looked_at_max"):
        walked([0], lots, 8, fits, looked_at_max=-1)


def test_a_walk_looks_at_a_thousand() -> None:
    """The bound has a value: the thousandth is reached, the next is not."""
    lots = [0] * 999 + [1, 1]
    assert walked(range(1_001), lots, 2, [True] * 1_001) == Taken((999,), (1,), 1)


def test_bankruptcy_prices_overlap_up_to_equality() -> None:
    """A short closed at 50,000 buys: from a long that needs 50,000 or less. A long sells: to a
    short that can pay 50,000 or more."""
    assert overlaps(-1, 50_000.0, 50_000.0)
    assert overlaps(-1, 50_000.0, 49_999.0)
    assert not overlaps(-1, 50_000.0, 50_001.0)
    assert overlaps(1, 50_000.0, 50_000.0)
    assert overlaps(1, 50_000.0, 50_001.0)
    assert not overlaps(1, 50_000.0, 49_999.0)


def test_money_is_seized_in_order() -> None:
    """7.5 of 8, 4, 0.5 in the order 2, 1, 3: the second gives all, the first the rest."""
    assert seized([1, 0, 2], [8.0, 4.0, 0.5], 7.5) == [3.5, 4.0, 0.0]
    assert seized([1, 0, 2], [8.0, 4.0, 0.5], 4.0) == [0.0, 4.0, 0.0]
    assert seized([1, 0, 2], [8.0, 4.0, 0.5], 20.0) == [8.0, 4.0, 0.5]
    assert seized([0], [8.0], 0.0) == [0.0]
    assert seized([1], [8.0, 4.0], 6.0) == [0.0, 4.0]
    with pytest.raises(ValueError, match="budget"):
        seized([0], [8.0], -1.0)


@pytest.mark.parametrize(
    ("rules", "bankruptcy", "expected"),
    [
        (AdlRules(price="mark"), 90.0, 100.0),
        (AdlRules(price="previous_mark"), 90.0, 101.0),
        (AdlRules(price="bankruptcy"), 90.0, 90.0),
        (AdlRules(price="bankruptcy", mark_beyond=0.05), 95.0, 95.0),
        (AdlRules(price="bankruptcy", mark_beyond=0.05), 94.9, 100.0),
        (AdlRules(price="bankruptcy", mark_beyond=0.05), 105.0, 105.0),
        (AdlRules(price="bankruptcy", mark_beyond=0.05), 105.1, 100.0),
    ],
)
def test_the_price_basis(rules: AdlRules, bankruptcy: float, expected: float) -> None:
    """Bankruptcy price, mark or the mark before; Bybit's exception beyond 5 %, not at it."""
    assert adl_price(rules, bankruptcy, 100.0, 101.0) == expected
    if rules.price == "previous_mark":
        assert adl_price(rules, bankruptcy, 100.0, None) == 100.0


# Sharing ------------------------------------------------------------------------------


def test_pro_rata_is_one_share_for_all() -> None:
    """7.5 of 12.5 is 60 % of each; more than all is all."""
    endowments = np.array([8.0, 4.0, 0.5])
    cut = sharing.pro_rata(endowments, 7.5)
    assert cut.share.tolist() == pytest.approx([0.6] * 3)
    assert (cut.raised, cut.capacity, cut.feasible) == (pytest.approx(7.5), 12.5, True)
    short = sharing.pro_rata(endowments, 13.0)
    assert short.share.tolist() == [1.0] * 3
    assert (short.raised, short.feasible) == (12.5, False)
    assert sharing.pro_rata(endowments, 12.5).feasible
    assert sharing.pro_rata(np.zeros(0), 0.0).raised == 0.0
    assert not sharing.pro_rata(np.zeros(2), 1.0).feasible
    assert sharing.pro_rata(np.zeros(2), 0.0).share.tolist() == [0.0, 0.0]


def test_weights_raise_the_haircuts_of_the_risky() -> None:
    """Leverage 1, 2, 4 on 10 each and a budget of 7: level 0.1, so 10, 20 and 40 %; a cap of 25 %
    on the last leaves 4.5 for the others, level 0.15; no weight, nothing taken."""
    equity, weights = np.full(3, 10.0), np.array([1.0, 2.0, 4.0])
    cut = sharing.capped(equity, np.ones(3), 7.0, weights)
    assert cut.share.tolist() == pytest.approx([0.1, 0.2, 0.4])
    cut = sharing.capped(equity, np.array([1.0, 1.0, 0.25]), 7.0, weights)
    assert cut.share.tolist() == pytest.approx([0.15, 0.3, 0.25])
    cut = sharing.capped(equity, np.ones(3), 7.0, np.array([0.0, 1.0, 1.0]))
    assert cut.share.tolist() == pytest.approx([0.0, 0.35, 0.35])
    assert cut.capacity == 20.0


@pytest.mark.parametrize("seed", range(30))
def test_water_filling_raises_the_budget_with_level_shares(seed: int) -> None:
    """Whatever the caps: the budget is met, no cap is passed, and those below their cap have one
    level. Against bisection on the definition."""
    random = Random(seed)
    count = random.randint(1, 30)
    equity = np.array([random.choice([0.0, random.uniform(0.0, 9.0)]) for _ in range(count)])
    caps = np.array([random.choice([0.0, 0.2, 1.0, random.random()]) for _ in range(count)])
    weights = np.array([random.choice([0.0, 1.0, random.uniform(0.1, 5.0)]) for _ in range(count)])
    capacity = sum(e * c for e, c, w in zip(equity, caps, weights, strict=True) if w > 0.0)
    budget = capacity * random.choice([0.0, 0.3, 0.9, 1.0, 1.2]) + (seed % 7 == 0)
    cut = sharing.capped(equity, caps, budget, weights)
    assert cut.capacity == pytest.approx(capacity)
    if budget > cut.capacity:
        assert not cut.feasible
        assert cut.raised == cut.capacity
        return
    low, high = 0.0, 1e6
    for _ in range(200):
        level = (low + high) / 2.0
        if sum(equity * np.minimum(caps, level * weights)) < budget:
            low = level
        else:
            high = level
    assert cut.feasible
    assert cut.raised == pytest.approx(budget, abs=1e-9)
    assert (cut.share <= caps).all()
    assert cut.share * equity == pytest.approx(equity * np.minimum(caps, high * weights), abs=1e-7)


@pytest.mark.parametrize(
    ("endowments", "caps", "weights", "budget"),
    [
        ([nan], [1.0], [1.0], 1.0),
        ([-1.0], [1.0], [1.0], 1.0),
        ([1.0], [1.1], [1.0], 1.0),
        ([1.0], [-0.1], [1.0], 1.0),
        ([1.0], [nan], [1.0], 1.0),
        ([1.0], [1.0], [-1.0], 1.0),
        ([1.0], [1.0], [inf], 1.0),
        ([1.0], [1.0], [1.0], -1.0),
        ([1.0], [1.0], [1.0], nan),
        ([1.0], [1.0], [1.0], inf),
        ([1.0, 1.0], [1.0], [1.0, 1.0], 1.0),
        ([1.0], [1.0], [1.0, 1.0], 1.0),
    ],
)
def test_haircuts_refuse_what_is_no_amount(
    endowments: list[float], caps: list[float], weights: list[float], budget: float
) -> None:
    """NaN, negatives, caps beyond all, lists that do not match."""
    with pytest.raises(InputError):
        sharing.capped(np.array(endowments), np.array(caps), budget, np.array(weights))


def test_whole_lots_are_shared_by_largest_remainder() -> None:
    """10 of 3, 3, 8: 2.14, 2.14, 5.71 make 2, 2, 6; rounded down 2, 2, 5. Ties go by place."""
    assert sharing.integer_shares([3, 3, 8], 10) == [2, 2, 6]
    assert sharing.floor_shares([3, 3, 8], 10) == [2, 2, 5]
    assert sharing.integer_shares([1, 1, 1], 2) == [1, 1, 0]
    assert sharing.integer_shares([0, 0], 0) == [0, 0]
    assert sharing.integer_shares([], 0) == []
    assert sharing.integer_shares([5, 2], 7) == [5, 2]


@pytest.mark.parametrize("seed", range(40))
def test_integer_shares_are_fair_and_complete(seed: int) -> None:
    """They add up, stay within one lot of the exact share and within each holding, and no smaller
    remainder is rounded up before a larger one."""
    random = Random(seed)
    held = [random.choice([0, 1, random.randint(1, 10**20)]) for _ in range(random.randint(1, 20))]
    needed = random.randint(0, sum(held))
    shares = sharing.integer_shares(held, needed)
    assert sum(shares) == needed
    exact = [Fraction(h * needed, sum(held) or 1) for h in held]
    assert all(s <= h and abs(s - e) < 1 for s, h, e in zip(shares, held, exact, strict=True))
    up = [e % 1 for s, e in zip(shares, exact, strict=True) if s > e]
    down = [e % 1 for s, e in zip(shares, exact, strict=True) if s <= e]
    assert not up or not down or min(up) >= max(down)


def test_a_weighted_share_rises_with_the_weight_up_to_all_that_is_held() -> None:
    """10 of 10 and 10 at weights 4 and 1: 8 and 2. Of 15 at 10 and 1 the first gives all; on whom
    no weight falls gives last, and where on nobody all give alike."""
    assert sharing.weighted_shares([10, 10], [4, 1], 10) == [8, 2]
    assert sharing.weighted_shares([10, 10], [10, 1], 15) == [10, 5]
    assert sharing.weighted_shares([10, 10, 5], [0, 2, 0], 16) == [4, 10, 2]
    assert sharing.weighted_shares([3, 3], [0, 0], 4) == [2, 2]
    assert sharing.weighted_shares([], [], 0) == []


@pytest.mark.parametrize("seed", range(40))
def test_weighted_shares_are_at_one_level(seed: int) -> None:
    """Whole lots within one of ``min(1, level * weight)`` of each holding, at the level that raises
    the sum, found by halving."""
    random = Random(seed)
    count = random.randint(1, 12)
    held = [random.choice([0, 1, random.randint(1, 10**15)]) for _ in range(count)]
    weights = [random.choice([1, 2, random.randint(1, 10**12)]) for _ in range(count)]
    needed = random.randint(0, sum(held))
    shares = sharing.weighted_shares(held, weights, needed)
    assert sum(shares) == needed
    low, high = Fraction(0), Fraction(1)
    for _ in range(160):
        level = (low + high) / 2
        raised = sum(h * min(1, level * w) for h, w in zip(held, weights, strict=True))
        low, high = (level, high) if raised < needed else (low, level)
    for share, lots, weight in zip(shares, held, weights, strict=True):
        assert 0 <= share <= lots
        assert abs(share - lots * min(1, high * weight)) < Fraction(1_000_001, 1_000_000)


def test_shares_refuse_what_cannot_be_shared() -> None:
    """More than there is, less than nothing, negative holdings."""
    for held, needed in (([3, 3], 7), ([3, 3], -1), ([3, -1], 1), ([], 1)):
        with pytest.raises(ValueError, match=r"shared|unsigned"):
            sharing.integer_shares(held, needed)


def test_a_socialised_loss_is_covered_by_both_sides() -> None:
    """100 over 11 units is 9.090910 a unit; all of them pay 100.00001. A loss of nothing costs
    nothing; without open interest there is nobody."""
    rate = sharing.socialised_rate(100_000_000, 11_000, 1_000)
    assert rate == 9_090_910
    assert socialised_share(rate, 7_000, 1_000) == 63_636_370
    assert socialised_share(rate, -4_000, 1_000) == 36_363_640
    assert socialised_share(rate, 1, 1_000) == 9_091
    assert sharing.socialised_rate(0, 5, 1) == 0
    assert sharing.socialised_rate(7, 1, 1) == 7
    for loss, lots, unit in ((-1, 5, 1), (1, 0, 1), (1, 5, 0)):
        with pytest.raises(ValueError, match="socialise"):
            sharing.socialised_rate(loss, lots, unit)


def test_haircut_money_is_isclose() -> None:
    """Raised is what the shares take."""
    cut = sharing.capped(np.array([10.0, 5.0, 1.0]), np.array([0.2, 1.0, 1.0]), 5.0)
    assert isclose(float((cut.share * [10.0, 5.0, 1.0]).sum()), cut.raised)

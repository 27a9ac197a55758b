"""Tests of ``engine.venue.tiers``."""

from __future__ import annotations

import json
import math
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import ConfigError
from engine.venue.rules import MarginRules, Tier
from engine.venue.tiers import TierTable, deductions, tier_fault

USDT = 10**6
VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "venue.json").read_text())
TABLES: dict[str, list[dict[str, float]]] = next(
    group["tables"] for group in VECTORS["groups"] if group["id"] == "B1"
)
BINANCE = TABLES["binance_btcusdt_2024_10_24"]
LEVERAGE = (125, 100, 75, 50, 25, 20, 10, 5, 4, 3, 2, 1)


def tiers_of(rows: list[dict[str, Any]]) -> tuple[Tier, ...]:
    """A published table; a missing leverage allows what the rate does, at most 125."""
    return tuple(
        Tier(
            cap=math.inf if row["cap"] is None else float(row["cap"]),
            max_leverage=float(row.get("max_leverage", min(125, int(1 / row["mmr"])))),
            rate=float(row["mmr"]),
            deduction=float(row["deduction"]),
        )
        for row in rows
    )


def binance() -> TierTable:
    """BTCUSDT of 2024-10-24 in millionths."""
    rows = [{**row, "max_leverage": most} for row, most in zip(BINANCE, LEVERAGE, strict=True)]
    return TierTable(MarginRules(tiers=tiers_of(rows)), 6)


def two(**fields: Any) -> TierTable:
    """To 1,000 at 20x and 2 %, to 5,000 at 10x and 5 % (deduction 30), in whole units."""
    tiers = (
        Tier(cap=1_000.0, max_leverage=20.0, rate=0.02),
        Tier(cap=5_000.0, max_leverage=10.0, rate=0.05, deduction=30.0),
    )
    return TierTable(MarginRules(**{"tiers": tiers, **fields}), 0)


def test_five_millions_at_binance_need_38_550() -> None:
    """5,000,000 * 1 % - 11,450. Catches the rate of a neighbour, and a deduction that is added."""
    assert binance().maintenance(5_000_000 * USDT) == 38_550 * USDT


@pytest.mark.parametrize(("name", "rows"), TABLES.items())
def test_published_tables_are_taken_and_their_deductions_follow(
    name: str, rows: list[dict[str, float]]
) -> None:
    """The recursion gives every published deduction to the last unit."""
    caps = [float(row["cap"]) for row in rows]
    assert deductions(caps, [row["mmr"] for row in rows]) == [row["deduction"] for row in rows]
    assert tier_fault(tiers_of(rows)) is None, name


def test_all_recorded_brackets_keep_the_recursion(shared_reference: Path) -> None:
    """Every table of four venues that states deductions, in full."""
    venues = json.loads((shared_reference / "leverage_tiers_compact.json").read_text())["venues"]
    seen = 0
    for venue in ("binance_usdm", "bybit_linear"):
        for symbol, rows in venues[venue]["symbols"].items():
            assert tier_fault(tiers_of(rows)) is None, (venue, symbol)
            seen += len(rows)
    gate = venues["gate_usdt_live_api"]["symbols"]["BTC/USDT"]
    assert tier_fault(tiers_of(gate[:3])) is None
    missing = Tier(cap=2e6, max_leverage=110.0, rate=0.0045, deduction=1_500.0)
    whole = (*tiers_of(gate[:3]), missing, *tiers_of(gate[3:]))
    assert tier_fault(whole) is None, "the fourth tier is the one that the fifth's deduction names"
    assert seen + len(gate) == 12 + 12 + 10 + 10 + 20 + 4


def test_a_cap_belongs_to_its_own_tier() -> None:
    """At the cap the tier's own leverage holds, an atom above it the next one's."""
    table = two()
    assert [table.tier_of(n) for n in (0, 1_000, 1_001, 5_000)] == [0, 0, 1, 1]
    assert (table.max_leverage(1_000), table.max_leverage(1_001)) == (20.0, 10.0)
    assert [table.cap_below(n) for n in (1_000, 1_001, 9_999)] == [0, 1_000, 1_000]


def test_maintenance_has_no_jump_at_a_cap() -> None:
    """1,000 needs 20 by either tier; 1,020 needs 51 - 30 = 21."""
    assert [two().maintenance(n) for n in (0, 1_000, 1_020)] == [0, 20, 21]


def test_margins_round_up() -> None:
    """2 % of 1,001 is 20.05 less the deduction; 51 at 20x are 2.55. Catches rounding for the
    debtor."""
    table = two()
    assert table.maintenance(51) == 2
    assert table.maintenance(1_001) == 21
    assert table.initial(51) == 3
    assert table.initial(60) == 3


def test_beyond_the_last_cap_nothing_is_opened_and_maintenance_goes_on() -> None:
    """A position that grew to 6,000 needs 300 - 30; none of that size may be opened."""
    table = two()
    assert table.tier_of(6_000) == 1
    assert table.maintenance(6_000) == 270
    assert table.max_leverage(5_000) == 10.0
    assert table.max_leverage(5_001) == 0.0


def test_the_largest_position_at_a_leverage() -> None:
    """At 10x the second cap, above it the first, above 20x none."""
    table = two()
    sizes = [table.largest_notional(leverage) for leverage in (1.0, 10.0, 10.1, 20.0, 20.1)]
    assert sizes == [5_000, 5_000, 1_000, 1_000, 0]
    endless = TierTable(MarginRules(tiers=(Tier(cap=math.inf, max_leverage=20.0, rate=0.025),)), 6)
    assert endless.largest_notional(20.0) is None
    assert endless.largest_notional(21.0) == 0


def test_the_chosen_leverage_asks_for_more_than_the_tier_never_for_less() -> None:
    """500 at 5x need 100, at 20x 25, and at 100x still the tier's 25."""
    table = two()
    assert [table.initial(500, leverage) for leverage in (5.0, 20.0, 100.0)] == [100, 25, 25]


def test_rate_and_deduction_are_exact() -> None:
    """Decimals as they were written, the deduction in atoms."""
    table = binance()
    assert table.rate(5_000_000 * USDT) == Fraction(1, 100)
    assert table.deduction(5_000_000 * USDT) == 11_450 * USDT


def test_a_published_initial_rate_holds_in_place_of_the_rounded_leverage() -> None:
    """Gate: 0.6666 % beside 150.01x."""
    tier = Tier(cap=1e6, max_leverage=150.01, rate=0.0035, initial_rate=0.006666)
    assert TierTable(MarginRules(tiers=(tier,)), 6).initial(10**12) == 6_666 * USDT


def test_without_tiers_no_margin_is_asked_for() -> None:
    """A venue without margin liquidates nobody, and lets anything be opened."""
    for margin in (MarginRules(), MarginRules(of_initial=True)):
        table = TierTable(margin, 6)
        assert (table.maintenance(10**30), table.initial(10**30)) == (0, 0)
        assert table.max_leverage(10**30) == math.inf
        assert table.largest_notional(1_000.0) is None


def test_open_interest_raises_the_initial_margin_alone() -> None:
    """Between 100 and 300 of open interest 5 % grow to the whole: at 200 to 52.5 %. Maintenance
    stays at 2 %."""
    table = two(open_interest=(100.0, 300.0))
    asked = [table.initial(1_000, open_interest=each) for each in (0, 100, 200, 300, 900)]
    assert asked == [50, 50, 525, 1_000, 1_000]
    assert table.maintenance(1_000) == 20
    assert table.initial(1_000, 2.0, open_interest=110) == 500
    assert two(open_interest=(0.0, 10.0)).initial(1_000) == 50


D4 = next(group["vectors"] for group in VECTORS["groups"] if group["id"] == "D4")


@pytest.mark.parametrize("vector", D4, ids=[vector["id"] for vector in D4])
def test_dydx_requirements_are_met_to_the_unit(vector: dict[str, Any]) -> None:
    """Both requirements of the published cases, the open interest valued at the same price."""
    given, expected = vector["inputs"], vector["expected"]
    value = Fraction(given["price"]) * Fraction(10) ** (
        given["exponent"] + given["atomic_resolution"] + 6
    )
    initial = given["initial_margin_ppm"] / 1e6
    rate = initial * given["maintenance_fraction_ppm"] / 1e6
    caps = (given["oi_lower_cap"] / 1e6, given["oi_upper_cap"] / 1e6)
    table = TierTable(
        MarginRules(
            tiers=(Tier(cap=math.inf, max_leverage=1 / initial, rate=rate),),
            open_interest=caps if caps[1] else None,
            of_initial=True,
        ),
        6,
    )
    notional = int(given["base_quantums"] * value)
    interest = int((given["open_interest"] or 0) * value)
    assert table.initial(notional, open_interest=interest) == expected["imr"]
    assert table.maintenance(notional) == expected["mmr"]


def test_maintenance_of_a_rounded_initial_margin_rounds_twice() -> None:
    """10 % of 11 is 1.1 and becomes 2; 60 % of that is 1.2 and becomes 2, where 6 % of 11 is
    1."""
    tier = (Tier(cap=math.inf, max_leverage=10.0, rate=0.06),)
    twice = TierTable(MarginRules(tiers=tier, of_initial=True), 0)
    once = TierTable(MarginRules(tiers=tier), 0)
    assert (twice.maintenance(11), once.maintenance(11)) == (2, 1)


@pytest.mark.parametrize(
    ("second", "said"),
    [
        ({"cap": 1_000.0}, "tier 2: cap 1000 is not above 1000, that of the tier below"),
        ({"cap": 900.0}, "tier 2: cap 900 is not above 1000"),
        ({"cap": math.nan}, "tier 2: cap must be > 0, was nan"),
        ({"cap": 0.0}, "tier 2: cap must be > 0, was 0"),
        ({"cap": -5.0}, "tier 2: cap must be > 0, was -5"),
        ({"rate": 0.01}, "tier 2: rate 0.01 is below 0.02, that of the tier below"),
        ({"rate": 0.0}, "tier 2: rate must be > 0 and at most 1, was 0"),
        ({"rate": math.nan}, "tier 2: rate must be > 0 and at most 1, was nan"),
        ({"rate": 1.5}, "tier 2: rate must be > 0 and at most 1, was 1.5"),
        ({"rate": 0.11}, "tier 2: rate 0.11 is above the initial rate 0.1: what is opened"),
        (
            {"max_leverage": 21.0, "rate": 0.04},
            "tier 2: max_leverage 21 is above 20, that of the tier below",
        ),
        ({"max_leverage": 0.5}, "tier 2: max_leverage must be at least 1, was 0.5"),
        ({"max_leverage": math.inf}, "tier 2: max_leverage must be at least 1, was inf"),
        ({"max_leverage": math.nan}, "tier 2: max_leverage must be at least 1, was nan"),
        ({"initial_rate": 0.0}, "tier 2: initial_rate must be > 0 and at most 1, was 0"),
        ({"initial_rate": 1.5}, "tier 2: initial_rate must be > 0 and at most 1, was 1.5"),
        ({"initial_rate": 0.04}, "tier 2: rate 0.05 is above the initial rate 0.04"),
        ({"deduction": 30.1}, "tier 2: deduction must be 30 for maintenance to be continuous"),
        ({"deduction": 0.0}, "deduction must be 30 for maintenance to be continuous, was 0"),
    ],
)
def test_a_table_that_cannot_be_is_refused_by_tier_and_number(
    second: dict[str, float], said: str
) -> None:
    """Out of order, out of range, not a number: each names the tier, the field and what it was."""
    good = {"cap": 5_000.0, "max_leverage": 10.0, "rate": 0.05, "deduction": 30.0}
    first = Tier(cap=1_000.0, max_leverage=20.0, rate=0.02)
    with pytest.raises(ConfigError) as caught:
        TierTable(MarginRules(tiers=(first, Tier(**{**good, **second}))), 6)
    assert said in str(caught.value)


def test_a_deduction_that_is_no_whole_atom() -> None:
    """Above 1,001 the rate is 0.55 % more: 2,000 need 51 less 5.5055, so 46."""
    tiers = (
        Tier(cap=1_001.0, max_leverage=20.0, rate=0.02),
        Tier(cap=5_000.0, max_leverage=10.0, rate=0.0255, deduction=5.5055),
    )
    assert TierTable(MarginRules(tiers=tiers), 0).maintenance(2_000) == 46


def test_many_sizes_need_what_each_does() -> None:
    """To the unit, in every tier and at each cap, where a product of whole numbers fits 64 bits and
    where it does not; as floats to a unit, beyond the last cap too."""
    one = TierTable(MarginRules(tiers=(Tier(cap=1e18, max_leverage=20.0, rate=0.0123),)), 0)
    caps = [int(row["cap"] or 2e9) * USDT for row in BINANCE]
    near = [cap + more for cap in caps for more in (-1, 0, 1)]
    for table, sizes in (
        (one, [1, 7, 81, 82]),
        (one, [1, 10**17, 3 * 10**17 + 1]),
        (two(), [0, 1, 999, 1_000, 1_001, 5_000, 6_000]),
        (two(of_initial=True), [0, 1, 999, 1_000, 1_001, 5_000, 6_000]),
        (binance(), near),
    ):
        exact = [table.maintenance(size) for size in sizes]
        assert table.exact_maintenances(np.array(sizes, np.int64)).tolist() == exact
    floats = two().maintenances(np.array([1_000.0, 1_001.0, 6_000.0]))
    assert floats.tolist() == pytest.approx([20.0, 20.05, 270.0])


def test_the_edges_of_what_may_be_are_taken() -> None:
    """A rate of 1 at leverage 1, equal rates and equal leverages, a rate that is the whole initial
    margin."""
    tiers = (
        Tier(cap=1.0, max_leverage=1.0, rate=1.0, initial_rate=1.0),
        Tier(cap=2.0, max_leverage=1.0, rate=1.0),
    )
    assert tier_fault(tiers) is None
    assert tier_fault(()) is None


def test_the_first_tier_deducts_nothing() -> None:
    """There is no cap below it to be continuous with."""
    tier = Tier(cap=1_000.0, max_leverage=20.0, rate=0.02, deduction=1.0)
    assert tier_fault((tier,)) == (
        0,
        "deduction",
        "deduction must be 0 for maintenance to be continuous, was 1",
    )


@pytest.mark.parametrize("caps", [(300.0, 100.0), (100.0, 100.0), (-1.0, 5.0), (0.0, math.inf)])
def test_open_interest_wants_an_interval(caps: tuple[float, float]) -> None:
    """Its low end comes first, and both are finite."""
    with pytest.raises(ConfigError, match="open_interest: expected 0 <= low < high, was"):
        two(open_interest=caps)


@settings(deadline=None)
@given(st.integers(0, 3_000_000_000 * USDT), st.integers(1, 10**15))
def test_maintenance_never_falls_with_size_and_never_exceeds_the_initial_margin(
    notional: int, more: int
) -> None:
    """Monotone and continuous: a larger position needs as much or more, at most half of what is
    added and an atom; what may be opened is not at once too little."""
    table = binance()
    maintenance = table.maintenance(notional)
    assert 0 <= table.maintenance(notional + more) - maintenance <= more // 2 + 1
    assert maintenance <= table.initial(notional)


def test_a_venue_without_tiers_asks_for_nothing() -> None:
    """No maintenance, no margin to open, no bound of leverage, at any size. Catches a rate that is
    made up where none is published."""
    free = TierTable(MarginRules(), 6)
    for size in (1, 10**18):
        assert (free.rate(size), free.maintenance(size), free.initial(size)) == (0, 0, 0)
        assert free.max_leverage(size) == math.inf
    assert free.maintenances(np.array([1.0, 1e18])).tolist() == [0.0, 0.0]
    assert free.largest_notional(1e9) is None


@pytest.mark.parametrize("size", [2**61, 2**62 - 1, 2**62, 2**62 + 1, 2**63 - 1])
def test_maintenance_of_the_largest_sizes(size: int) -> None:
    """Two fifths, rounded up, where twice the size fits 64 bits and where it does not; and nineteen
    twentieths above 1,000, less what that deducts."""
    free = Tier(cap=math.inf, max_leverage=1.0, rate=0.4)
    assert TierTable(MarginRules(tiers=(free,)), 0).exact_maintenances(
        np.array([size])
    ).tolist() == [-(-2 * size // 5)]
    steep = (
        Tier(cap=1_000.0, max_leverage=1.0, rate=0.9),
        Tier(cap=math.inf, max_leverage=1.0, rate=0.95, deduction=50.0),
    )
    found = TierTable(MarginRules(tiers=steep), 0).exact_maintenances(np.array([size]))
    assert found.tolist() == [-(-19 * (size - 1_000) // 20) + 900]

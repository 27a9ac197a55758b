"""Tests of ``engine/conform.py``: the known answers, planted wrong ones, and how the errors
fall."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine.conform import GROUPS, Answer, conform
from engine.conform_products import band, sec
from engine.errors import InputError

VECTORS = Path(__file__).parents[1] / "vectors"
PRODUCTS = json.loads((VECTORS / "products.json").read_text())
OF_PRODUCTS = {group["id"] for group in PRODUCTS["groups"]}
UNSUPPORTED = {"H2"}
"""Aggregates of a whole event, for which a recording is needed."""
NOT_GIVEN = {"RESTRIKE"}
"""Groups of which no file of ours has a vector."""
BANDS = {"target": 3, "low": 2.25, "high": 4.125, "path": [100, 50, 100]}
YEAR = {"target": 2, "index_return": 1, "volatility": 0.5}


def a_file(folder: Path, group: str, number: int = 0, **changes: Any) -> Path:
    """A file with one vector of ours, changed."""
    (found,) = [each for each in PRODUCTS["groups"] if each["id"] == group]
    vector = {**found["vectors"][number], **changes}
    path = folder / "vectors.json"
    path.write_text(json.dumps({"groups": [{"id": group, "vectors": [vector]}]}))
    return path


def test_known_answers() -> None:
    """Every vector of the file is met."""
    answers = conform(VECTORS / "products.json")
    assert [(a.id, a.detail) for a in answers if a.status != "passed"] == []
    assert len(answers) == sum(len(group["vectors"]) for group in PRODUCTS["groups"])


def test_whole_numbers_are_met_to_the_last_digit(tmp_path: Path) -> None:
    """A notional that is one wei off fails. Catches digits that are compared as floats."""
    (group,) = [each for each in PRODUCTS["groups"] if each["id"] == "FLI"]
    expected = group["vectors"][1]["expected"]
    wrong = {**expected, "total_notional": str(int(expected["total_notional"]) + 1)}
    (answer,) = conform(a_file(tmp_path, "FLI", 1, expected=wrong))
    assert answer.status == "failed"
    assert answer.detail.startswith("total_notional: 990099009900990, expected 990099009900991")


def test_known_answers_of_the_venue() -> None:
    """Every vector of the venue's file is met by the engine, but for the totals of an event."""
    answers = conform(VECTORS / "venue.json")
    of_status = {
        status: [a for a in answers if a.status == status] for status in ("passed", "failed")
    }
    assert [(a.id, a.detail) for a in of_status["failed"]] == []
    assert {a.group for a in of_status["passed"]} == set(GROUPS) - OF_PRODUCTS - NOT_GIVEN
    assert {a.group for a in answers if a.status == "unsupported"} == UNSUPPORTED


@pytest.mark.parametrize("number", range(6))
def test_a_wrong_answer_fails(number: int, tmp_path: Path) -> None:
    """An expected value that is off by two parts in 10^12 fails, and is named."""
    (group,) = [each for each in PRODUCTS["groups"] if each["id"] == "LEV"]
    expected = group["vectors"][number]["expected"]
    for key, value in expected.items():
        wrong = {**expected, key: value * (1.0 + 2e-12)}
        (answer,) = conform(a_file(tmp_path, "LEV", number, expected=wrong))
        assert answer.status == "failed"
        assert answer.detail.startswith(f"{key}: ")


@pytest.mark.parametrize(
    ("inputs", "expected"),
    [
        ({"depth_10bp_usd": 3.5e6, "depth_100bp_usd": 16.53e6}, {"beta": 0.6742048}),
        ({"depth_20bp_usd": 1e6, "depth_50bp_usd": 2.5e6}, {"beta": 1.0}),
        (
            {"A_usd_at_100bp": 16.53e6, "beta": 1.0, "Q": 8.265e6},
            {"u_star_bp": 50.0, "avg_slip_bp": 25.0},
        ),
        (
            {"A_usd_at_100bp": 1e6, "beta": 0.5, "Q": 2e6},
            {"u_star_bp": 400.0, "avg_slip_bp": 400.0 / 3.0},
        ),
    ],
)
def test_depth_is_a_rule(
    inputs: dict[str, float], expected: dict[str, float], tmp_path: Path
) -> None:
    """Other depths, distances and sweeps than the published ones, by hand: a uniform book reaches
    half as far for half its depth, and costs half of that; u = (Q / A)^2 with a power of a half,
    beyond 1 % as well, and a third of it on average."""
    vector = {"id": "X", "inputs": inputs}
    path = tmp_path / "vectors.json"
    path.write_text(json.dumps({"groups": [{"id": "I1", "vectors": [vector]}]}))
    (answer,) = conform(path)
    assert answer.status == "computed"
    assert answer.values == {key: pytest.approx(value, rel=1e-7) for key, value in expected.items()}


def test_a_printed_answer_has_its_digits(tmp_path: Path) -> None:
    """47.452 is met by 47.4514, and 47.454 is not; nor 0.6740 by 0.6742."""
    inputs = {"A_usd_at_100bp": 16530000.0, "beta": 0.6742, "Q": 10000000.0}
    for reached, status in ((47.452, "passed"), (47.454, "failed")):
        vector = {"id": "X", "inputs": inputs, "expected": {"u_star_bp": reached}}
        path = tmp_path / "vectors.json"
        path.write_text(json.dumps({"groups": [{"id": "I1", "vectors": [vector]}]}))
        assert [answer.status for answer in conform(path)] == [status]


STEEP = [100.0 * 0.82**n for n in range(30)]


@pytest.mark.parametrize(
    ("target", "points"),
    [
        (5.0, STEEP),
        (3.0, [100.0 * 1.5**n for n in range(30)]),
        (-3.0, [100.0 * 0.7**n for n in range(30)]),
        (3.0, [1e7, 1.1e7, 1e7]),
        (-2.0, [3e12, 2.9e12, 3.3e12]),
    ],
)
def test_a_steep_path_has_all_its_digits(
    target: float, points: list[float], tmp_path: Path
) -> None:
    """What 1e-29 is left of, or has become 3e11, is known to 1e-11; and so is a path at any price.
    Catches a product of which too few atoms, or lots, are left to say."""
    wanted = math.prod(1.0 + target * (b / a - 1.0) for a, b in itertools.pairwise(points))
    (answer,) = of_group(tmp_path, "PATH", {"target": target, "path": points})
    assert answer.values["nav_factor"] == pytest.approx(wanted, rel=1e-11, abs=0.0)


@pytest.mark.parametrize(
    ("side", "breakeven", "settlement"),
    [("long", 1e-3, 10.0), ("long", 1.0001e-7, 1e-7), ("short", 60_000.0, 1.0)],
)
def test_a_claim_at_any_price(
    side: str, breakeven: float, settlement: float, tmp_path: Path
) -> None:
    """However small the price, and however much it pays."""
    sign = 1.0 if side == "long" else -1.0
    wanted = 1.0 + sign * 20.0 * (settlement - breakeven) / breakeven
    inputs = {"side": side, "investment": 1e-6, "leverage": 20.0}
    (answer,) = of_group(
        tmp_path, "TERM", {**inputs, "breakeven": breakeven, "settlement": settlement}
    )
    assert answer.values["payoff"] == pytest.approx(1e-6 * wanted, rel=1e-9, abs=0.0)


@pytest.mark.parametrize("target", [-2, 1, 3])
def test_a_year_without_volatility(target: int, tmp_path: Path) -> None:
    """A trend alone is followed to its end. Catches the root of what a trend alone swings."""
    inputs = {"target": target, "index_return": 0.3, "volatility": 0}
    (answer,) = of_group(tmp_path, "SEC", inputs)
    assert answer.values["fund_return_pct"] == pytest.approx((1.3**target - 1.0) * 100.0, rel=1e-3)


def test_a_price_that_the_engine_refuses_fails(tmp_path: Path) -> None:
    """A jump by 10^6 is a misprint to it. Catches a path that is taken for one that stood still."""
    for points in ([1e-6, 1.0, 1e-6], [1.0, 0.0]):
        (answer,) = of_group(tmp_path, "PATH", {"target": 3, "path": points})
        assert answer.status == "failed"
        assert "price 1 is refused" in answer.detail


def test_jumps_of_one_size(tmp_path: Path) -> None:
    """Each of them ruins, or none does."""
    jumps = {"jumps_per_year": 2, "years": 1, "log_jump_sd": 0, "target": 3}
    answers = of_group(
        tmp_path, "RUIN", *({**jumps, "log_jump_mean": mean} for mean in (-0.4, -0.5))
    )
    assert [a.values["probability"] for a in answers] == [0.0, 1.0 - math.exp(-2.0)]


RARE = {"jumps_per_year": 10, "years": 1, "log_jump_mean": 0, "log_jump_sd": 0.05, "target": 3}
TINY = 2.5455649553928e-15


@pytest.mark.parametrize(
    ("wanted", "tolerance", "status"),
    [
        (TINY, None, "passed"),
        (TINY * 1.01, None, "failed"),
        (2.5e-15, None, "passed"),
        (2.7e-15, None, "failed"),
        (3e-11, None, "failed"),
        (0.0, None, "passed"),
        (0, {"rel": 1e-9, "abs": 0}, "failed"),
        (TINY, {"rel": 1e-9, "abs": 0}, "passed"),
        (TINY * 1.01, {"rel": 1e-9}, "failed"),
        (TINY, {"rel": None}, "failed"),
        (TINY, {"rel": float("nan")}, "failed"),
        (TINY, {"rel": -1.0}, "failed"),
        (TINY, 1e-9, "failed"),
        (float("inf"), {"rel": 1e-9}, "failed"),
        (float("nan"), None, "failed"),
        ("nan", None, "failed"),
    ],
)
def test_a_tiny_answer_is_held_to_its_digits(
    wanted: Any, tolerance: Any, status: str, tmp_path: Path
) -> None:
    """Without a tolerance 1e-9 is room for what is given to nine decimals, and not for what is less
    than that; a tolerance that is none fails its vector alone. Catches any tiny answer that is as
    good as any other."""
    vector = {"id": "X", "inputs": RARE, "expected": {"probability": wanted}}
    if tolerance is not None:
        vector["tolerance"] = tolerance
    path = tmp_path / "vectors.json"
    path.write_text(json.dumps({"groups": [{"id": "RUIN", "vectors": [vector]}]}))
    (answer,) = conform(path)
    assert answer.status == status, answer.detail


@pytest.mark.parametrize("debt", ["2000000000", "2500000000"])
def test_a_debt_of_all_there_is_has_no_leverage(debt: str, tmp_path: Path) -> None:
    """2 at 1,000 against 2,000 and more. Catches a division by nothing, and a trade of less than
    nothing to a leverage that there is not."""
    inputs = PRODUCTS["groups"][0]["vectors"][0]["inputs"]
    (answer,) = conform(a_file(tmp_path, "FLI", inputs={**inputs, "debt_usdc": debt}))
    assert (answer.status, answer.values) == ("failed", {})
    assert "on a value of 2000000000000000000000 is no leverage" in answer.detail


def test_digits_are_numbers_or_texts(tmp_path: Path) -> None:
    """18 digits given as a number are those given as a text; one that is no number is none."""
    wanted = PRODUCTS["groups"][0]["vectors"][0]["expected"]["current_leverage"]
    for given, status in ((int(wanted), "passed"), (int(wanted) + 1, "failed"), ("nan", "failed")):
        (answer,) = conform(a_file(tmp_path, "FLI", expected={"current_leverage": given}))
        assert answer.status == status


def test_wrong_count_of_rebalances_fails(tmp_path: Path) -> None:
    """One rebalance more than there are is a failure."""
    (answer,) = conform(a_file(tmp_path, "BAND", expected={"rebalances": 9}))
    assert answer.status == "failed"


@pytest.mark.parametrize("start", [1e-4, 0.1163, 7.0, 99_000.0])
def test_a_path_at_any_price(start: float, tmp_path: Path) -> None:
    """Prices have no scale: what a path makes of NAV is the same for dear and cheap assets."""
    points = [start * ratio for ratio in (1.0, 1.07, 0.98, 1.01)]
    wanted = math.prod(1.0 - 3.0 * (b / a - 1.0) for a, b in itertools.pairwise(points))
    vector = {"id": "PATH.9", "inputs": {"target": -3, "path": points}}
    group = {"id": "PATH", "vectors": [{**vector, "expected": {"nav_factor": wanted}}]}
    file = tmp_path / "v.json"
    file.write_text(json.dumps({"groups": [group]}))
    (answer,) = conform(file)
    assert (answer.status, answer.detail) == ("passed", "")


@pytest.mark.parametrize(("target", "change"), [(3, -0.1), (-3, -0.1), (3, 0.1), (-3, 0.1)])
def test_a_rebalance_has_the_sign_of_the_move(target: int, change: float, tmp_path: Path) -> None:
    """``L (L - 1) r NAV`` is bought after a rise and sold after a fall, by long and short alike."""
    inputs = {"target": target, "price_return": change, "nav": 250}
    (answer,) = conform(a_file(tmp_path, "LEV", inputs=inputs, expected={}))
    wanted = target * (target - 1) * change * 250
    assert answer.values["trade_notional"] == pytest.approx(wanted, rel=1e-12)


def test_values_without_answers(tmp_path: Path) -> None:
    """A vector without expected values is computed."""
    (answer,) = conform(a_file(tmp_path, "PATH", expected={}))
    assert answer.status == "computed"
    assert answer.values == {"nav_factor": pytest.approx(0.9454545454545455, rel=1e-12)}


def of_group(folder: Path, group: str, *inputs: dict[str, Any]) -> list[Answer]:
    vectors = [{"id": f"{group}.{n}", "inputs": each} for n, each in enumerate(inputs)]
    path = folder / "vectors.json"
    path.write_text(json.dumps({"groups": [{"id": group, "vectors": vectors}]}))
    return conform(path)


@pytest.mark.parametrize("target", [-5.0, -3.0, -1.0, -0.5, 0.5, 2.0, 3.0, 5.0, 7.5])
@pytest.mark.parametrize("share", [0.55, 0.9, 1.1, 1.75])
def test_any_edge_of_any_multiple_is_where_its_algebra_has_it(
    target: float, share: float, tmp_path: Path
) -> None:
    """The ratio l (L - 1) / (L (l - 1)) and the factor (L - 1) / (l - 1), for edges near and far.
    Catches an edge that is looked for where the product outgrows its numbers, and one beyond."""
    held = target * share
    (answer,) = of_group(tmp_path, "LEV", {"target": target, "leverage": held})
    ratio = held * (target - 1.0) / (target * (held - 1.0))
    factor = (target - 1.0) / (held - 1.0)
    assert answer.values == {
        "price_ratio": pytest.approx(ratio, rel=1e-11),
        "nav_factor": pytest.approx(factor, rel=1e-11),
    }


def test_an_edge_that_no_price_reaches_fails_alone(tmp_path: Path) -> None:
    """2x never falls to 0.9x, and a vector without a target is none; the third is worked out.
    Catches one vector that ends the whole file."""
    never, without, sound = of_group(
        tmp_path,
        "LEV",
        {"target": 2, "leverage": 0.9},
        {"leverage": 3.0},
        {"target": 2, "leverage": 3.0},
    )
    assert (never.status, never.detail) == ("failed", "no price brings 2x to 0.9x")
    assert (without.status, without.detail) == ("failed", "KeyError: 'target'")
    assert sound.values["nav_factor"] == pytest.approx(0.5, rel=1e-12)


@pytest.mark.parametrize(
    ("group", "inputs", "detail"),
    [
        ("H1", {"counterparties": [], "adl_price": 1.0}, "IndexError"),
        ("C6", {"interval_h": 8, "premium_minutes": "p=((i for i=1..4"}, "SyntaxError"),
        ("PATH", [2, [100.0, 110.0]], "TypeError"),
    ],
)
def test_inputs_that_are_none_of_their_group_fail_alone(
    group: str, inputs: Any, detail: str, tmp_path: Path
) -> None:
    """No list, no terms, no table: the vector says so. Catches one that ends the whole file."""
    broken, sound = of_group(tmp_path, group, inputs, inputs)
    assert broken.status == sound.status == "failed"
    assert broken.detail.startswith(detail)


def test_a_vector_is_named_by_a_text(tmp_path: Path) -> None:
    """An id that is a number is told as any other."""
    path = tmp_path / "vectors.json"
    inputs = {"target": 2, "leverage": 3.0}
    vectors = [{"id": 7, "inputs": inputs}]
    path.write_text(json.dumps({"groups": [{"id": "LEV", "vectors": vectors}]}))
    assert [answer.id for answer in conform(path)] == ["7"]


def test_edges_of_a_short_product_may_have_its_sign(tmp_path: Path) -> None:
    """From 1.5x to 5.25x a product of -3x gains 1.6-fold where the price falls to 0.8 of itself;
    one of two edges is enough, and a product that outgrows 64 bits begins with less. Catches a band
    that wants its magnitudes in one way, and a growth of a thousand thousand that is an error."""
    line = {"target": -3, "path": [100.0, 80.0, 64.0]}
    edges: list[dict[str, Any]] = [
        {"low": 1.5, "high": 5.25},
        {"low": -1.5, "high": -5.25},
        {"low": -5.25, "high": -1.5},
        {"low": 1.5, "high": None},
    ]
    found = of_group(tmp_path, "RESTRIKE", *({**line, **each} for each in edges))
    assert [a.values["nav"] for a in found] == [pytest.approx(2.56, rel=2e-3)] * 4
    (grown,) = of_group(tmp_path, "PATH", {"target": 5, "path": [1.0 * 2**n for n in range(9)]})
    assert grown.values["nav_factor"] == pytest.approx(6.0**8, rel=1e-9)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", r"vectors\.json:1: not JSON"),
        ("{}", "no file of vectors"),
        ('{"groups": [{"id": "LEV", "vectors": [{"id": "X"}]}]}', "vector X: no inputs"),
    ],
)
def test_no_vectors(text: str, expected: str, tmp_path: Path) -> None:
    """What is no file of vectors is an error of the data."""
    path = tmp_path / "vectors.json"
    path.write_text(text)
    with pytest.raises(InputError, match=expected):
        conform(path)


def falls_as_one_over_n(error: Callable[[int], float], *counts: int) -> bool:
    """Ten times the points, a tenth of the error."""
    found = [error(count) * count for count in counts]
    return max(found) < 1.6 * min(found)


def test_band_error_falls_as_one_over_n() -> None:
    """Seen through more ticks, a band product comes nearer to continuous monitoring as 1 / n."""
    exact = 0.5672422472193703

    def error(ticks: int) -> float:
        values = band(BANDS, ticks)
        assert values["rebalances"] == 8
        return abs(values["nav_factor"] - exact)

    assert falls_as_one_over_n(error, 10**3, 10**4, 10**5)


def test_closed_form_error_falls_as_one_over_n() -> None:
    """With more rebalances a year's return comes nearer to the closed form as 1 / n."""
    exact = (2.0**2 * math.exp(-0.25) - 1.0) * 100.0
    assert falls_as_one_over_n(
        lambda steps: abs(sec(YEAR, steps)["fund_return_pct"] - exact), 200, 2_000, 10_000
    )

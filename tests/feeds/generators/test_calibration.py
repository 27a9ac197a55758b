"""Tests of ``feeds.generators.calibration``: planted parameters are found again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest

from engine.durations import duration_ns
from engine.errors import InputError
from engine.units import HOUR_NS, SECOND_NS
from feeds.generators import Generator, generated
from feeds.generators.calibration import calibrate
from feeds.generators.gbm import Gbm
from feeds.generators.hawkes import Hawkes
from feeds.generators.kou import Kou
from feeds.generators.merton import Merton
from feeds.generators.regimes import Regime, Regimes
from feeds.parquet_writer import write_sections

Fit = Callable[..., Any]
MINUTES: dict[str, Any] = {"rows": "marks", "step": "1m"}


@pytest.fixture
def fitted(tmp_path: Path) -> Fit:
    """A model fitted to the recording of a market drawn from one."""

    def fit(model: Generator, name: str, **settings: Any) -> Any:
        path = tmp_path / "recording.parquet"
        write_sections(path, generated(model, 3).sections(), synthetic=True)
        return calibrate(str(path), name, **settings).generator

    return fit


def test_volatility_and_correlation_are_found(fitted: Fit) -> None:
    """Within 4 standard errors: 2 % after 30 days of minutes."""
    planted = Gbm(
        **MINUTES, symbols=("BTCUSDT", "ETHUSDT"), prices={"ETHUSDT": 3_500.0},
        volatility=0.7, scales={"ETHUSDT": 1.4}, correlation=0.8, days=30.0,
    )  # fmt: skip
    found = fitted(planted, "gbm")
    assert found.symbols == planted.symbols
    assert found.volatility == pytest.approx(0.7, rel=0.02)
    assert found.scales["ETHUSDT"] == pytest.approx(1.4, rel=0.03)
    assert found.correlation == pytest.approx(0.8, abs=0.01)
    assert found.prices["ETHUSDT"] == pytest.approx(3_500.0, rel=0.01)


def test_jumps_are_found_and_do_not_count_as_volatility(fitted: Fit) -> None:
    """200 jumps a year within Poisson's 4 errors, their mean and width within 4 of theirs; the
    volatility as if there were none."""
    planted = Merton(
        **MINUTES, volatility=0.5, jumps_per_year=200.0, jump_mean=-0.03, jump_sd=0.02, days=365.25
    )
    found = fitted(planted, "merton")
    assert found.volatility == pytest.approx(0.5, rel=0.01)
    assert found.jumps_per_year == pytest.approx(200.0, abs=57 + 12)  # some jumps are small
    assert found.jump_mean == pytest.approx(-0.03, abs=0.006)
    assert found.jump_sd == pytest.approx(0.02, abs=0.005)


def test_a_market_without_jumps_has_none(fitted: Fit) -> None:
    """Six standard deviations are not reached by chance, and volatility in bursts is no jump."""
    planted = Regimes(
        **MINUTES,
        regimes=(
            Regime(name="calm", volatility=0.3, lasts="2d"),
            Regime(name="wild", volatility=1.5, lasts="12h"),
        ),
        days=60.0,
    )
    assert fitted(planted, "merton").jumps_per_year < 60  # edges of regimes, within 2 hours


def test_two_sided_jumps_are_found(fitted: Fit) -> None:
    """Share, and means beyond the threshold, of Kou's exponentials."""
    planted = Kou(
        **MINUTES, volatility=0.3, jumps_per_year=400.0, up_share=0.4, up_mean=0.02,
        down_mean=0.04, days=365.25,
    )  # fmt: skip
    found = fitted(planted, "kou")
    assert found.up_share == pytest.approx(0.4, abs=0.1)
    assert found.up_mean == pytest.approx(0.02, rel=0.35)
    assert found.down_mean == pytest.approx(0.04, rel=0.3)
    assert 250 < found.jumps_per_year < 450


def test_regimes_are_found(fitted: Fit) -> None:
    """Volatilities within 10 %, durations within 40 %: some 50 stretches of each are seen."""
    planted = Regimes(
        **MINUTES,
        regimes=(
            Regime(name="calm", volatility=0.35, lasts="2d"),
            Regime(name="wild", volatility=1.5, lasts="8h"),
        ),
        days=120.0,
    )
    calm, wild = fitted(planted, "regimes").regimes
    assert calm.volatility == pytest.approx(0.35, rel=0.1)
    assert wild.volatility == pytest.approx(1.5, rel=0.15)
    assert duration_ns(calm.lasts) == pytest.approx(48 * HOUR_NS, rel=0.4)
    assert duration_ns(wild.lasts) == pytest.approx(8 * HOUR_NS, rel=0.4)


def test_self_exciting_trades_are_found(fitted: Fit) -> None:
    """Rate within 5 %, branching within 0.08 and half-life within 40 % after four days."""
    planted = Hawkes(volatility=0.6, rate=0.5, branching=0.7, half_life="5s", days=4.0)
    found = fitted(planted, "hawkes")
    assert found.rate == pytest.approx(0.5, rel=0.05)
    assert found.branching == pytest.approx(0.7, abs=0.08)
    assert duration_ns(found.half_life) == pytest.approx(5 * SECOND_NS, rel=0.4)
    assert found.volatility == pytest.approx(0.6, rel=0.1)


def test_what_cannot_be_fitted_is_said(fitted: Fit) -> None:
    """One regime, no jumps, too few rows, a model without estimator."""
    plain = Gbm(**MINUTES, days=20.0)
    for name, said in (
        ("regimes", "knows one regime"),
        ("kou", "no jumps on both sides"),
        ("hawkes", "too few trades"),
        ("garch", "no estimator for 'garch'; known are gbm"),
    ):
        with pytest.raises(InputError, match=said):
            fitted(plain, name)
    with pytest.raises(InputError, match="holds no DOGEUSDT"):
        fitted(plain, "gbm", symbols=["DOGEUSDT"])
    with pytest.raises(InputError, match="steps of 1h"):
        fitted(Gbm(**MINUTES, days=0.5), "gbm", step="1h")


@pytest.mark.parametrize("step", ["0s", "0.1ms", "7s", "7m"])
def test_a_step_that_no_generator_has_is_refused_with_a_sentence(step: str, fitted: Fit) -> None:
    """Before anything is read. Catches a division by nothing, and a fit that cannot be drawn."""
    planted = Gbm(**MINUTES, volatility=0.7, days=0.5)
    with pytest.raises(InputError, match=r"step must be 1 ms or more and divide a minute"):
        fitted(planted, "gbm", step=step)


def test_markets_that_move_against_each_other_are_told(tmp_path: Path) -> None:
    """Their correlation is said as it is, and that no model has one below 0. Catches a note of 0
    where it is -1."""
    chance, price, bars = Random(1), 100.0, []
    for minute in range(200):
        price *= 1.0 + chance.gauss(0.0, 0.001)
        bars.append((1_700_000_040_000 + minute * 60_000, price))
    for name, power in (("BTCUSDT", 1), ("ETHUSDT", -1)):
        lines = (
            f"{ms},{p**power},{p**power},{p**power},{p**power},5,{ms + 59_999},1,10,1,1,0"
            for ms, p in bars
        )
        (tmp_path / f"{name}-1m-um.csv").write_text("\n".join(lines))
    found = calibrate(str(tmp_path), "gbm")
    assert found.generator.correlation == 0.0
    (told,) = [note for note in found.notes if note.startswith("correlation")]
    assert "correlation -1, the mean of 1 pairs; no model has one below 0" in told

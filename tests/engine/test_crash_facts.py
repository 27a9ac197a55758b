"""The calibrated crash beside what was published of real ones."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from engine.cli import main
from engine.crash_facts import (
    ADL_SHARE,
    REACHED,
    SLIPPAGES,
    Found,
    calibrated_text,
    crash_of,
    fall_of,
    found,
    market_of,
)

SEEDS = range(1, 25)


@pytest.fixture(scope="module")
def calibrated() -> Found:
    """Twenty-four falls and crashes of the calibrated market."""
    return found(market_of(), SEEDS)


def test_slippage_after_six_deviations(calibrated: Found) -> None:
    """Selling any of the five sizes after a fall of six deviations costs what was published, within
    30 %."""
    for own, (size, published) in zip(calibrated.slippage, SLIPPAGES.items(), strict=True):
        assert own == pytest.approx(published, rel=0.3), size


def test_falls_go_on_as_far(calibrated: Found) -> None:
    """Of falls that lost four deviations in five minutes as many go on by half a per cent to five
    as of 295 measured ones, within 0.15 (two standard errors of so few are 0.2)."""
    assert calibrated.counted >= 20
    for own, (far, share) in zip(calibrated.reached, REACHED.items(), strict=True):
        assert own == pytest.approx(share, abs=0.15), far
    assert list(calibrated.reached) == sorted(calibrated.reached, reverse=True)


def test_a_third_to_a_half_is_left_to_adl(calibrated: Found) -> None:
    """Of all that the crashes liquidate 33 to 45 % is left to auto-deleveraging; single crashes
    lie far apart, and so they say."""
    low, high = ADL_SHARE
    assert low <= calibrated.adl_share <= high
    least, _, most = calibrated.adl_shares
    assert least < low < high < most
    assert calibrated.depth < 1.0 / 8.0
    assert 0.12 <= calibrated.fell <= 0.16


def test_the_depth_is_what_makes_it() -> None:
    """The same population beside a book ten times as deep leaves less than half as much to ADL."""
    deep = market_of(sets=["markets.0.book.depth_at_1pct=5.5e7"])
    assert crash_of(deep, 3).share < 0.5 * crash_of(market_of(), 3).share


def test_one_seed_is_one_fall() -> None:
    """The same seed finds the same, another one another."""
    spec = market_of()
    assert fall_of(spec, 5) == fall_of(spec, 5)
    assert fall_of(spec, 5) != fall_of(spec, 6)


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It prints both beside each other, one object, or the configuration that it stands on; what
    has no feedback is refused."""
    assert main(["venue", "crash-facts", "--seeds", "2"]) == 0
    said = capsys.readouterr().out
    assert "falls that go on by 2 %" in said
    assert "a tenth more than" in said
    assert main(["venue", "crash-facts", "--seeds", "1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["seeds"] == 1
    assert main(["venue", "crash-facts", "--text"]) == 0
    text = capsys.readouterr().out
    assert text.strip() == calibrated_text().strip()
    path = tmp_path / "calm.toml"
    path.write_text(text.replace("feedback = true", "feedback = false"))
    assert main(["venue", "crash-facts", "-c", str(path)]) == 3
    assert "has no feedback" in capsys.readouterr().err
    assert main(["venue", "crash-facts", "--seeds", "0"]) == 3

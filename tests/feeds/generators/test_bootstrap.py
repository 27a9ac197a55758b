"""Tests of ``feeds.generators.bootstrap``: stretches of a recording, joined at random."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.api import run
from engine.errors import InputError
from engine.verify import verify
from feeds.generators import Generator, generated
from feeds.generators.bootstrap import Bootstrap
from feeds.generators.garch import Garch
from feeds.parquet_writer import write_sections
from tests.feeds.generators.moments import SEED, autocorrelation, returns
from tests.feeds.generators.test_source import of_symbol
from tests.feeds.test_synthetic import digest

SYMBOLS = ("BTCUSDT", "ETHUSDT")
SOURCE = Garch(
    symbols=SYMBOLS, prices={"ETHUSDT": 3_500.0}, correlation=0.8, arch=0.1, garch=0.8,
    rows="marks", days=5.0, step="1m",
)  # fmt: skip


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Generator], Path]:
    """Writes a market as a recording."""

    def written(model: Generator = SOURCE) -> Path:
        path = tmp_path_factory.mktemp("recorded") / "five-days.parquet"
        write_sections(path, generated(model, SEED).sections(), synthetic=True)
        return path

    return written


@pytest.fixture(scope="module")
def recording(recorded: Callable[[Generator], Path]) -> Path:
    return recorded(SOURCE)


def model_of(recording: Path, **settings: Any) -> Bootstrap:
    given = {"step": "1m", "days": 60.0, "block": "2h", **settings}
    return Bootstrap(recording=str(recording), symbols=SYMBOLS, **given)


def test_blocks_are_stretches_of_the_recording(recording: Path) -> None:
    """Nearly every pair of neighbours is a pair of the recording; the others are joins, as many as
    blocks begin."""
    source = np.diff(np.log(of_symbol(generated(SOURCE, SEED), 0)["MARK.price"]))
    order = np.argsort(source)
    drawn = returns(model_of(recording))[0]
    drawn = drawn - drawn.min() + source.min()  # both have the same least return, but for the drift
    right = np.clip(np.searchsorted(source[order], drawn), 1, len(source) - 1)
    left = right - 1
    nearer = np.abs(source[order[left]] - drawn) < np.abs(source[order[right]] - drawn)
    place = order[np.where(nearer, left, right)]
    follows = (np.diff(place) % len(source) == 1).mean()
    assert 1 - follows == pytest.approx(1 / 120, abs=0.004)


def test_moments_are_those_of_the_recording(recording: Path) -> None:
    """Variance, correlation and bursts stay; the mean is the drift less half the variance."""
    source = np.stack(
        [np.diff(np.log(of_symbol(generated(SOURCE, SEED), s)["MARK.price"])) for s in (0, 1)]
    )
    drawn = returns(model_of(recording))
    blocks = 60 * 12
    assert drawn.var(axis=1) == pytest.approx(source.var(axis=1), rel=4 * 2 / math.sqrt(blocks))
    assert np.corrcoef(drawn)[0, 1] == pytest.approx(np.corrcoef(source)[0, 1], abs=0.03)
    burst = autocorrelation(source[0] ** 2, 1)
    assert burst > 0.05
    assert autocorrelation(drawn[0] ** 2, 1) == pytest.approx(burst, abs=0.08)


def test_opening_prices_are_the_recording_s(recording: Path) -> None:
    """Where none is told, the first price recorded."""
    market = generated(model_of(recording, days=0.1), SEED)
    assert market.symbols[1].decade == 1_000.0
    assert of_symbol(market, 1)["MARK.price"][0] == pytest.approx(3_500.0, rel=0.02)
    told = generated(model_of(recording, days=0.1, prices={"ETHUSDT": 10.0}), SEED)
    assert of_symbol(told, 1)["MARK.price"][0] == pytest.approx(10.0, rel=0.02)


def test_paths_repeat_and_differ(recording: Path) -> None:
    """As of the other models."""
    model = model_of(recording, days=1.0)
    once = digest(generated(model, SEED).steps())
    assert once == digest(generated(model, SEED).steps(block_rows=777))
    assert once != digest(generated(model, SEED, 1).steps())


def test_the_recording_is_an_input_of_the_run(
    recorded: Callable[[Generator], Path], tmp_path: Path
) -> None:
    """``run.toml`` names it with its hash; once it changes the run does not verify."""
    file = recorded(SOURCE)
    config = file.with_name("bootstrap.toml")
    config.write_text(
        f'[generator]\nmodel = "bootstrap"\nrecording = "{file.name}"\nstep = "1m"\ndays = 0.05\n'
    )
    out = tmp_path / "run"
    run(config=config, out=out, report=False)
    assert str(file.resolve()) in (out / "run.toml").read_text()
    assert verify(out) == []
    write_sections(file, generated(SOURCE, SEED + 1).sections(), synthetic=True)
    with pytest.raises(InputError, match="is not the file of the run"):
        verify(out)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"symbols": ("SOLUSDT",)}, "holds no SOLUSDT; it holds BTCUSDT, ETHUSDT"),
        ({"recording": "nowhere.parquet"}, "no such file"),
    ],
)
def test_recordings_that_do_not_fit_are_refused(
    recording: Path, settings: dict[str, Any], said: str
) -> None:
    """With what they hold."""
    given = {"recording": str(recording), "symbols": SYMBOLS, "block": "2d", **settings}
    with pytest.raises(InputError, match=said):
        generated(Bootstrap(**given), SEED)

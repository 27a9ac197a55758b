"""Runs on generated markets: they name their path, say that nobody traded there, and repeat."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from engine.api import run
from engine.config import load_config
from engine.errors import ConfigError
from engine.verify import verify

CONFIG = """
seed = 3
[generator]
model = "gbm"
volatility = 0.9
days = 0.02
symbols = ["BTCUSDT", "ETHUSDT"]
correlation = 0.6
prices = { ETHUSDT = 3500.0 }
quotes = { spread_bps = 0.5 }
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "generated.toml"
    path.write_text(CONFIG)
    return path


def test_a_run_without_data_takes_the_generator(config: Path, tmp_path: Path) -> None:
    """It is called synthetic, its assumption is stated, run.toml makes it again bit by bit."""
    done = run(config=config, out=tmp_path / "run")
    assert done.summary["synthetic"]
    assert done.verdict.startswith("Synthetic data: ")
    assert set(done.summary["markets"]) == {"BTCUSDT", "ETHUSDT"}
    assumed = next(a for a in done.summary["assumed"] if a.startswith("generated_market"))
    assert "gbm (volatility 0.9), path 0" in assumed
    assert "generated:gbm:3:0" in (tmp_path / "run" / "run.toml").read_text()
    assert "levsim run -c run.toml" in (tmp_path / "run" / "report.html").read_text()
    assert verify(tmp_path / "run") == []
    again = run(config=tmp_path / "run" / "run.toml", write=False)
    assert again.summary["digest"] == done.summary["digest"]


def test_a_price_at_its_bound_is_told(config: Path, tmp_path: Path) -> None:
    """Forty powers of e down in half an hour: from the thirtieth on the price stands still, and the
    result says so, and since when. Catches a frozen price taken for what the model gives."""
    held = '[[products]]\nid = "S"\nsymbol = "BTCUSDT"\nkind = "spot"\n[[markets]]\n'
    config.write_text(f'{CONFIG}\n{held}symbol = "BTCUSDT"\n')
    calm = run(config=config, write=False)
    assert not any("price_bound" in line for line in calm.summary["assumed"])
    sets = ["generator.drift=-730000", "generator.rows=marks"]
    done = run(config=config, sets=sets, out=tmp_path / "run", report=False)
    line, _ = [each for each in done.summary["assumed"] if each.startswith("price_bound")]
    told = re.fullmatch(r"price_bound: BTCUSDT: what was drawn left .* at (\S+ \S+); .*", line)
    assert told is not None
    since = pa.scalar(datetime.fromisoformat(told[1]).replace(tzinfo=UTC))
    marks = done.nav.filter(pc.greater(done.nav["ts"], since))["mark_price"]
    assert len(marks) > 60
    assert len(set(marks.to_pylist())) == 1
    assert verify(tmp_path / "run") == []


def test_a_changed_row_is_found_out(config: Path, tmp_path: Path) -> None:
    """The input's hash is that of the rows: a path that is drawn otherwise does not verify."""
    run(config=config, out=tmp_path / "run", report=False)
    file = tmp_path / "run" / "run.toml"
    file.write_text(file.read_text().replace("path = 0", "path = 1", 1))
    assert verify(tmp_path / "run")


def test_path_and_parameters_can_be_set(config: Path) -> None:
    """``--set generator.path`` names another path, ``generator.model`` makes a market without a
    file."""
    digests = [
        run(config=config, sets=sets, write=False).summary["digest"]
        for sets in ([], ["generator.path=1"], ["generator.volatility=0.1"], ["seed=4"])
    ]
    assert len(set(digests)) == 4
    alone = run(sets=["generator.model=gbm", "generator.days=0.01"], write=False)
    assert set(alone.summary["markets"]) == {"BTCUSDT"}


def test_data_and_a_generator_exclude_each_other(config: Path) -> None:
    """Which of the two was meant is not for us to guess."""
    with pytest.raises(ConfigError, match="DATA were given too"):
        run("sample", config=config, write=False)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('model = "gbn"', r'generated.toml:3: generator.model is "gbn"; did you mean "gbm"'),
        ("vollatility = 1", 'generated.toml:4: .*did you mean "volatility"'),
        ("volatility = -1", "generated.toml:4: generator.volatility: expected `float` >= 0"),
        ('step = "7s"', "generated.toml:2: generator: step must be 1 ms or more"),
        ('step = "soon"', 'generated.toml:4: .*expected a duration such as "90s"'),
        ("quotes = { spread = 1 }", 'generated.toml:4: .*did you mean "spread_bps"'),
    ],
)
def test_a_wrong_setting_is_told_with_its_line(tmp_path: Path, line: str, said: str) -> None:
    """File, line, what was expected and the nearest name."""
    model = "" if line.startswith("model") else 'model = "gbm"\n'
    path = tmp_path / "generated.toml"
    path.write_text(f"\n[generator]\n{model}{line}\n")
    with pytest.raises(ConfigError, match=said):
        run(config=path, write=False)


def test_a_generated_market_can_be_written(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The Parquet file of it is the same input: a run on it has the same digest."""
    from engine.cli import main

    out = config.with_name("market.parquet")
    assert main(["data", "sample", "-c", str(config), "-o", str(out)]) == 0
    assert "synthetic rows" in capsys.readouterr().out
    written = run(str(out), write=False).summary
    drawn = run(config=config, write=False).summary
    assert written["synthetic"]
    assert written["products"]["BTC3L"]["nav_end"] == drawn["products"]["BTC3L"]["nav_end"]
    plain = config.with_name("plain.toml")
    plain.write_text("seed = 3\n")
    assert main(["data", "sample", "-c", str(plain), "-o", str(out)]) == 3
    assert "has no [generator]" in capsys.readouterr().err


def test_a_calibrated_market_runs(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What ``scenario calibrate`` writes is a configuration, and says how it was found."""
    from engine.cli import main
    from feeds.generators import generated
    from feeds.recording import write_parquet

    made = load_config(config).generator
    assert made is not None
    data, out = config.with_name("made.parquet"), config.with_name("fitted.toml")
    write_parquet(generated(made, 3), data)
    assert main(["scenario", "calibrate", str(data), "--step", "1s", "-o", str(out)]) == 0
    assert "levsim run -c" in capsys.readouterr().out
    assert out.read_text().startswith("# Fitted to made.parquet.\n")
    fitted = load_config(out).generator
    assert fitted is not None
    assert fitted.symbols == ("BTCUSDT", "ETHUSDT")
    assert run(config=out, sets=["generator.days=0.02"], write=False).summary["synthetic"]
    assert main(["scenario", "calibrate", str(data), "--step", "1d"]) == 4
    assert "holds 0 steps of 1d" in capsys.readouterr().err


def test_a_generator_survives_its_own_text(config: Path) -> None:
    """What run.toml says decodes to the same generator."""
    from engine.config import resolved_toml

    first = load_config(config)
    text: Any = resolved_toml(first)
    config.write_text(text)
    assert load_config(config) == first
    assert json.dumps(text)

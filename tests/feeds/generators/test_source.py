"""Tests of ``feeds.generators``: every model used like a recording, with the same bits
everywhere."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from engine.errors import ConfigError
from engine.ticks import Kind
from engine.units import HOUR_NS, SECOND_NS
from feeds.generators import Generator, generated
from feeds.generators.contagion import Contagion
from feeds.generators.garch import Garch
from feeds.generators.gbm import Gbm
from feeds.generators.hawkes import Hawkes
from feeds.generators.heston import Heston
from feeds.generators.kou import Kou
from feeds.generators.merton import Merton
from feeds.generators.model import Quotes
from feeds.generators.regimes import Regime, Regimes
from feeds.parquet_writer import write_sections
from feeds.recording import open_recording
from tests.feeds.rows import numbered
from tests.feeds.test_synthetic import SIMD, columns, digest

TWO = ("BTCUSDT", "DOGEUSDT")
SEED = 5
CALM = Regime(name="calm", volatility=0.4, lasts="2h")
WILD = Regime(name="wild", volatility=2.0, lasts="30m", drift=-50.0, next={"calm": 1.0})
COMMON: dict[str, Any] = {"symbols": TWO, "prices": {"DOGEUSDT": 0.2}, "days": 0.3}
MODELS: dict[str, Generator] = {
    "gbm": Gbm(**COMMON, correlation=0.5),
    "merton": Merton(**COMMON, correlation=0.5, jumps_per_year=5e4),
    "kou": Kou(**COMMON, jumps_per_year=5e4),
    "heston": Heston(**COMMON, correlation=0.9, scales={"DOGEUSDT": 1.5}),
    "garch": Garch(**COMMON, downward=0.01),
    "regimes": Regimes(**COMMON, regimes=(CALM, WILD)),
    "hawkes": Hawkes(**COMMON, drift=1.0),
    "contagion": Contagion(**COMMON, jumps_per_year=2e4),
}
MARKS = Gbm(rows="marks", days=1.0)
DIGESTS = {
    "gbm": "4c1e5ffa3430ab28c2c1bca16aa46283c18a3ec2966bc0d5d7ba62bcd3bf7ca8",
    "merton": "0d8ffe5717ad2fd3e3b6d8cf8cf2dbbd13102f3c25955eb96b25ac393578e419",
    "kou": "87c214a293f0c59cfb6a638ec50505f5b8edda76fd0dbbe200fe7c2fe14fe2ea",
    "heston": "f7c48e87589d683924109b87e39d30a4fc811996a4aa1249fb3aef329f514da0",
    "garch": "7e0ca2e84699f7a6933fff69a61132734b8137f5f845d0975133463b55d8763a",
    "regimes": "1f45c475c3cf4c2f3cf6046ab055ce8b73f2f344ccb72dae181ce714cb6fc05d",
    "hawkes": "2b659b7f525dd5f5342e18bb85360325edc9efca8e9e162dc5d9c0d77410edf4",
    "contagion": "9765166aebf9f47f8cba63138784932f77a38c91ad43e41c46d41d1ac2c98685",
}


@pytest.fixture(scope="module", params=MODELS)
def model(request: pytest.FixtureRequest) -> Generator:
    return MODELS[request.param]


def test_rows_are_consistent(model: Generator) -> None:
    """The mark lies within the quotes, which do not cross; trades lie on the quotes' grid; times
    and sequences rise; nothing is refused."""
    market = generated(model, SEED)
    assert numbered(market.steps())
    found = columns(market.steps())
    assert (np.diff(np.sort(np.concatenate([found[f"{k}.sequence"] for k in KINDS]))) == 1).all()
    for symbol in range(len(model.symbols)):
        one = of_symbol(market, symbol)
        assert (one["BBO.bid"] <= one["MARK.price"]).all()
        assert (one["MARK.price"] <= one["BBO.ask"]).all()
        assert (one["BBO.bid"] < one["BBO.ask"]).all()
        assert (one["TRADE.size"] > 0).all()
        premium = one["MARK.price"] / one["INDEX.price"] - 1.0
        assert np.abs(premium).max() < 20e-4
        assert premium.std() > 0.2e-4
    inspection = market.inspect()
    for one in inspection.symbols:
        assert (one.late, one.crossed, one.duplicates, one.bad_prices) == (0,) * 4


def test_all_times_rise_over_all_kinds(model: Generator) -> None:
    """A row is never earlier than the one before it."""
    found = columns(generated(model, SEED).steps())
    sequence = np.concatenate([found[f"{kind}.sequence"] for kind in KINDS])
    ts_ns = np.concatenate([found[f"{kind}.ts_ns"] for kind in KINDS])
    assert (np.diff(ts_ns[np.argsort(sequence)]) >= 0).all()


KINDS = ("TRADE", "BBO", "MARK", "INDEX", "FUNDING")


def of_symbol(market: Any, symbol: int) -> dict[str, Any]:
    """Columns of one symbol by ``KIND.name``."""
    parts: dict[str, list[Any]] = {}
    for step in market.steps():
        for table in step.tables:
            chosen = table.symbols() == symbol
            for name, column in [("ts_ns", table.ts_ns), *table.values()]:
                parts.setdefault(f"{table.KIND.name}.{name}", []).append(column[chosen])
    return {name: np.concatenate(part) for name, part in parts.items()}


def test_repeats_have_the_same_bits_and_paths_differ(model: Generator) -> None:
    """A path is a function of generator, seed and path; blocks of any size hold the same rows."""
    once = digest(generated(model, SEED).steps())
    assert digest(generated(model, SEED).steps(block_rows=997)) == once
    assert digest(generated(model, SEED).steps(block_rows=None)) == once
    assert numbered(generated(model, SEED).steps(block_rows=None))
    others = {digest(generated(model, SEED, path).steps()) for path in (1, 2, 2**40)}
    assert len({once, *others, digest(generated(model, SEED + 1).steps())}) == 5
    moved = msgspec.structs.replace(model, path=2)
    assert digest(generated(moved, SEED).steps()) in others


def test_a_longer_market_begins_like_a_shorter_one() -> None:
    """What is drawn of an hour does not depend on what follows."""
    short, long = MARKS, msgspec.structs.replace(MARKS, days=2.5)
    ours, theirs = columns(generated(short, SEED).steps()), columns(generated(long, SEED).steps())
    assert len(theirs["MARK.price"]) == 2.5 * len(ours["MARK.price"])
    for name, column in ours.items():
        assert (theirs[name][: len(column)] == column).all()


def digests() -> list[str]:
    return [digest(generated(model, SEED).steps()) for model in MODELS.values()]


@pytest.mark.parametrize(
    "setting",
    [
        {"NPY_DISABLE_CPU_FEATURES": " ".join(SIMD.get("found", []))},
        {"GLIBC_TUNABLES": "glibc.cpu.hwcaps=-FMA,-AVX2"},
    ],
    ids=["numpy without SIMD", "libc without FMA"],
)
def test_neither_processor_nor_hash_seed_matters(setting: dict[str, str]) -> None:
    """The same bits without the instructions that change the exp and log of numpy and libc."""
    program = "from tests.feeds.generators.test_source import digests\nprint(*digests())"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        cwd=Path(__file__).parents[3],
        env={**os.environ, **setting, "PYTHONHASHSEED": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert dict(zip(MODELS, done.stdout.split(), strict=True)) == DIGESTS


def test_bits_are_as_they_always_were(model: Generator) -> None:
    """A path named in a report can be drawn again by a later version."""
    name = next(name for name, each in MODELS.items() if each is model)
    assert digest(generated(model, SEED).steps()) == DIGESTS[name]


def test_it_is_used_like_a_recording(tmp_path: Path) -> None:
    """Called synthetic; the Parquet of it replays the same."""
    market = generated(MODELS["gbm"], SEED)
    assert (market.synthetic, market.bar_fed) == (True, False)
    assert [(s.symbol, s.base, s.decade) for s in market.symbols] == [
        ("BTCUSDT", "BTC", 1e5),
        ("DOGEUSDT", "DOGE", 0.1),
    ]
    assert market.inputs == generated(MODELS["gbm"], SEED).inputs
    assert market.inputs != generated(MODELS["gbm"], SEED, 1).inputs
    path = tmp_path / "market.parquet"
    write_sections(path, market.sections(), synthetic=True)
    again = open_recording([path])
    assert again.synthetic
    assert digest(again.steps()) == digest(market.steps())


def test_marks_alone_have_index_and_funding_once_a_minute() -> None:
    """A day at a second: 86,400 marks up to midnight, 1,440 rows of index and of funding."""
    market = generated(MARKS, SEED)
    found = columns(market.steps())
    counts = {name: len(found[f"{name}.ts_ns"]) for name in ("MARK", "INDEX", "FUNDING")}
    assert counts == {"MARK": 86_400, "INDEX": 1_440, "FUNDING": 1_440}
    assert not any(name.startswith(("BBO", "TRADE")) for name in found)
    assert market.symbols[0].kinds == (Kind.MARK, Kind.INDEX, Kind.FUNDING)
    start_ns = MARKS.grid().start_ns
    assert found["MARK.ts_ns"][0] == start_ns + SECOND_NS
    assert found["MARK.ts_ns"][-1] == start_ns + 24 * HOUR_NS


def test_the_same_prices_come_with_and_without_trades_and_quotes() -> None:
    """``rows`` chooses what is shown of a path, not the path."""
    whole = columns(generated(msgspec.structs.replace(MARKS, rows="all"), SEED).steps())
    marks = columns(generated(MARKS, SEED).steps())
    assert (whole["MARK.price"] == marks["MARK.price"]).all()


def test_funding_follows_from_the_premium() -> None:
    """The rate is the mean premium of the interval so far, pulled towards 1 bp by up to 5; it is
    due at the next interval of the day."""
    quotes = Quotes(premium_bps=12.0, premium_sd_bps=3.0)
    one = of_symbol(generated(msgspec.structs.replace(MARKS, quotes=quotes), SEED), 0)
    cells = np.isin(one["MARK.ts_ns"], one["INDEX.ts_ns"])
    premium = one["MARK.price"][cells] / one["INDEX.price"] - 1.0
    first = one["FUNDING.ts_ns"] // (8 * HOUR_NS) == one["FUNDING.ts_ns"][0] // (8 * HOUR_NS)
    mean = np.cumsum(premium[first]) / np.arange(1, first.sum() + 1)
    expected = mean + np.clip(1e-4 - mean, -5e-4, 5e-4)
    assert np.abs(one["FUNDING.rate"][first] - expected).max() < 3e-8
    assert (one["FUNDING.next_ns"] > one["FUNDING.ts_ns"]).all()
    assert (one["FUNDING.next_ns"] - one["FUNDING.ts_ns"] <= 8 * HOUR_NS).all()
    assert (one["FUNDING.next_ns"] % (8 * HOUR_NS) == 0).all()


def test_the_premium_wanders_as_told() -> None:
    """Its mean and standard deviation over many days are those of the settings."""
    quotes = Quotes(premium_bps=5.0, premium_sd_bps=3.0, premium_half_life="5m")
    model = msgspec.structs.replace(MARKS, quotes=quotes, days=40.0, step="1m")
    one = of_symbol(generated(model, SEED), 0)
    premium = (one["MARK.price"] / one["INDEX.price"] - 1.0) * 1e4
    # 40 days hold 5,760 times 10 minutes, the time after which little is left of a premium.
    assert abs(premium.mean() - 5.0) < 4 * 3.0 / np.sqrt(2_000)
    assert abs(premium.std() - 3.0) < 0.2


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"step": "7s"}, "divide a minute"),
        ({"step": "0s"}, "divide a minute"),
        ({"step": "25h"}, "divide a minute"),
        ({"days": 1e-6}, "must hold a step"),
        ({"days": 36_000.0, "step": "1ms"}, "steps, expected at most"),
        ({"start": "yesterday"}, "start must be a date"),
        ({"symbols": ("BTC USDT",)}, "expected a name such as BTCUSDT"),
        ({"symbols": ("BTCUSDT", "BTCUSDT")}, "a name twice"),
        ({"prices": {"ETHUSDT": 1.0}}, "not among symbols"),
        ({"scales": {"ETHUSDT": 1.0}}, "not among symbols"),
        ({"drift": float("nan")}, "finite"),
        ({"quotes": Quotes(premium_half_life="0s")}, "longer than 0"),
    ],
)
def test_settings_that_make_no_market_are_refused(settings: dict[str, Any], said: str) -> None:
    """Each with what was expected."""
    with pytest.raises(ValueError, match=said):
        Gbm(**settings)


@pytest.mark.parametrize(
    "model",
    [
        Gbm(volatility=100.0, days=36_600.0, step="1d"),
        Gbm(drift=1e6, days=30.0, step="1m", rows="marks"),
        Gbm(scales={"BTCUSDT": 1e12}),
    ],
    ids=["so many days", "drift", "one step"],
)
def test_a_price_that_leaves_all_numbers_is_refused(model: Generator) -> None:
    """Sums of 64 bits that wrap would make a crash of a boom, and a mark of nothing. Catches the
    wrap, and a cast that takes what it cannot hold."""
    with pytest.raises(ConfigError, match="leaves all numbers"):
        for _ in generated(model, SEED).steps(block_rows=None):
            pass


@pytest.mark.parametrize(
    ("model", "settings", "said"),
    [
        (Hawkes, {"step": "1d"}, "make the step shorter"),
        (Hawkes, {"half_life": "30d", "branching": 0.99}, "make the half_life shorter"),
        (Contagion, {"jumps_per_year": 1e12}, "events would be drawn at once"),
    ],
)
def test_more_events_than_memory_are_refused(
    model: Any, settings: dict[str, Any], said: str
) -> None:
    """A chunk of steps is drawn at once, however few of them are shown: half a billion trades of a
    default model with steps of a day."""
    with pytest.raises(ValueError, match=said):
        model(**settings)


def test_an_opening_price_has_a_price_step() -> None:
    """Steps of a price of 1e-320 would be more than any number counts."""
    with pytest.raises(msgspec.ValidationError, match="1e-12"):
        msgspec.convert({"model": "gbm", "prices": {"BTCUSDT": 1e-320}}, Generator)


def test_jumps_that_never_come_leave_the_price_alone() -> None:
    """Times beyond all numbers are no times of the market, and no warning."""
    rare = Contagion(jumps_per_year=1e-300, volatility=0.0, rows="marks", step="1m", days=0.1)
    assert set(of_symbol(generated(rare, SEED), 0)["MARK.price"].tolist()) == {100_000.0}

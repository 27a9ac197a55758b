"""Tests of ``engine/config``: files, changes, what is filled in, and what is said when it is
wrong."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from msgspec.structs import replace

from engine.config import (
    RunConfig,
    duration_ns,
    load_config,
    resolved_toml,
    spec_of,
    standard_lineup,
    write_toml,
)
from engine.config.assumptions import assumptions
from engine.config.rates import funding_instants
from engine.config.toml_text import lines_of
from engine.durations import duration_text
from engine.errors import ConfigError, InputError
from engine.ticks import Kind
from engine.units import HOUR_NS
from feeds.recording import SymbolInfo
from strategies import LeverageBand, MarginFloor, TrendVol

EXAMPLE = """
seed = 7
bars = "ohlc"
[[markets]]
symbol = "BTCUSDT"
contract = { kind = "linear", price_step = 0.1, lot_size = 0.000001, taker_fee = 0.0004 }
book = { model = "flat", half_spread_bps = 0.0 }
venue = { preset = "binance" }
funding = { source = "recorded" }
[[products]]
id = "BTC3L"
symbol = "BTCUSDT"
seed_capital = 1_000_000
latency_ms = 250
policies = [ { type = "leverage_band", target = 3.0, low = 2.4, high = 3.6 } ]
terms = { pack = "none" }
[[users]]
id = "alice"
holdings = { BTC3L = 1000.0 }
[output]
nav_every = "1s"
user_nav_every = "1m"
"""


def a_symbol(name: str = "BTCUSDT", **fields: object) -> SymbolInfo:
    known = {
        "base": "BTC",
        "quote": "USDT",
        "contract": "linear",
        "contract_size": 1.0,
        "kinds": (Kind.TRADE, Kind.BBO, Kind.MARK, Kind.INDEX, Kind.FUNDING),
    }
    return SymbolInfo(symbol=name, **{**known, **fields})  # type: ignore[arg-type]


TICKS = (a_symbol(),)
BARS = (a_symbol(kinds=(Kind.TRADE,), bar_ns=3_600 * 10**9),)


@pytest.fixture
def example(tmp_path: Path) -> Path:
    path = tmp_path / "run.toml"
    path.write_text(EXAMPLE)
    return path


def said(text: str, tmp_path: Path, *sets: str, symbols: tuple[SymbolInfo, ...] = TICKS) -> str:
    path = tmp_path / "bad.toml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_config(path, sets, symbols=symbols)
    assert caught.value.exit_code == 3
    return str(caught.value).replace(f"{tmp_path}/", "")


# Reading ------------------------------------------------------------------------------


def test_example_of_the_design(example: Path) -> None:
    """The example of the design loads, and the heart gets what it says."""
    config = load_config(example, symbols=TICKS)
    spec = spec_of(config, TICKS)
    product, market = spec.products[0], spec.markets[0]
    assert spec.symbols == ("BTCUSDT",)
    assert product.seed_atoms == 1_000_000 * 10**6
    assert product.holdings == ((0, 1_000 * 10**6),)
    assert product.hedge.latency_ns == 250_000_000
    assert spec.users == ("alice",)
    assert spec.policies == ((LeverageBand(target=3.0, low=2.4, high=3.6),),)
    assert market.book.model == "flat"
    assert market.contract.taker_fee == 0.0004
    assert market.mark_source == "mark"
    assert spec.sampling.nav_every_ns == 10**9
    assert spec.sampling.user_nav_every_ns == 60 * 10**9


@pytest.mark.parametrize("symbols", [TICKS, BARS, (a_symbol(contract="spot"),)])
def test_resolved_reads_back(symbols: tuple[SymbolInfo, ...], tmp_path: Path) -> None:
    """A resolved configuration reads back equal, and resolving it again changes nothing."""
    config = standard_lineup(symbols)
    path = tmp_path / "run.toml"
    path.write_text(resolved_toml(config))
    again = load_config(path, symbols=symbols)
    assert again == config
    assert resolved_toml(again) == resolved_toml(config)
    assert spec_of(again, symbols).config_hash == spec_of(config, symbols).config_hash


def test_provenance_is_no_setting(example: Path) -> None:
    """What a run notes about itself does not change the configuration."""
    before = load_config(example)
    note = write_toml({"provenance": {"levsim": "0.1.0", "inputs": [{"path": "a b", "bytes": 3}]}})
    example.write_text(f"{EXAMPLE}\n{note}")
    assert load_config(example) == before


def test_writer_round_trips_everything() -> None:
    """Texts with quotes, controls and emoji, odd keys, infinities and deep tables read back."""
    import tomllib

    settings = {
        "a": 'say "hi"\n\t\x7f \N{GRINNING FACE}',
        "b c": [1, 2.5, math.inf, -math.inf, True, "x"],
        "d": {"e f": {"g": [{"h": 1}, {"h": 2}]}, "i": []},
        "j": [{"k": {"l": 0.1}}, {"m": [{"n": 1e-300}]}],
        "o": None,
    }
    found = tomllib.loads(write_toml(settings))
    del settings["o"]
    assert found == settings


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("90s", 90 * 10**9),
        ("5m", 300 * 10**9),
        ("1.5h", 5_400 * 10**9),
        ("250ms", 250_000_000),
        ("7ns", 7),
    ],
)
def test_durations(text: str, ns: int) -> None:
    """A duration is a number with its unit."""
    assert duration_ns(text) == ns
    assert duration_ns(duration_text(ns)) == ns


def test_lines() -> None:
    """Every key knows its line, in headers, dotted keys, lists and inline tables over several
    lines."""
    lines = lines_of(
        '# first\na.b = 1\n[[t]]\nx = """\n[[no]]\n""" # y\n[t.u]\n"q.r" = [\n  { s = 1 }, # c, d\n'
        "  { s = ']' },\n]\n[[t]]\nz = { w = { v = 2 } }\n"
    )
    assert lines["a", "b"] == 2
    assert lines["t", 0] == 3
    assert lines["t", 0, "x"] == 4
    assert lines["t", 0, "u", "q.r", 1, "s"] == 10
    assert lines["t", 1, "z", "w", "v"] == 13


# Complaints ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("seed = 7", "sed = 7", 'bad.toml:2: sed is not a setting; did you mean "seed"?'),
        ("seed = 7", 'seed = "x"', "bad.toml:2: seed: expected `int`, got `str`"),
        ("seed = 7", "seed 7", "bad.toml:2: not TOML: Expected '=' after a key"),
        (
            "high = 3.6",
            "hihg = 3.6",
            'bad.toml:15: products[0].policies[0].hihg is not a setting; did you mean "high"?',
        ),
        (", high = 3.6", "", "bad.toml:15: products[0].policies[0].high is missing"),
        ("low = 2.4", "low = 3.2", "bad.toml:15: products[0].policies[0]: leverage_band wants"),
        (
            '"leverage_band"',
            '"leverage_bnd"',
            (
                'bad.toml:15: products[0].policies[0].type is "leverage_bnd"; '
                'did you mean "leverage_band"?'
            ),
        ),
        ('"flat"', '"flatt"', 'bad.toml:7: markets[0].book.model is "flatt"; did you mean "flat"?'),
        (
            'model = "flat"',
            'model = "recorded"',
            'bad.toml:7: BTCUSDT: the data hold no L2 book; model can be "depth" or "flat"',
        ),
        (
            'model = "flat"',
            'model = "depth", beta_near = 0.0',
            "bad.toml:7: beta_near must be >= 0.1, was 0.0",
        ),
        (
            'model = "flat"',
            'model = "flat", queue = { exponent = 1000.0 }',
            "bad.toml:7: exponent must be <= 100, was 1000.0",
        ),
        (
            "latency_ms = 250",
            'hedge = { plan = { type = "limit", offset_bps = 1e4 } }',
            "bad.toml:14: products[0].hedge.plan: limit: offset_bps must lie within 5000 of 0",
        ),
        (
            "latency_ms = 250",
            'hedge = { plan = { type = "limit", timeout_s = -1.0 } }',
            "bad.toml:14: products[0].hedge.plan: limit: timeout_s must be from 0 to a day",
        ),
        ('"1s"', '"1 second"', 'bad.toml:21: output.nav_every: expected a duration such as "90s"'),
        ('"1s"', '"1s\\n"', 'bad.toml:21: output.nav_every: expected a duration such as "90s"'),
        ('"1s"', "1", "bad.toml:21: output.nav_every: expected"),
        ('"binance"', '"binanse"', 'bad.toml:8: markets[0].venue.preset is "binanse"'),
        (
            "BTC3L = 1000.0",
            "BTC3X = 1.0",
            'bad.toml:19: there is no product "BTC3X"; did you mean "BTC3L"?',
        ),
        ("BTC3L = 1000.0", "BTC3L = -1.0", "bad.toml:19: BTC3L must be quote > 0, was -1.0"),
        ("0.0004", "-0.1", "bad.toml:6: taker_fee must be >= 0, was -0.1"),
        ("1_000_000", "0", "bad.toml:13: seed_capital must be > 0, was 0.0"),
        ("latency_ms = 250", "latency_ms = nan", "bad.toml:14: latency_ms must be >= 0, was nan"),
        (
            'id = "BTC3L"\nsymbol = "BTCUSDT"',
            'id = "BTC3L"\nsymbol = "BTCUSD"',
            'bad.toml:12: the data hold no symbol "BTCUSD"; did you mean "BTCUSDT"?',
        ),
    ],
)
def test_complaints(before: str, after: str, expected: str, tmp_path: Path) -> None:
    """A wrong setting is named with file, line and nearest right name."""
    assert said(EXAMPLE.replace(before, after), tmp_path).startswith(expected)


def test_twice(tmp_path: Path) -> None:
    """A product, a market and a user are configured once."""
    products, markets, users = "[[products]]", "[[markets]]", "[[users]]"
    text = EXAMPLE + EXAMPLE[EXAMPLE.index(products) : EXAMPLE.index(users)]
    assert "bad.toml:24: product BTC3L is configured twice" in said(text, tmp_path)
    text = EXAMPLE + EXAMPLE[EXAMPLE.index(markets) : EXAMPLE.index(products)]
    assert "market BTCUSDT is configured twice" in said(text, tmp_path)
    text = EXAMPLE.replace(users, '[[users]]\nid = "alice"\n[[users]]')
    assert "user alice is configured twice" in said(text, tmp_path)
    text = EXAMPLE.replace('"alice"', '"u3"') + "[population]\ncount = 3\n"
    assert "user u3 is one of the population" in said(text, tmp_path)


def test_files_that_are_none(tmp_path: Path) -> None:
    """A file that is missing, a folder, or no text is said to be so."""
    with pytest.raises(ConfigError, match="no such configuration file"):
        load_config(tmp_path / "none.toml")
    with pytest.raises(ConfigError, match="is a folder"):
        load_config(tmp_path)
    (tmp_path / "b.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="not UTF-8"):
        load_config(tmp_path / "b.toml")
    (tmp_path / "c.toml").write_text("a = 1\nb = [")
    with pytest.raises(ConfigError, match=r"c\.toml:2: not TOML: .*end of the file"):
        load_config(tmp_path / "c.toml")


def test_mark_that_the_data_lack(tmp_path: Path) -> None:
    """A mark source must be in the data, and dense enough."""
    assert "quotes are not in the data; mark can be last" in said(
        EXAMPLE.replace("[[products]]", 'mark = "mid"\n[[products]]'), tmp_path, symbols=BARS
    )
    coarse = (a_symbol(kinds=(Kind.TRADE, Kind.MARK), bar_ns=60 * 10**9, mark_ns=8 * HOUR_NS),)
    assert "too sparse" in said(
        EXAMPLE.replace("[[products]]", 'mark = "mark"\n[[products]]'), tmp_path, symbols=coarse
    )


# Changes ------------------------------------------------------------------------------


def test_sets_change_the_lineup() -> None:
    """``--set`` reaches into the standard line-up, by index and by name, values as in TOML."""
    config = load_config(
        None,
        [
            "products.0.policies.0.low=2.997",
            "products.BTC3L.policies[0].high = 3.003",
            "markets.BTCUSDT.contract.taker_fee=0",
            "products.1.latency_ms=5",
            "bars=close",
            'output.nav_every="5s"',
            "population.count=3",
        ],
        symbols=TICKS,
    )
    assert config.products[0].policies[0] == LeverageBand(target=3.0, low=2.997, high=3.003)
    assert config.markets[0].contract.taker_fee == 0.0
    assert config.products[1].latency_ms == 5.0
    assert config.bars == "close"
    assert config.output.nav_every == "5s"
    assert config.population.count == 3


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("products.0.policies.0.lwo=2", "products[0].policies[0].lwo is not a setting"),
        ("products.9.limit=2", "there is no products[9]; there are 7 (0 to 6)"),
        ("products.BTC4L.limit=2", "products has no 'BTC4L'; known are BTC3L"),
        ("seed", "expected KEY=VALUE"),
        ("seed=fast", "seed: expected `int`, got `str`"),
        ("seed.x=1", "seed has no settings inside"),
        ("sed=1", 'did you mean "seed"?'),
        ("products..x=1", "is no dotted path"),
        ("products.0.limit=-1", "limit must be > 0, was -1"),
        ("products.0.limit=2", "leverage 3 is beyond the product's limit 2"),
        ("policy.x=1", "policy.* belongs to --policy"),
    ],
)
def test_wrong_sets(given: str, expected: str) -> None:
    """A wrong ``--set`` is quoted in its error."""
    with pytest.raises(ConfigError) as caught:
        load_config(None, [given], symbols=TICKS)
    assert str(caught.value).startswith(f"--set {given}: ")
    assert expected in str(caught.value)


def test_policy_takes_the_dynamic_place(tmp_path: Path) -> None:
    """``--policy`` takes the place of the dynamic policies; the short twin leaves the line-up."""
    file = tmp_path / "mine.py"
    file.write_text("class Two:\n    def target(self, market, position):\n        return 2.0\n")
    config = load_config(None, ["policy.review=10s"], symbols=TICKS, policy=f"{file}:Two")
    assert [p.id for p in config.products] == [
        *("BTC3L", "BTC3S", "BTC-SMART-L", "BTC-SPOT", "BTC-FUT10L", "BTC-LOAN3L")
    ]
    mine, floor = config.products[2].policies
    assert (mine.path, mine.review) == (f"{file}:Two", "10s")  # type: ignore[union-attr]
    assert floor == MarginFloor()
    spec = spec_of(config, TICKS)
    assert spec.policies[2][0].review_ns == 10 * 10**9  # type: ignore[attr-defined]
    built_in = load_config(None, ["policy.target_vol=0.4"], symbols=TICKS, policy="trend-vol")
    assert built_in.products[2].policies[0] == TrendVol(target_vol=0.4)
    with pytest.raises(
        ConfigError, match="--policy trend_vol: traget_vol is not a setting; did you mean"
    ):
        load_config(None, ["policy.traget_vol=1"], symbols=TICKS, policy="trend_vol")


def test_files_beside_the_configuration(tmp_path: Path) -> None:
    """A policy file and a funding file are found beside the configuration that names them."""
    (tmp_path / "mine.py").write_text(
        "class Two:\n    def target(self, market, position):\n        return 2\n"
    )
    (tmp_path / "rates.csv").write_text(
        "ts,rate\n1700000000,0.0001\n2023-11-15T08:00:00Z,-0.0002\n"
    )
    path = tmp_path / "run.toml"
    path.write_text(
        EXAMPLE.replace('{ source = "recorded" }', '{ file = "rates.csv" }').replace(
            '{ type = "leverage_band", target = 3.0, low = 2.4, high = 3.6 }',
            '{ type = "user", path = "mine.py:Two", review = "30s" }',
        )
    )
    config = load_config(path, symbols=TICKS)
    mine = config.products[0].policies[0]
    assert mine.path == f"{tmp_path / 'mine.py'}:Two"  # type: ignore[union-attr]
    spec = spec_of(config, TICKS)
    assert spec.markets[0].funding.instants == (
        (1_700_000_000 * 10**9, 0.0001),
        (1_700_035_200 * 10**9, -0.0002),
    )
    assert [type(p).__name__ for p in spec.policies[0]] == ["SmallPolicy", "MarginFloor"]
    (tmp_path / "rates.csv").write_text("ts,rate\n1700000000,x\n")
    with pytest.raises(ConfigError, match=r"run\.toml:9: .*rates\.csv:2: expected ts,rate"):
        load_config(path, symbols=TICKS)


# The line-up --------------------------------------------------------------------------


def test_lineup_on_a_perpetual() -> None:
    """Seven products on a perpetual, with Gate's bands and a margin floor."""
    config = standard_lineup(TICKS)
    assert [p.id for p in config.products] == [
        "BTC3L",
        "BTC3S",
        "BTC-SMART-L",
        "BTC-SMART-S",
        "BTC-SPOT",
        "BTC-FUT10L",
        "BTC-LOAN3L",
    ]
    assert config.products[0].policies == (
        LeverageBand(target=3.0, low=2.25, high=4.125),
        MarginFloor(),
    )
    assert config.products[1].policies == (
        LeverageBand(target=-3.0, low=1.5, high=5.25),
        MarginFloor(),
    )
    assert config.markets[0].book.depth_at_1pct == 244e6
    assert config.markets[0].contract.taker_fee == 0.0004
    assert (config.products[4].kind, config.products[4].seed_capital) == ("spot", 1_000_000)


def test_lineup_names_that_collide() -> None:
    """Two perpetuals of one asset have their symbol in the names; spot beside perpetuals is left
    out."""
    symbols = (
        a_symbol(),
        a_symbol("BTCUSD_PERP", contract="inverse", contract_size=100.0, quote="USD"),
        a_symbol("ETHUSDT", base="ETH"),
        a_symbol("BTCUSDT-SPOT", contract="spot"),
        a_symbol("DOGEUSDT", base="DOGE", kinds=(Kind.FUNDING,)),
    )
    config = standard_lineup(symbols)
    ids = [p.id for p in config.products]
    assert "BTC3L@BTCUSDT" in ids
    assert "BTC-SPOT@BTCUSD_PERP" in ids
    assert "ETH3L" in ids
    assert len(ids) == 21
    inverse = next(m for m in config.markets if m.symbol == "BTCUSD_PERP").contract
    assert (inverse.kind, inverse.contract_size, inverse.lot_size) == ("inverse", 100.0, 1.0)
    assert len(spec_of(config, symbols).products) == 21


def test_lineup_on_bars_and_spot() -> None:
    """Bars set the grid of signals and staleness; spot stands in for a perpetual, and that is
    said."""
    config = standard_lineup((replace_symbol(BARS[0], contract="spot"),))
    market = config.markets[0]
    assert (market.signals.every, market.stale_after, market.mark) == ("1h", "3h", "last")
    assert config.products[2].policies[0].review_s == 3_600.0  # type: ignore[union-attr]
    names = [line.partition(":")[0] for line in assumptions(config, BARS)]
    assert "funding_zero" in names
    assert "bars_as_ticks" in names
    spot = assumptions(config, (replace_symbol(BARS[0], contract="spot"),))
    assert any(line.startswith("perpetual_priced_from_spot: BTCUSDT") for line in spot)


def replace_symbol(info: SymbolInfo, **fields: object) -> SymbolInfo:
    return replace(info, **fields)


def test_lineup_without_prices() -> None:
    """Data without prices are an error of the data."""
    with pytest.raises(InputError, match="hold no prices"):
        standard_lineup((a_symbol(kinds=(Kind.FUNDING,)),))


def test_assumptions_follow_the_settings() -> None:
    """What is assumed is what the data or the settings do not say."""
    config = load_config(
        None, ["markets.0.funding.rate_8h=0.0001", 'markets.0.book={model="flat"}'], symbols=TICKS
    )
    names = {line.partition(":")[0] for line in assumptions(config, TICKS)}
    assert {
        "funding_constant",
        "unlimited_depth",
        "no_latency",
        "gate_bands",
        "largest_aum",
    } <= names
    assert "depth" not in names
    assert "funding_zero" not in names


def test_a_population_is_one_line() -> None:
    """A million numbered users cost no table. Catches rows made before the engine needs them."""
    config = load_config(None, ["population.count=1000", "population.quote=5"], symbols=TICKS)
    spec = spec_of(config, TICKS)
    assert spec.products[0].population == (1_000, 5_000_000)
    assert spec.products[0].holdings == ()
    assert spec.population == 1_000
    assert spec.sampling.user_nav_every_ns == 60 * 10**9
    many = spec_of(replace(config, population=replace(config.population, count=10_001)), TICKS)
    assert many.sampling.user_nav_every_ns == 0


def test_empty_configuration_is_the_lineup(tmp_path: Path) -> None:
    """A file without products leaves them to the line-up."""
    path = tmp_path / "run.toml"
    path.write_text("seed = 11\n")
    config = load_config(path, symbols=TICKS)
    assert config.seed == 11
    assert replace(config, seed=7) == standard_lineup(TICKS)
    assert load_config(path) == RunConfig(seed=11)


# How brokers are reached --------------------------------------------------------------

KAFKA = """[kafka]
security_protocol = "SASL_SSL"
sasl_mechanism = "SCRAM-SHA-512"
sasl_username = "engine"
sasl_password_file = "password"
"""


def test_kafka_table_is_kept_and_changes_no_run(tmp_path: Path) -> None:
    """The table comes back from the resolved text, with the file beside the configuration found,
    and a snapshot of a run fits whoever may read it."""
    path = tmp_path / "run.toml"
    path.write_text(KAFKA)
    (tmp_path / "password").write_text("correct-horse-7261")
    config = load_config(path, symbols=TICKS)
    assert config.kafka is not None
    assert config.kafka.sasl_password_file == str(tmp_path / "password")
    text = resolved_toml(config)
    assert "correct-horse" not in text
    (tmp_path / "again.toml").write_text(text)
    assert load_config(tmp_path / "again.toml", symbols=TICKS) == config
    bare = spec_of(replace(config, kafka=None), TICKS)
    assert spec_of(config, TICKS).config_hash == bare.config_hash
    assert spec_of(replace(config, seed=8), TICKS).config_hash != bare.config_hash


def test_when_users_are_packed_is_configured(tmp_path: Path) -> None:
    """Beside the brokers the table says from how many users on their NAVs are packed; it changes
    no run."""
    path = tmp_path / "run.toml"
    path.write_text("[kafka]\nuser_blocks_above = 7\n")
    config = load_config(path, symbols=TICKS)
    assert config.kafka is not None
    assert config.kafka.user_blocks_above == 7
    bare = replace(config, kafka=None)
    assert spec_of(config, TICKS).config_hash == spec_of(bare, TICKS).config_hash


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[kafka]\nuser_blocks_above = -1\n", ":2: .*user_blocks_above"),
        (f'{KAFKA}sasl_password = "correct-horse-7261"\n', ":6: .*sasl_password"),
        (KAFKA.replace("SASL_SSL", "SSL"), ":1: .*knows no users"),
        (KAFKA.replace("sasl_user", "sasl_usr"), ":4: .*sasl_username"),
    ],
)
def test_bad_kafka_tables_are_located(tmp_path: Path, text: str, told: str) -> None:
    """A secret in the file, a contradiction and a slip are errors with their line; the secret is
    not repeated."""
    path = tmp_path / "run.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=told) as caught:
        load_config(path)
    assert "correct-horse" not in str(caught.value)


@pytest.mark.parametrize(
    ("rows", "rates"),
    [
        ("1700000000,0.0001,BTCUSDT\n1700028800,0.0002,BTCUSDT\n", (0.0001, 0.0002)),
        ("1700000000,.0001\n1700028800,0.0002\n", (0.0001, 0.0002)),
        ("\ufeff1700000000,0.0001\n", (0.0001,)),
        ("\ufeffts,rate,symbol\n1700000000,0.0001,BTCUSDT\n", (0.0001,)),
        ("1700000000,0.0001\n1700000000,0.0001\n", (0.0001,)),
    ],
)
def test_no_rate_of_a_file_is_taken_for_a_header(
    tmp_path: Path, rows: str, rates: tuple[float, ...]
) -> None:
    """A first line that begins with a time is a rate, whatever else stands in it."""
    file = tmp_path / "rates.csv"
    file.write_text(rows, encoding="utf-8")
    assert tuple(rate for _, rate in funding_instants(str(file), "BTCUSDT")) == rates


def test_a_file_of_rates_that_contradicts_itself_or_is_no_text(tmp_path: Path) -> None:
    """An instant has one rate; bytes that are no text are told."""
    file = tmp_path / "rates.csv"
    file.write_text("1700000000,0.0001\n1700000000,0.0002\n")
    with pytest.raises(ConfigError, match=r"csv:2: an instant has one rate, was 0.0001 and 0.0002"):
        funding_instants(str(file), "BTCUSDT")
    file.write_bytes(b"ts,rate\n17000\xe9,0.0001\n")
    with pytest.raises(ConfigError, match=r"not UTF-8 text \(byte 13\)"):
        funding_instants(str(file), "BTCUSDT")


def test_a_recorded_rate_that_is_late_replaces_none(tmp_path: Path) -> None:
    """Of an instant the last rate up to it counts, or the first one behind it where it was never
    told before. Catches a feed that goes on naming what was settled."""
    file, hour = tmp_path / "rates.raw", 3_600_000
    told = [(-5, 0, 0.0001), (-1, 0, 0.0002), (1, 0, 0.0009), (2, 8, 0.0003), (9, 8, 0.0008)]
    told += [(17, 16, 0.0004), (18, 16, 0.0007)]
    lines = []
    for at, due, rate in told:
        said = {"e": "markPriceUpdate", "E": 1_700_006_400_000 + at * hour, "s": "BTCUSDT"}
        said |= {"p": "1.0", "i": "1.0", "P": "1.0", "r": f"{rate:.4f}"}
        said["T"] = 1_700_006_400_000 + due * hour
        stream = {"stream": "btcusdt@markPrice@1s", "data": said}
        lines.append(f"{said['E']}000000 {json.dumps(stream)}\n")
    file.write_text("".join(lines))
    rates = [rate for _, rate in funding_instants(str(file), "BTCUSDT")]
    assert rates == [0.0002, 0.0003, 0.0004]


def test_caps_are_counted_in_atoms(tmp_path: Path) -> None:
    """Half a dollar is an amount, and more dollars than can be counted are told with their line."""
    path = tmp_path / "run.toml"
    policy = '{ type = "leverage_band", target = 3.0, low = 2.4, high = 3.6 }'
    product = f'[[products]]\nid = "P"\nsymbol = "BTCUSDT"\npolicies = [{policy}]\n'
    path.write_text(f"{product}terms = {{ offering = {{ request_max = 0.5 }} }}\n")
    assert spec_of(load_config(path, symbols=TICKS), TICKS).products[0].terms.offering is not None
    path.write_text(f"{product}terms = {{ offering = {{ request_max = 1e16 }} }}\n")
    with pytest.raises(ConfigError, match=r"run\.toml:5: request_max must be an amount > 0"):
        load_config(path, symbols=TICKS)

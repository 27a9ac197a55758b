"""Tests of ``engine/config``: presets of venues, what lies over them, and what is too large."""

from __future__ import annotations

import json
import math
import tomllib
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from engine.config import (
    PRESETS,
    RunConfig,
    facts_of,
    load_config,
    preset,
    resolved_toml,
    spec_of,
    standard_lineup,
    venue_rules,
)
from engine.config.assumptions import assumptions
from engine.config.margins import far_edges
from engine.config.settings import ContractConfig, MarketConfig, ProductConfig
from engine.config.venue_settings import VenueConfig
from engine.errors import ConfigError
from engine.ticks import Kind
from engine.units import HOUR_NS, MINUTE_NS, SECOND_NS
from engine.venue.rules import FeeTier, VenueRules
from engine.venue.tiers import tier_fault
from feeds.recording import SymbolInfo
from strategies import LeverageBand, MarginFloor, Schedule, TrendVol

TIER = "{ cap = 2e6, max_leverage = 20, rate = 0.02 }"
FREE = "{ volume = 0.0, maker = 0.0, taker = 0.0 }"
BASES = ("BTC", "ETH", "SOL", "DOGE", "XRP", "PEPE")
ROOT = Path(__file__).parents[2]


def a_symbol(name: str = "BTCUSDT", **fields: object) -> SymbolInfo:
    known = {
        "base": "BTC",
        "quote": "USDT",
        "contract": "linear",
        "contract_size": 1.0,
        "kinds": (Kind.TRADE, Kind.MARK),
        "decade": 1e4,
    }
    return SymbolInfo(symbol=name, **{**known, **fields})  # type: ignore[arg-type]


DATA = (a_symbol(),)
COIN = (a_symbol("XBTUSD", quote="USD", contract="inverse"),)


def loaded(
    tmp_path: Path, venue: str, *sets: str, symbols: tuple[SymbolInfo, ...] = DATA
) -> RunConfig:
    """A configuration of one market; ``venue`` is the inside of its table."""
    path = tmp_path / "c.toml"
    path.write_text(f'[[markets]]\nsymbol = "{symbols[0].symbol}"\nvenue = {{ {venue} }}\n')
    return load_config(path, sets, symbols=symbols)


def rules(tmp_path: Path, venue: str, *sets: str) -> VenueRules:
    return spec_of(loaded(tmp_path, venue, *sets), DATA).markets[0].venue


def said(tmp_path: Path, venue: str, *sets: str) -> str:
    with pytest.raises(ConfigError) as caught:
        loaded(tmp_path, venue, *sets)
    assert caught.value.exit_code == 3
    return str(caught.value).replace(f"{tmp_path}/", "")


def of(name: str, base: str = "BTC", **fields: Any) -> VenueRules:
    """The rules of a preset for a linear contract."""
    contract = ContractConfig(base=base, quote="USDT")
    return venue_rules(VenueConfig(preset=name, **fields), contract)  # type: ignore[arg-type]


# The files ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_complete_for_every_asset(name: str) -> None:
    """Tiers that can be, fees, sources, and a sentence for each assumption."""
    known = preset(name)
    assert known.title
    assert known.as_of
    assert known.sources
    for base in BASES:
        found = of(name, base)
        assert found.name == name
        assert found.margin.tiers
        assert tier_fault(found.margin.tiers) is None
        assert found.fees[0].volume == 0.0
        assert found.adl.ranking == name
        facts = facts_of(VenueConfig(preset=name), base, "linear")  # type: ignore[arg-type]
        assert facts.taker_fee is not None
        assert all(sentence for sentence in known.assumptions(base).values())


def test_presets_hold_the_recorded_tables(shared_reference: Path) -> None:
    """Binance and Bybit to the last number; Bybit's twenty, Gate's four and Hyperliquid's lie at
    the beginning."""
    venues = json.loads((shared_reference / "leverage_tiers_compact.json").read_text())["venues"]
    for venue, name in (("binance_usdm", "binance"), ("bybit_linear", "bybit")):
        for symbol, rows in venues[venue]["symbols"].items():
            tiers = of(name, symbol.split("/")[0]).margin.tiers
            stated = [
                (row["cap"], row["max_leverage"], row["mmr"], row["deduction"]) for row in rows
            ]
            held = [(tier.cap, tier.max_leverage, tier.rate, tier.deduction) for tier in tiers]
            assert held[: len(rows)] == stated
            assert name == "bybit" or len(held) == len(rows)
    gate = of("gate").margin.tiers
    for row in venues["gate_usdt_live_api"]["symbols"]["BTC/USDT"]:
        tier = gate[row["tier"] - 1]
        assert (tier.cap, tier.max_leverage, tier.rate, tier.deduction) == (
            row["cap"],
            row["max_leverage"],
            row["mmr"],
            row["deduction"],
        )
        assert (tier.initial_rate or 1.0 / tier.max_leverage) == pytest.approx(row["imr"])
    for base, rows in venues["hyperliquid"]["symbols"].items():
        for tier, row in zip(of("hyperliquid", base).margin.tiers, rows, strict=True):
            assert tier.cap == (row["cap"] or math.inf)
            assert tier.max_leverage == row["max_leverage"]
            assert tier.rate == pytest.approx(0.5 / row["max_leverage"])
    large = venues["dydx_v4"]["tiers"]["Large-Cap"]
    small = venues["dydx_v4"]["tiers"]["Small-Cap"]
    for base, row in (("BTC", large), ("PEPE", small)):
        (tier,) = of("dydx", base).margin.tiers
        assert (1.0 / tier.max_leverage, tier.rate) == (row["imf"], row["mmf"])
        caps = (row["oi_lower"], row["oi_upper"])
        assert of("dydx", base).margin.open_interest == (caps if caps[1] else None)


def test_what_venues_do_differs_as_published() -> None:
    """One fact a venue that no other shares."""
    assert of("binance").liquidation.steps == "tier"
    assert of("binance").mark.basis_points == 30
    assert of("binance").funding.sample_ns == 5 * SECOND_NS
    assert of("bybit").margin.priced_at == "entry"
    assert of("bybit").adl.mark_beyond == 0.05
    assert of("gate").margin.taker_fee_inside
    assert of("bitmex").margin.caps_in == "settlement"
    assert of("bitmex", "PEPE").margin.caps_in == "quote"
    assert of("bitmex").funding.offset_ns == 4 * HOUR_NS
    assert of("bitmex").mark.funding_grid_ns == MINUTE_NS
    hyperliquid = of("hyperliquid")
    assert hyperliquid.liquidation.portion == 0.2
    assert hyperliquid.liquidation.cooldown_ns == 30 * SECOND_NS
    assert hyperliquid.adl.price == "previous_mark"
    assert hyperliquid.funding.interval_ns == HOUR_NS
    assert (hyperliquid.orders.significant_figures, hyperliquid.orders.price_decimals) == (5, 1)
    assert of("dydx").margin.of_initial
    assert of("dydx").funding.clamp is None
    assert of("dydx").liquidation.step_max == 100_000.0


def test_a_contract_is_the_presets_where_it_is_left_open() -> None:
    """Step, lot and fees of the preset; of an inverse contract at a linear venue only the fees."""
    gate = facts_of(VenueConfig(preset="gate"), "BTC", "linear")
    assert (gate.price_step, gate.lot_size, gate.taker_fee, gate.maker_fee) == (
        *(0.1, 0.0001),
        *(0.00075, -0.0001),
    )
    other = facts_of(VenueConfig(preset="gate"), "BTC", "inverse")
    assert (other.price_step, other.lot_size, other.taker_fee) == (None, None, 0.00075)
    bitmex = facts_of(VenueConfig(preset="bitmex"), "BTC", "inverse")
    assert (bitmex.lot_size, bitmex.price_step) == (100.0, 0.1)


def test_fees_are_those_of_the_volume() -> None:
    """The last tier that the volume reaches; without a volume the contract's own, if it has any."""
    tiers = (
        FeeTier(volume=0.0, maker=0.0002, taker=0.0005),
        FeeTier(volume=1e6, maker=0.0001, taker=0.0004),
    )
    chosen = [
        facts_of(VenueConfig(fees=tiers, volume=volume), "BTC", "linear").taker_fee
        for volume in (None, 0.0, 999_999.0, 1e6, 1e9)
    ]
    assert chosen == [0.0005, 0.0005, 0.0005, 0.0004, 0.0004]
    assert facts_of(VenueConfig(), "BTC", "linear").taker_fee == 0.0004
    assert facts_of(VenueConfig(volume=0.0), "BTC", "linear").taker_fee == 0.0005


# Configurations -----------------------------------------------------------------------


def test_without_a_venue_a_market_is_what_it_was() -> None:
    """The standard line-up trades with 4 and 2 bp, on a step of 0.1, in the data's lots, with the
    rules of Binance beside it."""
    market = spec_of(standard_lineup(DATA), DATA).markets[0]
    contract = market.contract
    assert (contract.taker_fee, contract.maker_fee) == (0.0004, 0.0002)
    assert (contract.price_step, contract.lot_size) == (0.1, 1e-6)
    assert market.venue == of("binance")
    assert market.insurance_atoms == 0


@pytest.mark.parametrize(("decade", "step"), [(1e4, 0.1), (1e3, 0.1), (1e2, 0.01), (1e-1, 1e-5)])
def test_a_price_step_that_nobody_published_fits_the_price(decade: float, step: float) -> None:
    """Five figures at least: a coin at 0.1 does not trade on a step of 0.1."""
    symbols = (a_symbol("PEPEUSDT", base="PEPE", decade=decade),)
    assert standard_lineup(symbols).markets[0].contract.price_step == step


def test_a_preset_is_taken_by_name(tmp_path: Path) -> None:
    """With its contract; what the file says of the contract stays."""
    config = loaded(tmp_path, 'preset = "gate"')
    market = spec_of(config, DATA).markets[0]
    assert market.venue == of("gate")
    assert (market.contract.taker_fee, market.contract.lot_size) == (0.00075, 0.0001)
    path = tmp_path / "own.toml"
    path.write_text(
        '[[markets]]\nsymbol = "BTCUSDT"\nvenue = { preset = "gate" }\n'
        "contract = { taker_fee = 0.001 }\n"
    )
    contract = load_config(path, symbols=DATA).markets[0].contract
    assert (contract.taker_fee, contract.maker_fee) == (0.001, -0.0001)


def test_every_rule_can_be_changed_and_the_others_stay(tmp_path: Path) -> None:
    """A key inside a table changes that key alone; durations are texts; ``none`` takes a bound
    away."""
    changed = rules(
        tmp_path,
        'preset = "hyperliquid", insurance_fund = 5e6, adl = { price = "mark" }, '
        'liquidation = { cooldown = "10s" }, funding = { cap = "none" }, '
        "margin = { strict = false }, insurance = { drawdown = 0.5 }, "
        "orders = { band_up = 0.2 }, mark = { basis_points = 7 }",
    )
    plain = of("hyperliquid")
    assert changed.insurance.balance == 5e6
    assert (changed.adl.price, changed.adl.ranking) == ("mark", "hyperliquid")
    assert changed.liquidation.cooldown_ns == 10 * SECOND_NS
    assert changed.liquidation.portion == plain.liquidation.portion
    assert (changed.funding.cap, plain.funding.cap) == (None, 0.04)
    assert not changed.margin.strict
    assert changed.margin.tiers == plain.margin.tiers
    assert changed.insurance.drawdown == 0.5
    assert changed.orders.band_up == 0.2
    assert changed.mark.basis_points == 7
    assert changed.mark.pair == plain.mark.pair


def test_own_tiers_replace_the_presets_and_get_their_deductions(tmp_path: Path) -> None:
    """5 % above 1,000,000 after 2 % deducts 30,000."""
    found = rules(
        tmp_path,
        "tiers = [{ cap = 1e6, max_leverage = 20, rate = 0.02 }, "
        "{ cap = 1e9, max_leverage = 10, rate = 0.05 }]",
    )
    assert [tier.deduction for tier in found.margin.tiers] == [0.0, 30_000.0]


def test_a_linear_contract_takes_tiers_of_its_own_at_any_venue(tmp_path: Path) -> None:
    """Stated for it they are in quote, whatever the preset's are in."""
    own = "tiers = [{ cap = 1e9, max_leverage = 20, rate = 0.02 }]"
    assert rules(tmp_path, f'preset = "bitmex", {own}').margin.tiers[0].cap == 1e9


@pytest.mark.parametrize("name", PRESETS)
def test_a_resolved_configuration_reads_back(name: str, tmp_path: Path) -> None:
    """What a run keeps gives the same rules, contract and hash again."""
    symbols = COIN if name == "bitmex" else DATA
    config = loaded(tmp_path, f'preset = "{name}", adl = {{ rest = "stay_open" }}', symbols=symbols)
    path = tmp_path / "run.toml"
    path.write_text(resolved_toml(config))
    again = load_config(path, symbols=symbols)
    assert again == config
    assert spec_of(again, symbols) == spec_of(config, symbols)
    assert spec_of(again, symbols).markets[0].venue.adl.rest == "stay_open"


@pytest.mark.parametrize("key", ["markets.0", "markets.BTCUSDT", "markets[0]"])
def test_a_preset_chosen_on_the_command_line_brings_its_contract(key: str) -> None:
    """As if the file had said it, also where no file lists the market."""
    config = load_config(None, [f"{key}.venue.preset=gate"], symbols=DATA)
    assert config.markets[0].contract.taker_fee == 0.00075
    assert len(config.markets) == 1
    own = [f"{key}.venue.preset=gate", f"{key}.contract.taker_fee=0.002"]
    contract = load_config(None, own, symbols=DATA).markets[0].contract
    assert (contract.taker_fee, contract.maker_fee) == (0.002, -0.0001)
    level = load_config(None, [f"{key}.venue.volume=0.0"], symbols=DATA).markets[0].contract
    assert level.taker_fee == 0.0005


def test_a_rule_is_changed_on_the_command_line(tmp_path: Path) -> None:
    """By its dotted path, in a table that the file does not have."""
    changed = rules(tmp_path, 'preset = "gate"', "markets.0.venue.liquidation.fee=0.01")
    assert changed.liquidation.fee == 0.01
    assert changed.liquidation.steps == "tier"


@pytest.mark.parametrize(
    ("venue", "complaint"),
    [
        ('preset = "gat"', 'c.toml:3: markets[0].venue.preset is "gat"; did you mean "gate"?'),
        ("liquidaton = {}", "is not a setting; did you mean"),
        (
            "liquidation = { porton = 0.5 }",
            "c.toml:3: markets[0].venue.liquidation.porton is not a setting; did you mean",
        ),
        ('adl = { ranking = "gates" }', 'ranking is "gates"; did you mean "gate"?'),
        ("liquidation = { cooldown = 30 }", "expected a duration"),
        ("liquidation = { portion = 1.5 }", "portion must be a share of at most 1, was 1.5"),
        ('liquidation = { slot = "0s" }', "slot must be longer than nothing"),
        ('mark = { every = "0s" }', "c.toml:3: BTCUSDT: every must be longer than nothing"),
        ('mark = { basis_tau = "0s" }', "basis_tau must be longer than nothing"),
        ('funding = { sample = "0s" }', "sample must be longer than nothing"),
        ('funding = { window = "0s" }', "window must be longer than nothing"),
        ("insurance = { drawdown = 0.0 }", "drawdown must be above 0"),
        ("mark = { legs = [] }", "legs must name one leg at least"),
        ("mark = { basis_points = 0 }", "basis_points must be at least 1, was 0"),
        ("funding = { cap = -0.01 }", "cap must be >= 0, was -0.01"),
        ("funding = { cap = nan }", "cap must be finite, was nan"),
        (
            'liquidation = { steps = "portion", portion = 0.0 }',
            "portion must be at least 0.001, or a step closes next to nothing, was 0",
        ),
        ("funding = { tails = 0.5 }", "tails must be below 0.5 at each end, was 0.5"),
        (
            "liquidation = { liquidator_fee = 0.02, liquidator_fee_max = 0.01 }",
            "liquidator_fee_max must be at least liquidator_fee, 0.02, was 0.01",
        ),
        ("liquidation = { step_min = -1.0 }", "step_min must be >= 0, was -1"),
        ("adl = { mark_beyond = nan }", "mark_beyond must be finite, was nan"),
        ("orders = { band_up = inf }", "band_up must be finite, was inf"),
        ("insurance_fund = -1.0", "insurance_fund must be >= 0, was -1.0"),
        ("insurance_fund = inf", "insurance_fund must be finite and >= 0, was inf"),
        ("volume = -1.0", "volume must be >= 0, was -1.0"),
        (
            f"tiers = [{TIER}, {{ cap = 1e6, max_leverage = 10, rate = 0.05 }}]",
            "c.toml:3: BTCUSDT: tier 2: cap 1000000 is not above 2000000",
        ),
        (
            "tiers = [{ cap = 2e6, max_leverage = 20, rate = 0.02, deduction = 5.0 }]",
            "tier 1: deduction must be 0 for maintenance to be continuous, was 5",
        ),
        ("tiers = [{ cap = nan, max_leverage = 20, rate = 0.02 }]", "tier 1: cap must be > 0"),
        (
            "tiers = [{ cap = 1e16, max_leverage = 20, rate = 0.02 }]",
            "tier 1: cap must be at most 1e+15, or inf for no end, was 1e+16",
        ),
        (
            'preset = "bitmex"',
            "c.toml:3: BTCUSDT: bitmex counts its tiers of BTC in BTC, for inverse contracts, and",
        ),
        ("tiers = [{ cap = 1e6, max_leverage = 20, rate = nan }]", "tier 1: rate must be > 0"),
        (
            f"tiers = [{TIER.replace('2e6', 'inf')}, {TIER}]",
            "tier 2: cap 2000000 is not above inf",
        ),
        ("fees = [{ volume = 0.0, maker = 0.0, taker = -0.001 }]", "taker must be >= 0"),
        (
            "fees = [{ volume = 0.0, maker = -0.002, taker = 0.001 }]",
            "the maker's rebate 0.002 must not exceed the taker's fee 0.001",
        ),
        ("fees = [{ volume = 5.0, maker = 0.0, taker = 0.001 }]", "begin at a volume of 0, was 5"),
        (
            f"fees = [{FREE}, {FREE}]",
            "fee tiers must ascend by volume, 0 does not",
        ),
        ("margin = { open_interest = [5.0, 2.0] }", "open_interest: expected 0 <= low < high"),
    ],
)
def test_a_wrong_rule_is_named_with_its_line(venue: str, complaint: str, tmp_path: Path) -> None:
    """File, line, the path of the setting, what was expected, the nearest name."""
    assert complaint in said(tmp_path, venue)


@pytest.mark.parametrize(("fee", "good"), [(-0.0004, True), (-0.0005, False), (1.1, False)])
def test_a_rebate_is_not_above_the_taker_fee(fee: float, good: bool, tmp_path: Path) -> None:
    """The contract's own fees keep to the same rule."""
    path = tmp_path / "c.toml"
    path.write_text(f'[[markets]]\nsymbol = "BTCUSDT"\ncontract = {{ maker_fee = {fee} }}\n')
    if good:
        assert load_config(path, symbols=DATA).markets[0].contract.maker_fee == fee
    else:
        with pytest.raises(ConfigError, match="no rebate beyond the taker's fee"):
            load_config(path, symbols=DATA)


def test_what_a_preset_assumes_is_told() -> None:
    """By name, market and preset; what concerns other assets only there."""
    config = load_config(None, ["markets.0.venue.preset=gate"], symbols=DATA)
    told = assumptions(config, DATA)
    assert "venue_fund: BTCUSDT: gate: the fund pays until it is empty" in told
    assert any(line.startswith("venue_tier_4: BTCUSDT: gate: ") for line in told)
    assert not any(line.startswith("venue_tiers: ") for line in told)
    assert "venue_tiers" in preset("gate").assumptions("PEPE")
    assert "venue_tier_4" not in preset("gate").assumptions("PEPE")
    lineup = standard_lineup(DATA)
    funds = tuple(product for product in lineup.products if product.kind == "fund")
    plain = assumptions(structs.replace(lineup, products=funds), DATA)
    assert not any(line.startswith("venue") for line in plain)


# How large a product may be -----------------------------------------------------------


def a_product(*policies: Any, **fields: Any) -> ProductConfig:
    return ProductConfig(**{"id": "P", "symbol": "BTCUSDT", "policies": policies, **fields})


def test_the_far_edges_of_a_band() -> None:
    """3L in [2.25, 4.125] is 3.6 and 2.64 times its first NAV large there; 3S in [1.5, 5.25] 2.4
    and 3.36 times: +-20 % and +-12 %. At the lower edge its leverage is less, at the upper one it
    is brought back to 3."""
    for target, low, high, shares in (
        (3.0, 2.25, 4.125, (3.6, 2.64)),
        (-3.0, 1.5, 5.25, (2.4, 3.36)),
    ):
        product = a_product(LeverageBand(target=target, low=low, high=high), MarginFloor())
        edges = list(far_edges(product, inverse=False))
        assert [(place[-1], leverage) for place, _, leverage in edges] == [
            ("low", low),
            ("high", 3.0),
        ]
        assert [share for _, share, _ in edges] == pytest.approx(shares)


def test_an_inverse_hedge_keeps_its_face() -> None:
    """3L owes 2 a coin whatever the price, 3S 4; beside coins of 1x the rest of the leverage is
    the hedge's."""
    product = a_product(LeverageBand(target=3.0, low=2.25, high=4.125))
    assert [edge[1:] for edge in far_edges(product, inverse=True)] == [(2.0, 1.25), (2.0, 2.0)]
    product = a_product(LeverageBand(target=-3.0, low=1.5, high=5.25))
    assert [edge[1:] for edge in far_edges(product, inverse=True)] == [(4.0, 2.5), (4.0, 4.0)]


def test_policies_without_a_band_are_as_large_as_their_leverage() -> None:
    """A schedule at its target, a trend at its highest; 1x never moves, and an edge that no price
    reaches is none."""
    for policy, edge in (
        (Schedule(target=2.0, every_s=60.0), ("target", 2.0, 2.0)),
        (Schedule(target=-2.0, every_s=60.0), ("target", 2.0, 2.0)),
        (TrendVol(direction=-1, high=3.0), ("high", 3.0, 3.0)),
    ):
        (found,) = far_edges(a_product(policy), inverse=False)
        assert (found[0][-1], *found[1:]) == edge
    still = a_product(LeverageBand(target=1.0, low=0.0, high=math.inf), MarginFloor())
    assert list(far_edges(still, inverse=False)) == []
    open_ended = a_product(LeverageBand(target=3.0, low=0.5, high=math.inf))
    assert list(far_edges(open_ended, inverse=False)) == []


def test_a_product_too_large_for_its_tiers_is_refused_with_what_fits(tmp_path: Path) -> None:
    """3S at Binance: 3x is allowed up to 800 million, 3.36 times its NAV: 238,095,238 fit."""
    band = '{ type = "leverage_band", target = -3.0, low = 1.5, high = 5.25 }'
    text = '[[products]]\nid = "S"\nsymbol = "BTCUSDT"\nseed_capital = {}\npolicies = [{}]\n'
    path = tmp_path / "c.toml"
    path.write_text(text.format("238_095_238.0", band))
    load_config(path, symbols=DATA)
    path.write_text(text.format("238_095_239.0", band))
    with pytest.raises(ConfigError) as caught:
        load_config(path, symbols=DATA)
    told = str(caught.value).replace(f"{tmp_path}/", "")
    assert told == (
        "c.toml:5: S: 238,095,239 USDT become a position of 800,000,003 at 3x, and binance "
        "allows that leverage up to 800,000,000; at most 238,095,238 USDT fit"
    )
    path.write_text(text.format("1000.0", band) + '[[users]]\nid="a"\nholdings={ S=2.4e8 }\n')
    with pytest.raises(ConfigError, match="at most 238,095,238 USDT fit"):
        load_config(path, symbols=DATA)


def test_without_a_last_cap_any_size_fits_a_leverage_that_is_allowed(tmp_path: Path) -> None:
    """Hyperliquid has no cap on 5x for other coins; on 5.5x, where 6x is 6.11 NAVs, it has."""
    symbols = (a_symbol("PEPEUSDT", base="PEPE", decade=1.0),)
    seeds = [f"products.{n}.seed_capital=1e9" for n in (0, 1, 2, 3)]
    loaded(tmp_path, 'preset = "hyperliquid"', *seeds, symbols=symbols)
    band = ["products.0.policies.0.target=6.0", "products.0.policies.0.high=7.0"]
    seeds = ["products.0.seed_capital=1e7", "products.0.policies.0.low=5.5"]
    with pytest.raises(ConfigError, match=r"PEPE3L: .* at most 3,272,727 USDT fit"):
        loaded(tmp_path, 'preset = "hyperliquid"', *seeds, *band, symbols=symbols)


def test_tiers_in_coin_are_left_to_the_orders(tmp_path: Path) -> None:
    """What a coin is worth the configuration does not know: it takes what it would refuse at a
    venue whose tiers are in quote. Catches a cap in coin that is read as one in quote."""
    seed = "products.0.seed_capital=1e9"
    config = loaded(tmp_path, 'preset = "bitmex"', seed, symbols=COIN)
    assert config.products[0].seed_capital == 1e9
    with pytest.raises(ConfigError, match="fit"):
        loaded(tmp_path, 'preset = "binance"', seed)


def test_files_of_presets_are_in_the_package() -> None:
    """They lie in a folder that the wheel takes whole, one a name."""
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]
    assert "engine" in packages["targets"]["wheel"]["packages"]
    files = sorted((ROOT / "engine" / "config" / "venues").iterdir())
    assert [file.name for file in files] == sorted(f"{name}.toml" for name in PRESETS)


def test_a_market_may_be_configured_by_code() -> None:
    """``venue`` has a default, and its fields too."""
    assert MarketConfig(symbol="X").venue == VenueConfig()
    assert VenueConfig().preset == "binance"

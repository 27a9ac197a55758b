"""Rule packs: what their files say, when their rules hold, and what a run makes of them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest

from engine.config import load_config, pack, pack_names, spec_of
from engine.config.assumptions import assumptions
from engine.config.offering_settings import OfferingConfig
from engine.config.packs import pack_policies, pack_terms
from engine.config.settings import ProductConfig, TermsConfig
from engine.errors import ConfigError
from engine.ticks import Kind
from engine.units import DAY_NS, HOUR_NS, SECOND_NS
from strategies import FlexibleLeverage, LeverageBand, Schedule
from strategies.in_force import InForce, StartOver
from tests.builders import a_market, a_product, a_row, a_spec, a_tape
from tests.engine.test_cli import Typed
from tests.engine.test_config import TICKS, a_symbol
from tests.properties.agreement import agree

NAMED = {
    *("gate-3l", "gate-3s", "gate-5l", "gate-5s", "bybit-3l", "bybit-3s", "binance-up"),
    *("binance-down", "ftx-bull", "ftx-bear", "kucoin-3l", "kucoin-3s", "mexc-3l", "mexc-3s"),
    *("pionex-2l", "fli-eth", "fli-btc", "tlx-2l", "toros-2l", "toros-3l", "graniteshares-3l"),
    *("graniteshares-3s", "leverage-shares-3l", "leverage-shares-3s", "etf-2x", "etf-3x"),
}


def of_pack(name: str, as_of: str | None = None) -> ProductConfig:
    return ProductConfig(id="P", symbol="BTCUSDT", terms=TermsConfig(pack=name, as_of=as_of))


def test_every_product_that_users_ask_for_is_there() -> None:
    """Each with its sources, and with rules whose policies can be made."""
    assert set(pack_names()) >= NAMED
    for name in pack_names():
        assert pack(name).sources, name
        assert pack_policies(of_pack(name)), name


@pytest.mark.parametrize(
    ("as_of", "target", "low", "high"),
    [
        ("2023-05-01", 2.3, 2.76 / 1.46, 3.0),
        ("2025-04-02", 3.0, 2.25, 4.0),
        ("2025-12-24", 3.0, 2.25, 4.125),
    ],
)
def test_gate_changed_its_rules(as_of: str, target: float, low: float, high: float) -> None:
    """Its tokens named 3x aimed at 2.3x until April 2025; a rise of 20 % was an edge from then on
    and before, 2.76 / 1.46 and 3.6 / 1.6. Catches rules of another date."""
    band = next(p for p in pack_policies(of_pack("gate-3l", as_of)) if isinstance(p, LeverageBand))
    assert (band.target, band.high) == (target, high)
    assert band.low == pytest.approx(low, abs=1e-6)


@pytest.mark.parametrize(
    ("name", "down", "up"),
    [
        ("gate-3l", -0.12, 0.20),
        ("gate-3s", -0.20, 0.12),
        ("gate-5l", -1 / 15, 0.12),
        ("gate-5s", -1 / 15, 0.05),
        ("bybit-3l", -1 / 9, 1 / 3),
    ],
)
def test_bands_are_the_moves_that_issuers_name(name: str, down: float, up: float) -> None:
    """From the edges by ``x = l (L - 1) / (L (l - 1))`` (products.md 0.3). Catches a band of the
    wrong side."""
    (band,) = pack_policies(of_pack(name, "2026-01-01"))
    assert isinstance(band, LeverageBand)
    side = 1 if band.target > 0 else -1
    edges = [side * band.low, side * band.high]
    moves = sorted(e * (band.target - 1) / (band.target * (e - 1)) - 1 for e in edges)
    assert moves == pytest.approx([down, up], abs=1e-9)


def test_fees_follow_the_rules_in_force() -> None:
    """KuCoin charges at 23:45 UTC; Gate 0.3 % and later 0.1 % a day at midnight of UTC+8."""
    kucoin, gate = pack_terms(of_pack("kucoin-3l")), pack_terms(of_pack("gate-3l"))
    noon = int(datetime(2024, 3, 1, 12, tzinfo=UTC).timestamp()) * SECOND_NS
    assert kucoin.next_fee_ns(noon) == noon + 11 * HOUR_NS + 45 * 60 * SECOND_NS
    assert gate.next_fee_ns(noon) == noon + 4 * HOUR_NS
    assert gate.next_fee_ns(noon + 4 * HOUR_NS) == noon + 28 * HOUR_NS
    assert [gate.fee_rate(noon), gate.fee_rate(noon + 600 * DAY_NS)] == [0.003, 0.001]


@pytest.mark.parametrize("name", ["gate-3l", "gate-3s", "gate-5l", "gate-5s"])
def test_gate_lowered_the_fee_of_all_its_tokens_at_once(name: str) -> None:
    """0.3 % a day until 2025-04-01 and 0.1 % from then on, as each of its packs says that it
    assumes. Catches a 5x token that goes on at three times the fee of the 3x beside it."""
    terms = pack_terms(of_pack(name))
    switch = int(datetime(2025, 4, 1, 16, tzinfo=UTC).timestamp()) * SECOND_NS
    assert [terms.fee_rate(switch - SECOND_NS), terms.fee_rate(switch)] == [0.003, 0.001]


def test_gate_follows_the_index_where_there_is_one(tmp_path: Path) -> None:
    """Where the data have index rows NAV follows them; where they have none the mark stands for the
    index, and the run says so. A price of one's own beside a pack is refused."""
    path, product = tmp_path / "run.toml", '[[products]]\nid = "G"\nsymbol = "BTCUSDT"\n'
    path.write_text(f'{product}terms = {{ pack = "gate-3l" }}\n')
    bare = (a_symbol(kinds=(Kind.MARK,)),)
    followed = []
    for symbols in (TICKS, bare):
        config = load_config(path, symbols=symbols)
        said = [line for line in assumptions(config, symbols) if line.startswith("index_is_mark")]
        followed.append((spec_of(config, symbols).products[0].terms.formula_price, len(said)))
    assert followed == [("index", 0), ("mark", 1)]
    path.write_text(f'{product}terms = {{ pack = "gate-3l", formula_price = "index" }}\n')
    with pytest.raises(ConfigError, match="formula_price is the pack's"):
        load_config(path, symbols=TICKS)


BAND = '{ type = "leverage_band", target = 3.0, low = 2.25, high = 4.125 }'


@pytest.mark.parametrize(
    ("nav", "policy", "kinds", "said"),
    [
        ("basket", BAND, TICKS[0].kinds, 'toml:5: .* wants nav = "formula"'),
        ("formula", BAND, (Kind.MARK,), "toml:5: .* hold no index rows of it"),
        ("formula", BAND, (Kind.BBO, Kind.INDEX), "toml:5: .* makes an index of its own"),
        ("formula", '{ type = "vol_target" }', TICKS[0].kinds, "toml:4: .* time alone"),
    ],
)
def test_what_cannot_follow_the_index_is_refused_with_its_place(
    nav: str, policy: str, kinds: tuple[Kind, ...], said: str, tmp_path: Path
) -> None:
    """Baskets, data without an index, an index that the venue makes, and policies that want
    signals."""
    path = tmp_path / "run.toml"
    path.write_text(
        f'[[products]]\nid = "G"\nsymbol = "BTCUSDT"\npolicies = [ {policy} ]\n'
        f'terms = {{ nav = "{nav}", formula_price = "index" }}\n'
    )
    with pytest.raises(ConfigError, match=said):
        load_config(path, symbols=(a_symbol(kinds=kinds),))


def test_caps_of_a_pack_have_their_dates() -> None:
    """ETH2x-FLI: 600,000 tokens and trades of 400 and 1,200 ETH, from 9 June 2021 on 800,000 and
    600 and 1,600, and so on; KuCoin's caps and thresholds are of all times. Catches caps of today
    in a replay of May 2021."""
    terms = pack_terms(of_pack("fli-eth"), 10**6)
    tokens = [
        o.units_max / 10**8 / 119.71 for o in (terms.offering, *(o for _, o in terms.offerings))
    ]
    assert tokens == pytest.approx([600e3, 800e3, 1.2e6, 2e6, 2.5e6])
    june = int(datetime(2021, 6, 9, tzinfo=UTC).timestamp()) * SECOND_NS
    assert terms.offering_at(june - 1).units_max == terms.offering.units_max
    assert terms.offering_at(june).units_max == terms.offerings[0][1].units_max
    caps = [
        (rules.policies[0].max_trade, rules.policies[0].ripcord_max_trade)
        for rules in pack("fli-eth").rules
        if isinstance(rules.policies[0], FlexibleLeverage)
    ]
    assert caps == [(400, 1200), (600, 1600), (2000, 3000), (2000, 3000), (3000, 4000)]
    day = pack_terms(of_pack("fli-eth", "2021-07-02"), 10**6)
    assert (day.offering, day.offerings) == (terms.offerings[1][1], ())
    assert pack_terms(of_pack("kucoin-3l"), 10**6).offerings == ()
    own = msgspec.structs.replace(
        of_pack("fli-eth"),
        terms=TermsConfig(pack="fli-eth", offering=OfferingConfig(units_max=1.0)),
    )
    assert pack_terms(own, 10**6).offering_at(june).units_max == 10**8


def test_rules_change_in_the_middle_of_a_run() -> None:
    """A 2x band until noon, then a 3x schedule that begins with a trade: heart and slow engine
    agree, cut anywhere. Catches old rules that go on, new ones that come a wake late, and a fee of
    the wrong rules."""
    start = int(datetime(2024, 3, 1, 11, 58, tzinfo=UTC).timestamp()) * SECOND_NS
    noon = start + 120 * SECOND_NS
    policies = (
        InForce(LeverageBand(target=2.0, low=1.5, high=2.5), 0, noon),
        StartOver(3.0, noon),
        InForce(Schedule(target=3.0, every_s=60.0, least_move=0.02), noon),
    )
    prices = [100.0, 100.0, 160.0, 160.0, 160.0, 161.0, 166.0, 166.0, 166.0]
    rows = [a_row(Kind.MARK, start + 31 * n * SECOND_NS, price) for n, price in enumerate(prices)]
    product = a_product(
        management_fee=0.0001,
        fee_every_ns=60 * SECOND_NS,
        fee_at_ns=15 * SECOND_NS,
        fees=((noon, 0.0002),),
    )
    market = a_market(stale_after_ns=10**13, frozen_after_ns=10**13)
    spec = a_spec((product, policies), markets=[market])
    tape = a_tape(rows)
    said = agree(spec, tape)
    assert agree(spec, tape, range(len(rows))).lines == said.lines
    done = [((e.ts_ns - start) / SECOND_NS, e.target, e.reason) for e in said.named("rebalanced")]
    assert [each[:2] for each in done] == [(0.0, 2.0), (62.0, 2.0), (120.0, 3.0), (240.0, 3.0)]
    assert done[2][2] == "new rules in force"
    fees = [((e.ts_ns - start) / SECOND_NS, e.rate) for e in said.named("management_fee_charged")]
    assert fees == [(15.0, 0.0001), (75.0, 0.0001), (135.0, 0.0002), (195.0, 0.0002)]


@pytest.mark.parametrize(
    ("terms", "rest", "said"),
    [
        ('pack = "kucon-3l"', "", 'there is no rule pack "kucon-3l"; did you mean "kucoin-3l"?'),
        ('pack = "gate-3l", as_of = "soon"', "", "as_of: 'soon' is no date such as 2025-12-24"),
        ('as_of = "2025-12-24"', "", "as_of says which rules of a pack hold; name one"),
        ('pack = "gate-3l", management_fee = 0.1', "", "management_fee is the pack's"),
        (
            'pack = "gate-3l"',
            'policies = [ { type = "constant", target = 2.0 } ]',
            'P: its policies are those of the pack "gate-3l"',
        ),
    ],
)
def test_what_contradicts_a_pack_is_refused(
    terms: str, rest: str, said: str, tmp_path: Path
) -> None:
    """With the line of the setting."""
    config = tmp_path / "c.toml"
    config.write_text(
        f'[[products]]\nid = "P"\nsymbol = "BTCUSDT"\nterms = {{ {terms} }}\n{rest}\n'
    )
    with pytest.raises(ConfigError) as error:
        run_of(config)
    assert said in str(error.value)
    assert f"{config}:" in str(error.value)


def run_of(config: Path) -> Any:
    from engine.api import run

    return run(config=config, write=False)


def test_packs_are_listed_and_shown(capsys: pytest.CaptureFixture[str]) -> None:
    """By name with dates and assumptions; rules, sources and what is assumed of one."""
    typed = partial(Typed, capsys)
    names = [each["name"] for each in typed("pack", "list", "--json").json["packs"]]
    assert names == sorted(names)
    assert set(names) >= NAMED
    shown = typed("pack", "show", "ftx-bull").out
    assert "from 2019-09-25" in shown
    assert "one_sided_guard" in shown
    assert "ftx_fee" in shown
    assert typed("pack", "show", "ftx-bul").code == 3
    assert json.loads(typed("pack", "show", "gate-3l", "--json").out)["nav"] == "formula"


def test_a_run_says_what_of_its_pack_is_assumed(tmp_path: Path) -> None:
    """The sample under KuCoin's rules: two fees a day and a half are none yet, and each assumption
    of the pack is named."""
    config = tmp_path / "c.toml"
    config.write_text(
        '[[products]]\nid = "P"\nsymbol = "BTCUSDT"\nterms = { pack = "kucoin-3l" }\n'
    )
    found = run_of(config).summary
    assert any(line.startswith("kucoin_window") for line in found["assumed"])
    assert found["products"]["P"]["deleveragings"] + found["products"]["P"]["rebalances"] > 0

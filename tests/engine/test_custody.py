"""What befalls the money at a venue, worked by hand; and populations that come later."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from engine import api
from engine.cli import main
from engine.config import RunConfig, standard_lineup
from engine.config.crowd_settings import CrowdConfig
from engine.config.settings import TraderConfig
from engine.inputs import open_market
from engine.verify import verify
from feeds.generators.gbm import Gbm
from feeds.scenarios import Scenario
from tests.feeds.test_scenarios import a_staging

STILL = Gbm(volatility=0.0, days=0.006, step="5s", prices={"BTCUSDT": 50_000.0})
ATOMS = 10**6


def lineup(*products: str, **changes: Any) -> RunConfig:
    """Products of the standard line-up on the still market, alone."""
    whole = standard_lineup(open_market(base=STILL).symbols)
    kept = tuple(replace(p, **changes) for p in whole.products if p.id in products)
    return replace(whole, products=kept)


def under(config: RunConfig, *events: dict[str, Any], out: Path | None = None) -> api.RunResult:
    scenario = msgspec.convert({"name": "test", "events": events}, Scenario)
    scenario = replace(scenario, base=STILL)
    return api.run(
        config=config, scenarios=[scenario], out=out, write=out is not None, report=False
    )


def fills_of(done: api.RunResult, product: str) -> list[Any]:
    return [e for e in done.events("order_filled") if e["product"] == product]


@pytest.mark.parametrize("product", ["BTC3L", "BTC3S", "BTC-FUT10L"])
@pytest.mark.parametrize("share", [1.0, 0.5])
def test_a_peg_is_lost(tmp_path: Path, product: str, share: float) -> None:
    """Of what was paid in less the opening fee the share loses what its asset loses, to an atom a
    step; the open position has no part in it. Whoever takes all equity, or the cash after the
    position's cost, for collateral is off by the impact or by three times the NAV."""
    fall = {"kind": "depeg", "to": 0.97, "at": "2m", "over": "1m", "share": share}
    done = under(lineup(product), fall, out=tmp_path / "run")
    found = done.summary["products"][product]
    paid = Fraction(round(found["equity_start"] * ATOMS))
    collateral = paid - sum(fill["fee_atoms"] for fill in fills_of(done, product))
    told = [e for e in done.events("collateral_revalued") if e["product"] == product]
    assert [e["price"] for e in told] == pytest.approx([0.995, 0.99, 0.985, 0.98, 0.975, 0.97])
    price = Fraction(1)
    for event in told:
        assert event["collateral_atoms"] == collateral
        now = Fraction(repr(event["price"]))
        loss = collateral * Fraction(share) * (now / price - 1)
        assert event["change_atoms"] == loss.__floor__()
        collateral, price = collateral + event["change_atoms"], now
    lost = sum(event["change_atoms"] for event in told)
    assert round(found["attribution"]["collateral"] * ATOMS) == lost
    if share == 1.0:
        assert lost == pytest.approx(float(-paid) * 0.03, rel=0.01)
    assert verify(tmp_path / "run") == []


def test_a_peg_comes_back() -> None:
    """Down by 5 % and up again is nothing, but for an atom a step; the price of the next event
    begins where that of the last one ended."""
    away = {"kind": "depeg", "to": 0.95, "at": "2m", "over": "30s", "name": "away"}
    back = {"kind": "depeg", "to": 1.0, "after": "away", "over": "30s"}
    found = under(lineup("BTC3S"), away, back).summary["products"]["BTC3S"]["attribution"]
    assert found["collateral"] == pytest.approx(0.0, abs=10.0 / ATOMS)


def profit_of(summary: dict[str, Any]) -> float:
    """The issuer's, in USDT."""
    return float(summary["issuer"]["by_asset"]["USDT"]["profit"])


def test_of_a_formula_the_issuer_bears_it() -> None:
    """Holders are owed the promise, whatever became of the hedge's margin."""
    plain = lineup("BTC3L")
    terms = replace(plain.products[0].terms, nav="formula")
    config = lineup("BTC3L", terms=terms)
    fall = {"kind": "depeg", "to": 0.9, "at": "2m", "over": "10s"}
    calm, fallen = under(config).summary, under(config, fall).summary
    assert fallen["products"]["BTC3L"]["nav_end"] == calm["products"]["BTC3L"]["nav_end"]
    hedge = fallen["issuer"]["products"]["BTC3L"]["hedge"]["attribution"]
    assert hedge["collateral"] == pytest.approx(-0.1 * 1e6, rel=0.01)
    assert profit_of(fallen) < profit_of(calm) - 0.09 * 1e6


def test_futures_are_liquidated_by_a_peg_alone() -> None:
    """The price stands still; 10x futures whose margin is an asset that loses a twelfth are not
    liquidated, those whose margin loses nine tenths of it are."""
    config = lineup("BTC3L", "BTC-FUT10L")
    for to, liquidated in ((0.92, False), (0.08, True)):
        done = under(config, {"kind": "depeg", "to": to, "at": "2m", "over": "10s"})
        told = done.summary["products"]["BTC-FUT10L"]["liquidated"]
        assert (told is not None) is liquidated, to


@pytest.mark.parametrize("recovery", [0.0, 0.4, 1.0])
def test_a_venue_fails(tmp_path: Path, recovery: float) -> None:
    """Products close with the share of their equity that is paid back, rounded down; what is on its
    way is refused; nothing trades afterwards, and coins at home are as they were."""
    fails = {"kind": "venue_default", "recovery": recovery, "at": "3m"}
    done = under(lineup("BTC3L", "BTC3S", "BTC-SPOT"), fails, out=tmp_path / "run")
    for name in ("BTC3L", "BTC3S"):
        (told,) = [e for e in done.events("balance_lost") if e["product"] == name]
        balance = told["balance_atoms"]
        kept = (balance * Fraction(str(recovery))).__floor__()
        assert told["lost_atoms"] == balance - kept
        found = done.summary["products"][name]
        assert round(found["equity_end"] * ATOMS) == kept
        assert found["status"] == "closed"
        assert found["attribution"]["collateral"] == pytest.approx((kept - balance) / ATOMS)
        assert found["liquidated"] is None
        assert fills_of(done, name)[-1]["lots"] == -told["position_lots"]
    assert done.summary["products"]["BTC-SPOT"]["status"] == "active"
    assert done.summary["issuer"]["by_asset"]["USDT"]["deficits_paid"] == 0.0
    assert verify(tmp_path / "run") == []


def test_a_promise_outlives_the_venue() -> None:
    """Holders of a formula product are paid whole: the issuer lost the hedge, and pays."""
    plain = lineup("BTC3L")
    config = lineup("BTC3L", terms=replace(plain.products[0].terms, nav="formula"))
    done = under(config, {"kind": "venue_default", "recovery": 0.25, "at": "3m"}).summary
    found = done["products"]["BTC3L"]
    assert found["nav_end"] == pytest.approx(1.0, abs=1e-9)
    hedge = done["issuer"]["products"]["BTC3L"]["hedge_equity"]
    assert hedge == pytest.approx(found["equity_end"], abs=1e-5)
    assert done["issuer"]["by_asset"]["USDT"]["deficits_paid"] == pytest.approx(0.75e6, rel=0.01)


@pytest.mark.parametrize(("side", "bps"), [("short", -100.0), ("both", 50.0), ("short", 0.0)])
def test_hedges_are_closed_by_force(tmp_path: Path, side: str, bps: float) -> None:
    """Half of a short's contracts are bought back away from the mark: the product gains or loses
    that distance on them and nothing else, and hedges itself again; longs are left alone where
    shorts are named, and so are futures beside the funds."""
    force = {"kind": "adl", "share_pct": 50, "side": side, "price_bps": bps, "at": "3m"}
    config = lineup("BTC3L", "BTC3S", "BTC-FUT10L")
    done = under(config, force, out=tmp_path / "run")
    told = {e["product"]: e for e in done.events("hedge_auto_deleveraged")}
    assert set(told) == ({"BTC3S"} if side == "short" else {"BTC3L", "BTC3S"})
    lots = told["BTC3S"]["lots"]
    opened = fills_of(done, "BTC3S")[0]["lots"]
    assert lots == -opened // 2 or lots == -(opened // 2)
    found = done.summary["products"]["BTC3S"]
    gain = -lots * 1e-6 * 50_000.0 * bps / 1e4
    assert found["attribution"]["adl"] == pytest.approx(gain, abs=1e-5)
    assert found["adl_events"] == 1
    assert found["leverage"]["end"] == pytest.approx(-3.0, abs=0.05)
    assert verify(tmp_path / "run") == []


def test_a_fund_is_left_as_it_is() -> None:
    """An event that only closes hedges does not touch the venue's insurance fund."""
    config = lineup("BTC3L")
    market = config.markets[0]
    venue = replace(market.venue, insurance_fund=7_000.0)
    config = replace(config, markets=(replace(market, venue=venue),))
    from engine.config.scened import scened

    scenario = msgspec.convert(
        {"name": "t", "events": [{"kind": "adl", "share_pct": 5}, {"kind": "adl", "fund": 3}]},
        Scenario,
    )
    one, two = a_staging(scenario).events
    assert scened(config, [one]).markets[0].venue.insurance_fund == 7_000.0
    assert scened(config, [two]).markets[0].venue.insurance_fund == 3.0
    assert scened(config, [two]).markets[0].venue.insurance == venue.insurance


def test_a_crowd_comes_later(tmp_path: Path) -> None:
    """It opens at the mark of its instant, not at the first price, as many as it is told, and once
    more as many as another; the next fall liquidates some of both."""
    config = lineup("BTC3L")
    events: list[dict[str, Any]] = [
        {"kind": "population", "count": 300, "long_share": 1.0, "at": "0s", "name": "first"},
        {"kind": "gap", "depth_pct": -10.0, "at": "2m"},
        {"kind": "population", "count": 500, "long_share": 1.0, "at": "3m"},
        {"kind": "gap", "depth_pct": -20.0, "at": "4m"},
    ]
    done = under(config, *events, out=tmp_path / "run")
    opened = done.events("population_opened")
    assert [e["population"] for e in opened] == ["scenario-0-0:BTCUSDT", "scenario-0-2:BTCUSDT"]
    assert [e["positions"] for e in opened] == [300, 500]
    assert opened[1]["ts_ns"] - opened[0]["ts_ns"] == 180 * 10**9
    fell = done.events("population_liquidated")
    assert {e["population"] for e in fell} == {e["population"] for e in opened}
    first = [e for e in fell if e["population"] == opened[1]["population"]]
    assert min(e["ts_ns"] for e in first) > opened[1]["ts_ns"]
    assert verify(tmp_path / "run") == []


def test_a_crowd_is_like_another() -> None:
    """Twice as many as the configured one, of its settings; a name that nobody has is told."""
    from engine.config.crowd_settings import CrowdConfig

    crowd = CrowdConfig(id="retail", symbol="BTCUSDT", count=40, size=900.0, long_share=0.2)
    config = replace(lineup("BTC3L"), populations=(crowd,))
    done = under(config, {"kind": "population", "like": "retail", "scale": 2.0, "at": "1m"})
    assert done.summary["events"]["population_opened"] == 2


PEG = '[[events]]\nkind = "depeg"\nto = 0.9\n'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (PEG + "share = 0.0", "5: share must be from 1e-06 to 1, was 0.0"),
        (PEG.replace("0.9", "0.0"), "4: to must be from 1e-06 to 1000, was 0.0"),
        (PEG + PEG, '6: "depeg" begins before "depeg" ends: an asset has one price at a time'),
        (PEG + 'every = "1ns"', "5: every is '1ns': 600,000,000,000 prices; 100,000 at most"),
        (PEG + 'every = "0s"', "5: every must be longer than nothing, was '0s'"),
        ('[[events]]\nkind = "venue_default"\nrecovery = 1.5', "4: recovery must be from 0 to 1"),
        ('[[events]]\nkind = "venue_default"\nrecovry = 1', 'did you mean "recovery"?'),
        ('[[events]]\nkind = "adl"', "2: share_pct is 0, and there is no fund and no drawdown"),
        ('[[events]]\nkind = "adl"\nfund = -1.0', "4: fund must be from 0 to 1e+09, was -1.0"),
        ('[[events]]\nkind = "adl"\nshare_pct = 101', "4: share_pct must be from 0 to 100"),
        ('[[events]]\nkind = "population"', "2: count must be given, or else like"),
        ('[[events]]\nkind = "population"\nlike = "x"', '4: no population of the run is "x"'),
        (
            '[[events]]\nkind = "population"\ncount = 9\nleverages = [[0.5, 1.0]]',
            "leverages are [leverage, weight], from 1 to 1,000",
        ),
    ],
)
def test_what_cannot_be_is_told_with_its_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, said: str
) -> None:
    """File, line, what is wrong; exit code 3 from ``scenario check``."""
    file = tmp_path / "broken.toml"
    file.write_text(f'name = "broken"\n{text}\n')
    assert main(["scenario", "check", str(file)]) == 3
    error = capsys.readouterr().err
    assert str(file) in error
    assert said in error


def test_a_peg_alone_liquidates_other_customers(tmp_path: Path) -> None:
    """Of two longs of 1 BTC at 50,000 whose margin falls to three tenths, 500 become 150, less than
    the maintenance of 200, and 2,500 become 750: the first is liquidated though no price moved, the
    second stays. So in a population: those of 100x go, those of 20x stay, to the last position."""
    own = {"symbol": "BTCUSDT", "size": 1.0, "entry": 50_000.0}
    traders = (
        TraderConfig(id="thin", wallet=500.0, leverage=100.0, **own),
        TraderConfig(id="thick", wallet=2_500.0, leverage=20.0, **own),
    )
    crowd = CrowdConfig(
        id="crowd",
        symbol="BTCUSDT",
        count=200,
        size=10_000.0,
        size_spread=0.1,
        entry_spread=0.0,
        leverages=((100.0, 1.0), (20.0, 1.0)),
    )
    config = replace(lineup("BTC3L"), traders=traders, populations=(crowd,))
    done = under(
        config, {"kind": "depeg", "to": 0.3, "at": "2m", "over": "10s"}, out=tmp_path / "low"
    )
    (told,) = done.events("traders_revalued")
    assert told["accounts"] == 2
    assert (told["collateral_atoms"], told["change_atoms"]) == (3_000 * ATOMS, -2_100 * ATOMS)
    assert {event["account"] for event in done.events("liquidation_started")} == {"trader:thin"}
    (worth,) = done.events("population_revalued")
    assert worth["positions"] == 200
    assert worth["change_atoms"] == pytest.approx(-0.7 * worth["collateral_atoms"], rel=1e-6)
    fallen = sum(event["positions"] for event in done.events("population_liquidated"))
    (opened,) = done.events("population_opened")
    assert opened["positions"] == 200
    assert 70 < fallen < 130
    ends = (*done.events("liquidation_started"), *done.events("population_liquidated"))
    assert {event["ts_ns"] for event in ends} == {told["ts_ns"]}  # not at the next price
    again = under(
        config, {"kind": "depeg", "to": 0.5, "at": "2m", "over": "10s"}, out=tmp_path / "half"
    )
    assert not again.events("population_liquidated")

"""Runs under scenarios: closed forms, verification, what a user is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from engine import api
from engine.cli import main
from engine.config import RunConfig, spec_of, standard_lineup
from engine.config.expecting import judged
from engine.config.offering_settings import OfferingConfig, SecondaryConfig
from engine.config.scenarios import load_scenario, scenario_names
from engine.config.scened import check_scened
from engine.config.settings import FundingConfig, TermsConfig
from engine.inputs import open_market
from engine.verify import verify
from feeds.generators.gbm import Gbm
from feeds.scenarios import Scenario, ScenarioError, Span, placed
from feeds.scenarios.mishaps import CreationRush
from feeds.scenarios.moves import Gap

MARKS = ("events.jsonl", "nav.parquet", "fills.parquet", "user_nav.parquet", "journal.bin")
SMALL = Gbm(volatility=0.0, days=0.01, step="5s")


def alone(product: str) -> RunConfig:
    """The standard line-up's product on the small market, without the others."""
    lineup = standard_lineup(open_market(base=SMALL).symbols)
    return replace(lineup, products=tuple(p for p in lineup.products if p.id == product))


@pytest.mark.parametrize("depth", [-0.30, -0.40])
@pytest.mark.parametrize(("product", "multiple"), [("BTC3L", 3.0), ("BTC3S", -3.0)])
def test_a_gap_gives_the_closed_form(product: str, multiple: float, depth: float) -> None:
    """A gap changes the value by ``L d`` of itself, less fees and impact of what is traded; beyond
    ``1 / L`` the holders are left with nothing, and the issuer pays the rest."""
    gap = Scenario(name="gap", base=SMALL, events=(Gap(at="5m", depth_pct=depth * 100.0),))
    summary = api.run(config=alone(product), scenarios=[gap], write=False).summary
    found, parts = summary["products"][product], summary["products"][product]["attribution"]
    put_in = found["equity_start"]
    assert parts["price"] == pytest.approx(multiple * depth * put_in, rel=1e-5)
    costs = -(parts["fees"] + parts["spread_impact"] + parts["funding"])
    left = put_in * (1.0 + multiple * depth) - costs
    assert 0.0 < costs < 0.004 * put_in
    assert found["equity_end"] == pytest.approx(max(left, 0.0), abs=put_in * 1e-5)
    paid = summary["issuer"]["products"][product]["deficits_paid"]
    assert paid == pytest.approx(max(-left, 0.0), abs=put_in * 1e-5)


@pytest.mark.parametrize(("beyond", "liquidated"), [(0.002, False), (-0.002, True)])
def test_futures_have_a_barrier(tmp_path: Path, beyond: float, liquidated: bool) -> None:
    """Futures are closed where what was paid in and the position's profit are the maintenance of
    its tier: ``p = (q e - W - d) / (q (1 - m))``. A gap that ends 0.2 % above is survived, one that
    ends as far below is not."""
    config = alone("BTC-FUT10L")
    calm = Scenario(name="calm", base=SMALL)
    done = api.run(config=config, scenarios=[calm], out=tmp_path / "calm", report=False)
    (fill,) = done.events("order_filled")
    found = done.summary["products"]["BTC-FUT10L"]
    size, mark = fill["lots"] * config.markets[0].contract.lot_size, fill["mark_price"]
    paid = found["equity_start"] - fill["fee_atoms"] * 1e-6
    tiers = spec_of(config, open_market(base=SMALL).symbols).markets[0].venue.margin.tiers
    first = next(tier for tier in tiers if size * mark * 0.9 <= tier.cap)
    cost = size * fill["price"] - paid - first.deduction
    barrier = cost / (size * (1.0 - first.rate))
    depth = (barrier / mark * (1.0 + beyond) - 1.0) * 100.0
    assert -10.5 < depth < -8.0
    gap = Scenario(name="gap", base=SMALL, events=(Gap(at="5m", depth_pct=depth),))
    fell = api.run(config=config, scenarios=[gap], write=False).summary
    assert (fell["products"]["BTC-FUT10L"]["liquidated"] is not None) is liquidated


def test_a_scenario_without_events_is_a_plain_replay(tmp_path: Path) -> None:
    """Every output of it is that of the market alone, byte for byte."""
    base = Scenario(name="nothing", base=SMALL)
    api.run(scenarios=[base], out=tmp_path / "one", report=False)
    config = RunConfig(generator=SMALL)
    api.run(config=config, out=tmp_path / "two", report=False)
    for name in MARKS:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_a_scenario_run_verifies(tmp_path: Path) -> None:
    """The directory holds the scenario whole: the run can be done again without its file, and a
    changed scenario is found out."""
    file = tmp_path / "crash.toml"
    assert main(["scenario", "new", str(file)]) == 0
    text = file.read_text().replace("days = 0.5", "days = 0.02\nstep = '10s'")
    file.write_text(text.replace('at = "2h"', 'at = "3m"').replace('"40m"', '"5m"'))
    api.run(scenarios=[file], out=tmp_path / "run", report=True)
    file.unlink()
    assert verify(tmp_path / "run") == []
    marks = [e["what"] for e in api.load(tmp_path / "run").events("scenario_mark")]
    assert marks == ["shock", "rebound"]
    text = (tmp_path / "run" / "run.toml").read_text()
    (tmp_path / "run" / "run.toml").write_text(text.replace("-38.0", "-37.0"))
    assert "events.jsonl: differs" in verify(tmp_path / "run")


@pytest.mark.parametrize("name", scenario_names())
def test_the_library_can_be_read(name: str) -> None:
    """Every scenario of the library is called as its file, says what it is, and what is known and
    what assumed."""
    found = load_scenario(name).scenario
    assert found.name == name
    assert found.description.endswith(".")
    assert found.base is not None
    assert found.known or found.sources
    assert found.assumed
    assert main(["scenario", "check", name]) == 0


BROKEN = """\
name = "broken"
[[events]]
kind = "shock"
depth_pct = -38.0
{line}
"""


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("ovr = '6m'", '5: events[0].ovr is not a setting; did you mean "over"?'),
        ("over = '6 minutes'", "5: events[0].over: expected a length of time such as"),
        ("over = '0s'", '5: over is "0s": it must take some time'),
        ("at = 'noon'", "5: events[0].at: expected a time such as"),
        ("after = 'fall'", '5: after is "fall", which is no event'),
        ("at = '2026-01-15T04:00:00Z'\nafter = 'shock'", '6: after is "shock", which is no event'),
        (
            "[[events]]\nkind = 'gap'\ndepth_pct = -1\nafter = 'shock'\nat = '2026-01-15'",
            '9: after "shock", at is a time after its end such as "5m", was "2026-01-15"',
        ),
        ("at = 5", '5: events[0].at: expected a time such as "2h", "50%" of the data or'),
        ("at = '2020-01-01'", '5: at is "2020-01-01", and the data begin later'),
        ("at = 2020-01-01", '5: at is "2020-01-01", and the data begin later'),
        ("name = 'a'\nafter = 'a'", "6: a circle: a after a"),
        (
            "[[events]]\nkind = 'liquidity'\ndepth_scale = 0",
            "7: depth_scale must be from 1e-06 to 1000, was 0.0",
        ),
        (
            "[[events]]\nkind = 'latency'\nlatency_ms = -5",
            "7: latency_ms must be from 0 to 3.6e+06, was -5",
        ),
        ("[[events]]\nkind = 'delay'\nby = '-5s'", "7: events[1].by: expected a duration"),
        ("[[events]]\nkind = 'halt'\nduration = '-5s'", "7: events[1].duration: expected a length"),
        ("shape = 'expo'", '5: events[0].shape is "expo"; did you mean "exp"?'),
        ("[[events]]\nkind = 'shok'", '6: events[1].kind is "shok"; did you mean "shock"?'),
        ("[[events]", "5: not TOML"),
        ("[expect]\na = 'nav > >'", "6: a: expected a number or none after >, was '>'"),
        ("[expect]\na = 'nav != nan'", "6: a: expected a number or none after !=, was 'nan'"),
        ("[expect]\na = 'events.margin_caled == 0'", '6: a: there is no event "margin_caled"; did'),
    ],
)
def test_a_broken_file_is_told_with_its_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], line: str, said: str
) -> None:
    """File, line, what is wrong, the nearest name; exit code 3 from ``check`` and ``run``."""
    file = tmp_path / "broken.toml"
    file.write_text(BROKEN.format(line=line))
    for command in (["scenario", "check", str(file)], ["run", "--scenario", str(file)]):
        assert main(command) == 3
        assert f"error: {file}:{said}" in capsys.readouterr().err


@pytest.fixture(scope="module")
def gapped() -> dict[str, Any]:
    """The summary of the line-up after a gap of -25 %."""
    gap = Scenario(name="gap", base=SMALL, events=(Gap(at="5m", depth_pct=-25.0),))
    return api.run(scenarios=[gap], write=False).summary


@pytest.mark.parametrize(
    ("condition", "held"),
    [
        ("products.*3L.nav_end > 0.2", True),
        ("products.*3L.nav_end < 0.2", False),
        ("products.*.nav_end >= 0", True),
        ("products.*.nav_end > 0.8", False),
        ("products.BTC3L.liquidated == none", True),
        ("products.BTC3L.liquidated != none", False),
        ("events.scenario_mark == 1", True),
        ("events.mark_source_changed == 0", True),
        ("events.mark_source_changed > 0", False),
        ("issuer.by_asset.USDT.deficits_paid <= 0", True),
        ("products.BTC3L.nav_and > 0", False),
        ("products.BTC3L.kind > 0", False),
    ],
)
def test_expectations_judge(gapped: dict[str, Any], condition: str, held: bool) -> None:
    """Each comparison, names with a star, what never happened, and figures that are not there."""
    (found,) = judged([Scenario(name="gap", expect={"the point": condition})], gapped)
    assert found["held"] is held
    if "nav_and" in condition:
        assert 'did you mean "products.BTC3L.nav_end"?' in found["said"]


@pytest.mark.parametrize(("compare", "code"), [(">", 0), ("<", 1)])
def test_an_expectation_makes_a_test(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], compare: str, code: int
) -> None:
    """A run that keeps to what is expected ends with 0; with the condition inverted the same run
    ends with 1, and says what was expected and what was."""
    file, gap = tmp_path / "gap.toml", '[[events]]\nkind = "gap"\nat = "5m"\ndepth_pct = -25\n'
    figure, base = (
        "products.*3L.nav_end",
        "[base]\nmodel = 'gbm'\nvolatility = 0.0\ndays = 0.01\nstep = '5s'\n",
    )
    file.write_text(f'name = "gap"\n{base}{gap}[expect]\nlives = "{figure} {compare} 0.2"\n')
    command = ["run", "--scenario", str(file), "--out", str(tmp_path / "run"), "--no-report", "-q"]
    assert main(command) == code
    said = f"violated: lives: expected {figure} {compare} 0.2; products.BTC3L.nav_end was 0.24"
    assert (said in capsys.readouterr().err) is bool(code)


def test_what_lies_beyond_the_data_is_said_beforehand(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An event at twice the length of the market's path never comes about: ``check`` says so."""
    file = tmp_path / "late.toml"
    base = "[base]\nmodel = 'gbm'\nvolatility = 0.0\ndays = 0.01\nstep = '5s'\n"
    file.write_text(f"name = 'late'\n{base}[[events]]\nkind = 'gap'\nat = '200%'\ndepth_pct = -5\n")
    assert main(["scenario", "check", str(file)]) == 0
    told = capsys.readouterr().out
    assert "gap -5 % at once (beyond the end of the data)" in told
    assert "can be run: 1 event\n" in told
    file.write_text(file.read_text().replace("200%", "50%"))
    assert main(["scenario", "check", str(file)]) == 0
    assert "beyond the end" not in capsys.readouterr().out


def test_names_are_known(capsys: pytest.CaptureFixture[str]) -> None:
    """The list has every name, in words and as JSON; a wrong one is told the nearest."""
    assert main(["scenario", "list", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["scenarios"]
    assert [row["name"] for row in rows] == scenario_names()
    assert main(["run", "--scenario", "gap-trough-band"]) == 3
    said = 'there is no scenario "gap-trough-band"; did you mean "gap-through-band"?'
    assert said in capsys.readouterr().err
    assert main(["run", "--scenario", "xyzzy"]) == 3
    assert f"{scenario_names()[-1]}. Or give a TOML file" in capsys.readouterr().err
    assert main(["scenario", "schema"]) == 0
    assert json.loads(capsys.readouterr().out)["$defs"]["Shock"]["properties"]["depth_pct"]


def test_a_rush_into_a_fund_that_is_full_lifts_what_its_units_trade_at() -> None:
    """Ten parts of 0.6 million each for a fund of one million that may have two: the first is
    created, and then they buy from one another, 1 % dearer for every 100,000; `[expect]` sees it.
    Catches a rush that ends where creations do, and a figure that no expectation finds."""
    lineup = alone("BTC3L")
    offering = OfferingConfig(units_max=2e6)
    terms = TermsConfig(offering=offering, secondary=SecondaryConfig(depth_at_1pct=100_000.0))
    (product,) = lineup.products
    config = replace(lineup, products=(replace(product, terms=terms),))
    rush = Scenario(
        name="rush",
        base=SMALL,
        events=(CreationRush(at="2m", share_pct=600.0, over="8m", parts=10),),
        expect={"dear": "products.BTC3L.secondary.premium_max > 0.4"},
    )
    result = api.run(config=config, scenarios=[rush], write=False)
    assert not result.violated
    found = result.summary["products"]["BTC3L"]["secondary"]
    assert found["bought"] == pytest.approx(5.4e6)
    assert found["premium_max"] == pytest.approx(0.54, rel=0.01)
    assert any(line.startswith("secondary_market: BTC3L") for line in result.summary["assumed"])


def test_a_million_events_are_refused_at_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The first event too many is named with its line, before anybody reads a million of them."""
    file = tmp_path / "many.toml"
    event = '[[events]]\nkind = "gap"\ndepth_pct = -1.0\n'
    file.write_text('name = "many"\n' + event * 10**6)
    assert main(["scenario", "check", str(file)]) == 3
    assert f"error: {file}:30002: 1,000,000 events; 10,000 at most" in capsys.readouterr().err


def test_a_rate_that_no_row_says_cannot_be_another() -> None:
    """A funding event where the rate is made of premiums, or the configuration's own, would do
    nothing, and is refused with what to set."""
    lineup = alone("BTC3L")
    said = {"name": "one", "events": [{"kind": "funding", "rate": 0.01}]}
    events = placed([msgspec.convert(said, Scenario)], Span(0, lambda: 10**12))
    check_scened(lineup, events)
    (market, *others) = lineup.markets
    for funding in (FundingConfig(source="premium"), FundingConfig(rate_8h=0.0001)):
        made = replace(lineup, markets=(replace(market, funding=funding), *others))
        with pytest.raises(ScenarioError, match=r"set funding = \{ source") as raised:
            check_scened(made, events)
        assert raised.value.path == ("events", 0, "kind")


def test_a_recorded_book_does_not_follow(tmp_path: Path) -> None:
    """Prices that are moved beside a recorded book would be nonsense, and are refused with the
    event; an event that moves none is not, nor is a book that is a formula."""
    lineup = alone("BTC3L")
    market = lineup.markets[0]
    book = replace(market.book, model="recorded")
    recorded = replace(lineup, markets=(replace(market, book=book),))
    span = Span(0, lambda: 10**12)
    for kind, moves in (("gap", True), ("basis", True), ("halt", False), ("latency", False)):
        values = {"gap": {"depth_pct": -5}, "basis": {"bps": 5}, "latency": {"latency_ms": 5}}
        said = {"name": "one", "events": [{"kind": kind, **values.get(kind, {})}]}
        events = placed([msgspec.convert(said, Scenario)], span)
        check_scened(lineup, events)
        if not moves:
            check_scened(recorded, events)
            continue
        with pytest.raises(ScenarioError, match="the recorded book of BTCUSDT cannot") as raised:
            check_scened(recorded, events)
        assert raised.value.path == ("events", 0, "kind")

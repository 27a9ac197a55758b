"""The crisis panel tells what a scenario did to each product."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

from engine import api
from engine.config import RunConfig
from engine.report.cards import cards_of, common_cards
from engine.report.crisis import crisis_of
from engine.report.figures import figures_json
from engine.report.pictures import pictures_of
from engine.report.reading import read_run
from feeds.generators.gbm import Gbm
from feeds.scenarios import Scenario

CRASH = msgspec.convert(
    {
        "name": "crash",
        "events": [{"kind": "gap", "at": "10m", "depth_pct": -40}],
        "expect": {"it is there": "products.BTC3L.nav_end > 0.5"},
    },
    Scenario,
)
BASE = Gbm(volatility=0.2, days=0.02, step="5s")


def test_the_panel_agrees_with_the_summary(tmp_path: Path) -> None:
    """A row a product with its drawdown and who paid, the events with their times, what was
    expected; every picture over time holds a line an event, those of Bokeh and those drawn, and a
    run without scenario has no panel."""
    done = api.run(config=RunConfig(generator=BASE), scenarios=[CRASH], out=tmp_path / "crash")
    run = read_run(tmp_path / "crash")
    crisis = crisis_of(run)
    assert crisis is not None
    rows = {row[0]: row for row in crisis["products"].rows}
    assert list(rows) == list(done.summary["products"])
    assert rows["BTC3L"][1] == "−100.0 %"
    assert rows["BTC-SPOT"][-1] == "nobody"
    (event,) = crisis["events"].rows
    assert event[2:] == ["gap", "-40 % at once"]
    assert crisis["expected"] == ["violated: it is there (products.BTC3L.nav_end > 0.5)"]
    marks = pictures_of(run)["products"]["BTC3L"]["marks"]
    assert marks["what"] == ["gap: -40 % at once"]
    cards = {**cards_of(run)["BTC3L"], **common_cards(run)}
    for name in ("eaten", "together", "desk"):
        assert cards[name].chart.count("<title>gap: -40 % at once</title>") == 1, name
    # Each of the three holds them as they are, chosen, and muted.
    assert str(figures_json()).count("'VSpan'") == 9
    page = (tmp_path / "crash" / "report.html").read_text()
    assert "Under the scenario crash" in page
    assert "and what his own units gained" in page
    api.run(config=RunConfig(generator=BASE), out=tmp_path / "calm")
    assert crisis_of(read_run(tmp_path / "calm")) is None


def test_a_crisis_is_told_as_far_as_it_was_seen(tmp_path: Path) -> None:
    """Of a book that a scenario thinned on a market without feedback nothing was measured, and
    nothing is said; events that lie apart have their number each. Catches a book called deep in the
    very crisis that emptied it, and a picture whose later events nobody finds in the table."""
    thin = {"kind": "liquidity", "at": "10s", "duration": "20m", "depth_scale": 0.01}
    gaps = [{"kind": "gap", "name": f"g{n}", "at": f"{n}m", "depth_pct": -1} for n in range(1, 28)]
    told = msgspec.convert({"name": "thin", "events": [thin, *gaps]}, Scenario)
    api.run(config=RunConfig(generator=BASE), scenarios=[told], out=tmp_path / "thin")
    card = common_cards(read_run(tmp_path / "thin"))["market"]
    assert card.title.startswith("BTC lost ")
    assert "book" not in card.title
    numbers = re.findall(r'text-anchor="middle">(\d+)</text>', card.chart)
    events = [row[0] for row in card.tables[0].rows if row[2][0] == "g" or row[2] == "liquidity"]
    assert numbers == events
    assert len(events) == 28

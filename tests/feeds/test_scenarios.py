"""Scenarios as data, put on a market: times, factors, rows."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from random import Random
from typing import Any

import msgspec
import numpy as np
import pytest

from engine.ticks import Kind, Step
from engine.units import NEVER_NS
from feeds.generators import Generated, generated
from feeds.generators.gbm import Gbm
from feeds.merge import concatenated, rechunked
from feeds.scenarios import Scenario, ScenarioError, Span, Staging, placed, staged
from feeds.scenarios.timeline import EVENTS_MAX

PRICE = 100.0
HOUR_NS = 3_600 * 10**9


def a_market(days: float = 0.25) -> Generated:
    """A price that does not move."""
    model = Gbm(volatility=0.0, days=days, step="10s", prices={"BTCUSDT": PRICE})
    return generated(model, 7)


def a_scenario(*events: dict[str, Any], **fields: Any) -> Scenario:
    return msgspec.convert({"name": "test", "events": events, **fields}, Scenario)


def a_staging(*scenarios: Scenario, market: Generated | None = None, seed: int = 7) -> Staging:
    market = market or a_market()
    steps = list(market.steps())
    first, last = (steps[n].table(Kind.MARK) for n in (0, -1))
    assert first is not None
    assert last is not None
    first_ns, last_ns = int(first.ts_ns[0]), int(last.ts_ns[-1])
    span = Span(first_ns, lambda: last_ns)
    info = market.symbols[0]
    return staged(scenarios, span, [info.symbol], [info.kinds], seed)


def rows_of(staging: Staging, market: Generated, steps: Iterator[Step] | None = None) -> Step:
    """All rows of a scenario on a market as one step."""
    made = list(staging.steps(steps or market.steps()))
    sequence = 0
    for step in made:
        assert step.first == sequence
        sequence = step.end
    return concatenated([step.shifted(-step.first) for step in made])


def marks_of(*events: dict[str, Any], **fields: Any) -> np.ndarray[Any, Any]:
    """Marks of the quiet market with these events, as shares of its price, one every ten
    seconds."""
    market = a_market()
    step = rows_of(a_staging(a_scenario(*events, **fields)), market)
    table = step.table(Kind.MARK)
    assert table is not None
    share: np.ndarray[Any, Any] = table.price / PRICE  # type: ignore[attr-defined]
    return share


def test_a_shock_goes_its_way_and_stays() -> None:
    """A linear shock is half done in the middle, done at its end, and nothing before its begin."""
    marks = marks_of({"kind": "shock", "at": "1h", "depth_pct": -40, "over": "1h"})
    assert marks[360] == pytest.approx(1.0, rel=1e-9)
    assert marks[540] == pytest.approx(0.8, rel=1e-9)
    assert marks[720:] == pytest.approx(0.6, rel=1e-9)


def test_a_gap_concerns_what_comes_later() -> None:
    """The row at the very instant is as it was, the next one is at the other price."""
    marks = marks_of({"kind": "gap", "at": "1h", "depth_pct": -40})
    assert marks[360] == pytest.approx(1.0, rel=1e-9)
    assert marks[361] == pytest.approx(0.6, rel=1e-9)


def test_a_rebound_takes_its_share_of_the_fall_back() -> None:
    """After half of -40 % is taken back the price is 80 % of what it was; the rest stays away."""
    fall = {"kind": "shock", "at": "1h", "depth_pct": -40, "over": "10m", "shape": "exp"}
    back = {"kind": "rebound", "after": "shock", "at": "20m", "retrace_pct": 50, "over": "10m"}
    marks = marks_of(fall, back)
    assert marks[360 + 60 : 360 + 60 + 120] == pytest.approx(0.6, rel=1e-9)
    assert marks[360 + 60 + 180 :] == pytest.approx(0.8, rel=1e-9)


def test_events_multiply() -> None:
    """Two that overlap both hold: -20 % and -10 % leave 72 %, whichever file says which."""
    first = a_scenario({"kind": "shock", "at": "1h", "depth_pct": -20, "over": "1h"})
    second = a_scenario({"kind": "shock", "at": "90m", "depth_pct": -10, "over": "1h"})
    market = a_market()
    ends = []
    for pair in ((first, second), (second, first)):
        table = rows_of(a_staging(*pair), market).table(Kind.MARK)
        assert table is not None
        ends.append(table.price[-2])  # type: ignore[attr-defined]
    assert ends == pytest.approx([72.0, 72.0], rel=1e-9)


def test_swings_and_growth_arrive() -> None:
    """Chop swings as far up as down and ends where it began; a trend grows to its whole change, by
    the same share each hour."""
    marks = marks_of({"kind": "chop", "swing_pct": 5, "period": "1h", "duration": "2h"})
    assert marks.max() == pytest.approx(1.05, rel=1e-3)
    assert marks.min() == pytest.approx(0.95, rel=1e-3)
    assert marks[-1] == pytest.approx(1.0, rel=1e-9)
    marks = marks_of({"kind": "trend", "change_pct": 300, "over": "6h"})
    assert marks[360] / marks[0] == pytest.approx(marks[1080] / marks[720], rel=1e-4)
    assert marks[-1] == pytest.approx(4.0, rel=1e-3)


def test_noise_has_its_volatility_and_its_seed() -> None:
    """Noise of 100 % a year moves so much, differently for another seed, the same for the same."""
    noise = {"kind": "vol_regime", "vol": 1.0}
    marks = marks_of(noise)
    moves = np.diff(np.log(marks))
    yearly = moves.std() * np.sqrt(365.25 * 8_640)
    assert yearly == pytest.approx(1.0, rel=0.06)
    assert not np.array_equal(marks, marks_of(noise, seed=1))
    assert np.array_equal(marks_of(noise, seed=1), marks_of(noise, seed=1))


def test_own_moves_are_scaled() -> None:
    """What the market itself does is taken so many times, in logarithms, while the event lasts."""
    fall = a_scenario({"kind": "shock", "at": "1h", "depth_pct": -20, "over": "1h"})
    market, twice = a_market(), a_scenario({"kind": "vol_regime", "scale": 2.0, "duration": "3h"})
    under = a_staging(fall)
    steps = (s for s in under.steps(market.steps()))
    table = rows_of(a_staging(twice), market, steps).table(Kind.MARK)
    assert table is not None
    assert table.price[-2] == pytest.approx(64.0, rel=1e-5)  # type: ignore[attr-defined]


EVERYTHING = (
    {"kind": "shock", "at": "1h", "depth_pct": -38, "over": "6m", "shape": "exp"},
    {"kind": "rebound", "after": "shock", "over": "40m", "shape": "staircase"},
    {"kind": "vol_regime", "scale": 0.5, "vol": 0.8, "at": "30m"},
    {"kind": "chop", "swing_pct": 2, "at": "50%", "duration": "30%"},
    {"kind": "gap", "at": "2026-01-15T04:00:00Z", "depth_pct": -10},
    {"kind": "basis", "bps": -50, "at": "2h", "duration": "1h"},
    {"kind": "bad_print", "depth_pct": -87, "at": "3h", "duration": "20s"},
    {"kind": "front_run", "push_bps": 20, "at": "2h", "every": "1h"},
    {"kind": "freeze", "at": "2h10m", "duration": "7m", "prices": ["bbo", "mark"]},
    {"kind": "outage", "target": "ticks", "at": "2h30m", "duration": "3m"},
    {"kind": "outage", "target": "index", "at": "20m", "duration": "9m"},
    {"kind": "delay", "by": "90s", "rows": ["mark"], "at": "10m", "duration": "2h"},
    {"kind": "late", "by": "45s", "share": 0.2, "at": "15m", "duration": "3h"},
    {"kind": "duplicate", "share": 0.3, "at": "5m", "duration": "4h"},
    {"kind": "funding", "rate": 0.01, "at": "1h"},
    {"kind": "liquidity", "depth_scale": 0.01, "spread_bps": 80, "at": "1h", "duration": "1h"},
    {"kind": "latency", "latency_ms": 500, "at": "1h", "duration": "1h"},
    {"kind": "rejects", "share": 0.5, "at": "90m", "duration": "1h"},
    {"kind": "outage", "at": "100m", "duration": "5m"},
    {"kind": "halt", "at": "3h30m", "duration": "5m"},
    {"kind": "withdrawal_freeze", "at": "1h", "duration": "1h"},
)


def assert_same(one: Step, other: Step) -> None:
    """The same rows and messages, bit for bit."""
    assert one.messages == other.messages
    assert len(one.tables) == len(other.tables)
    for table, same in zip(one.tables, other.tables, strict=True):
        assert np.array_equal(table.sequence, same.sequence)
        assert np.array_equal(table.ts_ns, same.ts_ns)
        for name, column in table.values():
            assert column.tobytes() == getattr(same, name).tobytes(), name


@pytest.mark.parametrize("rows", [1_000, 77, 100_000])
def test_cuts_change_nothing(rows: int) -> None:
    """Every event at once gives the same bits in blocks of any size."""
    market = a_market(0.2)
    staging = a_staging(a_scenario(*EVERYTHING), market=market)
    whole = rows_of(staging, market)
    cut = rechunked((s.shifted(-s.first) for s in market.steps()), rows)
    assert_same(whole, rows_of(staging, market, cut))


def test_cuts_at_random_change_nothing() -> None:
    """Nor does a cut anywhere, rows of one among them."""
    market, random = a_market(0.05), Random(3)
    staging = a_staging(a_scenario(*EVERYTHING), market=a_market())
    whole = concatenated([s.shifted(-s.first) for s in market.steps()])
    expected = rows_of(staging, market)
    cuts = sorted({0, len(whole), *(random.randrange(len(whole)) for _ in range(60))})
    cuts += [cut + 1 for cut in cuts[1:-1]]
    places = sorted(set(cuts))
    steps = (whole.between(a, b) for a, b in pairwise(places))
    assert_same(expected, rows_of(staging, market, steps))


def test_no_events_change_nothing() -> None:
    """A scenario without events hands the rows through as they are."""
    market = a_market(0.05)
    plain = concatenated([s.shifted(-s.first) for s in market.steps()])
    assert_same(plain, rows_of(a_staging(a_scenario()), market))


def test_times_are_what_they_say() -> None:
    """Relative, in per cent, as a date, and after another event."""
    span = Span(1_767_225_600 * 10**9, lambda: 1_767_225_600 * 10**9 + 4 * HOUR_NS)
    events = placed(
        [
            a_scenario(
                {"kind": "shock", "name": "fall", "at": "+1h", "depth_pct": -1, "over": "10%"},
                {"kind": "gap", "at": "50%", "depth_pct": -1},
                {"kind": "gap", "at": "2026-01-01T01:30:00", "depth_pct": -1},
                {"kind": "rebound", "after": "fall", "at": "6m", "of": "fall"},
                {"kind": "basis", "bps": 5, "after": "rebound"},
                {"kind": "gap", "depth_pct": -1},
            )
        ],
        span,
    )
    starts = [(each.start_ns - span.first_ns) / HOUR_NS for each in events]
    assert starts == pytest.approx([1.0, 2.0, 1.5, 1.5, 2.0, 0.0])
    assert events[0].end_ns - events[0].start_ns == pytest.approx(0.4 * HOUR_NS)
    assert events[4].end_ns == NEVER_NS


@pytest.mark.parametrize(
    ("events", "field", "said"),
    [
        ([{"kind": "shock", "depth_pct": 0}], "depth_pct", "is 0"),
        ([{"kind": "gap", "depth_pct": -100}], "depth_pct", "must be from -99.9 to 10000"),
        ([{"kind": "gap", "depth_pct": float("nan")}], "depth_pct", "must be from"),
        ([{"kind": "shock", "depth_pct": -1, "over": "0s"}], "over", "must take some time"),
        ([{"kind": "gap", "depth_pct": -1, "after": "fall"}], "after", "no event stands above"),
        (
            [{"kind": "gap", "depth_pct": -1, "name": "a", "after": "a"}],
            "after",
            "a circle: a after a",
        ),
        (
            [
                {"kind": "gap", "depth_pct": -1, "name": "a", "after": "b"},
                {"kind": "gap", "depth_pct": -1, "name": "b", "after": "c"},
                {"kind": "gap", "depth_pct": -1, "name": "c", "after": "a"},
            ],
            "after",
            "a circle: a after b after c after a",
        ),
        ([{"kind": "rebound"}], "of", "no shock or gap above"),
        (
            [
                {"kind": "basis", "bps": 5},
                {"kind": "gap", "depth_pct": -1, "after": "basis"},
            ],
            "after",
            "lasts to the end",
        ),
        ([{"kind": "gap", "depth_pct": -1, "at": "2020-01-01"}], "at", "the data begin later"),
        ([{"kind": "gap", "depth_pct": -1, "at": "2020-13-01"}], "at", "is no time"),
        ([{"kind": "gap", "depth_pct": -1, "at": "200000d"}], "at", "later than time can be told"),
        ([{"kind": "gap", "depth_pct": -1, "symbols": ["ETHUSDT"]}], "symbols", "no symbol"),
        (
            [
                {"kind": "gap", "depth_pct": -1, "name": "a"},
                {"kind": "gap", "depth_pct": -1, "name": "a"},
            ],
            "name",
            "is taken",
        ),
    ],
)
def test_what_cannot_be_is_refused(events: list[dict[str, Any]], field: str, said: str) -> None:
    """Each contradiction is named, with the event and the field that has it."""
    with pytest.raises(ScenarioError, match=said) as raised:
        a_staging(a_scenario(*events))
    assert raised.value.path[0] == "events"
    assert raised.value.path[-1] == field


def test_too_many_events_are_refused() -> None:
    """A million events are no scenario."""
    gap = {"kind": "gap", "depth_pct": -1.0}
    scenario = a_scenario(*[gap] * (EVENTS_MAX + 1))
    with pytest.raises(ScenarioError, match="10,001 events; 10,000 at most"):
        a_staging(scenario)


def test_long_chains_are_no_recursion() -> None:
    """Ten thousand events, each after the next one in the file, are placed."""
    count = EVENTS_MAX
    chain = [
        {"kind": "gap", "depth_pct": -0.01, "name": f"e{n}", "after": f"e{n + 1}", "at": "1ms"}
        for n in range(count - 1)
    ]
    last = {"kind": "gap", "depth_pct": -0.01, "name": f"e{count - 1}", "at": "1s"}
    events = placed([a_scenario(*chain, last)], Span(0, lambda: 0))
    assert events[0].start_ns == 10**9 + (count - 1) * 10**6

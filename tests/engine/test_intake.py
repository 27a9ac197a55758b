"""Tests of ``engine.intake``, as the engine's answers show it: what is refused, and why."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pytest

from engine.clock import LEAP_NS
from engine.engine import Engine, EngineSpec
from engine.sampler import Sampling
from engine.snapshot import state_digest
from engine.ticks import NOT_MARKET, Kind, Tick
from engine.units import DAY_NS, NEVER_NS, SECOND_NS
from tests.builders import T0, Run, a_contract, a_malformed, a_market, a_row, a_spec, a_tape, run

NAN, INF = math.nan, math.inf
MARK, TRADE, BBO, INDEX = Kind.MARK, Kind.TRADE, Kind.BBO, Kind.INDEX


def two_symbols() -> EngineSpec:
    """Two markets, a product in each."""
    markets = (a_market(0), a_market(1, contract=a_contract("ETHUSDT")))
    return a_spec(markets=markets)


def by_blocks(rows: Sequence[Any], spec: EngineSpec) -> list[Run]:
    """The tape whole, row by row, and in pieces of three."""
    tape = a_tape(rows)
    cuts = ((), range(len(rows)), range(0, len(rows), 3))
    return [run(spec, tape, places) for places in cuts]


def by_ticks(rows: Sequence[Any], spec: EngineSpec) -> Run:
    """The tape as live ticks."""
    said = Run(Engine(spec))
    for kind, symbol, ts_ns, values in rows:
        said.take(said.engine.process_tick(Tick(kind, symbol, ts_ns, values)))
    said.take(said.engine.finish())
    return said


def refused(rows: Sequence[Any], spec: EngineSpec | None = None) -> list[tuple[int, str]]:
    """Sequence and reason of what was refused, the same however the tape comes."""
    known = spec or a_spec(sampling=Sampling(nav_every_ns=0))
    runs = by_blocks(rows, known)
    if all(isinstance(row, tuple) for row in rows):
        runs.append(by_ticks(rows, known))
    assert len({b"\n".join(said.lines) for said in runs}) == 1
    assert len({state_digest(said.engine) for said in runs}) == 1
    found = [(e.sequence, e.reason) for e in runs[0].named("input_rejected")]
    counted = sum(runs[0].engine.state.rejected.values())
    assert counted == len(found)
    return found


def around(row: Any) -> list[Any]:
    """A row between two sound marks, one before it and one after."""
    return [a_row(MARK, T0, 100.0), row, a_row(MARK, T0 + 2 * SECOND_NS, 101.0)]


AT = T0 + SECOND_NS


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (a_row(MARK, AT, NAN), "not_finite"),
        (a_row(MARK, AT, INF), "not_finite"),
        (a_row(MARK, AT, -INF), "not_finite"),
        (a_row(MARK, AT, 0.0), "not_positive"),
        (a_row(MARK, AT, -100.0), "not_positive"),
        (a_row(INDEX, AT, NAN), "not_finite"),
        (a_row(INDEX, AT, -1.0), "not_positive"),
        (a_row(TRADE, AT, NAN, 1.0, 1, -1), "not_finite"),
        (a_row(TRADE, AT, 0.0, 1.0, 1, -1), "not_positive"),
        (a_row(TRADE, AT, 100.0, NAN, 1, -1), "not_finite"),
        (a_row(BBO, AT, NAN, 1.0, 101.0, 1.0), "not_finite"),
        (a_row(BBO, AT, 99.0, 1.0, INF, 1.0), "not_finite"),
        (a_row(BBO, AT, 1e308, 1.0, 1.5e308, 1.0), "not_finite"),
        (a_row(BBO, AT, 0.0, 1.0, 101.0, 1.0), "not_positive"),
        (a_row(BBO, AT, 99.0, NAN, 101.0, 1.0), "not_finite"),
        (a_row(BBO, AT, 101.0, 1.0, 99.0, 1.0), "crossed"),
        (a_row(BBO, AT, 100.0, 1.0, 100.0, 1.0), "crossed"),
        (a_row(Kind.LEVEL, AT, 1, NAN, 1.0, 0), "not_finite"),
        (a_row(Kind.LEVEL, AT, 1, 0.0, 1.0, 0), "not_positive"),
        (a_row(Kind.FUNDING, AT, NAN, T0 + DAY_NS), "not_finite"),
        (a_row(MARK, AT, 1e5), "jump"),
        (a_row(MARK, AT, 1e-5), "jump"),
        (a_row(MARK, T0 - 1, 100.0), "late"),
        (a_row(MARK, -1, 100.0), "clock_jump"),
        (a_row(MARK, T0 + LEAP_NS + 1, 100.0), "clock_jump"),
        (a_row(MARK, T0 + 300 * DAY_NS, 100.0), "clock_jump"),
        (a_row(MARK, 365 * DAY_NS - 1, 100.0), "clock_jump"),
        (a_row(INDEX, 1_700_000_000, 100.0), "clock_jump"),
        (a_row(MARK, NEVER_NS, 100.0), "clock_jump"),
        (a_row(MARK, AT, 100.0, symbol=1), "unknown_symbol"),
        (a_row(MARK, AT, 100.0, symbol=-1), "unknown_symbol"),
        (a_row(Kind.HEARTBEAT, T0 + LEAP_NS + 1), "clock_jump"),
        (a_malformed("half a line"), "malformed"),
    ],
)
def test_a_bad_row_is_refused_with_its_reason_and_changes_nothing(row: Any, reason: str) -> None:
    """At its own sequence, once, in blocks and live; the rows around it count. Catches a check
    that the fast way leaves out."""
    assert refused(around(row)) == [(1, reason)]
    before, _, after = around(row)
    with_it, without = (run(a_spec(), a_tape(t)) for t in (around(row), [before, after]))
    assert with_it.nav["nav_atoms"].tolist() == without.nav["nav_atoms"].tolist()


@pytest.mark.parametrize(
    "row",
    [
        a_row(TRADE, AT, 100.0, 0.0, 0, -1),
        a_row(BBO, AT, 99.0, 0.0, 101.0, 0.0),
        a_row(Kind.LEVEL, AT, -1, 101.0, 0.0, 0),
        a_row(Kind.FUNDING, AT, -0.03, T0 + DAY_NS),
        a_row(Kind.HEARTBEAT, AT),
        a_row(MARK, T0, 100.0),
        a_row(INDEX, T0 - 5 * SECOND_NS, 100.0),
        a_row(MARK, AT, 9_999.0),
        a_row(MARK, AT, 1.001),
    ],
)
def test_an_odd_row_is_not_refused(row: Any) -> None:
    """A size of zero, a mark at the same instant, an index older than the mark, a move of nearly a
    hundred times. Catches a rule that is stricter than it says."""
    assert refused(around(row)[:2]) == []


def test_the_refusal_says_what_was_refused() -> None:
    """Symbol, kind and the row's values. Catches an operator left with a bare count."""
    event = run(a_spec(), a_tape(around(a_row(BBO, AT, 101.0, 1.0, 99.0, 2.0)))).events
    rejected = next(e for e in event if e.__struct_config__.tag == "input_rejected")
    assert (rejected.symbol, rejected.kind) == ("BTCUSDT", "bbo")
    assert rejected.detail == "bid=101.0 bid_size=1.0 ask=99.0 ask_size=2.0"
    said = run(a_spec(), a_tape(around(a_malformed("half a line"))))
    assert said.named("input_rejected")[0].detail == "half a line"


def marks(*prices: float) -> list[Any]:
    return [a_row(MARK, T0 + n * SECOND_NS, price) for n, price in enumerate(prices)]


@pytest.mark.parametrize(
    ("prices", "jumps"),
    [
        ((100, 10_000, 10_000, 10_000, 10_000), [1, 2]),  # the third that agrees is believed
        ((100, 10_000, 15_000, 12_000, 100), [1, 2, 4]),  # and then the old price is the jump
        ((100, 10_000, 100, 10_000, 100, 10_000), [1, 3, 5]),  # a sound price ends the doubt
        ((100, 10_000, 30_000, 30_000, 30_000), [1, 2, 3]),  # more than twice apart: counted anew
        ((100, 0.5, 5e4, 0.5, 5e4), [1, 2, 3, 4]),
        ((100, 0.1001, 0.1001, 0.1001), [1, 2]),
        ((100, 0.1, 0.1, 0.1, 0.1, 0.1), [1, 2, 3, 4, 5]),  # a thousandth is never believed
        ((100, 1e8, 1e8, 1e8, 1e8, 100), [1, 2, 3, 4]),
        ((100, 1e4, 1e9, 1e4, 1e4, 1e4), [1, 2, 3]),  # nor does it end a doubt
        ((100, 1e4, 1e4, 1e4, 9e5, 9e5, 9e5), [1, 2]),  # measured from the last one believed
        ((100, 1.0, 1.0, 1.0), [1, 2]),  # a hundredth exactly is too far
        ((100, 9_999, 100, 1.01), []),
    ],
)
def test_a_jump_is_believed_at_the_third_price_that_agrees(
    prices: tuple[float, ...], jumps: list[int]
) -> None:
    """More than 100 times away is refused until three in a row lie within twice of one another.
    Catches a stray tick that moves a product, and a redenomination that is refused for ever."""
    assert refused(marks(*map(float, prices))) == [(n, "jump") for n in jumps]


def test_a_late_price_is_judged_by_its_own_kind_and_symbol() -> None:
    """A mark of one symbol is late behind marks of that symbol only; an equal time is in time.
    Catches lateness by the clock of all."""
    rows = [
        a_row(MARK, T0 + 10, 100.0),
        a_row(MARK, T0 + 5, 50.0, symbol=1),
        a_row(INDEX, T0 + 3, 100.0),
        a_row(BBO, T0 + 2, 99.0, 1.0, 101.0, 1.0),
        a_row(MARK, T0 + 10, 101.0),
        a_row(MARK, T0 + 9, 102.0),
        a_row(MARK, T0 + 4, 50.0, symbol=1),
        a_row(INDEX, T0 + 3, 100.0),
    ]
    assert refused(rows, two_symbols()) == [(5, "late"), (6, "late")]


def test_engine_time_runs_over_all_kinds() -> None:
    """A mark stamped earlier than an index that came before it happens at the index's time.
    Catches events that go back in time."""
    rows = [
        a_row(MARK, T0, 100.0),
        a_row(INDEX, T0 + 10 * SECOND_NS, 100.0),
        a_row(MARK, T0 + 5 * SECOND_NS, 90.0),
    ]
    for said in by_blocks(rows, a_spec()):
        assert said.named("rebalanced")[-1].ts_ns == T0 + 10 * SECOND_NS
        times = [e.ts_ns for e in said.events]
        assert times == sorted(times)


def trades(*rows: tuple[int, int, float]) -> list[Any]:
    """``(seconds, trade id, price)``."""
    return [a_row(TRADE, T0 + s * SECOND_NS, price, 1.0, 1, n) for s, n, price in rows]


def test_a_trade_id_counts_once() -> None:
    """A repeated or older id is a duplicate, gaps are none, and -1 is no id. Catches prints that a
    reconnect sends again."""
    rows = trades((0, 5, 100.0), (1, 5, 100.0), (2, 9, 100.0), (3, 7, 100.0), (4, 10, 100.0))
    assert refused(rows) == [(1, "duplicate"), (3, "duplicate")]
    assert refused(trades((0, -1, 100.0), (1, -1, 100.0), (2, 4, 100.0), (3, -1, 100.0))) == []


@pytest.mark.parametrize(
    ("ids", "duplicates"),
    [
        ((5, 2**62, 6, 7, 8, 7), [5]),  # a stray id is no measure for the next
        ((2**62, 6, 7, 8, 7), [4]),
        ((5, 2_000, 9, 2_001, 2_002, 2_001), []),  # ... nor for those behind a stop of the doubt
        ((5, 2_000, 2_001, 2_900, 2_001, 9, 2_901), [4, 5]),  # the third that agrees is believed
        ((5, 2_000, 4_000, 6_000, 8_000, 4_000), []),
        ((5, 1_005, 1_005), [2]),  # a thousand is no leap
        ((5, 7, 2**62, 2**62 + 1, 8, 9), []),
        ((1_723_000, 1_723_001, 1_723_002, 1_723_002, 8), [3, 4]),
        ((7_000, 7_000, 7_001, 7_001, 7_002, 7_002, 6_999), [1, 3, 5, 6]),  # all of them twice
        ((5, 2_000, 2_000, 9, 2_000), [2]),  # a stray one, too
    ],
)
def test_a_leap_of_ids_is_remembered_at_the_third_that_agrees(
    ids: tuple[int, ...], duplicates: list[int]
) -> None:
    """An id more than 1,000 ahead makes its row no worse and its successors no duplicates, until
    three in a row ascend. Catches one stray id that refuses the rest of a recording."""
    rows = trades(*((n, trade_id, 100.0) for n, trade_id in enumerate(ids)))
    assert refused(rows) == [(n, "duplicate") for n in duplicates]
    both = [(*r[:1], s, *r[2:]) for r in rows for s in (0, 1)]
    expected = [(2 * n + s, "duplicate") for n in duplicates for s in (0, 1)]
    assert refused(both, two_symbols()) == expected


def test_trade_ids_are_those_of_a_symbol() -> None:
    """Catches one symbol's ids refusing another's prints."""
    rows = [
        a_row(TRADE, T0 + n, 100.0, 1.0, 1, trade_id, symbol=symbol)
        for n, (symbol, trade_id) in enumerate([(0, 50), (1, 3), (0, 51), (1, 4), (1, 4), (0, 4)])
    ]
    assert refused(rows, two_symbols()) == [(4, "duplicate"), (5, "duplicate")]


@pytest.mark.parametrize("symbols", [(0, 0, 0, 0, 0), (0, 1, 0, 1, 0), (1, 1, 0, 0, 1)])
def test_one_far_price_makes_no_duplicates(symbols: tuple[int, ...]) -> None:
    """A price that sends a block the slow way is refused alone: the ids of its neighbours are as
    new as before.

    Catches ids taken down by the quick look at a block, which then refuses all of its trades.
    """
    prices = (100.0, 101.0, 100.0, 1e9, 101.0)
    rows = [
        a_row(TRADE, T0 + n, price, 1.0, 1, 50 + n, symbol=symbol)
        for n, (symbol, price) in enumerate(zip(symbols, prices, strict=True))
    ]
    assert refused(rows, two_symbols()) == [(3, "jump")]


def on_trades() -> EngineSpec:
    """A product valued at the last trade."""
    return a_spec(markets=(a_market(mark_source="last"),))


@pytest.mark.parametrize(
    "quiet",
    [
        a_row(TRADE, T0, 50.0, 1.0, 1, 8),  # late
        a_row(TRADE, T0 + 2 * SECOND_NS, 50.0, 1.0, NOT_MARKET, 8),
    ],
    ids=["late", "not a market trade"],
)
def test_a_trade_that_moves_no_price_is_no_error_and_no_price(quiet: Any) -> None:
    """A late print, and one of the insurance fund or ADL, is neither refused nor seen: the product
    that would be ruined at 50 sleeps on. Catches a liquidation print that triggers a rebalance."""
    rows = [*trades((0, 1, 100.0), (1, 7, 100.0)), quiet, *trades((3, 9, 100.5))]
    assert refused(rows, on_trades()) == []
    for said in by_blocks(rows, on_trades()):
        assert [e.opening for e in said.named("rebalanced")] == [True]
        assert not said.named("product_closed")
    moved = [*rows[:2], a_row(TRADE, T0 + 2 * SECOND_NS, 50.0, 1.0, 1, 8)]
    assert run(on_trades(), a_tape(moved)).named("product_closed")


def test_a_refused_price_wakes_nobody() -> None:
    """A NaN, a jump and a late mark beyond the edge leave no trace but their refusals. Catches a
    price that is refused and used."""
    rows = [*marks(100.0, 100.1), a_row(MARK, T0 + SECOND_NS - 1, 50.0)]
    rows += [a_row(MARK, T0 + 2 * SECOND_NS, NAN), a_row(MARK, T0 + 2 * SECOND_NS, 1e-3)]
    for said in by_blocks(rows, a_spec()):
        assert [e.reason for e in said.named("input_rejected")] == ["late", "not_finite", "jump"]
        assert not said.named("product_closed")
        assert said.engine.markets[0].state.mark == 100.1


def test_each_of_many_bad_rows_is_refused_at_its_place() -> None:
    """Twelve bad rows among 3,000 good ones of two symbols, wherever they lie in the block.
    Catches the row-by-row way losing its place, on blocks large enough for chunks."""
    spec = two_symbols()
    rows: list[Any] = []
    for n in range(3_000):
        price = 100.0 + 0.001 * (n % 7)
        rows.append(a_row(MARK, T0 + n * SECOND_NS // 100, price, symbol=n % 2))
    bad = [0, 1, 2, 511, 1_023, 1_024, 1_025, 2_047, 2_048, 2_500, 2_998, 2_999]
    for n in bad:
        kind, symbol, ts, _ = rows[n]
        rows[n] = (kind, symbol, ts, (NAN,))
    for places in ((), (1, 1_024, 2_999), range(0, 3_000, 100)):
        said = run(spec, a_tape(rows), places)
        assert [e.sequence for e in said.named("input_rejected")] == bad
        assert said.engine.state.rejected == {"not_finite": 12}

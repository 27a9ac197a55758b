"""Tests of ``engine.venue.recorded``: worked by hand, and the capture against a plain walk."""

from __future__ import annotations

import math
import tracemalloc
from fractions import Fraction
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from msgspec import structs

from engine.config import RunConfig, spec_of, standard_lineup
from engine.config.complaints import SettingError
from engine.config.settings import BookConfig, HedgeConfig, MarketConfig
from engine.engine import Engine, EngineSpec
from engine.events import OrderFilled, OrderUnfilled
from engine.policy import View
from engine.ticks import Kind, Levels, Step
from engine.units import SECOND_NS
from engine.venue.last_rows import last_of_each
from engine.venue.recorded import RecordedBook, RecordedState
from engine.venue.rules import VenueRules
from engine.venue.taking import Taken, Top
from feeds.recording import open_recording
from strategies import LeverageBand
from tests.builders import T0, a_contract, a_market, a_product, a_row, a_spec, a_tape, run

IMAGE = (
    (1, 99.0, 2.0, 1),
    (1, 98.0, 3.0, 2),
    (-1, 101.0, 1.0, 1),
    (-1, 102.0, 4.0, 2),
)
"""Bids of 2 at 99 and 3 at 98, asks of 1 at 101 and 4 at 102."""
LOT = 0.5


def levels(*rows: tuple[int, float, float, int], ts_ns: int = 0) -> Levels:
    side, price, size, image = zip(*rows, strict=True)
    return Levels(
        sequence=np.arange(len(rows)),
        symbol=0,
        ts_ns=np.full(len(rows), ts_ns),
        side=np.array(side, np.int8),
        price=np.array(price, np.float64),
        size=np.array(size, np.float64),
        snapshot=np.array(image, np.int8),
    )


def a_book(*, inverse: bool = False, image: bool = True) -> RecordedBook:
    lot = 1.0 if inverse else LOT
    contract = a_contract(inverse=inverse, lot_size=lot, price_step=1.0)
    book = RecordedBook(contract, 60.0, silent_ns=600 * SECOND_NS, half_spread_bps=1.0)
    if image:
        book.fold(levels(*IMAGE))
    return book


def at(seconds: float = 0.0) -> Top:
    return Top(100.0, -1.0, round(seconds * SECOND_NS))


def test_an_order_walks_the_levels() -> None:
    """Lots of a half: five of them buy 1 at 101 and 1.5 at 102, at 101.6 on average, on two levels;
    three sell 1.5 at 99. Catches the wrong side, the wrong order of levels and a mean of prices."""
    book = a_book()
    assert book.take_limited(1, 5, 0.0, None, at()) == Taken(5, 101.6, 2)
    assert book.take_limited(-1, 3, 0.0, None, at()) == Taken(3, 99.0, 1)


def test_nothing_lies_beyond_the_last_level() -> None:
    """Ten lots of asks: of twelve, ten are filled at (2 x 101 + 8 x 102) / 10 = 101.8."""
    taken = a_book().take_limited(1, 12, 0.0, None, at())
    assert (taken.lots, taken.price, taken.reason) == (10, pytest.approx(101.8), "no_depth")
    assert a_book().offer(1, 10, 0.0, None, at()).reason == ""


@pytest.mark.parametrize(
    ("side", "limit", "lots"),
    [(1, 100.9, 0), (1, 101.0, 2), (1, 101.9, 2), (-1, 99.1, 0), (-1, 99.0, 4), (-1, 98.0, 10)],
)
def test_a_limit_ends_the_walk(side: int, limit: float, lots: int) -> None:
    """The limit itself is good enough, what is worse is not. Catches < for <= and a side."""
    taken = a_book().take_limited(side, 10, 0.0, limit, at())
    assert taken.lots == lots
    assert taken.reason == ("" if lots == 10 else "limit")


def test_contracts_paid_in_coin_have_a_harmonic_mean() -> None:
    """One contract at 101 and one at 102 cost 1/101 + 1/102 coins: 2 / that is 101.4975."""
    taken = a_book(inverse=True).take_limited(1, 2, 0.0, None, at())
    assert taken.price == pytest.approx(2.0 / (1.0 / 101.0 + 1.0 / 102.0), rel=1e-15)
    assert taken.price < 101.5


def test_what_we_took_is_missing_until_it_is_back() -> None:
    """Two lots taken at 101: none is left there, so the next buys at 102. A half-life later one is
    back, two later one and a half, which is one whole lot; three quarters of a lot missing is one
    missing; less than half is none."""
    book = a_book()
    book.take_limited(1, 2, 0.0, None, at())
    assert book.offer(1, 1, 0.0, None, at()) == Taken(1, 102.0, 1)
    for minutes, left in ((1.0, 1), (1.4, 1), (1.99, 1), (2.01, 2), (9.0, 2)):
        offer = book.offer(1, 10, 0.0, 101.0, at(60.0 * minutes))
        assert offer.lots == left, minutes
    assert book.best(1, at()) == 102.0
    assert book.best(1, at(60.0)) == 101.0
    assert book.best(-1, at()) == 99.0


def test_takings_add_up() -> None:
    """Eight lots sold take 4 at 99 and 4 of the 6 at 98. A half-life later 2 of each are back, and
    three more take 2 at 99 and 1 at 98: 4 and 3 are missing then. Catches a second taking that
    replaces or compounds the first."""
    book = a_book()
    book.take_limited(-1, 8, 0.0, None, at())
    assert book.offer(-1, 99, 0.0, 98.0, at()).lots == 2
    book.take_limited(-1, 3, 0.0, None, at(60.0))
    assert book.state.takings == [
        (1, 98.0, 3.0, 60 * SECOND_NS) if price == 98.0 else (1, 99.0, 4.0, 60 * SECOND_NS)
        for price in (98.0, 99.0)
    ]


def test_the_feed_tells_of_the_market_without_us() -> None:
    """A row that says 101 has 5 again leaves our two lots missing: eight of ten. So does a new
    image; and a level that goes and comes back."""
    for rows in (
        [levels((-1, 101.0, 5.0, 0))],
        [levels((-1, 101.0, 5.0, 1))],
        [levels((-1, 101.0, 0.0, 0)), levels((-1, 101.0, 5.0, 0))],
    ):
        book = a_book()
        book.take_limited(1, 2, 0.0, None, at())
        for row in rows:
            book.fold(row)
        assert book.offer(1, 99, 0.0, 101.0, at()).lots == 8


def test_rows_change_levels() -> None:
    """A size replaces the one before, 0 removes the level, an image drops all levels of its side
    and of no other."""
    book = a_book()
    book.fold(
        levels((1, 99.0, 0.0, 0), (1, 97.0, 7.0, 0), (-1, 102.0, 1.0, 0), (-1, 102.0, 9.0, 0))
    )
    assert book.state.bids == [(97.0, 7.0), (98.0, 3.0)]
    assert book.state.asks == [(101.0, 1.0), (102.0, 9.0)]
    book.fold(levels((1, 95.0, 1.0, 0), (1, 96.0, 1.0, 1), (1, 94.0, 2.0, 2), (1, 96.0, 3.0, 0)))
    assert book.state.bids == [(94.0, 2.0), (96.0, 3.0)]
    assert len(book.state.asks) == 2


def test_a_book_that_cannot_be_trusted_fills_nothing() -> None:
    """Before an image of both sides, while bid and ask cross or touch, and after ten minutes of
    silence; each with its reason, and neither does looking change it."""
    book = a_book(image=False)
    book.fold(levels((1, 99.0, 2.0, 0), (-1, 101.0, 1.0, 1)))
    assert book.take_limited(1, 1, 0.0, None, at()) == Taken(0, reason="no_image")
    assert book.state.bids == []
    assert book.best(1, at()) is None
    book = a_book(image=False)
    book.fold(levels((1, 99.0, 2.0, 1), (-1, 101.0, 1.0, 0)))
    assert book.take_limited(-1, 1, 0.0, None, at()) == Taken(0, reason="no_image")
    assert book.state.asks == []
    book = a_book()
    assert book.take_limited(1, 1, 0.0, None, at(600.0)).lots == 1
    assert book.take_limited(1, 1, 0.0, None, at(600.1)) == Taken(0, reason="silent")
    book.fold(levels((1, 101.0, 1.0, 0)))
    assert book.take_limited(1, 1, 0.0, None, at()) == Taken(0, reason="crossed")
    assert book.depth(0) == 0.0
    book.fold(levels((1, 101.0, 0.0, 0), (1, 100.5, 1.0, 0)))
    assert book.take_limited(1, 1, 0.0, None, at()).lots == 1


def test_one_level_fills_at_its_very_price() -> None:
    """Five lots of a half at 0.1, 0.7 or 61234.7: no last bit is lost. Catches an average that is
    reckoned from something else than a price."""
    for price in (0.1, 0.7, 61234.7):
        for inverse in (False, True):
            book = a_book(inverse=inverse, image=False)
            book.fold(levels((1, price / 2.0, 9.0, 1), (-1, price, 9.0, 1)))
            assert book.take_limited(1, 5, 0.0, None, at()).price == price


def test_depth_is_what_lies_within_one_per_cent() -> None:
    """Mid 100: bids of 2 at 99 and asks of 1 at 101 lie within, the others not: 101 quote on the
    thinner side, and half of it when a lot of it is taken. Contracts count by their face."""
    book = a_book()
    assert book.depth(0) == 101.0
    book.take_limited(1, 1, 0.0, None, at())
    assert book.depth(0) == 50.5
    assert book.depth(60 * SECOND_NS) == 101.0 * 0.75
    assert a_book(inverse=True).depth(0) == 1.0


def test_sizes_are_whole_lots() -> None:
    """0.3 in lots of 0.1 is three lots, though 0.3 / 0.1 is less as floats; 0.39 is three, too."""
    contract = a_contract(lot_size=0.1)
    for size in (0.3, 0.39):
        book = RecordedBook(contract, 60.0, SECOND_NS, 1.0)
        book.fold(levels((1, 99.0, 1.0, 1), (-1, 101.0, size, 1)))
        assert book.offer(1, 9, 0.0, None, at()).lots == 3
        assert book.ahead(-1, 101.0) == 3.0
        assert book.ahead(-1, 102.0) == 0.0


def test_a_book_that_heard_nothing_remembers_nothing() -> None:
    """No level, no image, not heard of at any time; nor where one side alone has an image, which a
    book with that state knows of that side."""
    book = a_book(image=False)
    assert book.state == RecordedState([], [], (False, False), 0, [])
    book.fold(levels((1, 99.0, 2.0, 1), ts_ns=7))
    assert book.state == RecordedState([(99.0, 2.0)], [], (True, False), 7, [])
    other = a_book(image=False)
    other.state = book.state
    assert other.state == book.state
    other.fold(levels((1, 98.0, 1.0, 0), (-1, 101.0, 1.0, 0), ts_ns=8))
    assert (other.state.bids, other.state.asks) == ([(98.0, 1.0), (99.0, 2.0)], [])


def test_rows_wait_until_they_are_many() -> None:
    """One row less than 2**18 waits, 18 bytes each, and with the next one all are folded; so again
    after that, and in a book that was given a state. Catches rows that wait for ever, are folded a
    block at a time, or are counted from elsewhere than zero."""
    book, most = a_book(image=False), 1 << 18
    nothing = book.state
    one = levels((1, 99.0, 2.0, 0))
    many = one.take(np.zeros(most - 1, np.int64))
    tracemalloc.start()
    for restored in (False, False, True):
        if restored:
            book.fold(one)
            book.state = nothing
        before = tracemalloc.get_traced_memory()[0]
        for rows, waits in ((many, True), (one, False)):
            book.fold(rows)
            held = tracemalloc.get_traced_memory()[0] - before
            assert (held > 17 * most) == waits
    tracemalloc.stop()


def test_the_state_is_all_there_is() -> None:
    """A book with the state of another one is that book; levels are in order of price however they
    came."""
    book = a_book()
    book.fold(levels((-1, 101.5, 1.0, 0), (1, 98.5, 1.0, 0)))
    book.take_limited(1, 3, 0.0, None, at(1.0))
    other = a_book(image=False)
    other.state = book.state
    assert other.state == book.state
    assert [price for price, _ in other.state.asks] == [101.0, 101.5, 102.0]
    assert other.take_limited(1, 9, 0.0, None, at(2.0)) == book.take_limited(
        1, 9, 0.0, None, at(2.0)
    )


@pytest.mark.parametrize("step", [0.1, 0.5, 1e-9])
def test_the_last_row_of_each_price(step: float) -> None:
    """On a grid and off it, with steps too coarse or too fine for it: the rows that a dictionary
    would end with."""
    random = Random(5)
    prices = [round(random.uniform(100.0, 103.0), 1) for _ in range(500)]
    expected = {price: row for row, price in enumerate(prices)}
    found = last_of_each(np.array(prices), step)
    assert sorted(found.tolist()) == sorted(expected.values())


# In an engine ---------------------------------------------------------------------------


def _levels(ts_ns: int, *rows: tuple[int, float, float, int]) -> list[Any]:
    return [a_row(Kind.LEVEL, ts_ns, *row) for row in rows]


def test_an_order_meets_the_rows_before_it() -> None:
    """An order of 3 that arrives at 2 s meets what was said at 2 s, and not what was said at
    2.000000001 s: it buys 1 at 101 and 2 at 102 of an image, an update and an update too late."""
    market = a_market(
        contract=a_contract(lot_size=LOT, price_step=1.0, taker_fee=0.0),
        book=structs.replace(a_market().book, model="recorded"),
    )
    product = a_product(seed_atoms=100 * 10**6, latency_ns=2 * SECOND_NS)
    spec = a_spec((product, (LeverageBand(target=3.0, low=0.5, high=9.0),)), markets=[market])
    arrives = T0 + 2 * SECOND_NS
    rows = [
        a_row(Kind.MARK, T0, 100.0),
        *_levels(T0 + 1, *IMAGE),
        *_levels(arrives, (-1, 101.0, 1.0, 0), (-1, 103.0, 9.0, 0)),
        *_levels(arrives + 1, (-1, 101.0, 9.0, 0)),
        a_row(Kind.MARK, T0 + 3 * SECOND_NS, 100.0),
    ]
    for places in ((), range(len(rows))):
        (fill,) = run(spec, a_tape(rows), places).named("order_filled")
        assert (fill.lots, fill.ts_ns) == (6, arrives)
        assert fill.price == pytest.approx((101.0 + 2 * 102.0) / 3.0)


CAPTURE = "ticks/binance-usdm-btcusdt-20240808.raw.gz"


class Nervous(LeverageBand, frozen=True):
    """A band with a note of the depth it was shown."""

    uses_signals = True

    def watch(self, view: View, state: Any) -> Any:
        SHOWN.append((view.market.ts_ns, view.market.depth))
        return LeverageBand.watch(self, view, state)


SHOWN: list[tuple[int, float]] = []
BAND = 0.004


@pytest.fixture(scope="module")
def capture(shared_data: Path) -> tuple[EngineSpec, list[Step]]:
    """The capture, and products on it that trade often and late."""
    return opened(shared_data / CAPTURE, BAND, 20_000.0)


def opened(file: Path, band: float, retry_ms: float) -> tuple[EngineSpec, list[Step]]:
    recording = open_recording([file])
    whole = standard_lineup(recording.symbols)
    (market,) = whole.markets
    book = BookConfig(model="recorded", half_life_s=20.0)
    config = RunConfig(
        markets=(structs.replace(market, book=book),),
        products=tuple(
            structs.replace(
                whole.products[0],
                id=f"P{n}",
                seed_capital=capital,
                latency_ms=latency,
                hedge=HedgeConfig(retry_ms=retry_ms),
                policies=(Nervous(target=target, low=abs(target) - band, high=abs(target) + band),),
            )
            for n, (capital, latency, target) in enumerate(
                ((3e5, 0.0, 3.0), (3e6, 150.0, -2.0), (1e8, 35.0, 4.0))
            )
        ),
    )
    spec = spec_of(config, recording.symbols)
    # Orders walk as far as there are levels: the venue's bound would end some of them before.
    markets = [structs.replace(each, venue=VenueRules()) for each in spec.markets]
    return structs.replace(spec, markets=tuple(markets)), list(recording.steps())


def test_fills_on_the_capture_are_a_plain_walk_of_it(
    capture: tuple[EngineSpec, list[Step]],
) -> None:
    """Order by order: the rows up to its instant in a dictionary, its levels in fractions, our own
    takings less what is back. Every fill has the walk's lots and, to the last bits of a float, its
    price; some walk one level, some twenty, some find too little."""
    walked, reasons = _walked(*capture)
    assert len(walked) > 30, len(walked)
    assert min(walked) == 1
    assert max(walked) >= 20
    assert {"no_image", "no_depth"} <= reasons


@pytest.mark.parametrize(
    ("file", "fills", "deepest"),
    [
        ("ticks/bitmex-ws-20210722.txt.gz", 15, 3_000),
        ("ticks/hyperliquid-btc-20250126.raw.gz", 15, 20),
    ],
)
def test_fills_on_other_captures_are_plain_walks_of_them(
    file: str, fills: int, deepest: int, shared_data: Path
) -> None:
    """A whole book of contracts paid in coin, thousands of levels deep, and twenty levels of
    images: the same."""
    walked, reasons = _walked(*opened(shared_data / file, BAND / 4.0, 2_000.0))
    assert len(walked) >= fills
    assert (min(walked), max(walked) >= deepest) == (1, True)
    assert "no_depth" in reasons


def _walked(spec: EngineSpec, steps: list[Step]) -> tuple[list[int], set[str]]:
    """How many levels each fill walked, held to the plain walk, and why others found too little."""
    engine, events = Engine(spec), []
    for step in steps:
        events += engine.process(step).events
    events += engine.finish().events
    contract = spec.markets[0].contract
    lot, inverse = Fraction(repr(contract.lot_size)), contract.kind == "inverse"
    rows = [row for step in steps for row in _rows(step, spec.markets[0].symbol)]
    books: dict[int, dict[float, float]] = {1: {}, -1: {}}
    mine: dict[tuple[int, float], tuple[Fraction, int]] = {}
    imaged, place, walked, reasons = set(), 0, [], set()
    for event in events:
        if isinstance(event, OrderUnfilled):
            reasons.add(event.reason)
        if not isinstance(event, OrderFilled):
            continue
        while place < len(rows) and rows[place][0] < event.sequence + _at_row(steps, event):
            _, side, price, size, image = rows[place]
            place += 1
            if image == 1:
                books[side].clear()
                imaged.add(side)
            books[side].pop(price, None)
            if size:
                books[side][price] = size
        side = 1 if event.lots > 0 else -1
        parts = _walk(books, mine, side, abs(event.lots), event.ts_ns, lot)
        lots = sum(part for _, part in parts)
        assert lots == abs(event.lots)
        exact = sum(Fraction(price) * part for price, part in parts) / lots
        if inverse:
            exact = lots / sum(part / Fraction(price) for price, part in parts)
        assert event.price == pytest.approx(float(exact), rel=1e-15)
        walked.append(len(parts))
    assert imaged == {1, -1}
    return walked, reasons


def _rows(step: Step, symbol: int) -> list[tuple[int, int, float, float, int]]:
    table = step.table(Kind.LEVEL)
    if table is None:
        return []
    assert isinstance(table, Levels)
    columns = (table.sequence, table.side, table.price, table.size, table.snapshot)
    own = np.broadcast_to(np.asarray(table.symbol) == symbol, len(table))
    return list(zip(*(column[own].tolist() for column in columns), strict=True))


def _at_row(steps: list[Step], event: OrderFilled) -> int:
    """1 where the order meets the book at its own row, 0 where before it."""
    step = next(step for step in steps if event.sequence < step.end)
    for table in step.tables:
        place = int(np.searchsorted(table.sequence, event.sequence))
        if place < len(table) and table.sequence[place] == event.sequence:
            return int(table.ts_ns[place] == event.ts_ns)
    return 0


def _walk(
    books: dict[int, dict[float, float]],
    mine: dict[tuple[int, float], tuple[Fraction, int]],
    side: int,
    lots: int,
    ts_ns: int,
    lot: Fraction,
) -> list[tuple[float, int]]:
    parts = []
    for price in sorted(books[-side], key=lambda price: side * price):
        taken, since = mine.get((-side, price), (Fraction(0), 0))
        missing = taken * Fraction(2.0 ** (-(ts_ns - since) / 20e9)) if taken else taken
        missing = missing if missing >= Fraction(1, 2) else Fraction(0)
        there = int(Fraction(repr(books[-side][price])) / lot) - math.ceil(missing)
        part = min(there, lots)
        if part > 0:
            parts.append((price, part))
            mine[-side, price] = (missing + part, ts_ns)
            lots -= part
        if not lots:
            break
    return parts


def test_depth_that_policies_see(capture: tuple[EngineSpec, list[Step]]) -> None:
    """Tens of millions of quote lie within 1 % of the mid of the capture. Catches coins for quote
    and a side that is left out."""
    spec, steps = capture
    SHOWN.clear()
    engine = Engine(spec)
    for step in steps[:3]:
        engine.process(step)
    shown = [depth for _, depth in SHOWN]
    assert len(shown) >= 3
    assert 1e6 < min(shown) < 1e7 < max(shown) < 2e8


def test_a_recording_without_levels_has_no_recorded_book(shared_data: Path) -> None:
    """The configuration is refused in a sentence that says what would be had."""
    recording = open_recording([shared_data / "bitmex-xbtusd-1m/2020-03.jsonl.gz"])
    book = BookConfig(model="recorded")
    config = RunConfig(markets=(MarketConfig(symbol=recording.symbols[0].symbol, book=book),))
    with pytest.raises(SettingError, match=r'the data hold no L2 book; model can be "depth"'):
        spec_of(config, recording.symbols)

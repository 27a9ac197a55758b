"""NAV records say where a hedge stands in the venue's queue, and what its plan has still to trade.

The market of ``test_deleveraging``, its short trader in from 103: at 101 he has won 20,000 and the
product, short from 99.99, has lost; by Binance's score he is ahead of it. At 99 his score is 40,000
/ 1,000,000 * 9,900 / 1,040,000 = 0.00038, and the product's 29,700 / 998,200 * 29,700 / 1,027,900 =
0.00086.
"""

from __future__ import annotations

import math
from typing import Any

import msgspec
import numpy as np
import pytest
from msgspec.structs import replace

from engine.engine import Engine, EngineSpec
from engine.events import OrderSent
from engine.outputs import Outputs
from engine.ports import Batch, Mark, Taken
from engine.snapshot import restore, snapshot
from engine.ticks import Kind
from engine.units import SECOND_NS
from engine.valuing import valuation_of
from engine.venue.accounts import PositionSpec, TraderSpec
from engine.venue.adl_queue import holders
from engine.venue.crowd import CrowdSpec
from engine.venue.desk import Stage
from feeds.records import ProductNav, Recorder
from feeds.topics import Topics
from tests.builders import T0, Run, a_row, a_tape, run
from tests.engine.test_deleveraging import COIN, PRICES, QUOTE, in_danger
from tests.properties.agreement import agree


def a_short(name: str, coins: int, wallet: int, entry: float = 103.0) -> TraderSpec:
    held = PositionSpec(market=0, lots=-coins * COIN, entry=entry)
    return TraderSpec(id=name, wallet_atoms=wallet * QUOTE, positions=(held,))


def with_winner(ranking: Any = "binance", latency_ns: int = SECOND_NS // 4) -> EngineSpec:
    spec = in_danger("bankruptcy", latency_ns)
    (market,) = spec.markets
    rules = replace(market.venue, adl=replace(market.venue.adl, ranking=ranking))
    return replace(
        spec,
        markets=(replace(market, venue=rules),),
        traders=(spec.traders[0], a_short("short", 10_000, 1_000_000)),
    )


def quantiles(said: Run) -> list[float | None]:
    return [None if math.isnan(each) else each for each in said.nav["adl_quantile"].tolist()]


def test_a_record_tells_the_place_at_its_own_mark() -> None:
    """None before there is a hedge; second of two while the trader wins more; first from 99 on,
    which is what the auto-deleveraging at 90 finds. No wake is needed for it to change."""
    said = agree(with_winner(), a_tape(list(PRICES)))
    assert quantiles(said) == [None, 0.5, 0.5, 1.0, 1.0, 1.0]
    (taken,) = said.named("hedge_auto_deleveraged")
    assert (taken.rank, taken.quantile) == (1, 1.0)


@pytest.mark.parametrize("ranking", ["dydx", "drift", "pro_rata", "risk_aware"])
def test_who_draws_lots_or_shares_has_no_queue(ranking: str) -> None:
    """Where nobody is closed before another there is no place to tell."""
    assert set(quantiles(agree(with_winner(ranking), a_tape(list(PRICES))))) == {None}


def test_a_plan_under_way_shows_with_what_it_has_to_trade() -> None:
    """The opening takes a second and a half: 30,000 coins to sell in the records of then, none
    after it; nothing is lost where the input is cut."""
    spec, tape = with_winner(latency_ns=3 * SECOND_NS // 2), a_tape([100.0] * 4)
    said = agree(spec, tape)
    assert said.nav["plan_lots"].tolist() == [-30_000 * COIN, -30_000 * COIN, 0, 0]
    assert run(spec, tape, range(4)).nav["plan_lots"].tolist() == said.nav["plan_lots"].tolist()


def test_a_long_queue_is_told_at_whole_minutes() -> None:
    """2,000 shorts ahead of the product, all of 20x: its place is known at a whole minute alone.
    Nobody is woken for it."""
    base = with_winner("hyperliquid", latency_ns=0)
    others = tuple(a_short(f"s{n}", 1, 6, 100.0) for n in range(2_000))
    whole = 60 - T0 // SECOND_NS % 60
    said = run(replace(base, traders=others), a_tape([100.0] * (whole + 2)))
    told = dict(enumerate(quantiles(said)))
    assert told.pop(whole) == 1 / 2_001
    assert set(told.values()) == {None}


def a_population(count: int, most: float = 20.0) -> CrowdSpec:
    """Shorts of 1 to 9 coins at 98 to 106, a fifth of ``most`` to ``most``, by row."""
    row = np.arange(count)
    lots = -(1 + row % 9) * COIN
    entries = 98.0 + row * 37 % 801 * 0.01
    leverages = most / (1.0 + row * 13 % 97 / 24.0)
    wallets = np.ceil(-lots * entries / leverages).astype(np.int64)
    return CrowdSpec(
        id="crowd",
        market=0,
        absolute=True,
        sizes=lots.tobytes(),
        wallets=wallets.tobytes(),
        entries=entries.tobytes(),
        leverages=leverages.tobytes(),
    )


def shares(population: CrowdSpec, marks: list[float]) -> list[float]:
    """At each mark: of all shorts that are left, the share that is not ahead of the product. Plain
    numbers and Binance's score; the product sold 30,000 coins at 99.99."""
    columns = (population.sizes, population.wallets)
    lots, wallets = (np.frombuffer(column, np.int64).tolist() for column in columns)
    held = [
        (-lot / COIN, wallet / QUOTE, entry)
        for lot, wallet, entry in zip(
            lots, wallets, np.frombuffer(population.entries).tolist(), strict=True
        )
    ]
    found = []
    for mark in marks:
        held = [(n, w, e) for n, w, e in held if w + n * (e - mark) > 0.01 * n * mark]
        scored = [
            max(0.0, n * (e - mark)) / max(1.0, w) * 0.01 * n * mark / (w + n * (e - mark))
            for n, w, e in [(30_000.0, 998_500.15, 99.99), *held]
        ]
        ahead = sum(score > scored[0] for score in scored)
        found.append((len(scored) - ahead) / len(scored))
    return found


def crowded(population: CrowdSpec, ranking: Any = "binance") -> EngineSpec:
    base = with_winner(ranking, latency_ns=0)
    return replace(base, traders=(), crowds=(population,))


def test_a_population_stands_in_the_queue() -> None:
    """The product among 400 shorts, of whom each price up to 104 liquidates some: its place is the
    one that a plain count finds, at every sample, wherever the input is cut and restored. Catches
    rows that are left out, or counted as they stand later, or as they stood at first."""
    population, marks = a_population(400), [100.0, 101.0, 102.0, 103.0, 104.0, 101.0, 99.0, 98.0]
    spec = crowded(population)
    said = agree(spec, a_tape(marks))
    gone = [event.positions for event in said.named("population_liquidated")]
    assert len(gone) >= 3
    assert sum(gone) < 400
    expected = shares(population, marks)
    assert len(set(expected)) == len(marks)
    assert quantiles(said)[1:] == expected[1:]
    again = Run(Engine(spec))
    for place in range(len(marks)):
        again.take(again.engine.process(a_tape(marks).between(place, place + 1)))
        again.engine = restore(spec, snapshot(again.engine))
    again.take(again.engine.finish())
    assert quantiles(again)[1:] == expected[1:]


@pytest.mark.parametrize(("count", "every_s"), [(2_100, 60), (20_100, 3_600)])
def test_a_large_population_is_counted_at_whole_minutes_or_hours(count: int, every_s: int) -> None:
    """At every other sample the place is not told. Catches a count of a million rows a second."""
    population = a_population(count, 10.0)
    whole = (-T0 // SECOND_NS) % every_s
    spec = crowded(population)
    marks = [a_row(Kind.MARK, T0 + n * SECOND_NS, 100.0 + n % 2) for n in (0, whole, whole + 1)]
    told = dict(enumerate(quantiles(run(spec, a_tape(marks)))))
    assert told.pop(whole) == shares(population, [100.0 + whole % 2])[0]
    assert set(told.values()) == {None}


def test_there_is_no_funding_before_the_first_price() -> None:
    """A trader whose market has no price yet pays nothing, and nothing is said."""
    engine = Engine(with_winner())
    assert engine.margins is not None
    assert not engine.margins.fund_traders(0, 0.01)
    assert not engine.tape.events


def test_a_record_in_the_topic_has_both() -> None:
    """Places and plans travel in the records of the topic ``nav``. Sold at 100.99, an order that
    took a second and a half has won at once."""
    spec = with_winner(latency_ns=3 * SECOND_NS // 2)
    recorder = Recorder(Topics(), valuation_of(spec))
    tape = a_tape(list(PRICES))
    outputs = Engine(spec).process(tape)
    sent = recorder.records(Taken(Mark(), (), [(Batch(tape), outputs)], str))
    told = [msgspec.json.decode(r.value, type=ProductNav) for r in sent if r.topic == "nav"]
    assert [(nav.adl_quantile, nav.plan_lots) for nav in told] == [
        *((None, -30_000 * COIN), (None, -30_000 * COIN)),
        *((1.0, 0), (1.0, 0), (1.0, -nav_short(outputs))),
    ]


def nav_short(outputs: Outputs) -> int:
    """Lots that the re-hedge sells."""
    return -next(e.lots for e in reversed(outputs.events) if isinstance(e, OrderSent))


def test_who_is_in_liquidation_himself_is_in_no_queue() -> None:
    """A trader short of a single lot stands there beside the product, until the venue begins to
    close him."""
    spec = with_winner()
    one = TraderSpec(
        id="one", wallet_atoms=QUOTE, positions=(PositionSpec(market=0, lots=-1, entry=103.0),)
    )
    margins = run(replace(spec, traders=(one,)), a_tape([100.0, 101.0]), [1]).engine.margins

    def queued() -> list[str]:
        found = holders(margins.desk, margins.deleverager.accounts, 0, -1)
        return [account.name for account, _, _ in found]

    assert queued() == ["product:BTC3S", "trader:one"]
    margins.desk.stages["trader:one"] = Stage()
    assert queued() == ["product:BTC3S"]

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
import pytest
from msgspec.structs import replace

from engine.engine import Engine, EngineSpec
from engine.events import OrderSent
from engine.outputs import Outputs
from engine.ports import Batch, Mark, Taken
from engine.units import SECOND_NS
from engine.valuing import valuation_of
from engine.venue.accounts import PositionSpec, TraderSpec
from feeds.records import ProductNav, Recorder
from feeds.topics import Topics
from tests.builders import T0, Run, a_tape, run
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

"""What units trade at beside NAV, worked by hand; heart and slow engine agree, cut anywhere.

A 1x product of 1,000 at a mark of 100 that pays 0.1 % of fee on its hedge and takes 0.5 % of a
creation and 0.2 % of a redemption: arbitrage holds it between -0.3 % and +0.6 % of NAV. 10 quote
move it by a per cent, and half of a premium is gone after four hours.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from engine.commands import GateCreations, HaltMarket, PauseProduct, ResumeMarket, ResumeProduct
from engine.config.complaints import SettingError
from engine.config.offering_settings import SecondaryConfig
from engine.config.offerings import secondary_of
from engine.events import CreationRequest, RedemptionRequest, SecondaryPriced
from engine.offering import Offering
from engine.outputs import Outputs
from engine.report.trading_at import traded_rows, traded_words
from engine.rundir import RunWriter
from engine.sampler import Sampling
from engine.secondary import SecondaryTerms
from engine.summary import summarise
from engine.ticks import Kind
from engine.units import DAY_NS, HOUR_NS, MINUTE_NS
from engine.venue.book import BookSpec
from strategies import LeverageBand
from tests.builders import Run, a_contract, a_market, a_product, a_row, a_spec, a_tape
from tests.properties.agreement import agree

USDT = 10**6
MIDNIGHT = 19_700 * DAY_NS
THIN = SecondaryTerms(depth_atoms=10 * USDT, half_life_ns=4 * HOUR_NS)


def told(*messages: Any, marks: Any = lambda hour: 100.0, hours: int = 30, **terms: Any) -> Run:
    """A mark every 10 minutes from midnight on; Alice holds 100 of the 1,100 units."""
    ticks = [
        a_row(Kind.MARK, MIDNIGHT + n * 10 * MINUTE_NS, float(marks(n / 6)))
        for n in range(hours * 6)
    ]
    rows = sorted([*ticks, *messages], key=lambda r: r[2] if isinstance(r, tuple) else r.ts_ns)
    never = {"stale_after_ns": 9 * DAY_NS, "frozen_after_ns": 9 * DAY_NS}
    contract = a_contract(taker_fee=0.001, lot_size=0.0001)
    market = a_market(contract=contract, book=BookSpec(model="flat"), **never)
    own = {"create_fee": 0.005, "redeem_fee": 0.002, "secondary": THIN, **terms}
    product = a_product(seed_atoms=1_000 * USDT, holdings=((0, 100 * USDT),), **own)
    band = LeverageBand(target=1.0, low=0.5, high=2.0)
    hourly = Sampling(nav_every_ns=HOUR_NS)
    spec = a_spec((product, (band,)), markets=[market], users=("alice",), sampling=hourly)
    tape = a_tape(rows)
    said = agree(spec, tape)
    assert agree(spec, tape, range(len(rows))).lines == said.lines
    return said


def at(hour: float) -> int:
    return MIDNIGHT + round(hour * HOUR_NS)


def creation(hour: float, quote: float, name: str = "") -> CreationRequest:
    name = name or f"c{hour}"
    return CreationRequest(ts_ns=at(hour), id=name, user="bob", product="BTC3L", quote=quote)


def redemption(hour: float, units: float, user: str = "alice") -> RedemptionRequest:
    return RedemptionRequest(ts_ns=at(hour), id=f"r{hour}", user=user, product="BTC3L", units=units)


def gate(hour: float, *, closed: bool) -> GateCreations:
    return GateCreations(ts_ns=at(hour), id=f"g{hour}", product="BTC3L", closed=closed)


def course(said: Run) -> list[tuple[float, float, str, str]]:
    """Hour, premium in per cent, creations, redemptions."""
    return [
        (
            round((e.ts_ns - MIDNIGHT) / HOUR_NS, 3),
            round(e.premium * 100, 3),
            e.creations,
            e.redemptions,
        )
        for e in said.named("secondary_priced")
    ]


SHUT = (gate(2.0, closed=True), creation(4.0, 300.0), gate(12.0, closed=False))


def test_a_premium_is_free_while_creations_are_shut_and_held_when_they_open() -> None:
    """300 turned away at 04:00 are +30 %, half of it gone at 08:00; reopened at 12:00 it would be
    7.5 %, and is the band's 0.6 %. Catches a premium without a gate, one that stays, and one that
    arbitrage lets be."""
    said = told(*SHUT)
    assert course(said) == [
        (2.0, 0.0, "gated", "open"),
        (4.0, 30.0, "gated", "open"),
        (12.0, 0.6, "open", "open"),
    ]
    (_, event, _) = said.named("secondary_priced")
    assert event.flow_atoms == 300 * USDT
    assert event.price_per_unit == pytest.approx(event.nav_per_unit * 1.3, rel=1e-12)


def test_nobody_else_is_touched() -> None:
    """But for what it says itself, a run in which units trade is the run in which they do not.
    Catches a premium that reaches NAV, a hedge or a request."""
    said, plain = (
        told(*SHUT, redemption(5.0, 10.0)),
        told(*SHUT, redemption(5.0, 10.0), secondary=None),
    )
    others = [e for e in said.events if not isinstance(e, SecondaryPriced)]

    def bare(events: list[Any]) -> list[Any]:
        names = [[n for n in e.__struct_fields__ if n != "ordinal"] for e in events]
        return [[getattr(e, n) for n in own] for e, own in zip(events, names, strict=True)]

    assert bare(others) == bare(plain.events)
    assert said.nav["nav_per_unit"].tolist() == plain.nav["nav_per_unit"].tolist()


def test_a_side_that_is_open_holds_while_the_other_is_shut() -> None:
    """Creations gated, redemptions open: who sells cannot bring it below -0.3 %; who is paused
    out of both, as far as the limit. Catches a gate that frees both sides."""
    said = told(
        gate(2.0, closed=True),
        redemption(3.0, 50.0),
        PauseProduct(ts_ns=at(4.0), id="p", product="BTC3L"),
        redemption(5.0, 50.0),
        redemption(6.0, 5_000.0),
        ResumeProduct(ts_ns=at(7.0), id="q", product="BTC3L"),
        secondary=SecondaryTerms(depth_atoms=USDT // 2, half_life_ns=10**9 * HOUR_NS, limit=0.9),
    )
    assert course(said) == [
        (2.0, 0.0, "gated", "open"),
        (4.0, 0.0, "gated", "paused"),
        # His 50 units are worth 49.95 after the opening's fee: -99.9 %, but for the limit.
        (5.0, -90.0, "gated", "paused"),
        (6.0, -90.0, "gated", "paused"),
        (7.0, -0.3, "gated", "open"),
    ]
    flows = [e.flow_atoms for e in said.named("secondary_priced") if e.flow_atoms]
    assert flows == [-49_950_000, -49_950_000]


def test_a_window_opens_at_its_own_instant() -> None:
    """Requests are taken from 09:05 to 17:05; turned away at 08:00, the premium ends at 09:05 and
    not at the next price, and the sides are shut again at 17:05. Catches a window that is seen when
    somebody comes by."""
    window = Offering(opens_ns=9 * HOUR_NS + 5 * MINUTE_NS, closes_ns=17 * HOUR_NS + 5 * MINUTE_NS)
    said = told(creation(8.0, 40.0), offering=window, hours=20)
    assert course(said) == [
        (0.0, 0.0, "outside_window", "outside_window"),
        (8.0, 4.0, "outside_window", "outside_window"),
        (9.083, 0.6, "open", "open"),
        (17.083, round(0.6001 * 2 ** (-8 / 4), 3), "outside_window", "outside_window"),
    ]


def test_a_cap_shuts_creations_as_far_as_it_leaves_no_room() -> None:
    """1,150 units at most, of which 1,100 are out: 400 turned away would want 394 of room, and the
    cap leaves 50: +40 %, as of FLI in May 2021. A redemption of 10 units leaves 60, which is too
    little; of 90, and hours later, 150 are enough for what is left of the premium. Catches a cap
    that counts as open with a unit of room, and one that stays shut."""
    cap = Offering(units_max=1_150 * 10**8)
    said = told(creation(1.0, 400.0), redemption(2.0, 10.0), redemption(12.0, 90.0), offering=cap)
    assert [e.reason for e in said.named("creation_refused")] == ["units_cap"]
    assert course(said) == [(1.0, 40.0, "units_cap", "open"), (12.0, 0.6, "open", "open")]


def test_a_cap_of_a_day_shuts_its_side_until_the_next() -> None:
    """100 a day: the second creation of 80 finds 20 of room, and would want 74; at midnight there
    are 100. So do redemptions of 60 and 40 under a cap of 80, on the other side. Catches a day that
    never turns, and creations that use up the day of redemptions."""
    cap = Offering(day_max=100 * USDT)
    said = told(creation(1.0, 80.0), creation(2.0, 80.0), redemption(3.0, 90.0), offering=cap)
    assert course(said) == [(2.0, 8.0, "day_cap", "open"), (24.0, 0.177, "open", "open")]
    cap = Offering(day_max=80 * USDT)
    said = told(redemption(3.0, 60.0), redemption(4.0, 40.0), offering=cap)
    assert course(said) == [(4.0, -3.996, "open", "day_cap"), (24.0, -0.125, "open", "open")]


def test_a_halted_market_shuts_both_sides_and_a_closed_product_ends() -> None:
    """Halted from 02:00 on; 100 turned away are +10 %; the first price after the end of it opens
    both. At 06:00 the product loses all: its units are worth nothing, and no premium of it is told.
    Catches a premium on a stale NAV that outlives it, and one of a product that is gone."""
    said = told(
        HaltMarket(ts_ns=at(2.0), id="h", symbol="BTCUSDT"),
        creation(3.0, 100.0),
        ResumeMarket(ts_ns=at(4.01), id="i", symbol="BTCUSDT"),
        marks=lambda hour: 100.0 if hour < 6 else 0.0001,
        hours=8,
    )
    assert [each[2:] for each in course(said)[:3]] == [("halted", "halted")] * 2 + [
        ("open", "open")
    ]
    assert course(said)[1][:2] == (3.0, 10.0)
    assert course(said)[2][:2] == (4.167, 0.6)


def test_samples_and_figures_follow_what_was_said() -> None:
    """Each hour's NAV record has the premium of then; the summary has the extremes, the money that
    was turned away and how long who was shut out. Catches a premium that jumps at the record after,
    and an end that forgets to fade."""
    said = told(*SHUT, hours=17)
    writer = RunWriter(None, said.engine)
    writer.collect(Outputs(said.events, [], said.blocks, []))
    hours = [(ts - MIDNIGHT) / HOUR_NS for ts in said.nav["ts_ns"].tolist()]
    found = writer.premiums.at("BTC3L", np.array(said.nav["ts_ns"]))
    by_hour = dict(zip(hours, found.tolist(), strict=True))
    assert by_hour[3.0] == 0.0
    assert by_hour[4.0] == pytest.approx(0.3)
    assert by_hour[8.0] == pytest.approx(0.15)
    assert by_hour[16.0] == pytest.approx(0.003, rel=1e-3)
    writer.close()
    summary = summarise(said.engine, writer)
    figures = summary["products"]["BTC3L"]["secondary"]
    assert figures["premium_max"] == pytest.approx(0.3)
    assert (figures["bought"], figures["sold"]) == (300.0, 0.0)
    assert figures["creations_shut_seconds"] == {"gated": 36_000.0}
    assert figures["redemptions_shut_seconds"] == {}
    assert figures["price_end"] == pytest.approx(
        summary["products"]["BTC3L"]["nav_end"] * (1 + figures["premium_end"])
    )
    assert summarise(said.engine, writer)["products"]["BTC3L"]["secondary"] == figures
    words = traded_words(summary["products"]["BTC3L"])
    assert "to +30.0 %" in words
    assert "creations were shut 10 h (gated)" in words
    assert [row[0] for row in traded_rows(summary)] == ["BTC3L"]


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        (SecondaryConfig(depth_at_1pct=0.0), "depth_at_1pct must be an amount"),
        (SecondaryConfig(depth_at_1pct=1.0, limit=1.0), "limit must be a share"),
        (SecondaryConfig(depth_at_1pct=1.0, half_life="1ms"), "half_life must be at least"),
    ],
)
def test_a_wrong_setting_is_named(config: SecondaryConfig, sentence: str) -> None:
    with pytest.raises(SettingError, match=sentence):
        secondary_of((), config, USDT)

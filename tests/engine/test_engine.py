"""Tests of ``engine.engine``: order at one instant, alarms in time, sequences, requests."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import pytest

from engine.engine import Engine, EngineSpec
from engine.errors import ConfigError, InvariantError
from engine.events import CreationRequest, RedemptionRequest
from engine.market import MarketSpec
from engine.policy import Close, Decision, Deleverage, Nothing, SetLeverage, View
from engine.product import ProductSpec
from engine.sampler import Sampling
from engine.ticks import Kind, Marks, Step, Tick
from engine.units import HOUR_NS, MINUTE_NS, NEVER_NS, SECOND_NS, UNIT_STEPS
from engine.venue.book import BookSpec
from engine.venue.contract_spec import ContractSpec
from engine.venue.funding import FundingSpec
from engine.watch import NEVER, Watch
from strategies import LeverageBand, Schedule
from tests.builders import (
    T0,
    Run,
    a_contract,
    a_malformed,
    a_market,
    a_product,
    a_row,
    a_spec,
    a_tape,
    cut,
    run,
)

USDT = 10**6
A = T0 + 100 * SECOND_NS
"""A whole minute."""
WIDE = LeverageBand(target=3.0, low=0.1, high=100.0)


def free_market(symbol: int = 0, name: str = "BTCUSDT", **fields: Any) -> Any:
    """A market without fees and spread, with lots of a billionth."""
    contract = a_contract(name, taker_fee=0.0, lot_size=1e-9)
    return a_market(symbol, contract=contract, book=BookSpec(model="flat"), **fields)


def free(*products: Any, market: Any = None, **fields: Any) -> EngineSpec:
    """Products in a market without costs."""
    return a_spec(*products, markets=(market or free_market(),), **fields)


def mark(ts_ns: int, price: float, symbol: int = 0) -> Any:
    return a_row(Kind.MARK, ts_ns, price, symbol=symbol)


def creation(ts_ns: int, product: str = "BTC3L", **fields: Any) -> CreationRequest:
    defaults = {"id": f"c{ts_ns}", "user": "alice", "quote": 100.0}
    return CreationRequest(ts_ns=ts_ns, product=product, **{**defaults, **fields})


def redemption(ts_ns: int, units: float, product: str = "BTC3L", **fields: Any) -> Any:
    defaults = {"id": f"r{ts_ns}", "user": "alice"}
    return RedemptionRequest(ts_ns=ts_ns, product=product, units=units, **{**defaults, **fields})


class Probe:
    """A policy that answers from a function and writes down when it was asked."""

    uses_signals: ClassVar[bool] = False
    uses_high_water: ClassVar[bool] = False
    de_risking: ClassVar[bool] = False

    def __init__(
        self,
        answer: Callable[[View], Decision | None] = lambda view: None,
        every_ns: int = 0,
        watch: Watch = NEVER,
    ) -> None:
        self.answer, self.every_ns, self.own = answer, every_ns, watch
        self.asked: list[tuple[int, float]] = []

    def initial_state(self) -> Nothing:
        return Nothing()

    def watch(self, view: View, state: Nothing) -> Watch:
        every = self.every_ns
        alarm = (view.due_ns // every + 1) * every if every else NEVER_NS
        return self.own & Watch(alarm_ns=alarm)

    def decide(self, view: View, state: Nothing) -> tuple[Decision | None, Nothing]:
        self.asked.append((view.due_ns, view.market.mark))
        return self.answer(view), state


def to(target: float) -> Callable[[View], Decision | None]:
    """Opens at a leverage and then says nothing."""
    return lambda view: None if view.position.target else SetLeverage(target, "opening")


# One instant --------------------------------------------------------------------------------------


def test_everything_that_can_happen_at_one_instant_happens_in_order() -> None:
    """Prices and what they breach, stale checks, fills, funding, fees, policies, requests,
    samples. Catches any two of them exchanged."""
    bitcoin = free_market(funding=FundingSpec(recorded=False, instants=((A, 0.001),)))
    ether = free_market(1, "ETHUSDT", stale_after_ns=MINUTE_NS)
    narrow = LeverageBand(target=3.0, low=2.95, high=3.05)
    spec = a_spec(
        (a_product("BREACH"), (LeverageBand(target=3.0, low=2.4, high=3.6),)),
        (a_product("ORDER", latency_ns=5 * SECOND_NS), (narrow,)),
        (a_product("FEE", management_fee=0.01, fee_every_ns=MINUTE_NS), (WIDE,)),
        (a_product("CLOCK"), (Schedule(target=2.0, every_s=60.0),)),
        (a_product("ETHER", 1), (WIDE,)),
        markets=(bitcoin, ether),
        sampling=Sampling(nav_every_ns=MINUTE_NS),
    )
    rows = [
        mark(A - 60 * SECOND_NS, 100.0),
        mark(A - 60 * SECOND_NS, 50.0, symbol=1),
        mark(A - 30 * SECOND_NS, 100.1),
        mark(A - 5 * SECOND_NS, 102.0),
        mark(A, 90.0),
        creation(A, "FEE"),
        mark(A + 1, 90.1),
    ]
    said = run(spec, a_tape(rows))
    at = [
        (e.__struct_config__.tag, getattr(e, "product", getattr(e, "symbol", "")))
        for e in said.events
        if e.ts_ns == A
    ]
    assert at == [
        *((tag, "BREACH") for tag in ("order_sent", "order_filled", "rebalanced")),
        ("market_stale", "ETHUSDT"),
        ("order_filled", "ORDER"),
        ("rebalanced", "ORDER"),
        *(("funding_settled", name) for name in ("BREACH", "ORDER", "FEE", "CLOCK")),
        ("management_fee_charged", "FEE"),
        *((tag, "ORDER") for tag in ("order_sent",)),
        *((tag, "CLOCK") for tag in ("order_sent", "order_filled", "rebalanced")),
        *((tag, "FEE") for tag in ("order_sent", "order_filled", "units_created")),
    ]
    assert said.named("order_filled")[-1].mark_price == 90.0
    nav = said.nav
    there = (nav["ts_ns"] == A) & (nav["product"] == 2)
    assert nav["sequence"][there].tolist() == [6]
    assert nav["funding"][there][0] < 0.0
    assert nav["management_fee"][there][0] < 0.0
    assert nav["flows"][there][0] == 100 * USDT


def test_funding_comes_before_the_fee_of_the_same_instant() -> None:
    """3x on 100: funding of 0.1 % on 300 takes 0.3, then 1 % of 99.7 is 0.997. Catches a fee on
    money that is already due."""
    market = free_market(funding=FundingSpec(recorded=False, instants=((A, 0.001),)))
    product = a_product(seed_atoms=100 * USDT, management_fee=0.01, fee_every_ns=MINUTE_NS)
    rows = [mark(A - 60 * SECOND_NS + 1, 100.0), mark(A, 100.0), mark(A + 1, 100.0)]
    said = run(free((product, (WIDE,)), market=market), a_tape(rows))
    funding, fee = said.named("funding_settled", "management_fee_charged")
    assert funding.paid_atoms == 300_000
    assert (fee.nav_atoms, fee.paid_atoms) == (99_700_000, 997_000)


def test_a_trade_of_an_instant_is_sized_after_its_payments() -> None:
    """A rebalance at the funding instant leaves leverage at its target after funding. Catches a
    policy that is asked before the money is gone."""
    market = free_market(funding=FundingSpec(recorded=False, instants=((A, 0.01),)))
    spec = free((a_product(), (Schedule(target=3.0, every_s=60.0),)), market=market)
    said = run(spec, a_tape([mark(A - 50 * SECOND_NS, 100.0), mark(A, 110.0), mark(A + 1, 110.0)]))
    funding, trade = said.named("funding_settled")[0], said.named("rebalanced")[-1]
    assert (funding.sequence, funding.ordinal) < (trade.sequence, trade.ordinal)
    assert trade.leverage_after == pytest.approx(3.0)


# Alarms -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("places", [(), range(5), (3,), (4,)])
def test_an_alarm_at_a_ticks_own_time_rings_after_it_and_before_the_next(places: Any) -> None:
    """The schedule at A trades at the last price of A, 105, not at 104 before it nor at 200 a
    nanosecond later; its cause is the row that let A pass. Catches an alarm that rings with the
    first tick at or after its time."""
    spec = free((a_product(), (Schedule(target=3.0, every_s=60.0),)))
    rows = [
        mark(A - SECOND_NS, 100.0),
        mark(A - 1, 103.0),
        mark(A, 104.0),
        mark(A, 105.0),
        mark(A + 1, 200.0),
    ]
    said = run(spec, a_tape(rows), places)
    trade = said.named("rebalanced")[1]
    assert (trade.mark_price, trade.ts_ns, trade.decided_ns) == (105.0, A, A)
    assert trade.sequence == 4


def test_an_order_meets_the_book_as_of_its_arrival() -> None:
    """Sent at 100 with a latency of 3 s, it is filled at the last price up to its arrival, at its
    arrival, whenever the next tick comes. Catches a fill at the decision's price, or at the next
    tick's."""
    spec = free((a_product(latency_ns=3 * SECOND_NS), (WIDE,)))
    rows = [mark(T0, 100.0), mark(T0 + 2 * SECOND_NS, 101.0), mark(T0 + 50 * SECOND_NS, 77.0)]
    said = run(spec, a_tape(rows))
    (sent,), (filled,) = said.named("order_sent"), said.named("order_filled")
    assert (sent.ts_ns, sent.arrives_ns, sent.mark_price) == (T0, T0 + 3 * SECOND_NS, 100.0)
    assert (filled.ts_ns, filled.price, filled.sequence) == (T0 + 3 * SECOND_NS, 101.0, 2)
    assert said.engine.handlers[0].state.unhedged_ns == 3 * SECOND_NS


@pytest.mark.parametrize("places", [(), (1,), range(3)])
def test_a_grid_rings_once_at_each_of_its_points_across_a_gap_of_an_hour(places: Any) -> None:
    """60 reviews and 60 fees, each at its own minute, on the last price before the gap. Catches a
    gap that becomes one ring, or none."""
    probe = Probe(to(1.0), every_ns=MINUTE_NS)
    product = a_product(management_fee=0.0001, fee_every_ns=MINUTE_NS)
    rows = [mark(A, 100.0), mark(A + HOUR_NS + 1, 150.0), mark(A + HOUR_NS + 2, 150.0)]
    said = run(free((product, (probe,))), a_tape(rows), places)
    minutes = [A + n * MINUTE_NS for n in range(1, 61)]
    assert [e.ts_ns for e in said.named("management_fee_charged")] == minutes
    assert [due for due, _ in probe.asked if due > A] == minutes
    assert {price for due, price in probe.asked if due >= A} == {100.0}
    assert {e.sequence for e in said.named("management_fee_charged")} == {1}
    assert said.named("market_stale")[0].ts_ns == A + MINUTE_NS


def test_a_price_wakes_with_the_alarms_of_its_instant_still_to_come() -> None:
    """At a tick at A due_ns is A - 1, at the alarm at A it is A. Catches a timer that fires twice
    at a tick of its own time."""
    probe = Probe(to(1.0), every_ns=MINUTE_NS, watch=Watch(low=99.0))
    rows = [mark(A - 1, 100.0), mark(A, 98.0), mark(A + 1, 100.0)]
    run(free((a_product(), (probe,))), a_tape(rows))
    assert [due for due, _ in probe.asked] == [A - 2, A - 1, A]


def test_a_heartbeat_lets_alarms_ring_and_moves_no_price() -> None:
    """Catches a quiet market whose schedule waits for a trade."""
    spec = free((a_product(), (Schedule(target=3.0, every_s=60.0),)))
    rows = [mark(A - 2 * SECOND_NS, 100.0), mark(A - SECOND_NS, 110.0)]
    beat = a_row(Kind.HEARTBEAT, A + 1)
    said = run(spec, a_tape([*rows, beat]), finish=False)
    trade = said.named("rebalanced")[-1]
    assert (trade.ts_ns, trade.mark_price, trade.sequence) == (A, 110.0, 2)


def test_the_end_of_a_finite_input_lets_its_last_instant_pass() -> None:
    """An alarm and a sample at the last tick's time are still to come until ``finish``; later ones
    stay away. Catches a run that ends one rebalance short."""
    spec = free((a_product(), (Schedule(target=3.0, every_s=60.0),)))
    rows = [mark(A - SECOND_NS, 100.0), mark(A, 110.0)]
    without, ended = run(spec, a_tape(rows), finish=False), run(spec, a_tape(rows))
    assert len(without.named("rebalanced")) == 1
    assert len(ended.named("rebalanced")) == 2
    assert ended.named("rebalanced")[-1].sequence == 2
    assert A not in without.nav["ts_ns"]
    assert ended.nav["ts_ns"].tolist()[-1] == A


# Sequences ----------------------------------------------------------------------------------------


def test_a_step_must_follow_the_last_one() -> None:
    """Catches rows that are seen twice or never."""
    tape = a_tape([100.0, 101.0, 102.0, 103.0])
    engine = Engine(a_spec())
    engine.process(tape.between(0, 2))
    assert engine.sequence == 2
    for wrong in (tape.between(1, 2), tape.between(0, 2), tape.between(3, 4)):
        with pytest.raises(InvariantError, match="expected 2"):
            engine.process(wrong)
    engine.process(tape.between(2, 4))
    engine.process(Step(first=4, end=4))
    assert engine.sequence == 4


def a_busy_tape() -> tuple[EngineSpec, list[Any]]:
    """Two markets, latencies, fees, requests and bad rows."""
    spec = a_spec(
        (
            a_product("ONE", latency_ns=2 * SECOND_NS),
            (LeverageBand(target=3.0, low=2.9, high=3.1),),
        ),
        (a_product("TWO", 1, management_fee=0.001, fee_every_ns=MINUTE_NS), (WIDE,)),
        (a_product("SIX"), (Schedule(target=-2.0, every_s=7.0),)),
        markets=(free_market(), free_market(1, "ETHUSDT")),
    )
    rows: list[Any] = []
    for n in range(200):
        ts = T0 + (n * 3 // 2) * SECOND_NS
        row: Any = mark(ts, 100.0 + 5.0 * math.sin(n * 0.7), symbol=n % 2)
        if n % 17 == 4:
            row = creation(ts, ("ONE", "TWO", "NONE")[n % 3], id=f"c{n}")
        elif n % 29 == 7:
            row = a_malformed()
        rows.append(row)
    return spec, rows


def test_what_an_input_causes_is_said_at_that_input() -> None:
    """Fed row by row, every output of a call bears the sequence of that row, ordinals count from
    0, times never go back. Catches an effect before its cause, and one that is told late."""
    spec, rows = a_busy_tape()
    said = Run(Engine(spec))
    tape = a_tape(rows)
    for step in cut(tape, range(len(rows))):
        outputs = said.engine.process(step)
        assert {e.sequence for e in outputs.events} <= {step.first}
        assert [e.ordinal for e in outputs.events] == list(range(len(outputs.events)))
        assert all(e.ts_ns <= said.engine.time_ns for e in outputs.events)
        for block in outputs.nav:
            assert set(block.sequence.tolist()) <= {step.first}
        said.take(outputs)
    times = [e.ts_ns for e in said.events]
    assert times == sorted(times)
    assert len(said.events) > 200


@pytest.mark.parametrize("places", [range(200), range(0, 200, 3), (1, 100), (199,)])
def test_the_log_does_not_know_the_cuts(places: Any) -> None:
    """Any cuts: the same events, samples and digest. Catches state that lives in a step."""
    spec, rows = a_busy_tape()
    whole, parts = run(spec, a_tape(rows)), run(spec, a_tape(rows), places)
    assert parts.lines == whole.lines
    assert parts.engine.digest() == whole.engine.digest()
    for name, column in whole.nav.items():
        assert column.tobytes() == parts.nav[name].tobytes()


def test_live_ticks_are_rows() -> None:
    """process_tick and process give one log and one digest. Catches a short way that forgets
    something."""
    spec, rows = a_busy_tape()
    ticks = [row for row in rows if isinstance(row, tuple)]
    live = Run(Engine(spec))
    for kind, symbol, ts_ns, values in ticks:
        live.take(live.engine.process_tick(Tick(kind, symbol, ts_ns, values)))
    live.take(live.engine.finish())
    block = run(spec, a_tape(ticks))
    assert live.lines == block.lines
    assert live.engine.digest() == block.engine.digest()
    assert live.engine.state.ticks == block.engine.state.ticks == len(ticks)


def test_a_sample_stands_on_the_last_price_up_to_its_time() -> None:
    """At every second, on the price at or before it; a trade at the sample's time is in it.
    Catches a sample that looks one tick ahead, or lags behind a trade."""
    spec = free((a_product(seed_atoms=100 * USDT), (Schedule(target=2.0, every_s=60.0),)))
    rows = [mark(A - 2 * SECOND_NS, 100.0), mark(A - SECOND_NS // 2, 110.0), mark(A + 1, 55.0)]
    rows.append(mark(A + 3 * SECOND_NS, 60.0))
    nav = run(spec, a_tape(rows)).nav
    assert ((nav["ts_ns"] - A) // SECOND_NS).tolist() == [-2, -1, 0, 1, 2, 3]
    assert nav["mark_price"].tolist() == [100.0, 100.0, 110.0, 55.0, 55.0, 60.0]
    assert nav["leverage"][2] == pytest.approx(2.0)
    assert nav["sequence"].tolist() == [1, 1, 2, 3, 3, 4]


def test_samples_change_nobodys_result() -> None:
    """Any cadence, or none, gives the same events. Catches a sample that is a wake."""
    spec, rows = a_busy_tape()
    lines = set()
    for every in (0, SECOND_NS, 7 * SECOND_NS):
        sampling = Sampling(nav_every_ns=every, user_nav_every_ns=every)
        sampled = EngineSpec(
            symbols=spec.symbols,
            markets=spec.markets,
            products=spec.products,
            policies=spec.policies,
            sampling=sampling,
        )
        lines.add(b"\n".join(run(sampled, a_tape(rows)).lines))
    assert len(lines) == 1


def test_a_product_is_configured_once() -> None:
    """Catches two products of one name sharing their balances."""
    with pytest.raises(ConfigError, match="BTC3L is configured twice"):
        Engine(a_spec((a_product(), (WIDE,)), (a_product(), (WIDE,))))


# Decisions ----------------------------------------------------------------------------------------


def decided(*answers: Decision | None) -> Run:
    """Policies that open at 1x and at the first fall below 95 answer so."""
    probes = []
    for answer in answers:

        def say(view: View, answer: Decision | None = answer) -> Decision | None:
            return answer if view.market.mark < 95.0 else to(1.0)(view)

        probes.append(Probe(say, watch=Watch(low=95.0)))
    return run(free((a_product(), tuple(probes))), a_tape([100.0, 99.0, 94.0]))


def test_of_several_decisions_the_gravest_is_carried_out() -> None:
    """Close before Deleverage before SetLeverage, then the listed order. Catches a comfort band
    that overrules the margin."""
    more, less = SetLeverage(2.0, "more"), SetLeverage(0.5, "less")
    cut_to, close = Deleverage(0.25, "margin"), Close("done")
    assert decided(more, less).named("rebalanced")[-1].reason == "more"
    assert decided(less, more, None).named("rebalanced")[-1].reason == "less"
    assert decided(more, cut_to).named("deleveraged")[-1].target == 0.25
    assert decided(more, cut_to, close).named("product_closed")[-1].reason == "done"


def test_ruin_is_seen_before_any_policy_is_asked() -> None:
    """A 3x product that finds the market 40 % lower is closed, whatever its policy would say; the
    deficit of 20 per 100 is paid by the reserve and then the issuer. Catches a policy that divides
    by a NAV below zero."""
    probe = Probe(to(3.0), watch=Watch(low=90.0))
    product = a_product(seed_atoms=100 * USDT, reserve_atoms=5 * USDT)
    said = run(free((product, (probe,))), a_tape([100.0, 60.0, 50.0]))
    (closed,) = said.named("product_closed")
    assert (closed.reason, closed.nav_atoms) == ("nav_not_positive", -20 * USDT)
    assert closed.deficit_atoms == 20 * USDT
    paid = [(e.payer, e.paid_atoms) for e in said.named("deficit_paid")]
    assert paid == [("reserve", 5 * USDT), ("issuer", 15 * USDT)]
    assert [price for _, price in probe.asked] == [100.0]
    assert said.engine.handlers[0].account.nav(50.0) == 0
    said.engine.ledger.check()


def raising(view: View) -> Decision | None:
    raise ZeroDivisionError("no volatility")


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (raising, "ZeroDivisionError: no volatility"),
        (lambda view: SetLeverage(math.nan, "?"), "finite"),
        (lambda view: SetLeverage(99.0, "?"), "outside the product's limits"),
        (lambda view: SetLeverage("3", "?"), "finite"),  # type: ignore[arg-type]
        (lambda view: view.position, "PositionView; it must be a decision"),
        (lambda view: SetLeverage(2.0, {"why"}), "set as reason"),  # type: ignore[arg-type]
        (lambda view: Close(object()), "object as reason"),  # type: ignore[arg-type]
        (lambda view: SetLeverage(2.0, "?", "twap"), "str as plan"),  # type: ignore[arg-type]
    ],
)
def test_a_policy_that_fails_never_kills_the_engine(answer: Any, error: str) -> None:
    """It is faulted once, with its error, and not asked again; the policies beside it go on.
    Catches a user's mistake that stops everybody."""
    bad = Probe(lambda view: answer(view) if view.market.mark < 95.0 else None, watch=Watch(low=95))
    band = LeverageBand(target=3.0, low=2.4, high=3.6)
    said = run(free((a_product(), (bad, band))), a_tape([100.0, 94.0, 93.0, 80.0]))
    (fault,) = said.named("policy_faulted")
    assert error in fault.error
    assert (fault.sequence, fault.safe_mode) == (1, "hold")
    assert said.named("rebalanced")[-1].sequence == 3


def test_an_alarm_that_is_not_in_the_future_is_a_fault() -> None:
    """Catches a timer that rings for ever at one instant."""
    probe = Probe(to(1.0), watch=Watch(alarm_ns=T0))
    said = run(free((a_product(), (probe,))), a_tape([100.0, 101.0]))
    (fault,) = said.named("policy_faulted")
    assert "is not after" in fault.error


# Requests -----------------------------------------------------------------------------------------


def reasons(said: Run) -> list[tuple[str, str]]:
    return [(e.id, e.reason) for e in said.named("creation_refused", "redemption_refused")]


def test_a_creation_is_dealt_at_nav_and_leaves_the_others_as_they_were() -> None:
    """130 quote into a 3x product whose units stand at 1.3 buy 100 of them and a tenth of its lots;
    NAV per unit and leverage stay. Catches a creation at the issue price, or one that dilutes."""
    spec = free((a_product(seed_atoms=1_000 * USDT), (WIDE,)))
    ts = T0 + SECOND_NS
    asked = creation(ts, quote=130.0)
    said = run(spec, a_tape([100.0, mark(ts, 110.0), asked, mark(ts + 1, 110.0)]))
    (made,) = said.named("units_created")
    assert made.units == made.user_units == 100 * UNIT_STEPS
    assert (made.quote_atoms, made.cost_atoms, made.refund_atoms) == (130 * USDT, 0, 0)
    account = said.engine.handlers[0].account
    assert account.nav(110.0) == made.nav_atoms == 1_430 * USDT
    assert account.units == made.units_total == 1_100 * UNIT_STEPS
    assert account.lots == 33 * 10**9


def test_the_requester_bears_the_costs_of_his_hedge() -> None:
    """With a spread of 10 bps and a fee of 4, a creation and a redemption leave the others' NAV
    per unit no lower, and by a step higher at most per unit. Catches costs that fall on the
    pool."""
    market = a_market(book=BookSpec(model="flat", half_spread_bps=10.0))
    spec = a_spec((a_product(seed_atoms=1_000 * USDT), (WIDE,)), markets=(market,))
    before = run(spec, a_tape([100.0])).engine.handlers[0].account
    rows = [100.0, creation(T0), redemption(T0 + 1, 40.0), mark(T0 + 2, 100.0)]
    said = run(spec, a_tape(rows))
    after = said.engine.handlers[0].account
    per_unit = before.nav(100.0) / before.units
    assert after.nav(100.0) / after.units >= per_unit
    assert after.nav(100.0) / after.units == pytest.approx(per_unit, rel=1e-7)
    assert said.named("units_created")[0].cost_atoms > 0
    assert said.named("units_redeemed")[0].cost_atoms > 0


def test_a_request_is_named_once() -> None:
    """A second one of the same id is refused, also where the first was. Catches a retry that deals
    twice."""
    rows = [100.0, creation(T0, id="x"), creation(T0, id="x"), redemption(T0, 1.0, id="x")]
    rows += [creation(T0, "NONE", id="y"), creation(T0, id="y")]
    said = run(a_spec(), a_tape(rows))
    assert reasons(said) == [
        ("x", "duplicate"),
        ("x", "duplicate"),
        ("y", "unknown_product"),
        ("y", "duplicate"),
    ]
    assert len(said.named("units_created")) == 1


def test_requests_are_refused_with_their_reasons() -> None:
    """Before the launch, without units, for too little, by strangers, in a stale market, after the
    end. Catches a request that vanishes."""
    late = T0 + 200 * SECOND_NS
    rows = [
        creation(T0, id="early"),
        mark(T0, 100.0),
        redemption(T0, 1.0, id="stranger"),
        creation(T0, id="dust", quote=1e-9),
        creation(T0, id="good"),
        redemption(T0, 1e9, id="greedy"),
        redemption(T0, 1e-9, id="crumb"),
        creation(late, id="stale"),
        mark(late, 60.0),
        creation(late + 1, id="closed"),
    ]
    said = run(free((a_product(), (WIDE,))), a_tape(rows))
    assert reasons(said) == [
        ("early", "not_launched"),
        ("stranger", "unknown_user"),
        ("dust", "too_small"),
        ("greedy", "insufficient_units"),
        ("crumb", "too_small"),
        ("stale", "stale"),
        ("closed", "closed"),
    ]


@pytest.mark.parametrize("terms", ["refuse", "queue"])
def test_a_request_during_a_rebalance_waits_or_is_refused_as_the_terms_say(terms: str) -> None:
    """Catches a creation in the middle of an order, at a NAV whose hedge is half done."""
    product = a_product(latency_ns=5 * SECOND_NS, while_rebalancing=terms)
    rows = [mark(T0, 100.0), creation(T0 + 1), mark(T0 + 20 * SECOND_NS, 100.0)]
    said = run(free((product, (WIDE,))), a_tape(rows))
    if terms == "refuse":
        assert reasons(said) == [(f"c{T0 + 1}", "rebalancing")]
        return
    assert said.named("request_queued")[0].reason == "rebalancing"
    (made,) = said.named("units_created")
    assert made.ts_ns == T0 + 10 * SECOND_NS, "its own hedge takes the latency too"


def test_a_request_comes_after_the_alarms_of_its_instant() -> None:
    """Stamped A, it is dealt on the leverage that the schedule of A left, and later ticks of A
    ring nothing twice. Catches a request that overtakes a rebalance."""
    spec = free((a_product(), (Schedule(target=3.0, every_s=60.0),)))
    rows = [
        mark(A - SECOND_NS, 100.0),
        mark(A, 110.0),
        creation(A),
        mark(A, 111.0),
        mark(A + 1, 111.0),
    ]
    said = run(spec, a_tape(rows))
    tags = [e.__struct_config__.tag for e in said.events if e.ts_ns == A]
    assert tags == ["order_sent", "order_filled", "rebalanced", *tags[3:5], "units_created"]
    assert {e.sequence for e in said.events if e.ts_ns == A} == {2}


def test_holders_are_valued_at_once_when_their_units_change() -> None:
    """Catches a creation whose holder learns of it at the next cadence only."""
    rows = [100.0, creation(T0), mark(T0 + SECOND_NS, 101.0)]
    said = run(free((a_product(), (WIDE,))), a_tape(rows))
    ((sequence, ordinal, ts, product, reason, user, units, atoms),) = said.user_nav
    assert (sequence, ordinal, ts, product, reason, user) == (1, 0, T0, 0, "holders", 0)
    assert units == 100 * UNIT_STEPS
    assert atoms == 100 * USDT


def test_one_times_long_in_coins_is_opened_without_a_contract() -> None:
    """An inverse account at 1x holds its coins and trades nothing. Catches a product that never
    counts as opened: its price part would all be timing, and its policy asked at every wake."""
    contract = ContractSpec(
        symbol="XBTUSD", kind="inverse", base="BTC", quote="USD", lot_size=1.0, taker_fee=0.0
    )
    spec = EngineSpec(
        symbols=("XBTUSD",),
        markets=(MarketSpec(symbol=0, contract=contract, mark_source="mark"),),
        products=(ProductSpec(id="ONE", market=0, seed_atoms=10**12),),
        policies=((LeverageBand(target=1.0, low=0.5, high=2.0),),),
    )
    engine = Engine(spec)
    prices = np.array([100.0, 101.0, 120.0, 150.0])
    times = 1_700_000_000 * 10**9 + np.arange(4) * 10**9
    table = Marks(sequence=np.arange(4), symbol=0, ts_ns=times, price=prices)
    engine.process(Step(first=0, end=4, tables=(table,)))
    handler = engine.handlers[0]
    assert handler.state.opened
    assert handler.account.state.target == handler.account.state.first_target == 1.0
    assert handler.account.lots == 0
    assert handler.account.nav(150.0) == 1_500_000_000_000

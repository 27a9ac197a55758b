"""Tests of ``engine.commands``: what each of them does to a market or a product, and when it is
refused. Both engines are held to it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from engine.commands import (
    Command,
    DegradeMarket,
    ForceTarget,
    GateCreations,
    HaltMarket,
    PauseProduct,
    ResumeMarket,
    ResumeProduct,
)
from engine.engine import EngineSpec
from engine.events import CreationRequest, RedemptionRequest
from engine.points import PricingSpec
from engine.sampler import Sampling
from engine.ticks import Kind
from engine.units import DAY_NS, MINUTE_NS, SECOND_NS
from engine.venue.funding import FundingSpec
from engine.venue.price_rules import IndexSource, MarkRules
from engine.venue.rules import MarginRules, Tier, VenueRules
from strategies import LeverageBand, Schedule
from tests.builders import T0, Run, a_market, a_product, a_row, a_spec, a_tape
from tests.properties.agreement import agree

SYMBOL, PRODUCT = "BTCUSDT", "BTC3L"
BAND = LeverageBand(target=3.0, low=2.4, high=3.6)
RUIN = LeverageBand(target=9.0, low=0.0, high=1e6)


def at(second: float) -> int:
    return T0 + int(second * SECOND_NS)


def price(second: float, mark: float) -> Any:
    return a_row(Kind.MARK, at(second), mark)


def halt(second: float, name: str = "h", symbol: str = SYMBOL) -> HaltMarket:
    return HaltMarket(ts_ns=at(second), id=name, symbol=symbol, reason="a fault at the venue")


def lift(second: float, name: str = "r", symbol: str = SYMBOL) -> ResumeMarket:
    return ResumeMarket(ts_ns=at(second), id=name, symbol=symbol)


def degrade(second: float, latency_ms: int, name: str) -> DegradeMarket:
    return DegradeMarket(ts_ns=at(second), id=name, symbol=SYMBOL, latency_ms=latency_ms)


def pause(second: float, name: str = "p", product: str = PRODUCT) -> PauseProduct:
    return PauseProduct(ts_ns=at(second), id=name, product=product)


def unpause(second: float, name: str = "u") -> ResumeProduct:
    return ResumeProduct(ts_ns=at(second), id=name, product=PRODUCT)


def force(second: float, target: float, name: str = "f") -> ForceTarget:
    return ForceTarget(ts_ns=at(second), id=name, product=PRODUCT, target=target)


def gate(second: float, name: str = "g", *, closed: bool) -> GateCreations:
    return GateCreations(ts_ns=at(second), id=name, product=PRODUCT, closed=closed)


def creation(second: float, name: str = "c") -> CreationRequest:
    return CreationRequest(ts_ns=at(second), id=name, user="u1", product=PRODUCT, quote=100.0)


def redemption(second: float, name: str = "d") -> RedemptionRequest:
    return RedemptionRequest(ts_ns=at(second), id=name, user="u1", product=PRODUCT, units=5.0)


def one(policy: Any = BAND, market: Any = None, **fields: Any) -> EngineSpec:
    """One product, of which user u1 holds some."""
    product = a_product(PRODUCT, holdings=((0, 10**9),), **fields)
    return a_spec((product, (policy,)), markets=(market or a_market(),), population=1)


def said(rows: list[Any], spec: EngineSpec | None = None) -> Run:
    """Both engines on the rows, cut behind each of them."""
    return agree(spec or one(), a_tape(rows), range(len(rows)))


def refusals(run: Run) -> list[str]:
    return [event.reason for event in run.named("command_refused")]


def told(run: Run, *tags: str) -> list[tuple[str, int]]:
    """``(tag, second)`` of these events."""
    return [(e.__struct_config__.tag, (e.ts_ns - T0) // SECOND_NS) for e in run.named(*tags)]


def test_orders_to_a_degraded_market_are_late() -> None:
    """1.5 s longer on top of the product's half second, for orders that are sent meanwhile; the one
    on its way before arrives as it was to, the one sent after the end is not late."""
    rows = [
        *(price(0, 100.0), degrade(0.1, 1_500, "a"), price(1, 100.0), force(2, 2.6, "x")),
        *(degrade(2.1, 0, "b"), price(3, 101.0), price(4, 102.0), force(5, 2.8, "y")),
        *(price(6, 102.0), price(8, 102.0)),
    ]
    run = said(rows, one(latency_ns=SECOND_NS // 2))
    late = [event.arrives_ns - event.ts_ns for event in run.named("order_sent")]
    assert late == [SECOND_NS // 2, 2 * SECOND_NS, SECOND_NS // 2]
    assert [event.ts_ns for event in run.named("order_filled")] == [at(0.5), at(4), at(5.5)]
    assert run.named("order_filled")[1].mark_price == 102.0
    assert run.named("command_obeyed")[0].detail == "1500 ms"


def test_a_product_without_latency_waits_for_a_degraded_market() -> None:
    """What was decided at once is not filled at once."""
    rows = [price(0, 100.0), degrade(1, 250, "a"), price(2, 70.0), price(3, 71.0)]
    run = said(rows)
    assert [event.ts_ns for event in run.named("order_filled")] == [at(0), at(2.25)]


def test_a_market_is_degraded_once() -> None:
    """The same again, or the end of what is not, changes nothing; and no order is early."""
    rows = [price(0, 100.0), degrade(1, 0, "a"), degrade(2, 9, "b"), degrade(3, 9, "c")]
    assert refusals(said(rows)) == ["not_degraded", "degraded"]
    with pytest.raises(ValueError, match="latency_ms must be in"):
        degrade(0, -1, "d")


def test_a_halted_market_hears_prices_and_does_nothing() -> None:
    """Between halt and resume no price wakes anybody, not even one beyond the band; the first one
    after the resumption does. Catches a price that resumes by itself."""
    rows = [price(0, 100.0), halt(1), price(2, 90.0), price(3, 91.0), lift(4), price(5, 92.0)]
    run = said(rows)
    assert told(run, "market_stale", "market_resumed", "rebalanced") == [
        ("rebalanced", 0),
        ("market_stale", 1),
        ("market_resumed", 5),
        ("rebalanced", 5),
    ]
    assert [event.reason for event in run.named("market_stale")] == ["halted"]
    assert [event.stale_ns for event in run.named("market_resumed")] == [4 * SECOND_NS]
    assert [e.command for e in run.named("command_obeyed")] == ["halt", "resume"]
    assert run.named("command_obeyed")[0].detail == "a fault at the venue"


def test_a_halted_market_is_not_checked_for_silence() -> None:
    """An hour without a price adds nothing to a halt, and a repeated price does not freeze it."""
    rows = [price(0, 100.0), halt(1), *(price(60 * n, 100.0) for n in range(1, 90))]
    run = said(rows)
    assert told(run, "market_stale") == [("market_stale", 1)]


def test_a_silent_market_can_be_halted() -> None:
    """It is stale since its silence began, and the price that would have resumed it does not."""
    run = said([price(0, 100.0), halt(100), price(101, 101.0), lift(102), price(103, 102.0)])
    assert [e.reason for e in run.named("market_stale")] == ["gap", "halted"]
    assert {e.since_ns for e in run.named("market_stale")} == {at(0)}
    assert told(run, "market_resumed") == [("market_resumed", 103)]


def test_orders_under_way_wait_for_the_end_of_a_halt() -> None:
    """An order that arrives during a halt is held, and meets the book at the first price after."""
    spec = one(latency_ns=5 * SECOND_NS)
    run = said([price(0, 100.0), halt(1), price(6, 101.0), lift(7), price(8, 102.0)], spec)
    assert told(run, "order_sent", "order_held") == [("order_sent", 0), ("order_held", 5)]
    assert [event.mark_price for event in run.named("order_filled")] == [102.0]


def test_orders_are_refused_during_a_halt_where_the_terms_say_so() -> None:
    """Of a product that refuses when stale, an order is tried again, and the halt is its reason."""
    spec = one(latency_ns=5 * SECOND_NS, when_stale="refuse", retry_ns=3 * SECOND_NS)
    run = said(
        [price(0, 100.0), halt(1), price(6, 101.0), lift(7), price(9, 102.0), price(12, 102.0)],
        spec,
    )
    assert [event.reason for event in run.named("order_unfilled")] == ["halted", "stale"]
    assert run.named("order_filled")


def test_a_halted_market_adds_no_exposure() -> None:
    """A review that wants more during a halt is lost; one that wants less sends its order, which
    waits. Catches a product that is sized up while nobody can trade."""
    adding = one(Schedule(target=3.0, every_s=60.0))
    rows = [price(0, 100.0), halt(1), price(30, 120.0), price(61, 120.0)]
    assert told(said(rows, adding), "order_sent") == [("order_sent", 0)]
    rows[2:] = [price(30, 80.0), price(61, 80.0)]
    run = said(rows, adding)
    assert len(run.named("order_sent")) == 2
    assert [event.lots < 0 for event in run.named("order_held")] == [True]


def test_funding_and_fees_settle_during_a_halt() -> None:
    """A halt stops trading, not time."""
    funding = FundingSpec(recorded=False, instants=((at(60), 0.001),))
    spec = one(market=a_market(funding=funding), management_fee=0.0001, fee_every_ns=MINUTE_NS)
    run = said([price(0, 100.0), halt(1), price(100, 100.5)], spec)
    assert len(run.named("funding_settled")) == 1
    assert len(run.named("management_fee_charged")) == 2


def test_requests_meet_a_halt() -> None:
    """Both sides are refused, for the halt."""
    run = said([price(0, 100.0), halt(1), creation(2), redemption(3)])
    assert {e.reason for e in run.named("creation_refused", "redemption_refused")} == {"halted"}


def test_a_paused_product_is_not_asked() -> None:
    """Beyond its band it does nothing until it is resumed; then it is asked at once, without a
    further price."""
    run = said([price(0, 100.0), pause(1), price(2, 85.0), price(3, 86.0), unpause(4)])
    assert told(run, "rebalanced") == [("rebalanced", 0), ("rebalanced", 4)]
    assert [event.mark_price for event in run.named("rebalanced")] == [100.0, 86.0]


def test_a_paused_policy_misses_its_reviews_without_a_fault() -> None:
    """A clock that passed meanwhile is set anew, not taken for one that rings for ever."""
    spec = one(Schedule(target=3.0, every_s=10.0))
    run = said([price(0, 100.0), pause(1), price(55, 104.0), unpause(56), price(71, 108.0)], spec)
    assert not run.named("policy_faulted")
    assert {second for _, second in told(run, "rebalanced")} == {0, 56, 60, 70}


def test_a_paused_product_that_is_bankrupt_is_closed() -> None:
    """NAV <= 0 is nobody's opinion."""
    run = said([price(0, 100.0), pause(1), price(2, 85.0)], one(RUIN))
    assert [event.reason for event in run.named("product_closed")] == ["nav_not_positive"]


def test_a_plan_under_way_is_carried_out_while_paused() -> None:
    """The order was sent; a pause does not call it back."""
    run = said([price(0, 100.0), pause(1), price(9, 100.0)], one(latency_ns=5 * SECOND_NS))
    assert told(run, "rebalanced") == [("rebalanced", 5)]


def test_requests_meet_a_pause() -> None:
    """Both sides are refused while paused; of a product that was closed since, units are redeemed
    all the same."""
    run = said([price(0, 100.0), pause(1), creation(2), redemption(3)])
    assert {e.reason for e in run.named("creation_refused", "redemption_refused")} == {"paused"}
    spec = one(LeverageBand(target=9.0, low=0.0, high=1e6), latency_ns=SECOND_NS)
    rows = [price(0, 100.0), price(2, 100.0), pause(3), price(4, 85.0), price(5, 93.0)]
    run = said([*rows, price(6, 93.0), redemption(7), price(9, 93.0)], spec)
    assert run.named("product_closed")
    assert run.named("units_redeemed")


def test_a_target_is_forced_at_the_present_price() -> None:
    """One trade to the target, with its reason, also while paused."""
    for before in ([], [pause(1)]):
        run = said([price(0, 100.0), *before, price(2, 101.0), force(3, 1.0), price(4, 101.5)])
        forced = run.named("rebalanced")[1]
        assert (forced.reason, forced.target) == ("forced by the operator", 1.0)
        assert forced.leverage_after == pytest.approx(1.0, abs=1e-3)
        assert forced.mark_price == 101.0
        # Whose band it is beyond wants it back at the next price, unless it is paused.
        assert len(run.named("rebalanced")) == 3 - len(before)


def test_a_forced_target_replaces_a_plan_only_by_less() -> None:
    """While a plan is under way, more is refused and less takes its place."""
    rows = [price(0, 100.0), force(1, 4.0, "f1"), force(2, 2.0, "f2"), price(9, 100.0)]
    run = said(rows, one(latency_ns=5 * SECOND_NS))
    assert refusals(run) == ["rebalancing"]
    assert [event.target for event in run.named("rebalanced")][:1] == [2.0]


def test_a_forced_target_keeps_a_plan_from_being_ignored() -> None:
    """To stay at the present leverage while a plan leads elsewhere is no trade, and is refused
    instead of said to be done."""
    spec = one(LeverageBand(target=3.0, low=2.4, high=3.6), latency_ns=5 * SECOND_NS)
    run = said([price(0, 100.0), force(1, 0.0), price(9, 100.0)], spec)
    assert refusals(run) == ["rebalancing"]


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([price(0, 100.0), halt(1), force(2, 1.0)], "halted"),
        ([price(0, 100.0), force(90, 1.0)], "stale"),
        ([price(0, 100.0), force(2, 11.0)], "out_of_limits"),
        ([price(0, 100.0), force(2, -11.0)], "out_of_limits"),
        ([price(0, 100.0), pause(1, "x"), pause(2, "y")], "paused"),
        ([price(0, 100.0), unpause(1)], "not_paused"),
        ([price(0, 100.0), halt(1, "x"), halt(2, "y")], "halted"),
        ([price(0, 100.0), lift(1)], "not_halted"),
        ([price(0, 100.0), halt(1, "x"), lift(2, "y"), lift(3, "z")], "not_halted"),
        ([price(0, 100.0), gate(1, "x", closed=True), gate(2, "y", closed=True)], "gated"),
        ([price(0, 100.0), gate(1, closed=False)], "not_gated"),
        ([price(0, 100.0), halt(1, "x"), lift(2, "x")], "duplicate"),
        ([price(0, 100.0), halt(1, symbol="ETHUSDT")], "unknown_symbol"),
        ([price(0, 100.0), pause(1, product="ETH3L")], "unknown_product"),
        ([price(0, 100.0), halt(1 + 4 * 86_400)], "clock_jump"),
        ([halt(0), price(1, 100.0)], "not_launched"),
        ([a_row(Kind.INDEX, T0, 100.0), halt(1), pause(2, "q")], "not_launched"),
    ],
)
def test_refusals(rows: list[Any], reason: str) -> None:
    """Each refusal names its reason, and changes nothing."""
    run = said(rows)
    assert set(refusals(run)) == {reason}
    changed = run.engine.state.commands.keys() - {e.id for e in run.named("command_refused")}
    assert len(run.named("command_obeyed")) == len(changed) + (reason == "duplicate")


def test_a_closed_product_takes_no_commands() -> None:
    """Neither a pause nor a target nor a gate."""
    spec = one(LeverageBand(target=9.0, low=0.0, high=1e6))
    rows = [price(0, 100.0), price(1, 85.0), pause(2), force(3, 1.0), gate(4, closed=True)]
    assert refusals(said(rows, spec)) == ["closed"] * 3


def test_a_gate_is_for_creations() -> None:
    """While closed, creations are refused and redemptions dealt; open again, both are dealt."""
    rows = [price(0, 100.0), gate(1, closed=True), creation(2), redemption(3)]
    run = said([*rows, gate(4, "g2", closed=False), creation(5, "c2")])
    assert [event.reason for event in run.named("creation_refused")] == ["gated"]
    assert [event.id for event in run.named("units_created", "units_redeemed")] == ["d", "c2"]
    assert [event.detail for event in run.named("command_obeyed")] == ["closed", "open"]


def test_a_command_of_the_past_is_obeyed_at_once() -> None:
    """Time 0 means now; a time to come moves the clock, and lets the alarms up to it ring first."""
    run = said([price(0, 100.0), price(5, 100.5), PauseProduct(ts_ns=0, id="p", product=PRODUCT)])
    assert told(run, "command_obeyed") == [("command_obeyed", 5)]
    run = said([price(0, 100.0), halt(70)])
    assert told(run, "market_stale", "command_obeyed") == [
        ("market_stale", 60),
        ("market_stale", 70),
        ("command_obeyed", 70),
    ]


def test_a_command_refused_for_its_time_names_both() -> None:
    """Who reads the refusal sees by how much he was wrong."""
    run = said([price(0, 100.0), halt(5 * DAY_NS / SECOND_NS)])
    assert run.named("command_refused")[0].detail == f"dated {at(5 * 86_400)}, engine time {T0}"


@pytest.mark.parametrize(
    "command", [halt(1), lift(1), pause(1), unpause(1), force(1, -2.5), gate(1, closed=True)]
)
def test_commands_are_tagged_objects(command: Command) -> None:
    """Each is read back as itself from the union of all."""
    encoded = msgspec.json.encode(command)
    assert msgspec.json.decode(encoded, type=Command) == command


@pytest.mark.parametrize(
    "text",
    [
        b'{"kind":"target","ts_ns":1,"id":"a","product":"P","target":null}',
        b'{"kind":"target","ts_ns":1,"id":"a","product":"P","target":1e999}',
        b'{"kind":"halt","ts_ns":-1,"id":"a","symbol":"S"}',
        b'{"kind":"halt","ts_ns":9223372036854775807,"id":"a","symbol":"S"}',
        b'{"kind":"gate","ts_ns":1,"id":"a","product":"P"}',
        b'{"kind":"stop","ts_ns":1,"id":"a","product":"P"}',
    ],
)
def test_what_is_no_command(text: bytes) -> None:
    """What is missing, infinite, out of range or unknown is not read."""
    with pytest.raises(msgspec.DecodeError):
        msgspec.json.decode(text, type=Command)


def trouble(second: float, name: str = "t", **fields: Any) -> DegradeMarket:
    return DegradeMarket(ts_ns=at(second), id=name, symbol=SYMBOL, **fields)


def attempts(run: Run) -> list[tuple[str, str, float]]:
    """``(tag, reason, second)`` of what became of orders."""
    return [
        (e.__struct_config__.tag, getattr(e, "reason", ""), (e.ts_ns - T0) / SECOND_NS)
        for e in run.named("order_rejected", "order_filled")
    ]


def test_a_venue_that_refuses_all_orders_for_a_period() -> None:
    """From second 1 on and for 2.5 s no attempt is taken; the plan sends the order again each
    second, and the third attempt, after the period, is filled: the decision was not forgotten."""
    rows = [price(0, 100.0), trouble(1, refuse=1.0, for_ms=2_500), price(2, 70.0), price(6, 71.0)]
    run = said(rows)
    assert attempts(run)[1:] == [
        *(("order_rejected", "refused", 2.0), ("order_rejected", "refused", 3.0)),
        ("order_filled", "", 4.0),
    ]
    assert run.named("command_obeyed")[0].detail == "0 ms, refuses 1.0 of orders, for 2500 ms"


def test_a_share_of_orders_is_refused_by_seed() -> None:
    """Of 40 products' orders about half are refused; another seed refuses others, the same seed the
    same ones."""
    rows = [price(0, 100.0), trouble(1, refuse=0.5), price(2, 70.0)]

    def refused(seed: int) -> list[str]:
        products = [(a_product(f"P{n}"), (BAND,)) for n in range(40)]
        spec = a_spec(*products, markets=(a_market(),), seed=seed)
        return [event.product for event in said(rows, spec).named("order_rejected")]

    first = refused(7)
    assert 10 < len(first) < 30
    assert first == refused(7) != refused(8)


def test_a_venue_that_takes_only_what_reduces() -> None:
    """A cut to 2x is filled, the way back to 3x is refused each second until the venue is as usual;
    then it is filled."""
    rows = [
        *(price(0, 100.0), trouble(1, "a", reduce_only=True), force(2, 2.5, "x")),
        *(force(3, 3.0, "y"), trouble(4.5, "b"), price(7, 100.0)),
    ]
    run = said(rows)
    assert attempts(run)[1:] == [
        ("order_filled", "", 2.0),
        *(("order_rejected", "reduce_only", 3.0), ("order_rejected", "reduce_only", 4.0)),
        ("order_filled", "", 5.0),
    ]
    assert run.named("command_obeyed")[0].detail == "0 ms, reduce only"


def test_a_plan_that_gives_up_leaves_its_decision() -> None:
    """A thousand attempts, a millisecond apart, are refused; the plan ends without a fill, says so,
    and the decision is taken anew, by an order with the lots of then."""
    rows = [price(0, 100.0), trouble(1, "a", refuse=1.0), force(2, 2.5, "x")]
    rows += [trouble(3.5, "b"), price(4, 100.0)]
    run = said(rows, one(retry_ns=10**6))
    rejected = run.named("order_rejected")
    assert [event.order for event in rejected] == [1] * 1_000 + [2] * 502
    assert (rejected[0].retry_ns, rejected[999].retry_ns) == (at(2.001), 0)
    (postponed,) = run.named("decision_postponed")
    assert (postponed.why, postponed.target, postponed.ts_ns) == ("refused", 2.5, at(2.999))
    assert [e.ts_ns for e in run.named("order_filled")] == [at(0), at(3.501)]
    assert run.named("rebalanced")[-1].leverage_after == pytest.approx(2.5, rel=1e-3)


def test_trouble_within_its_bounds() -> None:
    """The same trouble again changes nothing, one that is over may come again, and numbers that
    cannot be are refused."""
    rows = [
        *(price(0, 100.0), trouble(1, "a", reduce_only=True, for_ms=1_000)),
        *(trouble(1.5, "b", reduce_only=True), trouble(1.6, "c", reduce_only=True)),
        *(trouble(2, "d"), trouble(3, "e"), trouble(4, "f", refuse=0.2, for_ms=500)),
        *(trouble(5, "g"), trouble(6, "h", refuse=0.2, for_ms=500)),
    ]
    assert refusals(said(rows)) == ["degraded", "not_degraded", "not_degraded"]
    for fields in ({"refuse": 1.1}, {"refuse": float("nan")}, {"for_ms": -1}):
        with pytest.raises(ValueError, match="must be in"):
            trouble(0, **fields)


@pytest.mark.parametrize("account", ["segregated", "omnibus"])
@pytest.mark.parametrize("source", ["mark", "venue"])
def test_a_market_is_stale_at_the_very_instant_of_a_command(source: Any, account: str) -> None:
    """Silent since its second it is stale thirty seconds later, when a command is due, and fresh
    with the price behind that command, of the same time: what comes behind a message in its step is
    not there yet. Nor does the venue make marks beyond the message, where it makes them. Also where
    two products share an account."""
    spot = (IndexSource(symbol=1, weight=1.0, stale_after_ns=20 * SECOND_NS),)
    pricing = PricingSpec(sources=spot, mark=MarkRules(legs=("index",)))
    tier = Tier(cap=1e9, max_leverage=10.0, rate=0.01)
    market = a_market(
        stale_after_ns=30 * SECOND_NS,
        mark_source=source,
        pricing=pricing if source == "venue" else None,
        venue=VenueRules(margin=MarginRules(tiers=(tier,))),
    )
    products = [(a_product(name, account=account), (BAND,)) for name in (PRODUCT, "B")]
    spec = a_spec(*products, markets=[market], sampling=Sampling(nav_every_ns=0))
    spec = replace(spec, symbols=(SYMBOL, "SPOT"))

    def row(ts_ns: int) -> Any:
        if source == "mark":
            return a_row(Kind.MARK, ts_ns, 100.0)
        return a_row(Kind.BBO, ts_ns, 99.5, 1.0, 100.5, 1.0, symbol=1)

    heard = [row(T0), row(at(1))]
    silence = [*heard, a_row(Kind.TRADE, at(90), 100.0, 1.0, 1, 7)]
    due = agree(spec, a_tape(silence)).named("market_stale")[0].ts_ns
    command = PauseProduct(ts_ns=due, id="p", product=PRODUCT)
    said = agree(spec, a_tape([*heard, command, row(due), row(due + SECOND_NS)]))
    told = said.named("market_stale", "market_resumed")
    resumed = 0 if source == "mark" else SECOND_NS
    assert [(e.__struct_config__.tag, e.ts_ns - due) for e in told] == [
        ("market_stale", 0),
        ("market_resumed", resumed),
    ]

"""Tests of ``engine.refusing``: requests for more than can be counted; heart and slow engine
agree."""

from __future__ import annotations

from typing import Any

import pytest

from engine.commands import GateCreations, HaltMarket, PauseProduct
from engine.engine import Engine
from engine.events import CreationRequest, RedemptionRequest
from engine.offering import Offering
from engine.secondary import SecondaryTerms
from engine.snapshot import restore, snapshot
from engine.ticks import Kind
from engine.units import ATOMS_MAX, DAY_NS, HOUR_NS, SECOND_NS
from engine.venue.book import BookSpec
from strategies import LeverageBand
from tests.builders import T0, Run, a_contract, a_market, a_product, a_row, a_spec, a_tape
from tests.properties.agreement import agree

THIN = SecondaryTerms(depth_atoms=10**7, half_life_ns=4 * HOUR_NS)
TWOFOLD = LeverageBand(target=2.0, low=0.5, high=3.5)
HUGE = (1e308, 1e30, 2.0**60 / 1e6 * 1.001)


def told(
    *messages: Any,
    marks: Any = lambda second: 100.0,
    policy: Any = TWOFOLD,
    seed: int = 10**9,
    **fields: Any,
) -> Run:
    """A product on a tick a second; free of costs."""
    ticks = [a_row(Kind.MARK, T0 + n * SECOND_NS, marks(n)) for n in range(20)]
    rows = sorted([*ticks, *messages], key=lambda r: r[2] if isinstance(r, tuple) else r.ts_ns)
    never = {"stale_after_ns": 9 * DAY_NS, "frozen_after_ns": 9 * DAY_NS}
    contract = a_contract(taker_fee=0.0, lot_size=fields.pop("lot_size", 1e-6))
    market = a_market(contract=contract, book=BookSpec(model="flat"), **never)
    product = a_product(seed_atoms=seed, **fields)
    spec = a_spec((product, (policy,)), markets=[market], users=("alice",))
    tape = a_tape(rows)
    said = agree(spec, tape)
    assert agree(spec, tape, range(len(rows))).lines == said.lines
    kept = snapshot(said.engine)
    assert snapshot(restore(spec, kept)) == kept
    return said


def asks(quote: float, second: float = 5.5, name: str = "c") -> CreationRequest:
    ts_ns = T0 + round(second * SECOND_NS)
    return CreationRequest(ts_ns=ts_ns, id=name, user="alice", product="BTC3L", quote=quote)


def refusals(said: Run) -> list[str]:
    assert not said.named("units_created")
    return [event.reason for event in said.named("creation_refused")]


SHUT: dict[str, tuple[tuple[Any, ...], dict[str, Any]]] = {
    "open": ((), {}),
    "gated": ((GateCreations(ts_ns=T0, id="g", product="BTC3L", closed=True),), {}),
    "paused": ((PauseProduct(ts_ns=T0, id="p", product="BTC3L"),), {}),
    "halted": ((HaltMarket(ts_ns=T0, id="h", symbol="BTCUSDT"),), {}),
    "capped": ((), {"offering": Offering(request_max=10**6)}),
    "nav cap": ((), {"offering": Offering(nav_max=10**10)}),
    "batch": ((), {"offering": Offering(batch_ns=10 * SECOND_NS)}),
    "fee": ((), {"create_fee": 0.01}),
    "formula": ((), {"nav": "formula"}),
    "late": ((), {"latency_ns": 3 * SECOND_NS}),
}


@pytest.mark.parametrize("secondary", [None, THIN])
@pytest.mark.parametrize("shut", SHUT)
def test_more_money_than_can_be_counted_is_refused(shut: str, secondary: Any) -> None:
    """Whatever else stands against it, and where units trade, too, whose premium would be made of
    it. Catches a run that ends with the request."""
    messages, terms = SHUT[shut]
    requests = [asks(quote, 5.5 + n, f"c{n}") for n, quote in enumerate(HUGE)]
    said = told(*messages, *requests, secondary=secondary, **terms)
    assert refusals(said) == ["too_large"] * len(HUGE)


GROWN = {
    "near 2**62": (TWOFOLD, 10**14, lambda n: 100.0 * 2.0 ** min(n, 14) * (1.2 if n > 14 else 1.0)),
    "nine times": (LeverageBand(target=9.0, low=8.9, high=9.1), 10**12, lambda n: 2.0 ** min(n, 5)),
}


@pytest.mark.parametrize("grown", GROWN)
def test_a_product_does_not_grow_beyond_what_can_be_counted(grown: str) -> None:
    """4e18 atoms at 1x, and 1e17 at 9x, whose cash would be eight times 2**60 below zero: with
    2**60 more they are no 64 bits. Catches a creation that ends the run."""
    policy, seed, marks = GROWN[grown]
    request = asks(ATOMS_MAX / 1e6, 17.5)
    said = told(request, marks=marks, policy=policy, seed=seed, lot_size=1e-4)
    assert refusals(said) == ["too_large"]
    little = told(asks(1e3, 17.5), marks=marks, policy=policy, seed=seed, lot_size=1e-4)
    assert len(little.named("units_created")) == (grown == "nine times")


def test_creations_under_way_count_before_they_are_dealt() -> None:
    """Six of nearly 2**60 atoms each within the latency of their hedges, at a NAV per unit of 2,047
    that units do not bound: one is taken, the others would be more than 64 bits with it. Once it is
    dealt it counts as what the product has. Catches a run that ends with the fifth fill."""
    requests = [asks(0.9 * ATOMS_MAX / 1e6, 16.1 + n / 10, f"c{n}") for n in range(6)]
    said = told(
        *requests,
        asks(1e9, 17.6, "less"),
        marks=lambda n: 100.0 * 2.0 ** min(n, 10),
        seed=10**12,
        lot_size=1e-4,
        latency_ns=SECOND_NS,
    )
    assert [event.id for event in said.named("units_created")] == ["c0", "less"]
    refused = [(event.id, event.reason) for event in said.named("creation_refused")]
    assert refused == [(f"c{n}", "too_large") for n in range(1, 6)]


def test_a_redemption_of_more_than_there_is_is_refused() -> None:
    """However much it is. Catches a worth that no float holds."""
    ts_ns = T0 + 6 * SECOND_NS
    request = RedemptionRequest(ts_ns=ts_ns, id="r", user="alice", product="BTC3L", units=1e308)
    for secondary in (None, THIN):
        said = told(request, secondary=secondary, holdings=((0, 10**9),))
        assert [e.reason for e in said.named("redemption_refused")] == ["insufficient_units"]


@pytest.mark.parametrize("name", ["id", "user", "product"])
def test_a_text_that_cannot_be_written_is_rejected(name: str) -> None:
    """A lone surrogate in a request or a command of a program's own. Catches a run that ends when
    it repeats it."""
    request = asks(100.0)
    command = PauseProduct(ts_ns=T0 + 7 * SECOND_NS, id="p\udcff", product="BTC3L")
    fields = {each: getattr(request, each) for each in request.__struct_fields__}
    said = told(CreationRequest(**{**fields, name: "a\ud800"}), command)
    (first, second) = said.named("input_rejected")
    assert (first.reason, first.kind) == ("malformed", "create")
    assert first.detail == f"{name}: cannot be written"
    assert (second.kind, second.detail) == ("pause", "id: cannot be written")
    assert Engine(said.engine.spec).time_ns < said.engine.time_ns

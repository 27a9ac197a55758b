"""What the issuer keeps of requests, and which are too small, worked by hand."""

from __future__ import annotations

from typing import Any

from engine.events import CreationRequest, RedemptionRequest
from engine.ticks import Kind
from engine.units import SECOND_NS, UNIT_STEPS
from engine.venue.book import BookSpec
from strategies import LeverageBand
from tests.builders import T0, Run, a_contract, a_market, a_product, a_row, a_spec, a_tape
from tests.properties.agreement import agree

USDT = 10**6


def dealt(*requests: Any, book: BookSpec | None = None, **terms: Any) -> Run:
    """A 1x product of 1,000 at a mark of 100, without a taker's fee; heart and slow engine agree,
    cut anywhere."""
    ticks = [a_row(Kind.MARK, T0 + n * 10 * SECOND_NS, 100.0) for n in range(len(requests) + 2)]
    rows: list[Any] = [ticks[0]]
    for tick, request in zip(ticks[1:], requests, strict=False):
        rows += [tick, request]
    rows.append(ticks[-1])
    market = a_market(
        contract=a_contract(taker_fee=0.0, lot_size=0.01), book=book or BookSpec(model="flat")
    )
    product = a_product(seed_atoms=1_000 * USDT, **terms)
    band = LeverageBand(target=1.0, low=0.5, high=2.0)
    spec = a_spec((product, (band,)), markets=[market], users=("alice",))
    tape = a_tape(rows)
    said = agree(spec, tape)
    assert agree(spec, tape, range(len(rows))).lines == said.lines
    return said


def creation(number: int, quote: float) -> CreationRequest:
    return CreationRequest(
        ts_ns=T0 + number * 10 * SECOND_NS,
        id=f"c{number}",
        user="alice",
        product="BTC3L",
        quote=quote,
    )


def redemption(number: int, units: float) -> RedemptionRequest:
    return RedemptionRequest(
        ts_ns=T0 + number * 10 * SECOND_NS,
        id=f"r{number}",
        user="alice",
        product="BTC3L",
        units=units,
    )


def test_the_issuer_keeps_his_share_of_both_ways() -> None:
    """1 % of 200 is 2: 198 buy 198 units and two coins less a lot. 2 % of 99 is 1.98: the pool pays
    99, the user has 97.02. All of it is in the ledger, and the pool is untouched by it. Catches a
    fee taken out of the pool, or charged on the fee."""
    said = dealt(creation(1, 200.0), redemption(2, 99.0), create_fee=0.01, redeem_fee=0.02)
    (made,) = said.named("units_created")
    assert (made.quote_atoms, made.fee_atoms, made.refund_atoms) == (198 * USDT, 2 * USDT, 0)
    assert made.units == 198 * UNIT_STEPS
    (given,) = said.named("units_redeemed")
    assert (given.quote_atoms, given.fee_atoms) == (99 * USDT, 1_980_000)
    account = said.engine.handlers[0].account
    assert account.state.dealing_fees == 3_980_000
    assert account.nav(100.0) == 1_099 * USDT
    ledger = said.engine.ledger
    assert ledger.balance("issuer", "USDT") == -1_000 * USDT + 3_980_000
    assert ledger.balance("user", "USDT") == -200 * USDT + 97_020_000


def test_a_fraction_of_an_atom_is_the_issuers() -> None:
    """A third of a per mille of 1.000001 is 333.33 atoms: 334."""
    said = dealt(creation(1, 1.000001), create_fee=1 / 3 * 0.001)
    assert said.named("units_created")[0].fee_atoms == 334


def test_fees_are_those_of_the_instant() -> None:
    """From 15 seconds on 5 %: the first request pays nothing, the second five of a hundred."""
    later = ((T0 + 15 * SECOND_NS, 0.05, 0.0),)
    said = dealt(creation(1, 100.0), creation(2, 100.0), dealing_fees=later)
    assert [e.fee_atoms for e in said.named("units_created")] == [0, 5 * USDT]


def test_what_is_too_small_is_refused() -> None:
    """Below 50 quote nobody creates, and nobody redeems what is worth less."""
    said = dealt(
        creation(1, 49.99), creation(2, 100.0), redemption(3, 49.0), redemption(4, 50.0),
        least_quote=50 * USDT,
    )  # fmt: skip
    refused = [(e.id, e.reason) for e in said.named("creation_refused", "redemption_refused")]
    assert refused == [("c1", "too_small"), ("r3", "too_small")]
    assert len(said.named("units_redeemed")) == 1


def test_a_thin_book_deals_a_part_and_charges_for_that_part() -> None:
    """A book that takes less than the hedge of 100,000 gives the rest back; the fee is that of what
    was dealt, and what went in, the fee and the refund are what was paid."""
    thin = BookSpec(model="depth", depth_at_1pct=1e3, beta_far=1.13)
    said = dealt(creation(1, 100_000.0), book=thin, create_fee=0.01)
    (made,) = said.named("units_created")
    assert made.refund_atoms > 0
    paid = made.quote_atoms + made.fee_atoms
    assert paid + made.refund_atoms == 100_000 * USDT
    assert made.fee_atoms == -(-paid // 100)

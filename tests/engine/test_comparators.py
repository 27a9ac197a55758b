"""Futures and margin loans beside a fund: what users compare it with, worked by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from engine import api
from engine.engine import EngineSpec
from engine.events import CreationRequest
from engine.market import MarketSpec
from engine.product import HedgeTerms, LoanTerms
from engine.snapshot import state_digest
from engine.ticks import Kind, Step
from engine.units import HOUR_NS, MINUTE_NS
from engine.venue.book import BookSpec
from engine.venue.rules import MarginRules, Tier, VenueRules
from strategies import LeverageBand, MarginLevel
from tests.builders import T0, Run, a_contract, a_market, a_product, a_row, a_spec, a_tape, run
from tests.properties.agreement import agree

RULES = VenueRules(
    name="one tier",
    margin=MarginRules(tiers=(Tier(cap=1e9, max_leverage=50.0, rate=0.01),), call_at=2.0),
)
LENDER = (MarginLevel(call=1.3, sell=1.1),)
MILLION = 10**12


def a_free_market(**fields: Any) -> MarketSpec:
    """Margin, and trades that cost nothing."""
    free = {"contract": a_contract(taker_fee=0.0), "book": BookSpec(model="flat")}
    return a_market(**{**free, "venue": RULES, **fields})


def futures(leverage: float, market: int = 0) -> tuple[Any, tuple[()]]:
    name = f"FUT{leverage:g}@{market}"
    return a_product(name, market, kind="futures", leverage=leverage, seed_atoms=MILLION), ()


def staked(leverage: float, market: int, *, margin: str) -> tuple[Any, tuple[()]]:
    """Two fifths of a million, the rest beside it or behind it."""
    hedge = HedgeTerms(margin_share=0.4 if margin == "isolated" else 1.0)
    terms = {"leverage": leverage, "stake": 0.4, "seed_atoms": MILLION, "hedge": hedge}
    return a_product(f"{margin}{leverage:g}@{market}", market, kind="futures", **terms), ()


def loan(leverage: float, market: int = 0) -> tuple[Any, tuple[MarginLevel, ...]]:
    name = f"LOAN{leverage:g}@{market}"
    terms = {"leverage": leverage, "loan": LoanTerms(hourly_rate=0.001)}
    return a_product(name, market, kind="margin_loan", seed_atoms=MILLION, **terms), LENDER


def of(said: Run, tag: str) -> list[Any]:
    return said.named(tag)


def test_futures_are_liquidated_where_equity_meets_maintenance() -> None:
    """10x on a million at 100 holds 100,000 coins: ``1e6 + 1e5 (p - 100) = 0.01 * 1e5 p`` at
    90.9091. At 90.91 they live, at 90.90 they do not; an edge on the wrong side, or maintenance at
    the entry price (91.00), is seen."""
    spec = a_spec(futures(10.0), markets=(a_free_market(),))
    assert not of(run(spec, a_tape([100.0, 90.91, 120.0])), "liquidation_started")
    said = run(spec, a_tape([100.0, 90.91, 90.90, 120.0]))
    (started,) = of(said, "liquidation_started")
    assert (started.mark_price, started.position_lots) == (90.90, 10**11)
    assert (started.equity_atoms, started.maintenance_atoms) == (90_000 * 10**6, 90_900 * 10**6)
    (closed,) = of(said, "product_closed")
    assert (closed.reason, closed.nav_atoms) == ("liquidated", 0)


def test_isolated_margin_is_all_that_can_be_lost() -> None:
    """10x on two fifths of a million at 100 holds 40,000 coins. Isolated, ``4e5 + 4e4 (p - 100) =
    0.01 * 4e4 p`` at 90.9091, as if there were nothing else; 600,000 stay. Cross, ``1e6 + 4e4 (p -
    100) = 0.01 * 4e4 p`` at 75.7576, and nothing does. A top-up from what lies elsewhere, or a rest
    that goes down with the position, is seen."""
    spec = a_spec(
        *(staked(10.0, 0, margin=margin) for margin in ("isolated", "cross")),
        markets=(a_free_market(),),
    )
    said = run(spec, a_tape([100.0, 90.91, 90.90, 75.76, 75.75, 120.0]))
    started = of(said, "liquidation_started")
    assert [(e.account, e.mark_price, e.position_lots) for e in started] == [
        ("product:isolated10@0", 90.90, 4 * 10**10),
        ("product:cross10@0", 75.75, 4 * 10**10),
    ]
    assert started[0].equity_atoms == 36_000 * 10**6
    closed = of(said, "product_closed")
    assert [(e.reason, e.nav_atoms) for e in closed] == [
        ("liquidated", 600_000 * 10**6),
        ("liquidated", 0),
    ]
    assert not of(said, "topup_ordered")


def test_the_owner_is_called_before() -> None:
    """Twice maintenance, 2 %, is met at 91.8367: called once at 91.83, not again at 91.5."""
    spec = a_spec(futures(10.0), markets=(a_free_market(),))
    said = run(spec, a_tape([100.0, 91.84, 91.83, 91.5, 93.0, 91.6]))
    assert [event.mark_price for event in of(said, "margin_called")] == [91.83]


def test_inverse_futures_count_leverage_on_their_notional() -> None:
    """10x of a million dollars of coins owes 10 million dollars of face, so that NAV moves eleven
    times with the price: its own coins do, too."""
    market = a_free_market(contract=a_contract("BTCUSD", inverse=True, taker_fee=0.0))
    said = run(a_spec(futures(10.0), markets=(market,)), a_tape([100.0, 101.0]))
    (opened,) = of(said, "rebalanced")
    assert opened.position_lots == 10**7
    assert opened.leverage_after == pytest.approx(11.0, rel=1e-9)


def test_a_loan_pays_interest_on_what_is_owed() -> None:
    """3x long owes two million: 2,000 after an hour of 0.1 %, 2,002 after the next. Interest on the
    equity, or on the first debt for ever, is seen."""
    rows = [a_row(Kind.MARK, T0 + n * HOUR_NS // 2, 100.0) for n in range(6)]
    market = a_free_market(stale_after_ns=HOUR_NS, frozen_after_ns=99 * HOUR_NS)
    said = run(a_spec(loan(3.0), markets=(market,)), a_tape(rows))
    first, second = of(said, "interest_charged")[:2]
    assert (first.debt_atoms, first.paid_atoms) == (2_000_000 * 10**6, 2_000 * 10**6)
    assert (second.debt_atoms, second.paid_atoms) == (2_002_000 * 10**6, 2_002 * 10**6)
    assert first.ts_ns % HOUR_NS == second.ts_ns % HOUR_NS == 0


def test_a_loan_is_called_and_then_sold() -> None:
    """30,000 coins against two million: 1.3 is met at 86.667, 1.1 at 73.333."""
    said = run(
        a_spec(loan(3.0), markets=(a_free_market(),)),
        a_tape([100.0, 86.67, 86.66, 80.0, 73.34, 73.33, 90.0]),
    )
    assert [event.mark_price for event in of(said, "product_warned")] == [86.66]
    (closed,) = of(said, "product_closed")
    assert closed.mark_price == 73.33
    assert closed.nav_atoms == 199_900 * 10**6 - 1  # 73.33 as a float is a little less


def test_a_short_loan_owes_coins() -> None:
    """-3x has sold 30,000 borrowed coins, and holds four million: 1.1 is met at 121.212."""
    said = run(
        a_spec(loan(-3.0), markets=(a_free_market(),)), a_tape([100.0, 121.21, 121.22, 90.0])
    )
    (closed,) = of(said, "product_closed")
    assert closed.mark_price == 121.22
    assert closed.nav_atoms == (4_000_000 - 3_636_600) * 10**6


def test_nobody_joins_at_another_entry() -> None:
    """Futures and loans are opened once: a creation later is refused, a redemption is not."""
    request = CreationRequest(
        ts_ns=T0 + 2 * MINUTE_NS, id="r", user="u", product="FUT5@0", quote=9.0
    )
    said = run(a_spec(futures(5.0), markets=(a_free_market(),)), a_tape([100.0, 101.0, request]))
    (refused,) = of(said, "creation_refused")
    assert refused.reason == "not_offered"


def a_long_fall(spec: EngineSpec) -> Step:
    """Minutes for a day, down by a half and up again, on every market."""
    rows = []
    for minute in range(1_440):
        depth = minute if minute < 720 else 1_440 - minute
        price = 100.0 - depth / 14.0 + (minute * 7 % 11) * 0.05
        for number, market in enumerate(spec.markets):
            row = a_row(Kind.MARK, T0 + minute * MINUTE_NS, price * (1 + number), symbol=number)
            assert market.mark_source == "mark"
            rows.append(row)
    return a_tape(rows)


def test_the_reference_says_the_same_for_a_day() -> None:
    """Futures of four leverages and loans, long and short, linear and inverse, through a fall by a
    half: interest by the hour, calls, forced sales, liquidations."""
    slow = {"stale_after_ns": HOUR_NS, "frozen_after_ns": 2 * HOUR_NS}
    linear = a_market(0, venue=RULES, **slow)
    inverse = a_market(1, contract=a_contract("BTCUSD", inverse=True), venue=RULES, **slow)
    spec = a_spec(
        *(futures(leverage, 0) for leverage in (5.0, 10.0, 20.0, 45.0, -10.0)),
        *(futures(leverage, 1) for leverage in (5.0, 10.0, -10.0)),
        *(
            staked(leverage, market, margin=margin)
            for leverage in (20.0, -10.0)
            for market in (0, 1)
            for margin in ("isolated", "cross")
        ),
        *(loan(leverage, market) for leverage in (3.0, -3.0) for market in (0, 1)),
        markets=(linear, inverse),
    )
    said = agree(spec, a_long_fall(spec), range(0, 2_880, 700))
    for tag, count in (
        *(("interest_charged", 40), ("product_warned", 2), ("liquidation_started", 10)),
        *(("product_closed", 8), ("margin_called", 6)),
    ):
        assert len(of(said, tag)) >= count, tag


def test_the_coins_of_an_inverse_account_are_a_position(tmp_path: Path) -> None:
    """Spot on a coin-margined contract holds coins and no contract: nobody may say that it never
    held anything."""
    rows = [
        {"timestamp": f"2020-03-01T00:0{n}:00.000Z", "symbol": "XBTUSD", "open": 8_000.0 + n}
        | {"high": 8_010.0, "low": 7_990.0, "close": 8_001.0 + n, "volume": 100, "trades": 3}
        for n in range(1, 6)
    ]
    data = tmp_path / "bars.jsonl"
    data.write_text(json.dumps(rows) + "\n")
    summary = api.run(data, write=False).summary
    assert summary["products"]["BTC-SPOT"]["no_position"] is None
    assert "never held" not in api.run(data, write=False).verdict


def test_what_becomes_of_futures_changes_nobody_else() -> None:
    """A gap far beyond the bankruptcy price of 10x futures: the venue takes them over, and a long
    and a short fund beside them say and are worth, to the last atom, what they are without them.
    Catches a queue, a fund or a shared loss in which they take part."""
    band = LeverageBand(target=3.0, low=2.25, high=4.125)
    short = LeverageBand(target=-3.0, low=1.5, high=5.25)
    funds = [(a_product("BTC3L"), (band,)), (a_product("BTC3S"), (short,))]
    market = a_free_market(insurance_atoms=10**9)
    tape = a_tape([100.0, 99.0, 80.0, 81.0, 79.5])
    told = []
    for beside in ([], [futures(10.0), futures(50.0)]):
        said = run(a_spec(*funds, *beside, markets=(market,)), tape, check=True)
        own = [
            structs.asdict(e)
            for e in said.events
            if getattr(e, "product", "") in ("BTC3L", "BTC3S")
        ]
        for event in own:
            del event["ordinal"]
        accounts = [(h.account.cash, h.account.lots) for h in said.engine.handlers[:2]]
        told.append((own, accounts, said.engine.ledger.balance("insurance", "USDT")))
    assert told[0] == told[1]
    taken = [e for e in of(said, "liquidation_filled") if e.step == "taken_over"]
    assert {e.account for e in taken} == {"product:FUT10@0", "product:FUT50@0"}
    assert {e.fee_atoms for e in taken} == {0}
    assert [e.nav_atoms for e in of(said, "product_closed")] == [0, 0]


@pytest.mark.parametrize("kind", ["futures", "margin_loan"])
def test_a_whole_leverage_is_the_float(kind: Any) -> None:
    """What a program gives as 3 and as 3.0 leaves the same state. Catches a target that a snapshot
    holds as a whole number."""
    late = {"kind": kind, "latency_ns": 10**9, "stake": 1}
    made = (a_product("P", leverage=each, **late) for each in (3, 3.0))
    first, second = (run(a_spec((one, ())), a_tape([100.0, 101.0])).engine for one in made)
    assert first.handlers[0].account.state.target == 3.0
    assert state_digest(first) == state_digest(second)

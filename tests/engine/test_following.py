"""A formula that follows the index, by hand: what its holders are owed while the mark goes its own
way, and what the issuer makes of it.

The market: a taker fee of 5 bp, a book of 1 bp half spread around the mark. The issuer's seed is a
million, and the product is at 3x between 2.25 and 4.125: 12 % down, 20 % up.
"""

from __future__ import annotations

from typing import Any

import pytest

from engine.account_state import Paper
from engine.commands import ForceTarget, HaltMarket, ResumeMarket
from engine.errors import ConfigError
from engine.events import CreationRequest, RedemptionRequest
from engine.formula import FormulaAccount
from engine.points import PricingSpec
from engine.ticks import Kind
from engine.units import SECOND_NS
from engine.venue.book import BookSpec
from engine.venue.price_rules import IndexSource, MarkRules
from strategies import LeverageBand, TrendVol
from tests.builders import T0, Run, a_contract, a_market, a_product, a_row, a_spec, a_tape, run
from tests.properties.agreement import agree

QUOTE = 10**6
BAND = LeverageBand(target=3.0, low=2.25, high=4.125)


def at(second: float, *, mark: float = 0.0, index: float = 0.0) -> Any:
    kind, price = (Kind.MARK, mark) if mark else (Kind.INDEX, index)
    return a_row(kind, T0 + round(second * SECOND_NS), price)


def followed(rows: list[Any], *, on: str = "index", policy: Any = BAND, **fields: Any) -> Run:
    book = BookSpec(model="flat", half_spread_bps=1.0)
    market = a_market(
        contract=a_contract(taker_fee=0.0005), book=book, stale_after_ns=30 * SECOND_NS
    )
    product = a_product("BTC3L", nav="formula", formula_price=on, **fields)
    spec = a_spec((product, (policy,)), markets=(market,), users=("alice",))
    return agree(spec, a_tape(rows), range(len(rows)))


def account_of(said: Run) -> FormulaAccount:
    account = said.engine.handlers[0].account
    assert isinstance(account, FormulaAccount)
    return account


def trades(said: Run) -> list[tuple[float, float, float]]:
    """``(second, leverage before, mark)`` of the rebalances but the opening."""
    return [
        ((each.ts_ns - T0) / SECOND_NS, round(each.leverage_before, 6), each.mark_price)
        for each in said.named("rebalanced")
        if not each.opening
    ]


PRINT = [at(0, index=100.0), at(0, mark=100.0), at(1, mark=85.0), at(2, mark=100.0)]
"""One venue's print: its mark is 15 % down for a second, and no index moves."""


def test_a_print_of_one_venue_rebalances_who_follows_the_mark_alone() -> None:
    """The mark goes to 85 and back, the index stays at 100: the product on the mark has 550,000 at
    85 and sells there, which leaves it 841,176 at 100; the one on the index is as it was."""
    on_mark, on_index = followed(PRINT, on="mark"), followed(PRINT)
    assert trades(on_mark) == [(1.0, 4.636364, 85.0)]
    assert trades(on_index) == []
    assert on_index.nav["nav_per_unit"].tolist() == [QUOTE] * 3
    assert account_of(on_index).nav(100.0) == 1_000_000 * QUOTE
    assert account_of(on_mark).nav(100.0) == round(550_000 * (1 + 3 * 15 / 85) * QUOTE)


def test_the_index_rebalances_while_the_mark_stands_still() -> None:
    """At an index of 88 the band is left, whatever the mark: 640,000 at 3x from 88, and a hedge of
    19,200 coins at the mark of 100. NAV samples stand on the index, and say the mark beside."""
    said = followed([at(0, mark=100.0), at(0, index=100.0), at(1, index=88.0), at(2, index=90.0)])
    account = account_of(said)
    assert trades(said) == [(1.0, 4.125, 100.0)]
    assert account.state.paper == Paper(640_000 * QUOTE, 88.0, 3.0)
    assert account.lots == 19_200 * 10**6
    assert [round(nav) for nav in said.nav["nav_atoms"]] == [10**12, 64 * 10**10, 683_636_363_636]
    assert said.nav["mark_price"].tolist() == [100.0] * 3
    assert said.nav["index_price"].tolist() == [100.0, 88.0, 90.0]
    assert sum(said.nav[cause][-1] for cause in ("price", "rounding")) == pytest.approx(
        said.nav["nav_atoms"][-1] - 10**12
    )


def test_all_of_a_market_is_launched_where_it_has_both_prices() -> None:
    """Marks alone launch nobody; the first index does, at the mark of then."""
    said = followed([at(0, mark=90.0), at(1, mark=100.0), at(2, index=110.0), at(3, index=121.0)])
    (launched,) = said.named("product_launched")
    assert (launched.ts_ns, launched.mark_price) == (T0 + 2 * SECOND_NS, 100.0)
    assert account_of(said).state.first_mark == 110.0
    assert account_of(said).nav(100.0) == 1_300_000 * QUOTE


def test_units_are_dealt_at_the_nav_of_the_index() -> None:
    """At an index of 110 and a mark of 100 NAV is 1.3: 130,000 buy 100,000 units. At 120 they are
    worth 1.6 each."""
    create = CreationRequest(
        ts_ns=T0 + SECOND_NS, id="c", user="alice", product="BTC3L", quote=130_000.0
    )
    redeem = RedemptionRequest(
        ts_ns=T0 + 2 * SECOND_NS, id="r", user="alice", product="BTC3L", units=50_000.0
    )
    rows = [at(0, mark=100.0), at(0, index=100.0), at(1, index=110.0), create]
    said = followed([*rows, at(2, index=119.9), redeem])
    (created,), (redeemed,) = said.named("units_created"), said.named("units_redeemed")
    assert (created.units, created.nav_atoms) == (100_000 * 10**8, 1_430_000 * QUOTE)
    assert redeemed.quote_atoms == pytest.approx(50_000 * 1.597 * QUOTE)


def test_a_stale_index_deals_nothing_and_adds_nothing() -> None:
    """30 s after the last index, while marks go on: creations are refused as at a stale mark, and
    leverage may be cut but not raised; the next index ends that."""
    rows: list[Any] = [
        at(0, mark=100.0),
        at(0, index=100.0),
        at(20, mark=100.1),
        at(40, mark=100.0),
    ]
    said_at = [T0 + second * SECOND_NS for second in (40, 41)]
    for number, ts_ns in enumerate(said_at):
        if number:
            rows.append(at(41, index=100.0))
        rows.append(
            CreationRequest(ts_ns=ts_ns, id=f"c{number}", user="alice", product="BTC3L", quote=1e4)
        )
        rows.append(ForceTarget(ts_ns=ts_ns, id=f"f{number}", product="BTC3L", target=3.5))
    said = followed(rows)
    assert [each.reason for each in said.named("creation_refused")] == ["stale"]
    assert [each.reason for each in said.named("command_refused")] == ["stale"]
    assert [each.id for each in said.named("units_created")] == ["c1"]
    assert not said.named("market_stale")


def test_what_the_index_did_in_a_halt_is_made_up_for() -> None:
    """Nobody is asked at prices while the market is halted; at the first mark after it the index of
    then is looked at."""
    halt = HaltMarket(ts_ns=T0 + SECOND_NS, id="h", symbol="BTCUSDT", reason="for a while")
    lift = ResumeMarket(ts_ns=T0 + 3 * SECOND_NS, id="l", symbol="BTCUSDT")
    rows = [at(0, mark=100.0), at(0, index=100.0), halt, at(2, index=80.0), lift]
    said = followed([*rows, at(4, mark=100.0), at(5, index=80.0)])
    assert trades(said) == [(4.0, 6.0, 100.0)]


def test_what_cannot_follow_the_index_is_refused() -> None:
    """Baskets, policies that look at signals, and an index that the venue makes are refused with
    the reason."""
    pricing = PricingSpec(sources=(IndexSource(symbol=0),), mark=MarkRules())
    wrong: list[tuple[Any, Any, Any, str]] = [
        (a_product(formula_price="index"), BAND, {}, 'wants nav = "formula"'),
        (a_product(nav="formula", formula_price="index"), TrendVol(), {}, "TrendVol looks at"),
        (a_product(nav="formula", formula_price="index"), BAND, {"pricing": pricing}, "its own"),
    ]
    for product, policy, fields, said in wrong:
        with pytest.raises(ConfigError, match=said):
            run(a_spec((product, (policy,)), markets=(a_market(**fields),)), a_tape([100.0]))

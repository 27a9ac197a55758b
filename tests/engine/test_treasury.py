"""Margin at the venue and money in the treasury, by hand: a 3x product of a million, a quarter of
it at the venue, long 30,000 coins from 100.

The venue's equity is ``250,000 + 30,000 (p - 100)``, maintenance 1 % of ``30,000 p``. At twice
that, 93.537, the issuer is called, at 92.593 the hedge is liquidated; NAV would be zero at 66.667.
"""

from __future__ import annotations

from typing import Any

import pytest

from engine.commands import FreezeWithdrawals
from engine.events import CreationRequest, RedemptionRequest
from engine.ticks import Kind
from engine.units import SECOND_NS
from engine.venue.book import BookSpec
from engine.venue.rules import AdlRules, LiquidationRules, MarginRules, Tier, VenueRules
from strategies import LeverageBand
from tests.builders import T0, Run, a_contract, a_market, a_product, a_row, a_spec, a_tape
from tests.properties.agreement import agree

COIN = QUOTE = 10**6
TIERS = (Tier(cap=1e9, max_leverage=50.0, rate=0.01),)
VENUE = VenueRules(
    margin=MarginRules(tiers=TIERS),
    liquidation=LiquidationRules(limit="none", surplus="account"),
)
BAND = LeverageBand(target=3.0, low=2.0, high=4.5)


def hedged(
    rows: list[Any], *, latency_s: int = 1, account: str = "segregated", venue: VenueRules = VENUE
) -> Run:
    """The product on a tape: marks, one a second, and what the operator says between them."""
    market = a_market(contract=a_contract(taker_fee=0.0), book=BookSpec(model="flat"), venue=venue)
    wallet = {"margin_share": 0.25, "topup_latency_ns": latency_s * SECOND_NS}
    product = a_product("BTC3L", account=account, **wallet)
    tape, second = [], 0
    for row in rows:
        if isinstance(row, float):
            tape.append(a_row(Kind.MARK, T0 + second * SECOND_NS, row))
            second += 1
        else:
            tape.append(row)
    return agree(a_spec((product, (BAND,)), markets=(market,)), a_tape(tape), range(len(tape)))


def money(said: Run) -> tuple[int, int]:
    """What lies at the venue and in the treasury, equity in whole quote."""
    (account,) = (handler.account for handler in said.engine.handlers)
    mark = said.engine.markets[0].state.mark
    return account.margin(mark), account.treasury


def test_a_top_up_brings_the_margin_back_to_its_share() -> None:
    """At 93.5 the venue sees 55,000, less than twice 28,050, and NAV is 805,000: a quarter of it is
    201,250, so 146,250 are ordered. They count a second later, at 93: 40,000 become 186,250, and at
    92, where 10,000 would have been left, the hedge stands. NAV minds nothing of it."""
    said = hedged([100.0, 93.5, 93.0, 92.0])
    (ordered,), (arrived,) = said.named("topup_ordered"), said.named("topup_arrived")
    assert (ordered.atoms, ordered.margin_atoms) == (146_250 * QUOTE, 55_000 * QUOTE)
    assert (ordered.treasury_atoms, ordered.arrives_ns) == (750_000 * QUOTE, T0 + 2 * SECOND_NS)
    assert (arrived.ts_ns, arrived.atoms) == (T0 + 2 * SECOND_NS, 146_250 * QUOTE)
    assert (arrived.margin_atoms, arrived.treasury_atoms) == (186_250 * QUOTE, 603_750 * QUOTE)
    assert not said.named("liquidation_started")
    assert money(said) == (156_250 * QUOTE, 603_750 * QUOTE)
    assert said.engine.handlers[0].account.nav(92.0) == 760_000 * QUOTE


@pytest.mark.parametrize("account", ["segregated", "omnibus"])
def test_a_top_up_of_this_very_instant_comes_before_a_liquidation(account: str) -> None:
    """As in the first test, but the mark is 92 already at the second second, when the 146,250 are
    due: the 10,000 that the venue would have seen do not cover 27,600, 156,250 do. Catches prices
    that liquidate before what is due at their instant is credited."""
    said = hedged([100.0, 93.5, 92.0, 92.0], account=account)
    (arrived,) = said.named("topup_arrived")
    assert (arrived.ts_ns, arrived.atoms) == (T0 + 2 * SECOND_NS, 146_250 * QUOTE)
    assert (arrived.margin_atoms, arrived.treasury_atoms) == (156_250 * QUOTE, 603_750 * QUOTE)
    assert not said.named("liquidation_started")
    assert money(said) == (156_250 * QUOTE, 603_750 * QUOTE)


@pytest.mark.parametrize("account", ["segregated", "omnibus"])
def test_a_top_up_that_arrives_too_late_finds_the_hedge_gone(account: str) -> None:
    """Due at the fourth second. At 92, the second one, 10,000 do not cover 27,600: all is sold, and
    750,000 in the treasury hold nothing. The product wants 24,782.608695 coins back; 45,599.999999
    of initial margin are not there. With the top-up there are 156,250, and it has its 3x again."""
    said = hedged([100.0, 93.5, 92.0, 92.0, 92.0], latency_s=3, account=account)
    (sold,) = said.named("liquidation_filled")
    assert (sold.ts_ns, sold.lots, sold.cash_atoms) == (
        T0 + 2 * SECOND_NS,
        -30_000 * COIN,
        2_760_000 * QUOTE,
    )
    refused = said.named("order_rejected")
    assert [(each.ts_ns, each.reason, each.lots) for each in refused] == [
        (T0 + n * SECOND_NS, "no_margin", 24_782_608_695) for n in (2, 3)
    ]
    (arrived,) = said.named("topup_arrived")
    assert (arrived.ts_ns, arrived.margin_atoms) == (T0 + 4 * SECOND_NS, 156_250 * QUOTE)
    back = said.named("order_filled")[-1]
    assert (back.ts_ns, back.lots, back.price) == (T0 + 4 * SECOND_NS, 24_782_608_695, 92.0)
    account = said.engine.handlers[0].account
    assert (account.treasury, account.nav(92.0)) == (603_750 * QUOTE, 760_000 * QUOTE)
    assert account.at_venue == 156_250 * QUOTE - 2_279_999_999_940


@pytest.mark.parametrize("account", ["segregated", "omnibus"])
def test_a_jump_past_the_call_leaves_the_issuer_called(account: str) -> None:
    """From 100 to 88 in one row: the venue sees -110,000, sells at no less than 91.667, and finds
    nobody who would take the hedge over. A second later it tries again, and the issuer is called:
    a quarter of 640,000 makes 270,000, which are there at the third second. Catches an issuer who
    watches from beside a full treasury, because the price went past the margin of a call."""
    rules = VenueRules(
        margin=MarginRules(tiers=TIERS),
        liquidation=LiquidationRules(),
        adl=AdlRules(rest="stay_open"),
    )
    said = hedged([100.0, 88.0, 88.0, 88.0, 88.0], account=account, venue=rules)
    (started,) = said.named("liquidation_started")
    assert (started.ts_ns, started.equity_atoms) == (T0 + SECOND_NS, -110_000 * QUOTE)
    (called,), (ordered,) = said.named("margin_called"), said.named("topup_ordered")
    assert called.ts_ns == ordered.ts_ns == T0 + 2 * SECOND_NS
    assert ordered.atoms == 270_000 * QUOTE
    assert [e.outcome for e in said.named("liquidation_ended")] == ["unfilled"] * 2 + ["restored"]
    assert said.named("liquidation_ended")[-1].ts_ns == T0 + 3 * SECOND_NS
    assert money(said) == (160_000 * QUOTE, 480_000 * QUOTE)


def test_a_freeze_kills_a_hedge_that_would_have_lived() -> None:
    """As in the first test, but withdrawals are frozen until the tenth second: at 92 the venue sees
    10,000 and sells; what was ordered arrives at the tenth, and the hedge is bought back then. In
    between its order is refused three times, after one, two and four seconds."""
    freeze = FreezeWithdrawals(ts_ns=T0, id="f", symbol="BTCUSDT", until_ns=T0 + 10 * SECOND_NS)
    said = hedged([100.0, freeze, 93.5, 93.0, *[92.0] * 8])
    (frozen,) = said.named("topup_frozen")
    assert (frozen.atoms, frozen.until_ns) == (146_250 * QUOTE, T0 + 10 * SECOND_NS)
    (gone,) = said.named("hedge_liquidated")
    assert (gone.ts_ns, gone.position_lots, gone.nav_effect_atoms) == (T0 + 3 * SECOND_NS, 0, 0)
    (arrived,) = said.named("topup_arrived")
    assert (arrived.ts_ns, arrived.margin_atoms) == (T0 + 10 * SECOND_NS, 156_250 * QUOTE)
    assert [(e.ts_ns - T0) // SECOND_NS for e in said.named("order_rejected")] == [3, 4, 6]
    assert said.named("order_filled")[-1].ts_ns == T0 + 10 * SECOND_NS


def test_a_freeze_that_ends_early_lets_the_money_come() -> None:
    """Frozen until the tenth second, and lifted at the third: it arrives then. To freeze what is
    frozen as long, or to thaw what is not, is refused."""
    freeze = FreezeWithdrawals(ts_ns=T0, id="f", symbol="BTCUSDT", until_ns=T0 + 10 * SECOND_NS)
    lift = FreezeWithdrawals(ts_ns=T0 + 3 * SECOND_NS, id="l", symbol="BTCUSDT", until_ns=0)
    again = FreezeWithdrawals(ts_ns=T0 + 4 * SECOND_NS, id="a", symbol="BTCUSDT", until_ns=0)
    same = FreezeWithdrawals(ts_ns=T0, id="s", symbol="BTCUSDT", until_ns=T0 + 10 * SECOND_NS)
    said = hedged([100.0, freeze, same, 93.5, 93.0, 93.0, lift, 92.0, again, 92.0])
    (arrived,) = said.named("topup_arrived")
    assert (arrived.ts_ns, arrived.margin_atoms) == (T0 + 3 * SECOND_NS, 186_250 * QUOTE)
    assert not said.named("liquidation_started")
    refused = [(each.id, each.reason) for each in said.named("command_refused")]
    assert refused == [("s", "frozen"), ("a", "not_frozen")]


@pytest.mark.parametrize("share", [0.25, 0.9, 1.0])
def test_users_deal_with_both(share: float) -> None:
    """A creation of 100,000 leaves its share at the venue and the rest in the treasury, for 100,000
    units; half of these take 50,000 from both as the equity lies: treasury's part rounded up."""
    market = a_market(
        contract=a_contract(taker_fee=0.0),
        book=BookSpec(model="flat"),
        venue=VenueRules(margin=MarginRules(tiers=TIERS)),
    )
    product = a_product("BTC3L", margin_share=share)
    create = CreationRequest(ts_ns=T0, id="c", user="alice", product="BTC3L", quote=1e5)
    redeem = RedemptionRequest(ts_ns=T0, id="r", user="alice", product="BTC3L", units=5e4)
    spec = a_spec((product, (BAND,)), markets=(market,), users=("alice",))
    said = agree(spec, a_tape([100.0, create, redeem, 110.0]))
    account = said.engine.handlers[0].account
    treasury = 11 * (1 - share) * 10**5 * QUOTE
    treasury -= 5e4 * QUOTE * (1 - share)
    assert account.treasury == round(treasury)
    assert account.nav(100.0) == 1_050_000 * QUOTE
    assert account.nav(110.0) == 1_365_000 * QUOTE


# Haircuts -----------------------------------------------------------------------------------------


def cut_short(haircut: float, rows: list[float], **wallet: Any) -> Run:
    """The same, of whose collateral the venue does not count all; every tenth second a mark."""
    market = a_market(contract=a_contract(taker_fee=0.0), book=BookSpec(model="flat"), venue=VENUE)
    product = a_product("BTC3L", haircut=haircut, **{"margin_share": 0.25, **wallet})
    return agree(a_spec((product, (BAND,)), markets=(market,)), a_tape(rows), range(len(rows)))


def test_a_haircut_brings_liquidation_nearer() -> None:
    """Of 250,000 at the venue a fifth, 50,000, is not margin: ``200,000 + 30,000 (p - 100)`` covers
    1 % of ``30,000 p`` down to ``2,800,000 / 29,700 = 94.276094``, where all of it would cover it
    down to 92.593. Worth what it was the product is all the same: its line is its own, and a float
    94.276 is a little less."""
    high, low = 94.2761, 94.2760
    late = {"topup_latency_ns": 10 * SECOND_NS}
    assert not cut_short(0.2, [100.0, high], **late).named("liquidation_started")
    said = cut_short(0.2, [100.0, low], **late)
    (started,) = said.named("liquidation_started")
    assert (started.equity_atoms, started.maintenance_atoms) == (28_280 * QUOTE - 1, 28_282_800_000)
    (sold,) = said.named("liquidation_filled")
    assert sold.bankruptcy_price == pytest.approx(2_750_000 / 30_000)
    account = said.engine.handlers[0].account
    assert account.nav(low) == (1_000_000 - 171_720) * QUOTE - 2  # sold and valued
    assert not cut_short(0.0, [100.0, low], **late).named("liquidation_started")


def test_a_top_up_makes_up_for_the_haircut_that_it_suffers() -> None:
    """At 97 the venue has 160,000, of which 125,000 do not count, and wants 29,100. Called at twice
    as much, the issuer is to have four times as much counted, 116,400: 81,400 more, of which half
    will not count either. Called at four times as much, 232,800."""
    for at, atoms in ((2.0, 162_800 * QUOTE), (4.0, 395_600 * QUOTE)):
        said = cut_short(0.5, [100.0, 97.0, 97.0], topup_latency_ns=SECOND_NS, topup_at=at)
        (ordered,) = said.named("topup_ordered")
        assert (ordered.atoms, ordered.margin_atoms) == (atoms, 160_000 * QUOTE)


def test_what_a_haircut_leaves_must_open_the_position() -> None:
    """With 1 of 20 counting, 250,000 are 12,500: 60,000 of initial margin are not there, and no
    treasury makes up for it in time; the opening is refused, and nothing is traded."""
    said = cut_short(0.95, [100.0, 100.0], topup_latency_ns=10 * SECOND_NS)
    assert {each.reason for each in said.named("order_rejected")} == {"no_margin"}
    assert not said.named("order_filled")
    whole = cut_short(0.95, [100.0, 100.0], margin_share=1.0)
    assert {each.reason for each in whole.named("order_rejected")} == {"no_margin"}

"""Tests of ``engine.venue.acting``: what starts the clock anew, and what does not."""

from __future__ import annotations

from engine.ledger import Ledger
from engine.venue.accounts import Holding, Trader, TraderAccount, Traders
from engine.venue.acting import Acting


def test_only_what_the_owner_does_ends_his_idleness() -> None:
    """Funding leaves what he holds, and what the venue takes is not his doing; a trade of his own
    is. Of whom nothing is known, he acted just now."""
    held = Holding(0, 10, 0)
    account = TraderAccount(Traders([], [], Ledger()), Trader("a", 0, [held]))
    acting = Acting({}, counts=True)
    acting.changed(account, 100)
    acting.changed(account, 130)
    assert acting.idle_ns(account.name, 150) == 50
    held.lots = 7
    acting.seized([account])
    acting.changed(account, 160)
    assert acting.idle_ns(account.name, 160) == 60
    held.lots = 8
    acting.changed(account, 170)
    assert acting.idle_ns(account.name, 185) == 15
    assert acting.idle_ns("b", 185) == 0
    acting.opened(["b"], 180)
    assert acting.idle_ns("b", 185) == 5


def test_a_trade_on_two_markets_that_cancels_is_an_act() -> None:
    """Seven more of one and seven less of the other are other holdings, though as many lots. The
    venue taking the same is no act."""
    held = [Holding(0, 10, 0), Holding(1, -4, 0)]
    account = TraderAccount(Traders([], [], Ledger()), Trader("a", 0, held))
    acting = Acting({}, counts=True)
    acting.changed(account, 100)
    held[0].lots, held[1].lots = 3, 3
    acting.changed(account, 130)
    assert acting.idle_ns(account.name, 150) == 20
    held[0].lots, held[1].lots = 10, -4
    acting.seized([account])
    acting.changed(account, 160)
    assert acting.idle_ns(account.name, 160) == 30


def test_who_opened_nothing_holds_nothing() -> None:
    """Told that he opened at 180 he holds no lots and has paid in nothing since: that he is looked
    at again, and still does, is no act."""
    account = TraderAccount(Traders([], [], Ledger()), Trader("a", 0, []))
    acting = Acting({}, counts=True)
    acting.opened([account.name], 180)
    acting.changed(account, 190)
    assert acting.idle_ns(account.name, 200) == 20


def test_where_no_rule_asks_nothing_is_kept() -> None:
    """Who acted when is state, and state that nobody needs is not kept."""
    account = TraderAccount(Traders([], [], Ledger()), Trader("a", 0, [Holding(0, 10, 0)]))
    acting = Acting({}, counts=False)
    acting.changed(account, 1)
    acting.opened(["b"], 1)
    acting.seized([account])
    assert acting.known == {}

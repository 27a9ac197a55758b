"""The venue's other customers: what they hold, what it cost, and what the ledger says of it."""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Any

import pytest

from engine.errors import ConfigError, InvariantError
from engine.ledger import Cause, Ledger
from engine.venue.accounts import (
    PositionSpec,
    Trader,
    TraderAccount,
    Traders,
    TraderSpec,
    cost_after,
)
from engine.venue.contract import Contract
from tests.builders import a_contract

QUOTE = 10**6


@pytest.mark.parametrize(
    ("held", "cost", "lots", "cash", "after"),
    [
        # What is added adds what was paid, of a short what was got.
        (0, 0, 10, -1_000, 1_000),
        (0, 0, -10, 1_000, -1_000),
        (10, 1_000, 5, -600, 1_600),
        (-10, -1_000, -5, 600, -1_600),
        (1, 100, 1, -120, 220),
        (-1, -100, -1, 120, -220),
        # What is closed takes its share of the cost with it, whatever it brought; what stays is
        # rounded down: two thirds of 100 are 66, and of -100 they are -67.
        (10, 1_000, -4, 900, 600),
        (-10, -1_000, 4, -900, -600),
        (2, 100, -1, 70, 50),
        (3, 100, -1, 70, 66),
        (-3, -100, 1, -70, -67),
        (10, 1_000, -10, 900, 0),
        (-10, -1_000, 10, -900, 0),
        # Fifteen against ten leave five, a third of the trade: 600 of 1,800, 601 of 1,801.
        (10, 1_000, -15, 1_800, -600),
        (10, 1_000, -15, 1_801, -601),
        (-10, -1_000, 15, -1_800, 600),
        (-10, -1_000, 15, -1_801, 600),
        (1, 100, -2, 300, -150),
        (-1, -100, 2, -300, 150),
    ],
)
def test_what_a_position_cost(held: int, cost: int, lots: int, cash: int, after: int) -> None:
    """In atoms, after a trade."""
    assert cost_after(held, cost, lots, cash) == after


def some_traders(
    *held: tuple[int, int, float], wallet: Any = 500 * QUOTE, **chosen: Any
) -> Traders:
    """One trader, his positions market by market; the second contract is settled in coin."""
    positions = tuple(PositionSpec(market=m, lots=lots, entry=at) for m, lots, at in held)
    specs = [TraderSpec(id="t", wallet_atoms=wallet, positions=positions, **chosen)]
    contracts = [
        Contract(a_contract("A", lot_size=1.0)),
        Contract(a_contract("B", inverse=True)),
        Contract(a_contract("C", lot_size=1.0)),
    ]
    return Traders(specs, contracts, Ledger())


def test_every_coin_has_another_side() -> None:
    """500 paid in, ten bought for 1,000 from the book, four sold for 440 and taken over by the
    fund's account, 5 paid and 2 got in funding: his share is 500 - 1,000 + 440 - 3, and what each
    owner of the ledger has against it is the same with the other sign."""
    traders = some_traders((0, 10, 100.0), max_leverage=3.0)
    (trader,) = traders.accounts
    ledger = traders._ledger
    account = TraderAccount(traders, trader)
    assert (account.cash, account.positions()) == (-500 * QUOTE, [(0, 10, 1_000 * QUOTE)])
    account.move(0, Cause.LIQUIDATION, -4, 440 * QUOTE, "insurance", 110.0)
    traders.pay_funding(0, [(trader, 5 * QUOTE), (trader, -2 * QUOTE)])
    assert (account.cash, account.positions()) == (-63 * QUOTE, [(0, 6, 600 * QUOTE)])
    assert {
        (owner, asset): ledger.balance(owner, asset)
        for owner, asset in (
            *(("traders", "USDT"), ("clearing", "USDT"), ("book:A", "USDT")),
            *(("insurance", "USDT"), ("funding:A", "USDT")),
            *(("traders", "A:lots"), ("book:A", "A:lots"), ("insurance", "A:lots")),
        )
    } == {
        ("traders", "USDT"): -63 * QUOTE,
        ("clearing", "USDT"): -500 * QUOTE,
        ("book:A", "USDT"): 1_000 * QUOTE,
        ("insurance", "USDT"): -440 * QUOTE,
        ("funding:A", "USDT"): 3 * QUOTE,
        ("traders", "A:lots"): 6,
        ("book:A", "A:lots"): -10,
        ("insurance", "A:lots"): 4,
    }
    ledger.check()
    traders.check()


def test_a_trader_brings_nothing_but_what_he_paid_in() -> None:
    """No top-ups, no orders, no calls of his own, and he stands in the queue like anybody."""
    traders = some_traders((0, 10, 100.0), (2, -5, 40.0), max_leverage=3.0)
    account = TraderAccount(traders, traders.accounts[0])
    assert (account.name, account.max_leverage, account.alone) == ("trader:t", 3.0, False)
    assert (account.withheld, account.topups, account.call_at) == (0, 0, 0.0)
    assert account.cancel_orders(0) == 0
    second = account.trader.holding(2)
    assert second is not None
    assert (second.lots, second.cost) == (-5, -200 * QUOTE)
    assert account.trader.holding(1) is None
    assert len(traders) == 1
    plain = some_traders((0, 10, 100.0)).accounts[0]
    assert (plain.max_leverage, Trader("u", 0, []).max_leverage) == (0.0, 0.0)


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ({"wallet": 1}, ""),
        ({"wallet": 0}, "wallet_atoms"),
        ({"wallet": 1.5}, "wallet_atoms"),
        ({"max_leverage": 0.5}, ""),
        ({"max_leverage": inf}, "max_leverage"),
        ({"max_leverage": -0.5}, "max_leverage"),
        ({"held": [(0, 1, 0.5)]}, ""),
        ({"held": [(0, -1, 0.5)]}, ""),
        ({"held": [(0, 1.5, 100.0)]}, "lots"),
        ({"held": [(0, 0, 100.0)]}, "lots"),
        ({"held": [(0, 1, inf)]}, "entry"),
        ({"held": [(0, 1, 0.0)]}, "entry"),
        ({"held": [(0, 1, 100.0), (2, 1, 100.0)]}, ""),
        ({"held": [(0, 1, 100.0), (0, 1, 100.0)]}, "one a market"),
        ({"held": [(0, 1, 100.0), (1, 1, 100.0)]}, "one settlement asset"),
        ({"held": []}, "one position or more"),
    ],
)
def test_who_is_admitted(fields: dict[str, Any], fault: str) -> None:
    """Whole numbers, positive prices, one asset; the smallest that may be is."""
    chosen = dict(fields)
    held = chosen.pop("held", [(0, 10, 100.0)])
    if not fault:
        some_traders(*held, **chosen).check()
        return
    with pytest.raises(ConfigError, match=f"^trader t: .*{fault}"):
        some_traders(*held, **chosen)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda t: setattr(t, "cash", t.cash + 1), "-499999999 USDT, the ledger -500000000$"),
        (lambda t: setattr(t.holdings[0], "lots", 9), "9 lots of A, the ledger 10$"),
    ],
)
def test_a_share_that_does_not_add_up(spoil: Callable[[Trader], None], message: str) -> None:
    """An atom, or a lot, that the ledger knows nothing of is found."""
    traders = some_traders((0, 10, 100.0))
    traders.check()
    spoil(traders.accounts[0])
    with pytest.raises(InvariantError, match=f"^traders have {message}"):
        traders.check()

"""Tests of ``engine.ledger``."""

from __future__ import annotations

from random import Random

import pytest

from engine.errors import InvariantError
from engine.ledger import CAUSES, Cause, Ledger


def a_ledger() -> tuple[Ledger, int, int, int]:
    """A product's and a user's money, and the product's lots."""
    ledger = Ledger()
    accounts = ("product:A", "USDT"), ("user", "USDT"), ("product:A", "BTC:lots")
    return ledger, *(ledger.open(*account) for account in accounts)


def test_a_transfer_takes_from_one_what_it_gives_to_the_other() -> None:
    """Catches a sign: the source loses, the target gains, and a negative amount goes the other
    way."""
    ledger, product, user, _ = a_ledger()
    ledger.post(Cause.CREATION, user, product, 100)
    assert ledger.balance("product:A", "USDT") == 100
    assert ledger.balance("user", "USDT") == -100
    ledger.post(Cause.FUNDING, user, product, -30)
    assert ledger.balance("product:A", "USDT") == 70
    assert ledger.transfers[Cause.CREATION] == ledger.transfers[Cause.FUNDING] == 1
    assert sum(ledger.transfers) == 2


def test_money_cannot_become_lots() -> None:
    """Catches a transfer between assets, by which money would appear from nowhere; nothing is
    booked of it."""
    ledger, product, _, lots = a_ledger()
    with pytest.raises(InvariantError, match=r"HEDGE.*not of one asset"):
        ledger.post(Cause.HEDGE, product, lots, 1)
    assert ledger.accounts() == [
        ("product:A", "USDT", 0),
        ("user", "USDT", 0),
        ("product:A", "BTC:lots", 0),
    ]


@pytest.mark.parametrize(("lots", "hedge"), [(3, -300), (-3, 299), (10**20, -(10**25))])
def test_a_trade_is_its_four_transfers(lots: int, hedge: int) -> None:
    """Bought or sold, of any size, with a cost beyond mid and a fee. Catches a part that is booked
    on one side, the wrong way, or counted for another cause."""
    names = [("book", "LOTS"), ("book", "USDT"), ("A", "LOTS"), ("A", "USDT"), ("fees", "USDT")]
    at_once, apart = Ledger(), Ledger()
    for ledger in (at_once, apart):
        book_lots, book_cash, own_lots, own_cash, fees = (ledger.open(*name) for name in names)
    way = at_once.trade_way((book_lots, book_cash), (own_lots, own_cash), fees)
    at_once.trade(way, lots, hedge - 7, 2)
    apart.post(Cause.HEDGE, book_lots, own_lots, lots)
    apart.post(Cause.HEDGE, book_cash, own_cash, hedge)
    apart.post(Cause.SPREAD_IMPACT, book_cash, own_cash, -7)
    apart.post(Cause.TAKER_FEE, own_cash, fees, 2)
    assert at_once.accounts() == apart.accounts()
    assert at_once.transfers == apart.transfers
    at_once.check()


def test_nobody_trades_money_against_other_money() -> None:
    """Catches a way whose two sides hold different assets, of which each trade would make some from
    nowhere."""
    ledger, product, user, lots = a_ledger()
    coins = ledger.open("fees", "BTC")
    for seller, account, fees in (
        ((lots, user), (lots, product), coins),
        ((user, user), (lots, product), user),
        ((lots, coins), (lots, product), user),
    ):
        with pytest.raises(InvariantError, match="not of one asset"):
            ledger.trade_way(seller, account, fees)


def test_an_account_is_opened_once() -> None:
    """Catches a second account of one name, which would split a balance."""
    ledger, product, *_ = a_ledger()
    assert ledger.open("product:A", "USDT") == product
    assert len(ledger.accounts()) == 3
    assert ledger.balance("nobody", "USDT") == 0


def test_every_asset_sums_to_zero_after_any_transfers() -> None:
    """Over random transfers between ten owners in three assets, of any size. Catches an amount
    booked on one side."""
    random, ledger = Random(1), Ledger()
    assets = [[ledger.open(f"o{n}", asset) for n in range(10)] for asset in ("A", "B", "C")]
    for _ in range(2_000):
        source, target = random.choices(random.choice(assets), k=2)
        ledger.post(random.choice(list(Cause)), source, target, random.randint(-(10**25), 10**25))
    ledger.check()
    for asset in "ABC":
        assert sum(b for _, a, b in ledger.accounts() if a == asset) == 0


def test_the_full_scan_finds_what_does_not_sum_to_zero() -> None:
    """Catches a scan that looks at all assets together, where two faults of opposite sign would
    hide each other."""
    ledger, product, _, lots = a_ledger()
    ledger.balances[product] += 5
    ledger.balances[lots] -= 5
    with pytest.raises(InvariantError, match="USDT sums to 5"):
        ledger.check()


def test_a_ledger_is_restored_under_other_numbers() -> None:
    """Balances go by owner and asset, not by the number of the account. Catches a snapshot that
    relies on the order in which accounts were opened."""
    ledger, product, user, _ = a_ledger()
    ledger.post(Cause.CREATION, user, product, 12)
    other = Ledger()
    other.open("user", "USDT")
    other.load(ledger.accounts(), ledger.transfers)
    assert sorted(other.accounts()) == sorted(ledger.accounts())
    assert other.transfers == ledger.transfers
    assert other.transfers is not ledger.transfers


def test_an_unbalanced_snapshot_is_not_taken_over() -> None:
    """Catches a damaged snapshot that goes on as if nothing were."""
    with pytest.raises(InvariantError, match="USDT sums to 1"):
        Ledger().load([("user", "USDT", 1)], [0] * CAUSES)


def test_the_causes_keep_their_numbers() -> None:
    """A snapshot counts transfers by number: a cause in the middle would shift the others."""
    assert [int(cause) for cause in Cause] == list(range(CAUSES))
    assert (Cause.HEDGE, Cause.FUNDING, Cause.REDEMPTION, Cause.ROUNDING) == (0, 4, 7, 18)

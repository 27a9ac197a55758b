"""Who pays for a bankrupt position, by hand: lots of a whole coin from 100, maintenance 1 %.

Long two coins with 10 is bankrupt at 95; at 90 the book takes nothing at that limit, and the fund
is empty.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from engine.ticks import Kind
from engine.units import SECOND_NS
from engine.venue.accounts import PositionSpec, TraderSpec
from engine.venue.book import BookSpec
from engine.venue.rules import AdlRules, LiquidationRules, MarginRules, Tier, VenueRules
from tests.builders import T0, Run, a_contract, a_market, a_product, a_row, a_spec, a_tape
from tests.properties.agreement import agree
from tests.properties.crowded import a_crowd

QUOTE = 10**6
TIER = (Tier(cap=1e9, max_leverage=50.0, rate=0.01),)
BANKRUPT = (2, 10)


def said_of(
    accounts: dict[str, tuple[int, int]],
    *,
    crowds: Sequence[Any] = (),
    margin: dict[str, Any] | None = None,
    falls_to: float = 90.0,
    **adl: Any,
) -> Run:
    """Accounts are coins and wallets. Both markets stand at 100, and the first falls."""
    rules = VenueRules(
        margin=MarginRules(tiers=TIER, **(margin or {})),
        liquidation=LiquidationRules(limit="bankruptcy"),
        adl=AdlRules(**adl),
    )
    markets = [
        a_market(
            symbol=n,
            contract=a_contract(name, taker_fee=0.05, lot_size=1.0),
            book=BookSpec(model="flat"),
            venue=rules,
        )
        for n, name in enumerate(("BTCUSDT", "ETHUSDT"))
    ]
    traders = tuple(
        TraderSpec(
            id=name,
            wallet_atoms=wallet * QUOTE,
            positions=(PositionSpec(market=0, lots=lots, entry=100.0),),
        )
        for name, (lots, wallet) in accounts.items()
    )
    idle = [(a_product(f"IDLE{n}", market=n), ()) for n in range(2)]
    spec = a_spec(*idle, markets=markets, traders=traders, crowds=tuple(crowds))
    rows = [(0, 100.0, 1), (0, 100.0, 0), (1, falls_to, 0)]
    tape = a_tape([a_row(Kind.MARK, T0 + at * SECOND_NS, p, symbol=n) for at, p, n in rows])
    return agree(spec, tape, range(len(rows)))


def taken(said: Run) -> list[tuple[str, int, float]]:
    return [(e.account, e.lots, e.price) for e in said.named("position_auto_deleveraged")]


def accounts(said: Run) -> dict[str, tuple[int, int]]:
    """Coins and cash."""
    traders = said.engine.margins.traders.accounts
    return {each.id: (each.holdings[0].lots, each.cash) for each in traders}


def test_what_finds_no_counterparty_is_written_off_at_the_mark() -> None:
    """One coin is short on the other side, and is closed at 95; the second goes at 90, which leaves
    a debt of 5. All open positions share it: the five coins of the third, on whichever side."""
    others = {"short": (-1, 1_000), "third": (5, 1_000)}
    said = said_of({"one": BANKRUPT, **others}, rest="socialise")
    assert taken(said) == [("trader:short", 1, 95.0)]
    (loss,) = said.named("loss_socialised")
    assert (loss.loss_atoms, loss.atoms_per_lot, loss.accounts) == (5 * QUOTE, QUOTE, 1)
    assert accounts(said) == {
        "one": (0, 0), "short": (0, 1_005 * QUOTE), "third": (5, 495 * QUOTE),
    }  # fmt: skip


def test_what_finds_no_counterparty_may_stay_open() -> None:
    """The second coin is still there, with what the first has brought, and is tried again."""
    said = said_of({"one": BANKRUPT, "short": (-1, 1_000)}, rest="stay_open")
    assert taken(said) == [("trader:short", 1, 95.0)]
    assert not said.named("loss_socialised")
    assert accounts(said)["one"] == (1, -95 * QUOTE)
    (ended,) = said.named("liquidation_ended")
    assert (ended.outcome, ended.position_lots) == ("unfilled", 1)


@pytest.mark.parametrize(("wallet", "of_account"), [(200, 1), (2_000, 0)])
def test_rows_of_a_population_stand_among_the_accounts(wallet: int, of_account: int) -> None:
    """Of a profit of 10 whose wallet is the smaller comes first: an account of 200 before a row of
    500 and one of 1,000, an account of 2,000 after both. A population of another market is nobody's
    counterparty here."""
    rows = [(-1, 1_000 * QUOTE, 100.0, 1.0), (-1, 500 * QUOTE, 100.0, 1.0)]
    other = a_crowd([(-9, 300 * QUOTE, 100.0, 1.0)], "other", 1)
    crowds = [other, a_crowd(rows, "crowd", 0)]
    said = said_of({"one": BANKRUPT, "short": (-1, wallet)}, crowds=crowds)
    assert taken(said) == [("trader:short", 1, 95.0)] * of_account
    (told,) = said.named("population_deleveraged")
    assert (told.population, told.positions, told.lots) == ("crowd", 2 - of_account, 2 - of_account)
    assert (told.price, told.rank) == (95.0, 1 + of_account)
    lots = [crowd.lots.tolist() for crowd in said.engine.margins.crowds.all]
    assert lots == [[-9], [-of_account, 0]]


@pytest.mark.parametrize(("price", "at", "fees"), [("bankruptcy", 80.0, [8]), ("mark", 79.0, [])])
@pytest.mark.parametrize("population", [False, True])
def test_a_fee_is_taken_at_the_bankruptcy_price_alone(
    price: str, at: float, fees: list[int], *, population: bool
) -> None:
    """Long two coins with 48 has to get 76 a coin, and of 80 a venue that keeps 5 % of what closing
    moves leaves that: closed there, it takes 8 of the 160. At the mark it takes none."""
    inside = {"taker_fee_inside": True, "fee_at": "bankruptcy"}
    crowds = [a_crowd([(-3, 1_000 * QUOTE, 100.0, 1.0)])] if population else []
    others = {} if population else {"short": (-3, 1_000)}
    said = said_of(
        {"one": (2, 48), **others}, crowds=crowds, margin=inside, falls_to=79.0, price=price
    )
    name = "population_deleveraged" if population else "position_auto_deleveraged"
    assert [(e.lots, e.price) for e in said.named(name)] == [(2, at)]
    charged = [e.atoms for e in said.named("account_charged") if e.cause == "closing_fee"]
    assert charged == [fee * QUOTE for fee in fees]


def test_what_a_population_leaves_is_taken_by_lots() -> None:
    """A row of two coins with 10 is bankrupt at 95, as an account is: whoever is short gives two
    coins there. Catches what the coins cost taken for how many they are."""
    crowd = a_crowd([(2, 10 * QUOTE, 100.0, 1.0)])
    said = said_of({"short": (-3, 1_000)}, crowds=[crowd])
    assert taken(said) == [("trader:short", 2, 95.0)]
    assert accounts(said) == {"short": (-1, 1_110 * QUOTE)}
    assert said.engine.margins.crowds.all[0].lots.tolist() == [0]


def test_a_row_of_a_population_pays_the_fee_of_closing() -> None:
    """Long two coins with 48 at 80.5: 9 are left, and 8 of fee and 1.61 are needed. The book pays
    161, of which 160 were needed: the venue has 8, the fund 1, and the row nothing."""
    inside = {"taker_fee_inside": True, "fee_at": "bankruptcy"}
    crowd = a_crowd([(2, 48 * QUOTE, 100.0, 1.0)])
    said = said_of({}, crowds=[crowd], margin=inside, falls_to=80.5)
    (told,) = said.named("population_liquidated")
    assert (told.positions, told.lots) == (1, -2)
    ledger = said.engine.ledger
    assert [ledger.balance(owner, "USDT") for owner in ("fees", "insurance")] == [
        8 * QUOTE, QUOTE,
    ]  # fmt: skip
    assert said.engine.margins.crowds.all[0].cash.tolist() == [0]

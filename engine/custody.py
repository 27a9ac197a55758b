"""What befalls the accounts of a market's products at the venue: the asset that their margin is
paid in has a price of its own, the venue closes their hedges by force, or it fails.

The operator, or a scenario, says so; what is done is booked as any other move of the venue.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from engine.commands import AutoDeleverage, DefaultVenue, OpenPopulation, PriceCollateral
from engine.custody_events import BalanceLost, CollateralRevalued, TradersRevalued
from engine.handler_state import ACTIVE, CLOSING
from engine.hedge_account import HedgeAccount
from engine.ledger import Cause
from engine.margins import Margins
from engine.market import Market
from engine.units import Rounding, decimal, mul_div, total

__all__ = ["deleverage", "fail", "forget", "gather", "look", "reprice", "seized"]

_FORCED: Final = {"long": 1, "short": -1, "both": 0}


def _hedges(market: Market, number: int) -> Iterator[HedgeAccount]:
    """The living products' accounts at the venue, in declared order; spot and loans have none."""
    for place, handler in enumerate(market.handlers):
        if handler.spec.kind in ("fund", "futures") and handler.state.status in (ACTIVE, CLOSING):
            yield HedgeAccount(number, place, handler, market)


def reprice(
    market: Market, number: int, command: PriceCollateral, margins: Margins | None
) -> str | None:
    """What lies at the venue, or a share of it, is worth as much more or less as its asset; why
    not, where it is refused. Rounded down: nobody gains by rounding."""
    state, contract = market.state, market.contract
    if contract.inverse:
        return "collateral_is_the_coin"
    before, state.collateral = state.collateral, command.price
    if command.price == before:
        return "no_change"
    was, moved = (
        decimal(before),
        decimal(command.share) * (decimal(command.price) - decimal(before)),
    )
    over, under = moved.numerator * was.denominator, moved.denominator * was.numerator
    owner = f"collateral:{contract.spec.symbol}"
    for hedge in _hedges(market, number):
        account = hedge.account
        collateral = account.collateral(market.mark)
        if collateral <= 0:
            continue
        change = mul_div(collateral, over, under, Rounding.DOWN)
        hedge.move(number, Cause.REVALUATION, 0, change, owner, market.mark)
        market.tape.say(
            CollateralRevalued,
            product=account.spec.id,
            symbol=contract.spec.symbol,
            price_before=before,
            price=command.price,
            mark_price=market.mark,
            collateral_atoms=collateral,
            change_atoms=change,
        )
        hedge.handler.go_on(market)
    if margins is not None and number in margins.state.launched:
        said = {"symbol": contract.spec.symbol, "price_before": before}
        _reprice_others(margins, number, (over, under), {**said, "price": command.price})
    return None


def _reprice_others(
    margins: Margins, number: int, change: tuple[int, int], said: dict[str, Any]
) -> None:
    """The same of the venue's other customers, and of its populations."""
    market, had, changed, accounts = margins.markets[number], 0, 0, 0
    owner = f"collateral:{market.contract.spec.symbol}"
    for trader in margins.traders.accounts:
        collateral = trader.cash + total(held.cost for held in trader.holdings)
        open_lots = any(held.lots for held in trader.holdings)
        if trader.holdings[0].market != number or not open_lots or collateral <= 0:
            continue
        lost = mul_div(collateral, *change, Rounding.DOWN)
        margins.traders.move(trader, number, Cause.REVALUATION, 0, lost, owner)
        had, changed, accounts = had + collateral, changed + lost, accounts + 1
    said = {**said, "mark_price": market.mark}
    if accounts:
        sums = {"collateral_atoms": had, "change_atoms": changed}
        market.tape.say(TradersRevalued, accounts=accounts, **sums, **said)
    margins.crowds.revalue(number, *change, said)


def look(margins: Margins, number: int) -> bool:
    """The venue's other customers in a market have more or less; whether it must look at any."""
    margins.watch.follow_crowds()
    due = [margins.watch.arm(other) for other in margins.others(number)]
    margins.guard(number)
    return any(due) or margins.crowds.are_short()


def deleverage(market: Market, number: int, command: AutoDeleverage) -> str | None:
    """A share of the funds' hedges is closed; why not, where it is refused. Whole lots, rounded
    down. Futures beside the funds are left alone, as the venue's own queue leaves them."""
    if not market.launched:
        return "not_launched"
    share, side, touched = decimal(command.share), _FORCED[command.side], False
    price = market.mark * (1.0 + command.price_bps / 1e4)
    for hedge in _hedges(market, number):
        held = hedge.account.lots
        taken = mul_div(abs(held), share.numerator, share.denominator, Rounding.DOWN)
        if hedge.alone or not taken or held * side < 0:
            continue
        lots = -taken if held > 0 else taken
        cash = market.contract.trade_cash(lots, price)
        hedge.move(number, Cause.ADL, lots, cash, "book", price)
        hedge.deleveraged(number, lots, price, 1, 1.0)
        hedge.handler.survive(market, last=False)
        touched = True
    return None if touched else "nothing_held"


def fail(market: Market, number: int, command: DefaultVenue) -> str | None:
    """The venue is no more; why not, where it is refused. What is paid back is rounded down."""
    if market.state.defaulted:
        return "defaulted"
    if not market.launched:
        return "not_launched"
    market.state.defaulted = True
    market.halt()
    recovery, symbol = decimal(command.recovery), market.contract.spec.symbol
    for hedge in _hedges(market, number):
        account, lots = hedge.account, hedge.account.lots
        hedge.handler.cancel(market, "venue_default")
        if lots:
            cash = market.contract.trade_cash(-lots, market.mark)
            hedge.move(number, Cause.DEFAULT, -lots, cash, "book", market.mark)
        balance = account.at_venue
        back = mul_div(max(balance, 0), recovery.numerator, recovery.denominator, Rounding.DOWN)
        lost = max(balance, 0) - back
        hedge.move(number, Cause.DEFAULT, 0, -lost, f"venue:{symbol}", market.mark)
        market.tape.say(
            BalanceLost,
            product=account.spec.id,
            symbol=symbol,
            mark_price=market.mark,
            position_lots=lots,
            balance_atoms=balance,
            lost_atoms=lost,
        )
        hedge.handler.go_on(market, ends="venue_default")
    return None


# The venue's risk desk --------------------------------------------------------------------------


def seized(margins: Margins, number: int) -> None:
    """The venue moved what hedges of a market hold: no act of their owners."""
    behind = (account for (of, _), account in margins.behind.items() if of == number)
    margins.desk.acting.seized(dict.fromkeys(behind))


def forget(margins: Margins, number: int) -> None:
    """The venue of a market is no more: nobody there is in liquidation, or was called; but who
    still holds something of another market."""
    for (of, _), account in margins.behind.items():
        if of == number and not account.positions():
            margins.desk.stages.pop(account.name, None)
            margins.desk.called.pop(account.name, None)


def gather(
    margins: Margins | None, number: int, command: OpenPopulation
) -> tuple[str | None, bool]:
    """A population that waited opens its positions: why not, where it is refused, and whether the
    venue must look at any of them."""
    crowds = [] if margins is None else margins.crowds.all
    found = [c for c in crowds if (c.spec.market, c.spec.id) == (number, command.population)]
    if margins is None or not found:
        return "unknown_population", False
    (crowd,) = found
    if not crowd.waits:
        return "opened", False
    crowd.waits = False
    if number not in margins.state.launched:
        return None, False
    margins.crowds.open(number)
    margins.watch.follow_crowds()
    margins.desk.acting.opened([crowd.name], margins.markets[number].tape.ts_ns)
    margins.guard(number)
    return None, margins.crowds.are_short()

"""What befalls the accounts at a market's venue, said a second time."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from engine.commands import AutoDeleverage, OpenPopulation, PriceCollateral
from engine.custody_events import BalanceLost, CollateralRevalued, TradersRevalued
from engine.ledger import Cause
from tests.reference.margins import Hedge

if TYPE_CHECKING:
    from tests.reference.margins import Margins
    from tests.reference.market import Market
    from tests.reference.product import Product


def obey(margins: Margins, market: Market, command: Any) -> str | None:
    """Do it; why not, where it is refused."""
    if isinstance(command, OpenPopulation):
        return _gather(margins, market, command)
    if isinstance(command, PriceCollateral):
        return _reprice(margins, market, command)
    if isinstance(command, AutoDeleverage):
        return _deleverage(margins, market, command)
    return _fail(margins, market, command)


def _hedges(margins: Margins, market: Market) -> list[Hedge]:
    """Of the living products, futures among them; spot and loans lie elsewhere."""
    number = margins.markets.index(market)
    known = {hedge.product.spec.id: hedge for hedge in margins.hedges}
    return [
        known.get(product.spec.id) or Hedge(number, product)
        for product in market.products
        if product.status in ("active", "closing")
        and product.spec.kind not in ("spot", "margin_loan")
    ]


def _collateral(market: Market, product: Product) -> int:
    held = product.holding.book
    if market.spec.venue.margin.tiers:
        return int(held.cash + held.cost)
    return int(held.margin(market.mark))


def _reprice(margins: Margins, market: Market, command: Any) -> str | None:
    if market.contract.inverse:
        return "collateral_is_the_coin"
    before, market.collateral = market.collateral, command.price
    if before == command.price:
        return "no_change"
    was, now, share = (Fraction(repr(n)) for n in (before, command.price, command.share))
    symbol = market.spec.contract.symbol
    for hedge in _hedges(margins, market):
        collateral = _collateral(market, hedge.product)
        if collateral <= 0:
            continue
        change = math.floor(collateral * share * (now / was - 1))
        hedge.move(hedge.number, Cause.REVALUATION, 0, change, "collateral", market.mark)
        hedge.touched = False
        hedge.product.say(
            CollateralRevalued,
            symbol=symbol,
            price_before=before,
            price=command.price,
            mark_price=market.mark,
            collateral_atoms=collateral,
            change_atoms=change,
        )
        hedge.product.look()
    number = margins.markets.index(market)
    if number in margins.launched:
        _reprice_others(margins, market, number, share * (now / was - 1), (before, command.price))
    return None


def _reprice_others(
    margins: Margins, market: Market, number: int, moved: Fraction, prices: tuple[float, float]
) -> None:
    before, price = prices
    named = {"symbol": market.spec.contract.symbol, "mark_price": market.mark}
    named |= {"price_before": before, "price": price}
    found = []
    for trader in margins.traders.accounts:
        first, *_ = trader.holdings
        collateral = trader.cash + sum(held.cost for held in trader.holdings)
        if first.market == number and collateral > 0 and [h for h in trader.holdings if h.lots]:
            change = math.floor(collateral * moved)
            margins.traders.move(trader, number, Cause.REVALUATION, 0, change, "collateral")
            found.append((collateral, change))
    if found:
        had, changed = (sum(each) for each in zip(*found, strict=True))
        sums = {"collateral_atoms": had, "change_atoms": changed}
        market.log.say(TradersRevalued, accounts=len(found), **sums, **named)
    for crowd in margins.crowds:
        if crowd.spec.market == number:
            crowd.revalue(moved, named)
    margins.revalued(number)


def _deleverage(margins: Margins, market: Market, command: Any) -> str | None:
    if not any(product.status != "pending" for product in market.products):
        return "not_launched"
    price, found = market.mark * (1.0 + command.price_bps / 1e4), False
    for hedge in _hedges(margins, market):
        held = hedge.product.holding.book.lots
        named = command.side == "both" or (command.side == "long") is (held > 0)
        lots = math.floor(abs(held) * Fraction(repr(command.share)))
        if hedge.alone or not lots or not named:
            continue
        lots = -lots if held > 0 else lots
        cash = market.contract.trade_cash(lots, price)
        hedge.move(hedge.number, Cause.ADL, lots, cash, "book", price)
        hedge.deleveraged(hedge.number, lots, price, 1, 1.0)
        hedge.touched = False
        hedge.product.survive()
        hedge.product.look()
        found = True
    return None if found else "nothing_held"


def _fail(margins: Margins, market: Market, command: Any) -> str | None:
    if market.defaulted:
        return "defaulted"
    if not any(product.status != "pending" for product in market.products):
        return "not_launched"
    market.defaulted = True
    market.halt()
    for hedge in _hedges(margins, market):
        product, held = hedge.product, hedge.product.holding.book
        lots = held.lots
        hedge.cancel_orders(hedge.number, "venue_default")
        if lots:
            cash = market.contract.trade_cash(-lots, market.mark)
            hedge.move(hedge.number, Cause.DEFAULT, -lots, cash, "book", market.mark)
        balance = held.cash
        back = math.floor(max(0, balance) * Fraction(repr(command.recovery)))
        lost = max(0, balance) - back
        hedge.move(hedge.number, Cause.DEFAULT, 0, -lost, "venue", market.mark)
        hedge.touched = False
        product.say(
            BalanceLost,
            symbol=market.spec.contract.symbol,
            mark_price=market.mark,
            position_lots=lots,
            balance_atoms=balance,
            lost_atoms=lost,
        )
        if product.formula and product.status == "active":
            product.holding.end(market.mark)
        product.status = "closing"
        product._closed("venue_default")
        product.look()
        margins.desk.stages.pop(hedge.name, None)
    number = margins.markets.index(market)
    for account in margins.accounts:
        own = getattr(account, "hedges", [account])
        if any(hedge.number == number for hedge in own) and not account.positions():
            margins.desk.stages.pop(account.name, None)
            margins.desk.called.pop(account.name, None)
    return None


def _gather(margins: Margins, market: Market, command: Any) -> str | None:
    number = margins.markets.index(market)
    for crowd in margins.crowds:
        if (crowd.spec.market, crowd.spec.id) == (number, command.population):
            if not crowd.waits:
                return "opened"
            crowd.waits = False
            if number in margins.launched:
                crowd.open()
                margins.gathered(number, crowd)
            return None
    return "unknown_population"

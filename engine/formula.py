"""Products whose NAV follows a formula, and the issuer's book behind each.

From one rebalance to the next, ``NAV = NAV_prev * (1 + L * (P / P_prev - 1))`` at the price P, the
mark or the index as its terms have it: what holders own is a promise, and the fee is all they pay.
The money that they paid lies in a hedge account, which trades, pays and is liquidated at the mark
like any other, on the issuer's account: its equity less what holders are owed is his profit or
loss.

What a *quoted* product promises is told by its policy: ``Quote`` says what a unit is worth, and the
line on which that follows the mark until the next. What a quote changes the issuer bears, or has.

A hedge of an inverse contract is coins and the contracts that make ``L - 1`` times NAV of face; the
issuer's profit or loss lies in coins beside it, and moves with them.

A decision takes effect on the promise at once, at the mark of then; the hedge follows, with all its
latency and costs. Where the hedge lacks margin the issuer pays in what is missing.
"""

from __future__ import annotations

from math import floor
from typing import Final

from msgspec import UnsetType

from engine.account import (
    FLOWS,
    ISSUER,
    MANAGEMENT_FEE,
    PRICE,
    ROUNDING,
    Account,
    Execution,
    Paper,
)
from engine.ledger import Cause, Ledger
from engine.product import ProductSpec
from engine.reference import Reference
from engine.units import Rounding, decimal, mul_div
from engine.venue.contract import Contract

__all__ = ["FormulaAccount", "IssuerBook", "formula_nav"]

_ALL: Final = 2**62
"""The issuer is good for it."""


def formula_nav(intercept: float, slope: float, mark: float) -> int:
    """NAV on a promise's line, to the nearest atom.

    1,000,000 at 3x from 100 is ``-2,000,000 + 30,000 * mark``: 1,150,000 at 105.
    """
    return floor(intercept + slope * mark + 0.5)


class IssuerBook(Account):
    """The hedge of a formula product: the issuer's own, and topped up from his own money where the
    treasury does not suffice."""

    __slots__ = ()

    def __init__(self, spec: ProductSpec, contract: Contract, ledger: Ledger) -> None:
        super().__init__(spec, contract, ledger)
        self.backed = True

    @property
    def backing(self) -> int:
        return _ALL

    def top_up(self, cash: int, mark: float) -> None:
        own = max(cash - max(self.treasury, 0), 0)
        self.deposit(cash - own)
        if own and self.contract.inverse:  # more coins are another line
            self._book(Cause.ISSUER, ISSUER, self._issuer_settlement, -own, mark)
        elif own:
            self.inject(own)

    def inject(self, cash: int) -> None:
        """The issuer pays in quote money; takes out where negative."""
        self.ledger.post(Cause.ISSUER, self._issuer, self._quote, cash)
        self.state.attribution[ISSUER] += cash
        self._moved(self.state.since_mark)

    def pay_out_fee(self, fee: int, mark: float) -> int:
        """The holders' fee, quote atoms, leaves the hedge for the issuer's pocket; the settlement
        atoms paid."""
        paid = -self.contract.to_settlement(-fee, mark)
        self._draw(paid)
        self._book(Cause.MANAGEMENT_FEE, MANAGEMENT_FEE, self._issuer_settlement, paid, mark)
        return paid


class FormulaAccount(Account):
    """What the holders of a formula product are owed; ``book`` is the hedge behind it.

    Cash and lots are the hedge's; NAV, line and attribution are the promise's. Whoever calls names
    the mark; where the promise follows the index, that is ``reference``'s.
    """

    __slots__ = ("_hedge", "reference")

    def __init__(self, spec: ProductSpec, contract: Contract, ledger: Ledger) -> None:
        super().__init__(spec, contract, ledger)
        self._hedge = IssuerBook(spec, contract, ledger)
        self.state.paper = Paper()
        self.state.hedge = self._hedge.state
        self.reference: Reference | None = None

    @property
    def book(self) -> Account:
        return self._hedge

    def at(self, mark: float) -> float:
        return mark if self.reference is None else self.reference.price

    def nav(self, mark: float) -> int:
        return self.worth(self.at(mark))

    def worth(self, price: float) -> int:
        return formula_nav(self.intercept, self.slope, price)

    def nav_at(self, mark: float) -> int:
        return self.nav(mark)

    def close_segment(self, mark: float, nav: int | None = None) -> int:
        return super().close_segment(self.at(mark), nav)

    def causes(self, mark: float) -> list[int]:
        causes = list(self.state.attribution)
        causes[PRICE] += self.nav(mark) - self.worth(self.state.since_mark)
        return causes

    def draw_line(self) -> None:
        assert self.state.hedge is not None
        self._hedge.state = self.state.hedge
        self._hedge.draw_line()
        super().draw_line()

    def _moved(self, mark: float) -> int:
        paper = self.state.paper
        assert paper is not None
        self.slope = paper.nav * paper.leverage / paper.price
        self.intercept = paper.nav - self.slope * paper.price
        self.state.since_nav = self.worth(mark)
        return self.state.since_nav

    def _leverage(self, mark: float) -> float:
        exposure = self.slope * self.at(mark)
        nav = self.intercept + exposure
        return exposure / nav if nav > 0.0 else 0.0

    def promise(self, mark: float, leverage: float) -> None:
        nav = self.close_segment(mark)
        self._rest(nav, mark, leverage)

    def quote(self, mark: float, worth: int, leverage: float) -> None:
        nav = self.close_segment(mark)
        self.state.attribution[ISSUER] += worth - nav
        self._rest(worth, mark, leverage)

    def _rest(self, nav: int, mark: float, leverage: float) -> None:
        """From here on ``nav`` at ``leverage``; what rounding made of it apart."""
        state, price = self.state, self.at(mark)
        state.paper = Paper(nav, price, leverage)
        state.attribution[ROUNDING] += self._moved(price) - nav
        state.roundings += 1

    def end(self, mark: float) -> None:
        """Holders are owed what they are worth now, and no less than nothing."""
        nav = self.close_segment(mark)
        self.state.attribution[ISSUER] += max(-nav, 0)
        self._rest(max(nav, 0), mark, 0.0)

    def launch(self, mark: float, user_units: int, issuer_units: int, paid: int) -> None:
        self._hedge.launch(mark, user_units, issuer_units, paid)
        state = self.state
        state.since_mark = state.first_mark = state.split.since = self.at(mark)
        state.equity_start = paid
        self._rest(paid, mark, 0.0)

    def execute(
        self, lots: int, price: float, mid: float, mark: float, *, maker: bool = False
    ) -> Execution:
        return self._hedge.execute(lots, price, mid, mark, maker=maker)

    def cross(self, lots: int, cash: int, mark: float) -> None:
        self._hedge.cross(lots, cash, mark)

    def pay_funding(self, paid: int, mark: float) -> None:
        self._hedge.pay_funding(paid, mark)

    def pay_management_fee(self, rate: float, mark: float) -> int:
        share, leverage = decimal(rate), self._leverage(mark)
        nav = self.close_segment(mark)
        fee = mul_div(nav, share.numerator, share.denominator, Rounding.UP)
        paid = self._hedge.pay_out_fee(fee, mark)
        self.state.attribution[MANAGEMENT_FEE] -= fee
        self._rest(nav - fee, mark, leverage)
        return paid

    def create(self, quote: int, units: int, mark: float) -> int | UnsetType:
        self._deal(quote, units, mark)
        return self._hedge.create(quote, units, mark)

    def redeem(self, quote: int, units: int, mark: float) -> int | UnsetType:
        self._deal(-quote, -units, mark)
        return self._hedge.redeem(quote, units, mark)

    def regroup(
        self, units: tuple[int, int], paid: tuple[int, int], mark: float
    ) -> int | UnsetType:
        quote = paid[0] + paid[1]
        if quote:
            leverage, nav = self._leverage(mark), self.close_segment(mark)
            self.state.split.scale(self.at(mark), (nav - quote) / nav)
            self.state.attribution[FLOWS] -= quote
            self._rest(nav - quote, mark, leverage)
        return self._hedge.regroup(units, paid, mark)

    def _deal(self, quote: int, units: int, mark: float) -> None:
        leverage = self._leverage(mark)
        nav = self.close_segment(mark)
        self._joined(units, self.at(mark))
        self.state.attribution[FLOWS] += quote
        self._rest(nav + quote, mark, leverage)

    def settle_closed(self, mark: float) -> None:
        self._hedge.settle_closed(mark)

    def take_surplus(self) -> int:
        # Neither hedge nor promise moves any more.
        hedge, owed = self._hedge, self.worth(self.state.since_mark)
        surplus = max(0, hedge.nav(hedge.state.since_mark) - owed)
        if surplus:
            self._hedge.inject(-surplus)
        return surplus

    def deficit(self, mark: float) -> int:
        return max(0, self.nav(mark) - self._hedge.nav(mark))

    def pay_deficit(self, payer: str, deficit: int) -> int:
        """The venue's fund pays for what the hedge owes, not for what holders are owed."""
        if payer == "insurance":
            deficit = min(deficit, max(0, -self._hedge.nav(self._hedge.state.since_mark)))
        return self._hedge.pay_deficit(payer, deficit)

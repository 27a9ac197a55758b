"""Beyond the bankruptcy price: what the insurance fund lets be filled, and whom the venue takes
over."""

from __future__ import annotations

from math import nan

from engine.ledger import Cause
from engine.units import side_of
from engine.venue.desk import RiskDesk, Unpaid, Venue
from engine.venue.margined import Margined
from engine.venue_events import LiquidationFilled

__all__ = ["Insuring"]


class Insuring(RiskDesk):
    """The risk desk with its fund's money."""

    def insure(self, account: Margined, market: int, lots: int, marks: list[float]) -> int:
        """The fund lets the rest be filled beyond the bankruptcy price, as far as it can pay; the
        signed lots that are left."""
        if account.alone:
            return lots
        venue = self.venues[market]
        contract, floor = venue.listing.contract, venue.floor
        budget = venue.fund.available(floor.ts_ns)
        if budget <= 0:
            return lots
        atoms = self.bankruptcy(account, market, lots, marks)
        size = self.affordable(venue, lots, atoms, budget)
        filled, price = self.take(venue, size, None) if size else (0, nan)
        if not filled:
            return lots
        cash = contract.trade_cash(filled, price)
        least = atoms * filled // lots
        loss = max(least - cash, 0)
        self.move(account, market, Cause.LIQUIDATION, filled, cash, "book", price)
        self.pay_fund(account, market, -loss)
        floor.tape.say(
            LiquidationFilled,
            account=account.name,
            symbol=contract.spec.symbol,
            step="insured",
            asked_lots=lots,
            lots=filled,
            price=price,
            limit_price=None,
            bankruptcy_price=contract.price_of(lots, atoms),
            bankruptcy_atoms=atoms,
            cash_atoms=cash,
            fee_atoms=0,
            fund_atoms=-loss,
        )
        self.tell_fund(venue, -loss, "fill")
        self.charge_closing(account, market, filled, least)
        return lots - filled

    def cover(self, account: Margined, market: int, atoms: int) -> None:
        """The insurance fund pays what an account without positions owes."""
        venue = self.venues[market]
        self.charge(account, market, Cause.INSURANCE, -atoms, "insurance", "cover")
        venue.fund.changed(-atoms, venue.floor.ts_ns)
        self.tell_fund(venue, -atoms, "cover")

    def take_over(self, unpaid: Unpaid) -> None:
        """The venue takes what an account that is alone still holds at the mark, and what is then
        left of its money, or missing: as if it were closed at its bankruptcy price."""
        account, market, lots = unpaid.account, unpaid.market, unpaid.lots
        venue = self.venues[market]
        contract, mark = venue.listing.contract, venue.floor.mark
        cash = contract.trade_cash(lots, mark)
        if lots:
            self.move(account, market, Cause.LIQUIDATION, lots, cash, "book", mark)
        rest = account.cash
        self.pay_fund(account, market, rest)
        venue.floor.tape.say(
            LiquidationFilled,
            account=account.name,
            symbol=contract.spec.symbol,
            step="taken_over",
            asked_lots=lots,
            lots=lots,
            price=mark,
            limit_price=None,
            bankruptcy_price=unpaid.price,
            bankruptcy_atoms=unpaid.atoms,
            cash_atoms=cash,
            fee_atoms=0,
            fund_atoms=rest,
        )

    def affordable(self, venue: Venue, lots: int, atoms: int, budget: int) -> int:
        """The most of ``lots`` whose loss beyond the bankruptcy price the fund can pay: a search
        over sizes, each asked of the book without taking it."""
        contract, floor = venue.listing.contract, venue.floor
        top, side = floor.top(), side_of(lots)

        def loss(size: int) -> int:
            worth = contract.quote_notional(size, top.mid)
            taken = floor.book.offer(side, size, worth, None, top)
            filled = side * taken.lots
            return atoms * filled // lots - contract.trade_cash(filled, taken.price)

        if loss(abs(lots)) <= budget:
            return lots
        if self._beyond(venue, lots, atoms, budget):
            return 0
        fits, fails = 0, abs(lots)
        while fails - fits > 1:
            middle = (fits + fails) // 2
            if loss(middle) <= budget:
                fits = middle
            else:
                fails = middle
        return side * fits

    def _beyond(self, venue: Venue, lots: int, atoms: int, budget: int) -> bool:
        """Whether one lot alone costs more than the fund can pay, and so does any number of them:
        more of them trade at no better a price. Of a book that has not even one all cost nothing,
        and nobody asks."""
        contract, floor = venue.listing.contract, venue.floor
        top, side = floor.top(), side_of(lots)
        one = floor.book.offer(side, 1, contract.quote_notional(1, top.mid), None, top)
        over, under = contract.value_ratio(one.price)
        # The loss on n lots is n times that on one, but for two roundings.
        return atoms * under + side * over * abs(lots) > (budget + 2) * under * abs(lots)

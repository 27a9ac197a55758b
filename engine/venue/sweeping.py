"""One price liquidates many: the positions of a crowd that it made short, in one step.

Each is closed whole, in order of its row, by the rules that hold for a single account with the
same position: an order to the book at its limit, the insurance fund beyond, then the counterparties
(for all of a side together). Where the book fills any size at one price this is arithmetic on
columns; where a fill moves the next one, it is done one by one. Totals are the same to the last
unit.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from engine.ledger import Cause
from engine.units import decimal, side_of
from engine.venue.bankruptcy import fillable_price, insurance_delta
from engine.venue.crowd import Crowd
from engine.venue.crowd_columns import values
from engine.venue.crowd_wave import Wave, tell, tell_rows
from engine.venue.desk import Unpaid, Venue
from engine.venue.exact_columns import I64, floor_products, total_of
from engine.venue.flat import FlatBook
from engine.venue.impact import FeltBook
from engine.venue.insuring import Insuring
from engine.venue.standing import Standing
from engine.venue.stepping import fee_rate

__all__ = ["sweep"]

Mask = np.ndarray[Any, np.dtype[np.bool_]]


def sweep(desk: Insuring, venue: Venue, crowd: Crowd) -> list[Unpaid]:
    """Liquidate the rows that are short at the mark; what nobody could be paid for."""
    floor = venue.floor
    if not crowd.opened or floor.stale:
        return []
    rows, equity, needed = crowd.short(floor.mark)
    return _Sweep(desk, venue, crowd, rows, equity, needed).run() if rows.size else []


class _Sweep:
    """One step: the rows that are short, and how each stands."""

    def __init__(
        self, desk: Insuring, venue: Venue, crowd: Crowd, rows: I64, equity: I64, needed: I64
    ) -> None:
        self.desk, self.venue, self.crowd = desk, venue, crowd
        self.rows, self.equity, self.needed = rows, equity, needed
        self.lots = crowd.lots[rows]
        # What is still held, and the cash, of each; given back to the columns at the end.
        self.held: list[int] = self.lots.tolist()
        self.cash: list[int] = crowd.cash[rows].tolist()
        self.waves = {1: Wave(), -1: Wave()}
        self.rules = venue.listing.rules.liquidation
        self.contract = venue.listing.contract
        self.top = venue.floor.top()

    def run(self) -> list[Unpaid]:
        if self.crowd.spec.tells_rows:
            tell_rows(self.venue, self.crowd, (self.rows, self.lots, self.equity, self.needed))
        through = np.ones(len(self.rows), np.bool_)
        below = self.rules.backstop_below
        if below:
            through[:] = self.equity >= below * self.needed
            self._backstop(~through & (self.equity >= 0))
        places = np.flatnonzero(through)
        if isinstance(self.venue.floor.book, FlatBook) and not self.rules.fee_from_freed:
            self._at_one_price(places)
        else:
            for place in places.tolist():
                self._one(place)
        self._give_up()
        for wave in self.waves.values():
            self.crowd.post(Cause.LIQUIDATION, wave.filled, wave.cash, "book")
            self.crowd.post(Cause.LIQUIDATION_FEE, 0, -wave.fees, "fees")
        tell(self.desk, self.venue, self.crowd, self.waves, self.lots, self.equity)
        return self._unpaid()

    # All at one price -------------------------------------------------------------------------

    def _at_one_price(self, places: I64) -> None:
        """The book fills any size: who is filled at the price, in columns; the others one by one,
        in order, for the fund's money is spent in order."""
        lots, cash = self.lots[places], self.crowd.cash[self.rows[places]]
        least = self._least(lots, cash)
        got, filled = np.zeros(len(places), np.int64), np.zeros(len(places), np.bool_)
        for side in self.waves:
            own = np.flatnonzero(np.sign(lots) == side)
            if len(own):
                price = self._take(-side, None)[1]
                got[own] = values(self.venue.listing, lots[own], price)
                filled[own] = self._within(places[own], lots[own], least[own], price)
        gained = np.where(filled, self._gains(got, least), 0)
        fees = self._closing_fees(lots, least)
        left = (cash + got - gained - fees)[filled].tolist()
        for place, money in zip(places[filled].tolist(), left, strict=True):
            self.held[place], self.cash[place] = 0, money
        passed = 0
        for place in np.flatnonzero(~filled).tolist():
            self._pay_in(gained[passed:place], lots[passed:place])
            passed = place
            self._insure(int(places[place]))
        self._pay_in(gained[passed:], lots[passed:])
        for side, wave in self.waves.items():
            own = np.flatnonzero((np.sign(lots) == side) & filled)
            sold, brought = -total_of(lots[own]), total_of(got[own])
            wave.filled, wave.cash = wave.filled + sold, wave.cash + brought
            wave.fees += total_of(fees[own])

    def _least(self, lots: I64, cash: I64) -> I64:
        """What closing each must bring so that nothing is left, and nothing owed."""
        if not self.venue.listing.fee_at_bankruptcy:
            return -cash
        pairs = zip(lots.tolist(), cash.tolist(), strict=True)
        return np.array([self.crowd.least(n, c) for n, c in pairs], np.int64)

    def _within(self, places: I64, lots: I64, least: I64, price: float) -> Mask:
        """Whether the price is within the limit of each; all lie on one side."""
        if self.rules.limit == "none":
            return np.ones(len(lots), np.bool_)
        side = -side_of(lots.item(0))
        limits = [
            self._limit(place, -n, atoms)
            for place, n, atoms in zip(places.tolist(), lots.tolist(), least.tolist(), strict=True)
        ]
        within = [limit is None or side * (limit - price) >= 0.0 for limit in limits]
        return np.array(within, np.bool_)

    def _gains(self, got: I64, least: I64) -> I64:
        """What of each fill is the fund's."""
        surplus = got - least
        if self.rules.surplus == "fund":
            return np.asarray(np.maximum(surplus, 0))
        share = decimal(self.rules.fee)
        most = floor_products(np.abs(got), share.numerator, share.denominator)
        return np.asarray(np.maximum(np.minimum(most, surplus), 0))

    def _closing_fees(self, lots: I64, least: I64) -> I64:
        if not self.venue.listing.fee_at_bankruptcy:
            return np.zeros(len(lots), np.int64)
        pairs = zip(lots.tolist(), least.tolist(), strict=True)
        fees = [self.contract.closing_fee(-n, atoms) for n, atoms in pairs]
        return np.array(fees, np.int64)

    def _pay_in(self, gained: I64, lots: I64) -> None:
        for side, wave in self.waves.items():
            wave.to_fund += total_of(gained[np.sign(lots) == side])
        self._pay_fund(total_of(gained))

    # One by one -------------------------------------------------------------------------------

    def _limit(self, place: int, lots: int, atoms: int) -> float | None:
        """The worst price at which an order for ``lots`` may trade."""
        if self.rules.limit == "bankruptcy":
            return self.contract.price_of(lots, atoms)
        if self.rules.limit == "none":
            return None
        listing, mark = self.venue.listing, self.venue.floor.mark
        held, row = -lots, self.rows.item(place)
        price = fillable_price(
            float(self.contract.exposure_value(held, mark)),
            self.contract.settlement_slope(held),
            float(self.equity.item(place)),
            float(listing.maintenance(held, self.crowd.cost.item(row), mark)),
            float(self.needed.item(place)),
            adjustment=self.rules.bankruptcy_adjustment,
            spread=self.rules.spread_to_maintenance,
        )
        return 1.0 / price if self.contract.inverse else price

    def _take(self, lots: int, limit: float | None) -> tuple[int, float]:
        """As ``desk.take``: signed lots filled now, and their average price."""
        book, side = self.venue.floor.book, side_of(lots)
        if isinstance(book, FeltBook):
            self.top = self.venue.floor.top()  # the fill before this one has moved it
        worth = self.contract.quote_notional(lots, self.top.mid)
        taken = book.take_limited(side, abs(lots), worth, limit, self.top)
        return side * taken.lots, taken.price

    def _one(self, place: int) -> None:
        """A single account's order, whole, and what the fund lets be filled of its rest."""
        held = self.held[place]
        atoms = self.crowd.least(held, self.cash[place])
        lots, price = self._take(-held, self._limit(place, -held, atoms))
        if lots:
            got, least = self.contract.trade_cash(lots, price), atoms * lots // -held
            fund = max(got - least, 0)
            if self.rules.surplus != "fund":
                stand = Standing(self.equity.item(place), self.needed.item(place))
                floor = self.venue.floor
                idle_ns = self.desk.acting.idle_ns(self.crowd.name, floor.ts_ns)
                most = fee_rate(self.venue.listing, held, floor.mark, stand, idle_ns)
                fund = max(insurance_delta(got, least, most), 0)
            self.waves[side_of(held)].to_fund += fund
            self._fill(place, lots, got, least, fund)
        if lots != -held:
            self._insure(place)

    def _fill(self, place: int, lots: int, got: int, least: int, fund: int) -> None:
        """A row traded; ``fund`` of it went to the fund."""
        wave = self.waves[side_of(self.lots.item(place))]
        wave.filled, wave.cash = wave.filled + lots, wave.cash + got
        fee = 0
        if self.venue.listing.fee_at_bankruptcy:
            fee = self.contract.closing_fee(lots, least)
        wave.fees += fee
        self.held[place] += lots
        self.cash[place] += got - fund - fee
        self._pay_fund(fund)

    def _pay_fund(self, atoms: int) -> None:
        """To the insurance fund, or from it where negative."""
        if atoms:
            self.crowd.post(Cause.INSURANCE, 0, -atoms, "insurance")
            self.venue.fund.changed(atoms, self.venue.floor.ts_ns)

    def _insure(self, place: int) -> None:
        """The fund lets be filled what it can pay for."""
        venue, held = self.venue, self.held[place]
        budget = venue.fund.available(venue.floor.ts_ns)
        if budget <= 0:
            return
        atoms = self.crowd.least(held, self.cash[place])
        size = self.desk.affordable(venue, -held, atoms, budget)
        if not size:
            return
        lots, price = self._take(size, None)
        if lots:
            got, least = self.contract.trade_cash(lots, price), atoms * lots // -held
            loss = max(least - got, 0)
            self.waves[side_of(held)].from_fund += loss
            self._fill(place, lots, got, least, -loss)

    # What is left -----------------------------------------------------------------------------

    def _backstop(self, which: Mask) -> None:
        """The backstop takes positions at the mark, and the equity that is left."""
        lots, cash = self.lots[which], self.crowd.cash[self.rows[which]]
        worth = values(self.venue.listing, lots, self.venue.floor.mark)
        left = cash + worth
        moved = total_of(worth) - total_of(left)
        self.crowd.post(Cause.LIQUIDATION, -total_of(lots), moved, "backstop")
        for side, wave in self.waves.items():
            wave.backstop -= total_of(lots[np.sign(lots) == side])
        for place in np.flatnonzero(which).tolist():
            self.held[place] = self.cash[place] = 0

    def _give_up(self) -> None:
        """What neither book nor fund took, and what is owed, is the pools'; nobody of the crowd
        holds anything."""
        held, cash = np.array(self.held, np.int64), np.array(self.cash, np.int64)
        over = (held != 0) | (cash < 0)
        for side, wave in self.waves.items():
            own = over & (np.sign(self.lots) == side)
            wave.owed = bool(own.any())
            wave.unpaid += int(np.count_nonzero(held[own]))
            wave.unpaid_lots += total_of(held[own])
            self.crowd.pools[side].take_in(wave.unpaid_lots, total_of(cash[own]))
        self.crowd.closed(self.rows, np.where(over, 0, cash))
        self.crowd.swept_ns = self.venue.floor.ts_ns

    def _unpaid(self) -> list[Unpaid]:
        """What the pools hold is the counterparties', and what they owe is the fund's."""
        found: list[Unpaid] = []
        for side, pool in self.crowd.pools.items():
            held = pool.positions()[0][1]
            if self.waves[side].unpaid:
                marks = self.desk.marks()
                found.append(self.desk.unpaid(pool, self.crowd.spec.market, -held, marks))
            elif self.waves[side].owed and not held and pool.cash < 0:
                found.append(Unpaid(pool, self.crowd.spec.market, 0, 0, None))
        return found
